// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Zaps: what the kernel changes in a process's mappings is dropped, and kept
 * out until the change is made.
 *
 * A zap marks the leaves that it finds. A leaf that is made while a zap is in
 * progress has to learn of it, too: the new-leaf rule. A mirror keeps the
 * ranges of all zaps in progress in slots; a new leaf takes over, under the
 * lock of the tree, the bits of all slots that have a part in its block:
 *
 *	fault					zap
 *	-----					---
 *						_start: slot 3 taken, walk finds
 *						no leaf in the block
 *	makes the leaf: zapping = bit 3
 *	snapshot: waits for zapping == 0
 *						page table entry of P cleared
 *						_end: slot 3 ENDING (new leaves
 *						no longer take it), walk clears
 *						bit 3, slot 3 free
 *	snapshot, look-up: sees the new state
 *
 * Bits are set and cleared, not counted, so it does not matter whether a leaf
 * got one from the walk, from its making, or from both. A slot is only used
 * again after the walk that clears its bit everywhere. A leaf is visible in
 * the tree a moment before its bits are known; until then all of them are set.
 *
 * Zaps beyond the number of slots are counted as a crowd, during which no
 * snapshot is taken at all. Their walk advances seq like any other.
 *
 * A zap does not fail: it needs no memory. Nor does it sleep, unless it may.
 */
#include <linux/sched.h>

#include "leaf.h"

/**
 * odp_zaps_in_block - the zaps in progress that have a part in a block
 * @mirror: The mirror, its tree locked.
 * @index: Of the block.
 *
 * Return: the bits of their slots.
 */
u64 odp_zaps_in_block(struct odp_mirror *mirror, unsigned long index)
{
	unsigned long start = index << ODP_BLOCK_SHIFT;
	unsigned long last = start + ODP_BLOCK_SIZE - 1;
	u64 mask = mirror->zap_mask;
	u64 bits = 0;

	lockdep_assert_held(&mirror->leaves.xa_lock);

	while (mask) {
		int slot = __ffs64(mask);
		struct odp_zap *zap = &mirror->zaps[slot];

		if (READ_ONCE(zap->state) != ODP_ZAP_ENDING &&
		    zap->start <= last && zap->end > start)
			bits |= BIT_ULL(slot);
		mask &= mask - 1;
	}
	return bits;
}

/* RCU is left after each leaf, so that a zap of all memory does not hold it up. */
static void odp_zap_walk(struct odp_mirror *mirror, unsigned long start,
			 unsigned long end, u64 bit, bool unmap, bool may_sleep)
{
	unsigned long index = start >> ODP_BLOCK_SHIFT;
	unsigned long last = (end - 1) >> ODP_BLOCK_SHIFT;
	unsigned int dropped = 0;
	struct odp_leaf *leaf;

	do {
		rcu_read_lock();
		leaf = xa_find(&mirror->leaves, &index, last, XA_PRESENT);
		if (leaf) {
			unsigned long block = index << ODP_BLOCK_SHIFT;
			unsigned long from = max(start, block);
			unsigned long to = min(end - 1,
					       block + ODP_BLOCK_SIZE - 1);

			dropped += odp_leaf_zap(leaf, odp_page_index(from),
						odp_page_index(to), bit, unmap);
		}
		rcu_read_unlock();
		if (may_sleep)
			cond_resched();
	} while (leaf && index++ < last);

	if (dropped) {
		odp_stat_add(ODP_STAT_ZAPS, 1);
		odp_stat_add(ODP_STAT_ZAPPED_PAGES, dropped);
	}
}

static void odp_zap_clear(struct odp_mirror *mirror, unsigned long start,
			  unsigned long end, u64 bit)
{
	unsigned long index = start >> ODP_BLOCK_SHIFT;
	unsigned long last = (end - 1) >> ODP_BLOCK_SHIFT;
	struct odp_leaf *leaf;

	do {
		rcu_read_lock();
		leaf = xa_find(&mirror->leaves, &index, last, XA_PRESENT);
		if (leaf) {
			spin_lock_bh(&leaf->lock);
			leaf->zapping &= ~bit;
			spin_unlock_bh(&leaf->lock);
		}
		rcu_read_unlock();
	} while (leaf && index++ < last);
}

