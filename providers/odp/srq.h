/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef ODP_PROVIDER_SRQ_H
#define ODP_PROVIDER_SRQ_H

#include <infiniband/driver.h>

#include "mapping.h"
#include "recv.h"

/**
 * struct odp_srq - a shared receive queue
 * @vsrq: The part of libibverbs.
 * @mapping: The ring's memory.
 * @rq: The queue.
 */
struct odp_srq {
	struct verbs_srq vsrq;
	struct odp_mapping mapping;
	struct odp_rq rq;
};

static inline struct odp_srq *to_odp_srq(struct ibv_srq *ibsrq)
{
	return container_of(ibsrq, struct odp_srq, vsrq.srq);
}

struct ibv_srq *odp_create_srq(struct ibv_pd *pd,
			       struct ibv_srq_init_attr *attr);
struct ibv_srq *odp_create_srq_ex(struct ibv_context *context,
				  struct ibv_srq_init_attr_ex *attr);
int odp_get_srq_num(struct ibv_srq *ibsrq, uint32_t *srq_num);
int odp_modify_srq(struct ibv_srq *ibsrq, struct ibv_srq_attr *attr, int mask);
int odp_query_srq(struct ibv_srq *ibsrq, struct ibv_srq_attr *attr);
int odp_destroy_srq(struct ibv_srq *ibsrq);

int odp_post_srq_recv(struct ibv_srq *ibsrq, struct ibv_recv_wr *wr,
		      struct ibv_recv_wr **bad_wr);

#endif /* ODP_PROVIDER_SRQ_H */
