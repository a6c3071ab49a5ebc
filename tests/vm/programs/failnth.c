/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * failnth: walks every allocation failure of the calls that make and unmake
 * verbs objects, and of page faults: a prefetch with IBV_ADVISE_MR_FLAG_FLUSH
 * does the work of the fault service in the caller.
 *
 * A number N in /proc/thread-self/fail-nth makes the Nth allocation fail that
 * the thread asks the kernel for. A sweep is one call, with N = 1, 2, ... until
 * it ends before its Nth allocation. The call may then fail, with ENOMEM, or
 * make do without; it leaves nothing behind when it fails, and all that was
 * made before still works and comes apart.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "failnth.h"

enum { CANNOT = 77, MOST = 20000 };

static const char *device_name = "odp0";
static bool verbose;
static bool failed;

enum { CALLS = 16 };

struct sweep {
	const char *name;
	call_fn call;
	call_fn before[CALLS];
};

#define PD map_memory, open_device, alloc_pd
#define CQ PD, create_channel, create_cq
/* A queue pair that is connected to itself, and memory of some kind. */
#define LOOP open_device, alloc_pd, create_channel, create_cq, create_qp, qp_to_init, \
	qp_to_rtr, qp_to_rts
static const struct sweep sweeps[] = {
	{ "open the device", open_device, { NULL } },
	{ "allocate a PD", alloc_pd, { open_device } },
	{ "register, pinned", reg_pinned, { PD } },
	{ "register, on demand", reg_on_demand, { PD } },
	{ "register, on demand, once more", reg_on_demand, { PD, reg_on_demand, dereg } },
	{ "register, implicit", reg_implicit, { PD } },
	{ "register a dma-buf", reg_dmabuf, { PD, export_dmabuf } },
	{ "create a completion channel", create_channel, { PD } },
	{ "create a CQ", create_cq, { PD, create_channel } },
	{ "resize a CQ", resize_cq, { CQ } },
	{ "create a QP", create_qp, { CQ } },
	{ "create an SRQ", create_srq, { PD } },
	{ "create a QP with an SRQ", create_qp, { CQ, create_srq } },
	{ "modify a QP to INIT", qp_to_init, { CQ, create_qp } },
	{ "modify a QP to RTR", qp_to_rtr, { CQ, create_qp, qp_to_init } },
	{ "modify a QP to RTS", qp_to_rts, { CQ, create_qp, qp_to_init, qp_to_rtr } },
	{ "destroy a QP", destroy_qp, { CQ, create_qp, qp_to_init, qp_to_rtr, qp_to_rts } },
	{ "destroy an SRQ", destroy_srq, { PD, create_srq } },
	{ "destroy a CQ", destroy_cq, { CQ } },
	{ "deregister, pinned", dereg, { PD, reg_pinned } },
	{ "deregister, on demand", dereg, { PD, reg_on_demand } },
	{ "deregister a dma-buf", dereg, { PD, export_dmabuf, reg_dmabuf } },
	{ "deallocate a PD", dealloc_pd, { PD } },
};

/* What a prefetch must leave right is checked as well: prefetched(). */
static const struct sweep prefetches[] = {
	{ "prefetch, nothing there", prefetch,
	  { LOOP, map_memory, reg_on_demand } },
	{ "prefetch to write, nothing there", prefetch_write,
	  { LOOP, map_memory, reg_on_demand } },
	{ "prefetch to write what was read", prefetch_write,
	  { LOOP, map_memory, reg_on_demand, prefetch } },
	{ "prefetch, all there", prefetch_write,
	  { LOOP, map_memory, fill_memory, reg_on_demand } },
	{ "prefetch, all prefetched", prefetch_write,
	  { LOOP, map_memory, fill_memory, reg_on_demand, prefetch_write } },
	{ "prefetch, swapped out", prefetch,
	  { LOOP, map_memory, fill_memory, page_out, reg_on_demand } },
	{ "prefetch, parts of two blocks", prefetch_two,
	  { LOOP, map_two_blocks, fill_memory, reg_on_demand } },
	{ "prefetch, implicit", prefetch_two,
	  { LOOP, map_two_blocks, fill_memory, reg_implicit } },
	{ "prefetch, nothing there, huge", prefetch_write,
	  { LOOP, map_huge, reg_on_demand } },
	{ "prefetch, huge", prefetch_write,
	  { LOOP, map_huge, fill_memory, reg_on_demand } },
};

static void prepare(const struct sweep *sweep)
{
	int i, err;

	for (i = 0; i < CALLS && sweep->before[i]; i++) {
		err = sweep->before[i]();
		if (err)
			give_up("cannot set up what the call needs", err);
	}
}

/* --- What must be the same after a call that failed -------------------------- */

struct traces {
	unsigned long mappings; /* of device files */
	unsigned long pinned; /* KiB */
};

static struct traces find_traces(void)
{
	struct traces t = { 0, 0 };
	char line[512];
	FILE *f;

