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
 * struct odp_cq - a completion queue
 * @ib: The RDMA core's part.
 * @lock: Protects all that follows.
 * @kring: The ring; user space consumes it.
 * @produced: Entries written so far; the shared index is only a copy.
 * @armed: An event is wanted: 0, or the flags of enum ib_cq_notify_flags.
 * @overrun: An entry was lost; no more are written.
 * @mmap: How user space maps the ring; owns the memory. Constant.
 */
struct odp_cq {
	struct ib_cq ib;
	spinlock_t lock;	/* all below */
	struct odp_kring kring;
	u32 produced;
	unsigned int armed;
	bool overrun;
	struct odp_mmap *mmap;
};

static inline struct odp_cq *to_odp_cq(struct ib_cq *ib)
{
	return container_of(ib, struct odp_cq, ib);
}

bool odp_cq_push(struct odp_cq *cq, struct odp_cqe *cqe, bool solicited);
void odp_cq_arm(struct odp_cq *cq, unsigned int flags);

#endif /* ODP_CQUEUE_H */
