// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <errno.h>
#include <sys/mman.h>

#include <infiniband/verbs.h>

#include "mapping.h"

/**
 * odp_map - map what an object shares with the kernel
 * @mapping: Filled in.
 * @context: Of the object.
 * @offset: From the object's create response.
 * @size: From the object's create response.
 *
 * Returns 0 or an errno value.
 */
int odp_map(struct odp_mapping *mapping, struct ibv_context *context,
	    uint64_t offset, uint64_t size)
{
	void *addr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
			  context->cmd_fd, offset);

	if (addr == MAP_FAILED)
		return errno;
	mapping->addr = addr;
	mapping->size = size;
	return 0;
}

void odp_unmap(struct odp_mapping *mapping)
{
	munmap(mapping->addr, mapping->size);
}
