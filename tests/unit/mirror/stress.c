// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The mirror under real threads, for some seconds, with the thread sanitizer:
 * who accesses, the kernel that takes pages away, protects, cleans and unmaps
 * them, the shrinker, the accessed-bit callbacks, and prefetches.
 *
 * A page says which address it belongs to, until it is freed; an access that
 * finds another address has come too late. One that comes at the same time as
 * the page is freed is a race that the sanitizer sees.
 *
 * usage: stress [SECONDS]
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "actors.h"

#define PAGES		1100UL
#define HOT		24UL

enum count {
	ACCESSES,
	FAULTS,
	PINNED,
	CLOSED,
	ZAPS,
	UNMAPS,
	SHRUNK,
	YOUNG,
	PREFETCHES,
	COUNTS,
};

static const char *const names[COUNTS] = { "accesses", "faults", "pinned",
					   "closed",   "zaps",	 "unmaps",
					   "shrunk",   "young",	 "prefetches" };
static unsigned long counts[COUNTS];
static struct odp_mirror *mirror;
static bool stop;

struct actor {
	struct accessor a;
	pthread_mutex_t mutex;
	pthread_cond_t cond;
};

static void count(enum count what, unsigned long n)
{
	__atomic_add_fetch(&counts[what], n, __ATOMIC_RELAXED);
}

static bool stopped(void)
{
	return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static unsigned long random_below(unsigned int *seed, unsigned long n)
{
	return rand_r(seed) % n;
}

/* Mostly a few pages, at the ends of blocks. */
static unsigned long random_page(unsigned int *seed)
{
	if (random_below(seed, 4) == 0)
		return random_below(seed, PAGES);
	return 512 - HOT / 2 + random_below(seed, HOT);
}

static void post(struct accessor *a)
{
	struct actor *actor = container_of(a, struct actor, a);

	pthread_mutex_lock(&actor->mutex);
	a->resumed = true;
	pthread_cond_signal(&actor->cond);
	pthread_mutex_unlock(&actor->mutex);
}

static void await(struct actor *actor)
{
	pthread_mutex_lock(&actor->mutex);
	while (!actor->a.resumed)
		pthread_cond_wait(&actor->cond, &actor->mutex);
	pthread_mutex_unlock(&actor->mutex);
}

static void access_one(struct actor *actor, unsigned int *seed)
{
	struct accessor *a = &actor->a;

	a->addr = FAKE_ADDR(random_page(seed)) + random_below(seed, PAGE_SIZE);
	a->len = 1 + random_below(seed, 4 * PAGE_SIZE);
	a->room = 1 << 16;
	a->write = random_below(seed, 2);
	a->done = false;
	while (!accessor_try(a, NULL)) {
		count(FAULTS, 1);
		if (accessor_fault(a))
			sim_fail("no fault");
		if (random_below(seed, 8) == 0 && odp_waiter_close(&a->waiter)) {
			odp_waiter_open(&a->waiter);
			count(CLOSED, 1);
			return;
		}
		await(actor);
		odp_waiter_open(&a->waiter);
		if (a->err || a->done)
			break;
	}
	count(PINNED, a->done);
	count(ACCESSES, 1);
}

static void *accessing(void *arg)
{
	unsigned int seed = (uintptr_t)arg;
	struct actor actor = { .mutex = PTHREAD_MUTEX_INITIALIZER,
			       .cond = PTHREAD_COND_INITIALIZER };

	accessor_init(&actor.a, mirror, 0, 0, false);
	actor.a.post = post;
	while (!stopped())
		access_one(&actor, &seed);
	return NULL;
}

static void map(unsigned long page, unsigned long n)
{
	sim_down_write(&fake_mm.mmap_lock, __func__);
	fake_map(FAKE_ADDR(page), n, true);
	sim_up_write(&fake_mm.mmap_lock, __func__);
}

static void zap_one(unsigned int *seed)
{
	unsigned long page = random_page(seed);
	unsigned long n = 1 + random_below(seed, min(16UL, PAGES - page));

	count(ZAPS, 1);
	switch (random_below(seed, 8)) {
	case 0:
		fake_protect(FAKE_ADDR(page), n);
		map(page, n);
		break;
	case 1:
		fake_writeback(FAKE_ADDR(page), n);
		break;
	case 2:
		page = random_below(seed, 2) * 512;
		fake_unmap(FAKE_ADDR(page), 512);
		map(page, 512);
		count(UNMAPS, 1);
		break;
	default:
		fake_reclaim(FAKE_ADDR(page), n);
	}
}

static void *zapping(void *arg)
{
	unsigned int seed = (uintptr_t)arg;

	while (!stopped()) {
		zap_one(&seed);
		usleep(random_below(&seed, 200));
	}
	return NULL;
}

static void *aging(void *arg)
{
	unsigned int seed = (uintptr_t)arg;

	while (!stopped()) {
		count(SHRUNK, sim_shrink(1));
		count(YOUNG, fake_young(FAKE_ADDR(random_page(&seed)), 8, true));
		count(YOUNG, fake_young(FAKE_ADDR(random_page(&seed)), 1, false));
		usleep(100);
	}
	return NULL;
}

static void *prefetching(void *arg)
{
	unsigned int seed = (uintptr_t)arg;

	while (!stopped()) {
		unsigned long addr = FAKE_ADDR(random_page(&seed));
		unsigned int how = random_below(&seed, 4);

		odp_prefetch(mirror, addr, 1 << 15, how);
		odp_prefetch_later(mirror, addr, 1 << 15, how, &seed);
		odp_prefetch_cancel(mirror, &seed);
		count(PREFETCHES, 1);
		usleep(1000);
	}
	return NULL;
}

static void finish(void)
{
	odp_mirror_detach(mirror);
	sim_run_work();
	fake_exit();
	sim_run_work();
	sim_rcu_barrier(SIM_RCU);
	sim_run_work();
	odp_mirror_exit();
	if (odp_mirror_stat(ODP_STAT_LEAVES) || sim_alloc_live())
		sim_fail("leaves or allocations are left");
	fake_check_free();
}

int main(int argc, char **argv)
{
	void *(*const what[])(void *arg) = { accessing, accessing, accessing,
					     accessing, zapping,   zapping,
					     zapping,	aging,	   prefetching };
	pthread_t threads[ARRAY_SIZE(what)];
	unsigned long i;

	fake_mm_init();
	if (odp_mirror_init())
		return EXIT_FAILURE;
	mirror = odp_mirror_attach();
	map(0, PAGES);
	for (i = 0; i < ARRAY_SIZE(what); i++)
		pthread_create(&threads[i], NULL, what[i], (void *)(i + 1));
	sleep(argc > 1 ? atoi(argv[1]) : 5);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(what); i++)
		pthread_join(threads[i], NULL);
	finish();
	for (i = 0; i < COUNTS; i++) {
		printf("%lu %s\n", counts[i], names[i]);
		if (!counts[i] && i != PINNED)
			return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
