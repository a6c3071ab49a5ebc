/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Registrations that must be refused, and objects that are in use */
#include "bad.h"
#include "fail.h"
#include "size.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534
#define MEMLOCK (64 * KiB)

/* Register, and take it back if it worked. Return: errno value */
static int try(struct bad *b, void *addr, size_t len, uint64_t iova, int access)
{
	struct ibv_mr *mr = ibv_reg_mr_iova(b->dev_b.pd, addr, len, iova, access);

	if (!mr)
		return errno;
	ibv_dereg_mr(mr);
	return 0;
}

static int refused(struct bad *b, void *addr, size_t len, int access,
		   int expected)
{
	if (b->kind != MEM_PINNED)
		access |= IBV_ACCESS_ON_DEMAND;
	expect_errno(b, "", try(b, addr, len, (uintptr_t)addr, access),
		     expected);
	return RC_OK;
}

static int no_local_write(struct bad *b)
{
	return refused(b, b->mem_b.base, BAD_SIZE, IBV_ACCESS_REMOTE_WRITE,
		       EINVAL);
}

/* Bits 20 to 29 are for what a device need not know. */
static int unknown_access(struct bad *b)
{
	int bit, got = EINVAL;

	for (bit = 10; bit < 32 && got == EINVAL; bit++) {
		int access = IBV_ACCESS_LOCAL_WRITE | (int)(1U << bit);

		if (b->kind != MEM_PINNED)
			access |= IBV_ACCESS_ON_DEMAND;
		if (bit < 20 || bit > 29)
			got = try(b, b->mem_b.base, BAD_SIZE,
				  (uintptr_t)b->mem_b.base, access);
	}
	expect_errno(b, "", got, EINVAL);
	return RC_OK;
}

static int length_wraps(struct bad *b)
{
	return refused(b, b->mem_b.base, SIZE_MAX - PAGE, ACCESS_ALL, EINVAL);
}

static int length_wraps_page(struct bad *b)
{
	return refused(b, (void *)-PAGE, 2 * PAGE, ACCESS_ALL, EINVAL);
}

static int other_page_offset(struct bad *b)
{
	int access = ACCESS_ALL;

	if (b->kind != MEM_PINNED)
		access |= IBV_ACCESS_ON_DEMAND;
	expect_errno(b, "",
		     try(b, b->mem_b.base, PAGE, (uintptr_t)b->mem_b.base + 1,
			 access),
		     EINVAL);
	return RC_OK;
}

/* Either it is refused, or messages to the iova find the memory */
static int other_iova(struct bad *b)
{
	uint64_t iova = 0x100000;
	struct request r = good_request(b, IBV_WR_RDMA_WRITE);
	int access = ACCESS_ALL;
	struct ibv_mr *mr;
	bool ok;

	if (b->kind != MEM_PINNED)
		access |= IBV_ACCESS_ON_DEMAND;
	mr = ibv_reg_mr_iova(b->dev_b.pd, b->mem_b.base, BAD_SIZE, iova, access);
	if (!mr) {
		expect_errno(b, "", errno, EINVAL);
		return RC_OK;
	}
	r.remote_addr = iova + PAGE;
	r.rkey = mr->rkey;
	ok = !post_request(b->loop.a.qp, &r, 1);
	expect_status(b, "WRITE", &b->loop.a.send_cq, 1, IBV_WC_SUCCESS);
	ok = ok && !memcmp(b->mem_b.base + PAGE, b->mem_a.base, REQUEST_LEN);
	expect_true(b, "arrived", ok);
	ibv_dereg_mr(mr);
	return RC_OK;
}

static int pinned_unmapped(struct bad *b)
{
	void *hole = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);

	if (hole == MAP_FAILED || munmap(hole, PAGE))
		return fail_errno(RC_WRONG, "mmap");
	expect_errno(b, "", try(b, hole, PAGE, (uintptr_t)hole, ACCESS_ALL),
		     EFAULT);
	return RC_OK;
}

static int pinned_read_only(struct bad *b)
{
	void *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);

	if (page == MAP_FAILED)
		return fail_errno(RC_WRONG, "mmap");
	expect_errno(b, "", try(b, page, PAGE, (uintptr_t)page, ACCESS_ALL),
		     EFAULT);
	munmap(page, PAGE);
	return RC_OK;
}

