// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Posting to the send queue by function calls, see ibv_wr_post(3).
 *
 * Builders and setters return nothing: the first error is kept, makes all that
 * follow do nothing, and is returned by ibv_wr_complete().
 */
#include <errno.h>

#include "builder.h"
#include "compat.h"
#include "mw.h"
#include "pd.h"
#include "qp.h"

static struct odp_sq *to_sq(struct ibv_qp_ex *qpx)
{
	return &to_odp_qp(&qpx->qp_base)->sq;
}

static void fail(struct odp_sq *sq, int error)
{
	sq->error = error;
	sq->wqe = NULL;
}

/* Applications pass IBV_SEND_INLINE here, too; the setters decide it. */
static void add(struct ibv_qp_ex *qpx, struct odp_send_wqe header)
{
	const unsigned int flags = IBV_SEND_FENCE | IBV_SEND_SIGNALED |
				   IBV_SEND_SOLICITED;
	struct odp_sq *sq = to_sq(qpx);

	if (sq->error)
		return;
	if (qpx->wr_flags & ~(flags | IBV_SEND_INLINE)) {
		fail(sq, EINVAL);
		return;
	}

	sq->wqe = odp_sq_slot(sq);
	if (!sq->wqe) {
		sq->error = ENOMEM;
		return;
	}

	header.wr_id = qpx->wr_id;
	header.flags = qpx->wr_flags & flags;
	*sq->wqe = header;
	odp_sq_push(sq);
}

static void wr_send(struct ibv_qp_ex *qpx)
{
	add(qpx, (struct odp_send_wqe){ .opcode = IBV_WR_SEND });
}

static void wr_send_imm(struct ibv_qp_ex *qpx, __be32 imm_data)
{
	add(qpx, (struct odp_send_wqe){
		.opcode = IBV_WR_SEND_WITH_IMM,
		.imm_data = imm_data,
	});
}

static void wr_send_inv(struct ibv_qp_ex *qpx, uint32_t invalidate_rkey)
{
	add(qpx, (struct odp_send_wqe){
		.opcode = IBV_WR_SEND_WITH_INV,
		.invalidate_rkey = invalidate_rkey,
	});
}

static void wr_local_inv(struct ibv_qp_ex *qpx, uint32_t invalidate_rkey)
{
	add(qpx, (struct odp_send_wqe){
		.opcode = IBV_WR_LOCAL_INV,
		.invalidate_rkey = invalidate_rkey,
	});
}

static void wr_bind_mw(struct ibv_qp_ex *qpx, struct ibv_mw *mw, uint32_t rkey,
		       const struct ibv_mw_bind_info *info)
{
	int ret = odp_mw_check(mw, rkey, info);

	if (!ret)
		add(qpx, odp_mw_wqe(rkey, info));
	else if (!to_sq(qpx)->error)
		fail(to_sq(qpx), ret);
}

static void wr_rdma_read(struct ibv_qp_ex *qpx, uint32_t rkey,
			 uint64_t remote_addr)
{
	add(qpx, (struct odp_send_wqe){
		.opcode = IBV_WR_RDMA_READ,
		.rkey = rkey,
		.remote_addr = remote_addr,
	});
}

static void wr_rdma_write(struct ibv_qp_ex *qpx, uint32_t rkey,
			  uint64_t remote_addr)
{
	add(qpx, (struct odp_send_wqe){
		.opcode = IBV_WR_RDMA_WRITE,
		.rkey = rkey,
		.remote_addr = remote_addr,
	});
}

static void wr_rdma_write_imm(struct ibv_qp_ex *qpx, uint32_t rkey,
			      uint64_t remote_addr, __be32 imm_data)
{
	add(qpx, (struct odp_send_wqe){
		.opcode = IBV_WR_RDMA_WRITE_WITH_IMM,
		.imm_data = imm_data,
		.rkey = rkey,
		.remote_addr = remote_addr,
	});
}

static void wr_atomic_cmp_swp(struct ibv_qp_ex *qpx, uint32_t rkey,
			      uint64_t remote_addr, uint64_t compare,
			      uint64_t swap)
{
	add(qpx, (struct odp_send_wqe){
		.opcode = IBV_WR_ATOMIC_CMP_AND_SWP,
		.rkey = rkey,
		.remote_addr = remote_addr,
		.compare_add = compare,
		.swap = swap,
	});
}

static void wr_atomic_fetch_add(struct ibv_qp_ex *qpx, uint32_t rkey,
				uint64_t remote_addr, uint64_t value)
{
	add(qpx, (struct odp_send_wqe){
		.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD,
		.rkey = rkey,
		.remote_addr = remote_addr,
		.compare_add = value,
	});
}

static void wr_set_ud_addr(struct ibv_qp_ex *qpx, struct ibv_ah *ah,
			   uint32_t remote_qpn, uint32_t remote_qkey)
{
	struct odp_sq *sq = to_sq(qpx);

	if (!sq->wqe)
		return;
	sq->wqe->ah = to_odp_ah(ah)->number;
	sq->wqe->remote_qpn = remote_qpn;
	sq->wqe->remote_qkey = remote_qkey;
}

static void wr_set_xrc_srqn(struct ibv_qp_ex *qpx, uint32_t remote_srqn)
{
	struct odp_sq *sq = to_sq(qpx);

	if (sq->wqe)
		sq->wqe->remote_srqn = remote_srqn;
}

