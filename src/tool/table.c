/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tool/print.h"
#include "util/alloc.h"

void table_init(struct table *table, size_t columns, size_t rows)
{
	*table = (struct table){ .columns = columns,
		.rows = rows,
		.cells = must_array(columns * (rows + 1), sizeof(*table->cells)),
		.right = must_array(columns, sizeof(*table->right)) };
}

void table_finish(struct table *table)
{
	for (size_t i = 0; i < table->columns * (table->rows + 1); i++)
		free(table->cells[i]);
	free(table->cells);
	free(table->right);
}

void table_put(struct table *table, size_t row, size_t column, char *text)
{
	table->cells[row * table->columns + column] = text;
}

static const char *cell(const struct table *table, size_t row, size_t column)
{
	const char *text = table->cells[row * table->columns + column];
	return text && *text ? text : "-";
}

/* Characters, not bytes. */
static size_t width(const char *text)
{
	size_t count = 0;
	for (; *text; text++)
		count += ((unsigned char)*text & 0xc0) != 0x80;
	return count;
}

static void put_blanks(struct buffer *text, size_t count)
{
	while (count-- > 0)
		buffer_put_byte(text, ' ');
}

static void put_row(struct buffer *text, const struct table *table, size_t row,
	const size_t *widths, unsigned indent)
{
	put_blanks(text, indent);
	for (size_t column = 0; column < table->columns; column++) {
		const char *content = cell(table, row, column);
		size_t fill = widths[column] - width(content);
		bool last = column + 1 == table->columns;
		if (table->right[column])
			put_blanks(text, fill);
		buffer_put_text(text, content);
		if (!table->right[column] && !last)
			put_blanks(text, fill);
		if (!last)
			put_blanks(text, 2);
	}
	buffer_put_byte(text, '\n');
}

void table_print(struct buffer *text, const struct table *table, unsigned indent)
{
	OWNED size_t *widths = must_array(table->columns, sizeof(*widths));
	for (size_t row = 0; row <= table->rows; row++) {
		for (size_t column = 0; column < table->columns; column++) {
			size_t size = width(cell(table, row, column));
			if (size > widths[column])
				widths[column] = size;
		}
	}
	for (size_t row = 0; row <= table->rows; row++)
		put_row(text, table, row, widths, indent);
}
