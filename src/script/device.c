/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `device` of a script: a userdata with name, parameters and state.  The state lives outside of
 * Lua, as a value, and is copied in when a call asks for it and out at its end: nothing that a script
 * keeps elsewhere is an alias of it, and it outlives the Lua state.
 */
#include "script/host.h"

#include <stdio.h>
#include <string.h>

#include "script/library.h"
#include "script/readonly.h"
#include "script/values.h"
#include "util/alloc.h"
#include "util/value.h"

#define METATABLE "device"
enum { PARAMETERS = 1, STATE = 2, POINTS = 3, USER_VALUES = 3 };

struct script_device *script_device_create(struct script *script, const struct conf_device *conf)
{
	struct script_device *device = must_alloc(sizeof(*device));
	device->script = script;
	device->conf = conf;
	parameters_merge(&script->program.parameters, &conf->parameters, &device->parameters);
	return device;
}

static bool is_current(const struct script_device *device)
{
	return device->generation == device->script->generation;
}

void script_device_destroy(struct script_device *device)
{
	if (!device)
		return;
	if (is_current(device)) {
		/* The script may have kept it. */
		lua_State *L = device->script->program.box->lua;
		lua_rawgeti(L, LUA_REGISTRYINDEX, device->reference);
		*(struct script_device **)lua_touserdata(L, -1) = NULL;
		lua_pop(L, 1);
		luaL_unref(L, LUA_REGISTRYINDEX, device->reference);
	}
	buffer_finish(&device->parameters);
	buffer_finish(&device->state);
	free(device);
}

/* ---- the table as the script sees it -------------------------------------------------------- */

static struct script_device *check(lua_State *L)
{
	struct script_device **device = luaL_checkudata(L, 1, METATABLE);
	if (!*device || *device != sandbox_of(L)->context)
		luaL_error(L,
			"this device is not the one of this call: do not keep 'device' in a "
			"variable outside of the function");
	return *device;
}

static void push_state(lua_State *L, const struct script_device *device)
{
	if (lua_getiuservalue(L, 1, STATE) != LUA_TNIL)
		return;
	lua_pop(L, 1);
	struct value_reader reader = value_reader(device->state.data, device->state.size);
	if (device->state.size)
		values_push(L, &reader);
	else
		lua_newtable(L);
	lua_pushvalue(L, -1);
	lua_setiuservalue(L, 1, STATE);
}

/* A misspelt name would be nil, and its use an error that names something else. */
static int check_parameter(lua_State *L)
{
	const struct script_device *device = sandbox_of(L)->context;
	if (device)
		parameters_check_name(
			L, &device->script->program.parameters, library_text_of(L, 1));
	return 0;
}

/* Made when they are first asked for: of many devices most never ask. */
static void push_parameters(lua_State *L, const struct script_device *device)
{
	if (lua_getiuservalue(L, 1, PARAMETERS) != LUA_TNIL)
		return;
	lua_pop(L, 1);
	struct value_reader reader = value_reader(device->parameters.data, device->parameters.size);
	values_push(L, &reader);
	readonly_wrap_parameters(L);
	if (device->script->program.parameters.size)
		readonly_check_names(L, check_parameter);
	lua_pushvalue(L, -1);
	lua_setiuservalue(L, 1, PARAMETERS);
}

/* The table of lists of points, by their bytes; made when it is first asked for. */
static void push_lists(lua_State *L)
{
	static const char key;
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TTABLE)
		return;
	lua_pop(L, 1);
	lua_newtable(L);
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
}

static void make_points(lua_State *L, const struct buffer *points)
{
	struct value_reader reader = value_reader(points->data, points->size);
	if (points->size)
		values_push(L, &reader);
	else
		lua_newtable(L);
	readonly_wrap_parameters(L);
}

/*
 * Devices of one type have the same points: they share one table, which scripts can keep what they
 * make of it by.
 */
static void push_points(lua_State *L, const struct script_device *device)
{
	const struct buffer *points = &device->conf->points;
	if (lua_getiuservalue(L, 1, POINTS) != LUA_TNIL)
		return;
	lua_pop(L, 1);
	if (points->size > SANDBOX_STRING_MAX) {
		make_points(L, points);
	} else {
		push_lists(L);
		lua_pushlstring(L, points->size ? (const char *)points->data : "", points->size);
		lua_pushvalue(L, -1);
		if (lua_rawget(L, -3) != LUA_TTABLE) {
			lua_pop(L, 1);
			make_points(L, points);
			lua_pushvalue(L, -2);
			lua_pushvalue(L, -2);
			lua_rawset(L, -5);
		}
	}
	lua_pushvalue(L, -1);
	lua_setiuservalue(L, 1, POINTS);
}

