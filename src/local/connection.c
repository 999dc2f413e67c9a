/* SPDX-License-Identifier: Apache-2.0 */
#include "local/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <mosquitto.h>
#include <net/if.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/json.h"
#include "util/log.h"

#define CONNECT_TIMEOUT_US (10 * USEC_PER_SEC)
#define RETRY_MIN_US (1 * USEC_PER_SEC)
#define RETRY_MAX_US (60 * USEC_PER_SEC)
/* A connection that lasted this long was a good one: the next failure waits the shortest time. */
#define GOOD_AFTER_US (10 * USEC_PER_SEC)
#define LEAVE_MAX_US (200 * USEC_PER_MSEC)
#define KEEPALIVE_MIN_S 5 /* the library takes no less */
/* What a broker may say beyond acknowledgements; we subscribe to nothing. */
#define CHATTER_MAX 4096

enum phase { PHASE_WAITING, PHASE_RESOLVING, PHASE_CONNECTING, PHASE_UP };

/* The broker is real even where the loop's time is not. */
static const struct clock system_clock = CLOCK_SYSTEM;

static const char *const phase_names[] = { "waiting", "resolving", "connecting", "online" };

struct connection {
	struct connection_setup setup;
	enum phase phase;
	struct mosquitto *client; /* from PHASE_CONNECTING on */
	/*
	 * A duplicate of the library's descriptor: the library closes its own whenever it likes,
	 * and epoll must be told before.
	 */
	struct watch watch;
	struct timer timer; /* of the phase */
	struct lookup lookup;
	union address addresses[LOOKUP_ADDRESSES_MAX];
	size_t address_count, address_next;
	int64_t retry_us, phase_since_us;
	int64_t phase_since_ms;

	/* What callbacks of the library noted; they run under its lock and do nothing else. */
	bool greeted;
	int greeting;
	int acknowledged[CONNECTION_IN_FLIGHT_MAX];
	size_t acknowledged_count;

	bool reading; /* acknowledgements come only then */
	int sent[CONNECTION_IN_FLIGHT_MAX]; /* numbers of what is in flight */
	size_t in_flight;
	bool blocked; /* a packet is not written yet */
	int64_t blocked_us, acknowledged_us; /* since when nothing moved */
	uint64_t acknowledged_total, ticks;
	bool hung_up; /* that ended the last connection that was up */
	char broken[160]; /* why the connection is to be given up; "" */

	uint64_t connects, failures, published;
	char last_error[160];
};

static void note_greeting(struct mosquitto *client, void *context, int code)
{
	struct connection *connection = context;
	connection->greeted = true;
	connection->greeting = code;
}

static void note_acknowledged(struct mosquitto *client, void *context, int number)
{
	struct connection *connection = context;
	/* It is called for QoS 0 as well, when that was written. */
	if (!connection->reading)
		return;
	for (size_t i = 0; i < connection->in_flight; i++) {
		if (connection->sent[i] != number)
			continue;
		connection->sent[i] = connection->sent[--connection->in_flight];
		connection->acknowledged[connection->acknowledged_count++] = number;
		return;
	}
}

static void enter(struct connection *connection, enum phase phase)
{
	connection->phase = phase;
	connection->phase_since_us = loop_now(connection->setup.loop);
	connection->phase_since_ms = clock_wall_ms(loop_clock(connection->setup.loop));
}

static void arm(struct connection *connection, int64_t span_us)
{
	loop_arm(connection->setup.loop, &connection->timer,
		loop_now(connection->setup.loop) + span_us);
}

static int keepalive_s(const struct connection *connection)
{
	int seconds = connection->setup.conf->keepalive_s;
	return seconds < KEEPALIVE_MIN_S ? KEEPALIVE_MIN_S : seconds;
}

