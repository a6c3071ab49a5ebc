/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef ODP_PROVIDER_CQ_H
#define ODP_PROVIDER_CQ_H

#include <pthread.h>

#include <infiniband/driver.h>

#include "mapping.h"
#include "pd.h"
#include "ring.h"

/**
 * struct odp_cq - a completion queue
 * @vcq: The part of libibverbs.
 * @resize: Serializes changes of the ring; taken before @lock.
 * @mapping: The ring's memory. Changes with both locks held.
 * @parent_domain: Where it belongs to, or NULL.
 * @single_threaded: Only one thread uses the queue: @lock is not taken.
 * @lock: Protects @queue and @cqe.
 * @queue: The ring.
 * @cqe: Extended polling: the entry that the read functions look at.
 */
struct odp_cq {
	struct verbs_cq vcq;
	pthread_mutex_t resize;
	struct odp_mapping mapping;
	struct odp_pd *parent_domain;
	bool single_threaded;
	pthread_spinlock_t lock;
	struct odp_queue queue;
	const struct odp_cqe *cqe;
};

static inline struct odp_cq *to_odp_cq(struct ibv_cq *ibcq)
{
	return container_of(ibcq, struct odp_cq, vcq.cq);
}

static inline void odp_cq_lock(struct odp_cq *cq)
{
	if (!cq->single_threaded)
		pthread_spin_lock(&cq->lock);
}

static inline void odp_cq_unlock(struct odp_cq *cq)
{
	if (!cq->single_threaded)
		pthread_spin_unlock(&cq->lock);
}

struct ibv_cq *odp_create_cq(struct ibv_context *context, int cqe,
			     struct ibv_comp_channel *channel, int comp_vector);
struct ibv_cq_ex *odp_create_cq_ex(struct ibv_context *context,
				   struct ibv_cq_init_attr_ex *attr);
int odp_resize_cq(struct ibv_cq *ibcq, int cqe);
int odp_modify_cq(struct ibv_cq *ibcq, struct ibv_modify_cq_attr *attr);
int odp_destroy_cq(struct ibv_cq *ibcq);
void odp_cq_purge(struct ibv_cq *ibcq, uint32_t qp_num);

#endif /* ODP_PROVIDER_CQ_H */
