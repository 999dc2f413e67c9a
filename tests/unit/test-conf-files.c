/* SPDX-License-Identifier: Apache-2.0 */
/* Files around the main one: devices.d, secrets, scripts. */
#include "core/conf.h"

#include "conf-fixture.h"

#include <sys/stat.h>

#define DEVICE(n, more)                                                                        \
	"devices = ( { name = \"d" n "\"; bus = \"b\"; unit = " n "; script = \"meter.lua\"; " \
	"product_key = \"p\"; device_key = \"k" n "\"; " more " } );\n"

static void check_said(struct fixture *fixture, const char *expected)
{
	conf_destroy(fixture_load(fixture));
	assert_string_equal(fixture->said, expected);
}

static void reads_devices_d_in_order(void **state)
{
	struct fixture *fixture = *state;
	fixture_write(fixture, "main.conf", 0640, HEAD DEVICE("1", SECRET));
	fixture_mkdir(fixture, "devices.d");
	fixture_write(fixture, "devices.d/b.conf", 0644, DEVICE("2", SECRET) "mqtt = {};");
	fixture_write(fixture, "devices.d/a.conf", 0644, BUS DEVICE("3", SECRET));
	fixture_write(fixture, "devices.d/B.conf", 0644, DEVICE("4", SECRET));
	fixture_write(fixture, "devices.d/README", 0644, "no configuration");
	fixture_write(fixture, "devices.d/c.conf.dpkg-old", 0644, "neither");
	fixture_write(fixture, "devices.d/.hidden.conf", 0644, "nor");
	struct conf *conf = fixture_load(fixture);
	assert_string_equal(fixture->said, "");
	assert_int_equal(conf->device_count, 4);
	assert_string_equal(conf->devices[0].name, "d1");
	assert_string_equal(conf->devices[1].name, "d4");
	assert_string_equal(conf->devices[2].name, "d3");
	assert_string_equal(conf->devices[3].name, "d2");
	assert_true(conf->mqtt.enabled);
	assert_string_equal(conf->devices[1].place.file, conf->files[1]);
	assert_null(conf->files[4]);
	conf_destroy(conf);
}

static void one_bad_file_hides_no_other(void **state)
{
	struct fixture *fixture = *state;
	fixture_write(fixture, "main.conf", 0640,
		"gateway = { name = \"gw\";\n log_level = \"loud\"; };\n" DEVICE("1", SECRET));
	fixture_mkdir(fixture, "devices.d");
	fixture_write(fixture, "devices.d/a.conf", 0644, BUS "enos = {\n");
	fixture_write(fixture, "devices.d/b.conf", 0644, "\n\ndevices = ( { naem = 1; } );\n");
	check_said(fixture,
		"devices.d/a.conf:3: the '{' of line 2 is never closed: write '}' where it ends\n"
		"main.conf:2: log_level is \"loud\": it must be \"error\", \"warning\", \"info\" or "
		"\"debug\"\n"
		"devices.d/b.conf:3: device lacks name: the device's name, a level of its MQTT topics\n"
		"devices.d/b.conf:3: device lacks bus: the name of the bus that it is on\n"
		"devices.d/b.conf:3: device lacks product_key: its product in EnOS\n"
		"devices.d/b.conf:3: device lacks device_key: its key in EnOS, unique in its product\n"
		"devices.d/b.conf:3: unknown key \"naem\" in device: did you mean \"name\"?\n"
		"devices.d/b.conf:3: device lacks secret_file: a file with its secret in EnOS\n"
		"devices.d/b.conf:3: device has neither script, points nor polls: nothing would be read from "
		"it\n");
}

static void groups_stand_once(void **state)
{
	struct fixture *fixture = *state;
	fixture_write(fixture, "main.conf", 0640, HEAD "mqtt = {};");
	fixture_mkdir(fixture, "devices.d");
	fixture_write(fixture, "devices.d/a.conf", 0644, "mqtt = {};\ngateway = {};");
	check_said(fixture,
		"devices.d/a.conf:1: mqtt stands at main.conf:2 already: keep one of them\n"
		"devices.d/a.conf:2: gateway stands at main.conf:1 already: keep one of them\n");
}

