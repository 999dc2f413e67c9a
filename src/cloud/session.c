/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cloud/delivery.h"
#include "cloud/exchange.h"
#include "cloud/handshake.h"
#include "util/alloc.h"
#include "util/log.h"
#include "util/plural.h"

/* Silences in a row after which the address is doubted. */
#define DOUBT_AFTER 2
/* Sessions that have nothing to say ask for commands in slots of this length. */
#define SLOT_US USEC_PER_SEC
#define PAUSED_REASON "the device is down"

struct transition {
	void (*act)(struct session *session, const char *reason); /* after the state was entered */
	enum session_state next;
};

static void seek(struct session *session, const char *reason);
static void spread(struct session *session, const char *reason);
static void login(struct session *session, const char *reason);
static void proceed(struct session *session, const char *reason);
static void conclude(struct session *session, const char *reason);
static void give_up(struct session *session, const char *reason);
static void ask(struct session *session, const char *reason);
static void back_off(struct session *session, const char *reason);
static void rest(struct session *session, const char *reason);
static void speak(struct session *session, const char *reason);
static void conclude_late(struct session *session, const char *reason);
static void give_up_late(struct session *session, const char *reason);

/*
 * All that a session does, drawn in DESIGN.md.  An input without a transition changes nothing: work
 * waits in the queue until the session is online.
 */
static const struct transition transitions[][INPUTS] = {
	[SESSION_IDLE] = {
		[INPUT_START] = { seek, SESSION_RESOLVING },
		[INPUT_PAUSE] = { rest, SESSION_OFFLINE },
	},
	[SESSION_RESOLVING] = {
		[INPUT_ADDRESS] = { spread, SESSION_RESOLVING },
		[INPUT_EXPIRED] = { login, SESSION_AUTHENTICATING },
		[INPUT_PAUSE] = { rest, SESSION_OFFLINE },
	},
	[SESSION_AUTHENTICATING] = {
		[INPUT_ACTIVATED] = { login, SESSION_AUTHENTICATING },
		[INPUT_TOKEN] = { proceed, SESSION_ONLINE },
		[INPUT_SHUT_OUT] = { back_off, SESSION_WAITING },
		[INPUT_LOST] = { back_off, SESSION_WAITING },
		[INPUT_PAUSE] = { rest, SESSION_OFFLINE },
	},
	[SESSION_ONLINE] = {
		[INPUT_WORK] = { proceed, SESSION_ONLINE },
		[INPUT_PART] = { proceed, SESSION_ONLINE },
		[INPUT_DONE] = { conclude, SESSION_ONLINE },
		[INPUT_REFUSED] = { give_up, SESSION_ONLINE },
		[INPUT_UNAUTHORISED] = { login, SESSION_AUTHENTICATING },
		[INPUT_SHUT_OUT] = { back_off, SESSION_WAITING },
		[INPUT_LOST] = { back_off, SESSION_WAITING },
		[INPUT_DUE] = { ask, SESSION_ONLINE },
		[INPUT_EXPIRED] = { login, SESSION_AUTHENTICATING },
		[INPUT_PAUSE] = { proceed, SESSION_ONLINE },
		[INPUT_QUIET] = { rest, SESSION_OFFLINE },
	},
	/*
	 * Until a message was answered: whoever looks on shall not see each try at a cloud that is
	 * dead.  Answers after the deadline, to what was sent last, end here as well.
	 */
	[SESSION_WAITING] = {
		[INPUT_ACTIVATED] = { login, SESSION_WAITING },
		[INPUT_TOKEN] = { proceed, SESSION_WAITING },
		[INPUT_PART] = { proceed, SESSION_ONLINE },
		[INPUT_DONE] = { conclude, SESSION_ONLINE },
		[INPUT_REFUSED] = { give_up, SESSION_ONLINE },
		[INPUT_UNAUTHORISED] = { login, SESSION_WAITING },
		[INPUT_SHUT_OUT] = { back_off, SESSION_WAITING },
		[INPUT_LOST] = { back_off, SESSION_WAITING },
		[INPUT_DUE] = { ask, SESSION_WAITING },
		[INPUT_EXPIRED] = { login, SESSION_WAITING },
		[INPUT_PAUSE] = { rest, SESSION_OFFLINE },
		[INPUT_QUIET] = { rest, SESSION_OFFLINE },
	},
	[SESSION_OFFLINE] = {
		[INPUT_DONE] = { conclude_late, SESSION_OFFLINE },
		[INPUT_REFUSED] = { give_up_late, SESSION_OFFLINE },
		[INPUT_WORK] = { speak, SESSION_OFFLINE },
		[INPUT_RESUME] = { seek, SESSION_RESOLVING },
	},
};

