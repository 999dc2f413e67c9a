/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "bridge/bridge.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>

#include "bridge/keepsake.h"
#include "bridge/parts.h"
#include "util/alloc.h"
#include "util/plural.h"
#include "util/service.h"

/* Mails that wait for a plane, beside one for each device. */
#define MAILBOX_ROOM 4096
/* Readings are decoded for so long in a turn of the loop, then sockets and timers have theirs. */
#define DECODE_SPAN_US (20 * USEC_PER_MSEC)
#define STOP_LOOK_MS 10
#define TRIM_AFTER_S 5
#define OVERFLOW_SAY_S 60
#define WARNINGS_SAY_S 60
#define WARNINGS_BURST 10
/* Each device of a script that was broken has its line. */
#define SCRIPTS_BURST 100

/* ---- the path of a reading ------------------------------------------------------------------ */

/* One that fails at every second reading changes at every reading. */
static void script_changed(struct bridge *bridge, const struct member *device)
{
	uint64_t held;
	broker_script(
		bridge->broker, device->number, device->script_error ? device->script_error : "");
	if (!log_limit_pass(&bridge->scripts, loop_now(bridge->loop), &held))
		return;
	if (held)
		log_info("bridge: lines about scripts that fail or work again were held back: %ju",
			(uintmax_t)held);
	if (device->script_error)
		log_warning("device %s: script failed: %s: its points are missing until it works; "
			    "the bytes are still echoed",
			device->conf->name, device->script_error);
	else
		log_info("device %s: script works again", device->conf->name);
}

/* What a script warns of is the device's trouble: it may say so at every reading. */
static void warning_changed(struct bridge *bridge, const struct member *device)
{
	uint64_t held;
	broker_warning(bridge->broker, device->number, device->warning ? device->warning : "");
	if (!log_limit_pass(&bridge->warnings, loop_now(bridge->loop), &held))
		return;
	if (held)
		log_info("bridge: lines about warnings of scripts were held back: %ju",
			(uintmax_t)held);
	if (device->warning)
		log_warning("device %s: its script warns: %s", device->conf->name, device->warning);
	else
		log_info("device %s: its script warns no more", device->conf->name);
}

static void take_reports(
	struct bridge *bridge, struct member *device, uint32_t poll, struct reports *reports)
{
	if (member_warn(device, poll, reports))
		warning_changed(bridge, device);
	for (size_t i = 0; i < reports->count; i++) {
		broker_report(bridge->broker, reports->items[i]);
		cloud_report(bridge->cloud, reports->items[i]);
	}
	reports_finish(reports);
}

static void take_reading(void *context, const struct reading *reading)
{
	struct bridge *bridge = context;
	struct member *device = &bridge->fleet->devices[reading->device];
	struct reports reports;
	broker_reading(bridge->broker, reading);
	if (member_decode(device, reading, &reports))
		script_changed(bridge, device);
	take_reports(bridge, device, reading->poll, &reports);
}

/* ---- the path of a command ------------------------------------------------------------------ */

static void take_command(void *context, struct command *command)
{
	struct bridge *bridge = context;
	pipeline_submit(bridge->pipeline, command);
}

static void take_bad_command(void *context, struct command *command, const char *why)
{
	struct bridge *bridge = context;
	pipeline_refuse(bridge->pipeline, command, REPLY_REFUSED, why);
}

static void command_taken(void *context, const struct command *command)
{
	struct bridge *bridge = context;
	broker_command(bridge->broker, command);
}

static void take_reply(void *context, const struct command *command, struct reply *reply)
{
	struct bridge *bridge = context;
	broker_reply(bridge->broker, command, reply);
	cloud_reply(bridge->cloud, reply);
}

static void take_reply_again(void *context, struct reply *reply)
{
	struct bridge *bridge = context;
	cloud_reply(bridge->cloud, reply);
}

static void take_record(void *context, const struct record *record)
{
	audit_take(context, record);
}

/* ---- changes of state ----------------------------------------------------------------------- */

