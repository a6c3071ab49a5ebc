// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Credits: what the peer has receive requests for, of reliable connections with
 * receive queues of their own.
 *
 * Each acknowledgment says how many receive requests are left behind the messages
 * that it has counted (MSN); a shared queue promises nobody anything, and a
 * message of XRC is for one: these say that there is no count. A request in use
 * is still left: its message is not in the MSN.
 *
 * The requester numbers its requests that take one, from 1 on. The limit is the
 * number of the last one among the messages that the peer has counted, and what is
 * left behind those; so requests that take none are never limited, and cost
 * nothing. The number beyond the limit may be begun, too, and is the limited one: of a
 * SEND the first packet, which asks for an acknowledgment, and the rest when that has
 * come; an RDMA WRITE as a whole, as its last packet alone takes one. Nothing behind
 * it that takes a receive request is begun before the limit is higher, and nothing
 * overtakes those. A new connection has a limit of 0.
 *
 * Why it does not hang: the limit is never below what has completed. Who has to wait
 * for it is behind a request under way, which ends as any other: acknowledged, which
 * raises the limit whatever the peer counts; or told to wait (RNR NAK) and sent again;
 * or given up. Nobody says when receive requests come, but the limited request finds out.
 * Each message's last packet asks for an acknowledgment, so the last one before a wait
 * does. Retries and SQD know nothing of all this: what was begun may be sent as
 * often as it takes, what was not has no PSNs. RESET forgets all of it.
 *
 * The limit never goes back: a receive request that was there once stays until a
 * message takes it. So what is old says nothing new:
 *
 *	responder			requester
 *	---------			---------
 *	ACK 1: MSN 1, 2 left
 *	user posts 4
 *	ACK 2: MSN 2, 4 left (5)
 *					ACK 2: limit 2 + 4
 *					ACK 1, late: limit 1 + 2, no news
 *
 * That there is no count removes the limit for good. An MSN of messages that were
 * not sent, or are long completed, is no reason to believe the rest.
 *
 * No locks: each half has its own side of it. The user moves the ring's index at any
 * time; it is read once for each answer, and nonsense is an empty ring.
 *
 * IBTA volume 1: 9.7.5.2.1 (syndromes and their codes), 9.7.7.2 (end-to-end flow
 * control).
 */
#include <linux/log2.h>

#include "packet.h"
#include "qp.h"

/* The code of the largest count; the one behind it says that there is none. */
#define ODP_CREDIT_CODE_MAX	30U

/* Codes are for 0, 1, 2, 3, 4, 6, 8, 12, 16 and so on, up to 32768. */
static u32 odp_credit_code(u32 count)
{
	u32 log;

	if (count < 2)
		return count;
	log = ilog2(count);
	return min(2 * log + (count >> (log - 1) & 1), ODP_CREDIT_CODE_MAX);
}

static u32 odp_credit_count(u32 code)
{
	return code < 2 ? code : (2 | (code & 1)) << (code / 2 - 1);
}

/**
 * odp_credit_syndrome - the syndrome of an acknowledgment
 * @qp: The queue pair. Responder only.
 */
u8 odp_credit_syndrome(const struct odp_qp *qp)
{
	if (qp->ib.qp_type != IB_QPT_RC || qp->ib.srq)
		return ODP_SYNDROME_ACK;
	return ODP_AETH_ACK |
	       odp_credit_code(odp_rq_left(&qp->rq) + qp->resp.have_rwqe);
}

static bool odp_credit_needed(const struct odp_swqe *swqe)
{
	switch (swqe->wqe.opcode) {
	case IB_WR_SEND:
	case IB_WR_SEND_WITH_IMM:
	case IB_WR_SEND_WITH_INV:
	case IB_WR_RDMA_WRITE_WITH_IMM:
		return true;
	default:
		return false;
	}
}

/* As the peer counts them, each part of a READ is a message. */
static u32 odp_credit_messages(const struct odp_swqe *swqe)
{
	return odp_swqe_fetches(swqe) ?
		DIV_ROUND_UP(swqe->npsns, ODP_READ_SEGMENT) : 1;
}

/**
 * odp_credit_begin - begins a request, if it need not wait
 * @qp: The queue pair. Requester only.
 * @swqe: The request; it is known how many PSNs it takes.
 *
 * Return: false, with nothing changed, if it is too far beyond the limit.
 */
bool odp_credit_begin(struct odp_qp *qp, struct odp_swqe *swqe)
{
	struct odp_credits *credits = &qp->req.credits;
	u32 receive = credits->begun + odp_credit_needed(swqe);

	if (!credits->unlimited && (s32)(receive - credits->limit) > 1)
		return false;
	credits->begun = receive;
	credits->sent += odp_credit_messages(swqe);
	swqe->receive = receive;
	swqe->msn = credits->sent;
	return true;
}

/**
 * odp_credit_limited - may no more than the first packet of it be sent?
 * @qp: The queue pair. Requester only.
 * @swqe: The request, which was begun.
 *
 * Of an RDMA WRITE with immediate data all but the last packet needs no receive
 * request: it is sent as a whole.
 */
bool odp_credit_limited(const struct odp_qp *qp, const struct odp_swqe *swqe)
{
	const struct odp_requester *req = &qp->req;

	return !req->credits.unlimited && odp_credit_needed(swqe) &&
	       (s32)(swqe->receive - req->credits.limit) > 0 &&
	       swqe->wqe.opcode != IB_WR_RDMA_WRITE_WITH_IMM &&
	       odp_psn_diff(req->una, swqe->first_psn) <= 0;
}

/**
 * odp_credit_end - a request has completed
 * @qp: The queue pair. Requester only.
 * @swqe: The request.
 */
void odp_credit_end(struct odp_qp *qp, const struct odp_swqe *swqe)
{
	struct odp_credits *credits = &qp->req.credits;

	credits->msn = swqe->msn;
	credits->done = swqe->receive;
	if ((s32)(credits->done - credits->limit) > 0)
		credits->limit = credits->done;
}

/**
 * odp_credit_update - takes what an answer says about the limit
 * @qp: The queue pair. Requester only.
 * @pkt: The answer, which has an AETH and is a valid one.
 */
void odp_credit_update(struct odp_qp *qp, const struct odp_packet *pkt)
{
	struct odp_credits *credits = &qp->req.credits;
	u32 smsn = be32_to_cpu(odp_packet_aeth(pkt)->smsn);
	u32 code = smsn >> 24 & ODP_AETH_DETAIL;
	u32 limit = credits->done;
	u32 index;

	if (credits->unlimited || smsn >> 24 & ODP_AETH_KIND)
		return;
	credits->unlimited = code == ODP_AETH_DETAIL;
	if (odp_psn_diff(smsn, credits->msn) < 0 ||
	    odp_psn_diff(smsn, credits->sent) > 0)
		return;
	for (index = qp->sq.head; index != qp->req.unsent; index++) {
		const struct odp_swqe *swqe = odp_sq_entry(&qp->sq, index);

		if (odp_swqe_is_local(swqe))
			continue;
		if (odp_psn_diff(smsn, swqe->msn) < 0)
			break;
		limit = swqe->receive;
	}
	limit += odp_credit_count(code);
	if ((s32)(limit - credits->limit) > 0)
		credits->limit = limit;
}

/**
 * odp_credit_reset - nothing is known of the peer
 * @qp: The queue pair, new or stopped.
 */
void odp_credit_reset(struct odp_qp *qp)
{
	qp->req.credits = (struct odp_credits){
		.unlimited = qp->ib.qp_type != IB_QPT_RC,
	};
}
