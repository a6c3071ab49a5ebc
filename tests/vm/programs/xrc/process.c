// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The other process does at its queue what it is told to. */
#include "xrc.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t give_slow(struct queue *queue)
{
	struct slow *slow = &queue->slow;

	slow_begin(slow, queue->field, 1);
	slow_set_delay(slow, 0, 1, NEVER_MS);
	post_receive(queue, queue->inbox, PAGE, queue->field, PAGE, SLOTS);
	return slow_asked(slow);
}

static uint64_t obey(struct queue *queue, const struct order *order)
{
	int i;

	switch (order->what) {
	case GIVE:
		give(queue, order->count);
		return 0;
	case TAKE:
		for (i = 0; i < order->count; i++)
			take(queue);
		return 0;
	case CHECK_FIELD:
		check_field(queue, order->value, order->len);
		return 0;
	case CHECK_BYTES:
		return *(volatile uint64_t *)queue->field;
	case GIVE_SLOW:
		return give_slow(queue);
	case SLOW_ASKED:
		return slow_asked(&queue->slow);
	case TARGET:
		queue->target = target_create();
		return queue->target->qp_num;
	case CONNECT:
		connect_qp(queue->target, &nics[1], &order->peer);
		return 0;
	}
	return 0;
}

static void serve(struct queue *queue)
{
	struct order order;

	nics_open(nics, device_names);
	open_domain();
	queue_create(queue);
	CHECK(write(queue->socket, &queue->known, sizeof(queue->known)) == sizeof(queue->known));
	while (read(queue->socket, &order, sizeof(order)) == sizeof(order)) {
		queue->known.value = obey(queue, &order);
		CHECK(write(queue->socket, &queue->known, sizeof(queue->known)) ==
		      sizeof(queue->known));
	}
	exit(0);
}

void answer(struct queue *queue)
{
	CHECK(read(queue->socket, &queue->known, sizeof(queue->known)) == sizeof(queue->known));
}

uint64_t order(struct queue *queue, struct order order)
{
	if (!queue->pid)
		return obey(queue, &order);
	CHECK(write(queue->socket, &order, sizeof(order)) == sizeof(order));
	answer(queue);
	return queue->known.value;
}

void start_other(struct queue *queue)
{
	int ends[2];

	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends));
	CHECK((queue->pid = fork()) >= 0);
	if (queue->pid) {
		close(ends[1]);
		queue->socket = ends[0];
		return;
	}
	close(ends[0]);
	queue->socket = ends[1];
	serve(queue);
}

void end_other(struct queue *queue, int signal)
{
	int status;

	if (signal)
		CHECK(!kill(queue->pid, signal));
	close(queue->socket);
	CHECK(waitpid(queue->pid, &status, 0) == queue->pid);
	CHECK(signal ? WIFSIGNALED(status) : WIFEXITED(status) && !WEXITSTATUS(status));
	queue->pid = 0;
}
