/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bus with Modbus units behind a link of its own, all under a clock that is moved by hand.  Register
 * a of unit u reads u << 8 | a, so each value tells where it is from.
 */
#ifndef EB_TESTS_FIELD_RIG_H
#define EB_TESTS_FIELD_RIG_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "field/bus.h"
#include "util/buffer.h"

#define RIG_UNITS 256

/* What the line carries at some time. */
struct chunk {
	struct list link;
	int64_t at_us;
	size_t size;
	uint8_t bytes[];
};

struct unit {
	bool dead;
	uint8_t exception; /* answers everything with it; 0: does not */
	uint16_t bad_begin, bad_end; /* answers reads of these addresses with exception 2 */
	uint16_t most; /* answers longer reads with exception 3; 0: any */
	int64_t delay_us; /* before its answer, on top of the silence */
	uint32_t asked, written; /* requests heard; writes done */
	int64_t asked_us; /* the last one */
	uint32_t refused; /* exceptions given */
	uint16_t address, count; /* that were asked for last */
};

struct rig;

/* A request as the units hear it. */
struct heard_request {
	const uint8_t *frame;
	size_t size;
	uint8_t unit, function;
	uint16_t address, count;
	int64_t end_us; /* its last bit */
};

struct rig_setup {
	uint32_t devices; /* units 1 to devices */
	uint32_t baud; /* 0: TCP */
	bool paced; /* answers take their time, and the link says so */
	enum conf_answer echo;
	const char *framing; /* NULL: as the link has it */
	uint32_t timeout_ms, retries, in_flight;
	bool listen;
	bool merge;
	uint32_t merge_hole;
	const struct eb_plugin *plugin; /* NULL: modbus */
};

struct rig {
	struct rig_setup setup;
	struct clock clock;
	struct loop *loop;
	struct mailbox *outbox;
	struct conf conf;
	struct plane *plane;
	struct bus *bus;
	struct device **devices;
	void *plan_state; /* the plugin's, to make requests with */

	/* the line */
	struct link link;
	struct watch mail;
	struct timer arrival;
	struct list chunks; /* struct chunk, by time */
	struct unit units[RIG_UNITS];
	int open_result, read_error, write_error;
	bool open, echoes;
	size_t takes; /* most bytes taken of a write, the rest when rig_take() is called; 0: all */
	struct buffer taken;
	uint32_t opens, closes;
	int64_t line_end_us; /* the last bit on the line so far */
	int64_t least_gap_us; /* the shortest silence before a request so far */
	/* NULL: the unit answers.  Else it decides, with rig_say() and rig_answer(). */
	void (*behave)(struct rig *rig, const struct heard_request *request);
	void *context;
	/* With a plugin of the test's own: what was written, whole frames or not. */
	void (*hear_raw)(struct rig *rig, const char *bytes, size_t size);

	/* what came out */
	uint32_t readings, wrong, outcomes, healths, changes;
	uint32_t forged; /* of the wrong ones, those that no unit has said */
	uint32_t device_readings[RIG_UNITS];
	int64_t device_last_us[RIG_UNITS];
	struct outcome *outcome; /* the last one */
	uint32_t superseded; /* of outcomes */
	uint64_t gave_way; /* the order that was, the last one */
	enum health_state health[RIG_UNITS];
	uint32_t health_error[RIG_UNITS];
	bool link_up;
	char link_reason[160];
	void (*on_reading)(struct rig *rig, const struct reading *reading);
	void (*on_evidence)(struct rig *rig, const struct evidence *evidence);
	struct buffer log;
	bool notes; /* heard is kept: "r10 w3 " of the first unit's reads and writes */
	struct buffer heard;
};

struct rig *rig_create(const struct rig_setup *setup);
void rig_destroy(struct rig *rig);
/* A poll as {name, period, read = "holding_registers", address, count}. */
struct rig_poll {
	const char *name;
	double period;
	uint16_t address, count;
	bool urgent, write; /* write: value 7 to the address */
	double timeout; /* 0: the bus's */
	bool retry_safe;
	const char *text; /* read = text, with a plugin of the test's own */
};
struct plan *rig_plan(struct rig *rig, uint32_t device, const struct rig_poll *polls, size_t count);
/* The same with these setup requests. */
void rig_run_setup(struct rig *rig, uint32_t device, const struct rig_poll *polls, size_t count,
	const struct rig_poll *setup, size_t setup_count);
void rig_run_plan(struct rig *rig, uint32_t device, const struct rig_poll *polls, size_t count);
/* The same poll for every device. */
void rig_poll_all(struct rig *rig, const struct rig_poll *poll);
struct request *rig_request(struct rig *rig, uint32_t device, const struct rig_poll *poll);
/* Gives an order with these requests, its place reserved. */
void rig_order(struct rig *rig, uint32_t device, int64_t within_us, const struct rig_poll *polls,
	size_t count);
/* Moves the clock by so much, and takes what comes out. */
void rig_run(struct rig *rig, int64_t us);
void rig_collect(struct rig *rig);
/* Takes of what waits to be written. */
void rig_take(struct rig *rig);
/* Bytes on the line, the first at at_us where the line is paced, all at once else. */
void rig_say(struct rig *rig, int64_t at_us, const void *bytes, size_t size);
/* The right answer to the request into frame; returns its size. */
size_t rig_answer(const struct heard_request *request, bool tcp, uint8_t *frame);
/* The same of an exception; room for 9 bytes. */
size_t rig_refusal(const struct heard_request *request, bool tcp, uint8_t code, uint8_t *frame);
/* Loses the link; it may be opened again. */
void rig_lose(struct rig *rig, int error);
int64_t rig_char_us(const struct rig *rig);

#endif
