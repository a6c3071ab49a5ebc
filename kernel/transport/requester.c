// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The requester: turns send requests into packets, in order, and goes back to
 * the oldest packet that is not acknowledged when one was lost.
 *
 *	  una			  psn			max_psn
 *	---+-----------------------+-----------------------+----- PSNs
 *	   | sent, not acknowledged| sent once, to be sent | new
 *	   |			   | again		   |
 *
 * A send request gets its PSNs when it is started, that is when psn reaches
 * max_psn at its beginning; everything about a PSN follows from that: the
 * request, the offset in it, and, for a READ, where the response belongs.
 *
 * Here is the turn, and how send requests end. Packets are made and sent in
 * send.c, sent again as retry.c says; the peer's answers are for completer.c.
 *
 * No locks: all of it belongs to the owner of the half (half.h) or, while that is
 * stopped, to who stopped it. A send request is the requester's until the head has
 * moved on. Timers are armed in turns alone and only kick the half: they are gone
 * when it was stopped and they were cancelled.
 *
 * IBTA volume 1: 9.7 (reliable service).
 */
#include "packet.h"
#include "qp.h"

static struct odp_qp *odp_req_qp(struct odp_half *half)
{
	return container_of(half, struct odp_qp, req.half);
}

static enum ib_wc_opcode odp_wc_opcode(u8 opcode)
{
	switch (opcode) {
	case IB_WR_RDMA_WRITE:
	case IB_WR_RDMA_WRITE_WITH_IMM:
		return IB_WC_RDMA_WRITE;
	case IB_WR_RDMA_READ:
		return IB_WC_RDMA_READ;
	case IB_WR_ATOMIC_CMP_AND_SWP:
		return IB_WC_COMP_SWAP;
	case IB_WR_ATOMIC_FETCH_AND_ADD:
		return IB_WC_FETCH_ADD;
	case ODP_WR_ATOMIC_WRITE:
		return ODP_WC_ATOMIC_WRITE;
	case IB_WR_BIND_MW:
		return IB_WC_BIND_MW;
	case IB_WR_LOCAL_INV:
		return IB_WC_LOCAL_INV;
	case IB_WR_REG_MR:
		return IB_WC_REG_MR;
	default:
		return IB_WC_SEND;
	}
}

static void odp_req_complete(struct odp_qp *qp, enum ib_wc_status status,
			     u8 syndrome)
{
	struct odp_sq *sq = &qp->sq;
	struct odp_swqe *swqe = odp_sq_entry(sq, sq->head);
	bool signaled = qp->sig_all || swqe->wqe.flags & IB_SEND_SIGNALED ||
			status != IB_WC_SUCCESS;
	struct odp_cqe cqe = {
		.wr_id = swqe->wqe.wr_id,
		.byte_len = swqe->length,
		.qp_num = qp->number,
		.vendor_err = syndrome,
		.status = status,
		.opcode = odp_wc_opcode(swqe->wqe.opcode),
	};

	if (status == IB_WC_SUCCESS && !odp_swqe_is_local(swqe))
		odp_credit_end(qp, swqe);
	/*
	 * The slot is free before user space can know of it. Pairs with
	 * odp_sq_head(): what was read from it was read before it is written.
	 */
	smp_store_release(&sq->head, sq->head + 1);
	odp_kring_set_kernel_index(&sq->kring, sq->head);
	if (signaled && !odp_cq_push(odp_qp_send_cq(qp), &cqe,
				     status != IB_WC_SUCCESS))
		odp_qp_fatal(qp);
}

/**
 * odp_requester_complete_local - completes the oldest requests about keys
 * @qp: The queue pair. Requester only.
 *
 * Registrations are done before they are the oldest.
 */
void odp_requester_complete_local(struct odp_qp *qp)
{
	struct odp_sq *sq = &qp->sq;

	while (sq->head != qp->req.unsent &&
	       odp_swqe_is_local(odp_sq_entry(sq, sq->head)))
		odp_req_complete(qp, IB_WC_SUCCESS, 0);
}

