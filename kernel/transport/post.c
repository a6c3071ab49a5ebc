// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Posting by the kernel's own users, into the queues that user space has rings
 * for: send requests go to where those from a ring are copied to, receive
 * requests to a ring that nobody maps. From there on they are the same.
 *
 * Users may hold locks, which their completion handlers take, too, or have
 * interrupts off; so the work is left to the workqueue.
 */
#include "qp.h"

/* The memory that a request works on: the list, or a copy of the data. */
static int odp_post_local(struct odp_qp *qp, struct odp_swqe *swqe,
			  const struct ib_send_wr *wr)
{
	struct odp_send_wqe *wqe = &swqe->wqe;
	int i;

	if (!(wr->send_flags & IB_SEND_INLINE)) {
		wqe->num_sge = wr->num_sge;
		memcpy(swqe + 1, wr->sg_list,
		       wr->num_sge * sizeof(*wr->sg_list));
		return 0;
	}
	for (i = 0; i < wr->num_sge; i++) {
		const struct ib_sge *sge = &wr->sg_list[i];

		if (sge->length > qp->sq.max_inline - wqe->inline_length)
			return -EINVAL;
		memcpy((void *)(swqe + 1) + wqe->inline_length,
		       (void *)(uintptr_t)sge->addr, sge->length);
		wqe->inline_length += sge->length;
	}
	return 0;
}

/* What is not local; a region is registered by what else binds a memory window. */
static void odp_post_remote(struct odp_send_wqe *wqe,
			    const struct ib_send_wr *wr)
{
	switch ((u32)wr->opcode) {
	case IB_WR_RDMA_WRITE:
	case IB_WR_RDMA_WRITE_WITH_IMM:
	case IB_WR_RDMA_READ:
	case ODP_WR_ATOMIC_WRITE:
		wqe->rkey = rdma_wr(wr)->rkey;
		wqe->remote_addr = rdma_wr(wr)->remote_addr;
		break;
	case IB_WR_ATOMIC_CMP_AND_SWP:
	case IB_WR_ATOMIC_FETCH_AND_ADD:
		wqe->rkey = atomic_wr(wr)->rkey;
		wqe->remote_addr = atomic_wr(wr)->remote_addr;
		wqe->compare_add = atomic_wr(wr)->compare_add;
		wqe->swap = atomic_wr(wr)->swap;
		break;
	case IB_WR_REG_MR:
		wqe->rkey = reg_wr(wr)->key;
		wqe->remote_addr = reg_wr(wr)->mr->iova;
		wqe->bind_length = reg_wr(wr)->mr->length;
		wqe->bind_access = reg_wr(wr)->access;
		break;
	default:
		break;
	}
}

static void odp_post_address(struct odp_qp *qp, struct odp_swqe *swqe,
			     const struct ib_send_wr *wr)
{
	swqe->wqe.remote_qpn = ud_wr(wr)->remote_qpn;
	swqe->wqe.remote_qkey = ud_wr(wr)->remote_qkey;
	odp_swqe_set_av(qp, swqe, &to_odp_ah(ud_wr(wr)->ah)->av);
}

static int odp_post_one(struct odp_qp *qp, const struct ib_send_wr *wr)
{
	struct odp_sq *sq = &qp->sq;
	struct odp_swqe *swqe = odp_sq_entry(sq, sq->tail);
	int err;

	lockdep_assert_held(&sq->lock);

	if (wr->num_sge > sq->max_sge || wr->send_flags & ~ODP_SEND_FLAGS)
		return -EINVAL;
	if (sq->tail - odp_sq_head(sq) == sq->kring.depth)
		return -ENOMEM;
	swqe->wqe = (struct odp_send_wqe){
		.wr_id = wr->wr_id,
		.opcode = wr->opcode,
		.flags = wr->send_flags,
		.imm_data = wr->ex.imm_data,
	};
	err = odp_post_local(qp, swqe, wr);
	if (err)
		return err;
	odp_post_remote(&swqe->wqe, wr);
	odp_swqe_check(qp, swqe);
	/* A request that drains the queue is for no queue pair of this type. */
	if (odp_qp_is_datagram(qp) && swqe->status == IB_WC_SUCCESS)
		odp_post_address(qp, swqe, wr);
	/* Pairs with odp_sq_tail(). */
	smp_store_release(&sq->tail, sq->tail + 1);
	return 0;
}

/**
 * odp_sq_post - posts send requests
 * @qp: The queue pair, of the kernel's.
 * @wr: The requests; those before a bad one are posted.
 * @bad: Set to the bad one.
 *
 * Any context. Return: 0; -EINVAL for the state or the request; -ENOMEM if the
 * queue is full.
 */
int odp_sq_post(struct odp_qp *qp, const struct ib_send_wr *wr,
		const struct ib_send_wr **bad)
{
	unsigned long flags;
	int err = 0;

	spin_lock_irqsave(&qp->sq.lock, flags);
	if (!odp_qp_state_posts(odp_qp_state(qp)))
		err = -EINVAL;
	while (wr && !err) {
		err = odp_post_one(qp, wr);
		if (!err)
			wr = wr->next;
	}
	spin_unlock_irqrestore(&qp->sq.lock, flags);
	*bad = wr;
	odp_half_kick_later(&qp->req.half);
	return err;
}

static int odp_post_recv_one(struct odp_rq *rq, const struct ib_recv_wr *wr)
{
	struct odp_ring *ring = rq->kring.ring;
	u32 index = ring->user_index;
	struct odp_recv_wqe *wqe;

	lockdep_assert_held(&rq->post_lock);

	if (wr->num_sge > rq->max_sge)
		return -EINVAL;
	/* Pairs with odp_kring_set_kernel_index(): the entry was read. */
	if (index - smp_load_acquire(&ring->kernel_index) == rq->kring.depth)
		return -ENOMEM;
	wqe = odp_kring_entry(&rq->kring, index);
	*wqe = (struct odp_recv_wqe){
		.wr_id = wr->wr_id,
		.num_sge = wr->num_sge,
	};
	memcpy(wqe + 1, wr->sg_list, wr->num_sge * sizeof(*wr->sg_list));
	/* Pairs with odp_kring_user_index(). */
	smp_store_release(&ring->user_index, index + 1);
	return 0;
}

/**
 * odp_rq_post - posts receive requests
 * @rq: The queue, of the kernel's; a shared one, too.
 * @wr: The requests; those before a bad one are posted.
 * @bad: Set to the bad one.
 *
 * Any context. Return: 0, -EINVAL, or -ENOMEM if the queue is full.
 */
int odp_rq_post(struct odp_rq *rq, const struct ib_recv_wr *wr,
		const struct ib_recv_wr **bad)
{
	unsigned long flags;
	int err = 0;

	spin_lock_irqsave(&rq->post_lock, flags);
	while (wr && !err) {
		err = odp_post_recv_one(rq, wr);
		if (!err)
			wr = wr->next;
	}
	spin_unlock_irqrestore(&rq->post_lock, flags);
	*bad = wr;
	return err;
}
