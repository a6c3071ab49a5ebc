// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The responder: executes the peer's requests, in order.
 *
 * A request packet is looked at until it can be executed as a whole, and only
 * then does the expected PSN move on: a packet whose page is missing stays at
 * the head of the queue and is executed again, from its start, when the page is
 * there. Acknowledgments are owed for a turn and sent at its end, so that
 * packets that arrive together are acknowledged together.
 *
 * On an unreliable connection the peer is told nothing. What is missing takes the
 * rest of its message with it; a receive request that had a part of it is for the
 * next message then.
 *
 * A READ is answered packet by packet while later requests wait behind it. An
 * atomic is executed once, and what it has returned is kept for when it comes
 * again; an ATOMIC WRITE is one that returns nothing.
 *
 * IBTA volume 1: 9.7.4 (order of validation), 9.7.5 (acknowledgments),
 * 9.8.2 (unreliable connection), 9.9.3 (responder errors).
 */
#include "packet.h"
#include "qp.h"
#include "window.h"

static struct odp_qp *odp_resp_qp(struct odp_half *half)
{
	return container_of(half, struct odp_qp, resp.half);
}

/**
 * odp_request_npsns - PSNs that a request takes
 * @qp: The queue pair.
 * @pkt: The request; a READ takes as many as its response has packets.
 */
u32 odp_request_npsns(const struct odp_qp *qp, const struct odp_packet *pkt)
{
	if (!(pkt->flags & ODP_PKT_READ))
		return 1;
	return max(1U, DIV_ROUND_UP(be32_to_cpu(odp_packet_reth(pkt)->len),
				    qp->mtu));
}

/**
 * odp_responder_ack - sends an acknowledgment
 * @qp: The queue pair.
 * @psn: What it is about.
 * @syndrome: ODP_SYNDROME_*, or an RNR NAK with its timer code.
 *
 * Any context but hard interrupts, by others than the responder, too. Does nothing
 * on an unreliable connection.
 */
void odp_responder_ack(struct odp_qp *qp, u32 psn, u8 syndrome)
{
	struct odp_packet_spec spec = {
		.opcode = IB_OPCODE_RC_ACKNOWLEDGE,
		.psn = psn,
		.syndrome = syndrome,
		.msn = READ_ONCE(qp->resp.msn),
	};
	struct sk_buff *skb;

	if (!odp_qp_is_reliable(qp))
		return;
	if ((syndrome & ODP_AETH_KIND) == ODP_AETH_RNR)
		odp_count(qp->dev, ODP_STAT_RNR_SENT);
	skb = odp_packet_new(qp, &spec);
	if (skb)
		odp_packet_xmit(qp, skb);
}

/*
 * Acknowledges what was executed so far, if that is owed, up to the last packet
 * that was no READ and no atomic: those are acknowledged by their responses
 * alone, and the requester of rdma_rxe takes an ACK of one for its data. Not while
 * a READ is answered again, as that says that the responses were sent of all READs
 * before.
 */
static void odp_resp_flush_ack(struct odp_qp *qp)
{
	struct odp_responder *resp = &qp->resp;

	if (!resp->ack_due || (resp->reading && resp->read_again))
		return;
	resp->ack_due = false;
	odp_responder_ack(qp, resp->ack_psn, ODP_SYNDROME_ACK);
}

/* A NAK for the expected packet; what comes is dropped until it does. */
static void odp_resp_nak(struct odp_qp *qp, u8 syndrome)
{
	odp_resp_flush_ack(qp);
	qp->resp.naked = true;
	odp_responder_ack(qp, qp->resp.epsn, syndrome);
}

/**
 * odp_responder_push - completes the receive request in use
 * @qp: The queue pair. Responder only.
 * @cqe: How; what says whose it is gets filled in.
 * @solicited: As for odp_cq_push().
 *
 * Return: as odp_cq_push().
 */
bool odp_responder_push(struct odp_qp *qp, struct odp_cqe *cqe,
			bool solicited)
{
	cqe->wr_id = qp->resp.rwqe->wr_id;
	cqe->qp_num = qp->number;
	qp->resp.have_rwqe = false;
	return odp_cq_push(odp_qp_recv_cq(qp), cqe, solicited);
}

/**
 * odp_responder_recv_error - completes the receive request in use, if there is one
 * @qp: The queue pair. Responder only.
 * @status: The error.
 */
