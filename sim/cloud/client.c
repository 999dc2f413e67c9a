/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/buffer.h"
#include "util/json.h"
#include "util/value.h"

#define ARGUMENTS_MAX 4

/* What the words behind a command are called. */
static const struct {
	const char *name, *arguments[ARGUMENTS_MAX];
} commands[] = {
	{ "stats", { NULL } },
	{ "violations", { NULL } },
	{ "devices", { NULL } },
	{ "command", { "device", "topic", "params" } },
	{ "result", { "id" } },
	{ "wait", { "id" } },
	{ "readings", { "device" } },
	{ "wait-reading", { "device", "point", "value" } },
	{ "wait-stat", { "name", "count" } },
	{ "fault", { "settings" } },
	{ "forget", { "device" } },
	{ "restart", { NULL } },
	{ "quit", { NULL } },
};

static bool one_of(const char *word, const char *const *list)
{
	while (*list && strcmp(word, *list) != 0)
		list++;
	return *list != NULL;
}

/* NAME=JSON words to the members of a map; a whole map is taken as it is. Returns how many words. */
static int put_settings(struct buffer *value, int count, char **words)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	char error[160];
	int used = 0;
	if (words[0][0] == '{') {
		buffer_put_text(&text, words[used++]);
	} else {
		buffer_put_byte(&text, '{');
		for (; used < count && strncmp(words[used], "--", 2) != 0; used++) {
			const char *equals = strchr(words[used], '=');
			if (!equals)
				break;
			if (used)
				buffer_put_byte(&text, ',');
			json_put_string(&text, words[used], (size_t)(equals - words[used]));
			buffer_printf(&text, ":%s", equals + 1);
		}
		buffer_put_byte(&text, '}');
	}
	if (json_parse(value, text.data, text.size, error, sizeof(error)) < 0 || !used) {
		fprintf(stderr, "faults: NAME=NUMBER each, or one JSON object\n");
		return -1;
	}
	return used;
}

/* The value of an argument; text that need not be JSON is taken as text where it is none. */
static bool put_argument(struct buffer *value, const char *name, const char *word)
{
	static const char *const strict[] = { "params", "id", "count", "timeout", NULL };
	static const char *const loose[] = { "value", NULL };
	char error[160];
	if (!one_of(name, strict) && !one_of(name, loose)) {
		value_put_text(value, word);
		return true;
	}
	if (json_parse(value, word, strlen(word), error, sizeof(error)) == 0)
		return true;
	if (one_of(name, loose)) {
		value_put_text(value, word);
		return true;
	}
	fprintf(stderr, "%s: %s\n", name, error);
	return false;
}

/* The options of the words, and what comes behind each. */
static int put_option(struct buffer *value, int count, char **words)
{
	static const char *const flags[] = { "follow", "new", "all", "clear", NULL };
	static const char *const named[] = { "timeout", "device", "hex", "text", "value", NULL };
	const char *name = words[0] + 2;
	if (one_of(name, flags)) {
		value_pair_bool(value, name, true);
		return 1;
	}
	if (!one_of(name, named) || count < 2) {
		fprintf(stderr, "%s: not an option of these commands, or nothing behind it\n",
			words[0]);
		return -1;
	}
	value_put_text(value, name);
	return put_argument(value, name, words[1]) ? 2 : -1;
}

/* The request that the words mean. */
static bool build_request(struct buffer *value, int count, char **words)
{
	const char *const *arguments = NULL;
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(words[0], commands[i].name) == 0)
			arguments = commands[i].arguments;
	}
	if (!arguments) {
		fprintf(stderr, "%s: no such command\n", words[0]);
		return false;
	}
	size_t map = value_begin_map(value);
	uint32_t pairs = 1;
	value_pair_text(value, "command", words[0]);
	for (int at = 1, place = 0; at < count; pairs++) {
		int used = 1;
		if (strncmp(words[at], "--", 2) == 0) {
			used = put_option(value, count - at, words + at);
		} else if (place >= ARGUMENTS_MAX || !arguments[place]) {
			fprintf(stderr, "%s: one word too many\n", words[at]);
			return false;
		} else {
			const char *name = arguments[place++];
			value_put_text(value, name);
			if (strcmp(name, "settings") == 0)
				used = put_settings(value, count - at, words + at);
			else if (!put_argument(value, name, words[at]))
				return false;
		}
		if (used < 0)
			return false;
		at += used;
	}
	value_end(value, map, pairs);
	return true;
}

