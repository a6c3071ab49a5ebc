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
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <ucontext.h>

#include "coop.h"

#define STACK_SIZE	(128 * 1024)
#define OBJECTS		4096

struct coop_thread {
	char name[16];
	void (*fn)(void *arg);
	void *arg;
	u64 hash;
	const void *blocked;
	wait_queue_head_t *asleep;
	bool timed, timed_out, forced;
	bool done;
	unsigned int atomic;
	unsigned int rcu[SIM_RCU_COUNT];

	bool started;
	jmp_buf env;
	ucontext_t context;
	char *stack;
};

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

/* The last one is the main thread. */
static struct coop_thread threads[COOP_THREADS + 1];
static struct coop_thread *const main_thread = &threads[COOP_THREADS];
static struct coop_thread *self = &threads[COOP_THREADS];
static unsigned int nthreads;
static bool running;	/* in coop_run() */
static unsigned int quiet;	/* steps are no steps */

static struct object objects[OBJECTS];
static unsigned long run_number;
static struct rcu_head *rcu_pending[SIM_RCU_COUNT];
static struct work_struct *works, **works_tail = &works;
static unsigned int nworks;

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
	u64 hash = can_run ? self - threads : COOP_THREADS;
	unsigned int i;

	for (i = 0; i < nthreads; i++)
		hash = mix(hash, threads[i].hash);
	return hash;
}

unsigned int coop_self(void)
{
	return self - threads;
}

unsigned int coop_count(void)
{
	return nthreads;
}

const char *coop_name(unsigned int thread)
{
	return threads[thread].name;
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
	struct coop_thread *last = self;

	if (next == last || _setjmp(last->env))
		return;
	self = next;
	if (next->started || next == main_thread)
		_longjmp(next->env, 1);
	next->started = true;
	setcontext(&next->context);
}

static unsigned int collect(struct coop_choice *choices, bool can_run)
{
	unsigned int n = 0, i;

	if (can_run)
		choices[n++] = (struct coop_choice){ self - threads, false };
	for (i = 0; i < nthreads; i++)
		if (&threads[i] != self && !threads[i].done &&
		    !threads[i].blocked && !threads[i].asleep)
			choices[n++] = (struct coop_choice){ i, false };
	for (i = 0; i < nthreads; i++)
		if (threads[i].asleep && threads[i].timed)
			choices[n++] = (struct coop_choice){ i, true };
	return n;
}

static void deadlock(void)
{
	unsigned int i = 0;

	while (threads[i].done)
		i++;
	sim_fail("nobody can run, and %s is not done", threads[i].name);
}

/* Lets somebody run: this thread, if it can and it is chosen, or another. */
static void schedule(bool can_run)
{
	struct coop_choice choices[2 * COOP_THREADS];
	struct coop_thread *next;
	unsigned int n, i = 0;

	if (can_run && coop_straight)
		return;
	n = collect(choices, can_run);
	for (; n == 0 && i < nthreads; i++)
		if (!threads[i].done)
			deadlock();
	if (n == 0) {
		switch_to(main_thread);
		return;
	}
	i = coop_choose && n > 1 ? coop_choose(choices, n, can_run) : 0;
	next = &threads[choices[i].thread];
	if (choices[i].timer) {
		next->asleep = NULL;
		next->timed_out = true;
		next->forced = choices[0].timer;
	}
	switch_to(next);
}

static bool is_step(void)
{
	return running && !quiet && self != main_thread;
}

void sim_event(enum sim_access access, const char *op, const char *what,
	       const char *func, const void *obj)
{
	struct object *o;

	if (alloc_is_freed(obj))
		sim_fail("%s: %s %s in memory that is freed", func, op, what);
	if (!is_step())
		return;
	trace_step(self - threads, op, what, func);
	if (access == SIM_LOCAL) {
		self->hash = mix(self->hash, 2);
		return;
	}
	o = object(obj);
	if (access == SIM_READ) {
		self->hash = mix(self->hash, o->hash);
		o->reads += self->hash;
	} else {
		self->hash = mix(self->hash, mix(o->hash, o->reads));
		o->hash = self->hash;
		o->reads = 0;
	}
}

