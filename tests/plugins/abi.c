/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin that uses all that the interface offers, for a protocol made for that: STX, type, unit,
 * tag, length, payload.  A request reads `count` bytes from `begin` on.
 *
 *	R begin count		read		A bytes		answer
 *	W begin bytes...	write		K		done
 *	N step			go on		C bytes		part of an answer, more on demand
 *	X code			refused
 *	U begin count bytes	nobody asked
 *	S bytes...		an answer without a length: silence of 5 ms ends it
 */
#include <enos-bridge/plugin.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define STX 0x02
#define HEAD 5u
#define SILENCE_US 5000u
#define IN_FLIGHT 4u
#define ROOM 256 /* addresses of a device */

static const struct eb_key bus_keys[] = {
	{ .name = "gap", .types = EB_INTEGER, .min = 0, .max = 1000000, .help = "µs" },
	{ .name = NULL },
};

static const struct eb_key device_keys[] = {
	{ .name = "unit",
		.types = EB_INTEGER,
		.flags = EB_REQUIRED,
		.min = 0,
		.max = 255,
		.help = "0 to 255" },
	{ .name = NULL },
};

static const struct eb_key request_keys[] = {
	{ .name = "begin",
		.types = EB_INTEGER,
		.flags = EB_REQUIRED,
		.min = 0,
		.max = 255,
		.help = "first address" },
	{ .name = "count", .types = EB_INTEGER, .min = 1, .max = 200, .help = "how many bytes" },
	{ .name = "bytes", .types = EB_BYTES, .help = "to write" },
	{ .name = "listen", .types = EB_BOOLEAN, .help = "wait for it unasked" },
	{ .name = NULL },
};

struct abi {
	uint32_t frames; /* that were encoded since the link came up */
};

/* A request's data, which is also the key of an unasked frame: type, begin, count, bytes. */
enum { DATA_TYPE, DATA_BEGIN, DATA_COUNT, DATA_BYTES };

static const struct eb_value *find(const struct eb_settings *settings, const char *key)
{
	for (size_t i = 0; i < settings->count; i++) {
		if (strcmp(settings->items[i].key, key) == 0)
			return &settings->items[i].value;
	}
	return NULL;
}

static int abi_open(void *state, const struct eb_settings *options, const struct eb_line *line,
	struct eb_timing *timing, struct eb_error *error)
{
	const struct eb_value *gap = find(options, "gap");
	timing->gap_us = gap ? (uint32_t)gap->integer : 0;
	timing->max_in_flight = IN_FLIGHT;
	return 0;
}

static void abi_reset(void *state)
{
	struct abi *bus = state;
	bus->frames = 0;
}

static int abi_address(const void *state, const struct eb_settings *device,
	struct eb_address *address, struct eb_error *error)
{
	address->size = 1;
	address->bytes[0] = (uint8_t)find(device, "unit")->integer;
	return 0;
}

static void measure(struct eb_request *request)
{
	uint32_t count = request->data[DATA_COUNT];
	request->frame_size = HEAD + 2;
	request->answer_size = HEAD + count;
	request->content_size = count;
	request->data_size = DATA_BYTES;
}

static int abi_request(const void *state, const struct eb_settings *settings,
	struct eb_request *request, struct eb_error *error)
{
	const struct eb_value *count = find(settings, "count"), *bytes = find(settings, "bytes");
	const struct eb_value *listen = find(settings, "listen");
	int64_t begin = find(settings, "begin")->integer;
	int64_t size = bytes ? (int64_t)bytes->size : count ? count->integer : 1;
	if (size > 200 || begin + size > ROOM) {
		snprintf(error->text, sizeof(error->text),
			"%d bytes from %d on: the last address is %d", (int)size, (int)begin,
			ROOM - 1);
		return -E2BIG;
	}
	request->data[DATA_TYPE] = bytes ? 'W' : 'R';
	request->data[DATA_BEGIN] = (uint8_t)begin;
	request->data[DATA_COUNT] = (uint8_t)size;
	measure(request);
	request->flags = (bytes ? EB_WRITE : 0) | (listen && listen->integer ? EB_LISTEN : 0);
	if (!bytes)
		return 0;
	memcpy(request->data + DATA_BYTES, bytes->data, bytes->size);
	request->data_size += (uint32_t)bytes->size;
	request->frame_size = HEAD + 1 + (uint32_t)bytes->size;
	request->content_size = 0;
	return 0;
}

