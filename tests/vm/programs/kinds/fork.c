// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * fork: a child's memory is its own. The device works on that of the process
 * that registered it, whoever posts.
 */
#include "kinds.h"

#include <pthread.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIVES = 12, CHILD_RIGHT = 0, SAW_PARENT = 11, LOST_OWN = 12 };

extern char **environ;

/* A child calls nothing that takes locks: its parent has other threads. */
static int child_watch(char *wrote, const uint8_t *old_wrote, const char *watched,
		       const uint8_t *old_watched, uint32_t len)
{
	uint32_t half = len / 2;
	int i;

	if (memcmp(wrote, old_wrote, len))
		return SAW_PARENT;
	memset(wrote, 0x5c, half);
	for (i = 0; i < LIVES; i++) {
		nap(1000);
		if (memcmp(watched, old_watched, len) ||
		    memcmp(wrote + half, old_wrote + half, len - half))
			return SAW_PARENT;
		if (wrote[i * 100 % half] != 0x5c || memcmp(wrote, wrote + 1, half - 1))
			return LOST_OWN;
	}
	return CHILD_RIGHT;
}

static void reap(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SAW_PARENT)
		fail("a child has seen what was written after the fork");
	if (WIFEXITED(status) && WEXITSTATUS(status) == LOST_OWN)
		fail("what a child wrote did not stay in its memory");
	if (status)
		fail("a child has ended with status %#x", status);
}

/* One slot is written by the child, another one is not, and is written by us. */
long event_fork(struct run *run)
{
	static uint8_t old[2][BLOCK];
	struct spot wrote = spot_take_locked(run), watched;
	pid_t pid;

	do {
		watched = spot_any(run);
	} while (watched.slot == wrote.slot);
	slot_lock(watched.slot);
	watched.locked = true;
	memcpy(old[0], sh->shadow + wrote.off, wrote.len);
	memcpy(old[1], sh->shadow + watched.off, watched.len);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		_exit(child_watch(wrote.at, old[0], watched.at, old[1], wrote.len));
	spot_put(&wrote);
	spot_put(&watched);
	reap(pid);
	return 1;
}

/* vfork and exec, as posix_spawn() does it */
long event_spawn(struct run *run)
{
	char *argv[] = { "true", NULL };
	pid_t pid;

	(void)run;
	CHECK(!posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ));
	reap(pid);
	return 1;
}

/* --- A child at work ------------------------------------------------------------- */

/*
 * It unmaps its copy, and forbids what is left: no concern of the device's. Then
 * it registers memory of its own, at the same addresses, by a device of its own.
 */
