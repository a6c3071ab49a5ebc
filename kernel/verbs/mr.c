// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory regions. On demand: a window onto the mirror of the calling process,
 * whatever its size. Else: pinned pages, as with every driver, and an array of
 * where they are. Or device memory, or a dma-buf's. Or, for the kernel's users, blocks
 * of kernel memory, which send requests register and invalidate.
 *
 * To re-register a region is to give it a new window. Where the memory stays the
 * same the new window takes it over, and the key with it; other memory gets
 * another key. If it fails the region is as it was.
 *
 * A region that memory windows are bound to neither goes nor changes.
 */
#include <linux/log2.h>
#include <linux/slab.h>

#include "../compat/umem.h"
#include "../transport/window.h"
#include "verbs.h"

/* IB_ACCESS_HUGETLB is a promise that the mirror does not need. */
#define ODP_MR_ACCESS	(IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_WRITE | \
			 IB_ACCESS_REMOTE_READ | IB_ACCESS_REMOTE_ATOMIC | \
			 IB_ACCESS_ON_DEMAND | IB_ACCESS_HUGETLB | \
			 IB_ACCESS_MW_BIND | ODP_ACCESS_FLUSH_GLOBAL)

/**
 * struct odp_mr - a memory region
 * @ib: The RDMA core's part.
 * @win: What its key stands for; freed by RCU.
 */
struct odp_mr {
	struct ib_mr ib;
	struct odp_window *win;
};

static struct odp_mr *to_odp_mr(struct ib_mr *ib)
{
	return container_of(ib, struct odp_mr, ib);
}

static int odp_region_blocks(struct odp_window *win)
{
	const unsigned long sizes = PAGE_SIZE | SZ_2M | SZ_1G;
	struct ib_block_iter iter;
	unsigned long size;
	size_t i = 0;

	size = ib_umem_find_best_pgsz(win->umem, sizes, win->iova);
	if (!size)
		return -EINVAL;
	win->block_shift = __ffs(size);
	win->block_offset = win->iova & (size - 1);
	win->blocks = kvmalloc_array(ib_umem_num_dma_blocks(win->umem, size),
				     sizeof(*win->blocks), GFP_KERNEL_ACCOUNT);
	if (!win->blocks)
		return -ENOMEM;
	/* This device's "DMA addresses" are kernel addresses. */
	rdma_umem_for_each_dma_block(win->umem, &iter, size)
		win->blocks[i++] = (void *)(uintptr_t)
			rdma_block_iter_dma_address(&iter);
	return 0;
}

static int odp_region_pin(struct odp_window *win)
{
	int err;

	win->umem = ib_umem_get(win->pd->device, win->start, win->length,
				win->access);
	if (IS_ERR(win->umem))
		return PTR_ERR(win->umem);
	err = odp_region_blocks(win);
	if (err)
		ib_umem_release(win->umem);
	return err;
}

static int odp_region_attach(struct odp_window *win, struct ib_udata *udata)
{
	win->mirror = odp_ucontext_attach(udata);
	return PTR_ERR_OR_ZERO(win->mirror);
}

/* Gives back the memory behind a window that has no key (any more). */
static void odp_region_release(struct odp_window *win)
{
	if (win->mirror) {
		odp_prefetch_cancel(win->mirror, win);
		odp_mirror_detach(win->mirror);
	} else {
		kvfree(win->blocks);
		kvfree(win->next);
		ib_umem_release(win->umem);
		if (win->dmabuf)
			odp_dmabuf_put(win->dmabuf);
	}
}

/*
 * The whole address space has a form of its own: from 0, and all of it. Nobody
 * can promise that it has huge pages alone.
 */
static bool odp_region_ok(u64 start, u64 length, u64 iova, int access)
{
	if (!start && length == U64_MAX)
		return access & IB_ACCESS_ON_DEMAND && !iova &&
		       !(access & IB_ACCESS_HUGETLB);
	return length && start + length - 1 >= start &&
	       iova + length - 1 >= iova;
}

/* A window without a key and without memory. */
static struct odp_window *odp_region_alloc(struct ib_pd *pd, u64 start,
					   u64 length, u64 iova, int access)
{
	struct odp_window *win = kzalloc(sizeof(*win), GFP_KERNEL_ACCOUNT);

	if (!win)
		return NULL;
	win->access = access;
	win->pd = pd;
	win->iova = iova;
	win->length = length;
	win->start = start;
	return win;
}

