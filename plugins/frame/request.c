/* SPDX-License-Identifier: Apache-2.0 */
/* Devices and requests out of their settings. */
#include "frame.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SEND_MAX (EB_REQUEST_MAX - (uint32_t)sizeof(struct wish))
/* Of what is sent, in logs. */
#define SHOWN 24

/* The value of either key, one for bytes and one for text. */
static int either(const struct eb_settings *settings, const char *bytes, const char *text,
	const struct eb_value **value, struct eb_error *error)
{
	const struct eb_value *other = frame_setting(settings, text);
	*value = frame_setting(settings, bytes);
	if (*value && other)
		return REFUSE(error, EINVAL, "%s and %s say the same: leave one of them out", bytes,
			text);
	if (other)
		*value = other;
	return 0;
}

int frame_address(const void *state, const struct eb_settings *device, struct eb_address *address,
	struct eb_error *error)
{
	const struct frame *bus = state;
	const struct eb_value *match;
	int result = either(device, "match", "match_text", &match, error);
	if (result < 0)
		return result;
	if (match && !bus->match_size)
		return REFUSE(error, EINVAL,
			"match needs the bus to say where it stands in a frame: set match_offset and "
			"match_size = %zu there",
			match->size);
	if (!match && bus->match_size)
		return REFUSE(error, EINVAL,
			"match is missing: the %u bytes at %u that tell the device's frames from "
			"others'",
			bus->match_size, bus->match_offset);
	if (match && match->size != bus->match_size)
		return REFUSE(error, EINVAL,
			"match has %zu bytes: it must have as many as the bus's match_size, %u",
			match->size, bus->match_size);
	address->size = (uint8_t)bus->match_size;
	if (match)
		memcpy(address->bytes, match->data, match->size);
	return 0;
}

static bool truth(const struct eb_settings *settings, const char *key, bool otherwise)
{
	const struct eb_value *value = frame_setting(settings, key);
	return value ? value->integer != 0 : otherwise;
}

static int read_expect(
	const struct eb_settings *settings, struct wish *wish, struct eb_error *error)
{
	const struct eb_value *expect;
	int result = either(settings, "expect", "expect_text", &expect, error);
	if (result < 0 || !expect)
		return result;
	if (!expect->size || expect->size > EXPECT_MAX)
		return REFUSE(error, EINVAL, "expect has %zu bytes: it must have 1 to %u",
			expect->size, EXPECT_MAX);
	wish->expect_size = (uint8_t)expect->size;
	memcpy(wish->expect, expect->data, expect->size);
	return 0;
}

static int put_send(const struct eb_settings *settings, const struct eb_value *send,
	struct eb_request *request, struct eb_error *error)
{
	const struct eb_value *terminator = frame_setting(settings, "terminator");
	uint8_t *to = request->data + sizeof(struct wish);
	size_t behind = terminator ? terminator->size : 0;
	if (terminator && (!behind || behind > MARK_MAX))
		return REFUSE(error, EINVAL, "terminator has %zu bytes: it must have 1 to %u",
			behind, MARK_MAX);
	if (!send->size)
		return REFUSE(error, EINVAL,
			"send is empty: a request that only listens goes without it");
	if (send->size + behind > SEND_MAX)
		return REFUSE(error, E2BIG, "send has %zu bytes: it must have at most %zu",
			send->size, SEND_MAX - behind);
	memcpy(to, send->data, send->size);
	if (terminator)
		memcpy(to + send->size, terminator->data, behind);
	request->frame_size = (uint32_t)(send->size + behind);
	return 0;
}

/* What a request that sends nothing cannot have. */
static int check_listener(const struct eb_settings *settings, struct eb_error *error)
{
	static const char *const keys[] = { "terminator", "answer", "write" };
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		if (frame_setting(settings, keys[i]))
			return REFUSE(error, EINVAL,
				"%s needs send or send_text: without them the request only listens",
				keys[i]);
	}
	return 0;
}

int frame_request(const void *state, const struct eb_settings *settings, struct eb_request *request,
	struct eb_error *error)
{
	const struct frame *bus = state;
	struct wish wish = { .expect_size = 0 };
	const struct eb_value *send;
	int result = either(settings, "send", "send_text", &send, error);
	if (result == 0)
		result = read_expect(settings, &wish, error);
	if (result == 0)
		result = send ? put_send(settings, send, request, error)
			      : check_listener(settings, error);
	if (result < 0)
		return result;
	bool answered = truth(settings, "answer", true);
	if (!answered && wish.expect_size)
		return REFUSE(error, EINVAL,
			"expect and answer = false: what does not come cannot begin with anything");
	memcpy(request->data, &wish, sizeof(wish));
	request->data_size = (uint32_t)sizeof(wish) + request->frame_size;
	request->flags = (truth(settings, "write", false) ? EB_WRITE : 0) |
		(answered ? 0 : EB_NO_ANSWER) | (send ? 0 : EB_LISTEN);
	if (answered) {
		request->answer_size = bus->length ? bus->length : bus->max_length;
		request->content_size = request->answer_size;
	}
	return 0;
}

int frame_encode(void *state, const struct eb_outstanding *outstanding, uint8_t *frame)
{
	const struct eb_request *request = outstanding->request;
	if (request->flags & EB_LISTEN)
		return -EINVAL;
	memcpy(frame, request->data + sizeof(struct wish), request->frame_size);
	return (int)request->frame_size;
}

/* Only what was declared to listen: the answer to a request that timed out is no reading. */
int frame_match(const void *state, const struct eb_request *declared,
	const struct eb_verdict *unasked, uint8_t *content)
{
	struct wish wish;
	memcpy(&wish, declared->data, sizeof(wish));
	if (!(declared->flags & EB_LISTEN) || unasked->key_size < wish.expect_size ||
		memcmp(unasked->key, wish.expect, wish.expect_size) != 0)
		return -ENOENT;
	memcpy(content, unasked->content, unasked->content_size);
	return (int)unasked->content_size;
}

/* Quotes what can be read, and writes the rest as hexadecimal digits. */
static void show(const char *what, const uint8_t *bytes, size_t size, char *text, size_t room)
{
	char shown[2 * SHOWN + 3];
	size_t count = size < SHOWN ? size : SHOWN, printable = 0, ends = 0;
	while (ends < count && (bytes[count - 1 - ends] == '\r' || bytes[count - 1 - ends] == '\n'))
		ends++;
	while (printable < count && bytes[printable] >= 0x20 && bytes[printable] < 0x7f)
		printable++;
	if (printable && printable + ends >= count)
		snprintf(shown, sizeof(shown), "\"%.*s\"", (int)printable, (const char *)bytes);
	for (size_t i = 0; i < count && (!printable || printable + ends < count); i++)
		snprintf(shown + 2 * i, 3, "%02x", bytes[i]);
	snprintf(text, room, "%s %s%s", what, shown, size > count ? "..." : "");
}

void frame_describe(const void *state, const struct eb_request *request, char *text, size_t room)
{
	struct wish wish;
	memcpy(&wish, request->data, sizeof(wish));
	if (!(request->flags & EB_LISTEN))
		show("send", request->data + sizeof(wish), request->frame_size, text, room);
	else if (wish.expect_size)
		show("listen for", wish.expect, wish.expect_size, text, room);
	else
		snprintf(text, room, "listen");
}
