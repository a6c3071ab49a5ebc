// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The queues of a process, and what comes in by them */
#include "xrc.h"

#include <sys/mman.h>

struct queue queues[QUEUES];

struct ibv_srq *srq_of(struct ibv_context *context, struct ibv_pd *pd,
		       struct ibv_xrcd *domain, struct ibv_cq *cq)
{
	struct ibv_srq_init_attr_ex init = {
		.attr = { .max_wr = SLOTS, .max_sge = 2 },
		.comp_mask = IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_PD |
			     IBV_SRQ_INIT_ATTR_XRCD | IBV_SRQ_INIT_ATTR_CQ,
		.srq_type = IBV_SRQT_XRC, .pd = pd, .xrcd = domain, .cq = cq,
	};

	return ibv_create_srq_ex(context, &init);
}

void queue_create(struct queue *queue)
{
	struct nic nic = nics[1];
	struct end *end = &queue->end;

	CHECK((queue->pd = nic.pd = ibv_alloc_pd(nic.context)));
	queue->inbox = memory_map(SLOTS * SLOT + FIELD, false);
	queue->field = queue->inbox + SLOTS * SLOT;
	queue->mr = nic_register(&nic, queue->inbox, SLOTS * SLOT + FIELD);
	CHECK((end->channel = ibv_create_comp_channel(nic.context)));
	CHECK((end->cq = ibv_create_cq(nic.context, SLOTS + 1, NULL, end->channel, 0)));
	CHECK((queue->srq = srq_of(nic.context, queue->pd, xrcd, end->cq)));
	CHECK(!ibv_get_srq_num(queue->srq, &queue->known.number));
	CHECK(queue->known.number);
	queue->known.rkey = queue->mr->rkey;
	queue->known.field = (uintptr_t)queue->field;
}

void queue_destroy_rest(struct queue *queue)
{
	CHECK(!ibv_destroy_cq(queue->end.cq));
	CHECK(!ibv_destroy_comp_channel(queue->end.channel));
	CHECK(!ibv_dereg_mr(queue->mr));
	CHECK(!ibv_dealloc_pd(queue->pd));
}

void queue_destroy(struct queue *queue)
{
	CHECK(!ibv_destroy_srq(queue->srq));
	queue_destroy_rest(queue);
}

void post_receive(struct queue *queue, char *a, uint32_t len, char *b, uint32_t len_b, uint64_t id)
{
	struct ibv_sge sge[2] = {
		{ (uintptr_t)a, len, queue->mr->lkey }, { (uintptr_t)b, len_b, queue->mr->lkey },
	};
	struct ibv_recv_wr wr = { .wr_id = id, .sg_list = sge, .num_sge = 2 }, *bad;

	CHECK(!ibv_post_srq_recv(queue->srq, &wr, &bad));
}

void give(struct queue *queue, int count)
{
	int slot;

	for (slot = 0; slot < SLOTS && count; slot++) {
		char *at = queue->inbox + slot * SLOT;

		if (queue->given[slot])
			continue;
		queue->given[slot] = true;
		post_receive(queue, at, 1000 + slot, at + 1000 + slot, SLOT - 1000 - slot, slot);
		count--;
	}
	CHECK(!count);
}

/* What is not of the message is as it was. The device is to have no page of it. */
static void check_slot(char *slot, int pair, int queue, int message)
{
	uint32_t i, len = size_of(pair, queue, message);

	for (i = 0; i < len; i++)
		CHECK(slot[i] == byte_of(pair, queue, message, i));
	for (; i < SLOT; i++)
		CHECK(!slot[i]);
	CHECK(!madvise(slot, SLOT, MADV_DONTNEED));
}

void take(struct queue *queue)
{
	struct ibv_wc wc = end_wait(&queue->end);
	int pair = 0, message;

	CHECK(wc.status == IBV_WC_SUCCESS && wc.opcode == IBV_WC_RECV);
	while (pair < PAIRS && target_numbers[pair] != wc.qp_num)
		pair++;
	CHECK(pair < PAIRS && wc.wr_id < SLOTS && queue->given[wc.wr_id]);
	queue->given[wc.wr_id] = false;
	message = queue->got[pair]++;
	CHECK(wc.byte_len == size_of(pair, queue->index, message));
	check_slot(queue->inbox + wc.wr_id * SLOT, pair, queue->index, message);
}

void check_field(struct queue *queue, uint64_t value, uint32_t len)
{
	uint32_t i;

	for (i = 0; i < FIELD; i++)
		CHECK(queue->field[i] == (i < len ? byte_of(0, 0, value, i) : 0));
	CHECK(!madvise(queue->field, FIELD, MADV_DONTNEED));
}
