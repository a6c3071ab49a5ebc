// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Completion queues: creating them, and giving them other rings. User space
 * consumes them by itself.
 */
#include <linux/log2.h>
#include <rdma/uverbs_ioctl.h>

#include "../transport/cqueue.h"
#include "verbs.h"

/* For as many entries as asked for, at least; user space is told of it. */
static int odp_cq_ring_create(struct odp_cq_ring *ring, int cqe,
			      struct ib_udata *udata)
{
	struct odp_create_cq_resp resp = {};
	u32 depth;
	int err;

	if (cqe < 1 || cqe > ODP_MAX_CQE)
		return -EINVAL;
	depth = roundup_pow_of_two(cqe);
	ring->mmap = odp_mmap_create(udata,
				     odp_kring_size(depth,
						    sizeof(struct odp_cqe)));
	if (IS_ERR(ring->mmap))
		return PTR_ERR(ring->mmap);
	ring->kring.ring = ring->mmap->mem;
	ring->kring.depth = depth;
	ring->kring.stride = sizeof(struct odp_cqe);

	if (!udata)
		return 0;
	resp.offset = rdma_user_mmap_get_offset(&ring->mmap->entry);
	resp.size = ring->mmap->size;
	resp.depth = depth;
	err = ib_copy_to_udata(udata, &resp, min(sizeof(resp), udata->outlen));
	if (err)
		odp_mmap_destroy(ring->mmap);
	return err;
}

int odp_create_cq(struct ib_cq *ib, const struct ib_cq_init_attr *attr,
		  struct ib_udata *udata)
{
	struct odp_cq_ring ring;
	int err;

	if (attr->flags)
		return -EOPNOTSUPP;
	err = odp_cq_ring_create(&ring, attr->cqe, udata);
	if (err)
		return err;
	odp_cq_init(to_odp_cq(ib), &ring);
	ib->cqe = ring.kring.depth;
	return 0;
}

static int odp_resize_cq_prepare(struct odp_cq *cq, int cqe,
				 struct ib_udata *udata)
{
	struct odp_cq_ring ring;
	int err;

	err = odp_cq_ring_create(&ring, cqe, udata);
	if (!err)
		odp_mmap_destroy(odp_cq_set_spare(cq, &ring));
	return err;
}

static int odp_resize_cq_commit(struct odp_cq *cq)
{
	struct odp_mmap *left;
	int err;

	err = odp_cq_use_spare(cq, &left);
	odp_mmap_destroy(left);
	return err;
}

int odp_resize_cq(struct ib_cq *ib, int cqe, struct ib_udata *udata)
{
	struct odp_cq *cq = to_odp_cq(ib);
	struct odp_resize_cq req;
	int err;

	if (!udata)
		return -EOPNOTSUPP;
	if (udata->inlen != sizeof(req))
		return -EINVAL;
	err = ib_copy_from_udata(&req, udata, sizeof(req));
	if (err)
		return err;
	if (req.reserved)
		return -EINVAL;
	switch (req.step) {
	case ODP_RESIZE_CQ_PREPARE:
		return odp_resize_cq_prepare(cq, cqe, udata);
	case ODP_RESIZE_CQ_COMMIT:
		return odp_resize_cq_commit(cq);
	default:
		return -EINVAL;
	}
}

int odp_modify_cq(struct ib_cq *ib, u16 count, u16 period)
{
	odp_cq_moderate(to_odp_cq(ib), count, period);
	return 0;
}

int odp_destroy_cq(struct ib_cq *ib, struct ib_udata *udata)
{
	struct odp_cq *cq = to_odp_cq(ib);

	odp_cq_stop(cq);
	odp_mmap_destroy(cq->spare.mmap);
	odp_mmap_destroy(cq->ring.mmap);
	return 0;
}

/* For the kernel's own users. */
int odp_poll_cq(struct ib_cq *ib, int num, struct ib_wc *wc)
{
	return ib->uobject ? -EOPNOTSUPP : odp_cq_poll(to_odp_cq(ib), num, wc);
}

int odp_req_notify_cq(struct ib_cq *ib, enum ib_cq_notify_flags flags)
{
	return odp_cq_arm(to_odp_cq(ib), flags);
}
