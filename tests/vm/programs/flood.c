/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Flood: many queue pairs that need the same page cost one fault, and nobody
 * sends anything again while it comes in.
 *
 * usage: flood -d DEV[,DEV2]
 *
 * 64 queue pairs READ or WRITE in one page, which is missing at the remote side
 * or at the local one. The page is 500 ms away (userfaultfd), so that all of
 * them wait for it, which the device's count of waits shows; or it is plain
 * memory never touched, or untouched memory with huge pages.
 */
#include "ends.h"
#include "slow.h"

#include <string.h>
#include <sys/mman.h>

enum { QUEUES = 64, LEN = 64, DELAY_MS = 500, PLAIN_MAX = 4 };

enum where { LOCAL, REMOTE };

static struct nic nics[2];
static struct ibv_mr *mr[2];
static char *memory;	/* a block whose first page is wanted, and a warm one */
static char *huge;	/* the same, of huge pages */
static struct slow slow;
static struct end queue[QUEUES], peer[QUEUES];

static void post(int i, bool read, char *local, char *remote)
{
	struct request request = {
		.opcode = read ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE,
		.local = local + i * LEN, .len = LEN, .lkey = mr[0]->lkey,
		.remote = (uintptr_t)remote + i * LEN, .rkey = mr[1]->rkey,
	};

	end_post(&queue[i], &request, i);
}

/* A byte that each queue pair's part of a page is filled with */
static void fill(char *page, int seed)
{
	int i;

	for (i = 0; i < QUEUES; i++)
		memset(page + i * LEN, seed + i, LEN);
}

static void check_bytes(const char *missing, const char *warm, bool into_missing, bool by_handler)
{
	int i, j;

	CHECK(!memcmp(missing, warm, QUEUES * LEN));
	for (i = 0; i < QUEUES; i++)
		for (j = 0; j < LEN; j++)
			if (into_missing)
				CHECK(missing[i * LEN + j] == (char)(100 + i));
			else
				CHECK(missing[i * LEN + j] == (by_handler ? (char)slow_byte(0) : 0));
}

static void flood(const char *kind, bool read, enum where where, char *missing, bool by_handler)
{
	char *warm = memory + BLOCK;
	char *local = where == LOCAL ? missing : warm;
	char *remote = where == REMOTE ? missing : warm;
	bool into_missing = read == (where == LOCAL);
	struct trouble trouble;
	uint64_t faults, waits, joined;
	double start, took;
	int i;

	fill(warm, 100);
	trouble_begin(&trouble, nics);
	start = now();
	for (i = 0; i < QUEUES; i++)
		post(i, read, local, remote);
	for (i = 0; i < QUEUES; i++)
		end_done(&queue[i]);
	took = (now() - start) * 1000;

	faults = counters_grown(&trouble.nic[0], "odp_faults");
	joined = counters_grown(&trouble.nic[0], "odp_faults_joined");
	waits = trouble_seen(&trouble, "page_waits");
	printf("%s, %s page %s: %llu waits, %llu joined, %llu faults; %llu retries and NAKs; all after %.0f ms\n",
	       read ? "READ " : "WRITE", where == LOCAL ? "local " : "remote", kind,
	       (unsigned long long)waits, (unsigned long long)joined, (unsigned long long)faults,
	       (unsigned long long)trouble_all(&trouble), took);
	check_bytes(missing, warm, into_missing, by_handler);
	JUDGE(!trouble_all(&trouble));
	JUDGE(counters_grown(&trouble.nic[0], "odp_fault_retries") == 0);
	JUDGE(counters_grown(&trouble.nic[0], "odp_faults_direct") == 0);
	/*
	 * Each wait joins a fault or starts one. With a page that comes at once,
	 * who has missed it just before may start another fault just after.
	 */
	JUDGE(waits == faults + joined);
	if (!by_handler) {
		JUDGE(faults >= 1 && faults <= PLAIN_MAX);
		return;
	}
	/* All of them were there while the page was not. */
	JUDGE(waits == QUEUES && faults == 1);
	JUDGE(slow_asked(&slow) == 1);
}

/* Before: the device is to know the page that is not missing. */
static void warm_up(bool read, enum where where)
{
	char *warm = memory + BLOCK;
	int i;

	for (i = 0; i < QUEUES; i++) {
		post(i, read, where == LOCAL ? warm + PAGE : warm, where == LOCAL ? warm : warm + PAGE);
		end_done(&queue[i]);
	}
	/* So far it may know it for reading only. */
	post(0, !read, where == LOCAL ? warm + PAGE : warm, where == LOCAL ? warm : warm + PAGE);
	end_done(&queue[0]);
}

static void all_ways(bool read, enum where where)
{
	warm_up(read, where);
	slow_reset(&slow);
	flood("500 ms away", read, where, memory, true);
	/* Any other page of the block is plain. */
	CHECK(!madvise(memory + PAGE, PAGE, MADV_DONTNEED));
	flood("untouched", read, where, memory + PAGE, false);
	CHECK(!madvise(huge, BLOCK, MADV_DONTNEED));
	flood("untouched, huge", read, where, huge, false);
}

int main(int argc, char **argv)
{
	int i, where;

	CHECK(argc == 3 && !strcmp(argv[1], "-d"));
	nics_open(nics, argv[2]);
	memory = memory_map(2 * BLOCK, false);
	huge = memory_map(BLOCK, true);
	/* One key for both: the whole address space. */
	mr[0] = nic_register(&nics[0], NULL, SIZE_MAX);
	mr[1] = nic_register(&nics[1], NULL, SIZE_MAX);
	slow_begin(&slow, memory, 1);
	slow_set_delay(&slow, 0, 1, DELAY_MS * slowness());
	for (i = 0; i < QUEUES; i++)
		ends_create(&queue[i], &nics[0], &peer[i], &nics[1], 4);
	for (where = LOCAL; where <= REMOTE; where++) {
		all_ways(true, where);
		all_ways(false, where);
	}
	slow_end(&slow);
	return 0;
}
