/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Leaves, the translations of one block of 2 MiB, and zaps, which drop them.
 */
#ifndef ODP_LEAF_H
#define ODP_LEAF_H

#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/list_lru.h>
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

/* A row is what a leaf has for so many pages. */
#define ODP_ROW_PAGES		64
#define ODP_LEAF_ROWS		(ODP_BLOCK_PAGES / ODP_ROW_PAGES)

/* An entry is a page frame's address and these bits; 0 is no translation. */
#define ODP_ENTRY_PRESENT	BIT(0)
#define ODP_ENTRY_WRITE		BIT(1)
#define ODP_ENTRY_DIRTY		BIT(2)

/* Zaps in progress that a mirror tells apart; more are safe, and slower. */
#define ODP_ZAP_SLOTS		63
/* In odp_leaf.zapping: the shrinker is at it. */
#define ODP_ZAP_SHRINK		BIT_ULL(ODP_ZAP_SLOTS)

/**
 * struct odp_row - translations of some pages of a block
 * @young: Accessed bits; set under the lock of the leaf, tested and cleared
 *	without.
 * @entries: One for each page, protected by the lock of the leaf.
 */
struct odp_row {
	DECLARE_BITMAP(young, ODP_ROW_PAGES);
	unsigned long entries[ODP_ROW_PAGES];
};

/**
 * struct odp_leaf - translations of one block
 * @lock: Protects all that follows down to @rows and serializes accesses to the
 *	memory with its zap. Taken in softirq.
 * @dead: Taken out of the tree, or about to be; nothing may be published any
 *	more. Set with the zap lock held, too.
 * @present: Number of entries with a translation, the huge one included.
 * @seq: Advances when a zap of any part of the block starts. Wide enough not to
 *	come round while a fault waits for as long as user space likes.
 * @zapping: One bit for each slot whose zap, in progress, has a part in this
 *	block. While any is set no fault looks up pages of the block.
 * @used_at: Time of the last access, in jiffies; read without the lock.
 * @huge: The entry of the block, if it is one huge page.
 * @huge_young: Its accessed bit, number 0.
 * @rows: Made when the first page of each is faulted, and kept until the leaf
 *	is freed.
 * @zap_lock: Held by a zap from the drop of the entries until their dirty bits
 *	are with the pages, so that a second zap of the same pages cannot
 *	return, and let them go, in between. Never taken in softirq.
 * @mirror: Valid while the leaf is in the tree.
 * @index: Address >> ODP_BLOCK_SHIFT.
 * @lru: Place in the shrinker's list; changed with the zap lock held, or by the
 *	shrinker.
 * @ref: One for the tree, one for each fault service.
 * @rcu: Look-ups run under RCU.
 */
struct odp_leaf {
	spinlock_t lock;	/* down to rows */
	bool dead;
	u16 present;
	u64 seq;
	u64 zapping;
	unsigned long used_at;
	unsigned long huge;
	unsigned long huge_young;
	struct odp_row *rows[ODP_LEAF_ROWS];

	spinlock_t zap_lock;	/* return of dirty bits */
	struct odp_mirror *mirror;
	unsigned long index;
	struct list_head lru;
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
 * @wq: Runs services and prefetches. Each process has one of its own, because
 *	they can take as long as it likes, and so many at a time.
 * @faults: Services, protected by the fault lock (fault.c) like the next three.
 * @prefetches: Requests for later, the oldest first.
 * @queued: How many they are.
 * @prefetching: How many of them were started.
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

	struct workqueue_struct *wq;
	struct list_head faults;
	struct list_head prefetches;
	unsigned int queued;
	unsigned int prefetching;
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

/* leaf.c */
int odp_leaf_init(void);
void odp_leaf_exit(void);
struct odp_leaf *odp_leaf_get(struct odp_mirror *mirror, unsigned long addr);
void odp_leaf_put(struct odp_leaf *leaf);
int odp_leaf_make_rows(struct odp_leaf *leaf, unsigned int first,
		       unsigned int last);
int odp_leaf_snapshot(struct odp_leaf *leaf, u64 *seq);
void odp_leaf_kill(struct odp_leaf *leaf);
void odp_leaf_kill_unused(struct odp_leaf *leaf);

/* entry.c */
bool odp_page_fills_block(struct page *page, unsigned long addr);
bool odp_pages_huge(unsigned long addr, struct page **pages,
		    unsigned long npages);
bool odp_leaf_publish(struct odp_leaf *leaf, u64 seq, unsigned long addr,
		      struct page **pages, unsigned long npages, bool huge,
		      bool write);
unsigned long odp_leaf_missing(struct odp_mirror *mirror, unsigned long addr,
			       unsigned long npages, bool write);
unsigned int odp_leaf_zap(struct odp_leaf *leaf, unsigned int first,
			  unsigned int last, u64 bit, bool unmap);
bool odp_leaf_young(struct odp_leaf *leaf, unsigned int first,
		    unsigned int last, bool clear);

/* shrink.c */
extern struct list_lru odp_leaf_lru;
int odp_shrink_init(void);
void odp_shrink_exit(void);
void odp_shrink_add(struct odp_leaf *leaf);
void odp_shrink_del(struct odp_leaf *leaf);

/* zap.c */
u64 odp_zaps_in_block(struct odp_mirror *mirror, unsigned long index);
void odp_zap_start(struct odp_mirror *mirror, unsigned long start,
		   unsigned long end, bool unmap, bool may_sleep);
void odp_zap_end(struct odp_mirror *mirror, unsigned long start,
		 unsigned long end);
bool odp_leaves_young(struct odp_mirror *mirror, unsigned long start,
		      unsigned long end, bool clear);

#endif /* ODP_LEAF_H */
