/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef SWEEP_H
#define SWEEP_H

struct side;

/* The pattern test: all messages of the plan, for each path MTU and mix */
int sweep_run(struct side *side);

#endif
