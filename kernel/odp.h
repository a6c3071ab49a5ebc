/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The map of the driver.
 *
 * rdma_odp is a RoCEv2 device in software, on any Ethernet interface, whose
 * memory regions can be unpinned. Its parts, each a folder, call one way:
 *
 *	verbs/		what applications create; the face to the RDMA core
 *	  |
 *	transport/	RoCEv2: queue pairs at work, packets, memory windows
 *	  |
 *	mirror/		a process's page tables as the device sees them
 *
 * mirror/ knows nothing of RDMA. compat/ holds what differs between kernels.
 *
 * Work on a queue pair is done by its two halves, the requester and the
 * responder. A half is owned by one context at a time and never sleeps
 * (half.h): it runs in whoever brings work, goes on in a workqueue when that
 * takes long, and parks when it needs a page that is not there; the service
 * that brings the page in (mirror/fault.c) then resumes it.
 *
 * Lock order, outer first:
 *
 *	RTNL				multicast groups, state of the port, where
 *					the interface is; inside the RDMA core's
 *					devices_rwsem
 *	odp_net.lock (mutex)		sockets of a namespace
 *	odp_devices_lock		nothing is taken inside
 *	odp_ucontext.lock		first registration on demand
 *	odp_qp.mutex			modify, query, destroy of a queue pair
 *	mmap_lock, reverse-map locks	the kernel's, held by our MMU notifiers
 *	odp_leaf.zap_lock
 *	odp_mirror.leaves.xa_lock	also taken without the zap lock
 *	odp_window.lock (bh)		an access through a memory window
 *	odp_leaf.lock (bh)		an access; nothing is taken inside
 *	odp_fault_lock (bh)		leaf of the order
 *	odp_sq.lock			taking send requests from the ring; of
 *					kernel users (irq): posting them
 *	odp_rq.post_lock (irq)		the same; nothing is taken inside
 *	odp_dev.windows.xa_lock		nothing is taken inside
 *	odp_dev.ahs.xa_lock		nothing is taken inside
 *	odp_half.rx.lock (bh)		packets of a half; nothing is taken inside
 *	odp_dev.srqs.xa_lock (bh)	nothing is taken inside
 *	odp_qp.lock (bh)		state; nothing is taken inside
 *	odp_srq.lock (bh)		taking receive requests; nothing inside
 *	odp_cqueue.lock (irq)		completions; inside only the wait lock of
 *					a queue pair's end
 *
 * odp_cqueue.event_lock (irq) is held while a completion handler runs, which may
 * post and poll, and take locks of its own; none of ours is held then.
 */
#ifndef ODP_H
#define ODP_H

#include <linux/netdevice.h>
#include <rdma/ib_verbs.h>

#include "uapi/odp-abi.h"

/**
 * enum odp_stat - what a device counts
 * @ODP_STAT_TX_PACKETS: Packets sent.
 * @ODP_STAT_RX_PACKETS: Packets taken in for a queue pair.
 * @ODP_STAT_RX_ICRC: Packets dropped for a wrong ICRC.
 * @ODP_STAT_RX_DROPPED: Packets dropped because a queue was full, or they were not
 *	for the queue pair as it is; and what unreliable connections lose.
 * @ODP_STAT_TX_RETRIES: Times that a requester went back to send again.
 * @ODP_STAT_TX_TIMEOUTS: Those of them after a timeout.
 * @ODP_STAT_RNR_SENT: RNR NAKs sent.
 * @ODP_STAT_RNR_RECEIVED: RNR NAKs received.
 * @ODP_STAT_NAK_SEQ_SENT: PSN sequence error NAKs sent.
 * @ODP_STAT_NAK_SEQ_RECEIVED: PSN sequence error NAKs received.
 * @ODP_STAT_DUPLICATES: Requests seen before.
 * @ODP_STAT_PARKED: Times that a half waited for a page.
 * @ODP_DEV_STAT_COUNT: Number of counters.
 */
enum odp_stat {
	ODP_STAT_TX_PACKETS,
	ODP_STAT_RX_PACKETS,
	ODP_STAT_RX_ICRC,
	ODP_STAT_RX_DROPPED,
	ODP_STAT_TX_RETRIES,
	ODP_STAT_TX_TIMEOUTS,
	ODP_STAT_RNR_SENT,
	ODP_STAT_RNR_RECEIVED,
	ODP_STAT_NAK_SEQ_SENT,
	ODP_STAT_NAK_SEQ_RECEIVED,
	ODP_STAT_DUPLICATES,
	ODP_STAT_PARKED,
	ODP_DEV_STAT_COUNT,
};

/**
 * struct odp_dev - a device
 * @ib: The RDMA core's part.
 * @node: In the list of all devices.
 * @ndev: The interface, held.
 * @net: The network namespace of @ndev, whose UDP sockets the device uses. Which
 *	namespace has the RDMA device is the core's business, and may change.
 * @port_up: Last state that was told to users. RTNL protects it.
 * @windows: What keys stand for, by index, see transport/window.c.
 * @next_key: Where the search for a free key index goes on.
 * @dm_used: Bytes of device memory that are allocated, in whole pages.
 * @ahs: Address handles of user space by number.
 * @next_ah: Where the search for a free number goes on.
 * @srqs: XRC shared receive queues by number, see transport/xrc.c.
 * @next_srqn: Where the search for a free number goes on.
 * @members: Queue pairs in multicast groups, each as often as in groups.
 * @stats: Counters.
 */
struct odp_dev {
	struct ib_device ib;
	struct list_head node;
	struct net_device *ndev;
	struct net *net;
	bool port_up;
	struct xarray windows;
	u32 next_key;
	atomic64_t dm_used;
	struct xarray ahs;
	u32 next_ah;
	struct xarray srqs;
	u32 next_srqn;
	u32 members;
	atomic64_t stats[ODP_DEV_STAT_COUNT];
};

static inline struct odp_dev *to_odp_dev(struct ib_device *ib)
{
	return container_of(ib, struct odp_dev, ib);
}

static inline void odp_count(struct odp_dev *dev, enum odp_stat stat)
{
	atomic64_inc(&dev->stats[stat]);
}

/* Limits that the device reports and the code relies on. */
#define ODP_MAX_SGE		32
#define ODP_MAX_INLINE		512
#define ODP_MAX_WR		16384
#define ODP_MAX_CQE		BIT(20)
#define ODP_MAX_RD_ATOMIC	128
#define ODP_MAX_MSG_SIZE	BIT(30)
#define ODP_MAX_DM_SIZE		SZ_16M
#define ODP_MAX_FAST_BLOCKS	512
#define ODP_MAX_AH		BIT(20)
#define ODP_MAX_MEMBERS		8192
#define ODP_MAX_GROUP_MEMBERS	64

#endif /* ODP_H */
