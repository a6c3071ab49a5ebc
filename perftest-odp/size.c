/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#include "size.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char units[] = "KMGT";

bool size_parse(const char *text, uint64_t *size)
{
	unsigned long long n;
	const char *unit;
	unsigned int shift = 0;
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	n = strtoull(text, &end, 0);
	if (errno)
		return false;
	if (*end) {
		unit = strchr(units, toupper((unsigned char)*end));
		if (!unit || end[1])
			return false;
		shift = 10 * (unit - units + 1);
	}
	if (n > UINT64_MAX >> shift)
		return false;
	*size = (uint64_t)n << shift;
	return true;
}

char *size_text(uint64_t size, char *buf)
{
	int unit;

	for (unit = 3; unit >= 0; unit--)
		if (size && size % (1ull << (10 * (unit + 1))) == 0)
			break;
	if (unit < 0)
		snprintf(buf, SIZE_TEXT, "%llu B", (unsigned long long)size);
	else
		snprintf(buf, SIZE_TEXT, "%llu %ciB",
			 (unsigned long long)(size >> (10 * (unit + 1))),
			 units[unit]);
	return buf;
}
