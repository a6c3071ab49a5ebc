// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The queue pair, and its memory */
#include "fuzz.h"

#include <fcntl.h>
#include <string.h>

uint32_t srqn;
struct end victim = { .timeout = TIMEOUT_LONG };
struct ibv_mr *mrs[AREAS];
unsigned long connections;

static const int used[] = { TARGET, RECEIVE, ANSWER };
static unsigned char *memory, *shadow;
static struct ibv_xrcd *domain;
static struct ibv_srq *queue;

unsigned char *area(int which)
{
	return memory + which * AREA;
}

unsigned char *shadow_of(const void *address)
{
	return shadow + ((const unsigned char *)address - memory);
}

static void target_create(void)
{
	struct ibv_xrcd_init_attr init = {
		.comp_mask = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS,
		.fd = -1, .oflags = O_CREAT,
	};
	struct ibv_qp_init_attr_ex target = {
		.qp_type = IBV_QPT_XRC_RECV, .comp_mask = IBV_QP_INIT_ATTR_XRCD,
	};
	struct ibv_context *context = nics[0].context;

	CHECK((domain = target.xrcd = ibv_open_xrcd(context, &init)));
	CHECK((victim.qp = ibv_create_qp_ex(context, &target)));
}

static void initiator_create(void)
{
	struct ibv_qp_init_attr_ex init = {
		.qp_type = IBV_QPT_XRC_SEND, .comp_mask = IBV_QP_INIT_ATTR_PD, .pd = nics[0].pd,
		.cap = { .max_send_wr = ASKS, .max_send_sge = 1 }, .sq_sig_all = 1,
		.send_cq = victim.cq,
	};

	CHECK((victim.qp = ibv_create_qp_ex(nics[0].context, &init)));
}

static void queue_pair_create(void)
{
	if (role->service != XRC) {
		victim.type = role->service == UC ? IBV_QPT_UC : IBV_QPT_RC;
		end_create(&victim, &nics[0], 2 * RECEIVES);
		return;
	}
	CHECK((victim.cq = ibv_create_cq(nics[0].context, 4 * RECEIVES, NULL, NULL, 0)));
	victim.nic = &nics[0];
	if (role->responds)
		target_create();
	else
		initiator_create();
}

/* One that is like the receive queue of a queue pair that was reset: as new */
static void queue_anew(void)
{
	struct ibv_srq_init_attr_ex init = {
		.attr = { .max_wr = 2 * RECEIVES, .max_sge = 1 },
		.comp_mask = IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_PD |
			     IBV_SRQ_INIT_ATTR_XRCD | IBV_SRQ_INIT_ATTR_CQ,
		.srq_type = IBV_SRQT_XRC, .pd = nics[0].pd, .xrcd = domain, .cq = victim.cq,
	};
	struct ibv_wc wc;

	CHECK(!queue || !ibv_destroy_srq(queue));
	while (end_poll(&victim, &wc))
		;
	CHECK((queue = ibv_create_srq_ex(nics[0].context, &init)));
	CHECK(!ibv_get_srq_num(queue, &srqn));
}

void victim_create(void)
{
	size_t i;

	memory = (void *)memory_map(AREAS * AREA, false);
	shadow = malloc(AREAS * AREA);
	CHECK(shadow);
	noise(memory, AREAS * AREA);
	memcpy(shadow, memory, AREAS * AREA);
	for (i = 0; i < 3; i++) {
		int remote = used[i] == TARGET ? IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |
						 IBV_ACCESS_REMOTE_ATOMIC | IBV_ACCESS_MW_BIND |
						 ACCESS_FLUSH : 0;

		mrs[used[i]] = ibv_reg_mr(nics[0].pd, area(used[i]), AREA,
					  IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_ON_DEMAND | remote);
		CHECK(mrs[used[i]]);
	}
	queue_pair_create();
	keys_create();
}

struct ibv_qp_attr query(void)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	CHECK(!ibv_query_qp(victim.qp, &attr, IBV_QP_STATE | IBV_QP_RQ_PSN | IBV_QP_SQ_PSN, &init));
	return attr;
}

void post_receive(void)
{
	struct ibv_sge sge = { (uintptr_t)area(RECEIVE), RECEIVE_SIZE, mrs[RECEIVE]->lkey };
	struct ibv_recv_wr wr = { .sg_list = &sge, .num_sge = 1 }, *bad;

	CHECK(!(queue ? ibv_post_srq_recv(queue, &wr, &bad) : ibv_post_recv(victim.qp, &wr, &bad)));
}

static void allow_flush(void)
{
	struct ibv_qp_attr attr = {
		.qp_access_flags = IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE |
				   IBV_ACCESS_REMOTE_ATOMIC | ACCESS_FLUSH,
	};

	CHECK(!ibv_modify_qp(victim.qp, &attr, IBV_QP_ACCESS_FLAGS));
}

void connect_anew(void)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RESET };
	struct address peer = { .qpn = PEER, .gid = source };
	int i;

	CHECK(!ibv_modify_qp(victim.qp, &attr, IBV_QP_STATE));
	/* What was sent before may still be on its way. */
	victim.psn = any32() & PSN_MASK;
	end_connect(&victim, &peer);
	if (role->service != UC)
		allow_flush();
	if (domain)
		queue_anew();
	for (i = 0; role->responds && i < RECEIVES; i++)
		post_receive();
	memset(&model, 0, sizeof(model));
	attr = query();
	model.alive = true;
	model.epsn = attr.rq_psn;
	model.sq_psn = model.una = attr.sq_psn;
	connections++;
}

void look_at_memory(void)
{
	int i;

	for (i = 0; i < AREAS * AREA; i++) {
		if (memory[i] == shadow[i])
			continue;
		printf("FAIL: round %lu: byte %d of area %d is %02x, not %02x\n", rounds,
		       i % AREA, i / AREA, memory[i], shadow[i]);
		exit(1);
	}
}

void start_over(void)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RESET };
	int i;

	CHECK(!ibv_modify_qp(victim.qp, &attr, IBV_QP_STATE));
	for (i = 0; i < 3; i++)
		memcpy(shadow + used[i] * AREA, area(used[i]), AREA);
	keys_anew();
	model.alive = false;
}
