// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Slab caches, the shrinker's list, and the tree: as much as the mirror needs.
 */
#include "sim/kernel.h"

struct kmem_cache *kmem_cache_create(const char *name, size_t size,
				     size_t align, unsigned int flags,
				     void (*ctor)(void *object))
{
	struct kmem_cache *cache = calloc(1, sizeof(*cache));

	(void)name;
	(void)align;
	(void)flags;
	(void)ctor;
	cache->size = size;
	return cache;
}

void kmem_cache_destroy(struct kmem_cache *cache)
{
	if (__atomic_load_n(&cache->live, __ATOMIC_SEQ_CST))
		sim_fail("a cache is destroyed with %ld objects in it",
			 cache->live);
	free(cache);
}

void *sim_cache_zalloc(struct kmem_cache *cache, gfp_t gfp, const char *func)
{
	void *object = sim_alloc(cache->size, gfp & __GFP_DIRECT_RECLAIM, func);

	if (object)
		__atomic_add_fetch(&cache->live, 1, __ATOMIC_SEQ_CST);
	return object;
}

void kmem_cache_free(struct kmem_cache *cache, void *object)
{
	__atomic_sub_fetch(&cache->live, 1, __ATOMIC_SEQ_CST);
	sim_free(object);
}

/* The shrinker. */

static struct shrinker *shrinker;

int register_shrinker(struct shrinker *new, const char *format, ...)
{
	(void)format;
	shrinker = new;
	return 0;
}

void unregister_shrinker(struct shrinker *old)
{
	(void)old;
	shrinker = NULL;
}

static unsigned long visits;

unsigned long sim_jiffies(void)
{
	return __atomic_load_n(&visits, __ATOMIC_RELAXED) * HZ;
}

unsigned long sim_shrink(unsigned long nr_to_scan)
{
	struct shrink_control sc = { .nr_to_scan = nr_to_scan };
	unsigned long freed = shrinker->scan_objects(shrinker, &sc);

	__atomic_fetch_add(&visits, 1, __ATOMIC_RELAXED);
	return freed;
}

int list_lru_init_memcg(struct list_lru *lru, struct shrinker *user)
{
	(void)user;
	spin_lock_init(&lru->lock);
	INIT_LIST_HEAD(&lru->list);
	return 0;
}

void list_lru_destroy(struct list_lru *lru)
{
	if (!list_empty(&lru->list))
		sim_fail("a shrinker's list goes with somebody on it");
}

bool list_lru_add(struct list_lru *lru, struct list_head *item)
{
	bool add;

	spin_lock(&lru->lock);
	add = list_empty(item);
	if (add)
		list_add_tail(item, &lru->list);
	spin_unlock(&lru->lock);
	return add;
}

bool list_lru_del(struct list_lru *lru, struct list_head *item)
{
	bool del;

	spin_lock(&lru->lock);
	del = !list_empty(item);
	if (del)
		list_del_init(item);
	spin_unlock(&lru->lock);
	return del;
}

void list_lru_isolate(struct list_lru_one *one, struct list_head *item)
{
	lockdep_assert_held(&one->lru->lock);
	list_del_init(item);
}

unsigned long list_lru_shrink_count(struct list_lru *lru,
				    struct shrink_control *sc)
{
	(void)sc;
	return !list_empty(&lru->list);
}

unsigned long list_lru_shrink_walk(struct list_lru *lru,
				   struct shrink_control *sc,
				   list_lru_walk_cb isolate, void *arg)
{
	struct list_lru_one one = { lru };
	unsigned long isolated = 0;
	struct list_head *item, *next;

	spin_lock(&lru->lock);
restart:
	for (item = lru->list.next; item != &lru->list; item = next) {
		next = item->next;
		if (!sc->nr_to_scan--)
			break;
		switch (isolate(item, &one, &lru->lock, arg)) {
		case LRU_REMOVED_RETRY:
			isolated++;
			goto restart;
		case LRU_REMOVED:
			isolated++;
			break;
		case LRU_ROTATE:
			list_move_tail(item, &lru->list);
			break;
		case LRU_SKIP:
			break;
		case LRU_RETRY:
			goto restart;
		}
	}
	spin_unlock(&lru->lock);
	return isolated;
}

/* The tree. */

void xa_init_flags(struct xarray *xa, gfp_t flags)
{
	(void)flags;
	spin_lock_init(&xa->xa_lock);
	pthread_mutex_init(&xa->guts, NULL);
	xa->count = 0;
}

void xa_destroy(struct xarray *xa)
{
	pthread_mutex_destroy(&xa->guts);
	xa->count = 0;
}

/* The first one that is not below the index. */
static unsigned int position(struct xarray *xa, unsigned long index)
{
	unsigned int i = 0;

	while (i < xa->count && xa->slots[i].index < index)
		i++;
	return i;
}

void *sim_xa_find(struct xarray *xa, unsigned long *index, unsigned long max,
		  const char *func)
{
	void *entry = NULL;
	unsigned int i;

	sim_point(SIM_READ, "look-up", "leaf", func, xa);
	pthread_mutex_lock(&xa->guts);
	i = position(xa, *index);
	if (i < xa->count && xa->slots[i].index <= max) {
		*index = xa->slots[i].index;
		entry = xa->slots[i].entry;
	}
	pthread_mutex_unlock(&xa->guts);
	return entry;
}

void *sim_xa_load(struct xarray *xa, unsigned long index, const char *func)
{
	return sim_xa_find(xa, &index, index, func);
}

/* The kernel's drops the lock when it must allocate; this one always does. */
void *__xa_cmpxchg(struct xarray *xa, unsigned long index, void *old,
		   void *entry, gfp_t gfp)
{
	void *found = NULL;
	unsigned int i;

	lockdep_assert_held(&xa->xa_lock);
	xa_unlock(xa);
	if (gfp & __GFP_DIRECT_RECLAIM)
		sim_might_sleep(__func__);
	found = sim_alloc(1, false, __func__);
	sim_free(found);
	xa_lock(xa);
	if (!found)
		return ERR_PTR(-ENOMEM);

	sim_point(SIM_WRITE, "store", "leaf", __func__, xa);
	pthread_mutex_lock(&xa->guts);
	i = position(xa, index);
	found = i < xa->count && xa->slots[i].index == index ?
		xa->slots[i].entry : NULL;
	if (old || xa->count == SIM_XA_ENTRIES)
		sim_fail("this xarray does not do that");
	if (!found) {
		memmove(&xa->slots[i + 1], &xa->slots[i],
			(xa->count - i) * sizeof(xa->slots[0]));
		xa->slots[i].index = index;
		xa->slots[i].entry = entry;
		xa->count++;
	}
	pthread_mutex_unlock(&xa->guts);
	return found;
}

void *__xa_erase(struct xarray *xa, unsigned long index)
{
	void *found = NULL;
	unsigned int i;

	lockdep_assert_held(&xa->xa_lock);
	sim_point(SIM_WRITE, "erase", "leaf", __func__, xa);
	pthread_mutex_lock(&xa->guts);
	i = position(xa, index);
	if (i < xa->count && xa->slots[i].index == index) {
		found = xa->slots[i].entry;
		xa->count--;
		memmove(&xa->slots[i], &xa->slots[i + 1],
			(xa->count - i) * sizeof(xa->slots[0]));
	}
	pthread_mutex_unlock(&xa->guts);
	return found;
}
