/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * ATOMIC WRITE: 64 bits are seen whole, behind all that was written before, and are
 * written once; what must not be written is not. And FLUSH, which cannot be asked for.
 *
 * usage: atomic_write -d DEV[,DEV2] [-l]
 *
 *   -l  packets get lost: what must be right then, and that some requests came twice
 *
 * Each queue pair has a mailbox: a word, and a letter of some packets that is written
 * before its number is in the word. The CPU takes the number out, and would find it
 * again if it were written twice. One more word is written by all of them, at any
 * time. Meanwhile the memory of both ends goes away and comes again.
 */
#include "ends.h"
#include "slow.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	QUEUES = 4, WINDOW = 8, PAGES = 4 * QUEUES,
	LETTER = 3000,		/* bytes, on two pages */
	WORDS = 6,		/* to the word of all, with each letter */
	DELAY_MS = 300, TIMEOUT_SHORT = 14,
	/* What headers of newer releases call IBV_WR_FLUSH and so on */
	WR_FLUSH = 14, QP_EX_WITH_FLUSH = 1 << 11, ODP_FLUSH = 1 << 6, ODP_ATOMIC_WRITE = 1 << 7,
	ACCESS_FLUSH_GLOBAL = 1 << 8, ACCESS_FLUSH_PERSISTENT = 1 << 9,
	LOCAL = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_ON_DEMAND,
	ALL = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC,
};

static const uint64_t cap_atomic_write = 1ULL << 40, caps_flush = 3ULL << 38;

/* In the target's first page, each alone in its cache line; letters are behind it */
struct words {
	struct {
		_Atomic uint64_t word __attribute__((aligned(64)));
	} mailbox[QUEUES], all, other;
};

static struct nic nics[2];
static bool lossy;
static char *target, *source;
static struct words *words;
static struct ibv_mr *target_mr, *source_mr;
static struct end ends[QUEUES], peers[QUEUES];
static atomic_bool stop;
static atomic_uint taken[QUEUES];
static atomic_ulong seen;	/* in the word of all: that it was another */

/* --- Memory and connections ------------------------------------------------------ */

static struct ibv_mr *region(int nic, void *start, size_t size, int access)
{
	struct ibv_mr *mr = ibv_reg_mr(nics[nic].pd, start, size, access);

	CHECK(mr);
	return mr;
}

static void set_up(void)
{
	int i;

	target = memory_map(PAGES * PAGE, false);
	source = memory_map(PAGES * PAGE, false);
	words = (struct words *)target;
	memset(target, 0, PAGES * PAGE);
	target_mr = region(1, target, PAGES * PAGE, LOCAL | IBV_ACCESS_REMOTE_WRITE);
	source_mr = region(0, source, PAGES * PAGE, LOCAL);
	for (i = 0; i < QUEUES; i++) {
		ends[i].timeout = lossy ? TIMEOUT_SHORT : TIMEOUT_LONG;
		ends_create(&ends[i], &nics[0], &peers[i], &nics[1], 2 * WINDOW);
	}
}

static void tear_down(void)
{
	int i;

	for (i = 0; i < QUEUES; i++) {
		end_destroy(&ends[i]);
		end_destroy(&peers[i]);
	}
	CHECK(!ibv_dereg_mr(target_mr) && !ibv_dereg_mr(source_mr));
	CHECK(!munmap(target, PAGES * PAGE) && !munmap(source, PAGES * PAGE));
}

static struct request request_of(enum ibv_wr_opcode opcode, char *local, uint32_t len, void *remote)
{
	return (struct request){
		.opcode = opcode, .local = local, .len = len, .lkey = source_mr->lkey,
		.remote = (uintptr_t)remote, .rkey = target_mr->rkey,
	};
}

static void post(struct end *end, enum ibv_wr_opcode opcode, char *local, uint32_t len, void *remote)
{
	struct request request = request_of(opcode, local, len, remote);

	end_post(end, &request, opcode);
}

