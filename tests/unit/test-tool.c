/* SPDX-License-Identifier: Apache-2.0 */
/* The program enos-bridge, run against a control socket with answers of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "local/control.h"
#include "tool/client.h"
#include "util/alloc.h"

struct fixture {
	char dir[40], path[60];
	struct clock clock;
	struct loop *loop;
	struct control *control;
	const char *result; /* JSON; NULL: refuse */
	struct buffer request, out, err;
};

static void answer(void *context, const struct control_request *request)
{
	struct fixture *fixture = context;
	struct value argument;
	buffer_clear(&fixture->request);
	buffer_put_text(&fixture->request, request->command);
	if (value_find(request->arguments, request->size, "name", &argument, NULL) ||
		value_find(request->arguments, request->size, "bus", &argument, NULL))
		buffer_printf(&fixture->request, " %s", argument.text);
	if (fixture->result)
		control_answer(fixture->control, request->token, fixture->result);
	else
		control_refuse(
			fixture->control, request->token, "no device is named \"x\033[31m\"");
}

static int set_up(void **state)
{
	static struct fixture fixture;
	alarm(60);
	fixture = (struct fixture){ .clock = CLOCK_SYSTEM };
	strcpy(fixture.dir, "/tmp/enos-bridge-test-XXXXXX");
	assert_non_null(mkdtemp(fixture.dir));
	snprintf(fixture.path, sizeof(fixture.path), "%s/control", fixture.dir);
	assert_return_code(loop_create(&fixture.loop, &fixture.clock), 0);
	struct control_setup setup = {
		.loop = fixture.loop, .path = fixture.path, .context = &fixture, .request = answer
	};
	assert_return_code(control_create(&fixture.control, &setup), 0);
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	control_destroy(fixture->control);
	loop_destroy(fixture->loop);
	buffer_finish(&fixture->request);
	buffer_finish(&fixture->out);
	buffer_finish(&fixture->err);
	unlink(fixture->path);
	rmdir(fixture->dir);
	alarm(0);
	return 0;
}

struct pipe_end {
	struct watch watch;
	struct loop *loop;
	struct buffer *to;
	bool ended;
};

static void pipe_ready(struct watch *watch, uint32_t events)
{
	struct pipe_end *end = (struct pipe_end *)watch;
	char block[4096];
	ssize_t count = read(watch->fd, block, sizeof(block));
	if (count > 0) {
		buffer_put(end->to, block, (size_t)count);
		return;
	}
	end->ended = true;
	loop_remove(end->loop, watch);
	close(watch->fd);
}

static void start_reading(struct pipe_end *end, struct loop *loop, int fd, struct buffer *to)
{
	buffer_clear(to);
	*end = (struct pipe_end){ .watch = { .fd = fd, .events = EPOLLIN, .ready = pipe_ready },
		.loop = loop,
		.to = to };
	assert_return_code(loop_add(loop, &end->watch), 0);
}

