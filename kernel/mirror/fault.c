// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Faults: waiting for pages that an access did not find.
 *
 * An access runs in any context and cannot wait for a page. Who misses one
 * starts a service (service.c), or joins the one that has the page in hand
 * already, and is resumed when it ends. The service runs in a thread of its
 * own. It holds the mirror, but nothing of those who wait: a waiter can be
 * closed, and its memory freed, while the service goes on.
 *
 *	closing					service ends
 *	-------					------------
 *	takes the fault lock			takes the fault lock
 *	on the list: off it, true		takes the whole list: waiters
 *						are no longer on it
 *	not on the list: false, the		calls resume() of each, without
 *	  waiter was or is being resumed,	  the lock
 *	  and its owner waits for that
 *
 * A service brings in what the request needs from the missing page on. While a
 * waiter's faults follow each other in address, as those of a stream do, it
 * brings in more, up to as much again as the stream has faulted; the first
 * fault out of order ends that. A service is bounded by its batch and its block.
 *
 * Locks: the fault lock is taken in softirq and nests in nothing.
 */
#include <linux/slab.h>

#include "fault.h"
#include "leaf.h"

/* Pages that one service of a fault brings in at most. */
#define ODP_FAULT_BATCH		64UL
/* Waits without progress, after which a service does not publish. */
#define ODP_FAULT_WAITS		4
/* Protects the lists of all mirrors and faults, and what ends waits. */
DEFINE_SPINLOCK(odp_fault_lock);

/*
 * Why a page cannot be had is told to the one who asked. Others may have come
 * when it was too late for the look-up, or for another page: they ask again.
 */
static int odp_waiter_err(const struct odp_waiter *waiter, int err)
{
	return waiter->joined && err != -ESRCH ? 0 : err;
}

/**
 * odp_fault_find - the service that has a page in hand
 * @mirror: The mirror.
 * @addr: An address in the page.
 *
 * The fault lock is held. Return: the service or NULL.
 */
struct odp_fault *odp_fault_find(struct odp_mirror *mirror, unsigned long addr)
{
	struct odp_fault *fault;

	lockdep_assert_held(&odp_fault_lock);

	list_for_each_entry(fault, &mirror->faults, entry)
		if (addr >= fault->start &&
		    (addr - fault->start) >> PAGE_SHIFT < fault->npages)
			return fault;
	return NULL;
}

/**
 * odp_fault_join - waits for a service that somebody else has started
 * @fault: The service, found under the fault lock, which is still held.
 * @waiter: Who waits.
 * @addr: For what.
 */
void odp_fault_join(struct odp_fault *fault, struct odp_waiter *waiter,
		    unsigned long addr)
{
	lockdep_assert_held(&odp_fault_lock);

	waiter->addr = addr;
	waiter->joined = true;
	list_add_tail(&waiter->entry, &fault->waiters);
}

/**
 * odp_fault_open - takes pages in hand
 * @fault: @mirror to @no_fault set. The fault lock is held, and the first page
 *	is in no other hands; where that is not so, @npages is cut.
 */
void odp_fault_open(struct odp_fault *fault)
{
	struct odp_fault *other;

	lockdep_assert_held(&odp_fault_lock);

	list_for_each_entry(other, &fault->mirror->faults, entry)
		if (other->start > fault->start)
			fault->npages = min(fault->npages,
					    (other->start - fault->start) >>
					    PAGE_SHIFT);
	INIT_LIST_HEAD(&fault->waiters);
	list_add_tail(&fault->entry, &fault->mirror->faults);
}

static void odp_waiters_resume(struct odp_fault *fault,
			       struct list_head *waiters, int err)
{
	struct odp_waiter *waiter;

	lockdep_assert_held(&odp_fault_lock);

	while ((waiter = list_first_entry_or_null(waiters, struct odp_waiter,
						  entry))) {
		list_del_init(&waiter->entry);
		spin_unlock_bh(&odp_fault_lock);

		waiter->err = odp_waiter_err(waiter, err);
		waiter->pins = fault->pins.mirror ? &fault->pins : NULL;
		waiter->resume(waiter);

		spin_lock_bh(&odp_fault_lock);
	}
}