static void done(struct end *end, enum ibv_wc_opcode opcode, uint32_t len)
{
	struct ibv_wc wc = end_wait(end);

	if (wc.status)
		printf("completion: %s\n", ibv_wc_status_str(wc.status));
	CHECK(!wc.status && wc.opcode == opcode && wc.byte_len == len);
}

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

/* --- Mailboxes ------------------------------------------------------------------------ */

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

static void mail(void)
{
	void *(*const others[])(void *) = { take_letters, watch_word_of_all, disturb };
	pthread_t threads[QUEUES], by_cpu[3];
	struct trouble trouble;
	int i;

	stop = false;
	seen = 0;
	trouble_begin(&trouble, nics);
	for (i = 0; i < 3; i++)
		CHECK(!pthread_create(&by_cpu[i], NULL, others[i], NULL));
	for (i = 0; i < QUEUES; i++) {
		taken[i] = 0;
		CHECK(!pthread_create(&threads[i], NULL, send_letters, &ends[i]));
	}
	for (i = 0; i < QUEUES; i++)
		CHECK(!pthread_join(threads[i], NULL));
	stop = true;
	for (i = 0; i < 3; i++)
		CHECK(!pthread_join(by_cpu[i], NULL));
	printf("%d letters, each once; a word of %lu changes seen, none torn; %llu faults; %llu retries, %llu came twice\n",
	       QUEUES * letters(), seen,
	       (unsigned long long)counters_grown(&trouble.nic[1], "odp_faults"),
	       (unsigned long long)trouble_seen(&trouble, "tx_retries"),
	       (unsigned long long)trouble_seen(&trouble, "duplicate_requests"));
	JUDGE(seen > 50);
	CHECK(counters_grown(&trouble.nic[1], "odp_faults") >= QUEUES * letters());
	CHECK(!lossy || trouble_seen(&trouble, "duplicate_requests"));
}

/* --- Ways to post one ------------------------------------------------------------------- */

/* An end whose requests are posted by calls */
static void end_with_calls(struct end *end, struct end *peer, uint32_t pieces)
{
	struct ibv_qp_init_attr_ex init = {
		.qp_type = IBV_QPT_RC, .pd = nics[0].pd, .sq_sig_all = 1,
		.cap = { .max_send_wr = WINDOW, .max_recv_wr = 1, .max_send_sge = pieces },
		.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
		.send_ops_flags = IBV_QP_EX_WITH_ATOMIC_WRITE,
	};

	end->nic = &nics[0];
	CHECK((end->channel = ibv_create_comp_channel(nics[0].context)));
	CHECK((end->cq = ibv_create_cq(nics[0].context, WINDOW, NULL, end->channel, 0)));
	init.send_cq = init.recv_cq = end->cq;
	CHECK((end->qp = ibv_create_qp_ex(nics[0].context, &init)));
	end_create(peer, &nics[1], 1);
	ends_connect(end, peer);
}

/* What is there is that word, and what is around it as before: zero. */
static void expect_word(uint64_t value)
{
	const char *bytes = (char *)&words->other;
	int i;

	if (words->other.word != value)
		printf("%016llx, not %016llx\n", (unsigned long long)words->other.word,
		       (unsigned long long)value);
	CHECK(words->other.word == value);
	for (i = sizeof(value); i < 64; i++)
		CHECK(!bytes[i]);
	CHECK(!words->all.word);
}

/* The value is taken when it is posted; there is no other room for it. */
static void by_calls(void)
{
	struct end end = {}, peer = {};
	struct ibv_qp_ex *qpx;
	uint64_t value;
	int i;

	end_with_calls(&end, &peer, 0);
	CHECK((qpx = ibv_qp_to_qp_ex(end.qp)));
	ibv_wr_start(qpx);
	for (i = 0; i < WINDOW; i++) {
		value = 0x0123456789abcdefUL + i;
		qpx->wr_flags = IBV_SEND_SIGNALED;
		ibv_wr_atomic_write(qpx, target_mr->rkey, (uintptr_t)&words->other, &value);
		value = 0;
	}
	CHECK(!ibv_wr_complete(qpx));
	for (i = 0; i < WINDOW; i++)
		done(&end, IBV_WC_ATOMIC_WRITE, 8);
	expect_word(0x0123456789abcdefUL + WINDOW - 1);
	end_destroy(&end);
	end_destroy(&peer);
}

