/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines to standard error, with the journal's priority prefix where the journal listens.  A line
 * reads "object: what happened: why, and what to check".  Callable from every thread.
 */
#ifndef EB_UTIL_LOG_H
#define EB_UTIL_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);
/* "error", "warning", "info" or "debug" to its level; -EINVAL for another word. */
int log_level_parse(const char *word);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                          \
	do {                                                    \
		if (log_enabled(LOG_LEVEL_DEBUG))               \
			log_line(LOG_LEVEL_DEBUG, __VA_ARGS__); \
	} while (0)

/* Lets burst lines through in each window, counts the rest. */
struct log_limit {
	int64_t window_us; /* set by the owner */
	uint32_t burst;
	int64_t since_us;
	uint32_t said;
	uint64_t held;
};

/*
 * Whether the next line may be written now.  *held gets how many were held back since the last one
 * that was written, so that the line can say so.
 */
bool log_limit_pass(struct log_limit *limit, int64_t now_us, uint64_t *held);

/* For tests: where lines go instead of standard error, NULL to restore it. */
void log_set_sink(
	void (*sink)(enum log_level level, const char *line, void *context), void *context);

#endif
