// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Faults follow a stream: pages that a peer touches one after the other come
 * in by ever larger batches, those that it touches at random one by one, and
 * none outside of the region.
 *
 * usage: stream DEVICE
 */
#include "ends.h"

#include <string.h>
#include <sys/mman.h>

enum { PAGES = 2048, DEPTH = 4 };

static struct nic nics[2];
static struct end near, far;
static char *mine, *memory;
static struct ibv_mr *my_mr, *mr;

static void touch(size_t page)
{
	char *at = memory + page * PAGE;
	struct request request = { IBV_WR_RDMA_WRITE, mine, 64, my_mr->lkey,
				   (uintptr_t)at + 8, mr->rkey };

	memset(mine, page * 7 + 1, 64);
	end_post(&near, &request, 0);
	end_done(&near);
	CHECK(!memcmp(mine, at + 8, 64));
}

static size_t pages_mapped(const char *start, size_t pages)
{
	static unsigned char present[PAGES + 1];
	size_t i, n = 0;

	CHECK(!mincore((void *)start, pages * PAGE, present));
	for (i = 0; i < pages; i++)
		n += present[i] & 1;
	return n;
}

/* A step of one page is a stream; others are not. */
static uint64_t faults_by_step(const char *what, size_t step, size_t touches)
{
	struct counters before;
	uint64_t faults, pages;
	size_t i;

	CHECK(!madvise(memory, PAGES * PAGE, MADV_DONTNEED));
	counters_read(&before, &nics[0]);
	for (i = 0; i < touches; i++)
		touch(i * step % PAGES);
	faults = counters_grown(&before, "odp_faults");
	pages = counters_grown(&before, "odp_fault_pages");
	printf("%s: %zu pages touched, %llu faults, %llu pages brought in\n", what, touches,
	       (unsigned long long)faults, (unsigned long long)pages);
	CHECK(pages == pages_mapped(memory, PAGES));
	CHECK(pages < 2 * touches);
	return faults;
}

/* The last page of the region, in a stream, and the one behind it */
static void end_of_region(void)
{
	size_t i;

	CHECK(!madvise(memory, PAGES * PAGE, MADV_DONTNEED));
	for (i = PAGES - 40; i < PAGES - 8; i++)
		touch(i);
	CHECK(!pages_mapped(memory + (PAGES - 8) * PAGE, 8));
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	CHECK(nics_open(nics, argv[1]) == 1);
	ends_create(&near, &nics[0], &far, &nics[0], DEPTH);
	mine = memory_map(PAGE, false);
	my_mr = ibv_reg_mr(nics[0].pd, mine, PAGE, IBV_ACCESS_LOCAL_WRITE);
	memory = memory_map(PAGES * PAGE, false);
	CHECK(my_mr);

	mr = nic_register(&nics[0], memory, PAGES * PAGE);
	CHECK(faults_by_step("one after the other", 1, PAGES) < PAGES / 32);
	CHECK(faults_by_step("in great steps", 331, 500) == 500);
	CHECK(faults_by_step("backwards", PAGES - 1, 500) == 500);
	CHECK(!ibv_dereg_mr(mr));

	mr = nic_register(&nics[0], memory, (PAGES - 8) * PAGE);
	end_of_region();
	return 0;
}
