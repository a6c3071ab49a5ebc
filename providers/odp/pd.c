// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Protection domains, parent and thread domains, XRC domains, and address handles. */
#include <errno.h>
#include <stdlib.h>

#include <infiniband/cmd_ioctl.h>

#include "abi.h"
#include "pd.h"

struct ibv_pd *odp_alloc_pd(struct ibv_context *context)
{
	struct ib_uverbs_alloc_pd_resp resp;
	struct ibv_alloc_pd cmd;
	struct odp_pd *pd;
	int ret;

	pd = calloc(1, sizeof(*pd));
	if (!pd)
		return NULL;

	ret = ibv_cmd_alloc_pd(context, &pd->pd, &cmd, sizeof(cmd), &resp,
			       sizeof(resp));
	if (!ret)
		return &pd->pd;

	free(pd);
	errno = ret;
	return NULL;
}

static int query_pd(struct ibv_context *context, uint32_t handle)
{
	DECLARE_COMMAND_BUFFER(cmd, UVERBS_OBJECT_PD, ODP_METHOD_PD_QUERY, 1);

	fill_attr_in_obj(cmd, ODP_ATTR_QUERY_PD_HANDLE, handle);
	return execute_ioctl(context, cmd);
}

struct ibv_pd *odp_import_pd(struct ibv_context *context, uint32_t handle)
{
	struct odp_pd *pd;
	int ret;

	pd = calloc(1, sizeof(*pd));
	if (!pd)
		return NULL;

	ret = query_pd(context, handle);
	if (ret)
		goto err_free;

	pd->pd.context = context;
	pd->pd.handle = handle;
	return &pd->pd;

err_free:
	free(pd);
	errno = ret;
	return NULL;
}

void odp_unimport_pd(struct ibv_pd *ibpd)
{
	free(to_odp_pd(ibpd));
}

/*
 * The kernel knows nothing of parent domains. Queues are in memory of the kernel's,
 * so there is nothing that a domain's allocators could be asked for.
 */
struct ibv_pd *odp_alloc_parent_domain(struct ibv_context *context,
				       struct ibv_parent_domain_init_attr *attr)
{
	const uint32_t supported = IBV_PARENT_DOMAIN_INIT_ATTR_ALLOCATORS |
				   IBV_PARENT_DOMAIN_INIT_ATTR_PD_CONTEXT;
	struct odp_pd *pd;

	if (attr->comp_mask & ~supported) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	if (!attr->pd || attr->pd->context != context ||
	    (attr->td && attr->td->context != context)) {
		errno = EINVAL;
		return NULL;
	}

	pd = calloc(1, sizeof(*pd));
	if (!pd)
		return NULL;

	pd->pd = *attr->pd;
	pd->inner = to_odp_pd(attr->pd);
	atomic_fetch_add(&pd->inner->users, 1);
	if (attr->td) {
		pd->td = to_odp_td(attr->td);
		atomic_fetch_add(&pd->td->users, 1);
	}
	return &pd->pd;
}

static void dealloc_parent_domain(struct odp_pd *pd)
{
	if (pd->td)
		atomic_fetch_sub(&pd->td->users, 1);
	atomic_fetch_sub(&pd->inner->users, 1);
	free(pd);
}

int odp_dealloc_pd(struct ibv_pd *ibpd)
{
	struct odp_pd *pd = to_odp_pd(ibpd);
	int ret;

	if (atomic_load(&pd->users))
		return EBUSY;
	if (pd->inner) {
		dealloc_parent_domain(pd);
		return 0;
	}

	ret = ibv_cmd_dealloc_pd(ibpd);
	if (!ret)
		free(pd);
	return ret;
}

struct ibv_td *odp_alloc_td(struct ibv_context *context,
			    struct ibv_td_init_attr *attr)
{
	struct odp_td *td;

	if (attr->comp_mask) {
		errno = EOPNOTSUPP;
		return NULL;
	}

	td = calloc(1, sizeof(*td));
	if (!td)
		return NULL;

	td->td.context = context;
	return &td->td;
}

int odp_dealloc_td(struct ibv_td *ibtd)
{
	struct odp_td *td = to_odp_td(ibtd);

	if (atomic_load(&td->users))
		return EBUSY;
	free(td);
	return 0;
}

struct ibv_xrcd *odp_open_xrcd(struct ibv_context *context,
			       struct ibv_xrcd_init_attr *attr)
{
	struct ib_uverbs_open_xrcd_resp resp;
	struct ibv_open_xrcd cmd;
	struct verbs_xrcd *xrcd;
	int ret;

	xrcd = calloc(1, sizeof(*xrcd));
	if (!xrcd)
		return NULL;

	ret = ibv_cmd_open_xrcd(context, xrcd, sizeof(*xrcd), attr, &cmd,
				sizeof(cmd), &resp, sizeof(resp));
	if (!ret)
		return &xrcd->xrcd;

	free(xrcd);
	errno = ret;
	return NULL;
}

int odp_close_xrcd(struct ibv_xrcd *ibxrcd)
{
	struct verbs_xrcd *xrcd = container_of(ibxrcd, struct verbs_xrcd, xrcd);
	int ret = ibv_cmd_close_xrcd(xrcd);

	if (!ret)
		free(xrcd);
	return ret;
}

struct ibv_ah *odp_create_ah(struct ibv_pd *pd, struct ibv_ah_attr *attr)
{
	struct odp_cmd_create_ah_resp resp = {};
	struct odp_ah *ah;
	int ret;

	ah = calloc(1, sizeof(*ah));
	if (!ah)
		return NULL;

	ret = ibv_cmd_create_ah(pd, &ah->ah, attr, &resp.ibv_resp,
				sizeof(resp));
	if (!ret) {
		ah->number = resp.drv_payload.ah;
		return &ah->ah;
	}

	free(ah);
	errno = ret;
	return NULL;
}

int odp_destroy_ah(struct ibv_ah *ibah)
{
	int ret = ibv_cmd_destroy_ah(ibah);

	if (!ret)
		free(to_odp_ah(ibah));
	return ret;
}
