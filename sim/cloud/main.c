/* SPDX-License-Identifier: Apache-2.0 */
/* enos-cloud-sim: the EnOS cloud's CoAP side, for tests and demonstrations. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "client.h"
#include "command.h"
#include "control.h"
#include "file.h"
#include "operation.h"
#include "options.h"
#include "schedule.h"
#include "sim.h"
#include "util/alloc.h"
#include "util/json.h"
#include "util/log.h"
#include "util/plural.h"

struct program {
	struct clock clock;
	struct loop *loop;
	struct sim *sim;
	struct sim_control *control;
	struct schedule *schedule;
	struct watch signals;
};

static void signalled(struct watch *watch, uint32_t events)
{
	struct program *program = container_of(watch, struct program, signals);
	loop_stop(program->loop);
}

/* SIGTERM and SIGINT end the loop. */
static int watch_signals(struct program *program)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	program->signals = (struct watch){ .fd = fd, .events = EPOLLIN, .ready = signalled };
	return fd < 0 ? -errno : loop_add(program->loop, &program->signals);
}

/* "pk,dk,secret"; the secret may hold commas. */
static bool add_device(struct devices *devices, const char *word)
{
	OWNED char *product = must_strdup(word);
	char *key = strchr(product, ',');
	char *secret = key ? strchr(key + 1, ',') : NULL;
	if (!secret || key == product || secret == key + 1 || !secret[1]) {
		log_error(
			"--device: a product key, a device key and a secret are wanted, commas between");
		return false;
	}
	*key++ = 0;
	*secret++ = 0;
	if (devices_add(devices, product, key, secret) < 0) {
		log_error("--device %s,%s: registered twice", product, key);
		return false;
	}
	return true;
}

static bool add_rule(struct devices *devices, const char *word)
{
	OWNED char *product = must_strdup(word);
	char *prefix = strchr(product, '=');
	if (!prefix || prefix == product) {
		log_error("--secret-rule %s: PRODUCT-KEY=PREFIX is wanted", word);
		return false;
	}
	*prefix++ = 0;
	devices_add_rule(devices, product, prefix);
	return true;
}

static bool add_product(struct devices *devices, const char *word)
{
	OWNED char *product = must_strdup(word);
	char *secret = strchr(product, '=');
	if (!secret || secret == product || !secret[1]) {
		log_error("--product: PRODUCT-KEY=SECRET is wanted");
		return false;
	}
	*secret++ = 0;
	devices_set_product(devices, product, secret);
	return true;
}

static bool add_fault(struct fault_plan *plan, const char *word)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	OWNED_BUFFER map = BUFFER_EMPTY;
	char error[240] = "NAME=VALUE is wanted";
	const char *equals = strchr(word, '=');
	if (equals) {
		buffer_put_byte(&text, '{');
		json_put_string(&text, word, (size_t)(equals - word));
		buffer_printf(&text, ":%s}", equals + 1);
	}
	if (equals && json_parse(&map, text.data, text.size, error, sizeof(error)) == 0 &&
		fault_plan_set(plan, map.data, map.size, error, sizeof(error)) == 0)
		return true;
	log_error("--fault %s: %s", word, error);
	return false;
}

static bool register_all(struct sim *sim, const struct options *options)
{
	char error[200];
	for (size_t i = 0; i < options->devices.count; i++) {
		if (!add_device(sim->devices, options->devices.all[i]))
			return false;
	}
	for (size_t i = 0; i < options->device_files.count; i++) {
		const char *path = options->device_files.all[i];
		if (devices_load(sim->devices, path, error, sizeof(error)) < 0) {
			log_error("--devices %s: %s", path, error);
			return false;
		}
	}
	for (size_t i = 0; i < options->rules.count; i++) {
		if (!add_rule(sim->devices, options->rules.all[i]))
			return false;
	}
	for (size_t i = 0; i < options->products.count; i++) {
		if (!add_product(sim->devices, options->products.all[i]))
			return false;
	}
	for (size_t i = 0; i < options->faults.count; i++) {
		if (!add_fault(&sim->faults, options->faults.all[i]))
			return false;
	}
	return true;
}

