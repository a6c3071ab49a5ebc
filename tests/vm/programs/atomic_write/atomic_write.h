/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * atomic_write: queue pairs between the devices, and words of one's memory that the
 * other writes.
 */
#ifndef ATOMIC_WRITE_H
#define ATOMIC_WRITE_H

#include "../together.h"

enum {
	PAGES = 4 * QUEUES,
	LOCAL = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_ON_DEMAND,
};

/* In the target's first page, each alone in its cache line; letters are behind it */
struct words {
	struct {
		_Atomic uint64_t word __attribute__((aligned(64)));
	} mailbox[QUEUES], all, other;
};

/* sides.c */
extern char *target, *source;
extern struct words *words;	/* in the target */
extern struct ibv_mr *target_mr, *source_mr;

struct ibv_mr *region(int nic, void *start, size_t size, int access);
void set_up(void);
void tear_down(void);
/* From the source to the target */
struct request request_of(enum ibv_wr_opcode opcode, char *local, uint32_t len, void *remote);
void post(struct end *end, enum ibv_wr_opcode opcode, char *local, uint32_t len, void *remote);
/* The next completion is one of that. */
void done(struct end *end, enum ibv_wc_opcode opcode, uint32_t len);

/* mail.c */
void mail(void);

/* posting.c */
void by_calls(void);
void by_lists(void);

/* refused.c */
void capabilities(void);
void refusals(void);

/* away.c */
void slow_pages(void);

#endif /* ATOMIC_WRITE_H */
