// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Completion queues: writing entries and raising events.
 *
 * The kernel's index is private. User space's index is only believed when it
 * says that the ring is full; a lie costs the liar its own completions.
 *
 * A queue changes to another ring between two entries. Indices go on as they
 * are, and what user space has not consumed yet it moves to the new ring by
 * itself, to the slots of the same indices; no entry is written there, as user
 * space's index says that they are not consumed.
 */
#include <linux/ktime.h>

#include "cqueue.h"
#include "qp.h"

/* Moderation: does the event wait for more completions? */
static bool odp_cq_hold_event(struct odp_cq *cq)
{
	lockdep_assert_held(&cq->lock);

	if (++cq->held >= cq->event_count)
		return false;
	if (cq->held == 1)
		hrtimer_start(&cq->timer,
			      ns_to_ktime(cq->event_us * NSEC_PER_USEC),
			      HRTIMER_MODE_REL_SOFT);
	return true;
}

/* Is the entry one that the armed queue waits for? Disarms it then. */
static bool odp_cq_event_due(struct odp_cq *cq, bool solicited)
{
	lockdep_assert_held(&cq->lock);

	if (!cq->armed || (cq->armed == IB_CQ_SOLICITED && !solicited))
		return false;
	if (odp_cq_hold_event(cq))
		return false;
	cq->held = 0;
	cq->armed = 0;
	return true;
}

/* Handlers of one queue never run at the same time (core_locking.rst). */
static void odp_cq_event(struct odp_cq *cq)
{
	unsigned long flags;

	if (!cq->ib.comp_handler)
		return;
	spin_lock_irqsave(&cq->event_lock, flags);
	cq->ib.comp_handler(&cq->ib, cq->ib.cq_context);
	spin_unlock_irqrestore(&cq->event_lock, flags);
}

/* An event that waits for completions waits no longer. */
static void odp_cq_release_event(struct odp_cq *cq)
{
	unsigned long flags;
	bool event;

	spin_lock_irqsave(&cq->lock, flags);
	event = cq->held;
	if (event) {
		cq->held = 0;
		cq->armed = 0;
	}
	spin_unlock_irqrestore(&cq->lock, flags);
	if (event)
		odp_cq_event(cq);
}

static enum hrtimer_restart odp_cq_timer_fired(struct hrtimer *timer)
{
	odp_cq_release_event(container_of(timer, struct odp_cq, timer));
	return HRTIMER_NORESTART;
}

/**
 * odp_cq_moderate - lets events wait for more completions
 * @cq: The queue.
 * @count: Completions that make an event.
 * @us: How long an event waits for them at most, in microseconds; 0 is not at
 *	all.
 *
 * An event that waits now is raised at once.
 */
void odp_cq_moderate(struct odp_cq *cq, u16 count, u16 us)
{
	unsigned long flags;

	spin_lock_irqsave(&cq->lock, flags);
	cq->event_count = us ? count : 0;
	cq->event_us = us;
	spin_unlock_irqrestore(&cq->lock, flags);
	odp_cq_release_event(cq);
}

/**
 * odp_cq_init - prepares a new queue
 * @cq: The queue, zeroed but for the RDMA core's part.
 * @ring: Its ring.
 */
void odp_cq_init(struct odp_cq *cq, const struct odp_cq_ring *ring)
{
	spin_lock_init(&cq->lock);
	spin_lock_init(&cq->event_lock);
	cq->ring = *ring;
	hrtimer_init(&cq->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_SOFT);
	cq->timer.function = odp_cq_timer_fired;
}

/**
 * odp_cq_stop - no event is raised any more
 * @cq: The queue, which nothing is added to any more. May sleep.
 */
void odp_cq_stop(struct odp_cq *cq)
{
	hrtimer_cancel(&cq->timer);
}

/**
 * odp_cq_set_spare - keeps a ring that the queue may change to
 * @cq: The queue.
 * @spare: The ring.
 *
 * Return: memory of the one that was kept before, for the caller to destroy,
 * or NULL.
 */
struct odp_mmap *odp_cq_set_spare(struct odp_cq *cq,
				  const struct odp_cq_ring *spare)
{
	unsigned long flags;
	struct odp_mmap *left;

	spin_lock_irqsave(&cq->lock, flags);
	left = cq->spare.mmap;
	cq->spare = *spare;
	spin_unlock_irqrestore(&cq->lock, flags);
	return left;
}

/**
 * odp_cq_use_spare - changes to the ring of odp_cq_set_spare()
 * @cq: The queue.
 * @left: Memory that is not needed any more, for the caller to destroy, or
 *	NULL: of the old ring, or of the spare one if there was an error.
 *
 * Return: 0, or -EINVAL if there is no spare ring, or if it has not the room
 * for what user space says, in that ring, that it has not consumed.
 */
int odp_cq_use_spare(struct odp_cq *cq, struct odp_mmap **left)
{
	const struct odp_kring *kring = &cq->spare.kring;
	unsigned long flags;
	int err = -EINVAL;

	spin_lock_irqsave(&cq->lock, flags);
	if (cq->spare.mmap &&
	    cq->produced - odp_kring_user_index(kring) <= kring->depth) {
		odp_kring_set_kernel_index(kring, cq->produced);
		swap(cq->ring, cq->spare);
		WRITE_ONCE(cq->ib.cqe, cq->ring.kring.depth);
		err = 0;
	}
	*left = cq->spare.mmap;
	cq->spare.mmap = NULL;
	spin_unlock_irqrestore(&cq->lock, flags);
	return err;
}

