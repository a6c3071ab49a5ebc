/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The supervisor: starts workers and the witness, and says how it went */
#include "scribble.h"

#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/*
 * A worker that takes longer has tied itself up; one that cannot be killed
 * within the other is the kernel's fault.
 */
enum { WORKER_SECONDS = 30, KILL_SECONDS = 20 };
/* Until enough was done: beside other programs that takes longer */
enum { PATIENCE_SECONDS = 60, UNDER_LOAD = 5 };

struct shared *shared;
/* How many times as long everything may take */
static int slowness = 1;

struct options options = { .dev = { "odp0", "odp1" }, .seconds = 10, .seed = 1 };

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static pid_t start(int (*run)(void))
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid)
		return pid;
	exit(run());
}

/* Nothing seen means nothing if nothing was done. */
static const struct {
	const char *name;
	unsigned int least;
} table[STATS] = {
	[STAT_WORKERS] = { "workers", 1 },
	[STAT_ROUNDS] = { "rounds", 1 },
	[STAT_CREATED] = { "queue pairs created", 2 * ENDS },
	[STAT_RESETS] = { "pairs reset", 10 },
	[STAT_SCRIBBLES] = { "acts of scribbling", 5000 },
	[STAT_RUNG] = { "doorbells taken", 500 },
	[STAT_REFUSED] = { "doorbells refused", 50 },
	[STAT_COMPLETED] = { "requests completed", 100 },
	[STAT_FAILED] = { "requests failed", 100 },
	[STAT_HARMED] = { "workers that harmed themselves", 0 },
	[STAT_OF_UC] = { "requests completed by UC", 20 },
	[STAT_OF_UD] = { "requests completed by UD", 20 },
	[STAT_OF_XRC] = { "requests completed by XRC", 20 },
	[STAT_BOUND] = { "memory windows bound", 10 },
	[STAT_INVALIDATED] = { "memory windows invalidated", 2 },
	[STAT_STORED] = { "atomic writes", 2 },
	[STAT_PREPARED] = { "rings prepared for completion queues", 20 },
	[STAT_RESIZED] = { "completion queues that changed to them", 5 },
};

static bool enough_done(void)
{
	int i;

	for (i = 0; i < STATS; i++)
		if (shared->stats[i] < table[i].least)
			return false;
	return true;
}

static double deadline, patience_end;

/* Waits for a process; -1 if it does not end */
static int end_of(pid_t pid, double seconds)
{
	double end = now() + seconds * slowness;
	int status;

	do {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : OWN_HARM;
		usleep(5000);
		if (now() > deadline && (enough_done() || now() > patience_end))
			shared->enough = true;
	} while (now() < end);
	return -1;
}

static uint64_t worker_seed;

static int run_worker(void)
{
	return worker_run(worker_seed);
}

static int work(void)
{
	pid_t pid = start(run_worker);
	int rc = end_of(pid, WORKER_SECONDS);

	if (rc < 0) {
		kill(pid, SIGKILL);
		rc = end_of(pid, KILL_SECONDS);
		if (rc < 0) {
			printf("FAIL: a worker cannot be killed\n");
			return WRONG;
		}
	}
	if (rc == OWN_HARM)
		count(STAT_HARMED);
	return rc == OWN_HARM ? RIGHT : rc;
}

static int report(void)
{
	int i, rc = RIGHT;

	for (i = 0; i < STATS; i++) {
		unsigned long long n = shared->stats[i];

		printf("%10llu %s\n", n, table[i].name);
		if (n < table[i].least) {
			printf("FAIL: too few, at least %u\n", table[i].least);
			rc = WRONG;
		}
	}
	return rc;
}

static int run(void)
{
	pid_t witness = start(witness_run);
	int rc = RIGHT, other;

	deadline = patience_end = now() + KILL_SECONDS * slowness;
	while (!shared->ready)
		if (end_of(witness, 0.01) >= 0 || shared->enough)
			return CANNOT;
	deadline = now() + options.seconds;
	patience_end = deadline + PATIENCE_SECONDS * slowness;
	for (worker_seed = options.seed * 1000; !shared->enough && rc == RIGHT; worker_seed++)
		rc = work();
	shared->stop = true;
	other = end_of(witness, KILL_SECONDS);
	if (other != RIGHT)
		printf("FAIL: the witness ended with %d\n", other);
	if (report() || other)
		return WRONG;
	return rc;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'd':
		options.dev[0] = options.dev[1] = strtok(arg, ",");
		arg = strtok(NULL, ",");
		if (arg)
			options.dev[1] = arg;
		return 0;
	case 'D':
		options.seconds = atoi(arg);
		return 0;
	case 's':
		options.seed = strtoull(arg, NULL, 0);
		return 0;
	case 'S':
		options.spoil = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_usage(state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp_option table[] = {
		{ "ib-dev", 'd', "DEV,DEV2", 0, "devices (default odp0,odp1)", 0 },
		{ "duration", 'D', "SECONDS", 0, "how long (default 10)", 0 },
		{ "seed", 's', "NUMBER", 0, "other garbage (default 1)", 0 },
		{ "spoil", 'S', NULL, 0, "register the guards, too, to see that it is noticed", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		table, parse, NULL,
		"Write garbage into the rings shared with the kernel, and see that no memory "
		"changes that the keys do not allow to change.", NULL, NULL, NULL,
	};

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	if (getenv("ODP_SLOW"))
		slowness = atoi(getenv("ODP_SLOW"));
	if (getenv("UNDER_LOAD"))
		slowness *= UNDER_LOAD;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED)
		return CANNOT;
	return run();
}
