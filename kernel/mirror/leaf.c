// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Leaves: what a mirror knows of one block.
 *
 * A translation is published, used and dropped under the lock of its leaf, and
 * holds no reference on the page: that the CPU maps the page is what keeps it.
 * So two rules carry everything. The new-leaf rule is in zap.c.
 *
 * Publish rule: a fault takes a snapshot of the leaf's seq at a time when no
 * zap of the block is in progress, looks the pages up, and publishes them,
 * under the lock, only if seq is still the same.
 *
 *	fault					zap
 *	-----					---
 *	snapshot: zapping == 0, seq = 7
 *	get_user_pages() -> page P
 *						_start: seq = 8, drop entries
 *						page table entry of P cleared
 *	lock; seq != 7: give up
 *						_end
 *
 * With the last two lines of the fault before _start, P is published and then
 * dropped by _start, which waits for the lock and so for a running access.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "leaf.h"

/* An access holds a leaf for no more than this. */
#define ODP_CHUNK_MAX	SZ_16K
/* A fault waits for zaps to end for no longer than this, then works directly. */
#define ODP_QUIET_TIMEOUT	(HZ / 100 + 1)

atomic64_t odp_mirror_stats[ODP_STAT_COUNT];

static struct kmem_cache *odp_leaf_cache;
static struct kmem_cache *odp_entries_cache;

static void odp_leaf_free_rcu(struct rcu_head *rcu)
{
	struct odp_leaf *leaf = container_of(rcu, struct odp_leaf, rcu);

	if (leaf->entries)
		kmem_cache_free(odp_entries_cache, leaf->entries);
	kmem_cache_free(odp_leaf_cache, leaf);
	odp_stat_add(ODP_STAT_LEAVES, -1);
}

void odp_leaf_put(struct odp_leaf *leaf)
{
	if (refcount_dec_and_test(&leaf->ref))
		call_rcu(&leaf->rcu, odp_leaf_free_rcu);
}

static struct odp_leaf *odp_leaf_alloc(unsigned long index)
{
	struct odp_leaf *leaf;

	leaf = kmem_cache_zalloc(odp_leaf_cache, GFP_KERNEL_ACCOUNT);
	if (!leaf)
		return NULL;
	spin_lock_init(&leaf->lock);
	spin_lock_init(&leaf->zap_lock);
	leaf->zapping = ~0ULL;
	leaf->index = index;
	refcount_set(&leaf->ref, 1);
	odp_stat_add(ODP_STAT_LEAVES, 1);
	return leaf;
}

/* Puts a new leaf into the tree, unless there is one already. */
static int odp_leaf_insert(struct odp_mirror *mirror, struct odp_leaf *leaf)
{
	void *old;

	xa_lock(&mirror->leaves);
	/* May drop the lock to allocate, so the bits are looked up after it. */
	old = __xa_cmpxchg(&mirror->leaves, leaf->index, NULL, leaf,
			   GFP_KERNEL_ACCOUNT);
	if (!old) {
		refcount_inc(&leaf->ref);
		spin_lock_bh(&leaf->lock);
		leaf->zapping = odp_zaps_in_block(mirror, leaf->index);
		spin_unlock_bh(&leaf->lock);
	}
	xa_unlock(&mirror->leaves);

	if (!old)
		wake_up_all(&mirror->zap_wait);
	return xa_is_err(old) ? xa_err(old) : old ? -EEXIST : 0;
}

/**
 * odp_leaf_get - the leaf of a block, made if there is none
 * @mirror: The mirror.
 * @addr: An address in the block.
 *
 * May sleep. Return: a leaf with a reference, or ERR_PTR(-ENOMEM).
 */
struct odp_leaf *odp_leaf_get(struct odp_mirror *mirror, unsigned long addr)
{
	unsigned long index = addr >> ODP_BLOCK_SHIFT;
	struct odp_leaf *leaf;
	int err;

	do {
		rcu_read_lock();
		leaf = xa_load(&mirror->leaves, index);
		if (leaf && !refcount_inc_not_zero(&leaf->ref))
			leaf = NULL;
		rcu_read_unlock();
		if (leaf)
			return leaf;

		leaf = odp_leaf_alloc(index);
		if (!leaf)
			return ERR_PTR(-ENOMEM);
		err = odp_leaf_insert(mirror, leaf);
		if (!err)
			return leaf;
		odp_leaf_put(leaf);
	} while (err == -EEXIST);

	return ERR_PTR(err);
}

/**
 * odp_leaf_alloc_entries - makes room for the entries of small pages
 * @leaf: A leaf with a reference.
 *
 * May sleep. Return: 0 or -ENOMEM.
 */
