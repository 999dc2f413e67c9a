/* SPDX-License-Identifier: Apache-2.0 */
/* A session with DTLS: every way through its states, the activation, and what an endpoint may say. */
#include "session-fixture.h"

#include "cloud/activation.h"

#define ACTIVATE "topic/ext/session/pk1/dk1/thing/activate/info"

static void start(enum conf_security security, const char *product_secret)
{
	bench_create_with(security, product_secret);
	session_start(bench->session, bench->clock.mono_us);
	advance_ms(0);
	assert_true(bench->secured);
}

static void connected(void)
{
	bench->endpoint.listener->connected(bench->endpoint.context);
}

static void break_off(enum endpoint_failure failure, uint64_t token)
{
	bench->in_flight = false;
	bench->endpoint.listener->failed(bench->endpoint.context, failure, token);
}

static void assert_key(const char *secret)
{
	uint8_t key[CRYPTO_KEY_SIZE];
	crypto_key(key, secret);
	assert_memory_equal(bench->key, key, sizeof(key));
}

/* Lets the back-off pass; the session must have begun another handshake then. */
static void await_handshake(void)
{
	int before = bench->connects;
	for (int i = 0; i < 120000 && bench->connects == before; i++)
		advance_ms(1);
	assert_int_equal(bench->connects, before + 1);
	assert_int_equal(bench->session->state, SESSION_WAITING);
}

static void shakes_hands_in_place_of_a_login(void **state)
{
	start(SECURITY_DTLS, NULL);
	assert_int_equal(bench->session->state, SESSION_AUTHENTICATING);
	assert_string_equal(bench->identity, "pk1,dk1,2,300");
	assert_key("s3cret");
	/* Nothing goes out before the handshake is over, however long the endpoint takes. */
	put_json(REPORT_POINTS, "{\"v\":1}");
	work();
	advance_ms(3600000);
	assert_int_equal(bench->requests, 0);
	assert_int_equal(bench->connects, 1);
	connected();
	assert_int_equal(bench->session->state, SESSION_ONLINE);
	assert_sent(REQUEST_POST, "thing/measurepoint/post");
	assert_string_equal(bench->sent.signature, "");
	answer(OK, "");
	/* The signed dialect polls with a GET, unsigned. */
	await_request();
	assert_sent(REQUEST_GET, "thing/model/down_raw");
	assert_string_equal(bench->sent.signature, "");
	assert_int_equal(count_of(COUNT_LOGINS), 0);
	assert_int_equal(count_of(COUNT_HANDSHAKES), 1);
	bench_destroy();
}

/* The cloud was started again, or a router gave us another address: what we send vanishes. */
static void a_silent_peer_gets_a_new_handshake(void **state)
{
	start(SECURITY_DTLS, NULL);
	connected();
	put_json(REPORT_POINTS, "{\"v\":1}");
	work();
	break_off(ENDPOINT_SILENT, bench->sent.token);
	assert_int_equal(bench->session->state, SESSION_WAITING);
	int64_t before_us = bench->clock.mono_us;
	await_handshake();
	assert_true(bench->clock.mono_us - before_us <= 1250 * USEC_PER_MSEC);
	connected();
	assert_sent(REQUEST_POST, "thing/measurepoint/post");
	answer(OK, "");
	assert_fate(0, REPORT_ACKNOWLEDGED, 1);
	/* By the session's own deadline, too. */
	put_json(REPORT_POINTS, "{\"v\":2}");
	work();
	advance_ms(30000);
	assert_int_equal(bench->session->state, SESSION_WAITING);
	await_handshake();
	bench_destroy();
}

static void the_end_of_the_association_is_no_failure_while_idle(void **state)
{
	start(SECURITY_DTLS, NULL);
	connected();
	break_off(ENDPOINT_CLOSED, 0);
	assert_int_equal(bench->session->state, SESSION_ONLINE);
	put_json(REPORT_POINTS, "{\"v\":1}");
	work();
	assert_int_equal(bench->session->state, SESSION_AUTHENTICATING);
	assert_int_equal(bench->connects, 2);
	connected();
	assert_sent(REQUEST_POST, "thing/measurepoint/post");
	/* While something is under way it is, and that goes again. */
	break_off(ENDPOINT_CLOSED, bench->sent.token);
	assert_int_equal(bench->session->state, SESSION_WAITING);
	assert_string_equal(bench->reason, "the cloud ended the DTLS session");
	await_handshake();
	connected();
	assert_sent(REQUEST_POST, "thing/measurepoint/post");
	answer(OK, "");
	bench_destroy();
}

