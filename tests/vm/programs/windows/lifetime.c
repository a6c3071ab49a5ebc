// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* From when until when a window is there, and its region */
#include "windows.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A SEND that invalidates; how it ends at both ends */
static void send_invalidate(uint32_t rkey, enum ibv_wc_status status, enum ibv_wc_status there)
{
	struct ibv_sge sge = { (uintptr_t)mine, LENGTH, my_mr->lkey };
	struct ibv_send_wr wr = {
		.wr_id = 3, .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND_WITH_INV,
		.invalidate_rkey = rkey,
	};
	char *to = theirs + SIZE / 2;
	struct ibv_wc wc;

	memset(mine, ++round_number, SIZE);
	end_post_receive(&far, to, LENGTH + 1, mr->lkey, 4);
	CHECK(!post_wr(&near, wr));
	wc = end_wait(&near);
	CHECK(wc.status == status && wc.wr_id == 3 && (status || wc.opcode == IBV_WC_SEND));
	wc = end_wait(&far);
	CHECK(wc.status == there && wc.wr_id == 4);
	if (status) {
		connect_ends(&near, &far);
		return;
	}
	CHECK(wc.opcode == IBV_WC_RECV && wc.byte_len == LENGTH);
	CHECK(wc.wc_flags == IBV_WC_WITH_INV && wc.invalidated_rkey == rkey);
	CHECK(!memcmp(to, mine, LENGTH));
}

void invalidation(void)
{
	struct ibv_mw_bind_info info = bind_info(ALL);
	struct ibv_mw *mw = window(IBV_MW_TYPE_2), *one = window(IBV_MW_TYPE_1);
	char *start = theirs + OFFSET;
	uint32_t rkey = bound(mw, &info);

	CHECK(!invalidate(&far, rkey));
	REFUSED(IBV_WR_RDMA_WRITE, start, 8, rkey);
	CHECK(invalidate(&far, rkey) == IBV_WC_MW_BIND_ERR);
	connect_ends(&near, &far);

	rkey = bound(mw, &info);
	ALLOWED(IBV_WR_RDMA_WRITE, start, LENGTH, rkey);
	send_invalidate(rkey, IBV_WC_SUCCESS, IBV_WC_SUCCESS);
	REFUSED(IBV_WR_RDMA_WRITE, start, 8, rkey);

	/* What the peer may not invalidate: */
	send_invalidate(rkey, IBV_WC_REM_ACCESS_ERR, IBV_WC_LOC_ACCESS_ERR);
	bound(one, &info);
	send_invalidate(one->rkey, IBV_WC_REM_ACCESS_ERR, IBV_WC_LOC_ACCESS_ERR);
	ALLOWED(IBV_WR_RDMA_WRITE, start, LENGTH, one->rkey);
	send_invalidate(mr->rkey, IBV_WC_REM_ACCESS_ERR, IBV_WC_LOC_ACCESS_ERR);
	CHECK(!bind_two(&others[1], mw, rkey, &info));
	send_invalidate(rkey, IBV_WC_REM_ACCESS_ERR, IBV_WC_LOC_ACCESS_ERR);
	CHECK(!try_by(&others[0], &others[1], IBV_WR_RDMA_WRITE, start, 8, (uintptr_t)start, rkey));

	/* And the owner: */
	CHECK(invalidate(&far, one->rkey) == IBV_WC_MW_BIND_ERR);
	connect_ends(&near, &far);
	CHECK(invalidate(&far, mr->rkey) == IBV_WC_MW_BIND_ERR);
	connect_ends(&near, &far);
	CHECK(invalidate(&far, ibv_inc_rkey(rkey)) == IBV_WC_MW_BIND_ERR);
	connect_ends(&near, &far);
	CHECK(!ibv_dealloc_mw(one) && !ibv_dealloc_mw(mw));
}

/* The same by function calls; the fields of extended polling have a case of their own. */
void by_calls(void)
{
	struct ibv_mw_bind_info info = bind_info(ALL);
	struct ibv_mw *mw = window(IBV_MW_TYPE_2), *one = window(IBV_MW_TYPE_1);
	struct ibv_qp_ex *qpx = ibv_qp_to_qp_ex(far.qp), *peer = ibv_qp_to_qp_ex(near.qp);
	uint32_t first = ibv_inc_rkey(mw->rkey), second = ibv_inc_rkey(first);
	struct ibv_wc wc;
	int i;

	ibv_wr_start(qpx);
	qpx->wr_id = 5;
	ibv_wr_bind_mw(qpx, mw, first, &info);
	ibv_wr_local_inv(qpx, first);
	ibv_wr_bind_mw(qpx, mw, second, &info);
	CHECK(!ibv_wr_complete(qpx));
	for (i = 0; i < 3; i++) {
		wc = end_wait(&far);
		CHECK(!wc.status && wc.wr_id == 5);
		CHECK(wc.opcode == (i == 1 ? IBV_WC_LOCAL_INV : IBV_WC_BIND_MW));
	}
	REFUSED(IBV_WR_RDMA_WRITE, theirs + OFFSET, 8, first);
	ALLOWED(IBV_WR_RDMA_WRITE, theirs + OFFSET, 8, second);
	end_post_receive(&far, theirs, LENGTH, mr->lkey, 4);
	ibv_wr_start(peer);
	ibv_wr_send_inv(peer, second);
	CHECK(!ibv_wr_complete(peer));
	end_done(&near);
	wc = end_wait(&far);
	CHECK(wc.wc_flags == IBV_WC_WITH_INV && wc.invalidated_rkey == second && !wc.byte_len);
	REFUSED(IBV_WR_RDMA_WRITE, theirs + OFFSET, 8, second);

	ibv_wr_start(qpx);
	ibv_wr_bind_mw(qpx, one, ibv_inc_rkey(one->rkey), &info);
	CHECK(ibv_wr_complete(qpx) == EINVAL);
	CHECK(!ibv_dealloc_mw(mw) && !ibv_dealloc_mw(one));
}

