/* SPDX-License-Identifier: Apache-2.0 */
/* A script out of a text, a device, and readings for it. */
#ifndef SCRIPT_FIXTURE_H
#define SCRIPT_FIXTURE_H

#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "script/script.h"
#include "util/alloc.h"
#include "util/json.h"

static const struct conf_scripts usual_limits = { 1000000, 16384, 250 };
/* For what is to end: steps decide, the clock only if all else failed. */
static const struct conf_scripts tight_limits = { 100000, 1024, 10000 };

struct fixture {
	struct script *script;
	struct script_device *device;
	struct conf_device conf;
	struct plan *plan;
	struct reports reports;
	struct script_error error;
	struct buffer text;
};

static inline int fixture_load(
	struct fixture *fixture, const char *source, size_t size, const struct conf_scripts *limits)
{
	*fixture = (struct fixture){ 0 };
	char dir[] = "/tmp/script-test-XXXXXX", path[64];
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/test.lua", dir);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(source, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
	int result = script_load(&fixture->script, path, limits, &fixture->error);
	unlink(path);
	rmdir(dir);
	return result;
}

static inline struct plan *fixture_plan(const char *poll, int64_t period_us)
{
	struct plan *plan = plan_create(7, &(struct eb_address){ 0 }, 1);
	plan->polls[0].request = must_alloc(sizeof(struct request));
	plan->polls[0].request->name = must_strdup(poll);
	plan->polls[0].period_us = period_us;
	return plan;
}

/* With a device "meter-1" that has the parameters (JSON), and a poll "live". */
static inline void fixture_device(struct fixture *fixture, const char *parameters)
{
	fixture->conf.name = (char *)"meter-1";
	char error[100];
	if (parameters)
		assert_int_equal(json_parse(&fixture->conf.parameters, parameters,
					 strlen(parameters), error, sizeof(error)),
			0);
	fixture->device = script_device_create(fixture->script, &fixture->conf);
	fixture->plan = fixture_plan("live", 5000000);
}

static inline void fixture_start(struct fixture *fixture, const char *source)
{
	if (fixture_load(fixture, source, strlen(source), &usual_limits) < 0)
		fail_msg("%s", fixture->error.text);
	fixture_device(fixture, NULL);
}

static inline void fixture_finish(struct fixture *fixture)
{
	reports_finish(&fixture->reports);
	script_device_destroy(fixture->device);
	script_destroy(fixture->script);
	if (fixture->plan)
		plan_release(fixture->plan);
	buffer_finish(&fixture->conf.parameters);
	buffer_finish(&fixture->text);
}

/* Decodes the bytes; the reports are the fixture's. */
static inline int fixture_decode(struct fixture *fixture, const void *bytes, size_t size)
{
	struct stamp stamp = { .wall_ms = 1700000000123, .mono_us = 5 };
	struct reading *reading = reading_create(fixture->plan, 0, &stamp, bytes, size);
	reports_finish(&fixture->reports);
	int result = script_decode(fixture->device, reading, &fixture->reports, &fixture->error);
	message_destroy(&reading->mail);
	return result;
}

static inline const char *fixture_json(struct fixture *fixture, const void *value, size_t size)
{
	buffer_clear(&fixture->text);
	assert_int_equal(json_print_value(&fixture->text, value, size), 0);
	return buffer_text(&fixture->text);
}

/* Report number i as text: its kind, a blank, and its data. */
static inline const char *fixture_report(struct fixture *fixture, size_t i)
{
	static char line[4096];
	assert_true(i < fixture->reports.count);
	const struct report *report = fixture->reports.items[i];
	if (report->kind == REPORT_RAW)
		snprintf(line, sizeof(line), "raw %.*s", (int)report->size,
			(const char *)report->data);
	else
		snprintf(line, sizeof(line), "%s%s%s %s", report_kind_name(report->kind),
			report->name[0] ? " " : "", report->name,
			fixture_json(fixture, report->data, report->size));
	return line;
}

/* The error holds the words. */
static inline void fixture_expect(const struct fixture *fixture, const char *words)
{
	if (!strstr(fixture->error.text, words))
		fail_msg("'%s' does not say '%s'", fixture->error.text, words);
	assert_null(strchr(fixture->error.text, '\n'));
}

/* Loads the source, decodes "" with it, and compares the one report or the error. */
static inline void fixture_check(const char *source, const char *report, const char *error)
{
	struct fixture fixture;
	int result = fixture_load(&fixture, source, strlen(source), &usual_limits);
	if (result == 0) {
		fixture_device(&fixture, "{\"limits\":[1,2,{\"x\":3}],\"ct_ratio\":40}");
		result = fixture_decode(&fixture, "\x00\x10\x00\x20", 4);
	}
	if (error) {
		if (result >= 0)
			fail_msg("no error in: %s", source);
		fixture_expect(&fixture, error);
	} else if (result < 0) {
		fail_msg("%s in: %s", fixture.error.text, source);
	} else if (!report) {
		assert_int_equal(fixture.reports.count, 0);
	} else {
		assert_int_equal(fixture.reports.count, 1);
		assert_string_equal(fixture_report(&fixture, 0), report);
	}
	fixture_finish(&fixture);
}

#endif
