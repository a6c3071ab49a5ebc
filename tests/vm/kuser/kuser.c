// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A kernel user of verbs: queue pairs of the kernel's between the two devices that
 * the parameter "devices" names, which may be the same. All is tried while the
 * module loads; if anything is wrong it says where and does not load.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <net/ipv6.h>
#include <rdma/ib_cache.h>
#include <rdma/ib_verbs.h>

#define DEPTH	32
#define SLOT	4096
/* A region: so many pages, from somewhere in the first to somewhere in the last */
#define PAGES	8
#define SKIP	0x308
#define LENGTH	(PAGES * PAGE_SIZE - SKIP - 0x2c5)
#define QKEY	0x76543
#define GRH	40

static char *devices[2];
module_param_array(devices, charp, NULL, 0);
MODULE_PARM_DESC(devices, "names of two devices");

/* Ends the function with an error, and says where. */
#define CHECK(what) do {						\
	if (!(what)) {							\
		pr_err("kuser: line %d: not so: %s\n", __LINE__, #what);	\
		return -EPROTO;						\
	}								\
} while (0)

#define RUN(what) do {							\
	int ret = (what);						\
									\
	if (ret) {							\
		pr_err("kuser: line %d: %s: error %d\n", __LINE__, #what, ret); \
		return ret;						\
	}								\
} while (0)

/**
 * struct note - a request that is under way
 * @cqe: What is called when it completes.
 * @done: It has.
 * @wc: How.
 */
struct note {
	struct ib_cqe cqe;
	struct completion done;
	struct ib_wc wc;
};

/**
 * struct end - a queue pair and what it needs
 * @ib: The device, held.
 * @pd: Protection domain.
 * @cq: For both queues.
 * @srq: To receive from, or NULL.
 * @qp: The queue pair.
 * @ah: To the other one.
 * @gid: Its address.
 * @gid_index: The index of that.
 * @mem: A slot for each request.
 * @sent: Send requests, by slot.
 * @received: Receive requests, by slot.
 */
struct end {
	struct ib_device *ib;
	struct ib_pd *pd;
	struct ib_cq *cq;
	struct ib_srq *srq;
	struct ib_qp *qp;
	struct ib_ah *ah;
	union ib_gid gid;
	int gid_index;
	u8 *mem;
	struct note sent[DEPTH + 1];
	struct note received[DEPTH + 1];
};

/**
 * struct region - memory of b's that send requests register
 * @mr: What for.
 * @pages: The memory, in no order.
 * @turn: Which of them is the first.
 */
struct region {
	struct ib_mr *mr;
	struct page *pages[PAGES];
	u32 turn;
};

static struct end *a, *b;
static struct region region;
static enum ib_poll_context context;

static u8 byte_of(u32 number, u32 i)
{
	return number * 43 + i * 7 + (i >> 8) + 1;
}

static void done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct note *note = container_of(wc->wr_cqe, struct note, cqe);

	note->wc = *wc;
	complete(&note->done);
}

static struct ib_cqe *note_new(struct note *note)
{
	note->cqe.done = done;
	init_completion(&note->done);
	return &note->cqe;
}

