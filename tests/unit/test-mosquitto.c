/* SPDX-License-Identifier: Apache-2.0 */
/* The echo as a real broker passes it on, compared with the examples of docs/mqtt.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <mosquitto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cloud/record.h"
#include "broker-rig.h"
#include "util/alloc.h"
#include "util/json.h"
#include "util/list.h"

#define MOSQUITTO_PLACES "PATH=/usr/sbin:/usr/local/sbin:/usr/bin:/bin"

/* ---- the broker --------------------------------------------------------------------------------- */

struct server {
	char dir[40], conf[60];
	uint16_t port;
	pid_t pid;
};

static uint16_t free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_return_code(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	getsockname(fd, (struct sockaddr *)&address, &size);
	close(fd);
	return ntohs(address.sin_port);
}

/* Starts mosquitto and waits until it says that it runs.  False where it ended instead. */
static bool launch(struct server *server)
{
	int ends[2];
	assert_return_code(pipe(ends), 0);
	server->pid = fork();
	if (server->pid == 0) {
		dup2(ends[1], STDERR_FILENO);
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		putenv((char *)MOSQUITTO_PLACES);
		execlp("mosquitto", "mosquitto", "-c", server->conf, NULL);
		_exit(127);
	}
	close(ends[1]);
	char said[4096];
	size_t size = 0;
	bool running = false;
	for (ssize_t count; !running && size + 1 < sizeof(said) &&
		(count = read(ends[0], said + size, sizeof(said) - 1 - size)) > 0;) {
		size += (size_t)count;
		said[size] = 0;
		running = strstr(said, " running\n") != NULL;
	}
	close(ends[0]);
	if (!running)
		waitpid(server->pid, NULL, 0);
	return running;
}

static void end_server(struct server *server)
{
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
}

static void start_server(struct server *server)
{
	strcpy(server->dir, "/tmp/enos-bridge-test-XXXXXX");
	assert_non_null(mkdtemp(server->dir));
	snprintf(server->conf, sizeof(server->conf), "%s/conf", server->dir);
	/* Somebody else may take the port before mosquitto does. */
	for (int tries = 0; tries < 10; tries++) {
		server->port = free_port();
		FILE *file = fopen(server->conf, "w");
		fprintf(file,
			"listener %u 127.0.0.1\nallow_anonymous true\nuser root\n"
			"max_queued_messages 0\n",
			server->port);
		fclose(file);
		if (launch(server))
			return;
	}
	fail_msg("mosquitto does not start: is it installed?");
}

/* ---- somebody who subscribes --------------------------------------------------------------------- */

struct listener {
	struct mosquitto *client;
	struct watch watch;
	bool subscribed;
	char **said; /* "topic (QoS n, retained)\npayload\n" */
	size_t count;
};

static void on_connect(struct mosquitto *client, void *context, int code)
{
	mosquitto_subscribe(client, NULL, "enos-bridge/#", 1);
}

static void on_subscribe(
	struct mosquitto *client, void *context, int number, int count, const int *granted)
{
	((struct listener *)context)->subscribed = true;
}

static void on_message(
	struct mosquitto *client, void *context, const struct mosquitto_message *message)
{
	struct listener *listener = context;
	listener->said = must_realloc(
		listener->said, (listener->count + 1) * sizeof(*listener->said));
	listener->said[listener->count++] = must_printf("%s (QoS %d%s)\n%.*s\n", message->topic,
		message->qos, message->retain ? ", retained" : "", message->payloadlen,
		(const char *)message->payload);
}

static void listener_ready(struct watch *watch, uint32_t events)
{
	struct listener *listener = container_of(watch, struct listener, watch);
	if (events & EPOLLIN)
		mosquitto_loop_read(listener->client, 100);
	while (mosquitto_want_write(listener->client))
		mosquitto_loop_write(listener->client, 1);
}

