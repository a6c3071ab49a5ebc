// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* A packet is sent; then the queue pair, and what has completed, are as the model says. */
#include "fuzz.h"

#include <string.h>

unsigned long done[OUTCOMES];
const char *const outcome_names[OUTCOMES] = { "nothing", "executed", "lost", "ended", "any" };

static void wrong(const struct packet *packet, enum outcome outcome, const struct ibv_qp_attr *attr)
{
	unsigned int i;

	printf("FAIL: round %lu: should be %s; state %d, expected PSN %06x, in the model %06x; of %u requests %u are completed, in the model %u; headers",
	       rounds, outcome_names[outcome], attr->qp_state, attr->rq_psn, model.epsn,
	       model.asked, model.completed, model.answered);
	for (i = 0; i < packet->net_len; i++)
		printf("%s%02x", i % 4 == 0 ? " " : "", packet->net[i]);
	printf(", packet");
	for (i = 0; i < packet->len; i++)
		printf("%s%02x", i < 60 && i % 4 == 0 ? " " : "", packet->bytes[i]);
	printf("\n");
	exit(1);
}

/* May it complete like this, as the next one? */
static bool expected(const struct ibv_wc *wc, bool ended)
{
	enum ibv_wc_status status = IBV_WC_WR_FLUSH_ERR;

	if (!wc->wr_id)
		return ended || wc->status == IBV_WC_SUCCESS;
	if (model.completed < model.answered)
		status = IBV_WC_SUCCESS;
	else if (!ended || model.completed == model.asked)
		return false;
	else if (model.failure && model.completed == model.answered)
		status = model.failure;
	return wc->status == status && wc->wr_id == ++model.completed;
}

/* Takes what has completed; posted receives stay as many. */
static bool take(bool ended)
{
	struct ibv_wc wc;

	while (end_poll(&victim, &wc)) {
		if (!expected(&wc, ended)) {
			printf("FAIL: request %lu: %s\n", (unsigned long)wc.wr_id,
			       ibv_wc_status_str(wc.status));
			return false;
		}
		if (!wc.wr_id && !ended)
			post_receive();
	}
	return true;
}

static bool as_said(enum outcome outcome, const struct ibv_qp_attr *attr)
{
	if (outcome == ENDED)
		return attr->qp_state == IBV_QPS_ERR && model.completed == model.asked;
	return attr->qp_state == IBV_QPS_RTS && attr->rq_psn == model.epsn &&
	       model.completed == model.answered;
}

/* What it has done has to be seen within patience(), and what it has not, at once. */
void deliver(const struct packet *packet)
{
	enum outcome outcome = judge(packet);
	double until = now() + patience();
	struct ibv_qp_attr attr;

	transmit(packet);
	done[outcome]++;
	if (outcome == ANY) {
		start_over();
		return;
	}
	do {
		attr = query();
		if (!take(outcome == ENDED))
			wrong(packet, outcome, &attr);
	} while (!as_said(outcome, &attr) && now() < until);
	if (!as_said(outcome, &attr))
		wrong(packet, outcome, &attr);
	/* What comes next may hide what is wrong there. */
	if (memcmp(area(RECEIVE), shadow_of(area(RECEIVE)), RECEIVE_SIZE))
		look_at_memory();
	model.alive = outcome != ENDED;
}
