// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Devices and their one port.
 */
#include <linux/if_arp.h>
#include <linux/if_vlan.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <net/addrconf.h>
#include <rdma/ib_addr.h>
#include <rdma/ib_cache.h>
#include <rdma/ib_mad.h>

#include "../compat/verbs.h"
#include "../transport/cqueue.h"
#include "../transport/packet.h"
#include "../transport/qp.h"
#include "verbs.h"

#define ODP_GID_TABLE_LEN	256

/* An OUI, of those that anybody may use: its bit for local administration is set. */
#define ODP_VENDOR_ID		0x024f44

/* All devices, each until nothing of it is left. */
static LIST_HEAD(odp_devices);
static DEFINE_SPINLOCK(odp_devices_lock);

static int odp_query_device(struct ib_device *ib, struct ib_device_attr *attr,
			    struct ib_udata *udata)
{
	const int rc = IB_ODP_SUPPORT_SEND | IB_ODP_SUPPORT_RECV |
		       IB_ODP_SUPPORT_WRITE | IB_ODP_SUPPORT_READ |
		       IB_ODP_SUPPORT_SRQ_RECV | IB_ODP_SUPPORT_ATOMIC |
		       ODP_SUPPORT_ATOMIC_WRITE;
	/* A target has no receive queue of its own. */
	const int xrc = rc & ~IB_ODP_SUPPORT_RECV;
	const int ud = IB_ODP_SUPPORT_SEND | IB_ODP_SUPPORT_RECV |
		       IB_ODP_SUPPORT_SRQ_RECV;

	if (udata->inlen || udata->outlen)
		return -EINVAL;
	memset(attr, 0, sizeof(*attr));
	attr->sys_image_guid = ib->node_guid;
	attr->vendor_id = ODP_VENDOR_ID;
	attr->max_mr_size = U64_MAX;
	attr->page_size_cap = PAGE_SIZE | SZ_2M | SZ_1G;
	attr->max_qp = 1 << 20;
	attr->max_qp_wr = ODP_MAX_WR;
	attr->device_cap_flags = IB_DEVICE_CURR_QP_STATE_MOD |
				 IB_DEVICE_RC_RNR_NAK_GEN |
				 IB_DEVICE_SYS_IMAGE_GUID |
				 IB_DEVICE_PORT_ACTIVE_EVENT |
				 IB_DEVICE_MEM_WINDOW |
				 IB_DEVICE_MEM_MGT_EXTENSIONS |
				 IB_DEVICE_MEM_WINDOW_TYPE_2B |
				 IB_DEVICE_XRC |
				 ODP_DEVICE_ATOMIC_WRITE;
	attr->kernel_cap_flags = IBK_ON_DEMAND_PAGING | IBK_ALLOW_USER_UNREG;
	attr->max_send_sge = ODP_MAX_SGE;
	attr->max_recv_sge = ODP_MAX_SGE;
	attr->max_sge_rd = ODP_MAX_SGE;
	attr->max_cq = 1 << 20;
	attr->max_cqe = ODP_MAX_CQE;
	attr->max_mr = (1 << 20) - 1;
	attr->max_mw = attr->max_mr;
	attr->max_fast_reg_page_list_len = ODP_MAX_FAST_BLOCKS;
	attr->max_pd = 1 << 20;
	/* Their limits can be set, their sizes stay: no IB_DEVICE_SRQ_RESIZE. */
	attr->max_srq = 1 << 20;
	attr->max_srq_wr = ODP_MAX_WR;
	attr->max_srq_sge = ODP_MAX_SGE;
	attr->max_qp_rd_atom = ODP_MAX_RD_ATOMIC;
	attr->max_qp_init_rd_atom = ODP_MAX_RD_ATOMIC;
	attr->max_res_rd_atom = ODP_MAX_RD_ATOMIC << 20;
	attr->atomic_cap = IB_ATOMIC_GLOB;
	attr->max_ah = ODP_MAX_AH - 1;
	attr->max_dm_size = ODP_MAX_DM_SIZE;
	attr->max_mcast_grp = ODP_MAX_MEMBERS;
	attr->max_mcast_qp_attach = ODP_MAX_GROUP_MEMBERS;
	attr->max_total_mcast_qp_attach = ODP_MAX_MEMBERS;
	attr->max_pkeys = 1;
	attr->cq_caps.max_cq_moderation_count = U16_MAX;
	attr->cq_caps.max_cq_moderation_period = U16_MAX;
	/* Completion timestamps are in nanoseconds. */
	attr->timestamp_mask = U64_MAX;
	attr->hca_core_clock = USEC_PER_SEC;
	attr->odp_caps.general_caps = IB_ODP_SUPPORT | IB_ODP_SUPPORT_IMPLICIT;
	attr->odp_caps.per_transport_caps.rc_odp_caps = rc;
	attr->odp_caps.per_transport_caps.uc_odp_caps = ud |
							IB_ODP_SUPPORT_WRITE;
	attr->odp_caps.per_transport_caps.ud_odp_caps = ud;
	attr->odp_caps.per_transport_caps.xrc_odp_caps = xrc;
	return 0;
}

