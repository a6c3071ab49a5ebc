// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Messages and datagrams, full queues, draining, what is gone */
#include <linux/delay.h>
#include <linux/slab.h>

#include "kuser.h"

static int end_prepare_ud(struct end *end, const struct end *peer)
{
	struct ib_qp_attr attr = {
		.qp_state = IB_QPS_INIT, .port_num = 1, .qkey = QKEY,
	};
	struct rdma_ah_attr address;

	RUN(ib_modify_qp(end->qp, &attr, IB_QP_STATE | IB_QP_PORT |
			 IB_QP_PKEY_INDEX | IB_QP_QKEY));
	attr.qp_state = IB_QPS_RTR;
	RUN(ib_modify_qp(end->qp, &attr, IB_QP_STATE));
	attr.qp_state = IB_QPS_RTS;
	RUN(ib_modify_qp(end->qp, &attr, IB_QP_STATE | IB_QP_SQ_PSN));
	end_address(end, peer, &address);
	end->ah = rdma_create_ah(end->pd, &address, RDMA_CREATE_AH_SLEEPABLE);
	CHECK(!IS_ERR(end->ah));
	RUN(rdma_query_ah(end->ah, &address));
	CHECK(rdma_ah_read_grh(&address)->sgid_index == end->gid_index);
	CHECK(!memcmp(&rdma_ah_read_grh(&address)->dgid, &peer->gid, 16));
	return 0;
}

/* What went out as number @sent came in as number @received. */
static int check_message(u32 sent, u32 received, u32 len, u32 grh)
{
	const struct ib_wc *wc = &b->received[received].wc;
	const u8 *got = b->mem + received * SLOT;
	u32 k;

	CHECK(ended(a, &a->sent[sent], IB_WC_SUCCESS));
	CHECK(ended(b, &b->received[received], IB_WC_SUCCESS));
	CHECK(a->sent[sent].wc.opcode == IB_WC_SEND);
	CHECK(wc->opcode == IB_WC_RECV && wc->byte_len == grh + len);
	CHECK(wc->wc_flags == (IB_WC_WITH_IMM | (grh ? IB_WC_GRH : 0)));
	CHECK(wc->ex.imm_data == htonl(sent));
	CHECK(wc->src_qp == a->qp->qp_num);
	for (k = 0; k < len; k++)
		CHECK(got[grh + k] == byte_of(sent, k));
	CHECK(!got[grh + len]);
	return 0;
}

static int messages(u32 len, u32 grh, int flags)
{
	u32 i;

	for (i = 0; i < DEPTH; i++)
		RUN(post_receive(b, i, grh + len));
	for (i = 0; i < DEPTH; i++)
		RUN(post_send(a, i, len, b->qp->qp_num, flags));
	for (i = 0; i < DEPTH; i++)
		RUN(check_message(i, i, len, grh));
	return 0;
}

/* A queue has room for so many, and for more when they are through. */
static int full(void)
{
	u32 i;

	for (i = 0; i < DEPTH; i++)
		RUN(post_send(a, i, 100, 0, 0));
	CHECK(post_send(a, DEPTH, 100, 0, 0) == -ENOMEM);
	for (i = 0; i < DEPTH; i++)
		RUN(post_receive(b, i, 100));
	for (i = 0; i < DEPTH; i++)
		RUN(check_message(i, i, 100, 0));
	for (i = 0; i < DEPTH; i++)
		RUN(post_receive(b, i, 100));
	CHECK(post_receive(b, DEPTH, 100) == -ENOMEM);
	for (i = 0; i < DEPTH; i++)
		RUN(post_send(a, i, 100, 0, 0));
	for (i = 0; i < DEPTH; i++)
		RUN(check_message(i, i, 100, 0));
	return 0;
}