static void files_that_cannot_be_read(void **state)
{
	struct fixture *fixture = *state;
	char *expected OWNED = must_printf("main.conf: cannot be read: No such file or directory: "
					   "check the path, and that user %u may read it\n",
		(unsigned)geteuid());
	check_said(fixture, expected);
	fixture_mkdir(fixture, "main.conf");
	char *directory OWNED = must_printf("main.conf: cannot be read: Is a directory: "
					    "check the path, and that user %u may read it\n",
		(unsigned)geteuid());
	check_said(fixture, directory);
	assert_int_equal(rmdir(fixture->main), 0);
	assert_int_equal(mkfifo(fixture->main, 0600), 0);
	check_said(fixture, "main.conf: cannot be read: it is no regular file\n");
}

static void script_that_cannot_be_read(void **state)
{
	struct fixture *fixture = *state;
	fixture_mkdir(fixture, "scripts/folder.lua");
	fixture_write(fixture, "main.conf", 0640,
		HEAD BUS "devices = ( { name = \"d\"; bus = \"b\"; unit = 1; product_key = \"p\"; "
			 "device_key = \"k\"; " SECRET "\nscript = \"folder.lua\"; } );");
	char *expected OWNED = must_printf(
		"main.conf:4: script scripts/folder.lua cannot be read: "
		"check that it is a file, and that user %u may read it\n",
		(unsigned)geteuid());
	check_said(fixture, expected);
}

static void check_secret(struct fixture *fixture, const char *key, const char *expected)
{
	char *text OWNED = must_printf(HEAD BUS DEVICE("1", "\n%s"), key);
	fixture_write(fixture, "main.conf", 0644, text);
	check_said(fixture, expected);
}

static void secrets_that_are_none(void **state)
{
	struct fixture *fixture = *state;
	char lengthy[300];
	memset(lengthy, 'x', sizeof(lengthy) - 1);
	lengthy[sizeof(lengthy) - 1] = 0;
	fixture_write(fixture, "secrets/empty", 0600, "\n \n");
	fixture_write(fixture, "secrets/lines", 0600, "one\ntwo\n");
	fixture_write(fixture, "secrets/long", 0600, lengthy);
	check_secret(fixture, "secret_file = \"secrets/none\";",
		"main.conf:4: secret_file secrets/none does not exist: create it with the secret in "
		"one line\n");
	check_secret(fixture, "secret_file = \"secrets/empty\";",
		"main.conf:4: secret_file secrets/empty is empty: write the secret into it, in one "
		"line\n");
	check_secret(fixture, "secret_file = \"secrets/lines\";",
		"main.conf:4: secret_file secrets/lines holds what cannot be in a secret: it must be "
		"one line of visible ASCII characters\n");
	check_secret(fixture, "secret_file = \"secrets/long\";",
		"main.conf:4: secret_file secrets/long is too long: it must hold one line of at most "
		"256 bytes\n");
	char *directory OWNED = must_printf("main.conf:4: secret_file secrets cannot be read: "
					    "Is a directory: check that user %u may read it\n",
		(unsigned)geteuid());
	check_secret(fixture, "secret_file = \"secrets\";", directory);
	check_secret(fixture, "secret_file = \"/dev/null\";",
		"main.conf:4: secret_file /dev/null is no regular file\n");
}

/* Root may read everything, so the test gives that up for a while. */
static void secrets_that_may_not_be_read(void **state)
{
	struct fixture *fixture = *state;
	bool root = geteuid() == 0;
	char *text OWNED = must_printf(
		HEAD BUS DEVICE("1", "\n%s"), "secret_file = \"secrets/closed\";");
	fixture_write(fixture, "main.conf", 0644, text);
	fixture_write(fixture, "secrets/closed", 0, "s3cret");
	assert_int_equal(chmod(fixture->dir, 0755), 0);
	assert_true(!root || seteuid(65534) == 0);
	char *expected OWNED = must_printf(
		"main.conf:4: secret_file secrets/closed cannot be read: "
		"Permission denied: check that user %u may read it\n",
		(unsigned)geteuid());
	conf_destroy(fixture_load(fixture));
	assert_true(!root || seteuid(0) == 0);
	assert_string_equal(fixture->said, expected);
}

