// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Pages: all the memory that there is.
 */
#include "fake_page.h"

#define SMALL		(512U * FAKE_BLOCKS)
#define PAGES		(SMALL + 512 * FAKE_BLOCKS)
#define FIRST_PFN	512UL
#define POISON		0xdeadUL

static struct page pages[PAGES];
/* Small pages come first. Free ones are used in turn. */
static unsigned int next_small = SMALL, next_huge = PAGES;
static char memory[PAGES * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

void fake_pages_init(void)
{
	unsigned long i;

	for (i = 0; i < PAGES; i++) {
		if (i == min(next_small, SMALL))
			i = SMALL;
		if (i == next_huge)
			break;
		pages[i] = (struct page){ .freed = true };
	}
	next_small = 0;
	next_huge = SMALL;
}

struct page *fake_page_at(const void *p)
{
	unsigned long offset = (const char *)p - memory;

	if (offset >= sizeof(memory))
		sim_fail("a chunk that is no memory");
	return &pages[offset >> PAGE_SHIFT];
}

struct page *pfn_to_page(unsigned long pfn)
{
	if (pfn < FIRST_PFN || pfn >= FIRST_PFN + PAGES)
		sim_fail("page frame %#lx", pfn);
	return &pages[pfn - FIRST_PFN];
}

unsigned long page_to_pfn(const struct page *page)
{
	return page - pages + FIRST_PFN;
}

void *page_address(const struct page *page)
{
	return memory + (page - pages) * PAGE_SIZE;
}

unsigned long *fake_contents(const struct page *page)
{
	return page_address(page);
}

static struct page *page_new(struct page *page, unsigned long addr)
{
	page->dirty = false;
	page->referenced = false;
	page->owed = false;
	page->pin_owed = false;
	page->head = page;
	page->nr = 1;
	__atomic_store_n(&page->refs, 1, __ATOMIC_RELAXED);
	*fake_contents(page) = addr;
	return page;
}

struct page *fake_small_page(unsigned long addr)
{
	unsigned int tries = SMALL;
	struct page *page;

	do {
		if (!tries--)
			sim_fail("no page is free");
		page = &pages[next_small++ % SMALL];
	} while (!__atomic_load_n(&page->freed, __ATOMIC_ACQUIRE));
	page->freed = false;
	return page_new(page, addr);
}

struct page *fake_huge_page(unsigned long addr)
{
	struct page *head = &pages[next_huge];
	unsigned int i;

	next_huge += 512;
	if (next_huge > PAGES)
		sim_fail("no huge page is left");
	for (i = 0; i < 512; i++) {
		head[i].freed = false;
		page_new(head + i, addr + i * PAGE_SIZE);
		head[i].head = head;
	}
	head->nr = 512;
	return head;
}

void fake_page_get(struct page *page)
{
	if (__atomic_fetch_add(&page->refs, 1, __ATOMIC_RELAXED) <= 0)
		sim_fail("a page that is free is used");
}

void put_page(struct page *page)
{
	int refs;

	sim_event(SIM_WRITE, NULL, NULL, NULL, page);
	refs = __atomic_sub_fetch(&page->refs, 1, __ATOMIC_ACQ_REL);
	if (refs < 0)
		sim_fail("a page is put once too often");
	if (refs)
		return;
	if (page->owed || page->pin_owed)
		sim_fail("a page was written, and is freed clean");
	*fake_contents(page) = POISON;
	__atomic_store_n(&page->freed, true, __ATOMIC_RELEASE);
}

bool set_page_dirty(struct page *page)
{
	sim_point(SIM_WRITE, "set page dirty", "", __func__, page);
	if (page->freed)
		sim_fail("a page is marked dirty that is freed");
	page->head->owed = false;
	__atomic_store_n(&page->head->dirty, true, __ATOMIC_RELAXED);
	return true;
}

struct folio *page_folio(struct page *page)
{
	if (page->freed)
		sim_fail("a page is looked at that is freed");
	return (struct folio *)page->head;
}

void folio_set_referenced(struct folio *folio)
{
	struct page *head = (struct page *)folio;

	__atomic_store_n(&head->referenced, true, __ATOMIC_RELAXED);
}

void unpin_user_pages_dirty_lock(struct page **pinned, unsigned long npages,
				 bool dirty)
{
	while (npages--) {
		struct page *page = pinned[npages];

		if (dirty) {
			__atomic_store_n(&page->pin_owed, false,
					 __ATOMIC_RELAXED);
			__atomic_store_n(&page->dirty, true, __ATOMIC_RELAXED);
		}
		put_page(page);
	}
}

void fake_check_free(void)
{
	unsigned int i;

	for (i = 0; i < next_huge; i++) {
		if (i == min(next_small, SMALL))
			i = SMALL;
		if (i < next_huge && !pages[i].freed)
			sim_fail("page %u is not free: %d references", i,
				 pages[i].refs);
	}
}
