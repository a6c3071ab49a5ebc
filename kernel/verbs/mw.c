// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory windows: allocating and deallocating them. They are bound by send
 * requests, see transport/window.c.
 */
#include <linux/slab.h>

#include "../transport/window.h"
#include "verbs.h"

static struct odp_mw *to_odp_mw(struct ib_mw *ib)
{
	return container_of(ib, struct odp_mw, ib);
}

int odp_alloc_mw(struct ib_mw *ib, struct ib_udata *udata)
{
	struct odp_window *win;
	int err;

	win = kzalloc(sizeof(*win), GFP_KERNEL_ACCOUNT);
	if (!win)
		return -ENOMEM;
	win->type = ib->type == IB_MW_TYPE_1 ? ODP_WINDOW_MW1 : ODP_WINDOW_MW2;
	win->pd = ib->pd;
	err = odp_window_publish(to_odp_dev(ib->device), win);
	if (err) {
		kfree(win);
		return err;
	}
	to_odp_mw(ib)->win = win;
	ib->rkey = win->key;
	return 0;
}

int odp_dealloc_mw(struct ib_mw *ib)
{
	struct odp_window *win = to_odp_mw(ib)->win;

	odp_window_revoke(to_odp_dev(ib->device), win);
	kfree_rcu(win, rcu);
	return 0;
}
