/* SPDX-License-Identifier: Apache-2.0 */
/* The cases of a fixture, run: polls and readings.  Commands are in fixture_command.c. */
#include "script/trial.h"

#include <errno.h>
#include <string.h>

#include "script/compare.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/hex.h"
#include "util/json.h"

/* A moment for readings, 2023-11-14 22:13:20 UTC. */
#define READ_AT_MS INT64_C(1700000000000)

/* ---- what is wrong -------------------------------------------------------------------------- */

void trial_fail(struct trial *trial, const char *format, ...)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	va_list arguments;
	va_start(arguments, format);
	buffer_vprintf(&text, format, arguments);
	va_end(arguments);
	problem_error(trial->problems, trial->step ? trial->step->place : trial->item->place,
		"case \"%s\": %s", trial->item->name, buffer_text(&text));
	trial->failures++;
}

static const char *text_of(const struct trial *trial, enum fixture_text text)
{
	return trial->step->texts[text];
}

bool trial_parse(struct trial *trial, enum fixture_text text, struct buffer *value)
{
	char error[160];
	const char *json = text_of(trial, text);
	if (json_parse(value, json, strlen(json), error, sizeof(error)) == 0)
		return true;
	trial_fail(trial, "what is expected is no JSON: %s: in %s", error, json);
	return false;
}

bool trial_parse_hex(struct trial *trial, const char *key, const char *text, struct buffer *bytes)
{
	if (hex_parse(bytes, text) == 0)
		return true;
	trial_fail(
		trial, "%s is no pairs of hexadecimal digits, like \"08fd 00fa\": %s", key, text);
	return false;
}

static void report_difference(void *context, const char *text)
{
	trial_fail(context, "%s", text);
}

void trial_compare_values(
	struct trial *trial, const struct buffer *expected, const struct buffer *got)
{
	struct comparison comparison = { report_difference, trial };
	compare_values(&comparison, expected, got);
}

void trial_compare(struct trial *trial, enum fixture_text expected, const struct buffer *got)
{
	OWNED_BUFFER value = BUFFER_EMPTY;
	if (trial_parse(trial, expected, &value))
		trial_compare_values(trial, &value, got);
}

void trial_check_error(struct trial *trial, const char *what, const struct script_error *error)
{
	const char *expected = text_of(trial, FIXTURE_ERROR);
	if (!expected)
		trial_fail(trial, "%s fails: %s", what, error->text);
	else if (!strstr(error->text, expected))
		trial_fail(trial, "%s fails with \"%s\", expected \"%s\"", what, error->text,
			expected);
}

/* ---- frames --------------------------------------------------------------------------------- */

void trial_check_frame(struct trial *trial, const struct eb_request *request, size_t i)
{
	const struct node *frames = trial->step->frames;
	if (!frames || i >= frames->count)
		return;
	uint8_t frame[EB_FRAME_MAX];
	const struct eb_outstanding sent = { .request = request, .tag = ++trial->tag };
	int size = trial->codec.plugin->encode(trial->codec.state, &sent, frame);
	if (size < 0) {
		trial_fail(trial, "plugin %s makes no frame of request %zu: %s",
			trial->codec.plugin->name, i + 1, strerror(-size));
		return;
	}
	OWNED_BUFFER expected = BUFFER_EMPTY;
	if (!trial_parse_hex(trial, "a frame", frames->items[i].text, &expected))
		return;
	if (expected.size == (size_t)size && memcmp(expected.data, frame, expected.size) == 0)
		return;
	OWNED_BUFFER got = BUFFER_EMPTY, wanted = BUFFER_EMPTY;
	hex_put(&got, frame, (size_t)size);
	hex_put(&wanted, expected.data, expected.size);
	trial_fail(trial, "frame %zu is %s, expected %s", i + 1, buffer_text(&got),
		buffer_text(&wanted));
}

void trial_check_frame_count(struct trial *trial, size_t requests)
{
	const struct node *frames = trial->step->frames;
	if (frames && frames->count != requests)
		trial_fail(trial, "requests: %zu, frames: %zu: frames needs one for each", requests,
			frames->count);
}

/* Of a frame that nobody asked for: what a poll that listens gets of it, or -ENOENT. */
static int overhear(struct trial *trial, const struct eb_request *request,
	const struct eb_verdict *verdict, struct buffer *contents)
{
	const struct eb_plugin *plugin = trial->codec.plugin;
	uint8_t content[EB_ANSWER_MAX];
	if (plugin->match) {
		int size = plugin->match(trial->codec.state, request, verdict, content);
		if (size > 0)
			buffer_put(contents, content, (size_t)size);
		return size;
	}
	if (request->data_size != verdict->key_size ||
		memcmp(request->data, verdict->key, verdict->key_size) != 0)
		return -ENOENT;
	buffer_put(contents, verdict->content, verdict->content_size);
	return 0;
}

