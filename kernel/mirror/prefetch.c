// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Prefetches: pages that are brought in because somebody will want them.
 *
 * A prefetch goes through its range a block at a time: what is there already it
 * passes over, what another service has in hand it waits for, the rest it takes
 * in hand and serves itself, in the thread it runs in. That is the caller's for
 * odp_prefetch(). What odp_prefetch_later() asks for is queued with the mirror,
 * which works on one request at a time, one block a turn, so that a process has
 * one thread for it however much it asks.
 *
 * A request names its owner and holds nothing of it; when the owner goes, it is
 * cancelled, which does not wait: what is under way for its sake may still be
 * published, as with any other fault.
 */
#include <linux/completion.h>
#include <linux/slab.h>

#include "fault.h"
#include "leaf.h"

/**
 * struct odp_prefetch - a request
 * @entry: In the list of the mirror; the first one is being worked on.
 * @owner: Whose it is; compared, never followed.
 * @addr: Where it goes on.
 * @left: Bytes from there on.
 * @how: ODP_PREFETCH_*.
 * @cancelled: Nothing more is to be done for it.
 */
struct odp_prefetch {
	struct list_head entry;
	const void *owner;
	unsigned long addr;
	u64 left;
	unsigned int how;
	bool cancelled;
};

/* Who waits for a service of somebody else */
struct odp_prefetch_wait {
	struct odp_waiter waiter;
	struct completion done;
};

static void odp_prefetch_resumed(struct odp_waiter *waiter)
{
	complete(&container_of(waiter, struct odp_prefetch_wait, waiter)->done);
}

/*
 * Takes in hand what it can of the pages of @fault, or, if the first one is in
 * other hands, waits for that service. Return: true: taken; false: waiting.
 */
static bool odp_prefetch_take(struct odp_fault *fault,
			      struct odp_waiter *waiter)
{
	struct odp_fault *other;

	spin_lock_bh(&odp_fault_lock);
	other = odp_fault_find(fault->mirror, fault->start);
	if (other) {
		waiter->addr = fault->start;
		waiter->write = fault->write;
		odp_fault_join(other, waiter);
	} else {
		odp_fault_open(fault);
	}
	spin_unlock_bh(&odp_fault_lock);
	return !other;
}

static int odp_prefetch_wait(struct odp_prefetch_wait *wait)
{
	if (!wait_for_completion_killable(&wait->done))
		return wait->waiter.err;
	if (!odp_waiter_close(&wait->waiter))
		wait_for_completion(&wait->done);
	return -EINTR;
}

/*
 * Serves pages of one block from @addr on, or waits for who does. @npages is
 * how many, and becomes how many are done with; there may be none.
 */
static int odp_prefetch_pages(struct odp_mirror *mirror, unsigned long addr,
			      unsigned long *npages, unsigned int how)
{
	struct odp_fault fault = {
		.mirror = mirror,
		.start = addr,
		.npages = *npages,
		.write = how & ODP_PREFETCH_WRITE,
		.prefetch = true,
		.no_fault = how & ODP_PREFETCH_NO_FAULT,
	};
	struct odp_prefetch_wait wait;
	int err;

	odp_waiter_init(&wait.waiter, odp_prefetch_resumed);
	init_completion(&wait.done);
	*npages = 0;
	if (odp_prefetch_take(&fault, &wait.waiter)) {
		err = odp_fault_serve(&fault);
		odp_fault_close(&fault, err);
		/* No page is nothing to wonder at if none is to be made. */
		*npages = err ? 1 : min(fault.served, fault.npages);
	} else {
		err = odp_prefetch_wait(&wait);
	}
	return err == -EFAULT && fault.no_fault ? 0 : err;
}

/* One turn: to the end of the block at most. Moves the request on. */
static int odp_prefetch_turn(struct odp_mirror *mirror,
			     struct odp_prefetch *req)
{
	unsigned long page = req->addr & PAGE_MASK;
	unsigned long end = (page | (ODP_BLOCK_SIZE - 1)) + 1;
	u64 len = min_t(u64, req->left, end - req->addr);
	unsigned long n = DIV_ROUND_UP(req->addr + len - page, PAGE_SIZE);
	unsigned long missing = odp_leaf_missing(mirror, page, n,
						 req->how & ODP_PREFETCH_WRITE);
	int err = 0;

