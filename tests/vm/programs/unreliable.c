/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Unreliable connections: a message arrives whole, with every byte right, or not at
 * all; and where nothing is lost all arrive.
 *
 * usage: unreliable -d DEV[,DEV2] [-l]
 *
 *   -l  packets get lost: messages may, too, and some do
 *
 * Messages are numbered. What is in one follows from its number and the place in it,
 * and the number from its first bytes or the immediate data.
 */
#include "ends.h"
#include "slow.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum {
	DEPTH = 32, SLOTS = DEPTH, SLOT = 64 << 10, LOSSY_MAX = 12 << 10,
	ROUNDS = 4 * DEPTH, LOSSY_ROUNDS = 20 * DEPTH, DELAY_MS = 300, QUIET_MS = 60,
};

static const uint32_t sizes[] = { 4, 8, 1023, 1024, 1025, 2048, 5000, 12288, 40000, SLOT };

enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

static const struct kind {
	const char *name;
	bool pinned, implicit;
} kinds[] = {
	{ .name = "pinned", .pinned = true },
	{ .name = "on demand" },
	{ .name = "whole address space", .implicit = true },
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static struct nic nics[2];
static bool lossy;
static const struct kind *kind;
static struct end near, far;
static char *mine, *theirs;
static struct ibv_mr *my_mr, *their_mr;
static struct trouble trouble;

/* --- Set-up ------------------------------------------------------------------------ */

static struct ibv_mr *set_register(struct nic *nic, void *start)
{
	int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_MW_BIND |
		     (kind->pinned ? 0 : IBV_ACCESS_ON_DEMAND);
	struct ibv_mr *mr = kind->implicit ? ibv_reg_mr(nic->pd, NULL, SIZE_MAX, access) :
					     ibv_reg_mr(nic->pd, start, SLOTS * SLOT, access);

	CHECK(mr);
	return mr;
}

static void set_up(const struct kind *k)
{
	kind = k;
	mine = memory_map(SLOTS * SLOT, false);
	theirs = memory_map(SLOTS * SLOT, false);
	my_mr = set_register(&nics[0], mine);
	their_mr = set_register(&nics[1], theirs);
	near.type = far.type = IBV_QPT_UC;
	ends_create(&near, &nics[0], &far, &nics[1], DEPTH);
	trouble_begin(&trouble, nics);
}

static void tear_down(void)
{
	/* Nobody was told anything, and nothing was sent twice. */
	JUDGE(!trouble_all(&trouble));
	end_destroy(&near);
	end_destroy(&far);
	CHECK(!ibv_dereg_mr(my_mr) && !ibv_dereg_mr(their_mr));
	CHECK(!munmap(mine, SLOTS * SLOT) && !munmap(theirs, SLOTS * SLOT));
}

static void connect_again(void)
{
	struct ibv_qp_attr reset = { .qp_state = IBV_QPS_RESET };

	CHECK(!ibv_modify_qp(near.qp, &reset, IBV_QP_STATE));
	CHECK(!ibv_modify_qp(far.qp, &reset, IBV_QP_STATE));
	ends_connect(&near, &far);
}

static enum ibv_qp_state state_of(const struct end *end)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	CHECK(!ibv_query_qp(end->qp, &attr, IBV_QP_STATE, &init));
	return attr.qp_state;
}

/* --- Messages ---------------------------------------------------------------------- */

static char *slot(char *memory, uint32_t number)
{
	return memory + number % SLOTS * SLOT;
}

static uint32_t size_of(uint32_t number)
{
	uint32_t size = sizes[number * 7 % SIZES];

	return lossy && size > LOSSY_MAX ? size % LOSSY_MAX : size;
}

static uint32_t byte_of(uint32_t number, uint32_t i)
{
	return number * 131 + i * 7 + (i >> 8);
}

static void fill(char *to, uint32_t number)
{
	uint32_t i;

	memcpy(to, &number, 4);
	for (i = 4; i < size_of(number); i++)
		to[i] = byte_of(number, i);
}

static void check(const char *data, uint32_t number)
{
	uint32_t i;

	CHECK(!memcmp(data, &number, 4));
	for (i = 4; i < size_of(number) && data[i] == (char)byte_of(number, i); i++)
		;
	if (i < size_of(number))
		printf("message %u is wrong at %u of %u\n", number, i, size_of(number));
	CHECK(i >= size_of(number));
}

static bool is_write(enum ibv_wr_opcode opcode)
{
	return opcode == IBV_WR_RDMA_WRITE || opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}

