/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef ODP_PROVIDER_DM_H
#define ODP_PROVIDER_DM_H

#include <infiniband/driver.h>

#include "mapping.h"

/**
 * struct odp_dm - device memory
 * @vdm: The part of libibverbs.
 * @mapping: The memory, to whole pages.
 * @length: Bytes that were asked for.
 */
struct odp_dm {
	struct verbs_dm vdm;
	struct odp_mapping mapping;
	uint64_t length;
};

static inline struct odp_dm *to_odp_dm(struct ibv_dm *ibdm)
{
	return container_of(ibdm, struct odp_dm, vdm.dm);
}

struct ibv_dm *odp_alloc_dm(struct ibv_context *context,
			    struct ibv_alloc_dm_attr *attr);
struct ibv_dm *odp_import_dm(struct ibv_context *context, uint32_t handle);
void odp_unimport_dm(struct ibv_dm *ibdm);
int odp_free_dm(struct ibv_dm *ibdm);

struct ibv_mr *odp_reg_dm_mr(struct ibv_pd *pd, struct ibv_dm *ibdm,
			     uint64_t offset, size_t length,
			     unsigned int access);

#endif /* ODP_PROVIDER_DM_H */