int odp_leaf_alloc_entries(struct odp_leaf *leaf)
{
	unsigned long *entries;

	if (READ_ONCE(leaf->entries))
		return 0;
	entries = kmem_cache_zalloc(odp_entries_cache, GFP_KERNEL_ACCOUNT);
	if (!entries)
		return -ENOMEM;

	spin_lock_bh(&leaf->lock);
	if (!leaf->entries)
		swap(leaf->entries, entries);
	spin_unlock_bh(&leaf->lock);

	if (entries)
		kmem_cache_free(odp_entries_cache, entries);
	return 0;
}

static bool odp_leaf_quiet(struct odp_mirror *mirror, struct odp_leaf *leaf,
			   u64 *seq, bool *dead)
{
	bool quiet;

	spin_lock_bh(&leaf->lock);
	*seq = leaf->seq;
	*dead = leaf->dead;
	quiet = !leaf->zapping && !READ_ONCE(mirror->crowd);
	spin_unlock_bh(&leaf->lock);
	return quiet || *dead;
}

/**
 * odp_leaf_snapshot - begins a fault
 * @mirror: The mirror.
 * @leaf: A leaf with a reference.
 * @seq: For odp_leaf_publish().
 *
 * Waits until no zap of the block is in progress, but not for ever: zaps can
 * follow each other without a gap, and the end of one is not heard of when the
 * last attachment goes in its middle. Nothing that a zap needs may be held, the
 * mmap lock least of all.
 *
 * Return: 0; -EAGAIN: the leaf was taken out of the tree; -EBUSY: waited in
 * vain.
 */
int odp_leaf_snapshot(struct odp_mirror *mirror, struct odp_leaf *leaf,
		      u64 *seq)
{
	bool dead;

	if (!wait_event_timeout(mirror->zap_wait,
				odp_leaf_quiet(mirror, leaf, seq, &dead),
				ODP_QUIET_TIMEOUT))
		return -EBUSY;
	return dead ? -EAGAIN : 0;
}

/**
 * odp_page_fills_block - can the page be part of a huge page for its block?
 * @page: The page.
 * @addr: Where the process has it.
 */
bool odp_page_fills_block(struct page *page, unsigned long addr)
{
	struct page *first = page - odp_page_index(addr);

	return PageCompound(page) &&
	       IS_ALIGNED(page_to_pfn(first), ODP_BLOCK_PAGES) &&
	       compound_nr(compound_head(page)) >= ODP_BLOCK_PAGES;
}

/**
 * odp_pages_huge - are these all the pages of a block, as one huge page?
 * @addr: Address of the first.
 * @pages: The pages.
 * @npages: How many.
 */
bool odp_pages_huge(unsigned long addr, struct page **pages,
		    unsigned long npages)
{
	unsigned long i;

	if (npages != ODP_BLOCK_PAGES || !odp_page_fills_block(pages[0], addr))
		return false;
	for (i = 1; i < npages; i++)
		if (pages[i] != pages[0] + i)
			return false;
	return true;
}

static unsigned long odp_entry(struct page *page, bool write)
{
	return ((unsigned long)page_to_pfn(page) << PAGE_SHIFT) |
	       ODP_ENTRY_PRESENT | (write ? ODP_ENTRY_WRITE : 0);
}

/* A page that is published already keeps the rights that it has. */
static void odp_entry_set(unsigned long *entry, struct page *page, bool write)
{
	unsigned long new = odp_entry(page, write);

	if ((*entry & PAGE_MASK) == (new & PAGE_MASK))
		new |= *entry;
	*entry = new;
}

/**
 * odp_leaf_publish - ends a fault
 * @leaf: The leaf; it has entries unless @huge.
 * @seq: From odp_leaf_snapshot(), before the pages were looked up.
 * @addr: Address of the first page.
 * @pages: The pages, referenced by the caller.
 * @npages: How many.
 * @huge: They are one huge page.
 * @write: They were looked up for writing.
 *
 * Return: false, with nothing published, if a zap came between.
 */
bool odp_leaf_publish(struct odp_leaf *leaf, u64 seq, unsigned long addr,
		      struct page **pages, unsigned long npages, bool huge,
		      bool write)
{
	unsigned int first = odp_page_index(addr);
	unsigned long i;
	bool ok;

	spin_lock_bh(&leaf->lock);
	ok = leaf->seq == seq && !leaf->dead;
	if (ok && huge)
		odp_entry_set(&leaf->huge, pages[0], write);
	else if (ok)
		for (i = 0; i < npages; i++)
			odp_entry_set(&leaf->entries[first + i], pages[i],
				      write);
	spin_unlock_bh(&leaf->lock);
	return ok;
}

