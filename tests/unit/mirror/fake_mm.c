// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The fake address space. What it checks at an access through a leaf:
 *
 * - no zap of the page is between the return of its start and its end;
 * - the page is the one that the page table has there, with the right to do it;
 * - nobody has given it back.
 *
 * An access to pinned pages only has to find them not given back. A page that
 * was written owes the news to the kernel: set_page_dirty() is called before
 * the page table lets go of it, or, if it was pinned, before it is free.
 *
 * With real threads the pages' contents, and the thread sanitizer, tell: the
 * checks would order what must be ordered by the mirror.
 */
#include "fake_mm.h"

#define SMALL		(512U * FAKE_BLOCKS)
#define PAGES		(SMALL + 512 * FAKE_BLOCKS)
#define FIRST_PFN	512UL
#define ENTRIES		(512UL * FAKE_BLOCKS)
#define POISON		0xdeadUL

struct pte {
	struct page *page;
	bool write;
	bool mapped, may_write;	/* by mmap() */
	unsigned char quiet;	/* zaps between start's return and end */
};

struct mm_struct fake_mm;
bool fake_userfaultfd;
void (*fake_look_up_hook)(void);
static struct task_struct task = { &fake_mm };
struct task_struct *current = &task;

static struct pte ptes[ENTRIES];
static unsigned long map_end;	/* there never was a mapping behind it */
static struct page pages[PAGES];
/* Small pages come first. Free ones are used in turn. */
static unsigned int next_small = SMALL, next_huge = PAGES;
static char memory[PAGES * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

static struct pte *pte(unsigned long addr)
{
	if (addr < FAKE_START || addr >= FAKE_END)
		sim_fail("address %#lx", addr);
	return &ptes[(addr - FAKE_START) >> PAGE_SHIFT];
}

void fake_mm_init(void)
{
	unsigned long i;

	memset(ptes, 0, sizeof(ptes));
	map_end = FAKE_START;
	for (i = 0; i < PAGES; i++) {
		if (i == min(next_small, SMALL))
			i = SMALL;
		if (i == next_huge)
			break;
		pages[i] = (struct page){ .freed = true };
	}
	next_small = 0;
	next_huge = SMALL;
	memset(&fake_mm, 0, sizeof(fake_mm));
	atomic_set(&fake_mm.mm_users, 1);
	atomic_set(&fake_mm.mm_count, 1);
	fake_mm.task_size = 1UL << 47;
	sim_rwsem_init(&fake_mm.mmap_lock);
	spin_lock_init(&fake_mm.page_table_lock);
}

/* Pages. */

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

static unsigned long *contents(const struct page *page)
{
	return page_address(page);
}

static struct page *page_new(struct page *page, unsigned long addr)
{
	page->dirty = false;
	page->owed = false;
	page->pin_owed = false;
	page->head = page;
	page->nr = 1;
	__atomic_store_n(&page->refs, 1, __ATOMIC_RELAXED);
	*contents(page) = addr;
	return page;
}

static struct page *small_page(unsigned long addr)
{
	unsigned int tries = SMALL;
	struct page *page;

	do {
		if (!tries--)
			sim_fail("no page is free");
		page = &pages[next_small++ % SMALL];
	} while (!__atomic_exchange_n(&page->freed, false, __ATOMIC_ACQUIRE));
	return page_new(page, addr);
}

static void page_get(struct page *page)
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
	*contents(page) = POISON;
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

/* Look-ups. */

/* Pages with the same right, next to each other. */
struct vm_area_struct *find_vma(struct mm_struct *mm, unsigned long addr)
{
	static __thread struct vm_area_struct vma;
	struct pte *first, *p;

	if (!__atomic_load_n(&mm->mmap_lock.readers, __ATOMIC_RELAXED))
		sim_fail("a look-up without the mmap lock");
	if (addr >= FAKE_END)
		return NULL;
	first = pte(max(addr, FAKE_START));
	while (first < ptes + ENTRIES && !first->mapped)
		first++;
	if (first == ptes + ENTRIES)
		return NULL;
	for (p = first; p < ptes + ENTRIES && p->mapped; p++)
		if (p->may_write != first->may_write)
			break;
	vma.vm_start = FAKE_START + ((first - ptes) << PAGE_SHIFT);
	vma.vm_end = FAKE_START + ((p - ptes) << PAGE_SHIFT);
	vma.armed = fake_userfaultfd;
	return &vma;
}

/* Under the page table lock. NULL: no mapping, no right, or not to be had. */
static struct page *look_up(unsigned long addr, unsigned int flags)
{
	struct pte *p;

	if (addr < FAKE_START || addr >= FAKE_END)
		return NULL;
	p = pte(addr);
	if (!p->mapped || ((flags & FOLL_WRITE) && !p->may_write))
		return NULL;
	if (!p->page) {
		if (flags & FOLL_NOFAULT)
			return NULL;
		p->page = small_page(addr);
		p->write = false;
	}
	if (flags & FOLL_WRITE) {
		if (!p->write && (flags & FOLL_NOFAULT))
			return NULL;
		p->write = true;
		__atomic_store_n(&p->page->dirty, true, __ATOMIC_RELAXED);
	}
	page_get(p->page);
	return p->page;
}

/* A lock round for each small page, and one for each huge page. */
static long look_up_all(struct mm_struct *mm, unsigned long start,
			unsigned long npages, unsigned int flags,
			struct page **found)
{
	struct page *page;
	unsigned long n = 0;

	if (!__atomic_load_n(&mm->mmap_lock.readers, __ATOMIC_RELAXED))
		sim_fail("a look-up without the mmap lock");
	if (fake_look_up_hook)
		fake_look_up_hook();
	do {
		spin_lock(&mm->page_table_lock);
		do {
			page = look_up(start + n * PAGE_SIZE, flags);
			found[n] = page;
		} while (page && ++n < npages && PageCompound(page));
		spin_unlock(&mm->page_table_lock);
	} while (page && n < npages);
	return n ? (long)n : -EFAULT;
}

long get_user_pages_remote(struct mm_struct *mm, unsigned long start,
			   unsigned long npages, unsigned int flags,
			   struct page **found, struct vm_area_struct **vmas,
			   int *locked)
{
	(void)vmas;
	(void)locked;
	return look_up_all(mm, start, npages, flags, found);
}

long pin_user_pages_remote(struct mm_struct *mm, unsigned long start,
			   unsigned long npages, unsigned int flags,
			   struct page **found, struct vm_area_struct **vmas,
			   int *locked)
{
	(void)vmas;
	(void)locked;
	return look_up_all(mm, start, npages, flags, found);
}

/* The process, and the kernel on its behalf. */

void fake_map(unsigned long start, unsigned long npages, bool write)
{
	unsigned long i;

	map_end = max(map_end, start + npages * PAGE_SIZE);
	for (i = 0; i < npages; i++) {
		pte(start + i * PAGE_SIZE)->mapped = true;
		pte(start + i * PAGE_SIZE)->may_write = write;
	}
}

void fake_populate(unsigned long start, unsigned long npages)
{
	unsigned long i;

	for (i = 0; i < npages; i++) {
		struct pte *p = pte(start + i * PAGE_SIZE);

		p->page = small_page(start + i * PAGE_SIZE);
		p->write = p->may_write;
	}
}

void fake_populate_huge(unsigned long start)
{
	struct page *head = &pages[next_huge];
	unsigned long i;

	next_huge += 512;
	if (next_huge > PAGES)
		sim_fail("no huge page is left");
	for (i = 0; i < 512; i++) {
		struct pte *p = pte(start + i * PAGE_SIZE);

		head[i].freed = false;
		p->page = page_new(head + i, start + i * PAGE_SIZE);
		p->page->head = head;
		p->write = p->may_write;
	}
	head->nr = 512;
}

static void fake_quiet(unsigned long start, unsigned long npages, int change)
{
	unsigned long i;

	if (!sim_is_ordered())
		return;
	sim_event(SIM_WRITE, NULL, NULL, NULL, ptes);
	for (i = 0; i < npages; i++)
		pte(start + i * PAGE_SIZE)->quiet += change;
}

static void fake_notify(unsigned long start, unsigned long npages,
			enum mmu_notifier_event event, bool begin)
{
	struct mmu_notifier_range range = {
		.mm = &fake_mm,
		.start = start,
		.end = start + npages * PAGE_SIZE,
		.event = event,
	};
	struct mmu_notifier *mn;

	sim_rcu_enter(SIM_SRCU, NULL);
	mn = READ_ONCE(fake_mm.notifier);
	if (mn && begin)
		mn->ops->invalidate_range_start(mn, &range);
	else if (mn)
		mn->ops->invalidate_range_end(mn, &range);
	sim_rcu_leave(SIM_SRCU, NULL);
}

void fake_zap_start(unsigned long start, unsigned long npages,
		    enum mmu_notifier_event event)
{
	fake_notify(start, npages, event, true);
	fake_quiet(start, npages, 1);
}

void fake_zap_end(unsigned long start, unsigned long npages,
		  enum mmu_notifier_event event)
{
	fake_quiet(start, npages, -1);
	fake_notify(start, npages, event, false);
}

static void check_not_owed(struct page *page)
{
	if (page->head->owed)
		sim_fail("a page was written, and the zap returned it clean");
}

/* Under one page table lock for all; the pages go later. */
void fake_clear(unsigned long start, unsigned long npages)
{
	struct mm_struct *mm = &fake_mm;
	struct page *cleared[512];
	unsigned long n = 0, i;

	spin_lock(&mm->page_table_lock);
	sim_event(SIM_WRITE, "clear", "page table entry", __func__, ptes);
	for (i = 0; i < npages; i++) {
		struct pte *p = pte(start + i * PAGE_SIZE);

		if (!p->page)
			continue;
		check_not_owed(p->page);
		cleared[n++] = p->page;
		p->page = NULL;
	}
	spin_unlock(&mm->page_table_lock);
	while (n)
		put_page(cleared[--n]);
}

void fake_clear_all(void)
{
	unsigned long addr;

	for (addr = FAKE_START; addr < map_end; addr += PAGE_SIZE)
		if (pte(addr)->page)
			fake_clear(addr, 1);
}

void fake_reclaim(unsigned long start, unsigned long npages)
{
	fake_zap_start(start, npages, MMU_NOTIFY_CLEAR);
	fake_clear(start, npages);
	fake_zap_end(start, npages, MMU_NOTIFY_CLEAR);
}

void fake_unmap(unsigned long start, unsigned long npages)
{
	unsigned long i;

	sim_down_write(&fake_mm.mmap_lock, __func__);
	for (i = 0; i < npages; i++)
		pte(start + i * PAGE_SIZE)->mapped = false;
	sim_up_write(&fake_mm.mmap_lock, __func__);
	fake_zap_start(start, npages, MMU_NOTIFY_UNMAP);
	fake_clear(start, npages);
	fake_zap_end(start, npages, MMU_NOTIFY_UNMAP);
}

static void write_protect(unsigned long start, unsigned long npages, bool clean)
{
	struct mm_struct *mm = &fake_mm;
	unsigned long i;

	for (i = 0; i < npages; i++) {
		struct pte *p = pte(start + i * PAGE_SIZE);

		spin_lock(&mm->page_table_lock);
		sim_event(SIM_WRITE, "protect", "page table entry", __func__,
			  ptes);
		p->write = false;
		if (p->page) {
			check_not_owed(p->page);
			if (clean)
				__atomic_store_n(&p->page->dirty, false,
						 __ATOMIC_RELAXED);
		}
		spin_unlock(&mm->page_table_lock);
	}
}

void fake_protect(unsigned long start, unsigned long npages)
{
	unsigned long i;

	sim_down_write(&fake_mm.mmap_lock, __func__);
	for (i = 0; i < npages; i++)
		pte(start + i * PAGE_SIZE)->may_write = false;
	fake_zap_start(start, npages, MMU_NOTIFY_PROTECTION_PAGE);
	write_protect(start, npages, false);
	fake_zap_end(start, npages, MMU_NOTIFY_PROTECTION_PAGE);
	sim_up_write(&fake_mm.mmap_lock, __func__);
}

void fake_writeback(unsigned long start, unsigned long npages)
{
	fake_zap_start(start, npages, MMU_NOTIFY_PROTECTION_PAGE);
	write_protect(start, npages, true);
	fake_zap_end(start, npages, MMU_NOTIFY_PROTECTION_PAGE);
}

bool fake_young(unsigned long start, unsigned long npages, bool clear)
{
	struct mmu_notifier *mn = fake_mm.notifier;

	if (clear)
		return mn->ops->clear_flush_young(mn, &fake_mm, start,
						  start + npages * PAGE_SIZE);
	return mn->ops->test_young(mn, &fake_mm, start);
}

/* Checks. */

struct page *fake_page(unsigned long addr)
{
	return pte(addr)->page;
}

bool fake_page_writable(unsigned long addr)
{
	return pte(addr)->write;
}

static void check_access(struct page *page, unsigned long addr, bool write)
{
	struct pte *p = pte(addr);

	if (page->freed)
		sim_fail("access to a page that is freed");
	if (p->quiet)
		sim_fail("access after the start of a zap returned");
	if (p->page != page)
		sim_fail("access to a page that is not the process's");
	if (write && !p->write)
		sim_fail("write without the right");
}

static void touch_page(const struct odp_chunk *chunk, struct page *page,
		       unsigned long addr, bool write)
{
	if (*contents(page) != (addr & PAGE_MASK))
		sim_fail("access to %#lx finds the page of %#lx", addr,
			 *contents(page));
	if (sim_is_ordered() && chunk->leaf)
		check_access(page, addr, write);
	if (!write)
		return;
	if (chunk->leaf) {
		contents(page)[1]++;
		page->head->owed = true;
	} else {
		__atomic_store_n(&page->pin_owed, true, __ATOMIC_RELAXED);
	}
}

void fake_touch(const struct odp_chunk *chunk, unsigned long addr, bool write)
{
	unsigned long offset = (char *)chunk->addr - memory;
	size_t done = 0;

	if (offset + chunk->len > sizeof(memory) ||
	    offset_in_page(offset) != offset_in_page(addr))
		sim_fail("a chunk with a wrong address");
	sim_point(SIM_READ, write ? "write" : "read", "memory", __func__, ptes);
	while (done < chunk->len) {
		struct page *page = &pages[(offset + done) >> PAGE_SHIFT];

		if (write)
			sim_event(SIM_WRITE, NULL, NULL, NULL, page);
		touch_page(chunk, page, addr + done, write);
		done += PAGE_SIZE - offset_in_page(addr + done);
	}
}

void fake_check(struct odp_mirror *mirror, unsigned long start,
		unsigned long npages)
{
	unsigned long i;
	int write;

	for (i = 0; i < 2 * npages; i++) {
		unsigned long addr = start + i / 2 * PAGE_SIZE;
		struct odp_chunk chunk;

		write = i & 1;
		if (odp_mirror_begin(mirror, addr, 1, write, NULL, &chunk))
			continue;
		fake_touch(&chunk, addr, write);
		odp_chunk_end(&chunk);
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
