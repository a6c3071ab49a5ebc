/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The states of queue pairs: each transition with each attribute, what a query says,
 * and that a refused modification changes nothing.
 *
 * usage: states -d DEV
 *
 * What is right is in tables here, from those of ibv_modify_qp(3) and IBTA volume 1,
 * 11.2.5.2. They leave out what this device does not have: alternate paths and their
 * migration, queues of another size, rate limits. Those of both kinds of XRC queue pairs
 * are the RDMA core's. It takes no attribute from user space that such a half of a queue
 * pair has no use for, and says nothing. User space has no other types.
 */
#include "ends.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
	RC = 1 << IBV_QPT_RC, UC = 1 << IBV_QPT_UC, UD = 1 << IBV_QPT_UD,
	INI = 1 << IBV_QPT_XRC_SEND, TGT = 1 << IBV_QPT_XRC_RECV,
	CONNECTED = RC | UC | INI | TGT, ANY = CONNECTED | UD,
	DEPTH = 4, PSN = 0xfffff0, QKEY = 0x1234,
};

#define STATES (IBV_QPS_ERR + 1)

static const char *const state_names[STATES] = {
	"RESET", "INIT", "RTR", "RTS", "SQD", "SQE", "ERR",
};

/* Masks are without IBV_QP_STATE. */
static const struct step {
	enum ibv_qp_state from, to;
	int types;
	int required, optional;
} steps[] = {
	{ IBV_QPS_RESET, IBV_QPS_RESET, ANY, 0, 0 },
	{ IBV_QPS_RESET, IBV_QPS_INIT, CONNECTED,
	  IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS, 0 },
	{ IBV_QPS_RESET, IBV_QPS_INIT, UD, IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY, 0 },
	{ IBV_QPS_INIT, IBV_QPS_INIT, CONNECTED, 0,
	  IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS },
	{ IBV_QPS_INIT, IBV_QPS_INIT, UD, 0, IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY },
	{ IBV_QPS_INIT, IBV_QPS_RTR, RC | TGT,
	  IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
	  IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER,
	  IBV_QP_ACCESS_FLAGS | IBV_QP_PKEY_INDEX },
	{ IBV_QPS_INIT, IBV_QPS_RTR, UC | INI,
	  IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN,
	  IBV_QP_ACCESS_FLAGS | IBV_QP_PKEY_INDEX },
	{ IBV_QPS_INIT, IBV_QPS_RTR, UD, 0, IBV_QP_PKEY_INDEX | IBV_QP_QKEY },
	{ IBV_QPS_RTR, IBV_QPS_RTS, RC,
	  IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
	  IBV_QP_MAX_QP_RD_ATOMIC,
	  IBV_QP_CUR_STATE | IBV_QP_ACCESS_FLAGS | IBV_QP_MIN_RNR_TIMER | IBV_QP_PATH_MIG_STATE },
	{ IBV_QPS_RTR, IBV_QPS_RTS, INI,
	  IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
	  IBV_QP_MAX_QP_RD_ATOMIC,
	  IBV_QP_CUR_STATE | IBV_QP_ACCESS_FLAGS | IBV_QP_PATH_MIG_STATE },
	{ IBV_QPS_RTR, IBV_QPS_RTS, TGT, IBV_QP_TIMEOUT | IBV_QP_SQ_PSN,
	  IBV_QP_CUR_STATE | IBV_QP_ACCESS_FLAGS | IBV_QP_MIN_RNR_TIMER | IBV_QP_PATH_MIG_STATE },
	{ IBV_QPS_RTR, IBV_QPS_RTS, UC, IBV_QP_SQ_PSN,
	  IBV_QP_CUR_STATE | IBV_QP_ACCESS_FLAGS | IBV_QP_PATH_MIG_STATE },
	{ IBV_QPS_RTR, IBV_QPS_RTS, UD, IBV_QP_SQ_PSN, IBV_QP_CUR_STATE | IBV_QP_QKEY },
	{ IBV_QPS_RTS, IBV_QPS_RTS, RC | TGT, 0,
	  IBV_QP_CUR_STATE | IBV_QP_ACCESS_FLAGS | IBV_QP_MIN_RNR_TIMER | IBV_QP_PATH_MIG_STATE },
	{ IBV_QPS_RTS, IBV_QPS_RTS, UC | INI, 0,
	  IBV_QP_CUR_STATE | IBV_QP_ACCESS_FLAGS | IBV_QP_PATH_MIG_STATE },
	{ IBV_QPS_RTS, IBV_QPS_RTS, UD, 0, IBV_QP_CUR_STATE | IBV_QP_QKEY },
	{ IBV_QPS_RTS, IBV_QPS_SQD, ANY, 0, IBV_QP_EN_SQD_ASYNC_NOTIFY },
	{ IBV_QPS_SQD, IBV_QPS_RTS, RC | TGT, 0,
	  IBV_QP_CUR_STATE | IBV_QP_ACCESS_FLAGS | IBV_QP_MIN_RNR_TIMER | IBV_QP_PATH_MIG_STATE },
	{ IBV_QPS_SQD, IBV_QPS_RTS, UC | INI, 0,
	  IBV_QP_CUR_STATE | IBV_QP_ACCESS_FLAGS | IBV_QP_PATH_MIG_STATE },
	{ IBV_QPS_SQD, IBV_QPS_RTS, UD, 0, IBV_QP_CUR_STATE | IBV_QP_QKEY },
	{ IBV_QPS_SQD, IBV_QPS_SQD, RC, 0,
	  IBV_QP_PORT | IBV_QP_AV | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
	  IBV_QP_MAX_QP_RD_ATOMIC | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_ACCESS_FLAGS |
	  IBV_QP_PKEY_INDEX | IBV_QP_MIN_RNR_TIMER | IBV_QP_PATH_MIG_STATE },
	{ IBV_QPS_SQD, IBV_QPS_SQD, INI, 0,
	  IBV_QP_PORT | IBV_QP_AV | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
	  IBV_QP_MAX_QP_RD_ATOMIC | IBV_QP_ACCESS_FLAGS | IBV_QP_PKEY_INDEX |
	  IBV_QP_PATH_MIG_STATE },
	{ IBV_QPS_SQD, IBV_QPS_SQD, TGT, 0,
	  IBV_QP_PORT | IBV_QP_AV | IBV_QP_TIMEOUT | IBV_QP_MAX_DEST_RD_ATOMIC |
	  IBV_QP_ACCESS_FLAGS | IBV_QP_PKEY_INDEX | IBV_QP_MIN_RNR_TIMER |
	  IBV_QP_PATH_MIG_STATE },
	{ IBV_QPS_SQD, IBV_QPS_SQD, UC, 0,
	  IBV_QP_AV | IBV_QP_ACCESS_FLAGS | IBV_QP_PKEY_INDEX | IBV_QP_PATH_MIG_STATE },
	{ IBV_QPS_SQD, IBV_QPS_SQD, UD, 0, IBV_QP_PKEY_INDEX | IBV_QP_QKEY },
	{ IBV_QPS_SQE, IBV_QPS_RTS, UC, 0, IBV_QP_CUR_STATE | IBV_QP_ACCESS_FLAGS },
	{ IBV_QPS_SQE, IBV_QPS_RTS, UD, 0, IBV_QP_CUR_STATE | IBV_QP_QKEY },
	/* Away from everywhere: the rest of INIT to ERR is in step_of(). */
	{ IBV_QPS_ERR, IBV_QPS_RESET, ANY, 0, 0 },
};

