/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Commands that the library does not give, or whose answers it keeps to itself */
#include "scribble.h"

#include <rdma/ib_user_verbs.h>
#include <string.h>
#include <unistd.h>

/* @cmd: Begins with a header, which is filled in. */
static bool command(const struct ibv_context *context, void *cmd, uint32_t number, size_t size,
		    size_t answer)
{
	*(struct ib_uverbs_cmd_hdr *)cmd = (struct ib_uverbs_cmd_hdr){
		.command = number,
		.in_words = size / 4,
		.out_words = answer / 4,
	};
	return write(context->cmd_fd, cmd, size) == (ssize_t)size;
}

/* ring_doorbell - a post without work requests, or with one */
bool ring_doorbell(const struct ibv_qp *qp, uint32_t number, uint32_t wr_count)
{
	struct ib_uverbs_post_send_resp answer;
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		struct ib_uverbs_post_send post;
		struct ib_uverbs_send_wr wr;
	} cmd = {
		.post = {
			.response = (uintptr_t)&answer,
			.qp_handle = qp->handle,
			.wr_count = wr_count,
			.wqe_size = sizeof(struct ib_uverbs_send_wr),
		},
	};

	return command(qp->context, &cmd, number,
		       sizeof(cmd) - (wr_count ? 0 : sizeof(cmd.wr)), sizeof(answer));
}

/* create_address - an address handle whose number is known */
bool create_address(const struct device *device, const struct ibv_pd *pd,
		    const struct device *to, uint32_t *number, uint32_t *handle)
{
	struct {
		struct ib_uverbs_create_ah_resp core;
		struct odp_create_ah_resp own;
	} answer;
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		struct ib_uverbs_create_ah create;
	} cmd = {
		.create = {
			.response = (uintptr_t)&answer,
			.pd_handle = pd->handle,
			.attr = {
				.is_global = 1,
				.port_num = 1,
				.grh = { .sgid_index = device->gid_index, .hop_limit = 64 },
			},
		},
	};

	memcpy(cmd.create.attr.grh.dgid, to->gid.raw, sizeof(to->gid.raw));
	if (!command(device->context, &cmd, IB_USER_VERBS_CMD_CREATE_AH, sizeof(cmd),
		     sizeof(answer)))
		return false;
	*number = answer.own.ah;
	*handle = answer.core.ah_handle;
	return true;
}

bool destroy_address(const struct device *device, uint32_t handle)
{
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		struct ib_uverbs_destroy_ah destroy;
	} cmd = { .destroy.ah_handle = handle };

	return command(device->context, &cmd, IB_USER_VERBS_CMD_DESTROY_AH, sizeof(cmd), 0);
}

struct resize {
	struct ib_uverbs_cmd_hdr hdr;
	struct ib_uverbs_resize_cq resize;
	struct odp_resize_cq step;
};

struct resized {
	struct ib_uverbs_resize_cq_resp core;
	struct odp_create_cq_resp ring;
};

static bool resize(const struct ibv_cq *cq, uint32_t cqe, uint32_t step, struct resized *answer)
{
	struct resize cmd = {
		.resize = {
			.response = (uintptr_t)answer,
			.cq_handle = cq->handle,
			.cqe = cqe,
		},
		.step.step = step,
	};

	return command(cq->context, &cmd, IB_USER_VERBS_CMD_RESIZE_CQ, sizeof(cmd),
		       sizeof(*answer));
}

/* prepare_resize - the first step: a ring that the queue may change to */
bool prepare_resize(const struct ibv_cq *cq, uint32_t cqe, struct odp_create_cq_resp *ring)
{
	struct resized answer;

	if (!resize(cq, cqe, ODP_RESIZE_CQ_PREPARE, &answer))
		return false;
	*ring = answer.ring;
	return true;
}

/* commit_resize - the second step: it changes, of which the library knows nothing */
bool commit_resize(const struct ibv_cq *cq)
{
	struct resized answer;

	return resize(cq, 1, ODP_RESIZE_CQ_COMMIT, &answer);
}
