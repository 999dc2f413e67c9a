/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/boots.h"

#include <stdio.h>
#include <string.h>

#include "util/clock.h"

static const struct boot *find(const struct boots *boots, uint64_t boot)
{
	for (size_t i = 0; i < boots->count; i++) {
		if (boots->known[i].boot == boot)
			return &boots->known[i];
	}
	return NULL;
}

/* As the newest; the oldest makes room. */
static void add(struct boots *boots, uint64_t boot, int64_t wall_ms)
{
	const struct boot *known = find(boots, boot);
	if (!known && boots->count == BOOTS_MAX)
		known = boots->known;
	if (known) {
		size_t place = (size_t)(known - boots->known);
		boots->count--;
		memmove(boots->known + place, known + 1, (boots->count - place) * sizeof(*known));
	}
	boots->known[boots->count++] = (struct boot){ boot, wall_ms };
}

int boots_load(struct boots *boots, struct database *database)
{
	struct statement row;
	int result = statement_make(&row, database, "SELECT boot, wall FROM boots ORDER BY number");
	if (result == 0) {
		while ((result = statement_step(&row)) > 0)
			add(boots, (uint64_t)statement_number(&row, 0), statement_number(&row, 1));
	}
	statement_finish(&row);
	return result;
}

static int write(struct database *database, const struct boot *boot)
{
	char text[160];
	snprintf(text, sizeof(text),
		"INSERT OR REPLACE INTO boots(boot, wall) VALUES(%jd, %jd);"
		"DELETE FROM boots WHERE number <= (SELECT max(number) FROM boots) - %d",
		(intmax_t)boot->boot, (intmax_t)boot->wall_ms, BOOTS_MAX);
	return database_run(database, text);
}

int boots_keep(struct boots *boots, struct database *database, int64_t wall_ms)
{
	add(boots, boots->present, wall_ms);
	return write(database, &boots->known[boots->count - 1]);
}

int boots_keep_all(struct boots *boots, struct database *database)
{
	int result = 0;
	for (size_t i = 0; result == 0 && i < boots->count; i++)
		result = write(database, &boots->known[i]);
	return result;
}

bool boots_correct(const struct boots *boots, struct stamp *stamp)
{
	const struct boot *known = stamp->unset ? find(boots, stamp->boot) : NULL;
	if (known) {
		stamp->wall_ms = known->wall_ms + stamp->mono_us / USEC_PER_MSEC;
		stamp->unset = false;
	}
	if (stamp->boot == boots->present || !stamp->unset)
		stamp->boot = 0;
	return !stamp->unset;
}
