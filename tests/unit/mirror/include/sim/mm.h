/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Memory: slabs, pages, address spaces and their notifiers. The address space
 * behind it is fake_mm.c's.
 */
#ifndef SIM_MM_H
#define SIM_MM_H

#include "xarray.h"

struct kmem_cache {
	size_t size;
	long live;
};

struct kmem_cache *kmem_cache_create(const char *name, size_t size,
				     size_t align, unsigned int flags,
				     void (*ctor)(void *object));
void kmem_cache_destroy(struct kmem_cache *cache);
void *sim_cache_zalloc(struct kmem_cache *cache, gfp_t gfp, const char *func);
void kmem_cache_free(struct kmem_cache *cache, void *object);

#define SLAB_ACCOUNT		0
#define SLAB_RECLAIM_ACCOUNT	0
#define KMEM_CACHE(type, flags)	\
	kmem_cache_create(#type, sizeof(struct type), 0, flags, NULL)
#define kmem_cache_zalloc(cache, gfp) sim_cache_zalloc(cache, gfp, __func__)
#define kmem_cache_alloc(cache, gfp) sim_cache_zalloc(cache, gfp, __func__)
#define kmem_cache_alloc_lru(cache, lru, gfp) kmem_cache_zalloc(cache, gfp)
#define kzalloc(size, gfp) \
	sim_alloc(size, (gfp) & __GFP_DIRECT_RECLAIM, __func__)
#define kmalloc(size, gfp)	kzalloc(size, gfp)
#define kcalloc(n, size, gfp)	kzalloc((n) * (size), gfp)
#define kmalloc_array(n, size, gfp) kzalloc((n) * (size), gfp)
#define kvmalloc_array(n, size, gfp) kzalloc((n) * (size), gfp)
#define kfree(p)		sim_free(p)
#define kvfree(p)		sim_free(p)

/* Shrinkers: one, with one list. */
struct list_lru {
	spinlock_t lock;
	struct list_head list;
};

struct list_lru_one {
	struct list_lru *lru;
};

struct shrink_control {
	unsigned long nr_to_scan;
};

struct shrinker {
	unsigned long (*count_objects)(struct shrinker *shrinker,
				       struct shrink_control *sc);
	unsigned long (*scan_objects)(struct shrinker *shrinker,
				      struct shrink_control *sc);
	int seeks;
	unsigned int flags;
};

enum lru_status {
	LRU_REMOVED,
	LRU_REMOVED_RETRY,
	LRU_ROTATE,
	LRU_SKIP,
	LRU_RETRY,
};

#define DEFAULT_SEEKS		2
#define SHRINKER_NUMA_AWARE	0
#define SHRINKER_MEMCG_AWARE	0
#define SHRINK_EMPTY		(~0UL - 1)

typedef enum lru_status (*list_lru_walk_cb)(struct list_head *item,
					    struct list_lru_one *one,
					    spinlock_t *lock, void *arg);

int register_shrinker(struct shrinker *shrinker, const char *format, ...);
void unregister_shrinker(struct shrinker *shrinker);
int list_lru_init_memcg(struct list_lru *lru, struct shrinker *shrinker);
void list_lru_destroy(struct list_lru *lru);
bool list_lru_add(struct list_lru *lru, struct list_head *item);
bool list_lru_del(struct list_lru *lru, struct list_head *item);
void list_lru_isolate(struct list_lru_one *one, struct list_head *item);
unsigned long list_lru_shrink_count(struct list_lru *lru,
				    struct shrink_control *sc);
unsigned long list_lru_shrink_walk(struct list_lru *lru,
				   struct shrink_control *sc,
				   list_lru_walk_cb isolate, void *arg);
/* Reclaim: calls the shrinker for so many objects; those that went. */
unsigned long sim_shrink(unsigned long nr_to_scan);

/**
 * struct page - a page of the fake memory
 * @refs: References: one of the page table, and those of look-ups.
 * @head: First page of the huge page; itself for a small page.
 * @nr: Of the head: pages of the huge page, or 1.
 * @dirty: Its contents are newer than what is on disk.
 * @referenced: Marked as accessed.
 * @owed: Written through an entry and not marked dirty since.
 * @pin_owed: The same, by one who has it pinned.
 * @freed: Nobody has it.
 */
struct page {
	int refs;
	struct page *head;
	unsigned int nr;
	bool dirty;
	bool referenced;
	bool owed;
	bool pin_owed;
	bool freed;
};

struct mm_struct;
struct mmu_notifier;
struct mem_cgroup;

struct page *pfn_to_page(unsigned long pfn);
unsigned long page_to_pfn(const struct page *page);
void *page_address(const struct page *page);
void put_page(struct page *page);
bool set_page_dirty(struct page *page);
/* That of its first page */
struct folio *page_folio(struct page *page);
void folio_set_referenced(struct folio *folio);
void unpin_user_pages_dirty_lock(struct page **pages, unsigned long npages,
				 bool dirty);

static inline struct page *compound_head(struct page *page)
{
	return page->head;
}

static inline unsigned long compound_nr(struct page *page)
{
	return page->nr;
}

static inline bool PageCompound(struct page *page)
{
	return page->head->nr > 1;
}

#define FOLL_WRITE	1
#define FOLL_NOFAULT	2
#define FOLL_DUMP	4

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	bool armed;
};

