// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Address handles, and the addresses in them.
 */
#include <rdma/ib_addr.h>
#include <rdma/ib_cache.h>

#include "../transport/qp.h"
#include "verbs.h"

/* What packets have that do not say how far they may go. */
#define ODP_DEFAULT_TTL	64

union odp_sockaddr {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* To the RDMA core it is one of the device's wherever a VLAN of that is. */
static int odp_av_interface(const struct ib_gid_attr *sgid)
{
	struct odp_dev *dev = to_odp_dev(sgid->device);
	struct net_device *ndev;
	int oif = -ENODEV;

	rcu_read_lock();
	ndev = rdma_read_gid_attr_ndev_rcu(sgid);
	if (!IS_ERR(ndev) && net_eq(dev_net(ndev), dev->net))
		oif = ndev->ifindex;
	rcu_read_unlock();
	return oif;
}

/**
 * odp_av_init - an address vector from verbs attributes
 * @av: Filled in, but for the source port.
 * @attr: The attributes; the RDMA core has resolved them.
 *
 * Any context. Return: 0, or -EINVAL if it is no RoCEv2 address, of an
 * interface in another network namespace, or its flow label has more than 20 bits.
 */
int odp_av_init(struct odp_av *av, const struct rdma_ah_attr *attr)
{
	const struct ib_global_route *grh = rdma_ah_read_grh(attr);
	union odp_sockaddr src, dst;
	int oif;

	if (attr->type != RDMA_AH_ATTR_TYPE_ROCE ||
	    !(rdma_ah_get_ah_flags(attr) & IB_AH_GRH) || !grh->sgid_attr ||
	    grh->sgid_attr->gid_type != IB_GID_TYPE_ROCE_UDP_ENCAP ||
	    grh->flow_label & ~IB_GRH_FLOWLABEL_MASK)
		return -EINVAL;
	rdma_gid2ip(&src.sa, &grh->sgid_attr->gid);
	rdma_gid2ip(&dst.sa, &grh->dgid);
	oif = odp_av_interface(grh->sgid_attr);
	if (src.sa.sa_family != dst.sa.sa_family || oif < 0)
		return -EINVAL;

	memset(av, 0, sizeof(*av));
	av->family = src.sa.sa_family;
	if (av->family == AF_INET) {
		av->saddr4 = src.in.sin_addr.s_addr;
		av->daddr4 = dst.in.sin_addr.s_addr;
	} else {
		av->saddr6 = src.in6.sin6_addr;
		av->daddr6 = dst.in6.sin6_addr;
	}
	av->oif = oif;
	av->flow_label = grh->flow_label;
	av->tos = grh->traffic_class;
	av->ttl = grh->hop_limit ?: ODP_DEFAULT_TTL;
	return 0;
}

int odp_create_ah(struct ib_ah *ib, struct rdma_ah_init_attr *init,
		  struct ib_udata *udata)
{
	return odp_av_init(&to_odp_ah(ib)->av, init->ah_attr);
}

/* User space names it by a number in its send requests. */
int odp_create_user_ah(struct ib_ah *ib, struct rdma_ah_init_attr *init,
		       struct ib_udata *udata)
{
	struct odp_dev *dev = to_odp_dev(ib->device);
	struct odp_create_ah_resp resp = {};
	struct odp_ah *ah = to_odp_ah(ib);
	int err;

	err = odp_create_ah(ib, init, udata);
	if (err)
		return err;
	err = xa_alloc_cyclic(&dev->ahs, &ah->number, ah,
			      XA_LIMIT(1, ODP_MAX_AH - 1), &dev->next_ah,
			      GFP_KERNEL_ACCOUNT);
	if (err < 0)
		return err;
	resp.ah = ah->number;
	err = ib_copy_to_udata(udata, &resp, min(sizeof(resp), udata->outlen));
	if (err)
		xa_erase(&dev->ahs, ah->number);
	return err;
}

int odp_query_ah(struct ib_ah *ib, struct rdma_ah_attr *attr)
{
	const struct odp_av *av = &to_odp_ah(ib)->av;
	union ib_gid dgid;

	if (av->family == AF_INET)
		ipv6_addr_set_v4mapped(av->daddr4, (void *)&dgid);
	else
		memcpy(&dgid, &av->daddr6, sizeof(dgid));
	memset(attr, 0, sizeof(*attr));
	attr->type = ib->type;
	rdma_ah_set_port_num(attr, 1);
	rdma_ah_set_grh(attr, &dgid, av->flow_label, ib->sgid_attr->index,
			av->ttl, av->tos);
	return 0;
}

int odp_destroy_ah(struct ib_ah *ib, u32 flags)
{
	struct odp_ah *ah = to_odp_ah(ib);

	if (ah->number)
		xa_erase(&to_odp_dev(ib->device)->ahs, ah->number);
	return 0;
}