/* Whether a line about this session may be written now: many may change at the same time. */
static bool may_speak(struct session *session)
{
	uint64_t held;
	if (!log_limit_pass(&session->plane->chatter, loop_now(session->plane->loop), &held))
		return false;
	if (held)
		log_info("cloud: %llu line%s about other devices %s held back",
			(unsigned long long)held, plural(held, "s"), held == 1 ? "was" : "were");
	return true;
}

/* Only an answer to a message tells: after a pause it is merely tried again. */
static void say_online(struct session *session)
{
	if (session->failures && may_speak(session))
		log_info("cloud: %s: online again after %u failure%s", session->device->name,
			session->failures, plural(session->failures, "s"));
}

static void enter(struct session *session, enum session_state state, const char *reason)
{
	const struct cloud_listener *listener = &session->plane->listener;
	const char *trouble = session->trouble ? session->trouble : "";
	bool worse = state == SESSION_WAITING && *reason && strcmp(reason, trouble) != 0;
	if (session->state == state && !worse)
		return;
	/* A message that was refused ends the waiting as well. */
	if (state == SESSION_ONLINE)
		reason = "";
	session->state = state;
	free(session->trouble);
	session->trouble = *reason ? must_strdup(reason) : NULL;
	listener->state(listener->context, session->number, state, reason);
}

int session_next(enum session_state state, enum input input)
{
	const struct transition *transition = &transitions[state][input];
	return transition->act ? (int)transition->next : -ENOENT;
}

void session_step(struct session *session, enum input input, const char *reason)
{
	const struct transition *transition = &transitions[session->state][input];
	if (!transition->act)
		return;
	log_debug("cloud: %s: %s, %s -> %s", session->device->name,
		session_state_name(session->state), input_name(input),
		session_state_name(transition->next));
	enter(session, transition->next, reason);
	transition->act(session, reason);
}

bool session_authorised(const struct session *session)
{
	int64_t lifetime_us = session->enos->lifetime_s * USEC_PER_SEC;
	bool good = session_secure(session) ? session->secured && session->connected
					    : session->token && session->sequence < SEQUENCE_MAX;
	return good && loop_now(session->plane->loop) - session->contact_us < lifetime_us;
}

/*
 * Sets when the session acts next.  The timer is left alone where it is due earlier: a busy session
 * would move it at every message.
 */
static void wake_at(struct session *session, int64_t due_us)
{
	session->due_us = due_us;
	if (!timer_armed(&session->timer) || session->timer.due_us > due_us)
		loop_arm(session->plane->loop, &session->timer, due_us);
}

static void wait_for_answer(struct session *session)
{
	wake_at(session, session->sent_us + session->enos->response_timeout_ms * USEC_PER_MSEC);
}

/* Nothing waits: ask for commands after the silence, together with others. */
static void wait_in_silence(struct session *session)
{
	int64_t poll_us = session->enos->command_poll_s * USEC_PER_SEC;
	int64_t third_us = session->enos->lifetime_s * USEC_PER_SEC / 3;
	int64_t silence_us = poll_us < third_us ? poll_us : third_us;
	int64_t slot_us = silence_us < 16 * SLOT_US ? silence_us / 16 + 1 : SLOT_US;
	session->due_us = (session->sent_us + silence_us + slot_us - 1) / slot_us * slot_us;
	/* Else it would wake us in vain for each answer that came long ago. */
	loop_arm(session->plane->loop, &session->timer, session->due_us);
}

static void seek(struct session *session, const char *reason)
{
	(void)reason;
	session->sent_us = loop_now(session->plane->loop);
	if (server_address(session->server, 0))
		session_step(session, INPUT_ADDRESS, "");
}

