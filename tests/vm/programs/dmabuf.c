// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Regions of dma-bufs: written, read, received into and counted in by peers while
 * the process looks at the memory through a mapping of its own; what has to be
 * refused; regions that go, processes that are killed and a device that is deleted
 * while peers write. The device that has the regions is gone then.
 *
 * The dma-bufs are those of the module exporter, which counts who uses them, and those
 * of the first graphics device, which is the kernel's vgem.
 *
 * usage: dmabuf -d DEV[,DEV2]
 */
#include "card.h"
#include "ends.h"
#include "exporter.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <rdma/ib_user_verbs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	SIZE = 256 << 10,	/* of a dma-buf */
	AT = 3 * PAGE + 104,	/* where in it regions begin, and how long they are */
	LENGTH = 200000,
	DEPTH = 32,
	MANY = 300,
	READ = IBV_ACCESS_REMOTE_READ,
	ALL = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |
	      IBV_ACCESS_REMOTE_ATOMIC,
};

/* What a region's first byte is called. The offset within the page has to be AT's. */
static const uint64_t IOVA = 0x123456789000 + AT % PAGE;

/* A dma-buf, and the process's mapping of it */
struct buffer {
	int fd;
	char *map;
};

static struct nic nics[2];
static char memory[SIZE], model[SIZE];
static struct ibv_mr *memory_mr;
static int exporter, card;

/* --- dma-bufs ----------------------------------------------------------------------- */

static int export(uint32_t flags)
{
	struct exporter_make make = { .size = SIZE, .flags = flags };
	int fd = ioctl(exporter, EXPORTER_MAKE, &make);

	CHECK(fd >= 0);
	return fd;
}

static int export_of_card(void)
{
	uint32_t handle;
	int fd = card_export(card, SIZE, &handle);

	CHECK(fd >= 0);
	return fd;
}

static struct buffer buffer_of(int fd)
{
	struct buffer buffer = { .fd = fd };

	buffer.map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(buffer.map != MAP_FAILED);
	return buffer;
}

static void forget(struct buffer *buffer)
{
	CHECK(!munmap(buffer->map, SIZE));
	CHECK(!close(buffer->fd));
}

static bool used(void)
{
	return ioctl(exporter, EXPORTER_USES);
}

static bool unused_soon(void)
{
	double end = now() + 10 * slowness();

	while (used() && now() < end)
		pause_ms(20);
	return !used();
}

static struct ibv_mr *region_at(int fd, uint64_t at, size_t length, uint64_t iova, int access)
{
	errno = 0;
	return ibv_reg_dmabuf_mr(nics[1].pd, at, length, iova, fd, access);
}

static struct ibv_mr *region(int fd, int access)
{
	struct ibv_mr *mr = region_at(fd, AT, LENGTH, IOVA, access);

	CHECK(mr);
	return mr;
}

/* --- What peers do -------------------------------------------------------------------- */

/* One request, and how it ends */
static enum ibv_wc_status run(enum ibv_wr_opcode opcode, uint64_t at, uint32_t len, uint32_t rkey)
{
	struct request request = { opcode, memory, len, memory_mr->lkey, IOVA + at, rkey };

	return request_alone(&nics[0], &nics[1], &request);
}

static void write_and_read(const struct buffer *buffer)
{
	struct ibv_mr *mr = region(buffer->fd, ALL);

	memory_fill(model, SIZE, 5);
	memcpy(buffer->map, model, SIZE);
	memory_fill(memory, SIZE, 77);
	CHECK(!run(IBV_WR_RDMA_WRITE, 0, LENGTH, mr->rkey));
	memcpy(model + AT, memory, LENGTH);
	CHECK(!memcmp(buffer->map, model, SIZE));
	memory_fill(memory, SIZE, 99);
	CHECK(!run(IBV_WR_RDMA_WRITE, 12345, 5001, mr->rkey));
	memcpy(model + AT + 12345, memory, 5001);
	CHECK(!memcmp(buffer->map, model, SIZE));
	/* The other way round */
	memory_fill(model, SIZE, 13);
	memcpy(buffer->map, model, SIZE);
	CHECK(!run(IBV_WR_RDMA_READ, 11, LENGTH - 11, mr->rkey));
	CHECK(!memcmp(memory, model + AT + 11, LENGTH - 11));
	CHECK(denied(run(IBV_WR_RDMA_WRITE, 1, LENGTH, mr->rkey)));
	CHECK(denied(run(IBV_WR_RDMA_WRITE, -1ULL, 2, mr->rkey)));
	CHECK(denied(run(IBV_WR_RDMA_READ, -IOVA, 8, mr->rkey)));
	CHECK(!memcmp(buffer->map, model, SIZE));
	CHECK(!ibv_dereg_mr(mr));
}

