/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The calls of failnth: each makes or unmakes one thing, or uses it.
 */
#ifndef FAILNTH_H
#define FAILNTH_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DEPTH = 256, PORT = 1, BYTES = 128 * 1024, BLOCK = 2 * 1024 * 1024, COPY = 32 * 1024 };

/* What there is. */
struct things {
	uint8_t *memory;
	size_t bytes;
	bool filled;
	int *dmabuf; /* a descriptor */
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_mr *mr;
	struct ibv_comp_channel *channel;
	struct ibv_cq *cq;
	struct ibv_srq *srq;
	struct ibv_qp *qp;
};

extern struct things have;
extern struct ibv_device *device;
extern int gid_index;

void give_up(const char *what, int err) __attribute__((noreturn));

/* The calls; all return 0 or an errno value. */
typedef int (*call_fn)(void);

int open_device(void);
int alloc_pd(void);
int reg_pinned(void);
int reg_on_demand(void);
int reg_implicit(void);
int reg_dmabuf(void);
int prefetch(void);
int prefetch_write(void);
int prefetch_two(void);
int create_channel(void);
int create_cq(void);
int create_srq(void);
int resize_cq(void);
int create_qp(void);
int qp_to_init(void);
int qp_to_rtr(void);
int qp_to_rts(void);
int destroy_qp(void);
int destroy_srq(void);
int destroy_cq(void);
int destroy_channel(void);
int dereg(void);
int dealloc_pd(void);
int close_device(void);
int map_memory(void);
int map_huge(void);
int map_two_blocks(void);
int fill_memory(void);
int page_out(void);
int unmap_memory(void);
int export_dmabuf(void);
int close_dmabuf(void);

void tear_down(void);

bool prefetched(call_fn call);

#endif
