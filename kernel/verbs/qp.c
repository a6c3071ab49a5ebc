// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Queue pairs: creating, modifying, destroying them.
 */
#include <linux/log2.h>
#include <linux/slab.h>
#include <rdma/ib_mad.h>
#include <rdma/uverbs_ioctl.h>

#include "../transport/qp.h"
#include "verbs.h"

/* Strides keep entries in cache lines of their own. */
#define ODP_STRIDE_ALIGN	64U

static int odp_qp_check_init(const struct ib_qp_init_attr *init)
{
	const struct ib_qp_cap *cap = &init->cap;

	if (init->create_flags)
		return -EOPNOTSUPP;
	switch (init->qp_type) {
	case IB_QPT_RC:
	case IB_QPT_UC:
	case IB_QPT_UD:
	case IB_QPT_GSI:
	case IB_QPT_XRC_INI:
		break;
	case IB_QPT_XRC_TGT:
		/* It has no queues, and what is said about them does not count. */
		return init->srq ? -EINVAL : 0;
	default:
		return -EOPNOTSUPP;
	}
	if (cap->max_send_wr > ODP_MAX_WR || cap->max_send_sge > ODP_MAX_SGE ||
	    cap->max_inline_data > ODP_MAX_INLINE)
		return -EINVAL;
	if (!init->srq && (cap->max_recv_wr > ODP_MAX_WR ||
			   cap->max_recv_sge > ODP_MAX_SGE))
		return -EINVAL;
	return 0;
}

/*
 * What is left of a stride behind the header is for any mix of uses; the data of
 * an ATOMIC WRITE always fits.
 */
static void odp_sq_layout(struct odp_qp *qp, struct ib_qp_cap *cap)
{
	struct odp_sq *sq = &qp->sq;
	size_t room = max3((size_t)cap->max_inline_data,
			   cap->max_send_sge * sizeof(struct odp_sge),
			   sizeof(u64));

	sq->kring.depth = roundup_pow_of_two(max(cap->max_send_wr, 1U));
	sq->kring.stride = ALIGN(sizeof(struct odp_send_wqe) + room,
				 ODP_STRIDE_ALIGN);
	room = sq->kring.stride - sizeof(struct odp_send_wqe);
	sq->max_inline = min_t(u32, room, ODP_MAX_INLINE);
	sq->max_sge = min_t(u32, room / sizeof(struct odp_sge), ODP_MAX_SGE);
	sq->stride = offsetof(struct odp_swqe, wqe) + sq->kring.stride;
	if (odp_qp_is_datagram(qp))
		sq->stride += ALIGN(sizeof(struct odp_av), sizeof(u64));

	cap->max_send_wr = sq->kring.depth;
	cap->max_send_sge = sq->max_sge;
	cap->max_inline_data = sq->max_inline;
}

/**
 * odp_rq_layout - decides on the size of a receive queue
 * @rq: The queue.
 * @max_wr: Requests that it has to have room for.
 * @max_sge: Of one request; within %ODP_MAX_SGE.
 */
void odp_rq_layout(struct odp_rq *rq, u32 max_wr, u32 max_sge)
{
	rq->kring.depth = roundup_pow_of_two(max_wr);
	rq->kring.stride = ALIGN(sizeof(struct odp_recv_wqe) +
				 max_sge * sizeof(struct odp_sge),
				 ODP_STRIDE_ALIGN);
	spin_lock_init(&rq->post_lock);
	rq->max_sge = min_t(u32, ODP_MAX_SGE,
			    (rq->kring.stride - sizeof(struct odp_recv_wqe)) /
			    sizeof(struct odp_sge));
}

static void odp_qp_rq_layout(struct odp_qp *qp, struct ib_qp_cap *cap)
{
	if (qp->ib.srq || qp->ib.qp_type == IB_QPT_XRC_INI) {
		cap->max_recv_wr = 0;
		cap->max_recv_sge = 0;
	}
	if (!cap->max_recv_wr)
		return;
	odp_rq_layout(&qp->rq, cap->max_recv_wr, cap->max_recv_sge);
	cap->max_recv_wr = qp->rq.kring.depth;
	cap->max_recv_sge = qp->rq.max_sge;
}

/* Room for one receive request, from wherever it comes */
static struct odp_rwqe *odp_qp_alloc_rwqe(struct odp_qp *qp)
{
	struct odp_rq *rq = qp->resp.srq ? &qp->resp.srq->rq : &qp->rq;
	u32 max_sge = odp_qp_is_xrc_target(qp) ? ODP_MAX_SGE : rq->max_sge;

