/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin: what may be said to it. */
#include "frame.h"

#include <string.h>

static const struct eb_key bus_keys[] = {
	{ .name = "start",
		.types = EB_BYTES,
		.help = "what every frame begins with, 1 to 8 bytes; default nothing" },
	{ .name = "delimiter",
		.types = EB_BYTES,
		.help = "a frame ends with these 1 to 8 bytes: \"0d0a\" is a line" },
	{ .name = "length",
		.types = EB_INTEGER,
		.min = 1,
		.max = EB_FRAME_MAX,
		.help = "every frame has so many bytes" },
	{ .name = "length_field",
		.types = EB_INTEGER,
		.min = 0,
		.max = EB_FRAME_MAX - 1,
		.help = "where in a frame its length stands, in bytes from its begin" },
	{ .name = "length_size",
		.types = EB_INTEGER,
		.min = 1,
		.max = 4,
		.help = "bytes of the length: 1, 2 or 4; default 1" },
	{ .name = "length_order",
		.types = EB_TEXT,
		.choices = "big|little",
		.help = "which byte of the length is first; default big" },
	{ .name = "length_adjust",
		.types = EB_INTEGER,
		.min = -4096,
		.max = 4096,
		.help = "what to add to the length to get the whole frame's; default: it counts what "
			"stands behind it" },
	{ .name = "silence_ms",
		.types = EB_INTEGER,
		.min = 1,
		.max = 60000,
		.help = "ms of silence that end a frame; beside another way to find its end, that cut "
			"one off: default 100, over TCP 500" },
	{ .name = "max_length",
		.types = EB_INTEGER,
		.min = 16,
		.max = EB_FRAME_MAX,
		.help = "most bytes of a frame; default 1024, or its length" },
	{ .name = "checksum",
		.types = EB_TEXT,
		.choices = SUM_NAMES,
		.help = "the checksum of every frame; default none" },
	{ .name = "checksum_from",
		.types = EB_INTEGER,
		.min = 0,
		.max = EB_FRAME_MAX - 1,
		.help = "first byte that the checksum covers; default 0, with nmea 1" },
	{ .name = "checksum_end",
		.types = EB_INTEGER,
		.min = 0,
		.max = EB_FRAME_MAX - 1,
		.help = "bytes of the frame behind the checksum; default the delimiter's; 0 with a "
			"delimiter: the checksum follows it" },
	{ .name = "strip",
		.types = EB_BOOLEAN,
		.help = "readings come without start, checksum and delimiter; default true" },
	{ .name = "match_offset",
		.types = EB_INTEGER,
		.min = 0,
		.max = EB_FRAME_MAX - 1,
		.help = "where in a frame stands what tells the devices apart; default 0" },
	{ .name = "match_size",
		.types = EB_INTEGER,
		.min = 1,
		.max = EB_ADDRESS_MAX,
		.help = "how many bytes tell the devices apart; default: the line has one device" },
	{ .name = NULL },
};

static const struct eb_key device_keys[] = {
	{ .name = "match",
		.types = EB_BYTES,
		.help = "what stands at match_offset in the device's frames, match_size bytes" },
	{ .name = "match_text", .types = EB_TEXT, .help = "the same as a text" },
	{ .name = NULL },
};

static const struct eb_key request_keys[] = {
	{ .name = "send",
		.types = EB_BYTES,
		.help = "the bytes to send; without send and send_text the request listens" },
	{ .name = "send_text", .types = EB_TEXT, .help = "the same as a text" },
	{ .name = "terminator",
		.types = EB_BYTES,
		.help = "bytes to send behind those, 1 to 8; default none" },
	{ .name = "expect",
		.types = EB_BYTES,
		.help = "how the frame that is waited for begins, start included, at most 31 bytes; "
			"default any frame" },
	{ .name = "expect_text", .types = EB_TEXT, .help = "the same as a text" },
	{ .name = "answer",
		.types = EB_BOOLEAN,
		.help = "false: the device does not answer this; default true" },
	{ .name = "write",
		.types = EB_BOOLEAN,
		.help = "true: it changes the device and is never sent again on its own; default "
			"false" },
	{ .name = NULL },
};

/* The link is new: the first bytes may be the end of a frame. */
static void frame_reset(void *state)
{
	struct frame *bus = state;
	bus->in_step = bus->skipping = false;
}

const struct eb_value *frame_setting(const struct eb_settings *settings, const char *key)
{
	for (size_t i = 0; i < settings->count; i++) {
		if (strcmp(settings->items[i].key, key) == 0)
			return &settings->items[i].value;
	}
	return NULL;
}

const struct eb_plugin eb_plugin = {
	.abi = EB_PLUGIN_ABI,
	.size = sizeof(struct eb_plugin),
	.name = "frame",
	.summary = "Devices that talk or answer in frames: lines of text, fixed lengths, pauses",
	.transports = EB_SERIAL | EB_TCP,
	.state_size = sizeof(struct frame),
	.bus_keys = bus_keys,
	.device_keys = device_keys,
	.request_keys = request_keys,
	.open = frame_open,
	.reset = frame_reset,
	.address = frame_address,
	.request = frame_request,
	.encode = frame_encode,
	.receive = frame_receive,
	.match = frame_match,
	.describe = frame_describe,
};
