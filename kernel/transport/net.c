// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The network: UDP sockets, routes, sending and receiving.
 *
 * Each network namespace that has a device has one pair of sockets on port
 * 4791, made with the first device there and closed with the last one, which the
 * namespace waits for when it goes. A packet finds its queue pair by number alone, as numbers are
 * unique in the module; it is taken only if it comes through the namespace of
 * the queue pair's device, from the address of its peer to its own address.
 * A datagram may come from anywhere, to any address of the device; those for
 * multicast groups find their queue pairs by address (multicast.c), as do those
 * for the connection manager, whose queue pairs all have the same number.
 */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/module.h>
#include <linux/udp.h>
#include <linux/wait_bit.h>
#include <net/ip.h>
#include <net/ip6_route.h>
#include <net/netns/generic.h>
#include <net/route.h>
#include <net/udp_tunnel.h>
#include <rdma/ib_addr.h>

#include "packet.h"
#include "qp.h"

/**
 * struct odp_net - what the module has in a network namespace
 * @devices: Devices there; the namespace waits for them when it goes.
 * @lock: Protects all that follows.
 * @users: Devices that use the sockets.
 * @sk4: IPv4 socket, if there are users.
 * @sk6: IPv6 socket, if there are users and the kernel has IPv6.
 */
struct odp_net {
	atomic_t devices;
	struct mutex lock;	/* all below */
	unsigned int users;
	struct socket *sk4;
	struct socket *sk6;
};

static unsigned int odp_net_id;

/**
 * odp_device_mtu - the largest path MTU that the interface has room for
 * @dev: The device.
 */
enum ib_mtu odp_device_mtu(const struct odp_dev *dev)
{
	return max(iboe_get_mtu(READ_ONCE(dev->ndev->mtu)), IB_MTU_256);
}

/**
 * odp_packet_dgid - where a received packet was sent to
 * @skb: The packet.
 * @gid: Set to the address.
 */
void odp_packet_dgid(const struct sk_buff *skb, union ib_gid *gid)
{
	struct in6_addr *addr = (void *)gid;

	if (skb->protocol == htons(ETH_P_IP))
		ipv6_addr_set_v4mapped(ip_hdr(skb)->daddr, addr);
	else
		*addr = ipv6_hdr(skb)->daddr;
}

static bool odp_packet_from_peer(const struct odp_qp *qp, struct sk_buff *skb)
{
	const struct odp_av *av = &qp->av;

	if (skb->protocol == htons(ETH_P_IP))
		return av->family == AF_INET &&
		       ip_hdr(skb)->saddr == av->daddr4 &&
		       ip_hdr(skb)->daddr == av->saddr4;
	return av->family == AF_INET6 &&
	       ipv6_addr_equal(&ipv6_hdr(skb)->saddr, &av->daddr6) &&
	       ipv6_addr_equal(&ipv6_hdr(skb)->daddr, &av->saddr6);
}

static bool odp_icrc_right(struct sk_buff *skb, struct odp_bth *bth, u32 len)
{
	__le32 *icrc = (void *)bth + len - ODP_ICRC_SIZE;
	bool v6 = skb->protocol == htons(ETH_P_IPV6);

	return get_unaligned_le32(icrc) ==
	       odp_icrc(skb, skb_network_header(skb), v6,
			len - ODP_ICRC_SIZE);
}

/* Is it of the service of the queue pair, and from and to whom it may be? */
static bool odp_packet_expected(const struct odp_qp *qp, struct sk_buff *skb)
{
	const struct odp_packet *pkt = odp_packet(skb);
	u8 service = pkt->bth->opcode & ODP_BTH_SERVICE_MASK;

	if (service != odp_qp_service(qp))
		return false;
	if (odp_qp_is_datagram(qp))
		return odp_datagram_expected(qp, skb);
	return odp_packet_from_peer(qp, skb) &&
	       (service != ODP_OPCODE_XRC || odp_xrc_expected(qp, pkt));
}

/**
 * odp_net_expects - may a packet be for a queue pair? Counts those that may not.
 * @qp: The queue pair, held.
 * @skb: The packet.
 */
