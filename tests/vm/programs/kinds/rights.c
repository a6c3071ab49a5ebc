// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What a process may not do the device may not do for it. */
#include "kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

enum { LEN = 5 * PAGE + 77, PROTECT_ROUNDS = 60, PROTECT_ERRORS = 5 };

/* The queue pair is in error, too, on both sides; then it is made anew. */
static void in_error(const char *what)
{
	uint64_t end = now_ms() + 2000 * slowness;
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	/* The peer may hear of it a moment before. */
	do {
		CHECK(!ibv_query_qp(owner_link.qp, &attr, IBV_QP_STATE, &init));
	} while (attr.qp_state != IBV_QPS_ERR && now_ms() < end);
	if (attr.qp_state != IBV_QPS_ERR)
		fail("%s: the owner's queue pair is in state %d", what, attr.qp_state);
	if (peer_op(IBV_WR_RDMA_READ, sh->base, 1) != IBV_WC_WR_FLUSH_ERR)
		fail("%s: the peer's queue pair still works", what);
	reconnect();
}

static void refuse(enum ibv_wr_opcode opcode, const void *at, uint32_t len, const char *what)
{
	check_op(opcode, at, len, IBV_WC_REM_ACCESS_ERR, what);
	in_error(what);
}

/* --- Read-only memory ------------------------------------------------------------- */

/* The owner's own requests, to its own memory that it may not write */
static void refuse_local(struct region *r, char *at)
{
	struct ibv_sge sge = { (uintptr_t)at, LEN, r->mr->lkey };
	int status;

	link_post(&owner_link, IBV_WR_RDMA_READ, 1, &sge, (uintptr_t)sh->buf[1],
		  sh->ends[1].rkey);
	status = link_wait(owner_link.scq, "READ into read-only memory").status;
	if (status != IBV_WC_LOC_PROT_ERR)
		fail("READ into read-only memory: '%s'", ibv_wc_status_str(status));
	reconnect();
	link_post_recv(&owner_link, 1, &sge);
	check_op(IBV_WR_SEND, NULL, LEN, IBV_WC_REM_OP_ERR, "SEND into read-only memory");
	status = link_wait(owner_link.rcq, "RECV into read-only memory").status;
	if (status != IBV_WC_LOC_PROT_ERR)
		fail("RECV into read-only memory: '%s'", ibv_wc_status_str(status));
	reconnect();
}

/* From memory that may be written into memory that may not */
static void refuse_crossing(struct region *r)
{
	uint32_t i;

	CHECK(!mprotect(r->base, sh->slot, PROT_READ | PROT_WRITE));
	memset(sh->buf[0], 0xd7, 3 * PAGE);
	refuse(IBV_WR_RDMA_WRITE, r->base + sh->slot - PAGE - 5, 2 * PAGE, "WRITE across");
	for (i = sh->slot - PAGE - 5; i < sh->slot; i++)
		if ((uint8_t)r->base[i] == 0xd7)
			sh->shadow[i] = 0xd7;
	CHECK(!mprotect(r->base, sh->slot, PROT_READ));
}

static void verify_file(struct region *r)
{
	static uint8_t now[REGION_MAX];
	const uint8_t *must = region_shared(r) ? sh->shadow : sh->alt;

	if (r->fd < 0)
		return;
	CHECK(pread(r->fd, now, sh->size, r->fd_off + r->guard) == (ssize_t)sh->size);
	if (memcmp(now, must, sh->size))
		fail("%s: the file was written to", r->kind->name);
}

