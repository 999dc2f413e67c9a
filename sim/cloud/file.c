/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/alloc.h"
#include "util/json.h"

static int read_all(const char *path, struct buffer *text)
{
	FILE *file = fopen(path, "re");
	if (!file)
		return -errno;
	size_t size;
	do {
		size = fread(buffer_reserve(text, 4096), 1, 4096, file);
		text->size += size;
	} while (size);
	int error = ferror(file) ? -EIO : 0;
	fclose(file);
	return error;
}

int file_read_list(const char *path, struct buffer *value, size_t *count, char *error, size_t room)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	int result = read_all(path, &text);
	if (result < 0) {
		snprintf(error, room, "%s", strerror(-result));
		return result;
	}
	if (json_parse(value, text.data, text.size, error, room) < 0)
		return -EINVAL;
	struct value_reader reader = value_reader(value->data, value->size);
	struct value list;
	if (!value_next(&reader, &list) || list.type != VALUE_LIST) {
		snprintf(error, room, "not a JSON list");
		return -EINVAL;
	}
	*count = list.size;
	return 0;
}

int file_write(const char *path, const char *text)
{
	OWNED char *draft = must_printf("%s.new", path);
	FILE *file = fopen(draft, "we");
	if (!file)
		return -errno;
	int error = fputs(text, file) < 0 ? -errno : 0;
	if (fclose(file) != 0 && !error)
		error = -errno;
	if (!error && rename(draft, path) < 0)
		error = -errno;
	if (error)
		remove(draft);
	return error;
}
