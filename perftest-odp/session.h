/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef SESSION_H
#define SESSION_H

#include "dev.h"
#include "mem.h"
#include "qp.h"

#include <stdbool.h>

struct options;

/*
 * What a test consists of. The active end decides, the passive end is told.
 * Every field is a number, so that it travels as an array.
 */
struct job {
	uint64_t version;
	uint64_t mode;	  /* enum job_mode */
	uint64_t seed;
	uint64_t mtus;	  /* bit n: the path MTU of enum ibv_mtu n */
	uint64_t mixes;	  /* bit n: mix number n, see mix_active() */
	uint64_t size;	  /* 0: the test's own choice */
	uint64_t iters;
	uint64_t seconds;
	uint64_t qps;
	uint64_t depth;
	uint64_t extent;  /* enum job_extent */
	uint64_t events;  /* churn: bits */
	uint64_t region;  /* big memory: bytes */
	uint64_t timeout; /* of the queue pairs */
	uint64_t spoil;	  /* sweep: flip a bit of this message; 0: of none */
};

/* Retries of the queue pairs */
#define QP_RETRY 7
#define JOB_VERSION 1
#define JOB_NUMBERS (sizeof(struct job) / sizeof(uint64_t))

enum job_mode { JOB_SWEEP, JOB_CHURN, JOB_REGION };
enum job_extent { EXTENT_QUICK, EXTENT_NORMAL, EXTENT_FULL };

/* A mix is the kinds of memory at both ends */
#define MIXES (MEM_KINDS * MEM_KINDS)

static inline unsigned int mix_of(enum mem_kind active, enum mem_kind passive)
{
	return active * MEM_KINDS + passive;
}

static inline enum mem_kind mix_active(unsigned int mix)
{
	return mix / MEM_KINDS;
}

static inline enum mem_kind mix_passive(unsigned int mix)
{
	return mix % MEM_KINDS;
}

/* What both ends can do: the lesser of the two */
struct common {
	uint64_t mtu;
	uint64_t max_sge;
	uint64_t rd_atomic;
	uint64_t inline_len; /* set by session_connect() */
	uint64_t odp;
	uint64_t implicit;
};

#define COMMON_NUMBERS (sizeof(struct common) / sizeof(uint64_t))

/* How it went, at one end */
struct verdict {
	uint64_t messages;
	uint64_t bytes;
	uint64_t wrong; /* messages with wrong bytes in or around them */
};

/* Where the other end's memory is */
struct remote {
	uint64_t addr;
	uint64_t rkey;
};

/* One of the two ends of a test */
struct side {
	struct dev dev;
	int ctl;
	bool active; /* posts SEND, WRITE and READ */
	const char *who;
	const struct options *opts;
	struct job job;
	struct common common;
	struct qps qps;
	uint32_t mtu; /* of the queue pairs now, bytes */
	unsigned int mix;
	struct region src, dst; /* where its messages come from and go to */
	struct remote peer_src, peer_dst;
	struct verdict verdict;
};

/**
 * session_run() - run a test at this end, or at both with --local
 * @opts: options of the command line
 * @job: what to do, if this is the active end
 * @body: called once at each end, when both have agreed
 *
 * Prints the sentence of a failure. Return: exit code of the program
 */
int session_run(const struct options *opts, const struct job *job,
		int (*body)(struct side *side));

/* Make job.qps queue pairs with path MTU @mtu, and connect them */
int session_connect(struct side *side, uint32_t mtu);
/* Tell the other end where our memory is, learn where its memory is */
int session_share_memory(struct side *side);
/* Close queue pairs and free the memory */
void session_disconnect(struct side *side);

/* Our kind of memory in mix side->mix */
static inline enum mem_kind side_kind(const struct side *side)
{
	return side->active ? mix_active(side->mix) : mix_passive(side->mix);
}

#endif
