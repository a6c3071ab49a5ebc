/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * odp_perf verify --churn: the messages, epoch by epoch.
 *
 * Both ends know the transfers of an epoch, made from the same random numbers,
 * and tell each other what their slots hold. Each busy slot of either end is
 * the source or the target of one transfer at most. When the transfers are
 * done, every byte of the target slots is looked at: the message where it
 * belongs, what was there before around it. Then they get new contents.
 */
#include "churn.h"
#include "ctl.h"
#include "fail.h"
#include "options.h"
#include "report.h"
#include "size.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SLOTS 256
#define SLOT_SIZE (64 * KiB)

struct traffic {
	struct side *side;
	struct churner churner;
	uint64_t epoch;
	struct xfer *xfers;
	unsigned int n;
	uint64_t *peer_keys;   /* one more: does the other end want to stop? */
	uint64_t *out;	       /* the same, for the other end */
	struct random random;  /* of this end only */
	uint64_t messages[OPS], bytes[OPS];
};

static void shuffle(struct random *r, unsigned int *a, unsigned int n)
{
	unsigned int i, j, swap;

	for (i = n; i > 1; i--) {
		j = random_below(r, i);
		swap = a[i - 1];
		a[i - 1] = a[j];
		a[j] = swap;
	}
}

/* The busy slots of one end, in no order. Return: how many */
static unsigned int busy_slots(struct traffic *t, struct random *r,
			       unsigned int *slots)
{
	unsigned int slot, n = 0;

	for (slot = 0; slot < t->churner.slots; slot++)
		if (slot_is_busy(slot, t->epoch))
			slots[n++] = slot;
	shuffle(r, slots, n);
	return n;
}

/* Half of them are short: 1 .. @max, each power of two as likely as the next */
static uint32_t random_length(struct random *r, uint64_t max)
{
	uint64_t limit = max;

	if (random_below(r, 2)) {
		limit = 2ull << random_below(r, 16);
		if (limit > max)
			limit = max;
	}
	return 1 + random_below(r, limit);
}

static void make_xfer(struct traffic *t, struct random *r, struct xfer *x,
		      unsigned int active_slot, unsigned int passive_slot)
{
	size_t size = t->churner.slot_size;
	uint64_t src, dst;

	memset(x, 0, sizeof(*x));
	x->op = random_below(r, OPS);
	x->number = x - t->xfers;
	x->len = random_length(r, size);
	x->active_segs = 1 + random_below(r, 2);
	x->recv_segs = 1 + random_below(r, 2);
	src = x->op == OP_READ ? passive_slot : active_slot;
	dst = x->op == OP_READ ? active_slot : passive_slot;
	x->src = src * size + random_below(r, size - x->len + 1);
	x->dst = dst * size + random_below(r, size - x->len + 1);
	x->inline_data = x->op != OP_READ && x->len <= t->side->common.inline_len &&
			 random_below(r, 2);
}

static void make_epoch(struct traffic *t)
{
	struct job *job = &t->side->job;
	struct random r = { pattern_mix(job->seed) + t->epoch };
	unsigned int active[SLOTS], passive[SLOTS], i;

	t->n = busy_slots(t, &r, active);
	busy_slots(t, &r, passive);
	if (t->n > job->qps * job->depth)
		t->n = job->qps * job->depth;
	for (i = 0; i < t->n; i++)
		make_xfer(t, &r, &t->xfers[i], active[i], passive[i]);
}

static void describe(struct traffic *t, const struct xfer *x,
		     unsigned int slot, const char *what, uint64_t at,
		     const struct pattern_diff *diff)
{
	const struct churner *c = &t->churner;
	const struct side *side = t->side;

	report_wrong("%s: %s of %u bytes, path MTU %u, %s to %s memory, epoch %llu, slot %u (last event there: %s): %llu bytes wrong %s, the first at %llu: expected %02x, got %02x",
		     side->dev.name, op_name(x->op), x->len, side->mtu,
		     mem_kind_name(mix_active(side->mix)),
		     mem_kind_name(mix_passive(side->mix)),
		     (unsigned long long)t->epoch, slot,
		     c->last[slot] == EVENTS ? "none" :
					       event_types[c->last[slot]].name,
		     (unsigned long long)diff->wrong, what,
		     (unsigned long long)(at + diff->offset), diff->expected,
		     diff->got);
}

