/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device's session with the cloud: a state machine, whose transitions stand in one table in
 * session.c.  It has one request in flight at most.  What a request is for and what its response
 * means is in exchange.c; commands out of responses are in delivery.c.
 */
#ifndef EB_CLOUD_SESSION_H
#define EB_CLOUD_SESSION_H

#include "cloud/blocks.h"
#include "cloud/cloud.h"
#include "cloud/crypto.h"
#include "cloud/endpoint.h"
#include "cloud/ledger.h"
#include "cloud/payload.h"
#include "cloud/queue.h"
#include "cloud/server.h"
#include "cloud/spool.h"

/* EnOS calls the sequence a positive int. */
#define SEQUENCE_MAX INT32_MAX

/* What all sessions of the main thread share; owned by the cloud. */
struct plane {
	struct loop *loop;
	struct cloud_listener listener;
	struct endpoint_source endpoints;
	struct crypto *crypto;
	const char *state_dir; /* where secrets of activated devices are kept; borrowed */
	struct spool *spool; /* NULL: none */
	struct ledger *ledger; /* of commands; NULL: none */
	struct calendar calendar;
	int64_t late_after_ms; /* age from which points are late; 0: none are */
	struct payload payload; /* of the message that is being sent */
	struct buffer path, scratch;
	struct log_limit chatter; /* lines about single sessions */
	bool stopping; /* commands stay in the cloud */
};

enum counter {
	COUNT_REQUESTS,
	COUNT_LOGINS,
	COUNT_HANDSHAKES,
	COUNT_HANDSHAKE_FAILURES,
	COUNT_ACTIVATIONS,
	COUNT_POLLS,
	COUNT_ACKNOWLEDGED, /* reports */
	COUNT_REJECTED,
	COUNT_DROPPED,
	COUNT_REPLACED,
	COUNT_REFUSED_BATCHES,
	COUNT_REPLIES,
	COUNT_REFUSED_REPLIES,
	COUNT_TIMEOUTS,
	COUNT_RESETS,
	COUNT_UNREACHABLE,
	COUNT_UNAUTHORISED,
	COUNT_REFUSED, /* other 4.xx, and a code other than 200 */
	COUNT_SERVER_ERRORS,
	COUNT_STRANGERS, /* responses with a token that was not asked with */
	COUNT_LATE, /* responses after the deadline */
	COUNT_BAD_JSON,
	COUNT_COMMANDS,
	COUNT_BAD_COMMANDS,
	COUNT_FOREIGN_COMMANDS, /* for another device, or no topic */
	COUNT_FRUITLESS_FETCHES, /* of commands that were named and were not there */
	COUNTERS,
};

/* What the message is for that is under way, or waits for a new token to go again. */
enum purpose { PURPOSE_NONE, PURPOSE_REPLY, PURPOSE_FETCH, PURPOSE_REPORT, PURPOSE_POLL };

/* What makes a session move. */
enum input {
	INPUT_START,
	INPUT_ADDRESS, /* the server has one */
	INPUT_ACTIVATED, /* the device's secret came */
	INPUT_TOKEN, /* the login was accepted, or the handshake is over */
	INPUT_PART, /* a block was taken, of the message or of its answer: on with the next */
	INPUT_DONE, /* the message was accepted */
	INPUT_REFUSED, /* it never will be */
	INPUT_UNAUTHORISED, /* 4.01 to a message */
	INPUT_SHUT_OUT, /* 4.01 again, under the token fetched for the first; or to a login */
	INPUT_LOST, /* no answer, or one that says: later */
	INPUT_WORK, /* something waits in the queue */
	INPUT_DUE, /* the time set came, and there is a token */
	INPUT_EXPIRED, /* the same, without a token that can be used */
	INPUT_PAUSE, /* the device is down */
	INPUT_QUIET, /* it is, and there is nothing left to say */
	INPUT_RESUME, /* it is well again */
	INPUTS,
};

/* Topics at a time that are known to be named in vain. */
#define VAIN_TOPICS 4

