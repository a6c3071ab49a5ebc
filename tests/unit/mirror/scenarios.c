// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What the explorer explores.
 */
#include "actors.h"
#include "coop.h"
#include "explore.h"

/* Accesses that a thread tries before it takes it that it never gets on. */
#define TRIES	12

struct access {
	unsigned long addr;
	bool write;
};

struct range {
	unsigned long start;
	unsigned long npages;
};

#define READ(n)		(&(struct access){ FAKE_ADDR(n), false })
#define WRITE(n)	(&(struct access){ FAKE_ADDR(n), true })
#define RANGE(n, pages)	(&(struct range){ FAKE_ADDR(n), pages })

/* Pages that the scenarios use: at the start of each block. */
#define USED		4

static void post(struct accessor *a)
{
	coop_post(&a->resumed);
}

static void access(void *arg)
{
	const struct access *access = arg;
	struct accessor a;
	int i;

	accessor_init(&a, mirror, access->addr, 8, access->write);
	a.post = post;
	for (i = 0; !accessor_try(&a, NULL); i++) {
		if (i == TRIES)
			sim_fail("an access does not get on");
		a.err = accessor_fault(&a);
		if (!a.err)
			coop_wait(&a.resumed);
		if (a.err || a.done)
			break;
	}
}

static void reclaim(void *arg)
{
	const struct range *range = arg;

	fake_reclaim(range->start, range->npages);
}

static void unmap(void *arg)
{
	const struct range *range = arg;

	fake_unmap(range->start, range->npages);
}

static void writeback(void *arg)
{
	const struct range *range = arg;

	fake_writeback(range->start, range->npages);
}

/* The first pass clears the mark of use, the second one takes the leaf. */
static void shrink(void *arg)
{
	(void)arg;
	sim_shrink(1);
	sim_shrink(1);
}

static void setup_empty(void)
{
	fake_map(FAKE_START, USED, true);
}

/* Pages that are in the mirror, too. */
static void setup_mirrored(void)
{
	struct accessor a;

	setup_empty();
	fake_populate(FAKE_START, USED);
	accessor_init(&a, mirror, FAKE_START, USED * PAGE_SIZE, true);
	if (accessor_fault(&a))
		sim_fail("no fault");
	sim_run_work();
	if (!a.resumed || a.err)
		sim_fail("no page: %d", a.err);
}

static void teardown(void)
{
	fake_check(mirror, FAKE_START, USED);
	odp_mirror_detach(mirror);
	sim_run_work();
	fake_exit();
	sim_run_work();
	if (odp_mirror_stat(ODP_STAT_LEAVES))
		sim_fail("%llu leaves are left",
			 odp_mirror_stat(ODP_STAT_LEAVES));
	if (sim_alloc_live())
		sim_fail("%ld allocations are left", sim_alloc_live());
	fake_check_free();
	odp_mirror_exit();
}

void scenario_run(const struct scenario *s)
{
	unsigned int i;

	fake_mm_init();
	if (odp_mirror_init())
		sim_fail("no mirror");
	mirror = odp_mirror_attach();
	s->setup();
	for (i = 0; i < ARRAY_SIZE(s->threads) && s->threads[i].fn; i++)
		coop_spawn(s->threads[i].name, s->threads[i].fn,
			   s->threads[i].arg);
	coop_run();
	teardown();
}

const struct scenario scenarios[] = {
	{
		.name = "fault-zap",
		.bound = 2,
		.setup = setup_mirrored,
		.threads = {
			{ "reclaim", reclaim, RANGE(0, 1) },
			{ "access", access, READ(0) },
		},
	}, {
		.name = "new-leaf-zap",
		.bound = 2,
		.setup = setup_empty,
		.threads = {
			{ "reclaim", reclaim, RANGE(0, 1) },
			{ "access", access, READ(0) },
		},
	}, {
		.name = "unmap",
		.bound = 2,
		.setup = setup_mirrored,
		.threads = {
			{ "unmap", unmap, RANGE(0, 512) },
			{ "access", access, WRITE(0) },
		},
	}, {
		.name = "writeback",
		.bound = 2,
		.setup = setup_mirrored,
		.threads = {
			{ "writeback", writeback, RANGE(0, 1) },
			{ "access", access, WRITE(0) },
			{ "reclaim", reclaim, RANGE(0, 1) },
		},
	}, {
		.name = "shrink",
		.bound = 2,
		.setup = setup_mirrored,
		.threads = {
			{ "shrink", shrink, NULL },
			{ "access", access, WRITE(0) },
		},
	},
	{ .name = NULL },
};
