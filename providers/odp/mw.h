/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef ODP_PROVIDER_MW_H
#define ODP_PROVIDER_MW_H

#include <stdint.h>

#include <infiniband/verbs.h>

#include <odp-abi.h>

struct ibv_mw *odp_alloc_mw(struct ibv_pd *pd, enum ibv_mw_type type);
int odp_dealloc_mw(struct ibv_mw *mw);
int odp_bind_mw(struct ibv_qp *ibqp, struct ibv_mw *mw,
		struct ibv_mw_bind *bind);
int odp_mw_check(const struct ibv_mw *mw, uint32_t rkey,
		 const struct ibv_mw_bind_info *info);
struct odp_send_wqe odp_mw_wqe(uint32_t rkey,
			       const struct ibv_mw_bind_info *info);

#endif /* ODP_PROVIDER_MW_H */
