/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/cloud.h"

#include <string.h>

#include "cloud/delivery.h"
#include "cloud/secure.h"
#include "cloud/session.h"
#include "cloud/shard.h"
#include "cloud/spool.h"
#include "util/alloc.h"

/* One login every so long is no burden to anyone. */
#define START_EACH_US (10 * USEC_PER_MSEC)

/* Many sessions share it. */
struct cloud_server {
	struct list link;
	struct cloud *cloud;
	struct server server;
};

struct cloud {
	struct plane plane;
	struct shards *shards;
	struct secure *secure; /* NULL: no device speaks DTLS */
	struct list servers;
	uint32_t count;
	struct session **sessions; /* one for each device, by its number */
	struct list ready; /* sessions that got something to send since the last turn */
	struct list displaced; /* reports whose fate is to be told then */
	struct timer turn;
};

/* The listener is never called from within cloud_report(): what to tell it waits for the turn. */
struct displaced_report {
	struct list link;
	struct report *report;
	enum report_fate fate;
};

uint32_t cloud_payload_max(const struct conf_enos *enos)
{
	return enos->block_wise ? BLOCKS_TOTAL_MAX : enos->max_payload;
}

static struct endpoint *open_endpoint(void *context, bool secured,
	const struct endpoint_listener *listener, void *listener_context)
{
	struct cloud *cloud = context;
	if (secured)
		return secure_open(cloud->secure, listener, listener_context);
	return shards_open(cloud->shards, listener, listener_context);
}

static void tell_displaced(struct cloud *cloud)
{
	const struct cloud_listener *listener = &cloud->plane.listener;
	struct list *link;
	while ((link = list_take_first(&cloud->displaced))) {
		struct displaced_report *displaced = container_of(
			link, struct displaced_report, link);
		listener->fate(listener->context, displaced->report, displaced->fate,
			displaced->fate == REPORT_DROPPED
				? "more wait than enos.queue_reports allows"
				: "");
		report_release(displaced->report);
		free(displaced);
	}
}

static void on_turn(struct timer *timer, int64_t now_us)
{
	(void)now_us;
	struct cloud *cloud = container_of(timer, struct cloud, turn);
	struct list *link;
	tell_displaced(cloud);
	while ((link = list_take_first(&cloud->ready)))
		session_work(container_of(link, struct session, ready));
}

static void addresses_changed(struct server *server)
{
	struct cloud *cloud = container_of(server, struct cloud_server, server)->cloud;
	for (uint32_t i = 0; i < cloud->count; i++) {
		if (cloud->sessions[i]->server == server)
			session_addresses_changed(cloud->sessions[i]);
	}
}

/* The server of these terms, a new one where there is none. */
static struct server *server_of(
	struct cloud *cloud, const struct conf_enos *enos, struct resolver_client *resolver)
{
	list_for_each (link, &cloud->servers) {
		struct server *server = &container_of(link, struct cloud_server, link)->server;
		if (server->port == enos->port && strcmp(server->host, enos->host) == 0)
			return server;
	}
	struct cloud_server *entry = must_alloc(sizeof(*entry));
	entry->cloud = cloud;
	entry->server = (struct server){ .loop = cloud->plane.loop,
		.resolver = resolver,
		.host = enos->host,
		.port = enos->port,
		.changed = addresses_changed };
	server_init(&entry->server);
	list_append(&cloud->servers, &entry->link);
	return &entry->server;
}

static const struct conf_enos *terms_of(const struct conf *conf, uint32_t device)
{
	const struct conf_enos *own = conf->devices[device].enos;
	return own ? own : &conf->enos;
}

static int create_sessions(struct cloud *cloud, const struct cloud_setup *from)
{
	const struct conf *conf = from->conf;
	cloud->sessions = must_array(conf->device_count, sizeof(*cloud->sessions));
	for (uint32_t i = 0; i < conf->device_count; i++) {
		const struct session_setup setup = {
			.plane = &cloud->plane,
			.server = server_of(cloud, terms_of(conf, i), from->resolver),
			.enos = terms_of(conf, i),
			.device = &conf->devices[i],
			.number = i,
		};
		int result = session_create(&cloud->sessions[i], &setup);
		if (result < 0)
			return result;
		cloud->count = i + 1;
	}
	return 0;
}

/* What endpoints are made by, as the devices need them. */
static int create_endpoints(struct cloud *cloud, const struct conf *conf)
{
	struct shards_setup setup = {
		.loop = cloud->plane.loop,
		.max_payload = conf->enos.max_payload,
		.response_timeout_ms = conf->enos.response_timeout_ms,
	};
	bool secured = false;
	for (uint32_t i = 0; i < conf->device_count; i++) {
		const struct conf_enos *enos = terms_of(conf, i);
		secured |= enos->security == SECURITY_DTLS;
		if (enos->max_payload > setup.max_payload)
			setup.max_payload = enos->max_payload;
	}
	int result = shards_create(&cloud->shards, &setup);
	if (result < 0 || !secured)
		return result;
	return secure_create(&cloud->secure, setup.loop, setup.response_timeout_ms);
}

