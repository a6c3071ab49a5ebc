/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Pinned user memory as it differs between kernels. What is there is asked of
 * the headers, as stable kernels have ported it back.
 */
#ifndef ODP_COMPAT_UMEM_H
#define ODP_COMPAT_UMEM_H

#include <rdma/ib_umem.h>
#include <rdma/ib_verbs.h>
#if __has_include(<rdma/iter.h>)
#include <rdma/iter.h>
#endif

#endif /* ODP_COMPAT_UMEM_H */
