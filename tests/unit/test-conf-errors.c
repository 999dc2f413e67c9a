/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong in a configuration, and the very words about it. */
#include "core/conf.h"

#include "conf-fixture.h"

#define DEVICE "name = \"d\"; bus = \"b\"; unit = 1; script = \"meter.lua\"; "
#define KEYS "product_key = \"p\"; device_key = \"k\"; " SECRET
#define DEVICES(keys) "devices = ( { " keys " } );"

struct sample {
	const char *name;
	const char *text;
	const char *said;
};

static const struct sample of_files[] = {
	{ "empty", "", "main.conf: gateway is missing: write gateway = { name = \"...\"; };\n" },
	{ "nothing_but_a_comment", "// nothing\n/* at all */ # here\n",
		"main.conf: gateway is missing: write gateway = { name = \"...\"; };\n" },
	{ "no_equals_sign", "gateway = { name \"gw\"; };\n",
		"main.conf:1: '=' behind a key is expected here, not a text\n" },
	{ "missing_bracket", "gateway = { name = \"gw\";\n",
		"main.conf:2: the '{' of line 1 is never closed: write '}' where it ends\n" },
	{ "twice_in_one_file", HEAD "\nenos = { host = \"other\"; };",
		"main.conf:3: this key stands twice in its group: keep one of them\n" },
	{ "twice_in_one_group", "gateway = { name = \"gw\";\nname = \"gw2\"; };",
		"main.conf:2: this key stands twice in its group: keep one of them\n" },
	{ "mixed_array", "gateway = { name = \"gw\";\nscript_dirs = [ \"/a\", 1 ]; };",
		"main.conf:2: the items of an array [ ] must be of one type: write a list ( ) for a mixture\n" },
	{ "unknown_group", HEAD "\ndevice = ();\nsnmp = {};",
		"main.conf:3: unknown key \"device\" in file: did you mean \"devices\"?\n"
		"main.conf:4: unknown key \"snmp\" in file: enos-bridge.conf(5) lists the keys\n" },
	{ "list_for_group", "gateway = ( { name = \"gw\"; } );",
		"main.conf:1: gateway is a list ( ): it must be a group { }\n" },
	{ "group_for_list", HEAD "buses = { name = \"b\"; };",
		"main.conf:2: buses is a group { }: it must be a list ( ) of groups { }\n" },
	{ "number_among_buses", HEAD "buses = ( 1, { } );",
		"main.conf:2: an item of buses is an integer: it must be a group { }\n"
		"main.conf:2: bus lacks name: the bus's name, which devices refer to\n"
		"main.conf:2: bus lacks plugin: the plugin that speaks its protocol, e.g. \"modbus\"\n"
		"main.conf:2: bus lacks link: what it runs on, a group with a type\n" },
	{ "number_among_devices", HEAD BUS "devices = ( \"d\" );",
		"main.conf:3: an item of devices is a text: it must be a group { }\n" },
	{ "include", HEAD "  @include \"more.conf\"\n",
		"main.conf:2: @include is not supported: put buses and devices into a *.conf file of devices.d, which is read by itself\n" },
	{ "reals_without_end", "gateway = { name = \"gw\"; };\nx = 1e999;",
		"main.conf:2: this number is beyond the range of reals: the most is 1.7e308\n"
		"main.conf:2: unknown key \"x\" in file: enos-bridge.conf(5) lists the keys\n" },
};

