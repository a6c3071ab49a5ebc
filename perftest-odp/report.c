/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#include "report.h"
#include "ctl.h"
#include "fail.h"
#include "options.h"
#include "session.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#define MAX_WRONG 20
#define VERDICT_NUMBERS (sizeof(struct verdict) / sizeof(uint64_t))

void report_wrong(const char *fmt, ...)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static unsigned int printed; /* under lock */
	va_list args;

	pthread_mutex_lock(&lock);
	if (printed++ < MAX_WRONG) {
		fputs("wrong: ", stderr);
		va_start(args, fmt);
		vfprintf(stderr, fmt, args);
		va_end(args);
		fputc('\n', stderr);
		if (printed == MAX_WRONG)
			fputs("(more of these are only counted)\n", stderr);
	}
	pthread_mutex_unlock(&lock);
}

/* What both ends checked since *@before */
static int sum(struct side *side, const struct verdict *before,
	       struct verdict *both)
{
	struct verdict mine = side->verdict, theirs;
	int rc;

	mine.messages -= before->messages;
	mine.bytes -= before->bytes;
	mine.wrong -= before->wrong;
	rc = ctl_exchange(side->ctl, RC_OK, (uint64_t *)&mine,
			  (uint64_t *)&theirs, VERDICT_NUMBERS);
	if (rc)
		return rc;
	both->messages = mine.messages + theirs.messages;
	both->bytes = mine.bytes + theirs.bytes;
	both->wrong = mine.wrong + theirs.wrong;
	return RC_OK;
}

int report_mix(struct side *side, const struct verdict *before)
{
	struct verdict v;
	int rc = sum(side, before, &v);

	if (rc || !side->active)
		return rc;
	fprintf(side->opts->json ? stderr : stdout,
		"path MTU %4u, %s to %s memory: %llu messages, %llu bytes checked, %llu messages wrong\n",
	       side->mtu, mem_kind_name(mix_active(side->mix)),
	       mem_kind_name(mix_passive(side->mix)),
	       (unsigned long long)v.messages, (unsigned long long)v.bytes,
	       (unsigned long long)v.wrong);
	fflush(stdout);
	return RC_OK;
}

int report_verdict(struct side *side)
{
	const struct verdict none = { 0 };
	struct verdict v;
	int rc = sum(side, &none, &v);

	if (rc)
		return rc;
	if (side->active || !side->opts->local)
		fprintf(side->opts->json ? stderr : stdout,
			"%s: %llu messages, %llu bytes checked%s\n",
		       v.wrong ? "WRONG" : "right",
		       (unsigned long long)v.messages,
		       (unsigned long long)v.bytes,
		       v.wrong ? "" : ": every byte right, nothing outside touched");
	if (v.wrong)
		return fail(RC_WRONG, "%llu messages wrong",
			    (unsigned long long)v.wrong);
	return RC_OK;
}
