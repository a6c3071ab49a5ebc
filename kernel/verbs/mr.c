// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory regions. On demand: a window onto the mirror of the calling process,
 * whatever its size. Else: pinned pages, as with every driver, and an array of
 * where they are.
 */
#include <linux/slab.h>

#include "../compat/umem.h"
#include "../transport/window.h"
#include "verbs.h"

#define ODP_MR_ACCESS	(IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_WRITE | \
			 IB_ACCESS_REMOTE_READ | IB_ACCESS_REMOTE_ATOMIC | \
			 IB_ACCESS_ON_DEMAND)

/**
 * struct odp_mr - a memory region
 * @ib: The RDMA core's part.
 * @win: What its key stands for; freed by RCU.
 * @umem: The pinned pages, or NULL.
 */
struct odp_mr {
	struct ib_mr ib;
	struct odp_window *win;
	struct ib_umem *umem;
};

static struct odp_mr *to_odp_mr(struct ib_mr *ib)
{
	return container_of(ib, struct odp_mr, ib);
}

struct ib_mr *odp_get_dma_mr(struct ib_pd *pd, int access)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static int odp_mr_attach(struct odp_mr *mr, struct ib_udata *udata)
{
	mr->win->mirror = odp_ucontext_attach(udata);
	return PTR_ERR_OR_ZERO(mr->win->mirror);
}

static int odp_mr_blocks(struct odp_mr *mr)
{
	const unsigned long sizes = PAGE_SIZE | SZ_2M | SZ_1G;
	struct odp_window *win = mr->win;
	struct ib_block_iter iter;
	unsigned long size;
	size_t i = 0;

	size = ib_umem_find_best_pgsz(mr->umem, sizes, win->iova);
	if (!size)
		return -EINVAL;
	win->block_shift = __ffs(size);
	win->block_offset = win->iova & (size - 1);
	win->blocks = kvmalloc_array(ib_umem_num_dma_blocks(mr->umem, size),
				     sizeof(*win->blocks), GFP_KERNEL_ACCOUNT);
	if (!win->blocks)
		return -ENOMEM;
	/* This device's "DMA addresses" are kernel addresses. */
	rdma_umem_for_each_dma_block(mr->umem, &iter, size)
		win->blocks[i++] = (void *)(uintptr_t)
			rdma_block_iter_dma_address(&iter);
	return 0;
}

static int odp_mr_pin(struct odp_mr *mr, struct ib_pd *pd, u64 start)
{
	int err;

	mr->umem = ib_umem_get(pd->device, start, mr->win->length,
			       mr->win->access);
	if (IS_ERR(mr->umem))
		return PTR_ERR(mr->umem);
	err = odp_mr_blocks(mr);
	if (err)
		ib_umem_release(mr->umem);
	return err;
}

/* Gives back the memory behind a window that has no key (any more). */
static void odp_mr_release(struct odp_mr *mr)
{
	if (mr->win->mirror) {
		odp_mirror_detach(mr->win->mirror);
	} else {
		kvfree(mr->win->blocks);
		ib_umem_release(mr->umem);
	}
}

/* The whole address space has a form of its own: from 0, and all of it. */
static bool odp_mr_range_ok(u64 start, u64 length, u64 iova, int access)
{
	if (!start && length == U64_MAX)
		return access & IB_ACCESS_ON_DEMAND && !iova;
	return length && start + length - 1 >= start &&
	       iova + length - 1 >= iova;
}

static struct odp_mr *odp_mr_alloc(struct ib_pd *pd, u64 start, u64 length,
				   u64 iova, int access)
{
	struct odp_mr *mr = kzalloc(sizeof(*mr), GFP_KERNEL_ACCOUNT);

	if (!mr)
		return NULL;
	mr->win = kzalloc(sizeof(*mr->win), GFP_KERNEL_ACCOUNT);
	if (!mr->win) {
		kfree(mr);
		return NULL;
	}
	mr->win->access = access;
	mr->win->pd = pd;
	mr->win->iova = iova;
	mr->win->length = length;
	mr->win->start = start;
	return mr;
}

struct ib_mr *odp_reg_user_mr(struct ib_pd *pd, u64 start, u64 length, u64 iova,
			      int access, struct ib_udata *udata)
{
	struct odp_mr *mr;
	int err;

	if (access & ~(ODP_MR_ACCESS | IB_ACCESS_OPTIONAL))
		return ERR_PTR(-EOPNOTSUPP);
	if (!odp_mr_range_ok(start, length, iova, access))
		return ERR_PTR(-EINVAL);
	mr = odp_mr_alloc(pd, start, length, iova, access);
	if (!mr)
		return ERR_PTR(-ENOMEM);

	err = access & IB_ACCESS_ON_DEMAND ? odp_mr_attach(mr, udata) :
					     odp_mr_pin(mr, pd, start);
	if (err)
		goto err_free;
	err = odp_window_publish(to_odp_dev(pd->device), mr->win);
	if (err)
		goto err_release;
	mr->ib.lkey = mr->win->key;
	mr->ib.rkey = mr->win->key;
	return &mr->ib;

err_release:
	odp_mr_release(mr);
err_free:
	kfree(mr->win);
	kfree(mr);
	return ERR_PTR(err);
}

int odp_dereg_mr(struct ib_mr *ib, struct ib_udata *udata)
{
	struct odp_mr *mr = to_odp_mr(ib);

	odp_window_revoke(to_odp_dev(ib->device), mr->win);
	odp_mr_release(mr);
	kfree_rcu(mr->win, rcu);
	kfree(mr);
	return 0;
}
