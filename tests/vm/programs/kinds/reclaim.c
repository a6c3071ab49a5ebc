// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What the kernel does to pages of its own accord; here it is made to. */
#include "kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

#define KHUGEPAGED "/sys/kernel/mm/transparent_hugepage/khugepaged/"
#define NUMA_DEBUG "/sys/kernel/debug/sched/numa_balancing/"

enum { SOFT_DIRTY_US = 10000, SPOT_PAGES = BLOCK / PAGE, HOG = 64 << 20 };

static long count_entries(const struct spot *s, uint64_t mask, uint64_t value)
{
	static uint64_t entries[SPOT_PAGES];
	long count = 0;
	uint32_t i;

	pagemap_many(s->at, entries, s->len / PAGE);
	for (i = 0; i < s->len / PAGE; i++)
		count += (entries[i] & mask) == value;
	return count;
}

/* Evidence: pages written to swap space */
static long event_pageout(struct run *run)
{
	struct spot s = spot_any(run);
	long before = vmstat("pswpout");

	CHECK(!madvise(s.at, s.len, MADV_PAGEOUT));
	return vmstat("pswpout") - before;
}

/* The same for memory that goes back to its file. Evidence: pages not mapped */
static long event_drop(struct run *run)
{
	struct spot s = spot_any(run);

	CHECK(!madvise(s.at, s.len, MADV_PAGEOUT));
	return count_entries(&s, PM_PRESENT, 0);
}

static long event_cold(struct run *run)
{
	struct spot s = spot_any(run);

	CHECK(!madvise(s.at, s.len, MADV_COLD));
	return 0;
}

/* --- A control group, into which the owner goes with its region alone ------------- */

static void group_write(const char *name, const char *text)
{
	const char *group = getenv("KINDS_CGROUP");
	char path[300];

	if (!group)
		skip("no control group (KINDS_CGROUP)");
	snprintf(path, sizeof(path), "%s/%s", group, name);
	if (!try_write_file(path, text) && errno != EAGAIN)
		fail("writing %s to %s: %s", text, path, strerror(errno));
}

static void group_limit(const char *name, uint32_t bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%u", bytes);
	group_write(name, text);
}

static void group_begin(struct run *run)
{
	group_write("cgroup.procs", "0");
	CHECK(!madvise(run->r->base, sh->size, MADV_DONTNEED));
	memcpy(run->r->base, sh->shadow, sh->size);
}

static void group_end(struct run *run)
{
	(void)run;
	group_write("memory.max", "max");
	group_write("memory.high", "max");
	group_write("../cgroup.procs", "0");
}

static long event_reclaim(struct run *run)
{
	long before = vmstat("pgsteal_anon");

	(void)run;
	group_write("memory.reclaim", "2M");
	return vmstat("pgsteal_anon") - before;
}

/* The limit is below what is in use; then it is not. */
static long event_limit(struct run *run)
{
	const char *which = random_below(&run->random, 2) ? "memory.max" : "memory.high";
	long before = vmstat("pgsteal_anon");

	group_limit(which, sh->size / 4 * 3);
	nap(10000);
	group_write(which, "max");
	return vmstat("pgsteal_anon") - before;
}

/* All the time half of the region has room. */
static void pressure_begin(struct run *run)
{
	group_begin(run);
	group_limit("memory.max", sh->size / 2);
}

static long event_pressure(struct run *run)
{
	long before = vmstat("pgsteal_anon");

	(void)run;
	nap(10000);
	return vmstat("pgsteal_anon") - before;
}

/* --- Other places ------------------------------------------------------------- */

/* Memory with holes everywhere, so that there is something to compact */
static void compact_begin(struct run *run)
{
	const size_t len = HOG / slowness;
	char *hog = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	CHECK(hog != MAP_FAILED && !madvise(hog, len, MADV_NOHUGEPAGE));
	CHECK(!madvise(hog, len, MADV_POPULATE_WRITE));
	for (i = 0; i < len; i += 2 * PAGE)
		madvise(hog + i, PAGE, MADV_DONTNEED);
	run->priv = hog;
}

