/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Packets: made, sent, taken apart.
 */
#ifndef ODP_PACKET_H
#define ODP_PACKET_H

#include <linux/skbuff.h>

#include "wire.h"

struct odp_atomic;
struct odp_av;
struct odp_dev;
struct odp_qp;
struct odp_remote;
struct odp_send_wqe;

/**
 * enum odp_packet_flags - what an opcode means
 * @ODP_PKT_VALID: The opcode is known here.
 * @ODP_PKT_RESPONSE: For the requester; else for the responder.
 * @ODP_PKT_FIRST: Begins a message.
 * @ODP_PKT_LAST: Ends a message.
 * @ODP_PKT_SEND: Part of a SEND.
 * @ODP_PKT_WRITE: Part of an RDMA WRITE.
 * @ODP_PKT_READ: An RDMA READ request or response.
 * @ODP_PKT_RETH: Has a RETH.
 * @ODP_PKT_AETH: Has an AETH.
 * @ODP_PKT_IMM: Has immediate data.
 * @ODP_PKT_PAYLOAD: May have a payload.
 * @ODP_PKT_ATOMIC: An atomic request, or the response to one. An ATOMIC WRITE is
 *	one, too, with the headers of a WRITE; its response is that to a READ.
 * @ODP_PKT_DETH: Has a DETH.
 * @ODP_PKT_INV: Has a key to invalidate, in the place of immediate data.
 * @ODP_PKT_XRCETH: Has an XRCETH, before all other headers but the first.
 * @ODP_PKT_ATOMIC_ETH: Has an atomic header, of a response behind the AETH.
 * @ODP_PKT_FLUSH: A FLUSH request. Has a FETH, before the RETH.
 */
enum odp_packet_flags {
	ODP_PKT_VALID		= BIT(0),
	ODP_PKT_RESPONSE	= BIT(1),
	ODP_PKT_FIRST		= BIT(2),
	ODP_PKT_LAST		= BIT(3),
	ODP_PKT_SEND		= BIT(4),
	ODP_PKT_WRITE		= BIT(5),
	ODP_PKT_READ		= BIT(6),
	ODP_PKT_RETH		= BIT(7),
	ODP_PKT_AETH		= BIT(8),
	ODP_PKT_IMM		= BIT(9),
	ODP_PKT_PAYLOAD		= BIT(10),
	ODP_PKT_ATOMIC		= BIT(11),
	ODP_PKT_DETH		= BIT(12),
	ODP_PKT_INV		= BIT(13),
	ODP_PKT_XRCETH		= BIT(14),
	ODP_PKT_ATOMIC_ETH	= BIT(15),
	ODP_PKT_FLUSH		= BIT(16),
};

/**
 * struct odp_packet - a received packet, kept in skb->cb
 * @bth: Base transport header.
 * @ext: Headers behind it, and behind the XRCETH and the FETH.
 * @payload: Payload.
 * @len: Bytes of it, without padding.
 * @flags: enum odp_packet_flags of the opcode.
 * @psn: PSN.
 * @vlan: One more than the number of the VLAN whose address a datagram is for; 0:
 *	of none.
 */
struct odp_packet {
	struct odp_bth *bth;
	void *ext;
	void *payload;
	u32 len;
	u32 flags;
	u32 psn;
	u16 vlan;
};

static inline struct odp_packet *odp_packet(struct sk_buff *skb)
{
	BUILD_BUG_ON(sizeof(struct odp_packet) > sizeof(skb->cb));
	return (struct odp_packet *)skb->cb;
}

/* The shared receive queue that a request names; 0 is none. */
static inline u32 odp_packet_srqn(const struct odp_packet *pkt)
{
	const struct odp_xrceth *xrceth = (void *)(pkt->bth + 1);

	if (!(pkt->flags & ODP_PKT_XRCETH))
		return 0;
	return be32_to_cpu(xrceth->srqn) & ODP_SRQN_MASK;
}

static inline struct odp_feth *odp_packet_feth(const struct odp_packet *pkt)
{
	return (struct odp_feth *)pkt->ext - 1;
}

static inline struct odp_reth *odp_packet_reth(const struct odp_packet *pkt)
{
	return pkt->ext;
}

static inline struct odp_aeth *odp_packet_aeth(const struct odp_packet *pkt)
{
	return pkt->ext;
}

static inline struct odp_atomic_eth *
odp_packet_atomic(const struct odp_packet *pkt)
{
	return pkt->ext;
}

static inline struct odp_atomic_ack_eth *
odp_packet_atomic_ack(const struct odp_packet *pkt)
{
	return (void *)(odp_packet_aeth(pkt) + 1);
}

static inline struct odp_deth *odp_packet_deth(const struct odp_packet *pkt)
{
	return pkt->ext;
}

/* The header before the payload */
static inline __be32 odp_packet_imm(const struct odp_packet *pkt)
{
	return *((__be32 *)pkt->payload - 1);
}

static inline u32 odp_packet_invalidate(const struct odp_packet *pkt)
{
	return be32_to_cpu(*(__be32 *)pkt->ext);
}

/**
 * struct odp_packet_spec - a packet to be made
 * @opcode: IB_OPCODE_*; connected services: of RC.
 * @psn: PSN.
 * @len: Bytes of payload.
 * @solicited: Solicited event bit.
 * @ack_req: Acknowledge request bit.
 * @reth: For opcodes that have one or an atomic header.
 * @syndrome: For opcodes that have an AETH.
 * @msn: The same.
 * @imm: For opcodes that have immediate data.
 * @invalidate: For opcodes that have a key to invalidate.
 * @atomic: For requests that have an atomic header.
 * @old: For responses to them.
 * @datagram: For datagrams: the request that says where to.
 * @srqn: For XRC requests: the shared receive queue.
 */
struct odp_packet_spec {
	u8 opcode;
	u32 psn;
	u32 len;
	bool solicited;
	bool ack_req;
	struct odp_remote *reth;
	u8 syndrome;
	u32 msn;
	__be32 imm;
	u32 invalidate;
	const struct odp_atomic *atomic;
	u64 old;
	const struct odp_send_wqe *datagram;
	u32 srqn;
};

u32 odp_opcode_flags(u8 opcode);
bool odp_packet_parse(struct sk_buff *skb, struct odp_bth *bth, u32 len);
struct sk_buff *odp_packet_new(struct odp_qp *qp,
			       const struct odp_packet_spec *spec);

/* The payload of a packet that was made for @len bytes of it. */
static inline void *odp_packet_payload(struct sk_buff *skb, u32 len)
{
	return skb_tail_pointer(skb) - ODP_ICRC_SIZE - ALIGN(len, 4);
}

/* icrc.c */
u32 odp_icrc(const struct sk_buff *skb, const void *ip, bool v6, u32 len);

/* net.c */
void odp_packet_xmit(struct odp_qp *qp, struct sk_buff *skb);
void odp_datagram_xmit(struct odp_qp *qp, struct sk_buff *skb,
		       const struct odp_av *av);
bool odp_net_expects(const struct odp_qp *qp, struct sk_buff *skb);
void odp_net_accept(struct odp_qp *qp, struct sk_buff *skb);
enum ib_mtu odp_device_mtu(const struct odp_dev *dev);
void odp_packet_dgid(const struct sk_buff *skb, union ib_gid *gid);
int odp_net_get(struct odp_dev *dev);
void odp_net_put(struct odp_dev *dev);
int odp_net_module_init(void);
void odp_net_module_exit(void);

#endif /* ODP_PACKET_H */
