// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Where pyverbs gets dma-bufs from. Debian builds it without the headers of
 * graphics devices, so its own functions (rdma-core, pyverbs/dmabuf_alloc.h) refuse;
 * with them they would know the drivers of AMD's and Intel's devices only. These
 * take their place by LD_PRELOAD, and know any driver that has dumb buffers, like
 * the kernel's vgem: device N is /dev/dri/cardN.
 *
 * Nothing here is shared: each buffer has an open device of its own. Pyverbs maps
 * the memory by that, not by the dma-buf.
 */
#include "card.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct dmabuf {
	int card, fd;
	uint64_t offset;	/* for mmap() of the card */
};

/* In errno the tests look for the reason. Dumb buffers are of one kind: gtt says nothing. */
struct dmabuf *dmabuf_alloc(uint64_t size, int gpu, __attribute__((unused)) int gtt)
{
	struct card_map_dumb map = { 0 };
	struct dmabuf *dmabuf;
	char path[32];

	dmabuf = malloc(sizeof(*dmabuf));
	if (!dmabuf)
		return NULL;
	snprintf(path, sizeof(path), "/dev/dri/card%d", gpu);
	dmabuf->card = open(path, O_RDWR | O_CLOEXEC);
	if (dmabuf->card < 0)
		goto err_free;
	dmabuf->fd = card_export(dmabuf->card, size, &map.handle);
	if (dmabuf->fd < 0)
		goto err_close_card;
	if (ioctl(dmabuf->card, CARD_MAP_DUMB, &map))
		goto err_close;
	dmabuf->offset = map.offset;
	return dmabuf;

err_close:
	close(dmabuf->fd);
err_close_card:
	close(dmabuf->card);
err_free:
	free(dmabuf);
	return NULL;
}

void dmabuf_free(struct dmabuf *dmabuf)
{
	close(dmabuf->fd);
	close(dmabuf->card);
	free(dmabuf);
}

int dmabuf_get_drm_fd(struct dmabuf *dmabuf)
{
	return dmabuf->card;
}

int dmabuf_get_fd(struct dmabuf *dmabuf)
{
	return dmabuf->fd;
}

uint64_t dmabuf_get_offset(struct dmabuf *dmabuf)
{
	return dmabuf->offset;
}
