/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A step of a fixture that asks the device: a command, or the discovery of its polls.  Requests, their
 * frames, what the answers make of it, and the reply.
 */
#include "script/trial.h"

#include <stdio.h>
#include <string.h>

#include "util/alloc.h"
#include "util/hex.h"
#include "util/json.h"

#define ROUNDS_MAX 32
#define RAW_TOPIC "thing/model/down_raw"

struct talk {
	struct trial *trial;
	struct command *command;
	struct outcome *rounds[ROUNDS_MAX];
	size_t round_count;
	struct buffer requests; /* of all rounds, as maps one after the other */
	uint32_t request_count;
	const struct node *answers;
	size_t answered; /* items of answers that were used */
};

static const char *text_of(const struct talk *talk, enum fixture_text text)
{
	return talk->trial->step->texts[text];
}

/* ---- the command ---------------------------------------------------------------------------- */

/* "thing.service.measurepoint.set" comes on thing/service/measurepoint/set. */
static char *topic_of(const struct talk *talk, const struct buffer *payload)
{
	struct value method;
	OWNED_BUFFER map = BUFFER_EMPTY;
	char error[8];
	if (text_of(talk, FIXTURE_TOPIC))
		return must_strdup(text_of(talk, FIXTURE_TOPIC));
	if (text_of(talk, FIXTURE_DOWN_RAW))
		return must_strdup(RAW_TOPIC);
	if (json_parse(&map, payload->data, payload->size, error, sizeof(error)) < 0 ||
		!value_find(map.data, map.size, "method", &method, NULL) ||
		method.type != VALUE_STRING)
		return must_strdup("thing/service");
	char *topic = must_strdup(method.text);
	for (char *at = topic; *at; at++)
		*at = *at == '.' ? '/' : *at;
	return topic;
}

static bool make_command(struct talk *talk)
{
	char error[160] = "";
	OWNED_BUFFER payload = BUFFER_EMPTY;
	if (text_of(talk, FIXTURE_COMMAND))
		buffer_put_text(&payload, text_of(talk, FIXTURE_COMMAND));
	else if (!trial_parse_hex(
			 talk->trial, "down_raw", text_of(talk, FIXTURE_DOWN_RAW), &payload))
		return false;
	char *topic OWNED = topic_of(talk, &payload);
	if (command_create(&talk->command, 0, ORIGIN_CLOUD, topic, payload.data, payload.size,
		    error, sizeof(error)) == 0)
		return true;
	trial_fail(talk->trial, "command cannot be read: %s", error);
	return false;
}

/* ---- requests ------------------------------------------------------------------------------- */

static bool is_bytes(const struct talk *talk, const char *key)
{
	const struct eb_key *known = talk->trial->codec.plugin->request_keys;
	for (; known && known->name; known++) {
		if (strcmp(known->name, key) == 0)
			return (known->types & (EB_BYTES | EB_TEXT)) == EB_BYTES;
	}
	return false;
}

/* Copies a request with its bytes as digits, which JSON can hold; from digits too, if they are. */
static void put_readable(
	const struct talk *talk, struct value_reader *reader, bool digits, struct buffer *to)
{
	struct value map, key, value;
	value_next(reader, &map);
	value_put_map(to, (uint32_t)map.size);
	for (size_t i = 0; i < map.size && value_next(reader, &key); i++) {
		const uint8_t *from = reader->at;
		struct value_reader look = *reader;
		value_put_string(to, key.text, key.size);
		value_next(&look, &value);
		value_skip(reader);
		if (value.type != VALUE_STRING || !is_bytes(talk, key.text)) {
			buffer_put(to, from, (size_t)(reader->at - from));
			continue;
		}
		OWNED_BUFFER bytes = BUFFER_EMPTY, text = BUFFER_EMPTY;
		if (!digits || hex_parse(&bytes, value.text) < 0)
			buffer_put(&bytes, value.text, value.size);
		hex_put(&text, bytes.data, bytes.size);
		value_put_text(to, buffer_text(&text));
	}
}

