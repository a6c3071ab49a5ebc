// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <stddef.h>

#include "purge.h"

/**
 * odp_queue_purge - drop the completions of a queue pair
 * @queue: A completion queue.
 * @qp_num: A queue pair that completes nothing any more.
 *
 * Entries between our index and the kernel's belong to user space, so the
 * survivors can be moved up against the kernel's index while the kernel goes
 * on producing behind it; their order stays. The index then skips the gap left
 * at the front.
 */
void odp_queue_purge(struct odp_queue *queue, uint32_t qp_num)
{
	uint32_t from, to;

	odp_queue_refresh(queue);
	if (queue->kernel_index - queue->index > queue->depth)
		return;

	from = to = queue->kernel_index;
	while (from != queue->index) {
		const struct odp_cqe *cqe = odp_queue_entry(queue, --from);

		if (cqe->qp_num == qp_num)
			continue;
		if (--to != from)
			*(struct odp_cqe *)odp_queue_entry(queue, to) = *cqe;
	}
	if (to == queue->index)
		return;
	queue->index = to;
	odp_queue_publish(queue);
}
