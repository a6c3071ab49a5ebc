/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * XRC: several shared receive queues behind one connection, also of another process
 * that has the domain by a file; messages and remote memory are of the queue that
 * the sender names, and of its process and protection domain.
 *
 * usage: xrc -d DEV[,DEV2] [-l]
 *	-l: with loss, so not what ends connections
 *
 *	initiators on DEV		targets on DEV2, in one domain
 *	-----------------		------------------------------
 *	near[0] --------------- far[0] --+-- queues[0]	this process
 *	near[1] --------------- far[1] --+-- queues[1]	  with another PD
 *					 +-- queues[2]	the other process
 *
 * What happens at a queue is done by its process, on order(). Each byte of each
 * message is known to both sides. All memory is on demand, and its pages are not
 * there when messages come.
 */
#include "ends.h"
#include "slow.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	PAIRS = 2, OWN = 2, QUEUES = 3, SLOTS = 16, SLOT = 8 * PAGE, FIELD = 64 * PAGE,
	BURST = 4, ROUNDS = 15, WAIT_MS = 50, NEVER_MS = 3600000, TIMEOUT = 14,
};

enum what { GIVE, GIVE_SLOW, SLOW_ASKED, TAKE, CHECK_FIELD, CHECK_BYTES, TARGET, CONNECT };

/* To the process of a queue */
struct order {
	enum what what;
	int count;
	uint32_t len;
	uint64_t value;
	struct address peer;
};

/* What others know of a queue */
struct known {
	uint32_t number;
	uint32_t rkey;
	uint64_t field;
	uint64_t value;
};

struct queue {
	int index;
	struct end end;		/* of its completions */
	struct ibv_pd *pd;
	struct ibv_srq *srq;
	struct ibv_mr *mr;
	struct ibv_qp *target;
	char *inbox;		/* slots, and behind them the field */
	char *field;
	struct slow slow;
	bool given[SLOTS];
	int got[PAIRS];
	struct known known;
	int socket;		/* to the other process, if it is there */
	pid_t pid;
};

static char *device_names;
static char domain_path[] = "/tmp/xrc.XXXXXX";
static struct nic nics[2];
static struct ibv_xrcd *xrcd;
static struct end near[PAIRS];
static struct ibv_qp *far[PAIRS];
static struct ibv_mr *mr;
static struct queue queues[QUEUES];
static int sent[PAIRS][QUEUES];
static char *outbox;	/* BURST messages of each pair for each queue */
static uint32_t *target_numbers;	/* of far[], shared by the processes */

/* --- Messages ---------------------------------------------------------------- */

static uint32_t size_of(int pair, int queue, int message)
{
	static const uint32_t edges[] = {
		0, 1, 1020, 1023, 1024, 1025, 2048, PAGE - 1, PAGE, PAGE + 1, SLOT - 1, SLOT,
	};
	uint32_t n = pair * 7 + queue * 5 + message;

	if (message % 2)
		return edges[n / 2 % (sizeof(edges) / sizeof(edges[0]))];
	return (n * 2654435761U >> 8) % SLOT;
}

static char byte_of(int pair, int queue, int message, uint32_t i)
{
	return (i * 2654435761U + pair * 100003 + queue * 300007 + message * 7919) >> 11;
}

/* By both ways to post */
static void post_to(int pair, uint32_t number, char *data, uint32_t len, uint64_t id)
{
	struct ibv_sge sge = { (uintptr_t)data, len, mr->lkey };
	struct ibv_send_wr wr = {
		.wr_id = id, .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND,
		.qp_type.xrc.remote_srqn = number,
	}, *bad;
	struct ibv_qp_ex *qpx = ibv_qp_to_qp_ex(near[pair].qp);

	if (id % 2) {
		CHECK(!ibv_post_send(near[pair].qp, &wr, &bad));
		return;
	}
	ibv_wr_start(qpx);
	qpx->wr_id = id;
	qpx->wr_flags = IBV_SEND_SIGNALED;
	ibv_wr_send(qpx);
	ibv_wr_set_xrc_srqn(qpx, number);
	ibv_wr_set_sge(qpx, mr->lkey, (uintptr_t)data, len);
	CHECK(!ibv_wr_complete(qpx));
}

static void post_message(int pair, int queue)
{
	int message = sent[pair][queue]++;
	char *data = outbox + ((pair * QUEUES + queue) * BURST + message % BURST) * SLOT;
	uint32_t i, len = size_of(pair, queue, message);

	/* The device is to have no page of it. */
	CHECK(!madvise(data, SLOT, MADV_DONTNEED));
	for (i = 0; i < len; i++)
		data[i] = byte_of(pair, queue, message, i);
	post_to(pair, queues[queue].known.number, data, len, message);
}