static int post_list(struct end *end, int flags, const uint32_t *lengths, int n)
{
	struct ibv_sge sges[2];
	struct ibv_send_wr wr = {
		.sg_list = sges, .num_sge = n, .opcode = IBV_WR_ATOMIC_WRITE, .send_flags = flags,
		.wr.rdma = { (uintptr_t)&words->other, target_mr->rkey },
	}, *bad = NULL;
	char *from = source;
	int i, ret;

	for (i = 0; i < n; i++) {
		sges[i] = (struct ibv_sge){ (uintptr_t)from, lengths[i], source_mr->lkey };
		from += PAGE;
	}
	ret = ibv_post_send(end->qp, &wr, &bad);
	CHECK(!ret == !bad);
	return ret;
}

static void by_lists(void)
{
	static const uint32_t wrong[][2] = { { 0, 0 }, { 8, 1 }, { 7, 0 }, { 3, 4 }, { 16, 0 } };
	struct end end = {}, peer = {};
	unsigned int i;

	end_with_calls(&end, &peer, 2);
	for (i = 0; i < 4; i++) {
		memset(source, 0x11 * (i + 1), PAGE);
		memset(source + PAGE, 0x22 * (i + 1), PAGE);
		CHECK(!post_list(&end, i % 2 ? IBV_SEND_INLINE : 0, (uint32_t[]){ 3, 5 }, 2));
		done(&end, IBV_WC_ATOMIC_WRITE, 8);
		expect_word(0x2222222222111111UL * (i + 1));
	}
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		CHECK(post_list(&end, 0, wrong[i], 2) == EINVAL);
		CHECK(post_list(&end, IBV_SEND_INLINE, wrong[i], 2) == EINVAL);
	}
	CHECK(post_list(&end, 0, NULL, 0) == EINVAL);
	end_destroy(&end);
	end_destroy(&peer);
}

/* --- What is refused ---------------------------------------------------------------------- */

/* One thing that is not as it should be */
struct mistake {
	const char *what;
	enum ibv_wc_status status;
	long at;		/* where the word is */
	int access, qp_access;	/* of the region, and of the peer */
	int key;		/* what is added */
	int taken, asked;	/* rd_atomic of the peer and of the end */
};

static const struct mistake mistakes[] = {
	{ "nothing is wrong", .access = LOCAL | ALL, .qp_access = ALL },
	{ "at the end", .at = PAGE - 8, .access = LOCAL | ALL, .qp_access = ALL },
	{ "the right to WRITE alone", .access = LOCAL | IBV_ACCESS_REMOTE_WRITE,
	  .qp_access = IBV_ACCESS_REMOTE_WRITE },
	{ "pinned", .access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE, .qp_access = ALL },
	{ "address not aligned", IBV_WC_REM_INV_REQ_ERR, .at = 4, .access = LOCAL | ALL,
	  .qp_access = ALL },
	{ "the same, and outside", IBV_WC_REM_INV_REQ_ERR, .at = PAGE - 4, .access = LOCAL | ALL,
	  .qp_access = ALL },
	{ "behind the end", IBV_WC_REM_ACCESS_ERR, .at = PAGE, .access = LOCAL | ALL,
	  .qp_access = ALL },
	{ "before the beginning", IBV_WC_REM_ACCESS_ERR, .at = -8, .access = LOCAL | ALL,
	  .qp_access = ALL },
	{ "wrong key", IBV_WC_REM_ACCESS_ERR, .key = 1, .access = LOCAL | ALL, .qp_access = ALL },
	{ "a region for atomics", IBV_WC_REM_ACCESS_ERR,
	  .access = LOCAL | IBV_ACCESS_REMOTE_ATOMIC, .qp_access = ALL },
	{ "a region to be read", IBV_WC_REM_ACCESS_ERR, .access = LOCAL | IBV_ACCESS_REMOTE_READ,
	  .qp_access = ALL },
	{ "a peer that is not written to", IBV_WC_REM_ACCESS_ERR, .access = LOCAL | ALL,
	  .qp_access = ALL & ~IBV_ACCESS_REMOTE_WRITE },
	{ "a peer that keeps no results", IBV_WC_REM_INV_REQ_ERR, .access = LOCAL | ALL,
	  .qp_access = ALL, .taken = -1 },
	{ "an end that may not ask", IBV_WC_LOC_QP_OP_ERR, .access = LOCAL | ALL, .qp_access = ALL,
	  .asked = -1 },
};

