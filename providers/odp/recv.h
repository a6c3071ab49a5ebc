/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef ODP_PROVIDER_RECV_H
#define ODP_PROVIDER_RECV_H

#include <pthread.h>

#include <infiniband/verbs.h>

#include "ring.h"

/**
 * struct odp_rq - a receive queue, of a queue pair or shared
 * @lock: Protects @queue.
 * @queue: The ring; its depth is 0 if the queue pair has none.
 * @max_sge: Pieces of memory that an entry has room for.
 */
struct odp_rq {
	pthread_spinlock_t lock;
	struct odp_queue queue;
	uint32_t max_sge;
};

void odp_rq_init(struct odp_rq *rq, uint32_t max_sge);
void odp_rq_destroy(struct odp_rq *rq);
void odp_rq_reset(struct odp_rq *rq);
int odp_rq_post(struct odp_rq *rq, struct ibv_recv_wr *wr,
		struct ibv_recv_wr **bad_wr);

int odp_post_recv(struct ibv_qp *ibqp, struct ibv_recv_wr *wr,
		  struct ibv_recv_wr **bad_wr);

#endif /* ODP_PROVIDER_RECV_H */
