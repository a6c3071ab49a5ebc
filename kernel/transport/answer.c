// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Answers: the requests that want data, READs and atomics, those that want to know
 * that it is there, FLUSHes, and those that come again.
 *
 * A READ is answered packet by packet while later requests wait behind it. An
 * atomic is executed once, and what it has returned is kept for when it comes
 * again; an ATOMIC WRITE is one that returns nothing. A FLUSH is answered like a READ
 * of no bytes, as often as it comes: what came before it is executed.
 *
 * No locks: the owner of the responder's half is alone with it. Packets that are
 * made and not sent are the responder's; who stops or flushes it drops them.
 *
 * IBTA volume 1: 9.7.5 (acknowledgments), annex A19 (ATOMIC WRITE, FLUSH).
 */
#include "packet.h"
#include "qp.h"
#include "window.h"

/**
 * odp_responder_drop_packets - drops what was made of an answer and not sent
 * @resp: The responder, owned or at rest.
 */
void odp_responder_drop_packets(struct odp_responder *resp)
{
	__skb_queue_purge(&resp->out);
	kfree_skb(resp->skb);
	resp->skb = NULL;
	resp->filled = 0;
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

/**
 * odp_responder_read - begins to answer a READ
 * @qp: The queue pair. Responder only.
 * @pkt: The packet that is expected next.
 */
void odp_responder_read(struct odp_qp *qp, const struct odp_packet *pkt)
{
	bool owed = qp->resp.ack_due;
	struct odp_remote read;

	odp_remote_from_reth(&read, pkt);
	if (read.left > ODP_MAX_MSG_SIZE) {
		odp_responder_fail(qp, ODP_SYNDROME_NAK_INV, IB_WC_LOC_LEN_ERR);
		return;
	}
	if (odp_remote_check(qp, &read, IB_ACCESS_REMOTE_READ)) {
		odp_responder_fail(qp, ODP_SYNDROME_NAK_ACCESS,
				   IB_WC_LOC_ACCESS_ERR);
		return;
	}
	odp_responder_executed(qp, pkt);
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
		odp_responder_drop_packets(&qp->resp);
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

/**
 * odp_responder_read_continue - makes the next packet of the READ being answered
 * @qp: The queue pair. Responder only.
 *
 * A segment of them is sent at once: a page can be missing for long, the peer can
 * only be told to wait as long as nothing of the response was sent, and what was
 * copied once is right whatever becomes of the page.
 *
 * Return: as odp_responder_send().
 */
int odp_responder_read_continue(struct odp_qp *qp)
{
	struct odp_responder *resp = &qp->resp;
	u32 len = min(qp->mtu, resp->read.left);
	bool last = len == resp->read.left;
	struct odp_packet_spec spec = {
		.opcode = odp_resp_read_opcode(resp->read_first, last),
		.psn = resp->read_psn,
		.len = len,
		.syndrome = odp_credit_syndrome(qp),
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
		.syndrome = odp_credit_syndrome(qp),
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

/**
 * odp_responder_atomic - executes and answers an atomic
 * @qp: The queue pair. Responder only.
 * @pkt: The packet that is expected next.
 *
 * Return: as odp_responder_send().
 */
int odp_responder_atomic(struct odp_qp *qp, const struct odp_packet *pkt)
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
		odp_responder_fail(qp, ODP_SYNDROME_NAK_INV,
				   IB_WC_REM_INV_REQ_ERR);
		return 0;
	}
	err = odp_remote_atomic(qp, &qp->resp.half, &remote, &op, &result.old);
	if (err)
		return odp_responder_no_memory(qp, err, ODP_SYNDROME_NAK_ACCESS,
					       IB_WC_LOC_ACCESS_ERR);
	qp->resp.atomics++;
	*odp_resp_result(&qp->resp, 0) = result;
	odp_responder_executed(qp, pkt);
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

static void odp_resp_flushed(struct odp_qp *qp, u32 psn)
{
	const struct odp_atomic_result nothing = { .psn = psn, .silent = true };

	odp_resp_atomic_ack(qp, &nothing);
}

/* What is to be flushed; false if that is nothing that may be asked for. */
static bool odp_resp_flush_parse(const struct odp_packet *pkt,
				 struct odp_remote *remote, u32 *types)
{
	u32 bits = be32_to_cpu(odp_packet_feth(pkt)->bits);

	odp_remote_from_reth(remote, pkt);
	*types = bits & ODP_FETH_TYPES;
	if (!*types || *types & ~(ODP_FETH_GLOBAL | ODP_FETH_PERSISTENT))
		return false;
	switch (bits & ODP_FETH_LEVEL) {
	case ODP_FETH_RANGE:
		return remote->left <= ODP_RETH_MAX_LEN;
	case ODP_FETH_REGION:
		/* The RETH has nothing to say but the key. */
		remote->left = 0;
		return true;
	default:
		return false;
	}
}

/**
 * odp_responder_rdma_flush - executes and answers a FLUSH
 * @qp: The queue pair. Responder only.
 * @pkt: The packet that is expected next.
 *
 * What came before it was written to memory, by the CPU, so others see it already.
 * No memory here is persistent, so nobody has the right to ask for that.
 */
void odp_responder_rdma_flush(struct odp_qp *qp, const struct odp_packet *pkt)
{
	struct odp_remote remote;
	u32 types;

	if (!odp_resp_flush_parse(pkt, &remote, &types)) {
		odp_responder_fail(qp, ODP_SYNDROME_NAK_INV,
				   IB_WC_REM_INV_REQ_ERR);
		return;
	}
	if (types & ODP_FETH_PERSISTENT ||
	    odp_remote_check_key(qp, &remote, ODP_ACCESS_FLUSH_GLOBAL)) {
		odp_responder_fail(qp, ODP_SYNDROME_NAK_ACCESS,
				   IB_WC_LOC_ACCESS_ERR);
		return;
	}
	/* To whoever hears of the answer, be it a device. */
	wmb();
	odp_responder_executed(qp, pkt);
	odp_resp_flushed(qp, pkt->psn);
	/* That acknowledges all before it, too. */
	qp->resp.ack_due = false;
}

/**
 * odp_responder_duplicate - answers a request that was executed before
 * @qp: The queue pair. Responder only.
 * @pkt: The request.
 *
 * Its answer got lost, or is late. READs are answered again, from memory as it is
 * now (9.7.5.1.3), atomics as they were before, and a FLUSH, whose answer is always the
 * same, whatever its key is worth by then; others have nothing but their acknowledgment,
 * of all that was executed.
 */
void odp_responder_duplicate(struct odp_qp *qp, const struct odp_packet *pkt)
{
	struct odp_remote read;

	odp_count(qp->dev, ODP_STAT_DUPLICATES);
	if (pkt->flags & ODP_PKT_ATOMIC) {
		odp_resp_atomic_again(qp, pkt->psn);
		return;
	}
	if (pkt->flags & ODP_PKT_FLUSH) {
		odp_resp_flushed(qp, pkt->psn);
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
