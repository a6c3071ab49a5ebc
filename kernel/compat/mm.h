/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Memory management as it differs between kernels.
 */
#ifndef ODP_COMPAT_MM_H
#define ODP_COMPAT_MM_H

#include <linux/mm.h>

/* What the accessed-bit callbacks of an MMU notifier return. */
#define ODP_YOUNG_T int

/*
 * FOLL_NOFAULT means nothing to the look-up of hugetlb pages that kernels have
 * before 6.5; this keeps it from allocating any.
 */
#define ODP_FOLL_HUGETLB_NOFAULT FOLL_DUMP

static inline long odp_get_user_pages_remote(struct mm_struct *mm,
					     unsigned long start,
					     unsigned long npages,
					     unsigned int flags,
					     struct page **pages, int *locked)
{
	return get_user_pages_remote(mm, start, npages, flags, pages, NULL,
				     locked);
}

static inline long odp_pin_user_pages_remote(struct mm_struct *mm,
					     unsigned long start,
					     unsigned long npages,
					     unsigned int flags,
					     struct page **pages, int *locked)
{
	return pin_user_pages_remote(mm, start, npages, flags, pages, NULL,
				     locked);
}

#endif /* ODP_COMPAT_MM_H */
