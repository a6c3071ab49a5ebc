// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Requests: after each the queue pair is as the model says. */
#include "fuzz.h"

/* A right one, which must be executed, so what came before is done with. */
static void deliver_right(uint8_t opcode)
{
	struct packet packet;
	uint32_t epsn = model.epsn;

	make_request(&packet, opcode);
	deliver(&packet);
	CHECK(model.alive && model.epsn != epsn);
}

/* Has the key of an open WRITE become invalid? */
static bool is_stuck(void)
{
	return model.open == WRITE &&
	       !key_target(model.rkey, model.va, model.left, IBV_ACCESS_REMOTE_WRITE);
}

/* So that the opcode fits, as a rule */
static void lead_up_to(uint8_t opcode)
{
	unsigned int kind = kinds[opcode];

	if (percent(5))
		return;
	/* An unreliable peer may begin anew. */
	if (model.open && (kind & FIRST || !(kind & model.open)) &&
	    (role->service != UC || percent(50)))
		connect_anew();
	if (is_stuck())
		connect_anew();
	if (kind & INV && role->posts && !keys_bound())
		keys_bind();
	if (!model.open && !(kind & FIRST))
		deliver_right(kind & SEND ? SEND_FIRST : WRITE_FIRST);
	/* A last one of a WRITE has to end it. */
	while (model.open == WRITE && kind & LAST && model.left > MTU)
		deliver_right(WRITE_MIDDLE);
}

/* At any time, also in the middle of a message */
static void change_keys(void)
{
	if (!role->posts || percent(95))
		return;
	if (keys_bound())
		keys_unbind();
	else
		keys_bind();
}

void request_round(uint8_t opcode)
{
	struct packet packet;

	lead_up_to(opcode);
	change_keys();
	make_request(&packet, opcode);
	spoil(&packet);
	deliver(&packet);
	/* Was something done that should not have been, or is still to be? */
	if (model.alive && !model.open && rounds % 16 == 0)
		deliver_right(WRITE_ONLY);
}
