// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The provider's data path against a kernel that is faked (fake_kernel.c):
 * what is written into the rings, when the doorbell rings, and what becomes of
 * requests that are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "fake_kernel.h"
#include "providers/odp/builder.h"
#include "providers/odp/cq.h"
#include "providers/odp/mw.h"
#include "providers/odp/pd.h"
#include "providers/odp/poll.h"
#include "providers/odp/qp.h"
#include "providers/odp/send.h"
#include "providers/odp/srq.h"

#define PAGE 4096

static struct ibv_pd pd;
static struct ibv_cq_ex *cqx;
static struct ibv_cq *ibcq;
static struct ibv_qp *ibqp;
static struct ibv_qp_ex *qpx;
static struct odp_cq *cq;
static struct odp_sq *sq;
static struct odp_rq *rq;

static int setup(void **state)
{
	struct ibv_cq_init_attr_ex cq_attr = { .wc_flags = ODP_POLL_WC_FLAGS };
	struct ibv_qp_init_attr_ex qp_attr = {
		.comp_mask = IBV_QP_INIT_ATTR_PD |
			     IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
		.send_ops_flags = IBV_QP_EX_WITH_SEND,
		.pd = &pd,
	};

	fake_kernel_start();
	pd.context = &fake.context.context;
	cqx = odp_create_cq_ex(pd.context, &cq_attr);
	assert_non_null(cqx);
	ibcq = ibv_cq_ex_to_cq(cqx);
	cq = to_odp_cq(ibcq);

	qp_attr.send_cq = qp_attr.recv_cq = ibcq;
	ibqp = odp_create_qp_ex(pd.context, &qp_attr);
	assert_non_null(ibqp);
	qpx = ibv_qp_to_qp_ex(ibqp);
	sq = &to_odp_qp(ibqp)->sq;
	rq = &to_odp_qp(ibqp)->rq;
	return 0;
}

static int teardown(void **state)
{
	assert_int_equal(odp_destroy_qp(ibqp), 0);
	assert_int_equal(odp_destroy_cq(ibcq), 0);
	fake_kernel_stop();
	return 0;
}

static struct odp_send_wqe *send_entry(uint32_t index)
{
	return odp_queue_entry(&sq->queue, index);
}

static struct odp_sge *pieces(struct odp_send_wqe *wqe)
{
	return (struct odp_sge *)(wqe + 1);
}

static void expect_sent(uint32_t index, int doorbells)
{
	assert_int_equal(sq->queue.index, index);
	assert_int_equal(sq->queue.ring->user_index, index);
	assert_int_equal(fake.doorbells, doorbells);
}

static void complete_in(struct odp_queue *queue, uint32_t qp_num,
			uint64_t wr_id)
{
	struct odp_ring *ring = queue->ring;
	struct odp_cqe *cqe = odp_queue_entry(queue, ring->kernel_index);

	*cqe = (struct odp_cqe){
		.wr_id = wr_id,
		.qp_num = qp_num,
		.status = IBV_WC_WR_FLUSH_ERR,
		.opcode = IBV_WC_RECV_RDMA_WITH_IMM,
		.byte_len = 9,
		.imm_data = 10,
		.wc_flags = IBV_WC_WITH_IMM,
		.timestamp = 11,
		.wallclock = 12,
	};
	ring->kernel_index++;
}

static void complete(uint32_t qp_num, uint64_t wr_id)
{
	complete_in(&cq->queue, qp_num, wr_id);
}

/* --- Creation ------------------------------------------------------------- */

/* libibverbs itself is asked here: its layout may be older than our headers. */
static void test_only_extended_qps_have_builders(void **state)
{
	struct ibv_qp_init_attr attr = { .send_cq = ibcq, .recv_cq = ibcq };
	struct ibv_qp *plain = odp_create_qp(&pd, &attr);

	assert_non_null(plain);
	assert_int_equal(attr.cap.max_inline_data, FAKE_INLINE);
	assert_ptr_equal(ibv_qp_to_qp_ex(ibqp), ibqp);
	assert_null(ibv_qp_to_qp_ex(plain));
	assert_int_equal(odp_destroy_qp(plain), 0);
}