/* The contents of an answer that stands as a frame; false, and said so, where it is none. */
static bool unwrap(struct trial *trial, const struct eb_request *request,
	const struct buffer *frame, struct buffer *contents)
{
	const struct eb_plugin *plugin = trial->codec.plugin;
	uint8_t content[EB_ANSWER_MAX], next[EB_FRAME_MAX];
	bool listens = request->flags & EB_LISTEN;
	const struct eb_outstanding sent = { .request = request, .tag = 1 };
	struct eb_input input = { .bytes = frame->data,
		.size = frame->size,
		.count = listens ? 0 : 1,
		.outstanding = &sent,
		.content = content,
		.frame = next };
	struct eb_verdict verdict = { 0 };
	if (!listens)
		plugin->encode(trial->codec.state, &sent, next);
	plugin->receive(trial->codec.state, &input, &verdict);
	/* The first frame that nobody asked for may have begun before: plugins pass over it. */
	if (listens && verdict.kind == EB_NOISE) {
		verdict = (struct eb_verdict){ 0 };
		plugin->receive(trial->codec.state, &input, &verdict);
	}
	if (verdict.kind == EB_MORE && verdict.gap_us) {
		input.silent_us = verdict.gap_us;
		verdict = (struct eb_verdict){ 0 };
		plugin->receive(trial->codec.state, &input, &verdict);
	}
	if (listens && verdict.kind == EB_UNASKED &&
		overhear(trial, request, &verdict, contents) >= 0)
		return true;
	if (verdict.kind == EB_ANSWER) {
		buffer_put(contents, verdict.content, verdict.content_size);
		return true;
	}
	trial_fail(trial, "frame is not what the poll waits for: plugin %s says %s", plugin->name,
		verdict.kind == EB_MORE              ? "that more is to come"
			: verdict.kind == EB_UNASKED ? "that it is another"
						     : error_class_name(verdict.error));
	return false;
}

/* ---- polls ---------------------------------------------------------------------------------- */

void trial_plan(struct trial *trial, const struct buffer *list)
{
	struct value header;
	struct value_reader reader = value_reader(list->data, list->size);
	value_next(&reader, &header);
	plan_release(trial->plan);
	trial->plan = plan_create(0, &trial->address, header.size);
	for (size_t i = 0; i < header.size; i++) {
		const uint8_t *from = reader.at;
		value_skip(&reader);
		if (poll_init(&trial->plan->polls[i], trial->codec.plugin, trial->codec.state,
			    &trial->address, from, (size_t)(reader.at - from), SETTINGS_SCRIPT,
			    trial->item->place, trial->problems) < 0) {
			trial->failures++;
			trial->plan->count = i;
			return;
		}
	}
}

/* The script's polls as the plugin accepts them. */
static void make_plan(struct trial *trial)
{
	OWNED_BUFFER list = BUFFER_EMPTY;
	if (script_polls(trial->device, &list, &trial->polls_error) == 0)
		trial_plan(trial, &list);
}

static void check_polls(struct trial *trial)
{
	if (trial->step->answers) {
		trial_fail(trial,
			"answers belong to a command: what becomes of the requests of "
			"discover stands in discover");
		return;
	}
	struct script_error error;
	OWNED_BUFFER list = BUFFER_EMPTY;
	if (script_polls(trial->device, &list, &error) < 0) {
		trial_check_error(trial, "polls", &error);
		return;
	}
	if (text_of(trial, FIXTURE_ERROR))
		trial_fail(
			trial, "polls do not fail, expected \"%s\"", text_of(trial, FIXTURE_ERROR));
	if (text_of(trial, FIXTURE_POLLS))
		trial_compare(trial, FIXTURE_POLLS, &list);
	trial_check_frame_count(trial, trial->plan->count);
	for (size_t i = 0; i < trial->plan->count; i++)
		trial_check_frame(trial, &trial->plan->polls[i].request->wire, i);
}

/* ---- readings ------------------------------------------------------------------------------- */

