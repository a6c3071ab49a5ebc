// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The steps of a run, printed as a timeline with a column for each thread.
 */
#include <stdio.h>

#include "coop.h"

#define STEPS	8192
#define COLUMN	48

static struct step {
	unsigned char thread;
	const char *op, *what, *func;
} steps[STEPS];
static unsigned int nsteps;

void trace_reset(void)
{
	nsteps = 0;
}

unsigned int trace_length(void)
{
	return nsteps;
}

void trace_step(unsigned int thread, const char *op, const char *what,
		const char *func)
{
	if (!op)
		return;
	if (nsteps == STEPS)
		sim_fail("there is no end to it");
	steps[nsteps++] = (struct step){ thread, op, what, func };
}

/* Columns in the order in which threads first do something. */
static unsigned int columns(unsigned char *column)
{
	unsigned int n = 0, i;

	memset(column, 0xff, COOP_THREADS);
	for (i = 0; i < nsteps; i++)
		if (column[steps[i].thread] == 0xff)
			column[steps[i].thread] = n++;
	return n;
}

static void print_head(const unsigned char *column, unsigned int n)
{
	unsigned int c, i;

	for (c = 0; c < n; c++)
		for (i = 0; i < coop_count(); i++)
			if (column[i] == c)
				printf("%-*s", COLUMN, coop_name(i));
	printf("\n");
}

void trace_print(void)
{
	unsigned char column[COOP_THREADS];
	unsigned int n = columns(column);
	const char *func[COOP_THREADS] = { NULL };
	unsigned int i, last = COOP_THREADS;

	print_head(column, n);
	for (i = 0; i < nsteps; i++) {
		const struct step *s = &steps[i];

		if (s->thread != last || func[s->thread] != s->func)
			printf("%*s%s():\n", column[s->thread] * COLUMN, "",
			       s->func);
		printf("%*s  %s %s\n", column[s->thread] * COLUMN, "", s->op,
		       s->what);
		func[s->thread] = s->func;
		last = s->thread;
	}
}
