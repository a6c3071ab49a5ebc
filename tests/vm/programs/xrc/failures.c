// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Requests that end a connection, and what both ends are told then */
#include "xrc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>

void event_is(enum ibv_event_type type, const struct ibv_qp *qp)
{
	struct pollfd p = { .fd = nics[1].context->async_fd, .events = POLLIN };
	struct ibv_async_event event;

	do {
		CHECK(poll(&p, 1, patience() * 1000) == 1);
		CHECK(!ibv_get_async_event(nics[1].context, &event));
		ibv_ack_async_event(&event);
	} while (event.event_type >= IBV_EVENT_PORT_ACTIVE &&
		 event.event_type <= IBV_EVENT_SM_CHANGE);
	CHECK(event.event_type == type && event.element.qp == qp);
}

void fails(enum ibv_wc_status status, enum ibv_event_type type)
{
	struct ibv_wc wc = end_wait(&near[0]);

	if (wc.status != status)
		printf("completion: %s\n", ibv_wc_status_str(wc.status));
	CHECK(wc.status == status);
	event_is(type, far[0]);
	event_is(IBV_EVENT_QP_LAST_WQE_REACHED, far[0]);
	CHECK(state_of(far[0]) == IBV_QPS_ERR && state_of(near[0].qp) == IBV_QPS_ERR);
	pair_connect(0);
}

static void wrong_queue(uint32_t number)
{
	post_to(0, number, outbox, 8, 0);
	fails(IBV_WC_REM_INV_REQ_ERR, IBV_EVENT_QP_REQ_ERR);
}

static void queue_of_other_domain(void)
{
	struct ibv_xrcd_init_attr init = {
		.comp_mask = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS,
		.fd = -1, .oflags = O_CREAT,
	};
	struct ibv_xrcd *other = ibv_open_xrcd(nics[1].context, &init);
	struct queue *queue = &queues[0];
	struct ibv_recv_wr wr = {}, *bad;
	struct ibv_srq *srq;
	struct ibv_wc wc;
	uint32_t number;

	CHECK(other);
	CHECK((srq = srq_of(nics[1].context, queue->pd, other, queue->end.cq)));
	CHECK(!ibv_get_srq_num(srq, &number) && number != queue->known.number);
	CHECK(!ibv_post_srq_recv(srq, &wr, &bad));
	CHECK(ibv_close_xrcd(other) == EBUSY);
	wrong_queue(number);
	CHECK(!end_poll(&queue->end, &wc));
	CHECK(!ibv_destroy_srq(srq));
	wrong_queue(number);
	CHECK(!ibv_close_xrcd(other));
}

void wrong_numbers(void)
{
	wrong_queue(0);
	wrong_queue(0xffffff);
	queue_of_other_domain();
	printf("numbers of no queue, of one in another domain, of one that is gone\n");
}

/* Keys are of the domain of the queue that is named. */
void wrong_keys(void)
{
	fill(3, 100);
	post_remote(0, IBV_WR_RDMA_WRITE, &queues[0], queues[1].known.rkey, 100);
	fails(IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR);
	post_remote(0, IBV_WR_RDMA_READ, &queues[2], queues[0].known.rkey, 100);
	fails(IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR);
	post_remote(0, IBV_WR_ATOMIC_FETCH_AND_ADD, &queues[1], queues[2].known.rkey, 8);
	fails(IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR);
	order(&queues[0], (struct order){ .what = CHECK_FIELD });
	order(&queues[1], (struct order){ .what = CHECK_FIELD });
	order(&queues[2], (struct order){ .what = CHECK_FIELD });
	printf("keys of another domain are refused, and nothing is written\n");
}

/* A message that is too long fails at both sides; the queue goes on. */
void too_long(void)
{
	struct queue *queue = &queues[0];
	struct ibv_wc wc;

	give(queue, 1);
	fill(1, 0);
	post_to(0, queue->known.number, outbox, SLOT + 1, 0);
	wc = end_wait(&queue->end);
	CHECK(wc.status == IBV_WC_LOC_LEN_ERR && wc.qp_num == far[0]->qp_num);
	queue->given[wc.wr_id] = false;
	CHECK(!madvise(queue->inbox, SLOTS * SLOT, MADV_DONTNEED));
	wc = end_wait(&near[0]);
	CHECK(wc.status == IBV_WC_REM_INV_REQ_ERR);
	event_is(IBV_EVENT_QP_LAST_WQE_REACHED, far[0]);
	pair_connect(0);
	printf("a message that is too long completes its request with an error\n");
}
