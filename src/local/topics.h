/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is published where: the topics and payloads of docs/mqtt.md.  Pure functions into buffers that
 * are reused.  Times are ms since 1970-01-01 UTC.
 */
#ifndef EB_LOCAL_TOPICS_H
#define EB_LOCAL_TOPICS_H

#include "core/conf.h"
#include "core/message.h"

struct publication {
	struct buffer topic, payload; /* cleared and written by each function below */
	uint8_t qos;
	bool retain;
};

#define PUBLICATION_EMPTY                                       \
	{                                                       \
		.topic = BUFFER_EMPTY, .payload = BUFFER_EMPTY, \
	}

void publication_finish(struct publication *publication);

/* What is known of a device besides its readings; a time of 0 means never. */
struct device_state {
	enum health_state health;
	uint32_t error, code; /* that brought it there */
	int64_t health_ms;
	char *session; /* its state's name; NULL: not known yet */
	char *session_reason; /* NULL: none */
	int64_t session_ms;
	char *script_error; /* NULL: none */
	int64_t script_ms; /* of its last change */
	char *script_warning; /* NULL: none */
	int64_t reading_ms; /* when the last reading was read */
	int64_t report_ms; /* when the reading behind the last report was read */
};

struct bus_state {
	bool up;
	char *reason; /* NULL: none */
	int64_t since_ms;
};

/* state is "online" or "offline"; reason may be NULL. */
void topic_status(struct publication *to, const struct conf *conf, const char *state,
	const char *reason, int64_t now_ms);
void topic_reading(struct publication *to, const struct conf *conf, const struct reading *reading);
/* 0, or what json_print() says of a report that cannot be JSON. */
int topic_report(struct publication *to, const struct conf *conf, const struct report *report);
void topic_command(struct publication *to, const struct conf *conf, const struct command *command,
	int64_t now_ms);
void topic_result(struct publication *to, const struct conf *conf, const struct command *command,
	const struct reply *reply, int64_t now_ms);
/* The record of a command: a JSON object. */
void topic_audit(struct publication *to, const struct conf *conf, uint32_t device,
	const struct buffer *record);
/* result: the pairs of a JSON object. */
void topic_reload(struct publication *to, const struct conf *conf, const char *script,
	const char *result, int64_t now_ms);
void topic_device(struct publication *to, const struct conf *conf, uint32_t device,
	const struct device_state *state, int64_t now_ms);
void topic_bus(struct publication *to, const struct conf *conf, uint32_t bus,
	const struct bus_state *state, int64_t now_ms);

#endif