/* A simulator that was started in the line before may not listen yet. */
#define TRIES 20
#define TRY_NS 100000000

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	for (int tries = 0; fd >= 0 && tries < TRIES; tries++) {
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			return fd;
		if (errno != ENOENT && errno != ECONNREFUSED)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = TRY_NS }, NULL);
	}
	int error = errno;
	if (fd >= 0)
		close(fd);
	errno = error;
	return -1;
}

/* Prints a list by its items, anything else as it is. */
static void print_result(struct value_reader *reader)
{
	OWNED_BUFFER line = BUFFER_EMPTY;
	struct value_reader items = *reader;
	struct value value;
	size_t count = 1;
	if (value_next(&items, &value) && value.type == VALUE_LIST) {
		*reader = items;
		count = value.size;
	}
	for (size_t i = 0; i < count; i++) {
		buffer_clear(&line);
		json_print(&line, reader);
		puts(buffer_text(&line));
	}
	fflush(stdout);
}

/* Returns the exit status. */
static int print_answer(const char *line, size_t size)
{
	OWNED_BUFFER value = BUFFER_EMPTY;
	char error[160];
	struct value ok, text, map;
	if (json_parse(&value, line, size, error, sizeof(error)) < 0 ||
		!value_find(value.data, value.size, "ok", &ok, NULL)) {
		fprintf(stderr, "the answer makes no sense: %s\n", error);
		return 3;
	}
	if (ok.type != VALUE_TRUE) {
		value_find(value.data, value.size, "error", &text, NULL);
		fprintf(stderr, "%s\n", text.type == VALUE_STRING ? text.text : "refused");
		return 1;
	}
	/* ok, true, result, and what follows is it */
	struct value_reader reader = value_reader(value.data, value.size);
	value_next(&reader, &map);
	for (int i = 0; i < 3; i++)
		value_next(&reader, &text);
	print_result(&reader);
	return 0;
}

/* The first line is the answer; further ones, where some follow, are printed as they come. */
static int read_answer(FILE *stream, bool follow)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t size = getline(&line, &room, stream);
	int status = 3;
	if (size > 0)
		status = print_answer(line, (size_t)size);
	else
		fprintf(stderr, "the simulator closed the connection\n");
	while (status == 0 && follow && (size = getline(&line, &room, stream)) > 0) {
		fwrite(line, 1, (size_t)size, stdout);
		if (fflush(stdout) != 0)
			break;
	}
	free(line);
	return status;
}

int client_run(const char *path, int count, char **words)
{
	OWNED_BUFFER value = BUFFER_EMPTY;
	OWNED_BUFFER text = BUFFER_EMPTY;
	struct value follow;
	if (!build_request(&value, count, words))
		return 2;
	if (json_print_value(&text, value.data, value.size) < 0)
		return 2;
	buffer_put_byte(&text, '\n');
	int fd = connect_to(path);
	FILE *stream = fd >= 0 ? fdopen(fd, "r+") : NULL;
	if (!stream) {
		fprintf(stderr, "%s: %s: does enos-cloud-sim run with --control-socket %s?\n", path,
			strerror(errno), path);
		return 3;
	}
	bool follows = value_find(value.data, value.size, "follow", &follow, NULL);
	int status = 3;
	if (send(fd, text.data, text.size, MSG_NOSIGNAL) == (ssize_t)text.size)
		status = read_answer(stream, follows);
	fclose(stream);
	return status;
}
