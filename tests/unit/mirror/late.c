// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Who comes late to a service: when its look-up is over, and the process has
 * changed its memory since. What the service has found is not for them.
 */
#include "coop.h"
#include "world.h"

struct late {
	struct odp_waiter waiter;
	bool resumed;
};

static void late_resume(struct odp_waiter *waiter)
{
	struct late *late = container_of(waiter, struct late, waiter);
	struct odp_chunk chunk;

	if (!waiter->err && waiter->pins &&
	    !odp_mirror_begin(mirror, FAKE_ADDR(0), 1, false, waiter->pins,
			      &chunk)) {
		if (chunk.addr != page_address(fake_page(FAKE_ADDR(0))))
			sim_fail("an operation has a page from before it began");
		odp_chunk_end(&chunk);
	}
	coop_post(&late->resumed);
}

/* An operation on page 0, as far as its first wait. Return: how that ended. */
static int late_operation(void)
{
	struct odp_miss miss = {
		.mirror = odp_mirror_get(mirror),
		.addr = FAKE_ADDR(0),
		.len = 1,
		.room = 1,
	};
	struct late late = { .resumed = false };

	odp_waiter_init(&late.waiter, late_resume);
	if (odp_fault(&miss, &late.waiter, GFP_KERNEL)) {
		odp_miss_drop(&miss);
		return 0;
	}
	coop_wait(&late.resumed);
	return late.waiter.err;
}

void world_remap(void *unused)
{
	(void)unused;
	fake_unmap(FAKE_ADDR(0), 1);
	fake_map(FAKE_ADDR(0), 1, true);
	fake_populate(FAKE_ADDR(0), 1);
	late_operation();
}

void world_map(void *unused)
{
	(void)unused;
	fake_map(FAKE_ADDR(0), 1, true);
	fake_populate(FAKE_ADDR(0), 1);
	if (late_operation())
		sim_fail("an operation fails for what was missing before it began");
}
