/* SPDX-License-Identifier: Apache-2.0 */
/* log(...): a line of the script's own in the log, of so many in a minute. */
#include "script/library.h"

#include <string.h>
#include <time.h>

#include <lauxlib.h>

#include "script/host.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/plural.h"

#define LINE_MAX_BYTES 256

static int64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * USEC_PER_SEC + now.tv_nsec / 1000;
}

/* Appends text to line of room bytes, on one line of it. */
static void append(char *line, size_t room, const char *text)
{
	size_t at = strlen(line);
	for (; *text && at < room - 1; text++)
		line[at++] = (unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text;
	line[at] = 0;
}

static int log_values(lua_State *L)
{
	struct sandbox *box = sandbox_of(L);
	char line[LINE_MAX_BYTES] = "";
	int count = lua_gettop(L);
	sandbox_charge(L, 100);
	luaL_checkstack(L, 4, NULL);
	for (int i = 1; i <= count; i++) {
		append(line, sizeof(line), i > 1 ? " " : "");
		append(line, sizeof(line), library_text_of(L, i));
		lua_settop(L, count);
	}
	uint64_t held;
	if (!log_limit_pass(&box->log, now_us(), &held))
		return 0;
	const struct script_device *device = box->context;
	const char *name = device ? device->conf->name : "";
	enum log_level level = box->quiet ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
	if (held)
		log_line(level, "%s: %s%s%s (%llu line%s held back before)", box->file, name,
			device ? ": " : "", line, (unsigned long long)held, plural(held, "s"));
	else
		log_line(level, "%s: %s%s%s", box->file, name, device ? ": " : "", line);
	return 0;
}

const struct library_function library_log[] = {
	{ "log", log_values },
	{ NULL },
};