void sim_value(unsigned long value)
{
	if (is_step())
		self->hash = mix(self->hash, value);
}

void sim_point(enum sim_access access, const char *op, const char *what,
	       const char *func, const void *obj)
{
	if (is_step())
		schedule(true);
	sim_event(access, op, what, func, obj);
}

static void block(const void *p)
{
	if (!is_step())
		sim_fail("the main thread blocks on what it holds");
	self->blocked = p;
	schedule(false);
}

static void unblock(const void *p)
{
	unsigned int i;

	for (i = 0; i < nthreads; i++)
		if (threads[i].blocked == p)
			threads[i].blocked = NULL;
}

void sim_might_sleep(const char *func)
{
	if (self->atomic || self->rcu[SIM_RCU])
		sim_fail("%s: may sleep in atomic context", func);
}

void coop_wait(bool *flag)
{
	sim_event(SIM_READ, "await", "resume", "accessor", flag);
	while (!*flag)
		block(flag);
	sim_event(SIM_READ, "awake", "resume", "accessor", flag);
}

void coop_post(bool *flag)
{
	sim_point(SIM_WRITE, "post", "resume", "accessor", flag);
	*flag = true;
	unblock(flag);
}

/* Spinlocks. */

void spin_lock_init(spinlock_t *lock)
{
	lock->owner = NULL;
}

static void locked(spinlock_t *lock)
{
	lock->owner = self;
	self->atomic++;
	sim_rcu_enter(SIM_RCU, NULL);
}

void sim_lock(spinlock_t *lock, const char *what, const char *func)
{
	if (is_step())
		schedule(true);
	if (lock->owner == self)
		sim_fail("%s: takes %s twice", func, what);
	while (lock->owner && !alloc_is_freed(lock))
		block(lock);
	sim_event(SIM_WRITE, "lock", what, func, lock);
	locked(lock);
}

bool sim_trylock(spinlock_t *lock, const char *what, const char *func)
{
	sim_point(SIM_WRITE, "trylock", what, func, lock);
	sim_value(!lock->owner);
	if (lock->owner)
		return false;
	locked(lock);
	return true;
}

void sim_unlock(spinlock_t *lock, const char *what, const char *func)
{
	sim_event(SIM_WRITE, "unlock", what, func, lock);
	if (lock->owner != self)
		sim_fail("%s: %s is not held", func, what);
	lock->owner = NULL;
	unblock(lock);
	self->atomic--;
	sim_rcu_leave(SIM_RCU, NULL);
}

bool sim_is_locked(spinlock_t *lock)
{
	return lock->owner;
}

bool sim_is_held(spinlock_t *lock)
{
	return lock->owner == self;
}

/* Reader-writer locks. */

void sim_rwsem_init(struct rw_semaphore *sem)
{
	sem->readers = 0;
	sem->writer = NULL;
}

void sim_down_read(struct rw_semaphore *sem, const char *func)
{
	sim_might_sleep(func);
	if (is_step())
		schedule(true);
	while (sem->writer)
		block(sem);
	sim_event(SIM_READ, "down_read", "mmap_lock", func, sem);
	sem->readers++;
}

void sim_up_read(struct rw_semaphore *sem, const char *func)
{
	sim_event(SIM_READ, "up_read", "mmap_lock", func, sem);
	if (--sem->readers == 0)
		unblock(sem);
}

void sim_down_write(struct rw_semaphore *sem, const char *func)
{
	sim_might_sleep(func);
	if (is_step())
		schedule(true);
	while (sem->writer || sem->readers)
		block(sem);
	sim_event(SIM_WRITE, "down_write", "mmap_lock", func, sem);
	sem->writer = self;
}

