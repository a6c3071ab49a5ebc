// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Queue pairs: numbers, states, and packets to the right half.
 *
 * A queue pair is found by number under RCU and then held by a reference, so
 * that it cannot go while a packet is delivered to it. Destroying it takes the
 * number away, stops the halves and the timers, waits for the last reference,
 * and then frees; nobody holds a reference for long.
 *
 *	packet					destroy
 *	------					-------
 *	odp_qp_get()
 *						number erased
 *						halves stopped
 *	queued; kick finds STOPPED
 *	odp_qp_put()
 *						last reference gone: packets
 *						purged, memory freed
 */
#include <linux/ktime.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "packet.h"
#include "qp.h"

/* Numbers 0 and 1 are special queue pairs; the low ones look like errors. */
#define ODP_QPN_FIRST	0x11

/* GSI queue pairs are found by address; their own numbers no packet can have. */
#define ODP_GSI_FIRST	(ODP_QPN_MASK + 1)

/**
 * struct odp_qp_handle - what a number stands for
 * @qp: The queue pair.
 * @ref: One for the number, one for each look-up.
 * @idle: The last reference is gone.
 * @rcu: Look-ups run under RCU, but the RDMA core frees a queue pair at once.
 */
struct odp_qp_handle {
	struct odp_qp *qp;
	refcount_t ref;
	struct completion idle;
	struct rcu_head rcu;
};

static DEFINE_XARRAY_ALLOC(odp_qps);
static u32 odp_next_qpn = ODP_QPN_FIRST;
static u32 odp_next_gsi = ODP_GSI_FIRST;

/**
 * odp_qp_number - gives a queue pair its number
 * @qp: The queue pair; can be found by packets when this returns.
 *
 * May sleep. Return: 0 or an error.
 */
int odp_qp_number(struct odp_qp *qp)
{
	bool gsi = qp->ib.qp_type == IB_QPT_GSI;
	struct odp_qp_handle *handle;
	int err;

	handle = kzalloc(sizeof(*handle), GFP_KERNEL);
	if (!handle)
		return -ENOMEM;
	handle->qp = qp;
	refcount_set(&handle->ref, 1);
	init_completion(&handle->idle);

	if (gsi)
		err = xa_alloc_cyclic(&odp_qps, &qp->number, NULL,
				      XA_LIMIT(ODP_GSI_FIRST, U32_MAX),
				      &odp_next_gsi, GFP_KERNEL);
	else
		err = xa_alloc_cyclic(&odp_qps, &qp->number, NULL,
				      XA_LIMIT(ODP_QPN_FIRST, ODP_QPN_MASK - 1),
				      &odp_next_qpn, GFP_KERNEL);
	if (err < 0) {
		kfree(handle);
		return err;
	}
	qp->handle = handle;
	qp->ib.qp_num = gsi ? ODP_QPN_GSI : qp->number;
	xa_store(&odp_qps, qp->number, handle, GFP_KERNEL);
	return 0;
}

/**
 * odp_qp_unnumber - takes the number away
 * @qp: The queue pair; waits until no packet is being delivered to it.
 */
void odp_qp_unnumber(struct odp_qp *qp)
{
	struct odp_qp_handle *handle = qp->handle;

	xa_erase(&odp_qps, qp->number);
	odp_qp_put(qp);
	wait_for_completion(&handle->idle);
	kfree_rcu(handle, rcu);
}

/**
 * odp_qp_get - finds a queue pair
 * @number: Its number.
 *
 * Return: the queue pair with a reference, or NULL.
 */
struct odp_qp *odp_qp_get(u32 number)
{
	struct odp_qp_handle *handle;
	struct odp_qp *qp = NULL;

	rcu_read_lock();
	handle = xa_load(&odp_qps, number);
	if (handle && refcount_inc_not_zero(&handle->ref))
		qp = handle->qp;
	rcu_read_unlock();
	return qp;
}

/**
 * odp_qp_get_gsi - finds the GSI queue pair of the device that has an address
 * @net: Its network namespace.
 * @gid: The address.
 *
 * Return: as odp_qp_get().
 */
struct odp_qp *odp_qp_get_gsi(const struct net *net, const union ib_gid *gid)
{
	struct odp_qp_handle *handle;
	unsigned long number;
	struct odp_qp *qp = NULL;

	rcu_read_lock();
	xa_for_each_start(&odp_qps, number, handle, ODP_GSI_FIRST) {
		if (!refcount_inc_not_zero(&handle->ref))
			continue;
		qp = handle->qp;
		if (net_eq(qp->dev->net, net) &&
		    odp_dev_has_address(qp->dev, gid, NULL))
			break;
		odp_qp_put(qp);
		qp = NULL;
	}
	rcu_read_unlock();
	return qp;
}

/**
 * odp_qp_put - undoes odp_qp_get()
 * @qp: The queue pair.
 */
void odp_qp_put(struct odp_qp *qp)
{
	struct odp_qp_handle *handle = qp->handle;

	if (refcount_dec_and_test(&handle->ref))
		complete(&handle->idle);
}