static bool has_imm(enum ibv_wr_opcode opcode)
{
	return opcode == IBV_WR_SEND_WITH_IMM || opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}

static void send_message(enum ibv_wr_opcode opcode, uint32_t number)
{
	char *from = slot(mine, number);
	struct ibv_sge sge = { (uintptr_t)from, size_of(number), my_mr->lkey };
	struct ibv_send_wr wr = {
		.wr_id = number, .sg_list = &sge, .num_sge = 1, .opcode = opcode,
		.imm_data = htonl(number),
		.wr.rdma = { (uintptr_t)slot(theirs, number), their_mr->rkey },
	}, *bad;
	struct ibv_wc wc;

	fill(from, number);
	CHECK(!ibv_post_send(near.qp, &wr, &bad));
	wc = end_wait(&near);
	CHECK(!wc.status && wc.wr_id == number);
	CHECK(wc.opcode == (is_write(opcode) ? IBV_WC_RDMA_WRITE : IBV_WC_SEND));
}

static void post_slot(uint32_t i)
{
	end_post_receive(&far, slot(theirs, i), SLOT, their_mr->lkey, i);
}

/* Return: the number */
static uint32_t arrived(enum ibv_wr_opcode opcode, const struct ibv_wc *wc)
{
	char *data = slot(theirs, wc->wr_id);
	uint32_t number;

	CHECK(!wc->status);
	CHECK(wc->opcode == (is_write(opcode) ? IBV_WC_RECV_RDMA_WITH_IMM : IBV_WC_RECV));
	CHECK(wc->wc_flags == (has_imm(opcode) ? IBV_WC_WITH_IMM : 0));
	if (has_imm(opcode))
		number = ntohl(wc->imm_data);
	else
		memcpy(&number, data, 4);
	CHECK(wc->byte_len == size_of(number));
	check(is_write(opcode) ? slot(theirs, number) : data, number);
	return number;
}

/* All arrive, in their order. Sometimes the receiver's pages are gone. */
static void lossless(enum ibv_wr_opcode opcode)
{
	struct ibv_wc wc;
	uint32_t i;

	for (i = 0; i < ROUNDS; i++) {
		if (i % 5 == 0)
			CHECK(kind->pinned || !madvise(slot(theirs, i), SLOT, MADV_DONTNEED));
		if (i % 5 == 1)
			CHECK(kind->pinned || !madvise(slot(mine, i), SLOT, MADV_PAGEOUT));
		if (opcode != IBV_WR_RDMA_WRITE)
			post_slot(i);
		send_message(opcode, i);
		if (opcode == IBV_WR_RDMA_WRITE) {
			/* A SEND behind it says that it is there. */
			post_slot(i + 1);
			send_message(IBV_WR_SEND, i + SLOTS + 1);
			wc = end_wait(&far);
			CHECK(arrived(IBV_WR_SEND, &wc) == i + SLOTS + 1);
			check(slot(theirs, i), i);
			continue;
		}
		wc = end_wait(&far);
		CHECK(wc.wr_id == i && arrived(opcode, &wc) == i);
	}
}

static bool comes(struct ibv_wc *wc)
{
	double end = now() + QUIET_MS / 1000.0 * slowness();

	while (!end_poll(&far, wc)) {
		if (now() > end)
			return false;
		pause_ms(1);
	}
	return true;
}

static void losing(enum ibv_wr_opcode opcode)
{
	uint32_t i, number, receives = 0, got = 0;
	char *seen = calloc(LOSSY_ROUNDS, 1);
	struct ibv_wc wc;

	CHECK(seen);
	for (; receives < DEPTH / 2; receives++)
		post_slot(receives);
	for (i = 0; i < LOSSY_ROUNDS; i++) {
		send_message(opcode, i);
		/* Not so many that a slot is overwritten before it was looked at */
		while (i % 4 == 3 || i == LOSSY_ROUNDS - 1 ? comes(&wc) : end_poll(&far, &wc)) {
			number = arrived(opcode, &wc);
			CHECK(number <= i && !seen[number]);
			seen[number] = 1;
			got++;
			post_slot(receives++);
			if (number == i)
				break;
		}
	}
	printf("%s: %u of %u arrived, whole\n", kind->name, got, i);
	CHECK(got > i / 4 && got < i);
	free(seen);
	connect_again();
}

/* --- What is the peer's fault ------------------------------------------------------- */

static void expect_next(uint32_t receive, uint32_t number)
{
	struct ibv_wc wc = end_wait(&far);

	CHECK(wc.wr_id == receive && arrived(IBV_WR_SEND, &wc) == number);
	CHECK(!end_poll(&far, &wc));
}

