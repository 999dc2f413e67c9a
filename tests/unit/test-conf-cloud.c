/* SPDX-License-Identifier: Apache-2.0 */
/* What devices are in the cloud: DTLS, secrets of products, and terms of their own. */
#include "core/conf.h"

#include "conf-fixture.h"

#define GROUPS(enos) "gateway = { name = \"gw\"; }; enos = { host = \"cloud\"; " enos " };\n"
#define DEVICE(name, more)                                                                  \
	"{ name = \"" name "\"; bus = \"b\"; script = \"meter.lua\"; product_key = \"p\"; " \
	"device_key = \"" name "\"; " more " }"
#define DEVICES(list) "devices = (\n" list ");\n"

static struct conf *load(struct fixture *fixture, const char *text)
{
	struct conf *conf = fixture_load_text(fixture, text);
	assert_string_equal(fixture->said, "");
	return conf;
}

static void ports_follow_the_security(void **state)
{
	static const struct {
		const char *text;
		uint16_t port;
		enum conf_security security;
	} rows[] = {
		{ GROUPS(""), 5683, SECURITY_NONE },
		{ GROUPS("security = \"dtls\";"), 5684, SECURITY_DTLS },
		{ GROUPS("security = \"dtls\"; port = 7;"), 7, SECURITY_DTLS },
		{ GROUPS("port = 7;"), 7, SECURITY_NONE },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct conf *conf = load(*state, rows[i].text);
		assert_int_equal(conf->enos.port, rows[i].port);
		assert_int_equal(conf->enos.security, rows[i].security);
		conf_destroy(conf);
	}
}

static void devices_have_terms_of_their_own(void **state)
{
	struct conf *conf = load(*state,
		GROUPS("lifetime = 60; port = 7; retry_max = 9;") BUS DEVICES(DEVICE(
			"a", "unit = 1; device_secret = \"x\";") ",\n" DEVICE("b",
			"unit = 2; device_secret = \"x\"; enos = { lifetime = 90; "
			"dialect = \"piggyback\"; keepalive_topic = \"thing/attribute/query\"; "
			"command_poll = 5; max_payload = 512; };") ",\n" DEVICE("c",
			"unit = 3; product_secret = \"y\"; enos = { host = \"::1\"; "
			"security = \"dtls\"; };") ",\n" DEVICE("d",
			"unit = 4; product_secret_file = \"secrets/dk1\"; "
			"enos = { security = \"dtls\"; port = 9; };")));
	const struct conf_device *devices = conf->devices;
	assert_ptr_equal(devices[0].enos, &conf->enos);
	const struct conf_enos *b = devices[1].enos, *c = devices[2].enos, *d = devices[3].enos;
	assert_int_equal(b->lifetime_s, 90);
	assert_int_equal(b->dialect, DIALECT_PIGGYBACK);
	assert_string_equal(b->keepalive_topic, "thing/attribute/query");
	assert_int_equal(b->command_poll_s, 5);
	assert_int_equal(b->max_payload, 512);
	assert_int_equal(b->port, 7);
	assert_int_equal(b->retry_max_ms, 9000);
	assert_string_equal(b->host, "cloud");
	assert_string_equal(c->host, "::1");
	assert_int_equal(c->port, 5684);
	assert_int_equal(c->security, SECURITY_DTLS);
	assert_int_equal(c->lifetime_s, 60);
	assert_null(devices[2].secret);
	assert_string_equal(devices[2].product_secret, "y");
	assert_string_equal(d->host, "cloud");
	assert_int_equal(d->port, 9);
	assert_null(devices[3].secret);
	assert_string_equal(devices[3].product_secret, "s3cret");
	conf_destroy(conf);
}

static void names_what_is_wrong(void **state)
{
	struct fixture *fixture = *state;
	char longest[129], text[2000];
	memset(longest, 'k', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	snprintf(text, sizeof(text),
		GROUPS("security = \"dtls\";") BUS
		"devices = ( { name = \"a\"; bus = \"b\"; unit = 1; script = \"meter.lua\";\n"
		"product_key = \"%s\"; device_key = \"%s\"; device_secret = \"x\"; } );",
		longest, longest);
	const struct {
		const char *text, *said;
	} rows[] = {
		{ GROUPS("") BUS DEVICES(DEVICE("a", "unit = 1;\n product_secret = \"y\";")),
			"main.conf:5: product_secret needs security = \"dtls\" in enos: plain CoAP knows no "
			"activation; use secret_file\n" },
		{ GROUPS("security = \"dtls\";") BUS DEVICES(DEVICE("a",
			  "unit = 1;\n product_secret = \"y\";\n product_secret_file = \"z\";")),
			"main.conf:5: product_secret stands beside product_secret_file: remove one of "
			"them\n" },
		{ GROUPS("security = \"dtls\";") BUS DEVICES(DEVICE(
			  "a", "unit = 1; device_secret = \"x\";\n product_secret = \"y\";")),
			"main.conf:5: product_secret stands beside device_secret: a device has a secret, or "
			"gets it by its product's\n" },
		{ GROUPS("") BUS DEVICES(DEVICE("a",
			  "unit = 1; device_secret = \"x\"; enos = {\n lifetim = 40;\n lifetime = 4;\n"
			  "dialect = \"old\";\n port = 0;\n batch = true; };")),
			"main.conf:5: unknown key \"lifetim\" in device.enos: did you mean \"lifetime\"?\n"
			"main.conf:6: lifetime is 4: it must be 30 to 86400 s\n"
			"main.conf:7: dialect is \"old\": it must be \"signed\" or \"piggyback\"\n"
			"main.conf:8: port is 0: it must be 1 to 65535\n"
			"main.conf:9: unknown key \"batch\" in device.enos: enos-bridge.conf(5) lists the "
			"keys\n" },
		{ GROUPS("") BUS DEVICES(
			  DEVICE("a", "unit = 1; device_secret = \"x\";\n enos = 5;")),
			"main.conf:5: enos is an integer: it must be a group { }\n" },
		{ text,
			"main.conf:3: product_key and device_key have more than 246 bytes together: with "
			"DTLS they must fit into its identity\n" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_null(fixture_load_text(fixture, rows[i].text));
		assert_string_equal(fixture->said, rows[i].said);
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ports_follow_the_security),
		TEST(devices_have_terms_of_their_own),
		TEST(names_what_is_wrong),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