static void test_what_is_missing_is_refused(void **state)
{
	struct ibv_cq_init_attr_ex cq_attr = {
		.wc_flags = IBV_WC_EX_WITH_FLOW_TAG,
	};
	struct ibv_qp_init_attr_ex qp_attr = {
		.comp_mask = IBV_QP_INIT_ATTR_PD |
			     IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
		.send_ops_flags = IBV_QP_EX_WITH_TSO,
		.send_cq = ibcq,
		.recv_cq = ibcq,
		.pd = &pd,
	};

	assert_null(odp_create_cq_ex(pd.context, &cq_attr));
	assert_int_equal(errno, EOPNOTSUPP);
	assert_null(odp_create_qp_ex(pd.context, &qp_attr));
	assert_int_equal(errno, EOPNOTSUPP);
	qp_attr.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_RX_HASH;
	assert_null(odp_create_qp_ex(pd.context, &qp_attr));
	assert_int_equal(errno, EOPNOTSUPP);
}

/* --- Sending -------------------------------------------------------------- */

static struct ibv_sge sges[] = { { 1, 2, 3 }, { 4, 5, 6 } };

static void write_list(struct ibv_send_wr *wr, int num)
{
	int i;

	for (i = 0; i < num; i++)
		wr[i] = (struct ibv_send_wr){
			.wr_id = 100 + i,
			.next = i < num - 1 ? &wr[i + 1] : NULL,
			.sg_list = sges,
			.num_sge = 2,
			.opcode = IBV_WR_RDMA_WRITE_WITH_IMM,
			.send_flags = IBV_SEND_SIGNALED,
			.imm_data = 7,
			.wr.rdma = { .remote_addr = 8, .rkey = 9 },
		};
}

static void test_list_takes_one_doorbell(void **state)
{
	struct ibv_send_wr wr[3], *bad;
	struct odp_send_wqe *wqe;

	write_list(wr, 3);
	assert_int_equal(odp_post_send(ibqp, wr, &bad), 0);
	expect_sent(3, 1);

	wqe = send_entry(2);
	assert_int_equal(wqe->wr_id, 102);
	assert_int_equal(wqe->opcode, IBV_WR_RDMA_WRITE_WITH_IMM);
	assert_int_equal(wqe->flags, IBV_SEND_SIGNALED);
	assert_int_equal(wqe->num_sge, 2);
	assert_int_equal(wqe->inline_length, 0);
	assert_int_equal(wqe->imm_data, 7);
	assert_int_equal(wqe->remote_addr, 8);
	assert_int_equal(wqe->rkey, 9);
	assert_memory_equal(pieces(wqe), sges, sizeof(sges));
}

/* The good ones before the bad one are sent. */
static void test_full_queue(void **state)
{
	struct ibv_send_wr wr[FAKE_DEPTH + 2], *bad;

	write_list(wr, FAKE_DEPTH + 2);
	assert_int_equal(odp_post_send(ibqp, wr, &bad), ENOMEM);
	assert_ptr_equal(bad, &wr[FAKE_DEPTH]);
	expect_sent(FAKE_DEPTH, 1);

	assert_int_equal(odp_post_send(ibqp, bad, &bad), ENOMEM);
	assert_ptr_equal(bad, &wr[FAKE_DEPTH]);
	expect_sent(FAKE_DEPTH, 1);

	sq->queue.ring->kernel_index = 2;
	assert_int_equal(odp_post_send(ibqp, bad, &bad), 0);
	expect_sent(FAKE_DEPTH + 2, 2);
}

static void test_refused_doorbell_takes_all_back(void **state)
{
	struct ibv_send_wr wr[3], *bad;

	write_list(wr, 3);
	wr[2].num_sge = FAKE_SEND_SGE + 1;
	fake.refuse = EINVAL;
	assert_int_equal(odp_post_send(ibqp, wr, &bad), EINVAL);
	assert_ptr_equal(bad, wr);
	expect_sent(0, 1);

	fake.refuse = 0;
	assert_int_equal(odp_post_send(ibqp, wr, &bad), EINVAL);
	assert_ptr_equal(bad, &wr[2]);
	expect_sent(2, 2);
}

static void expect_invalid(struct ibv_send_wr wr)
{
	struct ibv_send_wr *bad = NULL;

	assert_int_equal(odp_post_send(ibqp, &wr, &bad), EINVAL);
	assert_ptr_equal(bad, &wr);
	expect_sent(0, 0);
}

static void test_invalid_requests(void **state)
{
	struct ibv_send_wr wr;

	write_list(&wr, 1);
	wr.num_sge = -1;
	expect_invalid(wr);
	wr.num_sge = 0;
	wr.send_flags = IBV_SEND_IP_CSUM;
	expect_invalid(wr);
	wr.send_flags = IBV_SEND_INLINE;
	wr.opcode = IBV_WR_RDMA_READ;
	expect_invalid(wr);
	wr.send_flags = 0;
	wr.opcode = IBV_WR_TSO;
	expect_invalid(wr);
	wr.opcode = -1;
	expect_invalid(wr);
}

