// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Taking completions from a queue, by ibv_poll_cq() and by iteration. */
#include <errno.h>

#include "cq.h"
#include "poll.h"

static struct ibv_wc to_wc(const struct odp_cqe *cqe)
{
	return (struct ibv_wc){
		.wr_id = cqe->wr_id,
		.status = cqe->status,
		.opcode = cqe->opcode,
		.vendor_err = cqe->vendor_err,
		.byte_len = cqe->byte_len,
		.imm_data = cqe->imm_data,
		.qp_num = cqe->qp_num,
		.src_qp = cqe->src_qp,
		.wc_flags = cqe->wc_flags,
	};
}

int odp_poll_cq(struct ibv_cq *ibcq, int num, struct ibv_wc *wc)
{
	struct odp_cq *cq = to_odp_cq(ibcq);
	struct odp_queue *queue = &cq->queue;
	uint32_t ready;
	int i;

	odp_cq_lock(cq);
	ready = odp_queue_ready(queue, num);
	if (ready > queue->depth) {
		num = -ENOTRECOVERABLE;
		goto unlock;
	}
	if (num > 0 && ready < (uint32_t)num)
		num = ready;

	for (i = 0; i < num; i++)
		wc[i] = to_wc(odp_queue_entry(queue, queue->index++));
	if (num > 0)
		odp_queue_publish(queue);
unlock:
	odp_cq_unlock(cq);
	return num;
}

static struct odp_cq *to_cq(struct ibv_cq_ex *cqx)
{
	return to_odp_cq(ibv_cq_ex_to_cq(cqx));
}

/* Step to the next entry; the ones before it are the kernel's again. */
static int step(struct odp_cq *cq)
{
	struct odp_queue *queue = &cq->queue;
	uint32_t ready = odp_queue_ready(queue, 1);

	if (!ready)
		return ENOENT;
	if (ready > queue->depth)
		return ENOTRECOVERABLE;

	odp_queue_publish(queue);
	cq->cqe = odp_queue_entry(queue, queue->index++);
	cq->vcq.cq_ex.wr_id = cq->cqe->wr_id;
	cq->vcq.cq_ex.status = cq->cqe->status;
	return 0;
}

static int start_poll(struct ibv_cq_ex *cqx, struct ibv_poll_cq_attr *attr)
{
	struct odp_cq *cq = to_cq(cqx);
	int ret;

	if (attr->comp_mask)
		return EINVAL;

	odp_cq_lock(cq);
	ret = step(cq);
	if (ret)
		odp_cq_unlock(cq);
	return ret;
}

static int next_poll(struct ibv_cq_ex *cqx)
{
	return step(to_cq(cqx));
}

static void end_poll(struct ibv_cq_ex *cqx)
{
	struct odp_cq *cq = to_cq(cqx);

	odp_queue_publish(&cq->queue);
	odp_cq_unlock(cq);
}

static enum ibv_wc_opcode read_opcode(struct ibv_cq_ex *cqx)
{
	return to_cq(cqx)->cqe->opcode;
}

static uint32_t read_vendor_err(struct ibv_cq_ex *cqx)
{
	return to_cq(cqx)->cqe->vendor_err;
}

static uint32_t read_byte_len(struct ibv_cq_ex *cqx)
{
	return to_cq(cqx)->cqe->byte_len;
}

static __be32 read_imm_data(struct ibv_cq_ex *cqx)
{
	return to_cq(cqx)->cqe->imm_data;
}

static uint32_t read_qp_num(struct ibv_cq_ex *cqx)
{
	return to_cq(cqx)->cqe->qp_num;
}

static uint32_t read_src_qp(struct ibv_cq_ex *cqx)
{
	return to_cq(cqx)->cqe->src_qp;
}

static unsigned int read_wc_flags(struct ibv_cq_ex *cqx)
{
	return to_cq(cqx)->cqe->wc_flags;
}

static uint64_t read_completion_ts(struct ibv_cq_ex *cqx)
{
	return to_cq(cqx)->cqe->timestamp;
}

static uint64_t read_completion_wallclock_ns(struct ibv_cq_ex *cqx)
{
	return to_cq(cqx)->cqe->wallclock;
}

/* That of the address which a datagram was for; 0: of none */
static uint16_t read_cvlan(struct ibv_cq_ex *cqx)
{
	uint16_t vlan = to_cq(cqx)->cqe->vlan;

	return vlan ? vlan - 1 : 0;
}

/* Local identifiers and service levels do not exist on Ethernet. */
static uint32_t read_slid(struct ibv_cq_ex *cqx)
{
	return 0;
}

static uint8_t read_sl(struct ibv_cq_ex *cqx)
{
	return 0;
}

static uint8_t read_dlid_path_bits(struct ibv_cq_ex *cqx)
{
	return 0;
}

/**
 * odp_poll_init - make iteration over a completion queue available
 * @cqx: The queue.
 */
void odp_poll_init(struct ibv_cq_ex *cqx)
{
	cqx->start_poll = start_poll;
	cqx->next_poll = next_poll;
	cqx->end_poll = end_poll;
	cqx->read_opcode = read_opcode;
	cqx->read_vendor_err = read_vendor_err;
	cqx->read_byte_len = read_byte_len;
	cqx->read_imm_data = read_imm_data;
	cqx->read_qp_num = read_qp_num;
	cqx->read_src_qp = read_src_qp;
	cqx->read_wc_flags = read_wc_flags;
	cqx->read_slid = read_slid;
	cqx->read_sl = read_sl;
	cqx->read_dlid_path_bits = read_dlid_path_bits;
	cqx->read_cvlan = read_cvlan;
	cqx->read_completion_ts = read_completion_ts;
	cqx->read_completion_wallclock_ns = read_completion_wallclock_ns;
}