static void drop_client(struct connection *connection)
{
	if (connection->watch.added) {
		loop_remove(connection->setup.loop, &connection->watch);
		close(connection->watch.fd);
	}
	if (connection->client)
		mosquitto_destroy(connection->client);
	connection->client = NULL;
}

/* Half to all of the span, so that a fleet of gateways does not come back in step. */
static int64_t jitter(int64_t span_us)
{
	uint32_t random = 0;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		return span_us;
	return span_us / 2 + (int64_t)((uint64_t)span_us / 2 * random / UINT32_MAX);
}

static void remember(struct connection *connection, const char *reason)
{
	bool news = strcmp(connection->last_error, reason) != 0 || connection->phase == PHASE_UP;
	connection->failures++;
	snprintf(connection->last_error, sizeof(connection->last_error), "%s", reason);
	if (!news)
		return;
	const struct conf_mqtt *conf = connection->setup.conf;
	log_warning("broker %s:%u: %s: %s; trying again within %d s", conf->host, conf->port,
		connection->phase == PHASE_UP ? "connection lost" : "cannot be reached", reason,
		(int)(RETRY_MAX_US / USEC_PER_SEC));
}

static void begin_connect(struct connection *connection);

static void fail(struct connection *connection, const char *reason)
{
	bool was_up = connection->phase == PHASE_UP;
	int64_t lasted = loop_now(connection->setup.loop) - connection->phase_since_us;
	remember(connection, reason);
	drop_client(connection);
	if (was_up && lasted >= GOOD_AFTER_US)
		connection->retry_us = RETRY_MIN_US;
	if (!was_up && connection->address_next < connection->address_count) {
		begin_connect(connection);
		return;
	}
	enter(connection, PHASE_WAITING);
	arm(connection, jitter(connection->retry_us));
	connection->retry_us *= 2;
	if (connection->retry_us > RETRY_MAX_US)
		connection->retry_us = RETRY_MAX_US;
	if (was_up)
		connection->setup.listener.down(connection->setup.listener.context);
}

/* In the words of the system where the library only says that it has some. */
static const char *error_text(int result)
{
	if (result == MOSQ_ERR_ERRNO)
		return errno ? strerror(errno) : "it does not say why";
	if (result == MOSQ_ERR_KEEPALIVE)
		return "it does not answer pings";
	if (result == MOSQ_ERR_CONN_LOST)
		return "it closed the connection";
	return mosquitto_strerror(result);
}

/*
 * Why a call of the library failed.  A broker hangs up when it is stopped; and where another client has
 * our name, again and again, soon after each of us has come back.
 */
static const char *loss_text(struct connection *connection, int result)
{
	bool before = connection->hung_up;
	int64_t lasted = loop_now(connection->setup.loop) - connection->phase_since_us;
	if (connection->phase != PHASE_UP)
		return error_text(result);
	connection->hung_up = result == MOSQ_ERR_CONN_LOST;
	if (connection->hung_up && before && lasted < GOOD_AFTER_US)
		return "it closed the connection, again so soon (another client of the same "
		       "client_id?)";
	return error_text(result);
}

