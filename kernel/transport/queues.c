// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Queues: taking requests out of the shared rings.
 *
 * An entry is copied once, into memory that user space cannot reach, then
 * checked, then used. Indices that make no sense take nothing.
 */
#include <rdma/ib_mad.h>

#include "qp.h"

static u64 odp_sge_length(const struct odp_sge *sge, u32 num_sge)
{
	u64 length = 0;

	while (num_sge--)
		length += sge++->length;
	return length;
}

static bool odp_swqe_opcode_ok(const struct odp_qp *qp, u8 opcode)
{
	switch (opcode) {
	case IB_WR_SEND:
	case IB_WR_SEND_WITH_IMM:
		return true;
	case IB_WR_RDMA_WRITE:
	case IB_WR_RDMA_WRITE_WITH_IMM:
	case IB_WR_BIND_MW:
	case IB_WR_LOCAL_INV:
		return !odp_qp_is_datagram(qp);
	case IB_WR_REG_MR:
		return !odp_qp_is_datagram(qp) && odp_qp_is_kernel(qp);
	case IB_WR_SEND_WITH_INV:
	case IB_WR_RDMA_READ:
	case IB_WR_ATOMIC_CMP_AND_SWP:
	case IB_WR_ATOMIC_FETCH_AND_ADD:
	case ODP_WR_ATOMIC_WRITE:
		return odp_qp_is_reliable(qp);
	default:
		return false;
	}
}

/* A datagram is a single packet, one of the connection manager's a MAD. */
static u32 odp_message_max(const struct odp_qp *qp)
{
	if (!odp_qp_is_datagram(qp))
		return ODP_MAX_MSG_SIZE;
	return qp->ib.qp_type == IB_QPT_GSI ? IB_MGMT_MAD_SIZE :
		ib_mtu_enum_to_int(odp_device_mtu(qp->dev));
}

/**
 * odp_swqe_set_av - says where a datagram goes
 * @qp: The queue pair.
 * @swqe: The request, with the number of the queue pair that it goes to.
 * @av: The address, which may go then.
 */
void odp_swqe_set_av(struct odp_qp *qp, struct odp_swqe *swqe,
		     const struct odp_av *av)
{
	struct odp_av *copy = odp_swqe_av(&qp->sq, swqe);

	*copy = *av;
	copy->sport = htons(rdma_get_udp_sport(av->flow_label, qp->ib.qp_num,
					       swqe->wqe.remote_qpn &
					       ODP_QPN_MASK));
}

/* Is there nothing about requests without data that is none of theirs? */
static bool odp_swqe_local_ok(const struct odp_send_wqe *wqe)
{
	return !wqe->num_sge &&
	       !(wqe->flags & (IB_SEND_SOLICITED | IB_SEND_INLINE));
}

static bool odp_swqe_find_av(struct odp_qp *qp, struct odp_swqe *swqe)
{
	struct xarray *ahs = &qp->dev->ahs;
	struct odp_ah *ah;
	bool found;

	xa_lock(ahs);
	ah = xa_load(ahs, swqe->wqe.ah);
	found = ah && ah->ib.pd == qp->ib.pd;
	if (found)
		odp_swqe_set_av(qp, swqe, &ah->av);
	xa_unlock(ahs);
	return found;
}

/**
 * odp_swqe_check - checks a request and finds its length
 * @qp: The queue pair.
 * @swqe: The request. A bad one fails when its turn comes.
 */
void odp_swqe_check(struct odp_qp *qp, struct odp_swqe *swqe)
{
	const struct odp_send_wqe *wqe = &swqe->wqe;
	const struct odp_sq *sq = &qp->sq;
	u64 length;

	swqe->length = 0;
	swqe->npsns = 0;
	swqe->status = IB_WC_LOC_QP_OP_ERR;
	if (!odp_swqe_opcode_ok(qp, wqe->opcode) ||
	    wqe->flags & ~ODP_SEND_FLAGS ||
	    (odp_swqe_is_local(swqe) && !odp_swqe_local_ok(wqe)))
		return;
	if (wqe->flags & IB_SEND_INLINE) {
		if (odp_swqe_fetches(swqe) ||
		    wqe->inline_length > sq->max_inline)
			return;
		length = wqe->inline_length;
	} else {
		if (wqe->num_sge > sq->max_sge)
			return;
		length = odp_sge_length(odp_swqe_sge(swqe), wqe->num_sge);
	}
	swqe->status = IB_WC_LOC_LEN_ERR;
	if (length > odp_message_max(qp) ||
	    ((odp_swqe_is_atomic(swqe) || odp_swqe_is_atomic_write(swqe)) &&
	     length != sizeof(u64)))
		return;
	swqe->length = length;
	swqe->status = IB_WC_SUCCESS;
}

static void odp_swqe_take(struct odp_qp *qp, u32 index)
{
	struct odp_sq *sq = &qp->sq;
	const struct odp_send_wqe *entry = odp_kring_entry(&sq->kring, index);
	struct odp_swqe *swqe = odp_sq_entry(sq, index);

	odp_kring_copy(&swqe->wqe, entry, sizeof(*entry));
	odp_kring_copy(swqe + 1, entry + 1,
		       sq->kring.stride - sizeof(*entry));
	odp_swqe_check(qp, swqe);
	if (odp_qp_is_datagram(qp) && !odp_swqe_find_av(qp, swqe))
		swqe->status = IB_WC_LOC_QP_OP_ERR;
}

/**
 * odp_sq_take - takes over the send requests that user space has posted
 * @qp: The queue pair.
 *
 * Return: 0, or -EINVAL with none taken if the state or the ring's index is
 * wrong.
 */
