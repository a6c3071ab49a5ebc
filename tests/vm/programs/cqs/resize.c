// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Queues that are resized, at rest and in use, and lose nothing. */
#include <errno.h>
#include <odp-abi.h>
#include <pthread.h>
#include <rdma/ib_user_verbs.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cqs.h"

/* RESIZE_CQ as no provider would send it. Return: errno value */
static int raw_resize(struct ibv_cq *cq, int cqe, uint32_t step, uint32_t reserved, size_t ours)
{
	struct odp_create_cq_resp answer;
	struct {
		struct ib_uverbs_cmd_hdr header;
		struct ib_uverbs_resize_cq core;
		struct odp_resize_cq ours;
	} command = {
		.core = { .response = (uintptr_t)&(char[64]){}, .cq_handle = cq->handle, .cqe = cqe },
		.ours = { step, reserved },
	};
	size_t size = sizeof(command) - sizeof(command.ours) + ours;

	command.header = (struct ib_uverbs_cmd_hdr){
		.command = IB_USER_VERBS_CMD_RESIZE_CQ, .in_words = size / 4,
		.out_words = (sizeof(struct ib_uverbs_resize_cq_resp) + sizeof(answer)) / 4,
	};
	return write(cq->context->cmd_fd, &command, size) == (ssize_t)size ? 0 : errno;
}

static void resize_by_force(void)
{
	struct ibv_cq *cq = b.end.cq;
	int cqe = cq->cqe;

	CHECK(raw_resize(cq, 16, ODP_RESIZE_CQ_COMMIT, 0, sizeof(struct odp_resize_cq)) == EINVAL);
	CHECK(raw_resize(cq, 16, 2, 0, sizeof(struct odp_resize_cq)) == EINVAL);
	CHECK(raw_resize(cq, 16, ~0U, 0, sizeof(struct odp_resize_cq)) == EINVAL);
	CHECK(raw_resize(cq, 16, ODP_RESIZE_CQ_PREPARE, 1, sizeof(struct odp_resize_cq)) == EINVAL);
	CHECK(raw_resize(cq, 16, ODP_RESIZE_CQ_PREPARE, 0, 4) == EINVAL);
	CHECK(raw_resize(cq, 16, ODP_RESIZE_CQ_PREPARE, 0, 0) == EINVAL);
	/* A ring that says that more than it holds is not consumed, and is gone then */
	CHECK(!raw_resize(cq, 64, ODP_RESIZE_CQ_PREPARE, 0, sizeof(struct odp_resize_cq)));
	CHECK(!raw_resize(cq, 1, ODP_RESIZE_CQ_PREPARE, 0, sizeof(struct odp_resize_cq)));
	CHECK(raw_resize(cq, 1, ODP_RESIZE_CQ_COMMIT, 0, sizeof(struct odp_resize_cq)) == EINVAL);
	CHECK(raw_resize(cq, 1, ODP_RESIZE_CQ_COMMIT, 0, sizeof(struct odp_resize_cq)) == EINVAL);
	CHECK(cq->cqe == cqe);
}

/* The new ring cannot be mapped. */
static void resize_without_memory(struct ibv_cq *cq)
{
	struct rlimit limit, none;
	int err;

	CHECK(!getrlimit(RLIMIT_AS, &limit));
	none = limit;
	none.rlim_cur = PAGE;
	CHECK(!setrlimit(RLIMIT_AS, &none));
	err = ibv_resize_cq(cq, 4 * cq->cqe);
	CHECK(!setrlimit(RLIMIT_AS, &limit));
	CHECK(err == ENOMEM);
}

static void send_messages(uint64_t from, uint64_t to)
{
	uint64_t seq, time;
	struct ibv_wc wc;

	for (seq = from; seq < to; seq++) {
		receive(seq);
		send_message(seq);
		wc = next(&a, &time);
		expect_message(&wc, seq);
	}
}

static void expect_messages(uint64_t from, uint64_t to)
{
	struct ibv_wc wc;
	uint64_t time;

	for (; from < to; from++) {
		wc = next(&b, &time);
		expect_message(&wc, from);
	}
	expect_empty(&b);
}

