// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Posting by function calls (ibv_wr_post(3)): every operation with every setter,
 * the bytes at both ends; mistakes are told by ibv_wr_complete(), and nothing is
 * posted then.
 *
 * usage: posting -d DEV[,DEV2]
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "ends.h"

enum {
	DEPTH = 16, CQ_DEPTH = 2048, PIECES = 4, INLINE = 64, SIZE = 8192,
	FROM = 96, TO = 1000, LENGTH = 40, IMM = 0x12345678,
	THREADS = 3, BATCH = 4, ROUNDS = 500,
};

static const uint64_t all_ops = IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_SEND_WITH_IMM |
				IBV_QP_EX_WITH_RDMA_READ | IBV_QP_EX_WITH_RDMA_WRITE |
				IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM;

/* An end, its memory, and what that memory should be */
struct side {
	struct end end;
	struct ibv_qp_ex *qpx;
	struct ibv_mr *mr;
	char *mem;
	char model[SIZE];
};

static struct side a, b;

static struct ibv_qp *create_qp(struct nic *nic, struct ibv_cq *cq, uint32_t mask, uint64_t ops)
{
	struct ibv_qp_init_attr_ex init = {
		.qp_type = IBV_QPT_RC, .send_cq = cq, .recv_cq = cq, .pd = nic->pd,
		.cap = { DEPTH, DEPTH, PIECES, PIECES, INLINE },
		.comp_mask = IBV_QP_INIT_ATTR_PD | mask, .send_ops_flags = ops,
	};

	return ibv_create_qp_ex(nic->context, &init);
}

static void side_create(struct side *side, struct nic *nic)
{
	struct end *end = &side->end;

	end->nic = nic;
	CHECK((end->channel = ibv_create_comp_channel(nic->context)));
	CHECK((end->cq = ibv_create_cq(nic->context, CQ_DEPTH, NULL, end->channel, 0)));
	end->qp = create_qp(nic, end->cq, IBV_QP_INIT_ATTR_SEND_OPS_FLAGS, all_ops);
	CHECK(end->qp);
	CHECK((side->qpx = ibv_qp_to_qp_ex(end->qp)));
	side->mem = memory_map(SIZE, false);
	side->mr = nic_register(nic, side->mem, SIZE);
}

static void fill(struct side *side)
{
	static char next;
	int i;

	for (i = 0; i < SIZE; i++)
		side->model[i] = side->mem[i] = next += 7;
}

static void expect_bytes(void)
{
	CHECK(!memcmp(a.mem, a.model, SIZE));
	CHECK(!memcmp(b.mem, b.model, SIZE));
}

static void expect_nothing(void)
{
	struct ibv_wc wc;

	CHECK(!end_poll(&a.end, &wc));
	CHECK(!end_poll(&b.end, &wc));
	expect_bytes();
}

/* --- Every operation, every setter ---------------------------------------------- */

enum setter { SGE, SGE_LIST, DATA, DATA_LIST, SETTERS };

static const struct ibv_data_buf parts[] = {
	{ (void *)FROM, 10 }, { (void *)(FROM + 500), 1 }, { (void *)(FROM + 100), LENGTH - 11 },
};

enum { PARTS = sizeof(parts) / sizeof(parts[0]) };

static void build(enum ibv_wr_opcode opcode, uint64_t id, int flags)
{
	uint64_t to = (uintptr_t)b.mem + TO;

	a.qpx->wr_id = id;
	a.qpx->wr_flags = flags;
	switch (opcode) {
	case IBV_WR_SEND:
		return ibv_wr_send(a.qpx);
	case IBV_WR_SEND_WITH_IMM:
		return ibv_wr_send_imm(a.qpx, htonl(IMM));
	case IBV_WR_RDMA_READ:
		return ibv_wr_rdma_read(a.qpx, b.mr->rkey, to);
	case IBV_WR_RDMA_WRITE:
		return ibv_wr_rdma_write(a.qpx, b.mr->rkey, to);
	default:
		return ibv_wr_rdma_write_imm(a.qpx, b.mr->rkey, to, htonl(IMM));
	}
}

