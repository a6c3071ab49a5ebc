// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * ibv_advise_mr(3): what it brings in is there, nothing else is, and what it
 * refuses it refuses with the error that the man page names.
 *
 * usage: advise DEVICE
 */
#include "ends.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "slow.h"

enum { PAGES = 700, DEPTH = 16, FLUSH = IBV_ADVISE_MR_FLAG_FLUSH };

#define SIZE (PAGES * PAGE)

static struct nic nics[2];
static struct end near, far;	/* requests go from near to far */
static char *mine;		/* at the near end, warm */
static struct ibv_mr *my_mr;

static int advise(enum ibv_advise_mr_advice advice, uint32_t flags, void *start, uint32_t len,
		  uint32_t lkey)
{
	struct ibv_sge sge = { (uintptr_t)start, len, lkey };

	return ibv_advise_mr(nics[0].pd, advice, flags, &sge, 1);
}

/* All of it is written or read by the peer; how many faults did that take? */
static uint64_t faults_of(enum ibv_wr_opcode opcode, void *start, size_t size, uint32_t rkey)
{
	struct counters before;
	struct request request = { opcode, mine, size, my_mr->lkey, (uintptr_t)start, rkey };

	counters_read(&before, &nics[0]);
	end_post(&near, &request, 0);
	end_done(&near);
	return counters_grown(&before, "odp_faults");
}

static void no_faults(enum ibv_wr_opcode opcode, void *start, size_t size, uint32_t rkey)
{
	uint64_t faults = faults_of(opcode, start, size, rkey);

	JUDGE(!faults);
}

static bool is_mapped(const void *page)
{
	static int pagemap = -1;
	uint64_t entry;

	if (pagemap < 0)
		pagemap = open("/proc/self/pagemap", O_RDONLY);
	CHECK(pread(pagemap, &entry, sizeof(entry), (uintptr_t)page / PAGE * 8) == 8);
	return entry >> 63;
}

static void fill(char *start, size_t size, unsigned int seed)
{
	size_t i;

	for (i = 0; i < size; i++)
		start[i] = i * 31 + (i >> 12) + seed;
}

/* --- What it is for ------------------------------------------------------------ */

static void at_once(const char *kind, struct ibv_mr *mr, char *memory)
{
	struct counters before;
	uint64_t pages, faults;

	CHECK(!madvise(memory, SIZE, MADV_DONTNEED));
	counters_read(&before, &nics[0]);
	CHECK(!advise(IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE, FLUSH, memory, SIZE, mr->lkey));
	pages = counters_grown(&before, "odp_prefetched_pages");
	fill(mine, SIZE, 1);
	faults = faults_of(IBV_WR_RDMA_WRITE, memory, SIZE, mr->rkey);
	CHECK(!memcmp(mine, memory, SIZE));
	printf("%s: %llu of %d pages prefetched, %llu faults by a WRITE to them\n", kind,
	       (unsigned long long)pages, PAGES, (unsigned long long)faults);
	CHECK(pages >= PAGES);
	JUDGE(!faults);
}

static void to_read(struct ibv_mr *mr, char *memory)
{
	CHECK(!madvise(memory, SIZE, MADV_DONTNEED));
	fill(memory, SIZE, 2);
	CHECK(!advise(IBV_ADVISE_MR_ADVICE_PREFETCH, FLUSH, memory, SIZE, mr->lkey));
	no_faults(IBV_WR_RDMA_READ, memory, SIZE, mr->rkey);
	CHECK(!memcmp(mine, memory, SIZE));
	/* For reading only: a second prefetch is not in vain. */
	CHECK(!advise(IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE, FLUSH, memory, SIZE, mr->lkey));
	no_faults(IBV_WR_RDMA_WRITE, memory, SIZE, mr->rkey);
}

/* Every third page is there: those become present to the device, no others */
static void without_faults(struct ibv_mr *mr, char *memory)
{
	struct counters before;
	uint64_t pages;
	size_t i;

	CHECK(!madvise(memory, SIZE, MADV_DONTNEED));
	for (i = 0; i < PAGES; i += 3)
		memory[i * PAGE] = i;
	counters_read(&before, &nics[0]);
	CHECK(!advise(IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT, FLUSH, memory, SIZE, mr->lkey));
	pages = counters_grown(&before, "odp_prefetched_pages");
	for (i = 0; i < PAGES; i++)
		if (i % 3)
			CHECK(!is_mapped(memory + i * PAGE));
		else
			JUDGE(is_mapped(memory + i * PAGE));
	/* With the rights that the process has */
	for (i = 0; i < PAGES; i += 3)
		no_faults(IBV_WR_RDMA_WRITE, memory + i * PAGE, PAGE, mr->rkey);
	printf("without faults: %llu pages of %d, which were all that the process had\n",
	       (unsigned long long)pages, PAGES);
	JUDGE(pages == (PAGES + 2) / 3);
}

