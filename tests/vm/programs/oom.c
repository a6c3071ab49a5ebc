/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The OOM killer ends a process with a large mirror, at once.
 *
 * usage: oom -d DEV,DEV2 -g CGROUP [-m MIB] [-h MIB] [-b BLOCKS] [-k]
 *
 * A process in a memory cgroup, whose limit the caller has set, has memory that
 * its peer, outside, has WRITTEN: MIB in small pages and MIB in huge ones, and
 * one page in each of so many blocks. The peer goes on WRITEing, while the
 * process takes more memory than it may. Before the cgroup's OOM killer comes,
 * reclaim has taken the leaves that were idle; with -k the administrator asks
 * for the OOM killer (sysrq f), who finds all of them.
 */
#include "ends.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MESSAGE = 256 << 10, GONE_MS = 2000, DEPTH = 16, TIMEOUT = 16 /* 268 ms */ };

static struct nic nics[2];
static const char *cgroup;
static bool by_hand;
static size_t small_mib = 64, huge_mib = 960, blocks = 4096;

static struct {
	atomic_int stage;
	struct address owner, peer;
	uint64_t small, huge, sparse;
	uint32_t rkey;
	_Atomic double last;	/* when it was alive */
} *shared;

static void wait_stage(int stage)
{
	double until = now() + 5 * PATIENCE * slowness();

	while (shared->stage < stage) {
		CHECK(now() < until);
		pause_ms(1);
	}
}

static void ask_for_it(void)
{
	write_file("/proc/self/oom_score_adj", "1000");
	shared->last = now();
	write_file("/proc/sysrq-trigger", "f");
	pause_ms(PATIENCE * 1000);
}

static void own(void)
{
	size_t i, more = 4UL << 30;
	struct ibv_mr *mr;
	struct end end = { 0 };
	char *greed;

	write_file(in_cgroup(cgroup, "cgroup.procs"), "0");
	shared->small = (uintptr_t)memory_map(small_mib << 20, false);
	shared->huge = (uintptr_t)memory_map(huge_mib << 20, true);
	shared->sparse = (uintptr_t)memory_map(blocks * BLOCK, false);
	greed = memory_map(more, false);
	mr = nic_register(&nics[0], NULL, SIZE_MAX);
	shared->rkey = mr->rkey;
	end_create(&end, &nics[0], DEPTH);
	shared->owner = end_address(&end);
	shared->stage = 1;
	wait_stage(2);
	end_connect(&end, &shared->peer);
	shared->stage = 3;
	wait_stage(4);
	if (by_hand)
		ask_for_it();
	for (i = 0; i < more; i += PAGE) {
		shared->last = now();
		greed[i] = 1;
	}
	printf("FAIL: the limit is no limit\n");
}

/* WRITEs all over the memory, each of @len, a step after the other */
static void touch(struct end *end, struct ibv_mr *mr, uint64_t start, uint64_t size, uint64_t step,
		  uint32_t len)
{
	struct request request = { .opcode = IBV_WR_RDMA_WRITE, .local = mr->addr, .len = len,
				   .lkey = mr->lkey, .rkey = shared->rkey };
	uint64_t posted, done;

	for (posted = 0, done = 0; done < size / step; ) {
		if (posted < size / step && posted - done < DEPTH) {
			request.remote = start + posted++ * step;
			end_post(end, &request, posted);
		} else {
			end_done(end);
			done++;
		}
	}
}

/* Traffic until the process is gone. Return: seconds that it lived on */
static double watch(struct end *end, struct ibv_mr *mr, pid_t child, struct ibv_wc *wc)
{
	struct request request = { .opcode = IBV_WR_RDMA_WRITE, .local = mr->addr, .len = PAGE,
				   .lkey = mr->lkey, .rkey = shared->rkey };
	double until = now() + PATIENCE * slowness();
	int status, n = 0, posted = 0;
	pid_t pid;

	wc->status = IBV_WC_SUCCESS;
	do {
		CHECK(now() < until);
		if (!posted && !wc->status) {
			request.remote = shared->small + n++ % (small_mib << 8) * PAGE;
			end_post(end, &request, n);
			posted = 1;
		}
		if (posted && end_poll(end, wc))
			posted = 0;
		pid = waitpid(child, &status, WNOHANG);
	} while (!pid);
	until = now() - shared->last;
	CHECK(pid == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	/* What was under way may have been done in time; the next one is not. */
	if (posted)
		*wc = end_wait(end);
	if (!wc->status) {
		end_post(end, &request, n);
		*wc = end_wait(end);
	}
	return until;
}

static void wait_leaves(uint64_t leaves)
{
	double until = now() + 10 * slowness();

	while (counter(&nics[1], "odp_leaves") != leaves) {
		CHECK(now() < until);
		pause_ms(20);
	}
}

static void be_peer(pid_t child)
{
	char *buf = memory_map(BLOCK, false);
	struct ibv_mr *mr = ibv_reg_mr(nics[1].pd, buf, BLOCK, 0);
	struct counters counters;
	struct end end = { .timeout = TIMEOUT };
	double start, seconds, error;
	struct ibv_wc wc;

	CHECK(mr);
	memset(buf, 7, BLOCK);
	end_create(&end, &nics[1], DEPTH);
	wait_stage(1);
	end_connect(&end, &shared->owner);
	shared->peer = end_address(&end);
	shared->stage = 2;
	wait_stage(3);
	touch(&end, mr, shared->small, MESSAGE, MESSAGE, MESSAGE);
	counters_read(&counters, &nics[1]);
	start = now();
	touch(&end, mr, shared->small, small_mib << 20, MESSAGE, MESSAGE);
	touch(&end, mr, shared->huge, huge_mib << 20, BLOCK, 64);
	touch(&end, mr, shared->sparse, blocks * BLOCK, BLOCK, 64);
	printf("the peer has written in %zu MiB of small pages, %zu MiB of huge ones, %zu blocks: %llu leaves, %.1f s\n",
	       small_mib, huge_mib, blocks,
	       (unsigned long long)counters_grown(&counters, "odp_leaves"), now() - start);
	shared->stage = 4;
	seconds = watch(&end, mr, child, &wc);
	error = now() - shared->last;
	printf("gone %.0f ms after %s, with all that the kernel had to say; its peer has heard after %.0f ms: %s\n",
	       seconds * 1000, by_hand ? "the OOM killer was called" : "it took its last page",
	       error * 1000, ibv_wc_status_str(wc.status));
	CHECK(wc.status != IBV_WC_SUCCESS);
	CHECK(seconds < GONE_MS / 1000.0 * slowness());
	end_destroy(&end);
	CHECK(!ibv_dereg_mr(mr));
	wait_leaves(0);
	printf("no leaf is left\n");
}

int main(int argc, char **argv)
{
	char *names = NULL;
	pid_t child;
	int c;

	while ((c = getopt(argc, argv, "d:g:m:h:b:k")) != -1) {
		CHECK(c != '?');
		if (c == 'd')
			names = optarg;
		else if (c == 'g')
			cgroup = optarg;
		else if (c == 'k')
			by_hand = true;
		else
			*(c == 'm' ? &small_mib : c == 'h' ? &huge_mib : &blocks) = strtoul(optarg, NULL, 0);
	}
	CHECK(names && cgroup);
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	child = fork();
	CHECK(child >= 0);
	nics_open(nics, names);
	if (child)
		be_peer(child);
	else
		own();
	return !child;
}