static uint32_t put_frame(uint8_t *frame, uint8_t type, const struct eb_outstanding *outstanding,
	const uint8_t *payload, size_t size)
{
	frame[0] = STX;
	frame[1] = type;
	frame[2] = outstanding->request->address.bytes[0];
	frame[3] = (uint8_t)outstanding->tag;
	frame[4] = (uint8_t)size;
	memcpy(frame + HEAD, payload, size);
	return (uint32_t)(HEAD + size);
}

static int abi_encode(void *state, const struct eb_outstanding *outstanding, uint8_t *frame)
{
	const uint8_t *data = outstanding->request->data;
	struct abi *bus = state;
	bus->frames++;
	uint8_t payload[256] = { data[DATA_BEGIN], data[DATA_COUNT] };
	if (data[DATA_TYPE] == 'R')
		return (int)put_frame(frame, 'R', outstanding, payload, 2);
	memcpy(payload + 1, data + DATA_BYTES, data[DATA_COUNT]);
	return (int)put_frame(frame, 'W', outstanding, payload, 1u + data[DATA_COUNT]);
}

static void noise(struct eb_verdict *verdict, size_t size, uint32_t error)
{
	verdict->kind = EB_NOISE;
	verdict->error = error;
	verdict->consumed = (uint32_t)size;
}

/* The outstanding request that unit and tag name, or -1. */
static int find_asked(const struct eb_input *input)
{
	for (uint32_t i = 0; i < input->count; i++) {
		const struct eb_outstanding *one = &input->outstanding[i];
		if (one->request->address.bytes[0] == input->bytes[2] &&
			(one->tag & 0xff) == input->bytes[3])
			return (int)i;
	}
	return -1;
}

static void take_content(
	const struct eb_input *input, size_t skip, size_t size, struct eb_verdict *verdict)
{
	verdict->content = input->bytes + HEAD + skip;
	verdict->content_size = (uint32_t)(size - skip);
}

/* A part of an answer, and the frame that asks for the next one. */
static void go_on(const struct eb_input *input, int index, size_t size, struct eb_verdict *verdict)
{
	const struct eb_outstanding *asked = &input->outstanding[index];
	uint8_t step = (uint8_t)(asked->step + 1);
	verdict->kind = EB_CONTINUE;
	take_content(input, 0, size, verdict);
	verdict->frame_size = put_frame(input->frame, 'N', asked, &step, 1);
}

static void unasked(const struct eb_input *input, size_t size, struct eb_verdict *verdict)
{
	verdict->kind = EB_UNASKED;
	verdict->address = (struct eb_address){ .size = 1, .bytes = { input->bytes[2] } };
	verdict->key_size = DATA_BYTES;
	verdict->key[DATA_TYPE] = 'R';
	verdict->key[DATA_BEGIN] = input->bytes[HEAD];
	verdict->key[DATA_COUNT] = input->bytes[HEAD + 1];
	take_content(input, 2, size, verdict);
}

/* A whole frame with a payload of size bytes. */
static void judge(const struct eb_input *input, size_t size, struct eb_verdict *verdict)
{
	uint8_t type = input->bytes[1];
	int index = find_asked(input);
	verdict->consumed = (uint32_t)(HEAD + size);
	if (type == 'U' && size >= 2) {
		unasked(input, size, verdict);
		return;
	}
	if (index < 0) {
		noise(verdict, HEAD + size, EB_FOREIGN);
		return;
	}
	const struct eb_outstanding *asked = &input->outstanding[index];
	verdict->index = (uint32_t)index;
	if (type == 'C') {
		go_on(input, index, size, verdict);
	} else if (type == 'X' && size == 1) {
		verdict->kind = EB_ERROR;
		verdict->error = EB_EXCEPTION;
		verdict->code = input->bytes[HEAD];
	} else if ((type == 'A' || type == 'K') &&
		asked->so_far_size + size == asked->request->content_size) {
		verdict->kind = EB_ANSWER;
		take_content(input, 0, size, verdict);
	} else {
		verdict->kind = EB_ERROR;
		verdict->error = EB_SHORT;
	}
}

