// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Packets: headers behind the UDP header, IBTA volume 1 chapter 9.
 */
#include "../compat/verbs.h"
#include "packet.h"
#include "qp.h"
#include "window.h"

#define P_SEND	(ODP_PKT_VALID | ODP_PKT_SEND | ODP_PKT_PAYLOAD)
#define P_WRITE	(ODP_PKT_VALID | ODP_PKT_WRITE | ODP_PKT_PAYLOAD)
#define P_READ	(ODP_PKT_VALID | ODP_PKT_READ)
#define P_ATOMIC	(ODP_PKT_VALID | ODP_PKT_ATOMIC)
#define P_ATOMIC_ETH	ODP_PKT_ATOMIC_ETH
#define P_ANSWER	(P_READ | ODP_PKT_RESPONSE | ODP_PKT_PAYLOAD)
#define P_FIRST	ODP_PKT_FIRST
#define P_LAST	ODP_PKT_LAST
#define P_ONLY	(ODP_PKT_FIRST | ODP_PKT_LAST)
#define P_RETH	ODP_PKT_RETH
#define P_AETH	ODP_PKT_AETH
#define P_IMM	ODP_PKT_IMM
#define P_INV	ODP_PKT_INV
#define P_FLUSH	(ODP_PKT_VALID | ODP_PKT_FLUSH)
/* Requests that are for others to know: the peer hears that they are not known. */
#define P_OTHER	(ODP_PKT_VALID | P_ONLY | ODP_PKT_PAYLOAD)

/*
 * Of the RC service; those of UC are the same as far as there are any, those of XRC
 * but for the XRCETH.
 */
static const u32 odp_opcodes[] = {
	[IB_OPCODE_RC_SEND_FIRST]			= P_SEND | P_FIRST,
	[IB_OPCODE_RC_SEND_MIDDLE]			= P_SEND,
	[IB_OPCODE_RC_SEND_LAST]			= P_SEND | P_LAST,
	[IB_OPCODE_RC_SEND_LAST_WITH_IMMEDIATE]		= P_SEND | P_LAST | P_IMM,
	[IB_OPCODE_RC_SEND_ONLY]			= P_SEND | P_ONLY,
	[IB_OPCODE_RC_SEND_ONLY_WITH_IMMEDIATE]		= P_SEND | P_ONLY | P_IMM,
	[IB_OPCODE_RC_RDMA_WRITE_FIRST]			= P_WRITE | P_FIRST | P_RETH,
	[IB_OPCODE_RC_RDMA_WRITE_MIDDLE]		= P_WRITE,
	[IB_OPCODE_RC_RDMA_WRITE_LAST]			= P_WRITE | P_LAST,
	[IB_OPCODE_RC_RDMA_WRITE_LAST_WITH_IMMEDIATE]	= P_WRITE | P_LAST | P_IMM,
	[IB_OPCODE_RC_RDMA_WRITE_ONLY]			= P_WRITE | P_ONLY | P_RETH,
	[IB_OPCODE_RC_RDMA_WRITE_ONLY_WITH_IMMEDIATE]	=
		P_WRITE | P_ONLY | P_RETH | P_IMM,
	[IB_OPCODE_RC_RDMA_READ_REQUEST]		= P_READ | P_ONLY | P_RETH,
	[IB_OPCODE_RC_RDMA_READ_RESPONSE_FIRST]		= P_ANSWER | P_FIRST | P_AETH,
	[IB_OPCODE_RC_RDMA_READ_RESPONSE_MIDDLE]	= P_ANSWER,
	[IB_OPCODE_RC_RDMA_READ_RESPONSE_LAST]		= P_ANSWER | P_LAST | P_AETH,
	[IB_OPCODE_RC_RDMA_READ_RESPONSE_ONLY]		= P_ANSWER | P_ONLY | P_AETH,
	[IB_OPCODE_RC_ACKNOWLEDGE]			=
		ODP_PKT_VALID | ODP_PKT_RESPONSE | P_ONLY | P_AETH,
	[IB_OPCODE_RC_ATOMIC_ACKNOWLEDGE]		=
		P_ATOMIC | ODP_PKT_RESPONSE | P_ONLY | P_AETH | P_ATOMIC_ETH,
	[IB_OPCODE_RC_COMPARE_SWAP]			= P_ATOMIC | P_ONLY | P_ATOMIC_ETH,
	[IB_OPCODE_RC_FETCH_ADD]			= P_ATOMIC | P_ONLY | P_ATOMIC_ETH,
	[IB_OPCODE_RC_SEND_LAST_WITH_INVALIDATE]	= P_SEND | P_LAST | P_INV,
	[IB_OPCODE_RC_SEND_ONLY_WITH_INVALIDATE]	= P_SEND | P_ONLY | P_INV,
	[ODP_OPCODE_FLUSH]				= P_FLUSH | P_ONLY | P_RETH,
	[ODP_OPCODE_ATOMIC_WRITE]			=
		P_ATOMIC | P_ONLY | P_RETH | ODP_PKT_PAYLOAD,
};

