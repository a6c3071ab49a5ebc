// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The completer: the part of the requester that takes the peer's answers.
 *
 * Send requests complete in order. An answer acknowledges everything before
 * it, but a READ or an atomic is only done when its response is there: an answer
 * to something behind one that is not done says that responses were lost.
 */
#include "packet.h"
#include "qp.h"

/* Everything before this PSN is acknowledged. */
static void odp_comp_set_una(struct odp_qp *qp, u32 una)
{
	struct odp_requester *req = &qp->req;

	if (odp_psn_diff(una, req->una) <= 0)
		return;
	req->una = una;
	odp_requester_progress(qp);
	/* Was it sent again needlessly? Then go on behind it. */
	if (odp_psn_diff(req->psn, una) < 0)
		odp_requester_seek(qp, una);
}

static struct odp_swqe *odp_comp_oldest(struct odp_qp *qp)
{
	if (qp->sq.head == qp->req.unsent)
		return NULL;
	return odp_sq_entry(&qp->sq, qp->sq.head);
}

/*
 * Completes what is done once everything before @una is acknowledged. False if
 * a READ or an atomic that should have been answered before was not.
 */
static bool odp_comp_advance(struct odp_qp *qp, u32 una)
{
	struct odp_swqe *swqe;

	while ((swqe = odp_comp_oldest(qp))) {
		u32 end = odp_psn_add(swqe->first_psn, swqe->npsns);

		if (odp_psn_diff(una, swqe->first_psn) <= 0)
			break;
		if (odp_swqe_asks(swqe)) {
			odp_comp_set_una(qp, swqe->first_psn);
			return odp_psn_diff(una, qp->req.una) <= 0;
		}
		if (odp_psn_diff(una, end) < 0)
			break;
		odp_comp_set_una(qp, end);
		odp_requester_complete(qp, IB_WC_SUCCESS, 0);
	}
	odp_comp_set_una(qp, una);
	return true;
}

/* A response is missing; ask again, but only once for the same one. */
static void odp_comp_gap(struct odp_qp *qp)
{
	if (qp->req.gap)
		return;
	if (odp_requester_go_back(qp))
		qp->req.gap = true;
}

static enum ib_wc_status odp_nak_status(u8 syndrome)
{
	switch (syndrome) {
	case ODP_SYNDROME_NAK_INV:
		return IB_WC_REM_INV_REQ_ERR;
	case ODP_SYNDROME_NAK_ACCESS:
		return IB_WC_REM_ACCESS_ERR;
	case ODP_SYNDROME_NAK_OP:
		return IB_WC_REM_OP_ERR;
	default:
		return IB_WC_BAD_RESP_ERR;
	}
}

static void odp_comp_nak(struct odp_qp *qp, u8 syndrome)
{
	if (syndrome == ODP_SYNDROME_NAK_SEQ) {
		odp_count(qp->dev, ODP_STAT_NAK_SEQ_RECEIVED);
		odp_requester_go_back(qp);
	} else if (odp_comp_oldest(qp)) {
		odp_requester_fail(qp, odp_nak_status(syndrome), syndrome);
	}
}

static void odp_comp_ack(struct odp_qp *qp, const struct odp_packet *pkt)
{
	u8 syndrome = be32_to_cpu(odp_packet_aeth(pkt)->smsn) >> 24;
	u8 kind = syndrome & ODP_AETH_KIND;
	bool ack = kind == ODP_AETH_ACK;
	/* A NAK acknowledges what is before it, an ACK itself, too. */
	u32 una = odp_psn_add(pkt->psn, ack);
	bool all;

	/* An ACK of what is acknowledged may still say more about credits. */
	if (odp_psn_diff(una, qp->req.una) < 0 ||
	    odp_psn_diff(una, qp->req.max_psn) >= ack)
		return;
	all = odp_comp_advance(qp, una);
	odp_credit_update(qp, pkt);
	/* What is to be sent again then begins with what was lost. */
	if (kind == ODP_AETH_RNR)
		odp_requester_rnr(qp, syndrome & ODP_AETH_DETAIL, all);
	else if (!all)
		odp_comp_gap(qp);
	else if (kind == ODP_AETH_NAK)
		odp_comp_nak(qp, syndrome);
}

