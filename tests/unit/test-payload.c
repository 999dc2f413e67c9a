/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cloud/endpoint.h"
#include "cloud/payload.h"
#include "util/json.h"

static const struct payload_terms one_kb = { .max_size = 1024, .batch = true };

static struct report *report_of(enum report_kind kind, int64_t wall_ms, const char *json)
{
	OWNED_BUFFER value = BUFFER_EMPTY;
	char error[120];
	struct stamp stamp = { .wall_ms = wall_ms };
	assert_int_equal(json_parse(&value, json, strlen(json), error, sizeof(error)), 0);
	return report_create(0, kind, &stamp, value.data, value.size);
}

/* "p0".."pN" with the number as value. */
static struct report *many_points(enum report_kind kind, int count)
{
	OWNED_BUFFER json = BUFFER_EMPTY;
	buffer_put_byte(&json, '{');
	for (int i = 0; i < count; i++)
		buffer_printf(&json, "%s\"p%d\":%d", i ? "," : "", i, i);
	buffer_put_byte(&json, '}');
	return report_of(kind, 1700000000000, buffer_text(&json));
}

static void expect(const struct payload *payload, const char *topic, const char *body)
{
	assert_string_equal(buffer_text(&payload->topic), topic);
	assert_string_equal(buffer_text(&payload->body), body);
}

static void writes_points(void **state)
{
	struct payload payload = { .format = 0 };
	struct draft draft = { .id = 1 };
	struct report *report = report_of(REPORT_POINTS, 1700000000000,
		"{\"Power\":{\"value\":1.0,\"quality\":9},\"temp\":1.02,\"n\":9007199254740993}");
	const struct report *reports[] = { report };
	assert_int_equal(payload_write(&payload, reports, 1, &draft, &one_kb), 0);
	expect(&payload, "thing/measurepoint/post",
		"{\"id\":\"1\",\"version\":\"1.0\",\"method\":\"thing.measurepoint.post\",\"params\":{"
		"\"measurepoints\":{\"Power\":{\"value\":1.0,\"quality\":9},\"temp\":1.02,"
		"\"n\":9007199254740993},\"time\":1700000000000}}");
	assert_int_equal(payload.format, CONTENT_JSON);
	assert_int_equal(draft.count, 1);
	assert_true(draft.last);
	report_release(report);
	payload_finish(&payload);
}

static void writes_events_and_attributes(void **state)
{
	struct payload payload = { .format = 0 };
	struct draft draft = { .id = 7 };
	struct report *event = report_of(REPORT_EVENT, 5, "{\"code\":3}");
	strcpy(event->name, "Alarm");
	const struct report *reports[] = { event };
	assert_int_equal(payload_write(&payload, reports, 1, &draft, &one_kb), 0);
	expect(&payload, "thing/event/Alarm/post",
		"{\"id\":\"7\",\"version\":\"1.0\",\"method\":\"thing.event.Alarm.post\",\"params\":{"
		"\"events\":{\"code\":3},\"time\":5}}");
	strcpy(event->name, "a/b");
	draft = (struct draft){ .id = 8 };
	assert_int_equal(payload_write(&payload, reports, 1, &draft, &one_kb), -EINVAL);
	assert_non_null(strstr(payload.reason, "a/b"));
	report_release(event);

	struct report *attributes = report_of(REPORT_ATTRIBUTES, 5, "{\"serial\":\"x\\\"y\"}");
	reports[0] = attributes;
	draft = (struct draft){ .id = 9 };
	assert_int_equal(payload_write(&payload, reports, 1, &draft, &one_kb), 0);
	expect(&payload, "thing/attribute/update",
		"{\"id\":\"9\",\"version\":\"1.0\",\"method\":\"thing.attribute.update\",\"params\":{"
		"\"attributes\":{\"serial\":\"x\\\"y\"}}}");
	report_release(attributes);
	payload_finish(&payload);
}

static void passes_raw_bytes_through(void **state)
{
	struct payload payload = { .format = 0 };
	struct draft draft = { .id = 1 };
	static const uint8_t bytes[1025] = { 0, 1, 255 };
	struct stamp stamp = { .wall_ms = 1 };
	struct report *report = report_create(0, REPORT_RAW, &stamp, bytes, 1024);
	const struct report *reports[] = { report };
	assert_int_equal(payload_write(&payload, reports, 1, &draft, &one_kb), 0);
	assert_string_equal(buffer_text(&payload.topic), "thing/model/up_raw");
	assert_int_equal(payload.format, CONTENT_OCTETS);
	assert_int_equal(payload.body.size, 1024);
	assert_memory_equal(payload.body.data, bytes, 1024);
	report_release(report);
	report = report_create(0, REPORT_RAW, &stamp, bytes, 1025);
	reports[0] = report;
	draft = (struct draft){ .id = 2 };
	assert_int_equal(payload_write(&payload, reports, 1, &draft, &one_kb), -EINVAL);
	assert_non_null(strstr(payload.reason, "1025"));
	assert_true(draft.last);
	report_release(report);
	payload_finish(&payload);
}

