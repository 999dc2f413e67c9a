/* SPDX-License-Identifier: Apache-2.0 */
/* Meters and requests out of their settings. */
#include "dlt645.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SECRET_SIZE 4u
#define WRITE_HEAD (ID_SIZE + 2 * SECRET_SIZE)
#define FRAME_MOST (WAKE_MAX + HEAD_SIZE + DATA_MAX + TAIL_SIZE)

#define REFUSE(error, code, ...)                                             \
	({                                                                   \
		snprintf((error)->text, sizeof((error)->text), __VA_ARGS__); \
		-(code);                                                     \
	})

/* Two decimal digits as a byte; -1 where they are none. */
static int digits(const char *text)
{
	if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
		return -1;
	return (text[0] - '0') << 4 | (text[1] - '0');
}

int dlt645_address(const void *state, const struct eb_settings *device, struct eb_address *address,
	struct eb_error *error)
{
	const struct eb_value *text = dlt645_setting(device, "address");
	bool fine = text->size == 2 * ADDRESS_SIZE, any = true;
	address->size = ADDRESS_SIZE;
	for (uint32_t i = 0; i < ADDRESS_SIZE && fine; i++) {
		const char *pair = text->data + 2 * i;
		int byte = digits(pair);
		any = any && strncasecmp(pair, "AA", 2) == 0;
		fine = any || byte >= 0;
		address->bytes[ADDRESS_SIZE - 1 - i] = (uint8_t)(any ? ANY : byte);
	}
	if (!fine)
		return REFUSE(error, EINVAL,
			"address is \"%.40s\": it must be 12 digits as on the meter, where pairs of AA "
			"at the front stand for any",
			text->data);
	if (strcmp(text->data, "999999999999") == 0)
		return REFUSE(error, EINVAL,
			"address 999999999999 is all meters on the line, of which none answers: any "
			"meter's request set_clocks goes there by itself");
	return 0;
}

/* The data id, its lowest byte first. */
static int put_id(
	const char *key, const struct eb_value *value, uint8_t *to, struct eb_error *error)
{
	int64_t id = value->integer;
	if (value->type == EB_TEXT) {
		if (value->size != 8 ||
			strspn(value->data, "0123456789abcdefABCDEF") != value->size)
			return REFUSE(error, EINVAL,
				"%s is \"%.40s\": it must be the 8 hexadecimal digits of a data id, DI3 to "
				"DI0",
				key, value->data);
		id = (int64_t)strtoul(value->data, NULL, 16);
	}
	for (uint32_t i = 0; i < ID_SIZE; i++)
		to[i] = (uint8_t)(id >> 8 * i);
	return 0;
}

/* Puts exactly four bytes; zeros where there are none and none are needed. */
static int put_secret(const struct eb_settings *settings, const char *key, bool required,
	uint8_t *to, struct eb_error *error)
{
	const struct eb_value *value = dlt645_setting(settings, key);
	if (!value && !required)
		return 0;
	if (!value || value->size != SECRET_SIZE)
		return REFUSE(error, EINVAL, "%s %s: a write needs its 4 bytes", key,
			value ? "has another length" : "is missing");
	memcpy(to, value->data, SECRET_SIZE);
	return 0;
}

/* Each of these puts the data behind the control code and returns its size. */

static int make_read(const struct eb_settings *settings, uint8_t *data, struct eb_error *error)
{
	const struct eb_value *parameters = dlt645_setting(settings, "parameters");
	size_t size = parameters ? parameters->size : 0;
	if (size > DATA_MAX - ID_SIZE)
		return REFUSE(error, E2BIG, "parameters has %zu bytes: at most %u fit into a frame",
			size, DATA_MAX - ID_SIZE);
	if (size)
		memcpy(data + ID_SIZE, parameters->data, size);
	int result = put_id("read", dlt645_setting(settings, "read"), data, error);
	return result < 0 ? result : (int)(ID_SIZE + size);
}

static int make_write(const struct eb_settings *settings, uint8_t *data, struct eb_error *error)
{
	const struct eb_value *bytes = dlt645_setting(settings, "bytes");
	if (!bytes || !bytes->size)
		return REFUSE(error, EINVAL, "write needs bytes: what to write");
	if (bytes->size > WRITE_MAX - WRITE_HEAD)
		return REFUSE(error, E2BIG, "bytes has %zu bytes: at most %u fit into a write",
			bytes->size, WRITE_MAX - WRITE_HEAD);
	int result = put_id("write", dlt645_setting(settings, "write"), data, error);
	if (result == 0)
		result = put_secret(settings, "password", true, data + ID_SIZE, error);
	if (result == 0)
		result = put_secret(
			settings, "operator", false, data + ID_SIZE + SECRET_SIZE, error);
	memcpy(data + WRITE_HEAD, bytes->data, bytes->size);
	return result < 0 ? result : (int)(WRITE_HEAD + bytes->size);
}

