// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Objects of another process: ibv_import_device(3), ibv_import_pd(3),
 * ibv_import_mr(3) and ibv_import_dm(3).
 *
 * The owner opens the device, and hands its descriptor over with the handles of what
 * it has made. The guest, another process, makes queues of its own in the owner's
 * domain, and gives peers access to the owner's memory; also when the owner
 * has ended, with its memory.
 *
 * usage: sharing -d DEV[,DEV2]
 */
#include "ends.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 64 << 10, NO_HANDLE = 12345 };

/* What the owner tells. */
struct handles {
	uint32_t pd, mr, dm;
	uint32_t key;		/* of the region of device memory */
	char *memory;
};

/* --- Talk between the two -------------------------------------------------------- */

static void tell(int sock, const void *what, size_t size)
{
	CHECK(write(sock, what, size) == (ssize_t)size);
}

static void hear(int sock, void *what, size_t size)
{
	CHECK(recv(sock, what, size, MSG_WAITALL) == (ssize_t)size);
}

static void tell_fd(int sock, int fd)
{
	char space[CMSG_SPACE(sizeof(fd))] = { 0 }, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = space, .msg_controllen = sizeof(space) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	CHECK(sendmsg(sock, &msg, 0) == 1);
}

static int hear_fd(int sock)
{
	char space[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = space, .msg_controllen = sizeof(space) };
	int fd;

	CHECK(recvmsg(sock, &msg, 0) == 1 && CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* --- The owner ---------------------------------------------------------------------- */

/* It waits until it is asked, each time, and then looks at what peers have done. */
static void owner(char *name, int sock)
{
	unsigned int access = IBV_ACCESS_ZERO_BASED | IBV_ACCESS_LOCAL_WRITE |
			      IBV_ACCESS_REMOTE_WRITE;
	struct ibv_alloc_dm_attr attr = { .length = SIZE };
	char expected[SIZE], in_dm[SIZE], seed;
	struct handles handles;
	struct nic nics[2];
	struct ibv_mr *mr, *dm_mr;
	struct ibv_dm *dm;

	nics_open(nics, name);
	handles.memory = memory_map(SIZE, false);
	mr = nic_register(&nics[0], handles.memory, SIZE);
	CHECK((dm = ibv_alloc_dm(nics[0].context, &attr)));
	CHECK((dm_mr = ibv_reg_dm_mr(nics[0].pd, dm, 0, SIZE, access)));
	handles.pd = nics[0].pd->handle;
	handles.mr = mr->handle;
	handles.dm = dm->handle;
	handles.key = dm_mr->rkey;
	tell_fd(sock, nics[0].context->cmd_fd);
	tell(sock, &handles, sizeof(handles));
	for (;;) {
		hear(sock, &seed, 1);
		if (!seed)
			exit(0);
		memory_fill(expected, SIZE, seed);
		CHECK(!memcmp(handles.memory, expected, SIZE));
		CHECK(!ibv_memcpy_from_dm(in_dm, dm, 0, SIZE));
		CHECK(!memcmp(in_dm, expected, SIZE));
		memset(handles.memory, seed, SIZE);
		tell(sock, &seed, 1);
	}
}

/* --- The guest ---------------------------------------------------------------------- */

static struct nic own[2];	/* opened by itself; peers are there */
static struct nic guest;	/* imported */
static char buffer[SIZE];
static struct ibv_mr *buffer_mr;

static void import(int sock, struct handles *handles)
{
	int fd = open("/dev/null", O_RDWR);

	CHECK(!ibv_import_device(fd) && errno == ENODEV);
	close(fd);
	fd = hear_fd(sock);
	hear(sock, handles, sizeof(*handles));
	guest = own[1];
	CHECK((guest.context = ibv_import_device(fd)));
	CHECK(guest.context->num_comp_vectors == own[1].context->num_comp_vectors);
	errno = 0;
	CHECK(!ibv_import_pd(guest.context, NO_HANDLE) && errno == ENOENT);
	CHECK(!ibv_import_pd(guest.context, handles->mr) && errno);
	CHECK((guest.pd = ibv_import_pd(guest.context, handles->pd)));
	/* It is not of the context that this process has opened. */
	CHECK(!ibv_import_dm(own[1].context, handles->dm) && errno == ENOENT);
}

static enum ibv_wc_status run(enum ibv_wr_opcode opcode, uint64_t to, uint32_t rkey)
{
	struct request request = { opcode, buffer, SIZE, buffer_mr->lkey, to, rkey };

	return request_alone(&own[0], &guest, &request);
}

/* A peer writes to both memories of the owner's, who looks. */
static void write_both(int sock, const struct handles *handles, const struct ibv_mr *mr, char seed)
{
	char answer;

	memory_fill(buffer, SIZE, seed);
	CHECK(!run(IBV_WR_RDMA_WRITE, (uintptr_t)handles->memory, mr->rkey));
	CHECK(!run(IBV_WR_RDMA_WRITE, 0, handles->key));
	tell(sock, &seed, 1);
	hear(sock, &answer, 1);
	CHECK(answer == seed);
}

/* The guest's own requests work on the owner's memory. */
static void send_from(const struct handles *handles, const struct ibv_mr *mr, char byte)
{
	struct request send = { IBV_WR_SEND, handles->memory, SIZE, mr->lkey, 0, 0 };
	char expected[SIZE];

	send_alone(&guest, &own[0], &send, buffer, buffer_mr->lkey);
	memset(expected, byte, SIZE);
	CHECK(!memcmp(buffer, expected, SIZE));
}

/* Process and memory are gone; what was made in the kernel lives with the guest. */
static void outlive(int sock, pid_t child, const struct handles *handles,
		    const struct ibv_mr *mr, struct ibv_dm *dm)
{
	enum ibv_wc_status status;
	char in_dm[SIZE], bye = 0;
	int exited;

	tell(sock, &bye, 1);
	CHECK(waitpid(child, &exited, 0) == child);
	CHECK(WIFEXITED(exited) && !WEXITSTATUS(exited));
	status = run(IBV_WR_RDMA_WRITE, (uintptr_t)handles->memory, mr->rkey);
	CHECK(denied(status));
	memory_fill(buffer, SIZE, 33);
	CHECK(!run(IBV_WR_RDMA_WRITE, 0, handles->key));
	CHECK(!ibv_memcpy_from_dm(in_dm, dm, 0, SIZE) && !memcmp(in_dm, buffer, SIZE));
}

static void guest_of(int sock, pid_t child)
{
	struct handles handles;
	struct ibv_mr *mr, *again;
	struct ibv_dm *dm;

	import(sock, &handles);
	CHECK(!ibv_import_mr(guest.pd, NO_HANDLE) && errno == ENOENT);
	CHECK(!ibv_import_dm(guest.context, NO_HANDLE) && errno == ENOENT);
	CHECK((mr = ibv_import_mr(guest.pd, handles.mr)));
	CHECK(mr->length == SIZE);
	CHECK((dm = ibv_import_dm(guest.context, handles.dm)));
	write_both(sock, &handles, mr, 1);
	send_from(&handles, mr, 1);
	/* What is let go is there still. */
	again = ibv_import_mr(guest.pd, handles.mr);
	CHECK(again && again->rkey == mr->rkey);
	ibv_unimport_mr(again);
	write_both(sock, &handles, mr, 2);
	outlive(sock, child, &handles, mr, dm);
	/* One that is imported can be destroyed; the domain has regions still. */
	CHECK(!ibv_dereg_mr(mr));
	CHECK(!ibv_import_mr(guest.pd, handles.mr) && errno == ENOENT);
	CHECK(ibv_free_dm(dm) == EBUSY);
	CHECK(ibv_dealloc_pd(guest.pd) == EBUSY);
	ibv_unimport_dm(dm);
	ibv_unimport_pd(guest.pd);
	CHECK(!ibv_close_device(guest.context));
}

int main(int argc, char **argv)
{
	char *name, *of_owner;
	int socks[2];
	pid_t child;

	CHECK(argc == 3 && !strcmp(argv[1], "-d"));
	name = argv[2];
	of_owner = strdup(strchr(name, ',') ? strchr(name, ',') + 1 : name);
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	child = fork();
	if (!child) {
		close(socks[0]);
		owner(of_owner, socks[1]);
	}
	close(socks[1]);
	nics_open(own, name);
	buffer_mr = nic_register(&own[0], buffer, SIZE);
	guest_of(socks[0], child);
	printf("another process's domain, region and device memory were used, and outlived it\n");
	return 0;
}
