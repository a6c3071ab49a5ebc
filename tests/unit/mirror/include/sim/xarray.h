/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A tree by index, as a short sorted array.
 */
#ifndef SIM_XARRAY_H
#define SIM_XARRAY_H

#include "sync.h"

#define SIM_XA_ENTRIES	64

struct xarray {
	spinlock_t xa_lock;
	pthread_mutex_t guts;
	unsigned int count;
	struct {
		unsigned long index;
		void *entry;
	} slots[SIM_XA_ENTRIES];
};

#define XA_PRESENT		0
#define XA_FLAGS_ACCOUNT	0

void xa_init_flags(struct xarray *xa, gfp_t flags);
void xa_destroy(struct xarray *xa);
void *sim_xa_load(struct xarray *xa, unsigned long index, const char *func);
void *sim_xa_find(struct xarray *xa, unsigned long *index, unsigned long max,
		  const char *func);
void *__xa_cmpxchg(struct xarray *xa, unsigned long index, void *old,
		   void *entry, gfp_t gfp);
void *__xa_erase(struct xarray *xa, unsigned long index);

#define xa_init(xa)		xa_init_flags(xa, 0)
#define xa_lock(xa)		sim_lock(&(xa)->xa_lock, #xa, __func__)
#define xa_unlock(xa)		sim_unlock(&(xa)->xa_lock, #xa, __func__)
#define xa_load(xa, index)	sim_xa_load(xa, index, __func__)
#define xa_find(xa, index, max, filter) sim_xa_find(xa, index, max, __func__)
#define xa_empty(xa)		((xa)->count == 0)
#define xa_is_err(entry)	IS_ERR(entry)
#define xa_err(entry)		((int)PTR_ERR(entry))
#define xa_for_each(xa, index, entry) \
	for (index = 0; (entry = xa_find(xa, &index, ULONG_MAX, XA_PRESENT)); \
	     index++)

#endif /* SIM_XARRAY_H */
