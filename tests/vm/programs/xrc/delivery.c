// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Messages to all queues, and remote memory of their processes: every byte */
#include "xrc.h"

#include <sys/mman.h>

void traffic(void)
{
	struct counters near_before, far_before;
	int rounds = under_load() ? 2 : ROUNDS, round, pair, queue, i;

	counters_read(&near_before, &nics[0]);
	counters_read(&far_before, &nics[1]);
	for (round = 0; round < rounds; round++) {
		for (queue = 0; queue < QUEUES; queue++)
			order(&queues[queue], (struct order){ .what = GIVE, .count = PAIRS * BURST });
		for (i = 0; i < BURST; i++)
			for (pair = 0; pair < PAIRS; pair++)
				for (queue = 0; queue < QUEUES; queue++)
					post_message(pair, queue);
		for (queue = 0; queue < QUEUES; queue++)
			order(&queues[queue], (struct order){ .what = TAKE, .count = PAIRS * BURST });
		for (i = 0; i < PAIRS * QUEUES * BURST; i++)
			end_done(&near[i % PAIRS]);
	}
	JUDGE(counters_grown(&near_before, "page_waits") > 0);
	JUDGE(counters_grown(&far_before, "page_waits") >= (uint64_t)rounds);
	printf("%d messages by %d connections to %d queues, each byte right\n",
	       PAIRS * QUEUES * rounds * BURST, PAIRS, QUEUES);
}

void nothing_comes(struct end *end)
{
	struct ibv_wc wc;

	pause_ms(WAIT_MS);
	CHECK(!end_poll(end, &wc));
}

/* Who finds its queue empty waits, though others have requests. */
void empty(void)
{
	int queue;

	for (queue = 0; queue < QUEUES; queue++) {
		int other = (queue + 1) % QUEUES;

		order(&queues[other], (struct order){ .what = GIVE, .count = 1 });
		post_message(0, queue);
		post_message(0, other);
		nothing_comes(&near[0]);
		order(&queues[queue], (struct order){ .what = GIVE, .count = 1 });
		order(&queues[queue], (struct order){ .what = TAKE, .count = 1 });
		order(&queues[other], (struct order){ .what = TAKE, .count = 1 });
		end_done(&near[0]);
		end_done(&near[0]);
	}
	printf("empty: waits for the queue that it is for\n");
}

void remote(void)
{
	const uint32_t len = 50 * PAGE + 77;
	uint32_t i;
	int q, n;

	for (q = 0; q < QUEUES; q++) {
		struct queue *queue = &queues[q];

		fill(q, len);
		post_remote(0, IBV_WR_RDMA_WRITE, queue, queue->known.rkey, len);
		end_done(&near[0]);
		CHECK(!madvise(outbox, PAIRS * QUEUES * BURST * SLOT, MADV_DONTNEED));
		post_remote(1, IBV_WR_RDMA_READ, queue, queue->known.rkey, len);
		end_done(&near[1]);
		for (i = 0; i < len; i++)
			CHECK(outbox[i] == byte_of(0, 0, q, i));
		order(queue, (struct order){ .what = CHECK_FIELD, .value = q, .len = len });
		for (n = 0; n < 3; n++) {
			post_remote(n % PAIRS, IBV_WR_ATOMIC_FETCH_AND_ADD, queue, queue->known.rkey, 8);
			end_done(&near[n % PAIRS]);
			CHECK(*(uint64_t *)outbox == (uint64_t)n * 5);
		}
		CHECK(order(queue, (struct order){ .what = CHECK_BYTES }) == 15);
		*(uint64_t *)outbox = ~0x5500000000ULL;
		post_remote(1, IBV_WR_ATOMIC_WRITE, queue, queue->known.rkey, 8);
		end_done(&near[1]);
		CHECK(order(queue, (struct order){ .what = CHECK_BYTES }) == ~0x5500000000ULL);
		fill(q, 0);
		post_remote(0, IBV_WR_RDMA_WRITE, queue, queue->known.rkey, 8);
		end_done(&near[0]);
	}
	printf("remote memory of each process: written, read, added to, written as a word\n");
}

void write_with_immediate(void)
{
	struct queue *queue = &queues[1];
	struct ibv_wc wc;

	fill(9, 3000);
	give(queue, 1);
	post_remote(0, IBV_WR_RDMA_WRITE_WITH_IMM, queue, queue->known.rkey, 3000);
	wc = end_wait(&queue->end);
	CHECK(wc.status == IBV_WC_SUCCESS && wc.opcode == IBV_WC_RECV_RDMA_WITH_IMM);
	CHECK(wc.byte_len == 3000 && wc.imm_data == 0x12345678 && wc.wc_flags & IBV_WC_WITH_IMM);
	queue->given[wc.wr_id] = false;
	end_done(&near[0]);
	check_field(queue, 9, 3000);
	printf("a write with immediate data takes a request of the queue\n");
}