static int huge_pages_free(void)
{
	FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");
	int n;

	CHECK(file && fscanf(file, "%d", &n) == 1);
	fclose(file);
	return n;
}

/* What nobody has is passed over, in no time and in pages of any size. */
static void nothing_there(struct ibv_mr *all)
{
	const size_t size = 2ul << 30;
	char *empty = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *huge = mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	int free = huge_pages_free();
	double start = now();

	CHECK(empty != MAP_FAILED && !munmap(empty, size));
	CHECK(!advise(IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT, FLUSH, empty, size, all->lkey));
	JUDGE(now() - start < 5 * slowness());
	if (huge == MAP_FAILED)
		return;
	CHECK(!advise(IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT, FLUSH, huge, 2 * BLOCK, all->lkey));
	JUDGE(huge_pages_free() == free);
	huge[0] = 1;
	CHECK(!advise(IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT, FLUSH, huge, 2 * BLOCK, all->lkey));
	JUDGE(huge_pages_free() == free - 1);
	no_faults(IBV_WR_RDMA_WRITE, huge, PAGE, all->rkey);
	CHECK(!munmap(huge, 2 * BLOCK));
}

/* A page that somebody else waits for is nothing to wait for without faults. */
static void without_waiting(struct ibv_mr *all)
{
	static struct slow slow;
	char *memory = memory_map(BLOCK, false);
	struct request request = { IBV_WR_RDMA_WRITE, mine, PAGE, my_mr->lkey,
				   (uintptr_t)memory, all->rkey };
	double start;

	slow_begin(&slow, memory, 16);
	slow_set_delay(&slow, 0, 16, 2000 * slowness());
	end_post(&near, &request, 0);
	while (!slow_asked(&slow))
		pause_ms(1);
	start = now();
	CHECK(!advise(IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT, FLUSH, memory, 16 * PAGE,
		      all->lkey));
	JUDGE(now() - start < slowness());
	end_done(&near);
	slow_end(&slow);
	CHECK(!munmap(memory, BLOCK));
}

static void later(struct ibv_mr *mr, char *memory)
{
	double until = now() + patience();
	struct counters before;

	CHECK(!madvise(memory, SIZE, MADV_DONTNEED));
	counters_read(&before, &nics[0]);
	CHECK(!advise(IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE, 0, memory, SIZE, mr->lkey));
	while (counters_grown(&before, "odp_prefetched_pages") < PAGES) {
		CHECK(now() < until);
		pause_ms(10);
	}
	no_faults(IBV_WR_RDMA_WRITE, memory, SIZE, mr->rkey);
	CHECK(!memcmp(mine, memory, SIZE));
}

static void several(struct ibv_mr *mr, struct ibv_mr *all, char *memory)
{
	struct ibv_sge sges[3] = {
		{ (uintptr_t)memory + 100, 5 * PAGE, mr->lkey },
		{ (uintptr_t)memory + 600 * PAGE, 1, all->lkey },
		{ (uintptr_t)memory + SIZE - 1, 1, mr->lkey },
	};

	CHECK(!madvise(memory, SIZE, MADV_DONTNEED));
	CHECK(!ibv_advise_mr(nics[0].pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE, FLUSH, sges, 3));
	CHECK(!is_mapped(memory + 6 * PAGE));
	JUDGE(is_mapped(memory + 5 * PAGE));
	JUDGE(is_mapped(memory + 600 * PAGE) && is_mapped(memory + SIZE - 1));
	no_faults(IBV_WR_RDMA_WRITE, memory, 6 * PAGE, mr->rkey);
	no_faults(IBV_WR_RDMA_WRITE, memory + 600 * PAGE, PAGE, all->rkey);
	/* One that is refused keeps the others from being acted upon. */
	CHECK(!madvise(memory, SIZE, MADV_DONTNEED));
	sges[2].addr++;
	CHECK(ibv_advise_mr(nics[0].pd, IBV_ADVISE_MR_ADVICE_PREFETCH, FLUSH, sges, 3) == EFAULT);
	CHECK(!is_mapped(memory));
}

/* --- What is refused ------------------------------------------------------------- */