	n -= missing;
	if (n)
		err = odp_prefetch_pages(mirror, page + (missing << PAGE_SHIFT),
					 &n, req->how);
	len = min_t(u64, len, page + ((missing + n) << PAGE_SHIFT) - req->addr);
	req->addr += len;
	req->left -= len;
	return err;
}

/**
 * odp_prefetch - brings in a range
 * @mirror: The mirror, with a reference or an attachment.
 * @addr: First address.
 * @len: Bytes; the range does not wrap.
 * @how: ODP_PREFETCH_*.
 *
 * Sleeps, in the caller's thread, until all is in; can be killed. Zaps may take
 * pages out again before it returns.
 *
 * Return: 0; -EFAULT: a page cannot be had, with those before it in; -ESRCH:
 * the process is gone; -ENOMEM; -EINTR: killed.
 */
int odp_prefetch(struct odp_mirror *mirror, unsigned long addr, u64 len,
		 unsigned int how)
{
	struct odp_prefetch req = { .addr = addr, .left = len, .how = how };
	int err = 0;

	while (req.left && !err) {
		err = odp_prefetch_turn(mirror, &req);
		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	return err;
}

/*
 * A turn of the first request. Only this takes requests off the list; the
 * mirror has a reference, and this work is queued, as long as there are any.
 */
static void odp_prefetch_work(struct work_struct *work)
{
	struct odp_mirror *mirror = container_of(work, struct odp_mirror,
						 prefetch);
	struct odp_prefetch *req;
	bool over, more;

	spin_lock_bh(&odp_fault_lock);
	req = list_first_entry(&mirror->prefetches, struct odp_prefetch, entry);
	spin_unlock_bh(&odp_fault_lock);

	over = READ_ONCE(req->cancelled) || odp_prefetch_turn(mirror, req) ||
	       !req->left;

	spin_lock_bh(&odp_fault_lock);
	if (over)
		list_del(&req->entry);
	more = !list_empty(&mirror->prefetches);
	spin_unlock_bh(&odp_fault_lock);

	if (over)
		kfree(req);
	if (more)
		odp_fault_queue(&mirror->prefetch);
	else
		odp_mirror_put(mirror);
}

/**
 * odp_prefetch_later - asks for a range to be brought in
 * @mirror: The mirror, with a reference or an attachment.
 * @addr: First address.
 * @len: Bytes; the range does not wrap.
 * @how: ODP_PREFETCH_*.
 * @owner: For odp_prefetch_cancel().
 *
 * May sleep for memory only. The first page that cannot be had ends it, and
 * nobody is told. Return: 0 or -ENOMEM.
 */
int odp_prefetch_later(struct odp_mirror *mirror, unsigned long addr, u64 len,
		       unsigned int how, const void *owner)
{
	struct odp_prefetch *req = kzalloc(sizeof(*req), GFP_KERNEL_ACCOUNT);
	bool first;

	if (!req)
		return -ENOMEM;
	req->owner = owner;
	req->addr = addr;
	req->left = len;
	req->how = how;

	spin_lock_bh(&odp_fault_lock);
	first = list_empty(&mirror->prefetches);
	if (first)
		odp_mirror_get(mirror);
	list_add_tail(&req->entry, &mirror->prefetches);
	spin_unlock_bh(&odp_fault_lock);

	if (first)
		odp_fault_queue(&mirror->prefetch);
	return 0;
}

/**
 * odp_prefetch_cancel - forgets what an owner has asked for
 * @mirror: The mirror.
 * @owner: The owner.
 *
 * Does not wait for the turn that is under way.
 */
void odp_prefetch_cancel(struct odp_mirror *mirror, const void *owner)
{
	struct odp_prefetch *req;

	spin_lock_bh(&odp_fault_lock);
	list_for_each_entry(req, &mirror->prefetches, entry)
		if (req->owner == owner)
			WRITE_ONCE(req->cancelled, true);
	spin_unlock_bh(&odp_fault_lock);
}

/**
 * odp_prefetch_init - prepares a mirror for prefetches
 * @mirror: The mirror.
 */
void odp_prefetch_init(struct odp_mirror *mirror)
{
	INIT_LIST_HEAD(&mirror->prefetches);
	INIT_WORK(&mirror->prefetch, odp_prefetch_work);
}
