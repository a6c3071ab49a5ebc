/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Every kind of memory under every event that changes it, while a peer reads
 * and writes it through the device.
 *
 *	owner, on odp0				peer, on odp1
 *	--------------				-------------
 *	has the region and its MR		has the other queue pair
 *	event thread: what is tested		WRITE, READ and SEND to random
 *	CPU thread: reads and writes, too	places of the region
 *	service thread: asks for WRITE, READ
 *	and RECV from its own side, too
 *
 * The peer is forked first of all. Both see struct shared, which says what each
 * byte of the region must be:
 *
 *	shadow	what was written last, by either
 *	alt	what it may be instead, if mask says so
 *	mask	EXACT; UNSURE: until it is written; LOSSY: for the whole run
 *
 * The region is cut, with no regard to pages, into segments that belong to the
 * device or to the CPU. It is also cut into slots, the units of events. Who
 * reads or writes holds the slot, shared; an event that destroys contents, or
 * rights, holds it exclusively, except for slots that are lossy: those change in
 * the middle of everything.
 */
#ifndef KINDS_H
#define KINDS_H

#include <infiniband/verbs.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

enum {
	PAGE = 4096,
	BLOCK = 2 << 20,
	DEPTH = 6,
	BUF = 128 << 10,
	REGION_MAX = 8 << 20,
	SEGMENTS = 16384,
	SLOTS = 256,
	GUARD = 0xa5,
};

enum { EXACT, UNSURE, LOSSY };

#define CHECK(what) do {						\
	if (!(what))							\
		fail("%s:%d: %s", __FILE__, __LINE__, #what);		\
} while (0)

void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* How many times as long as usual everything takes here, at most */
extern unsigned int slowness;
extern const char *work_dir;

/* --- model.c: what the region must hold ------------------------------------ */

struct segment {
	uint32_t start;
	uint32_t len;
	bool cpu;
	bool busy;	/* the peer's: a message is under way */
};

enum request_state { IDLE, ASKED, READY, DONE };

/* What the peer asks of the owner: to work from its own side */
struct request {
	_Atomic int state;
	enum { RQ_RECV, RQ_PULL, RQ_PUSH } what;
	uint32_t off;
	uint32_t len;
	int status;
};

struct endpoint {
	uint32_t qpn;
	uint32_t rkey;
	union ibv_gid gid;
};

struct counts {
	uint64_t messages;
	uint64_t bytes;
};

struct shared {
	struct endpoint ends[2];	/* owner, peer */
	uint64_t base;
	uint32_t size;
	uint32_t slot;
	uint32_t lossy_from;		/* slot */
	uint32_t nslots;
	uint32_t nsegments;
	uint64_t seed;
	_Atomic bool stop;
	_Atomic int victim;		/* how far it is, see exit.c */
	_Atomic uint64_t messages;
	_Atomic uint64_t bytes;
	_Atomic int locks[SLOTS];
	_Atomic bool wanted[SLOTS];
	struct request requests[DEPTH];
	struct segment segments[SEGMENTS];
	_Atomic bool written[REGION_MAX / PAGE];	/* by the device */
	uint8_t buf[DEPTH][BUF];			/* the peer's messages */
	uint8_t shadow[REGION_MAX];
	uint8_t alt[REGION_MAX];
	uint8_t mask[REGION_MAX];
};

extern struct shared *sh;

uint64_t random_next(uint64_t *state);
uint32_t random_below(uint64_t *state, uint32_t n);
void random_fill(uint64_t *state, void *to, size_t len);

void model_make(void);
void model_layout(uint32_t size, uint32_t slot, uint64_t seed, bool lossy);
void model_compare(const char *who, const uint8_t *got, uint32_t off, uint32_t len);
void model_wrote(const uint8_t *from, uint32_t off, uint32_t len);

bool slots_try(uint32_t off, uint32_t len);
void slots_put(uint32_t off, uint32_t len);
void slot_lock(uint32_t slot);
void slot_unlock(uint32_t slot);
void nap(unsigned int us);
uint64_t now_ms(void);

/* --- link.c: a queue pair --------------------------------------------------- */

struct link {
	struct ibv_context *ctx;
	struct ibv_pd *pd;
	struct ibv_cq *scq;
	struct ibv_cq *rcq;
	struct ibv_qp *qp;
	struct endpoint *self;
	const struct endpoint *other;
	int gid_index;
};

void link_open(struct link *link, const char *device, int which);
void link_make_qp(struct link *link);
void link_connect(struct link *link);
void link_post(struct link *link, enum ibv_wr_opcode opcode, uint64_t id,
	       const struct ibv_sge *sge, uint64_t raddr, uint32_t rkey);
void link_post_recv(struct link *link, uint64_t id, const struct ibv_sge *sge);
bool link_poll(struct ibv_cq *cq, struct ibv_wc *wc);
struct ibv_wc link_wait(struct ibv_cq *cq, const char *what);

