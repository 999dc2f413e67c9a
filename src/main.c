/* SPDX-License-Identifier: Apache-2.0 */
/* enos-bridged: reads the configuration, loads the scripts, then runs the two planes until told to stop. */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/bridge.h"
#include "bridge/keepsake.h"
#include "bridge/outline.h"
#include "bridge/reader.h"
#include "util/alloc.h"
#include "util/detach.h"
#include "util/list.h"
#include "util/log.h"
#include "util/plural.h"
#include "util/service.h"

/* sysexits.h: what a configuration error exits with, as service managers know it. */
#define EXIT_CONFIG 78
#define EXIT_USAGE 64
#define MAIN_FILE SYSCONF_DIR "/enos-bridge.conf"
/* As whom the unit in etc/systemd runs us. */
#define SERVICE_USER "enos-bridge"

struct options {
	const char *path;
	bool test, foreground, verbose;
};

static const char usage[] =
	"usage: enos-bridged [-c FILE] [-t] [-f] [-v]\n"
	"  -c FILE    the configuration (default " SYSCONF_DIR "/enos-bridge.conf)\n"
	"  -t         check the configuration, plugins and scripts, say what would run, exit\n"
	"             with 0, or 78 where something is wrong\n"
	"  -f         stay in the foreground and log to standard error\n"
	"  -v         log at the level \"debug\", whatever the configuration says\n"
	"  --version  print the version and exit\n"
	"  --help     print this and exit\n";

/* Returns -1 to go on, else the exit status. */
static int parse_options(struct options *options, int argc, char **argv)
{
	static const struct option names[] = { { "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	*options = (struct options){ .path = MAIN_FILE };
	for (int option; (option = getopt_long(argc, argv, "c:tfvh", names, NULL)) != -1;) {
		switch (option) {
		case 'c':
			options->path = optarg;
			break;
		case 't':
			options->test = true;
			break;
		case 'f':
			options->foreground = true;
			break;
		case 'v':
			options->verbose = true;
			break;
		case 'V':
			puts("enos-bridged " PACKAGE_VERSION);
			return 0;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr,
			"enos-bridged: \"%s\" is not an option: the configuration is named "
			"with -c\n%s",
			argv[optind], usage);
		return EXIT_USAGE;
	}
	return -1;
}

static const struct conf_defaults defaults = {
	.plugin_dir = PLUGIN_DIR,
	.script_dirs = { SYSCONF_DIR "/scripts", SCRIPT_DIR },
	.state_dir = STATE_DIR,
	.control_socket = RUN_DIR "/control",
};

/* The service makes the usual one at its start, so it may be missing before: no error. */
static void check_state_dir(
	const struct options *options, const struct conf *conf, struct problems *problems)
{
	const char *path = conf->gateway.state_dir;
	struct stat status;
	int error = stat(path, &status) < 0     ? errno
		: !S_ISDIR(status.st_mode)      ? ENOTDIR
		: access(path, W_OK | X_OK) < 0 ? errno
						: 0;
	if (error)
		problem_warning(problems, (struct place){ options->path, 0 },
			"gateway.state_dir is %s: %s: reports in an outage, records of commands and "
			"device.state will not outlive a restart: make the directory, writable for "
			"the user that the daemon runs as",
			path, strerror(error));
}

/* Reads all that a person wrote.  NULL after the problems were printed. */
static struct fleet *load(
	const struct options *options, struct conf **conf, struct keepsake **keepsake)
{
	struct problems problems = PROBLEMS_NONE;
	struct fleet *fleet = NULL;
	*conf = conf_load(options->path, &defaults, &problems);
	/* A check leaves the files of the daemon that runs alone. */
	if (*conf && !options->test)
		*keepsake = keepsake_load((*conf)->gateway.state_dir);
	/* Any other one is not the service's. */
	if (*conf && options->test && strcmp(options->path, MAIN_FILE) == 0)
		reader_check(*conf, SERVICE_USER, &problems);
	if (*conf) {
		check_state_dir(options, *conf, &problems);
		fleet = fleet_create(*conf, *keepsake, &problems);
	}
	problems_print(&problems, stderr);
	if (!fleet)
		fprintf(stderr,
			"enos-bridged: %zu error%s in the configuration: nothing was started\n",
			problems.errors, problems.errors == 1 ? "" : "s");
	problems_finish(&problems);
	return fleet;
}

/* Sockets, ports and libcoap's descriptors: a few for each device, and room for clients. */
static void raise_file_limit(const struct conf *conf)
{
	rlim_t needed = 256 + 2 * (rlim_t)conf->bus_count + 2 * (rlim_t)conf->device_count;
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= needed)
		return;
	limit.rlim_cur = limit.rlim_max < needed ? limit.rlim_max : needed;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < needed)
		log_warning(
			"files: %ju may be open, %ju are needed for %u bus%s and %u device%s: raise "
			"LimitNOFILE= of the service",
			(uintmax_t)limit.rlim_cur, (uintmax_t)needed, conf->bus_count,
			plural(conf->bus_count, "es"), conf->device_count,
			plural(conf->device_count, "s"));
}

