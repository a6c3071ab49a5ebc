/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#include "fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static __thread char text[FAIL_TEXT_SIZE];

static void keep(const char *fmt, va_list args, int error)
{
	size_t used;

	if (text[0])
		return;
	vsnprintf(text, sizeof(text), fmt, args);
	used = strlen(text);
	if (error)
		snprintf(text + used, sizeof(text) - used, ": %s",
			 strerror(error));
}

int fail(int rc, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	keep(fmt, args, 0);
	va_end(args);
	return rc;
}

int fail_errno(int rc, const char *fmt, ...)
{
	int error = errno;
	va_list args;

	va_start(args, fmt);
	keep(fmt, args, error);
	va_end(args);
	return rc;
}

const char *fail_text(void)
{
	return text;
}

void fail_clear(void)
{
	text[0] = '\0';
}