void fixture_put_reports(struct buffer *value, const struct reports *reports)
{
	value_put_list(value, (uint32_t)reports->count);
	for (size_t i = 0; i < reports->count; i++) {
		const struct report *report = reports->items[i];
		bool event = report->kind == REPORT_EVENT;
		value_put_map(value, event ? 2 : 1);
		if (event)
			value_pair_text(value, "event", report->name);
		value_put_text(value, event ? "values" : report_kind_name(report->kind));
		if (report->kind == REPORT_RAW) {
			OWNED_BUFFER digits = BUFFER_EMPTY;
			hex_put(&digits, report->data, report->size);
			value_put_text(value, buffer_text(&digits));
		} else {
			buffer_put(value, report->data, report->size);
		}
	}
}

/* Where one result is expected it stands as it is, not in a list of one. */
static void compare_reports(struct trial *trial, const struct reports *reports)
{
	OWNED_BUFFER list = BUFFER_EMPTY, expected = BUFFER_EMPTY;
	fixture_put_reports(&list, reports);
	if (!trial_parse(trial, FIXTURE_EXPECT, &expected))
		return;
	if (expected.data[0] == VALUE_MAP && reports->count == 1)
		buffer_drop(&list, 1 + sizeof(uint32_t));
	trial_compare(trial, FIXTURE_EXPECT, &list);
}

/* A script without polls gets those of the configuration, whatever they are called. */
static bool find_poll(struct trial *trial, const char *name, size_t *number)
{
	OWNED_BUFFER names = BUFFER_EMPTY;
	for (size_t i = 0; i < trial->plan->count; i++) {
		const struct request *request = trial->plan->polls[i].request;
		if (strcmp(request->name, name) == 0) {
			*number = i;
			return true;
		}
		buffer_printf(&names, "%s%s", i ? ", " : "", request->name);
	}
	if (trial->plan->count) {
		trial_fail(
			trial, "there is no poll \"%s\": there is %s", name, buffer_text(&names));
		return false;
	}
	plan_release(trial->plan);
	trial->plan = plan_create(0, &trial->address, 1);
	trial->plan->polls[0].request = must_alloc(sizeof(struct request));
	trial->plan->polls[0].request->name = must_strdup(name);
	*number = 0;
	return true;
}

/* What the poll read.  An answer of another size never gets to a script, unless its error is tried. */
static bool read_bytes(struct trial *trial, size_t poll, struct buffer *bytes)
{
	const struct eb_request *wire = &trial->plan->polls[poll].request->wire;
	const char *hex = text_of(trial, FIXTURE_HEX), *frame = text_of(trial, FIXTURE_FRAME);
	OWNED_BUFFER raw = BUFFER_EMPTY;
	if (frame && !trial_parse_hex(trial, "frame", frame, &raw))
		return false;
	if (frame && (!raw.size || raw.size > EB_FRAME_MAX)) {
		trial_fail(
			trial, "frame has %zu bytes: it must have 1 to %u", raw.size, EB_FRAME_MAX);
		return false;
	}
	if (frame)
		return unwrap(trial, wire, &raw, bytes);
	if (!trial_parse_hex(trial, "hex", hex, bytes))
		return false;
	if (text_of(trial, FIXTURE_ERROR) || !wire->content_size ||
		bytes->size <= wire->content_size)
		return true;
	trial_fail(trial, "hex has %zu bytes, but the poll reads %u at the most", bytes->size,
		wire->content_size);
	return false;
}

/* What is not expected is a difference too. */
static void check_warnings(struct trial *trial, const struct reports *reports)
{
	OWNED_BUFFER list = BUFFER_EMPTY;
	value_put_list(&list, (uint32_t)reports->warning_count);
	for (size_t i = 0; i < reports->warning_count; i++)
		value_put_text(&list, reports->warnings[i]);
	if (text_of(trial, FIXTURE_WARNINGS))
		trial_compare(trial, FIXTURE_WARNINGS, &list);
	else if (reports->warning_count)
		trial_fail(trial,
			"warns of what warnings does not expect: %s: expect it in warnings = "
			"\"[...]\", or mend the script",
			reports->warnings[0]);
}

static void check_results(struct trial *trial, const char *what, int result,
	const struct reports *reports, const struct script_error *error)
{
	if (result < 0) {
		trial_check_error(trial, what, error);
	} else if (text_of(trial, FIXTURE_ERROR)) {
		trial_fail(trial, "%s does not fail, expected \"%s\"", what,
			text_of(trial, FIXTURE_ERROR));
	} else {
		compare_reports(trial, reports);
		check_warnings(trial, reports);
	}
}

static void check_health(struct trial *trial)
{
	const char *name = text_of(trial, FIXTURE_HEALTH);
	int state = HEALTH_OK;
	while (state < HEALTH_DOWN && strcmp(health_name(state), name) != 0)
		state++;
	struct health *health = health_create(0, state);
	struct reports reports;
	struct script_error error = { .text = "" };
	health->stamp = (struct stamp){ .wall_ms = READ_AT_MS, .synced = true };
	int result = script_health(trial->device, health, &reports, &error);
	check_results(trial, "health", result, &reports, &error);
	reports_finish(&reports);
	message_destroy(&health->mail);
}

