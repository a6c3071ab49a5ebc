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

enum { ROUNDS = 3, STEPS = 2000, DEPTH = 32 };

/*
 * struct end - a queue pair and its completion queue
 * @raw: Its requests are written to the ring here, without the library, which
 *	knows only of those that it has posted itself.
 * @tail: Requests that the kernel has taken, if nobody has interfered.
 */
struct end {
	struct device *device;
	struct ibv_cq *cq;
	struct ibv_qp *qp;
	struct view *cq_view, *view;
	bool raw;
	uint32_t tail;
};

static struct device devices[DEVICES];
static struct end ends[ENDS];
/* The last pair receives from one queue. */
static struct ibv_srq *srq;
static struct view *srq_view;
static char *memory;
static atomic_bool end_of_round;

static struct end *peer_of(const struct end *end)
{
	return &ends[(end - ends) ^ 1];
}

/* --- Queue pairs ------------------------------------------------------------- */

/* The last pair is on one device, the others are between the two. */
static void ends_init(void)
{
	int i;

	for (i = 0; i < ENDS; i++)
		ends[i] = (struct end){
			.device = &devices[(i ^ (i >> 2)) & 1],
			.raw = i & 2,
		};
	ends[ENDS - 1].device = ends[ENDS - 2].device;
}

static bool is_shared(const struct end *end)
{
	return end >= &ends[ENDS - 2];
}

static bool create_shared(struct device *device)
{
	struct ibv_srq_init_attr init = { .attr = { .max_wr = DEPTH, .max_sge = 4 } };

	srq = ibv_create_srq(device->pd, &init);
	if (!srq)
		return false;
	srq_view = view_add(device, device);
	if (!srq_view)
		return false;
	view_of_shared(srq_view, &init.attr);
	view_publish();
	return true;
}

static void destroy_shared(void)
{
	if (!srq)
		return;
	view_forget(srq_view);
	ibv_destroy_srq(srq);
	srq = NULL;
}

static bool create(struct end *end)
{
	struct ibv_qp_init_attr init = {
		.qp_type = IBV_QPT_RC,
		.cap = { DEPTH, DEPTH, 4, 4, 64 },
		.srq = is_shared(end) ? srq : NULL,
	};

	end->tail = 0;
	end->cq = ibv_create_cq(end->device->context, 4 * DEPTH, NULL, NULL, 0);
	if (!end->cq)
		return false;
	end->cq_view = view_add(end->device, peer_of(end)->device);
	if (!end->cq_view)
		return false;
	view_publish();
	init.send_cq = init.recv_cq = end->cq;
	end->qp = ibv_create_qp(end->device->pd, &init);
	if (!end->qp)
		return false;
	end->view = view_add(end->device, peer_of(end)->device);
	if (!end->view)
		return false;
	view_of_queue_pair(end->view, &init.cap);
	view_publish();
	count(STAT_CREATED);
	return true;
}

static void destroy(struct end *end)
{
	if (end->qp) {
		view_forget(end->view);
		ibv_destroy_qp(end->qp);
	}
	if (end->cq) {
		view_forget(end->cq_view);
		ibv_destroy_cq(end->cq);
	}
	end->qp = NULL;
	end->cq = NULL;
}

static void to_state(struct end *end, enum ibv_qp_state state)
{
	struct ibv_qp_attr attr = { .qp_state = state };

	ibv_modify_qp(end->qp, &attr, IBV_QP_STATE);
	if (state == IBV_QPS_RESET)
		end->tail = 0;
}

static void to_init(struct end *end)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = 1,
		.qp_access_flags = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
				   IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC,
	};

	ibv_modify_qp(end->qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
					      IBV_QP_ACCESS_FLAGS);
}

static void to_ready(struct end *end)
{
	const struct end *peer = peer_of(end);
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = IBV_MTU_1024,
		.dest_qp_num = peer->qp->qp_num,
		.max_dest_rd_atomic = 8,
		.min_rnr_timer = 1,
		.ah_attr = {
			.is_global = 1,
			.port_num = 1,
			.grh = {
				.dgid = peer->device->gid,
				.sgid_index = end->device->gid_index,
				.hop_limit = 64,
			},
		},
	};

	ibv_modify_qp(end->qp, &attr, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
					      IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
					      IBV_QP_MAX_DEST_RD_ATOMIC |
					      IBV_QP_MIN_RNR_TIMER);
	attr = (struct ibv_qp_attr){
		.qp_state = IBV_QPS_RTS,
		.timeout = 12,
		.retry_cnt = 2,
		.rnr_retry = 3,
		.max_rd_atomic = 8,
	};
	ibv_modify_qp(end->qp, &attr, IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
					      IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
					      IBV_QP_MAX_QP_RD_ATOMIC);
}

static void connect_pair(struct end *a, struct end *b)
{
	to_init(a);
	to_init(b);
	to_ready(a);
	to_ready(b);
}

static void reset_pair(struct end *a, struct end *b)
{
	to_state(a, IBV_QPS_RESET);
	to_state(b, IBV_QPS_RESET);
	connect_pair(a, b);
	count(STAT_RESETS);
}

static bool renew_pair(struct end *a, struct end *b)
{
	destroy(a);
	destroy(b);
	if (is_shared(a)) {
		destroy_shared();
		if (!create_shared(a->device))
			return false;
	}
	if (!create(a) || !create(b))
		return false;
	connect_pair(a, b);
	return true;
}

/* --- Traffic ----------------------------------------------------------------- */

/* The doorbell as the kernel knows it: a post without work requests, or not. */
static bool ring(struct end *end, uint32_t command, uint32_t wr_count)
{
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		struct ib_uverbs_post_send post;
		struct ib_uverbs_send_wr wr;
	} cmd = {
		.hdr = { .command = command },
		.post = {
			.qp_handle = end->qp->handle,
			.wr_count = wr_count,
			.wqe_size = sizeof(struct ib_uverbs_send_wr),
		},
	};
	struct ib_uverbs_post_send_resp resp;

	cmd.post.response = (uintptr_t)&resp;
	cmd.hdr.in_words = (sizeof(cmd) - (wr_count ? 0 : sizeof(cmd.wr))) / 4;
	cmd.hdr.out_words = sizeof(resp) / 4;
	if (write(end->device->context->cmd_fd, &cmd, 4 * cmd.hdr.in_words) < 0) {
		count(STAT_REFUSED);
		return false;
	}
	count(STAT_RUNG);
	return true;
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
	struct view *view = is_shared(end) ? srq_view : end->view;
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

static void poll_some(struct end *end)
{
	struct ibv_wc wc[16];
	int i, n = ibv_poll_cq(end->cq, 16, wc);

	for (i = 0; i < n; i++)
		count(wc[i].status ? STAT_FAILED : STAT_COMPLETED);
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

static void set_limit(struct chance *c)
{
	struct ibv_srq_attr attr = { .srq_limit = below(c, DEPTH + 2) };

	ibv_modify_srq(srq, &attr, IBV_SRQ_LIMIT);
}

/* Things that are no traffic; false if there is no going on. */
static bool disturb(struct chance *c, struct end *end)
{
	switch (below(c, 9)) {
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
		set_limit(c);
		return true;
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
	ends_init();
	for (i = 0; i < ENDS && !rc; i += 2)
		if (!renew_pair(&ends[i], &ends[i + 1]))
			rc = CANNOT;
	return rc;
}

static void finish_round(void)
{
	int i;

	for (i = 0; i < ENDS; i++)
		destroy(&ends[i]);
	destroy_shared();
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
