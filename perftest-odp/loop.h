/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef LOOP_H
#define LOOP_H

#include "qp.h"

/* Two connected queue pairs of this process, on one device or on two */
struct end {
	struct dev *dev;
	struct cq send_cq, recv_cq;
	struct ibv_qp *qp;
};

struct loop {
	struct end a, b;
	struct qp_spec spec;
};

/* Create both queue pairs; they are in INIT */
int loop_create(struct loop *loop, struct dev *a, struct dev *b,
		const struct qp_spec *spec);
/* Both to RTS */
int loop_connect(struct loop *loop);
/* Right after any failure, too */
void loop_close(struct loop *loop);

extern const struct qp_spec loop_spec;

#endif
