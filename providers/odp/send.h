/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef ODP_PROVIDER_SEND_H
#define ODP_PROVIDER_SEND_H

#include <infiniband/verbs.h>

int odp_post_send(struct ibv_qp *ibqp, struct ibv_send_wr *wr,
		  struct ibv_send_wr **bad_wr);

#endif /* ODP_PROVIDER_SEND_H */
