/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef TABLE_H
#define TABLE_H

#include <stdbool.h>
#include <stdint.h>

#define TABLE_COLUMNS 8

struct json_t;

/* A result that is printed as text in columns, or as JSON */
struct table {
	const char *title;
	const char *column[TABLE_COLUMNS];
	unsigned int columns;
	struct json_t *rows; /* an array of objects */
	struct json_t *row;  /* the one that is being filled */
	unsigned int filled;
};

/* @columns ends with NULL; the strings must outlive the table */
void table_begin(struct table *t, const char *title, const char *const *columns);
/* Cells are added in the order of the columns, row after row */
void table_text(struct table *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void table_count(struct table *t, uint64_t n);
/* A measured value; text shows three significant digits or more */
void table_value(struct table *t, double x);
/* Nothing to say in this cell */
void table_none(struct table *t);
/* Print it and free it. As JSON: an object with the title and the rows */
void table_end(struct table *t, bool json);
/* Free it without printing */
void table_drop(struct table *t);

#endif