/* Of a file opened for reading, the mapping is made anew. */
static void make_readonly(struct region *r)
{
	char path[64];
	int fd;

	if (r->fd < 0) {
		CHECK(!mprotect(r->map, r->map_len, PROT_READ));
		return;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", r->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK(mmap(r->map, r->map_len, PROT_READ, r->flags | MAP_FIXED, fd, r->fd_off) == r->map);
	close(fd);
	if (!region_shared(r)) {
		memcpy(sh->shadow, sh->alt, sh->size);
		CHECK(pread(r->fd, sh->buf[0], 1, 0) == 1);
	}
}

static void readonly(const char *kind)
{
	struct region r;
	uint32_t at;
	int i;

	region_start(&r, kind, true);
	if (r.fd >= 0 && !region_shared(&r)) {
		/* What the guards hold is not in the file. */
		CHECK(pwrite(r.fd, r.map, r.guard, r.fd_off) == (ssize_t)r.guard);
		CHECK(pwrite(r.fd, r.map + r.map_len - r.guard, r.guard,
			     r.fd_off + r.map_len - r.guard) == (ssize_t)r.guard);
	}
	/* The device has entries that it may write. */
	memset(sh->buf[0], 0x3b, BUF);
	memset(sh->shadow + 8192, 0x3b, BUF);
	check_op(IBV_WR_RDMA_WRITE, r.base + 8192, BUF, IBV_WC_SUCCESS, "WRITE");
	make_readonly(&r);
	for (i = 0; i < 3; i++) {
		peer_sweep();
		at = i == 2 ? sh->size - LEN : 8192 + i * (sh->slot / 2);
		memset(sh->buf[0], 0xd7, LEN);
		refuse(IBV_WR_RDMA_WRITE, r.base + at, LEN, kind);
		refuse(IBV_WR_RDMA_WRITE, r.base + at, 1, kind);
		memset(sh->buf, 0xd7, 2 * BUF);
		refuse_local(&r, r.base + at);
		region_verify(&r);
	}
	if (r.fd < 0)
		refuse_crossing(&r);
	peer_sweep();
	region_verify(&r);
	verify_file(&r);
	printf("   %s, read-only: READ is right, 12 writes of all kinds refused, not a byte changed\n",
	       kind);
	region_free(&r);
}

void check_readonly(void)
{
	readonly("anon");
	readonly("thp");
	readonly("memfd");
	readonly("tmpfs");
	readonly("tmpfs_private");
	readonly("ext4");
	readonly("ext4_private");
	readonly("hugetlb");
	readonly("brk");
}

/* --- Rights that go while the device writes ------------------------------------------ */

/* Once mprotect() or munmap() has returned, not a byte may change. */
static int protect_once(struct region *r, uint64_t *random)
{
	static uint8_t before[BUF];
	uint32_t off = random_below(random, sh->size - BUF) / PAGE * PAGE;
	uint32_t first = random_below(random, BUF / PAGE / 2) * PAGE;
	char *at = r->base + off;
	int status;

	random_fill(random, sh->buf[0], BUF);
	peer_post(IBV_WR_RDMA_WRITE, (uintptr_t)at, BUF);
	nap(random_below(random, 3000 * slowness));
	CHECK(!mprotect(at + first, BUF - first, PROT_READ));
	memcpy(before, at + first, BUF - first);
	status = peer_status();
	if (memcmp(before, at + first, BUF - first))
		fail("memory has changed after mprotect(PROT_READ)");
	CHECK(!mprotect(at + first, BUF - first, PROT_READ | PROT_WRITE));
	if (status == IBV_WC_SUCCESS) {
		CHECK(!memcmp(at, sh->buf[0], BUF));
		return 0;
	}
	if (status != IBV_WC_REM_ACCESS_ERR)
		fail("WRITE under mprotect: '%s'", ibv_wc_status_str(status));
	reconnect();
	check_op(IBV_WR_RDMA_WRITE, at, BUF, IBV_WC_SUCCESS, "WRITE after mprotect");
	CHECK(!memcmp(at, sh->buf[0], BUF));
	return 1;
}

static void protect(const char *kind, int advice)
{
	struct region r;
	uint64_t random = 31;
	int rounds = 0, errors = 0;

	region_start(&r, kind, false);
	if (advice)
		CHECK(!madvise(r.map, r.map_len, advice));
	while (rounds < PROTECT_ROUNDS || errors < PROTECT_ERRORS) {
		CHECK(rounds < 50 * PROTECT_ROUNDS);
		errors += protect_once(&r, &random);
		rounds++;
	}
	memcpy(sh->shadow, r.base, sh->size);
	region_verify(&r);
	peer_sweep();
	region_free(&r);
	printf("   %s: mprotect under WRITEs, %d rounds, %d of them refused\n", kind, rounds, errors);
}

void check_protect(void)
{
	protect("anon", 0);
	protect("thp", 0);
	protect("ext4", 0);
}

/* --- Memory that no device may have -------------------------------------------------- */

static int refused_places;

static void refuse_both(const void *at, const char *what)
{
	refuse(IBV_WR_RDMA_READ, at, 100, what);
	memset(sh->buf[0], 0xd7, 100);
	refuse(IBV_WR_RDMA_WRITE, at, 100, what);
	check_op(IBV_WR_RDMA_READ, (void *)sh->base, PAGE, IBV_WC_SUCCESS, "READ after a refusal");
	refused_places++;
	printf("   %s at %p: refused\n", what, at);
}

static void refuse_secret(void)
{
	int fd = syscall(SYS_memfd_secret, 0);
	uint32_t i;
	char *p;

	if (fd < 0) {
		printf("   (no memfd_secret: %s; secretmem.enable=1 on the command line gives it)\n",
		       strerror(errno));
		return;
	}
	CHECK(!ftruncate(fd, 4 * PAGE));
	p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	refuse_both(p, "memfd_secret, not touched");
	memset(p, 0x66, 4 * PAGE);
	refuse_both(p, "memfd_secret");
	for (i = 0; i < 4 * PAGE; i++)
		CHECK(p[i] == 0x66);
	munmap(p, 4 * PAGE);
	close(fd);
}

/* Registers and memory of devices, as many as this machine lets us map */
static void refuse_devices(void)
{
	const char * const patterns[] = { "/sys/bus/pci/devices/*/resource[0-9]", "/dev/mem" };
	const off_t offsets[] = { 0, 0xa0000 };
	size_t i, j, found = 0;
	glob_t g;

	for (i = 0; i < 2; i++) {
		if (glob(patterns[i], 0, NULL, &g))
			continue;
		for (j = 0; j < g.gl_pathc && found < 3 + i; j++) {
			int fd = open(g.gl_pathv[j], O_RDWR | O_CLOEXEC);
			char *p = fd < 0 ? MAP_FAILED : mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
							     MAP_SHARED, fd, offsets[i]);

			if (p != MAP_FAILED) {
				refuse_both(p, g.gl_pathv[j]);
				munmap(p, PAGE);
				found++;
			}
			if (fd >= 0)
				close(fd);
		}
		globfree(&g);
	}
	if (!found)
		fail("there is no device mapping to try");
}