/* From one region to another, on the device that has them. */
static void messages(const struct buffer *buffer)
{
	struct ibv_mr *from = region_at(buffer->fd, 0, SIZE / 2, 0, 0);
	struct ibv_mr *to = region_at(buffer->fd, SIZE / 2, SIZE / 2, 0, IBV_ACCESS_LOCAL_WRITE);
	struct request send = { IBV_WR_SEND, (char *)8, 20000, from->lkey, 0, 0 };

	CHECK(from && to);
	memory_fill(model, SIZE, 11);
	memcpy(buffer->map, model, SIZE);
	send_alone(&nics[1], &nics[1], &send, (char *)100, to->lkey);
	memcpy(model + SIZE / 2 + 100, model + 8, 20000);
	CHECK(!memcmp(buffer->map, model, SIZE));
	CHECK(!ibv_dereg_mr(from) && !ibv_dereg_mr(to));
}

static void add(struct end *end, uint64_t at, uint32_t rkey)
{
	struct ibv_sge sge = { (uintptr_t)memory, 8, memory_mr->lkey };
	struct ibv_send_wr wr = {
		.sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_ATOMIC_FETCH_AND_ADD,
		.wr.atomic = { .remote_addr = IOVA + at, .compare_add = 3, .rkey = rkey },
	}, *bad;

	CHECK(!ibv_post_send(end->qp, &wr, &bad));
}

static bool counted;

/* In the word's upper half. Returns how far. */
static void *count(void *word)
{
	uint64_t n;

	for (n = 0; !__atomic_load_n(&counted, __ATOMIC_RELAXED); n++)
		__atomic_fetch_add((uint64_t *)word, 1ULL << 32, __ATOMIC_RELAXED);
	return (void *)n;
}

/* A peer and the process count in one word. */
static void atomics(const struct buffer *buffer)
{
	uint64_t *word = (uint64_t *)(buffer->map + AT + 1000);
	struct ibv_mr *mr = region(buffer->fd, ALL);
	struct end near = { 0 }, far = { 0 };
	pthread_t thread;
	void *own;
	int i;

	*word = 7;
	counted = false;
	ends_create(&near, &nics[0], &far, &nics[1], 4);
	CHECK(!pthread_create(&thread, NULL, count, word));
	while (__atomic_load_n(word, __ATOMIC_RELAXED) == 7)
		;
	for (i = 0; i < MANY; i++) {
		add(&near, 1000, mr->rkey);
		end_done(&near);
	}
	__atomic_store_n(&counted, true, __ATOMIC_RELAXED);
	CHECK(!pthread_join(thread, &own));
	CHECK(*word == 7 + 3 * MANY + ((uintptr_t)own << 32));
	end_destroy(&near);
	end_destroy(&far);
	CHECK(!ibv_dereg_mr(mr));
}

/* Two regions of one dma-buf are two, and either keeps it. */
static void regions(struct buffer *buffer)
{
	struct ibv_mr *mr = region(buffer->fd, ALL), *other = region(buffer->fd, READ);
	uint32_t key = mr->rkey;

	CHECK(key != other->rkey && mr->length == LENGTH);
	memory_fill(buffer->map + AT, LENGTH, 1);
	CHECK(denied(run(IBV_WR_RDMA_WRITE, 0, 8, other->rkey)));
	CHECK(!ibv_dereg_mr(mr));
	CHECK(denied(run(IBV_WR_RDMA_READ, 0, 8, key)));
	CHECK(!run(IBV_WR_RDMA_READ, 0, LENGTH, other->rkey));
	CHECK(!memcmp(memory, buffer->map + AT, LENGTH));
	mr = region(buffer->fd, ALL);
	CHECK(!ibv_dereg_mr(other));
	/* Nobody has it but the region. */
	forget(buffer);
	memory_fill(model, LENGTH, 6);
	memcpy(memory, model, LENGTH);
	CHECK(!run(IBV_WR_RDMA_WRITE, 0, LENGTH, mr->rkey));
	memset(memory, 0, LENGTH);
	CHECK(!run(IBV_WR_RDMA_READ, 0, LENGTH, mr->rkey));
	CHECK(!memcmp(memory, model, LENGTH));
	CHECK(!ibv_dereg_mr(mr));
}

