/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds a serial port, and which of its names survive. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "field/alias.h"
#include "field/holder.h"
#include "util/alloc.h"

/* The master's end of a new pseudo-terminal; the path of the other end. */
static int open_terminal(char *path, size_t room)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	assert_true(master >= 0);
	assert_int_equal(0, grantpt(master));
	assert_int_equal(0, unlockpt(master));
	assert_int_equal(0, ptsname_r(master, path, room));
	return master;
}

/* Somebody who locks nothing, as most programs do. */
static void test_who_holds_a_port(void **state)
{
	char path[64], holder[64], wanted[64], byte = 0;
	int master = open_terminal(path, sizeof(path)), ready[2];
	assert_int_equal(0, pipe2(ready, O_CLOEXEC));
	pid_t child = fork();
	if (child == 0) {
		int fd = open(path, O_RDWR | O_NOCTTY);
		prctl(PR_SET_NAME, "other-master");
		_exit(fd < 0 || write(ready[1], &byte, 1) != 1 || pause() == 0);
	}
	assert_int_equal(1, read(ready[0], &byte, 1));
	holder_find(path, holder, sizeof(holder));
	snprintf(wanted, sizeof(wanted), "other-master (process %d)", (int)child);
	assert_string_equal(wanted, holder);
	kill(child, SIGKILL);
	assert_int_equal(child, waitpid(child, NULL, 0));
	holder_find(path, holder, sizeof(holder));
	assert_string_equal("", holder);
	holder_find("/nonexistent/port", holder, sizeof(holder));
	assert_string_equal("", holder);
	close(ready[0]);
	close(ready[1]);
	close(master);
}

static void test_names_that_survive(void **state)
{
	char text[400];
	alias_advise("/nonexistent", "/dev/serial/by-id/usb-x", text, sizeof(text));
	assert_string_equal("", text);
	alias_advise("/nonexistent", "/dev/ttyS1", text, sizeof(text));
	assert_string_equal("", text);
	alias_advise("/nonexistent", "/dev/ttyUSB99", text, sizeof(text));
	assert_non_null(strstr(text, "/dev/ttyUSB99 may be another port"));
	assert_non_null(strstr(text, "write a name of /dev/serial/by-id or by-path instead"));

	char path[64], folder[] = "/tmp/test-link-XXXXXX";
	int master = open_terminal(path, sizeof(path));
	assert_non_null(mkdtemp(folder));
	OWNED char *ids = must_printf("%s/by-path", folder);
	OWNED char *name = must_printf("%s/usb-1-port0", ids);
	OWNED char *port = must_printf("%s/ttyUSB7", folder);
	assert_return_code(mkdir(ids, 0755), errno);
	assert_return_code(symlink(path, name), errno);
	assert_return_code(symlink(path, port), errno);
	alias_advise(folder, port, text, sizeof(text));
	OWNED char *wanted = must_printf("write %s instead", name);
	assert_non_null(strstr(text, wanted));
	unlink(name);
	unlink(port);
	rmdir(ids);
	rmdir(folder);
	close(master);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_holds_a_port),
		cmocka_unit_test(test_names_that_survive),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
