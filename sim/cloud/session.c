/* SPDX-License-Identifier: Apache-2.0 */
/* Who may come in: authentication, tokens, signatures. Sections 2 and 3 of the protocol. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "sim.h"
#include "util/json.h"

#define LIFETIME_LEAST 30
#define LIFETIME_MOST 86400
#define SEQUENCE_MOST 2147483647

struct authentication {
	int64_t secure_mode, lifetime;
	struct value sign;
};

/* Whether the map is {"secureMode":2,"lifetime":L,"sign":"S"}, and what it says. */
static bool read_authentication(const struct payload *payload, struct authentication *read)
{
	const void *data = payload->value.data;
	size_t size = payload->value.size;
	struct value_reader reader = value_reader(data, size);
	struct value map, mode, lifetime;
	if (!value_next(&reader, &map) || map.size != 3 ||
		!value_find(data, size, "secureMode", &mode, NULL) ||
		!value_find(data, size, "lifetime", &lifetime, NULL) ||
		!value_find(data, size, "sign", &read->sign, NULL))
		return false;
	read->secure_mode = mode.integer;
	read->lifetime = lifetime.integer;
	return mode.type == VALUE_INTEGER && lifetime.type == VALUE_INTEGER &&
		read->sign.type == VALUE_STRING;
}

static void give_token(struct call *call, int64_t lifetime)
{
	struct device *device = call->device;
	device_forget_token(device);
	random_hex(device->token, TOKEN_SIZE);
	device->tokens_given++;
	device->token_used = false;
	device->disturbed = false;
	device->sequence = 0;
	device->lifetime_us = lifetime * USEC_PER_SEC;
	device->until_us = loop_now(call->sim->loop) + device->lifetime_us;
	journal_stats(call->sim->journal)->authentications++;
	if (journal_read(call->sim->journal)) {
		struct buffer *line = journal_begin(call->sim->journal, "authenticated", device);
		buffer_printf(line, ",\"lifetime\":%lld", (long long)lifetime);
		journal_end(call->sim->journal);
	}
	call->answer->begins = true;
	call_answer(call, CODE_CHANGED);
	buffer_printf(&call->answer->payload, "{\"token\":\"%s\"}", device->token);
	commands_announce(call);
}

void session_authenticate(struct call *call)
{
	struct device *device = call->device;
	struct payload *payload = &call->sim->payload;
	struct verdict verdict;
	struct authentication read = { .secure_mode = 0 };
	char sign[AUTH_SIGN_SIZE + 1];
	if (call->packet->code != CODE_POST) {
		call_violate(call, CODE_NOT_ALLOWED, VIOLATION_METHOD, "/auth takes a POST");
		return;
	}
	/* It does no harm, so the device gets in all the same. */
	if (call->packet->signatures)
		call_violate(call, CODE_CHANGED, VIOLATION_SIGNATURE_UNWANTED,
			"an authentication carries no signature");
	if (!payload_parse(payload, call->packet->payload, &verdict) ||
		!read_authentication(payload, &read) || read.secure_mode != 2) {
		call_violate(call, CODE_BAD_REQUEST, VIOLATION_AUTH_PAYLOAD,
			"not {\"secureMode\":2,\"lifetime\":L,\"sign\":\"S\"}");
		return;
	}
	if (read.lifetime < LIFETIME_LEAST || read.lifetime > LIFETIME_MOST) {
		call_violate(call, CODE_BAD_REQUEST, VIOLATION_AUTH_LIFETIME,
			"the lifetime is not from 30 to 86400 s");
		return;
	}
	auth_sign(sign, device->product, device->key, read.lifetime, device->secret);
	if (strcmp(sign, read.sign.text) != 0) {
		call_violate(call, CODE_UNAUTHORIZED, VIOLATION_AUTH_SIGN, "the sign is wrong");
		return;
	}
	give_token(call, read.lifetime);
}

