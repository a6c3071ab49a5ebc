/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef XFER_H
#define XFER_H

#include "session.h"

/*
 * Transfers: messages that are checked byte by byte.
 *
 * Both ends hold the same list of transfers, made from the same numbers. The
 * data of a transfer comes from the source end's memory and goes to the target
 * end's. For SEND and WRITE the active end is the source, for READ the target.
 */
enum op { OP_SEND, OP_SEND_IMM, OP_WRITE, OP_WRITE_IMM, OP_READ, OPS };

const char *op_name(enum op op);

#define XFER_MAX_SEGS QP_MAX_SGE

struct xfer {
	enum op op;
	uint32_t number;     /* also the immediate data */
	uint64_t key;	     /* pattern of the message */
	uint64_t src, dst;   /* where it begins in the source, target region */
	uint32_t len;
	uint8_t active_segs; /* pieces at the active end, 1 or more */
	uint8_t recv_segs;   /* pieces at the passive end; SEND only */
	uint32_t gap;	     /* bytes between two pieces */
	bool inline_data;
	/* For the plan: page offsets wanted, or a 2 MiB border in the middle */
	uint16_t src_class, dst_class;
	bool cross;
};

/* A piece of a transfer in a region */
struct seg {
	uint64_t offset; /* in the region */
	uint32_t len;
	uint64_t from;	 /* its first byte's place in the message */
};

/* Is the target of @x at this end? (If not, the source is.) */
bool xfer_is_target(const struct side *side, const struct xfer *x);
/*
 * The pieces of @x at its target or source end. Return: how many; 0 for no bytes
 */
unsigned int xfer_segs(const struct xfer *x, bool target,
		       struct seg segs[XFER_MAX_SEGS]);
/* Bytes of the region from the first piece to the end of the last one */
uint64_t xfer_extent(const struct xfer *x, bool target);

/**
 * xfer_post_recvs() - post the receives that a batch needs; passive end
 * @side: the passive end
 * @batch: at most job.depth transfers per queue pair
 * @n: number of transfers
 *
 * Transfer i uses queue pair i modulo job.qps.
 */
int xfer_post_recvs(struct side *side, const struct xfer *batch, unsigned int n);
/* Take and check the completions of these receives; passive end */
int xfer_reap_recvs(struct side *side, const struct xfer *batch, unsigned int n);
/* Post a batch and take all its completions; active end */
int xfer_run(struct side *side, const struct xfer *batch, unsigned int n);

#endif
