/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with what a person wrote, gathered so that all of it can be said in one go. */
#ifndef EB_CORE_PROBLEM_H
#define EB_CORE_PROBLEM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Where something stands; file is owned elsewhere and outlives the place, line 0: the file as such. */
struct place {
	const char *file;
	unsigned line;
};

struct problem {
	char *file; /* NULL: of no file */
	unsigned line;
	bool warning;
	char *text; /* what is wrong and what would be right */
};

struct problems {
	struct problem *items;
	size_t count, errors;
};

#define PROBLEMS_NONE         \
	{                     \
		.items = NULL \
	}

void problems_finish(struct problems *problems);
void problem_error(struct problems *problems, struct place place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void problem_warning(struct problems *problems, struct place place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* "file:line: text" for each, a warning marked as such, in the order of files and lines. */
void problems_print(const struct problems *problems, FILE *to);
/* The same to the log, errors and warnings at their levels. */
void problems_log(const struct problems *problems);

#endif