static void secrets_that_others_can_read(void **state)
{
	struct fixture *fixture = *state;
	fixture_write(fixture, "secrets/open", 0644, "s3cret");
	check_secret(fixture, "secret_file = \"secrets/open\";",
		"main.conf:4: warning: secret_file secrets/open can be read by every user of this "
		"machine: chmod o= it\n");
	check_secret(fixture, "device_secret = \"s3cret\";",
		"main.conf:4: warning: device_secret stands in a file that every user of this machine "
		"can read: chmod o= the file, or use secret_file\n");
	assert_int_equal(chmod(fixture->main, 0640), 0);
	check_said(fixture, "");
}

static void secrets_of_the_broker(void **state)
{
	struct fixture *fixture = *state;
	fixture_write(fixture, "secrets/broker", 0600, "two words\r\n");
	struct conf *conf = fixture_load_text(
		fixture, HEAD "mqtt = { user = \"u\"; password_file = \"secrets/broker\"; };");
	assert_string_equal(fixture->said, "");
	assert_string_equal(conf->mqtt.password, "two words");
	conf_destroy(conf);
}

/* The first of script_dirs that has it wins; a directory of that name is none. */
static void scripts_are_looked_for_in_order(void **state)
{
	struct fixture *fixture = *state;
	fixture_mkdir(fixture, "first");
	fixture_mkdir(fixture, "second");
	fixture_write(fixture, "second/mine.lua", 0644, "return {}");
	fixture_write(fixture, "scripts/mine.lua", 0644, "return {}");
	fixture_mkdir(fixture, "first/mine.lua");
	char *text OWNED = must_printf(
		"gateway = { name = \"gw\"; script_dirs = [ \"%s/first\", \"%s/second\", \"%s\" ]; };\n"
		"enos = { host = \"h\"; };\n" BUS
		"devices = ( { name = \"a\"; bus = \"b\"; unit = 1; script = \"mine.lua\"; " SECRET
		"product_key = \"p\"; device_key = \"1\"; },\n"
		"{ name = \"c\"; bus = \"b\"; unit = 2; script = \"meter.lua\"; " SECRET
		"product_key = \"p\"; device_key = \"2\"; } );",
		fixture->dir, fixture->dir, fixture->scripts);
	char *second OWNED = must_printf("%s/second/mine.lua", fixture->dir);
	char *meter OWNED = must_printf("%s/meter.lua", fixture->scripts);
	struct conf *conf = fixture_load_text(fixture, text);
	assert_string_equal(fixture->said, "");
	assert_string_equal(conf->devices[0].script_path, second);
	assert_string_equal(conf->devices[1].script_path, meter);
	conf_destroy(conf);
}

/* Ten thousand devices on as many buses: all found by name, the one double among them told. */
static void ten_thousand_devices(void **state)
{
	struct fixture *fixture = *state;
	OWNED_BUFFER text = BUFFER_EMPTY;
	buffer_put_text(&text, HEAD "buses = (");
	for (int i = 0; i < 10000; i++)
		buffer_printf(&text, "%s\n{ name = \"b%d\"; plugin = \"toy\"; " TCP_LINK " }",
			i ? "," : "", i);
	buffer_put_text(&text, " );\ndevices = (");
	for (int i = 0; i < 10000; i++)
		buffer_printf(&text,
			"%s\n{ name = \"d%d\"; bus = \"b%d\"; unit = 1; script = \"meter.lua\"; " SECRET
			"product_key = \"p\"; device_key = \"k%d\"; }",
			i ? "," : "", i, i, i);
	buffer_put_text(&text, " );");
	struct conf *conf = fixture_load_text(fixture, buffer_text(&text));
	assert_string_equal(fixture->said, "");
	assert_int_equal(conf_find_device(conf, "d9999"), 9999);
	assert_int_equal(conf_find_bus(conf, "b5000"), 5000);
	assert_int_equal(conf->devices[9999].bus, 9999);
	conf_destroy(conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			reads_devices_d_in_order, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			one_bad_file_hides_no_other, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(groups_stand_once, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			script_that_cannot_be_read, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			files_that_cannot_be_read, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			secrets_that_are_none, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			secrets_that_may_not_be_read, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			secrets_that_others_can_read, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			secrets_of_the_broker, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			scripts_are_looked_for_in_order, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			ten_thousand_devices, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests_name("conf-files", tests, NULL, NULL);
}
