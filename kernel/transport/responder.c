// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The responder: executes the peer's requests, in order.
 *
 * A request packet is looked at until it can be executed as a whole, and only
 * then does the expected PSN move on: a packet whose page is missing stays at
 * the head of the queue and is checked again, from its start, when the page is
 * there; its data go on where they stopped.
 *
 * Here is the turn: which packet is the one to be executed, and what others may
 * say while it has to wait. Requests that bring data are executed in deliver.c,
 * those that want some in answer.c; what becomes of any of them is in outcome.c.
 *
 * No locks: all of it belongs to the owner of the half (half.h) or, while that is
 * stopped, to who stopped it. But what is left for others when the half parks is
 * under the lock of half.rx.
 *
 * IBTA volume 1: 9.7.4 (order of validation), 9.8.2 (unreliable connection).
 */
#include "packet.h"
#include "qp.h"

static struct odp_qp *odp_resp_qp(struct odp_half *half)
{
	return container_of(half, struct odp_qp, resp.half);
}

/*
 * What is in a shared receive queue stays there, for others. The user waits for
 * this event, which is behind the completion of the request in use.
 */
static void odp_resp_leave_srq(struct odp_qp *qp)
{
	if (qp->resp.srq_left)
		return;
	qp->resp.srq_left = true;
	odp_qp_event(qp, IB_EVENT_QP_LAST_WQE_REACHED);
}

static void odp_resp_flush_rwqe(struct odp_qp *qp)
{
	odp_xrc_enter(qp);
	odp_responder_recv_error(qp, IB_WC_WR_FLUSH_ERR);
	odp_xrc_leave(qp);
}

/* True when there is nothing left to flush. */
static bool odp_resp_flush(struct odp_qp *qp)
{
	int budget = ODP_TURN_BUDGET;
	enum ib_wc_status status;

	skb_queue_purge(&qp->resp.half.rx);
	odp_responder_drop_packets(&qp->resp);
	qp->resp.reading = false;
	odp_resp_flush_rwqe(qp);
	if (qp->ib.srq || odp_qp_is_xrc_target(qp)) {
		odp_resp_leave_srq(qp);
		return true;
	}
	odp_rq_need_kick(qp, true);
	while (odp_rq_take(qp, &status)) {
		qp->resp.have_rwqe = true;
		odp_responder_recv_error(qp, IB_WC_WR_FLUSH_ERR);
		if (!--budget)
			return false;
	}
	return true;
}

/* Packets but the last are full, the last one of several is not empty. */
static bool odp_resp_length_ok(const struct odp_qp *qp,
			       const struct odp_packet *pkt)
{
	if (!(pkt->flags & ODP_PKT_LAST))
		return pkt->len == qp->mtu;
	return pkt->len <= qp->mtu && (pkt->len || pkt->flags & ODP_PKT_FIRST);
}

/* Does the packet go on with the message that the last one left open? */
static bool odp_resp_in_sequence(const struct odp_qp *qp,
				 const struct odp_packet *pkt)
{
	enum odp_message message = qp->resp.message;

	if (pkt->flags & ODP_PKT_FIRST)
		return message == ODP_MSG_NONE;
	return message == (pkt->flags & ODP_PKT_SEND ? ODP_MSG_SEND :
						       ODP_MSG_WRITE);
}

/*
 * Unreliable connections: the packet is the expected one, whatever its PSN. If
 * others were lost before it, or their message ends early, that one is lost, and
 * so is this packet's if it does not begin here.
 */
static void odp_resp_resync(struct odp_qp *qp, const struct odp_packet *pkt)
{
	struct odp_responder *resp = &qp->resp;

	if (resp->message != ODP_MSG_NONE &&
	    (pkt->psn != resp->epsn || pkt->flags & ODP_PKT_FIRST)) {
		odp_responder_lose_message(qp);
		odp_half_operation_done(&resp->half);
	}
	resp->epsn = pkt->psn;
}

/* Is the packet, by itself, one that may come next? */
static bool odp_resp_valid(const struct odp_qp *qp,
			   const struct odp_packet *pkt)
{
	return odp_resp_in_sequence(qp, pkt) && odp_xrc_valid(qp, pkt) &&
	       (pkt->flags & ODP_PKT_READ || odp_resp_length_ok(qp, pkt));
}

/* Executes the packet that is expected next. */
static int odp_resp_execute(struct odp_qp *qp, const struct odp_packet *pkt)
{
	if (!odp_resp_valid(qp, pkt)) {
		odp_responder_fail(qp, ODP_SYNDROME_NAK_INV,
				   IB_WC_REM_INV_REQ_ERR);
		return 0;
	}
	if (pkt->flags & ODP_PKT_SEND)
		return odp_responder_send(qp, pkt);
	if (pkt->flags & ODP_PKT_WRITE)
		return odp_responder_write(qp, pkt);
	if (pkt->flags & ODP_PKT_ATOMIC)
		return odp_responder_atomic(qp, pkt);
	if (pkt->flags & ODP_PKT_READ)
		odp_responder_read(qp, pkt);
	else if (pkt->flags & ODP_PKT_FLUSH)
		odp_responder_rdma_flush(qp, pkt);
	else
		odp_responder_fail(qp, ODP_SYNDROME_NAK_INV,
				   IB_WC_REM_INV_REQ_ERR);
	return 0;
}

