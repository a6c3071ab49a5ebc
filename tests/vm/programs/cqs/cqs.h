/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * cqs: two ends with extended completion queues, and messages from one to the
 * other, whose completions must come each once and in order.
 */
#ifndef CQS_H
#define CQS_H

#include "../ends.h"

enum { DEPTH = 256, SIZE = 8192, WINDOW = 16, MESSAGES = 4000 };

/* What the device's queues can tell */
static const uint64_t all_flags = IBV_WC_STANDARD_FLAGS | IBV_WC_EX_WITH_COMPLETION_TIMESTAMP |
				  IBV_WC_EX_WITH_COMPLETION_TIMESTAMP_WALLCLOCK |
				  IBV_WC_EX_WITH_CVLAN;

/* An end with an extended queue */
struct side {
	struct end end;
	struct ibv_cq_ex *cqx;
	struct ibv_mr *mr;
	char *mem;
};

extern struct nic nics[2];
/* a sends, b receives */
extern struct side a, b;

/* NULL and errno if it is refused */
struct ibv_cq_ex *create_cq(struct nic *nic, struct ibv_comp_channel *channel, int depth,
			    uint64_t wc_flags, uint32_t flags);
/* Queues of @depth and @flags, connected queue pairs of DEPTH */
void sides_create(int depth, uint32_t flags);
/* The same with both queue pairs on one device, and on the queue of a */
void sides_create_shared(int depth);
void sides_destroy(void);

/* Message number @seq carries that as data, as immediate data, and as the id at both ends. */
void receive(uint64_t seq);
void send_message(uint64_t seq);
/* Each taken at both ends. Return: the time of the first */
uint64_t messages(uint64_t seq, int n);
void expect_message(const struct ibv_wc *wc, uint64_t seq);
void expect_empty(struct side *side);

/* Starts an iteration, when there is a completion. */
void start(struct side *side);
/* The current completion of an iteration, with its time */
struct ibv_wc current(struct ibv_cq_ex *cqx, uint64_t *time);
/* An iteration over one completion */
struct ibv_wc next(struct side *side, uint64_t *time);

/* The device's clock */
uint64_t raw_clock(void);

void test_fields(void);
void test_times(bool one_device);
void test_resize(void);
void test_events(void);
void test_solicited(void);
/* The addresses 10.0.@vlan.x of the devices are of that VLAN. */
void test_vlan(int vlan);

#endif /* CQS_H */
