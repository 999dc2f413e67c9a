/* SPDX-License-Identifier: Apache-2.0 */
/* Our requests and responses, as the library's messages. */
#ifndef EB_CLOUD_PDU_H
#define EB_CLOUD_PDU_H

#include <coap3/coap.h>

#include "cloud/endpoint.h"

/* The confirmable message of a request, or NULL where it is larger than the session's limit. */
coap_pdu_t *pdu_write(coap_session_t *session, const struct cloud_request *request);
/* Points into the message. */
void pdu_read(const coap_pdu_t *pdu, struct cloud_response *response);
/* The token where it is 8 bytes long, as ours are, else 0, which ours never is. */
uint64_t pdu_token(const coap_pdu_t *pdu);

#endif