static int make_read_address(
	const struct eb_settings *settings, uint8_t *data, struct eb_error *error)
{
	if (!dlt645_setting(settings, "read_address")->integer)
		return REFUSE(error, EINVAL, "read_address = false asks for nothing: leave it out");
	return 0;
}

static int make_set_clocks(
	const struct eb_settings *settings, uint8_t *data, struct eb_error *error)
{
	/* Year, month, day, hour, minute, second. */
	static const uint8_t least[] = { 0, 1, 1, 0, 0, 0 };
	static const uint8_t most[] = { 0x99, 0x12, 0x31, 0x23, 0x59, 0x59 };
	const struct eb_value *time = dlt645_setting(settings, "set_clocks");
	bool fine = time->size == 12;
	for (uint32_t i = 0; i < 6 && fine; i++) {
		int byte = digits(time->data + 2 * i);
		fine = byte >= least[i] && byte <= most[i];
		data[5 - i] = (uint8_t)byte;
	}
	if (!fine)
		return REFUSE(error, EINVAL,
			"set_clocks is \"%.40s\": it must be 12 digits, YYMMDDhhmmss", time->data);
	return 6;
}

/* The kinds of requests, and which other keys each may have. */
static const struct kind {
	const char *key, *more;
	uint8_t control;
	uint32_t flags;
	int (*make)(const struct eb_settings *settings, uint8_t *data, struct eb_error *error);
} kinds[] = {
	{ "read", "parameters", READ, 0, make_read },
	{ "write", "bytes password operator", WRITE, EB_WRITE, make_write },
	{ "read_address", "", READ_ADDRESS, 0, make_read_address },
	{ "set_clocks", "", SET_CLOCKS, EB_WRITE | EB_NO_ANSWER, make_set_clocks },
};

static const struct kind *find_kind(const struct eb_settings *settings, struct eb_error *error)
{
	const struct kind *kind = NULL;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (!dlt645_setting(settings, kinds[i].key))
			continue;
		if (kind) {
			REFUSE(error, EINVAL, "%s and %s are two requests: leave one of them out",
				kind->key, kinds[i].key);
			return NULL;
		}
		kind = &kinds[i];
	}
	if (!kind)
		REFUSE(error, EINVAL,
			"one of read, write, read_address and set_clocks must say what to do");
	for (size_t i = 0; i < settings->count && kind; i++) {
		const char *key = settings->items[i].key;
		if (strcmp(key, kind->key) != 0 && !strstr(kind->more, key)) {
			REFUSE(error, EINVAL, "%s does not belong to %s: leave it out", key,
				kind->key);
			return NULL;
		}
	}
	return kind;
}

int dlt645_request(const void *state, const struct eb_settings *settings,
	struct eb_request *request, struct eb_error *error)
{
	const struct dlt645 *bus = state;
	const struct kind *kind = find_kind(settings, error);
	int size = kind ? kind->make(settings, request->data + 1, error) : -EINVAL;
	if (size < 0)
		return size;
	request->data[0] = kind->control;
	request->data_size = 1 + (uint32_t)size;
	request->flags = kind->flags;
	request->frame_size = bus->wake_up + HEAD_SIZE + (uint32_t)size + TAIL_SIZE;
	switch ((enum function)kind->control) {
	case READ:
	case READ_ON:
		request->answer_size = FRAME_MOST;
		request->content_size = EB_ANSWER_MAX;
		break;
	case READ_ADDRESS:
		request->content_size = ADDRESS_SIZE;
		request->answer_size = WAKE_MAX + HEAD_SIZE + ADDRESS_SIZE + TAIL_SIZE;
		break;
	case WRITE:
		request->answer_size = WAKE_MAX + HEAD_SIZE + 1 + TAIL_SIZE;
		break;
	case SET_CLOCKS:
		break;
	}
	return 0;
}

/* Never what is written: a password stands beside it. */
void dlt645_describe(const void *state, const struct eb_request *request, char *text, size_t room)
{
	const uint8_t *data = request->data + 1, *address = request->address.bytes;
	char meter[2 * ADDRESS_SIZE + 1];
	for (uint32_t i = 0; i < ADDRESS_SIZE; i++)
		snprintf(meter + 2 * i, 3, "%02X", address[ADDRESS_SIZE - 1 - i]);
	switch ((enum function)request->data[0]) {
	case READ:
	case READ_ON:
	case WRITE:
		snprintf(text, room, "meter %s: %s %02x%02x%02x%02x", meter,
			request->data[0] == WRITE ? "write" : "read", data[3], data[2], data[1],
			data[0]);
		break;
	case READ_ADDRESS:
		snprintf(text, room, "meter %s: read its address", meter);
		break;
	case SET_CLOCKS:
		snprintf(text, room, "all meters: set the clock to %02x-%02x-%02x %02x:%02x:%02x",
			data[5], data[4], data[3], data[2], data[1], data[0]);
		break;
	}
}
