/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#include "xfer.h"
#include "fail.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

/* Every so many requests ask for a completion */
#define SIGNAL_EVERY 4

static const char *const op_names[OPS] = {
	[OP_SEND] = "SEND",	[OP_SEND_IMM] = "SEND with imm",
	[OP_WRITE] = "WRITE",	[OP_WRITE_IMM] = "WRITE with imm",
	[OP_READ] = "READ",
};

static const enum ibv_wr_opcode wr_opcodes[OPS] = {
	[OP_SEND] = IBV_WR_SEND,
	[OP_SEND_IMM] = IBV_WR_SEND_WITH_IMM,
	[OP_WRITE] = IBV_WR_RDMA_WRITE,
	[OP_WRITE_IMM] = IBV_WR_RDMA_WRITE_WITH_IMM,
	[OP_READ] = IBV_WR_RDMA_READ,
};

const char *op_name(enum op op)
{
	return op_names[op];
}

bool xfer_is_target(const struct side *side, const struct xfer *x)
{
	return side->active == (x->op == OP_READ);
}

static bool is_send(const struct xfer *x)
{
	return x->op == OP_SEND || x->op == OP_SEND_IMM;
}

static bool needs_recv(const struct xfer *x)
{
	return is_send(x) || x->op == OP_WRITE_IMM;
}

static unsigned int pieces(const struct xfer *x, bool target)
{
	unsigned int n = 1;

	if (target == (x->op == OP_READ))
		n = x->active_segs;
	else if (is_send(x))
		n = x->recv_segs;
	return n < x->len ? n : x->len;
}

/* Where piece @i of @n begins in the message: uneven cuts */
static uint64_t cut(const struct xfer *x, unsigned int i, unsigned int n)
{
	uint64_t even = (uint64_t)x->len * i / n;

	return even && even % 2 == 0 && even + 1 < (uint64_t)x->len * (i + 1) / n ?
		       even + 1 : even;
}

unsigned int xfer_segs(const struct xfer *x, bool target,
		       struct seg segs[XFER_MAX_SEGS])
{
	uint64_t start = target ? x->dst : x->src;
	unsigned int i, n = pieces(x, target);

	for (i = 0; i < n; i++) {
		segs[i].from = cut(x, i, n);
		segs[i].len = (i + 1 < n ? cut(x, i + 1, n) : x->len) -
			      segs[i].from;
		segs[i].offset = start + segs[i].from + (uint64_t)i * x->gap;
	}
	return n;
}

uint64_t xfer_extent(const struct xfer *x, bool target)
{
	unsigned int n = pieces(x, target);

	return x->len + (n ? (uint64_t)(n - 1) * x->gap : 0);
}

static struct region *region_here(struct side *side, const struct xfer *x)
{
	return xfer_is_target(side, x) && side->dst.base ? &side->dst :
							   &side->src;
}

static unsigned int fill_sges(struct side *side, const struct xfer *x,
			      struct ibv_sge *sge)
{
	struct region *r = region_here(side, x);
	struct seg segs[XFER_MAX_SEGS];
	unsigned int i, n = xfer_segs(x, xfer_is_target(side, x), segs);

	for (i = 0; i < n; i++) {
		sge[i].addr = (uintptr_t)r->base + segs[i].offset;
		sge[i].length = segs[i].len;
		sge[i].lkey = r->mr->lkey;
	}
	return n;
}

static int post_recv(struct side *side, const struct xfer *x, unsigned int i)
{
	struct ibv_sge sge[XFER_MAX_SEGS];
	struct ibv_recv_wr wr = { .wr_id = i, .sg_list = sge }, *bad;
	int err;

	if (is_send(x))
		wr.num_sge = fill_sges(side, x, sge);
	err = ibv_post_recv(side->qps.qp[i % side->job.qps], &wr, &bad);
	if (!err)
		return RC_OK;
	errno = err;
	return fail_errno(RC_WRONG, "%s: ibv_post_recv of %d pieces",
			  side->dev.name, wr.num_sge);
}

int xfer_post_recvs(struct side *side, const struct xfer *batch, unsigned int n)
{
	unsigned int i;
	int rc = RC_OK;

	for (i = 0; i < n && !rc; i++)
		if (needs_recv(&batch[i]))
			rc = post_recv(side, &batch[i], i);
	return rc;
}

static int describe(const struct side *side, const struct xfer *x,
		    const char *what)
{
	return fail(RC_WRONG,
		    "%s: %s of %u bytes (message %u, path MTU %u, %s to %s memory): %s",
		    side->dev.name, op_name(x->op), x->len, x->number, side->mtu,
		    mem_kind_name(mix_active(side->mix)),
		    mem_kind_name(mix_passive(side->mix)), what);
}

static int check_recv(const struct side *side, const struct xfer *x,
		      const struct ibv_wc *wc)
{
	bool imm = x->op == OP_SEND_IMM || x->op == OP_WRITE_IMM;

	if (wc->status)
		return describe(side, x, ibv_wc_status_str(wc->status));
	if (wc->byte_len != x->len)
		return describe(side, x, "byte_len of the receive is wrong");
	if (wc->opcode != (is_send(x) ? IBV_WC_RECV :
					IBV_WC_RECV_RDMA_WITH_IMM))
		return describe(side, x, "opcode of the receive is wrong");
	if (imm != !!(wc->wc_flags & IBV_WC_WITH_IMM))
		return describe(side, x, "immediate data lost or invented");
	if (imm && wc->imm_data != htonl(x->number))
		return describe(side, x, "immediate data are wrong");
	return RC_OK;
}

