// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Dice, and packets on the wire */
#include "fuzz.h"

#include <netinet/ip.h>
#include <netinet/udp.h>
#include <string.h>

struct in_addr source, destination;
unsigned long sent;

static uint64_t chance;
static int raw;

void wire_open(uint64_t seed)
{
	CHECK((raw = socket(AF_INET, SOCK_RAW, IPPROTO_RAW)) >= 0);
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

struct headers {
	struct iphdr ip;
	struct udphdr udp;
} __attribute__((packed));

static struct headers headers_of(unsigned int len)
{
	return (struct headers){
		.ip = { .version = 4, .ihl = 5, .tot_len = htons(sizeof(struct headers) + len),
			.id = htons(1), .ttl = 64, .protocol = IPPROTO_UDP,
			.saddr = source.s_addr, .daddr = destination.s_addr },
		.udp = { .source = htons(50000), .dest = htons(ROCE_PORT),
			 .len = htons(sizeof(struct udphdr) + len) },
	};
}

/* Annex A17: over all that does not change on the way, and ones for the rest */
static uint32_t icrc(const struct packet *packet)
{
	static const unsigned char ones[8] = "\xff\xff\xff\xff\xff\xff\xff\xff";
	struct headers headers = headers_of(packet->len);
	uint32_t crc = crc32_of(-1, ones, 8);

	headers.ip.tos = 0xff;
	headers.ip.ttl = 0xff;
	headers.ip.check = 0xffff;
	headers.udp.check = 0xffff;
	crc = crc32_of(crc, (void *)&headers, sizeof(headers));
	crc = crc32_of(crc, packet->bytes, 4);
	crc = crc32_of(crc, ones, 1);
	return ~crc32_of(crc, packet->bytes + 5, packet->len - 5 - 4);
}

void seal(struct packet *packet)
{
	uint32_t crc = icrc(packet);

	memcpy(packet->bytes + packet->len - 4, &crc, 4);
}

bool sealed(const struct packet *packet)
{
	uint32_t crc = icrc(packet);

	return !memcmp(packet->bytes + packet->len - 4, &crc, 4);
}

void transmit(const struct packet *packet)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = destination };
	struct headers headers = headers_of(packet->len);
	unsigned char all[sizeof(headers) + sizeof(packet->bytes)];
	ssize_t size = sizeof(headers) + packet->len;

	memcpy(all, &headers, sizeof(headers));
	memcpy(all + sizeof(headers), packet->bytes, packet->len);
	CHECK(sendto(raw, all, size, 0, (void *)&to, sizeof(to)) == size);
	sent++;
}
