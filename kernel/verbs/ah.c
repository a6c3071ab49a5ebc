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

static int odp_av_interface(const struct ib_gid_attr *sgid)
{
	struct net_device *ndev;
	int oif;

	rcu_read_lock();
	ndev = rdma_read_gid_attr_ndev_rcu(sgid);
	oif = IS_ERR(ndev) ? PTR_ERR(ndev) : ndev->ifindex;
	rcu_read_unlock();
	return oif;
}

/**
 * odp_av_init - an address vector from verbs attributes
 * @av: Filled in, but for the source port.
 * @attr: The attributes; the RDMA core has resolved them.
 *
 * Any context. Return: 0, or -EINVAL if it is no RoCEv2 address.
 */
int odp_av_init(struct odp_av *av, const struct rdma_ah_attr *attr)
{
	const struct ib_global_route *grh = rdma_ah_read_grh(attr);
	union odp_sockaddr src, dst;
	int oif;

	if (attr->type != RDMA_AH_ATTR_TYPE_ROCE ||
	    !(rdma_ah_get_ah_flags(attr) & IB_AH_GRH) || !grh->sgid_attr ||
	    grh->sgid_attr->gid_type != IB_GID_TYPE_ROCE_UDP_ENCAP)
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
	av->flow_label = grh->flow_label & 0xfffff;
	av->tos = grh->traffic_class;
	av->ttl = grh->hop_limit ?: ODP_DEFAULT_TTL;
	return 0;
}

int odp_create_ah(struct ib_ah *ah, struct rdma_ah_init_attr *init,
		  struct ib_udata *udata)
{
	return odp_av_init(&container_of(ah, struct odp_ah, ib)->av,
			   init->ah_attr);
}

int odp_destroy_ah(struct ib_ah *ah, u32 flags)
{
	return 0;
}