static void failures_back_off_and_say_why(void **state)
{
	static const struct {
		enum endpoint_failure failure;
		const char *said;
	} rows[] = {
		{ ENDPOINT_MUTE, "no answer to the DTLS handshake" },
		{ ENDPOINT_KEY_DOUBTED, "check the secret" },
		{ ENDPOINT_KEY_REFUSED, "check the secret" },
		{ ENDPOINT_IDENTITY_REFUSED, "check product_key and device_key" },
		{ ENDPOINT_CIPHER_REFUSED, "no cipher suite in common" },
		{ ENDPOINT_HANDSHAKE_FAILED, "the DTLS handshake failed" },
	};
	start(SECURITY_DTLS, NULL);
	for (size_t i = 0; i < 40; i++) {
		break_off(rows[i % 6].failure, 0);
		assert_int_equal(bench->session->state, SESSION_WAITING);
		assert_non_null(strstr(bench->reason, rows[i % 6].said));
		int64_t before_us = bench->clock.mono_us;
		await_handshake();
		int64_t waited_us = bench->clock.mono_us - before_us;
		int64_t least_us = i < 6 ? (USEC_PER_SEC << i) * 3 / 4 : 45 * USEC_PER_SEC;
		assert_true(waited_us >= least_us);
	}
	assert_int_equal(count_of(COUNT_HANDSHAKE_FAILURES), 40);
	connected();
	assert_sent(REQUEST_GET, "thing/model/down_raw");
	/* What a handshake says late, or an old one, changes nothing. */
	connected();
	assert_int_equal(bench->session->state, SESSION_WAITING);
	assert_true(bench->session->in_flight);
	answer(CONTENT, "");
	connected();
	assert_int_equal(bench->session->state, SESSION_ONLINE);
	bench_destroy();
}

static void unauthorised_means_another_handshake(void **state)
{
	start(SECURITY_DTLS, NULL);
	connected();
	put_json(REPORT_POINTS, "{\"v\":1}");
	work();
	answer(CODE(4, 1), "");
	assert_int_equal(bench->session->state, SESSION_AUTHENTICATING);
	assert_int_equal(bench->connects, 2);
	connected();
	answer(CODE(4, 1), "");
	assert_int_equal(bench->session->state, SESSION_WAITING);
	assert_non_null(strstr(bench->reason, "although the handshake was accepted"));
	bench_destroy();
}

static void a_lifetime_that_ran_out_means_another_handshake(void **state)
{
	start(SECURITY_DTLS, NULL);
	connected();
	bench->plane.stopping = true; /* no polls */
	advance_ms(301000);
	put_json(REPORT_POINTS, "{\"v\":1}");
	work();
	assert_int_equal(bench->session->state, SESSION_AUTHENTICATING);
	assert_int_equal(bench->connects, 2);
	bench_destroy();
}

static void another_address_means_another_handshake(void **state)
{
	start(SECURITY_DTLS, NULL);
	connected();
	set_address(&bench->server, "9");
	session_addresses_changed(bench->session);
	put_json(REPORT_POINTS, "{\"v\":1}");
	work();
	assert_int_equal(bench->connects, 2);
	assert_int_equal(bench->connected_to.v4.sin_addr.s_addr, htonl(0x7f000009));
	bench_destroy();
}

/* The association is with the old address then: nothing can be sent to the new one. */
static void another_address_during_the_handshake_means_another(void **state)
{
	start(SECURITY_DTLS, NULL);
	put_json(REPORT_POINTS, "{\"v\":1}");
	work();
	set_address(&bench->server, "9");
	session_addresses_changed(bench->session);
	connected();
	assert_int_equal(bench->connects, 2);
	assert_int_equal(bench->connected_to.v4.sin_addr.s_addr, htonl(0x7f000009));
	connected();
	assert_sent(REQUEST_POST, "thing/measurepoint/post");
	assert_int_equal(bench->session->failures, 0);
	bench_destroy();
}

static void is_activated_by_its_product(void **state)
{
	start(SECURITY_DTLS, "pr0duct");
	assert_string_equal(bench->identity, "pk1,dk1,3,300");
	assert_key("pr0duct");
	connected();
	assert_true(bench->in_flight);
	assert_int_equal(bench->sent.method, REQUEST_GET);
	assert_string_equal(bench->sent.path, ACTIVATE);
	assert_string_equal(bench->sent.signature, "");
	answer(CONTENT,
		"{\"method\":\"thing.activate.info\",\"params\":{\"deviceSecret\":\"0wn\"}}");
	assert_int_equal(bench->session->state, SESSION_AUTHENTICATING);
	assert_int_equal(bench->connects, 2);
	assert_string_equal(bench->identity, "pk1,dk1,2,300");
	assert_key("0wn");
	connected();
	assert_int_equal(bench->session->state, SESSION_ONLINE);
	assert_int_equal(count_of(COUNT_ACTIVATIONS), 1);
	/* The secret was replaced in the cloud: in turns, since either may be right. */
	break_off(ENDPOINT_CLOSED, 0);
	put_json(REPORT_POINTS, "{\"v\":1}");
	work();
	assert_string_equal(bench->identity, "pk1,dk1,2,300");
	break_off(ENDPOINT_KEY_DOUBTED, 0);
	await_handshake();
	assert_string_equal(bench->identity, "pk1,dk1,3,300");
	break_off(ENDPOINT_KEY_DOUBTED, 0);
	await_handshake();
	assert_string_equal(bench->identity, "pk1,dk1,2,300");
	assert_key("0wn");
	break_off(ENDPOINT_IDENTITY_REFUSED, 0);
	await_handshake();
	connected();
	answer(CONTENT, "{\"params\":{\"deviceSecret\":\"n3w\"}}");
	assert_key("n3w");
	/* Mere silence is no doubt. */
	break_off(ENDPOINT_MUTE, 0);
	await_handshake();
	assert_string_equal(bench->identity, "pk1,dk1,2,300");
	bench_destroy();
}

