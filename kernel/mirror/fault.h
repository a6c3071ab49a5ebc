/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Services: what brings pages in, for faults and for prefetches.
 */
#ifndef ODP_FAULT_H
#define ODP_FAULT_H

#include <linux/list.h>
#include <linux/workqueue.h>

#include "mirror.h"

/**
 * struct odp_fault - a service, under way or about to be
 * @work: Runs it, if it is a fault's.
 * @entry: In the list of the mirror.
 * @waiters: Who waits.
 * @mirror: Referenced, if it is a fault's.
 * @start: Address of the first page.
 * @npages: Number of pages; all of one block. What is served in the end can be
 *	less, see odp_fault_trim().
 * @served: Pages that were published, or that nothing more is to be tried for;
 *	without @no_fault no more than @npages.
 * @write: They are going to be written.
 * @direct: Do not publish.
 * @prefetch: Nobody needs the pages yet: no effort is made against zaps.
 * @no_fault: Take only what the process has in its page tables.
 * @hugetlb: They are of a hugetlb mapping.
 * @pins: Set while pages are pinned.
 */
struct odp_fault {
	struct work_struct work;
	struct list_head entry;
	struct list_head waiters;
	struct odp_mirror *mirror;
	unsigned long start;
	unsigned long npages;
	unsigned long served;
	bool write;
	bool direct;
	bool prefetch;
	bool no_fault;
	bool hugetlb;
	struct odp_pins pins;
};

extern spinlock_t odp_fault_lock;

/* fault.c */
struct odp_fault *odp_fault_find(struct odp_mirror *mirror, unsigned long addr);
void odp_fault_open(struct odp_fault *fault);
void odp_fault_close(struct odp_fault *fault, int err);
void odp_fault_join(struct odp_fault *fault, struct odp_waiter *waiter,
		    unsigned long addr);
void odp_fault_withdraw(struct odp_fault *fault);
void odp_fault_trim(struct odp_fault *fault, unsigned long npages);

/* service.c */
int odp_fault_serve(struct odp_fault *fault);
void odp_fault_unpin(struct odp_fault *fault);

#endif /* ODP_FAULT_H */
