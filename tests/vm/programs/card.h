/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Memory of a graphics device, by the requests that are the same for each driver
 * that can put a plain picture on a screen ("dumb buffers"). The device's node is
 * /dev/dri/card*: those named renderD* refuse these requests.
 */
#ifndef CARD_H
#define CARD_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>

/* No header of the C library's has these. */
struct card_create_dumb {
	uint32_t height, width, bpp, flags, handle, pitch;
	uint64_t size;
};

struct card_map_dumb {
	uint32_t handle, pad;
	uint64_t offset;
};

struct card_prime {
	uint32_t handle, flags;
	int32_t fd;
};

#define CARD_CREATE_DUMB	_IOWR('d', 0xb2, struct card_create_dumb)
#define CARD_MAP_DUMB		_IOWR('d', 0xb3, struct card_map_dumb)
#define CARD_PRIME		_IOWR('d', 0x2d, struct card_prime)

/*
 * Memory of this size, less than 512 MiB, as a dma-buf: its descriptor, or -1. The
 * device's own name for it, the handle, is good until the device is closed.
 */
static inline int card_export(int card, size_t size, uint32_t *handle)
{
	struct card_create_dumb dumb = { .height = 1, .width = size, .bpp = 8 };
	struct card_prime prime = { .flags = O_CLOEXEC | O_RDWR };

	if (ioctl(card, CARD_CREATE_DUMB, &dumb))
		return -1;
	*handle = dumb.handle;
	prime.handle = dumb.handle;
	return ioctl(card, CARD_PRIME, &prime) ? -1 : prime.fd;
}

#endif /* CARD_H */
