// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The two ends, and the messages between them. */
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "cqs.h"

struct nic nics[2];
struct side a, b;

struct ibv_cq_ex *create_cq(struct nic *nic, struct ibv_comp_channel *channel, int depth,
			    uint64_t wc_flags, uint32_t flags)
{
	struct ibv_cq_init_attr_ex init = {
		.cqe = depth, .channel = channel, .wc_flags = wc_flags,
		.comp_mask = flags ? IBV_CQ_INIT_ATTR_MASK_FLAGS : 0, .flags = flags,
	};

	return ibv_create_cq_ex(nic->context, &init);
}

static void create_qp(struct side *side, struct ibv_cq *cq)
{
	struct ibv_qp_init_attr init = {
		.qp_type = IBV_QPT_RC, .send_cq = cq, .recv_cq = cq,
		.cap = { DEPTH, DEPTH, 1, 1, sizeof(uint64_t) }, .sq_sig_all = 1,
	};

	CHECK((side->end.qp = ibv_create_qp(side->end.nic->pd, &init)));
}

static void side_create(struct side *side, struct nic *nic, int depth, uint32_t flags)
{
	side->end.nic = nic;
	CHECK((side->end.channel = ibv_create_comp_channel(nic->context)));
	CHECK((side->cqx = create_cq(nic, side->end.channel, depth, all_flags, flags)));
	side->end.cq = ibv_cq_ex_to_cq(side->cqx);
	CHECK(side->end.cq->cqe >= depth);
	create_qp(side, side->end.cq);
	if (!side->mem)
		side->mem = memory_map(SIZE, false);
	side->mr = nic_register(nic, side->mem, SIZE);
}

void sides_create(int depth, uint32_t flags)
{
	side_create(&a, &nics[0], depth, flags);
	side_create(&b, &nics[1], depth, flags);
	ends_connect(&a.end, &b.end);
}

void sides_create_shared(int depth)
{
	side_create(&a, &nics[0], depth, 0);
	side_create(&b, &nics[0], 1, 0);
	CHECK(!ibv_destroy_qp(b.end.qp));
	create_qp(&b, a.end.cq);
	ends_connect(&a.end, &b.end);
}

void sides_destroy(void)
{
	end_destroy(&b.end);
	end_destroy(&a.end);
	CHECK(!ibv_dereg_mr(a.mr));
	CHECK(!ibv_dereg_mr(b.mr));
}

void receive(uint64_t seq)
{
	end_post_receive(&b.end, b.mem + seq % DEPTH * sizeof(seq), sizeof(seq), b.mr->lkey, seq);
}

void send_message(uint64_t seq)
{
	struct ibv_sge sge = { (uintptr_t)&seq, sizeof(seq), 0 };
	struct ibv_send_wr wr = {
		.wr_id = seq, .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND_WITH_IMM,
		.send_flags = IBV_SEND_INLINE, .imm_data = htonl(seq),
	}, *bad;

	CHECK(!ibv_post_send(a.end.qp, &wr, &bad));
}

void expect_message(const struct ibv_wc *wc, uint64_t seq)
{
	CHECK(wc->status == IBV_WC_SUCCESS);
	CHECK(wc->wr_id == seq);
	if (wc->opcode != IBV_WC_RECV)
		return;
	CHECK(wc->byte_len == sizeof(seq) && wc->imm_data == htonl(seq));
	CHECK(!memcmp(b.mem + seq % DEPTH * sizeof(seq), &seq, sizeof(seq)));
}

struct ibv_wc current(struct ibv_cq_ex *cqx, uint64_t *time)
{
	*time = ibv_wc_read_completion_ts(cqx);
	return (struct ibv_wc){
		.wr_id = cqx->wr_id, .status = cqx->status, .opcode = ibv_wc_read_opcode(cqx),
		.vendor_err = ibv_wc_read_vendor_err(cqx), .byte_len = ibv_wc_read_byte_len(cqx),
		.imm_data = ibv_wc_read_imm_data(cqx), .qp_num = ibv_wc_read_qp_num(cqx),
		.wc_flags = ibv_wc_read_wc_flags(cqx),
	};
}

void start(struct side *side)
{
	struct ibv_poll_cq_attr attr = {};
	double end = now() + patience();
	int err;

	while ((err = ibv_start_poll(side->cqx, &attr)) == ENOENT) {
		CHECK(now() < end);
		sched_yield();
	}
	CHECK(!err);
}

struct ibv_wc next(struct side *side, uint64_t *time)
{
	struct ibv_wc wc;

	start(side);
	wc = current(side->cqx, time);
	ibv_end_poll(side->cqx);
	return wc;
}

uint64_t messages(uint64_t seq, int n)
{
	uint64_t first = 0, time;
	struct ibv_wc wc;
	int i;

	for (i = 0; i < n; i++) {
		receive(seq + i);
		send_message(seq + i);
		wc = next(&a, &time);
		expect_message(&wc, seq + i);
		wc = next(&b, &time);
		expect_message(&wc, seq + i);
		if (!i)
			first = time;
	}
	return first;
}

void expect_empty(struct side *side)
{
	struct ibv_poll_cq_attr attr = {};

	CHECK(ibv_start_poll(side->cqx, &attr) == ENOENT);
}
