// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What must not be written, and what cannot be asked for */
#include "atomic_write.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum {
	/* What headers of newer releases call IBV_WR_FLUSH and so on */
	WR_FLUSH = 14, QP_EX_WITH_FLUSH = 1 << 11, ODP_FLUSH = 1 << 6, ODP_ATOMIC_WRITE = 1 << 7,
	ACCESS_FLUSH_GLOBAL = 1 << 8, ACCESS_FLUSH_PERSISTENT = 1 << 9,
	ALL = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC,
};

static const uint64_t cap_atomic_write = 1ULL << 40, caps_flush = 3ULL << 38;

/* One thing that is not as it should be */
struct mistake {
	const char *what;
	enum ibv_wc_status status;
	long at;		/* where the word is */
	int access, qp_access;	/* of the region, and of the peer */
	int key;		/* what is added */
	int taken, asked;	/* rd_atomic of the peer and of the end */
};

static const struct mistake mistakes[] = {
	{ "nothing is wrong", .access = LOCAL | ALL, .qp_access = ALL },
	{ "at the end", .at = PAGE - 8, .access = LOCAL | ALL, .qp_access = ALL },
	{ "the right to WRITE alone", .access = LOCAL | IBV_ACCESS_REMOTE_WRITE,
	  .qp_access = IBV_ACCESS_REMOTE_WRITE },
	{ "pinned", .access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE, .qp_access = ALL },
	{ "address not aligned", IBV_WC_REM_INV_REQ_ERR, .at = 4, .access = LOCAL | ALL,
	  .qp_access = ALL },
	{ "the same, and outside", IBV_WC_REM_INV_REQ_ERR, .at = PAGE - 4, .access = LOCAL | ALL,
	  .qp_access = ALL },
	{ "behind the end", IBV_WC_REM_ACCESS_ERR, .at = PAGE, .access = LOCAL | ALL,
	  .qp_access = ALL },
	{ "before the beginning", IBV_WC_REM_ACCESS_ERR, .at = -8, .access = LOCAL | ALL,
	  .qp_access = ALL },
	{ "wrong key", IBV_WC_REM_ACCESS_ERR, .key = 1, .access = LOCAL | ALL, .qp_access = ALL },
	{ "a region for atomics", IBV_WC_REM_ACCESS_ERR,
	  .access = LOCAL | IBV_ACCESS_REMOTE_ATOMIC, .qp_access = ALL },
	{ "a region to be read", IBV_WC_REM_ACCESS_ERR, .access = LOCAL | IBV_ACCESS_REMOTE_READ,
	  .qp_access = ALL },
	{ "a peer that is not written to", IBV_WC_REM_ACCESS_ERR, .access = LOCAL | ALL,
	  .qp_access = ALL & ~IBV_ACCESS_REMOTE_WRITE },
	{ "a peer that keeps no results", IBV_WC_REM_INV_REQ_ERR, .access = LOCAL | ALL,
	  .qp_access = ALL, .taken = -1 },
	{ "an end that may not ask", IBV_WC_LOC_QP_OP_ERR, .access = LOCAL | ALL, .qp_access = ALL,
	  .asked = -1 },
};

static void make(const struct mistake *mistake)
{
	struct end end = { .timeout = TIMEOUT_LONG, .rd_atomic = mistake->asked };
	struct end peer = { .rd_atomic = mistake->taken };
	struct ibv_qp_attr attr = { .qp_access_flags = mistake->qp_access };
	struct ibv_mr *mr = region(1, target + PAGE, PAGE, mistake->access);
	struct request request = request_of(IBV_WR_ATOMIC_WRITE, source, 8,
					    target + PAGE + mistake->at);
	struct ibv_wc wc;
	int i;

	ends_create(&end, &nics[0], &peer, &nics[1], 1);
	CHECK(!ibv_modify_qp(peer.qp, &attr, IBV_QP_ACCESS_FLAGS));
	memset(source, 0x77, 8);
	memset(target, 0x11, 3 * PAGE);
	request.rkey = mr->rkey + mistake->key;
	end_post(&end, &request, 0);
	wc = end_wait(&end);
	if (wc.status != mistake->status)
		printf("%s: %s\n", mistake->what, ibv_wc_status_str(wc.status));
	CHECK(wc.status == mistake->status);
	for (i = 0; i < 3 * (int)PAGE; i++)
		CHECK(target[i] == (!wc.status && i - PAGE - mistake->at < 8 ? 0x77 : 0x11));
	end_destroy(&end);
	end_destroy(&peer);
	CHECK(!ibv_dereg_mr(mr));
	memset(target, 0, 3 * PAGE);
}

