/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* odp_perf reg: what does it cost to register memory? */
#include "commands.h"
#include "dev.h"
#include "fail.h"
#include "options.h"
#include "reg_measure.h"
#include "size.h"
#include "table.h"

#include <stdio.h>

enum { OPT_CHECK = OPT_OWN, OPT_TOUCH };

#define MAX_COSTS 16
#define RUNS 51
/* What --check lets 1 TiB and the whole address space cost, against 4 KiB */
#define MAX_TIMES 10
#define MAX_MEMORY (64.0 * KiB)
#define TOUCH_SIZE TiB

struct reg_options {
	struct options common;
	bool check;
	bool touch;
};

struct costs {
	struct reg_cost cost[MAX_COSTS];
	unsigned int n;
};

static const struct argp_option table[] = {
	{ 0, 0, 0, 0, "What is measured:", 1 },
	{ "size", 's', "SIZE", 0,
	  "only this size; K, M, G, T are powers of 1024", 1 },
	{ "iters", 'n', "ITERS", 0, "the median of ITERS runs (default 51)", 1 },
	{ "check", OPT_CHECK, NULL, 0,
	  "exit with 1 unless on-demand memory of 1 TiB and the whole address space take less than 10 times the time of 4 KiB, and no memory in proportion", 1 },
	{ "touch", OPT_TOUCH, NULL, 0,
	  "also WRITE 4 KiB in the middle of 1 TiB of on-demand memory; with --check, this must make one leaf if the device counts them", 1 },
	{ 0 },
};

static const char doc[] =
	"Measure the time to register and deregister memory of 4 KiB, 1 GiB, "
	"1 TiB and the whole address space, on demand and pinned, and the "
	"kernel memory that a registration holds."
	"\v"
	"Pinned memory is measured as far as it fits, or not at all with --odp. "
	"Kernel memory is what /proc/meminfo shows while 64 registrations are "
	"held: the loss of MemFree, or the growth of slabs, vmalloc, page tables "
	"and per-CPU memory if that is more. It runs under 'ulimit -l 64'."
	"\n\n"
	"Exit status: 0 all right, 1 an error or --check failed, 2 usage, "
	"77 cannot run here (the message says what is missing).";

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct reg_options *r = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &r->common;
		return 0;
	case 's':
		r->common.size = options_number(state, "-s", arg, 1, 1ull << 46);
		return 0;
	case 'n':
		r->common.iters = options_number(state, "-n", arg, 1, 100000);
		return 0;
	case OPT_CHECK:
		r->check = true;
		return 0;
	case OPT_TOUCH:
		r->touch = true;
		return 0;
	case ARGP_KEY_END:
		if (r->check && r->common.size)
			argp_error(state, "--check and -s do not go together");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int measure(const struct reg_options *r, struct dev *dev,
		   struct costs *costs, enum mem_kind kind, uint64_t size)
{
	return reg_measure(dev, kind, size,
			   r->common.iters ? r->common.iters : RUNS,
			   &costs->cost[costs->n++]);
}

static int measure_all(const struct reg_options *r, struct dev *dev,
		       struct costs *costs)
{
	static const uint64_t sizes[] = { 4 * KiB, 1 * GiB, 1 * TiB };
	const uint64_t *size = r->common.size ? &r->common.size : sizes;
	unsigned int i, n = r->common.size ? 1 : 3;
	int rc = RC_OK;

	for (i = 0; i < n && !rc && dev_has_odp(dev); i++)
		rc = measure(r, dev, costs, MEM_ODP, size[i]);
	if (!rc && dev_has_implicit(dev) && !r->common.size)
		rc = measure(r, dev, costs, MEM_IMPLICIT, SIZE_MAX);
	for (i = 0; i < n && !rc && !r->common.odp; i++)
		rc = measure(r, dev, costs, MEM_PINNED, size[i]);
	return rc;
}

