// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The other process: one that asks, by a socket, and one that does */
#include "kinds.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum what { MAKE, CONNECT, TRAFFIC, SWEEP, OP, STATUS, STREAM, END };

struct command {
	enum what what;
	enum ibv_wr_opcode opcode;
	uint64_t addr;
	uint32_t len;
};

/* One message of the traffic */
struct op {
	enum { FREE, WRITING, READING, SENDING, ASKING } state;
	bool sent;
	bool acked;
	enum ibv_wr_opcode opcode;
	struct segment *seg;
	uint32_t off;
	uint32_t len;
	uint64_t since;
};

struct link owner_link;
pid_t peer_pid;
static int sock;

static struct link peer_link;
static struct ibv_mr *mr;
static struct op ops[DEPTH];
static uint64_t rnd;
static bool recv_asked;

/* --- The owner's side ------------------------------------------------------- */

static void tell(enum what what, enum ibv_wr_opcode opcode, uint64_t addr, uint32_t len)
{
	const struct command c = { what, opcode, addr, len };

	CHECK(write(sock, &c, sizeof(c)) == sizeof(c));
}

static int answer(void)
{
	int status;

	if (read(sock, &status, sizeof(status)) != sizeof(status))
		fail("the peer has ended");
	return status;
}

void peer_traffic_start(void)
{
	sh->stop = false;
	tell(TRAFFIC, 0, 0, 0);
}

void peer_traffic_end(void)
{
	sh->stop = true;
	answer();
}

void peer_sweep(void)
{
	tell(SWEEP, 0, 0, 0);
	answer();
}

/* With the rkey of the end's; data is in sh->buf[0]. */
void peer_post(enum ibv_wr_opcode opcode, uint64_t addr, uint32_t len)
{
	CHECK(len <= BUF);
	tell(OP, opcode, addr, len);
}

int peer_status(void)
{
	answer();
	tell(STATUS, 0, 0, 0);
	return answer();
}

int peer_op(enum ibv_wr_opcode opcode, uint64_t addr, uint32_t len)
{
	peer_post(opcode, addr, len);
	return peer_status();
}

/* The two halves of reconnect(), for an owner that is another process */
void peer_make_qp(void)
{
	tell(MAKE, 0, 0, 0);
	answer();
}

void peer_connect(void)
{
	tell(CONNECT, 0, 0, 0);
	answer();
}

void reconnect(void)
{
	link_make_qp(&owner_link);
	peer_make_qp();
	link_connect(&owner_link);
	peer_connect();
}

/* WRITEs and READs without end */
void peer_stream_start(uint64_t addr, uint32_t len)
{
	sh->stop = false;
	tell(STREAM, 0, addr, len);
}

/* Until the first error; its status */
int peer_stream_end(void)
{
	return answer();
}

void peer_end(void)
{
	int status;

	tell(END, 0, 0, 0);
	CHECK(waitpid(peer_pid, &status, 0) == peer_pid);
	if (status)
		fail("the peer has ended with status %#x", status);
}

/* --- The peer's side: traffic -------------------------------------------------- */

static struct ibv_sge sge_of(const struct op *op)
{
	unsigned int i = op - ops;

	return (struct ibv_sge){ (uintptr_t)sh->buf[i], op->len, mr->lkey };
}

static void op_post(struct op *op)
{
	struct ibv_sge sge = sge_of(op);

	link_post(&peer_link, op->opcode, op - ops, &sge, sh->base + op->off, peer_link.other->rkey);
	op->sent = true;
}

static void op_ask(struct op *op, int what)
{
	struct request *rq = &sh->requests[op - ops];

	CHECK(rq->state == IDLE);
	rq->what = what;
	rq->off = op->off;
	rq->len = op->len;
	rq->state = ASKED;
}

/* A place in a segment of the device's that nobody is at */
static bool op_place(struct op *op)
{
	struct segment *s = &sh->segments[random_below(&rnd, sh->nsegments)];
	uint32_t skip;

	if (s->cpu || s->busy)
		return false;
	skip = random_below(&rnd, 2) ? random_below(&rnd, s->len) : 0;
	op->off = s->start + skip;
	op->len = 1 + random_below(&rnd, s->len - skip);
	if (random_below(&rnd, 2))
		op->len = s->len - skip;
	if (!slots_try(op->off, op->len))
		return false;
	s->busy = true;
	op->seg = s;
	return true;
}

static void op_start(struct op *op)
{
	uint32_t kind = random_below(&rnd, 100);
	uint8_t *buf = sh->buf[op - ops];

	if (!op_place(op))
		return;
	op->since = now_ms();
	op->sent = false;
	op->acked = false;
	if (kind < 40 || (kind >= 80 && kind < 90 && recv_asked)) {
		op->state = WRITING;
		op->opcode = IBV_WR_RDMA_WRITE;
		random_fill(&rnd, buf, op->len);
		op_post(op);
	} else if (kind < 70) {
		op->state = READING;
		op->opcode = IBV_WR_RDMA_READ;
		op_post(op);
	} else if (kind < 80) {
		/* The owner READs from here. */
		op->state = ASKING;
		random_fill(&rnd, buf, op->len);
		op_ask(op, RQ_PULL);
	} else if (kind < 90) {
		/* It posts a receive, then comes the SEND. */
		op->state = SENDING;
		op->opcode = IBV_WR_SEND;
		random_fill(&rnd, buf, op->len);
		recv_asked = true;
		op_ask(op, RQ_RECV);
	} else {
		op->state = ASKING;
		op_ask(op, RQ_PUSH);
	}
}

