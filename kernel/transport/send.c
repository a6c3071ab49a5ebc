// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Sending: what becomes of a send request, packet by packet.
 *
 * A long READ is asked for in segments, so that the peer never has more than a
 * window's worth of responses to send; segments begin at fixed PSNs, also when
 * one is asked for again in the middle. An atomic is a READ of one packet, but
 * for what the peer does. An ATOMIC WRITE is sent like an RDMA WRITE and answered
 * like a READ of nothing.
 *
 * On an unreliable connection a request is done when it is sent: nothing is
 * outstanding, and nothing is sent again.
 *
 * Requests about keys have no PSNs. Those that bind or invalidate are carried out
 * when all before them have completed, so that none is done that an error should
 * have kept away; a registration, whose key nobody has, when it is its turn to be sent.
 *
 * No locks: the owner of the requester's half is alone with it, and with the
 * requests between head and tail of the queue. A packet is the requester's until
 * it is full. Memory is held for the time of a copy only (sg.c).
 *
 * IBTA volume 1: 9.7 (reliable service).
 */
#include <linux/jiffies.h>

#include "packet.h"
#include "qp.h"
#include "window.h"

/* Gives the send request its PSNs; false if it is not to be started now. */
static bool odp_req_start(struct odp_qp *qp, struct odp_swqe *swqe)
{
	struct odp_requester *req = &qp->req;

	if (swqe->status == IB_WC_SUCCESS && odp_swqe_asks(swqe) &&
	    !qp->attr.max_rd_atomic)
		swqe->status = IB_WC_LOC_QP_OP_ERR;
	if (swqe->status != IB_WC_SUCCESS)
		return true;
	if (swqe->wqe.flags & IB_SEND_FENCE && req->reads)
		return false;
	swqe->first_psn = req->psn;
	swqe->npsns = max(1U, DIV_ROUND_UP(swqe->length, qp->mtu));
	if (!odp_credit_begin(qp, swqe))
		return false;
	req->unsent++;
	return true;
}

static void odp_req_sent(struct odp_qp *qp, u32 npsns, u32 bytes)
{
	struct odp_requester *req = &qp->req;
	struct odp_swqe *swqe = odp_sq_entry(&qp->sq, req->cur);

	if (!odp_requester_outstanding(req))
		odp_requester_set_deadline(qp);
	req->psn = odp_psn_add(req->psn, npsns);
	if (odp_psn_diff(req->psn, req->max_psn) > 0)
		req->max_psn = req->psn;
	req->offset += bytes;
	if (req->psn == odp_psn_add(swqe->first_psn, swqe->npsns)) {
		req->cur++;
		req->offset = 0;
	}
	if (!odp_qp_is_reliable(qp))
		req->una = req->psn;
}

static u8 odp_req_opcode(const struct odp_swqe *swqe, bool first, bool last)
{
	bool inv = last && swqe->wqe.opcode == IB_WR_SEND_WITH_INV;
	bool imm = last && (swqe->wqe.opcode == IB_WR_SEND_WITH_IMM ||
			    swqe->wqe.opcode == IB_WR_RDMA_WRITE_WITH_IMM);
	bool write = swqe->wqe.opcode == IB_WR_RDMA_WRITE ||
		     swqe->wqe.opcode == IB_WR_RDMA_WRITE_WITH_IMM;

	if (odp_swqe_is_atomic_write(swqe))
		return ODP_OPCODE_ATOMIC_WRITE;
	if (inv)
		return first ? IB_OPCODE_RC_SEND_ONLY_WITH_INVALIDATE :
			       IB_OPCODE_RC_SEND_LAST_WITH_INVALIDATE;
	if (first && last)
		return write ? IB_OPCODE_RC_RDMA_WRITE_ONLY + imm :
			       IB_OPCODE_RC_SEND_ONLY + imm;
	if (last)
		return write ? IB_OPCODE_RC_RDMA_WRITE_LAST + imm :
			       IB_OPCODE_RC_SEND_LAST + imm;
	if (first)
		return write ? IB_OPCODE_RC_RDMA_WRITE_FIRST :
			       IB_OPCODE_RC_SEND_FIRST;
	return write ? IB_OPCODE_RC_RDMA_WRITE_MIDDLE :
		       IB_OPCODE_RC_SEND_MIDDLE;
}

/**
 * odp_requester_gather - fills odp_requester.skb
 * @qp: The queue pair. Requester only.
 * @swqe: The request that has the data, from odp_requester.offset on.
 * @len: Bytes of payload.
 *
 * Return: as odp_sg_copy().
 */
