/* SPDX-License-Identifier: Apache-2.0 */
#include "field/trouble.h"

#include "core/plugin.h"
#include "core/recording.h"
#include "field/answers.h"
#include "field/bus.h"
#include "util/alloc.h"

/* An error is the first of its kind again after so long without one. */
#define FORGOTTEN_S 3600
/* What follows an error tells as much as what led to it: a late answer, or none. */
#define AFTERMATH_US (3 * USEC_PER_SEC)

/* Of a bus that had an error; most never have one. */
struct trouble {
	struct bus *bus;
	struct timer timer;
	uint32_t error; /* the class whose evidence is being gathered; EB_NONE */
	uint32_t noise_s, noise_bytes; /* of which second, and how much */
	uint32_t met_s[EB_ERROR_CLASSES]; /* when last, 1 + s of the loop's time; 0: never */
};

/* Of a device that is gone for good the hour goes on: its error is one, not one an hour. */
static bool is_first(struct trouble *trouble, uint32_t error)
{
	uint32_t now_s = (uint32_t)(bus_now(trouble->bus) / USEC_PER_SEC) + 1;
	uint32_t last_s = trouble->met_s[error];
	trouble->met_s[error] = now_s;
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
	uint32_t error = bus->trouble->error;
	struct evidence *evidence = evidence_create(bus->number, error);
	bus->trouble->error = EB_NONE;
	evidence->stamp = plane_stamp(bus->plane, bus_now(bus));
	recording_begin(&evidence->text, bus->conf);
	buffer_printf(&evidence->text, "# the first error of class %s within an hour\n",
		error_class_name(error));
	trace_record(&bus->trace, &view, &evidence->text);
	mailbox_put(bus->plane->outbox, &evidence->mail);
}

static void aftermath_over(struct timer *timer, int64_t now_us)
{
	tell(container_of(timer, struct trouble, timer)->bus);
}

static struct trouble *trouble_of(struct bus *bus)
{
	if (bus->trouble)
		return bus->trouble;
	bus->trouble = must_alloc(sizeof(*bus->trouble));
	bus->trouble->bus = bus;
	bus->trouble->timer.expired = aftermath_over;
	return bus->trouble;
}

uint32_t trouble_noise(struct bus *bus, size_t size)
{
	struct trouble *trouble = trouble_of(bus);
	uint32_t now_s = (uint32_t)(bus_now(bus) / USEC_PER_SEC);
	if (trouble->noise_s != now_s)
		trouble->noise_bytes = 0;
	trouble->noise_s = now_s;
	trouble->noise_bytes += (uint32_t)size;
	return trouble->noise_bytes;
}

void trouble_note(struct bus *bus, uint32_t error)
{
	if (error >= EB_ERROR_CLASSES)
		return;
	struct trouble *trouble = trouble_of(bus);
	if (!is_first(trouble, error) || trouble->error || !in_budget(bus->plane))
		return;
	bus->plane->evidence_count++;
	trouble->error = error;
	loop_arm(bus->plane->loop, &trouble->timer, bus_now(bus) + AFTERMATH_US);
}

void trouble_forget(struct bus *bus)
{
	if (bus->trouble)
		loop_disarm(bus->plane->loop, &bus->trouble->timer);
	free(TAKE(bus->trouble));
}

void trouble_finish(struct bus *bus)
{
	if (!bus->trouble)
		return;
	loop_disarm(bus->plane->loop, &bus->trouble->timer);
	if (bus->trouble->error)
		tell(bus);
}
