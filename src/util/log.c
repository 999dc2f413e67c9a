/* SPDX-License-Identifier: Apache-2.0 */
#include "util/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2000

static const char *const level_words[] = { "error", "warning", "info", "debug" };
static const char level_priorities[] = { '3', '4', '6', '7' };

static atomic_int enabled_level = LOG_LEVEL_INFO;
static void (*line_sink)(enum log_level level, const char *line, void *context);
static void *line_context;

void log_set_level(enum log_level level)
{
	atomic_store(&enabled_level, (int)level);
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load(&enabled_level);
}

int log_level_parse(const char *word)
{
	for (int level = 0; level < (int)(sizeof(level_words) / sizeof(*level_words)); level++) {
		if (strcmp(word, level_words[level]) == 0)
			return level;
	}
	return -EINVAL;
}

void log_set_sink(
	void (*sink)(enum log_level level, const char *line, void *context), void *context)
{
	line_sink = sink;
	line_context = context;
}

/* Whether standard error goes to the journal itself, and not somewhere else below it. */
static bool to_journal(void)
{
	static atomic_int known; /* 0: not looked yet */
	int answer = atomic_load(&known);
	if (answer)
		return answer > 1;
	unsigned long long device, inode;
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat info;
	bool same = stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
		fstat(STDERR_FILENO, &info) == 0 && info.st_dev == device && info.st_ino == inode;
	atomic_store(&known, same ? 2 : 1);
	return same;
}

void log_line(enum log_level level, const char *format, ...)
{
	if (!log_enabled(level))
		return;
	char line[LINE_MAX_BYTES + 16];
	int start = 0;
	if (!line_sink) {
		start = to_journal() ? snprintf(line, 16, "<%c>", level_priorities[level])
				     : snprintf(line, 16, "%s: ", level_words[level]);
	}
	va_list arguments;
	va_start(arguments, format);
	int size = vsnprintf(line + start, LINE_MAX_BYTES, format, arguments);
	va_end(arguments);
	if (size < 0)
		return;
	if (size >= LINE_MAX_BYTES)
		size = LINE_MAX_BYTES - 1;
	/* One line stays one line, whatever a device or a script put into it. */
	for (char *c = line + start; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = *c == '\t' ? ' ' : '?';
	}
	if (line_sink) {
		line_sink(level, line, line_context);
		return;
	}
	line[start + size] = '\n';
	ssize_t written = write(STDERR_FILENO, line, (size_t)(start + size + 1));
	(void)written; /* there is nowhere left to say it */
}

bool log_limit_pass(struct log_limit *limit, int64_t now_us, uint64_t *held)
{
	if (now_us - limit->since_us >= limit->window_us || !limit->since_us) {
		limit->since_us = now_us ? now_us : 1;
		limit->said = 0;
	}
	if (limit->said >= limit->burst) {
		limit->held++;
		return false;
	}
	limit->said++;
	*held = limit->held;
	limit->held = 0;
	return true;
}
