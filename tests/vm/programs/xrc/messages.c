// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What the initiators send */
#include "xrc.h"

#include <sys/mman.h>

char *outbox;
struct ibv_mr *mr;

static int sent[PAIRS][QUEUES];

uint32_t size_of(int pair, int queue, int message)
{
	static const uint32_t edges[] = {
		0, 1, 1020, 1023, 1024, 1025, 2048, PAGE - 1, PAGE, PAGE + 1, SLOT - 1, SLOT,
	};
	uint32_t n = pair * 7 + queue * 5 + message;

	if (message % 2)
		return edges[n / 2 % (sizeof(edges) / sizeof(edges[0]))];
	return (n * 2654435761U >> 8) % SLOT;
}

char byte_of(int pair, int queue, int message, uint32_t i)
{
	return (i * 2654435761U + pair * 100003 + queue * 300007 + message * 7919) >> 11;
}

void post_to(int pair, uint32_t number, char *data, uint32_t len, uint64_t id)
{
	struct ibv_sge sge = { (uintptr_t)data, len, mr->lkey };
	struct ibv_send_wr wr = {
		.wr_id = id, .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND,
		.qp_type.xrc.remote_srqn = number,
	}, *bad;
	struct ibv_qp_ex *qpx = ibv_qp_to_qp_ex(near[pair].qp);

	if (id % 2) {
		CHECK(!ibv_post_send(near[pair].qp, &wr, &bad));
		return;
	}
	ibv_wr_start(qpx);
	qpx->wr_id = id;
	qpx->wr_flags = IBV_SEND_SIGNALED;
	ibv_wr_send(qpx);
	ibv_wr_set_xrc_srqn(qpx, number);
	ibv_wr_set_sge(qpx, mr->lkey, (uintptr_t)data, len);
	CHECK(!ibv_wr_complete(qpx));
}

void post_message(int pair, int queue)
{
	int message = sent[pair][queue]++;
	char *data = outbox + ((pair * QUEUES + queue) * BURST + message % BURST) * SLOT;
	uint32_t i, len = size_of(pair, queue, message);

	/* The device is to have no page of it. */
	CHECK(!madvise(data, SLOT, MADV_DONTNEED));
	for (i = 0; i < len; i++)
		data[i] = byte_of(pair, queue, message, i);
	post_to(pair, queues[queue].known.number, data, len, message);
}

void post_remote(int pair, enum ibv_wr_opcode opcode, const struct queue *queue,
		 uint32_t rkey, uint32_t len)
{
	struct ibv_sge sge = { (uintptr_t)outbox, len, mr->lkey };
	struct ibv_send_wr wr = {
		.sg_list = &sge, .num_sge = 1, .opcode = opcode,
		.imm_data = 0x12345678,
		.qp_type.xrc.remote_srqn = queue->known.number,
	}, *bad;

	if (opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
		wr.wr.atomic.remote_addr = queue->known.field;
		wr.wr.atomic.rkey = rkey;
		wr.wr.atomic.compare_add = 5;
	} else {
		wr.wr.rdma.remote_addr = queue->known.field;
		wr.wr.rdma.rkey = rkey;
	}
	CHECK(!ibv_post_send(near[pair].qp, &wr, &bad));
}

void fill(int seed, uint32_t len)
{
	uint32_t i;

	CHECK(!madvise(outbox, PAIRS * QUEUES * BURST * SLOT, MADV_DONTNEED));
	for (i = 0; i < len; i++)
		outbox[i] = byte_of(0, 0, seed, i);
}
