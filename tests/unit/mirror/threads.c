// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Real threads under the mirror's sources, for the thread sanitizer. Nothing
 * here orders what the kernel's own primitives would not.
 *
 * RCU is a reader-writer lock: readers share it, and callbacks run in a thread
 * that has held it alone since they were queued. A spinlock is taken inside of
 * a read section, so that no reader waits for one who waits to become one.
 */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "sim/kernel.h"

#define WORKERS	128

static __thread unsigned int atomic_depth;
static __thread unsigned int rcu_depth[SIM_RCU_COUNT];
static long live;

void sim_point(enum sim_access access, const char *op, const char *what,
	       const char *func, const void *obj)
{
	(void)access;
	(void)op;
	(void)what;
	(void)func;
	(void)obj;
}

void sim_event(enum sim_access access, const char *op, const char *what,
	       const char *func, const void *obj)
{
	sim_point(access, op, what, func, obj);
}

void sim_value(unsigned long value)
{
	(void)value;
}

bool sim_is_ordered(void)
{
	return false;
}

void sim_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "broken rule: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	abort();
}

void sim_might_sleep(const char *func)
{
	if (atomic_depth || rcu_depth[SIM_RCU])
		sim_fail("%s: may sleep in atomic context", func);
}

void *sim_alloc(size_t size, bool may_sleep, const char *func)
{
	if (may_sleep)
		sim_might_sleep(func);
	__atomic_add_fetch(&live, 1, __ATOMIC_RELAXED);
	return calloc(1, size);
}

void sim_free(void *p)
{
	if (p)
		__atomic_sub_fetch(&live, 1, __ATOMIC_RELAXED);
	free(p);
}

long sim_alloc_live(void)
{
	return __atomic_load_n(&live, __ATOMIC_RELAXED);
}

/* Locks. */

void spin_lock_init(spinlock_t *lock)
{
	pthread_mutex_init(&lock->mutex, NULL);
	lock->owner = NULL;
}

void sim_lock(spinlock_t *lock, const char *what, const char *func)
{
	(void)what;
	(void)func;
	sim_rcu_enter(SIM_RCU, NULL);
	pthread_mutex_lock(&lock->mutex);
	__atomic_store_n(&lock->owner, &atomic_depth, __ATOMIC_RELAXED);
	atomic_depth++;
}

void sim_unlock(spinlock_t *lock, const char *what, const char *func)
{
	if (!sim_is_held(lock))
		sim_fail("%s: %s is not held", func, what);
	atomic_depth--;
	__atomic_store_n(&lock->owner, NULL, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&lock->mutex);
	sim_rcu_leave(SIM_RCU, NULL);
}

bool sim_is_held(spinlock_t *lock)
{
	return __atomic_load_n(&lock->owner, __ATOMIC_RELAXED) == &atomic_depth;
}

void sim_rwsem_init(struct rw_semaphore *sem)
{
	pthread_rwlock_init(&sem->rwlock, NULL);
	sem->readers = 0;
}

void sim_down_read(struct rw_semaphore *sem, const char *func)
{
	sim_might_sleep(func);
	pthread_rwlock_rdlock(&sem->rwlock);
	__atomic_add_fetch(&sem->readers, 1, __ATOMIC_RELAXED);
}

void sim_up_read(struct rw_semaphore *sem, const char *func)
{
	(void)func;
	__atomic_sub_fetch(&sem->readers, 1, __ATOMIC_RELAXED);
	pthread_rwlock_unlock(&sem->rwlock);
}

void sim_down_write(struct rw_semaphore *sem, const char *func)
{
	sim_might_sleep(func);
	pthread_rwlock_wrlock(&sem->rwlock);
}

void sim_up_write(struct rw_semaphore *sem, const char *func)
{
	(void)func;
	pthread_rwlock_unlock(&sem->rwlock);
}

/* RCU. */

#define PREFER_WRITER PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP

static pthread_rwlock_t rcu_lock[SIM_RCU_COUNT] = { PREFER_WRITER,
						    PREFER_WRITER };