/* --- Queues ------------------------------------------------------------------ */

static struct ibv_srq *srq_of(struct ibv_context *context, struct ibv_pd *pd,
			      struct ibv_xrcd *domain, struct ibv_cq *cq)
{
	struct ibv_srq_init_attr_ex init = {
		.attr = { .max_wr = SLOTS, .max_sge = 2 },
		.comp_mask = IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_PD |
			     IBV_SRQ_INIT_ATTR_XRCD | IBV_SRQ_INIT_ATTR_CQ,
		.srq_type = IBV_SRQT_XRC, .pd = pd, .xrcd = domain, .cq = cq,
	};

	return ibv_create_srq_ex(context, &init);
}

static void queue_create(struct queue *queue)
{
	struct nic nic = nics[1];
	struct end *end = &queue->end;

	CHECK((queue->pd = nic.pd = ibv_alloc_pd(nic.context)));
	queue->inbox = memory_map(SLOTS * SLOT + FIELD, false);
	queue->field = queue->inbox + SLOTS * SLOT;
	queue->mr = nic_register(&nic, queue->inbox, SLOTS * SLOT + FIELD);
	CHECK((end->channel = ibv_create_comp_channel(nic.context)));
	CHECK((end->cq = ibv_create_cq(nic.context, SLOTS + 1, NULL, end->channel, 0)));
	CHECK((queue->srq = srq_of(nic.context, queue->pd, xrcd, end->cq)));
	CHECK(!ibv_get_srq_num(queue->srq, &queue->known.number));
	CHECK(queue->known.number);
	queue->known.rkey = queue->mr->rkey;
	queue->known.field = (uintptr_t)queue->field;
}

static void queue_destroy_rest(struct queue *queue)
{
	CHECK(!ibv_destroy_cq(queue->end.cq));
	CHECK(!ibv_destroy_comp_channel(queue->end.channel));
	CHECK(!ibv_dereg_mr(queue->mr));
	CHECK(!ibv_dealloc_pd(queue->pd));
}

static void queue_destroy(struct queue *queue)
{
	CHECK(!ibv_destroy_srq(queue->srq));
	queue_destroy_rest(queue);
}

static void post_receive(struct queue *queue, char *a, uint32_t len, char *b, uint32_t len_b,
			 uint64_t id)
{
	struct ibv_sge sge[2] = {
		{ (uintptr_t)a, len, queue->mr->lkey }, { (uintptr_t)b, len_b, queue->mr->lkey },
	};
	struct ibv_recv_wr wr = { .wr_id = id, .sg_list = sge, .num_sge = 2 }, *bad;

	CHECK(!ibv_post_srq_recv(queue->srq, &wr, &bad));
}

static void give(struct queue *queue, int count)
{
	int slot;

	for (slot = 0; slot < SLOTS && count; slot++) {
		char *at = queue->inbox + slot * SLOT;

		if (queue->given[slot])
			continue;
		queue->given[slot] = true;
		post_receive(queue, at, 1000 + slot, at + 1000 + slot, SLOT - 1000 - slot, slot);
		count--;
	}
	CHECK(!count);
}

/* What is not of the message is as it was. The device is to have no page of it. */
static void check_slot(char *slot, int pair, int queue, int message)
{
	uint32_t i, len = size_of(pair, queue, message);

	for (i = 0; i < len; i++)
		CHECK(slot[i] == byte_of(pair, queue, message, i));
	for (; i < SLOT; i++)
		CHECK(!slot[i]);
	CHECK(!madvise(slot, SLOT, MADV_DONTNEED));
}

static void take(struct queue *queue)
{
	struct ibv_wc wc = end_wait(&queue->end);
	int pair = 0, message;

	CHECK(wc.status == IBV_WC_SUCCESS && wc.opcode == IBV_WC_RECV);
	while (pair < PAIRS && target_numbers[pair] != wc.qp_num)
		pair++;
	CHECK(pair < PAIRS && wc.wr_id < SLOTS && queue->given[wc.wr_id]);
	queue->given[wc.wr_id] = false;
	message = queue->got[pair]++;
	CHECK(wc.byte_len == size_of(pair, queue->index, message));
	check_slot(queue->inbox + wc.wr_id * SLOT, pair, queue->index, message);
}

/* Remote memory has @len bytes of pattern @value, and nothing else. */
static void check_field(struct queue *queue, uint64_t value, uint32_t len)
{
	uint32_t i;

	for (i = 0; i < FIELD; i++)
		CHECK(queue->field[i] == (i < len ? byte_of(0, 0, value, i) : 0));
	CHECK(!madvise(queue->field, FIELD, MADV_DONTNEED));
}

