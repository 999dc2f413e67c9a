/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of a session: names, counters, its state. */
#include "cloud/session.h"

#include "util/json.h"

const char *session_state_name(enum session_state state)
{
	static const char *const names[] = {
		[SESSION_IDLE] = "idle",
		[SESSION_RESOLVING] = "resolving",
		[SESSION_AUTHENTICATING] = "authenticating",
		[SESSION_ONLINE] = "online",
		[SESSION_WAITING] = "waiting",
		[SESSION_OFFLINE] = "offline",
	};
	return (size_t)state < sizeof(names) / sizeof(*names) ? names[state] : "unknown";
}

const char *counter_name(enum counter counter)
{
	static const char *const names[] = {
		[COUNT_REQUESTS] = "requests",
		[COUNT_LOGINS] = "logins",
		[COUNT_HANDSHAKES] = "handshakes",
		[COUNT_HANDSHAKE_FAILURES] = "handshake_failures",
		[COUNT_ACTIVATIONS] = "activations",
		[COUNT_POLLS] = "polls",
		[COUNT_ACKNOWLEDGED] = "acknowledged",
		[COUNT_REJECTED] = "rejected",
		[COUNT_DROPPED] = "dropped",
		[COUNT_REPLACED] = "replaced",
		[COUNT_REFUSED_BATCHES] = "refused_batches",
		[COUNT_REPLIES] = "replies",
		[COUNT_REFUSED_REPLIES] = "refused_replies",
		[COUNT_TIMEOUTS] = "timeouts",
		[COUNT_RESETS] = "resets",
		[COUNT_UNREACHABLE] = "unreachable",
		[COUNT_UNAUTHORISED] = "unauthorised",
		[COUNT_REFUSED] = "refused",
		[COUNT_SERVER_ERRORS] = "server_errors",
		[COUNT_STRANGERS] = "wrong_tokens",
		[COUNT_LATE] = "late",
		[COUNT_BAD_JSON] = "bad_json",
		[COUNT_COMMANDS] = "commands",
		[COUNT_BAD_COMMANDS] = "bad_commands",
		[COUNT_FOREIGN_COMMANDS] = "foreign_commands",
		[COUNT_FRUITLESS_FETCHES] = "fruitless_fetches",
	};
	return names[counter];
}

const char *input_name(enum input input)
{
	static const char *const names[] = {
		[INPUT_START] = "start",
		[INPUT_ADDRESS] = "address",
		[INPUT_ACTIVATED] = "activated",
		[INPUT_TOKEN] = "token",
		[INPUT_PART] = "part",
		[INPUT_DONE] = "done",
		[INPUT_REFUSED] = "refused",
		[INPUT_UNAUTHORISED] = "unauthorised",
		[INPUT_SHUT_OUT] = "shut out",
		[INPUT_LOST] = "lost",
		[INPUT_WORK] = "work",
		[INPUT_DUE] = "due",
		[INPUT_EXPIRED] = "expired",
		[INPUT_PAUSE] = "pause",
		[INPUT_QUIET] = "quiet",
		[INPUT_RESUME] = "resume",
	};
	return names[input];
}

void session_status(const struct session *session, struct buffer *json)
{
	buffer_printf(json, "\"state\":\"%s\",\"reason\":", session_state_name(session->state));
	json_put_text(json, session->trouble ? session->trouble : "");
	const struct conf_enos *enos = session->enos;
	buffer_put_text(json, ",\"server\":");
	json_put_text(json, enos->host);
	buffer_printf(json, ",\"port\":%u,\"security\":\"%s\",\"dialect\":\"%s\",\"lifetime\":%u",
		enos->port, session_secure(session) ? "dtls" : "none",
		enos->dialect == DIALECT_SIGNED ? "signed" : "piggyback", enos->lifetime_s);
	if (session->device->product_secret)
		buffer_printf(json, ",\"activated\":%s", session->secret ? "true" : "false");
	char address[64] = "";
	if (session->connected)
		address_print(&session->address, address, sizeof(address));
	buffer_printf(json, ",\"address\":\"%s\",\"queued_reports\":%u,\"queued_replies\":%u",
		address, session->queue.count, session->queue.reply_count);
	for (int i = 0; i < COUNTERS; i++)
		buffer_printf(json, ",\"%s\":%llu", counter_name(i),
			(unsigned long long)session->counters[i]);
}
