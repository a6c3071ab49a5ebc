/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Finding the rings, and writing garbage into them */
#include "scribble.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/*
 * Every mapping ever made in this round. The scribbling thread uses all below
 * used, which only the main thread raises.
 */
static struct view views[VIEWS];
static atomic_int used;

static bool known(void *addr)
{
	int i, n = used;

	for (i = 0; i < n; i++)
		if (views[i].mem == addr || views[i].owner == addr)
			return true;
	return false;
}

/*
 * view_add - finds the mapping of the object just created on device, the only
 * one that is not known yet, and maps it once more
 */
struct view *view_add(const struct device *device, const struct device *peer)
{
	struct view *view = &views[used];
	unsigned long start, end, offset, inode;
	char line[256], path[128];
	struct stat st;
	FILE *maps;

	if (used == VIEWS || fstat(device->context->cmd_fd, &st))
		return NULL;
	maps = fopen("/proc/self/maps", "r");
	if (!maps)
		return NULL;
	*view = (struct view){ .device = device, .peer = peer };
	while (!view->mem && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %*s %lx %*s %lu %127s", &start, &end, &offset,
			   &inode, path) != 5 ||
		    !strstr(path, "/uverbs") || inode != st.st_ino || known((void *)start))
			continue;
		view->owner = (void *)start;
		view->size = end - start;
		view->mem = mmap(NULL, view->size, PROT_READ | PROT_WRITE, MAP_SHARED,
				 device->context->cmd_fd, offset);
	}
	fclose(maps);
	if (!view->mem || view->mem == MAP_FAILED)
		return NULL;
	view->depth = (view->size - sizeof(struct odp_ring)) / sizeof(struct odp_cqe);
	return view;
}

static uint32_t round_up(uint32_t n)
{
	return (n + 63) & ~63;
}

/* Where things are follows from the sizes; a wrong guess is garbage, too. */
void view_of_queue_pair(struct view *view, const struct ibv_qp_cap *cap)
{
	uint32_t room = cap->max_send_sge * sizeof(struct odp_sge);

	if (room < cap->max_inline_data)
		room = cap->max_inline_data;
	view->queue_pair = true;
	view->depth = cap->max_send_wr;
	view->sq_stride = round_up(sizeof(struct odp_send_wqe) + room);
	view->rq_stride = round_up(sizeof(struct odp_recv_wqe) +
				   cap->max_recv_sge * sizeof(struct odp_sge));
	view->rq_offset = sizeof(struct odp_ring) + view->depth * view->sq_stride;
}

void view_of_shared(struct view *view, const struct ibv_srq_attr *attr)
{
	view->shared = true;
	view->depth = attr->max_wr;
	view->rq_stride = round_up(sizeof(struct odp_recv_wqe) +
				   attr->max_sge * sizeof(struct odp_sge));
}

/* view_publish - the scribbling thread may use it from now on */
void view_publish(void)
{
	used++;
}

/* Is there room for the queues of two more ends, and one that they share? */
bool views_left(void)
{
	return used + 5 <= VIEWS;
}

/* view_forget - the library unmaps it; so its address may come again */
void view_forget(struct view *view)
{
	view->owner = NULL;
}

void views_drop(void)
{
	int n = used;

	used = 0;
	while (n--)
		munmap(views[n].mem, views[n].size);
}

/* --- Garbage ----------------------------------------------------------------- */

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

/* write_request - one request in so many is evil, in one way or more */
void write_request(struct chance *c, struct view *view, uint32_t index, uint32_t evil)
{
	const uint8_t opcodes[] = { IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE_WITH_IMM, IBV_WR_SEND,
				    IBV_WR_SEND_WITH_IMM, IBV_WR_RDMA_READ,
				    IBV_WR_ATOMIC_FETCH_AND_ADD, IBV_WR_ATOMIC_CMP_AND_SWP };
	volatile struct odp_send_wqe *wqe = sq_entry(view, index);
	volatile struct odp_sge *sge = (volatile struct odp_sge *)(wqe + 1);
	uint32_t room = (view->sq_stride - sizeof(*wqe)) / sizeof(*sge);
	struct key remote = any_key(c, view->peer, evil);
	uint32_t i;

	wqe->opcode = one_in(c, evil) ? next(c) : opcodes[below(c, sizeof(opcodes))];
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
	if ((wqe->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD ||
	     wqe->opcode == IBV_WR_ATOMIC_CMP_AND_SWP) && !one_in(c, evil)) {
		wqe->flags &= ~IBV_SEND_INLINE;
		wqe->remote_addr &= -8;
		wqe->num_sge = 1;
		sge[0].length = 8;
	}
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

/* scribble - one act of it, anywhere */
void scribble(struct chance *c)
{
	int n = used;
	struct view *view;

	if (!n)
		return;
	/* The young ones are those in use. */
	view = &views[n - 1 - below(c, one_in(c, 10) || n < 16 ? n : 16)];
	count(STAT_SCRIBBLES);
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
