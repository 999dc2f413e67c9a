/* SPDX-License-Identifier: Apache-2.0 */
/* What the control socket can ask: each command in a table, answered at once or with the field's help. */
#include "config.h"

#include "bridge/parts.h"

#include <string.h>

#include "util/alloc.h"
#include "util/json.h"

/* So many devices that are not well are named; the counts are of all. */
#define UNWELL_MAX 20

struct admin_command {
	const char *name;
	bool privileged;
	void (*run)(struct bridge *bridge, const struct control_request *request);
};

/* ---- asking the field ----------------------------------------------------------------------- */

static void ask_field(
	struct bridge *bridge, const struct control_request *request, struct query *query)
{
	enum query_kind what = query->what;
	uint32_t number = query->number;
	uint64_t serial = ++bridge->query_serial;
	query->serial = serial;
	if (!mailbox_put(bridge->to_field, &query->mail)) {
		control_refuse(bridge->control, request->token,
			"the field has too much to do to answer: ask again");
		return;
	}
	struct inquiry *inquiry = must_alloc(sizeof(*inquiry));
	*inquiry = (struct inquiry){
		.serial = serial, .token = request->token, .what = what, .number = number
	};
	list_append(&bridge->inquiries, &inquiry->link);
}

static void inquire(struct bridge *bridge, const struct control_request *request,
	enum query_kind what, uint32_t number)
{
	ask_field(bridge, request, query_create(what, 0, number));
}

const char *admin_argument(const struct control_request *request, const char *key)
{
	struct value value;
	if (value_find(request->arguments, request->size, key, &value, NULL) &&
		value.type == VALUE_STRING)
		return value.text;
	return NULL;
}

/* ---- status --------------------------------------------------------------------------------- */

static void print_counts(struct bridge *bridge, struct buffer *json)
{
	uint32_t health[HEALTH_DOWN + 1] = { 0 }, session[SESSION_STATES] = { 0 };
	for (uint32_t i = 0; i < bridge->conf->device_count; i++) {
		health[bridge->fleet->devices[i].health]++;
		session[cloud_device_state(bridge->cloud, i)]++;
	}
	buffer_printf(json, "\"devices\":{\"count\":%u", bridge->conf->device_count);
	for (int state = 0; state <= HEALTH_DOWN; state++)
		buffer_printf(json, ",\"%s\":%u", health_name(state), health[state]);
	buffer_put_text(json, "},\"sessions\":{");
	for (int state = 0; state < SESSION_STATES; state++)
		buffer_printf(json, "%s\"%s\":%u", state ? "," : "", session_state_name(state),
			session[state]);
	buffer_put_byte(json, '}');
}

/* Who needs to be looked at: the counts alone do not say. */
static void print_unwell(struct bridge *bridge, struct buffer *json)
{
	uint32_t shown = 0;
	buffer_put_text(json, ",\"unwell\":[");
	for (uint32_t i = 0; i < bridge->conf->device_count && shown < UNWELL_MAX; i++) {
		const struct member *device = &bridge->fleet->devices[i];
		enum session_state session = cloud_device_state(bridge->cloud, i);
		bool unwell = device->health == HEALTH_SUSPECT || device->health == HEALTH_DOWN ||
			device->script_error || session == SESSION_WAITING;
		if (!unwell)
			continue;
		buffer_put_text(json, shown++ ? ",{\"device\":" : "{\"device\":");
		json_put_text(json, device->conf->name);
		buffer_put_text(json, ",\"bus\":");
		json_put_text(json, bridge->conf->buses[device->conf->bus].name);
		buffer_printf(json, ",\"health\":\"%s\",\"session\":\"%s\",\"script\":\"%s\"}",
			health_name(device->health), session_state_name(session),
			device->script_error ? "failing" : "ok");
	}
	buffer_put_byte(json, ']');
}

static void print_scripts(struct bridge *bridge, struct buffer *json)
{
	buffer_put_text(json, ",\"scripts\":[");
	for (size_t i = 0; i < bridge->fleet->script_count; i++) {
		const struct fleet_script *entry = &bridge->fleet->scripts[i];
		uint32_t devices = 0, failing = 0;
		for (uint32_t d = 0; d < bridge->conf->device_count; d++) {
			const struct member *device = &bridge->fleet->devices[d];
			if (!device->conf->script_path ||
				strcmp(device->conf->script_path, entry->path))
				continue;
			devices++;
			failing += device->script_error != NULL;
		}
		buffer_put_text(json, i ? ",{\"file\":" : "{\"file\":");
		json_put_text(json, entry->path);
		buffer_printf(json, ",\"devices\":%u,\"failing\":%u,\"memory\":%zu}", devices,
			failing, script_memory(entry->script));
	}
	buffer_put_byte(json, ']');
}

static void print_status(struct bridge *bridge, const struct answer *field, struct buffer *json)
{
	int64_t up = loop_now(bridge->loop) - bridge->started_us;
	buffer_put_text(json, "{\"gateway\":");
	json_put_text(json, bridge->conf->gateway.name);
	buffer_printf(json, ",\"version\":\"" PACKAGE_VERSION "\",\"uptime_s\":%jd,",
		(intmax_t)(up / USEC_PER_SEC));
	print_counts(bridge, json);
	print_unwell(bridge, json);
	buffer_put_text(json, ",\"cloud\":");
	cloud_status(bridge->cloud, json);
	buffer_put_text(json, ",\"mqtt\":");
	if (bridge->broker)
		broker_status(bridge->broker, json);
	else
		buffer_put_text(json, "null");
	print_scripts(bridge, json);
	buffer_printf(json, ",\"commands_running\":%zu,\"readings_dropped\":%ju,\"field\":",
		pipeline_running(bridge->pipeline), (uintmax_t)bridge_readings_dropped(bridge));
	buffer_put(json, field->text.data, field->text.size);
	buffer_put_byte(json, '}');
}