/* Entries that nobody has taken yet move with the queue. */
static void resize_at_rest(void)
{
	struct ibv_device_attr attr;
	struct ibv_cq *cq;
	int cqe;

	sides_create(8, 0);
	CHECK(!ibv_query_device(nics[1].context, &attr));
	cq = b.end.cq;
	cqe = cq->cqe;
	messages(0, 5);
	send_messages(0, 6);
	CHECK(ibv_resize_cq(cq, 4) == EINVAL && cq->cqe == cqe);
	CHECK(ibv_resize_cq(cq, 0) == EINVAL && ibv_resize_cq(cq, -1) == EINVAL);
	CHECK(ibv_resize_cq(cq, attr.max_cqe + 1) == EINVAL);
	resize_by_force();
	resize_without_memory(cq);
	CHECK(cq->cqe == cqe);

	CHECK(!ibv_resize_cq(cq, 100) && cq->cqe >= 100);
	send_messages(6, 100);
	CHECK(!ibv_resize_cq(cq, 200) && cq->cqe >= 200);
	CHECK(!ibv_resize_cq(cq, 100) && cq->cqe >= 100 && cq->cqe < 200);
	expect_messages(0, 100);

	CHECK(!ibv_resize_cq(cq, 1) && cq->cqe >= 1 && cq->cqe < cqe);
	messages(100, 20);
	CHECK(!ibv_resize_cq(cq, attr.max_cqe) && cq->cqe == attr.max_cqe);
	messages(120, 20);
	CHECK(!ibv_resize_cq(cq, cqe) && cq->cqe == cqe);
	messages(140, 20);
	sides_destroy();
	printf("resized at rest, with 0 to 100 entries\n");
}

static atomic_bool traffic_over;

/* Takes what there is, in one of two ways. Return: the next number */
static uint64_t drain(struct side *side, uint64_t seq, bool iterate)
{
	struct ibv_poll_cq_attr attr = {};
	struct ibv_wc wc[3];
	uint64_t time;
	int i, n;

	if (!iterate) {
		n = ibv_poll_cq(side->end.cq, 3, wc);
		CHECK(n >= 0);
		for (i = 0; i < n; i++)
			expect_message(&wc[i], seq++);
		return seq;
	}
	if (ibv_start_poll(side->cqx, &attr))
		return seq;
	do {
		wc[0] = current(side->cqx, &time);
		expect_message(&wc[0], seq++);
	} while (!ibv_next_poll(side->cqx));
	ibv_end_poll(side->cqx);
	return seq;
}

static uint64_t total(void)
{
	return under_load() ? MESSAGES / 10 : MESSAGES;
}

static void *traffic(void *unused)
{
	const uint64_t all = total();
	uint64_t posted = 0, sent = 0, received = 0, before;
	double end = now() + 2 * patience();

	(void)unused;
	while (received < all || sent < all) {
		for (; posted < all && posted < sent + WINDOW && posted < received + WINDOW; posted++) {
			receive(posted);
			send_message(posted);
		}
		before = sent + received;
		sent = drain(&a, sent, posted % 2);
		received = drain(&b, received, posted / 2 % 2);
		if (sent + received == before)
			sched_yield();
		CHECK(now() < end);
	}
	atomic_store(&traffic_over, true);
	return NULL;
}

static void resize_in_use(void)
{
	unsigned int n = 0, seed = 1;
	pthread_t thread;

	sides_create(WINDOW, 0);
	atomic_store(&traffic_over, false);
	CHECK(!pthread_create(&thread, NULL, traffic, NULL));
	while (!atomic_load(&traffic_over)) {
		struct ibv_cq *cq = n++ % 2 ? a.end.cq : b.end.cq;
		int cqe = WINDOW << rand_r(&seed) % 5;

		CHECK(!ibv_resize_cq(cq, cqe) && cq->cqe >= cqe);
	}
	CHECK(!pthread_join(thread, NULL));
	expect_empty(&a);
	expect_empty(&b);
	JUDGE(n >= 20);
	sides_destroy();
	printf("resized in use, %u times during %lu messages\n", n, (unsigned long)total());
}

void test_resize(void)
{
	resize_at_rest();
	resize_in_use();
}
