/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * fuzz: a queue pair, the packets that it gets, and a model of what these do.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "../ends.h"

enum {
	MTU = 1024,
	AREA = 16 << 10,	/* each of the parts of memory */
	RECEIVE_SIZE = 3000,
	RECEIVES = 16,
	PEER = 0xfffff8,
	PSN_MASK = 0xffffff,
	DATA_MAX = 1400,
	NET_MAX = 56,
	BTH = 12,		/* bytes of the header that all have */
	ASKS = 4,		/* requests of its own */
	ASK_SIZE = 3 * MTU,
};

/* Of the memory; those between and around are nobody's. */
enum { TARGET = 1, RECEIVE = 3, ANSWER = 5, AREAS = 7 };

enum opcode {
	SEND_FIRST = 0x00, SEND_MIDDLE, SEND_LAST, SEND_LAST_IMM, SEND_ONLY, SEND_ONLY_IMM,
	WRITE_FIRST, WRITE_MIDDLE, WRITE_LAST, WRITE_LAST_IMM, WRITE_ONLY, WRITE_ONLY_IMM,
	READ_REQUEST, READ_FIRST, READ_MIDDLE, READ_LAST, READ_ONLY,
	ACKNOWLEDGE, ATOMIC_ACKNOWLEDGE, COMPARE_SWAP, FETCH_ADD,
	UNKNOWN_OPCODE = 0x15, SEND_LAST_INV, SEND_ONLY_INV, FLUSH = 0x1c, ATOMIC_WRITE, OPCODES = 0x20,
	RC = 0x00, UC = 0x20, XRC = 0xa0, SERVICE = 0xe0,
};

/* What a packet of each opcode consists of */
enum {
	SEND = 1 << 0, WRITE = 1 << 1, READ = 1 << 2, ATOMIC = 1 << 3, RESPONSE = 1 << 4,
	FIRST = 1 << 5, LAST = 1 << 6, ONLY = FIRST | LAST,
	RETH = 1 << 7, AETH = 1 << 8, IMM = 1 << 9, AETHER = 1 << 10, OLD = 1 << 11, DATA = 1 << 12,
	INV = 1 << 13,
	OTHER = 1 << 14,	/* a request that the device does not know */
	FETH = 1 << 15,		/* before the RETH; that is a FLUSH */
};

/* What a packet has to do, or did */
enum outcome { NOTHING, EXECUTED, LOST, ENDED, ANY, OUTCOMES };

struct packet {
	unsigned char net[NET_MAX];		/* IP and UDP, as in net.c */
	unsigned int net_len;
	unsigned char bytes[DATA_MAX + 100];	/* from the BTH on, with the ICRC */
	unsigned int len;
};

/* What one says */
struct header {
	uint8_t opcode, syndrome;
	unsigned int kind;
	uint32_t psn;
	uint32_t srqn;
	uint64_t va;
	uint32_t rkey, length;
	uint32_t flush;		/* what, and to where */
	uint64_t swap_add, compare;	/* the first is also what an atomic has returned */
	const unsigned char *data;
	unsigned int len;
};

/* A request of the queue pair's own */
struct ask {
	unsigned int kind;	/* READ, ATOMIC or 0; an ATOMIC WRITE is a READ of nothing */
	uint32_t psn, npsns, len;
	unsigned char *to;
};

/* What the queue pair should be like */
struct model {
	bool alive;
	uint32_t epsn;		/* that the responder expects */
	unsigned int open;	/* message: 0, SEND or WRITE */
	unsigned int received;	/* bytes of it */
	uint64_t va;		/* WRITE: where it goes on, by which key */
	uint32_t rkey, left;
	uint32_t sq_psn;	/* of its next request */
	uint32_t una;		/* all before is acknowledged */
	struct ask asks[ASKS];
	unsigned int asked, answered, completed;
	enum ibv_wc_status failure;	/* of the oldest one, if there is one */
};

/* Who gets the packets */
struct role {
	const char *name;
	uint8_t service;
	bool responds, asks;	/* has a responder, or requests that are answered */
	bool posts;		/* has a send queue, for windows, and a peer of datagrams */
};

