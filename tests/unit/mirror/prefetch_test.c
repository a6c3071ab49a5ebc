// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Prefetches, in the caller's thread and later.
 */
#include "unit.h"

static int prefetch(unsigned long page, unsigned long n, unsigned int how)
{
	return odp_prefetch(mirror, FAKE_ADDR(page), n * PAGE_SIZE, how);
}

static void expect(unsigned long page, unsigned long n, bool write, bool there)
{
	for (; n; n--, page++)
		assert_int_equal(unit_can(FAKE_ADDR(page), write), there);
}

static void test_range(void **state)
{
	(void)state;
	fake_map(FAKE_ADDR(0), 1200, true);
	assert_int_equal(prefetch(500, 600, 0), 0);
	expect(499, 1, false, false);
	expect(500, 600, false, true);
	expect(500, 600, true, false);
	expect(1100, 1, false, false);
	assert_int_equal(prefetch(600, 10, ODP_PREFETCH_WRITE), 0);
	expect(600, 10, true, true);
	expect(610, 1, true, false);
	/* Not of whole pages; nothing. */
	assert_int_equal(odp_prefetch(mirror, FAKE_ADDR(0) + 4095, 2, 0), 0);
	expect(0, 2, false, true);
	expect(2, 1, false, false);
	assert_int_equal(prefetch(4, 0, 0), 0);
	expect(4, 1, false, false);
}

static void test_holes(void **state)
{
	(void)state;
	fake_map(FAKE_ADDR(0), 10, true);
	fake_map(FAKE_ADDR(10), 10, false);
	fake_map(FAKE_ADDR(30), 10, true);
	assert_int_equal(prefetch(0, 40, 0), -EFAULT);
	expect(0, 20, false, true);
	expect(30, 10, false, false);
	assert_int_equal(prefetch(0, 20, ODP_PREFETCH_WRITE), -EFAULT);
	expect(0, 10, true, true);
	assert_int_equal(odp_prefetch(mirror, 1UL << 50, 1, 0), -EFAULT);
}

static void test_no_fault(void **state)
{
	(void)state;
	fake_map(FAKE_ADDR(0), 1000, true);
	fake_populate(FAKE_ADDR(5), 10);
	fake_populate(FAKE_ADDR(20), 5);
	assert_int_equal(prefetch(0, 1500, ODP_PREFETCH_NO_FAULT), 0);
	expect(0, 5, false, false);
	expect(5, 10, false, true);
	expect(15, 5, false, false);
	expect(20, 5, false, true);
	expect(25, 1, false, false);
	assert_null(fake_page(FAKE_ADDR(0)));
}

/* A page that somebody else has in hand is waited for. */
static void test_in_hand(void **state)
{
	struct accessor a;

	(void)state;
	fake_map(FAKE_ADDR(0), 10, true);
	accessor_init(&a, mirror, FAKE_ADDR(3), PAGE_SIZE, true);
	assert_int_equal(accessor_fault(&a), 0);
	coop_main_waits = sim_run_work;
	assert_int_equal(prefetch(0, 10, 0), 0);
	assert_true(a.resumed);
	expect(0, 10, false, true);
}

static int owner, other;

static void later(unsigned long page, unsigned long n, const void *who)
{
	assert_int_equal(odp_prefetch_later(mirror, FAKE_ADDR(page),
					    n * PAGE_SIZE, 0, who),
			 0);
}

static void test_later(void **state)
{
	(void)state;
	fake_map(FAKE_ADDR(0), 2000, true);
	later(500, 600, &owner);
	later(1500, 10, &other);
	later(3000, 10, &owner);
	later(0, 10, &owner);
	expect(500, 1, false, false);
	sim_run_work();
	expect(500, 600, false, true);
	expect(1500, 10, false, true);
	expect(0, 10, false, true);
}

/* A few are worked on at a time, and a great many remembered. */
static void test_many(void **state)
{
	unsigned int i;

	(void)state;
	fake_map(FAKE_ADDR(0), 2000, true);
	for (i = 0; i < 2000; i++)
		later(i, 1, &owner);
	assert_int_equal(coop_queued(), 8);
	sim_run_work();
	expect(0, 1024, false, true);
	expect(1024, 100, false, false);
}

static void test_cancel(void **state)
{
	(void)state;
	fake_map(FAKE_ADDR(0), 2000, true);
	later(0, 10, &owner);
	later(100, 10, &other);
	later(200, 10, &owner);
	odp_prefetch_cancel(mirror, &owner);
	later(300, 10, &owner);
	sim_run_work();
	expect(0, 1, false, false);
	expect(100, 10, false, true);
	expect(200, 1, false, false);
	expect(300, 10, false, true);
}

/* It makes no effort against a zap, and does not fail because of it. */
static void test_zapped(void **state)
{
	(void)state;
	fake_map(FAKE_ADDR(0), 10, true);
	fake_zap_start(FAKE_ADDR(0), 10, MMU_NOTIFY_CLEAR);
	assert_int_equal(prefetch(0, 10, 0), 0);
	expect(0, 10, false, false);
	fake_zap_end(FAKE_ADDR(0), 10, MMU_NOTIFY_CLEAR);
}

static void test_exit(void **state)
{
	(void)state;
	fake_map(FAKE_ADDR(0), 10, true);
	later(0, 10, &owner);
	fake_exit();
	sim_run_work();
	assert_int_equal(prefetch(0, 10, 0), -ESRCH);
}

static void test_no_memory(void **state)
{
	unsigned int n;

	(void)state;
	fake_map(FAKE_ADDR(0), 10, true);
	for (n = 1; n < 6; n++) {
		sim_alloc_fail(n);
		assert_int_equal(prefetch(0, 10, 0), n < 5 ? -ENOMEM : 0);
		sim_alloc_fail(0);
		fake_reclaim(FAKE_ADDR(0), 10);
		fake_unmap(FAKE_ADDR(0), 512);
		fake_map(FAKE_ADDR(0), 10, true);
	}
	sim_alloc_fail(1);
	assert_int_equal(odp_prefetch_later(mirror, FAKE_ADDR(0), 1, 0, &owner),
			 -ENOMEM);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(test_##name, unit_setup, unit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(range),  TEST(holes),  TEST(no_fault),
		TEST(in_hand), TEST(later), TEST(many), TEST(cancel),
		TEST(zapped), TEST(exit),   TEST(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
