// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * userfaultfd: pages that a handler in user space fills, slowly at times. What
 * it fills them with is what they must hold.
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

struct handler {
	int fd;
	pthread_t thread;
	char *base;
	atomic_bool stop;
	atomic_long filled;	/* for the device */
	atomic_long unprotected;
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
		.dst = at, .src = (uintptr_t)sh->shadow + (at - (uintptr_t)h->base), .len = PAGE,
	};

	if (ioctl(h->fd, UFFDIO_COPY, &copy) && errno != EEXIST && errno != EAGAIN)
		fail("UFFDIO_COPY: %s", strerror(errno));
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
	at = msg.arg.pagefault.address & ~(PAGE - 1ull);
	if (at / PAGE % 16 == 3)
		nap(4000);
	if (msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) {
		h->unprotected += by_device(&msg);
		protect(h, at, PAGE, 0);
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

void uffd_begin(struct run *run)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_THREAD_ID |
				  UFFD_FEATURE_PAGEFAULT_FLAG_WP };
	struct uffdio_register reg = {
		.range = { (uintptr_t)run->r->base, sh->size },
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP,
	};
	struct handler *h = calloc(1, sizeof(*h));

	CHECK(h);
	h->base = run->r->base;
	h->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	CHECK(h->fd >= 0);
	CHECK(!ioctl(h->fd, UFFDIO_API, &api));
	if (ioctl(h->fd, UFFDIO_REGISTER, &reg)) {
		reg.mode = UFFDIO_REGISTER_MODE_MISSING;
		CHECK(!ioctl(h->fd, UFFDIO_REGISTER, &reg));
	}
	CHECK(!pthread_create(&h->thread, NULL, handler_thread, h));
	run->priv = h;
}

void uffd_end(struct run *run)
{
	struct handler *h = run->priv;

	h->stop = true;
	pthread_join(h->thread, NULL);
	close(h->fd);
	free(h);
}

/* Evidence: pages filled because the device asked */
long event_uffd_missing(struct run *run)
{
	struct handler *h = run->priv;
	struct spot s = spot_take_locked(run);
	long before = h->filled;

	/* Shared memory would keep its pages. */
	CHECK(!madvise(s.at, s.len, region_shared(run->r) ? MADV_REMOVE : MADV_DONTNEED));
	spot_put(&s);
	nap(2000);
	return h->filled - before;
}

/* Evidence: writes of the device that had to wait */
long event_uffd_protect(struct run *run)
{
	struct handler *h = run->priv;
	struct spot s = spot_any(run);
	long before = h->unprotected;

	protect(h, (uintptr_t)s.at, s.len, UFFDIO_WRITEPROTECT_MODE_WP);
	nap(2000);
	return h->unprotected - before;
}