int odp_requester_gather(struct odp_qp *qp, struct odp_swqe *swqe, u32 len)
{
	struct odp_requester *req = &qp->req;
	void *buf = odp_packet_payload(req->skb, len);

	if (swqe->wqe.flags & IB_SEND_INLINE) {
		memcpy(buf, (void *)(swqe + 1) + req->offset, len);
		return 0;
	}
	return odp_sg_copy(qp->ib.pd, &req->half, odp_swqe_sge(swqe),
			   swqe->wqe.num_sge, req->offset, buf, len, false,
			   &req->filled);
}

/* One packet of a SEND or of either WRITE; as odp_sg_copy(), or -ENOMEM. */
static int odp_req_send_data(struct odp_qp *qp, struct odp_swqe *swqe)
{
	struct odp_requester *req = &qp->req;
	u32 len = min(qp->mtu, swqe->length - req->offset);
	bool first = req->psn == swqe->first_psn;
	bool last = len == swqe->length - req->offset;
	struct odp_remote remote = {
		.va = swqe->wqe.remote_addr,
		.rkey = swqe->wqe.rkey,
		.left = swqe->length,
	};
	struct odp_packet_spec spec = {
		.opcode = odp_req_opcode(swqe, first, last),
		.psn = req->psn,
		.len = len,
		.solicited = last && swqe->wqe.flags & IB_SEND_SOLICITED,
		.ack_req = odp_qp_is_reliable(qp) &&
			   (last || req->probing ||
			    odp_credit_limited(qp, swqe) ||
			    req->unasked + 1 >= ODP_ACK_INTERVAL),
		.reth = &remote,
		.imm = swqe->wqe.imm_data,
		.invalidate = swqe->wqe.invalidate_rkey,
		.srqn = swqe->wqe.remote_srqn,
	};
	struct sk_buff *skb;
	int err;

	if (!req->skb)
		req->skb = odp_packet_new(qp, &spec);
	if (!req->skb)
		return -ENOMEM;
	err = odp_requester_gather(qp, swqe, len);
	if (err)
		return err;
	skb = req->skb;
	req->skb = NULL;
	req->filled = 0;
	req->unasked = spec.ack_req ? 0 : req->unasked + 1;
	req->reads += odp_swqe_asks(swqe);
	odp_waiter_progress(&req->half.waiter);
	if (last)
		odp_half_operation_done(&req->half);
	odp_req_sent(qp, 1, len);
	odp_packet_xmit(qp, skb);
	if (last && !odp_qp_is_reliable(qp))
		odp_requester_complete(qp, IB_WC_SUCCESS, 0);
	return 0;
}

/* PSNs from here to the end of the segment of a READ. */
static u32 odp_req_segment(const struct odp_qp *qp, const struct odp_swqe *swqe)
{
	u32 done = odp_psn_diff(qp->req.psn, swqe->first_psn);

	return min(ODP_READ_SEGMENT - done % ODP_READ_SEGMENT,
		   swqe->npsns - done);
}

static u8 odp_req_ask_opcode(const struct odp_send_wqe *wqe)
{
	switch (wqe->opcode) {
	case IB_WR_ATOMIC_CMP_AND_SWP:
		return IB_OPCODE_RC_COMPARE_SWAP;
	case IB_WR_ATOMIC_FETCH_AND_ADD:
		return IB_OPCODE_RC_FETCH_ADD;
	default:
		return IB_OPCODE_RC_RDMA_READ_REQUEST;
	}
}

static struct odp_atomic odp_req_atomic(const struct odp_send_wqe *wqe)
{
	if (wqe->opcode == IB_WR_ATOMIC_FETCH_AND_ADD)
		return (struct odp_atomic){ .swap_add = wqe->compare_add };
	return (struct odp_atomic){
		.kind = ODP_COMPARE_SWAP,
		.swap_add = wqe->swap,
		.compare = wqe->compare_add,
	};
}

/* The request packet of an atomic, or of a segment of a READ. */
static void odp_req_ask(struct odp_qp *qp, struct odp_swqe *swqe)
{
	struct odp_requester *req = &qp->req;
	u32 npsns = odp_req_segment(qp, swqe);
	struct odp_remote remote = {
		.va = swqe->wqe.remote_addr + req->offset,
		.rkey = swqe->wqe.rkey,
		.left = min(npsns * qp->mtu, swqe->length - req->offset),
	};
	struct odp_atomic atomic = odp_req_atomic(&swqe->wqe);
	struct odp_packet_spec spec = {
		.opcode = odp_req_ask_opcode(&swqe->wqe),
		.psn = req->psn,
		.ack_req = true,
		.reth = &remote,
		.atomic = &atomic,
		.srqn = swqe->wqe.remote_srqn,
	};
	struct sk_buff *skb;

	skb = odp_packet_new(qp, &spec);
	req->reads++;
	req->unasked = 0;
	odp_req_sent(qp, npsns, remote.left);
	if (skb)
		odp_packet_xmit(qp, skb);
}