/**
 * odp_requester_complete - completes the oldest send request
 * @qp: The queue pair. Requester only.
 * @status: How it ended.
 * @syndrome: Of the NAK that ended it, or 0.
 */
void odp_requester_complete(struct odp_qp *qp, enum ib_wc_status status,
			    u8 syndrome)
{
	odp_req_complete(qp, status, syndrome);
	if (status == IB_WC_SUCCESS)
		odp_requester_complete_local(qp);
}

/**
 * odp_requester_drop_packet - the packet that was being filled is not the next one
 * @req: The requester, owned or at rest.
 */
void odp_requester_drop_packet(struct odp_requester *req)
{
	kfree_skb(req->skb);
	req->skb = NULL;
	req->filled = 0;
}

/**
 * odp_requester_fail - ends the oldest send request, and all behind it
 * @qp: The queue pair. Requester only.
 * @status: Why.
 * @syndrome: Of the NAK that says so, or 0.
 */
void odp_requester_fail(struct odp_qp *qp, enum ib_wc_status status,
			u8 syndrome)
{
	odp_requester_drop_packet(&qp->req);
	if (odp_qp_is_reliable(qp)) {
		odp_requester_complete(qp, status, syndrome);
		odp_qp_fail(qp);
	} else {
		/* Who sees the completion may go back to RTS. */
		odp_qp_fail_sends(qp);
		odp_requester_complete(qp, status, syndrome);
	}
}

/* True when there is nothing left to flush. */
static bool odp_req_flush(struct odp_qp *qp)
{
	u32 tail = odp_sq_tail(&qp->sq);
	int budget = ODP_TURN_BUDGET;

	skb_queue_purge(&qp->req.half.rx);
	odp_requester_drop_packet(&qp->req);
	while (qp->sq.head != tail) {
		if (!budget--)
			return false;
		odp_requester_complete(qp, IB_WC_WR_FLUSH_ERR, 0);
	}
	return true;
}

/**
 * odp_requester_recover - makes a requester fit for RTS again, after SQE
 * @qp: The queue pair, whose requester rests.
 *
 * May sleep. All that was posted is flushed, and the next request is a new one.
 */
void odp_requester_recover(struct odp_qp *qp)
{
	struct odp_requester *req = &qp->req;
	u32 tail = odp_sq_tail(&qp->sq);

	odp_requester_drop_packet(req);
	while (qp->sq.head != tail) {
		odp_requester_complete(qp, IB_WC_WR_FLUSH_ERR, 0);
		cond_resched();
	}
	req->cur = tail;
	req->unsent = tail;
	req->offset = 0;
}

static enum hrtimer_restart odp_req_rnr_fired(struct hrtimer *timer)
{
	struct odp_requester *req = container_of(timer, struct odp_requester,
						 rnr_timer);

	WRITE_ONCE(req->rnr_due, true);
	odp_half_kick(&req->half);
	return HRTIMER_NORESTART;
}

static void odp_req_timer_fired(struct timer_list *timer)
{
	struct odp_requester *req = from_timer(req, timer, timer);

	odp_half_kick(&req->half);
}

static bool odp_req_begun(const struct odp_qp *qp)
{
	if (odp_qp_is_datagram(qp))
		return qp->req.skb;
	return qp->sq.head != qp->req.unsent;
}

/* Tells the user of the queue pair, once, that nothing is under way any more. */
static void odp_req_drained(struct odp_qp *qp)
{
	if (qp->req.drained || odp_req_begun(qp))
		return;
	WRITE_ONCE(qp->req.drained, true);
	if (qp->attr.en_sqd_async_notify)
		odp_qp_event(qp, IB_EVENT_SQ_DRAINED);
}

/* Takes in one packet; as odp_requester_send(). */
static int odp_req_receive(struct odp_qp *qp)
{
	struct sk_buff *skb = odp_half_peek(&qp->req.half);
	int err;

	if (!skb)
		return 0;
	err = odp_completer_run(qp, skb);
	qp->req.missed_answer = err == -EAGAIN;
	if (err)
		return err;
	qp->req.taken = 0;
	odp_half_operation_done(&qp->req.half);
	odp_waiter_progress(&qp->req.half.waiter);
	skb_unlink(skb, &qp->req.half.rx);
	consume_skb(skb);
	return 1;
}