static void odp_cq_overrun(struct odp_cq *cq)
{
	struct ib_event event = {
		.device = cq->ib.device,
		.element.cq = &cq->ib,
		.event = IB_EVENT_CQ_ERR,
	};

	ibdev_warn_ratelimited(cq->ib.device,
			       "completion queue overrun, entries are lost\n");
	if (cq->ib.event_handler)
		cq->ib.event_handler(&event, cq->ib.cq_context);
}

/* Under the lock, so that times follow each other as the entries do. */
static void odp_cq_stamp(struct odp_cqe *cqe)
{
	ktime_t now = ktime_get();

	cqe->timestamp = ktime_to_ns(now);
	cqe->wallclock = ktime_to_ns(ktime_mono_to_real(now));
}

/**
 * odp_cq_push - adds a completion
 * @cq: The queue.
 * @cqe: The entry; the times are filled in.
 * @solicited: It fires a queue that is armed for solicited completions.
 *
 * Any context but hard interrupts. Return: false if the queue has no room: the
 * queue is in error then, which was reported once, and the queue pair has to be
 * moved to the error state.
 */
bool odp_cq_push(struct odp_cq *cq, struct odp_cqe *cqe, bool solicited)
{
	const struct odp_kring *kring = &cq->ring.kring;
	unsigned long flags;
	bool event = false;
	bool first = false;
	bool ok;

	spin_lock_irqsave(&cq->lock, flags);
	ok = !cq->overrun &&
	     cq->produced - odp_kring_user_index(kring) < kring->depth;
	if (ok) {
		odp_cq_stamp(cqe);
		odp_kring_copy(odp_kring_entry(kring, cq->produced), cqe,
			       sizeof(*cqe));
		cq->produced++;
		odp_kring_set_kernel_index(kring, cq->produced);
		event = odp_cq_event_due(cq, solicited);
	} else {
		first = !cq->overrun;
		cq->overrun = true;
	}
	spin_unlock_irqrestore(&cq->lock, flags);

	if (event)
		odp_cq_event(cq);
	if (first)
		odp_cq_overrun(cq);
	return ok;
}

/**
 * odp_cq_arm - asks for an event
 * @cq: The queue.
 * @how: IB_CQ_SOLICITED or IB_CQ_NEXT_COMP; the wider one wins if both were
 *	asked for since the last event. Maybe IB_CQ_REPORT_MISSED_EVENTS.
 *
 * Return: 1 if missed ones are to be reported and the queue is not empty, else 0.
 */
int odp_cq_arm(struct odp_cq *cq, enum ib_cq_notify_flags how)
{
	unsigned long flags;
	bool missed;

	spin_lock_irqsave(&cq->lock, flags);
	if (cq->armed != IB_CQ_NEXT_COMP)
		cq->armed = how & IB_CQ_SOLICITED_MASK;
	missed = how & IB_CQ_REPORT_MISSED_EVENTS &&
		 cq->produced != odp_kring_user_index(&cq->ring.kring);
	spin_unlock_irqrestore(&cq->lock, flags);
	return missed;
}

/* False: it is of a queue pair that is gone, which leaves nothing behind. */
static bool odp_cqe_to_wc(const struct odp_cqe *cqe, struct ib_wc *wc)
{
	struct odp_qp *qp = odp_qp_get(cqe->qp_num);

	if (!qp)
		return false;
	/* The connection manager looks for its address by the VLAN, too. */
	*wc = (struct ib_wc){
		.wr_id = cqe->wr_id,
		.status = cqe->status,
		.opcode = cqe->opcode,
		.vendor_err = cqe->vendor_err,
		.byte_len = cqe->byte_len,
		.qp = &qp->ib,
		.ex.imm_data = cqe->imm_data,
		.src_qp = cqe->src_qp,
		.wc_flags = (cqe->wc_flags & ODP_WC_WITH_INV ?
			     IB_WC_WITH_INVALIDATE : cqe->wc_flags) |
			    (cqe->vlan ? IB_WC_WITH_VLAN : 0),
		.vlan_id = cqe->vlan ? cqe->vlan - 1 : 0,
		.port_num = 1,
	};
	odp_qp_put(qp);
	return true;
}

/**
 * odp_cq_poll - takes completions, as user space does by itself
 * @cq: The queue, of the kernel's, whose ring nobody else has.
 * @num: How many at most.
 * @wc: Filled in.
 *
 * Any context. Return: how many.
 */
int odp_cq_poll(struct odp_cq *cq, int num, struct ib_wc *wc)
{
	const struct odp_kring *kring = &cq->ring.kring;
	unsigned long flags;
	u32 consumed;
	int n = 0;

	spin_lock_irqsave(&cq->lock, flags);
	consumed = kring->ring->user_index;
	while (n < num && consumed != cq->produced)
		n += odp_cqe_to_wc(odp_kring_entry(kring, consumed++), &wc[n]);
	kring->ring->user_index = consumed;
	spin_unlock_irqrestore(&cq->lock, flags);
	return n;
}
