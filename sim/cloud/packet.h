/* SPDX-License-Identifier: Apache-2.0 */
/* One CoAP message (RFC 7252, section 3), as far as EnOS speaks it. */
#ifndef SIM_CLOUD_PACKET_H
#define SIM_CLOUD_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "util/buffer.h"

enum packet_type { PACKET_CON, PACKET_NON, PACKET_ACK, PACKET_RST };

#define PACKET_CODE(class, detail) ((class) << 5 | (detail))
enum {
	CODE_EMPTY = 0,
	CODE_GET = PACKET_CODE(0, 1),
	CODE_POST = PACKET_CODE(0, 2),
	CODE_CHANGED = PACKET_CODE(2, 4),
	CODE_CONTINUE = PACKET_CODE(2, 31),
	CODE_CONTENT = PACKET_CODE(2, 5),
	CODE_BAD_REQUEST = PACKET_CODE(4, 0),
	CODE_UNAUTHORIZED = PACKET_CODE(4, 1),
	CODE_BAD_OPTION = PACKET_CODE(4, 2),
	CODE_FORBIDDEN = PACKET_CODE(4, 3),
	CODE_NOT_FOUND = PACKET_CODE(4, 4),
	CODE_NOT_ALLOWED = PACKET_CODE(4, 5),
	CODE_INCOMPLETE = PACKET_CODE(4, 8),
	CODE_TOO_LARGE = PACKET_CODE(4, 13),
	CODE_SERVER_ERROR = PACKET_CODE(5, 0),
};

enum {
	OPTION_URI_HOST = 3,
	OPTION_URI_PORT = 7,
	OPTION_URI_PATH = 11,
	OPTION_URI_QUERY = 15,
	OPTION_ACCEPT = 17,
	OPTION_BLOCK2 = 23,
	OPTION_BLOCK1 = 27,
	OPTION_NOTICE = 2100, /* the topic of a waiting command */
	OPTION_SIGNATURE = 2101,
	OPTION_COMMAND = 2102, /* the payload of the command named by 2100 */
};

#define PACKET_TOKEN_MAX 8
#define PACKET_SEGMENTS_MAX 16

/* Bytes of somebody else's memory. */
struct bytes {
	const void *data;
	size_t size;
};

static inline bool bytes_are(struct bytes bytes, const char *text)
{
	return bytes.size == strlen(text) &&
		(bytes.size == 0 || memcmp(bytes.data, text, bytes.size) == 0);
}

/* A part of a payload (RFC 7959, 2.2). */
struct block {
	bool there, more;
	uint8_t exponent; /* of its size: 16 << exponent bytes */
	uint32_t number;
};

struct identity;

/* A message as received; what it points to is the datagram's. */
struct packet {
	enum packet_type type;
	uint8_t code;
	uint16_t message_id;
	uint8_t token[PACKET_TOKEN_MAX];
	size_t token_size;
	struct bytes path[PACKET_SEGMENTS_MAX];
	size_t segments; /* may be above PACKET_SEGMENTS_MAX: those are not in path */
	struct bytes signature; /* the first 2101 */
	unsigned signatures;
	unsigned
		unknown_critical; /* number of the first one that nobody here understands; 0: none */
	struct block block1, block2;
	struct bytes payload;
	struct identity *identity; /* of the client, by DTLS; NULL: not known */
};

/*
 * Returns 0; -EPROTONOSUPPORT where it is no CoAP of version 1, to be ignored in silence; or
 * -EBADMSG where it is malformed behind the header, with type, code and message_id filled in.
 */
int packet_parse(struct packet *packet, const void *data, size_t size);

/* A message to send. */
struct packet_out {
	enum packet_type type;
	uint8_t code;
	uint16_t message_id;
	struct bytes token;
	struct block block1, block2;
	struct bytes notice, command; /* options 2100 and 2102; data NULL: without */
	struct bytes payload;
};
void packet_build(struct buffer *datagram, const struct packet_out *packet);

#endif
