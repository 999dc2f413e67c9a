/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf.h"

#include "conf-fixture.h"

#include "util/json.h"

static const char everything[] =
	"# every key\n"
	"gateway = { name = \"gw-1\"; state_dir = \"/var/lib/x\"; plugin_dir = \"/usr/lib/x\";\n"
	"  script_dirs = [ \"/nowhere\", \"%s/scripts\" ]; control_socket = \"\";\n"
	"  log_level = \"debug\"; };\n"
	"scripts = { instructions = 20000; memory_kb = 256; wall_ms = 50; state_save = 30; };\n"
	"enos = { host = \"coap.example.com\"; port = 5684; security = \"none\";\n"
	"  dialect = \"signed\"; lifetime = 600; command_poll = 20;\n"
	"  signature_cipher = \"aes-128-ecb\";\n"
	"  signature_iv = \"000102030405060708090a0b0c0d0e0f\"; max_payload = 512; batch = false;\n"
	"  queue_reports = 7; start_spread = 0.25; response_timeout = 5; retry_min = 0.5;\n"
	"  retry_max = 8; command_timeout = 12.5; command_repeat_window = 61;\n"
	"  command_repeat_window_raw = 1; offline = \"keep\"; offline_after = 5; };\n"
	"mqtt = { host = \"192.0.2.9\"; port = 1884; client_id = \"me\"; user = \"u\";\n"
	"  password_file = \"secrets/dk2\"; prefix = \"plant/7\"; keepalive = 30; queue = 11; };\n"
	"buses = (\n"
	"  { name = \"rs485-1\"; plugin = \"toy\"; framing = \"ascii\"; broadcast_unit = 255;\n"
	"    timeout_ms = 250; retries = 0; gap_ms = 1.5; unit_gap_ms = 7; turnaround_ms = 20; in_flight = 4;\n"
	"    merge = false; merge_hole = 30;\n"
	"    link = { type = \"serial\"; path = \"/dev/ttyUSB0\"; baud = 19200; parity = \"even\";\n"
	"      data_bits = 7; stop_bits = 2; rs485 = true; rs485_rts = \"low\";"
	"      rs485_before_ms = 2; rs485_after_ms = 3; paced = false; echo = true;\n"
	"      reopen_min_ms = 20; reopen_max_ms = 30; }; },\n"
	"  { name = \"plc-7\"; plugin = \"toy\";\n"
	"    link = { type = \"tcp\"; host = \"2001:db8::1\"; port = 502;\n"
	"      connect_timeout_ms = 700; connect_pause_ms = 40; close_after_poll = true; }; } );\n"
	"devices = (\n"
	"  { name = \"meter-1\"; bus = \"rs485-1\"; unit = 1; script = \"meter.lua\";\n"
	"    parameters = { ct_ratio = 40; big = 5000000000L; nested = { a = [ 1, 2 ];\n"
	"      l = ( 1.5, \"x\", true, { y = 0xff; } ); }; };\n"
	"    product_key = \"pk1\"; device_key = \"dk1\"; secret_file = \"secrets/dk1\"; },\n"
	"  { name = \"plc\"; bus = \"plc-7\"; unit = 1; product_key = \"pk1\"; device_key = \"dk2\";\n"
	"    device_secret = \"in-line\"; merge = true; merge_hole = 0;"
	" offline = \"show\"; offline_after = 0;\n"
	"    polls = ( { name = \"live\"; period = 0.5; priority = \"high\";\n"
	"                read = \"holding_registers\"; count = 2; },\n"
	"              { name = \"slow\"; period = 60; read = \"coils\"; timeout = 2; } ); } );\n";

static void check_json(const struct buffer *value, const char *expected)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	assert_true(value_valid(value->data, value->size));
	assert_int_equal(json_print_value(&text, value->data, value->size), 0);
	assert_string_equal(buffer_text(&text), expected);
}

static struct conf *load_everything(struct fixture *fixture)
{
	char *text OWNED = must_printf(everything, fixture->dir);
	struct conf *conf = fixture_load_text(fixture, text);
	assert_string_equal(fixture->said, "");
	assert_non_null(conf);
	return conf;
}

