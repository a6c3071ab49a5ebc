/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * scribble: garbage in the rings that are shared with the kernel.
 *
 *	supervisor ---- witness		has memory registered on both devices, of
 *	    |				which nobody has the keys by right
 *	    +---------- worker, worker	each with its own seed, one at a time: queue
 *	    +---------- ...		pairs on both devices, connected to each
 *					other, and a thread that scribbles
 *
 * A worker may harm itself: it is killed when it makes no progress, and a new
 * one goes on. What counts is what it cannot do.
 */
#ifndef SCRIBBLE_H
#define SCRIBBLE_H

#include <infiniband/verbs.h>
#include <odp-abi.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEVICES 2
#define PAIRS 4
#define ENDS (2 * PAIRS)
#define VIEWS 512
#define BLOCK 65536

/* What a worker's memory consists of, a BLOCK each; the others are guards. */
enum { ON_DEMAND = 1, PINNED = 3, READ_ONLY = 5, OTHER_PD = 7, BLOCKS = 9 };

/* Exit status of workers and the witness */
enum { RIGHT = 0, WRONG = 1, CANNOT = 77, OWN_HARM = 3 };

/* --- What all processes share ---------------------------------------------- */

enum counter {
	STAT_WORKERS, STAT_ROUNDS, STAT_CREATED, STAT_RESETS, STAT_SCRIBBLES,
	STAT_RUNG, STAT_REFUSED, STAT_COMPLETED, STAT_FAILED, STAT_HARMED,
	STATS,
};

struct key {
	uint64_t addr;
	uint64_t len;
	uint32_t lkey;
	uint32_t rkey;
};

struct shared {
	atomic_ullong stats[STATS];
	struct key witness[DEVICES][2];
	atomic_bool ready; /* the witness's keys are there */
	atomic_bool enough; /* workers are to end */
	atomic_bool stop; /* the witness is to end */
};

struct options {
	const char *dev[DEVICES];
	int seconds;
	uint64_t seed;
	bool spoil;
};

extern struct shared *shared;
extern struct options options;

static inline void count(enum counter which)
{
	atomic_fetch_add_explicit(&shared->stats[which], 1, memory_order_relaxed);
}

int worker_run(uint64_t seed);
int witness_run(void);

/* --- Chance ------------------------------------------------------------------ */

struct chance {
	uint64_t state;
};

static inline uint64_t next(struct chance *c)
{
	uint64_t z = c->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static inline uint32_t below(struct chance *c, uint32_t n)
{
	return next(c) % n;
}

static inline bool one_in(struct chance *c, uint32_t n)
{
	return !below(c, n);
}

/* --- Devices and memory ------------------------------------------------------ */

enum { KEYS = 8, GOOD_KEYS = 2 };

/*
 * struct device - @keys: the first GOOD_KEYS may be used by all means.
 */
struct device {
	struct ibv_context *context;
	struct ibv_pd *pd, *other_pd;
	struct ibv_mr *mr[4], *stale;
	int gid_index;
	union ibv_gid gid;
	struct key keys[KEYS];
	char *memory;
};

int device_open(struct device *device, const char *name);
int device_register(struct device *device, char *memory, const struct key *witness);
int device_refresh(struct device *device);
void device_close(struct device *device);
char *memory_create(void);
size_t memory_wrong(const char *memory);

/* --- Rings ------------------------------------------------------------------- */

/*
 * struct view - a mapping of our own of what an object shares with the kernel;
 * it outlives the object.
 * @owner: Where the library has mapped it; NULL when the object is gone.
 */
struct view {
	char *mem;
	size_t size;
	void *owner;
	const struct device *device, *peer;
	bool queue_pair, shared; /* of a shared receive queue */
	uint32_t depth;
	uint32_t sq_stride, rq_stride;
	size_t rq_offset;
};

struct view *view_add(const struct device *device, const struct device *peer);
void view_of_queue_pair(struct view *view, const struct ibv_qp_cap *cap);
void view_of_shared(struct view *view, const struct ibv_srq_attr *attr);
void view_publish(void);
bool views_left(void);
void view_forget(struct view *view);
void views_drop(void);
void scribble(struct chance *c);
void write_request(struct chance *c, struct view *view, uint32_t index, uint32_t evil);
void write_receive(struct chance *c, struct view *view, uint32_t index, uint32_t evil);

static inline struct odp_ring *view_sq(const struct view *view)
{
	return (struct odp_ring *)view->mem;
}

static inline struct odp_ring *view_rq(const struct view *view)
{
	return (struct odp_ring *)(view->mem + view->rq_offset);
}

#endif /* SCRIBBLE_H */
