// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Outcomes: what becomes of a request of the peer, and who is told.
 *
 * It is executed, and acknowledged; or it is refused, by a NAK; or it is lost.
 * Acknowledgments are owed for a turn and sent at its end, so that packets that
 * arrive together are acknowledged together.
 *
 * On an unreliable connection the peer is told nothing. What is missing takes the
 * rest of its message with it; a receive request that had a part of it is for the
 * next message then.
 *
 * No locks: the owner of the responder's half is alone with it. An acknowledgment
 * may be sent by others, too.
 *
 * IBTA volume 1: 9.7.5 (acknowledgments), 9.8.2 (unreliable connection),
 * 9.9.3 (responder errors).
 */
#include "packet.h"
#include "qp.h"

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

/**
 * odp_responder_flush_ack - acknowledges what was executed so far, if that is owed
 * @qp: The queue pair. Responder only.
 *
 * That is up to the last packet that was no READ, FLUSH or atomic: those are
 * acknowledged by their responses alone, and the requester of rdma_rxe takes an ACK
 * of one for its data. Not while a READ is answered again, as that says that the
 * responses were sent of all READs before.
 */
void odp_responder_flush_ack(struct odp_qp *qp)
{
	struct odp_responder *resp = &qp->resp;

	if (!resp->ack_due || (resp->reading && resp->read_again))
		return;
	resp->ack_due = false;
	odp_responder_ack(qp, resp->ack_psn, odp_credit_syndrome(qp));
}

/**
 * odp_responder_nak - a NAK for the expected packet
 * @qp: The queue pair. Responder only.
 * @syndrome: ODP_SYNDROME_NAK_*, or an RNR NAK with its timer code.
 *
 * What comes is dropped until that packet does.
 */
void odp_responder_nak(struct odp_qp *qp, u8 syndrome)
{
	odp_responder_flush_ack(qp);
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

/**
 * odp_responder_lose_message - a message is lost
 * @qp: The queue pair, of an unreliable connection. Responder only.
 *
 * A request that had a part of it is for the next one, but if it is from a shared
 * queue: others may need those.
 */
void odp_responder_lose_message(struct odp_qp *qp)
{
	qp->resp.message = ODP_MSG_NONE;
	if (qp->ib.srq)
		odp_responder_recv_error(qp, IB_WC_REM_INV_REQ_ERR);
}

/**
 * odp_responder_lose - the expected packet is lost, and its message with it
 * @qp: The queue pair, of an unreliable connection. Responder only.
 */
void odp_responder_lose(struct odp_qp *qp)
{
	odp_count(qp->dev, ODP_STAT_RX_DROPPED);
	odp_responder_lose_message(qp);
	qp->resp.epsn = odp_psn_add(qp->resp.epsn, 1);
}

/**
 * odp_responder_fail - ends the connection
 * @qp: The queue pair. Responder only.
 * @syndrome: ODP_SYNDROME_NAK_*.
 * @status: How the receive request in use ends.
 *
 * The peer is told by a NAK, the user by the receive request in use or, if there
 * is none, by an event. What is the peer's fault is no end of an unreliable one.
 */
void odp_responder_fail(struct odp_qp *qp, u8 syndrome,
			enum ib_wc_status status)
{
	bool access = syndrome == ODP_SYNDROME_NAK_ACCESS;

	if (!odp_qp_is_reliable(qp) && syndrome != ODP_SYNDROME_NAK_OP) {
		odp_responder_lose(qp);
		return;
	}
	odp_responder_nak(qp, syndrome);
	if (qp->resp.have_rwqe)
		odp_responder_recv_error(qp, status);
	else
		odp_qp_event(qp, access ? IB_EVENT_QP_ACCESS_ERR :
					  IB_EVENT_QP_REQ_ERR);
	odp_qp_fail(qp);
}

/**
 * odp_responder_no_memory - memory was not there to be accessed
 * @qp: The queue pair. Responder only.
 * @err: As odp_sg_copy() and its like return it.
 * @syndrome: As for odp_responder_fail().
 * @status: The same.
 *
 * Return: -EAGAIN if its page is only missing; else that ends the connection, and 0.
 */
int odp_responder_no_memory(struct odp_qp *qp, int err, u8 syndrome,
			    enum ib_wc_status status)
{
	if (err == -EAGAIN)
		return err;
	odp_responder_fail(qp, syndrome, status);
	return 0;
}

/* The peer sends before the user was told by other means that it may. */
static void odp_resp_established(struct odp_qp *qp)
{
	if (qp->resp.established || odp_qp_state(qp) != IB_QPS_RTR)
		return;
	qp->resp.established = true;
	odp_qp_event(qp, IB_EVENT_COMM_EST);
}

/**
 * odp_responder_executed - the packet is executed
 * @qp: The queue pair. Responder only.
 * @pkt: The packet that was expected; the one behind it is now.
 */
void odp_responder_executed(struct odp_qp *qp, const struct odp_packet *pkt)
{
	struct odp_responder *resp = &qp->resp;

	resp->epsn = odp_psn_add(pkt->psn, odp_request_npsns(qp, pkt));
	resp->naked = false;
	if (!(pkt->flags & (ODP_PKT_READ | ODP_PKT_ATOMIC | ODP_PKT_FLUSH)))
		resp->ack_psn = pkt->psn;
	if (pkt->flags & ODP_PKT_LAST)
		WRITE_ONCE(resp->msn, (resp->msn + 1) & 0xffffff);
	if (be32_to_cpu(pkt->bth->psn) & ODP_BTH_ACK_REQ)
		resp->ack_due = true;
	odp_resp_established(qp);
}
