/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Queue pairs in the wrong state, and what an error leaves behind */
#include "bad.h"
#include "fail.h"

#include <errno.h>
#include <string.h>

#define FLUSHED 5

static int set_state(struct ibv_qp *qp, enum ibv_qp_state state)
{
	struct ibv_qp_attr attr = { .qp_state = state };

	if (ibv_modify_qp(qp, &attr, IBV_QP_STATE))
		return fail_errno(RC_WRONG, "ibv_modify_qp to state %d", state);
	return RC_OK;
}

static int send_in_init(struct bad *b)
{
	struct request r = good_request(b, IBV_WR_RDMA_WRITE);

	expect_errno(b, "", post_request(b->loop.a.qp, &r, 1), EINVAL);
	expect_untouched(b);
	return RC_OK;
}

static int send_in_reset(struct bad *b)
{
	struct request r = good_request(b, IBV_WR_RDMA_WRITE);

	if (set_state(b->loop.a.qp, IBV_QPS_RESET))
		return RC_WRONG;
	expect_errno(b, "", post_request(b->loop.a.qp, &r, 1), EINVAL);
	return RC_OK;
}

static int receive_in_reset(struct bad *b)
{
	if (set_state(b->loop.a.qp, IBV_QPS_RESET))
		return RC_WRONG;
	expect_errno(b, "",
		     post_receive(b->loop.a.qp, (uintptr_t)b->mem_a.base, 8,
				  b->mem_a.mr->lkey, 1),
		     EINVAL);
	return RC_OK;
}

static int reset_to_rts(struct bad *b)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RTS };

	if (set_state(b->loop.a.qp, IBV_QPS_RESET))
		return RC_WRONG;
	expect_errno(b, "",
		     ibv_modify_qp(b->loop.a.qp, &attr,
				   IBV_QP_STATE | IBV_QP_TIMEOUT |
					   IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
					   IBV_QP_SQ_PSN |
					   IBV_QP_MAX_QP_RD_ATOMIC),
		     EINVAL);
	return RC_OK;
}

static int rtr_without_address(struct bad *b)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RTR,
				    .path_mtu = IBV_MTU_256 };

	expect_errno(b, "",
		     ibv_modify_qp(b->loop.a.qp, &attr,
				   IBV_QP_STATE | IBV_QP_PATH_MTU),
		     EINVAL);
	return RC_OK;
}

static int receives_flushed(struct bad *b)
{
	uint64_t i;

	for (i = 0; i < FLUSHED; i++)
		if (post_receive(b->loop.b.qp, (uintptr_t)b->mem_b.base, 8,
				 b->mem_b.mr->lkey, i))
			return fail(RC_WRONG, "ibv_post_recv");
	if (set_state(b->loop.b.qp, IBV_QPS_ERR))
		return RC_WRONG;
	expect_flushed(b, "flushed", &b->loop.b.recv_cq, 0, FLUSHED);
	return RC_OK;
}

/* Requests posted in the error state are flushed as well */
static int flushed_in_error(struct bad *b)
{
	struct request r = good_request(b, IBV_WR_RDMA_WRITE);

	if (set_state(b->loop.a.qp, IBV_QPS_ERR))
		return RC_WRONG;
	if (post_request(b->loop.a.qp, &r, 1) ||
	    post_receive(b->loop.a.qp, (uintptr_t)b->mem_a.base, 8,
			 b->mem_a.mr->lkey, 2))
		return fail(RC_WRONG, "posting in the error state failed");
	expect_status(b, "send", &b->loop.a.send_cq, 1, IBV_WC_WR_FLUSH_ERR);
	expect_status(b, "receive", &b->loop.a.recv_cq, 2, IBV_WC_WR_FLUSH_ERR);
	expect_untouched(b);
	return RC_OK;
}

/* The first request fails; those behind it are flushed, in their order */
static int sends_flushed(struct bad *b)
{
	struct request bad = good_request(b, IBV_WR_RDMA_WRITE);
	struct request good = bad;
	uint64_t i;

	bad.rkey = ~bad.rkey;
	if (post_request(b->loop.a.qp, &bad, 0))
		return fail(RC_WRONG, "ibv_post_send");
	for (i = 1; i < FLUSHED; i++)
		if (post_request(b->loop.a.qp, &good, i))
			return fail(RC_WRONG, "ibv_post_send");
	expect_status(b, "", &b->loop.a.send_cq, 0, IBV_WC_REM_ACCESS_ERR);
	expect_flushed(b, "others flushed", &b->loop.a.send_cq, 1, FLUSHED - 1);
	expect_untouched(b);
	return RC_OK;
}

/* After an error and RESET, the same queue pairs work again */
static int reset_and_again(struct bad *b)
{
	struct request r = good_request(b, IBV_WR_RDMA_READ);
	struct ibv_qp_attr init = { .qp_state = IBV_QPS_INIT,
				    .port_num = b->dev_a.port,
				    .qp_access_flags = ACCESS_ALL };
	int mask = IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
		   IBV_QP_ACCESS_FLAGS;
	int rc;

	r.rkey = ~r.rkey;
	rc = expect_refused(b, &r, IBV_WC_REM_ACCESS_ERR);
	if (rc || set_state(b->loop.a.qp, IBV_QPS_RESET) ||
	    set_state(b->loop.b.qp, IBV_QPS_RESET))
		return RC_WRONG;
	if (ibv_modify_qp(b->loop.a.qp, &init, mask) ||
	    ibv_modify_qp(b->loop.b.qp, &init, mask) || loop_connect(&b->loop))
		return fail_errno(RC_WRONG, "connecting again");
	r.rkey = ~r.rkey;
	return expect_refused(b, &r, IBV_WC_SUCCESS);
}

const struct bad_case bad_states[] = {
	{ .name = "post_send in INIT", .run = send_in_init, .unconnected = true },
	{ .name = "post_send in RESET", .run = send_in_reset,
	  .unconnected = true },
	{ .name = "post_recv in RESET", .run = receive_in_reset,
	  .unconnected = true },
	{ .name = "RESET to RTS", .run = reset_to_rts, .unconnected = true },
	{ .name = "INIT to RTR without address", .run = rtr_without_address,
	  .unconnected = true },
	{ .name = "receives flushed in order", .run = receives_flushed },
	{ .name = "posting in error state", .run = flushed_in_error },
	{ .name = "sends behind an error flushed", .run = sends_flushed },
	{ .name = "RESET after an error", .run = reset_and_again },
	{ .name = NULL },
};
