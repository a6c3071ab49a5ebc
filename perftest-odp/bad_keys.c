/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Keys that are not there, are another's, or do not grant it */
#include "bad.h"
#include "fail.h"

/* A key that nobody has been given */
static uint32_t unknown(uint32_t key)
{
	return ~key;
}

static int lkey_unknown(struct bad *b)
{
	struct request r = good_request(b, IBV_WR_RDMA_WRITE);

	r.lkey = unknown(r.lkey);
	return expect_refused(b, &r, IBV_WC_LOC_PROT_ERR);
}

static int rkey_unknown_write(struct bad *b)
{
	struct request r = good_request(b, IBV_WR_RDMA_WRITE);

	r.rkey = unknown(r.rkey);
	return expect_refused(b, &r, IBV_WC_REM_ACCESS_ERR);
}

static int rkey_unknown_read(struct bad *b)
{
	struct request r = good_request(b, IBV_WR_RDMA_READ);

	r.rkey = unknown(r.rkey);
	return expect_refused(b, &r, IBV_WC_REM_ACCESS_ERR);
}

/* A SEND that finds a receive which cannot take it */
static int bad_receive(struct bad *b, uint64_t addr, uint32_t lkey)
{
	struct request r = good_request(b, IBV_WR_SEND);

	if (post_receive(b->loop.b.qp, addr, BAD_SIZE, lkey, 2) ||
	    post_request(b->loop.a.qp, &r, 1))
		return fail(RC_WRONG, "posting failed");
	expect_status(b, "sender", &b->loop.a.send_cq, 1, IBV_WC_REM_OP_ERR);
	expect_status(b, "receiver", &b->loop.b.recv_cq, 2, IBV_WC_LOC_PROT_ERR);
	expect_untouched(b);
	return RC_OK;
}

static int lkey_unknown_receive(struct bad *b)
{
	return bad_receive(b, (uintptr_t)b->mem_b.base,
			   unknown(b->mem_b.mr->lkey));
}

/* b's memory, registered again for one case */
static int with_region(struct bad *b, struct ibv_pd *pd, int access,
		       int (*run)(struct bad *b, struct ibv_mr *mr))
{
	struct ibv_mr *mr = register_again(b, pd, access);
	int rc;

	if (!mr)
		return fail_errno(RC_WRONG, "ibv_reg_mr");
	rc = run(b, mr);
	ibv_dereg_mr(mr);
	return rc;
}

static int with_other_pd(struct bad *b,
			 int (*run)(struct bad *b, struct ibv_mr *mr))
{
	struct ibv_pd *pd = ibv_alloc_pd(b->dev_b.ctx);
	int rc;

	if (!pd)
		return fail_errno(RC_WRONG, "ibv_alloc_pd");
	rc = with_region(b, pd, ACCESS_ALL, run);
	ibv_dealloc_pd(pd);
	return rc;
}

static int write_refused(struct bad *b, struct ibv_mr *mr)
{
	struct request r = good_request(b, IBV_WR_RDMA_WRITE);

	r.rkey = mr->rkey;
	return expect_refused(b, &r, IBV_WC_REM_ACCESS_ERR);
}

static int read_refused(struct bad *b, struct ibv_mr *mr)
{
	struct request r = good_request(b, IBV_WR_RDMA_READ);

	r.rkey = mr->rkey;
	return expect_refused(b, &r, IBV_WC_REM_ACCESS_ERR);
}

static int receive_refused(struct bad *b, struct ibv_mr *mr)
{
	return bad_receive(b, (uintptr_t)b->mem_b.base, mr->lkey);
}

/* b READs from a into memory that it may not write to */
static int read_into_refused(struct bad *b, struct ibv_mr *mr)
{
	struct request r = {
		.opcode = IBV_WR_RDMA_READ,
		.addr = (uintptr_t)b->mem_b.base,
		.len = REQUEST_LEN,
		.lkey = mr->lkey,
		.remote_addr = (uintptr_t)b->mem_a.base,
		.rkey = b->mem_a.mr->rkey,
	};

	if (post_request(b->loop.b.qp, &r, 1))
		return fail(RC_WRONG, "ibv_post_send");
	expect_status(b, "", &b->loop.b.send_cq, 1, IBV_WC_LOC_PROT_ERR);
	expect_untouched(b);
	return RC_OK;
}

static int rkey_other_pd(struct bad *b)
{
	return with_other_pd(b, write_refused);
}

static int lkey_other_pd(struct bad *b)
{
	return with_other_pd(b, receive_refused);
}

static int no_remote_write(struct bad *b)
{
	return with_region(b, b->dev_b.pd,
			   IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ,
			   write_refused);
}

static int no_remote_read(struct bad *b)
{
	return with_region(b, b->dev_b.pd,
			   IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE,
			   read_refused);
}

