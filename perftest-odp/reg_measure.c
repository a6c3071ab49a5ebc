/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#include "reg_measure.h"
#include "dev.h"
#include "fail.h"
#include "loop.h"
#include "pattern.h"
#include "size.h"
#include "status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

/* No more runs of one kind and size after this time */
#define PATIENCE_S 3.0
#define MIN_RUNS 3
/* So many registrations are held at once to see what memory they take */
#define HELD 64

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

/*
 * On-demand memory is address space that nobody may touch: registration does
 * not look at it. Pinned memory is there before the clock starts.
 */
static void *reserve(enum mem_kind kind, uint64_t size)
{
	bool pinned = kind == MEM_PINNED;

	return mmap(NULL, size, pinned ? PROT_READ | PROT_WRITE : PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS |
			    (pinned ? MAP_POPULATE : MAP_NORESERVE),
		    -1, 0);
}

static struct ibv_mr *reg(struct dev *dev, enum mem_kind kind, void *addr,
			  uint64_t size)
{
	int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE |
		     IBV_ACCESS_REMOTE_READ;

	if (kind != MEM_PINNED)
		access |= IBV_ACCESS_ON_DEMAND;
	return ibv_reg_mr(dev->pd, addr, size, access);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, unsigned int n)
{
	qsort(v, n, sizeof(*v), by_value);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static int refused(struct dev *dev, struct reg_cost *cost)
{
	char text[64];

	if (cost->kind == MEM_PINNED && errno == ENOMEM) {
		cost->refused = "memlock limit";
		return RC_OK;
	}
	return fail_errno(RC_WRONG, "%s: ibv_reg_mr of %s", dev->name,
			  mem_describe(cost->kind, cost->size, text,
				       sizeof(text)));
}

static int time_runs(struct dev *dev, void *addr, unsigned int runs,
		     struct reg_cost *cost)
{
	double *reg_us = calloc(2 * runs, sizeof(*reg_us));
	double *dereg_us = reg_us + runs, t[3], end = now() + PATIENCE_S;
	struct ibv_mr *mr;
	unsigned int i;
	int rc = RC_OK;

	if (!reg_us)
		return fail_errno(RC_WRONG, "memory for %u runs", runs);
	for (i = 0; i < runs && (i < MIN_RUNS || now() < end); i++) {
		t[0] = now();
		mr = reg(dev, cost->kind, addr, cost->size);
		t[1] = now();
		if (!mr || ibv_dereg_mr(mr)) {
			rc = refused(dev, cost);
			break;
		}
		t[2] = now();
		reg_us[i] = (t[1] - t[0]) * 1e6;
		dereg_us[i] = (t[2] - t[1]) * 1e6;
	}
	if (!rc && !cost->refused) {
		cost->reg_us = median(reg_us, i);
		cost->dereg_us = median(dereg_us, i);
	}
	free(reg_us);
	return rc;
}

static double growth(const struct host_memory *before,
		     const struct host_memory *after)
{
	double lost = (double)before->free - (double)after->free;
	double kernel = (double)after->kernel - (double)before->kernel;

	return lost > kernel ? lost : kernel;
}

/* Hold some registrations and see how much memory has gone */
static int weigh(struct dev *dev, void *addr, struct reg_cost *cost)
{
	bool large = cost->kind == MEM_PINNED && cost->size > LEAF;
	unsigned int n, held = large ? 1 : HELD;
	struct host_memory before = { 0 }, after = { 0 };
	struct ibv_mr *mr[HELD];
	int rc;

	rc = host_memory(&before);
	for (n = 0; n < held && !rc; n++) {
		mr[n] = reg(dev, cost->kind, addr, cost->size);
		if (mr[n])
			continue;
		if (!n) /* else the memlock limit has been reached */
			rc = refused(dev, cost);
		break;
	}
	if (!rc)
		rc = host_memory(&after);
	if (n)
		cost->memory = growth(&before, &after) / n;
	while (n--)
		ibv_dereg_mr(mr[n]);
	return rc;
}

/* Return: the reason why pinned memory of that size is not even tried */
static const char *too_large(enum mem_kind kind, uint64_t size)
{
	struct host_memory m = { 0 };

	if (kind != MEM_PINNED)
		return NULL;
	if (host_memory(&m))
		return "no /proc/meminfo";
	return size > m.available / 4 * 3 ? "not enough memory" : NULL;
}

int reg_measure(struct dev *dev, enum mem_kind kind, uint64_t size,
		unsigned int runs, struct reg_cost *cost)
{
	void *addr = NULL;
	int rc;

	*cost = (struct reg_cost){ .kind = kind, .size = size };
	cost->refused = too_large(kind, size);
	if (cost->refused)
		return RC_OK;
	if (kind != MEM_IMPLICIT) {
		addr = reserve(kind, size);
		if (addr == MAP_FAILED) {
			cost->refused = "mmap refused it";
			return RC_OK;
		}
	}
	rc = time_runs(dev, addr, runs, cost);
	if (!rc && !cost->refused)
		rc = weigh(dev, addr, cost);
	if (addr)
		munmap(addr, size);
	return rc;
}

static int write_page(struct loop *loop, const char *from, uint32_t lkey,
		      char *to, uint32_t rkey)
{
	struct ibv_sge sge = { (uintptr_t)from, PAGE, lkey };
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { .remote_addr = (uintptr_t)to, .rkey = rkey },
	}, *bad;
	struct ibv_wc wc;
	int got;

	if (ibv_post_send(loop->a.qp, &wr, &bad))
		return fail_errno(RC_WRONG, "ibv_post_send");
	got = cq_next(&loop->a.send_cq, &wc, 60000);
	if (got < 0)
		return RC_WRONG;
	if (!got || wc.status)
		return fail(RC_WRONG, "WRITE into the middle of the memory: %s",
			    got ? ibv_wc_status_str(wc.status) :
				  "no completion");
	return RC_OK;
}

