/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Queue pairs at work.
 */
#ifndef ODP_QP_H
#define ODP_QP_H

#include <linux/hrtimer.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/mutex.h>
#include <linux/timer.h>
#include <net/dst_cache.h>
#include <rdma/ib_verbs.h>

#include "../compat/verbs.h"
#include "../odp.h"
#include "cqueue.h"
#include "half.h"
#include "packet.h"
#include "ring.h"
#include "wire.h"

/* PSNs that a requester has outstanding at most. */
#define ODP_WINDOW		128U
/* PSNs of one READ request packet at most; long READs are cut up. */
#define ODP_READ_SEGMENT	64U
/* PSNs after which an acknowledgment is asked for. */
#define ODP_ACK_INTERVAL	32U
/*
 * RNR NAK timer codes for a page that is on its way: 10.24 ms at first, twice as
 * long each time, up to 163.84 ms; but what the user wants at least.
 */
#define ODP_RNR_PARKED	20
#define ODP_RNR_LONGEST	28
/* What comes so soon after an RNR NAK was sent before the peer had it. */
#define ODP_RNR_QUIET_NS	(4ULL * NSEC_PER_MSEC)
/* Packets that wait for a half at most. */
#define ODP_RX_MAX		1024U

/**
 * struct odp_av - where packets go
 * @family: AF_INET or AF_INET6; 0 if not set yet.
 * @saddr4: Own address (AF_INET), and so on.
 * @daddr4: Peer's address.
 * @saddr6: Own address (AF_INET6).
 * @daddr6: Peer's address.
 * @oif: Index of the interface that has the own address.
 * @flow_label: From the GRH, 20 bits.
 * @sport: UDP source port.
 * @tos: Traffic class.
 * @ttl: Hop limit.
 */
struct odp_av {
	sa_family_t family;
	union {
		struct {
			__be32 saddr4;
			__be32 daddr4;
		};
		struct {
			struct in6_addr saddr6;
			struct in6_addr daddr6;
		};
	};
	int oif;
	u32 flow_label;
	__be16 sport;
	u8 tos;
	u8 ttl;
};

/* In the Q_Key of a send request: take the own one. */
#define ODP_QKEY_OWN	0x80000000U

/**
 * struct odp_ah - an address handle
 * @ib: The RDMA core's part.
 * @av: The address. Constant.
 * @number: Of user space's: what it names it by, see odp_dev.ahs.
 */
struct odp_ah {
	struct ib_ah ib;
	struct odp_av av;
	u32 number;
};

static inline struct odp_ah *to_odp_ah(struct ib_ah *ib)
{
	return container_of(ib, struct odp_ah, ib);
}

/**
 * struct odp_swqe - a send request in the kernel's hands
 * @length: Bytes of the message.
 * @first_psn: PSN of its first packet; set when it is started.
 * @npsns: PSNs that it takes.
 * @receive: Which of the peer's receive requests is the last one taken by it and
 *	those before. Set when it is started, see credits.c.
 * @msn: How many messages the peer has counted when it is executed. The same.
 * @status: If not IB_WC_SUCCESS, it fails with this when its turn comes.
 * @wqe: The copy of the ring's entry; its odp_sge or inline data follow.
 */
struct odp_swqe {
	u32 length;
	u32 first_psn;
	u32 npsns;
	u32 receive;
	u32 msn;
	enum ib_wc_status status;
	struct odp_send_wqe wqe;
};

static inline const struct odp_sge *odp_swqe_sge(const struct odp_swqe *swqe)
{
	return (const void *)(swqe + 1);
}

static inline bool odp_swqe_is_atomic(const struct odp_swqe *swqe)
{
	return swqe->wqe.opcode == IB_WR_ATOMIC_CMP_AND_SWP ||
	       swqe->wqe.opcode == IB_WR_ATOMIC_FETCH_AND_ADD;
}

static inline bool odp_swqe_is_atomic_write(const struct odp_swqe *swqe)
{
	return swqe->wqe.opcode == ODP_WR_ATOMIC_WRITE;
}

/* Is its memory for data that comes back? */
static inline bool odp_swqe_fetches(const struct odp_swqe *swqe)
{
	return swqe->wqe.opcode == IB_WR_RDMA_READ || odp_swqe_is_atomic(swqe);
}

