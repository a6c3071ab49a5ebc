// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The device's clock is CLOCK_MONOTONIC in nanoseconds, which user space reads
 * for itself.
 */
#include <errno.h>
#include <time.h>

#include <infiniband/verbs.h>

#include "clock.h"

/* As for devices with cycle counters, the whole count is in tv_nsec. */
int odp_query_rt_values(struct ibv_context *context,
			struct ibv_values_ex *values)
{
	struct timespec now;

	if (values->comp_mask & ~IBV_VALUES_MASK_RAW_CLOCK)
		return EOPNOTSUPP;

	if (values->comp_mask) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		values->raw_clock.tv_sec = 0;
		values->raw_clock.tv_nsec = now.tv_sec * 1000000000LL +
					    now.tv_nsec;
	}
	return 0;
}
