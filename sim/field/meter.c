/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/meter.h"

#include <string.h>

#include "util/alloc.h"
#include "util/hex.h"

#define ERROR_OTHER 0x01
#define ERROR_NO_DATA 0x02
#define ERROR_PASSWORD 0x04

struct value_of {
	uint8_t id[4]; /* as on the wire, the lowest byte first */
	struct buffer data;
};

struct meter {
	uint8_t address[6]; /* as on the wire */
	uint8_t password[4];
	unsigned wake_up, block;
	struct value_of *values;
	size_t value_count;
};

struct meters {
	struct line *line;
	struct meter *items;
	size_t count;
};

static uint8_t sum_of(const uint8_t *bytes, size_t size)
{
	uint8_t sum = 0;
	while (size)
		sum = (uint8_t)(sum + bytes[--size]);
	return sum;
}

static struct value_of *find_value(struct meter *meter, const uint8_t *id)
{
	for (size_t i = 0; i < meter->value_count; i++) {
		if (memcmp(meter->values[i].id, id, 4) == 0)
			return &meter->values[i];
	}
	return NULL;
}

static struct value_of *add_value(struct meter *meter, const uint8_t *id)
{
	struct value_of *value = find_value(meter, id);
	if (value)
		return value;
	meter->values = must_realloc(
		meter->values, (meter->value_count + 1) * sizeof(*meter->values));
	value = &meter->values[meter->value_count++];
	*value = (struct value_of){ .data = BUFFER_EMPTY };
	memcpy(value->id, id, 4);
	return value;
}

/* Sends an answer with its data, which is clear of the 33H. */
static void reply(struct meters *meters, const struct meter *meter, unsigned control,
	const struct buffer *data)
{
	OWNED_BUFFER frame = BUFFER_EMPTY;
	for (unsigned i = 0; i < meter->wake_up; i++)
		buffer_put_byte(&frame, 0xfe);
	size_t begin = frame.size;
	buffer_put_byte(&frame, 0x68);
	buffer_put(&frame, meter->address, 6);
	buffer_put_byte(&frame, 0x68);
	buffer_put_byte(&frame, (uint8_t)control);
	buffer_put_byte(&frame, (uint8_t)data->size);
	for (size_t i = 0; i < data->size; i++)
		buffer_put_byte(&frame, (uint8_t)(data->data[i] + 0x33));
	buffer_put_byte(&frame, sum_of(frame.data + begin, frame.size - begin));
	buffer_put_byte(&frame, 0x16);
	plain_put(meters->line, frame.data, frame.size);
}

static void refuse(
	struct meters *meters, const struct meter *meter, unsigned control, uint8_t error)
{
	OWNED_BUFFER data = BUFFER_EMPTY;
	buffer_put_byte(&data, error);
	meters->line->total.exceptions++;
	reply(meters, meter, control | 0xc0, &data);
}

/* A block of a value: the first one, or (function 12H) the one of the number that is asked for. */
static void read_block(struct meters *meters, struct meter *meter, unsigned control,
	const uint8_t *data, size_t size)
{
	bool follows = control == 0x12;
	struct value_of *value = size >= 4 + (size_t)follows ? find_value(meter, data) : NULL;
	size_t number = follows && value ? data[4] : 0, from = number * meter->block;
	OWNED_BUFFER answer = BUFFER_EMPTY;
	if (!value || (from && from >= value->data.size)) {
		refuse(meters, meter, control, ERROR_NO_DATA);
		return;
	}
	size_t left = value->data.size - from;
	bool more = left > meter->block;
	buffer_put(&answer, value->id, 4);
	if (left)
		buffer_put(&answer, value->data.data + from, more ? meter->block : left);
	if (follows)
		buffer_put_byte(&answer, (uint8_t)number);
	reply(meters, meter, control | (more ? 0xa0 : 0x80), &answer);
}

static void write_value(
	struct meters *meters, struct meter *meter, const uint8_t *data, size_t size)
{
	static const struct buffer nothing = BUFFER_EMPTY;
	if (size <= 12) {
		refuse(meters, meter, 0x14, ERROR_OTHER);
	} else if (memcmp(data + 4, meter->password, 4) != 0) {
		refuse(meters, meter, 0x14, ERROR_PASSWORD);
	} else {
		struct value_of *value = add_value(meter, data);
		buffer_clear(&value->data);
		buffer_put(&value->data, data + 12, size - 12);
		reply(meters, meter, 0x94, &nothing);
	}
}

static void set_clock(struct meter *meter, const uint8_t *data, size_t size)
{
	static const uint8_t date_id[] = { 1, 1, 0, 4 }, time_id[] = { 2, 1, 0, 4 };
	if (size != 6)
		return;
	struct value_of *date = add_value(meter, date_id);
	buffer_clear(&date->data);
	buffer_put_byte(&date->data, 0);
	buffer_put(&date->data, data + 3, 3);
	struct value_of *time = add_value(meter, time_id);
	buffer_clear(&time->data);
	buffer_put(&time->data, data, 3);
}

static void serve(struct meters *meters, struct meter *meter, unsigned control, const uint8_t *data,
	size_t size)
{
	OWNED_BUFFER address = BUFFER_EMPTY;
	switch (control) {
	case 0x08:
		set_clock(meter, data, size);
		break;
	case 0x11:
	case 0x12:
		read_block(meters, meter, control, data, size);
		break;
	case 0x13:
		buffer_put(&address, meter->address, 6);
		reply(meters, meter, 0x93, &address);
		break;
	case 0x14:
		write_value(meters, meter, data, size);
		break;
	default:
		refuse(meters, meter, control, ERROR_OTHER);
	}
}