static void compact_end(struct run *run)
{
	munmap(run->priv, HOG / slowness);
}

/* New pages come from the holes, and the compaction moves them. */
static long event_compact(struct run *run)
{
	static uint64_t before[REGION_MAX / PAGE], after[REGION_MAX / PAGE];
	struct spot s = spot_take_locked(run);
	long moved = 0;
	uint32_t i;

	CHECK(!madvise(s.at, s.len, MADV_DONTNEED));
	region_dropped(run->r, s.off, s.len, false);
	memcpy(s.at, sh->shadow + s.off, s.len);
	spot_put(&s);
	pagemap_many(run->r->base, before, sh->size / PAGE);
	write_file("/proc/sys/vm/compact_memory", "1");
	pagemap_many(run->r->base, after, sh->size / PAGE);
	for (i = 0; i < sh->size / PAGE; i++)
		moved += (before[i] & PM_PRESENT) && (after[i] & PM_PRESENT) &&
			 (before[i] & PM_PFN) != (after[i] & PM_PFN);
	return moved;
}

static void numa_begin(struct run *run)
{
	(void)run;
	if (access("/sys/devices/system/node/node1", F_OK))
		skip("this machine has one NUMA node (numa=fake=2 makes two)");
}

/* By one of three calls, to the other node */
static long event_migrate(struct run *run)
{
	static void *pages[SPOT_PAGES];
	static int nodes[SPOT_PAGES], status[SPOT_PAGES];
	int to = random_below(&run->random, 2);
	unsigned long from_mask = 1ul << !to, to_mask = 1ul << to;
	uint32_t kind = random_below(&run->random, 8), i;
	struct spot s = spot_any(run);

	if (!kind) {
		CHECK(syscall(SYS_migrate_pages, 0, 8, &from_mask, &to_mask) >= 0);
		return 0;
	}
	if (kind < 4) {
		CHECK(!syscall(SYS_mbind, s.at, s.len, MPOL_BIND, &to_mask, 8, MPOL_MF_MOVE));
		CHECK(!syscall(SYS_mbind, s.at, s.len, MPOL_DEFAULT, NULL, 0, 0));
		return 0;
	}
	for (i = 0; i < s.len / PAGE; i++) {
		pages[i] = s.at + i * PAGE;
		nodes[i] = to;
	}
	CHECK(syscall(SYS_move_pages, 0, s.len / PAGE, pages, nodes, status, MPOL_MF_MOVE) >= 0);
	return 0;
}

static void hinting_begin(struct run *run)
{
	numa_begin(run);
	try_write_file(NUMA_DEBUG "scan_delay_ms", "1");
	try_write_file(NUMA_DEBUG "scan_period_min_ms", "10");
	try_write_file(NUMA_DEBUG "scan_period_max_ms", "20");
	write_file("/proc/sys/kernel/numa_balancing", "1");
}

static void hinting_end(struct run *run)
{
	(void)run;
	write_file("/proc/sys/kernel/numa_balancing", "0");
}

/* The scan runs in threads that use the CPU. Evidence: entries made to fault */
static long event_hinting(struct run *run)
{
	long before = vmstat("numa_pte_updates") + vmstat("numa_huge_pte_updates");
	uint64_t end = now_ms() + 15;

	(void)run;
	while (now_ms() < end)
		;
	return vmstat("numa_pte_updates") + vmstat("numa_huge_pte_updates") - before;
}

/* --- Merged, made huge, split ---------------------------------------------------- */

/* All pages alike, for KSM to find; or all of them each for itself again */
static long event_merge(struct run *run)
{
	struct spot s;
	uint32_t off;

	if (!random_below(&run->random, 100)) {
		s = spot_any(run);
		CHECK(!madvise(s.at, s.len, MADV_UNMERGEABLE));
		CHECK(!madvise(s.at, s.len, MADV_MERGEABLE));
		return 0;
	}
	s = spot_take_locked(run);
	memset(sh->mask + s.off, EXACT, s.len);
	for (off = 0; off < s.len; off++)
		sh->shadow[s.off + off] = off % PAGE / 16;
	memcpy(s.at, sh->shadow + s.off, s.len);
	spot_put(&s);
	nap(20000);
	return read_number("/sys/kernel/mm/ksm/pages_sharing") > 0;
}