enum { STEPS = sizeof(steps) / sizeof(steps[0]), BITS = IBV_QP_RATE_LIMIT << 1 };

static struct nic nics[2];
static struct end end;
static unsigned int allowed, refused;

static const struct step *step_of(enum ibv_qp_type type, enum ibv_qp_state from,
				  enum ibv_qp_state to)
{
	static const struct step away = { IBV_QPS_INIT, IBV_QPS_ERR, ANY, 0, 0 };
	int i;

	if (from != IBV_QPS_RESET && (to == IBV_QPS_RESET || to == IBV_QPS_ERR))
		return &away;
	for (i = 0; i < STEPS; i++)
		if (steps[i].from == from && steps[i].to == to && steps[i].types & 1 << type)
			return &steps[i];
	return NULL;
}

/* What the core does not take at all */
static int ignored(enum ibv_qp_type type)
{
	if (type == IBV_QPT_XRC_SEND)
		return IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
	if (type == IBV_QPT_XRC_RECV)
		return IBV_QP_MAX_QP_RD_ATOMIC | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY;
	return 0;
}

/* --- Queue pairs ---------------------------------------------------------------------- */

static struct ibv_qp_attr attributes(enum ibv_qp_state from, enum ibv_qp_state to)
{
	return (struct ibv_qp_attr){
		.qp_state = to, .cur_qp_state = from,
		.path_mtu = IBV_MTU_512, .path_mig_state = IBV_MIG_MIGRATED,
		.qkey = QKEY, .rq_psn = PSN, .sq_psn = PSN + 1, .dest_qp_num = 0xabcdef,
		.qp_access_flags = IBV_ACCESS_REMOTE_READ | IBV_ACCESS_LOCAL_WRITE,
		.ah_attr = {
			.is_global = 1, .port_num = 1,
			.grh = { .dgid = nics[0].gid, .sgid_index = nics[0].gid_index,
				 .hop_limit = 7, .traffic_class = 8, .flow_label = 0x12345 },
		},
		.max_rd_atomic = 5, .max_dest_rd_atomic = 6, .min_rnr_timer = 9,
		.port_num = 1, .timeout = 10, .retry_cnt = 3, .rnr_retry = 2,
		.en_sqd_async_notify = 1,
	};
}

