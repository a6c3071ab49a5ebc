// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What a queue can be, and what it tells of each completion. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "cqs.h"

static void refuse(int depth, uint64_t wc_flags, uint32_t flags, int error)
{
	errno = 0;
	CHECK(!create_cq(a.end.nic, NULL, depth, wc_flags, flags) && errno == error);
}

static void refused(void)
{
	struct ibv_cq_init_attr_ex init = { .cqe = 1, .comp_mask = 1 << 30 };
	struct ibv_poll_cq_attr bits = { .comp_mask = 1 };
	struct ibv_device_attr_ex attr;
	int bit;

	/* Of the flags those for tags of flow rules and for tag matching, too */
	sides_create(DEPTH, 0);
	CHECK(!ibv_query_device_ex(nics[0].context, NULL, &attr));
	for (bit = 0; bit < 64; bit++)
		if (!(all_flags & 1ULL << bit))
			refuse(1, 1ULL << bit, 0, EOPNOTSUPP);
	refuse(1, 0, IBV_CREATE_CQ_ATTR_IGNORE_OVERRUN, EOPNOTSUPP);
	refuse(1, 0, 1 << 30, EOPNOTSUPP);
	refuse(0, 0, 0, EINVAL);
	refuse(attr.orig_attr.max_cqe + 1, 0, 0, EINVAL);
	CHECK(!ibv_create_cq_ex(nics[0].context, &init) && errno == EOPNOTSUPP);
	init.comp_mask = 0;
	init.comp_vector = nics[0].context->num_comp_vectors;
	errno = 0;
	CHECK(!ibv_create_cq_ex(nics[0].context, &init) && errno == EINVAL);
	errno = 0;
	CHECK(!ibv_create_cq(nics[0].context, 1, NULL, NULL, init.comp_vector) && errno == EINVAL);
	CHECK(ibv_start_poll(a.cqx, &bits) == EINVAL);
	sides_destroy();
	printf("what a queue cannot do is refused\n");
}

struct operation {
	enum ibv_wr_opcode opcode;
	enum ibv_wc_opcode sent;
	bool receives;
	bool imm;
	enum ibv_wc_opcode received;
};

static const struct operation operations[] = {
	{ IBV_WR_SEND, IBV_WC_SEND, true, false, IBV_WC_RECV },
	{ IBV_WR_SEND_WITH_IMM, IBV_WC_SEND, true, true, IBV_WC_RECV },
	{ IBV_WR_RDMA_WRITE, IBV_WC_RDMA_WRITE, false, false, 0 },
	{ IBV_WR_RDMA_WRITE_WITH_IMM, IBV_WC_RDMA_WRITE, true, true, IBV_WC_RECV_RDMA_WITH_IMM },
	{ IBV_WR_RDMA_READ, IBV_WC_RDMA_READ, false, false, 0 },
};

static void post(const struct operation *op, uint64_t id, uint32_t length, uint32_t rkey)
{
	struct ibv_sge sge = { (uintptr_t)a.mem, length, a.mr->lkey };
	struct ibv_send_wr wr = {
		.wr_id = id, .sg_list = &sge, .num_sge = 1, .opcode = op->opcode,
		.imm_data = htonl(id), .wr.rdma = { (uintptr_t)b.mem, rkey },
	}, *bad;

	CHECK(!ibv_post_send(a.end.qp, &wr, &bad));
}

/* The fields that have the same value for every completion of a side */
static void expect_constants(struct side *side)
{
	CHECK(ibv_wc_read_qp_num(side->cqx) == side->end.qp->qp_num);
	CHECK(!ibv_wc_read_slid(side->cqx) && !ibv_wc_read_sl(side->cqx));
	CHECK(!ibv_wc_read_dlid_path_bits(side->cqx) && !ibv_wc_read_cvlan(side->cqx));
}

