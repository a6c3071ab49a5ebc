// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Queues that are armed for solicited completions: which ones make an event? */
#include <sched.h>

#include "cqs.h"

enum { QKEY = 9, ROOM = 200, LENGTH = 100 };

static struct end near, far;
static char *mine, *theirs;
static struct ibv_mr *my_mr, *their_mr;
static struct ibv_ah *ah;

static void connect_ends(void)
{
	if (near.type != IBV_QPT_UD) {
		ends_connect(&near, &far);
		return;
	}
	ud_to_rts(near.qp, QKEY);
	ud_to_rts(far.qp, QKEY);
}

static void set_up(enum ibv_qp_type type)
{
	near.type = far.type = type;
	end_create(&near, &nics[0], WINDOW);
	end_create(&far, &nics[1], WINDOW);
	ah = ah_to(&nics[0], &nics[1].gid);
	connect_ends();
}

static void tear_down(void)
{
	CHECK(!ibv_destroy_ah(ah));
	end_destroy(&near);
	end_destroy(&far);
}

/* Its completion is taken without arming the queue. */
static enum ibv_wc_status taken(struct end *end)
{
	double last = now() + patience();
	struct ibv_wc wc;

	while (!end_poll(end, &wc)) {
		CHECK(now() < last);
		sched_yield();
	}
	return wc.status;
}

static void arm(struct end *end)
{
	while (end_event(end, 0))
		;
	CHECK(!ibv_req_notify_cq(end->cq, 1));
}

static void post(enum ibv_wr_opcode opcode, int flags, uint32_t rkey)
{
	struct ibv_sge sge = { (uintptr_t)mine, LENGTH, my_mr->lkey };
	struct ibv_send_wr wr = {
		.sg_list = &sge, .num_sge = 1, .opcode = opcode, .send_flags = flags,
	}, *bad;

	if (near.type == IBV_QPT_UD) {
		wr.wr.ud.ah = ah;
		wr.wr.ud.remote_qpn = far.qp->qp_num;
		wr.wr.ud.remote_qkey = QKEY;
	} else {
		wr.wr.rdma.remote_addr = (uintptr_t)theirs;
		wr.wr.rdma.rkey = rkey;
	}
	CHECK(!ibv_post_send(near.qp, &wr, &bad));
}

/* Only one that was sent so, and at the receiver alone */
static void messages_of(enum ibv_wr_opcode opcode)
{
	int flags;

	for (flags = 0; flags <= IBV_SEND_SOLICITED; flags += IBV_SEND_SOLICITED) {
		arm(&near);
		arm(&far);
		end_post_receive(&far, theirs, ROOM, their_mr->lkey, 0);
		post(opcode, flags, their_mr->rkey);
		CHECK(!taken(&near) && !taken(&far));
		CHECK(end_event(&far, flags ? patience() * 1000 : 20) == !!flags);
		CHECK(!end_event(&near, 0));
	}
}

/* Whatever fails does: a receive request, and a send request */
static void errors(void)
{
	arm(&far);
	end_post_receive(&far, theirs, ROOM, ~their_mr->lkey, 0);
	post(IBV_WR_SEND, 0, 0);
	CHECK(taken(&far) == IBV_WC_LOC_PROT_ERR);
	CHECK(end_event(&far, patience() * 1000));
	taken(&near);

	tear_down();
	set_up(near.type);
	arm(&near);
	my_mr->lkey ^= 1;
	post(IBV_WR_SEND, 0, 0);
	my_mr->lkey ^= 1;
	CHECK(taken(&near) == IBV_WC_LOC_PROT_ERR);
	CHECK(end_event(&near, patience() * 1000));

	tear_down();
	set_up(near.type);
}

/* What the peer refuses, and what is flushed then at both ends */
static void refusals(void)
{
	arm(&near);
	arm(&far);
	end_post_receive(&far, theirs, ROOM, their_mr->lkey, 0);
	post(IBV_WR_RDMA_WRITE, 0, ~their_mr->rkey);
	CHECK(taken(&near) == IBV_WC_REM_ACCESS_ERR);
	CHECK(end_event(&near, patience() * 1000));
	CHECK(taken(&far) == IBV_WC_WR_FLUSH_ERR);
	CHECK(end_event(&far, patience() * 1000));
}

void test_solicited(void)
{
	const enum ibv_qp_type types[] = { IBV_QPT_RC, IBV_QPT_UC, IBV_QPT_UD };
	int i;

	mine = memory_map(PAGE, false);
	theirs = memory_map(PAGE, false);
	my_mr = nic_register(&nics[0], mine, PAGE);
	their_mr = nic_register(&nics[1], theirs, PAGE);
	for (i = 0; i < 3; i++) {
		set_up(types[i]);
		messages_of(IBV_WR_SEND);
		messages_of(IBV_WR_SEND_WITH_IMM);
		if (types[i] != IBV_QPT_UD)
			messages_of(IBV_WR_RDMA_WRITE_WITH_IMM);
		errors();
		if (types[i] == IBV_QPT_RC)
			refusals();
		tear_down();
	}
	CHECK(!ibv_dereg_mr(my_mr) && !ibv_dereg_mr(their_mr));
	printf("solicited completions, and failures, make events\n");
}
