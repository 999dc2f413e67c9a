/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud-sim-rig.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/log.h"

static void quiet(enum log_level level, const char *line, void *context)
{
}

void rig_settings(struct sim_settings *settings)
{
	sim_settings_init(settings);
	assert_int_equal(address_parse(&settings->listen, "127.0.0.1:0"), 0);
}

void rig_start(struct rig *rig, const struct sim_settings *settings)
{
	struct sim_settings defaults;
	rig_settings(&defaults);
	*rig = (struct rig){ .clock = { .manual = true,
				     .mono_us = 1000 * USEC_PER_SEC,
				     .wall_ms = INT64_C(1700000000000) } };
	rig->message_id = 7000;
	log_set_sink(quiet, NULL);
	assert_int_equal(loop_create(&rig->loop, &rig->clock), 0);
	assert_int_equal(sim_create(&rig->sim, rig->loop, settings ? settings : &defaults), 0);
	assert_int_equal(devices_add(rig->sim->devices, RIG_PRODUCT, RIG_DEVICE, RIG_SECRET), 0);
	const struct address *server = exchanges_address(rig->sim->exchanges);
	rig->fd = socket(server->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(rig->fd >= 0);
	assert_int_equal(connect(rig->fd, &server->any, server->size), 0);
}

void rig_stop(struct rig *rig)
{
	close(rig->fd);
	sim_destroy(rig->sim);
	loop_destroy(rig->loop);
	log_set_sink(NULL, NULL);
}

void rig_send_bytes(struct rig *rig, const void *bytes, size_t size)
{
	assert_int_equal(send(rig->fd, bytes, size, 0), size);
}

static uint8_t *put_option(
	uint8_t *at, unsigned *last, unsigned number, const void *bytes, size_t size)
{
	unsigned delta = number - *last;
	uint8_t *head = at++;
	*last = number;
	*head = delta < 13 ? (uint8_t)(delta << 4) : delta < 269 ? 13 << 4 : 14 << 4;
	if (delta >= 269)
		*at++ = (uint8_t)((delta - 269) >> 8);
	if (delta >= 13)
		*at++ = (uint8_t)(delta - (delta >= 269 ? 269 : 13));
	*head |= size < 13 ? (uint8_t)size : size < 269 ? 13 : 14;
	if (size >= 269)
		*at++ = (uint8_t)((size - 269) >> 8);
	if (size >= 13)
		*at++ = (uint8_t)(size - (size >= 269 ? 269 : 13));
	memcpy(at, bytes, size);
	return at + size;
}

void rig_send(struct rig *rig, const struct draft *draft)
{
	uint8_t *at = rig->request;
	unsigned last = 0;
	uint16_t id = draft->message_id < 0 ? ++rig->message_id : (uint16_t)draft->message_id;
	uint64_t token = draft->token < 0 ? ++rig->next_token << 8 | 0x55 : (uint64_t)draft->token;
	*at++ = (uint8_t)(0x48 | draft->type << 4);
	*at++ = draft->code;
	*at++ = (uint8_t)(id >> 8);
	*at++ = (uint8_t)id;
	memcpy(at, &token, 8);
	at += 8;
	for (const char *segment = draft->path; *segment;) {
		size_t size = strcspn(segment, "/");
		at = put_option(at, &last, OPTION_URI_PATH, segment, size);
		segment += size + (segment[size] == '/');
	}
	if (draft->odd_option)
		at = put_option(at, &last, draft->odd_option, "", 0);
	for (int i = 0; draft->signature && i < (draft->signatures ? draft->signatures : 1); i++)
		at = put_option(
			at, &last, OPTION_SIGNATURE, draft->signature, strlen(draft->signature));
	if (draft->size) {
		*at++ = 0xff;
		memcpy(at, draft->payload, draft->size);
		at += draft->size;
	}
	rig->request_size = (size_t)(at - rig->request);
	rig_send_again(rig);
}

void rig_send_again(struct rig *rig)
{
	rig_send_bytes(rig, rig->request, rig->request_size);
}

static unsigned read_extended(unsigned nibble, const uint8_t **at)
{
	if (nibble == 13)
		return 13u + *(*at)++;
	if (nibble < 13)
		return nibble;
	unsigned value = 269u + (unsigned)((*at)[0] << 8 | (*at)[1]);
	*at += 2;
	return value;
}

static void keep(char *text, size_t room, const uint8_t *bytes, size_t size)
{
	assert_true(size < room);
	memcpy(text, bytes, size);
	text[size] = 0;
}

static void read_options(struct got *got, const uint8_t *at, const uint8_t *end)
{
	unsigned number = 0;
	while (at < end && *at != 0xff) {
		unsigned head = *at++;
		number += read_extended(head >> 4, &at);
		unsigned size = read_extended(head & 15, &at);
		if (number == OPTION_NOTICE) {
			got->has_notice = true;
			keep(got->notice, sizeof(got->notice), at, size);
		} else if (number == OPTION_COMMAND) {
			got->has_command = true;
			keep(got->command, sizeof(got->command), at, size);
		} else {
			fail_msg("option %u in an answer", number);
		}
		at += size;
	}
	if (at < end)
		keep(got->payload, sizeof(got->payload), at + 1, (size_t)(end - at - 1));
}

struct got rig_receive(struct rig *rig)
{
	struct got got = { .any = false };
	while (loop_step(rig->loop, 0) > 0)
		;
	ssize_t size = recv(rig->fd, got.bytes, sizeof(got.bytes), MSG_DONTWAIT);
	if (size < 4)
		return got;
	got.any = true;
	got.size = (size_t)size;
	got.type = got.bytes[0] >> 4 & 3;
	got.code = got.bytes[1];
	got.message_id = (uint16_t)(got.bytes[2] << 8 | got.bytes[3]);
	size_t token_size = got.bytes[0] & 15;
	got.token_fits = token_size == 8 && size >= 12 &&
		memcmp(got.bytes + 4, rig->request + 4, 8) == 0;
	if (token_size <= 8 && got.size >= 4 + token_size && got.code != CODE_EMPTY &&
		got.token_fits)
		read_options(&got, got.bytes + 4 + token_size, got.bytes + got.size);
	return got;
}

struct got rig_exchange(struct rig *rig, const struct draft *draft)
{
	rig_send(rig, draft);
	return rig_receive(rig);
}

void rig_advance(struct rig *rig, int64_t ms)
{
	loop_advance(rig->loop, rig->clock.mono_us + ms * USEC_PER_MSEC);
}

void rig_sign_text(const char *secret, const char *text, char *hex)
{
	static const uint8_t iv[16];
	uint8_t digest[32], out[256];
	int begun, rest;
	EVP_Digest(secret, strlen(secret), digest, NULL, EVP_sha256(), NULL);
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	EVP_EncryptInit_ex(context, EVP_aes_128_cbc(), NULL, digest + 8, iv);
	EVP_EncryptUpdate(context, out, &begun, (const uint8_t *)text, (int)strlen(text));
	EVP_EncryptFinal_ex(context, out + begun, &rest);
	EVP_CIPHER_CTX_free(context);
	for (int i = 0; i < begun + rest; i++)
		snprintf(hex + 2 * (size_t)i, 3, "%02X", out[i]);
}

const char *rig_sign(struct rig *rig)
{
	static char hex[600];
	char text[160];
	snprintf(text, sizeof(text), "token%ssequence%lld", rig->token, (long long)++rig->n);
	rig_sign_text(RIG_SECRET, text, hex);
	return hex;
}

struct got rig_authenticate(struct rig *rig, int lifetime)
{
	char text[200], body[200];
	uint8_t digest[32];
	int size = snprintf(text, sizeof(text),
		"deviceKey" RIG_DEVICE "lifetime%dproductKey" RIG_PRODUCT "secureMode2" RIG_SECRET,
		lifetime);
	EVP_Digest(text, (size_t)size, digest, NULL, EVP_sha256(), NULL);
	size = snprintf(
		body, sizeof(body), "{\"secureMode\":2,\"lifetime\":%d,\"sign\":\"", lifetime);
	for (int i = 0; i < 32; i++)
		size += snprintf(body + size, 3, "%02X", digest[i]);
	size += snprintf(body + size, 4, "\"}");
	struct got got = rig_exchange(rig,
		&(struct draft){ .code = CODE_POST,
			.path = "auth/" RIG_PRODUCT "/" RIG_DEVICE,
			.payload = body,
			.size = (size_t)size,
			.message_id = -1,
			.token = -1 });
	if (sscanf(got.payload, "{\"token\":\"%63[^\"]\"}", rig->token) == 1)
		rig->n = 0;
	return got;
}

static struct got on_topic(struct rig *rig, uint8_t code, const char *topic, const char *payload)
{
	char path[300];
	snprintf(path, sizeof(path), "topic/sys/" RIG_PRODUCT "/" RIG_DEVICE "/%s", topic);
	return rig_exchange(rig,
		&(struct draft){ .code = code,
			.path = path,
			.signature = rig->sim->settings.piggyback ? NULL : rig_sign(rig),
			.payload = payload,
			.size = strlen(payload),
			.message_id = -1,
			.token = -1 });
}

struct got rig_post(struct rig *rig, const char *topic, const char *payload)
{
	return on_topic(rig, CODE_POST, topic, payload);
}

struct got rig_get(struct rig *rig, const char *topic)
{
	return on_topic(rig, CODE_GET, topic, "");
}

const char *rig_report(void)
{
	return "{\"id\":\"7\",\"version\":\"1.0\",\"method\":\"thing.measurepoint.post\","
	       "\"params\":{\"measurepoints\":{\"voltage\":230.1},\"time\":1700000000000}}";
}

uint64_t rig_violations(const struct rig *rig, enum violation violation)
{
	return journal_stats(rig->sim->journal)->by_kind[violation];
}

uint64_t rig_all_violations(const struct rig *rig)
{
	return journal_stats(rig->sim->journal)->violations;
}
