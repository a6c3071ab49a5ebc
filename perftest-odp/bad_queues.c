/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Queues that are full or empty, requests that are too large, peers that go */
#include "bad.h"
#include "fail.h"
#include "size.h"

#include <errno.h>
#include <string.h>

/* Small numbers, so that giving up takes a moment only */
static const struct qp_spec hasty = {
	.depth = 16,
	.max_sge = 2,
	.inline_len = 64,
	.rd_atomic = 1,
	.timeout = 10, /* 4 ms */
	.retry = 1,
	.rnr_retry = 1,
};

static int message_too_long(struct bad *b)
{
	struct request r = good_request(b, IBV_WR_SEND);

	if (post_receive(b->loop.b.qp, (uintptr_t)b->mem_b.base, REQUEST_LEN - 1,
			 b->mem_b.mr->lkey, 2) ||
	    post_request(b->loop.a.qp, &r, 1))
		return fail(RC_WRONG, "posting failed");
	expect_status(b, "sender", &b->loop.a.send_cq, 1,
		      IBV_WC_REM_INV_REQ_ERR);
	expect_status(b, "receiver", &b->loop.b.recv_cq, 2, IBV_WC_LOC_LEN_ERR);
	return RC_OK;
}

/* Of several packets: the first ones fit */
static int long_message_too_long(struct bad *b)
{
	struct request r = good_request(b, IBV_WR_SEND);

	r.len = 8 * PAGE;
	if (post_receive(b->loop.b.qp, (uintptr_t)b->mem_b.base, 8 * PAGE - 1,
			 b->mem_b.mr->lkey, 2) ||
	    post_request(b->loop.a.qp, &r, 1))
		return fail(RC_WRONG, "posting failed");
	expect_status(b, "sender", &b->loop.a.send_cq, 1,
		      IBV_WC_REM_INV_REQ_ERR);
	expect_status(b, "receiver", &b->loop.b.recv_cq, 2, IBV_WC_LOC_LEN_ERR);
	return RC_OK;
}

static int no_receive(struct bad *b)
{
	struct request r = good_request(b, IBV_WR_SEND);

	return expect_refused(b, &r, IBV_WC_RNR_RETRY_EXC_ERR);
}

static int no_receive_for_imm(struct bad *b)
{
	struct request r = good_request(b, IBV_WR_RDMA_WRITE_WITH_IMM);

	if (post_request(b->loop.a.qp, &r, 1))
		return fail(RC_WRONG, "ibv_post_send");
	expect_status(b, "", &b->loop.a.send_cq, 1, IBV_WC_RNR_RETRY_EXC_ERR);
	return RC_OK;
}

static int peer_destroyed(struct bad *b)
{
	struct request r = good_request(b, IBV_WR_RDMA_WRITE);

	ibv_destroy_qp(b->loop.b.qp);
	b->loop.b.qp = NULL;
	return expect_refused(b, &r, IBV_WC_RETRY_EXC_ERR);
}

static int peer_in_error(struct bad *b)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_ERR };
	struct request r = good_request(b, IBV_WR_RDMA_WRITE);

	if (ibv_modify_qp(b->loop.b.qp, &attr, IBV_QP_STATE))
		return fail_errno(RC_WRONG, "ibv_modify_qp to ERR");
	return expect_refused(b, &r, IBV_WC_RETRY_EXC_ERR);
}

static int no_such_peer(struct bad *b)
{
	struct request r = good_request(b, IBV_WR_RDMA_WRITE);
	struct qp_dest dest;
	int rc;

	qp_dest_local(&b->dev_b, b->loop.b.qp, &dest);
	dest.qpn = 0xfffffe; /* no driver gives this one out so soon */
	rc = qp_to_rtr(&b->dev_a, b->loop.a.qp, &b->loop.spec, &dest);
	if (!rc)
		rc = qp_to_rts(&b->dev_a, b->loop.a.qp, &b->loop.spec);
	return rc ? rc : expect_refused(b, &r, IBV_WC_RETRY_EXC_ERR);
}

static int capacity(struct ibv_qp *qp, struct ibv_qp_cap *cap)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	memset(cap, 0, sizeof(*cap));
	if (ibv_query_qp(qp, &attr, IBV_QP_CAP, &init))
		return fail_errno(RC_WRONG, "ibv_query_qp");
	*cap = init.cap;
	return RC_OK;
}

/* SENDs that nobody receives stay in the queue, until it is full */
static int send_queue_full(struct bad *b)
{
	struct request r = good_request(b, IBV_WR_SEND);
	struct ibv_qp_cap cap;
	unsigned int n;
	int err = 0;

	if (capacity(b->loop.a.qp, &cap))
		return RC_WRONG;
	for (n = 0; n <= cap.max_send_wr && !err; n++)
		err = post_request(b->loop.a.qp, &r, n);
	expect_errno(b, "one too many", err, ENOMEM);
	expect_true(b, "all others taken", n == cap.max_send_wr + 1);
	return RC_OK;
}

static int receive_queue_full(struct bad *b)
{
	struct ibv_qp_cap cap;
	unsigned int n;
	int err = 0;

	if (capacity(b->loop.b.qp, &cap))
		return RC_WRONG;
	for (n = 0; n <= cap.max_recv_wr && !err; n++)
		err = post_receive(b->loop.b.qp, (uintptr_t)b->mem_b.base, PAGE,
				   b->mem_b.mr->lkey, n);
	expect_errno(b, "one too many", err, ENOMEM);
	expect_true(b, "all others taken", n == cap.max_recv_wr + 1);
	return RC_OK;
}

