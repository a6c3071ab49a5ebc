/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Datagrams: bytes, the header before them, completions, address handles made
 * from them, mistakes, slow pages, and multicast, by IPv4 and IPv6, in memory on
 * demand and pinned.
 *
 * datagrams -d DEV[,DEV2]
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ends.h"
#include "slow.h"

enum {
	DEPTH = 64,
	GRH = sizeof(struct ibv_grh),
	SIZE = 64 * PAGE,
	SLOT = 2 * PAGE,	/* what a message gets of an end's memory */
	QKEY = 0x1234567,
	MULTICAST_QPN = 0xffffff,
	SLOW_MS = 400,
};

/* An end, its memory, and how it reaches the other one */
struct side {
	struct end end;
	struct ibv_mr *mr;
	char *mem;
	struct ibv_ah *ah;
};

static struct nic nics[2];
static struct side a, b;
static int family;
static int access_flags;
static uint32_t mtu;

static struct ibv_ah_attr attr_to(const struct nic *nic, const union ibv_gid *gid)
{
	return (struct ibv_ah_attr){
		.is_global = 1, .port_num = 1,
		.grh = { .dgid = *gid, .sgid_index = nic->gid_index, .hop_limit = 64,
			 .traffic_class = 0x28 },
	};
}

static struct ibv_ah *create_ah(const struct nic *nic, const union ibv_gid *gid)
{
	struct ibv_ah_attr attr = attr_to(nic, gid);
	struct ibv_ah *ah = ibv_create_ah(nic->pd, &attr);

	CHECK(ah);
	return ah;
}

static enum ibv_qp_state state_of(struct ibv_qp *qp)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	CHECK(!ibv_query_qp(qp, &attr, IBV_QP_STATE | IBV_QP_QKEY, &init));
	CHECK(init.qp_type == IBV_QPT_UD && attr.qkey == QKEY);
	return attr.qp_state;
}

/* A queue pair that has failed works again. */
static void revive(struct ibv_qp *qp)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RESET };

	CHECK(state_of(qp) > IBV_QPS_RTS);
	CHECK(!ibv_modify_qp(qp, &attr, IBV_QP_STATE));
	ud_to_rts(qp, QKEY);
}

static void side_create(struct side *side, struct nic *nic)
{
	struct ibv_qp_init_attr init = {
		.qp_type = IBV_QPT_UD, .cap = { DEPTH, DEPTH, 2, 2, 64 }, .sq_sig_all = 1,
	};
	struct end *end = &side->end;

	end->nic = nic;
	CHECK((end->channel = ibv_create_comp_channel(nic->context)));
	CHECK((end->cq = ibv_create_cq(nic->context, 4 * DEPTH, NULL, end->channel, 0)));
	init.send_cq = end->cq;
	init.recv_cq = end->cq;
	init.srq = end->srq;
	CHECK((end->qp = ibv_create_qp(nic->pd, &init)));
	ud_to_rts(end->qp, QKEY);
	side->mem = memory_map(SIZE, false);
	CHECK((side->mr = ibv_reg_mr(nic->pd, side->mem, SIZE, access_flags)));
}

static void side_destroy(struct side *side)
{
	if (side->ah)
		CHECK(!ibv_destroy_ah(side->ah));
	end_destroy(&side->end);
	CHECK(!ibv_dereg_mr(side->mr));
	CHECK(!munmap(side->mem, SIZE));
	*side = (struct side){};
}

static void sides_create(void)
{
	side_create(&a, &nics[0]);
	side_create(&b, &nics[1]);
	a.ah = create_ah(&nics[0], &nics[1].gid);
	b.ah = create_ah(&nics[1], &nics[0].gid);
}

static void sides_destroy(void)
{
	side_destroy(&b);
	side_destroy(&a);
}

/* --- Messages ------------------------------------------------------------------ */

/* Messages with the same number have the same bytes. */
static char byte_of(uint32_t number, uint32_t i)
{
	return number * 41 + i * 7 + (i >> 8) + 1;
}

static void post(struct side *side, struct ibv_ah *ah, uint32_t qpn, uint32_t qkey, char *from,
		 uint32_t len, uint32_t number)
{
	struct ibv_sge sge = { (uintptr_t)from, len, side->mr->lkey };
	struct ibv_send_wr wr = {
		.wr_id = number, .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND_WITH_IMM,
		.imm_data = htonl(number), .wr.ud = { ah, qpn, qkey },
	}, *bad;

	CHECK(!ibv_post_send(side->end.qp, &wr, &bad));
}

