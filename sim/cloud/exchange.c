/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"
#include "tunnel.h"
#include "util/alloc.h"
#include "util/list.h"

/* RFC 7252, section 4.8. */
#define ACK_TIMEOUT_MS 2000
#define MAX_RETRANSMIT 4
#define SWEEP_US (60 * USEC_PER_SEC)
/* Nobody gives a request up sooner than this. */
#define IN_FLIGHT_US USEC_PER_SEC

/* An answer in a message of its own, until it is acknowledged. */
struct separate {
	struct list link;
	struct timer timer;
	struct exchanges *owner;
	struct address address;
	struct fault_source source;
	uint16_t message_id, request_id;
	int tries;
	int64_t wait_us;
	struct buffer datagram;
};

struct exchanges {
	struct loop *loop;
	struct datagrams *datagrams;
	struct tunnels *tunnels; /* NULL: plain */
	struct peers *peers;
	struct exchange_listener listener;
	struct exchange_counts counts;
	struct dice dice;
	uint16_t next_id;
	bool lossy;
	struct list separates;
	struct timer sweep;
	struct answer answer; /* of the request at hand; its buffers are used again */
};

/* One request on its way to its answer. */
struct request {
	const struct packet *packet;
	const struct address *from;
	struct fault_source source;
};

static bool strikes(const struct fault_source *source, enum fault fault)
{
	return fault_strikes(source->plan, source->dice, fault);
}

static struct bytes bytes_of(const struct buffer *buffer)
{
	return (struct bytes){ buffer->size ? buffer->data : NULL, buffer->size };
}

static void send_bytes(
	struct exchanges *exchanges, const struct address *to, const struct buffer *datagram)
{
	datagrams_send(exchanges->datagrams, to, datagram->data, datagram->size);
}

static void send_empty(struct exchanges *exchanges, const struct address *to, enum packet_type type,
	uint16_t message_id)
{
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	packet_build(&bytes, &(struct packet_out){ .type = type, .message_id = message_id });
	send_bytes(exchanges, to, &bytes);
}

/* Something that nobody who only guesses could do better: from our own address, ahead of the answer. */
static void spoof(struct exchanges *exchanges, const struct request *request)
{
	static const char forged_topic[] = "/topic/sys/forged/forged/thing/model/down_raw";
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	struct dice *dice = request->source.dice;
	uint64_t token = dice_draw(dice);
	uint64_t kind = dice_draw(dice) % 6;
	struct packet_out forged = {
		.type = PACKET_ACK,
		.code = CODE_CHANGED,
		.message_id = (uint16_t)dice_draw(dice),
		.token = { &token, sizeof(token) },
		.payload = { "{\"token\":\"forged\"}", 18 },
	};
	if (kind == 1 || kind == 2) {
		forged.type = kind == 1 ? PACKET_CON : PACKET_NON;
		forged.notice = (struct bytes){ forged_topic, sizeof(forged_topic) - 1 };
		forged.command = (struct bytes){ "forged", 6 };
	} else if (kind == 3) {
		forged = (struct packet_out){ .type = PACKET_RST, .message_id = forged.message_id };
	} else if (kind == 4) {
		forged.message_id = request->packet->message_id;
	}
	packet_build(&bytes, &forged);
	if (kind == 5)
		bytes.size = 4 + token % 9; /* cut short: no message */
	exchanges->counts.spoofed++;
	send_bytes(exchanges, request->from, &bytes);
}

static void send_wrong_token(
	struct exchanges *exchanges, const struct address *to, const struct buffer *datagram)
{
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	buffer_put(&bytes, datagram->data, datagram->size);
	bytes.data[4] ^= 0xff;
	exchanges->counts.wrong_tokens++;
	send_bytes(exchanges, to, &bytes);
}

/*
 * Sends an answer through the faults.  Returns 0 where it left, else for how many µs from now at least
 * the client cannot have it.
 */
static int64_t transmit(struct exchanges *exchanges, const struct address *to,
	const struct fault_source *source, const struct buffer *datagram)
{
	if (strikes(source, FAULT_LOSE_ANSWER)) {
		exchanges->counts.lost_answers++;
		return IN_FLIGHT_US;
	}
	if (strikes(source, FAULT_DELAY_ANSWER)) {
		const int64_t *range = source->plan->delay_ms;
		int64_t delay_us = dice_between(source->dice, range[0], range[1]) * USEC_PER_MSEC +
			1;
		exchanges->counts.delayed++;
		datagrams_send_later(
			exchanges->datagrams, to, datagram->data, datagram->size, delay_us);
		return delay_us < IN_FLIGHT_US ? delay_us : IN_FLIGHT_US;
	}
	if (strikes(source, FAULT_REORDER)) {
		exchanges->counts.reordered++;
		datagrams_send_behind(exchanges->datagrams, to, datagram->data, datagram->size);
		return 1;
	}
	send_bytes(exchanges, to, datagram);
	if (strikes(source, FAULT_REPEAT_ANSWER)) {
		exchanges->counts.duplicated++;
		send_bytes(exchanges, to, datagram);
	}
	return 0;
}