/* The entry that serves the access, or NULL. */
static unsigned long *odp_leaf_lookup(struct odp_leaf *leaf, unsigned int index,
				      bool write)
{
	unsigned long need = ODP_ENTRY_PRESENT | (write ? ODP_ENTRY_WRITE : 0);

	if ((leaf->huge & need) == need)
		return &leaf->huge;
	if (leaf->entries && (leaf->entries[index] & need) == need)
		return &leaf->entries[index];
	return NULL;
}

static void odp_chunk_set(struct odp_chunk *chunk, struct odp_leaf *leaf,
			  unsigned long *entry, unsigned long addr, size_t len)
{
	bool huge = entry == &leaf->huge;
	unsigned long mask = huge ? ODP_BLOCK_SIZE - 1 : PAGE_SIZE - 1;
	unsigned long offset = addr & mask;
	unsigned int young = huge ? 0 : odp_page_index(addr);
	struct page *page = pfn_to_page(*entry >> PAGE_SHIFT);

	if (!test_bit(young, leaf->young))
		set_bit(young, leaf->young);
	chunk->addr = page_address(page) + offset;
	chunk->len = min3(len, (size_t)(mask + 1 - offset),
			  (size_t)ODP_CHUNK_MAX);
	chunk->leaf = leaf;
}

static bool odp_pins_begin(const struct odp_pins *pins,
			   struct odp_mirror *mirror, unsigned long addr,
			   size_t len, bool write, struct odp_chunk *chunk)
{
	unsigned long offset = addr - pins->start;

	if (pins->mirror != mirror || (write && !pins->write) ||
	    addr < pins->start || offset >> PAGE_SHIFT >= pins->npages)
		return false;
	chunk->addr = page_address(pins->pages[offset >> PAGE_SHIFT]) +
		      offset_in_page(addr);
	chunk->len = min_t(size_t, len, PAGE_SIZE - offset_in_page(addr));
	chunk->leaf = NULL;
	return true;
}

/**
 * odp_mirror_begin - begins an access to mirrored memory
 * @mirror: The mirror.
 * @addr: Address in the process.
 * @len: Bytes wanted, at least one.
 * @write: The access writes.
 * @pins: What the waiter holds in its resume call, else NULL.
 * @chunk: Set to the memory at @addr; it can be shorter than @len.
 *
 * Any context but hard interrupts. On success the caller accesses the memory,
 * does not sleep, and calls odp_chunk_end(). One access at a time.
 *
 * Return: 0, or -EAGAIN if there is no translation for it.
 */
int odp_mirror_begin(struct odp_mirror *mirror, unsigned long addr, size_t len,
		     bool write, const struct odp_pins *pins,
		     struct odp_chunk *chunk)
{
	struct odp_leaf *leaf;
	unsigned long *entry;

	rcu_read_lock();
	leaf = xa_load(&mirror->leaves, addr >> ODP_BLOCK_SHIFT);
	if (leaf) {
		spin_lock_bh(&leaf->lock);
		entry = odp_leaf_lookup(leaf, odp_page_index(addr), write);
		if (entry) {
			if (write)
				*entry |= ODP_ENTRY_DIRTY;
			odp_chunk_set(chunk, leaf, entry, addr, len);
			/* The lock keeps the leaf from being freed. */
			rcu_read_unlock();
			return 0;
		}
		spin_unlock_bh(&leaf->lock);
	}
	rcu_read_unlock();

	if (pins && odp_pins_begin(pins, mirror, addr, len, write, chunk))
		return 0;
	return -EAGAIN;
}

/**
 * odp_chunk_end - ends an access
 * @chunk: From odp_mirror_begin().
 */
void odp_chunk_end(struct odp_chunk *chunk)
{
	if (chunk->leaf)
		spin_unlock_bh(&chunk->leaf->lock);
}

/* Takes rights and presence away and leaves what odp_dirty_return() needs. */
static bool odp_entry_drop(unsigned long *entry)
{
	bool present = *entry & ODP_ENTRY_PRESENT;

	*entry &= ~(ODP_ENTRY_PRESENT | ODP_ENTRY_WRITE);
	return present;
}

static void odp_entry_return(unsigned long *entry)
{
	if (*entry & ODP_ENTRY_DIRTY)
		set_page_dirty(pfn_to_page(*entry >> PAGE_SHIFT));
	*entry = 0;
}

