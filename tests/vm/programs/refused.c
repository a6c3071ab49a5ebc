// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Queue pairs of types and with flags that are not there, and flags of send requests:
 * each gets its errno, and nothing is made or done.
 *
 * usage: refused -d DEV[,DEV2]
 */
#include "ends.h"

#include <errno.h>
#include <string.h>

enum { DEPTH = 4 };

static struct nic nics[2];
static struct end near, far;

static void refuse(struct ibv_qp_init_attr_ex *init, int error)
{
	errno = 0;
	CHECK(!ibv_create_qp_ex(nics[0].context, init) && errno == error);
}

static void queue_pairs(void)
{
	struct ibv_qp_init_attr_ex init = {
		.qp_type = IBV_QPT_RC, .send_cq = near.cq, .recv_cq = near.cq, .pd = nics[0].pd,
		.cap = { 1, 1, 1, 1, 0 },
		.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_CREATE_FLAGS,
	};
	struct ibv_qp *qp;

	for (init.create_flags = 1; init.create_flags; init.create_flags <<= 1)
		refuse(&init, EOPNOTSUPP);
	CHECK((qp = ibv_create_qp_ex(nics[0].context, &init)));
	CHECK(!ibv_destroy_qp(qp));
	init.comp_mask = IBV_QP_INIT_ATTR_PD;
	init.qp_type = IBV_QPT_RAW_PACKET;
	refuse(&init, EOPNOTSUPP);
	init.qp_type = IBV_QPT_DRIVER;
	refuse(&init, EOPNOTSUPP);
	/* The kernel's own GSI, and no type at all */
	init.qp_type = 1;
	refuse(&init, EINVAL);
	init.qp_type = 77;
	refuse(&init, EINVAL);
}

static void send_flags(void)
{
	char *mine = memory_map(PAGE, false), *theirs = memory_map(PAGE, false);
	struct ibv_mr *my_mr = nic_register(&nics[0], mine, PAGE);
	struct ibv_mr *their_mr = nic_register(&nics[1], theirs, PAGE);
	struct ibv_sge sge = { (uintptr_t)mine, 8, my_mr->lkey };
	struct ibv_send_wr wr = {
		.sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_RDMA_WRITE,
		.wr.rdma = { (uintptr_t)theirs, their_mr->rkey },
	}, *bad;
	struct ibv_wc wc;
	unsigned int flag;

	memset(mine, 1, 8);
	for (flag = IBV_SEND_IP_CSUM; flag; flag <<= 1) {
		wr.send_flags = IBV_SEND_SIGNALED | flag;
		bad = NULL;
		CHECK(ibv_post_send(near.qp, &wr, &bad) == EINVAL && bad == &wr);
	}
	pause_ms(20);
	CHECK(!end_poll(&near, &wc) && !theirs[0]);
	wr.send_flags = IBV_SEND_SIGNALED;
	CHECK(!ibv_post_send(near.qp, &wr, &bad));
	end_done(&near);
	CHECK(theirs[0] == 1);
	CHECK(!ibv_dereg_mr(my_mr) && !ibv_dereg_mr(their_mr));
}

int main(int argc, char **argv)
{
	CHECK(argc == 3 && !strcmp(argv[1], "-d"));
	nics_open(nics, argv[2]);
	ends_create(&near, &nics[0], &far, &nics[1], DEPTH);
	queue_pairs();
	send_flags();
	end_destroy(&near);
	end_destroy(&far);
	printf("types and flags that are not there are refused\n");
	return 0;
}