static void take_health(struct bridge *bridge, const struct health *health)
{
	struct member *device = &bridge->fleet->devices[health->device];
	device->health = health->state;
	device->health_error = health->error;
	device->health_since = health->stamp;
	broker_health(bridge->broker, health);
	struct reports reports;
	if (member_health(device, health, &reports))
		script_changed(bridge, device);
	take_reports(bridge, device, MEMBER_HEALTH, &reports);
	discoveries_health(bridge->discoveries, health->device, health->state);
	/* Behind what the script had to say of it. */
	absences_health(bridge->absences, health->device, health->state);
}

static void take_absence(void *context, uint32_t device, bool absent)
{
	struct bridge *bridge = context;
	cloud_device_pause(bridge->cloud, device, absent);
}

static void take_found(void *context, struct member *device)
{
	struct bridge *bridge = context;
	handover_send(bridge->handover, device);
}

static void take_session_state(
	void *context, uint32_t device, enum session_state state, const char *reason)
{
	struct bridge *bridge = context;
	broker_session(bridge->broker, device, session_state_name(state), reason);
}

static void take_fate(
	void *context, const struct report *report, enum report_fate fate, const char *reason)
{
	struct bridge *bridge = context;
	if (fate == REPORT_REJECTED)
		rejections_say(bridge->rejections, report, reason);
}

/* ---- mail ----------------------------------------------------------------------------------- */

static void take_outcome(struct bridge *bridge, struct outcome *outcome)
{
	if (outcome->order >= DISCOVERY_SERIALS)
		discoveries_outcome(bridge->discoveries, outcome);
	else
		pipeline_outcome(bridge->pipeline, outcome);
}

static void take_mail(struct bridge *bridge, struct mail *mail)
{
	switch ((enum message_kind)mail->kind) {
	case MESSAGE_READING:
		if (discoveries_hold(bridge->discoveries, container_of(mail, struct reading, mail)))
			return;
		take_reading(bridge, container_of(mail, struct reading, mail));
		break;
	case MESSAGE_OUTCOME:
		take_outcome(bridge, container_of(mail, struct outcome, mail));
		return;
	case MESSAGE_HEALTH:
		take_health(bridge, container_of(mail, struct health, mail));
		break;
	case MESSAGE_LINK:
		broker_link(bridge->broker, container_of(mail, struct link_change, mail));
		break;
	case MESSAGE_ANSWER:
		admin_answer(bridge, container_of(mail, struct answer, mail));
		break;
	case MESSAGE_EVIDENCE:
		evidence_keep(bridge->evidence, container_of(mail, struct evidence, mail));
		return;
	case MESSAGE_PLAN:
	case MESSAGE_ORDER:
	case MESSAGE_QUERY:
		break;
	}
	message_destroy(mail);
}

uint64_t bridge_readings_dropped(const struct bridge *bridge)
{
	return mailbox_dropped(bridge->from_field) + bridge->dropped;
}

static void report_overflow(struct bridge *bridge)
{
	uint64_t dropped = bridge_readings_dropped(bridge), held;
	if (dropped == bridge->overflow_seen ||
		!log_limit_pass(&bridge->overflow, loop_now(bridge->loop), &held))
		return;
	log_warning(
		"bridge: %ju reading%s dropped: they come faster than scripts and cloud take them; "
		"poll less often",
		(uintmax_t)(dropped - bridge->overflow_seen),
		dropped - bridge->overflow_seen == 1 ? " was" : "s were");
	bridge->overflow_seen = dropped;
}

static void keep_reading(struct bridge *bridge, struct mail *mail)
{
	if (bridge->waiting == bridge->conf->device_count + MAILBOX_ROOM) {
		struct list *oldest = list_take_first(&bridge->readings);
		message_destroy(container_of(oldest, struct mail, link));
		bridge->waiting--;
		bridge->dropped++;
	}
	list_append(&bridge->readings, &mail->link);
	bridge->waiting++;
}

