/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Atomics: each is done once and alone, whoever else is at the same 64 bits and
 * whatever becomes of the page.
 *
 * usage: atomics -d DEV[,DEV2] [-l]
 *
 *   -l  packets get lost: what must be right then, and that some atomics came twice
 *
 * Several queue pairs and the CPU of the owner add to one counter. Each addition
 * returns what was there before, so each value must be returned once. And
 * they take one lock, by comparing and swapping, to add to a plain counter.
 * Meanwhile the memory of both ends is paged out, mapped anew and forked.
 */
#include "slow.h"
#include "together.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	PAGES = 32,
	CPU_MAX = 1 << 20,	/* additions of the CPU's, in bursts of that many: */
	BURST = 256,
	DISTURBED = 10,		/* times while a queue pair is at it, or */
	LONG = 10,		/* it has done so many times as much as it has to */
};

/* The counter's upper half must change, too. */
#define FIRST_TICKET (0x76543210ffffff80ULL)

/* Where the memory of the target and of the results is, and how it is registered */
static const struct setting {
	const char *name;
	bool pinned, implicit, shared;
} settings[] = {
	{ "pinned", .pinned = true },
	{ "on demand", .pinned = false },
	{ "whole address space", .implicit = true },
	{ "on demand, shared memory", .shared = true },
};

enum { SETTINGS = sizeof(settings) / sizeof(settings[0]) };

/* In the target's first page, each alone in its cache line */
struct target {
	uint64_t counter __attribute__((aligned(64)));
	uint64_t lock __attribute__((aligned(64)));
	uint64_t plain __attribute__((aligned(64)));
};

static const struct setting *setting;
static struct target *target;
static int memory_fd;	/* of the target, if it is shared */
static char *results;	/* two pages for each queue pair */
static struct ibv_mr *target_mr, *results_mr;
static atomic_char *returned;	/* by value, from FIRST_TICKET */
static uint64_t tickets;	/* of them */
static unsigned long by_cpu;
static atomic_ulong by_queues, disturbances;

/* --- Memory and connections ------------------------------------------------------ */

static struct ibv_mr *set_register(struct nic *nic, void *start)
{
	int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |
		     IBV_ACCESS_REMOTE_ATOMIC | (setting->pinned ? 0 : IBV_ACCESS_ON_DEMAND);
	struct ibv_mr *mr = setting->implicit ? ibv_reg_mr(nic->pd, NULL, SIZE_MAX, access) :
						ibv_reg_mr(nic->pd, start, PAGES * PAGE, access);

	CHECK(mr);
	return mr;
}

static void *map_shared(void)
{
	void *map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);

	CHECK(map != MAP_FAILED);
	return map;
}

static void set_up(const struct setting *s)
{
	setting = s;
	if (s->shared) {
		CHECK((memory_fd = memfd_create("target", MFD_CLOEXEC)) >= 0);
		CHECK(!ftruncate(memory_fd, PAGES * PAGE));
		target = map_shared();
	} else {
		target = (struct target *)memory_map(PAGES * PAGE, false);
	}
	results = memory_map(PAGES * PAGE, false);
	memset(target, 0, PAGES * PAGE);
	memset(results, 0xee, PAGES * PAGE);
	results_mr = set_register(&nics[0], results);
	target_mr = set_register(&nics[1], target);
	together_create();
}

static void tear_down(void)
{
	together_destroy();
	CHECK(!ibv_dereg_mr(results_mr));
	CHECK(!ibv_dereg_mr(target_mr));
	CHECK(!munmap(results, PAGES * PAGE));
	CHECK(!munmap(target, PAGES * PAGE));
	if (setting->shared)
		CHECK(!close(memory_fd));
}

/* Results are next to each other but not aligned, and the first crosses into the next page. */
static char *result_at(int queue, unsigned long i)
{
	return results + (queue + 1) * 2 * PAGE - 4 - i % WINDOW * 8;
}

static uint64_t result_of(int queue, unsigned long i)
{
	uint64_t value;

	memcpy(&value, result_at(queue, i), sizeof(value));
	return value;
}

/* A request of 8 bytes, to or from result_at() */
struct word {
	enum ibv_wr_opcode opcode;
	char *local;
	uint32_t lkey;
	void *remote;
	uint32_t rkey;
	uint64_t compare_add, swap;
	unsigned int flags;
};

static struct word word_of(enum ibv_wr_opcode opcode, int queue, unsigned long i, void *remote)
{
	return (struct word){
		.opcode = opcode, .local = result_at(queue, i), .lkey = results_mr->lkey,
		.remote = remote, .rkey = target_mr->rkey,
	};
}

