/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection to an MQTT broker: found, made, watched and made again, on the loop.  The library
 * is spoken to in connection.c alone.  Nothing here blocks, whatever the broker does or does not.
 */
#ifndef EB_LOCAL_CONNECTION_H
#define EB_LOCAL_CONNECTION_H

#include "core/conf.h"
#include "core/resolver.h"
#include "util/loop.h"

struct connection;

/* Most messages of QoS 1 that are sent and not acknowledged. */
#define CONNECTION_IN_FLIGHT_MAX 20

/* All but will() are called from the loop, never from within a call to the connection. */
struct connection_listener {
	void *context;
	/* Topic and payload of the last will, retained, of a connection that begins now. */
	void (*will)(void *context, struct buffer *topic, struct buffer *payload);
	void (*up)(void *context);
	/* It was up and is no more: what was in flight is unknown. */
	void (*down)(void *context);
	/* The broker has the message that connection_publish() numbered. */
	void (*acknowledged)(void *context, int number);
	/* There may be room again after connection_publish() said -EAGAIN. */
	void (*writable)(void *context);
};

struct connection_setup {
	const struct conf_mqtt *conf;
	struct loop *loop;
	struct resolver_client *resolver;
	struct connection_listener listener;
};

/* Begins at once, from the loop.  0, or -ENOMEM where the library has none. */
int connection_create(struct connection **connection, const struct connection_setup *setup);
/* Leaves without the last will where all was written, in 200 ms at most, and closes. */
void connection_destroy(struct connection *connection);

/* Whether a message of that QoS would be taken now. */
bool connection_ready(const struct connection *connection, uint8_t qos);
/*
 * Sends; QoS 1 gets a number.  Returns 0, -EAGAIN while it is not connected, the last message is
 * not on its way yet or too many are in flight, or -EINVAL where such a message cannot be sent.
 */
int connection_publish(struct connection *connection, const char *topic, const void *payload,
	size_t size, uint8_t qos, bool retain, int *number);

/* Appends members of a JSON object: where to, state, since when, how often, and what went wrong. */
void connection_status(const struct connection *connection, struct buffer *json);

#endif
