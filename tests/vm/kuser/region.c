// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* A region that send requests register and invalidate: who may do what when */
#include "kuser.h"

struct region region;

u8 *region_byte(u32 i)
{
	u32 page = (i + SKIP) / PAGE_SIZE;

	/* Neighbours are none in memory. */
	return (u8 *)page_address(region.pages[(3 * page + region.turn) % PAGES]) +
	       (i + SKIP) % PAGE_SIZE;
}

static void region_fill(u32 number)
{
	u32 i;

	for (i = 0; i < LENGTH; i++)
		*region_byte(i) = byte_of(number, i);
}

/* From now on, or from when it is registered, other pages come first. */
int region_map(u32 turn, u32 room)
{
	struct scatterlist sg[PAGES];
	u32 i, at = 0;

	region.turn = turn;
	sg_init_table(sg, PAGES);
	for (i = 0; i < PAGES; i++) {
		u32 len = i ? PAGE_SIZE : PAGE_SIZE - SKIP;
		u8 *first = region_byte(at);

		len = min_t(u32, len, LENGTH - at);
		sg_set_buf(&sg[i], first, len);
		at += len;
	}
	CHECK(ib_dma_map_sg(b->ib, sg, PAGES, DMA_BIDIRECTIONAL) == PAGES);
	CHECK(ib_map_mr_sg(region.mr, sg, PAGES, NULL, PAGE_SIZE) == room);
	ib_dma_unmap_sg(b->ib, sg, PAGES, DMA_BIDIRECTIONAL);
	return 0;
}

int region_create(void)
{
	u32 most = b->ib->attrs.max_fast_reg_page_list_len;
	u32 i;

	CHECK(b->ib->attrs.device_cap_flags & IB_DEVICE_MEM_MGT_EXTENSIONS);
	CHECK(most >= 256);
	CHECK(PTR_ERR(ib_alloc_mr(b->pd, IB_MR_TYPE_SG_GAPS, 1)) == -EOPNOTSUPP);
	CHECK(PTR_ERR(ib_alloc_mr(b->pd, IB_MR_TYPE_MEM_REG, 0)) == -EINVAL);
	CHECK(PTR_ERR(ib_alloc_mr(b->pd, IB_MR_TYPE_MEM_REG, most + 1)) == -EINVAL);
	for (i = 0; i < PAGES; i++) {
		region.pages[i] = alloc_page(GFP_KERNEL);
		CHECK(region.pages[i]);
	}
	region.mr = ib_alloc_mr(b->pd, IB_MR_TYPE_MEM_REG, PAGES - 1);
	CHECK(!IS_ERR(region.mr));
	RUN(region_map(0, PAGES - 1));
	RUN(ib_dereg_mr(region.mr));
	region.mr = ib_alloc_mr(b->pd, IB_MR_TYPE_MEM_REG, most);
	CHECK(!IS_ERR(region.mr));
	return 0;
}

int region_destroy(void)
{
	u32 i;

	for (i = 0; i < PAGES; i++)
		__free_page(region.pages[i]);
	return 0;
}

static int do_register(struct end *end, u32 key, int access,
		       enum ib_wc_status status)
{
	return register_mr(end, region.mr, key, access, status);
}

static int may_read(u32 key)
{
	u32 i;

	memset(a->mem, 0, LENGTH + 1);
	RUN(rdma(IB_WR_RDMA_READ, a->mem, region.mr->iova, key, LENGTH,
		 IB_WC_SUCCESS));
	for (i = 0; i < LENGTH; i++)
		CHECK(a->mem[i] == *region_byte(i));
	CHECK(!a->mem[LENGTH]);
	return 0;
}

static int may_write(u32 number, u32 key)
{
	u32 i;

	for (i = 0; i < LENGTH; i++)
		a->mem[i] = byte_of(number, i);
	RUN(rdma(IB_WR_RDMA_WRITE, a->mem, region.mr->iova, key, LENGTH,
		 IB_WC_SUCCESS));
	for (i = 0; i < LENGTH; i++)
		CHECK(*region_byte(i) == byte_of(number, i));
	return 0;
}

