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
#include "fake_page.h"

#define ENTRIES		(512UL * FAKE_BLOCKS)

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

static struct pte *pte(unsigned long addr)
{
	if (addr < FAKE_START || addr >= FAKE_END)
		sim_fail("address %#lx", addr);
	return &ptes[(addr - FAKE_START) >> PAGE_SHIFT];
}

void fake_mm_init(void)
{
	memset(ptes, 0, sizeof(ptes));
	map_end = FAKE_START;
	fake_pages_init();
	memset(&fake_mm, 0, sizeof(fake_mm));
	atomic_set(&fake_mm.mm_users, 1);
	atomic_set(&fake_mm.mm_count, 1);
	fake_mm.task_size = 1UL << 47;
	sim_rwsem_init(&fake_mm.mmap_lock);
	spin_lock_init(&fake_mm.page_table_lock);
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
		p->page = fake_small_page(addr);
		p->write = false;
	}
	if (flags & FOLL_WRITE) {
		if (!p->write && (flags & FOLL_NOFAULT))
			return NULL;
		p->write = true;
		__atomic_store_n(&p->page->dirty, true, __ATOMIC_RELAXED);
	}
	fake_page_get(p->page);
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

		p->page = fake_small_page(start + i * PAGE_SIZE);
		p->write = p->may_write;
	}
}

void fake_populate_huge(unsigned long start)
{
	struct page *head = fake_huge_page(start);
	unsigned long i;

	for (i = 0; i < 512; i++) {
		struct pte *p = pte(start + i * PAGE_SIZE);

		p->page = head + i;
		p->write = p->may_write;
	}
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
	if (*fake_contents(page) != (addr & PAGE_MASK))
		sim_fail("access to %#lx finds the page of %#lx", addr,
			 *fake_contents(page));
	if (sim_is_ordered() && chunk->leaf)
		check_access(page, addr, write);
	if (!write)
		return;
	if (chunk->leaf) {
		fake_contents(page)[1]++;
		page->head->owed = true;
	} else {
		__atomic_store_n(&page->pin_owed, true, __ATOMIC_RELAXED);
	}
}

void fake_touch(const struct odp_chunk *chunk, unsigned long addr, bool write)
{
	struct page *page = fake_page_at(chunk->addr);
	size_t done = 0;

	if (offset_in_page(chunk->addr) != offset_in_page(addr))
		sim_fail("a chunk with a wrong address");
	sim_point(SIM_READ, write ? "write" : "read", "memory", __func__, ptes);
	while (done < chunk->len) {
		if (write)
			sim_event(SIM_WRITE, NULL, NULL, NULL, page);
		touch_page(chunk, page++, addr + done, write);
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