void odp_responder_recv_error(struct odp_qp *qp, enum ib_wc_status status)
{
	struct odp_cqe cqe = { .status = status, .opcode = IB_WC_RECV };

	if (qp->resp.have_rwqe)
		odp_responder_push(qp, &cqe, true);
}

/*
 * Unreliable connections: a message is lost. A request that had a part of it is for
 * the next one, but if it is from a shared queue: others may need those.
 */
static void odp_resp_lose_message(struct odp_qp *qp)
{
	qp->resp.message = ODP_MSG_NONE;
	if (qp->ib.srq)
		odp_responder_recv_error(qp, IB_WC_REM_INV_REQ_ERR);
}

/* The expected packet is lost, and its message with it. */
static void odp_resp_lose(struct odp_qp *qp)
{
	odp_count(qp->dev, ODP_STAT_RX_DROPPED);
	odp_resp_lose_message(qp);
	qp->resp.epsn = odp_psn_add(qp->resp.epsn, 1);
}

/*
 * Ends the connection: the peer is told by a NAK, the user by the receive
 * request in use or, if there is none, by an event. What is the peer's fault is
 * no end of an unreliable one.
 */
static void odp_resp_fail(struct odp_qp *qp, u8 syndrome,
			  enum ib_wc_status status)
{
	bool access = syndrome == ODP_SYNDROME_NAK_ACCESS;

	if (!odp_qp_is_reliable(qp) && syndrome != ODP_SYNDROME_NAK_OP) {
		odp_resp_lose(qp);
		return;
	}
	odp_resp_nak(qp, syndrome);
	if (qp->resp.have_rwqe)
		odp_responder_recv_error(qp, status);
	else
		odp_qp_event(qp, access ? IB_EVENT_QP_ACCESS_ERR :
					  IB_EVENT_QP_REQ_ERR);
	odp_qp_fail(qp);
}

/*
 * Memory was not there to be accessed. -EAGAIN if its page is only missing; else
 * that ends the connection, and 0.
 */
static int odp_resp_no_memory(struct odp_qp *qp, int err, u8 syndrome,
			      enum ib_wc_status status)
{
	if (err == -EAGAIN)
		return err;
	odp_resp_fail(qp, syndrome, status);
	return 0;
}

