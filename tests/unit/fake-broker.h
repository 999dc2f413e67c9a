/* SPDX-License-Identifier: Apache-2.0 */
/* An MQTT 3.1.1 broker for one client, on the test's own loop, that misbehaves as it is told. */
#ifndef EB_TESTS_FAKE_BROKER_H
#define EB_TESTS_FAKE_BROKER_H

#include "util/buffer.h"
#include "util/loop.h"

struct fake_message {
	char *topic, *payload;
	int number; /* of QoS 1 */
	uint8_t qos;
	bool retain, repeated;
};

struct fake_broker {
	/* set by the test at any time */
	bool silent; /* takes the connection and answers nothing */
	int greeting; /* code of the CONNACK */
	bool keeps_acks; /* does not acknowledge */

	/* what was seen */
	unsigned connections, greetings, pings, goodbyes;
	char *client_id, *will_topic, *will_payload, *user, *password;
	bool will_retained;
	unsigned will_qos;
	struct fake_message *messages;
	size_t count;

	uint16_t port;
	struct loop *loop;
	struct watch listening, client;
	bool connected;
	struct buffer in;
};

void fake_broker_start(struct fake_broker *fake, struct loop *loop);
void fake_broker_stop(struct fake_broker *fake);
/* Stops to listen; the port stays this one for fake_broker_return(). */
void fake_broker_leave(struct fake_broker *fake);
void fake_broker_return(struct fake_broker *fake);
/* Hangs up on the client. */
void fake_broker_hang_up(struct fake_broker *fake);
void fake_broker_send(struct fake_broker *fake, const void *bytes, size_t size);
/* Takes nothing from the socket while true. */
void fake_broker_stall(struct fake_broker *fake, bool stalled);
void fake_broker_acknowledge(struct fake_broker *fake, int number);
/* Forgets the messages seen. */
void fake_broker_forget(struct fake_broker *fake);
/* The last message on a topic that ends so, or NULL. */
const struct fake_message *fake_broker_last(const struct fake_broker *fake, const char *end);

#endif
