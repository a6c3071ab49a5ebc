/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The commands with a part of ours as rdma-core sends them: its own part, then
 * ours.
 *
 * rdma-core generates a _STRUCT_ macro for each structure of the kernel's
 * headers it contains; for ours it is empty, and they are reached through
 * drv_payload.
 */
#ifndef ODP_PROVIDER_ABI_H
#define ODP_PROVIDER_ABI_H

#include <infiniband/driver.h>
#include <infiniband/kern-abi.h>
#include <odp-abi.h>

#define _STRUCT_odp_create_ah_resp struct {}
#define _STRUCT_odp_create_cq_resp struct {}
#define _STRUCT_odp_create_qp_resp struct {}
#define _STRUCT_odp_create_srq_resp struct {}
#define _STRUCT_odp_reg_mr struct {}
#define _STRUCT_odp_resize_cq struct {}

DECLARE_DRV_CMD(odp_cmd_create_ah, IB_USER_VERBS_CMD_CREATE_AH,
		empty, odp_create_ah_resp);
DECLARE_DRV_CMD(odp_cmd_create_cq, IB_USER_VERBS_CMD_CREATE_CQ,
		empty, odp_create_cq_resp);
DECLARE_DRV_CMD(odp_cmd_create_qp, IB_USER_VERBS_CMD_CREATE_QP,
		empty, odp_create_qp_resp);
DECLARE_DRV_CMD(odp_cmd_create_srq, IB_USER_VERBS_CMD_CREATE_XSRQ,
		empty, odp_create_srq_resp);
DECLARE_DRV_CMD(odp_cmd_reg_mr, IB_USER_VERBS_CMD_REG_MR,
		odp_reg_mr, empty);
DECLARE_DRV_CMD(odp_cmd_rereg_mr, IB_USER_VERBS_CMD_REREG_MR,
		odp_reg_mr, empty);
DECLARE_DRV_CMD(odp_cmd_resize_cq, IB_USER_VERBS_CMD_RESIZE_CQ,
		odp_resize_cq, odp_create_cq_resp);

#endif /* ODP_PROVIDER_ABI_H */