static void ksm_begin(struct run *run)
{
	(void)run;
	write_file("/sys/kernel/mm/ksm/pages_to_scan", "2000");
	write_file("/sys/kernel/mm/ksm/sleep_millisecs", "5");
	write_file("/sys/kernel/mm/ksm/run", "1");
}

static void ksm_end(struct run *run)
{
	(void)run;
	write_file("/sys/kernel/mm/ksm/run", "2");
	write_file("/sys/kernel/mm/ksm/run", "0");
}

/* Evidence: huge pages made. That one cannot be had now is no error. */
static long event_collapse(struct run *run)
{
	char *block = run->r->base + random_below(&run->random, sh->size / BLOCK) * BLOCK;
	long made;

	block += (BLOCK - (uintptr_t)block % BLOCK) % BLOCK;
	if (block + BLOCK > run->r->map + run->r->map_len)
		return 0;
	made = !madvise(block, BLOCK, MADV_COLLAPSE);
	/* Apart again, for the next one */
	nap(2000);
	CHECK(!madvise(block, PAGE, MADV_COLD));
	CHECK(!mprotect(block + PAGE, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
	CHECK(!mprotect(block + PAGE, PAGE, PROT_READ | PROT_WRITE));
	return made;
}

/* khugepaged never rests, and takes swapped pages, too. */
static struct setting {
	const char *path;
	const char *busy;
	long before;
} khugepaged[] = {
	{ KHUGEPAGED "max_ptes_swap", "511", 0 },
	{ KHUGEPAGED "pages_to_scan", "100000", 0 },
	{ KHUGEPAGED "alloc_sleep_millisecs", "0", 0 },
	{ KHUGEPAGED "scan_sleep_millisecs", "0", 0 },
	{ NULL, NULL, 0 },
};

/* The pages are small ones at first. */
static void khugepaged_begin(struct run *run)
{
	char *base = run->r->base;
	struct setting *s;

	CHECK(!madvise(base, sh->size, MADV_NOHUGEPAGE));
	CHECK(!madvise(base, sh->size, region_shared(run->r) ? MADV_REMOVE : MADV_DONTNEED));
	memcpy(base, sh->shadow, sh->size);
	CHECK(!madvise(base, sh->size, MADV_HUGEPAGE));
	for (s = khugepaged; s->path; s++) {
		s->before = read_number(s->path);
		write_file(s->path, s->busy);
	}
}

static void khugepaged_end(struct run *run)
{
	struct setting *s;
	char text[32];

	(void)run;
	for (s = khugepaged; s->path; s++) {
		snprintf(text, sizeof(text), "%ld", s->before);
		write_file(s->path, text);
	}
}

static void spot_prefetch(const struct run *run, const struct spot *s)
{
	struct ibv_sge sge = { (uintptr_t)s->at, s->len, run->r->mr->lkey };

	CHECK(!ibv_advise_mr(owner_link.pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE,
			     IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1));
}

/* Of a block that is one page, else 0. A split unmaps a file's pages: reads map them again. */
static uint64_t huge_frame(const char *block)
{
	const char *last = block + BLOCK - PAGE;
	uint64_t first_frame, last_frame;

	(void)*(const volatile char *)block;
	(void)*(const volatile char *)last;
	first_frame = pagemap(block) & PM_PFN;
	last_frame = pagemap(last) & PM_PFN;
	if (first_frame % SPOT_PAGES || last_frame != first_frame + SPOT_PAGES - 1)
		return 0;
	return first_frame;
}

/*
 * A huge page comes apart; its small pages stay where they are, and the device
 * has all of them. Evidence: what khugepaged has made of them is another one.
 */
static long event_khugepaged(struct run *run)
{
	struct spot s = spot_any(run);
	uint64_t before = huge_frame(s.at), after;

	CHECK(!madvise(s.at, PAGE, MADV_COLD));
	spot_prefetch(run, &s);
	nap(20000);
	after = huge_frame(s.at);
	return after && after != before;
}

/* The pages of the region that are huge become small ones. Evidence: those */
static long event_split(struct run *run)
{
	const struct region *r = run->r;
	long before = vmstat("thp_split_page");
	char text[80];

	madvise(r->map + random_below(&run->random, r->map_len / BLOCK) * BLOCK, BLOCK,
		MADV_COLLAPSE);
	snprintf(text, sizeof(text), "%d,%#lx,%#lx", getpid(), (unsigned long)r->map,
		 (unsigned long)r->map + r->map_len);
	write_file("/sys/kernel/debug/split_huge_pages", text);
	return vmstat("thp_split_page") - before;
}

/* --- Dirty ------------------------------------------------------------------------ */

static void lock_all(void)
{
	uint32_t i;

	for (i = 0; i < sh->nslots; i++)
		slot_lock(i);
}

static void unlock_all(void)
{
	uint32_t i;

	for (i = 0; i < sh->nslots; i++)
		slot_unlock(i);
}

/*
 * What the device writes after soft-dirty bits were cleared is soft-dirty.
 * Evidence: pages looked at
 */
static long event_softdirty(struct run *run)
{
	static uint64_t entries[REGION_MAX / PAGE];
	uint32_t n = sh->size / PAGE, i;
	long seen = 0;

	lock_all();
	write_file("/proc/self/clear_refs", "4");
	for (i = 0; i < n; i++)
		sh->written[i] = false;
	unlock_all();
	nap(SOFT_DIRTY_US);
	lock_all();
	pagemap_many(run->r->base, entries, n);
	for (i = 0; i < n; i++) {
		if (sh->written[i] && !(entries[i] & PM_SOFT_DIRTY))
			fail("page %u was written by the device and is not soft-dirty", i);
		seen += sh->written[i];
	}
	unlock_all();
	return seen;
}

/* All mappings of the process stay as they are, and devices have to ask anew. */
static long event_forget(struct run *run)
{
	(void)run;
	write_file("/proc/self/clear_refs", "4");
	return 0;
}

/*
 * Pages are written to the file while the device writes to them, and then
 * thrown away, which only clean ones can be. Evidence: those
 */
static long event_writeback(struct run *run)
{
	struct spot s = spot_any(run);

	if (random_below(&run->random, 2))
		CHECK(!msync(s.at, s.len, MS_SYNC));
	else
		CHECK(!fdatasync(run->r->fd));
	CHECK(!madvise(s.at, s.len, MADV_PAGEOUT));
	return count_entries(&s, PM_PRESENT, 0);
}

const struct event events_more[] = {
	{ "pageout", event_pageout, 0, "pages swapped out", NULL, NULL },
	{ "drop", event_drop, 0, "pages unmapped", NULL, NULL },
	{ "cold", event_cold, EV_QUIET, NULL, NULL, NULL },
	{ "reclaim", event_reclaim, 0, "pages reclaimed", group_begin, group_end },
	{ "limit", event_limit, 0, "pages reclaimed", group_begin, group_end },
	{ "pressure", event_pressure, 0, "pages reclaimed", pressure_begin, group_end },
	{ "compact", event_compact, 0, "pages moved", compact_begin, compact_end },
	{ "migrate", event_migrate, EV_MOVES, "pages moved", numa_begin, NULL },
	{ "hinting", event_hinting, 0, "entries", hinting_begin, hinting_end },
	{ "merge", event_merge, 0, "times there were shared pages", ksm_begin, ksm_end },
	{ "collapse", event_collapse, 0, "huge pages made", NULL, NULL },
	{ "khugepaged", event_khugepaged, 0, "huge pages made", khugepaged_begin, khugepaged_end },
	{ "split", event_split, 0, "huge pages split", NULL, NULL },
	{ "forget", event_forget, 0, NULL, NULL, NULL },
	{ "softdirty", event_softdirty, EV_CPU_READS, "pages looked at", NULL, NULL },
	{ "writeback", event_writeback, 0, "pages unmapped", NULL, NULL },
	{ NULL, NULL, 0, NULL, NULL, NULL },
};
