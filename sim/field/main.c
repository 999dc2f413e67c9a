/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "sim/field/client.h"
#include "sim/field/control.h"
#include "sim/field/options.h"
#include "sim/field/sim.h"
#include "sim/field/tcp.h"
#include "sim/field/transcript.h"
#include "util/alloc.h"
#include "util/log.h"
#include "util/plural.h"

/* Lines that are named at the start, one by one. */
#define NAMED_MAX 16

struct stop {
	struct watch watch;
	struct loop *loop;
};

/* Thousands of sockets, and timers to the microsecond. */
static void prepare_process(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	prctl(PR_SET_TIMERSLACK, 1);
	signal(SIGPIPE, SIG_IGN);
}

static void stopped(struct watch *watch, uint32_t events)
{
	loop_stop(container_of(watch, struct stop, watch)->loop);
}

static int watch_signals(struct stop *stop, struct loop *loop)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	stop->loop = loop;
	stop->watch.fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	stop->watch.events = EPOLLIN;
	stop->watch.ready = stopped;
	return stop->watch.fd < 0 ? -errno : loop_add(loop, &stop->watch);
}

/* Under another name first, so that whoever waits for the file sees all of it. */
static int write_ports(const struct sim *sim, const char *path)
{
	OWNED char *draft = must_printf("%s.new", path);
	FILE *file = fopen(draft, "we");
	if (!file)
		return -errno;
	list_for_each (link, (struct list *)(uintptr_t)&sim->lines) {
		struct line *line = container_of(link, struct line, link);
		if (line_port(line))
			fprintf(file, "%s %u\n", line->name, line_port(line));
	}
	if (fclose(file) != 0 || rename(draft, path) < 0)
		return -errno;
	return 0;
}

static void say_lines(const struct sim *sim)
{
	size_t count = 0;
	list_for_each (link, (struct list *)(uintptr_t)&sim->lines) {
		struct line *line = container_of(link, struct line, link);
		OWNED_BUFFER json = BUFFER_EMPTY;
		if (count++ >= NAMED_MAX)
			continue;
		line_print(line, &json);
		puts(buffer_text(&json));
	}
	if (count > NAMED_MAX)
		printf("and %zu line%s more\n", count - NAMED_MAX, plural(count - NAMED_MAX, "s"));
	puts("ready");
	fflush(stdout);
}

static int fail(const char *what, int result)
{
	log_error("%s: %s", what, strerror(-result));
	return 1;
}

static int run(struct sim *sim, const struct options *options)
{
	char error[200];
	struct stop stop;
	if (options->transcript) {
		int result = transcript_open(&sim->transcript, sim->loop, options->transcript);
		if (result < 0)
			return fail(options->transcript, result);
	}
	if (sim_start(sim, error, sizeof(error)) < 0) {
		log_error("%s", error);
		return 1;
	}
	struct control *control = NULL;
	int result = options->socket ? control_open(&control, sim, options->socket) : 0;
	if (result < 0)
		return fail(options->socket, result);
	memset(&stop, 0, sizeof(stop));
	result = watch_signals(&stop, sim->loop);
	if (result == 0 && options->port_file)
		result = write_ports(sim, options->port_file);
	if (result < 0) {
		control_close(control);
		return fail(options->port_file ? options->port_file : "signals", result);
	}
	if (!options->transcript || strcmp(options->transcript, "-") != 0)
		say_lines(sim);
	result = loop_run(sim->loop);
	loop_remove(sim->loop, &stop.watch);
	close(stop.watch.fd);
	control_close(control);
	return result < 0 ? fail("epoll", result) : 0;
}

int main(int argc, char **argv)
{
	struct clock clock = CLOCK_SYSTEM;
	struct options options;
	struct sim *sim;
	prepare_process();
	int result = sim_create(&sim, &clock);
	if (result < 0)
		return fail("epoll", result);
	int status = options_read(&options, sim, argc, argv);
	if (status > 0)
		status--;
	else if (options.control)
		status = client_ask(options.control, options.commands, options.command_count);
	else
		status = run(sim, &options);
	sim_destroy(sim);
	return status;
}
