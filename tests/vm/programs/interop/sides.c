/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The two ends, and their memory */
#include "interop.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum {
	DEPTH = 2 * PIECES, TIMEOUT_SHORT = 13,
	/* The number wraps in the first round. */
	PSN = 0xffffe0,
};

struct nic nics[2];
struct side near, far;
bool lossy;
const struct operation *operation;
uint32_t rkey;
const union ibv_gid group = { .raw = { [10] = 0xff, 0xff, 239, 1, 2, 3 } };
static struct counters before;
static unsigned int dropped_before;

/* --- Queue pairs ------------------------------------------------------------------- */

bool has_odp(const struct nic *nic)
{
	struct ibv_device_attr_ex attr;

	CHECK(!ibv_query_device_ex(nic->context, NULL, &attr));
	return attr.odp_caps.general_caps & IBV_ODP_SUPPORT;
}

static void side_create(struct side *side, struct nic *nic)
{
	int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE |
		     IBV_ACCESS_REMOTE_ATOMIC | IBV_ACCESS_MW_BIND;

	side->on_demand = has_odp(nic);
	side->memory = memory_map(SIZE, false);
	side->expected = memory_map(SIZE, false);
	side->mr = ibv_reg_mr(nic->pd, side->memory, SIZE,
			      access | (side->on_demand ? IBV_ACCESS_ON_DEMAND : 0));
	CHECK(side->mr);
	side->end.timeout = lossy ? TIMEOUT_SHORT : TIMEOUT_LONG;
	side->end.psn = PSN;
	side->end.type = operation->type;
}

/*
 * rdma_rxe leaves it to others to join the group; the kernel does it for rdma_cm. Here it
 * is a socket, in the first namespace, where its interface is.
 */
static void join(const struct nic *nic)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	struct ip_mreq mreq;

	memcpy(&mreq.imr_multiaddr, group.raw + 12, 4);
	memcpy(&mreq.imr_interface, nic->gid.raw + 12, 4);
	CHECK(s >= 0 && !setsockopt(s, IPPROTO_IP, IP_ADD_MEMBERSHIP, &mreq, sizeof(mreq)));
}

static void connect_datagrams(void)
{
	end_create(&near.end, &nics[0], DEPTH);
	end_create(&far.end, &nics[1], DEPTH);
	ud_to_rts(near.end.qp, QKEY);
	ud_to_rts(far.end.qp, QKEY);
	near.ah = ah_to(&nics[0], operation->multicast ? &group : &nics[1].gid);
	if (operation->multicast)
		CHECK(!ibv_attach_mcast(far.end.qp, &group, 0));
}

void connect_ends(void)
{
	struct ibv_srq_init_attr init = { .attr = { DEPTH, 1, 0 } };

	if (operation->srq)
		CHECK((far.end.srq = ibv_create_srq(nics[1].pd, &init)));
	if (operation->type == IBV_QPT_UD)
		connect_datagrams();
	else
		ends_create(&near.end, &nics[0], &far.end, &nics[1], DEPTH);
}

void disconnect_ends(void)
{
	if (near.ah)
		CHECK(!ibv_destroy_ah(near.ah));
	if (operation->multicast)
		CHECK(!ibv_detach_mcast(far.end.qp, &group, 0));
	end_destroy(&near.end);
	end_destroy(&far.end);
	/* With the receives that are left in it */
	if (far.end.srq)
		CHECK(!ibv_destroy_srq(far.end.srq));
}

/* Packets that the CPUs had no room for: the second column. */
static unsigned int dropped(void)
{
	FILE *file = fopen("/proc/net/softnet_stat", "r");
	unsigned int sum = 0, n;

	CHECK(file);
	while (fscanf(file, "%*x %x %*[^\n]", &n) == 1)
		sum += n;
	fclose(file);
	return sum;
}

void set_up(void)
{
	if (operation->ipv6) {
		nic_use_family(&nics[0], 6);
		nic_use_family(&nics[1], 6);
	}
	side_create(&near, &nics[0]);
	side_create(&far, &nics[1]);
	rkey = far.mr->rkey;
	if (operation->multicast && !far.on_demand)
		join(&nics[1]);
	connect_ends();
	if (!lossy && (near.on_demand || far.on_demand))
		counters_read(&before, &nics[near.on_demand ? 0 : 1]);
	dropped_before = dropped();
}

/* Nothing was sent twice, unless the guest, being slow, has dropped packets. */
void check_counters(void)
{
	if (operation->late || !before.nic || dropped() != dropped_before)
		return;
	JUDGE(!counters_grown(&before, "tx_retries"));
	JUDGE(!counters_grown(&before, "seq_nak_sent"));
	JUDGE(!counters_grown(&before, "duplicate_requests"));
}

int rounds(void)
{
	return lossy ? 5 : 3;
}

/* --- Memory ------------------------------------------------------------------------ */

static uint64_t any(void)
{
	static uint64_t state = 88172645463325252ULL;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void fill_side(struct side *side)
{
	uint64_t *word = (uint64_t *)side->memory;
	unsigned int i;

	for (i = 0; i < SIZE / sizeof(*word); i++)
		word[i] = any();
	memcpy(side->expected, side->memory, SIZE);
}

void fill(void)
{
	fill_side(&near);
	fill_side(&far);
}

char *expected(const struct side *side, const char *place)
{
	return side->expected + (place - side->memory);
}

static void look_at(const struct side *side)
{
	unsigned int i;

	if (!memcmp(side->memory, side->expected, SIZE))
		return;
	for (i = 0; side->memory[i] == side->expected[i]; i++)
		;
	printf("FAIL: %s: byte %u of piece %u is wrong\n", side->end.nic->name,
	       i % (unsigned int)PIECE, i / (unsigned int)PIECE);
	exit(1);
}

void look(void)
{
	look_at(&near);
	look_at(&far);
}
