/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Devices, the memory of workers and of the witness, and the keys to it */
#include "scribble.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define REMOTE (IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC)
#define WRITABLE (IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_MW_BIND | REMOTE)

static int find_gid(struct device *device)
{
	struct ibv_gid_entry entries[64];
	ssize_t i, n = ibv_query_gid_table(device->context, entries, 64, 0);

	for (i = 0; i < n; i++) {
		/* IPv4, as it is written in IPv6 */
		if (entries[i].gid_type != IBV_GID_TYPE_ROCE_V2 ||
		    !IN6_IS_ADDR_V4MAPPED(entries[i].gid.raw))
			continue;
		device->gid = entries[i].gid;
		device->gid_index = entries[i].gid_index;
		return 0;
	}
	return -1;
}

int device_open(struct device *device, const char *name)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_xrcd_init_attr domain = {
		.comp_mask = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS,
		.fd = -1,
		.oflags = O_CREAT,
	};
	int i;

	for (i = 0; list && list[i]; i++)
		if (!strcmp(ibv_get_device_name(list[i]), name))
			device->context = ibv_open_device(list[i]);
	if (list)
		ibv_free_device_list(list);
	if (!device->context || find_gid(device)) {
		fprintf(stderr, "scribble: cannot use %s\n", name);
		return CANNOT;
	}
	device->pd = ibv_alloc_pd(device->context);
	device->other_pd = ibv_alloc_pd(device->context);
	device->xrcd = ibv_open_xrcd(device->context, &domain);
	return device->pd && device->other_pd && device->xrcd ? 0 : CANNOT;
}

static struct key key_of(const struct ibv_mr *mr)
{
	return (struct key){ (uintptr_t)mr->addr, mr->length, mr->lkey, mr->rkey };
}

/* The key of memory that was registered, and is not any more. */
int device_refresh(struct device *device)
{
	struct ibv_mr *mr = ibv_reg_mr(device->pd, device->memory + READ_ONLY * BLOCK,
				       BLOCK, WRITABLE);
	struct key key;

	if (!mr)
		return CANNOT;
	key = key_of(mr);
	if (ibv_dereg_mr(mr))
		return CANNOT;
	device->keys[6] = key;
	return 0;
}

int device_register(struct device *device, char *memory, const struct key *witness)
{
	const struct {
		struct ibv_pd *pd;
		int block, access;
	} list[4] = {
		{ device->pd, ON_DEMAND, WRITABLE | IBV_ACCESS_ON_DEMAND },
		{ device->pd, PINNED, WRITABLE },
		{ device->pd, READ_ONLY, IBV_ACCESS_MW_BIND | IBV_ACCESS_REMOTE_READ },
		{ device->other_pd, OTHER_PD, WRITABLE },
	};
	int i;

	device->memory = memory;
	for (i = 0; i < 4; i++) {
		char *start = memory + list[i].block * BLOCK;
		size_t len = BLOCK;

		/* To see that guards are looked at: garbage may hit them. */
		if (options.spoil && i == 0) {
			start = memory;
			len = BLOCKS * BLOCK;
		}
		device->mr[i] = ibv_reg_mr(list[i].pd, start, len, list[i].access);
		if (!device->mr[i]) {
			perror("scribble: ibv_reg_mr");
			return CANNOT;
		}
		device->keys[i] = key_of(device->mr[i]);
	}
	memcpy(device->keys + 4, witness, 2 * sizeof(*witness));
	device->keys[7] = (struct key){ (uintptr_t)memory, BLOCK, 0, 0 };
	for (i = 0; i < WINDOWS; i++) {
		device->mw[i] = ibv_alloc_mw(i == WINDOWS - 1 ? device->other_pd : device->pd,
					     i < 2 ? IBV_MW_TYPE_1 : IBV_MW_TYPE_2);
		if (!device->mw[i]) {
			perror("scribble: ibv_alloc_mw");
			return CANNOT;
		}
	}
	return device_refresh(device);
}

/* device_address - address handles to all devices, and those that are no good */
int device_address(struct device *device, const struct device *others)
{
	int i;

	for (i = 0; i < AHS; i++)
		if (!create_address(device, i == GOOD_AHS ? device->other_pd : device->pd,
				    &others[i % DEVICES], &device->ah[i],
				    &device->ah_handle[i])) {
			perror("scribble: address handles");
			return CANNOT;
		}
	return destroy_address(device, device->ah_handle[AHS - 1]) ? 0 : CANNOT;
}

void device_close(struct device *device)
{
	int i;

	for (i = 0; i < WINDOWS; i++)
		if (device->mw[i])
			ibv_dealloc_mw(device->mw[i]);
	for (i = 0; i < 4; i++)
		if (device->mr[i])
			ibv_dereg_mr(device->mr[i]);
	for (i = 0; i < AHS - 1; i++)
		destroy_address(device, device->ah_handle[i]);
	ibv_close_xrcd(device->xrcd);
	ibv_dealloc_pd(device->pd);
	ibv_dealloc_pd(device->other_pd);
	ibv_close_device(device->context);
}

static uint64_t pattern(size_t i)
{
	return (i + 1) * 0x9e3779b97f4a7c15ULL;
}

char *memory_create(void)
{
	const size_t words = BLOCKS * BLOCK / sizeof(uint64_t);
	char *memory = mmap(NULL, BLOCKS * BLOCK, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	if (memory == MAP_FAILED)
		return NULL;
	for (i = 0; i < words; i++)
		((uint64_t *)memory)[i] = pattern(i);
	return memory;
}

/* Words that have changed where nobody may write */
size_t memory_wrong(const char *memory)
{
	const size_t per_block = BLOCK / sizeof(uint64_t);
	size_t i, wrong = 0;

	for (i = 0; i < BLOCKS * per_block; i++)
		if (i / per_block != ON_DEMAND && i / per_block != PINNED)
			wrong += ((const volatile uint64_t *)memory)[i] != pattern(i);
	return wrong;
}

/* --- The witness ------------------------------------------------------------- */

/*
 * Its blocks ON_DEMAND and PINNED may not be written to either: what is
 * registered is READ_ONLY and OTHER_PD, with all rights.
 */
int witness_run(void)
{
	struct device devices[DEVICES] = { 0 };
	char *memory = memory_create();
	size_t wrong;
	int i, j;

	for (i = 0; i < DEVICES; i++) {
		if (device_open(&devices[i], options.dev[i]))
			return CANNOT;
		for (j = 0; j < 2; j++) {
			struct ibv_mr *mr = ibv_reg_mr(
				devices[i].pd,
				memory + (j ? OTHER_PD : READ_ONLY) * BLOCK, BLOCK,
				WRITABLE | (j ? 0 : IBV_ACCESS_ON_DEMAND));

			if (!mr)
				return CANNOT;
			shared->witness[i][j] = key_of(mr);
		}
	}
	shared->ready = true;
	while (!shared->stop)
		usleep(20000);
	wrong = memory_wrong(memory);
	if (wrong)
		printf("FAIL: %zu words of another process have changed\n", wrong);
	return wrong ? WRONG : RIGHT;
}
