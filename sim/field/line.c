/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/line.h"

#include <errno.h>
#include <string.h>

#include "sim/field/function.h"
#include "sim/field/sim.h"
#include "sim/field/transcript.h"
#include "sim/field/wait.h"
#include "util/alloc.h"
#include "util/json.h"

void line_init(struct line *line, struct sim *sim, const struct line_kind *kind, const char *name,
	enum framing framing)
{
	line->sim = sim;
	line->kind = kind;
	line->name = must_strdup(name);
	line->framing = framing;
	list_append(&sim->lines, &line->link);
}

void line_destroy(struct line *line)
{
	line_unplug(line);
	line->kind->destroy(line);
	list_remove(&line->link);
	for (size_t i = 0; i < line->unit_count; i++)
		unit_finish(&line->units[i]);
	free(line->units);
	free(line->name);
	free(line);
}

/* The place of the first unit whose id is not below. */
static size_t unit_place(const struct line *line, uint8_t id)
{
	size_t low = 0, high = line->unit_count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (line->units[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct unit *line_unit(const struct line *line, uint8_t id)
{
	size_t place = unit_place(line, id);
	bool found = place < line->unit_count && line->units[place].id == id;
	return found ? &line->units[place] : NULL;
}

int line_add_unit(struct line *line, const struct unit *unit)
{
	if (line_unit(line, unit->id))
		return -EEXIST;
	size_t place = unit_place(line, unit->id);
	line->units = must_realloc(line->units, (line->unit_count + 1) * sizeof(*line->units));
	memmove(line->units + place + 1, line->units + place,
		(line->unit_count - place) * sizeof(*line->units));
	line->units[place] = *unit;
	line->unit_count++;
	return 0;
}

int line_plug(struct line *line)
{
	if (line->plugged)
		return -EALREADY;
	int result = line->kind->plug(line);
	if (result < 0)
		return result;
	line->plugged = true;
	line_event(line, "plug");
	return 0;
}

int line_unplug(struct line *line)
{
	if (!line->plugged)
		return -EALREADY;
	line->kind->unplug(line);
	line->plugged = false;
	for (size_t i = 0; i < line->unit_count; i++)
		line->units[i].busy_until_us = 0;
	line_event(line, "unplug");
	return 0;
}

void line_event(struct line *line, const char *event)
{
	struct transcript *transcript = line->sim->transcript;
	if (transcript_begin(transcript, loop_now(line->sim->loop), line->name, event))
		transcript_end(transcript);
}

static void record_request(struct line *line, const struct adu *request, const uint8_t *frame,
	size_t size, int64_t began_us, int64_t ended_us)
{
	struct transcript *transcript = line->sim->transcript;
	struct buffer *json = transcript_begin(
		transcript, loop_now(line->sim->loop), line->name, "request");
	if (!json)
		return;
	buffer_printf(json, ",\"began\":%lld,\"ended\":%lld,\"unit\":%u,\"function\":%u",
		(long long)began_us, (long long)ended_us, request->unit, request->pdu[0]);
	function_describe(request, json);
	transcript_put_bytes(json, "frame", frame, size);
	transcript_end(transcript);
}

/* A request to unit 0 of a serial line is for all, and nobody answers. */
static void serve_all(struct line *line, const struct adu *request)
{
	struct adu reply;
	int64_t now = loop_now(line->sim->loop);
	for (size_t i = 0; i < line->unit_count && function_writes(request->pdu[0]); i++) {
		line->units[i].requests++;
		function_serve(&line->units[i], request, line->sim->start_us, now, &reply);
	}
}

/* The reply of a unit, and the fault that befalls it; false where nobody answers. */
static bool serve_one(
	struct line *line, const struct adu *request, struct adu *reply, const struct fault **fault)
{
	struct sim *sim = line->sim;
	struct unit *unit = line_unit(line, request->unit);
	if (!unit) {
		line->total.unheard++;
		/* What a gateway says of a unit that it does not reach. */
		function_refuse(request, EXCEPTION_NO_TARGET, reply);
		return line->framing == FRAMING_TCP;
	}
	unit->requests++;
	struct victim victim = { .line = line->name,
		.framing = line->framing,
		.stream = line->kind->stream,
		.unit = request->unit,
		.function = request->pdu[0] };
	*fault = list_empty(&sim->faults) ? NULL : fault_choose(&sim->faults, &sim->dice, &victim);
	if (*fault && (*fault)->kind == FAULT_EXCEPTION)
		function_refuse(request, (uint8_t)(*fault)->code, reply);
	else if (answer_is_done(*fault))
		function_serve(unit, request, sim->start_us, loop_now(sim->loop), reply);
	else
		*reply = *request;
	return true;
}

/* A unit takes its time, and is still at its last answer where that one is late. */
static void delay(struct line *line, struct answer *answer, int64_t now_us)
{
	struct unit *unit = line_unit(line, answer->unit);
	if (!unit)
		return;
	answer->delay_us += unit->delay_us;
	if (unit->jitter_us)
		answer->delay_us += dice_below(&line->sim->dice, unit->jitter_us + 1);
	if (now_us + answer->delay_us < unit->busy_until_us)
		answer->delay_us = unit->busy_until_us - now_us;
	unit->busy_until_us = now_us + answer->delay_us;
}

void line_serve(struct line *line, const struct adu *request, const uint8_t *frame, size_t size,
	int64_t began_us, int64_t ended_us, struct answer *answer)
{
	struct sim *sim = line->sim;
	const struct fault *fault = NULL;
	struct adu reply;
	answer->size = 0;
	answer->kind = -1;
	answer->close = false;
	line->total.requests++;
	if (!line->first_us)
		line->first_us = began_us;
	record_request(line, request, frame, size, began_us, ended_us);
	if (request->unit == 0 && !line->kind->stream) {
		serve_all(line, request);
	} else if (serve_one(line, request, &reply, &fault)) {
		answer_build(answer, fault, &sim->dice, line->framing, frame, size, &reply);
		answer->unit = request->unit;
		answer->function = reply.pdu[0];
		line->total.faults += fault != NULL;
		if (answer->size)
			delay(line, answer, ended_us);
	}
	if (!list_empty(&sim->waits))
		wait_check_all(sim);
}

void line_answered(
	struct line *line, const struct answer *answer, int64_t began_us, int64_t ended_us)
{
	line->total.answers++;
	line->total.exceptions += answer->function >> 7;
	line->last_us = ended_us;
	struct unit *unit = line_unit(line, answer->unit);
	if (unit)
		unit->answers++;
	struct transcript *transcript = line->sim->transcript;
	struct buffer *json = transcript_begin(
		transcript, loop_now(line->sim->loop), line->name, "answer");
	if (!json)
		return;
	buffer_printf(json, ",\"began\":%lld,\"ended\":%lld,\"unit\":%u,\"function\":%u",
		(long long)began_us, (long long)ended_us, answer->unit, answer->function);
	if (answer->kind >= 0)
		buffer_printf(json, ",\"fault\":\"%s\"", fault_name((enum fault_kind)answer->kind));
	transcript_put_bytes(json, "frame", answer->bytes, answer->size);
	transcript_end(transcript);
}

void line_bad(struct line *line, const uint8_t *bytes, size_t size)
{
	line->total.bad++;
	struct transcript *transcript = line->sim->transcript;
	struct buffer *json = transcript_begin(
		transcript, loop_now(line->sim->loop), line->name, "bad");
	if (!json)
		return;
	transcript_put_bytes(json, "bytes", bytes, size);
	transcript_end(transcript);
}

void line_violated(struct line *line, int64_t silence_us, bool dropped)
{
	line->total.violations++;
	struct transcript *transcript = line->sim->transcript;
	struct buffer *json = transcript_begin(
		transcript, loop_now(line->sim->loop), line->name, "violation");
	if (!json)
		return;
	buffer_printf(json, ",\"silence\":%lld,\"dropped\":%s", (long long)silence_us,
		dropped ? "true" : "false");
	transcript_end(transcript);
}

void line_mark(struct line *line)
{
	line->marked = line->total;
	line->first_us = line->last_us = 0;
}

static void print_window(const struct line *line, struct buffer *json)
{
	double seconds = line->last_us > line->first_us && line->first_us
		? (double)(line->last_us - line->first_us) / USEC_PER_SEC
		: 0;
	uint64_t answers = line->total.answers - line->marked.answers;
	buffer_put_text(json, ",\"window\":{\"seconds\":");
	json_put_real(json, seconds);
	buffer_printf(json, ",\"requests\":%llu,\"answers\":%llu",
		(unsigned long long)(line->total.requests - line->marked.requests),
		(unsigned long long)answers);
	if (seconds > 0) {
		double busy_ns = (double)(line->total.busy_ns - line->marked.busy_ns);
		double least_ns = (double)(line->total.least_ns - line->marked.least_ns);
		buffer_put_text(json, ",\"answers_per_second\":");
		json_put_real(json, (double)answers / seconds);
		if (!line->kind->stream) {
			buffer_put_text(json, ",\"busy\":");
			json_put_real(json, busy_ns / 1e9 / seconds);
			buffer_put_text(json, ",\"limit_share\":");
			json_put_real(json, least_ns / 1e9 / seconds);
		}
	}
	buffer_put_byte(json, '}');
}

void line_print(struct line *line, struct buffer *json)
{
	const struct tally *total = &line->total;
	const struct {
		const char *name;
		uint64_t count;
	} counts[] = { { "units", line->unit_count }, { "requests", total->requests },
		{ "answers", total->answers }, { "exceptions", total->exceptions },
		{ "faults", total->faults }, { "unheard", total->unheard }, { "bad", total->bad },
		{ "violations", total->violations }, { "bytes_in", total->bytes_in },
		{ "bytes_out", total->bytes_out } };
	buffer_put_text(json, "{\"line\":");
	json_put_text(json, line->name);
	const char *protocol = line->kind->protocol ? line->kind->protocol(line) : NULL;
	buffer_printf(json, ",\"%s\":\"%s\",\"plugged\":%s", protocol ? "protocol" : "framing",
		protocol ? protocol : framing_name(line->framing),
		line->plugged ? "true" : "false");
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
		buffer_printf(
			json, ",\"%s\":%llu", counts[i].name, (unsigned long long)counts[i].count);
	line->kind->describe(line, json);
	print_window(line, json);
	buffer_put_byte(json, '}');
}
