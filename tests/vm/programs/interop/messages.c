/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* One message for each piece of memory */
#include "interop.h"

#include <arpa/inet.h>
#include <string.h>

enum { MULTICAST_QPN = 0xffffff };

/* All different: of what may get lost the length says which one it is. */
static const uint32_t lengths[PIECES] = {
	0, 1, 7, 8, 255, 1023, 1024, 1025, 2047, 2048, 4096, 5000, 8191, 9001, 12289, LONGEST,
};
static const uint32_t datagram_lengths[PIECES] = {
	0, 1, 2, 3, 7, 8, 63, 64, 65, 255, 256, 511, 1000, 1022, 1023, LONGEST_DATAGRAM,
};
/* Where in its first page a message begins */
static const uint32_t offsets[] = { 0, 1, 3, 7, 64, 1531, 2048, 4088, 4095 };

enum { OFFSETS = sizeof(offsets) / sizeof(offsets[0]) };

struct message messages[PIECES];

bool is_atomic(enum ibv_wr_opcode opcode)
{
	return opcode == IBV_WR_ATOMIC_CMP_AND_SWP || opcode == IBV_WR_ATOMIC_FETCH_AND_ADD;
}

bool is_write(enum ibv_wr_opcode opcode)
{
	return opcode == IBV_WR_RDMA_WRITE || opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}

bool is_received(enum ibv_wr_opcode opcode)
{
	return !is_atomic(opcode) && opcode != IBV_WR_RDMA_READ && opcode != IBV_WR_RDMA_WRITE;
}

bool has_imm(enum ibv_wr_opcode opcode)
{
	return opcode == IBV_WR_SEND_WITH_IMM || opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}

static char *place(const struct side *side, int piece, int turn)
{
	return side->memory + piece * PIECE + offsets[turn % OFFSETS];
}

static void make_atomic(struct message *m, int i)
{
	uint64_t now;

	m->far = (char *)((uintptr_t)m->far & -sizeof(now));
	m->len = sizeof(now);
	memcpy(&now, m->far, sizeof(now));
	memcpy(&m->swap, m->near, sizeof(now));
	m->add = m->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD ? m->swap :
		 /* Some are not what is there. */
		 i % 3 ? now : now ^ 1ULL << i;
}

void message_make(int i, enum ibv_wr_opcode opcode, int round)
{
	bool datagram = operation->type == IBV_QPT_UD;

	messages[i] = (struct message){
		.opcode = opcode,
		.near = place(&near, i, i + round),
		.far = place(&far, i, 2 * i + round + 3),
		.len = (datagram ? datagram_lengths : lengths)[(5 * i + round) % PIECES],
	};
	if (is_atomic(opcode))
		make_atomic(&messages[i], i);
}

static void expect_atomic(const struct message *m)
{
	uint64_t old, new;

	memcpy(&old, m->far, sizeof(old));
	new = m->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD ? old + m->add :
	      m->add == old ? m->swap : old;
	memcpy(expected(&near, m->near), &old, sizeof(old));
	memcpy(expected(&far, m->far), &new, sizeof(new));
}

void message_expect(const struct message *m)
{
	if (is_atomic(m->opcode))
		expect_atomic(m);
	else if (m->opcode == IBV_WR_RDMA_READ)
		memcpy(expected(&near, m->near), m->far, m->len);
	else
		memcpy(expected(&far, m->far), m->near, m->len);
}

static void set_target(struct ibv_send_wr *wr, const struct message *m)
{
	if (operation->type == IBV_QPT_UD) {
		wr->wr.ud.ah = near.ah;
		wr->wr.ud.remote_qpn = operation->multicast ? MULTICAST_QPN : far.end.qp->qp_num;
		wr->wr.ud.remote_qkey = QKEY;
	} else if (is_atomic(m->opcode)) {
		wr->wr.atomic.remote_addr = (uintptr_t)m->far;
		wr->wr.atomic.rkey = rkey;
		wr->wr.atomic.compare_add = m->add;
		wr->wr.atomic.swap = m->swap;
	} else {
		wr->wr.rdma.remote_addr = (uintptr_t)m->far;
		wr->wr.rdma.rkey = rkey;
	}
}

void post(int i)
{
	const struct message *m = &messages[i];
	struct ibv_sge sge = { (uintptr_t)m->near, m->len, near.mr->lkey };
	struct ibv_send_wr wr = {
		.wr_id = i, .sg_list = &sge, .num_sge = 1, .opcode = m->opcode,
		.imm_data = htonl(i),
	}, *bad;

	set_target(&wr, m);
	if (m->opcode == IBV_WR_SEND_WITH_INV) {
		wr.invalidate_rkey = rkey;
		/* Else a READ before could need the key once more. */
		wr.send_flags = IBV_SEND_FENCE;
	}
	CHECK(!ibv_post_send(near.end.qp, &wr, &bad));
}

void post_receive(int i, uint32_t len)
{
	struct ibv_sge sge = { (uintptr_t)messages[i].far, len, far.mr->lkey };
	struct ibv_recv_wr wr = { .wr_id = i, .sg_list = &sge, .num_sge = 1 }, *bad;

	if (far.end.srq)
		CHECK(!ibv_post_srq_recv(far.end.srq, &wr, &bad));
	else
		CHECK(!ibv_post_recv(far.end.qp, &wr, &bad));
}

void check_sent(void)
{
	uint64_t i;

	for (i = 0; i < PIECES; i++) {
		struct ibv_wc wc = end_wait(&near.end);

		if (wc.status)
			printf("message %d: %s\n", (int)i, ibv_wc_status_str(wc.status));
		CHECK(!wc.status && wc.wr_id == i);
	}
}

static unsigned int flag_of_inv(void)
{
	return far.on_demand ? IBV_WC_WITH_INV : IBV_WC_IP_CSUM_OK;
}

void check_received(const struct ibv_wc *wc, int i)
{
	enum ibv_wr_opcode opcode = messages[i].opcode;

	if (wc->status)
		printf("receive %d: %s\n", i, ibv_wc_status_str(wc->status));
	CHECK(!wc->status && wc->qp_num == far.end.qp->qp_num);
	CHECK(wc->opcode == (is_write(opcode) ? IBV_WC_RECV_RDMA_WITH_IMM : IBV_WC_RECV));
	CHECK(!(wc->wc_flags & IBV_WC_WITH_IMM) == !has_imm(opcode));
	if (has_imm(opcode))
		CHECK(wc->imm_data == htonl(i));
	if (opcode == IBV_WR_SEND_WITH_INV)
		CHECK(wc->invalidated_rkey == rkey && wc->wc_flags & flag_of_inv());
	else
		CHECK(!(wc->wc_flags & flag_of_inv()));
}
