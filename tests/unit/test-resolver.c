/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <string.h>

#include "core/resolver.h"

/*
 * In place of getaddrinfo(): waits at a gate until the test lets it go, and knows these names.  It
 * outlives the resolvers, as the real one does.
 */
static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static unsigned entered, left, admitted;

static int slow_resolve(
	const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **result)
{
	pthread_mutex_lock(&gate_lock);
	entered++;
	pthread_cond_broadcast(&gate_moved);
	while (admitted < entered)
		pthread_cond_wait(&gate_moved, &gate_lock);
	left++;
	pthread_cond_broadcast(&gate_moved);
	pthread_mutex_unlock(&gate_lock);
	if (strcmp(host, "meter.test") == 0)
		return getaddrinfo("192.0.2.7", port, hints, result);
	return strcmp(host, "six.test") == 0 ? getaddrinfo("2001:db8::1", port, hints, result)
					     : EAI_NONAME;
}

static void wait_for(const unsigned *count, unsigned number)
{
	pthread_mutex_lock(&gate_lock);
	while (*count < number)
		pthread_cond_wait(&gate_moved, &gate_lock);
	pthread_mutex_unlock(&gate_lock);
}

static void admit(unsigned number)
{
	pthread_mutex_lock(&gate_lock);
	admitted = number;
	pthread_cond_broadcast(&gate_moved);
	pthread_mutex_unlock(&gate_lock);
}

struct question {
	struct lookup lookup;
	struct fixture *fixture;
	int answers, error;
	char text[64];
	struct question *cancels, *starts; /* from within done() */
};

struct fixture {
	struct clock clock;
	struct loop *loop;
	struct resolver *resolver;
	struct resolver_client *client;
};

static void done(struct lookup *lookup, int error, const union address *addresses, size_t count)
{
	struct question *question = container_of(lookup, struct question, lookup);
	question->answers++;
	question->error = error;
	if (count)
		address_print(&addresses[0], question->text, sizeof(question->text));
	if (question->cancels)
		lookup_cancel(&question->cancels->lookup);
	if (question->starts)
		lookup_start(question->fixture->client, &question->starts->lookup, "127.0.0.1", 1);
}

static void begin(struct fixture *fixture)
{
	entered = left = admitted = 0;
	fixture->clock = (struct clock)CLOCK_SYSTEM;
	assert_int_equal(loop_create(&fixture->loop, &fixture->clock), 0);
	assert_int_equal(resolver_create(&fixture->resolver, slow_resolve), 0);
	assert_int_equal(
		resolver_client_create(&fixture->client, fixture->resolver, fixture->loop), 0);
}

static void end(struct fixture *fixture)
{
	resolver_client_destroy(fixture->client);
	resolver_destroy(fixture->resolver);
	loop_destroy(fixture->loop);
}

static struct question question_of(struct fixture *fixture)
{
	return (struct question){ .lookup = { .done = done }, .fixture = fixture };
}

/* Runs the loop until the question was answered. */
static void await(struct fixture *fixture, const struct question *question)
{
	while (!question->answers)
		assert_true(loop_step(fixture->loop, -1) >= 0);
	assert_int_equal(question->answers, 1);
	assert_null(question->lookup.job);
}

static void test_numeric(void **state)
{
	struct fixture fixture;
	begin(&fixture);
	struct question four = question_of(&fixture), six = question_of(&fixture);
	lookup_start(fixture.client, &four.lookup, "192.0.2.9", 502);
	lookup_start(fixture.client, &six.lookup, "2001:db8::9", 5683);
	/* Not from within the call, and without the thread. */
	assert_int_equal(four.answers, 0);
	assert_non_null(four.lookup.job);
	await(&fixture, &four);
	await(&fixture, &six);
	assert_string_equal(four.text, "192.0.2.9:502");
	assert_string_equal(six.text, "[2001:db8::9]:5683");
	assert_int_equal(entered, 0);
	end(&fixture);
}

static void test_names(void **state)
{
	struct fixture fixture;
	begin(&fixture);
	struct question good = question_of(&fixture), bad = question_of(&fixture);
	lookup_start(fixture.client, &good.lookup, "meter.test", 502);
	lookup_start(fixture.client, &bad.lookup, "nobody.test", 502);
	wait_for(&entered, 1);
	/* While it is slow, nothing is answered and nothing waits. */
	assert_int_equal(loop_step(fixture.loop, 0), 0);
	assert_int_equal(good.answers, 0);
	admit(2);
	await(&fixture, &good);
	await(&fixture, &bad);
	assert_int_equal(good.error, 0);
	assert_string_equal(good.text, "192.0.2.7:502");
	assert_int_equal(bad.error, EAI_NONAME);
	end(&fixture);
}

