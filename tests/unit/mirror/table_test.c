// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The table: what is published is found, at every offset, with the rights it
 * has and no others, until it is zapped.
 */
#include "unit.h"

/* The chunk that an access gets; its length is 0 if there is none. */
static struct odp_chunk chunk_at(unsigned long addr, size_t len, bool write)
{
	struct odp_chunk chunk = { .len = 0 };

	if (!odp_mirror_begin(mirror, addr, len, write, NULL, &chunk)) {
		fake_touch(&chunk, addr, write);
		odp_chunk_end(&chunk);
	}
	return chunk;
}

static void *memory_at(unsigned long addr)
{
	return (char *)page_address(fake_page(addr)) + offset_in_page(addr);
}

static void test_offsets(void **state)
{
	static const size_t lengths[] = { 1, 2, 8, 4095, 4096, 4097, 1 << 20 };
	static const unsigned long offsets[] = { 0, 1, 7, 8, 2048, 4088, 4095 };
	unsigned long page, i, j;

	(void)state;
	unit_mirrored(FAKE_ADDR(510), 4, true);
	for (page = 510; page < 514; page++)
		for (i = 0; i < ARRAY_SIZE(offsets); i++)
			for (j = 0; j < ARRAY_SIZE(lengths); j++) {
				unsigned long addr = FAKE_ADDR(page) + offsets[i];
				struct odp_chunk chunk =
					chunk_at(addr, lengths[j], j & 1);

				assert_ptr_equal(chunk.addr, memory_at(addr));
				assert_int_equal(chunk.len,
						 min(lengths[j],
						     PAGE_SIZE - offsets[i]));
			}
}

static void test_borders(void **state)
{
	(void)state;
	unit_mirrored(FAKE_ADDR(64), 448, true);
	assert_int_equal(chunk_at(FAKE_ADDR(64) - 1, 1, false).len, 0);
	assert_int_equal(chunk_at(FAKE_ADDR(64), 1, false).len, 1);
	assert_int_equal(chunk_at(FAKE_ADDR(512) - 1, 2, false).len, 1);
	assert_int_equal(chunk_at(FAKE_ADDR(512), 1, false).len, 0);
	assert_int_equal(unit_leaves(), 1);
	/* The same pages of other blocks. */
	assert_false(unit_can(FAKE_ADDR(512 + 64), false));
	assert_false(unit_can(FAKE_ADDR(64) + (1UL << 40), false));
	assert_false(unit_can(ULONG_MAX, false));
	assert_false(unit_can(0, false));
}

static void test_rights(void **state)
{
	(void)state;
	fake_map(FAKE_ADDR(0), 1, false);
	assert_int_equal(unit_fault(FAKE_ADDR(0), 1, false), 0);
	assert_true(unit_can(FAKE_ADDR(0), false));
	assert_false(unit_can(FAKE_ADDR(0), true));
	assert_int_equal(unit_fault(FAKE_ADDR(0), 1, true), -EFAULT);
	/* That the process may write is no right until it is asked for. */
	fake_map(FAKE_ADDR(1), 1, true);
	assert_int_equal(unit_fault(FAKE_ADDR(1), 1, false), 0);
	assert_false(unit_can(FAKE_ADDR(1), true));
	assert_int_equal(unit_fault(FAKE_ADDR(1), 1, true), 0);
	assert_true(unit_can(FAKE_ADDR(1), true));
	/* To read it again takes nothing away; a zap does. */
	assert_int_equal(unit_fault(FAKE_ADDR(1), 1, false), 0);
	assert_true(unit_can(FAKE_ADDR(1), true));
	fake_protect(FAKE_ADDR(1), 1);
	assert_int_equal(unit_fault(FAKE_ADDR(1), 1, false), 0);
	assert_true(unit_can(FAKE_ADDR(1), false));
	assert_false(unit_can(FAKE_ADDR(1), true));
}

