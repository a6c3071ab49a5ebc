// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Completion queues: what extended polling tells of each completion, and when it
 * was; queues that are resized, at rest and in use, and lose nothing; events that
 * wait for more completions.
 *
 * usage: cqs -d DEV[,DEV2]
 */
#include <string.h>

#include "cqs.h"

int main(int argc, char **argv)
{
	int devices;

	CHECK(argc == 3 && !strcmp(argv[1], "-d"));
	devices = nics_open(nics, argv[2]);
	test_resize();
	if (under_load())
		return 0;
	test_fields();
	test_times(devices == 1);
	test_events();
	return 0;
}