/*
 * A request for a responder that waits for a page is queued, but not if it was
 * sent before: the peer is to hear then that it has to wait.
 */
static bool odp_responder_admit(struct odp_qp *qp, const struct odp_packet *pkt)
{
	struct odp_responder *resp = &qp->resp;

	lockdep_assert_held(&resp->half.rx.lock);

	if (skb_queue_len(&resp->half.rx) >= ODP_RX_MAX)
		return false;
	if (!odp_qp_is_reliable(qp))
		return true;
	if (odp_psn_diff(pkt->psn, resp->rx_next) < 0)
		return !READ_ONCE(resp->half.parked);
	resp->rx_next = odp_psn_add(pkt->psn, odp_request_npsns(qp, pkt));
	return true;
}

/*
 * The peer must not run into a timeout while a page is waited for, so what is not
 * queued is answered with an RNR NAK. It names the request that waits or, where the
 * peer may have the answer to that, the one that came, by the last of its PSNs: the
 * requester of rdma_rxe takes an acknowledgment in the middle of a READ for the
 * rest of the data. A peer that asks before the time is over has not heard it. True
 * if there is something to be told now.
 */
static bool odp_responder_tell(struct odp_qp *qp, const struct odp_packet *pkt,
			       u32 *psn, u8 *timer)
{
	struct odp_responder *resp = &qp->resp;
	ktime_t now = ktime_get();
	u64 ns;

	lockdep_assert_held(&resp->half.rx.lock);

	if (!READ_ONCE(resp->half.parked) || !odp_qp_is_reliable(qp) ||
	    ktime_before(now, resp->rnr_quiet))
		return false;
	*psn = odp_psn_add(pkt->psn, odp_request_npsns(qp, pkt) - 1);
	if (odp_psn_diff(*psn, resp->wait_psn) < 0)
		*psn = resp->wait_psn;
	if (odp_psn_diff(*psn, resp->wait_end) > 0)
		*psn = resp->wait_end;
	if (resp->wait_silent && *psn == resp->wait_psn)
		return false;
	/* Every other code is twice as long; 0 is the longest. */
	if (resp->rnr_until && ktime_after(now, resp->rnr_until) &&
	    resp->rnr_timer && resp->rnr_timer < ODP_RNR_LONGEST)
		resp->rnr_timer = min(resp->rnr_timer + 2, ODP_RNR_LONGEST);
	*timer = resp->rnr_timer;
	ns = odp_rnr_ns(*timer);
	resp->rnr_until = ktime_add_ns(now, ns);
	resp->rnr_quiet = ktime_add_ns(now, min(ns, ODP_RNR_QUIET_NS));
	return true;
}

static void odp_responder_receive(struct odp_qp *qp, struct sk_buff *skb)
{
	struct sk_buff_head *rx = &qp->resp.half.rx;
	bool admit = false;
	bool rnr = false;
	u8 timer;
	u32 psn;

	spin_lock_bh(&rx->lock);
	/* Asked under the lock: what is left at a reset is purged after it. */
	if (odp_qp_state_receives(odp_qp_state(qp))) {
		admit = odp_responder_admit(qp, odp_packet(skb));
		rnr = !admit && odp_responder_tell(qp, odp_packet(skb), &psn,
						   &timer);
	}
	if (admit)
		__skb_queue_tail(rx, skb);
	spin_unlock_bh(&rx->lock);

	if (admit) {
		odp_half_kick(&qp->resp.half);
		return;
	}
	odp_count(qp->dev, ODP_STAT_RX_DROPPED);
	kfree_skb(skb);
	if (rnr)
		odp_responder_ack(qp, psn, ODP_AETH_RNR | timer);
}

static void odp_requester_receive(struct odp_qp *qp, struct sk_buff *skb)
{
	struct sk_buff_head *rx = &qp->req.half.rx;
	bool admit;

	spin_lock_bh(&rx->lock);
	admit = odp_qp_state_sends(odp_qp_state(qp)) &&
		skb_queue_len(rx) < ODP_RX_MAX;
	if (admit)
		__skb_queue_tail(rx, skb);
	spin_unlock_bh(&rx->lock);

	if (admit) {
		odp_half_kick(&qp->req.half);
		return;
	}
	odp_count(qp->dev, ODP_STAT_RX_DROPPED);
	kfree_skb(skb);
}

/**
 * odp_qp_receive - takes in a packet
 * @qp: The queue pair, held.
 * @skb: Parsed and checked; consumed.
 */
void odp_qp_receive(struct odp_qp *qp, struct sk_buff *skb)
{
	if (odp_packet(skb)->flags & ODP_PKT_RESPONSE)
		odp_requester_receive(qp, skb);
	else
		odp_responder_receive(qp, skb);
}

/**
 * odp_qp_init_halves - prepares what works
 * @qp: The queue pair, with its queues.
 */
