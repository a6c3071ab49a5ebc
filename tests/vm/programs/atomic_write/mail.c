// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Each queue pair has a mailbox: a word, and a letter of some packets that is written
 * before its number is in the word. The CPU takes the number out, and would find it
 * again if it were written twice. One more word is written by all of them, at any
 * time. Meanwhile the memory of both ends goes away and comes again.
 */
#include "atomic_write.h"

#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	LETTER = 3000,		/* bytes, on two pages */
	WORDS = 6,		/* to the word of all, with each letter */
};

static atomic_uint taken[QUEUES];
static atomic_ulong seen;	/* in the word of all: that it was another */

static void *letter_at(char *memory, int queue)
{
	return memory + (2 + 2 * queue) * PAGE - LETTER / 3;
}

/* Words to send are next to each other but not aligned, and one crosses into the next page. */
static char *word_at(int queue, int i)
{
	return source + (2 * QUEUES + 3 + queue) * PAGE - 4 - i * 8;
}

/* Each half of a word says what the other is. */
static uint64_t word_of(uint32_t number)
{
	return (uint64_t)number << 32 | (uint32_t)~number;
}

static uint32_t number_in(uint64_t word)
{
	if (word != word_of(word >> 32))
		printf("a word is torn: %016llx\n", (unsigned long long)word);
	CHECK(word == word_of(word >> 32));
	return word >> 32;
}

static unsigned char byte_of(int queue, uint32_t number, int i)
{
	return queue * 50 + number * 7 + i;
}

static uint32_t letters(void)
{
	return lossy ? 50 : 250;
}

static void wait_until_taken(int queue, uint32_t number)
{
	double until = now() + patience();

	while (taken[queue] != number) {
		CHECK(now() < until);
		pause_ms(1);
	}
}

static void send_letter(int queue, uint32_t number)
{
	struct end *end = &ends[queue];
	char *letter = letter_at(source, queue);
	uint64_t word;
	int i;

	for (i = 0; i < LETTER; i++)
		letter[i] = byte_of(queue, number, i);
	for (i = 0; i <= WORDS; i++) {
		word = word_of(i < WORDS ? queue << 24 | (number * WORDS + i) : number);
		memcpy(word_at(queue, i), &word, sizeof(word));
	}
	for (i = 0; i < WORDS; i++)
		post(end, IBV_WR_ATOMIC_WRITE, word_at(queue, i), 8, &words->all);
	post(end, IBV_WR_RDMA_WRITE, letter, LETTER, letter_at(target, queue));
	post(end, IBV_WR_ATOMIC_WRITE, word_at(queue, WORDS), 8, &words->mailbox[queue]);
	for (i = 0; i < WORDS; i++)
		done(end, IBV_WC_ATOMIC_WRITE, 8);
	done(end, IBV_WC_RDMA_WRITE, LETTER);
	done(end, IBV_WC_ATOMIC_WRITE, 8);
	wait_until_taken(queue, number);
}

static void *send_letters(void *arg)
{
	int queue = (struct end *)arg - ends;
	uint32_t number;

	for (number = 1; number <= letters(); number++)
		send_letter(queue, number);
	return NULL;
}

static void take_letter(int queue, uint32_t number)
{
	unsigned char *letter = letter_at(target, queue);
	int i;

	if (number != taken[queue] + 1)
		printf("letter %u comes after %u\n", number, taken[queue]);
	CHECK(number == taken[queue] + 1);
	for (i = 0; i < LETTER; i++)
		CHECK(letter[i] == byte_of(queue, number, i));
	/* The next one finds no page. */
	CHECK(!madvise((void *)((uintptr_t)letter & -PAGE), 2 * PAGE, MADV_DONTNEED));
	taken[queue] = number;
}

static void *take_letters(void *unused)
{
	uint64_t word;
	int i;

	(void)unused;
	for (i = 0; !stop; i = (i + 1) % QUEUES) {
		word = atomic_exchange(&words->mailbox[i].word, 0);
		if (word)
			take_letter(i, number_in(word));
		else
			sched_yield();
	}
	return NULL;
}

/* Of each queue pair's numbers none comes before one that was there. */
static void *watch_word_of_all(void *unused)
{
	uint32_t last[QUEUES] = {}, number = 0, before;
	uint64_t word;

	(void)unused;
	while (!stop) {
		word = words->all.word;
		if (!word)
			continue;
		before = number;
		number = number_in(word);
		CHECK(number >> 24 < QUEUES);
		CHECK((number & 0xffffff) >= last[number >> 24]);
		last[number >> 24] = number & 0xffffff;
		seen += number != before;
	}
	return NULL;
}

/* What a child writes to its own memory is nobody else's business. */
static void fork_child(void)
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (!pid) {
		memset(target, 0xff, PAGE);
		memset(source, 0xff, PAGES * PAGE);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status);
}

static void *disturb(void *unused)
{
	int i;

	(void)unused;
	for (i = 0; !stop; i++) {
		if (i % 2)
			fork_child();
		else
			CHECK(!madvise(target, PAGE, MADV_PAGEOUT));
		CHECK(!madvise(source, PAGES * PAGE, MADV_PAGEOUT));
		pause_ms(2);
	}
	return NULL;
}

void mail(void)
{
	void *(*const others[])(void *) = { take_letters, watch_word_of_all, disturb };
	struct trouble trouble;
	int i;

	seen = 0;
	for (i = 0; i < QUEUES; i++)
		taken[i] = 0;
	trouble_begin(&trouble, nics);
	together_run(send_letters, others, 3);
	printf("%d letters, each once; a word of %lu changes seen, none torn; %llu faults; %llu retries, %llu came twice\n",
	       QUEUES * letters(), seen,
	       (unsigned long long)counters_grown(&trouble.nic[1], "odp_faults"),
	       (unsigned long long)trouble_seen(&trouble, "tx_retries"),
	       (unsigned long long)trouble_seen(&trouble, "duplicate_requests"));
	JUDGE(seen > 50);
	CHECK(counters_grown(&trouble.nic[1], "odp_faults") >= QUEUES * letters());
	CHECK(!lossy || trouble_seen(&trouble, "duplicate_requests"));
}
