// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Shared receive queues: requests go to the messages of any queue pair, each to
 * one; who finds none waits; the user is told when few are left, and when a
 * queue pair that has failed takes no more.
 *
 * usage: srq -d DEV[,DEV2]
 *
 * Messages go from near[] to far[], in pairs; all of far[] receive from one
 * queue, into slots that are memory on demand. Which message is the next one of
 * a pair, and each of its bytes, is known to both sides.
 */
#include "ends.h"
#include "slow.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

enum {
	PAIRS = 8, SENDERS = 2, SLOTS = 16, SLOT = 20 * PAGE, SGES = 3,
	BURST = 4, MESSAGES = 60, WAIT_MS = 50, SLOW_PAGES = 2, NEVER_MS = 3600000,
};

static struct nic nics[2];
static struct ibv_mr *mr[2];
static struct ibv_srq *srq;
static struct end near[PAIRS], far[PAIRS];
static int sent[PAIRS], got[PAIRS];
static char *outbox;	/* BURST messages of each pair */
static char *inbox;	/* the slots */
static bool given[SLOTS];

/* --- Messages ---------------------------------------------------------------- */

static uint32_t size_of(int pair, int message)
{
	static const uint32_t edges[] = {
		0, 1, 999, 1000, 1001, 1023, 1024, 1025, PAGE - 1, PAGE, PAGE + 1, SLOT - 1, SLOT,
	};
	uint32_t n = pair * 7 + message;

	if (message % 2)
		return edges[n / 2 % (sizeof(edges) / sizeof(edges[0]))];
	return (n * 2654435761U >> 8) % SLOT;
}

static char byte_of(int pair, int message, uint32_t i)
{
	return (i * 2654435761U + pair * 100003 + message * 7919) >> 11;
}

static void post_message(int pair)
{
	int message = sent[pair]++;
	struct request request = {
		.opcode = IBV_WR_SEND, .len = size_of(pair, message), .lkey = mr[0]->lkey,
		.local = outbox + (pair * BURST + message % BURST) * SLOT,
	};
	uint32_t i;

	for (i = 0; i < request.len; i++)
		request.local[i] = byte_of(pair, message, i);
	end_post(&near[pair], &request, message);
}

/* A slot is three pieces of memory, with ends inside pages and packets. */
static void describe(int slot, struct ibv_sge sge[SGES])
{
	uint64_t at = (uintptr_t)inbox + slot * SLOT;
	uint32_t first = 1000 + slot, second = 5000;

	sge[0] = (struct ibv_sge){ at, first, mr[1]->lkey };
	sge[1] = (struct ibv_sge){ at + first, second, mr[1]->lkey };
	sge[2] = (struct ibv_sge){ at + first + second, SLOT - first - second, mr[1]->lkey };
}

/* @count slots from @first on, posted as one list */
static void give(int first, int count)
{
	struct ibv_sge sge[SLOTS][SGES];
	struct ibv_recv_wr wr[SLOTS], *bad;
	int i;

	for (i = 0; i < count; i++) {
		CHECK(!given[first + i]);
		given[first + i] = true;
		describe(first + i, sge[i]);
		wr[i] = (struct ibv_recv_wr){
			.wr_id = first + i, .sg_list = sge[i], .num_sge = SGES,
			.next = i + 1 < count ? &wr[i + 1] : NULL,
		};
	}
	CHECK(!ibv_post_srq_recv(srq, wr, &bad));
}

/* What is not of the message is as it was. The device may lose its pages. */
static void check_slot(char *slot, int pair, int message)
{
	uint32_t i, len = size_of(pair, message);

	for (i = 0; i < len; i++)
		CHECK(slot[i] == byte_of(pair, message, i));
	for (; i < SLOT; i++)
		CHECK(!slot[i]);
	if (message % 3)
		CHECK(!madvise(slot, SLOT, MADV_DONTNEED));
	else
		memset(slot, 0, SLOT);
}