/**
 * odp_fault_withdraw - lets nobody join any more
 * @fault: The service.
 *
 * Pages that are held are for those who were waiting before they were looked
 * up: an operation that begins later wants what the process has mapped by then.
 *
 *	service					process, and its half
 *	-------					---------------------
 *	withdraws, pins page P
 *						maps Q in its place, fills it,
 *						posts a SEND of it
 *						misses: a service of its own
 *	resumes its waiters with P
 */
void odp_fault_withdraw(struct odp_fault *fault)
{
	spin_lock_bh(&odp_fault_lock);
	list_del_init(&fault->entry);
	spin_unlock_bh(&odp_fault_lock);
}

/**
 * odp_fault_close - lets go of pages and resumes those who wait for them
 * @fault: The service.
 * @err: How it ended.
 */
void odp_fault_close(struct odp_fault *fault, int err)
{
	spin_lock_bh(&odp_fault_lock);
	list_del_init(&fault->entry);
	odp_waiters_resume(fault, &fault->waiters, err);
	spin_unlock_bh(&odp_fault_lock);
}

/**
 * odp_fault_trim - leaves all but the first pages to others
 * @fault: The service, not having looked up any.
 * @npages: How many it keeps, if it has more.
 *
 * Who waits for another page is resumed and starts a service of its own.
 */
void odp_fault_trim(struct odp_fault *fault, unsigned long npages)
{
	struct odp_waiter *waiter, *next;
	LIST_HEAD(others);

	if (npages >= fault->npages)
		return;
	spin_lock_bh(&odp_fault_lock);
	fault->npages = npages;
	list_for_each_entry_safe(waiter, next, &fault->waiters, entry)
		if ((waiter->addr - fault->start) >> PAGE_SHIFT >= npages)
			list_move_tail(&waiter->entry, &others);
	odp_waiters_resume(fault, &others, 0);
	spin_unlock_bh(&odp_fault_lock);
}

static void odp_fault_work(struct work_struct *work)
{
	struct odp_fault *fault = container_of(work, struct odp_fault, work);

	odp_fault_close(fault, odp_fault_serve(fault));
	odp_fault_unpin(fault);
	odp_mirror_put(fault->mirror);
	kfree(fault);
}

/*
 * Pages to bring in: what is needed and, in a stream, more; in this block and
 * this window.
 */
static unsigned long odp_fault_npages(const struct odp_miss *miss,
				      unsigned long ahead)
{
	unsigned long start = miss->addr & PAGE_MASK;
	u64 need = min_t(u64, miss->len, ODP_FAULT_BATCH << PAGE_SHIFT);
	u64 room = min_t(u64, miss->room, ODP_BLOCK_SIZE);
	unsigned long n;

	n = DIV_ROUND_UP(offset_in_page(miss->addr) + need, PAGE_SIZE) + ahead;
	n = min_t(u64, n, DIV_ROUND_UP(offset_in_page(miss->addr) + room,
				       PAGE_SIZE));
	return min3(n, ODP_FAULT_BATCH,
		    ODP_BLOCK_PAGES - odp_page_index(start));
}

/* Is it a stream? Pages ahead double as long as it is. */
static void odp_waiter_follow(struct odp_waiter *waiter, unsigned long start)
{
	if (start == waiter->next)
		waiter->ahead = clamp(2 * waiter->ahead, 1UL, ODP_FAULT_BATCH);
	else
		waiter->ahead = 0;
}

static void odp_fault_start(struct odp_fault *fault, struct odp_miss *miss,
			    struct odp_waiter *waiter)
{
	struct odp_mirror *mirror = miss->mirror;

	INIT_WORK(&fault->work, odp_fault_work);
	fault->mirror = mirror;
	fault->start = miss->addr & PAGE_MASK;
	odp_waiter_follow(waiter, fault->start);
	fault->npages = odp_fault_npages(miss, waiter->ahead);
	fault->write = miss->write;
	fault->direct = waiter->tries > ODP_FAULT_WAITS;
	odp_fault_open(fault);
	waiter->addr = miss->addr;
	waiter->joined = false;
	list_add_tail(&waiter->entry, &fault->waiters);
	waiter->next = fault->start + (fault->npages << PAGE_SHIFT);
	odp_stat_add(ODP_STAT_FAULTS, 1);
	queue_work(mirror->wq, &fault->work);
}

