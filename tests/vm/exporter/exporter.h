/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What programs ask /dev/exporter for.
 */
#ifndef EXPORTER_H
#define EXPORTER_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Makes a dma-buf. Returns its descriptor. */
#define EXPORTER_MAKE	_IOW('e', 1, struct exporter_make)
/* How many attachments, pins, mappings and accesses there are, of all dma-bufs */
#define EXPORTER_USES	_IO('e', 2)

/**
 * struct exporter_make - which one
 * @size: Bytes, whole pages.
 * @flags: EXPORTER_*
 * @pad: 0.
 */
struct exporter_make {
	__u64 size;
	__u32 flags;
	__u32 pad;
};

#define EXPORTER_MOVES		1	/* unless it is pinned */
#define EXPORTER_NO_VMAP	2
#define EXPORTER_IOMEM		4	/* it is said to be behind a bus */
#define EXPORTER_READ_ONLY	8	/* by its descriptor */
#define EXPORTER_NO_ATTACH	16	/* EBUSY */
#define EXPORTER_NO_PIN		32	/* ENOSPC */
#define EXPORTER_NO_ACCESS	64	/* EIO */

#endif /* EXPORTER_H */
