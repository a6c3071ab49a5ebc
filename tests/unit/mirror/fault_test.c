// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The fault protocol: who waits for whom, how it ends, and what is done when it
 * does not go well.
 */
#include "unit.h"

static u64 stat_of(enum odp_mirror_stat stat)
{
	return odp_mirror_stat(stat);
}

static void begin_fault(struct accessor *a, unsigned long page, unsigned int n,
			bool write)
{
	accessor_init(a, mirror, FAKE_ADDR(page), n * PAGE_SIZE, write);
	assert_int_equal(accessor_fault(a), 0);
}

static void expect_end(const struct accessor *a, int err)
{
	assert_true(a->resumed);
	assert_int_equal(a->err, err);
}

static void test_join(void **state)
{
	u64 joined = stat_of(ODP_STAT_FAULT_JOINED);
	struct accessor a[3];
	int i;

	(void)state;
	fake_map(FAKE_ADDR(0), 8, true);
	begin_fault(&a[0], 0, 4, true);
	begin_fault(&a[1], 0, 1, false);
	begin_fault(&a[2], 3, 1, true);
	assert_int_equal(coop_queued(), 1);
	assert_int_equal(stat_of(ODP_STAT_FAULT_JOINED), joined + 2);
	sim_run_work();
	for (i = 0; i < 3; i++) {
		expect_end(&a[i], 0);
		assert_true(accessor_try(&a[i], NULL));
	}
	assert_false(unit_can(FAKE_ADDR(4), false));
}

/* A service does not take pages that another one has in hand. */
static void test_between(void **state)
{
	struct accessor a, b, c;

	(void)state;
	fake_map(FAKE_ADDR(0), 8, true);
	begin_fault(&a, 2, 1, true);
	begin_fault(&b, 0, 8, true);
	begin_fault(&c, 3, 1, true);
	assert_int_equal(coop_queued(), 3);
	sim_run_work();
	expect_end(&a, 0);
	expect_end(&b, 0);
	expect_end(&c, 0);
	assert_true(unit_can(FAKE_ADDR(3), true));
	assert_false(unit_can(FAKE_ADDR(4), true));
}

/* The error is for who asked; those who joined ask themselves. */
static void test_errors(void **state)
{
	struct accessor first, same, reads, later;

	(void)state;
	fake_map(FAKE_ADDR(0), 1, false);
	fake_map(FAKE_ADDR(1), 3, true);
	begin_fault(&first, 0, 4, true);
	begin_fault(&same, 0, 1, true);
	begin_fault(&reads, 0, 1, false);
	begin_fault(&later, 2, 1, true);
	assert_int_equal(coop_queued(), 1);
	sim_run_work();
	expect_end(&first, -EFAULT);
	expect_end(&same, 0);
	expect_end(&reads, 0);
	expect_end(&later, 0);
	assert_int_equal(accessor_fault(&same), 0);
	sim_run_work();
	expect_end(&same, -EFAULT);
	assert_int_equal(unit_fault(FAKE_ADDR(0), 1, false), 0);
	assert_int_equal(unit_fault(FAKE_ADDR(2), 1, true), 0);
	/* No mapping; no user address, even if its lower bits are one. */
	assert_int_equal(unit_fault(FAKE_ADDR(100), 1, false), -EFAULT);
	assert_int_equal(unit_fault(FAKE_ADDR(0) | 1UL << 60, 1, false),
			 -EFAULT);
}

static void test_exit(void **state)
{
	struct accessor a;

	(void)state;
	unit_mirrored(FAKE_ADDR(0), 4, true);
	unit_touch(FAKE_ADDR(0), true);
	fake_map(FAKE_ADDR(8), 4, true);
	begin_fault(&a, 8, 1, true);
	fake_exit();
	sim_run_work();
	expect_end(&a, -ESRCH);
	assert_false(unit_can(FAKE_ADDR(0), false));
	assert_int_equal(unit_fault(FAKE_ADDR(0), 1, false), -ESRCH);
}

