/* SPDX-License-Identifier: Apache-2.0 */
/* Our requests and responses, as the library's messages. */
#ifndef EB_CLOUD_PDU_H
#define EB_CLOUD_PDU_H

#include <coap3/coap.h>

#include "cloud/endpoint.h"
#include "util/buffer.h"

/* The confirmable message of a request, or NULL where it is larger than the session's limit. */
coap_pdu_t *pdu_write(coap_session_t *session, const struct cloud_request *request);
/* The same as bytes, put behind what the buffer holds. */
void pdu_encode(struct buffer *bytes, const struct cloud_request *request, uint16_t id);
/* A message out of bytes, for coap_delete_pdu(), or NULL where they are none. */
coap_pdu_t *pdu_parse(const void *bytes, size_t size);
/* An acknowledgement or a reset without anything in it: 4 bytes. */
#define PDU_EMPTY_SIZE 4
void pdu_put_empty(uint8_t bytes[PDU_EMPTY_SIZE], coap_pdu_type_t type, uint16_t id);

/* Points into the message. */
void pdu_read(const coap_pdu_t *pdu, struct cloud_response *response);
/* The token where it is 8 bytes long, as ours are, else 0, which ours never is. */
uint64_t pdu_token(const coap_pdu_t *pdu);

#endif
