// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Completion queues: creating them. User space consumes them by itself.
 */
#include <linux/log2.h>
#include <rdma/uverbs_ioctl.h>

#include "../transport/cqueue.h"
#include "verbs.h"

int odp_create_cq(struct ib_cq *ib, const struct ib_cq_init_attr *attr,
		  struct ib_udata *udata)
{
	struct odp_create_cq_resp resp = {};
	struct odp_cq *cq = to_odp_cq(ib);
	u32 depth;
	int err;

	if (!udata || attr->flags)
		return -EOPNOTSUPP;
	if (!attr->cqe || attr->cqe > ODP_MAX_CQE)
		return -EINVAL;
	depth = roundup_pow_of_two(attr->cqe);
	cq->mmap = odp_mmap_create(udata,
				   odp_kring_size(depth,
						  sizeof(struct odp_cqe)));
	if (IS_ERR(cq->mmap))
		return PTR_ERR(cq->mmap);

	spin_lock_init(&cq->lock);
	cq->kring.ring = cq->mmap->mem;
	cq->kring.depth = depth;
	cq->kring.stride = sizeof(struct odp_cqe);
	ib->cqe = depth;

	resp.offset = rdma_user_mmap_get_offset(&cq->mmap->entry);
	resp.size = cq->mmap->size;
	resp.depth = depth;
	err = ib_copy_to_udata(udata, &resp, min(sizeof(resp), udata->outlen));
	if (err)
		odp_mmap_destroy(cq->mmap);
	return err;
}

int odp_destroy_cq(struct ib_cq *ib, struct ib_udata *udata)
{
	odp_mmap_destroy(to_odp_cq(ib)->mmap);
	return 0;
}

/* For the kernel's own users, who have no queues here. */
int odp_poll_cq(struct ib_cq *ib, int num, struct ib_wc *wc)
{
	return -EOPNOTSUPP;
}

int odp_req_notify_cq(struct ib_cq *ib, enum ib_cq_notify_flags flags)
{
	odp_cq_arm(to_odp_cq(ib), flags);
	return 0;
}
