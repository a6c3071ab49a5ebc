// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Faults: bringing in pages that an access did not find.
 *
 * An access runs in any context and cannot wait for a page. Who misses one
 * starts a service, or joins the one that has the page in hand already, and is
 * resumed when it ends. The service runs in a thread of its own, because it may
 * take as long as it likes: swap, a network filesystem, a userfaultfd handler.
 * It holds the mirror, and the address space while it looks up pages, but
 * nothing of those who wait: a waiter can be closed, and its memory freed,
 * while the service goes on.
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
 * A fault repeats its look-up when a zap of the same block came between. After
 * a few times it stops publishing: it pins the pages, resumes the waiters while
 * it holds them, and they work on the pages directly. So does a fault for a
 * waiter whose pages were brought in and zapped again and again before it ran:
 * odp_fault() counts until odp_waiter_progress().
 *
 * Locks: the fault lock is taken in softirq and nests in nothing.
 */
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "fault.h"
#include "leaf.h"
#include "../compat/mm.h"

/* Pages that one service brings in at most. */
#define ODP_FAULT_BATCH		64UL
/* Look-ups before a service gives up publishing. */
#define ODP_FAULT_RETRIES	4
/* Services of one process at a time; they can take as long as it likes. */
#define ODP_FAULT_RUNNING	64

/**
 * struct odp_fault - a fault under way
 * @work: Runs the service.
 * @entry: In the list of the mirror.
 * @pending: In the list of those that are to be started.
 * @waiters: Who waits.
 * @mirror: Referenced.
 * @start: Address of the first page.
 * @npages: Number of pages; all of one block.
 * @write: They are going to be written.
 * @direct: Do not publish.
 * @pins: Set while pages are pinned.
 */
struct odp_fault {
	struct work_struct work;
	struct list_head entry;
	struct list_head pending;
	struct list_head waiters;
	struct odp_mirror *mirror;
	unsigned long start;
	unsigned long npages;
	bool write;
	bool direct;
	struct odp_pins pins;
};

static struct workqueue_struct *odp_fault_wq;

/* Protects the lists of all mirrors and faults, and odp_waiter.closed. */
static DEFINE_SPINLOCK(odp_fault_lock);

static long odp_fault_lookup(struct odp_fault *fault, unsigned long start,
			     unsigned long npages, struct page **pages,
			     unsigned int flags, bool pin)
{
	struct mm_struct *mm = fault->mirror->mm;
	int locked = 1;
	long n;

	if (fault->write)
		flags |= FOLL_WRITE;
	mmap_read_lock(mm);
	if (pin)
		n = odp_pin_user_pages_remote(mm, start, npages, flags, pages,
					      &locked);
	else
		n = odp_get_user_pages_remote(mm, start, npages, flags, pages,
					      &locked);
	if (locked)
		mmap_read_unlock(mm);
	return n ?: -EFAULT;
}

static void odp_pages_put(struct page **pages, long npages)
{
	while (npages > 0)
		put_page(pages[--npages]);
}

/*
 * The pages of the fault; or, where the first is part of a huge page that can
 * serve its whole block, those of the block. *start says which.
 */
static long odp_fault_collect(struct odp_fault *fault, unsigned long *start,
			      struct page **pages)
{
	unsigned long block = fault->start & ~(ODP_BLOCK_SIZE - 1);
	long n;

	*start = fault->start;
	n = odp_fault_lookup(fault, *start, fault->npages, pages, 0, false);
	if (n < 0 || !odp_page_fills_block(pages[0], *start))
		return n;
	odp_pages_put(pages, n);

	/* What else of it is mapped is looked at, and nothing brought in. */
	n = odp_fault_lookup(fault, block, ODP_BLOCK_PAGES, pages,
			     FOLL_NOFAULT, false);
	if (n == ODP_BLOCK_PAGES && odp_pages_huge(block, pages, n)) {
		*start = block;
		return n;
	}
	odp_pages_put(pages, n);
	return odp_fault_lookup(fault, *start, fault->npages, pages, 0, false);
}

/* One round by the publish rule; -EAGAIN if a zap came between, or -EBUSY. */
static int odp_fault_publish(struct odp_fault *fault, struct odp_leaf *leaf,
			     struct page **pages)
{
	unsigned long start;
	bool huge;
	long n;
	u64 seq;
	int err;

	err = odp_leaf_snapshot(fault->mirror, leaf, &seq);
	if (err)
		return err;
	n = odp_fault_collect(fault, &start, pages);
	if (n < 0)
		return n;

	huge = odp_pages_huge(start, pages, n);
	if (!huge)
		err = odp_leaf_alloc_entries(leaf);
	if (!err && !odp_leaf_publish(leaf, seq, start, pages, n, huge,
				      fault->write))
		err = -EAGAIN;
	odp_pages_put(pages, n);
	if (!err)
		odp_stat_add(ODP_STAT_FAULT_PAGES, n);
	return err;
}

