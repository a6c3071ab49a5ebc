/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * fork: parent and child share all pages, copy-on-write.
 *
 * The child looks at some slots, writes to others, lives a little, and looks
 * again: what the device and the parent do meanwhile is not for it to see. The
 * parent takes some of the pages for itself, by writes that change nothing, and
 * goes on; its own checks will see what the child or the device has spoiled.
 *
 * The parent has other threads, so the child calls nothing that takes locks.
 */
#include "churn.h"
#include "fail.h"
#include "size.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOKED_AT 6
#define WRITTEN 4
#define PARENT_PAGES 32
#define LIFE_NS 20000000

enum { CHILD_RIGHT, CHILD_SAW_PARENT, CHILD_LOST_OWN };

static uint64_t sum(const struct churner *c, unsigned int slot)
{
	const char *p = slot_start(c, slot);
	uint64_t word, sum = 0;
	size_t i;

	for (i = 0; i + 8 <= c->slot_size; i += 8) {
		memcpy(&word, p + i, 8);
		sum = (sum ^ word) * 0x9e3779b97f4a7c15ull;
	}
	return sum;
}

static int live(struct churner *c)
{
	const struct timespec life = { .tv_nsec = LIFE_NS };
	unsigned int looked_at[LOOKED_AT], written, i;
	uint64_t before[LOOKED_AT], key = random_next(&c->random) | 1;
	struct pattern_diff diff;

	written = random_below(&c->random, c->slots - WRITTEN);
	for (i = 0; i < LOOKED_AT; i++) {
		do
			looked_at[i] = random_below(&c->random, c->slots);
		while (looked_at[i] - written < WRITTEN);
		before[i] = sum(c, looked_at[i]);
	}
	pattern_fill(slot_start(c, written), WRITTEN * c->slot_size, key, 0);
	nanosleep(&life, NULL);
	for (i = 0; i < LOOKED_AT; i++)
		if (sum(c, looked_at[i]) != before[i])
			return CHILD_SAW_PARENT;
	if (pattern_check(slot_start(c, written), WRITTEN * c->slot_size, key, 0,
			  &diff))
		return CHILD_LOST_OWN;
	return CHILD_RIGHT;
}

/* A write that changes nothing, even if the device writes at the same time */
static void take_pages(struct churner *c)
{
	static volatile char zero; /* the compiler shall not know */
	uint64_t pages = c->region->size / PAGE;
	unsigned int i;
	char *p;

	for (i = 0; i < PARENT_PAGES; i++) {
		p = c->region->base + random_below(&c->random, pages) * PAGE;
		__atomic_fetch_add(p, zero, __ATOMIC_SEQ_CST);
	}
}

int fork_reap(struct churner *c)
{
	int status;

	if (!c->child)
		return RC_OK;
	if (waitpid(c->child, &status, 0) < 0)
		return fail_errno(RC_WRONG, "churn: waitpid");
	c->child = 0;
	if (WIFSIGNALED(status))
		return fail(RC_WRONG, "churn: a forked child died of signal %d (%s)",
			    WTERMSIG(status), strsignal(WTERMSIG(status)));
	switch (WEXITSTATUS(status)) {
	case CHILD_RIGHT:
		c->effects[EV_FORK]++;
		return RC_OK;
	case CHILD_SAW_PARENT:
		return fail(RC_WRONG,
			    "churn: a forked child's memory changed, though the child did not write to it");
	default:
		return fail(RC_WRONG,
			    "churn: what a forked child wrote did not stay in its memory");
	}
}

/* One child at a time: is the last one still there? */
static bool child_lives(const struct churner *c)
{
	siginfo_t info = { .si_pid = 0 };

	return c->child && !waitid(P_PID, c->child, &info,
				   WEXITED | WNOHANG | WNOWAIT) &&
	       !info.si_pid;
}

int event_fork(struct churner *c)
{
	int rc;

	if (child_lives(c)) {
		take_pages(c);
		return EVENT_NOTHING;
	}
	rc = fork_reap(c);
	if (rc)
		return rc;
	c->child = fork();
	if (c->child < 0) {
		c->child = 0;
		return fail_errno(RC_WRONG, "churn: fork");
	}
	if (!c->child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(live(c));
	}
	take_pages(c);
	churn_note(c, EV_FORK, c->region->base,
		   c->region->base + c->region->size);
	return RC_OK;
}