/* All sessions that waited for one name must not log in at once. */
static void spread(struct session *session, const char *reason)
{
	(void)reason;
	int64_t now_us = loop_now(session->plane->loop);
	int64_t waited_ms = (now_us - session->sent_us) / USEC_PER_MSEC;
	uint32_t limit_ms = session->enos->start_spread_ms;
	if (waited_ms < limit_ms)
		limit_ms = (uint32_t)waited_ms;
	if (limit_ms)
		wake_at(session, now_us + crypto_random_below(limit_ms) * USEC_PER_MSEC);
	else
		session_step(session, INPUT_EXPIRED, "");
}

static void login(struct session *session, const char *reason)
{
	(void)reason;
	free(session->token);
	session->token = NULL;
	session->secured = false;
	blocks_restart(&session->blocks);
	bool secure = session_secure(session);
	int result = secure ? handshake_begin(session) : exchange_login(session);
	if (result < 0)
		session_step(session, INPUT_LOST, strerror(-result));
	else if (secure)
		session->due_us = 0; /* the endpoint tells how the handshake ends */
	else
		wait_for_answer(session);
}

/* After a failure there is always something to send: only an answer shows that the cloud is back. */
static bool choose(struct session *session)
{
	bool sends = exchange_choose(session);
	if (sends || session->state != SESSION_WAITING || session->paused ||
		session->plane->stopping)
		return sends;
	session->purpose = PURPOSE_POLL;
	return true;
}

/* Sends what waits: first what was under way before. */
static void proceed(struct session *session, const char *reason)
{
	(void)reason;
	while (!session->in_flight) {
		if (!choose(session)) {
			if (session->paused)
				session_step(session, INPUT_QUIET, PAUSED_REASON);
			else
				wait_in_silence(session);
			return;
		}
		if (!session_authorised(session)) {
			session_step(session, INPUT_EXPIRED, "");
			return;
		}
		int result = exchange_send(session);
		if (result == 0)
			wait_for_answer(session);
		else if (result != -ENOMSG) {
			session_step(session, INPUT_LOST, strerror(-result));
			return;
		}
	}
}

static void conclude(struct session *session, const char *reason)
{
	say_online(session);
	exchange_accepted(session);
	proceed(session, reason);
}

static void give_up(struct session *session, const char *reason)
{
	say_online(session);
	exchange_refused(session, reason);
	proceed(session, reason);
}

static void ask(struct session *session, const char *reason)
{
	bool idle = session->purpose == PURPOSE_NONE && !session->queue.reply_count &&
		!queue_ready(&session->queue);
	if (idle && session->plane->stopping)
		return;
	if (idle)
		session->purpose = PURPOSE_POLL;
	proceed(session, reason);
}

static void back_off(struct session *session, const char *reason)
{
	const struct conf_enos *enos = session->enos;
	blocks_restart(&session->blocks);
	queue_set_online(&session->queue, false);
	uint32_t doublings = session->failures < 16 ? session->failures : 16;
	int64_t wait_ms = (int64_t)enos->retry_min_ms << doublings;
	if (wait_ms > enos->retry_max_ms)
		wait_ms = enos->retry_max_ms;
	/* Between three quarters and five quarters: what failed together must not return together. */
	wait_ms = wait_ms * 3 / 4 + crypto_random_below((uint32_t)(wait_ms / 2) + 1);
	if (!session->failures++ && may_speak(session))
		log_warning("cloud: %s: %s; next try in %.1f s", session->device->name, reason,
			(double)wait_ms / 1000);
	wake_at(session, loop_now(session->plane->loop) + wait_ms * USEC_PER_MSEC);
	if (session->paused && !session->queue.reply_count)
		session_step(session, INPUT_PAUSE, PAUSED_REASON);
}

/* Silence is all that ends a session: EnOS holds the device for offline when the lifetime is over. */
static void rest(struct session *session, const char *reason)
{
	if (session->in_flight)
		session->endpoint->class->cancel(session->endpoint);
	session->in_flight = false;
	queue_set_online(&session->queue, false);
	session->connected = session->secured = false;
	session->due_us = 0;
	loop_disarm(session->plane->loop, &session->timer);
	free(TAKE(session->token));
	if (may_speak(session))
		log_info("cloud: %s: silent from now on, EnOS shows it offline after %u s: %s",
			session->device->name, session->enos->lifetime_s, reason);
}

/* Answers after the deadline, to what was sent last. */
static void conclude_late(struct session *session, const char *reason)
{
	(void)reason;
	exchange_accepted(session);
}

