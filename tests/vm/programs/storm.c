/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A stream of device faults beside somebody who maps, touches and unmaps
 * unrelated memory as fast as he can.
 *
 * usage: storm -d DEV[,DEV2] [-r ROUNDS] [-v]
 *
 * The stream READs or WRITEs one cold page after the other; afterwards they are
 * made cold again (MADV_DONTNEED). What its speed is compared with is that of
 * the same stream beside a thread that only spins: that one takes as much CPU
 * time, and touches nothing. Each round takes all measurements in turn, and of
 * each the upper quartile counts: the host may be busy with other things. There
 * are more rounds where that was not enough to leave them out.
 */
#include "ends.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

/*
 *	one block	one block			one block
 *	+-------------+-------------------------------+-------------+
 *	| neighbour   | stream: PARTS x PART | same   | neighbour   |
 *	+-------------+-------------------------------+-------------+
 */
enum { PART = 64, PARTS = 4, STREAM = PARTS * PART };
enum { WINDOW = 8, PIECE = 16, RETRIES_MAX = 1 /* % */, SPEED_MIN = 50 /* % */,
       ROUNDS_MAX = 50, MORE_ROUNDS = 5 };

enum beside { NOTHING, SPIN, FAR, NEIGHBOUR, SAME, OTHER_SPIN, OTHER_FAR, KINDS };

static const char *const names[KINDS] = {
	"alone", "beside a thread that spins", "beside unrelated memory, far away",
	"beside unrelated memory, next blocks", "beside unrelated memory, same blocks",
	"beside a process that spins", "beside a process that maps and unmaps",
};

struct result {
	double speeds[2][ROUNDS_MAX];	/* pages a second, of WRITEs and of READs */
	int rounds;
	double seconds;
	double busy;	/* CPU time of the one beside */
	double system;	/* CPU time of all */
	uint64_t maps, faults, retries, direct;
};

static struct nic nics[2];
static struct ibv_mr *source_mr, *mr;
static struct end end, peer;
static char *stream, *source;
static bool verbose;
static unsigned long next_page;
static struct result results[KINDS];

/* In memory shared with the other process */
static struct {
	atomic_int kind;	/* what the other process is to do; NOTHING: wait */
	atomic_bool stop;
	atomic_ulong maps;
	double busy;
} *shared;

/* --- The one beside ---------------------------------------------------------- */

static char *neighbour(unsigned long i)
{
	return i & 1 ? stream + BLOCK : stream - BLOCK;
}

static char *place(enum beside kind, unsigned long i)
{
	static const unsigned long far_away = 1UL << 40;

	if (kind == NEIGHBOUR)
		return neighbour(i) + (1 + i % 16) * PIECE * PAGE;
	if (kind == SAME)
		return stream + (STREAM + i % 8 * PIECE) * PAGE;
	return (char *)far_away + (i % 64) * BLOCK;
}

static void map_touch_unmap(char *at)
{
	size_t i, size = PIECE * PAGE;

	CHECK(mmap(at, size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == at);
	for (i = 0; i < size; i += PAGE)
		at[i] = 1;
	CHECK(!munmap(at, size));
}

static void churn(enum beside kind)
{
	double start = cpu_time();
	unsigned long i;

	for (i = 0; !shared->stop; i++) {
		if (kind != SPIN && kind != OTHER_SPIN)
			map_touch_unmap(place(kind, i));
		shared->maps = i + 1;
	}
	shared->busy = cpu_time() - start;
}

static void *churn_thread(void *arg)
{
	churn(*(enum beside *)arg);
	return NULL;
}

/*
 * The other process. It is made before anything else: fork() write-protects all
 * memory, and that is not what is measured here.
 */
static void other_process(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		while (shared->kind == NOTHING)
			pause_ms(1);
		churn(shared->kind);
		shared->kind = NOTHING;
	}
}

struct helper {
	enum beside kind;
	pthread_t thread;
};

static void helper_start(struct helper *helper, enum beside kind)
{
	helper->kind = kind;
	shared->stop = false;
	shared->maps = 0;
	shared->busy = 0;
	if (kind >= OTHER_SPIN)
		shared->kind = kind;
	else if (kind != NOTHING)
		CHECK(!pthread_create(&helper->thread, NULL, churn_thread, &helper->kind));
	while (kind != NOTHING && !shared->maps)
		pause_ms(1);
}

static void helper_end(struct helper *helper)
{
	shared->stop = true;
	if (helper->kind >= OTHER_SPIN)
		while (shared->kind != NOTHING)
			pause_ms(1);
	else if (helper->kind != NOTHING)
		CHECK(!pthread_join(helper->thread, NULL));
}

/* --- The stream -------------------------------------------------------------- */

static char *part_of(unsigned long n)
{
	return stream + n / PART % PARTS * PART * PAGE;
}

/* In no order that could be followed, so that each page is a fault */
static char *page_at(unsigned long n)
{
	return part_of(n) + n * 37 % PART * PAGE;
}

static void post(unsigned long n, bool read)
{
	char *local = source + n % WINDOW * PAGE;
	struct request request = {
		.opcode = read ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE,
		.local = local, .len = PAGE, .lkey = source_mr->lkey,
		.remote = (uintptr_t)page_at(n), .rkey = mr->rkey,
	};

	*(unsigned long *)local = n;
	end_post(&end, &request, n);
}

/* What was read was nothing. */
static void complete(unsigned long n, bool read)
{
	end_done(&end);
	if (read)
		CHECK(*(unsigned long *)(source + n % WINDOW * PAGE) == 0);
}

