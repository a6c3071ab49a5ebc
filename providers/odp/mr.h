/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef ODP_PROVIDER_MR_H
#define ODP_PROVIDER_MR_H

#include <infiniband/driver.h>

struct ibv_mr *odp_reg_mr(struct ibv_pd *pd, void *addr, size_t length,
			  uint64_t iova, int access);
struct ibv_mr *odp_reg_dmabuf_mr(struct ibv_pd *pd, uint64_t offset,
				 size_t length, uint64_t iova, int fd,
				 int access);
int odp_rereg_mr(struct verbs_mr *vmr, int flags, struct ibv_pd *pd,
		 void *addr, size_t length, int access);
struct ibv_mr *odp_import_mr(struct ibv_pd *pd, uint32_t handle);
void odp_unimport_mr(struct ibv_mr *mr);
int odp_dereg_mr(struct verbs_mr *vmr);

#endif /* ODP_PROVIDER_MR_H */
