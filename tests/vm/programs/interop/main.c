/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * usage: interop -d DEV,DEV2 [-l] OPERATION
 *        interop
 *
 *   -l  packets get lost
 *
 * DEV asks for things. Without arguments: what operations there are.
 */
#include "interop.h"

#include <string.h>
#include <unistd.h>

/* Of messages, in turn */
#define OPCODES(...) .opcodes = { __VA_ARGS__ }, \
	.n = sizeof((enum ibv_wr_opcode[]){ __VA_ARGS__ }) / sizeof(enum ibv_wr_opcode)
#define ALL IBV_WR_SEND, IBV_WR_RDMA_READ, IBV_WR_RDMA_WRITE, IBV_WR_ATOMIC_FETCH_AND_ADD, \
	IBV_WR_RDMA_WRITE_WITH_IMM, IBV_WR_ATOMIC_CMP_AND_SWP, IBV_WR_SEND_WITH_IMM
#define RECEIVED IBV_WR_SEND, IBV_WR_RDMA_WRITE_WITH_IMM, IBV_WR_SEND_WITH_IMM

#define RC(...) .run = transfer, OPCODES(__VA_ARGS__)
#define UC(opcode) .run = unreliable, .type = IBV_QPT_UC, OPCODES(opcode)
#define UD(opcode) .run = unreliable, .type = IBV_QPT_UD, OPCODES(opcode)

static const struct operation operations[] = {
	{ .name = "rc_send", RC(IBV_WR_SEND) },
	{ .name = "rc_send_imm", RC(IBV_WR_SEND_WITH_IMM) },
	{ .name = "rc_write", RC(IBV_WR_RDMA_WRITE) },
	{ .name = "rc_write_imm", RC(IBV_WR_RDMA_WRITE_WITH_IMM) },
	{ .name = "rc_read", RC(IBV_WR_RDMA_READ) },
	{ .name = "rc_cmp_swp", RC(IBV_WR_ATOMIC_CMP_AND_SWP) },
	{ .name = "rc_fetch_add", RC(IBV_WR_ATOMIC_FETCH_AND_ADD) },
	{ .name = "rc_all", RC(ALL) },
	{ .name = "rc_all_ipv6", RC(ALL), .ipv6 = true },
	{ .name = "rc_srq", RC(RECEIVED), .srq = true },
	{ .name = "rc_rnr", RC(RECEIVED), .late = true },
	{ .name = "rc_refused", .run = refusals },
	{ .name = "rc_window_1", .run = window_one },
	{ .name = "rc_window_2", .run = window_two },
	{ .name = "uc_send", UC(IBV_WR_SEND) },
	{ .name = "uc_send_imm", UC(IBV_WR_SEND_WITH_IMM) },
	{ .name = "uc_write", UC(IBV_WR_RDMA_WRITE) },
	{ .name = "uc_write_imm", UC(IBV_WR_RDMA_WRITE_WITH_IMM) },
	{ .name = "ud_send", UD(IBV_WR_SEND) },
	{ .name = "ud_send_imm", UD(IBV_WR_SEND_WITH_IMM) },
	{ .name = "ud_send_ipv6", UD(IBV_WR_SEND), .ipv6 = true },
	{ .name = "ud_srq", UD(IBV_WR_SEND_WITH_IMM), .srq = true },
	{ .name = "ud_multicast", UD(IBV_WR_SEND_WITH_IMM), .multicast = true },
};

enum { OPERATIONS = sizeof(operations) / sizeof(operations[0]) };

int main(int argc, char **argv)
{
	int i;

	for (i = 0; argc == 1 && i < OPERATIONS; i++)
		puts(operations[i].name);
	if (argc == 1)
		return 0;
	lossy = options_lossy(argc, argv, nics);
	CHECK(optind == argc - 1);
	for (i = 0; i < OPERATIONS && strcmp(operations[i].name, argv[optind]); i++)
		;
	CHECK(i < OPERATIONS);
	operation = &operations[i];
	operation->run();
	return 0;
}
