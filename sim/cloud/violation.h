/* SPDX-License-Identifier: Apache-2.0 */
/* The ways in which a client can deviate from the protocol, each with a name for people and tests. */
#ifndef SIM_CLOUD_VIOLATION_H
#define SIM_CLOUD_VIOLATION_H

/* name; what it means */
#define VIOLATIONS(X)                                                                           \
	X(PACKET, "packet", "a datagram that is no well-formed CoAP message")                   \
	X(CONFIRMABLE, "confirmable", "a request that is not confirmable")                      \
	X(OPTION, "option", "a critical option that EnOS does not know")                        \
	X(MESSAGE_ID, "message_id", "a message id used again for another message")              \
	X(REQUEST_TOKEN, "request_token", "the CoAP token of an earlier request")               \
	X(IN_FLIGHT, "in_flight", "a request while another one waited for its answer")          \
	X(PATH, "path", "a path or topic that does not exist")                                  \
	X(METHOD, "method", "a method that the path does not take")                             \
	X(DEVICE, "device", "a product or device key that is not registered")                   \
	X(IDENTITY, "identity", "a DTLS identity, or a request of another device than it says") \
	X(AUTH_PAYLOAD, "auth_payload", "an authentication that is not the documented JSON")    \
	X(AUTH_LIFETIME, "auth_lifetime", "a lifetime outside 30 to 86400 s")                   \
	X(AUTH_SIGN, "auth_sign", "an authentication with a wrong sign")                        \
	X(SIGNATURE_MISSING, "signature_missing", "no option 2101 in the signed dialect")       \
	X(SIGNATURE_UNWANTED, "signature_unwanted", "option 2101 where it does not belong")     \
	X(SIGNATURE_REPEATED, "signature_repeated", "option 2101 more than once")               \
	X(SIGNATURE_HEX, "signature_hex", "option 2101 is not upper-case hex of whole blocks")  \
	X(SIGNATURE_CIPHER, "signature_cipher", "option 2101 does not decrypt")                 \
	X(SIGNATURE_TEXT, "signature_text", "what was signed is not token...sequence...")       \
	X(SIGNATURE_TOKEN, "signature_token", "signed with a token that was never given")       \
	X(OLD_TOKEN, "old_token", "signed with an old token after the new one was used")        \
	X(SEQUENCE_START, "sequence_start", "the first sequence after authentication is not 1") \
	X(SEQUENCE_ORDER, "sequence_order", "a sequence that is not above the last one")        \
	X(SEQUENCE_RANGE, "sequence_range", "a sequence outside 1 to 2147483647")               \
	X(PAYLOAD_SIZE, "payload_size", "a payload of more than 1 KB")                          \
	X(PAYLOAD_EMPTY, "payload_empty", "no payload where one belongs")                       \
	X(PAYLOAD_UNWANTED, "payload_unwanted", "a payload where none belongs")                 \
	X(JSON, "json", "a payload that is no JSON")                                            \
	X(SHAPE, "shape", "JSON whose members are not the documented ones")                     \
	X(METHOD_NAME, "method_name", "a JSON method that is not the topic's")                  \
	X(TIME, "time", "a time that is missing or not in ms since 1970")                       \
	X(QUALITY, "quality", "a quality that is not an integer from 0 to 9")                   \
	X(POINTS, "points", "a report without points, or a point without a value")              \
	X(BATCH, "batch", "a batch that is not an array of reports")                            \
	X(ATTRIBUTES, "attributes", "no attribute or more than 200")                            \
	X(REPLY_SHAPE, "reply_shape", "a reply that is not the documented JSON")                \
	X(REPLY_UNKNOWN, "reply_unknown", "a reply to no command that was given out")           \
	X(REPLY_SECOND, "reply_second", "a second reply to a command given out once")

enum violation {
	VIOLATION_NONE,
#define X(symbol, name, meaning) VIOLATION_##symbol,
	VIOLATIONS(X)
#undef X
		VIOLATION_COUNT,
};

const char *violation_name(enum violation violation);
const char *violation_meaning(enum violation violation);

#endif
