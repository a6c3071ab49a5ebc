/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#include "options.h"
#include "dev.h"
#include "size.h"

#include <string.h>

enum {
	OPT_ODP = 0x200,
	OPT_LOCAL,
	OPT_JSON,
};

const struct options options_default = {
	.port = 1,
	.gid_index = -1,
	.tcp_port = 18515,
	.depth = 64,
	.timeout = 16,
};

static const struct argp_option basic_table[] = {
	{ 0, 0, 0, 0, "Common options:", 10 },
	{ "ib-dev", 'd', "DEV[,DEV2]", 0,
	  "device (default: the first one); DEV2 is the other end where both ends are in one process", 10 },
	{ "ib-port", 'i', "PORT", 0, "port of the device (default 1)", 10 },
	{ "gid-index", 'x', "INDEX", 0,
	  "GID to talk from (default: the first RoCE v2 GID, IPv4 before IPv6)", 10 },
	{ "odp", OPT_ODP, NULL, 0, "use on-demand memory", 10 },
	{ "json", OPT_JSON, NULL, 0, "print tables as JSON", 10 },
	{ 0 },
};

static const struct argp_option traffic_table[] = {
	{ 0, 0, 0, 0, "How messages are sent:", 5 },
	{ "mtu", 'm', "BYTES", 0,
	  "path MTU: 256, 512, 1024, 2048 or 4096", 5 },
	{ "qp", 'q', "QPS", 0, "queue pairs", 5 },
	{ "tx-depth", 't', "DEPTH", 0,
	  "requests in flight on a queue pair (default 64)", 5 },
	{ "qp-timeout", 'u', "TIMEOUT", 0,
	  "a lost packet is sent again after 4.096 us * 2^TIMEOUT (default 16)", 5 },
	{ "duration", 'D', "SECONDS", 0, "how long", 5 },
	{ "port", 'p', "PORT", 0,
	  "TCP port of the control connection (default 18515)", 5 },
	{ "local", OPT_LOCAL, NULL, 0,
	  "both ends in this process, no server needed", 5 },
	{ 0 },
};

uint64_t options_number(struct argp_state *state, const char *what,
			const char *arg, uint64_t min, uint64_t max)
{
	uint64_t n = 0;

	if (!size_parse(arg, &n))
		argp_error(state, "%s wants a number, not '%s'", what, arg);
	if (n < min || n > max)
		argp_error(state, "%s is %s; it can be %llu to %llu", what, arg,
			   (unsigned long long)min, (unsigned long long)max);
	return n;
}

static void parse_devices(struct options *o, char *arg)
{
	char *comma = strchr(arg, ',');

	o->dev[0] = o->dev[1] = arg;
	if (comma) {
		*comma = '\0';
		o->dev[1] = comma + 1;
	}
}

static uint32_t parse_mtu(struct argp_state *state, const char *arg)
{
	uint32_t mtu = options_number(state, "-m", arg, 256, 4096);

	if (!mtu_from_bytes(mtu))
		argp_error(state, "-m is 256, 512, 1024, 2048 or 4096, not %s",
			   arg);
	return mtu;
}

static error_t parse_basic(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'd':
		parse_devices(o, arg);
		return 0;
	case 'i':
		o->port = options_number(state, "-i", arg, 1, 255);
		return 0;
	case 'x':
		o->gid_index = options_number(state, "-x", arg, 0, 65535);
		return 0;
	case OPT_ODP:
		o->odp = true;
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_traffic(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'm':
		o->mtu = parse_mtu(state, arg);
		return 0;
	case 'q':
		o->qps = options_number(state, "-q", arg, 1, 64);
		return 0;
	case 't':
		o->depth = options_number(state, "-t", arg, 1, 1024);
		return 0;
	case 'u':
		o->timeout = options_number(state, "-u", arg, 1, 31);
		return 0;
	case 'D':
		o->seconds = options_number(state, "-D", arg, 1, 1000000);
		return 0;
	case 'p':
		o->tcp_port = options_number(state, "-p", arg, 1, 65535);
		return 0;
	case OPT_LOCAL:
		o->local = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp options_basic = { .options = basic_table,
				    .parser = parse_basic };
const struct argp options_traffic = { .options = traffic_table,
				      .parser = parse_traffic };