int odp_sq_take(struct odp_qp *qp)
{
	struct odp_sq *sq = &qp->sq;
	u32 tail, user;
	int err = -EINVAL;

	spin_lock(&sq->lock);
	if (!odp_qp_state_posts(odp_qp_state(qp)))
		goto out;
	tail = sq->tail;
	user = odp_kring_user_index(&sq->kring);
	if (user - tail > sq->kring.depth - (tail - odp_sq_head(sq)))
		goto out;
	for (; tail != user; tail++)
		odp_swqe_take(qp, tail);
	/* Pairs with odp_sq_tail(). */
	smp_store_release(&sq->tail, tail);
	err = 0;
out:
	spin_unlock(&sq->lock);
	return err;
}

/**
 * odp_rq_left - requests that can be taken
 * @rq: The queue. Who may take requests only.
 *
 * Return: what user space has posted; more than the depth is nonsense, and none.
 */
u32 odp_rq_left(const struct odp_rq *rq)
{
	u32 left = odp_kring_user_index(&rq->kring) - rq->head;

	return left <= rq->kring.depth ? left : 0;
}

/* What is taken is the caller's; false if there is none. */
static bool odp_rq_take_from(struct odp_rq *rq, struct odp_rwqe *rwqe,
			     enum ib_wc_status *status)
{
	const struct odp_recv_wqe *wqe;

	*status = IB_WC_SUCCESS;
	if (!odp_rq_left(rq))
		return false;

	wqe = odp_kring_entry(&rq->kring, rq->head);
	rwqe->wr_id = READ_ONCE(wqe->wr_id);
	rwqe->num_sge = READ_ONCE(wqe->num_sge);
	if (rwqe->num_sge > rq->max_sge) {
		rwqe->num_sge = 0;
		*status = IB_WC_LOC_QP_OP_ERR;
	}
	odp_kring_copy(rwqe->sge, wqe + 1,
		       rwqe->num_sge * sizeof(*rwqe->sge));
	rwqe->length = odp_sge_length(rwqe->sge, rwqe->num_sge);

	rq->head++;
	odp_kring_set_kernel_index(&rq->kring, rq->head);
	return true;
}

/* Has the user to be told? Once: the limit is used up then. */
static bool odp_srq_limit_due(struct odp_srq *srq)
{
	lockdep_assert_held(&srq->lock);

	if (odp_rq_left(&srq->rq) >= srq->limit)
		return false;
	srq->limit = 0;
	return true;
}

static void odp_srq_limit_event(struct odp_srq *srq)
{
	struct ib_event event = {
		.device = srq->ib.device,
		.element.srq = &srq->ib,
		.event = IB_EVENT_SRQ_LIMIT_REACHED,
	};

	if (srq->ib.event_handler)
		srq->ib.event_handler(&event, srq->ib.srq_context);
}

static bool odp_srq_take(struct odp_srq *srq, struct odp_rwqe *rwqe,
			 enum ib_wc_status *status)
{
	bool due = false;
	bool taken;

	spin_lock_bh(&srq->lock);
	taken = odp_rq_take_from(&srq->rq, rwqe, status);
	if (taken)
		due = odp_srq_limit_due(srq);
	spin_unlock_bh(&srq->lock);

	if (due)
		odp_srq_limit_event(srq);
	return taken;
}

/**
 * odp_srq_set_limit - asks for an event, or for none
 * @srq: The queue, held.
 * @limit: As in &struct odp_srq. If fewer are left already, the event comes at
 *	once: the last message may have been faster than who asks.
 */
void odp_srq_set_limit(struct odp_srq *srq, u32 limit)
{
	bool due;

	spin_lock_bh(&srq->lock);
	srq->limit = limit;
	due = odp_srq_limit_due(srq);
	spin_unlock_bh(&srq->lock);

	if (due)
		odp_srq_limit_event(srq);
}

/**
 * odp_rq_take - takes the next receive request
 * @qp: The queue pair. Responder only.
 * @status: IB_WC_SUCCESS, or what is wrong with the request.
 *
 * Return: false if there is none; else it is in odp_responder.rwqe.
 */
bool odp_rq_take(struct odp_qp *qp, enum ib_wc_status *status)
{
	if (qp->resp.srq)
		return odp_srq_take(qp->resp.srq, qp->resp.rwqe, status);
	return odp_rq_take_from(&qp->rq, qp->resp.rwqe, status);
}

/**
 * odp_rq_reset - forgets all receive requests
 * @qp: The queue pair, stopped.
 *
 * User space sets its index by itself; for the kernel's users nobody else does.
 */
void odp_rq_reset(struct odp_qp *qp)
{
	struct odp_rq *rq = &qp->rq;
	unsigned long flags;

	rq->head = 0;
	if (!rq->kring.depth)
		return;
	spin_lock_irqsave(&rq->post_lock, flags);
	if (odp_qp_is_kernel(qp))
		rq->kring.ring->user_index = 0;
	odp_kring_set_kernel_index(&rq->kring, 0);
	spin_unlock_irqrestore(&rq->post_lock, flags);
}

/**
 * odp_rq_need_kick - asks user space to announce receive requests, or not to
 * @qp: The queue pair. Responder only.
 * @need: Whether.
 *
 * When this has asked, look at the ring once more before going to rest.
 */
void odp_rq_need_kick(struct odp_qp *qp, bool need)
{
	if (!qp->rq.kring.depth)
		return;
	WRITE_ONCE(qp->rq.kring.ring->flags, need ? ODP_RING_NEED_KICK : 0);
	/* Pairs with user space's, between its index and the flags. */
	smp_mb();
}