static bool odp_port_up(const struct net_device *ndev)
{
	return netif_running(ndev) && netif_carrier_ok(ndev);
}

static int odp_query_port(struct ib_device *ib, u32 port,
			  struct ib_port_attr *attr)
{
	struct net_device *ndev = to_odp_dev(ib)->ndev;
	bool up = odp_port_up(ndev);

	attr->state = up ? IB_PORT_ACTIVE : IB_PORT_DOWN;
	attr->phys_state = up ? IB_PORT_PHYS_STATE_LINK_UP :
				IB_PORT_PHYS_STATE_DISABLED;
	attr->max_mtu = IB_MTU_4096;
	attr->active_mtu = odp_device_mtu(to_odp_dev(ib));
	attr->gid_tbl_len = ODP_GID_TABLE_LEN;
	attr->ip_gids = true;
	attr->max_msg_sz = ODP_MAX_MSG_SIZE;
	attr->pkey_tbl_len = 1;
	/* An interface on its way out has no speed; the port still answers. */
	if (ib_get_eth_speed(ib, port, &attr->active_speed,
			     &attr->active_width)) {
		attr->active_speed = IB_SPEED_SDR;
		attr->active_width = IB_WIDTH_1X;
	}
	return 0;
}

static int odp_get_port_immutable(struct ib_device *ib, u32 port,
				  struct ib_port_immutable *immutable)
{
	immutable->core_cap_flags = RDMA_CORE_PORT_IBA_ROCE_UDP_ENCAP;
	immutable->max_mad_size = IB_MGMT_MAD_SIZE;
	immutable->gid_tbl_len = ODP_GID_TABLE_LEN;
	immutable->pkey_tbl_len = 1;
	return 0;
}

static int odp_query_pkey(struct ib_device *ib, u32 port, u16 index, u16 *pkey)
{
	if (index)
		return -EINVAL;
	*pkey = IB_DEFAULT_PKEY_FULL;
	return 0;
}

static enum rdma_link_layer odp_get_link_layer(struct ib_device *ib, u32 port)
{
	return IB_LINK_LAYER_ETHERNET;
}

/**
 * odp_device_port_event - tells users if the port has come up or gone down
 * @dev: The device, registered. Called under RTNL.
 */
void odp_device_port_event(struct odp_dev *dev)
{
	struct ib_event event = { .device = &dev->ib, .element.port_num = 1 };
	bool up = odp_port_up(dev->ndev);

	if (up == dev->port_up)
		return;
	dev->port_up = up;
	event.event = up ? IB_EVENT_PORT_ACTIVE : IB_EVENT_PORT_ERR;
	ib_dispatch_event(&event);
}

/*
 * It is registered, or back in use in another network namespace. Meanwhile nobody
 * could find it, so what became of its interface is seen only now.
 */
static int odp_enable_driver(struct ib_device *ib)
{
	struct odp_dev *dev = to_odp_dev(ib);

	rtnl_lock();
	odp_device_port_event(dev);
	if (dev->ndev->reg_state != NETREG_REGISTERED ||
	    !net_eq(dev_net(dev->ndev), dev->net))
		ib_unregister_device_queued(ib);
	rtnl_unlock();
	return 0;
}

/* An interface has one device, until nothing of that is left. */
static bool odp_device_enlist(struct odp_dev *dev)
{
	struct odp_dev *other;
	bool found = false;

	spin_lock(&odp_devices_lock);
	list_for_each_entry(other, &odp_devices, node)
		found |= other->ndev == dev->ndev;
	if (!found)
		list_add(&dev->node, &odp_devices);
	spin_unlock(&odp_devices_lock);
	return !found;
}

