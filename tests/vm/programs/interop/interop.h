/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Operations between devices of two drivers: every byte, at both ends.
 *
 * @near asks for things, @far is asked. Their memories are equal pieces; a message goes
 * from a piece of one to the same piece of the other, and what it may not change
 * is looked at, too. Memory is on demand where the device can do that.
 */
#ifndef INTEROP_H
#define INTEROP_H

#include "../ends.h"

enum {
	PIECES = 16, PIECE = 19 * PAGE, SIZE = PIECES * PIECE,
	/* A message of a connection, which is more than a READ is asked for at a time; a datagram */
	LONGEST = 70000, LONGEST_DATAGRAM = 1024,
	GRH = sizeof(struct ibv_grh),
	QKEY = 0x1234567, QUIET_MS = 100,
};

struct side {
	struct end end;
	struct ibv_mr *mr;
	bool on_demand;
	char *memory, *expected;
	struct ibv_ah *ah;	/* to the other one, or the group */
};

/* A row of the table: what @run is to do */
struct operation {
	const char *name;
	void (*run)(void);
	enum ibv_wr_opcode opcodes[8];	/* of messages, in turn */
	int n;
	enum ibv_qp_type type;		/* 0 is IBV_QPT_RC */
	bool ipv6, srq, multicast;
	bool late;			/* receives come after the messages */
};

struct message {
	enum ibv_wr_opcode opcode;
	char *near, *far;
	uint32_t len;
	uint64_t add, swap;	/* of atomics; @add is what is compared, too */
};

extern struct nic nics[2];
extern struct side near, far;
/* Packets get lost. */
extern bool lossy;
extern const struct operation *operation;
/* Of @far's memory */
extern uint32_t rkey;
extern struct message messages[PIECES];
/* Where @operation is by multicast */
extern const union ibv_gid group;

/*
 * Where rdma_rxe does what it should not, and that is known, a line says so that begins
 * with its name: the case puts it below its table.
 */

/* sides.c */
bool has_odp(const struct nic *nic);
void set_up(void);
void connect_ends(void);
void disconnect_ends(void);
/* Where nothing is lost, nothing was sent twice. */
void check_counters(void);
int rounds(void);
/* Any bytes in both memories, which are what is expected then */
void fill(void);
char *expected(const struct side *side, const char *place);
/* Everything is as expected. */
void look(void);

/* messages.c */
bool is_atomic(enum ibv_wr_opcode opcode);
bool is_write(enum ibv_wr_opcode opcode);
bool is_received(enum ibv_wr_opcode opcode);
bool has_imm(enum ibv_wr_opcode opcode);
/* The message of piece @i; they are different in each round. */
void message_make(int i, enum ibv_wr_opcode opcode, int round);
/* What it will have changed */
void message_expect(const struct message *m);
void post(int i);
void post_receive(int i, uint32_t len);
void check_sent(void);
/* The completion of message @i */
void check_received(const struct ibv_wc *wc, int i);

/* What operations run: reliable.c, unreliable.c */
void transfer(void);
void window_one(void);
void window_two(void);
void refusals(void);
void unreliable(void);

#endif /* INTEROP_H */
