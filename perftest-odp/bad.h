/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef BAD_H
#define BAD_H

#include "dev.h"
#include "loop.h"
#include "mem.h"

#include <stdbool.h>

#define BAD_TEXT 128
#define BAD_PAGES 16
#define BAD_SIZE (BAD_PAGES * 4096)

/* What a case starts with: two connected queue pairs, memory at both ends */
struct bad {
	struct dev dev_a, dev_b;
	enum mem_kind kind;
	struct loop loop; /* a sends, b is the other end */
	struct region mem_a, mem_b; /* BAD_SIZE bytes, a known pattern */
	bool ok;
	char expected[BAD_TEXT], got[BAD_TEXT];
};

/* One bad thing */
struct bad_case {
	const char *name;
	/* Return: RC_OK, RC_SKIP with a reason, else it could not be tried */
	int (*run)(struct bad *b);
	bool odp;	  /* needs on-demand memory */
	bool unconnected; /* queue pairs are left in INIT */
	const struct qp_spec *spec; /* NULL: loop_spec */
};

/* Lists end with a case without a name */
extern const struct bad_case bad_atomics[], bad_domains[], bad_keys[],
	bad_memory[], bad_queues[], bad_registration[], bad_states[];

/* A work request of one piece */
struct request {
	enum ibv_wr_opcode opcode;
	uint64_t addr;
	uint32_t len;
	uint32_t lkey;
	uint64_t remote_addr;
	uint32_t rkey;
};

#define REQUEST_LEN 100

/* A right one: REQUEST_LEN bytes from or to the start of a's and b's memory */
struct request good_request(const struct bad *b, enum ibv_wr_opcode opcode);
/* Return: errno value */
int post_request(struct ibv_qp *qp, const struct request *r, uint64_t wr_id);
int post_receive(struct ibv_qp *qp, uint64_t addr, uint32_t len, uint32_t lkey,
		 uint64_t wr_id);
/* Register BAD_SIZE bytes of b's memory once more, as b->kind */
struct ibv_mr *register_again(struct bad *b, struct ibv_pd *pd, int access);

#define ACCESS_ALL                                                       \
	(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE |              \
	 IBV_ACCESS_REMOTE_READ)

/*
 * What is expected, against what is got. These add to b->expected and b->got,
 * and clear b->ok if it is not so.
 */
#define ANY_ERROR (-1)
void expect_status(struct bad *b, const char *what, struct cq *cq,
		   uint64_t wr_id, int status);
/* One of two will do; it may be ANY_ERROR */
void expect_either(struct bad *b, const char *what, struct cq *cq,
		   uint64_t wr_id, int status, int other);
/* The requests @first .. @first + @n - 1 come back as flushed, in this order */
void expect_flushed(struct bad *b, const char *what, struct cq *cq,
		    uint64_t first, unsigned int n);
void expect_errno(struct bad *b, const char *what, int got, int expected);
void expect_true(struct bad *b, const char *what, bool is_so);
/* b's memory is what it was */
void expect_untouched(struct bad *b);

/* Post it at a, and expect that it fails with @status */
int expect_refused(struct bad *b, const struct request *r, int status);

#endif
