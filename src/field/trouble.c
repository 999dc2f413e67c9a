/* SPDX-License-Identifier: Apache-2.0 */
#include "field/trouble.h"

#include "core/plugin.h"
#include "core/recording.h"
#include "field/answers.h"
#include "field/bus.h"

/* An error is the first of its kind again after so long without one. */
#define FORGOTTEN_S 3600
/* What follows an error tells as much as what led to it: a late answer, or none. */
#define AFTERMATH_US (3 * USEC_PER_SEC)

/* Of a device that is gone for good the hour goes on: its error is one, not one an hour. */
static bool is_first(struct bus *bus, uint32_t error)
{
	uint32_t now_s = (uint32_t)(bus_now(bus) / USEC_PER_SEC) + 1;
	uint32_t last_s = bus->error_s[error];
	bus->error_s[error] = now_s;
	return !last_s || now_s - last_s > FORGOTTEN_S;
}

/* So many an hour all in all: a thousand connections lost at once fill no flash. */
static bool in_budget(struct plane *plane)
{
	int64_t now = loop_now(plane->loop);
	if (now - plane->evidence_since_us > FORGOTTEN_S * USEC_PER_SEC ||
		!plane->evidence_since_us) {
		plane->evidence_since_us = now;
		plane->evidence_count = 0;
	}
	return plane->evidence_count < plane->conf->gateway.evidence_files;
}

static void tell(struct bus *bus)
{
	struct trace_view view = answer_view(bus);
	uint32_t error = bus->trouble;
	struct evidence *evidence = evidence_create(bus->number, error);
	bus->trouble = EB_NONE;
	evidence->stamp = plane_stamp(bus->plane, bus_now(bus));
	recording_begin(&evidence->text, bus->conf);
	buffer_printf(&evidence->text, "# the first error of class %s within an hour\n",
		error_class_name(error));
	trace_record(&bus->trace, &view, &evidence->text);
	mailbox_put(bus->plane->outbox, &evidence->mail);
}

static void aftermath_over(struct timer *timer, int64_t now_us)
{
	tell(container_of(timer, struct bus, trouble_timer));
}

void trouble_note(struct bus *bus, uint32_t error)
{
	if (error >= EB_ERROR_CLASSES || !is_first(bus, error) || bus->trouble ||
		!in_budget(bus->plane))
		return;
	bus->plane->evidence_count++;
	bus->trouble = (uint8_t)error;
	bus->trouble_timer.expired = aftermath_over;
	loop_arm(bus->plane->loop, &bus->trouble_timer, bus_now(bus) + AFTERMATH_US);
}

void trouble_finish(struct bus *bus)
{
	loop_disarm(bus->plane->loop, &bus->trouble_timer);
	if (bus->trouble)
		tell(bus);
}
