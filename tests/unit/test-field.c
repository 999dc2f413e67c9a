/* SPDX-License-Identifier: Apache-2.0 */
/* The whole field with its mailboxes: under a clock moved by hand, and in its thread. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/message.h"
#include "field/field.h"
#include "util/alloc.h"
#include "util/json.h"

extern const struct eb_plugin eb_plugin;

#define CLIENTS 8

static char bus_name[] = "plc", host[] = "127.0.0.1", names[2][8] = { "first", "second" };

/* A field with one TCP bus of two devices, and the server behind it. */
struct site {
	struct clock clock;
	struct conf conf;
	struct conf_bus bus;
	struct conf_device devices[2];
	struct resolver *resolver;
	struct mailbox *inbox, *outbox;
	struct field *field;
	void *state;
	int listener, clients[CLIENTS];
	unsigned client_count;
	bool deaf; /* the server answers nothing */
	/* what came out */
	unsigned readings, healths, changes, outcomes;
	enum outcome_status status;
	char answer[4096];
	unsigned answers;
};

static void site_init(struct site *site, bool manual)
{
	*site = (struct site){ .clock = { .manual = manual, .mono_us = 5 * USEC_PER_SEC } };
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	site->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(0, bind(site->listener, (struct sockaddr *)&address, size));
	assert_int_equal(0, listen(site->listener, 16));
	getsockname(site->listener, (struct sockaddr *)&address, &size);
	site->bus = (struct conf_bus){
		.name = bus_name,
		.plugin = &eb_plugin,
		.link = { .type = CONF_LINK_TCP,
			.host = host,
			.port = ntohs(address.sin_port),
			.connect_timeout_ms = 3000,
			.reopen_min_ms = 500,
			.reopen_max_ms = 5000,
			.echo = ANSWER_AUTO },
		.line = { .transport = EB_TCP },
		.timeout_ms = 1000,
		.retries = 1,
		.in_flight = 1,
	};
	value_put_map(&site->bus.options, 0);
	for (int i = 0; i < 2; i++)
		site->devices[i].name = names[i];
	site->conf = (struct conf){
		.buses = &site->bus, .bus_count = 1, .devices = site->devices, .device_count = 2
	};
	assert_int_equal(0, resolver_create(&site->resolver, NULL));
	assert_int_equal(0, mailbox_create(&site->inbox, 200));
	assert_int_equal(0, mailbox_create(&site->outbox, 200));
	struct field_setup setup = { &site->conf, &site->clock, site->resolver, site->inbox,
		site->outbox };
	assert_int_equal(0, field_create(&site->field, &setup));
	struct eb_timing timing;
	struct eb_error error;
	struct eb_settings none = { .count = 0 };
	site->state = must_alloc(eb_plugin.state_size);
	assert_int_equal(0, eb_plugin.open(site->state, &none, &site->bus.line, &timing, &error));
}

static void site_finish(struct site *site)
{
	field_destroy(site->field);
	mailbox_destroy(site->inbox);
	mailbox_destroy(site->outbox);
	resolver_destroy(site->resolver);
	for (unsigned i = 0; i < site->client_count; i++)
		close(site->clients[i]);
	close(site->listener);
	buffer_finish(&site->bus.options);
	free(site->state);
}

/* ---- the server ----------------------------------------------------------------------------- */

static void answer_client(struct site *site, int fd)
{
	uint8_t frame[260];
	ssize_t size = recv(fd, frame, 12, MSG_DONTWAIT);
	if (size < 12 || site->deaf)
		return;
	size_t end = 12;
	if (frame[7] == 3) {
		uint8_t count = frame[11];
		frame[8] = (uint8_t)(2 * count);
		for (end = 9; end < 9u + 2 * count; end++)
			frame[end] = frame[6];
		frame[5] = (uint8_t)(end - 6);
	}
	assert_int_equal(end, send(fd, frame, end, 0));
}

static void serve(struct site *site)
{
	int fd = accept(site->listener, NULL, NULL);
	if (fd >= 0) {
		assert_true(site->client_count < CLIENTS);
		site->clients[site->client_count++] = fd;
	}
	for (unsigned i = 0; i < site->client_count; i++)
		answer_client(site, site->clients[i]);
}

/* ---- the main plane's part ------------------------------------------------------------------ */

static void take(struct site *site, struct mail *mail)
{
	switch ((enum message_kind)mail->kind) {
	case MESSAGE_READING:
		site->readings++;
		break;
	case MESSAGE_HEALTH:
		site->healths++;
		break;
	case MESSAGE_LINK:
		site->changes++;
		break;
	case MESSAGE_OUTCOME:
		site->outcomes++;
		site->status = container_of(mail, struct outcome, mail)->steps[0].status;
		break;
	case MESSAGE_ANSWER:
		site->answers++;
		snprintf(site->answer, sizeof(site->answer), "%s",
			buffer_text(&container_of(mail, struct answer, mail)->text));
		break;
	default:
		fail_msg("message %d is none of the field's", mail->kind);
	}
	message_destroy(mail);
}

static void collect(struct site *site)
{
	struct list mails;
	list_init(&mails);
	mailbox_take_all(site->outbox, &mails);
	for (struct list *link; (link = list_take_first(&mails));)
		take(site, container_of(link, struct mail, link));
}