static void an_activation_that_fails_is_tried_again(void **state)
{
	static const struct {
		uint8_t code;
		const char *payload, *said;
	} rows[] = {
		{ CODE(4, 3), "", "activation refused with 4.03" },
		{ CODE(4, 1), "", "activation refused with 4.01" },
		{ CODE(5, 0), "", "activation refused with 5.00" },
		{ CONTENT, "", "without a secret" },
		{ CONTENT, "{\"params\":{\"deviceKey\":\"dk2\",\"deviceSecret\":\"x\"}}",
			"without a secret" },
	};
	start(SECURITY_DTLS, "pr0duct");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		connected();
		answer(rows[i].code, rows[i].payload);
		assert_int_equal(bench->session->state, SESSION_WAITING);
		assert_non_null(strstr(bench->reason, rows[i].said));
		await_handshake();
		assert_string_equal(bench->identity, "pk1,dk1,3,300");
	}
	/* No answer at all; one that comes too late is good all the same. */
	connected();
	advance_ms(30000);
	assert_int_equal(bench->session->state, SESSION_WAITING);
	int before = bench->connects;
	answer(CONTENT, "{\"params\":{\"deviceSecret\":\"0wn\"}}");
	assert_int_equal(bench->connects, before + 1);
	assert_string_equal(bench->identity, "pk1,dk1,2,300");
	assert_key("0wn");
	bench_destroy();
}

static void a_device_that_is_down_is_silent(void **state)
{
	start(SECURITY_DTLS, NULL);
	session_pause(bench->session, true);
	assert_int_equal(bench->session->state, SESSION_OFFLINE);
	assert_int_equal(bench->cancels, 1);
	/* The end of a handshake that was under way does not bring it back. */
	connected();
	assert_int_equal(bench->session->state, SESSION_OFFLINE);
	session_pause(bench->session, false);
	assert_int_equal(bench->session->state, SESSION_AUTHENTICATING);
	assert_int_equal(bench->connects, 2);
	connected();
	assert_int_equal(bench->session->state, SESSION_ONLINE);
	session_pause(bench->session, true);
	assert_int_equal(bench->session->state, SESSION_OFFLINE);
	advance_ms(3600000);
	assert_int_equal(bench->requests, 0);
	session_pause(bench->session, false);
	assert_int_equal(bench->connects, 3);
	bench_destroy();
}

static void shows_what_it_is(void **state)
{
	OWNED_BUFFER json = BUFFER_EMPTY;
	start(SECURITY_DTLS, "pr0duct");
	session_status(bench->session, &json);
	const char *text = buffer_text(&json);
	assert_non_null(strstr(text, "\"security\":\"dtls\""));
	assert_non_null(strstr(text, "\"activated\":false"));
	connected();
	answer(CONTENT, "{\"params\":{\"deviceSecret\":\"0wn-and-secret\"}}");
	buffer_clear(&json);
	session_status(bench->session, &json);
	text = buffer_text(&json);
	assert_non_null(strstr(text, "\"activated\":true"));
	assert_null(strstr(text, "0wn-and-secret"));
	assert_null(strstr(text, "pr0duct"));
	bench_destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shakes_hands_in_place_of_a_login),
		cmocka_unit_test(a_silent_peer_gets_a_new_handshake),
		cmocka_unit_test(the_end_of_the_association_is_no_failure_while_idle),
		cmocka_unit_test(failures_back_off_and_say_why),
		cmocka_unit_test(unauthorised_means_another_handshake),
		cmocka_unit_test(a_lifetime_that_ran_out_means_another_handshake),
		cmocka_unit_test(another_address_means_another_handshake),
		cmocka_unit_test(another_address_during_the_handshake_means_another),
		cmocka_unit_test(is_activated_by_its_product),
		cmocka_unit_test(an_activation_that_fails_is_tried_again),
		cmocka_unit_test(a_device_that_is_down_is_silent),
		cmocka_unit_test(shows_what_it_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
