/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One device's way to the cloud: requests go out, responses come back.  A session drives it and
 * knows nothing of the library behind it; tests put a fake in its place.
 */
#ifndef EB_CLOUD_ENDPOINT_H
#define EB_CLOUD_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/resolver.h"

/* Option numbers of EnOS (enos-protocol, 2 and 3). */
#define OPTION_COMMAND_TOPIC 2100
#define OPTION_SIGNATURE 2101
#define OPTION_COMMAND_PAYLOAD 2102

#define CONTENT_NONE (-1)
#define CONTENT_OCTETS 42
#define CONTENT_JSON 50

#define CODE(class, detail) ((class) << 5 | (detail))

enum request_method { REQUEST_GET = 1, REQUEST_POST = 2 };

/* A part of a payload (RFC 7959): number * size bytes stand before it. */
struct block {
	bool there;
	bool more; /* others follow it */
	uint8_t exponent; /* its size is 16 << exponent bytes; 0 to 6 */
	uint32_t number;
};
#define BLOCK_EXPONENT_MAX 6
static inline uint32_t block_size(const struct block *block)
{
	return 16u << block->exponent;
}

/* All of it is valid for the call only. */
struct cloud_request {
	enum request_method method;
	uint64_t token; /* CoAP's: 8 random bytes */
	const char *path; /* "topic/sys/...": a Uri-Path option for each part between slashes */
	const char *signature; /* option 2101; NULL: none */
	int content_format;
	struct block block1; /* which part of its payload the request carries */
	struct block block2; /* which part of the answer is asked for */
	const void *payload;
	size_t size;
};

/* All of it is valid for the call only. */
struct cloud_response {
	uint64_t token; /* 0 where it is not 8 bytes long */
	uint8_t code; /* as on the wire: CODE(2, 4) is 2.04 */
	struct block block1; /* which part of the request it answers */
	struct block block2; /* which part of the answer it is */
	const void *payload;
	size_t size;
	const char *topic; /* option 2100, not terminated; NULL: none */
	size_t topic_size;
	const void *command; /* option 2102; NULL: none */
	size_t command_size;
};

enum endpoint_failure {
	ENDPOINT_SILENT, /* the last retransmission went unanswered */
	ENDPOINT_RESET, /* the peer does not know what to do with the message */
	ENDPOINT_UNREACHABLE, /* an ICMP error; retransmission goes on */
	ENDPOINT_BROKEN, /* it could not be sent */
	ENDPOINT_SPOOFED, /* an acknowledgement with a wrong token: no other one will be heard */
	/* Of secured ones; connect() has to come before the next request. */
	ENDPOINT_CLOSED, /* the peer has ended the association */
	ENDPOINT_MUTE, /* nobody answered the handshake */
	ENDPOINT_KEY_DOUBTED, /* the handshake went silent once the key was used */
	ENDPOINT_KEY_REFUSED,
	ENDPOINT_IDENTITY_REFUSED,
	ENDPOINT_CIPHER_REFUSED,
	ENDPOINT_HANDSHAKE_FAILED, /* in another way */
};

/* Upcalls, never from within a call of the endpoint's functions. */
struct endpoint_listener {
	/* False: an answer to nothing that was asked. */
	bool (*response)(void *context, const struct cloud_response *response);
	/* token is 0 where no request was in flight. */
	void (*failed)(void *context, enum endpoint_failure failure, uint64_t token);
	/* The handshake of a secured endpoint is over. */
	void (*connected)(void *context);
};

/* Who a secured endpoint is, and how it shows that; valid for the call only. */
struct endpoint_secret {
	const char *identity;
	const uint8_t *key; /* may hold zero bytes */
	size_t size;
};

struct endpoint;
struct endpoint_class {
	/*
	 * Sends to that address from now on, from a port of its own.  0 or -errno.  A secured endpoint
	 * needs the secret; within the response timeout it tells whether it is connected or has failed.
	 */
	int (*connect)(struct endpoint *endpoint, const union address *address,
		const struct endpoint_secret *secret);
	/* The one before has ended or was cancelled.  0, or -errno: nothing was sent. */
	int (*send)(struct endpoint *endpoint, const struct cloud_request *request);
	/* Ends retransmission, or the handshake; an answer may come all the same. */
	void (*cancel)(struct endpoint *endpoint);
	void (*destroy)(struct endpoint *endpoint);
};

struct endpoint {
	const struct endpoint_class *class;
	const struct endpoint_listener *listener;
	void *context;
};

/* Where endpoints come from. */
struct endpoint_source {
	void *context;
	struct endpoint *(*open)(void *context, bool secured,
		const struct endpoint_listener *listener, void *listener_context);
};

#endif