/* Inline data is taken at once, so it may change before anything is sent. */
static void set_data(enum setter setter)
{
	char copy[PARTS][LENGTH];
	struct ibv_data_buf bufs[PARTS];
	int i;

	for (i = 0; i < PARTS; i++) {
		bufs[i] = (struct ibv_data_buf){ copy[i], parts[i].length };
		memcpy(copy[i], a.mem + (uintptr_t)parts[i].addr, parts[i].length);
	}
	if (setter == DATA_LIST)
		ibv_wr_set_inline_data_list(a.qpx, PARTS, bufs);
	else
		ibv_wr_set_inline_data(a.qpx, bufs[0].addr, bufs[0].length);
	memset(copy, 0xee, sizeof(copy));
}

static void set_pieces(enum setter setter)
{
	struct ibv_sge sges[PARTS];
	int i;

	for (i = 0; i < PARTS; i++)
		sges[i] = (struct ibv_sge){ (uintptr_t)a.mem + (uintptr_t)parts[i].addr,
					    parts[i].length, a.mr->lkey };
	if (setter == SGE_LIST)
		ibv_wr_set_sge_list(a.qpx, PARTS, sges);
	else
		ibv_wr_set_sge(a.qpx, sges[0].lkey, sges[0].addr, sges[0].length);
	memset(sges, 0xee, sizeof(sges));
}

/* What the request does to memory. Return: bytes */
static uint32_t apply(enum ibv_wr_opcode opcode, enum setter setter)
{
	int i, n = setter == SGE || setter == DATA ? 1 : PARTS;
	char *to = b.model + TO;

	for (i = 0; i < n; i++) {
		char *here = a.model + (uintptr_t)parts[i].addr;

		if (opcode == IBV_WR_RDMA_READ)
			memcpy(here, to, parts[i].length);
		else
			memcpy(to, here, parts[i].length);
		to += parts[i].length;
	}
	return to - b.model - TO;
}

static void expect_sent(uint64_t id, enum ibv_wc_opcode opcode)
{
	struct ibv_wc wc = end_wait(&a.end);

	CHECK(wc.status == IBV_WC_SUCCESS);
	CHECK(wc.wr_id == id && wc.opcode == opcode && wc.qp_num == a.end.qp->qp_num);
}

static void expect_received(uint64_t id, enum ibv_wc_opcode opcode, bool imm, uint32_t length)
{
	struct ibv_wc wc = end_wait(&b.end);

	CHECK(wc.status == IBV_WC_SUCCESS);
	CHECK(wc.wr_id == id && wc.opcode == opcode && wc.byte_len == length);
	CHECK(!(wc.wc_flags & IBV_WC_WITH_IMM) == !imm);
	CHECK(!imm || wc.imm_data == htonl(IMM));
}

static void operation(enum ibv_wr_opcode opcode, enum setter setter, uint64_t id)
{
	bool imm = opcode == IBV_WR_SEND_WITH_IMM || opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
	bool send = opcode == IBV_WR_SEND || opcode == IBV_WR_SEND_WITH_IMM;
	uint32_t length;

	fill(&a);
	fill(&b);
	if (send || imm)
		end_post_receive(&b.end, b.mem + TO, SIZE - TO, b.mr->lkey, ~id);

	ibv_wr_start(a.qpx);
	build(opcode, id, IBV_SEND_SIGNALED);
	if (setter == DATA || setter == DATA_LIST)
		set_data(setter);
	else
		set_pieces(setter);
	CHECK(!ibv_wr_complete(a.qpx));

	length = apply(opcode, setter);
	expect_sent(id, opcode == IBV_WR_RDMA_READ ? IBV_WC_RDMA_READ :
			send ? IBV_WC_SEND : IBV_WC_RDMA_WRITE);
	if (send || imm)
		expect_received(~id, send ? IBV_WC_RECV : IBV_WC_RECV_RDMA_WITH_IMM, imm, length);
	expect_nothing();
}