static void refused(struct ibv_mr *mr, struct ibv_mr *all, char *memory)
{
	const enum ibv_advise_mr_advice read = IBV_ADVISE_MR_ADVICE_PREFETCH;
	const enum ibv_advise_mr_advice write = IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE;
	struct ibv_mr *pinned = ibv_reg_mr(nics[0].pd, memory, PAGE, 0);
	struct ibv_mr *fixed = ibv_reg_mr(nics[0].pd, memory, SIZE, IBV_ACCESS_ON_DEMAND);
	struct ibv_pd *pd = ibv_alloc_pd(nics[0].context);
	struct ibv_mr *foreign = ibv_reg_mr(pd, memory, SIZE, IBV_ACCESS_ON_DEMAND);
	char *gone = memory_map(BLOCK, false);

	CHECK(pinned && fixed && foreign);
	CHECK(!munmap(gone, BLOCK));
	CHECK(advise(read, FLUSH, memory, PAGE, mr->lkey ^ 1) == ENOENT);
	CHECK(advise(read, FLUSH, memory, PAGE, pinned->lkey) == ENOENT);
	CHECK(advise(read, FLUSH, memory, PAGE, foreign->lkey) == EPERM);
	CHECK(advise(write, FLUSH, memory, PAGE, fixed->lkey) == EPERM);
	CHECK(!advise(read, FLUSH, memory, PAGE, fixed->lkey));
	CHECK(advise(read, FLUSH, memory + SIZE - PAGE, PAGE + 1, mr->lkey) == EFAULT);
	CHECK(advise(read, FLUSH, memory - 1, 2, mr->lkey) == EFAULT);
	CHECK(advise(read, FLUSH, gone, PAGE, all->lkey) == EFAULT);
	CHECK(advise(read, FLUSH, (void *)-PAGE, PAGE, all->lkey) == EFAULT);
	CHECK(advise(read, FLUSH, (void *)(1ul << 62), PAGE, all->lkey) == EFAULT);
	CHECK(advise(read, 0, (void *)(1ul << 62), PAGE, all->lkey) == EFAULT);
	CHECK(!advise(IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT, FLUSH, gone, PAGE, all->lkey));
	CHECK(advise(read, 2, memory, PAGE, mr->lkey) == EINVAL);
	CHECK(advise(read | 0x100, FLUSH, memory, PAGE, mr->lkey) == EOPNOTSUPP);
	CHECK(!advise(read, FLUSH, memory, 0, mr->lkey));
	CHECK(!ibv_dereg_mr(foreign) && !ibv_dealloc_pd(pd));
	CHECK(!ibv_dereg_mr(fixed) && !ibv_dereg_mr(pinned));
}

/* --- Ends that come too soon ------------------------------------------------------- */

/* The region goes while a lot is still to be brought in for it */
static void cancelled(void)
{
	const size_t size = 256ul << 20;
	char *memory = memory_map(size, false);
	struct ibv_mr *mr = nic_register(&nics[0], memory, size);
	struct counters before;
	uint64_t pages;
	double start = now();
	int i;

	counters_read(&before, &nics[0]);
	for (i = 0; i < 100; i++)
		CHECK(!advise(IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE, 0, memory, size, mr->lkey));
	CHECK(!ibv_dereg_mr(mr));
	printf("a region went %.0f ms after 100 x %zu MiB were asked for", 1000 * (now() - start),
	       size >> 20);
	pause_ms(100 * slowness());
	pages = counters_grown(&before, "odp_prefetched_pages");
	pause_ms(100 * slowness());
	JUDGE(pages == counters_grown(&before, "odp_prefetched_pages"));
	printf(", after %llu pages\n", (unsigned long long)pages);
	CHECK(pages < size / PAGE);
	CHECK(!munmap(memory, size));
}

/* A process that waits for a page that never comes can be killed */
static void killed(char *name)
{
	double start;
	pid_t child = fork();
	int status;

	if (!child) {
		static struct slow slow;
		char *memory = memory_map(BLOCK, false);
		struct ibv_mr *mr;

		nics_open(nics, name);
		mr = nic_register(&nics[0], memory, BLOCK);
		slow_begin(&slow, memory, 16);
		slow_set_delay(&slow, 0, 16, 1000000);
		alarm(1);
		advise(IBV_ADVISE_MR_ADVICE_PREFETCH, FLUSH, memory, 16 * PAGE, mr->lkey);
		_exit(1);
	}
	start = now();
	CHECK(waitpid(child, &status, 0) == child);
	printf("killed in the middle of it after 1 s: gone after %.2f s\n", now() - start);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
	JUDGE(now() - start < 1 + 2 * slowness());
}

int main(int argc, char **argv)
{
	struct ibv_mr *mr, *all;
	char *memory;

	CHECK(argc == 2);
	killed(argv[1]);
	CHECK(nics_open(nics, argv[1]) == 1);
	ends_create(&near, &nics[0], &far, &nics[0], DEPTH);
	mine = memory_map(SIZE, false);
	my_mr = ibv_reg_mr(nics[0].pd, mine, SIZE, IBV_ACCESS_LOCAL_WRITE);
	CHECK(my_mr);
	memory = memory_map(SIZE, false);
	mr = nic_register(&nics[0], memory, SIZE);
	all = nic_register(&nics[0], NULL, SIZE_MAX);

	at_once("a region", mr, memory);
	at_once("the whole address space", all, memory);
	to_read(mr, memory);
	without_faults(mr, memory);
	nothing_there(all);
	without_waiting(all);
	later(mr, memory);
	later(all, memory);
	several(mr, all, memory);
	refused(mr, all, memory);
	cancelled();
	return 0;
}
