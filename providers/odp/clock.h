/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef ODP_PROVIDER_CLOCK_H
#define ODP_PROVIDER_CLOCK_H

#include <stdint.h>

struct ibv_context;
struct ibv_values_ex;

uint64_t odp_clock_to_wall(uint64_t timestamp);
int odp_query_rt_values(struct ibv_context *context,
			struct ibv_values_ex *values);

#endif /* ODP_PROVIDER_CLOCK_H */