static unsigned int odp_leaf_drop(struct odp_leaf *leaf, unsigned int first,
				  unsigned int last)
{
	unsigned int dropped = odp_entry_drop(&leaf->huge);
	unsigned int i;

	lockdep_assert_held(&leaf->lock);

	if (leaf->entries) {
		for (i = first; i <= last; i++) {
			if (!odp_entry_drop(&leaf->entries[i]))
				continue;
			clear_bit(i, leaf->young);
			dropped++;
		}
	}
	return dropped;
}

/*
 * Gives the dirty bits of dropped entries to their pages. The pages are still
 * mapped by the CPU, and any other zap of them waits for the zap lock, so they
 * cannot go away; this is as good as the page table lock under which the
 * kernel does the same. It is done without the leaf's lock, because that one
 * is taken in softirq and those that set_page_dirty() takes are not.
 */
static void odp_leaf_return(struct odp_leaf *leaf, unsigned int first,
			    unsigned int last)
{
	unsigned int i;

	lockdep_assert_held(&leaf->zap_lock);

	odp_entry_return(&leaf->huge);
	if (!leaf->entries)
		return;
	for (i = first; i <= last; i++)
		if (leaf->entries[i])
			odp_entry_return(&leaf->entries[i]);
}

/**
 * odp_leaf_zap - drops entries
 * @leaf: The leaf, under RCU.
 * @first: Index of the first page.
 * @last: Index of the last page.
 * @bit: Of the zap's slot, or 0.
 *
 * Return: the number of entries dropped.
 */
unsigned int odp_leaf_zap(struct odp_leaf *leaf, unsigned int first,
			  unsigned int last, u64 bit)
{
	unsigned int dropped;

	spin_lock(&leaf->zap_lock);
	spin_lock_bh(&leaf->lock);
	leaf->seq++;
	leaf->zapping |= bit;
	dropped = odp_leaf_drop(leaf, first, last);
	spin_unlock_bh(&leaf->lock);
	if (dropped)
		odp_leaf_return(leaf, first, last);
	spin_unlock(&leaf->zap_lock);
	return dropped;
}

/**
 * odp_leaf_kill - takes a leaf out of the tree
 * @mirror: The mirror.
 * @leaf: The leaf, under RCU or with a reference; zapped as a whole.
 * @unused: It was not zapped: only if it never had room for an entry.
 *
 * No entry may be left in it: who has found the leaf before could still use
 * it, and zaps would no longer see it.
 */
void odp_leaf_kill(struct odp_mirror *mirror, struct odp_leaf *leaf,
		   bool unused)
{
	bool kill;

	xa_lock(&mirror->leaves);
	spin_lock_bh(&leaf->lock);
	kill = !leaf->dead && !(unused && (leaf->entries || leaf->huge));
	if (kill)
		leaf->dead = true;
	spin_unlock_bh(&leaf->lock);
	if (kill)
		__xa_erase(&mirror->leaves, leaf->index);
	xa_unlock(&mirror->leaves);

	if (!kill)
		return;
	/* A fault that holds it must not wait for the end of this zap. */
	wake_up_all(&mirror->zap_wait);
	odp_leaf_put(leaf);
}

/**
 * odp_leaf_young - were pages of the block accessed?
 * @leaf: The leaf, under RCU.
 * @first: Index of the first page.
 * @last: Index of the last page.
 * @clear: Forget it, too.
 *
 * Takes no locks.
 */
bool odp_leaf_young(struct odp_leaf *leaf, unsigned int first,
		    unsigned int last, bool clear)
{
	bool young = false;
	unsigned int i = 0;

	/* A huge page is as young as its only bit, whatever part is asked. */
	if (!(READ_ONCE(leaf->huge) & ODP_ENTRY_PRESENT))
		i = first;
	for (; i <= last; i++) {
		i = find_next_bit(leaf->young, last + 1, i);
		if (i > last)
			break;
		young = true;
		if (!clear)
			break;
		clear_bit(i, leaf->young);
	}
	return young;
}

int odp_leaf_init(void)
{
	odp_leaf_cache = KMEM_CACHE(odp_leaf, SLAB_ACCOUNT);
	if (!odp_leaf_cache)
		return -ENOMEM;
	odp_entries_cache = kmem_cache_create("odp_entries",
					      ODP_BLOCK_PAGES * sizeof(long),
					      0, SLAB_ACCOUNT, NULL);
	if (!odp_entries_cache) {
		kmem_cache_destroy(odp_leaf_cache);
		return -ENOMEM;
	}
	return 0;
}

/* All mirrors are gone; their leaves may still wait for RCU. */
void odp_leaf_exit(void)
{
	rcu_barrier();
	kmem_cache_destroy(odp_entries_cache);
	kmem_cache_destroy(odp_leaf_cache);
}
