/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What the mirror costs: bytes of kernel memory for each page that was touched
 * through the device, who is charged for it, and whether it comes back.
 *
 * usage: cost -d DEV[,DEV2] -g CGROUP
 *
 * The process puts itself into the memory cgroup; the work is done by threads of
 * the kernel, which are not in it.
 */
#include "ends.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MESSAGE = 256 << 10, DEPTH = 16 };

struct kind {
	const char *name;
	uint64_t size;		/* of the memory */
	uint64_t step;		/* from one WRITE to the next */
	uint32_t len;		/* of a WRITE */
	uint64_t page;		/* size of a page */
	unsigned int bytes_max;	/* for a page */
};

static const struct kind kinds[] = {
	{ "dense: all pages", 16 << 20, MESSAGE, MESSAGE, PAGE, 12 },
	{ "sparse: one page in 2 MiB", 1024 * BLOCK, BLOCK, 8, BLOCK, 1024 },
	{ "huge: pages of 2 MiB", 64 * BLOCK, BLOCK, 8, BLOCK, 512 },
};

enum { DENSE, SPARSE, HUGE, KINDS };

/* Kernel memory */
struct usage {
	uint64_t leaves;	/* how many */
	uint64_t slabs;		/* bytes of all caches of the driver's */
	uint64_t charged;	/* slab of the cgroup, bytes */
};

static struct nic nics[2];
static const char *cgroup;
static struct end end, peer;
static struct ibv_mr *source;

/* Pages of the caches "odp*", after those that hold nothing were given up */
static uint64_t slab_bytes(void)
{
	unsigned long long objects, slabs, per_slab;
	char line[512], name[64], path[128];
	FILE *file = fopen("/proc/slabinfo", "r");
	uint64_t bytes = 0;

	CHECK(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%63s", name) != 1 || strncmp(name, "odp", 3))
			continue;
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", name);
		write_file(path, "1");
	}
	rewind(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%63s %*u %llu %*u %*u %llu : tunables %*u %*u %*u : slabdata %*u %llu",
			   name, &objects, &per_slab, &slabs) == 4 && !strncmp(name, "odp", 3))
			bytes += slabs * per_slab * PAGE;
	fclose(file);
	return bytes;
}

static struct usage usage(void)
{
	struct usage u;

	/* RCU has freed what was to be freed. */
	pause_ms(100 * slowness());
	u.slabs = slab_bytes();
	u.leaves = counter(&nics[0], "odp_leaves");
	u.charged = value_in(in_cgroup(cgroup, "memory.stat"), "slab");
	return u;
}

/* A number that each place of the memory gets */
static uint64_t stamp(uint64_t i)
{
	return (i + 1) * 0x9e3779b97f4a7c15ULL;
}

static void stamp_all(char *source_at, uint64_t first, uint32_t len)
{
	uint64_t i;

	for (i = 0; i < len; i += PAGE)
		*(uint64_t *)(source_at + i) = stamp(first + i / PAGE);
}

/* All of it, through the device; or, to look at it, the other way */
static void touch(const struct kind *kind, char *memory, struct ibv_mr *mr, bool look)
{
	char *buf = source->addr;
	struct request request = {
		.opcode = look ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE, .local = buf,
		.len = kind->len, .lkey = source->lkey, .rkey = mr->rkey,
	};
	uint64_t at, i;

	for (at = 0; at < kind->size; at += kind->step) {
		if (look)
			memset(buf, 0, kind->len);
		else
			stamp_all(buf, at / PAGE, kind->len);
		request.remote = (uintptr_t)memory + at;
		end_post(&end, &request, at);
		end_done(&end);
		for (i = 0; i < kind->len && look; i += PAGE)
			CHECK(*(uint64_t *)(buf + i) == stamp((at + i) / PAGE));
	}
}

/* Within a tenth of what was taken, and RCU and the slab allocator take a while. */
static void check_back(const char *what, const struct usage *before, const struct usage *full)
{
	double until = now() + 10 * slowness();
	struct usage u;

	do {
		u = usage();
		CHECK(now() < until);
	} while (u.leaves > before->leaves + (full->leaves - before->leaves) / 10 ||
		 u.slabs > before->slabs + (full->slabs - before->slabs) / 10);
	printf("   %s: %llu leaves of %llu left, %llu KiB of %llu\n", what,
	       (unsigned long long)(u.leaves - before->leaves),
	       (unsigned long long)(full->leaves - before->leaves),
	       (unsigned long long)(u.slabs - before->slabs) / 1024,
	       (unsigned long long)(full->slabs - before->slabs) / 1024);
}