static int odp_fault_try(struct odp_fault *fault, struct page **pages)
{
	struct odp_leaf *leaf;
	int err;

	leaf = odp_leaf_get(fault->mirror, fault->start);
	if (IS_ERR(leaf))
		return PTR_ERR(leaf);
	err = odp_fault_publish(fault, leaf, pages);
	if (err == -EFAULT)
		odp_leaf_kill(fault->mirror, leaf, true);
	odp_leaf_put(leaf);
	return err;
}

static int odp_fault_pin(struct odp_fault *fault, struct page **pages)
{
	long n = odp_fault_lookup(fault, fault->start, fault->npages, pages, 0,
				  true);

	if (n < 0)
		return n;
	odp_stat_add(ODP_STAT_FAULT_DIRECT, 1);
	fault->pins.mirror = fault->mirror;
	fault->pins.start = fault->start;
	fault->pins.npages = n;
	fault->pins.write = fault->write;
	fault->pins.pages = pages;
	return 0;
}

static int odp_fault_pages(struct odp_fault *fault, struct page **pages)
{
	int err = -EAGAIN;
	int i;

	/*
	 * What is no user address is none for the kernel's look-up either, but
	 * that one may ignore the upper bits, which the leaves do not.
	 */
	if (fault->start >= fault->mirror->mm->task_size)
		return -EFAULT;
	for (i = 0; i < ODP_FAULT_RETRIES && !fault->direct; i++) {
		err = odp_fault_try(fault, pages);
		if (err != -EAGAIN)
			break;
		odp_stat_add(ODP_STAT_FAULT_RETRIES, 1);
	}
	/* No memory for a leaf, say at a cgroup's limit, is no excuse either. */
	if (err == -EAGAIN || err == -EBUSY || err == -ENOMEM)
		err = odp_fault_pin(fault, pages);
	return err;
}

/* Memory of leaves is charged to the process that they mirror. */
static int odp_fault_in_mm(struct odp_fault *fault, struct page **pages)
{
	struct mm_struct *mm = fault->mirror->mm;
	struct mem_cgroup *memcg, *old;
	int err;

	if (!mmget_not_zero(mm))
		return -ESRCH;
	memcg = get_mem_cgroup_from_mm(mm);
	old = set_active_memcg(memcg);
	err = odp_fault_pages(fault, pages);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	/* It may be the last one, and to tear an mm down takes its time. */
	mmput_async(mm);
	return err;
}

/*
 * A service fails at its first page and with the rights that it was asked for.
 * To who joined it for another page, or for less, that says nothing.
 */
static int odp_waiter_err(struct odp_fault *fault, struct odp_waiter *waiter,
			  int err)
{
	if (err != -ESRCH && ((waiter->addr & PAGE_MASK) != fault->start ||
			      waiter->write != fault->write))
		return 0;
	return err;
}

/* One service is over; another one may start. */
static void odp_fault_next(struct odp_mirror *mirror)
{
	struct odp_fault *next;

	lockdep_assert_held(&odp_fault_lock);

	next = list_first_entry_or_null(&mirror->pending, struct odp_fault,
					pending);
	if (next) {
		list_del(&next->pending);
		odp_fault_queue(&next->work);
	} else {
		mirror->running--;
	}
}

static void odp_fault_resume(struct odp_fault *fault, int err)
{
	LIST_HEAD(waiters);
	struct odp_waiter *waiter;

	spin_lock_bh(&odp_fault_lock);
	list_del(&fault->entry);
	odp_fault_next(fault->mirror);
	while ((waiter = list_first_entry_or_null(&fault->waiters,
						  struct odp_waiter, entry))) {
		list_del_init(&waiter->entry);
		spin_unlock_bh(&odp_fault_lock);

		waiter->err = odp_waiter_err(fault, waiter, err);
		waiter->pins = fault->pins.mirror ? &fault->pins : NULL;
		waiter->resume(waiter);

		spin_lock_bh(&odp_fault_lock);
	}
	spin_unlock_bh(&odp_fault_lock);
}

static void odp_fault_work(struct work_struct *work)
{
	struct odp_fault *fault = container_of(work, struct odp_fault, work);
	struct page **pages;
	int err = -ENOMEM;

	pages = kmalloc_array(ODP_BLOCK_PAGES, sizeof(*pages), GFP_KERNEL);
	if (pages)
		err = odp_fault_in_mm(fault, pages);
	if (err)
		odp_stat_add(ODP_STAT_FAULT_ERRORS, 1);

	odp_fault_resume(fault, err);

	if (fault->pins.mirror)
		unpin_user_pages_dirty_lock(pages, fault->pins.npages,
					    fault->write);
	kfree(pages);
	odp_mirror_put(fault->mirror);
	kfree(fault);
}

