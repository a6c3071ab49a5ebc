// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The process that registered the memory ends, or becomes another program,
 * under traffic: the peer gets an error, and nothing of what comes after is
 * written to.
 *
 *	us				victim			peer
 *	fork it				makes region and QP	makes its QP
 *					victim = READY
 *	peer connects			waits			connects
 *	victim = CONNECT		connects, LIVES
 *	stream				...			WRITE, READ, ...
 *	victim = END			ends in its way		gets an error
 */
#include "kinds.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOTHING, VICTIM_READY, VICTIM_CONNECT, VICTIM_LIVES, VICTIM_END };
enum { LEN = 4 << 20, IMAGE = 0x69, WATCH_MS = 400 };

enum way { EXIT, KILLED, EXEC, EXEC_OPEN, WAYS };

static const char * const way_names[WAYS] = {
	"exit", "SIGKILL", "exec", "exec with the device open",
};

static void wait_victim(int state, pid_t pid)
{
	uint64_t end = now_ms() + 20000 * slowness;

	while (sh->victim != state) {
		if (now_ms() > end || (pid && waitpid(pid, NULL, WNOHANG) == pid))
			fail("the victim did not come to state %d", state);
		nap(500);
	}
}

/* exec, in the middle of traffic */
static void become_image(char *base, bool open)
{
	char address[32];

	if (open) {
		CHECK(!fcntl(owner_link.ctx->cmd_fd, F_SETFD, 0));
		CHECK(!fcntl(owner_link.ctx->async_fd, F_SETFD, 0));
	}
	snprintf(address, sizeof(address), "%p", (void *)base);
	execl("/proc/self/exe", "kinds", "image", address, NULL);
	fail("exec");
}

/* What comes after: other memory at the same addresses, which nobody writes to */
void check_image(const char *address)
{
	char *want = (char *)strtoul(address, NULL, 16), *p;
	uint64_t end = now_ms() + WATCH_MS;
	uint32_t i;

	p = mmap(want, LEN, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (p != want)
		_exit(3);
	memset(p, IMAGE, LEN);
	while (now_ms() < end) {
		for (i = 0; i < LEN; i++)
			if (p[i] != IMAGE)
				_exit(4);
		nap(10000);
	}
	_exit(0);
}

static void __attribute__((noreturn)) victim(enum way way, const char *device)
{
	struct link *link = &owner_link;
	char *base = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct ibv_mr *mr;

	CHECK(base != MAP_FAILED);
	*link = (struct link){ .qp = NULL };
	link_open(link, device, 0);
	link_make_qp(link);
	CHECK((mr = ibv_reg_mr(link->pd, NULL, SIZE_MAX, IBV_ACCESS_LOCAL_WRITE |
			       IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE |
			       IBV_ACCESS_ON_DEMAND)));
	sh->base = (uintptr_t)base;
	link->self->rkey = mr->rkey;
	sh->victim = VICTIM_READY;
	wait_victim(VICTIM_CONNECT, 0);
	link_connect(link);
	sh->victim = VICTIM_LIVES;
	/* The kernel, too, is to find pages come and go. */
	while (sh->victim != VICTIM_END) {
		madvise(base, LEN, MADV_DONTNEED);
		nap(2000);
	}
	if (way == EXIT)
		_exit(0);
	if (way == EXEC || way == EXEC_OPEN)
		become_image(base, way == EXEC_OPEN);
	for (;;)
		madvise(base, LEN, MADV_DONTNEED);
}

static int end_under_traffic(enum way way)
{
	uint64_t before;
	int status, error;
	pid_t pid;

	sh->victim = NOTHING;
	fflush(stdout);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		victim(way, "odp0");
	wait_victim(VICTIM_READY, pid);
	peer_make_qp();
	peer_connect();
	sh->victim = VICTIM_CONNECT;
	wait_victim(VICTIM_LIVES, pid);
	sh->messages = 0;
	peer_stream_start(sh->base, LEN);
	for (before = now_ms(); sh->messages < 30; nap(1000))
		if (now_ms() - before > 10000 * slowness)
			fail("no traffic to the victim");
	sh->victim = VICTIM_END;
	if (way == KILLED)
		kill(pid, SIGKILL);
	error = peer_stream_end();
	CHECK(waitpid(pid, &status, 0) == pid);
	if (way == KILLED ? !WIFSIGNALED(status) : status)
		fail("%s: the victim has ended with status %#x%s", way_names[way], status,
		     WEXITSTATUS(status) == 4 ? ": its new image was written to" : "");
	return error;
}

static void end_often(enum way way, int times)
{
	uint64_t start = now_ms();
	int error, i;

	for (i = 0; i < times; i++) {
		error = end_under_traffic(way);
		if (error != IBV_WC_RETRY_EXC_ERR && error != IBV_WC_REM_ACCESS_ERR &&
		    error != IBV_WC_REM_OP_ERR && error != IBV_WC_WR_FLUSH_ERR)
			fail("%s: the peer got '%s'", way_names[way], ibv_wc_status_str(error));
	}
	printf("   %s under traffic, %d times: the peer got '%s', %.1f s\n", way_names[way], times,
	       ibv_wc_status_str(error), (now_ms() - start) / 1000.0);
}

void check_exec(void)
{
	end_often(EXEC, 2);
	end_often(EXEC_OPEN, 2);
}

void check_exit(void)
{
	end_often(EXIT, 2);
	end_often(KILLED, 3);
}
