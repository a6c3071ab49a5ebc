/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The passive end registers the memory and waits. The active end holds a window
 * of a few chunks: it fills one, WRITEs it, and takes the next one when that
 * has completed; then it READs all chunks back the same way and checks them.
 */
#include "bigmem.h"
#include "ctl.h"
#include "fail.h"
#include "options.h"
#include "pattern.h"
#include "report.h"
#include "session.h"
#include "size.h"
#include "status.h"
#include "table.h"

#include <stdio.h>
#include <time.h>

#define CHUNK (1 * MiB)
#define WINDOW 8

struct bigmem {
	struct side *side;
	struct table table;
	uint64_t chunk, chunks;
	unsigned int window;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static uint64_t chunk_length(const struct bigmem *b, uint64_t i)
{
	uint64_t left = b->side->job.region - i * b->chunk;

	return left < b->chunk ? left : b->chunk;
}

static int post(struct bigmem *b, enum ibv_wr_opcode opcode, uint64_t i)
{
	struct side *side = b->side;
	struct ibv_sge sge = {
		.addr = (uintptr_t)side->src.base + i % b->window * b->chunk,
		.length = chunk_length(b, i),
		.lkey = side->src.mr->lkey,
	};
	struct ibv_send_wr wr = {
		.wr_id = i,
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { .remote_addr = side->peer_dst.addr + i * b->chunk,
			     .rkey = side->peer_dst.rkey },
	}, *bad;

	if (opcode == IBV_WR_RDMA_WRITE)
		pattern_fill((void *)(uintptr_t)sge.addr, sge.length,
			     pattern_key(side->job.seed, i), 0);
	if (ibv_post_send(side->qps.qp[0], &wr, &bad))
		return fail_errno(RC_WRONG, "%s: ibv_post_send", side->dev.name);
	return RC_OK;
}

static void check(struct bigmem *b, uint64_t i)
{
	struct verdict *v = &b->side->verdict;
	struct pattern_diff diff;

	v->messages++;
	v->bytes += chunk_length(b, i);
	if (!pattern_check(b->side->src.base + i % b->window * b->chunk,
			   chunk_length(b, i), pattern_key(b->side->job.seed, i),
			   0, &diff))
		return;
	v->wrong++;
	report_wrong("%s: read back from offset %llu: %llu bytes wrong, the first at %llu: expected %02x, got %02x",
		     b->side->dev.name, (unsigned long long)(i * b->chunk),
		     (unsigned long long)diff.wrong,
		     (unsigned long long)(i * b->chunk + diff.offset),
		     diff.expected, diff.got);
}

static int reap(struct bigmem *b, enum ibv_wr_opcode opcode, uint64_t i)
{
	const char *name = b->side->dev.name;
	struct ibv_wc wc;
	int got = qps_next_send(&b->side->qps, &wc);

	if (got < 0)
		return RC_WRONG;
	if (!got)
		return fail(RC_WRONG, "%s: nothing sent and no completion for %d s",
			    name, b->side->qps.silence_ms / 1000);
	if (wc.status)
		return fail(RC_WRONG, "%s: %s at offset %llu: %s", name,
			    opcode == IBV_WR_RDMA_READ ? "READ" : "WRITE",
			    (unsigned long long)(wc.wr_id * b->chunk),
			    ibv_wc_status_str(wc.status));
	if (wc.wr_id != i)
		return fail(RC_WRONG, "%s: completions out of order", name);
	if (opcode == IBV_WR_RDMA_READ)
		check(b, i);
	return RC_OK;
}

/* All chunks, a window of them in flight */
static int pass(struct bigmem *b, enum ibv_wr_opcode opcode)
{
	uint64_t posted = 0, done = 0;
	int rc = RC_OK;

	while (done < b->chunks && !rc) {
		if (posted < b->chunks && posted - done < b->window)
			rc = post(b, opcode, posted++);
		else
			rc = reap(b, opcode, done++);
	}
	return rc;
}

/* The passive end's memory now, as a row of the active end's table */
static int add_row(struct bigmem *b, int rc, const char *what, double seconds,
		   uint64_t bytes)
{
	struct side *side = b->side;
	struct memory_status mine = { 0 }, theirs;

	/* The passive end has been waiting here: now the phase is over */
	rc = ctl_barrier(side->ctl, rc);
	if (!side->active && !rc)
		rc = memory_status(&mine);
	rc = ctl_exchange(side->ctl, rc, (uint64_t *)&mine, (uint64_t *)&theirs,
			  sizeof(mine) / sizeof(uint64_t));
	if (rc || !side->active)
		return rc;
	table_text(&b->table, "%s", what);
	table_value(&b->table, seconds);
	if (bytes)
		table_value(&b->table, bytes / seconds / 1e6);
	else
		table_none(&b->table);
	table_count(&b->table, theirs.pinned >> 20);
	table_count(&b->table, theirs.locked >> 20);
	table_count(&b->table, theirs.resident >> 20);
	table_count(&b->table, theirs.swapped >> 20);
	return RC_OK;
}

static int timed_pass(struct bigmem *b, enum ibv_wr_opcode opcode,
		      const char *what)
{
	double start = now();
	int rc = RC_OK;

	if (b->side->active)
		rc = pass(b, opcode);
	return add_row(b, rc, what, now() - start, b->side->job.region);
}

/* The big memory is the passive end's target region */
static int set_up_memory(struct bigmem *b)
{
	struct side *side = b->side;
	struct region *r = side->active ? &side->src : &side->dst;
	size_t size = side->active ? b->window * b->chunk : side->job.region;
	int rc = region_map(r, size, 0);

	return rc ? rc : region_register(r, &side->dev, side_kind(side));
}

/* Both ends begin to register together, so the active end's clock will do */
static int set_up(struct bigmem *b)
{
	struct side *side = b->side;
	double start;
	int rc;

	side->mix = __builtin_ctzll(side->job.mixes);
	b->chunk = side->job.size ? side->job.size : CHUNK;
	b->chunks = (side->job.region + b->chunk - 1) / b->chunk;
	b->window = side->job.depth < WINDOW ? side->job.depth : WINDOW;
	rc = ctl_barrier(side->ctl, RC_OK);
	start = now();
	if (!rc)
		rc = set_up_memory(b);
	rc = ctl_barrier(side->ctl, rc);
	if (!rc)
		rc = add_row(b, rc, "register", now() - start, 0);
	if (!rc)
		rc = session_connect(side, side->mtu);
	return rc ? rc : session_share_memory(side);
}

int bigmem_run(struct side *side)
{
	static const char *const columns[] = {
		"phase",	 "seconds",	    "MB/s",
		"VmPin MiB",	 "VmLck MiB", "VmRSS MiB",
		"VmSwap MiB", NULL
	};
	struct bigmem b = { .side = side };
	char title[128], size[SIZE_TEXT];
	int rc;

	snprintf(title, sizeof(title),
		 "%s of %s memory at the passive end, and what it costs there",
		 size_text(side->job.region, size),
		 mem_kind_name(mix_passive(__builtin_ctzll(side->job.mixes))));
	table_begin(&b.table, title, columns);
	rc = set_up(&b);
	if (!rc)
		rc = timed_pass(&b, IBV_WR_RDMA_WRITE, "write all");
	if (!rc)
		rc = timed_pass(&b, IBV_WR_RDMA_READ, "read back");
	if (!rc && side->active)
		table_end(&b.table, side->opts->json);
	else
		table_drop(&b.table);
	session_disconnect(side);
	return rc;
}