/* --- Connections --------------------------------------------------------------- */

static struct ibv_qp *target_create(void)
{
	struct ibv_qp_init_attr_ex init = {
		.qp_type = IBV_QPT_XRC_RECV, .comp_mask = IBV_QP_INIT_ATTR_XRCD, .xrcd = xrcd,
	};
	struct ibv_qp *qp = ibv_create_qp_ex(nics[1].context, &init);

	CHECK(qp);
	return qp;
}

static void near_create(struct end *end)
{
	struct nic *nic = &nics[0];
	struct ibv_qp_init_attr_ex init = {
		.qp_type = IBV_QPT_XRC_SEND, .cap = { .max_send_wr = SLOTS, .max_send_sge = 1 },
		.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
		.pd = nic->pd, .sq_sig_all = 1,
		.send_ops_flags = IBV_QP_EX_WITH_SEND,
	};

	end->nic = nic;
	CHECK((end->channel = ibv_create_comp_channel(nic->context)));
	CHECK((end->cq = ibv_create_cq(nic->context, 2 * SLOTS, NULL, end->channel, 0)));
	init.send_cq = end->cq;
	CHECK((end->qp = ibv_create_qp_ex(nic->context, &init)));
}

/* From any state. Of attributes that one of both halves has no use for, the kernel takes none. */
static void connect_qp(struct ibv_qp *qp, struct nic *nic, const struct address *peer)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RESET };
	struct end end = { .qp = qp, .nic = nic, .timeout = under_load() ? TIMEOUT_LONG : TIMEOUT };

	CHECK(!ibv_modify_qp(qp, &attr, IBV_QP_STATE));
	end_connect(&end, peer);
}

static struct address address_of(const struct ibv_qp *qp, const struct nic *nic)
{
	return (struct address){ qp->qp_num, nic->gid };
}

/* Anew, whatever has become of it */
static void pair_connect(int pair)
{
	struct address address = address_of(far[pair], &nics[1]);

	connect_qp(near[pair].qp, &nics[0], &address);
	address = address_of(near[pair].qp, &nics[0]);
	connect_qp(far[pair], &nics[1], &address);
	target_numbers[pair] = far[pair]->qp_num;
}

static void open_domain(void)
{
	int fd = open(domain_path, O_RDONLY);
	struct ibv_xrcd_init_attr init = {
		.comp_mask = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS,
		.fd = fd, .oflags = O_CREAT,
	};

	CHECK(fd >= 0);
	CHECK((xrcd = ibv_open_xrcd(nics[1].context, &init)));
	CHECK(!close(fd));
}

/* --- The other process ----------------------------------------------------------- */

static uint64_t give_slow(struct queue *queue)
{
	struct slow *slow = &queue->slow;

	slow_begin(slow, queue->field, 1);
	slow_set_delay(slow, 0, 1, NEVER_MS);
	post_receive(queue, queue->inbox, PAGE, queue->field, PAGE, SLOTS);
	return slow_asked(slow);
}

static uint64_t obey(struct queue *queue, const struct order *order)
{
	int i;

	switch (order->what) {
	case GIVE:
		give(queue, order->count);
		return 0;
	case TAKE:
		for (i = 0; i < order->count; i++)
			take(queue);
		return 0;
	case CHECK_FIELD:
		check_field(queue, order->value, order->len);
		return 0;
	case CHECK_BYTES:
		return *(volatile uint64_t *)queue->field;
	case GIVE_SLOW:
		return give_slow(queue);
	case SLOW_ASKED:
		return slow_asked(&queue->slow);
	case TARGET:
		queue->target = target_create();
		return queue->target->qp_num;
	case CONNECT:
		connect_qp(queue->target, &nics[1], &order->peer);
		return 0;
	}
	return 0;
}

static void serve(struct queue *queue)
{
	struct order order;

	nics_open(nics, device_names);
	open_domain();
	queue_create(queue);
	CHECK(write(queue->socket, &queue->known, sizeof(queue->known)) == sizeof(queue->known));
	while (read(queue->socket, &order, sizeof(order)) == sizeof(order)) {
		queue->known.value = obey(queue, &order);
		CHECK(write(queue->socket, &queue->known, sizeof(queue->known)) ==
		      sizeof(queue->known));
	}
	exit(0);
}

static void answer(struct queue *queue)
{
	CHECK(read(queue->socket, &queue->known, sizeof(queue->known)) == sizeof(queue->known));
}

static uint64_t order(struct queue *queue, struct order order)
{
	if (!queue->pid)
		return obey(queue, &order);
	CHECK(write(queue->socket, &order, sizeof(order)) == sizeof(order));
	answer(queue);
	return queue->known.value;
}