/* Without room, or without the right: the message is lost, and the next one is not. */
static void lost(void)
{
	struct request write = { IBV_WR_RDMA_WRITE, mine, 5000, my_mr->lkey, (uintptr_t)theirs,
				 their_mr->rkey ^ 1 };
	struct request imm = { IBV_WR_RDMA_WRITE_WITH_IMM, mine, 8, my_mr->lkey,
			       (uintptr_t)theirs, their_mr->rkey };
	struct ibv_send_wr wr = { .opcode = IBV_WR_RDMA_READ }, *bad;
	uint32_t number = 9;

	CHECK(size_of(8) > 2 * 1025);
	/* No receive request */
	send_message(IBV_WR_SEND, 8);
	end_post(&near, &imm, 0);
	end_done(&near);
	pause_ms(50);
	post_slot(1);
	send_message(IBV_WR_SEND, number);
	expect_next(1, number);
	/* A request that is too small in the middle of the message, and stays */
	end_post_receive(&far, slot(theirs, 1), 1025, their_mr->lkey, 1);
	send_message(IBV_WR_SEND, 8);
	send_message(IBV_WR_SEND, 0);
	expect_next(1, 0);
	/* Not the right key, too much, and not the right at all */
	memset(theirs, 0x55, 8192);
	end_post(&near, &write, 0);
	end_done(&near);
	if (!kind->implicit) {
		write.rkey = their_mr->rkey;
		write.remote = (uintptr_t)theirs + SLOTS * SLOT - 4999;
		end_post(&near, &write, 0);
		end_done(&near);
	}
	post_slot(1);
	send_message(IBV_WR_SEND, number);
	expect_next(1, number);
	CHECK(theirs[0] == 0x55 && !memcmp(theirs, theirs + 1, 8191));
	CHECK(state_of(&near) == IBV_QPS_RTS && state_of(&far) == IBV_QPS_RTS);

	CHECK(ibv_post_send(near.qp, &wr, &bad) == EINVAL);
	wr.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD;
	CHECK(ibv_post_send(near.qp, &wr, &bad) == EINVAL);
	wr.opcode = IBV_WR_SEND_WITH_INV;
	CHECK(ibv_post_send(near.qp, &wr, &bad) == EINVAL);
}

/* --- What is the own fault ---------------------------------------------------------- */

/* The send queue stops, the other one does not. */
static void bad_send(void)
{
	struct ibv_sge sge = { (uintptr_t)mine, 8, my_mr->lkey ^ 1 };
	struct ibv_send_wr wr = { .wr_id = 1, .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND }, *bad;
	struct request back = { IBV_WR_SEND, theirs, 8, their_mr->lkey, 0, 0 };
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RTS, .cur_qp_state = IBV_QPS_SQE };
	struct ibv_wc wc;

	end_post_receive(&near, mine, 8, my_mr->lkey, 5);
	post_slot(1);
	CHECK(!ibv_post_send(near.qp, &wr, &bad));
	wr.wr_id = 2;
	CHECK(!ibv_post_send(near.qp, &wr, &bad));
	wc = end_wait(&near);
	CHECK(wc.status == IBV_WC_LOC_PROT_ERR && wc.wr_id == 1);
	wc = end_wait(&near);
	CHECK(wc.status == IBV_WC_WR_FLUSH_ERR && wc.wr_id == 2);
	CHECK(state_of(&near) == IBV_QPS_SQE);
	/* What is posted is flushed; what comes is received. */
	wr.wr_id = 3;
	CHECK(!ibv_post_send(near.qp, &wr, &bad));
	wc = end_wait(&near);
	CHECK(wc.status == IBV_WC_WR_FLUSH_ERR && wc.wr_id == 3);
	end_post(&far, &back, 4);
	end_done(&far);
	wc = end_wait(&near);
	CHECK(!wc.status && wc.wr_id == 5);
	CHECK(ibv_modify_qp(near.qp, &attr, IBV_QP_STATE | IBV_QP_SQ_PSN) == EINVAL);
	CHECK(!ibv_modify_qp(near.qp, &attr, IBV_QP_STATE | IBV_QP_CUR_STATE));
	CHECK(state_of(&near) == IBV_QPS_RTS);
	send_message(IBV_WR_SEND, 9);
	expect_next(1, 9);
}

/*
 * One that fails in its second packet, with others behind it that were posted with it: these
 * are flushed, and nothing of them is left when the queue goes on.
 */