static void odp_device_delist(struct odp_dev *dev)
{
	spin_lock(&odp_devices_lock);
	list_del(&dev->node);
	spin_unlock(&odp_devices_lock);
}

static void odp_dealloc_driver(struct ib_device *ib)
{
	struct odp_dev *dev = to_odp_dev(ib);

	odp_device_delist(dev);
	odp_net_put(dev);
	dev_put(dev->ndev);
	xa_destroy(&dev->srqs);
	xa_destroy(&dev->ahs);
	xa_destroy(&dev->windows);
}

static const struct ib_device_ops odp_device_ops = {
	.owner = THIS_MODULE,
	.driver_id = ODP_DRIVER_ID,
	.uverbs_abi_ver = ODP_ABI_VERSION,

	.advise_mr = odp_advise_mr,
	.alloc_dm = odp_alloc_dm,
	.alloc_hw_port_stats = odp_alloc_hw_port_stats,
	.alloc_mr = odp_alloc_mr,
	.alloc_mw = odp_alloc_mw,
	.alloc_pd = odp_alloc_pd,
	.alloc_ucontext = odp_alloc_ucontext,
	.alloc_xrcd = odp_alloc_xrcd,
	.attach_mcast = odp_attach_mcast,
	.create_ah = odp_create_ah,
	.create_cq = odp_create_cq,
	.create_qp = odp_create_qp,
	.create_srq = odp_create_srq,
	.create_user_ah = odp_create_user_ah,
	.dealloc_dm = odp_dealloc_dm,
	.dealloc_driver = odp_dealloc_driver,
	.dealloc_mw = odp_dealloc_mw,
	.dealloc_pd = odp_dealloc_pd,
	.dealloc_ucontext = odp_dealloc_ucontext,
	.dealloc_xrcd = odp_dealloc_xrcd,
	.dereg_mr = odp_dereg_mr,
	.destroy_ah = odp_destroy_ah,
	.destroy_cq = odp_destroy_cq,
	.destroy_qp = odp_destroy_qp,
	.destroy_srq = odp_destroy_srq,
	.detach_mcast = odp_detach_mcast,
	.disassociate_ucontext = odp_disassociate_ucontext,
	.enable_driver = odp_enable_driver,
	.get_dma_mr = odp_get_dma_mr,
	.get_hw_stats = odp_get_hw_stats,
	.get_link_layer = odp_get_link_layer,
	.get_port_immutable = odp_get_port_immutable,
	.map_mr_sg = odp_map_mr_sg,
	.mmap = odp_mmap,
	.mmap_free = odp_mmap_free,
	.modify_cq = odp_modify_cq,
	.modify_qp = odp_modify_qp,
	.modify_srq = odp_modify_srq,
	.poll_cq = odp_poll_cq,
	.post_recv = odp_post_recv,
	.post_send = odp_post_send,
	.post_srq_recv = odp_post_srq_recv,
	.query_ah = odp_query_ah,
	.query_device = odp_query_device,
	.query_pkey = odp_query_pkey,
	.query_port = odp_query_port,
	.query_qp = odp_query_qp,
	.query_srq = odp_query_srq,
	.query_ucontext = odp_query_ucontext,
	.reg_dm_mr = odp_reg_dm_mr,
	.reg_user_mr = odp_reg_user_mr,
	.reg_user_mr_dmabuf = odp_reg_user_mr_dmabuf,
	.req_notify_cq = odp_req_notify_cq,
	.rereg_user_mr = odp_rereg_user_mr,
	.resize_cq = odp_resize_cq,

	INIT_RDMA_OBJ_SIZE(ib_ah, odp_ah, ib),
	INIT_RDMA_OBJ_SIZE(ib_cq, odp_cq, ib),
	INIT_RDMA_OBJ_SIZE(ib_mw, odp_mw, ib),
	INIT_RDMA_OBJ_SIZE(ib_pd, odp_pd, ib),
	INIT_RDMA_OBJ_SIZE(ib_qp, odp_qp, ib),
	INIT_RDMA_OBJ_SIZE(ib_srq, odp_srq, ib),
	INIT_RDMA_OBJ_SIZE(ib_ucontext, odp_ucontext, ib),
	INIT_RDMA_OBJ_SIZE(ib_xrcd, odp_xrcd, ib),
};

