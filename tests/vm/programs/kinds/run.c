// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* One kind of memory and one event; see kinds.h */
#include "kinds.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

/* Less than that of anything, and it has not been tried. */
enum { MIN_MESSAGES = 60, MIN_CPU = 20, MIN_EVENTS = 3, MIN_EVIDENCE = 3, MIN_ZAPS = 3,
       PATIENCE = 20 };

static const char * const counter_names[] = {
	"odp_faults", "odp_fault_pages", "odp_invalidations", "odp_invalidated_pages",
};

enum { C_FAULTS, C_FAULT_PAGES, C_ZAPS, C_ZAPPED, COUNTERS };

struct progress {
	struct run run;
	const struct event *event;
	bool enough;
	atomic_bool cpu_stop;
	atomic_bool service_stop;
	atomic_bool event_stop;
	atomic_ulong cpu_accesses;
	atomic_ulong events;
	atomic_ulong evidence;
	uint64_t counters[COUNTERS];
	uint64_t before[REGION_MAX / PAGE];	/* pagemap */
	uint64_t now[REGION_MAX / PAGE];
};

static void counters_read(uint64_t *values)
{
	int i;

	for (i = 0; i < COUNTERS; i++)
		values[i] = counter(counter_names[i]);
}

/* --- The CPU's part ----------------------------------------------------------- */

static void cpu_access(struct progress *p, uint64_t *random)
{
	const struct segment *s = &sh->segments[random_below(random, sh->nsegments)];
	uint8_t *at = (uint8_t *)p->run.r->base + s->start, new[16384];

	if (!s->cpu || !slots_try(s->start, s->len))
		return;
	model_compare("the CPU", at, s->start, s->len);
	if (!p->run.cpu_only_reads && random_below(random, 4)) {
		random_fill(random, new, s->len);
		memcpy(at, new, s->len);
		model_wrote(new, s->start, s->len);
		/* On lossy memory it may be gone already. */
		model_compare("the CPU, after it wrote", at, s->start, s->len);
	}
	slots_put(s->start, s->len);
	p->cpu_accesses++;
}

static void *cpu_thread(void *arg)
{
	struct progress *p = arg;
	uint64_t random = sh->seed * 31 + 7;
	int i;

	while (!p->cpu_stop) {
		for (i = 0; i < 8; i++)
			cpu_access(p, &random);
		nap(200);
	}
	return NULL;
}

/* --- The service: what the peer asks the owner to do --------------------------- */

static void serve_request(struct request *rq, uint64_t id, const struct region *r)
{
	struct ibv_sge sge = { (uintptr_t)r->base + rq->off, rq->len, r->mr->lkey };
	const struct endpoint *peer = &sh->ends[1];

	if (rq->what == RQ_RECV) {
		link_post_recv(&owner_link, id, &sge);
		rq->state = READY;
	} else {
		rq->state = READY;
		link_post(&owner_link, rq->what == RQ_PULL ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE,
			  id, &sge, (uintptr_t)sh->buf[id], peer->rkey);
	}
}

static void serve_completions(struct ibv_cq *cq)
{
	struct request *rq;
	struct ibv_wc wc;

	while (link_poll(cq, &wc)) {
		rq = &sh->requests[wc.wr_id];
		if (wc.status)
			fail("the owner's message %d of %u bytes at %#x: %s", rq->what, rq->len,
			     rq->off, ibv_wc_status_str(wc.status));
		CHECK(rq->what != RQ_RECV || wc.byte_len == rq->len);
		rq->state = DONE;
	}
}

static void *service_thread(void *arg)
{
	struct progress *p = arg;
	int i;

	while (!p->service_stop) {
		for (i = 0; i < DEPTH; i++)
			if (sh->requests[i].state == ASKED)
				serve_request(&sh->requests[i], i, p->run.r);
		serve_completions(owner_link.scq);
		serve_completions(owner_link.rcq);
		nap(50);
	}
	return NULL;
}

/* --- The event's part ----------------------------------------------------------- */

/* How many of the region's pages are where they were not at first */
static long moved(struct progress *p)
{
	size_t n = sh->size / PAGE, i;
	long count = 0;

	pagemap_many(p->run.r->base, p->now, n);
	for (i = 0; i < n; i++)
		count += (p->before[i] & PM_PRESENT) && (p->now[i] & PM_PRESENT) &&
			 (p->before[i] & PM_PFN) != (p->now[i] & PM_PFN);
	return count;
}

