/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/plan.h"
#include "util/json.h"

/* A plugin with one key, that takes what it is given. */

static const struct eb_key keys[] = {
	{ .name = "what",
		.types = EB_INTEGER,
		.flags = EB_REQUIRED,
		.min = 0,
		.max = 9,
		.help = "0 to 9" },
	{ .name = "listen", .types = EB_BOOLEAN },
	{ .name = NULL },
};

static int request(const void *state, const struct eb_settings *settings, struct eb_request *made,
	struct eb_error *error)
{
	int64_t what = settings->items[0].value.integer;
	if (what == 9) {
		snprintf(error->text, sizeof(error->text), "nine is too many: the most is 8");
		return -E2BIG;
	}
	if (what == 8)
		made->content_size = EB_ANSWER_MAX + 1;
	made->data[0] = (uint8_t)what;
	made->data_size = 1;
	made->flags = settings->count > 1 && settings->items[1].value.integer ? EB_LISTEN : 0;
	return 0;
}

static void describe(const void *state, const struct eb_request *made, char *text, size_t room)
{
	snprintf(text, room, "what %u", made->data[0]);
}

static const struct eb_plugin toy = {
	.name = "toy", .request_keys = keys, .request = request, .describe = describe
};
static const struct eb_plugin silent = { .name = "toy", .request_keys = keys, .request = request };

static const struct eb_address address = { .size = 2, .bytes = { 1, 2 } };

static const char *first_problem(const struct problems *problems)
{
	return problems->count ? problems->items[0].text : "";
}

static int make_poll(struct poll *poll, const char *json, struct problems *problems)
{
	OWNED_BUFFER map = BUFFER_EMPTY;
	char error[100];
	assert_int_equal(json_parse(&map, json, strlen(json), error, sizeof(error)), 0);
	return poll_init(poll, &toy, NULL, &address, map.data, map.size, SETTINGS_SCRIPT,
		(struct place){ "x.lua", 3 }, problems);
}

static void expect_poll(const char *json, int64_t period_us, bool urgent, int64_t timeout_us)
{
	struct poll poll;
	struct problems problems = PROBLEMS_NONE;
	if (make_poll(&poll, json, &problems) < 0)
		fail_msg("%s: %s", json, first_problem(&problems));
	assert_int_equal(poll.period_us, period_us);
	assert_int_equal(poll.urgent, urgent);
	assert_int_equal(poll.request->timeout_us, timeout_us);
	assert_string_equal(poll.request->name, "live");
	assert_string_equal(poll.request->text, "what 3");
	assert_int_equal(poll.request->wire.data_size, 1);
	assert_int_equal(poll.request->wire.data[0], 3);
	assert_memory_equal(&poll.request->wire.address, &address, sizeof(address));
	request_destroy(poll.request);
	problems_finish(&problems);
}

static void test_polls(void **state)
{
	expect_poll("{\"name\":\"live\",\"period\":5,\"what\":3}", 5000000, false, 0);
	expect_poll("{\"name\":\"live\",\"period\":0,\"what\":3}", 0, false, 0);
	expect_poll("{\"name\":\"live\",\"period\":86400,\"what\":3}", 86400000000, false, 0);
	expect_poll("{\"name\":\"live\",\"period\":0.1,\"what\":3.0,\"priority\":\"high\"}", 100000,
		true, 0);
	expect_poll("{\"name\":\"live\",\"period\":1e-9,\"what\":3,\"priority\":\"normal\"}", 1,
		false, 0);
	expect_poll("{\"name\":\"live\",\"period\":1,\"what\":3,\"timeout\":0.25}", 1000000, false,
		250000);
	expect_poll("{\"name\":\"live\",\"what\":3,\"listen\":true}", 0, false, 0);
}

static void refuse_poll(const char *json, const char *says)
{
	struct poll poll;
	struct problems problems = PROBLEMS_NONE;
	assert_int_equal(make_poll(&poll, json, &problems), -EINVAL);
	assert_null(poll.request);
	assert_int_equal(problems.errors, 1);
	if (!strstr(first_problem(&problems), says))
		fail_msg("\"%s\" does not say \"%s\"", first_problem(&problems), says);
	assert_string_equal(problems.items[0].file, "x.lua");
	assert_int_equal(problems.items[0].line, 3);
	problems_finish(&problems);
}

