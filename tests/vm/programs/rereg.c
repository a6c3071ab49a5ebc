// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * ibv_rereg_mr(3): a region with other memory, rights, protection domain or
 * kind; and IBV_ACCESS_HUGETLB, a promise that need not be kept here.
 *
 * usage: rereg DEVICE
 */
#include "ends.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 64 << 10, DEPTH = 4 };

enum {
	TRANSLATION = IBV_REREG_MR_CHANGE_TRANSLATION,
	DOMAIN = IBV_REREG_MR_CHANGE_PD,
	RIGHTS = IBV_REREG_MR_CHANGE_ACCESS,
	READ = IBV_ACCESS_REMOTE_READ | IBV_ACCESS_LOCAL_WRITE,
	WRITE = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_LOCAL_WRITE,
	ON_DEMAND = IBV_ACCESS_ON_DEMAND,
};

static struct nic nics[2];
static char *mine;
static struct ibv_mr *my_mr;
static unsigned int round_number;

/* How does a WRITE to all of it end? One that succeeds is looked at. */
static enum ibv_wc_status write_to(char *memory, uint32_t rkey)
{
	struct request request = { IBV_WR_RDMA_WRITE, mine, SIZE, my_mr->lkey,
				   (uintptr_t)memory, rkey };
	struct end near = { 0 }, far = { 0 };
	struct ibv_wc wc;
	bool same;

	memset(mine, ++round_number, SIZE);
	ends_create(&near, &nics[0], &far, &nics[0], DEPTH);
	end_post(&near, &request, 0);
	wc = end_wait(&near);
	same = !memcmp(mine, memory, SIZE);
	CHECK(same == (wc.status == IBV_WC_SUCCESS));
	end_destroy(&near);
	end_destroy(&far);
	return wc.status;
}

#define ALLOWED(memory, key) CHECK(write_to(memory, key) == IBV_WC_SUCCESS)
#define REFUSED(memory, key) CHECK(denied(write_to(memory, key)))

static void other_memory(int kind)
{
	char *a = memory_map(SIZE, false), *b = memory_map(SIZE, false);
	struct ibv_mr *mr = ibv_reg_mr(nics[0].pd, a, SIZE, WRITE | kind);
	uint32_t key;

	CHECK(mr);
	ALLOWED(a, mr->rkey);
	key = mr->rkey;
	CHECK(!ibv_rereg_mr(mr, TRANSLATION, NULL, b, SIZE, 0));
	CHECK(mr->addr == b && mr->length == SIZE);
	ALLOWED(b, mr->rkey);
	REFUSED(a, mr->rkey);
	CHECK(key != mr->rkey);
	REFUSED(b, key);
	CHECK(!munmap(a, SIZE));
	ALLOWED(b, mr->rkey);
	CHECK(!ibv_dereg_mr(mr));
	CHECK(!munmap(b, SIZE));
}

static void other_rights(int kind)
{
	char *a = memory_map(SIZE, false);
	struct ibv_mr *mr = ibv_reg_mr(nics[0].pd, a, SIZE, IBV_ACCESS_REMOTE_READ | kind);
	uint32_t key;

	CHECK(mr);
	key = mr->rkey;
	REFUSED(a, mr->rkey);
	/* For reading it was not pinned for writing. */
	CHECK(!ibv_rereg_mr(mr, RIGHTS, NULL, NULL, 0, WRITE | kind));
	ALLOWED(a, mr->rkey);
	CHECK(!ibv_rereg_mr(mr, RIGHTS, NULL, NULL, 0, READ | kind));
	REFUSED(a, mr->rkey);
	CHECK(!ibv_rereg_mr(mr, RIGHTS, NULL, NULL, 0, WRITE | kind));
	ALLOWED(a, mr->rkey);
	CHECK(mr->rkey == key && mr->lkey == key);
	CHECK(!ibv_dereg_mr(mr));
	REFUSED(a, key);
	CHECK(!munmap(a, SIZE));
}

static void other_domain(int kind)
{
	char *a = memory_map(SIZE, false);
	struct ibv_pd *pd = ibv_alloc_pd(nics[0].context);
	struct ibv_mr *mr = ibv_reg_mr(pd, a, SIZE, WRITE | kind);

	CHECK(pd && mr);
	REFUSED(a, mr->rkey);
	CHECK(!ibv_rereg_mr(mr, DOMAIN, nics[0].pd, NULL, 0, 0));
	ALLOWED(a, mr->rkey);
	CHECK(!ibv_rereg_mr(mr, DOMAIN, pd, NULL, 0, 0));
	REFUSED(a, mr->rkey);
	CHECK(!ibv_rereg_mr(mr, DOMAIN, nics[0].pd, NULL, 0, 0));
	ALLOWED(a, mr->rkey);
	/* It does not keep the old one busy. */
	CHECK(!ibv_dealloc_pd(pd));
	CHECK(!ibv_dereg_mr(mr));
	CHECK(!munmap(a, SIZE));
}

