// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Device memory: allocate, import, copy to and from it, register. It is memory
 * of the kernel's, which is mapped.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <infiniband/cmd_ioctl.h>

#include <odp-abi.h>

#include "dm.h"

/* Copies are of whole words, as with memory that is on a device. */
#define WORD 4

static int query(struct ibv_context *context, uint32_t handle,
		 struct odp_query_dm_resp *resp)
{
	DECLARE_COMMAND_BUFFER(cmd, UVERBS_OBJECT_DM, ODP_METHOD_DM_QUERY, 2);

	fill_attr_in_obj(cmd, ODP_ATTR_QUERY_DM_HANDLE, handle);
	fill_attr_out_ptr(cmd, ODP_ATTR_QUERY_DM_RESP, resp);
	return execute_ioctl(context, cmd);
}

static bool can_copy(const struct odp_dm *dm, uint64_t offset, size_t length)
{
	return offset % WORD == 0 && length % WORD == 0 &&
	       offset <= dm->length && length <= dm->length - offset;
}

static int memcpy_to_dm(struct ibv_dm *ibdm, uint64_t offset,
			const void *host_addr, size_t length)
{
	struct odp_dm *dm = to_odp_dm(ibdm);

	if (!can_copy(dm, offset, length))
		return EINVAL;
	memcpy((char *)dm->mapping.addr + offset, host_addr, length);
	return 0;
}

static int memcpy_from_dm(void *host_addr, struct ibv_dm *ibdm, uint64_t offset,
			  size_t length)
{
	struct odp_dm *dm = to_odp_dm(ibdm);

	if (!can_copy(dm, offset, length))
		return EINVAL;
	memcpy(host_addr, (char *)dm->mapping.addr + offset, length);
	return 0;
}

/* Makes it usable, however it was come by. */
static int map(struct odp_dm *dm)
{
	struct ibv_context *context = dm->vdm.dm.context;
	struct odp_query_dm_resp resp;
	int ret;

	ret = query(context, dm->vdm.handle, &resp);
	if (ret)
		return ret;

	dm->length = resp.length;
	dm->vdm.dm.memcpy_to_dm = memcpy_to_dm;
	dm->vdm.dm.memcpy_from_dm = memcpy_from_dm;
	return odp_map(&dm->mapping, context, resp.offset, resp.size);
}

struct ibv_dm *odp_alloc_dm(struct ibv_context *context,
			    struct ibv_alloc_dm_attr *attr)
{
	struct odp_dm *dm;
	int ret;

	if (attr->comp_mask) {
		errno = EOPNOTSUPP;
		return NULL;
	}

	dm = calloc(1, sizeof(*dm));
	if (!dm)
		return NULL;

	ret = ibv_cmd_alloc_dm(context, attr, &dm->vdm, NULL);
	if (ret)
		goto err_free;

	ret = map(dm);
	if (ret)
		goto err_free_dm;
	return &dm->vdm.dm;

err_free_dm:
	ibv_cmd_free_dm(&dm->vdm);
err_free:
	free(dm);
	errno = ret;
	return NULL;
}

struct ibv_dm *odp_import_dm(struct ibv_context *context, uint32_t handle)
{
	struct odp_dm *dm;
	int ret;

	dm = calloc(1, sizeof(*dm));
	if (!dm)
		return NULL;

	dm->vdm.dm.context = context;
	dm->vdm.dm.comp_mask = IBV_DM_MASK_HANDLE;
	dm->vdm.dm.handle = handle;
	dm->vdm.handle = handle;
	ret = map(dm);
	if (!ret)
		return &dm->vdm.dm;

	free(dm);
	errno = ret;
	return NULL;
}

void odp_unimport_dm(struct ibv_dm *ibdm)
{
	struct odp_dm *dm = to_odp_dm(ibdm);

	odp_unmap(&dm->mapping);
	free(dm);
}

int odp_free_dm(struct ibv_dm *ibdm)
{
	int ret = ibv_cmd_free_dm(&to_odp_dm(ibdm)->vdm);

	if (!ret)
		odp_unimport_dm(ibdm);
	return ret;
}

struct ibv_mr *odp_reg_dm_mr(struct ibv_pd *pd, struct ibv_dm *ibdm,
			     uint64_t offset, size_t length,
			     unsigned int access)
{
	const struct odp_reg_mr req = {
		.access = access & ODP_ACCESS_FLUSH_GLOBAL,
	};
	DECLARE_COMMAND_BUFFER(more, UVERBS_OBJECT_MR, UVERBS_METHOD_DM_MR_REG,
			       1);
	struct verbs_mr *vmr;
	int ret;

	vmr = calloc(1, sizeof(*vmr));
	if (!vmr)
		return NULL;

	if (req.access)
		fill_attr_in_ptr(more, ODP_ATTR_REG_DM_MR_ACCESS, &req);
	ret = ibv_cmd_reg_dm_mr(pd, &to_odp_dm(ibdm)->vdm, offset, length,
				access & ~ODP_ACCESS_FLUSH_GLOBAL, vmr, more);
	if (!ret)
		return &vmr->ibv_mr;

	free(vmr);
	errno = ret;
	return NULL;
}
