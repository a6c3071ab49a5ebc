// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Devices that move from one network namespace to another, or go with one, while
 * they are in use.
 *
 * usage: namespaces move ROUNDS SEED	odp0 moves between the hosts h0 and h1
 *	  namespaces stay HOST DEVICE	until DEVICE, which is on HOST, goes
 *	  namespaces shuttle INDEX	the device with that index, which is on h2,
 *					moves to h1 and back, while it lasts
 *
 * A program that has a device open need not be in its namespace: threads of this
 * one go from one to another.
 */
#include "ends.h"
#include "slow.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <pthread.h>
#include <rdma/rdma_netlink.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ENDS = 3, DEPTH = 8, PAGES = 32, SLOW_MS = 3000 };

/* 33 ms: who is told nothing any more has an error within a second. */
enum { TIMEOUT = 13 };

/* A device, and memory: pages to send from and, behind them, to be written to */
struct side {
	struct nic nic;
	char *memory;
	struct ibv_mr *mr;
	struct end ends[ENDS];
	unsigned int posted[ENDS];	/* and not completed */
	bool over;			/* requests fail */
	bool gone;			/* the device, and its user was told */
};

static int netns_open(const char *host)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", host);
	fd = open(*host ? path : "/proc/1/ns/net", O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

/* For the calling thread */
static void netns_enter(const char *host)
{
	int fd = netns_open(host);

	CHECK(!setns(fd, CLONE_NEWNET));
	close(fd);
}

/* --- Bytes ------------------------------------------------------------------------- */

static char *page_from(const struct side *side, unsigned int i)
{
	return side->memory + i * PAGE;
}

static char *page_to(const struct side *side, unsigned int i)
{
	return side->memory + (PAGES + i) * PAGE;
}

static void page_fill(char *page, unsigned int seed)
{
	unsigned int i;

	for (i = 0; i < PAGE; i++)
		page[i] = seed + i * 31 + (i >> 8);
}

static bool page_has(const char *page, unsigned int seed)
{
	static __thread char wanted[PAGE];

	page_fill(wanted, seed);
	return !memcmp(page, wanted, PAGE);
}

static struct request request_of(enum ibv_wr_opcode opcode, const struct side *side,
				 const struct side *peer, unsigned int page)
{
	bool reads = opcode == IBV_WR_RDMA_READ;

	return (struct request){
		opcode, reads ? page_to(side, page) : page_from(side, page), PAGE, side->mr->lkey,
		(uintptr_t)(reads ? page_from(peer, page) : page_to(peer, page)), peer->mr->rkey,
	};
}

/* All pages go from @side to @peer, by WRITE or by the peer's READ. */
static void bytes_cross(struct side *side, struct side *peer, bool read, unsigned int seed)
{
	struct request request;
	unsigned int i;

	for (i = 0; i < PAGES; i++) {
		page_fill(page_from(side, i), seed + i);
		memset(page_to(peer, i), 0, PAGE);
	}
	for (i = 0; i < PAGES; i++) {
		request = read ? request_of(IBV_WR_RDMA_READ, peer, side, i) :
				 request_of(IBV_WR_RDMA_WRITE, side, peer, i);
		end_post(read ? &peer->ends[0] : &side->ends[0], &request, i);
		end_done(read ? &peer->ends[0] : &side->ends[0]);
	}
	for (i = 0; i < PAGES; i++)
		CHECK(page_has(page_to(peer, i), seed + i));
}

static void bytes_right(struct side *a, struct side *b, unsigned int seed)
{
	bytes_cross(a, b, false, seed);
	bytes_cross(b, a, false, seed + 1);
	bytes_cross(a, b, true, seed + 2);
	bytes_cross(b, a, true, seed + 3);
}

/* --- Sides ------------------------------------------------------------------------- */

static void side_open(struct side *side, const char *host, const char *device)
{
	struct nic nics[2];
	char *name = strdup(device);
	int i;

	memset(side, 0, sizeof(*side));
	netns_enter(host);
	CHECK(nics_open(nics, name) == 1);
	netns_enter("");
	side->nic = nics[0];
	side->memory = memory_map(BLOCK, false);
	side->mr = nic_register(&side->nic, side->memory, 2 * PAGES * PAGE);
	for (i = 0; i < ENDS; i++)
		side->ends[i].timeout = TIMEOUT;
}

static void sides_connect(struct side *a, struct side *b)
{
	int i;

	for (i = 0; i < ENDS; i++)
		ends_create(&a->ends[i], &a->nic, &b->ends[i], &b->nic, 2 * DEPTH);
}

/* False: the device is gone. */
static bool try_post(struct end *end, const struct request *request)
{
	struct ibv_sge sge = { (uintptr_t)request->local, request->len, request->lkey };
	struct ibv_send_wr wr = {
		.sg_list = &sge, .num_sge = 1, .opcode = request->opcode,
		.wr.rdma = { request->remote, request->rkey },
	}, *bad;
	int err = ibv_post_send(end->qp, &wr, &bad);

	CHECK(!err || err == EIO);
	return !err;
}

/* Also of a device that is gone, which nothing can be posted to any more; see main(). */
static void side_close(struct side *side)
{
	const struct request request = { .opcode = IBV_WR_RDMA_WRITE };
	int i;

	for (i = 0; i < ENDS; i++) {
		CHECK(!side->gone || !try_post(&side->ends[i], &request));
		end_destroy(&side->ends[i]);
	}
	CHECK(!ibv_dereg_mr(side->mr));
	nic_close(&side->nic);
	free((char *)side->nic.name);
	CHECK(!munmap(side->memory, BLOCK));
}

/*
 * Looks at events for up to @ms each. That the device goes is the only one, unless its
 * interface goes, which is closed first and loses its addresses.
 */
static void side_look(struct side *side, int ms)
{
	struct pollfd p = { .fd = side->nic.context->async_fd, .events = POLLIN };
	struct ibv_async_event event;

	while (!side->gone && poll(&p, 1, ms) == 1) {
		CHECK(!ibv_get_async_event(side->nic.context, &event));
		ibv_ack_async_event(&event);
		if (event.event_type == IBV_EVENT_PORT_ERR || event.event_type == IBV_EVENT_GID_CHANGE)
			continue;
		CHECK(event.event_type == IBV_EVENT_DEVICE_FATAL);
		side->gone = side->over = true;
	}
}

/* --- Traffic ----------------------------------------------------------------------- */

/* Takes completions of an end and posts as many. All that is written is what is there. */
static void side_keep_going(struct side *side, struct side *peer, int i, unsigned int *page)
{
	struct request request;
	struct ibv_wc wc;
	bool read;

	while (!side->over && side->posted[i] && end_poll(&side->ends[i], &wc)) {
		side->posted[i]--;
		/* The peer has gone, without a word. */
		CHECK(!wc.status || wc.status == IBV_WC_RETRY_EXC_ERR || wc.status == IBV_WC_WR_FLUSH_ERR);
		side->over |= wc.status;
	}
	while (!side->over && side->posted[i] < DEPTH) {
		read = ++*page % 3 == 0;
		request = request_of(read ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE, side, peer,
				     *page % PAGES);
		side->over = !try_post(&side->ends[i], &request);
		side->posted[i] += !side->over;
	}
}

/* Until the device of @a is gone, and @b has seen that, in one way or another */
static void traffic(struct side *a, struct side *b)
{
	double end = now() + patience();
	unsigned int page = 0;
	int i;

	while (!a->gone || !b->over) {
		CHECK(now() < end);
		for (i = 0; i < ENDS; i++) {
			side_keep_going(a, b, i, &page);
			side_keep_going(b, a, i, &page);
		}
		side_look(a, 0);
		side_look(b, 0);
	}
}

/* READ or written, each page is as its sender has it; nothing else has come. */
static void pages_intact(struct side *a, struct side *b, unsigned int seed)
{
	unsigned int i;

	for (i = 0; i < PAGES; i++) {
		CHECK(page_has(page_from(a, i), seed + i) && page_has(page_from(b, i), seed + i));
		CHECK(page_has(page_to(a, i), seed + i) && page_has(page_to(b, i), seed + i));
	}
}

static void pages_prepare(struct side *a, struct side *b, unsigned int seed)
{
	unsigned int i;

	for (i = 0; i < PAGES; i++) {
		page_fill(page_from(a, i), seed + i);
		page_fill(page_from(b, i), seed + i);
		page_fill(page_to(a, i), seed + i);
		page_fill(page_to(b, i), seed + i);
	}
}

/* --- What else is done meanwhile ---------------------------------------------------- */

/* Registers, faults in and creates until the device is gone. */
static void *keep_registering(void *arg)
{
	struct side *side = arg;
	struct ibv_qp_init_attr init = {
		.qp_type = IBV_QPT_RC, .send_cq = side->ends[0].cq, .recv_cq = side->ends[0].cq,
		.cap = { 1, 1, 1, 1, 0 },
	};
	struct ibv_sge sge = { .length = BLOCK / 2 };
	char *memory = memory_map(BLOCK, false);
	struct ibv_mr *mr;
	struct ibv_qp *qp;
	int err = 0;

	while (!err) {
		mr = ibv_reg_mr(side->nic.pd, memory, BLOCK / 2, IBV_ACCESS_LOCAL_WRITE |
				IBV_ACCESS_ON_DEMAND);
		if (!mr) {
			err = errno;
			break;
		}
		sge.addr = (uintptr_t)memory;
		sge.lkey = mr->lkey;
		err = ibv_advise_mr(side->nic.pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE,
				    IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1);
		qp = ibv_create_qp(side->nic.pd, &init);
		if (!qp)
			err = errno;
		else
			CHECK(!ibv_destroy_qp(qp));
		CHECK(!ibv_dereg_mr(mr));
		CHECK(!madvise(memory, BLOCK / 2, MADV_DONTNEED));
	}
	CHECK(err == EIO);
	CHECK(!munmap(memory, BLOCK));
	return NULL;
}

/* --- Moving -------------------------------------------------------------------------- */

struct mover {
	const char *from;
	const char *to;
	uint32_t device;
	unsigned int delay_us;
	double took;
	pthread_t thread;
};

/* As "rdma dev set ... netns". Return: 0 or an errno. */
static int move_device(uint32_t device, int netns)
{
	struct {
		struct nlmsghdr header;
		struct nlattr device_attr;
		uint32_t device;
		struct nlattr netns_attr;
		uint32_t netns;
	} request = {
		{ sizeof(request), RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, RDMA_NLDEV_CMD_SET),
		  NLM_F_REQUEST | NLM_F_ACK, 1, 0 },
		{ 8, RDMA_NLDEV_ATTR_DEV_INDEX }, device,
		{ 8, RDMA_NLDEV_NET_NS_FD }, netns,
	};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_RDMA);

	CHECK(fd >= 0);
	CHECK(send(fd, &request, sizeof(request), 0) == sizeof(request));
	CHECK(recv(fd, &answer, sizeof(answer), 0) > (ssize_t)sizeof(answer.header));
	CHECK(answer.header.nlmsg_type == NLMSG_ERROR);
	close(fd);
	return -answer.error.error;
}