static void post(struct end *end, const struct word *word, uint64_t id)
{
	struct ibv_sge sge = { (uintptr_t)word->local, 8, word->lkey };
	struct ibv_send_wr wr = {
		.wr_id = id, .sg_list = &sge, .num_sge = 1, .opcode = word->opcode,
		.send_flags = word->flags, .wr.rdma = { (uintptr_t)word->remote, word->rkey },
	}, *bad;

	if (word->opcode == IBV_WR_ATOMIC_CMP_AND_SWP ||
	    word->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
		wr.wr.atomic.remote_addr = (uintptr_t)word->remote;
		wr.wr.atomic.compare_add = word->compare_add;
		wr.wr.atomic.swap = word->swap;
		wr.wr.atomic.rkey = word->rkey;
	}
	CHECK(!ibv_post_send(end->qp, &wr, &bad));
}

/* One request, to its end; returns what is in its place then */
static uint64_t carry_out(int queue, enum ibv_wr_opcode opcode, void *remote, uint64_t compare_add,
			  uint64_t swap)
{
	struct word word = word_of(opcode, queue, 0, remote);

	word.compare_add = compare_add;
	word.swap = swap;
	post(&ends[queue], &word, 0);
	end_done(&ends[queue]);
	return result_of(queue, 0);
}

/* --- What happens to the memory --------------------------------------------------- */

/* In place of what is there, in one step */
static void map_anew(void)
{
	void *twin = map_shared();

	CHECK(mremap(twin, PAGES * PAGE, PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target) ==
	      target);
}

/* What a child adds to its own memory is nobody else's business. */
static void fork_child(void)
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (!pid) {
		if (!setting->shared) {
			atomic_fetch_add((_Atomic uint64_t *)&target->counter, 1000);
			memset(results, 0, PAGES * PAGE);
		}
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status);
}

static void *disturb(void *unused)
{
	(void)unused;
	for (; !stop; disturbances++) {
		if (disturbances % 3 == 0)
			fork_child();
		else if (disturbances % 3 == 1 && setting->shared)
			map_anew();
		else
			CHECK(!madvise(target, PAGES * PAGE, MADV_PAGEOUT));
		CHECK(!madvise(results, PAGES * PAGE, MADV_PAGEOUT));
		pause_ms(2);
	}
	return NULL;
}

static bool enough(unsigned long done, unsigned long least)
{
	return done >= least && (disturbances >= DISTURBED || done >= LONG * least);
}

/* --- Adding ----------------------------------------------------------------------- */

static void got_ticket(uint64_t ticket)
{
	uint64_t n = ticket - FIRST_TICKET;
	bool twice = n < tickets && atomic_exchange(&returned[n], 1);

	if (n >= tickets || twice)
		printf("%#llx was returned%s\n", (unsigned long long)ticket, twice ? " twice" : "");
	CHECK(n < tickets && !twice);
}

static unsigned long additions(void)
{
	return lossy ? 400 : 1000;
}

static void *add_by_queue(void *arg)
{
	int queue = (struct end *)arg - ends;
	struct word word;
	struct ibv_wc wc;
	unsigned long posted = 0, done = 0;

	do {
		while (posted < done + WINDOW && !enough(posted, additions())) {
			word = word_of(IBV_WR_ATOMIC_FETCH_AND_ADD, queue, posted, &target->counter);
			word.compare_add = 1;
			post(&ends[queue], &word, posted++);
		}
		wc = end_wait(&ends[queue]);
		CHECK(wc.status == IBV_WC_SUCCESS && wc.wr_id == done);
		CHECK(wc.opcode == IBV_WC_FETCH_ADD && wc.byte_len == 8);
		got_ticket(result_of(queue, done++));
	} while (done < posted);
	by_queues += done;
	return NULL;
}

static void *add_by_cpu(void *unused)
{
	(void)unused;
	for (by_cpu = 0; !stop && by_cpu + BURST <= CPU_MAX; by_cpu += BURST) {
		for (int i = 0; i < BURST; i++)
			got_ticket(atomic_fetch_add((_Atomic uint64_t *)&target->counter, 1));
		pause_ms(1);
	}
	return NULL;
}

/* Runs all at the same time, and is back when the queue pairs are through */
static void all_together(void *(*queue)(void *), void *(*cpu)(void *))
{
	void *(*const others[])(void *) = { cpu, disturb };

	by_queues = disturbances = 0;
	together_run(queue, others, 2);
}

