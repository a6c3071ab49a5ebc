// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The two ends, and their memory */
#include "windows.h"

#include <sys/mman.h>

struct nic nics[2];
const struct kind *kind;
struct end near, far, others[2];
char *mine, *theirs, *before;
struct ibv_mr *my_mr, *mr;

struct ibv_mr *region(int access)
{
	struct ibv_mr *made;

	access |= kind->access;
	made = kind->implicit ? ibv_reg_mr(nics[1].pd, NULL, SIZE_MAX, access) :
				ibv_reg_mr(nics[1].pd, theirs, SIZE, access);
	CHECK(made);
	return made;
}

/* Queue pairs for both ways to post */
static void end_create_ex(struct end *end, struct nic *nic)
{
	struct ibv_qp_init_attr_ex init = {
		.qp_type = IBV_QPT_RC, .cap = { DEPTH, DEPTH, 1, 1, 0 }, .sq_sig_all = 1, .pd = nic->pd,
		.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
		.send_ops_flags = IBV_QP_EX_WITH_BIND_MW | IBV_QP_EX_WITH_LOCAL_INV |
				  IBV_QP_EX_WITH_SEND_WITH_INV,
	};

	end->nic = nic;
	CHECK((end->channel = ibv_create_comp_channel(nic->context)));
	CHECK((end->cq = ibv_create_cq(nic->context, 2 * DEPTH, NULL, end->channel, 0)));
	init.send_cq = init.recv_cq = end->cq;
	CHECK((end->qp = ibv_create_qp_ex(nic->context, &init)));
}

void connect_ends(struct end *a, struct end *b)
{
	struct ibv_qp_attr reset = { .qp_state = IBV_QPS_RESET };

	CHECK(!ibv_modify_qp(a->qp, &reset, IBV_QP_STATE));
	CHECK(!ibv_modify_qp(b->qp, &reset, IBV_QP_STATE));
	ends_connect(a, b);
}

void set_up(const struct kind *k)
{
	kind = k;
	mine = memory_map(SIZE, false);
	theirs = memory_map(SIZE, false);
	before = memory_map(SIZE, false);
	my_mr = nic_register(&nics[0], mine, SIZE);
	mr = region(BIND);
	end_create_ex(&near, &nics[0]);
	end_create_ex(&far, &nics[1]);
	connect_ends(&near, &far);
	ends_create(&others[0], &nics[0], &others[1], &nics[1], DEPTH);
}

void tear_down(void)
{
	end_destroy(&near);
	end_destroy(&far);
	end_destroy(&others[0]);
	end_destroy(&others[1]);
	CHECK(!ibv_dereg_mr(mr) && !ibv_dereg_mr(my_mr));
	CHECK(!munmap(mine, SIZE) && !munmap(theirs, SIZE) && !munmap(before, SIZE));
}
