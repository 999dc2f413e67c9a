/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/spoil.h"

#include <string.h>

#include "sim/field/sim.h"
#include "util/alloc.h"

struct parting {
	struct list link;
	struct timer timer;
	struct spoilt *spoilt;
	size_t size;
	uint8_t bytes[];
};

void spoilt_init(struct spoilt *spoilt, struct line *line,
	void (*put)(struct line *line, const void *bytes, size_t size))
{
	spoilt->line = line;
	spoilt->put = put;
	list_init(&spoilt->waiting);
}

static void forget(struct parting *parting)
{
	list_remove(&parting->link);
	loop_disarm(parting->spoilt->line->sim->loop, &parting->timer);
	free(parting);
}

void spoilt_clear(struct spoilt *spoilt)
{
	list_for_each (link, &spoilt->waiting)
		forget(container_of(link, struct parting, link));
}

static void goes(struct timer *timer, int64_t now_us)
{
	struct parting *parting = container_of(timer, struct parting, timer);
	struct spoilt *spoilt = parting->spoilt;
	spoilt->put(spoilt->line, parting->bytes, parting->size);
	forget(parting);
}

static void put_later(struct spoilt *spoilt, const uint8_t *bytes, size_t size, int64_t us)
{
	struct loop *loop = spoilt->line->sim->loop;
	struct parting *parting = must_alloc(sizeof(*parting) + size);
	parting->timer.expired = goes;
	parting->spoilt = spoilt;
	parting->size = size;
	memcpy(parting->bytes, bytes, size);
	list_append(&spoilt->waiting, &parting->link);
	loop_arm(loop, &parting->timer, loop_now(loop) + us);
}

static size_t cut_of(const struct fault *fault, struct dice *dice, size_t size)
{
	size_t missing = fault->bytes ? fault->bytes : 1 + dice_below(dice, (uint32_t)size);
	return missing < size ? size - missing : 0;
}

static void befall(
	struct spoilt *spoilt, const struct fault *fault, const uint8_t *bytes, size_t size)
{
	struct dice *dice = &spoilt->line->sim->dice;
	OWNED uint8_t *copy = must_memdup(bytes, size);
	int64_t ms = fault->ms * USEC_PER_MSEC;
	switch (fault->kind) {
	case FAULT_SILENCE:
	case FAULT_LOST:
		return;
	case FAULT_LATE:
		put_later(spoilt, bytes, size, ms);
		return;
	case FAULT_CUT:
		size = cut_of(fault, dice, size);
		break;
	case FAULT_CORRUPT:
		copy[dice_below(dice, (uint32_t)size)] ^= (uint8_t)(1u << dice_below(dice, 8));
		break;
	case FAULT_REPEAT:
		spoilt->put(spoilt->line, copy, size);
		break;
	case FAULT_DRIP:
		for (size_t i = 0; i < size; i++)
			put_later(spoilt, bytes + i, 1, (int64_t)i * ms);
		return;
	default:
		break;
	}
	if (size)
		spoilt->put(spoilt->line, copy, size);
}

void spoilt_put(struct spoilt *spoilt, const uint8_t *bytes, size_t size)
{
	struct line *line = spoilt->line;
	struct sim *sim = line->sim;
	struct victim victim = { .line = line->name, .framing = FRAMING_RTU };
	const struct fault *fault = !size || list_empty(&sim->faults)
		? NULL
		: fault_choose(&sim->faults, &sim->dice, &victim);
	line->total.faults += fault != NULL;
	if (fault)
		befall(spoilt, fault, bytes, size);
	else
		spoilt->put(line, bytes, size);
}
