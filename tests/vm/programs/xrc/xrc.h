/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 *	initiators on DEV		targets on DEV2, in one domain
 *	-----------------		------------------------------
 *	near[0] --------------- far[0] --+-- queues[0]	this process
 *	near[1] --------------- far[1] --+-- queues[1]	  with another PD
 *					 +-- queues[2]	the other process
 *
 * What happens at a queue is done by its process, on order(). Each byte of each
 * message is known to both sides. All memory is on demand, and its pages are not
 * there when messages come.
 */
#ifndef XRC_H
#define XRC_H

#include "../ends.h"
#include "../slow.h"

#include <sys/types.h>

enum {
	PAIRS = 2, OWN = 2, QUEUES = 3, SLOTS = 16, SLOT = 8 * PAGE, FIELD = 64 * PAGE,
	BURST = 4, ROUNDS = 15, WAIT_MS = 50, NEVER_MS = 3600000, TIMEOUT = 14,
};

enum what { GIVE, GIVE_SLOW, SLOW_ASKED, TAKE, CHECK_FIELD, CHECK_BYTES, TARGET, CONNECT };

/* To the process of a queue */
struct order {
	enum what what;
	int count;
	uint32_t len;
	uint64_t value;
	struct address peer;
};

/* What others know of a queue */
struct known {
	uint32_t number;
	uint32_t rkey;
	uint64_t field;
	uint64_t value;
};

struct queue {
	int index;
	struct end end;		/* of its completions */
	struct ibv_pd *pd;
	struct ibv_srq *srq;
	struct ibv_mr *mr;
	struct ibv_qp *target;
	char *inbox;		/* slots, and behind them the field */
	char *field;
	struct slow slow;
	bool given[SLOTS];
	int got[PAIRS];
	struct known known;
	int socket;		/* to the other process, if it is there */
	pid_t pid;
};

/* main.c */
extern struct nic nics[2];
extern char *device_names;

/* messages.c */
extern char *outbox;	/* BURST messages of each pair for each queue */
extern struct ibv_mr *mr;	/* of the initiators' memory */

uint32_t size_of(int pair, int queue, int message);
char byte_of(int pair, int queue, int message, uint32_t i);
/* By both ways to post */
void post_to(int pair, uint32_t number, char *data, uint32_t len, uint64_t id);
void post_message(int pair, int queue);
void post_remote(int pair, enum ibv_wr_opcode opcode, const struct queue *queue,
		 uint32_t rkey, uint32_t len);
/* The outbox has @len bytes of pattern @seed, and nothing else. */
void fill(int seed, uint32_t len);

/* queues.c */
extern struct queue queues[QUEUES];

struct ibv_srq *srq_of(struct ibv_context *context, struct ibv_pd *pd,
		       struct ibv_xrcd *domain, struct ibv_cq *cq);
void queue_create(struct queue *queue);
/* All but the shared receive queue */
void queue_destroy_rest(struct queue *queue);
void queue_destroy(struct queue *queue);
void post_receive(struct queue *queue, char *a, uint32_t len, char *b, uint32_t len_b, uint64_t id);
void give(struct queue *queue, int count);
/* The next message, as it has to be */
void take(struct queue *queue);
/* Remote memory has @len bytes of pattern @value, and nothing else. */
void check_field(struct queue *queue, uint64_t value, uint32_t len);

/* connections.c */
extern char domain_path[];
extern struct ibv_xrcd *xrcd;
extern struct end near[PAIRS];
extern struct ibv_qp *far[PAIRS];
extern uint32_t *target_numbers;	/* of far[], shared by the processes */

void open_domain(void);
struct ibv_qp *target_create(void);
struct ibv_qp *open_target(uint32_t number);
void near_create(struct end *end);
/* From any state. Of attributes that one of both halves has no use for, the kernel takes none. */
void connect_qp(struct ibv_qp *qp, struct nic *nic, const struct address *peer);
struct address address_of(const struct ibv_qp *qp, const struct nic *nic);
/* Anew, whatever has become of it */
void pair_connect(int pair);
enum ibv_qp_state state_of(struct ibv_qp *qp);

/* process.c */
void start_other(struct queue *queue);
/* By @signal, or as it should */
void end_other(struct queue *queue, int signal);
/* What the other process tells of its queue */
void answer(struct queue *queue);
uint64_t order(struct queue *queue, struct order order);

/* delivery.c */
void traffic(void);
void empty(void);
void remote(void);
void write_with_immediate(void);
void nothing_comes(struct end *end);

/* failures.c */
void wrong_numbers(void);
void wrong_keys(void);
void too_long(void);
/* The request that was posted last ends the connection. */
void fails(enum ibv_wc_status status, enum ibv_event_type type);
/* The device's next event, but for those of its port */
void event_is(enum ibv_event_type type, const struct ibv_qp *qp);

/* gone.c */
void flushed(enum ibv_qp_state state);
void queue_goes(void);
void processes(void);

/* refused.c */
void bad_input(void);

#endif /* XRC_H */
