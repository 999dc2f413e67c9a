/* SPDX-License-Identifier: Apache-2.0 */
/* A reading through the script's decode, a change of health through its health: reports come out. */
#include "script/script.h"

#include <errno.h>

#include "script/results.h"

struct job {
	struct script_device *device;
	const struct reading *reading;
	const struct health *health;
	struct results results;
};

static void push_reading(lua_State *L, const struct reading *reading)
{
	const struct request *request = reading->plan->polls[reading->poll].request;
	const char *name = request->name ? request->name : "";
	sandbox_of(L)->poll = name;
	lua_createtable(L, 0, 3);
	lua_pushstring(L, name);
	lua_setfield(L, -2, "poll");
	lua_pushlstring(L, (const char *)reading->bytes, reading->size);
	lua_setfield(L, -2, "bytes");
	lua_pushinteger(L, reading->stamp.wall_ms);
	lua_setfield(L, -2, "time");
}

static int decode(lua_State *L)
{
	struct job *job = lua_touserdata(L, 1);
	device_push_function(job->device, SCRIPT_DECODE);
	push_reading(L, job->reading);
	device_push(job->device);
	lua_call(L, 2, 2);
	results_take(L, &job->results, lua_gettop(L) - 1);
	device_keep_state(job->device);
	return 0;
}

int script_decode(struct script_device *device, const struct reading *reading,
	struct reports *reports, struct script_error *error)
{
	const struct poll *poll = &reading->plan->polls[reading->poll];
	struct job job = { device, reading,
		.results = { .reports = reports,
			.device = reading->device,
			.replaces = poll->period_us == 0 ? reading->poll + 1 : 0,
			.stamp = reading->stamp } };
	*reports = (struct reports){ 0 };
	if (device->script->program.functions[SCRIPT_DECODE] == LUA_NOREF) {
		results_add(&job.results, REPORT_RAW, reading->bytes, reading->size);
		return 0;
	}
	int result = device_run(device, decode, &job, error);
	if (result < 0)
		reports_finish(reports);
	return result;
}

static int health(lua_State *L)
{
	struct job *job = lua_touserdata(L, 1);
	device_push_function(job->device, SCRIPT_HEALTH);
	device_push(job->device);
	lua_pushstring(L, health_name(job->health->state));
	lua_call(L, 2, 2);
	results_take(L, &job->results, lua_gettop(L) - 1);
	device_keep_state(job->device);
	return 0;
}

int script_health(struct script_device *device, const struct health *change,
	struct reports *reports, struct script_error *error)
{
	struct job job = { device, .health = change,
		.results = {
			.reports = reports, .device = change->device, .stamp = change->stamp } };
	*reports = (struct reports){ 0 };
	if (device->script->program.functions[SCRIPT_HEALTH] == LUA_NOREF)
		return 0;
	int result = device_run(device, health, &job, error);
	if (result < 0)
		reports_finish(reports);
	return result;
}
