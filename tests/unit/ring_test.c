// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The provider's rings: index arithmetic through the end of 32 bits, and the
 * purge of a completion queue. The tests play the kernel's part.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "providers/odp/purge.h"

#define DEPTH 8

/* Index 0, and so many starts before the wrap that it falls on every slot. */
static const uint32_t starts[] = {
	0,	      1,	    -1U,	  -2U,	      -3U,
	-DEPTH / 2U,  -(DEPTH - 1U), -(uint32_t)DEPTH, 0x80000000U - 3,
};

/* A ring of exactly DEPTH entries, so that the sanitizer sees a step outside. */
static void setup_ring(struct odp_queue *queue, uint32_t stride, uint32_t start)
{
	struct odp_ring *ring = calloc(1, sizeof(*ring) + DEPTH * stride);

	assert_non_null(ring);
	ring->kernel_index = start;
	ring->user_index = start;
	odp_queue_init(queue, ring, DEPTH, stride);
	queue->index = start;
	queue->kernel_index = start;
}

static void teardown_ring(struct odp_queue *queue)
{
	free(queue->ring);
}

/* The kernel writes a completion; wr_id tells them apart. */
static void complete(struct odp_queue *queue, uint32_t qp_num, uint64_t wr_id)
{
	uint32_t index = queue->ring->kernel_index;

	*(struct odp_cqe *)odp_queue_entry(queue, index) = (struct odp_cqe){
		.qp_num = qp_num,
		.wr_id = wr_id,
	};
	queue->ring->kernel_index = index + 1;
}

static void expect_next(struct odp_queue *queue, uint64_t wr_id)
{
	const struct odp_cqe *cqe;

	assert_int_not_equal(odp_queue_ready(queue, 1), 0);
	cqe = odp_queue_entry(queue, queue->index++);
	assert_int_equal(cqe->wr_id, wr_id);
}

static void work_queue_fills_and_drains(uint32_t start)
{
	struct odp_queue queue;
	uint32_t i;

	setup_ring(&queue, sizeof(struct odp_send_wqe), start);
	for (i = 0; i < DEPTH; i++) {
		assert_false(odp_queue_full(&queue));
		memset(odp_queue_entry(&queue, queue.index++), 0xff,
		       queue.stride);
	}
	assert_true(odp_queue_full(&queue));

	odp_queue_publish(&queue);
	assert_int_equal(queue.ring->user_index, start + DEPTH);
	assert_true(odp_queue_full(&queue));

	queue.ring->kernel_index++;
	assert_false(odp_queue_full(&queue));
	queue.index++;
	assert_true(odp_queue_full(&queue));

	queue.ring->kernel_index = queue.index;
	assert_false(odp_queue_full(&queue));
	teardown_ring(&queue);
}

static void test_work_queue(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		work_queue_fills_and_drains(starts[i]);
}

/* Neighbouring indices have neighbouring slots, across the wrap, too. */
static void test_entries_follow_each_other(void **state)
{
	struct odp_queue queue;
	uint32_t index;

	(void)state;
	setup_ring(&queue, 48, 0);
	assert_ptr_equal(odp_queue_entry(&queue, 0), queue.ring + 1);
	for (index = -2U * DEPTH; index != 2U * DEPTH; index++) {
		char *this = odp_queue_entry(&queue, index);
		char *next = odp_queue_entry(&queue, index + 1);

		assert_int_equal(next - this,
				 index % DEPTH == DEPTH - 1 ?
					 -48 * (DEPTH - 1) : 48);
	}
	teardown_ring(&queue);
}

/* Entries that the kernel refused are taken back, and the slots used again. */
static void test_take_back(void **state)
{
	struct odp_queue queue;
	uint32_t first = -2U;

	(void)state;
	setup_ring(&queue, 64, first);
	queue.index += 5;
	odp_queue_publish(&queue);
	queue.index = first;
	odp_queue_publish(&queue);
	assert_int_equal(queue.ring->user_index, first);
	assert_ptr_equal(odp_queue_entry(&queue, queue.index),
			 odp_queue_entry(&queue, first));
	teardown_ring(&queue);
}

static void test_reset(void **state)
{
	struct odp_queue queue;

	(void)state;
	setup_ring(&queue, 64, -3U);
	queue.index += DEPTH;
	odp_queue_publish(&queue);
	assert_true(odp_queue_full(&queue));

	queue.ring->kernel_index = 0;
	odp_queue_reset(&queue);
	assert_int_equal(queue.ring->user_index, 0);
	assert_int_equal(queue.index, 0);
	assert_false(odp_queue_full(&queue));
	teardown_ring(&queue);
}