/* Reloads that are asked for within it become one, so that a storm of them costs little. */
#define RELOAD_PAUSE_US USEC_PER_SEC

struct signals {
	struct watch watch;
	struct loop *loop;
	struct bridge *bridge;
	struct timer reload; /* what was asked for too soon after the last one */
	int64_t reload_after_us; /* monotonic */
};

static void reload(struct timer *timer, int64_t now_us)
{
	struct signals *signals = container_of(timer, struct signals, reload);
	OWNED_BUFFER json = BUFFER_EMPTY;
	service_reloading();
	bridge_reload(signals->bridge, &json);
	service_ready();
	signals->reload_after_us = loop_now(signals->loop) + RELOAD_PAUSE_US;
}

static void ask_for_reload(struct signals *signals)
{
	int64_t now_us = loop_now(signals->loop);
	if (timer_armed(&signals->reload))
		return;
	loop_arm(signals->loop, &signals->reload,
		now_us < signals->reload_after_us ? signals->reload_after_us : now_us);
}

static void signal_ready(struct watch *watch, uint32_t events)
{
	struct signals *signals = container_of(watch, struct signals, watch);
	struct signalfd_siginfo info;
	while (read(watch->fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP) {
			ask_for_reload(signals);
		} else {
			service_stopping();
			bridge_stop(signals->bridge);
		}
	}
}

/* Blocked before any thread begins, so that all of them leave signals to the loop. */
static void block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigprocmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int run(struct conf *conf, struct fleet *fleet, struct keepsake *keepsake,
	struct detached *detached)
{
	struct clock clock = CLOCK_SYSTEM;
	struct loop *loop = NULL;
	struct bridge *bridge = NULL;
	struct signals signals = { .watch = { .events = EPOLLIN, .ready = signal_ready },
		.reload = { .expired = reload } };
	sigset_t set;
	block_signals(&set);
	signals.watch.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	int result = signals.watch.fd < 0 ? -errno : loop_create(&loop, &clock);
	if (result == 0)
		result = loop_add(loop, &signals.watch);
	struct bridge_setup setup = { .conf = conf,
		.defaults = &defaults,
		.fleet = fleet,
		.keepsake = keepsake,
		.loop = loop,
		.watchdog_us = service_watchdog_us() };
	if (result == 0)
		result = bridge_create(&bridge, &setup);
	signals.bridge = bridge;
	signals.loop = loop;
	if (result == 0)
		result = bridge_start(bridge);
	if (result == 0) {
		log_info("enos-bridged %s: gateway %s: %u device%s on %u bus%s", PACKAGE_VERSION,
			conf->gateway.name, conf->device_count, plural(conf->device_count, "s"),
			conf->bus_count, plural(conf->bus_count, "es"));
		service_ready();
		detach_ready(detached);
		result = loop_run(loop);
	}
	bridge_destroy(bridge);
	loop_destroy(loop);
	if (signals.watch.fd >= 0)
		close(signals.watch.fd);
	if (result < 0)
		log_error("enos-bridged: ended: %s", strerror(-result));
	return result < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct options options;
	int status = parse_options(&options, argc, argv);
	if (status >= 0)
		return status;
	struct conf *conf;
	struct keepsake *keepsake = NULL;
	struct fleet *fleet = load(&options, &conf, &keepsake);
	if (!fleet) {
		keepsake_destroy(keepsake);
		conf_destroy(conf);
		return EXIT_CONFIG;
	}
	struct detached detached = { .ready = -1 };
	log_set_level(options.verbose ? LOG_LEVEL_DEBUG : conf->gateway.log_level);
	if (options.test) {
		outline_print(fleet, stdout);
		status = 0;
	} else if (!options.foreground && detach(&detached, "enos-bridged") < 0) {
		fprintf(stderr, "enos-bridged: cannot go to the background: %s: try -f\n",
			strerror(errno));
		status = 1;
	} else {
		raise_file_limit(conf);
		status = run(conf, fleet, keepsake, &detached);
	}
	fleet_destroy(fleet);
	keepsake_destroy(keepsake);
	conf_destroy(conf);
	return status;
}
