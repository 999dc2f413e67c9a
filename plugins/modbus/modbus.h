/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modbus, after "MODBUS Application Protocol Specification V1.1b3", "MODBUS over Serial Line
 * V1.02" and "MODBUS Messaging on TCP/IP Implementation Guide V1.0b".
 *
 * A request's private data is its PDU as it goes onto the wire, function code first: frames wrap it,
 * answers are compared with it.  A device's address is its unit id, one byte.
 */
#ifndef EB_PLUGIN_MODBUS_H
#define EB_PLUGIN_MODBUS_H

#include <stdbool.h>

#include <enos-bridge/plugin.h>

enum function {
	READ_COILS = 1,
	READ_DISCRETE_INPUTS = 2,
	READ_HOLDING_REGISTERS = 3,
	READ_INPUT_REGISTERS = 4,
	WRITE_COIL = 5,
	WRITE_REGISTER = 6,
	WRITE_COILS = 15,
	WRITE_REGISTERS = 16,
	MASK_WRITE_REGISTER = 22,
	READ_WRITE_REGISTERS = 23,
};

#define EXCEPTION_FLAG 0x80u
#define PDU_MAX 253u

enum framing { FRAMING_RTU, FRAMING_ASCII, FRAMING_TCP };

/* The last read that another master sent and that nobody has answered yet. */
struct heard {
	bool waiting;
	uint8_t unit;
	uint8_t pdu[5];
};

/* The state of a bus. */
struct modbus {
	enum framing framing;
	bool listen;
	uint32_t silence_us; /* that ends a frame which was cut off; 0: only the deadline does */
	struct heard heard;
};

static inline uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* Fills in a verdict but for the bytes that it consumes. */
static inline void say(struct eb_verdict *verdict, uint32_t kind, uint32_t error)
{
	verdict->kind = kind;
	verdict->error = error;
}

/* ---- pdu.c ---------------------------------------------------------------------------------- */

bool pdu_is_read(const uint8_t *pdu);
bool pdu_is_bits(const uint8_t *pdu);
/* Whether the answer to this request is the request again. */
bool pdu_answer_is_echo(const uint8_t *request);
/* The size of the answer that the request asks for, and of the contents in it. */
uint32_t pdu_answer_size(const uint8_t *request);
uint32_t pdu_content_size(const uint8_t *request);
/*
 * The size of the PDU that begins here, taken for an answer or for a request; 0 where the bytes that
 * are there do not say.
 */
size_t pdu_size_as_answer(const uint8_t *pdu, size_t size);
size_t pdu_size_as_request(const uint8_t *pdu, size_t size);
/* Whether what there is of an answer can be the beginning of the one that was asked for. */
bool pdu_begins_answer(const uint8_t *request, const uint8_t *pdu, size_t size);
/* Copies the contents of an answer to the request; returns their size. */
uint32_t pdu_content(const uint8_t *request, const uint8_t *answer, uint8_t *content);
/*
 * The verdict on one whole frame, outstanding[index] being asked for or, below 0, nothing: an answer,
 * an exception, or noise of some class.
 */
void pdu_judge(const struct eb_input *input, int index, uint8_t unit, const uint8_t *pdu,
	size_t size, struct eb_verdict *verdict);

/* ---- request.c, range.c ---------------------------------------------------------------------- */

int modbus_request(const void *state, const struct eb_settings *settings,
	struct eb_request *request, struct eb_error *error);
/* Sets the sizes of a request with its PDU in data. */
void modbus_measure(const struct modbus *bus, struct eb_request *request, uint32_t pdu_size);
void modbus_describe(const void *state, const struct eb_request *request, char *text, size_t room);
int modbus_match(const void *state, const struct eb_request *declared,
	const struct eb_verdict *unasked, uint8_t *content);
int modbus_merge(const void *state, const struct eb_request *a, const struct eb_request *b,
	uint32_t hole, struct eb_request *merged);
int modbus_cut(const void *state, const struct eb_request *merged, const struct eb_request *part,
	const uint8_t *content, size_t size, uint8_t *out);

/* ---- target.c -------------------------------------------------------------------------------- */

int modbus_target(const void *state, const struct eb_request *write, struct eb_target *target);
int modbus_read_back(const void *state, const struct eb_request *write, struct eb_request *read);
int modbus_numbers(const void *state, const struct eb_request *read, const uint8_t *content,
	size_t size, int64_t *numbers);

/* ---- framings -------------------------------------------------------------------------------- */

uint16_t rtu_crc(const uint8_t *bytes, size_t size);
int rtu_encode(const struct eb_request *request, uint8_t *frame);
void rtu_receive(struct modbus *bus, const struct eb_input *input, struct eb_verdict *verdict);
int ascii_encode(const struct eb_request *request, uint8_t *frame);
void ascii_receive(struct modbus *bus, const struct eb_input *input, struct eb_verdict *verdict);
int tcp_encode(const struct eb_request *request, uint32_t tag, uint8_t *frame);
void tcp_receive(const struct eb_input *input, struct eb_verdict *verdict);

/* ---- listen.c -------------------------------------------------------------------------------- */

/* The size of the PDU that begins here, as the answer or the request that is due; 0 unknown. */
size_t listen_size(const struct modbus *bus, uint8_t unit, const uint8_t *pdu, size_t size);
/*
 * So many bytes were no frame.  Unless they are too few for one, they may have been the next request:
 * what follows must not be taken for the answer to the one before.
 */
void listen_lost(struct modbus *bus, size_t size);
/* One whole frame between others: pairs requests and answers. */
void listen_judge(struct modbus *bus, const struct eb_input *input, uint8_t unit,
	const uint8_t *pdu, size_t size, struct eb_verdict *verdict);

#endif