static void start_other(struct queue *queue)
{
	int ends[2];

	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends));
	CHECK((queue->pid = fork()) >= 0);
	if (queue->pid) {
		close(ends[1]);
		queue->socket = ends[0];
		return;
	}
	close(ends[0]);
	queue->socket = ends[1];
	serve(queue);
}

static void end_other(struct queue *queue, int signal)
{
	int status;

	if (signal)
		CHECK(!kill(queue->pid, signal));
	close(queue->socket);
	CHECK(waitpid(queue->pid, &status, 0) == queue->pid);
	CHECK(signal ? WIFSIGNALED(status) : WIFEXITED(status) && !WEXITSTATUS(status));
	queue->pid = 0;
}

/* --- Messages to all ---------------------------------------------------------------- */

static void traffic(void)
{
	struct counters near_before, far_before;
	int rounds = under_load() ? 2 : ROUNDS, round, pair, queue, i;

	counters_read(&near_before, &nics[0]);
	counters_read(&far_before, &nics[1]);
	for (round = 0; round < rounds; round++) {
		for (queue = 0; queue < QUEUES; queue++)
			order(&queues[queue], (struct order){ .what = GIVE, .count = PAIRS * BURST });
		for (i = 0; i < BURST; i++)
			for (pair = 0; pair < PAIRS; pair++)
				for (queue = 0; queue < QUEUES; queue++)
					post_message(pair, queue);
		for (queue = 0; queue < QUEUES; queue++)
			order(&queues[queue], (struct order){ .what = TAKE, .count = PAIRS * BURST });
		for (i = 0; i < PAIRS * QUEUES * BURST; i++)
			end_done(&near[i % PAIRS]);
	}
	JUDGE(counters_grown(&near_before, "page_waits") > 0);
	JUDGE(counters_grown(&far_before, "page_waits") >= (uint64_t)rounds);
	printf("%d messages by %d connections to %d queues, each byte right\n",
	       PAIRS * QUEUES * rounds * BURST, PAIRS, QUEUES);
}

static void nothing_comes(struct end *end)
{
	struct ibv_wc wc;

	pause_ms(WAIT_MS);
	CHECK(!end_poll(end, &wc));
}

/* Who finds its queue empty waits, though others have requests. */
static void empty(void)
{
	int queue;

	for (queue = 0; queue < QUEUES; queue++) {
		int other = (queue + 1) % QUEUES;

		order(&queues[other], (struct order){ .what = GIVE, .count = 1 });
		post_message(0, queue);
		post_message(0, other);
		nothing_comes(&near[0]);
		order(&queues[queue], (struct order){ .what = GIVE, .count = 1 });
		order(&queues[queue], (struct order){ .what = TAKE, .count = 1 });
		order(&queues[other], (struct order){ .what = TAKE, .count = 1 });
		end_done(&near[0]);
		end_done(&near[0]);
	}
	printf("empty: waits for the queue that it is for\n");
}

/* --- Remote memory ------------------------------------------------------------------- */

static void post_remote(int pair, enum ibv_wr_opcode opcode, const struct queue *queue,
			uint32_t rkey, uint32_t len)
{
	struct ibv_sge sge = { (uintptr_t)outbox, len, mr->lkey };
	struct ibv_send_wr wr = {
		.sg_list = &sge, .num_sge = 1, .opcode = opcode,
		.imm_data = 0x12345678,
		.qp_type.xrc.remote_srqn = queue->known.number,
	}, *bad;

	if (opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
		wr.wr.atomic.remote_addr = queue->known.field;
		wr.wr.atomic.rkey = rkey;
		wr.wr.atomic.compare_add = 5;
	} else {
		wr.wr.rdma.remote_addr = queue->known.field;
		wr.wr.rdma.rkey = rkey;
	}
	CHECK(!ibv_post_send(near[pair].qp, &wr, &bad));
}

static void fill(int seed, uint32_t len)
{
	uint32_t i;

	CHECK(!madvise(outbox, PAIRS * QUEUES * BURST * SLOT, MADV_DONTNEED));
	for (i = 0; i < len; i++)
		outbox[i] = byte_of(0, 0, seed, i);
}

