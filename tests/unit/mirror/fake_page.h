/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef FAKE_PAGE_H
#define FAKE_PAGE_H

#include "fake_mm.h"

/* All are free. */
void fake_pages_init(void);
/* For the page table, which has the first reference. */
struct page *fake_small_page(unsigned long addr);
struct page *fake_huge_page(unsigned long addr);
void fake_page_get(struct page *page);
struct page *fake_page_at(const void *p);
/* The first word says which address the page is of. */
unsigned long *fake_contents(const struct page *page);

#endif /* FAKE_PAGE_H */
