// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Halves: taking, passing on and giving up ownership.
 *
 * Nobody's work gets lost: a feeder first adds its work (a packet, a ring
 * index, an event bit), then sets AGAIN; the owner first clears AGAIN, then
 * looks for work, and gives up ownership only while AGAIN is clear.
 *
 *	feeder					owner
 *	------					-----
 *						clears AGAIN
 *						turn: finds no work
 *	adds work
 *	sets AGAIN | OWNED
 *	was OWNED: leaves it at that
 *						OWNED -> 0 fails: AGAIN is set,
 *						takes another turn
 *
 * Stopping waits until nobody owns the half. After that feeders find STOPPED,
 * and the memory may go. A half that waits for a page is taken back from the
 * fault service; see the timeline in mirror/fault.c.
 */
#include <linux/wait_bit.h>

#include "half.h"

/* What the workqueue may do that others may not: wait for memory. */
#define ODP_GFP_WORK	(GFP_KERNEL | __GFP_NOFAIL)
/* Turns in a row before the workqueue goes on. */
#define ODP_TURNS	4

/*
 * Memory may be waiting for what the kernel's users do, storage among them. Their
 * halves, which never wait for memory, are not in one queue with those that do.
 */
static struct workqueue_struct *odp_user_wq;
static struct workqueue_struct *odp_kernel_wq;

/*
 * Parks the half until the page is there, and until somebody has the time for
 * its next turn: where memory is short, that can take longer than the page.
 * True if ownership went on to somebody else, who may have freed the half by
 * now.
 */
static bool odp_half_park(struct odp_half *half, gfp_t gfp)
{
	int err;

	/* It may sleep for memory, and others there free memory. */
	WARN_ON_ONCE(half->wq == odp_kernel_wq);
	WRITE_ONCE(half->parked, true);
	half->fault_addr = half->miss.addr;
	err = odp_fault(&half->miss, &half->waiter, gfp);
	if (!err)
		return true;

	odp_miss_drop(&half->miss);
	/* Short of memory: the next turn misses again, where it can wait. */
	if (err == -ENOMEM)
		queue_work(half->wq, &half->work);
	return err == -ENOMEM;
}

/*
 * Gives the half up; false if there is more to do. The exchange orders all that
 * the owner did before it. A stopped half is given up in any case, but a note
 * that is left while it is started again is not lost.
 */
static bool odp_half_release(struct odp_half *half)
{
	int old = ODP_HALF_OWNED;
	int new = 0;

	while (!atomic_try_cmpxchg(&half->state, &old, new)) {
		if (!(old & ODP_HALF_STOPPED) && old & ODP_HALF_AGAIN)
			return false;
		new = old & ODP_HALF_STOPPED;
	}
	/* Only uses the address: the half may be gone. */
	if (old & ODP_HALF_STOPPED)
		wake_up_var(&half->state);
	return true;
}

/* One turn; false if ownership went on to somebody else. */
static bool odp_half_turn(struct odp_half *half, gfp_t gfp, bool last)
{
	enum odp_turn turn;

	half->cpu = raw_smp_processor_id();
	WRITE_ONCE(half->parked, false);
	turn = half->turn(half);
	odp_half_operation_done(half);
	if (turn == ODP_TURN_MISS) {
		if (odp_half_park(half, gfp))
			return false;
		atomic_or(ODP_HALF_AGAIN, &half->state);
	}
	if (turn != ODP_TURN_MORE &&
	    !(last && atomic_read(&half->state) & ODP_HALF_AGAIN))
		return true;
	queue_work(half->wq, &half->work);
	return false;
}

static void odp_half_run(struct odp_half *half, gfp_t gfp)
{
	int turns = ODP_TURNS;

	do {
		atomic_fetch_andnot(ODP_HALF_AGAIN, &half->state);
		if (atomic_read(&half->state) & ODP_HALF_STOPPED)
			odp_half_operation_done(half);
		else if (!odp_half_turn(half, gfp, --turns <= 0))
			return;
	} while (!odp_half_release(half));
}

static void odp_half_work(struct work_struct *work)
{
	odp_half_run(container_of(work, struct odp_half, work), ODP_GFP_WORK);
}

/* In the thread of the fault service, which holds pins for this call only. */
static void odp_half_resume(struct odp_waiter *waiter)
{
	struct odp_half *half = container_of(waiter, struct odp_half, waiter);

	half->fault_err = waiter->err;
	half->pins = waiter->pins;
	if (half->pins)
		odp_half_run(half, ODP_GFP_WORK);
	else
		queue_work_on(half->cpu, half->wq, &half->work);
}