/* --- Ends of regions while peers write ------------------------------------------------ */

static void write_all(struct end *near, uint32_t rkey)
{
	struct request request = { IBV_WR_RDMA_WRITE, memory, LENGTH, memory_mr->lkey, IOVA, rkey };
	int i;

	for (i = 0; i < DEPTH; i++)
		end_post(near, &request, i);
	end_done(near);
}

/* Nothing is written when it is over. */
static void deregister(const struct buffer *buffer)
{
	struct ibv_mr *mr = region(buffer->fd, ALL);
	struct end near = { 0 }, far = { 0 };
	enum ibv_wc_status status;
	int i, failed = 0;

	ends_create(&near, &nics[0], &far, &nics[1], DEPTH);
	write_all(&near, mr->rkey);
	CHECK(!ibv_dereg_mr(mr));
	CHECK(!used());
	memset(buffer->map, 0x5a, SIZE);
	for (i = 1; i < DEPTH; i++) {
		status = end_wait(&near).status;
		CHECK(!status || failed || denied(status));
		failed += !!status;
	}
	JUDGE(failed);
	memset(model, 0x5a, SIZE);
	CHECK(!memcmp(buffer->map, model, SIZE));
	end_destroy(&near);
	end_destroy(&far);
}

/* The memory goes with the region: nobody else has it. */
static void deregister_last(struct buffer *buffer)
{
	struct ibv_mr *mr = region(buffer->fd, ALL);
	struct end near = { 0 }, far = { 0 };
	int i;

	forget(buffer);
	ends_create(&near, &nics[0], &far, &nics[1], DEPTH);
	write_all(&near, mr->rkey);
	CHECK(!ibv_dereg_mr(mr));
	CHECK(!used());
	for (i = 1; i < DEPTH; i++)
		end_wait(&near);
	end_destroy(&near);
	end_destroy(&far);
}

/* What a process tells that has a region */
struct told {
	struct address address;
	uint32_t rkey;
};

static void have_region(int fd, const struct address *peer, int to)
{
	struct end end = { 0 };
	struct told told;

	CHECK((nics[1].context = ibv_open_device(nics[1].context->device)));
	CHECK((nics[1].pd = ibv_alloc_pd(nics[1].context)));
	end_create(&end, &nics[1], 4);
	end_connect(&end, peer);
	told = (struct told){ end_address(&end), region(fd, ALL)->rkey };
	CHECK(write(to, &told, sizeof(told)) == sizeof(told));
	for (;;)
		pause();
}

static void kill_it(pid_t child)
{
	int status;

	CHECK(!kill(child, SIGKILL));
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
}

static void killed(const struct buffer *buffer)
{
	struct end near = { .timeout = 14 };
	struct address address;
	struct told told;
	int fds[2], i, failed = 0;
	pid_t child;

	CHECK(!pipe(fds));
	end_create(&near, &nics[0], DEPTH);
	address = end_address(&near);
	child = fork();
	if (!child)
		have_region(buffer->fd, &address, fds[1]);
	CHECK(read(fds[0], &told, sizeof(told)) == sizeof(told));
	CHECK(used());
	end_connect(&near, &told.address);
	memory_fill(memory, SIZE, 3);
	memset(buffer->map, 0, SIZE);
	write_all(&near, told.rkey);
	CHECK(!memcmp(buffer->map + AT, memory, LENGTH));
	kill_it(child);
	CHECK(unused_soon());
	memset(buffer->map, 0x33, SIZE);
	for (i = 1; i < DEPTH; i++)
		failed += !!end_wait(&near).status;
	JUDGE(failed);
	memset(model, 0x33, SIZE);
	CHECK(!memcmp(buffer->map, model, SIZE));
	end_destroy(&near);
	close(fds[0]);
	close(fds[1]);
}

/* Nobody waits for what is under way then. */
static void device_deleted(const struct buffer *buffer)
{
	struct ibv_mr *mr = region(buffer->fd, ALL);
	struct end near = { .timeout = 14 }, far = { 0 };
	char command[64];

	ends_create(&near, &nics[0], &far, &nics[1], DEPTH);
	write_all(&near, mr->rkey);
	snprintf(command, sizeof(command), "rdma link delete %s", nics[1].name);
	CHECK(used() && !system(command) && unused_soon());
	memset(buffer->map, 0x21, SIZE);
	pause_ms(300);
	memset(model, 0x21, SIZE);
	CHECK(!memcmp(buffer->map, model, SIZE));
}

