/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Addresses outside of the region, and inside of it but without memory */
#include "bad.h"
#include "fail.h"
#include "size.h"

#include <string.h>
#include <sys/mman.h>

static int remote_at(struct bad *b, enum ibv_wr_opcode opcode, uint64_t addr)
{
	struct request r = good_request(b, opcode);

	r.remote_addr = addr;
	return expect_refused(b, &r, IBV_WC_REM_ACCESS_ERR);
}

static int local_at(struct bad *b, uint64_t addr)
{
	struct request r = good_request(b, IBV_WR_RDMA_WRITE);

	r.addr = addr;
	return expect_refused(b, &r, IBV_WC_LOC_PROT_ERR);
}

static int remote_before(struct bad *b)
{
	return remote_at(b, IBV_WR_RDMA_WRITE, (uintptr_t)b->mem_b.base - 1);
}

static int remote_after(struct bad *b)
{
	return remote_at(b, IBV_WR_RDMA_WRITE,
			 (uintptr_t)b->mem_b.base + BAD_SIZE - REQUEST_LEN + 1);
}

static int remote_after_read(struct bad *b)
{
	return remote_at(b, IBV_WR_RDMA_READ,
			 (uintptr_t)b->mem_b.base + BAD_SIZE - REQUEST_LEN + 1);
}

static int remote_wrap(struct bad *b)
{
	return remote_at(b, IBV_WR_RDMA_WRITE, UINT64_MAX - REQUEST_LEN / 2);
}

static int remote_zero(struct bad *b)
{
	return remote_at(b, IBV_WR_RDMA_READ, 0);
}

static int local_before(struct bad *b)
{
	return local_at(b, (uintptr_t)b->mem_a.base - 1);
}

static int local_after(struct bad *b)
{
	return local_at(b, (uintptr_t)b->mem_a.base + BAD_SIZE - REQUEST_LEN + 1);
}

static int local_wrap(struct bad *b)
{
	return local_at(b, UINT64_MAX - REQUEST_LEN / 2);
}

/* Page 1 of b's memory gets protection @prot; the rest stays */
static int protect_page(struct bad *b, int prot)
{
	if (mprotect(b->mem_b.base + PAGE, PAGE, prot))
		return fail_errno(RC_WRONG, "mprotect");
	return RC_OK;
}

/* Touch page 1 through the device first, so that it has a translation */
static int warm_up(struct bad *b)
{
	struct request r = good_request(b, IBV_WR_RDMA_READ);
	struct ibv_wc wc;

	r.remote_addr += PAGE;
	if (post_request(b->loop.a.qp, &r, 9))
		return fail(RC_WRONG, "ibv_post_send");
	if (cq_next(&b->loop.a.send_cq, &wc, 20000) != 1 || wc.status)
		return fail(RC_WRONG, "a READ of memory that is there failed");
	return RC_OK;
}

/* The page may not be read meanwhile, so that is checked afterwards */
static int refused_then_restored(struct bad *b, const struct request *r,
				 struct ibv_qp *qp, struct cq *cq, int status)
{
	if (post_request(qp, r, 1))
		return fail(RC_WRONG, "ibv_post_send");
	expect_status(b, "", cq, 1, status);
	if (protect_page(b, PROT_READ | PROT_WRITE))
		return RC_WRONG;
	expect_untouched(b);
	return RC_OK;
}

static int remote_page(struct bad *b, enum ibv_wr_opcode opcode, int prot,
		       bool warm)
{
	struct request r = good_request(b, opcode);

	r.remote_addr += PAGE;
	if ((warm && warm_up(b)) || protect_page(b, prot))
		return RC_WRONG;
	return refused_then_restored(b, &r, b->loop.a.qp, &b->loop.a.send_cq,
				     IBV_WC_REM_ACCESS_ERR);
}

static int write_read_only(struct bad *b)
{
	return remote_page(b, IBV_WR_RDMA_WRITE, PROT_READ, false);
}

