// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What ib_map_mr_sg() is given: elements of any length, that begin and end inside of
 * blocks or adjoin each other, and blocks of several pages. Each shape is registered
 * with three addresses; the peer writes and reads all of it, and nothing else changes.
 */
#include <linux/gfp.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "kuser.h"

/* All of them are in one piece of memory, which begins at a multiple of its size. */
#define PIECE	SZ_256K
#define ORDER	get_order(PIECE)
#define PARTS	5

/**
 * struct shape - a list of memory
 * @block: Bytes of a block, a power of two.
 * @skip: Bytes of the first part that do not belong to it.
 * @number: How many parts.
 * @fit: How many of them make up the region; the next one leaves a gap.
 * @part: Where they are in the piece.
 */
struct shape {
	u32 block;
	u32 skip;
	u32 number;
	u32 fit;
	struct { u32 at, len; } part[PARTS];
};

static const struct shape list[] = {
	/* begins inside of the first element */
	{ SZ_4K, 0x123, 3, 3,
	  { { 0x4208, 0xdf8 }, { 0x3000, 0x1000 }, { 0x1000, 0x777 } } },
	/* gaps: an element ends inside of a block, or begins there */
	{ SZ_4K, 0, 3, 2,
	  { { 0x8000, 0x1000 }, { 0x2000, 0x800 }, { 0x5000, 0x100 } } },
	{ SZ_4K, 0x10, 2, 1, { { 0x200, 0xe00 }, { 0x3010, 0x100 } } },
	/* elements that adjoin, in a block and over several */
	{ SZ_4K, 0, 5, 5,
	  { { 0x300, 0x500 }, { 0x800, 0x1900 }, { 0x2100, 0x10 },
	    { 0x2110, 0xef0 }, { 0x6000, 0x123 } } },
	/* elements of several blocks */
	{ SZ_4K, 0, 1, 1, { { 0x1234, 0x5678 } } },
	{ SZ_4K, 0x1001, 2, 2, { { 0x9234, 0x3dcc }, { 0x1000, 0x2345 } } },
	/* blocks of several pages */
	{ SZ_32K, 0, 3, 3,
	  { { 0x9000, 0x7000 }, { 0x20000, 0x8000 }, { 0x18000, 0x100 } } },
	{ SZ_32K, 0, 2, 1, { { 0x9000, 0x6000 }, { 0x20000, 0x8000 } } },
	{ SZ_128K, 0x5, 2, 2, { { 0x3f000, 0x1000 }, { 0, 0x1001 } } },
};

static u8 *piece, *wanted;
static struct ib_mr *mr;

static u32 shape_length(const struct shape *shape)
{
	u32 i, len = 0;

	for (i = 0; i < shape->fit; i++)
		len += shape->part[i].len;
	return len - shape->skip;
}

/* Where the bytes of a's have to be found, in a copy of the piece */
static void want(const struct shape *shape)
{
	u32 i, skip = shape->skip, from = 0;

	for (i = 0; i < shape->fit; i++, skip = 0) {
		u32 len = shape->part[i].len - skip;

		memcpy(wanted + shape->part[i].at + skip, a->mem + from, len);
		from += len;
	}
}

static int map(const struct shape *shape)
{
	unsigned int skip = shape->skip;
	struct scatterlist sg[PARTS];
	u32 i, n = shape->number;

	sg_init_table(sg, n);
	for (i = 0; i < n; i++)
		sg_set_buf(&sg[i], piece + shape->part[i].at,
			   shape->part[i].len);
	CHECK(ib_dma_map_sg(b->ib, sg, n, DMA_BIDIRECTIONAL) == n);
	CHECK(ib_map_mr_sg(mr, sg, n, &skip, shape->block) == shape->fit);
	ib_dma_unmap_sg(b->ib, sg, n, DMA_BIDIRECTIONAL);
	CHECK(!skip && mr->length == shape_length(shape));
	CHECK(mr->iova == (uintptr_t)piece + shape->part[0].at + shape->skip);
	return 0;
}

static int written_and_read(const struct shape *shape, u32 number)
{
	u32 i, len = shape_length(shape);

	for (i = 0; i < PIECE; i++)
		piece[i] = byte_of(number, i);
	memcpy(wanted, piece, PIECE);
	for (i = 0; i < len; i++)
		a->mem[i] = ~byte_of(number + 1, i);
	want(shape);
	RUN(rdma(IB_WR_RDMA_WRITE, a->mem, mr->iova, mr->rkey, len,
		 IB_WC_SUCCESS));
	CHECK(!memcmp(piece, wanted, PIECE));
	memset(a->mem, 0, len + 1);
	RUN(rdma(IB_WR_RDMA_READ, a->mem, mr->iova, mr->rkey, len,
		 IB_WC_SUCCESS));
	for (i = 0; i < len; i++)
		CHECK(a->mem[i] == (u8)~byte_of(number + 1, i));
	CHECK(!a->mem[len]);
	return 0;
}

/* With the address that it is mapped to or another one; and nothing is behind it. */
static int used(const struct shape *shape, u64 iova, u32 number)
{
	ib_update_fast_reg_key(mr, ib_inc_rkey(mr->rkey));
	mr->iova = iova;
	RUN(register_mr(b, mr, mr->rkey, ALL_ACCESS, IB_WC_SUCCESS));
	RUN(written_and_read(shape, number));
	RUN(rdma(IB_WR_RDMA_READ, a->mem, iova + mr->length, mr->rkey, 1,
		 IB_WC_REM_ACCESS_ERR));
	return invalidate(b, mr->rkey, IB_WC_SUCCESS);
}

/* Mapped once, registered three times */
static int shape_works(const struct shape *shape, u32 number)
{
	RUN(map(shape));
	RUN(used(shape, mr->iova, number));
	/* ib_map_mr_sg_zbva() */
	RUN(used(shape, mr->iova & (shape->block - 1), number + 1));
	return used(shape, 0, number + 2);
}

/* Blocks that are none */
static int refused(void)
{
	static const u32 sizes[] = { 0, 1, SZ_2K, SZ_4K + SZ_2K, 3 * SZ_4K };
	struct scatterlist sg;
	u32 i;

	sg_init_one(&sg, piece, SZ_4K);
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		CHECK(ib_map_mr_sg(mr, &sg, 1, NULL, sizes[i]) == -EINVAL);
	return 0;
}

int shapes(void)
{
	u32 i;

	/* Who polls is all the same to it. */
	if (context != IB_POLL_SOFTIRQ)
		return 0;
	piece = (u8 *)__get_free_pages(GFP_KERNEL, ORDER);
	wanted = (u8 *)__get_free_pages(GFP_KERNEL, ORDER);
	CHECK(piece && wanted);
	mr = ib_alloc_mr(b->pd, IB_MR_TYPE_MEM_REG, 16);
	CHECK(!IS_ERR(mr));
	RUN(pair_up());
	for (i = 0; i < ARRAY_SIZE(list); i++)
		RUN(shape_works(&list[i], 3 * i));
	RUN(refused());
	pair_down();
	RUN(ib_dereg_mr(mr));
	free_pages((uintptr_t)wanted, ORDER);
	free_pages((uintptr_t)piece, ORDER);
	return 0;
}
