/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Does reclaim keep what only the network touches? A hot set that a peer
 * accesses over and over, beside cold memory that is written once and never
 * looked at again, in a memory cgroup that has room for a part of it all.
 *
 * usage: aging -d DEV[,DEV2] -g CGROUP
 *
 * Prints "refaults N" and what else was counted meanwhile. The caller compares
 * this with the same where the device does not tell what it has accessed.
 *
 * The CPU maps none of the cold memory, so that nothing but the order in which
 * it came says how old it is. A page that the CPU has just mapped counts as
 * accessed, once. With nothing else beside the hot set MGLRU goes round it all
 * within a moment, and takes what it has asked for first; DESIGN.md has more.
 *
 * All is done by counts: a slow machine does the same as a fast one.
 */
#include "ends.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	HOT = 6 << 20,
	LIMIT = 18 << 20,
	/* Once round the lists is 12 MiB at least, or six accesses. */
	STEP = 2 << 20,		/* of cold memory, for each access to the hot set */
	STEPS_BEFORE = 6,
	STEPS = 24,
	MESSAGE = 256 << 10,
	DEPTH = 64,
};

/* What is counted of all the system, in which nobody else is short of memory */
struct seen {
	uint64_t refaults;	/* pages that reclaim had better not have taken */
	uint64_t swapped_in;
	uint64_t faulted;	/* pages that the device asked for */
	uint64_t shrunk;	/* leaves */
};

static struct nic nics[2];
static const char *cgroup;
static struct end end, peer;
static struct ibv_mr *mine, *hot_mr;
static char *hot;
static int cold;	/* a file in memory */

/* The process has a room of its own from now on. */
static void enter_cgroup(void)
{
	char limit[32];

	write_file(in_cgroup(cgroup, "cgroup.procs"), "0");
	snprintf(limit, sizeof(limit), "%d", LIMIT);
	write_file(in_cgroup(cgroup, "memory.max"), limit);
}

static struct seen look(void)
{
	struct seen s;

	/* The kernel keeps counters of devices for 10 ms, and some of its own on each CPU. */
	pause_ms(25);
	write_file("/proc/sys/vm/stat_refresh", "1");
	s.refaults = value_in("/proc/vmstat", "workingset_refault_anon");
	s.swapped_in = value_in("/proc/vmstat", "pswpin");
	s.faulted = counter(&nics[0], "odp_fault_pages");
	s.shrunk = counter(&nics[0], "odp_leaves_shrunk");
	return s;
}

/*
 * Each node has lists of its own, and pages compete within a list: all of them
 * are on one node. The device's faults go by the policy of the memory, not by
 * that of the process.
 */
static void make_memory(void)
{
	unsigned long node = 1;

	hot = memory_map(HOT, false);
	hot_mr = nic_register(&nics[1], hot, HOT);
	cold = memfd_create("cold", MFD_CLOEXEC);
	CHECK(cold >= 0);
	if (syscall(SYS_set_mempolicy, MPOL_BIND, &node, 8) && errno == ENOSYS)
		return;
	CHECK(!syscall(SYS_mbind, hot, HOT, MPOL_BIND, &node, 8, 0));
}

/* What byte @i of the hot set is, once the words of @round are in its pages */
static unsigned char expected(size_t i, unsigned int round)
{
	if (i % PAGE < sizeof(uint64_t))
		return round + i / PAGE * 5;
	return i * 7 + i / PAGE * 3 + 1;
}

static void fill(size_t at, size_t len, unsigned int round)
{
	unsigned char *bytes = mine->addr;

	for (; len--; at++)
		bytes[at] = expected(at, round);
}

static void check(const void *memory, size_t at, size_t len, unsigned int round)
{
	const unsigned char *bytes = memory;

	for (; len--; at++)
		CHECK(bytes[at] == expected(at, round));
}

static void transfer(enum ibv_wr_opcode opcode, size_t at, uint32_t len)
{
	struct request request = { opcode, (char *)mine->addr + at, len, mine->lkey,
				   (uintptr_t)hot + at, hot_mr->rkey };

	end_post(&end, &request, at);
}

/* Parts of @len, one in each @step, of all of the hot set */
static void transfer_all(enum ibv_wr_opcode opcode, size_t step, uint32_t len)
{
	size_t posted = 0, done;

	for (done = 0; done < HOT; done += step) {
		for (; posted < HOT && posted - done < DEPTH * step; posted += step)
			transfer(opcode, posted, len);
		end_done(&end);
	}
}

/* A word in each page: an access WRITEs the words of a round, the next one READs them */
static void touch_hot(unsigned int round, bool write)
{
	const uint32_t len = sizeof(uint64_t);
	size_t at;

	for (at = 0; at < HOT && write; at += PAGE)
		fill(at, len, round);
	transfer_all(write ? IBV_WR_RDMA_WRITE : IBV_WR_RDMA_READ, PAGE, len);
	for (at = 0; at < HOT && !write; at += PAGE)
		check(mine->addr, at, len, round);
}

static void more_cold(unsigned int step)
{
	off_t at = (off_t)step * STEP, to = at + STEP;
	char page[PAGE];

	memset(page, step + 1, PAGE);
	for (; at < to; at += PAGE)
		CHECK(pwrite(cold, page, PAGE, at) == PAGE);
}

static void check_hot(unsigned int round)
{
	memset(mine->addr, 0, HOT);
	transfer_all(IBV_WR_RDMA_READ, MESSAGE, MESSAGE);
	check(mine->addr, 0, HOT, round);
	check(hot, 0, HOT, round);
}

static void measure(void)
{
	unsigned int step, i, round = 0;
	struct seen before, after;

	fill(0, HOT, round);
	transfer_all(IBV_WR_RDMA_WRITE, MESSAGE, MESSAGE);
	for (step = 0; step < STEPS_BEFORE; step++)
		more_cold(step);
	/* That the pages were made a moment ago is forgotten: what counts is what follows. */
	CHECK(!madvise(hot, HOT, MADV_COLD));
	before = look();
	for (i = 0; i < STEPS; i++, step++) {
		round += !(i % 2);
		touch_hot(round, !(i % 2));
		more_cold(step);
	}
	after = look();
	check_hot(round);
	printf("refaults %llu (swapped in %llu, pages faulted by the device %llu, leaves shrunk %llu)\n",
	       (unsigned long long)(after.refaults - before.refaults),
	       (unsigned long long)(after.swapped_in - before.swapped_in),
	       (unsigned long long)(after.faulted - before.faulted),
	       (unsigned long long)(after.shrunk - before.shrunk));
}

int main(int argc, char **argv)
{
	char *buf;

	cgroup = options_in_cgroup(argc, argv, nics);
	/* The peer's memory is pinned, and not the cgroup's. */
	buf = memory_map(HOT, false);
	mine = ibv_reg_mr(nics[0].pd, buf, HOT, IBV_ACCESS_LOCAL_WRITE);
	CHECK(mine);
	ends_create(&end, &nics[0], &peer, &nics[1], DEPTH);
	enter_cgroup();
	make_memory();
	measure();
	return 0;
}