static void remote(void)
{
	const uint32_t len = 50 * PAGE + 77;
	uint32_t i;
	int q, n;

	for (q = 0; q < QUEUES; q++) {
		struct queue *queue = &queues[q];

		fill(q, len);
		post_remote(0, IBV_WR_RDMA_WRITE, queue, queue->known.rkey, len);
		end_done(&near[0]);
		CHECK(!madvise(outbox, PAIRS * QUEUES * BURST * SLOT, MADV_DONTNEED));
		post_remote(1, IBV_WR_RDMA_READ, queue, queue->known.rkey, len);
		end_done(&near[1]);
		for (i = 0; i < len; i++)
			CHECK(outbox[i] == byte_of(0, 0, q, i));
		order(queue, (struct order){ .what = CHECK_FIELD, .value = q, .len = len });
		for (n = 0; n < 3; n++) {
			post_remote(n % PAIRS, IBV_WR_ATOMIC_FETCH_AND_ADD, queue, queue->known.rkey, 8);
			end_done(&near[n % PAIRS]);
			CHECK(*(uint64_t *)outbox == (uint64_t)n * 5);
		}
		CHECK(order(queue, (struct order){ .what = CHECK_BYTES }) == 15);
		*(uint64_t *)outbox = ~0x5500000000ULL;
		post_remote(1, IBV_WR_ATOMIC_WRITE, queue, queue->known.rkey, 8);
		end_done(&near[1]);
		CHECK(order(queue, (struct order){ .what = CHECK_BYTES }) == ~0x5500000000ULL);
		fill(q, 0);
		post_remote(0, IBV_WR_RDMA_WRITE, queue, queue->known.rkey, 8);
		end_done(&near[0]);
	}
	printf("remote memory of each process: written, read, added to, written as a word\n");
}

static void write_with_immediate(void)
{
	struct queue *queue = &queues[1];
	struct ibv_wc wc;

	fill(9, 3000);
	give(queue, 1);
	post_remote(0, IBV_WR_RDMA_WRITE_WITH_IMM, queue, queue->known.rkey, 3000);
	wc = end_wait(&queue->end);
	CHECK(wc.status == IBV_WC_SUCCESS && wc.opcode == IBV_WC_RECV_RDMA_WITH_IMM);
	CHECK(wc.byte_len == 3000 && wc.imm_data == 0x12345678 && wc.wc_flags & IBV_WC_WITH_IMM);
	queue->given[wc.wr_id] = false;
	end_done(&near[0]);
	check_field(queue, 9, 3000);
	printf("a write with immediate data takes a request of the queue\n");
}

/* --- What ends a connection ------------------------------------------------------------ */

static void event_is(enum ibv_event_type type, const struct ibv_qp *qp)
{
	struct pollfd p = { .fd = nics[1].context->async_fd, .events = POLLIN };
	struct ibv_async_event event;

	do {
		CHECK(poll(&p, 1, patience() * 1000) == 1);
		CHECK(!ibv_get_async_event(nics[1].context, &event));
		ibv_ack_async_event(&event);
	} while (event.event_type >= IBV_EVENT_PORT_ACTIVE &&
		 event.event_type <= IBV_EVENT_SM_CHANGE);
	CHECK(event.event_type == type && event.element.qp == qp);
}

static enum ibv_qp_state state_of(struct ibv_qp *qp)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	CHECK(!ibv_query_qp(qp, &attr, IBV_QP_STATE, &init));
	return attr.qp_state;
}

/* The request that was posted last ends the connection. */
static void fails(enum ibv_wc_status status, enum ibv_event_type type)
{
	struct ibv_wc wc = end_wait(&near[0]);

	if (wc.status != status)
		printf("completion: %s\n", ibv_wc_status_str(wc.status));
	CHECK(wc.status == status);
	event_is(type, far[0]);
	event_is(IBV_EVENT_QP_LAST_WQE_REACHED, far[0]);
	CHECK(state_of(far[0]) == IBV_QPS_ERR && state_of(near[0].qp) == IBV_QPS_ERR);
	pair_connect(0);
}

static void wrong_queue(uint32_t number)
{
	post_to(0, number, outbox, 8, 0);
	fails(IBV_WC_REM_INV_REQ_ERR, IBV_EVENT_QP_REQ_ERR);
}

static void queue_of_other_domain(void)
{
	struct ibv_xrcd_init_attr init = {
		.comp_mask = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS,
		.fd = -1, .oflags = O_CREAT,
	};
	struct ibv_xrcd *other = ibv_open_xrcd(nics[1].context, &init);
	struct queue *queue = &queues[0];
	struct ibv_recv_wr wr = {}, *bad;
	struct ibv_srq *srq;
	struct ibv_wc wc;
	uint32_t number;

	CHECK(other);
	CHECK((srq = srq_of(nics[1].context, queue->pd, other, queue->end.cq)));
	CHECK(!ibv_get_srq_num(srq, &number) && number != queue->known.number);
	CHECK(!ibv_post_srq_recv(srq, &wr, &bad));
	CHECK(ibv_close_xrcd(other) == EBUSY);
	wrong_queue(number);
	CHECK(!end_poll(&queue->end, &wc));
	CHECK(!ibv_destroy_srq(srq));
	wrong_queue(number);
	CHECK(!ibv_close_xrcd(other));
}

