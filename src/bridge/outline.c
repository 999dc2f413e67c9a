/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/outline.h"

#include <inttypes.h>
#include <math.h>

#include "bridge/load.h"
#include "field/alias.h"
#include "util/clock.h"
#include "util/plural.h"

/* Of the line, for all devices that are down (field/health.h). */
#define PROBE_SHARE 0.05
/* So many polls that cannot be met are named. */
#define MISSED_MAX 20

static void print_link(const struct conf_bus *bus, FILE *to)
{
	const struct conf_link *link = &bus->link;
	if (link->type == CONF_LINK_SERIAL)
		fprintf(to, "%s at %u %u%c%u", link->path, link->baud, link->data_bits,
			conf_parity_letter(link->parity), link->stop_bits);
	else
		fprintf(to, "%s port %u", link->host, link->port);
}

/* A port whose name does not survive replugging. */
static void print_advice(const struct conf_bus *bus, FILE *to)
{
	char text[400];
	if (bus->link.type != CONF_LINK_SERIAL)
		return;
	alias_advise(ALIAS_FOLDER, bus->link.path, text, sizeof(text));
	if (text[0])
		fprintf(to, "  %s\n", text);
}

static void print_polls(const struct member *device, FILE *to)
{
	for (size_t i = 0; i < device->plan->setup_count; i++)
		fprintf(to, "    setup %-10zu %s\n", i + 1,
			device->plan->setup[i]->text ? device->plan->setup[i]->text : "");
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

/* One group of allow, as it is written but for what it leaves out. */
static void print_rule(const struct conf_rule *rule, FILE *to)
{
	fprintf(to, "%s", rule->service ? rule->service : "any service");
	if (!rule->write)
		return;
	fprintf(to, ": write %s", rule->write);
	if (rule->address[0] != 0 || rule->address[1] != INT64_MAX) {
		fprintf(to, " %" PRId64, rule->address[0]);
		if (rule->address[1] != rule->address[0])
			fprintf(to, " to %" PRId64, rule->address[1]);
	}
	if (rule->has_values)
		fprintf(to, ", values %" PRId64 " to %" PRId64, rule->values[0], rule->values[1]);
}

/* What commands may do, where that is less than all. */
static void print_commands(const struct conf_device *conf, FILE *to)
{
	bool limited = conf->commands == COMMANDS_NONE || conf->has_rules;
	if (!limited && !conf->read_back.wanted)
		return;
	fprintf(to, "    commands: ");
	if (conf->commands == COMMANDS_NONE || (conf->has_rules && !conf->rule_count))
		fprintf(to, "none");
	else if (!conf->has_rules)
		fprintf(to, "all");
	else
		fprintf(to, "only ");
	for (uint32_t i = 0; conf->commands == COMMANDS_ALL && i < conf->rule_count; i++) {
		fprintf(to, "%s", i ? "; " : "");
		print_rule(&conf->rules[i], to);
	}
	if (conf->read_back.wanted)
		fprintf(to, "; writes are read back after %g s", conf->read_back.settle_ms / 1e3);
	fprintf(to, "\n");
}

/* Which of them are one request. */
static void print_merged(const struct load *load, const struct member *device, FILE *to)
{
	for (size_t i = 0; i < load->count; i++) {
		const struct ask *ask = &load->asks[i];
		if (ask->device != device || ask->count < 2)
			continue;
		fprintf(to, "    together:");
		for (uint32_t part = 0; part < ask->count; part++)
			fprintf(to, "%s %s", part ? "," : "", ask_name(ask, part));
		fprintf(to, ": %s\n", ask->request->text ? ask->request->text : "");
	}
}

/* A period with two digits, rounded up. */
static double round_up(double seconds)
{
	double unit = pow(10, floor(log10(seconds)) - 1);
	return ceil(seconds / unit - 1e-9) * unit;
}

/* The next usual rate at which all would have their time; 0: none has. */
static uint32_t baud_for_all(const struct load *load)
{
	static const uint32_t usual[] = { 9600, 19200, 38400, 57600, 115200 };
	/* One part in ten for devices that are not as quick as can be. */
	double wanted = load->bus->line.baud * load->share * (load->fast_s > 0 ? 1.5 : 1.1);
	for (size_t i = 0; i < sizeof(usual) / sizeof(*usual); i++) {
		if (usual[i] > load->bus->line.baud && usual[i] >= wanted)
			return usual[i];
	}
	return 0;
}

static void print_missed(const struct load *load, FILE *to)
{
	uint32_t missed = 0, baud = baud_for_all(load);
	for (size_t i = 0; i < load->count; i++) {
		const struct ask *ask = &load->asks[i];
		if (!ask_is_missed(ask) || missed++ >= MISSED_MAX)
			continue;
		fprintf(to, "  cannot be met: device %s, poll %s", ask->device->conf->name,
			ask_name(ask, 0));
		for (uint32_t part = 1; part < ask->count; part++)
			fprintf(to, ", %s", ask_name(ask, part));
		fprintf(to,
			", every %g s: the line has time for one about every %.3g s; set period to %g or more",
			ask->period_s, ask->reached_s, round_up(ask->reached_s));
		if (baud)
			fprintf(to, ", or run the line at %u bits per second", baud);
		fprintf(to, "\n");
	}
	if (missed > MISSED_MAX)
		fprintf(to, "  and %u poll%s more cannot be met\n", missed - MISSED_MAX,
			plural(missed - MISSED_MAX, "s"));
}

/* With a dead unit: what probes of it take, and once, until it is held for down. */
static void print_serial(const struct load *load, FILE *to)
{
	fprintf(to, "  the line is busy %.1f %% of the time at best\n", load->share * 100);
	if (load->round_s > 0)
		fprintf(to,
			"  a round of all polls takes %.3g s at best; with one dead unit %.3g s, and "
			"%.3g s while it is found out\n",
			load->round_s, load->round_s / (1 - PROBE_SHARE),
			load->round_s + load->lost_s);
	if (load->fast_s > 0 && load->share < 1 - PROBE_SHARE)
		fprintf(to,
			"  polls without a period take %.3g s a round at best; with one dead unit %.3g s\n",
			load->fast_s / (1 - load->share),
			load->fast_s / (1 - PROBE_SHARE - load->share));
	print_missed(load, to);
}

/* How long an answer takes is not known beforehand: what can be said is how long it may. */
static void print_tcp(const struct load *load, FILE *to)
{
	uint32_t in_flight = load->bus->in_flight;
	if (load->rate > 0)
		fprintf(to,
			"  %.3g requests per second: answers may take %.3g s on average, %u in flight\n",
			load->rate, in_flight / load->rate, in_flight);
	if (load->count)
		fprintf(to, "  a unit that falls silent keeps %s waiting for %.3g s, once\n",
			in_flight > 1 ? "one of these" : "the others", load->lost_s);
}

static void print_load(const struct load *load, FILE *to)
{
	if (!load->bus->line.baud)
		print_tcp(load, to);
	else if (load->round_s > 0)
		print_serial(load, to);
}

static void print_bus(const struct fleet *fleet, uint32_t number, FILE *to)
{
	const struct conf *conf = fleet->conf;
	const struct conf_bus *bus = &conf->buses[number];
	struct problems problems = PROBLEMS_NONE;
	OWNED_CODEC codec;
	codec_open(&codec, bus, &problems);
	problems_finish(&problems);
	struct load load;
	load_init(&load, fleet, number, &codec);
	fprintf(to, "bus %s: %s, ", bus->name, bus->plugin_name);
	print_link(bus, to);
	fprintf(to, ", timeout %u ms\n", bus->timeout_ms);
	print_advice(bus, to);
	uint32_t shown = 0;
	for (uint32_t i = 0; i < conf->device_count && shown < OUTLINE_DEVICES_MAX; i++) {
		const struct member *device = &fleet->devices[i];
		if (device->conf->bus != number)
			continue;
		shown++;
		fprintf(to, "  device %s: script %s, reports as %s/%s\n", device->conf->name,
			device->conf->script ? device->conf->script : "none (raw bytes)",
			device->conf->product_key, device->conf->device_key);
		print_polls(device, to);
		print_merged(&load, device, to);
		print_commands(device->conf, to);
	}
	if (load.devices > shown)
		fprintf(to, "  and %u device%s more\n", load.devices - shown,
			plural(load.devices - shown, "s"));
	print_load(&load, to);
	load_finish(&load);
}

void outline_print(const struct fleet *fleet, FILE *to)
{
	const struct conf *conf = fleet->conf;
	fprintf(to, "gateway %s: %u bus%s, %u device%s, %zu script%s\n", conf->gateway.name,
		conf->bus_count, plural(conf->bus_count, "es"), conf->device_count,
		plural(conf->device_count, "s"), fleet->script_count,
		plural(fleet->script_count, "s"));
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
