/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#include "dev.h"
#include "fail.h"

#include <errno.h>
#include <string.h>

static int open_from(struct ibv_device **list, int n, const char *name,
		     struct ibv_context **ctx)
{
	int i;

	if (!n)
		return fail(RC_SKIP, "this host has no RDMA device");
	for (i = 0; i < n; i++)
		if (!name || !strcmp(ibv_get_device_name(list[i]), name))
			break;
	if (i == n)
		return fail(RC_WRONG, "there is no RDMA device %s", name);
	*ctx = ibv_open_device(list[i]);
	if (!*ctx)
		return fail_errno(RC_WRONG, "%s: ibv_open_device",
				  ibv_get_device_name(list[i]));
	return RC_OK;
}

static int open_by_name(const char *name, struct ibv_context **ctx)
{
	struct ibv_device **list;
	int n, rc;

	list = ibv_get_device_list(&n);
	if (!list) /* ENOSYS where the kernel has no uverbs */
		return fail(RC_SKIP, "this host has no RDMA device");
	rc = open_from(list, n, name, ctx);
	ibv_free_device_list(list);
	return rc;
}

/* Higher is better; 0 cannot be used */
static int gid_rank(const struct ibv_gid_entry *e)
{
	static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (e->gid_type != IBV_GID_TYPE_ROCE_V2)
		return e->gid_type == IBV_GID_TYPE_IB ? 1 : 0;
	if (!memcmp(e->gid.raw, v4_mapped, sizeof(v4_mapped)))
		return 4;
	return e->gid.raw[0] == 0xfe ? 2 : 3; /* link-local after the others */
}

static int find_gid(struct dev *dev)
{
	struct ibv_gid_entry e;
	int i, rank, best = 0;

	for (i = 0; i < dev->port_attr.gid_tbl_len; i++) {
		if (ibv_query_gid_ex(dev->ctx, dev->port, i, &e, 0))
			continue; /* an empty place in the table */
		rank = gid_rank(&e);
		if (rank <= best)
			continue;
		best = rank;
		dev->gid_index = i;
	}
	if (!best)
		return fail(RC_SKIP,
			    "%s: port %d has no RoCE v2 GID; has its interface an address?",
			    dev->name, dev->port);
	return RC_OK;
}

static int query(struct dev *dev)
{
	int err = ibv_query_port(dev->ctx, dev->port, &dev->port_attr);

	if (err) {
		errno = err;
		return fail_errno(RC_WRONG, "%s: ibv_query_port of port %d",
				  dev->name, dev->port);
	}
	if (dev->port_attr.state != IBV_PORT_ACTIVE)
		return fail(RC_SKIP, "%s: port %d is not active (state %s)",
			    dev->name, dev->port,
			    ibv_port_state_str(dev->port_attr.state));
	err = ibv_query_device_ex(dev->ctx, NULL, &dev->attr);
	if (err) {
		errno = err;
		return fail_errno(RC_WRONG, "%s: ibv_query_device_ex",
				  dev->name);
	}
	return RC_OK;
}

int dev_open(struct dev *dev, const char *name, int port, int gid_index)
{
	int rc;

	*dev = (struct dev){ .port = port, .gid_index = gid_index };
	rc = open_by_name(name, &dev->ctx);
	if (rc)
		return rc;
	dev->name = ibv_get_device_name(dev->ctx->device);
	rc = query(dev);
	if (!rc && gid_index < 0)
		rc = find_gid(dev);
	if (rc)
		return rc;
	if (ibv_query_gid(dev->ctx, port, dev->gid_index, &dev->gid))
		return fail_errno(RC_WRONG, "%s: ibv_query_gid of index %d",
				  dev->name, dev->gid_index);
	dev->pd = ibv_alloc_pd(dev->ctx);
	if (!dev->pd)
		return fail_errno(RC_WRONG, "%s: ibv_alloc_pd", dev->name);
	return RC_OK;
}

void dev_close(struct dev *dev)
{
	if (dev->pd)
		ibv_dealloc_pd(dev->pd);
	if (dev->ctx)
		ibv_close_device(dev->ctx);
	dev->pd = NULL;
	dev->ctx = NULL;
}

uint32_t mtu_to_bytes(enum ibv_mtu mtu)
{
	return 128u << mtu;
}

enum ibv_mtu mtu_from_bytes(uint32_t bytes)
{
	enum ibv_mtu mtu;

	for (mtu = IBV_MTU_256; mtu <= IBV_MTU_4096; mtu++)
		if (mtu_to_bytes(mtu) == bytes)
			return mtu;
	return 0;
}

uint32_t dev_mtu(const struct dev *dev)
{
	return mtu_to_bytes(dev->port_attr.active_mtu);
}

#define RC_ODP_NEEDED                                                    \
	(IBV_ODP_SUPPORT_SEND | IBV_ODP_SUPPORT_RECV |                   \
	 IBV_ODP_SUPPORT_WRITE | IBV_ODP_SUPPORT_READ)

bool dev_has_odp(const struct dev *dev)
{
	const struct ibv_odp_caps *caps = &dev->attr.odp_caps;

	return (caps->general_caps & IBV_ODP_SUPPORT) &&
	       (caps->per_transport_caps.rc_odp_caps & RC_ODP_NEEDED) ==
		       RC_ODP_NEEDED;
}

bool dev_has_implicit(const struct dev *dev)
{
	return dev_has_odp(dev) && (dev->attr.odp_caps.general_caps &
				    IBV_ODP_SUPPORT_IMPLICIT);
}

int dev_need_odp(const struct dev *dev)
{
	uint32_t rc_caps = dev->attr.odp_caps.per_transport_caps.rc_odp_caps;

	if (!(dev->attr.odp_caps.general_caps & IBV_ODP_SUPPORT))
		return fail(RC_SKIP, "%s has no on-demand paging", dev->name);
	if (!dev_has_odp(dev))
		return fail(RC_SKIP,
			    "%s has on-demand paging, but not for all of SEND, RECV, WRITE and READ on RC queue pairs (caps 0x%x, needed 0x%x)",
			    dev->name, rc_caps, RC_ODP_NEEDED);
	return RC_OK;
}

int dev_need_implicit(const struct dev *dev)
{
	int rc = dev_need_odp(dev);

	if (!rc && !dev_has_implicit(dev))
		rc = fail(RC_SKIP,
			  "%s cannot register the whole address space (no IBV_ODP_SUPPORT_IMPLICIT)",
			  dev->name);
	return rc;
}