/* Bytes @from .. @to - 1 of a slot. Return: are they as @key wants? */
static bool right(struct traffic *t, const struct xfer *x, unsigned int slot,
		  uint64_t from, uint64_t to, uint64_t key, uint64_t key_from,
		  const char *what)
{
	struct pattern_diff diff;

	if (!pattern_check(slot_start(&t->churner, slot) + from, to - from, key,
			   key_from, &diff))
		return true;
	describe(t, x, slot, what, from, &diff);
	return false;
}

/* New contents, or pages that are not there yet */
static void renew(struct traffic *t, unsigned int slot)
{
	uint64_t number = random_next(&t->random);

	slot_refill(&t->churner, slot, pattern_key(t->churner.seed, number));
}

static void check_target(struct traffic *t, const struct xfer *x)
{
	struct churner *c = &t->churner;
	unsigned int slot = x->dst / c->slot_size;
	uint64_t begin = x->dst % c->slot_size, end = begin + x->len;
	uint64_t old = c->keys[slot];
	uint64_t key = t->peer_keys[x->src / c->slot_size];

	t->messages[x->op]++;
	t->bytes[x->op] += x->len;
	t->side->verdict.messages++;
	t->side->verdict.bytes += x->len;
	if (!right(t, x, slot, 0, begin, old, 0, "before the message") ||
	    !right(t, x, slot, begin, end, key, x->src % c->slot_size,
		   "in the message") ||
	    !right(t, x, slot, end, c->slot_size, old, end,
		   "after the message"))
		t->side->verdict.wrong++;
	renew(t, slot);
}

/* A quarter of the sources: are they what they were? */
static void check_source(struct traffic *t, const struct xfer *x)
{
	struct churner *c = &t->churner;
	unsigned int slot = x->src / c->slot_size;

	if (!x->inline_data && random_below(&t->random, 4))
		return;
	if (!x->inline_data &&
	    !right(t, x, slot, 0, c->slot_size, c->keys[slot], 0,
		   "in the source, which nobody wrote to"))
		t->side->verdict.wrong++;
	renew(t, slot);
}

static void check_epoch(struct traffic *t)
{
	unsigned int i;

	for (i = 0; i < t->n; i++) {
		if (xfer_is_target(t->side, &t->xfers[i]))
			check_target(t, &t->xfers[i]);
		else
			check_source(t, &t->xfers[i]);
	}
}

/* What the slots hold, and whether this was the last epoch (the active end says) */
static int tell_keys(struct traffic *t, int rc, bool stop, bool *stopped)
{
	struct churner *c = &t->churner;

	memcpy(t->out, c->keys, c->slots * sizeof(*t->out));
	t->out[c->slots] = stop;
	rc = ctl_exchange(t->side->ctl, rc, t->out, t->peer_keys, c->slots + 1);
	*stopped = stop || (!rc && t->peer_keys[c->slots]);
	return rc;
}

