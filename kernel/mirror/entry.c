// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Entries: the translations in a leaf, from publishing to zapping.
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
#include <linux/jiffies.h>
#include <linux/moduleparam.h>
#include <linux/page-flags.h>

#include "leaf.h"

/* An access holds a leaf for no more than this. */
#define ODP_CHUNK_MAX	SZ_16K

static bool odp_young = true;
module_param_named(young, odp_young, bool, 0644);
MODULE_PARM_DESC(young, "Tell reclaim what devices access (for tests; default: Y)");

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
static void odp_entry_set(struct odp_leaf *leaf, unsigned long *entry,
			  struct page *page, bool write)
{
	unsigned long new = odp_entry(page, write);

	if (!(*entry & ODP_ENTRY_PRESENT))
		leaf->present++;
	if ((*entry & PAGE_MASK) == (new & PAGE_MASK))
		new |= *entry;
	*entry = new;
}

/* The entry of a page whose row is there. */
static unsigned long *odp_small_entry(struct odp_leaf *leaf, unsigned int index)
{
	return &leaf->rows[index / ODP_ROW_PAGES]
			->entries[index % ODP_ROW_PAGES];
}

/**
 * odp_leaf_publish - ends a fault
 * @leaf: The leaf; it has rows for the pages unless @huge.
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
		odp_entry_set(leaf, &leaf->huge, pages[0], write);
	else if (ok)
		for (i = 0; i < npages; i++)
			odp_entry_set(leaf, odp_small_entry(leaf, first + i),
				      pages[i], write);
	spin_unlock_bh(&leaf->lock);
	return ok;
}

/* The entry that serves the access, or NULL. */
static unsigned long *odp_leaf_lookup(struct odp_leaf *leaf, unsigned int index,
				      bool write)
{
	unsigned long need = ODP_ENTRY_PRESENT | (write ? ODP_ENTRY_WRITE : 0);
	unsigned long *entry;

	if ((READ_ONCE(leaf->huge) & need) == need)
		return &leaf->huge;
	if (!leaf->rows[index / ODP_ROW_PAGES])
		return NULL;
	entry = odp_small_entry(leaf, index);
	/* Dirty bits of dropped entries are returned without the lock. */
	return (READ_ONCE(*entry) & need) == need ? entry : NULL;
}

/**
 * odp_leaf_missing - finds the first page without a translation
 * @mirror: The mirror.
 * @addr: Address of the first page to look at.
 * @npages: How many to look at, all of one block.
 * @write: One that is not for writing is none.
 *
 * Return: how many are there before it; @npages if all are.
 */
unsigned long odp_leaf_missing(struct odp_mirror *mirror, unsigned long addr,
			       unsigned long npages, bool write)
{
	unsigned int first = odp_page_index(addr);
	struct odp_leaf *leaf;
	unsigned long i = 0;

	rcu_read_lock();
	leaf = xa_load(&mirror->leaves, addr >> ODP_BLOCK_SHIFT);
	if (leaf) {
		spin_lock_bh(&leaf->lock);
		while (i < npages && odp_leaf_lookup(leaf, first + i, write))
			i++;
		spin_unlock_bh(&leaf->lock);
	}
	rcu_read_unlock();
	return i;
}

static void odp_entry_used(struct odp_leaf *leaf, unsigned int index, bool huge)
{
	unsigned long *young = &leaf->huge_young;
	unsigned int bit = 0;

	if (!huge) {
		young = leaf->rows[index / ODP_ROW_PAGES]->young;
		bit = index % ODP_ROW_PAGES;
	}
	if (!test_bit(bit, young))
		set_bit(bit, young);
	if (time_after(jiffies, READ_ONCE(leaf->used_at)))
		WRITE_ONCE(leaf->used_at, jiffies);
}