/* A window with its memory, of the current process. */
static struct odp_window *odp_region_create(struct ib_pd *pd, u64 start,
					    u64 length, u64 iova, int access,
					    struct ib_udata *udata)
{
	struct odp_window *win;
	int err;

	if (access & ~(ODP_MR_ACCESS | IB_ACCESS_OPTIONAL))
		return ERR_PTR(-EOPNOTSUPP);
	if (!odp_region_ok(start, length, iova, access))
		return ERR_PTR(-EINVAL);
	win = odp_region_alloc(pd, start, length, iova, access);
	if (!win)
		return ERR_PTR(-ENOMEM);

	err = access & IB_ACCESS_ON_DEMAND ? odp_region_attach(win, udata) :
					     odp_region_pin(win);
	if (err) {
		kfree(win);
		return ERR_PTR(err);
	}
	return win;
}

/* A window that has no key. */
static void odp_region_destroy(struct odp_window *win)
{
	odp_region_release(win);
	kfree(win);
}

static void odp_mr_set_window(struct odp_mr *mr, struct odp_window *win)
{
	mr->win = win;
	mr->ib.lkey = win->key;
	mr->ib.rkey = win->key;
	mr->ib.iova = win->iova;
	mr->ib.length = win->length;
}

/* The region of a new window, which may be an error */
static struct ib_mr *odp_mr_create(struct odp_window *win)
{
	struct odp_mr *mr;
	int err = -ENOMEM;

	if (IS_ERR(win))
		return ERR_CAST(win);
	mr = kzalloc(sizeof(*mr), GFP_KERNEL_ACCOUNT);
	if (!mr)
		goto err_region;
	err = odp_window_publish(to_odp_dev(win->pd->device), win);
	if (err)
		goto err_mr;
	odp_mr_set_window(mr, win);
	return &mr->ib;

err_mr:
	kfree(mr);
err_region:
	odp_region_destroy(win);
	return ERR_PTR(err);
}

/*
 * The kernel's own memory, by its addresses. Not for peers: whatever they name,
 * mapped or not, would be accessed.
 */
struct ib_mr *odp_get_dma_mr(struct ib_pd *pd, int access)
{
	struct odp_window *win;

	if (access & ~IB_ACCESS_LOCAL_WRITE)
		return ERR_PTR(-EOPNOTSUPP);
	win = odp_region_alloc(pd, 0, U64_MAX, 0, access);
	return odp_mr_create(win ?: ERR_PTR(-ENOMEM));
}

/* The rights that the RDMA core's part of a command has no room for */
static int odp_reg_mr_access(const struct odp_reg_mr *req, int *access)
{
	if (req->access & ~ODP_ACCESS_FLUSH_GLOBAL || req->reserved)
		return -EINVAL;
	*access |= req->access;
	return 0;
}

static int odp_udata_access(struct ib_udata *udata, int *access)
{
	struct odp_reg_mr req;
	int err;

	/* A kernel user, or a provider that knows of no such rights */
	if (!udata || !udata->inlen)
		return 0;
	if (udata->inlen != sizeof(req))
		return -EINVAL;
	err = ib_copy_from_udata(&req, udata, sizeof(req));
	return err ?: odp_reg_mr_access(&req, access);
}

struct ib_mr *odp_reg_user_mr(struct ib_pd *pd, u64 start, u64 length, u64 iova,
			      int access, struct ib_udata *udata)
{
	int err = odp_udata_access(udata, &access);

	if (err)
		return ERR_PTR(err);
	return odp_mr_create(odp_region_create(pd, start, length, iova, access,
					       udata));
}

static struct odp_window *odp_fast_region_create(struct ib_pd *pd, u32 room)
{
	struct odp_window *win = odp_region_alloc(pd, 0, 0, 0, 0);

	if (!win)
		return ERR_PTR(-ENOMEM);
	win->type = ODP_WINDOW_FAST;
	win->blocks = kvcalloc(room, sizeof(*win->blocks), GFP_KERNEL);
	win->next = kvzalloc(struct_size(win->next, blocks, room), GFP_KERNEL);
	if (!win->blocks || !win->next) {
		odp_region_destroy(win);
		return ERR_PTR(-ENOMEM);
	}
	win->next->room = room;
	return win;
}

