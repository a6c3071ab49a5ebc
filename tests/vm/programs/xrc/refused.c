// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Mistakes: what is not even made, or posted */
#include "xrc.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define REFUSED(call, error) CHECK((errno = 0, !(call)) && errno == (error))

static void bad_domains(void)
{
	struct ibv_xrcd_init_attr init = {
		.comp_mask = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS,
		.fd = open(domain_path, O_RDONLY), .oflags = O_CREAT | O_EXCL,
	};
	struct ibv_xrcd *again;
	int null = open("/dev/null", O_RDONLY), fd = init.fd;

	REFUSED(ibv_open_xrcd(nics[1].context, &init), EINVAL);
	init.oflags = 0;
	CHECK((again = ibv_open_xrcd(nics[1].context, &init)));
	CHECK(!ibv_close_xrcd(again));
	init.fd = null;
	REFUSED(ibv_open_xrcd(nics[1].context, &init), EAGAIN);
	init.fd = 10000;
	REFUSED(ibv_open_xrcd(nics[1].context, &init), EBADF);
	init.comp_mask = IBV_XRCD_INIT_ATTR_FD;
	REFUSED(ibv_open_xrcd(nics[1].context, &init), EINVAL);
	init.comp_mask |= IBV_XRCD_INIT_ATTR_OFLAGS | 1 << 30;
	REFUSED(ibv_open_xrcd(nics[1].context, &init), EOPNOTSUPP);
	close(null);
	close(fd);
	CHECK(ibv_close_xrcd(xrcd) == EBUSY);
}

static void bad_queues(void)
{
	struct ibv_srq_init_attr_ex init = {
		.attr = { .max_wr = 1, .max_sge = 1 },
		.comp_mask = IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_PD |
			     IBV_SRQ_INIT_ATTR_XRCD | IBV_SRQ_INIT_ATTR_CQ,
		.srq_type = IBV_SRQT_XRC, .pd = queues[0].pd, .xrcd = xrcd,
		.cq = queues[0].end.cq,
	};
	struct ibv_qp_init_attr rc = {
		.qp_type = IBV_QPT_RC, .send_cq = queues[0].end.cq, .recv_cq = queues[0].end.cq,
		.srq = queues[0].srq, .cap = { 1, 0, 1, 0, 0 },
	};
	struct ibv_srq_init_attr basic = { .attr = { .max_wr = 1, .max_sge = 1 } };
	struct ibv_srq *srq = ibv_create_srq(nics[1].pd, &basic);
	uint32_t number;

	CHECK(srq && ibv_get_srq_num(srq, &number) == EINVAL);
	CHECK(!ibv_destroy_srq(srq));
	REFUSED(ibv_create_qp(nics[1].pd, &rc), EINVAL);
	init.comp_mask -= IBV_SRQ_INIT_ATTR_CQ;
	REFUSED(ibv_create_srq_ex(nics[1].context, &init), EINVAL);
	init.comp_mask += IBV_SRQ_INIT_ATTR_CQ;
	init.comp_mask -= IBV_SRQ_INIT_ATTR_XRCD;
	REFUSED(ibv_create_srq_ex(nics[1].context, &init), EINVAL);
	init.comp_mask += IBV_SRQ_INIT_ATTR_XRCD;
	init.comp_mask |= 1 << 30;
	REFUSED(ibv_create_srq_ex(nics[1].context, &init), EOPNOTSUPP);
	init.comp_mask -= 1 << 30;
	init.srq_type = IBV_SRQT_TM;
	REFUSED(ibv_create_srq_ex(nics[1].context, &init), EOPNOTSUPP);
}

static void bad_queue_pairs(void)
{
	struct ibv_qp_init_attr_ex init = { .qp_type = IBV_QPT_XRC_RECV };
	struct ibv_qp_open_attr open = {
		.comp_mask = IBV_QP_OPEN_ATTR_NUM | IBV_QP_OPEN_ATTR_XRCD,
		.qp_num = far[0]->qp_num, .xrcd = xrcd, .qp_type = IBV_QPT_XRC_RECV,
	};
	struct ibv_sge sge = { (uintptr_t)outbox, 8, mr->lkey };
	struct ibv_send_wr send = { .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND };
	struct ibv_send_wr *bad_send = NULL;
	struct ibv_recv_wr receive = { .sg_list = &sge, .num_sge = 1 }, *bad = NULL;

	REFUSED(ibv_create_qp_ex(nics[1].context, &init), EINVAL);
	CHECK(ibv_post_send(far[0], &send, &bad_send) == EINVAL && bad_send == &send);
	CHECK(ibv_post_recv(far[0], &receive, &bad) == EINVAL && bad == &receive);
	CHECK(ibv_post_recv(near[0].qp, &receive, &bad) == EINVAL);
	REFUSED(ibv_open_qp(nics[1].context, &open), EINVAL);
	open.comp_mask |= IBV_QP_OPEN_ATTR_TYPE | 1 << 30;
	REFUSED(ibv_open_qp(nics[1].context, &open), EOPNOTSUPP);
	REFUSED(open_target(0xfffffe), EINVAL);
	REFUSED(open_target(near[0].qp->qp_num), EINVAL);
}

void bad_input(void)
{
	const uint32_t caps = IBV_ODP_SUPPORT_SEND | IBV_ODP_SUPPORT_WRITE | IBV_ODP_SUPPORT_READ |
			      IBV_ODP_SUPPORT_ATOMIC | IBV_ODP_SUPPORT_SRQ_RECV |
			      1 << 7 /* ATOMIC WRITE */;
	struct ibv_device_attr_ex device;

	CHECK(!ibv_query_device_ex(nics[1].context, NULL, &device));
	CHECK(device.orig_attr.device_cap_flags & IBV_DEVICE_XRC);
	CHECK(device.xrc_odp_caps == caps);
	bad_domains();
	bad_queues();
	bad_queue_pairs();
	printf("mistakes are refused\n");
}