static void operation(const struct operation *op, uint64_t id, uint32_t length)
{
	memset(a.mem, id, SIZE);
	memset(b.mem, id + 1, SIZE);
	if (op->receives)
		end_post_receive(&b.end, b.mem, SIZE, b.mr->lkey, ~id);
	post(op, id, length, b.mr->rkey);

	start(&a);
	CHECK(a.cqx->status == IBV_WC_SUCCESS && a.cqx->wr_id == id);
	CHECK(ibv_wc_read_opcode(a.cqx) == op->sent);
	CHECK(ibv_wc_read_byte_len(a.cqx) == length || op->opcode != IBV_WR_RDMA_READ);
	CHECK(!ibv_wc_read_wc_flags(a.cqx) && !ibv_wc_read_vendor_err(a.cqx));
	expect_constants(&a);
	ibv_end_poll(a.cqx);
	CHECK(a.mem[0] == (char)(op->opcode == IBV_WR_RDMA_READ ? id + 1 : id));
	CHECK(!memcmp(a.mem, b.mem, length) && a.mem[length] != b.mem[length]);
	if (!op->receives)
		return;

	start(&b);
	CHECK(b.cqx->status == IBV_WC_SUCCESS && b.cqx->wr_id == ~id);
	CHECK(ibv_wc_read_opcode(b.cqx) == op->received);
	CHECK(ibv_wc_read_byte_len(b.cqx) == length);
	CHECK(ibv_wc_read_wc_flags(b.cqx) == (op->imm ? IBV_WC_WITH_IMM : 0));
	CHECK(!op->imm || ibv_wc_read_imm_data(b.cqx) == htonl(id));
	CHECK(ibv_wc_read_src_qp(b.cqx) == a.end.qp->qp_num);
	expect_constants(&b);
	ibv_end_poll(b.cqx);
}

/* A SEND that invalidates a window of the receiver's, who is told of its key */
static void invalidation(void)
{
	struct ibv_mr *mr = ibv_reg_mr(b.end.nic->pd, b.mem, SIZE,
				       IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_MW_BIND);
	struct ibv_mw *mw = ibv_alloc_mw(b.end.nic->pd, IBV_MW_TYPE_2);
	struct ibv_send_wr send = { .opcode = IBV_WR_SEND_WITH_INV }, bind = { .wr_id = 7 }, *bad;

	CHECK(mr && mw);
	bind.opcode = IBV_WR_BIND_MW;
	bind.bind_mw.mw = mw;
	bind.bind_mw.rkey = send.invalidate_rkey = ibv_inc_rkey(mw->rkey);
	bind.bind_mw.bind_info =
		(struct ibv_mw_bind_info){ mr, (uintptr_t)b.mem, SIZE, IBV_ACCESS_REMOTE_WRITE };
	CHECK(!ibv_post_send(b.end.qp, &bind, &bad));
	start(&b);
	CHECK(!b.cqx->status && b.cqx->wr_id == 7 && ibv_wc_read_opcode(b.cqx) == IBV_WC_BIND_MW);
	CHECK(!ibv_wc_read_wc_flags(b.cqx));
	ibv_end_poll(b.cqx);

	end_post_receive(&b.end, b.mem, 0, b.mr->lkey, 8);
	CHECK(!ibv_post_send(a.end.qp, &send, &bad));
	start(&b);
	CHECK(!b.cqx->status && b.cqx->wr_id == 8 && ibv_wc_read_opcode(b.cqx) == IBV_WC_RECV);
	CHECK(ibv_wc_read_wc_flags(b.cqx) == IBV_WC_WITH_INV);
	CHECK(ibv_wc_read_invalidated_rkey(b.cqx) == send.invalidate_rkey);
	expect_constants(&b);
	ibv_end_poll(b.cqx);
	start(&a);
	CHECK(!a.cqx->status && ibv_wc_read_opcode(a.cqx) == IBV_WC_SEND);
	CHECK(!ibv_wc_read_wc_flags(a.cqx));
	ibv_end_poll(a.cqx);
	CHECK(!ibv_dealloc_mw(mw) && !ibv_dereg_mr(mr));
}

/* Several completions in one iteration */
static void iterate(void)
{
	uint64_t seq = 0, time;
	struct ibv_wc wc;
	int i;

	for (i = 0; i < WINDOW; i++) {
		receive(i);
		send_message(i);
		wc = next(&a, &time);
		expect_message(&wc, i);
	}
	while (seq < WINDOW) {
		start(&b);
		do {
			wc = current(b.cqx, &time);
			expect_message(&wc, seq++);
		} while (!ibv_next_poll(b.cqx));
		ibv_end_poll(b.cqx);
	}
	expect_empty(&a);
	expect_empty(&b);
}

static void fields(uint32_t flags)
{
	unsigned int i;

	sides_create(DEPTH, flags);
	for (i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		operation(&operations[i], 10 + i, 100 + i);
	invalidation();
	iterate();
	post(&operations[2], 99, 8, ~b.mr->rkey);
	start(&a);
	CHECK(a.cqx->wr_id == 99 && a.cqx->status == IBV_WC_REM_ACCESS_ERR);
	expect_constants(&a);
	ibv_end_poll(a.cqx);
	sides_destroy();
	printf("fields%s\n", flags ? ", of a queue for one thread" : "");
}

void test_fields(void)
{
	refused();
	fields(0);
	fields(IBV_CREATE_CQ_ATTR_SINGLE_THREADED);
}
