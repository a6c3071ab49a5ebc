/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef PLAN_H
#define PLAN_H

#include "xfer.h"

/*
 * The plan of a sweep: which messages, and where each one is placed. Both ends
 * make the same plan from what they agreed on.
 */
struct plan {
	struct xfer *xfers;
	size_t n, room;
	size_t next; /* the first one that is in no batch yet */
};

/* Memory of each end's source and target region */
#define PLAN_REGION (24ull << 20)
/* Bytes before and after each message that nobody may touch: a page at least */
#define PLAN_GUARD 4096

/* All messages of one path MTU and one mix; @round makes them different */
void plan_make(struct plan *plan, const struct side *side, uint64_t round);
void plan_free(struct plan *plan);

/**
 * plan_batch() - place the next messages
 * @plan: the plan
 * @max: at most so many
 * @batch: set to the first one
 *
 * The messages of a batch do not touch each other, nor each other's guards.
 *
 * Return: how many; 0 at the end of the plan
 */
unsigned int plan_batch(struct plan *plan, unsigned int max,
			const struct xfer **batch);

#endif
