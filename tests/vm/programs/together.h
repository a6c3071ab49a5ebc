/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Queue pairs whose requests meet at the same words: a thread for each, and others that
 * disturb them and look at the words meanwhile.
 */
#ifndef TOGETHER_H
#define TOGETHER_H

#include "ends.h"

#include <stdatomic.h>

enum {
	QUEUES = 4,
	WINDOW = 8,		/* requests at a time of each */
	DELAY_MS = 300,		/* of slow pages, and more than the short timeout */
	TIMEOUT_SHORT = 14,
};

extern struct nic nics[2];
extern bool lossy;		/* packets get lost */
extern struct end ends[QUEUES], peers[QUEUES];
extern atomic_bool stop;	/* the queues' threads are through */

/* From the first device to the second */
void together_create(void);
void together_destroy(void);
/* @queue for each of ends[], and at most 3 @others until they are through */
void together_run(void *(*queue)(void *end), void *(*const others[])(void *unused), int n);

/* What a request took as @what was away */
void print_away(const char *what, double seconds, const struct trouble *trouble);

#endif /* TOGETHER_H */
