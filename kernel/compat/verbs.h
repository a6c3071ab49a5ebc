/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What verbs and the wire have in all kernels, but only newer ones a name for.
 */
#ifndef ODP_COMPAT_VERBS_H
#define ODP_COMPAT_VERBS_H

#include <linux/bits.h>

/* Part of the ABI: IB_WR_, IB_WC_ and IB_DEVICE_ATOMIC_WRITE */
#define ODP_WR_ATOMIC_WRITE	15
#define ODP_WC_ATOMIC_WRITE	9
#define ODP_DEVICE_ATOMIC_WRITE	BIT_ULL(40)
/* The same: IB_ODP_SUPPORT_ATOMIC_WRITE */
#define ODP_SUPPORT_ATOMIC_WRITE	BIT(7)
/* IB_OPCODE_FLUSH and IB_OPCODE_ATOMIC_WRITE */
#define ODP_OPCODE_FLUSH	0x1c
#define ODP_OPCODE_ATOMIC_WRITE	0x1d

#endif /* ODP_COMPAT_VERBS_H */
