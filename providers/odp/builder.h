/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef ODP_PROVIDER_BUILDER_H
#define ODP_PROVIDER_BUILDER_H

#include <infiniband/driver.h>

int odp_builder_init(struct verbs_qp *vqp, uint64_t send_ops_flags);

#endif /* ODP_PROVIDER_BUILDER_H */