static void test_atomics(void **state)
{
	struct ibv_sge word = { .addr = 1, .length = 8, .lkey = 2 };
	struct ibv_send_wr *bad, wr = {
		.sg_list = &word,
		.num_sge = 1,
		.opcode = IBV_WR_ATOMIC_CMP_AND_SWP,
		.wr.atomic = { .remote_addr = 3, .compare_add = 4, .swap = 5,
			       .rkey = 6 },
	};

	assert_int_equal(odp_post_send(ibqp, &wr, &bad), 0);
	expect_sent(1, 1);
	assert_int_equal(send_entry(0)->opcode, IBV_WR_ATOMIC_CMP_AND_SWP);
	assert_int_equal(send_entry(0)->remote_addr, 3);
	assert_int_equal(send_entry(0)->compare_add, 4);
	assert_int_equal(send_entry(0)->swap, 5);
	assert_int_equal(send_entry(0)->rkey, 6);
	assert_int_equal(pieces(send_entry(0))->length, 8);

	ibv_wr_start(qpx);
	ibv_wr_atomic_cmp_swp(qpx, 7, 8, 9, 10);
	ibv_wr_set_sge(qpx, 1, 2, 8);
	ibv_wr_atomic_fetch_add(qpx, 11, 12, 13);
	ibv_wr_set_sge(qpx, 1, 2, 8);
	assert_int_equal(ibv_wr_complete(qpx), 0);
	expect_sent(3, 2);
	assert_int_equal(send_entry(1)->rkey, 7);
	assert_int_equal(send_entry(1)->remote_addr, 8);
	assert_int_equal(send_entry(1)->compare_add, 9);
	assert_int_equal(send_entry(1)->swap, 10);
	assert_int_equal(send_entry(2)->opcode, IBV_WR_ATOMIC_FETCH_AND_ADD);
	assert_int_equal(send_entry(2)->compare_add, 13);

	ibv_wr_start(qpx);
	ibv_wr_atomic_fetch_add(qpx, 11, 12, 13);
	ibv_wr_set_sge(qpx, 1, 2, 9);
	assert_int_equal(ibv_wr_complete(qpx), EINVAL);
	expect_sent(3, 2);
}

static void test_invalid_atomics(void **state)
{
	struct ibv_sge words[] = { { 1, 8, 2 }, { 3, 8, 4 } };
	struct ibv_send_wr wr = {
		.sg_list = words,
		.num_sge = 2,
		.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD,
	};

	expect_invalid(wr);
	wr.num_sge = 0;
	expect_invalid(wr);
	wr.num_sge = 1;
	wr.send_flags = IBV_SEND_INLINE;
	expect_invalid(wr);
	wr.send_flags = 0;
	words[0].length = 7;
	expect_invalid(wr);
}

static void test_atomic_write(void **state)
{
	struct ibv_sge word = { .addr = 1, .length = 8, .lkey = 2 };
	struct ibv_send_wr *bad, wr = {
		.sg_list = &word,
		.num_sge = 1,
		.opcode = IBV_WR_ATOMIC_WRITE,
		.wr.rdma = { .remote_addr = 3, .rkey = 4 },
	};
	const char data[8] = "ABCDEFG";

	assert_int_equal(odp_post_send(ibqp, &wr, &bad), 0);
	expect_sent(1, 1);
	assert_int_equal(send_entry(0)->opcode, IBV_WR_ATOMIC_WRITE);
	assert_int_equal(send_entry(0)->remote_addr, 3);
	assert_int_equal(send_entry(0)->rkey, 4);
	assert_int_equal(pieces(send_entry(0))->length, 8);

	ibv_wr_start(qpx);
	ibv_wr_atomic_write(qpx, 5, 6, data);
	assert_int_equal(ibv_wr_complete(qpx), 0);
	expect_sent(2, 2);
	assert_int_equal(send_entry(1)->opcode, IBV_WR_ATOMIC_WRITE);
	assert_int_equal(send_entry(1)->remote_addr, 6);
	assert_int_equal(send_entry(1)->rkey, 5);
	assert_int_equal(send_entry(1)->flags & IBV_SEND_INLINE,
			 IBV_SEND_INLINE);
	assert_int_equal(send_entry(1)->inline_length, 8);
	assert_memory_equal(send_entry(1) + 1, data, 8);

	word.addr = (uintptr_t)data;
	wr.send_flags = IBV_SEND_INLINE;
	assert_int_equal(odp_post_send(ibqp, &wr, &bad), 0);
	expect_sent(3, 3);
	assert_memory_equal(send_entry(2) + 1, data, 8);
}