/* Is it only done when a response to it alone has come? */
static inline bool odp_swqe_asks(const struct odp_swqe *swqe)
{
	return odp_swqe_fetches(swqe) || odp_swqe_is_atomic_write(swqe);
}

/* Is it about this device's own keys? Nothing is sent then. */
static inline bool odp_swqe_is_local(const struct odp_swqe *swqe)
{
	return swqe->wqe.opcode == IB_WR_BIND_MW ||
	       swqe->wqe.opcode == IB_WR_REG_MR ||
	       swqe->wqe.opcode == IB_WR_LOCAL_INV;
}

/**
 * struct odp_sq - send queue
 * @lock: Serializes taking requests from the ring, or posting them: @tail.
 * @kring: The ring.
 * @swqes: Private copies, as many as the ring has entries.
 * @stride: Bytes from one to the next.
 * @max_sge: Of one request.
 * @max_inline: Bytes of one request.
 * @tail: Requests taken; others read it by odp_sq_tail().
 * @head: Requests completed. Requester only; others use it as a lower bound,
 *	by odp_sq_head().
 */
struct odp_sq {
	spinlock_t lock;	/* tail */
	struct odp_kring kring;
	void *swqes;
	size_t stride;
	u32 max_sge;
	u32 max_inline;
	u32 tail;
	u32 head;
};

#define ODP_SEND_FLAGS	(IB_SEND_FENCE | IB_SEND_SIGNALED | \
			 IB_SEND_SOLICITED | IB_SEND_INLINE)

/* Where a datagram goes, behind all else of its request */
static inline struct odp_av *odp_swqe_av(const struct odp_sq *sq,
					 struct odp_swqe *swqe)
{
	return (void *)swqe + sq->stride - sizeof(struct odp_av);
}

static inline u32 odp_sq_tail(const struct odp_sq *sq)
{
	/* Pairs with the release in odp_sq_take(): requests are complete. */
	return smp_load_acquire(&sq->tail);
}

/* For others than the requester. */
static inline u32 odp_sq_head(const struct odp_sq *sq)
{
	/* Pairs with the release in odp_requester_complete(). */
	return smp_load_acquire(&sq->head);
}

static inline struct odp_swqe *odp_sq_entry(const struct odp_sq *sq, u32 index)
{
	return sq->swqes + (size_t)(index & (sq->kring.depth - 1)) * sq->stride;
}

/**
 * struct odp_rwqe - the receive request in the responder's hands
 * @wr_id: From the entry.
 * @length: Bytes that fit.
 * @num_sge: Number of @sge.
 * @sge: The copy of the ring's.
 */
struct odp_rwqe {
	u64 wr_id;
	u64 length;
	u32 num_sge;
	struct odp_sge sge[];
};

/**
 * struct odp_rq - receive queue
 * @kring: The ring.
 * @head: Requests taken. Belongs to the responder, or see &struct odp_srq.
 * @max_sge: Of one request.
 * @post_lock: Serializes posting by the kernel's own users.
 */
struct odp_rq {
	struct odp_kring kring;
	u32 head;
	u32 max_sge;
	spinlock_t post_lock;	/* the ring's user_index */
};

/**
 * struct odp_srq - a receive queue that queue pairs share
 * @ib: The RDMA core's part; stays as long as queue pairs use it, but see xrc.c.
 * @lock: Serializes taking requests: odp_rq.head; protects @limit.
 * @rq: The queue.
 * @limit: The user is told when fewer requests than this are left; 0 is never.
 * @mmap: How user space maps the ring; owns the memory. Constant.
 * @id: XRC: identifies it for ever, which the number does not. Constant.
 * @users: XRC: one for the number, one for each look-up.
 * @idle: XRC: the last user is gone.
 */
struct odp_srq {
	struct ib_srq ib;
	spinlock_t lock;	/* rq.head, limit */
	struct odp_rq rq;
	u32 limit;
	struct odp_mmap *mmap;
	u64 id;
	refcount_t users;
	struct completion idle;
};

static inline struct odp_srq *to_odp_srq(struct ib_srq *ib)
{
	return container_of(ib, struct odp_srq, ib);
}