/* A page that the peer's process has not, or may not write; data that is not there */
static void no_page(int peer_side)
{
	struct end end = { .timeout = TIMEOUT_LONG }, peer = {};
	char *memory = memory_map(2 * PAGE, false);
	struct ibv_mr *mr = region(peer_side, memory, PAGE, LOCAL | IBV_ACCESS_REMOTE_WRITE);
	struct request request = request_of(IBV_WR_ATOMIC_WRITE, source, 8, memory);

	if (peer_side) {
		request.rkey = mr->rkey;
		CHECK(!mprotect(memory, PAGE, PROT_READ));
	} else {
		request = request_of(IBV_WR_ATOMIC_WRITE, memory, 8, &words->other);
		request.lkey = mr->lkey;
		CHECK(!munmap(memory, PAGE));
	}
	ends_create(&end, &nics[0], &peer, &nics[1], 1);
	end_post(&end, &request, 0);
	CHECK(end_wait(&end).status == (peer_side ? IBV_WC_REM_ACCESS_ERR : IBV_WC_LOC_PROT_ERR));
	CHECK(!words->other.word);
	end_destroy(&end);
	end_destroy(&peer);
	CHECK(!ibv_dereg_mr(mr));
}

/*
 * A peer may be allowed to FLUSH to where all see it, on a connection that is reliable. No
 * memory here is persistent.
 */
static void flush_rights(const struct end *unreliable)
{
	struct ibv_qp_attr attr = { .qp_access_flags = ALL | ACCESS_FLUSH_GLOBAL };
	int persistent = LOCAL | ACCESS_FLUSH_PERSISTENT;
	struct ibv_qp_init_attr init;
	struct ibv_mr *mr;

	CHECK(!ibv_modify_qp(ends[0].qp, &attr, IBV_QP_ACCESS_FLAGS));
	CHECK(!ibv_query_qp(ends[0].qp, &attr, IBV_QP_ACCESS_FLAGS, &init));
	CHECK(attr.qp_access_flags == (ALL | ACCESS_FLUSH_GLOBAL));
	CHECK(ibv_modify_qp(unreliable->qp, &attr, IBV_QP_ACCESS_FLAGS) == EINVAL);
	attr.qp_access_flags = ALL | ACCESS_FLUSH_PERSISTENT;
	CHECK(ibv_modify_qp(ends[0].qp, &attr, IBV_QP_ACCESS_FLAGS) == EINVAL);
	attr.qp_access_flags = ALL;
	CHECK(!ibv_modify_qp(ends[0].qp, &attr, IBV_QP_ACCESS_FLAGS));

	CHECK(!ibv_reg_mr(nics[0].pd, source, PAGE, persistent) && errno == EINVAL);
	persistent |= ACCESS_FLUSH_GLOBAL;
	CHECK(!ibv_reg_mr(nics[0].pd, source, PAGE, persistent) && errno == EINVAL);
	CHECK((mr = ibv_reg_mr(nics[0].pd, source, PAGE, LOCAL | ACCESS_FLUSH_GLOBAL)));
	CHECK(ibv_rereg_mr(mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, persistent));
	CHECK(!ibv_dereg_mr(mr));
}

/* No QP type but those that are reliable; and no FLUSH of one's own */
static void not_there(void)
{
	static const enum ibv_qp_type types[] = { IBV_QPT_UC, IBV_QPT_UD, IBV_QPT_RC };
	struct end uc = { .type = IBV_QPT_UC }, peer = { .type = IBV_QPT_UC };
	struct ibv_sge sge = { (uintptr_t)source, 8, source_mr->lkey };
	struct ibv_send_wr wr = { .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_ATOMIC_WRITE };
	struct ibv_send_wr *bad;
	int i;

	ends_create(&uc, &nics[0], &peer, &nics[1], 1);
	CHECK(ibv_post_send(uc.qp, &wr, &bad) == EINVAL);
	for (i = 0; i < 3; i++) {
		struct ibv_qp_init_attr_ex init = {
			.qp_type = types[i], .pd = nics[0].pd, .send_cq = uc.cq, .recv_cq = uc.cq,
			.cap = { 1, 1, 1, 1, 0 },
			.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
			.send_ops_flags = i < 2 ? (int)IBV_QP_EX_WITH_ATOMIC_WRITE : QP_EX_WITH_FLUSH,
		};

		CHECK(!ibv_create_qp_ex(nics[0].context, &init) && errno == EOPNOTSUPP);
	}
	wr.opcode = (enum ibv_wr_opcode)WR_FLUSH;
	CHECK(ibv_post_send(ends[0].qp, &wr, &bad) == EINVAL);
	flush_rights(&uc);
	end_destroy(&uc);
	end_destroy(&peer);
}

void refusals(void)
{
	unsigned int i;

	words->other.word = 0;
	for (i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++)
		make(&mistakes[i]);
	no_page(0);
	no_page(1);
	not_there();
	printf("%u mistakes are refused\n", i);
}

void capabilities(void)
{
	struct ibv_device_attr_ex attr;
	uint32_t rc, xrc;

	CHECK(!ibv_query_device_ex(nics[0].context, NULL, &attr));
	CHECK(attr.device_cap_flags_ex & cap_atomic_write);
	CHECK(!(attr.device_cap_flags_ex & caps_flush));
	rc = attr.odp_caps.per_transport_caps.rc_odp_caps;
	xrc = attr.xrc_odp_caps;
	CHECK(rc & xrc & ODP_ATOMIC_WRITE && !((rc | xrc) & ODP_FLUSH));
	CHECK(!(attr.odp_caps.per_transport_caps.uc_odp_caps & ODP_ATOMIC_WRITE));
}