static int may_add(u32 key)
{
	struct ib_sge sge = { (uintptr_t)a->mem, sizeof(u64),
			      a->pd->local_dma_lkey };
	struct ib_atomic_wr wr = {
		.wr = { .opcode = IB_WR_ATOMIC_FETCH_AND_ADD,
			.sg_list = &sge, .num_sge = 1 },
		.remote_addr = region.mr->iova + 8, .rkey = key, .compare_add = 5,
	};
	u64 old = *(u64 *)region_byte(8);

	RUN(request(a, &wr.wr, IB_WC_SUCCESS));
	CHECK(*(u64 *)a->mem == old);
	CHECK(*(u64 *)region_byte(8) == old + 5);
	return 0;
}

/* ATOMIC WRITE, which this kernel's headers have no name for */
static int may_store(u32 key)
{
	u64 *value = (u64 *)a->mem;

	*value = ~*(u64 *)region_byte(8);
	RUN(rdma((enum ib_wr_opcode)15, a->mem, region.mr->iova + 8, key,
		 sizeof(*value), IB_WC_SUCCESS));
	CHECK(*(u64 *)region_byte(8) == *value);
	return 0;
}

int may_not(enum ib_wr_opcode opcode, s32 from, u32 key, u32 len)
{
	return rdma(opcode, a->mem, region.mr->iova + from, key, len,
		    IB_WC_REM_ACCESS_ERR);
}

/* The key of a registration opens it, all of it and nothing else. */
static int registered(void)
{
	u32 key = region.mr->rkey;

	RUN(region_map(0, PAGES));
	/* As NFS does. */
	region.mr->iova = 0x5577000000000000 | (u32)region.mr->iova;
	RUN(may_not(IB_WR_RDMA_READ, 0, key, 8));
	RUN(do_register(b, key, ALL_ACCESS, IB_WC_SUCCESS));
	RUN(may_write(1, key));
	RUN(may_read(key));
	RUN(may_add(key));
	RUN(may_store(key));
	RUN(may_not(IB_WR_RDMA_WRITE, -1, key, 8));
	RUN(may_not(IB_WR_RDMA_WRITE, 1, key, LENGTH));
	RUN(may_not(IB_WR_RDMA_READ, LENGTH, key, 1));
	RUN(may_not(IB_WR_RDMA_READ, 0, key ^ 1, 8));
	return 0;
}

/* By b itself; and what it is mapped to next is not seen before it is registered. */
static int invalidated(void)
{
	u32 key = region.mr->rkey;
	u64 iova = region.mr->iova;

	RUN(invalidate(a, key, IB_WC_MW_BIND_ERR));
	RUN(invalidate(b, key ^ 1, IB_WC_MW_BIND_ERR));
	RUN(do_register(b, key, ALL_ACCESS, IB_WC_MW_BIND_ERR));
	region_fill(2);
	RUN(region_map(3, PAGES));
	region.mr->iova = iova;
	region.turn = 0;
	RUN(may_read(key));
	RUN(invalidate(b, key, IB_WC_SUCCESS));
	RUN(may_not(IB_WR_RDMA_READ, 0, key, 8));
	RUN(invalidate(b, key, IB_WC_SUCCESS));
	return 0;
}

/* Another key, fewer rights, other pages */
static int registered_again(void)
{
	u32 old = region.mr->rkey;
	u32 key;

	ib_update_fast_reg_key(region.mr, ib_inc_rkey(old));
	key = region.mr->rkey;
	CHECK(key != old && region.mr->lkey == key);
	RUN(region_map(3, PAGES));
	region.mr->length += PAGE_SIZE;
	RUN(do_register(b, key, IB_ACCESS_REMOTE_READ, IB_WC_MW_BIND_ERR));
	region.mr->length -= PAGE_SIZE;
	RUN(do_register(b, key ^ 0x100, IB_ACCESS_REMOTE_READ, IB_WC_MW_BIND_ERR));
	RUN(do_register(b, key, IB_ACCESS_REMOTE_WRITE, IB_WC_MW_BIND_ERR));
	RUN(do_register(b, key, IB_ACCESS_MW_BIND, IB_WC_MW_BIND_ERR));
	RUN(do_register(a, key, IB_ACCESS_REMOTE_READ, IB_WC_MW_BIND_ERR));
	RUN(do_register(b, key, IB_ACCESS_REMOTE_READ, IB_WC_SUCCESS));
	region_fill(3);
	RUN(may_read(key));
	RUN(may_not(IB_WR_RDMA_WRITE, 0, key, 8));
	RUN(may_not(IB_WR_RDMA_READ, 0, old, 8));
	return 0;
}

