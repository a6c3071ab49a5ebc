/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Pinned user memory as it differs between kernels.
 */
#ifndef ODP_COMPAT_UMEM_H
#define ODP_COMPAT_UMEM_H

#include <rdma/ib_umem.h>
#include <rdma/ib_verbs.h>
#ifdef ODP_HAVE_RDMA_ITER
#include <rdma/iter.h>
#endif

#endif /* ODP_COMPAT_UMEM_H */
