/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "local/control.h"
#include "util/alloc.h"

/* The daemon's side: what it was asked; "later" is answered when the test says so. */
struct fixture {
	char dir[40], path[60];
	struct clock clock;
	struct loop *loop;
	struct control *control;
	unsigned asked;
	bool privileged;
	char last[80];
	uint64_t token;
	size_t answer_size;
};

static void answer(void *context, const struct control_request *request)
{
	struct fixture *fixture = context;
	fixture->asked++;
	fixture->privileged = request->privileged;
	fixture->token = request->token;
	snprintf(fixture->last, sizeof(fixture->last), "%s", request->command);
	struct value name;
	if (strcmp(request->command, "later") == 0)
		return;
	if (strcmp(request->command, "no") == 0) {
		control_refuse(fixture->control, request->token, "because \"%s\"", "no");
	} else if (strcmp(request->command, "big") == 0) {
		OWNED_BUFFER json = BUFFER_EMPTY;
		buffer_put_byte(&json, '"');
		memset(buffer_reserve(&json, fixture->answer_size), 'x', fixture->answer_size);
		json.size += fixture->answer_size;
		buffer_put_byte(&json, '"');
		control_answer(fixture->control, request->token, buffer_text(&json));
	} else if (value_find(request->arguments, request->size, "name", &name, NULL)) {
		OWNED char *json = must_printf("{\"name\":\"%s\"}", name.text);
		control_answer(fixture->control, request->token, json);
	} else {
		control_answer(fixture->control, request->token, "{}");
	}
}

static int open_control(struct fixture *fixture)
{
	struct control_setup setup = {
		.loop = fixture->loop, .path = fixture->path, .context = fixture, .request = answer
	};
	return control_create(&fixture->control, &setup);
}

static int set_up(void **state)
{
	static struct fixture fixture;
	alarm(60);
	fixture = (struct fixture){ .clock = { .manual = true, .mono_us = USEC_PER_SEC },
		.answer_size = 2000000 };
	strcpy(fixture.dir, "/tmp/enos-bridge-test-XXXXXX");
	assert_non_null(mkdtemp(fixture.dir));
	snprintf(fixture.path, sizeof(fixture.path), "%s/control", fixture.dir);
	assert_return_code(loop_create(&fixture.loop, &fixture.clock), 0);
	assert_return_code(open_control(&fixture), 0);
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	control_destroy(fixture->control);
	assert_int_equal(access(fixture->path, F_OK), -1);
	loop_destroy(fixture->loop);
	assert_return_code(rmdir(fixture->dir), 0);
	alarm(0);
	return 0;
}

/* Unix sockets hand everything over at once: when nothing is left to do, all was done. */
static void settle(struct fixture *fixture)
{
	while (loop_step(fixture->loop, 0) > 0)
		;
}

static int call(struct fixture *fixture)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, fixture->path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	settle(fixture);
	return fd;
}

static void say(struct fixture *fixture, int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	settle(fixture);
}

/* What came so far; "(closed)" behind it where the daemon hung up. */
static const char *hear(int fd)
{
	static char text[4096];
	size_t size = 0;
	ssize_t count = 0;
	while (size < sizeof(text) - 16 &&
		(count = recv(fd, text + size, sizeof(text) - 16 - size, 0)) > 0)
		size += (size_t)count;
	strcpy(text + size, count == 0 || errno != EAGAIN ? "(closed)" : "");
	return text;
}

static void answers_lines(void **state)
{
	struct fixture *fixture = *state;
	int fd = call(fixture);
	say(fixture, fd, "{\"command\":\"status\"}\n");
	assert_string_equal(hear(fd), "{\"ok\":true,\"result\":{}}\n");
	assert_true(fixture->privileged);
	say(fixture, fd, "{\"command\":\"device\",\"name\":\"m\"}\n{\"command\":\"no\"}\n");
	assert_string_equal(hear(fd),
		"{\"ok\":true,\"result\":{\"name\":\"m\"}}\n"
		"{\"ok\":false,\"error\":\"because \\\"no\\\"\"}\n");
	close(fd);
	settle(fixture);
}