static void operations(void)
{
	static const enum ibv_wr_opcode opcodes[] = {
		IBV_WR_SEND, IBV_WR_SEND_WITH_IMM, IBV_WR_RDMA_READ, IBV_WR_RDMA_WRITE,
		IBV_WR_RDMA_WRITE_WITH_IMM,
	};
	unsigned int i, setter, n = 0;

	for (i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++)
		for (setter = 0; setter < SETTERS; setter++)
			if (opcodes[i] != IBV_WR_RDMA_READ || setter < DATA)
				operation(opcodes[i], setter, 100 + n++);
	printf("%u operations with their setters\n", n);
}

/* --- Several at once -------------------------------------------------------------- */

static void batch_of_writes(int n, int last_flags)
{
	int i;

	for (i = 0; i < n; i++) {
		a.qpx->wr_id = i;
		a.qpx->wr_flags = i == n - 1 ? last_flags : 0;
		ibv_wr_rdma_write(a.qpx, b.mr->rkey, (uintptr_t)b.mem + TO + i * 100);
		ibv_wr_set_sge(a.qpx, a.mr->lkey, (uintptr_t)a.mem + i * 50, 50);
	}
}

/* As many as the queue holds */
static void batch(void)
{
	int i;

	fill(&a);
	fill(&b);
	ibv_wr_start(a.qpx);
	batch_of_writes(DEPTH, IBV_SEND_SIGNALED);
	pause_ms(20);
	expect_nothing();
	CHECK(!ibv_wr_complete(a.qpx));
	for (i = 0; i < DEPTH; i++)
		memcpy(b.model + TO + i * 100, a.model + i * 50, 50);
	expect_sent(DEPTH - 1, IBV_WC_RDMA_WRITE);
	expect_nothing();
}

/* An empty message; its completion at the receiver is taken without arming. */
static void message(int flags)
{
	struct ibv_wc wc;

	end_post_receive(&b.end, b.mem, 0, b.mr->lkey, 1);
	ibv_wr_start(a.qpx);
	build(IBV_WR_SEND, 1, IBV_SEND_SIGNALED | flags);
	CHECK(!ibv_wr_complete(a.qpx));
	expect_sent(1, IBV_WC_SEND);
	while (!end_poll(&b.end, &wc))
		sched_yield();
	CHECK(!wc.status && !wc.byte_len);
}

static void solicited(void)
{
	CHECK(!ibv_req_notify_cq(b.end.cq, 0));
	message(0);
	CHECK(end_event(&b.end, patience() * 1000));
	while (end_event(&b.end, 0))
		;
	CHECK(!ibv_req_notify_cq(b.end.cq, 1));
	message(0);
	CHECK(!end_event(&b.end, 0));
	message(IBV_SEND_SOLICITED);
	CHECK(end_event(&b.end, patience() * 1000));
	expect_nothing();
	printf("a solicited message\n");
}

/* --- Mistakes ------------------------------------------------------------------------- */

static void too_many_pieces(void)
{
	struct ibv_qp_init_attr init;
	struct ibv_sge sges[64] = {};
	struct ibv_qp_attr attr;

	CHECK(!ibv_query_qp(a.end.qp, &attr, IBV_QP_CAP, &init));
	CHECK(init.cap.max_send_sge < 64);
	build(IBV_WR_RDMA_WRITE, 1, IBV_SEND_SIGNALED);
	ibv_wr_set_sge_list(a.qpx, init.cap.max_send_sge + 1, sges);
}