static void separate_destroy(struct separate *separate)
{
	list_remove(&separate->link);
	loop_disarm(separate->owner->loop, &separate->timer);
	buffer_finish(&separate->datagram);
	free(separate);
}

static void separate_due(struct timer *timer, int64_t now_us)
{
	struct separate *separate = container_of(timer, struct separate, timer);
	struct exchanges *exchanges = separate->owner;
	if (separate->tries++ > MAX_RETRANSMIT) {
		exchanges->counts.unacknowledged++;
		separate_destroy(separate);
		return;
	}
	int64_t wait_us = transmit(
		exchanges, &separate->address, &separate->source, &separate->datagram);
	struct peer *peer = peers_get(exchanges->peers, &separate->address, now_us);
	if (separate->tries == 1 && peer->last_id == separate->request_id)
		peer->waits_until_us = now_us + wait_us;
	loop_arm(exchanges->loop, timer, now_us + separate->wait_us);
	separate->wait_us *= 2;
}

/* Prepares the answer as a message of its own. */
static void answer_separately(
	struct exchanges *exchanges, const struct request *request, const struct packet_out *answer)
{
	struct separate *separate = must_alloc(sizeof(*separate));
	struct packet_out out = *answer;
	out.type = PACKET_CON;
	out.message_id = separate->message_id = exchanges->next_id++;
	packet_build(&separate->datagram, &out);
	separate->request_id = request->packet->message_id;
	separate->owner = exchanges;
	separate->address = *request->from;
	separate->source = request->source;
	separate->wait_us = dice_between(&exchanges->dice, ACK_TIMEOUT_MS, ACK_TIMEOUT_MS * 3 / 2) *
		USEC_PER_MSEC;
	separate->timer.expired = separate_due;
	list_append(&exchanges->separates, &separate->link);
	loop_arm(exchanges->loop, &separate->timer,
		loop_now(exchanges->loop) + request->source.plan->separate_ms * USEC_PER_MSEC);
	exchanges->counts.separate++;
}

/* Sends the answer at once. Returns as transmit() does. */
static int64_t answer_directly(
	struct exchanges *exchanges, const struct request *request, const struct buffer *datagram)
{
	if (strikes(&request->source, FAULT_SPOOF))
		spoof(exchanges, request);
	if (request->packet->token_size && strikes(&request->source, FAULT_WRONG_TOKEN)) {
		send_wrong_token(exchanges, request->from, datagram);
		return IN_FLIGHT_US;
	}
	return transmit(exchanges, request->from, &request->source, datagram);
}

static void send_answer(
	struct exchanges *exchanges, struct peer *peer, const struct request *request)
{
	const struct packet *packet = request->packet;
	struct answer *answer = &exchanges->answer;
	struct kept *kept = peer_keep(peer, packet->message_id);
	struct packet_out out = {
		.type = packet->type == PACKET_CON ? PACKET_ACK : PACKET_NON,
		.code = answer->code,
		.message_id = packet->type == PACKET_CON ? packet->message_id
							 : exchanges->next_id++,
		.token = { packet->token, packet->token_size },
		.block1 = answer->block1,
		.block2 = answer->block2,
		.notice = bytes_of(&answer->notice),
		.command = bytes_of(&answer->command),
		.payload = bytes_of(&answer->payload),
	};
	int64_t wait_us = IN_FLIGHT_US;
	if (!answer->silent) {
		bool bare = strikes(&request->source, FAULT_SEPARATE_BARE);
		if (packet->type == PACKET_CON &&
			(bare || strikes(&request->source, FAULT_SEPARATE))) {
			answer_separately(exchanges, request, &out);
			int64_t until_us = request->source.plan->separate_ms * USEC_PER_MSEC;
			wait_us = until_us < wait_us ? until_us : wait_us;
			out = (struct packet_out){ .type = PACKET_ACK,
				.message_id = out.message_id };
			packet_build(&kept->datagram, &out);
			if (!bare)
				transmit(exchanges, request->from, &request->source,
					&kept->datagram);
		} else {
			packet_build(&kept->datagram, &out);
			wait_us = answer_directly(exchanges, request, &kept->datagram);
		}
	}
	peer->last_id = packet->message_id;
	peer->waits_until_us = loop_now(exchanges->loop) + wait_us;
	for (int i = 0; i < 2; i++) {
		if (wait_us && answer->unsure[i])
			*answer->unsure[i] = true;
	}
}

