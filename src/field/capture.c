/* SPDX-License-Identifier: Apache-2.0 */
#include "field/capture.h"

#include <inttypes.h>

#include "core/recording.h"
#include "field/answers.h"
#include "field/bus.h"
#include "util/alloc.h"
#include "util/json.h"

/* Text that may wait to be fetched: a second of the busiest serial line, several times over. */
#define ROOM (512u << 10)
/* Who was not heard of for so long does not come back. */
#define GONE_US (10 * USEC_PER_SEC)

struct capture {
	uint64_t who;
	int64_t asked_us; /* it came last */
	int64_t before_us; /* of the last line */
	int64_t wall_us; /* the wall clock less the monotonic: fixed, so that no step spoils the times */
	uint64_t lost; /* frames without room since it came */
	struct buffer text;
};

void capture_destroy(struct capture *capture)
{
	if (!capture)
		return;
	buffer_finish(&capture->text);
	free(capture);
}

static void end(struct bus *bus)
{
	capture_destroy(bus->capture);
	bus->capture = NULL;
}

static void begin(struct bus *bus, uint64_t who)
{
	struct capture *capture = must_alloc(sizeof(*capture));
	struct trace_view view = answer_view(bus);
	capture->who = who;
	capture->wall_us = view.wall_ms * USEC_PER_MSEC - view.mono_us;
	recording_begin(&capture->text, bus->conf);
	bus->capture = capture;
}

void capture_answer(struct bus *bus, uint64_t who, bool ends, struct buffer *json)
{
	int64_t now = bus_now(bus);
	struct capture *capture = bus->capture;
	if (capture && capture->who != who && now - capture->asked_us > GONE_US)
		end(bus);
	if (bus->capture && bus->capture->who != who) {
		buffer_put_text(json, "{\"busy\":true}");
		return;
	}
	if (!bus->capture)
		begin(bus, who);
	capture = bus->capture;
	capture->asked_us = now;
	buffer_put_text(json, "{\"text\":");
	json_put_string(json, capture->text.data, capture->text.size);
	buffer_printf(json, ",\"lost\":%" PRIu64 "}", capture->lost);
	buffer_finish(&capture->text);
	capture->lost = 0;
	if (ends)
		end(bus);
}

void capture_put(struct bus *bus, const struct trace_frame *frame)
{
	struct capture *capture = bus->capture;
	if (frame->mono_us - capture->asked_us > GONE_US) {
		end(bus);
		return;
	}
	if (capture->text.size >= ROOM) {
		capture->lost++;
		return;
	}
	struct trace_view view = answer_view(bus);
	view.mono_us = 0;
	view.wall_ms = capture->wall_us / USEC_PER_MSEC;
	trace_record_frame(frame, &view, &capture->before_us, &capture->text);
}
