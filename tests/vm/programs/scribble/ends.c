/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Queue pairs, in pairs, and what they need */
#include "scribble.h"

struct end ends[ENDS];

/* The pair with a shared queue is on one device, the others are between the two. */
static const struct {
	enum kind kind;
	bool raw;
} pairs[PAIRS] = {
	{ RC, false }, { RC, true }, { RC, false }, { SHARED, true }, { UC, true },
	{ UD, true }, { XRC, true },
};

void ends_init(struct device *devices)
{
	int i;

	for (i = 0; i < ENDS; i++) {
		enum kind kind = pairs[i / 2].kind;

		ends[i] = (struct end){
			.device = &devices[kind == SHARED ? 1 : (i ^ (i >> 2)) & 1],
			.kind = kind,
			.raw = pairs[i / 2].raw,
		};
	}
}

/* --- Creating and destroying ------------------------------------------------- */

static bool create_cq(struct end *end)
{
	end->cq = ibv_create_cq(end->device->context, 4 * DEPTH, NULL, NULL, 0);
	if (!end->cq)
		return false;
	end->cq_view = view_add(end->device, peer_of(end)->device);
	if (!end->cq_view)
		return false;
	end->cq_ring = end->cq_view;
	view_publish();
	return true;
}

static struct ibv_srq *new_srq(struct end *end, struct ibv_srq_init_attr_ex *init)
{
	struct ibv_srq_init_attr basic = { .attr = init->attr };
	struct ibv_srq *srq;

	if (end->kind == XRC)
		return ibv_create_srq_ex(end->device->context, init);
	srq = ibv_create_srq(end->device->pd, &basic);
	init->attr = basic.attr;
	return srq;
}

static bool create_srq(struct end *end)
{
	struct ibv_srq_init_attr_ex init = {
		.attr = { .max_wr = DEPTH, .max_sge = 4 },
		.comp_mask = IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_PD |
			     IBV_SRQ_INIT_ATTR_XRCD | IBV_SRQ_INIT_ATTR_CQ,
		.srq_type = IBV_SRQT_XRC,
		.pd = end->device->pd,
		.xrcd = end->device->xrcd,
		.cq = end->cq,
	};

	end->srq = new_srq(end, &init);
	if (!end->srq)
		return false;
	end->srq_view = view_add(end->device, peer_of(end)->device);
	if (!end->srq_view)
		return false;
	view_of_shared(end->srq_view, &init.attr);
	view_publish();
	return true;
}

static bool create_target(struct end *end)
{
	struct ibv_qp_init_attr_ex init = {
		.qp_type = IBV_QPT_XRC_RECV,
		.comp_mask = IBV_QP_INIT_ATTR_XRCD,
		.xrcd = end->device->xrcd,
	};

	end->target = ibv_create_qp_ex(end->device->context, &init);
	return end->target;
}

static bool create_qp(struct end *end)
{
	static const enum ibv_qp_type types[] = {
		[RC] = IBV_QPT_RC, [SHARED] = IBV_QPT_RC, [UC] = IBV_QPT_UC,
		[UD] = IBV_QPT_UD, [XRC] = IBV_QPT_XRC_SEND,
	};
	struct ibv_qp_init_attr init = {
		.qp_type = types[end->kind],
		.cap = { DEPTH, DEPTH, 4, 4, 64 },
		.send_cq = end->cq,
		.recv_cq = end->cq,
		.srq = end->kind == SHARED ? end->srq : NULL,
	};

	end->tail = 0;
	end->qp = ibv_create_qp(end->device->pd, &init);
	if (!end->qp)
		return false;
	end->view = view_add(end->device, peer_of(end)->device);
	if (!end->view)
		return false;
	view_of_queue_pair(end->view, end->qp, &init.cap);
	view_publish();
	count(STAT_CREATED);
	return end->kind != XRC || create_target(end);
}

static bool create_pair(struct end *a, struct end *b)
{
	if (!create_cq(a) || !create_cq(b))
		return false;
	if ((a->kind == SHARED || a->kind == XRC) && !create_srq(a))
		return false;
	if (b->kind == XRC && !create_srq(b))
		return false;
	if (b->kind == SHARED) {
		b->srq = a->srq;
		b->srq_view = a->srq_view;
	}
	return create_qp(a) && create_qp(b);
}

