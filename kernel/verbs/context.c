// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * User contexts, protection domains, and memory shared with user space.
 *
 * A protection domain has no state of its own: it is compared by address. What
 * is mapped is kept by its mmap entry.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <rdma/uverbs_ioctl.h>

#include "../compat/vma.h"
#include "../mirror/mirror.h"
#include "verbs.h"

static struct odp_ucontext *to_odp_ucontext(struct ib_ucontext *ib)
{
	return container_of(ib, struct odp_ucontext, ib);
}

/*
 * An open device keeps the module, as it is expected to. Not so the interface,
 * with which the device and all contexts go: that is what disassociation is
 * for, and its being there keeps the core from holding the module itself.
 */
int odp_alloc_ucontext(struct ib_ucontext *ib, struct ib_udata *udata)
{
	if (!try_module_get(THIS_MODULE))
		return -ENODEV;
	mutex_init(&to_odp_ucontext(ib)->lock);
	return 0;
}

/* For who imports a context, whose provider needs no more than the core tells. */
int odp_query_ucontext(struct ib_ucontext *context,
		       struct uverbs_attr_bundle *attrs)
{
	return 0;
}

void odp_dealloc_ucontext(struct ib_ucontext *ib)
{
	struct odp_ucontext *context = to_odp_ucontext(ib);

	if (context->mirror)
		odp_mirror_detach(context->mirror);
	module_put(THIS_MODULE);
}

/**
 * odp_ucontext_attach - the mirror of the current process
 * @udata: Of the command that registers memory.
 *
 * Return: as odp_mirror_attach().
 */
struct odp_mirror *odp_ucontext_attach(struct ib_udata *udata)
{
	struct odp_ucontext *context =
		rdma_udata_to_drv_context(udata, struct odp_ucontext, ib);
	struct odp_mirror *mirror;

	/* A kernel user has no address space to mirror. */
	if (!context)
		return ERR_PTR(-EOPNOTSUPP);
	mutex_lock(&context->lock);
	if (!context->mirror) {
		mirror = odp_mirror_attach();
		if (!IS_ERR(mirror))
			context->mirror = mirror;
	}
	mutex_unlock(&context->lock);
	return odp_mirror_attach();
}

/*
 * The device goes while user space has it open. The rings that are still
 * mapped are ordinary pages, which stay with the mappings.
 */
void odp_disassociate_ucontext(struct ib_ucontext *context)
{
}

int odp_alloc_pd(struct ib_pd *pd, struct ib_udata *udata)
{
	return 0;
}

int odp_dealloc_pd(struct ib_pd *pd, struct ib_udata *udata)
{
	return 0;
}

/* Neither has one of XRC; the RDMA core shares it between processes. */
int odp_alloc_xrcd(struct ib_xrcd *xrcd, struct ib_udata *udata)
{
	return 0;
}

int odp_dealloc_xrcd(struct ib_xrcd *xrcd, struct ib_udata *udata)
{
	return 0;
}

static struct odp_mmap *to_odp_mmap(struct rdma_user_mmap_entry *entry)
{
	return container_of(entry, struct odp_mmap, entry);
}

/**
 * odp_mmap_create - memory that user space can map
 * @udata: Of the command that creates the object it is for; NULL if that is the
 *	kernel's own, and nobody can map it.
 * @size: Bytes.
 *
 * The memory is charged to the caller's cgroup. Return: it, zeroed, or an
 * ERR_PTR().
 */
struct odp_mmap *odp_mmap_create(struct ib_udata *udata, size_t size)
{
	struct ib_ucontext *context;
	struct odp_mmap *mmap;
	int err = -ENOMEM;

	mmap = kzalloc(sizeof(*mmap), GFP_KERNEL_ACCOUNT);
	if (!mmap)
		return ERR_PTR(err);
	mmap->size = PAGE_ALIGN(size);
	mmap->mem = __vmalloc(mmap->size, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!mmap->mem)
		goto err_free;
	if (!udata)
		return mmap;
	context = rdma_udata_to_uverbs_attr_bundle(udata)->context;
	err = rdma_user_mmap_entry_insert(context, &mmap->entry, mmap->size);
	if (err)
		goto err_vfree;
	return mmap;

err_vfree:
	vfree(mmap->mem);
err_free:
	kfree(mmap);
	return ERR_PTR(err);
}

/**
 * odp_mmap_destroy - the object that the memory was for is gone
 * @mmap: The memory, freed when nobody is about to map it; or NULL.
 */
void odp_mmap_destroy(struct odp_mmap *mmap)
{
	if (mmap && mmap->entry.ucontext)
		rdma_user_mmap_entry_remove(&mmap->entry);
	else if (mmap)
		odp_mmap_free(&mmap->entry);
}

/* The mapping holds the pages by itself. */
static int odp_mmap_pages(struct vm_area_struct *vma, struct odp_mmap *mmap)
{
	size_t offset;
	int err = 0;

	odp_vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	for (offset = 0; offset < mmap->size && !err; offset += PAGE_SIZE)
		err = vm_insert_page(vma, vma->vm_start + offset,
				     vmalloc_to_page(mmap->mem + offset));
	return err;
}

int odp_mmap(struct ib_ucontext *context, struct vm_area_struct *vma)
{
	struct rdma_user_mmap_entry *entry;
	int err;

	entry = rdma_user_mmap_entry_get(context, vma);
	if (!entry)
		return -EINVAL;
	err = odp_mmap_pages(vma, to_odp_mmap(entry));
	rdma_user_mmap_entry_put(entry);
	return err;
}

void odp_mmap_free(struct rdma_user_mmap_entry *entry)
{
	struct odp_mmap *mmap = to_odp_mmap(entry);

	vfree(mmap->mem);
	kfree(mmap);
}
