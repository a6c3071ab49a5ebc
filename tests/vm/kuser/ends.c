// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Queue pairs, and requests that both ends post */
#include <linux/delay.h>
#include <net/ipv6.h>
#include <rdma/ib_cache.h>

#include "kuser.h"

struct end *a, *b;
enum ib_poll_context context;

u8 byte_of(u32 number, u32 i)
{
	return number * 43 + i * 7 + (i >> 8) + 1;
}

void note_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct note *note = container_of(wc->wr_cqe, struct note, cqe);
	struct end *end = cq->cq_context;

	note->wc = *wc;
	note->turn = end->turns++;
	complete(&note->done);
}

struct ib_cqe *note_new(struct note *note)
{
	note->cqe.done = note_done;
	init_completion(&note->done);
	return &note->cqe;
}

void end_poll(struct end *end)
{
	if (context == IB_POLL_DIRECT)
		ib_process_cq_direct(end->cq, -1);
}

/* Completes within a few seconds? */
bool came(struct end *end, struct note *note)
{
	unsigned long until = jiffies + 20 * HZ;

	while (!completion_done(&note->done) && time_before(jiffies, until)) {
		end_poll(end);
		usleep_range(100, 200);
	}
	if (try_wait_for_completion(&note->done))
		return true;
	pr_err("kuser: no completion\n");
	return false;
}

/* With that status? */
bool ended(struct end *end, struct note *note, enum ib_wc_status status)
{
	if (!came(end, note))
		return false;
	if (note->wc.status != status)
		pr_err("kuser: completion: %s\n",
		       ib_wc_status_msg(note->wc.status));
	return note->wc.status == status && note->wc.qp == end->qp;
}

static int end_find_gid(struct end *end)
{
	const struct ib_gid_attr *attr;
	int i;

	for (i = 0; i < 32; i++) {
		attr = rdma_get_gid_attr(end->ib, 1, i);
		if (IS_ERR(attr))
			continue;
		end->gid = attr->gid;
		end->gid_index = i;
		if (attr->gid_type == IB_GID_TYPE_ROCE_UDP_ENCAP &&
		    ipv6_addr_v4mapped((void *)&attr->gid)) {
			rdma_put_gid_attr(attr);
			return 0;
		}
		rdma_put_gid_attr(attr);
	}
	return -ENOENT;
}

int end_create_qp(struct end *end, enum ib_qp_type type)
{
	struct ib_qp_init_attr init = {
		.qp_type = type, .send_cq = end->cq, .recv_cq = end->cq,
		.srq = end->srq, .sq_sig_type = IB_SIGNAL_ALL_WR,
		.cap = { .max_send_wr = DEPTH, .max_recv_wr = DEPTH,
			 .max_send_sge = 2, .max_recv_sge = 2,
			 .max_inline_data = 64 },
	};

	end->qp = ib_create_qp(end->pd, &init);
	CHECK(!IS_ERR(end->qp));
	return 0;
}

int end_create(struct end *end, const char *name)
{
	end->ib = ib_device_get_by_name(name, RDMA_DRIVER_UNKNOWN);
	CHECK(end->ib);
	RUN(end_find_gid(end));
	end->pd = ib_alloc_pd(end->ib, 0);
	CHECK(!IS_ERR(end->pd));
	end->cq = ib_alloc_cq(end->ib, end, 4 * DEPTH, 0, context);
	CHECK(!IS_ERR(end->cq));
	end->mem = kvzalloc((2 * DEPTH + 2) * SLOT, GFP_KERNEL);
	CHECK(end->mem);
	return 0;
}

/* Leaves things behind if something was wrong: the guest is of no use then. */
void end_destroy(struct end *end)
{
	kvfree(end->mem);
	ib_free_cq(end->cq);
	ib_dealloc_pd(end->pd);
	ib_device_put(end->ib);
}

void end_address(const struct end *end, const struct end *peer,
		 struct rdma_ah_attr *attr)
{
	memset(attr, 0, sizeof(*attr));
	attr->type = rdma_ah_find_type(end->ib, 1);
	rdma_ah_set_port_num(attr, 1);
	rdma_ah_set_grh(attr, (union ib_gid *)&peer->gid, 0, end->gid_index, 16, 0);
}

