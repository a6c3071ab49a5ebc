/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#include "session.h"
#include "ctl.h"
#include "fail.h"
#include "options.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_RD_ATOMIC 16

static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void own_limits(struct side *side, struct common *c)
{
	const struct ibv_device_attr *a = &side->dev.attr.orig_attr;

	c->mtu = dev_mtu(&side->dev);
	c->max_sge = lesser(a->max_sge, QP_MAX_SGE);
	c->rd_atomic = lesser(lesser(a->max_qp_rd_atom, a->max_qp_init_rd_atom),
			      MAX_RD_ATOMIC);
	c->inline_len = QP_MAX_INLINE;
	c->odp = dev_has_odp(&side->dev);
	c->implicit = dev_has_implicit(&side->dev);
}

static int agree_limits(struct side *side, int rc)
{
	struct common mine = { 0 }, theirs;
	uint64_t *a = (uint64_t *)&side->common, *b = (uint64_t *)&theirs;
	size_t i;

	if (!rc)
		own_limits(side, &mine);
	side->common = mine;
	rc = ctl_exchange(side->ctl, rc, a, b, COMMON_NUMBERS);
	for (i = 0; i < COMMON_NUMBERS && !rc; i++)
		a[i] = lesser(a[i], b[i]);
	return rc;
}

/* The passive end takes the active end's job for its own */
static int agree_job(struct side *side)
{
	struct job peer;
	int rc;

	side->job.version = JOB_VERSION;
	rc = ctl_exchange(side->ctl, RC_OK, (uint64_t *)&side->job,
			  (uint64_t *)&peer, JOB_NUMBERS);
	if (rc)
		return rc;
	if (peer.version != JOB_VERSION)
		return fail(RC_WRONG,
			    "the other end's odp_perf speaks version %llu, this one %d",
			    (unsigned long long)peer.version, JOB_VERSION);
	if (!side->active)
		side->job = peer;
	return RC_OK;
}

/* Does our device have what the job's mixes need at our end? */
static int check_memory_kinds(struct side *side)
{
	unsigned int mix;
	int rc = RC_OK;

	for (mix = 0; mix < MIXES && !rc; mix++) {
		if (!(side->job.mixes & (1u << mix)))
			continue;
		side->mix = mix;
		if (side_kind(side) == MEM_ODP)
			rc = dev_need_odp(&side->dev);
		else if (side_kind(side) == MEM_IMPLICIT)
			rc = dev_need_implicit(&side->dev);
	}
	return rc;
}

static int side_run(struct side *side, int (*body)(struct side *side))
{
	const struct options *o = side->opts;
	int rc;

	rc = dev_open(&side->dev, o->dev[o->local && !side->active], o->port,
		      o->gid_index);
	rc = agree_limits(side, rc);
	if (!rc)
		rc = agree_job(side);
	if (!rc)
		rc = ctl_barrier(side->ctl, check_memory_kinds(side));
	if (!rc)
		rc = body(side);
	/* What went wrong in the body is news for the other end */
	if (rc != RC_USAGE)
		rc = ctl_barrier(side->ctl, rc);
	session_disconnect(side);
	dev_close(&side->dev);
	return rc;
}

struct local_side {
	struct side side;
	int (*body)(struct side *side);
	int rc;
};

static void *local_thread(void *arg)
{
	struct local_side *l = arg;

	l->rc = side_run(&l->side, l->body);
	return NULL;
}

static int run_local(struct side *active, int (*body)(struct side *side))
{
	struct local_side passive = { .body = body };
	pthread_t thread;
	int fd[2], rc;

	rc = ctl_pair(fd);
	if (rc)
		return rc;
	passive.side = *active;
	passive.side.active = false;
	passive.side.who = "passive end";
	passive.side.ctl = fd[1];
	active->who = "active end";
	active->ctl = fd[0];
	if (pthread_create(&thread, NULL, local_thread, &passive))
		return fail_errno(RC_WRONG, "pthread_create");
	rc = side_run(active, body);
	close(fd[0]);
	pthread_join(thread, NULL);
	close(fd[1]);
	if (!rc)
		rc = passive.rc;
	return rc;
}

static int run_remote(struct side *side, int (*body)(struct side *side))
{
	const struct options *o = side->opts;
	int rc;

	side->active = o->host;
	side->who = o->host ? "client" : "server";
	if (o->host)
		rc = ctl_connect(o->host, o->tcp_port, &side->ctl);
	else
		rc = ctl_accept(o->tcp_port, &side->ctl);
	if (rc)
		return rc;
	rc = side_run(side, body);
	close(side->ctl);
	return rc;
}

int session_run(const struct options *opts, const struct job *job,
		int (*body)(struct side *side))
{
	struct side side = { .opts = opts, .job = *job, .active = true };
	int rc;

	if (opts->local)
		rc = run_local(&side, body);
	else
		rc = run_remote(&side, body);
	if (rc && fail_text()[0])
		fprintf(stderr, "odp_perf: %s\n", fail_text());
	return rc;
}

static int connect_one(struct side *side, struct ibv_qp *qp,
		       const struct qp_spec *spec, int rc)
{
	struct qp_dest mine = { 0 }, theirs;

	if (!rc)
		qp_dest_local(&side->dev, qp, &mine);
	rc = ctl_exchange(side->ctl, rc, (uint64_t *)&mine, (uint64_t *)&theirs,
			  sizeof(mine) / sizeof(uint64_t));
	if (!rc)
		rc = qp_to_rtr(&side->dev, qp, spec, &theirs);
	if (!rc)
		rc = qp_to_rts(&side->dev, qp, spec);
	return rc;
}

int session_connect(struct side *side, uint32_t mtu)
{
	struct qp_spec spec = {
		.depth = side->job.depth,
		.max_sge = side->common.max_sge,
		.inline_len = QP_MAX_INLINE,
		.mtu = mtu,
		.rd_atomic = side->common.rd_atomic,
		.timeout = side->job.timeout,
		.retry = QP_RETRY,
		.rnr_retry = 7,
	};
	uint64_t mine, theirs;
	unsigned int i;
	int rc;

	side->mtu = mtu;
	rc = qps_open(&side->qps, &side->dev, side->job.qps, &spec);
	for (i = 0; i < side->job.qps; i++)
		rc = connect_one(side, side->qps.qp[i], &spec, rc);
	mine = side->qps.inline_len;
	rc = ctl_exchange(side->ctl, rc, &mine, &theirs, 1);
	side->common.inline_len = lesser(mine, theirs);
	return rc;
}

static struct remote describe(const struct region *r)
{
	struct remote remote = { 0 };

	if (r->mr) {
		remote.addr = (uintptr_t)r->base;
		remote.rkey = r->mr->rkey;
	}
	return remote;
}

int session_share_memory(struct side *side)
{
	struct remote mine[2] = { describe(&side->src), describe(&side->dst) };
	struct remote theirs[2];
	int rc;

	rc = ctl_exchange(side->ctl, RC_OK, (uint64_t *)mine,
			  (uint64_t *)theirs, 4);
	if (rc)
		return rc;
	side->peer_src = theirs[0];
	side->peer_dst = theirs[1];
	return RC_OK;
}

void session_disconnect(struct side *side)
{
	qps_close(&side->qps);
	region_free(&side->src);
	region_free(&side->dst);
}
