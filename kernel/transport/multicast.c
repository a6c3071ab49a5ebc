// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Multicast: which queue pairs get what is sent to a group.
 *
 * A group is an IP multicast address, as a GID. The interface joins it as it does
 * for sockets, so that switches and its own filters let it through; what this
 * host sends to it comes back by the kernel's own loop, to all that are attached,
 * the sender among them.
 *
 * Members are in a hash table that packets look up under RCU. RTNL, which joining
 * needs anyway, protects changes of it, and of odp_qp.groups and
 * odp_dev.members. The RDMA core detaches a queue pair before it is destroyed;
 * a packet that has found the member meanwhile holds the queue pair, as all
 * packets do, by its number.
 */
#include <linux/hashtable.h>
#include <linux/if_vlan.h>
#include <linux/igmp.h>
#include <linux/inetdevice.h>
#include <linux/jhash.h>
#include <linux/once.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <net/addrconf.h>

#include "packet.h"
#include "qp.h"

/**
 * struct odp_member - a queue pair in a group
 * @node: In odp_members.
 * @of_qp: In odp_qp.groups.
 * @qp: The queue pair, which packets do not touch unless they hold it.
 * @number: Its number.
 * @ndev: Its interface, only to be compared.
 * @group: The group.
 * @rcu: Look-ups run under RCU.
 */
struct odp_member {
	struct hlist_node node;
	struct list_head of_qp;
	struct odp_qp *qp;
	u32 number;
	const struct net_device *ndev;
	union ib_gid group;
	struct rcu_head rcu;
};

static DEFINE_HASHTABLE(odp_members, 8);

static u32 odp_group_hash(const union ib_gid *group)
{
	static u32 seed __read_mostly;

	get_random_once(&seed, sizeof(seed));
	return jhash(group, sizeof(*group), seed);
}

static bool odp_member_is_of(const struct odp_member *member,
			     const struct net_device *ndev,
			     const union ib_gid *group)
{
	return member->ndev == ndev &&
	       !memcmp(&member->group, group, sizeof(*group));
}

/* A packet for a group is work for all members in one softirq. */
static bool odp_group_is_full(const struct net_device *ndev,
			      const union ib_gid *group)
{
	struct odp_member *member;
	int n = 0;

	ASSERT_RTNL();
	hash_for_each_possible(odp_members, member, node,
			       odp_group_hash(group))
		n += odp_member_is_of(member, ndev, group);
	return n >= ODP_MAX_GROUP_MEMBERS;
}

static int odp_group_join(struct net_device *ndev, const union ib_gid *group)
{
	const struct in6_addr *addr = (const void *)group;
	struct in_device *in_dev;

	ASSERT_RTNL();
	if (!ipv6_addr_v4mapped(addr))
		return IS_ENABLED(CONFIG_IPV6) ? ipv6_dev_mc_inc(ndev, addr) :
						 -EAFNOSUPPORT;
	in_dev = __in_dev_get_rtnl(ndev);
	if (!in_dev)
		return -ENODEV;
	ip_mc_inc_group(in_dev, addr->s6_addr32[3]);
	return 0;
}

/* What was joined in a network namespace is gone when the interface left that. */
static void odp_group_leave(const struct odp_dev *dev, const union ib_gid *group)
{
	const struct in6_addr *addr = (const void *)group;
	struct net_device *ndev = dev->ndev;
	struct in_device *in_dev = __in_dev_get_rtnl(ndev);

	ASSERT_RTNL();
	if (!net_eq(dev_net(ndev), dev->net))
		return;
	if (!ipv6_addr_v4mapped(addr) && IS_ENABLED(CONFIG_IPV6))
		ipv6_dev_mc_dec(ndev, addr);
	else if (in_dev)
		ip_mc_dec_group(in_dev, addr->s6_addr32[3]);
}

static struct odp_member *odp_member_find(struct odp_qp *qp,
					  const union ib_gid *group)
{
	struct odp_member *member;

	ASSERT_RTNL();
	list_for_each_entry(member, &qp->groups, of_qp)
		if (!memcmp(&member->group, group, sizeof(*group)))
			return member;
	return NULL;
}

static int odp_member_add(struct odp_qp *qp, struct odp_member *member)
{
	struct odp_dev *dev = qp->dev;
	int err;

	if (odp_member_find(qp, &member->group))
		return -EEXIST;
	if (dev->members == ODP_MAX_MEMBERS ||
	    odp_group_is_full(dev->ndev, &member->group))
		return -ENOMEM;
	err = odp_group_join(dev->ndev, &member->group);
	if (err)
		return err;
	dev->members++;
	list_add(&member->of_qp, &qp->groups);
	hash_add_rcu(odp_members, &member->node,
		     odp_group_hash(&member->group));
	return 0;
}

static void odp_member_remove(struct odp_member *member)
{
	struct odp_dev *dev = member->qp->dev;

	ASSERT_RTNL();
	hash_del_rcu(&member->node);
	list_del(&member->of_qp);
	dev->members--;
	odp_group_leave(dev, &member->group);
	kfree_rcu(member, rcu);
}

/* The RDMA core has checked that it is a multicast address. */
int odp_attach_mcast(struct ib_qp *ib, union ib_gid *gid, u16 lid)
{
	struct odp_member *member = kzalloc(sizeof(*member), GFP_KERNEL_ACCOUNT);
	int err;

	if (!member)
		return -ENOMEM;
	member->qp = to_odp_qp(ib);
	member->number = member->qp->number;
	member->ndev = member->qp->dev->ndev;
	member->group = *gid;
	rtnl_lock();
	err = odp_member_add(member->qp, member);
	rtnl_unlock();
	if (err)
		kfree(member);
	return err;
}

int odp_detach_mcast(struct ib_qp *ib, union ib_gid *gid, u16 lid)
{
	struct odp_member *member;

	rtnl_lock();
	member = odp_member_find(to_odp_qp(ib), gid);
	if (member)
		odp_member_remove(member);
	rtnl_unlock();
	return member ? 0 : -EINVAL;
}

static void odp_member_deliver(const struct odp_member *member,
			       struct sk_buff *skb)
{
	struct odp_qp *qp = odp_qp_get(member->number);
	struct sk_buff *copy;

	if (!qp)
		return;
	/* The interface, or its VLAN, may be in another one than the device. */
	if (net_eq(dev_net(skb->dev), qp->dev->net) && odp_net_expects(qp, skb)) {
		copy = skb_clone(skb, GFP_ATOMIC | __GFP_NOWARN);
		if (copy)
			odp_net_accept(qp, copy);
	}
	odp_qp_put(qp);
}

/**
 * odp_multicast_receive - gives a packet to all that are attached
 * @skb: The packet, for %ODP_QPN_MULTICAST, with a right ICRC. In softirq.
 */
void odp_multicast_receive(struct sk_buff *skb)
{
	const struct net_device *ndev = skb->dev;
	struct odp_member *member;
	union ib_gid group;

	/* Whoever attached by an address of a VLAN is a member, too. */
	if (is_vlan_dev(ndev))
		ndev = vlan_dev_real_dev(ndev);
	odp_packet_dgid(skb, &group);
	rcu_read_lock();
	hash_for_each_possible_rcu(odp_members, member, node,
				   odp_group_hash(&group))
		if (odp_member_is_of(member, ndev, &group))
			odp_member_deliver(member, skb);
	rcu_read_unlock();
}