/* What was made of an answer and not sent. */
static void odp_resp_drop_packets(struct odp_responder *resp)
{
	__skb_queue_purge(&resp->out);
	kfree_skb(resp->skb);
	resp->skb = NULL;
	resp->filled = 0;
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
	odp_resp_drop_packets(&qp->resp);
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

/*
 * Makes sure of a receive request. False, and the packet is dealt with, if
 * there is none to be had.
 */
static bool odp_resp_need_rwqe(struct odp_qp *qp)
{
	enum ib_wc_status status;

	if (qp->resp.have_rwqe)
		return true;
	if (!odp_rq_take(qp, &status)) {
		if (odp_qp_is_reliable(qp))
			odp_resp_nak(qp, ODP_AETH_RNR |
					 READ_ONCE(qp->attr.min_rnr_timer));
		else
			odp_resp_lose(qp);
		return false;
	}
	qp->resp.have_rwqe = true;
	if (status == IB_WC_SUCCESS)
		return true;
	odp_resp_fail(qp, ODP_SYNDROME_NAK_OP, status);
	return false;
}

/* The peer sends before the user was told by other means that it may. */
static void odp_resp_established(struct odp_qp *qp)
{
	if (qp->resp.established || odp_qp_state(qp) != IB_QPS_RTR)
		return;
	qp->resp.established = true;
	odp_qp_event(qp, IB_EVENT_COMM_EST);
}

/* The packet is executed. */
static void odp_resp_executed(struct odp_qp *qp, const struct odp_packet *pkt)
{
	struct odp_responder *resp = &qp->resp;

	resp->epsn = odp_psn_add(pkt->psn, odp_request_npsns(qp, pkt));
	resp->naked = false;
	if (!(pkt->flags & (ODP_PKT_READ | ODP_PKT_ATOMIC)))
		resp->ack_psn = pkt->psn;
	if (pkt->flags & ODP_PKT_LAST)
		WRITE_ONCE(resp->msn, (resp->msn + 1) & 0xffffff);
	if (be32_to_cpu(pkt->bth->psn) & ODP_BTH_ACK_REQ)
		resp->ack_due = true;
	odp_resp_established(qp);
}

/* Reports a message that took a receive request; before it is acknowledged. */
static void odp_resp_complete(struct odp_qp *qp, const struct odp_packet *pkt,
			      enum ib_wc_opcode opcode, u32 len)
{
	struct odp_cqe cqe = {
		.status = IB_WC_SUCCESS,
		.opcode = opcode,
		.byte_len = len,
		.src_qp = qp->dest_qpn,
	};

	if (pkt->flags & ODP_PKT_IMM) {
		cqe.wc_flags = IB_WC_WITH_IMM;
		cqe.imm_data = odp_packet_imm(pkt);
	} else if (pkt->flags & ODP_PKT_INV) {
		cqe.wc_flags = ODP_WC_WITH_INV;
		cqe.invalidated_rkey = odp_packet_invalidate(pkt);
	}
	if (!odp_responder_push(qp, &cqe, pkt->bth->flags & ODP_BTH_SOLICITED))
		odp_qp_fatal(qp);
}

/* Packets but the last are full, the last one of several is not empty. */
static bool odp_resp_length_ok(const struct odp_qp *qp,
			       const struct odp_packet *pkt)
{
	if (!(pkt->flags & ODP_PKT_LAST))
		return pkt->len == qp->mtu;
	return pkt->len <= qp->mtu && (pkt->len || pkt->flags & ODP_PKT_FIRST);
}

/* 0, or -EAGAIN if a page is missing, like all that execute a packet. */
static int odp_resp_send(struct odp_qp *qp, const struct odp_packet *pkt)
{
	struct odp_responder *resp = &qp->resp;
	struct odp_rwqe *rwqe = resp->rwqe;
	int err;

	if (!odp_resp_need_rwqe(qp))
		return 0;
	if (pkt->flags & ODP_PKT_FIRST)
		resp->received = 0;
	if ((u64)resp->received + pkt->len > rwqe->length) {
		odp_resp_fail(qp, ODP_SYNDROME_NAK_INV, IB_WC_LOC_LEN_ERR);
		return 0;
	}
	err = odp_sg_copy(odp_qp_recv_pd(qp), &resp->half, rwqe->sge,
			  rwqe->num_sge, resp->received, pkt->payload, pkt->len, true,
			  &resp->taken);
	if (err)
		return odp_resp_no_memory(qp, err, ODP_SYNDROME_NAK_OP,
					  IB_WC_LOC_PROT_ERR);
	if (pkt->flags & ODP_PKT_INV &&
	    odp_window_invalidate(qp->dev, odp_qp_remote_pd(qp), qp->ib.qp_num,
				  odp_packet_invalidate(pkt))) {
		odp_resp_fail(qp, ODP_SYNDROME_NAK_ACCESS,
			      IB_WC_LOC_ACCESS_ERR);
		return 0;
	}
	resp->received += pkt->len;
	resp->message = pkt->flags & ODP_PKT_LAST ? ODP_MSG_NONE : ODP_MSG_SEND;
	odp_resp_executed(qp, pkt);
	if (pkt->flags & ODP_PKT_LAST)
		odp_resp_complete(qp, pkt, IB_WC_RECV, resp->received);
	return 0;
}

static void odp_remote_from_reth(struct odp_remote *remote,
				 const struct odp_packet *pkt)
{
	const struct odp_reth *reth = odp_packet_reth(pkt);

	remote->va = be64_to_cpu(reth->va);
	remote->rkey = be32_to_cpu(reth->rkey);
	remote->left = be32_to_cpu(reth->len);
	remote->srqn = odp_packet_srqn(pkt);
}

/* Where the packet's data goes; false, and dealt with, if it must not. */
static bool odp_resp_write_target(struct odp_qp *qp,
				  const struct odp_packet *pkt)
{
	struct odp_remote *write = &qp->resp.write;

	if (pkt->flags & ODP_PKT_FIRST) {
		odp_remote_from_reth(write, pkt);
		if (odp_remote_check(qp, write, IB_ACCESS_REMOTE_WRITE)) {
			odp_resp_fail(qp, ODP_SYNDROME_NAK_ACCESS,
				      IB_WC_LOC_ACCESS_ERR);
			return false;
		}
	}
	if (pkt->flags & ODP_PKT_LAST ? pkt->len != write->left :
					pkt->len >= write->left) {
		odp_resp_fail(qp, ODP_SYNDROME_NAK_INV, IB_WC_LOC_LEN_ERR);
		return false;
	}
	return true;
}

static int odp_resp_write(struct odp_qp *qp, const struct odp_packet *pkt)
{
	struct odp_responder *resp = &qp->resp;
	u32 total;
	int err;

	if (!odp_resp_write_target(qp, pkt))
		return 0;
	if (pkt->flags & ODP_PKT_IMM && !odp_resp_need_rwqe(qp))
		return 0;
	if (pkt->flags & ODP_PKT_FIRST)
		resp->received = 0;
	err = odp_remote_copy(qp, &resp->half, &resp->write, pkt->payload,
			      pkt->len, true, &resp->taken);
	if (err)
		return odp_resp_no_memory(qp, err, ODP_SYNDROME_NAK_ACCESS,
					  IB_WC_LOC_ACCESS_ERR);
	resp->write.va += pkt->len;
	resp->write.left -= pkt->len;
	resp->received += pkt->len;
	total = resp->received;
	resp->message = pkt->flags & ODP_PKT_LAST ? ODP_MSG_NONE :
						    ODP_MSG_WRITE;
	odp_resp_executed(qp, pkt);
	if (pkt->flags & ODP_PKT_IMM)
		odp_resp_complete(qp, pkt, IB_WC_RECV_RDMA_WITH_IMM, total);
	return 0;
}

/* Begins to answer a READ, for the first time or again. */
static void odp_resp_read_start(struct odp_qp *qp, const struct odp_packet *pkt,
				const struct odp_remote *read, bool again)
{
	struct odp_responder *resp = &qp->resp;

	resp->read = *read;
	resp->read_again = again;
	resp->read_psn = pkt->psn;
	resp->read_sent = pkt->psn;
	resp->read_start = pkt->psn;
	resp->read_first = true;
	resp->reading = true;
}

static void odp_resp_read(struct odp_qp *qp, const struct odp_packet *pkt)
{
	bool owed = qp->resp.ack_due;
	struct odp_remote read;

	odp_remote_from_reth(&read, pkt);
	if (read.left > ODP_MAX_MSG_SIZE) {
		odp_resp_fail(qp, ODP_SYNDROME_NAK_INV, IB_WC_LOC_LEN_ERR);
		return;
	}
	if (odp_remote_check(qp, &read, IB_ACCESS_REMOTE_READ)) {
		odp_resp_fail(qp, ODP_SYNDROME_NAK_ACCESS,
			      IB_WC_LOC_ACCESS_ERR);
		return;
	}
	odp_resp_executed(qp, pkt);
	odp_resp_read_start(qp, pkt, &read, false);
	/* The response acknowledges the READ itself. */
	qp->resp.ack_due = owed;
}

static u8 odp_resp_read_opcode(bool first, bool last)
{
	if (first)
		return last ? IB_OPCODE_RC_RDMA_READ_RESPONSE_ONLY :
			      IB_OPCODE_RC_RDMA_READ_RESPONSE_FIRST;
	return last ? IB_OPCODE_RC_RDMA_READ_RESPONSE_LAST :
		      IB_OPCODE_RC_RDMA_READ_RESPONSE_MIDDLE;
}

/* Sends what was made of the response. */
static void odp_resp_read_send(struct odp_qp *qp)
{
	struct odp_responder *resp = &qp->resp;
	struct sk_buff *skb;

	while ((skb = __skb_dequeue(&resp->out)))
		odp_packet_xmit(qp, skb);
	resp->read_sent = resp->read_psn;
	if (!resp->read_again)
		resp->ack_due = false;
}

/*
 * A READ whose memory went away while it was answered. One that is answered again
 * may have had its answer long since, and then its memory may go: the peer
 * knows whether the NAK is about something that he still wants.
 */
static void odp_resp_read_fail(struct odp_qp *qp)
{
	qp->resp.reading = false;
	if (qp->resp.read_again) {
		odp_resp_drop_packets(&qp->resp);
		odp_half_operation_done(&qp->resp.half);
		odp_responder_ack(qp, qp->resp.read_sent,
				  ODP_SYNDROME_NAK_ACCESS);
		return;
	}
	odp_resp_read_send(qp);
	odp_responder_ack(qp, qp->resp.read_psn, ODP_SYNDROME_NAK_ACCESS);
	odp_qp_event(qp, IB_EVENT_QP_ACCESS_ERR);
	odp_qp_fail(qp);
}

static int odp_resp_read_fill(struct odp_qp *qp,
			      const struct odp_packet_spec *spec)
{
	struct odp_responder *resp = &qp->resp;

	if (!resp->skb)
		resp->skb = odp_packet_new(qp, spec);
	/* Without memory for it, it is a packet that got lost. */
	if (!resp->skb)
		return 0;
	return odp_remote_copy(qp, &resp->half, &resp->read,
			       odp_packet_payload(resp->skb, spec->len),
			       spec->len, false, &resp->filled);
}

/*
 * Makes the next packet of the READ being answered. A segment of them is sent
 * at once: a page can be missing for long, the peer can only be told to wait
 * as long as nothing of the response was sent, and what was copied once is
 * right whatever becomes of the page.
 */
static int odp_resp_read_continue(struct odp_qp *qp)
{
	struct odp_responder *resp = &qp->resp;
	u32 len = min(qp->mtu, resp->read.left);
	bool last = len == resp->read.left;
	struct odp_packet_spec spec = {
		.opcode = odp_resp_read_opcode(resp->read_first, last),
		.psn = resp->read_psn,
		.len = len,
		.syndrome = ODP_SYNDROME_ACK,
		.msn = resp->msn,
	};
	int err;

	err = odp_resp_read_fill(qp, &spec);
	if (err == -EAGAIN)
		return err;
	if (err) {
		odp_resp_read_fail(qp);
		return 0;
	}
	if (resp->skb)
		__skb_queue_tail(&resp->out, resp->skb);
	resp->skb = NULL;
	resp->filled = 0;
	odp_waiter_progress(&resp->half.waiter);
	resp->read.va += len;
	resp->read.left -= len;
	resp->read_psn = odp_psn_add(resp->read_psn, 1);
	resp->read_first = false;
	resp->reading = !last;
	if (last)
		odp_half_operation_done(&resp->half);
	if (last || odp_psn_diff(resp->read_psn, resp->read_sent) >=
		    (s32)ODP_READ_SEGMENT)
		odp_resp_read_send(qp);
	return 0;
}

static void odp_resp_atomic_ack(struct odp_qp *qp,
				const struct odp_atomic_result *result)
{
	struct odp_packet_spec spec = {
		.opcode = result->silent ?
			IB_OPCODE_RC_RDMA_READ_RESPONSE_ONLY :
			IB_OPCODE_RC_ATOMIC_ACKNOWLEDGE,
		.psn = result->psn,
		.syndrome = ODP_SYNDROME_ACK,
		.msn = qp->resp.msn,
		.old = result->old,
	};
	struct sk_buff *skb = odp_packet_new(qp, &spec);

	/* Without memory for it, it is a packet that got lost. */
	if (skb)
		odp_packet_xmit(qp, skb);
}

/* The newest but @back; as many are kept as a peer can have outstanding. */
static struct odp_atomic_result *odp_resp_result(struct odp_responder *resp,
						 u32 back)
{
	return &resp->results[(resp->atomics - 1 - back) % ODP_MAX_RD_ATOMIC];
}

static void odp_atomic_from_eth(struct odp_remote *remote,
				struct odp_atomic *op,
				const struct odp_packet *pkt)
{
	const struct odp_atomic_eth *eth = odp_packet_atomic(pkt);
	u8 opcode = pkt->bth->opcode & ~ODP_BTH_SERVICE_MASK;

	remote->va = be64_to_cpu(eth->va);
	remote->rkey = be32_to_cpu(eth->rkey);
	remote->left = sizeof(u64);
	remote->srqn = odp_packet_srqn(pkt);
	op->kind = opcode == IB_OPCODE_RC_COMPARE_SWAP ? ODP_COMPARE_SWAP :
							 ODP_FETCH_ADD;
	op->swap_add = be64_to_cpu(eth->swap_add);
	op->compare = be64_to_cpu(eth->compare);
}

/* The payload is 64 bits of memory, in no byte order. False if it is not. */
static bool odp_atomic_from_payload(struct odp_remote *remote,
				    struct odp_atomic *op,
				    const struct odp_packet *pkt)
{
	odp_remote_from_reth(remote, pkt);
	if (pkt->len != sizeof(op->swap_add) || remote->left != pkt->len)
		return false;
	op->kind = ODP_ATOMIC_WRITE;
	memcpy(&op->swap_add, pkt->payload, sizeof(op->swap_add));
	return true;
}

/* What the peer asks for; false if that is nothing that may be asked for. */
static bool odp_resp_atomic_parse(const struct odp_packet *pkt,
				  struct odp_remote *remote,
				  struct odp_atomic *op)
{
	if (pkt->flags & ODP_PKT_ATOMIC_ETH)
		odp_atomic_from_eth(remote, op, pkt);
	else if (!odp_atomic_from_payload(remote, op, pkt))
		return false;
	/* 9.4.5: the address shall be aligned, or the request is invalid. */
	return IS_ALIGNED(remote->va, sizeof(u64));
}

static int odp_resp_atomic(struct odp_qp *qp, const struct odp_packet *pkt)
{
	struct odp_atomic_result result = {
		.psn = pkt->psn,
		.silent = !(pkt->flags & ODP_PKT_ATOMIC_ETH),
	};
	struct odp_remote remote;
	struct odp_atomic op;
	int err;

	if (!qp->attr.max_dest_rd_atomic ||
	    !odp_resp_atomic_parse(pkt, &remote, &op)) {
		odp_resp_fail(qp, ODP_SYNDROME_NAK_INV, IB_WC_REM_INV_REQ_ERR);
		return 0;
	}
	err = odp_remote_atomic(qp, &qp->resp.half, &remote, &op, &result.old);
	if (err)
		return odp_resp_no_memory(qp, err, ODP_SYNDROME_NAK_ACCESS,
					  IB_WC_LOC_ACCESS_ERR);
	qp->resp.atomics++;
	*odp_resp_result(&qp->resp, 0) = result;
	odp_resp_executed(qp, pkt);
	odp_resp_atomic_ack(qp, &result);
	/* That acknowledges all before it, too. */
	qp->resp.ack_due = false;
	return 0;
}

/* What is not known any more, or was no atomic, is none of an honest peer's. */
static void odp_resp_atomic_again(struct odp_qp *qp, u32 psn)
{
	struct odp_responder *resp = &qp->resp;
	u32 known = min_t(u64, resp->atomics, ODP_MAX_RD_ATOMIC);
	u32 i;

	for (i = 0; i < known; i++) {
		const struct odp_atomic_result *result = odp_resp_result(resp, i);

		if (result->psn == psn) {
			odp_resp_atomic_ack(qp, result);
			return;
		}
	}
}

/*
 * A request that was executed before: its answer got lost, or is late. READs
 * are answered again, from memory as it is now (9.7.5.1.3), and atomics as they
 * were before; others have nothing but their acknowledgment, of all that was
 * executed.
 */
static void odp_resp_duplicate(struct odp_qp *qp, const struct odp_packet *pkt)
{
	struct odp_remote read;

	odp_count(qp->dev, ODP_STAT_DUPLICATES);
	if (pkt->flags & ODP_PKT_ATOMIC) {
		odp_resp_atomic_again(qp, pkt->psn);
		return;
	}
	if (!(pkt->flags & ODP_PKT_READ)) {
		qp->resp.ack_due = true;
		return;
	}
	odp_remote_from_reth(&read, pkt);
	if (read.left > ODP_MAX_MSG_SIZE ||
	    odp_psn_diff(odp_psn_add(pkt->psn, odp_request_npsns(qp, pkt)),
			 qp->resp.epsn) > 0 ||
	    odp_remote_check(qp, &read, IB_ACCESS_REMOTE_READ))
		return;
	odp_resp_read_start(qp, pkt, &read, true);
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
		odp_resp_lose_message(qp);
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
		odp_resp_fail(qp, ODP_SYNDROME_NAK_INV, IB_WC_REM_INV_REQ_ERR);
		return 0;
	}
	if (pkt->flags & ODP_PKT_SEND)
		return odp_resp_send(qp, pkt);
	if (pkt->flags & ODP_PKT_WRITE)
		return odp_resp_write(qp, pkt);
	if (pkt->flags & ODP_PKT_ATOMIC)
		return odp_resp_atomic(qp, pkt);
	if (pkt->flags & ODP_PKT_READ)
		odp_resp_read(qp, pkt);
	else
		odp_resp_fail(qp, ODP_SYNDROME_NAK_INV, IB_WC_REM_INV_REQ_ERR);
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
		odp_resp_duplicate(qp, pkt);
		return 0;
	}
	if (diff > 0) {
		if (!resp->naked) {
			odp_count(qp->dev, ODP_STAT_NAK_SEQ_SENT);
			odp_resp_nak(qp, ODP_SYNDROME_NAK_SEQ);
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
		return odp_resp_read_continue(qp) ?: 1;
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

	odp_resp_flush_ack(qp);
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
	odp_resp_drop_packets(&qp->resp);
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
