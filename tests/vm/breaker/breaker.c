// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Breaks the guest's kernel in the way that the parameter "how" says, to see
 * that the test harness notices. Never load it anywhere else.
 */
#include <linux/module.h>
#include <linux/stop_machine.h>

static char *how = "";
module_param(how, charp, 0);
MODULE_PARM_DESC(how, "warning, oops or hang");

/* Runs on every CPU, with interrupts off. */
static int breaker_spin(void *unused)
{
	for (;;)
		cpu_relax();
	return 0;
}

static int __init breaker_init(void)
{
	if (!strcmp(how, "warning"))
		WARN(1, "breaker: a warning\n");
	else if (!strcmp(how, "oops"))
		*(volatile int *)8 = 0;
	else if (!strcmp(how, "hang"))
		stop_machine(breaker_spin, NULL, cpu_online_mask);
	return -EINVAL;
}
module_init(breaker_init);

MODULE_DESCRIPTION("Breaks a test guest's kernel");
MODULE_LICENSE("Dual BSD/GPL");
