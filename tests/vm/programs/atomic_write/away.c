// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Memory that is far away */
#include "atomic_write.h"
#include "../slow.h"

#include <string.h>

/* A request with a fence waits until the word is written. */
static void fence(struct slow *slow, uint32_t slow_rkey)
{
	struct request store = request_of(IBV_WR_ATOMIC_WRITE, source, 8, slow->start);
	struct ibv_sge sge = { (uintptr_t)source, 8, source_mr->lkey };
	struct ibv_send_wr *bad, wr = {
		.sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_FENCE,
		.wr.rdma = { (uintptr_t)&words->other, target_mr->rkey },
	};
	struct counters counters;

	store.rkey = slow_rkey;
	slow_reset(slow);
	counters_read(&counters, &nics[1]);
	end_post(&ends[0], &store, 0);
	CHECK(!ibv_post_send(ends[0].qp, &wr, &bad));
	pause_ms(DELAY_MS / 3);
	JUDGE(counters_grown(&counters, "rx_packets") == 1);
	end_done(&ends[0]);
	end_done(&ends[0]);
}

/* They are no more than the peer takes at a time of READs and atomics. */
static void limit(struct slow *slow, uint32_t slow_rkey)
{
	struct request store = request_of(IBV_WR_ATOMIC_WRITE, source, 8, slow->start);
	struct counters counters;
	int i, all = WINDOW + 4;

	store.rkey = slow_rkey;
	slow_reset(slow);
	counters_read(&counters, &nics[1]);
	end_post(&ends[0], &store, 0);
	for (i = 1; i < all; i++)
		post(&ends[0], IBV_WR_ATOMIC_WRITE, source, 8, &words->other);
	pause_ms(DELAY_MS / 3);
	JUDGE(counters_grown(&counters, "rx_packets") == WINDOW);
	for (i = 0; i < all; i++)
		end_done(&ends[0]);
}

/* The word, or what is to be written, is 300 ms away, and the transport's timeout is shorter. */
static void far_away(struct slow *slow, const struct ibv_mr *mr, bool local)
{
	struct request store = request_of(IBV_WR_ATOMIC_WRITE, source, 8, slow->start);
	struct end end = { .timeout = TIMEOUT_SHORT }, peer = { .timeout = TIMEOUT_SHORT };
	const uint64_t slow_word = 0x0101010101010101UL * slow_byte(0);
	struct trouble trouble;
	double start;

	if (local) {
		store = request_of(IBV_WR_ATOMIC_WRITE, slow->start, 8, &words->other);
		store.lkey = mr->lkey;
	} else {
		store.rkey = mr->rkey;
	}
	ends_create(&end, &nics[0], &peer, &nics[1], 1);
	memset(source, 0x5a, 8);
	slow_reset(slow);
	trouble_begin(&trouble, nics);
	start = now();
	end_post(&end, &store, 0);
	done(&end, IBV_WC_ATOMIC_WRITE, 8);
	start = now() - start;
	print_away(local ? "what is written" : "the word", start, &trouble);
	CHECK(start >= DELAY_MS / 1000.0);
	CHECK(local ? words->other.word == slow_word : !memcmp(slow->start, source, 8));
	CHECK(local || (unsigned char)slow->start[8] == slow_byte(0));
	JUDGE(local || trouble_seen(&trouble, "rnr_nak_sent"));
	end_destroy(&end);
	end_destroy(&peer);
}

void slow_pages(void)
{
	char *memory = memory_map(PAGE, false);
	struct ibv_mr *here = region(0, memory, PAGE, LOCAL);
	struct ibv_mr *there = region(1, memory, PAGE, LOCAL | IBV_ACCESS_REMOTE_WRITE);
	struct slow slow;

	slow_begin(&slow, memory, 1);
	slow_set_delay(&slow, 0, 1, DELAY_MS);
	fence(&slow, there->rkey);
	limit(&slow, there->rkey);
	/* Where the peer gets no CPU, that ends in an error. */
	if (!under_load()) {
		far_away(&slow, here, true);
		far_away(&slow, there, false);
	}
	slow_end(&slow);
	CHECK(!ibv_dereg_mr(here) && !ibv_dereg_mr(there));
}
