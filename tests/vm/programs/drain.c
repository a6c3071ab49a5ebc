/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Draining a send queue, going on, and what a user is told meanwhile: asynchronous events.
 *
 * usage: drain -d DEV[,DEV2] [-p COMMAND]
 *
 *   -p  COMMAND takes the port of DEV down and up again; nothing else is tried
 *
 * A request is under way for long because a page of its own is 300 ms away; those behind
 * it are not begun.
 */
#include "ends.h"
#include "slow.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	DEPTH = 16, SLOT = 8192, SIZE = DEPTH * SLOT, DELAY_MS = 300, HELD = 4, SQDS = 50,
	DEEP = 256, GOOD = 63, BEHIND = 150, RECOVERIES = 20,
};

static struct nic nics[2];
static struct end near, far;
static struct slow slow;
static char *mine, *theirs;
static struct ibv_mr *my_mr, *their_mr;
static struct ibv_ah *ah;

/* --- Events --------------------------------------------------------------------------- */

static bool event_comes(const struct nic *nic, struct ibv_async_event *event, int ms)
{
	struct pollfd p = { .fd = nic->context->async_fd, .events = POLLIN };

	if (poll(&p, 1, ms) != 1)
		return false;
	CHECK(!ibv_get_async_event(nic->context, event));
	ibv_ack_async_event(event);
	return true;
}

static void expect_event(const struct end *end, enum ibv_event_type type)
{
	struct ibv_async_event event;

	CHECK(event_comes(end->nic, &event, patience() * 1000));
	if (event.event_type != type)
		printf("event: %s\n", ibv_event_type_str(event.event_type));
	CHECK(event.event_type == type && event.element.qp == end->qp);
}

static void expect_no_event(const struct end *end)
{
	struct ibv_async_event event;

	if (event_comes(end->nic, &event, 30)) {
		printf("event: %s\n", ibv_event_type_str(event.event_type));
		CHECK(0);
	}
}

/* --- Set-up --------------------------------------------------------------------------- */

static void modify(struct end *end, enum ibv_qp_state state, int mask)
{
	struct ibv_qp_attr attr = {
		.qp_state = state, .cur_qp_state = IBV_QPS_SQD, .en_sqd_async_notify = 1,
		.port_num = 1, .qkey = 7,
	};

	CHECK(!ibv_modify_qp(end->qp, &attr, IBV_QP_STATE | mask));
}

static struct ibv_qp_attr query(const struct end *end)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	CHECK(!ibv_query_qp(end->qp, &attr, IBV_QP_RATE_LIMIT - 1, &init));
	return attr;
}

static void connect_end(struct end *end, struct end *peer)
{
	struct address address = end_address(peer);

	modify(end, IBV_QPS_RESET, 0);
	if (end->type != IBV_QPT_UD) {
		end_connect(end, &address);
		return;
	}
	modify(end, IBV_QPS_INIT, IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY);
	modify(end, IBV_QPS_RTR, 0);
	modify(end, IBV_QPS_RTS, IBV_QP_SQ_PSN);
}

static void connect_ends(void)
{
	connect_end(&near, &far);
	connect_end(&far, &near);
}

static void set_up(enum ibv_qp_type type)
{
	mine = memory_map(SIZE, false);
	theirs = memory_map(SIZE, false);
	memset(theirs, 0, SIZE);
	my_mr = nic_register(&nics[0], mine, SIZE);
	their_mr = nic_register(&nics[1], theirs, SIZE);
	near.type = far.type = type;
	end_create(&near, &nics[0], DEPTH);
	end_create(&far, &nics[1], DEPTH);
	ah = ah_to(&nics[0], &nics[1].gid);
	connect_ends();
	slow_begin(&slow, mine, 1);
	slow_set_delay(&slow, 0, 1, DELAY_MS * (under_load() ? 5 : 1));
}

static void tear_down(void)
{
	slow_end(&slow);
	CHECK(!ibv_destroy_ah(ah));
	end_destroy(&near);
	end_destroy(&far);
	CHECK(!ibv_dereg_mr(my_mr) && !ibv_dereg_mr(their_mr));
	CHECK(!munmap(mine, SIZE) && !munmap(theirs, SIZE));
}

/* --- Requests --------------------------------------------------------------------------- */

/* Number @i is a SEND from and to slot @i; a datagram has a header there first. */
static uint32_t head(void)
{
	return near.type == IBV_QPT_UD ? 40 : 0;
}

static void post(int i)
{
	struct ibv_sge sge = { (uintptr_t)mine + i * SLOT, 1000, my_mr->lkey };
	struct ibv_send_wr wr = { .wr_id = i, .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND }, *bad;

	if (near.type == IBV_QPT_UD) {
		wr.wr.ud.ah = ah;
		wr.wr.ud.remote_qpn = far.qp->qp_num;
		wr.wr.ud.remote_qkey = 7;
	}
	if (i)
		memset(mine + i * SLOT, 100 + i, 1000);
	end_post_receive(&far, theirs + i * SLOT, SLOT, their_mr->lkey, i);
	CHECK(!ibv_post_send(near.qp, &wr, &bad));
}