void odp_qp_init_halves(struct odp_qp *qp)
{
	spin_lock_init(&qp->lock);
	odp_requester_init(qp);
	odp_responder_init(qp);
}

static void odp_qp_drop_packets(struct odp_qp *qp)
{
	skb_queue_purge(&qp->req.half.rx);
	skb_queue_purge(&qp->resp.half.rx);
}

/**
 * odp_qp_pause - makes a queue pair rest for a moment
 * @qp: The queue pair. May sleep, but not for a page. Packets queue up.
 */
void odp_qp_pause(struct odp_qp *qp)
{
	odp_half_stop(&qp->req.half);
	odp_half_stop(&qp->resp.half);
}

/**
 * odp_qp_resume - undoes odp_qp_pause()
 * @qp: The queue pair.
 */
void odp_qp_resume(struct odp_qp *qp)
{
	odp_half_start(&qp->req.half);
	odp_half_start(&qp->resp.half);
	odp_qp_kick(qp);
}

/**
 * odp_qp_stop - makes a queue pair rest, and drops what it was at
 * @qp: The queue pair. May sleep, but not for a page.
 */
void odp_qp_stop(struct odp_qp *qp)
{
	odp_qp_pause(qp);
	odp_qp_drop_packets(qp);
	odp_requester_stop(qp);
	odp_responder_stop(qp);
}

/**
 * odp_qp_restart - brings a stopped queue pair back to its beginnings
 * @qp: The queue pair.
 */
void odp_qp_restart(struct odp_qp *qp)
{
	odp_requester_reset(qp);
	odp_responder_reset(qp);
	odp_qp_drop_packets(qp);
	odp_half_start(&qp->req.half);
	odp_half_start(&qp->resp.half);
}

/**
 * odp_qp_kick - looks for work on both sides
 * @qp: The queue pair. The kernel's users are not called back from here.
 */
void odp_qp_kick(struct odp_qp *qp)
{
	void (*kick)(struct odp_half *half) =
		odp_qp_is_kernel(qp) ? odp_half_kick_later : odp_half_kick;

	kick(&qp->req.half);
	kick(&qp->resp.half);
}

/**
 * odp_qp_set_state - changes the state
 * @qp: The queue pair; the attributes that the state needs are in place.
 * @old: The state that the change was decided in.
 * @state: The new state.
 *
 * Return: false, with nothing changed, if the queue pair has failed meanwhile
 * and the new state is none that may be entered from there.
 */
bool odp_qp_set_state(struct odp_qp *qp, enum ib_qp_state old,
		      enum ib_qp_state state)
{
	bool ok;

	spin_lock_bh(&qp->lock);
	ok = qp->state == old || state == IB_QPS_RESET || state == IB_QPS_ERR;
	if (ok)
		/* Pairs with odp_qp_state(). */
		smp_store_release(&qp->state, state);
	spin_unlock_bh(&qp->lock);
	return ok;
}

/**
 * odp_qp_flush - gets the queues flushed
 * @qp: The queue pair, in the error state. Pages are not waited for any more.
 */
void odp_qp_flush(struct odp_qp *qp)
{
	odp_half_unpark(&qp->req.half);
	odp_half_unpark(&qp->resp.half);
	odp_qp_kick(qp);
}

/**
 * odp_qp_fail - moves a queue pair to the error state
 * @qp: The queue pair. Both halves flush their queues from now on.
 *
 * Return: false if it was there already.
 */
bool odp_qp_fail(struct odp_qp *qp)
{
	bool failed;

	spin_lock_bh(&qp->lock);
	failed = odp_qp_state_receives(qp->state);
	if (failed)
		WRITE_ONCE(qp->state, IB_QPS_ERR);
	spin_unlock_bh(&qp->lock);
	if (failed)
		odp_qp_flush(qp);
	return failed;
}

/**
 * odp_qp_fatal - a completion of a queue pair is lost
 * @qp: The queue pair, which cannot go on. The user is told.
 */
void odp_qp_fatal(struct odp_qp *qp)
{
	if (odp_qp_fail(qp))
		odp_qp_event(qp, IB_EVENT_QP_FATAL);
}

/**
 * odp_qp_fail_sends - a send request has failed that is not reliable
 * @qp: The queue pair. Requester only, which flushes its queue from now on; it
 *	goes on receiving (IBTA 10.3.1, SQE).
 */
void odp_qp_fail_sends(struct odp_qp *qp)
{
	spin_lock_bh(&qp->lock);
	if (odp_qp_state_sends(qp->state))
		WRITE_ONCE(qp->state, IB_QPS_SQE);
	spin_unlock_bh(&qp->lock);
}

/**
 * odp_qp_event - tells the user of a queue pair
 * @qp: The queue pair.
 * @type: What happened.
 */
void odp_qp_event(struct odp_qp *qp, enum ib_event_type type)
{
	struct ib_event event = {
		.device = qp->ib.device,
		.element.qp = &qp->ib,
		.event = type,
	};

	if (qp->ib.event_handler)
		qp->ib.event_handler(&event, qp->ib.qp_context);
}