static struct ibv_qp_attr query(struct ibv_qp_init_attr *init)
{
	struct ibv_qp_init_attr unused;
	struct ibv_qp_attr attr;

	memset(&attr, 0, sizeof(attr));
	CHECK(!ibv_query_qp(end.qp, &attr, IBV_QP_RATE_LIMIT - 1, init ? init : &unused));
	return attr;
}

static void go(enum ibv_qp_state to)
{
	enum ibv_qp_state from = query(NULL).qp_state;
	const struct step *step = step_of(end.qp->qp_type, from, to);
	struct ibv_qp_attr attr = attributes(from, to);

	CHECK(step && !ibv_modify_qp(end.qp, &attr, IBV_QP_STATE | step->required));
	CHECK(query(NULL).qp_state == to);
}

/* A send request that is wrong, and only ends the sending */
static void fail_send(void)
{
	static char byte;
	struct ibv_ah_attr ah_attr = attributes(0, 0).ah_attr;
	struct ibv_ah *ah = ibv_create_ah(nics[0].pd, &ah_attr);
	struct ibv_sge sge = { (uintptr_t)&byte, 1, 12345 };
	struct ibv_send_wr wr = { .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND }, *bad;

	CHECK(ah);
	wr.wr.ud.ah = ah;
	CHECK(!ibv_post_send(end.qp, &wr, &bad));
	CHECK(end_wait(&end).status == IBV_WC_LOC_PROT_ERR);
	CHECK(!ibv_destroy_ah(ah));
}

/* One of any type, in @end. Its domain goes with the process. */
static void create(enum ibv_qp_type type)
{
	struct ibv_xrcd_init_attr domain = {
		.comp_mask = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS,
		.fd = -1, .oflags = O_CREAT,
	};
	struct ibv_qp_init_attr_ex init = {
		.qp_type = type, .cap = { .max_send_wr = DEPTH, .max_send_sge = 1 },
		.sq_sig_all = 1, .pd = nics[0].pd, .comp_mask = IBV_QP_INIT_ATTR_PD,
	};
	bool xrc = type == IBV_QPT_XRC_SEND || type == IBV_QPT_XRC_RECV;

	end.type = xrc ? IBV_QPT_RC : type;
	end_create(&end, &nics[0], DEPTH);
	if (!xrc)
		return;
	CHECK(!ibv_destroy_qp(end.qp));
	init.send_cq = end.cq;
	if (type == IBV_QPT_XRC_RECV) {
		init.comp_mask = IBV_QP_INIT_ATTR_XRCD;
		CHECK((init.xrcd = ibv_open_xrcd(nics[0].context, &domain)));
	}
	CHECK((end.qp = ibv_create_qp_ex(nics[0].context, &init)));
}