static void *move(void *arg)
{
	struct mover *mover = arg;
	int netns = netns_open(mover->to);
	double began;

	netns_enter(mover->from);
	usleep(mover->delay_us);
	began = now();
	CHECK(!move_device(mover->device, netns));
	mover->took = now() - began;
	close(netns);
	return NULL;
}

static void mover_start(struct mover *mover, struct side *side)
{
	mover->device = ibv_get_device_index(side->nic.context->device);
	CHECK(!pthread_create(&mover->thread, NULL, move, mover));
}

/* Packets and commands come as fast as they can. */
static void moved_in_traffic(struct side *a, struct side *b, struct mover *mover, unsigned int seed)
{
	pthread_t registrar;

	pages_prepare(a, b, seed);
	CHECK(!pthread_create(&registrar, NULL, keep_registering, a));
	mover_start(mover, a);
	traffic(a, b);
	CHECK(!pthread_join(mover->thread, NULL));
	CHECK(!pthread_join(registrar, NULL));
	CHECK(!b->gone);
	pages_intact(a, b, seed);
}

/*
 * Both halves wait for pages, at the device that moves. Nobody waits for them then, and
 * what was to be written into them is not.
 */
static void moved_in_fault(struct side *a, struct side *b, struct mover *mover)
{
	struct request request;
	struct slow slow;
	struct ibv_wc wc;
	unsigned int i;

	slow_begin(&slow, a->memory, 2 * PAGES);
	slow_set_delay(&slow, 0, 2 * PAGES, SLOW_MS * slowness());
	for (i = 0; i < ENDS; i++) {
		request = request_of(IBV_WR_RDMA_WRITE, a, b, i);
		end_post(&a->ends[i], &request, 0);
		request = request_of(IBV_WR_RDMA_WRITE, b, a, i);
		end_post(&b->ends[i], &request, 0);
	}
	while (slow_asked(&slow) < 2)
		pause_ms(1);
	mover_start(mover, a);
	for (i = 0; i < ENDS; i++) {
		wc = end_wait(&b->ends[i]);
		CHECK(wc.status == IBV_WC_RETRY_EXC_ERR);
	}
	CHECK(!pthread_join(mover->thread, NULL));
	JUDGE(mover->took < SLOW_MS * slowness() / 2000.0);
	side_look(a, patience() * 1000);
	side_look(b, 0);
	CHECK(a->gone && !b->gone);
	for (i = 0; i < ENDS; i++) {
		CHECK((unsigned char)page_to(a, i)[0] == slow_byte(PAGES + i));
		CHECK((unsigned char)page_to(a, i)[PAGE - 1] == slow_byte(PAGES + i));
	}
	slow_end(&slow);
}