static void print(const struct reg_options *r, const struct dev *dev,
		  const struct costs *costs)
{
	static const char *const columns[] = {
		"memory", "size", "register us", "deregister us",
		"kernel bytes each", NULL
	};
	char title[96], text[SIZE_TEXT];
	struct table t;
	unsigned int i;

	snprintf(title, sizeof(title), "Registration on %s, medians", dev->name);
	table_begin(&t, title, columns);
	for (i = 0; i < costs->n; i++) {
		const struct reg_cost *c = &costs->cost[i];

		table_text(&t, "%s", c->kind == MEM_PINNED ? "pinned" :
							     "on demand");
		table_text(&t, "%s", c->kind == MEM_IMPLICIT ?
					     "whole address space" :
					     size_text(c->size, text));
		if (c->refused) {
			table_text(&t, "%s", c->refused);
			table_none(&t);
			table_none(&t);
			continue;
		}
		table_value(&t, c->reg_us);
		table_value(&t, c->dereg_us);
		table_value(&t, c->memory);
	}
	table_end(&t, r->common.json);
}

static int check_against(const struct reg_cost *base, const struct reg_cost *c)
{
	char text[SIZE_TEXT];
	const char *what = c->kind == MEM_IMPLICIT ? "the whole address space" :
						     size_text(c->size, text);

	if (c->refused)
		return fail(RC_WRONG, "%s: %s", what, c->refused);
	if (c->reg_us >= MAX_TIMES * base->reg_us)
		return fail(RC_WRONG,
			    "registering %s takes %.1f us, 4 KiB %.1f us: not less than %d times",
			    what, c->reg_us, base->reg_us, MAX_TIMES);
	if (c->memory > base->memory + MAX_MEMORY)
		return fail(RC_WRONG,
			    "registering %s takes %.0f bytes of kernel memory, 4 KiB takes %.0f",
			    what, c->memory, base->memory);
	return RC_OK;
}

static int check(const struct dev *dev, const struct costs *costs)
{
	unsigned int i;
	int rc;

	rc = dev_need_implicit(dev);
	for (i = 1; i < costs->n && !rc; i++)
		if (costs->cost[i].kind != MEM_PINNED)
			rc = check_against(&costs->cost[0], &costs->cost[i]);
	return rc;
}

static int touch(const struct reg_options *r, struct dev *dev)
{
	FILE *to = r->common.json ? stderr : stdout;
	int64_t leaves;
	int rc = dev_need_odp(dev);

	if (!rc)
		rc = reg_touch(dev, TOUCH_SIZE, &leaves);
	if (rc)
		return rc;
	if (leaves < 0)
		fprintf(to, "A WRITE of 4 KiB inside 1 TiB: right (%s has no counter odp_leaves)\n",
			dev->name);
	else
		fprintf(to, "A WRITE of 4 KiB inside 1 TiB: right, leaves made: %lld\n",
			(long long)leaves);
	if (r->check && leaves >= 0 && leaves != 1)
		return fail(RC_WRONG,
			    "a WRITE of 4 KiB inside 1 TiB made %lld leaves, not 1",
			    (long long)leaves);
	return RC_OK;
}

static int run(const struct reg_options *r, struct dev *dev)
{
	struct costs costs = { .n = 0 };
	int rc;

	rc = dev_open(dev, r->common.dev[0], r->common.port,
		      r->common.gid_index);
	if (!rc && r->common.odp)
		rc = dev_need_odp(dev);
	if (!rc)
		rc = measure_all(r, dev, &costs);
	if (rc)
		return rc;
	if (!dev_has_odp(dev))
		fprintf(stderr, "odp_perf: %s has no on-demand paging\n",
			dev->name);
	print(r, dev, &costs);
	if (r->touch)
		rc = touch(r, dev);
	if (!rc && r->check)
		rc = check(dev, &costs);
	return rc;
}

int command_reg(int argc, char **argv)
{
	static const struct argp_child children[] = {
		{ &options_basic, 0, NULL, 10 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = table,
		.parser = parse,
		.doc = doc,
		.children = children,
	};
	struct reg_options r = { .common = options_default };
	struct dev dev = { 0 };
	int rc;

	argp_parse(&argp, argc, argv, 0, NULL, &r);
	rc = run(&r, &dev);
	dev_close(&dev);
	if (rc)
		fprintf(stderr, "odp_perf: %s\n", fail_text());
	return rc;
}