static void make(const struct mistake *mistake)
{
	struct end end = { .timeout = TIMEOUT_LONG, .rd_atomic = mistake->asked };
	struct end peer = { .rd_atomic = mistake->taken };
	struct ibv_qp_attr attr = { .qp_access_flags = mistake->qp_access };
	struct ibv_mr *mr = region(1, target + PAGE, PAGE, mistake->access);
	struct request request = request_of(IBV_WR_ATOMIC_WRITE, source, 8,
					    target + PAGE + mistake->at);
	struct ibv_wc wc;
	int i;

	ends_create(&end, &nics[0], &peer, &nics[1], 1);
	CHECK(!ibv_modify_qp(peer.qp, &attr, IBV_QP_ACCESS_FLAGS));
	memset(source, 0x77, 8);
	memset(target, 0x11, 3 * PAGE);
	request.rkey = mr->rkey + mistake->key;
	end_post(&end, &request, 0);
	wc = end_wait(&end);
	if (wc.status != mistake->status)
		printf("%s: %s\n", mistake->what, ibv_wc_status_str(wc.status));
	CHECK(wc.status == mistake->status);
	for (i = 0; i < 3 * (int)PAGE; i++)
		CHECK(target[i] == (!wc.status && i - PAGE - mistake->at < 8 ? 0x77 : 0x11));
	end_destroy(&end);
	end_destroy(&peer);
	CHECK(!ibv_dereg_mr(mr));
	memset(target, 0, 3 * PAGE);
}

/* A page that the peer's process has not, or may not write; data that is not there */
static void no_page(int peer_side)
{
	struct end end = { .timeout = TIMEOUT_LONG }, peer = {};
	char *memory = memory_map(2 * PAGE, false);
	struct ibv_mr *mr = region(peer_side, memory, PAGE, LOCAL | IBV_ACCESS_REMOTE_WRITE);
	struct request request = request_of(IBV_WR_ATOMIC_WRITE, source, 8, memory);

	if (peer_side) {
		request.rkey = mr->rkey;
		CHECK(!mprotect(memory, PAGE, PROT_READ));
	} else {
		request = request_of(IBV_WR_ATOMIC_WRITE, memory, 8, &words->other);
		request.lkey = mr->lkey;
		CHECK(!munmap(memory, PAGE));
	}
	ends_create(&end, &nics[0], &peer, &nics[1], 1);
	end_post(&end, &request, 0);
	CHECK(end_wait(&end).status == (peer_side ? IBV_WC_REM_ACCESS_ERR : IBV_WC_LOC_PROT_ERR));
	CHECK(!words->other.word);
	end_destroy(&end);
	end_destroy(&peer);
	CHECK(!ibv_dereg_mr(mr));
}