static struct buffer expected_requests(struct talk *talk, enum fixture_text text)
{
	struct buffer readable = BUFFER_EMPTY;
	OWNED_BUFFER value = BUFFER_EMPTY;
	struct value list;
	if (!trial_parse(talk->trial, text, &value))
		return readable;
	struct value_reader reader = value_reader(value.data, value.size);
	value_next(&reader, &list);
	if (list.type != VALUE_LIST) {
		trial_fail(talk->trial, "%s is no list: write \"[{...}]\"",
			text == FIXTURE_SETUP ? "setup" : "requests");
		return readable;
	}
	value_put_list(&readable, (uint32_t)list.size);
	for (size_t i = 0; i < list.size; i++) {
		const uint8_t *from = reader.at;
		if (*from == VALUE_MAP) {
			put_readable(talk, &reader, true, &readable);
			continue;
		}
		value_skip(&reader);
		buffer_put(&readable, from, (size_t)(reader.at - from));
	}
	return readable;
}

static void check_requests(struct talk *talk, enum fixture_text text)
{
	if (!text_of(talk, text))
		return;
	OWNED_BUFFER got = BUFFER_EMPTY;
	OWNED_BUFFER expected = expected_requests(talk, text);
	value_put_list(&got, talk->request_count);
	buffer_put(&got, talk->requests.data, talk->requests.size);
	if (expected.size)
		trial_compare_values(talk->trial, &expected, &got);
}

/* ---- answers -------------------------------------------------------------------------------- */

static void answer_request(
	struct talk *talk, const struct eb_request *wire, struct step_outcome *step)
{
	static const enum outcome_status plain[] = { OUTCOME_DONE, OUTCOME_TIMEOUT, OUTCOME_ECHO,
		OUTCOME_EXPIRED, OUTCOME_LINK, OUTCOME_SKIPPED, OUTCOME_BUSY };
	const struct node *answers = talk->answers;
	size_t i = talk->answered++;
	enum outcome_status status = OUTCOME_DONE;
	bool reads = wire->content_size > 0;
	if (!answers || i >= answers->count) {
		if (reads)
			trial_fail(talk->trial, "request %zu reads %u bytes: %s lacks them", i + 1,
				wire->content_size, talk->command ? "answers" : "discover");
		return;
	}
	const char *text = answers->items[i].text;
	for (size_t k = 0; k < sizeof(plain) / sizeof(*plain); k++) {
		if (strcmp(text, outcome_name(plain[k])) == 0)
			status = plain[k];
	}
	step->status = status;
	if (sscanf(text, "exception %u", &step->code) == 1)
		step->status = OUTCOME_EXCEPTION;
	else if (status != OUTCOME_DONE)
		return;
	else if (strcmp(text, outcome_name(OUTCOME_DONE)) != 0 &&
		!trial_parse_hex(talk->trial,
			"an answer (bytes, \"done\", \"exception 2\", \"timeout\", ...)", text,
			&step->bytes))
		return;
	else if (step->bytes.size > wire->content_size || (reads && !step->bytes.size))
		trial_fail(talk->trial,
			"answer %zu has %zu bytes, but the request reads %u at the most", i + 1,
			step->bytes.size, wire->content_size);
}

/* Makes the requests of one round and lets the field answer them: the first that fails ends it. */
static void run_round(struct talk *talk, const struct buffer *list)
{
	struct trial *trial = talk->trial;
	struct value_reader reader = value_reader(list->data, list->size);
	struct value header;
	value_next(&reader, &header);
	struct outcome *outcome = outcome_create(0, talk->round_count + 1, header.size);
	talk->rounds[talk->round_count++] = outcome;
	bool failed = false;
	for (size_t i = 0; i < header.size; i++) {
		struct value_reader whole = reader;
		const uint8_t *from = reader.at;
		struct request *request;
		value_skip(&reader);
		put_readable(talk, &whole, false, &talk->requests);
		if (request_create(&request, trial->codec.plugin, trial->codec.state,
			    &trial->address, from, (size_t)(reader.at - from), SETTINGS_SCRIPT,
			    trial->step->place, trial->problems) < 0) {
			trial->failures++;
			return;
		}
		trial_check_frame(trial, &request->wire, talk->request_count++);
		if (failed)
			outcome->steps[i].status = OUTCOME_SKIPPED;
		else if (talk->answers || text_of(talk, FIXTURE_REPLY))
			answer_request(talk, &request->wire, &outcome->steps[i]);
		failed = failed || outcome->steps[i].status != OUTCOME_DONE;
		request_destroy(request);
	}
}