static void test_refused_polls(void **state)
{
	refuse_poll("{\"period\":1,\"what\":3}", "poll: name is missing");
	refuse_poll("{\"name\":\"a/b\",\"period\":1,\"what\":3}", "poll: name must be");
	refuse_poll("{\"name\":\"\",\"period\":1,\"what\":3}", "name must be");
	refuse_poll("{\"name\":7,\"period\":1,\"what\":3}", "name must be");
	refuse_poll("{\"name\":\"p\",\"what\":3}", "poll p: period is missing");
	refuse_poll("{\"name\":\"p\",\"period\":-1,\"what\":3}", "0 to 86400");
	refuse_poll("{\"name\":\"p\",\"period\":86400.1,\"what\":3}", "0 to 86400");
	refuse_poll("{\"name\":\"p\",\"period\":\"1\",\"what\":3}", "period must be a number");
	refuse_poll("{\"name\":\"p\",\"period\":1,\"what\":3,\"priority\":\"low\"}", "\"high\"");
	refuse_poll("{\"name\":\"p\",\"period\":1,\"what\":3,\"priority\":1}", "\"high\"");
	refuse_poll("{\"name\":\"p\",\"period\":1,\"what\":3,\"timeout\":0}", "more than 0");
	refuse_poll("{\"name\":\"p\",\"period\":1,\"what\":3,\"timeout\":3601}", "0 to 3600");
	refuse_poll("{\"name\":\"p\",\"period\":1,\"what\":3,\"retry_safe\":1}", "true or false");
	refuse_poll("{\"name\":\"p\",\"period\":1}", "poll p: what is missing: 0 to 9");
	refuse_poll("{\"name\":\"p\",\"period\":1,\"what\":10}", "poll p: what is 10");
	refuse_poll("{\"name\":\"p\",\"period\":1,\"what\":9}", "poll p: nine is too many");
	refuse_poll("{\"name\":\"p\",\"period\":1,\"what\":8}", "plugin toy made a request");
	refuse_poll(
		"{\"name\":\"p\",\"period\":1,\"what\":1,\"perod\":2}", "\"perod\" is not known");
	refuse_poll("[1]", "a group of settings is expected");
	refuse_poll("3", "a group of settings is expected");
}

static int make_request(struct request **made, const struct eb_plugin *plugin, const char *json,
	struct problems *problems)
{
	OWNED_BUFFER map = BUFFER_EMPTY;
	char error[100];
	assert_int_equal(json_parse(&map, json, strlen(json), error, sizeof(error)), 0);
	return request_create(made, plugin, NULL, &address, map.data, map.size, SETTINGS_SCRIPT,
		(struct place){ NULL, 0 }, problems);
}

static void test_requests(void **state)
{
	struct request *made;
	struct problems problems = PROBLEMS_NONE;
	assert_int_equal(
		make_request(&made, &silent, "{\"what\":2,\"retry_safe\":true}", &problems), 0);
	assert_true(made->retry_safe);
	assert_null(made->name);
	assert_string_equal(made->text, "toy request");
	request_destroy(made);
	assert_int_equal(
		make_request(&made, &toy, "{\"what\":2,\"period\":1}", &problems), -EINVAL);
	assert_non_null(strstr(first_problem(&problems), "period belongs to a poll"));
	problems_finish(&problems);
	struct problems others = PROBLEMS_NONE;
	assert_int_equal(
		make_request(&made, &toy, "{\"what\":2,\"listen\":true}", &others), -EINVAL);
	assert_non_null(strstr(first_problem(&others), "only listens, and so would never end"));
	problems_finish(&others);
	request_destroy(NULL);
}

static void test_all_problems(void **state)
{
	struct poll poll;
	struct problems problems = PROBLEMS_NONE;
	assert_int_equal(
		make_poll(&poll, "{\"period\":-1,\"what\":\"x\",\"y\":1,\"timeout\":0}", &problems),
		-EINVAL);
	assert_int_equal(problems.errors, 5);
	problems_finish(&problems);
}

static void test_plan(void **state)
{
	struct problems problems = PROBLEMS_NONE;
	struct plan *plan = plan_create(7, &address, 3);
	assert_int_equal(
		make_poll(&plan->polls[1], "{\"name\":\"p\",\"period\":1,\"what\":1}", &problems),
		0);
	assert_int_equal(plan->device, 7);
	assert_ptr_equal(plan_reference(plan), plan);
	plan_release(plan);
	assert_string_equal(plan->polls[1].request->name, "p");
	plan_release(plan);
	plan_release(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_polls),
		cmocka_unit_test(test_refused_polls),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_all_problems),
		cmocka_unit_test(test_plan),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
