/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Leaves, the translations of one block of 2 MiB, and zaps, which drop them.
 */
#ifndef ODP_LEAF_H
#define ODP_LEAF_H

#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "mirror.h"

#define ODP_BLOCK_SHIFT		21
#define ODP_BLOCK_SIZE		BIT(ODP_BLOCK_SHIFT)
#define ODP_BLOCK_PAGES		(ODP_BLOCK_SIZE >> PAGE_SHIFT)

/* An entry is a page frame's address and these bits; 0 is no translation. */
#define ODP_ENTRY_PRESENT	BIT(0)
#define ODP_ENTRY_WRITE		BIT(1)
#define ODP_ENTRY_DIRTY		BIT(2)

/* Zaps in progress that a mirror tells apart; more are safe, and slower. */
#define ODP_ZAP_SLOTS		64

/**
 * struct odp_leaf - translations of one block
 * @lock: Protects all that follows down to @entries and serializes accesses
 *	to the memory with its zap. Taken in softirq.
 * @zap_lock: Held by a zap from the drop of the entries until their dirty bits
 *	are with the pages, so that a second zap of the same pages cannot
 *	return, and let them go, in between. Never taken in softirq.
 * @dead: Taken out of the tree; nothing may be published any more.
 * @seq: Advances when a zap of any part of the block starts. Wide enough not to
 *	come round while a fault waits for as long as user space likes.
 * @zapping: One bit for each slot whose zap, in progress, has a part in this
 *	block. While any is set no fault looks up pages of the block.
 * @huge: The entry of the block, if it is one huge page.
 * @entries: One for each page, or NULL until a small page is faulted.
 * @young: Accessed bits, one a page; set under @lock, tested and cleared
 *	without. A huge entry has bit 0.
 * @index: Address >> ODP_BLOCK_SHIFT.
 * @ref: One for the tree, one for each fault service.
 * @rcu: Look-ups run under RCU.
 */
struct odp_leaf {
	spinlock_t lock;	/* down to entries */
	bool dead;
	u64 seq;
	u64 zapping;
	unsigned long huge;
	unsigned long *entries;
	DECLARE_BITMAP(young, ODP_BLOCK_PAGES);

	spinlock_t zap_lock;	/* return of dirty bits */
	unsigned long index;
	refcount_t ref;
	struct rcu_head rcu;
};

/**
 * enum odp_zap_state - life of a slot
 * @ODP_ZAP_FREE: Not in use.
 * @ODP_ZAP_STARTING: The leaves are being walked to zap them.
 * @ODP_ZAP_ACTIVE: Between invalidate_range_start() and _end().
 * @ODP_ZAP_ENDING: The leaves are being walked to clear the slot's bit.
 */
enum odp_zap_state {
	ODP_ZAP_FREE,
	ODP_ZAP_STARTING,
	ODP_ZAP_ACTIVE,
	ODP_ZAP_ENDING,
};

/**
 * struct odp_zap - one zap in progress
 * @start: First address of the range.
 * @end: First address behind it.
 * @state: &enum odp_zap_state.
 */
struct odp_zap {
	unsigned long start;
	unsigned long end;
	enum odp_zap_state state;
};

/**
 * struct odp_mirror - one process address space
 * @mn: The subscription; its mm is referenced by mmgrab() until the mirror is
 *	freed, so that it can be tried with mmget_not_zero() at any time.
 * @mm: The address space.
 * @ref: One for the subscription, one for each fault under way or miss.
 * @users: Attachments; the last one to go hands all dirty bits back.
 * @leaves: Leaf by address >> ODP_BLOCK_SHIFT. Its lock protects the tree, and
 *	@zaps, @zap_mask and @crowd.
 * @zaps: Zaps in progress.
 * @zap_mask: Slots in use.
 * @crowd: Zaps in progress that found no slot. While there is one no fault
 *	looks up pages.
 * @zap_wait: Faults that wait for the end of a zap.
 * @faults: Services, protected by the fault lock (fault.c) like the next two.
 * @pending: Those of them that wait for another one to end.
 * @running: The number of the others.
 * @free: Frees the mirror, where that may sleep.
 */
struct odp_mirror {
	struct mmu_notifier mn;
	struct mm_struct *mm;
	refcount_t ref;
	atomic_t users;

	struct xarray leaves;
	struct odp_zap zaps[ODP_ZAP_SLOTS];
	u64 zap_mask;
	unsigned int crowd;
	wait_queue_head_t zap_wait;

	struct list_head faults;
	struct list_head pending;
	unsigned int running;
	struct work_struct free;
};

static inline unsigned int odp_page_index(unsigned long addr)
{
	return (addr & (ODP_BLOCK_SIZE - 1)) >> PAGE_SHIFT;
}

extern atomic64_t odp_mirror_stats[ODP_STAT_COUNT];

static inline void odp_stat_add(enum odp_mirror_stat stat, s64 n)
{
	atomic64_add(n, &odp_mirror_stats[stat]);
}

int odp_leaf_init(void);
void odp_leaf_exit(void);

struct odp_leaf *odp_leaf_get(struct odp_mirror *mirror, unsigned long addr);
void odp_leaf_put(struct odp_leaf *leaf);
int odp_leaf_alloc_entries(struct odp_leaf *leaf);
int odp_leaf_snapshot(struct odp_mirror *mirror, struct odp_leaf *leaf,
		      u64 *seq);
bool odp_page_fills_block(struct page *page, unsigned long addr);
bool odp_pages_huge(unsigned long addr, struct page **pages,
		    unsigned long npages);
bool odp_leaf_publish(struct odp_leaf *leaf, u64 seq, unsigned long addr,
		      struct page **pages, unsigned long npages, bool huge,
		      bool write);

unsigned int odp_leaf_zap(struct odp_leaf *leaf, unsigned int first,
			  unsigned int last, u64 bit);
void odp_leaf_kill(struct odp_mirror *mirror, struct odp_leaf *leaf,
		   bool unused);
bool odp_leaf_young(struct odp_leaf *leaf, unsigned int first,
		    unsigned int last, bool clear);

/* zap.c */
u64 odp_zaps_in_block(struct odp_mirror *mirror, unsigned long index);
void odp_zap_start(struct odp_mirror *mirror, unsigned long start,
		   unsigned long end, bool unmap, bool may_sleep);
void odp_zap_end(struct odp_mirror *mirror, unsigned long start,
		 unsigned long end);
bool odp_leaves_young(struct odp_mirror *mirror, unsigned long start,
		      unsigned long end, bool clear);

#endif /* ODP_LEAF_H */