/* Readings wait for the scripts; what else came must not wait behind them. */
static void sort_mail(struct bridge *bridge)
{
	struct list mails;
	list_init(&mails);
	mailbox_take_all(bridge->from_field, &mails);
	for (struct list *link; (link = list_take_first(&mails));) {
		struct mail *mail = container_of(link, struct mail, link);
		if (mail->kind == MESSAGE_READING)
			keep_reading(bridge, mail);
		else
			take_mail(bridge, mail);
	}
}

static void take_readings(struct bridge *bridge, int64_t span_us)
{
	int64_t begun_us = loop_now_exact(bridge->loop);
	for (struct list *link; (link = list_take_first(&bridge->readings));) {
		bridge->waiting--;
		take_mail(bridge, container_of(link, struct mail, link));
		if (loop_now_exact(bridge->loop) - begun_us >= span_us)
			break;
	}
}

static void read_mail(struct bridge *bridge)
{
	sort_mail(bridge);
	take_readings(bridge, DECODE_SPAN_US);
	if (!list_empty(&bridge->readings))
		loop_arm(bridge->loop, &bridge->more_mail, loop_now(bridge->loop) + 1);
	report_overflow(bridge);
}

static void mail_ready(struct watch *watch, uint32_t events)
{
	read_mail(container_of(watch, struct bridge, mail));
}

static void more_mail_due(struct timer *timer, int64_t now_us)
{
	read_mail(container_of(timer, struct bridge, more_mail));
}

/* ---- the watchdog: fed only while both planes make progress ------------------------------------ */

static void watchdog_expired(struct timer *timer, int64_t now_us)
{
	struct bridge *bridge = container_of(timer, struct bridge, watchdog);
	if (bridge->ping_answered)
		service_watchdog();
	/* Asked anew each time: a question or an answer that found no room is not the field's death. */
	bridge->ping_answered = false;
	struct query *ping = query_create(QUERY_PING, PING_SERIAL, 0);
	mailbox_put(bridge->to_field, &ping->mail);
	loop_arm(bridge->loop, timer, now_us + (int64_t)bridge->setup.watchdog_us / 3);
}

/* ---- what scripts keep ---------------------------------------------------------------------- */

/* What the logins and the first writes of all devices took at once is not needed again. */
static void trimming_due(struct timer *timer, int64_t now_us)
{
	(void)timer;
	(void)now_us;
	malloc_trim(0);
}

static void saving_due(struct timer *timer, int64_t now_us)
{
	struct bridge *bridge = container_of(timer, struct bridge, saving);
	keepsake_save_aside(bridge->setup.keepsake, bridge->fleet);
	loop_arm(bridge->loop, timer, now_us + bridge->conf->scripts.state_save_s * USEC_PER_SEC);
}

/* ---- start and stop ------------------------------------------------------------------------- */

static int create_planes(struct bridge *bridge)
{
	const struct conf *conf = bridge->conf;
	size_t room = conf->device_count + MAILBOX_ROOM;
	int result = mailbox_create(&bridge->to_field, room);
	if (result == 0)
		result = mailbox_create(&bridge->from_field, room);
	if (result < 0)
		return result;
	struct field_setup field = { .conf = conf,
		.clock = loop_clock(bridge->loop),
		.resolver = bridge->resolver,
		.inbox = bridge->to_field,
		.outbox = bridge->from_field };
	struct cloud_setup cloud = { .conf = conf,
		.built_ms = BUILD_DATE * INT64_C(1000),
		.loop = bridge->loop,
		.resolver = bridge->resolving,
		.listener = { .context = bridge,
			.command = take_command,
			.bad_command = take_bad_command,
			.state = take_session_state,
			.fate = take_fate } };
	result = field_create(&bridge->field, &field);
	if (result == 0)
		result = cloud_create(&bridge->cloud, &cloud);
	return result;
}

