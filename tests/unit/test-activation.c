/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets that devices were activated with: out of the cloud's answer, and kept in a file. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cloud/activation.h"
#include "util/alloc.h"

#define SECRET "Yv3kQ~b"

static char directory[] = "/tmp/test-activation-XXXXXX";

static char *path_of(const char *name)
{
	return must_printf("%s/" ACTIVATION_FOLDER "/%s", directory, name);
}

static int set_up(void **state)
{
	strcpy(directory + strlen(directory) - 6, "XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
	OWNED char *command = must_printf("rm -r %s", directory);
	return system(command);
}

static void assert_answer(const char *answer, const char *expected)
{
	OWNED_BUFFER scratch = BUFFER_EMPTY;
	OWNED char *secret = activation_read(&scratch, answer, strlen(answer), "pk1", "dk1");
	if (expected)
		assert_string_equal(secret, expected);
	else
		assert_null(secret);
	for (size_t i = 0; i < scratch.capacity; i++)
		assert_int_equal(scratch.data[i], 0);
}

static void reads_the_answer(void **state)
{
	assert_answer(
		"{\"method\":\"thing.activate.info\",\"params\":{\"assetId\":\"a\",\"productKey\":"
		"\"pk1\",\"deviceKey\":\"dk1\",\"deviceSecret\":\"" SECRET "\"},\"id\":1}",
		SECRET);
	assert_answer("{\"params\":{\"extra\":{\"deviceSecret\":\"no\"},\"deviceSecret\":\"yes\"}}",
		"yes");
	static const char *const bad[] = { "", "[]", "{}", "{\"params\":7}", "{\"params\":{}}",
		"junk", "{\"params\":{\"deviceSecret\":\"\"}}", "{\"params\":{\"deviceSecret\":7}}",
		"{\"params\":{\"deviceSecret\":\"two words\"}}",
		"{\"params\":{\"deviceSecret\":\"line\\nend\"}}",
		"{\"params\":{\"deviceSecret\":\"nul\\u0000\"}}",
		"{\"params\":{\"productKey\":\"pk2\",\"deviceSecret\":\"x\"}}",
		"{\"params\":{\"deviceKey\":\"dk\",\"deviceSecret\":\"x\"}}",
		"{\"params\":{\"deviceKey\":1,\"deviceSecret\":\"x\"}}" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_answer(bad[i], NULL);
	char longest[400] = "{\"params\":{\"deviceSecret\":\"";
	memset(longest + 27, 'a', 257);
	strcpy(longest + 27 + 257, "\"}}");
	assert_answer(longest, NULL);
}

static void keeps_a_secret_for_its_owner_alone(void **state)
{
	char *secret = NULL;
	assert_int_equal(activation_load(directory, "pk1", "dk1", &secret), -ENOENT);
	umask(0);
	assert_int_equal(activation_store(directory, "pk1", "dk1", SECRET), 0);
	assert_int_equal(activation_store(directory, "pk1", "dk2", "other"), 0);
	OWNED char *path = path_of("pk1,dk1");
	OWNED char *fresh = path_of("pk1,dk1.new");
	struct stat status;
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(access(fresh, F_OK), -1);
	assert_int_equal(activation_load(directory, "pk1", "dk1", &secret), 0);
	assert_string_equal(secret, SECRET);
	free(TAKE(secret));
	/* A newer one takes its place; what an interrupted one left behind does not matter. */
	close(open(fresh, O_CREAT | O_WRONLY, 0644));
	assert_int_equal(activation_store(directory, "pk1", "dk1", "newer"), 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(activation_load(directory, "pk1", "dk1", &secret), 0);
	assert_string_equal(secret, "newer");
	free(secret);
}

/* Each byte changed in turn, and each length. */
static void any_damage_is_seen_and_set_aside(void **state)
{
	OWNED char *path = path_of("pk1,dk1");
	OWNED char *aside = path_of("pk1,dk1.bad");
	char good[2048], *secret = NULL;
	assert_int_equal(activation_store(directory, "pk1", "dk1", SECRET), 0);
	int fd = open(path, O_RDONLY);
	ssize_t size = read(fd, good, sizeof(good));
	close(fd);
	assert_true(size > 80);
	for (ssize_t i = 0; i < 2 * size; i++) {
		char bytes[2048];
		memcpy(bytes, good, (size_t)size);
		if (i < size)
			bytes[i] ^= 1;
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		ssize_t length = i < size ? size : i - size;
		assert_int_equal(write(fd, bytes, (size_t)length), length);
		close(fd);
		assert_int_equal(activation_load(directory, "pk1", "dk1", &secret), -EBADMSG);
		assert_int_equal(access(path, F_OK), -1);
		assert_int_equal(access(aside, F_OK), 0);
	}
	/* Another device's file under this one's name. */
	OWNED char *other = path_of("pk1,dk2");
	assert_int_equal(activation_store(directory, "pk1", "dk2", SECRET), 0);
	assert_int_equal(rename(other, path), 0);
	assert_int_equal(activation_load(directory, "pk1", "dk1", &secret), -EBADMSG);
}

static void says_why_it_cannot_be_kept(void **state)
{
	OWNED char *folder = must_printf("%s/" ACTIVATION_FOLDER, directory);
	close(open(folder, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(activation_store(directory, "pk1", "dk1", SECRET), -ENOTDIR);
	assert_int_equal(activation_store("/nowhere", "pk1", "dk1", SECRET), -ENOENT);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_answer),
		TEST(keeps_a_secret_for_its_owner_alone),
		TEST(any_damage_is_seen_and_set_aside),
		TEST(says_why_it_cannot_be_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
