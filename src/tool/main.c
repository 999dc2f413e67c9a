/* SPDX-License-Identifier: Apache-2.0 */
/* enos-bridge: asks the running daemon, and prints what it says. */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "tool/capture.h"
#include "tool/client.h"
#include "tool/print.h"
#include "tool/script.h"
#include "tool/verb.h"
#include "util/json.h"

#define EXIT_REFUSED 1
#define EXIT_USAGE 2
#define EXIT_UNREACHABLE 3

static const struct verb *const verbs[] = {
	&verb_status,
	&verb_device,
	&verb_bus,
	&verb_dump,
	&verb_audit,
	&verb_reload,
};

#define VERB_COUNT (sizeof(verbs) / sizeof(*verbs))

struct options {
	const char *socket;
	const char *time, *size; /* of a capture; NULL: not given */
	bool json;
	const char *count; /* NULL: as the daemon does */
};

static void print_help(FILE *to)
{
	fputs("usage: enos-bridge [-s SOCKET] [--json] COMMAND\n\ncommands:\n", to);
	for (size_t i = 0; i < VERB_COUNT; i++) {
		char call[40];
		snprintf(call, sizeof(call), "%s %s", verbs[i]->name,
			verbs[i]->argument ? verbs[i]->argument : "");
		fprintf(to, "  %-14s %s\n", call, verbs[i]->summary);
	}
	fputs("  capture BUS FILE  its frames into FILE, until --for or --max is reached, or Ctrl-C\n"
	      "  script ...     tries scripts and their fixtures, without the daemon; \"script help\"\n"
	      "  help           this text\n"
	      "\noptions:\n"
	      "  -s SOCKET      the daemon's control socket (default " RUN_DIR "/control)\n"
	      "  --count N      of audit: so many commands\n"
	      "  --json         the daemon's answer as JSON\n"
	      "  --for TIME     how long to capture: 90s, 10m, 2h (default 10m)\n"
	      "  --max SIZE     how much at most: 500kB, 10MB (default 10MB)\n"
	      "  --version      the version\n"
	      "\nexit status: 0; 1 the daemon refused, or a reload kept what was there; 2 usage; 3 the daemon cannot be reached\n",
		to);
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < VERB_COUNT; i++) {
		if (strcmp(verbs[i]->name, name) == 0)
			return verbs[i];
	}
	return NULL;
}

static int fail_usage(const char *what, const char *word)
{
	fprintf(stderr, "enos-bridge: %s%s; \"enos-bridge help\" lists the commands\n", what, word);
	return EXIT_USAGE;
}

static int finish_output(const struct buffer *text)
{
	if (fwrite(buffer_text(text), 1, text->size, stdout) == text->size && fflush(stdout) == 0)
		return 0;
	fprintf(stderr, "enos-bridge: cannot write the answer: %s\n", strerror(errno));
	return EXIT_REFUSED;
}

static int run(const struct options *options, const struct verb *verb, const char *argument)
{
	OWNED_BUFFER request = BUFFER_EMPTY;
	OWNED_BUFFER answer = BUFFER_EMPTY;
	OWNED_BUFFER text = BUFFER_EMPTY;
	buffer_printf(&request, "{\"command\":\"%s\"", verb->name);
	if (argument) {
		buffer_printf(&request, ",\"%s\":", verb->key);
		json_put_text(&request, argument);
	}
	if (options->count)
		buffer_printf(&request, ",\"count\":%s", options->count);
	buffer_put_byte(&request, '}');
	enum client_answer said = client_ask(
		options->socket, buffer_text(&request), verb->wait_ms, &answer);
	if (said != CLIENT_RESULT) {
		print_text(&text, buffer_text(&answer), answer.size);
		fprintf(stderr, "enos-bridge: %s\n", buffer_text(&text));
		return said == CLIENT_REFUSED ? EXIT_REFUSED : EXIT_UNREACHABLE;
	}
	if (options->json) {
		json_print_value(&text, answer.data, answer.size);
		buffer_put_byte(&text, '\n');
	} else if (verb->print) {
		verb->print(&text, answer.data, answer.size);
	} else {
		print_value(&text, answer.data, answer.size, 0);
	}
	int status = finish_output(&text);
	bool failed = verb->failed && verb->failed(answer.data, answer.size);
	return status == 0 && failed ? EXIT_REFUSED : status;
}

static int capture(const struct options *options, int count, char **words)
{
	if (count != 2)
		return fail_usage("capture needs the name of a bus, and a file or -", "");
	const struct capture_setup setup = { .socket = options->socket,
		.bus = words[0],
		.path = words[1],
		.time = options->time,
		.size = options->size };
	return capture_main(&setup);
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(struct options *options, int argc, char **argv)
{
	static const struct option names[] = { { "socket", required_argument, NULL, 's' },
		{ "json", no_argument, NULL, 'j' }, { "for", required_argument, NULL, 'f' },
		{ "max", required_argument, NULL, 'm' }, { "count", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 } };
	*options = (struct options){ .socket = RUN_DIR "/control" };
	for (int option; (option = getopt_long(argc, argv, "s:h", names, NULL)) != -1;) {
		switch (option) {
		case 's':
			options->socket = optarg;
			break;
		case 'j':
			options->json = true;
			break;
		case 'n':
			options->count = optarg;
			break;
		case 'f':
			options->time = optarg;
			break;
		case 'm':
			options->size = optarg;
			break;
		case 'h':
			print_help(stdout);
			return 0;
		case 'V':
			puts("enos-bridge " PACKAGE_VERSION);
			return 0;
		default:
			print_help(stderr);
			return EXIT_USAGE;
		}
	}
	return -1;
}

static bool is_number(const char *text)
{
	size_t size = strlen(text);
	return size && size < 10 && strspn(text, "0123456789") == size;
}

int main(int argc, char **argv)
{
	/* Its options are its own, and it asks no daemon. */
	if (argc > 1 && strcmp(argv[1], "script") == 0)
		return script_main(argc - 1, argv + 1);
	struct options options;
	int status = parse_options(&options, argc, argv);
	if (status >= 0)
		return status;
	if (optind == argc)
		return fail_usage("say what you want to know", "");
	const char *word = argv[optind++];
	if (strcmp(word, "help") == 0) {
		print_help(stdout);
		return 0;
	}
	if (strcmp(word, "capture") == 0)
		return capture(&options, argc - optind, argv + optind);
	if (options.time || options.size)
		return fail_usage("--for and --max belong to capture", "");
	const struct verb *verb = find_verb(word);
	if (!verb)
		return fail_usage("no such command: ", word);
	if (!verb->argument && optind < argc)
		return fail_usage("too much: ", argv[optind]);
	if (options.count && (!verb->counted || !is_number(options.count)))
		return fail_usage(verb->counted ? "--count takes a number, not "
						: "--count goes with audit, not with ",
			verb->counted ? options.count : verb->name);
	if (verb->optional && optind == argc)
		return run(&options, verb, NULL);
	if (verb->argument && optind + 1 != argc)
		return fail_usage(verb->name,
			optind == argc ? " needs a name behind it" : " takes one name only");
	return run(&options, verb, verb->argument ? argv[optind] : NULL);
}
