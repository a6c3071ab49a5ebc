// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The schedule explorer: the mirror's own sources, run in all the ways in which
 * a few threads can get into each other's way.
 *
 * A scheduling point comes before every step that another thread can notice:
 * taking a lock, an atomic operation, a marked access (READ_ONCE), a look-up or
 * change in the tree, going to wait, a wake-up, a step of the kernel in the page
 * table or of a look-up of pages, and the access to the memory itself. There
 * the running thread goes on, or is preempted by any that can run; or
 * somebody's time to wait is up, which counts as a preemption, too. To give a
 * lock back, or to come to the border of an RCU section, is a step, but to be
 * preempted before it shows others no more than to be preempted after it. RCU
 * callbacks run as early as they may. Counters and accessed bits are no steps.
 *
 * All schedules with up to N preemptions are tried, for N = 0, 1, ... up to
 * the scenario's bound, so what is found first is as simple as can be. Changes
 * of thread where the running one blocks or ends are free, and all are tried.
 * Bugs that take more preemptions than the bound are not found; experience says
 * that nearly all take two at most.
 *
 * A run starts from nothing and follows the choices of the one before up to the
 * last that has an alternative. It is cut short, in that nothing more is tried
 * in it, where it comes to a state that was met before with as many preemptions
 * left: the history of a state (coop.c) is the same for schedules that differ
 * only in the order of steps that have nothing to do with each other.
 *
 * Not modelled: weak memory. Steps take effect at once and for all, and plain
 * accesses belong to the step before them, so a missing barrier is not found;
 * nor a data race, for which there is the thread sanitizer (stress.c). No
 * interrupts: a softirq is a thread like any other. The tree is one step.
 */
#include <stdio.h>
#include <time.h>

#include "coop.h"
#include "explore.h"

#define PATH	4096

/* A point where there was a choice. */
struct node {
	struct coop_choice choices[2 * COOP_THREADS];
	unsigned char n;
	unsigned char chosen;
	unsigned char used;	/* preemptions before */
	bool running;		/* the first choice is to go on */
};

/* States met, and how many preemptions were left, plus one. */
struct state {
	u64 hash;
	unsigned int left;
};

static struct node path[PATH];
static unsigned int path_length, depth;
static unsigned int bound;

static struct state *states;
static size_t states_size, nstates;

static const struct scenario *scenario;
static unsigned long schedules, steps;
static bool expect_violation;

static struct state *state_find(u64 hash)
{
	size_t i = hash & (states_size - 1);

	while (states[i].left && states[i].hash != hash)
		i = (i + 1) & (states_size - 1);
	return &states[i];
}

static void states_grow(void)
{
	struct state *old = states;
	size_t n = states_size, i;

	states_size = n ? 2 * n : 1 << 16;
	states = calloc(states_size, sizeof(*states));
	for (i = 0; i < n; i++)
		if (old[i].left)
			*state_find(old[i].hash) = old[i];
	free(old);
}

/* Was this state met with at least as many preemptions left? */
static bool state_known(u64 hash, unsigned int left)
{
	struct state *state;

	if (2 * nstates >= states_size)
		states_grow();
	state = state_find(hash);
	if (state->left > left)
		return true;
	nstates += !state->left;
	state->hash = hash;
	state->left = left + 1;
	return false;
}

static unsigned int cost(const struct node *node, unsigned int chosen)
{
	if (node->running)
		return chosen != 0;
	return node->choices[chosen].timer && !node->choices[0].timer;
}

/* The next alternative that can be paid for; n if there is none. */
static unsigned int node_next(const struct node *node)
{
	unsigned int i = node->chosen + 1;

	while (i < node->n && node->used + cost(node, i) > bound)
		i++;
	return i;
}

static unsigned int choose(const struct coop_choice *choices, unsigned int n,
			   bool running)
{
	struct node *node = &path[depth];
	const struct node *last = node - 1;

	if (coop_straight)
		return 0;
	if (depth < path_length) {
		depth++;
		return node->chosen;
	}
	if (depth == PATH)
		sim_fail("there is no end to it");
	memcpy(node->choices, choices, n * sizeof(*choices));
	node->n = n;
	node->chosen = 0;
	node->running = running;
	node->used = depth ? last->used + cost(last, last->chosen) : 0;
	if (state_known(coop_history(running), bound - node->used)) {
		coop_straight = true;
		return 0;
	}
	path_length = ++depth;
	return 0;
}

/* The path to try next; false if all were. */
static bool backtrack(void)
{
	while (path_length) {
		struct node *node = &path[path_length - 1];

		node->chosen = node_next(node);
		if (node->chosen < node->n)
			return true;
		path_length--;
	}
	return false;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec * 1e-9;
}

static void explore(unsigned int max)
{
	double start = seconds();

	schedules = 0;
	steps = 0;
	nstates = 0;
	memset(states, 0, states_size * sizeof(*states));
	for (bound = 0; bound <= max; bound++) {
		path_length = 0;
		do {
			depth = 0;
			coop_straight = false;
			coop_reset();
			alloc_reset();
			trace_reset();
			scenario_run(scenario);
			schedules++;
			steps = max(steps, (unsigned long)trace_length());
		} while (backtrack());
	}
	printf("%-28s %u preemptions %9lu schedules %9zu states %5lu steps %7.2f s\n",
	       scenario->name, max, schedules, nstates, steps,
	       seconds() - start);
	fflush(stdout);
}

static void violated(const char *message)
{
	printf("\n%s: %s\nfound in schedule %lu, with %u preemption%s:\n\n",
	       scenario->name, message, schedules + 1, bound,
	       bound == 1 ? "" : "s");
	trace_print();
	printf("\n%s\n", message);
	exit(expect_violation ? EXIT_SUCCESS : EXIT_FAILURE);
}

static bool named(char **names, const char *name)
{
	char **n;

	for (n = names; *n; n++)
		if (!strcmp(*n, name))
			return true;
	return !*names;
}

/* usage: explore [--expect-violation] [--bound N] [SCENARIO...] */
int main(int argc, char **argv)
{
	char **names = argv + 1;
	int max = -1;

	(void)argc;
	if (*names && !strcmp(*names, "--expect-violation")) {
		expect_violation = true;
		names++;
	}
	if (*names && !strcmp(*names, "--bound")) {
		max = atoi(names[1]);
		names += 2;
	}
	alloc_arena = true;
	coop_choose = choose;
	coop_failed = violated;
	states_grow();
	for (scenario = scenarios; scenario->name; scenario++) {
		coop_timeouts = scenario->timeouts;
		if (named(names, scenario->name))
			explore(max < 0 ? scenario->bound : (unsigned int)max);
	}
	if (!expect_violation)
		return EXIT_SUCCESS;
	printf("no violation was found\n");
	return EXIT_FAILURE;
}
