// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Windows: the key table, and accesses to what a key stands for.
 *
 * A key is looked up for every packet and held for one access only, never while
 * waiting for a page: so revoking it waits for a few microseconds at most, and
 * for no one in user space.
 *
 * A memory window is bound and unbound by requesters, which do not sleep, and so is
 * a region registered and invalidated that is the kernel's. So an access through
 * one holds a lock, for as long as an access to a single chunk of memory takes;
 * who binds waits for that.
 */
#include <linux/random.h>

#include "window.h"

#define ODP_KEY_INDEX_BITS	20
#define ODP_KEY_RANDOM_BITS	(32 - ODP_KEY_INDEX_BITS)

static void odp_window_init(struct odp_window *win)
{
	refcount_set(&win->users, 1);
	init_completion(&win->idle);
	rwlock_init(&win->lock);
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

/* Whatever the rest of the key is. It stays as long as it is held. */
static struct odp_window *odp_window_hold(struct odp_dev *dev, u32 key)
{
	struct odp_window *win;

	rcu_read_lock();
	win = xa_load(&dev->windows, key >> ODP_KEY_RANDOM_BITS);
	if (win && !refcount_inc_not_zero(&win->users))
		win = NULL;
	rcu_read_unlock();
	return win;
}

static void odp_window_unhold(struct odp_window *win)
{
	if (refcount_dec_and_test(&win->users))
		complete(&win->idle);
}

/* It is found no more. */
static void odp_window_retire(struct odp_window *win)
{
	odp_window_unhold(win);
	wait_for_completion(&win->idle);
}

/* What a memory window was bound to, it is not any more; nor a region registered. */
static void odp_window_unbind(struct odp_window *win)
{
	if (win->region)
		atomic_dec(&win->region->bound);
	win->region = NULL;
	win->length = 0;
}

/**
 * odp_window_revoke - makes a key invalid
 * @dev: The device.
 * @win: The window; that of a region is closed.
 *
 * On return no access is under way and none will be. The memory of @win must
 * be freed by RCU.
 */
void odp_window_revoke(struct odp_dev *dev, struct odp_window *win)
{
	xa_erase(&dev->windows, win->key >> ODP_KEY_RANDOM_BITS);
	odp_window_retire(win);
	odp_window_unbind(win);
}

/**
 * odp_window_replace - gives the key of a region to another window
 * @dev: The device.
 * @old: The window that has the key; it is closed.
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
 * odp_window_close - no memory window is bound to a region any more
 * @win: The window of the region.
 *
 * Return: false if there are some, which then may stay.
 */
bool odp_window_close(struct odp_window *win)
{
	return !atomic_cmpxchg(&win->bound, 0, -1);
}

/**
 * odp_window_reopen - undoes odp_window_close()
 * @win: The window.
 */
void odp_window_reopen(struct odp_window *win)
{
	atomic_set(&win->bound, 0);
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
 * Any context. Nothing but the key is checked. As long as a memory window is
 * held its lock is, too. Return: the window or NULL.
 */
struct odp_window *odp_window_find(struct odp_dev *dev, u32 key)
{
	struct odp_window *win = odp_window_hold(dev, key);

	if (!win)
		return NULL;
	if (win->type != ODP_WINDOW_REGION)
		read_lock_bh(&win->lock);
	if (win->key == key)
		return win;
	odp_window_put(win);
	return NULL;
}

/* Is it for this queue pair, or its own requests? */
static bool odp_window_is_for(const struct odp_window *win, u32 qpn)
{
	switch (win->type) {
	case ODP_WINDOW_REGION:
	case ODP_WINDOW_FAST:
		return true;
	case ODP_WINDOW_MW1:
		return qpn != ODP_QPN_LOCAL;
	default:
		return win->region && qpn == win->qpn;
	}
}

/**
 * odp_window_get - checks a key and holds its window
 * @dev: The device.
 * @key: The key.
 * @pd: Protection domain of who uses it.
 * @qpn: Number of the queue pair whose peer has named it, or ODP_QPN_LOCAL.
 * @addr: First address of the access.
 * @len: Bytes; 0: @addr says nothing, but there have to be some.
 * @access: Rights that are needed, enum ib_access_flags.
 *
 * Any context. Return: the window, or NULL if the key does not allow it.
 */
struct odp_window *odp_window_get(struct odp_dev *dev, u32 key,
				  struct ib_pd *pd, u32 qpn, u64 addr, u64 len,
				  int access)
{
	struct odp_window *win = odp_window_find(dev, key);

	if (!win)
		return NULL;
	if (win->pd == pd && odp_window_is_for(win, qpn) &&
	    (win->access & access) == access &&
	    (len ? odp_window_covers(win, addr, len) : win->length))
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
	if (win->type != ODP_WINDOW_REGION)
		read_unlock_bh(&win->lock);
	odp_window_unhold(win);
}

/* Programs ask for local write, which means nothing here, with the remote one. */
#define ODP_BIND_ACCESS	(IB_ACCESS_REMOTE_WRITE | IB_ACCESS_REMOTE_READ | \
			 IB_ACCESS_REMOTE_ATOMIC | IB_ZERO_BASED | \
			 IB_ACCESS_LOCAL_WRITE | ODP_ACCESS_FLUSH_GLOBAL)

/* May the region be bound to? It is kept from closing then. */
static bool odp_region_bind(struct odp_window *region, struct ib_pd *pd,
			    const struct odp_bind *bind)
{
	const int writes = IB_ACCESS_REMOTE_WRITE | IB_ACCESS_REMOTE_ATOMIC;

	return region->type == ODP_WINDOW_REGION &&
	       region->key == bind->region_key && region->pd == pd &&
	       region->access & IB_ACCESS_MW_BIND &&
	       (!(bind->access & writes) ||
		region->access & IB_ACCESS_LOCAL_WRITE) &&
	       odp_window_covers(region, bind->addr, bind->length) &&
	       atomic_inc_unless_negative(&region->bound);
}

/* IBTA 10.6.7.2.3: one of type 2 is unbound first, and not by binding it. */
static bool odp_window_may_bind(const struct odp_window *win, struct ib_pd *pd,
				const struct odp_bind *bind)
{
	if (win->pd != pd || (win->key ^ bind->key) & ~0xffU ||
	    bind->access & ~ODP_BIND_ACCESS)
		return false;
	return win->type == ODP_WINDOW_MW1 ||
	       (win->type == ODP_WINDOW_MW2 && !win->region && bind->length);
}

static int odp_window_bind_to(struct odp_window *win, struct odp_window *region,
			      struct ib_pd *pd, u32 qpn,
			      const struct odp_bind *bind)
{
	u64 offset;

	lockdep_assert_held_write(&win->lock);

	if (!odp_window_may_bind(win, pd, bind) ||
	    (region && !odp_region_bind(region, pd, bind)))
		return -EINVAL;
	odp_window_unbind(win);
	win->key = bind->key;
	if (!region)
		return 0;
	offset = bind->addr - region->iova;
	win->region = region;
	win->qpn = qpn;
	win->access = bind->access;
	win->iova = bind->access & IB_ZERO_BASED ? 0 : bind->addr;
	win->length = bind->length;
	win->start = region->start + offset;
	win->mirror = region->mirror;
	win->blocks = region->blocks;
	win->block_shift = region->block_shift;
	win->block_offset = region->block_offset + offset;
	return 0;
}

/* A memory window or a fast region, held, with its lock; by any key of its index */
static struct odp_window *odp_window_change(struct odp_dev *dev, u32 key)
{
	struct odp_window *win = odp_window_hold(dev, key);

	if (win && win->type == ODP_WINDOW_REGION) {
		odp_window_unhold(win);
		return NULL;
	}
	if (win)
		write_lock_bh(&win->lock);
	return win;
}

static void odp_window_changed(struct odp_window *win)
{
	write_unlock_bh(&win->lock);
	odp_window_unhold(win);
}

/**
 * odp_window_bind - binds a memory window, or unbinds one of type 1
 * @dev: The device.
 * @pd: Protection domain of who does it.
 * @qpn: Number of the queue pair that does it.
 * @bind: To what.
 *
 * Any context but hard interrupts. Return: 0, or -EINVAL with nothing changed
 * if the window or the region do not allow it.
 */
int odp_window_bind(struct odp_dev *dev, struct ib_pd *pd, u32 qpn,
		    const struct odp_bind *bind)
{
	struct odp_window *region = NULL;
	struct odp_window *win;
	int err = -EINVAL;

	if (bind->length) {
		region = odp_window_hold(dev, bind->region_key);
		if (!region)
			return err;
	}
	win = odp_window_change(dev, bind->key);
	if (win) {
		err = odp_window_bind_to(win, region, pd, qpn, bind);
		odp_window_changed(win);
	}
	if (region)
		odp_window_unhold(region);
	return err;
}

#define ODP_FAST_ACCESS	(IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_WRITE | \
			 IB_ACCESS_REMOTE_READ | IB_ACCESS_REMOTE_ATOMIC)