/* By a message of a's, which says so */
static int invalidated_by_peer(void)
{
	u32 key = region.mr->rkey;
	struct ib_send_wr wr = {
		.opcode = IB_WR_SEND_WITH_INV, .ex.invalidate_rkey = key ^ 1,
	};

	RUN(post_receive(b, 0, 10));
	RUN(request(a, &wr, IB_WC_REM_ACCESS_ERR));
	RUN(may_read(key));
	RUN(post_receive(b, 0, 10));
	wr.ex.invalidate_rkey = key;
	RUN(request(a, &wr, IB_WC_SUCCESS));
	CHECK(ended(b, &b->received[0], IB_WC_SUCCESS));
	CHECK(b->received[0].wc.wc_flags == IB_WC_WITH_INVALIDATE);
	CHECK(b->received[0].wc.ex.invalidate_rkey == key);
	RUN(may_not(IB_WR_RDMA_READ, 0, key, 8));
	return 0;
}

/* Registered and told to the peer in one go, out of the region itself */
static int registered_and_sent(void)
{
	struct ib_sge sge = { .length = 100 };
	struct ib_send_wr send = {
		.opcode = IB_WR_SEND, .sg_list = &sge, .num_sge = 1,
	};
	struct ib_reg_wr wr = {
		.wr = { .opcode = IB_WR_REG_MR, .next = &send },
		.mr = region.mr, .access = IB_ACCESS_REMOTE_READ,
	};
	u32 i;

	ib_update_fast_reg_key(region.mr, ib_inc_rkey(region.mr->rkey));
	RUN(region_map(5, PAGES));
	region_fill(4);
	wr.key = region.mr->rkey;
	sge.lkey = region.mr->lkey;
	sge.addr = region.mr->iova + PAGE_SIZE - SKIP - 50;
	wr.wr.wr_cqe = note_new(&b->sent[0]);
	send.wr_cqe = note_new(&b->sent[1]);
	RUN(post_receive(a, 0, 100));
	RUN(ib_post_send(b->qp, &wr.wr, NULL));
	CHECK(ended(a, &a->received[0], IB_WC_SUCCESS));
	for (i = 0; i < 100; i++)
		CHECK(a->mem[i] == *region_byte(PAGE_SIZE - SKIP - 50 + i));
	RUN(may_read(wr.key));
	CHECK(ended(b, &b->sent[0], IB_WC_SUCCESS));
	CHECK(ended(b, &b->sent[1], IB_WC_SUCCESS));
	/* Gone for good */
	RUN(ib_dereg_mr(region.mr));
	return rdma(IB_WR_RDMA_READ, a->mem, sge.addr, wr.key, 8,
		    IB_WC_REM_ACCESS_ERR);
}

int regions(void)
{
	RUN(region_create());
	RUN(pair_up());
	RUN(registered());
	RUN(invalidated());
	RUN(registered_again());
	RUN(invalidated_by_peer());
	RUN(registered_and_sent());
	pair_down();
	return region_destroy();
}

/* Registered with this address, for others to name */
int region_hold(void)
{
	RUN(region_create());
	RUN(pair_up());
	RUN(region_map(0, PAGES));
	region.mr->iova = HELD_ADDR;
	RUN(do_register(b, region.mr->rkey, ALL_ACCESS, IB_WC_SUCCESS));
	return may_write(1, region.mr->rkey);
}

/* They could not do a thing. */
int region_release(void)
{
	u32 i;

	for (i = 0; i < LENGTH; i++)
		CHECK(*region_byte(i) == byte_of(1, i));
	RUN(may_read(region.mr->rkey));
	pair_down();
	RUN(ib_dereg_mr(region.mr));
	return region_destroy();
}