bool odp_net_expects(const struct odp_qp *qp, struct sk_buff *skb)
{
	const struct odp_packet *pkt = odp_packet(skb);

	/* Before that there is no address that could be compared. */
	if (odp_qp_state_receives(odp_qp_state(qp)) &&
	    odp_packet_expected(qp, skb) && pkt->len <= ODP_MAX_PAYLOAD &&
	    !((be16_to_cpu(pkt->bth->pkey) ^ qp->pkey) & 0x7fff))
		return true;
	odp_count(qp->dev, ODP_STAT_RX_DROPPED);
	return false;
}

/**
 * odp_net_accept - gives a packet to a queue pair
 * @qp: The queue pair, held.
 * @skb: The packet, expected and with a right ICRC; consumed.
 */
void odp_net_accept(struct odp_qp *qp, struct sk_buff *skb)
{
	odp_count(qp->dev, ODP_STAT_RX_PACKETS);
	odp_qp_receive(qp, skb);
}

static void odp_net_deliver(struct odp_qp *qp, struct sk_buff *skb, u32 len)
{
	if (!odp_net_expects(qp, skb)) {
		kfree_skb(skb);
	} else if (!odp_icrc_right(skb, odp_packet(skb)->bth, len)) {
		odp_count(qp->dev, ODP_STAT_RX_ICRC);
		kfree_skb(skb);
	} else {
		odp_net_accept(qp, skb);
	}
}

/* Who a packet is for, held; NULL: nobody here. */
static struct odp_qp *odp_net_find_qp(const struct net *net,
				      const struct sk_buff *skb, u32 qpn)
{
	union ib_gid gid;

	if (qpn != ODP_QPN_GSI)
		return odp_qp_get(qpn);
	odp_packet_dgid(skb, &gid);
	return odp_qp_get_gsi(net, &gid);
}

/* A datagram on port 4791, in softirq; data starts with the UDP header. */
static int odp_net_rcv(struct sock *sk, struct sk_buff *skb)
{
	struct odp_bth *bth;
	struct odp_qp *qp = NULL;
	u32 len, qpn;

	/* Headers are short, but a payload may come in page fragments. */
	if (skb->len < sizeof(struct udphdr) || skb_linearize(skb))
		goto drop;
	bth = (void *)(udp_hdr(skb) + 1);
	len = be16_to_cpu(udp_hdr(skb)->len);
	if (len < sizeof(struct udphdr) || len > skb->len)
		goto drop;
	len -= sizeof(struct udphdr);
	if (!odp_packet_parse(skb, bth, len))
		goto drop;

	qpn = be32_to_cpu(bth->qpn) & ODP_QPN_MASK;
	if (qpn == ODP_QPN_MULTICAST) {
		if (odp_icrc_right(skb, bth, len))
			odp_multicast_receive(skb);
		goto drop;
	}
	qp = odp_net_find_qp(sock_net(sk), skb, qpn);
	if (!qp || !net_eq(qp->dev->net, sock_net(sk)))
		goto drop;
	odp_net_deliver(qp, skb, len);
	odp_qp_put(qp);
	return 0;

drop:
	if (qp)
		odp_qp_put(qp);
	kfree_skb(skb);
	return 0;
}

static struct socket *odp_socket(struct net *net, bool v6)
{
	struct udp_port_cfg port = {
		.family = v6 ? AF_INET6 : AF_INET,
		.local_udp_port = htons(ODP_UDP_PORT),
		.ipv6_v6only = v6,
	};
	struct udp_tunnel_sock_cfg tunnel = {
		.encap_type = 1,
		.encap_rcv = odp_net_rcv,
	};
	struct socket *sock;
	int err;

	err = udp_sock_create(net, &port, &sock);
	if (err)
		return ERR_PTR(err);
	setup_udp_tunnel_sock(net, sock, &tunnel);
	return sock;
}

static void odp_net_close(struct odp_net *on)
{
	if (on->sk4)
		udp_tunnel_sock_release(on->sk4);
	if (on->sk6)
		udp_tunnel_sock_release(on->sk6);
	on->sk4 = NULL;
	on->sk6 = NULL;
}

static int odp_net_open(struct odp_net *on, struct net *net)
{
	struct socket *sock;

	sock = odp_socket(net, false);
	if (IS_ERR(sock))
		return PTR_ERR(sock);
	on->sk4 = sock;

	sock = odp_socket(net, true);
	/* The kernel, or this namespace, may be without IPv6. */
	if (IS_ERR(sock) && PTR_ERR(sock) != -EAFNOSUPPORT &&
	    PTR_ERR(sock) != -EPFNOSUPPORT) {
		odp_net_close(on);
		return PTR_ERR(sock);
	}
	if (!IS_ERR(sock))
		on->sk6 = sock;
	return 0;
}

