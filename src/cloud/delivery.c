/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/delivery.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/alloc.h"
#include "util/log.h"

#define TOPIC_MAX 255
#define DOWN_RAW "thing/model/down_raw"
/* So many fetches of a topic may bring nothing in a row; then it is fetched once in a command_poll. */
#define TOPIC_FRUITLESS_MAX 4
/* So many of any topics; then one is fetched in a second, for new ones may be named without end. */
#define FRUITLESS_MAX 16
#define FRUITLESS_PAUSE_US USEC_PER_SEC
#define SAY_US (60 * USEC_PER_SEC)

/* Takes prefix off the text; false where it does not begin with it. */
static bool strip(const char **text, size_t *size, const char *prefix)
{
	size_t length = strlen(prefix);
	if (*size < length || memcmp(*text, prefix, length) != 0)
		return false;
	*text += length;
	*size -= length;
	return true;
}

static bool is_level(const char *level, size_t size)
{
	return size && !(size <= 2 && memcmp(level, "..", size) == 0);
}

/* Levels that can be Uri-Path options and levels of MQTT: printable, no wildcard, no "..". */
static bool well_formed(const char *topic, size_t size)
{
	size_t begun = 0;
	if (size > TOPIC_MAX)
		return false;
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)topic[i];
		if (c <= 0x20 || c >= 0x7f || c == '+' || c == '#')
			return false;
		if (c != '/')
			continue;
		if (!is_level(topic + begun, i - begun))
			return false;
		begun = i + 1;
	}
	return is_level(topic + begun, size - begun);
}

/*
 * The topic behind /sys/{pk}/{dk}/ in option 2100, with and without /topic in front, or NULL where
 * it is not this device's.  The caller frees it.
 */
static char *own_topic(const struct session *session, const char *text, size_t size)
{
	strip(&text, &size, "/");
	strip(&text, &size, "topic/");
	if (!strip(&text, &size, "sys/") || !strip(&text, &size, session->device->product_key) ||
		!strip(&text, &size, "/") || !strip(&text, &size, session->device->device_key) ||
		!strip(&text, &size, "/") || !well_formed(text, size))
		return NULL;
	return must_printf("%.*s", (int)size, text);
}

/* ---- topics that are named in vain ------------------------------------------------------------ */

static uint64_t hash_topic(const char *topic)
{
	uint64_t hash = UINT64_C(14695981039346656037);
	for (; *topic; topic++)
		hash = (hash ^ (uint8_t)*topic) * UINT64_C(1099511628211);
	return hash ? hash : 1;
}

static struct vain_topic *find_vain(struct session *session, uint64_t hash)
{
	for (size_t i = 0; i < VAIN_TOPICS; i++) {
		if (session->vain[i].hash == hash)
			return &session->vain[i];
	}
	return NULL;
}

/* A free place, or the one that was fetched first. */
static struct vain_topic *note_vain(struct session *session, uint64_t hash)
{
	struct vain_topic *vain = find_vain(session, hash);
	for (size_t i = 0; i < VAIN_TOPICS && (!vain || vain->hash != hash); i++) {
		struct vain_topic *other = &session->vain[i];
		if (!vain || other->again_us < vain->again_us)
			vain = other;
	}
	if (vain->hash != hash)
		*vain = (struct vain_topic){ .hash = hash };
	return vain;
}

/* Once for a device and minute, and like all lines about single devices. */
static void say_vain(struct session *session, const char *topic, int64_t now_us)
{
	uint64_t held;
	if ((session->vain_said_us && now_us < session->vain_said_us) ||
		!log_limit_pass(&session->plane->chatter, now_us, &held))
		return;
	session->vain_said_us = now_us + SAY_US;
	log_warning(
		"cloud: %s: EnOS says that a command waits at %s and has none when it is fetched "
		"(%llu fetches in vain so far): it is asked for once in %u s; check the "
		"command in EnOS, commands behind it may wait for it",
		session->device->name, topic,
		(unsigned long long)session->counters[COUNT_FRUITLESS_FETCHES],
		session->enos->command_poll_s);
	if (held)
		log_info("cloud: %llu lines about other devices were held back",
			(unsigned long long)held);
}

