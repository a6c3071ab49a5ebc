// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Cooperative threads. Each has a stack of its own, for good; a switch saves
 * and restores registers only.
 *
 * A thread is in one of these ways unable to run: it is done; it is blocked on
 * an object and made ready when that is released; it sleeps on a wait queue,
 * where there is one more way out, that its time is up.
 *
 * The history of a run is kept as hashes: a step's hash is made of that of the
 * thread's last step and that of the last step on its object, so it stands for
 * all that happened before it, in so far as the order of two steps matters.
 * Two runs with the same hash for each thread are in the same state.
 */
#include <stdarg.h>
#include <stdio.h>

#include "coop_thread.h"

#define STACK_SIZE	(128 * 1024)
#define OBJECTS		4096

struct object {
	const void *p;
	unsigned long run;
	u64 hash;
	u64 reads;
};

unsigned int (*coop_choose)(const struct coop_choice *choices, unsigned int n,
			    bool running);
void (*coop_failed)(const char *message);
void (*coop_main_waits)(void);
bool coop_timeouts, coop_straight;

struct coop_thread coop_threads[COOP_THREADS + 1];
static struct coop_thread *const main_thread = &coop_threads[COOP_THREADS];
struct coop_thread *coop_me = &coop_threads[COOP_THREADS];
unsigned int coop_nthreads;
bool coop_running;
unsigned int coop_quiet;

static struct object objects[OBJECTS];
static unsigned long run_number;

static u64 mix(u64 a, u64 b)
{
	a = a * 0x9e3779b97f4a7c15ULL + b * 0xc2b2ae3d27d4eb4fULL + 1;
	a ^= a >> 29;
	a *= 0xbf58476d1ce4e5b9ULL;
	return a ^ (a >> 32);
}

static struct object *object(const void *p)
{
	unsigned int i = mix((uintptr_t)p, 1) % OBJECTS;

	while (objects[i].run == run_number && objects[i].p != p)
		i = (i + 1) % OBJECTS;
	if (objects[i].run != run_number)
		objects[i] = (struct object){
			.p = p,
			.run = run_number,
		};
	return &objects[i];
}

u64 coop_history(bool can_run)
{
	u64 hash = can_run ? coop_me - coop_threads : COOP_THREADS;
	unsigned int i;

	for (i = 0; i < coop_nthreads; i++)
		hash = mix(hash, coop_threads[i].hash);
	return hash;
}

unsigned int coop_self(void)
{
	return coop_me - coop_threads;
}

unsigned int coop_count(void)
{
	return coop_nthreads;
}

const char *coop_name(unsigned int thread)
{
	return coop_threads[thread].name;
}

void sim_fail(const char *format, ...)
{
	char message[256];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (coop_failed)
		coop_failed(message);
	fprintf(stderr, "broken rule: %s\n", message);
	abort();
}

bool sim_is_ordered(void)
{
	return true;
}

static void switch_to(struct coop_thread *next)
{
	struct coop_thread *last = coop_me;

	if (next == last || _setjmp(last->env))
		return;
	coop_me = next;
	if (next->started || next == main_thread)
		_longjmp(next->env, 1);
	next->started = true;
	setcontext(&next->context);
}

static unsigned int collect(struct coop_choice *choices, bool can_run)
{
	unsigned int n = 0, i;

	if (can_run)
		choices[n++] = (struct coop_choice){ coop_me - coop_threads, false };
	for (i = 0; i < coop_nthreads; i++)
		if (&coop_threads[i] != coop_me && !coop_threads[i].done &&
		    !coop_threads[i].blocked && !coop_threads[i].asleep)
			choices[n++] = (struct coop_choice){ i, false };
	for (i = 0; i < coop_nthreads; i++)
		if (coop_threads[i].asleep && coop_threads[i].timed)
			choices[n++] = (struct coop_choice){ i, true };
	return n;
}

static void deadlock(void)
{
	unsigned int i = 0;

	while (coop_threads[i].done)
		i++;
	sim_fail("nobody can run, and %s is not done", coop_threads[i].name);
}

