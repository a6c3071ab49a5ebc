// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What the kernel says: counters, page tables, memory */
#include "kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define COUNTERS "/sys/class/infiniband/odp0/ports/1/hw_counters/"

long read_number(const char *path)
{
	FILE *f = fopen(path, "re");
	long value = -1;

	if (f && fscanf(f, "%ld", &value) != 1)
		value = -1;
	if (f)
		fclose(f);
	return value;
}

/* The kernel looks at its counters every 10 ms only. */
uint64_t counter(const char *name)
{
	char path[256];
	long value;

	nap(12000);
	snprintf(path, sizeof(path), COUNTERS "%s", name);
	value = read_number(path);
	if (value < 0)
		fail("no counter %s", path);
	return value;
}

bool try_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));
	int err = errno;

	if (fd >= 0)
		close(fd);
	errno = err;
	return n == (ssize_t)strlen(text);
}

void write_file(const char *path, const char *text)
{
	if (!try_write_file(path, text))
		fail("writing %s to %s: %s", text, path, strerror(errno));
}

long vmstat(const char *name)
{
	FILE *f = fopen("/proc/vmstat", "re");
	char word[64];
	long value;

	CHECK(f);
	while (fscanf(f, "%63s %ld", word, &value) == 2) {
		if (strcmp(word, name))
			continue;
		fclose(f);
		return value;
	}
	fail("no %s in /proc/vmstat", name);
}

void pagemap_many(const void *at, uint64_t *entries, size_t n)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK(pread(fd, entries, n * 8, (uintptr_t)at / PAGE * 8) == (ssize_t)n * 8);
	close(fd);
}

uint64_t pagemap(const void *at)
{
	uint64_t entry;

	pagemap_many(at, &entry, 1);
	return entry;
}

/* A field of /proc/self/smaps, for the mapping that at is in */
long smaps_kb(const void *at, const char *field)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long start, end;
	bool inside = false;
	char line[512];
	long kb = -1;

	CHECK(f);
	while (kb < 0 && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = (uintptr_t)at >= start && (uintptr_t)at < end;
		else if (inside && !strncmp(line, field, strlen(field)) &&
			 line[strlen(field)] == ':')
			kb = atol(line + strlen(field) + 1);
	}
	fclose(f);
	return kb;
}
