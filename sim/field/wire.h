/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time that characters take on a serial line, computed: when a request is over, when each byte
 * of an answer is through, whether a request kept the silence of 3.5 characters (1.75 ms above 19200
 * baud).  Knows no descriptor and asks for no time.
 */
#ifndef EB_SIM_FIELD_WIRE_H
#define EB_SIM_FIELD_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/field/frame.h"

struct wire {
	int64_t char_ns; /* 0: the line is not paced */
	int64_t gap_ns; /* t3.5; 0 with ASCII, whose frames end by themselves */
	int64_t busy_ns; /* until then characters are on the line */
};

/* baud 0: not paced. char_bits: start, data, parity and stop bits. */
void wire_init(struct wire *wire, uint32_t baud, uint32_t char_bits, enum framing framing);

/* How long the line had been silent when bytes that were read at now_us began; negative: not yet. */
int64_t wire_silence_us(const struct wire *wire, int64_t now_us);
/* Puts size characters, of which the first began at now_us at the earliest, behind what is on the line. */
void wire_hear(struct wire *wire, int64_t now_us, size_t size);
/* When what was heard is a whole frame: its last character, and the silence after it. */
int64_t wire_heard_us(const struct wire *wire);

/* A run of bytes that a unit sends. */
struct sending {
	int64_t start_ns;
	int64_t step_ns; /* per character */
	size_t pause_at; /* a silence stands before this byte; 0: nowhere */
	size_t size;
};

/* Gives the line to a sending that may begin at from_us; drip_us: instead of the line's own pace. */
void wire_send(struct wire *wire, struct sending *sending, int64_t from_us, int64_t drip_us);
/* When its last byte is through. */
int64_t wire_sent_us(const struct wire *wire, const struct sending *sending);
/* How many of its bytes are through at now_us. */
size_t wire_through(const struct wire *wire, const struct sending *sending, int64_t now_us);
/*
 * When to look again, after sent bytes: at the next byte, or for fast lines after as many as pass in
 * half a millisecond, but at the last one in time.
 */
int64_t wire_next_us(const struct wire *wire, const struct sending *sending, size_t sent);

/* The least time that a request and its answer take of the line, with the silence after each. */
int64_t wire_least_ns(const struct wire *wire, size_t characters);

#endif
