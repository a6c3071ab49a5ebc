/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#include "status.h"
#include "fail.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct wanted {
	const char *name; /* with its colon */
	uint64_t *value;
};

/* Lines such as "VmPin:      123 kB" */
static int read_lines(const char *path, const struct wanted *wanted, int n)
{
	FILE *f = fopen(path, "re");
	char line[256], name[64];
	uint64_t kib;
	int i;

	if (!f)
		return fail_errno(RC_WRONG, "%s", path);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63s %" SCNu64 " kB", name, &kib) != 2)
			continue;
		for (i = 0; i < n; i++)
			if (!strcmp(name, wanted[i].name))
				*wanted[i].value = kib << 10;
	}
	fclose(f);
	return RC_OK;
}

int memory_status(struct memory_status *s)
{
	const struct wanted wanted[] = {
		{ "VmPin:", &s->pinned },
		{ "VmLck:", &s->locked },
		{ "VmRSS:", &s->resident },
		{ "VmSwap:", &s->swapped },
	};

	memset(s, 0, sizeof(*s));
	return read_lines("/proc/self/status", wanted, 4);
}

int host_memory(struct host_memory *m)
{
	uint64_t slab = 0, vmalloc = 0, tables = 0, percpu = 0;
	const struct wanted wanted[] = {
		{ "MemFree:", &m->free },
		{ "MemAvailable:", &m->available },
		{ "Slab:", &slab },
		{ "VmallocUsed:", &vmalloc },
		{ "PageTables:", &tables },
		{ "Percpu:", &percpu },
	};
	int rc = read_lines("/proc/meminfo", wanted, 6);

	m->kernel = slab + vmalloc + tables + percpu;
	return rc;
}

static int read_counter(const char *device, int port, const char *name,
			uint64_t *value)
{
	char path[256];
	FILE *f;
	int got;

	snprintf(path, sizeof(path),
		 "/sys/class/infiniband/%s/ports/%d/hw_counters/%s", device,
		 port, name);
	f = fopen(path, "re");
	if (!f)
		return 0;
	got = fscanf(f, "%" SCNu64, value);
	fclose(f);
	return got == 1;
}

/* The kernel does not ask the driver again for "lifespan" ms: wait so long */
int port_counter(const char *device, int port, const char *name, uint64_t *value)
{
	struct timespec life;
	uint64_t ms;

	if (!read_counter(device, port, "lifespan", &ms))
		return 0;
	life.tv_sec = (ms + 1) / 1000;
	life.tv_nsec = (ms + 1) % 1000 * 1000000;
	nanosleep(&life, NULL);
	return read_counter(device, port, name, value);
}
