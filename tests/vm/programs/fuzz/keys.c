// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Keys: the region's, and those of memory windows onto it. One of type 2 belongs to the
 * queue pair, is bound to other parts of the region again and again, and invalidated by
 * both sides; others are of type 1, of another queue pair, of another domain, and of
 * nothing.
 */
#include "fuzz.h"

enum {
	ALL = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC |
	      ACCESS_FLUSH,
	LOOSE_FIRST = 1001, LOOSE_LEN = 9000,
};

static struct ibv_mw *own, *loose;
static struct key region, own_key, loose_key;
/* What the peer may not use, and what it could: the last ones of the own window */
static uint32_t refused[4], old[4];
static unsigned int binds;

static struct ibv_mw *window(struct ibv_pd *pd, enum ibv_mw_type type)
{
	struct ibv_mw *mw = ibv_alloc_mw(pd, type);

	CHECK(mw);
	return mw;
}

static struct ibv_mw_bind_info info_of(struct ibv_mr *mr, const struct key *key)
{
	return (struct ibv_mw_bind_info){ mr, (uintptr_t)key->start, key->len, key->access };
}

/* A request about keys, by a queue pair that has no others; what it has received may complete. */
static void post(struct end *end, struct ibv_send_wr wr)
{
	struct ibv_send_wr *bad;
	struct ibv_wc wc;

	wr.wr_id = 1;
	CHECK(!ibv_post_send(end->qp, &wr, &bad));
	while (!(wc = end_wait(end)).wr_id)
		post_receive();
	CHECK(wc.status == IBV_WC_SUCCESS);
}

static void bind_two(struct end *end, struct ibv_mw *mw, struct ibv_mr *mr, const struct key *key)
{
	post(end, (struct ibv_send_wr){
		.opcode = IBV_WR_BIND_MW,
		.bind_mw = { .mw = mw, .rkey = key->rkey, .bind_info = info_of(mr, key) },
	});
}

/* A window of type 2 that is bound by another queue pair, and stays so */
static uint32_t bound_by(struct end *end, struct nic *nic, struct ibv_mr *mr)
{
	struct key key = { .access = ALL, .start = area(TARGET), .len = AREA };
	struct ibv_mw *mw = window(nic->pd, IBV_MW_TYPE_2);
	struct address self;

	end_create(end, nic, 1);
	self = end_address(end);
	end_connect(end, &self);
	key.rkey = ibv_inc_rkey(mw->rkey);
	bind_two(end, mw, mr, &key);
	return key.rkey;
}

/* With addresses from zero */
static void bind_loose(struct end *end)
{
	struct ibv_mw_bind bind = { 0 };

	loose = window(nics[0].pd, IBV_MW_TYPE_1);
	loose_key = (struct key){ .access = ALL | IBV_ACCESS_ZERO_BASED,
				  .start = area(TARGET) + LOOSE_FIRST, .len = LOOSE_LEN };
	bind.bind_info = info_of(mrs[TARGET], &loose_key);
	CHECK(!ibv_bind_mw(end->qp, loose, &bind));
	end_done(end);
	loose_key.rkey = loose->rkey;
}

void keys_create(void)
{
	static struct end other, foreigner;
	static struct nic abroad;
	struct ibv_mr *mr;

	region = (struct key){ mrs[TARGET]->rkey, ALL, (uintptr_t)area(TARGET), area(TARGET), AREA };
	refused[0] = mrs[RECEIVE]->rkey;
	if (!role->posts)
		return;
	abroad = nics[0];
	CHECK((abroad.pd = ibv_alloc_pd(abroad.context)));
	mr = ibv_reg_mr(abroad.pd, area(TARGET), AREA, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_MW_BIND);
	CHECK(mr);
	refused[1] = bound_by(&other, &nics[0], mrs[TARGET]);
	refused[2] = bound_by(&foreigner, &abroad, mr);
	refused[3] = window(nics[0].pd, IBV_MW_TYPE_2)->rkey;
	bind_loose(&other);
	own = window(nics[0].pd, IBV_MW_TYPE_2);
	own_key.rkey = own->rkey;
}

bool keys_bound(void)
{
	return own_key.len;
}

uint32_t keys_own(void)
{
	return own_key.rkey;
}

/* Any part, with some of the rights; it has to be unbound */
void keys_bind(void)
{
	unsigned int from = any(AREA - 1);

	old[binds++ % 4] = own_key.rkey;
	own_key.rkey = ibv_inc_rkey(own_key.rkey);
	own_key.access = percent(60) ? ALL : any(2 * ACCESS_FLUSH) & ALL;
	own_key.start = area(TARGET) + from;
	own_key.first = (uintptr_t)own_key.start;
	own_key.len = 1 + any(AREA - from);
	bind_two(&victim, own, mrs[TARGET], &own_key);
}

void keys_unbind(void)
{
	post(&victim, (struct ibv_send_wr){ .opcode = IBV_WR_LOCAL_INV,
					    .invalidate_rkey = own_key.rkey });
	own_key.len = 0;
}

void keys_anew(void)
{
	if (!own)
		return;
	CHECK(!ibv_dealloc_mw(own));
	own = window(nics[0].pd, IBV_MW_TYPE_2);
	own_key = (struct key){ .rkey = own->rkey };
}

bool key_invalidate(uint32_t rkey)
{
	if (rkey != own_key.rkey || !own_key.len)
		return false;
	own_key.len = 0;
	return true;
}

const struct key *key_for(int access, uint32_t len)
{
	const struct key *keys[] = { &own_key, &loose_key };
	const struct key *key = keys[any(2)];

	if (percent(50) || !key->len || key->len < len || (key->access & access) != access)
		return &region;
	return key;
}

uint32_t any_key(void)
{
	const uint32_t keys[] = {
		own_key.rkey, loose_key.rkey, region.rkey, refused[any(4)], refused[any(4)],
		old[any(4)], own_key.rkey ^ 1U << any(32), any32(),
	};

	return keys[any(8)];
}

const struct key *any_window(void)
{
	return percent(70) ? &own_key : &loose_key;
}

static const struct key *key_with(uint32_t rkey, int access)
{
	const struct key *keys[] = { &region, &own_key, &loose_key };
	int i;

	for (i = 0; i < 3; i++)
		if (keys[i]->rkey == rkey && keys[i]->len && (keys[i]->access & access) == access)
			return keys[i];
	return NULL;
}

bool key_allows(uint32_t rkey, int access)
{
	return key_with(rkey, access);
}

unsigned char *key_target(uint32_t rkey, uint64_t va, uint32_t len, int access)
{
	const struct key *key = key_with(rkey, access);

	if (!key || va < key->first || len > key->len || va - key->first > key->len - len)
		return NULL;
	return key->start + (va - key->first);
}
