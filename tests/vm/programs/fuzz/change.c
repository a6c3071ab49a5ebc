// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Right packets, and what is done to them */
#include "fuzz.h"

#include <string.h>

void begin(struct packet *packet, uint8_t opcode, uint32_t psn, unsigned int len)
{
	unsigned int pad = -len & 3;

	memset(packet, 0, sizeof(*packet));
	packet->bytes[0] = opcode | role->service;
	packet->bytes[1] = 0x40 | pad << 4 | any(2) << 7;
	put(packet->bytes + 2, 0xffff, 2);
	put(packet->bytes + 5, victim.qp->qp_num, 3);
	put(packet->bytes + 8, any(2) << 7, 1);
	put(packet->bytes + 9, psn & PSN_MASK, 3);
	if (base_size(kinds[opcode]) > BTH)
		put(packet->bytes + BTH, srqn, 4);
	packet->len = header_size(kinds[opcode]) + len + pad + 4;
	noise(packet->bytes + header_size(kinds[opcode]), len);
	net_headers(packet);
}

static unsigned int any_length(unsigned int kind)
{
	if (!(kind & DATA))
		return 0;
	if (!(kind & LAST))
		return MTU;
	if (kind & ATOMIC)
		return 8;
	return percent(20) ? MTU : 1 + any(MTU);
}

static int access_of(unsigned int kind)
{
	if (kind & FETH)
		return ACCESS_FLUSH;
	if (kind & READ)
		return IBV_ACCESS_REMOTE_READ;
	return kind & AETHER ? IBV_ACCESS_REMOTE_ATOMIC : IBV_ACCESS_REMOTE_WRITE;
}

/* Where a request goes to; if it is an atomic: aligned in memory, or by its address */
static void put_target(unsigned char *to, unsigned int kind, uint32_t length)
{
	const struct key *key = key_for(access_of(kind), kind & ATOMIC ? 16 : length);
	uint64_t offset = any(key->len - length + 1);

	if (kind & ATOMIC) {
		offset = any(key->len / 8 - 1) * 8;
		offset += -(percent(50) ? (uintptr_t)key->start : key->first) & 7;
	}
	put(to, key->first + offset, 8);
	put(to + 8, key->rkey, 4);
}

/* A reserved bit is none that says something. */
static uint32_t any_flush(void)
{
	return FLUSH_GLOBAL | (percent(30) ? FLUSH_REGION : 0) | (percent(10) ? any32() << 6 : 0);
}

void make_request(struct packet *packet, uint8_t opcode)
{
	unsigned int kind = kinds[opcode], len = any_length(kind), base = base_size(kind);
	uint32_t length = kind & (READ | FETH) ? any(4 * MTU) : kind & FIRST && !(kind & LAST) ?
			  MTU + 1 + any(3 * MTU) : len;

	if (kind & LAST && !(kind & FIRST) && kind & WRITE && model.open == WRITE &&
	    model.left <= MTU)
		len = model.left;
	begin(packet, opcode, model.epsn, len);
	if (kind & AETHER)
		length = 8;
	if (kind & FETH)
		put(packet->bytes + base - 4, any_flush(), 4);
	if (kind & (RETH | AETHER))
		put_target(packet->bytes + base, kind, length);
	if (kind & RETH)
		put(packet->bytes + base + 12, length, 4);
	if (kind & AETHER)
		noise(packet->bytes + base + 12, 16);
	if (kind & INV)
		put(packet->bytes + base, percent(70) ? keys_own() : any_key(), 4);
	seal(packet);
}

static void resize(struct packet *packet, unsigned int len)
{
	if (len > packet->len)
		noise(packet->bytes + packet->len, len - packet->len);
	packet->len = len;
	net_fit(packet);
}

/* Of a packet of its service; else of anything */
static unsigned int kind_of(const struct packet *packet)
{
	uint8_t opcode = packet->bytes[0] & ~SERVICE;

	return opcode < OPCODES ? kinds[opcode] : 0;
}

/* Of a request: of another window, and to it; of anything; or the address's lower half */
static void change_key(struct packet *packet)
{
	unsigned int kind = kind_of(packet);
	unsigned char *bytes = packet->bytes + base_size(kind);
	const struct key *key = any_window();

	if (kind & (RETH | AETHER) && percent(50)) {
		put(bytes, key->first + any(key->len + 1), 8);
		put(bytes + 8, key->rkey, 4);
	} else if (percent(70)) {
		put(bytes + (kind & INV ? 0 : 8), any_key(), 4);
	} else {
		put(bytes + 4, any32(), 4);
	}
}

static void change(struct packet *packet)
{
	unsigned char *bytes = packet->bytes;
	unsigned int at = any(packet->len), base = base_size(kind_of(packet));

	switch (any(20 + (role->service == XRC))) {
	case 0:	/* any bit */
		bytes[at] ^= 1 << any(8);
		break;
	case 1:	/* of headers */
		bytes[any(packet->len < 44 ? packet->len : 44)] ^= 1 << any(8);
		break;
	case 2:
		bytes[at] = any(256);
		break;
	case 3:
		bytes[0] = any(OPCODES) | role->service;
		break;
	case 4:
		bytes[0] = any(256);
		break;
	case 5:	/* an older one, or one too far */
		put(bytes + 9, get(bytes + 9, 3) + any(9) - 4, 3);
		break;
	case 6:
		put(bytes + 9, any32(), 3);
		break;
	case 7:
		bytes[1] ^= any(4) << 4;
		break;
	case 8:
		bytes[1] ^= any(16);
		break;
	case 9:
		put(bytes + 2, any(1 << 16), 2);
		break;
	case 10:
		put(bytes + 5, percent(50) ? any32() : any(20), 3);
		break;
	case 11:
	case 12:
		change_key(packet);
		break;
	case 13:	/* length, or what is there */
		put(bytes + base + 12, (uint32_t[]){ 0, 1, AREA, AREA + 1, 1U << 30, -1U, any32() }[any(7)], 4);
		break;
	case 14:	/* an address at an end of the region, or of all */
		put(bytes + base, (uintptr_t)area(TARGET) +
		    (int64_t[]){ -1, AREA, AREA - 1, AREA - 8, 4 }[any(5)], 8);
		break;
	case 15:
		resize(packet, 5 + any(packet->len));
		break;
	case 16:
		resize(packet, packet->len + 1 + any(DATA_MAX - packet->len > 64 ? 64 : 4));
		break;
	case 17:	/* what a FLUSH is of, and to where */
		if (kind_of(packet) & FETH)
			put(bytes + base - 4, any(64), 4);
		else
			net_change(packet);
		break;
	case 20:	/* another queue */
		put(bytes + BTH, percent(50) ? any32() : any(2 * srqn + 1), 4);
		break;
	default:
		net_change(packet);
		break;
	}
}

void spoil(struct packet *packet)
{
	unsigned int dice = any(100);

	if (dice < 85)
		change(packet);
	if (dice < 25)
		change(packet);
	if (packet->len < 16)
		return;
	/* The ICRC is of what was before, or right, or almost. */
	if (percent(85))
		seal(packet);
	else if (percent(50))
		packet->bytes[packet->len - 1 - any(4)] ^= 1 << any(8);
}