static void joins_points_that_wait(void **state)
{
	struct payload payload = { .format = 0 };
	struct draft draft = { .id = 3 };
	struct report *points[] = {
		report_of(REPORT_POINTS, 1, "{\"a\":1}"),
		report_of(REPORT_POINTS, 2, "{\"a\":2}"),
		report_of(REPORT_EVENT, 3, "{\"a\":3}"),
		report_of(REPORT_POINTS, 4, "{\"a\":4}"),
	};
	const struct report *const *reports = (const struct report *const *)points;
	assert_int_equal(payload_write(&payload, reports, 4, &draft, &one_kb), 0);
	/* Not past the event: it would be overtaken. */
	assert_int_equal(draft.count, 2);
	static const char body[] =
		"{\"id\":\"3\",\"version\":\"1.0\",\"method\":\"thing.measurepoint.post.batch\","
		"\"params\":[{\"measurepoints\":{\"a\":1},\"time\":1},"
		"{\"measurepoints\":{\"a\":2},\"time\":2}]}";
	expect(&payload, "thing/measurepoint/post/batch", body);
	/* Written again, it is the same message, whatever waits behind it by then. */
	buffer_clear(&payload.body);
	assert_int_equal(payload_write(&payload, reports, 4, &draft, &one_kb), 0);
	expect(&payload, "thing/measurepoint/post/batch", body);
	struct payload_terms singly = { .max_size = 1024, .batch = false };
	draft = (struct draft){ .id = 4 };
	assert_int_equal(payload_write(&payload, reports, 4, &draft, &singly), 0);
	assert_string_equal(buffer_text(&payload.topic), "thing/measurepoint/post");
	assert_int_equal(draft.count, 1);
	for (int i = 0; i < 4; i++)
		report_release(points[i]);
	payload_finish(&payload);
}

static void a_batch_ends_at_the_limit(void **state)
{
	struct payload payload = { .format = 0 };
	struct report *points[PAYLOAD_BATCH_MAX];
	for (int i = 0; i < PAYLOAD_BATCH_MAX; i++)
		points[i] = many_points(REPORT_POINTS, 10);
	const struct report *const *reports = (const struct report *const *)points;
	for (uint32_t max = 200; max < 3000; max += 13) {
		struct draft draft = { .id = 12345 };
		struct payload_terms terms = { .max_size = max, .batch = true };
		assert_int_equal(
			payload_write(&payload, reports, PAYLOAD_BATCH_MAX, &draft, &terms), 0);
		assert_true(payload.body.size <= max);
		OWNED_BUFFER value = BUFFER_EMPTY;
		char error[120];
		assert_int_equal(json_parse(&value, payload.body.data, payload.body.size, error,
					 sizeof(error)),
			0);
		/* One more would not have fitted: an object of ten takes 107 bytes here. */
		if (draft.count > 1 && draft.count < PAYLOAD_BATCH_MAX)
			assert_true(payload.body.size + 120 > max);
	}
	for (int i = 0; i < PAYLOAD_BATCH_MAX; i++)
		report_release(points[i]);
	payload_finish(&payload);
}

/* Sends a report in as many messages as it takes; returns how many, and counts its items. */
static int send_all(const struct report *report, uint32_t max, int *items)
{
	struct payload payload = { .format = 0 };
	struct draft draft = { .id = 1 };
	struct payload_terms terms = { .max_size = max, .batch = true };
	int messages = 0;
	*items = 0;
	do {
		draft = (struct draft){ .id = draft.id + 1, .from = draft.to };
		assert_int_equal(payload_write(&payload, &report, 1, &draft, &terms), 0);
		assert_true(payload.body.size <= max);
		assert_true(draft.to > draft.from);
		for (uint32_t i = draft.from; i < draft.to; i++) {
			char pair[32];
			snprintf(pair, sizeof(pair), "\"p%u\":%u", i, i);
			assert_non_null(strstr(buffer_text(&payload.body), pair));
		}
		*items += (int)(draft.to - draft.from);
		messages++;
	} while (!draft.last);
	payload_finish(&payload);
	return messages;
}

