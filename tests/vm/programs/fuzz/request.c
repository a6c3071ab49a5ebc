// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Requests: after each the queue pair is as the model says. */
#include "fuzz.h"

unsigned long done[OUTCOMES];
const char *const outcome_names[OUTCOMES] = { "nothing", "executed", "ended", "any" };

static void wrong(const struct packet *packet, enum outcome outcome, const struct ibv_qp_attr *attr)
{
	unsigned int i;

	printf("FAIL: round %lu: should be %s; state %d, expected PSN %06x, in the model %06x; packet",
	       rounds, outcome_names[outcome], attr->qp_state, attr->rq_psn, model.epsn);
	for (i = 0; i < packet->len; i++)
		printf("%s%02x", i < 60 && i % 4 == 0 ? " " : "", packet->bytes[i]);
	printf("\n");
	exit(1);
}

/* Completed receives are posted again. */
static void drain(void)
{
	struct ibv_wc wc;

	while (end_poll(&victim, &wc))
		if (wc.status == IBV_WC_SUCCESS)
			post_receive();
}

static bool as_said(enum outcome outcome, const struct ibv_qp_attr *attr)
{
	if (outcome == ENDED)
		return attr->qp_state == IBV_QPS_ERR;
	return attr->qp_state == IBV_QPS_RTS && attr->rq_psn == model.epsn;
}

/* What it has done has to be seen within patience(), and what it has not, at once. */
static void deliver(const struct packet *packet)
{
	enum outcome outcome = judge(packet);
	double until = now() + patience();
	struct ibv_qp_attr attr;

	transmit(packet);
	done[outcome]++;
	do {
		attr = query();
		if (outcome == ANY || as_said(outcome, &attr))
			break;
	} while (now() < until);
	if (outcome == ANY) {
		start_over();
		return;
	}
	if (!as_said(outcome, &attr))
		wrong(packet, outcome, &attr);
	if (outcome == ENDED)
		model.alive = false;
	else
		drain();
}

/* A right one, which must be executed, so what came before is done with. */
static void deliver_right(uint8_t opcode)
{
	struct packet packet;
	uint32_t epsn = model.epsn;

	make_request(&packet, opcode);
	deliver(&packet);
	CHECK(model.alive && model.epsn != epsn);
}

/* So that the opcode fits, as a rule */
static void lead_up_to(uint8_t opcode)
{
	unsigned int kind = kinds[opcode];

	if (percent(5))
		return;
	if (model.open && (kind & FIRST || !(kind & model.open)))
		connect_anew();
	if (!model.open && !(kind & FIRST))
		deliver_right(kind & SEND ? SEND_FIRST : WRITE_FIRST);
	/* A last one of a WRITE has to end it. */
	while (model.open == WRITE && kind & LAST && model.left > MTU)
		deliver_right(WRITE_MIDDLE);
}

void request_round(uint8_t opcode)
{
	struct packet packet;

	lead_up_to(opcode);
	make_request(&packet, opcode);
	spoil(&packet);
	deliver(&packet);
	/* Was something done that should not have been, or is still to be? */
	if (model.alive && !model.open && rounds % 16 == 0)
		deliver_right(WRITE_ONLY);
}
