// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Targets, queues and processes that go, also in the middle of a message */
#include "xrc.h"

#include <signal.h>
#include <sys/mman.h>

/* The page for the second half never comes. */
static void deliver_half(int pair, struct queue *queue)
{
	uint64_t asked = order(queue, (struct order){ .what = GIVE_SLOW });
	double until = now() + patience();

	fill(1, 2 * PAGE);
	post_to(pair, queue->known.number, outbox, 2 * PAGE, 0);
	while (order(queue, (struct order){ .what = SLOW_ASKED }) == asked) {
		CHECK(now() < until);
		pause_ms(1);
	}
}

/* Whoever's the queue is, it gets its request back. */
void flushed(enum ibv_qp_state state)
{
	struct ibv_qp_attr attr = { .qp_state = state };
	struct queue *queue = &queues[1];
	struct ibv_wc wc;

	deliver_half(0, queue);
	CHECK(!ibv_modify_qp(far[0], &attr, IBV_QP_STATE));
	wc = end_wait(&queue->end);
	CHECK(wc.status == IBV_WC_WR_FLUSH_ERR && wc.wr_id == SLOTS);
	CHECK(wc.qp_num == far[0]->qp_num);
	if (state == IBV_QPS_ERR)
		event_is(IBV_EVENT_QP_LAST_WQE_REACHED, far[0]);
	pair_connect(0);
	slow_end(&queue->slow);
	CHECK(!madvise(queue->inbox, PAGE, MADV_DONTNEED));
}

/* Nobody waits for the page: neither who destroys the queue, nor the sender. */
void queue_goes(void)
{
	struct queue queue = { .index = QUEUES };

	queue_create(&queue);
	deliver_half(0, &queue);
	CHECK(!ibv_destroy_srq(queue.srq));
	fails(IBV_WC_REM_INV_REQ_ERR, IBV_EVENT_QP_REQ_ERR);
	slow_end(&queue.slow);
	nothing_comes(&queue.end);
	queue_destroy_rest(&queue);
	printf("a queue that goes ends the message\n");
}

/* The other process makes a target, which is opened here. */
static void adopt(int pair)
{
	struct queue *other = &queues[OWN];
	struct address address;
	uint32_t number;

	CHECK(!ibv_destroy_qp(far[pair]));
	number = order(other, (struct order){ .what = TARGET });
	CHECK((far[pair] = open_target(number)) && far[pair]->qp_num == number);
	address = address_of(far[pair], &nics[1]);
	connect_qp(near[pair].qp, &nics[0], &address);
	order(other, (struct order){ .what = CONNECT, .peer = address_of(near[pair].qp, &nics[0]) });
	target_numbers[pair] = number;
}

static void transfer(int pair, int queue)
{
	order(&queues[queue], (struct order){ .what = GIVE, .count = 1 });
	post_message(pair, queue);
	order(&queues[queue], (struct order){ .what = TAKE, .count = 1 });
	end_done(&near[pair]);
}

/*
 * It dies with a message half delivered. The message ends, one way or the other: its
 * page comes when the handler has gone, unless the queue goes before.
 */
static void die(void)
{
	struct queue *other = &queues[OWN];
	enum ibv_wc_status status;

	deliver_half(1, other);
	end_other(other, SIGKILL);
	status = end_wait(&near[1]).status;
	CHECK(status == IBV_WC_SUCCESS || status == IBV_WC_REM_INV_REQ_ERR ||
	      status == IBV_WC_REM_OP_ERR);
	CHECK((status == IBV_WC_SUCCESS) == (state_of(far[1]) != IBV_QPS_ERR));
}

void processes(void)
{
	int queue;

	adopt(0);
	adopt(1);
	for (queue = 0; queue < QUEUES; queue++)
		transfer(queue % PAIRS, queue);
	printf("a target of another process, opened by this one\n");
	die();
	for (queue = 0; queue < OWN; queue++)
		transfer(0, queue);
	printf("the process is gone, its target goes on, its queue is refused\n");
	post_to(0, queues[OWN].known.number, outbox, 8, 0);
	CHECK(end_wait(&near[0]).status == IBV_WC_REM_INV_REQ_ERR);
	CHECK(state_of(far[0]) == IBV_QPS_ERR);
}