static void mark_ready(struct cloud *cloud, struct session *session);

static void spool_ready(void *context, uint32_t device)
{
	struct cloud *cloud = context;
	mark_ready(cloud, cloud->sessions[device]);
}

static void calendar_changed(void *context)
{
	struct cloud *cloud = context;
	const struct calendar *calendar = &cloud->plane.calendar;
	if (!calendar->set)
		return;
	if (cloud->plane.spool)
		spool_clock_set(cloud->plane.spool, calendar->boot_ms);
	for (uint32_t i = 0; i < cloud->count; i++)
		mark_ready(cloud, cloud->sessions[i]);
}

static void create_calendar(struct cloud *cloud, const struct cloud_setup *setup)
{
	struct calendar *calendar = &cloud->plane.calendar;
	calendar_init(
		calendar, cloud->plane.loop, setup->built_ms, setup->conf->spool.clock_wait_s);
	calendar->context = cloud;
	calendar->changed = calendar_changed;
}

static int create_spool(struct cloud *cloud, const struct conf *conf)
{
	const struct spool_setup setup = {
		.conf = conf, .loop = cloud->plane.loop, .context = cloud, .ready = spool_ready
	};
	cloud->plane.late_after_ms = conf->spool.late_after_s * INT64_C(1000);
	int result = conf->spool.enabled ? spool_create(&cloud->plane.spool, &setup) : 0;
	if (result < 0)
		return result;
	const struct ledger_setup ledger = { .conf = conf,
		.loop = cloud->plane.loop,
		.writer = cloud->plane.spool ? spool_writer(cloud->plane.spool) : NULL };
	calendar_changed(cloud);
	cloud->plane.ledger = ledger_create(&ledger);
	return 0;
}

int cloud_create(struct cloud **result, const struct cloud_setup *setup)
{
	const struct conf *conf = setup->conf;
	struct cloud *cloud = must_alloc(sizeof(*cloud));
	cloud->plane.loop = setup->loop;
	cloud->plane.listener = setup->listener;
	cloud->plane.endpoints = (struct endpoint_source){ cloud, open_endpoint };
	cloud->plane.chatter = (struct log_limit){ .window_us = 10 * USEC_PER_SEC, .burst = 10 };
	cloud->turn.expired = on_turn;
	list_init(&cloud->ready);
	list_init(&cloud->displaced);
	list_init(&cloud->servers);
	cloud->plane.state_dir = conf->gateway.state_dir;
	create_calendar(cloud, setup);
	int error = crypto_create(&cloud->plane.crypto);
	if (error == 0)
		error = create_endpoints(cloud, conf);
	if (error == 0)
		error = create_spool(cloud, conf);
	if (error == 0)
		error = create_sessions(cloud, setup);
	if (error < 0) {
		cloud_destroy(cloud);
		return error;
	}
	*result = cloud;
	return 0;
}

void cloud_destroy(struct cloud *cloud)
{
	if (!cloud)
		return;
	cloud_save(cloud);
	list_for_each (link, &cloud->servers)
		server_finish(&container_of(link, struct cloud_server, link)->server);
	loop_disarm(cloud->plane.loop, &cloud->turn);
	calendar_finish(&cloud->plane.calendar);
	for (uint32_t i = 0; i < cloud->count; i++)
		session_destroy(cloud->sessions[i]);
	free(cloud->sessions);
	list_for_each (link, &cloud->displaced) {
		struct displaced_report *displaced = container_of(
			link, struct displaced_report, link);
		report_release(displaced->report);
		free(displaced);
	}
	ledger_destroy(cloud->plane.ledger);
	spool_destroy(cloud->plane.spool);
	shards_destroy(cloud->shards);
	secure_destroy(cloud->secure);
	list_for_each (link, &cloud->servers) {
		list_remove(link);
		free(container_of(link, struct cloud_server, link));
	}
	crypto_destroy(cloud->plane.crypto);
	payload_finish(&cloud->plane.payload);
	buffer_finish(&cloud->plane.path);
	buffer_finish(&cloud->plane.scratch);
	free(cloud);
}

/* No longer than it is good for: four devices need not wait for seconds. */
static int64_t spread_us(const struct cloud *cloud, const struct conf_enos *enos)
{
	int64_t wanted_us = enos->start_spread_ms * USEC_PER_MSEC;
	int64_t enough_us = (int64_t)cloud->count * START_EACH_US;
	return wanted_us < enough_us ? wanted_us : enough_us;
}

void cloud_start(struct cloud *cloud)
{
	list_for_each (link, &cloud->servers)
		server_start(&container_of(link, struct cloud_server, link)->server);
	int64_t now_us = loop_now(cloud->plane.loop);
	for (uint32_t i = 0; i < cloud->count; i++) {
		struct session *session = cloud->sessions[i];
		session_start(session, now_us + spread_us(cloud, session->enos) * i / cloud->count);
	}
}

