// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Leaves: making, finding and freeing what a mirror knows of one block.
 *
 * A leaf is made by the first fault in its block. It goes when a mapping does
 * and leaves it without an entry, when the shrinker finds it idle, and with the
 * mirror. What is in it is the matter of entry.c, who may look up pages for it
 * that of zap.c.
 *
 * A leaf is killed with its zap lock held: then no zap is between the drop of
 * entries and the return of their dirty bits, which others wait for by finding
 * the leaf in the tree. With no entry present nobody who has found the leaf
 * before can use it, and nothing is published in a dead one.
 */
#include <linux/jiffies.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "leaf.h"

/* A fault waits for zaps to end for no longer than this, then works directly. */
#define ODP_QUIET_TIMEOUT	(HZ / 100 + 1)

/*
 * Charged to the process, but it is not to be killed for want of a leaf: a fault
 * does without (see odp_service_give_up()).
 */
#define ODP_LEAF_GFP	(GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

atomic64_t odp_mirror_stats[ODP_STAT_COUNT];

static struct kmem_cache *odp_leaf_cache;
static struct kmem_cache *odp_row_cache;

static void odp_leaf_free_rcu(struct rcu_head *rcu)
{
	struct odp_leaf *leaf = container_of(rcu, struct odp_leaf, rcu);
	int i;

	for (i = 0; i < ODP_LEAF_ROWS; i++)
		if (leaf->rows[i])
			kmem_cache_free(odp_row_cache, leaf->rows[i]);
	kmem_cache_free(odp_leaf_cache, leaf);
	odp_stat_add(ODP_STAT_LEAVES, -1);
}

void odp_leaf_put(struct odp_leaf *leaf)
{
	if (refcount_dec_and_test(&leaf->ref))
		call_rcu(&leaf->rcu, odp_leaf_free_rcu);
}

static struct odp_leaf *odp_leaf_alloc(struct odp_mirror *mirror,
				       unsigned long index)
{
	struct odp_leaf *leaf;

	leaf = kmem_cache_alloc_lru(odp_leaf_cache, &odp_leaf_lru,
				    ODP_LEAF_GFP | __GFP_ZERO);
	if (!leaf)
		return NULL;
	spin_lock_init(&leaf->lock);
	spin_lock_init(&leaf->zap_lock);
	leaf->used_at = jiffies;
	leaf->zapping = ~0ULL;
	leaf->mirror = mirror;
	leaf->index = index;
	INIT_LIST_HEAD(&leaf->lru);
	refcount_set(&leaf->ref, 1);
	odp_stat_add(ODP_STAT_LEAVES, 1);
	return leaf;
}

/* Puts a new leaf into the tree, unless there is one already. */
static int odp_leaf_insert(struct odp_mirror *mirror, struct odp_leaf *leaf)
{
	void *old;

	xa_lock(&mirror->leaves);
	/* May drop the lock to allocate, so the bits are looked up after it. */
	old = __xa_cmpxchg(&mirror->leaves, leaf->index, NULL, leaf,
			   ODP_LEAF_GFP);
	if (!old) {
		refcount_inc(&leaf->ref);
		spin_lock_bh(&leaf->lock);
		leaf->zapping = odp_zaps_in_block(mirror, leaf->index);
		spin_unlock_bh(&leaf->lock);
	}
	xa_unlock(&mirror->leaves);

	if (!old) {
		wake_up_all(&mirror->zap_wait);
		odp_shrink_add(leaf);
	}
	return xa_is_err(old) ? xa_err(old) : old ? -EEXIST : 0;
}

/**
 * odp_leaf_get - the leaf of a block, made if there is none
 * @mirror: The mirror.
 * @addr: An address in the block.
 *
 * May sleep. Return: a leaf with a reference, or ERR_PTR(-ENOMEM).
 */
struct odp_leaf *odp_leaf_get(struct odp_mirror *mirror, unsigned long addr)
{
	unsigned long index = addr >> ODP_BLOCK_SHIFT;
	struct odp_leaf *leaf;
	int err;

	do {
		rcu_read_lock();
		leaf = xa_load(&mirror->leaves, index);
		if (leaf && !refcount_inc_not_zero(&leaf->ref))
			leaf = NULL;
		rcu_read_unlock();
		if (leaf)
			return leaf;

		leaf = odp_leaf_alloc(mirror, index);
		if (!leaf)
			return ERR_PTR(-ENOMEM);
		err = odp_leaf_insert(mirror, leaf);
		if (!err)
			return leaf;
		odp_leaf_put(leaf);
	} while (err == -EEXIST);

	return ERR_PTR(err);
}