static void expect_done(int i)
{
	struct ibv_wc wc = end_wait(&near);

	CHECK(!wc.status && wc.wr_id == (uint64_t)i);
	wc = end_wait(&far);
	CHECK(!wc.status && wc.wr_id == (uint64_t)i && wc.byte_len == head() + 1000);
	CHECK((unsigned char)theirs[i * SLOT + head()] == (i ? 100 + i : slow_byte(0)));
	CHECK(!memcmp(theirs + i * SLOT + head(), theirs + i * SLOT + head() + 1, 999));
}

/* The first one waits for its page. */
static void post_slow(void)
{
	int i;

	slow_reset(&slow);
	for (i = 0; i < HELD; i++)
		post(i);
	while (!slow_asked(&slow))
		pause_ms(1);
}

/* --- Draining ---------------------------------------------------------------------------- */

static void drains(void)
{
	struct request back = { IBV_WR_SEND, theirs, 100, their_mr->lkey, 0, 0 };
	struct ibv_qp_attr attr = { .qkey = 8, .qp_access_flags = 0 };
	int mask = near.type == IBV_QPT_UD ? IBV_QP_QKEY : IBV_QP_ACCESS_FLAGS;
	struct ibv_wc wc;
	int i;

	post_slow();
	modify(&near, IBV_QPS_SQD, IBV_QP_EN_SQD_ASYNC_NOTIFY);
	attr = query(&near);
	CHECK(attr.qp_state == IBV_QPS_SQD && attr.sq_draining);
	CHECK(ibv_modify_qp(near.qp, &attr, mask) == EBUSY);
	/* What was begun ends, and only that. */
	expect_event(&near, IBV_EVENT_SQ_DRAINED);
	expect_done(0);
	attr = query(&near);
	CHECK(attr.qp_state == IBV_QPS_SQD && !attr.sq_draining);
	post(HELD);
	pause_ms(50);
	CHECK(!end_poll(&near, &wc) && !end_poll(&far, &wc));
	CHECK(!ibv_modify_qp(near.qp, &attr, mask));
	CHECK(query(&near).qp_state == IBV_QPS_SQD);
	/* Others are received from. */
	if (near.type != IBV_QPT_UD) {
		end_post_receive(&near, mine + (DEPTH - 1) * SLOT, 100, my_mr->lkey, 99);
		end_post(&far, &back, 98);
		wc = end_wait(&near);
		CHECK(!wc.status && wc.wr_id == 99);
		CHECK(!memcmp(mine + (DEPTH - 1) * SLOT, theirs, 100));
		end_done(&far);
	}
	expect_no_event(&near);
	modify(&near, IBV_QPS_RTS, IBV_QP_CUR_STATE);
	for (i = 1; i <= HELD; i++)
		expect_done(i);
}

/* On the way, and back before all is done */
static void comes_back(void)
{
	int i;

	post_slow();
	modify(&near, IBV_QPS_SQD, IBV_QP_EN_SQD_ASYNC_NOTIFY);
	modify(&near, IBV_QPS_RTS, 0);
	for (i = 0; i < HELD; i++)
		expect_done(i);
	expect_no_event(&near);
	/* With nothing under way */
	modify(&near, IBV_QPS_SQD, IBV_QP_EN_SQD_ASYNC_NOTIFY);
	expect_event(&near, IBV_EVENT_SQ_DRAINED);
	CHECK(!query(&near).sq_draining);
	modify(&near, IBV_QPS_RTS, 0);
}

/* It was asked for before, but that was for that time. */
static void unasked(void)
{
	modify(&near, IBV_QPS_SQD, 0);
	expect_no_event(&near);
	CHECK(!query(&near).sq_draining);
	modify(&near, IBV_QPS_RTS, 0);
}

static void flushed(void)
{
	struct ibv_wc wc;
	int i;

	post_slow();
	modify(&near, IBV_QPS_SQD, 0);
	modify(&near, IBV_QPS_ERR, 0);
	for (i = 0; i < HELD; i++) {
		wc = end_wait(&near);
		CHECK(wc.status == IBV_WC_WR_FLUSH_ERR && wc.wr_id == (uint64_t)i);
	}
	connect_ends();
	post_slow();
	modify(&near, IBV_QPS_SQD, 0);
	modify(&near, IBV_QPS_RESET, 0);
	pause_ms(20);
	CHECK(!end_poll(&near, &wc));
	connect_ends();
	post(1);
	expect_done(1);
}

