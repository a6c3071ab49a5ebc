// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Kinds of memory: how to make it, and what it is worth once dropped */
#include "kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <unistd.h>

#ifndef MAP_HUGE_1GB
#define MAP_HUGE_1GB (30 << 26)
#endif

enum { SMALL = 4 << 20, BIG = 8 << 20, SLOT = 64 << 10, HUGE_1G = 1 << 30 };

static const uint64_t fill_seed = 0x1234567;

bool region_shared(const struct region *r)
{
	return r->flags & MAP_SHARED;
}

/* Addresses for map, of which the region is at a block's start */
static char *reserve(size_t len, size_t guard)
{
	char *p = mmap(NULL, len + 2 * BLOCK, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *map;

	CHECK(p != MAP_FAILED);
	map = p + (BLOCK - ((uintptr_t)p + guard) % BLOCK) % BLOCK;
	munmap(p, map - p);
	munmap(map + len, p + len + 2 * BLOCK - (map + len));
	return map;
}

static void advise(const struct region *r, char *at, size_t len)
{
	if (r->kind->advice && madvise(at, len, r->kind->advice))
		fail("madvise(%d) of %s: %s", r->kind->advice, r->kind->name, strerror(errno));
}

void region_remap(struct region *r, char *at, size_t len)
{
	if (mmap(at, len, r->prot, r->flags | MAP_FIXED, r->fd,
		 r->fd < 0 ? 0 : r->fd_off + (at - r->map)) != at)
		fail("mmap of %s: %s", r->kind->name, strerror(errno));
	advise(r, at, len);
}

static void make_mapping(struct region *r)
{
	r->map = reserve(r->map_len, r->guard);
	region_remap(r, r->map, r->map_len);
}

static void make_file(struct region *r)
{
	uint64_t random = fill_seed;
	static uint8_t buf[64 << 10];
	const char *dir = strstr(r->kind->name, "tmpfs") ? "/dev/shm" : work_dir;
	size_t done;

	snprintf(r->path, sizeof(r->path), "%s/%s", dir, r->kind->name);
	r->fd = open(r->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (r->fd < 0)
		fail("%s: %s", r->path, strerror(errno));
	for (done = 0; done < r->map_len; done += sizeof(buf)) {
		random_fill(&random, buf, sizeof(buf));
		CHECK(write(r->fd, buf, sizeof(buf)) == sizeof(buf));
	}
	CHECK(!fsync(r->fd));
	make_mapping(r);
}

static void make_memfd(struct region *r)
{
	r->fd = memfd_create("kinds", MFD_CLOEXEC);
	CHECK(r->fd >= 0 && !ftruncate(r->fd, r->map_len));
	make_mapping(r);
}

static void make_hugetlb_memfd(struct region *r)
{
	r->fd = memfd_create("kinds", MFD_CLOEXEC | MFD_HUGETLB);
	CHECK(r->fd >= 0 && !ftruncate(r->fd, r->map_len));
	make_mapping(r);
}

/* The region is in the middle of one page. */
static void make_hugetlb_1g(struct region *r)
{
	char *page = mmap(NULL, HUGE_1G, r->prot, r->flags, -1, 0);

	if (page == MAP_FAILED)
		skip("no huge page of 1 GiB: %s", strerror(errno));
	r->map = page + HUGE_1G / 2;
}

static void make_sysv(struct region *r)
{
	int id = shmget(IPC_PRIVATE, r->map_len, IPC_CREAT | 0600);

	CHECK(id >= 0);
	r->map = shmat(id, reserve(r->map_len, r->guard), SHM_REMAP);
	CHECK(r->map != (void *)-1);
	CHECK(!shmctl(id, IPC_RMID, NULL));
}

static void make_brk(struct region *r)
{
	char *end = sbrk(0);

	CHECK(sbrk(PAGE - (uintptr_t)end % PAGE) != (void *)-1);
	r->map = sbrk(r->map_len);
	CHECK(r->map != (void *)-1);
	CHECK(!madvise(r->map, r->map_len, MADV_NOHUGEPAGE));
}

/* Of this very stack, below what is used; it grows as the CPU fills it. */
static void make_stack(struct region *r)
{
	char *here = __builtin_frame_address(0);
	struct rlimit limit;

	CHECK(!getrlimit(RLIMIT_STACK, &limit) && limit.rlim_cur > r->map_len + (2 << 20));
	r->map = here - (uintptr_t)here % PAGE - (1 << 20) - r->map_len;
	memset(r->map, 0, r->map_len);
}

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define SHARED_ANON (MAP_SHARED | MAP_ANONYMOUS)

const struct kind kinds[] = {
	{ "anon", make_mapping, SMALL, SLOT, ANON, MADV_NOHUGEPAGE, "anonymous memory" },
	{ "thp", make_mapping, BIG, BLOCK, ANON, MADV_HUGEPAGE, "transparent huge pages" },
	{ "ksm", make_mapping, SMALL, SLOT, ANON, MADV_MERGEABLE, "pages that KSM may merge" },
	{ "stack", make_stack, SMALL, SLOT, ANON, 0, "a stack" },
	{ "brk", make_brk, SMALL, SLOT, ANON, 0, "the heap" },
	{ "shmem", make_mapping, SMALL, SLOT, SHARED_ANON, 0, "shared anonymous memory" },
	{ "memfd", make_memfd, SMALL, SLOT, MAP_SHARED, 0, "memfd" },
	{ "memfd_private", make_memfd, SMALL, SLOT, MAP_PRIVATE, 0, "memfd, private mapping" },
	{ "memfd_huge", make_memfd, BIG, BLOCK, MAP_SHARED, MADV_HUGEPAGE,
	  "memfd of transparent huge pages" },
	{ "sysv", make_sysv, SMALL, SLOT, MAP_SHARED, 0, "System V shared memory" },
	{ "tmpfs", make_file, SMALL, SLOT, MAP_SHARED, 0, "a file on tmpfs" },
	{ "tmpfs_private", make_file, SMALL, SLOT, MAP_PRIVATE, 0, "the same, private mapping" },
	{ "ext4", make_file, SMALL, SLOT, MAP_SHARED, 0, "a file on ext4" },
	{ "ext4_private", make_file, SMALL, SLOT, MAP_PRIVATE, 0, "the same, private mapping" },
	{ "hugetlb", make_mapping, BIG, BLOCK, ANON | MAP_HUGETLB, 0, "hugetlb, 2 MiB" },
	{ "hugetlb_shared", make_hugetlb_memfd, BIG, BLOCK, MAP_SHARED, 0, "hugetlb, 2 MiB, shared" },
	{ "hugetlb_1g", make_hugetlb_1g, BIG, BLOCK, ANON | MAP_HUGETLB | MAP_HUGE_1GB, 0,
	  "hugetlb, 1 GiB" },
	{ NULL, NULL, 0, 0, 0, 0, NULL },
};

const struct kind *kind_find(const char *name)
{
	const struct kind *k;

	for (k = kinds; k->name; k++)
		if (!strcmp(k->name, name))
			return k;
	fail("no kind of memory '%s'", name);
}

void region_make(struct region *r, const struct kind *kind)
{
	*r = (struct region){
		.kind = kind, .fd = -1, .guard = kind->slot,
		.map_len = kind->size + 2 * kind->slot,
		.prot = PROT_READ | PROT_WRITE, .flags = kind->flags,
	};
	kind->make(r);
	r->base = r->map + r->guard;
}

void region_register(struct region *r, bool implicit)
{
	int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
		     IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_ON_DEMAND;

	r->implicit = implicit;
	r->mr = implicit ? ibv_reg_mr(owner_link.pd, NULL, SIZE_MAX, access) :
			   ibv_reg_mr(owner_link.pd, r->base, r->kind->size, access);
	CHECK(r->mr);
	sh->ends[0].rkey = r->mr->rkey;
}

void region_fill_guards(struct region *r)
{
	memset(r->map, GUARD, r->guard);
	memset(r->map + r->map_len - r->guard, GUARD, r->guard);
}

/* What was there before anything was written */
static void region_original(const struct region *r, uint8_t *to, uint32_t off, uint32_t len)
{
	if (r->fd >= 0)
		CHECK(pread(r->fd, to, len, r->fd_off + r->guard + off) == (ssize_t)len);
	else
		memset(to, 0, len);
}

/* By the CPU, except the last quarter: that the device touches first. */
void region_fill(struct region *r)
{
	uint64_t random = sh->seed * 3 + 11;
	size_t part = sh->size / 4 * 3;

	region_fill_guards(r);
	region_original(r, sh->shadow, 0, sh->size);
	if (!region_shared(r))
		region_original(r, sh->alt, 0, sh->size);
	random_fill(&random, sh->shadow, part);
	memcpy(r->base, sh->shadow, part);
}

/* A mapping, or only the pages of one, was thrown away. */
void region_dropped(struct region *r, uint32_t off, uint32_t len, bool mapping)
{
	if (!region_shared(r) || (mapping && r->fd < 0))
		region_original(r, sh->shadow + off, off, len);
}

static void verify_guard(const char *at, size_t len, const char *where)
{
	size_t i;

	for (i = 0; i < len; i++)
		if ((uint8_t)at[i] != GUARD)
			fail("%s the region, byte %zu was written: %02x", where, i, (uint8_t)at[i]);
}

void region_verify(struct region *r)
{
	static uint8_t file[REGION_MAX];

	model_compare("the CPU at the end", (uint8_t *)r->base, 0, sh->size);
	if (r->fd >= 0 && !region_shared(r)) {
		region_original(r, file, 0, sh->size);
		if (memcmp(file, sh->alt, sh->size))
			fail("a write to a private mapping has reached the file");
	}
	verify_guard(r->map, r->guard, "before");
	verify_guard(r->map + r->map_len - r->guard, r->guard, "behind");
}

/* A file stays, with what it must hold beside it. */
static void leave_file(struct region *r)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "/tmp/%s.must", r->kind->name);
	f = fopen(path, "we");
	CHECK(f);
	CHECK(fwrite(sh->shadow, 1, sh->size, f) == sh->size);
	CHECK(!fclose(f));
}

void region_free(struct region *r)
{
	if (r->mr)
		CHECK(!ibv_dereg_mr(r->mr));
	if (r->path[0] && region_shared(r))
		leave_file(r);
	if (r->kind->make == make_brk)
		CHECK(sbrk(0) == r->map + r->map_len && !brk(r->map));
	else if (r->kind->make == make_hugetlb_1g)
		CHECK(!munmap(r->map - HUGE_1G / 2, HUGE_1G));
	else if (r->kind->make == make_stack)
		CHECK(!madvise(r->map, r->map_len, MADV_DONTNEED));
	else
		CHECK(!munmap(r->map, r->map_len));
	if (r->fd >= 0)
		close(r->fd);
}
