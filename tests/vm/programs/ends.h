/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Connected queue pairs, requests and counters, for programs that measure what
 * happens when memory is not there. Each function ends the program, with the
 * place, if it does not succeed.
 *
 * Programs take the devices as "-d DEV[,DEV2]" in the first namespace, whose
 * sysfs has the counters; with one device both ends are on it.
 */
#ifndef ENDS_H
#define ENDS_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(what) do {						\
	if (!(what)) {							\
		printf("FAIL: %s:%d: %s (%m)\n", __FILE_NAME__, __LINE__, #what); \
		exit(1);						\
	}								\
} while (0)

/*
 * What holds only while nobody else uses the devices or wants memory; it is not
 * even looked at UNDER_LOAD.
 */
#define JUDGE(what) CHECK(under_load() || (what))

#define PAGE 4096UL
#define BLOCK (2UL << 20)

/* A device that is open */
struct nic {
	const char *name;
	struct ibv_context *context;
	struct ibv_pd *pd;
	union ibv_gid gid;
	int gid_index;
};

/* The number of a queue pair and where it is */
struct address {
	uint32_t qpn;
	union ibv_gid gid;
};

/*
 * A queue pair; both of its queues complete to one completion queue. What is
 * behind @qp is set before, or zero.
 */
struct end {
	struct nic *nic;
	struct ibv_comp_channel *channel;
	struct ibv_cq *cq;
	struct ibv_qp *qp;
	enum ibv_qp_type type;	/* IBV_QPT_UC; 0 is IBV_QPT_RC */
	struct ibv_srq *srq;	/* to receive from */
	uint8_t timeout;	/* transport timeout, of 2^n * 4 us */
	int rd_atomic;		/* READs and atomics at a time: 0 is 8, less is none */
	uint32_t psn;		/* the first one, both ways */
};

/* What a request does: bytes at @from and @to, by these keys */
struct request {
	enum ibv_wr_opcode opcode;
	char *local;
	uint32_t len;
	uint32_t lkey;
	uint64_t remote;
	uint32_t rkey;
};

/* 2^20 * 4 us are four seconds, far more than any page takes. */
enum { TIMEOUT_LONG = 20, PATIENCE = 60 };

/* The argument of -d; nics[1] is nics[0] if it names one. Return: how many */
int nics_open(struct nic nics[2], char *names);
/* "-d DEV[,DEV2] [-l]": opens the devices. Return: -l, the network loses packets */
bool options_lossy(int argc, char **argv, struct nic nics[2]);
/* "-d DEV[,DEV2] -g CGROUP": opens the devices. Return: the path of the cgroup */
const char *options_in_cgroup(int argc, char **argv, struct nic nics[2]);
/* By IPv4, as it is when it is new, or 6 */
void nic_use_family(struct nic *nic, int family);
/* All that was made with it is gone. */
void nic_close(struct nic *nic);
struct ibv_mr *nic_register(struct nic *nic, void *start, size_t size);

void end_create(struct end *end, struct nic *nic, int depth);
struct address end_address(const struct end *end);
/* It receives, but does not send yet: RTR */
void end_receive_from(struct end *end, const struct address *peer);
void end_connect(struct end *end, const struct address *peer);
/* Address handle on a nic, to the GID of another one or of a group */
struct ibv_ah *ah_to(const struct nic *nic, const union ibv_gid *gid);
/* A new or reset UD queue pair sends and receives: RTS */
void ud_to_rts(struct ibv_qp *qp, uint32_t qkey);
/* Both ends in this process */
void ends_connect(struct end *a, struct end *b);
/* The same, made and connected */
void ends_create(struct end *a, struct nic *nic_a, struct end *b, struct nic *nic_b, int depth);
void end_destroy(struct end *end);

void end_post(struct end *end, const struct request *request, uint64_t id);
void end_post_receive(struct end *end, char *to, uint32_t len, uint32_t lkey, uint64_t id);
/*
 * A completion of any status within patience(); sleeps until it comes. Under load one
 * of an unreliable service may never come: then all ends well, but at once.
 */
struct ibv_wc end_wait(struct end *end);
/* A completion that is there already */
bool end_poll(struct end *end, struct ibv_wc *wc);
/* An event of its completion queue, within @ms milliseconds */
bool end_event(struct end *end, int ms);
/* end_wait(), for success */
void end_done(struct end *end);
/*
 * Was an access refused? A NAK is sent once; where it is lost, the peer does not answer
 * any more.
 */
bool denied(enum ibv_wc_status status);

/* One request, from @from to @to, on a connection of its own. Return: how it ends */
enum ibv_wc_status request_alone(struct nic *from, struct nic *to, const struct request *request);
/* The same for a SEND that is received at @place, by @lkey, and succeeds */
void send_alone(struct nic *from, struct nic *to, const struct request *send, char *place,
		uint32_t lkey);

/* New memory of this process; of small pages unless @huge */
char *memory_map(size_t size, bool huge);
/* Bytes that are others in other places, and with another @seed */
void memory_fill(char *to, size_t size, unsigned int seed);

/* Seconds */
double now(void);
double cpu_time(void);
void pause_ms(unsigned int ms);
/* UNDER_LOAD is set: bytes and errors count, figures and times do not */
bool under_load(void);
/* Then one of @n things a time is enough: has number @i its turn? TURN counts them */
bool in_turn(int i, int n);
/* ODP_SLOW: how many times as long everything takes */
int slowness(void);
/* Seconds after which what has not come does not come any more */
double patience(void);

void write_file(const char *path, const char *text);
/* The path of a file of a cgroup, until the next call */
const char *in_cgroup(const char *cgroup, const char *name);

/* A counter of a device, and one of /proc/vmstat and the like: "name value" */
uint64_t counter(const struct nic *nic, const char *name);
uint64_t value_in(const char *path, const char *name);

/* Counters that a test looks at, before and after */
enum { COUNTERS_MAX = 24 };
struct counters {
	const struct nic *nic;
	uint64_t value[COUNTERS_MAX];
};

void counters_read(struct counters *counters, const struct nic *nic);
/* By how much it has grown since */
uint64_t counters_grown(const struct counters *since, const char *name);
/* What a network's trouble counts: retries, timeouts, NAKs; both of @nics */
struct trouble {
	struct counters nic[2];
};

void trouble_begin(struct trouble *trouble, const struct nic nics[2]);
uint64_t trouble_seen(const struct trouble *trouble, const char *name);
/* Sum of retries, timeouts and NAKs of all kinds */
uint64_t trouble_all(const struct trouble *trouble);

#endif /* ENDS_H */
