/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin to copy.  It speaks a small protocol that no device has, one line a message:
 *
 *	we send		7?temp<LF>		unit 7, what is temp?
 *	it answers	7=temp:21.5<LF>		the contents are "21.5"
 *	or		7!temp:3<LF>		refused, its reason is 3
 *	we send		7<temp:18<LF>		unit 7, set temp to 18
 *	it answers	7=temp:18<LF>
 *
 * To make a plugin of your own: copy this file to plugins/NAME.c, put NAME into .name below, write
 * the wire format above as your device's manual has it, and add three lines to Makefile.am, as
 * plugins/template.la has them but with plugin_LTLIBRARIES.  A plugin outside of this tree is
 * compiled with
 *
 *	cc -shared -fPIC -o NAME.so NAME.c $(pkg-config --cflags enos-bridge-plugin)
 *
 * and copied into the directory of plugins, as root.  include/enos-bridge/plugin.h says what each
 * function must do.  In short:
 *
 * - A plugin does no input or output, asks for no time, and keeps nothing in variables of its own:
 *   all that it remembers between calls is in `state`, one for each bus.
 * - It believes nothing that it receives.  Sizes are checked before bytes are read.
 * - It never sends again, never waits, never logs: the bridge does.
 */
#include <enos-bridge/plugin.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define POINT_MAX 16
#define VALUE_MAX 32
#define LINE_MAX_SIZE 64

/*
 * What a configuration may say on a bus, a device and a request of this plugin.  The bridge checks
 * types, ranges and choices by these tables before it calls us, and prints `help` where a required
 * key is missing.  The keys name, period, priority, timeout and retry_safe of a request are the
 * bridge's own.
 */
static const struct eb_key bus_keys[] = {
	{ .name = "gap",
		.types = EB_INTEGER,
		.min = 1,
		.max = 1000,
		.help = "ms of silence before a request; default 20" },
	{ .name = NULL },
};

static const struct eb_key device_keys[] = {
	{ .name = "unit",
		.types = EB_INTEGER,
		.flags = EB_REQUIRED,
		.min = 1,
		.max = 99,
		.help = "number of the device, 1 to 99" },
	{ .name = NULL },
};

static const struct eb_key request_keys[] = {
	{ .name = "point",
		.types = EB_TEXT,
		.flags = EB_REQUIRED,
		.help = "what to read or write, 1 to 16 letters" },
	{ .name = "value",
		.types = EB_TEXT,
		.help = "what to write; without it the point is read" },
	{ .name = NULL },
};

/* The memory of one bus.  It comes zeroed; this protocol needs no more of it than an option. */
struct template
{
	uint32_t gap_us;
};

/*
 * What a request is to this plugin.  It is kept in request->data, and is copied and compared as
 * bytes: so it has no pointers, and unused bytes are zero.
 */
struct wish {
	char point[POINT_MAX + 1];
	char value[VALUE_MAX + 1]; /* "": read */
};

static const struct eb_value *find(const struct eb_settings *settings, const char *key)
{
	for (size_t i = 0; i < settings->count; i++) {
		if (strcmp(settings->items[i].key, key) == 0)
			return &settings->items[i].value;
	}
	return NULL;
}

/* The bus is set up: keep its options, and say what the protocol asks of the line. */
static int template_open(void *state, const struct eb_settings *options, const struct eb_line *line,
	struct eb_timing *timing, struct eb_error *error)
{
	struct template *bus = state;
	const struct eb_value *gap = find(options, "gap");
	bus->gap_us = gap ? (uint32_t)gap->integer * 1000 : 20000;
	timing->gap_us = bus->gap_us;
	timing->max_in_flight = 1;
	return 0;
}

/* The device's settings as the address that stands in its frames. */
static int template_address(const void *state, const struct eb_settings *device,
	struct eb_address *address, struct eb_error *error)
{
	address->size = 1;
	address->bytes[0] = (uint8_t)find(device, "unit")->integer;
	return 0;
}

/*
 * A request out of its settings.  All that can be wrong with it is said here, once, when the
 * configuration is loaded or a script asks for it, and not when it is due.
 */
static int template_request(const void *state, const struct eb_settings *settings,
	struct eb_request *request, struct eb_error *error)
{
	const struct eb_value *point = find(settings, "point");
	const struct eb_value *value = find(settings, "value");
	struct wish wish = { .point = "" };
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	if (!point->size || point->size > POINT_MAX ||
		strspn(point->data, letters) != point->size) {
		snprintf(error->text, sizeof(error->text),
			"point is \"%.40s\": it must be 1 to %d letters", point->data, POINT_MAX);
		return -EINVAL;
	}
	if (value && (!value->size || value->size > VALUE_MAX || strchr(value->data, '\n'))) {
		snprintf(error->text, sizeof(error->text),
			"value must be one line of 1 to %d characters", VALUE_MAX);
		return -EINVAL;
	}
	memcpy(wish.point, point->data, point->size);
	if (value)
		memcpy(wish.value, value->data, value->size);
	memcpy(request->data, &wish, sizeof(wish));
	request->data_size = sizeof(wish);
	/* A request that changes the device is never sent a second time on its own. */
	request->flags = value ? EB_WRITE : 0;
	/* The bridge reckons with these how long the line is busy; where it varies, the most. */
	request->answer_size = LINE_MAX_SIZE;
	request->content_size = VALUE_MAX;
	return 0;
}

