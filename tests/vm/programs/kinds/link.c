// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* A queue pair, made anew whenever it was in error */
#include "kinds.h"

#include <errno.h>
#include <netinet/in.h>

enum { GIDS = 16, WRS = 4 * DEPTH, PATIENCE_MS = 20000 };

void link_open(struct link *link, const char *device, int which)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	union ibv_gid gid;
	int i;

	for (i = 0; list && list[i]; i++)
		if (!strcmp(ibv_get_device_name(list[i]), device))
			link->ctx = ibv_open_device(list[i]);
	if (!link->ctx)
		fail("no device %s", device);
	ibv_free_device_list(list);
	link->gid_index = -1;
	for (i = 0; i < GIDS && link->gid_index < 0; i++)
		if (!ibv_query_gid(link->ctx, 1, i, &gid) && IN6_IS_ADDR_V4MAPPED(gid.raw))
			link->gid_index = i;
	CHECK(link->gid_index >= 0);
	link->self = &sh->ends[which];
	link->other = &sh->ends[!which];
	link->self->gid = gid;
	CHECK((link->pd = ibv_alloc_pd(link->ctx)));
	CHECK((link->scq = ibv_create_cq(link->ctx, WRS, NULL, NULL, 0)));
	CHECK((link->rcq = ibv_create_cq(link->ctx, WRS, NULL, NULL, 0)));
}

void link_make_qp(struct link *link)
{
	struct ibv_qp_init_attr init = {
		.qp_type = IBV_QPT_RC,
		.send_cq = link->scq,
		.recv_cq = link->rcq,
		.cap = { WRS, WRS, 1, 1, 0 },
	};

	if (link->qp)
		CHECK(!ibv_destroy_qp(link->qp));
	CHECK((link->qp = ibv_create_qp(link->pd, &init)));
	link->self->qpn = link->qp->qp_num;
}

/* In a busy guest the other host may be slow to tell its Ethernet address. */
static void to_rtr(struct ibv_qp *qp, struct ibv_qp_attr *attr)
{
	int tries = 10, err;

	do {
		err = ibv_modify_qp(qp, attr, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
				    IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
				    IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
	} while (err == ETIMEDOUT && --tries);
	if (err)
		fail("modify_qp to RTR: %s", strerror(err));
}

void link_connect(struct link *link)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT, .port_num = 1,
		.qp_access_flags = IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE,
		.path_mtu = IBV_MTU_1024, .dest_qp_num = link->other->qpn,
		.max_dest_rd_atomic = 4, .max_rd_atomic = 4, .min_rnr_timer = 1,
		.ah_attr = { .is_global = 1, .port_num = 1,
			     .grh = { .dgid = link->other->gid, .hop_limit = 1,
				      .sgid_index = link->gid_index } },
		/* 134 ms, after which a peer that has died is given up in 4 s; or 1 s. */
		.timeout = slowness == 1 ? 15 : 18, .retry_cnt = 7, .rnr_retry = 7,
	};

	CHECK(!ibv_modify_qp(link->qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
			     IBV_QP_ACCESS_FLAGS));
	attr.qp_state = IBV_QPS_RTR;
	to_rtr(link->qp, &attr);
	attr.qp_state = IBV_QPS_RTS;
	CHECK(!ibv_modify_qp(link->qp, &attr, IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
			     IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC));
}

void link_post(struct link *link, enum ibv_wr_opcode opcode, uint64_t id,
	       const struct ibv_sge *sge, uint64_t raddr, uint32_t rkey)
{
	struct ibv_sge local = *sge;
	struct ibv_send_wr *bad, wr = {
		.wr_id = id, .sg_list = &local, .num_sge = 1, .opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { .remote_addr = raddr, .rkey = rkey },
	};

	CHECK(!ibv_post_send(link->qp, &wr, &bad));
}

void link_post_recv(struct link *link, uint64_t id, const struct ibv_sge *sge)
{
	struct ibv_sge local = *sge;
	struct ibv_recv_wr *bad, wr = { .wr_id = id, .sg_list = &local, .num_sge = 1 };

	CHECK(!ibv_post_recv(link->qp, &wr, &bad));
}

bool link_poll(struct ibv_cq *cq, struct ibv_wc *wc)
{
	int n = ibv_poll_cq(cq, 1, wc);

	CHECK(n >= 0);
	return n;
}

struct ibv_wc link_wait(struct ibv_cq *cq, const char *what)
{
	uint64_t end = now_ms() + PATIENCE_MS * slowness;
	struct ibv_wc wc;

	while (!link_poll(cq, &wc)) {
		if (now_ms() > end)
			fail("%s: no completion after %u s", what, PATIENCE_MS * slowness / 1000);
		nap(20);
	}
	return wc;
}