/* The end of a segment, where one READ request packet is answered. */
static bool odp_comp_segment_done(const struct odp_swqe *swqe, u32 done)
{
	return done == swqe->npsns || done % ODP_READ_SEGMENT == 0;
}

/* Bytes that the response has from an offset on */
static u32 odp_comp_expected(const struct odp_qp *qp,
			     const struct odp_swqe *swqe, u32 offset)
{
	if (odp_swqe_is_atomic_write(swqe))
		return 0;
	return min(qp->mtu, swqe->length - offset);
}

/* A response that is in order for the oldest request; as odp_sg_copy(). */
static int odp_comp_data(struct odp_qp *qp, struct odp_swqe *swqe,
			 const struct odp_packet *pkt)
{
	u32 n = odp_psn_diff(pkt->psn, swqe->first_psn);
	u32 offset = n * qp->mtu;
	bool atomic = pkt->flags & ODP_PKT_ATOMIC;
	u64 old = atomic ? be64_to_cpu(odp_packet_atomic_ack(pkt)->old) : 0;
	void *data = atomic ? &old : pkt->payload;
	u32 len = atomic ? sizeof(old) : pkt->len;
	int err;

	if (atomic != odp_swqe_is_atomic(swqe) ||
	    len != odp_comp_expected(qp, swqe, offset)) {
		odp_requester_fail(qp, IB_WC_BAD_RESP_ERR, 0);
		return 0;
	}
	err = odp_sg_copy(qp->ib.pd, &qp->req.half, odp_swqe_sge(swqe),
			  swqe->wqe.num_sge, offset, data, len, true,
			  &qp->req.taken);
	if (err == -EAGAIN)
		return err;
	if (err) {
		odp_requester_fail(qp, IB_WC_LOC_PROT_ERR, 0);
		return 0;
	}
	if (odp_comp_segment_done(swqe, n + 1) && qp->req.reads)
		qp->req.reads--;
	odp_comp_set_una(qp, odp_psn_add(pkt->psn, 1));
	if (pkt->flags & ODP_PKT_AETH)
		odp_credit_update(qp, pkt);
	if (n + 1 == swqe->npsns)
		odp_requester_complete(qp, IB_WC_SUCCESS, 0);
	return 0;
}

/* Of a READ or an atomic. */
static int odp_comp_response(struct odp_qp *qp, const struct odp_packet *pkt)
{
	struct odp_swqe *swqe;

	if (odp_psn_diff(pkt->psn, qp->req.max_psn) >= 0)
		return 0;
	if (odp_psn_diff(pkt->psn, qp->req.una) < 0) {
		odp_requester_alive(qp);
		return 0;
	}
	if (!odp_comp_advance(qp, pkt->psn) || pkt->psn != qp->req.una) {
		odp_comp_gap(qp);
		return 0;
	}
	swqe = odp_comp_oldest(qp);
	if (!swqe || !odp_swqe_asks(swqe) ||
	    odp_psn_diff(pkt->psn, swqe->first_psn) < 0)
		return 0;
	return odp_comp_data(qp, swqe, pkt);
}

/**
 * odp_completer_run - takes in an answer
 * @qp: The queue pair. Requester only.
 * @skb: The packet; not consumed.
 *
 * Return: 0, or -EAGAIN if a page is missing.
 */
int odp_completer_run(struct odp_qp *qp, struct sk_buff *skb)
{
	const struct odp_packet *pkt = odp_packet(skb);

	if (pkt->flags & (ODP_PKT_READ | ODP_PKT_ATOMIC))
		return odp_comp_response(qp, pkt);
	odp_comp_ack(qp, pkt);
	return 0;
}
