/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Cooperative threads: one runs at a time, and hands over at scheduling points
 * only. Outside of coop_run() everything is done by the main thread, at once.
 */
#ifndef COOP_H
#define COOP_H

#include "sim/kernel.h"

#define COOP_THREADS	24

/**
 * struct coop_choice - a way to go on
 * @thread: Who runs.
 * @timer: Its time is up; else it just runs.
 */
struct coop_choice {
	unsigned char thread;
	bool timer;
};

/*
 * Says which of @n choices it is; with @running, the first one is to let the
 * running thread run on. NULL takes the first one always.
 */
extern unsigned int (*coop_choose)(const struct coop_choice *choices,
				   unsigned int n, bool running);
/* Told of a broken rule, once; does not return. */
extern void (*coop_failed)(const char *message);
/* What happens while the main thread waits. */
extern void (*coop_main_waits)(void);
/* It is right for a wait to last until its time is up. */
extern bool coop_timeouts;
/* Who runs goes on while it can; nobody is asked. */
extern bool coop_straight;

/* Forgets all threads. Objects that live on must be unlocked. */
void coop_reset(void);
void coop_spawn(const char *name, void (*fn)(void *arg), void *arg);
/* Runs all threads, and those that they make, and queued work, to the end. */
void coop_run(void);
/* Work that is queued outside of coop_run(). */
unsigned int coop_queued(void);
/* For a thread, to wait until @flag is true; and for another, to set it. */
void coop_wait(bool *flag);
void coop_post(bool *flag);

/* What happened, in so far as its order matters; and who runs, if one can. */
u64 coop_history(bool running);
const char *coop_name(unsigned int thread);
unsigned int coop_count(void);
/* Of the running thread; COOP_THREADS for the main thread. */
unsigned int coop_self(void);

/* alloc.c: memory that is laid out alike in every run, or that is malloc()ed. */
extern bool alloc_arena;
void alloc_reset(void);
bool alloc_is_freed(const void *p);

/* trace.c: the steps of this run, and notes between them. */
void trace_reset(void);
void trace_step(unsigned int thread, const char *op, const char *what,
		const char *func);
unsigned int trace_length(void);
void trace_print(void);

#endif /* COOP_H */
