// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Ways to post one */
#include "atomic_write.h"

#include <errno.h>
#include <string.h>

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
void by_calls(void)
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

void by_lists(void)
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
