/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/codec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "util/json.h"

const struct eb_line codec_serial = { .transport = EB_SERIAL, .baud = 9600, .char_bits = 10 };
const struct eb_line codec_tcp = { .transport = EB_TCP };

#define REQUIRE(condition)                                                                  \
	do {                                                                                \
		if (!(condition)) {                                                         \
			fprintf(stderr, "%s:%d: broken contract: %s\n", __FILE__, __LINE__, \
				#condition);                                                \
			abort();                                                            \
		}                                                                           \
	} while (0)

static void parse(struct buffer *value, const char *json)
{
	char error[160];
	if (json_parse(value, json, strlen(json), error, sizeof(error)) < 0) {
		fprintf(stderr, "%s: %s\n", json, error);
		abort();
	}
}

static void set_error(struct codec *codec, const char *text)
{
	free(codec->error);
	codec->error = must_strdup(text);
}

/* Settings out of JSON; the first problem becomes the codec's error. */
static int read_settings(
	struct codec *codec, struct settings *settings, const struct eb_key *keys, const char *json)
{
	OWNED_BUFFER value = BUFFER_EMPTY;
	struct problems problems = PROBLEMS_NONE;
	parse(&value, json);
	int result = settings_from_value(settings, keys, NULL, value.data, value.size,
		SETTINGS_CONFIGURATION, (struct place){ .file = NULL }, &problems);
	if (result < 0)
		set_error(codec, problems.items[0].text);
	problems_finish(&problems);
	return result;
}

int codec_open(struct codec *codec, const struct eb_plugin *plugin, const struct eb_line *line,
	const char *options)
{
	struct settings settings;
	struct eb_error error = { .text = "" };
	memset(codec, 0, sizeof(*codec));
	codec->plugin = plugin;
	codec->state = must_alloc(plugin->state_size);
	codec->content = must_alloc(EB_ANSWER_MAX);
	codec->frame = must_alloc(EB_FRAME_MAX);
	int result = read_settings(codec, &settings, plugin->bus_keys, options);
	if (result < 0)
		return result;
	result = plugin->open(codec->state, &settings.view, line, &codec->timing, &error);
	settings_finish(&settings);
	set_error(codec, error.text);
	return result;
}

void codec_close(struct codec *codec)
{
	free(codec->state);
	free(codec->error);
	free(codec->content);
	free(codec->frame);
}

/* What only listens is a poll, which has a name. */
static struct request *listener(
	struct codec *codec, const struct eb_address *address, const char *request)
{
	OWNED_BUFFER value = BUFFER_EMPTY;
	OWNED_BUFFER named = BUFFER_EMPTY;
	struct problems problems = PROBLEMS_NONE;
	struct poll poll = { .request = NULL };
	buffer_printf(
		&named, "{\"name\":\"heard\"%s%s", strcmp(request, "{}") ? "," : "", request + 1);
	parse(&value, buffer_text(&named));
	poll_init(&poll, codec->plugin, codec->state, address, value.data, value.size,
		SETTINGS_CONFIGURATION, (struct place){ .file = NULL }, &problems);
	problems_finish(&problems);
	return poll.request;
}

struct request *codec_request(struct codec *codec, const char *device, const char *request)
{
	struct settings settings;
	struct eb_error error = { .text = "" };
	struct eb_address address = { .size = 0 };
	if (read_settings(codec, &settings, codec->plugin->device_keys, device) < 0)
		return NULL;
	int result = codec->plugin->address(codec->state, &settings.view, &address, &error);
	settings_finish(&settings);
	if (result < 0) {
		set_error(codec, error.text);
		return NULL;
	}
	OWNED_BUFFER value = BUFFER_EMPTY;
	struct problems problems = PROBLEMS_NONE;
	struct request *made = NULL;
	parse(&value, request);
	request_create(&made, codec->plugin, codec->state, &address, value.data, value.size,
		SETTINGS_CONFIGURATION, (struct place){ .file = NULL }, &problems);
	set_error(codec, problems.count ? problems.items[0].text : "");
	REQUIRE((made == NULL) == (problems.errors > 0));
	if (!made && strstr(codec->error, "only listens"))
		made = listener(codec, &address, request);
	problems_finish(&problems);
	return made;
}

size_t codec_encode(struct codec *codec, const struct eb_outstanding *outstanding)
{
	int size = codec->plugin->encode(codec->state, outstanding, codec->frame);
	uint32_t said = outstanding->request->frame_size;
	REQUIRE(size > 0 && size <= (int)EB_FRAME_MAX);
	REQUIRE(!said || said == (uint32_t)size);
	return (size_t)size;
}

/* What the host relies on, whatever was received. */
static void check(const struct eb_input *input, const struct eb_verdict *verdict)
{
	const uint8_t *content = verdict->content;
	REQUIRE(verdict->kind <= EB_CONTINUE);
	REQUIRE(verdict->error < EB_ERROR_CLASSES);
	REQUIRE(verdict->consumed <= input->size);
	if (verdict->kind == EB_MORE)
		return;
	bool of_silence = verdict->kind == EB_ERROR || verdict->kind == EB_NOISE;
	REQUIRE(verdict->consumed || (of_silence && input->silent_us));
	bool heard = verdict->kind == EB_CONTINUE && !input->count;
	REQUIRE(!heard || (!verdict->frame_size && !verdict->content_size));
	if (!heard && verdict->kind != EB_NOISE && verdict->kind != EB_UNASKED)
		REQUIRE(verdict->index < input->count);
	REQUIRE(verdict->content_size <= EB_ANSWER_MAX);
	if (verdict->content_size) {
		const uint8_t *end = content + verdict->content_size;
		REQUIRE((content >= input->content && end <= input->content + EB_ANSWER_MAX) ||
			(content >= input->bytes && end <= input->bytes + input->size));
	}
	REQUIRE(verdict->frame_size <= EB_FRAME_MAX);
	REQUIRE(verdict->key_size <= EB_KEY_MAX && verdict->address.size <= EB_ADDRESS_MAX);
	if (verdict->kind == EB_ANSWER) {
		const struct eb_request *asked = input->outstanding[verdict->index].request;
		REQUIRE(!asked->content_size ||
			input->outstanding[verdict->index].so_far_size + verdict->content_size <=
				asked->content_size);
	}
}

const struct eb_verdict *codec_receive(struct codec *codec,
	const struct eb_outstanding *outstanding, uint32_t count, const void *bytes, size_t size,
	uint32_t silent_us)
{
	/* A block of its own, so that a sanitizer sees a read past the end. */
	uint8_t *copy OWNED = must_memdup(bytes, size);
	struct eb_input input = { .bytes = copy,
		.size = size,
		.silent_us = silent_us,
		.count = count,
		.outstanding = outstanding,
		.content = codec->content,
		.frame = codec->frame };
	codec->verdict = (struct eb_verdict){ .kind = EB_MORE };
	codec->plugin->receive(codec->state, &input, &codec->verdict);
	check(&input, &codec->verdict);
	if (codec->verdict.content_size)
		memmove(codec->content, codec->verdict.content, codec->verdict.content_size);
	codec->verdict.content = codec->content;
	return &codec->verdict;
}

const struct eb_verdict *codec_feed(struct codec *codec, const struct eb_outstanding *outstanding,
	uint32_t count, const void *bytes, size_t size, size_t chunk, unsigned *dropped)
{
	const uint8_t *from = bytes;
	const struct eb_verdict *verdict = NULL;
	size_t begin = 0, end = 0;
	uint32_t silent_us = 0;
	for (;;) {
		verdict = codec_receive(
			codec, outstanding, count, from + begin, end - begin, silent_us);
		begin += verdict->consumed;
		codec->consumed = begin;
		if (verdict->kind == EB_NOISE && dropped)
			dropped[verdict->error]++;
		bool heard = verdict->kind == EB_CONTINUE && !count;
		bool passed = verdict->kind == EB_NOISE || heard;
		if (passed && begin < end)
			continue;
		if (!passed && verdict->kind != EB_MORE)
			return verdict;
		if (end < size)
			end = end + chunk < size ? end + chunk : size;
		else if (verdict->kind == EB_MORE && verdict->gap_us && !silent_us)
			silent_us = verdict->gap_us;
		else
			return verdict;
	}
}
