/* SPDX-License-Identifier: Apache-2.0 */
#include "script/sandbox.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "script/library.h"
#include "script/values.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/json.h"

/* A hook costs the same at any count from 64 up; a step may cost 0.2 ms (32 KiB compared). */
#define HOOK_STEPS 64
#define CLOCK_STEPS 64
/* The allocator's price: collecting is paid for with the allocation. */
#define ALLOCATION_BYTES_PER_STEP 32
/* The parser takes 0.02 µs for a byte. */
#define SOURCE_BYTES_PER_STEP 4
/* Some sources take the parser quadratic time, so the clock is looked at between small pieces. */
#define SOURCE_PIECE 128
#define ERROR_VALUE_MAX 300
#define LOG_WINDOW_US (60 * USEC_PER_SEC)
#define LOG_BURST 10

static int64_t read_us(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec * USEC_PER_SEC + now.tv_nsec / 1000;
}

/*
 * Where the script stands.  Called by the allocator too, in the middle of Lua's work: it only reads
 * the list of calls, and allocates nothing.
 */
static void note_place(struct sandbox *box)
{
	lua_Debug at;
	box->where[0] = 0;
	for (int level = 0; level < 8 && box->lua && lua_getstack(box->lua, level, &at); level++) {
		lua_getinfo(box->lua, "Sl", &at);
		if (at.currentline > 0) {
			snprintf(box->where, sizeof(box->where), "%s:%d: ", at.short_src,
				at.currentline);
			return;
		}
	}
}

/* Takes steps off the budget for memory, at most all of it. */
static void charge_bytes(struct sandbox *box, size_t bytes)
{
	size_t steps = 1 + bytes / ALLOCATION_BYTES_PER_STEP;
	box->left -= steps < box->limits.instructions ? (int64_t)steps : box->limits.instructions;
}

/* Why the block must not be had, if so. */
static enum sandbox_limit refusal(
	const struct sandbox *box, size_t growth, size_t size, bool string)
{
	if (string && size > SANDBOX_STRING_MAX + 64)
		return SANDBOX_STRING;
	if (box->running && box->left < 0)
		return SANDBOX_STEPS;
	if (box->used + growth > (size_t)box->limits.memory_kb * 1024)
		return SANDBOX_MEMORY;
	return SANDBOX_WITHIN;
}

static bool may_grow(struct sandbox *box, size_t growth, size_t size, bool string)
{
	enum sandbox_limit limit = refusal(box, growth, size, string);
	if (!limit) {
		box->refused = SANDBOX_WITHIN;
		if (box->running)
			charge_bytes(box, size);
		return true;
	}
	if (box->running) {
		/* Of several refusals in a row the first is the cause. */
		if (!box->refused && !box->hit)
			note_place(box);
		/* Lua collects all garbage now and tries again: that must not come for nothing. */
		if (limit == SANDBOX_MEMORY)
			charge_bytes(box, box->used);
	}
	if (!box->refused)
		box->refused = limit;
	return false;
}

/* Lua's allocator; for a new block old_size says what kind of object it is for. */
static void *allocate(void *user, void *old, size_t old_size, size_t size)
{
	struct sandbox *box = user;
	bool string = !old && old_size == LUA_TSTRING;
	size_t before = old ? old_size : 0;
	if (!size) {
		free(old);
		box->used -= before;
		return NULL;
	}
	if (size > before && !may_grow(box, size - before, size, string))
		return NULL;
	void *block = realloc(old, size);
	if (!block) {
		if (size <= before)
			return old; /* Lua relies on shrinking */
		return NULL;
	}
	box->used += size - before;
	if (box->used > box->peak)
		box->peak = box->used;
	return block;
}

__attribute__((noreturn)) static void stop(lua_State *L, enum sandbox_limit limit)
{
	struct sandbox *box = sandbox_of(L);
	if (!box->hit) {
		box->hit = limit;
		note_place(box);
	}
	lua_pushnil(L); /* a message would have to be allocated */
	lua_error(L);
	__builtin_unreachable();
}

/*
 * The limit is meant for the script's own work: on a busy machine the thread may have been off the
 * processor.  So at half of the time its own clock is read, and it has the other half of that.
 */
static void check_time(lua_State *L, struct sandbox *box)
{
	int64_t now = read_us(CLOCK_MONOTONIC);
	if (now < box->deadline_us)
		return;
	int64_t half = box->limits.wall_ms * USEC_PER_MSEC / 2;
	int64_t cpu = read_us(CLOCK_THREAD_CPUTIME_ID);
	if (box->cpu_us < 0)
		box->cpu_us = cpu;
	int64_t rest = half - (cpu - box->cpu_us);
	if (rest <= 0)
		stop(L, SANDBOX_TIME);
	box->deadline_us = now + rest;
}

