/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * failnth: walks every allocation failure of the calls that make and unmake
 * verbs objects.
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
#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CANNOT = 77, MOST = 20000, BYTES = 128 * 1024, DEPTH = 256, PORT = 1 };

static const char *device_name = "odp0";
static int gid_index;
static bool verbose;
static bool failed;
static struct ibv_device *device;

/* What there is; a call makes or unmakes one of them. */
static struct {
	void *memory;
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_mr *mr;
	struct ibv_comp_channel *channel;
	struct ibv_cq *cq;
	struct ibv_qp *qp;
} have;

static void __attribute__((noreturn)) give_up(const char *what, int err)
{
	printf("FAIL: %s: %s\n", what, strerror(err));
	exit(1);
}

/* --- The calls; all return 0 or an errno value ------------------------------ */

#define MAKE(field, call) ((have.field = (call)) ? 0 : errno)

static int open_device(void)
{
	return MAKE(context, ibv_open_device(device));
}

static int alloc_pd(void)
{
	return MAKE(pd, ibv_alloc_pd(have.context));
}

static int reg(void *addr, size_t bytes, int access)
{
	access |= IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE;
	return MAKE(mr, ibv_reg_mr(have.pd, addr, bytes, access));
}

static int reg_pinned(void)
{
	return reg(have.memory, BYTES, 0);
}

static int reg_on_demand(void)
{
	return reg(have.memory, BYTES, IBV_ACCESS_ON_DEMAND);
}

static int reg_implicit(void)
{
	return reg(NULL, SIZE_MAX, IBV_ACCESS_ON_DEMAND);
}

static int prefetch(void)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)have.memory,
		.length = BYTES,
		.lkey = have.mr->lkey,
	};

	return ibv_advise_mr(have.pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE,
			     IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1);
}

static int create_channel(void)
{
	return MAKE(channel, ibv_create_comp_channel(have.context));
}

static int create_cq(void)
{
	return MAKE(cq, ibv_create_cq(have.context, DEPTH, NULL, have.channel, 0));
}

static int create_qp(void)
{
	struct ibv_qp_init_attr attr = {
		.send_cq = have.cq,
		.recv_cq = have.cq,
		.cap = { .max_send_wr = DEPTH, .max_recv_wr = DEPTH,
			 .max_send_sge = 4, .max_recv_sge = 4 },
		.qp_type = IBV_QPT_RC,
	};

	return MAKE(qp, ibv_create_qp(have.pd, &attr));
}

static int qp_to_init(void)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = PORT,
		.qp_access_flags = IBV_ACCESS_REMOTE_WRITE,
	};

	return ibv_modify_qp(have.qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX |
			     IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
}

/* To itself */
static int qp_to_rtr(void)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = IBV_MTU_1024,
		.dest_qp_num = have.qp->qp_num,
		.max_dest_rd_atomic = 16,
		.min_rnr_timer = 12,
		.ah_attr = {
			.is_global = 1,
			.port_num = PORT,
			.grh = { .sgid_index = gid_index, .hop_limit = 64 },
		},
	};

	ibv_query_gid(have.context, PORT, gid_index, &attr.ah_attr.grh.dgid);
	return ibv_modify_qp(have.qp, &attr, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
			     IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
			     IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
}

static int qp_to_rts(void)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTS,
		.timeout = 14,
		.retry_cnt = 7,
		.rnr_retry = 7,
		.max_rd_atomic = 16,
	};

	return ibv_modify_qp(have.qp, &attr, IBV_QP_STATE | IBV_QP_TIMEOUT |
			     IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
			     IBV_QP_MAX_QP_RD_ATOMIC);
}

/* What failed to come apart is still there, for the next try. */
#define UNMAKE(field, call)				\
	({						\
		int err_ = have.field ? (call) : 0;	\
							\
		if (!err_)				\
			have.field = NULL;		\
		err_;					\
	})

static int destroy_qp(void) { return UNMAKE(qp, ibv_destroy_qp(have.qp)); }
static int destroy_cq(void) { return UNMAKE(cq, ibv_destroy_cq(have.cq)); }
static int destroy_channel(void) { return UNMAKE(channel, ibv_destroy_comp_channel(have.channel)); }
static int dereg(void) { return UNMAKE(mr, ibv_dereg_mr(have.mr)); }
static int dealloc_pd(void) { return UNMAKE(pd, ibv_dealloc_pd(have.pd)); }
static int close_device(void) { return UNMAKE(context, ibv_close_device(have.context)); }

/* --- Everything that a call needs; without failures ------------------------- */

typedef int (*call_fn)(void);

static int map_memory(void)
{
	have.memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return have.memory == MAP_FAILED ? errno : 0;
}

static int unmap_memory(void)
{
	return UNMAKE(memory, munmap(have.memory, BYTES));
}

/* The failure may have been munmap()'s in the provider, who can but go on. */
static void unmap_rest(void)
{
	unsigned long start, end;
	char line[512];
	FILE *f;

	f = fopen("/proc/self/maps", "re");
	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "/uverbs") && sscanf(line, "%lx-%lx", &start, &end) == 2)
			munmap((void *)start, end - start);
	if (f)
		fclose(f);
}

static void tear_down(void)
{
	static const call_fn calls[] = {
		destroy_qp, destroy_cq, destroy_channel, dereg, dealloc_pd, close_device,
		unmap_memory,
	};
	size_t i;
	int err;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		err = calls[i]();
		if (err)
			give_up("cannot take down what was set up", err);
	}
	unmap_rest();
}

enum { CALLS = 10 };

struct sweep {
	const char *name;
	call_fn call;
	call_fn before[CALLS];
};

#define PD map_memory, open_device, alloc_pd
#define CQ PD, create_channel, create_cq
static const struct sweep sweeps[] = {
	{ "open the device", open_device, { NULL } },
	{ "allocate a PD", alloc_pd, { open_device } },
	{ "register, pinned", reg_pinned, { PD } },
	{ "register, on demand", reg_on_demand, { PD } },
	{ "register, on demand, once more", reg_on_demand, { PD, reg_on_demand, dereg } },
	{ "register, implicit", reg_implicit, { PD } },
	{ "prefetch", prefetch, { PD, reg_on_demand } },
	{ "create a completion channel", create_channel, { PD } },
	{ "create a CQ", create_cq, { PD, create_channel } },
	{ "create a QP", create_qp, { CQ } },
	{ "modify a QP to INIT", qp_to_init, { CQ, create_qp } },
	{ "modify a QP to RTR", qp_to_rtr, { CQ, create_qp, qp_to_init } },
	{ "modify a QP to RTS", qp_to_rts, { CQ, create_qp, qp_to_init, qp_to_rtr } },
	{ "destroy a QP", destroy_qp, { CQ, create_qp, qp_to_init, qp_to_rtr, qp_to_rts } },
	{ "destroy a CQ", destroy_cq, { CQ } },
	{ "deregister, pinned", dereg, { PD, reg_pinned } },
	{ "deregister, on demand", dereg, { PD, reg_on_demand } },
	{ "deallocate a PD", dealloc_pd, { PD } },
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
static bool attempt(const struct sweep *sweep, int n, int *err)
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
	tear_down();
	return !over;
}

static void run(const struct sweep *sweep)
{
	char before[256], after[256];
	int n, err = 0, refused = 0;

	find_objects(before, sizeof(before));
	for (n = 1; n < MOST && attempt(sweep, n, &err); n++)
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
	if (!strcmp(before, after))
		return;
	printf("FAIL: objects are left behind:\n before %s after  %s", before, after);
	failed = true;
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
		run(&sweeps[i]);
	return failed;
}