/* @page is in the memory of @mr */
static int touch(struct dev *dev, char *page, struct ibv_mr *mr, int64_t *leaves)
{
	char source[PAGE] __attribute__((aligned(PAGE)));
	struct ibv_mr *source_mr = reg(dev, MEM_PINNED, source, PAGE);
	uint64_t before, after, key = pattern_key(1, 1);
	struct pattern_diff diff;
	struct loop loop = { 0 };
	int rc;

	if (!source_mr)
		return fail_errno(RC_WRONG, "%s: ibv_reg_mr of a page",
				  dev->name);
	pattern_fill(source, PAGE, key, 0);
	*leaves = port_counter(dev->name, dev->port, "odp_leaves", &before) ? 0 :
									      -1;
	rc = loop_create(&loop, dev, dev, &loop_spec);
	if (!rc)
		rc = loop_connect(&loop);
	if (!rc)
		rc = write_page(&loop, source, source_mr->lkey, page, mr->rkey);
	if (!rc && pattern_check(page, PAGE, key, 0, &diff))
		rc = fail(RC_WRONG, "WRITE into the middle of the memory: wrong bytes there");
	if (!*leaves && port_counter(dev->name, dev->port, "odp_leaves", &after))
		*leaves = after - before;
	loop_close(&loop);
	ibv_dereg_mr(source_mr);
	return rc;
}

int reg_touch(struct dev *dev, uint64_t size, int64_t *leaves)
{
	char *addr = reserve(MEM_ODP, size), *page = addr + size / 2;
	struct ibv_mr *mr;
	int rc;

	if (addr == MAP_FAILED || mprotect(page, PAGE, PROT_READ | PROT_WRITE))
		return fail_errno(RC_WRONG, "address space for --touch");
	mr = reg(dev, MEM_ODP, addr, size);
	rc = mr ? touch(dev, page, mr, leaves) :
		  fail_errno(RC_WRONG, "%s: ibv_reg_mr", dev->name);
	if (mr)
		ibv_dereg_mr(mr);
	munmap(addr, size);
	return rc;
}