static void test_close(void **state)
{
	struct accessor a, b;

	(void)state;
	fake_map(FAKE_ADDR(0), 4, true);
	begin_fault(&a, 0, 1, true);
	begin_fault(&b, 0, 1, true);
	assert_true(odp_waiter_close(&a.waiter));
	assert_false(odp_waiter_close(&a.waiter));
	assert_int_equal(accessor_fault(&a), -ECANCELED);
	/* The service goes on for the other. */
	memset(&a, 0x6b, sizeof(a));
	sim_run_work();
	expect_end(&b, 0);
	assert_false(odp_waiter_close(&b.waiter));
	odp_waiter_open(&b.waiter);
	b.addr = FAKE_ADDR(1);
	assert_int_equal(accessor_fault(&b), 0);
	sim_run_work();
	expect_end(&b, 0);
}

static void test_cancel(void **state)
{
	struct accessor a;

	(void)state;
	fake_map(FAKE_ADDR(0), 4, true);
	begin_fault(&a, 0, 1, true);
	assert_true(odp_waiter_cancel(&a.waiter));
	sim_run_work();
	assert_false(a.resumed);
	a.addr = FAKE_ADDR(1);
	assert_int_equal(accessor_fault(&a), 0);
	sim_run_work();
	expect_end(&a, 0);
}

/* Who was about to wait looks once more at why he should not. */
static void test_cancel_first(void **state)
{
	struct accessor a;

	(void)state;
	fake_map(FAKE_ADDR(0), 4, true);
	begin_fault(&a, 0, 1, true);
	sim_run_work();
	expect_end(&a, 0);
	a.addr = FAKE_ADDR(1);
	assert_false(odp_waiter_cancel(&a.waiter));
	assert_false(odp_waiter_cancel(&a.waiter));
	assert_int_equal(accessor_fault(&a), -ECANCELED);
	assert_int_equal(accessor_fault(&a), 0);
	assert_true(odp_waiter_cancel(&a.waiter));
	assert_false(odp_waiter_cancel(&a.waiter));
	odp_waiter_open(&a.waiter);
	assert_int_equal(accessor_fault(&a), 0);
	sim_run_work();
	expect_end(&a, 0);
}

/* The kernel takes the page whenever somebody looks it up. */
static void steal(void)
{
	fake_reclaim(FAKE_ADDR(0), 1);
	fake_populate(FAKE_ADDR(0), 1);
}

static void steal_twice(void)
{
	static int times;

	if (times++ < 2)
		steal();
}

/* Another look-up for each zap; when that does not help, the pages themselves. */
static void test_direct(void **state)
{
	u64 retries = stat_of(ODP_STAT_FAULT_RETRIES);
	u64 direct = stat_of(ODP_STAT_FAULT_DIRECT);
	struct accessor a, b;

	(void)state;
	fake_map(FAKE_ADDR(0), 4, true);
	fake_look_up_hook = steal_twice;
	begin_fault(&a, 0, 1, true);
	sim_run_work();
	expect_end(&a, 0);
	assert_false(a.done);
	assert_int_equal(stat_of(ODP_STAT_FAULT_RETRIES), retries + 2);
	assert_int_equal(stat_of(ODP_STAT_FAULT_DIRECT), direct);

	fake_look_up_hook = NULL;
	fake_reclaim(FAKE_ADDR(0), 1);
	fake_look_up_hook = steal;
	begin_fault(&a, 0, 4, true);
	begin_fault(&b, 3, 1, false);
	sim_run_work();
	expect_end(&a, 0);
	expect_end(&b, 0);
	assert_true(a.done);
	assert_true(b.done);
	assert_int_equal(stat_of(ODP_STAT_FAULT_DIRECT), direct + 1);
	assert_false(unit_can(FAKE_ADDR(0), false));
}

