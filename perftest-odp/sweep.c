/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Per batch of messages: the source end writes the messages into its source
 * region, the target end makes the guards around the places where they go.
 * They meet. The active end sends the batch. They meet again, and the target
 * end looks at every byte of the messages and the guards, and at some bytes
 * elsewhere.
 *
 * In every other batch the guards are zeros. On-demand memory is then dropped
 * by MADV_DONTNEED and not touched by the CPU, so that the pages that a message
 * goes to do not exist when it comes.
 */
#include "sweep.h"
#include "ctl.h"
#include "fail.h"
#include "options.h"
#include "pattern.h"
#include "plan.h"
#include "report.h"
#include "size.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* Bytes that are looked at outside of messages and guards */
#define PROBES 64

struct sweep {
	struct side *side;
	const struct xfer *batch;
	unsigned int n;
	uint64_t batch_number; /* through the whole test */
	uint64_t guard;	       /* pattern key of the guards */
	struct random random;  /* of this end only */
	uint64_t probe[PROBES];
	uint8_t probed[PROBES];
};

static bool is_fresh(const struct sweep *s)
{
	return s->batch_number % 2;
}

static void fill_source(struct sweep *s, const struct xfer *x)
{
	struct seg segs[XFER_MAX_SEGS];
	unsigned int i, n = xfer_segs(x, false, segs);

	for (i = 0; i < n; i++)
		pattern_fill(s->side->src.base + segs[i].offset, segs[i].len,
			     x->key, segs[i].from);
}

static void fill_guard(struct sweep *s, const struct xfer *x)
{
	uint64_t from = x->dst - PLAN_GUARD;

	pattern_fill(s->side->dst.base + from,
		     xfer_extent(x, true) + 2 * PLAN_GUARD, s->guard, from);
}

/* Let on-demand memory that the batch uses be pages that do not exist */
static int drop_pages(struct sweep *s)
{
	struct side *side = s->side;

	if (madvise(side->src.base, side->src.size, MADV_DONTNEED) ||
	    madvise(side->dst.base, side->dst.size, MADV_DONTNEED))
		return fail_errno(RC_WRONG, "madvise(MADV_DONTNEED)");
	return RC_OK;
}

static bool inside_window(const struct sweep *s, uint64_t offset)
{
	const struct xfer *x;
	unsigned int i;

	for (i = 0; i < s->n; i++) {
		x = &s->batch[i];
		if (xfer_is_target(s->side, x) &&
		    offset >= x->dst - PLAN_GUARD &&
		    offset < x->dst + xfer_extent(x, true) + PLAN_GUARD)
			return true;
	}
	return false;
}

static void set_probes(struct sweep *s)
{
	unsigned int i;

	for (i = 0; i < PROBES; i++) {
		s->probe[i] = random_below(&s->random, PLAN_REGION);
		s->probed[i] = s->side->dst.base[s->probe[i]];
	}
}

static int prepare(struct sweep *s)
{
	struct side *side = s->side;
	bool dropped = is_fresh(s) && side_kind(side) != MEM_PINNED;
	unsigned int i;

	s->guard = is_fresh(s) ? PATTERN_ZERO :
				 pattern_key(side->job.seed, s->batch_number);
	if (dropped && drop_pages(s))
		return RC_WRONG;
	for (i = 0; i < s->n; i++) {
		if (!xfer_is_target(side, &s->batch[i]))
			fill_source(s, &s->batch[i]);
		else if (!dropped)
			fill_guard(s, &s->batch[i]);
	}
	set_probes(s);
	return side->active ? RC_OK : xfer_post_recvs(side, s->batch, s->n);
}

static void describe(const struct sweep *s, const struct xfer *x,
		     const char *where, uint64_t message_offset,
		     const struct pattern_diff *diff)
{
	const struct side *side = s->side;

	report_wrong("%s: %s%s of %u bytes, path MTU %u, %s to %s memory, message %u, page offset %llu to %llu%s: %llu bytes wrong %s, the first at %lld: expected %02x, got %02x",
		     side->dev.name, op_name(x->op),
		     x->inline_data ? " inline" : "", x->len, side->mtu,
		     mem_kind_name(mix_active(side->mix)),
		     mem_kind_name(mix_passive(side->mix)), x->number,
		     (unsigned long long)x->src % PAGE,
		     (unsigned long long)x->dst % PAGE,
		     x->cross ? " across a 2 MiB border" : "",
		     (unsigned long long)diff->wrong, where,
		     (long long)(message_offset + diff->offset), diff->expected,
		     diff->got);
}

/* Guard bytes @from .. @to - 1 of the region. Return: is one wrong? */
static bool check_guard(struct sweep *s, const struct xfer *x, uint64_t from,
			uint64_t to)
{
	struct pattern_diff diff;

	if (!pattern_check(s->side->dst.base + from, to - from, s->guard, from,
			   &diff))
		return false;
	describe(s, x, "around the message (offset from its start)",
		 from - x->dst, &diff);
	return true;
}

