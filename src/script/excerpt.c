/* SPDX-License-Identifier: Apache-2.0 */
/* The line of a source that an error is about. */
#include "script/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 1024
#define SHOWN_MAX 100

/* The number behind "file:" in the text, or 0. */
static unsigned named_line(const char *text, const char *file)
{
	size_t size = strlen(file);
	for (const char *at = strstr(text, file); at; at = strstr(at + 1, file)) {
		unsigned line;
		char colon;
		if (sscanf(at + size, ":%u%c", &line, &colon) == 2 && colon == ':')
			return line;
	}
	return 0;
}

/* Lines longer than the room are read on to their end. */
static bool read_line(FILE *file, unsigned number, char *line, int room)
{
	for (unsigned i = 1; fgets(line, room, file);) {
		bool whole = strchr(line, '\n');
		if (i == number)
			return true;
		i += whole;
	}
	return false;
}

static void put_trimmed(struct buffer *text, const char *line)
{
	while (*line == ' ' || *line == '\t')
		line++;
	size_t size = strlen(line);
	while (size && strchr(" \t\r\n", line[size - 1]))
		size--;
	bool cut = size > SHOWN_MAX;
	size = cut ? SHOWN_MAX : size;
	for (size_t i = 0; i < size; i++) {
		unsigned char byte = (unsigned char)line[i];
		buffer_put_byte(text, byte < ' ' || byte == 0x7f ? ' ' : byte);
	}
	buffer_put_text(text, cut ? "..." : "");
}

void script_quote_line(struct buffer *text, const char *path, const char *error)
{
	const char *slash = strrchr(path, '/');
	unsigned number = named_line(error, slash ? slash + 1 : path);
	if (!number)
		return;
	char line[LINE_MAX_BYTES];
	FILE *file = fopen(path, "re");
	if (file && read_line(file, number, line, sizeof(line))) {
		buffer_printf(text, " [line %u: ", number);
		put_trimmed(text, line);
		buffer_put_byte(text, ']');
	}
	if (file)
		fclose(file);
}