/* --- Recovery: SQE, and RTS again ----------------------------------------------------- */

static struct ibv_send_wr deep_wr(int i, struct ibv_sge *sge)
{
	struct ibv_send_wr wr = { .wr_id = i, .sg_list = sge, .num_sge = 1, .opcode = IBV_WR_SEND };

	if (near.type == IBV_QPT_UD) {
		wr.wr.ud.ah = ah;
		wr.wr.ud.remote_qpn = far.qp->qp_num;
		wr.wr.ud.remote_qkey = 7;
	}
	return wr;
}

static void expect_received(int i, uint32_t len)
{
	struct ibv_wc wc = end_wait(&far);
	char *data = theirs + i % DEPTH * SLOT + head();

	CHECK(!wc.status && wc.wr_id == (uint64_t)i && wc.byte_len == head() + len);
	CHECK(!memcmp(data, mine + SLOT, len));
}

static void receive(int i)
{
	end_post_receive(&far, theirs + i % DEPTH * SLOT, SLOT, their_mr->lkey, i);
}

/* As soon as the state allows it, and before all is flushed */
static void *recover(void *unused)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RTS, .cur_qp_state = IBV_QPS_SQE };

	(void)unused;
	while (ibv_modify_qp(near.qp, &attr, IBV_QP_STATE | IBV_QP_CUR_STATE))
		;
	return NULL;
}

/*
 * Some good ones, as many as one turn of the requester, less one; a bad one, which is short;
 * and more, which are long. Exactly the good ones arrive.
 */
static void recovers(void)
{
	struct ibv_sge good = { (uintptr_t)mine + SLOT, 8, my_mr->lkey };
	struct ibv_sge bad_sge = { (uintptr_t)mine + SLOT, 1, my_mr->lkey ^ 1 };
	struct ibv_sge behind = { (uintptr_t)mine + SLOT, 1000, my_mr->lkey };
	struct ibv_send_wr wr[GOOD + 1 + BEHIND], *bad;
	pthread_t thread;
	struct ibv_wc wc;
	int i;

	for (i = 0; i < GOOD + 1 + BEHIND; i++) {
		wr[i] = deep_wr(i, i < GOOD ? &good : i == GOOD ? &bad_sge : &behind);
		wr[i].next = i < GOOD + BEHIND ? &wr[i + 1] : NULL;
	}
	for (i = 0; i < GOOD + 1; i++)
		receive(i);
	for (i = 0; i < SLOT; i++)
		mine[SLOT + i] = i * 7;
	CHECK(!pthread_create(&thread, NULL, recover, NULL));
	CHECK(!ibv_post_send(near.qp, wr, &bad));
	for (i = 0; i < GOOD + 1 + BEHIND; i++) {
		wc = end_wait(&near);
		CHECK(wc.wr_id == (uint64_t)i);
		CHECK(wc.status == (i < GOOD ? IBV_WC_SUCCESS :
				    i == GOOD ? IBV_WC_LOC_PROT_ERR : IBV_WC_WR_FLUSH_ERR));
	}
	CHECK(!pthread_join(thread, NULL));
	CHECK(query(&near).qp_state == IBV_QPS_RTS);
	/* All of them were in one of DEPTH slots: only what follows is looked at. */
	for (i = 0; i < GOOD; i++) {
		wc = end_wait(&far);
		CHECK(!wc.status && wc.wr_id == (uint64_t)i && wc.byte_len == head() + 8);
	}
	for (i = GOOD; i < GOOD + 2 * DEEP; i++) {
		struct ibv_sge sge = { (uintptr_t)mine + SLOT, i % 2 ? 4 : 1000, my_mr->lkey };
		struct ibv_send_wr next = deep_wr(i, &sge);

		CHECK(!ibv_post_send(near.qp, &next, &bad));
		end_done(&near);
		expect_received(i, sge.length);
		receive(i + 1);
	}
	connect_ends();
}

static void recovery(enum ibv_qp_type type)
{
	int i;

	mine = memory_map(SIZE, false);
	theirs = memory_map(SIZE, false);
	my_mr = nic_register(&nics[0], mine, SIZE);
	their_mr = nic_register(&nics[1], theirs, SIZE);
	near.type = far.type = type;
	end_create(&near, &nics[0], DEEP);
	end_create(&far, &nics[1], DEEP);
	ah = ah_to(&nics[0], &nics[1].gid);
	connect_ends();
	for (i = 0; i < (under_load() ? 1 : RECOVERIES); i++)
		recovers();
	CHECK(!ibv_destroy_ah(ah));
	end_destroy(&near);
	end_destroy(&far);
	CHECK(!ibv_dereg_mr(my_mr) && !ibv_dereg_mr(their_mr));
	CHECK(!munmap(mine, SIZE) && !munmap(theirs, SIZE));
}

