/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Posting requests, and what is expected of them */
#include "bad.h"
#include "fail.h"
#include "pattern.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Longer than all retries that a case provokes */
#define SILENCE_MS 20000

static const char *status_name(int status)
{
	static const char *const names[] = {
		[IBV_WC_SUCCESS] = "SUCCESS",
		[IBV_WC_LOC_LEN_ERR] = "LOC_LEN_ERR",
		[IBV_WC_LOC_QP_OP_ERR] = "LOC_QP_OP_ERR",
		[IBV_WC_LOC_PROT_ERR] = "LOC_PROT_ERR",
		[IBV_WC_WR_FLUSH_ERR] = "WR_FLUSH_ERR",
		[IBV_WC_LOC_ACCESS_ERR] = "LOC_ACCESS_ERR",
		[IBV_WC_REM_INV_REQ_ERR] = "REM_INV_REQ_ERR",
		[IBV_WC_REM_ACCESS_ERR] = "REM_ACCESS_ERR",
		[IBV_WC_REM_OP_ERR] = "REM_OP_ERR",
		[IBV_WC_RETRY_EXC_ERR] = "RETRY_EXC_ERR",
		[IBV_WC_RNR_RETRY_EXC_ERR] = "RNR_RETRY_EXC_ERR",
		[IBV_WC_GENERAL_ERR] = "GENERAL_ERR",
	};

	if (status == ANY_ERROR)
		return "any error";
	if (status < (int)(sizeof(names) / sizeof(names[0])) && names[status])
		return names[status];
	return ibv_wc_status_str(status);
}

static const char *errno_name(int error)
{
	return error ? strerrorname_np(error) : "success";
}

static void append(char *text, const char *what, const char *value)
{
	size_t used = strlen(text);

	snprintf(text + used, BAD_TEXT - used, "%s%s%s%s", used ? ", " : "",
		 what, *what ? " " : "", value);
}

static void note(struct bad *b, const char *what, const char *expected,
		 const char *got, bool ok)
{
	append(b->expected, what, expected);
	append(b->got, what, got);
	b->ok &= ok;
}

struct request good_request(const struct bad *b, enum ibv_wr_opcode opcode)
{
	return (struct request){
		.opcode = opcode,
		.addr = (uintptr_t)b->mem_a.base,
		.len = REQUEST_LEN,
		.lkey = b->mem_a.mr->lkey,
		.remote_addr = (uintptr_t)b->mem_b.base,
		.rkey = b->mem_b.mr->rkey,
	};
}

int post_request(struct ibv_qp *qp, const struct request *r, uint64_t wr_id)
{
	struct ibv_sge sge = { r->addr, r->len, r->lkey };
	struct ibv_send_wr wr = {
		.wr_id = wr_id,
		.sg_list = &sge,
		.num_sge = r->len ? 1 : 0,
		.opcode = r->opcode,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { .remote_addr = r->remote_addr, .rkey = r->rkey },
	}, *bad;

	if (r->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD ||
	    r->opcode == IBV_WR_ATOMIC_CMP_AND_SWP) {
		wr.wr.atomic.remote_addr = r->remote_addr;
		wr.wr.atomic.compare_add = 1;
		wr.wr.atomic.swap = 2;
		wr.wr.atomic.rkey = r->rkey;
	}
	return ibv_post_send(qp, &wr, &bad);
}

int post_receive(struct ibv_qp *qp, uint64_t addr, uint32_t len, uint32_t lkey,
		 uint64_t wr_id)
{
	struct ibv_sge sge = { addr, len, lkey };
	struct ibv_recv_wr wr = { .wr_id = wr_id, .sg_list = &sge, .num_sge = 1 };
	struct ibv_recv_wr *bad;

	return ibv_post_recv(qp, &wr, &bad);
}

struct ibv_mr *register_again(struct bad *b, struct ibv_pd *pd, int access)
{
	if (b->kind != MEM_PINNED)
		access |= IBV_ACCESS_ON_DEMAND;
	return ibv_reg_mr(pd, b->mem_b.base, BAD_SIZE, access);
}

static bool matches(int status, int wanted)
{
	return wanted == ANY_ERROR ? status != IBV_WC_SUCCESS : status == wanted;
}

void expect_either(struct bad *b, const char *what, struct cq *cq,
		   uint64_t wr_id, int status, int other)
{
	char expected[64], got[64];
	struct ibv_wc wc;
	bool ok = false;

	if (status == other)
		snprintf(expected, sizeof(expected), "%s", status_name(status));
	else
		snprintf(expected, sizeof(expected), "%s or %s",
			 status_name(status), status_name(other));
	if (cq_next(cq, &wc, SILENCE_MS) <= 0) {
		snprintf(got, sizeof(got), "no completion");
	} else if (wc.wr_id != wr_id) {
		snprintf(got, sizeof(got), "%s of another request",
			 status_name(wc.status));
	} else {
		snprintf(got, sizeof(got), "%s", status_name(wc.status));
		ok = matches(wc.status, status) || matches(wc.status, other);
	}
	note(b, what, expected, got, ok);
}

void expect_status(struct bad *b, const char *what, struct cq *cq,
		   uint64_t wr_id, int status)
{
	expect_either(b, what, cq, wr_id, status, status);
}

void expect_errno(struct bad *b, const char *what, int got, int expected)
{
	note(b, what, errno_name(expected), errno_name(got), got == expected);
}

void expect_true(struct bad *b, const char *what, bool is_so)
{
	note(b, what, "yes", is_so ? "yes" : "no", is_so);
}

void expect_untouched(struct bad *b)
{
	struct pattern_diff diff;

	pattern_check(b->mem_b.base, BAD_SIZE, pattern_key(1, 2), 0, &diff);
	expect_true(b, "untouched", !diff.wrong);
}

void expect_flushed(struct bad *b, const char *what, struct cq *cq,
		    uint64_t first, unsigned int n)
{
	unsigned int i = 0;
	struct ibv_wc wc;

	while (i < n && cq_next(cq, &wc, SILENCE_MS) == 1 &&
	       wc.wr_id == first + i && wc.status == IBV_WC_WR_FLUSH_ERR)
		i++;
	expect_true(b, what, i == n);
}

int expect_refused(struct bad *b, const struct request *r, int status)
{
	int err = post_request(b->loop.a.qp, r, 1);

	if (err) {
		errno = err;
		return fail_errno(RC_WRONG, "ibv_post_send");
	}
	expect_status(b, "", &b->loop.a.send_cq, 1, status);
	expect_untouched(b);
	return RC_OK;
}
