/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef CHURN_H
#define CHURN_H

#include "pattern.h"
#include "xfer.h"

#include <pthread.h>
#include <sys/types.h>

/*
 * Memory that changes while it is used.
 *
 * A region is divided into slots, and time into epochs. In each epoch half of
 * the slots are for messages (busy), the other half is idle. A thread at each
 * end does one event after the other:
 *
 *  - those that destroy or forbid memory (munmap, dontneed, mprotect, mremap)
 *    to idle slots, which get new contents afterwards;
 *  - those that a program never notices (fork and copy-on-write, swap, huge
 *    pages made and split, compaction) to any slot, also under a message.
 *
 * The next epoch turns the halves around, so messages come to and from memory
 * that was another one a moment ago, beside memory that is just going away.
 */
enum churn_event {
	EV_MUNMAP,
	EV_DONTNEED,
	EV_FORK,
	EV_SWAP,
	EV_THP,
	EV_MPROTECT,
	EV_MREMAP,
	EV_COMPACT,
	EV_KSM,
	EVENTS
};

struct churner;

#define EVENT_NOTHING (-1)

struct event_type {
	const char *name;
	/* One event. Return: exit code, or EVENT_NOTHING if none was due */
	int (*run)(struct churner *c);
	bool pinned_too;	/* leaves pinned memory with its pages */
	unsigned int one_in;	/* how rare it is: expensive ones are */
	const char *effect;	/* what effects[] counts */
	/* NULL: can be done here; else: why it cannot */
	const char *(*missing)(void);
};

extern const struct event_type event_types[EVENTS];

/* "munmap,fork" to bits. Return: NULL, or the name that is unknown */
const char *churn_parse_events(char *list, uint64_t *events);
#define EVENTS_DEFAULT                                                     \
	((1u << EV_MUNMAP) | (1u << EV_DONTNEED) | (1u << EV_FORK) |       \
	 (1u << EV_SWAP) | (1u << EV_THP))

/* What may change a region, and what has done so */
struct churner {
	struct region *region;
	unsigned int slots;
	size_t slot_size;
	uint64_t events; /* those done here */
	uint64_t seed;
	pthread_t thread;
	bool running;

	/*
	 * Held by the thread for each event, so who holds it may change the
	 * halves. The keys of busy slots belong to the traffic, those of idle
	 * slots to the thread.
	 */
	pthread_mutex_t lock;
	uint64_t epoch;
	bool stop;
	uint64_t *keys;	   /* pattern of each slot's contents */
	uint8_t *last;	   /* the event that hit it last; EVENTS: none */

	/* The thread's own, until it has ended */
	struct random random;
	char *scratch;	   /* a slot's size, for mremap */
	pid_t child;	   /* 0: none */
	uint64_t done[EVENTS];
	uint64_t effects[EVENTS];
	int rc;
	char text[320];
};

/* Fill all slots. Prints which events it leaves out */
int churner_set_up(struct churner *c);
/*
 * Start the thread. Some events leave a hole in the address space for a moment:
 * from here to churner_stop(), nothing in the process may map memory at an
 * address that the kernel chooses.
 */
int churner_start(struct churner *c);
/* Turn to @epoch; afterwards the thread keeps off its busy slots */
void churner_turn(struct churner *c, uint64_t epoch);
/* End the thread; what went wrong in it is the result */
int churner_stop(struct churner *c);
void churner_free(struct churner *c);

bool slot_is_busy(unsigned int slot, uint64_t epoch);
char *slot_start(const struct churner *c, unsigned int slot);
/* New contents, by the CPU */
void slot_refill(struct churner *c, unsigned int slot, uint64_t key);

/* What the events want the kernel to know about new mappings */
void churn_advise(const struct churner *c, char *at, size_t size);

/* For events */
unsigned int churn_idle_slot(struct churner *c);
/* The last event of each slot from @from to @to in the region */
void churn_note(struct churner *c, enum churn_event event, char *from, char *to);
int event_fork(struct churner *c);
/* Wait for the child, if there is one, and hear what it says */
int fork_reap(struct churner *c);

/* odp_perf verify --churn; see churn_traffic.c */
int churn_run(struct side *side);

#endif
