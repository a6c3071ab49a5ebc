// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Events that wait for more completions. */
#include <errno.h>

#include "cqs.h"

enum { EVENT_COUNT = 8, EVENT_US = 65000 };

static void moderate(int count, int us)
{
	struct ibv_modify_cq_attr attr = {
		.attr_mask = IBV_CQ_ATTR_MODERATE, .moderate = { count, us },
	};

	CHECK(!ibv_modify_cq(b.end.cq, &attr));
}

static void arm(void)
{
	while (end_event(&b.end, 0))
		;
	CHECK(!ibv_req_notify_cq(b.end.cq, 0));
}

/* No event, if that can be told: it is too early for the timer. */
static bool expect_no_event(uint64_t first)
{
	bool event = end_event(&b.end, 0);

	if (raw_clock() - first >= EVENT_US * 1000ULL)
		return false;
	CHECK(!event);
	return true;
}

static void expect_event(void)
{
	CHECK(end_event(&b.end, patience() * 1000));
}

/* Return: whether it was soon enough to be told from one by the timer */
static bool event_by_count(void)
{
	uint64_t first;

	moderate(EVENT_COUNT, EVENT_US);
	arm();
	first = messages(0, EVENT_COUNT - 1);
	if (!expect_no_event(first))
		return false;
	messages(0, 1);
	expect_event();
	CHECK(!end_event(&b.end, 0));
	return raw_clock() - first < EVENT_US * 1000ULL;
}

static void event_by_time(void)
{
	uint64_t first, after;

	moderate(EVENT_COUNT, EVENT_US);
	arm();
	first = messages(0, EVENT_COUNT / 2);
	expect_event();
	after = (raw_clock() - first) / 1000;
	CHECK(after >= EVENT_US);
	JUDGE(after < EVENT_US * 4ULL * slowness());
}

static void moderation_is_bounded(void)
{
	struct ibv_modify_cq_attr attr = { .attr_mask = 0 };
	struct ibv_device_attr_ex device;

	CHECK(!ibv_query_device_ex(nics[1].context, NULL, &device));
	CHECK(device.cq_mod_caps.max_cq_count == UINT16_MAX);
	CHECK(device.cq_mod_caps.max_cq_period == UINT16_MAX);
	CHECK(ibv_modify_cq(b.end.cq, &attr) == EINVAL);
	attr.attr_mask = 1 << 1;
	CHECK(ibv_modify_cq(b.end.cq, &attr) == EINVAL);
	attr.attr_mask = IBV_CQ_ATTR_MODERATE | 1U << 31;
	CHECK(ibv_modify_cq(b.end.cq, &attr) == EINVAL);
}

/* However it is set, no event is lost. */
static void no_event_is_lost(int count, int us, int n)
{
	int i;

	moderate(count, us);
	for (i = 0; i < n; i++) {
		arm();
		messages(i, 1);
		expect_event();
	}
}

void test_events(void)
{
	int i, by_count = 0;
	uint64_t first;

	sides_create(DEPTH, 0);
	moderation_is_bounded();
	for (i = 0; i < 10; i++)
		by_count += event_by_count();
	JUDGE(by_count >= 5);
	event_by_time();
	event_by_time();

	no_event_is_lost(EVENT_COUNT, 1000, 100);
	no_event_is_lost(EVENT_COUNT, 1, 100);
	no_event_is_lost(EVENT_COUNT, 0, 20);
	no_event_is_lost(UINT16_MAX, 0, 20);
	no_event_is_lost(0, EVENT_US, 20);
	no_event_is_lost(1, EVENT_US, 20);
	no_event_is_lost(0, 0, 20);

	/* An event that waits does not when that is over. */
	moderate(EVENT_COUNT, EVENT_US);
	arm();
	first = messages(0, 1);
	if (expect_no_event(first)) {
		moderate(0, 0);
		CHECK(end_event(&b.end, 0));
	}

	/* One waits when the queue goes. */
	moderate(EVENT_COUNT, EVENT_US);
	arm();
	messages(0, 1);
	sides_destroy();
	pause_ms(2 * EVENT_US / 1000);
	printf("events: one for %d completions (%d times of 10), or after %d us\n", EVENT_COUNT,
	       by_count, EVENT_US);
}