static int get_field(lua_State *L)
{
	const struct script_device *device = check(L);
	const char *key = library_text_of(L, 2);
	if (strcmp(key, "state") == 0)
		push_state(L, device);
	else if (strcmp(key, "parameters") == 0)
		push_parameters(L, device);
	else if (strcmp(key, "points") == 0)
		push_points(L, device);
	else if (strcmp(key, "name") == 0)
		lua_pushstring(L, device->conf->name);
	else
		return luaL_error(L,
			"device.%s is not there: a device has name, parameters, points and state",
			key);
	return 1;
}

static int set_field(lua_State *L)
{
	check(L);
	const char *key = library_text_of(L, 2);
	if (strcmp(key, "state") != 0)
		return luaL_error(L, "cannot change device.%s: keep it in device.state", key);
	if (lua_type(L, 3) != LUA_TTABLE)
		return luaL_error(
			L, "device.state is to be a table, not a %s", luaL_typename(L, 3));
	lua_settop(L, 3);
	lua_setiuservalue(L, 1, STATE);
	return 0;
}

void device_open(lua_State *L)
{
	static const luaL_Reg events[] = { { "__index", get_field }, { "__newindex", set_field },
		{ NULL, NULL } };
	luaL_newmetatable(L, METATABLE);
	luaL_setfuncs(L, events, 0);
	lua_pop(L, 1);
}

static void create(lua_State *L, struct script_device *device)
{
	struct script_device **slot = lua_newuserdatauv(L, sizeof(device), USER_VALUES);
	*slot = device;
	luaL_setmetatable(L, METATABLE);
	device->reference = luaL_ref(L, LUA_REGISTRYINDEX);
	device->generation = device->script->generation;
}

void device_push(struct script_device *device)
{
	lua_State *L = device->script->program.box->lua;
	if (!is_current(device))
		create(L, device);
	lua_rawgeti(L, LUA_REGISTRYINDEX, device->reference);
}

/* ---- the state from outside ----------------------------------------------------------------- */

const struct buffer *script_device_state(const struct script_device *device)
{
	return &device->state;
}

bool script_device_set_state(struct script_device *device, const void *value, size_t size)
{
	const uint8_t *tag = value;
	bool table = size && (*tag == VALUE_MAP || *tag == VALUE_LIST);
	if (size && (!table || size > SCRIPT_STATE_MAX || !value_valid(value, size)))
		return false;
	buffer_clear(&device->state);
	buffer_put(&device->state, value, size);
	return true;
}

/* ---- calls ---------------------------------------------------------------------------------- */

bool device_push_function(struct script_device *device, enum script_function function)
{
	const struct program *program = &device->script->program;
	program->box->activity = script_function_name(function);
	program->box->line = program->lines[function];
	if (program->functions[function] == LUA_NOREF)
		return false;
	lua_rawgeti(program->box->lua, LUA_REGISTRYINDEX, program->functions[function]);
	return true;
}

void device_keep_state(struct script_device *device)
{
	struct sandbox *box = device->script->program.box;
	lua_State *L = box->lua;
	if (!is_current(device))
		return;
	lua_rawgeti(L, LUA_REGISTRYINDEX, device->reference);
	if (lua_getiuservalue(L, -1, STATE) == LUA_TTABLE) {
		buffer_clear(&box->value);
		values_put(L, -1, &box->value, SCRIPT_STATE_MAX, VALUES_ANY, "device.state");
		buffer_clear(&device->state);
		buffer_put(&device->state, box->value.data, box->value.size);
	}
	lua_pop(L, 2);
}

/* The next call copies the state in again. */
static void forget_state(struct script_device *device)
{
	lua_State *L = device->script->program.box->lua;
	if (!is_current(device))
		return;
	lua_rawgeti(L, LUA_REGISTRYINDEX, device->reference);
	lua_pushnil(L);
	lua_setiuservalue(L, -2, STATE);
	lua_pop(L, 1);
}

static void run_afresh(struct script *script, struct script_error *error)
{
	struct program program;
	struct script_error ignored;
	if (program_load(&program, script, &ignored) < 0)
		return;
	program_finish(&script->program);
	script->program = program;
	script->generation++;
	size_t at = strlen(error->text);
	snprintf(error->text + at, sizeof(error->text) - at,
		" (its memory stayed full, so the file was run afresh)");
}

int device_run(
	struct script_device *device, lua_CFunction body, void *job, struct script_error *error)
{
	struct sandbox *box = device->script->program.box;
	box->context = device;
	int result = sandbox_run(box, body, job, error);
	box->context = NULL;
	forget_state(device);
	if (result < 0 && error->budget && !sandbox_recover(box))
		run_afresh(device->script, error);
	return result;
}