	f = fopen("/proc/self/maps", "re");
	while (f && fgets(line, sizeof(line), f))
		t.mappings += !!strstr(line, "/uverbs");
	if (f)
		fclose(f);
	f = fopen("/proc/self/status", "re");
	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "VmPin: %lu", &t.pinned);
	if (f)
		fclose(f);
	return t;
}

/* rdma's line of counts for the device */
static void find_objects(char *line, int size)
{
	char command[128];
	FILE *f;

	snprintf(command, sizeof(command), "rdma resource show %s", device_name);
	f = popen(command, "r");
	if (!f || !fgets(line, size, f))
		give_up(command, errno);
	pclose(f);
}

/* --- Failures ---------------------------------------------------------------- */

static int nth_file = -1;

static void arm(int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	if (pwrite(nth_file, text, len, 0) != len)
		give_up("write to fail-nth", errno);
}

/* Is it over, with the failure still to come? */
static bool disarm(void)
{
	char text[16] = "";

	if (pread(nth_file, text, sizeof(text) - 1, 0) <= 0)
		give_up("read from fail-nth", errno);
	arm(0);
	return atoi(text) != 0;
}

static bool expected(const struct sweep *sweep, int err)
{
	/* The library looks for the device file in several ways. */
	if (sweep->call == open_device)
		return true;
	/* So does the kernel say that it has no memory for a route. */
	if (sweep->call == qp_to_rtr && err == ENOBUFS)
		return true;
	return err == ENOMEM;
}

static void check(const struct sweep *sweep, int n, int err, const struct traces *before)
{
	struct traces after = find_traces();

	if (!expected(sweep, err)) {
		printf("FAIL: %s, failure %d: %s, not ENOMEM\n", sweep->name, n, strerror(err));
		failed = true;
	}
	if (after.mappings == before->mappings && after.pinned == before->pinned)
		return;
	printf("FAIL: %s, failure %d leaves behind: mappings %lu -> %lu, pinned KiB %lu -> %lu\n",
	       sweep->name, n, before->mappings, after.mappings, before->pinned, after.pinned);
	failed = true;
}

/* Returns false when the call needed fewer allocations than n. */
static bool attempt(const struct sweep *sweep, bool (*right)(call_fn), int n, int *err)
{
	struct traces before;
	bool over;

	prepare(sweep);
	before = find_traces();
	arm(n);
	*err = sweep->call();
	over = disarm();
	if (verbose)
		printf("   %d: %s%s\n", n, strerror(*err), over ? ", over" : "");
	if (*err && *err != EOPNOTSUPP && !over)
		check(sweep, n, *err, &before);
	if (right && *err != EOPNOTSUPP && !right(sweep->call)) {
		printf("FAIL: %s, failure %d (%s)\n", sweep->name, n, strerror(*err));
		failed = true;
	}
	tear_down();
	return !over;
}

/* Returns false if there is no such call. */
static bool run(const struct sweep *sweep, bool (*right)(call_fn))
{
	char before[256], after[256];
	int n, err = 0, refused = 0;

	find_objects(before, sizeof(before));
	for (n = 1; n < MOST && attempt(sweep, right, n, &err); n++)
		refused += !!err;
	if (!err)
		printf("%-32s %5d failures, %d of them refused the call\n", sweep->name, n - 1,
		       refused);
	else if (err == EOPNOTSUPP || err == ENOSYS)
		printf("%-32s is not supported\n", sweep->name);
	else
		give_up(sweep->name, err);
	fflush(stdout);
	find_objects(after, sizeof(after));
	if (strcmp(before, after)) {
		printf("FAIL: objects are left behind:\n before %s after  %s", before, after);
		failed = true;
	}
	return !err;
}

static void find_device(void)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	int i;

	for (i = 0; list && list[i]; i++)
		if (!strcmp(ibv_get_device_name(list[i]), device_name))
			device = list[i];
	if (!device)
		give_up(device_name, ENODEV);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'd':
		device_name = arg;
		return 0;
	case 'x':
		gid_index = atoi(arg);
		return 0;
	case 'v':
		verbose = true;
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
		{ "ib-dev", 'd', "DEV", 0, "device (default odp0)", 0 },
		{ "gid-index", 'x', "INDEX", 0, "for modify QP (default 0)", 0 },
		{ "verbose", 'v', NULL, 0, "say how each attempt ends", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		table, parse, NULL,
		"Make each allocation of each call fail in turn.", NULL, NULL, NULL,
	};
	size_t i;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	nth_file = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (nth_file < 0) {
		printf("SKIP: this kernel has no fault injection\n");
		return CANNOT;
	}
	find_device();
	for (i = 0; i < sizeof(sweeps) / sizeof(sweeps[0]); i++)
		run(&sweeps[i], NULL);
	for (i = 0; i < sizeof(prefetches) / sizeof(prefetches[0]); i++)
		if (!run(&prefetches[i], prefetched))
			break;
	return failed;
}