/* What stands between the planes. */
static void create_parts(struct bridge *bridge)
{
	struct pipeline_setup pipeline = { .fleet = bridge->fleet,
		.loop = bridge->loop,
		.ledger = cloud_ledger(bridge->cloud),
		.to_field = bridge->to_field,
		.from_field = bridge->from_field,
		.context = bridge,
		.taken = command_taken,
		.reply = take_reply,
		.again = take_reply_again,
		.audit = take_record };
	bridge->pipeline = pipeline_create(&pipeline);
	struct discoveries_setup discoveries = { .fleet = bridge->fleet,
		.loop = bridge->loop,
		.to_field = bridge->to_field,
		.from_field = bridge->from_field,
		.context = bridge,
		.found = take_found,
		.reading = take_reading };
	bridge->discoveries = discoveries_create(&discoveries);
	struct absences_setup absences = { .conf = bridge->conf,
		.loop = bridge->loop,
		.context = bridge,
		.changed = take_absence };
	bridge->absences = absences_create(&absences);
	bridge->evidence = evidence_keeper_create(bridge->conf);
	bridge->handover = handover_create(bridge->fleet, bridge->loop, bridge->to_field);
	bridge->rejections = rejections_create(bridge->conf, bridge->loop);
}

static int create_local(struct bridge *bridge)
{
	const struct conf *conf = bridge->conf;
	struct broker_setup broker = {
		.conf = conf, .loop = bridge->loop, .resolver = bridge->resolving
	};
	int result = conf->mqtt.enabled ? broker_create(&bridge->broker, &broker) : 0;
	if (result < 0)
		return result;
	struct control_setup control = { .loop = bridge->loop,
		.path = conf->gateway.control_socket,
		.context = bridge,
		.request = admin_request };
	if (!*conf->gateway.control_socket)
		return 0;
	result = control_create(&bridge->control, &control);
	if (result < 0)
		log_error("control: cannot listen on %s: %s: %s", conf->gateway.control_socket,
			strerror(-result),
			result == -EADDRINUSE
				? "is another enos-bridged running?"
				: "check that its folder is there, and who may write to it");
	return result;
}

int bridge_create(struct bridge **created, const struct bridge_setup *setup)
{
	struct bridge *bridge = must_alloc(sizeof(*bridge));
	bridge->setup = *setup;
	bridge->conf = setup->conf;
	bridge->loop = setup->loop;
	bridge->fleet = setup->fleet;
	bridge->started_us = loop_now(setup->loop);
	bridge->overflow = (struct log_limit){ .window_us = OVERFLOW_SAY_S * USEC_PER_SEC,
		.burst = 1 };
	audit_init(bridge);
	bridge->warnings = (struct log_limit){ .window_us = WARNINGS_SAY_S * USEC_PER_SEC,
		.burst = WARNINGS_BURST };
	bridge->scripts = (struct log_limit){ .window_us = WARNINGS_SAY_S * USEC_PER_SEC,
		.burst = SCRIPTS_BURST };
	list_init(&bridge->inquiries);
	list_init(&bridge->readings);
	bridge->more_mail.expired = more_mail_due;

	int result = resolver_create(&bridge->resolver, NULL);
	if (result == 0)
		result = resolver_client_create(&bridge->resolving, bridge->resolver, bridge->loop);
	if (result == 0)
		result = create_planes(bridge);
	if (result == 0) {
		create_parts(bridge);
		result = create_local(bridge);
	}
	if (result == 0) {
		bridge->mail = (struct watch){
			.fd = mailbox_fd(bridge->from_field), .events = EPOLLIN, .ready = mail_ready
		};
		result = loop_add(bridge->loop, &bridge->mail);
	}
	if (result < 0) {
		log_error("bridge: cannot start: %s", strerror(-result));
		bridge_destroy(bridge);
		return result;
	}
	*created = bridge;
	return 0;
}

static void end_field(struct bridge *bridge)
{
	if (!bridge->field_runs)
		return;
	bridge->field_runs = false;
	field_stop(bridge->field);
	read_mail(bridge);
}

