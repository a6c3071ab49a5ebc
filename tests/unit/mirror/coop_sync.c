// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Where cooperative threads wait for each other: locks, RCU, wait queues,
 * completions and work.
 */
#include <stdio.h>

#include "coop_thread.h"

static struct rcu_head *rcu_pending[SIM_RCU_COUNT];
static struct work_struct *works, **works_tail = &works;
static unsigned int nworks;

/* Spinlocks. */

void spin_lock_init(spinlock_t *lock)
{
	lock->owner = NULL;
}

static void locked(spinlock_t *lock)
{
	lock->owner = coop_me;
	coop_me->atomic++;
	sim_rcu_enter(SIM_RCU, NULL);
}

void sim_lock(spinlock_t *lock, const char *what, const char *func)
{
	if (coop_is_step())
		coop_schedule(true);
	if (lock->owner == coop_me)
		sim_fail("%s: takes %s twice", func, what);
	while (lock->owner && !alloc_is_freed(lock))
		coop_block(lock);
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
	if (lock->owner != coop_me)
		sim_fail("%s: %s is not held", func, what);
	lock->owner = NULL;
	coop_unblock(lock);
	coop_me->atomic--;
	sim_rcu_leave(SIM_RCU, NULL);
}

bool sim_is_locked(spinlock_t *lock)
{
	return lock->owner;
}

bool sim_is_held(spinlock_t *lock)
{
	return lock->owner == coop_me;
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
	if (coop_is_step())
		coop_schedule(true);
	while (sem->writer)
		coop_block(sem);
	sim_event(SIM_READ, "down_read", "mmap_lock", func, sem);
	sem->readers++;
}

void sim_up_read(struct rw_semaphore *sem, const char *func)
{
	sim_event(SIM_READ, "up_read", "mmap_lock", func, sem);
	if (--sem->readers == 0)
		coop_unblock(sem);
}

void sim_down_write(struct rw_semaphore *sem, const char *func)
{
	sim_might_sleep(func);
	if (coop_is_step())
		coop_schedule(true);
	while (sem->writer || sem->readers)
		coop_block(sem);
	sim_event(SIM_WRITE, "down_write", "mmap_lock", func, sem);
	sem->writer = coop_me;
}

void sim_up_write(struct rw_semaphore *sem, const char *func)
{
	sim_event(SIM_WRITE, "up_write", "mmap_lock", func, sem);
	sem->writer = NULL;
	coop_unblock(sem);
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
		coop_quiet++;
		head->func(head);
		coop_quiet--;
		link = &rcu_pending[kind];
	}
}

void sim_rcu_enter(enum sim_rcu kind, const char *func)
{
	if (func)
		sim_event(SIM_READ, "rcu lock", "", func, &rcu_pending[kind]);
	else if (!coop_me->rcu[kind])
		sim_event(SIM_READ, NULL, NULL, NULL, &rcu_pending[kind]);
	coop_me->rcu[kind]++;
}

void sim_rcu_leave(enum sim_rcu kind, const char *func)
{
	struct rcu_head *head;

	if (func)
		sim_event(SIM_READ, "rcu unlock", "", func, &rcu_pending[kind]);
	if (!coop_me->rcu[kind])
		sim_fail("%s: leaves RCU twice", func);
	if (--coop_me->rcu[kind] || coop_quiet)
		return;
	if (!func)
		sim_event(SIM_READ, NULL, NULL, NULL, &rcu_pending[kind]);
	for (head = rcu_pending[kind]; head; head = head->next)
		head->readers &= ~BIT(coop_me - coop_threads);
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
		if (coop_threads[i].rcu[kind])
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
	wq->sleepers |= BIT(coop_me - coop_threads);
	return 0;
}

bool sim_wait(wait_queue_head_t *wq, unsigned long ticket, long timeout)
{
	unsigned long me = BIT(coop_me - coop_threads);

	(void)ticket;
	if (!coop_is_step()) {
		if (coop_main_waits)
			coop_main_waits();
		return !(wq->sleepers & me);
	}
	coop_me->timed_out = false;
	if (wq->sleepers & me) {
		coop_me->timed = timeout != SIM_FOREVER;
		coop_me->asleep = wq;
		coop_schedule(false);
	}
	sim_value(coop_me->timed_out);
	sim_event(SIM_WRITE, coop_me->timed_out ? "time is up" : "awake", "",
		  "sim_wait", wq);
	if (coop_me->timed_out && coop_me->forced && !coop_timeouts)
		sim_fail("%s waits in vain", coop_me->name);
	return !coop_me->timed_out;
}

void sim_wait_late(const char *what, const char *func)
{
	if (coop_is_step() && coop_me->forced)
		sim_fail("%s: %s came about and nobody was woken", func, what);
}

void sim_wait_finish(wait_queue_head_t *wq, const char *func)
{
	(void)func;
	wq->sleepers &= ~BIT(coop_me - coop_threads);
}

void sim_wake_up(wait_queue_head_t *wq, const char *what, const char *func)
{
	unsigned int i;

	sim_point(SIM_WRITE, "wake up", what, func, wq);
	wq->sleepers = 0;
	for (i = 0; i < coop_nthreads; i++)
		if (coop_threads[i].asleep == wq)
			coop_threads[i].asleep = NULL;
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
	coop_unblock(c);
}

void wait_for_completion(struct completion *c)
{
	sim_might_sleep(__func__);
	sim_point(SIM_READ, "wait", "", __func__, c);
	if (!coop_is_step() && coop_main_waits)
		coop_main_waits();
	while (!c->done)
		coop_block(c);
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
		coop_block(wq);
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
		coop_unblock(wq);
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
	if (!coop_running) {
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

void coop_spawn_work(void)
{
	struct work_struct *work;

	while ((work = take_work()))
		spawn_work(work);
}

void coop_reset_work(void)
{
	nworks = 0;
}
