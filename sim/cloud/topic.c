/* SPDX-License-Identifier: Apache-2.0 */
/* What a device can do once it is in: the topics of sections 4 and 5 of the protocol. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "sim.h"
#include "util/alloc.h"
#include "util/hex.h"
#include "util/json.h"

static const char event_prefix[] = "thing/event/", event_suffix[] = "/post";
static const char service_prefix[] = "thing/service/", reply_suffix[] = "_reply";

struct topic {
	const char *path;
	bool (*check)(struct payload *payload, const char *method, struct verdict *verdict);
	void (*accept)(struct call *call);
};

/* Begins the transcript's line of an accepted message; NULL where nobody reads it. */
static struct buffer *begin_line(struct call *call, const char *event)
{
	if (!journal_read(call->sim->journal))
		return NULL;
	struct buffer *line = journal_begin(call->sim->journal, event, call->device);
	buffer_put_text(line, ",\"topic\":");
	json_put_text(line, call->topic);
	if (call->sequence)
		buffer_printf(line, ",\"n\":%lld", (long long)call->sequence);
	return line;
}

static void write_json_line(struct call *call, const char *event)
{
	struct buffer *line = begin_line(call, event);
	if (!line)
		return;
	const struct buffer *value = &call->sim->payload.value;
	buffer_put_text(line, ",\"payload\":");
	json_print_value(line, value->data, value->size);
	journal_end(call->sim->journal);
}

static void count_message(struct call *call)
{
	journal_stats(call->sim->journal)->messages++;
	call->device->messages++;
}

/* What a late report says was so once; the current value is another. */
static void set_current(struct stats *stats, struct point *point,
	const struct reported_point *reported, int64_t time_ms)
{
	stats->set_back += time_ms < point->time_ms;
	buffer_clear(&point->value);
	buffer_put(&point->value, reported->value.data, reported->value.size);
	point->quality = reported->quality;
	point->time_ms = time_ms;
}

/* One report of points was accepted: counts it and remembers its values. */
static void take_report(struct call *call, struct points_report *report, bool late)
{
	struct sim *sim = call->sim;
	struct stats *stats = journal_stats(sim->journal);
	bool repeated = false;
	int64_t now_ms = clock_wall_ms(loop_clock(sim->loop));
	for (size_t i = 0; i < report->count; i++) {
		struct reported_point reported;
		report_next_point(report, &reported);
		bool again = report->has_time &&
			seen_before(sim->seen, call->device, reported.name, reported.name_size,
				report->time_ms);
		stats->duplicate_points += again;
		repeated |= again;
		struct point *point = device_point(call->device, reported.name, reported.name_size);
		if (!late || !point->count)
			set_current(stats, point, &reported,
				report->has_time ? report->time_ms : now_ms);
		point->count++;
	}
	stats->points += report->count;
	stats->late_readings += late;
	stats->readings++;
	stats->duplicate_readings += repeated;
	call->device->readings++;
}

static void take_reports(struct call *call, bool batch, bool late)
{
	size_t count;
	struct value_reader reader = payload_reports(&call->sim->payload, batch, &count);
	for (size_t i = 0; i < count; i++) {
		struct points_report report;
		report_next(&reader, &report);
		take_report(call, &report, late);
	}
	write_json_line(call, "report");
}

static void accept_post(struct call *call)
{
	take_reports(call, false, false);
}

static void accept_resume(struct call *call)
{
	take_reports(call, false, true);
}

static void accept_batch(struct call *call)
{
	journal_stats(call->sim->journal)->batches++;
	take_reports(call, true, false);
}

static void accept_resume_batch(struct call *call)
{
	journal_stats(call->sim->journal)->batches++;
	take_reports(call, true, true);
}

static void accept_attributes(struct call *call)
{
	journal_stats(call->sim->journal)->attributes++;
	write_json_line(call, "attributes");
}

static void accept_query(struct call *call)
{
	journal_stats(call->sim->journal)->queries++;
	write_json_line(call, "query");
}

static void accept_event(struct call *call)
{
	journal_stats(call->sim->journal)->events++;
	write_json_line(call, "event");
}

static const struct topic topics[] = {
	{ "thing/measurepoint/post", payload_check_report, accept_post },
	{ "thing/measurepoint/resume", payload_check_report, accept_resume },
	{ "thing/measurepoint/post/batch", payload_check_batch, accept_batch },
	{ "thing/measurepoint/resume/batch", payload_check_batch, accept_resume_batch },
	{ "thing/attribute/update", payload_check_attributes, accept_attributes },
	{ "thing/attribute/query", payload_check_query, accept_query },
	{ "thing/tag/query", payload_check_query, accept_query },
};

static const struct topic event_topic = { "", payload_check_event, accept_event };

static bool starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool ends(const char *text, const char *suffix)
{
	size_t size = strlen(text), length = strlen(suffix);
	return size >= length && strcmp(text + size - length, suffix) == 0;
}

/* Whether one segment, and no more, stands between the prefix and the suffix. */
static bool one_between(const char *text, const char *prefix, const char *suffix)
{
	if (!starts(text, prefix) || !ends(text, suffix))
		return false;
	size_t head = strlen(prefix), tail = strlen(suffix), size = strlen(text);
	return size > head + tail && !memchr(text + head, '/', size - head - tail);
}

