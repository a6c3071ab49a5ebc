// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The commands of libibverbs that the provider's data path needs, without a
 * kernel behind them. They take the place of libibverbs' own; ring memory is a
 * memfd, which stands for the file of the device.
 */
#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_kernel.h"
#include "providers/odp/abi.h"

struct fake_kernel fake;

void fake_kernel_start(void)
{
	fake = (struct fake_kernel){};
	fake.context.context.cmd_fd = memfd_create("rings", 0);
	assert(fake.context.context.cmd_fd >= 0);
}

void fake_kernel_stop(void)
{
	close(fake.context.context.cmd_fd);
}

/* Returns the offset to map. */
static uint64_t add_rings(size_t size)
{
	off_t offset = fake.size;

	fake.size += (size + 4095) & ~4095UL;
	if (ftruncate(fake.context.context.cmd_fd, fake.size))
		abort();
	return offset;
}

static void answer_cq(struct odp_create_cq_resp *resp, uint32_t depth)
{
	resp->depth = depth;
	resp->size = sizeof(struct odp_ring) + depth * sizeof(struct odp_cqe);
	resp->offset = add_rings(resp->size);
}

int ibv_cmd_create_cq(struct ibv_context *context, int cqe,
		      struct ibv_comp_channel *channel, int comp_vector,
		      struct ibv_cq *cq, struct ibv_create_cq *cmd,
		      size_t cmd_size, struct ib_uverbs_create_cq_resp *resp,
		      size_t resp_size)
{
	assert(resp_size == sizeof(struct odp_cmd_create_cq_resp));
	cq->context = context;
	cq->cqe = FAKE_CQ_DEPTH;
	answer_cq(&container_of(resp, struct odp_cmd_create_cq_resp, ibv_resp)
			   ->drv_payload, FAKE_CQ_DEPTH);
	return 0;
}

int ibv_cmd_resize_cq(struct ibv_cq *cq, int cqe, struct ibv_resize_cq *cmd,
		      size_t cmd_size, struct ib_uverbs_resize_cq_resp *resp,
		      size_t resp_size)
{
	struct odp_cmd_resize_cq *ours =
		container_of(cmd, struct odp_cmd_resize_cq, ibv_cmd);

	assert(cmd_size == sizeof(struct odp_cmd_resize_cq));
	assert(resp_size == sizeof(struct odp_cmd_resize_cq_resp));
	if (ours->drv_payload.step == ODP_RESIZE_CQ_COMMIT)
		return fake.commit(cqe);
	answer_cq(&container_of(resp, struct odp_cmd_resize_cq_resp, ibv_resp)
			   ->drv_payload, cqe);
	return 0;
}

int ibv_cmd_modify_cq(struct ibv_cq *cq, struct ibv_modify_cq_attr *attr,
		      struct ibv_modify_cq *cmd, size_t cmd_size)
{
	return 0;
}

int ibv_cmd_destroy_cq(struct ibv_cq *cq)
{
	return 0;
}

static void answer_qp(struct odp_create_qp_resp *resp)
{
	resp->sq_depth = FAKE_DEPTH;
	resp->sq_stride = sizeof(struct odp_send_wqe) + FAKE_INLINE;
	resp->rq_depth = FAKE_DEPTH;
	resp->rq_stride = sizeof(struct odp_recv_wqe) +
			  FAKE_RECV_SGE * sizeof(struct odp_sge);
	resp->rq_offset = sizeof(struct odp_ring) +
			  FAKE_DEPTH * resp->sq_stride;
	resp->size = resp->rq_offset + sizeof(struct odp_ring) +
		     FAKE_DEPTH * resp->rq_stride;
	resp->offset = add_rings(resp->size);
}

int ibv_cmd_create_qp_ex(struct ibv_context *context, struct verbs_qp *qp,
			 struct ibv_qp_init_attr_ex *attr,
			 struct ibv_create_qp *cmd, size_t cmd_size,
			 struct ib_uverbs_create_qp_resp *resp,
			 size_t resp_size)
{
	assert(resp_size == sizeof(struct odp_cmd_create_qp_resp));
	qp->qp.context = context;
	qp->qp.send_cq = attr->send_cq;
	qp->qp.recv_cq = attr->recv_cq;
	qp->qp.qp_num = FAKE_QP_NUM;
	qp->qp.state = IBV_QPS_RESET;
	attr->cap = (struct ibv_qp_cap){
		.max_send_wr = FAKE_DEPTH,
		.max_recv_wr = FAKE_DEPTH,
		.max_send_sge = FAKE_SEND_SGE,
		.max_recv_sge = FAKE_RECV_SGE,
		.max_inline_data = FAKE_INLINE,
	};
	answer_qp(&container_of(resp, struct odp_cmd_create_qp_resp, ibv_resp)
			   ->drv_payload);
	return 0;
}

int ibv_cmd_destroy_qp(struct ibv_qp *qp)
{
	return 0;
}

int ibv_cmd_create_srq_ex(struct ibv_context *context, struct verbs_srq *srq,
			  struct ibv_srq_init_attr_ex *attr,
			  struct ibv_create_xsrq *cmd, size_t cmd_size,
			  struct ib_uverbs_create_srq_resp *resp,
			  size_t resp_size)
{
	struct odp_create_srq_resp *ours =
		&container_of(resp, struct odp_cmd_create_srq_resp, ibv_resp)
			 ->drv_payload;

	assert(resp_size == sizeof(struct odp_cmd_create_srq_resp));
	attr->attr.max_wr = FAKE_DEPTH;
	attr->attr.max_sge = FAKE_RECV_SGE;
	ours->depth = FAKE_DEPTH;
	ours->stride = sizeof(struct odp_recv_wqe) +
		       FAKE_RECV_SGE * sizeof(struct odp_sge);
	ours->size = sizeof(struct odp_ring) + FAKE_DEPTH * ours->stride;
	ours->offset = add_rings(ours->size);
	return 0;
}

int ibv_cmd_destroy_srq(struct ibv_srq *srq)
{
	return 0;
}

int ibv_cmd_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr,
		      int attr_mask, struct ibv_modify_qp *cmd,
		      size_t cmd_size)
{
	return 0;
}

int ibv_cmd_post_send(struct ibv_qp *qp, struct ibv_send_wr *wr,
		      struct ibv_send_wr **bad_wr)
{
	assert(!wr);
	fake.doorbells++;
	return fake.refuse;
}

int ibv_cmd_post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr,
		      struct ibv_recv_wr **bad_wr)
{
	assert(!wr);
	fake.kicks++;
	return 0;
}
