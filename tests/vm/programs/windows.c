/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Memory windows and invalidation: what a key allows, and from when until when.
 *
 * usage: windows -d DEV[,DEV2] [-l]
 *
 *   -l  packets get lost: only that keys come and go as they should, many times
 *
 * @near accesses memory of @far's. Its region allows no remote access, so whatever
 * succeeds is by a window; what does not must not change a byte, at either end.
 */
#include "ends.h"
#include "slow.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	SIZE = 64 << 10, DEPTH = 16,
	OFFSET = 3000, LENGTH = 5000,	/* of windows: several packets and pages */
	ROUNDS = 200, RACES = 30, DELAY_MS = 300, TIMEOUT_SHORT = 14,
};

enum {
	WRITE = IBV_ACCESS_REMOTE_WRITE, READ = IBV_ACCESS_REMOTE_READ,
	ATOMIC = IBV_ACCESS_REMOTE_ATOMIC, ZERO_BASED = IBV_ACCESS_ZERO_BASED,
	BIND = IBV_ACCESS_MW_BIND | IBV_ACCESS_LOCAL_WRITE, ALL = WRITE | READ | ATOMIC,
};

static const struct kind {
	const char *name;
	int access;
	bool implicit;
} kinds[] = {
	{ .name = "pinned" },
	{ .name = "on demand", .access = IBV_ACCESS_ON_DEMAND },
	{ .name = "whole address space", .access = IBV_ACCESS_ON_DEMAND, .implicit = true },
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static struct nic nics[2];
static const struct kind *kind;
static struct end near, far, others[2];
static char *mine, *theirs, *before;
static struct ibv_mr *my_mr, *mr;
static unsigned char round_number;

/* --- Set-up ------------------------------------------------------------------------ */

static struct ibv_mr *region(int access)
{
	struct ibv_mr *made;

	access |= kind->access;
	made = kind->implicit ? ibv_reg_mr(nics[1].pd, NULL, SIZE_MAX, access) :
				ibv_reg_mr(nics[1].pd, theirs, SIZE, access);
	CHECK(made);
	return made;
}

/* Queue pairs for both ways to post */
static void end_create_ex(struct end *end, struct nic *nic)
{
	struct ibv_qp_init_attr_ex init = {
		.qp_type = IBV_QPT_RC, .cap = { DEPTH, DEPTH, 1, 1, 0 }, .sq_sig_all = 1, .pd = nic->pd,
		.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
		.send_ops_flags = IBV_QP_EX_WITH_BIND_MW | IBV_QP_EX_WITH_LOCAL_INV |
				  IBV_QP_EX_WITH_SEND_WITH_INV,
	};

	end->nic = nic;
	CHECK((end->channel = ibv_create_comp_channel(nic->context)));
	CHECK((end->cq = ibv_create_cq(nic->context, 2 * DEPTH, NULL, end->channel, 0)));
	init.send_cq = init.recv_cq = end->cq;
	CHECK((end->qp = ibv_create_qp_ex(nic->context, &init)));
}

static void connect_ends(struct end *a, struct end *b)
{
	struct ibv_qp_attr reset = { .qp_state = IBV_QPS_RESET };

	CHECK(!ibv_modify_qp(a->qp, &reset, IBV_QP_STATE));
	CHECK(!ibv_modify_qp(b->qp, &reset, IBV_QP_STATE));
	ends_connect(a, b);
}

static void set_up(const struct kind *k)
{
	kind = k;
	mine = memory_map(SIZE, false);
	theirs = memory_map(SIZE, false);
	before = memory_map(SIZE, false);
	my_mr = nic_register(&nics[0], mine, SIZE);
	mr = region(BIND);
	end_create_ex(&near, &nics[0]);
	end_create_ex(&far, &nics[1]);
	connect_ends(&near, &far);
	ends_create(&others[0], &nics[0], &others[1], &nics[1], DEPTH);
}

static void tear_down(void)
{
	end_destroy(&near);
	end_destroy(&far);
	end_destroy(&others[0]);
	end_destroy(&others[1]);
	CHECK(!ibv_dereg_mr(mr) && !ibv_dereg_mr(my_mr));
	CHECK(!munmap(mine, SIZE) && !munmap(theirs, SIZE) && !munmap(before, SIZE));
}

/* --- Requests ---------------------------------------------------------------------- */

/* The window at OFFSET, or another one */
static struct ibv_mw_bind_info bind_info(int access)
{
	return (struct ibv_mw_bind_info){ mr, (uintptr_t)theirs + OFFSET, LENGTH, access };
}

static struct ibv_mw *window(enum ibv_mw_type type)
{
	struct ibv_mw *mw = ibv_alloc_mw(nics[1].pd, type);

	CHECK(mw);
	return mw;
}

static struct ibv_send_wr bind_wr(struct ibv_mw *mw, uint32_t rkey,
				  const struct ibv_mw_bind_info *info)
{
	return (struct ibv_send_wr){
		.wr_id = 1, .opcode = IBV_WR_BIND_MW,
		.bind_mw = { .mw = mw, .rkey = rkey, .bind_info = *info },
	};
}

static int post_wr(struct end *end, struct ibv_send_wr wr)
{
	struct ibv_send_wr *bad;

	return ibv_post_send(end->qp, &wr, &bad);
}

static enum ibv_wc_status bind_two(struct end *end, struct ibv_mw *mw, uint32_t rkey,
				   const struct ibv_mw_bind_info *info)
{
	struct ibv_wc wc;

	CHECK(!post_wr(end, bind_wr(mw, rkey, info)));
	wc = end_wait(end);
	CHECK(wc.status || wc.opcode == IBV_WC_BIND_MW);
	return wc.status;
}

static enum ibv_wc_status bind_one(struct end *end, struct ibv_mw *mw,
				   const struct ibv_mw_bind_info *info)
{
	struct ibv_mw_bind bind = { .wr_id = 1, .bind_info = *info };
	uint32_t old = mw->rkey;
	struct ibv_wc wc;

	CHECK(!ibv_bind_mw(end->qp, mw, &bind));
	CHECK(mw->rkey != old);
	wc = end_wait(end);
	CHECK(wc.status || wc.opcode == IBV_WC_BIND_MW);
	if (wc.status)
		mw->rkey = old;
	return wc.status;
}

/* Return: the key */
static uint32_t bound(struct ibv_mw *mw, const struct ibv_mw_bind_info *info)
{
	uint32_t rkey = ibv_inc_rkey(mw->rkey);

	if (mw->type == IBV_MW_TYPE_1)
		CHECK(!bind_one(&far, mw, info) && mw->rkey == rkey);
	else
		CHECK(!bind_two(&far, mw, rkey, info));
	return mw->rkey = rkey;
}

static enum ibv_wc_status invalidate(struct end *end, uint32_t rkey)
{
	struct ibv_send_wr wr = { .wr_id = 2, .opcode = IBV_WR_LOCAL_INV, .invalidate_rkey = rkey };
	struct ibv_wc wc;

	CHECK(!post_wr(end, wr));
	wc = end_wait(end);
	CHECK(wc.status || wc.opcode == IBV_WC_LOCAL_INV);
	return wc.status;
}

/* --- Accesses ---------------------------------------------------------------------- */

/* How does it end? All that it may and may not have changed is looked at. */
static enum ibv_wc_status try_by(struct end *by, struct end *peer, enum ibv_wr_opcode opcode,
				 char *where, uint32_t len, uint64_t remote, uint32_t rkey)
{
	struct ibv_sge sge = { (uintptr_t)mine, len, my_mr->lkey };
	struct ibv_send_wr wr = { .sg_list = &sge, .num_sge = 1, .opcode = opcode,
				  .wr.rdma = { remote, rkey } };
	bool reads = opcode != IBV_WR_RDMA_WRITE, writes = opcode != IBV_WR_RDMA_READ;
	struct ibv_wc wc;
	char byte;

	if (reads && writes) {
		wr.wr.atomic.remote_addr = remote;
		wr.wr.atomic.rkey = rkey;
		wr.wr.atomic.compare_add = 1;
	}
	memset(mine, ++round_number, SIZE);
	byte = mine[0];
	memset(before, byte + 100, SIZE);
	memcpy(theirs, before, SIZE);
	CHECK(!post_wr(by, wr));
	wc = end_wait(by);
	if (wc.status) {
		connect_ends(by, peer);
	} else {
		if (writes && reads)
			++*(uint64_t *)(before + (where - theirs));
		else if (writes)
			memset(before + (where - theirs), byte, len);
		if (reads)
			CHECK(mine[0] == (char)(byte + 100) && !memcmp(mine, mine + 1, len - 1));
	}
	CHECK(!memcmp(before, theirs, SIZE));
	CHECK(mine[reads && !wc.status ? len : 0] == byte);
	return wc.status;
}

static enum ibv_wc_status try(enum ibv_wr_opcode opcode, char *where, uint32_t len, uint32_t rkey)
{
	return try_by(&near, &far, opcode, where, len, (uintptr_t)where, rkey);
}

#define ALLOWED(opcode, where, len, rkey) CHECK(!try(opcode, where, len, rkey))
#define REFUSED(opcode, where, len, rkey) \
	CHECK(try(opcode, where, len, rkey) == IBV_WC_REM_ACCESS_ERR)

/* --- What a window allows ------------------------------------------------------------ */

static void rights(enum ibv_mw_type type, int access)
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
static void zero_based(enum ibv_mw_type type)
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
static void bind_again(void)
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
static void other_queue_pair(void)
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

/* --- From when until when ------------------------------------------------------------ */

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

static void invalidation(void)
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
static void by_calls(void)
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
static void order(void)
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
static void keeps_region(void)
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

/* --- What is refused ----------------------------------------------------------------- */

#define BIND_FAILS(mw, rkey, info) do {					\
	CHECK(bind_two(&far, mw, rkey, info) == IBV_WC_MW_BIND_ERR);	\
	connect_ends(&near, &far);					\
} while (0)

