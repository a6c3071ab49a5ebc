// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Datagrams: the work of queue pairs that talk to anybody, in the place of what
 * requester and responder do for connected ones.
 *
 * A datagram is one packet. It is done when it is sent, and nobody says whether it
 * has arrived. What is received is the IP header, in the form of a GRH, and the
 * data. A half that misses a page waits for it as always; datagrams that come
 * meanwhile queue up to a limit, and are lost beyond it.
 *
 * IBTA volume 1: 9.8.3 (unreliable datagram), 10.2.5 (Q_Keys), and annex A17.
 */
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <rdma/ib_cache.h>

#include "packet.h"
#include "qp.h"

#define ODP_GRH_SIZE	sizeof(union rdma_network_hdr)

/**
 * odp_dev_has_address - does a device have an address?
 * @dev: The device.
 * @gid: The address.
 * @vlan: Set to one more than the number of the VLAN whose address it is; 0: of
 *	none. Or NULL.
 *
 * Any context.
 */
bool odp_dev_has_address(struct odp_dev *dev, const union ib_gid *gid,
			 u16 *vlan)
{
	const struct ib_gid_attr *attr;
	u16 id;

	attr = rdma_find_gid_by_port(&dev->ib, gid, IB_GID_TYPE_ROCE_UDP_ENCAP,
				     1, NULL);
	if (IS_ERR(attr))
		return false;
	if (vlan)
		*vlan = !rdma_read_gid_l2_fields(attr, &id, NULL) &&
			id < VLAN_N_VID ? id + 1 : 0;
	rdma_put_gid_attr(attr);
	return true;
}

/**
 * odp_datagram_expected - may a queue pair have a datagram?
 * @qp: The queue pair.
 * @skb: The packet, of the UD service.
 *
 * For a multicast group it must be attached to it, which was looked up before.
 */
bool odp_datagram_expected(const struct odp_qp *qp, struct sk_buff *skb)
{
	struct odp_packet *pkt = odp_packet(skb);
	union ib_gid gid;

	if (be32_to_cpu(odp_packet_deth(pkt)->qkey) !=
	    READ_ONCE(qp->attr.qkey))
		return false;
	if ((be32_to_cpu(pkt->bth->qpn) & ODP_QPN_MASK) == ODP_QPN_MULTICAST)
		return true;
	odp_packet_dgid(skb, &gid);
	return odp_dev_has_address(qp->dev, &gid, &pkt->vlan);
}

/**
 * odp_datagram_send - sends the next datagram
 * @qp: The queue pair. Requester only.
 *
 * Return: 1: done; 0: there is none; -EAGAIN: a page is missing.
 */
int odp_datagram_send(struct odp_qp *qp)
{
	struct odp_requester *req = &qp->req;
	struct odp_packet_spec spec = {};
	struct odp_swqe *swqe;
	struct sk_buff *skb;
	int err = 0;

	if (qp->sq.head == odp_sq_tail(&qp->sq) ||
	    (!req->skb && !odp_requester_may_begin(qp)))
		return 0;
	swqe = odp_sq_entry(&qp->sq, qp->sq.head);
	if (swqe->status != IB_WC_SUCCESS) {
		odp_requester_fail(qp, swqe->status, 0);
		return 1;
	}
	spec.opcode = swqe->wqe.opcode == IB_WR_SEND ?
		IB_OPCODE_UD_SEND_ONLY : IB_OPCODE_UD_SEND_ONLY_WITH_IMMEDIATE;
	spec.psn = req->psn;
	spec.len = swqe->length;
	spec.solicited = swqe->wqe.flags & IB_SEND_SOLICITED;
	spec.imm = swqe->wqe.imm_data;
	spec.datagram = &swqe->wqe;
	if (!req->skb)
		req->skb = odp_packet_new(qp, &spec);
	/* Without memory for it, it is a packet that got lost. */
	if (req->skb)
		err = odp_requester_gather(qp, swqe, swqe->length);
	if (err == -EAGAIN)
		return err;
	if (err) {
		odp_requester_fail(qp, IB_WC_LOC_PROT_ERR, 0);
		return 1;
	}

	skb = req->skb;
	req->skb = NULL;
	req->filled = 0;
	req->psn = odp_psn_add(req->psn, 1);
	odp_waiter_progress(&req->half.waiter);
	odp_half_operation_done(&req->half);
	if (skb)
		odp_datagram_xmit(qp, skb, odp_swqe_av(&qp->sq, swqe));
	odp_requester_complete(qp, IB_WC_SUCCESS, 0);
	return 1;
}

