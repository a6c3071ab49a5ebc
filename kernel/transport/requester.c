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
 * A long READ is asked for in segments, so that the peer never has more than a
 * window's worth of responses to send; segments begin at fixed PSNs, also when
 * one is asked for again in the middle. An atomic is a READ of one packet, but
 * for what the peer does. An ATOMIC WRITE is sent like an RDMA WRITE and answered
 * like a READ of nothing.
 *
 * On an unreliable connection a request is done when it is sent: nothing is
 * outstanding, and nothing is sent again.
 *
 * Requests about keys have no PSNs. They are carried out when all before them
 * have completed, so that none is done that an error should have kept away.
 *
 * IBTA volume 1: 9.7 (reliable service), 9.9 (error detection and handling).
 */
#include <linux/jiffies.h>

#include "packet.h"
#include "qp.h"
#include "window.h"

static struct odp_qp *odp_req_qp(struct odp_half *half)
{
	return container_of(half, struct odp_qp, req.half);
}

static bool odp_req_outstanding(const struct odp_requester *req)
{
	return req->una != req->max_psn;
}

/* IBTA 9.7.6.1.3 allows for up to four times the timeout. */
static void odp_req_set_deadline(struct odp_qp *qp)
{
	qp->req.deadline = jiffies +
			   (qp->ack_timeout << min_t(u8, qp->req.timeouts, 2));
}

/**
 * odp_requester_progress - the peer has answered with something new
 * @qp: The queue pair. Requester only.
 */
void odp_requester_progress(struct odp_qp *qp)
{
	struct odp_requester *req = &qp->req;

	req->retries = qp->attr.retry_cnt;
	req->rnr_retries = qp->attr.rnr_retry;
	req->timeouts = 0;
	req->probing = false;
	req->rnr_wait = false;
	req->gap = false;
	odp_req_set_deadline(qp);
}

/**
 * odp_requester_alive - the peer has answered, but with nothing new
 * @qp: The queue pair. Requester only.
 *
 * He is busy with what he was asked twice. Asking once more would give him more of
 * that to do before he comes to what is missing.
 */
void odp_requester_alive(struct odp_qp *qp)
{
	odp_req_set_deadline(qp);
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

/* Registrations are done before they are the oldest. */
static void odp_req_complete_local(struct odp_qp *qp)
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
		odp_req_complete_local(qp);
}

/* The packet that was being filled is not the next one any more. */
static void odp_req_drop_packet(struct odp_requester *req)
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
	odp_req_drop_packet(&qp->req);
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
	odp_req_drop_packet(&qp->req);
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

	odp_req_drop_packet(req);
	while (qp->sq.head != tail) {
		odp_requester_complete(qp, IB_WC_WR_FLUSH_ERR, 0);
		cond_resched();
	}
	req->cur = tail;
	req->unsent = tail;
	req->offset = 0;
}

/**
 * odp_requester_seek - goes to a PSN
 * @qp: The queue pair. Requester only.
 * @psn: From una to max_psn.
 */
void odp_requester_seek(struct odp_qp *qp, u32 psn)
{
	struct odp_requester *req = &qp->req;
	struct odp_sq *sq = &qp->sq;

	odp_req_drop_packet(req);
	req->psn = psn;
	req->offset = 0;
	for (req->cur = sq->head; req->cur != req->unsent; req->cur++) {
		struct odp_swqe *swqe = odp_sq_entry(sq, req->cur);
		s32 n = odp_psn_diff(psn, swqe->first_psn);

		if (n < (s32)swqe->npsns) {
			req->offset = n * qp->mtu;
			return;
		}
	}
}

/**
 * odp_requester_go_back - sends again from the oldest PSN not acknowledged
 * @qp: The queue pair. Requester only.
 *
 * Return: false if there were too many retries; the queue pair has failed then.
 */
bool odp_requester_go_back(struct odp_qp *qp)
{
	struct odp_requester *req = &qp->req;

	if (!req->retries) {
		odp_requester_fail(qp, IB_WC_RETRY_EXC_ERR, 0);
		return false;
	}
	req->retries--;
	req->reads = 0;
	req->unasked = 0;
	odp_requester_seek(qp, req->una);
	odp_req_set_deadline(qp);
	odp_count(qp->dev, ODP_STAT_TX_RETRIES);
	return true;
}

/* RNR NAK timer codes in units of 10 us, IBTA table 45. */
static const u32 odp_rnr_time[32] = {
	65536, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384,
	512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576,
	32768, 49152,
};

/**
 * odp_rnr_ns - the time of an RNR NAK
 * @timer: Its timer code.
 *
 * Return: in nanoseconds.
 */
u64 odp_rnr_ns(u8 timer)
{
	return odp_rnr_time[timer & ODP_AETH_DETAIL] * 10ULL * NSEC_PER_USEC;
}

/**
 * odp_requester_rnr - waits, then sends again from the oldest PSN
 * @qp: The queue pair. Requester only.
 * @timer: Timer code of the RNR NAK.
 * @oldest: It is about the oldest request, and counts against that.
 */
