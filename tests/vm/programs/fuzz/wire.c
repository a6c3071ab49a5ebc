// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Dice, numbers in packets, and the ICRC */
#include "fuzz.h"

#include <string.h>

static uint64_t chance;

void dice_seed(uint64_t seed)
{
	chance = seed * 0x9e3779b97f4a7c15;
}

uint32_t any(uint32_t below)
{
	chance ^= chance << 13;
	chance ^= chance >> 7;
	chance ^= chance << 17;
	return (chance >> 16) % below;
}

uint32_t any32(void)
{
	return any(1 << 16) << 16 | any(1 << 16);
}

bool percent(unsigned int n)
{
	return any(100) < n;
}

void noise(unsigned char *to, unsigned int n)
{
	while (n--)
		to[n] = any(256);
}

void put(unsigned char *to, uint64_t value, int bytes)
{
	while (bytes--) {
		to[bytes] = value;
		value >>= 8;
	}
}

uint64_t get(const unsigned char *from, int bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | *from++;
	return value;
}

static uint32_t crc32_of(uint32_t crc, const unsigned char *from, size_t n)
{
	static uint32_t table[256];
	uint32_t i, bit;

	for (i = 0; i < 256 && !table[255]; i++)
		for (table[i] = i, bit = 0; bit < 8; bit++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320 : 0);
	while (n--)
		crc = table[(crc ^ *from++) & 255] ^ crc >> 8;
	return crc;
}

/* Annex A17: over all that does not change on the way, and ones for the rest */
static uint32_t icrc(const struct packet *packet, unsigned int len)
{
	static const unsigned char ones[8] = "\xff\xff\xff\xff\xff\xff\xff\xff";
	unsigned char net[NET_MAX];
	unsigned int size = net_masked(packet, net);
	uint32_t crc = crc32_of(-1, ones, 8);

	crc = crc32_of(crc, net, size);
	crc = crc32_of(crc, packet->bytes, 4);
	crc = crc32_of(crc, ones, 1);
	return ~crc32_of(crc, packet->bytes + 5, len - 5 - 4);
}

void seal(struct packet *packet)
{
	unsigned int len = net_length(packet);
	uint32_t crc;

	if (len < 16)
		len = packet->len;
	crc = icrc(packet, len);
	memcpy(packet->bytes + len - 4, &crc, 4);
}

bool sealed(const struct packet *packet, unsigned int len)
{
	uint32_t crc = icrc(packet, len);

	return !memcmp(packet->bytes + len - 4, &crc, 4);
}