static void violated(struct exchanges *exchanges, const struct packet *packet,
	enum violation violation, const char *text)
{
	exchanges->listener.violated(exchanges->listener.context, packet, violation, text);
}

static void check_message(struct exchanges *exchanges, struct peer *peer,
	const struct packet *packet, enum peer_verdict verdict, bool late)
{
	int64_t now_us = loop_now(exchanges->loop);
	char text[80];
	if (packet->type != PACKET_CON)
		violated(
			exchanges, packet, VIOLATION_CONFIRMABLE, "the request is not confirmable");
	if (exchanges->answer.begins)
		peer_begin(peer);
	else if (verdict == MESSAGE_REUSED)
		violated(exchanges, packet, VIOLATION_MESSAGE_ID,
			"its message id was another message's less than 247 s ago");
	if (peer_token_used(peer, packet->token, packet->token_size, now_us))
		violated(exchanges, packet, VIOLATION_REQUEST_TOKEN,
			"its token is that of one of the last requests");
	if (exchanges->lossy || late || exchanges->answer.begins || now_us >= peer->waits_until_us)
		return;
	snprintf(text, sizeof(text), "the one before waits for its answer for another %lld ms",
		(long long)((peer->waits_until_us - now_us) / USEC_PER_MSEC));
	violated(exchanges, packet, VIOLATION_IN_FLIGHT, text);
}

static void answer_again(
	struct exchanges *exchanges, struct peer *peer, const struct request *request)
{
	exchanges->counts.repeated++;
	const struct kept *kept = peer_kept(peer, request->packet->message_id);
	if (!kept || !kept->datagram.size)
		return;
	int64_t wait_us = transmit(exchanges, request->from, &request->source, &kept->datagram);
	bool last = peer->last_id == request->packet->message_id;
	if (!wait_us && last && kept->datagram.data[1] != CODE_EMPTY)
		peer->waits_until_us = 0;
}

static void process(struct exchanges *exchanges, const struct request *request,
	const uint8_t *bytes, size_t size, bool late)
{
	const struct packet *packet = request->packet;
	int64_t now_us = loop_now(exchanges->loop);
	struct peer *peer = peers_get(exchanges->peers, request->from, now_us);
	enum peer_verdict verdict = peer_judge(peer, packet->message_id, bytes, size, now_us);
	if (verdict == MESSAGE_REPEATED) {
		answer_again(exchanges, peer, request);
		return;
	}
	exchanges->counts.requests++;
	struct answer *answer = &exchanges->answer;
	answer->code = CODE_SERVER_ERROR;
	answer->silent = answer->begins = false;
	answer->unsure[0] = answer->unsure[1] = NULL;
	answer->block1 = answer->block2 = (struct block){ .there = false };
	buffer_clear(&answer->payload);
	buffer_clear(&answer->notice);
	buffer_clear(&answer->command);
	exchanges->listener.request(exchanges->listener.context, packet, late, answer);
	check_message(exchanges, peer, packet, verdict, late);
	send_answer(exchanges, peer, request);
}

static void take_request(struct exchanges *exchanges, const struct request *request,
	const uint8_t *bytes, size_t size, bool held)
{
	const struct fault_source *source = &request->source;
	void *context = exchanges->listener.context;
	if (!held && strikes(source, FAULT_LOSE_REQUEST)) {
		exchanges->counts.lost_requests++;
		exchanges->listener.disturbed(context, request->packet);
		return;
	}
	if (!held && strikes(source, FAULT_DELAY_REQUEST)) {
		int64_t ms = dice_between(
			source->dice, source->plan->delay_ms[0], source->plan->delay_ms[1]);
		exchanges->counts.delayed++;
		exchanges->listener.disturbed(context, request->packet);
		datagrams_receive_later(
			exchanges->datagrams, request->from, bytes, size, ms * USEC_PER_MSEC);
		return;
	}
	process(exchanges, request, bytes, size, held);
	if (!held && strikes(source, FAULT_REPEAT_REQUEST)) {
		exchanges->counts.duplicated++;
		process(exchanges, request, bytes, size, true);
	}
}

/* An ACK or RST: of a separate answer, or of something forged, which is nobody's. */
static void take_receipt(
	struct exchanges *exchanges, const struct packet *packet, const struct address *from)
{
	if (packet->type == PACKET_RST)
		exchanges->counts.resets++;
	list_for_each (link, &exchanges->separates) {
		struct separate *separate = container_of(link, struct separate, link);
		if (separate->message_id != packet->message_id ||
			separate->address.size != from->size ||
			memcmp(&separate->address.any, &from->any, from->size) != 0)
			continue;
		if (strikes(&separate->source, FAULT_LOSE_REQUEST))
			exchanges->counts.lost_requests++;
		else
			separate_destroy(separate);
		return;
	}
}

