/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef COMMANDS_H
#define COMMANDS_H

/* The subcommands; argv[0] is "odp_perf NAME". Return: exit code */
int command_verify(int argc, char **argv);
int command_reg(int argc, char **argv);
int command_bad(int argc, char **argv);

#endif
