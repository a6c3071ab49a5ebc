// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Windows: the key table, and accesses to what a key stands for.
 *
 * A key is looked up for every packet and held for one access only, never while
 * waiting for a page: so revoking it waits for a few microseconds at most, and
 * for no one in user space.
 */
#include <linux/random.h>

#include "window.h"

#define ODP_KEY_INDEX_BITS	20
#define ODP_KEY_RANDOM_BITS	(32 - ODP_KEY_INDEX_BITS)

static void odp_window_init(struct odp_window *win)
{
	refcount_set(&win->users, 1);
	init_completion(&win->idle);
}

/* It is found no more. */
static void odp_window_retire(struct odp_window *win)
{
	odp_window_put(win);
	wait_for_completion(&win->idle);
}

/**
 * odp_window_publish - gives a window a key
 * @dev: The device.
 * @win: All but the key is set.
 *
 * May sleep. Indices are not used again soon, and every key has random bits,
 * so an old or a guessed key finds nothing. Return: 0, -ENOMEM, or -EBUSY if
 * all keys are in use.
 */
int odp_window_publish(struct odp_dev *dev, struct odp_window *win)
{
	struct xa_limit limit = XA_LIMIT(1, BIT(ODP_KEY_INDEX_BITS) - 1);
	u32 index;
	int err;

	odp_window_init(win);
	err = xa_alloc_cyclic(&dev->windows, &index, NULL, limit,
			      &dev->next_key, GFP_KERNEL);
	if (err < 0)
		return err;
	win->key = index << ODP_KEY_RANDOM_BITS |
		   (get_random_u32() & (BIT(ODP_KEY_RANDOM_BITS) - 1));
	/* The index is reserved, so this needs no memory. */
	xa_store(&dev->windows, index, win, GFP_KERNEL);
	return 0;
}

/**
 * odp_window_revoke - makes a key invalid
 * @dev: The device.
 * @win: The window.
 *
 * On return no access is under way and none will be. The memory of @win must
 * be freed by RCU.
 */
void odp_window_revoke(struct odp_dev *dev, struct odp_window *win)
{
	xa_erase(&dev->windows, win->key >> ODP_KEY_RANDOM_BITS);
	odp_window_retire(win);
}

/**
 * odp_window_replace - gives the key of a window to another one
 * @dev: The device.
 * @old: The window that has the key.
 * @win: The one that gets it; all but the key is set.
 *
 * May sleep. On return no access to @old is under way and none will be. The
 * memory of @old must be freed by RCU.
 */
void odp_window_replace(struct odp_dev *dev, struct odp_window *old,
			struct odp_window *win)
{
	odp_window_init(win);
	win->key = old->key;
	/* The index is in use, so this needs no memory. */
	xa_store(&dev->windows, win->key >> ODP_KEY_RANDOM_BITS, win,
		 GFP_KERNEL);
	odp_window_retire(old);
}

/**
 * odp_window_covers - is a range inside of a window?
 * @win: The window.
 * @addr: First address, in the terms of work requests.
 * @len: Bytes.
 */
bool odp_window_covers(const struct odp_window *win, u64 addr, u64 len)
{
	u64 offset = addr - win->iova;

	return addr >= win->iova && offset <= win->length &&
	       len <= win->length - offset;
}

/**
 * odp_window_find - holds the window of a key
 * @dev: The device.
 * @key: The key.
 *
 * Any context. Nothing but the key is checked. Return: the window or NULL.
 */
struct odp_window *odp_window_find(struct odp_dev *dev, u32 key)
{
	struct odp_window *win;

	rcu_read_lock();
	win = xa_load(&dev->windows, key >> ODP_KEY_RANDOM_BITS);
	if (win && (win->key != key || !refcount_inc_not_zero(&win->users)))
		win = NULL;
	rcu_read_unlock();
	return win;
}

/**
 * odp_window_get - checks a key and holds its window
 * @dev: The device.
 * @key: The key.
 * @pd: Protection domain of who uses it.
 * @addr: First address of the access.
 * @len: Bytes.
 * @access: Rights that are needed, enum ib_access_flags.
 *
 * Any context. Return: the window, or NULL if the key does not allow it.
 */