/* The completion of the pair's next message. Return: the slot, which is free */
static int take(int pair, const struct ibv_wc *wc)
{
	CHECK(wc->status == IBV_WC_SUCCESS && wc->opcode == IBV_WC_RECV);
	CHECK(wc->qp_num == far[pair].qp->qp_num);
	CHECK(wc->wr_id < SLOTS && given[wc->wr_id]);
	given[wc->wr_id] = false;
	CHECK(wc->byte_len == size_of(pair, got[pair]));
	check_slot(inbox + wc->wr_id * SLOT, pair, got[pair]++);
	return wc->wr_id;
}

static int receive(int pair)
{
	struct ibv_wc wc = end_wait(&far[pair]);

	return take(pair, &wc);
}

static void transfer(int pair)
{
	post_message(pair);
	receive(pair);
	end_done(&near[pair]);
}

/* --- Asynchronous events ------------------------------------------------------ */

/* One of a queue or a queue pair; false if none is there within @ms */
static bool event_comes(struct ibv_async_event *event, int ms)
{
	struct pollfd p = { .fd = nics[1].context->async_fd, .events = POLLIN };

	while (poll(&p, 1, ms) == 1) {
		CHECK(!ibv_get_async_event(nics[1].context, event));
		ibv_ack_async_event(event);
		if (event->event_type < IBV_EVENT_PORT_ACTIVE ||
		    (event->event_type >= IBV_EVENT_SRQ_ERR &&
		     event->event_type <= IBV_EVENT_QP_LAST_WQE_REACHED))
			return true;
	}
	return false;
}

static void no_event(void)
{
	struct ibv_async_event event;

	CHECK(!event_comes(&event, 0));
}

static void limit_event(void)
{
	struct ibv_async_event event;

	CHECK(event_comes(&event, patience() * 1000));
	CHECK(event.event_type == IBV_EVENT_SRQ_LIMIT_REACHED && event.element.srq == srq);
	no_event();
}

static void last_event(const struct end *end)
{
	struct ibv_async_event event;

	CHECK(event_comes(&event, patience() * 1000));
	CHECK(event.event_type == IBV_EVENT_QP_LAST_WQE_REACHED && event.element.qp == end->qp);
	no_event();
}

/* --- Traffic ------------------------------------------------------------------- */

static void *sender(void *arg)
{
	int first = (uintptr_t)arg, pair, i, round;

	for (round = 0; round < MESSAGES / BURST; round++) {
		for (pair = first; pair < PAIRS; pair += SENDERS)
			for (i = 0; i < BURST; i++)
				post_message(pair);
		for (pair = first; pair < PAIRS; pair += SENDERS)
			for (i = 0; i < BURST; i++)
				end_done(&near[pair]);
	}
	return NULL;
}

/* More messages are on their way than there are requests for them. */
static void traffic(void)
{
	pthread_t thread[SENDERS];
	double until = now() + patience();
	struct ibv_wc wc;
	int i, left = PAIRS * MESSAGES;

	give(0, SLOTS);
	for (i = 0; i < SENDERS; i++)
		CHECK(!pthread_create(&thread[i], NULL, sender, (void *)(uintptr_t)i));
	while (left) {
		int before = left;

		for (i = 0; i < PAIRS; i++)
			for (; end_poll(&far[i], &wc); left--)
				give(take(i, &wc), 1);
		if (left == before)
			pause_ms(1);
		CHECK(now() < until);
	}
	for (i = 0; i < SENDERS; i++)
		CHECK(!pthread_join(thread[i], NULL));
	printf("%d messages to %d queue pairs, each byte right\n", PAIRS * MESSAGES, PAIRS);
}

static void nothing_comes(void)
{
	struct ibv_wc wc;
	int i;

	pause_ms(WAIT_MS);
	for (i = 0; i < PAIRS; i++)
		CHECK(!end_poll(&far[i], &wc) && !end_poll(&near[i], &wc));
}

/* Takes what has come to pairs up to there; all of @count come. */
static void receive_any(int count)
{
	double until = now() + patience();
	struct ibv_wc wc;
	int i;

	while (count) {
		for (i = 0; i < PAIRS; i++) {
			if (!end_poll(&far[i], &wc))
				continue;
			take(i, &wc);
			end_done(&near[i]);
			count--;
		}
		CHECK(count >= 0 && now() < until);
	}
}

