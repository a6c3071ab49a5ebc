/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What scenarios are made of: a process with a mirror, and who acts on it.
 */
#ifndef WORLD_H
#define WORLD_H

#include "actors.h"
#include "explore.h"

struct access {
	unsigned long addr;
	bool write;
};

struct range {
	unsigned long start;
	unsigned long npages;
};

/* Arguments of what follows; pages are counted from the start of the memory. */
#define READ(page)	 (&(struct access){ FAKE_ADDR(page), false })
#define WRITE(page)	 (&(struct access){ FAKE_ADDR(page), true })
#define RANGE(page, num) (&(struct range){ FAKE_ADDR(page), num })

/* Where the process has memory in most scenarios. */
#define USED		4
/* And some that it may only read. */
#define READ_ONLY	FAKE_ADDR(8)

extern struct odp_mirror *mirror;
/* Begun in the set-up, or shared by threads. */
extern struct accessor shared;

/* Threads: accesses, until they are done or end with an error. */
void world_access(void *access);
void world_shared_access(void *access);
void world_close(void *unused);
/* The kernel. */
void world_reclaim(void *range);
void world_unmap(void *range);
void world_writeback(void *range);
void world_protect(void *range);
void world_exit(void *unused);
void world_shrink(void *unused);
/* The last one who is attached goes. */
void world_detach(void *unused);
void world_prefetch(void *range);
void world_prefetch_later(void *range);
void world_prefetch_cancel(void *unused);
/* Gives the process a page 0, another one or its first, and works on it. */
void world_remap(void *unused);
void world_map(void *unused);
/* Ends one of the zaps that keep a slot, and begins another. */
void world_next_slot(void *unused);

/* Set-ups: memory that is not touched; that is in the mirror; a huge page. */
void setup_empty(void);
void setup_mirrored(void);
void setup_huge(void);
/* A service that will hold page 0; one for a page 0 that is not there. */
void setup_holding(void);
void setup_nothing(void);
/* The first two, with a service queued; the first, with all slots taken. */
void setup_faulting_new(void);
void setup_faulting(void);
void setup_crowd(void);

#endif /* WORLD_H */
