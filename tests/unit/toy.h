/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin of few words for tests of what stands above plugins: reads or writes one numbered cell. */
#ifndef EB_TESTS_TOY_H
#define EB_TESTS_TOY_H

#include <errno.h>
#include <enos-bridge/plugin.h>
#include <stdio.h>
#include <string.h>

static const struct eb_key toy_device_keys[] = {
	{ .name = "unit", .types = EB_INTEGER, .min = 1, .max = 9, .help = "number" },
	{ .name = NULL },
};

static const struct eb_key toy_request_keys[] = {
	{ .name = "cell", .types = EB_INTEGER, .flags = EB_REQUIRED, .max = 99, .help = "number" },
	{ .name = "value", .types = EB_INTEGER, .max = 255, .help = "written where it is given" },
	{ .name = "bytes", .types = EB_BYTES, .help = "written where they are given" },
	{ .name = NULL },
};

static const struct eb_value *toy_find(const struct eb_settings *settings, const char *key)
{
	for (size_t i = 0; i < settings->count; i++) {
		if (strcmp(settings->items[i].key, key) == 0)
			return &settings->items[i].value;
	}
	return NULL;
}

static int toy_open(void *state, const struct eb_settings *options, const struct eb_line *line,
	struct eb_timing *timing, struct eb_error *error)
{
	return 0;
}

static int toy_address(const void *state, const struct eb_settings *device,
	struct eb_address *address, struct eb_error *error)
{
	const struct eb_value *unit = toy_find(device, "unit");
	address->size = 1;
	address->bytes[0] = unit ? (uint8_t)unit->integer : 1;
	return 0;
}

static int toy_request(const void *state, const struct eb_settings *settings,
	struct eb_request *request, struct eb_error *error)
{
	const struct eb_value *value = toy_find(settings, "value");
	const struct eb_value *bytes = toy_find(settings, "bytes");
	if (value && bytes) {
		snprintf(error->text, sizeof(error->text), "value and bytes: give one of them");
		return -EINVAL;
	}
	request->data[0] = (uint8_t)toy_find(settings, "cell")->integer;
	request->data_size = 1;
	if (value)
		request->data[request->data_size++] = (uint8_t)value->integer;
	if (bytes && bytes->size < EB_REQUEST_MAX) {
		memcpy(request->data + 1, bytes->data, bytes->size);
		request->data_size += (uint32_t)bytes->size;
	}
	request->flags = value || bytes ? EB_WRITE : 0;
	request->frame_size = request->data_size + 1;
	request->answer_size = 2;
	return 0;
}

static int toy_encode(void *state, const struct eb_outstanding *outstanding, uint8_t *frame)
{
	frame[0] = outstanding->request->address.bytes[0];
	memcpy(frame + 1, outstanding->request->data, outstanding->request->data_size);
	return (int)outstanding->request->data_size + 1;
}

static void toy_receive(void *state, const struct eb_input *input, struct eb_verdict *verdict)
{
	verdict->kind = EB_NOISE;
	verdict->consumed = (uint32_t)input->size;
}

/* Contents are numbers, a byte each. */
static int toy_target(const void *state, const struct eb_request *write, struct eb_target *target)
{
	target->kind = "cell";
	target->first = write->data[0];
	target->count = target->number_count = write->data_size - 1;
	for (uint32_t i = 0; i < target->count; i++)
		target->numbers[i] = write->data[1 + i];
	return 0;
}

static int toy_read_back(const void *state, const struct eb_request *write, struct eb_request *read)
{
	read->data[0] = write->data[0];
	read->data_size = 1;
	return 0;
}

static int toy_numbers(const void *state, const struct eb_request *read, const uint8_t *content,
	size_t size, int64_t *numbers)
{
	for (size_t i = 0; i < size; i++)
		numbers[i] = content[i];
	return (int)size;
}

static const struct eb_plugin toy = {
	.abi = EB_PLUGIN_ABI,
	.size = sizeof(struct eb_plugin),
	.name = "toy",
	.summary = "a plugin of few words",
	.transports = EB_SERIAL | EB_TCP,
	.device_keys = toy_device_keys,
	.request_keys = toy_request_keys,
	.open = toy_open,
	.address = toy_address,
	.request = toy_request,
	.encode = toy_encode,
	.receive = toy_receive,
	.target = toy_target,
	.read_back = toy_read_back,
	.numbers = toy_numbers,
};

#endif
