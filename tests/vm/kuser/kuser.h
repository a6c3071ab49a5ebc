/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What the parts of kuser share: two ends, a and b, and a region of b's */
#ifndef KUSER_H
#define KUSER_H

#include <linux/completion.h>
#include <rdma/ib_verbs.h>

#define DEPTH	32
#define SLOT	4096
#define QKEY	0x76543
#define GRH	40
/* The region is of so many pages, from somewhere in the first to somewhere in the last. */
#define PAGES	8
#define SKIP	0x308
#define LENGTH	(PAGES * PAGE_SIZE - SKIP - 0x2c5)
/* What it begins at when user space is to try it; tests/vm/programs/foreign.c knows that. */
#define HELD_ADDR	0x10000

#define ALL_ACCESS (IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_READ | \
		    IB_ACCESS_REMOTE_WRITE | IB_ACCESS_REMOTE_ATOMIC)

/* Ends the function with an error, and says where. */
#define CHECK(what) do {						\
	if (!(what)) {							\
		pr_err("kuser: %s:%d: not so: %s\n", kbasename(__FILE__), \
		       __LINE__, #what);				\
		return -EPROTO;						\
	}								\
} while (0)

#define RUN(what) do {							\
	int ret = (what);						\
									\
	if (ret) {							\
		pr_err("kuser: %s:%d: %s: error %d\n",			\
		       kbasename(__FILE__), __LINE__, #what, ret);	\
		return ret;						\
	}								\
} while (0)

/**
 * struct note - a request that is under way
 * @cqe: What is called when it completes.
 * @done: It has.
 * @wc: How.
 * @turn: How many had completed before, of the same end's.
 */
struct note {
	struct ib_cqe cqe;
	struct completion done;
	struct ib_wc wc;
	u32 turn;
};

/**
 * struct end - a queue pair and what it needs
 * @ib: The device, held.
 * @pd: Protection domain.
 * @cq: For both queues.
 * @srq: To receive from, or NULL.
 * @qp: The queue pair.
 * @ah: To the other one.
 * @gid: Its address.
 * @gid_index: The index of that.
 * @mem: A slot for each request.
 * @sent: Send requests, by slot.
 * @received: Receive requests, by slot.
 * @turns: How many have completed.
 */
struct end {
	struct ib_device *ib;
	struct ib_pd *pd;
	struct ib_cq *cq;
	struct ib_srq *srq;
	struct ib_qp *qp;
	struct ib_ah *ah;
	union ib_gid gid;
	int gid_index;
	u8 *mem;
	struct note sent[DEPTH + 1];
	struct note received[DEPTH + 1];
	u32 turns;
};

/**
 * struct region - memory of b's that send requests register
 * @mr: What for.
 * @pages: The memory, in no order.
 * @turn: Which of them is the first.
 */
struct region {
	struct ib_mr *mr;
	struct page *pages[PAGES];
	u32 turn;
};

extern struct end *a, *b;
extern struct region region;
extern enum ib_poll_context context;

/* ends.c */
u8 byte_of(u32 number, u32 i);
void note_done(struct ib_cq *cq, struct ib_wc *wc);
struct ib_cqe *note_new(struct note *note);
void end_poll(struct end *end);
bool came(struct end *end, struct note *note);
bool ended(struct end *end, struct note *note, enum ib_wc_status status);
int end_create(struct end *end, const char *name);
void end_destroy(struct end *end);
int end_create_qp(struct end *end, enum ib_qp_type type);
void end_address(const struct end *end, const struct end *peer,
		 struct rdma_ah_attr *attr);
int end_connect(struct end *end, const struct end *peer);
int pair_up(void);
void pair_down(void);
int pair_renew(void);
int post_receive(struct end *end, u32 i, u32 len);
int post_send(struct end *end, u32 i, u32 len, u32 qpn, int flags);
int request(struct end *end, struct ib_send_wr *wr, enum ib_wc_status status);
int rdma(enum ib_wr_opcode opcode, u8 *mem, u64 addr, u32 key, u32 len,
	 enum ib_wc_status status);
int register_mr(struct end *end, struct ib_mr *mr, u32 key, int access,
		enum ib_wc_status status);
int invalidate(struct end *end, u32 key, enum ib_wc_status status);

/* messages.c */
int connected(void);
int datagrams(void);
int shared(void);
int gone(void);

/* region.c */
u8 *region_byte(u32 i);
int region_map(u32 turn, u32 room);
int region_create(void);
int region_destroy(void);
int may_not(enum ib_wr_opcode opcode, s32 from, u32 key, u32 len);
int regions(void);
int region_hold(void);
int region_release(void);

/* closing.c, shapes.c, order.c */
int closing(void);
int shapes(void);
int order(u32 rounds);

#endif /* KUSER_H */
