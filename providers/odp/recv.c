// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Receive queues, and posting to them. */
#include <errno.h>
#include <string.h>

#include <infiniband/driver.h>

#include "qp.h"
#include "recv.h"

void odp_rq_init(struct odp_rq *rq, uint32_t max_sge)
{
	pthread_spin_init(&rq->lock, PTHREAD_PROCESS_PRIVATE);
	rq->max_sge = max_sge;
}

void odp_rq_destroy(struct odp_rq *rq)
{
	pthread_spin_destroy(&rq->lock);
}

void odp_rq_reset(struct odp_rq *rq)
{
	if (!rq->queue.depth)
		return;

	pthread_spin_lock(&rq->lock);
	odp_queue_reset(&rq->queue);
	pthread_spin_unlock(&rq->lock);
}

static int post_one(struct odp_rq *rq, const struct ibv_recv_wr *wr)
{
	struct odp_recv_wqe *wqe;

	if ((uint32_t)wr->num_sge > rq->max_sge)
		return EINVAL;
	if (odp_queue_full(&rq->queue))
		return ENOMEM;

	wqe = odp_queue_entry(&rq->queue, rq->queue.index);
	*wqe = (struct odp_recv_wqe){
		.wr_id = wr->wr_id,
		.num_sge = wr->num_sge,
	};
	if (wr->num_sge)
		memcpy(wqe + 1, wr->sg_list,
		       wr->num_sge * sizeof(*wr->sg_list));
	rq->queue.index++;
	return 0;
}

/**
 * odp_rq_post - give the kernel receive requests
 * @rq: The queue, which has a ring.
 * @wr: The requests; those before a bad one are posted.
 * @bad_wr: Set to the bad one.
 *
 * Returns 0 or an errno value.
 */
int odp_rq_post(struct odp_rq *rq, struct ibv_recv_wr *wr,
		struct ibv_recv_wr **bad_wr)
{
	int ret = 0;

	pthread_spin_lock(&rq->lock);
	for (; wr; wr = wr->next) {
		ret = post_one(rq, wr);
		if (ret) {
			*bad_wr = wr;
			break;
		}
	}
	odp_queue_publish(&rq->queue);
	pthread_spin_unlock(&rq->lock);
	return ret;
}

/*
 * Its result does not matter: the entries are the kernel's already, and it
 * only fails when the device is gone.
 */
static void kick(struct ibv_qp *ibqp)
{
	struct ibv_recv_wr *unused;

	ibv_cmd_post_recv(ibqp, NULL, &unused);
}

/*
 * Without a system call there is no kernel to refuse requests in the reset
 * state.
 */
int odp_post_recv(struct ibv_qp *ibqp, struct ibv_recv_wr *wr,
		  struct ibv_recv_wr **bad_wr)
{
	struct odp_rq *rq = &to_odp_qp(ibqp)->rq;
	int ret;

	if (!rq->queue.depth || ibqp->state == IBV_QPS_RESET) {
		*bad_wr = wr;
		return EINVAL;
	}

	ret = odp_rq_post(rq, wr, bad_wr);
	if (odp_queue_wants_kick(&rq->queue))
		kick(ibqp);
	return ret;
}
