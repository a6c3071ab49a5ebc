// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The device's clock is CLOCK_MONOTONIC in nanoseconds, which user space reads
 * for itself.
 */
#include <errno.h>
#include <time.h>

#include <infiniband/verbs.h>

#include "clock.h"

static uint64_t now(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/**
 * odp_clock_to_wall - nanoseconds since 1970 of a completion's timestamp
 * @timestamp: From a completion.
 *
 * Right as far as nobody set the wall clock since.
 */
uint64_t odp_clock_to_wall(uint64_t timestamp)
{
	return timestamp + (now(CLOCK_REALTIME) - now(CLOCK_MONOTONIC));
}

/* As for devices with cycle counters, the whole count is in tv_nsec. */
int odp_query_rt_values(struct ibv_context *context,
			struct ibv_values_ex *values)
{
	if (values->comp_mask & ~IBV_VALUES_MASK_RAW_CLOCK)
		return EOPNOTSUPP;

	if (values->comp_mask) {
		values->raw_clock.tv_sec = 0;
		values->raw_clock.tv_nsec = now(CLOCK_MONOTONIC);
	}
	return 0;
}
