// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Device memory: allocated up to a bound and charged to a cgroup, copied to and
 * from, written, read, sent from, received into and counted in by peers; and what
 * has to be refused.
 *
 * usage: devmem -d DEV[,DEV2] -g CGROUP
 */
#include "ends.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	SIZE = 64 << 10,	/* of the memory in most tests */
	AT = 4100,		/* where in it regions begin, and how long they are */
	LENGTH = 40000,
	MANY = 300,
	LOCAL = IBV_ACCESS_ZERO_BASED | IBV_ACCESS_LOCAL_WRITE,
	ALL = LOCAL | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ,
};

static struct nic nics[2];
static char buffer[SIZE], model[SIZE];
static struct ibv_mr *buffer_mr;
static size_t max;

static struct ibv_dm *alloc(size_t length)
{
	struct ibv_alloc_dm_attr attr = { .length = length };

	return ibv_alloc_dm(nics[1].context, &attr);
}

static struct ibv_dm *need(size_t length)
{
	struct ibv_dm *dm = alloc(length);

	CHECK(dm);
	return dm;
}

static bool refused(struct ibv_alloc_dm_attr attr, int error)
{
	errno = 0;
	return !ibv_alloc_dm(nics[1].context, &attr) && errno == error;
}

/* --- Allocating, and copying to and fro ------------------------------------------ */

static void allocate(void)
{
	struct ibv_dm *a, *b;

	CHECK(refused((struct ibv_alloc_dm_attr){ .length = 0 }, EINVAL));
	CHECK(refused((struct ibv_alloc_dm_attr){ .length = max + 1 }, EINVAL));
	CHECK(refused((struct ibv_alloc_dm_attr){ .length = SIZE_MAX }, EINVAL));
	CHECK(refused((struct ibv_alloc_dm_attr){ .length = 8, .log_align_req = 13 }, EINVAL));
	CHECK(refused((struct ibv_alloc_dm_attr){ .length = 8, .comp_mask = 1 }, EOPNOTSUPP));
	/* Whole pages count. */
	a = need(max - PAGE);
	b = need(1);
	CHECK(refused((struct ibv_alloc_dm_attr){ .length = 1 }, ENOMEM));
	CHECK(!ibv_free_dm(b));
	CHECK(!ibv_free_dm(a));
	CHECK(!ibv_free_dm(need(max)));
}

static void copy(void)
{
	struct ibv_dm *dm = need(SIZE - 4), *other = need(SIZE);
	char back[SIZE];

	/* It was another's. */
	memset(model, 0, SIZE);
	CHECK(!ibv_memcpy_from_dm(back, dm, 0, SIZE - 4) && !memcmp(back, model, SIZE - 4));
	memory_fill(buffer, SIZE, 1);
	CHECK(!ibv_memcpy_to_dm(dm, 400, buffer, 5000));
	memcpy(model + 400, buffer, 5000);
	CHECK(!ibv_memcpy_from_dm(back, dm, 0, SIZE - 4) && !memcmp(back, model, SIZE - 4));
	CHECK(!ibv_memcpy_from_dm(back, dm, 4000, 400) && !memcmp(back, model + 4000, 400));
	CHECK(ibv_memcpy_to_dm(dm, 2, buffer, 4) == EINVAL);
	CHECK(ibv_memcpy_to_dm(dm, 4, buffer, 3) == EINVAL);
	CHECK(ibv_memcpy_to_dm(dm, SIZE - 4, buffer, 4) == EINVAL);
	CHECK(ibv_memcpy_to_dm(dm, -4ULL, buffer, 8) == EINVAL);
	CHECK(ibv_memcpy_from_dm(back, dm, 0, SIZE) == EINVAL);
	CHECK(!ibv_memcpy_from_dm(back, dm, 0, SIZE - 4) && !memcmp(back, model, SIZE - 4));
	memset(model, 0, SIZE);
	CHECK(!ibv_memcpy_from_dm(back, other, 0, SIZE) && !memcmp(back, model, SIZE));
	CHECK(!ibv_free_dm(other));
	CHECK(!ibv_free_dm(dm));
}

static uint64_t charged(const char *cgroup)
{
	return value_in(in_cgroup(cgroup, "memory.stat"), "vmalloc");
}

