/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What failnth calls, and what must be right after it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "exporter.h"
#include "failnth.h"

struct things have;
struct ibv_device *device;
int gid_index;

void give_up(const char *what, int err)
{
	printf("FAIL: %s: %s\n", what, strerror(err));
	exit(1);
}

/* --- Verbs ------------------------------------------------------------------ */

#define MAKE(field, call) ((have.field = (call)) ? 0 : errno)

int open_device(void)
{
	return MAKE(context, ibv_open_device(device));
}

int alloc_pd(void)
{
	return MAKE(pd, ibv_alloc_pd(have.context));
}

static int reg(void *addr, size_t bytes, int access)
{
	access |= IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE;
	return MAKE(mr, ibv_reg_mr(have.pd, addr, bytes, access));
}

int reg_pinned(void)
{
	return reg(have.memory, have.bytes, 0);
}

int reg_on_demand(void)
{
	return reg(have.memory, have.bytes, IBV_ACCESS_ON_DEMAND);
}

int reg_implicit(void)
{
	return reg(NULL, SIZE_MAX, IBV_ACCESS_ON_DEMAND);
}

int reg_dmabuf(void)
{
	return MAKE(mr, ibv_reg_dmabuf_mr(have.pd, 0, BYTES, 0, *have.dmabuf,
					  IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE));
}

/* In the calling thread, so that its failures are those of the fault service. */
static int advise(enum ibv_advise_mr_advice advice, int ranges)
{
	struct ibv_sge sge[2];
	int i;

	for (i = 0; i < ranges; i++)
		sge[i] = (struct ibv_sge){
			.addr = (uintptr_t)have.memory + have.bytes / ranges * i,
			.length = have.bytes / ranges,
			.lkey = have.mr->lkey,
		};
	return ibv_advise_mr(have.pd, advice, IBV_ADVISE_MR_FLAG_FLUSH, sge, ranges);
}

int prefetch(void)
{
	return advise(IBV_ADVISE_MR_ADVICE_PREFETCH, 1);
}

int prefetch_write(void)
{
	return advise(IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE, 1);
}

int prefetch_two(void)
{
	return advise(IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE, 2);
}

int create_channel(void)
{
	return MAKE(channel, ibv_create_comp_channel(have.context));
}

int create_cq(void)
{
	return MAKE(cq, ibv_create_cq(have.context, DEPTH, NULL, have.channel, 0));
}

int create_srq(void)
{
	struct ibv_srq_init_attr attr = { .attr = { .max_wr = DEPTH, .max_sge = 4 } };

	return MAKE(srq, ibv_create_srq(have.pd, &attr));
}

int resize_cq(void)
{
	return ibv_resize_cq(have.cq, 4 * DEPTH);
}

int create_qp(void)
{
	struct ibv_qp_init_attr attr = {
		.send_cq = have.cq,
		.recv_cq = have.cq,
		.srq = have.srq,
		.cap = { .max_send_wr = DEPTH, .max_recv_wr = DEPTH,
			 .max_send_sge = 4, .max_recv_sge = 4 },
		.qp_type = IBV_QPT_RC,
	};

	return MAKE(qp, ibv_create_qp(have.pd, &attr));
}

int qp_to_init(void)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = PORT,
		.qp_access_flags = IBV_ACCESS_REMOTE_WRITE,
	};

	return ibv_modify_qp(have.qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX |
			     IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
}

/* To itself */
int qp_to_rtr(void)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = IBV_MTU_1024,
		.dest_qp_num = have.qp->qp_num,
		.max_dest_rd_atomic = 16,
		.min_rnr_timer = 12,
		.ah_attr = {
			.is_global = 1,
			.port_num = PORT,
			.grh = { .sgid_index = gid_index, .hop_limit = 64 },
		},
	};

	ibv_query_gid(have.context, PORT, gid_index, &attr.ah_attr.grh.dgid);
	return ibv_modify_qp(have.qp, &attr, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
			     IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
			     IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
}

int qp_to_rts(void)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTS,
		.timeout = 14,
		.retry_cnt = 7,
		.rnr_retry = 7,
		.max_rd_atomic = 16,
	};

	return ibv_modify_qp(have.qp, &attr, IBV_QP_STATE | IBV_QP_TIMEOUT |
			     IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
			     IBV_QP_MAX_QP_RD_ATOMIC);
}

/* What failed to come apart is still there, for the next try. */
#define UNMAKE(field, call)				\
	({						\
		int err_ = have.field ? (call) : 0;	\
							\
		if (!err_)				\
			have.field = NULL;		\
		err_;					\
	})

int destroy_qp(void) { return UNMAKE(qp, ibv_destroy_qp(have.qp)); }
int destroy_srq(void) { return UNMAKE(srq, ibv_destroy_srq(have.srq)); }
int destroy_cq(void) { return UNMAKE(cq, ibv_destroy_cq(have.cq)); }
int destroy_channel(void) { return UNMAKE(channel, ibv_destroy_comp_channel(have.channel)); }
int dereg(void) { return UNMAKE(mr, ibv_dereg_mr(have.mr)); }
int dealloc_pd(void) { return UNMAKE(pd, ibv_dealloc_pd(have.pd)); }
int close_device(void) { return UNMAKE(context, ibv_close_device(have.context)); }

/* --- Memory ----------------------------------------------------------------- */