static void test_dirty(void **state)
{
	struct page *page;
	int write;

	(void)state;
	for (write = 0; write < 2; write++) {
		unit_mirrored(FAKE_ADDR(0), 2, true);
		page = fake_page(FAKE_ADDR(0));
		page->dirty = false;
		fake_page(FAKE_ADDR(1))->dirty = false;
		unit_touch(FAKE_ADDR(0), write);
		/* Not by a zap of other pages. */
		fake_zap_start(FAKE_ADDR(1), 511, MMU_NOTIFY_CLEAR);
		assert_false(page->dirty);
		assert_false(fake_page(FAKE_ADDR(1))->dirty);
		fake_zap_end(FAKE_ADDR(1), 511, MMU_NOTIFY_CLEAR);
		fake_zap_start(FAKE_ADDR(0), 1, MMU_NOTIFY_CLEAR);
		assert_int_equal(page->dirty, write);
		fake_clear(FAKE_ADDR(0), 1);
		fake_zap_end(FAKE_ADDR(0), 1, MMU_NOTIFY_CLEAR);
	}
}

/* A page that is written after its writeback is dirty again. */
static void test_writeback(void **state)
{
	struct page *page;
	int i;

	(void)state;
	fake_map(FAKE_ADDR(3), 1, true);
	for (i = 0; i < 3; i++) {
		assert_int_equal(unit_fault(FAKE_ADDR(3), 1, true), 0);
		unit_touch(FAKE_ADDR(3), true);
		fake_writeback(FAKE_ADDR(3), 1);
		page = fake_page(FAKE_ADDR(3));
		assert_false(page->dirty);
		assert_false(unit_can(FAKE_ADDR(3), true));
	}
}

static void test_young(void **state)
{
	(void)state;
	unit_mirrored(FAKE_ADDR(0), 1024, true);
	assert_false(fake_young(FAKE_ADDR(0), 1024, true));
	unit_touch(FAKE_ADDR(63), false);
	unit_touch(FAKE_ADDR(512), true);
	assert_true(fake_young(FAKE_ADDR(63), 1, false));
	assert_false(fake_young(FAKE_ADDR(62), 1, true));
	assert_false(fake_young(FAKE_ADDR(64), 448, true));
	assert_true(fake_young(FAKE_ADDR(0), 64, true));
	assert_false(fake_young(FAKE_ADDR(0), 512, true));
	/* Over the border of two blocks, and of those that there are. */
	assert_true(fake_young(FAKE_ADDR(500), 1500, true));
	assert_false(fake_young(FAKE_ADDR(0), 2000, true));
	/* Told at the zap; a page that comes back is not young. */
	unit_touch(FAKE_ADDR(63), false);
	fake_zap_start(FAKE_ADDR(62), 2, MMU_NOTIFY_CLEAR);
	assert_false(fake_page(FAKE_ADDR(62))->referenced);
	assert_true(fake_page(FAKE_ADDR(63))->referenced);
	fake_clear(FAKE_ADDR(62), 2);
	fake_zap_end(FAKE_ADDR(62), 2, MMU_NOTIFY_CLEAR);
	unit_mirrored(FAKE_ADDR(63), 1, false);
	assert_false(fake_young(FAKE_ADDR(63), 1, false));
}

