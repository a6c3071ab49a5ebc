// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Queue pairs: create, open, modify, query, destroy. */
#include <errno.h>
#include <stdlib.h>

#include "abi.h"
#include "builder.h"
#include "cq.h"
#include "qp.h"

static int map_rings(struct odp_qp *qp, const struct odp_create_qp_resp *resp)
{
	char *base;
	int ret;

	if (!resp->size)
		return 0;
	ret = odp_map(&qp->mapping, qp->vqp.qp.context, resp->offset,
		      resp->size);
	if (ret)
		return ret;

	base = qp->mapping.addr;
	odp_queue_init(&qp->sq.queue, base + resp->sq_offset, resp->sq_depth,
		       resp->sq_stride);
	odp_queue_init(&qp->rq.queue, base + resp->rq_offset, resp->rq_depth,
		       resp->rq_stride);
	return 0;
}

static int init_builder(struct odp_qp *qp,
			const struct ibv_qp_init_attr_ex *attr)
{
	if (!(attr->comp_mask & IBV_QP_INIT_ATTR_SEND_OPS_FLAGS))
		return 0;
	return odp_builder_init(&qp->vqp, attr->send_ops_flags);
}

static struct ibv_qp *create(struct ibv_context *context,
			     struct ibv_qp_init_attr_ex *attr)
{
	struct odp_cmd_create_qp_resp resp = {};
	struct odp_qp *qp;
	int ret;

	qp = calloc(1, sizeof(*qp));
	if (!qp)
		return NULL;

	ret = ibv_cmd_create_qp_ex(context, &qp->vqp, attr, NULL, 0,
				   &resp.ibv_resp, sizeof(resp));
	if (ret)
		goto err_free;

	ret = init_builder(qp, attr);
	if (ret)
		goto err_destroy;

	ret = map_rings(qp, &resp.drv_payload);
	if (ret)
		goto err_destroy;

	odp_sq_init(&qp->sq, &attr->cap);
	odp_rq_init(&qp->rq, attr->cap.max_recv_sge);
	return &qp->vqp.qp;

err_destroy:
	ibv_cmd_destroy_qp(&qp->vqp.qp);
err_free:
	free(qp);
	errno = ret;
	return NULL;
}

struct ibv_qp *odp_create_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *attr)
{
	struct ibv_qp_init_attr_ex ex = {
		.qp_context = attr->qp_context,
		.send_cq = attr->send_cq,
		.recv_cq = attr->recv_cq,
		.srq = attr->srq,
		.cap = attr->cap,
		.qp_type = attr->qp_type,
		.sq_sig_all = attr->sq_sig_all,
		.comp_mask = IBV_QP_INIT_ATTR_PD,
		.pd = pd,
	};
	struct ibv_qp *ibqp = create(pd->context, &ex);

	if (ibqp)
		attr->cap = ex.cap;
	return ibqp;
}

struct ibv_qp *odp_create_qp_ex(struct ibv_context *context,
				struct ibv_qp_init_attr_ex *attr)
{
	const uint32_t supported = IBV_QP_INIT_ATTR_PD |
				   IBV_QP_INIT_ATTR_XRCD |
				   IBV_QP_INIT_ATTR_CREATE_FLAGS |
				   IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
	uint32_t flags = attr->comp_mask & IBV_QP_INIT_ATTR_CREATE_FLAGS;
	struct ibv_qp *ibqp;

	if (attr->comp_mask & ~supported || (flags && attr->create_flags)) {
		errno = EOPNOTSUPP;
		return NULL;
	}

	/* The command knows of no flags, not even of none. */
	attr->comp_mask -= flags;
	ibqp = create(context, attr);
	attr->comp_mask += flags;
	return ibqp;
}

/* XRC targets alone can be opened; the kernel has all there is of them. */
struct ibv_qp *odp_open_qp(struct ibv_context *context,
			   struct ibv_qp_open_attr *attr)
{
	const struct ibv_qp_cap none = {};
	struct ib_uverbs_create_qp_resp resp;
	struct ibv_open_qp cmd;
	struct odp_qp *qp;
	int ret;

	qp = calloc(1, sizeof(*qp));
	if (!qp)
		return NULL;

	ret = ibv_cmd_open_qp(context, &qp->vqp, sizeof(qp->vqp), attr, &cmd,
			      sizeof(cmd), &resp, sizeof(resp));
	if (!ret) {
		odp_sq_init(&qp->sq, &none);
		odp_rq_init(&qp->rq, 0);
		return &qp->vqp.qp;
	}

	free(qp);
	errno = ret;
	return NULL;
}

/* A queue pair that was destroyed or reset leaves no completions behind. */
static void purge(struct ibv_qp *ibqp)
{
	odp_cq_purge(ibqp->send_cq, ibqp->qp_num);
	if (ibqp->recv_cq != ibqp->send_cq)
		odp_cq_purge(ibqp->recv_cq, ibqp->qp_num);
}

int odp_modify_qp(struct ibv_qp *ibqp, struct ibv_qp_attr *attr, int mask)
{
	struct odp_qp *qp = to_odp_qp(ibqp);
	struct ibv_modify_qp cmd = {};
	int ret;

	ret = ibv_cmd_modify_qp(ibqp, attr, mask, &cmd, sizeof(cmd));
	if (ret)
		return ret;

	if (mask & IBV_QP_STATE && attr->qp_state == IBV_QPS_RESET) {
		purge(ibqp);
		odp_sq_reset(&qp->sq);
		odp_rq_reset(&qp->rq);
	}
	return 0;
}

int odp_query_qp(struct ibv_qp *ibqp, struct ibv_qp_attr *attr, int mask,
		 struct ibv_qp_init_attr *init_attr)
{
	struct ibv_query_qp cmd;

	return ibv_cmd_query_qp(ibqp, attr, mask, init_attr, &cmd,
				sizeof(cmd));
}

int odp_destroy_qp(struct ibv_qp *ibqp)
{
	struct odp_qp *qp = to_odp_qp(ibqp);
	int ret;

	ret = ibv_cmd_destroy_qp(ibqp);
	if (ret)
		return ret;

	purge(ibqp);
	odp_unmap(&qp->mapping);
	odp_rq_destroy(&qp->rq);
	odp_sq_destroy(&qp->sq);
	free(qp);
	return 0;
}