#define userfaultfd_armed(vma)	((vma)->armed)
#define is_vm_hugetlb_page(vma)	((void)(vma), false)
/* The first one that ends behind the address. */
struct vm_area_struct *find_vma(struct mm_struct *mm, unsigned long addr);

long get_user_pages_remote(struct mm_struct *mm, unsigned long start,
			   unsigned long npages, unsigned int flags,
			   struct page **pages, struct vm_area_struct **vmas,
			   int *locked);
long pin_user_pages_remote(struct mm_struct *mm, unsigned long start,
			   unsigned long npages, unsigned int flags,
			   struct page **pages, struct vm_area_struct **vmas,
			   int *locked);

/* What is known of an address space without the page table; see fake_mm.c. */
struct mm_struct {
	atomic_t mm_users;
	atomic_t mm_count;
	unsigned long task_size;
	bool unstable;
	struct rw_semaphore mmap_lock;
	spinlock_t page_table_lock;
	struct mmu_notifier *notifier;
	struct work_struct exit;
};

static inline int check_stable_address_space(struct mm_struct *mm)
{
	return mm->unstable;
}

struct task_struct {
	struct mm_struct *mm;
};

extern struct task_struct *current;

#define mmap_read_lock(mm)	sim_down_read(&(mm)->mmap_lock, __func__)
#define mmap_read_unlock(mm)	sim_up_read(&(mm)->mmap_lock, __func__)
#define mmget_not_zero(mm)	atomic_inc_not_zero(&(mm)->mm_users)
#define mmgrab(mm)		atomic_inc(&(mm)->mm_count)

void mmdrop(struct mm_struct *mm);
void mmput_async(struct mm_struct *mm);
#define mmput(mm)		mmput_async(mm)

static inline struct mem_cgroup *get_mem_cgroup_from_mm(struct mm_struct *mm)
{
	return (struct mem_cgroup *)mm;
}

static inline struct mem_cgroup *set_active_memcg(struct mem_cgroup *memcg)
{
	(void)memcg;
	return NULL;
}

static inline void mem_cgroup_put(struct mem_cgroup *memcg)
{
	(void)memcg;
}

enum mmu_notifier_event {
	MMU_NOTIFY_UNMAP,
	MMU_NOTIFY_CLEAR,
	MMU_NOTIFY_PROTECTION_PAGE,
};

struct mmu_notifier_range {
	struct mm_struct *mm;
	unsigned long start;
	unsigned long end;
	enum mmu_notifier_event event;
	bool blockable;
};

#define mmu_notifier_range_blockable(range) ((range)->blockable)

struct mmu_notifier_ops {
	void (*release)(struct mmu_notifier *mn, struct mm_struct *mm);
	int (*clear_flush_young)(struct mmu_notifier *mn, struct mm_struct *mm,
				 unsigned long start, unsigned long end);
	int (*clear_young)(struct mmu_notifier *mn, struct mm_struct *mm,
			   unsigned long start, unsigned long end);
	int (*test_young)(struct mmu_notifier *mn, struct mm_struct *mm,
			  unsigned long address);
	int (*invalidate_range_start)(struct mmu_notifier *mn,
				      const struct mmu_notifier_range *range);
	void (*invalidate_range_end)(struct mmu_notifier *mn,
				     const struct mmu_notifier_range *range);
	struct mmu_notifier *(*alloc_notifier)(struct mm_struct *mm);
	void (*free_notifier)(struct mmu_notifier *mn);
};

struct mmu_notifier {
	const struct mmu_notifier_ops *ops;
	struct mm_struct *mm;
	struct rcu_head rcu;
	unsigned int users;
};

struct mmu_notifier *mmu_notifier_get(const struct mmu_notifier_ops *ops,
				      struct mm_struct *mm);
void mmu_notifier_put(struct mmu_notifier *mn);
void mmu_notifier_synchronize(void);

#endif /* SIM_MM_H */
