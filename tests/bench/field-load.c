/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The field alone against enos-field-sim, in real time: readings per second, the share of what a serial line
 * can carry, CPU and memory.
 *
 *	field-load serial PATH BAUD UNITS REGISTERS SECONDS
 *	field-load tcp FIRST-PORT CONNECTIONS REGISTERS PERIOD SECONDS [PORTS]
 *
 * With 0 SECONDS it runs until every device was read once, and fails where that takes minutes.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/message.h"
#include "field/field.h"
#include "util/alloc.h"

/* All devices are read once within this, on a machine that has other things to do. */
#define MINUTES 3

extern const struct eb_plugin eb_plugin;

struct load {
	struct conf conf;
	struct clock clock;
	struct mailbox *inbox, *outbox;
	struct resolver *resolver;
	struct field *field;
	uint16_t registers;
	double period, seconds;
	uint64_t readings, down;
	uint32_t ports; /* successive ones, that connections take in turn */
	bool *heard; /* the device was read */
	uint32_t heard_count;
};

static void add_bus(struct load *load, struct conf_link link, uint32_t units)
{
	struct conf *conf = &load->conf;
	struct conf_bus *bus = &conf->buses[conf->bus_count];
	bool serial = link.type == CONF_LINK_SERIAL;
	bus->name = must_printf("bus-%u", conf->bus_count);
	bus->plugin = &eb_plugin;
	bus->link = link;
	bus->link.reopen_min_ms = 500;
	bus->link.reopen_max_ms = 10000;
	bus->link.connect_timeout_ms = 5000;
	bus->line = (struct eb_line){ serial ? EB_SERIAL : EB_TCP, link.baud, serial ? 10 : 0 };
	bus->timeout_ms = 500;
	bus->retries = 2;
	bus->in_flight = 1;
	value_put_map(&bus->options, 0);
	for (uint32_t i = 0; i < units; i++) {
		conf->devices[conf->device_count].name = must_printf(
			"device-%u", conf->device_count);
		conf->devices[conf->device_count++].bus = conf->bus_count;
	}
	conf->bus_count++;
}

static void *open_state(const struct conf_bus *bus)
{
	void *state = must_alloc(eb_plugin.state_size);
	struct eb_timing timing = { .gap_us = 0 };
	struct eb_error error;
	struct eb_settings none = { .count = 0 };
	eb_plugin.open(state, &none, &bus->line, &timing, &error);
	return state;
}

static void send_plans(struct load *load)
{
	struct conf *conf = &load->conf;
	uint32_t unit = 0;
	for (uint32_t i = 0; i < conf->device_count; i++) {
		const struct conf_bus *bus = &conf->buses[conf->devices[i].bus];
		unit = i && conf->devices[i - 1].bus == conf->devices[i].bus ? unit + 1 : 1;
		struct eb_address address = { .size = 1, .bytes = { (uint8_t)unit } };
		OWNED void *state = open_state(bus);
		OWNED_BUFFER map = BUFFER_EMPTY;
		struct problems problems = PROBLEMS_NONE;
		struct plan *plan = plan_create(i, &address, 1);
		value_put_map(&map, 5);
		value_pair_text(&map, "name", "live");
		value_pair_real(&map, "period", load->period);
		value_pair_text(&map, "read", "holding_registers");
		value_pair_integer(&map, "address", 0);
		value_pair_integer(&map, "count", load->registers);
		poll_init(&plan->polls[0], &eb_plugin, state, &address, map.data, map.size,
			SETTINGS_SCRIPT, (struct place){ "load", 0 }, &problems);
		problems_print(&problems, stderr);
		mailbox_put(load->inbox, &plan_change_create(plan)->mail);
		plan_release(plan);
	}
}

static void hear(struct load *load, uint32_t device)
{
	load->readings++;
	load->heard_count += !load->heard[device];
	load->heard[device] = true;
}

static void collect(struct load *load)
{
	struct list mails;
	list_init(&mails);
	mailbox_take_all(load->outbox, &mails);
	for (struct list *link; (link = list_take_first(&mails));) {
		struct mail *mail = container_of(link, struct mail, link);
		if (mail->kind == MESSAGE_READING)
			hear(load, container_of(mail, struct reading, mail)->device);
		if (mail->kind == MESSAGE_ANSWER)
			printf("%s\n", buffer_text(&container_of(mail, struct answer, mail)->text));
		if (mail->kind == MESSAGE_HEALTH)
			load->down += container_of(mail, struct health, mail)->state == HEALTH_DOWN;
		message_destroy(mail);
	}
}

