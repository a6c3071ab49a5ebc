// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A region is closed while the peer writes to it, by requests that are under way:
 * once b knows that it is closed nothing changes in its memory any more.
 *
 *	a: WRITE WRITE WRITE ... WRITE WRITE WRITE ...   remote access error
 *	b:                 closes    |
 *	                             closed: what is there now has to stay
 */
#include "kuser.h"

#define ROUNDS	4
/* So many are under way, after so many have been done. */
#define WRITES	16
#define FEW	3
/* Each WRITE has other bytes than those before. */
#define KINDS	8

/* The memory when it was closed */
static u8 seen[LENGTH];
/* The queue pairs that nothing is written by */
static struct ib_qp *other_a, *other_b;

static void look(void)
{
	u32 i;

	for (i = 0; i < LENGTH; i++)
		seen[i] = *region_byte(i);
}

static void closed(struct ib_cq *cq, struct ib_wc *wc)
{
	look();
	note_done(cq, wc);
}

static struct ib_cqe *note_closing(struct note *note)
{
	note_new(note)->done = closed;
	return &note->cqe;
}

static void swap_pairs(void)
{
	swap(a->qp, other_a);
	swap(b->qp, other_b);
}

static int close_by_request(void)
{
	struct ib_send_wr wr = {
		.opcode = IB_WR_LOCAL_INV,
		.ex.invalidate_rkey = region.mr->rkey,
		.wr_cqe = note_closing(&b->sent[0]),
	};

	return ib_post_send(b->qp, &wr, NULL);
}

static int close_by_message(void)
{
	struct ib_send_wr wr = {
		.opcode = IB_WR_SEND_WITH_INV,
		.ex.invalidate_rkey = region.mr->rkey,
		.wr_cqe = note_new(&a->sent[DEPTH]),
	};

	return ib_post_send(other_a, &wr, NULL);
}

static int deregister(void)
{
	RUN(ib_dereg_mr(region.mr));
	look();
	return 0;
}

static int post_write(u32 number, u64 addr, u32 key)
{
	struct ib_sge sge = {
		(uintptr_t)a->mem + number % KINDS * LENGTH, LENGTH,
		a->pd->local_dma_lkey,
	};
	struct ib_rdma_wr wr = {
		.wr = { .opcode = IB_WR_RDMA_WRITE, .sg_list = &sge, .num_sge = 1,
			.wr_cqe = note_new(&a->sent[number % WRITES]) },
		.remote_addr = addr, .rkey = key,
	};

	return ib_post_send(a->qp, &wr.wr, NULL);
}

/* Writes until it must not any more. */
static int write_on(int (*close)(void))
{
	u64 addr = region.mr->iova;
	u32 key = region.mr->rkey;
	struct note *oldest;
	u32 i;

	for (i = 0; i < WRITES; i++)
		RUN(post_write(i, addr, key));
	for (i = 0; i < 10000; i++) {
		oldest = &a->sent[i % WRITES];
		CHECK(came(a, oldest));
		end_poll(b);
		if (oldest->wc.status != IB_WC_SUCCESS)
			break;
		RUN(post_write(i + WRITES, addr, key));
		if (i == FEW)
			RUN(close());
	}
	CHECK(i > FEW && oldest->wc.status == IB_WC_REM_ACCESS_ERR);
	return 0;
}

static int unchanged(void)
{
	u32 i;

	for (i = 0; i < LENGTH; i++)
		CHECK(*region_byte(i) == seen[i]);
	return 0;
}

static int open_region(void)
{
	ib_update_fast_reg_key(region.mr, ib_inc_rkey(region.mr->rkey));
	RUN(region_map(1, PAGES));
	return register_mr(b, region.mr, region.mr->rkey, ALL_ACCESS,
			   IB_WC_SUCCESS);
}

static int closed_by_request(void)
{
	RUN(open_region());
	RUN(write_on(close_by_request));
	CHECK(ended(b, &b->sent[0], IB_WC_SUCCESS));
	RUN(pair_renew());
	return unchanged();
}

static int closed_by_message(void)
{
	struct ib_recv_wr wr = { .wr_cqe = note_closing(&b->received[0]) };

	RUN(open_region());
	swap_pairs();
	RUN(pair_up());
	RUN(ib_post_recv(b->qp, &wr, NULL));
	swap_pairs();
	RUN(write_on(close_by_message));
	RUN(pair_renew());
	swap_pairs();
	CHECK(ended(a, &a->sent[DEPTH], IB_WC_SUCCESS));
	CHECK(ended(b, &b->received[0], IB_WC_SUCCESS));
	pair_down();
	swap_pairs();
	return unchanged();
}

static int closed_for_good(void)
{
	RUN(open_region());
	RUN(write_on(deregister));
	RUN(pair_renew());
	return unchanged();
}

int closing(void)
{
	u32 i;

	BUILD_BUG_ON(KINDS * LENGTH > (2 * DEPTH + 2) * SLOT);
	for (i = 0; i < KINDS * LENGTH; i++)
		a->mem[i] = byte_of(i / LENGTH, i % LENGTH);
	RUN(pair_up());
	for (i = 0; i < ROUNDS; i++) {
		RUN(region_create());
		RUN(closed_by_request());
		RUN(closed_by_message());
		RUN(closed_for_good());
		RUN(region_destroy());
	}
	pair_down();
	return 0;
}