static int refused(void)
{
	struct ib_sge sge[9] = {};
	struct ib_send_wr send = { .opcode = IB_WR_SEND, .sg_list = sge,
				   .num_sge = ARRAY_SIZE(sge) };
	struct ib_recv_wr recv = { .sg_list = sge,
				   .num_sge = ARRAY_SIZE(sge) };
	const struct ib_send_wr *bad_send = NULL;
	const struct ib_recv_wr *bad_recv = NULL;

	CHECK(ib_post_send(a->qp, &send, &bad_send) == -EINVAL);
	CHECK(bad_send == &send);
	CHECK(ib_post_recv(b->qp, &recv, &bad_recv) == -EINVAL);
	CHECK(bad_recv == &recv);
	send.num_sge = 0;
	send.send_flags = IB_SEND_RESERVED_START;
	CHECK(ib_post_send(a->qp, &send, &bad_send) == -EINVAL);
	CHECK(post_send(a, 0, 65, 0, IB_SEND_INLINE) == -EINVAL);
	return 0;
}

/* All that is posted comes back, in order, before the drain returns. */
static int drained(void)
{
	u32 i;

	for (i = 0; i < DEPTH - 1; i++)
		RUN(post_receive(b, i, 100));
	ib_drain_qp(a->qp);
	ib_drain_qp(b->qp);
	for (i = 0; i < DEPTH - 1; i++)
		CHECK(ended(b, &b->received[i], IB_WC_WR_FLUSH_ERR));
	RUN(post_send(a, 0, 100, 0, 0));
	CHECK(ended(a, &a->sent[0], IB_WC_WR_FLUSH_ERR));
	return 0;
}

/* After a reset the queues are empty, and all begins anew. */
static int again(void)
{
	struct ib_qp_attr attr = { .qp_state = IB_QPS_RESET };

	RUN(ib_modify_qp(a->qp, &attr, IB_QP_STATE));
	RUN(ib_modify_qp(b->qp, &attr, IB_QP_STATE));
	RUN(end_connect(a, b));
	RUN(end_connect(b, a));
	RUN(messages(500, 0, 0));
	return 0;
}

int connected(void)
{
	RUN(end_create_qp(a, IB_QPT_RC));
	RUN(end_create_qp(b, IB_QPT_RC));
	CHECK(post_send(a, 0, 1, 0, 0) == -EINVAL);
	CHECK(post_receive(b, 0, 1) == -EINVAL);
	RUN(end_connect(a, b));
	RUN(end_connect(b, a));
	RUN(messages(3000, 0, 0));
	RUN(messages(0, 0, 0));
	RUN(messages(64, 0, IB_SEND_INLINE));
	RUN(full());
	RUN(refused());
	RUN(drained());
	RUN(again());
	ib_destroy_qp(a->qp);
	ib_destroy_qp(b->qp);
	return 0;
}

int datagrams(void)
{
	RUN(end_create_qp(a, IB_QPT_UD));
	RUN(end_create_qp(b, IB_QPT_UD));
	RUN(end_prepare_ud(a, b));
	RUN(end_prepare_ud(b, a));
	RUN(messages(1000, GRH, 0));
	RUN(messages(0, GRH, 0));
	rdma_destroy_ah(a->ah, RDMA_DESTROY_AH_SLEEPABLE);
	rdma_destroy_ah(b->ah, RDMA_DESTROY_AH_SLEEPABLE);
	a->ah = NULL;
	b->ah = NULL;
	ib_destroy_qp(a->qp);
	ib_destroy_qp(b->qp);
	return 0;
}

int shared(void)
{
	struct ib_srq_init_attr init = {
		.attr = { .max_wr = DEPTH, .max_sge = 2 },
	};

	b->srq = ib_create_srq(b->pd, &init);
	CHECK(!IS_ERR(b->srq));
	RUN(pair_up());
	RUN(messages(2000, 0, 0));
	pair_down();
	ib_destroy_srq(b->srq);
	b->srq = NULL;
	return 0;
}

/* Of a queue pair that is gone there are no completions any more. */
int gone(void)
{
	if (context != IB_POLL_DIRECT)
		return 0;
	RUN(pair_up());
	RUN(post_receive(b, 0, 10));
	RUN(post_send(a, 0, 10, 0, 0));
	CHECK(ended(b, &b->received[0], IB_WC_SUCCESS));
	msleep(100);
	pair_down();
	CHECK(!ib_process_cq_direct(a->cq, -1));
	CHECK(!completion_done(&a->sent[0].done));
	return 0;
}