/* Return: is a byte of the message or its guards wrong? */
static bool check_message(struct sweep *s, const struct xfer *x)
{
	struct seg segs[XFER_MAX_SEGS];
	unsigned int i, n = xfer_segs(x, true, segs);
	uint64_t end = x->dst - PLAN_GUARD;
	struct pattern_diff diff;
	bool wrong = false;

	for (i = 0; i < n; i++) {
		wrong |= check_guard(s, x, end, segs[i].offset);
		end = segs[i].offset + segs[i].len;
		if (!pattern_check(s->side->dst.base + segs[i].offset,
				   segs[i].len, x->key, segs[i].from, &diff))
			continue;
		describe(s, x, "in the message", segs[i].from, &diff);
		wrong = true;
	}
	wrong |= check_guard(s, x, end,
			     x->dst + xfer_extent(x, true) + PLAN_GUARD);
	return wrong;
}

static void check_probes(struct sweep *s)
{
	unsigned int i;
	uint8_t got;

	for (i = 0; i < PROBES; i++) {
		got = s->side->dst.base[s->probe[i]];
		if (got == s->probed[i] || inside_window(s, s->probe[i]))
			continue;
		s->side->verdict.wrong++;
		report_wrong("%s: a byte far from any message changed, at offset %llu of the region: expected %02x, got %02x",
			     s->side->dev.name,
			     (unsigned long long)s->probe[i], s->probed[i],
			     got);
	}
}

/* A test of the test: a bit in the message or its guards */
static void spoil(struct sweep *s, const struct xfer *x)
{
	uint64_t extent = xfer_extent(x, true) + 2 * PLAN_GUARD;
	uint64_t at = x->dst - PLAN_GUARD + random_below(&s->random, extent);

	s->side->dst.base[at] ^= 1 << random_below(&s->random, 8);
}

static void check(struct sweep *s)
{
	struct verdict *v = &s->side->verdict;
	unsigned int i;

	for (i = 0; i < s->n; i++) {
		if (!xfer_is_target(s->side, &s->batch[i]))
			continue;
		v->messages++;
		v->bytes += s->batch[i].len;
		if (v->messages == s->side->job.spoil)
			spoil(s, &s->batch[i]);
		v->wrong += check_message(s, &s->batch[i]);
	}
	check_probes(s);
}

static int run_batch(struct sweep *s)
{
	struct side *side = s->side;
	int rc;

	rc = ctl_barrier(side->ctl, prepare(s));
	if (rc)
		return rc;
	if (side->active)
		rc = xfer_run(side, s->batch, s->n);
	rc = ctl_barrier(side->ctl, rc);
	if (!rc && !side->active)
		rc = xfer_reap_recvs(side, s->batch, s->n);
	if (!rc)
		check(s);
	return rc;
}

/* Memory of mix side->mix; every other 2 MiB of it has no huge page */
static int set_up_memory(struct side *side)
{
	struct region *regions[2] = { &side->src, &side->dst };
	uint64_t at;
	int i, rc = RC_OK;

	for (i = 0; i < 2 && !rc; i++) {
		rc = region_map(regions[i], PLAN_REGION, 0);
		for (at = LEAF; at < PLAN_REGION && !rc; at += 2 * LEAF)
			/* Fails where the kernel has no huge pages at all */
			madvise(regions[i]->base + at, LEAF, MADV_NOHUGEPAGE);
		if (!rc)
			rc = region_register(regions[i], &side->dev,
					     side_kind(side));
	}
	return ctl_barrier(side->ctl, rc);
}

static int run_plan(struct sweep *s, uint64_t round)
{
	struct side *side = s->side;
	struct plan plan;
	int rc = RC_OK;

	plan_make(&plan, side, round);
	while (!rc) {
		s->n = plan_batch(&plan, side->job.depth, &s->batch);
		if (!s->n)
			break;
		rc = run_batch(s);
		s->batch_number++;
	}
	plan_free(&plan);
	return rc;
}

static int run_mix(struct sweep *s, enum ibv_mtu mtu, uint64_t round)
{
	struct side *side = s->side;
	struct verdict before = side->verdict;
	int rc;

	rc = set_up_memory(side);
	if (!rc)
		rc = session_connect(side, mtu_to_bytes(mtu));
	if (!rc)
		rc = session_share_memory(side);
	if (!rc)
		rc = run_plan(s, round);
	session_disconnect(side);
	if (!rc)
		rc = report_mix(side, &before);
	return rc;
}

static int run_mtus(struct sweep *s, uint64_t *round)
{
	struct side *side = s->side;
	enum ibv_mtu mtu;
	int rc = RC_OK;

	for (mtu = IBV_MTU_256; mtu <= IBV_MTU_4096; mtu++) {
		if (!(side->job.mtus & (1u << mtu)))
			continue;
		for (side->mix = 0; side->mix < MIXES && !rc; side->mix++)
			if (side->job.mixes & (1u << side->mix))
				rc = run_mix(s, mtu, (*round)++);
	}
	return rc;
}

int sweep_run(struct side *side)
{
	struct sweep s = { .side = side, .random = { side->active } };
	uint64_t i, round = 0;
	int rc = RC_OK;

	for (i = 0; i < side->job.iters && !rc; i++)
		rc = run_mtus(&s, &round);
	return rc;
}
