// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory windows and invalidation: what a key allows, and from when until when.
 *
 * usage: windows -d DEV[,DEV2] [-l]
 *
 *   -l  packets get lost: only that keys come and go as they should, many times
 */
#include "windows.h"

#include <errno.h>

enum { TIMEOUT_SHORT = 14 };

static const struct kind kinds[] = {
	{ .name = "pinned" },
	{ .name = "on demand", .access = IBV_ACCESS_ON_DEMAND },
	{ .name = "whole address space", .access = IBV_ACCESS_ON_DEMAND, .implicit = true },
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static void capabilities(void)
{
	struct ibv_device_attr attr;

	CHECK(!ibv_query_device(nics[0].context, &attr));
	CHECK(attr.device_cap_flags & IBV_DEVICE_MEM_WINDOW);
	CHECK(attr.device_cap_flags & IBV_DEVICE_MEM_WINDOW_TYPE_2B);
	CHECK(!(attr.device_cap_flags & IBV_DEVICE_MEM_WINDOW_TYPE_2A));
	CHECK(attr.max_mw >= 1 << 19);
	CHECK(!ibv_alloc_mw(nics[0].pd, 3) && errno == EINVAL);
}

static void all(void)
{
	const enum ibv_mw_type types[] = { IBV_MW_TYPE_1, IBV_MW_TYPE_2 };
	const int some[] = { ALL, WRITE | IBV_ACCESS_LOCAL_WRITE, READ, READ | ATOMIC, 0 };
	int i, j;

	for (i = 0; i < 2; i++) {
		for (j = 0; j < 5; j++)
			rights(types[i], some[j]);
		zero_based(types[i]);
	}
	bind_again();
	other_queue_pair();
	invalidation();
	by_calls();
	order();
	keeps_region();
	mistakes();
	not_mine();
	for (i = 0; i < RACES; i++)
		race(i);
	if (kind->access)
		waiting();
	exits();
	printf("%s: right\n", kind->name);
}

static void some(void)
{
	int i;

	for (i = 0; i < RACES / 10; i++)
		race(i);
	exits();
}

int main(int argc, char **argv)
{
	bool lossy = options_lossy(argc, argv, nics);
	int i;

	capabilities();
	for (i = 0; i < KINDS; i++) {
		if (!in_turn(i, KINDS))
			continue;
		if (lossy)
			near.timeout = far.timeout = TIMEOUT_SHORT;
		set_up(&kinds[i]);
		if (under_load())
			some();
		else if (!lossy)
			all();
		many();
		tear_down();
	}
	return 0;
}
