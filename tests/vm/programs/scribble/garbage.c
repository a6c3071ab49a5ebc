/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Writing garbage into the rings */
#include "scribble.h"

static uint32_t bad_index(struct chance *c, const struct odp_ring *ring, uint32_t depth)
{
	uint32_t kernel = ring->kernel_index;
	const uint32_t list[] = {
		0, 1, depth, depth + 1, kernel, kernel + 1, kernel - 1, kernel + depth,
		kernel + depth + 1, 0x7fffffff, 0x80000000, 0xffffffff, next(c),
	};

	return list[below(c, sizeof(list) / sizeof(list[0]))];
}

static uint32_t bad_length(struct chance *c)
{
	const uint32_t list[] = {
		0, 1, BLOCK, BLOCK + 1, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff,
		next(c),
	};

	return list[below(c, sizeof(list) / sizeof(list[0]))];
}

static uint64_t bad_addr(struct chance *c, const struct key *key)
{
	const uint64_t list[] = {
		0, key->addr - 1, key->addr + key->len - 1, key->addr + key->len,
		0xffff888000001000, 0xffffffff81000000, 0xfffffffffffff000,
		0x7ffffffff000, next(c),
	};

	return list[below(c, sizeof(list) / sizeof(list[0]))];
}

static struct key any_key(struct chance *c, const struct device *device, uint32_t evil)
{
	struct key key = device->keys[below(c, GOOD_KEYS)];

	if (one_in(c, evil))
		key = device->keys[below(c, KEYS)];
	if (one_in(c, evil * 4))
		key.lkey = key.rkey = next(c);
	return key;
}

/* A memory window by one of a few keys that it may have; where it is bound to, maybe */
static struct key window_key(struct chance *c, const struct device *device, uint32_t evil)
{
	uint32_t i = one_in(c, evil) ? WINDOWS - 1 : below(c, WINDOWS - 1);
	struct key key = device->keys[below(c, GOOD_KEYS)];

	key.rkey = (device->mw[i]->rkey & ~0xff) | below(c, 2);
	if (one_in(c, evil))
		key.rkey ^= 0x100 << below(c, 24);
	key.lkey = key.rkey;
	return key;
}

/* One to be invalidated, which only those of type 2 can be */
static uint32_t invalid_key(struct chance *c, const struct device *device, uint32_t evil)
{
	const struct ibv_mw *mw = device->mw[2 + below(c, 2)];

	if (one_in(c, evil))
		return window_key(c, device, evil).rkey;
	return (mw->rkey & ~0xff) | below(c, 2);
}

static struct key remote_key(struct chance *c, const struct device *device, uint32_t evil)
{
	struct key key;

	if (!one_in(c, 4))
		return any_key(c, device, evil);
	key = window_key(c, device, evil);
	/* Behind the region, in case that it was bound to more than that */
	if (one_in(c, 4))
		key.addr += key.len - 15000;
	return key;
}

/* One piece of memory in so many is evil. */
static struct odp_sge any_sge(struct chance *c, const struct device *device, uint32_t evil)
{
	struct key key = any_key(c, device, evil);
	struct odp_sge sge = { .lkey = key.lkey };

	sge.length = one_in(c, 4) ? below(c, 9000) : below(c, 600);
	sge.addr = key.addr + below(c, key.len - 9000);
	if (one_in(c, evil))
		sge.length = bad_length(c);
	if (one_in(c, evil))
		sge.addr = bad_addr(c, &key);
	return sge;
}

static void *sq_entry(const struct view *view, uint32_t index)
{
	return view->mem + sizeof(struct odp_ring) +
	       (index & (view->depth - 1)) * view->sq_stride;
}

static void *rq_entry(const struct view *view, uint32_t index)
{
	return view->mem + view->rq_offset + sizeof(struct odp_ring) +
	       (index & (view->depth - 1)) * view->rq_stride;
}

static uint32_t bad_count(struct chance *c)
{
	const uint32_t list[] = { 0, 4, 5, 7, 8, 32, 33, 0xff, 0xffff, next(c) };

	return list[below(c, sizeof(list) / sizeof(list[0]))];
}

static uint8_t any_opcode(struct chance *c, enum ibv_qp_type type)
{
	/* A datagram is one of the first two, and an unreliable request of the first six. */
	static const uint8_t opcodes[] = {
		IBV_WR_SEND, IBV_WR_SEND_WITH_IMM, IBV_WR_RDMA_WRITE,
		IBV_WR_RDMA_WRITE_WITH_IMM, IBV_WR_BIND_MW, IBV_WR_LOCAL_INV,
		IBV_WR_RDMA_READ, IBV_WR_ATOMIC_FETCH_AND_ADD, IBV_WR_ATOMIC_CMP_AND_SWP,
		IBV_WR_ATOMIC_WRITE, IBV_WR_SEND_WITH_INV,
	};

	return opcodes[below(c, type == IBV_QPT_UD ? 2 : type == IBV_QPT_UC ? 6 : 11)];
}

