// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "together.h"

#include <pthread.h>

struct nic nics[2];
bool lossy;
struct end ends[QUEUES], peers[QUEUES];
atomic_bool stop;

void together_create(void)
{
	int i;

	for (i = 0; i < QUEUES; i++) {
		ends[i].timeout = lossy ? TIMEOUT_SHORT : TIMEOUT_LONG;
		ends_create(&ends[i], &nics[0], &peers[i], &nics[1], 2 * WINDOW);
	}
}

void together_destroy(void)
{
	int i;

	for (i = 0; i < QUEUES; i++) {
		end_destroy(&ends[i]);
		end_destroy(&peers[i]);
	}
}

void together_run(void *(*queue)(void *end), void *(*const others[])(void *unused), int n)
{
	pthread_t threads[QUEUES], by_cpu[3];
	int i;

	stop = false;
	for (i = 0; i < n; i++)
		CHECK(!pthread_create(&by_cpu[i], NULL, others[i], NULL));
	for (i = 0; i < QUEUES; i++)
		CHECK(!pthread_create(&threads[i], NULL, queue, &ends[i]));
	for (i = 0; i < QUEUES; i++)
		CHECK(!pthread_join(threads[i], NULL));
	stop = true;
	for (i = 0; i < n; i++)
		CHECK(!pthread_join(by_cpu[i], NULL));
}

void print_away(const char *what, double seconds, const struct trouble *trouble)
{
	printf("%s is away: %.0f ms; %llu timeouts, %llu RNR NAKs, %llu came twice\n",
	       what, 1000 * seconds,
	       (unsigned long long)trouble_seen(trouble, "tx_timeouts"),
	       (unsigned long long)trouble_seen(trouble, "rnr_nak_sent"),
	       (unsigned long long)trouble_seen(trouble, "duplicate_requests"));
}
