/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * foreign: names a region of the kernel's in requests of all kinds, also in those that
 * the library would not post: entries are changed in the ring before the kernel is told
 * of them. The region is of the first device, and kuser looks after its memory.
 */
#include "ends.h"

#include <infiniband/verbs.h>
#include <odp-abi.h>
#include <string.h>
#include <unistd.h>

/* Where kuser has it, see HELD_ADDR there */
#define FOREIGN 0x10000
/* What the kernel calls IB_WR_REG_MR; user space has no name for it. */
enum { REG_MR = 0x20 };
enum { DEPTH = 4, LEN = 8 };

/* A request, made by the end on nics[by], and how it ends */
struct attempt {
	const char *what;
	int by;
	struct odp_send_wqe wqe;
	struct odp_sge sge;
	enum ibv_wc_status status;
};

static struct nic nics[2];
static uint32_t key;

/* By function calls: the library writes an entry first and tells the kernel later. */
static void create(struct end *end, struct nic *nic)
{
	struct ibv_qp_init_attr_ex init = {
		.qp_type = IBV_QPT_RC,
		.cap = { DEPTH, DEPTH, 1, 1, 0 },
		.sq_sig_all = 1,
		.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
		.pd = nic->pd,
		.send_ops_flags = IBV_QP_EX_WITH_SEND,
	};

	end_create(end, nic, DEPTH);
	CHECK(!ibv_destroy_qp(end->qp));
	init.send_cq = end->cq;
	init.recv_cq = end->cq;
	CHECK((end->qp = ibv_create_qp_ex(nic->context, &init)));
}

static void *find_in(uint64_t *start, uint64_t *end, uint64_t id)
{
	for (; start < end; start++)
		if (*start == id)
			return start;
	return NULL;
}

/* The entry with this wr_id, wherever rings are mapped */
static struct odp_send_wqe *find_entry(uint64_t id)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	struct odp_send_wqe *found = NULL;
	unsigned long start, end;
	char line[256];

	CHECK(maps);
	while (!found && fgets(line, sizeof(line), maps))
		if (strstr(line, "/uverbs") && sscanf(line, "%lx-%lx", &start, &end) == 2)
			found = find_in((uint64_t *)start, (uint64_t *)end, id);
	fclose(maps);
	CHECK(found);
	return found;
}

static void post(struct end *end, const struct attempt *attempt)
{
	struct ibv_qp_ex *qp = ibv_qp_to_qp_ex(end->qp);
	static uint64_t id = 0x5ca1ab1e0ddba11;
	struct odp_send_wqe *entry;

	ibv_wr_start(qp);
	qp->wr_id = ++id;
	ibv_wr_send(qp);
	entry = find_entry(id);
	*entry = attempt->wqe;
	entry->wr_id = id;
	entry->num_sge = attempt->sge.lkey != 0;
	memcpy(entry + 1, &attempt->sge, sizeof(attempt->sge));
	CHECK(!ibv_wr_complete(qp));
}

static void try(const struct attempt *attempt)
{
	struct ibv_recv_wr receive = {}, *bad;
	struct end ends[2] = {};
	struct end *end = &ends[attempt->by];
	struct ibv_wc wc;

	create(&ends[0], &nics[0]);
	create(&ends[1], &nics[1]);
	ends_connect(&ends[0], &ends[1]);
	CHECK(!ibv_post_recv(ends[!attempt->by].qp, &receive, &bad));
	post(end, attempt);
	wc = end_wait(end);
	printf("%-40s %s\n", attempt->what, ibv_wc_status_str(wc.status));
	CHECK(wc.status == attempt->status);
	end_destroy(&ends[0]);
	end_destroy(&ends[1]);
}