/* A 4.01 that the client could not foresee. */
static bool turn_away(struct call *call)
{
	journal_stats(call->sim->journal)->unauthorized++;
	call_answer(call, CODE_UNAUTHORIZED);
	return false;
}

static bool refuse(struct call *call, enum violation violation, const char *text)
{
	call_violate(call,
		violation == VIOLATION_SIGNATURE_REPEATED ? CODE_BAD_OPTION : CODE_UNAUTHORIZED,
		violation, text);
	return false;
}

/* Splits "token{token}sequence{n}". Returns whether it is that; n 0 where it is out of range. */
static bool split_signed(const char *text, size_t size, struct bytes *token, int64_t *n)
{
	static const char head[] = "token", middle[] = "sequence";
	if (strlen(text) != size || strncmp(text, head, sizeof(head) - 1) != 0)
		return false;
	const char *begin = text + sizeof(head) - 1;
	const char *end = strstr(begin, middle);
	if (!end || end == begin)
		return false;
	const char *digits = end + sizeof(middle) - 1;
	size_t count = strspn(digits, "0123456789");
	if (!count || digits[count] || (digits[0] == '0' && count > 1))
		return false;
	*token = (struct bytes){ begin, (size_t)(end - begin) };
	*n = count > 10 ? 0 : strtoll(digits, NULL, 10);
	if (*n > SEQUENCE_MOST)
		*n = 0;
	return true;
}

static bool admit_other_token(struct call *call, struct bytes token)
{
	struct device *device = call->device;
	if (device_had_token(device, token)) {
		if (!device->token[0] || !device->token_used || call->late ||
			call->sim->settings.lossy)
			return turn_away(call);
		return refuse(call, VIOLATION_OLD_TOKEN,
			"signed with an old token after the new one was in use");
	}
	/* From before this server began, perhaps. */
	if (!device->tokens_given)
		return turn_away(call);
	return refuse(call, VIOLATION_SIGNATURE_TOKEN, "signed with a token that was never given");
}

static bool admit_sequence(struct call *call, int64_t n)
{
	struct device *device = call->device;
	char text[120];
	bool lossy = call->sim->settings.lossy || call->late;
	if (!device->sequence && n != 1 && !device->disturbed && !lossy) {
		snprintf(text, sizeof(text),
			"sequence %lld is the first after authentication, not 1", (long long)n);
		return refuse(call, VIOLATION_SEQUENCE_START, text);
	}
	if (n <= device->sequence) {
		if (lossy)
			return turn_away(call);
		snprintf(text, sizeof(text), "sequence %lld after %lld", (long long)n,
			(long long)device->sequence);
		return refuse(call, VIOLATION_SEQUENCE_ORDER, text);
	}
	device->sequence = call->sequence = n;
	device->token_used = true;
	journal_stats(call->sim->journal)->signatures++;
	return true;
}

static void expire(struct call *call)
{
	struct device *device = call->device;
	if (!device->token[0] || loop_now(call->sim->loop) <= device->until_us)
		return;
	device_forget_token(device);
	journal_stats(call->sim->journal)->tokens_expired++;
	journal_begin(call->sim->journal, "expired", device);
	journal_end(call->sim->journal);
}

static bool admit_signed(struct call *call)
{
	struct device *device = call->device;
	const struct bytes *signature = &call->packet->signature;
	char text[SIGNATURE_HEX_MAX];
	struct bytes token;
	int64_t n;
	if (!call->packet->signatures)
		return refuse(call, VIOLATION_SIGNATURE_MISSING, "no option 2101");
	if (call->packet->signatures > 1)
		return refuse(call, VIOLATION_SIGNATURE_REPEATED, "option 2101 more than once");
	ssize_t size = opener_open(
		call->sim->opener, device->sign_key, signature->data, signature->size, text);
	if (size == -EINVAL)
		return refuse(call, VIOLATION_SIGNATURE_HEX,
			"option 2101 is no upper-case hex of whole blocks");
	if (size < 0)
		return refuse(call, VIOLATION_SIGNATURE_CIPHER,
			"option 2101 does not decrypt: check the secret, the mode and the padding");
	if (!split_signed(text, (size_t)size, &token, &n))
		return refuse(call, VIOLATION_SIGNATURE_TEXT,
			"what was signed is not token...sequence...: check the IV and the mode");
	if (!bytes_are(token, device->token))
		return admit_other_token(call, token);
	if (!n)
		return refuse(
			call, VIOLATION_SEQUENCE_RANGE, "the sequence is not from 1 to 2147483647");
	return admit_sequence(call, n);
}

