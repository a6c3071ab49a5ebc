// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Completion queues: create, destroy, purge. */
#include <errno.h>
#include <stdlib.h>

#include "abi.h"
#include "cq.h"
#include "poll.h"
#include "purge.h"

static int map_ring(struct odp_cq *cq, const struct odp_create_cq_resp *resp)
{
	int ret = odp_map(&cq->mapping, cq->vcq.cq.context, resp->offset,
			  resp->size);

	if (!ret)
		odp_queue_init(&cq->queue, cq->mapping.addr, resp->depth,
			       sizeof(struct odp_cqe));
	return ret;
}

static struct odp_cq *create(struct ibv_context *context, int cqe,
			     struct ibv_comp_channel *channel, int comp_vector)
{
	struct odp_cmd_create_cq_resp resp = {};
	struct odp_cq *cq;
	int ret;

	cq = calloc(1, sizeof(*cq));
	if (!cq)
		return NULL;

	ret = ibv_cmd_create_cq(context, cqe, channel, comp_vector,
				&cq->vcq.cq, NULL, 0, &resp.ibv_resp,
				sizeof(resp));
	if (ret)
		goto err_free;

	ret = map_ring(cq, &resp.drv_payload);
	if (ret)
		goto err_destroy;

	pthread_spin_init(&cq->lock, PTHREAD_PROCESS_PRIVATE);
	return cq;

err_destroy:
	ibv_cmd_destroy_cq(&cq->vcq.cq);
err_free:
	free(cq);
	errno = ret;
	return NULL;
}

struct ibv_cq *odp_create_cq(struct ibv_context *context, int cqe,
			     struct ibv_comp_channel *channel, int comp_vector)
{
	struct odp_cq *cq = create(context, cqe, channel, comp_vector);

	return cq ? &cq->vcq.cq : NULL;
}

struct ibv_cq_ex *odp_create_cq_ex(struct ibv_context *context,
				   struct ibv_cq_init_attr_ex *attr)
{
	uint32_t flags = 0;
	struct odp_cq *cq;

	if (attr->comp_mask & IBV_CQ_INIT_ATTR_MASK_FLAGS)
		flags = attr->flags;
	if (attr->comp_mask & ~IBV_CQ_INIT_ATTR_MASK_FLAGS ||
	    flags & ~IBV_CREATE_CQ_ATTR_SINGLE_THREADED ||
	    attr->wc_flags & ~ODP_POLL_WC_FLAGS) {
		errno = EOPNOTSUPP;
		return NULL;
	}

	cq = create(context, attr->cqe, attr->channel, attr->comp_vector);
	if (!cq)
		return NULL;

	cq->single_threaded = flags & IBV_CREATE_CQ_ATTR_SINGLE_THREADED;
	odp_poll_init(&cq->vcq.cq_ex);
	return &cq->vcq.cq_ex;
}

int odp_destroy_cq(struct ibv_cq *ibcq)
{
	struct odp_cq *cq = to_odp_cq(ibcq);
	int ret;

	ret = ibv_cmd_destroy_cq(ibcq);
	if (ret)
		return ret;

	odp_unmap(&cq->mapping);
	pthread_spin_destroy(&cq->lock);
	free(cq);
	return 0;
}

/**
 * odp_cq_purge - drop the completions of a queue pair
 * @ibcq: The completion queue, or NULL.
 * @qp_num: A queue pair that completes nothing any more.
 */
void odp_cq_purge(struct ibv_cq *ibcq, uint32_t qp_num)
{
	struct odp_cq *cq;

	if (!ibcq)
		return;

	cq = to_odp_cq(ibcq);
	odp_cq_lock(cq);
	odp_queue_purge(&cq->queue, qp_num);
	odp_cq_unlock(cq);
}