/**
 * struct odp_credits - how much may be sent that takes receive requests, see credits.c
 * @sent: &odp_swqe.msn of the last request that was started.
 * @msn: The same, of the last one that has completed.
 * @done: &odp_swqe.receive of that.
 * @begun: The same, of the last one that was started.
 * @limit: The same: the peer has receive requests as far as this.
 * @unlimited: The peer does not say how many it has.
 */
struct odp_credits {
	u32 sent;
	u32 msn;
	u32 done;
	u32 begun;
	u32 limit;
	bool unlimited;
};

/**
 * struct odp_requester - sends requests and completes them
 * @half: Ownership; all that follows belongs to the owner but where said.
 * @unsent: Index of the first send request not started yet.
 * @cur: Index of the one that is sent from now.
 * @offset: Bytes of it that are sent (or asked for, of a READ).
 * @psn: PSN of the next packet to be sent.
 * @max_psn: The same, had nothing been sent twice.
 * @una: PSN of the oldest packet not acknowledged.
 * @reads: READ request packets and atomics outstanding.
 * @credits: What the peer has receive requests for.
 * @unasked: PSNs sent since an acknowledgment was asked for.
 * @retries: Retries left until there is progress.
 * @rnr_retries: The same for RNR NAKs.
 * @timeouts: Timeouts since there was progress.
 * @probing: The peer has not kept up: one packet at a time, until there is progress.
 * @rnr_wait: Waiting for @rnr_timer.
 * @gap: A response was lost and the retry for it is under way.
 * @missed_answer: The page that was missed last was for an answer's data.
 * @was_parked: The last turn ended with a miss.
 * @drained: In SQD: all that was begun is done. False when it is entered.
 * @skb: The packet that is being filled, while a page for it is missing.
 * @filled: Bytes of its payload that are there.
 * @taken: Bytes of the response at the head of half.rx that are in memory.
 * @deadline: When to retry if there is no progress, jiffies.
 * @timer: Wakes the half at @deadline or before.
 * @rnr_timer: Wakes the half after an RNR NAK.
 * @rnr_due: @rnr_timer has fired. Atomic.
 */
struct odp_requester {
	struct odp_half half;
	u32 unsent;
	u32 cur;
	u32 offset;
	u32 psn;
	u32 max_psn;
	u32 una;
	u32 reads;
	struct odp_credits credits;
	u32 unasked;
	u8 retries;
	u8 rnr_retries;
	u8 timeouts;
	bool probing;
	bool rnr_wait;
	bool gap;
	bool missed_answer;
	bool was_parked;
	bool drained;
	struct sk_buff *skb;
	u32 filled;
	u32 taken;
	unsigned long deadline;
	struct timer_list timer;
	struct hrtimer rnr_timer;
	bool rnr_due;
};

static inline bool odp_requester_outstanding(const struct odp_requester *req)
{
	return req->una != req->max_psn;
}

/**
 * enum odp_message - the message that the responder is in
 * @ODP_MSG_NONE: None; the next packet begins one.
 * @ODP_MSG_SEND: A SEND.
 * @ODP_MSG_WRITE: An RDMA WRITE.
 */
enum odp_message {
	ODP_MSG_NONE,
	ODP_MSG_SEND,
	ODP_MSG_WRITE,
};

/**
 * struct odp_remote - remote memory that a request names
 * @va: Address from here on.
 * @rkey: Key.
 * @left: Bytes from here on.
 * @srqn: XRC: the key is of the protection domain of this shared receive queue.
 */
struct odp_remote {
	u64 va;
	u32 rkey;
	u32 left;
	u32 srqn;
};

/**
 * struct odp_atomic_result - what to answer an atomic again
 * @psn: PSN of the request.
 * @silent: The peer is not told what was there before.
 * @old: What was there before.
 */
struct odp_atomic_result {
	u32 psn;
	bool silent;
	u64 old;
};

