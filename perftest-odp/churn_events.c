/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The events that change memory; see churn.h */
#include "churn.h"
#include "fail.h"
#include "size.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

#define PAGEMAP_SWAPPED 62
#define COMPACT "/proc/sys/vm/compact_memory"

static int failed(const char *what)
{
	return fail_errno(RC_WRONG, "churn: %s", what);
}

/*
 * New contents for a slot whose pages are gone: by the CPU, or none, so that
 * the device is the first to touch the new pages.
 */
static void renew(struct churner *c, unsigned int slot)
{
	uint64_t number = random_next(&c->random);

	if (number % 3)
		slot_refill(c, slot, pattern_key(c->seed, number));
	else
		c->keys[slot] = PATTERN_ZERO;
}

/* In two steps, or by a mapping that replaces the old one */
static int event_munmap(struct churner *c)
{
	unsigned int slot = churn_idle_slot(c);
	char *at = slot_start(c, slot);
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;

	if (random_below(&c->random, 2)) {
		if (munmap(at, c->slot_size))
			return failed("munmap");
		flags = (flags & ~MAP_FIXED) | MAP_FIXED_NOREPLACE;
	}
	if (mmap(at, c->slot_size, PROT_READ | PROT_WRITE, flags, -1, 0) != at)
		return failed("mmap over a slot");
	churn_advise(c, at, c->slot_size);
	churn_note(c, EV_MUNMAP, at, at + c->slot_size);
	c->effects[EV_MUNMAP] += c->slot_size / PAGE;
	renew(c, slot);
	return RC_OK;
}

static int event_dontneed(struct churner *c)
{
	unsigned int slot = churn_idle_slot(c);
	char *at = slot_start(c, slot);

	if (madvise(at, c->slot_size, MADV_DONTNEED))
		return failed("madvise(MADV_DONTNEED)");
	churn_note(c, EV_DONTNEED, at, at + c->slot_size);
	c->effects[EV_DONTNEED] += c->slot_size / PAGE;
	renew(c, slot);
	return RC_OK;
}

/* Pages of the slot that are in swap space now */
static uint64_t count_swapped(const char *at, size_t size)
{
	uint64_t entry[64], swapped = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	size_t i, n;

	for (; size && fd >= 0; at += n * PAGE, size -= n * PAGE) {
		n = size / PAGE < 64 ? size / PAGE : 64;
		if (pread(fd, entry, n * 8, (uintptr_t)at / PAGE * 8) !=
		    (ssize_t)(n * 8))
			break;
		for (i = 0; i < n; i++)
			swapped += entry[i] >> PAGEMAP_SWAPPED & 1;
	}
	if (fd >= 0)
		close(fd);
	return swapped;
}

static void read_back(char *at, size_t size)
{
	volatile char *p;

	for (p = at; p < (volatile char *)at + size; p += PAGE)
		(void)*p;
}

/* Half of it is read back by the CPU, the rest is left to the device */
static int event_swap(struct churner *c)
{
	unsigned int slot = random_below(&c->random, c->slots);
	unsigned int n = 1 + random_below(&c->random, 8);
	char *at = slot_start(c, slot);
	size_t size;

	if (n > c->slots - slot)
		n = c->slots - slot;
	size = n * c->slot_size;
	if (madvise(at, size, MADV_PAGEOUT))
		return failed("madvise(MADV_PAGEOUT)");
	c->effects[EV_SWAP] += count_swapped(at, size);
	churn_note(c, EV_SWAP, at, at + size);
	if (random_below(&c->random, 2))
		read_back(at, size);
	return RC_OK;
}

/* Errors are normal here: pages in use elsewhere, or no huge page to be had */
static void make_huge(struct churner *c, char *leaf)
{
	if (!madvise(leaf, LEAF, MADV_COLLAPSE)) {
		c->effects[EV_THP]++;
		churn_note(c, EV_THP, leaf, leaf + LEAF);
	}
}

static int split_huge(struct churner *c)
{
	char *at = slot_start(c, churn_idle_slot(c)) + c->slot_size / 2;
	int rc = 0;

	at -= (uintptr_t)at % PAGE;
	if (random_below(&c->random, 2)) {
		rc = mprotect(at, PAGE, PROT_READ) ||
		     mprotect(at, PAGE, PROT_READ | PROT_WRITE);
	} else {
		at = slot_start(c, random_below(&c->random, c->slots));
		rc = madvise(at, PAGE, MADV_NOHUGEPAGE) ||
		     madvise(at, PAGE, MADV_HUGEPAGE);
	}
	churn_note(c, EV_THP, at, at + PAGE);
	return rc ? failed("splitting a huge page") : RC_OK;
}

