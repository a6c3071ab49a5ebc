// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Answers to requests of the queue pair's own, of which there are several: right ones
 * that were changed, at the right place or another one; then the right ones of all that
 * is left.
 */
#include "fuzz.h"

static const enum ibv_wr_opcode sends[] = {
	IBV_WR_SEND, IBV_WR_SEND_WITH_IMM, IBV_WR_SEND_WITH_INV,
	IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE_WITH_IMM,
};
static const enum ibv_wr_opcode atomics[] = {
	IBV_WR_ATOMIC_FETCH_AND_ADD, IBV_WR_ATOMIC_CMP_AND_SWP,
};

static void post(const struct ask *ask)
{
	/* What is a READ of nothing may as well be an ATOMIC WRITE. */
	bool store = ask->kind == READ && !ask->len;
	struct ibv_sge sge = { (uintptr_t)ask->to, store ? 8 : ask->len, mrs[ANSWER]->lkey };
	struct ibv_send_wr wr = { .wr_id = model.asked, .sg_list = &sge, .num_sge = 1 }, *bad;

	wr.opcode = store ? IBV_WR_ATOMIC_WRITE : ask->kind == READ ? IBV_WR_RDMA_READ :
		    ask->kind == ATOMIC ? atomics[any(2)] : sends[any(5)];
	if (ask->kind == ATOMIC)
		wr.wr.atomic.remote_addr = 0x1000;
	else if (ask->kind == READ || wr.opcode == IBV_WR_RDMA_WRITE ||
		 wr.opcode == IBV_WR_RDMA_WRITE_WITH_IMM)
		wr.wr.rdma.remote_addr = 0x1000;
	wr.qp_type.xrc.remote_srqn = 1;
	CHECK(!ibv_post_send(victim.qp, &wr, &bad));
}

/* A request that is answered by packets of an opcode, or of any */
static void ask(uint8_t opcode)
{
	struct ask *ask = &model.asks[model.asked];

	ask->to = area(ANSWER) + model.asked++ * ASK_SIZE;
	ask->kind = kinds[opcode] & DATA ? READ : kinds[opcode] & OLD ? ATOMIC : 0;
	ask->len = ask->kind == ATOMIC || percent(10) ? 8 : opcode == READ_ONLY ? percent(80) * any(MTU + 1) :
		   opcode == ACKNOWLEDGE ? any(ASK_SIZE + 1) : 2 * MTU + 1 + any(MTU);
	ask->psn = model.sq_psn;
	ask->npsns = (ask->len + MTU - 1) / MTU ?: 1;
	model.sq_psn = (model.sq_psn + ask->npsns) & PSN_MASK;
	post(ask);
}

static void make_answer(struct packet *packet, uint8_t opcode, uint32_t psn, uint32_t len)
{
	unsigned char *bytes = packet->bytes;

	begin(packet, opcode, psn, len);
	if (kinds[opcode] & AETH)
		put(bytes + BTH, 0x1f000000, 4);
	if (kinds[opcode] & OLD)
		noise(bytes + BTH + 4, 8);
}

/*
 * The peer has receives for all of them: it says so about what it has acknowledged
 * before. On a new connection, where it has counted no message, that may be a number.
 */
static void make_room(void)
{
	struct packet packet;

	make_answer(&packet, ACKNOWLEDGE, model.una - 1, 0);
	if (model.una == victim.psn && percent(50))
		packet.bytes[BTH] = ASKS + any(31 - ASKS);
	seal(&packet);
	deliver(&packet);
}

/* All of them are sent when this returns. Return: the one for the opcode */
static struct ask *ask_all(uint8_t opcode)
{
	static const uint8_t opcodes[] = { READ_FIRST, READ_ONLY, ATOMIC_ACKNOWLEDGE, ACKNOWLEDGE };
	unsigned int n = 1 + any(ASKS), which = any(n), i;
	double until = now() + patience();

	model.asked = model.answered = model.completed = 0;
	make_room();
	for (i = 0; i < n; i++)
		ask(i == which ? opcode : opcodes[any(4)]);
	while (query().sq_psn != model.sq_psn)
		CHECK(now() < until);
	return &model.asks[which];
}

static uint8_t any_syndrome(void)
{
	if (percent(40))
		return any(32);
	if (percent(30))
		return 0x20 | any(32);
	return percent(90) ? 0x60 | any(4) : any(256);
}

/* What the peer sends next, if all is well */
static void make_right(struct packet *packet)
{
	const struct ask *ask = oldest_ask();
	uint32_t n = psn_diff(model.una, ask->psn), left = ask->len - n * MTU;
	bool last = n + 1 == ask->npsns;

	if (ask->kind == READ)
		make_answer(packet, last ? (n ? READ_LAST : READ_ONLY) : n ? READ_MIDDLE : READ_FIRST,
			    model.una, last ? left : MTU);
	else if (ask->kind == ATOMIC)
		make_answer(packet, ATOMIC_ACKNOWLEDGE, model.una, 0);
	else
		make_answer(packet, ACKNOWLEDGE, ask->psn + ask->npsns - 1, 0);
	seal(packet);
}

static void deliver_right(void)
{
	struct packet packet;

	make_right(&packet);
	deliver(&packet);
	CHECK(model.alive);
}

/* Until the opcode is next, as a rule */
static void lead_up_to(const struct ask *ask, uint8_t opcode)
{
	uint32_t psn = opcode == READ_MIDDLE ? 1 : opcode == READ_LAST ? ask->npsns - 1 : 0;

	if (percent(20))
		return;
	while (psn_diff(model.una, ask->psn + psn) < 0)
		deliver_right();
}

/* One of the opcode, not always where it belongs */
static void make_any(struct packet *packet, uint8_t opcode)
{
	uint32_t len = opcode == READ_FIRST || opcode == READ_MIDDLE || percent(20) ? MTU :
		       percent(20) ? 8 : any(MTU + 1);
	uint32_t all = psn_diff(model.sq_psn, model.una);

	make_answer(packet, opcode, percent(30) ? model.una : model.una - 2 + any(all + 4),
		    kinds[opcode] & DATA ? len : 0);
	if (opcode == ACKNOWLEDGE)
		packet->bytes[BTH] = any_syndrome();
	seal(packet);
}

void answer_round(uint8_t opcode)
{
	struct ask *ask = ask_all(opcode);
	struct packet packet;
	unsigned int i;

	lead_up_to(ask, opcode);
	for (i = 1 + any(3); i && model.alive && oldest_ask(); i--) {
		if (percent(50))
			make_right(&packet);
		else
			make_any(&packet, opcode);
		if (percent(80))
			spoil(&packet);
		deliver(&packet);
	}
	/* Was something done that should not have been, or is still to be? */
	while (model.alive && oldest_ask())
		deliver_right();
}