/* What was written is there. Then it is cold again. */
static void drop(unsigned long first, bool read)
{
	unsigned long n;

	for (n = first; n < first + PART && !read; n++)
		CHECK(*(unsigned long *)page_at(n) == n);
	CHECK(!madvise(part_of(first), PART * PAGE, MADV_DONTNEED));
}

/* One part of the stream */
static void flow(bool read)
{
	unsigned long n, first = next_page, end_page = first + PART;

	for (n = first; n < end_page + WINDOW; n++) {
		if (n >= first + WINDOW)
			complete(n - WINDOW, read);
		if (n < end_page)
			post(n, read);
	}
	next_page = end_page;
}

/* --- Measuring --------------------------------------------------------------- */

/* CPU time of everybody but the idle tasks */
static double system_time(void)
{
	unsigned long long t[8];
	FILE *file = fopen("/proc/stat", "r");

	CHECK(file);
	CHECK(fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1], &t[2], &t[3],
		     &t[4], &t[5], &t[6]) == 7);
	fclose(file);
	return (double)(t[0] + t[1] + t[2] + t[5] + t[6]) / sysconf(_SC_CLK_TCK);
}

static void measure(enum beside kind, bool read)
{
	struct result *result = &results[kind];
	struct counters counters;
	struct helper helper;
	double seconds, all;

	counters_read(&counters, &nics[0]);
	helper_start(&helper, kind);
	all = system_time();
	seconds = now();
	flow(read);
	seconds = now() - seconds;
	all = system_time() - all;
	helper_end(&helper);
	drop(next_page - PART, read);
	result->faults += counters_grown(&counters, "odp_faults");
	result->retries += counters_grown(&counters, "odp_fault_retries");
	result->direct += counters_grown(&counters, "odp_faults_direct");
	result->maps += shared->maps;
	result->seconds += seconds;
	result->busy += shared->busy;
	result->system += all;
	result->speeds[read][result->rounds / 2] = PART / seconds;
	result->rounds++;
	if (verbose)
		printf("%s, %s: %.0f pages/s\n", read ? "READ" : "WRITE", names[kind], PART / seconds);
}

static int falling(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x < y) - (x > y);
}

/* Upper quartile, READs and WRITEs */
static double speed_of(struct result *result)
{
	int n = result->rounds / 2;

	qsort(result->speeds[0], n, sizeof(double), falling);
	qsort(result->speeds[1], n, sizeof(double), falling);
	return 2 / (1 / result->speeds[0][n / 4] + 1 / result->speeds[1][n / 4]);
}

static void say(enum beside kind)
{
	struct result *r = &results[kind];

	printf("%-38s %6.0f pages/s; %6.2f s, CPU %5.2f s of it %5.2f s theirs; %7llu maps; %llu faults, %llu retries, %llu direct\n",
	       names[kind], speed_of(r), r->seconds, r->system, r->busy,
	       (unsigned long long)(kind == SPIN || kind == OTHER_SPIN ? 0 : r->maps),
	       (unsigned long long)r->faults, (unsigned long long)r->retries,
	       (unsigned long long)r->direct);
}

/* Of the speed beside one who only spins, in % */
static double part_of_speed(enum beside kind)
{
	enum beside control = kind == OTHER_FAR ? OTHER_SPIN : SPIN;

	return 100 * speed_of(&results[kind]) / speed_of(&results[control]);
}

static bool fast_enough(void)
{
	return under_load() || (part_of_speed(FAR) > SPEED_MIN &&
				part_of_speed(NEIGHBOUR) > SPEED_MIN &&
				part_of_speed(OTHER_FAR) > SPEED_MIN);
}

static void judge(enum beside kind)
{
	struct result *r = &results[kind];

	say(kind);
	CHECK(r->faults > 0);
	JUDGE(r->retries * 100 < r->faults * RETRIES_MAX);
	JUDGE(r->direct == 0);
	if (kind == FAR || kind == NEIGHBOUR || kind == OTHER_FAR)
		printf("%38s %6.0f %% of the speed beside one who spins (at least %d)\n", "",
		       part_of_speed(kind), SPEED_MIN);
}

static void set_up(void)
{
	char *start = memory_map(3 * BLOCK, false);

	stream = start + BLOCK;
	source = memory_map(BLOCK, false);
	memset(source, 1, WINDOW * PAGE);
	source_mr = nic_register(&nics[0], source, BLOCK);
	mr = nic_register(&nics[1], stream, BLOCK);
	ends_create(&end, &nics[0], &peer, &nics[1], WINDOW);
	flow(false);
	drop(0, false);

	/* Holes for those beside; too small for a thread's stack. */
	CHECK(!munmap(start + PAGE, BLOCK - PAGE));
	CHECK(!munmap(stream + STREAM * PAGE, BLOCK - STREAM * PAGE));
	CHECK(!munmap(stream + BLOCK, BLOCK - PAGE));
}

int main(int argc, char **argv)
{
	int c, kind, round = 0, rounds = 12;
	pid_t pid;

	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		other_process();

	while ((c = getopt(argc, argv, "d:r:v")) != -1) {
		CHECK(c != '?');
		if (c == 'd')
			nics_open(nics, optarg);
		else if (c == 'v')
			verbose = true;
		else
			rounds = atoi(optarg);
	}
	CHECK(nics[0].context && rounds > 1 && rounds * MORE_ROUNDS <= 2 * ROUNDS_MAX);
	set_up();
	while (round < rounds || (round < MORE_ROUNDS * rounds && !fast_enough())) {
		for (kind = NOTHING; kind < KINDS; kind++)
			measure(kind, round & 1);
		round++;
	}
	for (kind = NOTHING; kind < KINDS; kind++)
		if (kind != SAME)
			judge(kind);
	JUDGE(fast_enough());
	/* Here the block is what both of them share; that it goes on is enough. */
	say(SAME);
	return 0;
}
