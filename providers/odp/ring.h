/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Index arithmetic of one ring shared with the kernel.
 *
 * Both indices run freely through 32 bits; only their difference and, masked,
 * their slot mean anything. What user space has decided is in the private
 * copy, struct odp_queue; the shared struct odp_ring only announces it, so an
 * index may run ahead of what the kernel was told, and fall back to it.
 *
 * The caller holds the lock of the queue.
 */
#ifndef ODP_PROVIDER_RING_H
#define ODP_PROVIDER_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <odp-abi.h>

/**
 * struct odp_queue - user space's end of a ring
 * @ring: Shared head, directly before the entries.
 * @depth: Entries, a power of two.
 * @stride: Bytes from one entry to the next.
 * @index: Next entry to fill (work queue) or to read (completion queue).
 * @kernel_index: The kernel's index when it was last looked at. It is looked
 *	at again only when it does not suffice, as the kernel writes that
 *	cache line all the time.
 */
struct odp_queue {
	struct odp_ring *ring;
	uint32_t depth;
	uint32_t stride;
	uint32_t index;
	uint32_t kernel_index;
};

static inline void odp_queue_init(struct odp_queue *queue, void *ring,
				  uint32_t depth, uint32_t stride)
{
	*queue = (struct odp_queue){
		.ring = ring,
		.depth = depth,
		.stride = stride,
	};
}

static inline void *odp_queue_entry(const struct odp_queue *queue,
				    uint32_t index)
{
	size_t slot = index & (queue->depth - 1);

	return (char *)(queue->ring + 1) + slot * queue->stride;
}

/* Pairs with the kernel's store-release after it used or wrote entries. */
static inline void odp_queue_refresh(struct odp_queue *queue)
{
	queue->kernel_index = __atomic_load_n(&queue->ring->kernel_index,
					      __ATOMIC_ACQUIRE);
}

/*
 * Tell the kernel how far user space is. Pairs with the kernel's load-acquire
 * before it reads work entries or overwrites completion entries.
 */
static inline void odp_queue_publish(struct odp_queue *queue)
{
	__atomic_store_n(&queue->ring->user_index, queue->index,
			 __ATOMIC_RELEASE);
}

/* Both ends start again at zero; the kernel has reset its end. */
static inline void odp_queue_reset(struct odp_queue *queue)
{
	queue->index = 0;
	queue->kernel_index = 0;
	odp_queue_publish(queue);
}

/* Work queues: no free slot? */
static inline bool odp_queue_full(struct odp_queue *queue)
{
	if (queue->index - queue->kernel_index < queue->depth)
		return false;
	odp_queue_refresh(queue);
	return queue->index - queue->kernel_index >= queue->depth;
}

/*
 * Completion queues: entries to read, at least @want if there are as many.
 * More than the depth says that entries were overwritten.
 */
static inline uint32_t odp_queue_ready(struct odp_queue *queue, uint32_t want)
{
	if (queue->kernel_index - queue->index < want)
		odp_queue_refresh(queue);
	return queue->kernel_index - queue->index;
}

/*
 * Receive queues, after publishing: does the kernel wait for entries? The full
 * barrier orders our index before the look at its flag; the kernel raises the
 * flag, then, after a full barrier too, looks at our index once more.
 */
static inline bool odp_queue_wants_kick(const struct odp_queue *queue)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&queue->ring->flags, __ATOMIC_RELAXED) &
	       ODP_RING_NEED_KICK;
}

#endif /* ODP_PROVIDER_RING_H */
