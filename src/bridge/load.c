/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/load.h"

#include "util/alloc.h"
#include "util/clock.h"

/*
 * Of four turns one is for the next lower rank, where one waits (field/schedule.c): so much of the line
 * can a rank have.
 */
#define RANK_SHARE 0.75
/* Halvings of an interval of seconds, until it is known well enough. */
#define HALVINGS 60
#define INTERVAL_MAX_S 1e6

/*
 * Seconds that one transaction keeps a serial line busy.  Devices have their turn one after the other, so
 * where there are several most requests are to another one than the request before.
 */
static double line_time(
	const struct load *load, const struct codec *codec, const struct eb_request *wire)
{
	const struct conf_bus *bus = load->bus;
	if (!bus->line.baud)
		return 0;
	double character = (double)bus->line.char_bits / bus->line.baud;
	double gaps = 2e-6 * codec->timing.gap_us + 1e-6 * bus->gap_us;
	if (load->devices > 1)
		gaps += 1e-6 * bus->unit_gap_us;
	if (wire->flags & EB_NO_ANSWER)
		gaps += 1e-6 * bus->turnaround_us;
	return (wire->frame_size + wire->answer_size) * character + gaps;
}

static double timeout_of(const struct conf_bus *bus, const struct request *request)
{
	return request->timeout_us ? 1e-6 * (double)request->timeout_us : 1e-3 * bus->timeout_ms;
}

static void add_run(struct load *load, const struct member *device, const struct merge *merge,
	uint32_t first, const struct codec *codec)
{
	const struct poll *poll = &device->plan->polls[merge->parts[first].poll];
	const struct request *request = merge_request(merge, first);
	if (request->wire.flags & EB_LISTEN)
		return;
	struct ask *ask = &load->asks[load->count++];
	*ask = (struct ask){ .device = device,
		.merge = merge,
		.request = request,
		.first = first,
		.count = merge->parts[first].count,
		.cost_s = line_time(load, codec, &request->wire),
		.period_s = 1e-6 * (double)poll->period_us,
		.urgent = poll->urgent };
	ask->reached_s = ask->period_s;
	load->round_s += ask->cost_s;
	/* It is tried again as often as that, and it takes two failures more to hold a device for down. */
	double lost_s = (1 + load->bus->retries) * timeout_of(load->bus, request);
	load->lost_s = lost_s > load->lost_s ? lost_s : load->lost_s;
	if (!poll->period_us) {
		load->fast_s += ask->cost_s;
		return;
	}
	load->rate += 1 / ask->period_s;
	load->share += ask->cost_s / ask->period_s;
}

/* What those of a rank take of the line where none is asked more often than every so many seconds. */
static double demand(const struct load *load, bool urgent, double interval_s)
{
	double share = 0;
	for (size_t i = 0; i < load->count; i++) {
		const struct ask *ask = &load->asks[i];
		if (!ask->period_s || ask->urgent != urgent)
			continue;
		share += ask->cost_s / (ask->period_s > interval_s ? ask->period_s : interval_s);
	}
	return share;
}

/*
 * All devices have their turn alike, so where there is too much to do the polls that are asked most often
 * are stretched first, to the interval at which the rest fits in.  Returns what the rank takes.
 */
static double stretch(struct load *load, bool urgent, double room)
{
	double low_s = 0, high_s = INTERVAL_MAX_S;
	double wanted = demand(load, urgent, 0);
	if (wanted <= room)
		return wanted;
	for (int i = 0; i < HALVINGS; i++) {
		double middle_s = (low_s + high_s) / 2;
		if (demand(load, urgent, middle_s) > room)
			low_s = middle_s;
		else
			high_s = middle_s;
	}
	for (size_t i = 0; i < load->count; i++) {
		struct ask *ask = &load->asks[i];
		if (ask->period_s && ask->urgent == urgent && ask->period_s < high_s)
			ask->reached_s = high_s;
	}
	return room;
}

static void predict(struct load *load)
{
	bool regular = demand(load, false, 0) > 0, fast = load->fast_s > 0;
	double urgent = stretch(load, true, regular || fast ? RANK_SHARE : 1);
	stretch(load, false, (1 - urgent) * (fast ? RANK_SHARE : 1));
}

void load_init(
	struct load *load, const struct fleet *fleet, uint32_t bus, const struct codec *codec)
{
	const struct conf *conf = fleet->conf;
	size_t polls = 0;
	*load = (struct load){ .bus = &conf->buses[bus] };
	for (uint32_t i = 0; i < conf->device_count; i++) {
		if (conf->devices[i].bus != bus)
			continue;
		load->devices++;
		polls += fleet->devices[i].plan->count;
	}
	load->asks = must_array(polls, sizeof(*load->asks));
	load->merges = must_array(load->devices, sizeof(*load->merges));
	struct merge *merge = load->merges;
	for (uint32_t i = 0; i < conf->device_count; i++) {
		const struct member *device = &fleet->devices[i];
		if (conf->devices[i].bus != bus)
			continue;
		merge_init(
			merge, device->plan, codec->plugin, codec->state, conf_merge_hole(conf, i));
		merge_for_each_run(first, merge) add_run(load, device, merge, first, codec);
		merge++;
	}
	predict(load);
}

void load_finish(struct load *load)
{
	for (uint32_t i = 0; i < load->devices; i++)
		merge_finish(&load->merges[i]);
	free(load->merges);
	free(load->asks);
}

const char *ask_name(const struct ask *ask, uint32_t part)
{
	uint32_t poll = ask->merge->parts[ask->first + part].poll;
	return ask->device->plan->polls[poll].request->name;
}

bool ask_is_missed(const struct ask *ask)
{
	return ask->reached_s > ask->period_s * 1.0001;
}
