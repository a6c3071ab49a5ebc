// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Breaks the guest's kernel in the way that the parameter "how" says, to see
 * that the test harness notices. Never load it anywhere else.
 */
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/stop_machine.h>

static char *how = "";
module_param(how, charp, 0);
MODULE_PARM_DESC(how, "warning, oops, hang, uaf, locks, leak or race");

/* Runs on every CPU, with interrupts off. */
static int breaker_spin(void *unused)
{
	for (;;)
		cpu_relax();
	return 0;
}

/* The others are bugs that only a debug kernel sees. */

static noinline void breaker_uaf(void)
{
	int *memory = kmalloc(64, GFP_KERNEL);

	kfree(memory);
	if (memory)
		WRITE_ONCE(memory[2], 1);
}

static DEFINE_MUTEX(breaker_a);
static DEFINE_MUTEX(breaker_b);

static void breaker_lock(struct mutex *outer, struct mutex *inner)
{
	mutex_lock(outer);
	mutex_lock(inner);
	mutex_unlock(inner);
	mutex_unlock(outer);
}

/* Some, as a stale pointer may hide one. */
static noinline void breaker_leak(void)
{
	void *memory;
	int i;

	for (i = 0; i < 16; i++) {
		memory = kmalloc(1000, GFP_KERNEL);
		OPTIMIZER_HIDE_VAR(memory);
	}
}

static long breaker_count;

static int breaker_racer(void *unused)
{
	while (!kthread_should_stop()) {
		breaker_count++;
		barrier();
		cond_resched();
	}
	return 0;
}

static noinline void breaker_race(void)
{
	struct task_struct *racer = kthread_run(breaker_racer, NULL, "racer");
	unsigned long end = jiffies + 10 * HZ;

	if (IS_ERR(racer))
		return;
	while (time_before(jiffies, end)) {
		breaker_count++;
		barrier();
		cond_resched();
	}
	kthread_stop(racer);
}

static int __init breaker_init(void)
{
	if (!strcmp(how, "warning"))
		WARN(1, "breaker: a warning\n");
	else if (!strcmp(how, "oops"))
		*(volatile int *)8 = 0;
	else if (!strcmp(how, "hang"))
		stop_machine(breaker_spin, NULL, cpu_online_mask);
	else if (!strcmp(how, "uaf"))
		breaker_uaf();
	else if (!strcmp(how, "leak"))
		breaker_leak();
	else if (!strcmp(how, "race"))
		breaker_race();
	else if (!strcmp(how, "locks")) {
		breaker_lock(&breaker_a, &breaker_b);
		breaker_lock(&breaker_b, &breaker_a);
	}
	return -EINVAL;
}
module_init(breaker_init);

MODULE_DESCRIPTION("Breaks a test guest's kernel");
MODULE_LICENSE("Dual BSD/GPL");
