/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The send queue: filling slots and announcing them.
 *
 * Both ways to post, ibv_post_send() and the ibv_wr_ builders, go
 *
 *	odp_sq_start()	takes the lock
 *	odp_sq_slot()	a slot to fill, then odp_sq_push(); any number of times
 *	odp_sq_commit()	announces all of them by one doorbell
 *	odp_sq_stop()	drops the lock
 *
 * The lock is held across the doorbell, so that entries which the kernel
 * refused are still the newest ones and can be taken back. As the doorbell is
 * a system call that may carry out the work itself, it is a mutex: who has to
 * wait for it sleeps.
 */
#ifndef ODP_PROVIDER_SQ_H
#define ODP_PROVIDER_SQ_H

#include <pthread.h>

#include <infiniband/verbs.h>

#include "ring.h"

/**
 * struct odp_sq - a send queue
 * @lock: Protects all below.
 * @queue: The ring; its depth is 0 if the queue pair has none.
 * @max_sge: Pieces of memory that an entry has room for.
 * @max_inline: Bytes of inline data that an entry has room for.
 * @first: Index of the first entry that the kernel was not told of.
 * @wqe: Builders: the entry that the setters work on; NULL after an error.
 * @error: Builders: the first error since ibv_wr_start().
 */
struct odp_sq {
	pthread_mutex_t lock;
	struct odp_queue queue;
	uint32_t max_sge;
	uint32_t max_inline;
	uint32_t first;
	struct odp_send_wqe *wqe;
	int error;
};

void odp_sq_init(struct odp_sq *sq, const struct ibv_qp_cap *cap);
void odp_sq_destroy(struct odp_sq *sq);
void odp_sq_reset(struct odp_sq *sq);

int odp_sq_commit(struct odp_sq *sq, struct ibv_qp *ibqp);
int odp_sq_set_sges(const struct odp_sq *sq, struct odp_send_wqe *wqe,
		    const struct ibv_sge *sges, size_t num);
int odp_sq_add_inline(const struct odp_sq *sq, struct odp_send_wqe *wqe,
		      const void *data, size_t length);

static inline bool odp_wr_is_atomic(enum ibv_wr_opcode opcode)
{
	return opcode == IBV_WR_ATOMIC_CMP_AND_SWP ||
	       opcode == IBV_WR_ATOMIC_FETCH_AND_ADD;
}

/* Is it about 64 bits? */
static inline bool odp_wr_is_word(enum ibv_wr_opcode opcode)
{
	return odp_wr_is_atomic(opcode) || opcode == IBV_WR_ATOMIC_WRITE;
}

static inline void odp_sq_start(struct odp_sq *sq)
{
	pthread_mutex_lock(&sq->lock);
	sq->first = sq->queue.index;
}

static inline void odp_sq_stop(struct odp_sq *sq)
{
	pthread_mutex_unlock(&sq->lock);
}

/* NULL when the queue is full. */
static inline struct odp_send_wqe *odp_sq_slot(struct odp_sq *sq)
{
	if (odp_queue_full(&sq->queue))
		return NULL;
	return odp_queue_entry(&sq->queue, sq->queue.index);
}

/* The slot is filled. */
static inline void odp_sq_push(struct odp_sq *sq)
{
	sq->queue.index++;
}

/* Drop what was pushed since odp_sq_start(). */
static inline void odp_sq_abort(struct odp_sq *sq)
{
	sq->queue.index = sq->first;
}

#endif /* ODP_PROVIDER_SQ_H */
