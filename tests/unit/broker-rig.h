/* SPDX-License-Identifier: Apache-2.0 */
/* A gateway of two devices on one bus with an echo, on a loop whose clock stands until it is moved. */
#ifndef EB_TESTS_BROKER_RIG_H
#define EB_TESTS_BROKER_RIG_H

#include "core/conf.h"
#include "core/message.h"
#include "core/resolver.h"
#include "local/broker.h"
#include "util/loop.h"

#define RIG_NOW_MS INT64_C(1700000001000)
#define RIG_READ_MS INT64_C(1700000000000)

struct rig {
	struct conf conf;
	struct conf_device devices[2];
	struct conf_bus buses[1];
	struct clock clock;
	struct loop *loop;
	struct resolver *resolver;
	struct resolver_client *client;
	struct broker *broker;
	struct plan *plan; /* of meter-1: poll 0 is "live", poll 1 "odd/name #+" */
	struct buffer status, log;
};

void rig_start(struct rig *rig);
/* Creates the broker for that port of 127.0.0.1. */
void rig_connect(struct rig *rig, uint16_t port);
void rig_stop(struct rig *rig);

/* Turns the loop until it is true; the clock moves only where the test moves it. */
#define rig_until(rig, condition)              \
	do {                                   \
		while (!(condition))           \
			rig_turn((rig)->loop); \
	} while (0)
void rig_turn(struct loop *loop);
/* Moves the clock and runs what is due. */
void rig_pass(struct rig *rig, int64_t us);

/* What rig_* said to the broker; sequence and times are in the payloads. */
void rig_reading(struct rig *rig, uint32_t poll, uint32_t sequence);
void rig_points(struct rig *rig, const char *json);
struct command *rig_command(uint32_t sequence);
void rig_result(struct rig *rig, const struct command *command, int code, const char *payload);
/* The value of a member of broker_status(). */
int64_t rig_count(struct rig *rig, const char *key);
const char *rig_state(struct rig *rig);

#endif
