// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Events that user space makes; those of the kernel's own are in reclaim.c */
#include "kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

const struct event *event_find(const char *name)
{
	const struct event *e;

	for (e = events; e->name; e++)
		if (!strcmp(e->name, name))
			return e;
	for (e = events_more; e->name; e++)
		if (!strcmp(e->name, name))
			return e;
	fail("no event '%s'", name);
}

struct spot spot_any(struct run *run)
{
	uint32_t slot = random_below(&run->random, sh->nslots);

	return (struct spot){ slot, slot * sh->slot, sh->slot,
			      run->r->base + slot * sh->slot, false };
}

struct spot spot_take(struct run *run)
{
	struct spot s = spot_any(run);

	s.locked = s.slot < sh->lossy_from;
	if (s.locked)
		slot_lock(s.slot);
	return s;
}

struct spot spot_take_locked(struct run *run)
{
	struct spot s;

	do
		s = spot_any(run);
	while (s.slot >= sh->lossy_from);
	s.locked = true;
	slot_lock(s.slot);
	return s;
}

void spot_put(struct spot *s)
{
	if (s->locked)
		slot_unlock(s->slot);
	s->locked = false;
}

/* Contents are gone; sometimes the CPU puts new ones there at once. */
static void spot_dropped(struct run *run, struct spot *s, bool mapping)
{
	if (!s->locked)
		return;
	region_dropped(run->r, s->off, s->len, mapping);
	memset(sh->mask + s->off, EXACT, s->len);
	if (random_below(&run->random, 3))
		return;
	random_fill(&run->random, sh->shadow + s->off, s->len / 2);
	memcpy(s->at, sh->shadow + s->off, s->len / 2);
}

/* In two steps, or by a mapping that replaces the old one */
static long event_remap(struct run *run)
{
	struct spot s = spot_take(run);

	if (s.locked && random_below(&run->random, 2))
		CHECK(!munmap(s.at, s.len));
	region_remap(run->r, s.at, s.len);
	spot_dropped(run, &s, true);
	spot_put(&s);
	return 0;
}

static long event_dontneed(struct run *run)
{
	struct spot s = spot_take(run);

	CHECK(!madvise(s.at, s.len, MADV_DONTNEED));
	spot_dropped(run, &s, false);
	spot_put(&s);
	return 0;
}

/*
 * Pages stay or become zeros until they are written; then they stay. Half of
 * the time the kernel is made to take them. Evidence: pages that it took.
 */
static long event_free(struct run *run)
{
	struct spot s = spot_take_locked(run);
	uint64_t entries[32];
	long taken = 0;
	int i;

	CHECK(!madvise(s.at, s.len, MADV_FREE));
	memset(sh->mask + s.off, UNSURE, s.len);
	spot_put(&s);
	if (random_below(&run->random, 2))
		nap(3000);
	CHECK(!madvise(s.at, s.len, MADV_PAGEOUT));
	pagemap_many(s.at, entries, s.len / PAGE < 32 ? s.len / PAGE : 32);
	for (i = 0; i < 32 && i < (int)(s.len / PAGE); i++)
		taken += !(entries[i] & (PM_PRESENT | PM_SWAPPED));
	return taken;
}

/* Down to one of two ways, and up again. What is not allowed is check_protect(). */
static long event_mprotect(struct run *run)
{
	struct spot s = spot_take_locked(run);

	CHECK(!mprotect(s.at, s.len, random_below(&run->random, 2) ? PROT_NONE : PROT_READ));
	if (random_below(&run->random, 2))
		nap(500);
	CHECK(!mprotect(s.at, s.len, PROT_READ | PROT_WRITE));
	spot_put(&s);
	return 0;
}

/* A part of the mapping gets other rights and the same again: no access fails. */
static long event_split_vma(struct run *run)
{
	struct spot s = spot_any(run);

	CHECK(!madvise(s.at, s.len / 2, MADV_DONTFORK));
	CHECK(!mprotect(s.at, s.len, PROT_READ | PROT_WRITE | PROT_EXEC));
	CHECK(!mprotect(s.at, s.len, PROT_READ | PROT_WRITE));
	CHECK(!madvise(s.at, s.len / 2, MADV_DOFORK));
	return 0;
}

