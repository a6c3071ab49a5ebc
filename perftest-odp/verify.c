/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* odp_perf verify: is every byte right? */
#include "bigmem.h"
#include "churn.h"
#include "commands.h"
#include "dev.h"
#include "fail.h"
#include "options.h"
#include "plan.h"
#include "report.h"
#include "session.h"
#include "size.h"
#include "sweep.h"

enum {
	OPT_MIX = OPT_OWN,
	OPT_IMPLICIT,
	OPT_QUICK,
	OPT_FULL,
	OPT_SEED,
	OPT_CHURN,
	OPT_REGION,
	OPT_SPOIL,
};

struct verify_options {
	struct options common;
	struct job job;
	bool mix;
	bool implicit;
};

static const struct argp_option table[] = {
	{ 0, 0, 0, 0, "What is verified:", 1 },
	{ "size", 's', "SIZE", 0,
	  "only messages of SIZE bytes; with --churn: of up to SIZE bytes (default 64K); with --region: SIZE bytes at a time (default 1M)", 1 },
	{ "iters", 'n', "ITERS", 0, "all of it ITERS times, never the same", 1 },
	{ "mix", OPT_MIX, NULL, 0,
	  "all mixes of pinned and on-demand memory at both ends", 1 },
	{ "implicit", OPT_IMPLICIT, NULL, 0,
	  "on-demand memory by a memory region of the whole address space; with --mix: as a third kind", 1 },
	{ "quick", OPT_QUICK, NULL, 0, "fewer messages", 1 },
	{ "full", OPT_FULL, NULL, 0,
	  "every pair of page offsets, every operation at every size", 1 },
	{ "churn", OPT_CHURN, "EVENTS", OPTION_ARG_OPTIONAL,
	  "for -D seconds (default 10), while memory changes at both ends by EVENTS: munmap, dontneed, fork, swap, thp (these by default), mprotect, mremap (these too with 'all'), compact, ksm", 1 },
	{ "region", OPT_REGION, "SIZE", 0,
	  "write through SIZE bytes of the server's memory and read them back, with a small buffer in the client", 1 },
	{ "seed", OPT_SEED, "NUMBER", 0, "other contents and order (default 1)", 1 },
	{ "spoil", OPT_SPOIL, "NUMBER", 0,
	  "flip a bit in or around the NUMBERth message received, to see that this is found", 1 },
	{ 0 },
};

static const char doc[] =
	"Send messages and check every byte of them, and that nothing around "
	"them is touched."
	"\v"
	"Without HOST and --local this is the server: it waits for one client, "
	"does what the client's options say and ends. Only -d, -i, -x and -p "
	"count in the server's own command line."
	"\n\n"
	"Messages of 0 bytes to 8 MiB are sent by SEND, SEND with immediate, "
	"WRITE, WRITE with immediate and READ, at every class of page offset, "
	"across 2 MiB borders, with scattered and inline data, at path MTU "
	"256, 1024 and 4096 or those of them that both ports can do."
	"\n\n"
	"Exit status: 0 all right, 1 wrong bytes or an error, 2 usage, "
	"77 cannot run here (the message says what is missing).";

static void set_mixes(struct verify_options *v)
{
	enum mem_kind kind = MEM_PINNED, a, p;

	if (v->common.odp)
		kind = MEM_ODP;
	if (v->implicit)
		kind = MEM_IMPLICIT;
	v->job.mixes = 1u << mix_of(kind, kind);
	if (!v->mix)
		return;
	for (a = 0; a < MEM_KINDS; a++)
		for (p = 0; p < MEM_KINDS; p++)
			if (v->implicit || (a < MEM_IMPLICIT && p < MEM_IMPLICIT))
				v->job.mixes |= 1u << mix_of(a, p);
}

static void set_job(struct verify_options *v)
{
	const struct options *o = &v->common;
	struct job *job = &v->job;

	set_mixes(v);
	job->mtus = o->mtu ? 1u << mtu_from_bytes(o->mtu) : 0;
	job->size = o->size;
	job->iters = o->iters ? o->iters : 1;
	job->seconds = o->seconds ? o->seconds : 10;
	job->qps = o->qps ? o->qps : job->mode == JOB_CHURN ? 4 : 1;
	job->depth = o->depth;
	job->timeout = o->timeout;
}

static void check_options(const struct verify_options *v,
			  struct argp_state *state)
{
	const struct options *o = &v->common;