static struct ibv_wc post_and_wait(struct side *side, struct ibv_ah *ah, uint32_t qpn, uint32_t qkey,
				   uint32_t len, uint32_t number)
{
	char *from = side->mem + SIZE - SLOT + number % 5;
	struct ibv_wc wc;
	uint32_t i;

	for (i = 0; i < len; i++)
		from[i] = byte_of(number, i);
	post(side, ah, qpn, qkey, from, len, number);
	wc = end_wait(&side->end);
	CHECK(wc.wr_id == number && wc.qp_num == side->end.qp->qp_num);
	return wc;
}

static void send_to(struct side *from, struct ibv_ah *ah, uint32_t qpn, uint32_t qkey, uint32_t len,
		    uint32_t number)
{
	struct ibv_wc wc = post_and_wait(from, ah, qpn, qkey, len, number);

	CHECK(wc.status == IBV_WC_SUCCESS && wc.opcode == IBV_WC_SEND);
}

/* The header ends in a page, the data begins in it and goes on in the next. */
static char *slot(struct side *side, uint32_t number)
{
	return side->mem + number % (SIZE / SLOT - 1) * SLOT + PAGE - 50;
}

static void receive(struct side *side, uint32_t len, uint32_t number)
{
	char *to = slot(side, number);

	memset(to - 1, 0x5a, GRH + len + 2);
	end_post_receive(&side->end, to, GRH + len, side->mr->lkey, number);
}

/* An IPv4 header is in the last 20 bytes. */
static void check_grh(const char *grh, const union ibv_gid *from, const union ibv_gid *to)
{
	static const char zeros[20];
	const struct ip6_hdr *ip6 = (const void *)grh;
	const struct ip *ip = (const void *)(grh + 20);

	if (family == 4) {
		CHECK(!memcmp(grh, zeros, sizeof(zeros)));
		CHECK(ip->ip_v == 4 && ip->ip_p == IPPROTO_UDP);
		CHECK((ip->ip_tos & 0xfc) == 0x28);
		CHECK(!memcmp(&ip->ip_src, from->raw + 12, 4));
		CHECK(!memcmp(&ip->ip_dst, to->raw + 12, 4));
	} else {
		CHECK(ntohl(ip6->ip6_flow) >> 20 == 0x628 && ip6->ip6_nxt == IPPROTO_UDP);
		CHECK(!memcmp(&ip6->ip6_src, from->raw, 16));
		CHECK(!memcmp(&ip6->ip6_dst, to->raw, 16));
	}
}

/* The message of that number is the next completion: as posted in @slot. */
static struct ibv_wc expect_in(struct side *side, const struct side *from, const union ibv_gid *to,
			       uint32_t len, uint32_t number, uint32_t in)
{
	struct ibv_wc wc = end_wait(&side->end);
	char *got = slot(side, in);
	uint32_t i;

	CHECK(wc.status == IBV_WC_SUCCESS && wc.opcode == IBV_WC_RECV && wc.wr_id == in);
	CHECK(wc.byte_len == GRH + len && wc.imm_data == htonl(number));
	CHECK(wc.wc_flags == (IBV_WC_GRH | IBV_WC_WITH_IMM));
	CHECK(wc.src_qp == from->end.qp->qp_num && wc.qp_num == side->end.qp->qp_num);
	check_grh(got, &from->end.nic->gid, to);
	for (i = 0; i < len; i++)
		CHECK(got[GRH + i] == byte_of(number, i));
	CHECK(got[-1] == 0x5a && got[GRH + len] == 0x5a);
	return wc;
}

static struct ibv_wc expect(struct side *side, const struct side *from, uint32_t len,
			    uint32_t number)
{
	return expect_in(side, from, &side->end.nic->gid, len, number, number);
}