static void bad_list(void)
{
	struct ibv_sge bad_sge[2] = {
		{ (uintptr_t)mine, 1024, my_mr->lkey }, { (uintptr_t)mine, 1024, my_mr->lkey ^ 1 },
	}, sge = { (uintptr_t)mine, 2000, my_mr->lkey };
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RTS };
	struct ibv_send_wr wr[3], *bad;
	struct ibv_wc wc;
	uint32_t i;

	for (i = 0; i < 3; i++)
		wr[i] = (struct ibv_send_wr){
			.wr_id = i, .next = i < 2 ? &wr[i + 1] : NULL, .opcode = IBV_WR_SEND,
			.sg_list = i ? &sge : bad_sge, .num_sge = i ? 1 : 2,
		};
	CHECK(!ibv_post_send(near.qp, wr, &bad));
	for (i = 0; i < 3; i++) {
		wc = end_wait(&near);
		CHECK(wc.wr_id == i);
		CHECK(wc.status == (i ? IBV_WC_WR_FLUSH_ERR : IBV_WC_LOC_PROT_ERR));
	}
	/* Alone, and back at once */
	wr[0].next = NULL;
	CHECK(!ibv_modify_qp(near.qp, &attr, IBV_QP_STATE));
	CHECK(!ibv_post_send(near.qp, wr, &bad));
	CHECK(end_wait(&near).status == IBV_WC_LOC_PROT_ERR);
	CHECK(!ibv_modify_qp(near.qp, &attr, IBV_QP_STATE));
	for (i = 0; i < 3 * DEPTH; i++) {
		post_slot(i);
		send_message(IBV_WR_SEND, i);
		expect_next(i, i);
	}
}

/* A request to receive that is wrong ends the connection at its end. */
static void bad_receive(void)
{
	struct ibv_wc wc;

	end_post_receive(&far, theirs, SLOT, their_mr->lkey ^ 1, 7);
	post_slot(1);
	send_message(IBV_WR_SEND, 9);
	wc = end_wait(&far);
	CHECK(wc.status == IBV_WC_LOC_PROT_ERR && wc.wr_id == 7);
	CHECK(end_wait(&far).status == IBV_WC_WR_FLUSH_ERR);
	CHECK(state_of(&far) == IBV_QPS_ERR && state_of(&near) == IBV_QPS_RTS);
	connect_again();
}

/* --- Slow pages, shared queues, windows ----------------------------------------------- */

/* A page of either end is 300 ms away; what is behind has time. */
static void slow_page(char *memory)
{
	struct ibv_sge sge = { (uintptr_t)mine, PAGE, my_mr->lkey };
	struct ibv_send_wr wr = { .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND }, *bad;
	struct slow slow;
	struct ibv_wc wc;
	double start;

	slow_begin(&slow, memory, 1);
	slow_set_delay(&slow, 0, 1, DELAY_MS);
	if (memory == theirs)
		memset(mine, slow_byte(0), PAGE);
	end_post_receive(&far, theirs, PAGE, their_mr->lkey, 0);
	post_slot(1);
	start = now();
	CHECK(!ibv_post_send(near.qp, &wr, &bad));
	wr.sg_list->addr += SLOT;
	wr.sg_list->length = size_of(9);
	fill(mine + SLOT, 9);
	CHECK(!ibv_post_send(near.qp, &wr, &bad));
	end_done(&near);
	end_done(&near);
	wc = end_wait(&far);
	CHECK(!wc.status && !wc.wr_id && wc.byte_len == PAGE);
	CHECK(now() - start >= DELAY_MS / 1000.0);
	CHECK((unsigned char)theirs[0] == slow_byte(0) && !memcmp(theirs, theirs + 1, PAGE - 1));
	expect_next(1, 9);
	slow_end(&slow);
}

