// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Services: how pages are brought in.
 *
 * A service looks up the pages of a part of one block and publishes them by the
 * publish rule (entry.c). It may take as long as it likes: swap, a network
 * filesystem, a userfaultfd handler. It holds the address space meanwhile, and
 * nothing that a zap needs.
 *
 * It repeats its look-up when a zap of the same block came between. After a few
 * times it stops publishing: it pins the pages, and those who wait for them
 * work on the pages directly. So does a service for a waiter whose pages were
 * brought in and zapped again and again before it ran (fault.c counts).
 *
 * A batch stays in one mapping. Where userfaultfd handles that, it is a single
 * page: the handler may never answer for the next one, for which others than
 * the one who asked would wait.
 */
#include <linux/hugetlb_inline.h>
#include <linux/memcontrol.h>
#include <linux/oom.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/userfaultfd_k.h>

#include "fault.h"
#include "leaf.h"
#include "../compat/mm.h"

/* Look-ups before a service gives up publishing. */
#define ODP_SERVICE_TRIES	4

static long odp_service_lookup(struct odp_fault *fault, unsigned long start,
			       unsigned long npages, struct page **pages,
			       unsigned int flags, bool pin)
{
	struct mm_struct *mm = fault->mirror->mm;
	int locked = 1;
	long n;

	if (fault->write)
		flags |= FOLL_WRITE;
	if (fault->no_fault)
		flags |= FOLL_NOFAULT;
	if (fault->no_fault && fault->hugetlb)
		flags |= ODP_FOLL_HUGETLB_NOFAULT;
	mmap_read_lock(mm);
	if (pin)
		n = odp_pin_user_pages_remote(mm, start, npages, flags, pages,
					      &locked);
	else
		n = odp_get_user_pages_remote(mm, start, npages, flags, pages,
					      &locked);
	if (locked)
		mmap_read_unlock(mm);
	return n ?: -EFAULT;
}

static void odp_pages_put(struct page **pages, long npages)
{
	while (npages > 0)
		put_page(pages[--npages]);
}

/*
 * The pages of the fault; or, where the first is part of a huge page that can
 * serve its whole block, those of the block. *start says which.
 */
static long odp_service_collect(struct odp_fault *fault, unsigned long *start,
				struct page **pages)
{
	unsigned long block = fault->start & ~(ODP_BLOCK_SIZE - 1);
	long n;

	*start = fault->start;
	n = odp_service_lookup(fault, *start, fault->npages, pages, 0, false);
	if (n < 0 || !odp_page_fills_block(pages[0], *start))
		return n;
	odp_pages_put(pages, n);

	/* What else of it is mapped is looked at, and nothing brought in. */
	n = odp_service_lookup(fault, block, ODP_BLOCK_PAGES, pages,
			       FOLL_NOFAULT, false);
	if (n == ODP_BLOCK_PAGES && odp_pages_huge(block, pages, n)) {
		*start = block;
		return n;
	}
	odp_pages_put(pages, n);
	return odp_service_lookup(fault, *start, fault->npages, pages, 0,
				  false);
}

/* One round by the publish rule; -EAGAIN if a zap came between, or -EBUSY. */
static int odp_service_publish(struct odp_fault *fault, struct odp_leaf *leaf,
			       struct page **pages)
{
	unsigned long start;
	bool huge;
	long n;
	u64 seq;
	int err;

	err = odp_leaf_snapshot(leaf, &seq);
	if (err)
		return err;
	n = odp_service_collect(fault, &start, pages);
	if (n < 0)
		return n;

	huge = odp_pages_huge(start, pages, n);
	if (!huge)
		err = odp_leaf_make_rows(leaf, odp_page_index(start),
					 odp_page_index(start) + n - 1);
	if (!err && !odp_leaf_publish(leaf, seq, start, pages, n, huge,
				      fault->write))
		err = -EAGAIN;
	odp_pages_put(pages, n);
	if (err)
		return err;
	odp_stat_add(fault->prefetch ? ODP_STAT_PREFETCHED_PAGES :
				       ODP_STAT_FAULT_PAGES, n);
	fault->served = n - ((fault->start - start) >> PAGE_SHIFT);
	return 0;
}

static int odp_service_try(struct odp_fault *fault, struct page **pages)
{
	struct odp_leaf *leaf;
	int err;

	leaf = odp_leaf_get(fault->mirror, fault->start);
	if (IS_ERR(leaf))
		return PTR_ERR(leaf);
	err = odp_service_publish(fault, leaf, pages);
	if (err == -EFAULT)
		odp_leaf_kill_unused(leaf);
	odp_leaf_put(leaf);
	return err;
}

static int odp_service_pin(struct odp_fault *fault, struct page **pages)
{
	long n;

	odp_fault_withdraw(fault);
	n = odp_service_lookup(fault, fault->start, fault->npages, pages, 0,
			       true);
	if (n < 0)
		return n;
	odp_stat_add(ODP_STAT_FAULT_DIRECT, 1);
	fault->pins.mirror = fault->mirror;
	fault->pins.start = fault->start;
	fault->pins.npages = n;
	fault->pins.write = fault->write;
	fault->pins.pages = pages;
	return 0;
}