/**
 * struct odp_responder - executes requests of the peer
 * @half: Ownership; all that follows belongs to the owner but where said.
 * @message: What the next packet has to go on with.
 * @epsn: PSN that is expected next.
 * @ack_psn: PSN of the last packet executed that was no READ, FLUSH or atomic.
 * @msn: Messages executed, 24 bits.
 * @naked: A NAK for @epsn was sent; what follows is dropped till it comes.
 * @ack_due: An acknowledgment is owed.
 * @write: Where the current RDMA WRITE goes on.
 * @rwqe: The receive request that the current message fills.
 * @have_rwqe: @rwqe is in use.
 * @srq: The shared receive queue that requests are taken from, or NULL. Of an
 *	XRC target: only while a message for it is worked on, see xrc.c.
 * @srqn: XRC target: number of the one that the current message is for.
 * @srq_id: XRC target: what it was when the message began; 0: nothing.
 * @srq_left: The user was told that nothing more is taken from the shared
 *	receive queue.
 * @received: Bytes that the current SEND has delivered.
 * @reading: A READ is being answered with @read.
 * @read: What is still to be sent of it.
 * @read_psn: PSN of the next response packet to be made.
 * @read_first: It is the first one.
 * @read_again: The READ was answered before.
 * @read_start: PSN of the READ.
 * @read_sent: PSN of the next response packet to be sent.
 * @out: Response packets that are made and not sent.
 * @skb: The response that is being filled, while a page for it is missing.
 * @filled: Bytes of its payload that are there.
 * @taken: Bytes of the request at the head of half.rx that are in memory.
 * @results: Of the last atomics, by @atomics.
 * @atomics: Atomics executed.
 * @wait_psn: PSN of the request that waits for a page, if @half is parked; the
 *	last one of a READ that is answered again. Protected by the lock of
 *	half.rx, as are the next two.
 * @wait_end: The same; if a READ is answered again, of the first request that was
 *	not executed: the peer may wait for any of those between.
 * @wait_silent: No NAK may be sent for @wait_psn: it is a READ, half answered.
 * @rx_next: PSN after the highest one of a request that was queued. Protected by
 *	the lock of half.rx.
 * @rnr_timer: Code of the RNR NAK that is next while parked. Protected by the lock
 *	of half.rx.
 * @rnr_until: What the last such one has told the peer to wait for; 0: there was
 *	none. The same.
 * @rnr_quiet: When the next one may be sent. The same.
 * @established: The user knows that the peer is there; set in RTR.
 */
struct odp_responder {
	struct odp_half half;
	enum odp_message message;
	u32 epsn;
	u32 ack_psn;
	u32 msn;
	bool naked;
	bool ack_due;
	struct odp_remote write;
	struct odp_rwqe *rwqe;
	bool have_rwqe;
	struct odp_srq *srq;
	u32 srqn;
	u64 srq_id;
	bool srq_left;
	u32 received;
	bool reading;
	struct odp_remote read;
	u32 read_psn;
	bool read_first;
	bool read_again;
	u32 read_start;
	u32 read_sent;
	struct sk_buff_head out;
	struct sk_buff *skb;
	u32 filled;
	u32 taken;
	struct odp_atomic_result results[ODP_MAX_RD_ATOMIC];
	u64 atomics;
	u32 wait_psn;
	u32 wait_end;
	bool wait_silent;
	u32 rx_next;
	u8 rnr_timer;
	ktime_t rnr_until;
	ktime_t rnr_quiet;
	bool established;
};

/**
 * struct odp_qp - a queue pair
 * @ib: The RDMA core's part.
 * @dev: The device.
 * @handle: What its number stands for, see qp.c.
 * @number: What it is found by: ib.qp_num, but of a GSI queue pair, which all have
 *	the same.
 * @mutex: Serializes modify, query and destroy; protects @attr.
 * @lock: Protects changes of @state, which is read without.
 * @state: enum ib_qp_state.
 * @attr: Attributes as last modified.
 * @access: enum ib_access_flags and odp_access_flags that the peer has.
 * @mtu: Payload of a packet.
 * @dest_qpn: The peer's number.
 * @pkey: Partition key of packets.
 * @ack_timeout: jiffies; 0 is never.
 * @sig_all: Every send request has a completion.
 * @av: The peer's address.
 * @dst: Cached route.
 * @sq: Send queue.
 * @rq: Receive queue; has no ring if the queue pair uses a shared one.
 * @groups: Multicast groups that it is attached to, see multicast.c.
 * @req: Requester.
 * @resp: Responder.
 * @mmap: How user space maps the rings; owns the memory.
 */