static void run_for(struct load *load, double seconds)
{
	int64_t until_us = clock_mono_us(&load->clock) + (int64_t)(seconds * 1e6);
	while (clock_mono_us(&load->clock) < until_us) {
		struct pollfd ready = { .fd = mailbox_fd(load->outbox), .events = POLLIN };
		poll(&ready, 1, 20);
		collect(load);
	}
}

static double cpu_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static long rss_kb(void)
{
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	if (!file || fscanf(file, "%*d %ld", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	return pages * sysconf(_SC_PAGESIZE) / 1024;
}

/* Characters of request and answer, and two silences. */
static double limit(const struct load *load)
{
	uint32_t baud = load->conf.buses[0].link.baud;
	if (!baud)
		return 0;
	double char_s = 10.0 / baud, silence_s = baud > 19200 ? 0.00175 : 3.5 * char_s;
	return 1 / ((13 + 2 * load->registers) * char_s + 2 * silence_s);
}

/* What was counted, behind what was read in the given time. */
static void print_load(struct load *load, uint64_t begun, double cpu, long before_kb)
{
	double rate = (double)(load->readings - begun) / load->seconds;
	printf("%.1f readings/s, %" PRIu64 " went down, %.1f us CPU per reading, RSS %ld KiB (%ld "
	       "before the field)",
		rate, load->down, (cpu_s() - cpu) * 1e6 / (rate * load->seconds), rss_kb(),
		before_kb);
	if (limit(load) > 0)
		printf(", %.3f of the line's limit", rate / limit(load));
	printf("\n");
}

static int run(struct load *load)
{
	long before_kb = rss_kb();
	mailbox_create(&load->inbox, 2 * load->conf.device_count + 100);
	mailbox_create(&load->outbox, 4 * load->conf.device_count + 1000);
	resolver_create(&load->resolver, NULL);
	struct field_setup setup = { &load->conf, &load->clock, load->resolver, load->inbox,
		load->outbox };
	if (field_create(&load->field, &setup) < 0 || field_start(load->field) < 0)
		return 1;
	send_plans(load);
	for (int i = 0; i < MINUTES * 60 && load->heard_count < load->conf.device_count; i++)
		run_for(load, 1);
	printf("%" PRIu32 " of %" PRIu32 " devices read\n", load->heard_count,
		load->conf.device_count);
	run_for(load, load->seconds > 0 ? 3 + load->period : 0);
	uint64_t begun = load->readings;
	double cpu = cpu_s();
	run_for(load, load->seconds);
	if (load->seconds > 0)
		print_load(load, begun, cpu, before_kb);
	/* With FIELD_LOAD_MORE in the environment: what the field says of the first bus. */
	for (enum query_kind what = QUERY_DUMP; getenv("FIELD_LOAD_MORE") && what <= QUERY_BUS;
		what++)
		mailbox_put(load->inbox, &query_create(what, 0, 0)->mail);
	run_for(load, 0.1);
	field_stop(load->field);
	collect(load);
	field_destroy(load->field);
	resolver_destroy(load->resolver);
	return load->heard_count < load->conf.device_count;
}

static void raise_files(void)
{
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

int main(int count, char **words)
{
	static struct load whole, *load = &whole;
	bool serial = count == 7 && strcmp(words[1], "serial") == 0;
	if (!serial && ((count != 7 && count != 8) || strcmp(words[1], "tcp") != 0)) {
		fprintf(stderr,
			"usage: field-load serial PATH BAUD UNITS REGISTERS SECONDS\n"
			"       field-load tcp PORT CONNECTIONS REGISTERS PERIOD SECONDS [PORTS]\n");
		return 2;
	}
	log_set_level(LOG_LEVEL_WARNING);
	raise_files();
	uint32_t number = (uint32_t)atoi(serial ? words[4] : words[3]);
	load->conf.buses = must_array(number, sizeof(struct conf_bus));
	load->conf.devices = must_array(number, sizeof(struct conf_device));
	load->registers = (uint16_t)atoi(serial ? words[5] : words[4]);
	load->period = serial ? 0 : atof(words[5]);
	load->seconds = atof(words[6]);
	load->ports = count == 8 ? (uint32_t)atoi(words[7]) : 1000;
	load->heard = must_array(number, sizeof(bool));
	if (serial)
		add_bus(load,
			(struct conf_link){ .type = CONF_LINK_SERIAL,
				.path = words[2],
				.baud = (uint32_t)atoi(words[3]),
				.data_bits = 8,
				.stop_bits = 1 },
			number);
	char host[] = "127.0.0.1";
	for (uint32_t i = 0; !serial && i < number; i++)
		add_bus(load,
			(struct conf_link){ .type = CONF_LINK_TCP,
				.host = host,
				.port = (uint16_t)(atoi(words[2]) + (int)(i % load->ports)) },
			1);
	return run(load);
}
