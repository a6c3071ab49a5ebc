// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Packets of every opcode, right ones that are then changed in a thing or two, for a
 * datagram queue pair, and for one whose peer this program plays by a raw socket. A
 * model of the responder, from the specification, says of each what it has to do:
 * nothing, what it asks for, or end the connection. After each the queue pair is
 * compared with the model, and from time to time all memory around and inside the
 * regions, byte by byte.
 *
 * Runs in the network namespace of the peer.
 *
 * usage: fuzz -d DEVICE -s SOURCE -t DESTINATION [-n PACKETS] [-r SEED] [-x]
 *
 * With -x the queue pair is an XRC target, which gets requests alone.
 */
#include "fuzz.h"

#include <arpa/inet.h>
#include <unistd.h>

struct nic nics[2];
unsigned long rounds;

static void one_round(void)
{
	uint8_t opcode = rounds % (OPCODES + 2);

	if (!model.alive)
		connect_anew();
	/* A single one of those that end a connection is often enough. */
	if (opcode < OPCODES && ((kinds[opcode] & OTHER && opcode != FLUSH) ||
				 (xrc && kinds[opcode] & RESPONSE)))
		opcode = READ_REQUEST;
	if (opcode >= OPCODES)
		datagram_round(opcode > OPCODES);
	else if (kinds[opcode] & RESPONSE)
		answer_round(opcode);
	else
		request_round(opcode);
	if (rounds % 64 == 0)
		look_at_memory();
}

static unsigned long options(int argc, char **argv)
{
	unsigned long packets = 100000, seed = 1;
	int c;

	while ((c = getopt(argc, argv, "d:s:t:n:r:x")) != -1) {
		CHECK(c != '?');
		if (c == 'd')
			nics_open(nics, optarg);
		else if (c == 's')
			CHECK(inet_pton(AF_INET, optarg, &source) == 1);
		else if (c == 't')
			CHECK(inet_pton(AF_INET, optarg, &destination) == 1);
		else if (c == 'n')
			packets = strtoul(optarg, NULL, 0);
		else if (c == 'x')
			xrc = true;
		else
			seed = strtoul(optarg, NULL, 0);
	}
	CHECK(nics[0].context && source.s_addr && destination.s_addr && seed);
	wire_open(seed);
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
	CHECK(done[ENDED] > packets / 40);
	return 0;
}
