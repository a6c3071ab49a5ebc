/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef QP_H
#define QP_H

#include "cq.h"

struct dev;

/* What one end must know of the other's queue pair; exchanged as numbers */
struct qp_dest {
	uint64_t qpn;
	uint64_t psn;
	uint64_t lid;
	uint64_t gid_prefix;
	uint64_t gid_id;
};

/* The limits of queue pairs that are made */
struct qp_spec {
	uint32_t depth;	   /* send and receive entries each */
	uint32_t max_sge;
	uint32_t inline_len;
	uint32_t mtu;	   /* bytes */
	uint8_t rd_atomic; /* READs in flight, as requester and responder */
	uint8_t timeout;   /* 4.096 us << timeout */
	uint8_t retry;
	uint8_t rnr_retry; /* 7: for ever */
};

/* Reliable connections of one end that share two completion queues */
struct qps {
	struct ibv_qp **qp;
	unsigned int n;
	struct cq send_cq;
	struct cq recv_cq;
	uint32_t inline_len; /* what they really have */
	int silence_ms; /* longer than all retries together, and a minute at least */
};

#define QP_MAX_INLINE 128
#define QP_MAX_SGE 8

int qps_open(struct qps *q, struct dev *dev, unsigned int n,
	     const struct qp_spec *spec);
void qps_close(struct qps *q);
/*
 * The next completion of a send, as cq_next(). A large message may take its time:
 * there is none when nothing was sent for q->silence_ms.
 */
int qps_next_send(struct qps *q, struct ibv_wc *wc);

/* One queue pair in INIT */
int qp_create(struct dev *dev, struct ibv_cq *send_cq, struct ibv_cq *recv_cq,
	      const struct qp_spec *spec, struct ibv_qp **qp,
	      uint32_t *inline_len);
void qp_dest_local(const struct dev *dev, const struct ibv_qp *qp,
		   struct qp_dest *dest);
/* INIT to RTR, RTR to RTS */
int qp_to_rtr(struct dev *dev, struct ibv_qp *qp, const struct qp_spec *spec,
	      const struct qp_dest *peer);
int qp_to_rts(struct dev *dev, struct ibv_qp *qp, const struct qp_spec *spec);

#endif