static void test_invalid_atomic_write(void **state)
{
	char data[9] = {};
	struct ibv_sge word = { (uintptr_t)data, 9, 2 };
	struct ibv_send_wr wr = {
		.sg_list = &word,
		.num_sge = 1,
		.opcode = IBV_WR_ATOMIC_WRITE,
	};

	expect_invalid(wr);
	wr.send_flags = IBV_SEND_INLINE;
	expect_invalid(wr);
	wr.num_sge = 0;
	expect_invalid(wr);
	wr.send_flags = 0;
	expect_invalid(wr);
}

static struct ibv_mr window_mr = { .pd = &pd, .lkey = 1 };
static struct ibv_mw window = {
	.pd = &pd,
	.rkey = 0x12345ff,
	.type = IBV_MW_TYPE_2,
};
static const struct ibv_mw_bind_info window_info = {
	.mr = &window_mr,
	.addr = 2,
	.length = 3,
	.mw_access_flags = IBV_ACCESS_REMOTE_READ,
};

static void expect_bind(const struct odp_send_wqe *wqe, uint32_t rkey)
{
	assert_int_equal(wqe->opcode, IBV_WR_BIND_MW);
	assert_int_equal(wqe->num_sge, 0);
	assert_int_equal(wqe->rkey, rkey);
	assert_int_equal(wqe->bind_key, 1);
	assert_int_equal(wqe->remote_addr, 2);
	assert_int_equal(wqe->bind_length, 3);
	assert_int_equal(wqe->bind_access, IBV_ACCESS_REMOTE_READ);
}

static void test_windows(void **state)
{
	struct ibv_mw one = { .rkey = 0x12345ff, .type = IBV_MW_TYPE_1 };
	struct ibv_mw_bind bind = { .wr_id = 4, .bind_info = window_info,
				    .send_flags = IBV_SEND_SIGNALED };
	struct ibv_send_wr *bad, wr = {
		.wr_id = 5,
		.opcode = IBV_WR_BIND_MW,
		.bind_mw = { &window, 0x1234501, window_info },
	};

	assert_int_equal(odp_post_send(ibqp, &wr, &bad), 0);
	expect_sent(1, 1);
	expect_bind(send_entry(0), 0x1234501);
	assert_int_equal(send_entry(0)->wr_id, 5);

	fake.refuse = EINVAL;
	assert_int_equal(odp_bind_mw(ibqp, &one, &bind), EINVAL);
	assert_int_equal(one.rkey, 0x12345ff);
	fake.refuse = 0;
	assert_int_equal(odp_bind_mw(ibqp, &one, &bind), 0);
	expect_sent(2, 3);
	expect_bind(send_entry(1), 0x1234500);
	assert_int_equal(one.rkey, 0x1234500);
	assert_int_equal(send_entry(1)->wr_id, 4);
	assert_int_equal(send_entry(1)->flags, IBV_SEND_SIGNALED);

	sq->queue.ring->kernel_index = 2;
	ibv_wr_start(qpx);
	ibv_wr_bind_mw(qpx, &window, 0x1234502, &window_info);
	ibv_wr_local_inv(qpx, 6);
	ibv_wr_send_inv(qpx, 7);
	assert_int_equal(ibv_wr_complete(qpx), 0);
	expect_sent(5, 4);
	expect_bind(send_entry(2), 0x1234502);
	assert_int_equal(send_entry(3)->opcode, IBV_WR_LOCAL_INV);
	assert_int_equal(send_entry(3)->invalidate_rkey, 6);
	assert_int_equal(send_entry(4)->opcode, IBV_WR_SEND_WITH_INV);
	assert_int_equal(send_entry(4)->invalidate_rkey, 7);
}

static void test_invalid_windows(void **state)
{
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_BIND_MW,
		.bind_mw = { &window, 0x12346ff, window_info },
	};

	expect_invalid(wr);
	wr.bind_mw.rkey = window.rkey;
	wr.send_flags = IBV_SEND_INLINE;
	expect_invalid(wr);
	wr.send_flags = 0;
	wr.bind_mw.bind_info.mr = NULL;
	expect_invalid(wr);
	wr.opcode = IBV_WR_LOCAL_INV;
	wr.send_flags = IBV_SEND_SOLICITED;
	expect_invalid(wr);
	/* The first error counts. */
	ibv_wr_start(qpx);
	ibv_wr_bind_mw(qpx, &window, 0x12346ff, &window_info);
	ibv_wr_local_inv(qpx, 6);
	assert_int_equal(ibv_wr_complete(qpx), EINVAL);
	expect_sent(0, 0);
}

