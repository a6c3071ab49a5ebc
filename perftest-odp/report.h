/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef REPORT_H
#define REPORT_H

struct side;
struct verdict;

/*
 * Say on stderr what is wrong with a message. After the first few, the rest is
 * only counted (in side->verdict).
 */
void report_wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * What was checked at both ends since *@before; the active end prints it.
 * Meets the other end. Return: RC_OK also if bytes were wrong
 */
int report_mix(struct side *side, const struct verdict *before);
/* The last line, and the exit code. Meets the other end */
int report_verdict(struct side *side);

#endif
