/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Timeouts, retries and RNR NAKs: as often and as long as the queue pair was told.
 *
 * usage: timers -d DEV,DEV2
 */
#include "ends.h"
#include "slow.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { DEPTH = 8, SIZE = 64 << 10, PAGE_MS = 300, FOREVER_MS = 600 };

static struct nic nics[2];
static struct end near, far;
static char *mine, *theirs;
static struct ibv_mr *my_mr, *their_mr;
static struct trouble trouble;

/* Seconds of a timeout, and of a code of an RNR timer: IBTA 9.7.6.1.3, table 45 */
static double timeout_time(int timeout)
{
	return 4.096e-6 * (1 << timeout);
}

static double rnr_time(int code)
{
	static const int us10[] = {
		65536, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768,
		1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152,
	};

	return us10[code] * 1e-5;
}

static struct request request(enum ibv_wr_opcode opcode)
{
	return (struct request){ opcode, mine, 100, my_mr->lkey, (uintptr_t)theirs, their_mr->rkey };
}

static void create(void)
{
	ends_create(&near, &nics[0], &far, &nics[1], DEPTH);
}

static void destroy(void)
{
	end_destroy(&near);
	end_destroy(&far);
}

static void modify(struct end *end, struct ibv_qp_attr attr, int mask)
{
	CHECK(!ibv_modify_qp(end->qp, &attr, mask));
}

/* That is only possible in SQD, with nothing under way. */
static void set_retries(int timeout, int retry_cnt, int rnr_retry)
{
	modify(&near, (struct ibv_qp_attr){ .qp_state = IBV_QPS_SQD }, IBV_QP_STATE);
	modify(&near, (struct ibv_qp_attr){
		.timeout = timeout, .retry_cnt = retry_cnt, .rnr_retry = rnr_retry,
	}, IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY);
	modify(&near, (struct ibv_qp_attr){ .qp_state = IBV_QPS_RTS }, IBV_QP_STATE);
}

static enum ibv_wc_status ends_after(enum ibv_wr_opcode opcode, double *seconds)
{
	struct request r = request(opcode);
	double start = now();
	struct ibv_wc wc;

	end_post(&near, &r, 0);
	wc = end_wait(&near);
	*seconds = now() - start;
	return wc.status;
}

/* --- A peer that does not answer ------------------------------------------------------- */

static void silence(int timeout, int retry_cnt)
{
	double seconds, least = (retry_cnt + 1) * timeout_time(timeout);
	uint64_t timeouts;

	create();
	set_retries(timeout, retry_cnt, 7);
	modify(&far, (struct ibv_qp_attr){ .qp_state = IBV_QPS_RESET }, IBV_QP_STATE);
	trouble_begin(&trouble, nics);
	CHECK(ends_after(IBV_WR_RDMA_WRITE, &seconds) == IBV_WC_RETRY_EXC_ERR);
	timeouts = trouble_seen(&trouble, "tx_timeouts");
	printf("timeout %d, %d retries: %.0f ms, at least %.0f; %llu timeouts\n", timeout, retry_cnt,
	       1000 * seconds, 1000 * least, (unsigned long long)timeouts);
	CHECK(seconds >= least && timeouts == retry_cnt + 1ULL);
	JUDGE(seconds < 4 * least + 0.5 * slowness());
	destroy();
}

static void no_timeout(void)
{
	struct request r = request(IBV_WR_RDMA_WRITE);
	struct ibv_wc wc;

	create();
	set_retries(0, 0, 7);
	modify(&far, (struct ibv_qp_attr){ .qp_state = IBV_QPS_RESET }, IBV_QP_STATE);
	end_post(&near, &r, 0);
	pause_ms(FOREVER_MS);
	CHECK(!end_poll(&near, &wc));
	destroy();
}

/* --- A peer without a receive request ---------------------------------------------------- */

static void not_ready(int code, int rnr_retry)
{
	double seconds, least = rnr_retry * rnr_time(code);
	uint64_t naks;

	create();
	set_retries(TIMEOUT_LONG, 7, rnr_retry);
	modify(&far, (struct ibv_qp_attr){ .min_rnr_timer = code }, IBV_QP_MIN_RNR_TIMER);
	trouble_begin(&trouble, nics);
	CHECK(ends_after(IBV_WR_SEND, &seconds) == IBV_WC_RNR_RETRY_EXC_ERR);
	naks = trouble_seen(&trouble, "rnr_nak_received");
	printf("RNR timer %d, %d retries: %.1f ms, at least %.1f; %llu NAKs\n", code, rnr_retry,
	       1000 * seconds, 1000 * least, (unsigned long long)naks);
	CHECK(seconds >= least && naks == rnr_retry + 1ULL);
	JUDGE(seconds < 2 * least + 0.2 * slowness());
	destroy();
}

static void ready_at_last(void)
{
	struct request r = request(IBV_WR_SEND);
	struct ibv_wc wc;

	create();
	modify(&far, (struct ibv_qp_attr){ .min_rnr_timer = 18 }, IBV_QP_MIN_RNR_TIMER);
	end_post(&near, &r, 0);
	pause_ms(FOREVER_MS);
	CHECK(!end_poll(&near, &wc));
	end_post_receive(&far, theirs, 100, their_mr->lkey, 0);
	end_done(&near);
	end_done(&far);
	destroy();
}

/* --- A page that takes longer than the timeout -------------------------------------------- */

/* The peer is told to wait, for longer each time: a few retries last for a long time. */
static void page_away(int code, int rnr_retry, uint64_t most)
{
	struct slow slow;
	double seconds;
	uint64_t naks;

	create();
	set_retries(14, 7, rnr_retry);
	modify(&far, (struct ibv_qp_attr){ .min_rnr_timer = code }, IBV_QP_MIN_RNR_TIMER);
	slow_begin(&slow, theirs, 1);
	slow_set_delay(&slow, 0, 1, PAGE_MS);
	trouble_begin(&trouble, nics);
	CHECK(ends_after(IBV_WR_RDMA_WRITE, &seconds) == IBV_WC_SUCCESS);
	naks = trouble_seen(&trouble, "rnr_nak_sent");
	printf("a page is %d ms away, RNR timer %d, %d retries: %.0f ms, %llu NAKs\n", PAGE_MS, code,
	       rnr_retry, 1000 * seconds, (unsigned long long)naks);
	CHECK(!memcmp(mine, theirs, 100));
	JUDGE(naks && naks <= most && seconds < PAGE_MS / 1000.0 + 0.1);
	slow_end(&slow);
	destroy();
}

int main(int argc, char **argv)
{
	CHECK(getopt(argc, argv, "d:") == 'd');
	nics_open(nics, optarg);
	mine = memory_map(SIZE, false);
	theirs = memory_map(SIZE, false);
	my_mr = nic_register(&nics[0], mine, SIZE);
	their_mr = nic_register(&nics[1], theirs, SIZE);
	memset(mine, 0x42, SIZE);

	silence(10, 0);
	silence(10, 7);
	silence(14, 2);
	silence(16, 0);
	silence(16, 1);
	no_timeout();
	not_ready(1, 0);
	not_ready(1, 6);
	not_ready(20, 3);
	not_ready(24, 2);
	not_ready(28, 1);
	not_ready(0, 1);
	ready_at_last();
	page_away(1, 7, 6);
	page_away(1, 5, 6);
	page_away(26, 4, 4);
	CHECK(!ibv_dereg_mr(my_mr) && !ibv_dereg_mr(their_mr));
	return 0;
}
