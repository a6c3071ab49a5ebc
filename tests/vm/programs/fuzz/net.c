// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Ethernet, IP and UDP: headers, what is done to them, and what the kernel makes of
 * that before a device sees it.
 *
 * Checksums are made when a packet is sent. Before that their fields say which: IP: 0
 * is the right one; UDP: 0 is none, 1 is the right one. All others are wrong.
 */
#include "fuzz.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

enum { ETHERNET = 14, IPV4 = 20, IPV6 = 40, UDP = 8, PROTOCOL_UDP = 17, PORT = 4791, MORE = 8 };

bool v6;
union ibv_gid source, destination;
unsigned long sent;

static unsigned char ethernet[ETHERNET];
static int raw;

void net_address(union ibv_gid *gid, const char *text)
{
	v6 = strchr(text, ':');
	memset(gid, 0, sizeof(*gid));
	if (!v6)
		gid->raw[10] = gid->raw[11] = 0xff;
	CHECK(inet_pton(v6 ? AF_INET6 : AF_INET, text, gid->raw + !v6 * 12) == 1);
}

void net_open(const char *interface, const char *mac)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(interface),
	};
	unsigned char *m = ethernet;

	CHECK(sscanf(mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", m, m + 1, m + 2, m + 3, m + 4, m + 5) == 6);
	put(ethernet + 12, v6 ? 0x86dd : 0x0800, 2);
	/* Of protocol 0: nothing is received. */
	CHECK((raw = socket(AF_PACKET, SOCK_RAW, 0)) >= 0);
	CHECK(to.sll_ifindex && !bind(raw, (void *)&to, sizeof(to)));
}

/* Of IP, without what may be between it and UDP */
static unsigned int ip_size(void)
{
	return v6 ? IPV6 : IPV4;
}

/* Where addresses are, and how long they are */
static unsigned int address_at(bool of_destination)
{
	return (v6 ? 8 : 12) + of_destination * (v6 ? 16 : 4);
}

static unsigned int address_size(void)
{
	return v6 ? 16 : 4;
}

static const unsigned char *address_of(const union ibv_gid *gid)
{
	return gid->raw + !v6 * 12;
}

static unsigned char *udp_of(struct packet *packet)
{
	return packet->net + packet->net_len - UDP;
}

void net_fit(struct packet *packet)
{
	unsigned int all = packet->net_len + packet->len;

	put(packet->net + (v6 ? 4 : 2), v6 ? all - IPV6 : all, 2);
	put(udp_of(packet) + 4, UDP + packet->len, 2);
}

void net_headers(struct packet *packet)
{
	unsigned char *net = packet->net;

	memset(net, 0, NET_MAX);
	packet->net_len = ip_size() + UDP;
	net[0] = v6 ? 0x60 : 0x45;
	net[v6 ? 7 : 8] = 64;
	net[v6 ? 6 : 9] = PROTOCOL_UDP;
	memcpy(net + address_at(false), address_of(&source), address_size());
	memcpy(net + address_at(true), address_of(&destination), address_size());
	put(udp_of(packet), 50000, 2);
	put(udp_of(packet) + 2, PORT, 2);
	net_fit(packet);
}

/* Options of IPv4; an extension header of IPv6, for the next hop, the end, or a fragment */
static void add_more(struct packet *packet)
{
	unsigned char *net = packet->net, *more = net + ip_size();

	if (packet->net_len != ip_size() + UDP)
		return;
	memmove(more + MORE, more, UDP);
	packet->net_len += MORE;
	if (v6) {
		memset(more, 0, MORE);
		more[0] = net[6];
		net[6] = (unsigned char[]){ 0, 60, 44 }[any(3)];
		/* Options: padding. Of a fragment that is all there is these are reserved. */
		put(more + 2, net[6] == 44 ? 0 : 0x0104, 2);
	} else {
		memset(more, 1, MORE);
		net[0] += MORE / 4;
	}
	net_fit(packet);
}

static void change_by(unsigned char *field, int by)
{
	put(field, get(field, 2) + by, 2);
}

void net_change(struct packet *packet)
{
	unsigned char *net = packet->net, *udp = udp_of(packet);

	switch (any(14)) {
	case 0:
		net[any(packet->net_len)] ^= 1 << any(8);
		break;
	case 1:
		net[any(packet->net_len)] = any(256);
		break;
	case 2:	/* service, flow; hop limit: routers may */
		net[1] = any(256);
		if (v6)
			put(net + 2, any(1 << 16), 2);
		break;
	case 3:
		net[v6 ? 7 : 8] = any(256);
		break;
	case 4:
		net[address_at(percent(50)) + any(address_size())] ^= 1 << any(8);
		break;
	case 5:
		net[v6 ? 6 : 9] = any(256);
		break;
	case 6:
		change_by(net + (v6 ? 4 : 2), any(17) - 8);
		break;
	case 7:
		change_by(udp + 4, any(17) - 8);
		break;
	case 8:
		put(udp + (percent(50) ? 4 : 2), any(1 << 16), 2);
		break;
	case 9:	/* anybody's, one for each flow */
		put(udp, any(1 << 16), 2);
		break;
	case 10:
		put(udp + 6, percent(60) ? 1 : any(1 << 16), 2);
		break;
	case 11: /* number, fragment; or flow */
		put(net + (v6 ? 2 : 4 + 2 * any(2)), percent(50) ? 1U << any(16) : any(1 << 16), 2);
		break;
	case 12: /* version, or the checksum */
		if (v6)
			net[0] ^= 1 << (4 + any(4));
		else
			put(net + 10, any(4), 2);
		break;
	case 13:
		add_more(packet);
		break;
	}
}

unsigned int net_length(const struct packet *packet)
{
	unsigned int len = get(packet->net + packet->net_len - UDP + 4, 2);

	return len < UDP ? 0 : len - UDP < packet->len ? len - UDP : packet->len;
}

static bool ip_right(const struct packet *packet)
{
	const unsigned char *net = packet->net;

	if (v6)
		return net[0] >> 4 == 6;
	return net[0] >> 4 == 4 && (net[0] & 15U) * 4 == packet->net_len - UDP &&
	       !(get(net + 6, 2) & 0x3fff) && !get(net + 10, 2) && net[9] == PROTOCOL_UDP;
}

/* With other things between IP and UDP it may be delivered, or not. */
enum outcome net_judge(const struct packet *packet)
{
	const unsigned char *net = packet->net, *udp = net + packet->net_len - UDP;
	unsigned int all = v6 ? IPV6 + get(net + 4, 2) : get(net + 2, 2);
	bool more = packet->net_len > ip_size() + UDP;
	unsigned int len = get(udp + 4, 2);

	if (!ip_right(packet) || all > packet->net_len + packet->len || all < packet->net_len ||
	    len < UDP || len > all - packet->net_len + UDP || get(udp + 2, 2) != PORT ||
	    get(udp + 6, 2) > 1 ||
	    memcmp(net + address_at(true), address_of(&destination), address_size()))
		return NOTHING;
	if (v6 && !more && net[6] != PROTOCOL_UDP)
		return NOTHING;
	return more ? ANY : EXECUTED;
}

bool net_from_peer(const struct packet *packet)
{
	return !memcmp(packet->net + address_at(false), address_of(&source), address_size());
}

unsigned int net_masked(const struct packet *packet, unsigned char *to)
{
	unsigned int ip = ip_size();

	memcpy(to, packet->net, ip);
	memcpy(to + ip, packet->net + packet->net_len - UDP, UDP);
	if (v6) {
		to[0] |= 0x0f;
		to[1] = to[2] = to[3] = 0xff;
	} else {
		to[1] = to[10] = to[11] = 0xff;
	}
	to[v6 ? 7 : 8] = 0xff;
	to[ip + 6] = to[ip + 7] = 0xff;
	return ip + UDP;
}

static uint32_t sum_of(uint32_t sum, const unsigned char *from, unsigned int n)
{
	for (; n > 1; n -= 2, from += 2)
		sum += get(from, 2);
	return sum + (n ? *from << 8 : 0);
}

/* Where the field counts as zero: the checksum, or one that is wrong */
static uint32_t checksum(uint32_t sum, bool right)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	sum ^= 0xffff;
	return right ? sum : sum % 0xffff + 1;
}