static bool open_transcript(struct options *options)
{
	if (!options->transcript)
		return true;
	options->settings.transcript = strcmp(options->transcript, "-") == 0
		? STDOUT_FILENO
		: open(options->transcript, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (options->settings.transcript < 0)
		log_error("--transcript %s: %s", options->transcript, strerror(errno));
	return options->settings.transcript >= 0;
}

/* Says where it listens, to people and to a file. */
static bool announce(const struct sim *sim, const struct options *options)
{
	const struct address *address = exchanges_address(sim->exchanges);
	char text[INET6_ADDRSTRLEN];
	bool v6 = address->any.sa_family == AF_INET6;
	inet_ntop(address->any.sa_family,
		v6 ? (const void *)&address->v6.sin6_addr : &address->v4.sin_addr, text,
		sizeof(text));
	log_info(v6 ? "cloud: listening on [%s]:%u%s, %s dialect, %zu device%s"
		    : "cloud: listening on %s:%u%s, %s dialect, %zu device%s",
		text, address_port(address), sim->tunnels ? " with DTLS" : "",
		sim->settings.piggyback ? "piggyback" : "signed", devices_count(sim->devices),
		plural(devices_count(sim->devices), "s"));
	if (options->port_file) {
		OWNED char *port = must_printf("%u\n", address_port(address));
		int error = file_write(options->port_file, port);
		if (error < 0) {
			log_error("--port-file %s: %s", options->port_file, strerror(-error));
			return false;
		}
	}
	struct buffer *line = journal_begin(sim->journal, "listening", NULL);
	buffer_printf(line, ",\"port\":%u", address_port(address));
	journal_end(sim->journal);
	return true;
}

static bool start(struct program *program, struct options *options)
{
	char error[200];
	int result = loop_create(&program->loop, &program->clock);
	if (result == 0)
		result = watch_signals(program);
	if (result < 0) {
		log_error("cloud: cannot start: %s", strerror(-result));
		return false;
	}
	if (!open_transcript(options))
		return false;
	result = sim_create(&program->sim, program->loop, &options->settings);
	if (result < 0) {
		log_error("--listen: cannot take the address: %s; is it another program's?",
			strerror(-result));
		return false;
	}
	if (!register_all(program->sim, options))
		return false;
	if (options->control_socket) {
		result = sim_control_create(
			&program->control, program->sim, options->control_socket);
		if (result < 0) {
			log_error("--control-socket %s: %s", options->control_socket,
				strerror(-result));
			return false;
		}
	}
	if (options->schedule &&
		schedule_create(&program->schedule, program->sim, options->schedule, error,
			sizeof(error)) < 0) {
		log_error("--commands %s: %s", options->schedule, error);
		return false;
	}
	return announce(program->sim, options);
}

/* The last line of the transcript; on standard output in any case. */
static void summarise(struct sim *sim)
{
	OWNED_BUFFER stats = BUFFER_EMPTY;
	sim_print_stats(sim, &stats);
	struct buffer *line = journal_begin(sim->journal, "summary", NULL);
	buffer_printf(line, ",\"stats\":%s", buffer_text(&stats));
	journal_end(sim->journal);
	journal_flush(sim->journal);
	if (sim->settings.transcript != STDOUT_FILENO)
		puts(buffer_text(&stats));
}

static void stop(struct program *program)
{
	schedule_destroy(program->schedule);
	sim_control_destroy(program->control);
	sim_destroy(program->sim);
	if (program->loop)
		loop_remove(program->loop, &program->signals);
	if (program->signals.fd > 0)
		close(program->signals.fd);
	loop_destroy(program->loop);
}

int main(int argc, char **argv)
{
	struct options options;
	struct program program = { .clock = CLOCK_SYSTEM };
	int status = options_parse(&options, argc, argv);
	if (status < 0 && options.control) {
		status = client_run(options.control, options.request_count, options.request);
	} else if (status < 0) {
		status = EX_CONFIG;
		if (start(&program, &options)) {
			int result = loop_run(program.loop);
			summarise(program.sim);
			status = result < 0 ? EX_OSERR
				: options.strict && journal_stats(program.sim->journal)->violations
				? 1
				: 0;
		}
		stop(&program);
	}
	options_finish(&options);
	return status;
}