/* The traffic has left SLOTS requests, no more and no less. */
static void empty(void)
{
	struct counters before;
	int i;

	for (i = 0; i < SLOTS; i++)
		transfer(i % PAIRS);
	counters_read(&before, &nics[1]);
	for (i = 0; i < PAIRS; i++)
		post_message(i);
	nothing_comes();
	JUDGE(counters_grown(&before, "rnr_nak_sent") >= PAIRS);
	give(0, 3);
	receive_any(3);
	nothing_comes();
	give(3, PAIRS - 3);
	receive_any(PAIRS - 3);
	printf("empty: all wait; 3 requests are for 3 of them, the others for the others\n");
}

/* --- The limit ------------------------------------------------------------------ */

static int set_limit(uint32_t limit)
{
	struct ibv_srq_attr attr = { .srq_limit = limit };

	return ibv_modify_srq(srq, &attr, IBV_SRQ_LIMIT);
}

static uint32_t limit_now(void)
{
	struct ibv_srq_attr attr;

	CHECK(!ibv_query_srq(srq, &attr));
	CHECK(attr.max_wr == SLOTS && attr.max_sge >= SGES);
	return attr.srq_limit;
}

static void limit(void)
{
	int i;

	no_event();
	give(0, 8);
	CHECK(!set_limit(4) && limit_now() == 4);
	for (i = 0; i < 4; i++)
		transfer(i);
	no_event();
	transfer(4);
	limit_event();
	CHECK(limit_now() == 0);
	for (i = 5; i < 8; i++)
		transfer(i);
	no_event();

	CHECK(!set_limit(1));
	limit_event();

	give(0, 2);
	CHECK(!set_limit(2) && limit_now() == 2);
	no_event();
	CHECK(!set_limit(0));
	transfer(0);
	no_event();
	CHECK(!set_limit(1) && limit_now() == 1);
	transfer(1);
	limit_event();
	printf("the limit: one event when fewer are left, or were when it was set; 0 is none\n");
}

/* --- Queue pairs that leave -------------------------------------------------------- */

static void fail(struct end *end)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_ERR };

	CHECK(!ibv_modify_qp(end->qp, &attr, IBV_QP_STATE));
}

/* What was not taken by who left is there for others: exactly @count */
static void others_take(int count)
{
	int i;

	for (i = 0; i < count; i++)
		transfer(i % 2);
	post_message(0);
	nothing_comes();
	give(0, 1);
	receive(0);
	end_done(&near[0]);
}

/* Takes a request, and stays with it, as the second half of its memory never comes. */
static void stay(int pair, struct slow *slow, int page)
{
	double until = now() + patience();
	struct request request = {
		.opcode = IBV_WR_SEND, .local = outbox, .len = 2 * PAGE, .lkey = mr[0]->lkey,
	};
	struct ibv_sge sge[2] = {
		{ (uintptr_t)inbox, PAGE, mr[1]->lkey },
		{ (uintptr_t)slow->start + page * PAGE, PAGE, mr[1]->lkey },
	};
	struct ibv_recv_wr wr = { .wr_id = 1000 + pair, .sg_list = sge, .num_sge = 2 }, *bad;
	unsigned int asked = slow_asked(slow);

	CHECK(!ibv_post_srq_recv(srq, &wr, &bad));
	end_post(&near[pair], &request, 0);
	while (slow_asked(slow) == asked) {
		pause_ms(1);
		CHECK(now() < until);
	}
	CHECK(!madvise(inbox, PAGE, MADV_DONTNEED));
}

static void leave(void)
{
	char *memory = memory_map(BLOCK, false);
	struct slow slow;
	struct ibv_wc wc;

	give(0, 3);
	fail(&far[7]);
	last_event(&far[7]);
	CHECK(!end_poll(&far[7], &wc));
	fail(&far[7]);
	others_take(3);
	no_event();
	printf("leaving: told once, and what it had not taken is there for others\n");

	slow_begin(&slow, memory, SLOW_PAGES);
	slow_set_delay(&slow, 0, SLOW_PAGES, NEVER_MS);
	stay(6, &slow, 0);
	give(0, 3);
	fail(&far[6]);
	last_event(&far[6]);
	CHECK(end_poll(&far[6], &wc) && wc.status == IBV_WC_WR_FLUSH_ERR && wc.wr_id == 1006);
	CHECK(!end_poll(&far[6], &wc));
	others_take(3);
	printf("leaving in a message: told after its request was flushed\n");

	stay(5, &slow, 1);
	give(0, 3);
	end_destroy(&far[5]);
	end_create(&far[5], &nics[1], SLOTS);
	others_take(3);
	no_event();
	printf("destroyed in a message: its request is gone, the others are not\n");
	slow_end(&slow);
}

