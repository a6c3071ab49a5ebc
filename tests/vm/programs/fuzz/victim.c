// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The queue pair, and its memory */
#include "fuzz.h"

#include <string.h>

struct end victim = { .timeout = TIMEOUT_LONG };
struct ibv_mr *mrs[AREAS];
unsigned long connections;

static const int used[] = { TARGET, RECEIVE, ANSWER };
static unsigned char *memory, *shadow;

unsigned char *area(int which)
{
	return memory + which * AREA;
}

unsigned char *shadow_of(const void *address)
{
	return shadow + ((const unsigned char *)address - memory);
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
						 IBV_ACCESS_REMOTE_ATOMIC : 0;

		mrs[used[i]] = ibv_reg_mr(nics[0].pd, area(used[i]), AREA,
					  IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_ON_DEMAND | remote);
		CHECK(mrs[used[i]]);
	}
	end_create(&victim, &nics[0], 2 * RECEIVES);
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
	end_post_receive(&victim, (char *)area(RECEIVE), RECEIVE_SIZE, mrs[RECEIVE]->lkey, 0);
}

void connect_anew(void)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RESET };
	struct address peer = { .qpn = PEER };
	int i;

	CHECK(!ibv_modify_qp(victim.qp, &attr, IBV_QP_STATE));
	peer.gid.raw[10] = peer.gid.raw[11] = 0xff;
	memcpy(peer.gid.raw + 12, &source, 4);
	/* What was sent before may still be on its way. */
	victim.psn = any32() & PSN_MASK;
	end_connect(&victim, &peer);
	for (i = 0; i < RECEIVES; i++)
		post_receive();
	memset(&model, 0, sizeof(model));
	attr = query();
	model.alive = true;
	model.epsn = attr.rq_psn;
	model.sq_psn = attr.sq_psn;
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
	model.alive = false;
}
