/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Reliable connections: everything arrives once, in order; and what is refused */
#include "interop.h"

#include <string.h>

enum { LATE_MS = 30 };

static const enum ibv_wr_opcode by_key[] = {
	IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ, IBV_WR_ATOMIC_FETCH_AND_ADD,
	IBV_WR_RDMA_WRITE_WITH_IMM, IBV_WR_ATOMIC_CMP_AND_SWP,
};

enum { BY_KEY = sizeof(by_key) / sizeof(by_key[0]) };

static void post_receives(void)
{
	int i;

	for (i = 0; i < PIECES; i++)
		if (is_received(messages[i].opcode))
			post_receive(i, is_write(messages[i].opcode) ? 0 : messages[i].len);
}

static void receive_all(void)
{
	uint64_t i;

	for (i = 0; i < PIECES; i++) {
		struct ibv_wc wc;

		if (!is_received(messages[i].opcode))
			continue;
		wc = end_wait(&far.end);
		CHECK(wc.wr_id == i);
		check_received(&wc, i);
		CHECK(wc.byte_len == messages[i].len);
	}
}

/* These operations in turn */
static void round_of(const enum ibv_wr_opcode *opcodes, int n, int round)
{
	int i;

	fill();
	for (i = 0; i < PIECES; i++) {
		message_make(i, opcodes[i % n], round);
		message_expect(&messages[i]);
	}
	if (!operation->late)
		post_receives();
	for (i = 0; i < PIECES; i++)
		post(i);
	if (operation->late) {
		pause_ms(LATE_MS);
		post_receives();
	}
	check_sent();
	receive_all();
	look();
}

void transfer(void)
{
	int i;

	set_up();
	for (i = 0; i < rounds(); i++)
		round_of(operation->opcodes, operation->n, i);
	check_counters();
	disconnect_ends();
}

/*
 * --- What is refused ---------------------------------------------------------------
 *
 * Not where packets get lost: the NAK that ends a connection is sent once.
 */

/* A request of @near's that fails, and another one that is flushed; then they are connected again. */
static enum ibv_wc_status end_by(struct ibv_send_wr wr)
{
	struct request behind = { IBV_WR_RDMA_WRITE, near.memory, 8, near.mr->lkey,
				  (uintptr_t)far.memory, far.mr->rkey };
	struct ibv_send_wr *bad;
	struct ibv_wc wc;

	CHECK(!ibv_post_send(near.end.qp, &wr, &bad));
	end_post(&near.end, &behind, 1);
	wc = end_wait(&near.end);
	CHECK(wc.status);
	CHECK(end_wait(&near.end).status == IBV_WC_WR_FLUSH_ERR);
	look();
	disconnect_ends();
	connect_ends();
	return wc.status;
}

static enum ibv_wc_status refused(enum ibv_wr_opcode opcode, char *where, uint32_t len,
				  uint32_t key)
{
	struct ibv_sge sge = { (uintptr_t)near.memory, len, near.mr->lkey };
	struct ibv_send_wr wr = { .sg_list = &sge, .num_sge = 1, .opcode = opcode };

	if (is_atomic(opcode)) {
		wr.wr.atomic.remote_addr = (uintptr_t)where;
		wr.wr.atomic.rkey = key;
	} else {
		wr.wr.rdma.remote_addr = (uintptr_t)where;
		wr.wr.rdma.rkey = key;
	}
	return end_by(wr);
}

static enum ibv_wc_status too_long(void)
{
	struct ibv_sge sge = { (uintptr_t)near.memory, 5000, near.mr->lkey };
	struct ibv_send_wr wr = { .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND };

	end_post_receive(&far.end, far.memory, 500, far.mr->lkey, 0);
	return end_by(wr);
}

#define NO_ACCESS(...) CHECK(refused(__VA_ARGS__) == IBV_WC_REM_ACCESS_ERR)

