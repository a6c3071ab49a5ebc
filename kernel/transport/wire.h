/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * RoCEv2 on the wire: IBTA volume 1, chapter 9 (transport layer) and annexes A17 and A19.
 */
#ifndef ODP_WIRE_H
#define ODP_WIRE_H

#include <linux/netdevice.h>
#include <linux/types.h>
#include <rdma/ib_pack.h>

#define ODP_UDP_PORT		4791
#define ODP_ICRC_SIZE		4
/* The largest path MTU; no packet has more. */
#define ODP_MAX_PAYLOAD		4096
/* Room for link, IP and UDP headers before a packet. */
#define ODP_HEADROOM		ALIGN(MAX_HEADER + 48, 16)
#define ODP_PSN_MASK		0xffffffU
#define ODP_QPN_MASK		0xffffffU
#define ODP_SRQN_MASK		0xffffffU
/* The queue pair of the connection manager, on every device */
#define ODP_QPN_GSI		1U
/* The queue pairs that are attached to the group that a datagram is for */
#define ODP_QPN_MULTICAST	0xffffffU

/* struct odp_bth.opcode */
#define ODP_BTH_SERVICE_MASK	0xe0
/* The XRC service: operations are those of RC. */
#define ODP_OPCODE_XRC		0xa0

/* struct odp_bth.flags */
#define ODP_BTH_SOLICITED	0x80
#define ODP_BTH_MIGRATED	0x40
#define ODP_BTH_PAD_SHIFT	4
#define ODP_BTH_PAD_MASK	0x30
#define ODP_BTH_VERSION_MASK	0x0f

/* struct odp_bth.psn */
#define ODP_BTH_ACK_REQ		0x80000000U

/**
 * struct odp_bth - base transport header
 * @opcode: IB_OPCODE_*: the service in the upper 3 bits.
 * @flags: Solicited event, migration state, pad count, version.
 * @pkey: Partition key.
 * @qpn: Destination queue pair, below eight reserved bits.
 * @psn: Packet sequence number, below the acknowledge request bit.
 */
struct odp_bth {
	u8 opcode;
	u8 flags;
	__be16 pkey;
	__be32 qpn;
	__be32 psn;
};

/**
 * struct odp_reth - RDMA extended transport header
 * @va: Remote address.
 * @rkey: Remote key.
 * @len: Bytes.
 */
struct odp_reth {
	__be64 va;
	__be32 rkey;
	__be32 len;
} __packed;

/* The longest range that a RETH may name */
#define ODP_RETH_MAX_LEN	0x80000000U

/**
 * struct odp_feth - FLUSH extended transport header, annex A19
 * @bits: Placement types, selectivity level, and reserved bits, which say nothing.
 */
struct odp_feth {
	__be32 bits;
};

/* Placement types */
#define ODP_FETH_TYPES		0x0f
#define ODP_FETH_GLOBAL		0x01
#define ODP_FETH_PERSISTENT	0x02
/* Selectivity level */
#define ODP_FETH_LEVEL		0x30
#define ODP_FETH_RANGE		0x00
#define ODP_FETH_REGION		0x10

/**
 * struct odp_xrceth - XRC extended transport header
 * @srqn: Shared receive queue, below eight reserved bits.
 */
struct odp_xrceth {
	__be32 srqn;
};

/**
 * struct odp_deth - datagram extended transport header
 * @qkey: Q_Key.
 * @src_qpn: Source queue pair, below eight reserved bits.
 */
struct odp_deth {
	__be32 qkey;
	__be32 src_qpn;
};

/**
 * struct odp_atomic_eth - atomic extended transport header
 * @va: Remote address.
 * @rkey: Remote key.
 * @swap_add: What to store, or to add.
 * @compare: What to compare with.
 */
struct odp_atomic_eth {
	__be64 va;
	__be32 rkey;
	__be64 swap_add;
	__be64 compare;
} __packed;

/**
 * struct odp_atomic_ack_eth - atomic acknowledge extended transport header
 * @old: What was there before.
 */
struct odp_atomic_ack_eth {
	__be64 old;
} __packed;

/**
 * struct odp_aeth - acknowledge extended transport header
 * @smsn: Syndrome in the upper 8 bits, message sequence number below.
 */
struct odp_aeth {
	__be32 smsn;
};

/* Syndromes, IBTA 9.7.5.2.1: kind in bits 5 and 6, detail below. */
#define ODP_AETH_KIND		0x60
#define ODP_AETH_ACK		0x00
#define ODP_AETH_RNR		0x20
#define ODP_AETH_NAK		0x60
#define ODP_AETH_DETAIL		0x1f
/* An ACK that carries no credit count. */
#define ODP_SYNDROME_ACK	(ODP_AETH_ACK | 0x1f)
#define ODP_SYNDROME_NAK_SEQ	(ODP_AETH_NAK | 0)
#define ODP_SYNDROME_NAK_INV	(ODP_AETH_NAK | 1)
#define ODP_SYNDROME_NAK_ACCESS	(ODP_AETH_NAK | 2)
#define ODP_SYNDROME_NAK_OP	(ODP_AETH_NAK | 3)

/* a - b of PSNs, as a signed number of packets */
static inline s32 odp_psn_diff(u32 a, u32 b)
{
	return (s32)((a - b) << 8) >> 8;
}

static inline u32 odp_psn_add(u32 psn, u32 n)
{
	return (psn + n) & ODP_PSN_MASK;
}

#endif /* ODP_WIRE_H */
