// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Completion queues: create, resize, modify, destroy, purge. */
#include <errno.h>
#include <stdlib.h>

#include "abi.h"
#include "cq.h"
#include "poll.h"
#include "purge.h"

static int map_ring(const struct odp_cq *cq,
		    const struct odp_create_cq_resp *resp,
		    struct odp_mapping *mapping, struct odp_queue *queue)
{
	int ret = odp_map(mapping, cq->vcq.cq.context, resp->offset,
			  resp->size);

	if (!ret)
		odp_queue_init(queue, mapping->addr, resp->depth,
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

	ret = map_ring(cq, &resp.drv_payload, &cq->mapping, &cq->queue);
	if (ret)
		goto err_destroy;

	pthread_mutex_init(&cq->resize, NULL);
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

/* Of the queues of a thread domain, one thread at a time uses any. */
static void join_domain(struct odp_cq *cq, struct odp_pd *domain)
{
	cq->parent_domain = domain;
	atomic_fetch_add(&domain->users, 1);
	if (domain->td)
		cq->single_threaded = true;
}

struct ibv_cq_ex *odp_create_cq_ex(struct ibv_context *context,
				   struct ibv_cq_init_attr_ex *attr)
{
	const uint32_t supported = IBV_CQ_INIT_ATTR_MASK_FLAGS |
				   IBV_CQ_INIT_ATTR_MASK_PD;
	struct odp_pd *domain = NULL;
	uint32_t flags = 0;
	struct odp_cq *cq;

	if (attr->comp_mask & IBV_CQ_INIT_ATTR_MASK_FLAGS)
		flags = attr->flags;
	if (attr->comp_mask & ~supported ||
	    flags & ~IBV_CREATE_CQ_ATTR_SINGLE_THREADED ||
	    attr->wc_flags & ~ODP_POLL_WC_FLAGS) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	if (attr->comp_mask & IBV_CQ_INIT_ATTR_MASK_PD) {
		domain = to_odp_pd(attr->parent_domain);
		if (!attr->parent_domain || !domain->inner) {
			errno = EINVAL;
			return NULL;
		}
	}

	cq = create(context, attr->cqe, attr->channel, attr->comp_vector);
	if (!cq)
		return NULL;

	if (flags & IBV_CREATE_CQ_ATTR_SINGLE_THREADED)
		cq->single_threaded = true;
	if (domain)
		join_domain(cq, domain);
	odp_poll_init(&cq->vcq.cq_ex);
	return &cq->vcq.cq_ex;
}

static int resize_step(struct odp_cq *cq, int cqe, uint32_t step,
		       struct odp_create_cq_resp *answer)
{
	struct odp_cmd_resize_cq_resp resp = {};
	struct odp_cmd_resize_cq cmd = { .drv_payload.step = step };
	int ret;

	ret = ibv_cmd_resize_cq(&cq->vcq.cq, cqe, &cmd.ibv_cmd, sizeof(cmd),
				&resp.ibv_resp, sizeof(resp));
	if (answer)
		*answer = resp.drv_payload;
	return ret;
}

/*
 * The kernel writes behind the index that it gave the old ring last, and never
 * before ours, so the entries in between are for us to move.
 */
static void move_entries(struct odp_queue *from, struct odp_queue *to)
{
	uint32_t index;

	odp_queue_refresh(from);
	for (index = from->index; index != from->kernel_index; index++)
		*(struct odp_cqe *)odp_queue_entry(to, index) =
			*(struct odp_cqe *)odp_queue_entry(from, index);
}

/* The kernel and we change to a new ring; what is left is the caller's. */
static int change_ring(struct odp_cq *cq, int cqe, struct odp_mapping *mapping,
		       struct odp_queue *queue)
{
	struct odp_mapping old = cq->mapping;
	int ret;

	queue->index = queue->kernel_index = cq->queue.index;
	odp_queue_publish(queue);
	ret = resize_step(cq, cqe, ODP_RESIZE_CQ_COMMIT, NULL);
	if (ret)
		return ret;

	move_entries(&cq->queue, queue);
	cq->queue = *queue;
	cq->mapping = *mapping;
	*mapping = old;
	return 0;
}

/* All that may fail for want of memory is done before the ring changes. */
int odp_resize_cq(struct ibv_cq *ibcq, int cqe)
{
	struct odp_cq *cq = to_odp_cq(ibcq);
	struct odp_create_cq_resp resp;
	struct odp_mapping mapping;
	struct odp_queue queue;
	int ret;

	pthread_mutex_lock(&cq->resize);
	ret = resize_step(cq, cqe, ODP_RESIZE_CQ_PREPARE, &resp);
	if (!ret)
		ret = map_ring(cq, &resp, &mapping, &queue);
	if (ret)
		goto unlock;

	odp_cq_lock(cq);
	ret = change_ring(cq, cqe, &mapping, &queue);
	odp_cq_unlock(cq);
	odp_unmap(&mapping);
unlock:
	pthread_mutex_unlock(&cq->resize);
	return ret;
}

int odp_modify_cq(struct ibv_cq *ibcq, struct ibv_modify_cq_attr *attr)
{
	struct ibv_modify_cq cmd = {};

	return ibv_cmd_modify_cq(ibcq, attr, &cmd, sizeof(cmd));
}

int odp_destroy_cq(struct ibv_cq *ibcq)
{
	struct odp_cq *cq = to_odp_cq(ibcq);
	int ret;

	ret = ibv_cmd_destroy_cq(ibcq);
	if (ret)
		return ret;

	if (cq->parent_domain)
		atomic_fetch_sub(&cq->parent_domain->users, 1);
	odp_unmap(&cq->mapping);
	pthread_spin_destroy(&cq->lock);
	pthread_mutex_destroy(&cq->resize);
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
