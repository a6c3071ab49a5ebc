// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Retries: how long the peer has for an answer, and from where to send again when
 * there is none, or one that says so.
 *
 * No locks: the owner of the requester's half is alone with it, and arms its timers.
 * What they do is in requester.c; the one of an RNR NAK leaves word in rnr_due.
 *
 * IBTA volume 1: 9.7 (reliable service), 9.9 (error detection and handling).
 */
#include <linux/jiffies.h>

#include "packet.h"
#include "qp.h"

/**
 * odp_requester_set_deadline - time for an answer starts now
 * @qp: The queue pair. Requester only.
 *
 * IBTA 9.7.6.1.3 allows for up to four times the timeout.
 */
void odp_requester_set_deadline(struct odp_qp *qp)
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
	odp_requester_set_deadline(qp);
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
	odp_requester_set_deadline(qp);
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

	odp_requester_drop_packet(req);
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
	odp_requester_set_deadline(qp);
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

/**
 * odp_requester_timers - does what it is time for
 * @qp: The queue pair. Requester only.
 *
 * Return: false if the queue pair has failed.
 */
bool odp_requester_timers(struct odp_qp *qp)
{
	struct odp_requester *req = &qp->req;

	if (req->rnr_wait) {
		if (!READ_ONCE(req->rnr_due))
			return true;
		WRITE_ONCE(req->rnr_due, false);
		req->rnr_wait = false;
		odp_requester_set_deadline(qp);
	}
	if (!qp->ack_timeout || !odp_requester_outstanding(req) ||
	    time_before(jiffies, req->deadline))
		return true;
	odp_count(qp->dev, ODP_STAT_TX_TIMEOUTS);
	req->timeouts++;
	req->probing = true;
	return odp_requester_go_back(qp);
}

/**
 * odp_requester_arm_timer - sees to it that the half is woken at the deadline
 * @qp: The queue pair. Requester only, at the end of its turn.
 */
void odp_requester_arm_timer(struct odp_qp *qp)
{
	struct odp_requester *req = &qp->req;

	/* A timer that is due too early looks once more; too late it must not be. */
	if (qp->ack_timeout && odp_requester_outstanding(req) && !req->rnr_wait)
		timer_reduce(&req->timer, req->deadline);
}
