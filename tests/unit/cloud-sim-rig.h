/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated cloud in virtual time, and a client of it that builds its datagrams by hand. */
#ifndef TESTS_CLOUD_SIM_RIG_H
#define TESTS_CLOUD_SIM_RIG_H

#include "../../sim/cloud/command.h"
#include "../../sim/cloud/sim.h"

#define RIG_PRODUCT "pk1"
#define RIG_DEVICE "dk1"
#define RIG_SECRET "s3cret"

struct rig {
	struct clock clock;
	struct loop *loop;
	struct sim *sim;
	int fd; /* the client's socket */
	uint16_t message_id;
	uint64_t next_token;
	char token[64]; /* the session's */
	int64_t n; /* of the last signature */
	uint8_t request[4200]; /* the last one that was sent */
	size_t request_size;
};

/* What came back. */
struct got {
	bool any;
	uint8_t type, code;
	uint16_t message_id;
	uint8_t bytes[4200];
	size_t size;
	char notice[300], command[2000], payload[2000];
	bool has_notice, has_command;
	bool token_fits; /* it is the last request's */
};

void rig_settings(struct sim_settings *settings);
/* A signed dialect on 127.0.0.1 with one device; settings may be NULL. */
void rig_start(struct rig *rig, const struct sim_settings *settings);
void rig_stop(struct rig *rig);

/* A request under construction. */
struct draft {
	uint8_t type, code;
	const char *path; /* segments, "/" between */
	const char *signature; /* NULL: none */
	int signatures; /* how often it is put; 0 means once where there is one */
	unsigned odd_option; /* a further one, empty; 0: none */
	const void *payload;
	size_t size;
	int message_id, token; /* -1 in both: new ones, else what is to be used */
};

void rig_send_bytes(struct rig *rig, const void *bytes, size_t size);
void rig_send(struct rig *rig, const struct draft *draft);
/* Sends the last request once more. */
void rig_send_again(struct rig *rig);
/* Lets the simulator handle what waits, then takes one datagram; any is false where none came. */
struct got rig_receive(struct rig *rig);
struct got rig_exchange(struct rig *rig, const struct draft *draft);
void rig_advance(struct rig *rig, int64_t ms);

/* Option 2101 for a text, in hex; iv of zeros, CBC. */
void rig_sign_text(const char *secret, const char *text, char *hex);
/* The next signature of the session. */
const char *rig_sign(struct rig *rig);
/* Authenticates with the lifetime, and keeps the token. */
struct got rig_authenticate(struct rig *rig, int lifetime);
/* A signed POST of the payload to the topic behind /topic/sys/pk1/dk1/. */
struct got rig_post(struct rig *rig, const char *topic, const char *payload);
struct got rig_get(struct rig *rig, const char *topic);
/* A report of one point. */
const char *rig_report(void);

/* The counter of the violation since the rig was started. */
uint64_t rig_violations(const struct rig *rig, enum violation violation);
uint64_t rig_all_violations(const struct rig *rig);

#endif