/* There and back, to the address that the completion gives */
static void messages(void)
{
	const uint32_t lengths[] = { 0, 1, 3, 8, 40, 41, 1000, mtu - 1, mtu };
	struct ibv_wc wc;
	struct ibv_ah *ah;
	uint32_t i;

	for (i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		receive(&b, lengths[i], i);
		send_to(&a, a.ah, b.end.qp->qp_num, QKEY, lengths[i], i);
		wc = expect(&b, &a, lengths[i], i);

		receive(&a, lengths[i] / 2, i);
		send_to(&b, b.ah, wc.src_qp, QKEY, lengths[i] / 2, i);
		expect(&a, &b, lengths[i] / 2, i);
		/* The same way, but of another traffic class */
		ah = ibv_create_ah_from_wc(nics[1].pd, &wc, (void *)slot(&b, i), 1);
		CHECK(ah);
		end_post_receive(&a.end, a.mem, PAGE, a.mr->lkey, 1000);
		send_to(&b, ah, wc.src_qp, QKEY, lengths[i], i);
		wc = end_wait(&a.end);
		CHECK(wc.status == IBV_WC_SUCCESS && wc.wr_id == 1000 &&
		      wc.byte_len == GRH + lengths[i] && wc.src_qp == b.end.qp->qp_num);
		CHECK(!ibv_destroy_ah(ah));
	}
}

/* --- Posting by calls ----------------------------------------------------------- */

static void calls(void)
{
	struct ibv_qp_init_attr_ex init = {
		.qp_type = IBV_QPT_UD, .cap = { 4, 1, 1, 1, 64 }, .sq_sig_all = 1,
		.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
		.pd = nics[0].pd, .send_cq = a.end.cq, .recv_cq = a.end.cq,
		.send_ops_flags = IBV_QP_EX_WITH_SEND_WITH_IMM | IBV_QP_EX_WITH_RDMA_READ,
	};
	struct side c = a;
	struct ibv_qp_ex *qpx;
	char data[64];
	uint32_t i;

	CHECK(!ibv_create_qp_ex(nics[0].context, &init) && errno == EOPNOTSUPP);
	init.send_ops_flags = IBV_QP_EX_WITH_SEND_WITH_IMM;
	CHECK((c.end.qp = ibv_create_qp_ex(nics[0].context, &init)));
	ud_to_rts(c.end.qp, QKEY);
	CHECK((qpx = ibv_qp_to_qp_ex(c.end.qp)));
	for (i = 0; i < sizeof(data); i++)
		data[i] = byte_of(5, i);
	receive(&b, sizeof(data), 5);
	ibv_wr_start(qpx);
	qpx->wr_id = 5;
	ibv_wr_send_imm(qpx, htonl(5));
	ibv_wr_set_ud_addr(qpx, a.ah, b.end.qp->qp_num, QKEY);
	ibv_wr_set_inline_data(qpx, data, sizeof(data));
	CHECK(!ibv_wr_complete(qpx));
	end_done(&a.end);
	expect(&b, &c, sizeof(data), 5);
	CHECK(!ibv_destroy_qp(c.end.qp));
}

/* --- A shared receive queue ------------------------------------------------------ */

static void shared(void)
{
	struct ibv_srq_init_attr init = { .attr = { DEPTH, 2, 0 } };
	struct ibv_sge sge;
	struct ibv_recv_wr wr = { .wr_id = 7, .sg_list = &sge, .num_sge = 1 }, *bad;
	struct side c = {};

	CHECK((c.end.srq = ibv_create_srq(nics[1].pd, &init)));
	side_create(&c, &nics[1]);
	sge = (struct ibv_sge){ (uintptr_t)slot(&c, 7), GRH + 100, c.mr->lkey };
	memset(slot(&c, 7) - 1, 0x5a, GRH + 102);
	CHECK(!ibv_post_srq_recv(c.end.srq, &wr, &bad));
	send_to(&a, a.ah, c.end.qp->qp_num, QKEY, 100, 7);
	expect(&c, &a, 100, 7);
	CHECK(!ibv_destroy_qp(c.end.qp));
	CHECK(!ibv_destroy_srq(c.end.srq));
	CHECK(!ibv_destroy_cq(c.end.cq));
	CHECK(!ibv_destroy_comp_channel(c.end.channel));
	CHECK(!ibv_dereg_mr(c.mr));
	CHECK(!munmap(c.mem, SIZE));
}

/* --- Mistakes -------------------------------------------------------------------- */

