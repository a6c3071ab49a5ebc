// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A kernel user of verbs: queue pairs of the kernel's between the two devices that
 * the parameter "devices" names, which may be the same. All is tried while the
 * module loads; if anything is wrong it says where and does not load. Only with
 * "hold" does it do anything afterwards.
 */
#include <linux/module.h>
#include <linux/slab.h>

#include "kuser.h"

/* The loss takes its toll of some rounds only. */
#define ROUNDS		10
#define LOSSY_ROUNDS	60

static char *devices[2];
module_param_array(devices, charp, NULL, 0);
MODULE_PARM_DESC(devices, "names of two devices");

static bool lossy;
module_param(lossy, bool, 0);
MODULE_PARM_DESC(lossy, "packets get lost; only what is for that is tried");

static bool hold;
module_param(hold, bool, 0);
MODULE_PARM_DESC(hold, "nothing is tried, but a region is there until the module goes");

static uint key;
module_param(key, uint, 0444);
MODULE_PARM_DESC(key, "of that region");

static int everything(void)
{
	RUN(connected());
	RUN(shared());
	RUN(datagrams());
	RUN(regions());
	RUN(shapes());
	RUN(closing());
	RUN(order(ROUNDS));
	RUN(gone());
	return 0;
}

static int ends_create(void)
{
	RUN(end_create(a, devices[0]));
	return end_create(b, devices[1]);
}

static void ends_destroy(void)
{
	end_destroy(b);
	end_destroy(a);
}

static int all(void)
{
	static const enum ib_poll_context contexts[] = {
		IB_POLL_SOFTIRQ, IB_POLL_WORKQUEUE, IB_POLL_DIRECT,
	};
	u32 i;

	for (i = 0; i < (lossy ? 1 : ARRAY_SIZE(contexts)); i++) {
		context = contexts[i];
		RUN(ends_create());
		RUN(lossy ? order(LOSSY_ROUNDS) : everything());
		ends_destroy();
	}
	return 0;
}

static int begin_hold(void)
{
	context = IB_POLL_SOFTIRQ;
	RUN(ends_create());
	RUN(region_hold());
	key = region.mr->rkey;
	return 0;
}

static int end_hold(void)
{
	RUN(region_release());
	ends_destroy();
	return 0;
}

static void ends_free(void)
{
	kvfree(a);
	kvfree(b);
}

static int __init kuser_init(void)
{
	int err = -ENOMEM;

	a = kvzalloc(sizeof(*a), GFP_KERNEL);
	b = kvzalloc(sizeof(*b), GFP_KERNEL);
	if (a && b)
		err = hold ? begin_hold() : all();
	if (err || !hold)
		ends_free();
	return err;
}

static void __exit kuser_exit(void)
{
	if (hold && !end_hold())
		ends_free();
}

module_init(kuser_init);
module_exit(kuser_exit);

MODULE_DESCRIPTION("A kernel user of verbs, for tests");
MODULE_LICENSE("Dual BSD/GPL");
