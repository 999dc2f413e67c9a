/* SPDX-License-Identifier: Apache-2.0 */
#include "util/value.h"

#include <string.h>

static bool take(struct value_reader *reader, void *to, size_t size)
{
	if ((size_t)(reader->end - reader->at) < size)
		return false;
	memcpy(to, reader->at, size);
	reader->at += size;
	return true;
}

static bool take_string(struct value_reader *reader, struct value *value)
{
	uint32_t size;
	if (!take(reader, &size, sizeof(size)) || (size_t)(reader->end - reader->at) <= size ||
		reader->at[size])
		return false;
	value->text = (const char *)reader->at;
	value->size = size;
	reader->at += (size_t)size + 1;
	return true;
}

bool value_next(struct value_reader *reader, struct value *value)
{
	uint8_t tag;
	uint32_t count;
	if (!take(reader, &tag, 1) || tag > VALUE_MAP)
		return false;
	*value = (struct value){ .type = tag };
	switch (value->type) {
	case VALUE_NULL:
	case VALUE_FALSE:
		return true;
	case VALUE_TRUE:
		value->integer = 1;
		return true;
	case VALUE_INTEGER:
		return take(reader, &value->integer, sizeof(value->integer));
	case VALUE_REAL:
		return take(reader, &value->real, sizeof(value->real));
	case VALUE_STRING:
		return take_string(reader, value);
	case VALUE_LIST:
	case VALUE_MAP:
		if (!take(reader, &count, sizeof(count)))
			return false;
		value->size = count;
		return true;
	}
	return false;
}

static bool skip_within(struct value_reader *reader, int depth)
{
	struct value value;
	if (depth > VALUE_DEPTH_MAX || !value_next(reader, &value))
		return false;
	if (value.type != VALUE_LIST && value.type != VALUE_MAP)
		return true;
	for (size_t i = 0; i < value.size; i++) {
		struct value key;
		if (value.type == VALUE_MAP &&
			(!value_next(reader, &key) || key.type != VALUE_STRING))
			return false;
		if (!skip_within(reader, depth + 1))
			return false;
	}
	return true;
}

bool value_skip(struct value_reader *reader)
{
	return skip_within(reader, 0);
}

bool value_item(struct value_reader *reader, const uint8_t **item, size_t *size)
{
	*item = reader->at;
	if (!value_skip(reader))
		return false;
	*size = (size_t)(reader->at - *item);
	return true;
}

bool value_valid(const void *data, size_t size)
{
	struct value_reader reader = value_reader(data, size);
	return value_skip(&reader) && reader.at == reader.end;
}

bool value_find(const void *data, size_t size, const char *key, struct value *value,
	struct value_reader *inside)
{
	struct value_reader reader = value_reader(data, size);
	struct value map, name;
	if (!value_next(&reader, &map) || map.type != VALUE_MAP)
		return false;
	for (size_t i = 0; i < map.size; i++) {
		if (!value_next(&reader, &name) || name.type != VALUE_STRING)
			return false;
		if (strlen(key) == name.size && memcmp(key, name.text, name.size) == 0) {
			bool found = value_next(&reader, value);
			if (inside)
				*inside = reader;
			return found;
		}
		if (!value_skip(&reader))
			return false;
	}
	return false;
}

static void put_tag(struct buffer *buffer, enum value_type type)
{
	buffer_put_byte(buffer, (uint8_t)type);
}

void value_put_null(struct buffer *buffer)
{
	put_tag(buffer, VALUE_NULL);
}

void value_put_bool(struct buffer *buffer, bool truth)
{
	put_tag(buffer, truth ? VALUE_TRUE : VALUE_FALSE);
}

void value_put_integer(struct buffer *buffer, int64_t integer)
{
	put_tag(buffer, VALUE_INTEGER);
	buffer_put(buffer, &integer, sizeof(integer));
}

void value_put_real(struct buffer *buffer, double real)
{
	put_tag(buffer, VALUE_REAL);
	buffer_put(buffer, &real, sizeof(real));
}

void value_put_string(struct buffer *buffer, const void *bytes, size_t size)
{
	uint32_t length = (uint32_t)size;
	put_tag(buffer, VALUE_STRING);
	buffer_put(buffer, &length, sizeof(length));
	buffer_put(buffer, bytes, size);
	buffer_put_byte(buffer, 0);
}

void value_put_text(struct buffer *buffer, const char *text)
{
	value_put_string(buffer, text, strlen(text));
}

static void put_header(struct buffer *buffer, enum value_type type, uint32_t count)
{
	put_tag(buffer, type);
	buffer_put(buffer, &count, sizeof(count));
}

void value_put_list(struct buffer *buffer, uint32_t count)
{
	put_header(buffer, VALUE_LIST, count);
}

void value_put_map(struct buffer *buffer, uint32_t count)
{
	put_header(buffer, VALUE_MAP, count);
}

size_t value_begin_list(struct buffer *buffer)
{
	size_t place = buffer->size;
	value_put_list(buffer, 0);
	return place;
}

size_t value_begin_map(struct buffer *buffer)
{
	size_t place = buffer->size;
	value_put_map(buffer, 0);
	return place;
}

void value_end(struct buffer *buffer, size_t place, uint32_t count)
{
	memcpy(buffer->data + place + 1, &count, sizeof(count));
}

void value_pair_text(struct buffer *buffer, const char *key, const char *text)
{
	value_put_text(buffer, key);
	value_put_text(buffer, text);
}

void value_pair_integer(struct buffer *buffer, const char *key, int64_t integer)
{
	value_put_text(buffer, key);
	value_put_integer(buffer, integer);
}

void value_pair_real(struct buffer *buffer, const char *key, double real)
{
	value_put_text(buffer, key);
	value_put_real(buffer, real);
}

void value_pair_bool(struct buffer *buffer, const char *key, bool truth)
{
	value_put_text(buffer, key);
	value_put_bool(buffer, truth);
}