/* Ten that wait for one name ask once, and each gets its own port. */
static void test_same_name(void **state)
{
	struct fixture fixture;
	struct question questions[10];
	begin(&fixture);
	for (int i = 0; i < 10; i++) {
		questions[i] = question_of(&fixture);
		lookup_start(fixture.client, &questions[i].lookup, "six.test", (uint16_t)(100 + i));
	}
	admit(1);
	for (int i = 0; i < 10; i++)
		await(&fixture, &questions[i]);
	assert_int_equal(entered, 1);
	assert_string_equal(questions[9].text, "[2001:db8::1]:109");
	end(&fixture);
}

static void test_cancel_while_waiting_and_running(void **state)
{
	struct fixture fixture;
	begin(&fixture);
	struct question running = question_of(&fixture), waiting = question_of(&fixture);
	struct question last = question_of(&fixture);
	lookup_start(fixture.client, &running.lookup, "meter.test", 1);
	wait_for(&entered, 1);
	lookup_start(fixture.client, &waiting.lookup, "nobody.test", 2);
	lookup_start(fixture.client, &last.lookup, "six.test", 3);
	lookup_cancel(&running.lookup);
	lookup_cancel(&waiting.lookup);
	assert_null(running.lookup.job);
	lookup_cancel(&waiting.lookup);
	/* What was given up may be asked again at once. */
	lookup_start(fixture.client, &running.lookup, "six.test", 4);
	admit(9);
	await(&fixture, &last);
	await(&fixture, &running);
	assert_string_equal(running.text, "[2001:db8::1]:4");
	assert_int_equal(waiting.answers, 0);
	end(&fixture);
}

static void test_cancel_answered(void **state)
{
	struct fixture fixture;
	begin(&fixture);
	struct question first = question_of(&fixture), second = question_of(&fixture);
	struct question third = question_of(&fixture);
	first.cancels = &second;
	first.starts = &third;
	lookup_start(fixture.client, &first.lookup, "127.0.0.1", 1);
	lookup_start(fixture.client, &second.lookup, "127.0.0.2", 2);
	await(&fixture, &first);
	await(&fixture, &third);
	assert_int_equal(second.answers, 0);
	/* One more, answered and never taken: the client drops it. */
	lookup_start(fixture.client, &second.lookup, "127.0.0.2", 2);
	end(&fixture);
	assert_null(second.lookup.job);
}

/* Everybody goes while the function is still at it; it finds nobody, and clears up alone. */
static void test_destroy_does_not_wait(void **state)
{
	struct fixture fixture;
	begin(&fixture);
	struct question running = question_of(&fixture), waiting = question_of(&fixture);
	lookup_start(fixture.client, &running.lookup, "meter.test", 1);
	lookup_start(fixture.client, &waiting.lookup, "six.test", 1);
	wait_for(&entered, 1);
	end(&fixture);
	assert_null(running.lookup.job);
	assert_null(waiting.lookup.job);
	assert_int_equal(left, 0);
	admit(1);
	wait_for(&left, 1);
	assert_int_equal(running.answers + waiting.answers, 0);
}

/* Two loops: each is answered in its own. */
static void test_two_clients(void **state)
{
	struct fixture fixture;
	struct loop *other_loop;
	struct resolver_client *other_client;
	begin(&fixture);
	assert_int_equal(loop_create(&other_loop, &fixture.clock), 0);
	assert_int_equal(resolver_client_create(&other_client, fixture.resolver, other_loop), 0);
	struct question mine = question_of(&fixture), other = question_of(&fixture);
	lookup_start(fixture.client, &mine.lookup, "meter.test", 1);
	lookup_start(other_client, &other.lookup, "meter.test", 2);
	admit(2);
	await(&fixture, &mine);
	assert_int_equal(other.answers, 0);
	while (!other.answers)
		loop_step(other_loop, -1);
	assert_string_equal(other.text, "192.0.2.7:2");
	resolver_client_destroy(other_client);
	loop_destroy(other_loop);
	end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numeric),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_same_name),
		cmocka_unit_test(test_cancel_while_waiting_and_running),
		cmocka_unit_test(test_cancel_answered),
		cmocka_unit_test(test_destroy_does_not_wait),
		cmocka_unit_test(test_two_clients),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
