/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Windows: what a key gives access to.
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
 * struct odp_window - a range of memory with a key
 * @key: Index in the upper bits, random lower bits; local and remote key.
 * @access: enum ib_access_flags.
 * @pd: Protection domain that may use it; compared, never followed.
 * @iova: First address in the terms of work requests.
 * @length: Bytes; U64_MAX for the whole address space. @iova + @length - 1
 *	does not wrap.
 * @start: First address in the process.
 * @mirror: Where the memory is found; NULL if it is pinned or the device's.
 * @umem: The pinned pages, or NULL.
 * @blocks: Pinned or device memory: kernel addresses of blocks of equal size.
 * @block_shift: Log2 of the size of a block.
 * @block_offset: Where in the first block @iova is.
 * @users: One for the registration, one for each access under way.
 * @idle: No access is under way any more.
 * @rcu: Look-ups run under RCU.
 *
 * All but @users is constant while the key is valid.
 */
struct odp_window {
	u32 key;
	int access;
	struct ib_pd *pd;
	u64 iova;
	u64 length;
	u64 start;
	struct odp_mirror *mirror;
	struct ib_umem *umem;
	void **blocks;
	unsigned int block_shift;
	u64 block_offset;
	refcount_t users;
	struct completion idle;
	struct rcu_head rcu;
};

/**
 * struct odp_atomic - an operation on 64 bits
 * @compare_swap: Stores @swap_add if @compare is there; else adds it.
 * @swap_add: What to store, or to add.
 * @compare: What to compare with.
 */
struct odp_atomic {
	bool compare_swap;
	u64 swap_add;
	u64 compare;
};

int odp_window_publish(struct odp_dev *dev, struct odp_window *win);
void odp_window_revoke(struct odp_dev *dev, struct odp_window *win);
void odp_window_replace(struct odp_dev *dev, struct odp_window *old,
			struct odp_window *win);
bool odp_window_covers(const struct odp_window *win, u64 addr, u64 len);
struct odp_window *odp_window_find(struct odp_dev *dev, u32 key);
struct odp_window *odp_window_get(struct odp_dev *dev, u32 key,
				  struct ib_pd *pd, u64 addr, u64 len,
				  int access);
void odp_window_put(struct odp_window *win);
size_t odp_window_copy(struct odp_window *win, u64 addr, void *buf, size_t len,
		       bool write, u64 ahead, const struct odp_pins *pins,
		       struct odp_miss *miss);
bool odp_window_atomic(struct odp_window *win, u64 addr,
		       const struct odp_atomic *op, u64 *old,
		       const struct odp_pins *pins, struct odp_miss *miss);

#endif /* ODP_WINDOW_H */
