// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Mirrors: one for each process address space, shared by all who attach.
 *
 * A mirror lives as long as its MMU notifier subscription, and a little longer
 * while faults or misses hold it. It references the mm_struct but not the
 * address space in it: process exit is not held up, it zaps everything, and
 * from then on every fault fails because mmget_not_zero() does.
 *
 * When the last attachment goes there may still be translations, whose dirty
 * bits must be given to the pages while the notifier keeps those valid. So the
 * mirror is zapped before the subscription is put. A fault that is still under
 * way may publish after that; nobody accesses memory without an attachment, so
 * such entries are clean, and are freed without a look at the pages.
 */
#include <linux/mmu_notifier.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>
#include <linux/workqueue.h>

#include "leaf.h"
#include "../compat/mm.h"

/* Services of one process at a time */
#define ODP_MIRROR_THREADS	64

/* Frees mirrors. */
static struct workqueue_struct *odp_mirror_wq;
/* Mirrors that exist, in whatever state. */
static atomic_t odp_mirrors = ATOMIC_INIT(0);

static struct odp_mirror *to_mirror(struct mmu_notifier *mn)
{
	return container_of(mn, struct odp_mirror, mn);
}

static int odp_mn_invalidate_range_start(struct mmu_notifier *mn,
					 const struct mmu_notifier_range *range)
{
	odp_zap_start(to_mirror(mn), range->start, range->end,
		      range->event == MMU_NOTIFY_UNMAP,
		      mmu_notifier_range_blockable(range));
	return 0;
}

static void odp_mn_invalidate_range_end(struct mmu_notifier *mn,
					const struct mmu_notifier_range *range)
{
	odp_zap_end(to_mirror(mn), range->start, range->end);
}

static ODP_YOUNG_T odp_mn_clear_young(struct mmu_notifier *mn,
				      struct mm_struct *mm,
				      unsigned long start, unsigned long end)
{
	return odp_leaves_young(to_mirror(mn), start, end, true);
}

static ODP_YOUNG_T odp_mn_test_young(struct mmu_notifier *mn,
				     struct mm_struct *mm, unsigned long addr)
{
	return odp_leaves_young(to_mirror(mn), addr, addr + PAGE_SIZE, false);
}

static void odp_mirror_zap_all(struct odp_mirror *mirror)
{
	odp_zap_start(mirror, 0, ULONG_MAX, true, true);
	odp_zap_end(mirror, 0, ULONG_MAX);
}

/* No mm_users are left, so no fault is under way and none will be. */
static void odp_mn_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	odp_mirror_zap_all(to_mirror(mn));
}

static void odp_mirror_free(struct work_struct *work)
{
	struct odp_mirror *mirror = container_of(work, struct odp_mirror, free);
	struct odp_leaf *leaf;
	unsigned long index;

	xa_for_each(&mirror->leaves, index, leaf) {
		odp_shrink_del(leaf);
		odp_leaf_put(leaf);
	}
	xa_destroy(&mirror->leaves);
	if (mirror->wq)
		destroy_workqueue(mirror->wq);
	mmdrop(mirror->mm);
	kfree(mirror);
	if (atomic_dec_and_test(&odp_mirrors))
		wake_up_var(&odp_mirrors);
}

static struct mmu_notifier *odp_mn_alloc(struct mm_struct *mm)
{
	struct odp_mirror *mirror;

	mirror = kzalloc(sizeof(*mirror), GFP_KERNEL_ACCOUNT);
	if (!mirror)
		return ERR_PTR(-ENOMEM);
	mmgrab(mm);
	mirror->mm = mm;
	refcount_set(&mirror->ref, 1);
	xa_init_flags(&mirror->leaves, XA_FLAGS_ACCOUNT);
	init_waitqueue_head(&mirror->zap_wait);
	INIT_LIST_HEAD(&mirror->faults);
	INIT_LIST_HEAD(&mirror->prefetches);
	INIT_WORK(&mirror->free, odp_mirror_free);
	atomic_inc(&odp_mirrors);
	return &mirror->mn;
}

static void odp_mn_free(struct mmu_notifier *mn)
{
	odp_mirror_put(to_mirror(mn));
}