struct odp_qp {
	struct ib_qp ib;
	struct odp_dev *dev;
	struct odp_qp_handle *handle;
	u32 number;
	struct mutex mutex;	/* attr, modify */
	spinlock_t lock;	/* state */
	enum ib_qp_state state;
	struct ib_qp_attr attr;

	int access;
	u32 mtu;
	u32 dest_qpn;
	u16 pkey;
	unsigned long ack_timeout;
	bool sig_all;
	struct odp_av av;
	struct dst_cache dst;

	struct odp_sq sq;
	struct odp_rq rq;
	struct list_head groups;
	struct odp_requester req;
	struct odp_responder resp;
	struct odp_mmap *mmap;
};

static inline struct odp_qp *to_odp_qp(struct ib_qp *ib)
{
	return container_of(ib, struct odp_qp, ib);
}

static inline enum ib_qp_state odp_qp_state(const struct odp_qp *qp)
{
	/* Pairs with odp_qp_set_state(): attributes are seen with the state. */
	return smp_load_acquire(&qp->state);
}

/* Does it send and receive datagrams, to and from anybody? */
static inline bool odp_qp_is_datagram(const struct odp_qp *qp)
{
	return qp->ib.qp_type == IB_QPT_UD || qp->ib.qp_type == IB_QPT_GSI;
}

/* Does it only execute requests, each for a shared receive queue by number? */
static inline bool odp_qp_is_xrc_target(const struct odp_qp *qp)
{
	return qp->ib.qp_type == IB_QPT_XRC_TGT;
}

/* Is it a user of the kernel's? The RDMA core makes XRC targets as it makes those. */
static inline bool odp_qp_is_kernel(const struct odp_qp *qp)
{
	return !qp->ib.uobject && !odp_qp_is_xrc_target(qp);
}

/* The service bits of its packets' opcodes */
static inline u8 odp_qp_service(const struct odp_qp *qp)
{
	switch (qp->ib.qp_type) {
	case IB_QPT_UD:
	case IB_QPT_GSI:
		return IB_OPCODE_UD;
	case IB_QPT_UC:
		return IB_OPCODE_UC;
	case IB_QPT_XRC_INI:
	case IB_QPT_XRC_TGT:
		return ODP_OPCODE_XRC;
	default:
		return IB_OPCODE_RC;
	}
}

/* Is what gets lost sent again? */
static inline bool odp_qp_is_reliable(const struct odp_qp *qp)
{
	u8 service = odp_qp_service(qp);

	return service == IB_OPCODE_RC || service == ODP_OPCODE_XRC;
}

static inline bool odp_qp_state_receives(enum ib_qp_state state)
{
	return state == IB_QPS_RTR || state == IB_QPS_RTS ||
	       state == IB_QPS_SQD || state == IB_QPS_SQE;
}

/* In SQD it ends what it has begun. */
static inline bool odp_qp_state_sends(enum ib_qp_state state)
{
	return state == IB_QPS_RTS || state == IB_QPS_SQD;
}

/*
 * In SQD only what was begun before goes on. Asked after odp_sq_tail(): what a
 * kernel user posts in ERR, to learn that all is through, is not begun, but flushed.
 */
static inline bool odp_requester_may_begin(const struct odp_qp *qp)
{
	return odp_qp_state(qp) == IB_QPS_RTS;
}

/* May send requests be posted? */
static inline bool odp_qp_state_posts(enum ib_qp_state state)
{
	return odp_qp_state_sends(state) || state == IB_QPS_SQE ||
	       state == IB_QPS_ERR;
}

static inline struct odp_cq *odp_qp_send_cq(struct odp_qp *qp)
{
	return to_odp_cq(qp->ib.send_cq);
}

static inline struct odp_cq *odp_qp_recv_cq(struct odp_qp *qp)
{
	return to_odp_cq(odp_qp_is_xrc_target(qp) ? qp->resp.srq->ib.ext.cq :
						    qp->ib.recv_cq);
}

/* Where the keys belong to that the message in hand names */
static inline struct ib_pd *odp_qp_remote_pd(struct odp_qp *qp)
{
	return odp_qp_is_xrc_target(qp) ? qp->resp.srq->ib.pd : qp->ib.pd;
}

