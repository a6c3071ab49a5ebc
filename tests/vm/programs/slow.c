/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#include "slow.h"
#include "ends.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The lock is held. A page that has come by another way is fine, too. */
static void answer(struct slow *slow, size_t page)
{
	static char bytes[PAGE] __attribute__((aligned(4096)));
	struct uffdio_copy copy = {
		.dst = (uintptr_t)slow->start + page * PAGE,
		.src = (uintptr_t)bytes,
		.len = PAGE,
	};

	memset(bytes, slow_byte(page), PAGE);
	if (ioctl(slow->fd, UFFDIO_COPY, &copy) && errno == EEXIST) {
		struct uffdio_range range = { copy.dst, PAGE };

		CHECK(!ioctl(slow->fd, UFFDIO_WAKE, &range));
	}
	slow->due[page] = 0;
}

/* Return: ms until the next answer is due, or -1 */
static int answer_due(struct slow *slow)
{
	double time = now(), next = 0;
	size_t i;

	pthread_mutex_lock(&slow->lock);
	for (i = 0; i < slow->pages; i++) {
		if (slow->due[i] && slow->due[i] <= time)
			answer(slow, i);
		else if (slow->due[i] && (!next || slow->due[i] < next))
			next = slow->due[i];
	}
	pthread_mutex_unlock(&slow->lock);
	return next ? (int)((next - time) * 1000) + 1 : -1;
}

static void take_faults(struct slow *slow)
{
	struct uffd_msg msg;
	size_t page;

	while (read(slow->fd, &msg, sizeof(msg)) == sizeof(msg)) {
		CHECK(msg.event == UFFD_EVENT_PAGEFAULT);
		page = (msg.arg.pagefault.address - (uintptr_t)slow->start) / PAGE;
		CHECK(page < slow->pages);
		pthread_mutex_lock(&slow->lock);
		slow->asked++;
		if (!slow->due[page])
			slow->due[page] = now() + slow->delay_ms[page] / 1000.0;
		pthread_mutex_unlock(&slow->lock);
	}
}

static void *handler(void *arg)
{
	struct slow *slow = arg;
	struct pollfd fds[2] = {
		{ .fd = slow->fd, .events = POLLIN },
		{ .fd = slow->quit[0], .events = POLLIN },
	};

	do {
		poll(fds, 2, answer_due(slow));
		take_faults(slow);
	} while (!fds[1].revents);
	return NULL;
}

void slow_begin(struct slow *slow, char *start, size_t pages)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (uintptr_t)start, pages * PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	CHECK(pages <= SLOW_PAGES_MAX);
	memset(slow, 0, sizeof(*slow));
	slow->start = start;
	slow->pages = pages;
	pthread_mutex_init(&slow->lock, NULL);
	slow->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	CHECK(slow->fd >= 0);
	CHECK(!ioctl(slow->fd, UFFDIO_API, &api));
	CHECK(!madvise(start, pages * PAGE, MADV_DONTNEED));
	CHECK(!ioctl(slow->fd, UFFDIO_REGISTER, &reg));
	CHECK(!pipe(slow->quit));
	CHECK(!pthread_create(&slow->thread, NULL, handler, slow));
}

void slow_set_delay(struct slow *slow, size_t first, size_t pages, unsigned int ms)
{
	size_t i;

	pthread_mutex_lock(&slow->lock);
	for (i = first; i < first + pages; i++)
		slow->delay_ms[i] = ms;
	pthread_mutex_unlock(&slow->lock);
}

void slow_reset(struct slow *slow)
{
	/* Who asks now shall not be served by what was asked for before. */
	while (answer_due(slow) >= 0)
		pause_ms(1);
	pthread_mutex_lock(&slow->lock);
	slow->asked = 0;
	pthread_mutex_unlock(&slow->lock);
	/* Whose fault it is that follows, that of before or a new one, it counts. */
	CHECK(!madvise(slow->start, slow->pages * PAGE, MADV_DONTNEED));
}

unsigned int slow_asked(struct slow *slow)
{
	unsigned int asked;

	pthread_mutex_lock(&slow->lock);
	asked = slow->asked;
	pthread_mutex_unlock(&slow->lock);
	return asked;
}

void slow_end(struct slow *slow)
{
	struct uffdio_range range = { (uintptr_t)slow->start, slow->pages * PAGE };

	CHECK(write(slow->quit[1], "", 1) == 1);
	CHECK(!pthread_join(slow->thread, NULL));
	CHECK(!ioctl(slow->fd, UFFDIO_UNREGISTER, &range));
	close(slow->fd);
	close(slow->quit[0]);
	close(slow->quit[1]);
}