static void wr_set_sge_list(struct ibv_qp_ex *qpx, size_t num_sge,
			    const struct ibv_sge *sges)
{
	struct odp_sq *sq = to_sq(qpx);
	int ret;

	if (!sq->wqe)
		return;
	ret = odp_sq_set_sges(sq, sq->wqe, sges, num_sge);
	if (ret)
		fail(sq, ret);
}

static void wr_set_sge(struct ibv_qp_ex *qpx, uint32_t lkey, uint64_t addr,
		       uint32_t length)
{
	struct ibv_sge sge = { .addr = addr, .length = length, .lkey = lkey };

	wr_set_sge_list(qpx, 1, &sge);
}

static void wr_set_inline_data_list(struct ibv_qp_ex *qpx, size_t num_buf,
				    const struct ibv_data_buf *bufs)
{
	struct odp_sq *sq = to_sq(qpx);
	size_t i;
	int ret;

	if (!sq->wqe)
		return;
	ret = odp_sq_add_inline(sq, sq->wqe, NULL, 0);
	for (i = 0; !ret && i < num_buf; i++)
		ret = odp_sq_add_inline(sq, sq->wqe, bufs[i].addr,
					bufs[i].length);
	if (ret)
		fail(sq, ret);
}

static void wr_set_inline_data(struct ibv_qp_ex *qpx, void *addr,
			       size_t length)
{
	struct ibv_data_buf buf = { .addr = addr, .length = length };

	wr_set_inline_data_list(qpx, 1, &buf);
}

/* It has its data with it, and for that every entry has room. */
static void wr_atomic_write(struct ibv_qp_ex *qpx, uint32_t rkey,
			    uint64_t remote_addr, const void *atomic_wr)
{
	add(qpx, (struct odp_send_wqe){
		.opcode = IBV_WR_ATOMIC_WRITE,
		.rkey = rkey,
		.remote_addr = remote_addr,
	});
	wr_set_inline_data(qpx, (void *)atomic_wr, 8);
}

static void wr_start(struct ibv_qp_ex *qpx)
{
	struct odp_sq *sq = to_sq(qpx);

	odp_sq_start(sq);
	sq->wqe = NULL;
	sq->error = 0;
}

static int wr_complete(struct ibv_qp_ex *qpx)
{
	struct odp_sq *sq = to_sq(qpx);
	int ret = sq->error;

	if (ret)
		odp_sq_abort(sq);
	else
		ret = odp_sq_commit(sq, &qpx->qp_base);
	odp_sq_stop(sq);
	return ret;
}

static void wr_abort(struct ibv_qp_ex *qpx)
{
	struct odp_sq *sq = to_sq(qpx);

	odp_sq_abort(sq);
	odp_sq_stop(sq);
}

static uint64_t supported_ops(enum ibv_qp_type type)
{
	const uint64_t sends = IBV_QP_EX_WITH_SEND |
			       IBV_QP_EX_WITH_SEND_WITH_IMM;
	const uint64_t in_uc = sends | IBV_QP_EX_WITH_RDMA_WRITE |
			       IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM |
			       IBV_QP_EX_WITH_LOCAL_INV |
			       IBV_QP_EX_WITH_BIND_MW;

	switch (type) {
	case IBV_QPT_UD:
		return sends;
	case IBV_QPT_UC:
		return in_uc;
	default:
		return in_uc | IBV_QP_EX_WITH_RDMA_READ |
		       IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP |
		       IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD |
		       IBV_QP_EX_WITH_ATOMIC_WRITE |
		       IBV_QP_EX_WITH_SEND_WITH_INV;
	}
}

/**
 * odp_builder_init - make the builders of a queue pair available
 * @vqp: The queue pair, after the kernel created it.
 * @send_ops_flags: Operations that the application wants to build.
 *
 * Returns 0, or EOPNOTSUPP if we lack one of the operations.
 */
int odp_builder_init(struct verbs_qp *vqp, uint64_t send_ops_flags)
{
	struct ibv_qp_ex *qpx = &vqp->qp_ex;

	if (vqp->qp.qp_type == IBV_QPT_XRC_RECV ||
	    send_ops_flags & ~supported_ops(vqp->qp.qp_type))
		return EOPNOTSUPP;

	qpx->wr_send = wr_send;
	qpx->wr_send_imm = wr_send_imm;
	qpx->wr_send_inv = wr_send_inv;
	qpx->wr_rdma_read = wr_rdma_read;
	qpx->wr_rdma_write = wr_rdma_write;
	qpx->wr_rdma_write_imm = wr_rdma_write_imm;
	qpx->wr_atomic_cmp_swp = wr_atomic_cmp_swp;
	qpx->wr_atomic_fetch_add = wr_atomic_fetch_add;
	qpx->wr_atomic_write = wr_atomic_write;
	qpx->wr_local_inv = wr_local_inv;
	qpx->wr_bind_mw = wr_bind_mw;
	qpx->wr_set_ud_addr = wr_set_ud_addr;
	qpx->wr_set_xrc_srqn = wr_set_xrc_srqn;
	qpx->wr_set_sge = wr_set_sge;
	qpx->wr_set_sge_list = wr_set_sge_list;
	qpx->wr_set_inline_data = wr_set_inline_data;
	qpx->wr_set_inline_data_list = wr_set_inline_data_list;
	qpx->wr_start = wr_start;
	qpx->wr_complete = wr_complete;
	qpx->wr_abort = wr_abort;
	odp_mark_qp_ex(vqp);
	return 0;
}