static int map(size_t bytes, size_t align)
{
	uint8_t *addr = mmap(NULL, bytes + align, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t skip;

	if (addr == MAP_FAILED)
		return errno;
	/* Cut to what was asked for. */
	skip = align ? -(uintptr_t)addr % align : 0;
	if (skip)
		munmap(addr, skip);
	if (align > skip)
		munmap(addr + skip + bytes, align - skip);
	have.memory = addr + skip;
	have.bytes = bytes;
	have.filled = false;
	return 0;
}

int map_memory(void) { return map(BYTES, 0); }

/* Two blocks, each a page if the kernel has huge ones. */
int map_huge(void)
{
	int err = map(2 * BLOCK, BLOCK);

	if (!err)
		madvise(have.memory, have.bytes, MADV_HUGEPAGE);
	return err;
}

/* Half a block on each side of a boundary, in small pages. */
int map_two_blocks(void)
{
	int err = map(2 * BLOCK, BLOCK);

	if (err)
		return err;
	munmap(have.memory, BLOCK / 2);
	have.memory += BLOCK / 2;
	munmap(have.memory + BLOCK, BLOCK / 2);
	have.bytes = BLOCK;
	return madvise(have.memory, have.bytes, MADV_NOHUGEPAGE) ? errno : 0;
}

/* What all memory holds once it is filled, as far as it reaches. */
static const uint8_t *pattern(void)
{
	static uint8_t bytes[2 * BLOCK];
	size_t i;

	for (i = 0; !bytes[sizeof(bytes) - 1] && i < sizeof(bytes); i++)
		bytes[i] = i % 251 + 1;
	return bytes;
}

int fill_memory(void)
{
	memcpy(have.memory, pattern(), have.bytes);
	have.filled = true;
	return 0;
}

int page_out(void)
{
	return madvise(have.memory, have.bytes, MADV_PAGEOUT) ? errno : 0;
}

int unmap_memory(void)
{
	return UNMAKE(memory, munmap(have.memory, have.bytes));
}

/* --- dma-bufs --------------------------------------------------------------- */

int export_dmabuf(void)
{
	struct exporter_make make = { .size = BYTES, .flags = EXPORTER_MOVES };
	int exporter = open("/dev/exporter", O_RDWR | O_CLOEXEC);
	static int fd;

	if (exporter < 0)
		return errno;
	fd = ioctl(exporter, EXPORTER_MAKE, &make);
	close(exporter);
	have.dmabuf = fd < 0 ? NULL : &fd;
	return have.dmabuf ? 0 : errno;
}

int close_dmabuf(void)
{
	return UNMAKE(dmabuf, close(*have.dmabuf));
}

/* The failure may have been munmap()'s in the provider, who can but go on. */
static void unmap_rest(void)
{
	unsigned long start, end;
	char line[512];
	FILE *f;

	f = fopen("/proc/self/maps", "re");
	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "/uverbs") && sscanf(line, "%lx-%lx", &start, &end) == 2)
			munmap((void *)start, end - start);
	if (f)
		fclose(f);
}

void tear_down(void)
{
	static const call_fn calls[] = {
		destroy_qp, destroy_srq, destroy_cq, destroy_channel, dereg, dealloc_pd,
		close_device, unmap_memory, close_dmabuf,
	};
	size_t i;
	int err;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		err = calls[i]();
		if (err)
			give_up("cannot take down what was set up", err);
	}
	unmap_rest();
}

/* --- What is right after a call, without failures; all say what is not ------ */

static bool contents_are(const char *when)
{
	static const uint8_t zeros[2 * BLOCK];

	if (!memcmp(have.memory, have.filled ? pattern() : zeros, have.bytes))
		return true;
	printf("FAIL: %s, the contents are wrong\n", when);
	return false;
}

static int complete(void)
{
	struct ibv_wc wc;
	int n;

	do
		n = ibv_poll_cq(have.cq, 1, &wc);
	while (!n);
	if (n == 1 && wc.status != IBV_WC_SUCCESS)
		printf("FAIL: RDMA WRITE: %s\n", ibv_wc_status_str(wc.status));
	return n != 1 || wc.status != IBV_WC_SUCCESS ? EIO : 0;
}

/* The device copies from the second half of the memory to the first. */
static bool device_copies(void)
{
	size_t half = have.bytes / 2;
	size_t len = half < COPY ? half : COPY;
	struct ibv_sge sge = {
		.addr = (uintptr_t)have.memory + half,
		.length = len,
		.lkey = have.mr->lkey,
	};
	struct ibv_send_wr *bad, wr = {
		.opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_SIGNALED,
		.sg_list = &sge,
		.num_sge = 1,
		.wr.rdma.remote_addr = (uintptr_t)have.memory,
		.wr.rdma.rkey = have.mr->rkey,
	};

	if (!have.filled)
		fill_memory();
	if (ibv_post_send(have.qp, &wr, &bad) || complete())
		return false;
	if (!memcmp(have.memory, have.memory + half, len))
		return true;
	printf("FAIL: the device has not copied right\n");
	return false;
}

/*
 * Nothing is lost by a prefetch that failed, nor written by one that did not;
 * and the next one does what it should.
 */
bool prefetched(call_fn call)
{
	int err;

	if (!contents_are("after a prefetch"))
		return false;
	err = call();
	if (err) {
		printf("FAIL: the next prefetch: %s\n", strerror(err));
		return false;
	}
	return contents_are("after the next prefetch") && device_copies();
}
