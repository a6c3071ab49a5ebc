// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Counters: "rdma statistic show link" and hw_counters in sysfs. Those of the
 * mirrors, named odp_*, are sums over all processes and devices.
 */
#include "../mirror/mirror.h"
#include "verbs.h"

static const struct rdma_stat_desc odp_stat_descs[] = {
	[ODP_STAT_TX_PACKETS].name		= "tx_packets",
	[ODP_STAT_RX_PACKETS].name		= "rx_packets",
	[ODP_STAT_RX_ICRC].name			= "rx_icrc_errors",
	[ODP_STAT_RX_DROPPED].name		= "rx_dropped",
	[ODP_STAT_TX_RETRIES].name		= "tx_retries",
	[ODP_STAT_TX_TIMEOUTS].name		= "tx_timeouts",
	[ODP_STAT_RNR_SENT].name		= "rnr_nak_sent",
	[ODP_STAT_RNR_RECEIVED].name		= "rnr_nak_received",
	[ODP_STAT_NAK_SEQ_SENT].name		= "seq_nak_sent",
	[ODP_STAT_NAK_SEQ_RECEIVED].name	= "seq_nak_received",
	[ODP_STAT_DUPLICATES].name		= "duplicate_requests",
	[ODP_STAT_PARKED].name			= "page_waits",
	[ODP_DEV_STAT_COUNT + ODP_STAT_LEAVES].name	= "odp_leaves",
	[ODP_DEV_STAT_COUNT + ODP_STAT_LEAVES_SHRUNK].name	= "odp_leaves_shrunk",
	[ODP_DEV_STAT_COUNT + ODP_STAT_FAULTS].name	= "odp_faults",
	[ODP_DEV_STAT_COUNT + ODP_STAT_FAULT_PAGES].name	= "odp_fault_pages",
	[ODP_DEV_STAT_COUNT + ODP_STAT_PREFETCHED_PAGES].name	= "odp_prefetched_pages",
	[ODP_DEV_STAT_COUNT + ODP_STAT_FAULT_JOINED].name	= "odp_faults_joined",
	[ODP_DEV_STAT_COUNT + ODP_STAT_FAULT_RETRIES].name	= "odp_fault_retries",
	[ODP_DEV_STAT_COUNT + ODP_STAT_FAULT_DIRECT].name	= "odp_faults_direct",
	[ODP_DEV_STAT_COUNT + ODP_STAT_FAULT_ERRORS].name	= "odp_fault_errors",
	[ODP_DEV_STAT_COUNT + ODP_STAT_ZAPS].name	= "odp_invalidations",
	[ODP_DEV_STAT_COUNT + ODP_STAT_ZAPPED_PAGES].name	= "odp_invalidated_pages",
};

struct rdma_hw_stats *odp_alloc_hw_port_stats(struct ib_device *ib, u32 port)
{
	return rdma_alloc_hw_stats_struct(odp_stat_descs,
					  ARRAY_SIZE(odp_stat_descs),
					  RDMA_HW_STATS_DEFAULT_LIFESPAN);
}

int odp_get_hw_stats(struct ib_device *ib, struct rdma_hw_stats *stats,
		     u32 port, int index)
{
	struct odp_dev *dev = to_odp_dev(ib);
	int i;

	if (!port)
		return -EINVAL;
	for (i = 0; i < ODP_DEV_STAT_COUNT; i++)
		stats->value[i] = atomic64_read(&dev->stats[i]);
	for (; i < ARRAY_SIZE(odp_stat_descs); i++)
		stats->value[i] = odp_mirror_stat(i - ODP_DEV_STAT_COUNT);
	return ARRAY_SIZE(odp_stat_descs);
}