void odp_requester_rnr(struct odp_qp *qp, u8 timer, bool oldest)
{
	struct odp_requester *req = &qp->req;

	odp_count(qp->dev, ODP_STAT_RNR_RECEIVED);
	if (req->rnr_wait)
		return;
	if (oldest && !req->rnr_retries) {
		odp_requester_fail(qp, IB_WC_RNR_RETRY_EXC_ERR,
				   ODP_AETH_RNR | timer);
		return;
	}
	/* 7 is for ever. */
	if (oldest && req->rnr_retries < 7)
		req->rnr_retries--;
	/* The peer is alive. */
	req->retries = qp->attr.retry_cnt;
	req->timeouts = 0;
	req->probing = true;
	req->reads = 0;
	req->unasked = 0;
	odp_requester_seek(qp, req->una);
	req->rnr_wait = true;
	WRITE_ONCE(req->rnr_due, false);
	hrtimer_start(&req->rnr_timer, ns_to_ktime(odp_rnr_ns(timer)),
		      HRTIMER_MODE_REL_SOFT);
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

/* False if the queue pair has failed. */
static bool odp_req_timers(struct odp_qp *qp)
{
	struct odp_requester *req = &qp->req;

	if (req->rnr_wait) {
		if (!READ_ONCE(req->rnr_due))
			return true;
		WRITE_ONCE(req->rnr_due, false);
		req->rnr_wait = false;
		odp_req_set_deadline(qp);
	}
	if (!qp->ack_timeout || !odp_req_outstanding(req) ||
	    time_before(jiffies, req->deadline))
		return true;
	odp_count(qp->dev, ODP_STAT_TX_TIMEOUTS);
	req->timeouts++;
	req->probing = true;
	return odp_requester_go_back(qp);
}

static void odp_req_arm_timer(struct odp_qp *qp)
{
	struct odp_requester *req = &qp->req;

	/* A timer that is due too early looks once more; too late it must not be. */
	if (qp->ack_timeout && odp_req_outstanding(req) && !req->rnr_wait)
		timer_reduce(&req->timer, req->deadline);
}

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
	req->unsent++;
	return true;
}

static void odp_req_sent(struct odp_qp *qp, u32 npsns, u32 bytes)
{
	struct odp_requester *req = &qp->req;
	struct odp_swqe *swqe = odp_sq_entry(&qp->sq, req->cur);

	if (!odp_req_outstanding(req))
		odp_req_set_deadline(qp);
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
		return out < ODP_WINDOW;
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
	odp_req_complete_local(qp);
	return 1;
}

/* In SQD only what was begun before goes on. */
static bool odp_req_may_begin(const struct odp_qp *qp)
{
	return odp_qp_state(qp) != IB_QPS_SQD;
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

/*
 * Sends the next packet. 1: sent; 0: nothing to be sent now; else as
 * odp_sg_copy().
 */
static int odp_req_send(struct odp_qp *qp)
{
	struct odp_requester *req = &qp->req;
	struct odp_swqe *swqe;
	int err;

	if (req->rnr_wait || req->cur == odp_sq_tail(&qp->sq))
		return 0;
	if (req->cur == req->unsent && !odp_req_may_begin(qp))
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
		odp_req_drop_packet(req);
		swqe->status = IB_WC_LOC_PROT_ERR;
		return 1;
	}
	return err ?: 1;
}

/* Takes in one packet; as odp_req_send(). */
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

/* One piece of work; as odp_req_send(). */
static int odp_req_step(struct odp_qp *qp)
{
	int did;

	if (odp_qp_is_datagram(qp))
		return odp_req_begun(qp) || odp_req_may_begin(qp) ?
			odp_datagram_send(qp) : 0;
	/* What pages are held for comes first: the next request of the two. */
	if (qp->req.half.pins && !qp->req.missed_answer) {
		did = odp_req_send(qp);
		if (did)
			return did;
		odp_half_operation_done(&qp->req.half);
	}
	did = odp_req_receive(qp);
	if (did)
		return did;
	if (!odp_req_timers(qp))
		return 1;
	return odp_req_send(qp);
}

static enum odp_turn odp_req_turn(struct odp_half *half)
{
	struct odp_qp *qp = odp_req_qp(half);
	int budget = ODP_TURN_BUDGET;
	int did;

	/* The peer's answers had to wait with us; time starts now. */
	if (qp->req.was_parked)
		odp_req_set_deadline(qp);
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
	odp_req_arm_timer(qp);
	return budget ? ODP_TURN_IDLE : ODP_TURN_MORE;
}

/**
 * odp_requester_init - prepares the requester of a new queue pair
 * @qp: The queue pair.
 */
void odp_requester_init(struct odp_qp *qp)
{
	odp_half_init(&qp->req.half, odp_qp_is_kernel(qp), odp_req_turn);
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
	odp_req_drop_packet(&qp->req);
	qp->req.taken = 0;
	del_timer_sync(&qp->req.timer);
	hrtimer_cancel(&qp->req.rnr_timer);
}
