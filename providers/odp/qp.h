/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef ODP_PROVIDER_QP_H
#define ODP_PROVIDER_QP_H

#include <infiniband/driver.h>

#include "mapping.h"
#include "recv.h"
#include "sq.h"

/**
 * struct odp_qp - a queue pair
 * @vqp: The part of libibverbs.
 * @mapping: Memory of both rings; an XRC target has none.
 * @sq: Send queue.
 * @rq: Receive queue.
 */
struct odp_qp {
	struct verbs_qp vqp;
	struct odp_mapping mapping;
	struct odp_sq sq;
	struct odp_rq rq;
};

static inline struct odp_qp *to_odp_qp(struct ibv_qp *ibqp)
{
	return container_of(ibqp, struct odp_qp, vqp.qp);
}

struct ibv_qp *odp_create_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *attr);
struct ibv_qp *odp_create_qp_ex(struct ibv_context *context,
				struct ibv_qp_init_attr_ex *attr);
struct ibv_qp *odp_open_qp(struct ibv_context *context,
			   struct ibv_qp_open_attr *attr);
int odp_modify_qp(struct ibv_qp *ibqp, struct ibv_qp_attr *attr, int mask);
int odp_query_qp(struct ibv_qp *ibqp, struct ibv_qp_attr *attr, int mask,
		 struct ibv_qp_init_attr *init_attr);
int odp_destroy_qp(struct ibv_qp *ibqp);

#endif /* ODP_PROVIDER_QP_H */
