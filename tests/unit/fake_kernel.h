/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef ODP_FAKE_KERNEL_H
#define ODP_FAKE_KERNEL_H

#include <infiniband/driver.h>

/* What fake objects can hold, and the number of every queue pair. */
enum {
	FAKE_DEPTH = 4,
	FAKE_CQ_DEPTH = 8,
	FAKE_SEND_SGE = 3,
	FAKE_RECV_SGE = 2,
	FAKE_INLINE = 48,
	FAKE_QP_NUM = 17,
};

/**
 * struct fake_kernel - what tests see and set
 * @context: Of all objects.
 * @size: Bytes of ring memory given out so far.
 * @doorbells: Times that POST_SEND came.
 * @kicks: Times that POST_RECV came.
 * @refuse: What POST_SEND returns.
 * @commit: The second step of RESIZE_CQ, to so many entries.
 */
struct fake_kernel {
	struct verbs_context context;
	off_t size;
	int doorbells;
	int kicks;
	int refuse;
	int (*commit)(int cqe);
};

extern struct fake_kernel fake;

void fake_kernel_start(void);
void fake_kernel_stop(void);

#endif /* ODP_FAKE_KERNEL_H */
