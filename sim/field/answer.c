/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/answer.h"

#include <string.h>

bool answer_is_done(const struct fault *fault)
{
	if (!fault)
		return true;
	switch (fault->kind) {
	case FAULT_SILENCE:
	case FAULT_EXCEPTION:
	case FAULT_ECHO_ONLY:
	case FAULT_CLOSE:
		return false;
	default:
		return true;
	}
}

static void put(struct answer *answer, const uint8_t *bytes, size_t size)
{
	memcpy(answer->bytes + answer->size, bytes, size);
	answer->size += size;
}

static void put_frame(struct answer *answer, enum framing framing, const struct adu *reply)
{
	answer->size += frame_build(framing, reply, answer->bytes + answer->size);
}

static void put_noise(struct answer *answer, struct dice *dice, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		answer->bytes[answer->size++] = (uint8_t)dice_roll(dice);
}

static bool is_read(const struct adu *reply)
{
	uint8_t function = reply->pdu[0];
	return (function >= 1 && function <= 4) || function == 23;
}

static void swap_function(struct adu *reply)
{
	static const uint8_t others[] = { [1] = 2, [2] = 1, [3] = 4, [4] = 3, [5] = 6, [6] = 5 };
	uint8_t function = reply->pdu[0];
	if (function < sizeof(others) && others[function])
		reply->pdu[0] = others[function];
	else
		reply->pdu[0] = function == 16 ? 15 : 16;
}

/* One register, or eight bits, less than asked; more where there is just one. */
static void change_count(struct adu *reply)
{
	uint8_t step = reply->pdu[0] <= 2 ? 1 : 2;
	if (reply->pdu[1] > step) {
		reply->pdu[1] = (uint8_t)(reply->pdu[1] - step);
		reply->size = (uint8_t)(reply->size - step);
		return;
	}
	memset(reply->pdu + reply->size, 0xee, step);
	reply->pdu[1] = (uint8_t)(reply->pdu[1] + step);
	reply->size = (uint8_t)(reply->size + step);
}

/* A whole frame that is not the answer; its data are inverted, so that whoever believes it shows. */
static struct adu make_foreign(const struct adu *reply, enum foreign what)
{
	struct adu foreign = *reply;
	bool read = is_read(reply);
	for (size_t i = 2; read && i < foreign.size; i++)
		foreign.pdu[i] = (uint8_t)~foreign.pdu[i];
	switch (what) {
	case FOREIGN_UNIT:
		foreign.unit = (uint8_t)(foreign.unit % 247 + 1);
		break;
	case FOREIGN_FUNCTION:
		swap_function(&foreign);
		break;
	case FOREIGN_COUNT:
		if (read)
			change_count(&foreign);
		else if (foreign.size > 2)
			foreign.pdu[2] ^= 1; /* a write to the address beside */
		break;
	}
	return foreign;
}

static void corrupt(struct answer *answer, enum framing framing, struct dice *dice)
{
	/* Modbus TCP leaves data to TCP's checksum; what a receiver can see is a broken header. */
	size_t at = framing == FRAMING_TCP ? 2 + dice_below(dice, 2)
					   : dice_below(dice, (uint32_t)answer->size);
	answer->bytes[at] ^= (uint8_t)(1u << dice_below(dice, framing == FRAMING_ASCII ? 5 : 8));
}

static void cut(struct answer *answer, const struct fault *fault, struct dice *dice)
{
	size_t missing = fault->bytes;
	if (!missing)
		missing = 1 + dice_below(dice, (uint32_t)answer->size - 1);
	answer->size -= missing < answer->size ? missing : answer->size - 1;
}

static void put_again(struct answer *answer, enum framing framing, const struct adu *reply)
{
	answer->pause_at = answer->size;
	put_frame(answer, framing, reply);
}

static void put_foreign(struct answer *answer, const struct fault *fault, enum framing framing,
	const struct adu *reply)
{
	struct adu foreign = make_foreign(reply, fault->what);
	put_frame(answer, framing, &foreign);
	if (fault->also)
		put_again(answer, framing, reply);
}

static void put_shifted(struct answer *answer, enum framing framing, const struct adu *reply)
{
	struct adu other = *reply;
	other.transaction++;
	put_frame(answer, framing, &other);
}

void answer_build(struct answer *answer, const struct fault *fault, struct dice *dice,
	enum framing framing, const uint8_t *request, size_t request_size, const struct adu *reply)
{
	answer->kind = fault ? (int)fault->kind : -1;
	answer->close = false;
	answer->delay_us = answer->drip_us = 0;
	answer->size = answer->pause_at = 0;
	switch (answer->kind) {
	case FAULT_SILENCE:
	case FAULT_LOST:
		return;
	case FAULT_CLOSE:
		answer->close = true;
		return;
	case FAULT_ECHO:
	case FAULT_ECHO_ONLY:
		put(answer, request, request_size);
		if (answer->kind == FAULT_ECHO)
			put_again(answer, framing, reply);
		return;
	case FAULT_FOREIGN:
		put_foreign(answer, fault, framing, reply);
		return;
	case FAULT_TRANSACTION:
		put_shifted(answer, framing, reply);
		return;
	case FAULT_NOISE:
		put_noise(answer, dice, fault->before);
		put_frame(answer, framing, reply);
		put_noise(answer, dice, fault->after);
		return;
	}
	put_frame(answer, framing, reply);
	if (answer->kind == FAULT_REPEAT)
		put_again(answer, framing, reply);
	else if (answer->kind == FAULT_CUT)
		cut(answer, fault, dice);
	else if (answer->kind == FAULT_CORRUPT)
		corrupt(answer, framing, dice);
	else if (answer->kind == FAULT_LATE)
		answer->delay_us = (int64_t)fault->ms * 1000;
	else if (answer->kind == FAULT_DRIP)
		answer->drip_us = (int64_t)fault->ms * 1000;
}