/* AA stands for any digits. */
static bool is_meant(const struct meter *meter, const uint8_t *address)
{
	for (int i = 0; i < 6; i++) {
		if (address[i] != 0xaa && address[i] != meter->address[i])
			return false;
	}
	return true;
}

/* All do what is broadcast, to 999999999999, and nobody answers. */
static void serve_frame(struct meters *meters, const uint8_t *frame, size_t size)
{
	static const uint8_t all[6] = { 0x99, 0x99, 0x99, 0x99, 0x99, 0x99 };
	uint8_t data[255];
	size_t data_size = frame[9];
	unsigned served = 0;
	for (size_t i = 0; i < data_size; i++)
		data[i] = (uint8_t)(frame[10 + i] - 0x33);
	plain_asked(meters->line, frame, size);
	bool broadcast = memcmp(frame + 1, all, 6) == 0 && frame[8] == 0x08;
	for (size_t i = 0; i < meters->count; i++) {
		if (!broadcast && (served || !is_meant(&meters->items[i], frame + 1)))
			continue;
		serve(meters, &meters->items[i], frame[8], data, data_size);
		served++;
	}
	meters->line->total.unheard += !served;
}

/* The size of the frame that begins here: 0 it is not whole yet, -1 none does. */
static int frame_size(const uint8_t *bytes, size_t size)
{
	if (bytes[0] != 0x68 || (size > 7 && bytes[7] != 0x68))
		return -1;
	if (size < 10 || size < 12u + bytes[9])
		return 0;
	size_t whole = 12u + bytes[9];
	bool fits = bytes[whole - 1] == 0x16 && bytes[whole - 2] == sum_of(bytes, whole - 2);
	return fits ? (int)whole : -1;
}

static size_t hear(void *context, const uint8_t *bytes, size_t size)
{
	struct meters *meters = context;
	size_t at = 0;
	while (at < size) {
		int whole = frame_size(bytes + at, size - at);
		if (whole == 0)
			break;
		if (whole > 0)
			serve_frame(meters, bytes + at, (size_t)whole);
		else if (bytes[at] != 0xfe)
			line_bad(meters->line, bytes + at, 1);
		at += whole > 0 ? (size_t)whole : 1;
	}
	return at;
}

static void destroy(void *context)
{
	struct meters *meters = context;
	for (size_t i = 0; i < meters->count; i++) {
		for (size_t v = 0; v < meters->items[i].value_count; v++)
			buffer_finish(&meters->items[i].values[v].data);
		free(meters->items[i].values);
	}
	free(meters->items);
	free(meters);
}

static const struct plain_talk meters_talk = {
	.protocol = "dlt645", .hear = hear, .destroy = destroy
};

/* So many bytes out of digits, the last first where they are a number. */
static void read_bytes(
	const struct node *node, const char *text, uint8_t *bytes, size_t size, bool number)
{
	OWNED_BUFFER parsed = BUFFER_EMPTY;
	if (hex_parse(&parsed, text) < 0 || parsed.size != size) {
		node_wrong(node, "'%s': %zu digits are wanted", text, 2 * size);
		return;
	}
	for (size_t i = 0; i < size; i++)
		bytes[i] = parsed.data[number ? size - 1 - i : i];
}

static void read_values(const struct node *node, struct meter *meter)
{
	struct node values, child;
	const char *name;
	if (!node_child(node, "values", &values))
		return;
	struct node_walk walk = node_begin(&values, VALUE_MAP);
	while (node_next(&values, &walk, &name, &child)) {
		uint8_t id[4] = { 0 };
		read_bytes(&child, name, id, sizeof(id), true);
		if (hex_parse(&add_value(meter, id)->data, node_text(&child)) < 0)
			node_wrong(&child, "pairs of hexadecimal digits are wanted");
	}
}

static void read_meter(const struct node *node, struct meter *meter)
{
	const char *address = "", *password = "00000000";
	int64_t wake_up = 4, block = 195;
	node_check(node, "address wake_up block password values");
	node_get_text(node, "address", &address);
	node_get_text(node, "password", &password);
	node_get_integer(node, "wake_up", 0, 4, &wake_up);
	node_get_integer(node, "block", 1, 195, &block);
	*meter = (struct meter){ .wake_up = (unsigned)wake_up, .block = (unsigned)block };
	read_bytes(node, address, meter->address, sizeof(meter->address), true);
	read_bytes(node, password, meter->password, sizeof(meter->password), false);
	read_values(node, meter);
}

void meters_create(struct sim *sim, const struct node *node, const struct plain_setup *setup)
{
	struct meters *meters = must_alloc(sizeof(*meters));
	struct node list, child;
	const char *key;
	node_check(node, "name type path host port meters");
	if (node_child(node, "meters", &list)) {
		struct node_walk walk = node_begin(&list, VALUE_LIST);
		meters->items = must_array(walk.left + 1, sizeof(*meters->items));
		while (node_next(&list, &walk, &key, &child))
			read_meter(&child, &meters->items[meters->count++]);
	}
	if (!meters->count)
		node_wrong(node, "meters is missing: a list of objects with an address each");
	if (!node_failed(node))
		meters->line = plain_create(sim, setup, &meters_talk, meters);
	if (meters->line)
		return;
	node_wrong(node, "the host has to be a numeric address");
	destroy(meters);
}
