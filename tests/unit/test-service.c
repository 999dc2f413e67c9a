/* SPDX-License-Identifier: Apache-2.0 */
/* What a service manager hears, on a socket of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/service.h"

struct fixture {
	char dir[40];
	struct sockaddr_un address;
	int fd;
};

static int set_up(void **state)
{
	static struct fixture fixture;
	fixture = (struct fixture){ .address.sun_family = AF_UNIX };
	strcpy(fixture.dir, "/tmp/enos-bridge-test-XXXXXX");
	assert_non_null(mkdtemp(fixture.dir));
	snprintf(fixture.address.sun_path, sizeof(fixture.address.sun_path), "%s/notify",
		fixture.dir);
	fixture.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_return_code(
		bind(fixture.fd, (struct sockaddr *)&fixture.address, sizeof(fixture.address)), 0);
	setenv("NOTIFY_SOCKET", fixture.address.sun_path, 1);
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	close(fixture->fd);
	unlink(fixture->address.sun_path);
	rmdir(fixture->dir);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return 0;
}

static const char *heard(const struct fixture *fixture)
{
	static char text[512];
	ssize_t count = recv(fixture->fd, text, sizeof(text) - 1, 0);
	text[count > 0 ? count : 0] = 0;
	return text;
}

static void check_heard(const struct fixture *fixture, const char *words)
{
	assert_string_equal(heard(fixture), words);
}

static void tells_how_it_goes(void **state)
{
	const struct fixture *fixture = *state;
	service_ready();
	check_heard(fixture, "READY=1");
	service_status("%d devices\nREADY=0", 3);
	check_heard(fixture, "STATUS=3 devices READY=0");
	service_watchdog();
	check_heard(fixture, "WATCHDOG=1");
	service_reloading();
	const char *reloading = heard(fixture);
	assert_int_equal(strncmp(reloading, "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
	service_ready();
	check_heard(fixture, "READY=1");
	service_stopping();
	check_heard(fixture, "STOPPING=1");
}

static void knows_the_watchdog(void **state)
{
	char pid[20];
	assert_int_equal(service_watchdog_us(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	assert_int_equal(service_watchdog_us(), 30000000);
	/* Meant for another process. */
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(service_watchdog_us(), 0);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	assert_int_equal(service_watchdog_us(), 30000000);
	static const char *const wrong[] = { "soon", "", "-5", "30000000s",
		"99999999999999999999" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		setenv("WATCHDOG_USEC", wrong[i], 1);
		assert_int_equal(service_watchdog_us(), 0);
	}
}

static void nobody_listens(void **state)
{
	const struct fixture *fixture = *state;
	char long_name[200];
	memset(long_name, '/', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = 0;
	const char *const nowhere[] = { "/nowhere/at/all", "", "/", "@", "notify", long_name };
	unsetenv("NOTIFY_SOCKET");
	service_ready();
	service_status("x");
	for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
		setenv("NOTIFY_SOCKET", nowhere[i], 1);
		service_ready();
	}
	assert_string_equal(heard(fixture), "");
}

/* As managers that live in a container of their own give it: a name that is no file. */
static void tells_a_name_without_a_file(void **state)
{
	struct fixture fixture = { .address.sun_family = AF_UNIX };
	char *name = fixture.address.sun_path;
	int size = snprintf(
		name, sizeof(fixture.address.sun_path), "@enos-bridge-test-%d", (int)getpid());
	setenv("NOTIFY_SOCKET", name, 1);
	name[0] = 0;
	fixture.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_return_code(bind(fixture.fd, (struct sockaddr *)&fixture.address,
				   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)),
		0);
	service_ready();
	check_heard(&fixture, "READY=1");
	close(fixture.fd);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(tells_how_it_goes),
		TEST(knows_the_watchdog),
		TEST(nobody_listens),
		TEST(tells_a_name_without_a_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
