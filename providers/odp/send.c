// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Posting to the send queue from a list of work requests. */
#include <errno.h>

#include "mw.h"
#include "pd.h"
#include "qp.h"
#include "send.h"

/* What the work requests of an opcode consist of; 0 for opcodes we lack. */
enum {
	KNOWN = 1 << 0,
	HAS_REMOTE = 1 << 1,
	HAS_IMM = 1 << 2,
	IS_ATOMIC = 1 << 3,
	HAS_ADDRESS = 1 << 4,
	HAS_INVALIDATE = 1 << 5,
	IS_BIND = 1 << 6,
	NO_DATA = 1 << 7,
	IN_UC = 1 << 8,
	IN_UD = 1 << 9,
};

static unsigned int traits(enum ibv_wr_opcode opcode)
{
	switch (opcode) {
	case IBV_WR_SEND:
		return KNOWN | IN_UC | IN_UD;
	case IBV_WR_SEND_WITH_IMM:
		return KNOWN | IN_UC | IN_UD | HAS_IMM;
	case IBV_WR_SEND_WITH_INV:
		return KNOWN | HAS_INVALIDATE;
	case IBV_WR_RDMA_WRITE:
		return KNOWN | IN_UC | HAS_REMOTE;
	case IBV_WR_RDMA_READ:
	case IBV_WR_ATOMIC_WRITE:
		return KNOWN | HAS_REMOTE;
	case IBV_WR_RDMA_WRITE_WITH_IMM:
		return KNOWN | IN_UC | HAS_REMOTE | HAS_IMM;
	case IBV_WR_ATOMIC_CMP_AND_SWP:
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
		return KNOWN | IS_ATOMIC;
	case IBV_WR_LOCAL_INV:
		return KNOWN | IN_UC | HAS_INVALIDATE | NO_DATA;
	case IBV_WR_BIND_MW:
		return KNOWN | IN_UC | IS_BIND | NO_DATA;
	default:
		return 0;
	}
}

static unsigned int traits_in(enum ibv_wr_opcode opcode,
			      enum ibv_qp_type qp_type)
{
	unsigned int has = traits(opcode);

	switch (qp_type) {
	case IBV_QPT_UC:
		return has & IN_UC ? has : 0;
	case IBV_QPT_UD:
		return has & IN_UD ? has | HAS_ADDRESS : 0;
	default:
		return has;
	}
}

static int fill_bind(struct odp_send_wqe *wqe, const struct ibv_send_wr *wr)
{
	*wqe = odp_mw_wqe(wr->bind_mw.rkey, &wr->bind_mw.bind_info);
	return odp_mw_check(wr->bind_mw.mw, wr->bind_mw.rkey,
			    &wr->bind_mw.bind_info);
}

static int fill_header(struct odp_send_wqe *wqe, const struct ibv_send_wr *wr,
		       enum ibv_qp_type qp_type)
{
	unsigned int all_flags = IBV_SEND_FENCE | IBV_SEND_SIGNALED;
	unsigned int has = traits_in(wr->opcode, qp_type);
	int ret = 0;

	if (!(has & NO_DATA))
		all_flags |= IBV_SEND_SOLICITED | IBV_SEND_INLINE;
	if (!has || wr->send_flags & ~all_flags)
		return EINVAL;

	*wqe = (struct odp_send_wqe){ .opcode = wr->opcode };
	if (has & IS_BIND)
		ret = fill_bind(wqe, wr);
	wqe->wr_id = wr->wr_id;
	wqe->flags = wr->send_flags & ~IBV_SEND_INLINE;
	if (has & HAS_IMM)
		wqe->imm_data = wr->imm_data;
	if (has & HAS_INVALIDATE)
		wqe->invalidate_rkey = wr->invalidate_rkey;
	if (has & HAS_REMOTE) {
		wqe->rkey = wr->wr.rdma.rkey;
		wqe->remote_addr = wr->wr.rdma.remote_addr;
	}
	if (has & HAS_ADDRESS) {
		wqe->ah = to_odp_ah(wr->wr.ud.ah)->number;
		wqe->remote_qpn = wr->wr.ud.remote_qpn;
		wqe->remote_qkey = wr->wr.ud.remote_qkey;
	}
	if (qp_type == IBV_QPT_XRC_SEND)
		wqe->remote_srqn = wr->qp_type.xrc.remote_srqn;
	if (has & IS_ATOMIC) {
		wqe->rkey = wr->wr.atomic.rkey;
		wqe->remote_addr = wr->wr.atomic.remote_addr;
		wqe->compare_add = wr->wr.atomic.compare_add;
		wqe->swap = wr->wr.atomic.swap;
	}
	return ret;
}

static int fill_inline(const struct odp_sq *sq, struct odp_send_wqe *wqe,
		       const struct ibv_send_wr *wr)
{
	int ret = odp_sq_add_inline(sq, wqe, NULL, 0);
	int i;

	for (i = 0; !ret && i < wr->num_sge; i++)
		ret = odp_sq_add_inline(sq, wqe,
					(void *)(uintptr_t)wr->sg_list[i].addr,
					wr->sg_list[i].length);
	if (!ret && odp_wr_is_word(wqe->opcode) && wqe->inline_length != 8)
		ret = EINVAL;
	return ret;
}

static int post_one(struct odp_sq *sq, const struct ibv_send_wr *wr,
		    enum ibv_qp_type qp_type)
{
	struct odp_send_wqe *wqe = odp_sq_slot(sq);
	int ret;

	if (!wqe)
		return ENOMEM;

	ret = fill_header(wqe, wr, qp_type);
	if (ret)
		return ret;

	if (wr->send_flags & IBV_SEND_INLINE)
		ret = fill_inline(sq, wqe, wr);
	else if (!(traits(wr->opcode) & NO_DATA))
		ret = odp_sq_set_sges(sq, wqe, wr->sg_list, wr->num_sge);
	if (!ret)
		odp_sq_push(sq);
	return ret;
}

/*
 * Requests before a bad one are carried out. If the kernel refuses the
 * doorbell, none is.
 */
int odp_post_send(struct ibv_qp *ibqp, struct ibv_send_wr *wr,
		  struct ibv_send_wr **bad_wr)
{
	struct odp_sq *sq = &to_odp_qp(ibqp)->sq;
	struct ibv_send_wr *first = wr;
	int ret = 0;
	int refused;

	if (!sq->queue.depth) {
		*bad_wr = wr;
		return EINVAL;
	}

	odp_sq_start(sq);
	for (; wr; wr = wr->next) {
		ret = post_one(sq, wr, ibqp->qp_type);
		if (ret) {
			*bad_wr = wr;
			break;
		}
	}

	refused = odp_sq_commit(sq, ibqp);
	if (refused) {
		*bad_wr = first;
		ret = refused;
	}
	odp_sq_stop(sq);

	return ret;
}