/* One piece of work; as odp_requester_send(). */
static int odp_req_step(struct odp_qp *qp)
{
	int did;

	if (odp_qp_is_datagram(qp))
		return odp_datagram_send(qp);
	/* What pages are held for comes first: the next request of the two. */
	if (qp->req.half.pins && !qp->req.missed_answer) {
		did = odp_requester_send(qp);
		if (did)
			return did;
		odp_half_operation_done(&qp->req.half);
	}
	did = odp_req_receive(qp);
	if (did)
		return did;
	if (!odp_requester_timers(qp))
		return 1;
	return odp_requester_send(qp);
}

static enum odp_turn odp_req_turn(struct odp_half *half)
{
	struct odp_qp *qp = odp_req_qp(half);
	int budget = ODP_TURN_BUDGET;
	int did;

	/* The peer's answers had to wait with us; time starts now. */
	if (qp->req.was_parked)
		odp_requester_set_deadline(qp);
	qp->req.was_parked = false;

	do {
		enum ib_qp_state state = odp_qp_state(qp);

		if (state == IB_QPS_ERR || state == IB_QPS_SQE)
			return odp_req_flush(qp) ? ODP_TURN_IDLE :
						   ODP_TURN_MORE;
		if (!odp_qp_state_sends(state))
			return ODP_TURN_IDLE;
		did = odp_req_step(qp);
	} while (did > 0 && --budget);

	qp->req.was_parked = did < 0;
	if (did < 0) {
		odp_count(qp->dev, ODP_STAT_PARKED);
		return ODP_TURN_MISS;
	}
	if (odp_qp_state(qp) == IB_QPS_SQD)
		odp_req_drained(qp);
	odp_requester_arm_timer(qp);
	return budget ? ODP_TURN_IDLE : ODP_TURN_MORE;
}

/**
 * odp_requester_init - prepares the requester of a new queue pair
 * @qp: The queue pair.
 */
void odp_requester_init(struct odp_qp *qp)
{
	odp_half_init(&qp->req.half, odp_qp_is_kernel(qp), odp_req_turn);
	odp_credit_reset(qp);
	timer_setup(&qp->req.timer, odp_req_timer_fired, 0);
	hrtimer_init(&qp->req.rnr_timer, CLOCK_MONOTONIC,
		     HRTIMER_MODE_REL_SOFT);
	qp->req.rnr_timer.function = odp_req_rnr_fired;
}

/**
 * odp_requester_reset - brings the requester back to its beginnings
 * @qp: The queue pair, stopped.
 */
void odp_requester_reset(struct odp_qp *qp)
{
	struct odp_requester *req = &qp->req;
	unsigned long flags;

	spin_lock_irqsave(&qp->sq.lock, flags);
	qp->sq.head = 0;
	qp->sq.tail = 0;
	odp_kring_set_kernel_index(&qp->sq.kring, 0);
	spin_unlock_irqrestore(&qp->sq.lock, flags);
	req->psn = 0;
	req->max_psn = 0;
	req->una = 0;
	req->unsent = 0;
	req->cur = 0;
	req->offset = 0;
	req->reads = 0;
	odp_credit_reset(qp);
	req->unasked = 0;
	req->rnr_wait = false;
	req->rnr_due = false;
	req->missed_answer = false;
	req->was_parked = false;
	req->gap = false;
	req->timeouts = 0;
	req->probing = false;
}

/**
 * odp_requester_stop - stops the timers, drops what is half done
 * @qp: The queue pair, whose requester rests: it arms none again.
 */
void odp_requester_stop(struct odp_qp *qp)
{
	odp_requester_drop_packet(&qp->req);
	qp->req.taken = 0;
	del_timer_sync(&qp->req.timer);
	hrtimer_cancel(&qp->req.rnr_timer);
}