/* A topic that the cloud names as a command's, and that brings none when it is fetched. */
struct vain_topic {
	uint64_t hash; /* 0: none */
	uint32_t fetches; /* in a row */
	int64_t again_us; /* when it may be fetched again */
};

struct session {
	struct plane *plane;
	struct server *server;
	const struct conf_enos *enos;
	const struct conf_device *device;
	uint32_t number; /* of the device */
	struct list ready; /* the cloud's: in its list of sessions with something new to send */

	enum session_state state;
	enum purpose purpose;
	enum purpose
		aside; /* a message that waits until a poll has shown whether the token is good */
	bool login; /* the last request was the login, not the message */
	bool in_flight, answered, connected;
	bool secured; /* DTLS: the handshake with the device's own secret is over */
	bool activating; /* DTLS: with the product's secret, for the device's own */
	bool secret_doubted; /* the one that it was activated with: asks again next time */
	bool paused; /* the device is down: offline as soon as there is nothing left to say */
	bool suspect; /* a poll was just accepted, and the message got 4.01 before it */
	bool part_refused; /* of the report that is sent in several messages */
	uint32_t address_number;
	union address address;
	struct endpoint *endpoint;

	uint64_t sent_token; /* CoAP's, of the last request */
	int64_t sent_us, contact_us; /* the last request; the last that was answered */
	char *token; /* EnOS's; NULL: none */
	uint32_t sequence; /* of the last message under it */
	char *secret; /* that the device was activated with; NULL: none */
	uint8_t key[CRYPTO_KEY_SIZE]; /* of the device's own secret */
	uint32_t failures, silences, locked_out; /* each in a row */

	struct queue queue;
	struct draft draft;
	struct blocks blocks; /* of the message under way */
	uint32_t message_id;
	int64_t newest_ms; /* time of the newest points that the cloud has; 0: none */
	uint32_t singly; /* reports that go alone, since their batch was refused */
	bool fetched; /* the last message fetched a command: now a report's turn */
	char *waiting_command; /* topic to fetch; NULL: none */
	struct vain_topic vain[VAIN_TOPICS];
	uint32_t fruitless; /* fetches in a row, whatever the topic, that brought no command */
	int64_t any_again_us; /* after too many of them: when the next topic may be fetched */
	int64_t vain_said_us; /* when the last line about them was due for another; 0: none yet */

	struct timer timer; /* due no later than due_us */
	int64_t due_us; /* 0: nothing */
	char *trouble; /* why it is not online, for the status; NULL */
	uint64_t counters[COUNTERS];
};

struct session_setup {
	struct plane *plane;
	struct server *server;
	const struct conf_enos *enos;
	const struct conf_device *device;
	uint32_t number;
};

/* 0, or -errno where the endpoint could not be opened. */
int session_create(struct session **session, const struct session_setup *setup);
void session_destroy(struct session *session);
/* Begins at that time. */
void session_start(struct session *session, int64_t at_us);
/* Whether it speaks DTLS. */
static inline bool session_secure(const struct session *session)
{
	return session->enos->security == SECURITY_DTLS;
}
/* The device's secret changed: a new login with it follows at once. */
void session_rekey(struct session *session);
/* See cloud_device_pause(). */
void session_pause(struct session *session, bool paused);
/* The server's addresses came or changed. */
void session_addresses_changed(struct session *session);
/* Something was put into the queue. */
void session_work(struct session *session);
/* A response came, or a request failed: what endpoints call. */
extern const struct endpoint_listener session_endpoint_listener;

/* One input, one transition. reason says why, for the log and the status; "" where all is well. */
void session_step(struct session *session, enum input input, const char *reason);
/* Whether a message may go out under the token that is there. */
bool session_authorised(const struct session *session);
/* The state that an input leads to, or -ENOENT where it changes nothing in this one. */
int session_next(enum session_state state, enum input input);
const char *counter_name(enum counter counter);
const char *input_name(enum input input);
/* The members of a JSON object about the session, without its braces. */
void session_status(const struct session *session, struct buffer *json);

#endif
