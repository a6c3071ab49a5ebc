/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Memory whose pages take a while: a userfaultfd handler brings them in, late.
 *
 * Pages are of one mapping, all missing at first. The handler answers each
 * fault when its time has come, and others meanwhile; a page's first byte says
 * which page it is (see slow_byte()).
 */
#ifndef SLOW_H
#define SLOW_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

enum { SLOW_PAGES_MAX = 1024 };

struct slow {
	char *start;
	size_t pages;
	int fd;
	int quit[2];
	pthread_t thread;
	pthread_mutex_t lock;	/* down to the end */
	unsigned int delay_ms[SLOW_PAGES_MAX];
	double due[SLOW_PAGES_MAX];	/* 0: nobody has asked for it */
	unsigned int asked;	/* faults that the handler was told of */
};

/* @start: of this process, private anonymous; pages in it are given up */
void slow_begin(struct slow *slow, char *start, size_t pages);
void slow_set_delay(struct slow *slow, size_t first, size_t pages, unsigned int ms);
/* Pages in it are missing again */
void slow_reset(struct slow *slow);
unsigned int slow_asked(struct slow *slow);
void slow_end(struct slow *slow);

/* What the handler puts into page @i, all over it */
static inline unsigned char slow_byte(size_t i)
{
	return i * 7 + 1;
}

#endif /* SLOW_H */