/**
 * odp_half_missed - what to make of a miss
 * @half: The half, with its miss filled in. Owner only.
 *
 * Return: -EAGAIN: the turn ends with ODP_TURN_MISS. Another error: this page
 * was just waited for and cannot be had; the miss is dropped.
 */
int odp_half_missed(struct odp_half *half)
{
	int err = half->fault_err;

	if (!err || half->fault_addr != half->miss.addr)
		return -EAGAIN;
	odp_miss_drop(&half->miss);
	return err;
}

/**
 * odp_half_kick - gets work done that was added before
 * @half: The half.
 *
 * Any context but hard interrupts. Runs the half, or leaves the work to who
 * does. The caller keeps the half from being freed.
 */
void odp_half_kick(struct odp_half *half)
{
	int old = atomic_fetch_or(ODP_HALF_OWNED | ODP_HALF_AGAIN,
				  &half->state);

	if (!(old & ODP_HALF_OWNED))
		odp_half_run(half, GFP_NOWAIT);
}

/**
 * odp_half_kick_later - the same, but leaves the work to the workqueue
 * @half: The half.
 *
 * Any context, with any locks held.
 */
void odp_half_kick_later(struct odp_half *half)
{
	int old = atomic_fetch_or(ODP_HALF_OWNED | ODP_HALF_AGAIN,
				  &half->state);

	if (!(old & ODP_HALF_OWNED))
		queue_work(half->wq, &half->work);
}

/**
 * odp_half_stop - makes a half rest
 * @half: The half.
 *
 * May sleep, but not for a page. On return nobody runs the half; kicks do nothing
 * until odp_half_start().
 */
void odp_half_stop(struct odp_half *half)
{
	atomic_or(ODP_HALF_STOPPED, &half->state);
	if (odp_waiter_close(&half->waiter))
		atomic_andnot(ODP_HALF_OWNED | ODP_HALF_AGAIN, &half->state);
	/* Pairs with the exchange in odp_half_release(). */
	wait_var_event(&half->state,
		       !(atomic_read_acquire(&half->state) & ODP_HALF_OWNED));
	WRITE_ONCE(half->parked, false);
}

/**
 * odp_half_unpark - takes a half back that waits for a page
 * @half: The half, or one that is about to wait. Its next turn finds a reason not
 *	to want the page any more.
 */
void odp_half_unpark(struct odp_half *half)
{
	if (odp_waiter_cancel(&half->waiter))
		queue_work(half->wq, &half->work);
}

/**
 * odp_half_start - undoes odp_half_stop()
 * @half: The half; to be kicked, as there may be work.
 */
void odp_half_start(struct odp_half *half)
{
	odp_waiter_open(&half->waiter);
	atomic_fetch_andnot(ODP_HALF_STOPPED, &half->state);
}

/**
 * odp_half_init - prepares a half, running
 * @half: The half.
 * @kernel: It is for a user of the kernel's: its memory is never missing.
 * @turn: Does its work.
 */
void odp_half_init(struct odp_half *half, bool kernel,
		   enum odp_turn (*turn)(struct odp_half *half))
{
	half->wq = kernel ? odp_kernel_wq : odp_user_wq;
	atomic_set(&half->state, 0);
	half->turn = turn;
	skb_queue_head_init(&half->rx);
	INIT_WORK(&half->work, odp_half_work);
	odp_waiter_init(&half->waiter, odp_half_resume);
}

int odp_half_module_init(void)
{
	/*
	 * Per CPU, so that a half goes on where it began: packets that are sent
	 * from several CPUs overtake each other on their way. Of ordinary
	 * priority: it does as much work as there is traffic, and what ksoftirqd
	 * and RCU's threads have to do is part of that.
	 */
	odp_user_wq = alloc_workqueue("odp", WQ_CPU_INTENSIVE, 0);
	if (!odp_user_wq)
		return -ENOMEM;
	odp_kernel_wq = alloc_workqueue("odp_kernel",
					WQ_MEM_RECLAIM | WQ_CPU_INTENSIVE, 0);
	if (!odp_kernel_wq) {
		destroy_workqueue(odp_user_wq);
		return -ENOMEM;
	}
	return 0;
}

void odp_half_module_exit(void)
{
	destroy_workqueue(odp_kernel_wq);
	destroy_workqueue(odp_user_wq);
}
