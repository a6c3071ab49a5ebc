// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Registrations among other requests of b's: they are carried out as soon as they are
 * the next ones, invalidations when all before them are through; all complete in turn,
 * also when packets get lost and much is sent again.
 */
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/scatterlist.h>

#include "kuser.h"

/* Two requests for each fill the queue. */
#define MRS	(DEPTH / 2)
/* Three packets */
#define BYTES	3000
/* What could happen before its time has happened then. */
#define SOON	300

/**
 * struct one - a small region
 * @mr: The region.
 * @mem: Its memory, a page.
 */
static struct one {
	struct ib_mr *mr;
	u8 *mem;
} ones[MRS];

static int one_create(struct one *one)
{
	struct scatterlist sg;

	one->mem = (u8 *)get_zeroed_page(GFP_KERNEL);
	one->mr = ib_alloc_mr(b->pd, IB_MR_TYPE_MEM_REG, 1);
	CHECK(one->mem && !IS_ERR(one->mr));
	sg_init_one(&sg, one->mem + 0x111, BYTES);
	CHECK(ib_dma_map_sg(b->ib, &sg, 1, DMA_BIDIRECTIONAL) == 1);
	CHECK(ib_map_mr_sg(one->mr, &sg, 1, NULL, PAGE_SIZE) == 1);
	ib_dma_unmap_sg(b->ib, &sg, 1, DMA_BIDIRECTIONAL);
	return 0;
}

static int one_destroy(struct one *one)
{
	RUN(ib_dereg_mr(one->mr));
	free_page((uintptr_t)one->mem);
	return 0;
}

/* Another key, and other bytes */
static void one_renew(struct one *one, u32 number)
{
	u32 i;

	ib_update_fast_reg_key(one->mr, ib_inc_rkey(one->mr->rkey));
	for (i = 0; i < BYTES; i++)
		one->mem[0x111 + i] = byte_of(number, i);
}

static int post_register(u32 slot, const struct one *one, u32 key)
{
	struct ib_reg_wr wr = {
		.wr = { .opcode = IB_WR_REG_MR,
			.wr_cqe = note_new(&b->sent[slot]) },
		.mr = one->mr, .key = key,
		.access = IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_READ,
	};

	return ib_post_send(b->qp, &wr.wr, NULL);
}

static int post_invalidate(u32 slot, const struct one *one)
{
	struct ib_send_wr wr = {
		.opcode = IB_WR_LOCAL_INV,
		.wr_cqe = note_new(&b->sent[slot]),
		.ex.invalidate_rkey = one->mr->rkey,
	};

	return ib_post_send(b->qp, &wr, NULL);
}

/* Out of the region, which has to be registered by then */
static int post_from(u32 slot, const struct one *one)
{
	struct ib_sge sge = { one->mr->iova, BYTES, one->mr->lkey };
	struct ib_send_wr wr = {
		.opcode = IB_WR_SEND, .sg_list = &sge, .num_sge = 1,
		.wr_cqe = note_new(&b->sent[slot]),
	};

	return ib_post_send(b->qp, &wr, NULL);
}

static int may_read(const struct one *one, enum ib_wc_status status)
{
	memset(a->mem, 0, BYTES);
	RUN(rdma(IB_WR_RDMA_READ, a->mem, one->mr->iova, one->mr->rkey, BYTES,
		 status));
	CHECK(status || !memcmp(a->mem, one->mem + 0x111, BYTES));
	return 0;
}

/* Request @i of those that began after @turn completions */
static int in_turn(u32 i, u32 turn, enum ib_wc_status status)
{
	CHECK(ended(b, &b->sent[i], status));
	CHECK(b->sent[i].turn == turn + i);
	return 0;
}

/* The first request waits for a to receive. */
static int registered_early(void)
{
	struct one *one = &ones[0];
	u32 i, turn = b->turns;

	one_renew(one, 1);
	RUN(post_send(b, 0, 100, 0, 0));
	RUN(post_register(1, one, one->mr->rkey));
	RUN(post_invalidate(2, one));
	msleep(SOON);
	RUN(may_read(one, IB_WC_SUCCESS));
	end_poll(b);
	CHECK(b->turns == turn);
	RUN(post_receive(a, 0, 100));
	for (i = 0; i < 3; i++)
		RUN(in_turn(i, turn, IB_WC_SUCCESS));
	CHECK(b->sent[1].wc.opcode == IB_WC_REG_MR);
	CHECK(b->sent[2].wc.opcode == IB_WC_LOCAL_INV);
	CHECK(ended(a, &a->received[0], IB_WC_SUCCESS));
	return may_read(one, IB_WC_REM_ACCESS_ERR);
}

