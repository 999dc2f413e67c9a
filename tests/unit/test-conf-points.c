/* SPDX-License-Identifier: Apache-2.0 */
/* Points of a device in the configuration: what scripts get of them, and what is said where they are wrong. */
#include "core/conf.h"

#include "conf-fixture.h"
#include "util/clock.h"
#include "util/json.h"

extern const struct eb_plugin eb_plugin; /* modbus */

static const struct eb_plugin *const plugins[] = { &eb_plugin, &toy_plugin, &lone_plugin, NULL };

#define MODBUS "buses = ( { name = \"b\"; plugin = \"modbus\"; " TCP_LINK " } );\n"
#define DEVICE \
	"name = \"d\"; bus = \"b\"; unit = 1; product_key = \"p\"; device_key = \"k\"; " SECRET
#define POINTS(text) HEAD MODBUS "devices = ( { " DEVICE " points = (\n" text " ); } );"
/* In line 4, behind HEAD and MODBUS. */
#define POINT(text) POINTS("{ name = \"x\"; read = \"holding_registers\"; address = 5; " text " }")
#define NUMBER "type = \"u16\"; "

struct sample {
	const char *text, *said;
};

static const struct sample wrong[] = {
	{ POINTS("7, { }"),
		"main.conf:4: an item of points is an integer: it must be a group { }\n"
		"main.conf:4: point lacks name: the measurement point in EnOS\n"
		"main.conf:4: point lacks read: the table that it stands in, in the plugin's words: "
		"modbus has holding_registers, input_registers, coils and discrete_inputs\n"
		"main.conf:4: point lacks address: its first register, or its coil, as it is on the wire, "
		"counted from 0\n"
		"main.conf:4: point lacks type: what stands there; bool is a coil or discrete input, or "
		"with bit one bit of a register\n" },
	{ POINT("type = \"float\";"),
		"main.conf:4: type is \"float\": it must be \"u16\", \"s16\", \"u32\", \"s32\", \"u64\", "
		"\"s64\", \"f32\", \"f64\", \"bcd\", \"bool\", \"bits\" or \"string\"\n" },
	{ POINT(NUMBER "adress = 5;"),
		"main.conf:4: unknown key \"adress\" in point: did you mean \"address\"?\n" },
	{ POINTS("{ name = \"x\"; read = \"holding_registers\"; type = \"u16\"; address = 65536; }"),
		"main.conf:4: address is 65536: it must be 0 to 65535\n" },
	{ POINTS("{ name = \"x y\"; read = \"holding_registers\"; type = \"u16\"; address = 0; }"),
		"main.conf:4: name \"x y\" is not allowed: it must be letters, digits, '-', '_' and '.'\n" },
	{ POINTS("{ name = \"x\"; read = \"coils\"; type = \"bool\"; address = 0; },\n"
		 "{ name = \"x\"; read = \"coils\"; type = \"bool\"; address = 1; }"),
		"main.conf:5: two points are named \"x\", the other in line 4: rename one\n" },
	{ POINTS("{ name = \"x\"; read = \"registers\"; type = \"u16\"; address = 0; }"),
		"main.conf:4: point \"x\" cannot be read: read is \"registers\", it must be one of "
		"holding_registers|input_registers|coils|discrete_inputs\n" },
	{ POINTS("{ name = \"x\"; read = \"holding_registers\"; type = \"u32\"; address = 65535; }"),
		"main.conf:4: point \"x\" cannot be read: address 65535 and 1 behind it pass the last "
		"address, 65535\n" },
	{ POINT("type = \"string\"; registers = 126;"),
		"main.conf:4: registers is 126: it must be 1 to 125\n" },
	{ POINT("type = \"bcd\"; registers = 5;"),
		"main.conf:4: registers is 5: bcd has at most 4, 16 digits\n" },
	{ POINT("type = \"bcd\";"),
		"main.conf:4: point lacks registers: how many registers it takes; of bcd at most 4\n" },
	{ POINT(NUMBER "registers = 1;"),
		"main.conf:4: registers makes no sense with type = \"u16\": remove it; it goes with type = "
		"\"bcd\" or \"string\"\n" },
	{ POINT("type = \"f32\"; order = \"cdba\";"), "" },
	{ POINT("type = \"f32\"; order = \"cdbb\";"),
		"main.conf:4: order is \"cdbb\": it must have each of the 4 letters from a to d once, as "
		"\"cdab\"\n" },
	{ POINT("type = \"u16\"; order = \"cdab\";"),
		"main.conf:4: order is \"cdab\": it must have each of the 2 letters from a to b once, as "
		"\"ba\"\n" },
	{ POINT("type = \"u64\"; order = \"little\";"),
		"main.conf:4: order is \"little\": it must have each of the 8 letters from a to h once, as "
		"\"ghefcdab\"\n" },
	{ POINT("type = \"string\"; registers = 2; order = \"ab\";"),
		"main.conf:4: order makes no sense with type = \"string\": remove it; it goes with type = "
		"\"u16\", \"s16\", \"u32\", \"s32\", \"u64\", \"s64\", \"f32\" or \"f64\"\n" },
	{ POINT("type = \"bits\"; bit = 12; width = 5;"),
		"main.conf:4: width is 5 from bit 12 on: a register ends with bit 15\n" },
	{ POINT("type = \"bool\";"),
		"main.conf:4: a bool of holding_registers is one bit of a register: say which with bit = 0 "
		"to 15\n" },
	{ POINTS("{ name = \"x\"; read = \"coils\"; type = \"u16\"; address = 0; }"),
		"main.conf:4: coils has single bits: its points are of type = \"bool\", without bit\n" },
	{ POINT(NUMBER "min = 1;\n max = 5;"),
		"main.conf:4: min stands without writable: add writable = true, or remove it\n"
		"main.conf:5: max stands without writable: add writable = true, or remove it\n" },
	{ POINT(NUMBER "writable = true; min = 5;\n max = 1;"),
		"main.conf:5: max is 1, below min, which is 5: exchange them\n" },
	{ POINT(NUMBER "writable = true; tolerance = -1;"),
		"main.conf:4: tolerance is -1: it must be 0 or more\n" },
	{ POINT(NUMBER "scale = 0;"),
		"main.conf:4: scale is 0: every value would be the offset; it must be another number\n" },
	{ POINT(NUMBER "scale = \"0.1\";"), "main.conf:4: scale is a text: it must be a number\n" },
	{ POINT(NUMBER "sentinels = 65535;"),
		"main.conf:4: sentinels is an integer: it must be an array [ ] of numbers\n" },
	{ POINT(NUMBER "sentinels = [ 1.5 ];"),
		"main.conf:4: an item of sentinels is a real number: it must be an integer, as it is read\n" },
	{ POINT(NUMBER "period = -1;"), "main.conf:4: period is -1: it must be 0 to 86400 s\n" },
	{ POINTS("{ name = \"x\"; read = \"input_registers\"; type = \"u16\"; address = 0; writable = "
		 "true; }"),
		"main.conf:4: point \"x\" cannot be written: write is \"input_registers\", it must be one "
		"of holding_registers|coils\n" },
	{ HEAD "buses = ( { name = \"b\"; plugin = \"lone\"; link = { type = \"serial\"; path = \"/dev/x\"; "
	       "}; } );\n"
	       "devices = ( { name = \"d\"; bus = \"b\"; product_key = \"p\"; device_key = \"k\"; " SECRET
	       "\n points = ( { } ); } );",
		"main.conf:4: points need a plugin that reads registers, as modbus does: with plugin lone "
		"write a script\n" },
};