static void reads_groups(void **state)
{
	struct fixture *fixture = *state;
	struct conf *conf = load_everything(fixture);
	assert_string_equal(conf->gateway.name, "gw-1");
	assert_string_equal(conf->gateway.state_dir, "/var/lib/x");
	assert_string_equal(conf->gateway.plugin_dir, "/usr/lib/x");
	assert_string_equal(conf->gateway.script_dirs[0], "/nowhere");
	assert_string_equal(conf->gateway.script_dirs[1], fixture->scripts);
	assert_null(conf->gateway.script_dirs[2]);
	assert_string_equal(conf->gateway.control_socket, "");
	assert_int_equal(conf->gateway.log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(conf->scripts.instructions, 20000);
	assert_int_equal(conf->scripts.memory_kb, 256);
	assert_int_equal(conf->scripts.wall_ms, 50);
	assert_true(conf->mqtt.enabled);
	assert_int_equal(conf->mqtt.place.line, 13);
	assert_string_equal(conf->mqtt.host, "192.0.2.9");
	assert_int_equal(conf->mqtt.port, 1884);
	assert_string_equal(conf->mqtt.client_id, "me");
	assert_string_equal(conf->mqtt.user, "u");
	assert_string_equal(conf->mqtt.password, "other");
	assert_string_equal(conf->mqtt.prefix, "plant/7");
	assert_int_equal(conf->mqtt.keepalive_s, 30);
	assert_int_equal(conf->mqtt.queue, 11);
	conf_destroy(conf);
}

static void reads_enos(void **state)
{
	static const uint8_t iv[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	struct conf *conf = load_everything(*state);
	const struct conf_enos *enos = &conf->enos;
	assert_int_equal(enos->place.line, 6);
	assert_string_equal(enos->host, "coap.example.com");
	assert_int_equal(enos->port, 5684);
	assert_int_equal(enos->dialect, DIALECT_SIGNED);
	assert_int_equal(enos->lifetime_s, 600);
	assert_int_equal(enos->command_poll_s, 20);
	assert_int_equal(enos->signature_cipher, CIPHER_AES_128_ECB);
	assert_memory_equal(enos->signature_iv, iv, sizeof(iv));
	assert_int_equal(enos->max_payload, 512);
	assert_false(enos->batch);
	assert_int_equal(enos->queue_reports, 7);
	assert_int_equal(enos->start_spread_ms, 250);
	assert_int_equal(enos->response_timeout_ms, 5000);
	assert_int_equal(enos->retry_min_ms, 500);
	assert_int_equal(enos->retry_max_ms, 8000);
	assert_int_equal(enos->command_timeout_ms, 12500);
	assert_int_equal(enos->command_repeat_s, 61);
	assert_int_equal(enos->command_repeat_raw_s, 1);
	assert_int_equal(enos->offline, CONF_OFFLINE_KEEP);
	assert_int_equal(enos->offline_after_s, 5);
	assert_int_equal(conf->devices[0].offline, CONF_OFFLINE_KEEP);
	assert_int_equal(conf->devices[0].offline_after_s, 5);
	assert_int_equal(conf->devices[1].offline, CONF_OFFLINE_SHOW);
	assert_int_equal(conf->devices[1].offline_after_s, 0);
	assert_int_equal(conf->scripts.state_save_s, 30);
	conf_destroy(conf);
}

static void reads_buses(void **state)
{
	struct conf *conf = load_everything(*state);
	assert_int_equal(conf->bus_count, 2);
	const struct conf_bus *serial = &conf->buses[0], *tcp = &conf->buses[1];
	assert_int_equal(serial->place.line, 16);
	assert_string_equal(serial->place.file, conf->files[0]);
	assert_ptr_equal(serial->plugin, &toy_plugin);
	check_json(&serial->options, "{\"framing\":\"ascii\",\"broadcast_unit\":255}");
	assert_int_equal(serial->timeout_ms, 250);
	assert_int_equal(serial->retries, 0);
	assert_int_equal(serial->gap_us, 1500);
	assert_int_equal(serial->unit_gap_us, 7000);
	assert_int_equal(serial->turnaround_us, 20000);
	assert_int_equal(serial->in_flight, 4);
	assert_false(serial->merge);
	assert_int_equal(serial->merge_hole, 30);
	const struct conf_link *link = &serial->link;
	assert_int_equal(link->type, CONF_LINK_SERIAL);
	assert_string_equal(link->path, "/dev/ttyUSB0");
	assert_int_equal(link->baud, 19200);
	assert_int_equal(link->parity, PARITY_EVEN);
	assert_int_equal(link->data_bits, 7);
	assert_int_equal(link->stop_bits, 2);
	assert_true(link->rs485);
	assert_int_equal(link->rs485_rts, RTS_LOW);
	assert_int_equal(link->rs485_before_ms, 2);
	assert_int_equal(link->rs485_after_ms, 3);
	assert_int_equal(link->paced, ANSWER_NO);
	assert_int_equal(link->echo, ANSWER_YES);
	assert_int_equal(link->reopen_min_ms, 20);
	assert_int_equal(link->reopen_max_ms, 30);
	assert_int_equal(serial->line.transport, EB_SERIAL);
	assert_int_equal(serial->line.baud, 19200);
	assert_int_equal(serial->line.char_bits, 11);
	assert_int_equal(tcp->link.type, CONF_LINK_TCP);
	assert_string_equal(tcp->link.host, "2001:db8::1");
	assert_int_equal(tcp->link.port, 502);
	assert_int_equal(tcp->link.connect_timeout_ms, 700);
	assert_int_equal(tcp->link.connect_pause_ms, 40);
	assert_true(tcp->link.close_after_poll);
	assert_int_equal(tcp->line.transport, EB_TCP);
	assert_int_equal(tcp->line.baud, 0);
	check_json(&tcp->options, "{}");
	conf_destroy(conf);
}

static void reads_devices(void **state)
{
	struct fixture *fixture = *state;
	struct conf *conf = load_everything(fixture);
	char *script OWNED = must_printf("%s/meter.lua", fixture->scripts);
	assert_int_equal(conf->device_count, 2);
	const struct conf_device *meter = &conf->devices[0], *plc = &conf->devices[1];
	assert_string_equal(meter->name, "meter-1");
	assert_int_equal(meter->bus, 0);
	assert_string_equal(meter->script, "meter.lua");
	assert_string_equal(meter->script_path, script);
	assert_string_equal(meter->product_key, "pk1");
	assert_string_equal(meter->device_key, "dk1");
	assert_string_equal(meter->secret, "s3cret");
	check_json(&meter->address, "{\"unit\":1}");
	check_json(&meter->parameters,
		"{\"ct_ratio\":40,\"big\":5000000000,\"nested\":{\"a\":[1,2],"
		"\"l\":[1.5,\"x\",true,{\"y\":255}]}}");
	check_json(&meter->polls, "[]");
	assert_int_equal(plc->bus, 1);
	assert_null(plc->script);
	assert_null(plc->script_path);
	assert_string_equal(plc->secret, "in-line");
	assert_null(plc->secret_file);
	check_json(&plc->parameters, "{}");
	check_json(&plc->polls,
		"[{\"name\":\"live\",\"period\":0.5,\"priority\":\"high\","
		"\"read\":\"holding_registers\",\"count\":2},"
		"{\"name\":\"slow\",\"period\":60,\"read\":\"coils\",\"timeout\":2}]");
	assert_int_equal(plc->poll_places[0].line, 32);
	assert_int_equal(plc->poll_places[1].line, 34);
	conf_destroy(conf);
}

static void merges_as_the_bus_or_the_device_says(void **state)
{
	struct conf *conf = load_everything(*state);
	assert_int_equal(conf_merge_hole(conf, 0), -1);
	assert_int_equal(conf_merge_hole(conf, 1), 0);
	conf->buses[0].merge = true;
	assert_int_equal(conf_merge_hole(conf, 0), 30);
	conf->devices[0].merge_hole = 2;
	assert_int_equal(conf_merge_hole(conf, 0), 2);
	conf->devices[0].merge = ANSWER_NO;
	assert_int_equal(conf_merge_hole(conf, 0), -1);
	conf_destroy(conf);
}

static void finds_by_name(void **state)
{
	struct conf *conf = load_everything(*state);
	assert_int_equal(conf_find_bus(conf, "rs485-1"), 0);
	assert_int_equal(conf_find_bus(conf, "plc-7"), 1);
	assert_int_equal(conf_find_bus(conf, "plc"), -2);
	assert_int_equal(conf_find_device(conf, "meter-1"), 0);
	assert_int_equal(conf_find_device(conf, "plc"), 1);
	assert_int_equal(conf_find_device(conf, ""), -2);
	conf_destroy(conf);
}

static void has_defaults(void **state)
{
	struct conf *conf = fixture_load_text(*state,
		HEAD "mqtt = {};\n"
		     "buses = ( { name = \"s\"; plugin = \"lone\";\n"
		     "  link = { type = \"serial\"; path = \"/dev/ttyS0\"; }; } );");
	assert_non_null(conf);
	assert_string_equal(conf->gateway.state_dir, "/var/lib/enos-bridge");
	assert_string_equal(conf->gateway.control_socket, "/run/enos-bridge/control");
	assert_int_equal(conf->gateway.log_level, LOG_LEVEL_INFO);
	assert_int_equal(conf->enos.port, 5683);
	assert_int_equal(conf->enos.lifetime_s, 300);
	assert_int_equal(conf->enos.command_poll_s, 30);
	assert_int_equal(conf->enos.max_payload, 1024);
	assert_true(conf->enos.batch);
	assert_int_equal(conf->enos.queue_reports, 1000);
	assert_int_equal(conf->enos.start_spread_ms, 10000);
	assert_int_equal(conf->enos.response_timeout_ms, 30000);
	assert_int_equal(conf->enos.retry_min_ms, 1000);
	assert_int_equal(conf->enos.retry_max_ms, 60000);
	assert_int_equal(conf->enos.command_timeout_ms, 30000);
	assert_int_equal(conf->enos.command_repeat_s, 60);
	assert_int_equal(conf->enos.command_repeat_raw_s, 0);
	assert_int_equal(conf->enos.offline, CONF_OFFLINE_SHOW);
	assert_int_equal(conf->enos.offline_after_s, 60);
	assert_int_equal(conf->scripts.state_save_s, 600);
	assert_string_equal(conf->mqtt.client_id, "enos-bridge-gw");
	assert_string_equal(conf->mqtt.prefix, "enos-bridge");
	assert_int_equal(conf->mqtt.queue, 10000);
	assert_null(conf->mqtt.user);
	const struct conf_bus *bus = &conf->buses[0];
	assert_int_equal(bus->timeout_ms, 1000);
	assert_int_equal(bus->retries, 2);
	assert_int_equal(bus->in_flight, 1);
	assert_true(bus->merge);
	assert_int_equal(bus->merge_hole, 8);
	assert_int_equal(bus->link.baud, 9600);
	assert_int_equal(bus->link.stop_bits, 1);
	assert_int_equal(bus->line.char_bits, 10);
	assert_int_equal(bus->link.paced, ANSWER_AUTO);
	assert_int_equal(bus->link.echo, ANSWER_AUTO);
	conf_destroy(conf);
}

static void needs_no_cloud_without_devices(void **state)
{
	struct conf *conf = fixture_load_text(*state, "gateway = { name = \"gw\"; };");
	assert_non_null(conf);
	assert_false(conf->mqtt.enabled);
	assert_string_equal(conf->enos.host, "");
	assert_int_equal(conf->bus_count + conf->device_count, 0);
	conf_destroy(conf);
}

static void piggyback_has_a_keepalive_topic(void **state)
{
	struct conf *conf = fixture_load_text(*state,
		"gateway = { name = \"gw\"; };\n"
		"enos = { host = \"h\"; dialect = \"piggyback\"; keepalive_topic = \"a/b\"; };");
	assert_non_null(conf);
	assert_int_equal(conf->enos.dialect, DIALECT_PIGGYBACK);
	assert_string_equal(conf->enos.keepalive_topic, "a/b");
	conf_destroy(conf);
}

/* Lone devices have no address, so two on a line are not each other's double. */
static void devices_without_address(void **state)
{
	struct conf *conf = fixture_load_text(*state,
		HEAD "buses = ( { name = \"s\"; plugin = \"lone\";\n"
		     "  link = { type = \"serial\"; path = \"/dev/ttyS0\"; }; } );\n"
		     "devices = ( { name = \"a\"; bus = \"s\"; script = \"meter.lua\"; " SECRET
		     "    product_key = \"p\"; device_key = \"1\"; },\n"
		     "  { name = \"b\"; bus = \"s\"; script = \"meter.lua\"; " SECRET
		     "    product_key = \"p\"; device_key = \"2\"; } );");
	assert_non_null(conf);
	conf_destroy(conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads_groups, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(reads_enos, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(reads_buses, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(reads_devices, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			merges_as_the_bus_or_the_device_says, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(finds_by_name, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(has_defaults, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			needs_no_cloud_without_devices, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			piggyback_has_a_keepalive_topic, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			devices_without_address, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