static void listen_to(struct listener *listener, struct rig *rig, uint16_t port)
{
	*listener = (struct listener){ .client = mosquitto_new(NULL, true, listener) };
	mosquitto_connect_callback_set(listener->client, on_connect);
	mosquitto_subscribe_callback_set(listener->client, on_subscribe);
	mosquitto_message_callback_set(listener->client, on_message);
	int connected = mosquitto_connect(listener->client, "127.0.0.1", port, 60);
	assert_int_equal(connected, MOSQ_ERR_SUCCESS);
	listener->watch = (struct watch){
		.fd = mosquitto_socket(listener->client), .events = EPOLLIN, .ready = listener_ready
	};
	loop_add(rig->loop, &listener->watch);
	rig_until(rig, listener->subscribed);
}

static void hang_up(struct listener *listener, struct rig *rig)
{
	loop_remove(rig->loop, &listener->watch);
	mosquitto_destroy(listener->client);
	for (size_t i = 0; i < listener->count; i++)
		free(listener->said[i]);
	free(listener->said);
}

static const char *heard(const struct listener *listener, const char *words)
{
	for (size_t i = listener->count; i > 0; i--) {
		if (strstr(listener->said[i - 1], words))
			return listener->said[i - 1];
	}
	return NULL;
}

/* ---- the tests ---------------------------------------------------------------------------------- */

struct fixture {
	struct server server;
	struct rig rig;
	struct listener listener;
};

static int set_up(void **state)
{
	static struct fixture fixture;
	rig_start(&fixture.rig);
	start_server(&fixture.server);
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	rig_stop(&fixture->rig);
	end_server(&fixture->server);
	unlink(fixture->server.conf);
	rmdir(fixture->server.dir);
	return 0;
}

static void tell_reports(struct rig *rig)
{
	static const struct {
		enum report_kind kind;
		const char *name, *json;
	} reports[] = {
		{ REPORT_EVENT, "overload", "{\"current\":63}" },
		{ REPORT_ATTRIBUTES, "", "{\"serial\":\"A1\"}" },
	};
	rig_points(rig, "{\"voltage\":230.1,\"current\":{\"value\":0.25,\"quality\":9}}");
	struct stamp stamp = { .wall_ms = RIG_READ_MS, .synced = true };
	struct report *report;
	for (size_t i = 0; i < 2; i++) {
		char error[80];
		OWNED_BUFFER value = BUFFER_EMPTY;
		json_parse(&value, reports[i].json, strlen(reports[i].json), error, sizeof(error));
		report = report_create(0, reports[i].kind, &stamp, value.data, value.size);
		strcpy(report->name, reports[i].name);
		broker_report(rig->broker, report);
		report_release(report);
	}
	report = report_create(0, REPORT_RAW, &stamp, "\1\2\3\4", 4);
	broker_report(rig->broker, report);
	report_release(report);
}

static void tell_commands(struct rig *rig)
{
	char error[80];
	struct command *command = rig_command(7);
	broker_command(rig->broker, command);
	rig_result(rig, command, 200, "{\"id\":\"7\",\"code\":200,\"data\":{}}");
	command_destroy(command);
	command_create(
		&command, 0, ORIGIN_CLOUD, "thing/model/down_raw", "\1\2", 2, error, sizeof(error));
	broker_command(rig->broker, command);
	struct reply *reply = reply_create(command, 200);
	buffer_put(&reply->payload, "\x09\0", 2);
	broker_reply(rig->broker, command, reply);
	reply_destroy(reply);
	command_destroy(command);
}

static void tell_audit(struct rig *rig)
{
	const struct record record = { .device = (char *)"meter-1",
		.state = RECORD_ANSWERED,
		.came_ms = RIG_NOW_MS,
		.ended_ms = RIG_NOW_MS + 250,
		.spent_us = 250000,
		.topic = (char *)"thing/service/set",
		.command_id = (char *)"7",
		.code = 502,
		.why = (char *)"the device refused: exception 2" };
	OWNED_BUFFER json = BUFFER_EMPTY;
	record_print(&record, false, &json);
	broker_audit(rig->broker, 0, &json);
}

static void tell_reloads(struct rig *rig)
{
	broker_reload(rig->broker, "boiler.lua", "\"result\":\"reloaded\"");
	broker_reload(rig->broker, "boiler.lua",
		"\"result\":\"kept the old one\",\"problems\":["
		"\"/etc/enos-bridge/scripts/boiler.lua:3: unexpected symbol near ',' "
		"[line 3: polls = {,}]\"]");
}