/* A number that the kernel looks up: the right one, or one that is like it */
static uint32_t bad_number(struct chance *c, uint32_t right)
{
	const uint32_t list[] = {
		0, 1, right + 1, right - 1, right | 0x01000000, right | 0x80000000,
		0x00ffffff, 0x01000000, 0x7fffffff, 0x80000000, 0xffffffff,
		below(c, 256), next(c),
	};

	return list[below(c, sizeof(list) / sizeof(list[0]))];
}

/* Where datagrams go, and which shared receive queue a request is for */
static void write_numbers(struct chance *c, const struct view *view,
			  volatile struct odp_send_wqe *wqe, uint32_t evil)
{
	const uint32_t *ah = view->device->ah;

	wqe->ah = ah[below(c, one_in(c, evil) ? AHS : GOOD_AHS)];
	if (one_in(c, evil))
		wqe->ah = bad_number(c, ah[0]);
	wqe->remote_qpn = one_in(c, evil) ? bad_number(c, view->to_qpn) : view->to_qpn;
	wqe->remote_qkey = one_in(c, 4) ? 0x80000000 : QKEY;
	if (one_in(c, evil))
		wqe->remote_qkey = one_in(c, 2) ? 0x80010000 : bad_number(c, QKEY);
	wqe->remote_srqn = one_in(c, evil) ? bad_number(c, view->to_srqn) : view->to_srqn;
}

/* A bind: all of a region or some, or a little more than all */
static void write_bind(struct chance *c, const struct view *view,
		       volatile struct odp_send_wqe *wqe, uint32_t evil)
{
	const struct key region = any_key(c, view->device, evil);
	const uint64_t lengths[] = {
		region.len + 1, 2 * region.len, 2 * region.len, -region.addr,
		-region.addr - 1, -8ULL, next(c),
	};
	uint32_t skip = one_in(c, 2) ? 0 : below(c, region.len);

	wqe->rkey = window_key(c, view->device, evil).rkey;
	wqe->bind_key = region.lkey;
	wqe->remote_addr = one_in(c, evil) ? bad_addr(c, &region) : region.addr + skip;
	wqe->bind_length = one_in(c, 4) ? lengths[below(c, 7)] : region.len - skip;
	if (one_in(c, 16))
		wqe->bind_length = 0;
	wqe->bind_access = one_in(c, 4) ? IBV_ACCESS_REMOTE_READ :
			   IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE |
			   IBV_ACCESS_REMOTE_ATOMIC | (one_in(c, 4) ? IBV_ACCESS_ZERO_BASED : 0);
	if (one_in(c, evil))
		wqe->bind_access = next(c);
}

/* What makes sense of the rest of a request, for its opcode */
static void write_rest(struct chance *c, const struct view *view,
		       volatile struct odp_send_wqe *wqe, volatile struct odp_sge *sge,
		       uint32_t evil)
{
	switch (wqe->opcode) {
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
	case IBV_WR_ATOMIC_CMP_AND_SWP:
		wqe->flags &= ~IBV_SEND_INLINE;
		/* fallthrough */
	case IBV_WR_ATOMIC_WRITE:
		wqe->remote_addr &= -8;
		wqe->inline_length = 8;
		wqe->num_sge = 1;
		sge->length = 8;
		break;
	case IBV_WR_SEND_WITH_INV:
		wqe->invalidate_rkey = invalid_key(c, view->peer, evil);
		break;
	case IBV_WR_BIND_MW:
		write_bind(c, view, wqe, evil);
		wqe->flags = IBV_SEND_SIGNALED;
		wqe->num_sge = 0;
		break;
	case IBV_WR_LOCAL_INV:
		wqe->invalidate_rkey = invalid_key(c, view->device, evil);
		wqe->flags = IBV_SEND_SIGNALED | (one_in(c, 2) ? IBV_SEND_FENCE : 0);
		wqe->num_sge = 0;
		break;
	default:
		/* Most are within what a datagram may carry. */
		if (view->type == IBV_QPT_UD && wqe->num_sge > 1)
			wqe->num_sge = 1;
	}
}

/* write_request - one request in so many is evil, in one way or more */
void write_request(struct chance *c, struct view *view, uint32_t index, uint32_t evil)
{
	volatile struct odp_send_wqe *wqe = sq_entry(view, index);
	volatile struct odp_sge *sge = (volatile struct odp_sge *)(wqe + 1);
	uint32_t room = (view->sq_stride - sizeof(*wqe)) / sizeof(*sge);
	struct key remote = remote_key(c, view->peer, evil);
	uint32_t i;

	wqe->opcode = one_in(c, evil) ? next(c) : any_opcode(c, view->type);
	wqe->flags = one_in(c, evil) ? next(c) : IBV_SEND_SIGNALED;
	wqe->num_sge = one_in(c, evil) ? bad_count(c) : below(c, 3);
	wqe->inline_length = 0;
	if (one_in(c, 4)) {
		wqe->flags |= IBV_SEND_INLINE;
		wqe->inline_length = one_in(c, evil) ? bad_length(c) : below(c, 65);
	}
	wqe->remote_addr = one_in(c, evil) ? bad_addr(c, &remote) :
					     remote.addr + below(c, remote.len - 30000);
	wqe->rkey = remote.rkey;
	wqe->compare_add = one_in(c, 2) ? 0 : next(c);
	wqe->swap = next(c);
	for (i = 0; i < room; i++)
		sge[i] = any_sge(c, view->device, evil);
	write_numbers(c, view, wqe, evil);
	if (!one_in(c, evil))
		write_rest(c, view, wqe, sge, evil);
}

