/* SPDX-License-Identifier: Apache-2.0 */
#include "payload.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/json.h"

/* What can be ms since 1970: 1973 to 5138; seconds and µs are outside. */
#define TIME_LEAST INT64_C(100000000000)
#define TIME_MOST INT64_C(99999999999999)

static bool refuse(struct verdict *verdict, enum violation violation, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool refuse(struct verdict *verdict, enum violation violation, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(verdict->text, sizeof(verdict->text), format, arguments);
	va_end(arguments);
	verdict->violation = violation;
	return false;
}

void payload_finish(struct payload *payload)
{
	buffer_finish(&payload->value);
}

static bool key_is(const struct value *key, const char *name)
{
	return strcmp(key->text, name) == 0;
}

static void take_member(
	struct payload *payload, const struct value *key, struct value_reader *reader)
{
	struct value_reader before = *reader;
	struct value value;
	value_skip(reader);
	struct value_reader within = before;
	value_next(&within, &value);
	const char *text = value.type == VALUE_STRING ? value.text : NULL;
	if (key_is(key, "id")) {
		payload->id = text;
	} else if (key_is(key, "version")) {
		payload->version = text;
	} else if (key_is(key, "method")) {
		payload->method = text;
	} else if (key_is(key, "params")) {
		payload->has_params = true;
		payload->params = before;
	} else if (key_is(key, "code")) {
		payload->has_code = value.type == VALUE_INTEGER;
		payload->code = value.integer;
		payload->other |= !payload->has_code;
	} else if (key_is(key, "data")) {
		payload->has_data = true;
	} else {
		payload->other = true;
	}
}

bool payload_parse(struct payload *payload, struct bytes text, struct verdict *verdict)
{
	char error[120];
	struct value map, key;
	struct buffer value = payload->value;
	buffer_clear(&value);
	*payload = (struct payload){ .value = value };
	if (json_parse(&payload->value, text.data, text.size, error, sizeof(error)) < 0)
		return refuse(verdict, VIOLATION_JSON, "%s", error);
	struct value_reader reader = value_reader(payload->value.data, payload->value.size);
	if (!value_next(&reader, &map) || map.type != VALUE_MAP)
		return refuse(verdict, VIOLATION_SHAPE, "the JSON is no object");
	for (size_t i = 0; i < map.size; i++) {
		value_next(&reader, &key);
		take_member(payload, &key, &reader);
	}
	return true;
}

static bool check_envelope(struct payload *payload, const char *method, struct verdict *verdict)
{
	if (!payload->id || !payload->id[0])
		return refuse(verdict, VIOLATION_SHAPE, "no \"id\", or it is no string");
	if (!payload->version || strcmp(payload->version, "1.0") != 0)
		return refuse(verdict, VIOLATION_SHAPE, "\"version\" is not \"1.0\"");
	if (!payload->method || strcmp(payload->method, method) != 0)
		return refuse(verdict, VIOLATION_METHOD_NAME, "\"method\" is not \"%s\"", method);
	if (!payload->has_params)
		return refuse(verdict, VIOLATION_SHAPE, "no \"params\"");
	if (payload->has_code || payload->has_data || payload->other)
		return refuse(verdict, VIOLATION_SHAPE,
			"a member besides id, version, method and params");
	return true;
}

static bool check_time(const struct value *time, struct verdict *verdict)
{
	if (time->type != VALUE_INTEGER || time->integer < TIME_LEAST || time->integer > TIME_MOST)
		return refuse(verdict, VIOLATION_TIME, "\"time\" is no integer of ms since 1970");
	return true;
}

/* {"value":v,"quality":q}; the reader stands behind the header of the map. */
static bool check_point_map(
	const char *name, size_t pairs, struct value_reader *reader, struct verdict *verdict)
{
	bool has_value = false;
	for (size_t i = 0; i < pairs; i++) {
		struct value key;
		value_next(reader, &key);
		struct value_reader within = *reader;
		struct value value;
		value_skip(reader);
		value_next(&within, &value);
		if (key_is(&key, "value")) {
			has_value = value.type != VALUE_NULL;
		} else if (!key_is(&key, "quality")) {
			return refuse(verdict, VIOLATION_POINTS,
				"point \"%s\" has a member besides value and quality", name);
		} else if (value.type != VALUE_INTEGER || value.integer < 0 || value.integer > 9) {
			return refuse(verdict, VIOLATION_QUALITY,
				"the quality of \"%s\" is no integer from 0 to 9", name);
		}
	}
	if (!has_value)
		return refuse(verdict, VIOLATION_POINTS, "point \"%s\" has no value", name);
	return true;
}

/* The map of points; the reader stands in front of it. */
static bool check_points(struct value_reader *reader, struct verdict *verdict)
{
	struct value map, name, value;
	value_next(reader, &map);
	if (map.type != VALUE_MAP || !map.size)
		return refuse(verdict, VIOLATION_POINTS, "\"measurepoints\" has no points");
	for (size_t i = 0; i < map.size; i++) {
		value_next(reader, &name);
		struct value_reader within = *reader;
		value_skip(reader);
		value_next(&within, &value);
		if (!name.size)
			return refuse(verdict, VIOLATION_POINTS, "a point without a name");
		if (value.type == VALUE_NULL)
			return refuse(verdict, VIOLATION_POINTS, "point \"%s\" is null", name.text);
		if (value.type == VALUE_MAP &&
			!check_point_map(name.text, value.size, &within, verdict))
			return false;
	}
	return true;
}

/* {member:{...},"time":t}, the reader in front of it; what the member holds is for check(). */
static bool check_timed(struct value_reader *reader, const char *member, bool needs_time,
	bool (*check)(struct value_reader *reader, struct verdict *verdict),
	struct verdict *verdict)
{
	struct value map, key, value;
	bool has_member = false, has_time = false;
	value_next(reader, &map);
	if (map.type != VALUE_MAP)
		return refuse(
			verdict, VIOLATION_SHAPE, "what should hold \"%s\" is no object", member);
	for (size_t i = 0; i < map.size; i++) {
		value_next(reader, &key);
		if (key_is(&key, member)) {
			has_member = true;
			if (!check(reader, verdict))
				return false;
		} else if (key_is(&key, "time") && value_next(reader, &value)) {
			has_time = true;
			if (!check_time(&value, verdict))
				return false;
		} else {
			return refuse(verdict, VIOLATION_SHAPE,
				"\"params\" has a member besides %s and time", member);
		}
	}
	if (!has_member)
		return refuse(verdict, VIOLATION_SHAPE, "no \"%s\"", member);
	if (needs_time && !has_time)
		return refuse(verdict, VIOLATION_TIME, "an element of the batch has no time");
	return true;
}

bool payload_check_report(struct payload *payload, const char *method, struct verdict *verdict)
{
	struct value_reader reader = payload->params;
	return check_envelope(payload, method, verdict) &&
		check_timed(&reader, "measurepoints", false, check_points, verdict);
}

bool payload_check_batch(struct payload *payload, const char *method, struct verdict *verdict)
{
	struct value_reader reader = payload->params;
	struct value list;
	if (!check_envelope(payload, method, verdict))
		return false;
	value_next(&reader, &list);
	if (list.type != VALUE_LIST || !list.size)
		return refuse(verdict, VIOLATION_BATCH, "\"params\" is no array of reports");
	for (size_t i = 0; i < list.size; i++) {
		struct value_reader within = reader;
		struct value element;
		value_next(&within, &element);
		if (element.type != VALUE_MAP)
			return refuse(verdict, VIOLATION_BATCH, "element %zu is no report", i + 1);
		if (!check_timed(&reader, "measurepoints", true, check_points, verdict))
			return false;
	}
	return true;
}

static bool check_events(struct value_reader *reader, struct verdict *verdict)
{
	struct value_reader within = *reader;
	struct value map;
	value_next(&within, &map);
	value_skip(reader);
	if (map.type != VALUE_MAP)
		return refuse(verdict, VIOLATION_SHAPE, "\"events\" is no object");
	return true;
}

bool payload_check_event(struct payload *payload, const char *method, struct verdict *verdict)
{
	struct value_reader reader = payload->params;
	return check_envelope(payload, method, verdict) &&
		check_timed(&reader, "events", false, check_events, verdict);
}

bool payload_check_attributes(struct payload *payload, const char *method, struct verdict *verdict)
{
	if (!check_envelope(payload, method, verdict))
		return false;
	struct value_reader reader = payload->params;
	struct value params, key, attributes;
	value_next(&reader, &params);
	if (params.type != VALUE_MAP || params.size != 1 || !value_next(&reader, &key) ||
		!key_is(&key, "attributes") || !value_next(&reader, &attributes) ||
		attributes.type != VALUE_MAP)
		return refuse(verdict, VIOLATION_SHAPE, "\"params\" is not {\"attributes\":{...}}");
	if (!attributes.size || attributes.size > ATTRIBUTES_MAX)
		return refuse(verdict, VIOLATION_ATTRIBUTES,
			"%zu attributes: from 1 to %d are allowed", attributes.size,
			ATTRIBUTES_MAX);
	return true;
}

bool payload_check_query(struct payload *payload, const char *method, struct verdict *verdict)
{
	return check_envelope(payload, method, verdict);
}

bool payload_check_reply(struct payload *payload, struct verdict *verdict)
{
	if (!payload->id || !payload->id[0])
		return refuse(verdict, VIOLATION_REPLY_SHAPE, "no \"id\", or it is no string");
	if (!payload->has_code)
		return refuse(verdict, VIOLATION_REPLY_SHAPE, "no \"code\", or it is no integer");
	if (!payload->has_data)
		return refuse(verdict, VIOLATION_REPLY_SHAPE, "no \"data\"");
	if (payload->other || payload->version || payload->method || payload->has_params)
		return refuse(verdict, VIOLATION_REPLY_SHAPE, "a member besides id, code and data");
	return true;
}

struct value_reader payload_reports(const struct payload *payload, bool batch, size_t *count)
{
	struct value_reader reader = payload->params;
	struct value list;
	*count = 1;
	if (batch) {
		value_next(&reader, &list);
		*count = list.size;
	}
	return reader;
}

void report_next(struct value_reader *reader, struct points_report *report)
{
	struct value map, key, value;
	*report = (struct points_report){ .has_time = false };
	value_next(reader, &map);
	for (size_t i = 0; i < map.size; i++) {
		value_next(reader, &key);
		struct value_reader within = *reader;
		value_skip(reader);
		value_next(&within, &value);
		if (key_is(&key, "time")) {
			report->has_time = true;
			report->time_ms = value.integer;
		} else {
			report->points = within;
			report->count = value.size;
		}
	}
}

void report_next_point(struct points_report *report, struct reported_point *point)
{
	struct value name, value;
	value_next(&report->points, &name);
	*point = (struct reported_point){
		.name = name.text, .name_size = name.size, .quality = -1
	};
	struct value_reader within = report->points;
	point->value.data = within.at;
	value_skip(&report->points);
	point->value.size = (size_t)(report->points.at - within.at);
	value_next(&within, &value);
	if (value.type != VALUE_MAP)
		return;
	size_t pairs = value.size;
	for (size_t i = 0; i < pairs; i++) {
		struct value key;
		value_next(&within, &key);
		const uint8_t *begin = within.at;
		value_next(&within, &value);
		if (key_is(&key, "quality")) {
			point->quality = value.integer;
			continue;
		}
		within.at = begin;
		value_skip(&within);
		point->value = (struct bytes){ begin, (size_t)(within.at - begin) };
	}
}
