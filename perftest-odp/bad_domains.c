/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Parent and thread domains: what they cannot be made of, and what they keep */
#include "bad.h"
#include "fail.h"

#include <errno.h>

/* Make a parent domain, and free it if it worked. Return: errno value */
static int try(struct bad *b, struct ibv_pd *pd, uint32_t comp_mask)
{
	struct ibv_parent_domain_init_attr attr = { .pd = pd, .comp_mask = comp_mask };
	struct ibv_pd *parent = ibv_alloc_parent_domain(b->dev_b.ctx, &attr);

	return parent ? ibv_dealloc_pd(parent) : errno;
}

static int parent_of_nothing(struct bad *b)
{
	expect_errno(b, "", try(b, NULL, 0), EINVAL);
	return RC_OK;
}

static int parent_of_another_context(struct bad *b)
{
	struct ibv_context *ctx = ibv_open_device(b->dev_b.ctx->device);
	struct ibv_pd *pd = ctx ? ibv_alloc_pd(ctx) : NULL;

	if (!pd)
		return fail(RC_WRONG, "cannot open %s again", b->dev_b.name);
	expect_errno(b, "", try(b, pd, 0), EINVAL);
	ibv_dealloc_pd(pd);
	ibv_close_device(ctx);
	return RC_OK;
}

static int unknown_parent_field(struct bad *b)
{
	expect_errno(b, "", try(b, b->dev_b.pd, 1u << 31), EOPNOTSUPP);
	return RC_OK;
}

static int unknown_thread_field(struct bad *b)
{
	struct ibv_td_init_attr attr = { .comp_mask = 1 };
	struct ibv_td *td = ibv_alloc_td(b->dev_b.ctx, &attr);

	expect_errno(b, "", td ? 0 : errno, EOPNOTSUPP);
	if (td)
		ibv_dealloc_td(td);
	return RC_OK;
}

static struct ibv_cq_ex *cq_in(struct bad *b, struct ibv_pd *pd)
{
	struct ibv_cq_init_attr_ex attr = {
		.cqe = 1,
		.comp_mask = IBV_CQ_INIT_ATTR_MASK_PD,
		.parent_domain = pd,
	};

	return ibv_create_cq_ex(b->dev_b.ctx, &attr);
}

static int cq_in_plain_domain(struct bad *b)
{
	struct ibv_cq_ex *cq = cq_in(b, b->dev_b.pd);

	expect_errno(b, "", cq ? 0 : errno, EINVAL);
	if (cq)
		ibv_destroy_cq(ibv_cq_ex_to_cq(cq));
	return RC_OK;
}

/* In the order in which they may go, each is tried to be freed too early. */
static int domains_in_use(struct bad *b)
{
	struct ibv_td_init_attr td_attr = { 0 };
	struct ibv_parent_domain_init_attr attr = {
		.pd = ibv_alloc_pd(b->dev_b.ctx),
		.td = ibv_alloc_td(b->dev_b.ctx, &td_attr),
	};
	struct ibv_pd *parent;
	struct ibv_cq_ex *cq;

	if (!attr.pd || !attr.td)
		return fail_errno(RC_WRONG, "a domain to begin with");
	parent = ibv_alloc_parent_domain(b->dev_b.ctx, &attr);
	cq = parent ? cq_in(b, parent) : NULL;
	if (!cq)
		return fail_errno(RC_WRONG, "a parent domain and a CQ in it");
	expect_errno(b, "parent", ibv_dealloc_pd(parent), EBUSY);
	ibv_destroy_cq(ibv_cq_ex_to_cq(cq));
	expect_errno(b, "TD", ibv_dealloc_td(attr.td), EBUSY);
	expect_errno(b, "PD", ibv_dealloc_pd(attr.pd), EBUSY);
	expect_true(b, "then free", !ibv_dealloc_pd(parent) && !ibv_dealloc_td(attr.td) &&
				    !ibv_dealloc_pd(attr.pd));
	return RC_OK;
}

const struct bad_case bad_domains[] = {
	{ .name = "parent domain of nothing", .run = parent_of_nothing },
	{ .name = "parent domain of another context's PD",
	  .run = parent_of_another_context },
	{ .name = "unknown field of a parent domain", .run = unknown_parent_field },
	{ .name = "unknown field of a thread domain", .run = unknown_thread_field },
	{ .name = "CQ in a PD that is no parent", .run = cq_in_plain_domain },
	{ .name = "free domains in use", .run = domains_in_use },
	{ .name = NULL },
};
