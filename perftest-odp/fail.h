/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef FAIL_H
#define FAIL_H

/*
 * Exit codes, and the sentence that goes with one that is not zero.
 *
 * A function that can fail returns one of these codes. Where the failure is
 * seen, fail() keeps the sentence; callers pass the code on.
 */
enum {
	RC_OK = 0,
	RC_WRONG = 1, /* wrong bytes, or an error that should not be */
	RC_USAGE = 2,
	RC_SKIP = 77, /* cannot run here */
};

#define FAIL_TEXT_SIZE 320

/**
 * fail() - remember why this thread fails
 * @rc: one of the codes above
 * @fmt: the sentence, without full stop or newline
 *
 * The first sentence is kept until fail_clear(): it is the cause, what comes
 * after is only a consequence.
 *
 * Return: @rc
 */
int fail(int rc, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same with ": strerror(errno)" at the end */
int fail_errno(int rc, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

const char *fail_text(void);
void fail_clear(void);

#endif
