/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#include "ends.h"

#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { ALONE = 4 };	/* depth of the queues for one request */

void nic_use_family(struct nic *nic, int family)
{
	struct ibv_gid_entry entries[64];
	ssize_t i, n = ibv_query_gid_table(nic->context, entries, 64, 0);

	for (i = 0; i < n; i++) {
		bool v4 = IN6_IS_ADDR_V4MAPPED(entries[i].gid.raw);

		if (entries[i].gid_type != IBV_GID_TYPE_ROCE_V2 ||
		    !(family == 4 ? v4 : entries[i].gid.raw[0] == 0xfd))
			continue;
		nic->gid = entries[i].gid;
		nic->gid_index = entries[i].gid_index;
		return;
	}
	CHECK(!"a GID of that family");
}

static void nic_open(struct nic *nic, const char *name)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	int i;

	CHECK(list);
	for (i = 0; list[i]; i++)
		if (!strcmp(ibv_get_device_name(list[i]), name))
			nic->context = ibv_open_device(list[i]);
	ibv_free_device_list(list);
	CHECK(nic->context);
	nic_use_family(nic, 4);
	CHECK((nic->pd = ibv_alloc_pd(nic->context)));
	nic->name = name;
}

int nics_open(struct nic nics[2], char *names)
{
	char *second = strchr(names, ',');

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (second)
		*second++ = 0;
	nic_open(&nics[0], names);
	if (second)
		nic_open(&nics[1], second);
	else
		nics[1] = nics[0];
	return second ? 2 : 1;
}

bool options_lossy(int argc, char **argv, struct nic nics[2])
{
	bool lossy = false;
	int c;

	while ((c = getopt(argc, argv, "d:l")) != -1) {
		CHECK(c != '?');
		if (c == 'd')
			nics_open(nics, optarg);
		else
			lossy = true;
	}
	CHECK(nics[0].context);
	return lossy;
}

const char *options_in_cgroup(int argc, char **argv, struct nic nics[2])
{
	const char *cgroup = NULL;
	int c;

	while ((c = getopt(argc, argv, "d:g:")) != -1) {
		CHECK(c != '?');
		if (c == 'd')
			nics_open(nics, optarg);
		else
			cgroup = optarg;
	}
	CHECK(nics[0].context && cgroup);
	return cgroup;
}

void nic_close(struct nic *nic)
{
	CHECK(!ibv_dealloc_pd(nic->pd));
	CHECK(!ibv_close_device(nic->context));
}

struct ibv_mr *nic_register(struct nic *nic, void *start, size_t size)
{
	struct ibv_mr *mr = ibv_reg_mr(nic->pd, start, size,
				       IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
				       IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC |
				       IBV_ACCESS_ON_DEMAND);

	CHECK(mr);
	return mr;
}

void end_create(struct end *end, struct nic *nic, int depth)
{
	struct ibv_qp_init_attr init = {
		.qp_type = end->type ?: IBV_QPT_RC,
		.cap = { depth, depth, 1, 1, 0 },
		.sq_sig_all = 1,
	};

	end->nic = nic;
	CHECK((end->channel = ibv_create_comp_channel(nic->context)));
	CHECK((end->cq = ibv_create_cq(nic->context, 2 * depth, NULL, end->channel, 0)));
	init.send_cq = end->cq;
	init.recv_cq = end->cq;
	init.srq = end->srq;
	CHECK((end->qp = ibv_create_qp(nic->pd, &init)));
}

struct address end_address(const struct end *end)
{
	return (struct address){ end->qp->qp_num, end->nic->gid };
}

/* The attributes of a transition to RTR or RTS beside those that all types need */
static int also_needed(const struct end *end, enum ibv_qp_state state)
{
	const int responder = IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
	const int requester = IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
			      IBV_QP_MAX_QP_RD_ATOMIC;

	switch (end->qp->qp_type) {
	case IBV_QPT_RC:
		return state == IBV_QPS_RTR ? responder : requester;
	case IBV_QPT_XRC_SEND:
		return state == IBV_QPS_RTR ? 0 : requester;
	case IBV_QPT_XRC_RECV:
		return state == IBV_QPS_RTR ? responder : IBV_QP_TIMEOUT;
	default:
		return 0;
	}
}

static int rd_atomic_of(const struct end *end)
{
	return end->rd_atomic < 0 ? 0 : end->rd_atomic ?: 8;
}

void end_receive_from(struct end *end, const struct address *peer)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT, .port_num = 1,
		.qp_access_flags = IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE |
				   IBV_ACCESS_REMOTE_ATOMIC,
		.path_mtu = IBV_MTU_1024, .dest_qp_num = peer->qpn, .rq_psn = end->psn,
		.max_dest_rd_atomic = rd_atomic_of(end), .min_rnr_timer = 1,
		.ah_attr = { .is_global = 1, .port_num = 1,
			     .grh = { .dgid = peer->gid, .sgid_index = end->nic->gid_index,
				      .hop_limit = 8 } },
	};

	CHECK(!ibv_modify_qp(end->qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
			     IBV_QP_ACCESS_FLAGS));
	attr.qp_state = IBV_QPS_RTR;
	CHECK(!ibv_modify_qp(end->qp, &attr, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
			     IBV_QP_DEST_QPN | IBV_QP_RQ_PSN | also_needed(end, attr.qp_state)));
}