static void give_up_late(struct session *session, const char *reason)
{
	exchange_refused(session, reason);
}

/* The result of a command is owed, whatever became of its device. */
static void speak(struct session *session, const char *reason)
{
	(void)reason;
	if (session->queue.reply_count)
		session_step(session, INPUT_RESUME, "");
}

/* The association is gone, or a peer that was started again knows nothing of it. */
static void unsecure(struct session *session)
{
	if (session_secure(session))
		session->secured = session->connected = false;
}

/* Nobody answered: perhaps the name means another address now, or ours has changed. */
static void doubt_address(struct session *session)
{
	unsecure(session);
	if (++session->silences < DOUBT_AFTER)
		return;
	server_suspect(session->server);
	session->address_number++;
	session->connected = false;
}

static void on_timer(struct timer *timer, int64_t now_us)
{
	struct session *session = container_of(timer, struct session, timer);
	if (!session->due_us)
		return;
	if (now_us < session->due_us) {
		loop_arm(session->plane->loop, timer, session->due_us);
		return;
	}
	session->due_us = 0;
	if (session->state == SESSION_IDLE) {
		session_step(session, INPUT_START, "");
	} else if (session->in_flight) {
		char reason[64];
		snprintf(reason, sizeof(reason), "no answer in %u ms",
			session->enos->response_timeout_ms);
		session->in_flight = false;
		session->counters[COUNT_TIMEOUTS]++;
		session->endpoint->class->cancel(session->endpoint);
		doubt_address(session);
		session_step(session, INPUT_LOST, reason);
	} else {
		session_step(session, session_authorised(session) ? INPUT_DUE : INPUT_EXPIRED, "");
	}
}

static bool on_response(void *context, const struct cloud_response *response)
{
	struct session *session = context;
	char reason[160] = "";
	if (!session->sent_token || response->token != session->sent_token) {
		session->counters[COUNT_STRANGERS]++;
		return false;
	}
	/* A second copy: known, and nothing new. */
	if (session->answered)
		return true;
	if (!session->in_flight)
		session->counters[COUNT_LATE]++;
	session->in_flight = false;
	session->answered = true;
	session->contact_us = session->sent_us;
	session->silences = 0;
	bool part = delivery_read(session, response);
	enum input input = part ? INPUT_PART
				: exchange_read(session, response, reason, sizeof(reason));
	bool good = input == INPUT_TOKEN || input == INPUT_DONE || input == INPUT_REFUSED;
	if (good && session->state != SESSION_OFFLINE)
		queue_set_online(&session->queue, true);
	session_step(session, input, reason);
	return true;
}

static const char *failure_reason(enum endpoint_failure failure)
{
	static const char *const reasons[] = {
		[ENDPOINT_SILENT] = "no answer to the last retransmission",
		[ENDPOINT_RESET] = "the cloud reset the message",
		[ENDPOINT_UNREACHABLE] = "the cloud cannot be reached",
		[ENDPOINT_BROKEN] = "the message could not be sent",
		[ENDPOINT_SPOOFED] = "acknowledged with a wrong token",
		[ENDPOINT_CLOSED] = "the cloud ended the DTLS session",
		[ENDPOINT_MUTE] = "no answer to the DTLS handshake: check host, port and that the "
				  "server speaks DTLS",
		[ENDPOINT_KEY_DOUBTED] = "the DTLS handshake went silent once the secret was used: "
					 "check the secret",
		[ENDPOINT_KEY_REFUSED] = "the DTLS handshake was refused: check the secret",
		[ENDPOINT_IDENTITY_REFUSED] = "the DTLS handshake was refused: the cloud does not "
					      "know the device: check product_key and device_key",
		[ENDPOINT_CIPHER_REFUSED] = "the DTLS handshake was refused: no cipher suite in "
					    "common, or an unknown device",
		[ENDPOINT_HANDSHAKE_FAILED] = "the DTLS handshake failed",
	};
	return reasons[failure];
}

static void fail_handshake(struct session *session, enum endpoint_failure failure)
{
	session->in_flight = false;
	session->counters[COUNT_HANDSHAKE_FAILURES]++;
	/* In turns: one of the two may be out of date, and either may be right. */
	session->secret_doubted = handshake_refused(failure) && session->secret &&
		!session->activating;
	if (failure == ENDPOINT_MUTE)
		doubt_address(session);
	session_step(session, handshake_refused(failure) ? INPUT_SHUT_OUT : INPUT_LOST,
		failure_reason(failure));
}