struct ib_mr *odp_alloc_mr(struct ib_pd *pd, enum ib_mr_type type,
			   u32 max_num_sg)
{
	if (type != IB_MR_TYPE_MEM_REG)
		return ERR_PTR(-EOPNOTSUPP);
	if (!max_num_sg || max_num_sg > ODP_MAX_FAST_BLOCKS)
		return ERR_PTR(-EINVAL);
	return odp_mr_create(odp_fast_region_create(pd, max_num_sg));
}

/* This device's "DMA addresses" are kernel addresses. */
static int odp_map_block(struct ib_mr *ib, u64 addr)
{
	struct odp_map *map = to_odp_mr(ib)->win->next;

	if (map->count == map->room)
		return -ENOMEM;
	map->blocks[map->count++] = (void *)(uintptr_t)addr;
	return 0;
}

/* For the next registration; the region may still have the one before. */
int odp_map_mr_sg(struct ib_mr *ib, struct scatterlist *sg, int nents,
		  unsigned int *offset)
{
	struct odp_map *map = to_odp_mr(ib)->win->next;
	int n;

	if (!map || !is_power_of_2(ib->page_size) || ib->page_size < SZ_4K)
		return -EINVAL;
	map->count = 0;
	map->shift = ilog2(ib->page_size);
	n = ib_sg_to_pages(ib, sg, nents, offset, odp_map_block);
	map->offset = ib->iova & (ib->page_size - 1);
	return n;
}

/* All memory is in a single block, and the window's start is where in it. */
static int odp_region_block(struct odp_window *win, void *mem)
{
	win->blocks = kvmalloc(sizeof(*win->blocks), GFP_KERNEL_ACCOUNT);
	if (!win->blocks)
		return -ENOMEM;
	win->blocks[0] = mem;
	win->block_shift = BITS_PER_LONG - 1;
	win->block_offset = win->start;
	return 0;
}

/* A region of device memory begins at 0. */
static struct odp_window *odp_dm_region_create(struct ib_pd *pd,
					       struct odp_dm *dm,
					       const struct ib_dm_mr_attr *attr,
					       int access)
{
	const int no_access = IB_ACCESS_ON_DEMAND | IB_ACCESS_HUGETLB;
	struct odp_window *win;
	int err;

	if (access & ~(ODP_MR_ACCESS | IB_ZERO_BASED | IB_ACCESS_OPTIONAL) ||
	    access & no_access)
		return ERR_PTR(-EOPNOTSUPP);
	win = odp_region_alloc(pd, attr->offset, attr->length, 0, access);
	if (!win)
		return ERR_PTR(-ENOMEM);
	err = odp_region_block(win, dm->mmap->mem);
	if (err) {
		kfree(win);
		return ERR_PTR(err);
	}
	return win;
}

struct ib_mr *odp_reg_dm_mr(struct ib_pd *pd, struct ib_dm *dm,
			    struct ib_dm_mr_attr *attr,
			    struct uverbs_attr_bundle *attrs)
{
	int access = attr->access_flags;
	struct odp_reg_mr req = {};
	int err = 0;

	if (uverbs_attr_is_valid(attrs, ODP_ATTR_REG_DM_MR_ACCESS))
		err = uverbs_copy_from(&req, attrs, ODP_ATTR_REG_DM_MR_ACCESS);
	if (!err)
		err = odp_reg_mr_access(&req, &access);
	if (err)
		return ERR_PTR(err);
	return odp_mr_create(odp_dm_region_create(pd, to_odp_dm(dm), attr,
						  access));
}

static struct odp_window *odp_dmabuf_region_create(struct ib_pd *pd, u64 offset,
						   u64 length, u64 iova, int fd,
						   int access)
{
	struct odp_window *win;
	void *mem;
	int err;

	if (!odp_region_ok(offset, length, iova, access))
		return ERR_PTR(-EINVAL);
	win = odp_region_alloc(pd, offset, length, iova, access);
	if (!win)
		return ERR_PTR(-ENOMEM);
	mem = odp_dmabuf_get(win, fd);
	err = PTR_ERR_OR_ZERO(mem) ?: odp_region_block(win, mem);
	if (err) {
		odp_region_destroy(win);
		return ERR_PTR(err);
	}
	return win;
}

