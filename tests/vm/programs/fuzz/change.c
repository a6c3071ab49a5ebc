// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Right packets, and what is done to them */
#include "fuzz.h"

#include <string.h>

void begin(struct packet *packet, uint8_t opcode, uint32_t psn, unsigned int len)
{
	unsigned int pad = -len & 3;

	memset(packet, 0, sizeof(*packet));
	packet->bytes[0] = opcode | (xrc ? XRC : RC);
	packet->bytes[1] = 0x40 | pad << 4 | any(2) << 7;
	put(packet->bytes + 2, 0xffff, 2);
	put(packet->bytes + 5, victim.qp->qp_num, 3);
	put(packet->bytes + 8, any(2) << 7, 1);
	put(packet->bytes + 9, psn & PSN_MASK, 3);
	if (xrc)
		put(packet->bytes + BTH, srqn, 4);
	packet->len = header_size(kinds[opcode]) + len + pad + 4;
	noise(packet->bytes + header_size(kinds[opcode]), len);
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

void make_request(struct packet *packet, uint8_t opcode)
{
	unsigned int kind = kinds[opcode], len = any_length(kind), base = base_size(kind);
	uint32_t length = kind & READ ? any(4 * MTU) : kind & FIRST && !(kind & LAST) ?
			  MTU + 1 + any(3 * MTU) : len;

	if (kind & LAST && !(kind & FIRST) && kind & WRITE && model.open == WRITE &&
	    model.left <= MTU)
		len = model.left;
	begin(packet, opcode, model.epsn, len);
	if (kind & AETHER)
		length = 8;
	if (kind & (RETH | AETHER)) {
		uint64_t va = (uintptr_t)area(TARGET) + any(AREA - length + 1);

		put(packet->bytes + base, kind & ATOMIC ? va & -8UL : va, 8);
		put(packet->bytes + base + 8, mrs[TARGET]->rkey, 4);
	}
	if (kind & RETH)
		put(packet->bytes + base + 12, length, 4);
	if (kind & AETHER)
		noise(packet->bytes + base + 12, 16);
	seal(packet);
}

static void resize(struct packet *packet, unsigned int len)
{
	if (len > packet->len)
		noise(packet->bytes + packet->len, len - packet->len);
	packet->len = len;
}

static void change(struct packet *packet)
{
	unsigned char *bytes = packet->bytes;
	unsigned int at = any(packet->len), base = base_size(SEND);

	switch (any(xrc ? 17 : 16)) {
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
		bytes[0] = any(OPCODES) | (xrc ? XRC : RC);
		break;
	case 4:
		bytes[0] = any(256);
		break;
	case 5:	/* an older one, or one too far */
		put(bytes + 9, model.epsn + any(9) - 4, 3);
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
	case 11:	/* key, or the address's lower half */
		put(bytes + base + (percent(50) ? 8 : 4), any32(), 4);
		break;
	case 12:	/* length, or what is there */
		put(bytes + base + 12, (uint32_t[]){ 0, 1, AREA, AREA + 1, 1U << 30, -1U, any32() }[any(7)], 4);
		break;
	case 13:	/* an address at an end of the region, or of all */
		put(bytes + base, (uintptr_t)area(TARGET) +
		    (int64_t[]){ -1, AREA, AREA - 1, AREA - 8, 4 }[any(5)], 8);
		break;
	case 14:
		resize(packet, 5 + any(packet->len));
		break;
	case 15:
		resize(packet, packet->len + 1 + any(DATA_MAX - packet->len > 64 ? 64 : 4));
		break;
	case 16:	/* another queue */
		put(bytes + BTH, percent(50) ? any32() : any(2 * srqn), 4);
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