void sim_up_write(struct rw_semaphore *sem, const char *func)
{
	sim_event(SIM_WRITE, "up_write", "mmap_lock", func, sem);
	sem->writer = NULL;
	unblock(sem);
}

/*
 * RCU. A callback runs as soon as it may: who uses the memory too late is found
 * out for sure. With func NULL the section comes with a lock and is no step.
 */

static void rcu_run(enum sim_rcu kind)
{
	struct rcu_head **link = &rcu_pending[kind];

	while (*link) {
		struct rcu_head *head = *link;

		if (head->readers) {
			link = &head->next;
			continue;
		}
		*link = head->next;
		quiet++;
		head->func(head);
		quiet--;
		link = &rcu_pending[kind];
	}
}

void sim_rcu_enter(enum sim_rcu kind, const char *func)
{
	if (func)
		sim_event(SIM_READ, "rcu lock", "", func, &rcu_pending[kind]);
	else if (!self->rcu[kind])
		sim_event(SIM_READ, NULL, NULL, NULL, &rcu_pending[kind]);
	self->rcu[kind]++;
}

void sim_rcu_leave(enum sim_rcu kind, const char *func)
{
	struct rcu_head *head;

	if (func)
		sim_event(SIM_READ, "rcu unlock", "", func, &rcu_pending[kind]);
	if (!self->rcu[kind])
		sim_fail("%s: leaves RCU twice", func);
	if (--self->rcu[kind] || quiet)
		return;
	if (!func)
		sim_event(SIM_READ, NULL, NULL, NULL, &rcu_pending[kind]);
	for (head = rcu_pending[kind]; head; head = head->next)
		head->readers &= ~BIT(self - threads);
	rcu_run(kind);
}

void sim_rcu_call(enum sim_rcu kind, struct rcu_head *head,
		  void (*func)(struct rcu_head *head))
{
	unsigned int i;

	sim_point(SIM_WRITE, "call_rcu", "", __func__, &rcu_pending[kind]);
	head->func = func;
	head->readers = 0;
	for (i = 0; i <= COOP_THREADS; i++)
		if (threads[i].rcu[kind])
			head->readers |= BIT(i);
	head->next = rcu_pending[kind];
	rcu_pending[kind] = head;
	rcu_run(kind);
}

void sim_rcu_barrier(enum sim_rcu kind)
{
	if (rcu_pending[kind])
		sim_fail("rcu_barrier() in a read section");
}

/* Wait queues. */

void init_waitqueue_head(wait_queue_head_t *wq)
{
	wq->sleepers = 0;
}

unsigned long sim_wait_prepare(wait_queue_head_t *wq, const char *func)
{
	sim_point(SIM_WRITE, "prepare", "to wait", func, wq);
	wq->sleepers |= BIT(self - threads);
	return 0;
}

bool sim_wait(wait_queue_head_t *wq, unsigned long ticket, long timeout)
{
	unsigned long me = BIT(self - threads);

	(void)ticket;
	if (!is_step()) {
		if (coop_main_waits)
			coop_main_waits();
		return !(wq->sleepers & me);
	}
	self->timed_out = false;
	if (wq->sleepers & me) {
		self->timed = timeout != SIM_FOREVER;
		self->asleep = wq;
		schedule(false);
	}
	sim_value(self->timed_out);
	sim_event(SIM_WRITE, self->timed_out ? "time is up" : "awake", "",
		  "sim_wait", wq);
	if (self->timed_out && self->forced && !coop_timeouts)
		sim_fail("%s waits in vain", self->name);
	return !self->timed_out;
}

void sim_wait_late(const char *what, const char *func)
{
	if (is_step() && self->forced)
		sim_fail("%s: %s came about and nobody was woken", func, what);
}

void sim_wait_finish(wait_queue_head_t *wq, const char *func)
{
	(void)func;
	wq->sleepers &= ~BIT(self - threads);
}

