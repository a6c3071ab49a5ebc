// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The provider as libibverbs sees it: which devices are ours, what they can
 * do, and a context for each process that opens one.
 *
 * Ours are devices that report our driver id over netlink, whatever their
 * name; where no id is to be had, those whose name begins with "odp".
 * libibverbs compares the ABI versions and names both where they differ.
 */
#include <stdio.h>
#include <stdlib.h>

#include <infiniband/driver.h>

#include "abi.h"
#include "clock.h"
#include "compat.h"
#include "cq.h"
#include "dm.h"
#include "mr.h"
#include "mw.h"
#include "pd.h"
#include "poll.h"
#include "qp.h"
#include "send.h"
#include "srq.h"

static int query_device(struct ibv_context *context,
			const struct ibv_query_device_ex_input *input,
			struct ibv_device_attr_ex *attr, size_t attr_size)
{
	struct ib_uverbs_ex_query_device_resp resp;
	size_t resp_size = sizeof(resp);
	uint64_t version;
	int ret;

	ret = ibv_cmd_query_device_any(context, input, attr, attr_size, &resp,
				       &resp_size);
	if (ret)
		return ret;

	version = resp.base.fw_ver;
	snprintf(attr->orig_attr.fw_ver, sizeof(attr->orig_attr.fw_ver),
		 "%u.%u.%u", (unsigned int)(version >> 32) & 0xffff,
		 (unsigned int)(version >> 16) & 0xffff,
		 (unsigned int)version & 0xffff);
	return 0;
}

static int query_port(struct ibv_context *context, uint8_t port,
		      struct ibv_port_attr *attr)
{
	struct ibv_query_port cmd;

	return ibv_cmd_query_port(context, port, attr, &cmd, sizeof(cmd));
}

static void free_context(struct ibv_context *context)
{
	struct verbs_context *vctx = verbs_get_ctx(context);

	verbs_uninit_context(vctx);
	free(vctx);
}

static const struct verbs_context_ops context_ops = {
	.advise_mr = ibv_cmd_advise_mr,
	.alloc_dm = odp_alloc_dm,
	.alloc_mw = odp_alloc_mw,
	.alloc_parent_domain = odp_alloc_parent_domain,
	.alloc_pd = odp_alloc_pd,
	.alloc_td = odp_alloc_td,
	.attach_mcast = ibv_cmd_attach_mcast,
	.bind_mw = odp_bind_mw,
	.close_xrcd = odp_close_xrcd,
	.create_ah = odp_create_ah,
	.create_cq = odp_create_cq,
	.create_cq_ex = odp_create_cq_ex,
	.create_qp = odp_create_qp,
	.create_qp_ex = odp_create_qp_ex,
	.create_srq = odp_create_srq,
	.create_srq_ex = odp_create_srq_ex,
	.dealloc_mw = odp_dealloc_mw,
	.dealloc_pd = odp_dealloc_pd,
	.dealloc_td = odp_dealloc_td,
	.dereg_mr = odp_dereg_mr,
	.destroy_ah = odp_destroy_ah,
	.destroy_cq = odp_destroy_cq,
	.destroy_qp = odp_destroy_qp,
	.destroy_srq = odp_destroy_srq,
	.detach_mcast = ibv_cmd_detach_mcast,
	.free_context = free_context,
	.free_dm = odp_free_dm,
	.get_srq_num = odp_get_srq_num,
	.import_dm = odp_import_dm,
	.import_mr = odp_import_mr,
	.import_pd = odp_import_pd,
	.modify_cq = odp_modify_cq,
	.modify_qp = odp_modify_qp,
	.modify_srq = odp_modify_srq,
	.open_qp = odp_open_qp,
	.open_xrcd = odp_open_xrcd,
	.poll_cq = odp_poll_cq,
	.post_recv = odp_post_recv,
	.post_send = odp_post_send,
	.post_srq_recv = odp_post_srq_recv,
	.query_device_ex = query_device,
	.query_port = query_port,
	.query_qp = odp_query_qp,
	.query_rt_values = odp_query_rt_values,
	.query_srq = odp_query_srq,
	.reg_dm_mr = odp_reg_dm_mr,
	.reg_dmabuf_mr = odp_reg_dmabuf_mr,
	.reg_mr = odp_reg_mr,
	.req_notify_cq = ibv_cmd_req_notify_cq,
	.rereg_mr = odp_rereg_mr,
	.resize_cq = odp_resize_cq,
	.unimport_dm = odp_unimport_dm,
	.unimport_mr = odp_unimport_mr,
	.unimport_pd = odp_unimport_pd,
};

struct odp_context {
	struct verbs_context vctx;
};

static struct verbs_context *init_context(struct ibv_device *ibdev, int cmd_fd)
{
	struct odp_context *context;

	context = verbs_init_and_alloc_context(ibdev, cmd_fd, context, vctx,
					       ODP_DRIVER_ID);
	return context ? &context->vctx : NULL;
}

static struct verbs_context *ready_context(struct verbs_context *vctx, int ret)
{
	if (ret) {
		free_context(&vctx->context);
		return NULL;
	}
	verbs_set_ops(vctx, &context_ops);
	return vctx;
}

static struct verbs_context *alloc_context(struct ibv_device *ibdev,
					   int cmd_fd, void *private_data)
{
	struct verbs_context *vctx = init_context(ibdev, cmd_fd);
	struct ib_uverbs_get_context_resp resp;
	struct ibv_get_context cmd;

	if (!vctx)
		return NULL;
	return ready_context(vctx, odp_cmd_get_context(vctx, &cmd, sizeof(cmd),
						       &resp, sizeof(resp)));
}

/* The kernel has a context already behind the descriptor. */
static struct verbs_context *import_context(struct ibv_device *ibdev,
					    int cmd_fd)
{
	struct verbs_context *vctx = init_context(ibdev, cmd_fd);

	if (!vctx)
		return NULL;
	return ready_context(vctx, ibv_cmd_query_context(&vctx->context, NULL));
}

static struct verbs_device *alloc_device(struct verbs_sysfs_dev *sysfs_dev)
{
	return calloc(1, sizeof(struct verbs_device));
}

static void uninit_device(struct verbs_device *device)
{
	free(device);
}

static const struct verbs_match_ent match_table[] = {
	VERBS_DRIVER_ID(ODP_DRIVER_ID),
	VERBS_NAME_MATCH("odp", NULL),
	{},
};

static const struct verbs_device_ops device_ops = {
	.name = "odp",
	.match_min_abi_version = ODP_ABI_VERSION,
	.match_max_abi_version = ODP_ABI_VERSION,
	.match_table = match_table,
	.alloc_device = alloc_device,
	.uninit_device = uninit_device,
	.alloc_context = alloc_context,
	.import_context = import_context,
};
PROVIDER_DRIVER(odp, device_ops);