static struct lock_class_key odp_srqs_lock_key;

static void odp_device_init(struct odp_dev *dev)
{
	struct ib_device *ib = &dev->ib;

	strscpy(ib->node_desc, "odp", sizeof(ib->node_desc));
	ib->node_type = RDMA_NODE_IB_CA;
	ib->phys_port_cnt = 1;
	ib->num_comp_vectors = num_possible_cpus();
	addrconf_addr_eui48((u8 *)&ib->node_guid, dev->ndev->dev_addr);
	ib->driver_def = odp_uapi_defs;
	ib->uverbs_cmd_mask |= BIT_ULL(IB_USER_VERBS_CMD_POST_SEND) |
			       BIT_ULL(IB_USER_VERBS_CMD_POST_RECV) |
			       BIT_ULL(IB_USER_VERBS_CMD_REQ_NOTIFY_CQ);
	/* Index 0 is never used, so no key is below 2^12. */
	xa_init_flags(&dev->windows, XA_FLAGS_ALLOC1);
	xa_init_flags(&dev->ahs, XA_FLAGS_ALLOC1);
	xa_init_flags(&dev->srqs, XA_FLAGS_ALLOC1 | XA_FLAGS_LOCK_BH);
	/* Of the three this one alone is locked in softirq, too. */
	lockdep_set_class(&dev->srqs.xa_lock, &odp_srqs_lock_key);
	dev->port_up = odp_port_up(dev->ndev);
}

/*
 * Where each network namespace has devices of its own, a device is born in that of
 * its interface. The RDMA core would have them all in the first one.
 */
static void odp_device_choose_netns(struct odp_dev *dev)
{
	if (!rdma_dev_access_netns(&dev->ib, dev->net))
		write_pnet(&dev->ib.coredev.rdma_net, dev->net);
}

/*
 * The namespace of the interface, held: until the device is registered in it the
 * RDMA core's part of it must not go, nor may the core change who sees what.
 */
static struct net *odp_device_open_net(struct odp_dev *dev)
{
	struct net *net;
	int err;

	rtnl_lock();
	net = maybe_get_net(dev_net(dev->ndev));
	dev->net = net;
	err = net ? odp_net_get(dev) : -ENODEV;
	rtnl_unlock();
	if (!err)
		return net;
	if (net)
		put_net(net);
	return ERR_PTR(err);
}

static int odp_device_register(struct odp_dev *dev, const char *name)
{
	int err = ib_device_set_netdev(&dev->ib, dev->ndev, 1);

	return err ?: ib_register_device(&dev->ib, name, NULL);
}

/**
 * odp_device_add - makes and registers a device
 * @name: Its name, or a pattern for one.
 * @ndev: The interface, held by the caller.
 *
 * It goes with the interface, also when that moves to another network namespace.
 * Return: 0 or an error; what is not obvious from it is in the kernel log.
 */
int odp_device_add(const char *name, struct net_device *ndev)
{
	struct odp_dev *dev;
	struct net *net;
	int err;

	if (ndev->type != ARPHRD_ETHER || is_vlan_dev(ndev)) {
		pr_err_ratelimited("%s: %s is not an Ethernet interface of its own\n",
				   name, netdev_name(ndev));
		return -EINVAL;
	}
	dev = ib_alloc_device(odp_dev, ib);
	if (!dev)
		return -ENOMEM;
	dev->ndev = ndev;
	if (!odp_device_enlist(dev)) {
		pr_err_ratelimited("%s: %s has an odp device already\n", name,
				   netdev_name(ndev));
		err = -EEXIST;
		goto err_dealloc;
	}
	net = odp_device_open_net(dev);
	if (IS_ERR(net)) {
		err = PTR_ERR(net);
		goto err_delist;
	}
	dev_hold(ndev);
	odp_device_init(dev);
	/* From here on dealloc_driver undoes it all. */
	ib_set_device_ops(&dev->ib, &odp_device_ops);
	odp_device_choose_netns(dev);
	err = odp_device_register(dev, name);
	put_net(net);
	if (err)
		goto err_dealloc;
	return 0;

err_delist:
	odp_device_delist(dev);
err_dealloc:
	ib_dealloc_device(&dev->ib);
	return err;
}