static void wrong_numbers(void)
{
	wrong_queue(0);
	wrong_queue(0xffffff);
	queue_of_other_domain();
	printf("numbers of no queue, of one in another domain, of one that is gone\n");
}

/* Keys are of the domain of the queue that is named. */
static void wrong_keys(void)
{
	fill(3, 100);
	post_remote(0, IBV_WR_RDMA_WRITE, &queues[0], queues[1].known.rkey, 100);
	fails(IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR);
	post_remote(0, IBV_WR_RDMA_READ, &queues[2], queues[0].known.rkey, 100);
	fails(IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR);
	post_remote(0, IBV_WR_ATOMIC_FETCH_AND_ADD, &queues[1], queues[2].known.rkey, 8);
	fails(IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR);
	order(&queues[0], (struct order){ .what = CHECK_FIELD });
	order(&queues[1], (struct order){ .what = CHECK_FIELD });
	order(&queues[2], (struct order){ .what = CHECK_FIELD });
	printf("keys of another domain are refused, and nothing is written\n");
}

/* A message that is too long fails at both sides; the queue goes on. */
static void too_long(void)
{
	struct queue *queue = &queues[0];
	struct ibv_wc wc;

	give(queue, 1);
	fill(1, 0);
	post_to(0, queue->known.number, outbox, SLOT + 1, 0);
	wc = end_wait(&queue->end);
	CHECK(wc.status == IBV_WC_LOC_LEN_ERR && wc.qp_num == far[0]->qp_num);
	queue->given[wc.wr_id] = false;
	CHECK(!madvise(queue->inbox, SLOTS * SLOT, MADV_DONTNEED));
	wc = end_wait(&near[0]);
	CHECK(wc.status == IBV_WC_REM_INV_REQ_ERR);
	event_is(IBV_EVENT_QP_LAST_WQE_REACHED, far[0]);
	pair_connect(0);
	printf("a message that is too long completes its request with an error\n");
}

/* --- In the middle of a message ------------------------------------------------------ */

/* The page for the second half never comes. */
static void deliver_half(int pair, struct queue *queue)
{
	uint64_t asked = order(queue, (struct order){ .what = GIVE_SLOW });
	double until = now() + patience();

	fill(1, 2 * PAGE);
	post_to(pair, queue->known.number, outbox, 2 * PAGE, 0);
	while (order(queue, (struct order){ .what = SLOW_ASKED }) == asked) {
		CHECK(now() < until);
		pause_ms(1);
	}
}

/* Whoever's the queue is, it gets its request back. */
static void flushed(enum ibv_qp_state state)
{
	struct ibv_qp_attr attr = { .qp_state = state };
	struct queue *queue = &queues[1];
	struct ibv_wc wc;

	deliver_half(0, queue);
	CHECK(!ibv_modify_qp(far[0], &attr, IBV_QP_STATE));
	wc = end_wait(&queue->end);
	CHECK(wc.status == IBV_WC_WR_FLUSH_ERR && wc.wr_id == SLOTS);
	CHECK(wc.qp_num == far[0]->qp_num);
	if (state == IBV_QPS_ERR)
		event_is(IBV_EVENT_QP_LAST_WQE_REACHED, far[0]);
	pair_connect(0);
	slow_end(&queue->slow);
	CHECK(!madvise(queue->inbox, PAGE, MADV_DONTNEED));
}

/* Nobody waits for the page: neither who destroys the queue, nor the sender. */
static void queue_goes(void)
{
	struct queue queue = { .index = QUEUES };

	queue_create(&queue);
	deliver_half(0, &queue);
	CHECK(!ibv_destroy_srq(queue.srq));
	fails(IBV_WC_REM_INV_REQ_ERR, IBV_EVENT_QP_REQ_ERR);
	slow_end(&queue.slow);
	nothing_comes(&queue.end);
	queue_destroy_rest(&queue);
	printf("a queue that goes ends the message\n");
}

/* --- Processes that go -------------------------------------------------------------- */

static struct ibv_qp *open_target(uint32_t number)
{
	struct ibv_qp_open_attr attr = {
		.comp_mask = IBV_QP_OPEN_ATTR_NUM | IBV_QP_OPEN_ATTR_XRCD | IBV_QP_OPEN_ATTR_TYPE,
		.qp_num = number, .xrcd = xrcd, .qp_type = IBV_QPT_XRC_RECV,
	};

