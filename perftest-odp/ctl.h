/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef CTL_H
#define CTL_H

#include <stddef.h>
#include <stdint.h>

/*
 * The control connection: how the two ends of a test agree and wait for each
 * other. TCP between hosts, a socket pair inside one process.
 */

/* Wait for one client on TCP port @port. Return: socket in *@fd */
int ctl_accept(uint16_t port, int *fd);
/* A server that starts at the same time gets a few seconds to come up */
int ctl_connect(const char *host, uint16_t port, int *fd);
int ctl_pair(int fd[2]);

/**
 * ctl_exchange() - meet the other end
 * @fd: control connection
 * @rc: how this end is doing
 * @out: @n numbers for the other end; may be NULL if @n is 0
 * @in: @n numbers from the other end
 * @n: at most CTL_MAX; the same at both ends
 *
 * Both ends call it, and it returns when both have. It is a barrier.
 *
 * Return: @rc if that is not RC_OK; else the other end's code, with its
 * sentence in fail_text()
 */
int ctl_exchange(int fd, int rc, const uint64_t *out, uint64_t *in, size_t n);

#define CTL_MAX 4096

static inline int ctl_barrier(int fd, int rc)
{
	return ctl_exchange(fd, rc, NULL, NULL, 0);
}

#endif