/* What is not for b, or not wanted: the next message that is gets the buffer. */
static void lost(void)
{
	uint32_t qpn = b.end.qp->qp_num;
	struct counters before;

	counters_read(&before, &nics[1]);
	/* Nothing is posted */
	send_to(&a, a.ah, qpn, QKEY, 10, 1);
	receive(&b, 100, 3);
	send_to(&a, a.ah, qpn, QKEY + 1, 20, 2);
	send_to(&a, a.ah, qpn, 0, 20, 2);
	/* Too long for the buffer */
	send_to(&a, a.ah, qpn, QKEY, 101, 2);
	send_to(&a, a.ah, qpn, QKEY, 100, 3);
	expect(&b, &a, 100, 3);
	JUDGE(counters_grown(&before, "rx_dropped") == 4);

	/* With the highest bit it is the own key, whatever the others are. */
	receive(&b, 8, 4);
	send_to(&a, a.ah, qpn, 1U << 31 | (QKEY + 1), 8, 4);
	expect(&b, &a, 8, 4);
}

static void failing(void)
{
	uint32_t qpn = b.end.qp->qp_num;
	struct ibv_pd *pd = ibv_alloc_pd(nics[0].context);
	struct ibv_ah_attr attr = attr_to(&nics[0], &nics[1].gid);
	struct ibv_ah *foreign;
	struct ibv_wc wc;

	/* Too long for the way */
	wc = post_and_wait(&a, a.ah, qpn, QKEY, mtu + 1, 1);
	CHECK(wc.status == IBV_WC_LOC_LEN_ERR);
	revive(a.end.qp);
	/* An address of another domain */
	CHECK(pd && (foreign = ibv_create_ah(pd, &attr)));
	wc = post_and_wait(&a, foreign, qpn, QKEY, 8, 2);
	CHECK(wc.status == IBV_WC_LOC_QP_OP_ERR);
	revive(a.end.qp);
	CHECK(!ibv_destroy_ah(foreign));
	CHECK(!ibv_dealloc_pd(pd));
	/* No key for the data */
	a.mr->lkey ^= 1;
	wc = post_and_wait(&a, a.ah, qpn, QKEY, 8, 3);
	CHECK(wc.status == IBV_WC_LOC_PROT_ERR);
	a.mr->lkey ^= 1;
	revive(a.end.qp);
	/* No key for the buffer */
	end_post_receive(&b.end, slot(&b, 5), PAGE, b.mr->lkey ^ 1, 5);
	send_to(&a, a.ah, qpn, QKEY, 100, 5);
	wc = end_wait(&b.end);
	CHECK(wc.status == IBV_WC_LOC_PROT_ERR && wc.wr_id == 5);
	revive(b.end.qp);
	receive(&b, 8, 6);
	send_to(&a, a.ah, qpn, QKEY, 8, 6);
	expect(&b, &a, 8, 6);
}

static void refused(void)
{
	struct ibv_sge sge = { (uintptr_t)a.mem, 8, a.mr->lkey };
	struct ibv_send_wr wr = {
		.sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_RDMA_WRITE,
		.wr.rdma = { (uintptr_t)b.mem, b.mr->rkey },
	}, *bad;
	struct ibv_ah_attr attr = attr_to(&nics[0], &nics[1].gid);

	CHECK(ibv_post_send(a.end.qp, &wr, &bad) == EINVAL && bad == &wr);
	attr.grh.sgid_index = 200;
	CHECK(!ibv_create_ah(nics[0].pd, &attr));
	attr = attr_to(&nics[0], &nics[1].gid);
	attr.is_global = 0;
	CHECK(!ibv_create_ah(nics[0].pd, &attr) && errno == EINVAL);
	attr = attr_to(&nics[0], &nics[1].gid);
	attr.port_num = 2;
	CHECK((errno = 0, !ibv_create_ah(nics[0].pd, &attr)) && errno == EINVAL);
	attr.port_num = 1;
	attr.grh.flow_label = 1 << 20;
	CHECK((errno = 0, !ibv_create_ah(nics[0].pd, &attr)) && errno == EINVAL);
	CHECK(ibv_attach_mcast(a.end.qp, &nics[1].gid, 0) == EINVAL);
}

/* --- Slow pages ------------------------------------------------------------------- */

/*
 * One page that comes late holds up its queue pair, and nobody else; what comes
 * behind it there is not lost.
 */
