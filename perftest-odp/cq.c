/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#include "cq.h"
#include "dev.h"
#include "fail.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

int cq_open(struct cq *cq, struct dev *dev, int depth)
{
	memset(cq, 0, sizeof(*cq));
	cq->channel = ibv_create_comp_channel(dev->ctx);
	if (!cq->channel)
		return fail_errno(RC_WRONG, "%s: ibv_create_comp_channel",
				  dev->name);
	cq->cq = ibv_create_cq(dev->ctx, depth, NULL, cq->channel, 0);
	if (!cq->cq)
		return fail_errno(RC_WRONG, "%s: ibv_create_cq of %d entries",
				  dev->name, depth);
	return RC_OK;
}

void cq_close(struct cq *cq)
{
	if (cq->cq)
		ibv_destroy_cq(cq->cq);
	if (cq->channel)
		ibv_destroy_comp_channel(cq->channel);
	memset(cq, 0, sizeof(*cq));
}

/* Sleep until the completion queue has something. Return: as cq_next() */
static int wait_event(struct cq *cq, int timeout_ms)
{
	struct pollfd pfd = { .fd = cq->channel->fd, .events = POLLIN };
	struct ibv_cq *which;
	void *context;
	int n;

	do
		n = poll(&pfd, 1, timeout_ms);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	if (n < 0 || ibv_get_cq_event(cq->channel, &which, &context)) {
		fail_errno(RC_WRONG, "ibv_get_cq_event");
		return -1;
	}
	ibv_ack_cq_events(which, 1);
	return 1;
}

static int refill(struct cq *cq)
{
	cq->first = 0;
	cq->n = ibv_poll_cq(cq->cq, CQ_BATCH, cq->wc);
	if (cq->n < 0) {
		fail(RC_WRONG, "ibv_poll_cq returned %d", cq->n);
		cq->n = 0;
		return -1;
	}
	return cq->n > 0;
}

/* Nothing came in time. Is it that only the event did not come? */
static int event_lost(struct cq *cq)
{
	if (!refill(cq))
		return 0;
	fail(RC_WRONG, "a completion is there, but its event did not come");
	return -1;
}

int cq_next(struct cq *cq, struct ibv_wc *wc, int timeout_ms)
{
	int got = cq->first < cq->n ? 1 : refill(cq);

	while (!got) {
		if (ibv_req_notify_cq(cq->cq, 0)) {
			fail_errno(RC_WRONG, "ibv_req_notify_cq");
			return -1;
		}
		/* What came before the request makes no event */
		got = refill(cq);
		if (got)
			break;
		got = wait_event(cq, timeout_ms);
		if (got > 0)
			got = refill(cq);
		else
			return got ? got : event_lost(cq);
	}
	if (got > 0)
		*wc = cq->wc[cq->first++];
	return got;
}
