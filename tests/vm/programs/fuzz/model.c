// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What packets do, by the specification: IBTA volume 1, chapter 9, and annex A17 */
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
	[SEND_LAST_INV] = SEND | LAST | IMM | DATA,
	[SEND_ONLY_INV] = SEND | ONLY | IMM | DATA,
	[ATOMIC_WRITE] = ATOMIC | ONLY | RETH | DATA,
	[FLUSH] = UNKNOWN, [0x15] = UNKNOWN, [0x18 ... 0x1b] = UNKNOWN, [0x1e ... 0x1f] = UNKNOWN,
};

struct model model;

unsigned int base_size(unsigned int kind)
{
	return BTH + (xrc && !(kind & RESPONSE)) * 4;
}

unsigned int header_size(unsigned int kind)
{
	return base_size(kind) + !!(kind & RETH) * 16 + !!(kind & (AETH)) * 4 + !!(kind & IMM) * 4 +
	       !!(kind & AETHER) * 28 + !!(kind & OLD) * 8;
}

/* Is it a packet for the queue pair at all? */
enum outcome parse(const struct packet *packet, struct header *h)
{
	const unsigned char *bytes = packet->bytes;
	unsigned int pad = bytes[1] >> 4 & 3, size, base;

	if (packet->len < 16 || bytes[1] & 15 || (get(bytes + 2, 2) & 0x7fff) != 0x7fff ||
	    get(bytes + 5, 3) != victim.qp->qp_num || !sealed(packet) ||
	    (bytes[0] & SERVICE) != (xrc ? XRC : RC))
		return NOTHING;
	h->opcode = bytes[0] & ~SERVICE;
	/* What the key is of, this program does not know. */
	if (h->opcode == SEND_LAST_INV || h->opcode == SEND_ONLY_INV)
		return ANY;
	h->kind = kinds[h->opcode];
	h->psn = get(bytes + 9, 3);
	size = header_size(h->kind);
	if (packet->len < size + pad + 4)
		return NOTHING;
	h->data = bytes + size;
	h->len = packet->len - size - pad - 4;
	if (h->len && !(h->kind & DATA))
		return NOTHING;
	/* Payload and padding are words; nobody says what becomes of others. */
	if (packet->len % 4)
		return ANY;
	if (xrc)
		h->srqn = get(bytes + BTH + 1, 3);
	if (h->kind & (RETH | AETHER)) {
		base = base_size(h->kind);
		h->va = get(bytes + base, 8);
		h->rkey = get(bytes + base + 8, 4);
		h->length = h->kind & RETH ? get(bytes + base + 12, 4) : 8;
		h->swap_add = get(bytes + base + 12, 8);
		h->compare = get(bytes + base + 20, 8);
	}
	return EXECUTED;
}

static bool allowed(const struct header *h)
{
	uint64_t first = (uintptr_t)area(TARGET);

	if (!h->length)
		return true;
	return h->rkey == mrs[TARGET]->rkey && h->va >= first && h->length <= AREA &&
	       h->va - first <= AREA - h->length;
}

static enum outcome judge_send(const struct header *h)
{
	if (h->kind & FIRST)
		model.received = 0;
	if (model.received + h->len > RECEIVE_SIZE)
		return ENDED;
	memcpy(shadow_of(area(RECEIVE)) + model.received, h->data, h->len);
	model.received += h->len;
	model.open = h->kind & LAST ? 0 : SEND;
	return EXECUTED;
}

static enum outcome judge_write(const struct header *h)
{
	if (h->kind & FIRST) {
		if (!allowed(h))
			return ENDED;
		model.va = h->va;
		model.left = h->length;
	}
	if (h->kind & LAST ? h->len != model.left : h->len >= model.left)
		return ENDED;
	if (h->len)
		memcpy(shadow_of((void *)model.va), h->data, h->len);
	model.va += h->len;
	model.left -= h->len;
	model.open = h->kind & LAST ? 0 : WRITE;
	return EXECUTED;
}

static enum outcome judge_atomic(const struct header *h)
{
	uint64_t old, new;

	if (h->va % 8 || h->length != 8 || (h->kind & DATA && h->len != 8) || !allowed(h))
		return ENDED;
	memcpy(&old, shadow_of((void *)h->va), 8);
	if (h->opcode == ATOMIC_WRITE)
		memcpy(&new, h->data, 8);
	else
		new = h->opcode == FETCH_ADD ? old + h->swap_add : old == h->compare ? h->swap_add : old;
	memcpy(shadow_of((void *)h->va), &new, 8);
	return EXECUTED;
}

static bool fits(const struct header *h)
{
	if (!(h->kind & DATA))
		return true;
	if (!(h->kind & LAST))
		return h->len == MTU;
	return h->len <= MTU && (h->len || h->kind & FIRST);
}

enum outcome judge(const struct packet *packet)
{
	struct header h = { 0 };
	enum outcome outcome = parse(packet, &h);
	uint32_t psns = 1;

	if (outcome != EXECUTED || h.kind & RESPONSE)
		return outcome == ANY ? ANY : NOTHING;
	if (h.psn != model.epsn)
		return NOTHING;
	if (!(h.kind & FIRST) != !!model.open || !fits(&h) || (xrc && h.srqn != srqn) ||
	    (model.open && !(h.kind & model.open)) || h.kind & OTHER)
		return ENDED;
	if (h.kind & SEND)
		outcome = judge_send(&h);
	else if (h.kind & WRITE)
		outcome = judge_write(&h);
	else if (h.kind & ATOMIC)
		outcome = judge_atomic(&h);
	else if (h.length > 1 << 30 || !allowed(&h))
		outcome = ENDED;
	else
		psns = (h.length + MTU - 1) / MTU ?: 1;
	if (outcome == EXECUTED)
		model.epsn = (model.epsn + psns) & PSN_MASK;
	return outcome;
}