static void slow_page(void)
{
	struct side c = {};
	struct slow slow;
	double begin;
	uint32_t i;

	side_create(&c, &nics[1]);
	slow_begin(&slow, c.mem + SIZE - 2 * SLOT, 2);
	slow_set_delay(&slow, 0, 2, SLOW_MS);
	end_post_receive(&c.end, c.mem + SIZE - 2 * SLOT, GRH + 16, c.mr->lkey, 999);
	for (i = 0; i < 8; i++)
		receive(&c, 16, i);
	for (i = 0; i < 20; i++)
		receive(&b, 16, i);
	begin = now();
	send_to(&a, a.ah, c.end.qp->qp_num, QKEY, 16, 999);
	for (i = 0; i < 20; i++) {
		if (i < 7)
			send_to(&a, a.ah, c.end.qp->qp_num, QKEY, 16, i);
		send_to(&a, a.ah, b.end.qp->qp_num, QKEY, 16, i);
		expect(&b, &a, 16, i);
	}
	/* Of somebody else, who has sent less */
	c.ah = create_ah(&nics[1], &nics[1].gid);
	send_to(&b, c.ah, c.end.qp->qp_num, QKEY, 16, 7);
	JUDGE(now() - begin < SLOW_MS / 1000.0 * slowness());
	CHECK(end_wait(&c.end).wr_id == 999);
	CHECK(now() - begin >= SLOW_MS / 1000.0);
	for (i = 0; i < 16; i++)
		CHECK(c.mem[SIZE - 2 * SLOT + GRH + i] == byte_of(999, i));
	for (i = 0; i < 8; i++)
		expect(&c, i < 7 ? &a : &b, 16, i);

	/* The same for what is sent: by page 1, behind the other one. */
	for (i = 0; i < 3; i++)
		end_post_receive(&b.end, b.mem + i * PAGE, PAGE, b.mr->lkey, i);
	post(&c, c.ah, b.end.qp->qp_num, QKEY, slow.start + PAGE, mtu, 0);
	post(&c, c.ah, b.end.qp->qp_num, QKEY, c.mem, 8, 1);
	send_to(&a, a.ah, b.end.qp->qp_num, QKEY, 8, 2);
	CHECK(end_wait(&b.end).imm_data == htonl(2));
	CHECK(end_wait(&b.end).imm_data == htonl(0));
	CHECK(end_wait(&b.end).imm_data == htonl(1));
	for (i = 0; i < mtu; i++)
		CHECK((unsigned char)b.mem[PAGE + GRH + i] == slow_byte(1));
	end_done(&c.end);
	end_done(&c.end);
	slow_end(&slow);
	side_destroy(&c);
}

/* --- Multicast --------------------------------------------------------------------- */

enum { MEMBERS = 4 };

static union ibv_gid group_of(const char *v4, const char *v6)
{
	union ibv_gid gid = {};

	if (family == 4) {
		memset(gid.raw + 10, 0xff, 2);
		CHECK(inet_pton(AF_INET, v4, gid.raw + 12) == 1);
	} else {
		CHECK(inet_pton(AF_INET6, v6, gid.raw) == 1);
	}
	return gid;
}

/* To those of the members whose bit is set, and no others */
static void to_members(struct side *from, struct ibv_ah *ah, const union ibv_gid *group,
		       struct side *members, unsigned int who, uint32_t number)
{
	struct ibv_wc wc;
	int i;

	send_to(from, ah, MULTICAST_QPN, QKEY, 200, number);
	for (i = 0; i < MEMBERS; i++) {
		if (who & 1 << i) {
			expect_in(&members[i], from, group, 200, number, number);
			receive(&members[i], 200, number + 1);
			continue;
		}
		/* His next one is another. */
		send_to(from, i < 2 ? b.ah : a.ah, members[i].end.qp->qp_num, QKEY, 0, 77);
		wc = end_wait(&members[i].end);
		CHECK(wc.imm_data == htonl(77) && wc.wr_id == number);
		receive(&members[i], 200, number + 1);
	}
}