	return ibv_open_qp(nics[1].context, &attr);
}

/* The other process makes a target, which is opened here. */
static void adopt(int pair)
{
	struct queue *other = &queues[OWN];
	struct address address;
	uint32_t number;

	CHECK(!ibv_destroy_qp(far[pair]));
	number = order(other, (struct order){ .what = TARGET });
	CHECK((far[pair] = open_target(number)) && far[pair]->qp_num == number);
	address = address_of(far[pair], &nics[1]);
	connect_qp(near[pair].qp, &nics[0], &address);
	order(other, (struct order){ .what = CONNECT, .peer = address_of(near[pair].qp, &nics[0]) });
	target_numbers[pair] = number;
}

static void transfer(int pair, int queue)
{
	order(&queues[queue], (struct order){ .what = GIVE, .count = 1 });
	post_message(pair, queue);
	order(&queues[queue], (struct order){ .what = TAKE, .count = 1 });
	end_done(&near[pair]);
}

/*
 * It dies with a message half delivered. The message ends, one way or the other: its
 * page comes when the handler has gone, unless the queue goes before.
 */
static void die(void)
{
	struct queue *other = &queues[OWN];
	enum ibv_wc_status status;

	deliver_half(1, other);
	end_other(other, SIGKILL);
	status = end_wait(&near[1]).status;
	CHECK(status == IBV_WC_SUCCESS || status == IBV_WC_REM_INV_REQ_ERR ||
	      status == IBV_WC_REM_OP_ERR);
	CHECK((status == IBV_WC_SUCCESS) == (state_of(far[1]) != IBV_QPS_ERR));
}

static void processes(void)
{
	int queue;

	adopt(0);
	adopt(1);
	for (queue = 0; queue < QUEUES; queue++)
		transfer(queue % PAIRS, queue);
	printf("a target of another process, opened by this one\n");
	die();
	for (queue = 0; queue < OWN; queue++)
		transfer(0, queue);
	printf("the process is gone, its target goes on, its queue is refused\n");
	post_to(0, queues[OWN].known.number, outbox, 8, 0);
	CHECK(end_wait(&near[0]).status == IBV_WC_REM_INV_REQ_ERR);
	CHECK(state_of(far[0]) == IBV_QPS_ERR);
}

/* --- Bad input ------------------------------------------------------------------------ */

#define REFUSED(call, error) CHECK((errno = 0, !(call)) && errno == (error))

static void bad_domains(void)
{
	struct ibv_xrcd_init_attr init = {
		.comp_mask = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS,
		.fd = open(domain_path, O_RDONLY), .oflags = O_CREAT | O_EXCL,
	};
	struct ibv_xrcd *again;
	int null = open("/dev/null", O_RDONLY), fd = init.fd;

	REFUSED(ibv_open_xrcd(nics[1].context, &init), EINVAL);
	init.oflags = 0;
	CHECK((again = ibv_open_xrcd(nics[1].context, &init)));
	CHECK(!ibv_close_xrcd(again));
	init.fd = null;
	REFUSED(ibv_open_xrcd(nics[1].context, &init), EAGAIN);
	init.fd = 10000;
	REFUSED(ibv_open_xrcd(nics[1].context, &init), EBADF);
	init.comp_mask = IBV_XRCD_INIT_ATTR_FD;
	REFUSED(ibv_open_xrcd(nics[1].context, &init), EINVAL);
	close(null);
	close(fd);
	CHECK(ibv_close_xrcd(xrcd) == EBUSY);
}

static void bad_queues(void)
{
	struct ibv_srq_init_attr_ex init = {
		.attr = { .max_wr = 1, .max_sge = 1 },
		.comp_mask = IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_PD |
			     IBV_SRQ_INIT_ATTR_XRCD | IBV_SRQ_INIT_ATTR_CQ,
		.srq_type = IBV_SRQT_XRC, .pd = queues[0].pd, .xrcd = xrcd,
		.cq = queues[0].end.cq,
	};
	struct ibv_qp_init_attr rc = {
		.qp_type = IBV_QPT_RC, .send_cq = queues[0].end.cq, .recv_cq = queues[0].end.cq,
		.srq = queues[0].srq, .cap = { 1, 0, 1, 0, 0 },
	};
	struct ibv_srq_init_attr basic = { .attr = { .max_wr = 1, .max_sge = 1 } };
	struct ibv_srq *srq = ibv_create_srq(nics[1].pd, &basic);
	uint32_t number;

	CHECK(srq && ibv_get_srq_num(srq, &number) == EINVAL);
	CHECK(!ibv_destroy_srq(srq));
	REFUSED(ibv_create_qp(nics[1].pd, &rc), EINVAL);
	init.comp_mask -= IBV_SRQ_INIT_ATTR_CQ;
	REFUSED(ibv_create_srq_ex(nics[1].context, &init), EINVAL);
	init.comp_mask += IBV_SRQ_INIT_ATTR_CQ;
	init.comp_mask -= IBV_SRQ_INIT_ATTR_XRCD;
	REFUSED(ibv_create_srq_ex(nics[1].context, &init), EINVAL);
	init.comp_mask += IBV_SRQ_INIT_ATTR_XRCD;
	init.srq_type = IBV_SRQT_TM;
	REFUSED(ibv_create_srq_ex(nics[1].context, &init), EOPNOTSUPP);
}