static void shared_queue(void)
{
	struct ibv_srq_init_attr init = { .attr = { .max_wr = DEPTH, .max_sge = 1 } };
	struct ibv_sge sge = { (uintptr_t)slot(theirs, 9), SLOT, their_mr->lkey };
	struct ibv_recv_wr wr = { .wr_id = 9, .sg_list = &sge, .num_sge = 1 }, *bad;
	struct end keep[2] = { near, far };
	struct ibv_srq *srq = ibv_create_srq(nics[1].pd, &init);
	struct ibv_wc wc;

	CHECK(srq && !ibv_post_srq_recv(srq, &wr, &bad));
	far.srq = srq;
	ends_create(&near, &nics[0], &far, &nics[1], DEPTH);
	send_message(IBV_WR_SEND_WITH_IMM, 9);
	wc = end_wait(&far);
	CHECK(wc.wr_id == 9 && arrived(IBV_WR_SEND_WITH_IMM, &wc) == 9);
	/* What had a part of a lost message is not kept from others. */
	sge.length = 1025;
	CHECK(size_of(8) > 2 * 1025 && !ibv_post_srq_recv(srq, &wr, &bad));
	send_message(IBV_WR_SEND, 8);
	wc = end_wait(&far);
	CHECK(wc.status == IBV_WC_REM_INV_REQ_ERR && wc.wr_id == 9);
	sge.length = SLOT;
	CHECK(!ibv_post_srq_recv(srq, &wr, &bad));
	send_message(IBV_WR_SEND, 9);
	wc = end_wait(&far);
	CHECK(wc.wr_id == 9 && arrived(IBV_WR_SEND, &wc) == 9);
	end_destroy(&near);
	end_destroy(&far);
	near = keep[0];
	far = keep[1];
	CHECK(!ibv_destroy_srq(srq));
}

static void window(void)
{
	struct ibv_mw *mw = ibv_alloc_mw(nics[1].pd, IBV_MW_TYPE_2);
	struct ibv_send_wr *bad, wr = {
		.opcode = IBV_WR_BIND_MW,
		.bind_mw = { mw, mw->rkey,
			     { their_mr, (uintptr_t)theirs, PAGE, IBV_ACCESS_REMOTE_WRITE } },
	};
	struct request write = { IBV_WR_RDMA_WRITE_WITH_IMM, mine, PAGE, my_mr->lkey,
				 (uintptr_t)theirs, mw->rkey };
	struct ibv_wc wc;

	CHECK(!ibv_post_send(far.qp, &wr, &bad));
	end_done(&far);
	memset(mine, 0x77, PAGE);
	post_slot(1);
	end_post(&near, &write, 0);
	end_done(&near);
	wc = end_wait(&far);
	CHECK(!wc.status && !memcmp(mine, theirs, PAGE));
	wr = (struct ibv_send_wr){ .opcode = IBV_WR_LOCAL_INV, .invalidate_rkey = mw->rkey };
	CHECK(!ibv_post_send(far.qp, &wr, &bad));
	end_done(&far);
	memset(mine, 0x78, PAGE);
	end_post(&near, &write, 0);
	end_done(&near);
	post_slot(1);
	send_message(IBV_WR_SEND, 9);
	expect_next(1, 9);
	CHECK(theirs[0] == 0x77 && !memcmp(theirs, theirs + 1, PAGE - 1));
	/* What cannot be bound stops the queue. */
	wr.opcode = IBV_WR_LOCAL_INV;
	CHECK(!ibv_post_send(far.qp, &wr, &bad));
	CHECK(end_wait(&far).status == IBV_WC_MW_BIND_ERR && state_of(&far) == IBV_QPS_SQE);
	connect_again();
	CHECK(!ibv_dealloc_mw(mw));
}

static void capabilities(void)
{
	uint32_t all = IBV_ODP_SUPPORT_SEND | IBV_ODP_SUPPORT_RECV | IBV_ODP_SUPPORT_WRITE |
		       IBV_ODP_SUPPORT_SRQ_RECV;
	struct ibv_device_attr_ex attr;

	CHECK(!ibv_query_device_ex(nics[0].context, NULL, &attr));
	CHECK(attr.odp_caps.per_transport_caps.uc_odp_caps == all);
}

int main(int argc, char **argv)
{
	const enum ibv_wr_opcode opcodes[] = {
		IBV_WR_SEND, IBV_WR_SEND_WITH_IMM, IBV_WR_RDMA_WRITE_WITH_IMM, IBV_WR_RDMA_WRITE,
	};
	int i, j;

	lossy = options_lossy(argc, argv, nics);
	capabilities();
	for (i = 0; i < KINDS; i++) {
		if (!in_turn(i, KINDS))
			continue;
		set_up(&kinds[i]);
		for (j = 0; j < 3 + !lossy; j++) {
			if (in_turn(j, 4))
				lossy ? losing(opcodes[j]) : lossless(opcodes[j]);
		}
		/* Peers that are slow to lose what they must are not wrong. */
		if (!lossy && !under_load()) {
			lost();
			bad_send();
			bad_list();
			bad_receive();
			shared_queue();
			window();
			if (!kinds[i].pinned) {
				slow_page(theirs);
				slow_page(mine);
			}
			printf("%s: all arrived\n", kinds[i].name);
		}
		tear_down();
	}
	return 0;
}