/* What is brought in is gone before it is used, again and again. */
static void test_no_progress(void **state)
{
	struct accessor a;
	int i;

	(void)state;
	fake_map(FAKE_ADDR(0), 1, true);
	begin_fault(&a, 0, 1, true);
	for (i = 0; i < 10 && !a.done; i++) {
		sim_run_work();
		expect_end(&a, 0);
		fake_reclaim(FAKE_ADDR(0), 1);
		assert_int_equal(accessor_fault(&a), 0);
	}
	sim_run_work();
	assert_in_range(i, 4, 5);
	/* Progress starts the count anew. */
	odp_waiter_progress(&a.waiter);
	a.done = false;
	assert_int_equal(accessor_fault(&a), 0);
	sim_run_work();
	assert_false(a.done);
	assert_true(unit_can(FAKE_ADDR(0), true));
}

static void end_zap(void)
{
	fake_zap_end(FAKE_ADDR(0), 1, MMU_NOTIFY_CLEAR);
}

static void test_waits_for_zap(void **state)
{
	u64 direct = stat_of(ODP_STAT_FAULT_DIRECT);
	struct accessor a;

	(void)state;
	fake_map(FAKE_ADDR(0), 600, true);
	/* It ends while the service waits for it. */
	fake_zap_start(FAKE_ADDR(0), 1, MMU_NOTIFY_CLEAR);
	coop_main_waits = end_zap;
	assert_int_equal(unit_fault(FAKE_ADDR(1), 1, true), 0);
	assert_true(unit_can(FAKE_ADDR(1), true));
	/* It does not: the pages are used directly, and not published. */
	fake_zap_start(FAKE_ADDR(0), 1, MMU_NOTIFY_CLEAR);
	coop_main_waits = NULL;
	begin_fault(&a, 2, 1, true);
	sim_run_work();
	expect_end(&a, 0);
	assert_true(a.done);
	assert_int_equal(stat_of(ODP_STAT_FAULT_DIRECT), direct + 1);
	/* Another block does not wait. */
	assert_int_equal(unit_fault(FAKE_ADDR(512), 1, true), 0);
	assert_int_equal(stat_of(ODP_STAT_FAULT_DIRECT), direct + 1);
	end_zap();
}

/* More zaps than slots, ended in another order. */
static void test_crowd(void **state)
{
	const unsigned int n = ODP_ZAP_SLOTS + 10;
	u64 direct = stat_of(ODP_STAT_FAULT_DIRECT);
	unsigned int i;

	(void)state;
	fake_map(FAKE_ADDR(0), 600, true);
	for (i = 0; i < n; i++) {
		fake_zap_start(FAKE_ADDR(i / 2), 2, MMU_NOTIFY_CLEAR);
		/* While there is a crowd no block is served. */
		assert_int_equal(unit_fault(FAKE_ADDR(599), 1, true), 0);
		assert_int_equal(unit_can(FAKE_ADDR(599), true),
				 i < ODP_ZAP_SLOTS);
		fake_reclaim(FAKE_ADDR(599), 1);
	}
	assert_int_equal(stat_of(ODP_STAT_FAULT_DIRECT), direct + 10);
	for (i = 0; i < n; i++) {
		assert_int_equal(unit_fault(FAKE_ADDR(0), 1, true), 0);
		assert_false(unit_can(FAKE_ADDR(0), true));
		fake_zap_end(FAKE_ADDR((n - 1 - i) / 2), 2, MMU_NOTIFY_CLEAR);
	}
	direct = stat_of(ODP_STAT_FAULT_DIRECT);
	assert_int_equal(unit_fault(FAKE_ADDR(0), 1, true), 0);
	assert_true(unit_can(FAKE_ADDR(0), true));
	assert_int_equal(stat_of(ODP_STAT_FAULT_DIRECT), direct);
}