/* The next receive of queue pair @q that must complete, from @i on */
static unsigned int next_recv(const struct side *side, const struct xfer *batch,
			      unsigned int n, unsigned int i)
{
	while (i < n && !needs_recv(&batch[i]))
		i += side->job.qps;
	return i;
}

static int reap_one(struct side *side, const struct xfer *batch, unsigned int n,
		    unsigned int *next)
{
	struct ibv_wc wc;
	unsigned int q;
	int got = cq_next(&side->qps.recv_cq, &wc, side->qps.silence_ms);

	if (got < 0)
		return RC_WRONG;
	if (!got)
		return fail(RC_WRONG,
			    "%s: a receive did not complete, though its sender did",
			    side->dev.name);
	if (wc.wr_id >= n)
		return fail(RC_WRONG, "%s: a receive of no known request",
			    side->dev.name);
	q = wc.wr_id % side->job.qps;
	next[q] = next_recv(side, batch, n, next[q]);
	if (next[q] != wc.wr_id)
		return describe(side, &batch[wc.wr_id],
				"receives complete out of order");
	next[q] += side->job.qps;
	return check_recv(side, &batch[wc.wr_id], &wc);
}

int xfer_reap_recvs(struct side *side, const struct xfer *batch, unsigned int n)
{
	unsigned int next[side->job.qps];
	unsigned int i;
	int rc = RC_OK;

	for (i = 0; i < side->job.qps; i++)
		next[i] = i;
	for (i = 0; i < n && !rc; i++)
		if (needs_recv(&batch[i]))
			rc = reap_one(side, batch, n, next);
	return rc;
}

static void set_remote(const struct side *side, const struct xfer *x,
		       struct ibv_send_wr *wr)
{
	const struct remote *peer = &side->peer_src;
	uint64_t offset = x->src;

	if (is_send(x))
		return;
	if (x->op != OP_READ) {
		offset = x->dst;
		if (side->peer_dst.rkey || side->peer_dst.addr)
			peer = &side->peer_dst;
	}
	wr->wr.rdma.remote_addr = peer->addr + offset;
	wr->wr.rdma.rkey = peer->rkey;
}

/* Inline data may change as soon as they are posted: change them */
static void spoil(struct side *side, const struct xfer *x)
{
	struct seg segs[XFER_MAX_SEGS];
	unsigned int i, n = xfer_segs(x, false, segs);

	for (i = 0; i < n; i++)
		memset(side->src.base + segs[i].offset, 0x5a, segs[i].len);
}

static int post(struct side *side, const struct xfer *x, unsigned int i,
		bool signaled)
{
	struct ibv_sge sge[XFER_MAX_SEGS];
	struct ibv_send_wr wr = {
		.wr_id = i,
		.sg_list = sge,
		.opcode = wr_opcodes[x->op],
		.imm_data = htonl(x->number),
	}, *bad;
	int err;

	wr.num_sge = fill_sges(side, x, sge);
	set_remote(side, x, &wr);
	if (signaled)
		wr.send_flags |= IBV_SEND_SIGNALED;
	if (x->inline_data)
		wr.send_flags |= IBV_SEND_INLINE;
	err = ibv_post_send(side->qps.qp[i % side->job.qps], &wr, &bad);
	if (err)
		return describe(side, x, strerror(err));
	if (x->inline_data)
		spoil(side, x);
	return RC_OK;
}

static bool is_signaled(const struct side *side, unsigned int i, unsigned int n)
{
	unsigned int round = i / side->job.qps;

	return round % SIGNAL_EVERY == SIGNAL_EVERY - 1 ||
	       i + side->job.qps >= n;
}

static int reap_send(struct side *side, const struct xfer *batch,
		     unsigned int n)
{
	struct ibv_wc wc;
	int got = qps_next_send(&side->qps, &wc);

	if (got < 0)
		return RC_WRONG;
	if (!got)
		return fail(RC_WRONG,
			    "%s: nothing sent and no completion for %d s, path MTU %u, first message of the batch %s of %u bytes",
			    side->dev.name, side->qps.silence_ms / 1000, side->mtu,
			    op_name(batch->op), batch->len);
	if (wc.wr_id >= n)
		return fail(RC_WRONG, "%s: a completion of no known request",
			    side->dev.name);
	if (wc.status)
		return describe(side, &batch[wc.wr_id],
				ibv_wc_status_str(wc.status));
	if (!is_signaled(side, wc.wr_id, n))
		return describe(side, &batch[wc.wr_id],
				"completion, though it asked for none");
	return RC_OK;
}

int xfer_run(struct side *side, const struct xfer *batch, unsigned int n)
{
	unsigned int i, signaled = 0;
	int rc = RC_OK;

	for (i = 0; i < n && !rc; i++) {
		signaled += is_signaled(side, i, n);
		rc = post(side, &batch[i], i, is_signaled(side, i, n));
	}
	while (signaled-- && !rc)
		rc = reap_send(side, batch, n);
	return rc;
}