static pthread_mutex_t rcu_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t rcu_cond = PTHREAD_COND_INITIALIZER;
static struct rcu_head *rcu_queue[SIM_RCU_COUNT];
static unsigned long rcu_under_way;

void sim_rcu_enter(enum sim_rcu kind, const char *func)
{
	(void)func;
	if (!rcu_depth[kind]++)
		pthread_rwlock_rdlock(&rcu_lock[kind]);
}

void sim_rcu_leave(enum sim_rcu kind, const char *func)
{
	(void)func;
	if (!--rcu_depth[kind])
		pthread_rwlock_unlock(&rcu_lock[kind]);
}

static void rcu_run(enum sim_rcu kind, struct rcu_head *head)
{
	unsigned long n = 0;

	pthread_rwlock_wrlock(&rcu_lock[kind]);
	pthread_rwlock_unlock(&rcu_lock[kind]);
	while (head) {
		struct rcu_head *next = head->next;

		head->func(head);
		head = next;
		n++;
	}
	pthread_mutex_lock(&rcu_mutex);
	rcu_under_way -= n;
	pthread_cond_broadcast(&rcu_cond);
	pthread_mutex_unlock(&rcu_mutex);
}

static void *rcu_main(void *arg)
{
	struct rcu_head *heads[SIM_RCU_COUNT];
	int kind;

	pthread_mutex_lock(&rcu_mutex);
	for (;;) {
		while (!rcu_queue[SIM_RCU] && !rcu_queue[SIM_SRCU])
			pthread_cond_wait(&rcu_cond, &rcu_mutex);
		memcpy(heads, rcu_queue, sizeof(heads));
		memset(rcu_queue, 0, sizeof(rcu_queue));
		pthread_mutex_unlock(&rcu_mutex);
		for (kind = 0; kind < SIM_RCU_COUNT; kind++)
			if (heads[kind])
				rcu_run(kind, heads[kind]);
		pthread_mutex_lock(&rcu_mutex);
	}
	return arg;
}

static void spawn(void *(*fn)(void *arg))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, fn, NULL))
		sim_fail("no thread");
	pthread_detach(thread);
}

void sim_rcu_call(enum sim_rcu kind, struct rcu_head *head,
		  void (*func)(struct rcu_head *head))
{
	static bool started;

	head->func = func;
	pthread_mutex_lock(&rcu_mutex);
	if (!started)
		spawn(rcu_main);
	started = true;
	head->next = rcu_queue[kind];
	rcu_queue[kind] = head;
	rcu_under_way++;
	pthread_cond_broadcast(&rcu_cond);
	pthread_mutex_unlock(&rcu_mutex);
}

void sim_rcu_barrier(enum sim_rcu kind)
{
	(void)kind;
	pthread_mutex_lock(&rcu_mutex);
	while (rcu_under_way)
		pthread_cond_wait(&rcu_cond, &rcu_mutex);
	pthread_mutex_unlock(&rcu_mutex);
}

/* Wait queues. */

void init_waitqueue_head(wait_queue_head_t *wq)
{
	memset(wq, 0, sizeof(*wq));
	pthread_mutex_init(&wq->mutex, NULL);
	pthread_cond_init(&wq->cond, NULL);
}

unsigned long sim_wait_prepare(wait_queue_head_t *wq, const char *func)
{
	unsigned long ticket;

	(void)func;
	pthread_mutex_lock(&wq->mutex);
	ticket = wq->wakeups;
	__atomic_add_fetch(&wq->sleepers, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&wq->mutex);
	return ticket;
}

bool sim_wait(wait_queue_head_t *wq, unsigned long ticket, long timeout)
{
	struct timespec until;
	int err = 0;
	bool woken;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += timeout / HZ;
	until.tv_nsec += timeout % HZ * (1000000000L / HZ);
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	pthread_mutex_lock(&wq->mutex);
	while (wq->wakeups == ticket && !err)
		err = pthread_cond_timedwait(&wq->cond, &wq->mutex, &until);
	woken = wq->wakeups != ticket;
	pthread_mutex_unlock(&wq->mutex);
	return woken;
}