static void takes_a_request_in_pieces(void **state)
{
	struct fixture *fixture = *state;
	int fd = call(fixture);
	for (const char *c = "{\"command\":\"status\"}"; *c; c++)
		say(fixture, fd, (char[]){ *c, 0 });
	assert_string_equal(hear(fd), "");
	say(fixture, fd, "\n");
	assert_string_equal(hear(fd), "{\"ok\":true,\"result\":{}}\n");
	close(fd);
}

static void says_what_is_wrong_and_goes_on(void **state)
{
	struct fixture *fixture = *state;
	static const char *const bad[] = {
		"\n",
		"nonsense\n",
		"{\"command\":\n",
		"[]\n",
		"{}\n",
		"{\"command\":7}\n",
		"{\"command\":\"a\\u0000b\"}\n",
		"{\"command\":\"x\",\"command\":\"y\"}\n",
		"\xff\xfe\n",
		"[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]\n",
	};
	int fd = call(fixture);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		say(fixture, fd, bad[i]);
		const char *said = hear(fd);
		assert_ptr_equal(strstr(said, "{\"ok\":false,\"error\":\""), said);
		assert_null(strstr(said, "(closed)"));
	}
	assert_int_equal(fixture->asked, 0);
	say(fixture, fd, "{\"command\":\"status\"}\n");
	assert_string_equal(hear(fd), "{\"ok\":true,\"result\":{}}\n");
	close(fd);
}

static void ends_a_line_without_end(void **state)
{
	struct fixture *fixture = *state;
	int fd = call(fixture);
	char block[4096];
	memset(block, 'x', sizeof(block));
	for (int i = 0; i < 100; i++) {
		if (send(fd, block, sizeof(block), MSG_NOSIGNAL) < 0)
			break;
		settle(fixture);
	}
	assert_non_null(strstr(hear(fd), "request too long"));
	assert_int_equal(fixture->asked, 0);
	close(fd);
	fd = call(fixture);
	say(fixture, fd, "{\"command\":\"status\"}\n");
	assert_string_equal(hear(fd), "{\"ok\":true,\"result\":{}}\n");
	close(fd);
}

static void does_not_run_half_a_request(void **state)
{
	struct fixture *fixture = *state;
	int fd = call(fixture);
	say(fixture, fd, "{\"command\":\"reload\"}");
	shutdown(fd, SHUT_WR);
	settle(fixture);
	assert_non_null(strstr(hear(fd), "request cut off"));
	assert_int_equal(fixture->asked, 0);
	close(fd);
}

static void answers_later_and_in_order(void **state)
{
	struct fixture *fixture = *state;
	int slow = call(fixture), quick = call(fixture);
	say(fixture, slow, "{\"command\":\"later\"}\n{\"command\":\"status\"}\n");
	uint64_t token = fixture->token;
	say(fixture, quick, "{\"command\":\"status\"}\n");
	assert_string_equal(hear(quick), "{\"ok\":true,\"result\":{}}\n");
	assert_string_equal(hear(slow), "");
	assert_int_equal(fixture->asked, 2);
	/* It waits for us: it may be idle for long. */
	loop_advance(fixture->loop, fixture->clock.mono_us + 600 * USEC_PER_SEC);
	assert_string_equal(hear(slow), "");
	control_answer(fixture->control, token, "1");
	settle(fixture);
	assert_string_equal(
		hear(slow), "{\"ok\":true,\"result\":1}\n{\"ok\":true,\"result\":{}}\n");
	/* An answer too many, and one for nobody. */
	control_answer(fixture->control, token, "2");
	control_answer(fixture->control, UINT64_MAX, "3");
	settle(fixture);
	assert_string_equal(hear(slow), "");
	close(slow);
	close(quick);
}

static void answers_who_says_no_more(void **state)
{
	struct fixture *fixture = *state;
	int fd = call(fixture);
	say(fixture, fd, "{\"command\":\"later\"}\n");
	shutdown(fd, SHUT_WR);
	settle(fixture);
	control_answer(fixture->control, fixture->token, "{}");
	settle(fixture);
	assert_string_equal(hear(fd), "{\"ok\":true,\"result\":{}}\n(closed)");
	close(fd);
}

