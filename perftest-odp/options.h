/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

/* Of all subcommands; perftest's letters where it has them */
struct options {
	const char *dev[2]; /* the second one is for --local */
	const char *host;   /* NULL: be the server */
	int port;
	int gid_index;	    /* -1: find one */
	uint16_t tcp_port;
	uint32_t mtu;	    /* bytes; 0: not given */
	uint64_t size;	    /* 0: not given */
	uint64_t iters;	    /* 0: not given */
	uint64_t seconds;   /* 0: not given */
	unsigned int qps;   /* 0: not given */
	unsigned int depth;
	unsigned int timeout; /* 4.096 us << timeout */
	bool odp;
	bool local;
	bool json;
};

extern const struct options options_default;

/*
 * For the children of a subcommand's argp, with struct options for their input:
 * the device, and how messages are sent
 */
extern const struct argp options_basic;
extern const struct argp options_traffic;

/* For a parser: end the program with "... wants a number" if it is none */
uint64_t options_number(struct argp_state *state, const char *what,
			const char *arg, uint64_t min, uint64_t max);

/* Keys of long options without a letter start here in subcommands */
#define OPT_OWN 0x1000

#endif
