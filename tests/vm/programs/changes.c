// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What is modified of a connection in use takes effect: what the peer may do, and the
 * address, on the wire.
 *
 * usage: changes -d DEV[,DEV2] [-w COMMAND]
 *
 *   -w  looks at packets that come to DEV2, on its host; COMMAND gives the way there
 *	 another hop limit, HOPS
 */
#include "ends.h"

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	DEPTH = 4, LENGTH = 8, HOPS = 17, PORT = 4791,
	WRITE = IBV_ACCESS_REMOTE_WRITE, READ = IBV_ACCESS_REMOTE_READ,
	ATOMIC = IBV_ACCESS_REMOTE_ATOMIC, ALL = WRITE | READ | ATOMIC,
};

static struct nic nics[2];
static struct end near, far;
static char *mine, *theirs;
static struct ibv_mr *my_mr, *their_mr;

static struct ibv_qp_attr query(const struct end *end)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	CHECK(!ibv_query_qp(end->qp, &attr, IBV_QP_RATE_LIMIT - 1, &init));
	return attr;
}

static void modify(struct end *end, struct ibv_qp_attr *attr, int mask)
{
	CHECK(!ibv_modify_qp(end->qp, attr, mask));
}

static void enter(struct end *end, enum ibv_qp_state state)
{
	struct ibv_qp_attr attr = { .qp_state = state };

	modify(end, &attr, IBV_QP_STATE);
	while (query(end).sq_draining)
		pause_ms(1);
}

static void connect_ends(void)
{
	enter(&near, IBV_QPS_RESET);
	enter(&far, IBV_QPS_RESET);
	ends_connect(&near, &far);
}

static enum ibv_wc_status try(enum ibv_wr_opcode opcode)
{
	struct ibv_sge sge = { (uintptr_t)mine, LENGTH, my_mr->lkey };
	struct ibv_send_wr wr = { .sg_list = &sge, .num_sge = 1, .opcode = opcode }, *bad;

	if (opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
		wr.wr.atomic.remote_addr = (uintptr_t)theirs;
		wr.wr.atomic.rkey = their_mr->rkey;
	} else {
		wr.wr.rdma.remote_addr = (uintptr_t)theirs;
		wr.wr.rdma.rkey = their_mr->rkey;
	}
	CHECK(!ibv_post_send(near.qp, &wr, &bad));
	return end_wait(&near).status;
}

/* --- What the peer may do --------------------------------------------------------------- */

static const struct {
	enum ibv_wr_opcode opcode;
	int right;
} operations[] = {
	{ IBV_WR_RDMA_WRITE, WRITE }, { IBV_WR_RDMA_READ, READ },
	{ IBV_WR_ATOMIC_FETCH_AND_ADD, ATOMIC },
};

enum { OPERATIONS = sizeof(operations) / sizeof(operations[0]) };

static void allow(int rights)
{
	struct ibv_qp_attr attr = { .qp_access_flags = rights };

	modify(&far, &attr, IBV_QP_ACCESS_FLAGS);
	CHECK(query(&far).qp_access_flags == (unsigned int)rights);
}

/* Of @far in that state, which receives */
static void rights(enum ibv_qp_state state)
{
	int i, k;

	for (i = 0; i < OPERATIONS; i++) {
		connect_ends();
		if (state == IBV_QPS_SQD)
			enter(&far, state);
		for (k = 0; k < OPERATIONS; k++) {
			allow(operations[k].right);
			CHECK(!try(operations[k].opcode));
		}
		allow(ALL & ~operations[i].right);
		for (k = 0; k < OPERATIONS; k++)
			if (k != i)
				CHECK(!try(operations[k].opcode));
		CHECK(try(operations[i].opcode) == IBV_WC_REM_ACCESS_ERR);
	}
	connect_ends();
}

/* --- The address -------------------------------------------------------------------------- */

static int tap;

/* Is it one for @far? */
static bool is_ours(const char *packet, ssize_t n)
{
	const struct iphdr *ip = (const void *)packet;
	const struct udphdr *udp = (const void *)(packet + ip->ihl * 4);
	uint32_t qpn;

	if (n < (ssize_t)(ip->ihl * 4 + sizeof(*udp) + 12) || udp->dest != htons(PORT))
		return false;
	memcpy(&qpn, (const char *)(udp + 1) + 4, sizeof(qpn));
	return (ntohl(qpn) & 0xffffff) == far.qp->qp_num;
}

/* All packets of a request have it. */
static void on_wire(uint8_t tos, uint8_t ttl)
{
	char packet[2048];
	int seen = 0;
	ssize_t n;

	CHECK(!try(IBV_WR_RDMA_WRITE));
	while ((n = recv(tap, packet, sizeof(packet), MSG_DONTWAIT)) > 0) {
		const struct iphdr *ip = (const void *)packet;

		if (!is_ours(packet, n))
			continue;
		if (ip->tos != tos || ip->ttl != ttl)
			printf("TOS %#x, TTL %d\n", ip->tos, ip->ttl);
		CHECK(ip->tos == tos && ip->ttl == ttl);
		seen++;
	}
	CHECK(seen);
}

/* Return: the hop limit, which is the route's of that moment (RDMA core) */
static int change(uint8_t traffic_class)
{
	struct ibv_qp_attr attr = query(&near);

	attr.ah_attr.grh.traffic_class = traffic_class;
	enter(&near, IBV_QPS_SQD);
	modify(&near, &attr, IBV_QP_AV);
	enter(&near, IBV_QPS_RTS);
	attr = query(&near);
	CHECK(attr.ah_attr.grh.traffic_class == traffic_class);
	return attr.ah_attr.grh.hop_limit;
}

/* What is set is seen, and nothing before it is set. */
static void path(const char *command)
{
	const uint8_t classes[] = { 0x28, 0xfc, 0 };
	unsigned int i;
	int hops;

	CHECK((tap = socket(AF_INET, SOCK_RAW, IPPROTO_UDP)) >= 0);
	hops = query(&near).ah_attr.grh.hop_limit;
	CHECK(hops != HOPS);
	on_wire(0, hops);
	for (i = 0; i < sizeof(classes); i++) {
		CHECK(change(classes[i]) == hops);
		on_wire(classes[i], hops);
	}
	CHECK(!system(command));
	on_wire(0, hops);
	CHECK(change(0x28) == HOPS);
	on_wire(0x28, HOPS);
	CHECK(!close(tap));
	printf("traffic classes and hop limits are those of the packets\n");
}

int main(int argc, char **argv)
{
	const char *command = NULL;
	int c;

	while ((c = getopt(argc, argv, "d:w:")) != -1) {
		CHECK(c != '?');
		if (c == 'd')
			nics_open(nics, optarg);
		else
			command = optarg;
	}
	CHECK(nics[0].context);
	mine = memory_map(PAGE, false);
	theirs = memory_map(PAGE, false);
	my_mr = nic_register(&nics[0], mine, PAGE);
	their_mr = nic_register(&nics[1], theirs, PAGE);
	ends_create(&near, &nics[0], &far, &nics[1], DEPTH);
	if (command) {
		path(command);
	} else {
		rights(IBV_QPS_RTS);
		rights(IBV_QPS_SQD);
		printf("rights that were given and taken in RTS and SQD\n");
	}
	end_destroy(&near);
	end_destroy(&far);
	return 0;
}
