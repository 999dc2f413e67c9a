/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin: its keys, the bus, and frames to send. */
#include "dlt645.h"

#include <string.h>

#define WAKE_USUAL 4
/* A meter takes that long to turn around; so do we. */
#define GAP_US 20000

static const struct eb_key bus_keys[] = {
	{ .name = "wake_up",
		.types = EB_INTEGER,
		.min = 0,
		.max = WAKE_MAX,
		.help = "bytes FE in front of a request, that wake the meter; default 4" },
	{ .name = NULL },
};

static const struct eb_key device_keys[] = {
	{ .name = "address",
		.types = EB_TEXT,
		.flags = EB_REQUIRED,
		.help = "the meter's 12 digits; \"AAAAAAAAAAAA\" is whichever meter is alone on the "
			"line" },
	{ .name = NULL },
};

static const struct eb_key request_keys[] = {
	{ .name = "read",
		.types = EB_TEXT | EB_INTEGER,
		.min = 0,
		.max = UINT32_MAX,
		.help = "data id to read, DI3 to DI0: \"00010000\" or 0x00010000" },
	{ .name = "parameters",
		.types = EB_BYTES,
		.help = "what a read sends behind the data id, as it is on the wire: for load records "
			"how many, and from when" },
	{ .name = "write",
		.types = EB_TEXT | EB_INTEGER,
		.min = 0,
		.max = UINT32_MAX,
		.help = "data id to write, DI3 to DI0" },
	{ .name = "bytes",
		.types = EB_BYTES,
		.help = "what to write, in the order of the wire, without the 33H; at most 38 bytes" },
	{ .name = "password",
		.types = EB_BYTES,
		.help = "4 bytes that a write needs, in the order of the wire: level PA, P0, P1, P2" },
	{ .name = "operator",
		.types = EB_BYTES,
		.help = "4 bytes that say who writes, C0 to C3; default 00000000" },
	{ .name = "read_address",
		.types = EB_BOOLEAN,
		.help = "true: asks the meter for its address" },
	{ .name = "set_clocks",
		.types = EB_TEXT,
		.help = "YYMMDDhhmmss: sets the clocks of all meters on the line; nobody answers" },
	{ .name = NULL },
};

const struct eb_value *dlt645_setting(const struct eb_settings *settings, const char *key)
{
	for (size_t i = 0; i < settings->count; i++) {
		if (strcmp(settings->items[i].key, key) == 0)
			return &settings->items[i].value;
	}
	return NULL;
}

static int dlt645_open(void *state, const struct eb_settings *options, const struct eb_line *line,
	struct eb_timing *timing, struct eb_error *error)
{
	struct dlt645 *bus = state;
	const struct eb_value *wake_up = dlt645_setting(options, "wake_up");
	bus->wake_up = wake_up ? (uint32_t)wake_up->integer : WAKE_USUAL;
	timing->gap_us = GAP_US;
	timing->max_in_flight = 1;
	return 0;
}

uint8_t dlt645_sum(const uint8_t *bytes, size_t size)
{
	uint8_t sum = 0;
	for (size_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return sum;
}

uint32_t dlt645_frame(const struct dlt645 *bus, const struct eb_address *address, uint8_t control,
	const uint8_t *data, uint32_t size, uint8_t *frame)
{
	uint8_t *at = frame + bus->wake_up;
	memset(frame, WAKE, bus->wake_up);
	at[0] = at[7] = 0x68;
	memcpy(at + 1, address->bytes, ADDRESS_SIZE);
	at[8] = control;
	at[9] = (uint8_t)size;
	for (uint32_t i = 0; i < size; i++)
		at[HEAD_SIZE + i] = (uint8_t)(data[i] + 0x33);
	at[HEAD_SIZE + size] = dlt645_sum(at, HEAD_SIZE + size);
	at[HEAD_SIZE + size + 1] = 0x16;
	return bus->wake_up + HEAD_SIZE + size + TAIL_SIZE;
}

int dlt645_encode(void *state, const struct eb_outstanding *outstanding, uint8_t *frame)
{
	const struct eb_request *request = outstanding->request;
	struct eb_address address = request->address;
	if (request->data[0] == SET_CLOCKS)
		memset(address.bytes, ALL, ADDRESS_SIZE);
	return (int)dlt645_frame(state, &address, request->data[0], request->data + 1,
		request->data_size - 1, frame);
}

const struct eb_plugin eb_plugin = {
	.abi = EB_PLUGIN_ABI,
	.size = sizeof(struct eb_plugin),
	.name = "dlt645",
	.summary = "DL/T 645-2007 meters",
	.transports = EB_SERIAL | EB_TCP,
	.state_size = sizeof(struct dlt645),
	.bus_keys = bus_keys,
	.device_keys = device_keys,
	.request_keys = request_keys,
	.open = dlt645_open,
	.address = dlt645_address,
	.request = dlt645_request,
	.encode = dlt645_encode,
	.receive = dlt645_receive,
	.describe = dlt645_describe,
};
