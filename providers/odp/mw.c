// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Memory windows: allocate, bind, deallocate. */
#include <errno.h>
#include <stdlib.h>

#include <infiniband/driver.h>

#include "mw.h"
#include "qp.h"

struct ibv_mw *odp_alloc_mw(struct ibv_pd *pd, enum ibv_mw_type type)
{
	struct ib_uverbs_alloc_mw_resp resp;
	struct ibv_alloc_mw cmd;
	struct ibv_mw *mw;
	int ret;

	mw = calloc(1, sizeof(*mw));
	if (!mw)
		return NULL;

	ret = ibv_cmd_alloc_mw(pd, type, mw, &cmd, sizeof(cmd), &resp,
			       sizeof(resp));
	if (!ret)
		return mw;

	free(mw);
	errno = ret;
	return NULL;
}

int odp_dealloc_mw(struct ibv_mw *mw)
{
	int ret = ibv_cmd_dealloc_mw(mw);

	if (!ret)
		free(mw);
	return ret;
}

/**
 * odp_mw_wqe - a request to bind a memory window
 * @rkey: The key that it gets.
 * @info: What it is bound to.
 *
 * Returns the entry without what all have.
 */
struct odp_send_wqe odp_mw_wqe(uint32_t rkey,
			       const struct ibv_mw_bind_info *info)
{
	return (struct odp_send_wqe){
		.opcode = IBV_WR_BIND_MW,
		.rkey = rkey,
		.remote_addr = info->addr,
		.bind_length = info->length,
		.bind_key = info->mr ? info->mr->lkey : 0,
		.bind_access = info->mw_access_flags,
	};
}

/**
 * odp_mw_check - may a memory window be bound by posting a work request?
 * @mw: The window; one of type 1 may not.
 * @rkey: The key that it gets: its lowest 8 bits may be any.
 * @info: What it is bound to.
 *
 * Returns 0 or an errno value.
 */
int odp_mw_check(const struct ibv_mw *mw, uint32_t rkey,
		 const struct ibv_mw_bind_info *info)
{
	if (mw->type != IBV_MW_TYPE_2 || (mw->rkey ^ rkey) & ~0xffU ||
	    !info->mr || !info->length)
		return EINVAL;
	return info->mr->pd == mw->pd ? 0 : EPERM;
}

/* libibverbs has compared types and protection domains. */
int odp_bind_mw(struct ibv_qp *ibqp, struct ibv_mw *mw,
		struct ibv_mw_bind *bind)
{
	struct odp_sq *sq = &to_odp_qp(ibqp)->sq;
	uint32_t rkey = ibv_inc_rkey(mw->rkey);
	struct odp_send_wqe *wqe;
	int ret = ENOMEM;

	if (bind->send_flags & ~(IBV_SEND_FENCE | IBV_SEND_SIGNALED))
		return EINVAL;

	odp_sq_start(sq);
	wqe = odp_sq_slot(sq);
	if (wqe) {
		*wqe = odp_mw_wqe(rkey, &bind->bind_info);
		wqe->wr_id = bind->wr_id;
		wqe->flags = bind->send_flags;
		odp_sq_push(sq);
		ret = odp_sq_commit(sq, ibqp);
	}
	if (!ret)
		mw->rkey = rkey;
	odp_sq_stop(sq);
	return ret;
}
