// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What packets do, by the specification: IBTA volume 1, chapter 9, annexes A17 and A19 */
#include "fuzz.h"

#include <string.h>

#define UNKNOWN (OTHER | ONLY | DATA)

const unsigned int kinds[OPCODES] = {
	[SEND_FIRST] = SEND | FIRST | DATA,
	[SEND_MIDDLE] = SEND | DATA,
	[SEND_LAST] = SEND | LAST | DATA,
	[SEND_LAST_IMM] = SEND | LAST | IMM | DATA,
	[SEND_ONLY] = SEND | ONLY | DATA,
	[SEND_ONLY_IMM] = SEND | ONLY | IMM | DATA,
	[WRITE_FIRST] = WRITE | FIRST | RETH | DATA,
	[WRITE_MIDDLE] = WRITE | DATA,
	[WRITE_LAST] = WRITE | LAST | DATA,
	[WRITE_LAST_IMM] = WRITE | LAST | IMM | DATA,
	[WRITE_ONLY] = WRITE | ONLY | RETH | DATA,
	[WRITE_ONLY_IMM] = WRITE | ONLY | RETH | IMM | DATA,
	[READ_REQUEST] = READ | ONLY | RETH,
	[READ_FIRST] = RESPONSE | AETH | DATA,
	[READ_MIDDLE] = RESPONSE | DATA,
	[READ_LAST] = RESPONSE | AETH | DATA,
	[READ_ONLY] = RESPONSE | AETH | DATA,
	[ACKNOWLEDGE] = RESPONSE | AETH,
	[ATOMIC_ACKNOWLEDGE] = RESPONSE | AETH | OLD,
	[COMPARE_SWAP] = ATOMIC | ONLY | AETHER,
	[FETCH_ADD] = ATOMIC | ONLY | AETHER,
	[SEND_LAST_INV] = SEND | LAST | INV | DATA,
	[SEND_ONLY_INV] = SEND | ONLY | INV | DATA,
	[ATOMIC_WRITE] = ATOMIC | ONLY | RETH | DATA,
	[FLUSH] = ONLY | FETH | RETH,
	[UNKNOWN_OPCODE] = UNKNOWN, [0x18 ... 0x1b] = UNKNOWN, [0x1e ... 0x1f] = UNKNOWN,
};

struct model model;

unsigned int base_size(unsigned int kind)
{
	return BTH + (role->service == XRC && !(kind & RESPONSE)) * 4 + !!(kind & FETH) * 4;
}

unsigned int header_size(unsigned int kind)
{
	return base_size(kind) + !!(kind & RETH) * 16 + !!(kind & AETH) * 4 +
	       !!(kind & (IMM | INV)) * 4 + !!(kind & AETHER) * 28 + !!(kind & OLD) * 8;
}

int32_t psn_diff(uint32_t a, uint32_t b)
{
	return (int32_t)((a - b) << 8) >> 8;
}

static void parse_extensions(const unsigned char *bytes, struct header *h)
{
	const unsigned char *from = bytes + base_size(h->kind);

	if (role->service == XRC)
		h->srqn = get(bytes + BTH + 1, 3);
	if (h->kind & FETH)
		h->flush = get(from - 4, 4);
	if (h->kind & (RETH | AETHER)) {
		h->va = get(from, 8);
		h->rkey = get(from + 8, 4);
		h->length = h->kind & RETH ? get(from + 12, 4) : 8;
		h->swap_add = get(from + 12, 8);
		h->compare = get(from + 20, 8);
	}
	if (h->kind & INV)
		h->rkey = get(from, 4);
	if (h->kind & AETH)
		h->syndrome = from[0];
	if (h->kind & OLD)
		h->swap_add = get(from + 4, 8);
}

/* Is it for one of the halves that the queue pair has, and of its service? */
static bool is_for(uint8_t opcode)
{
	unsigned int kind = kinds[opcode];

	if (role->service == UC)
		return opcode <= WRITE_ONLY_IMM;
	return kind & RESPONSE ? role->asks : role->responds;
}

/* Is it a packet for the queue pair at all? NOTHING: no; ANY: nobody says; else @h is filled in. */
static enum outcome parse(const struct packet *packet, struct header *h)
{
	const unsigned char *bytes = packet->bytes;
	unsigned int pad = bytes[1] >> 4 & 3, len = net_length(packet), size;
	enum outcome outcome = net_judge(packet);

	if (outcome == NOTHING || !net_from_peer(packet) || len < 16 || bytes[1] & 15 ||
	    (get(bytes + 2, 2) & 0x7fff) != 0x7fff || get(bytes + 5, 3) != victim.qp->qp_num ||
	    !sealed(packet, len) || (bytes[0] & SERVICE) != role->service)
		return NOTHING;
	h->opcode = bytes[0] & ~SERVICE;
	if (!is_for(h->opcode))
		return NOTHING;
	h->kind = kinds[h->opcode];
	h->psn = get(bytes + 9, 3);
	size = header_size(h->kind);
	if (len < size + pad + 4)
		return NOTHING;
	h->data = bytes + size;
	h->len = len - size - pad - 4;
	if (h->len && !(h->kind & DATA))
		return NOTHING;
	/* Payload and padding are words; nobody says what becomes of others. */
	if (len % 4)
		return ANY;
	parse_extensions(bytes, h);
	return outcome;
}