void sandbox_charge(lua_State *L, uint64_t steps)
{
	struct sandbox *box = sandbox_of(L);
	if (!box->running)
		return;
	int64_t taken = box->limits.instructions;
	if (steps < box->limits.instructions)
		taken = (int64_t)steps;
	box->left -= taken;
	if (box->left < 0)
		stop(L, SANDBOX_STEPS);
	box->until_clock -= taken;
	if (box->until_clock > 0)
		return;
	box->until_clock = CLOCK_STEPS;
	check_time(L, box);
}

static void hook(lua_State *L, lua_Debug *at)
{
	sandbox_charge(L, HOOK_STEPS);
}

void sandbox_rethrow(lua_State *L, int status)
{
	struct sandbox *box = sandbox_of(L);
	if (status == LUA_ERRMEM && !box->hit)
		box->hit = box->refused ? box->refused : SANDBOX_MEMORY;
	if (box->hit)
		lua_error(L);
}

int sandbox_fail(lua_State *L, const char *format, ...)
{
	struct sandbox *box = sandbox_of(L);
	char text[400];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (box->line > 0)
		lua_pushfstring(L, "%s:%d: ", box->file, box->line);
	else
		lua_pushfstring(L, "%s: ", box->file);
	lua_pushfstring(L, box->activity ? "%s: " : "%s", box->activity ? box->activity : "");
	lua_pushstring(L, text);
	lua_concat(L, 3);
	return lua_error(L);
}

/* ---- errors as text ------------------------------------------------------------------------- */

/* One line of printable text, cut between characters. */
static void put_line(struct script_error *error, const char *text, size_t size)
{
	size_t at = strlen(error->text), room = sizeof(error->text) - 1;
	for (size_t i = 0; i < size && at < room; i++) {
		unsigned char byte = (unsigned char)text[i];
		error->text[at++] = byte < ' ' || byte == 0x7f ? ' ' : (char)byte;
	}
	if (at == room) {
		at -= 3;
		while (at && ((unsigned char)error->text[at] & 0xc0) == 0x80)
			at--;
		memcpy(error->text + at, "...", 3);
		at += 3;
	}
	error->text[at] = 0;
}

/* The place that was noted, or at least the file. */
static void put_place(const struct sandbox *box, struct script_error *error)
{
	put_line(error, box->where, strlen(box->where));
	if (box->where[0])
		return;
	put_line(error, box->file, strlen(box->file));
	put_line(error, ": ", 2);
}

static void describe_limit(const struct sandbox *box, struct script_error *error)
{
	char text[256];
	switch (box->hit) {
	case SANDBOX_STEPS:
		snprintf(text, sizeof(text),
			"stopped after %u steps: look for a loop without end, or raise "
			"'instructions' in the section 'scripts'",
			box->limits.instructions);
		break;
	case SANDBOX_MEMORY:
		snprintf(text, sizeof(text),
			"needs more than %u KiB of memory: look for a table or text that grows, or "
			"raise 'memory_kb' in the section 'scripts'",
			box->limits.memory_kb);
		break;
	case SANDBOX_STRING:
		snprintf(text, sizeof(text),
			"builds a string of more than %d bytes: work on shorter ones",
			SANDBOX_STRING_MAX);
		break;
	case SANDBOX_TIME:
		snprintf(text, sizeof(text),
			"stopped after %u ms: look for a loop without end, or raise 'wall_ms' in "
			"the section 'scripts'",
			box->limits.wall_ms);
		break;
	case SANDBOX_WITHIN:
		return;
	}
	error->budget = true;
	put_place(box, error);
	put_line(error, text, strlen(text));
}

/* What error() was given, where that is plain data; it raises again where it is not. */
static int render(lua_State *L)
{
	struct sandbox *box = sandbox_of(L);
	buffer_clear(&box->value);
	values_put(L, 2, &box->value, ERROR_VALUE_MAX, VALUES_ANY, "error");
	return 0;
}

static void describe_value(struct sandbox *box, struct script_error *error)
{
	lua_State *L = box->lua;
	put_place(box, error);
	const char *type = luaL_typename(L, -1);
	lua_pushcfunction(L, render);
	lua_pushnil(L);
	lua_pushvalue(L, -3);
	struct buffer text = BUFFER_EMPTY;
	if (lua_type(L, -1) == LUA_TTABLE && lua_pcall(L, 2, 0, 0) == LUA_OK &&
		json_print_value(&text, box->value.data, box->value.size) == 0) {
		put_line(error, "error ", 6);
		put_line(error, buffer_text(&text), text.size);
	} else {
		put_line(error, "error with a value of type ", 27);
		put_line(error, type, strlen(type));
	}
	buffer_finish(&text);
}

