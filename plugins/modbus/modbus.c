/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin: its keys, the bus, the device's address, and the way to the framing. */
#include "modbus.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Above this rate the standard has one silence for all: "Serial Line", 2.5.1.1. */
#define FAST_BAUD 19200u
#define FAST_GAP_US 1750u
/*
 * The silence that ends a cut frame must be longer than what adapters (16 ms in common ones),
 * networks and busy machines put into the middle of a whole one.
 */
#define CUT_SERIAL_US 25000u
#define CUT_TCP_US 250000u
#define CUT_ASCII_US 1000000u /* "Serial Line", 2.5.2.1 */

static const struct eb_key bus_keys[] = {
	{ .name = "framing",
		.types = EB_TEXT,
		.choices = "rtu|ascii|tcp",
		.help = "how frames are marked off; default rtu on a serial link, tcp on TCP" },
	{ .name = "listen",
		.types = EB_BOOLEAN,
		.help = "only listen to another master, never send; default false" },
	{ .name = NULL },
};

static const struct eb_key device_keys[] = {
	{ .name = "unit",
		.types = EB_INTEGER,
		.flags = EB_REQUIRED,
		.min = 0,
		.max = 255,
		.help = "unit id: 1 to 247 on a line, 0 to write to all on it; 0 to 255 over TCP" },
	{ .name = NULL },
};

static const struct eb_key request_keys[] = {
	{ .name = "read",
		.types = EB_TEXT,
		.choices = "holding_registers|input_registers|coils|discrete_inputs",
		.help = "what to read" },
	{ .name = "write",
		.types = EB_TEXT,
		.choices = "holding_registers|coils",
		.help = "what to write; with read as well, both in one (function 23)" },
	{ .name = "address",
		.types = EB_INTEGER,
		.flags = EB_REQUIRED,
		.min = 0,
		.max = 65535,
		.help = "the first one's address as it is on the wire, counted from 0" },
	{ .name = "count",
		.types = EB_INTEGER,
		.min = 1,
		.max = 65536,
		.help = "how many to read; default 1, at most 125 registers or 2000 bits" },
	{ .name = "values",
		.types = EB_LIST,
		.min = -32768,
		.max = 65535,
		.help = "what to write, one value for each register or coil" },
	{ .name = "bytes",
		.types = EB_BYTES,
		.help = "what to write, as it is on the wire: registers big-endian, coils packed" },
	{ .name = "function",
		.types = EB_INTEGER,
		.min = 5,
		.max = 16,
		.help = "15 or 16 to write even one value with that; default 5 or 6 for one" },
	{ .name = "and_mask",
		.types = EB_INTEGER,
		.min = 0,
		.max = 65535,
		.help = "mask write: which bits of the register stay" },
	{ .name = "or_mask",
		.types = EB_INTEGER,
		.min = 0,
		.max = 65535,
		.help = "mask write: what the others become" },
	{ .name = "read_address",
		.types = EB_INTEGER,
		.min = 0,
		.max = 65535,
		.help = "read and write in one: the first register to read" },
	{ .name = NULL },
};

static const struct eb_value *find(const struct eb_settings *settings, const char *key)
{
	for (size_t i = 0; i < settings->count; i++) {
		if (strcmp(settings->items[i].key, key) == 0)
			return &settings->items[i].value;
	}
	return NULL;
}

static enum framing choose_framing(const struct eb_settings *options, const struct eb_line *line)
{
	const struct eb_value *framing = find(options, "framing");
	if (!framing)
		return line->transport == EB_TCP ? FRAMING_TCP : FRAMING_RTU;
	if (strcmp(framing->data, "ascii") == 0)
		return FRAMING_ASCII;
	return strcmp(framing->data, "tcp") == 0 ? FRAMING_TCP : FRAMING_RTU;
}