/* --- What is refused ------------------------------------------------------------------ */

static bool refused(int fd, uint64_t at, size_t length, uint64_t iova, int access, int error)
{
	struct ibv_mr *mr = region_at(fd, at, length, iova, access);

	if (mr || errno != error)
		printf("at %#jx length %#zx iova %#jx access %#x: %s, not %s\n", (uintmax_t)at, length,
		       (uintmax_t)iova, access, strerrorname_np(mr ? 0 : errno),
		       strerrorname_np(error));
	return !mr && errno == error;
}

static void descriptors(void)
{
	int null = open("/dev/null", O_RDWR), file = memfd_create("file", 0);

	CHECK(null >= 0 && file >= 0 && !ftruncate(file, SIZE));
	CHECK(refused(-1, 0, SIZE, 0, ALL, EBADF));
	CHECK(refused(1000000, 0, SIZE, 0, ALL, EBADF));
	CHECK(refused(null, 0, SIZE, 0, ALL, EINVAL));
	CHECK(refused(file, 0, SIZE, 0, ALL, EINVAL));
	CHECK(refused(nics[1].context->cmd_fd, 0, SIZE, 0, ALL, EINVAL));
	close(null);
	CHECK(refused(null, 0, SIZE, 0, ALL, EBADF));
	close(file);
}

static void ranges(void)
{
	int fd = export(0);

	CHECK(refused(fd, 0, 0, 0, ALL, EINVAL));
	CHECK(refused(fd, 0, SIZE + 1, 0, ALL, EINVAL));
	CHECK(refused(fd, PAGE, SIZE, 0, ALL, EINVAL));
	CHECK(refused(fd, SIZE - 1, 2, PAGE - 1, ALL, EINVAL));
	CHECK(refused(fd, SIZE, 1, 0, ALL, EINVAL));
	CHECK(refused(fd, SIZE + PAGE, 1, 0, ALL, EINVAL));
	CHECK(refused(fd, 0, SIZE_MAX, 0, ALL, EINVAL));
	CHECK(refused(fd, 1ULL << 63, 1ULL << 63, 0, ALL, EINVAL));
	CHECK(refused(fd, -PAGE, PAGE, 0, ALL, EINVAL));
	CHECK(refused(fd, -PAGE, 2 * PAGE, 0, ALL, EINVAL));
	CHECK(refused(fd, 0, SIZE, -PAGE, ALL, EINVAL));
	CHECK(refused(fd, 8, PAGE, 0, ALL, EINVAL));
	CHECK(refused(fd, 8, PAGE, 16, ALL, EINVAL));
	/* The last bytes of both */
	CHECK(!ibv_dereg_mr(region_at(fd, SIZE - 1, 1, -1ULL, ALL)));
	CHECK(!ibv_dereg_mr(region_at(fd, 0, SIZE, -SIZE, ALL)));
	close(fd);
}

static void rights(void)
{
	static const int none[] = {
		IBV_ACCESS_ON_DEMAND, IBV_ACCESS_HUGETLB, IBV_ACCESS_ZERO_BASED, IBV_ACCESS_MW_BIND,
		1 << 8 /* FLUSH_GLOBAL */, 1 << 19, 1 << 30,
	};
	int fd = export(0), read_only = export(EXPORTER_READ_ONLY);
	size_t i;

	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		CHECK(refused(fd, 0, SIZE, 0, ALL | none[i], EINVAL));
	CHECK(refused(fd, 0, SIZE, 0, IBV_ACCESS_REMOTE_WRITE, EINVAL));
	CHECK(refused(fd, 0, SIZE, 0, IBV_ACCESS_REMOTE_ATOMIC, EINVAL));
	CHECK(!ibv_dereg_mr(region(fd, ALL | IBV_ACCESS_RELAXED_ORDERING)));
	CHECK(refused(read_only, 0, SIZE, 0, ALL, EACCES));
	CHECK(refused(read_only, 0, SIZE, 0, IBV_ACCESS_LOCAL_WRITE, EACCES));
	CHECK(!ibv_dereg_mr(region(read_only, READ)));
	close(fd);
	close(read_only);
}