static void expect_address(struct odp_send_wqe *wqe)
{
	assert_int_equal(wqe->ah, 77);
	assert_int_equal(wqe->remote_qpn, 78);
	assert_int_equal(wqe->remote_qkey, 79);
}

static void test_datagrams(void **state)
{
	struct odp_ah ah = { .number = 77 };
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_SEND_WITH_IMM,
		.wr.ud = { &ah.ah, 78, 79 },
	}, *bad;

	ibqp->qp_type = IBV_QPT_UD;
	assert_int_equal(odp_post_send(ibqp, &wr, &bad), 0);
	expect_address(send_entry(0));
	ibv_wr_start(qpx);
	ibv_wr_send(qpx);
	ibv_wr_set_ud_addr(qpx, &ah.ah, 78, 79);
	assert_int_equal(ibv_wr_complete(qpx), 0);
	expect_address(send_entry(1));
	expect_sent(2, 2);

	wr.opcode = IBV_WR_RDMA_WRITE;
	assert_int_equal(odp_post_send(ibqp, &wr, &bad), EINVAL);
	assert_ptr_equal(bad, &wr);
	wr.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD;
	assert_int_equal(odp_post_send(ibqp, &wr, &bad), EINVAL);
	expect_sent(2, 2);
}

static void test_services(void **state)
{
	struct ibv_send_wr wr, *bad;

	write_list(&wr, 1);
	ibqp->qp_type = IBV_QPT_UC;
	assert_int_equal(odp_post_send(ibqp, &wr, &bad), 0);
	expect_sent(1, 1);
	wr.opcode = IBV_WR_RDMA_READ;
	assert_int_equal(odp_post_send(ibqp, &wr, &bad), EINVAL);
	wr.opcode = IBV_WR_SEND_WITH_INV;
	assert_int_equal(odp_post_send(ibqp, &wr, &bad), EINVAL);
	ibqp->qp_type = IBV_QPT_UD;
	wr.opcode = IBV_WR_RDMA_WRITE;
	assert_int_equal(odp_post_send(ibqp, &wr, &bad), EINVAL);
	wr.opcode = IBV_WR_TSO;
	assert_int_equal(odp_post_send(ibqp, &wr, &bad), EINVAL);
	expect_sent(1, 1);
}

static void test_xrc(void **state)
{
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_SEND,
		.qp_type.xrc.remote_srqn = 77,
	}, *bad;

	ibqp->qp_type = IBV_QPT_XRC_SEND;
	assert_int_equal(odp_post_send(ibqp, &wr, &bad), 0);
	assert_int_equal(send_entry(0)->remote_srqn, 77);
	ibv_wr_start(qpx);
	ibv_wr_rdma_write(qpx, 1, 2);
	ibv_wr_set_xrc_srqn(qpx, 78);
	assert_int_equal(ibv_wr_complete(qpx), 0);
	assert_int_equal(send_entry(1)->remote_srqn, 78);
	expect_sent(2, 2);
}

/* It has no rings, and cannot be posted to. */
static void test_xrc_target(void **state)
{
	struct ibv_send_wr send = { .opcode = IBV_WR_SEND }, *bad_send = NULL;
	struct ibv_recv_wr recv = {}, *bad_recv = NULL;
	struct odp_qp target = {
		.vqp.qp.qp_type = IBV_QPT_XRC_RECV,
		.vqp.qp.state = IBV_QPS_RTS,
	};
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RESET };

	assert_int_equal(odp_post_send(&target.vqp.qp, &send, &bad_send),
			 EINVAL);
	assert_ptr_equal(bad_send, &send);
	assert_int_equal(odp_post_recv(&target.vqp.qp, &recv, &bad_recv),
			 EINVAL);
	assert_ptr_equal(bad_recv, &recv);
	assert_int_equal(odp_modify_qp(&target.vqp.qp, &attr, IBV_QP_STATE), 0);
	assert_int_equal(odp_builder_init(&target.vqp, 0), EOPNOTSUPP);
}