/* --- peer.c: the other process ----------------------------------------------- */

void peer_start(const char *device);
void peer_end(void);
void peer_traffic_start(void);
void peer_traffic_end(void);
void peer_sweep(void);
int peer_op(enum ibv_wr_opcode opcode, uint64_t addr, uint32_t len);
void peer_post(enum ibv_wr_opcode opcode, uint64_t addr, uint32_t len);
int peer_status(void);
void peer_make_qp(void);
void peer_connect(void);
void peer_stream_start(uint64_t addr, uint32_t len);
int peer_stream_end(void);
void reconnect(void);

extern struct link owner_link;
extern pid_t peer_pid;

/* --- memory.c: kinds of memory ------------------------------------------------- */

struct region;

struct kind {
	const char *name;
	void (*make)(struct region *r);
	uint32_t size;
	uint32_t slot;
	int flags;		/* of mmap() */
	int advice;		/* of madvise(), or 0 */
	const char *what;
};

struct region {
	const struct kind *kind;
	char *map;		/* a guard of one slot, the region, a guard */
	size_t map_len;
	char *base;
	size_t guard;
	int fd;
	off_t fd_off;		/* of map in the file */
	int prot;
	int flags;
	struct ibv_mr *mr;
	bool implicit;
	char path[256];
};

extern const struct kind kinds[];

const struct kind *kind_find(const char *name);
bool region_shared(const struct region *r);
void region_make(struct region *r, const struct kind *kind);
void region_register(struct region *r, bool implicit);
void region_fill(struct region *r);
void region_fill_guards(struct region *r);
void region_remap(struct region *r, char *at, size_t len);
void region_dropped(struct region *r, uint32_t off, uint32_t len, bool mapping);
void region_verify(struct region *r);
void region_free(struct region *r);

/* --- events.c and others --------------------------------------------------------- */

struct run {
	struct region *r;
	uint64_t random;
	void *priv;
	bool cpu_only_reads;
};

/* Of a slot; exclusively, unless it is lossy */
struct spot {
	uint32_t slot;
	uint32_t off;
	uint32_t len;
	char *at;
	bool locked;
};

enum {
	EV_LOSSY = 1,		/* destroys contents, also without the lock */
	EV_CPU_READS = 2,	/* the CPU must not write meanwhile */
	EV_MOVES = 4,		/* evidence: pages are at another place */
	EV_QUIET = 8,		/* it need not make the device drop a page */
};

struct event {
	const char *name;
	long (*happen)(struct run *run);
	int flags;
	const char *evidence;	/* what happen() counts; at least MIN_EVIDENCE */
	void (*begin)(struct run *run);
	void (*end)(struct run *run);
};

extern const struct event events[];
extern const struct event events_more[];

const struct event *event_find(const char *name);
struct spot spot_take(struct run *run);
struct spot spot_take_locked(struct run *run);
struct spot spot_any(struct run *run);
void spot_put(struct spot *spot);

long event_fork(struct run *run);
long event_spawn(struct run *run);
void uffd_begin(struct run *run);
void uffd_minor_begin(struct run *run);
void uffd_end(struct run *run);
long event_uffd_missing(struct run *run);
long event_uffd_minor(struct run *run);
long event_uffd_protect(struct run *run);

/* --- run.c: one kind and one event ------------------------------------------------- */

void run_one(const struct kind *kind, const struct event *event, bool implicit,
	     unsigned int ms, uint64_t seed);

/* --- proc.c: what the kernel says ---------------------------------------------------- */

uint64_t counter(const char *name);
void write_file(const char *path, const char *text);
bool try_write_file(const char *path, const char *text);
long read_number(const char *path);
long vmstat(const char *name);
uint64_t pagemap(const void *at);
void pagemap_many(const void *at, uint64_t *entries, size_t n);
long smaps_kb(const void *at, const char *field);

#define PM_PRESENT	(1ull << 63)
#define PM_SWAPPED	(1ull << 62)
#define PM_SOFT_DIRTY	(1ull << 55)
#define PM_PFN		((1ull << 55) - 1)

/* --- checks: step by step ------------------------------------------------------------- */

struct check {
	const char *name;
	void (*run)(void);
};

void region_start(struct region *r, const char *kind, bool implicit);
void check_op(enum ibv_wr_opcode opcode, const void *at, uint32_t len, int status,
	      const char *what);
void check_image(const char *address);
void check_zero(void);
void check_stack(void);
void check_readonly(void);
void check_protect(void);
void check_refused(void);
void check_huge(void);
void check_ksm(void);
void check_child(void);
void check_inherited(void);
void check_exec(void);
void check_exit(void);
void check_threads(void);

#endif /* KINDS_H */
