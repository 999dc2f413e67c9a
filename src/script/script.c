/* SPDX-License-Identifier: Apache-2.0 */
/* A script's file: read, run, and what it returns checked. */
#include "script/script.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "script/host.h"
#include "script/values.h"
#include "util/alloc.h"
#include "util/value.h"

static const struct {
	const char *key;
	bool data; /* may be a table too */
} known[SCRIPT_FUNCTIONS] = {
	[SCRIPT_SETUP] = { "setup", true },
	[SCRIPT_POLLS] = { "polls", true },
	[SCRIPT_DISCOVER] = { "discover" },
	[SCRIPT_DECODE] = { "decode" },
	[SCRIPT_ENCODE] = { "encode" },
	[SCRIPT_REPLY] = { "reply" },
	[SCRIPT_HEALTH] = { "health" },
};

const char *script_function_name(enum script_function function)
{
	return known[function].key;
}

/* ---- the file ------------------------------------------------------------------------------- */

static int file_error(struct script_error *error, const char *path, int result, const char *why)
{
	*error = (struct script_error){ 0 };
	snprintf(error->text, sizeof(error->text), "%s: cannot be loaded: %s", path, why);
	return result;
}

static int read_all(int fd, char *to, size_t size)
{
	for (size_t got = 0; got < size;) {
		ssize_t count = read(fd, to + got, size - got);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return count < 0 ? -errno : -EIO;
		got += (size_t)count;
	}
	return 0;
}