/* No QP type but those that are reliable; and no FLUSH: no right to it can be given here. */
static void not_there(void)
{
	static const enum ibv_qp_type types[] = { IBV_QPT_UC, IBV_QPT_UD, IBV_QPT_RC };
	struct ibv_qp_attr attr = { .qp_access_flags = ACCESS_FLUSH_GLOBAL };
	struct end uc = { .type = IBV_QPT_UC }, peer = { .type = IBV_QPT_UC };
	struct ibv_sge sge = { (uintptr_t)source, 8, source_mr->lkey };
	struct ibv_send_wr wr = { .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_ATOMIC_WRITE };
	struct ibv_send_wr *bad;
	int i, access;

	ends_create(&uc, &nics[0], &peer, &nics[1], 1);
	CHECK(ibv_post_send(uc.qp, &wr, &bad) == EINVAL);
	for (i = 0; i < 3; i++) {
		struct ibv_qp_init_attr_ex init = {
			.qp_type = types[i], .pd = nics[0].pd, .send_cq = uc.cq, .recv_cq = uc.cq,
			.cap = { 1, 1, 1, 1, 0 },
			.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
			.send_ops_flags = i < 2 ? (int)IBV_QP_EX_WITH_ATOMIC_WRITE : QP_EX_WITH_FLUSH,
		};

		CHECK(!ibv_create_qp_ex(nics[0].context, &init) && errno == EOPNOTSUPP);
	}
	wr.opcode = (enum ibv_wr_opcode)WR_FLUSH;
	CHECK(ibv_post_send(ends[0].qp, &wr, &bad) == EINVAL);
	CHECK(ibv_modify_qp(ends[0].qp, &attr, IBV_QP_ACCESS_FLAGS) == EINVAL);
	for (access = ACCESS_FLUSH_GLOBAL; access <= ACCESS_FLUSH_PERSISTENT; access *= 2)
		CHECK(!ibv_reg_mr(nics[0].pd, source, PAGE, LOCAL | access) && errno == EINVAL);
	end_destroy(&uc);
	end_destroy(&peer);
}

static void capabilities(void)
{
	struct ibv_device_attr_ex attr;
	uint32_t rc, xrc;

	CHECK(!ibv_query_device_ex(nics[0].context, NULL, &attr));
	CHECK(attr.device_cap_flags_ex & cap_atomic_write);
	CHECK(!(attr.device_cap_flags_ex & caps_flush));
	rc = attr.odp_caps.per_transport_caps.rc_odp_caps;
	xrc = attr.xrc_odp_caps;
	CHECK(rc & xrc & ODP_ATOMIC_WRITE && !((rc | xrc) & ODP_FLUSH));
	CHECK(!(attr.odp_caps.per_transport_caps.uc_odp_caps & ODP_ATOMIC_WRITE));
}

/* --- Memory that is far away ------------------------------------------------------------- */

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
	printf("%s is away: %.0f ms; %llu timeouts, %llu RNR NAKs, %llu came twice\n",
	       local ? "what is written" : "the word", 1000 * start,
	       (unsigned long long)trouble_seen(&trouble, "tx_timeouts"),
	       (unsigned long long)trouble_seen(&trouble, "rnr_nak_sent"),
	       (unsigned long long)trouble_seen(&trouble, "duplicate_requests"));
	CHECK(start >= DELAY_MS / 1000.0);
	CHECK(local ? words->other.word == slow_word : !memcmp(slow->start, source, 8));
	CHECK(local || (unsigned char)slow->start[8] == slow_byte(0));
	JUDGE(local || trouble_seen(&trouble, "rnr_nak_sent"));
	end_destroy(&end);
	end_destroy(&peer);
}

static void slow_pages(void)
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

int main(int argc, char **argv)
{
	unsigned int i;

	lossy = options_lossy(argc, argv, nics);
	set_up();
	if (!lossy) {
		capabilities();
		by_calls();
		by_lists();
		words->other.word = 0;
		for (i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++)
			make(&mistakes[i]);
		no_page(0);
		no_page(1);
		not_there();
		printf("%u mistakes are refused\n", i);
		slow_pages();
	}
	mail();
	tear_down();
	return 0;
}
