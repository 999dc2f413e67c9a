/* SPDX-License-Identifier: Apache-2.0 */
/* A device whose polls the script finds out by asking it, round by round. */
#include "script/script.h"

#include <string.h>

#include "script/host.h"
#include "script/values.h"

struct job {
	struct script_device *device;
	const struct outcome *last;
	struct buffer *list;
	enum discover_answer answer;
	struct script_error *error;
};

/* { polls = { ... } } and nothing else. */
static void take_polls(lua_State *L, struct job *job, int index)
{
	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
		const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "[...]";
		if (strcmp(key, "polls") != 0)
			sandbox_fail(L,
				"gives '%.40s': it is to give a list of requests, "
				"'{ polls = { ... } }' in the end, or nil and why not",
				key);
		if (lua_type(L, -1) != LUA_TTABLE)
			sandbox_fail(L, "polls is a %s: it is to be a list of polls",
				luaL_typename(L, -1));
		command_put_requests(L, -1, job->list, "poll");
		job->answer = DISCOVER_POLLS;
	}
	if (job->answer != DISCOVER_POLLS)
		sandbox_fail(L,
			"gives an empty table: it is to give a list of requests, "
			"'{ polls = { ... } }' in the end, or nil and why not");
}

static int discover(lua_State *L)
{
	struct job *job = lua_touserdata(L, 1);
	lua_Integer at = 0;
	device_push_function(job->device, SCRIPT_DISCOVER);
	device_push(job->device);
	lua_newtable(L);
	if (job->last)
		command_push_outcome(L, job->last, &at);
	lua_call(L, 2, 2);
	int given = lua_gettop(L) - 1;
	if (lua_isnil(L, given)) {
		command_take_reason(L, given + 1, job->error);
		job->answer = DISCOVER_FAILED;
	} else if (lua_type(L, given) != LUA_TTABLE) {
		sandbox_fail(L,
			"gives a %s: it is to give a list of requests, '{ polls = { ... } }' in the "
			"end, or nil and why not",
			luaL_typename(L, given));
	} else if (lua_rawlen(L, given)) {
		command_put_requests(L, given, job->list, "request");
	} else {
		take_polls(L, job, given);
	}
	device_keep_state(job->device);
	return 0;
}

int script_discover(struct script_device *device, const struct outcome *last, struct buffer *list,
	struct script_error *error)
{
	struct job job = { device, last, list, DISCOVER_REQUESTS, error };
	size_t before = list->size;
	int result = device_run(device, discover, &job, error);
	if (result == 0 && job.answer != DISCOVER_FAILED)
		return (int)job.answer;
	list->size = before;
	return result == 0 ? DISCOVER_FAILED : result;
}
