// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * userfaultfd: pages that a handler in user space fills, slowly at times. What
 * it fills them with is what they must hold.
 *
 * Where faults are minor ones the pages are there, in the file, with contents
 * that are wrong until the handler has put them right by a mapping of its own.
 */
#include "kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { WRONG = 0x5f };

struct handler {
	int fd;
	pthread_t thread;
	char *base;
	char *other;		/* its own mapping, for minor faults */
	uint32_t page;		/* of the kind of memory */
	atomic_bool stop;
	atomic_long filled;	/* for the device, since the last event */
	atomic_long unprotected;
	atomic_bool wrong[REGION_MAX / PAGE];
};

/* A thread of the device is none of ours. */
static bool by_device(const struct uffd_msg *msg)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%u", msg->arg.pagefault.feat.ptid);
	return access(path, F_OK);
}

static void fill(struct handler *h, uint64_t at)
{
	struct uffdio_copy copy = {
		.dst = at, .src = (uintptr_t)sh->shadow + (at - (uintptr_t)h->base), .len = h->page,
	};

	if (ioctl(h->fd, UFFDIO_COPY, &copy) && errno != EEXIST && errno != EAGAIN)
		fail("UFFDIO_COPY: %s", strerror(errno));
}

static void put_right(struct handler *h, uint64_t at)
{
	struct uffdio_continue map = { .range = { at, h->page } };
	uint32_t off = at - (uintptr_t)h->base;

	if (atomic_exchange(&h->wrong[off / PAGE], false))
		memcpy(h->other + off, sh->shadow + off, h->page);
	if (ioctl(h->fd, UFFDIO_CONTINUE, &map) && errno != EEXIST && errno != EAGAIN)
		fail("UFFDIO_CONTINUE: %s", strerror(errno));
}

static void protect(struct handler *h, uint64_t at, uint32_t len, uint64_t mode)
{
	struct uffdio_writeprotect wp = { .range = { at, len }, .mode = mode };

	while (ioctl(h->fd, UFFDIO_WRITEPROTECT, &wp))
		if (errno != EAGAIN)
			fail("UFFDIO_WRITEPROTECT: %s", strerror(errno));
}

static void handle(struct handler *h)
{
	struct uffd_msg msg;
	uint64_t at;

	if (read(h->fd, &msg, sizeof(msg)) != sizeof(msg))
		return;
	CHECK(msg.event == UFFD_EVENT_PAGEFAULT);
	at = msg.arg.pagefault.address & ~(h->page - 1ull);
	if (at / h->page % (h->page == PAGE ? 16 : 4) == 3)
		nap(4000);
	if (msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) {
		h->unprotected += by_device(&msg);
		protect(h, at, h->page, 0);
	} else if (msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_MINOR) {
		h->filled += by_device(&msg);
		put_right(h, at);
	} else {
		h->filled += by_device(&msg);
		fill(h, at);
	}
}

static void *handler_thread(void *arg)
{
	struct handler *h = arg;
	struct pollfd p = { .fd = h->fd, .events = POLLIN };

	while (!h->stop)
		if (poll(&p, 1, 20) > 0)
			handle(h);
	return NULL;
}

static struct handler *handler_open(struct run *run, uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API,
				  .features = UFFD_FEATURE_THREAD_ID | features };
	struct handler *h = calloc(1, sizeof(*h));

	CHECK(h);
	h->base = run->r->base;
	h->page = smaps_kb(h->base, "KernelPageSize") << 10;
	h->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	CHECK(h->fd >= 0);
	if (ioctl(h->fd, UFFDIO_API, &api))
		skip("this kernel's userfaultfd has not the features %#llx", api.features);
	run->priv = h;
	return h;
}

static bool handler_register(const struct handler *h, uint64_t mode)
{
	struct uffdio_register reg = { .range = { (uintptr_t)h->base, sh->size }, .mode = mode };

	return !ioctl(h->fd, UFFDIO_REGISTER, &reg);
}

void uffd_begin(struct run *run)
{
	struct handler *h = handler_open(run, UFFD_FEATURE_PAGEFAULT_FLAG_WP);

	if (!handler_register(h, UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP))
		CHECK(handler_register(h, UFFDIO_REGISTER_MODE_MISSING));
	CHECK(!pthread_create(&h->thread, NULL, handler_thread, h));
}

void uffd_minor_begin(struct run *run)
{
	struct handler *h = handler_open(run, UFFD_FEATURE_MINOR_SHMEM |
					 UFFD_FEATURE_MINOR_HUGETLBFS);
	const struct region *r = run->r;

	h->other = mmap(NULL, sh->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
			r->fd_off + r->guard);
	CHECK(h->other != MAP_FAILED);
	CHECK(handler_register(h, UFFDIO_REGISTER_MODE_MINOR));
	CHECK(!pthread_create(&h->thread, NULL, handler_thread, h));
}

void uffd_end(struct run *run)
{
	struct handler *h = run->priv;

	h->stop = true;
	pthread_join(h->thread, NULL);
	if (h->other)
		CHECK(!munmap(h->other, sh->size));
	close(h->fd);
	free(h);
}

/* Evidence: pages filled because the device asked */
long event_uffd_missing(struct run *run)
{
	struct handler *h = run->priv;
	struct spot s = spot_take_locked(run);

	/* Shared memory would keep its pages. */
	CHECK(!madvise(s.at, s.len, region_shared(run->r) ? MADV_REMOVE : MADV_DONTNEED));
	spot_put(&s);
	nap(2000);
	return atomic_exchange(&h->filled, 0);
}

/* Evidence: writes of the device that had to wait */
long event_uffd_protect(struct run *run)
{
	struct handler *h = run->priv;
	struct spot s = spot_any(run);

	protect(h, (uintptr_t)s.at, s.len, UFFDIO_WRITEPROTECT_MODE_WP);
	nap(2000);
	return atomic_exchange(&h->unprotected, 0);
}

/*
 * All pages of a slot go wrong, and then leave the page tables. Evidence: pages
 * put right because the device asked
 */
long event_uffd_minor(struct run *run)
{
	struct handler *h = run->priv;
	struct spot s = spot_take_locked(run);
	uint32_t off;

	memset(h->other + s.off, WRONG, s.len);
	for (off = s.off; off < s.off + s.len; off += h->page)
		h->wrong[off / PAGE] = true;
	CHECK(!madvise(s.at, s.len, MADV_DONTNEED));
	spot_put(&s);
	nap(2000);
	return atomic_exchange(&h->filled, 0);
}
