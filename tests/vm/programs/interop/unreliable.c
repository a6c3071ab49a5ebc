/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Unreliable connections and datagrams: where packets get lost, a message that has
 * completed is whole, and nothing else has changed but where others were to go.
 */
#include "interop.h"

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <string.h>

static double quiet(void)
{
	return QUIET_MS / 1000.0 * slowness() * (under_load() ? 5 : 1);
}

/* Where nothing is lost all come, else those that do within a while. */
static bool next_received(struct ibv_wc *wc)
{
	double end = now() + quiet();

	if (!lossy) {
		*wc = end_wait(&far.end);
		return true;
	}
	while (!end_poll(&far.end, wc)) {
		if (now() > end)
			return false;
		pause_ms(1);
	}
	return true;
}

/* Where nothing is lost they come in order. Return: which one it is */
static int which(const struct ibv_wc *wc, int n, uint32_t header, bool came[PIECES])
{
	int i;

	for (i = 0; i < PIECES && messages[i].len + header != wc->byte_len; i++)
		;
	CHECK(i < PIECES && !came[i]);
	CHECK(lossy || i == n);
	came[i] = true;
	return i;
}

/* That of IPv4 is in the last 20 bytes. */
static void check_header(const struct ibv_wc *wc, const char *header)
{
	const union ibv_gid *to = operation->multicast ? &group : &nics[1].gid;
	const struct ip *ip = (const void *)(header + 20);

	CHECK(wc->src_qp == near.end.qp->qp_num && wc->wc_flags & IBV_WC_GRH);
	if (operation->ipv6) {
		CHECK(!memcmp(header + 8, nics[0].gid.raw, 16));
		CHECK(!memcmp(header + 24, nics[1].gid.raw, 16));
	} else {
		CHECK(ip->ip_v == 4 && ip->ip_p == IPPROTO_UDP);
		CHECK(!memcmp(&ip->ip_src, nics[0].gid.raw + 12, 4));
		CHECK(!memcmp(&ip->ip_dst, to->raw + 12, 4));
	}
}

/* Those of SENDs, each in the next one of @far's pieces. Return: how many */
static int receive_sends(uint32_t header)
{
	bool came[PIECES] = {};
	struct ibv_wc wc;
	int i, n;

	for (n = 0; n < PIECES && next_received(&wc); n++) {
		char *got = messages[n].far;

		CHECK(wc.wr_id == (uint64_t)n);
		i = which(&wc, n, header, came);
		check_received(&wc, i);
		CHECK(!memcmp(got + header, messages[i].near, messages[i].len));
		if (header)
			check_header(&wc, got);
		memcpy(expected(&far, got), got, wc.byte_len);
	}
	return n;
}

static int round_of_sends(enum ibv_wr_opcode opcode, int round)
{
	uint32_t header = operation->type == IBV_QPT_UD ? GRH : 0;
	uint32_t longest = header ? LONGEST_DATAGRAM + header : LONGEST;
	int i, n;

	for (i = 0; i < PIECES; i++) {
		message_make(i, opcode, round);
		post_receive(i, longest);
	}
	for (i = 0; i < PIECES; i++)
		post(i);
	check_sent();
	n = receive_sends(header);
	/* There may be a part of what was lost, if it had more than one packet. */
	for (i = 0; lossy && !header && i < PIECES; i++)
		memcpy(expected(&far, messages[i].far), messages[i].far, longest);
	return n;
}

/* Bytes of a message are new, or as they were, if they need not be new. */
static bool written(const struct message *m, bool must)
{
	const char *was = expected(&far, m->far);
	uint32_t i, new = 0;

	for (i = 0; i < m->len; i++) {
		if (m->far[i] == m->near[i])
			new++;
		else
			CHECK(!must && m->far[i] == was[i]);
	}
	return new == m->len;
}

/* Without completions: until all are there, or for a while */
static void wait_written(void)
{
	double end = now() + (lossy ? quiet() : patience());
	int i;

	for (i = 0; i < PIECES; i++)
		while (!written(&messages[i], false) && now() < end)
			pause_ms(1);
}

static void receive_writes(bool whole[PIECES])
{
	struct ibv_wc wc;
	uint32_t i;
	int n;

	for (n = 0; n < PIECES && next_received(&wc); n++) {
		i = ntohl(wc.imm_data);
		CHECK(i < PIECES && !whole[i] && wc.byte_len == messages[i].len);
		check_received(&wc, i);
		whole[i] = true;
	}
}

static int round_of_writes(enum ibv_wr_opcode opcode, int round)
{
	bool whole[PIECES] = {};
	int i, n = 0;

	for (i = 0; i < PIECES; i++) {
		message_make(i, opcode, round);
		if (has_imm(opcode))
			post_receive(i, 0);
	}
	for (i = 0; i < PIECES; i++)
		post(i);
	check_sent();
	if (has_imm(opcode))
		receive_writes(whole);
	else
		wait_written();
	for (i = 0; i < PIECES; i++) {
		n += written(&messages[i], whole[i] || !lossy);
		memcpy(expected(&far, messages[i].far), messages[i].far, messages[i].len);
	}
	return n;
}

void unreliable(void)
{
	enum ibv_wr_opcode opcode = operation->opcodes[0];
	int sent = rounds() * PIECES, arrived = 0, i;

	set_up();
	for (i = 0; i < rounds(); i++) {
		fill();
		arrived += is_write(opcode) ? round_of_writes(opcode, i) :
					      round_of_sends(opcode, i);
		look();
		/* Receives may be left. */
		disconnect_ends();
		connect_ends();
	}
	disconnect_ends();
	check_counters();
	printf("%d of %d arrived\n", arrived, sent);
	CHECK(arrived == sent || (lossy && arrived));
	if (arrived > sent / 4)
		return;
	/* Until the queue pair is a new one: its responder waits for the rest of that WRITE. */
	CHECK(is_write(opcode) && !far.on_demand);
	puts("rdma_rxe: nothing arrives any more on UC behind a WRITE that was cut short");
}