static void run_status(struct bridge *bridge, const struct control_request *request)
{
	inquire(bridge, request, QUERY_STATUS, 0);
}

/* ---- device --------------------------------------------------------------------------------- */

static void print_device(
	struct bridge *bridge, uint32_t number, const struct answer *field, struct buffer *json)
{
	const struct member *device = &bridge->fleet->devices[number];
	buffer_put_byte(json, '{');
	member_print(device, json);
	buffer_put_text(json, ",\"bus\":");
	json_put_text(json, bridge->conf->buses[device->conf->bus].name);
	buffer_put_text(json, ",\"product_key\":");
	json_put_text(json, device->conf->product_key);
	buffer_put_text(json, ",\"device_key\":");
	json_put_text(json, device->conf->device_key);
	buffer_put_text(json, ",\"session\":");
	cloud_device_status(bridge->cloud, number, json);
	buffer_put_text(json, ",\"field\":");
	buffer_put(json, field->text.data, field->text.size);
	buffer_put_byte(json, '}');
}

int64_t admin_find_device(
	struct bridge *bridge, const struct control_request *request, const char *name)
{
	int64_t number = name ? conf_find_device(bridge->conf, name) : -1;
	if (number < 0)
		control_refuse(bridge->control, request->token,
			"no device is named \"%s\": enos-bridged -t lists them", name ? name : "");
	return number < 0 ? -1 : number;
}

static void run_device(struct bridge *bridge, const struct control_request *request)
{
	int64_t number = admin_find_device(bridge, request, admin_argument(request, "name"));
	if (number >= 0)
		inquire(bridge, request, QUERY_DEVICE, (uint32_t)number);
}

/* ---- bus ------------------------------------------------------------------------------------ */

/* The number of the bus that is asked about; -1 after the refusal. */
static int64_t find_bus(struct bridge *bridge, const struct control_request *request)
{
	const char *name = admin_argument(request, "bus");
	int64_t number = name ? conf_find_bus(bridge->conf, name) : -1;
	if (number < 0)
		control_refuse(bridge->control, request->token,
			"no bus is named \"%s\": enos-bridge status lists them", name ? name : "");
	return number;
}

static void run_bus(struct bridge *bridge, const struct control_request *request)
{
	int64_t number = find_bus(bridge, request);
	if (number >= 0)
		inquire(bridge, request, QUERY_BUS, (uint32_t)number);
}

static void run_dump(struct bridge *bridge, const struct control_request *request)
{
	int64_t number = find_bus(bridge, request);
	if (number >= 0)
		inquire(bridge, request, QUERY_DUMP, (uint32_t)number);
}

static void run_capture(struct bridge *bridge, const struct control_request *request)
{
	int64_t number = find_bus(bridge, request);
	struct value value;
	if (number < 0)
		return;
	if (!value_find(request->arguments, request->size, "who", &value, NULL) ||
		value.type != VALUE_INTEGER) {
		control_refuse(bridge->control, request->token,
			"\"who\" must be a number that is yours alone: it tells captures apart");
		return;
	}
	struct query *query = query_create(QUERY_CAPTURE, 0, (uint32_t)number);
	query->who = (uint64_t)value.integer;
	query->ends = value_find(request->arguments, request->size, "end", &value, NULL) &&
		value.type == VALUE_TRUE;
	ask_field(bridge, request, query);
}

static void run_reload(struct bridge *bridge, const struct control_request *request)
{
	OWNED_BUFFER json = BUFFER_EMPTY;
	bridge_reload(bridge, &json);
	control_answer(bridge->control, request->token, buffer_text(&json));
}

/* ---- the table ------------------------------------------------------------------------------ */

static const struct admin_command commands[] = {
	{ "status", false, run_status },
	{ "device", false, run_device },
	{ "bus", false, run_bus },
	{ "dump", false, run_dump },
	{ "audit", false, audit_run },
	{ "capture", false, run_capture },
	{ "reload", true, run_reload },
};

void admin_request(void *context, const struct control_request *request)
{
	struct bridge *bridge = context;
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(commands[i].name, request->command))
			continue;
		if (commands[i].privileged && !request->privileged)
			control_refuse(bridge->control, request->token,
				"\"%s\" changes something: only root and the daemon's own user may ask "
				"for it",
				request->command);
		else
			commands[i].run(bridge, request);
		return;
	}
	control_refuse(bridge->control, request->token,
		"\"%s\" is no command of this version: status, device, bus, dump, capture, audit and reload are",
		request->command);
}

void admin_answer(struct bridge *bridge, struct answer *answer)
{
	if (answer->serial == PING_SERIAL) {
		bridge->ping_answered = true;
		return;
	}
	list_for_each (link, &bridge->inquiries) {
		struct inquiry *inquiry = container_of(link, struct inquiry, link);
		if (inquiry->serial != answer->serial)
			continue;
		OWNED_BUFFER json = BUFFER_EMPTY;
		if (inquiry->what == QUERY_STATUS)
			print_status(bridge, answer, &json);
		else if (inquiry->what == QUERY_DEVICE)
			print_device(bridge, inquiry->number, answer, &json);
		else
			buffer_put(&json, answer->text.data, answer->text.size);
		control_answer(bridge->control, inquiry->token, buffer_text(&json));
		list_remove(&inquiry->link);
		free(inquiry);
		return;
	}
}

void admin_finish(struct bridge *bridge)
{
	for (struct list *link; (link = list_take_first(&bridge->inquiries));)
		free(container_of(link, struct inquiry, link));
}
