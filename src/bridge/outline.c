/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/outline.h"

#include "core/codec.h"
#include "util/clock.h"

static void print_link(const struct conf_bus *bus, FILE *to)
{
	static const char parity[] = { 'N', 'E', 'O' };
	const struct conf_link *link = &bus->link;
	if (link->type == CONF_LINK_SERIAL)
		fprintf(to, "%s at %u %u%c%u", link->path, link->baud, link->data_bits,
			parity[link->parity], link->stop_bits);
	else
		fprintf(to, "%s port %u", link->host, link->port);
}

/* Seconds that one transaction keeps a serial line busy; 0 where the plugin cannot say. */
static double line_time(
	const struct conf_bus *bus, const struct codec *codec, const struct poll *poll)
{
	const struct eb_request *wire = &poll->request->wire;
	if (!bus->line.baud)
		return 0;
	double character = (double)bus->line.char_bits / bus->line.baud;
	double gaps = 2e-6 * codec->timing.gap_us + 1e-6 * bus->gap_us;
	return (wire->frame_size + wire->answer_size) * character + gaps;
}

static void print_polls(const struct member *device, FILE *to)
{
	for (size_t i = 0; i < device->plan->count; i++) {
		const struct poll *poll = &device->plan->polls[i];
		fprintf(to, "    %-16s ", poll->request->name);
		if (poll->period_us)
			fprintf(to, "every %g s", (double)poll->period_us / USEC_PER_SEC);
		else
			fprintf(to, "%s",
				poll->request->wire.flags & EB_LISTEN ? "listens" : "always");
		fprintf(to, "%s: %s\n", poll->urgent ? ", high priority" : "",
			poll->request->text ? poll->request->text : "");
	}
}

struct load {
	double share; /* of the line, by polls with a period */
	double cycle; /* seconds for one round of those without */
	uint32_t devices, polls;
};

static void add_load(struct load *load, const struct conf_bus *bus, const struct codec *codec,
	const struct member *device)
{
	load->devices++;
	for (size_t i = 0; i < device->plan->count; i++) {
		const struct poll *poll = &device->plan->polls[i];
		double seconds = line_time(bus, codec, poll);
		load->polls++;
		if (poll->period_us)
			load->share += seconds * USEC_PER_SEC / (double)poll->period_us;
		else
			load->cycle += seconds;
	}
}

static void print_load(const struct load *load, FILE *to)
{
	if (load->share > 0)
		fprintf(to, "  the line is busy %.1f %% of the time at best%s\n", load->share * 100,
			load->share > 1 ? ": these polls cannot be met; poll less often" : "");
	if (load->cycle > 0 && load->share < 1)
		fprintf(to, "  polls without a period take %.2f s a round at best\n",
			load->cycle / (1 - load->share));
}

static void print_bus(const struct fleet *fleet, uint32_t number, FILE *to)
{
	const struct conf *conf = fleet->conf;
	const struct conf_bus *bus = &conf->buses[number];
	struct problems problems = PROBLEMS_NONE;
	OWNED_CODEC codec;
	codec_open(&codec, bus, &problems);
	problems_finish(&problems);
	struct load load = { .share = 0 };
	fprintf(to, "bus %s: %s, ", bus->name, bus->plugin_name);
	print_link(bus, to);
	fprintf(to, ", timeout %u ms\n", bus->timeout_ms);
	for (uint32_t i = 0; i < conf->device_count; i++) {
		const struct member *device = &fleet->devices[i];
		if (device->conf->bus != number)
			continue;
		add_load(&load, bus, &codec, device);
		if (load.devices > OUTLINE_DEVICES_MAX)
			continue;
		fprintf(to, "  device %s: script %s, reports as %s/%s\n", device->conf->name,
			device->conf->script ? device->conf->script : "none (raw bytes)",
			device->conf->product_key, device->conf->device_key);
		print_polls(device, to);
	}
	if (load.devices > OUTLINE_DEVICES_MAX)
		fprintf(to, "  and %u devices more\n", load.devices - OUTLINE_DEVICES_MAX);
	print_load(&load, to);
}

void outline_print(const struct fleet *fleet, FILE *to)
{
	const struct conf *conf = fleet->conf;
	fprintf(to, "gateway %s: %u buses, %u devices, %zu scripts\n", conf->gateway.name,
		conf->bus_count, conf->device_count, fleet->script_count);
	if (*conf->enos.host)
		fprintf(to,
			"cloud: %s port %u, %s%s dialect, lifetime %u s, commands asked for every %u s\n",
			conf->enos.host, conf->enos.port,
			conf->enos.security == SECURITY_DTLS ? "DTLS, " : "",
			conf->enos.dialect == DIALECT_SIGNED ? "signed" : "piggyback",
			conf->enos.lifetime_s, conf->enos.command_poll_s);
	else
		fprintf(to, "cloud: none named yet (enos.host), as there is no device\n");
	if (conf->mqtt.enabled)
		fprintf(to, "echo: mqtt broker %s port %u, topics %s/%s/...\n", conf->mqtt.host,
			conf->mqtt.port, conf->mqtt.prefix, conf->gateway.name);
	else
		fprintf(to, "echo: none (no mqtt group)\n");
	for (uint32_t i = 0; i < conf->bus_count; i++)
		print_bus(fleet, i, to);
}