#define MANY 64

/* As many pieces as the queue pair can take, and one more */
static int too_many_pieces(struct bad *b, bool receive)
{
	struct ibv_sge sge[MANY];
	struct ibv_send_wr wr = { .sg_list = sge, .opcode = IBV_WR_SEND }, *bad;
	struct ibv_recv_wr recv = { .sg_list = sge }, *bad_recv;
	struct ibv_qp_cap cap;
	int i, err;

	if (capacity(b->loop.a.qp, &cap))
		return RC_WRONG;
	recv.num_sge = cap.max_recv_sge + 1;
	wr.num_sge = cap.max_send_sge + 1;
	if (wr.num_sge > MANY || recv.num_sge > MANY)
		return fail(RC_SKIP, "it takes more than %d pieces", MANY - 1);
	for (i = 0; i < MANY; i++)
		sge[i] = (struct ibv_sge){ (uintptr_t)b->mem_a.base, 1,
					   b->mem_a.mr->lkey };
	err = receive ? ibv_post_recv(b->loop.a.qp, &recv, &bad_recv) :
			ibv_post_send(b->loop.a.qp, &wr, &bad);
	expect_errno(b, "", err, EINVAL);
	return RC_OK;
}

static int too_many_send_pieces(struct bad *b)
{
	return too_many_pieces(b, false);
}

static int too_many_receive_pieces(struct bad *b)
{
	return too_many_pieces(b, true);
}

static int inline_too_long(struct bad *b)
{
	struct ibv_sge sge = { (uintptr_t)b->mem_a.base, 0, 0 };
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_INLINE | IBV_SEND_SIGNALED,
		.wr.rdma = { .remote_addr = (uintptr_t)b->mem_b.base,
			     .rkey = b->mem_b.mr->rkey },
	}, *bad;
	struct ibv_qp_cap cap;

	if (capacity(b->loop.a.qp, &cap))
		return RC_WRONG;
	sge.length = cap.max_inline_data + 1;
	if (sge.length > BAD_SIZE)
		return fail(RC_SKIP, "inline data can be longer than %d bytes",
			    BAD_SIZE);
	expect_errno(b, "", ibv_post_send(b->loop.a.qp, &wr, &bad), EINVAL);
	expect_untouched(b);
	return RC_OK;
}

static int unknown_opcode(struct bad *b)
{
	struct request r = good_request(b, 99);

	expect_errno(b, "", post_request(b->loop.a.qp, &r, 1), EINVAL);
	return RC_OK;
}

/* A list: those before the bad one are taken, bad_wr says which one it was */
static int bad_one_in_list(struct bad *b)
{
	struct ibv_sge sge = { (uintptr_t)b->mem_a.base, 8, b->mem_a.mr->lkey };
	struct ibv_send_wr wr[3], *bad = NULL;
	int i, err;

	for (i = 0; i < 3; i++) {
		wr[i] = (struct ibv_send_wr){
			.wr_id = i,
			.next = i < 2 ? &wr[i + 1] : NULL,
			.sg_list = &sge,
			.num_sge = i == 1 ? MANY : 1,
			.opcode = IBV_WR_RDMA_READ,
			.send_flags = IBV_SEND_SIGNALED,
			.wr.rdma = { .remote_addr = (uintptr_t)b->mem_b.base,
				     .rkey = b->mem_b.mr->rkey },
		};
	}
	err = ibv_post_send(b->loop.a.qp, wr, &bad);
	expect_errno(b, "", err, EINVAL);
	expect_true(b, "bad_wr is right", bad == &wr[1]);
	expect_status(b, "the first", &b->loop.a.send_cq, 0, IBV_WC_SUCCESS);
	return RC_OK;
}

/* Reserved address space, registered, at both ends */
static int over_two_gib(struct bad *b)
{
	struct region big;
	struct request r;
	int rc = region_map(&big, 4 * GiB, 0);

	if (!rc)
		rc = region_register(&big, &b->dev_a, MEM_ODP);
	if (!rc) {
		r = good_request(b, IBV_WR_RDMA_WRITE);
		r.addr = (uintptr_t)big.base;
		r.lkey = big.mr->lkey;
		r.len = 2 * GiB + 1;
		rc = expect_refused(b, &r, ANY_ERROR);
	}
	region_free(&big);
	return rc;
}

const struct bad_case bad_queues[] = {
	{ .name = "message longer than receive", .run = message_too_long },
	{ .name = "long message longer than receive",
	  .run = long_message_too_long },
	{ .name = "SEND without receive", .run = no_receive, .spec = &hasty },
	{ .name = "WRITE with imm without receive", .run = no_receive_for_imm,
	  .spec = &hasty },
	{ .name = "peer destroyed", .run = peer_destroyed, .spec = &hasty },
	{ .name = "peer in error state", .run = peer_in_error, .spec = &hasty },
	{ .name = "peer that never was", .run = no_such_peer, .spec = &hasty,
	  .unconnected = true },
	{ .name = "send queue full", .run = send_queue_full },
	{ .name = "receive queue full", .run = receive_queue_full },
	{ .name = "too many pieces to send", .run = too_many_send_pieces },
	{ .name = "too many pieces to receive", .run = too_many_receive_pieces },
	{ .name = "inline data too long", .run = inline_too_long },
	{ .name = "unknown opcode", .run = unknown_opcode },
	{ .name = "bad request within a list", .run = bad_one_in_list },
	{ .name = "message over 2 GiB", .run = over_two_gib, .odp = true },
	{ .name = NULL },
};