void end_connect(struct end *end, const struct address *peer)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTS, .max_rd_atomic = rd_atomic_of(end),
		.timeout = end->timeout ?: TIMEOUT_LONG, .retry_cnt = 7, .rnr_retry = 7,
		.sq_psn = end->psn,
	};

	end_receive_from(end, peer);
	CHECK(!ibv_modify_qp(end->qp, &attr, IBV_QP_STATE | IBV_QP_SQ_PSN |
			     also_needed(end, attr.qp_state)));
}

struct ibv_ah *ah_to(const struct nic *nic, const union ibv_gid *gid)
{
	struct ibv_ah_attr attr = {
		.is_global = 1, .port_num = 1,
		.grh = { .dgid = *gid, .sgid_index = nic->gid_index, .hop_limit = 8 },
	};
	struct ibv_ah *ah = ibv_create_ah(nic->pd, &attr);

	CHECK(ah);
	return ah;
}

void ud_to_rts(struct ibv_qp *qp, uint32_t qkey)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT, .port_num = 1, .qkey = qkey, .sq_psn = 0xfffffe,
	};

	CHECK(!ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
			     IBV_QP_QKEY));
	attr.qp_state = IBV_QPS_RTR;
	CHECK(!ibv_modify_qp(qp, &attr, IBV_QP_STATE));
	attr.qp_state = IBV_QPS_RTS;
	CHECK(!ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_SQ_PSN));
}

void ends_connect(struct end *a, struct end *b)
{
	struct address address = end_address(b);

	end_connect(a, &address);
	address = end_address(a);
	end_connect(b, &address);
}

void ends_create(struct end *a, struct nic *nic_a, struct end *b, struct nic *nic_b, int depth)
{
	end_create(a, nic_a, depth);
	end_create(b, nic_b, depth);
	ends_connect(a, b);
}

void end_destroy(struct end *end)
{
	CHECK(!ibv_destroy_qp(end->qp));
	CHECK(!ibv_destroy_cq(end->cq));
	CHECK(!ibv_destroy_comp_channel(end->channel));
}

void end_post(struct end *end, const struct request *request, uint64_t id)
{
	struct ibv_sge sge = { (uintptr_t)request->local, request->len, request->lkey };
	struct ibv_send_wr wr = {
		.wr_id = id, .sg_list = &sge, .num_sge = 1, .opcode = request->opcode,
		.wr.rdma = { request->remote, request->rkey },
	}, *bad;

	CHECK(!ibv_post_send(end->qp, &wr, &bad));
}

void end_post_receive(struct end *end, char *to, uint32_t len, uint32_t lkey, uint64_t id)
{
	struct ibv_sge sge = { (uintptr_t)to, len, lkey };
	struct ibv_recv_wr wr = { .wr_id = id, .sg_list = &sge, .num_sge = 1 }, *bad;

	CHECK(!ibv_post_recv(end->qp, &wr, &bad));
}

bool end_poll(struct end *end, struct ibv_wc *wc)
{
	int n = ibv_poll_cq(end->cq, 1, wc);

	CHECK(n >= 0);
	return n;
}

bool end_event(struct end *end, int ms)
{
	struct pollfd p = { .fd = end->channel->fd, .events = POLLIN };
	struct ibv_cq *cq;
	void *context;

	if (poll(&p, 1, ms) != 1)
		return false;
	CHECK(!ibv_get_cq_event(end->channel, &cq, &context));
	ibv_ack_cq_events(cq, 1);
	return true;
}

/* A host that is short of memory and time may lose what is not reliable. */
static bool may_lose(const struct end *end)
{
	const struct ibv_qp *qp = end->qp;

	return under_load() && qp && (qp->qp_type == IBV_QPT_UC || qp->qp_type == IBV_QPT_UD);
}

/* Nothing has come. */
static void end_lost(const struct end *end)
{
	CHECK(may_lose(end));
	printf("a message was lost, and that is all that can be said\n");
	exit(0);
}

struct ibv_wc end_wait(struct end *end)
{
	double seconds = may_lose(end) ? 15 * slowness() : patience();
	struct ibv_wc wc;

	while (!end_poll(end, &wc)) {
		CHECK(!ibv_req_notify_cq(end->cq, 0));
		if (end_poll(end, &wc))
			break;
		if (!end_event(end, seconds * 1000))
			end_lost(end);
	}
	return wc;
}

void end_done(struct end *end)
{
	struct ibv_wc wc = end_wait(end);

	if (wc.status)
		printf("completion: %s\n", ibv_wc_status_str(wc.status));
	CHECK(wc.status == IBV_WC_SUCCESS);
}

bool denied(enum ibv_wc_status status)
{
	return status == IBV_WC_REM_ACCESS_ERR ||
	       (under_load() && status == IBV_WC_RETRY_EXC_ERR);
}