static struct conf *load(struct fixture *fixture, const char *text)
{
	fixture->defaults.builtin = plugins;
	return fixture_load_text(fixture, text);
}

static void errors_of_points(void **state)
{
	struct fixture *fixture = *state;
	size_t faults = 0;
	fixture_write(fixture, "scripts/generic.lua", 0644, "return {}\n");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		conf_destroy(load(fixture, wrong[i].text));
		if (strcmp(fixture->said, wrong[i].said) == 0)
			continue;
		print_error(
			"%s\nsays\n%s--- but not\n%s", wrong[i].text, fixture->said, wrong[i].said);
		faults++;
	}
	assert_int_equal(faults, 0);
}

static void shipped_script_is_missing(void **state)
{
	struct fixture *fixture = *state;
	assert_null(load(fixture, POINT(NUMBER)));
	assert_string_equal(fixture->said,
		"main.conf:3: script \"generic.lua\" is in none of scripts: check its name, or put it "
		"there\n");
}

static void what_scripts_get(void **state)
{
	struct fixture *fixture = *state;
	fixture_write(fixture, "scripts/generic.lua", 0644, "return {}\n");
	struct conf *conf = load(fixture,
		POINTS("{ name = \"a\"; read = \"holding_registers\"; address = 0x10; type = \"s32\";\n"
		       "order = \"cdab\"; scale = 0.1; offset = -40; unit = \"°C\"; sentinels = [ -1, 5 ];\n"
		       "sunspec = true; period = 0.5; writable = true; min = 5; max = 30.5;\n"
		       "tolerance = 0.5; read_back = false; },\n"
		       "{ name = \"b\"; read = \"coils\"; address = 1; type = \"bool\"; },\n"
		       "{ name = \"c\"; read = \"holding_registers\"; address = 2; type = \"bits\"; },\n"
		       "{ name = \"d\"; read = \"holding_registers\"; address = 3; type = \"bool\"; bit = 0; }"));
	assert_string_equal(fixture->said, "");
	const struct conf_device *device = &conf->devices[0];
	OWNED_BUFFER text = BUFFER_EMPTY;
	assert_int_equal(json_print_value(&text, device->points.data, device->points.size), 0);
	assert_string_equal(buffer_text(&text),
		"[{\"name\":\"a\",\"read\":\"holding_registers\",\"type\":\"s32\",\"address\":16,"
		"\"count\":2,\"period\":0.5,\"order\":\"cdab\",\"unit\":\"°C\",\"scale\":0.1,"
		"\"offset\":-40,\"sunspec\":true,\"sentinels\":[-1,5],\"writable\":true,\"min\":5,"
		"\"max\":30.5,\"read_back\":false,\"tolerance\":0.5},"
		"{\"name\":\"b\",\"read\":\"coils\",\"type\":\"bool\",\"address\":1,\"count\":1,"
		"\"period\":10},"
		"{\"name\":\"c\",\"read\":\"holding_registers\",\"type\":\"bits\",\"address\":2,"
		"\"count\":1,\"period\":10,\"bit\":0,\"width\":1},"
		"{\"name\":\"d\",\"read\":\"holding_registers\",\"type\":\"bool\",\"address\":3,"
		"\"count\":1,\"period\":10,\"bit\":0}]");
	assert_string_equal(device->script, "generic.lua");
	assert_non_null(strstr(device->script_path, "scripts/generic.lua"));
	conf_destroy(conf);
}