static const struct mmu_notifier_ops odp_mn_ops = {
	.release = odp_mn_release,
	.clear_flush_young = odp_mn_clear_young,
	.clear_young = odp_mn_clear_young,
	.test_young = odp_mn_test_young,
	.invalidate_range_start = odp_mn_invalidate_range_start,
	.invalidate_range_end = odp_mn_invalidate_range_end,
	.alloc_notifier = odp_mn_alloc,
	.free_notifier = odp_mn_free,
};

/**
 * odp_mirror_detach - undoes odp_mirror_attach()
 * @mirror: The mirror; no access of the caller is under way.
 */
void odp_mirror_detach(struct odp_mirror *mirror)
{
	if (atomic_dec_and_test(&mirror->users))
		odp_mirror_zap_all(mirror);
	mmu_notifier_put(&mirror->mn);
}

/* Not made with the mirror itself, because the mmap lock is held for that. */
static int odp_mirror_make_wq(struct odp_mirror *mirror)
{
	struct workqueue_struct *wq;

	if (READ_ONCE(mirror->wq))
		return 0;
	wq = alloc_workqueue("odp_fault", WQ_UNBOUND, ODP_MIRROR_THREADS);
	if (!wq)
		return -ENOMEM;
	if (cmpxchg(&mirror->wq, NULL, wq))
		destroy_workqueue(wq);
	return 0;
}

/**
 * odp_mirror_attach - the mirror of the current process
 *
 * Takes the mmap lock of current->mm for writing. The caller may access memory
 * through the mirror until odp_mirror_detach().
 *
 * Return: the mirror, or an ERR_PTR().
 */
struct odp_mirror *odp_mirror_attach(void)
{
	struct odp_mirror *mirror;
	struct mmu_notifier *mn;
	int err;

	mn = mmu_notifier_get(&odp_mn_ops, current->mm);
	if (IS_ERR(mn))
		return ERR_CAST(mn);
	mirror = to_mirror(mn);
	atomic_inc(&mirror->users);
	err = odp_mirror_make_wq(mirror);
	if (err) {
		odp_mirror_detach(mirror);
		return ERR_PTR(err);
	}
	return mirror;
}

/**
 * odp_mirror_get - keeps a mirror's memory
 * @mirror: A mirror that the caller is attached to or has a reference of.
 *
 * Gives no right to access memory. Return: @mirror.
 */
struct odp_mirror *odp_mirror_get(struct odp_mirror *mirror)
{
	refcount_inc(&mirror->ref);
	return mirror;
}

/**
 * odp_mirror_put - undoes odp_mirror_get()
 * @mirror: The mirror. Any context but hard interrupts.
 */
void odp_mirror_put(struct odp_mirror *mirror)
{
	if (refcount_dec_and_test(&mirror->ref))
		queue_work(odp_mirror_wq, &mirror->free);
}

/**
 * odp_mirror_is_mine - is it the mirror of the current process?
 * @mirror: The mirror.
 */
bool odp_mirror_is_mine(const struct odp_mirror *mirror)
{
	return mirror->mm == current->mm;
}

/**
 * odp_mirror_stat - a counter of all mirrors
 * @stat: Which.
 */
u64 odp_mirror_stat(enum odp_mirror_stat stat)
{
	return atomic64_read(&odp_mirror_stats[stat]);
}

int odp_mirror_init(void)
{
	int err;

	err = odp_leaf_init();
	if (err)
		return err;
	err = odp_shrink_init();
	if (err)
		goto err_leaf;
	odp_mirror_wq = alloc_workqueue("odp_mirror", WQ_UNBOUND, 0);
	if (!odp_mirror_wq) {
		err = -ENOMEM;
		goto err_shrink;
	}
	return 0;

err_shrink:
	odp_shrink_exit();
err_leaf:
	odp_leaf_exit();
	return err;
}

/* Nobody is attached any more; subscriptions may still be on their way out. */
void odp_mirror_exit(void)
{
	mmu_notifier_synchronize();
	wait_var_event(&odp_mirrors, !atomic_read(&odp_mirrors));
	destroy_workqueue(odp_mirror_wq);
	odp_shrink_exit();
	odp_leaf_exit();
}