static void op_done(struct op *op)
{
	struct request *rq = &sh->requests[op - ops];
	const uint8_t *buf = sh->buf[op - ops];
	bool wrote = op->state == WRITING || op->state == SENDING ||
		     (op->state == ASKING && rq->what == RQ_PULL);
	uint32_t page;

	if (wrote) {
		model_wrote(buf, op->off, op->len);
		for (page = op->off / PAGE; page <= (op->off + op->len - 1) / PAGE; page++)
			sh->written[page] = true;
	} else {
		model_compare(op->state == READING ? "READ by the peer" : "WRITE by the owner",
			      buf, op->off, op->len);
	}
	if (op->state == SENDING)
		recv_asked = false;
	if (op->state >= SENDING)
		rq->state = IDLE;
	op->state = FREE;
	op->seg->busy = false;
	slots_put(op->off, op->len);
	sh->messages++;
	sh->bytes += op->len;
}

static void op_look(struct op *op)
{
	struct request *rq = &sh->requests[op - ops];

	if (op->state == FREE && !sh->stop)
		op_start(op);
	if (op->state == SENDING && !op->sent && rq->state == READY)
		op_post(op);
	if (rq->state == DONE && (op->state == ASKING || op->acked))
		op_done(op);
	if (op->state != FREE && now_ms() - op->since > 20000 * slowness)
		fail("no end of message %d of %u bytes to %#x", op->state, op->len, op->off);
}

static bool traffic_busy(void)
{
	int i;

	for (i = 0; i < DEPTH; i++)
		if (ops[i].state != FREE)
			return true;
	return false;
}

static void traffic(void)
{
	struct ibv_wc wc;
	int i;

	rnd = sh->seed * 77 + 5;
	while (!sh->stop || traffic_busy()) {
		for (i = 0; i < DEPTH; i++)
			op_look(&ops[i]);
		if (!link_poll(peer_link.scq, &wc)) {
			nap(20);
			continue;
		}
		if (wc.status)
			fail("traffic: message %d of %u bytes to %#x: %s", ops[wc.wr_id].state,
			     ops[wc.wr_id].len, ops[wc.wr_id].off, ibv_wc_status_str(wc.status));
		if (ops[wc.wr_id].state == SENDING)
			ops[wc.wr_id].acked = true;
		else
			op_done(&ops[wc.wr_id]);
	}
}

/* All of the region, as the device sees it */
static void sweep(void)
{
	struct ibv_sge sge = { (uintptr_t)sh->buf[0], 0, mr->lkey };
	struct ibv_wc wc;
	uint32_t off;

	for (off = 0; off < sh->size; off += sge.length) {
		sge.length = sh->size - off < BUF ? sh->size - off : BUF;
		link_post(&peer_link, IBV_WR_RDMA_READ, 0, &sge, sh->base + off, peer_link.other->rkey);
		wc = link_wait(peer_link.scq, "READ of everything");
		if (wc.status)
			fail("READ of everything at %#x: %s", off, ibv_wc_status_str(wc.status));
		model_compare("READ of everything", sh->buf[0], off, sge.length);
	}
}

/* Whoever stops it does so by an error. */
static int stream(const struct command *c)
{
	struct ibv_sge sge = { (uintptr_t)sh->buf[0], BUF, mr->lkey };
	uint64_t end = now_ms() + 30000 * slowness, n;
	struct ibv_wc wc;

	for (n = 0; now_ms() < end; n++) {
		sge.length = c->len < BUF ? c->len : BUF;
		memset(sh->buf[0], n, sge.length);
		link_post(&peer_link, n % 4 == 3 ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE, 0, &sge,
			  c->addr + n % (c->len / sge.length) * sge.length, peer_link.other->rkey);
		wc = link_wait(peer_link.scq, "a message of a stream");
		if (wc.status)
			return wc.status;
		sh->messages++;
	}
	fail("a stream has not met an error");
}

/* --- The peer's side: commands --------------------------------------------------- */

static int obey(const struct command *c)
{
	struct ibv_sge sge = { (uintptr_t)sh->buf[0], c->len, mr->lkey };

	switch (c->what) {
	case MAKE:
		link_make_qp(&peer_link);
		break;
	case CONNECT:
		link_connect(&peer_link);
		break;
	case TRAFFIC:
		traffic();
		break;
	case SWEEP:
		sweep();
		break;
	case OP:
		link_post(&peer_link, c->opcode, 0, &sge, c->addr, peer_link.other->rkey);
		break;
	case STATUS:
		return link_wait(peer_link.scq, "an operation").status;
	case STREAM:
		return stream(c);
	case END:
		exit(0);
	}
	return 0;
}

static void serve(const char *device)
{
	struct command c;
	int status;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	link_open(&peer_link, device, 1);
	CHECK((mr = ibv_reg_mr(peer_link.pd, sh->buf, sizeof(sh->buf), IBV_ACCESS_LOCAL_WRITE |
			       IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE)));
	peer_link.self->rkey = mr->rkey;
	status = 0;
	CHECK(write(sock, &status, sizeof(status)) == sizeof(status));
	while (read(sock, &c, sizeof(c)) == sizeof(c)) {
		status = obey(&c);
		CHECK(write(sock, &status, sizeof(status)) == sizeof(status));
	}
	exit(0);
}

void peer_start(const char *device)
{
	int pair[2];

	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	fflush(stdout);
	peer_pid = fork();
	CHECK(peer_pid >= 0);
	sock = pair[!!peer_pid];
	close(pair[!peer_pid]);
	if (!peer_pid)
		serve(device);
	answer();
}