/* The RDMA core has seen to rights that such a region cannot have. */
struct ib_mr *odp_reg_user_mr_dmabuf(struct ib_pd *pd, u64 offset, u64 length,
				     u64 iova, int fd, int access,
				     struct ib_udata *udata)
{
	return odp_mr_create(odp_dmabuf_region_create(pd, offset, length, iova,
						      fd, access));
}

/* May the memory of a window stay with other rights? */
static bool odp_region_can_stay(const struct odp_window *win, int access)
{
	if ((win->access ^ access) & IB_ACCESS_ON_DEMAND)
		return false;
	return win->mirror || win->umem->writable ||
	       !ib_access_writable(access);
}

/* The same memory, maybe with other rights and in another protection domain. */
static struct odp_window *odp_region_again(const struct odp_window *old,
					   struct ib_pd *pd, int access)
{
	struct odp_window *win;

	if (access & ~(ODP_MR_ACCESS | IB_ACCESS_OPTIONAL))
		return ERR_PTR(-EOPNOTSUPP);
	win = odp_region_alloc(pd, old->start, old->length, old->iova, access);
	if (!win)
		return ERR_PTR(-ENOMEM);
	win->mirror = old->mirror;
	win->umem = old->umem;
	win->blocks = old->blocks;
	win->block_shift = old->block_shift;
	win->block_offset = old->block_offset;
	return win;
}

/* The new window takes the place of the old one: with other memory, a new key. */
static int odp_region_succeed(struct odp_window *old, struct odp_window *win,
			      bool moves)
{
	struct odp_dev *dev = to_odp_dev(old->pd->device);
	int err;

	if (!odp_window_close(old))
		return -EBUSY;
	if (!moves) {
		odp_window_replace(dev, old, win);
		return 0;
	}
	err = odp_window_publish(dev, win);
	if (err) {
		odp_window_reopen(old);
		return err;
	}
	odp_window_revoke(dev, old);
	return 0;
}

static bool odp_region_is_mine(const struct odp_window *win)
{
	return win->mirror ? odp_mirror_is_mine(win->mirror) :
			     win->umem->owning_mm == current->mm;
}

struct ib_mr *odp_rereg_user_mr(struct ib_mr *ib, int flags, u64 start,
				u64 length, u64 iova, int access,
				struct ib_pd *pd, struct ib_udata *udata)
{
	struct odp_mr *mr = to_odp_mr(ib);
	struct odp_window *old = mr->win, *win;
	bool moves = flags & IB_MR_REREG_TRANS;
	bool stays;
	int err = 0;

	if (old->dmabuf)
		return ERR_PTR(-EOPNOTSUPP);
	if (!(flags & IB_MR_REREG_PD))
		pd = ib->pd;
	if (flags & IB_MR_REREG_ACCESS)
		err = odp_udata_access(udata, &access);
	else
		access = old->access;
	if (err)
		return ERR_PTR(err);
	stays = !moves && odp_region_can_stay(old, access);
	if (stays)
		win = odp_region_again(old, pd, access);
	else if (moves)
		win = odp_region_create(pd, start, length, iova, access, udata);
	else if (odp_region_is_mine(old))
		win = odp_region_create(pd, old->start, old->length, old->iova,
					access, udata);
	else
		return ERR_PTR(-EINVAL);
	if (IS_ERR(win))
		return ERR_CAST(win);

	err = odp_region_succeed(old, win, moves);
	if (err) {
		if (stays)
			kfree(win);
		else
			odp_region_destroy(win);
		return ERR_PTR(err);
	}
	if (!stays)
		odp_region_release(old);
	else if (old->mirror)
		odp_prefetch_cancel(old->mirror, old);
	kfree_rcu(old, rcu);
	odp_mr_set_window(mr, win);
	return NULL;
}

int odp_dereg_mr(struct ib_mr *ib, struct ib_udata *udata)
{
	struct odp_mr *mr = to_odp_mr(ib);

	if (!odp_window_close(mr->win))
		return -EBUSY;
	odp_window_revoke(to_odp_dev(ib->device), mr->win);
	odp_region_release(mr->win);
	kfree_rcu(mr->win, rcu);
	kfree(mr);
	return 0;
}