static void multicast(void)
{
	union ibv_gid group = group_of("239.1.2.3", "ff15::4:2");
	union ibv_gid other = group_of("239.1.2.4", "ff15::4:3");
	struct side members[MEMBERS] = {};
	struct ibv_ah *ah = create_ah(&nics[1], &group);
	struct ibv_ah *aside = create_ah(&nics[1], &other);
	int i;

	for (i = 0; i < MEMBERS; i++) {
		side_create(&members[i], &nics[i / 2]);
		receive(&members[i], 200, 0);
	}
	/* b sends; it has an address handle to each host. */
	CHECK(!ibv_destroy_ah(a.ah));
	a.ah = create_ah(&nics[1], &nics[1].gid);

	to_members(&b, ah, &group, members, 0, 0);
	for (i = 0; i < 3; i++)
		CHECK(!ibv_attach_mcast(members[i].end.qp, &group, 0));
	CHECK(!ibv_attach_mcast(members[3].end.qp, &other, 0));
	CHECK(!ibv_attach_mcast(members[0].end.qp, &group, 0));
	to_members(&b, ah, &group, members, 7, 1);
	to_members(&b, aside, &other, members, 8, 2);
	CHECK(!ibv_detach_mcast(members[1].end.qp, &group, 0));
	CHECK(ibv_detach_mcast(members[1].end.qp, &group, 0) == EINVAL);
	to_members(&b, ah, &group, members, 5, 3);
	/* The sender gets it, too. */
	CHECK(!ibv_attach_mcast(b.end.qp, &group, 0));
	CHECK(ibv_destroy_qp(b.end.qp) == EBUSY);
	receive(&b, 200, 40);
	post(&b, ah, MULTICAST_QPN, QKEY, b.mem, 200, 4);
	CHECK(end_wait(&b.end).status == IBV_WC_SUCCESS);
	CHECK(end_wait(&b.end).status == IBV_WC_SUCCESS);
	CHECK(!ibv_detach_mcast(b.end.qp, &group, 0));
	for (i = 0; i < MEMBERS; i++) {
		if (5 & 1 << i)
			CHECK(end_wait(&members[i].end).imm_data == htonl(4));
		if (i != 1)
			CHECK(!ibv_detach_mcast(members[i].end.qp, i == 3 ? &other : &group, 0));
		side_destroy(&members[i]);
	}
	CHECK(!ibv_destroy_ah(aside));
	CHECK(!ibv_destroy_ah(ah));
}

struct flood {
	struct ibv_ah *ah;
	atomic_bool stop;
};

static void *flood(void *arg)
{
	struct flood *flood = arg;

	while (!flood->stop) {
		post(&b, flood->ah, MULTICAST_QPN, QKEY, b.mem, 200, 9);
		CHECK(end_wait(&b.end).status == IBV_WC_SUCCESS);
	}
	return NULL;
}

/* Members go while packets are on their way to them. */
static void coming_and_going(void)
{
	union ibv_gid group = group_of("239.1.2.5", "ff15::4:4");
	struct flood flooding = { .ah = create_ah(&nics[1], &group) };
	pthread_t thread;
	int i;

	CHECK(!pthread_create(&thread, NULL, flood, &flooding));
	for (i = 0; i < (under_load() ? 10 : 100); i++) {
		struct side member = {};

		side_create(&member, &nics[0]);
		receive(&member, 200, 0);
		CHECK(!ibv_attach_mcast(member.end.qp, &group, 0));
		if (i % 2)
			CHECK(end_wait(&member.end).imm_data == htonl(9));
		CHECK(!ibv_detach_mcast(member.end.qp, &group, 0));
		side_destroy(&member);
	}
	flooding.stop = true;
	CHECK(!pthread_join(thread, NULL));
	CHECK(!ibv_destroy_ah(flooding.ah));
}

/* ------------------------------------------------------------------------------------ */

static void all(void)
{
	sides_create();
	messages();
	calls();
	shared();
	/* What is lost or late then, others are, too. */
	if (!under_load()) {
		lost();
		failing();
		refused();
		if (access_flags & IBV_ACCESS_ON_DEMAND)
			slow_page();
	}
	multicast();
	coming_and_going();
	sides_destroy();
	printf("IPv%d, %s: right\n", family,
	       access_flags & IBV_ACCESS_ON_DEMAND ? "on demand" : "pinned");
}

int main(int argc, char **argv)
{
	const int accesses[] = { IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_ON_DEMAND,
				 IBV_ACCESS_LOCAL_WRITE };
	struct ibv_port_attr port;
	int i;

	CHECK(argc == 3 && getopt(argc, argv, "d:") == 'd');
	nics_open(nics, optarg);
	CHECK(!ibv_query_port(nics[0].context, 1, &port));
	mtu = 128 << port.active_mtu;
	for (family = 4; family <= 6; family += 2) {
		nic_use_family(&nics[0], family);
		nic_use_family(&nics[1], family);
		for (i = 0; i < 2; i++) {
			access_flags = accesses[i];
			if (in_turn(family - 4 + i, 4))
				all();
		}
	}
	return 0;
}