static int odp_leaf_make_row(struct odp_leaf *leaf, unsigned int i)
{
	struct odp_row *row;

	if (READ_ONCE(leaf->rows[i]))
		return 0;
	row = kmem_cache_zalloc(odp_row_cache, ODP_LEAF_GFP);
	if (!row)
		return -ENOMEM;

	spin_lock_bh(&leaf->lock);
	if (!leaf->rows[i]) {
		/* Pairs with odp_row_young() and odp_leaf_return(). */
		smp_store_release(&leaf->rows[i], row);
		row = NULL;
	}
	spin_unlock_bh(&leaf->lock);

	if (row)
		kmem_cache_free(odp_row_cache, row);
	return 0;
}

/**
 * odp_leaf_make_rows - makes room for entries of small pages
 * @leaf: A leaf with a reference.
 * @first: Index of the first page.
 * @last: Index of the last page.
 *
 * May sleep. Return: 0 or -ENOMEM.
 */
int odp_leaf_make_rows(struct odp_leaf *leaf, unsigned int first,
		       unsigned int last)
{
	unsigned int i;
	int err = 0;

	for (i = first / ODP_ROW_PAGES; i <= last / ODP_ROW_PAGES && !err; i++)
		err = odp_leaf_make_row(leaf, i);
	return err;
}

static bool odp_leaf_quiet(struct odp_leaf *leaf, u64 *seq, bool *dead)
{
	bool quiet;

	spin_lock_bh(&leaf->lock);
	*seq = leaf->seq;
	*dead = leaf->dead;
	quiet = !leaf->zapping && !READ_ONCE(leaf->mirror->crowd);
	spin_unlock_bh(&leaf->lock);
	return quiet || *dead;
}

/**
 * odp_leaf_snapshot - begins a fault
 * @leaf: A leaf with a reference; the caller has one of the mirror, too.
 * @seq: For odp_leaf_publish().
 *
 * Waits until no zap of the block is in progress, but not for ever: zaps can
 * follow each other without a gap, and the end of one is not heard of when the
 * last attachment goes in its middle. Nothing that a zap needs may be held, the
 * mmap lock least of all.
 *
 * Return: 0; -EAGAIN: the leaf was taken out of the tree; -EBUSY: waited in
 * vain.
 */
int odp_leaf_snapshot(struct odp_leaf *leaf, u64 *seq)
{
	bool dead;

	if (!wait_event_timeout(leaf->mirror->zap_wait,
				odp_leaf_quiet(leaf, seq, &dead),
				ODP_QUIET_TIMEOUT))
		return -EBUSY;
	return dead ? -EAGAIN : 0;
}

/**
 * odp_leaf_kill - takes a leaf out of the tree if it has no entry
 * @leaf: The leaf, under RCU or with a reference, its zap lock held.
 */
void odp_leaf_kill(struct odp_leaf *leaf)
{
	struct odp_mirror *mirror = leaf->mirror;

	lockdep_assert_held(&leaf->zap_lock);

	if (leaf->dead)
		return;
	xa_lock(&mirror->leaves);
	spin_lock_bh(&leaf->lock);
	leaf->dead = !leaf->present;
	spin_unlock_bh(&leaf->lock);
	if (leaf->dead)
		__xa_erase(&mirror->leaves, leaf->index);
	xa_unlock(&mirror->leaves);

	if (!leaf->dead)
		return;
	odp_shrink_del(leaf);
	/* A fault that holds it must not wait for the end of this zap. */
	wake_up_all(&mirror->zap_wait);
	odp_leaf_put(leaf);
}

/**
 * odp_leaf_kill_unused - as odp_leaf_kill(), for a fault that found no page
 * @leaf: A leaf with a reference.
 */
void odp_leaf_kill_unused(struct odp_leaf *leaf)
{
	spin_lock(&leaf->zap_lock);
	odp_leaf_kill(leaf);
	spin_unlock(&leaf->zap_lock);
}

int odp_leaf_init(void)
{
	odp_leaf_cache = KMEM_CACHE(odp_leaf,
				    SLAB_ACCOUNT | SLAB_RECLAIM_ACCOUNT);
	if (!odp_leaf_cache)
		return -ENOMEM;
	odp_row_cache = KMEM_CACHE(odp_row,
				   SLAB_ACCOUNT | SLAB_RECLAIM_ACCOUNT);
	if (!odp_row_cache) {
		kmem_cache_destroy(odp_leaf_cache);
		return -ENOMEM;
	}
	return 0;
}

/* All mirrors are gone; their leaves may still wait for RCU. */
void odp_leaf_exit(void)
{
	rcu_barrier();
	kmem_cache_destroy(odp_row_cache);
	kmem_cache_destroy(odp_leaf_cache);
}
