/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cloud/server.h"
#include "util/log.h"

static struct clock manual;
static struct loop *loop;
static struct resolver *resolver;
static struct resolver_client *client;
static struct server server;
static int changes;

/* What the name means at the moment: IPv4 addresses in a row, or an error where there are none. */
static const char *_Atomic meaning;
static atomic_int questions;

static int fake_resolve(
	const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **result)
{
	const char *list = atomic_load(&meaning);
	atomic_fetch_add(&questions, 1);
	*result = NULL;
	struct addrinfo wanted = *hints, **end = result;
	wanted.ai_flags |= AI_NUMERICHOST;
	char copy[200], *rest = NULL;
	strcpy(copy, list);
	for (char *one = strtok_r(copy, " ", &rest); one; one = strtok_r(NULL, " ", &rest)) {
		int error = getaddrinfo(one, port, &wanted, end);
		if (error)
			return error;
		while (*end)
			end = &(*end)->ai_next;
	}
	return *result ? 0 : EAI_AGAIN;
}

static void changed(struct server *self)
{
	assert_ptr_equal(self, &server);
	changes++;
}

static int set_up(void **state)
{
	manual = (struct clock){ .manual = true, .mono_us = 100 * USEC_PER_SEC };
	atomic_store(&meaning, "127.0.0.1");
	atomic_store(&questions, 0);
	changes = 0;
	assert_int_equal(loop_create(&loop, &manual), 0);
	assert_int_equal(resolver_create(&resolver, fake_resolve), 0);
	assert_int_equal(resolver_client_create(&client, resolver, loop), 0);
	server = (struct server){ .loop = loop,
		.resolver = client,
		.host = "cloud.test",
		.port = 5683,
		.changed = changed };
	server_init(&server);
	return 0;
}

static int tear_down(void **state)
{
	server_finish(&server);
	resolver_client_destroy(client);
	resolver_destroy(resolver);
	loop_destroy(loop);
	return 0;
}

/* Until the thread has answered: an event of another thread, whatever the manual clock says. */
static void await_answer(void)
{
	while (server.lookup.job) {
		loop_step(loop, 0);
		sched_yield();
	}
}

static uint32_t address(uint32_t number)
{
	return ntohl(server_address(&server, number)->v4.sin_addr.s_addr) & 255;
}

static void finds_the_address(void **state)
{
	assert_null(server_address(&server, 0));
	server_start(&server);
	assert_null(server_address(&server, 0));
	await_answer();
	assert_int_equal(changes, 1);
	assert_int_equal(address(0), 1);
	assert_int_equal(address(7), 1);
	assert_int_equal(ntohs(server_address(&server, 0)->v4.sin_port), 5683);
}

static void asks_again_once_an_hour(void **state)
{
	server_start(&server);
	await_answer();
	loop_advance(loop, manual.mono_us + SERVER_REFRESH_US - 1);
	assert_null(server.lookup.job);
	atomic_store(&meaning, "127.0.0.9");
	loop_advance(loop, manual.mono_us + 1);
	await_answer();
	assert_int_equal(changes, 2);
	assert_int_equal(address(0), 9);
	assert_int_equal(atomic_load(&questions), 2);
}

static void complaints_lead_to_few_questions(void **state)
{
	server_start(&server);
	await_answer();
	for (int i = 0; i < 1000; i++)
		server_suspect(&server);
	assert_null(server.lookup.job);
	loop_advance(loop, manual.mono_us + SERVER_PAUSE_US);
	for (int i = 0; i < 1000; i++)
		server_suspect(&server);
	await_answer();
	assert_int_equal(atomic_load(&questions), 2);
	/* The same answer, and the same in another order, are no change. */
	assert_int_equal(changes, 1);
}

static void several_addresses_are_used_in_turn(void **state)
{
	atomic_store(&meaning, "127.0.0.1 127.0.0.2");
	server_start(&server);
	await_answer();
	assert_int_equal(server.count, 2);
	assert_int_not_equal(address(0), address(1));
	assert_int_equal(address(0), address(2));
	union address first = *server_address(&server, 0);
	atomic_store(&meaning, "127.0.0.2 127.0.0.1");
	loop_advance(loop, manual.mono_us + SERVER_REFRESH_US);
	await_answer();
	assert_int_equal(changes, 1);
	assert_true(server_has(&server, &first));
	atomic_store(&meaning, "127.0.0.3");
	loop_advance(loop, manual.mono_us + SERVER_REFRESH_US);
	await_answer();
	assert_int_equal(changes, 2);
	assert_false(server_has(&server, &first));
}

static void a_failure_keeps_what_is_known(void **state)
{
	server_start(&server);
	await_answer();
	atomic_store(&meaning, "");
	loop_advance(loop, manual.mono_us + SERVER_REFRESH_US);
	await_answer();
	assert_int_equal(address(0), 1);
	assert_int_equal(changes, 1);
}

static void a_name_that_is_not_there_is_asked_for_with_pauses(void **state)
{
	atomic_store(&meaning, "");
	server_start(&server);
	await_answer();
	int64_t end_us = manual.mono_us + 600 * USEC_PER_SEC;
	while (manual.mono_us < end_us) {
		loop_advance(loop, manual.mono_us + USEC_PER_SEC);
		await_answer();
	}
	/* After 1, 2, 4 ... 60 s. */
	assert_in_range(atomic_load(&questions), 12, 18);
	assert_int_equal(changes, 0);
	atomic_store(&meaning, "127.0.0.4");
	loop_advance(loop, manual.mono_us + SERVER_RETRY_MAX_US);
	await_answer();
	assert_int_equal(address(0), 4);
	assert_int_equal(changes, 1);
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(finds_the_address),
		TEST(asks_again_once_an_hour),
		TEST(complaints_lead_to_few_questions),
		TEST(several_addresses_are_used_in_turn),
		TEST(a_failure_keeps_what_is_known),
		TEST(a_name_that_is_not_there_is_asked_for_with_pauses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