static void test_huge(void **state)
{
	unsigned long last = FAKE_ADDR(1024) - 1;

	(void)state;
	fake_map(FAKE_ADDR(512), 512, true);
	fake_populate_huge(FAKE_ADDR(512));
	assert_int_equal(unit_fault(FAKE_ADDR(700), 1, true), 0);
	assert_int_equal(chunk_at(FAKE_ADDR(512), 1 << 20, true).len, SZ_16K);
	assert_int_equal(chunk_at(FAKE_ADDR(515) + 5, 9000, true).len, 9000);
	assert_int_equal(chunk_at(last, 100, true).len, 1);
	assert_ptr_equal(chunk_at(last, 1, false).addr, memory_at(last));
	assert_false(unit_can(last + 1, false));
	assert_false(unit_can(FAKE_ADDR(511), false));
	/* As young as its only bit. */
	assert_true(fake_young(FAKE_ADDR(600), 1, true));
	assert_false(fake_young(FAKE_ADDR(512), 512, true));
	unit_touch(FAKE_ADDR(1000), true);
	assert_true(fake_young(FAKE_ADDR(513), 1, false));
	/* It goes as a whole, and so do its dirty and accessed bits. */
	fake_page(FAKE_ADDR(512))->dirty = false;
	fake_zap_start(FAKE_ADDR(900), 1, MMU_NOTIFY_CLEAR);
	assert_true(fake_page(FAKE_ADDR(512))->dirty);
	assert_true(fake_page(FAKE_ADDR(512))->referenced);
	assert_false(unit_can(FAKE_ADDR(512), false));
	fake_clear(FAKE_ADDR(900), 1);
	fake_zap_end(FAKE_ADDR(900), 1, MMU_NOTIFY_CLEAR);
	/* What is left of it is small pages. */
	assert_int_equal(unit_fault(FAKE_ADDR(512), 1, true), 0);
	assert_int_equal(chunk_at(FAKE_ADDR(512), 1 << 20, true).len, PAGE_SIZE);
	assert_false(unit_can(FAKE_ADDR(513), false));
}

/* A huge page takes the place of small ones; both can be there. */
static void test_huge_after_small(void **state)
{
	(void)state;
	unit_mirrored(FAKE_ADDR(0), 512, true);
	unit_touch(FAKE_ADDR(5), true);
	fake_reclaim(FAKE_ADDR(0), 512);
	fake_populate_huge(FAKE_ADDR(0));
	assert_int_equal(unit_fault(FAKE_ADDR(5), 1, false), 0);
	assert_int_equal(chunk_at(FAKE_ADDR(5), 8192, false).len, 8192);
	assert_int_equal(chunk_at(FAKE_ADDR(5), 8192, true).len, 0);
	assert_int_equal(unit_fault(FAKE_ADDR(6), 1, true), 0);
	assert_int_equal(chunk_at(FAKE_ADDR(5), 8192, true).len, 8192);
	fake_check(mirror, FAKE_ADDR(0), 512);
}

/* Zaps from and to pages, rows and blocks. */
static void test_zap_ranges(void **state)
{
	static const unsigned int at[] = { 0,	1,   63,  64,  65,  511,
					   512, 513, 575, 576, 1023, 1024 };
	unsigned int i, j, page;

	(void)state;
	fake_map(FAKE_ADDR(0), 1024, true);
	fake_populate(FAKE_ADDR(0), 300);
	for (i = 0; i < ARRAY_SIZE(at); i++)
		for (j = i + 1; j < ARRAY_SIZE(at); j++) {
			unit_mirrored(FAKE_ADDR(0), 200, true);
			unit_mirrored(FAKE_ADDR(500), 100, true);
			unit_mirrored(FAKE_ADDR(1020), 4, true);
			fake_reclaim(FAKE_ADDR(at[i]), at[j] - at[i]);
			for (page = 0; page < 1024; page++) {
				bool in = page < 200 || page >= 1020 ||
					  (page >= 500 && page < 600);

				in = in && (page < at[i] || page >= at[j]);
				assert_int_equal(unit_can(FAKE_ADDR(page), true),
						 in);
			}
			fake_check(mirror, FAKE_ADDR(0), 1024);
		}
}

static void test_unmap_kills(void **state)
{
	(void)state;
	unit_mirrored(FAKE_ADDR(0), 1024, true);
	assert_int_equal(unit_leaves(), 2);
	/* Reclaim does not. */
	fake_reclaim(FAKE_ADDR(0), 512);
	assert_int_equal(unit_leaves(), 2);
	fake_unmap(FAKE_ADDR(0), 512);
	assert_int_equal(unit_leaves(), 1);
	/* In parts, it goes with the last one. */
	fake_unmap(FAKE_ADDR(512), 100);
	fake_unmap(FAKE_ADDR(700), 324);
	assert_int_equal(unit_leaves(), 1);
	assert_true(unit_can(FAKE_ADDR(650), true));
	fake_unmap(FAKE_ADDR(612), 88);
	assert_int_equal(unit_leaves(), 0);
	/* Where there is no memory, none is left. */
	assert_int_equal(unit_fault(FAKE_ADDR(0), 1, false), -EFAULT);
	assert_int_equal(unit_leaves(), 0);
}