/* A topic that a POST with JSON goes to, NULL where it is none. */
static const struct topic *report_topic(const char *path)
{
	for (size_t i = 0; i < sizeof(topics) / sizeof(*topics); i++) {
		if (strcmp(path, topics[i].path) == 0)
			return &topics[i];
	}
	return one_between(path, event_prefix, event_suffix) ? &event_topic : NULL;
}

bool topic_is_command(const char *path)
{
	return strcmp(path, "thing/model/down_raw") == 0 ||
		strcmp(path, "thing/service/measurepoint/set") == 0 ||
		(one_between(path, service_prefix, "") && !ends(path, reply_suffix));
}

static bool check_size(struct call *call)
{
	size_t size = call->packet->payload.size;
	char text[80];
	if (!size) {
		call_violate(call, CODE_BAD_REQUEST, VIOLATION_PAYLOAD_EMPTY, "no payload");
		return false;
	}
	/* In blocks it may be longer. */
	if (size > call->sim->settings.payload_max && !call->packet->block1.there) {
		snprintf(text, sizeof(text), "%zu bytes of payload, %zu are allowed", size,
			call->sim->settings.payload_max);
		call_violate(call, CODE_BAD_REQUEST, VIOLATION_PAYLOAD_SIZE, text);
		return false;
	}
	return true;
}

/* {"id":"..","code":200,"data":""} */
static void answer_json(struct call *call, const char *id, int64_t code)
{
	call_answer(call, CODE_CHANGED);
	struct buffer *text = &call->answer->payload;
	buffer_put_text(text, "{\"id\":");
	json_put_text(text, id);
	buffer_put_text(text, ",\"code\":");
	json_put_integer(text, code);
	buffer_put_text(text, ",\"data\":\"\"}");
}

/* Whether the model says no, by fault. */
static bool rejected(struct call *call, const char *id)
{
	if (!fault_strikes(call->source.plan, call->source.dice, FAULT_REJECT))
		return false;
	int64_t code = call->source.plan->reject_code;
	answer_json(call, id, code);
	journal_stats(call->sim->journal)->rejected++;
	struct buffer *line = begin_line(call, "rejected");
	if (line) {
		buffer_printf(line, ",\"code\":%lld", (long long)code);
		journal_end(call->sim->journal);
	}
	return true;
}

static void serve_report(struct call *call, const struct topic *topic)
{
	struct payload *payload = &call->sim->payload;
	struct verdict verdict;
	if (!check_size(call))
		return;
	char method[200];
	snprintf(method, sizeof(method), "%s", call->topic);
	for (char *c = method; *c; c++)
		*c = *c == '/' ? '.' : *c;
	if (!payload_parse(payload, call->packet->payload, &verdict) ||
		!topic->check(payload, method, &verdict)) {
		call_violate(call, CODE_BAD_REQUEST, verdict.violation, verdict.text);
		return;
	}
	if (rejected(call, payload->id))
		return;
	count_message(call);
	topic->accept(call);
	answer_json(call, payload->id, 200);
}

static void serve_raw(struct call *call)
{
	if (!check_size(call) || rejected(call, ""))
		return;
	count_message(call);
	journal_stats(call->sim->journal)->raw++;
	call_answer(call, CODE_CHANGED);
	struct buffer *line = begin_line(call, "raw");
	if (!line)
		return;
	buffer_put_text(line, ",\"hex\":\"");
	hex_put(line, call->packet->payload.data, call->packet->payload.size);
	buffer_put_byte(line, '"');
	journal_end(call->sim->journal);
}

static void serve_reply(struct call *call, const char *topic)
{
	struct payload *payload = &call->sim->payload;
	struct verdict verdict;
	if (!check_size(call))
		return;
	call_answer(call, CODE_CHANGED);
	if (strcmp(topic, "thing/model/down_raw") == 0) {
		commands_reply(call, topic, NULL, 0);
		return;
	}
	if (!payload_parse(payload, call->packet->payload, &verdict) ||
		!payload_check_reply(payload, &verdict))
		call_violate(call, CODE_BAD_REQUEST, verdict.violation, verdict.text);
	else
		commands_reply(call, topic, payload->id, payload->code);
}

static void serve_get(struct call *call)
{
	if (call->packet->payload.size)
		call_violate(
			call, CODE_BAD_REQUEST, VIOLATION_PAYLOAD_UNWANTED, "a GET with a payload");
	else if (call->sim->settings.piggyback)
		call_violate(call, CODE_NOT_ALLOWED, VIOLATION_METHOD,
			"the piggyback dialect brings commands in answers, there is no GET");
	else
		commands_fetch(call);
}

void topic_serve(struct call *call)
{
	const struct topic *topic = report_topic(call->topic);
	uint8_t method = call->packet->code;
	bool raw = strcmp(call->topic, "thing/model/up_raw") == 0;
	bool command = topic_is_command(call->topic);
	OWNED char *replied = must_strdup(call->topic);
	bool reply = ends(replied, reply_suffix);
	if (reply)
		replied[strlen(replied) - strlen(reply_suffix)] = 0;
	reply = reply && topic_is_command(replied);
	if (!topic && !raw && !command && !reply)
		call_violate(call, CODE_NOT_FOUND, VIOLATION_PATH, "the topic does not exist");
	else if (method != (command ? CODE_GET : CODE_POST))
		call_violate(call, CODE_NOT_ALLOWED, VIOLATION_METHOD,
			command ? "the topic takes a GET" : "the topic takes a POST");
	else if (topic)
		serve_report(call, topic);
	else if (raw)
		serve_raw(call);
	else if (command)
		serve_get(call);
	else
		serve_reply(call, replied);
}
