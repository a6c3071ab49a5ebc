// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The invariant CRC: IBTA volume 1, 7.8.1, and annex A17.3.3 for RoCEv2.
 *
 * It covers 8 bytes of ones in place of the InfiniBand local route header, the
 * IP and UDP headers and all that follows, with ones in place of the fields
 * that routers change. It is sent in the order of an Ethernet FCS.
 */
#include <linux/crc32.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include "packet.h"

#define ODP_LRH_SIZE	8

static u32 odp_mask_ipv4(u8 *buf, const struct iphdr *ip)
{
	struct iphdr *masked = (void *)buf;

	memcpy(masked, ip, sizeof(*ip));
	masked->tos = 0xff;
	masked->ttl = 0xff;
	masked->check = (__force __sum16)0xffff;
	return sizeof(*ip);
}

static u32 odp_mask_ipv6(u8 *buf, const struct ipv6hdr *ip)
{
	struct ipv6hdr *masked = (void *)buf;

	memcpy(masked, ip, sizeof(*ip));
	*(__be32 *)masked |= cpu_to_be32(0x0fffffff);
	masked->hop_limit = 0xff;
	return sizeof(*ip);
}

/**
 * odp_icrc - computes the ICRC of a packet
 * @skb: Linear, and the transport header is set to the UDP header.
 * @ip: The IP header, without options or extension headers.
 * @v6: It is an IPv6 header.
 * @len: Bytes from the base transport header to the ICRC.
 *
 * Return: the value to store in little-endian order.
 */
u32 odp_icrc(const struct sk_buff *skb, const void *ip, bool v6, u32 len)
{
	u8 buf[ODP_LRH_SIZE + sizeof(struct ipv6hdr) + sizeof(struct udphdr) +
	       sizeof(struct odp_bth)] __aligned(8);
	struct udphdr *udp;
	struct odp_bth *bth;
	const void *data;
	u32 n = ODP_LRH_SIZE;
	u32 crc;

	memset(buf, 0xff, ODP_LRH_SIZE);
	n += v6 ? odp_mask_ipv6(buf + n, ip) : odp_mask_ipv4(buf + n, ip);

	udp = (void *)(buf + n);
	memcpy(udp, udp_hdr(skb), sizeof(*udp));
	udp->check = (__force __sum16)0xffff;
	n += sizeof(*udp);

	data = udp_hdr(skb) + 1;
	bth = (void *)(buf + n);
	memcpy(bth, data, sizeof(*bth));
	bth->qpn |= cpu_to_be32(~ODP_QPN_MASK);
	n += sizeof(*bth);

	crc = crc32_le(~0, buf, n);
	return ~crc32_le(crc, data + sizeof(*bth), len - sizeof(*bth));
}
