/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef BIGMEM_H
#define BIGMEM_H

struct side;

/* odp_perf verify --region: memory of any size at the passive end, written
 * through by the active end and read back, with a small buffer there */
int bigmem_run(struct side *side);

#endif