static int read_file(struct script *script, struct script_error *error)
{
	/* O_NONBLOCK: a named pipe is to be refused, not waited for. */
	int fd = open(script->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return file_error(error, script->path, -errno, strerror(errno));
	struct stat stat;
	int result = fstat(fd, &stat) < 0 ? -errno : 0;
	if (result == 0 && S_ISDIR(stat.st_mode)) {
		result = file_error(error, script->path, -EISDIR, "it is a directory");
	} else if (result == 0 && !S_ISREG(stat.st_mode)) {
		result = file_error(error, script->path, -EINVAL, "it is no regular file");
	} else if (result == 0 && stat.st_size > SCRIPT_SOURCE_MAX) {
		char why[80];
		snprintf(why, sizeof(why), "it has %lld bytes, a script at most %d",
			(long long)stat.st_size, SCRIPT_SOURCE_MAX);
		result = file_error(error, script->path, -EFBIG, why);
	} else if (result == 0) {
		script->source_size = (size_t)stat.st_size;
		script->source = must_alloc(script->source_size + 1);
		result = read_all(fd, script->source, script->source_size);
	}
	if (result < 0 && !error->text[0])
		file_error(error, script->path, result, strerror(-result));
	close(fd);
	return result;
}

/* ---- what it returns ------------------------------------------------------------------------ */

struct loading {
	struct program *program;
	const struct script *script;
};

static int line_of(lua_State *L, int index)
{
	lua_Debug at;
	if (lua_type(L, index) != LUA_TFUNCTION)
		return 0;
	lua_pushvalue(L, index);
	lua_getinfo(L, ">S", &at);
	return at.linedefined > 0 ? at.linedefined : 0;
}

static int line_at(const struct script *script, size_t at)
{
	int line = 1;
	for (size_t i = 0; i < at; i++)
		line += script->source[i] == '\n';
	return line;
}

/* What is no function does not know where it stands: where "key =" is found first. */
static int line_of_key(const struct script *script, const char *key)
{
	size_t size = strlen(key);
	for (size_t i = 0; i + size < script->source_size; i++) {
		const char *at = script->source + i;
		bool inside = i && (isalnum((unsigned char)at[-1]) || at[-1] == '_');
		if (inside || memcmp(at, key, size) != 0)
			continue;
		size_t behind = i + size;
		while (behind < script->source_size && script->source[behind] == ' ')
			behind++;
		if (behind < script->source_size && script->source[behind] == '=')
			return line_at(script, i);
	}
	return 0;
}

/* The last line with something in it. */
static int last_line(const struct script *script)
{
	size_t size = script->source_size;
	while (size && isspace((unsigned char)script->source[size - 1]))
		size--;
	return line_at(script, size);
}

/* Takes the pair of key and value at the top. */
static void take_pair(lua_State *L, const struct script *script, struct program *program)
{
	struct sandbox *box = program->box;
	box->line = line_of(L, -1);
	if (!box->line && lua_type(L, -2) == LUA_TSTRING)
		box->line = line_of_key(script, lua_tostring(L, -2));
	if (lua_type(L, -2) != LUA_TSTRING)
		sandbox_fail(L,
			"the file returns a list: it is to return named things, as in "
			"'return { decode = function(reading, device) ... end }'");
	const char *key = lua_tostring(L, -2);
	if (strcmp(key, "parameters") == 0) {
		parameters_declare(L, lua_gettop(L), &program->parameters);
		return;
	}
	int i = 0;
	while (i < SCRIPT_FUNCTIONS && strcmp(known[i].key, key) != 0)
		i++;
	if (i == SCRIPT_FUNCTIONS)
		sandbox_fail(L,
			"the file returns an unknown '%s': it may have parameters, setup, polls, "
			"discover, decode, encode, reply and health",
			key);
	int type = lua_type(L, -1);
	if (type != LUA_TFUNCTION && !(known[i].data && type == LUA_TTABLE))
		sandbox_fail(L, "'%s' is a %s: it is to be a function%s", key,
			lua_typename(L, type), known[i].data ? " or a list" : "");
	program->lines[i] = box->line;
	lua_pushvalue(L, -1);
	program->functions[i] = luaL_ref(L, LUA_REGISTRYINDEX);
}

static int load(lua_State *L)
{
	struct loading *loading = lua_touserdata(L, 1);
	const struct script *script = loading->script;
	struct sandbox *box = sandbox_of(L);
	device_open(L);
	if (script->source_size && script->source[0] == '\x1b')
		sandbox_fail(L, "is compiled Lua: only source text is loaded");
	sandbox_load(L, script->source, script->source_size);
	box->loading = true;
	lua_call(L, 0, 1);
	box->loading = false;
	box->line = last_line(script);
	if (lua_type(L, -1) != LUA_TTABLE)
		sandbox_fail(L,
			"the file returns %s%s: it is to end in 'return { decode = "
			"function(reading, device) ... end }'",
			lua_isnil(L, -1) ? "" : "a ",
			lua_isnil(L, -1) ? "nothing" : luaL_typename(L, -1));
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
		take_pair(L, script, loading->program);
	const int *functions = loading->program->functions;
	box->line = loading->program->lines[SCRIPT_DISCOVER];
	if (functions[SCRIPT_POLLS] != LUA_NOREF && functions[SCRIPT_DISCOVER] != LUA_NOREF)
		sandbox_fail(L,
			"the file returns both polls and discover: discover returns the polls in "
			"the end, so leave out the others");
	return 0;
}

void program_finish(struct program *program)
{
	sandbox_destroy(TAKE(program->box));
	buffer_finish(&program->parameters);
}

int program_load(struct program *program, const struct script *script, struct script_error *error)
{
	*program = (struct program){ 0 };
	for (int i = 0; i < SCRIPT_FUNCTIONS; i++)
		program->functions[i] = LUA_NOREF;
	int result = sandbox_create(&program->box, script->file, &script->limits, error);
	if (result < 0)
		return result;
	struct loading loading = { program, script };
	result = sandbox_run(program->box, load, &loading, error);
	program->box->loading = false;
	if (result < 0) {
		program_finish(program);
		return result;
	}
	/* What only the parser and the libraries' opening needed. */
	sandbox_recover(program->box);
	return 0;
}

int script_load(struct script **script, const char *path, const struct conf_scripts *limits,
	struct script_error *error)
{
	*error = (struct script_error){ 0 };
	struct script *new = must_alloc(sizeof(*new));
	new->path = must_strdup(path);
	const char *slash = strrchr(new->path, '/');
	new->file = slash ? slash + 1 : new->path;
	new->limits = *limits;
	new->generation = 1;
	int result = read_file(new, error);
	if (result == 0)
		result = program_load(&new->program, new, error);
	if (result < 0) {
		script_destroy(new);
		return result;
	}
	*script = new;
	return 0;
}

void script_destroy(struct script *script)
{
	if (!script)
		return;
	program_finish(&script->program);
	free(script->source);
	free(script->path);
	free(script);
}

void script_be_quiet(struct script *script)
{
	script->program.box->quiet = true;
}

const char *script_path(const struct script *script)
{
	return script->path;
}

size_t script_memory(const struct script *script)
{
	return script->program.box->used;
}

bool script_is_same(const struct script *script, const struct script *other)
{
	return script->source_size == other->source_size &&
		memcmp(script->source, other->source, script->source_size) == 0;
}

bool script_may_take_points(const struct script *script)
{
	static const char word[] = "points";
	const size_t size = sizeof(word) - 1;
	for (size_t i = 1; i + size <= script->source_size; i++) {
		const char *at = script->source + i;
		if (strchr(".\"'", at[-1]) && at[-1] && memcmp(at, word, size) == 0)
			return true;
	}
	return false;
}

bool script_has(const struct script *script, const char *function)
{
	for (int i = 0; i < SCRIPT_FUNCTIONS; i++)
		if (strcmp(known[i].key, function) == 0)
			return script->program.functions[i] != LUA_NOREF;
	return false;
}

/* ---- setup and polls ------------------------------------------------------------------------ */

struct listing {
	struct script_device *device;
	enum script_function function;
	const char *item; /* what an item of the list is called */
	struct buffer *list;
};

static int list(lua_State *L)
{
	struct listing *job = lua_touserdata(L, 1);
	if (!device_push_function(job->device, job->function)) {
		value_put_list(job->list, 0);
		return 0;
	}
	if (lua_type(L, -1) == LUA_TFUNCTION) {
		device_push(job->device);
		lua_call(L, 1, 1);
	}
	if (lua_type(L, -1) != LUA_TTABLE)
		sandbox_fail(L, "gives a %s: it is to give a list of %ss", luaL_typename(L, -1),
			job->item);
	command_put_requests(L, -1, job->list, job->item);
	device_keep_state(job->device);
	return 0;
}

static int run_list(struct listing *job, struct script_error *error)
{
	size_t before = job->list->size;
	int result = device_run(job->device, list, job, error);
	if (result < 0)
		job->list->size = before;
	return result;
}

int script_polls(struct script_device *device, struct buffer *list, struct script_error *error)
{
	struct listing job = { device, SCRIPT_POLLS, "poll", list };
	return run_list(&job, error);
}

int script_setup(struct script_device *device, struct buffer *list, struct script_error *error)
{
	struct listing job = { device, SCRIPT_SETUP, "request", list };
	return run_list(&job, error);
}