/* Exporters without what it takes, and those that say no */
static void exporters(void)
{
	static const struct {
		uint32_t flags;
		int error;
	} kinds[] = {
		{ EXPORTER_NO_VMAP, EOPNOTSUPP },
		{ EXPORTER_IOMEM, EOPNOTSUPP },
		{ EXPORTER_MOVES | EXPORTER_IOMEM, EOPNOTSUPP },
		{ EXPORTER_NO_ATTACH, EBUSY },
		{ EXPORTER_MOVES | EXPORTER_NO_ATTACH, EBUSY },
		{ EXPORTER_MOVES | EXPORTER_NO_PIN, ENOSPC },
		{ EXPORTER_NO_ACCESS, EIO },
		{ EXPORTER_MOVES | EXPORTER_NO_ACCESS, EIO },
	};
	size_t i;
	int fd;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		fd = export(kinds[i].flags);
		CHECK(refused(fd, 0, SIZE, 0, ALL, kinds[i].error));
		CHECK(!used());
		close(fd);
	}
}

static bool shown(const struct ibv_mr *mr)
{
	char text[4096], length[32];
	FILE *f = popen("rdma resource show mr", "r");

	CHECK(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	pclose(f);
	snprintf(length, sizeof(length), "mrlen %zu ", mr->length);
	return strstr(text, length);
}

/* Past the library, which refuses it by itself */
static int reregister(const struct ibv_mr *mr, int flags)
{
	struct ib_uverbs_rereg_mr_resp resp;
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		struct ib_uverbs_rereg_mr cmd;
	} command = {
		{ IB_USER_VERBS_CMD_REREG_MR, sizeof(command) / 4, sizeof(resp) / 4 },
		{ .response = (uintptr_t)&resp, .mr_handle = mr->handle, .flags = flags,
		  .start = (uintptr_t)memory, .length = SIZE, .hca_va = (uintptr_t)memory,
		  .pd_handle = nics[1].pd->handle, .access_flags = ALL },
	};

	return write(mr->context->cmd_fd, &command, sizeof(command)) < 0 ? errno : 0;
}

/* Of what can be done to other regions */
static void changes(void)
{
	struct buffer buffer = buffer_of(export(0));
	struct ibv_mr *mr = region(buffer.fd, ALL);
	struct ibv_sge sge = { IOVA, PAGE, mr->lkey };
	int flags;

	CHECK(shown(mr));
	for (flags = 1; flags < 8; flags++)
		CHECK(reregister(mr, flags) == EOPNOTSUPP);
	CHECK(ibv_advise_mr(nics[1].pd, IBV_ADVISE_MR_ADVICE_PREFETCH, 0, &sge, 1) == ENOENT);
	memory_fill(buffer.map, SIZE, 8);
	CHECK(!run(IBV_WR_RDMA_READ, 0, LENGTH, mr->rkey));
	CHECK(!memcmp(memory, buffer.map + AT, LENGTH));
	CHECK(!ibv_dereg_mr(mr));
	forget(&buffer);
}

/* --- All -------------------------------------------------------------------------------- */

static void all_of(const char *what, int (*make)(void))
{
	struct buffer buffer = buffer_of(make());

	printf("   %s\n", what);
	write_and_read(&buffer);
	messages(&buffer);
	atomics(&buffer);
	deregister(&buffer);
	regions(&buffer);
	CHECK(!used());
	buffer = buffer_of(make());
	deregister_last(&buffer);
}

static int plain(void) { return export(0); }
static int movable(void) { return export(EXPORTER_MOVES); }

int main(int argc, char **argv)
{
	struct buffer buffer;

	CHECK(argc == 3 && !strcmp(argv[1], "-d"));
	nics_open(nics, argv[2]);
	exporter = open("/dev/exporter", O_RDWR | O_CLOEXEC);
	CHECK(exporter >= 0);
	card = open("/dev/dri/card0", O_RDWR | O_CLOEXEC);
	CHECK(card >= 0);
	memory_mr = nic_register(&nics[0], memory, SIZE);
	descriptors();
	ranges();
	rights();
	exporters();
	changes();
	CHECK(!used());
	all_of("memory that stays", plain);
	all_of("memory that moves unless it is pinned", movable);
	all_of("a graphics device's", export_of_card);
	buffer = buffer_of(movable());
	killed(&buffer);
	device_deleted(&buffer);
	printf("dma-bufs: written, read and counted in; none is in use\n");
	return 0;
}