	return kzalloc(struct_size(qp->resp.rwqe, sge, max_sge),
		       GFP_KERNEL_ACCOUNT);
}

/* Taken in any context, in which those of user space are not. */
static struct lock_class_key odp_post_lock_key;

static int odp_qp_alloc_queues(struct odp_qp *qp, struct ib_udata *udata)
{
	/* The kernel's own users write where requests are copied to. */
	size_t sq_size = odp_kring_size(udata ? qp->sq.kring.depth : 0,
					qp->sq.kring.stride);
	size_t rq_size = odp_kring_size(qp->rq.kring.depth,
					qp->rq.kring.stride);
	int err = -ENOMEM;

	qp->sq.swqes = kvcalloc(qp->sq.kring.depth, qp->sq.stride,
				GFP_KERNEL_ACCOUNT);
	if (!qp->sq.swqes)
		return err;
	qp->resp.rwqe = odp_qp_alloc_rwqe(qp);
	if (!qp->resp.rwqe)
		goto err_swqes;
	qp->mmap = odp_mmap_create(udata, sq_size + rq_size);
	if (IS_ERR(qp->mmap)) {
		err = PTR_ERR(qp->mmap);
		goto err_rwqe;
	}
	qp->sq.kring.ring = qp->mmap->mem;
	qp->rq.kring.ring = qp->mmap->mem + sq_size;
	spin_lock_init(&qp->sq.lock);
	if (!udata)
		lockdep_set_class(&qp->sq.lock, &odp_post_lock_key);
	return 0;

err_rwqe:
	kfree(qp->resp.rwqe);
err_swqes:
	kvfree(qp->sq.swqes);
	return err;
}

static void odp_qp_free_queues(struct odp_qp *qp)
{
	odp_mmap_destroy(qp->mmap);
	kfree(qp->resp.rwqe);
	kvfree(qp->sq.swqes);
}

static int odp_qp_respond(struct odp_qp *qp, struct ib_udata *udata)
{
	struct odp_create_qp_resp resp = {
		.offset = rdma_user_mmap_get_offset(&qp->mmap->entry),
		.size = qp->mmap->size,
		.sq_offset = (void *)qp->sq.kring.ring - qp->mmap->mem,
		.sq_depth = qp->sq.kring.depth,
		.sq_stride = qp->sq.kring.stride,
		.rq_offset = (void *)qp->rq.kring.ring - qp->mmap->mem,
		.rq_depth = qp->rq.kring.depth,
		.rq_stride = qp->rq.kring.stride,
	};

	return ib_copy_to_udata(udata, &resp, min(sizeof(resp), udata->outlen));
}

int odp_create_qp(struct ib_qp *ib, struct ib_qp_init_attr *init,
		  struct ib_udata *udata)
{
	struct odp_qp *qp = to_odp_qp(ib);
	int err;

	err = odp_qp_check_init(init);
	if (err)
		return err;
	qp->dev = to_odp_dev(ib->device);
	qp->state = IB_QPS_RESET;
	qp->sig_all = init->sq_sig_type == IB_SIGNAL_ALL_WR;
	mutex_init(&qp->mutex);
	INIT_LIST_HEAD(&qp->groups);
	if (init->srq)
		qp->resp.srq = to_odp_srq(init->srq);
	if (odp_qp_is_xrc_target(qp)) {
		init->cap = (struct ib_qp_cap){};
	} else {
		odp_sq_layout(qp, &init->cap);
		odp_qp_rq_layout(qp, &init->cap);
	}
	qp->attr.cap = init->cap;

	err = dst_cache_init(&qp->dst, GFP_KERNEL);
	if (err)
		return err;
	err = odp_qp_alloc_queues(qp, udata);
	if (err)
		goto err_dst;
	odp_qp_init_halves(qp);
	err = odp_qp_number(qp);
	if (err)
		goto err_queues;
	err = udata ? odp_qp_respond(qp, udata) : 0;
	if (err)
		goto err_number;
	return 0;

err_number:
	odp_qp_unnumber(qp);
err_queues:
	odp_qp_free_queues(qp);
err_dst:
	dst_cache_destroy(&qp->dst);
	return err;
}

int odp_destroy_qp(struct ib_qp *ib, struct ib_udata *udata)
{
	struct odp_qp *qp = to_odp_qp(ib);

	odp_qp_unnumber(qp);
	odp_qp_stop(qp);
	odp_qp_free_queues(qp);
	dst_cache_destroy(&qp->dst);
	return 0;
}

