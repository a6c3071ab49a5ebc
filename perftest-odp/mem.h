/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef MEM_H
#define MEM_H

#include <stddef.h>
#include <stdint.h>

struct dev;
struct ibv_mr;

enum mem_kind {
	MEM_PINNED,
	MEM_ODP,      /* on demand, an explicit range */
	MEM_IMPLICIT, /* on demand, the whole address space */
	MEM_KINDS
};

const char *mem_kind_name(enum mem_kind kind);

/* Private anonymous memory and a memory region that covers it */
struct region {
	char *base;
	size_t size;
	void *mapping; /* what to unmap; begins before base */
	size_t mapped;
	struct ibv_mr *mr;
	enum mem_kind kind;
};

/*
 * Map @size bytes that begin @skew bytes behind a 2 MiB border. There is at
 * least a page of address space on both sides that nobody else has.
 */
int region_map(struct region *r, size_t size, size_t skew);
/* Read, write, local and remote */
int region_register(struct region *r, struct dev *dev, enum mem_kind kind);
/* Right for a zeroed region and after any failure, too */
void region_free(struct region *r);

/* As error text wants it: "4 GiB of on-demand memory" */
const char *mem_describe(enum mem_kind kind, size_t size, char *buf, size_t len);

#endif
