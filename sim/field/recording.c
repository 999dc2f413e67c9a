/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/field/recording.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "util/alloc.h"
#include "util/clock.h"
#include "util/hex.h"

#define BYTES_MAX (256u << 20)
#define LINE_MAX_BYTES 65536

struct head {
	bool modbus, tcp, other_framing;
};

/* What the head tells of how answers belong to requests. */
static void read_head(struct head *head, const char *line)
{
	if (strncmp(line, "# plugin ", 9) == 0)
		head->modbus = strcmp(line + 9, "modbus") == 0;
	else if (strncmp(line, "# link ", 7) == 0)
		head->tcp = strncmp(line + 7, "tcp ", 4) == 0;
	else if (strncmp(line, "# options ", 10) == 0)
		head->other_framing = strstr(line, "\"framing\":") &&
			!strstr(line, "\"framing\":\"tcp\"");
}

/* Returns what stands behind the time, or NULL. */
static const char *read_time(const char *line, int64_t *us)
{
	struct tm parts = { .tm_year = 0 };
	int micros, used = 0;
	int count = sscanf(line, "%4d-%2d-%2d %2d:%2d:%2d.%6d%n", &parts.tm_year, &parts.tm_mon,
		&parts.tm_mday, &parts.tm_hour, &parts.tm_min, &parts.tm_sec, &micros, &used);
	if (count != 7 || micros < 0)
		return NULL;
	parts.tm_year -= 1900;
	parts.tm_mon--;
	*us = timegm(&parts) * USEC_PER_SEC + micros;
	return line + used;
}

static void add(struct recording *recording, const struct recorded *frame, struct buffer *bytes)
{
	size_t count = recording->count + 1;
	if ((count & recording->count) == 0)
		recording->frames = must_realloc(
			recording->frames, 2 * count * sizeof(*recording->frames));
	recording->frames[recording->count] = *frame;
	recording->frames[recording->count].size = bytes->size;
	recording->frames[recording->count++].bytes = buffer_take(bytes);
}

/* One line of a frame; the reason where it is none. */
static const char *read_frame(struct recording *recording, char *line, int64_t *first_us)
{
	struct recorded frame = { .size = 0 };
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	char direction[4];
	double ms;
	int used = 0;
	int64_t us;
	const char *rest = read_time(line, &us);
	if (!rest)
		return "a line begins with a time, 2026-11-20 12:34:56.789012";
	if (sscanf(rest, " %lf %3s%n", &ms, direction, &used) != 2)
		return "behind the time stand milliseconds, and tx, rx or --";
	if (strcmp(direction, "--") == 0)
		return NULL;
	frame.sent = strcmp(direction, "tx") == 0;
	if (!frame.sent && strcmp(direction, "rx") != 0)
		return "a frame is tx or rx";
	char *digits = line + (rest - line) + used;
	char *note = strchr(digits, ';');
	bool cut = note && strstr(note, "(of ");
	if (note)
		*note = 0;
	if (hex_parse(&bytes, digits) < 0)
		return "the bytes are pairs of hexadecimal digits";
	/* A request of which only the beginning was kept cannot be known again. */
	if (!bytes.size || (cut && frame.sent))
		return NULL;
	if (*first_us < 0)
		*first_us = us;
	frame.at_us = us - *first_us;
	if (recording->count && frame.at_us < recording->frames[recording->count - 1].at_us)
		return "a frame is older than the one before";
	add(recording, &frame, &bytes);
	return NULL;
}

int recording_parse(struct recording *recording, const char *text, char *error, size_t room)
{
	struct head head = { .modbus = false };
	int64_t first_us = -1;
	OWNED char *line = must_alloc(LINE_MAX_BYTES);
	*recording = (struct recording){ .count = 0 };
	for (unsigned number = 1; *text; number++) {
		size_t size = strcspn(text, "\n");
		const char *why = NULL;
		if (size >= LINE_MAX_BYTES) {
			why = "it is too long";
		} else {
			memcpy(line, text, size);
			line[size] = 0;
			if (*line == '#')
				read_head(&head, line);
			else if (line[strspn(line, " \t\r")])
				why = read_frame(recording, line, &first_us);
		}
		if (why) {
			snprintf(error, room, "line %u: %s", number, why);
			return -EINVAL;
		}
		text += size + (text[size] == '\n');
	}
	recording->numbered = head.modbus && head.tcp && !head.other_framing;
	if (recording->count)
		return 0;
	snprintf(error, room, "there are no frames in it");
	return -EINVAL;
}

int recording_load(struct recording *recording, const char *path, char *error, size_t room)
{
	OWNED_BUFFER text = BUFFER_EMPTY;
	char why[200];
	*recording = (struct recording){ .count = 0 };
	FILE *file = fopen(path, "re");
	if (!file) {
		int result = -errno;
		snprintf(error, room, "%s: %s", path, strerror(-result));
		return result;
	}
	size_t count = 1;
	while (count && text.size <= BYTES_MAX) {
		count = fread(buffer_reserve(&text, 65536), 1, 65536, file);
		text.size += count;
	}
	bool bad = ferror(file) || text.size > BYTES_MAX || memchr(text.data, 0, text.size);
	fclose(file);
	buffer_put_byte(&text, 0);
	int result = -EINVAL;
	snprintf(why, sizeof(why), "cannot be read, or is no text");
	if (!bad)
		result = recording_parse(recording, (const char *)text.data, why, sizeof(why));
	if (result < 0)
		snprintf(error, room, "%s: %s", path, why);
	return result;
}

void recording_finish(struct recording *recording)
{
	for (size_t i = 0; i < recording->count; i++)
		free(recording->frames[i].bytes);
	free(recording->frames);
	*recording = (struct recording){ .count = 0 };
}