/**
 * odp_opcode_flags - what an opcode means
 * @opcode: Any value.
 *
 * Return: enum odp_packet_flags; 0 if the opcode is not known here.
 */
u32 odp_opcode_flags(u8 opcode)
{
	u8 service = opcode & ODP_BTH_SERVICE_MASK;
	u32 flags;

	switch (opcode) {
	case IB_OPCODE_UD_SEND_ONLY:
		return P_SEND | P_ONLY | ODP_PKT_DETH;
	case IB_OPCODE_UD_SEND_ONLY_WITH_IMMEDIATE:
		return P_SEND | P_ONLY | ODP_PKT_DETH | P_IMM;
	case IB_OPCODE_UC ... IB_OPCODE_UC_RDMA_WRITE_ONLY_WITH_IMMEDIATE:
		return odp_opcodes[opcode - IB_OPCODE_UC];
	default:
		break;
	}
	if (service != IB_OPCODE_RC && service != ODP_OPCODE_XRC)
		return 0;
	opcode -= service;
	flags = opcode < ARRAY_SIZE(odp_opcodes) ? odp_opcodes[opcode] : 0;
	if (!flags)
		flags = P_OTHER;
	if (service == ODP_OPCODE_XRC && !(flags & ODP_PKT_RESPONSE))
		flags |= ODP_PKT_XRCETH;
	return flags;
}

static u32 odp_header_len(u32 flags)
{
	u32 len = sizeof(struct odp_bth);

	if (flags & ODP_PKT_XRCETH)
		len += sizeof(struct odp_xrceth);
	if (flags & ODP_PKT_FLUSH)
		len += sizeof(struct odp_feth);
	if (flags & ODP_PKT_RETH)
		len += sizeof(struct odp_reth);
	if (flags & ODP_PKT_AETH)
		len += sizeof(struct odp_aeth);
	if (flags & ODP_PKT_DETH)
		len += sizeof(struct odp_deth);
	if (flags & (ODP_PKT_IMM | ODP_PKT_INV))
		len += sizeof(__be32);
	if (flags & ODP_PKT_ATOMIC_ETH)
		len += flags & ODP_PKT_RESPONSE ?
			sizeof(struct odp_atomic_ack_eth) :
			sizeof(struct odp_atomic_eth);
	return len;
}

/**
 * odp_packet_parse - takes a received packet apart
 * @skb: Linear; odp_packet() of it is filled in.
 * @bth: Where the base transport header is.
 * @len: Bytes from there to the end of the UDP datagram.
 *
 * Return: false if it is no packet that this device understands.
 */
bool odp_packet_parse(struct sk_buff *skb, struct odp_bth *bth, u32 len)
{
	struct odp_packet *pkt = odp_packet(skb);
	u32 header, pad;

	if (len < sizeof(*bth) + ODP_ICRC_SIZE ||
	    bth->flags & ODP_BTH_VERSION_MASK)
		return false;
	pkt->flags = odp_opcode_flags(bth->opcode);
	if (!pkt->flags)
		return false;

	header = odp_header_len(pkt->flags);
	pad = (bth->flags & ODP_BTH_PAD_MASK) >> ODP_BTH_PAD_SHIFT;
	if (len < header + pad + ODP_ICRC_SIZE)
		return false;
	pkt->bth = bth;
	pkt->ext = bth + 1;
	if (pkt->flags & ODP_PKT_XRCETH)
		pkt->ext += sizeof(struct odp_xrceth);
	if (pkt->flags & ODP_PKT_FLUSH)
		pkt->ext += sizeof(struct odp_feth);
	pkt->payload = (void *)bth + header;
	pkt->len = len - header - pad - ODP_ICRC_SIZE;
	pkt->psn = be32_to_cpu(bth->psn) & ODP_PSN_MASK;
	pkt->vlan = 0;
	return !pkt->len || pkt->flags & ODP_PKT_PAYLOAD;
}