static void large_reports_are_split(void **state)
{
	int items;
	struct report *report = many_points(REPORT_POINTS, 300);
	assert_true(send_all(report, 1024, &items) >= 3);
	assert_int_equal(items, 300);
	assert_true(send_all(report, 200, &items) > 10);
	assert_int_equal(items, 300);
	assert_int_equal(send_all(report, 60000, &items), 1);
	report_release(report);
	/* EnOS takes 200 attributes at most. */
	report = many_points(REPORT_ATTRIBUTES, 450);
	assert_int_equal(send_all(report, 60000, &items), 3);
	assert_int_equal(items, 450);
	report_release(report);
}

static void an_item_that_cannot_go_costs_itself(void **state)
{
	OWNED_BUFFER value = BUFFER_EMPTY;
	value_put_map(&value, 3);
	value_pair_integer(&value, "a", 1);
	value_pair_real(&value, "b", NAN);
	value_pair_integer(&value, "c", 3);
	struct stamp stamp = { .wall_ms = 1 };
	struct report *report = report_create(0, REPORT_POINTS, &stamp, value.data, value.size);
	const struct report *reports[] = { report };
	struct payload payload = { .format = 0 };
	struct draft draft = { .id = 1 };
	assert_int_equal(payload_write(&payload, reports, 1, &draft, &one_kb), 0);
	assert_int_equal(draft.to, 1);
	assert_false(draft.last);
	draft = (struct draft){ .id = 2, .from = draft.to };
	assert_int_equal(payload_write(&payload, reports, 1, &draft, &one_kb), -EINVAL);
	assert_non_null(strstr(payload.reason, "\"b\""));
	assert_int_equal(draft.to, 2);
	assert_false(draft.last);
	draft = (struct draft){ .id = 3, .from = draft.to };
	assert_int_equal(payload_write(&payload, reports, 1, &draft, &one_kb), 0);
	assert_non_null(strstr(buffer_text(&payload.body), "{\"c\":3}"));
	assert_true(draft.last);
	report_release(report);
	/* Too large for any message, and nothing at all. */
	report = report_of(
		REPORT_POINTS, 1, "{\"a\":\"0123456789012345678901234567890123456789\"}");
	struct payload_terms tiny = { .max_size = 150, .batch = true };
	reports[0] = report;
	draft = (struct draft){ .id = 4 };
	assert_int_equal(payload_write(&payload, reports, 1, &draft, &tiny), -EINVAL);
	assert_true(draft.last);
	report_release(report);
	report = report_of(REPORT_POINTS, 1, "{}");
	reports[0] = report;
	draft = (struct draft){ .id = 5 };
	assert_int_equal(payload_write(&payload, reports, 1, &draft, &one_kb), -EINVAL);
	assert_true(draft.last);
	report_release(report);
	payload_finish(&payload);
}

static int64_t code_of(const char *text)
{
	OWNED_BUFFER scratch = BUFFER_EMPTY;
	return payload_read_code(&scratch, text, strlen(text));
}

static void reads_codes(void **state)
{
	assert_int_equal(code_of(""), 200);
	assert_int_equal(code_of("{\"id\":\"1\",\"code\":200,\"data\":\"\"}"), 200);
	assert_int_equal(code_of("{\"id\":\"1\",\"code\":1204}"), 1204);
	assert_int_equal(code_of("{\"id\":\"1\"}"), 200);
	assert_int_equal(code_of("{\"code\":-22}"), 0);
	assert_int_equal(code_of("nonsense"), -EINVAL);
	assert_int_equal(code_of("[200]"), -EINVAL);
	assert_int_equal(code_of("{\"code\":200"), -EINVAL);
}

static void assert_token(const char *text, const char *expected)
{
	OWNED_BUFFER scratch = BUFFER_EMPTY;
	char *token = payload_read_token(&scratch, text, strlen(text));
	if (expected)
		assert_string_equal(token, expected);
	else
		assert_null(token);
	free(token);
}

static void reads_tokens(void **state)
{
	assert_token("{\"token\":\"AB\"}", "AB");
	assert_token("{\"token\":\"\"}", NULL);
	assert_token("{\"token\":1}", NULL);
	assert_token("{\"token\":\"a\\u0000b\"}", NULL);
	assert_token("{}", NULL);
	assert_token("", NULL);
	assert_token("[\"token\"]", NULL);
}