static int child_unmaps(const struct region *r)
{
	char *at = r->base;
	uint32_t half = sh->size / 2, i;

	if (munmap(at, half) || mprotect(at + half, half, PROT_NONE))
		return 1;
	nap(20000);
	at = mmap(at, sh->size, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (at != r->base)
		return 2;
	memset(at, 0x77, sh->size);
	nap(50000);
	for (i = 0; i < sh->size; i++)
		if (at[i] != 0x77)
			return SAW_PARENT;
	return CHILD_RIGHT;
}

void check_child(void)
{
	struct region r;
	uint64_t random = 5;
	uint32_t off, n = 0;
	pid_t pid;
	int status;

	region_start(&r, "anon", true);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		_exit(child_unmaps(&r));
	while (!waitpid(pid, &status, WNOHANG)) {
		off = random_below(&random, sh->size - 5000);
		random_fill(&random, sh->buf[0], 5000);
		memcpy(sh->shadow + off, sh->buf[0], 5000);
		check_op(IBV_WR_RDMA_WRITE, r.base + off, 5000, IBV_WC_SUCCESS, "WRITE");
		n++;
	}
	if (status)
		fail("a child that unmaps, protects and maps has status %#x", status);
	region_verify(&r);
	peer_sweep();
	region_free(&r);
	printf("   a child unmaps its copy and maps anew: %u WRITEs meanwhile, all to the parent\n", n);
}

/* --- A child that uses its parent's objects --------------------------------------- */

/* By what it inherited, it posts a SEND from, a READ to and a RECV to the region. */
static int child_posts(const struct region *r)
{
	struct ibv_sge sge = { (uintptr_t)r->base, PAGE, r->mr->lkey };
	char *at = r->base;
	int i;

	memset(at, 0x33, 3 * PAGE);
	link_post(&owner_link, IBV_WR_RDMA_WRITE, 1, &sge, (uintptr_t)sh->buf[1],
		  sh->ends[1].rkey);
	sge.addr += PAGE;
	link_post(&owner_link, IBV_WR_RDMA_READ, 2, &sge, (uintptr_t)sh->buf[2],
		  sh->ends[1].rkey);
	sge.addr += PAGE;
	link_post_recv(&owner_link, 3, &sge);
	sh->victim = 1;
	while (sh->victim == 1)
		nap(1000);
	for (i = 0; i < 3 * PAGE; i++)
		if (at[i] != 0x33)
			return SAW_PARENT;
	return CHILD_RIGHT;
}

static void check_pages(const struct region *r)
{
	char must[4] = { 0x11, 0x22, 0x44, 0x11 };
	int page, i;

	for (page = 0; page < 4; page++)
		for (i = 0; i < PAGE; i++)
			if (r->base[page * PAGE + i] != must[page])
				fail("byte %d of page %d is %02x: not what the device was to write",
				     i, page, r->base[page * PAGE + i]);
	for (i = 0; i < PAGE; i++)
		if (sh->buf[1][i] != 0x11)
			fail("a WRITE that a child posts has sent the child's memory");
}

void check_inherited(void)
{
	struct region r;
	pid_t pid;
	int i;

	for (i = 0; i < 10; i++) {
		region_start(&r, "anon", i % 2);
		memset(r.base, 0x11, 4 * PAGE);
		memset(sh->buf, 0, sizeof(sh->buf));
		memset(sh->buf[2], 0x22, PAGE);
		memset(sh->buf[0], 0x44, PAGE);
		sh->victim = 0;
		pid = fork();
		CHECK(pid >= 0);
		if (!pid)
			_exit(child_posts(&r));
		while (!sh->victim)
			nap(500);
		CHECK(link_wait(owner_link.scq, "a child's WRITE").status == IBV_WC_SUCCESS);
		CHECK(link_wait(owner_link.scq, "a child's READ").status == IBV_WC_SUCCESS);
		check_op(IBV_WR_SEND, NULL, PAGE, IBV_WC_SUCCESS, "SEND");
		CHECK(link_wait(owner_link.rcq, "a child's RECV").status == IBV_WC_SUCCESS);
		sh->victim = 2;
		reap(pid);
		check_pages(&r);
		region_free(&r);
	}
	printf("   a child posts by inherited queue pairs: the parent's memory alone, %d times\n", i);
}

/* --- Threads ------------------------------------------------------------------------ */

static void *register_it(void *arg)
{
	region_register(arg, true);
	return NULL;
}

static void *drop_it(void *arg)
{
	struct region *r = arg;

	CHECK(!madvise(r->base, sh->size, MADV_DONTNEED));
	return NULL;
}

static void in_thread(void *(*f)(void *arg), struct region *r)
{
	pthread_t thread;

	CHECK(!pthread_create(&thread, NULL, f, r) && !pthread_join(thread, NULL));
}

void check_threads(void)
{
	struct region r;
	int i;

	region_make(&r, kind_find("anon"));
	model_layout(r.kind->size, r.kind->slot, 9, false);
	sh->base = (uintptr_t)r.base;
	region_fill(&r);
	in_thread(register_it, &r);
	reconnect();
	for (i = 0; i < 5; i++) {
		peer_sweep();
		in_thread(drop_it, &r);
		memset(sh->shadow, 0, sh->size);
		peer_sweep();
		region_verify(&r);
	}
	region_free(&r);
	printf("   registered by a thread that has ended, dropped by others: read %d times\n", 2 * i);
}