static int write_read_only_warm(struct bad *b)
{
	return remote_page(b, IBV_WR_RDMA_WRITE, PROT_READ, true);
}

static int write_no_access(struct bad *b)
{
	return remote_page(b, IBV_WR_RDMA_WRITE, PROT_NONE, true);
}

static int read_no_access(struct bad *b)
{
	return remote_page(b, IBV_WR_RDMA_READ, PROT_NONE, true);
}

/* b READs from a into its read-only page */
static int read_into_read_only(struct bad *b)
{
	struct request r = {
		.opcode = IBV_WR_RDMA_READ,
		.addr = (uintptr_t)b->mem_b.base + PAGE,
		.len = REQUEST_LEN,
		.lkey = b->mem_b.mr->lkey,
		.remote_addr = (uintptr_t)b->mem_a.base,
		.rkey = b->mem_a.mr->rkey,
	};

	if (protect_page(b, PROT_READ))
		return RC_WRONG;
	return refused_then_restored(b, &r, b->loop.b.qp, &b->loop.b.send_cq,
				     IBV_WC_LOC_PROT_ERR);
}

/* Reading what is read-only is right */
static int read_read_only(struct bad *b)
{
	struct request r = good_request(b, IBV_WR_RDMA_READ);

	r.remote_addr += PAGE;
	if (protect_page(b, PROT_READ))
		return RC_WRONG;
	return refused_then_restored(b, &r, b->loop.a.qp, &b->loop.a.send_cq,
				     IBV_WC_SUCCESS);
}

/* Unmap pages 8 to 15 of b's memory; regions are freed as a whole later */
static int unmap_half(struct bad *b)
{
	if (munmap(b->mem_b.base + BAD_SIZE / 2, BAD_SIZE / 2))
		return fail_errno(RC_WRONG, "munmap");
	return RC_OK;
}

static int remote_unmapped(struct bad *b, enum ibv_wr_opcode opcode)
{
	struct request r = good_request(b, opcode);

	if (unmap_half(b))
		return RC_WRONG;
	r.remote_addr += BAD_SIZE / 2;
	if (post_request(b->loop.a.qp, &r, 1))
		return fail(RC_WRONG, "ibv_post_send");
	expect_status(b, "", &b->loop.a.send_cq, 1, IBV_WC_REM_ACCESS_ERR);
	return RC_OK;
}

static int write_unmapped(struct bad *b)
{
	return remote_unmapped(b, IBV_WR_RDMA_WRITE);
}

static int read_unmapped(struct bad *b)
{
	return remote_unmapped(b, IBV_WR_RDMA_READ);
}

/* Begins in pages that are there, ends in pages that are not */
static int write_into_hole(struct bad *b)
{
	struct request r = good_request(b, IBV_WR_RDMA_WRITE);

	if (unmap_half(b))
		return RC_WRONG;
	r.len = 4 * PAGE;
	r.remote_addr += BAD_SIZE / 2 - 2 * PAGE;
	if (post_request(b->loop.a.qp, &r, 1))
		return fail(RC_WRONG, "ibv_post_send");
	expect_status(b, "", &b->loop.a.send_cq, 1, IBV_WC_REM_ACCESS_ERR);
	return RC_OK;
}

/* b sends from, or receives into, memory that it has unmapped */
static int local_unmapped(struct bad *b)
{
	struct request r = {
		.opcode = IBV_WR_RDMA_WRITE,
		.addr = (uintptr_t)b->mem_b.base + BAD_SIZE / 2,
		.len = REQUEST_LEN,
		.lkey = b->mem_b.mr->lkey,
		.remote_addr = (uintptr_t)b->mem_a.base,
		.rkey = b->mem_a.mr->rkey,
	};

	if (unmap_half(b))
		return RC_WRONG;
	if (post_request(b->loop.b.qp, &r, 1))
		return fail(RC_WRONG, "ibv_post_send");
	expect_status(b, "", &b->loop.b.send_cq, 1, IBV_WC_LOC_PROT_ERR);
	return RC_OK;
}

