/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * scribble: garbage in the rings that are shared with the kernel.
 *
 *	supervisor ---- witness		has memory registered on both devices, of
 *	    |				which nobody has the keys by right
 *	    +---------- worker, worker	each with its own seed, one at a time: queue
 *	    +---------- ...		pairs of each type on both devices, connected
 *					to each other, and a thread that scribbles:
 *					over their rings, those of completion and
 *					shared receive queues, and the one that a
 *					completion queue is about to change to
 *
 * Requests are of all opcodes, and what they name, keys of regions and memory windows,
 * address handles, queue pairs and shared receive queues, is mostly right, else nearly.
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
#define PAIRS 7
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
	STAT_OF_UC, STAT_OF_UD, STAT_OF_XRC, STAT_BOUND, STAT_INVALIDATED, STAT_STORED,
	STAT_PREPARED, STAT_RESIZED,
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

enum { KEYS = 8, GOOD_KEYS = 2, WINDOWS = 5, AHS = 4, GOOD_AHS = 2, QKEY = 0x11111111 };

/*
 * struct device
 * @keys: The first GOOD_KEYS may be used by all means.
 * @mw: Memory windows: two of type 1, two of type 2, one of another protection domain.
 * @ah: Numbers of address handles, the first GOOD_AHS one for each device; then one of
 *	another protection domain, and one that is gone.
 */
struct device {
	struct ibv_context *context;
	struct ibv_pd *pd, *other_pd;
	struct ibv_xrcd *xrcd;
	struct ibv_mr *mr[4];
	struct ibv_mw *mw[WINDOWS];
	uint32_t ah[AHS], ah_handle[AHS];
	int gid_index;
	union ibv_gid gid;
	struct key keys[KEYS];
	char *memory;
};

int device_open(struct device *device, const char *name);
int device_register(struct device *device, char *memory, const struct key *witness);
int device_refresh(struct device *device);
int device_address(struct device *device, const struct device *others);
void device_close(struct device *device);
char *memory_create(void);
size_t memory_wrong(const char *memory);

/* --- Commands, as the kernel knows them ---------------------------------------- */

bool ring_doorbell(const struct ibv_qp *qp, uint32_t command, uint32_t wr_count);
bool create_address(const struct device *device, const struct ibv_pd *pd,
		    const struct device *to, uint32_t *number, uint32_t *handle);
bool destroy_address(const struct device *device, uint32_t handle);
bool prepare_resize(const struct ibv_cq *cq, uint32_t cqe, struct odp_create_cq_resp *ring);
bool commit_resize(const struct ibv_cq *cq);

/* --- Rings ------------------------------------------------------------------- */

/*
 * struct view - a mapping of our own of what an object shares with the kernel;
 * it outlives the object.
 * @owner: Where the library has mapped it; NULL when the object is gone, or the
 *	library does not know of it.
 * @type: Of a queue pair.
 * @to_qpn: Where its datagrams go to, and so on.
 */
struct view {
	char *mem;
	size_t size;
	void *owner;
	const struct device *device, *peer;
	bool queue_pair, shared; /* of a shared receive queue */
	enum ibv_qp_type type;
	uint32_t to_qpn, to_srqn;
	uint32_t depth;
	uint32_t sq_stride, rq_stride;
	size_t rq_offset;
};

struct view *view_add(const struct device *device, const struct device *peer);
struct view *view_add_ring(const struct device *device, const struct device *peer,
			   const struct odp_create_cq_resp *ring);
void view_of_queue_pair(struct view *view, const struct ibv_qp *qp,
			const struct ibv_qp_cap *cap);
void view_of_shared(struct view *view, const struct ibv_srq_attr *attr);
struct view *view_any(struct chance *c);
void view_publish(void);
bool views_left(void);
void view_forget(struct view *view);
void views_drop(void);
void scribble(struct chance *c);
void scribble_at_spare(struct view *view);
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

static inline struct odp_cqe *view_cqe(const struct view *view, uint32_t index)
{
	return (struct odp_cqe *)(view->mem + sizeof(struct odp_ring)) +
	       (index & (view->depth - 1));
}

/* --- Queue pairs --------------------------------------------------------------- */

enum { DEPTH = 32 };

/* SHARED is RC, and both ends receive from one queue. */
enum kind { RC, SHARED, UC, UD, XRC };

/*
 * struct end - a queue pair and its completion queue
 * @qp: Of XRC the initiator, for the target of the other end.
 * @srq: What it receives from, if shared; the first end's, but of XRC.
 * @cq_ring: Where completions come: @cq_view, but after a change of rings that the
 *	library knows nothing of.
 * @raw: Its requests are written to the ring here, without the library, which
 *	knows only of those that it has posted itself.
 * @tail: Requests that the kernel has taken, if nobody has interfered.
 */
struct end {
	struct device *device;
	enum kind kind;
	struct ibv_cq *cq;
	struct ibv_qp *qp, *target;
	struct ibv_srq *srq;
	struct view *cq_view, *cq_ring, *view, *srq_view;
	bool raw;
	uint32_t tail;
};

extern struct end ends[ENDS];

static inline struct end *peer_of(const struct end *end)
{
	return &ends[(end - ends) ^ 1];
}

void ends_init(struct device *devices);
void to_state(struct end *end, enum ibv_qp_state state);
void to_init(struct end *end);
void reset_pair(struct end *a, struct end *b);
bool renew_pair(struct end *a, struct end *b);
void destroy_pair(struct end *a, struct end *b);

#endif /* SCRIBBLE_H */