static void move(char *from, char *to, uint32_t len)
{
	if (mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		fail("mremap: %s", strerror(errno));
}

/*
 * Two slots change places, by way of a third place, where the CPU changes one.
 * (There and back again they would have the pages that the device knows.)
 */
static long event_move(struct run *run)
{
	static uint8_t contents[BLOCK];
	struct spot a = spot_take_locked(run), b;
	char *there = mmap(NULL, a.len + BLOCK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *to = there + (BLOCK - (uintptr_t)there % BLOCK) % BLOCK;

	CHECK(there != MAP_FAILED);
	do {
		b = spot_any(run);
	} while (b.slot == a.slot);
	slot_lock(b.slot);
	b.locked = true;
	move(a.at, to, a.len);
	random_fill(&run->random, sh->shadow + a.off, PAGE + 100);
	memcpy(to, sh->shadow + a.off, PAGE + 100);
	move(b.at, a.at, a.len);
	move(to, b.at, a.len);
	memcpy(contents, sh->shadow + a.off, a.len);
	memcpy(sh->shadow + a.off, sh->shadow + b.off, a.len);
	memcpy(sh->shadow + b.off, contents, a.len);
	spot_put(&a);
	spot_put(&b);
	munmap(there, sh->slot + BLOCK);
	return 0;
}

/* The second half goes, and comes back by growing the first. */
static long event_grow(struct run *run)
{
	struct spot s = spot_take_locked(run);
	uint32_t half = s.len / 2;

	CHECK(mremap(s.at, s.len, half, 0) == s.at);
	CHECK(mremap(s.at, half, s.len, 0) == s.at);
	region_dropped(run->r, s.off + half, half, false);
	memset(sh->mask + s.off + half, EXACT, half);
	spot_put(&s);
	return 0;
}

/* The end of the heap goes and comes back. The guard goes with it. */
static long event_brk(struct run *run)
{
	struct region *r = run->r;
	char *end = r->map + r->map_len;
	uint32_t last = sh->nslots - 1, off = last * sh->slot;

	slot_lock(last);
	CHECK(sbrk(0) == end);
	CHECK(!brk(r->base + off));
	CHECK(!brk(end));
	memset(sh->shadow + off, 0, sh->slot);
	memset(end - r->guard, GUARD, r->guard);
	slot_unlock(last);
	return 0;
}

/* The file has a hole; then it has not. */
static long event_punch(struct run *run)
{
	struct spot s = spot_take_locked(run);
	struct region *r = run->r;
	uint32_t from = s.len == BLOCK ? 0 : random_below(&run->random, 16) * (s.len / 16);
	uint32_t len = s.len - from;

	if (fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      r->fd_off + (s.at - r->map) + from, len))
		fail("fallocate: %s", strerror(errno));
	memset(sh->shadow + s.off + from, 0, len);
	memset(sh->mask + s.off + from, EXACT, len);
	spot_put(&s);
	return len / PAGE;
}

/* The file gets shorter, by a few slots, and longer again. */
static long event_truncate(struct run *run)
{
	struct region *r = run->r;
	uint32_t n = 1 + random_below(&run->random, sh->nslots / 8 + 1), i;
	uint32_t off = sh->size - n * sh->slot;

	for (i = sh->nslots - n; i < sh->nslots; i++)
		slot_lock(i);
	CHECK(!ftruncate(r->fd, r->fd_off + r->guard + off));
	CHECK(!ftruncate(r->fd, r->fd_off + r->map_len));
	memset(sh->shadow + off, 0, n * sh->slot);
	memset(r->map + r->map_len - r->guard, GUARD, r->guard);
	for (i = sh->nslots - n; i < sh->nslots; i++)
		slot_unlock(i);
	return n * sh->slot / PAGE;
}

const struct event events[] = {
	{ "remap", event_remap, EV_LOSSY, NULL, NULL, NULL },
	{ "dontneed", event_dontneed, EV_LOSSY, NULL, NULL, NULL },
	{ "free", event_free, 0, "pages taken", NULL, NULL },
	{ "mprotect", event_mprotect, 0, NULL, NULL, NULL },
	{ "split_vma", event_split_vma, 0, NULL, NULL, NULL },
	{ "move", event_move, 0, NULL, NULL, NULL },
	{ "grow", event_grow, 0, NULL, NULL, NULL },
	{ "brk", event_brk, 0, NULL, NULL, NULL },
	{ "punch", event_punch, 0, "pages punched", NULL, NULL },
	{ "truncate", event_truncate, 0, "pages cut off", NULL, NULL },
	{ "fork", event_fork, 0, "children right", NULL, NULL },
	{ "spawn", event_spawn, EV_QUIET, "children right", NULL, NULL },
	{ "uffd", event_uffd_missing, 0, "pages filled", uffd_begin, uffd_end },
	{ "uffd_minor", event_uffd_minor, 0, "pages put right", uffd_minor_begin, uffd_end },
	{ "uffd_wp", event_uffd_protect, 0, "pages protected", uffd_begin, uffd_end },
	{ NULL, NULL, 0, NULL, NULL, NULL },
};
