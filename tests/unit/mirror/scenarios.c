// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What the explorer explores. Services get threads of their own in each.
 */
#include "world.h"

static void check_resumed(void)
{
	if (!shared.resumed)
		sim_fail("a waiter is not resumed");
}

const struct scenario scenarios[] = {
	{
		.name = "fault-zap",
		.bound = 3,
		.setup = setup_mirrored,
		.threads = {
			{ "reclaim", world_reclaim, RANGE(0, 1) },
			{ "access", world_access, READ(0) },
		},
	}, {
		.name = "new-leaf-zap",
		.bound = 3,
		.setup = setup_empty,
		.threads = {
			{ "reclaim", world_reclaim, RANGE(0, 1) },
			{ "access", world_access, READ(0) },
		},
	}, {
		.name = "two-zaps",
		.bound = 2,
		.setup = setup_empty,
		.threads = {
			{ "reclaim 0-1", world_reclaim, RANGE(0, 2) },
			{ "reclaim 1", world_reclaim, RANGE(1, 1) },
			{ "access", world_access, READ(1) },
		},
	}, {
		.name = "writeback",
		.bound = 2,
		.setup = setup_mirrored,
		.threads = {
			{ "writeback", world_writeback, RANGE(0, 1) },
			{ "access", world_access, WRITE(0) },
			{ "reclaim", world_reclaim, RANGE(0, 1) },
		},
	}, {
		.name = "protect",
		.bound = 2,
		.setup = setup_mirrored,
		.threads = {
			{ "protect", world_protect, RANGE(0, 1) },
			{ "write", world_access, WRITE(0) },
			{ "read", world_access, READ(0) },
		},
	}, {
		.name = "crowd",
		.bound = 2,
		.setup = setup_crowd,
		.threads = {
			{ "reclaim", world_reclaim, RANGE(0, 1) },
			{ "access", world_access, READ(0) },
		},
	}, {
		.name = "crowd-slot",
		.bound = 1,
		.setup = setup_crowd,
		.threads = {
			{ "next slot", world_next_slot, NULL },
			{ "reclaim", world_reclaim, RANGE(0, 1) },
			{ "access", world_access, READ(0) },
		},
	}, {
		.name = "unmap",
		.bound = 3,
		.setup = setup_mirrored,
		.threads = {
			{ "unmap", world_unmap, RANGE(0, 512) },
			{ "access", world_access, WRITE(0) },
		},
	}, {
		.name = "unmap-part",
		.bound = 2,
		.setup = setup_mirrored,
		.threads = {
			{ "unmap", world_unmap, RANGE(0, 1) },
			{ "reclaim", world_reclaim, RANGE(1, 3) },
			{ "access", world_access, WRITE(1) },
		},
	}, {
		.name = "no-right",
		.bound = 2,
		.setup = setup_empty,
		.threads = {
			{ "access 8", world_access, WRITE(8) },
			{ "access 0", world_access, READ(0) },
		},
	}, {
		.name = "no-right-killed",
		.bound = 2,
		.setup = setup_faulting_new,
		.threads = {
			{ "access 0", world_access, WRITE(0) },
			{ "access 8", world_access, WRITE(8) },
		},
	}, {
		.name = "shrink",
		.bound = 2,
		.setup = setup_mirrored,
		.threads = {
			{ "shrink", world_shrink, NULL },
			{ "access", world_access, WRITE(0) },
			{ "reclaim", world_reclaim, RANGE(0, 1) },
		},
	}, {
		.name = "shrink-unmap",
		.bound = 2,
		.setup = setup_mirrored,
		.threads = {
			{ "shrink", world_shrink, NULL },
			{ "unmap", world_unmap, RANGE(0, 512) },
		},
	}, {
		.name = "shrink-detach",
		.bound = 2,
		.timeouts = true,
		.setup = setup_faulting,
		.check = check_resumed,
		.threads = {
			{ "shrink", world_shrink, NULL },
			{ "detach", world_detach, NULL },
		},
	}, {
		.name = "detach",
		.bound = 2,
		.timeouts = true,
		.setup = setup_faulting,
		.check = check_resumed,
		.threads = {
			{ "detach", world_detach, NULL },
			{ "reclaim", world_reclaim, RANGE(0, 1) },
		},
	}, {
		.name = "exit",
		.bound = 2,
		.setup = setup_mirrored,
		.threads = {
			{ "exit", world_exit, NULL },
			{ "access", world_access, WRITE(0) },
			{ "reclaim", world_reclaim, RANGE(0, 1) },
		},
	}, {
		.name = "close",
		.bound = 3,
		.setup = setup_empty,
		.threads = {
			{ "access", world_shared_access, READ(0) },
			{ "close", world_close, NULL },
		},
	}, {
		.name = "late-for-page",
		.bound = 2,
		.setup = setup_holding,
		.threads = {
			{ "remap", world_remap, NULL },
		},
	}, {
		.name = "late-for-error",
		.bound = 2,
		.setup = setup_nothing,
		.threads = {
			{ "map", world_map, NULL },
		},
	}, {
		.name = "join",
		.bound = 2,
		.setup = setup_empty,
		.threads = {
			{ "read", world_access, READ(0) },
			{ "write", world_access, WRITE(0) },
		},
	}, {
		.name = "join-zap",
		.bound = 1,
		.setup = setup_empty,
		.threads = {
			{ "read", world_access, READ(0) },
			{ "write", world_access, WRITE(0) },
			{ "reclaim", world_reclaim, RANGE(0, 1) },
		},
	}, {
		.name = "prefetch",
		.bound = 2,
		.setup = setup_empty,
		.threads = {
			{ "prefetch", world_prefetch, RANGE(0, 2) },
			{ "access", world_access, WRITE(1) },
		},
	}, {
		.name = "prefetch-zap",
		.bound = 2,
		.setup = setup_empty,
		.threads = {
			{ "prefetch", world_prefetch, RANGE(0, 2) },
			{ "reclaim", world_reclaim, RANGE(0, 2) },
		},
	}, {
		.name = "prefetch-later",
		.bound = 1,
		.setup = setup_empty,
		.threads = {
			{ "prefetch", world_prefetch_later, RANGE(0, 2) },
			{ "cancel", world_prefetch_cancel, NULL },
			{ "prefetch", world_prefetch_later, RANGE(1, 2) },
		},
	}, {
		.name = "huge",
		.bound = 2,
		.setup = setup_huge,
		.threads = {
			{ "reclaim", world_reclaim, RANGE(0, 1) },
			{ "access", world_access, WRITE(1) },
		},
	},
	{ .name = NULL },
};
