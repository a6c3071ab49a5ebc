// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Datagrams, for a queue pair that anybody may send to: one comes in if it is right,
 * and nothing ends the queue pair.
 */
#include "fuzz.h"

#include <string.h>

enum { DETH = 8, GRH = 40, UD_SEND_ONLY = 0x64, UD_SEND_ONLY_IMM, QKEY = 0x11112222 };

static struct end end;

static void post(void)
{
	end_post_receive(&end, (char *)area(RECEIVE), RECEIVE_SIZE, mrs[RECEIVE]->lkey, 0);
}

void datagrams_create(void)
{
	struct ibv_qp_init_attr init = {
		.qp_type = IBV_QPT_UD, .cap = { 1, RECEIVES, 1, 1, 0 },
	};
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_INIT, .port_num = 1, .qkey = QKEY };
	int i;

	CHECK((end.cq = ibv_create_cq(nics[0].context, 2 * RECEIVES, NULL, NULL, 0)));
	init.send_cq = init.recv_cq = end.cq;
	CHECK((end.qp = ibv_create_qp(nics[0].pd, &init)));
	CHECK(!ibv_modify_qp(end.qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
			     IBV_QP_QKEY));
	attr.qp_state = IBV_QPS_RTR;
	CHECK(!ibv_modify_qp(end.qp, &attr, IBV_QP_STATE));
	for (i = 0; i < RECEIVES; i++)
		post();
}

static void make(struct packet *packet, bool imm)
{
	unsigned int len = percent(20) ? MTU : any(MTU), pad = -len & 3;
	unsigned int size = BTH + DETH + 4 * imm;

	memset(packet, 0, sizeof(*packet));
	packet->bytes[0] = imm ? UD_SEND_ONLY_IMM : UD_SEND_ONLY;
	packet->bytes[1] = 0x40 | pad << 4 | any(2) << 7;
	put(packet->bytes + 2, 0xffff, 2);
	put(packet->bytes + 5, end.qp->qp_num, 3);
	put(packet->bytes + 8, any32(), 4);
	put(packet->bytes + BTH, QKEY, 4);
	put(packet->bytes + BTH + 5, any32(), 3);
	noise(packet->bytes + BTH + DETH, 4 * imm + len);
	packet->len = size + len + pad + 4;
	net_headers(packet);
	seal(packet);
}

/* Does it come in? From whatever address; @data is filled in. */
static enum outcome judge_datagram(const struct packet *packet, const unsigned char **data,
				   unsigned int *n)
{
	const unsigned char *bytes = packet->bytes;
	bool imm = bytes[0] == UD_SEND_ONLY_IMM;
	unsigned int pad = bytes[1] >> 4 & 3, size = BTH + DETH + 4 * imm;
	unsigned int len = net_length(packet);
	enum outcome outcome = net_judge(packet);

	if (outcome == NOTHING || len < size + pad + 4 || (!imm && bytes[0] != UD_SEND_ONLY) ||
	    bytes[1] & 15 || (get(bytes + 2, 2) & 0x7fff) != 0x7fff ||
	    get(bytes + 5, 3) != end.qp->qp_num || get(bytes + BTH, 4) != QKEY ||
	    !sealed(packet, len) || GRH + len - size - pad - 4 > RECEIVE_SIZE)
		return NOTHING;
	*data = bytes + size;
	*n = len - size - pad - 4;
	/* Payload and padding are words; nobody says what becomes of others. */
	return len % 4 || !net_from_peer(packet) ? ANY : outcome;
}

/* The IP header as it was sent, at the end if it is short; its checksum is another matter. */
static bool right_header(const struct packet *packet, const unsigned char *grh)
{
	const unsigned char *net = packet->net;

	if (v6)
		return !memcmp(grh, net, GRH);
	return !memcmp(grh + GRH - 20, net, 10) && !memcmp(grh + GRH - 8, net + 12, 8);
}

static struct ibv_wc next(void)
{
	double until = now() + patience();
	struct ibv_wc wc;

	while (!end_poll(&end, &wc))
		CHECK(now() < until);
	CHECK(wc.status == IBV_WC_SUCCESS);
	return wc;
}

/* It has come, as it was sent. */
static void arrived(const struct packet *packet, const unsigned char *data, unsigned int len,
		    const struct ibv_wc *wc)
{
	unsigned char *to = area(RECEIVE);

	CHECK(wc->byte_len == GRH + len && wc->wc_flags & IBV_WC_GRH);
	CHECK(wc->src_qp == get(packet->bytes + BTH + 5, 3));
	CHECK(!memcmp(to + GRH, data, len) && right_header(packet, to));
	memcpy(shadow_of(to), to, GRH + len);
	post();
}

static void deliver_datagram(const struct packet *packet)
{
	const unsigned char *data;
	struct ibv_wc wc;
	unsigned int len;

	done[EXECUTED]++;
	CHECK(judge_datagram(packet, &data, &len) == EXECUTED);
	transmit(packet);
	wc = next();
	arrived(packet, data, len, &wc);
}

/* It may come; a right one behind it comes then. */
static void deliver_doubtful(const struct packet *packet, bool imm)
{
	const unsigned char *data;
	struct packet right;
	struct ibv_wc wc;
	unsigned int len;

	make(&right, imm);
	transmit(packet);
	transmit(&right);
	done[ANY]++;
	done[EXECUTED]++;
	judge_datagram(&right, &data, &len);
	while ((wc = next()).src_qp != get(right.bytes + BTH + 5, 3))
		post();
	memcpy(shadow_of(area(RECEIVE)), area(RECEIVE), RECEIVE_SIZE);
	arrived(&right, data, len, &wc);
}

void datagram_round(bool imm)
{
	const unsigned char *data;
	struct packet packet;
	struct ibv_wc wc;
	unsigned int len;

	make(&packet, imm);
	spoil(&packet);
	switch (judge_datagram(&packet, &data, &len)) {
	case NOTHING:
		done[NOTHING]++;
		transmit(&packet);
		CHECK(!end_poll(&end, &wc));
		break;
	case ANY:
		deliver_doubtful(&packet, imm);
		break;
	default:
		deliver_datagram(&packet);
	}
	/* It has not gone wrong later than it was looked at. */
	if (percent(10)) {
		make(&packet, imm);
		deliver_datagram(&packet);
	}
}