/* In the frame that is about to be sent */
static void set_checksums(const struct packet *packet, unsigned char *net)
{
	unsigned char *udp = net + packet->net_len - UDP;
	uint32_t field = get(udp + 6, 2), len = UDP + net_length(packet);

	if (field) {
		put(udp + 6, 0, 2);
		field = checksum(sum_of(sum_of(PROTOCOL_UDP + len, net + address_at(false),
					       2 * address_size()), udp, len), field == 1);
		put(udp + 6, field ?: 0xffff, 2);
	}
	if (!v6) {
		field = get(net + 10, 2);
		put(net + 10, 0, 2);
		put(net + 10, checksum(sum_of(0, net, packet->net_len - UDP), !field), 2);
	}
}

void transmit(const struct packet *packet)
{
	static unsigned char frame[ETHERNET + NET_MAX + sizeof(packet->bytes)];
	ssize_t size = ETHERNET + packet->net_len + packet->len;

	memcpy(frame, ethernet, ETHERNET);
	memcpy(frame + ETHERNET, packet->net, packet->net_len);
	memcpy(frame + ETHERNET + packet->net_len, packet->bytes, packet->len);
	set_checksums(packet, frame + ETHERNET);
	CHECK(send(raw, frame, size, 0) == size);
	sent++;
}