/* Many services at a time; each can be joined and closed before it runs. */
static void test_many(void **state)
{
	static struct accessor a[100], b[100];
	unsigned int i;

	(void)state;
	fake_map(FAKE_ADDR(0), ARRAY_SIZE(a), true);
	for (i = 0; i < ARRAY_SIZE(a); i++) {
		begin_fault(&a[i], i, 1, true);
		begin_fault(&b[i], i, 1, true);
	}
	assert_int_equal(coop_queued(), ARRAY_SIZE(a));
	for (i = 0; i < ARRAY_SIZE(a); i += 2)
		assert_true(odp_waiter_close(&a[i].waiter));
	sim_run_work();
	for (i = 0; i < ARRAY_SIZE(a); i++) {
		assert_int_equal(a[i].resumed, i & 1);
		expect_end(&b[i], 0);
		assert_true(unit_can(FAKE_ADDR(i), true));
	}
}

/* Every allocation fails in turn. */
static void test_no_memory(void **state)
{
	unsigned int n, failures = 0;
	struct accessor a;

	(void)state;
	fake_map(FAKE_ADDR(0), 100, true);
	for (n = 1; n < 10; n++) {
		accessor_init(&a, mirror, FAKE_ADDR(n), PAGE_SIZE, true);
		sim_alloc_fail(n);
		if (accessor_fault(&a)) {
			assert_int_equal(n, 1);
			continue;
		}
		sim_run_work();
		assert_true(a.resumed);
		failures += a.err == -ENOMEM || a.done;
		assert_true(a.err == 0 || a.err == -ENOMEM);
		sim_alloc_fail(0);
		fake_unmap(FAKE_ADDR(0), 512);
		assert_int_equal(unit_leaves(), 0);
		fake_map(FAKE_ADDR(0), 100, true);
	}
	assert_int_equal(failures, 4);
}

/* A stream is given more and more ahead; out of order, what it asks for. */
static void test_stream(void **state)
{
	static const unsigned int jumps[] = { 300, 200, 100 };
	unsigned int page = 0, turn = 0, i;
	struct accessor a;

	(void)state;
	fake_map(FAKE_ADDR(0), 1024, true);
	accessor_init(&a, mirror, FAKE_ADDR(0), PAGE_SIZE, true);
	a.room = 400 * PAGE_SIZE;
	a.waiter.next = 1;
	for (i = 0; i < 5; i++) {
		a.addr = FAKE_ADDR(page);
		assert_int_equal(accessor_fault(&a), 0);
		sim_run_work();
		expect_end(&a, 0);
		odp_waiter_progress(&a.waiter);
		for (turn = 0; unit_can(FAKE_ADDR(page), true); turn++)
			page++;
		assert_int_equal(turn, 1 + (1u << i) / 2);
	}
	for (i = 0; i < ARRAY_SIZE(jumps); i++) {
		a.addr = FAKE_ADDR(jumps[i]);
		assert_int_equal(accessor_fault(&a), 0);
		sim_run_work();
		assert_true(unit_can(a.addr, true));
		assert_false(unit_can(a.addr + PAGE_SIZE, true));
	}
	/* Not beyond the block, nor the room. */
	assert_int_equal(unit_fault(FAKE_ADDR(510), 4, true), 0);
	assert_false(unit_can(FAKE_ADDR(512), true));
}

static void test_userfaultfd(void **state)
{
	struct accessor a, b;

	(void)state;
	fake_map(FAKE_ADDR(0), 8, true);
	fake_userfaultfd = true;
	begin_fault(&a, 0, 8, true);
	begin_fault(&b, 1, 1, true);
	assert_int_equal(coop_queued(), 1);
	sim_run_work();
	expect_end(&a, 0);
	expect_end(&b, 0);
	assert_true(unit_can(FAKE_ADDR(0), true));
	assert_false(unit_can(FAKE_ADDR(1), true));
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(test_##name, unit_setup, unit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(join),	   TEST(between), TEST(errors),
		TEST(exit),	   TEST(close),	  TEST(cancel),
		TEST(direct),	   TEST(no_progress), TEST(waits_for_zap),
		TEST(crowd),	   TEST(many),	  TEST(no_memory),
		TEST(stream),	   TEST(userfaultfd), TEST(cancel_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
