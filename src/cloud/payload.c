/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/payload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cloud/endpoint.h"
#include "util/alloc.h"
#include "util/json.h"

/* EnOS takes no more attributes in one message. */
#define ATTRIBUTES_MAX 200

void payload_finish(struct payload *payload)
{
	buffer_finish(&payload->topic);
	buffer_finish(&payload->body);
}

static int refuse(struct payload *payload, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int refuse(struct payload *payload, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(payload->reason, sizeof(payload->reason), format, arguments);
	va_end(arguments);
	return -EINVAL;
}

/* What a message of items is made of. */
struct form {
	const char *field; /* in params, that holds the items */
	bool timed;
	uint32_t items_max; /* in one message */
};

static const struct form forms[] = {
	[REPORT_POINTS] = { "measurepoints", true, UINT32_MAX },
	[REPORT_EVENT] = { "events", true, UINT32_MAX },
	[REPORT_ATTRIBUTES] = { "attributes", false, ATTRIBUTES_MAX },
};

static void begin(struct payload *payload, uint32_t id, const char *topic, const char *method)
{
	buffer_clear(&payload->topic);
	buffer_put_text(&payload->topic, topic);
	buffer_clear(&payload->body);
	buffer_put_text(&payload->body, "{\"id\":\"");
	json_put_integer(&payload->body, id);
	buffer_put_text(&payload->body, "\",\"version\":\"1.0\",\"method\":\"");
	buffer_put_text(&payload->body, method);
	buffer_put_text(&payload->body, "\",\"params\":");
	payload->format = CONTENT_JSON;
}

static void begin_event(struct payload *payload, uint32_t id, const char *name)
{
	char topic[32 + REPORT_NAME_MAX], method[32 + REPORT_NAME_MAX];
	snprintf(topic, sizeof(topic), "thing/event/%s/post", name);
	snprintf(method, sizeof(method), "thing.event.%s.post", name);
	begin(payload, id, topic, method);
}

static bool is_late(const struct report *report, const struct payload_terms *terms)
{
	return report->kind == REPORT_POINTS &&
		calendar_time(terms->calendar, &report->stamp) < terms->late_ms;
}

static void begin_report(
	struct payload *payload, uint32_t id, const struct report *report, bool late)
{
	if (report->kind == REPORT_EVENT)
		begin_event(payload, id, report->name);
	else if (report->kind == REPORT_ATTRIBUTES)
		begin(payload, id, "thing/attribute/update", "thing.attribute.update");
	else if (late)
		begin(payload, id, "thing/measurepoint/resume", "thing.measurepoint.resume");
	else
		begin(payload, id, "thing/measurepoint/post", "thing.measurepoint.post");
}

/* "}" or ","time":1700000000000}" behind the items. */
static void end_items(struct buffer *body, const struct form *form, int64_t wall_ms)
{
	buffer_put_byte(body, '}');
	if (form->timed) {
		buffer_put_text(body, ",\"time\":");
		json_put_integer(body, wall_ms);
	}
	buffer_put_byte(body, '}');
}

/* Bytes that follow the items at most: a time has up to 20 digits. */
#define END_ROOM (sizeof("},\"time\":}}") + 20)

/* An item that is in the way ends the message before it, or is refused where it comes first. */
static int refuse_item(struct payload *payload, struct draft *draft, uint32_t item, size_t items,
	const struct value *key, size_t max)
{
	bool fits = payload->body.size <= max;
	draft->to = item + 1;
	draft->last = draft->to == items;
	return refuse(payload,
		fits ? "\"%.64s\" is no number that JSON can say"
		     : "\"%.64s\" does not fit into a message (enos.max_payload)",
		key->text);
}

/*
 * {"measurepoints":{...},"time":...} with the report's items from draft->from up to draft->to; or,
 * where draft->to is 0, with as many as leave the body within max, which sets draft->to.
 */
static int put_items(struct payload *payload, const struct report *report,
	const struct payload_terms *terms, struct draft *draft, size_t max)
{
	const struct form *form = &forms[report->kind];
	struct buffer *body = &payload->body;
	struct value_reader reader = value_reader(report->data, report->size);
	struct value map, key;
	draft->last = true;
	if (!value_next(&reader, &map) || map.type != VALUE_MAP || map.size <= draft->from)
		return refuse(
			payload, "the %s report has nothing in it", report_kind_name(report->kind));
	buffer_put_text(body, "{\"");
	buffer_put_text(body, form->field);
	buffer_put_text(body, "\":{");
	uint32_t item = 0, end = draft->to ? draft->to : (uint32_t)map.size;
	if (end - draft->from > form->items_max)
		end = draft->from + form->items_max;
	for (; item < end; item++) {
		if (!value_next(&reader, &key))
			return refuse(payload, "the report is damaged");
		if (item < draft->from) {
			value_skip(&reader);
			continue;
		}
		size_t before = body->size;
		if (item > draft->from)
			buffer_put_byte(body, ',');
		json_put_string(body, key.text, key.size);
		buffer_put_byte(body, ':');
		bool said = json_print(body, &reader) == 0;
		if (said && body->size <= max)
			continue;
		if (item == draft->from || report->kind == REPORT_EVENT)
			return refuse_item(payload, draft, item, map.size, &key, max);
		body->size = before;
		break;
	}
	draft->to = item;
	draft->last = item == map.size;
	end_items(body, form, calendar_time(terms->calendar, &report->stamp));
	return 0;
}

/*
 * As many reports of points as fit, all of them late or none; another, or one that does not fit, ends it.
 * Returns how many.
 */
static uint32_t put_batch(struct payload *payload, const struct report *const *reports,
	size_t count, uint32_t id, const struct payload_terms *terms)
{
	size_t max = terms->max_size;
	struct buffer *body = &payload->body;
	bool late = is_late(reports[0], terms);
	if (late)
		begin(payload, id, "thing/measurepoint/resume/batch",
			"thing.measurepoint.resume.batch");
	else
		begin(payload, id, "thing/measurepoint/post/batch",
			"thing.measurepoint.post.batch");
	buffer_put_byte(body, '[');
	uint32_t done = 0;
	for (; done < count && done < PAYLOAD_BATCH_MAX; done++) {
		const struct report *report = reports[done];
		if (report->kind != REPORT_POINTS || is_late(report, terms) != late)
			break;
		struct draft whole = { .from = 0 };
		size_t before = body->size;
		if (done)
			buffer_put_byte(body, ',');
		if (put_items(payload, report, terms, &whole, max) < 0 || !whole.last ||
			body->size + 2 > max) {
			body->size = before;
			break;
		}
	}
	buffer_put_text(body, "]}");
	return done;
}

static int write_raw(
	struct payload *payload, const struct report *report, struct draft *draft, size_t max)
{
	draft->count = 1;
	draft->last = true;
	if (report->size > max)
		return refuse(payload,
			"the script reported %u raw bytes, more than the %zu that go in a message: "
			"check max_payload and block_wise in enos",
			report->size, max);
	buffer_clear(&payload->topic);
	buffer_put_text(&payload->topic, "thing/model/up_raw");
	buffer_clear(&payload->body);
	buffer_put(&payload->body, report->data, report->size);
	payload->format = CONTENT_OCTETS;
	return 0;
}

static bool event_name_fits(const char *name)
{
	/* It becomes a level of the topic, and a word of the method. */
	return *name && !strpbrk(name, "/\"\\#+");
}

int payload_write(struct payload *payload, const struct report *const *reports, size_t count,
	struct draft *draft, const struct payload_terms *terms)
{
	const struct report *report = reports[0];
	size_t whole = terms->max_whole > terms->max_size ? terms->max_whole : terms->max_size;
	size_t together = draft->count ? draft->count : terms->batch && !draft->from ? count : 1;
	if (report->kind == REPORT_RAW)
		return write_raw(payload, report, draft, whole);
	if (together > 1) {
		uint32_t done = put_batch(payload, reports, together, draft->id, terms);
		if (done > 1) {
			draft->count = done;
			draft->last = true;
			return 0;
		}
	}
	draft->count = 1;
	draft->last = true;
	if (report->kind == REPORT_EVENT && !event_name_fits(report->name))
		return refuse(payload, "\"%s\" cannot be the name of an event", report->name);
	begin_report(payload, draft->id, report, is_late(report, terms));
	size_t max = report->kind == REPORT_EVENT ? whole : terms->max_size;
	max = max > END_ROOM ? max - END_ROOM : 0;
	int result = put_items(payload, report, terms, draft, max);
	buffer_put_byte(&payload->body, '}');
	return result;
}

void payload_write_query(struct payload *payload, const char *topic, uint32_t id)
{
	/* The method of a topic is its own levels with dots. */
	char method[256];
	snprintf(method, sizeof(method), "%s", topic);
	for (char *c = method; *c; c++) {
		if (*c == '/')
			*c = '.';
	}
	begin(payload, id, topic, method);
	buffer_put_text(&payload->body, "{}}");
}

void payload_write_login(struct payload *payload, uint32_t lifetime_s, const char *sign)
{
	buffer_clear(&payload->body);
	buffer_printf(&payload->body, "{\"secureMode\":2,\"lifetime\":%u,\"sign\":\"%s\"}",
		lifetime_s, sign);
	payload->format = CONTENT_JSON;
}

static int read_object(struct buffer *scratch, const void *payload, size_t size)
{
	char error[120];
	buffer_clear(scratch);
	if (!size || json_parse(scratch, payload, size, error, sizeof(error)) < 0)
		return -EINVAL;
	return scratch->data[0] == VALUE_MAP ? 0 : -EINVAL;
}

int64_t payload_read_code(struct buffer *scratch, const void *payload, size_t size)
{
	struct value code;
	if (!size)
		return 200;
	if (read_object(scratch, payload, size) < 0)
		return -EINVAL;
	if (!value_find(scratch->data, scratch->size, "code", &code, NULL) ||
		code.type != VALUE_INTEGER)
		return 200;
	/* Nothing below 0 is a code; it must not look like our own errors. */
	return code.integer < 0 ? 0 : code.integer;
}

char *payload_read_token(struct buffer *scratch, const void *payload, size_t size)
{
	struct value token;
	if (read_object(scratch, payload, size) < 0 ||
		!value_find(scratch->data, scratch->size, "token", &token, NULL) ||
		token.type != VALUE_STRING || !token.size || strlen(token.text) != token.size)
		return NULL;
	return must_strdup(token.text);
}
