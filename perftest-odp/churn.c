/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The thread that changes memory: start, turn, stop */
#include "churn.h"
#include "fail.h"
#include "size.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

/* Between two events; leaves the lock, and some of the CPU, to the traffic */
#define PAUSE_NS 200000

/*
 * Neighbours take turns, as single slots, as blocks of 4 and as blocks of 16,
 * so that busy and idle memory share pages' tables in different ways.
 */
bool slot_is_busy(unsigned int slot, uint64_t epoch)
{
	unsigned int shift = 2 * (epoch / 2 % 3);

	return ((slot >> shift) ^ epoch) & 1;
}

char *slot_start(const struct churner *c, unsigned int slot)
{
	return c->region->base + slot * c->slot_size;
}

void slot_refill(struct churner *c, unsigned int slot, uint64_t key)
{
	c->keys[slot] = key;
	pattern_fill(slot_start(c, slot), c->slot_size, key, 0);
}

unsigned int churn_idle_slot(struct churner *c)
{
	unsigned int slot;

	do
		slot = random_below(&c->random, c->slots);
	while (slot_is_busy(slot, c->epoch));
	return slot;
}

void churn_note(struct churner *c, enum churn_event event, char *from, char *to)
{
	unsigned int slot;

	for (slot = (from - c->region->base) / c->slot_size;
	     slot < c->slots && slot_start(c, slot) < to; slot++)
		c->last[slot] = event;
}

/* Called and returns with the lock held */
static int one_event(struct churner *c)
{
	unsigned int event;
	int rc;

	do
		event = random_below(&c->random, EVENTS);
	while (!(c->events & (1u << event)) ||
	       random_below(&c->random, event_types[event].one_in));
	rc = event_types[event].run(c);
	if (rc == EVENT_NOTHING)
		return RC_OK;
	c->done[event]++;
	return rc;
}

static void *run(void *arg)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	struct churner *c = arg;

	pthread_mutex_lock(&c->lock);
	while (!c->stop && !c->rc) {
		c->rc = one_event(c);
		pthread_mutex_unlock(&c->lock);
		nanosleep(&pause, NULL);
		pthread_mutex_lock(&c->lock);
	}
	if (!c->rc)
		c->rc = fork_reap(c);
	snprintf(c->text, sizeof(c->text), "%s", fail_text());
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* Leave out what cannot be done here, and say so */
static int choose_events(struct churner *c)
{
	static atomic_flag said[EVENTS]; /* once for all mixes will do */
	uint64_t asked = c->events;
	const char *why;
	int i;

	for (i = 0; i < EVENTS; i++) {
		if (!(asked & (1u << i)))
			continue;
		why = event_types[i].missing ? event_types[i].missing() : NULL;
		if (!why)
			continue;
		if (!atomic_flag_test_and_set(&said[i]))
			fprintf(stderr, "odp_perf: no %s events: %s\n",
				event_types[i].name, why);
		c->events &= ~(1u << i);
	}
	if (asked && !c->events)
		return fail(RC_SKIP, "none of these events can be had here");
	for (i = 0; i < EVENTS; i++)
		if (c->region->kind == MEM_PINNED && !event_types[i].pinned_too)
			c->events &= ~(1u << i);
	return RC_OK;
}

static int allocate(struct churner *c)
{
	c->keys = calloc(c->slots, sizeof(*c->keys));
	c->last = malloc(c->slots);
	c->scratch = mmap(NULL, c->slot_size, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!c->keys || !c->last || c->scratch == MAP_FAILED)
		return fail_errno(RC_WRONG, "memory for %u slots", c->slots);
	memset(c->last, EVENTS, c->slots);
	return RC_OK;
}

void churn_advise(const struct churner *c, char *at, size_t size)
{
	if (c->events & (1u << EV_THP))
		madvise(at, size, MADV_HUGEPAGE);
	if (c->events & (1u << EV_KSM))
		madvise(at, size, MADV_MERGEABLE);
}

int churner_set_up(struct churner *c)
{
	unsigned int slot;
	int rc;

	rc = choose_events(c);
	if (!rc)
		rc = allocate(c);
	if (rc)
		return rc;
	churn_advise(c, c->region->base, c->region->size);
	for (slot = 0; slot < c->slots; slot++)
		slot_refill(c, slot, pattern_key(c->seed, slot));
	c->random.state = pattern_mix(c->seed);
	pthread_mutex_init(&c->lock, NULL);
	return RC_OK;
}

int churner_start(struct churner *c)
{
	if (!c->events)
		return RC_OK;
	if (pthread_create(&c->thread, NULL, run, c))
		return fail_errno(RC_WRONG, "pthread_create");
	c->running = true;
	return RC_OK;
}

void churner_turn(struct churner *c, uint64_t epoch)
{
	pthread_mutex_lock(&c->lock);
	c->epoch = epoch;
	pthread_mutex_unlock(&c->lock);
}

int churner_stop(struct churner *c)
{
	if (!c->running)
		return RC_OK;
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	c->running = false;
	if (c->child) {
		kill(c->child, SIGKILL);
		waitpid(c->child, NULL, 0);
		c->child = 0;
	}
	return c->rc ? fail(c->rc, "%s", c->text) : RC_OK;
}

void churner_free(struct churner *c)
{
	free(c->keys);
	free(c->last);
	if (c->scratch && c->scratch != MAP_FAILED)
		munmap(c->scratch, c->slot_size);
	memset(c, 0, sizeof(*c));
}