static void mistakes(void)
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
static void not_mine(void)
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

/* A process that ends with windows bound leaves nothing; the kernel frees in its own order. */
static void exits(void)
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

/* --- At the same time ------------------------------------------------------------------ */

/* WRITEs with a key, until one is refused */
static void *write_all_the_time(void *rkey)
{
	struct request write = { IBV_WR_RDMA_WRITE, mine, SIZE, my_mr->lkey, (uintptr_t)theirs,
				 *(uint32_t *)rkey };
	enum ibv_wc_status status;
	int i, posted = 0;

	do {
		for (; posted < DEPTH / 2; posted++)
			end_post(&near, &write, 0);
		status = end_wait(&near).status;
		posted--;
	} while (!status);
	CHECK(status == IBV_WC_REM_ACCESS_ERR || (under_load() && status == IBV_WC_RETRY_EXC_ERR));
	for (i = 0; i < posted; i++)
		CHECK(end_wait(&near).status == IBV_WC_WR_FLUSH_ERR);
	return NULL;
}

/* When a request to invalidate has completed, nothing is written any more. */
static void race(int i)
{
	struct ibv_mw_bind_info info = { mr, (uintptr_t)theirs, SIZE, ALL };
	struct ibv_mw *mw = window(i & 1 ? IBV_MW_TYPE_1 : IBV_MW_TYPE_2);
	uint32_t rkey = bound(mw, &info);
	pthread_t thread;

	memset(theirs, 0, SIZE);
	memset(mine, 1 + i, SIZE);
	CHECK(!pthread_create(&thread, NULL, write_all_the_time, &rkey));
	while (!*(volatile char *)(theirs + i * SIZE / RACES))
		pause_ms(0);
	if (mw->type == IBV_MW_TYPE_2) {
		CHECK(!invalidate(&far, mw->rkey));
	} else {
		info = (struct ibv_mw_bind_info){ 0 };
		bound(mw, &info);
	}
	memset(theirs, 0xee, SIZE);
	memset(before, 0xee, SIZE);
	CHECK(!pthread_join(thread, NULL));
	CHECK(!memcmp(before, theirs, SIZE));
	connect_ends(&near, &far);
	CHECK(!ibv_dealloc_mw(mw));
}

