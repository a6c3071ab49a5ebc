/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#include "qp.h"
#include "dev.h"
#include "fail.h"
#include "pattern.h"

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* At least */
#define SILENCE_MS 60000

static int to_init(struct dev *dev, struct ibv_qp *qp)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = dev->port,
		.qp_access_flags = IBV_ACCESS_LOCAL_WRITE |
				   IBV_ACCESS_REMOTE_WRITE |
				   IBV_ACCESS_REMOTE_READ,
	};
	int err = ibv_modify_qp(qp, &attr,
				IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
					IBV_QP_ACCESS_FLAGS);

	if (!err)
		return RC_OK;
	errno = err;
	return fail_errno(RC_WRONG, "%s: ibv_modify_qp to INIT", dev->name);
}

int qp_create(struct dev *dev, struct ibv_cq *send_cq, struct ibv_cq *recv_cq,
	      const struct qp_spec *spec, struct ibv_qp **qp,
	      uint32_t *inline_len)
{
	struct ibv_qp_init_attr init = {
		.send_cq = send_cq,
		.recv_cq = recv_cq,
		.qp_type = IBV_QPT_RC,
		.cap = {
			.max_send_wr = spec->depth,
			.max_recv_wr = spec->depth,
			.max_send_sge = spec->max_sge,
			.max_recv_sge = spec->max_sge,
			.max_inline_data = spec->inline_len,
		},
	};

	*qp = ibv_create_qp(dev->pd, &init);
	if (!*qp && spec->inline_len) { /* perhaps it has no inline data */
		init.cap.max_inline_data = 0;
		*qp = ibv_create_qp(dev->pd, &init);
	}
	if (!*qp)
		return fail_errno(RC_WRONG,
				  "%s: ibv_create_qp with %u entries of %u pieces",
				  dev->name, spec->depth, spec->max_sge);
	if (inline_len)
		*inline_len = init.cap.max_inline_data;
	return to_init(dev, *qp);
}

/* A retry may wait four times the timeout (IBTA 9.7.6.1.3), which is in 4.096 us */
static int silence_ms(const struct qp_spec *spec)
{
	uint64_t timeout_ms = (4096ULL << spec->timeout) / 1000000;
	uint64_t retries_ms = (spec->retry + 1) * 4 * timeout_ms;

	return retries_ms < SILENCE_MS	? SILENCE_MS :
	       retries_ms < INT_MAX / 2 ? (int)retries_ms * 2 :
					  INT_MAX;
}

int qps_open(struct qps *q, struct dev *dev, unsigned int n,
	     const struct qp_spec *spec)
{
	unsigned int i;
	int rc;

	memset(q, 0, sizeof(*q));
	q->qp = calloc(n, sizeof(*q->qp));
	if (!q->qp)
		return fail_errno(RC_WRONG, "no memory for %u queue pairs", n);
	q->n = n;
	q->inline_len = QP_MAX_INLINE;
	q->silence_ms = silence_ms(spec);
	rc = cq_open(&q->send_cq, dev, n * spec->depth);
	if (!rc)
		rc = cq_open(&q->recv_cq, dev, n * spec->depth);
	for (i = 0; i < n && !rc; i++)
		rc = qp_create(dev, q->send_cq.cq, q->recv_cq.cq, spec,
			       &q->qp[i], &q->inline_len);
	if (q->inline_len > QP_MAX_INLINE)
		q->inline_len = QP_MAX_INLINE;
	return rc;
}

void qps_close(struct qps *q)
{
	unsigned int i;

	for (i = 0; i < q->n; i++)
		if (q->qp[i])
			ibv_destroy_qp(q->qp[i]);
	cq_close(&q->send_cq);
	cq_close(&q->recv_cq);
	free(q->qp);
	memset(q, 0, sizeof(*q));
}

/* The PSNs that come next, of all queue pairs: they stand still when nothing is sent */
static uint64_t next_psns(const struct qps *q)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < q->n; i++) {
		if (ibv_query_qp(q->qp[i], &attr, IBV_QP_SQ_PSN, &init))
			return 0;
		sum += attr.sq_psn;
	}
	return sum;
}

int qps_next_send(struct qps *q, struct ibv_wc *wc)
{
	uint64_t psns = UINT64_MAX, before;
	int got;

	do {
		before = psns;
		got = cq_next(&q->send_cq, wc, q->silence_ms);
		if (got)
			break;
		psns = next_psns(q);
	} while (psns != before);
	return got;
}

void qp_dest_local(const struct dev *dev, const struct ibv_qp *qp,
		   struct qp_dest *dest)
{
	dest->qpn = qp->qp_num;
	dest->psn = pattern_mix(qp->qp_num) & 0xffffff;
	dest->lid = dev->port_attr.lid;
	dest->gid_prefix = be64toh(dev->gid.global.subnet_prefix);
	dest->gid_id = be64toh(dev->gid.global.interface_id);
}

static void set_path(struct dev *dev, struct ibv_ah_attr *ah,
		     const struct qp_dest *peer)
{
	ah->port_num = dev->port;
	ah->dlid = peer->lid;
	if (dev->port_attr.link_layer != IBV_LINK_LAYER_ETHERNET)
		return;
	ah->is_global = 1;
	ah->grh.sgid_index = dev->gid_index;
	ah->grh.hop_limit = 64;
	ah->grh.dgid.global.subnet_prefix = htobe64(peer->gid_prefix);
	ah->grh.dgid.global.interface_id = htobe64(peer->gid_id);
}

int qp_to_rtr(struct dev *dev, struct ibv_qp *qp, const struct qp_spec *spec,
	      const struct qp_dest *peer)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = mtu_from_bytes(spec->mtu),
		.dest_qp_num = peer->qpn,
		.rq_psn = peer->psn,
		.max_dest_rd_atomic = spec->rd_atomic,
		.min_rnr_timer = 1, /* 0.01 ms */
	};
	int err;

	set_path(dev, &attr.ah_attr, peer);
	err = ibv_modify_qp(qp, &attr,
			    IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
				    IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
				    IBV_QP_MAX_DEST_RD_ATOMIC |
				    IBV_QP_MIN_RNR_TIMER);
	if (!err)
		return RC_OK;
	errno = err;
	return fail_errno(RC_WRONG, "%s: ibv_modify_qp to RTR, path MTU %u",
			  dev->name, spec->mtu);
}

int qp_to_rts(struct dev *dev, struct ibv_qp *qp, const struct qp_spec *spec)
{
	struct qp_dest self;
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTS,
		.timeout = spec->timeout,
		.retry_cnt = spec->retry,
		.rnr_retry = spec->rnr_retry,
		.max_rd_atomic = spec->rd_atomic,
	};
	int err;

	qp_dest_local(dev, qp, &self);
	attr.sq_psn = self.psn;
	err = ibv_modify_qp(qp, &attr,
			    IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
				    IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
				    IBV_QP_MAX_QP_RD_ATOMIC);
	if (!err)
		return RC_OK;
	errno = err;
	return fail_errno(RC_WRONG, "%s: ibv_modify_qp to RTS", dev->name);
}
