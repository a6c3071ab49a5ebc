/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef REG_MEASURE_H
#define REG_MEASURE_H

#include "mem.h"

#include <stdbool.h>

struct dev;

/* What one registration of a kind and size costs */
struct reg_cost {
	enum mem_kind kind;
	uint64_t size;	       /* SIZE_MAX: the whole address space */
	const char *refused;   /* NULL, or why there are no figures */
	double reg_us;	       /* medians */
	double dereg_us;
	double memory;	       /* bytes of RAM per registration that is held */
};

/**
 * reg_measure() - register and deregister again and again
 * @dev: device
 * @kind: kind of memory
 * @size: bytes, or SIZE_MAX for MEM_IMPLICIT
 * @runs: how often; fewer if it takes very long
 * @cost: the result
 */
int reg_measure(struct dev *dev, enum mem_kind kind, uint64_t size,
		unsigned int runs, struct reg_cost *cost);

/**
 * reg_touch() - WRITE 4 KiB into the middle of on-demand memory
 * @dev: device
 * @size: bytes that are registered
 * @leaves: set to the growth of the device's counter odp_leaves; -1: it has none
 */
int reg_touch(struct dev *dev, uint64_t size, int64_t *leaves);

#endif