/* Mappings that every process has. The kernel's clock pages are no ordinary ones. */
static void refuse_special(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned long start, end;
	char line[512];

	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		CHECK(sscanf(line, "%lx-%lx", &start, &end) == 2);
		if (strstr(line, "[vvar]")) {
			refuse_both((void *)start, "[vvar]");
		} else if (strstr(line, "[vdso]")) {
			check_op(IBV_WR_RDMA_READ, (void *)start, PAGE, IBV_WC_SUCCESS, "[vdso]");
			CHECK(!memcmp(sh->buf[0], (void *)start, PAGE));
			memset(sh->buf[0], 0xd7, 100);
			refuse(IBV_WR_RDMA_WRITE, (void *)start, 100, "[vdso]");
		}
	}
	fclose(f);
}

void check_refused(void)
{
	struct region r;
	char *hole;

	region_start(&r, "anon", true);
	hole = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(hole != MAP_FAILED);
	refuse_both(hole, "PROT_NONE");
	CHECK(!munmap(hole, 4 * PAGE));
	refuse_both(hole, "a hole");
	refuse_both((void *)16, "page zero");
	refuse_both((void *)0xffffffffff600000, "[vsyscall]");
	refuse_both((void *)0xffff888000001000, "the kernel's memory");
	refuse_both((void *)0x0100000000000000, "no address");
	refuse_special();
	refuse_secret();
	refuse_devices();
	peer_sweep();
	region_verify(&r);
	region_free(&r);
	printf("   %d places refused, for reading and for writing\n", refused_places);
}