enum ibv_wc_status request_alone(struct nic *from, struct nic *to, const struct request *request)
{
	struct end near = { 0 }, far = { 0 };
	struct ibv_wc wc;

	ends_create(&near, from, &far, to, ALONE);
	end_post(&near, request, 0);
	wc = end_wait(&near);
	end_destroy(&near);
	end_destroy(&far);
	return wc.status;
}

void send_alone(struct nic *from, struct nic *to, const struct request *send, char *place,
		uint32_t lkey)
{
	struct end near = { 0 }, far = { 0 };

	ends_create(&near, from, &far, to, ALONE);
	end_post_receive(&far, place, send->len, lkey, 0);
	end_post(&near, send, 0);
	end_done(&near);
	end_done(&far);
	end_destroy(&near);
	end_destroy(&far);
}

char *memory_map(size_t size, bool huge)
{
	/* Aligned to blocks, with nothing of others in them */
	size_t all = size + 2 * BLOCK;
	char *map = mmap(NULL, all, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *start = (char *)(((uintptr_t)map + BLOCK - 1) & -BLOCK);

	CHECK(map != MAP_FAILED);
	if (start > map)
		CHECK(!munmap(map, start - map));
	CHECK(!munmap(start + size, map + all - start - size));
	CHECK(!madvise(start, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE));
	return start;
}

void memory_fill(char *to, size_t size, unsigned int seed)
{
	while (size--)
		to[size] = (size * 31 + seed) >> 2;
}

static double seconds_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

double now(void)
{
	return seconds_of(CLOCK_MONOTONIC);
}

double cpu_time(void)
{
	return seconds_of(CLOCK_THREAD_CPUTIME_ID);
}

void pause_ms(unsigned int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&t, NULL);
}

bool under_load(void)
{
	return getenv("UNDER_LOAD");
}

bool in_turn(int i, int n)
{
	const char *turn = getenv("TURN");

	return !under_load() || (turn ? atoi(turn) : 0) % n == i;
}

int slowness(void)
{
	const char *slow = getenv("ODP_SLOW");

	return slow ? atoi(slow) : 1;
}

double patience(void)
{
	return PATIENCE * slowness() * (under_load() ? 5 : 1);
}

uint64_t value_in(const char *path, const char *name)
{
	unsigned long long value;
	char word[128];
	FILE *file = fopen(path, "r");
	bool found = false;

	CHECK(file);
	while (!found && fscanf(file, "%127s %llu", word, &value) == 2)
		found = !strcmp(word, name);
	fclose(file);
	CHECK(found);
	return value;
}

/* --- Counters of devices ----------------------------------------------------- */

static const char *const counter_names[] = {
	"tx_retries", "tx_timeouts", "rnr_nak_sent", "rnr_nak_received", "seq_nak_sent", "duplicate_requests",
	"page_waits", "rx_packets", "rx_dropped",
	"odp_leaves", "odp_faults", "odp_fault_pages", "odp_prefetched_pages",
	"odp_faults_joined",
	"odp_fault_retries", "odp_faults_direct", "odp_fault_errors",
};

enum { COUNTERS = sizeof(counter_names) / sizeof(counter_names[0]), TROUBLES = 4 };

uint64_t counter(const struct nic *nic, const char *name)
{
	unsigned long long value;
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/ports/1/hw_counters/%s",
		 nic->name, name);
	file = fopen(path, "r");
	CHECK(file);
	CHECK(fscanf(file, "%llu", &value) == 1);
	fclose(file);
	return value;
}

void counters_read(struct counters *counters, const struct nic *nic)
{
	int i;

	/* The kernel keeps what it has read last for 10 ms. */
	pause_ms(25);
	counters->nic = nic;
	for (i = 0; i < COUNTERS; i++)
		counters->value[i] = counter(nic, counter_names[i]);
}

uint64_t counters_grown(const struct counters *since, const char *name)
{
	int i;

	pause_ms(25);
	for (i = 0; i < COUNTERS && strcmp(counter_names[i], name); i++)
		;
	CHECK(i < COUNTERS);
	return counter(since->nic, name) - since->value[i];
}

void trouble_begin(struct trouble *trouble, const struct nic nics[2])
{
	counters_read(&trouble->nic[0], &nics[0]);
	counters_read(&trouble->nic[1], &nics[1]);
}

uint64_t trouble_seen(const struct trouble *trouble, const char *name)
{
	uint64_t seen = counters_grown(&trouble->nic[0], name);

	if (trouble->nic[0].nic->context != trouble->nic[1].nic->context)
		seen += counters_grown(&trouble->nic[1], name);
	return seen;
}

uint64_t trouble_all(const struct trouble *trouble)
{
	uint64_t all = 0;
	int i;

	for (i = 0; i < TROUBLES; i++)
		all += trouble_seen(trouble, counter_names[i]);
	return all;
}

void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	CHECK(file);
	CHECK(fputs(text, file) >= 0);
	CHECK(!fclose(file));
}

const char *in_cgroup(const char *cgroup, const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", cgroup, name);
	return path;
}