static bool charged_until(const char *cgroup, uint64_t least, uint64_t most)
{
	double end = now() + 10 * slowness();
	uint64_t n;

	do {
		n = charged(cgroup);
		if (n >= least && n <= most)
			return true;
		pause_ms(50);
	} while (now() < end);
	return false;
}

/* Who allocates pays, and one who is killed gives back. */
static void charge(const char *cgroup)
{
	const size_t size = max / 2;
	uint64_t before = charged(cgroup);
	char pid[16];
	int fds[2], status;
	pid_t child;
	char byte;

	CHECK(!pipe(fds));
	child = fork();
	if (!child) {
		snprintf(pid, sizeof(pid), "%d", getpid());
		write_file(in_cgroup(cgroup, "cgroup.procs"), pid);
		CHECK((nics[1].context = ibv_open_device(nics[1].context->device)));
		need(size);
		CHECK(write(fds[1], "", 1) == 1);
		pause();
	}
	close(fds[1]);
	CHECK(read(fds[0], &byte, 1) == 1);
	CHECK(charged_until(cgroup, before + size, before + size + size / 4));
	CHECK(!kill(child, SIGKILL));
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(charged_until(cgroup, 0, before + size / 4));
	close(fds[0]);
}

/* --- Regions of it ------------------------------------------------------------------ */

static struct ibv_mr *region(struct ibv_dm *dm, uint64_t at, size_t length, unsigned int access)
{
	errno = 0;
	return ibv_reg_dm_mr(nics[1].pd, dm, at, length, access);
}

static void regions(void)
{
	struct ibv_dm *dm = need(SIZE);
	struct ibv_mr *mr;
	int bit;

	CHECK(!region(dm, 0, SIZE, IBV_ACCESS_LOCAL_WRITE) && errno == EINVAL);
	CHECK(!region(dm, 0, SIZE + 1, LOCAL) && errno == EINVAL);
	CHECK(!region(dm, SIZE + 1, 0, LOCAL) && errno == EINVAL);
	CHECK(!region(dm, 4, SIZE, LOCAL) && errno == EINVAL);
	CHECK(!region(dm, 8, SIZE_MAX, LOCAL) && errno == EINVAL);
	CHECK(!region(dm, 0, SIZE, IBV_ACCESS_ZERO_BASED | IBV_ACCESS_REMOTE_WRITE) &&
	      errno == EINVAL);
	CHECK(!region(dm, 0, SIZE, LOCAL | IBV_ACCESS_ON_DEMAND) && errno == EOPNOTSUPP);
	CHECK(!region(dm, 0, SIZE, LOCAL | IBV_ACCESS_HUGETLB) && errno == EOPNOTSUPP);
	for (bit = 10; bit < 32; bit++)
		if (bit < 20 || bit > 29)
			CHECK(!region(dm, 0, SIZE, LOCAL | 1U << bit) && errno == EINVAL);
	mr = region(dm, 8, SIZE - 8, LOCAL | IBV_ACCESS_REMOTE_ATOMIC | IBV_ACCESS_RELAXED_ORDERING);
	CHECK(mr && !mr->addr && mr->length == SIZE - 8);
	CHECK(ibv_rereg_mr(mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, LOCAL));
	CHECK(ibv_free_dm(dm) == EBUSY);
	CHECK(!ibv_dereg_mr(mr));
	CHECK((mr = region(dm, SIZE, 0, LOCAL)));
	CHECK(!ibv_dereg_mr(mr));
	CHECK(!ibv_free_dm(dm));
}

static void is_model(struct ibv_dm *dm)
{
	static char back[SIZE];

	CHECK(!ibv_memcpy_from_dm(back, dm, 0, SIZE));
	CHECK(!memcmp(back, model, SIZE));
}

/* One request, and how it ends */
static enum ibv_wc_status run(enum ibv_wr_opcode opcode, uint64_t to, uint32_t len, uint32_t rkey)
{
	struct request request = { opcode, buffer, len, buffer_mr->lkey, to, rkey };

	return request_alone(&nics[0], &nics[1], &request);
}

