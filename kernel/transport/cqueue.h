/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Completion queues, as the transport fills them.
 */
#ifndef ODP_CQUEUE_H
#define ODP_CQUEUE_H

#include <linux/hrtimer.h>
#include <linux/spinlock.h>
#include <rdma/ib_verbs.h>

#include "ring.h"

/**
 * struct odp_cq_ring - the ring of a completion queue
 * @kring: The ring; user space consumes it, or odp_cq_poll().
 * @mmap: Owns the memory. NULL: there is none.
 */
struct odp_cq_ring {
	struct odp_kring kring;
	struct odp_mmap *mmap;
};

/**
 * struct odp_cq - a completion queue
 * @ib: The RDMA core's part.
 * @event_lock: Held while the completion handler runs; @lock is taken inside.
 * @lock: Protects all that follows but the timer.
 * @ring: The ring that entries are written to.
 * @spare: The one to change to, when user space has mapped it.
 * @produced: Entries written so far; the shared index is only a copy.
 * @armed: An event is wanted: 0, or the flags of enum ib_cq_notify_flags.
 * @overrun: An entry was lost; no more are written.
 * @event_count: Completions that an event waits for; up to 1: none but the one
 *	that it is for.
 * @event_us: How long it waits for them at most, in microseconds.
 * @held: Completions that have come since an event waits; only when armed.
 * @timer: The end of that time.
 */
struct odp_cq {
	struct ib_cq ib;
	spinlock_t event_lock;	/* the completion handler */
	spinlock_t lock;	/* all below but the timer */
	struct odp_cq_ring ring;
	struct odp_cq_ring spare;
	u32 produced;
	unsigned int armed;
	bool overrun;
	u16 event_count;
	u16 event_us;
	u32 held;
	struct hrtimer timer;
};

static inline struct odp_cq *to_odp_cq(struct ib_cq *ib)
{
	return container_of(ib, struct odp_cq, ib);
}

void odp_cq_init(struct odp_cq *cq, const struct odp_cq_ring *ring);
void odp_cq_stop(struct odp_cq *cq);
struct odp_mmap *odp_cq_set_spare(struct odp_cq *cq,
				  const struct odp_cq_ring *spare);
int odp_cq_use_spare(struct odp_cq *cq, struct odp_mmap **left);
void odp_cq_moderate(struct odp_cq *cq, u16 count, u16 us);
bool odp_cq_push(struct odp_cq *cq, struct odp_cqe *cqe, bool solicited);
int odp_cq_arm(struct odp_cq *cq, enum ib_cq_notify_flags how);
int odp_cq_poll(struct odp_cq *cq, int num, struct ib_wc *wc);

#endif /* ODP_CQUEUE_H */
