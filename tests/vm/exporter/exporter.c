// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * An exporter of dma-bufs, of several kinds, of ordinary memory. It warns of an importer
 * that does something in the wrong order, or does not undo it.
 */
#include <linux/dma-buf.h>
#include <linux/iosys-map.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "exporter.h"

/**
 * struct buffer - one of them
 * @mem: The memory.
 * @flags: EXPORTER_*
 * @attached: How many attachments there are.
 * @pinned: How often it is pinned.
 * @mapped: It is mapped.
 * @begun: How many accesses are under way.
 */
struct buffer {
	void *mem;
	u32 flags;
	atomic_t attached;
	atomic_t pinned;
	atomic_t mapped;
	atomic_t begun;
};

static atomic_t uses;

static void begin(atomic_t *what)
{
	atomic_inc(what);
	atomic_inc(&uses);
}

static void end(atomic_t *what)
{
	WARN_ON(atomic_dec_return(what) < 0);
	atomic_dec(&uses);
}

static int attach(struct dma_buf *buf, struct dma_buf_attachment *attachment)
{
	struct buffer *buffer = buf->priv;

	if (buffer->flags & EXPORTER_NO_ATTACH)
		return -EBUSY;
	begin(&buffer->attached);
	return 0;
}

static void detach(struct dma_buf *buf, struct dma_buf_attachment *attachment)
{
	struct buffer *buffer = buf->priv;

	end(&buffer->attached);
	WARN_ON(atomic_read(&buffer->pinned) > atomic_read(&buffer->attached));
}

static int pin(struct dma_buf_attachment *attachment)
{
	struct buffer *buffer = attachment->dmabuf->priv;

	if (buffer->flags & EXPORTER_NO_PIN)
		return -ENOSPC;
	begin(&buffer->pinned);
	return 0;
}

static void unpin(struct dma_buf_attachment *attachment)
{
	struct buffer *buffer = attachment->dmabuf->priv;

	end(&buffer->pinned);
	WARN_ON(!atomic_read(&buffer->pinned) && atomic_read(&buffer->mapped));
}

/* For DMA, which nobody has. */
static struct sg_table *map_dma(struct dma_buf_attachment *attachment,
				enum dma_data_direction dir)
{
	WARN_ON(1);
	return ERR_PTR(-EOPNOTSUPP);
}

static void unmap_dma(struct dma_buf_attachment *attachment,
		      struct sg_table *table, enum dma_data_direction dir)
{
}

static int map(struct dma_buf *buf, struct iosys_map *to)
{
	struct buffer *buffer = buf->priv;

	WARN_ON(!atomic_read(&buffer->attached));
	WARN_ON(buffer->flags & EXPORTER_MOVES && !atomic_read(&buffer->pinned));
	begin(&buffer->mapped);
	if (buffer->flags & EXPORTER_IOMEM)
		iosys_map_set_vaddr_iomem(to, (void __iomem *)buffer->mem);
	else
		iosys_map_set_vaddr(to, buffer->mem);
	return 0;
}

static void unmap(struct dma_buf *buf, struct iosys_map *from)
{
	struct buffer *buffer = buf->priv;

	WARN_ON(atomic_read(&buffer->begun));
	end(&buffer->mapped);
}

static int begin_access(struct dma_buf *buf, enum dma_data_direction dir)
{
	struct buffer *buffer = buf->priv;

	if (buffer->flags & EXPORTER_NO_ACCESS)
		return -EIO;
	begin(&buffer->begun);
	return 0;
}

static int end_access(struct dma_buf *buf, enum dma_data_direction dir)
{
	struct buffer *buffer = buf->priv;

	end(&buffer->begun);
	return 0;
}

static int map_user(struct dma_buf *buf, struct vm_area_struct *vma)
{
	struct buffer *buffer = buf->priv;

	return remap_vmalloc_range(vma, buffer->mem, vma->vm_pgoff);
}

static void release(struct dma_buf *buf)
{
	struct buffer *buffer = buf->priv;

	WARN_ON(atomic_read(&buffer->attached));
	WARN_ON(atomic_read(&buffer->pinned));
	WARN_ON(atomic_read(&buffer->mapped));
	WARN_ON(atomic_read(&buffer->begun));
	vfree(buffer->mem);
	kfree(buffer);
}

#define OPS				\
	.attach = attach,		\
	.detach = detach,		\
	.map_dma_buf = map_dma,		\
	.unmap_dma_buf = unmap_dma,	\
	.begin_cpu_access = begin_access, \
	.end_cpu_access = end_access,	\
	.mmap = map_user,		\
	.release = release

static const struct dma_buf_ops ops_plain = {
	OPS, .vmap = map, .vunmap = unmap,
};

static const struct dma_buf_ops ops_moves = {
	OPS, .vmap = map, .vunmap = unmap, .pin = pin, .unpin = unpin,
};

static const struct dma_buf_ops ops_no_vmap = { OPS };

static const struct dma_buf_ops *ops_for(u32 flags)
{
	if (flags & EXPORTER_NO_VMAP)
		return &ops_no_vmap;
	return flags & EXPORTER_MOVES ? &ops_moves : &ops_plain;
}

static struct dma_buf *export(size_t size, u32 flags)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct buffer *buffer = kzalloc(sizeof(*buffer), GFP_KERNEL);
	struct dma_buf *buf;

	if (!buffer)
		return ERR_PTR(-ENOMEM);
	buffer->flags = flags;
	buffer->mem = vmalloc_user(size);
	if (!buffer->mem) {
		kfree(buffer);
		return ERR_PTR(-ENOMEM);
	}
	info.ops = ops_for(flags);
	info.size = size;
	info.flags = flags & EXPORTER_READ_ONLY ? O_RDONLY : O_RDWR;
	info.priv = buffer;
	buf = dma_buf_export(&info);
	if (IS_ERR(buf)) {
		vfree(buffer->mem);
		kfree(buffer);
	}
	return buf;
}

static int make(const struct exporter_make *what)
{
	struct dma_buf *buf;
	int fd;

	if (!what->size || !PAGE_ALIGNED(what->size))
		return -EINVAL;
	buf = export(what->size, what->flags);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	fd = dma_buf_fd(buf, O_CLOEXEC);
	if (fd < 0)
		dma_buf_put(buf);
	return fd;
}

static long control(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct exporter_make what;

	switch (cmd) {
	case EXPORTER_MAKE:
		if (copy_from_user(&what, (void __user *)arg, sizeof(what)))
			return -EFAULT;
		return make(&what);
	case EXPORTER_USES:
		return atomic_read(&uses);
	default:
		return -ENOTTY;
	}
}

static const struct file_operations exporter_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = control,
};

static struct miscdevice exporter = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "exporter",
	.fops = &exporter_fops,
};
module_misc_device(exporter);

MODULE_DESCRIPTION("dma-bufs for tests");
MODULE_IMPORT_NS(DMA_BUF);
MODULE_LICENSE("GPL");
