/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/plugin.c"

#include <dirent.h>
#include <fcntl.h>

/* A directory of plugins that may be spoilt, with the test plugin in it as abi.so. */
static char directory[64];

static char *path_of(const char *name)
{
	return must_printf("%s/%s", directory, name);
}

static void copy(const char *from, const char *name)
{
	char *path OWNED = path_of(name), data[4096];
	int in = open(from, O_RDONLY), out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(in >= 0 && out >= 0);
	for (ssize_t size; (size = read(in, data, sizeof(data))) > 0;)
		assert_int_equal(write(out, data, (size_t)size), size);
	close(in);
	close(out);
}

static int make_directory(void **state)
{
	snprintf(directory, sizeof(directory), "/tmp/test-plugin-XXXXXX");
	assert_non_null(mkdtemp(directory));
	copy(TEST_PLUGINS "/abi.so", "abi.so");
	return 0;
}

static int remove_directory(void **state)
{
	DIR *dir = opendir(directory);
	for (struct dirent *entry; (entry = readdir(dir));) {
		char *path OWNED = path_of(entry->d_name);
		remove(path);
	}
	closedir(dir);
	return rmdir(directory);
}

/* Looks a plugin up in a set of its own; it must be refused with these words. */
static void refuse(const char *name, const char *says)
{
	struct eb_error error = { .text = "" };
	struct plugins *plugins = plugins_create(directory);
	assert_null(plugins_find(plugins, name, &error));
	if (!strstr(error.text, says))
		fail_msg("\"%s\" does not say \"%s\"", error.text, says);
	plugins_destroy(plugins);
}

static void test_load(void **state)
{
	struct eb_error error = { .text = "" };
	struct plugins *plugins = plugins_create(directory);
	const struct eb_plugin *plugin = plugins_find(plugins, "abi", &error);
	if (!plugin)
		fail_msg("%s", error.text);
	assert_string_equal(plugin->name, "abi");
	assert_ptr_equal(plugins_find(plugins, "abi", &error), plugin);
	plugins_destroy(plugins);
	plugins_destroy(NULL);
}

static void test_linked_in(void **state)
{
	static const struct eb_plugin toy = { .name = "toy" };
	struct eb_error error;
	struct plugins *plugins = plugins_create("/nowhere");
	plugins_add(plugins, &toy);
	assert_ptr_equal(plugins_find(plugins, "toy", &error), &toy);
	assert_null(plugins_find(plugins, "abi", &error));
	assert_non_null(strstr(error.text, "/nowhere"));
	plugins_destroy(plugins);
}

static void test_names(void **state)
{
	static const char *const names[] = { "", "../abi", "a/b", "abi.so", "Abi", "a b", "a_b",
		"0123456789012345678901234567890123" };
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		refuse(names[i], "lower-case letters, digits or '-'");
}

static void test_files(void **state)
{
	char *link OWNED = path_of("link.so"), *dir OWNED = path_of("dir.so");
	char *text OWNED = path_of("text.so"), *abi OWNED = path_of("abi.so");
	refuse("none", "none.so: No such file or directory: the plugins there are: abi");
	assert_int_equal(symlink("abi.so", link), 0);
	refuse("link", "no regular file");
	assert_int_equal(mkdir(dir, 0755), 0);
	refuse("dir", "no regular file");
	int fd = open(text, O_WRONLY | O_CREAT, 0644);
	assert_int_equal(write(fd, "hello", 5), 5);
	close(fd);
	refuse("text", "text.so: ");
	copy(abi, "other.so");
	refuse("other", "calls itself \"abi\"");
}

static void test_owners(void **state)
{
	char *abi OWNED = path_of("abi.so");
	assert_int_equal(chmod(abi, 0664), 0);
	refuse("abi", "can be written by its group (mode 0664)");
	assert_int_equal(chmod(abi, 0646), 0);
	refuse("abi", "can be written by everybody");
	assert_int_equal(chmod(abi, 0644), 0);
	assert_int_equal(chmod(directory, 0775), 0);
	refuse("abi", "can be written by its group");
	assert_int_equal(chmod(directory, 0755), 0);
	if (geteuid() != 0)
		return;
	assert_int_equal(chown(abi, 65534, 65534), 0);
	refuse("abi", "belongs to user 65534");
	assert_int_equal(chown(abi, 0, 0), 0);
	assert_int_equal(chown(directory, 65534, 0), 0);
	refuse("abi", "belongs to user 65534");
	assert_int_equal(chown(directory, 0, 0), 0);
	test_load(state);
}

/* A good plugin, spoilt in one place. */
static void spoil(const struct eb_plugin *plugin, const char *says)
{
	struct eb_error error = { .text = "" };
	assert_false(check_plugin(plugin, "abi", "abi.so", &error));
	if (!strstr(error.text, says))
		fail_msg("\"%s\" does not say \"%s\"", error.text, says);
}

#define SPOIL(good, field, to, says)             \
	do {                                     \
		struct eb_plugin bad_ = *(good); \
		bad_.field = (to);               \
		spoil(&bad_, says);              \
	} while (0)

static void test_tables(void **state)
{
	static const struct eb_key typeless[] = { { .name = "x" }, { .name = NULL } };
	static const struct eb_key reversed[] = {
		{ .name = "x", .types = EB_INTEGER, .min = 2, .max = 1 }, { .name = NULL }
	};
	struct eb_error error;
	struct plugins *plugins = plugins_create(directory);
	const struct eb_plugin *good = plugins_find(plugins, "abi", &error);
	assert_true(check_plugin(good, "abi", "abi.so", &error));
	SPOIL(good, abi, 2, "version 2 of the interface, this bridge 1");
	SPOIL(good, size, sizeof(*good) - 8, "rebuild it");
	SPOIL(good, name, NULL, "calls itself \"\"");
	SPOIL(good, transports, 0, "no transport");
	SPOIL(good, transports, 4, "no transport");
	SPOIL(good, state_size, 1u << 30, "bytes of state");
	SPOIL(good, open, NULL, "open() is missing");
	SPOIL(good, address, NULL, "address() is missing");
	SPOIL(good, request, NULL, "request() is missing");
	SPOIL(good, encode, NULL, "encode() is missing");
	SPOIL(good, receive, NULL, "receive() is missing");
	SPOIL(good, cut, NULL, "both or neither");
	SPOIL(good, merge, NULL, "both or neither");
	SPOIL(good, bus_keys, typeless, "bus key \"x\"");
	SPOIL(good, device_keys, reversed, "device key \"x\"");
	SPOIL(good, request_keys, typeless, "request key \"x\"");
	plugins_destroy(plugins);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_linked_in),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_tables),
	};
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