static void destroy_qp(struct end *end)
{
	if (end->qp) {
		view_forget(end->view);
		ibv_destroy_qp(end->qp);
	}
	if (end->target)
		ibv_destroy_qp(end->target);
	end->qp = NULL;
	end->target = NULL;
}

static void destroy_queues(struct end *end)
{
	if (end->srq) {
		view_forget(end->srq_view);
		ibv_destroy_srq(end->srq);
	}
	if (end->cq) {
		view_forget(end->cq_view);
		ibv_destroy_cq(end->cq);
	}
	end->srq = NULL;
	end->cq = NULL;
}

void destroy_pair(struct end *a, struct end *b)
{
	destroy_qp(a);
	destroy_qp(b);
	if (b->kind == SHARED)
		b->srq = NULL;
	destroy_queues(a);
	destroy_queues(b);
}

/* --- States ------------------------------------------------------------------ */

static void change_state(struct ibv_qp *qp, enum ibv_qp_state state)
{
	struct ibv_qp_attr attr = { .qp_state = state };

	ibv_modify_qp(qp, &attr, IBV_QP_STATE);
}

void to_state(struct end *end, enum ibv_qp_state state)
{
	change_state(end->qp, state);
	if (end->target)
		change_state(end->target, state);
	if (state == IBV_QPS_RESET)
		end->tail = 0;
}

static void init_qp(struct ibv_qp *qp)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = 1,
		.qkey = QKEY,
		.qp_access_flags = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
				   IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC,
	};

	ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
		      (qp->qp_type == IBV_QPT_UD ? IBV_QP_QKEY : IBV_QP_ACCESS_FLAGS));
}

void to_init(struct end *end)
{
	init_qp(end->qp);
	if (end->target)
		init_qp(end->target);
}

/* What a type wants on its way to RTR and to RTS, but for the state */
static int ready_mask(enum ibv_qp_type type)
{
	const int address = IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN;

	if (type == IBV_QPT_UD)
		return 0;
	if (type == IBV_QPT_UC || type == IBV_QPT_XRC_SEND)
		return address;
	return address | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
}

static int sending_mask(enum ibv_qp_type type)
{
	if (type == IBV_QPT_UD || type == IBV_QPT_UC)
		return IBV_QP_SQ_PSN;
	if (type == IBV_QPT_XRC_RECV)
		return IBV_QP_SQ_PSN | IBV_QP_TIMEOUT;
	return IBV_QP_SQ_PSN | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
	       IBV_QP_MAX_QP_RD_ATOMIC;
}

static void ready_qp(struct ibv_qp *qp, const struct device *device,
		     const struct ibv_qp *peer, const struct device *other)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = IBV_MTU_1024,
		.dest_qp_num = peer->qp_num,
		.max_dest_rd_atomic = 8,
		.min_rnr_timer = 1,
		.ah_attr = {
			.is_global = 1,
			.port_num = 1,
			.grh = {
				.dgid = other->gid,
				.sgid_index = device->gid_index,
				.hop_limit = 64,
			},
		},
	};

	ibv_modify_qp(qp, &attr, IBV_QP_STATE | ready_mask(qp->qp_type));
	attr = (struct ibv_qp_attr){
		.qp_state = IBV_QPS_RTS,
		.timeout = 12,
		.retry_cnt = 2,
		.rnr_retry = 3,
		.max_rd_atomic = 8,
	};
	ibv_modify_qp(qp, &attr, IBV_QP_STATE | sending_mask(qp->qp_type));
}

static void to_ready(struct end *end)
{
	const struct end *peer = peer_of(end);
	const struct ibv_qp *target = peer->target ? peer->target : peer->qp;

	end->view->to_qpn = target->qp_num;
	if (end->target) {
		ibv_get_srq_num(peer->srq, &end->view->to_srqn);
		ready_qp(end->target, end->device, peer->qp, peer->device);
	}
	ready_qp(end->qp, end->device, target, peer->device);
}

static void connect_pair(struct end *a, struct end *b)
{
	to_init(a);
	to_init(b);
	to_ready(a);
	to_ready(b);
}

void reset_pair(struct end *a, struct end *b)
{
	to_state(a, IBV_QPS_RESET);
	to_state(b, IBV_QPS_RESET);
	connect_pair(a, b);
	count(STAT_RESETS);
}

bool renew_pair(struct end *a, struct end *b)
{
	destroy_pair(a, b);
	if (!create_pair(a, b))
		return false;
	connect_pair(a, b);
	return true;
}