static size_t pending_replies(const struct cloud *cloud)
{
	size_t pending = 0;
	for (uint32_t i = 0; i < cloud->count; i++)
		pending += cloud->sessions[i]->queue.reply_count;
	return pending;
}

size_t cloud_save(struct cloud *cloud)
{
	struct spool *spool = cloud->plane.spool;
	struct ledger *ledger = cloud->plane.ledger;
	bool durable = ledger_durable(ledger);
	if (ledger)
		ledger_save(ledger);
	/* A reply that the disk has goes out after the next start. */
	size_t lost = cloud_pending(cloud) - (durable ? pending_replies(cloud) : 0);
	if (!spool)
		return lost;
	lost -= spool_unsaved(spool);
	return lost + spool_save(spool);
}

/* Before the next wait of the loop, so that what comes together goes together. */
static void mark_ready(struct cloud *cloud, struct session *session)
{
	if (list_empty(&session->ready))
		list_append(&cloud->ready, &session->ready);
	loop_arm(cloud->plane.loop, &cloud->turn, loop_now(cloud->plane.loop));
}

void cloud_secret_changed(struct cloud *cloud, uint32_t device)
{
	session_rekey(cloud->sessions[device]);
}

void cloud_device_pause(struct cloud *cloud, uint32_t device, bool paused)
{
	session_pause(cloud->sessions[device], paused);
}

void cloud_report(struct cloud *cloud, struct report *report)
{
	struct session *session = cloud->sessions[report->device];
	struct report *displaced;
	calendar_judge(&cloud->plane.calendar, &report->stamp);
	enum queue_change change = queue_put(
		&session->queue, report, session->enos->queue_reports, &displaced);
	if (displaced) {
		struct displaced_report *entry = must_alloc(sizeof(*entry));
		bool dropped = change == QUEUE_OVERFLOWED;
		session->counters[dropped ? COUNT_DROPPED : COUNT_REPLACED]++;
		entry->report = displaced;
		entry->fate = dropped ? REPORT_DROPPED : REPORT_REPLACED;
		list_append(&cloud->displaced, &entry->link);
	}
	mark_ready(cloud, session);
}

void cloud_reply(struct cloud *cloud, struct reply *reply)
{
	struct session *session = cloud->sessions[reply->device];
	queue_put_reply(&session->queue, reply);
	mark_ready(cloud, session);
}

void cloud_stop(struct cloud *cloud)
{
	cloud->plane.stopping = true;
}

size_t cloud_pending(const struct cloud *cloud)
{
	size_t pending = 0;
	const struct spool *spool = cloud->plane.spool;
	for (uint32_t i = 0; i < cloud->count; i++) {
		const struct queue *queue = &cloud->sessions[i]->queue;
		pending += (spool ? 0 : queue->count) + queue->reply_count;
	}
	return pending + (spool ? spool_unsaved(spool) : 0);
}

void cloud_status(const struct cloud *cloud, struct buffer *json)
{
	uint64_t totals[COUNTERS] = { 0 };
	uint32_t states[SESSION_STATES] = { 0 };
	for (uint32_t i = 0; i < cloud->count; i++) {
		states[cloud->sessions[i]->state]++;
		for (int c = 0; c < COUNTERS; c++)
			totals[c] += cloud->sessions[i]->counters[c];
	}
	buffer_printf(json, "{\"devices\":%u", cloud->count);
	for (int s = 0; s < SESSION_STATES; s++)
		buffer_printf(json, ",\"%s\":%u", session_state_name(s), states[s]);
	buffer_printf(json, ",\"clock\":\"%s\"",
		cloud->plane.calendar.set ? "set" : "waiting for it to be set");
	buffer_printf(json, ",\"contexts\":%zu,\"pending\":%zu", shards_count(cloud->shards),
		cloud_pending(cloud));
	for (int c = 0; c < COUNTERS; c++)
		buffer_printf(json, ",\"%s\":%llu", counter_name(c), (unsigned long long)totals[c]);
	if (cloud->plane.spool) {
		buffer_put_text(json, ",\"spool\":");
		spool_status(cloud->plane.spool, json);
	}
	buffer_put_text(json, ",\"commands_known\":");
	ledger_status(cloud->plane.ledger, json);
	buffer_put_byte(json, '}');
}

struct ledger *cloud_ledger(struct cloud *cloud)
{
	return cloud->plane.ledger;
}

void cloud_device_status(const struct cloud *cloud, uint32_t device, struct buffer *json)
{
	buffer_put_byte(json, '{');
	session_status(cloud->sessions[device], json);
	buffer_put_byte(json, '}');
}

enum session_state cloud_device_state(const struct cloud *cloud, uint32_t device)
{
	return cloud->sessions[device]->state;
}