static const struct sample of_groups[] = {
	{ "gateway_without_name", "gateway = { log_level = \"info\"; };",
		"main.conf:1: gateway lacks name: the name of this gateway, a level of its MQTT topics\n" },
	{ "gateway_bad_values",
		"gateway = {\n name = \"a/b\";\n state_dir = \"var\";\n script_dirs = [ 1 ];\n"
		" plugin_dir = 7;\n log_level = \"warn\";\n control_socket = \"x\";\n};",

		"main.conf:2: name \"a/b\" is not allowed: it must be letters, digits, '-', '_' and '.'\n"
		"main.conf:3: state_dir \"var\" is not allowed: it must be an absolute path\n"
		"main.conf:4: an item of script_dirs is an integer: it must be a text: an absolute path\n"
		"main.conf:5: plugin_dir is an integer: it must be a text of 1 to 4000 bytes: an absolute path\n"
		"main.conf:6: log_level is \"warn\": it must be \"error\", \"warning\", \"info\" or \"debug\"\n"
		"main.conf:7: control_socket \"x\" is not allowed: it must be an absolute path\n" },
	{ "gateway_empty_name", "gateway = { name = \"\"; };",
		"main.conf:1: name is empty: write letters, digits, '-', '_' and '.'\n" },
	{ "name_too_long",
		"gateway = { name = \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"; };",

		"main.conf:1: name has 72 bytes: it must have at most 64\n" },
	{ "dirs_of_mixed_types",
		"gateway = { name = \"gw\"; script_dirs = (\n\"/a\",\n\"b\",\n7 ); };",
		"main.conf:3: script_dirs \"b\" is not allowed: it must be an absolute path\n"
		"main.conf:4: an item of script_dirs is an integer: it must be a text: an absolute path\n" },
	{ "misspelt", "gateway = { naem = \"gw\"; loglevel = \"info\"; frobnicate = 1; };",
		"main.conf:1: unknown key \"naem\" in gateway: did you mean \"name\"?\n"
		"main.conf:1: unknown key \"loglevel\" in gateway: did you mean \"log_level\"?\n"
		"main.conf:1: unknown key \"frobnicate\" in gateway: enos-bridge.conf(5) lists the keys\n"
		"main.conf:1: gateway lacks name: the name of this gateway, a level of its MQTT topics\n" },
	{ "scripts_out_of_range",
		"gateway = { name = \"gw\"; };\nscripts = { memory_kb = 1;\nwall_ms = 0.5; };",

		"main.conf:2: memory_kb is 1: it must be 128 to 1048576 KiB\n"
		"main.conf:3: wall_ms is a real number: it must be an integer, 10 to 60000 ms\n" },
	{ "enos_without_host", "gateway = { name = \"gw\"; }; enos = {};",
		"main.conf:1: enos lacks host: the CoAP endpoint of EnOS: a name or an address\n" },
	{ "enos_missing", "gateway = { name = \"gw\"; };\n" BUS DEVICES(DEVICE KEYS),
		"main.conf: enos is missing, devices report to it: write enos = { host = \"...\"; };\n" },
	{ "enos_bad_values",
		"gateway = { name = \"gw\"; };\nenos = {\n host = \"coap://h\";\n port = 70000;\n"
		" security = \"tls\";\n dialect = \"old\";\n lifetime = 29;\n command_poll = 0;\n"
		" signature_iv = \"00\";\n max_payload = \"1k\";\n batch = 1;\n"
		" start_spread = -0.5;\n retry_min = 10;\n retry_max = 5.5;\n"
		" response_timeout = 601;\n};",

		"main.conf:2: retry_min (10 s) is more than retry_max (5.5 s): set both\n"
		"main.conf:3: host \"coap://h\" is not allowed: it must be a host name or a numeric address\n"
		"main.conf:4: port is 70000: it must be 1 to 65535\n"
		"main.conf:5: security is \"tls\": it must be \"none\" or \"dtls\"\n"
		"main.conf:6: dialect is \"old\": it must be \"signed\" or \"piggyback\"\n"
		"main.conf:7: lifetime is 29: it must be 30 to 86400 s\n"
		"main.conf:8: command_poll is 0: it must be 1 to 86400 s\n"
		"main.conf:9: signature_iv must be 32 hexadecimal digits\n"
		"main.conf:10: max_payload is a text: it must be an integer, 128 to 16384 bytes\n"
		"main.conf:11: batch is an integer: it must be true or false\n"
		"main.conf:12: start_spread is -0.5: it must be 0 to 3600 s\n"
		"main.conf:15: response_timeout is 601: it must be 0.1 to 600 s\n" },
	{ "wrong_dialect",
		"gateway = { name = \"gw\"; };\nenos = { host = \"h\";\n keepalive_topic = \"a\"; };",

		"main.conf:3: keepalive_topic makes no sense with dialect = \"signed\": remove it; it goes with dialect = \"piggyback\"\n" },
	{ "other_wrong_dialect",
		"gateway = { name = \"gw\"; };\nenos = { host = \"h\"; dialect = \"piggyback\";\n"
		" signature_cipher = \"aes-128-cbc\";\n keepalive_topic = \"/a\"; };",

		"main.conf:3: signature_cipher makes no sense with dialect = \"piggyback\": remove it; it goes with dialect = \"signed\"\n"
		"main.conf:4: keepalive_topic \"/a\" is not allowed: it must be levels of a topic, without '+', '#', blanks, and '/' at either end\n" },
	{ "mqtt_bad_values",
		"gateway = { name = \"gw\"; };\nmqtt = {\n prefix = \"a/#\";\n keepalive = 1;\n"
		" password = \"x\";\n password_file = \"secrets/none\"; };",

		"main.conf:3: prefix \"a/#\" is not allowed: it must be levels of a topic, without '+', '#', blanks, and '/' at either end\n"
		"main.conf:4: keepalive is 1: it must be 5 to 65535 s\n"
		"main.conf:5: unknown key \"password\" in mqtt: did you mean \"password_file\"?\n"
		"main.conf:6: password_file stands without user: name the user at the broker\n"
		"main.conf:6: password_file secrets/none does not exist: create it with the secret in one line\n" },
};