/* ---- encode and reply ----------------------------------------------------------------------- */

static void check_refusal(struct talk *talk, const struct script_error *error)
{
	const char *expected = text_of(talk, FIXTURE_REFUSED);
	const char *what = talk->command ? "is refused" : "finds no polls";
	if (!expected)
		trial_fail(talk->trial, "%s: %s: if that is right, say refused = \"...\"", what,
			error->text);
	else if (!strstr(error->text, expected))
		trial_fail(talk->trial, "%s with \"%s\", expected \"%s\"", what, error->text,
			expected);
}

/* Asks until the script wants no more.  True where a reply is to follow. */
static bool encode(struct talk *talk)
{
	struct trial *trial = talk->trial;
	for (;;) {
		OWNED_BUFFER list = BUFFER_EMPTY;
		struct script_error error = { .text = "" };
		int answer = script_encode(trial->device, talk->command,
			(const struct outcome *const *)talk->rounds, talk->round_count, &list,
			&error);
		if (answer < 0) {
			trial_check_error(trial, "encode", &error);
			return false;
		}
		if (answer == ENCODE_REFUSED) {
			check_refusal(talk, &error);
			return false;
		}
		if (answer == ENCODE_UNKNOWN) {
			trial_fail(trial,
				"the script has no encode: write one, or leave the command out");
			return false;
		}
		run_round(talk, &list);
		if (trial->failures || answer == ENCODE_REQUESTS)
			return !trial->failures;
		if (talk->round_count == ROUNDS_MAX) {
			trial_fail(trial,
				"encode asks for more than %d rounds: look at more = true",
				ROUNDS_MAX);
			return false;
		}
	}
}

/* As {"code": ..., "data": ...} or {"raw": ...}; null where the default applies. */
static void put_reply(const struct script_reply *reply, bool with_data, struct buffer *value)
{
	if (!reply->given) {
		value_put_null(value);
	} else if (reply->raw) {
		OWNED_BUFFER digits = BUFFER_EMPTY;
		hex_put(&digits, reply->data.data, reply->data.size);
		value_put_map(value, 1);
		value_pair_text(value, "raw", buffer_text(&digits));
	} else {
		struct value data = { .type = VALUE_NULL };
		struct value_reader reader = value_reader(reply->data.data, reply->data.size);
		value_next(&reader, &data);
		bool put = with_data || data.size || data.type < VALUE_LIST;
		value_put_map(value, put ? 2 : 1);
		value_pair_integer(value, "code", reply->code);
		if (!put)
			return;
		value_put_text(value, "data");
		if (reply->data.size)
			buffer_put(value, reply->data.data, reply->data.size);
		else
			value_put_map(value, 0);
	}
}

static void check_reply(struct talk *talk)
{
	struct script_reply reply = { .given = false };
	struct script_error error = { .text = "" };
	OWNED_BUFFER got = BUFFER_EMPTY, expected = BUFFER_EMPTY;
	struct value data;
	if (script_reply(talk->trial->device, talk->command,
		    (const struct outcome *const *)talk->rounds, talk->round_count, &reply,
		    &error) < 0) {
		trial_check_error(talk->trial, "reply", &error);
	} else if (text_of(talk, FIXTURE_ERROR)) {
		trial_fail(talk->trial, "reply does not fail, expected \"%s\"",
			text_of(talk, FIXTURE_ERROR));
	} else if (text_of(talk, FIXTURE_REPLY) &&
		trial_parse(talk->trial, FIXTURE_REPLY, &expected)) {
		bool with_data = value_find(expected.data, expected.size, "data", &data, NULL);
		put_reply(&reply, with_data, &got);
		trial_compare(talk->trial, FIXTURE_REPLY, &got);
	}
	buffer_finish(&reply.data);
}