/**
 * odp_net_get - opens the sockets that a device needs
 * @dev: The device; its net is set.
 *
 * Return: 0, or an error that was told to the kernel log.
 */
int odp_net_get(struct odp_dev *dev)
{
	struct odp_net *on = net_generic(dev->net, odp_net_id);
	int err = 0;

	mutex_lock(&on->lock);
	if (!on->users)
		err = odp_net_open(on, dev->net);
	if (!err) {
		on->users++;
		atomic_inc(&on->devices);
	}
	mutex_unlock(&on->lock);

	if (err == -EADDRINUSE)
		pr_err_ratelimited("%s: UDP port %d is taken in this network namespace, probably by rdma_rxe: unload it first (rmmod rdma_rxe)\n",
				   netdev_name(dev->ndev), ODP_UDP_PORT);
	else if (err)
		pr_err_ratelimited("%s: cannot open UDP port %d: error %d\n",
				   netdev_name(dev->ndev), ODP_UDP_PORT, err);
	return err;
}

/**
 * odp_net_put - undoes odp_net_get()
 * @dev: The device.
 */
void odp_net_put(struct odp_dev *dev)
{
	struct odp_net *on = net_generic(dev->net, odp_net_id);

	mutex_lock(&on->lock);
	if (!--on->users)
		odp_net_close(on);
	mutex_unlock(&on->lock);
	/* From here on the namespace may go. */
	if (atomic_dec_and_test(&on->devices))
		wake_up_var(&on->devices);
}

static struct dst_entry *odp_route4(struct net *net, const struct odp_av *av,
				    struct dst_cache *cache)
{
	struct flowi4 fl = {
		.flowi4_oif = av->oif,
		.flowi4_proto = IPPROTO_UDP,
		.flowi4_tos = RT_TOS(av->tos),
		.saddr = av->saddr4,
		.daddr = av->daddr4,
		.fl4_sport = av->sport,
		.fl4_dport = htons(ODP_UDP_PORT),
	};
	struct rtable *rt = NULL;
	__be32 saddr;

	if (cache)
		rt = dst_cache_get_ip4(cache, &saddr);
	if (rt)
		return &rt->dst;
	rt = ip_route_output_key(net, &fl);
	if (IS_ERR(rt))
		return NULL;
	if (cache)
		dst_cache_set_ip4(cache, &rt->dst, fl.saddr);
	return &rt->dst;
}

#if IS_ENABLED(CONFIG_IPV6)
static struct dst_entry *odp_route6(struct net *net, const struct odp_av *av,
				    struct dst_cache *cache)
{
	struct flowi6 fl = {
		.flowi6_oif = av->oif,
		.flowi6_proto = IPPROTO_UDP,
		.flowlabel = cpu_to_be32(av->flow_label),
		.saddr = av->saddr6,
		.daddr = av->daddr6,
		.fl6_sport = av->sport,
		.fl6_dport = htons(ODP_UDP_PORT),
	};
	struct dst_entry *dst = NULL;
	struct in6_addr saddr;

	if (cache)
		dst = dst_cache_get_ip6(cache, &saddr);
	if (dst)
		return dst;
	dst = ip6_dst_lookup_flow(net, NULL, &fl, NULL);
	if (IS_ERR(dst))
		return NULL;
	if (cache)
		dst_cache_set_ip6(cache, dst, &fl.saddr);
	return dst;
}
#else
static struct dst_entry *odp_route6(struct net *net, const struct odp_av *av,
				    struct dst_cache *cache)
{
	return NULL;
}
#endif

/* The route cache is per CPU, and so not to be left in the middle. */
static struct dst_entry *odp_route(struct net *net, const struct odp_av *av,
				   struct dst_cache *cache)
{
	struct dst_entry *dst;

	local_bh_disable();
	dst = av->family == AF_INET ? odp_route4(net, av, cache) :
				      odp_route6(net, av, cache);
	local_bh_enable();
	return dst;
}

