// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What verbs promise about order and events: a fence makes a SEND wait for the
 * READ before it; a queue armed for solicited events fires for those alone;
 * requests complete in order, also those that ask for no completion.
 *
 * usage: order [DEVICE]	both ends in this process, on one device
 */
#include <infiniband/verbs.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SIZE = 64 << 10, DEPTH = 16, GIDS = 16, ROUNDS = 50, PATIENCE_MS = 10000 };

#define CHECK(what) do {						\
	if (!(what)) {							\
		printf("FAIL: line %d: %s\n", __LINE__, #what);		\
		exit(1);						\
	}								\
} while (0)

struct end {
	struct ibv_qp *qp;
	struct ibv_cq *scq;
	struct ibv_cq *rcq;
	struct ibv_mr *mr;
	char *buf;
};

static struct ibv_context *ctx;
static struct ibv_pd *pd;
static struct ibv_comp_channel *channel;
static int gid_index = -1;
static union ibv_gid gid;

static void open_device(const char *name)
{
	int n, i;
	struct ibv_device **list = ibv_get_device_list(&n);

	for (i = 0; i < n; i++)
		if (!strcmp(ibv_get_device_name(list[i]), name))
			ctx = ibv_open_device(list[i]);
	CHECK(ctx);
	for (i = 0; i < GIDS && gid_index < 0; i++)
		if (!ibv_query_gid(ctx, 1, i, &gid) && IN6_IS_ADDR_V4MAPPED(gid.raw))
			gid_index = i;
	CHECK(gid_index >= 0);
	CHECK((pd = ibv_alloc_pd(ctx)));
	CHECK((channel = ibv_create_comp_channel(ctx)));
}

static void make_end(struct end *e)
{
	struct ibv_qp_init_attr init = {
		.qp_type = IBV_QPT_RC,
		.cap = { DEPTH, DEPTH, 1, 1, 64 },
	};

	e->buf = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(e->buf != MAP_FAILED);
	e->mr = ibv_reg_mr(pd, e->buf, SIZE, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
			   IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_ON_DEMAND);
	CHECK(e->mr);
	CHECK((e->scq = ibv_create_cq(ctx, DEPTH, NULL, NULL, 0)));
	CHECK((e->rcq = ibv_create_cq(ctx, DEPTH, NULL, channel, 0)));
	init.send_cq = e->scq;
	init.recv_cq = e->rcq;
	CHECK((e->qp = ibv_create_qp(pd, &init)));
}

static void join(struct end *e, const struct end *peer)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT, .port_num = 1,
		.qp_access_flags = IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE,
		.path_mtu = IBV_MTU_1024, .dest_qp_num = peer->qp->qp_num,
		.max_dest_rd_atomic = 4, .max_rd_atomic = 4, .min_rnr_timer = 1,
		.ah_attr = { .is_global = 1, .port_num = 1,
			     .grh = { .dgid = gid, .sgid_index = gid_index, .hop_limit = 1 } },
		.timeout = 18, .retry_cnt = 7, .rnr_retry = 7,
	};

	CHECK(!ibv_modify_qp(e->qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
			     IBV_QP_ACCESS_FLAGS));
	attr.qp_state = IBV_QPS_RTR;
	CHECK(!ibv_modify_qp(e->qp, &attr, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
			     IBV_QP_DEST_QPN | IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
			     IBV_QP_MIN_RNR_TIMER));
	attr.qp_state = IBV_QPS_RTS;
	CHECK(!ibv_modify_qp(e->qp, &attr, IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
			     IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC));
}

static struct ibv_wc next(struct ibv_cq *cq)
{
	struct ibv_wc wc;
	int n;

	do
		n = ibv_poll_cq(cq, 1, &wc);
	while (!n);
	CHECK(n == 1);
	CHECK(wc.status == IBV_WC_SUCCESS);
	return wc;
}

static void receive(struct end *e, uint64_t id)
{
	struct ibv_sge sge = { (uintptr_t)e->buf, SIZE / 2, e->mr->lkey };
	struct ibv_recv_wr wr = { .wr_id = id, .sg_list = &sge, .num_sge = 1 }, *bad;

	CHECK(!ibv_post_recv(e->qp, &wr, &bad));
}

