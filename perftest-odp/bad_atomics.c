/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Atomics at places and with rights that are not for them */
#include "bad.h"
#include "fail.h"

#include <errno.h>
#include <sys/mman.h>

#define WORD 8
#define ATOMIC_RIGHTS (IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_ATOMIC)

static const struct qp_spec none_at_a_time = {
	.depth = 16,
	.max_sge = 2,
	.timeout = 16,
	.retry = 7,
	.rnr_retry = 7,
};

/* What the peer may do at b */
static int allow(struct bad *b, int access)
{
	struct ibv_qp_attr attr = { .qp_access_flags = access };

	if (b->dev_b.attr.orig_attr.atomic_cap == IBV_ATOMIC_NONE)
		return fail(RC_SKIP, "%s has no atomics", b->dev_b.name);
	if (ibv_modify_qp(b->loop.b.qp, &attr, IBV_QP_ACCESS_FLAGS))
		return fail_errno(RC_WRONG, "ibv_modify_qp of the access flags");
	return RC_OK;
}

/* Adds to b's memory, registered again with @access; @r is right but for what it has */
static int add(struct bad *b, int access, struct request r, int status)
{
	struct ibv_mr *mr = register_again(b, b->dev_b.pd, access);
	int rc;

	if (!mr)
		return fail_errno(RC_WRONG, "ibv_reg_mr");
	r.rkey = mr->rkey;
	rc = expect_refused(b, &r, status);
	ibv_dereg_mr(mr);
	return rc;
}

static struct request good_add(const struct bad *b)
{
	struct request r = good_request(b, IBV_WR_ATOMIC_FETCH_AND_ADD);

	r.len = WORD;
	return r;
}

static int add_at(struct bad *b, enum ibv_wr_opcode opcode, long offset, int status)
{
	struct request r = good_add(b);
	int rc = allow(b, ATOMIC_RIGHTS);

	r.opcode = opcode;
	r.remote_addr += offset;
	return rc ? rc : add(b, ATOMIC_RIGHTS, r, status);
}

static int misaligned_add(struct bad *b)
{
	return add_at(b, IBV_WR_ATOMIC_FETCH_AND_ADD, WORD / 2, IBV_WC_REM_INV_REQ_ERR);
}

static int misaligned_swap(struct bad *b)
{
	return add_at(b, IBV_WR_ATOMIC_CMP_AND_SWP, 1, IBV_WC_REM_INV_REQ_ERR);
}

static int behind_region(struct bad *b)
{
	return add_at(b, IBV_WR_ATOMIC_FETCH_AND_ADD, BAD_SIZE, IBV_WC_REM_ACCESS_ERR);
}

static int before_region(struct bad *b)
{
	return add_at(b, IBV_WR_ATOMIC_CMP_AND_SWP, -WORD, IBV_WC_REM_ACCESS_ERR);
}

static int region_without_right(struct bad *b)
{
	int rc = allow(b, ATOMIC_RIGHTS);

	return rc ? rc : add(b, ACCESS_ALL, good_add(b), IBV_WC_REM_ACCESS_ERR);
}

static int qp_without_right(struct bad *b)
{
	struct request r = good_add(b);
	struct ibv_mr *mr;
	int rc = allow(b, ACCESS_ALL);

	if (rc)
		return rc;
	mr = register_again(b, b->dev_b.pd, ATOMIC_RIGHTS);
	if (!mr)
		return fail_errno(RC_WRONG, "ibv_reg_mr");
	r.rkey = mr->rkey;
	if (post_request(b->loop.a.qp, &r, 1))
		return fail(RC_WRONG, "ibv_post_send");
	expect_either(b, "", &b->loop.a.send_cq, 1, IBV_WC_REM_INV_REQ_ERR,
		      IBV_WC_REM_ACCESS_ERR);
	expect_untouched(b);
	ibv_dereg_mr(mr);
	return RC_OK;
}

static int unknown_rkey(struct bad *b)
{
	struct request r = good_add(b);
	int rc = allow(b, ATOMIC_RIGHTS);

	r.rkey = ~r.rkey;
	return rc ? rc : expect_refused(b, &r, IBV_WC_REM_ACCESS_ERR);
}

static int read_only(struct bad *b)
{
	int rc = allow(b, ATOMIC_RIGHTS);

	if (!rc && mprotect(b->mem_b.base, BAD_SIZE, PROT_READ))
		rc = fail_errno(RC_WRONG, "mprotect");
	return rc ? rc : add(b, ATOMIC_RIGHTS, good_add(b), IBV_WC_REM_ACCESS_ERR);
}

static int region_without_local_write(struct bad *b)
{
	int rc = allow(b, ATOMIC_RIGHTS);
	struct ibv_mr *mr;

	if (rc)
		return rc;
	errno = 0;
	mr = register_again(b, b->dev_b.pd, IBV_ACCESS_REMOTE_ATOMIC);
	expect_errno(b, "", errno, EINVAL);
	if (mr)
		ibv_dereg_mr(mr);
	return RC_OK;
}

/* It is refused at once. */
static int of_length(struct bad *b, uint32_t len)
{
	struct request r = good_add(b);
	int rc = allow(b, ATOMIC_RIGHTS);

	r.len = len;
	if (rc)
		return rc;
	expect_errno(b, "", post_request(b->loop.a.qp, &r, 1), EINVAL);
	expect_untouched(b);
	return RC_OK;
}

static int too_short(struct bad *b)
{
	return of_length(b, WORD / 2);
}

static int too_long(struct bad *b)
{
	return of_length(b, 2 * WORD);
}

static int nowhere(struct bad *b)
{
	return of_length(b, 0);
}

static int none_allowed(struct bad *b)
{
	struct request r = good_add(b);
	int rc = allow(b, ATOMIC_RIGHTS);

	return rc ? rc : add(b, ATOMIC_RIGHTS, r, IBV_WC_LOC_QP_OP_ERR);
}

const struct bad_case bad_atomics[] = {
	{ .name = "misaligned fetch and add", .run = misaligned_add },
	{ .name = "misaligned compare and swap", .run = misaligned_swap },
	{ .name = "atomic behind the region", .run = behind_region },
	{ .name = "atomic before the region", .run = before_region },
	{ .name = "atomic without REMOTE_ATOMIC", .run = region_without_right },
	{ .name = "atomic at QP without right", .run = qp_without_right },
	{ .name = "atomic with unknown rkey", .run = unknown_rkey },
	{ .name = "atomic in read-only memory", .run = read_only, .odp = true },
	{ .name = "REMOTE_ATOMIC without LOCAL_WRITE",
	  .run = region_without_local_write },
	{ .name = "atomic with 4 bytes for the result", .run = too_short },
	{ .name = "atomic with 16 bytes for the result", .run = too_long },
	{ .name = "atomic with no place for the result", .run = nowhere },
	{ .name = "atomic where none is allowed", .run = none_allowed,
	  .spec = &none_at_a_time },
	{ .name = NULL },
};
