// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * XRC: connections whose requests say which shared receive queue they are for.
 *
 * An initiator is the requester of a queue pair alone, a target the responder. A
 * target belongs to a domain, and has neither a protection domain nor a completion
 * queue: it takes those of the shared receive queue that a request names, which is
 * of the same domain. Remote memory, too, is of that protection domain.
 *
 * Those queues belong to other processes than the target, maybe, and go when they
 * go. So the responder looks a queue up for each packet, and holds it while it
 * executes that, but not while it waits for a page or for the next packet. What it
 * has taken from a queue that has gone meanwhile is gone, too, and the connection
 * fails. A target that waits for memory of such a queue is woken, as its pages may
 * never come. A number may come again, in the middle of a message; an id does not.
 *
 * IBTA volume 1, annex A14.
 */
#include <linux/completion.h>
#include <linux/xarray.h>

#include "packet.h"
#include "qp.h"

/**
 * odp_srq_number - gives an XRC shared receive queue its number
 * @srq: The queue, ready: messages may find it when this returns.
 *
 * May sleep. Return: 0 or an error.
 */
int odp_srq_number(struct odp_srq *srq)
{
	static atomic64_t ids;
	struct odp_dev *dev = to_odp_dev(srq->ib.device);
	int err;

	srq->id = atomic64_inc_return(&ids);
	refcount_set(&srq->users, 1);
	init_completion(&srq->idle);
	err = xa_alloc_cyclic_bh(&dev->srqs, &srq->ib.ext.xrc.srq_num, srq,
				 XA_LIMIT(1, ODP_SRQN_MASK), &dev->next_srqn,
				 GFP_KERNEL_ACCOUNT);
	return min(err, 0);
}

/* A target leaves the table before it is destroyed. */
static void odp_xrcd_unpark(struct ib_xrcd *xrcd)
{
	struct ib_qp *target;
	unsigned long qpn;

	down_read(&xrcd->tgt_qps_rwsem);
	xa_for_each(&xrcd->tgt_qps, qpn, target)
		odp_half_unpark(&to_odp_qp(target)->resp.half);
	up_read(&xrcd->tgt_qps_rwsem);
}

/**
 * odp_srq_unnumber - takes the number away
 * @srq: The queue; waits until no responder uses it, or waits for its memory.
 *
 * May sleep.
 */
void odp_srq_unnumber(struct odp_srq *srq)
{
	xa_erase_bh(&to_odp_dev(srq->ib.device)->srqs, srq->ib.ext.xrc.srq_num);
	odp_srq_put(srq);
	wait_for_completion(&srq->idle);
	odp_xrcd_unpark(srq->ib.ext.xrc.xrcd);
}

/**
 * odp_srq_get - finds the shared receive queue that a request names
 * @qp: The queue pair.
 * @number: Its number.
 *
 * Any context but hard interrupts. Return: the queue with a reference; NULL if
 * there is none in the domain of the queue pair, or that is no XRC target.
 */
struct odp_srq *odp_srq_get(const struct odp_qp *qp, u32 number)
{
	struct xarray *srqs = &qp->dev->srqs;
	struct odp_srq *srq;

	if (!odp_qp_is_xrc_target(qp))
		return NULL;
	xa_lock_bh(srqs);
	srq = xa_load(srqs, number);
	if (srq && srq->ib.ext.xrc.xrcd == qp->ib.xrcd)
		refcount_inc(&srq->users);
	else
		srq = NULL;
	xa_unlock_bh(srqs);
	return srq;
}

/**
 * odp_srq_put - undoes odp_srq_get()
 * @srq: The queue.
 */
void odp_srq_put(struct odp_srq *srq)
{
	if (refcount_dec_and_test(&srq->users))
		complete(&srq->idle);
}

/**
 * odp_xrc_expected - is a packet for the half that the queue pair has?
 * @qp: The queue pair, an XRC one.
 * @pkt: The packet.
 */
bool odp_xrc_expected(const struct odp_qp *qp, const struct odp_packet *pkt)
{
	return odp_qp_is_xrc_target(qp) == !(pkt->flags & ODP_PKT_RESPONSE);
}

/**
 * odp_xrc_enter - takes the queue in hand that the current message is for
 * @qp: The queue pair. Responder only. Nothing is done for others than XRC targets.
 */
void odp_xrc_enter(struct odp_qp *qp)
{
	struct odp_responder *resp = &qp->resp;

	if (!odp_qp_is_xrc_target(qp))
		return;
	resp->srq = odp_srq_get(qp, resp->srqn);
	if (resp->message == ODP_MSG_NONE && !resp->have_rwqe)
		resp->srq_id = resp->srq ? resp->srq->id : 0;
	else if (resp->srq && resp->srq->id != resp->srq_id)
		odp_xrc_leave(qp);
	if (!resp->srq)
		resp->have_rwqe = false;
}

/**
 * odp_xrc_leave - undoes odp_xrc_enter()
 * @qp: The queue pair. Responder only.
 */
void odp_xrc_leave(struct odp_qp *qp)
{
	if (!odp_qp_is_xrc_target(qp) || !qp->resp.srq)
		return;
	odp_srq_put(qp->resp.srq);
	qp->resp.srq = NULL;
}

/**
 * odp_xrc_valid - is a request for a queue that is there?
 * @qp: The queue pair. Responder only; between odp_xrc_enter() and _leave().
 * @pkt: The request. All of a message are for the same queue.
 */
bool odp_xrc_valid(const struct odp_qp *qp, const struct odp_packet *pkt)
{
	return !odp_qp_is_xrc_target(qp) ||
	       (qp->resp.srq && odp_packet_srqn(pkt) == qp->resp.srqn);
}
