// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <assert.h>
#include <errno.h>
#include <string.h>

#include <infiniband/driver.h>

#include "sq.h"

static_assert(sizeof(struct odp_sge) == sizeof(struct ibv_sge) &&
	      offsetof(struct odp_sge, length) ==
		      offsetof(struct ibv_sge, length) &&
	      offsetof(struct odp_sge, lkey) == offsetof(struct ibv_sge, lkey),
	      "lists of pieces are copied as a whole");

void odp_sq_init(struct odp_sq *sq, const struct ibv_qp_cap *cap)
{
	pthread_mutex_init(&sq->lock, NULL);
	sq->max_sge = cap->max_send_sge;
	sq->max_inline = cap->max_inline_data;
}

void odp_sq_destroy(struct odp_sq *sq)
{
	pthread_mutex_destroy(&sq->lock);
}

void odp_sq_reset(struct odp_sq *sq)
{
	if (!sq->queue.depth)
		return;

	pthread_mutex_lock(&sq->lock);
	odp_queue_reset(&sq->queue);
	pthread_mutex_unlock(&sq->lock);
}

/**
 * odp_sq_commit - announce what was pushed since odp_sq_start()
 * @sq: The queue, between odp_sq_start() and odp_sq_stop().
 * @ibqp: Its queue pair.
 *
 * A doorbell is POST_SEND without work requests. The kernel refuses it before
 * it takes any entry, so on an error all of them are taken back.
 *
 * Returns 0 or an errno value.
 */
int odp_sq_commit(struct odp_sq *sq, struct ibv_qp *ibqp)
{
	struct ibv_send_wr *unused;
	int ret;

	if (sq->queue.index == sq->first)
		return 0;

	odp_queue_publish(&sq->queue);
	ret = ibv_cmd_post_send(ibqp, NULL, &unused);
	if (ret) {
		odp_sq_abort(sq);
		odp_queue_publish(&sq->queue);
	}
	return ret;
}

static uint64_t length_of(const struct ibv_sge *sges, size_t num)
{
	uint64_t length = 0;

	while (num--)
		length += sges++->length;
	return length;
}

/**
 * odp_sq_set_sges - say which local memory an entry works on
 * @sq: The queue.
 * @wqe: The entry; its header is filled in.
 * @sges: Pieces of memory.
 * @num: How many.
 *
 * Returns 0 or an errno value.
 */
int odp_sq_set_sges(const struct odp_sq *sq, struct odp_send_wqe *wqe,
		    const struct ibv_sge *sges, size_t num)
{
	if (num > sq->max_sge ||
	    (odp_wr_is_word(wqe->opcode) && length_of(sges, num) != 8))
		return EINVAL;

	if (num)
		memcpy(wqe + 1, sges, num * sizeof(*sges));
	wqe->num_sge = num;
	return 0;
}

/**
 * odp_sq_add_inline - append to the data that an entry carries itself
 * @sq: The queue.
 * @wqe: The entry; its header is filled in, without IBV_SEND_INLINE at first.
 * @data: Copied.
 * @length: Bytes of data.
 *
 * Returns 0 or an errno value.
 */
int odp_sq_add_inline(const struct odp_sq *sq, struct odp_send_wqe *wqe,
		      const void *data, size_t length)
{
	if (wqe->opcode == IBV_WR_RDMA_READ || odp_wr_is_atomic(wqe->opcode) ||
	    length > sq->max_inline - wqe->inline_length)
		return EINVAL;

	if (length)
		memcpy((char *)(wqe + 1) + wqe->inline_length, data, length);
	wqe->inline_length += length;
	wqe->flags |= IBV_SEND_INLINE;
	return 0;
}
