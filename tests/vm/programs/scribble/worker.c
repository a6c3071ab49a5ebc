/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* A worker: queue pairs, valid traffic on them, and a thread that scribbles */
#include "scribble.h"

#include <errno.h>
#include <rdma/ib_user_verbs.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ROUNDS = 3, STEPS = 2000 };

static struct device devices[DEVICES];
static char *memory;
static atomic_bool end_of_round;

/* --- Traffic ----------------------------------------------------------------- */

static bool ring(struct end *end, uint32_t command, uint32_t wr_count)
{
	bool taken = ring_doorbell(end->qp, command, wr_count);

	count(taken ? STAT_RUNG : STAT_REFUSED);
	return taken;
}

static void post_raw(struct chance *c, struct end *end)
{
	volatile struct odp_ring *head = view_sq(end->view);
	uint32_t i, n = 1 + below(c, 6);

	for (i = 0; i < n; i++)
		write_request(c, end->view, end->tail + i, 40);
	head->user_index = end->tail + n;
	if (ring(end, IB_USER_VERBS_CMD_POST_SEND, 0))
		end->tail += n;
}

static void receive_raw(struct chance *c, struct end *end)
{
	struct view *view = end->srq ? end->srq_view : end->view;
	volatile struct odp_ring *head = view_rq(view);
	uint32_t i;

	for (i = 0; i < DEPTH; i++)
		write_receive(c, view, i, 40);
	head->user_index = head->kernel_index + DEPTH;
}

static void post_library(struct chance *c, struct end *end)
{
	const enum ibv_wr_opcode opcodes[] = { IBV_WR_RDMA_WRITE, IBV_WR_SEND, IBV_WR_RDMA_READ };
	const struct key *from = &end->device->keys[below(c, GOOD_KEYS)];
	const struct key *to = &peer_of(end)->device->keys[below(c, GOOD_KEYS)];
	struct ibv_sge sge = { from->addr + below(c, 4096), below(c, 8192), from->lkey };
	struct ibv_send_wr wr = {
		.opcode = opcodes[below(c, 3)],
		.sg_list = &sge,
		.num_sge = 1,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { to->addr + below(c, 4096), to->rkey },
	}, *bad;

	if (ibv_post_send(end->qp, &wr, &bad))
		count(STAT_REFUSED);
	else
		count(STAT_RUNG);
}

static void receive_library(struct chance *c, struct end *end)
{
	const struct key *to = &end->device->keys[below(c, GOOD_KEYS)];
	struct ibv_sge sge = { to->addr, 16384, to->lkey };
	struct ibv_recv_wr wr = { .sg_list = &sge, .num_sge = 1 }, *bad;
	int i;

	for (i = 0; i < 8 && !ibv_post_recv(end->qp, &wr, &bad); i++)
		;
}

static void completed(const struct end *end, enum ibv_wc_status status,
		      enum ibv_wc_opcode opcode)
{
	const enum counter kinds[] = {
		[UC] = STAT_OF_UC, [UD] = STAT_OF_UD, [XRC] = STAT_OF_XRC,
	};

	count(status ? STAT_FAILED : STAT_COMPLETED);
	if (status)
		return;
	if (end->kind >= UC)
		count(kinds[end->kind]);
	if (opcode == IBV_WC_BIND_MW)
		count(STAT_BOUND);
	else if (opcode == IBV_WC_LOCAL_INV)
		count(STAT_INVALIDATED);
	else if (opcode == IBV_WC_ATOMIC_WRITE)
		count(STAT_STORED);
}

/* From a ring that the library does not know */
static void poll_raw(struct end *end)
{
	volatile struct odp_ring *head = view_sq(end->cq_ring);
	uint32_t last = head->kernel_index, index = head->user_index;

	if (last - index > end->cq_ring->depth)
		index = last;
	for (; index != last; index++) {
		const struct odp_cqe cqe = *view_cqe(end->cq_ring, index);

		/* What was left in the old ring nobody has moved here. */
		if (cqe.qp_num)
			completed(end, cqe.status, cqe.opcode);
	}
	head->user_index = last;
}

static void poll_some(struct end *end)
{
	struct ibv_wc wc[16];
	int i, n;

	if (end->cq_ring != end->cq_view) {
		poll_raw(end);
		return;
	}
	n = ibv_poll_cq(end->cq, 16, wc);
	for (i = 0; i < n; i++)
		completed(end, wc[i].status, wc[i].opcode);
}

/*
 * The queue's next ring is written to from before the change until after it, or it
 * is left at that. Others' completions come all the while.
 */
static bool resize(struct chance *c, struct end *end)
{
	struct odp_create_cq_resp ring;
	struct view *spare;

	if (!prepare_resize(end->cq, 1 + below(c, 8 * DEPTH), &ring))
		return true;
	spare = view_add_ring(end->device, peer_of(end)->device, &ring);
	if (!spare)
		return false;
	view_publish();
	count(STAT_PREPARED);
	view_sq(spare)->user_index = view_sq(end->cq_ring)->user_index;
	scribble_at_spare(spare);
	usleep(below(c, 200));
	if (!one_in(c, 4) && commit_resize(end->cq)) {
		end->cq_ring = spare;
		count(STAT_RESIZED);
	}
	scribble_at_spare(NULL);
	return true;
}