/* A registration that cannot be, and what is behind it */
static int failed_in_turn(void)
{
	struct one *one = &ones[0];
	u32 turn = b->turns;

	one_renew(one, 2);
	RUN(post_send(b, 0, 100, 0, 0));
	RUN(post_register(1, one, one->mr->rkey ^ 0x100));
	RUN(post_register(2, one, one->mr->rkey));
	RUN(post_from(3, one));
	msleep(SOON);
	end_poll(b);
	CHECK(b->turns == turn);
	RUN(post_receive(a, 0, 100));
	RUN(in_turn(0, turn, IB_WC_SUCCESS));
	RUN(in_turn(1, turn, IB_WC_MW_BIND_ERR));
	RUN(in_turn(2, turn, IB_WC_WR_FLUSH_ERR));
	RUN(in_turn(3, turn, IB_WC_WR_FLUSH_ERR));
	RUN(pair_renew());
	/* It has not been carried out. */
	RUN(register_mr(b, one->mr, one->mr->rkey, IB_ACCESS_REMOTE_READ,
			IB_WC_SUCCESS));
	RUN(may_read(one, IB_WC_SUCCESS));
	return invalidate(b, one->mr->rkey, IB_WC_SUCCESS);
}

/* What is not through when the queue pair fails is flushed, carried out or not. */
static int flushed(void)
{
	struct ib_qp_attr attr = { .qp_state = IB_QPS_ERR };
	struct one *one = &ones[0];
	u32 i, turn = b->turns;

	one_renew(one, 3);
	RUN(post_send(b, 0, 100, 0, 0));
	RUN(post_register(1, one, one->mr->rkey));
	RUN(post_from(2, one));
	RUN(post_invalidate(3, one));
	msleep(SOON);
	RUN(ib_modify_qp(b->qp, &attr, IB_QP_STATE));
	for (i = 0; i < 4; i++)
		RUN(in_turn(i, turn, IB_WC_WR_FLUSH_ERR));
	RUN(pair_renew());
	RUN(invalidate(b, one->mr->rkey, IB_WC_SUCCESS));
	RUN(register_mr(b, one->mr, one->mr->rkey, IB_ACCESS_REMOTE_READ,
			IB_WC_SUCCESS));
	RUN(may_read(one, IB_WC_SUCCESS));
	return invalidate(b, one->mr->rkey, IB_WC_SUCCESS);
}

static int check_sent_from(u32 i, u32 turn)
{
	const u8 *got = a->mem + i * SLOT;

	CHECK(ended(a, &a->received[i], IB_WC_SUCCESS));
	CHECK(a->received[i].turn == turn + i);
	CHECK(a->received[i].wc.byte_len == BYTES);
	CHECK(!memcmp(got, ones[i].mem + 0x111, BYTES));
	return 0;
}

/* Each is registered and at once sent from, and all of them are invalidated. */
static int mixed(u32 round)
{
	u32 i, turn = b->turns, peers = a->turns;

	for (i = 0; i < MRS; i++) {
		one_renew(&ones[i], round * MRS + i);
		RUN(post_receive(a, i, BYTES));
	}
	for (i = 0; i < MRS; i++) {
		RUN(post_register(2 * i, &ones[i], ones[i].mr->rkey));
		RUN(post_from(2 * i + 1, &ones[i]));
	}
	for (i = 0; i < 2 * MRS; i++)
		RUN(in_turn(i, turn, IB_WC_SUCCESS));
	for (i = 0; i < MRS; i++)
		RUN(check_sent_from(i, peers));
	RUN(may_read(&ones[round % MRS], IB_WC_SUCCESS));
	for (i = 0; i < MRS; i++)
		RUN(post_invalidate(i, &ones[i]));
	for (i = 0; i < MRS; i++)
		RUN(in_turn(i, turn + 2 * MRS, IB_WC_SUCCESS));
	return 0;
}

int order(u32 rounds)
{
	u32 i;

	for (i = 0; i < MRS; i++)
		RUN(one_create(&ones[i]));
	RUN(pair_up());
	RUN(registered_early());
	RUN(failed_in_turn());
	RUN(flushed());
	for (i = 0; i < rounds; i++)
		RUN(mixed(i));
	pair_down();
	for (i = 0; i < MRS; i++)
		RUN(one_destroy(&ones[i]));
	return 0;
}
