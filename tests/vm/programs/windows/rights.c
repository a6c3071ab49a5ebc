// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What a window allows, and whom */
#include "windows.h"

void rights(enum ibv_mw_type type, int access)
{
	struct ibv_mw_bind_info info = bind_info(access);
	struct ibv_mw *mw = window(type);
	char *start = theirs + OFFSET;
	uint32_t rkey;

	REFUSED(IBV_WR_RDMA_WRITE, start, 8, mw->rkey);
	rkey = bound(mw, &info);
	if (access & WRITE) {
		ALLOWED(IBV_WR_RDMA_WRITE, start, LENGTH, rkey);
		ALLOWED(IBV_WR_RDMA_WRITE, start + 1999, 10, rkey);
		REFUSED(IBV_WR_RDMA_WRITE, start - 1, 8, rkey);
		REFUSED(IBV_WR_RDMA_WRITE, start + 1, LENGTH, rkey);
	} else {
		REFUSED(IBV_WR_RDMA_WRITE, start, 8, rkey);
	}
	if (access & READ) {
		ALLOWED(IBV_WR_RDMA_READ, start, LENGTH, rkey);
		REFUSED(IBV_WR_RDMA_READ, start - 1, 8, rkey);
		REFUSED(IBV_WR_RDMA_READ, start + LENGTH - 7, 8, rkey);
	} else {
		REFUSED(IBV_WR_RDMA_READ, start, 8, rkey);
	}
	if (access & ATOMIC) {
		ALLOWED(IBV_WR_ATOMIC_FETCH_AND_ADD, start, 8, rkey);
		REFUSED(IBV_WR_ATOMIC_FETCH_AND_ADD, start - 8, 8, rkey);
	} else {
		REFUSED(IBV_WR_ATOMIC_FETCH_AND_ADD, start, 8, rkey);
	}
	REFUSED(IBV_WR_RDMA_WRITE, start, 8, mr->rkey);
	CHECK(!ibv_dealloc_mw(mw));
	REFUSED(IBV_WR_RDMA_WRITE, start, 8, rkey);
}

/* Addresses count from where the window begins. */
void zero_based(enum ibv_mw_type type)
{
	struct ibv_mw_bind_info info = bind_info(ALL | ZERO_BASED);
	struct ibv_mw *mw = window(type);
	char *start = theirs + OFFSET;
	uint32_t rkey = bound(mw, &info);

	CHECK(!try_by(&near, &far, IBV_WR_RDMA_WRITE, start, LENGTH, 0, rkey));
	CHECK(!try_by(&near, &far, IBV_WR_RDMA_READ, start + 1, LENGTH - 1, 1, rkey));
	CHECK(!try_by(&near, &far, IBV_WR_ATOMIC_FETCH_AND_ADD, start + 8, 8, 8, rkey));
	CHECK(try_by(&near, &far, IBV_WR_RDMA_WRITE, start, 8, -1, rkey) == IBV_WC_REM_ACCESS_ERR);
	CHECK(try_by(&near, &far, IBV_WR_RDMA_WRITE, start, 8, LENGTH - 7, rkey) ==
	      IBV_WC_REM_ACCESS_ERR);
	REFUSED(IBV_WR_RDMA_WRITE, start, 8, rkey);
	CHECK(!ibv_dealloc_mw(mw));

	/* An atomic crosses no page, whatever its address looks like. */
	mw = window(type);
	info.addr = (uintptr_t)theirs + PAGE - 4;
	rkey = bound(mw, &info);
	CHECK(!try_by(&near, &far, IBV_WR_RDMA_WRITE, theirs + PAGE - 4, 8, 0, rkey));
	CHECK(try_by(&near, &far, IBV_WR_ATOMIC_FETCH_AND_ADD, theirs + PAGE - 4, 8, 0, rkey) ==
	      IBV_WC_REM_ACCESS_ERR);
	CHECK(!ibv_dealloc_mw(mw));
}

/* One window after the other; what was before is no key any more. */
void bind_again(void)
{
	struct ibv_mw_bind_info info = bind_info(ALL);
	struct ibv_mw *mw = window(IBV_MW_TYPE_1);
	uint32_t first = bound(mw, &info), second;

	info.addr = (uintptr_t)theirs + 2 * OFFSET;
	info.length = 100;
	info.mw_access_flags = WRITE;
	second = bound(mw, &info);
	REFUSED(IBV_WR_RDMA_WRITE, theirs + 2 * OFFSET, 100, first);
	ALLOWED(IBV_WR_RDMA_WRITE, theirs + 2 * OFFSET, 100, second);
	REFUSED(IBV_WR_RDMA_WRITE, theirs + OFFSET, 100, second);
	REFUSED(IBV_WR_RDMA_READ, theirs + 2 * OFFSET, 100, second);
	info = (struct ibv_mw_bind_info){ 0 };
	bound(mw, &info);
	REFUSED(IBV_WR_RDMA_WRITE, theirs + 2 * OFFSET, 100, second);
	REFUSED(IBV_WR_RDMA_WRITE, theirs + 2 * OFFSET, 100, mw->rkey);
	REFUSED(IBV_WR_RDMA_WRITE, (char *)theirs, 8, mw->rkey);
	/* Nothing keeps the region. */
	CHECK(!ibv_dereg_mr(mr));
	mr = region(BIND);
	info = bind_info(ALL);
	first = bound(mw, &info);
	ALLOWED(IBV_WR_RDMA_WRITE, theirs + OFFSET, LENGTH, first);
	CHECK(!ibv_dealloc_mw(mw));
}

/* One of type 2 is for the queue pair that has bound it, the other one for all. */
void other_queue_pair(void)
{
	struct ibv_mw_bind_info info = bind_info(ALL);
	struct ibv_mw *one = window(IBV_MW_TYPE_1), *two = window(IBV_MW_TYPE_2);
	char *start = theirs + OFFSET;

	bound(one, &info);
	bound(two, &info);
	CHECK(!try_by(&others[0], &others[1], IBV_WR_RDMA_WRITE, start, 8, (uintptr_t)start,
		      one->rkey));
	CHECK(try_by(&others[0], &others[1], IBV_WR_RDMA_WRITE, start, 8, (uintptr_t)start,
		     two->rkey) == IBV_WC_REM_ACCESS_ERR);
	ALLOWED(IBV_WR_RDMA_WRITE, start, 8, two->rkey);
	CHECK(!invalidate(&others[1], two->rkey));
	REFUSED(IBV_WR_RDMA_WRITE, start, 8, two->rkey);
	CHECK(!bind_two(&others[1], two, two->rkey, &info));
	REFUSED(IBV_WR_RDMA_WRITE, start, 8, two->rkey);
	CHECK(!try_by(&others[0], &others[1], IBV_WR_RDMA_WRITE, start, 8, (uintptr_t)start,
		      two->rkey));
	CHECK(!ibv_dealloc_mw(one) && !ibv_dealloc_mw(two));
}