static void test_inline(void **state)
{
	char first[FAKE_INLINE - 8] = "first", second[9] = "second..";
	struct ibv_sge parts[] = {
		{ .addr = (uintptr_t)first, .length = sizeof(first) },
		{ .addr = (uintptr_t)second, .length = sizeof(second) },
	};
	struct ibv_send_wr *bad, wr = {
		.sg_list = parts,
		.num_sge = 2,
		.opcode = IBV_WR_SEND,
		.send_flags = IBV_SEND_INLINE,
	};
	char *data = (char *)pieces(send_entry(0));

	expect_invalid(wr);

	parts[1].length = 8;
	assert_int_equal(odp_post_send(ibqp, &wr, &bad), 0);
	expect_sent(1, 1);
	assert_int_equal(send_entry(0)->flags, IBV_SEND_INLINE);
	assert_int_equal(send_entry(0)->num_sge, 0);
	assert_int_equal(send_entry(0)->inline_length, FAKE_INLINE);
	assert_memory_equal(data, first, sizeof(first));
	assert_memory_equal(data + sizeof(first), second, 8);
}

/* --- Builders ------------------------------------------------------------- */

static void test_builders(void **state)
{
	ibv_wr_start(qpx);
	qpx->wr_id = 1;
	qpx->wr_flags = IBV_SEND_SIGNALED | IBV_SEND_INLINE;
	ibv_wr_rdma_write_imm(qpx, 2, 3, 4);
	ibv_wr_set_sge(qpx, 5, 6, 7);
	qpx->wr_id = 8;
	qpx->wr_flags = 0;
	ibv_wr_send(qpx);
	ibv_wr_set_inline_data(qpx, "data", 4);
	assert_int_equal(fake.doorbells, 0);
	assert_int_equal(ibv_wr_complete(qpx), 0);
	expect_sent(2, 1);

	assert_int_equal(send_entry(0)->wr_id, 1);
	assert_int_equal(send_entry(0)->flags, IBV_SEND_SIGNALED);
	assert_int_equal(send_entry(0)->rkey, 2);
	assert_int_equal(send_entry(0)->remote_addr, 3);
	assert_int_equal(send_entry(0)->imm_data, 4);
	assert_int_equal(send_entry(0)->num_sge, 1);
	assert_int_equal(pieces(send_entry(0))->lkey, 5);
	assert_int_equal(pieces(send_entry(0))->addr, 6);
	assert_int_equal(pieces(send_entry(0))->length, 7);
	assert_int_equal(send_entry(1)->wr_id, 8);
	assert_int_equal(send_entry(1)->flags, IBV_SEND_INLINE);
	assert_int_equal(send_entry(1)->inline_length, 4);
	assert_int_equal(send_entry(1)->rkey, 0);
}

static void expect_flag_refused(unsigned int flag)
{
	ibv_wr_start(qpx);
	qpx->wr_flags = flag;
	ibv_wr_send(qpx);
	qpx->wr_flags = 0;
	ibv_wr_send(qpx);
	assert_int_equal(ibv_wr_complete(qpx), EINVAL);
	expect_sent(0, 0);
}

/* One bad request, and nothing of the batch is sent. */
static void test_builder_errors(void **state)
{
	struct ibv_sge many[FAKE_SEND_SGE + 1] = {};
	int i;

	ibv_wr_start(qpx);
	ibv_wr_send(qpx);
	ibv_wr_send(qpx);
	ibv_wr_set_sge_list(qpx, FAKE_SEND_SGE + 1, many);
	ibv_wr_set_sge(qpx, 1, 2, 3);
	ibv_wr_send(qpx);
	assert_int_equal(ibv_wr_complete(qpx), EINVAL);
	expect_sent(0, 0);

	expect_flag_refused(IBV_SEND_IP_CSUM);
	expect_flag_refused(1U << 31);

	ibv_wr_start(qpx);
	for (i = 0; i <= FAKE_DEPTH; i++)
		ibv_wr_send(qpx);
	ibv_wr_set_sge(qpx, 1, 2, 3);
	assert_int_equal(ibv_wr_complete(qpx), ENOMEM);
	expect_sent(0, 0);

	ibv_wr_start(qpx);
	ibv_wr_send(qpx);
	ibv_wr_abort(qpx);
	expect_sent(0, 0);

	ibv_wr_start(qpx);
	assert_int_equal(ibv_wr_complete(qpx), 0);
	expect_sent(0, 0);

	fake.refuse = EIO;
	ibv_wr_start(qpx);
	ibv_wr_send(qpx);
	assert_int_equal(ibv_wr_complete(qpx), EIO);
	expect_sent(0, 1);
}

/* --- Receiving ------------------------------------------------------------ */