/*
 * The RDMA core of 6.1 ends its rights before FLUSH. Later ones go on with FLUSH to
 * persistence, which is of no memory here.
 */
static bool odp_qp_access_ok(const struct odp_qp *qp, int access)
{
	int known = IB_ACCESS_OPTIONAL | (ODP_ACCESS_FLUSH_GLOBAL - 1);

	if (odp_qp_is_reliable(qp))
		known |= ODP_ACCESS_FLUSH_GLOBAL;
	return !(access & ~known);
}

static int odp_qp_check_attr(struct odp_qp *qp, const struct ib_qp_attr *attr,
			     int mask)
{
	if (mask & IB_QP_PORT && attr->port_num != 1)
		return -EINVAL;
	if (mask & IB_QP_PKEY_INDEX && attr->pkey_index)
		return -EINVAL;
	if (mask & (IB_QP_ALT_PATH | IB_QP_RATE_LIMIT | IB_QP_CAP) ||
	    (mask & IB_QP_PATH_MIG_STATE &&
	     attr->path_mig_state != IB_MIG_MIGRATED))
		return -EOPNOTSUPP;
	if ((mask & IB_QP_ACCESS_FLAGS &&
	     !odp_qp_access_ok(qp, attr->qp_access_flags)) ||
	    (mask & IB_QP_DEST_QPN && attr->dest_qp_num & ~ODP_QPN_MASK))
		return -EINVAL;
	if ((mask & IB_QP_TIMEOUT && attr->timeout > 31) ||
	    (mask & IB_QP_RETRY_CNT && attr->retry_cnt > 7) ||
	    (mask & IB_QP_RNR_RETRY && attr->rnr_retry > 7) ||
	    (mask & IB_QP_MIN_RNR_TIMER && attr->min_rnr_timer > 31) ||
	    (mask & IB_QP_MAX_QP_RD_ATOMIC &&
	     attr->max_rd_atomic > ODP_MAX_RD_ATOMIC) ||
	    (mask & IB_QP_MAX_DEST_RD_ATOMIC &&
	     attr->max_dest_rd_atomic > ODP_MAX_RD_ATOMIC))
		return -EINVAL;
	if (mask & IB_QP_PATH_MTU &&
	    (attr->path_mtu < IB_MTU_256 ||
	     attr->path_mtu > odp_device_mtu(qp->dev)))
		return -EINVAL;
	return 0;
}

static void odp_qp_set_timeout(struct odp_qp *qp, u8 timeout)
{
	/* IBTA 9.7.6.1.3: 4.096 us * 2^timeout, at least; 0 is never. */
	u64 ns = timeout ? 4096ULL << timeout : 0;

	qp->attr.timeout = timeout;
	qp->ack_timeout = ns ? nsecs_to_jiffies(ns) + 2 : 0;
}

static void odp_qp_set_psns(struct odp_qp *qp, const struct ib_qp_attr *attr,
			    int mask)
{
	if (mask & IB_QP_RQ_PSN) {
		qp->attr.rq_psn = attr->rq_psn & ODP_PSN_MASK;
		qp->resp.epsn = qp->attr.rq_psn;
		qp->resp.ack_psn = odp_psn_add(qp->attr.rq_psn, ODP_PSN_MASK);
		qp->resp.rx_next = qp->attr.rq_psn;
	}
	if (mask & IB_QP_SQ_PSN) {
		qp->attr.sq_psn = attr->sq_psn & ODP_PSN_MASK;
		qp->req.psn = qp->attr.sq_psn;
		qp->req.max_psn = qp->attr.sq_psn;
		qp->req.una = qp->attr.sq_psn;
	}
}

static int odp_qp_set_path(struct odp_qp *qp, const struct ib_qp_attr *attr,
			   int mask)
{
	struct odp_av av;
	int err;

	if (mask & IB_QP_AV) {
		err = odp_av_init(&av, &attr->ah_attr);
		if (err)
			return err;
		qp->attr.ah_attr = attr->ah_attr;
		/* Owned by the RDMA core, which answers queries for it. */
		qp->attr.ah_attr.grh.sgid_attr = NULL;
		qp->av = av;
		dst_cache_reset(&qp->dst);
	}
	if (mask & IB_QP_DEST_QPN) {
		qp->attr.dest_qp_num = attr->dest_qp_num & ODP_QPN_MASK;
		qp->dest_qpn = qp->attr.dest_qp_num;
	}
	if (mask & (IB_QP_AV | IB_QP_DEST_QPN))
		qp->av.sport = htons(rdma_get_udp_sport(qp->av.flow_label,
							qp->ib.qp_num,
							qp->dest_qpn));
	if (mask & IB_QP_PATH_MTU) {
		qp->attr.path_mtu = attr->path_mtu;
		qp->mtu = ib_mtu_enum_to_int(attr->path_mtu);
	}
	return 0;
}