static int event_thp(struct churner *c)
{
	char *first = (char *)round_up((uintptr_t)c->region->base, LEAF);
	size_t leaves = (c->region->base + c->region->size - first) / LEAF;

	if (random_below(&c->random, 2))
		return split_huge(c);
	make_huge(c, first + random_below(&c->random, leaves) * LEAF);
	return RC_OK;
}

static int event_mprotect(struct churner *c)
{
	char *at = slot_start(c, churn_idle_slot(c));
	int prot = random_below(&c->random, 2) ? PROT_NONE : PROT_READ;

	if (mprotect(at, c->slot_size, prot) ||
	    mprotect(at, c->slot_size, PROT_READ | PROT_WRITE))
		return failed("mprotect");
	churn_note(c, EV_MPROTECT, at, at + c->slot_size);
	c->effects[EV_MPROTECT] += c->slot_size / PAGE;
	return RC_OK;
}

/* There and back: the contents come along */
static int event_mremap(struct churner *c)
{
	char *at = slot_start(c, churn_idle_slot(c));
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;

	if (mremap(at, c->slot_size, c->slot_size, flags, c->scratch) !=
	    c->scratch)
		/* It may be two mappings, which cannot move together */
		return errno == EFAULT ? RC_OK : failed("mremap");
	if (mremap(c->scratch, c->slot_size, c->slot_size, flags, at) != at)
		return failed("mremap back");
	if (mmap(c->scratch, c->slot_size, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
		 0) != c->scratch)
		return failed("mmap of the place to move to");
	churn_note(c, EV_MREMAP, at, at + c->slot_size);
	c->effects[EV_MREMAP] += c->slot_size / PAGE;
	return RC_OK;
}

static int event_compact(struct churner *c)
{
	int fd = open(COMPACT, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return failed(COMPACT);
	if (write(fd, "1", 1) == 1)
		c->effects[EV_COMPACT]++;
	close(fd);
	return RC_OK;
}

/* Slots with the same contents: the kernel makes them share pages */
static int event_ksm(struct churner *c)
{
	unsigned int slot = churn_idle_slot(c);

	slot_refill(c, slot, pattern_key(c->seed, UINT64_MAX));
	churn_note(c, EV_KSM, slot_start(c, slot),
		   slot_start(c, slot) + c->slot_size);
	c->effects[EV_KSM]++;
	return RC_OK;
}

static const char *no_swap(void)
{
	FILE *f = fopen("/proc/swaps", "re");
	char line[256];
	int lines = 0;

	while (f && fgets(line, sizeof(line), f))
		lines++;
	if (f)
		fclose(f);
	return lines > 1 ? NULL : "this host has no swap";
}

static const char *no_thp(void)
{
	return access("/sys/kernel/mm/transparent_hugepage", F_OK) ?
		       "this kernel has no transparent huge pages" : NULL;
}

static const char *no_compact(void)
{
	return access(COMPACT, W_OK) ? "it takes root to write " COMPACT : NULL;
}

static const char *no_ksm(void)
{
	FILE *f = fopen("/sys/kernel/mm/ksm/run", "re");
	int c = f ? fgetc(f) : '0';

	if (f)
		fclose(f);
	return c == '1' ? NULL : "/sys/kernel/mm/ksm/run is not 1";
}

const struct event_type event_types[EVENTS] = {
	[EV_MUNMAP] = { "munmap", event_munmap, false, 1, "pages replaced", NULL },
	[EV_DONTNEED] = { "dontneed", event_dontneed, false, 1, "pages dropped",
			  NULL },
	[EV_FORK] = { "fork", event_fork, true, 32, "children right", NULL },
	[EV_SWAP] = { "swap", event_swap, true, 2, "pages swapped out", no_swap },
	[EV_THP] = { "thp", event_thp, true, 4, "huge pages made or kept", no_thp },
	[EV_MPROTECT] = { "mprotect", event_mprotect, true, 1,
			  "pages forbidden and allowed", NULL },
	[EV_MREMAP] = { "mremap", event_mremap, false, 1,
			"pages moved there and back", NULL },
	[EV_COMPACT] = { "compact", event_compact, true, 64, "compactions",
			 no_compact },
	[EV_KSM] = { "ksm", event_ksm, true, 1, "slots made alike", no_ksm },
};

const char *churn_parse_events(char *list, uint64_t *events)
{
	char *save, *name;
	int i;

	*events = 0;
	for (name = strtok_r(list, ",", &save); name;
	     name = strtok_r(NULL, ",", &save)) {
		if (!strcmp(name, "all")) {
			*events |= EVENTS_DEFAULT | 1u << EV_MPROTECT |
				   1u << EV_MREMAP;
			continue;
		}
		for (i = 0; i < EVENTS; i++)
			if (!strcmp(event_types[i].name, name))
				break;
		if (i == EVENTS)
			return name;
		*events |= 1u << i;
	}
	return NULL;
}
