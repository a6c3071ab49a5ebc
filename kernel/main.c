// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Loading and unloading, and what happens to interfaces.
 */
#include <linux/module.h>
#include <rdma/rdma_netlink.h>

#include "odp.h"
#include "mirror/mirror.h"
#include "transport/half.h"
#include "transport/packet.h"
#include "verbs/verbs.h"

static struct odp_dev *odp_device_of(struct net_device *ndev)
{
	struct ib_device *ib = ib_device_get_by_netdev(ndev, ODP_DRIVER_ID);

	return ib ? to_odp_dev(ib) : NULL;
}

/*
 * RTNL is held, so it is only queued; the interface waits for it if it goes. A
 * device that is between two network namespaces now, as the RDMA core sees them, is
 * not found here but sees for itself afterwards (odp_enable_driver()).
 */
static void odp_unregister_queued(struct net_device *ndev)
{
	struct odp_dev *dev = odp_device_of(ndev);

	if (!dev)
		return;
	ib_unregister_device_queued(&dev->ib);
	ib_device_put(&dev->ib);
}

static struct rdma_link_ops odp_link_ops = {
	.type = "odp",
	.newlink = odp_device_add,
};

static void odp_port_event(struct net_device *ndev)
{
	struct odp_dev *dev = odp_device_of(ndev);

	if (!dev)
		return;
	odp_device_port_event(dev);
	ib_device_put(&dev->ib);
}

static int odp_netdev_event(struct notifier_block *nb, unsigned long event,
			    void *arg)
{
	struct net_device *ndev = netdev_notifier_info_to_dev(arg);

	switch (event) {
	case NETDEV_UNREGISTER:
		odp_unregister_queued(ndev);
		break;
	case NETDEV_UP:
	case NETDEV_DOWN:
	case NETDEV_CHANGE:
		odp_port_event(ndev);
		break;
	}
	return NOTIFY_DONE;
}

static struct notifier_block odp_netdev_nb = {
	.notifier_call = odp_netdev_event,
};

static int __init odp_init(void)
{
	int err;

	err = odp_mirror_init();
	if (err)
		return err;
	err = odp_half_module_init();
	if (err)
		goto err_mirror;
	err = odp_net_module_init();
	if (err)
		goto err_half;
	err = register_netdevice_notifier(&odp_netdev_nb);
	if (err)
		goto err_net;
	rdma_link_register(&odp_link_ops);
	return 0;

err_net:
	odp_net_module_exit();
err_half:
	odp_half_module_exit();
err_mirror:
	odp_mirror_exit();
	return err;
}

static void __exit odp_exit(void)
{
	rdma_link_unregister(&odp_link_ops);
	ib_unregister_driver(ODP_DRIVER_ID);
	unregister_netdevice_notifier(&odp_netdev_nb);
	odp_net_module_exit();
	odp_half_module_exit();
	odp_mirror_exit();
}

module_init(odp_init);
module_exit(odp_exit);

MODULE_ALIAS_RDMA_LINK("odp");
MODULE_DESCRIPTION("RoCEv2 device in software with on-demand paging");
MODULE_LICENSE("Dual BSD/GPL");
