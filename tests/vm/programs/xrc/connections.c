// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The domain, and the queue pairs at both ends */
#include "xrc.h"

#include <fcntl.h>
#include <unistd.h>

char domain_path[] = "/tmp/xrc.XXXXXX";
struct ibv_xrcd *xrcd;
struct end near[PAIRS];
struct ibv_qp *far[PAIRS];
uint32_t *target_numbers;

void open_domain(void)
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

struct ibv_qp *target_create(void)
{
	struct ibv_qp_init_attr_ex init = {
		.qp_type = IBV_QPT_XRC_RECV, .comp_mask = IBV_QP_INIT_ATTR_XRCD, .xrcd = xrcd,
	};
	struct ibv_qp *qp = ibv_create_qp_ex(nics[1].context, &init);

	CHECK(qp);
	return qp;
}

struct ibv_qp *open_target(uint32_t number)
{
	struct ibv_qp_open_attr attr = {
		.comp_mask = IBV_QP_OPEN_ATTR_NUM | IBV_QP_OPEN_ATTR_XRCD | IBV_QP_OPEN_ATTR_TYPE,
		.qp_num = number, .xrcd = xrcd, .qp_type = IBV_QPT_XRC_RECV,
	};

	return ibv_open_qp(nics[1].context, &attr);
}

void near_create(struct end *end)
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

void connect_qp(struct ibv_qp *qp, struct nic *nic, const struct address *peer)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RESET };
	struct end end = { .qp = qp, .nic = nic, .timeout = under_load() ? TIMEOUT_LONG : TIMEOUT };

	CHECK(!ibv_modify_qp(qp, &attr, IBV_QP_STATE));
	end_connect(&end, peer);
}

struct address address_of(const struct ibv_qp *qp, const struct nic *nic)
{
	return (struct address){ qp->qp_num, nic->gid };
}

void pair_connect(int pair)
{
	struct address address = address_of(far[pair], &nics[1]);

	connect_qp(near[pair].qp, &nics[0], &address);
	address = address_of(near[pair].qp, &nics[0]);
	connect_qp(far[pair], &nics[1], &address);
	target_numbers[pair] = far[pair]->qp_num;
}

enum ibv_qp_state state_of(struct ibv_qp *qp)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	CHECK(!ibv_query_qp(qp, &attr, IBV_QP_STATE, &init));
	return attr.qp_state;
}
