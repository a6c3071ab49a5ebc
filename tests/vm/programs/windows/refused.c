// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What cannot be bound, and what a window cannot be used for */
#include "windows.h"

#include <errno.h>

#define BIND_FAILS(mw, rkey, info) do {					\
	CHECK(bind_two(&far, mw, rkey, info) == IBV_WC_MW_BIND_ERR);	\
	connect_ends(&near, &far);					\
} while (0)

void mistakes(void)
{
	struct ibv_mr *read_only = region(IBV_ACCESS_MW_BIND);
	struct ibv_mr *unbindable = region(IBV_ACCESS_LOCAL_WRITE | WRITE);
	struct ibv_pd *pd = ibv_alloc_pd(nics[1].context);
	struct ibv_mr *foreign = ibv_reg_mr(pd, theirs, SIZE, BIND | kind->access), forged;
	struct ibv_mw *mw = window(IBV_MW_TYPE_2), *one = window(IBV_MW_TYPE_1);
	struct ibv_mw_bind bind = { .bind_info = bind_info(ALL) };
	struct ibv_mw_bind_info info = bind_info(ALL);
	struct ibv_send_wr wr;

	CHECK(foreign);
	/* Not even posted: */
	CHECK(ibv_bind_mw(far.qp, mw, &bind) == EINVAL);
	CHECK(post_wr(&far, bind_wr(one, one->rkey, &info)) == EINVAL);
	CHECK(post_wr(&far, bind_wr(mw, mw->rkey ^ 0x100, &info)) == EINVAL);
	info.length = 0;
	CHECK(post_wr(&far, bind_wr(mw, mw->rkey, &info)) == EINVAL);
	info = bind_info(ALL);
	info.mr = foreign;
	CHECK(post_wr(&far, bind_wr(mw, mw->rkey, &info)) == EPERM);
	bind.bind_info.mr = foreign;
	CHECK(ibv_bind_mw(far.qp, one, &bind) == EPERM);
	bind.bind_info = bind_info(ALL);
	bind.send_flags = IBV_SEND_INLINE;
	CHECK(ibv_bind_mw(far.qp, one, &bind) == EINVAL);
	info = bind_info(ALL);
	wr = bind_wr(mw, mw->rkey, &info);
	wr.send_flags = IBV_SEND_SOLICITED;
	CHECK(post_wr(&far, wr) == EINVAL);

	/* Seen by the kernel alone: */
	forged = *foreign;
	forged.pd = nics[1].pd;
	info.mr = &forged;
	BIND_FAILS(mw, mw->rkey, &info);
	info.mr = unbindable;
	BIND_FAILS(mw, mw->rkey, &info);
	info.mr = read_only;
	BIND_FAILS(mw, mw->rkey, &info);
	info.mw_access_flags = WRITE;
	BIND_FAILS(mw, mw->rkey, &info);
	info.mw_access_flags = ATOMIC;
	BIND_FAILS(mw, mw->rkey, &info);
	info.mw_access_flags = READ;
	CHECK(!bind_two(&far, mw, mw->rkey, &info));
	ALLOWED(IBV_WR_RDMA_READ, theirs + OFFSET, LENGTH, mw->rkey);
	/* Bound already; that stays. */
	BIND_FAILS(mw, ibv_inc_rkey(mw->rkey), &info);
	ALLOWED(IBV_WR_RDMA_READ, theirs + OFFSET, LENGTH, mw->rkey);
	CHECK(!invalidate(&far, mw->rkey));
	info.mw_access_flags = READ | IBV_ACCESS_MW_BIND;
	BIND_FAILS(mw, mw->rkey, &info);
	info = bind_info(READ);
	if (!kind->implicit) {
		info.addr = (uintptr_t)theirs - 1;
		BIND_FAILS(mw, mw->rkey, &info);
		info.addr = (uintptr_t)theirs + 1;
		info.length = SIZE;
		BIND_FAILS(mw, mw->rkey, &info);
	}
	info.addr = (uintptr_t)theirs;
	info.length = -1;
	BIND_FAILS(mw, mw->rkey, &info);
	/* A window is no region, and its own least of all. */
	info = bind_info(ALL);
	bound(one, &info);
	forged = *mr;
	forged.lkey = one->rkey;
	info.mr = &forged;
	BIND_FAILS(mw, mw->rkey, &info);
	forged.lkey = mw->rkey;
	BIND_FAILS(mw, mw->rkey, &info);
	forged.lkey = 12345;
	BIND_FAILS(mw, mw->rkey, &info);
	CHECK(!ibv_dealloc_mw(mw) && !ibv_dealloc_mw(one));
	/* Nothing of all that has kept a region. */
	CHECK(!ibv_dereg_mr(read_only) && !ibv_dereg_mr(unbindable) && !ibv_dereg_mr(foreign));
	CHECK(!ibv_dealloc_pd(pd));
}

/* Windows of another protection domain, and keys of windows as local ones */
void not_mine(void)
{
	struct ibv_pd *pd = ibv_alloc_pd(nics[1].context);
	struct ibv_mw *foreign, forged, *mw = window(IBV_MW_TYPE_1);
	struct ibv_mw_bind_info info = bind_info(ALL);
	struct request request = { IBV_WR_RDMA_WRITE, theirs + OFFSET, 8, 0, (uintptr_t)mine,
				   my_mr->rkey };

	CHECK(pd && (foreign = ibv_alloc_mw(pd, IBV_MW_TYPE_2)));
	forged = *foreign;
	forged.pd = nics[1].pd;
	BIND_FAILS(&forged, forged.rkey, &info);
	CHECK(!ibv_dealloc_mw(foreign) && !ibv_dealloc_pd(pd));

	request.lkey = bound(mw, &info);
	end_post(&far, &request, 0);
	CHECK(end_wait(&far).status == IBV_WC_LOC_PROT_ERR);
	connect_ends(&near, &far);
	end_post_receive(&far, theirs + OFFSET, 8, mw->rkey, 0);
	request = (struct request){ IBV_WR_SEND, mine, 8, my_mr->lkey, 0, 0 };
	end_post(&near, &request, 0);
	CHECK(end_wait(&near).status == IBV_WC_REM_OP_ERR);
	CHECK(end_wait(&far).status == IBV_WC_LOC_PROT_ERR);
	connect_ends(&near, &far);
	CHECK(!ibv_dealloc_mw(mw));
}
