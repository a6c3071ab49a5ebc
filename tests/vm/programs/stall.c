/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A slow userfaultfd handler stalls the queue pair whose page is missing, and
 * no other one.
 *
 * usage: stall -d DEV[,DEV2]
 *
 * One queue pair WRITEs 64 pages of which one is 1 s away. Meanwhile another
 * one WRITEs to other pages of the same registration and mostly of the same
 * block: its speed, or the longest time that one WRITE took, must be as if
 * nothing was.
 */
#include "ends.h"
#include "slow.h"

#include <string.h>
#include <sys/mman.h>

enum {
	BIG = 64,		/* pages of the large WRITE */
	FIRST = 64,		/* its first page */
	SLOW_PAGES = 256,	/* pages with a handler; behind them: plain */
	DELAY_MS = 1000,
	WINDOW_MS = 400,	/* of it, for measuring */
	SLICES = 10,
	NEW = 8,		/* pages that are new to the device */
};

static struct nic nics[2];
static struct ibv_mr *mr[2];
static char *memory;	/* two blocks that are written to */
static char *source;
static struct slow slow;
static struct end stalled, free_one, peers[2];

static void write_pages(struct end *end, size_t page, size_t pages)
{
	struct request request = {
		.opcode = IBV_WR_RDMA_WRITE, .local = source, .len = pages * PAGE,
		.lkey = mr[0]->lkey, .remote = (uintptr_t)memory + page * PAGE,
		.rkey = mr[1]->rkey,
	};

	end_post(end, &request, page);
}

static void write_one(size_t page)
{
	write_pages(&free_one, page, 1);
	end_done(&free_one);
}

static bool is_stalled(void)
{
	struct ibv_wc wc;

	if (!end_poll(&stalled, &wc))
		return true;
	CHECK(wc.status == IBV_WC_SUCCESS);
	return false;
}

/* WRITEs to one page a second: the best of some slices, the host may be busy */
static double speed(size_t page)
{
	double start, end, best = 0;
	int n, slice;

	for (slice = 0; slice < SLICES; slice++) {
		start = now();
		n = 0;
		do {
			write_one(page);
			end = now();
			n++;
		} while (end < start + WINDOW_MS / 1000.0 / SLICES);
		if (n / (end - start) > best)
			best = n / (end - start);
	}
	return best;
}

/* The longest that one WRITE to new pages takes */
static double longest(size_t page)
{
	double worst = 0, start;
	int i;

	for (i = 0; i < NEW; i++) {
		start = now();
		write_one(page + i);
		if (now() - start > worst)
			worst = now() - start;
	}
	return worst * 1000;
}

/* Where the slow page is in the large WRITE */
static void begin(size_t slow_page)
{
	slow_reset(&slow);
	slow_set_delay(&slow, 0, SLOW_PAGES, 0);
	slow_set_delay(&slow, FIRST + slow_page, 1, DELAY_MS * slowness());
}

static void stall(void)
{
	write_pages(&stalled, FIRST, BIG);
	pause_ms(50);
	JUDGE(is_stalled());
}

static void stall_end(void)
{
	double until = now() + patience();
	size_t i;

	while (is_stalled())
		CHECK(now() < until);
	for (i = 0; i < BIG * PAGE; i++)
		CHECK(memory[FIRST * PAGE + i] == source[i]);
}

static void at_speed(const char *what, size_t page)
{
	double alone, beside;

	begin(0);
	write_one(page);
	alone = speed(page);
	stall();
	beside = speed(page);
	JUDGE(is_stalled());
	stall_end();
	printf("%s: %.0f WRITEs a second, %.0f while the other one waits\n", what, alone, beside);
	/* A queue pair that waits, too, has no speed at all. */
	JUDGE(beside > alone / 4);
}

/* The CPU has the pages, the device has not; or neither has. */
static void at_once(const char *what, size_t page, bool missing, size_t slow_page)
{
	double alone, beside;
	int i;

	begin(slow_page);
	for (i = 0; i < NEW && !missing; i++) {
		memory[(page + i) * PAGE] = 1;
		memory[(page + NEW + i) * PAGE] = 1;
	}
	alone = longest(page);
	stall();
	beside = longest(page + NEW);
	printf("%s: %.1f ms at most, %.1f ms while the other one waits\n", what, alone, beside);
	JUDGE(beside < DELAY_MS / 4 * slowness());
	JUDGE(is_stalled());
	stall_end();
}

int main(int argc, char **argv)
{
	CHECK(argc == 3 && !strcmp(argv[1], "-d"));
	nics_open(nics, argv[2]);
	memory = memory_map(2 * BLOCK, false);
	source = memory_map(BLOCK, false);
	memset(source, 0x5a, BLOCK);
	mr[0] = nic_register(&nics[0], source, BLOCK);
	mr[1] = nic_register(&nics[1], memory, 2 * BLOCK);
	slow_begin(&slow, memory, SLOW_PAGES);
	ends_create(&stalled, &nics[0], &peers[0], &nics[1], 8);
	ends_create(&free_one, &nics[0], &peers[1], &nics[1], 8);

	at_speed("a page of another block", 512 + 7);
	at_speed("a page of the same block, no handler", SLOW_PAGES + 7);
	at_speed("a page of the same block, with the handler", 7);
	at_once("pages new to the device, same block", SLOW_PAGES + 20, false, 0);
	at_once("missing pages of the same block", 20, true, 0);
	at_once("pages new to the device among those that the other one writes", FIRST + 20, false, 0);
	at_once("missing pages among those that the other one writes", FIRST + 20, true, 0);
	at_once("pages new to the device before the slow one", FIRST + 20, false, BIG - 1);
	slow_end(&slow);
	return 0;
}
