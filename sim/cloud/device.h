/* SPDX-License-Identifier: Apache-2.0 */
/* The registered devices: their keys, the state of their sessions, what they last reported. */
#ifndef SIM_CLOUD_DEVICE_H
#define SIM_CLOUD_DEVICE_H

#include "fault.h"
#include "packet.h"
#include "signature.h"
#include "util/buffer.h"
#include "util/list.h"

#define TOKEN_SIZE 24
#define OLD_TOKENS 8

/* The last report of one measurement point. */
struct point {
	char *name;
	struct buffer value; /* util/value.h */
	int64_t time_ms; /* the report's, or when it came */
	int64_t quality; /* -1: none */
	uint64_t count;
};

struct device {
	struct device *next; /* in its bucket */
	char *product, *key, *secret;
	char *name; /* product/key, for people */
	uint8_t sign_key[SIGNATURE_KEY_SIZE];

	char token[TOKEN_SIZE + 1]; /* "": none is valid */
	char old_tokens[OLD_TOKENS][TOKEN_SIZE + 1];
	unsigned tokens_given;
	bool token_used; /* a request was signed with the current one */
	bool disturbed; /* since authentication we lost or refused a request: sequences may be missing */
	int64_t sequence; /* the last one that was accepted, 0: none yet */
	int64_t lifetime_us, until_us; /* monotonic: when the token runs out */

	struct dice dice;
	struct fault_plan faults; /* its own, where has_faults */
	bool has_faults;

	struct list commands; /* struct command, in the order of their coming */
	struct buffer incoming, outgoing; /* payloads in blocks */
	struct point *points;
	size_t point_count, point_room, point_hint;
	uint64_t messages, readings, violations;
};

struct devices;
/* The seed is that of the devices' dice. */
struct devices *devices_create(uint64_t seed);
void devices_destroy(struct devices *devices);
/* Returns 0, or -EEXIST where the key is registered already. */
int devices_add(struct devices *devices, const char *product, const char *key, const char *secret);
/* Every device of the product exists, with the prefix and its key for a secret. */
void devices_add_rule(struct devices *devices, const char *product, const char *prefix);
/* The secret of the product, by which its devices are activated. */
void devices_set_product(struct devices *devices, const char *product, const char *secret);
const char *devices_product_secret(const struct devices *devices, const char *product);
/*
 * Adds those of a JSON file, [{"product_key":..,"device_key":..,"device_secret":..},...].  Returns
 * how many, or -errno with the reason.
 */
int devices_load(struct devices *devices, const char *path, char *error, size_t room);
/* The device, made by a rule where there is one; NULL where it is not registered. */
struct device *devices_find(struct devices *devices, struct bytes product, struct bytes key);
/* By "product/key", or by the key alone where one product has it. */
struct device *devices_named(struct devices *devices, const char *name);
size_t devices_count(const struct devices *devices);
struct device *devices_at(const struct devices *devices, size_t index);

/* Voids the token, and remembers that it was one. */
void device_forget_token(struct device *device);
/* Whether it had the token before the current one. */
bool device_had_token(const struct device *device, struct bytes token);
/* The point of the name, a new one where there is none. */
struct point *device_point(struct device *device, const char *name, size_t size);
const struct point *device_find_point(const struct device *device, const char *name);

#endif
