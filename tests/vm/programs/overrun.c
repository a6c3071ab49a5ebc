// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A completion that there is no room for: the queue and the queue pair are both at an end
 * and say so. Completions that were there before can still be taken.
 *
 * usage: overrun -d DEV[,DEV2]
 */
#include "ends.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

enum { DEPTH = 4, QKEY = 7, ROOM = 200 };

static struct nic nics[2];
static struct end near, far;
static char *mine, *theirs;
static struct ibv_mr *my_mr, *their_mr;
static struct ibv_ah *ah;

static void set_up(enum ibv_qp_type type)
{
	near.type = far.type = type;
	end_create(&near, &nics[0], DEPTH);
	end_create(&far, &nics[1], DEPTH);
	if (type == IBV_QPT_UD) {
		ud_to_rts(near.qp, QKEY);
		ud_to_rts(far.qp, QKEY);
	} else {
		ends_connect(&near, &far);
	}
	ah = ah_to(&nics[0], &nics[1].gid);
}

static void tear_down(void)
{
	CHECK(!ibv_destroy_ah(ah));
	end_destroy(&near);
	end_destroy(&far);
}

/* As soon as there is room for it */
static void post(enum ibv_wr_opcode opcode, int id)
{
	struct ibv_sge sge = { (uintptr_t)mine, 8, my_mr->lkey };
	struct ibv_send_wr wr = {
		.wr_id = id, .sg_list = &sge, .num_sge = 1, .opcode = opcode,
	}, *bad;
	int err;

	if (near.type == IBV_QPT_UD) {
		wr.wr.ud.ah = ah;
		wr.wr.ud.remote_qpn = far.qp->qp_num;
		wr.wr.ud.remote_qkey = QKEY;
	} else {
		wr.wr.rdma.remote_addr = (uintptr_t)theirs;
		wr.wr.rdma.rkey = their_mr->rkey;
	}
	while ((err = ibv_post_send(near.qp, &wr, &bad)) == ENOMEM)
		pause_ms(1);
	CHECK(!err);
}

static void receive(int id)
{
	struct ibv_sge sge = { (uintptr_t)theirs, ROOM, their_mr->lkey };
	struct ibv_recv_wr wr = { .wr_id = id, .sg_list = &sge, .num_sge = 1 }, *bad;
	int err;

	while ((err = ibv_post_recv(far.qp, &wr, &bad)) == ENOMEM)
		pause_ms(1);
	CHECK(!err);
}

/* One of each, and nothing else */
static void expect_events(struct end *end)
{
	struct pollfd p = { .fd = end->nic->context->async_fd, .events = POLLIN };
	struct ibv_async_event event;
	int fatal = 0, error = 0;

	while (poll(&p, 1, fatal && error ? 30 : patience() * 1000) == 1) {
		CHECK(!ibv_get_async_event(end->nic->context, &event));
		ibv_ack_async_event(&event);
		if (event.event_type == IBV_EVENT_QP_FATAL && event.element.qp == end->qp)
			fatal++;
		else if (event.event_type == IBV_EVENT_CQ_ERR && event.element.cq == end->cq)
			error++;
		else
			CHECK(event.event_type == IBV_EVENT_GID_CHANGE);
	}
	CHECK(fatal == 1 && error == 1);
}

/* As many as the queue holds, and one more that is lost */
static void expect_end(struct end *end)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;
	struct ibv_wc wc;
	int i;

	expect_events(end);
	CHECK(!ibv_query_qp(end->qp, &attr, IBV_QP_STATE, &init) && attr.qp_state == IBV_QPS_ERR);
	for (i = 0; i < end->cq->cqe; i++) {
		CHECK(end_poll(end, &wc));
		CHECK(!wc.status && wc.wr_id == (uint64_t)i && wc.qp_num == end->qp->qp_num);
	}
	CHECK(!end_poll(end, &wc));
}

static void sending(enum ibv_qp_type type)
{
	int i;

	set_up(type);
	for (i = 0; i <= near.cq->cqe; i++)
		post(type == IBV_QPT_UD ? IBV_WR_SEND : IBV_WR_RDMA_WRITE, i);
	expect_end(&near);
	tear_down();
}

static void receiving(enum ibv_qp_type type)
{
	int i;

	set_up(type);
	for (i = 0; i <= far.cq->cqe; i++) {
		receive(i);
		post(IBV_WR_SEND, i);
		/* The last one is not acknowledged. */
		if (i < far.cq->cqe)
			end_done(&near);
	}
	expect_end(&far);
	tear_down();
}

int main(int argc, char **argv)
{
	const enum ibv_qp_type types[] = { IBV_QPT_RC, IBV_QPT_UC, IBV_QPT_UD };
	int i;

	CHECK(argc == 3 && !strcmp(argv[1], "-d"));
	nics_open(nics, argv[2]);
	mine = memory_map(PAGE, false);
	theirs = memory_map(PAGE, false);
	my_mr = nic_register(&nics[0], mine, PAGE);
	their_mr = nic_register(&nics[1], theirs, PAGE);
	for (i = 0; i < 3; i++) {
		sending(types[i]);
		receiving(types[i]);
	}
	CHECK(!ibv_dereg_mr(my_mr) && !ibv_dereg_mr(their_mr));
	printf("queues that overran: %d completions of each could be taken\n", 2 * DEPTH);
	return 0;
}