/* 3.5 characters, rounded up. */
static uint32_t silence_between(const struct eb_line *line)
{
	if (line->transport != EB_SERIAL || !line->baud)
		return 0;
	if (line->baud > FAST_BAUD)
		return FAST_GAP_US;
	uint64_t half_bits = UINT64_C(7) * line->char_bits;
	return (uint32_t)((half_bits * 1000000 + 2 * line->baud - 1) / (UINT64_C(2) * line->baud));
}

static int modbus_open(void *state, const struct eb_settings *options, const struct eb_line *line,
	struct eb_timing *timing, struct eb_error *error)
{
	struct modbus *bus = state;
	const struct eb_value *listen = find(options, "listen");
	bus->framing = choose_framing(options, line);
	bus->listen = listen && listen->integer;
	if (bus->framing == FRAMING_TCP && line->transport == EB_SERIAL) {
		snprintf(error->text, sizeof(error->text),
			"framing \"tcp\" cannot run on a serial link: it must be rtu or ascii");
		return -EINVAL;
	}
	if (bus->framing == FRAMING_TCP && bus->listen) {
		snprintf(error->text, sizeof(error->text),
			"listen = true needs framing rtu or ascii: a TCP connection has no other master");
		return -EINVAL;
	}
	timing->max_in_flight = bus->framing == FRAMING_TCP ? 16 : 1;
	if (bus->framing == FRAMING_RTU) {
		timing->gap_us = silence_between(line);
		uint32_t cut = line->transport == EB_SERIAL ? CUT_SERIAL_US : CUT_TCP_US;
		bus->silence_us = timing->gap_us > cut ? timing->gap_us : cut;
	} else if (bus->framing == FRAMING_ASCII) {
		bus->silence_us = CUT_ASCII_US;
	}
	return 0;
}

static void modbus_reset(void *state)
{
	struct modbus *bus = state;
	bus->heard.waiting = false;
}

static int modbus_address(const void *state, const struct eb_settings *device,
	struct eb_address *address, struct eb_error *error)
{
	const struct modbus *bus = state;
	int64_t unit = find(device, "unit")->integer;
	if (bus->framing != FRAMING_TCP && unit > 247) {
		snprintf(error->text, sizeof(error->text),
			"unit is %" PRId64
			": on a line it must be 1 to 247, or 0 to write to all on it",
			unit);
		return -EINVAL;
	}
	*address = (struct eb_address){ .size = 1, .bytes = { (uint8_t)unit } };
	return 0;
}

static int modbus_encode(void *state, const struct eb_outstanding *outstanding, uint8_t *frame)
{
	const struct modbus *bus = state;
	switch (bus->framing) {
	case FRAMING_RTU:
		return rtu_encode(outstanding->request, frame);
	case FRAMING_ASCII:
		return ascii_encode(outstanding->request, frame);
	case FRAMING_TCP:
		return tcp_encode(outstanding->request, outstanding->tag, frame);
	}
	return -EINVAL;
}

static void modbus_receive(void *state, const struct eb_input *input, struct eb_verdict *verdict)
{
	struct modbus *bus = state;
	switch (bus->framing) {
	case FRAMING_RTU:
		rtu_receive(bus, input, verdict);
		break;
	case FRAMING_ASCII:
		ascii_receive(bus, input, verdict);
		break;
	case FRAMING_TCP:
		tcp_receive(input, verdict);
		break;
	}
}

const struct eb_plugin eb_plugin = {
	.abi = EB_PLUGIN_ABI,
	.size = sizeof(struct eb_plugin),
	.name = "modbus",
	.summary = "Modbus RTU, ASCII and TCP",
	.transports = EB_SERIAL | EB_TCP,
	.state_size = sizeof(struct modbus),
	.bus_keys = bus_keys,
	.device_keys = device_keys,
	.request_keys = request_keys,
	.open = modbus_open,
	.reset = modbus_reset,
	.address = modbus_address,
	.request = modbus_request,
	.encode = modbus_encode,
	.receive = modbus_receive,
	.match = modbus_match,
	.merge = modbus_merge,
	.cut = modbus_cut,
	.describe = modbus_describe,
	.target = modbus_target,
	.read_back = modbus_read_back,
	.numbers = modbus_numbers,
};