static void bad_queue_pairs(void)
{
	struct ibv_qp_init_attr_ex init = { .qp_type = IBV_QPT_XRC_RECV };
	struct ibv_sge sge = { (uintptr_t)outbox, 8, mr->lkey };
	struct ibv_send_wr send = { .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND };
	struct ibv_send_wr *bad_send = NULL;
	struct ibv_recv_wr receive = { .sg_list = &sge, .num_sge = 1 }, *bad = NULL;

	REFUSED(ibv_create_qp_ex(nics[1].context, &init), EINVAL);
	CHECK(ibv_post_send(far[0], &send, &bad_send) == EINVAL && bad_send == &send);
	CHECK(ibv_post_recv(far[0], &receive, &bad) == EINVAL && bad == &receive);
	CHECK(ibv_post_recv(near[0].qp, &receive, &bad) == EINVAL);
	REFUSED(open_target(0xfffffe), EINVAL);
	REFUSED(open_target(near[0].qp->qp_num), EINVAL);
}

static void bad_input(void)
{
	const uint32_t caps = IBV_ODP_SUPPORT_SEND | IBV_ODP_SUPPORT_WRITE | IBV_ODP_SUPPORT_READ |
			      IBV_ODP_SUPPORT_ATOMIC | IBV_ODP_SUPPORT_SRQ_RECV |
			      1 << 7 /* ATOMIC WRITE */;
	struct ibv_device_attr_ex device;

	CHECK(!ibv_query_device_ex(nics[1].context, NULL, &device));
	CHECK(device.orig_attr.device_cap_flags & IBV_DEVICE_XRC);
	CHECK(device.xrc_odp_caps == caps);
	bad_domains();
	bad_queues();
	bad_queue_pairs();
	printf("mistakes are refused\n");
}

/* --- All of it -------------------------------------------------------------------------- */

static void begin(void)
{
	int i, fd = mkstemp(domain_path);

	CHECK(fd >= 0 && !close(fd));
	target_numbers = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(target_numbers != MAP_FAILED);
	for (i = 0; i < QUEUES; i++)
		queues[i].index = i;
	start_other(&queues[OWN]);
	nics_open(nics, device_names);
	open_domain();
	for (i = 0; i < OWN; i++)
		queue_create(&queues[i]);
	answer(&queues[OWN]);
	outbox = memory_map(PAIRS * QUEUES * BURST * SLOT, false);
	mr = nic_register(&nics[0], NULL, SIZE_MAX);
	for (i = 0; i < PAIRS; i++) {
		near_create(&near[i]);
		far[i] = target_create();
		pair_connect(i);
	}
}

static void finish(void)
{
	int i;

	for (i = 0; i < PAIRS; i++) {
		CHECK(!ibv_destroy_qp(far[i]));
		end_destroy(&near[i]);
	}
	for (i = 0; i < OWN; i++)
		queue_destroy(&queues[i]);
	CHECK(!ibv_close_xrcd(xrcd));
	CHECK(!unlink(domain_path));
}

/* A packet that says why a connection ends may be lost itself: what ends one is not for loss. */
static void what_ends_it(void)
{
	bad_input();
	wrong_numbers();
	wrong_keys();
	too_long();
	flushed(IBV_QPS_ERR);
	flushed(IBV_QPS_RESET);
	printf("a target that fails or is reset flushes the request that it has, and no other\n");
	queue_goes();
	processes();
}

int main(int argc, char **argv)
{
	bool lossy = false;
	int c;

	while ((c = getopt(argc, argv, "d:l")) != -1) {
		CHECK(c != '?');
		if (c == 'd')
			device_names = optarg;
		else
			lossy = true;
	}
	CHECK(device_names);
	begin();
	traffic();
	empty();
	remote();
	write_with_immediate();
	if (lossy || under_load())
		end_other(&queues[OWN], 0);
	else
		what_ends_it();
	finish();
	return 0;
}