static const struct sample of_buses[] = {
	{ "bus_without_anything", HEAD "buses = (\n{ } );",
		"main.conf:3: bus lacks name: the bus's name, which devices refer to\n"
		"main.conf:3: bus lacks plugin: the plugin that speaks its protocol, e.g. \"modbus\"\n"
		"main.conf:3: bus lacks link: what it runs on, a group with a type\n" },
	{ "link_without_type",
		HEAD "buses = ( { name = \"b\"; plugin = \"toy\";\nlink = { host = \"h\"; }; } );",

		"main.conf:3: link lacks type: what the bus runs on\n" },
	{ "serial_keys_on_tcp",
		HEAD
		"buses = ( { name = \"b\"; plugin = \"toy\"; link = { type = \"tcp\";\n"
		" host = \"h\"; port = 502;\n baud = 9600;\n parity = \"even\";\n path = \"/dev/x\"; }; } );",

		"main.conf:4: baud makes no sense with type = \"tcp\": remove it; it goes with type = \"serial\"\n"
		"main.conf:5: parity makes no sense with type = \"tcp\": remove it; it goes with type = \"serial\"\n"
		"main.conf:6: path makes no sense with type = \"tcp\": remove it; it goes with type = \"serial\"\n" },
	{ "port_behind_the_host",
		HEAD "buses = ( { name = \"b\"; plugin = \"toy\"; link = { type = \"tcp\";\n"
		     " host = \"127.0.0.1:15020\";\n port = 502; }; } );\n"
		     "mqtt = { host = \"broker:1883\"; };",

		"main.conf:3: host \"127.0.0.1:15020\": write the port as port = 15020\n"
		"main.conf:5: host \"broker:1883\": write the port as port = 1883\n" },
	{ "colons_of_no_address",
		HEAD "buses = ( { name = \"b\"; plugin = \"toy\"; link = { type = \"tcp\";\n"
		     " host = \"fe80::1::2\";\n port = 502; }; } );",

		"main.conf:3: host \"fe80::1::2\" is not allowed: it must be a host name or a numeric address\n" },
	{ "hosts_of_version_6",
		HEAD "buses = ( { name = \"b\"; plugin = \"toy\"; link = { type = \"tcp\";\n"
		     " host = \"fe80::1%eth0\"; port = 502; }; } );\n"
		     "mqtt = { host = \"::1\"; };",
		"" },
	{ "tcp_keys_on_serial",
		HEAD "buses = ( { name = \"b\"; plugin = \"toy\"; link = { type = \"serial\";\n"
		     " host = \"h\";\n close_after_poll = true; }; } );",

		"main.conf:2: link lacks path: the port; a name in /dev/serial/by-id or by-path survives replugging\n"
		"main.conf:3: host makes no sense with type = \"serial\": remove it; it goes with type = \"tcp\"\n"
		"main.conf:4: close_after_poll makes no sense with type = \"serial\": remove it; it goes with type = \"tcp\"\n" },
	{ "link_bad_values",
		HEAD "buses = ( { name = \"b\"; plugin = \"toy\"; link = { type = \"serial\";\n"
		     " path = \"ttyUSB0\";\n baud = 49;\n parity = \"mark\";\n data_bits = 9;\n"
		     " stop_bits = 3;\n rs485 = \"yes\";\n paced = \"no\";\n"
		     " reopen_min_ms = 100; reopen_max_ms = 50; }; } );",

		"main.conf:2: reopen_min_ms (100) is more than reopen_max_ms (50): set both\n"
		"main.conf:3: path \"ttyUSB0\" is not allowed: it must be an absolute path\n"
		"main.conf:4: baud is 49: it must be 50 to 4000000 bits per second\n"
		"main.conf:5: parity is \"mark\": it must be \"none\", \"even\" or \"odd\"\n"
		"main.conf:6: data_bits is 9: it must be 7 to 8\n"
		"main.conf:7: stop_bits is 3: it must be 1 to 2\n"
		"main.conf:8: rs485 is a text: it must be true or false\n"
		"main.conf:9: paced is \"no\": it must be true, false or \"auto\"\n" },
	{ "link_of_unknown_type",
		HEAD "buses = ( { name = \"b\"; plugin = \"toy\"; link = { type = \"udp\";\n"
		     " host = \"h\"; port = 0; }; } );",

		"main.conf:2: type is \"udp\": it must be \"serial\" or \"tcp\"\n"
		"main.conf:3: port is 0: it must be 1 to 65535\n" },
	{ "keys_of_the_link_on_the_bus",
		HEAD
		"buses = ( { name = \"b\"; plugin = \"toy\";\n baud = 9600;\n framming = \"rtu\";\n"
		" slave = 1;\n retrys = 1; " TCP_LINK " } );",

		"main.conf:3: unknown key \"baud\" in bus: it belongs into link\n"
		"main.conf:4: unknown key \"framming\" in bus: did you mean \"framing\"?\n"
		"main.conf:5: unknown key \"slave\" in bus: enos-bridge.conf(5) lists the keys; its plugin's are framing, broadcast_unit\n"
		"main.conf:6: unknown key \"retrys\" in bus: did you mean \"retries\"?\n" },
	{ "options_of_the_plugin",
		HEAD "buses = ( { name = \"b\"; plugin = \"toy\";\n framing = \"rtuu\";\n"
		     " broadcast_unit = 256; " TCP_LINK " } );",

		"main.conf:3: framing is \"rtuu\", it must be one of rtu|ascii|tcp\n"
		"main.conf:4: broadcast_unit is 256, it must be 0 to 255\n" },
	{ "option_that_the_plugin_refuses",
		HEAD "buses = ( { name = \"b\"; plugin = \"toy\"; framing = \"tcp\";\n"
		     " link = { type = \"serial\"; path = \"/dev/x\"; }; } );",

		"main.conf:2: plugin toy: framing tcp needs a tcp link\n" },
	{ "plugin_not_for_this_link",
		HEAD
		"buses = ( { name = \"b\"; plugin = \"lone\";\n link = {\n type = \"tcp\"; host = \"h\";"
		" port = 1; }; } );",

		"main.conf:4: plugin lone cannot run on tcp: it runs on serial\n" },
	{ "missing_plugin",
		HEAD "buses = ( { name = \"b\";\n plugin = \"modbsu\"; any = 1;\n baud = 1;\n"
		     " timeout_sm = 1; " TCP_LINK " } );",
		"main.conf:3: plugin modbsu.so: No such file or directory: the plugins there are: none\n"
		"main.conf:4: unknown key \"baud\" in bus: it belongs into link\n"
		"main.conf:5: unknown key \"timeout_sm\" in bus: did you mean \"timeout_ms\"?\n" },
	{ "all_at_once",
		"gateway = { name = \"g\"; };\nenos = { host = \"h\" };\n"
		"buses = ( { name = \"b\"; plugin = \"toy\"; baud = 9600;\n"
		"  link = { type = \"tcp\"; host = \"h\"; port = 99999; }; } );\n"
		"devices = ( { name = \"d\"; bus = \"b\"; unit = 5000000000;\n"
		"  secret = \"s\"; product_key = \"p\"; device_key = \"k\"; script = \"x.lua\"; } );\n"
		"mqttt = {};",
		"main.conf:3: unknown key \"baud\" in bus: it belongs into link\n"
		"main.conf:4: port is 99999: it must be 1 to 65535\n"
		"main.conf:5: 5000000000 does not fit into 32 bits: write 5000000000L\n"
		"main.conf:5: device lacks secret_file: a file with its secret in EnOS\n"
		"main.conf:6: unknown key \"secret\" in device: did you mean \"secret_file\"?\n"
		"main.conf:6: script \"x.lua\" is in none of scripts: check its name, or put it there\n"
		"main.conf:7: unknown key \"mqttt\" in file: did you mean \"mqtt\"?\n" },
	{ "plugin_with_a_path",
		HEAD "buses = ( { name = \"b\";\n plugin = \"../toy\"; " TCP_LINK " } );",
		"main.conf:3: plugin \"../toy\" is not allowed: it must be lower-case letters, digits and '-'\n" },
	{ "two_buses_of_one_name",
		HEAD "buses = ( { name = \"b\"; plugin = \"toy\"; " TCP_LINK " },\n"
		     " { name = \"c\"; plugin = \"toy\"; " TCP_LINK " },\n"
		     " { name = \"b\"; plugin = \"toy\"; " TCP_LINK " } );",

		"main.conf:4: the bus at main.conf:2 is named \"b\" too: rename one\n" },
	{ "two_buses_on_one_port",
		HEAD
		"buses = (\n{ name = \"b\"; plugin = \"toy\"; link = { type = \"serial\"; path = \"/dev/x\"; }; },\n"
		"{ name = \"c\"; plugin = \"toy\"; link = { type = \"serial\"; path = \"/dev/x\"; }; } );",

		"main.conf:4: the bus at main.conf:3 is on port /dev/x too: a port serves one bus\n" },
};

