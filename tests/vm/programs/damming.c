/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Damming: a request behind one that waits for a page must not be lost until a
 * transport timeout, nor may one of another queue pair wait at all.
 *
 * usage: damming -d DEV[,DEV2]
 *
 * For WRITE, READ and SEND, and for a page that is missing at either side: one
 * request that waits, a second one behind it, a third one on another queue
 * pair. The page is 300 ms away (userfaultfd), or swapped out.
 */
#include "ends.h"
#include "slow.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { DELAY_MS = 300, LEN = 2048, TIMEOUT_SHORT = 14, SLOW_PAGES = 8, SWAPPED = 64 };

enum where { LOCAL, REMOTE };

static const struct {
	const char *name;
	enum ibv_wr_opcode opcode;
} ops[] = {
	{ "WRITE", IBV_WR_RDMA_WRITE }, { "READ", IBV_WR_RDMA_READ }, { "SEND", IBV_WR_SEND },
};

/* Three requests: the one that waits, one behind it, one beside it */
enum { FIRST, BEHIND, BESIDE, REQUESTS };

static struct nic nics[2];
static struct ibv_mr *mr[2];
static char *memory;	/* a block of pages that can be slow, and a warm one */
static struct slow slow;
static struct end queue[2], peer[2];

static char *warm(enum where where, int request)
{
	return memory + BLOCK + (where * REQUESTS + request) * PAGE;
}

static void post(int op, int which, int request, char *local, char *remote)
{
	struct request r = {
		.opcode = ops[op].opcode, .local = local, .len = LEN, .lkey = mr[0]->lkey,
		.remote = (uintptr_t)remote, .rkey = mr[1]->rkey,
	};

	if (r.opcode == IBV_WR_SEND)
		end_post_receive(&peer[which], remote, LEN, mr[1]->lkey, request);
	end_post(&queue[which], &r, request);
}

static void take(int op, int which, double *done)
{
	struct ibv_wc wc;

	if (!end_poll(&queue[which], &wc))
		return;
	if (wc.status)
		printf("%s %llu: %s\n", ops[op].name, (unsigned long long)wc.wr_id,
		       ibv_wc_status_str(wc.status));
	CHECK(wc.status == IBV_WC_SUCCESS);
	done[wc.wr_id] = now();
	if (ops[op].opcode == IBV_WR_SEND)
		end_done(&peer[which]);
}

/* Posts the three; done[] is when they completed, after the first was posted */
static void run(int op, char *local, char *remote, double done[REQUESTS])
{
	double start = now(), until = start + patience();
	int i;

	memset(done, 0, REQUESTS * sizeof(*done));
	post(op, 0, FIRST, local, remote);
	/* It waits by now, if it has to. */
	pause_ms(20);
	post(op, 0, BEHIND, warm(LOCAL, BEHIND), warm(REMOTE, BEHIND));
	post(op, 1, BESIDE, warm(LOCAL, BESIDE), warm(REMOTE, BESIDE));
	while (!done[FIRST] || !done[BEHIND] || !done[BESIDE]) {
		take(op, 0, done);
		take(op, 1, done);
		CHECK(now() < until);
	}
	for (i = 0; i < REQUESTS; i++)
		done[i] = (done[i] - start) * 1000;
}

/* Fresh bytes arrived: what the receiving page had before is gone. */
static void check_bytes(int op, const char *local, const char *remote)
{
	const char *from = ops[op].opcode == IBV_WR_RDMA_READ ? remote : local;
	int i;

	CHECK(from[0] && from[LEN - 1] == from[0]);
	CHECK(!memcmp(local, remote, LEN));
	for (i = BEHIND; i < REQUESTS; i++)
		CHECK(!memcmp(warm(LOCAL, i), warm(REMOTE, i), LEN));
}

static void connect_all(uint8_t timeout)
{
	int i;

	for (i = 0; i < 2; i++) {
		queue[i].timeout = timeout;
		peer[i].timeout = timeout;
		ends_create(&queue[i], &nics[0], &peer[i], &nics[1], 8);
	}
}

static void disconnect_all(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		end_destroy(&queue[i]);
		end_destroy(&peer[i]);
	}
}

/* The device is to know the warm pages. */
static void warm_up(int op)
{
	double done[REQUESTS];

	memset(warm(LOCAL, 0), 0x11, REQUESTS * PAGE);
	memset(warm(REMOTE, 0), 0x22, REQUESTS * PAGE);
	run(op, warm(LOCAL, FIRST), warm(REMOTE, FIRST), done);
	memset(warm(LOCAL, 0), 0x44, REQUESTS * PAGE);
	memset(warm(REMOTE, 0), 0x55, REQUESTS * PAGE);
}

