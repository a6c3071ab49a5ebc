/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Halves: who runs the work of a queue pair.
 *
 * A queue pair has two halves, its requester and its responder. A half is a
 * piece of sequential work that many contexts feed: system calls, received
 * packets, timers. One of them owns it at a time and does all there is to do;
 * the others leave a note and go. No lock is held meanwhile, so an owner may be
 * interrupted by the softirq that feeds it, or feed itself.
 *
 * Ownership passes on, and is not given up, when work takes long (to the
 * workqueue) or a page is missing (to the fault service, which resumes the
 * half when the page is there).
 */
#ifndef ODP_HALF_H
#define ODP_HALF_H

#include <linux/skbuff.h>
#include <linux/workqueue.h>

#include "../mirror/mirror.h"

/* struct odp_half.state */
#define ODP_HALF_OWNED		BIT(0)	/* somebody runs it */
#define ODP_HALF_AGAIN		BIT(1)	/* there is more to do */
#define ODP_HALF_STOPPED	BIT(2)	/* do nothing, give it up */

/**
 * enum odp_turn - how a turn ended
 * @ODP_TURN_IDLE: There is nothing left to do.
 * @ODP_TURN_MORE: There is, but others have to run, too.
 * @ODP_TURN_MISS: A page is missing, see &struct odp_half.miss.
 */
enum odp_turn {
	ODP_TURN_IDLE,
	ODP_TURN_MORE,
	ODP_TURN_MISS,
};

/**
 * struct odp_half - one half of a queue pair
 * @state: ODP_HALF_*.
 * @turn: Does the work; must not sleep. Called by the owner only.
 * @wq: Where it goes on in process context. Constant.
 * @rx: Packets for it, in order of arrival; has its own lock.
 * @work: To go on in process context, in @wq.
 * @waiter: Parked on a page.
 * @miss: The page that the last turn missed. Owner only.
 * @pins: Pages that the operation which waited may use directly, in this
 *	turn; see odp_half_operation_done(). Owner only.
 * @fault_addr: The page that was waited for last. Owner only.
 * @fault_err: Why it cannot be had, for the turn after the wait; see
 *	odp_half_missed(). Owner only.
 * @cpu: Where it ran last. Owner only.
 * @parked: It waits for a page, or, with the page there, for its next turn. Others
 *	use it as a hint.
 */
struct odp_half {
	atomic_t state;
	enum odp_turn (*turn)(struct odp_half *half);
	struct workqueue_struct *wq;
	struct sk_buff_head rx;
	struct work_struct work;
	struct odp_waiter waiter;
	struct odp_miss miss;
	const struct odp_pins *pins;
	unsigned long fault_addr;
	int fault_err;
	int cpu;
	bool parked;
};

/* Packets that a turn handles before it lets others run. */
#define ODP_TURN_BUDGET		64

/**
 * odp_half_operation_done - an operation is over
 * @half: The half, owned.
 *
 * Pages that are held, and why one cannot be had, are for the operation that
 * waited. Another one may have begun after they were looked up.
 */
static inline void odp_half_operation_done(struct odp_half *half)
{
	half->pins = NULL;
	half->fault_err = 0;
}

/**
 * odp_half_peek - the packet that comes next
 * @half: The half. Owner only, who alone takes packets away.
 *
 * Return: the packet, still queued, or NULL.
 */
static inline struct sk_buff *odp_half_peek(struct odp_half *half)
{
	struct sk_buff *skb;

	/* Who adds one after this look kicks the half after that. */
	if (skb_queue_empty_lockless(&half->rx))
		return NULL;
	/* With the lock what was written to the packet is seen, too. */
	spin_lock_bh(&half->rx.lock);
	skb = skb_peek(&half->rx);
	spin_unlock_bh(&half->rx.lock);
	return skb;
}

int odp_half_module_init(void);
void odp_half_module_exit(void);

void odp_half_init(struct odp_half *half, bool kernel,
		   enum odp_turn (*turn)(struct odp_half *half));
int odp_half_missed(struct odp_half *half);
void odp_half_kick(struct odp_half *half);
void odp_half_kick_later(struct odp_half *half);
void odp_half_stop(struct odp_half *half);
void odp_half_unpark(struct odp_half *half);
void odp_half_start(struct odp_half *half);

#endif /* ODP_HALF_H */