static void on_failed(void *context, enum endpoint_failure failure, uint64_t token)
{
	struct session *session = context;
	if (failure == ENDPOINT_UNREACHABLE) {
		/* Anyone can send such an error, and the next retransmission may be answered. */
		session->counters[COUNT_UNREACHABLE]++;
		return;
	}
	if (failure >= ENDPOINT_CLOSED)
		unsecure(session);
	if (!session->in_flight || token != session->sent_token)
		return;
	if (failure > ENDPOINT_CLOSED) {
		fail_handshake(session, failure);
		return;
	}
	session->in_flight = false;
	if (failure == ENDPOINT_RESET)
		session->counters[COUNT_RESETS]++;
	else if (failure != ENDPOINT_SPOOFED)
		session->counters[COUNT_TIMEOUTS]++;
	if (failure != ENDPOINT_SPOOFED)
		doubt_address(session);
	session_step(session, INPUT_LOST, failure_reason(failure));
}

static void on_connected(void *context)
{
	struct session *session = context;
	bool awaited = session->login && session->in_flight && !session->sent_token;
	if (!awaited)
		return;
	session->in_flight = false;
	session->silences = 0;
	if (session->activating) {
		int result = handshake_ask(session);
		if (result < 0)
			session_step(session, INPUT_LOST, strerror(-result));
		else
			wait_for_answer(session);
		return;
	}
	session->secured = true;
	session->contact_us = loop_now(session->plane->loop);
	queue_set_online(&session->queue, true);
	session_step(session, INPUT_TOKEN, "");
}

const struct endpoint_listener session_endpoint_listener = {
	.response = on_response,
	.failed = on_failed,
	.connected = on_connected,
};

void session_work(struct session *session)
{
	session_step(session, INPUT_WORK, "");
}

void session_start(struct session *session, int64_t at_us)
{
	wake_at(session, at_us);
}

void session_rekey(struct session *session)
{
	handshake_set_key(session);
	free(TAKE(session->token));
	session->secured = false;
	session->failures = 0;
	bool begun = session->state != SESSION_IDLE && session->state != SESSION_RESOLVING;
	if (begun && !session->in_flight)
		wake_at(session, loop_now(session->plane->loop));
}

void session_pause(struct session *session, bool paused)
{
	if (session->paused == paused)
		return;
	session->paused = paused;
	session_step(session, paused ? INPUT_PAUSE : INPUT_RESUME, paused ? PAUSED_REASON : "");
	session_step(session, INPUT_WORK, "");
}

void session_addresses_changed(struct session *session)
{
	if (!server_has(session->server, &session->address)) {
		session->connected = session->secured = false;
		session->address_number = 0;
	}
	session_step(session, INPUT_ADDRESS, "");
}

int session_create(struct session **result, const struct session_setup *setup)
{
	struct session *session = must_alloc(sizeof(*session));
	session->plane = setup->plane;
	session->server = setup->server;
	session->enos = setup->enos;
	session->device = setup->device;
	session->number = setup->number;
	session->timer.expired = on_timer;
	list_init(&session->ready);
	queue_init(&session->queue);
	session->queue.calendar = &session->plane->calendar;
	if (session->plane->spool)
		spool_attach(session->plane->spool, session->number, &session->queue);
	handshake_load(session);
	struct endpoint_source *source = &session->plane->endpoints;
	errno = 0;
	session->endpoint = source->open(
		source->context, session_secure(session), &session_endpoint_listener, session);
	if (!session->endpoint) {
		int error = errno ? errno : EIO;
		session_destroy(session);
		return -error;
	}
	*result = session;
	return 0;
}

void session_destroy(struct session *session)
{
	if (!session)
		return;
	if (session->endpoint)
		session->endpoint->class->destroy(session->endpoint);
	loop_disarm(session->plane->loop, &session->timer);
	list_remove(&session->ready);
	queue_finish(&session->queue);
	blocks_finish(&session->blocks);
	free(session->token);
	handshake_forget(session);
	free(session->waiting_command);
	free(session->trouble);
	free(session);
}