static const struct sample of_devices[] = {
	{ "device_without_anything", HEAD BUS "devices = (\n{ } );",
		"main.conf:4: device lacks name: the device's name, a level of its MQTT topics\n"
		"main.conf:4: device lacks bus: the name of the bus that it is on\n"
		"main.conf:4: device lacks product_key: its product in EnOS\n"
		"main.conf:4: device lacks device_key: its key in EnOS, unique in its product\n"
		"main.conf:4: device lacks secret_file: a file with its secret in EnOS\n"
		"main.conf:4: device has neither script, points nor polls: nothing would be read from it\n" },
	{ "device_of_unknown_bus",
		HEAD BUS DEVICES(
			"name = \"d\"; script = \"meter.lua\"; unit = 300;\n bus = \"bb\";" KEYS),

		"main.conf:4: no bus is named \"bb\": name one of buses\n" },
	{ "device_bad_values",
		HEAD BUS DEVICES(
			"name = \"d+\";\n bus = \"b\";\n unit = 248;\n script = \"../meter.lua\";\n"
			" parameters = 5;\n product_key = \"p/q\";\n device_key = 7;\n"
			" polls = { };" SECRET),

		"main.conf:3: name \"d+\" is not allowed: it must be letters, digits, '-', '_' and '.'\n"
		"main.conf:5: unit is 248, it must be 0 to 247\n"
		"main.conf:6: script \"../meter.lua\" is not allowed: it must be a file name without '/'\n"
		"main.conf:7: parameters is an integer: it must be a group { }\n"
		"main.conf:8: product_key \"p/q\" is not allowed: it must be letters, digits and signs other than '/', '+', '#', '\"', '\\' and ','\n"
		"main.conf:9: device_key is an integer: it must be a text of 1 to 128 bytes: letters, digits and signs other than '/', '+', '#', '\"', '\\' and ','\n"
		"main.conf:10: polls is a group { }: it must be a list ( ) of groups { }\n" },
	{ "unknown_keys",
		HEAD BUS DEVICES(
			DEVICE KEYS "\n unti = 1;\n colour = ();\n device_sekret = \"geheim\";"),

		"main.conf:4: unknown key \"unti\" in device: did you mean \"unit\"?\n"
		"main.conf:5: unknown key \"colour\" in device: enos-bridge.conf(5) lists the keys; its plugin's are unit\n"
		"main.conf:6: unknown key \"device_sekret\" in device: did you mean \"device_secret\"?\n" },
	{ "unit_missing",
		HEAD BUS DEVICES("name = \"d\"; bus = \"b\"; script = \"meter.lua\"; " KEYS),
		"main.conf:3: device lacks unit: unit id, 0 to 247\n" },
	{ "unit_of_wrong_type",
		HEAD BUS DEVICES("name = \"d\"; bus = \"b\"; script = \"meter.lua\"; " KEYS
				 "\nunit = \"1\";"),

		"main.conf:4: unit is a text, it must be an integer\n" },
	{ "unit_that_the_plugin_refuses",
		HEAD BUS DEVICES(
			"name = \"d\"; bus = \"b\"; script = \"meter.lua\"; " KEYS "\nunit = 13;"),

		"main.conf:4: plugin toy: unit 13 brings bad luck: take 14\n" },
	{ "missing_script",
		HEAD BUS DEVICES(
			"name = \"d\"; bus = \"b\"; unit = 1; " KEYS "\nscript = \"metre.lua\";"),

		"main.conf:4: script \"metre.lua\" is in none of scripts: check its name, or put it there\n" },
	{ "neither_script_nor_polls",
		HEAD BUS DEVICES("name = \"d\"; bus = \"b\"; unit = 1; " KEYS),
		"main.conf:3: device has neither script, points nor polls: nothing would be read from it\n" },
	{ "what_commands_may",
		HEAD BUS DEVICES(DEVICE KEYS
			"\n commands = \"some\";\n newest_wins = true;\n read_back = { settle = 61.0; };\n"
			" allow = ( 1,\n { },\n { address = 1; service = \"s\"; },\n"
			" { write = \"cells\"; },\n { service = \"a b\"; values = [ 3, 1 ]; sevice = 1; } );"),
		"main.conf:4: commands is \"some\": it must be \"all\" or \"none\"\n"
		"main.conf:5: plugin toy cannot do newest_wins: remove it\n"
		"main.conf:6: settle is 61: it must be 0 to 60 s\n"
		"main.conf:6: plugin toy cannot do read_back: remove it\n"
		"main.conf:7: an item of allow is an integer: it must be a group { }\n"
		"main.conf:8: an item of allow has neither service nor write: it would allow everything\n"
		"main.conf:9: address says nothing without write: add write = \"...\", or remove it\n"
		"main.conf:10: plugin toy cannot say what a request writes: remove write, and name services\n"
		"main.conf:11: service \"a b\" is not allowed: it must be levels of a topic, without '+', '#', blanks, and '/' at either end\n"
		"main.conf:11: values has its ends exchanged: write [ 1, 3 ]\n"
		"main.conf:11: unknown key \"sevice\" in allow: did you mean \"service\"?\n"
		"main.conf:11: values says nothing without write: add write = \"...\", or remove it\n" },
	{ "no_secret", HEAD BUS DEVICES(DEVICE "product_key = \"p\"; device_key = \"k\";"),
		"main.conf:3: device lacks secret_file: a file with its secret in EnOS\n" },
	{ "two_secrets", HEAD BUS DEVICES(DEVICE KEYS "\n device_secret = \"geheim\";"),
		"main.conf:4: device_secret stands beside secret_file: remove one of them\n" },
	{ "secret_is_no_text",
		HEAD BUS DEVICES(DEVICE
			"product_key = \"p\"; device_key = \"k\";\n device_secret = 12345678901234567890;"),

		"main.conf:4: this is a number that does not fit: write a text, between quotes\n" },
	{ "secret_with_a_blank",
		HEAD BUS DEVICES(DEVICE
			"product_key = \"p\"; device_key = \"k\";\n device_secret = \"ge heim\";"),

		"main.conf:4: device_secret is not allowed: it must be visible ASCII characters\n" },
	{ "duplicates",
		HEAD BUS "devices = (\n{ " DEVICE KEYS " },\n{ " DEVICE KEYS " },\n"
			 "{ name = \"e\"; bus = \"b\"; unit = 2; script = \"meter.lua\"; " KEYS
			 " },\n"
			 "{ name = \"f\"; bus = \"b\"; unit = 1; script = \"meter.lua\"; " SECRET
			 "product_key = \"p\"; device_key = \"l\"; } );",

		"main.conf:5: the device at main.conf:4 is named \"d\" too: rename one\n"
		"main.conf:5: device \"d\" at main.conf:4 has product_key \"p\" and device_key \"k\" too: EnOS would mix them up\n"
		"main.conf:5: device \"d\" at main.conf:4 has the same address on bus \"b\": only one can have it\n"
		"main.conf:6: device \"d\" at main.conf:4 has product_key \"p\" and device_key \"k\" too: EnOS would mix them up\n"
		"main.conf:7: device \"d\" at main.conf:4 has the same address on bus \"b\": only one can have it\n" },
};