static void say(int op, enum where where, const char *kind, const double done[REQUESTS],
		const struct trouble *trouble)
{
	printf("%-5s %s page %s: %4.0f ms; behind it %4.0f ms; another queue pair %4.0f ms; %llu timeouts, %llu retries, %llu NAKs\n",
	       ops[op].name, where == LOCAL ? "local " : "remote", kind, done[FIRST],
	       done[BEHIND], done[BESIDE],
	       (unsigned long long)trouble_seen(trouble, "tx_timeouts"),
	       (unsigned long long)trouble_seen(trouble, "tx_retries"),
	       (unsigned long long)(trouble_seen(trouble, "rnr_nak_sent") +
				    trouble_seen(trouble, "seq_nak_sent")));
}

static void one_slow(int op, enum where where, uint8_t timeout)
{
	int page = (op * 2 + where) % SLOW_PAGES;
	char *missing = memory + page * PAGE;
	struct trouble trouble;
	double done[REQUESTS];
	bool patient = timeout == TIMEOUT_LONG;
	char *local, *remote;

	connect_all(timeout);
	warm_up(op);
	slow_reset(&slow);
	local = where == LOCAL ? missing : warm(LOCAL, FIRST);
	remote = where == REMOTE ? missing : warm(REMOTE, FIRST);
	trouble_begin(&trouble, nics);
	run(op, local, remote, done);
	say(op, where, patient ? "300 ms away" : "300 ms away, timeout 67 ms", done, &trouble);
	check_bytes(op, local, remote);
	JUDGE(slow_asked(&slow) == 1);
	CHECK(done[FIRST] >= DELAY_MS);
	CHECK(done[BEHIND] >= done[FIRST]);
	JUDGE(done[BESIDE] < done[FIRST]);
	if (patient)
		JUDGE(!trouble_all(&trouble));
	/* The page and a timeout would be more than four seconds. */
	JUDGE(done[BEHIND] < DELAY_MS + 3000 * slowness());
	disconnect_all();
}

static bool swapped_out(const char *at)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry;

	CHECK(fd >= 0);
	CHECK(pread(fd, &entry, 8, (uintptr_t)at / PAGE * 8) == 8);
	close(fd);
	return entry >> 62 & 1;
}

static void one_swapped(int op, enum where where)
{
	char *missing = memory + 2 * BLOCK + (op * 2 + where) * SWAPPED * PAGE;
	struct trouble trouble;
	double done[REQUESTS];
	char *local, *remote;
	int i;

	connect_all(TIMEOUT_LONG);
	warm_up(op);
	/* One page alone may stay in a CPU's batch of pages for a while. */
	memset(missing, 0x33, SWAPPED * PAGE);
	for (i = 0; i < 100 && !swapped_out(missing); i++) {
		CHECK(!madvise(missing, SWAPPED * PAGE, MADV_PAGEOUT));
		pause_ms(1);
	}
	CHECK(swapped_out(missing));
	local = where == LOCAL ? missing : warm(LOCAL, FIRST);
	remote = where == REMOTE ? missing : warm(REMOTE, FIRST);
	trouble_begin(&trouble, nics);
	run(op, local, remote, done);
	say(op, where, "swapped out", done, &trouble);
	check_bytes(op, local, remote);
	JUDGE(!trouble_all(&trouble));
	JUDGE(counters_grown(&trouble.nic[0], "odp_faults") >= 1);
	disconnect_all();
}

int main(int argc, char **argv)
{
	int op, where;

	CHECK(argc == 3 && !strcmp(argv[1], "-d"));
	nics_open(nics, argv[2]);
	memory = memory_map(3 * BLOCK, false);
	mr[0] = nic_register(&nics[0], memory, 3 * BLOCK);
	mr[1] = nic_register(&nics[1], memory, 3 * BLOCK);
	slow_begin(&slow, memory, SLOW_PAGES);
	slow_set_delay(&slow, 0, SLOW_PAGES, DELAY_MS);
	for (op = 0; op < 3; op++)
		for (where = LOCAL; where <= REMOTE; where++)
			one_slow(op, where, TIMEOUT_LONG);
	printf("The page is further away than the timeout of the queue pairs:\n");
	/* Where the peer gets no CPU, that ends in an error. */
	for (op = 0; op < 3 && !under_load(); op++)
		one_slow(op, REMOTE, TIMEOUT_SHORT);
	for (op = 0; op < 3; op++)
		for (where = LOCAL; where <= REMOTE; where++)
			one_swapped(op, where);
	slow_end(&slow);
	return 0;
}
