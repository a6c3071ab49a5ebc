/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef ODP_PROVIDER_POLL_H
#define ODP_PROVIDER_POLL_H

#include <infiniband/verbs.h>

/* What extended polling can tell of a completion. */
#define ODP_POLL_WC_FLAGS                                                      \
	(IBV_WC_STANDARD_FLAGS | IBV_WC_EX_WITH_COMPLETION_TIMESTAMP |         \
	 IBV_WC_EX_WITH_COMPLETION_TIMESTAMP_WALLCLOCK | IBV_WC_EX_WITH_CVLAN)

int odp_poll_cq(struct ibv_cq *ibcq, int num, struct ibv_wc *wc);
void odp_poll_init(struct ibv_cq_ex *cqx);

#endif /* ODP_PROVIDER_POLL_H */