int end_connect(struct end *end, const struct end *peer)
{
	struct ib_qp_attr attr = {
		.qp_state = IB_QPS_INIT, .port_num = 1, .path_mtu = IB_MTU_1024,
		.dest_qp_num = peer->qp->qp_num, .rnr_retry = 7, .retry_cnt = 7,
		.timeout = 18, .min_rnr_timer = 1,
		.max_rd_atomic = 4, .max_dest_rd_atomic = 4,
		.qp_access_flags = IB_ACCESS_REMOTE_READ |
				   IB_ACCESS_REMOTE_WRITE |
				   IB_ACCESS_REMOTE_ATOMIC,
	};

	RUN(ib_modify_qp(end->qp, &attr, IB_QP_STATE | IB_QP_PORT |
			 IB_QP_PKEY_INDEX | IB_QP_ACCESS_FLAGS));
	end_address(end, peer, &attr.ah_attr);
	attr.qp_state = IB_QPS_RTR;
	RUN(ib_modify_qp(end->qp, &attr, IB_QP_STATE | IB_QP_AV |
			 IB_QP_PATH_MTU | IB_QP_DEST_QPN | IB_QP_RQ_PSN |
			 IB_QP_MAX_DEST_RD_ATOMIC | IB_QP_MIN_RNR_TIMER));
	attr.qp_state = IB_QPS_RTS;
	RUN(ib_modify_qp(end->qp, &attr, IB_QP_STATE | IB_QP_TIMEOUT |
			 IB_QP_RETRY_CNT | IB_QP_RNR_RETRY | IB_QP_SQ_PSN |
			 IB_QP_MAX_QP_RD_ATOMIC));
	return 0;
}

int pair_up(void)
{
	RUN(end_create_qp(a, IB_QPT_RC));
	RUN(end_create_qp(b, IB_QPT_RC));
	RUN(end_connect(a, b));
	return end_connect(b, a);
}

void pair_down(void)
{
	ib_destroy_qp(a->qp);
	ib_destroy_qp(b->qp);
}

/* After an error */
int pair_renew(void)
{
	pair_down();
	return pair_up();
}

/* Two pieces, the second one at once behind the first one */
static void pieces(struct end *end, u8 *mem, u32 len, struct ib_sge sge[2])
{
	sge[0] = (struct ib_sge){ (uintptr_t)mem, len / 3,
				  end->pd->local_dma_lkey };
	sge[1] = (struct ib_sge){ (uintptr_t)mem + len / 3, len - len / 3,
				  end->pd->local_dma_lkey };
}

int post_receive(struct end *end, u32 i, u32 len)
{
	struct ib_sge sge[2];
	struct ib_recv_wr wr = {
		.wr_cqe = note_new(&end->received[i]),
		.sg_list = sge, .num_sge = 2,
	};

	memset(end->mem + i * SLOT, 0, SLOT);
	pieces(end, end->mem + i * SLOT, len, sge);
	return end->srq ? ib_post_srq_recv(end->srq, &wr, NULL) :
			  ib_post_recv(end->qp, &wr, NULL);
}

/* Interrupts are off, as they may be for a caller. */
int post_send(struct end *end, u32 i, u32 len, u32 qpn, int flags)
{
	u8 *mem = end->mem + (DEPTH + 1 + i) * SLOT;
	struct ib_sge sge[2];
	struct ib_ud_wr wr = {
		.wr = { .wr_cqe = note_new(&end->sent[i]), .sg_list = sge,
			.num_sge = 2, .opcode = IB_WR_SEND_WITH_IMM,
			.send_flags = flags, .ex.imm_data = htonl(i) },
		.ah = end->ah, .remote_qpn = qpn, .remote_qkey = QKEY,
	};
	unsigned long irq;
	int err;
	u32 k;

	for (k = 0; k < len; k++)
		mem[k] = byte_of(i, k);
	pieces(end, mem, len, sge);
	local_irq_save(irq);
	err = ib_post_send(end->qp, &wr.wr, NULL);
	local_irq_restore(irq);
	return err;
}

/* A request without data */
int request(struct end *end, struct ib_send_wr *wr, enum ib_wc_status status)
{
	wr->wr_cqe = note_new(&end->sent[0]);
	RUN(ib_post_send(end->qp, wr, NULL));
	CHECK(ended(end, &end->sent[0], status));
	return status == IB_WC_SUCCESS ? 0 : pair_renew();
}

/* What a does by a key of b's */
int rdma(enum ib_wr_opcode opcode, u8 *mem, u64 addr, u32 key, u32 len,
	 enum ib_wc_status status)
{
	struct ib_sge sge = { (uintptr_t)mem, len, a->pd->local_dma_lkey };
	struct ib_rdma_wr wr = {
		.wr = { .opcode = opcode, .sg_list = &sge, .num_sge = 1 },
		.remote_addr = addr, .rkey = key,
	};

	return request(a, &wr.wr, status);
}

int register_mr(struct end *end, struct ib_mr *mr, u32 key, int access,
		enum ib_wc_status status)
{
	struct ib_reg_wr wr = {
		.wr = { .opcode = IB_WR_REG_MR },
		.mr = mr, .key = key, .access = access,
	};

	RUN(request(end, &wr.wr, status));
	CHECK(status || end->sent[0].wc.opcode == IB_WC_REG_MR);
	return 0;
}

int invalidate(struct end *end, u32 key, enum ib_wc_status status)
{
	struct ib_send_wr wr = {
		.opcode = IB_WR_LOCAL_INV, .ex.invalidate_rkey = key,
	};

	RUN(request(end, &wr, status));
	CHECK(status || end->sent[0].wc.opcode == IB_WC_LOCAL_INV);
	return 0;
}
