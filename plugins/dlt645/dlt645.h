/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DL/T 645-2007, "Multi-function watt-hour meter communication protocol", the Chinese power industry's
 * standard: a master asks, the meter that is addressed answers.
 *
 *	FE FE FE FE		wakes the receiver: four from a master, none to four from meters
 *	68
 *	A0 ... A5		address, 12 decimal digits, the last two first
 *	68
 *	C			control: 80H answer, 40H refusal, 20H more follows, 1FH function
 *	L			size of the data, 200 at the most, 50 in a write
 *	data			each byte with 33H added
 *	CS			sum of all bytes from the first 68
 *	16
 *
 *	function	asks						answers
 *	read		11: DI0 ... DI3, parameters			91, B1: DI0 ... DI3, data
 *	read on		12: DI0 ... DI3, SEQ				92, B2: DI0 ... DI3, data, SEQ
 *	read address	13: nothing, to AAAAAAAAAAAA			93: A0 ... A5
 *	write		14: DI0 ... DI3, PA P0 P1 P2, C0 ... C3, data	94: nothing
 *	set all clocks	08: ss mm hh DD MM YY, to 999999999999		nothing
 *	any								D1, D2, D4: error byte
 *
 * SEQ counts from 1 and comes back as it was asked.  Pairs of AA at the front of an address stand for any
 * digits; the answer has the meter's own.  A meter answers after 20 to 500 ms and leaves at most
 * 500 ms between two bytes of a frame.
 *
 * A device's address is its six bytes as they are on the wire.  A request's private data is what its
 * frame is made of: the control code, then the data without the 33H.
 */
#ifndef EB_PLUGIN_DLT645_H
#define EB_PLUGIN_DLT645_H

#include <stdbool.h>

#include <enos-bridge/plugin.h>

#define ADDRESS_SIZE 6u
#define DATA_MAX 200u
#define WRITE_MAX 50u
#define HEAD_SIZE 10u /* to the length */
#define TAIL_SIZE 2u
#define WAKE 0xfe
#define WAKE_MAX 16u
#define ID_SIZE 4u

#define ANY 0xaa
#define ALL 0x99

enum function {
	SET_CLOCKS = 0x08,
	READ = 0x11,
	READ_ON = 0x12,
	READ_ADDRESS = 0x13,
	WRITE = 0x14,
};

#define CONTROL_FUNCTION 0x1fu
#define CONTROL_MORE 0x20u
#define CONTROL_REFUSED 0x40u
#define CONTROL_ANSWER 0x80u

/* The state of a bus. */
struct dlt645 {
	uint32_t wake_up; /* bytes in front of a request */
};

const struct eb_value *dlt645_setting(const struct eb_settings *settings, const char *key);
int dlt645_address(const void *state, const struct eb_settings *device, struct eb_address *address,
	struct eb_error *error);
int dlt645_request(const void *state, const struct eb_settings *settings,
	struct eb_request *request, struct eb_error *error);
void dlt645_describe(const void *state, const struct eb_request *request, char *text, size_t room);

/* The frame of the control code and its data to an address; returns its size. */
uint32_t dlt645_frame(const struct dlt645 *bus, const struct eb_address *address, uint8_t control,
	const uint8_t *data, uint32_t size, uint8_t *frame);
uint8_t dlt645_sum(const uint8_t *bytes, size_t size);
int dlt645_encode(void *state, const struct eb_outstanding *outstanding, uint8_t *frame);
void dlt645_receive(void *state, const struct eb_input *input, struct eb_verdict *verdict);

#endif