static void bring_to(enum ibv_qp_state state)
{
	if (query(NULL).qp_state != IBV_QPS_RESET)
		go(IBV_QPS_RESET);
	if (state == IBV_QPS_RESET)
		return;
	go(IBV_QPS_INIT);
	if (state == IBV_QPS_INIT)
		return;
	if (state == IBV_QPS_ERR) {
		go(IBV_QPS_ERR);
		return;
	}
	go(IBV_QPS_RTR);
	if (state == IBV_QPS_RTR)
		return;
	go(IBV_QPS_RTS);
	if (state == IBV_QPS_SQE)
		fail_send();
	else if (state == IBV_QPS_SQD)
		go(IBV_QPS_SQD);
	CHECK(query(NULL).qp_state == state);
}

/* --- The table ------------------------------------------------------------------------- */

static bool is_refusal(int err)
{
	/* ENODATA is the core's for a GID that is not there. */
	return err == EINVAL || err == EOPNOTSUPP || err == ENODATA;
}

/* It is refused, and then all is as it was. */
static void expect_refused(struct ibv_qp_attr attr, int mask, enum ibv_qp_state from,
			   enum ibv_qp_state to)
{
	struct ibv_qp_attr before = query(NULL), after;
	int err = ibv_modify_qp(end.qp, &attr, mask);

	after = query(NULL);
	if (!is_refusal(err) || memcmp(&before, &after, sizeof(after)))
		printf("type %d, %s to %s, mask %#x: %s\n", end.qp->qp_type, state_names[from],
		       state_names[to], mask, strerror(err));
	CHECK(is_refusal(err) && !memcmp(&before, &after, sizeof(after)));
	refused++;
}

static void expect_allowed(struct ibv_qp_attr attr, int mask, enum ibv_qp_state from,
			   enum ibv_qp_state to)
{
	int err = ibv_modify_qp(end.qp, &attr, mask);

	if (err)
		printf("type %d, %s to %s, mask %#x: %s\n", end.qp->qp_type, state_names[from],
		       state_names[to], mask, strerror(err));
	CHECK(!err && query(NULL).qp_state == to);
	bring_to(from);
	allowed++;
}

static void try_bits(const struct step *step, enum ibv_qp_state from, enum ibv_qp_state to)
{
	struct ibv_qp_attr attr = attributes(from, to);
	int mask = IBV_QP_STATE | step->required, bit;

	expect_allowed(attr, mask, from, to);
	expect_allowed(attr, mask | step->optional, from, to);
	if (from == to)
		expect_allowed(attr, step->optional, from, to);
	for (bit = IBV_QP_STATE << 1; bit < BITS; bit <<= 1) {
		if (ignored(end.qp->qp_type) & bit)
			expect_allowed(attr, mask | bit, from, to);
		else if (step->required & bit)
			expect_refused(attr, mask & ~bit, from, to);
		else if (step->optional & bit)
			expect_allowed(attr, mask | bit, from, to);
		/* uverbs does not know these at all. */
		else if (bit <= IBV_QP_DEST_QPN || bit == IBV_QP_RATE_LIMIT)
			expect_refused(attr, mask | bit, from, to);
	}
	if (step->optional & IBV_QP_CUR_STATE) {
		attr.cur_qp_state = from == IBV_QPS_RTS ? IBV_QPS_SQD : IBV_QPS_RTS;
		if (from == IBV_QPS_RTR || from == IBV_QPS_SQE || from == IBV_QPS_RTS)
			expect_refused(attr, mask | IBV_QP_CUR_STATE, from, to);
	}
}

static bool is_reliable(enum ibv_qp_type type)
{
	return type != IBV_QPT_UC && type != IBV_QPT_UD;
}

static void all_transitions(enum ibv_qp_type type)
{
	enum ibv_qp_state from, to;

	for (from = 0; from < STATES; from++) {
		if (from == IBV_QPS_SQE && is_reliable(type))
			continue;
		bring_to(from);
		for (to = 0; to < STATES; to++) {
			const struct step *step = step_of(type, from, to);

			if (step)
				try_bits(step, from, to);
			else
				expect_refused(attributes(from, to), IBV_QP_STATE, from, to);
		}
	}
}

/* --- Values ----------------------------------------------------------------------------- */

