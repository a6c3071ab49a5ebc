/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef ODP_PROVIDER_MAPPING_H
#define ODP_PROVIDER_MAPPING_H

#include <stddef.h>
#include <stdint.h>

struct ibv_context;

/**
 * struct odp_mapping - what one object shares with the kernel
 * @addr: Start of the mapping.
 * @size: Its length in bytes.
 */
struct odp_mapping {
	void *addr;
	size_t size;
};

int odp_map(struct odp_mapping *mapping, struct ibv_context *context,
	    uint64_t offset, uint64_t size);
void odp_unmap(struct odp_mapping *mapping);

#endif /* ODP_PROVIDER_MAPPING_H */