static void writes_the_query_and_the_login(void **state)
{
	struct payload payload = { .format = 0 };
	payload_write_query(&payload, "thing/tag/query", 4);
	expect(&payload, "thing/tag/query",
		"{\"id\":\"4\",\"version\":\"1.0\",\"method\":\"thing.tag.query\",\"params\":{}}");
	payload_write_login(&payload, 300, "ABC");
	assert_string_equal(
		buffer_text(&payload.body), "{\"secureMode\":2,\"lifetime\":300,\"sign\":\"ABC\"}");
	payload_finish(&payload);
}

static void late_points_are_resumed(void **state)
{
	const struct payload_terms terms = { .max_size = 1024, .batch = true, .late_ms = 1500 };
	struct payload payload = { .format = 0 };
	struct report *reports[3];
	for (int i = 0; i < 3; i++)
		reports[i] = report_of(REPORT_POINTS, 1000 * (i + 1), "{\"a\":1}");
	const struct report *const *first = (const struct report *const *)reports;
	struct draft draft = { .id = 1 };
	assert_int_equal(payload_write(&payload, first, 3, &draft, &terms), 0);
	expect(&payload, "thing/measurepoint/resume",
		"{\"id\":\"1\",\"version\":\"1.0\",\"method\":\"thing.measurepoint.resume\",\"params\":{"
		"\"measurepoints\":{\"a\":1},\"time\":1000}}");
	assert_int_equal(draft.count, 1);
	/* Late ones go together, and what is not late ends their batch. */
	const struct report *late[] = { reports[0], reports[0], reports[1] };
	draft = (struct draft){ .id = 4 };
	assert_int_equal(payload_write(&payload, late, 3, &draft, &terms), 0);
	expect(&payload, "thing/measurepoint/resume/batch",
		"{\"id\":\"4\",\"version\":\"1.0\",\"method\":\"thing.measurepoint.resume.batch\","
		"\"params\":[{\"measurepoints\":{\"a\":1},\"time\":1000},"
		"{\"measurepoints\":{\"a\":1},\"time\":1000}]}");
	assert_int_equal(draft.count, 2);
	/* The others go together; and a late one ends a batch. */
	draft = (struct draft){ .id = 2 };
	assert_int_equal(payload_write(&payload, first + 1, 2, &draft, &terms), 0);
	assert_string_equal(buffer_text(&payload.topic), "thing/measurepoint/post/batch");
	assert_int_equal(draft.count, 2);
	const struct report *mixed[] = { reports[1], reports[2], reports[0] };
	draft = (struct draft){ .id = 3 };
	assert_int_equal(payload_write(&payload, mixed, 3, &draft, &terms), 0);
	assert_int_equal(draft.count, 2);
	for (int i = 0; i < 3; i++)
		report_release(reports[i]);
	payload_finish(&payload);
}

/* What was read before the clock was set has its time from the boot-time clock. */
static void times_are_corrected(void **state)
{
	const struct calendar calendar = { .set = true, .boot_ms = 1700000000000 };
	const struct payload_terms terms = {
		.max_size = 1024, .late_ms = 1700000001500, .calendar = &calendar
	};
	struct payload payload = { .format = 0 };
	for (int64_t second = 1; second <= 2; second++) {
		struct report *report = report_of(REPORT_POINTS, 5, "{\"a\":1}");
		report->stamp.unset = true;
		report->stamp.mono_us = second * USEC_PER_SEC;
		struct draft draft = { .id = 1 };
		assert_int_equal(payload_write(&payload, (const struct report *const *)&report, 1,
					 &draft, &terms),
			0);
		assert_string_equal(buffer_text(&payload.topic),
			second == 1 ? "thing/measurepoint/resume" : "thing/measurepoint/post");
		assert_non_null(strstr(buffer_text(&payload.body),
			second == 1 ? "\"time\":1700000001000}" : "\"time\":1700000002000}"));
		report_release(report);
	}
	payload_finish(&payload);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(late_points_are_resumed),
		cmocka_unit_test(times_are_corrected),
		cmocka_unit_test(writes_points),
		cmocka_unit_test(writes_events_and_attributes),
		cmocka_unit_test(passes_raw_bytes_through),
		cmocka_unit_test(joins_points_that_wait),
		cmocka_unit_test(a_batch_ends_at_the_limit),
		cmocka_unit_test(large_reports_are_split),
		cmocka_unit_test(an_item_that_cannot_go_costs_itself),
		cmocka_unit_test(reads_codes),
		cmocka_unit_test(reads_tokens),
		cmocka_unit_test(writes_the_query_and_the_login),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
