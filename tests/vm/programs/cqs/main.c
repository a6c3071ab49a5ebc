// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Completion queues: what extended polling tells of each completion, and when it
 * was; queues that are resized, at rest and in use, and lose nothing; events that
 * wait for more completions.
 *
 * usage: cqs -d DEV[,DEV2] [-v VLAN]
 *
 *   -v  the addresses 10.0.VLAN.x are of that VLAN; nothing is tried but what
 *	 completions tell of it
 */
#include <unistd.h>

#include "cqs.h"

int main(int argc, char **argv)
{
	int devices = 0, vlan = 0, c;

	while ((c = getopt(argc, argv, "d:v:")) != -1) {
		CHECK(c != '?');
		if (c == 'd')
			devices = nics_open(nics, optarg);
		else
			vlan = atoi(optarg);
	}
	CHECK(devices);
	if (vlan) {
		test_vlan(vlan);
		return 0;
	}
	test_resize();
	if (under_load())
		return 0;
	test_fields();
	test_times(devices == 1);
	test_events();
	test_solicited();
	return 0;
}