#define POLLS(items) \
	DEVICES("name = \"d\"; bus = \"b\"; unit = 1; " KEYS "\npolls = (\n" items " );")
#define SCRIPT_POLLS(items) DEVICES(DEVICE KEYS "\npolls = (\n" items " );")

static const struct sample of_polls[] = {
	{ "poll_is_no_group", HEAD BUS POLLS("7"),
		"main.conf:5: an item of polls is an integer: it must be a group { }\n" },
	{ "poll_without_name", HEAD BUS POLLS("{ period = 1; read = \"coils\"; }"),
		"main.conf:5: poll lacks name: a name of its own, or that of the script's poll to change\n" },
	{ "poll_without_period", HEAD BUS POLLS("{ name = \"a\"; read = \"coils\"; }"),
		"main.conf:5: poll a: period is missing: seconds from 0 (as fast as the bus allows) to 86400\n" },
	{ "poll_without_read", HEAD BUS POLLS("{ name = \"a\"; period = 1; }"),
		"main.conf:5: poll lacks read: what to read\n" },
	{ "poll_changes_one_of_the_script", HEAD BUS SCRIPT_POLLS("{ name = \"a\"; period = 7; }"),
		"" },
	{ "poll_bad_values",
		HEAD BUS SCRIPT_POLLS(
			"{ name = \"a b\";\n period = 86401;\n priority = \"urgent\";\n"
			" timeout = 0;\n retry_safe = 1;\n read = \"inputs\";\n adress = 1;\n"
			" count = 0;\n values = [ 1, 70000 ]; }"),

		"main.conf:5: name of a poll must be 1 to 63 bytes: letters, digits, '-', '_' and '.'\n"
		"main.conf:7: priority is \"urgent\", it must be one of normal|high\n"
		"main.conf:9: retry_safe is an integer, it must be a boolean (true, false)\n"
		"main.conf:10: read is \"inputs\", it must be one of coils|holding_registers\n"
		"main.conf:11: unknown key \"adress\" in poll: did you mean \"address\"?\n"
		"main.conf:12: count is 0, it must be 1 to 65535\n"
		"main.conf:13: values: item 2 is 70000, it must be 0 to 65535\n" },
	{ "poll_periods",
		HEAD BUS SCRIPT_POLLS(
			"{ name = \"a\";\n period = 86401; },\n{ name = \"b\";\n timeout = 0; },\n"
			"{ name = \"c\";\n period = -1; timeout = 4000; }"),

		"main.conf:6: period is 86401: it must be 0 to 86400 s\n"
		"main.conf:8: timeout is 0: it must be more than 0 and at most 3600 s\n"
		"main.conf:10: period is -1: it must be 0 to 86400 s\n" },
	{ "poll_too_long",
		HEAD BUS POLLS("{ name = \"a\"; period = 1; read = \"coils\"; count = 126; }"),

		"main.conf:5: poll a: a frame holds at most 125 registers\n" },
	{ "polls_of_one_name",
		HEAD BUS SCRIPT_POLLS(
			"{ name = \"a\"; period = 1; },\n{ name = \"a\"; period = 2; }"),

		"main.conf:6: two polls of the device are named \"a\": rename one\n" },
};

static void check(struct fixture *fixture, const struct sample *samples, size_t count)
{
	size_t wrong = 0;
	for (size_t i = 0; i < count; i++) {
		struct conf *conf = fixture_load_text(fixture, samples[i].text);
		if (strcmp(fixture->said, samples[i].said) != 0) {
			print_error("%s:\n%s--- but not:\n%s", samples[i].name, fixture->said,
				samples[i].said);
			wrong++;
		}
		conf_destroy(conf);
	}
	assert_int_equal(wrong, 0);
}

#define CHECK(samples) check(*state, samples, sizeof(samples) / sizeof(*(samples)))

static void errors_of_files(void **state)
{
	CHECK(of_files);
}

static void errors_of_groups(void **state)
{
	CHECK(of_groups);
}

static void errors_of_buses(void **state)
{
	CHECK(of_buses);
}

static void errors_of_devices(void **state)
{
	CHECK(of_devices);
}

static void errors_of_polls(void **state)
{
	CHECK(of_polls);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(errors_of_files, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(errors_of_groups, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(errors_of_buses, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(errors_of_devices, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(errors_of_polls, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests_name("conf-errors", tests, NULL, NULL);
}
