// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "unit.h"

struct odp_mirror *mirror;

int unit_setup(void **state)
{
	(void)state;
	coop_main_waits = NULL;
	fake_userfaultfd = false;
	fake_look_up_hook = NULL;
	fake_mm_init();
	assert_int_equal(odp_mirror_init(), 0);
	mirror = odp_mirror_attach();
	assert_false(IS_ERR(mirror));
	return 0;
}

int unit_teardown(void **state)
{
	(void)state;
	odp_mirror_detach(mirror);
	if (atomic_read(&fake_mm.mm_users))
		fake_exit();
	sim_run_work();
	assert_int_equal(unit_leaves(), 0);
	fake_check_free();
	odp_mirror_exit();
	assert_int_equal(sim_alloc_live(), 0);
	return 0;
}

int unit_fault(unsigned long addr, unsigned long npages, bool write)
{
	struct accessor a;
	int err;

	accessor_init(&a, mirror, addr, npages * PAGE_SIZE, write);
	err = accessor_fault(&a);
	if (err)
		return err;
	sim_run_work();
	assert_true(a.resumed);
	return a.err;
}

void unit_mirrored(unsigned long addr, unsigned long npages, bool write)
{
	fake_map(addr, npages, write);
	while (npages) {
		unsigned long n = min(npages, 64UL);

		n = min(n, BLOCK_PAGES - odp_page_index(addr));
		assert_int_equal(unit_fault(addr, n, write), 0);
		addr += n * PAGE_SIZE;
		npages -= n;
	}
}

bool unit_can(unsigned long addr, bool write)
{
	struct odp_chunk chunk;

	if (odp_mirror_begin(mirror, addr, 1, write, NULL, &chunk))
		return false;
	odp_chunk_end(&chunk);
	return true;
}

void unit_touch(unsigned long addr, bool write)
{
	struct accessor a;

	accessor_init(&a, mirror, addr, 1, write);
	assert_true(accessor_try(&a, NULL));
}

u64 unit_leaves(void)
{
	return odp_mirror_stat(ODP_STAT_LEAVES);
}
