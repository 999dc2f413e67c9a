/* SPDX-License-Identifier: Apache-2.0 */
#include "field/echo.h"

#include <string.h>

#include "field/trouble.h"
#include "util/log.h"

static void found(struct bus *bus)
{
	if (bus->conf->link.echo != ANSWER_AUTO)
		return;
	bus->stats.errors[EB_ECHO]++;
	trouble_note(bus, EB_ECHO);
	if (bus->echo == ECHO_PRESENT)
		return;
	bus->echo = ECHO_PRESENT;
	log_warning("%s: the line gives back what is sent: set link.echo = true if the adapter "
		    "does that, else check its wiring",
		bus_name(bus));
}

enum echo_finding echo_examine(struct bus *bus, struct transaction *transaction,
	const uint8_t *bytes, size_t size, bool silent)
{
	size_t frame_size = transaction->frame_size;
	bool write = transaction->request->wire.flags & EB_WRITE;
	if (transaction->echo == ECHO_ABSENT || transaction->echo == ECHO_STRIPPED)
		return ECHO_PASS;
	if (memcmp(bytes, transaction->frame, size < frame_size ? size : frame_size) != 0 ||
		(size < frame_size && silent)) {
		transaction->echo = ECHO_ABSENT;
		return ECHO_PASS;
	}
	if (size < frame_size)
		return ECHO_WAIT;
	bool expected = bus->conf->link.echo == ANSWER_YES || bus->echo == ECHO_PRESENT;
	if (write && !expected && bus->echo == ECHO_NONE) {
		transaction->echo = ECHO_ABSENT;
		return ECHO_PASS;
	}
	/* It is held until more comes, which tells that it was no answer, or until the deadline. */
	if (write && !expected && size == frame_size &&
		!(transaction->request->wire.flags & EB_NO_ANSWER)) {
		transaction->echo = ECHO_HELD;
		return ECHO_WAIT;
	}
	transaction->echo = ECHO_STRIPPED;
	found(bus);
	return ECHO_STRIP;
}

void echo_answered(struct bus *bus, const struct transaction *transaction)
{
	bool write = transaction->request->wire.flags & EB_WRITE;
	if (!write && transaction->echo == ECHO_ABSENT && transaction->frame)
		bus->echo = ECHO_NONE;
}