/* A pair that has failed begins anew, in the one way or the other. */
static bool revive(struct chance *c, struct end *end)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	if (ibv_query_qp(end->qp, &attr, IBV_QP_STATE, &init) ||
	    attr.qp_state == IBV_QPS_RTS)
		return true;
	if (one_in(c, 2))
		return renew_pair(end, peer_of(end));
	reset_pair(end, peer_of(end));
	return true;
}

static void set_limit(struct chance *c, struct end *end)
{
	struct ibv_srq_attr attr = { .srq_limit = below(c, DEPTH + 2) };

	if (end->srq)
		ibv_modify_srq(end->srq, &attr, IBV_SRQ_LIMIT);
}

/* Things that are no traffic; false if there is no going on. */
static bool disturb(struct chance *c, struct end *end)
{
	switch (below(c, 12)) {
	case 0:
		to_state(end, IBV_QPS_ERR);
		return true;
	case 1:
		to_state(end, IBV_QPS_RESET);
		return true;
	case 2:
		to_state(end, IBV_QPS_RESET);
		to_init(end);
		return true;
	case 3:
		reset_pair(end, peer_of(end));
		return true;
	case 4:
		return renew_pair(end, peer_of(end));
	case 5:
		ring(end, IB_USER_VERBS_CMD_POST_SEND, one_in(c, 2));
		return true;
	case 6:
		ring(end, IB_USER_VERBS_CMD_POST_RECV, one_in(c, 2));
		return true;
	case 7:
		set_limit(c, end);
		return true;
	case 8:
	case 9:
	case 10:
		return resize(c, end);
	default:
		return !device_refresh(end->device) &&
		       !madvise(memory + ON_DEMAND * BLOCK, BLOCK, MADV_DONTNEED);
	}
}

static bool step(struct chance *c)
{
	struct end *end = &ends[below(c, ENDS)];

	switch (below(c, 20)) {
	case 0:
		return disturb(c, end);
	case 1:
	case 2:
	case 3:
		return revive(c, end);
	case 4:
	case 5:
	case 6:
		(end->raw ? receive_raw : receive_library)(c, end);
		return true;
	case 7:
	case 8:
	case 9:
		poll_some(end);
		return true;
	default:
		(end->raw ? post_raw : post_library)(c, end);
		return true;
	}
}

/* --- Rounds ------------------------------------------------------------------ */

static void *scribbler(void *arg)
{
	struct chance c = { *(uint64_t *)arg ^ 0x5c71bb1e };

	/* Pauses let some of the traffic through. */
	while (!end_of_round) {
		scribble(&c);
		if (one_in(&c, 4))
			usleep(below(&c, 300));
	}
	return NULL;
}

static int begin_round(void)
{
	int i, rc = 0;

	for (i = 0; i < DEVICES && !rc; i++) {
		devices[i] = (struct device){ 0 };
		rc = device_open(&devices[i], options.dev[i]);
		if (!rc)
			rc = device_register(&devices[i], memory, shared->witness[i]);
	}
	for (i = 0; i < DEVICES && !rc; i++)
		rc = device_address(&devices[i], devices);
	ends_init(devices);
	for (i = 0; i < ENDS && !rc; i += 2)
		if (!renew_pair(&ends[i], &ends[i + 1]))
			rc = CANNOT;
	return rc;
}

static void finish_round(void)
{
	int i;

	for (i = 0; i < ENDS; i += 2)
		destroy_pair(&ends[i], &ends[i + 1]);
	for (i = 0; i < DEVICES; i++)
		device_close(&devices[i]);
	views_drop();
	count(STAT_ROUNDS);
}

/* The last round is left in the middle of it. */
static int run_round(uint64_t seed, bool last)
{
	struct chance c = { seed };
	pthread_t thread;
	size_t wrong;
	int i, rc;

	rc = begin_round();
	if (rc) {
		printf("a round could not begin: %s\n", strerror(errno));
		return rc;
	}
	end_of_round = false;
	if (pthread_create(&thread, NULL, scribbler, &seed))
		return CANNOT;
	for (i = 0; i < STEPS && !shared->enough && views_left(); i++)
		if (!step(&c))
			break;
	wrong = memory_wrong(memory);
	if (last && !wrong)
		_exit(RIGHT);
	end_of_round = true;
	pthread_join(thread, NULL);
	finish_round();
	wrong += memory_wrong(memory);
	if (wrong)
		printf("FAIL: seed %llu: %zu words that no key allows to write have changed\n",
		       (unsigned long long)seed, wrong);
	return wrong ? WRONG : RIGHT;
}

/* Without a word in the kernel log */
static void harmed(int signal)
{
	(void)signal;
	_exit(OWN_HARM);
}

int worker_run(uint64_t seed)
{
	int i, rc = RIGHT;

	signal(SIGSEGV, harmed);
	signal(SIGBUS, harmed);
	memory = memory_create();
	if (!memory)
		return CANNOT;
	count(STAT_WORKERS);
	for (i = 0; i < ROUNDS && rc == RIGHT && !shared->enough; i++)
		rc = run_round(seed * ROUNDS + i, i == ROUNDS - 1);
	fflush(stdout);
	return rc;
}
