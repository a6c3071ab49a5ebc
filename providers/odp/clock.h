/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef ODP_PROVIDER_CLOCK_H
#define ODP_PROVIDER_CLOCK_H

struct ibv_context;
struct ibv_values_ex;

int odp_query_rt_values(struct ibv_context *context,
			struct ibv_values_ex *values);

#endif /* ODP_PROVIDER_CLOCK_H */