/* An IPv4 header is in the last 20 bytes, as annex A17.4.5.2 has it. */
static void odp_grh_fill(union rdma_network_hdr *grh, const struct sk_buff *skb)
{
	memset(grh, 0, sizeof(*grh));
	if (skb->protocol == htons(ETH_P_IP))
		grh->roce4grh = *ip_hdr(skb);
	else
		memcpy(grh, ipv6_hdr(skb), sizeof(struct ipv6hdr));
}

/* To the receive request in use; as odp_sg_copy(). */
static int odp_datagram_scatter(struct odp_qp *qp, struct sk_buff *skb)
{
	const struct odp_packet *pkt = odp_packet(skb);
	struct odp_rwqe *rwqe = qp->resp.rwqe;
	u32 *taken = &qp->resp.taken;
	union rdma_network_hdr grh;
	u32 done;
	int err;

	if (*taken < ODP_GRH_SIZE) {
		odp_grh_fill(&grh, skb);
		err = odp_sg_copy(odp_qp_recv_pd(qp), &qp->resp.half, rwqe->sge,
				  rwqe->num_sge, 0, &grh, ODP_GRH_SIZE, true,
				  taken);
		if (err)
			return err;
	}
	done = *taken - ODP_GRH_SIZE;
	err = odp_sg_copy(odp_qp_recv_pd(qp), &qp->resp.half, rwqe->sge,
			  rwqe->num_sge, ODP_GRH_SIZE, pkt->payload, pkt->len,
			  true, &done);
	*taken = ODP_GRH_SIZE + done;
	return err;
}

/* The receive request in use is wrong; no peer can be told. */
static int odp_datagram_fail(struct odp_qp *qp, enum ib_wc_status status)
{
	odp_responder_recv_error(qp, status);
	odp_qp_fail(qp);
	return 0;
}

static void odp_datagram_complete(struct odp_qp *qp,
				  const struct odp_packet *pkt)
{
	bool imm = pkt->flags & ODP_PKT_IMM;
	struct odp_cqe cqe = {
		.status = IB_WC_SUCCESS,
		.opcode = IB_WC_RECV,
		.byte_len = ODP_GRH_SIZE + pkt->len,
		.src_qp = be32_to_cpu(odp_packet_deth(pkt)->src_qpn) &
			  ODP_QPN_MASK,
		.wc_flags = IB_WC_GRH | (imm ? IB_WC_WITH_IMM : 0),
		.imm_data = imm ? odp_packet_imm(pkt) : 0,
		.vlan = pkt->vlan,
	};

	if (!odp_responder_push(qp, &cqe, pkt->bth->flags & ODP_BTH_SOLICITED))
		odp_qp_fatal(qp);
}

/**
 * odp_datagram_receive - takes in a datagram
 * @qp: The queue pair. Responder only.
 * @skb: The packet; not consumed.
 *
 * Return: 0, or -EAGAIN if a page is missing.
 */
int odp_datagram_receive(struct odp_qp *qp, struct sk_buff *skb)
{
	const struct odp_packet *pkt = odp_packet(skb);
	struct odp_responder *resp = &qp->resp;
	enum ib_wc_status status = IB_WC_SUCCESS;
	int err;

	if (!resp->have_rwqe && !odp_rq_take(qp, &status)) {
		odp_count(qp->dev, ODP_STAT_RX_DROPPED);
		return 0;
	}
	resp->have_rwqe = true;
	if (status != IB_WC_SUCCESS)
		return odp_datagram_fail(qp, status);
	/* 9.9.3: what is too long is lost, and the request is for the next one. */
	if (ODP_GRH_SIZE + pkt->len > resp->rwqe->length) {
		odp_count(qp->dev, ODP_STAT_RX_DROPPED);
		return 0;
	}
	err = odp_datagram_scatter(qp, skb);
	if (err == -EAGAIN)
		return err;
	if (err)
		return odp_datagram_fail(qp, IB_WC_LOC_PROT_ERR);
	odp_datagram_complete(qp, pkt);
	return 0;
}