static void post_send(struct end *e, uint64_t id, uint32_t len, int flags)
{
	struct ibv_sge sge = { (uintptr_t)e->buf, len, e->mr->lkey };
	struct ibv_send_wr wr = { .wr_id = id, .sg_list = &sge, .num_sge = 1,
				  .opcode = IBV_WR_SEND, .send_flags = flags }, *bad;

	CHECK(!ibv_post_send(e->qp, &wr, &bad));
}

/* b READs what a will be sent back: with the fence it is what was read */
static void fence(struct end *a, struct end *b)
{
	struct ibv_sge sge = { (uintptr_t)b->buf, SIZE / 2, b->mr->lkey };
	struct ibv_send_wr snd = { .wr_id = 2, .sg_list = &sge, .num_sge = 1,
				   .opcode = IBV_WR_SEND,
				   .send_flags = IBV_SEND_FENCE | IBV_SEND_SIGNALED };
	struct ibv_send_wr rd = { .wr_id = 1, .next = &snd, .sg_list = &sge, .num_sge = 1,
				  .opcode = IBV_WR_RDMA_READ }, *bad;
	char *from = a->buf + SIZE / 2;
	int i;

	rd.wr.rdma.remote_addr = (uintptr_t)from;
	rd.wr.rdma.rkey = a->mr->rkey;
	for (i = 0; i < ROUNDS; i++) {
		memset(from, i + 1, SIZE / 2);
		memset(b->buf, 0, SIZE / 2);
		/* The device loses its translations, so the READ takes a while. */
		CHECK(!mprotect(from, SIZE / 2, PROT_NONE));
		CHECK(!mprotect(from, SIZE / 2, PROT_READ | PROT_WRITE));
		receive(a, i);
		CHECK(!ibv_post_send(b->qp, &rd, &bad));
		CHECK(next(a->rcq).wr_id == (uint64_t)i);
		CHECK(!memcmp(a->buf, from, SIZE / 2));
		CHECK(next(b->scq).wr_id == 2);
	}
	printf("a fenced SEND sends what the READ before it has read, %d times\n", ROUNDS);
}

static int fired(int ms)
{
	struct pollfd p = { .fd = channel->fd, .events = POLLIN };
	struct ibv_cq *cq;
	void *arg;

	if (poll(&p, 1, ms) != 1)
		return 0;
	CHECK(!ibv_get_cq_event(channel, &cq, &arg));
	ibv_ack_cq_events(cq, 1);
	return 1;
}

static void events(struct end *a, struct end *b)
{
	CHECK(!ibv_req_notify_cq(a->rcq, 1));
	receive(a, 1);
	receive(a, 2);
	receive(a, 3);
	post_send(b, 1, 8, IBV_SEND_SIGNALED);
	next(b->scq);
	next(a->rcq);
	CHECK(!fired(0));
	post_send(b, 2, 8, IBV_SEND_SIGNALED | IBV_SEND_SOLICITED);
	CHECK(fired(PATIENCE_MS));
	next(b->scq);
	next(a->rcq);
	post_send(b, 3, 8, IBV_SEND_SIGNALED | IBV_SEND_SOLICITED);
	next(b->scq);
	next(a->rcq);
	CHECK(!fired(0));
	CHECK(!ibv_req_notify_cq(a->rcq, 0));
	receive(a, 4);
	post_send(b, 4, 8, IBV_SEND_SIGNALED);
	CHECK(fired(PATIENCE_MS));
	next(b->scq);
	next(a->rcq);
	printf("events: for the solicited completion alone, once; then for any\n");
}

static void order(struct end *a, struct end *b)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		receive(a, i);
		post_send(b, i, 1 + i * 100, i % 5 == 4 ? IBV_SEND_SIGNALED : 0);
		CHECK(next(a->rcq).wr_id == (uint64_t)i);
		if (i % 5 == 4)
			CHECK(next(b->scq).wr_id == (uint64_t)i);
	}
	printf("completions in order, one for five requests, %d requests\n", ROUNDS);
}

int main(int argc, char **argv)
{
	struct end a, b;

	open_device(argc > 1 ? argv[1] : "odp0");
	make_end(&a);
	make_end(&b);
	join(&a, &b);
	join(&b, &a);
	events(&a, &b);
	fence(&a, &b);
	order(&a, &b);
	return 0;
}
