/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Finding the rings, and mapping them once more */
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

/* view_any - one of them, mostly a young one: those are in use; or NULL */
struct view *view_any(struct chance *c)
{
	int n = used, recent = 2 * ENDS;

	return n ? &views[n - 1 - below(c, one_in(c, 10) || n < recent ? n : recent)] : NULL;
}

static bool known(const void *addr)
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

/* view_add_ring - maps a ring that the library does not map */
struct view *view_add_ring(const struct device *device, const struct device *peer,
			   const struct odp_create_cq_resp *ring)
{
	struct view *view = &views[used];

	if (used == VIEWS)
		return NULL;
	*view = (struct view){
		.device = device,
		.peer = peer,
		.size = ring->size,
		.depth = ring->depth,
		.mem = mmap(NULL, ring->size, PROT_READ | PROT_WRITE, MAP_SHARED,
			    device->context->cmd_fd, ring->offset),
	};
	return view->mem == MAP_FAILED ? NULL : view;
}

static uint32_t round_up(uint32_t n)
{
	return (n + 63) & ~63;
}

/* Where things are follows from the sizes; a wrong guess is garbage, too. */
void view_of_queue_pair(struct view *view, const struct ibv_qp *qp,
			const struct ibv_qp_cap *cap)
{
	uint32_t room = cap->max_send_sge * sizeof(struct odp_sge);

	if (room < cap->max_inline_data)
		room = cap->max_inline_data;
	view->queue_pair = true;
	view->type = qp->qp_type;
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

/* Is there room for all the queues of two more ends? */
bool views_left(void)
{
	return used + 6 <= VIEWS;
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