/*
 * The key is on its way when the request to bind has just been posted. What is behind
 * an error is not bound.
 */
void order(void)
{
	struct ibv_mw_bind_info info = bind_info(ALL);
	struct ibv_mw *mw = window(IBV_MW_TYPE_2);
	struct request key = { IBV_WR_SEND, theirs + SIZE - PAGE, 4, mr->lkey, 0, 0 };
	struct request bad = { IBV_WR_RDMA_WRITE, theirs, PAGE, mr->lkey, 0, 1 };
	uint32_t rkey = ibv_inc_rkey(mw->rkey);

	memcpy(key.local, &rkey, 4);
	end_post_receive(&near, mine, 4, my_mr->lkey, 0);
	CHECK(!post_wr(&far, bind_wr(mw, rkey, &info)));
	end_post(&far, &key, 0);
	end_done(&near);
	memcpy(&rkey, mine, 4);
	ALLOWED(IBV_WR_RDMA_WRITE, theirs + OFFSET, LENGTH, rkey);
	end_done(&far);
	end_done(&far);

	CHECK(!invalidate(&far, rkey));
	end_post(&far, &bad, 0);
	CHECK(!post_wr(&far, bind_wr(mw, rkey, &info)));
	CHECK(end_wait(&far).status == IBV_WC_REM_ACCESS_ERR);
	CHECK(end_wait(&far).status == IBV_WC_WR_FLUSH_ERR);
	connect_ends(&near, &far);
	REFUSED(IBV_WR_RDMA_WRITE, theirs + OFFSET, 8, rkey);
	CHECK(!bind_two(&far, mw, rkey, &info));
	ALLOWED(IBV_WR_RDMA_WRITE, theirs + OFFSET, LENGTH, rkey);
	CHECK(!ibv_dealloc_mw(mw));
}

/* A region stays as it is while a window is bound to it, also by a queue pair that is gone. */
void keeps_region(void)
{
	struct ibv_mw_bind_info info = bind_info(ALL);
	struct end end = { 0 }, peer = { 0 };
	struct ibv_mw *mw[2] = { window(IBV_MW_TYPE_1), window(IBV_MW_TYPE_2) };

	ends_create(&end, &nics[1], &peer, &nics[0], DEPTH);
	CHECK(!bind_one(&end, mw[0], &info));
	CHECK(!bind_two(&end, mw[1], mw[1]->rkey, &info));
	CHECK(ibv_dereg_mr(mr) == EBUSY);
	CHECK(ibv_rereg_mr(mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, BIND | kind->access) &&
	      errno == EBUSY);
	end_destroy(&end);
	end_destroy(&peer);
	ALLOWED(IBV_WR_RDMA_WRITE, theirs + OFFSET, LENGTH, mw[0]->rkey);
	REFUSED(IBV_WR_RDMA_WRITE, theirs + OFFSET, LENGTH, mw[1]->rkey);
	CHECK(!ibv_dealloc_mw(mw[0]));
	CHECK(ibv_dereg_mr(mr) == EBUSY);
	CHECK(!ibv_dealloc_mw(mw[1]));
	CHECK(!ibv_rereg_mr(mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, BIND | kind->access));
	CHECK(!ibv_dereg_mr(mr));
	mr = region(BIND);
}

/* A process that ends with windows bound leaves nothing; the kernel frees in its own order. */
void exits(void)
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (!pid) {
		struct nic nic[2] = { 0 };
		struct end end = { 0 }, peer = { 0 };
		struct ibv_mw_bind_info info = bind_info(ALL);
		struct ibv_mw *mw;
		char name[64];

		snprintf(name, sizeof(name), "%s", nics[1].name);
		nics_open(nic, name);
		ends_create(&end, &nic[0], &peer, &nic[0], DEPTH);
		info.mr = ibv_reg_mr(nic[0].pd, mine, SIZE, BIND | kind->access);
		CHECK(info.mr && (mw = ibv_alloc_mw(nic[0].pd, IBV_MW_TYPE_2)));
		info.addr = (uintptr_t)mine;
		CHECK(!bind_two(&end, mw, mw->rkey, &info));
		CHECK(!bind_one(&end, (mw = ibv_alloc_mw(nic[0].pd, IBV_MW_TYPE_1)), &info));
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status);
}
