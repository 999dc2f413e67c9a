/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/pdu.h"

#include <string.h>

static bool put_path(coap_pdu_t *pdu, const char *path)
{
	for (;;) {
		size_t size = strcspn(path, "/");
		if (!coap_add_option(pdu, COAP_OPTION_URI_PATH, size, (const uint8_t *)path))
			return false;
		if (!path[size])
			return true;
		path += size + 1;
	}
}

static bool put_format(coap_pdu_t *pdu, int format)
{
	if (format == CONTENT_NONE)
		return true;
	uint8_t bytes[4];
	unsigned size = coap_encode_var_safe(bytes, sizeof(bytes), (unsigned)format);
	return coap_add_option(pdu, COAP_OPTION_CONTENT_FORMAT, size, bytes);
}

coap_pdu_t *pdu_write(coap_session_t *session, const struct cloud_request *request)
{
	coap_pdu_t *pdu = coap_new_pdu(COAP_MESSAGE_CON, (coap_pdu_code_t)request->method, session);
	if (!pdu)
		return NULL;
	const char *signature = request->signature;
	/* Options stand in the order of their numbers. */
	if (coap_add_token(pdu, sizeof(request->token), (const uint8_t *)&request->token) &&
		put_path(pdu, request->path) && put_format(pdu, request->content_format) &&
		(!signature ||
			coap_add_option(pdu, OPTION_SIGNATURE, strlen(signature),
				(const uint8_t *)signature)) &&
		(!request->size || coap_add_data(pdu, request->size, request->payload)))
		return pdu;
	coap_delete_pdu(pdu);
	return NULL;
}

uint64_t pdu_token(const coap_pdu_t *pdu)
{
	uint64_t token = 0;
	coap_bin_const_t bytes = coap_pdu_get_token(pdu);
	if (bytes.length == sizeof(token))
		memcpy(&token, bytes.s, sizeof(token));
	return token;
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
		case COAP_OPTION_BLOCK2: {
			/* Bit 3: more blocks follow; above it stands the block's number (RFC 7959, 2.2). */
			unsigned block = coap_decode_var_bytes(bytes, size);
			response->partial = (block & 8) || block >> 4;
			break;
		}
		}
	}
	const uint8_t *payload;
	if (coap_get_data(pdu, &response->size, &payload))
		response->payload = payload;
}
