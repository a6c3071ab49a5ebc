// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Prefetches: pages that are brought in because somebody will want them.
 *
 * A prefetch goes through its range a block at a time: what is there already it
 * passes over, what another service has in hand it waits for, the rest it takes
 * in hand and serves itself, in the thread it runs in. That is the caller's for
 * odp_prefetch(). What odp_prefetch_later() asks for is queued with the mirror,
 * which works on a few requests at a time, one block a turn.
 *
 * A prefetch without faults waits for nobody: what others have in hand is not
 * in the page tables yet, or will be published by them.
 *
 * A request names its owner and holds nothing of it; when the owner goes, it is
 * cancelled, which does not wait: what is under way for its sake may still be
 * published, as with any other fault.
 */
#include <linux/completion.h>
#include <linux/slab.h>

#include "fault.h"
#include "leaf.h"

/* Requests of one process that are worked on, and that are remembered. */
#define ODP_PREFETCH_RUNNING	8
#define ODP_PREFETCH_QUEUE	1024

/**
 * struct odp_prefetch - a request
 * @work: Has a turn.
 * @entry: In the list of the mirror.
 * @mirror: Referenced.
 * @owner: Whose it is; compared, never followed.
 * @addr: Where it goes on, a page's address.
 * @left: Bytes from there on, whole pages.
 * @how: ODP_PREFETCH_*.
 * @started: It is one of those that are worked on.
 * @cancelled: Nothing more is to be done for it.
 */
struct odp_prefetch {
	struct work_struct work;
	struct list_head entry;
	struct odp_mirror *mirror;
	const void *owner;
	unsigned long addr;
	u64 left;
	unsigned int how;
	bool started;
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
 * Takes in hand what it can of the pages of @fault. If the first one is in
 * other hands, waits for that service; or, without faults, leaves to it what it
 * has. Return: true: taken.
 */
static bool odp_prefetch_take(struct odp_fault *fault,
			      struct odp_waiter *waiter)
{
	struct odp_fault *other;