void bridge_destroy(struct bridge *bridge)
{
	if (!bridge)
		return;
	end_field(bridge);
	loop_disarm(bridge->loop, &bridge->saving);
	loop_disarm(bridge->loop, &bridge->trimming);
	loop_disarm(bridge->loop, &bridge->watchdog);
	loop_disarm(bridge->loop, &bridge->stopping);
	loop_disarm(bridge->loop, &bridge->more_mail);
	loop_remove(bridge->loop, &bridge->mail);
	for (struct list *link; (link = list_take_first(&bridge->readings));)
		message_destroy(container_of(link, struct mail, link));
	pipeline_destroy(bridge->pipeline);
	discoveries_destroy(bridge->discoveries);
	absences_destroy(bridge->absences);
	handover_destroy(bridge->handover);
	admin_finish(bridge);
	control_destroy(bridge->control);
	broker_destroy(bridge->broker);
	cloud_destroy(bridge->cloud);
	rejections_destroy(bridge->rejections);
	field_destroy(bridge->field);
	evidence_keeper_destroy(bridge->evidence);
	mailbox_destroy(bridge->from_field);
	mailbox_destroy(bridge->to_field);
	resolver_client_destroy(bridge->resolving);
	resolver_destroy(bridge->resolver);
	free(bridge);
}

int bridge_start(struct bridge *bridge)
{
	for (uint32_t i = 0; i < bridge->conf->device_count; i++)
		handover_send(bridge->handover, &bridge->fleet->devices[i]);
	int result = field_start(bridge->field);
	if (result < 0) {
		log_error("field: cannot start its thread: %s", strerror(-result));
		return result;
	}
	bridge->field_runs = true;
	pipeline_start(bridge->pipeline);
	cloud_start(bridge->cloud);
	bridge->saving.expired = saving_due;
	if (bridge->conf->scripts.state_save_s)
		loop_arm(bridge->loop, &bridge->saving,
			loop_now(bridge->loop) + bridge->conf->scripts.state_save_s * USEC_PER_SEC);
	bridge->trimming.expired = trimming_due;
	loop_arm(bridge->loop, &bridge->trimming,
		loop_now(bridge->loop) + TRIM_AFTER_S * USEC_PER_SEC);
	if (bridge->setup.watchdog_us) {
		bridge->watchdog.expired = watchdog_expired;
		bridge->ping_answered = true;
		loop_arm(bridge->loop, &bridge->watchdog, loop_now(bridge->loop));
	}
	return 0;
}

static void look_whether_done(struct timer *timer, int64_t now_us)
{
	struct bridge *bridge = container_of(timer, struct bridge, stopping);
	/* A command whose reply goes to the disk first is not in the cloud's queue yet. */
	size_t pending = cloud_pending(bridge->cloud) + pipeline_running(bridge->pipeline);
	if (pending + bridge->waiting > 0 && now_us < bridge->stop_by_us) {
		loop_arm(bridge->loop, timer, now_us + STOP_LOOK_MS * USEC_PER_MSEC);
		return;
	}
	if (bridge->waiting)
		log_warning(
			"bridge: stopped, and lost %zu reading%s not decoded: they came faster than "
			"the scripts could take them",
			bridge->waiting, plural(bridge->waiting, "s"));
	size_t lost = cloud_save(bridge->cloud);
	if (lost)
		log_warning(
			"bridge: stopped, and lost %zu report%s that the cloud did not acknowledge; "
			"check the connection to %s",
			lost, plural(lost, "s"), bridge->conf->enos.host);
	keepsake_save(bridge->setup.keepsake, bridge->fleet);
	loop_stop(bridge->loop);
}

void bridge_stop(struct bridge *bridge)
{
	if (bridge->stop_asked)
		return;
	bridge->stop_asked = true;
	pipeline_stop(bridge->pipeline);
	discoveries_stop(bridge->discoveries);
	cloud_stop(bridge->cloud);
	bridge->stop_by_us = loop_now_exact(bridge->loop) + BRIDGE_STOP_MS * USEC_PER_MSEC;
	end_field(bridge);
	bridge->stopping.expired = look_whether_done;
	loop_arm(bridge->loop, &bridge->stopping, loop_now(bridge->loop));
}