/* By peers: addresses are those in the region, which begins somewhere inside. */
static void remote(void)
{
	struct ibv_dm *dm = need(SIZE);
	struct ibv_mr *mr = region(dm, AT, LENGTH, ALL), *gone;
	uint32_t key;

	CHECK(mr);
	memory_fill(model, SIZE, 5);
	CHECK(!ibv_memcpy_to_dm(dm, 0, model, SIZE));
	memory_fill(buffer, SIZE, 77);
	CHECK(!run(IBV_WR_RDMA_WRITE, 0, LENGTH, mr->rkey));
	memcpy(model + AT, buffer, LENGTH);
	is_model(dm);
	memory_fill(buffer, SIZE, 99);
	CHECK(!run(IBV_WR_RDMA_WRITE, 12345, 5001, mr->rkey));
	memcpy(model + AT + 12345, buffer, 5001);
	is_model(dm);
	CHECK(!run(IBV_WR_RDMA_READ, 11, LENGTH - 11, mr->rkey));
	CHECK(!memcmp(buffer, model + AT + 11, LENGTH - 11));
	CHECK(denied(run(IBV_WR_RDMA_WRITE, 1, LENGTH, mr->rkey)));
	CHECK(denied(run(IBV_WR_RDMA_WRITE, -1ULL, 2, mr->rkey)));
	CHECK(denied(run(IBV_WR_RDMA_READ, AT, LENGTH, mr->rkey)));
	gone = region(dm, 0, SIZE, LOCAL | IBV_ACCESS_REMOTE_READ);
	CHECK(gone);
	CHECK(denied(run(IBV_WR_RDMA_WRITE, 0, 4, gone->rkey)));
	key = gone->rkey;
	CHECK(!ibv_dereg_mr(gone));
	CHECK(denied(run(IBV_WR_RDMA_READ, 0, 4, key)));
	is_model(dm);
	CHECK(!ibv_dereg_mr(mr));
	CHECK(!ibv_free_dm(dm));
}

/* From one region to the other, on the device that has the memory. */
static void messages(void)
{
	struct ibv_dm *dm = need(SIZE);
	struct ibv_mr *from = region(dm, 0, SIZE / 2, LOCAL);
	struct ibv_mr *to = region(dm, SIZE / 2, SIZE / 2, LOCAL);
	struct request send = { IBV_WR_SEND, (char *)8, 20000, from->lkey, 0, 0 };

	CHECK(from && to);
	memory_fill(model, SIZE, 11);
	CHECK(!ibv_memcpy_to_dm(dm, 0, model, SIZE));
	send_alone(&nics[1], &nics[1], &send, (char *)100, to->lkey);
	memcpy(model + SIZE / 2 + 100, model + 8, 20000);
	is_model(dm);
	CHECK(!ibv_dereg_mr(from) && !ibv_dereg_mr(to));
	CHECK(!ibv_free_dm(dm));
}

static void add(struct end *end, uint64_t *old, uint64_t at, uint32_t rkey)
{
	struct ibv_sge sge = { (uintptr_t)old, sizeof(*old), buffer_mr->lkey };
	struct ibv_send_wr wr = {
		.sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_ATOMIC_FETCH_AND_ADD,
		.wr.atomic = { .remote_addr = at, .compare_add = 3, .rkey = rkey },
	}, *bad;

	CHECK(!ibv_post_send(end->qp, &wr, &bad));
}

/* Two peers at a time on each of two words */
static void atomics(void)
{
	struct ibv_dm *dm = need(SIZE);
	struct ibv_mr *mr = region(dm, 8, 1024, LOCAL | IBV_ACCESS_REMOTE_ATOMIC);
	struct ibv_mr *askew = region(dm, 4, 1024, LOCAL | IBV_ACCESS_REMOTE_ATOMIC);
	uint64_t *old = (uint64_t *)buffer, count[2];
	struct end near[2] = { { 0 }, { 0 } }, far[2] = { { 0 }, { 0 } };
	int i;

	CHECK(mr && askew);
	for (i = 0; i < 2; i++)
		ends_create(&near[i], &nics[0], &far[i], &nics[1], 8);
	for (i = 0; i < MANY; i++) {
		add(&near[0], &old[0], 1008 + i % 2 * 8, mr->rkey);
		add(&near[1], &old[1], 1008 + i % 2 * 8, mr->rkey);
		end_done(&near[0]);
		end_done(&near[1]);
	}
	CHECK(!ibv_memcpy_from_dm(count, dm, 8 + 1008, sizeof(count)));
	CHECK(count[0] == 3 * MANY && count[1] == 3 * MANY);
	/* The last one is beyond the region. */
	add(&near[0], &old[0], 1024, mr->rkey);
	CHECK(denied(end_wait(&near[0]).status));
	/* Aligned in the region, but not in memory */
	add(&near[1], &old[1], 8, askew->rkey);
	CHECK(denied(end_wait(&near[1]).status));
	for (i = 0; i < 2; i++) {
		end_destroy(&near[i]);
		end_destroy(&far[i]);
	}
	CHECK(!ibv_dereg_mr(mr) && !ibv_dereg_mr(askew));
	CHECK(!ibv_free_dm(dm));
}