/* --- With traffic ------------------------------------------------------------------------- */

static atomic_bool stop;
static atomic_ulong written;

static void *write_all_the_time(void *unused)
{
	struct request write = { IBV_WR_RDMA_WRITE, theirs, 3000, their_mr->lkey,
				 (uintptr_t)mine + SLOT, my_mr->rkey };

	(void)unused;
	for (; !stop; written++) {
		memset(theirs, written, 3000);
		end_post(&far, &write, 0);
		end_done(&far);
		CHECK(!memcmp(theirs, mine + SLOT, 3000));
	}
	return NULL;
}

/* The address and the limits change while the peer goes on. */
static void changes(void)
{
	struct ibv_qp_attr attr = query(&near);
	unsigned long before;
	pthread_t thread;
	int i;

	stop = false;
	written = 0;
	CHECK(!pthread_create(&thread, NULL, write_all_the_time, NULL));
	for (i = 0; i < (under_load() ? 5 : SQDS); i++) {
		modify(&near, IBV_QPS_SQD, IBV_QP_EN_SQD_ASYNC_NOTIFY);
		expect_event(&near, IBV_EVENT_SQ_DRAINED);
		attr.ah_attr.grh.traffic_class = i;
		attr.ah_attr.grh.hop_limit = 1 + i;
		attr.max_dest_rd_atomic = 1 + i % 8;
		CHECK(!ibv_modify_qp(near.qp, &attr, IBV_QP_AV | IBV_QP_MAX_DEST_RD_ATOMIC));
		CHECK(query(&near).ah_attr.grh.traffic_class == i);
		before = written;
		modify(&near, IBV_QPS_RTS, 0);
		while (written == before)
			pause_ms(1);
	}
	stop = true;
	CHECK(!pthread_join(thread, NULL));
	printf("the address changed %d times during %lu WRITEs of the peer\n", i, written);
}

/* --- Other events --------------------------------------------------------------------------- */

/* The first message before the queue pair may send itself */
static void established(void)
{
	struct address address = end_address(&near);
	struct request write = { IBV_WR_RDMA_WRITE, mine + SLOT, 8, my_mr->lkey,
				 (uintptr_t)theirs, their_mr->rkey };

	modify(&far, IBV_QPS_RESET, 0);
	modify(&near, IBV_QPS_RESET, 0);
	end_receive_from(&far, &address);
	connect_end(&near, &far);
	expect_no_event(&far);
	end_post(&near, &write, 0);
	end_done(&near);
	expect_event(&far, IBV_EVENT_COMM_EST);
	end_post(&near, &write, 0);
	end_done(&near);
	expect_no_event(&far);
	connect_ends();
}

static void not_allowed(void)
{
	struct request write = { IBV_WR_RDMA_WRITE, mine + SLOT, 8, my_mr->lkey,
				 (uintptr_t)theirs, their_mr->rkey ^ 1 };

	end_post(&near, &write, 0);
	CHECK(end_wait(&near).status == IBV_WC_REM_ACCESS_ERR);
	expect_event(&far, IBV_EVENT_QP_ACCESS_ERR);
	CHECK(query(&far).qp_state == IBV_QPS_ERR);
	connect_ends();
}

static void expect_port(enum ibv_event_type type)
{
	struct ibv_async_event event;

	do
		CHECK(event_comes(&nics[0], &event, patience() * 1000));
	while (event.event_type == IBV_EVENT_GID_CHANGE);
	CHECK(event.event_type == type && event.element.port_num == 1);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		enum ibv_qp_type type;
	} types[] = { { "RC", IBV_QPT_RC }, { "UC", IBV_QPT_UC }, { "UD", IBV_QPT_UD } };
	const char *command = NULL;
	int c, i;

	while ((c = getopt(argc, argv, "d:p:")) != -1) {
		CHECK(c != '?');
		if (c == 'd')
			nics_open(nics, optarg);
		else
			command = optarg;
	}
	CHECK(nics[0].context);
	if (command) {
		CHECK(!system(command));
		expect_port(IBV_EVENT_PORT_ERR);
		expect_port(IBV_EVENT_PORT_ACTIVE);
		return 0;
	}
	for (i = 0; i < 3; i++) {
		if (!in_turn(i, 3))
			continue;
		set_up(types[i].type);
		drains();
		connect_ends();
		comes_back();
		unasked();
		flushed();
		if (types[i].type != IBV_QPT_UD)
			established();
		if (types[i].type == IBV_QPT_RC) {
			/* Where the NAK gets lost, the error is another one. */
			if (!under_load())
				not_allowed();
			changes();
		}
		tear_down();
		if (types[i].type != IBV_QPT_RC)
			recovery(types[i].type);
		printf("%s: drained, and went on\n", types[i].name);
	}
	return 0;
}