/* Lets server and field work until the condition holds; the field's clock runs by steps. */
#define SERVE_UNTIL(site, condition)                                                          \
	do {                                                                                  \
		for (int turn_ = 0; !(condition); turn_++) {                                  \
			if (turn_ > 20000)                                                    \
				fail_msg("not reached: " #condition);                         \
			serve(site);                                                          \
			if ((site)->clock.manual)                                             \
				loop_advance(field_loop((site)->field),                       \
					loop_now(field_loop((site)->field)) + USEC_PER_MSEC); \
			else                                                                  \
				poll(&(struct pollfd){ .fd = mailbox_fd((site)->outbox),      \
					     .events = POLLIN },                              \
					1, 1);                                                \
			collect(site);                                                        \
		}                                                                             \
	} while (0)

static struct request *make_request(struct site *site, uint32_t device, bool write)
{
	OWNED_BUFFER map = BUFFER_EMPTY;
	struct problems problems = PROBLEMS_NONE;
	struct eb_address address = { .size = 1, .bytes = { (uint8_t)(device + 1) } };
	struct request *request = NULL;
	value_put_map(&map, 3);
	value_pair_text(&map, write ? "write" : "read", "holding_registers");
	value_pair_integer(&map, "address", 1);
	if (write) {
		value_put_text(&map, "values");
		value_put_list(&map, 1);
		value_put_integer(&map, 9);
	} else {
		value_pair_integer(&map, "count", 2);
	}
	request_create(&request, &eb_plugin, site->state, &address, map.data, map.size,
		SETTINGS_SCRIPT, (struct place){ "test", 0 }, &problems);
	problems_print(&problems, stderr);
	assert_non_null(request);
	return request;
}

static void put_plan(struct site *site, uint32_t device)
{
	struct eb_address address = { .size = 1, .bytes = { (uint8_t)(device + 1) } };
	struct plan *plan = plan_create(device, &address, 1);
	plan->polls[0] = (struct poll){ .request = make_request(site, device, false),
		.period_us = 20000 };
	plan->polls[0].request->name = must_strdup("live");
	mailbox_put(site->inbox, &plan_change_create(plan)->mail);
	plan_release(plan);
}

static void put_order(struct site *site, uint32_t device)
{
	struct order *order = order_create(
		device, 4, clock_mono_us(&site->clock) + 30 * USEC_PER_SEC, 1);
	order->requests[0] = make_request(site, device, true);
	assert_true(mailbox_reserve(site->outbox));
	mailbox_put(site->inbox, &order->mail);
}

static void ask(struct site *site, enum query_kind what, uint32_t number)
{
	unsigned before = site->answers;
	mailbox_put(site->inbox, &query_create(what, 11, number)->mail);
	SERVE_UNTIL(site, site->answers > before);
	OWNED_BUFFER value = BUFFER_EMPTY;
	char error[200] = "";
	json_parse(&value, site->answer, strlen(site->answer), error, sizeof(error));
	assert_string_equal("", error);
}

static void test_messages(void **state)
{
	struct site site;
	site_init(&site, true);
	put_plan(&site, 0);
	put_plan(&site, 1);
	SERVE_UNTIL(&site, site.readings >= 20);
	assert_int_equal(1, site.changes);
	assert_int_equal(2, site.healths);
	ask(&site, QUERY_PING, 0);
	assert_string_equal("{}", site.answer);
	ask(&site, QUERY_STATUS, 0);
	assert_non_null(strstr(site.answer, "\"devices\":2"));
	ask(&site, QUERY_BUS, 0);
	assert_non_null(strstr(site.answer, "\"name\":\"second\""));
	ask(&site, QUERY_DEVICE, 1);
	assert_non_null(strstr(site.answer, "\"state\":\"ok\""));
	ask(&site, QUERY_DEVICE, 7);
	assert_string_equal("{}", site.answer);
	mailbox_put(site.inbox, &query_create(QUERY_DUMP, 11, 0)->mail);
	put_order(&site, 1);
	SERVE_UNTIL(&site, site.outcomes == 1);
	assert_int_equal(OUTCOME_DONE, site.status);
	/* Never started: what still waits is answered all the same. */
	put_order(&site, 0);
	field_stop(site.field);
	collect(&site);
	assert_int_equal(2, site.outcomes);
	assert_int_equal(OUTCOME_LINK, site.status);
	site_finish(&site);
}

static void test_thread(void **state)
{
	struct site site;
	site_init(&site, false);
	assert_int_equal(0, field_start(site.field));
	put_plan(&site, 0);
	put_plan(&site, 1);
	SERVE_UNTIL(&site, site.readings >= 20);
	put_order(&site, 0);
	SERVE_UNTIL(&site, site.outcomes == 1);
	assert_int_equal(OUTCOME_DONE, site.status);
	ask(&site, QUERY_STATUS, 0);
	/* One on the wire that is not answered, others behind it: stop answers them all. */
	site.deaf = true;
	put_order(&site, 0);
	put_order(&site, 1);
	put_order(&site, 0);
	field_stop(site.field);
	collect(&site);
	assert_int_equal(4, site.outcomes);
	site_finish(&site);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_thread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