static struct odp_zap *odp_zap_open(struct odp_mirror *mirror,
				    unsigned long start, unsigned long end)
{
	struct odp_zap *zap = NULL;
	int slot;

	xa_lock(&mirror->leaves);
	if (mirror->zap_mask == GENMASK_ULL(ODP_ZAP_SLOTS - 1, 0)) {
		WRITE_ONCE(mirror->crowd, mirror->crowd + 1);
	} else {
		slot = __ffs64(~mirror->zap_mask);
		mirror->zap_mask |= BIT_ULL(slot);
		zap = &mirror->zaps[slot];
		zap->start = start;
		zap->end = end;
		zap->state = ODP_ZAP_STARTING;
	}
	xa_unlock(&mirror->leaves);
	return zap;
}

static u64 odp_zap_bit(struct odp_mirror *mirror, struct odp_zap *zap)
{
	return zap ? BIT_ULL(zap - mirror->zaps) : 0;
}

/**
 * odp_zap_start - drops all translations of a range and keeps new ones out
 * @mirror: The mirror.
 * @start: First address.
 * @end: First address behind the range.
 * @unmap: The mapping itself goes; so do leaves with nothing left in them.
 * @may_sleep: Let others run now and then.
 *
 * On return nobody accesses the range through the mirror, and nobody will
 * until odp_zap_end() with the same range. Cannot fail.
 */
void odp_zap_start(struct odp_mirror *mirror, unsigned long start,
		   unsigned long end, bool unmap, bool may_sleep)
{
	struct odp_zap *zap = odp_zap_open(mirror, start, end);

	odp_zap_walk(mirror, start, end, odp_zap_bit(mirror, zap), unmap,
		     may_sleep);
	if (zap)
		/* Pairs with odp_zap_find(): who takes it, sees the walk over. */
		smp_store_release(&zap->state, ODP_ZAP_ACTIVE);
}

/*
 * The slot of a zap of this range, any of them if there are several, now
 * ENDING; NULL if it is one of the crowd.
 */
static struct odp_zap *odp_zap_find(struct odp_mirror *mirror,
				    unsigned long start, unsigned long end)
{
	u64 mask = mirror->zap_mask;

	lockdep_assert_held(&mirror->leaves.xa_lock);

	while (mask) {
		struct odp_zap *zap = &mirror->zaps[__ffs64(mask)];

		/* Pairs with odp_zap_start(). */
		if (smp_load_acquire(&zap->state) == ODP_ZAP_ACTIVE &&
		    zap->start == start && zap->end == end) {
			zap->state = ODP_ZAP_ENDING;
			return zap;
		}
		mask &= mask - 1;
	}
	return NULL;
}

/**
 * odp_zap_end - lets translations of a range in again
 * @mirror: The mirror.
 * @start: As for odp_zap_start().
 * @end: As for odp_zap_start().
 */
void odp_zap_end(struct odp_mirror *mirror, unsigned long start,
		 unsigned long end)
{
	struct odp_zap *zap;

	xa_lock(&mirror->leaves);
	zap = odp_zap_find(mirror, start, end);
	if (!zap && !WARN_ON_ONCE(!mirror->crowd))
		WRITE_ONCE(mirror->crowd, mirror->crowd - 1);
	xa_unlock(&mirror->leaves);

	if (zap) {
		u64 bit = odp_zap_bit(mirror, zap);

		odp_zap_clear(mirror, start, end, bit);
		xa_lock(&mirror->leaves);
		zap->state = ODP_ZAP_FREE;
		mirror->zap_mask &= ~bit;
		xa_unlock(&mirror->leaves);
	}
	if (wq_has_sleeper(&mirror->zap_wait))
		wake_up_all(&mirror->zap_wait);
}

/**
 * odp_leaves_young - was a range accessed through the mirror?
 * @mirror: The mirror.
 * @start: First address.
 * @end: First address behind the range.
 * @clear: Forget it, too.
 *
 * Takes no locks; called by reclaim with a page table lock held.
 */
bool odp_leaves_young(struct odp_mirror *mirror, unsigned long start,
		      unsigned long end, bool clear)
{
	unsigned long index = start >> ODP_BLOCK_SHIFT;
	unsigned long last = (end - 1) >> ODP_BLOCK_SHIFT;
	struct odp_leaf *leaf;
	bool young = false;

	rcu_read_lock();
	for (; index <= last; index++) {
		unsigned long block = index << ODP_BLOCK_SHIFT;

		leaf = xa_load(&mirror->leaves, index);
		if (leaf)
			young |= odp_leaf_young(leaf,
				odp_page_index(max(start, block)),
				odp_page_index(min(end - 1,
						   block + ODP_BLOCK_SIZE - 1)),
				clear);
	}
	rcu_read_unlock();
	return young;
}
