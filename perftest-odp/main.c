/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* odp_perf: measures and checks what perftest does not */
#include "commands.h"
#include "fail.h"

#include <argp.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
} commands[] = {
	{ "verify", command_verify,
	  "send messages and check every byte, also while memory changes" },
	{ "reg", command_reg, "measure what it costs to register memory" },
	{ "bad", command_bad,
	  "make mistakes, and see that each gets the right error" },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *to)
{
	size_t i;

	fputs("Usage: odp_perf COMMAND [OPTION...] [HOST]\n"
	      "Check and measure RDMA, with pinned and on-demand memory, on any verbs device.\n\n"
	      "Commands:\n", to);
	for (i = 0; i < COMMANDS; i++)
		fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].what);
	fputs("\n\"odp_perf COMMAND --help\" explains a command.\n", to);
}

int main(int argc, char **argv)
{
	static char name[64];
	size_t i;

	argp_err_exit_status = RC_USAGE;
	if (argc < 2) {
		print_help(stderr);
		return RC_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-?")) {
		print_help(stdout);
		return RC_OK;
	}
	for (i = 0; i < COMMANDS; i++) {
		if (strcmp(argv[1], commands[i].name))
			continue;
		snprintf(name, sizeof(name), "odp_perf %s", argv[1]);
		argv[1] = name;
		return commands[i].run(argc - 1, argv + 1);
	}
	fprintf(stderr, "odp_perf: there is no command '%s'\n", argv[1]);
	print_help(stderr);
	return RC_USAGE;
}