/* Whether the broker sends more than acknowledgements: the library would keep up to 256 MiB of it. */
static bool chatters(const struct connection *connection)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);
	memset(&info, 0, sizeof(info));
	if (getsockopt(connection->watch.fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
		return false;
	uint64_t asked_for = 4 * (connection->acknowledged_total + 1) + 2 * connection->ticks;
	return info.tcpi_bytes_received > asked_for + CHATTER_MAX;
}

static void come_up(struct connection *connection)
{
	const struct conf_mqtt *conf = connection->setup.conf;
	log_info("broker %s:%u: connected", conf->host, conf->port);
	enter(connection, PHASE_UP);
	connection->connects++;
	connection->last_error[0] = 0;
	connection->acknowledged_us = loop_now(connection->setup.loop);
	connection->ticks = 0;
	arm(connection, keepalive_s(connection) * USEC_PER_SEC / 4);
	connection->setup.listener.up(connection->setup.listener.context);
}

static void tell_acknowledged(struct connection *connection)
{
	size_t count = connection->acknowledged_count;
	if (!count)
		return;
	connection->acknowledged_count = 0;
	connection->acknowledged_total += count;
	connection->acknowledged_us = loop_now(connection->setup.loop);
	for (size_t i = 0; i < count; i++) {
		connection->setup.listener.acknowledged(
			connection->setup.listener.context, connection->acknowledged[i]);
	}
}

static void watch_writes(struct connection *connection)
{
	bool blocked = mosquitto_want_write(connection->client);
	if (blocked && !connection->blocked)
		connection->blocked_us = loop_now(connection->setup.loop);
	connection->blocked = blocked;
	loop_change(
		connection->setup.loop, &connection->watch, blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* After the library was called from the loop: does what its callbacks noted. */
static void settle(struct connection *connection, int result)
{
	if (connection->greeted && connection->greeting != 0) {
		char reason[160];
		snprintf(reason, sizeof(reason), "%s%s",
			mosquitto_connack_string(connection->greeting),
			connection->greeting == 4 || connection->greeting == 5
				? " (check user and password_file of mqtt)"
				: "");
		fail(connection, reason);
		return;
	}
	if (result != MOSQ_ERR_SUCCESS) {
		fail(connection, loss_text(connection, result));
		return;
	}
	if (mosquitto_socket(connection->client) < 0) {
		fail(connection, "it does not answer pings");
		return;
	}
	bool was_blocked = connection->blocked;
	watch_writes(connection);
	if (connection->greeted && connection->phase == PHASE_CONNECTING)
		come_up(connection);
	if (connection->phase != PHASE_UP)
		return;
	tell_acknowledged(connection);
	if (was_blocked && !connection->blocked)
		connection->setup.listener.writable(connection->setup.listener.context);
}

/* A connect() that failed says why only here. */
static int connect_error(const struct connection *connection)
{
	int error = 0;
	socklen_t size = sizeof(error);
	getsockopt(connection->watch.fd, SOL_SOCKET, SO_ERROR, &error, &size);
	return error;
}

static void socket_ready(struct watch *watch, uint32_t events)
{
	struct connection *connection = container_of(watch, struct connection, watch);
	if (connection->phase == PHASE_CONNECTING && (events & EPOLLERR)) {
		int error = connect_error(connection);
		fail(connection, error ? strerror(error) : "connection refused");
		return;
	}
	int result = MOSQ_ERR_SUCCESS;
	if (events & EPOLLOUT) {
		connection->blocked_us = loop_now(connection->setup.loop);
		result = mosquitto_loop_write(connection->client, 1);
	}
	if (result == MOSQ_ERR_SUCCESS && (events & (EPOLLIN | EPOLLERR | EPOLLHUP))) {
		if (chatters(connection)) {
			fail(connection, "it sends what nobody asked for: is it an MQTT broker?");
			return;
		}
		connection->reading = true;
		result = mosquitto_loop_read(connection->client, 1);
		connection->reading = false;
	}
	settle(connection, result);
}

/* Sets up a client and lets it connect.  A reason why it could not, or NULL. */
static const char *make_client(struct connection *connection, const char *host, uint16_t port)
{
	const struct conf_mqtt *conf = connection->setup.conf;
	struct mosquitto *client = mosquitto_new(conf->client_id, true, connection);
	if (!client)
		return strerror(errno);
	connection->client = client;
	mosquitto_connect_callback_set(client, note_greeting);
	mosquitto_publish_callback_set(client, note_acknowledged);
	mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
	int result = MOSQ_ERR_SUCCESS;
	if (conf->user)
		result = mosquitto_username_pw_set(client, conf->user, conf->password);
	OWNED_BUFFER topic = BUFFER_EMPTY;
	OWNED_BUFFER will = BUFFER_EMPTY;
	connection->setup.listener.will(connection->setup.listener.context, &topic, &will);
	if (result == MOSQ_ERR_SUCCESS)
		result = mosquitto_will_set(
			client, buffer_text(&topic), (int)will.size, will.data, 1, true);
	if (result == MOSQ_ERR_SUCCESS)
		result = mosquitto_connect_async(client, host, port, keepalive_s(connection));
	return result == MOSQ_ERR_SUCCESS ? NULL : error_text(result);
}

static const char *watch_client(struct connection *connection)
{
	int fd = fcntl(mosquitto_socket(connection->client), F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return strerror(errno);
	int small = 65536;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	connection->watch = (struct watch){
		.fd = fd, .events = EPOLLIN | EPOLLOUT, .ready = socket_ready
	};
	int result = loop_add(connection->setup.loop, &connection->watch);
	if (result == 0)
		return NULL;
	close(fd);
	return strerror(-result);
}

/* Tries the next address. */
static void begin_connect(struct connection *connection)
{
	const union address *address = &connection->addresses[connection->address_next++];
	char host[INET6_ADDRSTRLEN + IF_NAMESIZE + 1] = "";
	socklen_t size = address->any.sa_family == AF_INET6 ? sizeof(address->v6)
							    : sizeof(address->v4);
	getnameinfo(&address->any, size, host, sizeof(host), NULL, 0, NI_NUMERICHOST);
	connection->greeted = false;
	connection->acknowledged_count = connection->in_flight = 0;
	connection->acknowledged_total = connection->ticks = 0;
	connection->blocked = false;
	connection->broken[0] = 0;
	enter(connection, PHASE_CONNECTING);
	const char *problem = make_client(connection, host, connection->setup.conf->port);
	if (!problem)
		problem = watch_client(connection);
	if (problem) {
		fail(connection, problem);
		return;
	}
	arm(connection, CONNECT_TIMEOUT_US);
}

static void resolved(struct lookup *lookup, int error, const union address *addresses, size_t count)
{
	struct connection *connection = container_of(lookup, struct connection, lookup);
	connection->address_count = count;
	connection->address_next = 0;
	memcpy(connection->addresses, addresses, count * sizeof(*addresses));
	if (error || !count) {
		char reason[160];
		snprintf(reason, sizeof(reason), "its name has no address: %s",
			error ? gai_strerror(error) : "none given");
		fail(connection, reason);
		return;
	}
	begin_connect(connection);
}

static void begin_lookup(struct connection *connection)
{
	const struct conf_mqtt *conf = connection->setup.conf;
	enter(connection, PHASE_RESOLVING);
	connection->address_count = connection->address_next = 0;
	lookup_start(connection->setup.resolver, &connection->lookup, conf->host, conf->port);
}

/* Regular care of a connection that is up: pings, and whether anything moves at all. */
static void tick(struct connection *connection, int64_t now_us)
{
	int64_t patience_us = keepalive_s(connection) * USEC_PER_SEC * 3 / 2;
	connection->ticks++;
	if (connection->broken[0]) {
		fail(connection, connection->broken);
		return;
	}
	if (connection->blocked && now_us - connection->blocked_us > patience_us) {
		fail(connection, "it takes no more data");
		return;
	}
	if (connection->in_flight && now_us - connection->acknowledged_us > patience_us) {
		fail(connection, "it acknowledges nothing");
		return;
	}
	arm(connection, keepalive_s(connection) * USEC_PER_SEC / 4);
	settle(connection, mosquitto_loop_misc(connection->client));
}

static void expired(struct timer *timer, int64_t now_us)
{
	struct connection *connection = container_of(timer, struct connection, timer);
	switch (connection->phase) {
	case PHASE_WAITING:
		begin_lookup(connection);
		return;
	case PHASE_RESOLVING:
		return;
	case PHASE_CONNECTING:
		fail(connection, "no answer");
		return;
	case PHASE_UP:
		tick(connection, now_us);
		return;
	}
}

int connection_create(struct connection **result, const struct connection_setup *setup)
{
	if (mosquitto_lib_init() != MOSQ_ERR_SUCCESS)
		return -ENOMEM;
	struct connection *connection = must_alloc(sizeof(*connection));
	connection->setup = *setup;
	connection->retry_us = RETRY_MIN_US;
	connection->timer.expired = expired;
	connection->lookup.done = resolved;
	begin_lookup(connection);
	*result = connection;
	return 0;
}

/*
 * Says that we go, and waits a moment for the broker to hang up: closing while acknowledgements come
 * would reset the connection, and what was said last could be lost with it.
 */
static void leave(struct connection *connection)
{
	struct pollfd end = { .fd = connection->watch.fd, .events = POLLIN };
	char rest[512];
	mosquitto_disconnect(connection->client);
	shutdown(end.fd, SHUT_WR);
	int64_t until_us = clock_mono_us(&system_clock) + LEAVE_MAX_US, left_us;
	while ((left_us = until_us - clock_mono_us(&system_clock)) > 0) {
		if (poll(&end, 1, (int)(left_us / USEC_PER_MSEC)) <= 0 ||
			recv(end.fd, rest, sizeof(rest), MSG_DONTWAIT) <= 0)
			return;
	}
}

void connection_destroy(struct connection *connection)
{
	if (!connection)
		return;
	lookup_cancel(&connection->lookup);
	loop_disarm(connection->setup.loop, &connection->timer);
	if (connection->phase == PHASE_UP && !mosquitto_want_write(connection->client))
		leave(connection);
	drop_client(connection);
	mosquitto_lib_cleanup();
	free(connection);
}

bool connection_ready(const struct connection *connection, uint8_t qos)
{
	return connection->phase == PHASE_UP && !connection->blocked && !connection->broken[0] &&
		(qos == 0 || connection->in_flight < CONNECTION_IN_FLIGHT_MAX);
}

int connection_publish(struct connection *connection, const char *topic, const void *payload,
	size_t size, uint8_t qos, bool retain, int *number)
{
	if (!connection_ready(connection, qos))
		return -EAGAIN;
	int result = mosquitto_publish(
		connection->client, number, topic, (int)size, payload, qos, retain);
	if (result == MOSQ_ERR_INVAL || result == MOSQ_ERR_PAYLOAD_SIZE ||
		result == MOSQ_ERR_MALFORMED_UTF8)
		return -EINVAL;
	if (result != MOSQ_ERR_SUCCESS) {
		/* Given up from the loop: the caller stands in the middle of its queue. */
		snprintf(connection->broken, sizeof(connection->broken), "%s", error_text(result));
		arm(connection, 0);
		return -EAGAIN;
	}
	connection->published++;
	if (qos) {
		if (!connection->in_flight)
			connection->acknowledged_us = loop_now(connection->setup.loop);
		connection->sent[connection->in_flight++] = *number;
	}
	watch_writes(connection);
	return 0;
}

void connection_status(const struct connection *connection, struct buffer *json)
{
	const struct conf_mqtt *conf = connection->setup.conf;
	buffer_put_text(json, "\"host\":");
	json_put_text(json, conf->host);
	buffer_printf(json, ",\"port\":%u,\"state\":\"%s\",\"since_ms\":%lld", conf->port,
		phase_names[connection->phase], (long long)connection->phase_since_ms);
	buffer_printf(json, ",\"connects\":%llu,\"failures\":%llu,\"published\":%llu",
		(unsigned long long)connection->connects, (unsigned long long)connection->failures,
		(unsigned long long)connection->published);
	buffer_put_text(json, ",\"last_error\":");
	if (connection->last_error[0])
		json_put_text(json, connection->last_error);
	else
		buffer_put_text(json, "null");
}
