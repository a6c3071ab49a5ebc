// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* When completions were. */
#include <time.h>

#include "cqs.h"

uint64_t raw_clock(void)
{
	struct ibv_values_ex values = { .comp_mask = IBV_VALUES_MASK_RAW_CLOCK };

	CHECK(!ibv_query_rt_values_ex(nics[0].context, &values));
	CHECK(values.comp_mask == IBV_VALUES_MASK_RAW_CLOCK);
	return values.raw_clock.tv_sec * 1000000000ULL + values.raw_clock.tv_nsec;
}

static uint64_t wall_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* The clock runs at the rate that the device tells, all of its bits. */
static void rate(void)
{
	struct ibv_device_attr_ex attr;
	uint64_t raw_first, raw_last;
	double first, last;

	CHECK(!ibv_query_device_ex(nics[0].context, NULL, &attr));
	CHECK(attr.completion_timestamp_mask == UINT64_MAX);
	first = now();
	raw_first = raw_clock();
	pause_ms(300);
	raw_last = raw_clock();
	last = now();
	last -= first;
	first = (raw_last - raw_first) / (attr.hca_core_clock * 1e3);
	CHECK(first >= 0.3 * 0.999 && first <= last * 1.001);
}

static void times(void)
{
	uint64_t before, after, wall_before, wall_after, wall, time, previous = 0;
	struct ibv_wc wc;
	int i;

	rate();
	sides_create(DEPTH, 0);
	for (i = 0; i < 50; i++) {
		wall_before = wall_clock();
		before = raw_clock();
		receive(i);
		send_message(i);
		start(&b);
		wc = current(b.cqx, &time);
		wall = ibv_wc_read_completion_wallclock_ns(b.cqx);
		ibv_end_poll(b.cqx);
		after = raw_clock();
		wall_after = wall_clock();
		expect_message(&wc, i);
		CHECK(time >= before && time <= after && time > previous);
		CHECK(wall >= wall_before && wall <= wall_after);
		previous = time;
		wc = next(&a, &time);
		CHECK(time >= before && time <= raw_clock());
	}
	sides_destroy();
	printf("times, by the device's clock and by the wall clock\n");
}

/* Completions of two queue pairs, from two sides of the work, follow each other in time. */
static void times_in_order(void)
{
	struct ibv_poll_cq_attr attr = {};
	uint64_t sent = 0, received = 0, posted = 0, time, previous = 0;
	struct ibv_wc wc;

	sides_create_shared(2 * WINDOW);
	while (sent < MESSAGES || received < MESSAGES) {
		for (; posted < MESSAGES && posted < sent + WINDOW && posted < received + WINDOW; posted++) {
			receive(posted);
			send_message(posted);
		}
		if (ibv_start_poll(a.cqx, &attr))
			continue;
		do {
			wc = current(a.cqx, &time);
			expect_message(&wc, wc.opcode == IBV_WC_RECV ? received++ : sent++);
			CHECK(time >= previous);
			previous = time;
		} while (!ibv_next_poll(a.cqx));
		ibv_end_poll(a.cqx);
	}
	sides_destroy();
	printf("%d times of both sides in one queue, in order\n", 2 * MESSAGES);
}

void test_times(bool one_device)
{
	times();
	if (one_device)
		times_in_order();
}
