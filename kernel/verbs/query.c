// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Methods of our own on objects of the RDMA core's: what a process has to know of
 * an object that it has not made. And what methods of the core's take besides.
 */
#include <rdma/uverbs_ioctl.h>

#include "verbs.h"

#define UVERBS_MODULE_NAME odp
#include <rdma/uverbs_named_ioctl.h>

/* The RDMA core has found the handle, which is all there is to tell. */
static int UVERBS_HANDLER(ODP_METHOD_PD_QUERY)(struct uverbs_attr_bundle *attrs)
{
	return 0;
}

static int UVERBS_HANDLER(ODP_METHOD_DM_QUERY)(struct uverbs_attr_bundle *attrs)
{
	struct ib_dm *ib = uverbs_attr_get_obj(attrs, ODP_ATTR_QUERY_DM_HANDLE);
	struct odp_mmap *mmap = to_odp_dm(ib)->mmap;
	struct odp_query_dm_resp resp = {
		.offset = rdma_user_mmap_get_offset(&mmap->entry),
		.size = mmap->size,
		.length = ib->length,
	};

	return uverbs_copy_to(attrs, ODP_ATTR_QUERY_DM_RESP, &resp,
			      sizeof(resp));
}

DECLARE_UVERBS_NAMED_METHOD(ODP_METHOD_PD_QUERY,
			    UVERBS_ATTR_IDR(ODP_ATTR_QUERY_PD_HANDLE,
					    UVERBS_OBJECT_PD,
					    UVERBS_ACCESS_READ, UA_MANDATORY));

DECLARE_UVERBS_NAMED_METHOD(ODP_METHOD_DM_QUERY,
			    UVERBS_ATTR_IDR(ODP_ATTR_QUERY_DM_HANDLE,
					    UVERBS_OBJECT_DM,
					    UVERBS_ACCESS_READ, UA_MANDATORY),
			    UVERBS_ATTR_PTR_OUT(ODP_ATTR_QUERY_DM_RESP,
						UVERBS_ATTR_TYPE(struct odp_query_dm_resp),
						UA_MANDATORY));

ADD_UVERBS_METHODS(odp_pd_methods, UVERBS_OBJECT_PD,
		   &UVERBS_METHOD(ODP_METHOD_PD_QUERY));

ADD_UVERBS_METHODS(odp_dm_methods, UVERBS_OBJECT_DM,
		   &UVERBS_METHOD(ODP_METHOD_DM_QUERY));

ADD_UVERBS_ATTRIBUTES_SIMPLE(odp_reg_dm_mr_attrs, UVERBS_OBJECT_MR,
			     UVERBS_METHOD_DM_MR_REG,
			     UVERBS_ATTR_PTR_IN(ODP_ATTR_REG_DM_MR_ACCESS,
						UVERBS_ATTR_TYPE(struct odp_reg_mr),
						UA_OPTIONAL));

const struct uapi_definition odp_uapi_defs[] = {
	UAPI_DEF_CHAIN_OBJ_TREE(UVERBS_OBJECT_PD, &odp_pd_methods),
	UAPI_DEF_CHAIN_OBJ_TREE(UVERBS_OBJECT_DM, &odp_dm_methods),
	UAPI_DEF_CHAIN_OBJ_TREE(UVERBS_OBJECT_MR, &odp_reg_dm_mr_attrs),
	{}
};