static void too_much_inline(void)
{
	struct ibv_data_buf bufs[2] = { { a.mem, 0 }, { a.mem, 1 } };
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	CHECK(!ibv_query_qp(a.end.qp, &attr, IBV_QP_CAP, &init));
	bufs[0].length = init.cap.max_inline_data;
	CHECK(bufs[0].length < SIZE);
	build(IBV_WR_RDMA_WRITE, 1, IBV_SEND_SIGNALED);
	ibv_wr_set_inline_data_list(a.qpx, 2, bufs);
}

static void endless_inline(void)
{
	build(IBV_WR_SEND, 1, IBV_SEND_SIGNALED);
	ibv_wr_set_inline_data(a.qpx, a.mem, SIZE_MAX);
}

static void inline_read(void)
{
	build(IBV_WR_RDMA_READ, 1, IBV_SEND_SIGNALED);
	ibv_wr_set_inline_data(a.qpx, a.mem, 8);
}

static void unknown_flag(void)
{
	build(IBV_WR_RDMA_WRITE, 1, IBV_SEND_SIGNALED | 1 << 30);
	set_pieces(SGE);
}

static void checksum_flag(void)
{
	build(IBV_WR_RDMA_WRITE, 1, IBV_SEND_SIGNALED | IBV_SEND_IP_CSUM);
	set_pieces(SGE);
}

static void too_many(void)
{
	batch_of_writes(DEPTH, IBV_SEND_SIGNALED);
}

/* Good requests before and after it do not help. */
static void mistake(void (*make)(void), int error)
{
	ibv_wr_start(a.qpx);
	batch_of_writes(2, IBV_SEND_SIGNALED);
	make();
	batch_of_writes(1, IBV_SEND_SIGNALED);
	CHECK(ibv_wr_complete(a.qpx) == error);
	pause_ms(10);
	expect_nothing();
	/* Nothing of it is in the queue: it holds as many as ever. */
	batch();
}

static void mistakes(void)
{
	struct ibv_qp *fresh;
	struct ibv_qp_ex *qpx;

	mistake(too_many_pieces, EINVAL);
	mistake(too_much_inline, EINVAL);
	mistake(endless_inline, EINVAL);
	mistake(inline_read, EINVAL);
	mistake(unknown_flag, EINVAL);
	mistake(checksum_flag, EINVAL);
	mistake(too_many, ENOMEM);

	ibv_wr_start(a.qpx);
	batch_of_writes(DEPTH, IBV_SEND_SIGNALED);
	ibv_wr_abort(a.qpx);
	pause_ms(10);
	expect_nothing();
	batch();

	/* The state is wrong, which the kernel says. */
	fresh = create_qp(a.end.nic, a.end.cq, IBV_QP_INIT_ATTR_SEND_OPS_FLAGS, all_ops);
	CHECK(fresh && (qpx = ibv_qp_to_qp_ex(fresh)));
	ibv_wr_start(qpx);
	ibv_wr_send(qpx);
	CHECK(ibv_wr_complete(qpx) == EINVAL);
	CHECK(!ibv_destroy_qp(fresh));
	expect_nothing();
	printf("mistakes are told at the end, and nothing is posted\n");
}

static void refuse(uint32_t mask, uint64_t ops)
{
	errno = 0;
	CHECK(!create_qp(a.end.nic, a.end.cq, mask, ops) && errno == EOPNOTSUPP);
}

static void refused(void)
{
	struct ibv_qp *plain;
	int bit;

	refuse(IBV_QP_INIT_ATTR_SEND_OPS_FLAGS, all_ops | IBV_QP_EX_WITH_TSO);
	for (bit = 20; bit < 64; bit++)
		refuse(IBV_QP_INIT_ATTR_SEND_OPS_FLAGS, all_ops | 1ULL << bit);
	refuse(IBV_QP_INIT_ATTR_MAX_TSO_HEADER, 0);
	refuse(IBV_QP_INIT_ATTR_RX_HASH, 0);
	refuse(1 << 30, 0);
	CHECK((plain = create_qp(a.end.nic, a.end.cq, 0, 0)));
	CHECK(!ibv_qp_to_qp_ex(plain));
	CHECK(!ibv_destroy_qp(plain));
	printf("operations that are not there are refused\n");
}

