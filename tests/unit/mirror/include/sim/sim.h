/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What the stand-ins for kernel headers need from what runs them: coop.c,
 * cooperative threads whose every step can be scheduled, or threads.c, real
 * ones.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>

/**
 * enum sim_access - what a step does with its object
 * @SIM_LOCAL: Nothing that another thread could see.
 * @SIM_READ: Reads it; two reads may change places.
 * @SIM_WRITE: Anything else.
 */
enum sim_access {
	SIM_LOCAL,
	SIM_READ,
	SIM_WRITE,
};

/*
 * A scheduling point, before a step of the thread: another one may run first.
 * @op, @what and @func tell the reader of a schedule what the step is.
 */
void sim_point(enum sim_access access, const char *op, const char *what,
	       const char *func, const void *obj);
/* A step that no other can come before. */
void sim_event(enum sim_access access, const char *op, const char *what,
	       const char *func, const void *obj);
/* What the last step saw, if it is not all told by its order with others. */
void sim_value(unsigned long value);
/* A rule is broken. */
void sim_fail(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn));
/* The thread may sleep here: it holds no spinlock and is in no RCU section. */
void sim_might_sleep(const char *func);
/* Are the steps of threads in an order that all of them see? */
bool sim_is_ordered(void);

void *sim_alloc(size_t size, bool may_sleep, const char *func);
void sim_free(void *p);
/* Lets the nth allocation from now on fail, 1 for the next; 0 for none. */
void sim_alloc_fail(unsigned long nth);
/* Allocations that are not freed. */
long sim_alloc_live(void);

#endif /* SIM_SIM_H */