/* write_receive - the same for receives */
void write_receive(struct chance *c, struct view *view, uint32_t index, uint32_t evil)
{
	volatile struct odp_recv_wqe *wqe = rq_entry(view, index);
	volatile struct odp_sge *sge = (volatile struct odp_sge *)(wqe + 1);
	uint32_t room = (view->rq_stride - sizeof(*wqe)) / sizeof(*sge);
	uint32_t i;

	wqe->num_sge = one_in(c, evil) ? bad_count(c) : 1 + below(c, 4);
	for (i = 0; i < room; i++)
		sge[i] = any_sge(c, view->device, evil);
}

/* A count, a length or a key that changes while the kernel may be looking */
static void flip(struct chance *c, struct view *view)
{
	uint32_t slot = below(c, view->depth), i, garbage = next(c);
	volatile struct odp_send_wqe *sent = sq_entry(view, slot);
	volatile struct odp_recv_wqe *received = rq_entry(view, slot);
	volatile struct odp_sge *sge = (volatile struct odp_sge *)(sent + 1);
	volatile struct odp_sge *to = (volatile struct odp_sge *)(received + 1);

	for (i = 0; i < 200; i++) {
		sent->num_sge ^= 0xffff;
		received->num_sge ^= 0xffff0000;
		sent->inline_length ^= 0x80000000;
		sent->opcode ^= garbage;
		sge->length ^= 0xffff0000;
		to->length ^= 0xffff0000;
		sge->lkey ^= garbage;
		sent->rkey ^= garbage;
		sent->swap ^= garbage;
		sent->ah ^= 0x80000000;
		sent->remote_qpn ^= garbage;
		sent->remote_srqn ^= garbage;
		to->lkey ^= garbage;
	}
}

static void scribble_indices(struct chance *c, struct view *view)
{
	volatile struct odp_ring *ring = view_sq(view);

	if (view->queue_pair && one_in(c, 2))
		ring = view_rq(view);
	/* A lie in a completion queue soon ends all that complete there. */
	if (!view->queue_pair && !view->shared && !one_in(c, 20))
		return;
	ring->user_index = bad_index(c, (struct odp_ring *)ring, view->depth);
	if (one_in(c, 2))
		ring->kernel_index = bad_index(c, (struct odp_ring *)ring, view->depth);
	if (one_in(c, 2))
		ring->flags = one_in(c, 2) ? ODP_RING_NEED_KICK : next(c);
}

static void scribble_words(struct chance *c, struct view *view)
{
	volatile uint32_t *words = (uint32_t *)view->mem;
	uint32_t n = view->size / sizeof(*words), at, i, many;

	if (!view->queue_pair && !view->shared && !one_in(c, 20))
		return;
	many = one_in(c, 50) ? n : one_in(c, 4) ? 16 : 1;
	at = below(c, n);
	for (i = 0; i < many; i++)
		words[(at + i) % n] = next(c);
}

/* The ring that a completion queue is about to change to; or NULL */
static struct view *_Atomic spare;

void scribble_at_spare(struct view *view)
{
	spare = view;
}

/* Claims about what is consumed, good and bad by turns, while the kernel compares */
static void scribble_spare(struct chance *c, struct view *view)
{
	volatile struct odp_ring *ring = view_sq(view);
	uint32_t right = ring->user_index;
	uint32_t i;

	for (i = 0; i < 200; i++)
		ring->user_index = one_in(c, 4) ?
			bad_index(c, (struct odp_ring *)ring, view->depth) : right;
	ring->user_index = right;
	if (one_in(c, 8))
		*view_cqe(view, next(c)) = (struct odp_cqe){ .wr_id = next(c) };
	if (one_in(c, 8))
		ring->kernel_index = bad_index(c, (struct odp_ring *)ring, view->depth);
}

/* scribble - one act of it, anywhere */
void scribble(struct chance *c)
{
	struct view *next_ring = spare, *view = view_any(c);

	if (!view)
		return;
	count(STAT_SCRIBBLES);
	if (next_ring)
		scribble_spare(c, next_ring);
	switch (below(c, 16)) {
	case 0:
	case 1:
		scribble_indices(c, view);
		break;
	case 2:
		scribble_words(c, view);
		break;
	case 3:
	case 4:
	case 5:
		if (view->queue_pair)
			flip(c, view);
		break;
	case 6:
	case 7:
	case 8:
		if (view->queue_pair || view->shared)
			write_receive(c, view, next(c), 8);
		break;
	default:
		if (view->queue_pair)
			write_request(c, view, next(c), 8);
	}
}