static int run_epoch(struct traffic *t, bool stop, bool *stopped)
{
	struct side *side = t->side;
	int rc = RC_OK;

	churner_turn(&t->churner, t->epoch);
	make_epoch(t);
	if (!side->active && !stop)
		rc = xfer_post_recvs(side, t->xfers, t->n);
	rc = tell_keys(t, rc, stop, stopped);
	if (rc || *stopped)
		return rc;
	if (side->active)
		rc = xfer_run(side, t->xfers, t->n);
	rc = ctl_barrier(side->ctl, rc);
	if (!rc && !side->active)
		rc = xfer_reap_recvs(side, t->xfers, t->n);
	if (!rc)
		check_epoch(t);
	t->epoch++;
	return rc;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static int run_epochs(struct traffic *t, double seconds)
{
	double end = now() + seconds;
	bool stopped = false;
	int rc = RC_OK;

	while (!rc && !stopped)
		rc = run_epoch(t, t->side->active && now() >= end, &stopped);
	return rc;
}

static int allocate(struct traffic *t)
{
	unsigned int n = t->churner.slots;

	t->xfers = calloc(n, sizeof(*t->xfers));
	t->peer_keys = calloc(n + 1, sizeof(*t->peer_keys));
	t->out = calloc(n + 1, sizeof(*t->out));
	if (!t->xfers || !t->peer_keys || !t->out)
		return fail_errno(RC_WRONG, "memory for %u messages", n);
	return RC_OK;
}

static int set_up(struct traffic *t)
{
	struct side *side = t->side;
	struct churner *c = &t->churner;
	size_t skew;
	int rc;

	c->region = &side->src;
	c->slots = SLOTS;
	c->slot_size = round_up(side->job.size ? side->job.size : SLOT_SIZE, PAGE);
	c->events = side->job.events;
	c->seed = pattern_mix(side->job.seed + 2 * side->mix + side->active);
	t->random.state = c->seed;
	skew = round_down(c->slot_size / 2, PAGE) % LEAF;
	rc = region_map(&side->src, c->slots * c->slot_size, skew);
	if (!rc)
		rc = region_register(&side->src, &side->dev, side_kind(side));
	if (!rc)
		rc = allocate(t);
	if (!rc)
		rc = churner_set_up(c);
	rc = ctl_barrier(side->ctl, rc);
	if (!rc)
		rc = session_connect(side, side->mtu);
	if (!rc)
		rc = session_share_memory(side);
	/* With --local, the other end's address space is this one, too */
	if (!rc)
		rc = ctl_barrier(side->ctl, RC_OK);
	return rc ? rc : churner_start(c);
}

static void tear_down(struct traffic *t)
{
	session_disconnect(t->side);
	churner_free(&t->churner);
	free(t->xfers);
	free(t->peer_keys);
	free(t->out);
}

/* What both ends have done: this end's numbers, then the other's */
struct tally {
	uint64_t messages[OPS], bytes[OPS];
	uint64_t asked, done[EVENTS], effects[EVENTS];
};

static void print_traffic(const struct traffic *t, const struct tally *mine,
			  const struct tally *theirs)
{
	static const char *const columns[] = { "operation", "messages", "bytes",
					       NULL };
	const struct side *side = t->side;
	struct table table;
	char title[128];
	int i;

	snprintf(title, sizeof(title),
		 "Checked in %llu epochs, path MTU %u, %s to %s memory",
		 (unsigned long long)t->epoch, side->mtu,
		 mem_kind_name(mix_active(side->mix)),
		 mem_kind_name(mix_passive(side->mix)));
	table_begin(&table, title, columns);
	for (i = 0; i < OPS; i++) {
		table_text(&table, "%s", op_name(i));
		table_count(&table, mine->messages[i] + theirs->messages[i]);
		table_count(&table, mine->bytes[i] + theirs->bytes[i]);
	}
	table_end(&table, side->opts->json);
}

static void print_events(const struct side *side, const struct tally *mine,
			 const struct tally *theirs)
{
	static const char *const columns[] = {
		"event", "active end", "effect at active",
		"passive end", "effect at passive", "effect is", NULL
	};
	struct table table;
	int i;

	table_begin(&table, "Events meanwhile", columns);
	for (i = 0; i < EVENTS; i++) {
		if (!((mine->asked | theirs->asked) & (1u << i)))
			continue;
		table_text(&table, "%s", event_types[i].name);
		table_count(&table, mine->done[i]);
		table_count(&table, mine->effects[i]);
		table_count(&table, theirs->done[i]);
		table_count(&table, theirs->effects[i]);
		table_text(&table, "%s", event_types[i].effect);
	}
	table_end(&table, side->opts->json);
}

static int report(struct traffic *t)
{
	const struct churner *c = &t->churner;
	struct side *side = t->side;
	struct tally mine = { .asked = c->events }, theirs;
	int rc;

	memcpy(mine.messages, t->messages, sizeof(mine.messages));
	memcpy(mine.bytes, t->bytes, sizeof(mine.bytes));
	memcpy(mine.done, c->done, sizeof(mine.done));
	memcpy(mine.effects, c->effects, sizeof(mine.effects));
	rc = ctl_exchange(side->ctl, RC_OK, (uint64_t *)&mine,
			  (uint64_t *)&theirs, sizeof(mine) / sizeof(uint64_t));
	if (rc || !side->active)
		return rc;
	print_traffic(t, &mine, &theirs);
	if (mine.asked | theirs.asked)
		print_events(side, &mine, &theirs);
	return RC_OK;
}

static int run_mix(struct side *side, double seconds)
{
	struct traffic t = { .side = side };
	int rc, stop_rc;

	rc = set_up(&t);
	if (!rc)
		rc = run_epochs(&t, seconds);
	stop_rc = churner_stop(&t.churner);
	rc = ctl_barrier(side->ctl, rc ? rc : stop_rc);
	if (!rc)
		rc = report(&t);
	tear_down(&t);
	return rc;
}

int churn_run(struct side *side)
{
	unsigned int mixes = __builtin_popcount(side->job.mixes);
	int rc = RC_OK;

	for (side->mix = 0; side->mix < MIXES && !rc; side->mix++) {
		if (!(side->job.mixes & (1u << side->mix)))
			continue;
		rc = run_mix(side, (double)side->job.seconds / mixes);
	}
	return rc;
}
