/* SPDX-License-Identifier: Apache-2.0 */
/* A command through the script: encode makes requests of it, reply an answer of their outcomes. */
#include "script/script.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "script/host.h"
#include "script/values.h"
#include "util/value.h"

struct job {
	struct script_device *device;
	const struct command *command;
	const struct outcome *const *results;
	size_t rounds;
	struct buffer *requests; /* encode */
	enum encode_answer answer;
	struct script_error *error;
	struct script_reply *reply;
};

/* ---- what the functions are given ------------------------------------------------------------ */

static void push_optional(lua_State *L, const char *key, const char *text)
{
	if (!text)
		return;
	lua_pushstring(L, text);
	lua_setfield(L, -2, key);
}

static void push_command(lua_State *L, const struct command *command)
{
	lua_createtable(L, 0, 5);
	push_optional(L, "topic", command->topic);
	push_optional(L, "id", command->id);
	push_optional(L, "method", command->method);
	if (command->raw) {
		lua_pushlstring(L, (const char *)command->payload.data, command->payload.size);
		lua_setfield(L, -2, "raw");
		return;
	}
	const struct buffer *params = &command->params;
	struct value_reader reader = value_reader(params->data, params->size);
	if (params->size && params->data[0] != VALUE_NULL)
		values_push(L, &reader);
	else
		lua_newtable(L);
	lua_setfield(L, -2, "params");
}

static void push_step(lua_State *L, const struct step_outcome *step)
{
	lua_createtable(L, 0, 4);
	lua_pushstring(L, outcome_name(step->status));
	lua_setfield(L, -2, "status");
	lua_pushboolean(L, step->status == OUTCOME_DONE);
	lua_setfield(L, -2, "ok");
	if (step->status == OUTCOME_EXCEPTION) {
		lua_pushinteger(L, step->code);
		lua_setfield(L, -2, "code");
	}
	if (step->status == OUTCOME_DONE) {
		lua_pushlstring(L, (const char *)step->bytes.data, step->bytes.size);
		lua_setfield(L, -2, "bytes");
	}
}

void command_push_outcome(lua_State *L, const struct outcome *outcome, lua_Integer *at)
{
	for (size_t i = 0; i < outcome->count; i++) {
		push_step(L, &outcome->steps[i]);
		lua_rawseti(L, -2, ++*at);
	}
}

/* One list over all rounds, in the order in which the requests were given. */
static void push_results(lua_State *L, const struct job *job)
{
	lua_Integer at = 0;
	lua_newtable(L);
	for (size_t round = 0; round < job->rounds; round++)
		command_push_outcome(L, job->results[round], &at);
}

/* ---- requests ------------------------------------------------------------------------------- */

/* Whether the key at the top of the list of requests is fine beside its items 1 to count. */
static void check_key(lua_State *L, int index, size_t count, bool more)
{
	if (lua_isinteger(L, index)) {
		lua_Integer item = lua_tointeger(L, index);
		if (item >= 1 && (uint64_t)item <= count)
			return;
		sandbox_fail(L, "the list has holes: item %lld, but none behind %zu",
			(long long)item, count);
	}
	const char *key = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "?";
	if (more && strcmp(key, "more") == 0)
		return;
	if (count == 0)
		sandbox_fail(L,
			"gives one request with '%.40s': put it into a list, "
			"'{ { %.40s = ... } }'",
			key, key);
	sandbox_fail(L, "unknown '%.40s' beside the list", key);
}

static void put_requests(lua_State *L, int index, struct buffer *list, const char *what, bool more)
{
	size_t count = lua_rawlen(L, index), before = list->size;
	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
		sandbox_charge(L, 1);
		check_key(L, -2, count, more);
	}
	if (count > SCRIPT_REQUESTS_MAX)
		sandbox_fail(L, "gives a list of %zu: at most %d", count, SCRIPT_REQUESTS_MAX);
	value_put_list(list, (uint32_t)count);
	for (size_t i = 1; i <= count; i++) {
		char name[40];
		snprintf(name, sizeof(name), "%s %zu", what, i);
		lua_rawgeti(L, index, (lua_Integer)i);
		values_put(L, -1, list, SCRIPT_RESULT_MAX, VALUES_MAP, name);
		lua_pop(L, 1);
		if (list->size - before > SCRIPT_RESULTS_MAX)
			sandbox_fail(L, "gives a list of more than %d bytes", SCRIPT_RESULTS_MAX);
	}
}

void command_put_requests(lua_State *L, int index, struct buffer *list, const char *what)
{
	put_requests(L, lua_absindex(L, index), list, what, false);
}

static bool take_more(lua_State *L, int index)
{
	lua_getfield(L, index, "more");
	if (!lua_isnil(L, -1) && !lua_isboolean(L, -1))
		sandbox_fail(L, "more is a %s: it is to be true or false", luaL_typename(L, -1));
	bool more = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return more;
}

