// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <errno.h>
#include <stdlib.h>

#include "abi.h"
#include "compat.h"
#include "mr.h"

struct ibv_mr *odp_reg_mr(struct ibv_pd *pd, void *addr, size_t length,
			  uint64_t iova, int access)
{
	struct odp_cmd_reg_mr cmd = {
		.drv_payload.access = access & ODP_ACCESS_FLUSH_GLOBAL,
	};
	struct ib_uverbs_reg_mr_resp resp;
	struct verbs_mr *vmr;
	int ret;

	vmr = calloc(1, sizeof(*vmr));
	if (!vmr)
		return NULL;

	ret = ibv_cmd_reg_mr(pd, addr, length, iova,
			     access & ~ODP_ACCESS_FLUSH_GLOBAL, vmr,
			     &cmd.ibv_cmd, sizeof(cmd), &resp, sizeof(resp));
	if (!ret)
		return &vmr->ibv_mr;

	free(vmr);
	errno = ret;
	return NULL;
}

struct ibv_mr *odp_reg_dmabuf_mr(struct ibv_pd *pd, uint64_t offset,
				 size_t length, uint64_t iova, int fd,
				 int access)
{
	struct verbs_mr *vmr;
	int ret;

	vmr = calloc(1, sizeof(*vmr));
	if (!vmr)
		return NULL;

	ret = odp_cmd_reg_dmabuf_mr(pd, offset, length, iova, fd, access, vmr);
	if (!ret)
		return &vmr->ibv_mr;

	free(vmr);
	errno = ret;
	return NULL;
}

struct ibv_mr *odp_import_mr(struct ibv_pd *pd, uint32_t handle)
{
	struct verbs_mr *vmr;
	int ret;

	vmr = calloc(1, sizeof(*vmr));
	if (!vmr)
		return NULL;

	ret = ibv_cmd_query_mr(pd, vmr, handle);
	if (!ret)
		return &vmr->ibv_mr;

	free(vmr);
	errno = ret;
	return NULL;
}

void odp_unimport_mr(struct ibv_mr *mr)
{
	free(verbs_get_mr(mr));
}

int odp_rereg_mr(struct verbs_mr *vmr, int flags, struct ibv_pd *pd,
		 void *addr, size_t length, int access)
{
	struct odp_cmd_rereg_mr cmd = {
		.drv_payload.access = access & ODP_ACCESS_FLUSH_GLOBAL,
	};
	struct ib_uverbs_rereg_mr_resp resp;

	return ibv_cmd_rereg_mr(vmr, flags, addr, length, (uintptr_t)addr,
				access & ~ODP_ACCESS_FLUSH_GLOBAL, pd,
				&cmd.ibv_cmd, sizeof(cmd), &resp,
				sizeof(resp));
}

int odp_dereg_mr(struct verbs_mr *vmr)
{
	int ret = ibv_cmd_dereg_mr(vmr);

	if (!ret)
		free(vmr);
	return ret;
}