static bool odp_map_holds(const struct odp_map *map, u64 length)
{
	u64 room = (u64)map->count << map->shift;

	return length <= room && map->offset <= room - length;
}

/* One that is registered has to be invalidated first. */
static bool odp_window_may_register(const struct odp_window *win,
				    struct ib_pd *pd,
				    const struct odp_bind *bind)
{
	return win->type == ODP_WINDOW_FAST && win->pd == pd && !win->length &&
	       !((win->key ^ bind->key) & ~0xffU) &&
	       !(bind->access & ~(ODP_FAST_ACCESS | IB_ACCESS_OPTIONAL)) &&
	       !ib_check_mr_access(pd->device, bind->access) && bind->length &&
	       bind->addr + bind->length - 1 >= bind->addr &&
	       odp_map_holds(win->next, bind->length);
}

static void odp_window_register_as(struct odp_window *win,
				   const struct odp_bind *bind)
{
	const struct odp_map *map = win->next;

	lockdep_assert_held_write(&win->lock);

	memcpy(win->blocks, map->blocks, map->count * sizeof(*map->blocks));
	win->block_shift = map->shift;
	win->block_offset = map->offset;
	win->start = (uintptr_t)map->blocks[0] + map->offset;
	win->key = bind->key;
	win->access = bind->access;
	win->iova = bind->addr;
	win->length = bind->length;
}

