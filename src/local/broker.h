/* SPDX-License-Identifier: Apache-2.0 */
/* The echo to the local MQTT broker: what docs/mqtt.md promises. */
#ifndef EB_LOCAL_BROKER_H
#define EB_LOCAL_BROKER_H

#include "core/conf.h"
#include "core/message.h"
#include "core/resolver.h"
#include "util/loop.h"

struct broker;

struct broker_setup {
	const struct conf *conf; /* conf->mqtt.enabled */
	struct loop *loop;
	struct resolver_client *resolver;
};

/* Connects from the loop, again and again; nothing here ever blocks.  0 or -errno. */
int broker_create(struct broker **broker, const struct broker_setup *setup);
/* Says "offline" and leaves, where it is connected; that takes 200 ms at most. */
void broker_destroy(struct broker *broker);

/* All of these copy what they need into a bounded queue, and take NULL for no broker. */
void broker_reading(struct broker *broker, const struct reading *reading);
void broker_report(struct broker *broker, const struct report *report);
void broker_command(struct broker *broker, const struct command *command);
void broker_reply(struct broker *broker, const struct command *command, const struct reply *reply);
/* The record of a command that ended or came again: a JSON object. */
void broker_audit(struct broker *broker, uint32_t device, const struct buffer *record);
void broker_health(struct broker *broker, const struct health *health);
void broker_session(struct broker *broker, uint32_t device, const char *state, const char *reason);
void broker_link(struct broker *broker, const struct link_change *change);
/* A script failed or works again (error ""); of a device. */
void broker_script(struct broker *broker, uint32_t device, const char *error);

/* A script's file was read again: result is the pairs of a JSON object that say what became of it. */
void broker_reload(struct broker *broker, const char *script, const char *result);
/* What a script warns of ("" nothing any more); of a device. */
void broker_warning(struct broker *broker, uint32_t device, const char *warning);

void broker_status(const struct broker *broker, struct buffer *json);

#endif
