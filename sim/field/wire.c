/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/wire.h"

#define NSEC_PER_SEC INT64_C(1000000000)
#define GAP_FIXED_ABOVE 19200 /* baud */
#define GAP_FIXED_NS 1750000
/* A UART's buffer hands bytes over in groups too. */
#define GROUP_NS 500000

/* Up, so that nothing is through before its time. */
static int64_t to_us(int64_t ns)
{
	return (ns + 999) / 1000;
}

void wire_init(struct wire *wire, uint32_t baud, uint32_t char_bits, enum framing framing)
{
	*wire = (struct wire){ .busy_ns = INT64_MIN / 2 };
	if (!baud)
		return;
	wire->char_ns = char_bits * NSEC_PER_SEC / baud;
	if (framing == FRAMING_RTU)
		wire->gap_ns = baud > GAP_FIXED_ABOVE ? GAP_FIXED_NS : wire->char_ns * 7 / 2;
}

int64_t wire_silence_us(const struct wire *wire, int64_t now_us)
{
	return now_us - to_us(wire->busy_ns);
}

void wire_hear(struct wire *wire, int64_t now_us, size_t size)
{
	int64_t now_ns = now_us * 1000;
	if (wire->busy_ns < now_ns)
		wire->busy_ns = now_ns;
	wire->busy_ns += (int64_t)size * wire->char_ns;
}

int64_t wire_heard_us(const struct wire *wire)
{
	return to_us(wire->busy_ns + wire->gap_ns);
}

/* When the first count bytes are through. */
static int64_t through_ns(const struct wire *wire, const struct sending *sending, size_t count)
{
	int64_t ns = sending->start_ns + (int64_t)count * sending->step_ns;
	return sending->pause_at && count > sending->pause_at ? ns + wire->gap_ns : ns;
}

void wire_send(struct wire *wire, struct sending *sending, int64_t from_us, int64_t drip_us)
{
	int64_t from_ns = from_us * 1000;
	int64_t free_ns = wire->busy_ns + wire->gap_ns;
	sending->start_ns = from_ns > free_ns ? from_ns : free_ns;
	sending->step_ns = drip_us * 1000 > wire->char_ns ? drip_us * 1000 : wire->char_ns;
	wire->busy_ns = through_ns(wire, sending, sending->size);
}

int64_t wire_sent_us(const struct wire *wire, const struct sending *sending)
{
	return to_us(through_ns(wire, sending, sending->size));
}

size_t wire_through(const struct wire *wire, const struct sending *sending, int64_t now_us)
{
	int64_t ns = now_us * 1000;
	size_t low = 0, high = sending->size;
	while (low < high) {
		size_t middle = (low + high + 1) / 2;
		if (through_ns(wire, sending, middle) <= ns)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

int64_t wire_next_us(const struct wire *wire, const struct sending *sending, size_t sent)
{
	size_t group = 1;
	if (sending->step_ns > 0 && sending->step_ns < GROUP_NS)
		group = (size_t)(GROUP_NS / sending->step_ns);
	size_t until = sent + group < sending->size ? sent + group : sending->size;
	return to_us(through_ns(wire, sending, until));
}

int64_t wire_least_ns(const struct wire *wire, size_t characters)
{
	return (int64_t)characters * wire->char_ns + 2 * wire->gap_ns;
}