/* Completes within a few seconds, with that status? */
static bool ended(struct end *end, struct note *note, enum ib_wc_status status)
{
	unsigned long until = jiffies + 20 * HZ;

	while (!completion_done(&note->done) && time_before(jiffies, until)) {
		if (context == IB_POLL_DIRECT)
			ib_process_cq_direct(end->cq, -1);
		usleep_range(100, 200);
	}
	if (!try_wait_for_completion(&note->done)) {
		pr_err("kuser: no completion\n");
		return false;
	}
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

static int end_create_qp(struct end *end, enum ib_qp_type type)
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

static int end_create(struct end *end, const char *name)
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
static void end_destroy(struct end *end)
{
	kvfree(end->mem);
	ib_free_cq(end->cq);
	ib_dealloc_pd(end->pd);
	ib_device_put(end->ib);
}

static void end_address(const struct end *end, const struct end *peer,
			struct rdma_ah_attr *attr)
{
	memset(attr, 0, sizeof(*attr));
	attr->type = rdma_ah_find_type(end->ib, 1);
	rdma_ah_set_port_num(attr, 1);
	rdma_ah_set_grh(attr, (union ib_gid *)&peer->gid, 0, end->gid_index, 16, 0);
}

static int end_connect(struct end *end, const struct end *peer)
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

static int pair_up(void)
{
	RUN(end_create_qp(a, IB_QPT_RC));
	RUN(end_create_qp(b, IB_QPT_RC));
	RUN(end_connect(a, b));
	return end_connect(b, a);
}

static void pair_down(void)
{
	ib_destroy_qp(a->qp);
	ib_destroy_qp(b->qp);
}

/* After an error */
static int pair_renew(void)
{
	pair_down();
	return pair_up();
}

static int end_prepare_ud(struct end *end, const struct end *peer)
{
	struct ib_qp_attr attr = {
		.qp_state = IB_QPS_INIT, .port_num = 1, .qkey = QKEY,
	};
	struct rdma_ah_attr address;

	RUN(ib_modify_qp(end->qp, &attr, IB_QP_STATE | IB_QP_PORT |
			 IB_QP_PKEY_INDEX | IB_QP_QKEY));
	attr.qp_state = IB_QPS_RTR;
	RUN(ib_modify_qp(end->qp, &attr, IB_QP_STATE));
	attr.qp_state = IB_QPS_RTS;
	RUN(ib_modify_qp(end->qp, &attr, IB_QP_STATE | IB_QP_SQ_PSN));
	end_address(end, peer, &address);
	end->ah = rdma_create_ah(end->pd, &address, RDMA_CREATE_AH_SLEEPABLE);
	CHECK(!IS_ERR(end->ah));
	RUN(rdma_query_ah(end->ah, &address));
	CHECK(rdma_ah_read_grh(&address)->sgid_index == end->gid_index);
	CHECK(!memcmp(&rdma_ah_read_grh(&address)->dgid, &peer->gid, 16));
	return 0;
}

/* Two pieces, the second one at once behind the first one */
static void pieces(struct end *end, u8 *mem, u32 len, struct ib_sge sge[2])
{
	sge[0] = (struct ib_sge){ (uintptr_t)mem, len / 3,
				  end->pd->local_dma_lkey };
	sge[1] = (struct ib_sge){ (uintptr_t)mem + len / 3, len - len / 3,
				  end->pd->local_dma_lkey };
}

static int post_receive(struct end *end, u32 i, u32 len)
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
static int post_send(struct end *end, u32 i, u32 len, u32 qpn, int flags)
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

/* What went out as number @sent came in as number @received. */
static int check_message(u32 sent, u32 received, u32 len, u32 grh)
{
	const struct ib_wc *wc = &b->received[received].wc;
	const u8 *got = b->mem + received * SLOT;
	u32 k;

	CHECK(ended(a, &a->sent[sent], IB_WC_SUCCESS));
	CHECK(ended(b, &b->received[received], IB_WC_SUCCESS));
	CHECK(a->sent[sent].wc.opcode == IB_WC_SEND);
	CHECK(wc->opcode == IB_WC_RECV && wc->byte_len == grh + len);
	CHECK(wc->wc_flags == (IB_WC_WITH_IMM | (grh ? IB_WC_GRH : 0)));
	CHECK(wc->ex.imm_data == htonl(sent));
	CHECK(wc->src_qp == a->qp->qp_num);
	for (k = 0; k < len; k++)
		CHECK(got[grh + k] == byte_of(sent, k));
	CHECK(!got[grh + len]);
	return 0;
}

static int messages(u32 len, u32 grh, int flags)
{
	u32 i;

	for (i = 0; i < DEPTH; i++)
		RUN(post_receive(b, i, grh + len));
	for (i = 0; i < DEPTH; i++)
		RUN(post_send(a, i, len, b->qp->qp_num, flags));
	for (i = 0; i < DEPTH; i++)
		RUN(check_message(i, i, len, grh));
	return 0;
}

/* A queue has room for so many, and for more when they are through. */
static int full(void)
{
	u32 i;

	for (i = 0; i < DEPTH; i++)
		RUN(post_send(a, i, 100, 0, 0));
	CHECK(post_send(a, DEPTH, 100, 0, 0) == -ENOMEM);
	for (i = 0; i < DEPTH; i++)
		RUN(post_receive(b, i, 100));
	for (i = 0; i < DEPTH; i++)
		RUN(check_message(i, i, 100, 0));
	for (i = 0; i < DEPTH; i++)
		RUN(post_receive(b, i, 100));
	CHECK(post_receive(b, DEPTH, 100) == -ENOMEM);
	for (i = 0; i < DEPTH; i++)
		RUN(post_send(a, i, 100, 0, 0));
	for (i = 0; i < DEPTH; i++)
		RUN(check_message(i, i, 100, 0));
	return 0;
}

static int refused(void)
{
	struct ib_sge sge[9] = {};
	struct ib_send_wr send = { .opcode = IB_WR_SEND, .sg_list = sge,
				   .num_sge = ARRAY_SIZE(sge) };
	struct ib_recv_wr recv = { .sg_list = sge,
				   .num_sge = ARRAY_SIZE(sge) };
	const struct ib_send_wr *bad_send = NULL;
	const struct ib_recv_wr *bad_recv = NULL;

	CHECK(ib_post_send(a->qp, &send, &bad_send) == -EINVAL);
	CHECK(bad_send == &send);
	CHECK(ib_post_recv(b->qp, &recv, &bad_recv) == -EINVAL);
	CHECK(bad_recv == &recv);
	send.num_sge = 0;
	send.send_flags = IB_SEND_RESERVED_START;
	CHECK(ib_post_send(a->qp, &send, &bad_send) == -EINVAL);
	CHECK(post_send(a, 0, 65, 0, IB_SEND_INLINE) == -EINVAL);
	return 0;
}

/* All that is posted comes back, in order, before the drain returns. */
static int drained(void)
{
	u32 i;

	for (i = 0; i < DEPTH - 1; i++)
		RUN(post_receive(b, i, 100));
	ib_drain_qp(a->qp);
	ib_drain_qp(b->qp);
	for (i = 0; i < DEPTH - 1; i++)
		CHECK(ended(b, &b->received[i], IB_WC_WR_FLUSH_ERR));
	RUN(post_send(a, 0, 100, 0, 0));
	CHECK(ended(a, &a->sent[0], IB_WC_WR_FLUSH_ERR));
	return 0;
}

/* After a reset the queues are empty, and all begins anew. */
static int again(void)
{
	struct ib_qp_attr attr = { .qp_state = IB_QPS_RESET };

	RUN(ib_modify_qp(a->qp, &attr, IB_QP_STATE));
	RUN(ib_modify_qp(b->qp, &attr, IB_QP_STATE));
	RUN(end_connect(a, b));
	RUN(end_connect(b, a));
	RUN(messages(500, 0, 0));
	return 0;
}

static int connected(void)
{
	RUN(end_create_qp(a, IB_QPT_RC));
	RUN(end_create_qp(b, IB_QPT_RC));
	CHECK(post_send(a, 0, 1, 0, 0) == -EINVAL);
	CHECK(post_receive(b, 0, 1) == -EINVAL);
	RUN(end_connect(a, b));
	RUN(end_connect(b, a));
	RUN(messages(3000, 0, 0));
	RUN(messages(0, 0, 0));
	RUN(messages(64, 0, IB_SEND_INLINE));
	RUN(full());
	RUN(refused());
	RUN(drained());
	RUN(again());
	ib_destroy_qp(a->qp);
	ib_destroy_qp(b->qp);
	return 0;
}

static int datagrams(void)
{
	RUN(end_create_qp(a, IB_QPT_UD));
	RUN(end_create_qp(b, IB_QPT_UD));
	RUN(end_prepare_ud(a, b));
	RUN(end_prepare_ud(b, a));
	RUN(messages(1000, GRH, 0));
	RUN(messages(0, GRH, 0));
	rdma_destroy_ah(a->ah, RDMA_DESTROY_AH_SLEEPABLE);
	rdma_destroy_ah(b->ah, RDMA_DESTROY_AH_SLEEPABLE);
	a->ah = NULL;
	b->ah = NULL;
	ib_destroy_qp(a->qp);
	ib_destroy_qp(b->qp);
	return 0;
}

static int shared(void)
{
	struct ib_srq_init_attr init = {
		.attr = { .max_wr = DEPTH, .max_sge = 2 },
	};

	b->srq = ib_create_srq(b->pd, &init);
	CHECK(!IS_ERR(b->srq));
	RUN(pair_up());
	RUN(messages(2000, 0, 0));
	pair_down();
	ib_destroy_srq(b->srq);
	b->srq = NULL;
	return 0;
}

/* Of a queue pair that is gone there are no completions any more. */
static int gone(void)
{
	if (context != IB_POLL_DIRECT)
		return 0;
	RUN(pair_up());
	RUN(post_receive(b, 0, 10));
	RUN(post_send(a, 0, 10, 0, 0));
	CHECK(ended(b, &b->received[0], IB_WC_SUCCESS));
	msleep(100);
	pair_down();
	CHECK(!ib_process_cq_direct(a->cq, -1));
	CHECK(!completion_done(&a->sent[0].done));
	return 0;
}

static u8 *region_byte(u32 i)
{
	u32 page = (i + SKIP) / PAGE_SIZE;

	/* Neighbours are none in memory. */
	return (u8 *)page_address(region.pages[(3 * page + region.turn) % PAGES]) +
	       (i + SKIP) % PAGE_SIZE;
}

static void region_fill(u32 number)
{
	u32 i;

	for (i = 0; i < LENGTH; i++)
		*region_byte(i) = byte_of(number, i);
}

/* From now on, or from when it is registered, other pages come first. */
static int region_map(u32 turn, u32 room)
{
	struct scatterlist sg[PAGES];
	u32 i, at = 0;

	region.turn = turn;
	sg_init_table(sg, PAGES);
	for (i = 0; i < PAGES; i++) {
		u32 len = i ? PAGE_SIZE : PAGE_SIZE - SKIP;
		u8 *first = region_byte(at);

		len = min_t(u32, len, LENGTH - at);
		sg_set_buf(&sg[i], first, len);
		at += len;
	}
	CHECK(ib_dma_map_sg(b->ib, sg, PAGES, DMA_BIDIRECTIONAL) == PAGES);
	CHECK(ib_map_mr_sg(region.mr, sg, PAGES, NULL, PAGE_SIZE) == room);
	ib_dma_unmap_sg(b->ib, sg, PAGES, DMA_BIDIRECTIONAL);
	return 0;
}

static int region_create(void)
{
	u32 most = b->ib->attrs.max_fast_reg_page_list_len;
	u32 i;

	CHECK(b->ib->attrs.device_cap_flags & IB_DEVICE_MEM_MGT_EXTENSIONS);
	CHECK(most >= 256);
	CHECK(PTR_ERR(ib_alloc_mr(b->pd, IB_MR_TYPE_SG_GAPS, 1)) == -EOPNOTSUPP);
	CHECK(PTR_ERR(ib_alloc_mr(b->pd, IB_MR_TYPE_MEM_REG, 0)) == -EINVAL);
	CHECK(PTR_ERR(ib_alloc_mr(b->pd, IB_MR_TYPE_MEM_REG, most + 1)) == -EINVAL);
	for (i = 0; i < PAGES; i++) {
		region.pages[i] = alloc_page(GFP_KERNEL);
		CHECK(region.pages[i]);
	}
	region.mr = ib_alloc_mr(b->pd, IB_MR_TYPE_MEM_REG, PAGES - 1);
	CHECK(!IS_ERR(region.mr));
	RUN(region_map(0, PAGES - 1));
	RUN(ib_dereg_mr(region.mr));
	region.mr = ib_alloc_mr(b->pd, IB_MR_TYPE_MEM_REG, most);
	CHECK(!IS_ERR(region.mr));
	return 0;
}

static int region_destroy(void)
{
	u32 i;

	for (i = 0; i < PAGES; i++)
		__free_page(region.pages[i]);
	return 0;
}

/* A request without data */
static int request(struct end *end, struct ib_send_wr *wr,
		   enum ib_wc_status status)
{
	wr->wr_cqe = note_new(&end->sent[0]);
	RUN(ib_post_send(end->qp, wr, NULL));
	CHECK(ended(end, &end->sent[0], status));
	return status == IB_WC_SUCCESS ? 0 : pair_renew();
}

static int do_register(struct end *end, u32 key, int access,
		       enum ib_wc_status status)
{
	struct ib_reg_wr wr = {
		.wr = { .opcode = IB_WR_REG_MR },
		.mr = region.mr, .key = key, .access = access,
	};

	RUN(request(end, &wr.wr, status));
	CHECK(status || end->sent[0].wc.opcode == IB_WC_REG_MR);
	return 0;
}

static int invalidate(struct end *end, u32 key, enum ib_wc_status status)
{
	struct ib_send_wr wr = {
		.opcode = IB_WR_LOCAL_INV, .ex.invalidate_rkey = key,
	};

	RUN(request(end, &wr, status));
	CHECK(status || end->sent[0].wc.opcode == IB_WC_LOCAL_INV);
	return 0;
}

/* What a does by a key of b's */
static int rdma(enum ib_wr_opcode opcode, u8 *mem, u64 addr, u32 key, u32 len,
		enum ib_wc_status status)
{
	struct ib_sge sge = { (uintptr_t)mem, len, a->pd->local_dma_lkey };
	struct ib_rdma_wr wr = {
		.wr = { .opcode = opcode, .sg_list = &sge, .num_sge = 1 },
		.remote_addr = addr, .rkey = key,
	};

	return request(a, &wr.wr, status);
}

static int may_read(u32 key)
{
	u32 i;

	memset(a->mem, 0, LENGTH + 1);
	RUN(rdma(IB_WR_RDMA_READ, a->mem, region.mr->iova, key, LENGTH,
		 IB_WC_SUCCESS));
	for (i = 0; i < LENGTH; i++)
		CHECK(a->mem[i] == *region_byte(i));
	CHECK(!a->mem[LENGTH]);
	return 0;
}

static int may_write(u32 number, u32 key)
{
	u32 i;

	for (i = 0; i < LENGTH; i++)
		a->mem[i] = byte_of(number, i);
	RUN(rdma(IB_WR_RDMA_WRITE, a->mem, region.mr->iova, key, LENGTH,
		 IB_WC_SUCCESS));
	for (i = 0; i < LENGTH; i++)
		CHECK(*region_byte(i) == byte_of(number, i));
	return 0;
}

static int may_add(u32 key)
{
	struct ib_sge sge = { (uintptr_t)a->mem, sizeof(u64),
			      a->pd->local_dma_lkey };
	struct ib_atomic_wr wr = {
		.wr = { .opcode = IB_WR_ATOMIC_FETCH_AND_ADD,
			.sg_list = &sge, .num_sge = 1 },
		.remote_addr = region.mr->iova + 8, .rkey = key, .compare_add = 5,
	};
	u64 old = *(u64 *)region_byte(8);

	RUN(request(a, &wr.wr, IB_WC_SUCCESS));
	CHECK(*(u64 *)a->mem == old);
	CHECK(*(u64 *)region_byte(8) == old + 5);
	return 0;
}

/* ATOMIC WRITE, which this kernel's headers have no name for */
static int may_store(u32 key)
{
	u64 *value = (u64 *)a->mem;

	*value = ~*(u64 *)region_byte(8);
	RUN(rdma((enum ib_wr_opcode)15, a->mem, region.mr->iova + 8, key,
		 sizeof(*value), IB_WC_SUCCESS));
	CHECK(*(u64 *)region_byte(8) == *value);
	return 0;
}

static int may_not(enum ib_wr_opcode opcode, s32 from, u32 key, u32 len)
{
	return rdma(opcode, a->mem, region.mr->iova + from, key, len,
		    IB_WC_REM_ACCESS_ERR);
}

static const int everything = IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_READ |
			      IB_ACCESS_REMOTE_WRITE | IB_ACCESS_REMOTE_ATOMIC;

/* The key of a registration opens it, all of it and nothing else. */
static int registered(void)
{
	u32 key = region.mr->rkey;

	RUN(region_map(0, PAGES));
	/* As NFS does. */
	region.mr->iova = 0x5577000000000000 | (u32)region.mr->iova;
	RUN(may_not(IB_WR_RDMA_READ, 0, key, 8));
	RUN(do_register(b, key, everything, IB_WC_SUCCESS));
	RUN(may_write(1, key));
	RUN(may_read(key));
	RUN(may_add(key));
	RUN(may_store(key));
	RUN(may_not(IB_WR_RDMA_WRITE, -1, key, 8));
	RUN(may_not(IB_WR_RDMA_WRITE, 1, key, LENGTH));
	RUN(may_not(IB_WR_RDMA_READ, LENGTH, key, 1));
	RUN(may_not(IB_WR_RDMA_READ, 0, key ^ 1, 8));
	return 0;
}

/* By b itself; and what it is mapped to next is not seen before it is registered. */
static int invalidated(void)
{
	u32 key = region.mr->rkey;
	u64 iova = region.mr->iova;

	RUN(invalidate(a, key, IB_WC_MW_BIND_ERR));
	RUN(invalidate(b, key ^ 1, IB_WC_MW_BIND_ERR));
	RUN(do_register(b, key, everything, IB_WC_MW_BIND_ERR));
	region_fill(2);
	RUN(region_map(3, PAGES));
	region.mr->iova = iova;
	region.turn = 0;
	RUN(may_read(key));
	RUN(invalidate(b, key, IB_WC_SUCCESS));
	RUN(may_not(IB_WR_RDMA_READ, 0, key, 8));
	RUN(invalidate(b, key, IB_WC_SUCCESS));
	return 0;
}

/* Another key, fewer rights, other pages */
static int registered_again(void)
{
	u32 old = region.mr->rkey;
	u32 key;

	ib_update_fast_reg_key(region.mr, ib_inc_rkey(old));
	key = region.mr->rkey;
	CHECK(key != old && region.mr->lkey == key);
	RUN(region_map(3, PAGES));
	region.mr->length += PAGE_SIZE;
	RUN(do_register(b, key, IB_ACCESS_REMOTE_READ, IB_WC_MW_BIND_ERR));
	region.mr->length -= PAGE_SIZE;
	RUN(do_register(b, key ^ 0x100, IB_ACCESS_REMOTE_READ, IB_WC_MW_BIND_ERR));
	RUN(do_register(b, key, IB_ACCESS_REMOTE_WRITE, IB_WC_MW_BIND_ERR));
	RUN(do_register(b, key, IB_ACCESS_MW_BIND, IB_WC_MW_BIND_ERR));
	RUN(do_register(a, key, IB_ACCESS_REMOTE_READ, IB_WC_MW_BIND_ERR));
	RUN(do_register(b, key, IB_ACCESS_REMOTE_READ, IB_WC_SUCCESS));
	region_fill(3);
	RUN(may_read(key));
	RUN(may_not(IB_WR_RDMA_WRITE, 0, key, 8));
	RUN(may_not(IB_WR_RDMA_READ, 0, old, 8));
	return 0;
}

/* By a message of a's, which says so */
static int invalidated_by_peer(void)
{
	u32 key = region.mr->rkey;
	struct ib_send_wr wr = {
		.opcode = IB_WR_SEND_WITH_INV, .ex.invalidate_rkey = key ^ 1,
	};

	RUN(post_receive(b, 0, 10));
	RUN(request(a, &wr, IB_WC_REM_ACCESS_ERR));
	RUN(may_read(key));
	RUN(post_receive(b, 0, 10));
	wr.ex.invalidate_rkey = key;
	RUN(request(a, &wr, IB_WC_SUCCESS));
	CHECK(ended(b, &b->received[0], IB_WC_SUCCESS));
	CHECK(b->received[0].wc.wc_flags == IB_WC_WITH_INVALIDATE);
	CHECK(b->received[0].wc.ex.invalidate_rkey == key);
	RUN(may_not(IB_WR_RDMA_READ, 0, key, 8));
	return 0;
}

/* Registered and told to the peer in one go, out of the region itself */
static int registered_and_sent(void)
{
	struct ib_sge sge = { .length = 100 };
	struct ib_send_wr send = {
		.opcode = IB_WR_SEND, .sg_list = &sge, .num_sge = 1,
	};
	struct ib_reg_wr wr = {
		.wr = { .opcode = IB_WR_REG_MR, .next = &send },
		.mr = region.mr, .access = IB_ACCESS_REMOTE_READ,
	};
	u32 i;

	ib_update_fast_reg_key(region.mr, ib_inc_rkey(region.mr->rkey));
	RUN(region_map(5, PAGES));
	region_fill(4);
	wr.key = region.mr->rkey;
	sge.lkey = region.mr->lkey;
	sge.addr = region.mr->iova + PAGE_SIZE - SKIP - 50;
	wr.wr.wr_cqe = note_new(&b->sent[0]);
	send.wr_cqe = note_new(&b->sent[1]);
	RUN(post_receive(a, 0, 100));
	RUN(ib_post_send(b->qp, &wr.wr, NULL));
	CHECK(ended(a, &a->received[0], IB_WC_SUCCESS));
	for (i = 0; i < 100; i++)
		CHECK(a->mem[i] == *region_byte(PAGE_SIZE - SKIP - 50 + i));
	RUN(may_read(wr.key));
	CHECK(ended(b, &b->sent[0], IB_WC_SUCCESS));
	CHECK(ended(b, &b->sent[1], IB_WC_SUCCESS));
	/* Gone for good */
	RUN(ib_dereg_mr(region.mr));
	return rdma(IB_WR_RDMA_READ, a->mem, sge.addr, wr.key, 8,
		    IB_WC_REM_ACCESS_ERR);
}

static int regions(void)
{
	RUN(region_create());
	RUN(pair_up());
	RUN(registered());
	RUN(invalidated());
	RUN(registered_again());
	RUN(invalidated_by_peer());
	RUN(registered_and_sent());
	pair_down();
	return region_destroy();
}

static int all(void)
{
	static const enum ib_poll_context contexts[] = {
		IB_POLL_SOFTIRQ, IB_POLL_WORKQUEUE, IB_POLL_DIRECT,
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(contexts); i++) {
		context = contexts[i];
		RUN(end_create(a, devices[0]));
		RUN(end_create(b, devices[1]));
		RUN(connected());
		RUN(shared());
		RUN(datagrams());
		RUN(regions());
		RUN(gone());
		end_destroy(b);
		end_destroy(a);
	}
	return 0;
}

static int __init kuser_init(void)
{
	int err = -ENOMEM;

	a = kvzalloc(sizeof(*a), GFP_KERNEL);
	b = kvzalloc(sizeof(*b), GFP_KERNEL);
	if (a && b)
		err = all();
	kvfree(a);
	kvfree(b);
	return err;
}

static void __exit kuser_exit(void)
{
}

module_init(kuser_init);
module_exit(kuser_exit);

MODULE_DESCRIPTION("A kernel user of verbs, for tests");
MODULE_LICENSE("Dual BSD/GPL");
