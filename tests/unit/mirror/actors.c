// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "actors.h"

static void resume(struct odp_waiter *waiter)
{
	struct accessor *a = container_of(waiter, struct accessor, waiter);

	if (a->resumed)
		sim_fail("a waiter is resumed twice");
	if (a->closed)
		sim_fail("a waiter is resumed that was closed");
	if (!waiter->err && waiter->pins)
		a->done = accessor_try(a, waiter->pins);
	a->err = waiter->err;
	if (a->post)
		a->post(a);
	else
		a->resumed = true;
}

void accessor_init(struct accessor *a, struct odp_mirror *mirror,
		   unsigned long addr, size_t len, bool write)
{
	memset(a, 0, sizeof(*a));
	odp_waiter_init(&a->waiter, resume);
	a->mirror = mirror;
	a->addr = addr;
	a->len = len;
	a->write = write;
}

bool accessor_try(struct accessor *a, const struct odp_pins *pins)
{
	struct odp_chunk chunk;

	if (odp_mirror_begin(a->mirror, a->addr, a->len, a->write, pins,
			     &chunk))
		return false;
	fake_touch(&chunk, a->addr, a->write);
	odp_chunk_end(&chunk);
	odp_waiter_progress(&a->waiter);
	return true;
}

int accessor_fault(struct accessor *a)
{
	struct odp_miss miss = {
		.mirror = odp_mirror_get(a->mirror),
		.addr = a->addr,
		.len = a->len,
		.room = max(a->len, a->room),
		.write = a->write,
	};
	int err;

	a->resumed = false;
	a->faults++;
	err = odp_fault(&miss, &a->waiter, GFP_KERNEL);
	if (err)
		odp_miss_drop(&miss);
	return err;
}