static void other_kind(void)
{
	char *a = memory_map(SIZE, false), *b = memory_map(SIZE, false);
	struct ibv_mr *mr = ibv_reg_mr(nics[0].pd, a, SIZE, WRITE);

	CHECK(mr);
	ALLOWED(a, mr->rkey);
	CHECK(!ibv_rereg_mr(mr, RIGHTS, NULL, NULL, 0, WRITE | ON_DEMAND));
	CHECK(!madvise(a, SIZE, MADV_DONTNEED));
	ALLOWED(a, mr->rkey);
	CHECK(!ibv_rereg_mr(mr, TRANSLATION | RIGHTS, NULL, b, SIZE, WRITE));
	ALLOWED(b, mr->rkey);
	CHECK(!ibv_dereg_mr(mr));
	CHECK(!munmap(a, SIZE) && !munmap(b, SIZE));
}

/* Who says so: libibverbs, or the kernel */
#define BAD_INPUT(call) CHECK((errno = 0, call) == IBV_REREG_MR_ERR_INPUT && errno == EINVAL)
#define BAD_COMMAND(call, error) \
	CHECK((errno = 0, call) == IBV_REREG_MR_ERR_CMD && errno == (error))

/* What cannot be had leaves the region as it was. */
static void refused(void)
{
	char *a = memory_map(SIZE, false), *gone = memory_map(SIZE, false);
	struct ibv_mr *mr = ibv_reg_mr(nics[0].pd, a, SIZE, WRITE);
	int bit;

	CHECK(mr);
	CHECK(!munmap(gone, SIZE));
	BAD_COMMAND(ibv_rereg_mr(mr, TRANSLATION, NULL, gone, SIZE, 0), EFAULT);
	ALLOWED(a, mr->rkey);
	BAD_INPUT(ibv_rereg_mr(mr, TRANSLATION, NULL, a, 0, 0));
	BAD_INPUT(ibv_rereg_mr(mr, DOMAIN, nics[0].pd, NULL, 0, WRITE));
	for (bit = 3; bit < 32; bit++)
		BAD_INPUT(ibv_rereg_mr(mr, 1U << bit, NULL, NULL, 0, 0));
	BAD_COMMAND(ibv_rereg_mr(mr, 0, NULL, NULL, 0, 0), EINVAL);
	BAD_COMMAND(ibv_rereg_mr(mr, RIGHTS, NULL, NULL, 0, IBV_ACCESS_REMOTE_WRITE), EINVAL);
	for (bit = 10; bit < 32; bit++)
		if (bit < 20 || bit > 29)
			BAD_COMMAND(ibv_rereg_mr(mr, RIGHTS, NULL, NULL, 0, WRITE | 1U << bit), EINVAL);
	ALLOWED(a, mr->rkey);
	CHECK(!ibv_dereg_mr(mr));
	CHECK(!munmap(a, SIZE));
}

/* --- IBV_ACCESS_HUGETLB ------------------------------------------------------------ */

static struct ibv_mr *huge(void *start, size_t size)
{
	return ibv_reg_mr(nics[0].pd, start, size, WRITE | ON_DEMAND | IBV_ACCESS_HUGETLB);
}

static void huge_pages(void)
{
	char *small = memory_map(4 * BLOCK, false), *pages;
	struct counters before;
	struct ibv_mr *mr;

	CHECK(!huge(NULL, SIZE_MAX) && errno == EINVAL);
	CHECK((mr = huge(small, BLOCK)));
	ALLOWED(small, mr->rkey);
	CHECK(!ibv_dereg_mr(mr));
	pages = mmap(small + BLOCK, 2 * BLOCK, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED, -1, 0);
	CHECK(pages != MAP_FAILED);
	CHECK((mr = huge(pages + PAGE, 2 * BLOCK - PAGE)));
	counters_read(&before, &nics[0]);
	ALLOWED(pages + BLOCK - SIZE / 2, mr->rkey);
	ALLOWED(pages + BLOCK, mr->rkey);
	JUDGE(counters_grown(&before, "odp_faults") == 2);
	JUDGE(counters_grown(&before, "odp_fault_pages") == 2 * BLOCK / PAGE);
	CHECK(!ibv_dereg_mr(mr));
	CHECK(!munmap(small, 4 * BLOCK));
}

int main(int argc, char **argv)
{
	const int kinds[] = { 0, ON_DEMAND };
	int i;

	CHECK(argc == 2);
	CHECK(nics_open(nics, argv[1]) == 1);
	mine = memory_map(SIZE, false);
	my_mr = ibv_reg_mr(nics[0].pd, mine, SIZE, IBV_ACCESS_LOCAL_WRITE);
	CHECK(my_mr);
	for (i = 0; i < 2; i++) {
		other_memory(kinds[i]);
		other_rights(kinds[i]);
		other_domain(kinds[i]);
	}
	other_kind();
	refused();
	printf("regions of both kinds were given other memory, rights and domains\n");
	huge_pages();
	return 0;
}
