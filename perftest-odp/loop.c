/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#include "loop.h"
#include "dev.h"
#include "fail.h"

#include <string.h>

/* Nothing special; path MTU: what the ports can do */
const struct qp_spec loop_spec = {
	.depth = 16,
	.max_sge = 2,
	.inline_len = 64,
	.rd_atomic = 1,
	.timeout = 16,
	.retry = 7,
	.rnr_retry = 7,
};

static int create_end(struct end *e, struct dev *dev, const struct qp_spec *spec)
{
	int rc;

	e->dev = dev;
	rc = cq_open(&e->send_cq, dev, spec->depth);
	if (!rc)
		rc = cq_open(&e->recv_cq, dev, spec->depth);
	if (!rc)
		rc = qp_create(dev, e->send_cq.cq, e->recv_cq.cq, spec, &e->qp,
			       NULL);
	return rc;
}

int loop_create(struct loop *loop, struct dev *a, struct dev *b,
		const struct qp_spec *spec)
{
	uint32_t mtu = dev_mtu(a) < dev_mtu(b) ? dev_mtu(a) : dev_mtu(b);
	int rc;

	memset(loop, 0, sizeof(*loop));
	loop->spec = *spec;
	if (!loop->spec.mtu)
		loop->spec.mtu = mtu;
	rc = create_end(&loop->a, a, &loop->spec);
	return rc ? rc : create_end(&loop->b, b, &loop->spec);
}

static int connect_end(struct loop *loop, struct end *e, const struct end *peer)
{
	struct qp_dest dest;
	int rc;

	qp_dest_local(peer->dev, peer->qp, &dest);
	rc = qp_to_rtr(e->dev, e->qp, &loop->spec, &dest);
	return rc ? rc : qp_to_rts(e->dev, e->qp, &loop->spec);
}

int loop_connect(struct loop *loop)
{
	int rc = connect_end(loop, &loop->a, &loop->b);

	return rc ? rc : connect_end(loop, &loop->b, &loop->a);
}

static void close_end(struct end *e)
{
	if (e->qp)
		ibv_destroy_qp(e->qp);
	cq_close(&e->send_cq);
	cq_close(&e->recv_cq);
}

void loop_close(struct loop *loop)
{
	close_end(&loop->a);
	close_end(&loop->b);
	memset(loop, 0, sizeof(*loop));
}
