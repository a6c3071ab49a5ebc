// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What answers do, by the specification: IBTA volume 1, 9.7.5 and 9.7.6. Requests
 * complete in order; an answer acknowledges all before it, but for READs and atomics,
 * whose data must come: without that they are asked for again.
 */
#include "fuzz.h"

#include <string.h>

enum { KIND = 0x60, ACK = 0, RNR = 0x20, NAK = 0x60, RESERVED = 0x80 };

struct ask *oldest_ask(void)
{
	return model.answered < model.asked ? &model.asks[model.answered] : NULL;
}

static void set_una(uint32_t una)
{
	if (psn_diff(una, model.una) > 0)
		model.una = una;
}

/* False if data is missing of what is before @una. */
static bool acknowledge(uint32_t una)
{
	struct ask *ask;

	while ((ask = oldest_ask()) && psn_diff(una, ask->psn) > 0) {
		uint32_t end = (ask->psn + ask->npsns) & PSN_MASK;

		if (ask->kind) {
			set_una(ask->psn);
			return psn_diff(una, model.una) <= 0;
		}
		if (psn_diff(una, end) < 0)
			break;
		set_una(end);
		model.answered++;
	}
	set_una(una);
	return true;
}

static enum outcome fail(enum ibv_wc_status status)
{
	model.failure = status;
	return ENDED;
}

/* Of a READ: which part it is. After one was missing the peer begins anew in the middle. */
static bool is_its_part(const struct ask *ask, const struct header *h)
{
	uint32_t n = psn_diff(h->psn, ask->psn);

	if (n + 1 == ask->npsns)
		return h->opcode == (n ? READ_LAST : READ_ONLY);
	return h->opcode == (n ? READ_MIDDLE : READ_FIRST);
}

static enum outcome take_data(const struct ask *ask, const struct header *h)
{
	uint32_t offset = psn_diff(h->psn, ask->psn) * MTU;
	uint32_t left = ask->len - offset;

	if ((ask->kind == ATOMIC) != (h->opcode == ATOMIC_ACKNOWLEDGE))
		return fail(IBV_WC_BAD_RESP_ERR);
	if (ask->kind == ATOMIC) {
		memcpy(shadow_of(ask->to), &h->swap_add, 8);
	} else {
		if (h->len != (left < MTU ? left : MTU))
			return fail(IBV_WC_BAD_RESP_ERR);
		memcpy(shadow_of(ask->to) + offset, h->data, h->len);
	}
	set_una((h->psn + 1) & PSN_MASK);
	if (psn_diff(model.una, ask->psn) == (int32_t)ask->npsns)
		model.answered++;
	return EXECUTED;
}

/* Which request is a PSN of? There is one: it is outstanding. */
static const struct ask *ask_of(uint32_t psn)
{
	const struct ask *ask = model.asks;

	while (psn_diff(psn, ask->psn) >= (int32_t)ask->npsns)
		ask++;
	return ask;
}

/* The response to a READ or an atomic */
static enum outcome judge_response(const struct header *h)
{
	const struct ask *ask = ask_of(h->psn);

	/* What is not said: data with a NAK, in the wrong order, or that nobody has asked for */
	if ((h->kind & AETH && h->syndrome & (KIND | RESERVED)) || !ask->kind ||
	    (ask->kind == READ && h->opcode != ATOMIC_ACKNOWLEDGE && !is_its_part(ask, h)))
		return ANY;
	if (!acknowledge(h->psn) || model.una != h->psn)
		return NOTHING;
	return take_data(ask, h);
}

static enum outcome judge_acknowledge(const struct header *h)
{
	const enum ibv_wc_status status[] = {
		[1] = IBV_WC_REM_INV_REQ_ERR, [2] = IBV_WC_REM_ACCESS_ERR, [3] = IBV_WC_REM_OP_ERR,
	};
	unsigned int kind = h->syndrome & KIND, code = h->syndrome & 0x1f;
	unsigned int answered = model.answered;

	if (h->syndrome & RESERVED || kind == 0x40 || (kind == NAK && code > 3))
		return ANY;
	if (acknowledge((h->psn + (kind == ACK)) & PSN_MASK) && kind == NAK && code)
		return fail(status[code]);
	return model.answered > answered ? EXECUTED : NOTHING;
}

enum outcome judge_answer(const struct header *h)
{
	if (psn_diff(h->psn, model.una) < 0 || psn_diff(h->psn, model.sq_psn) >= 0)
		return NOTHING;
	return h->opcode == ACKNOWLEDGE ? judge_acknowledge(h) : judge_response(h);
}