static void odp_push_udp(const struct odp_av *av, struct sk_buff *skb)
{
	struct udphdr *udp;

	udp = skb_push(skb, sizeof(*udp));
	skb_reset_transport_header(skb);
	udp->source = av->sport;
	udp->dest = htons(ODP_UDP_PORT);
	udp->len = htons(skb->len);
	/* The ICRC does the work; annex A17 wants zero here. */
	udp->check = 0;
}

static void odp_push_ip(const struct odp_av *av, struct sk_buff *skb)
{
	struct ipv6hdr *ip6;
	struct iphdr *ip;

	if (av->family == AF_INET) {
		ip = skb_push(skb, sizeof(*ip));
		skb_reset_network_header(skb);
		ip->version = IPVERSION;
		ip->ihl = sizeof(*ip) >> 2;
		ip->tos = av->tos;
		ip->tot_len = htons(skb->len);
		/* Never fragmented, so the identification may be anything. */
		ip->id = 0;
		ip->frag_off = htons(IP_DF);
		ip->ttl = av->ttl;
		ip->protocol = IPPROTO_UDP;
		ip->saddr = av->saddr4;
		ip->daddr = av->daddr4;
		skb->protocol = htons(ETH_P_IP);
		return;
	}
	ip6 = skb_push(skb, sizeof(*ip6));
	skb_reset_network_header(skb);
	ip6_flow_hdr(ip6, av->tos, cpu_to_be32(av->flow_label));
	ip6->payload_len = htons(skb->len - sizeof(*ip6));
	ip6->nexthdr = IPPROTO_UDP;
	ip6->hop_limit = av->ttl;
	ip6->saddr = av->saddr6;
	ip6->daddr = av->daddr6;
	skb->protocol = htons(ETH_P_IPV6);
}

/* Consumes the packet. @cache: of routes to where @av says, or NULL. */
static void odp_net_xmit(struct odp_dev *dev, struct sk_buff *skb,
			 const struct odp_av *av, struct dst_cache *cache)
{
	bool v6 = av->family == AF_INET6;
	u32 len = skb->len - ODP_ICRC_SIZE;
	struct dst_entry *dst;

	dst = odp_route(dev->net, av, cache);
	if (!dst) {
		kfree_skb(skb);
		return;
	}
	odp_push_udp(av, skb);
	odp_push_ip(av, skb);
	put_unaligned_le32(odp_icrc(skb, skb_network_header(skb), v6, len),
			   skb_tail_pointer(skb) - ODP_ICRC_SIZE);
	skb->ip_summed = CHECKSUM_NONE;
	skb_dst_set(skb, dst);
	odp_count(dev, ODP_STAT_TX_PACKETS);
	if (v6)
		ip6_local_out(dev->net, NULL, skb);
	else
		ip_local_out(dev->net, NULL, skb);
}

/**
 * odp_packet_xmit - sends a packet to the peer
 * @qp: The queue pair.
 * @skb: From odp_packet_new(), filled in; consumed.
 *
 * A packet that cannot be sent is lost, as it could be on the way.
 */
void odp_packet_xmit(struct odp_qp *qp, struct sk_buff *skb)
{
	odp_net_xmit(qp->dev, skb, &qp->av, &qp->dst);
}

/**
 * odp_datagram_xmit - sends a packet to somebody
 * @qp: The queue pair.
 * @skb: As for odp_packet_xmit().
 * @av: To whom.
 */
void odp_datagram_xmit(struct odp_qp *qp, struct sk_buff *skb,
		       const struct odp_av *av)
{
	odp_net_xmit(qp->dev, skb, av, NULL);
}

static int __net_init odp_net_init(struct net *net)
{
	struct odp_net *on = net_generic(net, odp_net_id);

	mutex_init(&on->lock);
	return 0;
}

/*
 * Devices go with their interfaces, but not always at once: an interface that
 * is only moved to the first namespace does not wait for them.
 */
static void __net_exit odp_net_exit(struct net *net)
{
	struct odp_net *on = net_generic(net, odp_net_id);

	wait_var_event(&on->devices, !atomic_read(&on->devices));
}

static struct pernet_operations odp_net_ops = {
	.init = odp_net_init,
	.exit = odp_net_exit,
	.id = &odp_net_id,
	.size = sizeof(struct odp_net),
};

int odp_net_module_init(void)
{
	return register_pernet_subsys(&odp_net_ops);
}

void odp_net_module_exit(void)
{
	unregister_pernet_subsys(&odp_net_ops);
}