static void check_cost(const struct kind *kind, const struct usage *before, const struct usage *full)
{
	uint64_t pages = kind->size / kind->page;
	double each = (double)(full->slabs - before->slabs) / pages;
	double charged = (double)(full->charged - before->charged) / pages;

	printf("%s: %.1f bytes for each of %llu pages (at most %u); the cgroup is charged %.1f\n",
	       kind->name, each, (unsigned long long)pages, kind->bytes_max, charged);
	CHECK(full->leaves - before->leaves == kind->size / BLOCK);
	/* The tree's nodes and what else the cgroup has, too. A debug kernel adds to every object. */
	if (slowness() == 1) {
		CHECK(each <= kind->bytes_max);
		CHECK(charged <= kind->bytes_max);
	}
	/* Charged are the objects, without what is left over in the slabs' pages. */
	CHECK(charged >= each * 0.5);
}

static struct usage fill(const struct kind *kind, char *memory, struct ibv_mr *mr)
{
	touch(kind, memory, mr, false);
	return usage();
}

/* A leaf is idle after a second without an access. */
enum { IDLE_MS = 1100 };

static void drop_caches(void)
{
	pause_ms(IDLE_MS);
	write_file("/proc/sys/vm/drop_caches", "2");
}

static void reclaim(void)
{
	FILE *file;
	int i;

	pause_ms(IDLE_MS);
	/* EAGAIN says that it was less; that is all right. */
	for (i = 0; i < 4; i++) {
		file = fopen(in_cgroup(cgroup, "memory.reclaim"), "w");
		CHECK(file);
		fputs("8M", file);
		fclose(file);
	}
}

static void measure(const struct kind *kind)
{
	bool huge = kind == &kinds[HUGE];
	char *memory = memory_map(kind->size, huge);
	struct ibv_mr *mr = nic_register(&nics[1], memory, kind->size);
	struct usage before = usage(), full;

	full = fill(kind, memory, mr);
	check_cost(kind, &before, &full);
	drop_caches();
	check_back("drop_caches", &before, &full);
	touch(kind, memory, mr, true);
	if (!huge) {
		reclaim();
		check_back("memory.reclaim", &before, &full);
		touch(kind, memory, mr, true);
	}
	CHECK(!munmap(memory, kind->size));
	check_back("munmap", &before, &full);
	CHECK(mmap(memory, kind->size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) == memory);
	CHECK(!madvise(memory, kind->size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE));
	fill(kind, memory, mr);
	/* The device keeps what it knows for the next registration. */
	CHECK(!ibv_dereg_mr(mr));
	drop_caches();
	check_back("deregistration and drop_caches", &before, &full);
	CHECK(!munmap(memory, kind->size));
}

/* The process lives on without the device. */
static void close_all(void)
{
	struct usage before = usage(), full;
	char *memory = memory_map(kinds[DENSE].size, false);
	struct ibv_mr *mr = nic_register(&nics[1], memory, kinds[DENSE].size);

	full = fill(&kinds[DENSE], memory, mr);
	CHECK(!ibv_dereg_mr(mr));
	CHECK(!ibv_dereg_mr(source));
	end_destroy(&end);
	end_destroy(&peer);
	nic_close(&nics[0]);
	if (nics[1].context != nics[0].context)
		nic_close(&nics[1]);
	check_back("closing the devices", &before, &full);
}

int main(int argc, char **argv)
{
	char *buf;
	int i;

	cgroup = options_in_cgroup(argc, argv, nics);
	write_file(in_cgroup(cgroup, "cgroup.procs"), "0");
	buf = memory_map(BLOCK, false);
	memset(buf, 1, BLOCK);
	source = ibv_reg_mr(nics[0].pd, buf, BLOCK, IBV_ACCESS_LOCAL_WRITE);
	CHECK(source);
	ends_create(&end, &nics[0], &peer, &nics[1], DEPTH);
	for (i = 0; i < KINDS; i++)
		measure(&kinds[i]);
	close_all();
	return 0;
}
