// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Shared receive queues: creating, modifying, destroying them. User space posts
 * to them by itself; responders take from them, see transport/queues.c.
 */
#include <rdma/uverbs_ioctl.h>

#include "../transport/qp.h"
#include "verbs.h"

static int odp_srq_check_init(const struct ib_srq_init_attr *init)
{
	const struct ib_srq_attr *attr = &init->attr;

	if (init->srq_type != IB_SRQT_BASIC && init->srq_type != IB_SRQT_XRC)
		return -EOPNOTSUPP;
	if (!attr->max_wr || attr->max_wr > ODP_MAX_WR ||
	    attr->max_sge > ODP_MAX_SGE)
		return -EINVAL;
	return 0;
}

static int odp_srq_respond(struct odp_srq *srq, struct ib_udata *udata)
{
	struct odp_create_srq_resp resp = {
		.offset = rdma_user_mmap_get_offset(&srq->mmap->entry),
		.size = srq->mmap->size,
		.depth = srq->rq.kring.depth,
		.stride = srq->rq.kring.stride,
	};

	return ib_copy_to_udata(udata, &resp, min(sizeof(resp), udata->outlen));
}

/* A limit given here means nothing: it is set by modifying the queue. */
int odp_create_srq(struct ib_srq *ib, struct ib_srq_init_attr *init,
		   struct ib_udata *udata)
{
	struct odp_srq *srq = to_odp_srq(ib);
	struct odp_rq *rq = &srq->rq;
	int err;

	err = odp_srq_check_init(init);
	if (err)
		return err;
	spin_lock_init(&srq->lock);
	odp_rq_layout(rq, init->attr.max_wr, init->attr.max_sge);
	init->attr.max_wr = rq->kring.depth;
	init->attr.max_sge = rq->max_sge;

	srq->mmap = odp_mmap_create(udata, odp_kring_size(rq->kring.depth,
							  rq->kring.stride));
	if (IS_ERR(srq->mmap))
		return PTR_ERR(srq->mmap);
	rq->kring.ring = srq->mmap->mem;
	err = init->srq_type == IB_SRQT_XRC ? odp_srq_number(srq) : 0;
	if (err)
		goto err_mmap;
	err = udata ? odp_srq_respond(srq, udata) : 0;
	if (err)
		goto err_number;
	return 0;

err_number:
	if (init->srq_type == IB_SRQT_XRC)
		odp_srq_unnumber(srq);
err_mmap:
	odp_mmap_destroy(srq->mmap);
	return err;
}

int odp_modify_srq(struct ib_srq *ib, struct ib_srq_attr *attr,
		   enum ib_srq_attr_mask mask, struct ib_udata *udata)
{
	struct odp_srq *srq = to_odp_srq(ib);

	if (mask & ~(IB_SRQ_MAX_WR | IB_SRQ_LIMIT))
		return -EINVAL;
	if (mask & IB_SRQ_MAX_WR)
		return -EOPNOTSUPP;
	if (!(mask & IB_SRQ_LIMIT))
		return 0;
	if (attr->srq_limit > srq->rq.kring.depth)
		return -EINVAL;
	odp_srq_set_limit(srq, attr->srq_limit);
	return 0;
}

int odp_query_srq(struct ib_srq *ib, struct ib_srq_attr *attr)
{
	struct odp_srq *srq = to_odp_srq(ib);

	attr->max_wr = srq->rq.kring.depth;
	attr->max_sge = srq->rq.max_sge;
	spin_lock_bh(&srq->lock);
	attr->srq_limit = srq->limit;
	spin_unlock_bh(&srq->lock);
	return 0;
}

/* For the kernel's own users. */
int odp_post_srq_recv(struct ib_srq *ib, const struct ib_recv_wr *wr,
		      const struct ib_recv_wr **bad)
{
	*bad = wr;
	return ib->uobject ? -EOPNOTSUPP :
			     odp_rq_post(&to_odp_srq(ib)->rq, wr, bad);
}

/* No queue pair uses it any more. */
int odp_destroy_srq(struct ib_srq *ib, struct ib_udata *udata)
{
	struct odp_srq *srq = to_odp_srq(ib);

	if (ib->srq_type == IB_SRQT_XRC)
		odp_srq_unnumber(srq);
	odp_mmap_destroy(srq->mmap);
	return 0;
}
