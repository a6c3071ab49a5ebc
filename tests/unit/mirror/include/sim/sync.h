/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Locks, RCU, wait queues and work.
 */
#ifndef SIM_SYNC_H
#define SIM_SYNC_H

#include <pthread.h>

#include "bits.h"
#include "list.h"

/* @owner is a thread; @mutex is for real threads. */
typedef struct {
	pthread_mutex_t mutex;
	void *owner;
} spinlock_t;

#define __SPIN_LOCK_UNLOCKED(name) \
	{ .mutex = PTHREAD_MUTEX_INITIALIZER, .owner = NULL }
#define DEFINE_SPINLOCK(name)	spinlock_t name = __SPIN_LOCK_UNLOCKED(name)

void spin_lock_init(spinlock_t *lock);
void sim_lock(spinlock_t *lock, const char *what, const char *func);
bool sim_trylock(spinlock_t *lock, const char *what, const char *func);
void sim_unlock(spinlock_t *lock, const char *what, const char *func);
bool sim_is_locked(spinlock_t *lock);
bool sim_is_held(spinlock_t *lock);

#define spin_lock(l)		sim_lock(l, #l, __func__)
#define spin_lock_bh(l)		sim_lock(l, #l, __func__)
#define spin_trylock(l)		sim_trylock(l, #l, __func__)
#define spin_trylock_bh(l)	sim_trylock(l, #l, __func__)
#define spin_unlock(l)		sim_unlock(l, #l, __func__)
#define spin_unlock_bh(l)	sim_unlock(l, #l, __func__)
#define spin_lock_nested(l, n)	sim_lock(l, #l, __func__)
#define lockdep_assert_held(l) do { \
	if (!sim_is_held(l)) \
		sim_fail("%s: %s is not held", __func__, #l); \
} while (0)

/* A reader-writer lock that may be held asleep. */
struct rw_semaphore {
	pthread_rwlock_t rwlock;
	int readers;
	void *writer;
};

void sim_rwsem_init(struct rw_semaphore *sem);
void sim_down_read(struct rw_semaphore *sem, const char *func);
void sim_up_read(struct rw_semaphore *sem, const char *func);
void sim_down_write(struct rw_semaphore *sem, const char *func);
void sim_up_write(struct rw_semaphore *sem, const char *func);

/* RCU; a spinlock is a read section, too. The second kind is the notifiers'. */
enum sim_rcu {
	SIM_RCU,
	SIM_SRCU,
	SIM_RCU_COUNT,
};

struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *head);
	unsigned long readers;
};

void sim_rcu_enter(enum sim_rcu kind, const char *func);
void sim_rcu_leave(enum sim_rcu kind, const char *func);
void sim_rcu_call(enum sim_rcu kind, struct rcu_head *head,
		  void (*func)(struct rcu_head *head));
void sim_rcu_barrier(enum sim_rcu kind);

#define rcu_read_lock()		sim_rcu_enter(SIM_RCU, __func__)
#define rcu_read_unlock()	sim_rcu_leave(SIM_RCU, __func__)
#define call_rcu(head, func)	sim_rcu_call(SIM_RCU, head, func)
#define rcu_barrier()		sim_rcu_barrier(SIM_RCU)
#define rcu_dereference(p)	smp_load_acquire(&(p))
#define rcu_assign_pointer(p, v) smp_store_release(&(p), v)
#define rcu_dereference_protected(p, c) (p)

/* @sleepers counts, or has a bit for each cooperative thread. */
typedef struct wait_queue_head {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	unsigned long wakeups;
	unsigned long sleepers;
} wait_queue_head_t;

void init_waitqueue_head(wait_queue_head_t *wq);
unsigned long sim_wait_prepare(wait_queue_head_t *wq, const char *func);
/* False if there was no wake-up since the ticket was given, and time is up. */
bool sim_wait(wait_queue_head_t *wq, unsigned long ticket, long timeout);
void sim_wait_finish(wait_queue_head_t *wq, const char *func);
/* Time was up because nothing else could run, and it was not for nothing. */
void sim_wait_late(const char *what, const char *func);
void sim_wake_up(wait_queue_head_t *wq, const char *what, const char *func);
bool sim_has_sleeper(wait_queue_head_t *wq, const char *what,
		     const char *func);

#define SIM_FOREVER		LONG_MAX
#define wake_up_all(wq)		sim_wake_up(wq, #wq, __func__)
#define wake_up(wq)		sim_wake_up(wq, #wq, __func__)
#define wq_has_sleeper(wq)	sim_has_sleeper(wq, #wq, __func__)

/* As in the kernel: looks first, then goes onto the queue, then looks again. */
#define wait_event_timeout(wq, condition, timeout) ({ \
	bool _done = (condition), _time = true; \
	sim_might_sleep(__func__); \
	while (!_done && _time) { \
		unsigned long _ticket = sim_wait_prepare(&(wq), __func__); \
		_done = (condition); \
		if (!_done) { \
			_time = sim_wait(&(wq), _ticket, timeout); \
			_done = !_time && (condition); \
			if (_done) \
				sim_wait_late(#condition, __func__); \
		} \
		sim_wait_finish(&(wq), __func__); \
	} \
	_done ? 1L : 0L; \
})
#define wait_event(wq, condition) \
	((void)wait_event_timeout(wq, condition, SIM_FOREVER))
struct completion {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	bool done;
};

void init_completion(struct completion *c);
void complete(struct completion *c);
void wait_for_completion(struct completion *c);
#define wait_for_completion_killable(c) (wait_for_completion(c), 0)
#define fatal_signal_pending(task) ((void)(task), false)

#define wait_var_event(var, condition)	do { \
	sim_run_work(); \
	if (!(condition)) \
		sim_fail("%s: %s does not come about", __func__, #condition); \
} while (0)
#define wake_up_var(var)	((void)(var))

/* How many run at a time is not limited. */
struct workqueue_struct {
	unsigned int active;
};

struct work_struct {
	struct work_struct *next;
	struct workqueue_struct *wq;
	void (*func)(struct work_struct *work);
};

#define INIT_WORK(w, f)		((w)->func = (f))
#define WQ_UNBOUND		1
#define WQ_UNBOUND_MAX_ACTIVE	512

struct workqueue_struct *alloc_workqueue(const char *name, unsigned int flags,
					 int max_active, ...);
void destroy_workqueue(struct workqueue_struct *wq);
/* Without a queue, somewhere else in the kernel. */
bool queue_work(struct workqueue_struct *wq, struct work_struct *work);
/* Runs what is queued, and what that queues, outside of a schedule. */
void sim_run_work(void);

#define cond_resched()		do { } while (0)
#define cpu_relax()		do { } while (0)

#endif /* SIM_SYNC_H */