static void count(void)
{
	struct trouble trouble;
	uint64_t n;

	target->counter = FIRST_TICKET;
	tickets = QUEUES * LONG * additions() + CPU_MAX;
	CHECK((returned = calloc(tickets, 1)));
	trouble_begin(&trouble, nics);
	all_together(add_by_queue, add_by_cpu);
	CHECK(target->counter == FIRST_TICKET + by_queues + by_cpu);
	for (n = 0; n < by_queues + by_cpu; n++)
		CHECK(returned[n] == 1);
	free(returned);
	printf("%s: %lu additions, and %lu by the CPU; %lu disturbances, %llu faults; %llu retries, %llu came twice\n",
	       setting->name, by_queues, by_cpu, disturbances,
	       (unsigned long long)counters_grown(&trouble.nic[1], "odp_faults"),
	       (unsigned long long)trouble_seen(&trouble, "tx_retries"),
	       (unsigned long long)trouble_seen(&trouble, "duplicate_requests"));
	CHECK(by_cpu && disturbances >= 5);
	CHECK(setting->pinned || counters_grown(&trouble.nic[1], "odp_faults") >= 5);
	CHECK(!lossy || trouble_seen(&trouble, "duplicate_requests"));
}

/* --- A lock ----------------------------------------------------------------------- */

static unsigned long turns_of_cpu;

static unsigned long turns(void)
{
	return lossy ? 10 : 40;
}

static void *lock_by_queue(void *arg)
{
	int queue = (struct end *)arg - ends;
	uint64_t me = 0x100000000 * (queue + 1), value;
	unsigned long i;

	for (i = 0; !enough(i, turns()); i++) {
		while (carry_out(queue, IBV_WR_ATOMIC_CMP_AND_SWP, &target->lock, 0, me))
			pause_ms(1);
		value = carry_out(queue, IBV_WR_RDMA_READ, &target->plain, 0, 0) + 1;
		memcpy(result_at(queue, 0), &value, sizeof(value));
		carry_out(queue, IBV_WR_RDMA_WRITE, &target->plain, 0, 0);
		CHECK(carry_out(queue, IBV_WR_ATOMIC_CMP_AND_SWP, &target->lock, me, 0) == me);
	}
	by_queues += i;
	return NULL;
}

static void *lock_by_cpu(void *unused)
{
	_Atomic uint64_t *lock = (_Atomic uint64_t *)&target->lock;
	uint64_t nobody;

	(void)unused;
	for (turns_of_cpu = 0; !stop; pause_ms(1)) {
		nobody = 0;
		if (!atomic_compare_exchange_strong(lock, &nobody, 1))
			continue;
		turns_of_cpu++;
		target->plain++;
		CHECK(atomic_exchange(lock, 0) == 1);
	}
	return NULL;
}

static void take_turns(void)
{
	target->plain = 0;
	all_together(lock_by_queue, lock_by_cpu);
	printf("%s: the lock was taken %lu times, and %lu times by the CPU\n", setting->name,
	       by_queues, turns_of_cpu);
	CHECK(!target->lock && turns_of_cpu);
	CHECK(target->plain == by_queues + turns_of_cpu);
}

/* --- One after the other ----------------------------------------------------------- */

/* What is stored and what is returned, in the host's byte order */
static void values(void)
{
	const uint64_t a = 0x0123456789abcdef, b = 0xfedcba9876543210;

	target->counter = a;
	CHECK(carry_out(0, IBV_WR_ATOMIC_CMP_AND_SWP, &target->counter, b, 7) == a);
	CHECK(target->counter == a);
	CHECK(carry_out(0, IBV_WR_ATOMIC_CMP_AND_SWP, &target->counter, a, b) == a);
	CHECK(target->counter == b);
	CHECK(carry_out(0, IBV_WR_ATOMIC_FETCH_AND_ADD, &target->counter, a, 7) == b);
	CHECK(target->counter == a + b);
	CHECK(carry_out(0, IBV_WR_ATOMIC_FETCH_AND_ADD, &target->counter, -1, 7) == a + b);
	CHECK(target->counter == a + b - 1);
}

/* What a slow page has in the place of a word */
#define SLOW_WORD (0x0101010101010101UL * slow_byte(0))

/* A request with a fence sends what the atomic before it has returned. */
static void fence(struct slow *slow, const struct ibv_mr *slow_mr)
{
	struct word add = word_of(IBV_WR_ATOMIC_FETCH_AND_ADD, 0, 0, slow->start);
	struct word write = word_of(IBV_WR_RDMA_WRITE, 0, 0, &target->plain);

	add.rkey = slow_mr->rkey;
	write.flags = IBV_SEND_FENCE;
	slow_reset(slow);
	post(&ends[0], &add, 0);
	post(&ends[0], &write, 0);
	end_done(&ends[0]);
	end_done(&ends[0]);
	CHECK(target->plain == SLOW_WORD);
}

