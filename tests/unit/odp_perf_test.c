// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The parts of odp_perf that need no device: sizes, patterns, the pieces of a
 * transfer, the plan of a sweep, and memory that changes under a reader which
 * does what a device would.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "perftest-odp/churn.h"
#include "perftest-odp/fail.h"
#include "perftest-odp/plan.h"
#include "perftest-odp/size.h"

/* Last: it defines a macro fail() */
#include <cmocka.h>

static void sizes_are_parsed(void **state)
{
	uint64_t n;

	(void)state;
	assert_true(size_parse("4096", &n) && n == 4096);
	assert_true(size_parse("64K", &n) && n == 64 * KiB);
	assert_true(size_parse("3m", &n) && n == 3 * MiB);
	assert_true(size_parse("1T", &n) && n == TiB);
	assert_true(size_parse("16777215T", &n));
	assert_false(size_parse("16777216T", &n));
	assert_false(size_parse("", &n));
	assert_false(size_parse("-1", &n));
	assert_false(size_parse("1KB", &n));
	assert_false(size_parse("1X", &n));
	assert_false(size_parse("99999999999999999999", &n));
}

static void sizes_are_printed(void **state)
{
	char text[SIZE_TEXT];

	(void)state;
	assert_string_equal(size_text(0, text), "0 B");
	assert_string_equal(size_text(4095, text), "4095 B");
	assert_string_equal(size_text(4096, text), "4 KiB");
	assert_string_equal(size_text(3 * GiB, text), "3 GiB");
	assert_string_equal(size_text(1025 * GiB, text), "1025 GiB");
}

/* However it is cut, the pattern is the same */
static void pattern_pieces_fit(void **state)
{
	uint8_t whole[300], parts[300];
	struct pattern_diff diff;
	size_t from, len;

	(void)state;
	pattern_fill(whole, sizeof(whole), 77, 0);
	for (from = 0; from < 40; from++) {
		for (len = 0; len < 40; len++) {
			pattern_fill(parts, len, 77, from);
			assert_memory_equal(parts, whole + from, len);
			assert_int_equal(pattern_check(whole + from, len, 77,
						       from, &diff), 0);
		}
	}
}

static void one_wrong_byte_is_found(void **state)
{
	uint8_t buf[100];
	struct pattern_diff diff;
	size_t i, from;

	(void)state;
	for (from = 0; from < 9; from++) {
		for (i = 0; i < sizeof(buf); i++) {
			pattern_fill(buf, sizeof(buf), 5, from);
			buf[i] ^= 0x10;
			assert_int_equal(pattern_check(buf, sizeof(buf), 5, from,
						       &diff), 1);
			assert_int_equal(diff.offset, i);
			assert_int_equal(diff.got ^ diff.expected, 0x10);
		}
	}
}

static void shifted_and_foreign_bytes_are_found(void **state)
{
	static uint8_t buf[8192];
	struct pattern_diff diff;
	uint64_t shift;

	(void)state;
	pattern_fill(buf, sizeof(buf), pattern_key(1, 1), 0);
	for (shift = 1; shift < 4096; shift = 3 * shift + 1)
		assert_true(pattern_check(buf, 4096, pattern_key(1, 1), shift,
					  &diff) > 4000);
	assert_true(pattern_check(buf, 4096, pattern_key(1, 2), 0, &diff) > 4000);
	assert_true(pattern_check(buf, 4096, PATTERN_ZERO, 0, &diff) > 4000);
	assert_int_not_equal(pattern_key(0, 0), PATTERN_ZERO);
}

static void pieces_make_up_the_message(void **state)
{
	struct xfer x = { .op = OP_SEND, .gap = 4133, .src = 100, .dst = 9000 };
	struct seg segs[XFER_MAX_SEGS];
	unsigned int i, n, target;
	uint64_t from, end;

	(void)state;
	for (x.len = 0; x.len < 300; x.len++) {
		x.active_segs = 1 + x.len % XFER_MAX_SEGS;
		x.recv_segs = 1 + x.len / 7 % XFER_MAX_SEGS;
		for (target = 0; target < 2; target++) {
			n = xfer_segs(&x, target, segs);
			from = 0;
			end = target ? x.dst : x.src;
			for (i = 0; i < n; i++) {
				assert_true(segs[i].len);
				assert_int_equal(segs[i].from, from);
				from += segs[i].len;
				assert_true(segs[i].offset >= end);
				end = segs[i].offset + segs[i].len;
			}
			assert_int_equal(from, x.len);
			assert_int_equal(xfer_extent(&x, target),
					 end - (target ? x.dst : x.src));
		}
	}
}

