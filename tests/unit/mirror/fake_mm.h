/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * An address space: a few blocks of pages, their page table, and what the
 * kernel does to them. It watches who accesses what.
 */
#ifndef FAKE_MM_H
#define FAKE_MM_H

#include "mirror/mirror.h"
#include "sim/kernel.h"

#define FAKE_START	0x40000000UL
#define FAKE_BLOCK	0x200000UL
#define FAKE_BLOCKS	4
#define FAKE_END	(FAKE_START + FAKE_BLOCKS * FAKE_BLOCK)

/* The nth page of the address space. */
#define FAKE_ADDR(n)	(FAKE_START + (n) * PAGE_SIZE)

extern struct mm_struct fake_mm;
/* Userfaultfd handles all mappings. */
extern bool fake_userfaultfd;

/* Called at each look-up of pages, with the mmap lock held. */
extern void (*fake_look_up_hook)(void);

/* A new address space without a mapping, and all pages free. */
void fake_mm_init(void);
/* Lets there be memory; it is populated by faults, or at once. */
void fake_map(unsigned long start, unsigned long npages, bool write);
void fake_populate(unsigned long start, unsigned long npages);
void fake_populate_huge(unsigned long start);

/* The two halves of an invalidation. */
void fake_zap_start(unsigned long start, unsigned long npages,
		    enum mmu_notifier_event event);
void fake_zap_end(unsigned long start, unsigned long npages,
		  enum mmu_notifier_event event);
/* Takes pages out of the page table, between the two, and gives them back. */
void fake_clear(unsigned long start, unsigned long npages);
/* At exit, when nobody else is about. */
void fake_clear_all(void);

/* Whole ones: swapping out, munmap(), mprotect(PROT_READ), writeback, exit. */
void fake_reclaim(unsigned long start, unsigned long npages);
void fake_unmap(unsigned long start, unsigned long npages);
void fake_protect(unsigned long start, unsigned long npages);
void fake_writeback(unsigned long start, unsigned long npages);
void fake_exit(void);
bool fake_young(unsigned long start, unsigned long npages, bool clear);

/* NULL if nothing is mapped there. */
struct page *fake_page(unsigned long addr);
bool fake_page_writable(unsigned long addr);
/* Accesses all of a chunk for @addr, and checks that it may. */
void fake_touch(const struct odp_chunk *chunk, unsigned long addr, bool write);
/* With no zap in progress: what the mirror serves is what the process has. */
void fake_check(struct odp_mirror *mirror, unsigned long start,
		unsigned long npages);
/* All pages are free. */
void fake_check_free(void);

#endif /* FAKE_MM_H */
