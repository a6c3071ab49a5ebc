/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#include "pattern.h"

#include <endian.h>
#include <string.h>

#define GOLDEN 0x9e3779b97f4a7c15ull

/* The finaliser of splitmix64 */
uint64_t pattern_mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

uint64_t pattern_key(uint64_t seed, uint64_t number)
{
	uint64_t key = pattern_mix(pattern_mix(seed + GOLDEN) + number);

	return key == PATTERN_ZERO ? GOLDEN : key;
}

/* Eight bytes of the pattern; the first one is the least significant */
static inline uint64_t word(uint64_t key, uint64_t index)
{
	uint64_t x;

	if (key == PATTERN_ZERO)
		return 0;
	x = key + index * GOLDEN;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	return x ^ (x >> 32);
}

static inline uint8_t byte(uint64_t key, uint64_t n)
{
	return (uint8_t)(word(key, n / 8) >> (8 * (n % 8)));
}

void pattern_fill(void *buf, size_t len, uint64_t key, uint64_t from)
{
	uint8_t *p = buf;
	uint64_t w;

	for (; len && from % 8; len--)
		*p++ = byte(key, from++);
	for (; len >= 8; len -= 8, p += 8, from += 8) {
		w = htole64(word(key, from / 8));
		memcpy(p, &w, 8);
	}
	for (; len; len--)
		*p++ = byte(key, from++);
}

static void compare(const uint8_t *p, size_t len, uint64_t key, uint64_t from,
		    uint64_t done, struct pattern_diff *diff)
{
	size_t i;

	for (i = 0; i < len; i++) {
		uint8_t expected = byte(key, from + i);

		if (p[i] == expected)
			continue;
		if (!diff->wrong++) {
			diff->offset = done + i;
			diff->expected = expected;
			diff->got = p[i];
		}
	}
}

uint64_t pattern_check(const void *buf, size_t len, uint64_t key, uint64_t from,
		       struct pattern_diff *diff)
{
	const uint8_t *p = buf;
	size_t head = -from % 8, done;
	uint64_t w;

	memset(diff, 0, sizeof(*diff));
	if (head > len)
		head = len;
	compare(p, head, key, from, 0, diff);
	for (done = head; len - done >= 8; done += 8) {
		memcpy(&w, p + done, 8);
		if (w != htole64(word(key, (from + done) / 8)))
			compare(p + done, 8, key, from + done, done, diff);
	}
	compare(p + done, len - done, key, from + done, done, diff);
	return diff->wrong;
}

uint64_t random_next(struct random *r)
{
	return pattern_mix(r->state += GOLDEN);
}

uint64_t random_below(struct random *r, uint64_t n)
{
	return n ? random_next(r) % n : 0;
}
