/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated cloud: its settings, its parts, and what can be done to it. */
#ifndef SIM_CLOUD_SIM_H
#define SIM_CLOUD_SIM_H

#include "device.h"
#include "exchange.h"
#include "fault.h"
#include "journal.h"
#include "payload.h"
#include "seen.h"
#include "signature.h"
#include "tunnel.h"
#include "util/loop.h"

struct sim_settings {
	struct address listen;
	bool piggyback; /* the dialect */
	bool bare_topics; /* option 2100 without the leading /topic */
	bool dtls; /* in place of plain CoAP */
	enum tunnel_ciphers ciphers;
	bool lossy; /* somebody between us and the clients loses datagrams */
	bool ecb;
	uint8_t signature_iv[SIGNATURE_KEY_SIZE];
	uint8_t empty_get; /* the code that answers a GET when nothing waits */
	size_t payload_max, block_size;
	size_t duplicate_window; /* points remembered to recognise repeated ones */
	int64_t command_timeout_us; /* without a reply a command is given out again */
	unsigned command_resends;
	uint64_t seed;
	int transcript; /* fd, owned; -1: none */
};
void sim_settings_init(struct sim_settings *settings);

struct sim {
	struct loop *loop;
	struct sim_settings settings;
	struct fault_plan faults;
	struct dice dice; /* of requests that belong to no device */
	struct devices *devices;
	struct commands *commands;
	struct journal *journal;
	struct opener *opener;
	struct seen *seen;
	struct exchanges *exchanges;
	struct datagrams *datagrams; /* theirs, where there are tunnels */
	struct tunnels *tunnels; /* NULL: plain CoAP */
	struct payload payload;
	/* Something changed since it was called last; may be NULL. */
	void (*changed)(void *context);
	void *changed_context;
};

/* Returns 0, or -errno where the address cannot be bound. */
int sim_create(struct sim **sim, struct loop *loop, const struct sim_settings *settings);
void sim_destroy(struct sim *sim);
/* Voids the token, or the DTLS session, of the device, or of all (NULL). Returns how many had one. */
size_t sim_forget_tokens(struct sim *sim, struct device *device);
/*
 * As if the server had been started again: tokens, messages and clients are forgotten.  Registered
 * devices and queued commands stay, as they would in the cloud's database.
 */
void sim_restart(struct sim *sim);
/* Appends the counters as a JSON object. */
void sim_print_stats(const struct sim *sim, struct buffer *json);

/* One request while it is handled. */
struct call {
	struct sim *sim;
	const struct packet *packet;
	struct answer *answer;
	struct device *device;
	struct fault_source source;
	const char *topic; /* behind /topic/sys/{pk}/{dk}/ */
	int64_t sequence; /* 0: none */
	bool late;
};

/* Answers with a code and no more. */
void call_answer(struct call *call, uint8_t code);
/* Records the violation and answers with the code and, for people, the text. */
void call_violate(struct call *call, uint8_t code, enum violation violation, const char *text);

/* session.c: POST /auth/{pk}/{dk}; and whether the request may come in, else it is answered. */
void session_authenticate(struct call *call);
bool session_admit(struct call *call);
/* The same for one that came by DTLS, where the client's identity speaks for it. */
bool session_admit_identity(struct call *call);
/* The key of a DTLS identity; its size, or 0 for one that nobody knows. */
size_t session_key(struct sim *sim, const char *identity, uint8_t key[TUNNEL_KEY_MAX]);
/* GET /topic/ext/session/{pk}/{dk}/thing/activate/info. */
void session_activate(struct call *call);
/* topic.c: a request of an admitted device. */
void topic_serve(struct call *call);
/* Whether commands come by that topic. */
bool topic_is_command(const char *path);

#endif