void sim_wait_late(const char *what, const char *func)
{
	(void)what;
	(void)func;
}

void sim_wait_finish(wait_queue_head_t *wq, const char *func)
{
	(void)func;
	__atomic_sub_fetch(&wq->sleepers, 1, __ATOMIC_SEQ_CST);
}

void sim_wake_up(wait_queue_head_t *wq, const char *what, const char *func)
{
	(void)what;
	(void)func;
	pthread_mutex_lock(&wq->mutex);
	wq->wakeups++;
	pthread_cond_broadcast(&wq->cond);
	pthread_mutex_unlock(&wq->mutex);
}

bool sim_has_sleeper(wait_queue_head_t *wq, const char *what, const char *func)
{
	(void)what;
	(void)func;
	return __atomic_load_n(&wq->sleepers, __ATOMIC_SEQ_CST);
}

void init_completion(struct completion *c)
{
	pthread_mutex_init(&c->mutex, NULL);
	pthread_cond_init(&c->cond, NULL);
	c->done = false;
}

void complete(struct completion *c)
{
	pthread_mutex_lock(&c->mutex);
	c->done = true;
	pthread_cond_broadcast(&c->cond);
	pthread_mutex_unlock(&c->mutex);
}

void wait_for_completion(struct completion *c)
{
	sim_might_sleep(__func__);
	pthread_mutex_lock(&c->mutex);
	while (!c->done)
		pthread_cond_wait(&c->cond, &c->mutex);
	pthread_mutex_unlock(&c->mutex);
}

/* Work: threads are made when none is idle. */

static pthread_mutex_t work_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work_cond = PTHREAD_COND_INITIALIZER;
static struct work_struct *work_first, **work_last = &work_first;
static unsigned int workers, idle, queued;

static void *worker(void *arg)
{
	pthread_mutex_lock(&work_mutex);
	for (;;) {
		struct work_struct *work = work_first;
		struct workqueue_struct *wq;

		if (!work) {
			idle++;
			pthread_cond_broadcast(&work_cond);
			pthread_cond_wait(&work_cond, &work_mutex);
			idle--;
			continue;
		}
		work_first = work->next;
		if (!work_first)
			work_last = &work_first;
		queued--;
		wq = work->wq;
		pthread_mutex_unlock(&work_mutex);
		work->func(work);
		pthread_mutex_lock(&work_mutex);
		if (wq && --wq->active == 0)
			pthread_cond_broadcast(&work_cond);
	}
	return arg;
}

bool queue_work(struct workqueue_struct *wq, struct work_struct *work)
{
	pthread_mutex_lock(&work_mutex);
	work->next = NULL;
	work->wq = wq;
	if (wq)
		wq->active++;
	*work_last = work;
	work_last = &work->next;
	if (++queued > idle && workers < WORKERS) {
		workers++;
		spawn(worker);
	}
	pthread_cond_broadcast(&work_cond);
	pthread_mutex_unlock(&work_mutex);
	return true;
}

/* Until all workers are idle. */
void sim_run_work(void)
{
	pthread_mutex_lock(&work_mutex);
	while (work_first || idle < workers)
		pthread_cond_wait(&work_cond, &work_mutex);
	pthread_mutex_unlock(&work_mutex);
}

struct workqueue_struct *alloc_workqueue(const char *name, unsigned int flags,
					 int max_active, ...)
{
	(void)name;
	(void)flags;
	(void)max_active;
	return sim_alloc(sizeof(struct workqueue_struct), true, __func__);
}

void destroy_workqueue(struct workqueue_struct *wq)
{
	pthread_mutex_lock(&work_mutex);
	while (wq->active)
		pthread_cond_wait(&work_cond, &work_mutex);
	pthread_mutex_unlock(&work_mutex);
	sim_free(wq);
}
