/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * dma-bufs as they differ between kernels.
 */
#ifndef ODP_COMPAT_DMABUF_H
#define ODP_COMPAT_DMABUF_H

#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/iosys-map.h>
#include <linux/module.h>

MODULE_IMPORT_NS(DMA_BUF);

/* In later kernels it is the caller who locks the reservation. */
static inline int odp_dma_buf_vmap(struct dma_buf *buf, struct iosys_map *map)
{
	return dma_buf_vmap(buf, map);
}

static inline void odp_dma_buf_vunmap(struct dma_buf *buf,
				      struct iosys_map *map)
{
	dma_buf_vunmap(buf, map);
}

#endif /* ODP_COMPAT_DMABUF_H */
