/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#include "table.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CELL 128

void table_begin(struct table *t, const char *title, const char *const *columns)
{
	memset(t, 0, sizeof(*t));
	t->title = title;
	while (columns[t->columns] && t->columns < TABLE_COLUMNS) {
		t->column[t->columns] = columns[t->columns];
		t->columns++;
	}
	t->rows = json_array();
}

static void add(struct table *t, json_t *cell)
{
	if (!t->filled) {
		t->row = json_object();
		json_array_append_new(t->rows, t->row);
	}
	json_object_set_new(t->row, t->column[t->filled], cell);
	t->filled = (t->filled + 1) % t->columns;
}

void table_text(struct table *t, const char *fmt, ...)
{
	char text[CELL];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	add(t, json_string(text));
}

void table_count(struct table *t, uint64_t n)
{
	add(t, json_integer(n));
}

void table_value(struct table *t, double x)
{
	add(t, json_real(x));
}

void table_none(struct table *t)
{
	add(t, json_null());
}

/* A cell as text. Return: is it a number? */
static bool show(const json_t *cell, char *text)
{
	double x;

	if (json_is_string(cell) || json_is_null(cell)) {
		snprintf(text, CELL, "%s",
			 json_is_null(cell) ? "-" : json_string_value(cell));
		return json_is_null(cell);
	}
	if (json_is_integer(cell)) {
		snprintf(text, CELL, "%lld",
			 (long long)json_integer_value(cell));
		return true;
	}
	x = json_real_value(cell);
	snprintf(text, CELL, "%.*f", fabs(x) < 10 ? 2 : fabs(x) < 100 ? 1 : 0, x);
	return true;
}

static void print_text(const struct table *t)
{
	size_t width[TABLE_COLUMNS], i, row;
	char text[CELL];
	json_t *cells;
	bool number;

	for (i = 0; i < t->columns; i++) {
		width[i] = strlen(t->column[i]);
		json_array_foreach(t->rows, row, cells) {
			show(json_object_get(cells, t->column[i]), text);
			if (strlen(text) > width[i])
				width[i] = strlen(text);
		}
	}
	printf("%s\n", t->title);
	for (i = 0; i < t->columns; i++)
		printf("  %-*s", (int)width[i], t->column[i]);
	putchar('\n');
	json_array_foreach(t->rows, row, cells) {
		for (i = 0; i < t->columns; i++) {
			number = show(json_object_get(cells, t->column[i]), text);
			printf(number ? "  %*s" : "  %-*s", (int)width[i], text);
		}
		putchar('\n');
	}
}

void table_end(struct table *t, bool json)
{
	json_t *all;

	if (json) {
		all = json_pack("{s:s, s:O}", "title", t->title, "rows", t->rows);
		json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
		putchar('\n');
		json_decref(all);
	} else {
		print_text(t);
	}
	fflush(stdout);
	table_drop(t);
}

void table_drop(struct table *t)
{
	json_decref(t->rows);
	memset(t, 0, sizeof(*t));
}
