/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Windows: what a key gives access to. Those of memory regions are here like
 * what verbs call memory windows: a part of a region with a key of its own. And like
 * those are regions that the kernel's users register by send requests.
 */
#ifndef ODP_WINDOW_H
#define ODP_WINDOW_H

#include <linux/completion.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <rdma/ib_verbs.h>

#include "../mirror/mirror.h"
#include "../odp.h"

/**
 * enum odp_window_type - what a window belongs to
 * @ODP_WINDOW_REGION: A memory region. Its key is a local one, too.
 * @ODP_WINDOW_MW1: A memory window of type 1.
 * @ODP_WINDOW_MW2: One of type 2: for the queue pair alone that has bound it.
 * @ODP_WINDOW_FAST: A region of kernel memory, registered by send requests.
 */
enum odp_window_type {
	ODP_WINDOW_REGION,
	ODP_WINDOW_MW1,
	ODP_WINDOW_MW2,
	ODP_WINDOW_FAST,
};

/**
 * struct odp_map - kernel memory, in blocks of equal size
 * @offset: Where in the first block the memory begins.
 * @shift: Log2 of the size of a block.
 * @room: How many blocks there may be. Constant.
 * @count: How many there are.
 * @blocks: Their addresses.
 */
struct odp_map {
	u64 offset;
	unsigned int shift;
	u32 room;
	u32 count;
	void *blocks[];
};

/**
 * struct odp_window - a range of memory with a key
 * @type: What it belongs to.
 * @key: Index in the upper bits, random lower bits. Of a memory window the
 *	lowest 8 are chosen by who binds it, or registers the fast region.
 * @access: enum ib_access_flags and odp_access_flags.
 * @pd: Protection domain that may use it; compared, never followed.
 * @iova: First address in the terms of work requests.
 * @length: Bytes; U64_MAX for the whole address space. @iova + @length - 1
 *	does not wrap.
 * @start: First address in the process.
 * @mirror: Where the memory is found; NULL if it is pinned, the device's, or a
 *	dma-buf's.
 * @umem: The pinned pages, or NULL.
 * @dmabuf: Region: the dma-buf that it is of, see verbs/dmabuf.c, or NULL.
 * @blocks: Memory without a mirror: kernel addresses of blocks of equal size. If
 *	there are none either, addresses are the kernel's own.
 * @block_shift: Log2 of the size of a block.
 * @block_offset: Where in the first block @iova is.
 * @bound: Region: memory windows that are bound to it; negative: it goes.
 * @lock: Memory window or fast region: held for reading during an access.
 * @region: Memory window: the window of the region that it is bound to, which
 *	stays as long; or NULL.
 * @qpn: Memory window of type 2: number of the queue pair that has bound it.
 * @next: Fast region: the memory of the next registration, copied from here then.
 *	Belongs to the user, or to the request that he has posted. Else NULL.
 * @users: One for the registration, one for each access under way.
 * @idle: No access is under way any more.
 * @rcu: Look-ups run under RCU.
 *
 * All but @bound and @users is constant while the key is valid; of a memory
 * window or a fast region all but @type, @pd, @next and @users changes with @lock
 * held for writing. While those are not bound or registered, @length is 0.
 */
struct odp_window {
	enum odp_window_type type;
	u32 key;
	int access;
	struct ib_pd *pd;
	u64 iova;
	u64 length;
	u64 start;
	struct odp_mirror *mirror;
	struct ib_umem *umem;
	struct odp_dmabuf *dmabuf;
	void **blocks;
	unsigned int block_shift;
	u64 block_offset;
	atomic_t bound;
	rwlock_t lock;	/* of a memory window or a fast region */
	struct odp_window *region;
	u32 qpn;
	struct odp_map *next;
	refcount_t users;
	struct completion idle;
	struct rcu_head rcu;
};

/**
 * enum odp_atomic_kind - what is done to 64 bits
 * @ODP_FETCH_ADD: odp_atomic.swap_add is added.
 * @ODP_COMPARE_SWAP: It is stored if odp_atomic.compare is there.
 * @ODP_ATOMIC_WRITE: It is stored.
 */
enum odp_atomic_kind {
	ODP_FETCH_ADD,
	ODP_COMPARE_SWAP,
	ODP_ATOMIC_WRITE,
};

/**
 * struct odp_atomic - an operation on 64 bits
 * @kind: Which.
 * @swap_add: What to store, or to add.
 * @compare: What to compare with.
 */
struct odp_atomic {
	enum odp_atomic_kind kind;
	u64 swap_add;
	u64 compare;
};

/**
 * struct odp_bind - what to bind a memory window to, or how to register a region
 * @key: The key that it gets.
 * @region_key: Key of the region that the window is bound to.
 * @access: enum ib_access_flags and odp_access_flags.
 * @addr: Where it begins, in terms of the region.
 * @length: Bytes; 0 unbinds.
 */
struct odp_bind {
	u32 key;
	u32 region_key;
	int access;
	u64 addr;
	u64 length;
};

/* Who may use a key of a region for its own requests: no queue pair's number. */
#define ODP_QPN_LOCAL	0

int odp_window_publish(struct odp_dev *dev, struct odp_window *win);
void odp_window_revoke(struct odp_dev *dev, struct odp_window *win);
void odp_window_replace(struct odp_dev *dev, struct odp_window *old,
			struct odp_window *win);
bool odp_window_close(struct odp_window *win);
void odp_window_reopen(struct odp_window *win);
int odp_window_bind(struct odp_dev *dev, struct ib_pd *pd, u32 qpn,
		    const struct odp_bind *bind);
int odp_window_register(struct odp_dev *dev, struct ib_pd *pd,
			const struct odp_bind *bind);
int odp_window_invalidate(struct odp_dev *dev, struct ib_pd *pd, u32 qpn,
			  u32 key);
bool odp_window_covers(const struct odp_window *win, u64 addr, u64 len);
struct odp_window *odp_window_find(struct odp_dev *dev, u32 key);
struct odp_window *odp_window_get(struct odp_dev *dev, u32 key,
				  struct ib_pd *pd, u32 qpn, u64 addr, u64 len,
				  int access);
void odp_window_put(struct odp_window *win);
size_t odp_window_copy(struct odp_window *win, u64 addr, void *buf, size_t len,
		       bool write, u64 ahead, const struct odp_pins *pins,
		       struct odp_miss *miss);
bool odp_window_atomic(struct odp_window *win, u64 addr,
		       const struct odp_atomic *op, u64 *old,
		       const struct odp_pins *pins, struct odp_miss *miss);

#endif /* ODP_WINDOW_H */
