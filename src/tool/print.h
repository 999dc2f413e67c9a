/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as text for people: records of "key  value" lines, tables for lists of maps.  All that is
 * there is printed, also what this version does not know.
 */
#ifndef EB_TOOL_PRINT_H
#define EB_TOOL_PRINT_H

#include "util/value.h"

/* Appends the value at data, each line behind indent blanks. */
void print_value(struct buffer *text, const void *data, size_t size, unsigned indent);

/* Appends a single value in one line; key tells units ("..._ms" is a time). */
void print_cell(struct buffer *text, const char *key, const void *data, size_t size);

/* Bytes from outside as text that cannot command a terminal. */
void print_text(struct buffer *text, const char *bytes, size_t size);

/* A table's rows as cells of text, columns side by side. */
struct table {
	size_t columns, rows;
	char **cells; /* the header's, then row by row; NULL: nothing there; owned */
	bool *right; /* column of numbers */
};
/* All cells NULL; the header is row 0 of rows + 1. */
void table_init(struct table *table, size_t columns, size_t rows);
void table_finish(struct table *table);
/* Puts the text, which the table owns from then on. */
void table_put(struct table *table, size_t row, size_t column, char *text);
void table_print(struct buffer *text, const struct table *table, unsigned indent);

#endif