void command_take_reason(lua_State *L, int index, struct script_error *error)
{
	const char *why = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index)
							    : "the script gave no reason";
	*error = (struct script_error){ 0 };
	snprintf(error->text, sizeof(error->text), "%s", why);
	for (char *at = error->text; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = ' ';
}

static int encode(lua_State *L)
{
	struct job *job = lua_touserdata(L, 1);
	device_push_function(job->device, SCRIPT_ENCODE);
	push_command(L, job->command);
	device_push(job->device);
	push_results(L, job);
	lua_call(L, 3, 2);
	int given = lua_gettop(L) - 1;
	if (lua_isnil(L, given)) {
		command_take_reason(L, given + 1, job->error);
		job->answer = ENCODE_REFUSED;
	} else if (lua_type(L, given) == LUA_TTABLE) {
		put_requests(L, given, job->requests, "request", true);
		job->answer = take_more(L, given) ? ENCODE_MORE : ENCODE_REQUESTS;
	} else {
		sandbox_fail(L, "gives a %s: it is to give a list of requests, or nil and why not",
			luaL_typename(L, given));
	}
	device_keep_state(job->device);
	return 0;
}

int script_encode(struct script_device *device, const struct command *command,
	const struct outcome *const *results, size_t rounds, struct buffer *requests,
	struct script_error *error)
{
	if (device->script->program.functions[SCRIPT_ENCODE] == LUA_NOREF)
		return ENCODE_UNKNOWN;
	struct job job = { device, command, results, rounds, .requests = requests, .error = error };
	size_t before = requests->size;
	int result = device_run(device, encode, &job, error);
	if (result == 0)
		return job.answer;
	requests->size = before;
	return result;
}

/* ---- reply ---------------------------------------------------------------------------------- */

static void take_raw(lua_State *L, struct job *job, int index)
{
	if (!job->command->raw)
		sandbox_fail(
			L, "raw answers a command of bytes; this one is JSON: give code and data");
	if (lua_type(L, index) != LUA_TSTRING)
		sandbox_fail(
			L, "raw is a %s: it is to be a string of bytes", luaL_typename(L, index));
	size_t size;
	const char *bytes = lua_tolstring(L, index, &size);
	job->reply->raw = true;
	buffer_put(&job->reply->data, bytes, size);
}

static void take_code(lua_State *L, struct job *job, int index)
{
	int valid;
	lua_Integer code = lua_tointegerx(L, index, &valid);
	if (!valid || lua_type(L, index) != LUA_TNUMBER || code < 0 || code > INT32_MAX)
		sandbox_fail(L, "code is to be a whole number, 200 for success");
	job->reply->code = (int)code;
}

static void take_reply(lua_State *L, struct job *job, int index)
{
	bool raw = false, json = false;
	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
		const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "[...]";
		int value = lua_gettop(L);
		if (strcmp(key, "raw") == 0) {
			raw = true;
			take_raw(L, job, value);
		} else if (strcmp(key, "code") == 0) {
			json = true;
			take_code(L, job, value);
		} else if (strcmp(key, "data") == 0) {
			json = true;
			values_put(
				L, value, &job->reply->data, SCRIPT_RESULT_MAX, VALUES_MAP, "data");
		} else {
			sandbox_fail(L,
				"unknown '%.40s' in the reply: it has raw, or code and data", key);
		}
	}
	if (json && job->command->raw)
		sandbox_fail(L, "code and data answer a JSON command; this one is bytes: give raw");
	job->reply->given = raw || json;
	if (json && !job->reply->data.size)
		value_put_map(&job->reply->data, 0);
}

static int reply(lua_State *L)
{
	struct job *job = lua_touserdata(L, 1);
	device_push_function(job->device, SCRIPT_REPLY);
	push_command(L, job->command);
	push_results(L, job);
	device_push(job->device);
	lua_call(L, 3, 1);
	if (lua_type(L, -1) == LUA_TTABLE)
		take_reply(L, job, lua_gettop(L));
	else if (!lua_isnil(L, -1))
		sandbox_fail(L, "gives a %s: it is to give a table or nil", luaL_typename(L, -1));
	device_keep_state(job->device);
	return 0;
}

int script_reply(struct script_device *device, const struct command *command,
	const struct outcome *const *results, size_t rounds, struct script_reply *reply_to,
	struct script_error *error)
{
	*reply_to = (struct script_reply){ .code = 200 };
	if (device->script->program.functions[SCRIPT_REPLY] == LUA_NOREF)
		return 0;
	struct job job = { device, command, results, rounds, .error = error, .reply = reply_to };
	int result = device_run(device, reply, &job, error);
	if (result < 0) {
		buffer_finish(&reply_to->data);
		*reply_to = (struct script_reply){ .code = 200 };
	}
	return result;
}