static void word(struct end *end, enum ibv_wr_opcode opcode, uint64_t at, uint64_t compare,
		 uint64_t value, uint32_t rkey)
{
	uint64_t *local = (uint64_t *)buffer;
	struct ibv_sge sge = { (uintptr_t)local, sizeof(*local), buffer_mr->lkey };
	struct ibv_send_wr wr = { .sg_list = &sge, .num_sge = 1, .opcode = opcode }, *bad;

	if (opcode == IBV_WR_ATOMIC_CMP_AND_SWP) {
		wr.wr.atomic.remote_addr = at;
		wr.wr.atomic.rkey = rkey;
		wr.wr.atomic.compare_add = compare;
		wr.wr.atomic.swap = value;
	} else {
		*local = value;
		wr.wr.rdma.remote_addr = at;
		wr.wr.rdma.rkey = rkey;
	}
	CHECK(!ibv_post_send(end->qp, &wr, &bad));
}

/* The others that work on a word: it is that of the region, and no more. */
static void words(void)
{
	const uint64_t first = 0x0123456789abcdef, second = ~first;
	struct ibv_dm *dm = need(SIZE);
	struct ibv_mr *mr = region(dm, 8, 1024, ALL | IBV_ACCESS_REMOTE_ATOMIC);
	struct ibv_mr *askew = region(dm, 4, 1024, ALL | IBV_ACCESS_REMOTE_ATOMIC);
	struct end near = { 0 }, far = { 0 };

	CHECK(mr && askew);
	memory_fill(model, SIZE, 3);
	CHECK(!ibv_memcpy_to_dm(dm, 0, model, SIZE));
	ends_create(&near, &nics[0], &far, &nics[1], 8);
	word(&near, IBV_WR_ATOMIC_WRITE, 1016, 0, first, mr->rkey);
	end_done(&near);
	memcpy(model + 8 + 1016, &first, sizeof(first));
	is_model(dm);
	word(&near, IBV_WR_ATOMIC_CMP_AND_SWP, 1016, second, 0, mr->rkey);
	end_done(&near);
	CHECK(!memcmp(buffer, &first, sizeof(first)));
	is_model(dm);
	word(&near, IBV_WR_ATOMIC_CMP_AND_SWP, 1016, first, second, mr->rkey);
	end_done(&near);
	CHECK(!memcmp(buffer, &first, sizeof(first)));
	memcpy(model + 8 + 1016, &second, sizeof(second));
	is_model(dm);
	/* Aligned in the region, but not in memory */
	word(&near, IBV_WR_ATOMIC_WRITE, 8, 0, first, askew->rkey);
	CHECK(denied(end_wait(&near).status));
	end_destroy(&near);
	end_destroy(&far);
	is_model(dm);
	CHECK(!ibv_dereg_mr(mr) && !ibv_dereg_mr(askew));
	CHECK(!ibv_free_dm(dm));
}

int main(int argc, char **argv)
{
	const char *cgroup = options_in_cgroup(argc, argv, nics);
	struct ibv_device_attr_ex attr;

	CHECK(!ibv_query_device_ex(nics[1].context, NULL, &attr));
	max = attr.max_dm_size;
	CHECK(max >= 1 << 20);
	/* Others have their share of the cgroup's memory then. */
	if (!under_load())
		charge(cgroup);
	buffer_mr = ibv_reg_mr(nics[0].pd, buffer, SIZE, IBV_ACCESS_LOCAL_WRITE);
	CHECK(buffer_mr);
	allocate();
	copy();
	regions();
	remote();
	messages();
	atomics();
	words();
	printf("device memory: %zu bytes, charged, copied, and used by peers\n", max);
	return 0;
}
