// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The shrinker: leaves that nobody uses go back when memory is short.
 *
 * Leaves are charged to the memory cgroup of the process that they mirror. A
 * leaf that was not accessed for a while is zapped and killed, as if the mapping
 * had gone; the next access makes it anew. So pressure costs faults, never data:
 * dirty bits are returned like in any other zap, while the CPU still maps the
 * pages. (A mark of use that one visit clears and the next one looks at would
 * not do: under pressure they come many times a second, and in one visit the
 * kernel walks a short list twice.)
 *
 * While the shrinker is at a leaf it counts as a zap in progress, so nothing is
 * published in it and the kill succeeds.
 *
 *	shrinker				freeing the mirror
 *	--------				------------------
 *	lock of the list			the last reference went
 *	leaf is on the list, so its mirror
 *	  is there: take a reference, or
 *	  leave the leaf alone
 *	off the list, unlock			takes every leaf off the list,
 *						with its lock
 *	zap, kill, put the references		frees
 */
#include <linux/jiffies.h>

#include "leaf.h"
#include "../compat/shrinker.h"

struct list_lru odp_leaf_lru;
/* Shrinkers are called from the moment that they are registered. */
static bool odp_shrink_ready;

/* A leaf is in use for so long after an access. */
#define ODP_IDLE_TIME	HZ

/**
 * odp_shrink_add - lets the shrinker know of a new leaf
 * @leaf: The leaf, in the tree since a moment ago, with a reference.
 */
void odp_shrink_add(struct odp_leaf *leaf)
{
	spin_lock(&leaf->zap_lock);
	if (!leaf->dead)
		odp_list_lru_add(&odp_leaf_lru, &leaf->lru);
	spin_unlock(&leaf->zap_lock);
}

/**
 * odp_shrink_del - undoes odp_shrink_add()
 * @leaf: The leaf; its zap lock is held, or nobody else knows of it.
 */
void odp_shrink_del(struct odp_leaf *leaf)
{
	odp_list_lru_del(&odp_leaf_lru, &leaf->lru);
}

static enum lru_status odp_shrink_leaf(struct list_head *item,
				       struct list_lru_one *list,
				       spinlock_t *lock, void *arg)
	__releases(lock) __acquires(lock)
{
	struct odp_leaf *leaf = container_of(item, struct odp_leaf, lru);
	struct odp_mirror *mirror = leaf->mirror;

	if (time_before(jiffies, READ_ONCE(leaf->used_at) + ODP_IDLE_TIME))
		return LRU_ROTATE;
	if (!refcount_inc_not_zero(&mirror->ref))
		return LRU_SKIP;
	refcount_inc(&leaf->ref);
	list_lru_isolate(list, item);
	spin_unlock(lock);

	odp_leaf_zap(leaf, 0, ODP_BLOCK_PAGES - 1, ODP_ZAP_SHRINK, true);
	odp_stat_add(ODP_STAT_LEAVES_SHRUNK, 1);
	odp_leaf_put(leaf);
	odp_mirror_put(mirror);

	spin_lock(lock);
	return LRU_REMOVED_RETRY;
}

static unsigned long odp_shrink_count(struct shrinker *shrinker,
				      struct shrink_control *sc)
{
	/* Pairs with the store in odp_shrink_init(). */
	if (!smp_load_acquire(&odp_shrink_ready))
		return 0;
	return list_lru_shrink_count(&odp_leaf_lru, sc) ?: SHRINK_EMPTY;
}

static unsigned long odp_shrink_scan(struct shrinker *shrinker,
				     struct shrink_control *sc)
{
	return list_lru_shrink_walk(&odp_leaf_lru, sc, odp_shrink_leaf, NULL);
}

static struct shrinker odp_shrinker = {
	.count_objects = odp_shrink_count,
	.scan_objects = odp_shrink_scan,
	.seeks = DEFAULT_SEEKS,
	.flags = SHRINKER_NUMA_AWARE | SHRINKER_MEMCG_AWARE,
};

int odp_shrink_init(void)
{
	int err = odp_shrinker_register(&odp_shrinker, &odp_leaf_lru);

	if (!err)
		/* Pairs with the load in odp_shrink_count(). */
		smp_store_release(&odp_shrink_ready, true);
	return err;
}

void odp_shrink_exit(void)
{
	odp_shrinker_unregister(&odp_shrinker, &odp_leaf_lru);
}