/* Where the keys of receive requests belong to */
static inline struct ib_pd *odp_qp_recv_pd(struct odp_qp *qp)
{
	return qp->resp.srq ? qp->resp.srq->ib.pd : qp->ib.pd;
}

/* qp.c: numbers, state */
int odp_qp_number(struct odp_qp *qp);
void odp_qp_unnumber(struct odp_qp *qp);
struct odp_qp *odp_qp_get(u32 number);
struct odp_qp *odp_qp_get_gsi(const struct net *net, const union ib_gid *gid);
void odp_qp_put(struct odp_qp *qp);
void odp_qp_receive(struct odp_qp *qp, struct sk_buff *skb);
void odp_qp_init_halves(struct odp_qp *qp);
void odp_qp_stop(struct odp_qp *qp);
void odp_qp_restart(struct odp_qp *qp);
void odp_qp_pause(struct odp_qp *qp);
void odp_qp_resume(struct odp_qp *qp);
void odp_qp_kick(struct odp_qp *qp);
bool odp_qp_set_state(struct odp_qp *qp, enum ib_qp_state old,
		      enum ib_qp_state state);
void odp_qp_flush(struct odp_qp *qp);
bool odp_qp_fail(struct odp_qp *qp);
void odp_qp_fatal(struct odp_qp *qp);
void odp_qp_fail_sends(struct odp_qp *qp);
void odp_qp_event(struct odp_qp *qp, enum ib_event_type type);

/* queues.c: send and receive requests */
int odp_sq_take(struct odp_qp *qp);
u32 odp_rq_left(const struct odp_rq *rq);
bool odp_rq_take(struct odp_qp *qp, enum ib_wc_status *status);
void odp_rq_reset(struct odp_qp *qp);
void odp_rq_need_kick(struct odp_qp *qp, bool need);
void odp_srq_set_limit(struct odp_srq *srq, u32 limit);

void odp_swqe_check(struct odp_qp *qp, struct odp_swqe *swqe);
void odp_swqe_set_av(struct odp_qp *qp, struct odp_swqe *swqe,
		     const struct odp_av *av);

/* post.c */
int odp_sq_post(struct odp_qp *qp, const struct ib_send_wr *wr,
		const struct ib_send_wr **bad);
int odp_rq_post(struct odp_rq *rq, const struct ib_recv_wr *wr,
		const struct ib_recv_wr **bad);

/* xrc.c */
int odp_srq_number(struct odp_srq *srq);
void odp_srq_unnumber(struct odp_srq *srq);
struct odp_srq *odp_srq_get(const struct odp_qp *qp, u32 number);
void odp_srq_put(struct odp_srq *srq);
bool odp_xrc_expected(const struct odp_qp *qp, const struct odp_packet *pkt);
bool odp_xrc_valid(const struct odp_qp *qp, const struct odp_packet *pkt);
void odp_xrc_enter(struct odp_qp *qp);
void odp_xrc_leave(struct odp_qp *qp);

/* datagram.c */
bool odp_dev_has_address(struct odp_dev *dev, const union ib_gid *gid,
			 u16 *vlan);
bool odp_datagram_expected(const struct odp_qp *qp, struct sk_buff *skb);
int odp_datagram_send(struct odp_qp *qp);
int odp_datagram_receive(struct odp_qp *qp, struct sk_buff *skb);

/* multicast.c */
int odp_attach_mcast(struct ib_qp *ib, union ib_gid *gid, u16 lid);
int odp_detach_mcast(struct ib_qp *ib, union ib_gid *gid, u16 lid);
void odp_multicast_receive(struct sk_buff *skb);

/* sg.c: memory of requests */
int odp_sg_copy(struct ib_pd *pd, struct odp_half *half,
		const struct odp_sge *sge, u32 num_sge, u32 offset, void *buf,
		u32 len, bool write, u32 *done);
void odp_remote_from_reth(struct odp_remote *remote,
			  const struct odp_packet *pkt);
int odp_remote_check_key(struct odp_qp *qp, const struct odp_remote *remote,
			 int access);
int odp_remote_check(struct odp_qp *qp, const struct odp_remote *remote,
		     int access);
int odp_remote_copy(struct odp_qp *qp, struct odp_half *half,
		    const struct odp_remote *remote, void *buf, u32 len,
		    bool write, u32 *done);