/**
 * odp_fault - waits for memory that an access did not find
 * @miss: From the access; the reference is taken over if this succeeds.
 * @waiter: Resumed when the service is over; not waiting now.
 * @gfp: How to allocate.
 *
 * Any context that @gfp allows. Several waiters for a page cost one service.
 * A service for reading may be joined by one who writes; that one finds out
 * when it tries again.
 *
 * Return: 0: @waiter is resumed exactly once, unless odp_waiter_close() comes
 * first. -ENOMEM: try again where more memory can be had. -ECANCELED: @waiter
 * is closed, or was cancelled before it waited.
 */
int odp_fault(struct odp_miss *miss, struct odp_waiter *waiter, gfp_t gfp)
{
	struct odp_fault *new = kzalloc(sizeof(*new), gfp | __GFP_NOWARN);
	struct odp_fault *fault;
	int err = -ECANCELED;

	spin_lock_bh(&odp_fault_lock);
	if (waiter->closed || waiter->cancelled) {
		waiter->cancelled = false;
		goto out;
	}
	waiter->tries++;
	fault = odp_fault_find(miss->mirror, miss->addr);
	if (fault) {
		odp_stat_add(ODP_STAT_FAULT_JOINED, 1);
		odp_fault_join(fault, waiter, miss->addr);
		odp_mirror_put(miss->mirror);
	} else {
		err = -ENOMEM;
		fault = new;
		if (!fault)
			goto out;
		new = NULL;
		odp_fault_start(fault, miss, waiter);
	}
	miss->mirror = NULL;
	err = 0;
out:
	spin_unlock_bh(&odp_fault_lock);
	kfree(new);
	return err;
}

/**
 * odp_miss_drop - forgets a miss without waiting
 * @miss: The miss; may be empty.
 */
void odp_miss_drop(struct odp_miss *miss)
{
	if (miss->mirror)
		odp_mirror_put(miss->mirror);
	miss->mirror = NULL;
}

/**
 * odp_waiter_init - prepares a waiter
 * @waiter: The waiter.
 * @resume: See &struct odp_waiter.
 */
void odp_waiter_init(struct odp_waiter *waiter,
		     void (*resume)(struct odp_waiter *waiter))
{
	memset(waiter, 0, sizeof(*waiter));
	waiter->resume = resume;
	INIT_LIST_HEAD(&waiter->entry);
}

/**
 * odp_waiter_close - ends a wait and lets no other begin
 * @waiter: The waiter.
 *
 * Return: true if it was waiting and will now not be resumed.
 */
bool odp_waiter_close(struct odp_waiter *waiter)
{
	bool waiting;

	spin_lock_bh(&odp_fault_lock);
	waiter->closed = true;
	waiting = !list_empty(&waiter->entry);
	list_del_init(&waiter->entry);
	spin_unlock_bh(&odp_fault_lock);
	return waiting;
}

/**
 * odp_waiter_cancel - ends a wait, or the one that is about to begin
 * @waiter: The waiter.
 *
 * There is a reason not to wait any more, but he may not have seen it in time:
 *
 *	waiter					who has the reason
 *	------					------------------
 *	sees none; misses a page
 *						tells the reason, cancels: there
 *						is no wait yet
 *	waits for a page that may never come
 *
 * So his next odp_fault() is refused, and he looks once more.
 *
 * Return: true if it was waiting and will now not be resumed.
 */
bool odp_waiter_cancel(struct odp_waiter *waiter)
{
	bool waiting;

	spin_lock_bh(&odp_fault_lock);
	waiting = !list_empty(&waiter->entry);
	list_del_init(&waiter->entry);
	waiter->cancelled = !waiting;
	spin_unlock_bh(&odp_fault_lock);
	return waiting;
}

/**
 * odp_waiter_open - undoes odp_waiter_close() and odp_waiter_cancel()
 * @waiter: The waiter.
 */
void odp_waiter_open(struct odp_waiter *waiter)
{
	spin_lock_bh(&odp_fault_lock);
	waiter->closed = false;
	waiter->cancelled = false;
	spin_unlock_bh(&odp_fault_lock);
}
