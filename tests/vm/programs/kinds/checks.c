// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Checks of one kind of memory, step by step */
#include "kinds.h"

#include <sys/mman.h>
#include <unistd.h>

void region_start(struct region *r, const char *kind, bool implicit)
{
	const struct kind *k = kind_find(kind);

	region_make(r, k);
	model_layout(k->size, k->slot, 4242, false);
	sh->base = (uintptr_t)r->base;
	region_fill(r);
	region_register(r, implicit);
	reconnect();
}

void check_op(enum ibv_wr_opcode opcode, const void *at, uint32_t len, int status,
	      const char *what)
{
	int got = peer_op(opcode, (uintptr_t)at, len);

	if (got != status)
		fail("%s: '%s' and must be '%s'", what, ibv_wc_status_str(got),
		     ibv_wc_status_str(status));
}

static void check_zeros(const void *at, size_t len, const char *what)
{
	const uint8_t *p = at;
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i])
			fail("%s: byte %zu is %02x and must be zero", what, i, p[i]);
}

static void read_zeros(const char *at, uint32_t len, const char *what)
{
	memset(sh->buf[0], 0xee, len);
	check_op(IBV_WR_RDMA_READ, at, len, IBV_WC_SUCCESS, what);
	check_zeros(sh->buf[0], len, what);
}

/* --- The zero page ------------------------------------------------------------ */

/* Never touched memory is read, and costs none; then it is written to. */
static void zero_page(const char *kind, long most_kb)
{
	struct region r, other;
	char *mid;
	long rss;

	region_make(&other, kind_find(kind));
	region_make(&r, kind_find(kind));
	region_register(&r, true);
	reconnect();
	read_zeros(r.base, BUF, kind);
	read_zeros(other.base, BUF, kind);
	rss = smaps_kb(r.base, "Anonymous");
	if (rss > most_kb)
		fail("reading %s took %ld KiB", kind, rss);
	mid = r.base + 5 * PAGE + 100;
	memset(sh->buf[0], 0x42, 6000);
	check_op(IBV_WR_RDMA_WRITE, mid, 6000, IBV_WC_SUCCESS, kind);
	check_zeros(r.base, mid - r.base, "before what was written");
	check_zeros(mid + 6000, BUF, "behind what was written");
	CHECK(mid[0] == 0x42 && !memcmp(mid, mid + 1, 5999));
	check_zeros(other.base, BUF, "other memory");
	read_zeros(other.base, BUF, "other memory, by the device");
	read_zeros(r.base, mid - r.base, "before, by the device");
	printf("   %s: zeros are read, at no cost (%ld KiB); a WRITE changes its bytes alone\n",
	       kind, rss);
	CHECK(!ibv_dereg_mr(r.mr));
	munmap(r.map, r.map_len);
	munmap(other.map, other.map_len);
}

void check_zero(void)
{
	zero_page("anon", 0);
	zero_page("thp", 0);
	zero_page("memfd", 0);
}

/* --- A stack ------------------------------------------------------------------- */

/*
 * Linux 6.1.37 and later let a stack grow for its process's own accesses only,
 * so the device may not have what the CPU has not reached. Nearer than 64 KiB
 * the kernel would complain that someone relies on what was there before.
 */
void check_stack(void)
{
	char *here = __builtin_frame_address(0);
	char *far = here - (uintptr_t)here % PAGE - (6 << 20);
	struct region r = { .kind = kind_find("stack") };

	region_register(&r, true);
	reconnect();
	check_op(IBV_WR_RDMA_READ, far, 100, IBV_WC_REM_ACCESS_ERR, "below the stack");
	reconnect();
	memset(sh->buf[0], 0x17, PAGE);
	check_op(IBV_WR_RDMA_WRITE, far, PAGE, IBV_WC_REM_ACCESS_ERR, "below the stack");
	reconnect();
	*(volatile char *)(far - 2 * PAGE) = 1;
	read_zeros(far, PAGE, "the stack that has grown");
	memset(sh->buf[0], 0x17, PAGE);
	check_op(IBV_WR_RDMA_WRITE, far, PAGE, IBV_WC_SUCCESS, "the stack that has grown");
	CHECK(far[0] == 0x17 && !memcmp(far, far + 1, PAGE - 1));
	check_zeros(far + PAGE, 16 * PAGE, "the stack above what was written");
	check_zeros(far - PAGE, PAGE, "the stack below what was written");
	CHECK(!ibv_dereg_mr(r.mr));
	printf("   a stack: refused before it has grown, right after it\n");
}

