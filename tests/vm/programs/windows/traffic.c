// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Keys that come and go while they are in use */
#include "windows.h"
#include "../slow.h"

#include <pthread.h>
#include <string.h>

enum { ROUNDS = 200, DELAY_MS = 300 };

/* WRITEs with a key, until one is refused */
static void *write_all_the_time(void *rkey)
{
	struct request write = { IBV_WR_RDMA_WRITE, mine, SIZE, my_mr->lkey, (uintptr_t)theirs,
				 *(uint32_t *)rkey };
	enum ibv_wc_status status;
	int i, posted = 0;

	do {
		for (; posted < DEPTH / 2; posted++)
			end_post(&near, &write, 0);
		status = end_wait(&near).status;
		posted--;
	} while (!status);
	CHECK(denied(status));
	for (i = 0; i < posted; i++)
		CHECK(end_wait(&near).status == IBV_WC_WR_FLUSH_ERR);
	return NULL;
}

/* When a request to invalidate has completed, nothing is written any more. */
void race(int i)
{
	struct ibv_mw_bind_info info = { mr, (uintptr_t)theirs, SIZE, ALL };
	struct ibv_mw *mw = window(i & 1 ? IBV_MW_TYPE_1 : IBV_MW_TYPE_2);
	uint32_t rkey = bound(mw, &info);
	pthread_t thread;

	memset(theirs, 0, SIZE);
	memset(mine, 1 + i, SIZE);
	CHECK(!pthread_create(&thread, NULL, write_all_the_time, &rkey));
	while (!*(volatile char *)(theirs + i * SIZE / RACES))
		pause_ms(0);
	if (mw->type == IBV_MW_TYPE_2) {
		CHECK(!invalidate(&far, mw->rkey));
	} else {
		info = (struct ibv_mw_bind_info){ 0 };
		bound(mw, &info);
	}
	memset(theirs, 0xee, SIZE);
	memset(before, 0xee, SIZE);
	CHECK(!pthread_join(thread, NULL));
	CHECK(!memcmp(before, theirs, SIZE));
	connect_ends(&near, &far);
	CHECK(!ibv_dealloc_mw(mw));
}

/* A WRITE waits for a page when its window is unbound: that does not wait, and the WRITE is refused. */
void waiting(void)
{
	struct ibv_mw_bind_info info = { mr, (uintptr_t)theirs, PAGE, ALL };
	struct ibv_mw *mw = window(IBV_MW_TYPE_2);
	struct request write = { IBV_WR_RDMA_WRITE, mine, PAGE, my_mr->lkey, (uintptr_t)theirs,
				 bound(mw, &info) };
	struct slow slow;
	double start;

	slow_begin(&slow, theirs, 1);
	slow_set_delay(&slow, 0, 1, DELAY_MS);
	end_post(&near, &write, 0);
	while (!slow_asked(&slow))
		pause_ms(1);
	start = now();
	CHECK(!invalidate(&far, mw->rkey));
	JUDGE(now() - start < DELAY_MS / 2000.0);
	CHECK(end_wait(&near).status == IBV_WC_REM_ACCESS_ERR);
	CHECK((unsigned char)theirs[0] == slow_byte(0) && !memcmp(theirs, theirs + 1, PAGE - 1));
	slow_end(&slow);
	connect_ends(&near, &far);
	CHECK(!ibv_dealloc_mw(mw));
}

/* A key is sent, used, and invalidated with a message, over and over. */
void many(void)
{
	struct ibv_mw *mw = window(IBV_MW_TYPE_2);
	struct request key = { IBV_WR_SEND, theirs + SIZE - PAGE, 4, mr->lkey, 0, 0 };
	struct ibv_mw_bind_info info = bind_info(ALL);
	uint32_t rkey = mw->rkey;
	struct trouble trouble;
	struct ibv_wc wc;
	int i;

	trouble_begin(&trouble, nics);
	for (i = 0; i < ROUNDS; i++) {
		struct request write = { IBV_WR_RDMA_WRITE, mine, LENGTH, my_mr->lkey,
					 (uintptr_t)theirs + OFFSET, 0 };
		struct ibv_sge sge = { (uintptr_t)mine + LENGTH, LENGTH, my_mr->lkey };
		struct ibv_send_wr inv = { .sg_list = &sge, .num_sge = 1,
					   .opcode = IBV_WR_SEND_WITH_INV };

		rkey = ibv_inc_rkey(rkey);
		memcpy(key.local, &rkey, 4);
		end_post_receive(&near, mine + SIZE - PAGE, 4, my_mr->lkey, 0);
		end_post_receive(&far, theirs + SIZE / 2, LENGTH, mr->lkey, 7);
		CHECK(!post_wr(&far, bind_wr(mw, rkey, &info)));
		end_post(&far, &key, 0);
		end_done(&near);
		memcpy(&write.rkey, mine + SIZE - PAGE, 4);
		inv.invalidate_rkey = write.rkey;
		memset(mine, i, LENGTH);
		memset(mine + LENGTH, i + 1, LENGTH);
		end_post(&near, &write, 0);
		CHECK(!post_wr(&near, inv));
		end_done(&near);
		end_done(&near);
		do {
			wc = end_wait(&far);
			CHECK(!wc.status);
		} while (wc.wr_id != 7);
		CHECK(wc.wc_flags == IBV_WC_WITH_INV && wc.invalidated_rkey == rkey);
		/* Its own SEND may be acknowledged only now. */
		while (i % 8 == 7 && end_poll(&far, &wc))
			CHECK(!wc.status);
		CHECK(!memcmp(theirs + OFFSET, mine, LENGTH));
		CHECK(!memcmp(theirs + SIZE / 2, mine + LENGTH, LENGTH));
	}
	printf("%s: bound, used and invalidated %d times; %llu retries, %llu came twice\n", kind->name,
	       ROUNDS, (unsigned long long)trouble_seen(&trouble, "tx_retries"),
	       (unsigned long long)trouble_seen(&trouble, "duplicate_requests"));
	connect_ends(&near, &far);
	CHECK(!ibv_dealloc_mw(mw));
}