struct odp_window *odp_window_get(struct odp_dev *dev, u32 key,
				  struct ib_pd *pd, u64 addr, u64 len,
				  int access)
{
	struct odp_window *win = odp_window_find(dev, key);

	if (!win)
		return NULL;
	if (win->pd == pd && (win->access & access) == access &&
	    odp_window_covers(win, addr, len))
		return win;
	odp_window_put(win);
	return NULL;
}

/**
 * odp_window_put - undoes odp_window_get() and odp_window_find()
 * @win: The window.
 */
void odp_window_put(struct odp_window *win)
{
	if (refcount_dec_and_test(&win->users))
		complete(&win->idle);
}

static void odp_pinned_begin(const struct odp_window *win, u64 addr, size_t len,
			     struct odp_chunk *chunk)
{
	u64 offset = addr - win->iova + win->block_offset;
	u64 block = 1ULL << win->block_shift;
	u64 low = offset & (block - 1);

	chunk->addr = win->blocks[offset >> win->block_shift] + low;
	chunk->len = min_t(u64, len, block - low);
	chunk->leaf = NULL;
}

/*
 * Begins an access to one chunk. False if a page is missing, and @miss, empty
 * before, says which. The parameters are those of odp_window_copy().
 */
static bool odp_window_begin(const struct odp_window *win, u64 addr, size_t len,
			     bool write, u64 ahead, const struct odp_pins *pins,
			     struct odp_miss *miss, struct odp_chunk *chunk)
{
	u64 offset = addr - win->iova;
	unsigned long va = offset + win->start;

	if (!win->mirror) {
		odp_pinned_begin(win, addr, len, chunk);
		return true;
	}
	if (!odp_mirror_begin(win->mirror, va, len, write, pins, chunk))
		return true;
	miss->mirror = odp_mirror_get(win->mirror);
	miss->addr = va;
	miss->len = ahead;
	miss->room = win->length - offset;
	miss->write = write;
	return false;
}

static void odp_chunk_copy(const struct odp_chunk *chunk, void *buf, bool write)
{
	if (write)
		memcpy(chunk->addr, buf, chunk->len);
	else
		memcpy(buf, chunk->addr, chunk->len);
}

/**
 * odp_window_copy - copies to or from a window
 * @win: The window, held; @addr and @len are inside.
 * @addr: First address in the window.
 * @buf: Kernel memory.
 * @len: Bytes.
 * @write: From @buf to the window; else from the window to @buf.
 * @ahead: Bytes that the operation will need from @addr on, @len or more.
 * @pins: What the caller holds in its resume call, else NULL.
 * @miss: Filled in if a page is missing; empty before.
 *
 * Any context but hard interrupts. Return: bytes copied; less than @len, with
 * @miss set, if a page is missing.
 */
size_t odp_window_copy(struct odp_window *win, u64 addr, void *buf, size_t len,
		       bool write, u64 ahead, const struct odp_pins *pins,
		       struct odp_miss *miss)
{
	struct odp_chunk chunk;
	size_t done = 0;

	while (done < len &&
	       odp_window_begin(win, addr + done, len - done, write,
				ahead - done, pins, miss, &chunk)) {
		odp_chunk_copy(&chunk, buf + done, write);
		odp_chunk_end(&chunk);
		done += chunk.len;
	}
	return done;
}

/**
 * odp_window_atomic - operates on 64 bits of a window, atomically
 * @win: The window, held; @addr is aligned, and its 8 bytes are inside.
 * @addr: Address in the window. It and the process's own address are the same
 *	within a page (the RDMA core sees to it), so that no page ends in between.
 * @op: What to do.
 * @old: Set to what was there before.
 * @pins: As for odp_window_copy().
 * @miss: The same.
 *
 * Any context but hard interrupts. Others that access the memory atomically,
 * CPUs and devices, see all of it or nothing. Return: false, with nothing done,
 * if the page is missing.
 */
bool odp_window_atomic(struct odp_window *win, u64 addr,
		       const struct odp_atomic *op, u64 *old,
		       const struct odp_pins *pins, struct odp_miss *miss)
{
	struct odp_chunk chunk;

	if (!odp_window_begin(win, addr, sizeof(*old), true, sizeof(*old), pins,
			      miss, &chunk))
		return false;
	if (op->compare_swap)
		*old = cmpxchg64((u64 *)chunk.addr, op->compare, op->swap_add);
	else
		*old = atomic64_fetch_add(op->swap_add, chunk.addr);
	odp_chunk_end(&chunk);
	return true;
}