/* The frame of a request, as it goes onto the wire; returns its size. */
static int template_encode(void *state, const struct eb_outstanding *outstanding, uint8_t *frame)
{
	const struct eb_request *request = outstanding->request;
	struct wish wish;
	memcpy(&wish, request->data, sizeof(wish));
	if (wish.value[0])
		return snprintf((char *)frame, EB_FRAME_MAX, "%u<%s:%s\n",
			request->address.bytes[0], wish.point, wish.value);
	return snprintf(
		(char *)frame, EB_FRAME_MAX, "%u?%s\n", request->address.bytes[0], wish.point);
}

/* Reads digits as a number below 1000; returns how many digits there were. */
static size_t read_number(const uint8_t *text, size_t size, unsigned *number)
{
	size_t digits = 0;
	*number = 0;
	while (digits < size && digits < 3 && text[digits] >= '0' && text[digits] <= '9')
		*number = *number * 10 + (text[digits++] - '0');
	return digits;
}

/* One whole line: the answer, a refusal, or something that is not for us. */
static void judge(const struct eb_input *input, size_t size, struct eb_verdict *verdict)
{
	const uint8_t *line = input->bytes, *end = line + size - 1;
	unsigned unit, code;
	struct wish wish;
	const struct eb_request *asked = input->count ? input->outstanding[0].request : NULL;
	/* Until it proves to be the answer, it is somebody else's: dropped, counted, waited on. */
	verdict->kind = EB_NOISE;
	verdict->error = EB_FOREIGN;
	verdict->consumed = (uint32_t)size;
	const uint8_t *kind = line + read_number(line, size, &unit);
	if (!asked || unit != asked->address.bytes[0] || (*kind != '=' && *kind != '!'))
		return;
	memcpy(&wish, asked->data, sizeof(wish));
	size_t length = strlen(wish.point);
	const uint8_t *name = kind + 1;
	if ((size_t)(end - name) <= length || memcmp(name, wish.point, length) != 0 ||
		name[length] != ':')
		return;
	const uint8_t *value = name + length + 1;
	if (*kind == '!') {
		read_number(value, (size_t)(end - value), &code);
		verdict->kind = EB_ERROR;
		verdict->error = EB_EXCEPTION;
		verdict->code = code;
		return;
	}
	if (end - value > VALUE_MAX) {
		verdict->kind = EB_ERROR;
		verdict->error = EB_SHORT;
		return;
	}
	verdict->kind = EB_ANSWER;
	verdict->error = EB_NONE;
	verdict->content = value;
	verdict->content_size = (uint32_t)(end - value);
}

/*
 * The verdict on what was received so far: it may be nothing at all, half a line, or several.
 * Called again with what we did not consume, until we say EB_MORE.
 */
static void template_receive(void *state, const struct eb_input *input, struct eb_verdict *verdict)
{
	const uint8_t *end = input->size ? memchr(input->bytes, '\n', input->size) : NULL;
	if (end) {
		judge(input, (size_t)(end - input->bytes) + 1, verdict);
		return;
	}
	/* A line that never ends, or ends by silence, is no line.  Silence only counts with bytes. */
	if (input->size > LINE_MAX_SIZE || (input->size && input->silent_us)) {
		verdict->kind = input->count ? EB_ERROR : EB_NOISE;
		verdict->error = EB_SHORT;
		verdict->consumed = (uint32_t)input->size;
		return;
	}
	verdict->kind = EB_MORE;
	verdict->gap_us = input->size ? 100000 : 0;
}

/* What stands in logs for a request. */
static void template_describe(
	const void *state, const struct eb_request *request, char *text, size_t room)
{
	struct wish wish;
	memcpy(&wish, request->data, sizeof(wish));
	snprintf(text, room, "unit %u: %s %s", request->address.bytes[0],
		wish.value[0] ? "write" : "read", wish.point);
}

/* The one name that the plugin exports.  Functions that are left out are optional. */
const struct eb_plugin eb_plugin = {
	.abi = EB_PLUGIN_ABI,
	.size = sizeof(struct eb_plugin),
	.name = "template",
	.summary = "A made-up line protocol, to copy",
	.transports = EB_SERIAL | EB_TCP,
	.state_size = sizeof(struct template),
	.bus_keys = bus_keys,
	.device_keys = device_keys,
	.request_keys = request_keys,
	.open = template_open,
	.address = template_address,
	.request = template_request,
	.encode = template_encode,
	.receive = template_receive,
	.describe = template_describe,
};
