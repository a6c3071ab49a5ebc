/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef EXPLORE_H
#define EXPLORE_H

#include <stdbool.h>

/**
 * struct scenario - a few threads, whose every interleaving is tried
 * @name: Name.
 * @bound: Preemptions, at most.
 * @timeouts: Waits may be in vain.
 * @setup: Makes the mappings; the mirror is there.
 * @check: After all threads are done, with the mirror still there.
 * @threads: What runs.
 */
struct scenario {
	const char *name;
	unsigned int bound;
	bool timeouts;
	void (*setup)(void);
	void (*check)(void);
	struct {
		const char *name;
		void (*fn)(void *arg);
		void *arg;
	} threads[6];
};

extern const struct scenario scenarios[];

/* world.c: one run of it. */
void scenario_run(const struct scenario *scenario);

#endif /* EXPLORE_H */
