/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon keeps the frames for a moment and this program fetches them: so the file is the caller's,
 * wherever he may write, and the daemon's disk is left alone.
 */
#include "tool/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "tool/client.h"
#include "tool/print.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/plural.h"

#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define EXIT_UNREACHABLE 3
#define FETCH_MS 200
#define WAIT_MS 10000
#define DEFAULT_S 600
#define DEFAULT_BYTES (10u << 20)

struct capture {
	const struct capture_setup *setup;
	int64_t until_us;
	uint64_t room; /* bytes that may still be written */
	uint64_t frames, lost;
	int64_t who;
	int fd;
	bool full;
};

static int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int fail(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fputs("enos-bridge: capture: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	return EXIT_FAILED;
}

/* A number and a unit behind it; units: letters with what each multiplies by, 0 where it is wrong. */
static uint64_t parse(const char *text, const char *units, const uint64_t *factors)
{
	char *end;
	unsigned long long number = strtoull(text, &end, 10);
	if (end == text || *text == '-' || !number || number > UINT32_MAX)
		return 0;
	if (!*end)
		return number;
	const char *unit = strchr(units, *end);
	bool whole = !end[1] || (strcmp(end + 1, "B") == 0 && strchr("kKMG", *end));
	return unit && whole ? number * factors[unit - units] : 0;
}

static bool read_limits(struct capture *capture)
{
	static const uint64_t times[] = { 1, 60, 3600, 86400 };
	static const uint64_t sizes[] = { 1, 1000, 1000, 1000000, 1000000000 };
	const struct capture_setup *setup = capture->setup;
	const struct clock clock = CLOCK_SYSTEM;
	uint64_t seconds = setup->time ? parse(setup->time, "smhd", times) : DEFAULT_S;
	capture->room = setup->size ? parse(setup->size, "BkKMG", sizes) : DEFAULT_BYTES;
	if (!seconds || seconds > UINT32_MAX)
		fail("--for %s is no time: write 90s, 10m, 2h or 1d", setup->time);
	else if (!capture->room)
		fail("--max %s is no size: write 500kB, 10MB or 1GB", setup->size);
	capture->until_us = clock_mono_us(&clock) + (int64_t)seconds * USEC_PER_SEC;
	return seconds && seconds <= UINT32_MAX && capture->room;
}

/* Whole lines, as far as there is room. */
static int take(struct capture *capture, const char *text, size_t size)
{
	if (size > capture->room) {
		capture->full = true;
		size = (size_t)capture->room;
		while (size && text[size - 1] != '\n')
			size--;
	}
	for (size_t at = 0; at < size; at++)
		capture->frames += text[at] == '\n' && at + 1 < size ? text[at + 1] != '#' : 0;
	capture->room -= size;
	while (size) {
		ssize_t count = write(capture->fd, text, size);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return fail("cannot write %s: %s", capture->setup->path, strerror(errno));
		text += count;
		size -= (size_t)count;
	}
	return 0;
}

static int take_answer(struct capture *capture, const struct buffer *answer)
{
	struct value value;
	if (value_find(answer->data, answer->size, "busy", &value, NULL))
		return fail("%s is being captured already: end that first, or use its file",
			capture->setup->bus);
	uint64_t lost = 0;
	if (value_find(answer->data, answer->size, "lost", &value, NULL) &&
		value.type == VALUE_INTEGER)
		lost = (uint64_t)value.integer;
	int status = 0;
	if (value_find(answer->data, answer->size, "text", &value, NULL) &&
		value.type == VALUE_STRING)
		status = take(capture, value.text, value.size);
	capture->lost += lost;
	if (status || !lost)
		return status;
	char line[80];
	snprintf(line, sizeof(line),
		"# %" PRIu64 " frame%s more than could be kept %s missing here\n", lost,
		plural(lost, "s"), lost == 1 ? "is" : "are");
	return take(capture, line, strlen(line));
}

static int fetch(struct capture *capture, bool end)
{
	OWNED_BUFFER request = BUFFER_EMPTY;
	OWNED_BUFFER answer = BUFFER_EMPTY;
	OWNED_BUFFER text = BUFFER_EMPTY;
	buffer_put_text(&request, "{\"command\":\"capture\",\"bus\":");
	json_put_text(&request, capture->setup->bus);
	buffer_printf(
		&request, ",\"who\":%" PRId64 ",\"end\":%s}", capture->who, end ? "true" : "false");
	enum client_answer said = client_ask(
		capture->setup->socket, buffer_text(&request), WAIT_MS, &answer);
	if (said == CLIENT_RESULT)
		return take_answer(capture, &answer);
	print_text(&text, buffer_text(&answer), answer.size);
	fprintf(stderr, "enos-bridge: %s\n", buffer_text(&text));
	return said == CLIENT_REFUSED ? EXIT_FAILED : EXIT_UNREACHABLE;
}

/* A descriptor that tells when somebody wants it to end. */
static int watch_signals(void)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	return signalfd(-1, &signals, SFD_CLOEXEC);
}

static int run(struct capture *capture)
{
	const struct clock clock = CLOCK_SYSTEM;
	struct pollfd stop = { .fd = watch_signals(), .events = POLLIN };
	int status = 0;
	bool stopped = false;
	while (!status && !stopped && !capture->full) {
		status = fetch(capture, false);
		stopped = clock_mono_us(&clock) >= capture->until_us;
		if (!status && !stopped && !capture->full)
			stopped = poll(&stop, 1, FETCH_MS) > 0;
	}
	if (!status)
		status = fetch(capture, true);
	close(stop.fd);
	return status;
}

int capture_main(const struct capture_setup *setup)
{
	struct capture capture = { .setup = setup, .fd = STDOUT_FILENO };
	if (!read_limits(&capture))
		return EXIT_USAGE;
	const struct clock clock = CLOCK_SYSTEM;
	capture.who = clock_mono_us(&clock) ^ ((int64_t)getpid() << 40);
	bool file = strcmp(setup->path, "-") != 0;
	if (file)
		capture.fd = open(setup->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (capture.fd < 0)
		return fail(
			"cannot create %s: %s: choose another name", setup->path, strerror(errno));
	int status = run(&capture);
	if (file && close(capture.fd) < 0 && !status)
		status = fail("cannot write %s: %s", setup->path, strerror(errno));
	if (file && status && !capture.frames)
		unlink(setup->path);
	if (!status)
		fprintf(stderr, "%" PRIu64 " frame%s%s%s\n", capture.frames,
			plural(capture.frames, "s"),
			capture.full ? ", until --max was reached" : "",
			capture.lost ? "; some are missing: the file says where" : "");
	return status;
}
