/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/reader.h"

#include <fcntl.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define USER "nobody"

static void put(const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
	assert_return_code(fd, 0);
	assert_return_code(fchmod(fd, mode), 0);
	close(fd);
}

static void what_the_user_cannot_read_is_named(void **state)
{
	char dir[] = "/tmp/eb-reader-XXXXXX", shut[64], open_[64];
	struct problems problems = PROBLEMS_NONE;
	if (geteuid() != 0 || !getpwnam(USER))
		skip();
	assert_non_null(mkdtemp(dir));
	assert_return_code(chmod(dir, 0755), 0);
	snprintf(shut, sizeof(shut), "%s/shut", dir);
	snprintf(open_, sizeof(open_), "%s/open", dir);
	put(shut, 0600);
	put(open_, 0644);
	struct conf_device devices[] = { { .place = { "site.conf", 1 }, .secret_file = open_ },
		{ .place = { "site.conf", 2 }, .secret_file = shut } };
	struct conf conf = { .path = (char *)"site.conf", .devices = devices, .device_count = 2 };
	reader_check(&conf, USER, &problems);
	assert_int_equal(problems.count, 1);
	assert_int_equal(problems.errors, 0);
	assert_int_equal(problems.items[0].line, 2);
	assert_non_null(strstr(problems.items[0].text, shut));
	assert_int_equal(geteuid(), 0);
	assert_int_equal(getegid(), getgid());
	problems_finish(&problems);
	problems = (struct problems)PROBLEMS_NONE;
	reader_check(&conf, "no-such-user-here", &problems);
	assert_int_equal(problems.count, 0);
	unlink(shut);
	unlink(open_);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_the_user_cannot_read_is_named) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