void sim_wake_up(wait_queue_head_t *wq, const char *what, const char *func)
{
	unsigned int i;

	sim_point(SIM_WRITE, "wake up", what, func, wq);
	wq->sleepers = 0;
	for (i = 0; i < nthreads; i++)
		if (threads[i].asleep == wq)
			threads[i].asleep = NULL;
}

bool sim_has_sleeper(wait_queue_head_t *wq, const char *what, const char *func)
{
	sim_point(SIM_READ, "sleepers?", what, func, wq);
	return wq->sleepers;
}

void init_completion(struct completion *c)
{
	c->done = false;
}

void complete(struct completion *c)
{
	sim_point(SIM_WRITE, "complete", "", __func__, c);
	c->done = true;
	unblock(c);
}

void wait_for_completion(struct completion *c)
{
	sim_might_sleep(__func__);
	sim_point(SIM_READ, "wait", "", __func__, c);
	if (!is_step() && coop_main_waits)
		coop_main_waits();
	while (!c->done)
		block(c);
	sim_event(SIM_READ, "awake", "", __func__, c);
}

/* Work: a thread for each. */

struct workqueue_struct *alloc_workqueue(const char *name, unsigned int flags,
					 int max_active, ...)
{
	(void)name;
	(void)flags;
	(void)max_active;
	return sim_alloc(sizeof(struct workqueue_struct), true, __func__);
}

/* Waits for what is queued. */
void destroy_workqueue(struct workqueue_struct *wq)
{
	sim_might_sleep(__func__);
	sim_point(SIM_WRITE, "destroy", "queue", __func__, wq);
	while (wq->active)
		block(wq);
	sim_free(wq);
}

static void run_work(void *arg)
{
	struct work_struct *work = arg;
	struct workqueue_struct *wq = work->wq;

	work->func(work);
	if (!wq)
		return;
	sim_event(SIM_WRITE, NULL, NULL, NULL, wq);
	if (--wq->active == 0)
		unblock(wq);
}

static void spawn_work(struct work_struct *work)
{
	char name[16];

	snprintf(name, sizeof(name), "service %u", ++nworks % 1000);
	coop_spawn(name, run_work, work);
}

bool queue_work(struct workqueue_struct *wq, struct work_struct *work)
{
	work->wq = wq;
	if (wq)
		wq->active++;
	if (!running) {
		work->next = NULL;
		*works_tail = work;
		works_tail = &work->next;
		return true;
	}
	sim_event(SIM_WRITE, "queue", "work", __func__,
		  wq ? (void *)wq : (void *)&works);
	spawn_work(work);
	return true;
}

static struct work_struct *take_work(void)
{
	struct work_struct *work = works;

	if (work)
		works = work->next;
	if (!works)
		works_tail = &works;
	return work;
}

unsigned int coop_queued(void)
{
	struct work_struct *work;
	unsigned int n = 0;

	for (work = works; work; work = work->next)
		n++;
	return n;
}

void sim_run_work(void)
{
	struct work_struct *work;

	while ((work = take_work()))
		run_work(work);
}

/* Threads. */

static void thread_main(void)
{
	for (;;) {
		self->fn(self->arg);
		if (self->atomic || self->rcu[SIM_RCU] || self->rcu[SIM_SRCU])
			sim_fail("%s ends in atomic context", self->name);
		self->done = true;
		schedule(false);
	}
}

void coop_spawn(const char *name, void (*fn)(void *arg), void *arg)
{
	struct coop_thread *t = &threads[nthreads];

	if (nthreads == COOP_THREADS)
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
	t->hash = mix(nthreads++, running ? self->hash : 3);
}

void coop_run(void)
{
	struct work_struct *work;

	while ((work = take_work()))
		spawn_work(work);
	running = true;
	schedule(false);
	running = false;
}

void coop_reset(void)
{
	run_number++;
	nthreads = 0;
	nworks = 0;
}
