// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Deliveries: the requests that bring data, SENDs and RDMA WRITEs.
 *
 * No locks: the owner of the responder's half is alone with it. A receive request
 * is taken by the packet that needs it first, and stays in use until its message
 * has arrived. Memory is held for the time of a copy only (sg.c).
 *
 * IBTA volume 1: 9.7.4 (order of validation).
 */
#include "packet.h"
#include "qp.h"
#include "window.h"

/*
 * Makes sure of a receive request. False, and the packet is dealt with, if
 * there is none to be had.
 */
static bool odp_resp_need_rwqe(struct odp_qp *qp)
{
	enum ib_wc_status status;

	if (qp->resp.have_rwqe)
		return true;
	if (!odp_rq_take(qp, &status)) {
		if (odp_qp_is_reliable(qp))
			odp_responder_nak(qp, ODP_AETH_RNR |
					      READ_ONCE(qp->attr.min_rnr_timer));
		else
			odp_responder_lose(qp);
		return false;
	}
	qp->resp.have_rwqe = true;
	if (status == IB_WC_SUCCESS)
		return true;
	odp_responder_fail(qp, ODP_SYNDROME_NAK_OP, status);
	return false;
}

/* Reports a message that took a receive request; before it is acknowledged. */
static void odp_resp_complete(struct odp_qp *qp, const struct odp_packet *pkt,
			      enum ib_wc_opcode opcode, u32 len)
{
	struct odp_cqe cqe = {
		.status = IB_WC_SUCCESS,
		.opcode = opcode,
		.byte_len = len,
		.src_qp = qp->dest_qpn,
	};

	if (pkt->flags & ODP_PKT_IMM) {
		cqe.wc_flags = IB_WC_WITH_IMM;
		cqe.imm_data = odp_packet_imm(pkt);
	} else if (pkt->flags & ODP_PKT_INV) {
		cqe.wc_flags = ODP_WC_WITH_INV;
		cqe.invalidated_rkey = odp_packet_invalidate(pkt);
	}
	if (!odp_responder_push(qp, &cqe, pkt->bth->flags & ODP_BTH_SOLICITED))
		odp_qp_fatal(qp);
}

/**
 * odp_responder_send - executes a packet of a SEND
 * @qp: The queue pair. Responder only.
 * @pkt: The packet that is expected next.
 *
 * Return: 0, or -EAGAIN if a page is missing, like all that execute a packet.
 */
int odp_responder_send(struct odp_qp *qp, const struct odp_packet *pkt)
{
	struct odp_responder *resp = &qp->resp;
	struct odp_rwqe *rwqe = resp->rwqe;
	int err;

	if (!odp_resp_need_rwqe(qp))
		return 0;
	if (pkt->flags & ODP_PKT_FIRST)
		resp->received = 0;
	if ((u64)resp->received + pkt->len > rwqe->length) {
		odp_responder_fail(qp, ODP_SYNDROME_NAK_INV, IB_WC_LOC_LEN_ERR);
		return 0;
	}
	err = odp_sg_copy(odp_qp_recv_pd(qp), &resp->half, rwqe->sge,
			  rwqe->num_sge, resp->received, pkt->payload, pkt->len, true,
			  &resp->taken);
	if (err)
		return odp_responder_no_memory(qp, err, ODP_SYNDROME_NAK_OP,
					       IB_WC_LOC_PROT_ERR);
	if (pkt->flags & ODP_PKT_INV &&
	    odp_window_invalidate(qp->dev, odp_qp_remote_pd(qp), qp->ib.qp_num,
				  odp_packet_invalidate(pkt))) {
		odp_responder_fail(qp, ODP_SYNDROME_NAK_ACCESS,
				   IB_WC_LOC_ACCESS_ERR);
		return 0;
	}
	resp->received += pkt->len;
	resp->message = pkt->flags & ODP_PKT_LAST ? ODP_MSG_NONE : ODP_MSG_SEND;
	odp_responder_executed(qp, pkt);
	if (pkt->flags & ODP_PKT_LAST)
		odp_resp_complete(qp, pkt, IB_WC_RECV, resp->received);
	return 0;
}

/* Where the packet's data goes; false, and dealt with, if it must not. */
static bool odp_resp_write_target(struct odp_qp *qp,
				  const struct odp_packet *pkt)
{
	struct odp_remote *write = &qp->resp.write;

	if (pkt->flags & ODP_PKT_FIRST) {
		odp_remote_from_reth(write, pkt);
		if (odp_remote_check(qp, write, IB_ACCESS_REMOTE_WRITE)) {
			odp_responder_fail(qp, ODP_SYNDROME_NAK_ACCESS,
					   IB_WC_LOC_ACCESS_ERR);
			return false;
		}
	}
	if (pkt->flags & ODP_PKT_LAST ? pkt->len != write->left :
					pkt->len >= write->left) {
		odp_responder_fail(qp, ODP_SYNDROME_NAK_INV, IB_WC_LOC_LEN_ERR);
		return false;
	}
	return true;
}

/**
 * odp_responder_write - executes a packet of an RDMA WRITE
 * @qp: The queue pair. Responder only.
 * @pkt: The packet that is expected next.
 *
 * Return: as odp_responder_send().
 */
int odp_responder_write(struct odp_qp *qp, const struct odp_packet *pkt)
{
	struct odp_responder *resp = &qp->resp;
	u32 total;
	int err;

	if (!odp_resp_write_target(qp, pkt))
		return 0;
	if (pkt->flags & ODP_PKT_IMM && !odp_resp_need_rwqe(qp))
		return 0;
	if (pkt->flags & ODP_PKT_FIRST)
		resp->received = 0;
	err = odp_remote_copy(qp, &resp->half, &resp->write, pkt->payload,
			      pkt->len, true, &resp->taken);
	if (err)
		return odp_responder_no_memory(qp, err, ODP_SYNDROME_NAK_ACCESS,
					       IB_WC_LOC_ACCESS_ERR);
	resp->write.va += pkt->len;
	resp->write.left -= pkt->len;
	resp->received += pkt->len;
	total = resp->received;
	resp->message = pkt->flags & ODP_PKT_LAST ? ODP_MSG_NONE :
						    ODP_MSG_WRITE;
	odp_responder_executed(qp, pkt);
	if (pkt->flags & ODP_PKT_IMM)
		odp_resp_complete(qp, pkt, IB_WC_RECV_RDMA_WITH_IMM, total);
	return 0;
}