static void test_missing(void **state)
{
	(void)state;
	assert_int_equal(odp_leaf_missing(mirror, FAKE_ADDR(0), 512, false), 0);
	unit_mirrored(FAKE_ADDR(3), 100, false);
	assert_int_equal(odp_leaf_missing(mirror, FAKE_ADDR(0), 512, false), 0);
	assert_int_equal(odp_leaf_missing(mirror, FAKE_ADDR(3), 7, false), 7);
	assert_int_equal(odp_leaf_missing(mirror, FAKE_ADDR(3), 500, false), 100);
	assert_int_equal(odp_leaf_missing(mirror, FAKE_ADDR(3), 500, true), 0);
}

/* Leaves are made once, and anew when they were killed. */
static void test_leaves(void **state)
{
	struct odp_leaf *leaf = odp_leaf_get(mirror, FAKE_ADDR(0));
	struct odp_leaf *again = odp_leaf_get(mirror, FAKE_ADDR(512) - 1);
	struct odp_leaf *other = odp_leaf_get(mirror, FAKE_ADDR(512));
	u64 seq;

	(void)state;
	assert_ptr_equal(leaf, again);
	assert_ptr_not_equal(leaf, other);
	assert_int_equal(odp_leaf_snapshot(leaf, &seq), 0);
	fake_unmap(FAKE_ADDR(0), 512);
	assert_int_equal(odp_leaf_snapshot(leaf, &seq), -EAGAIN);
	odp_leaf_put(again);
	again = odp_leaf_get(mirror, FAKE_ADDR(0));
	assert_ptr_not_equal(leaf, again);
	assert_int_equal(unit_leaves(), 3);
	odp_leaf_put(leaf);
	assert_int_equal(unit_leaves(), 2);
	odp_leaf_put(again);
	odp_leaf_put(other);
}

/* What the OOM reaper has been at is not served, and the kernel not asked for memory. */
static void test_reaped(void **state)
{
	(void)state;
	fake_map(FAKE_ADDR(0), 4, true);
	fake_mm.unstable = true;
	assert_int_equal(unit_fault(FAKE_ADDR(0), 1, true), -ESRCH);
	assert_int_equal(unit_leaves(), 0);
	fake_mm.unstable = false;
	assert_int_equal(unit_fault(FAKE_ADDR(0), 1, true), 0);
}

/* An idle leaf goes; one that was accessed since the last time does not. */
static void test_shrink(void **state)
{
	(void)state;
	unit_mirrored(FAKE_ADDR(0), 4, true);
	unit_mirrored(FAKE_ADDR(512), 4, true);
	/* Each is met twice in a visit. */
	assert_int_equal(sim_shrink(4), 0);
	unit_touch(FAKE_ADDR(0), true);
	assert_int_equal(sim_shrink(4), 1);
	assert_int_equal(unit_leaves(), 1);
	assert_true(unit_can(FAKE_ADDR(0), true));
	assert_false(unit_can(FAKE_ADDR(512), true));
	assert_int_equal(sim_shrink(1), 0);
	assert_int_equal(sim_shrink(1), 1);
	assert_int_equal(sim_shrink(1), 0);
	assert_int_equal(unit_leaves(), 0);
	assert_int_equal(unit_fault(FAKE_ADDR(0), 4, true), 0);
	assert_true(unit_can(FAKE_ADDR(3), true));
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(test_##name, unit_setup, unit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(offsets),	 TEST(borders),	   TEST(rights),
		TEST(dirty),	 TEST(writeback),  TEST(young),
		TEST(huge),	 TEST(huge_after_small), TEST(zap_ranges),
		TEST(unmap_kills), TEST(missing),  TEST(leaves),
		TEST(reaped),	 TEST(shrink),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