void refusals(void)
{
	char *late;

	set_up();
	late = far.memory + SIZE - 4999;
	fill();
	NO_ACCESS(IBV_WR_RDMA_WRITE, far.memory, 5000, rkey ^ 1);
	NO_ACCESS(IBV_WR_RDMA_READ, far.memory, 5000, rkey ^ 1);
	NO_ACCESS(IBV_WR_ATOMIC_FETCH_AND_ADD, far.memory, 8, rkey ^ 1);
	NO_ACCESS(IBV_WR_RDMA_WRITE, late, 5000, rkey);
	NO_ACCESS(IBV_WR_RDMA_READ, late, 5000, rkey);
	/* Its provider would not have it posted. */
	if (near.on_demand)
		CHECK(refused(IBV_WR_ATOMIC_CMP_AND_SWP, far.memory + 4, 8, rkey) ==
		      IBV_WC_REM_INV_REQ_ERR);
	if (far.on_demand) {
		CHECK(too_long() == IBV_WC_REM_INV_REQ_ERR);
	} else {
		CHECK(too_long() == IBV_WC_REM_OP_ERR);
		puts("rdma_rxe: a SEND that is too long is not an invalid request, but a failed one");
	}
	round_of(by_key, BY_KEY, 0);
	disconnect_ends();
}

/* --- Windows ----------------------------------------------------------------------- */

static struct ibv_mw_bind_info whole_memory(void)
{
	return (struct ibv_mw_bind_info){
		far.mr, (uintptr_t)far.memory, SIZE,
		IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC,
	};
}

void window_one(void)
{
	struct ibv_mw_bind bind = { .wr_id = 1 };
	struct ibv_mw *mw;
	int i;

	set_up();
	bind.bind_info = whole_memory();
	CHECK((mw = ibv_alloc_mw(nics[1].pd, IBV_MW_TYPE_1)));
	CHECK(!ibv_bind_mw(far.end.qp, mw, &bind));
	end_done(&far.end);
	rkey = mw->rkey;
	for (i = 0; i < rounds(); i++)
		round_of(by_key, BY_KEY, i);
	CHECK(!ibv_dealloc_mw(mw));
	if (!lossy)
		NO_ACCESS(IBV_WR_RDMA_WRITE, far.memory, 8, rkey);
	rkey = far.mr->rkey;
	round_of(by_key, BY_KEY, 0);
	disconnect_ends();
}

static void bind_two(struct ibv_mw *mw)
{
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_BIND_MW,
		.bind_mw = { .mw = mw, .rkey = ibv_inc_rkey(mw->rkey), .bind_info = whole_memory() },
	}, *bad;

	CHECK(!ibv_post_send(far.end.qp, &wr, &bad));
	end_done(&far.end);
	mw->rkey = wr.bind_mw.rkey;
	rkey = mw->rkey;
}

/* The last message of each round takes the key back. */
void window_two(void)
{
	enum ibv_wr_opcode opcodes[PIECES];
	struct ibv_mw *mw;
	int i;

	for (i = 0; i < PIECES - 1; i++)
		opcodes[i] = by_key[i % BY_KEY];
	opcodes[i] = IBV_WR_SEND_WITH_INV;
	set_up();
	CHECK((mw = ibv_alloc_mw(nics[1].pd, IBV_MW_TYPE_2)));
	for (i = 0; i < rounds(); i++) {
		bind_two(mw);
		round_of(opcodes, PIECES, i);
	}
	if (!lossy)
		NO_ACCESS(IBV_WR_RDMA_WRITE, far.memory, 8, rkey);
	bind_two(mw);
	round_of(opcodes, PIECES, 0);
	CHECK(!ibv_dealloc_mw(mw));
	disconnect_ends();
	if (!far.on_demand)
		puts("rdma_rxe: a completion with a key taken back says IBV_WC_IP_CSUM_OK, not IBV_WC_WITH_INV");
}