/* Zaps keep winning, or there is no memory for a leaf, say at a cgroup's limit. */
static int odp_service_give_up(struct odp_fault *fault, struct page **pages,
			       int err)
{
	if (!fault->prefetch)
		return odp_service_pin(fault, pages);
	fault->served = fault->npages;
	return err == -ENOMEM ? err : 0;
}

static int odp_service_pages(struct odp_fault *fault, struct page **pages)
{
	int err = -EAGAIN;
	int i;

	for (i = 0; i < ODP_SERVICE_TRIES && !fault->direct; i++) {
		err = odp_service_try(fault, pages);
		if (err != -EAGAIN)
			break;
		odp_stat_add(ODP_STAT_FAULT_RETRIES, 1);
	}
	if (err == -EAGAIN || err == -EBUSY || err == -ENOMEM)
		err = odp_service_give_up(fault, pages, err);
	return err;
}

/*
 * How many of the pages may be waited for together; none if the process has
 * none of them.
 */
static unsigned long odp_service_span(struct odp_fault *fault)
{
	struct mm_struct *mm = fault->mirror->mm;
	struct vm_area_struct *vma;
	unsigned long n = 1;

	mmap_read_lock(mm);
	vma = find_vma(mm, fault->start);
	if (!vma || vma->vm_start > fault->start) {
		n = 0;
		fault->served = ((vma ? vma->vm_start : mm->task_size) -
				 fault->start) >> PAGE_SHIFT;
	} else if (!userfaultfd_armed(vma)) {
		n = (vma->vm_end - fault->start) >> PAGE_SHIFT;
		fault->hugetlb = is_vm_hugetlb_page(vma);
	}
	mmap_read_unlock(mm);
	return n;
}

/* Pages at the beginning that the process does not have in its page tables. */
static unsigned long odp_service_absent(struct odp_fault *fault)
{
	struct page *page;
	unsigned long i;

	for (i = 0; i < fault->npages; i++) {
		if (odp_service_lookup(fault, fault->start + (i << PAGE_SHIFT),
				       1, &page, 0, false) == 1) {
			put_page(page);
			break;
		}
	}
	return i;
}

static int odp_service_span_pages(struct odp_fault *fault, struct page **pages)
{
	unsigned long n = odp_service_span(fault);

	if (!n)
		return -EFAULT;
	odp_fault_trim(fault, n);
	if (fault->no_fault) {
		fault->served = odp_service_absent(fault);
		if (fault->served)
			return -EFAULT;
	}
	return odp_service_pages(fault, pages);
}

/* Memory of leaves is charged to the process that they mirror. */
static int odp_service_in_mm(struct odp_fault *fault, struct page **pages)
{
	struct mm_struct *mm = fault->mirror->mm;
	struct mem_cgroup *memcg, *old;
	int err;

	/*
	 * What is no user address is none for the kernel's look-up either, but
	 * that one may ignore the upper bits, which the leaves do not.
	 */
	if (fault->start >= mm->task_size)
		return -EFAULT;
	if (!mmget_not_zero(mm))
		return -ESRCH;
	/* What the OOM reaper has freed is not to be brought in again. */
	if (check_stable_address_space(mm)) {
		mmput_async(mm);
		return -ESRCH;
	}
	memcg = get_mem_cgroup_from_mm(mm);
	old = set_active_memcg(memcg);
	err = odp_service_span_pages(fault, pages);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	/* It may be the last one, and to tear an mm down takes its time. */
	mmput_async(mm);
	return err;
}

/**
 * odp_fault_serve - brings in the pages of a service
 * @fault: In the list of its mirror.
 *
 * Process context; may take as long as user space likes. Pages that it has
 * pinned instead of published are unpinned by odp_fault_unpin().
 *
 * Return: 0, with @fault->served set, or why the first page cannot be had; with
 * @fault->no_fault that is -EFAULT, @fault->served pages are not there.
 */
int odp_fault_serve(struct odp_fault *fault)
{
	struct page **pages;
	int err;

	pages = kmalloc_array(ODP_BLOCK_PAGES, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	err = odp_service_in_mm(fault, pages);
	if (err && !fault->no_fault)
		odp_stat_add(ODP_STAT_FAULT_ERRORS, 1);
	if (!fault->pins.mirror)
		kfree(pages);
	return err;
}

/**
 * odp_fault_unpin - gives back what a service has pinned, if it has
 * @fault: Nobody waits for it any more.
 */
void odp_fault_unpin(struct odp_fault *fault)
{
	if (!fault->pins.mirror)
		return;
	unpin_user_pages_dirty_lock(fault->pins.pages, fault->pins.npages,
				    fault->write);
	kfree(fault->pins.pages);
}