/* A service under way that has the page in hand. */
static struct odp_fault *odp_fault_find(struct odp_mirror *mirror,
					unsigned long addr)
{
	struct odp_fault *fault;

	lockdep_assert_held(&odp_fault_lock);

	list_for_each_entry(fault, &mirror->faults, entry)
		if (addr >= fault->start &&
		    (addr - fault->start) >> PAGE_SHIFT < fault->npages)
			return fault;
	return NULL;
}

/* Pages to bring in: what is needed, in this block, not in other hands. */
static unsigned long odp_fault_npages(const struct odp_miss *miss)
{
	unsigned long start = miss->addr & PAGE_MASK;
	unsigned long room = ODP_BLOCK_PAGES -
			     ((start & (ODP_BLOCK_SIZE - 1)) >> PAGE_SHIFT);
	unsigned long n = min(ODP_FAULT_BATCH, room);
	u64 bytes = min_t(u64, miss->len, n << PAGE_SHIFT);
	struct odp_fault *fault;

	n = min_t(u64, n, DIV_ROUND_UP(offset_in_page(miss->addr) + bytes,
				       PAGE_SIZE));
	list_for_each_entry(fault, &miss->mirror->faults, entry)
		if (fault->start > start)
			n = min(n, (fault->start - start) >> PAGE_SHIFT);
	return n;
}

static void odp_fault_start(struct odp_fault *fault, struct odp_miss *miss,
			    bool direct)
{
	INIT_WORK(&fault->work, odp_fault_work);
	INIT_LIST_HEAD(&fault->waiters);
	fault->mirror = miss->mirror;
	fault->start = miss->addr & PAGE_MASK;
	fault->npages = odp_fault_npages(miss);
	fault->write = miss->write;
	fault->direct = direct;
	list_add_tail(&fault->entry, &miss->mirror->faults);
	odp_stat_add(ODP_STAT_FAULTS, 1);

	if (miss->mirror->running == ODP_FAULT_RUNNING) {
		list_add_tail(&fault->pending, &miss->mirror->pending);
	} else {
		miss->mirror->running++;
		odp_fault_queue(&fault->work);
	}
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
 * is closed.
 */
int odp_fault(struct odp_miss *miss, struct odp_waiter *waiter, gfp_t gfp)
{
	struct odp_fault *new = kzalloc(sizeof(*new), gfp | __GFP_NOWARN);
	struct odp_fault *fault;
	int err = -ECANCELED;

	spin_lock_bh(&odp_fault_lock);
	if (waiter->closed)
		goto out;
	waiter->addr = miss->addr;
	waiter->write = miss->write;
	waiter->tries++;
	fault = odp_fault_find(miss->mirror, miss->addr);
	if (fault) {
		odp_stat_add(ODP_STAT_FAULT_JOINED, 1);
		odp_mirror_put(miss->mirror);
	} else {
		err = -ENOMEM;
		fault = new;
		if (!fault)
			goto out;
		new = NULL;
		odp_fault_start(fault, miss,
				waiter->tries > ODP_FAULT_RETRIES);
	}
	list_add_tail(&waiter->entry, &fault->waiters);
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
 * odp_waiter_cancel - ends a wait
 * @waiter: The waiter.
 *
 * Return: true if it was waiting and will now not be resumed.
 */
bool odp_waiter_cancel(struct odp_waiter *waiter)
{
	bool waiting;

	spin_lock_bh(&odp_fault_lock);
	waiting = !list_empty(&waiter->entry);
	list_del_init(&waiter->entry);
	spin_unlock_bh(&odp_fault_lock);
	return waiting;
}

/**
 * odp_waiter_open - undoes odp_waiter_close()
 * @waiter: The waiter.
 */
void odp_waiter_open(struct odp_waiter *waiter)
{
	spin_lock_bh(&odp_fault_lock);
	waiter->closed = false;
	spin_unlock_bh(&odp_fault_lock);
}

/**
 * odp_fault_queue - runs something in a thread of its own
 * @work: It may block for long.
 */
void odp_fault_queue(struct work_struct *work)
{
	queue_work(odp_fault_wq, work);
}

int odp_fault_init(void)
{
	/* A service may block for long, so there are as many as can be. */
	odp_fault_wq = alloc_workqueue("odp_fault", WQ_UNBOUND,
				       WQ_UNBOUND_MAX_ACTIVE);
	return odp_fault_wq ? 0 : -ENOMEM;
}

void odp_fault_exit(void)
{
	destroy_workqueue(odp_fault_wq);
}