/* Validates and executes a packet. */
static int odp_resp_request(struct odp_qp *qp, const struct odp_packet *pkt)
{
	struct odp_responder *resp = &qp->resp;
	s32 diff;
	int err;

	if (!odp_qp_is_reliable(qp))
		odp_resp_resync(qp, pkt);
	diff = odp_psn_diff(pkt->psn, resp->epsn);
	if (diff < 0) {
		odp_responder_duplicate(qp, pkt);
		return 0;
	}
	if (diff > 0) {
		if (!resp->naked) {
			odp_count(qp->dev, ODP_STAT_NAK_SEQ_SENT);
			odp_responder_nak(qp, ODP_SYNDROME_NAK_SEQ);
		}
		return 0;
	}
	if (resp->message == ODP_MSG_NONE)
		resp->srqn = odp_packet_srqn(pkt);
	odp_xrc_enter(qp);
	err = odp_resp_execute(qp, pkt);
	odp_xrc_leave(qp);
	return err;
}

/* One piece of work: 1: done; 0: there is none; -EAGAIN: a page is missing. */
static int odp_resp_step(struct odp_qp *qp)
{
	struct odp_half *half = &qp->resp.half;
	struct sk_buff *skb;
	int err;

	if (qp->resp.reading)
		return odp_responder_read_continue(qp) ?: 1;
	skb = odp_half_peek(half);
	if (!skb)
		return 0;
	err = odp_qp_is_datagram(qp) ? odp_datagram_receive(qp, skb) :
				       odp_resp_request(qp, odp_packet(skb));
	if (err)
		return err;
	qp->resp.taken = 0;
	odp_waiter_progress(&half->waiter);
	if (qp->resp.message == ODP_MSG_NONE && !qp->resp.reading)
		odp_half_operation_done(half);
	skb_unlink(skb, &half->rx);
	consume_skb(skb);
	return 1;
}

/*
 * What others may tell the peer meanwhile: that the request has to wait which is
 * next. The answer to a READ that is answered again he may have, or a part of it,
 * and waits for what is behind it then.
 */
static void odp_resp_park(struct odp_qp *qp)
{
	struct odp_responder *resp = &qp->resp;
	u32 end = resp->reading ? resp->read_sent : resp->epsn;
	/* 0 is the longest. */
	int timer = READ_ONCE(qp->attr.min_rnr_timer);
	u32 psn = end;

	if (resp->reading && resp->read_again) {
		psn = odp_psn_add(resp->read_psn,
				  max(1U, DIV_ROUND_UP(resp->read.left,
						       qp->mtu)) - 1);
		end = resp->epsn;
	}
	spin_lock_bh(&resp->half.rx.lock);
	resp->wait_psn = psn;
	resp->wait_end = end;
	resp->wait_silent = resp->reading &&
			    resp->read_sent != resp->read_start;
	resp->rnr_timer = timer ? max(timer, ODP_RNR_PARKED) : 0;
	resp->rnr_until = 0;
	resp->rnr_quiet = 0;
	spin_unlock_bh(&resp->half.rx.lock);
}

static enum odp_turn odp_resp_turn(struct odp_half *half)
{
	struct odp_qp *qp = odp_resp_qp(half);
	int budget = ODP_TURN_BUDGET;
	int did;

	do {
		enum ib_qp_state state = odp_qp_state(qp);

		if (state == IB_QPS_ERR)
			return odp_resp_flush(qp) ? ODP_TURN_IDLE :
						    ODP_TURN_MORE;
		if (!odp_qp_state_receives(state))
			return ODP_TURN_IDLE;
		did = odp_resp_step(qp);
	} while (did > 0 && --budget);

	odp_responder_flush_ack(qp);
	if (did < 0) {
		odp_resp_park(qp);
		odp_count(qp->dev, ODP_STAT_PARKED);
		return ODP_TURN_MISS;
	}
	return budget ? ODP_TURN_IDLE : ODP_TURN_MORE;
}

/**
 * odp_responder_stop - drops what is half done
 * @qp: The queue pair, whose responder rests.
 */
void odp_responder_stop(struct odp_qp *qp)
{
	/* What it has of another process's queue, that one wants back. */
	if (odp_qp_is_xrc_target(qp))
		odp_resp_flush_rwqe(qp);
	odp_responder_drop_packets(&qp->resp);
	qp->resp.taken = 0;
}

/**
 * odp_responder_init - prepares the responder of a new queue pair
 * @qp: The queue pair.
 */
void odp_responder_init(struct odp_qp *qp)
{
	odp_half_init(&qp->resp.half, odp_qp_is_kernel(qp), odp_resp_turn);
	__skb_queue_head_init(&qp->resp.out);
}

/**
 * odp_responder_reset - brings the responder back to its beginnings
 * @qp: The queue pair, stopped.
 */
void odp_responder_reset(struct odp_qp *qp)
{
	struct odp_responder *resp = &qp->resp;

	odp_rq_reset(qp);
	resp->message = ODP_MSG_NONE;
	resp->naked = false;
	resp->ack_due = false;
	resp->have_rwqe = false;
	resp->srq_left = false;
	resp->reading = false;
	resp->msn = 0;
	resp->atomics = 0;
	resp->established = false;
	odp_rq_need_kick(qp, false);
}