static void bad_value(struct ibv_qp_attr attr, int mask)
{
	expect_refused(attr, mask, query(NULL).qp_state, attr.qp_state);
}

#define BAD(bit, field, value) do {					\
	struct ibv_qp_attr attr = attributes(from, to);			\
									\
	attr.field = value;						\
	bad_value(attr, mask | (bit));					\
} while (0)

static void bad_values(enum ibv_qp_type type)
{
	enum ibv_qp_state from = IBV_QPS_RESET, to = IBV_QPS_INIT;
	int mask = IBV_QP_STATE | step_of(type, from, to)->required, bit;

	bring_to(from);
	BAD(0, port_num, 0);
	BAD(0, port_num, 2);
	BAD(0, pkey_index, 1);
	BAD(IBV_QP_STATE, qp_state, STATES);
	if (type == IBV_QPT_UD)
		return;
	/* Bits 8 and 9 are for FLUSH, 20 to 29 are optional. */
	for (bit = 10; bit < 32; bit++)
		if (bit < 20 || bit > 29)
			BAD(0, qp_access_flags, 1U << bit);
	from = IBV_QPS_INIT;
	to = IBV_QPS_RTR;
	mask = IBV_QP_STATE | step_of(type, from, to)->required;
	bring_to(from);
	BAD(0, path_mtu, 0);
	BAD(0, path_mtu, IBV_MTU_2048);
	BAD(0, path_mtu, IBV_MTU_4096 + 1);
	BAD(0, dest_qp_num, 1 << 24);
	BAD(0, ah_attr.is_global, 0);
	BAD(0, ah_attr.grh.sgid_index, 200);
	BAD(0, ah_attr.port_num, 2);
	BAD(0, ah_attr.grh.flow_label, 1 << 20);
	if (type == IBV_QPT_UC)
		return;
	if (type != IBV_QPT_XRC_SEND) {
		BAD(0, min_rnr_timer, 32);
		BAD(0, max_dest_rd_atomic, 129);
	}
	from = IBV_QPS_RTR;
	to = IBV_QPS_RTS;
	mask = IBV_QP_STATE | step_of(type, from, to)->required;
	bring_to(from);
	BAD(0, timeout, 32);
	if (type != IBV_QPT_XRC_RECV) {
		BAD(0, retry_cnt, 8);
		BAD(0, rnr_retry, 8);
		BAD(0, max_rd_atomic, 129);
	}
	BAD(IBV_QP_PATH_MIG_STATE, path_mig_state, IBV_MIG_ARMED);
}

/* Of the halves that a queue pair has */
static void check_queues(enum ibv_qp_type type, const struct ibv_qp_init_attr *init)
{
	bool sends = type != IBV_QPT_XRC_RECV;
	bool receives = sends && type != IBV_QPT_XRC_SEND;

	if (sends)
		CHECK(init->send_cq == end.cq && init->sq_sig_all);
	if (receives)
		CHECK(init->recv_cq == end.cq);
	CHECK(init->cap.max_send_wr >= (sends ? DEPTH : 0) && !init->cap.max_send_sge == !sends);
	CHECK(init->cap.max_recv_wr >= (receives ? DEPTH : 0) &&
	      !init->cap.max_recv_sge == !receives);
}