static void odp_chunk_set(struct odp_chunk *chunk, struct odp_leaf *leaf,
			  unsigned long *entry, unsigned long addr, size_t len)
{
	bool huge = entry == &leaf->huge;
	unsigned long mask = huge ? ODP_BLOCK_SIZE - 1 : PAGE_SIZE - 1;
	unsigned long offset = addr & mask;
	struct page *page = pfn_to_page(*entry >> PAGE_SHIFT);

	odp_entry_used(leaf, odp_page_index(addr), huge);
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

/* Takes rights and presence away and leaves what odp_entry_return() needs. */
static bool odp_entry_drop(struct odp_leaf *leaf, unsigned long *entry)
{
	if (!(*entry & ODP_ENTRY_PRESENT))
		return false;
	*entry &= ~(ODP_ENTRY_PRESENT | ODP_ENTRY_WRITE);
	leaf->present--;
	return true;
}

/*
 * What is known of the page of a dropped entry goes to the page. That it was
 * accessed is a flag, not mark_page_accessed(): that may take a reference for a
 * while, which callers of the zap count, and ends the flag of a page that is
 * isolated, instead of letting it move with the page. It is the same flag that
 * the look-up has set, so one access does not count as two.
 */
static void odp_entry_return(unsigned long *entry, unsigned long *young,
			     unsigned int bit)
{
	struct page *page;

	if (!*entry)
		return;
	page = pfn_to_page(*entry >> PAGE_SHIFT);
	if (*entry & ODP_ENTRY_DIRTY)
		set_page_dirty(page);
	if (test_bit(bit, young)) {
		clear_bit(bit, young);
		if (READ_ONCE(odp_young))
			folio_set_referenced(page_folio(page));
	}
	WRITE_ONCE(*entry, 0);
}

static unsigned int odp_leaf_drop(struct odp_leaf *leaf, unsigned int first,
				  unsigned int last)
{
	unsigned int dropped = odp_entry_drop(leaf, &leaf->huge);
	unsigned int i;

	lockdep_assert_held(&leaf->lock);

	for (i = first; i <= last && leaf->present; i++) {
		struct odp_row *row = leaf->rows[i / ODP_ROW_PAGES];

		if (!row)
			i |= ODP_ROW_PAGES - 1;
		else if (odp_entry_drop(leaf, odp_small_entry(leaf, i)))
			dropped++;
	}
	return dropped;
}

/*
 * Gives the dirty and accessed bits of dropped entries to their pages. The pages
 * are still mapped by the CPU, and any other zap of them waits for the zap lock,
 * so they cannot go away; this is as good as the page table lock under which
 * the kernel does the same. It is done without the leaf's lock, because that
 * one is taken in softirq and those that set_page_dirty() takes are not.
 */
static void odp_leaf_return(struct odp_leaf *leaf, unsigned int first,
			    unsigned int last)
{
	unsigned int i;

	lockdep_assert_held(&leaf->zap_lock);

	odp_entry_return(&leaf->huge, &leaf->huge_young, 0);
	for (i = first; i <= last; i++) {
		/* A fault may make one now. Pairs with odp_leaf_make_row(). */
		struct odp_row *row = READ_ONCE(leaf->rows[i / ODP_ROW_PAGES]);

		if (!row) {
			i |= ODP_ROW_PAGES - 1;
			continue;
		}
		odp_entry_return(&row->entries[i % ODP_ROW_PAGES], row->young,
				 i % ODP_ROW_PAGES);
	}
}

/**
 * odp_leaf_zap - drops entries
 * @leaf: The leaf, under RCU or with a reference.
 * @first: Index of the first page.
 * @last: Index of the last page.
 * @bit: Of the zap's slot; 0 in a crowd.
 * @unmap: The mapping itself goes; so does the leaf if nothing is left in it.
 *
 * Return: the number of entries dropped.
 */
unsigned int odp_leaf_zap(struct odp_leaf *leaf, unsigned int first,
			  unsigned int last, u64 bit, bool unmap)
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
	if (unmap)
		odp_leaf_kill(leaf);
	spin_unlock(&leaf->zap_lock);
	return dropped;
}

static bool odp_bits_young(unsigned long *young, unsigned int first,
			   unsigned int last, bool clear)
{
	bool found = false;
	unsigned int i = first;

	for_each_set_bit_from(i, young, last + 1) {
		found = true;
		if (!clear)
			break;
		clear_bit(i, young);
	}
	return found;
}

static bool odp_row_young(struct odp_leaf *leaf, unsigned int i,
			  unsigned int first, unsigned int last, bool clear)
{
	/* Pairs with the store in odp_leaf_make_row(). */
	struct odp_row *row = READ_ONCE(leaf->rows[i]);
	unsigned int base = i * ODP_ROW_PAGES;

	if (!row)
		return false;
	return odp_bits_young(row->young, max(first, base) - base,
			      min(last - base, ODP_ROW_PAGES - 1U), clear);
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
	unsigned int i;

	if (!READ_ONCE(odp_young))
		return false;
	/* A huge page is as young as its only bit, whatever part is asked. */
	if (READ_ONCE(leaf->huge) & ODP_ENTRY_PRESENT)
		young = odp_bits_young(&leaf->huge_young, 0, 0, clear);
	for (i = first / ODP_ROW_PAGES; i <= last / ODP_ROW_PAGES; i++)
		young |= odp_row_young(leaf, i, first, last, clear);
	return young;
}