/* Runs the program with these words behind -s SOCKET; its exit status. */
static int run(struct fixture *fixture, const char *const *words)
{
	int out[2], err[2];
	assert_return_code(pipe2(out, O_CLOEXEC), 0);
	assert_return_code(pipe2(err, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		const char *argv[10] = { "enos-bridge", "-s", fixture->path };
		for (int i = 0; words[i]; i++)
			argv[3 + i] = words[i];
		dup2(out[1], STDOUT_FILENO);
		dup2(err[1], STDERR_FILENO);
		execv("./enos-bridge", (char **)argv);
		_exit(127);
	}
	close(out[1]);
	close(err[1]);
	struct pipe_end outs, errs;
	start_reading(&outs, fixture->loop, out[0], &fixture->out);
	start_reading(&errs, fixture->loop, err[0], &fixture->err);
	while (!outs.ended || !errs.ended)
		loop_step(fixture->loop, -1);
	int status;
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#define RUN(...) run(fixture, (const char *const[]){ __VA_ARGS__, NULL })

static void prints_a_status(void **state)
{
	struct fixture *fixture = *state;
	fixture->result = "{\"gateway\":\"gw-1\",\"version\":\"0.1.0\",\"uptime_s\":93784,"
			  "\"devices\":{\"ok\":3,\"down\":1},\"started_ms\":1700000000123,"
			  "\"buses\":[{\"name\":\"rs485-1\",\"link\":\"up\",\"frames\":12345},"
			  "{\"name\":\"plc\",\"link\":\"down\",\"frames\":7,\"why\":\"refused\"}],"
			  "\"mqtt\":null,\"cloud\":{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,"
			  "\"f\":6,\"g\":{\"x\":true}},\"scripts\":[],\"unheard_of\":[1,2.5]}";
	assert_int_equal(RUN("status"), 0);
	assert_string_equal(buffer_text(&fixture->request), "status");
	assert_string_equal(buffer_text(&fixture->err), "");
	assert_string_equal(buffer_text(&fixture->out),
		"gateway     gw-1\n"
		"version     0.1.0\n"
		"uptime_s    93784 (1d 2h 03m 04s)\n"
		"devices     ok 3, down 1\n"
		"started_ms  2023-11-14T22:13:20.123Z\n"
		"mqtt        -\n"
		"scripts     none\n"
		"unheard_of  1, 2.5\n"
		"\n"
		"buses:\n"
		"  name     link  frames  why\n"
		"  rs485-1  up     12345  -\n"
		"  plc      down       7  refused\n"
		"\n"
		"cloud:\n"
		"  a  1\n"
		"  b  2\n"
		"  c  3\n"
		"  d  4\n"
		"  e  5\n"
		"  f  6\n"
		"  g  x yes\n");
}

static void prints_json_as_it_is(void **state)
{
	struct fixture *fixture = *state;
	fixture->result = "{\"z\":1,\"a\":[9007199254740993,230.1,\"\\u00e9\"],\"n\":null}";
	assert_int_equal(RUN("--json", "status"), 0);
	assert_string_equal(buffer_text(&fixture->out),
		"{\"z\":1,\"a\":[9007199254740993,230.1,\"\xc3\xa9\"],\"n\":null}\n");
	assert_int_equal(RUN("device", "meter-1", "--json"), 0);
	assert_string_equal(buffer_text(&fixture->request), "device meter-1");
}

static void prints_frames(void **state)
{
	struct fixture *fixture = *state;
	fixture->result =
		"{\"bus\":\"b\",\"head\":\"# bus b\\n# odd \\u001b[2J\\n\","
		"\"time_us\":2000000,\"wall_ms\":1700000001001,\"frames\":["
		"{\"time_us\":1000000,\"wall_ms\":1700000000001,\"direction\":\"tx\","
		"\"bytes\":\"010300000001840a\",\"note\":\"\"},"
		"{\"time_us\":1012345,\"wall_ms\":1700000000013,\"direction\":\"rx\","
		"\"bytes\":\"018302c0f1\",\"note\":\"exception 2\",\"late\":true},"
		"{\"time_us\":1022345,\"wall_ms\":1700000000023,\"direction\":\"rx\","
		"\"bytes\":\"0183\",\"size\":300,\"device\":\"m-1\",\"note\":\"noise: crc\"},"
		"{\"time_us\":1022345,\"bytes\":\"xy\"}]}";
	assert_int_equal(RUN("dump", "b"), 0);
	assert_string_equal(buffer_text(&fixture->request), "dump b");
	assert_string_equal(buffer_text(&fixture->out),
		"# bus b\n# odd ?[2J\n"
		"2023-11-14 22:13:20.001000       +0.000  tx  01 03 00 00 00 01 84 0a  ; \n"
		"2023-11-14 22:13:20.013345      +12.345  rx  01 83 02 c0 f1  ; exception 2  "
		"late=yes\n"
		"2023-11-14 22:13:20.023345      +10.000  rx  01 83  ; m-1: noise: crc (of 300 "
		"bytes)\n"
		"2023-11-14 22:13:20.023345       +0.000  ?   ; not in hexadecimal digits\n");
	fixture->result = "{\"bus\":\"b\",\"frames\":[]}";
	assert_int_equal(RUN("dump", "b"), 0);
	assert_string_equal(buffer_text(&fixture->out), "no frames yet\n");
}

static void does_not_let_a_device_command_the_terminal(void **state)
{
	struct fixture *fixture = *state;
	fixture->result = "{\"k\\u001b[2J\":\"a\\u001b]0;x\\u0007b\\u009bc\\nd\","
			  "\"t\":[{\"\\u0007\":\"\\u001b\"}]}";
	assert_int_equal(RUN("device", "x"), 0);
	assert_string_equal(buffer_text(&fixture->out),
		"k?[2J  a?]0;x?b?c?d\n"
		"\n"
		"t:\n"
		"  ?\n"
		"  ?\n");
}

static void prints_odd_results(void **state)
{
	struct fixture *fixture = *state;
	static const char *const results[][2] = {
		{ "null", "-\n" },
		{ "7", "7\n" },
		{ "\"text\"", "text\n" },
		{ "[]", "none\n" },
		{ "{}", "none\n" },
		{ "[1,[2]]", "  1\n  2\n" },
		{ "[{\"a\":{}},{}]", "a\nnone\n-\n" },
		{ "{\"frames\":7}", "frames  7\n" },
		{ "{\"a\":[{\"b\":1}]}", "a:\n  b\n  1\n" },
		/* Of many counters in a cell only those that counted. */
		{ "[{\"e\":{\"a\":0,\"b\":2,\"c\":0,\"d\":0,\"e\":1,\"f\":0,\"g\":0}},"
		  "{\"e\":{\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0}}]",
			"e\nb 2, e 1\nnone\n" },
		{ "{\"last_good\":1700000000123,\"span_ms\":7}",
			"last_good  2023-11-14T22:13:20.123Z\nspan_ms    7\n" },
	};
	for (size_t i = 0; i < sizeof(results) / sizeof(*results); i++) {
		fixture->result = results[i][0];
		assert_int_equal(RUN("dump", "x"), 0);
		assert_string_equal(buffer_text(&fixture->out), results[i][1]);
	}
}

static void says_what_the_daemon_refuses(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(RUN("device", "x"), 1);
	assert_string_equal(buffer_text(&fixture->out), "");
	assert_string_equal(
		buffer_text(&fixture->err), "enos-bridge: no device is named \"x?[31m\"\n");
}

static void says_how_it_is_used(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(RUN(NULL), 2);
	assert_int_equal(RUN("nonsense"), 2);
	assert_non_null(strstr(buffer_text(&fixture->err), "no such command: nonsense"));
	assert_int_equal(RUN("device"), 2);
	assert_int_equal(RUN("device", "a", "b"), 2);
	assert_int_equal(RUN("status", "a"), 2);
	assert_int_equal(RUN("--nonsense", "status"), 2);
	assert_string_equal(buffer_text(&fixture->out), "");
	assert_int_equal(fixture->request.size, 0);
	assert_int_equal(RUN("help"), 0);
	assert_non_null(strstr(buffer_text(&fixture->out), "dump BUS"));
	assert_int_equal(RUN("--help"), 0);
	assert_int_equal(RUN("--version"), 0);
	assert_int_equal(strncmp(buffer_text(&fixture->out), "enos-bridge ", 12), 0);
}

static void has_a_manual_for_every_command(void **state)
{
	struct fixture *fixture = *state;
	const char *top = getenv("srcdir");
	OWNED char *path = must_printf("%s/docs/man/enos-bridge.1", top ? top : ".");
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	OWNED_BUFFER manual = BUFFER_EMPTY;
	for (int c; (c = getc(file)) != EOF;)
		buffer_put_byte(&manual, (uint8_t)c);
	fclose(file);
	assert_int_equal(RUN("help"), 0);
	char *line = strstr(buffer_text(&fixture->out), "commands:\n") + strlen("commands:\n");
	unsigned count = 0;
	for (; strncmp(line, "  ", 2) == 0; line = strchr(line, '\n') + 1, count++) {
		OWNED char *plain = must_printf(".B %.*s\n", (int)strcspn(line + 2, " "), line + 2);
		OWNED char *named = must_printf(
			".BI %.*s \"", (int)strcspn(line + 2, " "), line + 2);
		assert_true(
			strstr(buffer_text(&manual), plain) || strstr(buffer_text(&manual), named));
	}
	assert_true(count >= 6);
}

static void says_what_to_check_where_nobody_is(void **state)
{
	struct fixture *fixture = *state;
	control_destroy(fixture->control);
	fixture->control = NULL;
	assert_int_equal(RUN("status"), 3);
	assert_non_null(strstr(buffer_text(&fixture->err), "is enos-bridged running"));
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, fixture->path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_return_code(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(RUN("status"), 3);
	assert_non_null(strstr(buffer_text(&fixture->err), "enos-bridged has ended"));
	close(fd);
}

/* Somebody who is no daemon: the words that it says, after which it hangs up. */
static enum client_answer ask_impostor(const char *path, const char *words, struct buffer *text)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, path);
	unlink(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_return_code(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_return_code(listen(fd, 1), 0);
	pid_t pid = fork();
	if (pid == 0) {
		char line[200];
		int client = accept(fd, NULL, NULL);
		ssize_t count = recv(client, line, sizeof(line), 0);
		if (count > 0 && words)
			send(client, words, strlen(words), MSG_NOSIGNAL);
		if (!words)
			pause();
		_exit(0);
	}
	buffer_clear(text);
	enum client_answer said = client_ask(
		path, "{\"command\":\"status\"}", words ? 20000 : 20, text);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(fd);
	return said;
}

static void is_not_fooled_by_others(void **state)
{
	struct fixture *fixture = *state;
	static const char *const bad[] = {
		"",
		"HTTP/1.1 400 Bad Request\n",
		"{\"ok\":true",
		"{}\n",
		"{\"ok\":true}\n",
		"{\"ok\":false}\n",
		"{\"ok\":false,\"error\":7}\n",
		"[true]\n",
	};
	OWNED_BUFFER text = BUFFER_EMPTY;
	control_destroy(fixture->control);
	fixture->control = NULL;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(ask_impostor(fixture->path, bad[i], &text), CLIENT_UNREACHABLE);
		assert_true(text.size > 0);
	}
	assert_int_equal(ask_impostor(fixture->path, NULL, &text), CLIENT_UNREACHABLE);
	assert_non_null(strstr(buffer_text(&text), "does not answer within"));
	assert_int_equal(
		ask_impostor(fixture->path, "{\"ok\":true,\"result\":7}\n", &text), CLIENT_RESULT);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(prints_a_status),
		TEST(prints_json_as_it_is),
		TEST(prints_frames),
		TEST(does_not_let_a_device_command_the_terminal),
		TEST(prints_odd_results),
		TEST(says_what_the_daemon_refuses),
		TEST(says_how_it_is_used),
		TEST(has_a_manual_for_every_command),
		TEST(says_what_to_check_where_nobody_is),
		TEST(is_not_fooled_by_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
