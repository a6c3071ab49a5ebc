/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * windows: @near accesses memory of @far's. Its region allows no remote access, so
 * whatever succeeds is by a window; what does not must not change a byte, at either
 * end.
 */
#ifndef WINDOWS_H
#define WINDOWS_H

#include "../ends.h"

enum {
	SIZE = 64 << 10, DEPTH = 16,
	OFFSET = 3000, LENGTH = 5000,	/* of windows: several packets and pages */
	RACES = 30,
};

enum {
	WRITE = IBV_ACCESS_REMOTE_WRITE, READ = IBV_ACCESS_REMOTE_READ,
	ATOMIC = IBV_ACCESS_REMOTE_ATOMIC, ZERO_BASED = IBV_ACCESS_ZERO_BASED,
	BIND = IBV_ACCESS_MW_BIND | IBV_ACCESS_LOCAL_WRITE, ALL = WRITE | READ | ATOMIC,
};

/* Of the region that windows are bound to */
struct kind {
	const char *name;
	int access;
	bool implicit;
};

/* sides.c */
extern struct nic nics[2];
extern const struct kind *kind;
extern struct end near, far, others[2];
/* Memory of @near's and of @far's, and what is in the latter if nothing goes wrong */
extern char *mine, *theirs, *before;
extern struct ibv_mr *my_mr, *mr;

/* Of @far's memory */
struct ibv_mr *region(int access);
/* Anew, from any state */
void connect_ends(struct end *a, struct end *b);
void set_up(const struct kind *k);
void tear_down(void);

/* requests.c */
extern unsigned char round_number;	/* what @near's memory is filled with */

/* The window at OFFSET, or another one */
struct ibv_mw_bind_info bind_info(int access);
struct ibv_mw *window(enum ibv_mw_type type);
struct ibv_send_wr bind_wr(struct ibv_mw *mw, uint32_t rkey, const struct ibv_mw_bind_info *info);
/* Return: an error number */
int post_wr(struct end *end, struct ibv_send_wr wr);
/* Of these types; how it ends */
enum ibv_wc_status bind_one(struct end *end, struct ibv_mw *mw,
			    const struct ibv_mw_bind_info *info);
enum ibv_wc_status bind_two(struct end *end, struct ibv_mw *mw, uint32_t rkey,
			    const struct ibv_mw_bind_info *info);
/* Return: the key */
uint32_t bound(struct ibv_mw *mw, const struct ibv_mw_bind_info *info);
/* How it ends */
enum ibv_wc_status invalidate(struct end *end, uint32_t rkey);
/* How does it end? All that it may and may not have changed is looked at. */
enum ibv_wc_status try_by(struct end *by, struct end *peer, enum ibv_wr_opcode opcode,
			  char *where, uint32_t len, uint64_t remote, uint32_t rkey);
/* @near does it, and @where is the address. */
enum ibv_wc_status try(enum ibv_wr_opcode opcode, char *where, uint32_t len, uint32_t rkey);

#define ALLOWED(opcode, where, len, rkey) CHECK(!try(opcode, where, len, rkey))
#define REFUSED(opcode, where, len, rkey) \
	CHECK(try(opcode, where, len, rkey) == IBV_WC_REM_ACCESS_ERR)

/* rights.c */
void rights(enum ibv_mw_type type, int access);
void zero_based(enum ibv_mw_type type);
void bind_again(void);
void other_queue_pair(void);

/* lifetime.c */
void invalidation(void);
void by_calls(void);
void order(void);
void keeps_region(void);
void exits(void);

/* refused.c */
void mistakes(void);
void not_mine(void);

/* traffic.c */
void race(int i);
void waiting(void);
void many(void);

#endif /* WINDOWS_H */