static enum outcome judge_send(const struct header *h)
{
	if (h->kind & FIRST)
		model.received = 0;
	if (model.received + h->len > RECEIVE_SIZE)
		return ENDED;
	memcpy(shadow_of(area(RECEIVE)) + model.received, h->data, h->len);
	model.received += h->len;
	/* The data is there by then. */
	if (h->kind & INV && !key_invalidate(h->rkey))
		return ENDED;
	model.open = h->kind & LAST ? 0 : SEND;
	return EXECUTED;
}

/* Of no bytes any key is right. */
static unsigned char *target_of(uint32_t rkey, uint64_t va, uint32_t len, int access)
{
	return len ? key_target(rkey, va, len, access) : area(TARGET);
}

static enum outcome judge_write(const struct header *h)
{
	unsigned char *to;

	if (h->kind & FIRST) {
		if (!target_of(h->rkey, h->va, h->length, IBV_ACCESS_REMOTE_WRITE))
			return ENDED;
		model.va = h->va;
		model.rkey = h->rkey;
		model.left = h->length;
	}
	if (h->kind & LAST ? h->len != model.left : h->len >= model.left)
		return ENDED;
	/* The key may have become invalid. */
	to = target_of(model.rkey, model.va, h->len, IBV_ACCESS_REMOTE_WRITE);
	if (!to)
		return ENDED;
	memcpy(shadow_of(to), h->data, h->len);
	model.va += h->len;
	model.left -= h->len;
	model.open = h->kind & LAST ? 0 : WRITE;
	return EXECUTED;
}

static enum outcome judge_atomic(const struct header *h)
{
	int access = h->kind & AETHER ? IBV_ACCESS_REMOTE_ATOMIC : IBV_ACCESS_REMOTE_WRITE;
	unsigned char *at = key_target(h->rkey, h->va, 8, access);
	uint64_t old, new;

	if (h->va % 8 || h->length != 8 || (h->kind & DATA && h->len != 8) || !at ||
	    (uintptr_t)at % 8)
		return ENDED;
	memcpy(&old, shadow_of(at), 8);
	if (h->opcode == ATOMIC_WRITE)
		memcpy(&new, h->data, 8);
	else
		new = h->opcode == FETCH_ADD ? old + h->swap_add : old == h->compare ? h->swap_add : old;
	memcpy(shadow_of(at), &new, 8);
	return EXECUTED;
}

static enum outcome judge_read(const struct header *h)
{
	if (h->length > 1 << 30 || !target_of(h->rkey, h->va, h->length, IBV_ACCESS_REMOTE_READ))
		return ENDED;
	return EXECUTED;
}

/* Nothing is to be seen of it. Reserved bits say nothing; no memory is persistent. */
static enum outcome judge_flush(const struct header *h)
{
	uint32_t types = h->flush & 0xf, level = h->flush & 0x30;
	bool all = level == FLUSH_REGION || !h->length;

	if (types != FLUSH_GLOBAL || (level && level != FLUSH_REGION) ||
	    (!level && h->length > 1U << 31))
		return ENDED;
	if (all ? key_allows(h->rkey, ACCESS_FLUSH) :
		  !!key_target(h->rkey, h->va, h->length, ACCESS_FLUSH))
		return EXECUTED;
	return ENDED;
}

static bool fits(const struct header *h)
{
	if (!(h->kind & DATA))
		return true;
	if (!(h->kind & LAST))
		return h->len == MTU;
	return h->len <= MTU && (h->len || h->kind & FIRST);
}

/* The packet that is next */
static enum outcome execute(const struct header *h)
{
	if (!(h->kind & FIRST) != !!model.open || !fits(h) ||
	    (role->service == XRC && h->srqn != srqn) ||
	    (model.open && !(h->kind & model.open)) || h->kind & OTHER)
		return ENDED;
	if (h->kind & SEND)
		return judge_send(h);
	if (h->kind & WRITE)
		return judge_write(h);
	if (h->kind & FETH)
		return judge_flush(h);
	return h->kind & ATOMIC ? judge_atomic(h) : judge_read(h);
}

/* What is wrong on an unreliable connection is lost, and its message with it. */
static enum outcome judge_unreliable(const struct header *h)
{
	enum outcome outcome;

	if (h->psn != model.epsn || h->kind & FIRST)
		model.open = 0;
	outcome = execute(h);
	if (outcome == ENDED) {
		model.open = 0;
		outcome = LOST;
	}
	model.epsn = (h->psn + 1) & PSN_MASK;
	return outcome;
}

static enum outcome judge_request(const struct header *h)
{
	uint32_t psns = h->kind & READ ? (h->length + MTU - 1) / MTU ?: 1 : 1;
	enum outcome outcome;

	if (role->service == UC)
		return judge_unreliable(h);
	if (h->psn != model.epsn)
		return NOTHING;
	outcome = execute(h);
	if (outcome == EXECUTED)
		model.epsn = (model.epsn + psns) & PSN_MASK;
	return outcome;
}

enum outcome judge(const struct packet *packet)
{
	struct header h = { 0 };
	enum outcome outcome = parse(packet, &h);

	if (outcome != EXECUTED)
		return outcome;
	return h.kind & RESPONSE ? judge_answer(&h) : judge_request(&h);
}
