// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * XRC: several shared receive queues behind one connection, also of another process
 * that has the domain by a file; messages and remote memory are of the queue that
 * the sender names, and of its process and protection domain.
 *
 * usage: xrc -d DEV[,DEV2] [-l]
 *	-l: with loss, so not what ends connections
 */
#include "xrc.h"

#include <sys/mman.h>
#include <unistd.h>

struct nic nics[2];
char *device_names;

static void begin(void)
{
	int i, fd = mkstemp(domain_path);

	CHECK(fd >= 0 && !close(fd));
	target_numbers = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(target_numbers != MAP_FAILED);
	for (i = 0; i < QUEUES; i++)
		queues[i].index = i;
	start_other(&queues[OWN]);
	nics_open(nics, device_names);
	open_domain();
	for (i = 0; i < OWN; i++)
		queue_create(&queues[i]);
	answer(&queues[OWN]);
	outbox = memory_map(PAIRS * QUEUES * BURST * SLOT, false);
	mr = nic_register(&nics[0], NULL, SIZE_MAX);
	for (i = 0; i < PAIRS; i++) {
		near_create(&near[i]);
		far[i] = target_create();
		pair_connect(i);
	}
}

static void finish(void)
{
	int i;

	for (i = 0; i < PAIRS; i++) {
		CHECK(!ibv_destroy_qp(far[i]));
		end_destroy(&near[i]);
	}
	for (i = 0; i < OWN; i++)
		queue_destroy(&queues[i]);
	CHECK(!ibv_close_xrcd(xrcd));
	CHECK(!unlink(domain_path));
}

/* A packet that says why a connection ends may be lost itself: what ends one is not for loss. */
static void what_ends_it(void)
{
	bad_input();
	wrong_numbers();
	wrong_keys();
	too_long();
	flushed(IBV_QPS_ERR);
	flushed(IBV_QPS_RESET);
	printf("a target that fails or is reset flushes the request that it has, and no other\n");
	queue_goes();
	processes();
}

int main(int argc, char **argv)
{
	bool lossy = false;
	int c;

	while ((c = getopt(argc, argv, "d:l")) != -1) {
		CHECK(c != '?');
		if (c == 'd')
			device_names = optarg;
		else
			lossy = true;
	}
	CHECK(device_names);
	begin();
	traffic();
	empty();
	remote();
	write_with_immediate();
	if (lossy || under_load())
		end_other(&queues[OWN], 0);
	else
		what_ends_it();
	finish();
	return 0;
}
