// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "coop.h"
#include "mirror/leaf.h"
#include "world.h"

/* Accesses that a thread tries before it takes it that it never gets on. */
#define TRIES	12

struct odp_mirror *mirror;
struct accessor shared;

static bool attached, alive;
static unsigned int slots;	/* zaps that keep one */

static void post(struct accessor *a)
{
	coop_post(&a->resumed);
}

static void run(struct accessor *a)
{
	int i;

	for (i = 0; !accessor_try(a, NULL); i++) {
		if (i == TRIES)
			sim_fail("an access does not get on");
		a->err = accessor_fault(a);
		if (!a->err)
			coop_wait(&a->resumed);
		if (a->err || a->done || a->closed)
			break;
	}
}

void world_access(void *arg)
{
	struct accessor *a = sim_alloc(sizeof(*a), true, __func__);
	const struct access *access = arg;

	accessor_init(a, mirror, access->addr, 8, access->write);
	a->post = post;
	run(a);
	sim_free(a);
}

void world_shared_access(void *arg)
{
	const struct access *access = arg;

	shared.addr = access->addr;
	shared.write = access->write;
	run(&shared);
}

void world_close(void *arg)
{
	(void)arg;
	if (!odp_waiter_close(&shared.waiter))
		return;
	shared.closed = true;
	coop_post(&shared.resumed);
}

void world_reclaim(void *arg)
{
	const struct range *range = arg;

	fake_reclaim(range->start, range->npages);
}

void world_unmap(void *arg)
{
	const struct range *range = arg;

	fake_unmap(range->start, range->npages);
}

void world_writeback(void *arg)
{
	const struct range *range = arg;

	fake_writeback(range->start, range->npages);
}

void world_protect(void *arg)
{
	const struct range *range = arg;

	fake_protect(range->start, range->npages);
}

void world_exit(void *arg)
{
	(void)arg;
	alive = false;
	fake_exit();
}

/* The first visit comes too early, the second one, a second later, takes the leaf. */
void world_shrink(void *arg)
{
	(void)arg;
	sim_shrink(1);
	sim_shrink(1);
}

void world_detach(void *arg)
{
	(void)arg;
	attached = false;
	odp_mirror_detach(mirror);
}

void world_prefetch(void *arg)
{
	const struct range *range = arg;

	odp_prefetch(mirror, range->start, range->npages * PAGE_SIZE,
		     ODP_PREFETCH_WRITE);
}

void world_prefetch_later(void *arg)
{
	const struct range *range = arg;

	odp_prefetch_later(mirror, range->start, range->npages * PAGE_SIZE, 0,
			   &shared);
}

void world_prefetch_cancel(void *arg)
{
	(void)arg;
	odp_prefetch_cancel(mirror, &shared);
}

static unsigned long slot_addr(unsigned int slot)
{
	return FAKE_START + FAKE_BLOCK + slot * PAGE_SIZE;
}

static void slot_end(void)
{
	fake_zap_end(slot_addr(--slots), 1, MMU_NOTIFY_CLEAR);
}

void world_next_slot(void *arg)
{
	(void)arg;
	slot_end();
	fake_reclaim(FAKE_START, 1);
}

void setup_empty(void)
{
	fake_map(FAKE_START, USED, true);
	fake_map(READ_ONLY, 1, false);
}

void setup_mirrored(void)
{
	setup_empty();
	fake_populate(FAKE_START, USED);
	shared.len = USED * PAGE_SIZE;
	shared.write = true;
	if (accessor_fault(&shared))
		sim_fail("no fault");
	sim_run_work();
	if (!shared.resumed || shared.err)
		sim_fail("no page: %d", shared.err);
}

void setup_huge(void)
{
	fake_map(FAKE_START, 512, true);
	fake_populate_huge(FAKE_START);
}

void setup_faulting_new(void)
{
	setup_empty();
	shared.write = true;
	if (accessor_fault(&shared))
		sim_fail("no fault");
}

void setup_faulting(void)
{
	setup_mirrored();
	fake_reclaim(FAKE_START, 1);
	if (accessor_fault(&shared))
		sim_fail("no fault");
}

void setup_holding(void)
{
	setup_empty();
	fake_populate(FAKE_START, USED);
	/* As if it had waited in vain all that often */
	shared.waiter.tries = 100;
	if (accessor_fault(&shared))
		sim_fail("no fault");
}

void setup_nothing(void)
{
	if (accessor_fault(&shared))
		sim_fail("no fault");
}

void setup_crowd(void)
{
	setup_empty();
	while (slots < ODP_ZAP_SLOTS)
		fake_zap_start(slot_addr(slots++), 1, MMU_NOTIFY_CLEAR);
}

static void setup(const struct scenario *s)
{
	unsigned int i;

	fake_mm_init();
	if (odp_mirror_init())
		sim_fail("no mirror");
	mirror = odp_mirror_attach();
	attached = true;
	alive = true;
	slots = 0;
	accessor_init(&shared, mirror, FAKE_START, 8, false);
	s->setup();
	shared.post = post;
	for (i = 0; i < ARRAY_SIZE(s->threads) && s->threads[i].fn; i++)
		coop_spawn(s->threads[i].name, s->threads[i].fn,
			   s->threads[i].arg);
}

static void teardown(const struct scenario *s)
{
	if (s->check)
		s->check();
	while (slots)
		slot_end();
	if (attached) {
		fake_check(mirror, FAKE_START, USED);
		odp_mirror_detach(mirror);
	}
	if (alive)
		fake_exit();
	sim_run_work();
	if (odp_mirror_stat(ODP_STAT_LEAVES))
		sim_fail("%llu leaves are left",
			 odp_mirror_stat(ODP_STAT_LEAVES));
	fake_check_free();
	odp_mirror_exit();
	if (sim_alloc_live())
		sim_fail("%ld allocations are left", sim_alloc_live());
}

void scenario_run(const struct scenario *s)
{
	setup(s);
	coop_run();
	teardown(s);
}
