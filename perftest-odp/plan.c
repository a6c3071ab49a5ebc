/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#include "plan.h"
#include "pattern.h"
#include "size.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Places in a page where a message may begin */
static const uint16_t classes[] = { 0, 1, 3, 7, 64, 1531, 2048, 4088, 4095 };
#define CLASSES (sizeof(classes) / sizeof(classes[0]))

static const uint32_t small_sizes[] = {
	0,   1,	  2,   3,   7,	  8,	9,    63,   64,	  65,	255,  256,  257,
	511, 513, 1023, 1024, 1025, 2047, 2049, 4095, 4096, 4097, 8191, 8192, 12289,
};
static const uint32_t quick_sizes[] = { 0, 1, 8, 257, 4096, 12289 };
static const uint32_t scatter_sizes[] = { 2, 9, 257, 4097, 12289, 65537 };
static const uint32_t inline_sizes[] = { 0, 1, 7, 8, 63, 64, QP_MAX_INLINE };
static const uint32_t middle_sizes[] = { 65535, 65536, 65537 };
static const uint32_t large_sizes[] = { 1 * MiB, 2 * MiB - 3, 2 * MiB + 3,
					8 * MiB };
static const uint32_t more_large_sizes[] = { 2 * MiB, 4 * MiB + 1, 8 * MiB - 1 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Room between pieces, which is watched too: more than a page, and odd */
#define SEG_GAP 4133
/* A message of more packets is sent by one operation only, not by three */
#define MANY_PACKETS 4096

/* What the functions that add messages share */
struct maker {
	struct plan *plan;
	uint64_t extent; /* enum job_extent */
	uint64_t round;
	unsigned int turn; /* pairs page offsets differently each time */
};

static struct xfer *add(struct maker *m, enum op op, uint32_t len)
{
	struct plan *p = m->plan;
	struct xfer *x;

	if (p->n == p->room) {
		p->room = p->room ? 2 * p->room : 1024;
		p->xfers = realloc(p->xfers, p->room * sizeof(*x));
		if (!p->xfers) {
			perror("odp_perf: the list of messages");
			exit(1);
		}
	}
	x = &p->xfers[p->n++];
	*x = (struct xfer){ .op = op,
			    .len = len,
			    .active_segs = 1,
			    .recv_segs = 1,
			    .gap = SEG_GAP };
	return x;
}

static struct xfer *add_at(struct maker *m, enum op op, uint32_t len,
			   unsigned int src, unsigned int dst)
{
	struct xfer *x = add(m, op, len);

	x->src_class = classes[src % CLASSES];
	x->dst_class = classes[dst % CLASSES];
	return x;
}

/* The same message at @n pairs of page offsets */
static void add_offsets(struct maker *m, enum op op, uint32_t len,
			unsigned int n)
{
	unsigned int i, turn = m->turn++;

	for (i = 0; i < n; i++)
		add_at(m, op, len, i, 2 * i + turn + i / CLASSES);
}

static void add_cross(struct maker *m, enum op op, uint32_t len)
{
	add(m, op, len)->cross = true;
}

static unsigned int offsets(const struct maker *m)
{
	static const unsigned int n[] = {
		[EXTENT_QUICK] = 3,
		[EXTENT_NORMAL] = CLASSES,
		[EXTENT_FULL] = CLASSES * CLASSES,
	};

	return n[m->extent];
}

/* Every operation, at every page offset and across a 2 MiB border */
static void add_size(struct maker *m, uint32_t len, unsigned int n_offsets)
{
	enum op op;

	for (op = 0; op < OPS; op++) {
		add_offsets(m, op, len, n_offsets);
		if (len > 1)
			add_cross(m, op, len);
	}
}

static void add_small(struct maker *m, uint32_t mtu)
{
	const uint32_t *sizes = small_sizes;
	unsigned int i, n = COUNT(small_sizes);

	if (m->extent == EXTENT_QUICK) {
		sizes = quick_sizes;
		n = COUNT(quick_sizes);
	}
	for (i = 0; i < n; i++)
		add_size(m, sizes[i], offsets(m));
	for (i = 1; i <= 2; i++) {
		add_size(m, i * mtu - 1, 2);
		add_size(m, i * mtu, 2);
		add_size(m, i * mtu + 1, 2);
	}
}

static void add_scattered(struct maker *m, unsigned int max)
{
	static const enum op ops[] = { OP_SEND, OP_SEND_IMM, OP_WRITE, OP_READ };
	unsigned int i, j, n;
	struct xfer *x;

	for (i = 0; i < COUNT(scatter_sizes); i++)
		for (j = 0; j < COUNT(ops); j++)
			for (n = 2; n <= max; n += max > 3 ? max - 3 : 1) {
				x = add_at(m, ops[j], scatter_sizes[i],
					   m->turn++, i + j);
				x->active_segs = n;
				x->recv_segs = 1 + (n + i) % max;
			}
}

static void add_inline(struct maker *m, unsigned int max_len,
		       unsigned int max_segs)
{
	enum op op;
	unsigned int i;
	struct xfer *x;

	for (i = 0; i < COUNT(inline_sizes) && inline_sizes[i] <= max_len; i++)
		for (op = 0; op < OP_READ; op++) {
			x = add_at(m, op, inline_sizes[i], i, m->turn++);
			x->inline_data = true;
			x->active_segs = 1 + (i + op) % max_segs;
		}
}

static void add_large(struct maker *m, uint32_t len, uint32_t mtu)
{
	static const enum op ops[] = { OP_SEND, OP_WRITE, OP_READ };
	unsigned int i, turn = m->turn++ + m->round;

	for (i = 0; i < COUNT(ops); i++) {
		if (len / mtu > MANY_PACKETS && m->extent != EXTENT_FULL &&
		    i != turn % COUNT(ops))
			continue;
		if ((turn + i) % 4 == 3)
			add_cross(m, ops[i], len);
		else
			add_at(m, ops[i], len, turn, turn + 2 * i);
	}
}

static void add_all(struct maker *m, const struct side *side)
{
	uint32_t mtu = side->mtu;
	unsigned int i, segs = side->common.max_sge;

	add_small(m, mtu);
	if (segs > 1)
		add_scattered(m, segs);
	add_inline(m, side->common.inline_len, segs);
	for (i = 0; i < COUNT(middle_sizes); i++)
		if (m->extent != EXTENT_QUICK || i == m->round % 3)
			add_size(m, middle_sizes[i], 1);
	for (i = 0; i < COUNT(large_sizes); i++)
		if (m->extent != EXTENT_QUICK || i == m->round % 4)
			add_large(m, large_sizes[i], mtu);
	for (i = 0; i < COUNT(more_large_sizes); i++)
		if (m->extent == EXTENT_FULL)
			add_large(m, more_large_sizes[i], mtu);
}

/* In no order; numbered; with contents of their own */
static void shuffle(struct plan *plan, uint64_t seed)
{
	struct random random = { .state = seed };
	struct xfer swap;
	size_t i, j;

	for (i = plan->n; i > 1; i--) {
		j = random_below(&random, i);
		swap = plan->xfers[i - 1];
		plan->xfers[i - 1] = plan->xfers[j];
		plan->xfers[j] = swap;
	}
	for (i = 0; i < plan->n; i++) {
		plan->xfers[i].number = i;
		plan->xfers[i].key = pattern_key(seed, i);
	}
}

void plan_make(struct plan *plan, const struct side *side, uint64_t round)
{
	struct maker m = { .plan = plan,
			   .extent = side->job.extent,
			   .round = round,
			   .turn = round };

	memset(plan, 0, sizeof(*plan));
	if (side->job.size)
		add_size(&m, side->job.size, offsets(&m));
	else
		add_all(&m, side);
	shuffle(plan, pattern_mix(side->job.seed) + round);
}

void plan_free(struct plan *plan)
{
	free(plan->xfers);
	memset(plan, 0, sizeof(*plan));
}

/* Find a place behind *@end, and move *@end behind it. Return: is there one? */
static bool place(uint64_t *end, uint64_t extent, uint16_t class, bool cross,
		  uint64_t *offset)
{
	uint64_t first = *end + PLAN_GUARD, half = extent / 2;

	if (cross && extent > 1)
		*offset = round_up(first + half, LEAF) - half;
	else
		*offset = round_up(first, PAGE) + class;
	*end = *offset + extent + PLAN_GUARD;
	return *end <= PLAN_REGION;
}

unsigned int plan_batch(struct plan *plan, unsigned int max,
			const struct xfer **batch)
{
	uint64_t src_end = 0, dst_end = 0;
	unsigned int n;

	*batch = plan->xfers + plan->next;
	for (n = 0; n < max && plan->next < plan->n; n++, plan->next++) {
		struct xfer *x = &plan->xfers[plan->next];

		if (!place(&src_end, xfer_extent(x, false), x->src_class,
			   x->cross, &x->src) ||
		    !place(&dst_end, xfer_extent(x, true), x->dst_class,
			   x->cross, &x->dst))
			break;
	}
	return n;
}