/* An answer that only silence ends. */
static void judge_silence(const struct eb_input *input, struct eb_verdict *verdict)
{
	int index = find_asked(input);
	if (!input->silent_us) {
		verdict->kind = EB_MORE;
		verdict->gap_us = SILENCE_US;
	} else if (index < 0) {
		noise(verdict, input->size, EB_FOREIGN);
	} else {
		verdict->kind = EB_ANSWER;
		verdict->index = (uint32_t)index;
		verdict->consumed = (uint32_t)input->size;
		take_content(input, 0, input->size - HEAD, verdict);
	}
}

static void abi_receive(void *state, const struct eb_input *input, struct eb_verdict *verdict)
{
	size_t garbage = 0;
	while (garbage < input->size && input->bytes[garbage] != STX)
		garbage++;
	if (garbage) {
		noise(verdict, garbage, EB_CRC);
	} else if (input->size < HEAD ||
		(input->bytes[1] != 'S' && input->size < HEAD + input->bytes[4])) {
		verdict->kind = EB_MORE;
		verdict->gap_us = input->size ? SILENCE_US : 0;
		if (input->size && input->silent_us)
			noise(verdict, input->size, EB_SHORT);
	} else if (input->bytes[1] == 'S') {
		judge_silence(input, verdict);
	} else {
		judge(input, input->bytes[4], verdict);
	}
}

static int abi_merge(const void *state, const struct eb_request *a, const struct eb_request *b,
	uint32_t hole, struct eb_request *merged)
{
	if (a->data[DATA_TYPE] != 'R' || b->data[DATA_TYPE] != 'R' || a->flags != b->flags ||
		a->address.bytes[0] != b->address.bytes[0])
		return -ENOENT;
	const struct eb_request *first = a->data[DATA_BEGIN] <= b->data[DATA_BEGIN] ? a : b;
	const struct eb_request *second = first == a ? b : a;
	uint32_t begin = first->data[DATA_BEGIN], end = begin + first->data[DATA_COUNT];
	uint32_t next = second->data[DATA_BEGIN], last = next + second->data[DATA_COUNT];
	if (next > end + hole || (last > end ? last : end) - begin > 200)
		return -ENOENT;
	merged->address = a->address;
	merged->flags = a->flags;
	merged->data[DATA_TYPE] = 'R';
	merged->data[DATA_BEGIN] = (uint8_t)begin;
	merged->data[DATA_COUNT] = (uint8_t)((last > end ? last : end) - begin);
	measure(merged);
	return 0;
}

static int abi_cut(const void *state, const struct eb_request *merged,
	const struct eb_request *part, const uint8_t *content, size_t size, uint8_t *out)
{
	int skip = part->data[DATA_BEGIN] - merged->data[DATA_BEGIN];
	uint32_t count = part->data[DATA_COUNT];
	if (skip < 0 || (size_t)skip + count > size)
		return -EINVAL;
	memcpy(out, content + skip, count);
	return (int)count;
}

const struct eb_plugin eb_plugin = {
	.abi = EB_PLUGIN_ABI,
	.size = sizeof(struct eb_plugin),
	.name = "abi",
	.summary = "Uses all of the plugin interface, for tests",
	.transports = EB_SERIAL | EB_TCP,
	.state_size = sizeof(struct abi),
	.bus_keys = bus_keys,
	.device_keys = device_keys,
	.request_keys = request_keys,
	.open = abi_open,
	.reset = abi_reset,
	.address = abi_address,
	.request = abi_request,
	.encode = abi_encode,
	.receive = abi_receive,
	.merge = abi_merge,
	.cut = abi_cut,
};
