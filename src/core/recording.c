/* SPDX-License-Identifier: Apache-2.0 */
#include "core/recording.h"

#include <inttypes.h>
#include <time.h>

#include "util/clock.h"
#include "util/json.h"

static void put_link(struct buffer *text, const struct conf_link *link)
{
	if (link->type == CONF_LINK_TCP)
		buffer_printf(text, "# link tcp %s %u\n", link->host ? link->host : "?",
			(unsigned)link->port);
	else
		buffer_printf(text, "# link serial %s %" PRIu32 " %u%c%u\n",
			link->path ? link->path : "?", link->baud, (unsigned)link->data_bits,
			conf_parity_letter(link->parity), (unsigned)link->stop_bits);
}

void recording_begin(struct buffer *text, const struct conf_bus *bus)
{
	buffer_printf(text, "# enos-bridge recording 1\n# bus %s\n# plugin %s\n# options ",
		bus->name, bus->plugin->name);
	json_print_value(text, bus->options.data, bus->options.size);
	buffer_put_byte(text, '\n');
	put_link(text, &bus->link);
}

static void put_time(struct buffer *text, int64_t wall_us)
{
	time_t seconds = (time_t)(wall_us / USEC_PER_SEC);
	struct tm parts;
	gmtime_r(&seconds, &parts);
	buffer_printf(text, "%04d-%02d-%02d %02d:%02d:%02d.%06d", parts.tm_year + 1900,
		parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
		(int)(wall_us % USEC_PER_SEC));
}

void recording_put(struct buffer *text, const struct recorded_frame *frame, int64_t before_us)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *bytes = frame->bytes;
	put_time(text, frame->wall_us);
	double ms = before_us ? (double)(frame->wall_us - before_us) / USEC_PER_MSEC : 0;
	buffer_printf(text, "  %+11.3f  %s ", ms, frame->direction);
	uint8_t *to = buffer_reserve(text, 3 * frame->size + 1);
	for (size_t i = 0; i < frame->size; i++) {
		*to++ = ' ';
		*to++ = (uint8_t)digits[bytes[i] >> 4];
		*to++ = (uint8_t)digits[bytes[i] & 15];
	}
	text->size += 3 * frame->size;
	buffer_put_text(text, "  ; ");
	if (frame->device && *frame->device)
		buffer_printf(text, "%s: ", frame->device);
	if (frame->note)
		buffer_put_text(text, frame->note);
	if (frame->whole > frame->size)
		buffer_printf(text, " (of %zu bytes)", frame->whole);
	buffer_put_byte(text, '\n');
}