static void test_kick(void **state)
{
	struct odp_queue queue;

	(void)state;
	setup_ring(&queue, 64, 0);
	assert_false(odp_queue_wants_kick(&queue));
	queue.ring->flags = ODP_RING_NEED_KICK;
	assert_true(odp_queue_wants_kick(&queue));
	queue.ring->flags = ~(uint32_t)ODP_RING_NEED_KICK;
	assert_false(odp_queue_wants_kick(&queue));
	teardown_ring(&queue);
}

static void completions_come_in_order(uint32_t start)
{
	struct odp_queue queue;
	uint64_t wr_id = 0, read = 0;
	int round, i;

	setup_ring(&queue, sizeof(struct odp_cqe), start);
	assert_int_equal(odp_queue_ready(&queue, 1), 0);
	for (round = 0; round < DEPTH; round++) {
		for (i = 0; i <= round; i++)
			complete(&queue, 1, wr_id++);
		assert_int_equal(odp_queue_ready(&queue, DEPTH), round + 1);
		for (i = 0; i <= round; i++)
			expect_next(&queue, read++);
		assert_int_equal(odp_queue_ready(&queue, 1), 0);
	}
	teardown_ring(&queue);
}

static void test_completions(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		completions_come_in_order(starts[i]);
}

/* The kernel's index is looked at only when what is known does not suffice. */
static void test_ready_refreshes_when_short(void **state)
{
	struct odp_queue queue;

	(void)state;
	setup_ring(&queue, sizeof(struct odp_cqe), -1U);
	complete(&queue, 1, 0);
	complete(&queue, 1, 1);
	assert_int_equal(odp_queue_ready(&queue, 1), 2);
	complete(&queue, 1, 2);
	assert_int_equal(odp_queue_ready(&queue, 2), 2);
	assert_int_equal(odp_queue_ready(&queue, 3), 3);
	teardown_ring(&queue);
}

static void test_overrun_is_seen(void **state)
{
	struct odp_queue queue;

	(void)state;
	setup_ring(&queue, sizeof(struct odp_cqe), -1U);
	queue.ring->kernel_index += DEPTH;
	assert_int_equal(odp_queue_ready(&queue, 1), DEPTH);
	queue.ring->kernel_index++;
	assert_int_equal(odp_queue_ready(&queue, DEPTH + 1), DEPTH + 1);

	/* The entries are all of queue pair 0; a purge does not trust them. */
	odp_queue_purge(&queue, 0);
	assert_int_equal(queue.index, -1U);
	teardown_ring(&queue);
}

/*
 * Every mixture of completions of two queue pairs, in a queue of every fill.
 * Bit i of @mask says whose the i-th one is.
 */
static void purge_keeps_the_others(uint32_t start, int fill, unsigned int mask)
{
	struct odp_queue queue;
	int i;

	setup_ring(&queue, sizeof(struct odp_cqe), start);
	for (i = 0; i < fill; i++)
		complete(&queue, mask & 1U << i ? 7 : 8, i);

	odp_queue_purge(&queue, 7);
	assert_int_equal(queue.ring->user_index, queue.index);
	assert_int_equal(queue.ring->kernel_index, start + fill);
	assert_int_equal(odp_queue_ready(&queue, DEPTH),
			 fill - __builtin_popcount(mask));

	/* The kernel goes on where it was, in the room that came free. */
	if (mask)
		complete(&queue, 7, 100);
	for (i = 0; i < fill; i++)
		if (!(mask & 1U << i))
			expect_next(&queue, i);
	if (mask)
		expect_next(&queue, 100);
	assert_int_equal(odp_queue_ready(&queue, 1), 0);
	teardown_ring(&queue);
}

static void test_purge(void **state)
{
	unsigned int mask;
	size_t i;
	int fill;

	(void)state;
	for (i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		for (fill = 0; fill <= DEPTH; fill++)
			for (mask = 0; mask < 1U << fill; mask++)
				purge_keeps_the_others(starts[i], fill, mask);
}

/* What was polled but not yet announced to the kernel is not looked at. */
static void test_purge_after_polling(void **state)
{
	struct odp_queue queue;

	(void)state;
	setup_ring(&queue, sizeof(struct odp_cqe), -2U);
	complete(&queue, 8, 0);
	complete(&queue, 7, 1);
	complete(&queue, 8, 2);
	expect_next(&queue, 0);
	odp_queue_purge(&queue, 7);
	assert_int_equal(queue.index, 0);
	expect_next(&queue, 2);
	assert_int_equal(odp_queue_ready(&queue, 1), 0);
	teardown_ring(&queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_work_queue),
		cmocka_unit_test(test_entries_follow_each_other),
		cmocka_unit_test(test_take_back),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_kick),
		cmocka_unit_test(test_completions),
		cmocka_unit_test(test_ready_refreshes_when_short),
		cmocka_unit_test(test_overrun_is_seen),
		cmocka_unit_test(test_purge),
		cmocka_unit_test(test_purge_after_polling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