/* A WRITE waits for a page when its window is unbound: that does not wait, and the WRITE is refused. */
static void waiting(void)
{
	struct ibv_mw_bind_info info = { mr, (uintptr_t)theirs, PAGE, ALL };
	struct ibv_mw *mw = window(IBV_MW_TYPE_2);
	struct request write = { IBV_WR_RDMA_WRITE, mine, PAGE, my_mr->lkey, (uintptr_t)theirs,
				 bound(mw, &info) };
	struct slow slow;
	double start;

	slow_begin(&slow, theirs, 1);
	slow_set_delay(&slow, 0, 1, DELAY_MS);
	end_post(&near, &write, 0);
	while (!slow_asked(&slow))
		pause_ms(1);
	start = now();
	CHECK(!invalidate(&far, mw->rkey));
	JUDGE(now() - start < DELAY_MS / 2000.0);
	CHECK(end_wait(&near).status == IBV_WC_REM_ACCESS_ERR);
	CHECK((unsigned char)theirs[0] == slow_byte(0) && !memcmp(theirs, theirs + 1, PAGE - 1));
	slow_end(&slow);
	connect_ends(&near, &far);
	CHECK(!ibv_dealloc_mw(mw));
}

/* --- Many times -------------------------------------------------------------------------- */

/* A key is sent, used, and invalidated with a message, over and over. */
static void many(void)
{
	struct ibv_mw *mw = window(IBV_MW_TYPE_2);
	struct request key = { IBV_WR_SEND, theirs + SIZE - PAGE, 4, mr->lkey, 0, 0 };
	struct ibv_mw_bind_info info = bind_info(ALL);
	uint32_t rkey = mw->rkey;
	struct trouble trouble;
	struct ibv_wc wc;
	int i;

	trouble_begin(&trouble, nics);
	for (i = 0; i < ROUNDS; i++) {
		struct request write = { IBV_WR_RDMA_WRITE, mine, LENGTH, my_mr->lkey,
					 (uintptr_t)theirs + OFFSET, 0 };
		struct ibv_sge sge = { (uintptr_t)mine + LENGTH, LENGTH, my_mr->lkey };
		struct ibv_send_wr inv = { .sg_list = &sge, .num_sge = 1,
					   .opcode = IBV_WR_SEND_WITH_INV };

		rkey = ibv_inc_rkey(rkey);
		memcpy(key.local, &rkey, 4);
		end_post_receive(&near, mine + SIZE - PAGE, 4, my_mr->lkey, 0);
		end_post_receive(&far, theirs + SIZE / 2, LENGTH, mr->lkey, 7);
		CHECK(!post_wr(&far, bind_wr(mw, rkey, &info)));
		end_post(&far, &key, 0);
		end_done(&near);
		memcpy(&write.rkey, mine + SIZE - PAGE, 4);
		inv.invalidate_rkey = write.rkey;
		memset(mine, i, LENGTH);
		memset(mine + LENGTH, i + 1, LENGTH);
		end_post(&near, &write, 0);
		CHECK(!post_wr(&near, inv));
		end_done(&near);
		end_done(&near);
		do {
			wc = end_wait(&far);
			CHECK(!wc.status);
		} while (wc.wr_id != 7);
		CHECK(wc.wc_flags == IBV_WC_WITH_INV && wc.invalidated_rkey == rkey);
		/* Its own SEND may be acknowledged only now. */
		while (i % 8 == 7 && end_poll(&far, &wc))
			CHECK(!wc.status);
		CHECK(!memcmp(theirs + OFFSET, mine, LENGTH));
		CHECK(!memcmp(theirs + SIZE / 2, mine + LENGTH, LENGTH));
	}
	printf("%s: bound, used and invalidated %d times; %llu retries, %llu came twice\n", kind->name,
	       ROUNDS, (unsigned long long)trouble_seen(&trouble, "tx_retries"),
	       (unsigned long long)trouble_seen(&trouble, "duplicate_requests"));
	connect_ends(&near, &far);
	CHECK(!ibv_dealloc_mw(mw));
}