static void tell_states(struct rig *rig)
{
	struct health *health = health_create(0, HEALTH_DOWN);
	health->error = EB_TIMEOUT;
	health->stamp.wall_ms = RIG_READ_MS;
	broker_health(rig->broker, health);
	message_destroy(&health->mail);
	broker_session(rig->broker, 0, "waiting", "no answer");
	broker_script(rig->broker, 0, "sdm630.lua:17: attempt to index a nil value");
	struct link_change *change = link_change_create(0, false);
	strcpy(change->reason, "read /dev/ttyUSB0: unplugged");
	change->stamp.wall_ms = RIG_READ_MS;
	broker_link(rig->broker, change);
	message_destroy(&change->mail);
	rig_pass(rig, 20 * USEC_PER_MSEC);
}

static bool documented(const char *document, const char *said)
{
	OWNED_BUFFER block = BUFFER_EMPTY;
	buffer_printf(&block, "```mqtt\n%s```\n", said);
	return strstr(document, buffer_text(&block)) != NULL;
}

static char *read_document(void)
{
	const char *top = getenv("srcdir");
	OWNED char *path = must_printf("%s/docs/mqtt.md", top ? top : ".");
	FILE *file = fopen(path, "r");
	if (!file)
		fail_msg("%s: not there: set srcdir", path);
	OWNED_BUFFER text = BUFFER_EMPTY;
	for (int c; (c = getc(file)) != EOF;)
		buffer_put_byte(&text, (uint8_t)c);
	fclose(file);
	return (char *)buffer_take(&text);
}

static size_t count_words(const char *text, const char *words)
{
	size_t count = 0;
	while ((text = strstr(text, words))) {
		count++;
		text += strlen(words);
	}
	return count;
}

static void check_documented(const struct listener *listener, const char *document, size_t *found)
{
	for (size_t i = 0; i < listener->count; i++) {
		if (!documented(document, listener->said[i]))
			fail_msg("docs/mqtt.md has no such example:\n%s", listener->said[i]);
		(*found)++;
	}
}

/* Live messages carry no retain flag: what is retained is what a later listener gets. */
static void says_what_the_document_says(void **state)
{
	struct fixture *fixture = *state;
	struct rig *rig = &fixture->rig;
	OWNED char *document = read_document();
	size_t found = 0;
	struct listener first, later, after;
	rig_connect(rig, fixture->server.port);
	rig_until(rig, rig_count(rig, "published") == 3 && rig_count(rig, "in_flight") == 0);
	listen_to(&first, rig, fixture->server.port);
	rig_until(rig, first.count == 3);
	assert_non_null(heard(&first, "\"state\":\"online\""));
	assert_non_null(heard(&first, "meter-2/state"));
	rig_reading(rig, 0, 0x00e60019);
	tell_reports(rig);
	tell_commands(rig);
	tell_audit(rig);
	tell_reloads(rig);
	rig_until(rig, first.count == 3 + 5 + 4 + 3);
	for (size_t i = 0; i < first.count; i++) {
		if (strstr(first.said[i], "meter-1/state"))
			continue; /* as meter-2's, which is the example */
		if (!documented(document, first.said[i]))
			fail_msg("docs/mqtt.md has no such example:\n%s", first.said[i]);
		found++;
	}
	hang_up(&first, rig);
	tell_states(rig);
	rig_until(
		rig, rig_count(rig, "published") == 3 + 12 + 2 && rig_count(rig, "in_flight") == 0);
	listen_to(&later, rig, fixture->server.port);
	rig_until(rig, later.count == 4);
	assert_non_null(heard(&later, "bus/rs485-1/state (QoS 1, retained)"));
	check_documented(&later, document, &found);
	found -= 2; /* online and meter-2 were counted before */
	hang_up(&later, rig);
	/* The examples were made at one moment. */
	clock_advance(&rig->clock, -20 * USEC_PER_MSEC);
	broker_destroy(rig->broker);
	rig->broker = NULL;
	listen_to(&after, rig, fixture->server.port);
	rig_until(rig, after.count == 4);
	assert_true(documented(document, heard(&after, "\"reason\":\"stopped\"")));
	found++;
	hang_up(&after, rig);
	found++; /* the last will: the next test */
	assert_int_equal(count_words(document, "```mqtt\n"), found);
}