/*
 * As a user without privileges, with 64 KiB of memlock, in a process of its
 * own. Return: errno value of the registration; 255 if it did not come so far
 */
static int register_as_nobody(const char *device, int port, size_t size)
{
	const struct rlimit limit = { MEMLOCK, MEMLOCK };
	struct dev dev;
	void *memory;

	memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || setrlimit(RLIMIT_MEMLOCK, &limit) ||
	    (!geteuid() && setresuid(NOBODY, NOBODY, NOBODY)) ||
	    dev_open(&dev, device, port, -1))
		return 255;
	return ibv_reg_mr(dev.pd, memory, size, IBV_ACCESS_LOCAL_WRITE) ? 0 :
									  errno;
}

static int in_child(struct bad *b, size_t size, int *err)
{
	int status;
	pid_t child = fork();

	if (child < 0)
		return fail_errno(RC_WRONG, "fork");
	if (!child)
		_exit(register_as_nobody(b->dev_b.name, b->dev_b.port, size));
	if (waitpid(child, &status, 0) < 0 || !WIFEXITED(status))
		return fail(RC_WRONG, "the process of user nobody died");
	if (WEXITSTATUS(status) == 255)
		return fail(RC_SKIP, "user nobody cannot open the device");
	*err = WEXITSTATUS(status);
	return RC_OK;
}

static int beyond_memlock(struct bad *b)
{
	int err = 0, rc = in_child(b, 4 * MEMLOCK, &err);

	if (!rc)
		expect_errno(b, "", err, ENOMEM);
	return rc;
}

static int within_memlock(struct bad *b)
{
	int err = 0, rc = in_child(b, PAGE, &err);

	if (!rc)
		expect_errno(b, "", err, 0);
	return rc;
}

static int pd_in_use(struct bad *b)
{
	expect_errno(b, "", ibv_dealloc_pd(b->dev_b.pd), EBUSY);
	return RC_OK;
}

static int cq_in_use(struct bad *b)
{
	expect_errno(b, "", ibv_destroy_cq(b->loop.a.send_cq.cq), EBUSY);
	return RC_OK;
}

static int cq_too_large(struct bad *b)
{
	struct ibv_cq *cq;

	cq = ibv_create_cq(b->dev_a.ctx, b->dev_a.attr.orig_attr.max_cqe + 1,
			   NULL, NULL, 0);
	expect_errno(b, "", cq ? 0 : errno, EINVAL);
	if (cq)
		ibv_destroy_cq(cq);
	return RC_OK;
}

static int qp_too_large(struct bad *b)
{
	struct ibv_qp_init_attr init = {
		.send_cq = b->loop.a.send_cq.cq,
		.recv_cq = b->loop.a.recv_cq.cq,
		.qp_type = IBV_QPT_RC,
		.cap = { .max_send_wr = b->dev_a.attr.orig_attr.max_qp_wr + 1,
			 .max_recv_wr = 1,
			 .max_send_sge = 1,
			 .max_recv_sge = 1 },
	};
	struct ibv_qp *qp = ibv_create_qp(b->dev_a.pd, &init);

	expect_errno(b, "", qp ? 0 : errno, EINVAL);
	if (qp)
		ibv_destroy_qp(qp);
	return RC_OK;
}

const struct bad_case bad_registration[] = {
	{ .name = "REMOTE_WRITE without LOCAL_WRITE", .run = no_local_write },
	{ .name = "unknown access flag", .run = unknown_access },
	{ .name = "length wraps", .run = length_wraps },
	{ .name = "last page and more", .run = length_wraps_page },
	{ .name = "iova with other page offset", .run = other_page_offset },
	{ .name = "iova other than the address", .run = other_iova },
	{ .name = "pinned, unmapped", .run = pinned_unmapped },
	{ .name = "pinned for writing, read-only", .run = pinned_read_only },
	{ .name = "pinned, beyond memlock", .run = beyond_memlock },
	{ .name = "pinned, within memlock", .run = within_memlock },
	{ .name = "free a PD in use", .run = pd_in_use },
	{ .name = "free a CQ in use", .run = cq_in_use },
	{ .name = "CQ larger than the device can", .run = cq_too_large },
	{ .name = "QP larger than the device can", .run = qp_too_large },
	{ .name = NULL },
};
