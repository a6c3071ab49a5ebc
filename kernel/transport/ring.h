/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The kernel's side of the rings that are shared with user space.
 */
#ifndef ODP_RING_H
#define ODP_RING_H

#include <linux/compiler.h>
#include <linux/string.h>
#include <linux/types.h>

#include "../uapi/odp-abi.h"

/**
 * struct odp_kring - a ring as the kernel knows it
 * @ring: The shared head, followed by the entries.
 * @depth: Number of entries, a power of two.
 * @stride: Bytes from one entry to the next.
 *
 * User space may change anything in the shared memory at any time; what is
 * read from it is a claim.
 */
struct odp_kring {
	struct odp_ring *ring;
	u32 depth;
	u32 stride;
};

static inline void *odp_kring_entry(const struct odp_kring *kring, u32 index)
{
	return (void *)(kring->ring + 1) +
	       (size_t)(index & (kring->depth - 1)) * kring->stride;
}

/**
 * odp_kring_copy - copies out of or into a ring
 * @to: Memory of the ring, or of the kernel.
 * @from: The other.
 * @len: Bytes.
 *
 * User space may write to the ring at the same time, and then gets what it
 * deserves: the copy is some mixture, but is not read a second time.
 */
static inline void odp_kring_copy(void *to, const void *from, size_t len)
{
	/* Whatever user space does: see above. */
	data_race(memcpy(to, from, len));
	/* From here on only the copy is read. */
	barrier();
}

static inline u32 odp_kring_user_index(const struct odp_kring *kring)
{
	/* Pairs with the release by which user space publishes entries. */
	return smp_load_acquire(&kring->ring->user_index);
}

static inline void odp_kring_set_kernel_index(const struct odp_kring *kring,
					      u32 index)
{
	/* Pairs with user space's acquire: entries are seen with the index. */
	smp_store_release(&kring->ring->kernel_index, index);
}

static inline size_t odp_kring_size(u32 depth, u32 stride)
{
	return sizeof(struct odp_ring) + (size_t)depth * stride;
}

#endif /* ODP_RING_H */