/*
 * The access flags, the Q_Key and the RNR timer may change in any state and are read
 * without a lock; a packet under way may still meet the old ones. The others
 * change in states in which nobody reads them.
 */
static void odp_qp_set_limits(struct odp_qp *qp, const struct ib_qp_attr *attr,
			      int mask)
{
	if (mask & IB_QP_ACCESS_FLAGS) {
		qp->attr.qp_access_flags = attr->qp_access_flags;
		WRITE_ONCE(qp->access, attr->qp_access_flags);
	}
	if (mask & IB_QP_QKEY)
		WRITE_ONCE(qp->attr.qkey, attr->qkey);
	if (mask & IB_QP_MIN_RNR_TIMER)
		WRITE_ONCE(qp->attr.min_rnr_timer, attr->min_rnr_timer);
	if (mask & IB_QP_MAX_QP_RD_ATOMIC)
		qp->attr.max_rd_atomic = attr->max_rd_atomic;
	if (mask & IB_QP_MAX_DEST_RD_ATOMIC)
		qp->attr.max_dest_rd_atomic = attr->max_dest_rd_atomic;
	if (mask & IB_QP_RETRY_CNT) {
		qp->attr.retry_cnt = attr->retry_cnt;
		qp->req.retries = attr->retry_cnt;
	}
	if (mask & IB_QP_RNR_RETRY) {
		qp->attr.rnr_retry = attr->rnr_retry;
		qp->req.rnr_retries = attr->rnr_retry;
	}
	if (mask & IB_QP_TIMEOUT)
		odp_qp_set_timeout(qp, attr->timeout);
	qp->pkey = IB_DEFAULT_PKEY_FULL;
}

/* What was posted behind the request that has failed is flushed first. */
static bool odp_qp_recover(struct odp_qp *qp)
{
	bool ok;

	odp_half_stop(&qp->req.half);
	odp_requester_recover(qp);
	ok = odp_qp_set_state(qp, IB_QPS_SQE, IB_QPS_RTS);
	odp_half_start(&qp->req.half);
	odp_qp_kick(qp);
	return ok;
}

static int odp_qp_enter(struct odp_qp *qp, enum ib_qp_state old,
			enum ib_qp_state state)
{
	if (old == IB_QPS_SQE && state == IB_QPS_RTS)
		return odp_qp_recover(qp) ? 0 : -EINVAL;
	if (state == IB_QPS_SQD)
		WRITE_ONCE(qp->req.drained, false);
	if (!odp_qp_set_state(qp, old, state))
		return -EINVAL;
	if (state == IB_QPS_RESET) {
		odp_qp_stop(qp);
		odp_qp_restart(qp);
		qp->attr = (struct ib_qp_attr){ .cap = qp->attr.cap };
	} else if (state == IB_QPS_ERR) {
		odp_qp_flush(qp);
	} else {
		odp_qp_kick(qp);
	}
	return 0;
}

/*
 * With an address uverbs always gives a port, too; in SQD the core knows of that
 * for reliable connections alone. There is only one.
 */
static int odp_qp_known_mask(const struct odp_qp *qp, enum ib_qp_state old,
			     int mask)
{
	if (old == IB_QPS_SQD && mask & IB_QP_AV && !odp_qp_is_reliable(qp))
		return mask & ~IB_QP_PORT;
	return mask;
}

/*
 * What is used by both halves all the time changes when they rest. An RNR NAK by the
 * address may be under way without them, in the softirq of a packet.
 */
static int odp_modify_qp_drained(struct odp_qp *qp,
				 const struct ib_qp_attr *attr, int mask)
{
	int err;

	err = odp_qp_check_attr(qp, attr, mask);
	if (err)
		return err;
	if (!READ_ONCE(qp->req.drained))
		return -EBUSY;
	odp_qp_pause(qp);
	if (mask & IB_QP_AV)
		synchronize_rcu();
	err = odp_qp_set_path(qp, attr, mask);
	if (!err)
		odp_qp_set_limits(qp, attr, mask);
	odp_qp_resume(qp);
	return err;
}