static bool apart(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a + a_len + 2 * PLAN_GUARD <= b || b + b_len + 2 * PLAN_GUARD <= a;
}

static bool inside(uint64_t at, uint64_t len)
{
	return at >= PLAN_GUARD && at + len + PLAN_GUARD <= PLAN_REGION;
}

/* Return: how many messages there were */
static size_t check_plan(struct plan *plan)
{
	const struct xfer *x;
	size_t total = 0;
	unsigned int n, i, j;

	while ((n = plan_batch(plan, 64, &x)) != 0) {
		total += n;
		for (i = 0; i < n; i++) {
			assert_true(inside(x[i].src, xfer_extent(&x[i], false)));
			assert_true(inside(x[i].dst, xfer_extent(&x[i], true)));
			for (j = 0; j < i; j++) {
				assert_true(apart(x[i].src, xfer_extent(&x[i], false),
						  x[j].src, xfer_extent(&x[j], false)));
				assert_true(apart(x[i].dst, xfer_extent(&x[i], true),
						  x[j].dst, xfer_extent(&x[j], true)));
			}
			if (!x[i].cross)
				continue;
			assert_true(x[i].dst / LEAF !=
				    (x[i].dst + xfer_extent(&x[i], true) - 1) / LEAF);
		}
	}
	return total;
}

static void plans_place_every_message_apart(void **state)
{
	static const uint32_t mtus[] = { 256, 1024, 4096 };
	struct side side = { .common = { .max_sge = 8, .inline_len = 128 } };
	struct plan plan;
	unsigned int i, round;

	(void)state;
	for (round = 0; round < 8; round++) {
		for (i = 0; i < 3; i++) {
			side.mtu = mtus[i];
			side.job.extent = round % 3;
			plan_make(&plan, &side, round);
			assert_int_equal(check_plan(&plan), plan.n);
			plan_free(&plan);
		}
	}
}

static void events_are_parsed(void **state)
{
	char good[] = "munmap,fork", bad[] = "munmap,frok";
	uint64_t events;

	(void)state;
	assert_null(churn_parse_events(good, &events));
	assert_int_equal(events, 1u << EV_MUNMAP | 1u << EV_FORK);
	assert_string_equal(churn_parse_events(bad, &events), "frok");
}

/*
 * What a device does to busy slots, done by the CPU: what it finds is what it
 * should be, and what it writes stays.
 */
static void visit_busy_slots(struct churner *c, struct random *r)
{
	struct pattern_diff diff;
	unsigned int slot;

	for (slot = 0; slot < c->slots; slot++) {
		if (!slot_is_busy(slot, c->epoch))
			continue;
		pattern_check(slot_start(c, slot), c->slot_size, c->keys[slot], 0,
			      &diff);
		if (diff.wrong)
			fail_msg("epoch %llu, slot %u, last event %u: %llu bytes wrong",
				 (unsigned long long)c->epoch, slot,
				 c->last[slot], (unsigned long long)diff.wrong);
		slot_refill(c, slot, pattern_key(1, random_next(r)));
	}
}

static void memory_changes_but_keeps_its_contents(void **state)
{
	struct region region;
	struct random random = { 7 };
	struct churner c = {
		.region = &region,
		.slots = 128,
		.slot_size = 64 * KiB,
		.events = (1u << EVENTS) - 1,
		.seed = 42,
	};
	time_t end = time(NULL) + 3;
	uint64_t epoch;

	(void)state;
	assert_int_equal(region_map(&region, c.slots * c.slot_size, 32 * KiB), 0);
	region.kind = MEM_ODP;
	assert_int_equal(churner_set_up(&c), RC_OK);
	assert_int_equal(churner_start(&c), RC_OK);
	for (epoch = 0; time(NULL) < end; epoch++) {
		churner_turn(&c, epoch);
		visit_busy_slots(&c, &random);
	}
	if (churner_stop(&c))
		fail_msg("%s", fail_text());
	assert_true(epoch > 3);
	assert_true(c.done[EV_MUNMAP] && c.done[EV_DONTNEED] && c.done[EV_MREMAP]);
	assert_true(c.done[EV_FORK] && c.effects[EV_FORK] == c.done[EV_FORK]);
	churner_free(&c);
	region_free(&region);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_parsed),
		cmocka_unit_test(sizes_are_printed),
		cmocka_unit_test(pattern_pieces_fit),
		cmocka_unit_test(one_wrong_byte_is_found),
		cmocka_unit_test(shifted_and_foreign_bytes_are_found),
		cmocka_unit_test(pieces_make_up_the_message),
		cmocka_unit_test(plans_place_every_message_apart),
		cmocka_unit_test(events_are_parsed),
		cmocka_unit_test(memory_changes_but_keeps_its_contents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
