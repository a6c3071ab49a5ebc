// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The VLAN of the address which a datagram was for */
#include "cqs.h"

enum { QKEY = 0x77, GRH = 40 };

/* 10.0.@net.x */
static void use_net(struct nic *nic, int net)
{
	struct ibv_gid_entry entries[64];
	ssize_t i, n = ibv_query_gid_table(nic->context, entries, 64, 0);

	for (i = 0; i < n; i++) {
		const uint8_t *raw = entries[i].gid.raw;

		if (entries[i].gid_type != IBV_GID_TYPE_ROCE_V2 || raw[10] != 0xff ||
		    raw[12] != 10 || raw[14] != net)
			continue;
		nic->gid = entries[i].gid;
		nic->gid_index = entries[i].gid_index;
		return;
	}
	CHECK(!"an address of that net");
}

static void be_datagrams(struct side *side)
{
	struct ibv_qp_init_attr init = {
		.qp_type = IBV_QPT_UD, .send_cq = side->end.cq, .recv_cq = side->end.cq,
		.cap = { 1, 1, 1, 1, 0 }, .sq_sig_all = 1,
	};

	CHECK(!ibv_destroy_qp(side->end.qp));
	CHECK((side->end.qp = ibv_create_qp(side->end.nic->pd, &init)));
	ud_to_rts(side->end.qp, QKEY);
}

/* By addresses of that net, and the receiver is told of @vlan */
static void datagram(int net, int vlan)
{
	struct ibv_ah_attr attr = { .is_global = 1, .port_num = 1 };
	struct ibv_sge sge = { (uintptr_t)a.mem, 100, a.mr->lkey };
	struct ibv_send_wr wr = { .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND }, *bad;

	use_net(&nics[0], net);
	use_net(&nics[1], net);
	attr.grh.dgid = nics[1].gid;
	attr.grh.sgid_index = nics[0].gid_index;
	attr.grh.hop_limit = 8;
	CHECK((wr.wr.ud.ah = ibv_create_ah(nics[0].pd, &attr)));
	wr.wr.ud.remote_qpn = b.end.qp->qp_num;
	wr.wr.ud.remote_qkey = QKEY;
	end_post_receive(&b.end, b.mem, SIZE, b.mr->lkey, net);
	CHECK(!ibv_post_send(a.end.qp, &wr, &bad));
	start(&a);
	CHECK(!a.cqx->status && !ibv_wc_read_cvlan(a.cqx));
	ibv_end_poll(a.cqx);
	start(&b);
	CHECK(!b.cqx->status && b.cqx->wr_id == (uint64_t)net);
	CHECK(ibv_wc_read_byte_len(b.cqx) == GRH + 100 && ibv_wc_read_cvlan(b.cqx) == vlan);
	ibv_end_poll(b.cqx);
	CHECK(!ibv_destroy_ah(wr.wr.ud.ah));
}

void test_vlan(int vlan)
{
	sides_create(1, 0);
	be_datagrams(&a);
	be_datagrams(&b);
	datagram(0, 0);
	datagram(vlan, vlan);
	datagram(0, 0);
	sides_destroy();
	/* Of connections nothing is told: each is of one address. */
	use_net(&nics[0], vlan);
	use_net(&nics[1], vlan);
	sides_create(DEPTH, 0);
	receive(1);
	send_message(1);
	start(&b);
	CHECK(!b.cqx->status && b.cqx->wr_id == 1 && !ibv_wc_read_cvlan(b.cqx));
	ibv_end_poll(b.cqx);
	sides_destroy();
	printf("datagrams for an address of VLAN %d\n", vlan);
}