static void describe(struct sandbox *box, int status, struct script_error *error)
{
	*error = (struct script_error){ 0 };
	if (status == LUA_ERRMEM && !box->hit)
		box->hit = box->refused ? box->refused : SANDBOX_MEMORY;
	if (box->hit) {
		describe_limit(box, error);
		return;
	}
	size_t size;
	if (lua_type(box->lua, -1) == LUA_TSTRING) {
		const char *text = lua_tolstring(box->lua, -1, &size);
		if (strncmp(text, box->file, strlen(box->file)) != 0)
			put_place(box, error);
		put_line(error, text, size);
		return;
	}
	/* Rendering is bounded by the size of its result, not by what is left of the budget. */
	box->running = false;
	describe_value(box, error);
}

/* Runs where an error is raised: not every one has its place in it. */
static int note_error(lua_State *L)
{
	struct sandbox *box = sandbox_of(L);
	if (!box->hit)
		note_place(box);
	return 1;
}

int sandbox_run(struct sandbox *sandbox, lua_CFunction body, void *job, struct script_error *error)
{
	lua_State *L = sandbox->lua;
	int64_t half = sandbox->limits.wall_ms * USEC_PER_MSEC / 2;
	sandbox->left = sandbox->limits.instructions;
	sandbox->until_clock = CLOCK_STEPS;
	sandbox->deadline_us = read_us(CLOCK_MONOTONIC) + half;
	sandbox->cpu_us = -1;
	sandbox->hit = sandbox->refused = SANDBOX_WITHIN;
	sandbox->where[0] = 0;
	sandbox->activity = NULL;
	sandbox->line = 0;
	sandbox->poll = NULL;
	sandbox->running = true;
	lua_pushcfunction(L, note_error);
	lua_pushcfunction(L, body);
	lua_pushlightuserdata(L, job);
	int status = lua_pcall(L, 1, 0, 1);
	if (status != LUA_OK)
		describe(sandbox, status, error);
	sandbox->running = false;
	lua_settop(L, 0);
	return status == LUA_OK ? 0 : -EINVAL;
}

bool sandbox_recover(struct sandbox *sandbox)
{
	lua_gc(sandbox->lua, LUA_GCCOLLECT);
	return sandbox->used < (size_t)sandbox->limits.memory_kb * 1024 / 4 * 3;
}

/* ---- loading -------------------------------------------------------------------------------- */

struct source {
	const char *text;
	size_t size;
};

static const char *read_piece(lua_State *L, void *user, size_t *size)
{
	struct source *source = user;
	*size = source->size < SOURCE_PIECE ? source->size : SOURCE_PIECE;
	const char *piece = source->text;
	source->text += *size;
	source->size -= *size;
	struct sandbox *box = sandbox_of(L);
	box->until_clock = 0;
	sandbox_charge(L, *size / SOURCE_BYTES_PER_STEP);
	return *size ? piece : NULL;
}

void sandbox_load(lua_State *L, const char *text, size_t size)
{
	struct source source = { text, size };
	if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		source = (struct source){ text + 3, size - 3 };
	const char *name = lua_pushfstring(L, "@%s", sandbox_of(L)->file);
	int status = lua_load(L, read_piece, &source, name, "t");
	if (status != LUA_OK) {
		sandbox_rethrow(L, status);
		lua_error(L);
	}
	lua_remove(L, -2);
}

/* ---- making --------------------------------------------------------------------------------- */

static int open_library(lua_State *L)
{
	library_open(L);
	return 0;
}

int sandbox_create(struct sandbox **sandbox, const char *file, const struct conf_scripts *limits,
	struct script_error *error)
{
	struct sandbox *box = must_alloc(sizeof(*box));
	box->limits = *limits;
	box->log = (struct log_limit){ .window_us = LOG_WINDOW_US, .burst = LOG_BURST };
	/* Lua itself would cut a longer name, and errors could not be told to have it. */
	size_t length = strlen(file), most = sizeof(box->file) - 1;
	snprintf(box->file, sizeof(box->file), "%s%s", length > most ? "..." : "",
		length > most ? file + length - most + 3 : file);
	*error = (struct script_error){ 0 };
	box->lua = lua_newstate(allocate, box);
	if (!box->lua) {
		box->hit = SANDBOX_MEMORY;
		describe_limit(box, error);
		sandbox_destroy(box);
		return -ENOMEM;
	}
	*(struct sandbox **)lua_getextraspace(box->lua) = box;
	/* The library itself is ours: it runs without a budget, under the cap. */
	int result = sandbox_run(box, open_library, NULL, error);
	if (result < 0) {
		sandbox_destroy(box);
		return result;
	}
	lua_sethook(box->lua, hook, LUA_MASKCOUNT, HOOK_STEPS);
	*sandbox = box;
	return 0;
}

void sandbox_destroy(struct sandbox *sandbox)
{
	if (!sandbox)
		return;
	if (sandbox->lua)
		lua_close(sandbox->lua);
	buffer_finish(&sandbox->value);
	buffer_finish(&sandbox->entries);
	buffer_finish(&sandbox->sorted);
	free(sandbox);
}