static void capabilities(void)
{
	struct ibv_device_attr attr;

	CHECK(!ibv_query_device(nics[0].context, &attr));
	CHECK(attr.device_cap_flags & IBV_DEVICE_MEM_WINDOW);
	CHECK(attr.device_cap_flags & IBV_DEVICE_MEM_WINDOW_TYPE_2B);
	CHECK(!(attr.device_cap_flags & IBV_DEVICE_MEM_WINDOW_TYPE_2A));
	CHECK(attr.max_mw >= 1 << 19);
	CHECK(!ibv_alloc_mw(nics[0].pd, 3) && errno == EINVAL);
}

static void all(void)
{
	const enum ibv_mw_type types[] = { IBV_MW_TYPE_1, IBV_MW_TYPE_2 };
	const int some[] = { ALL, WRITE | IBV_ACCESS_LOCAL_WRITE, READ, READ | ATOMIC, 0 };
	int i, j;

	for (i = 0; i < 2; i++) {
		for (j = 0; j < 5; j++)
			rights(types[i], some[j]);
		zero_based(types[i]);
	}
	bind_again();
	other_queue_pair();
	invalidation();
	by_calls();
	order();
	keeps_region();
	mistakes();
	not_mine();
	for (i = 0; i < RACES; i++)
		race(i);
	if (kind->access)
		waiting();
	exits();
	printf("%s: right\n", kind->name);
}

static void some(void)
{
	int i;

	for (i = 0; i < RACES / 10; i++)
		race(i);
	exits();
}

int main(int argc, char **argv)
{
	bool lossy = options_lossy(argc, argv, nics);
	int i;

	capabilities();
	for (i = 0; i < KINDS; i++) {
		if (!in_turn(i, KINDS))
			continue;
		if (lossy)
			near.timeout = far.timeout = TIMEOUT_SHORT;
		set_up(&kinds[i]);
		if (under_load())
			some();
		else if (!lossy)
			all();
		many();
		tear_down();
	}
	return 0;
}
