/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef STATUS_H
#define STATUS_H

#include <stdint.h>

/* This process's memory, bytes; exchanged as numbers */
struct memory_status {
	uint64_t pinned;   /* VmPin */
	uint64_t locked;   /* VmLck */
	uint64_t resident; /* VmRSS */
	uint64_t swapped;  /* VmSwap */
};

int memory_status(struct memory_status *s);

/* Of the whole host, bytes */
struct host_memory {
	uint64_t free;
	uint64_t available;
	uint64_t kernel; /* slabs, vmalloc, page tables and per-CPU memory */
};

int host_memory(struct host_memory *m);

/*
 * A counter of the device's port in sysfs.
 * Return: 0 if the device has none of that name
 */
int port_counter(const char *device, int port, const char *name,
		 uint64_t *value);

#endif