/* The topic was fetched, and brought nothing. */
static void fetched_in_vain(struct session *session, const char *topic)
{
	int64_t now_us = loop_now(session->plane->loop);
	struct vain_topic *vain = note_vain(session, hash_topic(topic));
	session->counters[COUNT_FRUITLESS_FETCHES]++;
	vain->again_us = now_us;
	if (++session->fruitless >= FRUITLESS_MAX)
		session->any_again_us = now_us + FRUITLESS_PAUSE_US;
	if (++vain->fetches < TOPIC_FRUITLESS_MAX)
		return;
	vain->again_us += session->enos->command_poll_s * USEC_PER_SEC;
	say_vain(session, topic, now_us);
}

static void fetched_well(struct session *session, const char *topic)
{
	struct vain_topic *vain = find_vain(session, hash_topic(topic));
	if (vain)
		*vain = (struct vain_topic){ .hash = 0 };
	session->fruitless = 0;
	session->any_again_us = 0;
}

static bool may_fetch(struct session *session, const char *topic)
{
	int64_t now_us = loop_now(session->plane->loop);
	const struct vain_topic *vain = find_vain(session, hash_topic(topic));
	return now_us >= session->any_again_us && (!vain || now_us >= vain->again_us);
}

/* ---- what a response brings ------------------------------------------------------------------- */

/* fault: why it cannot be run, as far as that is known; NULL. */
static void deliver(struct session *session, const char *topic, const void *payload, size_t size,
	const char *fault)
{
	const struct cloud_listener *listener = &session->plane->listener;
	struct command *command;
	char why[160];
	int result = command_create(
		&command, session->number, ORIGIN_CLOUD, topic, payload, size, why, sizeof(why));
	command->received_us = loop_now(session->plane->loop);
	session->counters[COUNT_COMMANDS]++;
	if (fault) {
		snprintf(why, sizeof(why), "%s", fault);
		result = -1;
	}
	if (result < 0) {
		session->counters[COUNT_BAD_COMMANDS]++;
		listener->bad_command(listener->context, command, why);
	} else {
		listener->command(listener->context, command);
	}
}

/* Whether the response is to a GET for the command of *topic. */
static bool was_fetch(const struct session *session, const char **topic)
{
	if (session->login)
		return false;
	*topic = session->purpose == PURPOSE_FETCH ? session->waiting_command : DOWN_RAW;
	return session->purpose == PURPOSE_FETCH ||
		(session->purpose == PURPOSE_POLL && session->enos->dialect == DIALECT_SIGNED);
}

/* An option that names a command: bring it, or note what to fetch. */
static void read_options(struct session *session, const struct cloud_response *response)
{
	OWNED char *topic = own_topic(session, response->topic, response->topic_size);
	if (!topic) {
		session->counters[COUNT_FOREIGN_COMMANDS]++;
		return;
	}
	if (response->command) {
		deliver(session, topic, response->command, response->command_size, NULL);
		return;
	}
	if (!may_fetch(session, topic))
		return;
	free(session->waiting_command);
	session->waiting_command = TAKE(topic);
}

/* What a GET brought: a command, or a block of one.  True: another block is to be asked for. */
static bool take_fetched(
	struct session *session, const char *topic, const struct cloud_response *response)
{
	struct buffer *whole = &session->blocks.incoming;
	const struct block *block = &response->block2;
	if (!block->more && !block->number) {
		deliver(session, topic, response->payload, response->size, NULL);
		return false;
	}
	int result = blocks_take(&session->blocks, response);
	if (result > 0)
		return true;
	if (result == 0)
		deliver(session, topic, whole->data, whole->size, NULL);
	else
		deliver(session, topic, response->payload, response->size,
			result == -EMSGSIZE ? "the command is larger than 64 KiB"
					    : "the blocks of the command do not fit together");
	blocks_restart(&session->blocks);
	return false;
}

/* Not one that says: with another token, or later (RFC 8516). */
static bool is_final(uint8_t code)
{
	return code >> 5 == 2 || (code >> 5 == 4 && code != CODE(4, 1) && code != CODE(4, 29));
}

bool delivery_read(struct session *session, const struct cloud_response *response)
{
	const char *topic;
	bool good = response->code >> 5 == 2;
	if (was_fetch(session, &topic)) {
		if (good && response->size) {
			fetched_well(session, topic);
			if (take_fetched(session, topic, response))
				return true;
		} else if (session->purpose == PURPOSE_FETCH && is_final(response->code)) {
			fetched_in_vain(session, topic);
		}
		/* Answered, it waits no longer, unless an option says so again. */
		if (session->purpose == PURPOSE_FETCH && (good || response->code == CODE(4, 4))) {
			free(session->waiting_command);
			session->waiting_command = NULL;
		}
	}
	if (response->topic)
		read_options(session, response);
	return false;
}
