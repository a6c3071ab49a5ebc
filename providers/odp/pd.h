/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef ODP_PROVIDER_PD_H
#define ODP_PROVIDER_PD_H

#include <infiniband/verbs.h>

struct ibv_pd *odp_alloc_pd(struct ibv_context *context);
int odp_dealloc_pd(struct ibv_pd *pd);

struct ibv_ah *odp_create_ah(struct ibv_pd *pd, struct ibv_ah_attr *attr);
int odp_destroy_ah(struct ibv_ah *ah);

#endif /* ODP_PROVIDER_PD_H */
