/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef PATTERN_H
#define PATTERN_H

#include <stddef.h>
#include <stdint.h>

/*
 * Contents that can be recognised: byte number n of a pattern depends on the
 * pattern's key and on n, so that a byte of another message, or of another
 * place in the same message, is wrong with probability 255/256.
 *
 * The key PATTERN_ZERO stands for zeros: memory nobody has written yet.
 */
#define PATTERN_ZERO 0

struct pattern_diff {
	uint64_t wrong;	 /* how many bytes are wrong */
	uint64_t offset; /* the first one, counted from the start of the check */
	uint8_t expected;
	uint8_t got;
};

uint64_t pattern_mix(uint64_t x);

/* The key of message @number under @seed; never PATTERN_ZERO */
uint64_t pattern_key(uint64_t seed, uint64_t number);

/* Fill @buf with the pattern's bytes @from .. @from + @len - 1 */
void pattern_fill(void *buf, size_t len, uint64_t key, uint64_t from);

/*
 * Compare @buf with the pattern's bytes @from .. @from + @len - 1.
 * Return: how many are wrong; if there are any, *@diff says more.
 */
uint64_t pattern_check(const void *buf, size_t len, uint64_t key, uint64_t from,
		       struct pattern_diff *diff);

/* A sequence of numbers that both ends can repeat */
struct random {
	uint64_t state;
};

uint64_t random_next(struct random *r);
/* 0 .. @n - 1; 0 if @n is 0 */
uint64_t random_below(struct random *r, uint64_t n);

#endif
