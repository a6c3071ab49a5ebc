// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * usage: kinds [-t MS] [-s SEED] [-w DIR] WHAT...
 *
 * WHAT is KIND:EVENT[,EVENT...], or the name of a check. See kinds.h.
 *
 *	-t MS	how long each event goes on, at least (default 500)
 *	-s SEED	of all that is random (default 1)
 *	-w DIR	where files are (default /tmp)
 */
#include "kinds.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

unsigned int slowness = 1;
const char *work_dir = "/tmp";

enum { PATIENCE_UNDER_LOAD = 5 };

static unsigned int duration = 500;
static uint64_t seed = 1;
static unsigned int runs;

void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("FAIL: ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
	fflush(stdout);
	_exit(1);
}

void skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("SKIP: ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
	fflush(stdout);
	_exit(77);
}

static const struct check checks[] = {
	{ "zero", check_zero },
	{ "stack", check_stack },
	{ "readonly", check_readonly },
	{ "protect", check_protect },
	{ "refused", check_refused },
	{ "huge", check_huge },
	{ "ksm", check_ksm },
	{ "child", check_child },
	{ "inherited", check_inherited },
	{ "exec", check_exec },
	{ "exit", check_exit },
	{ "threads", check_threads },
	{ NULL, NULL },
};

static void run_checks(const char *name)
{
	const struct check *c;

	for (c = checks; c->name; c++) {
		if (strcmp(c->name, name))
			continue;
		alarm(120 * slowness);
		c->run();
		alarm(0);
		fflush(stdout);
		return;
	}
	fail("no check '%s'", name);
}

static void run_events(const struct kind *kind, char *list)
{
	char *save, *name;

	for (name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		reconnect();
		run_one(kind, event_find(name), runs % 2, duration, seed + runs);
		runs++;
	}
}

static void run_what(char *what)
{
	char *colon = strchr(what, ':');

	if (colon) {
		*colon = 0;
		run_events(kind_find(what), colon + 1);
	} else {
		run_checks(what);
	}
}

int main(int argc, char **argv)
{
	int c;

	if (argc == 3 && !strcmp(argv[1], "image"))
		check_image(argv[2]);
	while ((c = getopt(argc, argv, "t:s:w:")) != -1) {
		if (c == 't')
			duration = atoi(optarg);
		else if (c == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (c == 'w')
			work_dir = optarg;
		else
			return 2;
	}
	if (getenv("ODP_SLOW"))
		slowness = atoi(getenv("ODP_SLOW"));
	if (getenv("UNDER_LOAD"))
		slowness *= PATIENCE_UNDER_LOAD;
	/* The heap's end belongs to the region: malloc() shall not need it. */
	mallopt(M_TOP_PAD, 4 << 20);
	free(malloc(100));
	model_make();
	peer_start("odp1");
	link_open(&owner_link, "odp0", 0);
	for (; optind < argc; optind++)
		run_what(argv[optind]);
	peer_end();
	printf("-- all right\n");
	return 0;
}