static void check_ended(struct talk *talk)
{
	const char *refused = text_of(talk, FIXTURE_REFUSED);
	if (refused)
		trial_fail(talk->trial, "is not refused, expected \"%s\"", refused);
	trial_check_frame_count(talk->trial, talk->request_count);
	if (talk->answers && talk->answers->count > talk->answered)
		trial_fail(talk->trial, "answers: %zu, requests: %zu: remove what is too much",
			talk->answers->count, talk->answered);
}

static void finish(struct talk *talk)
{
	for (size_t i = 0; i < talk->round_count; i++)
		message_destroy(&talk->rounds[i]->mail);
	buffer_finish(&talk->requests);
	command_destroy(talk->command);
}

void trial_command(struct trial *trial)
{
	struct talk talk = { .trial = trial, .answers = trial->step->answers };
	if (make_command(&talk) && encode(&talk)) {
		check_ended(&talk);
		check_requests(&talk, FIXTURE_REQUESTS);
		if (text_of(&talk, FIXTURE_REPLY) || text_of(&talk, FIXTURE_ERROR))
			check_reply(&talk);
	}
	finish(&talk);
}

/* ---- discovery ------------------------------------------------------------------------------ */

/* Asks until the script has the polls.  False where it does not come to that. */
static bool discover(struct talk *talk, struct buffer *polls)
{
	struct trial *trial = talk->trial;
	for (;;) {
		OWNED_BUFFER list = BUFFER_EMPTY;
		struct script_error error = { .text = "" };
		const struct outcome *last = NULL;
		if (talk->round_count)
			last = talk->rounds[talk->round_count - 1];
		int answer = script_discover(trial->device, last, &list, &error);
		if (answer < 0) {
			trial_check_error(trial, "discover", &error);
			return false;
		}
		if (answer == DISCOVER_FAILED) {
			check_refusal(talk, &error);
			return false;
		}
		if (answer == DISCOVER_POLLS) {
			buffer_put(polls, list.data, list.size);
			return true;
		}
		if (talk->round_count == ROUNDS_MAX) {
			trial_fail(trial, "discover asks for more than %d rounds: let it end",
				ROUNDS_MAX);
			return false;
		}
		run_round(talk, &list);
		if (trial->failures)
			return false;
	}
}

void trial_discover(struct trial *trial)
{
	struct talk talk = { .trial = trial, .answers = trial->step->discover };
	OWNED_BUFFER polls = BUFFER_EMPTY;
	if (!script_has(trial->script, "discover")) {
		trial_fail(trial, "the script has no discover: write one, or remove the step");
	} else if (discover(&talk, &polls)) {
		check_ended(&talk);
		check_requests(&talk, FIXTURE_REQUESTS);
		if (text_of(&talk, FIXTURE_ERROR))
			trial_fail(trial, "discover does not fail, expected \"%s\"",
				text_of(&talk, FIXTURE_ERROR));
		if (text_of(&talk, FIXTURE_POLLS))
			trial_compare(trial, FIXTURE_POLLS, &polls);
		trial_plan(trial, &polls);
	}
	finish(&talk);
}

/* ---- setup ---------------------------------------------------------------------------------- */

void trial_setup(struct trial *trial)
{
	struct talk talk = { .trial = trial };
	struct script_error error = { .text = "" };
	OWNED_BUFFER list = BUFFER_EMPTY;
	if (script_setup(trial->device, &list, &error) < 0) {
		trial_check_error(trial, "setup", &error);
	} else if (text_of(&talk, FIXTURE_ERROR)) {
		trial_fail(trial, "setup does not fail, expected \"%s\"",
			text_of(&talk, FIXTURE_ERROR));
	} else {
		run_round(&talk, &list);
		trial_check_frame_count(trial, talk.request_count);
		check_requests(&talk, FIXTURE_SETUP);
	}
	finish(&talk);
}
