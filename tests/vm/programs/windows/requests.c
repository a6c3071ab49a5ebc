// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Windows are bound, used and invalidated. */
#include "windows.h"

#include <string.h>

unsigned char round_number;

struct ibv_mw_bind_info bind_info(int access)
{
	return (struct ibv_mw_bind_info){ mr, (uintptr_t)theirs + OFFSET, LENGTH, access };
}

struct ibv_mw *window(enum ibv_mw_type type)
{
	struct ibv_mw *mw = ibv_alloc_mw(nics[1].pd, type);

	CHECK(mw);
	return mw;
}

struct ibv_send_wr bind_wr(struct ibv_mw *mw, uint32_t rkey, const struct ibv_mw_bind_info *info)
{
	return (struct ibv_send_wr){
		.wr_id = 1, .opcode = IBV_WR_BIND_MW,
		.bind_mw = { .mw = mw, .rkey = rkey, .bind_info = *info },
	};
}

int post_wr(struct end *end, struct ibv_send_wr wr)
{
	struct ibv_send_wr *bad;

	return ibv_post_send(end->qp, &wr, &bad);
}

enum ibv_wc_status bind_two(struct end *end, struct ibv_mw *mw, uint32_t rkey,
			    const struct ibv_mw_bind_info *info)
{
	struct ibv_wc wc;

	CHECK(!post_wr(end, bind_wr(mw, rkey, info)));
	wc = end_wait(end);
	CHECK(wc.status || wc.opcode == IBV_WC_BIND_MW);
	return wc.status;
}

enum ibv_wc_status bind_one(struct end *end, struct ibv_mw *mw,
			    const struct ibv_mw_bind_info *info)
{
	struct ibv_mw_bind bind = { .wr_id = 1, .bind_info = *info };
	uint32_t old = mw->rkey;
	struct ibv_wc wc;

	CHECK(!ibv_bind_mw(end->qp, mw, &bind));
	CHECK(mw->rkey != old);
	wc = end_wait(end);
	CHECK(wc.status || wc.opcode == IBV_WC_BIND_MW);
	if (wc.status)
		mw->rkey = old;
	return wc.status;
}

uint32_t bound(struct ibv_mw *mw, const struct ibv_mw_bind_info *info)
{
	uint32_t rkey = ibv_inc_rkey(mw->rkey);

	if (mw->type == IBV_MW_TYPE_1)
		CHECK(!bind_one(&far, mw, info) && mw->rkey == rkey);
	else
		CHECK(!bind_two(&far, mw, rkey, info));
	return mw->rkey = rkey;
}

enum ibv_wc_status invalidate(struct end *end, uint32_t rkey)
{
	struct ibv_send_wr wr = { .wr_id = 2, .opcode = IBV_WR_LOCAL_INV, .invalidate_rkey = rkey };
	struct ibv_wc wc;

	CHECK(!post_wr(end, wr));
	wc = end_wait(end);
	CHECK(wc.status || wc.opcode == IBV_WC_LOCAL_INV);
	return wc.status;
}

enum ibv_wc_status try_by(struct end *by, struct end *peer, enum ibv_wr_opcode opcode,
			  char *where, uint32_t len, uint64_t remote, uint32_t rkey)
{
	struct ibv_sge sge = { (uintptr_t)mine, len, my_mr->lkey };
	struct ibv_send_wr wr = { .sg_list = &sge, .num_sge = 1, .opcode = opcode,
				  .wr.rdma = { remote, rkey } };
	bool reads = opcode != IBV_WR_RDMA_WRITE, writes = opcode != IBV_WR_RDMA_READ;
	struct ibv_wc wc;
	char byte;

	if (reads && writes) {
		wr.wr.atomic.remote_addr = remote;
		wr.wr.atomic.rkey = rkey;
		wr.wr.atomic.compare_add = 1;
	}
	memset(mine, ++round_number, SIZE);
	byte = mine[0];
	memset(before, byte + 100, SIZE);
	memcpy(theirs, before, SIZE);
	CHECK(!post_wr(by, wr));
	wc = end_wait(by);
	if (wc.status) {
		connect_ends(by, peer);
	} else {
		if (writes && reads)
			++*(uint64_t *)(before + (where - theirs));
		else if (writes)
			memset(before + (where - theirs), byte, len);
		if (reads)
			CHECK(mine[0] == (char)(byte + 100) && !memcmp(mine, mine + 1, len - 1));
	}
	CHECK(!memcmp(before, theirs, SIZE));
	CHECK(mine[reads && !wc.status ? len : 0] == byte);
	return wc.status;
}

enum ibv_wc_status try(enum ibv_wr_opcode opcode, char *where, uint32_t len, uint32_t rkey)
{
	return try_by(&near, &far, opcode, where, len, (uintptr_t)where, rkey);
}