/* --- Several threads on one queue --------------------------------------------------------- */

static uint64_t *slot(char *mem, int thread, int i)
{
	return (uint64_t *)mem + thread * BATCH + i;
}

/* All of it or, with the queue full, nothing */
static bool post_by_calls(int thread, int round, int n)
{
	int i, err;

	ibv_wr_start(a.qpx);
	for (i = 0; i < n; i++) {
		uint64_t value = round;

		a.qpx->wr_id = (uint64_t)thread << 32 | round;
		a.qpx->wr_flags = i == n - 1 ? IBV_SEND_SIGNALED : 0;
		ibv_wr_rdma_write(a.qpx, b.mr->rkey, (uintptr_t)slot(b.mem, thread, i));
		ibv_wr_set_inline_data(a.qpx, &value, sizeof(value));
	}
	err = ibv_wr_complete(a.qpx);
	CHECK(!err || err == ENOMEM);
	return !err;
}

static bool post_by_list(int thread, int round, int n)
{
	uint64_t value = round;
	struct ibv_sge sge = { (uintptr_t)&value, sizeof(value), 0 };
	struct ibv_send_wr wr[BATCH], *rest = wr;
	int i, err;

	for (i = 0; i < n; i++)
		wr[i] = (struct ibv_send_wr){
			.wr_id = (uint64_t)thread << 32 | round, .next = i < n - 1 ? &wr[i + 1] : NULL,
			.sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_RDMA_WRITE,
			.send_flags = IBV_SEND_INLINE | (i == n - 1 ? IBV_SEND_SIGNALED : 0),
			.wr.rdma = { (uintptr_t)slot(b.mem, thread, i), b.mr->rkey },
		};
	while ((err = ibv_post_send(a.end.qp, rest, &rest))) {
		CHECK(err == ENOMEM);
		sched_yield();
	}
	return true;
}

static int batch_of(int round)
{
	return 1 + round % BATCH;
}

static void *poster(void *arg)
{
	int thread = (intptr_t)arg, round;

	for (round = 0; round < ROUNDS; round++)
		while (!(thread ? post_by_calls : post_by_list)(thread, round, batch_of(round)))
			sched_yield();
	return NULL;
}

static void threads(void)
{
	int next[THREADS] = {}, i, k, n;
	pthread_t thread[THREADS];

	for (i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&thread[i], NULL, poster, (void *)(intptr_t)i));
	for (n = 0; n < THREADS * ROUNDS; n++) {
		struct ibv_wc wc = end_wait(&a.end);
		int who = wc.wr_id >> 32;

		CHECK(!wc.status && who < THREADS);
		CHECK((int)wc.wr_id == next[who]++);
	}
	for (i = 0; i < THREADS; i++) {
		CHECK(!pthread_join(thread[i], NULL));
		/* The last round was one of the longest. */
		for (k = 0; k < BATCH; k++)
			CHECK(*slot(b.mem, i, k) == ROUNDS - 1);
	}
	printf("%d threads, two by calls and one by lists, each in order\n", THREADS);
}

int main(int argc, char **argv)
{
	struct nic nics[2];

	CHECK(argc == 3 && !strcmp(argv[1], "-d"));
	nics_open(nics, argv[2]);
	side_create(&a, &nics[0]);
	side_create(&b, &nics[1]);
	ends_connect(&a.end, &b.end);

	refused();
	operations();
	batch();
	printf("%d requests in one posting\n", DEPTH);
	solicited();
	mistakes();
	threads();
	end_destroy(&a.end);
	end_destroy(&b.end);
	return 0;
}