/* --- Protection domains -------------------------------------------------------------- */

static void post_one(struct ibv_srq *queue, char *to, uint32_t lkey)
{
	struct ibv_sge sge = { (uintptr_t)to, PAGE, lkey };
	struct ibv_recv_wr wr = { .sg_list = &sge, .num_sge = 1 }, *bad;

	CHECK(!ibv_post_srq_recv(queue, &wr, &bad));
}

/* Keys of requests belong to the domain of their queue, not of the queue pair. */
static void domains(void)
{
	struct ibv_srq_init_attr init = { .attr = { .max_wr = 2, .max_sge = 1 } };
	struct ibv_pd *pd = ibv_alloc_pd(nics[1].context);
	char *memory = memory_map(BLOCK, false);
	struct ibv_mr *region;
	struct end a = { 0 }, b = { 0 };
	struct request request = {
		.opcode = IBV_WR_SEND, .local = outbox, .len = 8, .lkey = mr[0]->lkey,
	};

	CHECK(pd);
	region = ibv_reg_mr(pd, memory, BLOCK, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_ON_DEMAND);
	CHECK(region);
	CHECK((b.srq = ibv_create_srq(pd, &init)));
	ends_create(&a, &nics[0], &b, &nics[1], 2);
	memcpy(outbox, "a domain", 8);
	post_one(b.srq, memory, region->lkey);
	end_post(&a, &request, 0);
	end_done(&b);
	end_done(&a);
	CHECK(!memcmp(memory, "a domain", 8));

	post_one(b.srq, memory, mr[1]->lkey);
	memset(outbox, 'x', 8);
	end_post(&a, &request, 0);
	CHECK(end_wait(&b).status == IBV_WC_LOC_PROT_ERR);
	CHECK(end_wait(&a).status == IBV_WC_REM_OP_ERR);
	CHECK(!memcmp(memory, "a domain", 8));
	last_event(&b);
	end_destroy(&a);
	end_destroy(&b);
	CHECK(!ibv_destroy_srq(b.srq) && !ibv_dereg_mr(region) && !ibv_dealloc_pd(pd));
	printf("keys are those of the queue's domain\n");
}

/* --- Bad input ------------------------------------------------------------------------ */

#define REFUSED(call, error) CHECK((errno = 0, !(call)) && errno == (error))

static void bad_create(const struct ibv_device_attr *device)
{
	const struct ibv_srq_attr bad[] = {
		{ .max_wr = 0, .max_sge = 1 },
		{ .max_wr = device->max_srq_wr + 1, .max_sge = 1 },
		{ .max_wr = UINT32_MAX, .max_sge = 1 },
		{ .max_wr = 1, .max_sge = device->max_srq_sge + 1 },
		{ .max_wr = 1, .max_sge = UINT32_MAX },
	};
	struct ibv_srq_init_attr_ex init = {
		.attr = { .max_wr = device->max_srq_wr, .max_sge = device->max_srq_sge },
		.comp_mask = IBV_SRQ_INIT_ATTR_PD | IBV_SRQ_INIT_ATTR_TYPE,
		.srq_type = IBV_SRQT_BASIC, .pd = nics[1].pd,
	};
	struct ibv_srq *most;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ibv_srq_init_attr one = { .attr = bad[i] };

		REFUSED(ibv_create_srq(nics[1].pd, &one), EINVAL);
	}
	CHECK((most = ibv_create_srq_ex(nics[1].context, &init)));
	CHECK(!ibv_destroy_srq(most));
}