int odp_remote_atomic(struct odp_qp *qp, struct odp_half *half,
		      const struct odp_remote *remote,
		      const struct odp_atomic *op, u64 *old);

/* requester.c: the turn, and how send requests end */
void odp_requester_init(struct odp_qp *qp);
void odp_requester_reset(struct odp_qp *qp);
void odp_requester_stop(struct odp_qp *qp);
void odp_requester_recover(struct odp_qp *qp);
void odp_requester_complete(struct odp_qp *qp, enum ib_wc_status status,
			    u8 syndrome);
void odp_requester_complete_local(struct odp_qp *qp);
void odp_requester_fail(struct odp_qp *qp, enum ib_wc_status status,
			u8 syndrome);
void odp_requester_drop_packet(struct odp_requester *req);

/* send.c: packets of send requests */
int odp_requester_send(struct odp_qp *qp);
int odp_requester_gather(struct odp_qp *qp, struct odp_swqe *swqe, u32 len);

/* retry.c: deadlines, and going back */
u64 odp_rnr_ns(u8 timer);
void odp_requester_set_deadline(struct odp_qp *qp);
void odp_requester_progress(struct odp_qp *qp);
void odp_requester_alive(struct odp_qp *qp);
void odp_requester_seek(struct odp_qp *qp, u32 psn);
bool odp_requester_go_back(struct odp_qp *qp);
void odp_requester_rnr(struct odp_qp *qp, u8 timer, bool oldest);
bool odp_requester_timers(struct odp_qp *qp);
void odp_requester_arm_timer(struct odp_qp *qp);

/* credits.c: receive requests that are left */
u8 odp_credit_syndrome(const struct odp_qp *qp);
bool odp_credit_begin(struct odp_qp *qp, struct odp_swqe *swqe);
bool odp_credit_limited(const struct odp_qp *qp, const struct odp_swqe *swqe);
void odp_credit_end(struct odp_qp *qp, const struct odp_swqe *swqe);
void odp_credit_update(struct odp_qp *qp, const struct odp_packet *pkt);
void odp_credit_reset(struct odp_qp *qp);

/* completer.c: the peer's answers */
int odp_completer_run(struct odp_qp *qp, struct sk_buff *skb);

/* responder.c: the turn */
void odp_responder_init(struct odp_qp *qp);
void odp_responder_reset(struct odp_qp *qp);
void odp_responder_stop(struct odp_qp *qp);

/* outcome.c: what becomes of the peer's requests */
u32 odp_request_npsns(const struct odp_qp *qp, const struct odp_packet *pkt);
void odp_responder_ack(struct odp_qp *qp, u32 psn, u8 syndrome);
void odp_responder_flush_ack(struct odp_qp *qp);
void odp_responder_nak(struct odp_qp *qp, u8 syndrome);
bool odp_responder_push(struct odp_qp *qp, struct odp_cqe *cqe,
			bool solicited);
void odp_responder_recv_error(struct odp_qp *qp, enum ib_wc_status status);
void odp_responder_lose_message(struct odp_qp *qp);
void odp_responder_lose(struct odp_qp *qp);
void odp_responder_fail(struct odp_qp *qp, u8 syndrome,
			enum ib_wc_status status);
int odp_responder_no_memory(struct odp_qp *qp, int err, u8 syndrome,
			    enum ib_wc_status status);
void odp_responder_executed(struct odp_qp *qp, const struct odp_packet *pkt);

/* deliver.c: SENDs and RDMA WRITEs */
int odp_responder_send(struct odp_qp *qp, const struct odp_packet *pkt);
int odp_responder_write(struct odp_qp *qp, const struct odp_packet *pkt);

/* answer.c: READs, atomics, FLUSHes and duplicates */
void odp_responder_drop_packets(struct odp_responder *resp);
void odp_responder_read(struct odp_qp *qp, const struct odp_packet *pkt);
int odp_responder_read_continue(struct odp_qp *qp);
int odp_responder_atomic(struct odp_qp *qp, const struct odp_packet *pkt);
void odp_responder_rdma_flush(struct odp_qp *qp, const struct odp_packet *pkt);
void odp_responder_duplicate(struct odp_qp *qp, const struct odp_packet *pkt);

#endif /* ODP_QP_H */