static void check_reading(struct trial *trial)
{
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	size_t poll;
	if (!find_poll(trial, text_of(trial, FIXTURE_POLL), &poll) ||
		!read_bytes(trial, poll, &bytes))
		return;
	const struct stamp stamp = { .wall_ms = READ_AT_MS, .synced = true };
	struct reading *reading = reading_create(
		trial->plan, (uint32_t)poll, &stamp, bytes.data, bytes.size);
	struct reports reports;
	struct script_error error = { .text = "" };
	int result = script_decode(trial->device, reading, &reports, &error);
	check_results(trial, "decode", result, &reports, &error);
	reports_finish(&reports);
	message_destroy(&reading->mail);
}

/* ---- cases ---------------------------------------------------------------------------------- */

static void run_step(struct trial *trial)
{
	bool command = text_of(trial, FIXTURE_COMMAND) || text_of(trial, FIXTURE_DOWN_RAW);
	if (!trial->plan && (text_of(trial, FIXTURE_POLL) || command))
		trial_fail(trial, "polls fails: %s", trial->polls_error.text);
	else if (text_of(trial, FIXTURE_POLL))
		check_reading(trial);
	else if (command)
		trial_command(trial);
	else if (trial->step->discover)
		trial_discover(trial);
	else if (text_of(trial, FIXTURE_SETUP))
		trial_setup(trial);
	else if (text_of(trial, FIXTURE_HEALTH))
		check_health(trial);
	else
		check_polls(trial);
}

/*
 * A case may have steps without number, so it is asked before each of them.  Only the cases' own work
 * counts: a machine that does much else at its start must not make them fail.
 */
static bool is_in_time(struct trial *trial)
{
	trial->late = trial->late || clock_thread_us() > trial->end_us;
	return !trial->late;
}

static bool run_case(struct trial *trial, const struct fixture_case *item)
{
	size_t errors = trial->problems->errors;
	trial->item = item;
	trial->step = NULL;
	trial->failures = 0;
	trial->tag = 0;
	trial->conf = (struct conf_device){ .name = (char *)"fixture",
		.place = item->place,
		.address = trial->fixture->address,
		.parameters = item->parameters,
		.points = item->points };
	if (script_check_parameters(trial->script, &trial->conf, trial->problems) < 0)
		return false;
	trial->device = script_device_create(trial->script, &trial->conf);
	make_plan(trial);
	for (size_t i = 0; i < item->step_count && !trial->failures && is_in_time(trial); i++) {
		trial->step = &item->steps[i];
		run_step(trial);
	}
	script_device_destroy(trial->device);
	plan_release(TAKE(trial->plan));
	return trial->problems->errors == errors && !trial->late;
}

static int run_cases(struct trial *trial, struct problems *problems)
{
	struct conf_device device = { .name = (char *)"fixture",
		.place = trial->fixture->address_place,
		.address = trial->fixture->address };
	int failed = 0;
	if (codec_open(&trial->codec, &trial->fixture->bus, problems) < 0 ||
		codec_address(&trial->codec, &device, &trial->address, problems) < 0)
		failed = -EINVAL;
	int64_t time_us = trial->fixture->time_us;
	trial->end_us = time_us ? clock_thread_us() + time_us : INT64_MAX;
	for (size_t i = 0; failed >= 0 && !trial->late && i < trial->fixture->case_count; i++)
		failed += run_case(trial, &trial->fixture->cases[i]) ? 0 : 1;
	if (trial->late)
		problem_error(problems, (struct place){ trial->fixture->source.file, 0 },
			"the cases take more than %jd ms of processor time, so not all were run: "
			"split them, or make the script quicker",
			(intmax_t)trial->fixture->time_us / USEC_PER_MSEC);
	codec_close(&trial->codec);
	return failed;
}

int fixture_run(
	const struct fixture *fixture, const struct conf_scripts *limits, struct problems *problems)
{
	struct trial trial = { .fixture = fixture, .problems = problems };
	struct script_error error;
	if (script_load(&trial.script, fixture->script, limits, &error) < 0) {
		problem_error(
			problems, (struct place){ fixture->source.file, 0 }, "%s", error.text);
		return -EINVAL;
	}
	if (fixture->quiet)
		script_be_quiet(trial.script);
	int failed = run_cases(&trial, problems);
	script_destroy(trial.script);
	return failed;
}