static void another_script_beside_points(void **state)
{
	struct fixture *fixture = *state;
	struct conf *conf = load(fixture,
		HEAD MODBUS "devices = ( { " DEVICE
			    " script = \"meter.lua\"; points = ( { name = \"x\"; "
			    "read = \"coils\"; address = 1; type = \"bool\"; } ); } );");
	assert_string_equal(fixture->said, "");
	assert_string_equal(conf->devices[0].script, "meter.lua");
	conf_destroy(conf);
}

/* µs of a processor that a list of so many points takes. */
static int64_t time_list(struct fixture *fixture, int count)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	for (int i = 0; i < count; i++)
		buffer_printf(&text,
			"%s{ name = \"point-with-a-name-%d\"; read = \"coils\"; address = %d; "
			"type = \"bool\"; }",
			i ? ",\n" : "", i, i);
	OWNED char *whole = must_printf(POINTS("%s"), buffer_text(&text));
	int64_t begun_us = clock_thread_us();
	struct conf *conf = load(fixture, whole);
	int64_t taken_us = clock_thread_us() - begun_us;
	assert_string_equal(fixture->said, "");
	assert_int_equal(conf->device_count, 1);
	conf_destroy(conf);
	return taken_us;
}

/* Ten times the points take about ten times the work; where each is compared with each, a hundred. */
static void many_points_are_no_more_work_each(void **state)
{
	fixture_write(*state, "scripts/generic.lua", 0644, "return {}\n");
	int64_t few_us = time_list(*state, 1000), many_us = time_list(*state, 10000);
	assert_in_range(many_us, few_us, 30 * few_us);
}

/* Whatever stands between them; the first is named each time. */
static void twins_are_found_in_any_order(void **state)
{
	struct fixture *fixture = *state;
	fixture_write(fixture, "scripts/generic.lua", 0644, "return {}\n");
#define NAMED(name) "{ name = \"" name "\"; read = \"coils\"; address = 1; type = \"bool\"; }"
	struct conf *conf = load(fixture,
		POINTS(NAMED("z") ",\n" NAMED("b") ",\n" NAMED("a") ",\n" NAMED("b") ",\n" NAMED(
			"z") ",\n" NAMED("b")));
	assert_null(conf);
	assert_string_equal(fixture->said,
		"main.conf:7: two points are named \"b\", the other in line 5: rename one\n"
		"main.conf:8: two points are named \"z\", the other in line 4: rename one\n"
		"main.conf:9: two points are named \"b\", the other in line 5: rename one\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(errors_of_points, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			shipped_script_is_missing, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(what_scripts_get, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			another_script_beside_points, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			many_points_are_no_more_work_each, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			twins_are_found_in_any_order, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
