// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Shared receive queues: create, modify, query, destroy, post. */
#include <errno.h>
#include <stdlib.h>

#include "abi.h"
#include "srq.h"

static int map_ring(struct odp_srq *srq, struct ibv_context *context,
		    const struct odp_create_srq_resp *resp)
{
	int ret = odp_map(&srq->mapping, context, resp->offset, resp->size);

	if (!ret)
		odp_queue_init(&srq->rq.queue, srq->mapping.addr, resp->depth,
			       resp->stride);
	return ret;
}

static struct ibv_srq *create(struct ibv_context *context,
			      struct ibv_srq_init_attr_ex *attr)
{
	struct odp_cmd_create_srq_resp resp = {};
	struct ibv_create_xsrq cmd;
	struct odp_srq *srq;
	int ret;

	srq = calloc(1, sizeof(*srq));
	if (!srq)
		return NULL;

	ret = ibv_cmd_create_srq_ex(context, &srq->vsrq, attr, &cmd,
				    sizeof(cmd), &resp.ibv_resp, sizeof(resp));
	if (ret)
		goto err_free;

	ret = map_ring(srq, context, &resp.drv_payload);
	if (ret)
		goto err_destroy;

	odp_rq_init(&srq->rq, attr->attr.max_sge);
	/* libibverbs does it only for queues that ibv_create_srq() makes. */
	srq->vsrq.srq.srq_context = attr->srq_context;
	srq->vsrq.srq.pd = attr->pd;
	return &srq->vsrq.srq;

err_destroy:
	ibv_cmd_destroy_srq(&srq->vsrq.srq);
err_free:
	free(srq);
	errno = ret;
	return NULL;
}

struct ibv_srq *odp_create_srq(struct ibv_pd *pd,
			       struct ibv_srq_init_attr *attr)
{
	struct ibv_srq_init_attr_ex ex = {
		.srq_context = attr->srq_context,
		.attr = attr->attr,
		.comp_mask = IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_PD,
		.srq_type = IBV_SRQT_BASIC,
		.pd = pd,
	};
	struct ibv_srq *ibsrq = create(pd->context, &ex);

	if (ibsrq)
		attr->attr = ex.attr;
	return ibsrq;
}

struct ibv_srq *odp_create_srq_ex(struct ibv_context *context,
				  struct ibv_srq_init_attr_ex *attr)
{
	const uint32_t supported =
		IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_PD |
		IBV_SRQ_INIT_ATTR_XRCD | IBV_SRQ_INIT_ATTR_CQ;

	if (attr->comp_mask & ~supported ||
	    (attr->comp_mask & IBV_SRQ_INIT_ATTR_TYPE &&
	     attr->srq_type != IBV_SRQT_BASIC &&
	     attr->srq_type != IBV_SRQT_XRC)) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	return create(context, attr);
}

int odp_get_srq_num(struct ibv_srq *ibsrq, uint32_t *srq_num)
{
	struct odp_srq *srq = to_odp_srq(ibsrq);

	if (srq->vsrq.srq_type != IBV_SRQT_XRC)
		return EINVAL;
	*srq_num = srq->vsrq.srq_num;
	return 0;
}

int odp_modify_srq(struct ibv_srq *ibsrq, struct ibv_srq_attr *attr, int mask)
{
	struct ibv_modify_srq cmd;

	return ibv_cmd_modify_srq(ibsrq, attr, mask, &cmd, sizeof(cmd));
}

int odp_query_srq(struct ibv_srq *ibsrq, struct ibv_srq_attr *attr)
{
	struct ibv_query_srq cmd;

	return ibv_cmd_query_srq(ibsrq, attr, &cmd, sizeof(cmd));
}

int odp_destroy_srq(struct ibv_srq *ibsrq)
{
	struct odp_srq *srq = to_odp_srq(ibsrq);
	int ret;

	ret = ibv_cmd_destroy_srq(ibsrq);
	if (ret)
		return ret;

	odp_unmap(&srq->mapping);
	odp_rq_destroy(&srq->rq);
	free(srq);
	return 0;
}

/* No error of a queue pair flushes the queue, so nobody waits to be told. */
int odp_post_srq_recv(struct ibv_srq *ibsrq, struct ibv_recv_wr *wr,
		      struct ibv_recv_wr **bad_wr)
{
	return odp_rq_post(&to_odp_srq(ibsrq)->rq, wr, bad_wr);
}
