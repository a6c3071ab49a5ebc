// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Device memory: memory of the kernel's that regions can be of, and that user
 * space maps to copy to and from it. It is there at once and never goes, so no
 * access to it waits for a page.
 *
 * It is charged to the cgroup of who allocates it, and there is so much of it on
 * a device.
 */
#include <linux/slab.h>
#include <rdma/uverbs_ioctl.h>

#include "verbs.h"

static int odp_dm_take(struct odp_dev *dev, u64 size)
{
	if (atomic64_add_return(size, &dev->dm_used) <= ODP_MAX_DM_SIZE)
		return 0;
	atomic64_sub(size, &dev->dm_used);
	return -ENOMEM;
}

/* All of it is on pages of its own, so any smaller alignment comes by itself. */
struct ib_dm *odp_alloc_dm(struct ib_device *ib, struct ib_ucontext *context,
			   struct ib_dm_alloc_attr *attr,
			   struct uverbs_attr_bundle *attrs)
{
	struct odp_dev *dev = to_odp_dev(ib);
	struct odp_dm *dm;
	int err;

	if (!attr->length || attr->length > ODP_MAX_DM_SIZE ||
	    attr->alignment > PAGE_SHIFT)
		return ERR_PTR(-EINVAL);
	dm = kzalloc(sizeof(*dm), GFP_KERNEL_ACCOUNT);
	if (!dm)
		return ERR_PTR(-ENOMEM);
	err = odp_dm_take(dev, PAGE_ALIGN(attr->length));
	if (err)
		goto err_free;
	dm->mmap = odp_mmap_create(&attrs->driver_udata, attr->length);
	if (IS_ERR(dm->mmap)) {
		err = PTR_ERR(dm->mmap);
		goto err_give;
	}
	return &dm->ib;

err_give:
	atomic64_sub(PAGE_ALIGN(attr->length), &dev->dm_used);
err_free:
	kfree(dm);
	return ERR_PTR(err);
}

/* No region is of it any more. */
int odp_dealloc_dm(struct ib_dm *ib, struct uverbs_attr_bundle *attrs)
{
	struct odp_dm *dm = to_odp_dm(ib);

	atomic64_sub(dm->mmap->size, &to_odp_dev(ib->device)->dm_used);
	odp_mmap_destroy(dm->mmap);
	kfree(dm);
	return 0;
}
