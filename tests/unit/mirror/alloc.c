// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory for the kernel's allocators. In the explorer it comes from an arena
 * with a region for each thread, so that it is laid out alike in every run; it
 * is not used again within a run, and every step on memory that was freed is
 * found out. Elsewhere it comes from malloc(), for the address sanitizer.
 */
#include "coop.h"

#define REGION_SIZE	(256 * 1024UL)
#define REGIONS		(COOP_THREADS + 1)
#define UNIT		64UL
#define POISON		0x6b

/* Before what is allocated, and as far apart. */
struct header {
	size_t size;
	bool arena;
};

bool alloc_arena;

static char arena[REGIONS * REGION_SIZE] __attribute__((aligned(64)));
static unsigned char freed[REGIONS * REGION_SIZE / UNIT];
static size_t used[REGIONS];
static long live;
static unsigned long fail_in;

void alloc_reset(void)
{
	unsigned int i;

	for (i = 0; i < REGIONS; i++) {
		memset(freed + i * (REGION_SIZE / UNIT), 0, used[i] / UNIT);
		used[i] = 0;
	}
}

bool alloc_is_freed(const void *p)
{
	size_t offset = (const char *)p - arena;

	return p && offset < sizeof(arena) && freed[offset / UNIT];
}

static struct header *take(size_t size)
{
	unsigned int region = coop_self();
	struct header *header;

	if (!alloc_arena)
		return calloc(1, size);
	size = ALIGN(size, UNIT);
	if (used[region] + size > REGION_SIZE)
		sim_fail("the arena is full");
	header = (void *)(arena + region * REGION_SIZE + used[region]);
	used[region] += size;
	memset(header, 0, size);
	return header;
}

void *sim_alloc(size_t size, bool may_sleep, const char *func)
{
	struct header *header;

	if (may_sleep)
		sim_might_sleep(func);
	if (fail_in && --fail_in == 0)
		return NULL;
	header = take(UNIT + size);
	header->size = size;
	header->arena = alloc_arena;
	live++;
	return (char *)header + UNIT;
}

void sim_free(void *p)
{
	struct header *header;

	if (!p)
		return;
	header = (void *)((char *)p - UNIT);
	if (alloc_is_freed(p))
		sim_fail("memory is freed twice");
	live--;
	if (!header->arena) {
		free(header);
		return;
	}
	memset(p, POISON, header->size);
	memset(freed + ((char *)p - arena) / UNIT, 1,
	       DIV_ROUND_UP(header->size, UNIT));
}

void sim_alloc_fail(unsigned long nth)
{
	fail_in = nth;
}

long sim_alloc_live(void)
{
	return live;
}