	if (v->job.mode == JOB_CHURN && o->size > 1 * MiB)
		argp_error(state, "-s can be up to 1M with --churn");
	if (o->local && o->host)
		argp_error(state, "--local needs no HOST");
	if (v->job.mode == JOB_REGION && v->mix)
		argp_error(state, "--region and --mix do not go together");
	if (v->job.region && v->job.mode != JOB_REGION)
		argp_error(state, "--region and --churn do not go together");
}

static void parse_events(struct verify_options *v, char *arg,
			 struct argp_state *state)
{
	const char *unknown;

	v->job.mode = JOB_CHURN;
	v->job.events = EVENTS_DEFAULT;
	if (!arg)
		return;
	unknown = churn_parse_events(arg, &v->job.events);
	if (unknown)
		argp_error(state, "--churn knows no event '%s'", unknown);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct verify_options *v = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &v->common;
		state->child_inputs[1] = &v->common;
		return 0;
	case 's':
		v->common.size = options_number(state, "-s", arg, 1, 8 * MiB);
		return 0;
	case 'n':
		v->common.iters = options_number(state, "-n", arg, 1, 1000000);
		return 0;
	case OPT_MIX:
		v->mix = true;
		return 0;
	case OPT_IMPLICIT:
		v->implicit = true;
		return 0;
	case OPT_QUICK:
		v->job.extent = EXTENT_QUICK;
		return 0;
	case OPT_FULL:
		v->job.extent = EXTENT_FULL;
		return 0;
	case OPT_SEED:
		v->job.seed = options_number(state, "--seed", arg, 0, UINT64_MAX);
		return 0;
	case OPT_CHURN:
		parse_events(v, arg, state);
		return 0;
	case OPT_REGION:
		v->job.mode = JOB_REGION;
		v->job.region = options_number(state, "--region", arg, PAGE,
					       1ull << 46);
		return 0;
	case OPT_SPOIL:
		v->job.spoil = options_number(state, "--spoil", arg, 1, UINT64_MAX);
		return 0;
	case ARGP_KEY_ARG:
		if (v->common.host)
			argp_error(state, "more than one HOST");
		v->common.host = arg;
		return 0;
	case ARGP_KEY_END:
		check_options(v, state);
		set_job(v);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The path MTUs that the job does not name, as far as both ports can do them */
static void choose_mtus(struct side *side)
{
	static const uint32_t wanted[] = { 256, 1024, 4096 };
	unsigned int i;

	if (side->job.mtus)
		return;
	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (wanted[i] <= side->common.mtu)
			side->job.mtus |= 1u << mtu_from_bytes(wanted[i]);
}

/* For those tests that use one path MTU */
static uint32_t largest_mtu(const struct side *side)
{
	enum ibv_mtu mtu = IBV_MTU_4096;

	while (mtu > IBV_MTU_256 && !(side->job.mtus & (1u << mtu)))
		mtu--;
	return mtu_to_bytes(mtu);
}

static int check_mtus(const struct side *side)
{
	uint64_t can = (2ull << mtu_from_bytes(side->common.mtu)) - 1;

	if (side->job.mtus & ~can)
		return fail(RC_SKIP,
			    "path MTU %u is too much: the ports can do %llu",
			    side->mtu,
			    (unsigned long long)side->common.mtu);
	return RC_OK;
}

static int body(struct side *side)
{
	static int (*const runs[])(struct side *side) = {
		[JOB_SWEEP] = sweep_run,
		[JOB_CHURN] = churn_run,
		[JOB_REGION] = bigmem_run,
	};
	int rc;

	choose_mtus(side);
	side->mtu = largest_mtu(side);
	rc = check_mtus(side);
	if (!rc)
		rc = runs[side->job.mode](side);
	if (!rc)
		rc = report_verdict(side);
	return rc;
}

int command_verify(int argc, char **argv)
{
	static const struct argp_child children[] = {
		{ &options_basic, 0, NULL, 10 },
		{ &options_traffic, 0, NULL, 5 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = table,
		.parser = parse,
		.args_doc = "[HOST]",
		.doc = doc,
		.children = children,
	};
	struct verify_options v = {
		.common = options_default,
		.job = { .seed = 1, .extent = EXTENT_NORMAL },
	};

	argp_parse(&argp, argc, argv, 0, NULL, &v);
	return session_run(&v.common, &v.job, body);
}