static void leaves_a_last_will_when_killed(void **state)
{
	struct fixture *fixture = *state;
	struct rig *rig = &fixture->rig;
	OWNED char *document = read_document();
	struct listener listener;
	listen_to(&listener, rig, fixture->server.port);
	pid_t bridge = fork();
	if (bridge == 0) {
		struct rig own;
		rig_start(&own);
		rig_connect(&own, fixture->server.port);
		for (;;)
			rig_turn(own.loop);
	}
	rig_until(rig, heard(&listener, "\"state\":\"online\""));
	assert_null(heard(&listener, "offline"));
	kill(bridge, SIGKILL);
	waitpid(bridge, NULL, 0);
	rig_until(rig, heard(&listener, "offline"));
	hang_up(&listener, rig);
	listen_to(&listener, rig, fixture->server.port);
	rig_until(rig, heard(&listener, "/status"));
	assert_true(documented(document, heard(&listener, "/status")));
	hang_up(&listener, rig);
}

static void comes_back_after_a_restart_of_the_broker(void **state)
{
	struct fixture *fixture = *state;
	struct rig *rig = &fixture->rig;
	struct listener listener;
	rig_connect(rig, fixture->server.port);
	rig_until(rig, rig_count(rig, "published") == 3 && rig_count(rig, "in_flight") == 0);
	end_server(&fixture->server);
	rig_until(rig, rig_count(rig, "failures") == 1);
	rig_reading(rig, 0, 5);
	struct command *command = rig_command(7);
	broker_command(rig->broker, command);
	assert_true(launch(&fixture->server));
	listen_to(&listener, rig, fixture->server.port);
	rig_pass(rig, USEC_PER_SEC);
	rig_until(rig, listener.count == 5);
	assert_non_null(heard(&listener, "\"state\":\"online\""));
	assert_non_null(heard(&listener, "meter-1/state"));
	assert_non_null(heard(&listener, "meter-2/state"));
	assert_non_null(heard(&listener, "/command"));
	assert_non_null(heard(&listener, "\"bytes\":\"00000005\""));
	hang_up(&listener, rig);
	command_destroy(command);
}

/* Refused for another client with the same name: both would throw each other out for ever, fast. */
static void backs_off_where_its_name_is_taken(void **state)
{
	struct fixture *fixture = *state;
	struct rig *rig = &fixture->rig;
	rig_connect(rig, fixture->server.port);
	rig_until(rig, rig_count(rig, "in_flight") == 0 && rig_count(rig, "published") == 3);
	for (int64_t i = 1; i <= 4; i++) {
		struct mosquitto *other = mosquitto_new("enos-bridge-gw-1", true, NULL);
		int connected = mosquitto_connect(other, "127.0.0.1", fixture->server.port, 60);
		assert_int_equal(connected, MOSQ_ERR_SUCCESS);
		rig_until(rig, rig_count(rig, "failures") == i);
		mosquitto_destroy(other);
		/* Once may be a broker that was stopped. */
		const char *guess = strstr(buffer_text(&rig->log), "same client_id");
		assert_int_equal(i > 1, guess != NULL);
		/* Half of 1, 2, 4, 8 s is the least. */
		rig_pass(rig, (USEC_PER_SEC << (i - 1)) / 2 - USEC_PER_MSEC);
		assert_string_equal(rig_state(rig), "waiting");
		while (strcmp(rig_state(rig), "waiting") == 0)
			rig_pass(rig, 20 * USEC_PER_MSEC);
		rig_until(rig, strcmp(rig_state(rig), "online") == 0);
	}
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(says_what_the_document_says),
		TEST(leaves_a_last_will_when_killed),
		TEST(comes_back_after_a_restart_of_the_broker),
		TEST(backs_off_where_its_name_is_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