/* A right, what FLUSHes are to, and that they are of a region, in newer headers */
enum { ACCESS_FLUSH = 1 << 8, FLUSH_GLOBAL = 1, FLUSH_REGION = 0x10 };

extern const unsigned int kinds[OPCODES];
extern struct nic nics[2];
extern const struct role *role;
extern struct model model;
extern unsigned long rounds;

/* wire.c: a number below, any number, a chance of @n in 100, bytes */
void dice_seed(uint64_t seed);
uint32_t any(uint32_t below);
uint32_t any32(void);
bool percent(unsigned int n);
void noise(unsigned char *to, unsigned int n);
/* Numbers in packets */
void put(unsigned char *to, uint64_t value, int bytes);
uint64_t get(const unsigned char *from, int bytes);
/* Gives it the right ICRC; has it the right one, behind @len bytes of all? */
void seal(struct packet *packet);
bool sealed(const struct packet *packet, unsigned int len);

/* net.c: addresses are GIDs */
extern bool v6;
extern union ibv_gid source, destination;
extern unsigned long sent;

void net_open(const char *interface, const char *mac);
/* "10.0.0.1", "fd00::1" */
void net_address(union ibv_gid *gid, const char *text);
/* The headers that fit to the rest; only lengths */
void net_headers(struct packet *packet);
void net_fit(struct packet *packet);
void net_change(struct packet *packet);
/* Bytes that UDP says it has, but not more than there are */
unsigned int net_length(const struct packet *packet);
/* Is it delivered to port 4791 at all, and from the peer? */
enum outcome net_judge(const struct packet *packet);
bool net_from_peer(const struct packet *packet);
/* The headers as the ICRC sees them. Return: bytes */
unsigned int net_masked(const struct packet *packet, unsigned char *to);
void transmit(const struct packet *packet);

/* victim.c: what memory should be like is in its shadow */
extern struct end victim;
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

/* keys.c: memory windows */
struct key {
	uint32_t rkey;
	int access;
	uint64_t first;		/* address, in terms of the key */
	unsigned char *start;	/* and where that is */
	uint32_t len;		/* 0: it is not bound */
};

void keys_create(void);
void keys_bind(void);
void keys_unbind(void);
/* Nobody knows whether the own one is bound: another one, which is not */
void keys_anew(void);
/* Is the queue pair's own bound? Its key, then or last */
bool keys_bound(void);
uint32_t keys_own(void);
/* One that may be accessed like this; any one at all; one of those that are bound, maybe */
const struct key *key_for(int access, uint32_t len);
uint32_t any_key(void);
const struct key *any_window(void);
/* May it be used like this, wherever it leads to? */
bool key_allows(uint32_t rkey, int access);
/* Where a key leads to, or NULL if that is not allowed */
unsigned char *key_target(uint32_t rkey, uint64_t va, uint32_t len, int access);
/* The peer invalidates it. May he? */
bool key_invalidate(uint32_t rkey);

/* model.c */
/* Of the header that all have, and those that requests of XRC and FLUSHes have before others */
unsigned int base_size(unsigned int kind);
unsigned int header_size(unsigned int kind);
int32_t psn_diff(uint32_t a, uint32_t b);
/* What it has to do; done in the model and the shadow */
enum outcome judge(const struct packet *packet);

/* requester.c: the same for an answer to @model.asks */
enum outcome judge_answer(const struct header *h);
/* Everything is answered up to here */
struct ask *oldest_ask(void);

/* change.c */
/* The headers that all have, and data; all that is left is zero */
void begin(struct packet *packet, uint8_t opcode, uint32_t psn, unsigned int len);
/* The next request of an opcode, as it fits to those before if that can be */
void make_request(struct packet *packet, uint8_t opcode);
/* Changes a thing or two, or nothing; the ICRC may be wrong then */
void spoil(struct packet *packet);

/* deliver.c */
extern unsigned long done[OUTCOMES];
extern const char *const outcome_names[OUTCOMES];

/* Sends it; then all is as the model says. */
void deliver(const struct packet *packet);

/* request.c and answer.c: a round each */
void request_round(uint8_t opcode);
void answer_round(uint8_t opcode);

/* datagram.c: the same for another queue pair */
void datagrams_create(void);
void datagram_round(bool imm);

#endif /* FUZZ_H */
