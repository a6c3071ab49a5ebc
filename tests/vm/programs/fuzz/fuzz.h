/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * fuzz: a queue pair, the packets that it gets, and a model of what these do.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "../ends.h"

#include <netinet/in.h>

enum {
	MTU = 1024,
	AREA = 16 << 10,	/* each of the parts of memory */
	RECEIVE_SIZE = 3000,
	RECEIVES = 16,
	PEER = 0xfffff8,
	ROCE_PORT = 4791,
	PSN_MASK = 0xffffff,
	DATA_MAX = 1400,
	BTH = 12,		/* bytes of the header that all have */
};

/* Of the memory; those between and around are nobody's. */
enum { TARGET = 1, RECEIVE = 3, ANSWER = 5, AREAS = 7 };

enum opcode {
	SEND_FIRST = 0x00, SEND_MIDDLE, SEND_LAST, SEND_LAST_IMM, SEND_ONLY, SEND_ONLY_IMM,
	WRITE_FIRST, WRITE_MIDDLE, WRITE_LAST, WRITE_LAST_IMM, WRITE_ONLY, WRITE_ONLY_IMM,
	READ_REQUEST, READ_FIRST, READ_MIDDLE, READ_LAST, READ_ONLY,
	ACKNOWLEDGE, ATOMIC_ACKNOWLEDGE, COMPARE_SWAP, FETCH_ADD,
	SEND_LAST_INV = 0x16, SEND_ONLY_INV, FLUSH = 0x1c, ATOMIC_WRITE, OPCODES = 0x20,
	RC = 0x00, XRC = 0xa0, SERVICE = 0xe0,
};

/* What a packet of each opcode consists of */
enum {
	SEND = 1 << 0, WRITE = 1 << 1, READ = 1 << 2, ATOMIC = 1 << 3, RESPONSE = 1 << 4,
	FIRST = 1 << 5, LAST = 1 << 6, ONLY = FIRST | LAST,
	RETH = 1 << 7, AETH = 1 << 8, IMM = 1 << 9, AETHER = 1 << 10, OLD = 1 << 11, DATA = 1 << 12,
	OTHER = 1 << 13,	/* a request that the device does not know */
};

/* What a packet has to do, or did */
enum outcome { NOTHING, EXECUTED, ENDED, ANY, OUTCOMES };

struct packet {
	unsigned char bytes[DATA_MAX + 100];	/* from the BTH on, with the ICRC */
	unsigned int len;
};

/* What one says */
struct header {
	uint8_t opcode;
	unsigned int kind;
	uint32_t psn;
	uint32_t srqn;
	uint64_t va;
	uint32_t rkey, length;
	uint64_t swap_add, compare;
	const unsigned char *data;
	unsigned int len;
};

/* What the queue pair should be like */
struct model {
	bool alive;
	uint32_t epsn;		/* that the responder expects */
	uint32_t sq_psn;	/* of its next request */
	unsigned int open;	/* message: 0, SEND or WRITE */
	unsigned int received;	/* bytes of it */
	uint64_t va;		/* WRITE: where it goes on */
	uint32_t left;
};

extern const unsigned int kinds[OPCODES];
extern struct nic nics[2];
extern struct model model;
extern unsigned long rounds;

/* wire.c */
extern struct in_addr source, destination;
extern unsigned long sent;

void wire_open(uint64_t seed);
/* A number below, any number, a chance of @n in 100, bytes */
uint32_t any(uint32_t below);
uint32_t any32(void);
bool percent(unsigned int n);
void noise(unsigned char *to, unsigned int n);
/* Numbers in packets */
void put(unsigned char *to, uint64_t value, int bytes);
uint64_t get(const unsigned char *from, int bytes);
/* Gives it the right ICRC; has it the right one?; sends it */
void seal(struct packet *packet);
bool sealed(const struct packet *packet);
void transmit(const struct packet *packet);

/* victim.c: what memory should be like is in its shadow */
extern struct end victim;
/* Is it an XRC target, and which shared receive queue is there? */
extern bool xrc;
extern uint32_t srqn;
extern struct ibv_mr *mrs[AREAS];
extern unsigned long connections;

void victim_create(void);
/* As new, with receives; the model, too */
void connect_anew(void);
/* After something that may have done anything, in the regions */
void start_over(void);
struct ibv_qp_attr query(void);
unsigned char *area(int which);
unsigned char *shadow_of(const void *address);
void post_receive(void);
void look_at_memory(void);

/* model.c */
/* Of the header that all have, and the one that requests of XRC have */
unsigned int base_size(unsigned int kind);
unsigned int header_size(unsigned int kind);
/* Is it for the queue pair? NOTHING: no; ANY: nobody says; else @h is filled in. */
enum outcome parse(const struct packet *packet, struct header *h);
/* What it has to do; done in the model and the shadow */
enum outcome judge(const struct packet *packet);

/* change.c */
/* The headers that all have, and data; all that is left is zero */
void begin(struct packet *packet, uint8_t opcode, uint32_t psn, unsigned int len);
/* The next request of an opcode, as it fits to those before if that can be */
void make_request(struct packet *packet, uint8_t opcode);
/* Changes a thing or two, or nothing; the ICRC may be wrong then */
void spoil(struct packet *packet);

/* request.c and answer.c: a round each */
extern unsigned long done[OUTCOMES];
extern const char *const outcome_names[OUTCOMES];

void request_round(uint8_t opcode);
void answer_round(uint8_t opcode);

/* datagram.c: the same for another queue pair */
void datagrams_create(void);
void datagram_round(bool imm);

#endif /* FUZZ_H */