static void test_post_recv(void **state)
{
	struct ibv_recv_wr *bad, wr = {
		.wr_id = 1,
		.sg_list = sges,
		.num_sge = 2,
	};
	struct odp_recv_wqe *wqe = odp_queue_entry(&rq->queue, 0);
	int i;

	assert_int_equal(odp_post_recv(ibqp, &wr, &bad), EINVAL);

	ibqp->state = IBV_QPS_INIT;
	for (i = 0; i < FAKE_DEPTH; i++)
		assert_int_equal(odp_post_recv(ibqp, &wr, &bad), 0);
	assert_int_equal(odp_post_recv(ibqp, &wr, &bad), ENOMEM);
	assert_ptr_equal(bad, &wr);
	assert_int_equal(rq->queue.ring->user_index, FAKE_DEPTH);
	assert_int_equal(wqe->wr_id, 1);
	assert_int_equal(wqe->num_sge, 2);
	assert_memory_equal(wqe + 1, sges, sizeof(sges));
	assert_int_equal(fake.kicks, 0);

	rq->queue.ring->kernel_index = FAKE_DEPTH;
	wr.num_sge = FAKE_RECV_SGE + 1;
	assert_int_equal(odp_post_recv(ibqp, &wr, &bad), EINVAL);
	wr.num_sge = 0;
	rq->queue.ring->flags = ODP_RING_NEED_KICK;
	assert_int_equal(odp_post_recv(ibqp, &wr, &bad), 0);
	assert_int_equal(fake.kicks, 1);
}

/* The good ones before the bad one are posted; nobody has to be told. */
static void test_post_srq_recv(void **state)
{
	struct ibv_srq_init_attr attr = { .attr = { .max_wr = 1 } };
	struct ibv_srq *ibsrq = odp_create_srq(&pd, &attr);
	struct ibv_recv_wr *bad, wr[2] = {
		{ .wr_id = 1, .sg_list = sges, .num_sge = 2, .next = &wr[1] },
		{ .wr_id = 2, .sg_list = sges, .num_sge = FAKE_RECV_SGE + 1 },
	};
	struct odp_queue *queue;
	struct odp_recv_wqe *wqe;

	assert_non_null(ibsrq);
	assert_int_equal(attr.attr.max_wr, FAKE_DEPTH);
	queue = &to_odp_srq(ibsrq)->rq.queue;
	queue->ring->flags = ODP_RING_NEED_KICK;
	assert_int_equal(odp_post_srq_recv(ibsrq, wr, &bad), EINVAL);
	assert_ptr_equal(bad, &wr[1]);
	assert_int_equal(queue->ring->user_index, 1);

	wr[1].num_sge = 1;
	assert_int_equal(odp_post_srq_recv(ibsrq, wr, &bad), 0);
	assert_int_equal(odp_post_srq_recv(ibsrq, wr, &bad), ENOMEM);
	assert_ptr_equal(bad, &wr[1]);
	assert_int_equal(queue->ring->user_index, FAKE_DEPTH);
	wqe = odp_queue_entry(queue, 2);
	assert_int_equal(wqe->wr_id, 2);
	assert_int_equal(wqe->num_sge, 1);
	assert_memory_equal(wqe + 1, sges, sizeof(*sges));
	assert_int_equal(fake.kicks, 0);
	assert_int_equal(odp_destroy_srq(ibsrq), 0);
}

/* --- Completions ---------------------------------------------------------- */