static void received(
	void *context, const struct address *from, const uint8_t *bytes, size_t size, bool held)
{
	struct exchanges *exchanges = context;
	struct packet packet;
	exchanges->counts.datagrams += !held;
	int error = packet_parse(&packet, bytes, size);
	if (error == -EPROTONOSUPPORT) {
		exchanges->counts.ignored++;
		return;
	}
	if (exchanges->tunnels)
		packet.identity = tunnels_identity(exchanges->tunnels, from);
	bool request = packet.code != CODE_EMPTY && packet.code >> 5 == 0;
	bool receipt = packet.type == PACKET_ACK || packet.type == PACKET_RST;
	if (error < 0 || size > DATAGRAM_MAX ||
		(packet.code != CODE_EMPTY && (receipt || !request))) {
		violated(exchanges, NULL, VIOLATION_PACKET,
			"a datagram that is no well-formed message");
		if (packet.type == PACKET_CON)
			send_empty(exchanges, from, PACKET_RST, packet.message_id);
		return;
	}
	if (receipt) {
		take_receipt(exchanges, &packet, from);
		return;
	}
	if (!request) {
		exchanges->counts.pings++;
		if (packet.type == PACKET_CON)
			send_empty(exchanges, from, PACKET_RST, packet.message_id);
		return;
	}
	struct request taken = { &packet, from,
		exchanges->listener.faults(exchanges->listener.context, &packet) };
	take_request(exchanges, &taken, bytes, size, held);
}

static void drained(void *context)
{
	struct exchanges *exchanges = context;
	exchanges->listener.drained(exchanges->listener.context);
}

static void sweep_due(struct timer *timer, int64_t now_us)
{
	struct exchanges *exchanges = container_of(timer, struct exchanges, sweep);
	peers_sweep(exchanges->peers, now_us);
	loop_arm(exchanges->loop, timer, now_us + SWEEP_US);
}

int exchanges_create(struct exchanges **result, struct loop *loop, const struct address *address,
	uint64_t seed, const struct exchange_listener *listener)
{
	struct exchanges *exchanges = must_alloc(sizeof(*exchanges));
	exchanges->loop = loop;
	exchanges->listener = *listener;
	exchanges->peers = peers_create();
	list_init(&exchanges->separates);
	dice_seed(&exchanges->dice, seed, "exchange");
	exchanges->next_id = (uint16_t)dice_draw(&exchanges->dice);
	exchanges->sweep.expired = sweep_due;
	loop_arm(loop, &exchanges->sweep, loop_now(loop) + SWEEP_US);
	struct datagram_listener below = { exchanges, received, drained };
	int error = datagrams_create(&exchanges->datagrams, loop, address, &below);
	if (error < 0) {
		exchanges_destroy(exchanges);
		return error;
	}
	*result = exchanges;
	return 0;
}

struct datagrams *exchanges_secure(struct exchanges *exchanges, struct tunnels *tunnels)
{
	exchanges->tunnels = tunnels;
	datagrams_secure(exchanges->datagrams, tunnels);
	return exchanges->datagrams;
}

void exchanges_forget(struct exchanges *exchanges)
{
	list_for_each (link, &exchanges->separates)
		separate_destroy(container_of(link, struct separate, link));
	datagrams_forget(exchanges->datagrams);
	peers_forget(exchanges->peers);
}

void exchanges_destroy(struct exchanges *exchanges)
{
	if (!exchanges)
		return;
	list_for_each (link, &exchanges->separates)
		separate_destroy(container_of(link, struct separate, link));
	loop_disarm(exchanges->loop, &exchanges->sweep);
	datagrams_destroy(exchanges->datagrams);
	peers_destroy(exchanges->peers);
	buffer_finish(&exchanges->answer.payload);
	buffer_finish(&exchanges->answer.notice);
	buffer_finish(&exchanges->answer.command);
	free(exchanges);
}

const struct address *exchanges_address(const struct exchanges *exchanges)
{
	return datagrams_address(exchanges->datagrams);
}

const struct exchange_counts *exchanges_counts(const struct exchanges *exchanges)
{
	return &exchanges->counts;
}

size_t exchanges_peers(const struct exchanges *exchanges)
{
	return peers_count(exchanges->peers);
}

void exchanges_set_lossy(struct exchanges *exchanges, bool lossy)
{
	exchanges->lossy = lossy;
}