/**
 * odp_window_register - gives a fast region memory, that of its odp_window.next
 * @dev: The device.
 * @pd: Protection domain of who does it.
 * @bind: How; without a region.
 *
 * Any context but hard interrupts. Return: 0, or -EINVAL with nothing changed
 * if the region does not allow it.
 */
int odp_window_register(struct odp_dev *dev, struct ib_pd *pd,
			const struct odp_bind *bind)
{
	struct odp_window *win = odp_window_change(dev, bind->key);
	int err = -EINVAL;

	if (!win)
		return err;
	if (odp_window_may_register(win, pd, bind)) {
		odp_window_register_as(win, bind);
		err = 0;
	}
	odp_window_changed(win);
	return err;
}

/* A fast region may be invalid already; a memory window may not. */
static bool odp_window_may_invalidate(const struct odp_window *win, u32 qpn)
{
	if (win->type == ODP_WINDOW_FAST)
		return true;
	return win->type == ODP_WINDOW_MW2 && win->region &&
	       (qpn == ODP_QPN_LOCAL || qpn == win->qpn);
}

/**
 * odp_window_invalidate - unbinds a memory window of type 2, or ends a registration
 * @dev: The device.
 * @pd: Protection domain of who does it.
 * @qpn: Number of the queue pair whose peer wants it, or ODP_QPN_LOCAL.
 * @key: Its key.
 *
 * Any context but hard interrupts. On return no access is under way and none
 * will be. Return: 0, or -EINVAL if the key is none that they may invalidate.
 */
int odp_window_invalidate(struct odp_dev *dev, struct ib_pd *pd, u32 qpn,
			  u32 key)
{
	struct odp_window *win = odp_window_change(dev, key);
	int err = -EINVAL;

	if (!win)
		return err;
	if (win->key == key && win->pd == pd &&
	    odp_window_may_invalidate(win, qpn)) {
		odp_window_unbind(win);
		err = 0;
	}
	odp_window_changed(win);
	return err;
}

/* Memory of the kernel itself, for its own users */
static void odp_kernel_begin(u64 addr, size_t len, struct odp_chunk *chunk)
{
	chunk->addr = (void *)(uintptr_t)addr;
	chunk->len = len;
	chunk->leaf = NULL;
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
		if (win->blocks)
			odp_pinned_begin(win, addr, len, chunk);
		else
			odp_kernel_begin(addr, len, chunk);
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

/* One that stores is a full barrier: what was written before is seen before. */
static u64 odp_atomic_at(atomic64_t *word, const struct odp_atomic *op)
{
	switch (op->kind) {
	case ODP_COMPARE_SWAP:
		return atomic64_cmpxchg(word, op->compare, op->swap_add);
	case ODP_ATOMIC_WRITE:
		return atomic64_xchg(word, op->swap_add);
	default:
		return atomic64_fetch_add(op->swap_add, word);
	}
}

/**
 * odp_window_atomic - operates on 64 bits of a window, atomically
 * @win: The window, held; the 8 bytes at @addr are inside.
 * @addr: Address in the window; the process's own address for it is aligned.
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
	*old = odp_atomic_at(chunk.addr, op);
	odp_chunk_end(&chunk);
	return true;
}