static void move_round(const char *from, const char *to, unsigned int round)
{
	struct mover mover = { .from = from, .to = to, .delay_us = random() % 20000 };
	struct side a, b;

	side_open(&a, from, "odp0");
	side_open(&b, "h1", "odp1");
	sides_connect(&a, &b);
	bytes_right(&a, &b, round);
	if (round % 5 == 3)
		moved_in_fault(&a, &b, &mover);
	else
		moved_in_traffic(&a, &b, &mover, round);
	side_close(&a);
	side_close(&b);
}

static void move_rounds(unsigned int rounds, unsigned int seed)
{
	unsigned int i;

	srandom(seed);
	for (i = 0; i < rounds; i++)
		move_round(i % 2 ? "h1" : "h0", i % 2 ? "h0" : "h1", i);
	printf("moved %u times in use, seed %u\n", rounds, seed);
}

/* --- Staying -------------------------------------------------------------------------- */

static void stay(const char *host, const char *device)
{
	struct side a, b;

	side_open(&a, host, device);
	/* Another context of the same device */
	side_open(&b, host, device);
	sides_connect(&a, &b);
	bytes_right(&a, &b, 1);
	pages_prepare(&a, &b, 2);
	printf("bytes are right\n");
	traffic(&a, &b);
	side_look(&b, patience() * 1000);
	CHECK(b.gone);
	pages_intact(&a, &b, 2);
	side_close(&a);
	side_close(&b);
	printf("%s is gone\n", device);
}

/* Only the device's own namespace knows it; between two none does. */
static void shuttle(uint32_t device)
{
	const int netns[2] = { netns_open("h2"), netns_open("h1") };
	unsigned int moves = 0, failures = 0;
	int err;

	while (failures < 2) {
		CHECK(!setns(netns[moves % 2], CLONE_NEWNET));
		err = move_device(device, netns[(moves + 1) % 2]);
		CHECK(!err || err == EINVAL || err == ENODEV);
		failures = err ? failures + 1 : 0;
		moves++;
	}
	printf("moved %u times\n", moves - failures);
}

int main(int argc, char **argv)
{
	CHECK(argc > 2);
	/* What belongs to a device that is gone can be destroyed, without an error. */
	CHECK(!setenv("RDMAV_ALLOW_DISASSOC_DESTROY", "1", 1));
	if (!strcmp(argv[1], "shuttle"))
		shuttle(atoi(argv[2]));
	else if (argc == 4 && !strcmp(argv[1], "stay"))
		stay(argv[2], argv[3]);
	else if (argc == 4)
		move_rounds(atoi(argv[2]), atoi(argv[3]));
	else
		CHECK(!"usage: see above");
	return 0;
}
