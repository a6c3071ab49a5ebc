/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Who accesses memory through a mirror, as a queue pair does: begins, faults
 * what is missing, is resumed, and begins again.
 */
#ifndef ACTORS_H
#define ACTORS_H

#include "fake_mm.h"

/**
 * struct accessor - one operation on one address
 * @waiter: Waits.
 * @mirror: Where.
 * @addr: What.
 * @len: Bytes that are needed; those at @addr are accessed.
 * @room: Bytes that may be asked for.
 * @write: How.
 * @err: How it ended: 0, or an error of odp_fault() or of the service.
 * @faults: Waits that it took.
 * @done: It was done during resume().
 * @resumed: By its service.
 * @closed: By somebody who was told that it will not be resumed.
 * @post: Tells that it was resumed.
 */
struct accessor {
	struct odp_waiter waiter;
	struct odp_mirror *mirror;
	unsigned long addr;
	size_t len;
	size_t room;
	bool write;
	int err;
	unsigned int faults;
	bool done;
	bool resumed;
	bool closed;
	void (*post)(struct accessor *accessor);
};

void accessor_init(struct accessor *accessor, struct odp_mirror *mirror,
		   unsigned long addr, size_t len, bool write);
/* Does it if it can be done at once. */
bool accessor_try(struct accessor *accessor, const struct odp_pins *pins);
/* Begins to wait for what is missing. */
int accessor_fault(struct accessor *accessor);

#endif /* ACTORS_H */
