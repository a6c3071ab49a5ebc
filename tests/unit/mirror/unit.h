/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Unit tests of the mirror: one thread, in which everything happens at once.
 */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "actors.h"
#include "coop.h"
#include "mirror/leaf.h"

#define BLOCK_PAGES	512UL

extern struct odp_mirror *mirror;

/* A process and its mirror; and that all of it is gone in the end. */
int unit_setup(void **state);
int unit_teardown(void **state);

/* A fault for so many pages, to its end. */
int unit_fault(unsigned long addr, unsigned long npages, bool write);
/* Maps memory, and brings it in. */
void unit_mirrored(unsigned long addr, unsigned long npages, bool write);
/* Can it be accessed? It is not. */
bool unit_can(unsigned long addr, bool write);
/* Accesses it. */
void unit_touch(unsigned long addr, bool write);
u64 unit_leaves(void);

#endif /* UNIT_H */
