/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Everything that differs between the rdma-core releases we build in or run
 * with, and nothing else does. ODP_PRIVATE_ABI is the version of its private
 * ABI: 34 for releases 34 to 56, then 57, 59 and 64.
 */
#ifndef ODP_PROVIDER_COMPAT_H
#define ODP_PROVIDER_COMPAT_H

#include <string.h>

#include <infiniband/driver.h>

static inline int odp_cmd_get_context(struct verbs_context *context,
				      struct ibv_get_context *cmd,
				      size_t cmd_size,
				      struct ib_uverbs_get_context_resp *resp,
				      size_t resp_size)
{
#if ODP_PRIVATE_ABI >= 57
	return ibv_cmd_get_context(context, cmd, cmd_size, NULL, resp,
				   resp_size);
#else
	return ibv_cmd_get_context(context, cmd, cmd_size, resp, resp_size);
#endif
}

/*
 * The last argument came after release 44, without a new private ABI. Being the
 * last, an older libibverbs does not look at it.
 */
static inline int odp_cmd_reg_dmabuf_mr(struct ibv_pd *pd, uint64_t offset,
					size_t length, uint64_t iova, int fd,
					int access, struct verbs_mr *vmr)
{
	return ibv_cmd_reg_dmabuf_mr(pd, offset, length, iova, fd, access, vmr,
				     NULL);
}

/**
 * odp_mark_qp_ex - let ibv_qp_to_qp_ex() accept a queue pair
 * @vqp: The queue pair, after ibv_cmd_create_qp_ex().
 *
 * The flag belongs in comp_mask, which follows struct ibv_qp_ex. That struct
 * grew by one pointer (wr_flush) after release 44 without a new private ABI,
 * so an older libibverbs looks for the flag where newer headers have wr_flush.
 * Setting both makes one binary serve both; wr_flush is not offered, so no one
 * calls what is stored there.
 */
static inline void odp_mark_qp_ex(struct verbs_qp *vqp)
{
	const size_t old_comp_mask =
		offsetof(struct ibv_qp_ex, wr_atomic_write) + sizeof(void *);
	const uint32_t flag = VERBS_QP_EX;

	memcpy((char *)vqp + old_comp_mask, &flag, sizeof(flag));
	vqp->comp_mask |= flag;
}

#endif /* ODP_PROVIDER_COMPAT_H */