static int odp_modify_qp_locked(struct odp_qp *qp, struct ib_qp_attr *attr,
				int mask)
{
	enum ib_qp_state old = READ_ONCE(qp->state);
	enum ib_qp_state new = mask & IB_QP_STATE ? attr->qp_state : old;
	int err;

	if (mask & IB_QP_CUR_STATE && attr->cur_qp_state != old)
		return -EINVAL;
	if (!ib_modify_qp_is_ok(old, new, qp->ib.qp_type,
				odp_qp_known_mask(qp, old, mask)))
		return -EINVAL;
	if (old == IB_QPS_SQD && new == IB_QPS_SQD && mask & ~IB_QP_STATE)
		return odp_modify_qp_drained(qp, attr, mask);
	err = odp_qp_check_attr(qp, attr, mask);
	if (!err)
		err = odp_qp_set_path(qp, attr, mask);
	if (err)
		return err;
	odp_qp_set_psns(qp, attr, mask);
	odp_qp_set_limits(qp, attr, mask);
	if (new == old)
		return 0;
	qp->attr.en_sqd_async_notify = mask & IB_QP_EN_SQD_ASYNC_NOTIFY &&
				       attr->en_sqd_async_notify;
	return odp_qp_enter(qp, old, new);
}

int odp_modify_qp(struct ib_qp *ib, struct ib_qp_attr *attr, int mask,
		  struct ib_udata *udata)
{
	struct odp_qp *qp = to_odp_qp(ib);
	int err;

	if (mask & ~IB_QP_ATTR_STANDARD_BITS)
		return -EOPNOTSUPP;
	mutex_lock(&qp->mutex);
	err = odp_modify_qp_locked(qp, attr, mask);
	mutex_unlock(&qp->mutex);
	return err;
}

int odp_query_qp(struct ib_qp *ib, struct ib_qp_attr *attr, int mask,
		 struct ib_qp_init_attr *init)
{
	struct odp_qp *qp = to_odp_qp(ib);

	mutex_lock(&qp->mutex);
	*attr = qp->attr;
	attr->qp_state = READ_ONCE(qp->state);
	attr->cur_qp_state = attr->qp_state;
	attr->port_num = 1;
	attr->sq_draining = attr->qp_state == IB_QPS_SQD &&
			    !READ_ONCE(qp->req.drained);
	attr->rq_psn = READ_ONCE(qp->resp.epsn);
	attr->sq_psn = READ_ONCE(qp->req.psn);
	mutex_unlock(&qp->mutex);

	init->cap = attr->cap;
	init->qp_type = ib->qp_type;
	init->send_cq = ib->send_cq;
	init->recv_cq = ib->recv_cq;
	init->srq = ib->srq;
	init->sq_sig_type = qp->sig_all ? IB_SIGNAL_ALL_WR : IB_SIGNAL_REQ_WR;
	return 0;
}

/* Of user space it is the doorbell, and nothing else is posted by it. */
int odp_post_send(struct ib_qp *ib, const struct ib_send_wr *wr,
		  const struct ib_send_wr **bad)
{
	struct odp_qp *qp = to_odp_qp(ib);
	int err;

	*bad = wr;
	if (odp_qp_is_xrc_target(qp))
		return -EINVAL;
	if (odp_qp_is_kernel(qp))
		return odp_sq_post(qp, wr, bad);
	if (wr)
		return -EOPNOTSUPP;
	err = odp_sq_take(qp);
	if (!err)
		odp_half_kick(&qp->req.half);
	return err;
}

static int odp_rq_post_kick(struct odp_qp *qp, const struct ib_recv_wr *wr,
			    const struct ib_recv_wr **bad)
{
	int err;

	*bad = wr;
	if (!qp->rq.kring.depth || odp_qp_state(qp) == IB_QPS_RESET)
		return -EINVAL;
	err = odp_rq_post(&qp->rq, wr, bad);
	/* Pairs with the barrier in odp_rq_need_kick(). */
	smp_mb();
	if (READ_ONCE(qp->rq.kring.ring->flags) & ODP_RING_NEED_KICK)
		odp_half_kick_later(&qp->resp.half);
	return err;
}

/* The same for receive queues, see ODP_RING_NEED_KICK. */
int odp_post_recv(struct ib_qp *ib, const struct ib_recv_wr *wr,
		  const struct ib_recv_wr **bad)
{
	struct odp_qp *qp = to_odp_qp(ib);

	if (odp_qp_is_kernel(qp))
		return odp_rq_post_kick(qp, wr, bad);
	if (wr) {
		*bad = wr;
		return -EOPNOTSUPP;
	}
	odp_half_kick(&qp->resp.half);
	return 0;
}
