/* SPDX-License-Identifier: Apache-2.0 */
#include "core/problem.h"

#include <string.h>

#include "util/alloc.h"
#include "util/buffer.h"
#include "util/log.h"

void problems_finish(struct problems *problems)
{
	for (size_t i = 0; i < problems->count; i++) {
		free(problems->items[i].file);
		free(problems->items[i].text);
	}
	free(problems->items);
	*problems = (struct problems)PROBLEMS_NONE;
}

/* Keeps the order of lines within a file, and of files as they first came. */
static size_t place_of(const struct problems *problems, const struct problem *problem)
{
	size_t at = problems->count;
	bool same_file = false;
	for (size_t i = problems->count; i > 0; i--) {
		const struct problem *other = &problems->items[i - 1];
		bool same = other->file && problem->file && strcmp(other->file, problem->file) == 0;
		if (same_file && !same)
			break;
		if (!same)
			continue;
		if (!same_file)
			at = i;
		same_file = true;
		if (other->line <= problem->line)
			return at;
		at = i - 1;
	}
	return at;
}

static void add(struct problems *problems, struct place place, bool warning, const char *format,
	va_list arguments)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	buffer_vprintf(&text, format, arguments);
	struct problem problem = { .file = place.file ? must_strdup(place.file) : NULL,
		.line = place.line,
		.warning = warning,
		.text = must_strdup(buffer_text(&text)) };
	size_t at = place_of(problems, &problem);
	problems->items = must_realloc(
		problems->items, (problems->count + 1) * sizeof(*problems->items));
	memmove(problems->items + at + 1, problems->items + at,
		(problems->count - at) * sizeof(*problems->items));
	problems->items[at] = problem;
	problems->count++;
	problems->errors += !warning;
}

void problem_error(struct problems *problems, struct place place, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	add(problems, place, false, format, arguments);
	va_end(arguments);
}

void problem_warning(struct problems *problems, struct place place, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	add(problems, place, true, format, arguments);
	va_end(arguments);
}

static void describe(const struct problem *problem, struct buffer *line)
{
	if (problem->file)
		buffer_printf(line, "%s:", problem->file);
	if (problem->file && problem->line)
		buffer_printf(line, "%u:", problem->line);
	if (problem->file)
		buffer_put_byte(line, ' ');
	if (problem->warning)
		buffer_put_text(line, "warning: ");
	buffer_put_text(line, problem->text);
}

void problems_print(const struct problems *problems, FILE *to)
{
	for (size_t i = 0; i < problems->count; i++) {
		OWNED_BUFFER line = BUFFER_EMPTY;
		describe(&problems->items[i], &line);
		fprintf(to, "%s\n", buffer_text(&line));
	}
}

void problems_log(const struct problems *problems)
{
	for (size_t i = 0; i < problems->count; i++) {
		OWNED_BUFFER line = BUFFER_EMPTY;
		describe(&problems->items[i], &line);
		if (problems->items[i].warning)
			log_warning("%s", buffer_text(&line));
		else
			log_error("%s", buffer_text(&line));
	}
}
