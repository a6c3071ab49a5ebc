/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#include "ctl.h"
#include "fail.h"

#include <endian.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MAGIC 0x6f64705f70657266ull /* "odp_perf" */
/*
 * Longer than any phase of a test, in an emulated and busy host, too. (The other
 * end gives up by itself when it gets nowhere.)
 */
#define SILENCE_S 1200
#define CONNECT_TRIES 50
#define CONNECT_PAUSE_NS 100000000

/* Before the numbers of every exchange */
struct head {
	uint64_t magic;
	uint64_t rc;
	uint64_t n;
	char text[FAIL_TEXT_SIZE];
};

static int set_up(int fd)
{
	struct timeval silence = { .tv_sec = SILENCE_S };
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence)))
		return fail_errno(RC_WRONG, "control connection: setsockopt");
	return RC_OK;
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in6 any = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(port),
		.sin6_addr = IN6ADDR_ANY_INIT,
	};
	struct sockaddr_in any4 = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
	};
	struct sockaddr *addr = (struct sockaddr *)&any;
	socklen_t len = sizeof(any);
	int one = 1, zero = 0, fd;

	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	} else { /* a host without IPv6 */
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		addr = (struct sockaddr *)&any4;
		len = sizeof(any4);
	}
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, addr, len) || listen(fd, 1)) {
		close(fd);
		return -1;
	}
	return fd;
}

int ctl_accept(uint16_t port, int *fd)
{
	int listener = listen_on(port);

	if (listener < 0)
		return fail_errno(RC_WRONG, "cannot listen on TCP port %u",
				  port);
	*fd = accept(listener, NULL, NULL);
	if (*fd < 0)
		fail_errno(RC_WRONG, "accept on TCP port %u", port);
	close(listener);
	return *fd < 0 ? RC_WRONG : set_up(*fd);
}

static int connect_any(const struct addrinfo *list)
{
	const struct addrinfo *a;
	int fd, saved = ECONNREFUSED;

	for (a = list; a; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC,
			    a->ai_protocol);
		if (fd >= 0 && !connect(fd, a->ai_addr, a->ai_addrlen))
			return fd;
		saved = errno;
		if (fd >= 0)
			close(fd);
	}
	errno = saved;
	return -1;
}

int ctl_connect(const char *host, uint16_t port, int *fd)
{
	const struct timespec pause = { .tv_nsec = CONNECT_PAUSE_NS };
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list;
	char service[8];
	int err, try;

	snprintf(service, sizeof(service), "%u", port);
	err = getaddrinfo(host, service, &hints, &list);
	if (err)
		return fail(RC_WRONG, "%s: %s", host, gai_strerror(err));
	for (try = 0; try < CONNECT_TRIES; try++) {
		*fd = connect_any(list);
		if (*fd >= 0 || errno != ECONNREFUSED)
			break;
		nanosleep(&pause, NULL);
	}
	if (*fd < 0)
		fail_errno(RC_WRONG, "cannot connect to %s, TCP port %u", host,
			   port);
	freeaddrinfo(list);
	return *fd < 0 ? RC_WRONG : set_up(*fd);
}

int ctl_pair(int fd[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
		return fail_errno(RC_WRONG, "socketpair");
	return set_up(fd[0]) || set_up(fd[1]) ? RC_WRONG : RC_OK;
}

static bool send_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;
	ssize_t n;

	while (len) {
		n = send(fd, p, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

static bool recv_all(int fd, void *buf, size_t len)
{
	char *p = buf;
	ssize_t n;

	while (len) {
		n = recv(fd, p, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ECONNRESET;
		if (n <= 0)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

static bool send_numbers(int fd, const uint64_t *out, size_t n)
{
	uint64_t wire[CTL_MAX];
	size_t i;

	for (i = 0; i < n; i++)
		wire[i] = htobe64(out[i]);
	return send_all(fd, wire, n * sizeof(*wire));
}

static bool recv_numbers(int fd, uint64_t *in, size_t n)
{
	size_t i;

	if (!recv_all(fd, in, n * sizeof(*in)))
		return false;
	for (i = 0; i < n; i++)
		in[i] = be64toh(in[i]);
	return true;
}

int ctl_exchange(int fd, int rc, const uint64_t *out, uint64_t *in, size_t n)
{
	struct head head = {
		.magic = htobe64(MAGIC),
		.rc = htobe64(rc),
		.n = htobe64(n),
	};
	bool sent;
	int peer_rc;

	if (rc)
		strcpy(head.text, fail_text());
	sent = send_all(fd, &head, sizeof(head)) && send_numbers(fd, out, n);
	if (rc)
		return rc; /* the other end stops as soon as it reads this */
	if (!recv_all(fd, &head, sizeof(head)))
		return fail_errno(RC_WRONG, "the other end went silent");
	if (head.magic != htobe64(MAGIC))
		return fail(RC_WRONG, "the other end is not odp_perf");
	peer_rc = be64toh(head.rc);
	head.text[FAIL_TEXT_SIZE - 1] = '\0';
	if (peer_rc)
		return fail(peer_rc, "at the other end: %s", head.text);
	if (be64toh(head.n) != n)
		return fail(RC_WRONG, "the other end is out of step");
	if (!sent || !recv_numbers(fd, in, n))
		return fail_errno(RC_WRONG, "control connection");
	return RC_OK;
}
