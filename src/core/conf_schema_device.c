/* SPDX-License-Identifier: Apache-2.0 */
/* What a device may have in the cloud that the others have not: some keys of enos, again. */
#include "core/conf.h"
#include "core/conf_schema.h"
#include "core/conf_table.h"

#define AS_IN_ENOS .otherwise = "as in enos"

static const struct field fields[] = {
	{ .key = "host",
		TEXT(struct conf_enos, host),
		HOST_LENGTH,
		AS_IN_ENOS,
		.help = "the CoAP endpoint of EnOS for this device" },
	{ .key = "port",
		NUMBER(struct conf_enos, port),
		PORT_RANGE,
		.otherwise = "as in enos; beside host or security 5683, with DTLS 5684",
		.help = "its UDP port" },
	{ .key = "security",
		CHOICE(struct conf_enos, security),
		.choices = "none|dtls",
		AS_IN_ENOS,
		.help = "\"none\" is plain CoAP, \"dtls\" is DTLS 1.2 with the secret as its key" },
	{ .key = "dialect",
		CHOICE(struct conf_enos, dialect),
		.choices = "signed|piggyback",
		AS_IN_ENOS,
		.help = "as in enos" },
	{ .key = "lifetime",
		NUMBER(struct conf_enos, lifetime_s),
		.min = 30,
		.max = 86400,
		.unit = "s",
		AS_IN_ENOS,
		.help = "silence after which EnOS holds the device for offline" },
	{ .key = "command_poll",
		NUMBER(struct conf_enos, command_poll_s),
		.min = 1,
		.max = 86400,
		.unit = "s",
		AS_IN_ENOS,
		.help = "silence after which the device asks for commands" },
	{ .key = "keepalive_topic",
		TEXT(struct conf_enos, keepalive_topic),
		.form = FORM_TOPIC,
		.min = 1,
		.max = 200,
		AS_IN_ENOS,
		.help = "what the device queries when it is silent, in the piggyback dialect" },
	{ .key = "max_payload",
		NUMBER(struct conf_enos, max_payload),
		.min = 128,
		.max = 16384,
		.unit = "bytes",
		AS_IN_ENOS,
		.help = "the longest payload of one message" },
	{ .key = NULL },
};

const struct section device_enos_section = { "device.enos", fields, NULL, NULL };