bool session_admit(struct call *call)
{
	expire(call);
	if (!call->sim->settings.piggyback)
		return admit_signed(call);
	if (call->packet->signatures)
		call_violate(call, CODE_CHANGED, VIOLATION_SIGNATURE_UNWANTED,
			"the piggyback dialect has no signatures");
	return call->device->token[0] ? true : turn_away(call);
}

bool session_admit_identity(struct call *call)
{
	struct identity *identity = call->packet->identity;
	const struct device *device = call->device;
	bool own = identity && strcmp(identity->product, device->product) == 0 &&
		strcmp(identity->device, device->key) == 0;
	bool topic = bytes_are(call->packet->path[1], "sys");
	if (!own || (identity->mode == 3) == topic) {
		call_violate(call, CODE_FORBIDDEN, VIOLATION_IDENTITY,
			own ? "the product's secret is for the activation, and only for that"
			    : "the DTLS identity is another device's");
		return false;
	}
	call->answer->begins = !identity->begun;
	identity->begun = true;
	if (call->packet->signatures)
		call_violate(call, CODE_CHANGED, VIOLATION_SIGNATURE_UNWANTED,
			"nothing is signed within DTLS");
	return true;
}

size_t session_key(struct sim *sim, const char *text, uint8_t key[TUNNEL_KEY_MAX])
{
	struct identity identity;
	const char *secret = NULL;
	bool good = identity_parse(&identity, text);
	struct device *device = !good
		? NULL
		: devices_find(sim->devices,
			  (struct bytes){ identity.product, strlen(identity.product) },
			  (struct bytes){ identity.device, strlen(identity.device) });
	if (good && (identity.lifetime < LIFETIME_LEAST || identity.lifetime > LIFETIME_MOST))
		journal_violation(sim->journal, device, VIOLATION_AUTH_LIFETIME, NULL,
			"the lifetime in the DTLS identity is not from 30 to 86400 s");
	else if (device && identity.mode == 3)
		secret = devices_product_secret(sim->devices, identity.product);
	else if (device)
		secret = device->secret;
	else
		journal_violation(sim->journal, NULL, VIOLATION_IDENTITY, NULL,
			"the DTLS identity is no {pk},{dk},{secureMode},{lifetime} of a device");
	if (secret)
		signature_key(key, secret);
	if (good)
		identity_finish(&identity);
	return secret ? SIGNATURE_KEY_SIZE : 0;
}

void session_activate(struct call *call)
{
	const struct device *device = call->device;
	if (call->packet->code != CODE_GET) {
		call_violate(call, CODE_NOT_ALLOWED, VIOLATION_METHOD, "activation takes a GET");
		return;
	}
	journal_stats(call->sim->journal)->activations++;
	journal_begin(call->sim->journal, "activated", call->device);
	journal_end(call->sim->journal);
	call_answer(call, CODE_CONTENT);
	struct buffer *text = &call->answer->payload;
	buffer_put_text(text,
		"{\"id\":\"1\",\"version\":\"1.0\",\"method\":\"thing.activate.info\",\"params\":"
		"{\"assetId\":\"simulated\",\"productKey\":");
	json_put_text(text, device->product);
	buffer_put_text(text, ",\"deviceKey\":");
	json_put_text(text, device->key);
	buffer_put_text(text, ",\"deviceSecret\":");
	json_put_text(text, device->secret);
	buffer_put_text(text, "}}");
}