static void odp_put_atomic(struct sk_buff *skb, u32 flags,
			   const struct odp_packet_spec *spec)
{
	struct odp_atomic_ack_eth *ack;
	struct odp_atomic_eth *eth;

	if (flags & ODP_PKT_RESPONSE) {
		ack = skb_put(skb, sizeof(*ack));
		ack->old = cpu_to_be64(spec->old);
	} else {
		eth = skb_put(skb, sizeof(*eth));
		eth->va = cpu_to_be64(spec->reth->va);
		eth->rkey = cpu_to_be32(spec->reth->rkey);
		eth->swap_add = cpu_to_be64(spec->atomic->swap_add);
		eth->compare = cpu_to_be64(spec->atomic->compare);
	}
}

static void odp_put_deth(struct sk_buff *skb, const struct odp_qp *qp,
			 const struct odp_packet_spec *spec)
{
	struct odp_deth *deth = skb_put(skb, sizeof(*deth));
	u32 qkey = spec->datagram->remote_qkey;

	if (qkey & ODP_QKEY_OWN)
		qkey = READ_ONCE(qp->attr.qkey);
	deth->qkey = cpu_to_be32(qkey);
	deth->src_qpn = cpu_to_be32(qp->ib.qp_num);
}

static void odp_put_extensions(struct sk_buff *skb, u32 flags,
			       const struct odp_qp *qp,
			       const struct odp_packet_spec *spec)
{
	if (flags & ODP_PKT_XRCETH) {
		struct odp_xrceth *xrceth = skb_put(skb, sizeof(*xrceth));

		xrceth->srqn = cpu_to_be32(spec->srqn & ODP_SRQN_MASK);
	}
	if (flags & ODP_PKT_RETH) {
		struct odp_reth *reth = skb_put(skb, sizeof(*reth));

		reth->va = cpu_to_be64(spec->reth->va);
		reth->rkey = cpu_to_be32(spec->reth->rkey);
		reth->len = cpu_to_be32(spec->reth->left);
	}
	if (flags & ODP_PKT_AETH) {
		struct odp_aeth *aeth = skb_put(skb, sizeof(*aeth));

		aeth->smsn = cpu_to_be32((u32)spec->syndrome << 24 | spec->msn);
	}
	if (flags & ODP_PKT_DETH)
		odp_put_deth(skb, qp, spec);
	if (flags & ODP_PKT_IMM)
		*(__be32 *)skb_put(skb, sizeof(__be32)) = spec->imm;
	if (flags & ODP_PKT_INV)
		*(__be32 *)skb_put(skb, sizeof(__be32)) =
			cpu_to_be32(spec->invalidate);
	if (flags & ODP_PKT_ATOMIC_ETH)
		odp_put_atomic(skb, flags, spec);
}

/**
 * odp_packet_new - makes a packet
 * @qp: The queue pair that sends it.
 * @spec: What it is.
 *
 * Any context but hard interrupts. Return: the packet, from the base transport
 * header to the room for the ICRC, or NULL if there is no memory.
 */
struct sk_buff *odp_packet_new(struct odp_qp *qp,
			       const struct odp_packet_spec *spec)
{
	u8 opcode = spec->opcode | odp_qp_service(qp);
	u32 flags = odp_opcode_flags(opcode);
	u32 pad = -spec->len & 3;
	u32 qpn = spec->datagram ? spec->datagram->remote_qpn : qp->dest_qpn;
	struct odp_bth *bth;
	struct sk_buff *skb;

	skb = alloc_skb(ODP_HEADROOM + odp_header_len(flags) + spec->len + pad +
			ODP_ICRC_SIZE, GFP_ATOMIC | __GFP_NOWARN);
	if (!skb)
		return NULL;
	skb_reserve(skb, ODP_HEADROOM);

	bth = skb_put(skb, sizeof(*bth));
	bth->opcode = opcode;
	bth->flags = ODP_BTH_MIGRATED | pad << ODP_BTH_PAD_SHIFT |
		     (spec->solicited ? ODP_BTH_SOLICITED : 0);
	bth->pkey = cpu_to_be16(qp->pkey);
	bth->qpn = cpu_to_be32(qpn & ODP_QPN_MASK);
	bth->psn = cpu_to_be32(spec->psn |
			       (spec->ack_req ? ODP_BTH_ACK_REQ : 0));
	odp_put_extensions(skb, flags, qp, spec);
	skb_put(skb, spec->len);
	skb_put_zero(skb, pad);
	skb_put(skb, ODP_ICRC_SIZE);
	return skb;
}
