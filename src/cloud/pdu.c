/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/pdu.h"

#include <string.h>

#define PAYLOAD_MARKER 0xff

/* Where options go, in the order of their numbers. */
struct sink {
	bool (*put)(struct sink *sink, unsigned number, const void *bytes, size_t size);
	coap_pdu_t *pdu;
	struct buffer *bytes;
	unsigned last; /* the number of the option before */
};

static bool put_path(struct sink *sink, const char *path)
{
	for (;;) {
		size_t size = strcspn(path, "/");
		if (!sink->put(sink, COAP_OPTION_URI_PATH, path, size))
			return false;
		if (!path[size])
			return true;
		path += size + 1;
	}
}

static bool put_number(struct sink *sink, unsigned option, unsigned number)
{
	uint8_t bytes[4];
	unsigned size = coap_encode_var_safe(bytes, sizeof(bytes), number);
	return sink->put(sink, option, bytes, size);
}

static bool put_block(struct sink *sink, unsigned option, const struct block *block)
{
	return !block->there ||
		put_number(sink, option,
			block->number << 4 | (block->more ? 8u : 0) | block->exponent);
}

static bool put_options(struct sink *sink, const struct cloud_request *request)
{
	const char *signature = request->signature;
	return put_path(sink, request->path) &&
		(request->content_format == CONTENT_NONE ||
			put_number(sink, COAP_OPTION_CONTENT_FORMAT,
				(unsigned)request->content_format)) &&
		put_block(sink, COAP_OPTION_BLOCK2, &request->block2) &&
		put_block(sink, COAP_OPTION_BLOCK1, &request->block1) &&
		(!signature || sink->put(sink, OPTION_SIGNATURE, signature, strlen(signature)));
}

static bool put_to_pdu(struct sink *sink, unsigned number, const void *bytes, size_t size)
{
	return coap_add_option(sink->pdu, (coap_option_num_t)number, size, bytes) != 0;
}

coap_pdu_t *pdu_write(coap_session_t *session, const struct cloud_request *request)
{
	coap_pdu_t *pdu = coap_new_pdu(COAP_MESSAGE_CON, (coap_pdu_code_t)request->method, session);
	if (!pdu)
		return NULL;
	struct sink sink = { .put = put_to_pdu, .pdu = pdu };
	if (coap_add_token(pdu, sizeof(request->token), (const uint8_t *)&request->token) &&
		put_options(&sink, request) &&
		(!request->size || coap_add_data(pdu, request->size, request->payload)))
		return pdu;
	coap_delete_pdu(pdu);
	return NULL;
}

/* What stands for a difference or length in an option's first byte (RFC 7252, 3.1). */
static unsigned nibble(size_t number)
{
	return number < 13 ? (unsigned)number : number < 269 ? 13 : 14;
}

static void put_rest(struct buffer *bytes, size_t number)
{
	if (number >= 269)
		buffer_put_byte(bytes, (uint8_t)((number - 269) >> 8));
	if (number >= 13)
		buffer_put_byte(bytes, (uint8_t)(number - (number < 269 ? 13 : 269)));
}

static bool put_to_bytes(struct sink *sink, unsigned number, const void *value, size_t size)
{
	struct buffer *bytes = sink->bytes;
	unsigned difference = number - sink->last;
	sink->last = number;
	buffer_put_byte(bytes, (uint8_t)(nibble(difference) << 4 | nibble(size)));
	put_rest(bytes, difference);
	put_rest(bytes, size);
	buffer_put(bytes, value, size);
	return true;
}

void pdu_put_empty(uint8_t bytes[PDU_EMPTY_SIZE], coap_pdu_type_t type, uint16_t id)
{
	bytes[0] = (uint8_t)(0x40 | type << 4);
	bytes[1] = 0;
	bytes[2] = (uint8_t)(id >> 8);
	bytes[3] = (uint8_t)id;
}

void pdu_encode(struct buffer *bytes, const struct cloud_request *request, uint16_t id)
{
	uint8_t head[PDU_EMPTY_SIZE];
	pdu_put_empty(head, COAP_MESSAGE_CON, id);
	head[0] |= sizeof(request->token);
	head[1] = (uint8_t)request->method;
	buffer_put(bytes, head, sizeof(head));
	buffer_put(bytes, &request->token, sizeof(request->token));
	struct sink sink = { .put = put_to_bytes, .bytes = bytes };
	put_options(&sink, request);
	if (!request->size)
		return;
	buffer_put_byte(bytes, PAYLOAD_MARKER);
	buffer_put(bytes, request->payload, request->size);
}

coap_pdu_t *pdu_parse(const void *bytes, size_t size)
{
	coap_pdu_t *pdu = coap_pdu_init(COAP_MESSAGE_CON, COAP_EMPTY_CODE, 0, size);
	if (pdu && !coap_pdu_parse(COAP_PROTO_UDP, bytes, size, pdu)) {
		coap_delete_pdu(pdu);
		return NULL;
	}
	return pdu;
}

uint64_t pdu_token(const coap_pdu_t *pdu)
{
	uint64_t token = 0;
	coap_bin_const_t bytes = coap_pdu_get_token(pdu);
	if (bytes.length == sizeof(token))
		memcpy(&token, bytes.s, sizeof(token));
	return token;
}

static struct block read_block(const uint8_t *bytes, size_t size)
{
	unsigned number = coap_decode_var_bytes(bytes, size);
	unsigned exponent = number & 7;
	/* 7 is reserved (RFC 7959, 2.2): whoever sends it gets the largest that there is. */
	return (struct block){ .there = true,
		.more = (number & 8) != 0,
		.exponent = (uint8_t)(exponent < 7 ? exponent : BLOCK_EXPONENT_MAX),
		.number = number >> 4 };
}

void pdu_read(const coap_pdu_t *pdu, struct cloud_response *response)
{
	*response = (struct cloud_response){ .token = pdu_token(pdu) };
	response->code = (uint8_t)coap_pdu_get_code(pdu);
	coap_opt_iterator_t options;
	coap_option_iterator_init(pdu, &options, COAP_OPT_ALL);
	for (coap_opt_t *option; (option = coap_option_next(&options));) {
		const uint8_t *bytes = coap_opt_value(option);
		size_t size = coap_opt_length(option);
		switch (options.number) {
		case OPTION_COMMAND_TOPIC:
			response->topic = size ? (const char *)bytes : "";
			response->topic_size = size;
			break;
		case OPTION_COMMAND_PAYLOAD:
			response->command = size ? bytes : (const uint8_t *)"";
			response->command_size = size;
			break;
		case COAP_OPTION_BLOCK1:
			response->block1 = read_block(bytes, size);
			break;
		case COAP_OPTION_BLOCK2:
			response->block2 = read_block(bytes, size);
			break;
		}
	}
	const uint8_t *payload;
	if (coap_get_data(pdu, &response->size, &payload))
		response->payload = payload;
}