/* READs and atomics together are no more than the peer takes at a time. */
static void limit(struct slow *slow, const struct ibv_mr *slow_mr)
{
	struct word read = word_of(IBV_WR_RDMA_READ, 0, 1, slow->start);
	struct word add = word_of(IBV_WR_ATOMIC_FETCH_AND_ADD, 0, 0, &target->counter);
	struct counters counters;
	int i, all = WINDOW + 4;

	read.rkey = slow_mr->rkey;
	add.compare_add = 1;
	target->counter = 0;
	slow_reset(slow);
	counters_read(&counters, &nics[1]);
	post(&ends[0], &read, 0);
	for (i = 1; i < all; i++)
		post(&ends[0], &add, 0);
	pause_ms(DELAY_MS / 3);
	JUDGE(counters_grown(&counters, "rx_packets") == WINDOW);
	for (i = 0; i < all; i++)
		end_done(&ends[0]);
	CHECK(target->counter == all - 1ULL);
}

/* The word, or the place of the result, is 300 ms away, and the transport's timeout is shorter. */
static void far_away(struct slow *slow, struct ibv_mr *slow_mr, bool local)
{
	struct word add = word_of(IBV_WR_ATOMIC_FETCH_AND_ADD, 0, 0, &target->counter);
	struct end end = { .timeout = TIMEOUT_SHORT }, peer = { .timeout = TIMEOUT_SHORT };
	uint64_t *away = (uint64_t *)slow->start;
	struct trouble trouble;
	double start;

	ends_create(&end, &nics[0], &peer, &nics[1], WINDOW);
	target->counter = SLOW_WORD;
	add.compare_add = 3;
	if (local) {
		add.local = slow->start;
		add.lkey = slow_mr->lkey;
	} else {
		add.remote = away;
		add.rkey = slow_mr->rkey;
	}
	slow_reset(slow);
	trouble_begin(&trouble, nics);
	start = now();
	post(&end, &add, 0);
	end_done(&end);
	start = now() - start;
	print_away(local ? "the place of the result" : "the word", start, &trouble);
	CHECK(start >= DELAY_MS / 1000.0);
	CHECK((local ? *away : result_of(0, 0)) == SLOW_WORD);
	CHECK((local ? target->counter : *away) == SLOW_WORD + 3);
	JUDGE(local || trouble_seen(&trouble, "rnr_nak_sent"));
	end_destroy(&end);
	end_destroy(&peer);
}

/* The peer keeps no results, and so takes no atomics. */
static void none_taken(void)
{
	struct word add = word_of(IBV_WR_ATOMIC_FETCH_AND_ADD, 0, 0, &target->counter);
	struct end end = { .timeout = TIMEOUT_LONG }, peer = { .rd_atomic = -1 };

	ends_create(&end, &nics[0], &peer, &nics[1], WINDOW);
	target->counter = 1;
	add.compare_add = 1;
	post(&end, &add, 0);
	CHECK(end_wait(&end).status == IBV_WC_REM_INV_REQ_ERR);
	CHECK(target->counter == 1);
	end_destroy(&end);
	end_destroy(&peer);
}

static void slow_pages(void)
{
	char *memory = memory_map(PAGES * PAGE, false);
	struct ibv_mr *mr[2] = {
		nic_register(&nics[0], memory, PAGES * PAGE),
		nic_register(&nics[1], memory, PAGES * PAGE),
	};
	struct slow slow;

	slow_begin(&slow, memory, 1);
	slow_set_delay(&slow, 0, 1, DELAY_MS);
	fence(&slow, mr[1]);
	limit(&slow, mr[1]);
	/* Where the peer gets no CPU, that ends in an error. */
	if (!under_load()) {
		far_away(&slow, mr[0], true);
		far_away(&slow, mr[1], false);
	}
	slow_end(&slow);
	CHECK(!ibv_dereg_mr(mr[0]) && !ibv_dereg_mr(mr[1]));
}

int main(int argc, char **argv)
{
	int i;

	lossy = options_lossy(argc, argv, nics);
	for (i = 0; i < SETTINGS; i++) {
		if (!in_turn(i, SETTINGS))
			continue;
		set_up(&settings[i]);
		if (!lossy)
			values();
		if (!lossy && i == 1) {
			none_taken();
			slow_pages();
		}
		count();
		take_turns();
		tear_down();
	}
	return 0;
}
