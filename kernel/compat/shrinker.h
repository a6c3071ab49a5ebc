/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Shrinkers and their lists as they differ between kernels.
 */
#ifndef ODP_COMPAT_SHRINKER_H
#define ODP_COMPAT_SHRINKER_H

#include <linux/list_lru.h>
#include <linux/shrinker.h>

static inline bool odp_list_lru_add(struct list_lru *lru,
				    struct list_head *item)
{
	return list_lru_add(lru, item);
}

static inline bool odp_list_lru_del(struct list_lru *lru,
				    struct list_head *item)
{
	return list_lru_del(lru, item);
}

/* The list wants the id of the shrinker, which this one has when it is live. */
static inline int odp_shrinker_register(struct shrinker *shrinker,
					struct list_lru *lru)
{
	int err = register_shrinker(shrinker, KBUILD_MODNAME);

	if (err)
		return err;
	err = list_lru_init_memcg(lru, shrinker);
	if (err)
		unregister_shrinker(shrinker);
	return err;
}

static inline void odp_shrinker_unregister(struct shrinker *shrinker,
					   struct list_lru *lru)
{
	unregister_shrinker(shrinker);
	list_lru_destroy(lru);
}

#endif /* ODP_COMPAT_SHRINKER_H */
