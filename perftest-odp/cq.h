/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef CQ_H
#define CQ_H

#include <infiniband/verbs.h>
#include <stdint.h>

struct dev;

#define CQ_BATCH 16

/* A completion queue that is slept on, with the completions already polled */
struct cq {
	struct ibv_cq *cq;
	struct ibv_comp_channel *channel;
	struct ibv_wc wc[CQ_BATCH];
	int first, n;
};

int cq_open(struct cq *cq, struct dev *dev, int depth);
void cq_close(struct cq *cq);

/**
 * cq_next() - take the next completion
 * @cq: completion queue
 * @wc: where it goes
 * @timeout_ms: how long to wait for it
 *
 * Return: 1 with a completion, 0 if none came in time, -1 with a sentence in
 * fail_text()
 */
int cq_next(struct cq *cq, struct ibv_wc *wc, int timeout_ms);

#endif