/* --- Huge entries ----------------------------------------------------------------- */

/* One byte of each block is read: each costs one fault, which brings in the block. */
static void huge_entries(const char *kind, const char *field)
{
	uint64_t faults, pages;
	uint32_t off, n = 0;
	struct region r;
	long kb;

	region_start(&r, kind, false);
	kb = smaps_kb(r.base, field);
	if (field && kb < (long)sh->size / 1024)
		fail("%s: only %ld KiB are huge: %s", kind, kb, field);
	faults = counter("odp_faults");
	pages = counter("odp_fault_pages");
	for (off = 12345; off < sh->size; off += BLOCK, n++)
		check_op(IBV_WR_RDMA_READ, r.base + off, 1, IBV_WC_SUCCESS, kind);
	faults = counter("odp_faults") - faults;
	pages = counter("odp_fault_pages") - pages;
	if (faults != n || pages != n * (BLOCK / PAGE))
		fail("%s: %u blocks took %lu faults of %lu pages", kind, n, faults, pages);
	faults = counter("odp_faults");
	peer_sweep();
	faults = counter("odp_faults") - faults;
	if (faults)
		fail("%s: %lu faults in blocks that are there", kind, faults);
	printf("   %s: %u huge entries by one fault each, and none to read all of it\n", kind, n);
	region_free(&r);
}

void check_huge(void)
{
	huge_entries("thp", "AnonHugePages");
	huge_entries("memfd_huge", "ShmemPmdMapped");
	huge_entries("hugetlb", "Private_Hugetlb");
	huge_entries("hugetlb_shared", "Private_Hugetlb");
}

/* --- Pages that KSM has merged ------------------------------------------------------ */

static bool merged(const char *a, const char *b)
{
	return (pagemap(a) & PM_PRESENT) && (pagemap(a) & PM_PFN) == (pagemap(b) & PM_PFN);
}

static void wait_merged(const char *a, const char *b)
{
	uint64_t end = now_ms() + 20000 * slowness;

	while (!merged(a, b)) {
		if (now_ms() > end)
			fail("KSM does not merge two pages that are alike");
		nap(10000);
	}
}

/* A READ leaves it shared; a WRITE ends it, and changes one of the two. */
static void ksm_break(struct region *r, int round)
{
	char *a = r->base + round * 4 * PAGE, *b = r->base + (100 + round) * PAGE;

	memset(a, 0x51 + round, PAGE);
	memset(b, 0x51 + round, PAGE);
	wait_merged(a, b);
	check_op(IBV_WR_RDMA_READ, a, PAGE, IBV_WC_SUCCESS, "READ of a merged page");
	CHECK(!memcmp(sh->buf[0], b, PAGE));
	if (!merged(a, b))
		fail("a READ has made the device a page of its own");
	memset(sh->buf[0], 0x99, 50);
	check_op(IBV_WR_RDMA_WRITE, a + 1000, 50, IBV_WC_SUCCESS, "WRITE to a merged page");
	CHECK(!merged(a, b));
	CHECK(a[999] == 0x51 + round && a[1050] == 0x51 + round);
	CHECK(a[1000] == (char)0x99 && !memcmp(a + 1000, a + 1001, 49));
	CHECK(b[0] == 0x51 + round && !memcmp(b, b + 1, PAGE - 1));
	check_op(IBV_WR_RDMA_READ, b, PAGE, IBV_WC_SUCCESS, "READ of the other one");
	CHECK(!memcmp(sh->buf[0], b, PAGE));
}

void check_ksm(void)
{
	struct region r;
	int i;

	if (access("/sys/kernel/mm/ksm/run", W_OK))
		skip("this kernel has no KSM");
	write_file("/sys/kernel/mm/ksm/pages_to_scan", "2000");
	write_file("/sys/kernel/mm/ksm/sleep_millisecs", "5");
	write_file("/sys/kernel/mm/ksm/run", "1");
	region_start(&r, "ksm", true);
	for (i = 0; i < 5; i++)
		ksm_break(&r, i);
	write_file("/sys/kernel/mm/ksm/run", "2");
	write_file("/sys/kernel/mm/ksm/run", "0");
	region_free(&r);
	printf("   merged pages: shared by a READ, parted by a WRITE, %d times\n", i);
}