static void bad_modify(void)
{
	struct ibv_srq_attr attr = { .max_wr = 2 * SLOTS, .srq_limit = 1 };

	give(0, 1);
	CHECK(set_limit(SLOTS + 1) == EINVAL && set_limit(UINT32_MAX) == EINVAL);
	CHECK(ibv_modify_srq(srq, &attr, 1 << 2 | IBV_SRQ_LIMIT) == EINVAL);
	CHECK(ibv_modify_srq(srq, &attr, IBV_SRQ_MAX_WR | IBV_SRQ_LIMIT) == EOPNOTSUPP);
	CHECK(limit_now() == 0);
	transfer(0);
	no_event();
}

static void bad_post(void)
{
	struct ibv_sge sge[SGES];
	struct ibv_recv_wr wr[2] = {
		{ .wr_id = SLOTS - 1, .sg_list = sge, .num_sge = SGES, .next = &wr[1] },
		{ .sg_list = sge },
	}, *bad = NULL;
	struct ibv_srq_attr attr;
	int i;

	describe(SLOTS - 1, sge);
	CHECK(!ibv_query_srq(srq, &attr));
	wr[1].num_sge = attr.max_sge + 1;
	CHECK(ibv_post_srq_recv(srq, &wr[1], &bad) == EINVAL && bad == &wr[1]);
	bad = NULL;
	wr[1].num_sge = -1;
	CHECK(ibv_post_srq_recv(srq, &wr[1], &bad) == EINVAL && bad == &wr[1]);
	CHECK(ibv_post_recv(far[0].qp, wr, &bad) == EINVAL && bad == wr);

	wr[1].num_sge = SGES;
	give(0, SLOTS - 1);
	/* Of two there is room for one. */
	given[SLOTS - 1] = true;
	CHECK(ibv_post_srq_recv(srq, wr, &bad) == ENOMEM && bad == &wr[1]);
	for (i = 0; i < SLOTS; i++)
		transfer(i % 2);
}

static void bad_input(void)
{
	struct ibv_qp_init_attr init = {
		.qp_type = IBV_QPT_RC, .send_cq = far[0].cq, .recv_cq = far[0].cq, .srq = srq,
		.cap = { 1, UINT32_MAX, 1, UINT32_MAX, 0 },
	};
	struct ibv_device_attr_ex device;
	struct ibv_qp *qp;

	CHECK(!ibv_query_device_ex(nics[1].context, NULL, &device));
	CHECK(device.orig_attr.max_srq > 0 && device.orig_attr.max_srq_wr >= SLOTS);
	CHECK(device.orig_attr.max_srq_sge >= SGES);
	CHECK(device.odp_caps.per_transport_caps.rc_odp_caps & IBV_ODP_SUPPORT_SRQ_RECV);
	CHECK(!(device.orig_attr.device_cap_flags & IBV_DEVICE_SRQ_RESIZE));
	bad_create(&device.orig_attr);
	bad_modify();
	bad_post();
	/* Its own receive queue is none, so what is said about it does not count. */
	CHECK((qp = ibv_create_qp(nics[1].pd, &init)));
	CHECK(ibv_destroy_srq(srq) == EBUSY);
	CHECK(!ibv_destroy_qp(qp));
	printf("mistakes are refused\n");
}

int main(int argc, char **argv)
{
	struct ibv_srq_init_attr init = { .attr = { .max_wr = SLOTS - 1, .max_sge = SGES } };
	int i;

	CHECK(argc == 3 && !strcmp(argv[1], "-d"));
	nics_open(nics, argv[2]);
	outbox = memory_map(PAIRS * BURST * SLOT, false);
	inbox = memory_map(SLOTS * SLOT, false);
	mr[0] = nic_register(&nics[0], NULL, SIZE_MAX);
	mr[1] = nic_register(&nics[1], NULL, SIZE_MAX);
	CHECK((srq = ibv_create_srq(nics[1].pd, &init)));
	CHECK(init.attr.max_wr == SLOTS && init.attr.max_sge >= SGES);
	for (i = 0; i < PAIRS; i++) {
		far[i].srq = srq;
		ends_create(&near[i], &nics[0], &far[i], &nics[1], SLOTS);
	}
	traffic();
	empty();
	limit();
	bad_input();
	domains();
	leave();
	for (i = 0; i < PAIRS; i++) {
		end_destroy(&near[i]);
		end_destroy(&far[i]);
	}
	CHECK(!ibv_destroy_srq(srq));
	return 0;
}
