/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Completion queues, as the transport fills them.
 */
#ifndef ODP_CQUEUE_H
#define ODP_CQUEUE_H

#include <linux/spinlock.h>
#include <rdma/ib_verbs.h>

#include "ring.h"

/**
 * struct odp_cq_ring - the ring of a completion queue
 * @kring: The ring; user space consumes it.
 * @mmap: How user space maps it; owns the memory. NULL: there is none.
 */
struct odp_cq_ring {
	struct odp_kring kring;
	struct odp_mmap *mmap;
};

/**
 * struct odp_cq - a completion queue
 * @ib: The RDMA core's part.
 * @lock: Protects all that follows.
 * @ring: The ring that entries are written to.
 * @spare: The one to change to, when user space has mapped it.
 * @produced: Entries written so far; the shared index is only a copy.
 * @armed: An event is wanted: 0, or the flags of enum ib_cq_notify_flags.
 * @overrun: An entry was lost; no more are written.
 */
struct odp_cq {
	struct ib_cq ib;
	spinlock_t lock;	/* all below */
	struct odp_cq_ring ring;
	struct odp_cq_ring spare;
	u32 produced;
	unsigned int armed;
	bool overrun;
};

static inline struct odp_cq *to_odp_cq(struct ib_cq *ib)
{
	return container_of(ib, struct odp_cq, ib);
}

void odp_cq_init(struct odp_cq *cq, const struct odp_cq_ring *ring);
struct odp_mmap *odp_cq_set_spare(struct odp_cq *cq,
				  const struct odp_cq_ring *spare);
int odp_cq_use_spare(struct odp_cq *cq, struct odp_mmap **left);
bool odp_cq_push(struct odp_cq *cq, struct odp_cqe *cqe, bool solicited);
void odp_cq_arm(struct odp_cq *cq, unsigned int flags);

#endif /* ODP_CQUEUE_H */