static void try_all(char *mem)
{
	struct ibv_mr *own = ibv_reg_mr(nics[0].pd, mem, PAGE, IBV_ACCESS_LOCAL_WRITE |
					IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |
					IBV_ACCESS_MW_BIND);
	struct ibv_mw *mw = ibv_alloc_mw(nics[0].pd, IBV_MW_TYPE_2);
	struct ibv_mr *peers = nic_register(&nics[1], mem + PAGE, PAGE);
	uint64_t ours = (uintptr_t)mem, theirs = (uintptr_t)mem + PAGE;
	const int remote = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ;
	size_t i;

	CHECK(own && mw);

	const struct attempt list[] = {
		{ "registered", 0,
		  { .opcode = REG_MR, .rkey = key, .remote_addr = FOREIGN, .bind_length = LEN,
		    .bind_access = remote }, {}, IBV_WC_LOC_QP_OP_ERR },
		{ "registered, with the next key", 0,
		  { .opcode = REG_MR, .rkey = ibv_inc_rkey(key), .remote_addr = FOREIGN,
		    .bind_length = LEN, .bind_access = remote }, {}, IBV_WC_LOC_QP_OP_ERR },
		{ "an own one registered", 0,
		  { .opcode = REG_MR, .rkey = own->rkey, .remote_addr = ours, .bind_length = LEN,
		    .bind_access = remote }, {}, IBV_WC_LOC_QP_OP_ERR },
		{ "invalidated", 0,
		  { .opcode = IBV_WR_LOCAL_INV, .invalidate_rkey = key }, {}, IBV_WC_MW_BIND_ERR },
		{ "invalidated by a message", 1,
		  { .opcode = IBV_WR_SEND_WITH_INV, .invalidate_rkey = key }, {},
		  IBV_WC_REM_ACCESS_ERR },
		{ "bound to", 0,
		  { .opcode = IBV_WR_BIND_MW, .rkey = mw->rkey, .remote_addr = FOREIGN,
		    .bind_length = LEN, .bind_key = key, .bind_access = remote }, {},
		  IBV_WC_MW_BIND_ERR },
		{ "bound as a window", 0,
		  { .opcode = IBV_WR_BIND_MW, .rkey = key, .remote_addr = ours,
		    .bind_length = LEN, .bind_key = own->lkey, .bind_access = remote }, {},
		  IBV_WC_MW_BIND_ERR },
		{ "unbound as a window", 0,
		  { .opcode = IBV_WR_BIND_MW, .rkey = key }, {}, IBV_WC_MW_BIND_ERR },
		{ "sent from", 0,
		  { .opcode = IBV_WR_SEND }, { FOREIGN, LEN, key }, IBV_WC_LOC_PROT_ERR },
		{ "read into", 0,
		  { .opcode = IBV_WR_RDMA_READ, .remote_addr = theirs, .rkey = peers->rkey },
		  { FOREIGN, LEN, key }, IBV_WC_LOC_PROT_ERR },
		{ "written to by a peer", 1,
		  { .opcode = IBV_WR_RDMA_WRITE, .remote_addr = FOREIGN, .rkey = key },
		  { theirs, LEN, peers->lkey }, IBV_WC_REM_ACCESS_ERR },
		{ "read by a peer", 1,
		  { .opcode = IBV_WR_RDMA_READ, .remote_addr = FOREIGN, .rkey = key },
		  { theirs, LEN, peers->lkey }, IBV_WC_REM_ACCESS_ERR },
		/* Entries that are changed in the ring are taken as they are. */
		{ "an own one written to by a peer", 1,
		  { .opcode = IBV_WR_RDMA_WRITE, .remote_addr = ours, .rkey = own->rkey },
		  { theirs, LEN, peers->lkey }, IBV_WC_SUCCESS },
	};

	memset(mem, 1, PAGE);
	memset(mem + PAGE, 2, PAGE);
	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		try(&list[i]);
	for (i = 0; i < PAGE; i++)
		CHECK(mem[i] == (i < LEN ? 2 : 1) && mem[PAGE + i] == 2);
	CHECK(!ibv_dealloc_mw(mw) && !ibv_dereg_mr(own) && !ibv_dereg_mr(peers));
}

int main(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "d:k:")) != -1) {
		CHECK(c != '?');
		if (c == 'd')
			CHECK(nics_open(nics, optarg) == 2);
		else
			key = strtoul(optarg, NULL, 0);
	}
	CHECK(nics[0].context && key);
	try_all(memory_map(BLOCK, false));
	return 0;
}
