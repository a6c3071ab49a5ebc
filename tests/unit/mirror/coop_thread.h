/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Between coop.c, which lets threads run, and coop_sync.c, where they wait.
 */
#ifndef COOP_THREAD_H
#define COOP_THREAD_H

#include <setjmp.h>
#include <ucontext.h>

#include "coop.h"

/**
 * struct coop_thread - a cooperative thread
 * @name: For people.
 * @fn: What it does.
 * @arg: With what.
 * @hash: Of its last step, and so of all that led to it.
 * @blocked: On what, or NULL.
 * @asleep: Where, or NULL.
 * @timed: It sleeps for some time only.
 * @timed_out: Time was up.
 * @forced: It was because nobody else could run.
 * @done: It has ended.
 * @atomic: Spinlocks that it holds.
 * @rcu: Read sections that it is in.
 * @started: @env is valid.
 * @env: Where it goes on.
 * @context: Where it begins.
 * @stack: Its stack, for this thread and for those after it.
 */
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

/* The last one is the main thread. */
extern struct coop_thread coop_threads[COOP_THREADS + 1];
/* Who runs. */
extern struct coop_thread *coop_me;
extern unsigned int coop_nthreads;
/* In coop_run(). */
extern bool coop_running;
/* Steps are no steps. */
extern unsigned int coop_quiet;

/* Is what it does a step, so that somebody may come before it? */
bool coop_is_step(void);
/* Lets somebody run: this thread, if it can and it is chosen, or another. */
void coop_schedule(bool can_run);
/* Waits for an object; and lets all go on who do. */
void coop_block(const void *p);
void coop_unblock(const void *p);

/* Gives queued work to threads; and numbers those from 1 on again. */
void coop_spawn_work(void);
void coop_reset_work(void);

#endif /* COOP_THREAD_H */