static void *event_thread(void *arg)
{
	struct progress *p = arg;
	long effect;

	while (!p->event_stop) {
		effect = p->event->happen(&p->run);
		if (p->event->flags & EV_MOVES)
			p->evidence = moved(p);
		else
			p->evidence += effect;
		p->events++;
		nap(300);
	}
	return NULL;
}

/* Events must have made the device drop pages, too. */
static bool enough(const struct progress *p)
{
	return sh->messages >= MIN_MESSAGES && p->cpu_accesses >= MIN_CPU &&
	       p->events >= MIN_EVENTS &&
	       (!p->event->evidence || p->evidence >= MIN_EVIDENCE) &&
	       (p->event->flags & EV_QUIET ||
		counter(counter_names[C_ZAPS]) - p->counters[C_ZAPS] >= MIN_ZAPS);
}

/* For ms milliseconds, or longer if not enough has happened by then */
static bool wait_enough(const struct progress *p, unsigned int ms)
{
	uint64_t start = now_ms();
	uint64_t patience = (uint64_t)PATIENCE * 1000 * slowness;

	while (now_ms() - start < ms)
		nap(5000);
	while (!enough(p) && now_ms() - start < patience)
		nap(5000);
	return enough(p);
}

static void go(struct progress *p, unsigned int ms)
{
	pthread_t cpu, service, event;

	counters_read(p->counters);
	pagemap_many(p->run.r->base, p->before, sh->size / PAGE);
	CHECK(!pthread_create(&service, NULL, service_thread, p));
	CHECK(!pthread_create(&cpu, NULL, cpu_thread, p));
	peer_traffic_start();
	CHECK(!pthread_create(&event, NULL, event_thread, p));
	p->enough = wait_enough(p, ms);
	p->event_stop = true;
	pthread_join(event, NULL);
	peer_traffic_end();
	p->cpu_stop = true;
	pthread_join(cpu, NULL);
	p->service_stop = true;
	pthread_join(service, NULL);
}

static void report(struct progress *p, uint64_t started)
{
	uint64_t now[COUNTERS];
	char evidence[80] = "";
	int i;

	counters_read(now);
	for (i = 0; i < COUNTERS; i++)
		now[i] -= p->counters[i];
	if (p->event->evidence)
		snprintf(evidence, sizeof(evidence), " (%lu %s)", p->evidence, p->event->evidence);
	printf("   %-15s %-12s %s %5lu messages %6lu KiB %5lu by the CPU %5lu events%s, %lu faults of %lu pages, %lu zaps of %lu, %.1f s\n",
	       p->run.r->kind->name, p->event->name, p->run.r->implicit ? "all" : "MR ",
	       sh->messages, sh->bytes >> 10, p->cpu_accesses, p->events, evidence,
	       now[C_FAULTS], now[C_FAULT_PAGES], now[C_ZAPS], now[C_ZAPPED],
	       (now_ms() - started) / 1000.0);
	fflush(stdout);
	if (!p->enough)
		fail("that is not enough to be a test");
	if (!now[C_FAULTS])
		fail("the device has not faulted");
}

void run_one(const struct kind *kind, const struct event *event, bool implicit,
	     unsigned int ms, uint64_t seed)
{
	uint64_t started = now_ms();
	struct region r;
	static struct progress p;

	memset(&p, 0, sizeof(p));
	p.run = (struct run){ .r = &r, .random = seed * 13 + 3 };
	p.event = event;
	alarm((PATIENCE + 40) * slowness + ms / 1000);
	region_make(&r, kind);
	model_layout(kind->size, kind->slot, seed, event->flags & EV_LOSSY && !region_shared(&r));
	sh->base = (uintptr_t)r.base;
	region_fill(&r);
	region_register(&r, implicit);
	p.run.cpu_only_reads = event->flags & EV_CPU_READS;
	if (event->begin)
		event->begin(&p.run);
	go(&p, ms);
	region_verify(&r);
	peer_sweep();
	region_verify(&r);
	report(&p, started);
	if (event->end)
		event->end(&p.run);
	region_free(&r);
	alarm(0);
}