static int no_local_write_receive(struct bad *b)
{
	return with_region(b, b->dev_b.pd, IBV_ACCESS_REMOTE_READ,
			   receive_refused);
}

static int no_local_write_read(struct bad *b)
{
	return with_region(b, b->dev_b.pd, IBV_ACCESS_REMOTE_READ,
			   read_into_refused);
}

static int stale_rkey(struct bad *b)
{
	struct request r = good_request(b, IBV_WR_RDMA_WRITE);
	struct ibv_mr *mr = register_again(b, b->dev_b.pd, ACCESS_ALL);

	if (!mr)
		return fail_errno(RC_WRONG, "ibv_reg_mr");
	r.rkey = mr->rkey;
	ibv_dereg_mr(mr);
	return expect_refused(b, &r, IBV_WC_REM_ACCESS_ERR);
}

/* The same memory, registered anew: the old key must not fit the new region */
static int stale_rkey_reused(struct bad *b)
{
	struct request r = good_request(b, IBV_WR_RDMA_WRITE);
	struct ibv_mr *mr = register_again(b, b->dev_b.pd, ACCESS_ALL);
	int rc;

	if (!mr)
		return fail_errno(RC_WRONG, "ibv_reg_mr");
	r.rkey = mr->rkey;
	ibv_dereg_mr(mr);
	mr = register_again(b, b->dev_b.pd, ACCESS_ALL);
	if (!mr)
		return fail_errno(RC_WRONG, "ibv_reg_mr");
	rc = expect_refused(b, &r, IBV_WC_REM_ACCESS_ERR);
	ibv_dereg_mr(mr);
	return rc;
}

static int stale_lkey(struct bad *b)
{
	struct ibv_mr *mr = register_again(b, b->dev_b.pd, ACCESS_ALL);
	uint32_t lkey;

	if (!mr)
		return fail_errno(RC_WRONG, "ibv_reg_mr");
	lkey = mr->lkey;
	ibv_dereg_mr(mr);
	return bad_receive(b, (uintptr_t)b->mem_b.base, lkey);
}

/* No bytes, so no key is looked at */
static int zero_length(struct bad *b, enum ibv_wr_opcode opcode)
{
	struct request r = good_request(b, opcode);

	r.len = 0;
	r.rkey = unknown(r.rkey);
	return expect_refused(b, &r, IBV_WC_SUCCESS);
}

static int zero_length_write(struct bad *b)
{
	return zero_length(b, IBV_WR_RDMA_WRITE);
}

static int zero_length_read(struct bad *b)
{
	return zero_length(b, IBV_WR_RDMA_READ);
}

/* The queue pair, not the memory, forbids it */
static int qp_without_rights(struct bad *b)
{
	struct ibv_qp_attr attr = { .qp_access_flags = IBV_ACCESS_LOCAL_WRITE };
	struct request r = good_request(b, IBV_WR_RDMA_WRITE);

	if (ibv_modify_qp(b->loop.b.qp, &attr, IBV_QP_ACCESS_FLAGS))
		return fail_errno(RC_WRONG, "ibv_modify_qp of the access flags");
	if (post_request(b->loop.a.qp, &r, 1))
		return fail(RC_WRONG, "ibv_post_send");
	expect_either(b, "", &b->loop.a.send_cq, 1, IBV_WC_REM_INV_REQ_ERR,
		      IBV_WC_REM_ACCESS_ERR);
	expect_untouched(b);
	return RC_OK;
}

const struct bad_case bad_keys[] = {
	{ .name = "unknown lkey, WRITE", .run = lkey_unknown },
	{ .name = "unknown lkey, receive", .run = lkey_unknown_receive },
	{ .name = "unknown rkey, WRITE", .run = rkey_unknown_write },
	{ .name = "unknown rkey, READ", .run = rkey_unknown_read },
	{ .name = "rkey of another PD", .run = rkey_other_pd },
	{ .name = "lkey of another PD", .run = lkey_other_pd },
	{ .name = "rkey after deregistration", .run = stale_rkey },
	{ .name = "rkey after registration anew", .run = stale_rkey_reused },
	{ .name = "lkey after deregistration", .run = stale_lkey },
	{ .name = "unknown rkey, WRITE of 0 bytes", .run = zero_length_write },
	{ .name = "unknown rkey, READ of 0 bytes", .run = zero_length_read },
	{ .name = "WRITE without REMOTE_WRITE", .run = no_remote_write },
	{ .name = "READ without REMOTE_READ", .run = no_remote_read },
	{ .name = "receive without LOCAL_WRITE", .run = no_local_write_receive },
	{ .name = "READ into no LOCAL_WRITE", .run = no_local_write_read },
	{ .name = "WRITE to QP without rights", .run = qp_without_rights },
	{ .name = NULL },
};