static void forgets_who_went_away(void **state)
{
	struct fixture *fixture = *state;
	int fd = call(fixture);
	say(fixture, fd, "{\"command\":\"later\"}\n");
	uint64_t token = fixture->token;
	close(fd);
	settle(fixture);
	/* Another takes its place: it must not get the other's answer. */
	fd = call(fixture);
	say(fixture, fd, "{\"command\":\"later\"}\n");
	assert_true(fixture->token != token);
	control_answer(fixture->control, token, "\"not yours\"");
	settle(fixture);
	assert_string_equal(hear(fd), "");
	control_answer(fixture->control, fixture->token, "\"yours\"");
	settle(fixture);
	assert_string_equal(hear(fd), "{\"ok\":true,\"result\":\"yours\"}\n");
	close(fd);
}

static void holds_one_answer_for_a_slow_reader(void **state)
{
	struct fixture *fixture = *state;
	int fd = call(fixture);
	/* It asks a thousand times for 2 MB and reads nothing. */
	OWNED_BUFFER requests = BUFFER_EMPTY;
	for (int i = 0; i < 1000; i++)
		buffer_put_text(&requests, "{\"command\":\"big\"}\n");
	say(fixture, fd, buffer_text(&requests));
	assert_int_equal(fixture->asked, 1);
	/* Others are served. */
	int other = call(fixture);
	say(fixture, other, "{\"command\":\"status\"}\n");
	assert_string_equal(hear(other), "{\"ok\":true,\"result\":{}}\n");
	/* It reads one answer: the next is made. */
	size_t got = 0;
	char block[65536];
	while (got < 2 * (fixture->answer_size + 25)) {
		ssize_t count = recv(fd, block, sizeof(block), 0);
		got += count > 0 ? (size_t)count : 0;
		settle(fixture);
	}
	assert_in_range(fixture->asked, 3, 4);
	/* It sleeps on: after a minute it is gone, the other too. */
	loop_advance(fixture->loop, fixture->clock.mono_us + 61 * USEC_PER_SEC);
	assert_string_equal(hear(other), "(closed)");
	close(fd);
	close(other);
}

static void refuses_an_answer_that_is_too_long(void **state)
{
	struct fixture *fixture = *state;
	int fd = call(fixture);
	fixture->answer_size = 5 << 20;
	say(fixture, fd, "{\"command\":\"big\"}\n");
	assert_non_null(strstr(hear(fd), "the answer is too long"));
	close(fd);
}

static void lets_only_so_many_in(void **state)
{
	struct fixture *fixture = *state;
	int fds[40];
	for (int i = 0; i < 12; i++) {
		fds[i] = call(fixture);
		assert_true(fds[i] >= 0);
		say(fixture, fds[i], "{\"command\":\"status\"}\n");
	}
	assert_int_equal(fixture->asked, 8);
	close(fds[0]);
	close(fds[1]);
	settle(fixture);
	assert_int_equal(fixture->asked, 10);
	/* Who says nothing for a minute makes room. */
	for (int i = 0; i < 3; i++)
		loop_advance(fixture->loop, fixture->clock.mono_us + 61 * USEC_PER_SEC);
	assert_int_equal(fixture->asked, 12);
	for (int i = 2; i < 12; i++)
		close(fds[i]);
	settle(fixture);
}

/* Who runs out of descriptors must still be able to say so. */
static void answers_without_descriptors(void **state)
{
	struct fixture *fixture = *state;
	int fds[2];
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, fixture->path);
	for (int i = 0; i < 2; i++)
		fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct rlimit before, none;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = (rlim_t)fds[1] + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(connect(fds[i], (struct sockaddr *)&address, sizeof(address)), 0);
		say(fixture, fds[i], "{\"command\":\"status\"}\n");
		assert_string_equal(hear(fds[i]), "{\"ok\":true,\"result\":{}}\n");
		shutdown(fds[i], SHUT_RDWR);
		settle(fixture);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	close(fds[0]);
	close(fds[1]);
}

