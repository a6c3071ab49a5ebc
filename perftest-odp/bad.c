/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* odp_perf bad: is every mistake answered with the right error? */
#include "bad.h"
#include "commands.h"
#include "fail.h"
#include "options.h"
#include "pattern.h"
#include "table.h"

#include <stdio.h>
#include <string.h>

enum { OPT_LIST = OPT_OWN };

struct bad_options {
	struct options common;
	const char *only; /* cases whose names contain this */
	bool list;
};

struct tally {
	unsigned int right, wrong, skipped;
};

static const struct bad_case *const lists[] = { bad_keys, bad_memory, bad_queues,
						bad_states, bad_registration,
						bad_domains, bad_atomics };
#define LISTS (sizeof(lists) / sizeof(lists[0]))

static const struct argp_option table[] = {
	{ 0, 0, 0, 0, "What is tried:", 1 },
	{ "list", OPT_LIST, NULL, 0, "print the names of the cases", 1 },
	{ 0 },
};

static const char doc[] =
	"Make one mistake after the other, and see that each gets the completion "
	"status or errno it should, touches no memory, and leaves a device that "
	"works."
	"\v"
	"Both ends are in this process. With --odp, memory is on demand where a "
	"case does not ask for the one or the other; cases that need on-demand "
	"memory are skipped where the device has none. With NAME, only cases "
	"whose names contain it."
	"\n\n"
	"Exit status: 0 all as expected, 1 not so, 2 usage, 77 cannot run here "
	"(the message says what is missing).";

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct bad_options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		return 0;
	case OPT_LIST:
		o->list = true;
		return 0;
	case ARGP_KEY_ARG:
		if (o->only)
			argp_error(state, "more than one NAME");
		o->only = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int set_up(struct bad *b, const struct bad_case *c, enum mem_kind kind)
{
	const struct qp_spec *spec = c && c->spec ? c->spec : &loop_spec;
	int rc;

	b->kind = kind;
	b->ok = true;
	b->expected[0] = b->got[0] = '\0';
	rc = region_map(&b->mem_a, BAD_SIZE, 0);
	if (!rc)
		rc = region_map(&b->mem_b, BAD_SIZE, 0);
	if (rc)
		return rc;
	pattern_fill(b->mem_a.base, BAD_SIZE, pattern_key(1, 1), 0);
	pattern_fill(b->mem_b.base, BAD_SIZE, pattern_key(1, 2), 0);
	rc = region_register(&b->mem_a, &b->dev_a, kind);
	if (!rc)
		rc = region_register(&b->mem_b, &b->dev_b, kind);
	if (!rc)
		rc = loop_create(&b->loop, &b->dev_a, &b->dev_b, spec);
	if (!rc && !(c && c->unconnected))
		rc = loop_connect(&b->loop);
	return rc;
}

static void tear_down(struct bad *b)
{
	loop_close(&b->loop);
	region_free(&b->mem_a);
	region_free(&b->mem_b);
}

/* A right request on new queue pairs must work, whatever has been before */
static bool is_alive(struct bad *b, enum mem_kind kind)
{
	struct request r;
	struct ibv_wc wc;
	bool alive;

	alive = !set_up(b, NULL, kind);
	if (alive) {
		r = good_request(b, IBV_WR_RDMA_WRITE);
		alive = !post_request(b->loop.a.qp, &r, 1) &&
			cq_next(&b->loop.a.send_cq, &wc, 20000) == 1 &&
			!wc.status &&
			!memcmp(b->mem_a.base, b->mem_b.base, REQUEST_LEN);
	}
	tear_down(b);
	return alive;
}

static void add_row(struct table *t, const char *name, const char *expected,
		    const char *got, const char *verdict)
{
	table_text(t, "%s", name);
	table_text(t, "%s", expected);
	table_text(t, "%s", got);
	table_text(t, "%s", verdict);
}

static void run_case(struct bad *b, const struct bad_case *c,
		     enum mem_kind kind, struct table *t, struct tally *tally)
{
	char expected[BAD_TEXT], got[BAD_TEXT];
	bool ok;
	int rc;

	if (c->odp && !dev_has_odp(&b->dev_b)) {
		tally->skipped++;
		add_row(t, c->name, "-", "needs on-demand memory", "skipped");
		return;
	}
	rc = set_up(b, c, c->odp ? MEM_ODP : kind);
	if (!rc)
		rc = c->run(b);
	tear_down(b);
	ok = !rc && b->ok;
	strcpy(expected, b->expected);
	snprintf(got, sizeof(got), "%s", rc ? fail_text() : b->got);
	fail_clear();
	if (rc == RC_SKIP) {
		tally->skipped++;
		add_row(t, c->name, "-", got, "skipped");
		return;
	}
	if (!is_alive(b, kind)) {
		ok = false;
		snprintf(got, sizeof(got), "then the device does not work: %s",
			 fail_text());
		fail_clear();
	}
	*(ok ? &tally->right : &tally->wrong) += 1;
	add_row(t, c->name, expected, ok ? "the same" : got, ok ? "ok" : "WRONG");
}

static bool wanted(const struct bad_options *o, const struct bad_case *c)
{
	return !o->only || strstr(c->name, o->only);
}

static int run_all(const struct bad_options *o, struct bad *b)
{
	static const char *const columns[] = { "mistake", "expected", "got", "verdict",
					       NULL };
	enum mem_kind kind = o->common.odp ? MEM_ODP : MEM_PINNED;
	struct tally tally = { 0 };
	const struct bad_case *c;
	struct table t;
	char title[96];
	size_t i;

	snprintf(title, sizeof(title), "Mistakes on %s, %s memory", b->dev_b.name,
		 mem_kind_name(kind));
	table_begin(&t, title, columns);
	for (i = 0; i < LISTS; i++)
		for (c = lists[i]; c->name; c++)
			if (wanted(o, c))
				run_case(b, c, kind, &t, &tally);
	table_end(&t, o->common.json);
	fprintf(o->common.json ? stderr : stdout,
		"%u as expected, %u not, %u skipped\n", tally.right, tally.wrong,
		tally.skipped);
	if (tally.wrong)
		return fail(RC_WRONG, "%u mistakes got another answer",
			    tally.wrong);
	return RC_OK;
}

static int run(const struct bad_options *o, struct bad *b)
{
	const struct options *c = &o->common;
	int rc;

	rc = dev_open(&b->dev_a, c->dev[0], c->port, c->gid_index);
	if (!rc)
		rc = dev_open(&b->dev_b, c->dev[1], c->port, c->gid_index);
	if (!rc && c->odp)
		rc = dev_need_odp(&b->dev_a);
	if (!rc && c->odp)
		rc = dev_need_odp(&b->dev_b);
	return rc ? rc : run_all(o, b);
}

static void print_list(const struct bad_options *o)
{
	const struct bad_case *c;
	size_t i;

	for (i = 0; i < LISTS; i++)
		for (c = lists[i]; c->name; c++)
			if (wanted(o, c))
				puts(c->name);
}

int command_bad(int argc, char **argv)
{
	static const struct argp_child children[] = {
		{ &options_basic, 0, NULL, 10 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = table,
		.parser = parse,
		.args_doc = "[NAME]",
		.doc = doc,
		.children = children,
	};
	struct bad_options o = { .common = options_default };
	struct bad b = { .kind = MEM_PINNED };
	int rc;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (o.list) {
		print_list(&o);
		return RC_OK;
	}
	rc = run(&o, &b);
	dev_close(&b.dev_a);
	dev_close(&b.dev_b);
	if (rc)
		fprintf(stderr, "odp_perf: %s\n", fail_text());
	return rc;
}
