// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory of dma-bufs, for regions. A device without DMA copies by the CPU, so what
 * it needs of the exporter is a mapping for the kernel (vmap). Who has none, or
 * has his memory behind a bus, is refused.
 *
 * Accesses come in softirqs, and everything about a dma-buf may sleep. So all of it
 * is done for as long as the region is there:
 *
 * - The buffer is attached, though nothing is mapped for DMA, because a vmap alone
 *   does not keep it where it is: some exporters pin what is attached, those that
 *   could move it have to be asked to (dma_buf_pin()). It is never told to move then.
 * - It is mapped.
 * - The CPU's access begins, which waits for what devices have under way. What they do
 *   later nobody waits for here: as with any RDMA device, the application that has the
 *   exporter's device write meanwhile says so (DMA_BUF_IOCTL_SYNC).
 *
 * The region has a reference to the dma-buf, and that one to its exporter. It is
 * the last thing to go when the region does, after its key.
 */
#include <linux/slab.h>

#include "../compat/dmabuf.h"
#include "../transport/window.h"
#include "verbs.h"

/**
 * struct odp_dmabuf - a dma-buf that a region is of
 * @buf: It, held.
 * @attach: The device's attachment to it.
 * @map: Where all of it is.
 * @dir: How the CPU accesses it.
 */
struct odp_dmabuf {
	struct dma_buf *buf;
	struct dma_buf_attachment *attach;
	struct iosys_map map;
	enum dma_data_direction dir;
};

/* Before it is pinned there is nothing that would have to follow. */
static void odp_dmabuf_moved(struct dma_buf_attachment *attach)
{
}

static const struct dma_buf_attach_ops odp_dmabuf_ops = {
	.move_notify = odp_dmabuf_moved,
};

static int odp_dmabuf_pin(struct dma_buf_attachment *attach)
{
	struct dma_resv *resv = attach->dmabuf->resv;
	int err;

	dma_resv_lock(resv, NULL);
	err = dma_buf_pin(attach);
	dma_resv_unlock(resv);
	return err;
}

static void odp_dmabuf_unpin(struct dma_buf_attachment *attach)
{
	struct dma_resv *resv = attach->dmabuf->resv;

	dma_resv_lock(resv, NULL);
	dma_buf_unpin(attach);
	dma_resv_unlock(resv);
}

/* Attaching of another kind than the exporter's would map it for DMA. */
static int odp_dmabuf_attach(struct odp_dmabuf *dmabuf, struct device *dev)
{
	bool moves = dma_buf_is_dynamic(dmabuf->buf);
	int err;

	dmabuf->attach = dma_buf_dynamic_attach(dmabuf->buf, dev,
						moves ? &odp_dmabuf_ops : NULL,
						dmabuf);
	if (IS_ERR(dmabuf->attach))
		return PTR_ERR(dmabuf->attach);
	err = moves ? odp_dmabuf_pin(dmabuf->attach) : 0;
	if (err)
		dma_buf_detach(dmabuf->buf, dmabuf->attach);
	return err;
}

static void odp_dmabuf_detach(struct odp_dmabuf *dmabuf)
{
	if (dma_buf_is_dynamic(dmabuf->buf))
		odp_dmabuf_unpin(dmabuf->attach);
	dma_buf_detach(dmabuf->buf, dmabuf->attach);
}

static int odp_dmabuf_map(struct odp_dmabuf *dmabuf)
{
	int err;

	err = odp_dma_buf_vmap(dmabuf->buf, &dmabuf->map);
	if (err)
		return err;
	err = -EOPNOTSUPP;
	if (!dmabuf->map.is_iomem)
		err = dma_buf_begin_cpu_access(dmabuf->buf, dmabuf->dir);
	if (err)
		odp_dma_buf_vunmap(dmabuf->buf, &dmabuf->map);
	return err;
}

static void odp_dmabuf_unmap(struct odp_dmabuf *dmabuf)
{
	dma_buf_end_cpu_access(dmabuf->buf, dmabuf->dir);
	odp_dma_buf_vunmap(dmabuf->buf, &dmabuf->map);
}

/* Rights are those that a mapping of it would have. */
static int odp_dmabuf_check(const struct dma_buf *buf,
			    const struct odp_window *win, bool write)
{
	fmode_t mode = write ? FMODE_READ | FMODE_WRITE : FMODE_READ;

	if (win->length > buf->size || win->start > buf->size - win->length)
		return -EINVAL;
	if ((buf->file->f_mode & mode) != mode)
		return -EACCES;
	return buf->ops->vmap ? 0 : -EOPNOTSUPP;
}

/**
 * odp_dmabuf_get - gets the memory of a dma-buf for a region
 * @win: The region's window, without a key; start is the offset in the dma-buf.
 *	Gets the dma-buf.
 * @fd: A descriptor of it.
 *
 * May sleep. Return: where the dma-buf begins, or an ERR_PTR().
 */
void *odp_dmabuf_get(struct odp_window *win, int fd)
{
	bool write = ib_access_writable(win->access);
	struct odp_dmabuf *dmabuf;
	struct dma_buf *buf;
	int err;

	buf = dma_buf_get(fd);
	if (IS_ERR(buf))
		return buf;
	err = odp_dmabuf_check(buf, win, write);
	if (err)
		goto err_put;
	err = -ENOMEM;
	dmabuf = kzalloc(sizeof(*dmabuf), GFP_KERNEL_ACCOUNT);
	if (!dmabuf)
		goto err_put;
	dmabuf->buf = buf;
	dmabuf->dir = write ? DMA_BIDIRECTIONAL : DMA_FROM_DEVICE;
	err = odp_dmabuf_attach(dmabuf, &win->pd->device->dev);
	if (err)
		goto err_free;
	err = odp_dmabuf_map(dmabuf);
	if (err)
		goto err_detach;
	win->dmabuf = dmabuf;
	return dmabuf->map.vaddr;

err_detach:
	odp_dmabuf_detach(dmabuf);
err_free:
	kfree(dmabuf);
err_put:
	dma_buf_put(buf);
	return ERR_PTR(err);
}

/**
 * odp_dmabuf_put - undoes odp_dmabuf_get()
 * @dmabuf: The dma-buf; no access to it is under way any more.
 *
 * May sleep.
 */
void odp_dmabuf_put(struct odp_dmabuf *dmabuf)
{
	struct dma_buf *buf = dmabuf->buf;

	odp_dmabuf_unmap(dmabuf);
	odp_dmabuf_detach(dmabuf);
	kfree(dmabuf);
	dma_buf_put(buf);
}
