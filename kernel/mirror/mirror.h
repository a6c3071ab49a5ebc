/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The mirror: a process's address space as a device sees it.
 *
 * This is all that the rest of the driver knows of the mirror, and the mirror
 * knows nothing of RDMA.
 */
#ifndef ODP_MIRROR_H
#define ODP_MIRROR_H

#include <linux/bits.h>
#include <linux/list.h>
#include <linux/types.h>

struct odp_fault;
struct odp_leaf;
struct odp_mirror;

/**
 * struct odp_chunk - memory that may be accessed now
 * @addr: Kernel address of the first byte.
 * @len: Bytes at @addr, at least one.
 * @leaf: The leaf that is locked meanwhile; NULL if the memory cannot move.
 *
 * Between begin and end the holder runs in atomic context.
 */
struct odp_chunk {
	void *addr;
	size_t len;
	struct odp_leaf *leaf;
};

/**
 * struct odp_pins - pages that a fault service holds while it resumes waiters
 * @mirror: Whose pages; NULL if there are none.
 * @start: Address of the first page.
 * @npages: Number of pages.
 * @write: They may be written.
 * @pages: The pages.
 *
 * The way out when zaps keep winning against a fault: the operation runs on
 * the pages themselves, without their being published.
 */
struct odp_pins {
	struct odp_mirror *mirror;
	unsigned long start;
	unsigned long npages;
	bool write;
	struct page **pages;
};

/**
 * struct odp_waiter - who waits for a fault; embedded in the one who waits
 * @resume: Called in process context, once per successful odp_fault(), when
 *	the service is over. @err says how it went and @pins is set for the
 *	time of the call. Must not sleep for long: others may wait behind.
 * @err: 0, or why the pages cannot be had: -EFAULT (no mapping or no right),
 *	-ESRCH (the process is gone), -ENOMEM.
 * @pins: Pages that may be used directly during @resume, or NULL.
 * @entry: In the list of the fault, private to the mirror.
 * @addr: What it waited for last, private to the mirror.
 * @joined: The service was another one's, private to the mirror.
 * @next: Where a stream would fault next, private to the mirror.
 * @ahead: Pages to bring in ahead of it, private to the mirror.
 * @tries: Waits since there was progress, see odp_waiter_progress().
 * @closed: No more waits are taken, private to the mirror.
 * @cancelled: Nor is the next one, private to the mirror.
 */
struct odp_waiter {
	void (*resume)(struct odp_waiter *waiter);
	int err;
	const struct odp_pins *pins;
	struct list_head entry;
	unsigned long addr;
	bool joined;
	unsigned long next;
	unsigned long ahead;
	unsigned int tries;
	bool closed;
	bool cancelled;
};

/**
 * struct odp_miss - what an access did not find
 * @mirror: Where, with a reference that odp_fault() or odp_miss_drop() takes.
 * @addr: First address that is missing.
 * @len: Bytes that the operation will need from there on.
 * @room: Bytes that may be asked for at all, @len or more.
 * @write: It is going to write them.
 */
struct odp_miss {
	struct odp_mirror *mirror;
	unsigned long addr;
	u64 len;
	u64 room;
	bool write;
};

/**
 * enum odp_mirror_stat - what the mirrors of all processes count
 * @ODP_STAT_LEAVES: Leaves that exist now.
 * @ODP_STAT_LEAVES_SHRUNK: Idle leaves given back under memory pressure.
 * @ODP_STAT_FAULTS: Fault services started.
 * @ODP_STAT_FAULT_PAGES: Pages brought in.
 * @ODP_STAT_PREFETCHED_PAGES: Pages brought in because of advice.
 * @ODP_STAT_FAULT_JOINED: Waits that joined a service under way.
 * @ODP_STAT_FAULT_RETRIES: Look-ups repeated because a zap came between.
 * @ODP_STAT_FAULT_DIRECT: Services that ended on the pages themselves.
 * @ODP_STAT_FAULT_ERRORS: Services that found no page.
 * @ODP_STAT_ZAPS: Invalidations that dropped at least one entry.
 * @ODP_STAT_ZAPPED_PAGES: Entries dropped; a huge entry is one.
 * @ODP_STAT_COUNT: Number of counters.
 */
enum odp_mirror_stat {
	ODP_STAT_LEAVES,
	ODP_STAT_LEAVES_SHRUNK,
	ODP_STAT_FAULTS,
	ODP_STAT_FAULT_PAGES,
	ODP_STAT_PREFETCHED_PAGES,
	ODP_STAT_FAULT_JOINED,
	ODP_STAT_FAULT_RETRIES,
	ODP_STAT_FAULT_DIRECT,
	ODP_STAT_FAULT_ERRORS,
	ODP_STAT_ZAPS,
	ODP_STAT_ZAPPED_PAGES,
	ODP_STAT_COUNT,
};

u64 odp_mirror_stat(enum odp_mirror_stat stat);

int odp_mirror_init(void);
void odp_mirror_exit(void);

struct odp_mirror *odp_mirror_attach(void);
void odp_mirror_detach(struct odp_mirror *mirror);
struct odp_mirror *odp_mirror_get(struct odp_mirror *mirror);
void odp_mirror_put(struct odp_mirror *mirror);
bool odp_mirror_is_mine(const struct odp_mirror *mirror);

int odp_mirror_begin(struct odp_mirror *mirror, unsigned long addr, size_t len,
		     bool write, const struct odp_pins *pins,
		     struct odp_chunk *chunk);
void odp_chunk_end(struct odp_chunk *chunk);

void odp_waiter_init(struct odp_waiter *waiter,
		     void (*resume)(struct odp_waiter *waiter));
bool odp_waiter_close(struct odp_waiter *waiter);
bool odp_waiter_cancel(struct odp_waiter *waiter);
void odp_waiter_open(struct odp_waiter *waiter);

/**
 * odp_waiter_progress - what was waited for is done
 * @waiter: The waiter, not waiting. Without this it gets pages directly after
 *	a few waits.
 */
static inline void odp_waiter_progress(struct odp_waiter *waiter)
{
	waiter->tries = 0;
}

/* How to prefetch */
#define ODP_PREFETCH_WRITE	BIT(0)	/* for writing, too */
/* Only what is in the page tables; with the above, for writing where it can */
#define ODP_PREFETCH_NO_FAULT	BIT(1)

int odp_prefetch(struct odp_mirror *mirror, unsigned long addr, u64 len,
		 unsigned int how);
int odp_prefetch_later(struct odp_mirror *mirror, unsigned long addr, u64 len,
		       unsigned int how, const void *owner);
void odp_prefetch_cancel(struct odp_mirror *mirror, const void *owner);

int odp_fault(struct odp_miss *miss, struct odp_waiter *waiter, gfp_t gfp);
void odp_miss_drop(struct odp_miss *miss);

#endif /* ODP_MIRROR_H */