	spin_lock_bh(&odp_fault_lock);
	other = odp_fault_find(fault->mirror, fault->start);
	if (!other) {
		odp_fault_open(fault);
	} else if (fault->no_fault) {
		fault->served = other->npages -
				((fault->start - other->start) >> PAGE_SHIFT);
	} else {
		odp_fault_join(other, waiter, fault->start);
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

/* Without faults, a page is brought in with the rights that it has. */
static int odp_prefetch_serve(struct odp_fault *fault)
{
	int err = odp_fault_serve(fault);

	if (err != -EFAULT || !fault->no_fault)
		return err;
	if (fault->write) {
		fault->write = false;
		odp_fault_trim(fault, max(fault->served, 1UL));
		err = odp_fault_serve(fault);
	}
	/* No page is nothing to wonder at if none is to be made. */
	if (err == -EFAULT) {
		fault->served = max(fault->served, 1UL);
		err = 0;
	}
	return err;
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
	int err = 0;

	odp_waiter_init(&wait.waiter, odp_prefetch_resumed);
	init_completion(&wait.done);
	if (odp_prefetch_take(&fault, &wait.waiter)) {
		err = odp_prefetch_serve(&fault);
		odp_fault_close(&fault, err);
	} else if (!fault.no_fault) {
		err = odp_prefetch_wait(&wait);
	}
	*npages = fault.served;
	return err;
}

/* One turn: to the end of the block at most. Moves the request on. */
static int odp_prefetch_turn(struct odp_mirror *mirror,
			     struct odp_prefetch *req)
{
	unsigned long n = min_t(u64, req->left >> PAGE_SHIFT,
				ODP_BLOCK_PAGES - odp_page_index(req->addr));
	unsigned long there = odp_leaf_missing(mirror, req->addr, n,
					       req->how & ODP_PREFETCH_WRITE);
	u64 len;
	int err = 0;

	n -= there;
	if (n)
		err = odp_prefetch_pages(mirror,
					 req->addr + (there << PAGE_SHIFT), &n,
					 req->how);
	/* Where there is no mapping, a turn without faults goes on to the next. */
	len = min_t(u64, req->left, (there + n) << PAGE_SHIFT);
	req->addr += len;
	req->left -= len;
	return err;
}

static bool odp_prefetch_in_mm(const struct odp_mirror *mirror,
			       unsigned long addr, u64 len)
{
	unsigned long size = mirror->mm->task_size;

	return addr < size && len <= size - addr;
}

/* Whole pages */
static void odp_prefetch_range(struct odp_prefetch *req, unsigned long addr,
			       u64 len)
{
	req->addr = addr & PAGE_MASK;
	req->left = len ? PAGE_ALIGN(addr + len) - req->addr : 0;
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
	struct odp_prefetch req = { .how = how };
	int err = 0;

	if (!odp_prefetch_in_mm(mirror, addr, len))
		return -EFAULT;
	odp_prefetch_range(&req, addr, len);
	while (req.left && !err) {
		err = odp_prefetch_turn(mirror, &req);
		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	return err;
}

/* The oldest request that was not started, or NULL. */
static struct odp_prefetch *odp_prefetch_next(struct odp_mirror *mirror)
{
	struct odp_prefetch *req;

	lockdep_assert_held(&odp_fault_lock);

	list_for_each_entry(req, &mirror->prefetches, entry)
		if (!req->started)
			return req;
	return NULL;
}

static void odp_prefetch_start(struct odp_prefetch *req)
{
	lockdep_assert_held(&odp_fault_lock);

	req->started = true;
	queue_work(req->mirror->wq, &req->work);
}

/* Takes a request off the list and starts the next one in its place. */
static void odp_prefetch_end(struct odp_prefetch *req)
{
	struct odp_mirror *mirror = req->mirror;
	struct odp_prefetch *next;

	spin_lock_bh(&odp_fault_lock);
	list_del(&req->entry);
	mirror->queued--;
	next = odp_prefetch_next(mirror);
	if (next)
		odp_prefetch_start(next);
	else
		mirror->prefetching--;
	spin_unlock_bh(&odp_fault_lock);

	kfree(req);
	odp_mirror_put(mirror);
}

static void odp_prefetch_work(struct work_struct *work)
{
	struct odp_prefetch *req = container_of(work, struct odp_prefetch,
						work);

	if (!req->left || READ_ONCE(req->cancelled) ||
	    odp_prefetch_turn(req->mirror, req))
		odp_prefetch_end(req);
	else
		queue_work(req->mirror->wq, &req->work);
}

/* With the request on the list its memory is the list's. */
static bool odp_prefetch_add(struct odp_prefetch *req)
{
	struct odp_mirror *mirror = req->mirror;
	bool room;

	spin_lock_bh(&odp_fault_lock);
	room = mirror->queued < ODP_PREFETCH_QUEUE;
	if (room) {
		odp_mirror_get(mirror);
		list_add_tail(&req->entry, &mirror->prefetches);
		mirror->queued++;
	}
	if (room && mirror->prefetching < ODP_PREFETCH_RUNNING) {
		mirror->prefetching++;
		odp_prefetch_start(req);
	}
	spin_unlock_bh(&odp_fault_lock);
	return room;
}

/**
 * odp_prefetch_later - asks for a range to be brought in
 * @mirror: The mirror, attached.
 * @addr: First address.
 * @len: Bytes; the range does not wrap.
 * @how: ODP_PREFETCH_*.
 * @owner: For odp_prefetch_cancel().
 *
 * May sleep for memory only. The first page that cannot be had ends it, and
 * nobody is told; nor if a process has more requests than can be remembered.
 * Return: 0, -EFAULT if that can be no memory of the process, or -ENOMEM.
 */
int odp_prefetch_later(struct odp_mirror *mirror, unsigned long addr, u64 len,
		       unsigned int how, const void *owner)
{
	struct odp_prefetch *req;

	if (!odp_prefetch_in_mm(mirror, addr, len))
		return -EFAULT;
	req = kzalloc(sizeof(*req), GFP_KERNEL_ACCOUNT);
	if (!req)
		return -ENOMEM;
	INIT_WORK(&req->work, odp_prefetch_work);
	req->mirror = mirror;
	req->owner = owner;
	req->how = how;
	odp_prefetch_range(req, addr, len);
	if (!odp_prefetch_add(req))
		kfree(req);
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