static int receive_unmapped(struct bad *b)
{
	struct request r = good_request(b, IBV_WR_SEND);

	if (unmap_half(b))
		return RC_WRONG;
	if (post_receive(b->loop.b.qp,
			 (uintptr_t)b->mem_b.base + BAD_SIZE / 2, PAGE,
			 b->mem_b.mr->lkey, 2) ||
	    post_request(b->loop.a.qp, &r, 1))
		return fail(RC_WRONG, "posting failed");
	expect_status(b, "sender", &b->loop.a.send_cq, 1, IBV_WC_REM_OP_ERR);
	expect_status(b, "receiver", &b->loop.b.recv_cq, 2, IBV_WC_LOC_PROT_ERR);
	return RC_OK;
}

/* Addresses that no user space has, by the key of the whole address space */
static int implicit_at(struct bad *b, uint64_t addr)
{
	struct request r = good_request(b, IBV_WR_RDMA_WRITE);
	struct ibv_mr *mr;
	int rc = dev_need_implicit(&b->dev_b);

	if (rc)
		return rc;
	mr = ibv_reg_mr(b->dev_b.pd, NULL, SIZE_MAX,
			ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	if (!mr)
		return fail_errno(RC_WRONG, "ibv_reg_mr of the whole address space");
	r.rkey = mr->rkey;
	r.remote_addr = addr;
	rc = expect_refused(b, &r, IBV_WC_REM_ACCESS_ERR);
	ibv_dereg_mr(mr);
	return rc;
}

static int implicit_null(struct bad *b)
{
	return implicit_at(b, 0);
}

static int implicit_kernel(struct bad *b)
{
	return implicit_at(b, 0xffff888000000000ull);
}

static int implicit_top(struct bad *b)
{
	return implicit_at(b, UINT64_MAX - REQUEST_LEN / 2);
}

const struct bad_case bad_memory[] = {
	{ .name = "remote range begins too early", .run = remote_before },
	{ .name = "remote range ends too late", .run = remote_after },
	{ .name = "remote range ends too late, READ", .run = remote_after_read },
	{ .name = "remote range wraps 2^64", .run = remote_wrap },
	{ .name = "remote address 0", .run = remote_zero },
	{ .name = "local range begins too early", .run = local_before },
	{ .name = "local range ends too late", .run = local_after },
	{ .name = "local range wraps 2^64", .run = local_wrap },
	{ .name = "WRITE to read-only page", .run = write_read_only, .odp = true },
	{ .name = "WRITE to page made read-only", .run = write_read_only_warm,
	  .odp = true },
	{ .name = "WRITE to PROT_NONE page", .run = write_no_access, .odp = true },
	{ .name = "READ from PROT_NONE page", .run = read_no_access, .odp = true },
	{ .name = "READ from read-only page", .run = read_read_only, .odp = true },
	{ .name = "READ into read-only page", .run = read_into_read_only,
	  .odp = true },
	{ .name = "WRITE to unmapped page", .run = write_unmapped, .odp = true },
	{ .name = "READ from unmapped page", .run = read_unmapped, .odp = true },
	{ .name = "WRITE that runs into a hole", .run = write_into_hole,
	  .odp = true },
	{ .name = "WRITE from unmapped page", .run = local_unmapped, .odp = true },
	{ .name = "receive to unmapped page", .run = receive_unmapped,
	  .odp = true },
	{ .name = "implicit region, address 0", .run = implicit_null, .odp = true },
	{ .name = "implicit region, kernel address", .run = implicit_kernel,
	  .odp = true },
	{ .name = "implicit region, wraps 2^64", .run = implicit_top, .odp = true },
	{ .name = NULL },
};
