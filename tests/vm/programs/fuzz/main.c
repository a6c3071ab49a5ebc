// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Packets of every opcode, right ones that are then changed in a thing or two, for a
 * datagram queue pair, and for one whose peer this program plays by a raw socket. A
 * model of the responder and of the requester, from the specification, says of each what
 * it has to do: nothing, what it asks for, or end the connection. After each the queue
 * pair is compared with the model, and from time to time all memory around and inside
 * the regions, byte by byte.
 *
 * Runs in the network namespace of the peer.
 *
 * usage: fuzz -d DEVICE -i INTERFACE -m MAC -s SOURCE -t DESTINATION [-k ROLE] [-n PACKETS]
 *	       [-r SEED]
 *
 * The packets go out by INTERFACE to the Ethernet address of the device's. SOURCE and
 * DESTINATION are both of IPv4 or of IPv6. ROLE is rc (default), uc, target or initiator,
 * the last two of XRC.
 */
#include "fuzz.h"

#include <string.h>
#include <unistd.h>

struct nic nics[2];
unsigned long rounds;

static const struct role roles[] = {
	{ .name = "rc", .service = RC, .responds = true, .asks = true, .posts = true },
	{ .name = "uc", .service = UC, .responds = true, .posts = true },
	{ .name = "target", .service = XRC, .responds = true },
	{ .name = "initiator", .service = XRC, .asks = true },
};
const struct role *role = roles;

/* Is it one that somebody sends to the queue pair, or a datagram? */
static bool for_role(uint8_t opcode)
{
	if (opcode >= OPCODES)
		return role->posts;
	if (role->service == UC && opcode > WRITE_ONLY_IMM)
		return false;
	/* A single one of those that end a connection is often enough. */
	if (kinds[opcode] & OTHER && opcode != UNKNOWN_OPCODE)
		return false;
	return kinds[opcode] & RESPONSE ? role->asks : role->responds;
}

static void one_round(void)
{
	uint8_t opcode = rounds % (OPCODES + 2);

	if (!for_role(opcode))
		return;
	if (!model.alive)
		connect_anew();
	if (opcode >= OPCODES)
		datagram_round(opcode > OPCODES);
	else if (kinds[opcode] & RESPONSE)
		answer_round(opcode);
	else
		request_round(opcode);
	if (rounds % 64 == 0)
		look_at_memory();
}

static const struct role *role_by(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (!strcmp(roles[i].name, name))
			return &roles[i];
	CHECK(!"a role");
	return NULL;
}

/* The device talks by the address that the packets go to. */
static void use_address(struct nic *nic)
{
	struct ibv_gid_entry entries[64];
	ssize_t i, n = ibv_query_gid_table(nic->context, entries, 64, 0);

	for (i = 0; i < n; i++) {
		if (entries[i].gid_type != IBV_GID_TYPE_ROCE_V2 ||
		    memcmp(&entries[i].gid, &destination, sizeof(destination)))
			continue;
		nic->gid = entries[i].gid;
		nic->gid_index = entries[i].gid_index;
		return;
	}
	CHECK(!"an address of the device");
}

static unsigned long options(int argc, char **argv)
{
	const char *interface = NULL, *mac = NULL;
	unsigned long packets = 100000, seed = 1;
	int c;

	while ((c = getopt(argc, argv, "d:i:m:s:t:k:n:r:")) != -1) {
		CHECK(c != '?');
		if (c == 'd')
			nics_open(nics, optarg);
		else if (c == 'i')
			interface = optarg;
		else if (c == 'm')
			mac = optarg;
		else if (c == 's' || c == 't')
			net_address(c == 's' ? &source : &destination, optarg);
		else if (c == 'k')
			role = role_by(optarg);
		else if (c == 'n')
			packets = strtoul(optarg, NULL, 0);
		else
			seed = strtoul(optarg, NULL, 0);
	}
	CHECK(nics[0].context && interface && mac && seed);
	use_address(&nics[0]);
	net_open(interface, mac);
	dice_seed(seed);
	printf("%s, IPv%d, seed %lu: ", role->name, v6 ? 6 : 4, seed);
	return packets;
}

int main(int argc, char **argv)
{
	unsigned long packets = options(argc, argv);
	int i;

	victim_create();
	datagrams_create();
	for (rounds = 1; sent < packets; rounds++)
		one_round();
	look_at_memory();
	printf("%lu packets, connected %lu times;", sent, connections);
	for (i = 0; i < OUTCOMES; i++)
		printf(" %s: %lu%s", outcome_names[i], done[i], i + 1 < OUTCOMES ? "," : "\n");
	/* Enough of each for a test */
	CHECK(done[NOTHING] > packets / 10 && done[EXECUTED] > packets / 10);
	CHECK(done[role->service == UC ? LOST : ENDED] > packets / 100);
	CHECK(done[ANY] < packets / 4);
	return 0;
}
