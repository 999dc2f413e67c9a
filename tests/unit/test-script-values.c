/* SPDX-License-Identifier: Apache-2.0 */
#include "script-fixture.h"

#include "script/sandbox.h"
#include "script/values.h"

/* Runs an encoding through Lua and back. */
struct trip {
	struct buffer in, out;
	size_t limit;
	enum values_shape shape;
	struct script_error error;
};

static int go(lua_State *L)
{
	struct trip *trip = lua_touserdata(L, 1);
	struct value_reader reader = value_reader(trip->in.data, trip->in.size);
	values_push(L, &reader);
	values_put(L, -1, &trip->out, trip->limit, trip->shape, "root");
	return 0;
}

static int travel(struct trip *trip)
{
	struct sandbox *box;
	assert_int_equal(sandbox_create(&box, "test.lua", &usual_limits, &trip->error), 0);
	buffer_clear(&trip->out);
	int result = sandbox_run(box, go, trip, &trip->error);
	sandbox_destroy(box);
	return result;
}

static void finish(struct trip *trip)
{
	buffer_finish(&trip->in);
	buffer_finish(&trip->out);
}

static void check_json(const char *in, const char *out)
{
	struct trip trip = { .limit = 100000 };
	struct buffer text = BUFFER_EMPTY;
	char error[100];
	assert_int_equal(json_parse(&trip.in, in, strlen(in), error, sizeof(error)), 0);
	if (travel(&trip) < 0)
		fail_msg("%s: %s", in, trip.error.text);
	assert_true(value_valid(trip.out.data, trip.out.size));
	json_print_value(&text, trip.out.data, trip.out.size);
	assert_string_equal(buffer_text(&text), out);
	buffer_finish(&text);
	finish(&trip);
}

static void test_round_trip(void **state)
{
	check_json("[1,-9223372036854775808,2.0,true,false,\"x\\u00e4y\",[],[[1]]]",
		"[1,-9223372036854775808,2.0,true,false,\"x\303\244y\",[],[[1]]]");
	check_json("{\"b\":1,\"a\":{\"z\":[],\"y\":null},\"ab\":2,\"\":3}",
		"{\"\":3,\"a\":{\"z\":[]},\"ab\":2,\"b\":1}");
	check_json("[null,1,null]", "[null,1,null]");
	check_json("{}", "[]");
	check_json("null", "null");
	check_json("\"text\"", "\"text\"");
}

/* More keys than are sorted by insertion, in maps within a map. */
static void test_order_of_many(void **state)
{
	struct trip trip = { .limit = 100000 };
	char key[16];
	value_put_map(&trip.in, 50);
	for (int i = 0; i < 50; i++) {
		snprintf(key, sizeof(key), "k%02d", i * 37 % 50);
		value_put_text(&trip.in, key);
		value_put_map(&trip.in, 20);
		for (int j = 0; j < 20; j++) {
			snprintf(key, sizeof(key), "j%02d", j * 7 % 20);
			value_pair_integer(&trip.in, key, j);
		}
	}
	assert_int_equal(travel(&trip), 0);
	struct value_reader reader = value_reader(trip.out.data, trip.out.size);
	struct value value;
	value_next(&reader, &value);
	assert_int_equal(value.size, 50);
	for (int i = 0; i < 50; i++) {
		value_next(&reader, &value);
		snprintf(key, sizeof(key), "k%02d", i);
		assert_string_equal(value.text, key);
		value_next(&reader, &value);
		for (int j = 0; j < 20; j++) {
			value_next(&reader, &value);
			snprintf(key, sizeof(key), "j%02d", j);
			assert_string_equal(value.text, key);
			value_next(&reader, &value);
		}
	}
	assert_ptr_equal(reader.at, reader.end);
	finish(&trip);
}

static void put_nested(struct trip *trip, int depth)
{
	buffer_clear(&trip->in);
	for (int i = 0; i < depth; i++)
		value_put_list(&trip->in, 1);
	value_put_integer(&trip->in, 5);
}

static void test_depth(void **state)
{
	struct trip trip = { .limit = 100000 };
	put_nested(&trip, VALUE_DEPTH_MAX);
	assert_int_equal(travel(&trip), 0);
	assert_true(value_valid(trip.out.data, trip.out.size));
	put_nested(&trip, VALUE_DEPTH_MAX + 1);
	assert_int_equal(travel(&trip), -EINVAL);
	assert_non_null(strstr(trip.error.text, "is nested too deeply, or contains itself"));
	finish(&trip);
}

static void test_size(void **state)
{
	struct trip trip = { 0 };
	value_put_list(&trip.in, 3);
	value_put_integer(&trip.in, 1);
	value_put_text(&trip.in, "four");
	value_put_bool(&trip.in, true);
	trip.limit = trip.in.size;
	assert_int_equal(travel(&trip), 0);
	assert_int_equal(trip.out.size, trip.in.size);
	for (trip.limit = 0; trip.limit < trip.in.size; trip.limit++) {
		assert_int_equal(travel(&trip), -EINVAL);
		assert_non_null(strstr(trip.error.text, "test.lua: root is more than"));
		/* What was written before the refusal is little more than what is allowed. */
		assert_in_range(trip.out.size, 0, trip.limit + 16);
	}
	finish(&trip);
}

static void test_map_asked_for(void **state)
{
	struct trip trip = { .limit = 100, .shape = VALUES_MAP };
	value_put_list(&trip.in, 0);
	assert_int_equal(travel(&trip), 0);
	assert_int_equal(trip.out.data[0], VALUE_MAP);
	buffer_clear(&trip.in);
	value_put_integer(&trip.in, 5);
	assert_int_equal(travel(&trip), -EINVAL);
	assert_string_equal(trip.error.text, "test.lua: root is a number: it must be a table");
	finish(&trip);
}

static void test_damaged(void **state)
{
	struct trip trip = { .limit = 100 };
	value_put_list(&trip.in, 3);
	value_put_integer(&trip.in, 1);
	assert_int_equal(travel(&trip), -EINVAL);
	assert_non_null(strstr(trip.error.text, "a value handed to the script is damaged"));
	finish(&trip);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_order_of_many),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_map_asked_for),
		cmocka_unit_test(test_damaged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
