// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * ATOMIC WRITE: 64 bits are seen whole, behind all that was written before, and are
 * written once; what must not be written is not. And FLUSH, which cannot be asked for.
 *
 * usage: atomic_write -d DEV[,DEV2] [-l]
 *
 *   -l  packets get lost: what must be right then, and that some requests came twice
 */
#include "atomic_write.h"

int main(int argc, char **argv)
{
	lossy = options_lossy(argc, argv, nics);
	set_up();
	if (!lossy) {
		capabilities();
		by_calls();
		by_lists();
		refusals();
		slow_pages();
	}
	mail();
	tear_down();
	return 0;
}
