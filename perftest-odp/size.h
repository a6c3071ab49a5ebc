/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef SIZE_H
#define SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KiB (1ull << 10)
#define MiB (1ull << 20)
#define GiB (1ull << 30)
#define TiB (1ull << 40)

#define PAGE 4096ull
#define LEAF (2 * MiB)

/*
 * Sizes as people write them: a number, and K, M, G or T for powers of 1024.
 * Return: false if @text is something else or does not fit into 64 bits.
 */
bool size_parse(const char *text, uint64_t *size);

#define SIZE_TEXT 24

/* "64 KiB", "1 TiB", "2097155 B"; @buf has SIZE_TEXT bytes. Return: @buf */
char *size_text(uint64_t size, char *buf);

static inline uint64_t round_down(uint64_t x, uint64_t to)
{
	return x - x % to;
}

static inline uint64_t round_up(uint64_t x, uint64_t to)
{
	return round_down(x + to - 1, to);
}

#endif