/* A thousand requests at once must not hold the others up. */
static void takes_turns(void **state)
{
	struct fixture *fixture = *state;
	int fd = call(fixture), other = call(fixture);
	OWNED_BUFFER requests = BUFFER_EMPTY;
	for (int i = 0; i < 1000; i++)
		buffer_put_text(&requests, "{\"command\":\"a\"}\n");
	assert_int_equal(send(fd, requests.data, requests.size, 0), requests.size);
	send(other, "{\"command\":\"b\"}\n", 16, 0);
	while (strcmp(fixture->last, "b") != 0)
		loop_step(fixture->loop, 0);
	assert_in_range(fixture->asked, 1, 100);
	char block[65536];
	while (fixture->asked < 1001) {
		settle(fixture);
		ssize_t count = recv(fd, block, sizeof(block), 0);
		(void)count;
	}
	close(fd);
	close(other);
}

static void has_a_narrow_mode(void **state)
{
	struct fixture *fixture = *state;
	control_destroy(fixture->control);
	mode_t before = umask(0);
	assert_return_code(open_control(fixture), 0);
	umask(before);
	struct stat status;
	assert_return_code(stat(fixture->path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0660);
}

static void replaces_a_dead_socket_only(void **state)
{
	struct fixture *fixture = *state;
	struct control *first = fixture->control;
	assert_int_equal(open_control(fixture), -EADDRINUSE);
	assert_ptr_equal(fixture->control, first);
	/* A daemon that was killed leaves its socket behind. */
	control_destroy(first);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, fixture->path);
	int dead = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_return_code(bind(dead, (struct sockaddr *)&address, sizeof(address)), 0);
	close(dead);
	assert_return_code(open_control(fixture), 0);
	int fd = call(fixture);
	say(fixture, fd, "{\"command\":\"status\"}\n");
	assert_string_equal(hear(fd), "{\"ok\":true,\"result\":{}}\n");
	close(fd);
	/* A file is nobody's socket. */
	control_destroy(fixture->control);
	fixture->control = NULL;
	close(open(fixture->path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(open_control(fixture), -ENOTSOCK);
	assert_return_code(unlink(fixture->path), 0);
	char kept[sizeof(fixture->path)];
	strcpy(kept, fixture->path);
	snprintf(fixture->path, sizeof(fixture->path), "%s/none/control", fixture->dir);
	assert_int_equal(open_control(fixture), -ENOENT);
	strcpy(fixture->path, kept);
}

/* What another daemon put in our place stays. */
static void removes_its_own_socket_only(void **state)
{
	struct fixture *fixture = *state;
	struct control *first = fixture->control;
	assert_return_code(unlink(fixture->path), 0);
	assert_return_code(open_control(fixture), 0);
	control_destroy(first);
	assert_int_equal(access(fixture->path, F_OK), 0);
}

static void tells_who_may_change_things(void **state)
{
	struct fixture *fixture = *state;
	if (geteuid() != 0)
		skip(); /* cannot become somebody else */
	assert_return_code(chmod(fixture->dir, 0755), 0);
	assert_return_code(chmod(fixture->path, 0666), 0);
	pid_t child = fork();
	if (child == 0) {
		struct sockaddr_un address = { .sun_family = AF_UNIX };
		strcpy(address.sun_path, fixture->path);
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		char line[200];
		_exit(setuid(65534) < 0 ||
			connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
			send(fd, "{\"command\":\"status\"}\n", 21, 0) != 21 ||
			recv(fd, line, sizeof(line), 0) <= 0);
	}
	while (!fixture->asked)
		loop_step(fixture->loop, 0);
	settle(fixture);
	int status;
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	assert_false(fixture->privileged);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(answers_lines),
		TEST(takes_a_request_in_pieces),
		TEST(says_what_is_wrong_and_goes_on),
		TEST(ends_a_line_without_end),
		TEST(does_not_run_half_a_request),
		TEST(answers_later_and_in_order),
		TEST(answers_who_says_no_more),
		TEST(forgets_who_went_away),
		TEST(holds_one_answer_for_a_slow_reader),
		TEST(refuses_an_answer_that_is_too_long),
		TEST(lets_only_so_many_in),
		TEST(answers_without_descriptors),
		TEST(takes_turns),
		TEST(has_a_narrow_mode),
		TEST(replaces_a_dead_socket_only),
		TEST(removes_its_own_socket_only),
		TEST(tells_who_may_change_things),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
