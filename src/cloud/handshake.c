/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/handshake.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cloud/activation.h"
#include "cloud/exchange.h"
#include "util/alloc.h"
#include "util/log.h"

/* "{pk},{dk},{secureMode},{lifetime}"; keys have at most 128 bytes. */
#define IDENTITY_ROOM 300
#define MODE_DEVICE_SECRET 2
#define MODE_PRODUCT_SECRET 3

static void wipe(char **secret)
{
	if (*secret)
		explicit_bzero(*secret, strlen(*secret));
	free(*secret);
	*secret = NULL;
}

void handshake_set_key(struct session *session)
{
	const char *secret = session->secret ? session->secret : session->device->secret;
	if (secret)
		crypto_key(session->key, secret);
}

static void activate(struct session *session, const char *secret)
{
	wipe(&session->secret);
	session->secret = must_strdup(secret);
	session->secret_doubted = false;
	handshake_set_key(session);
}

void handshake_forget(struct session *session)
{
	wipe(&session->secret);
	explicit_bzero(session->key, sizeof(session->key));
}

void handshake_load(struct session *session)
{
	const struct conf_device *device = session->device;
	if (!device->product_secret) {
		handshake_set_key(session);
		return;
	}
	int result = activation_load(session->plane->state_dir, device->product_key,
		device->device_key, &session->secret);
	if (result == -EBADMSG)
		log_error("cloud: %s: the secret kept in %s/" ACTIVATION_FOLDER
			  " is damaged and was set aside: the device asks for it anew",
			device->name, session->plane->state_dir);
	else if (result < 0 && result != -ENOENT)
		log_error("cloud: %s: the secret kept in %s/" ACTIVATION_FOLDER
			  " cannot be read: %s: the device asks for it anew",
			device->name, session->plane->state_dir, strerror(-result));
	handshake_set_key(session);
}

int handshake_begin(struct session *session)
{
	const struct conf_device *device = session->device;
	uint8_t key[CRYPTO_KEY_SIZE];
	char identity[IDENTITY_ROOM];
	bool own = device->secret || (session->secret && !session->secret_doubted);
	session->activating = !own;
	snprintf(identity, sizeof(identity), "%s,%s,%d,%u", device->product_key, device->device_key,
		own ? MODE_DEVICE_SECRET : MODE_PRODUCT_SECRET, session->enos->lifetime_s);
	if (own)
		memcpy(key, session->key, sizeof(key));
	else
		crypto_key(key, device->product_secret);
	const struct endpoint_secret secret = { identity, key, sizeof(key) };
	int result = exchange_connect(session, &secret);
	explicit_bzero(key, sizeof(key));
	if (result < 0)
		return result;
	session->login = true;
	session->sent_token = 0;
	session->sent_us = loop_now(session->plane->loop);
	session->in_flight = true;
	session->answered = false;
	session->counters[COUNT_HANDSHAKES]++;
	return 0;
}

int handshake_ask(struct session *session)
{
	struct buffer *path = &session->plane->path;
	buffer_clear(path);
	buffer_printf(path, "topic/ext/session/%s/%s/thing/activate/info",
		session->device->product_key, session->device->device_key);
	struct cloud_request request = {
		.method = REQUEST_GET,
		.path = buffer_text(path),
		.content_format = CONTENT_NONE,
	};
	return exchange_transmit(session, &request);
}

enum input handshake_read(
	struct session *session, const struct cloud_response *response, char *reason, size_t room)
{
	const struct conf_device *device = session->device;
	int class = response->code >> 5, detail = response->code & 31;
	session->secret_doubted = false;
	if (class != 2) {
		snprintf(reason, room,
			"activation refused with %d.%02d: check that the device is registered, and "
			"dynamic activation is on in its product",
			class, detail);
		return class == 4 ? INPUT_SHUT_OUT : INPUT_LOST;
	}
	char *secret = activation_read(&session->plane->scratch, response->payload, response->size,
		device->product_key, device->device_key);
	if (!secret) {
		session->counters[COUNT_BAD_JSON]++;
		snprintf(reason, room, "activation answered without a secret for the device");
		return INPUT_LOST;
	}
	activate(session, secret);
	session->counters[COUNT_ACTIVATIONS]++;
	int result = activation_store(
		session->plane->state_dir, device->product_key, device->device_key, secret);
	explicit_bzero(secret, strlen(secret));
	free(secret);
	if (result < 0)
		log_error(
			"cloud: %s: activated, but its secret cannot be kept in %s/" ACTIVATION_FOLDER
			": %s: it asks again after the next start",
			device->name, session->plane->state_dir, strerror(-result));
	else
		log_info("cloud: %s: activated, its secret is kept in %s/" ACTIVATION_FOLDER,
			device->name, session->plane->state_dir);
	return INPUT_ACTIVATED;
}

bool handshake_refused(enum endpoint_failure failure)
{
	return failure == ENDPOINT_KEY_DOUBTED || failure == ENDPOINT_KEY_REFUSED ||
		failure == ENDPOINT_IDENTITY_REFUSED;
}