/* Lets somebody run: this thread, if it can and it is chosen, or another. */
void coop_schedule(bool can_run)
{
	struct coop_choice choices[2 * COOP_THREADS];
	struct coop_thread *next;
	unsigned int n, i = 0;

	if (can_run && coop_straight)
		return;
	n = collect(choices, can_run);
	for (; n == 0 && i < coop_nthreads; i++)
		if (!coop_threads[i].done)
			deadlock();
	if (n == 0) {
		switch_to(main_thread);
		return;
	}
	i = coop_choose && n > 1 ? coop_choose(choices, n, can_run) : 0;
	next = &coop_threads[choices[i].thread];
	if (choices[i].timer) {
		next->asleep = NULL;
		next->timed_out = true;
		next->forced = choices[0].timer;
	}
	switch_to(next);
}

bool coop_is_step(void)
{
	return coop_running && !coop_quiet && coop_me != main_thread;
}

void sim_event(enum sim_access access, const char *op, const char *what,
	       const char *func, const void *obj)
{
	struct object *o;

	if (alloc_is_freed(obj))
		sim_fail("%s: %s %s in memory that is freed", func, op, what);
	if (!coop_is_step())
		return;
	trace_step(coop_me - coop_threads, op, what, func);
	if (access == SIM_LOCAL) {
		coop_me->hash = mix(coop_me->hash, 2);
		return;
	}
	o = object(obj);
	if (access == SIM_READ) {
		coop_me->hash = mix(coop_me->hash, o->hash);
		o->reads += coop_me->hash;
	} else {
		coop_me->hash = mix(coop_me->hash, mix(o->hash, o->reads));
		o->hash = coop_me->hash;
		o->reads = 0;
	}
}

void sim_value(unsigned long value)
{
	if (coop_is_step())
		coop_me->hash = mix(coop_me->hash, value);
}

void sim_point(enum sim_access access, const char *op, const char *what,
	       const char *func, const void *obj)
{
	if (coop_is_step())
		coop_schedule(true);
	sim_event(access, op, what, func, obj);
}

void coop_block(const void *p)
{
	if (!coop_is_step())
		sim_fail("the main thread blocks on what it holds");
	coop_me->blocked = p;
	coop_schedule(false);
}

void coop_unblock(const void *p)
{
	unsigned int i;

	for (i = 0; i < coop_nthreads; i++)
		if (coop_threads[i].blocked == p)
			coop_threads[i].blocked = NULL;
}

void sim_might_sleep(const char *func)
{
	if (coop_me->atomic || coop_me->rcu[SIM_RCU])
		sim_fail("%s: may sleep in atomic context", func);
}

void coop_wait(bool *flag)
{
	sim_event(SIM_READ, "await", "resume", "accessor", flag);
	while (!*flag)
		coop_block(flag);
	sim_event(SIM_READ, "awake", "resume", "accessor", flag);
}

void coop_post(bool *flag)
{
	sim_point(SIM_WRITE, "post", "resume", "accessor", flag);
	*flag = true;
	coop_unblock(flag);
}

/* Threads. */

static void thread_main(void)
{
	for (;;) {
		coop_me->fn(coop_me->arg);
		if (coop_me->atomic || coop_me->rcu[SIM_RCU] ||
		    coop_me->rcu[SIM_SRCU])
			sim_fail("%s ends in atomic context", coop_me->name);
		coop_me->done = true;
		coop_schedule(false);
	}
}

void coop_spawn(const char *name, void (*fn)(void *arg), void *arg)
{
	struct coop_thread *t = &coop_threads[coop_nthreads];

	if (coop_nthreads == COOP_THREADS)
		sim_fail("too many threads");
	if (!t->stack) {
		t->stack = malloc(STACK_SIZE);
		getcontext(&t->context);
		t->context.uc_stack.ss_sp = t->stack;
		t->context.uc_stack.ss_size = STACK_SIZE;
		makecontext(&t->context, thread_main, 0);
	}
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->fn = fn;
	t->arg = arg;
	t->done = false;
	t->hash = mix(coop_nthreads++, coop_running ? coop_me->hash : 3);
}

void coop_run(void)
{
	coop_spawn_work();
	coop_running = true;
	coop_schedule(false);
	coop_running = false;
}

void coop_reset(void)
{
	run_number++;
	coop_nthreads = 0;
	coop_reset_work();
}