/*
 * May the next packet, which takes that many PSNs, be sent now? After a timeout
 * or an RNR NAK a single one is, until the peer answers: it may have all of them
 * already and be slow, and would be slower with all of them once more in its way.
 */
static bool odp_req_room(const struct odp_qp *qp, const struct odp_swqe *swqe)
{
	const struct odp_requester *req = &qp->req;
	u32 out = odp_psn_diff(req->psn, req->una);

	if (out && req->probing)
		return false;
	if (!odp_swqe_asks(swqe))
		return out < ODP_WINDOW &&
		       (req->psn == swqe->first_psn ||
			!odp_credit_limited(qp, swqe));
	return req->reads < qp->attr.max_rd_atomic &&
	       out + odp_req_segment(qp, swqe) <= ODP_WINDOW;
}

static int odp_req_change_key(struct odp_qp *qp,
			      const struct odp_send_wqe *wqe)
{
	const struct odp_bind bind = {
		.key = wqe->rkey,
		.region_key = wqe->bind_key,
		.access = wqe->bind_access,
		.addr = wqe->remote_addr,
		.length = wqe->bind_length,
	};

	switch (wqe->opcode) {
	case IB_WR_REG_MR:
		return odp_window_register(qp->dev, qp->ib.pd, &bind);
	case IB_WR_BIND_MW:
		return odp_window_bind(qp->dev, qp->ib.pd, qp->ib.qp_num, &bind);
	default:
		return odp_window_invalidate(qp->dev, qp->ib.pd, ODP_QPN_LOCAL,
					     wqe->invalidate_rkey);
	}
}

/*
 * A request about keys. Those that take rights away, or change what the peer has,
 * are carried out when all before them are through. Nobody has a region that is
 * registered: it does not wait for the answers to what was sent before.
 *
 * 0: not now.
 */
static int odp_req_local(struct odp_qp *qp, struct odp_swqe *swqe)
{
	struct odp_requester *req = &qp->req;
	bool registers = swqe->wqe.opcode == IB_WR_REG_MR;
	bool fenced = swqe->wqe.flags & IB_SEND_FENCE && req->reads;

	/* Met again by going back */
	if (req->cur != req->unsent) {
		req->cur++;
		return 1;
	}
	if (qp->sq.head != req->cur && (!registers || fenced))
		return 0;
	if (odp_req_change_key(qp, &swqe->wqe)) {
		swqe->status = IB_WC_MW_BIND_ERR;
		return 1;
	}
	swqe->first_psn = req->psn;
	swqe->npsns = 0;
	req->cur++;
	req->unsent++;
	odp_requester_complete_local(qp);
	return 1;
}

/**
 * odp_requester_send - sends the next packet
 * @qp: The queue pair. Requester only.
 *
 * Return: 1: sent; 0: nothing to be sent now; else as odp_sg_copy().
 */
int odp_requester_send(struct odp_qp *qp)
{
	struct odp_requester *req = &qp->req;
	struct odp_swqe *swqe;
	int err;

	if (req->rnr_wait || req->cur == odp_sq_tail(&qp->sq))
		return 0;
	if (req->cur == req->unsent && !odp_requester_may_begin(qp))
		return 0;
	swqe = odp_sq_entry(&qp->sq, req->cur);
	if (odp_swqe_is_local(swqe) && swqe->status == IB_WC_SUCCESS)
		return odp_req_local(qp, swqe);
	if (req->cur == req->unsent && !odp_req_start(qp, swqe))
		return 0;
	/* A bad request fails when all before it are through. */
	if (swqe->status != IB_WC_SUCCESS) {
		if (qp->sq.head != req->cur)
			return 0;
		odp_requester_fail(qp, swqe->status, 0);
		return 1;
	}
	if (!odp_req_room(qp, swqe))
		return 0;
	if (odp_swqe_fetches(swqe)) {
		odp_req_ask(qp, swqe);
		return 1;
	}
	err = odp_req_send_data(qp, swqe);
	if (err == -ENOMEM) {
		/* What waits for it may be what frees memory. */
		timer_reduce(&req->timer, jiffies + 1);
		return 0;
	}
	if (err && err != -EAGAIN) {
		odp_requester_drop_packet(req);
		swqe->status = IB_WC_LOC_PROT_ERR;
		return 1;
	}
	return err ?: 1;
}
