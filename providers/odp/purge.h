/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef ODP_PROVIDER_PURGE_H
#define ODP_PROVIDER_PURGE_H

#include "ring.h"

void odp_queue_purge(struct odp_queue *queue, uint32_t qp_num);

#endif /* ODP_PROVIDER_PURGE_H */
