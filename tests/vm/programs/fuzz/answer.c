// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Answers to requests of the queue pair's own, where the model is coarse: one that is
 * wrong as a packet changes nothing, and then the right one completes the request;
 * any other may complete it in any way. In both cases no other memory may change.
 */
#include "fuzz.h"

#include <string.h>

static uint32_t ask(uint8_t opcode)
{
	bool atomic = opcode == ATOMIC_ACKNOWLEDGE, store = opcode == READ_ONLY && percent(30);
	enum ibv_wr_opcode what = atomic ? IBV_WR_ATOMIC_FETCH_AND_ADD :
				  store ? IBV_WR_ATOMIC_WRITE :
				  opcode == ACKNOWLEDGE ? IBV_WR_RDMA_WRITE : IBV_WR_RDMA_READ;
	uint32_t len = atomic || store ? 8 : opcode == READ_ONLY || opcode == ACKNOWLEDGE ? 1 + any(MTU) :
		       MTU + 1 + any(2 * MTU);
	struct ibv_sge sge = { (uintptr_t)area(ANSWER), len, mrs[ANSWER]->lkey };
	struct ibv_send_wr wr = { .sg_list = &sge, .num_sge = 1, .opcode = what }, *bad;

	if (atomic)
		wr.wr.atomic.remote_addr = 0x1000;
	else
		wr.wr.rdma.remote_addr = 0x1000;
	CHECK(!ibv_post_send(victim.qp, &wr, &bad));
	/* The response to an ATOMIC WRITE is empty. */
	return store ? 0 : len;
}

static void make_answer(struct packet *packet, uint8_t opcode, uint32_t psn, uint32_t len)
{
	begin(packet, opcode, psn, len);
	if (kinds[opcode] & AETH)
		put(packet->bytes + BTH, 0x1f000000, 4);
	if (kinds[opcode] & OLD)
		noise(packet->bytes + BTH + 4, 8);
	seal(packet);
}

/* All of the right answer to what ask() has asked for */
static void answer(uint8_t opcode, uint32_t len)
{
	uint32_t psns = kinds[opcode] & DATA ? (len + MTU - 1) / MTU ?: 1 : 1, i;
	struct packet packet;

	for (i = 0; i < psns; i++) {
		uint8_t part = !(kinds[opcode] & DATA) ? opcode : psns == 1 ? READ_ONLY :
			       !i ? READ_FIRST : i + 1 < psns ? READ_MIDDLE : READ_LAST;
		uint32_t n = !(kinds[opcode] & DATA) ? 0 : i + 1 < psns ? MTU : len - i * MTU;

		make_answer(&packet, part, model.sq_psn + i, n);
		transmit(&packet);
		if (n)
			memcpy(shadow_of(area(ANSWER)) + i * MTU,
			       packet.bytes + header_size(kinds[part]), n);
		else if (part == ATOMIC_ACKNOWLEDGE)
			put(shadow_of(area(ANSWER)),
			    __builtin_bswap64(get(packet.bytes + BTH + 4, 8)), 8);
	}
	model.sq_psn = (model.sq_psn + psns) & PSN_MASK;
}

void answer_round(uint8_t opcode)
{
	struct header h = { 0 };
	struct packet packet;
	uint32_t len, n, skip;

	if (!model.alive || model.open)
		connect_anew();
	len = ask(opcode);
	skip = opcode == READ_MIDDLE || opcode == READ_LAST;
	n = !(kinds[opcode] & DATA) ? 0 : len < MTU || opcode == READ_ONLY ? len : MTU;
	make_answer(&packet, opcode, model.sq_psn + skip, n);
	spoil(&packet);
	transmit(&packet);
	if (parse(&packet, &h) == NOTHING) {
		done[NOTHING]++;
		answer(opcode, len);
		end_done(&victim);
		return;
	}
	/* A change may have made a request of it. */
	done[ANY]++;
	start_over();
}