static void check_query(enum ibv_qp_type type)
{
	struct ibv_qp_attr want = attributes(0, 0), got;
	struct ibv_qp_init_attr init;

	bring_to(IBV_QPS_RTS);
	got = query(&init);
	CHECK(got.qp_state == IBV_QPS_RTS && got.cur_qp_state == IBV_QPS_RTS);
	CHECK(got.port_num == 1 && !got.pkey_index && !got.sq_draining);
	CHECK(got.path_mig_state == IBV_MIG_MIGRATED && got.sq_psn == want.sq_psn);
	CHECK(!got.alt_port_num && !got.alt_timeout && !got.alt_pkey_index);
	CHECK(init.qp_type == type && !init.srq);
	CHECK(!memcmp(&init.cap, &got.cap, sizeof(got.cap)));
	check_queues(type, &init);
	if (type == IBV_QPT_UD) {
		CHECK(got.qkey == want.qkey);
		return;
	}
	CHECK(got.path_mtu == want.path_mtu && got.rq_psn == want.rq_psn);
	CHECK(got.dest_qp_num == want.dest_qp_num && got.qp_access_flags == want.qp_access_flags);
	CHECK(got.ah_attr.is_global && got.ah_attr.port_num == 1);
	/* For a unicast address the RDMA core takes the route's. */
	want.ah_attr.grh.hop_limit = got.ah_attr.grh.hop_limit;
	CHECK(!memcmp(&got.ah_attr.grh, &want.ah_attr.grh, sizeof(want.ah_attr.grh)));
	if (!is_reliable(type))
		return;
	CHECK(got.timeout == want.timeout);
	if (type != IBV_QPT_XRC_RECV)
		CHECK(got.max_rd_atomic == want.max_rd_atomic &&
		      got.retry_cnt == want.retry_cnt && got.rnr_retry == want.rnr_retry);
	if (type != IBV_QPT_XRC_SEND)
		CHECK(got.max_dest_rd_atomic == want.max_dest_rd_atomic &&
		      got.min_rnr_timer == want.min_rnr_timer);
}

/* What was modified is seen, what was reset is gone. */
static void check_changes(enum ibv_qp_type type)
{
	struct ibv_qp_attr attr = attributes(IBV_QPS_SQD, IBV_QPS_SQD), got;

	bring_to(IBV_QPS_SQD);
	attr.qp_access_flags = IBV_ACCESS_REMOTE_WRITE;
	attr.qkey = QKEY + 1;
	attr.ah_attr.grh.traffic_class = 99;
	attr.timeout = 11;
	attr.retry_cnt = 4;
	attr.rnr_retry = 5;
	attr.max_rd_atomic = 1;
	attr.max_dest_rd_atomic = 2;
	attr.min_rnr_timer = 3;
	CHECK(!ibv_modify_qp(end.qp, &attr, step_of(type, IBV_QPS_SQD, IBV_QPS_SQD)->optional));
	got = query(NULL);
	CHECK(got.qp_state == IBV_QPS_SQD);
	if (type == IBV_QPT_UD)
		CHECK(got.qkey == attr.qkey);
	else
		CHECK(got.qp_access_flags == attr.qp_access_flags &&
		      got.ah_attr.grh.traffic_class == 99);
	if (is_reliable(type))
		CHECK(got.timeout == 11);
	if (is_reliable(type) && type != IBV_QPT_XRC_RECV)
		CHECK(got.retry_cnt == 4 && got.rnr_retry == 5 && got.max_rd_atomic == 1);
	if (is_reliable(type) && type != IBV_QPT_XRC_SEND)
		CHECK(got.max_dest_rd_atomic == 2 && got.min_rnr_timer == 3);
	go(IBV_QPS_RTS);
	go(IBV_QPS_RESET);
	got = query(NULL);
	CHECK(got.qp_state == IBV_QPS_RESET && !got.timeout && !got.qp_access_flags && !got.qkey);
	CHECK(!got.dest_qp_num && !got.ah_attr.is_global);
}

/*
 * Data is written in the order of packets, but within one as the CPU's fastest copy
 * does it: no promise to who polls for the last byte.
 */
static void data_in_order(void)
{
	const enum ibv_wr_opcode opcodes[] = { IBV_WR_SEND, IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ };
	int i;

	for (i = 0; i < 3; i++)
		CHECK(!ibv_query_qp_data_in_order(end.qp, opcodes[i], 0));
}

int main(int argc, char **argv)
{
	const enum ibv_qp_type types[] = {
		IBV_QPT_RC, IBV_QPT_UC, IBV_QPT_UD, IBV_QPT_XRC_SEND, IBV_QPT_XRC_RECV,
	};
	unsigned int i;

	CHECK(getopt(argc, argv, "d:") == 'd');
	nics_open(nics, optarg);
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		create(types[i]);
		check_query(types[i]);
		check_changes(types[i]);
		all_transitions(types[i]);
		bad_values(types[i]);
		data_in_order();
		end_destroy(&end);
		printf("type %d: %u modifications allowed, %u refused\n", types[i], allowed, refused);
		allowed = refused = 0;
	}
	return 0;
}
