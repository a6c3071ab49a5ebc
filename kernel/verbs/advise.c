// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Advice on memory regions, see ibv_advise_mr(3): what will be wanted soon.
 *
 * All ranges are checked before the first one is acted upon. No window is held
 * while pages come in, because to revoke it waits for those who hold it: the
 * mirror is enough.
 */
#include <rdma/uverbs_ioctl.h>

#include "../transport/window.h"
#include "verbs.h"

static unsigned int odp_advice_how(enum ib_uverbs_advise_mr_advice advice)
{
	switch (advice) {
	case IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE:
		return ODP_PREFETCH_WRITE;
	case IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT:
		return ODP_PREFETCH_NO_FAULT;
	default:
		return 0;
	}
}

static int odp_advice_check(const struct odp_window *win, struct ib_pd *pd,
			    const struct ib_sge *sge, unsigned int how)
{
	if (win->type != ODP_WINDOW_REGION || !win->mirror)
		return -ENOENT;
	if (win->pd != pd)
		return -EPERM;
	if (how & ODP_PREFETCH_WRITE && !(win->access & IB_ACCESS_LOCAL_WRITE))
		return -EPERM;
	return odp_window_covers(win, sge->addr, sge->length) ? 0 : -EFAULT;
}

/* The window of a range, held, if the advice can be followed there. */
static struct odp_window *odp_advice_window(struct ib_pd *pd,
					    const struct ib_sge *sge,
					    unsigned int how)
{
	struct odp_window *win;
	int err;

	win = odp_window_find(to_odp_dev(pd->device), sge->lkey);
	if (!win)
		return ERR_PTR(-ENOENT);
	err = odp_advice_check(win, pd, sge, how);
	if (!err)
		return win;
	odp_window_put(win);
	return ERR_PTR(err);
}

static int odp_advice_follow(struct ib_pd *pd, const struct ib_sge *sge,
			     unsigned int how, bool now)
{
	struct odp_window *win = odp_advice_window(pd, sge, how);
	struct odp_mirror *mirror;
	unsigned long start;
	int err;

	if (IS_ERR(win))
		return PTR_ERR(win);
	mirror = win->mirror;
	start = sge->addr - win->iova + win->start;
	if (how & ODP_PREFETCH_NO_FAULT && win->access & IB_ACCESS_LOCAL_WRITE)
		how |= ODP_PREFETCH_WRITE;
	if (!now) {
		err = odp_prefetch_later(mirror, start, sge->length, how, win);
		odp_window_put(win);
		return err;
	}
	odp_mirror_get(mirror);
	odp_window_put(win);
	err = odp_prefetch(mirror, start, sge->length, how);
	odp_mirror_put(mirror);
	return err == -ESRCH ? -EFAULT : err;
}

int odp_advise_mr(struct ib_pd *pd, enum ib_uverbs_advise_mr_advice advice,
		  u32 flags, struct ib_sge *sge, u32 num_sge,
		  struct uverbs_attr_bundle *attrs)
{
	bool now = flags & IB_UVERBS_ADVISE_MR_FLAG_FLUSH;
	unsigned int how = odp_advice_how(advice);
	struct odp_window *win;
	int err = 0;
	u32 i;

	if (advice > IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT)
		return -EOPNOTSUPP;
	for (i = 0; i < num_sge; i++) {
		win = odp_advice_window(pd, &sge[i], how);
		if (IS_ERR(win))
			return PTR_ERR(win);
		odp_window_put(win);
	}
	for (i = 0; i < num_sge && !err; i++)
		err = odp_advice_follow(pd, &sge[i], how, now);
	return err;
}