static void test_poll(void **state)
{
	struct ibv_wc wc[4];

	assert_int_equal(odp_poll_cq(ibcq, 4, wc), 0);
	complete(FAKE_QP_NUM, 1);
	complete(FAKE_QP_NUM, 2);
	complete(FAKE_QP_NUM, 3);
	assert_int_equal(odp_poll_cq(ibcq, 2, wc), 2);
	assert_int_equal(cq->queue.ring->user_index, 2);
	assert_int_equal(wc[1].wr_id, 2);
	assert_int_equal(wc[1].qp_num, FAKE_QP_NUM);
	assert_int_equal(wc[1].status, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(wc[1].opcode, IBV_WC_RECV_RDMA_WITH_IMM);
	assert_int_equal(wc[1].byte_len, 9);
	assert_int_equal(wc[1].imm_data, 10);
	assert_int_equal(odp_poll_cq(ibcq, 4, wc), 1);
	assert_int_equal(wc[0].wr_id, 3);

	cq->queue.ring->kernel_index += FAKE_CQ_DEPTH + 1;
	assert_true(odp_poll_cq(ibcq, 4, wc) < 0);
}

static void test_iterate(void **state)
{
	struct ibv_poll_cq_attr attr = {};

	assert_int_equal(ibv_start_poll(cqx, &attr), ENOENT);
	complete(FAKE_QP_NUM, 1);
	complete(FAKE_QP_NUM, 2);
	assert_int_equal(ibv_start_poll(cqx, &attr), 0);
	assert_int_equal(cqx->wr_id, 1);
	assert_int_equal(cq->queue.ring->user_index, 0);
	assert_int_equal(ibv_next_poll(cqx), 0);
	assert_int_equal(cqx->wr_id, 2);
	assert_int_equal(cq->queue.ring->user_index, 1);
	assert_int_equal(cqx->status, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(ibv_wc_read_byte_len(cqx), 9);
	assert_int_equal(ibv_wc_read_imm_data(cqx), 10);
	assert_int_equal(ibv_wc_read_completion_ts(cqx), 11);
	assert_int_equal(ibv_wc_read_completion_wallclock_ns(cqx), 12);
	assert_int_equal(ibv_next_poll(cqx), ENOENT);
	ibv_end_poll(cqx);
	assert_int_equal(cq->queue.ring->user_index, 2);
	assert_int_equal(ibv_start_poll(cqx, &attr), ENOENT);
}

/* One more comes to the old ring, and then one to the new, the last of the file. */
static int commit(int cqe)
{
	struct odp_queue new;
	void *ring = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			  fake.context.context.cmd_fd, fake.size - PAGE);

	assert_ptr_not_equal(ring, MAP_FAILED);
	complete(FAKE_QP_NUM, 4);
	odp_queue_init(&new, ring, cqe, sizeof(struct odp_cqe));
	assert_int_equal(new.ring->user_index, cq->queue.index);
	new.ring->kernel_index = cq->queue.ring->kernel_index;
	complete_in(&new, FAKE_QP_NUM, 5);
	munmap(ring, PAGE);
	return 0;
}

static int refuse_commit(int cqe)
{
	return EINVAL;
}

static void test_resize(void **state)
{
	const struct odp_ring *ring = cq->queue.ring;
	struct ibv_wc wc[8];
	int i;

	for (i = 0; i < 4; i++)
		complete(FAKE_QP_NUM, i);
	assert_int_equal(odp_poll_cq(ibcq, 2, wc), 2);

	fake.commit = refuse_commit;
	assert_int_equal(odp_resize_cq(ibcq, 4), EINVAL);
	assert_ptr_equal(cq->queue.ring, ring);
	assert_int_equal(cq->queue.depth, FAKE_CQ_DEPTH);

	fake.commit = commit;
	assert_int_equal(odp_resize_cq(ibcq, 4), 0);
	assert_ptr_not_equal(cq->queue.ring, ring);
	assert_int_equal(odp_poll_cq(ibcq, 8, wc), 4);
	for (i = 0; i < 4; i++)
		assert_int_equal(wc[i].wr_id, 2 + i);
}

static void test_reset_starts_again(void **state)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RESET };
	struct ibv_send_wr wr[2], *bad;
	struct ibv_wc wc[4];

	write_list(wr, 2);
	assert_int_equal(odp_post_send(ibqp, wr, &bad), 0);
	complete(FAKE_QP_NUM, 1);
	complete(FAKE_QP_NUM + 1, 2);
	complete(FAKE_QP_NUM, 3);

	assert_int_equal(odp_modify_qp(ibqp, &attr, IBV_QP_STATE), 0);
	expect_sent(0, 1);
	assert_int_equal(rq->queue.ring->user_index, 0);
	assert_int_equal(odp_poll_cq(ibcq, 4, wc), 1);
	assert_int_equal(wc[0].wr_id, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_only_extended_qps_have_builders),
		TEST(test_what_is_missing_is_refused),
		TEST(test_list_takes_one_doorbell),
		TEST(test_full_queue),
		TEST(test_refused_doorbell_takes_all_back),
		TEST(test_invalid_requests),
		TEST(test_atomics),
		TEST(test_invalid_atomics),
		TEST(test_atomic_write),
		TEST(test_invalid_atomic_write),
		TEST(test_windows),
		TEST(test_invalid_windows),
		TEST(test_datagrams),
		TEST(test_services),
		TEST(test_xrc),
		TEST(test_xrc_target),
		TEST(test_inline),
		TEST(test_builders),
		TEST(test_builder_errors),
		TEST(test_post_recv),
		TEST(test_post_srq_recv),
		TEST(test_poll),
		TEST(test_iterate),
		TEST(test_resize),
		TEST(test_reset_starts_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
