/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration: one constant tree, read from the main file and devices.d beside it.  Values are
 * in range, names and keys are unique, every device's bus exists and its script was found.
 */
#ifndef EB_CORE_CONF_H
#define EB_CORE_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "core/plan.h"
#include "core/plugin.h"
#include "core/problem.h"
#include "util/buffer.h"
#include "util/log.h"

struct conf_gateway {
	char *name; /* letters, digits, '-', '_', '.': it is a level of MQTT topics */
	char *state_dir;
	char *plugin_dir;
	char **script_dirs; /* NULL-terminated, searched in order */
	char *control_socket; /* path; "" for none */
	uint32_t evidence_files; /* frames around the first errors of a kind, kept in state_dir */
	enum log_level log_level;
};

enum conf_fixtures { FIXTURES_REFUSE, FIXTURES_WARN, FIXTURES_SKIP };

struct conf_scripts {
	uint32_t instructions; /* budget of one call */
	uint32_t memory_kb; /* cap of one state */
	uint32_t wall_ms; /* limit of one call */
	uint32_t state_save_s; /* between two savings of device.state; 0: at the stop only */
	enum conf_fixtures fixtures; /* what becomes of a script whose fixtures fail */
};

enum conf_security { SECURITY_NONE, SECURITY_DTLS };
enum conf_dialect { DIALECT_SIGNED, DIALECT_PIGGYBACK };
/* What EnOS sees of a device that is down. */
enum conf_offline { CONF_OFFLINE_SHOW, CONF_OFFLINE_KEEP };
enum conf_cipher { CIPHER_AES_128_CBC, CIPHER_AES_128_ECB };

struct conf_enos {
	struct place place;
	char *host; /* "" where neither enos nor a device is configured */
	uint16_t port; /* 0 as long as it is not known whether DTLS is spoken */
	enum conf_security security;
	enum conf_dialect dialect;
	uint32_t lifetime_s; /* 30 to 86400 */
	uint32_t command_poll_s; /* silence after which commands are asked for */
	char *keepalive_topic; /* piggyback: what is queried then; behind /topic/sys/{pk}/{dk}/ */
	enum conf_cipher signature_cipher;
	uint8_t signature_iv[16];
	uint32_t max_payload; /* bytes of one message, 1024 */
	bool block_wise; /* longer payloads go in blocks */
	bool batch; /* join waiting reports of a device */
	uint32_t queue_reports; /* most reports that wait for one device; the oldest goes */
	uint32_t start_spread_ms; /* sessions begin spread over this time */
	uint32_t response_timeout_ms; /* our deadline for one request, retransmissions included */
	uint32_t retry_min_ms, retry_max_ms; /* back-off after no answer */
	uint32_t command_timeout_ms; /* from its arrival until it must have begun at the device */
	uint32_t command_repeat_s; /* window in which the same command with an id is a repeat */
	uint32_t command_repeat_raw_s; /* the same for pass-through commands; 0 */
	bool commands_without_disk; /* run also while their record cannot be written */
	enum conf_offline offline; /* of devices that do not say it */
	uint32_t offline_after_s; /* the same: how long a device is down before its session ends */
};

/* What becomes of reports of an earlier boot whose clock was never set. */
enum conf_unset_clock { UNSET_CLOCK_DROP, UNSET_CLOCK_SEND };

struct conf_spool {
	bool enabled;
	uint32_t commit_interval_ms; /* all that waits is on disk within it; 0: before it is sent */
	uint32_t max_mb; /* of reports on disk, in 10^6 bytes */
	uint32_t max_age_s; /* 0: no limit */
	uint32_t backfill_rate; /* reports read back a second, over all devices */
	uint32_t command_records; /* records of commands that are kept */
	uint32_t late_after_s; /* age from which points are sent as late; 0: none are */
	uint32_t clock_wait_s; /* time from the start for which the clock must be synchronised */
	enum conf_unset_clock unset_clock;
};

struct conf_mqtt {
	struct place place;
	bool enabled; /* mqtt stands in the file */
	char *host;
	uint16_t port;
	char *client_id; /* "enos-bridge-<gateway>" */
	char *user, *password; /* NULL: none; password from password_file */
	char *password_file; /* NULL: none */
	char *prefix; /* first level(s) of topics: "enos-bridge" */
	uint16_t keepalive_s;
	uint32_t queue; /* most messages that wait; the oldest telemetry goes */
};

enum conf_link_type { CONF_LINK_SERIAL, CONF_LINK_TCP };
enum conf_parity { PARITY_NONE, PARITY_EVEN, PARITY_ODD };
/* As in "8N1". */
static inline char conf_parity_letter(enum conf_parity parity)
{
	return "NEO"[parity];
}

enum conf_answer { ANSWER_AUTO, ANSWER_NO, ANSWER_YES };

/* The level of RTS that switches the transmitter on. */
enum conf_rts { RTS_HIGH, RTS_LOW };

struct conf_link {
	enum conf_link_type type;
	/* serial */
	char *path;
	uint32_t baud; /* any that the port can do: 50 to 4000000 */
	enum conf_parity parity;
	uint8_t data_bits, stop_bits; /* 7 or 8; 1 or 2, 1 by default */
	bool rs485; /* driver enable by TIOCSRS485 */
	enum conf_rts rs485_rts; /* while sending */
	uint32_t rs485_before_ms, rs485_after_ms; /* 0: as the driver is set */
	enum conf_answer
		paced; /* a real UART: an answer cannot come sooner than the wire carries it */
	enum conf_answer echo; /* our own bytes come back: yes: strip, no: never, auto: find out */
	/* tcp */
	char *host;
	uint16_t port;
	uint32_t connect_timeout_ms;
	uint32_t connect_pause_ms; /* wait between connecting and the first request */
	bool close_after_poll;
	/* both */
	uint32_t reopen_min_ms, reopen_max_ms; /* back-off */
};

struct conf_bus {
	struct place place;
	char *name;
	char *plugin_name;
	const struct eb_plugin *plugin;
	struct conf_link link;
	struct eb_line line; /* of link, as plugins want it */
	struct buffer options; /* value, a map: the keys that the plugin declared for a bus */
	uint32_t timeout_ms; /* of one transaction */
	uint32_t retries; /* of a read */
	uint32_t gap_us; /* further silence before a request, on top of the protocol's own */
	uint32_t unit_gap_us; /* and still further where another device was spoken to before */
	uint32_t turnaround_us; /* after a broadcast */
	uint32_t in_flight; /* requests outstanding at once, where the plugin can */
	bool merge; /* reads of a device that are due together become one request */
	uint32_t merge_hole; /* most units in between that nobody asked for */
};

enum conf_commands { COMMANDS_ALL, COMMANDS_NONE };

/* What a device may be told to do: all that one of its rules covers. */
struct conf_rule {
	char *service; /* the one service or topic; NULL: any */
	char *write; /* the kind of places, in the plugin's words; NULL: any request */
	int64_t address[2]; /* first and last place */
	int64_t values[2]; /* least and greatest number */
	bool has_values;
};

#define CONF_AS_BUS UINT32_MAX

struct conf_device {
	struct place place;
	char *name; /* a level of MQTT topics, as the gateway's */
	char *bus_name;
	uint32_t bus;
	char *script; /* file name as written; NULL: none given */
	char *script_path; /* where it was found */
	char *product_key, *device_key;
	char *secret; /* read from secret_file, or inline; NULL: its product's is used to get it */
	char *secret_file; /* NULL: inline */
	char *product_secret, *product_secret_file; /* the same of its product; NULL: none */
	const struct conf_enos *enos; /* conf's, or its own */
	struct conf_enos *own_enos; /* NULL: none */
	enum conf_answer merge; /* auto: as the bus has it */
	uint32_t merge_hole; /* CONF_AS_BUS: as the bus has it */
	struct buffer address; /* value, a map: the keys that the plugin declared for a device */
	enum conf_offline offline; /* its own or the gateway's */
	uint32_t offline_after_s;
	struct buffer parameters; /* value, a map */
	struct place *parameter_places; /* one for each of parameters; NULL: none are known */
	/* value, a list of maps: polls that add to the script's or, by their name, change them */
	struct buffer polls;
	struct buffer points; /* value, a list of maps, see conf_points.h */
	struct place *poll_places; /* one for each of polls */
	enum conf_commands commands;
	bool has_rules; /* allow stands there: what no rule covers is refused */
	struct conf_rule *rules;
	uint32_t rule_count;
	bool newest_wins; /* a command that waits gives way to a newer one that writes the same */
	struct read_back read_back; /* of all writes of commands */
};

struct conf {
	char *path; /* of the main file */
	struct conf_gateway gateway;
	struct conf_scripts scripts;
	struct conf_enos enos;
	struct conf_spool spool;
	struct conf_mqtt mqtt;
	struct conf_bus *buses;
	uint32_t bus_count;
	struct conf_device *devices;
	uint32_t device_count;
	uint32_t *buses_by_name, *devices_by_name; /* their numbers, in the order of names */
	char **files; /* every file that was read: places point to these; NULL-terminated */
	struct plugins *plugins; /* owned */
};

/* What is built in: directories that a configuration need not name. */
struct conf_defaults {
	const char *plugin_dir;
	const char *script_dirs[3]; /* NULL-terminated */
	const char *state_dir;
	const char *control_socket;
	/* linked-in plugins (tests, fuzzing), NULL-terminated or NULL: looked at before plugin_dir */
	const struct eb_plugin *const *builtin;
};

/*
 * Reads path and, where path is in a directory with devices.d in it, every *.conf of that in the order
 * of their names.  Returns the configuration, or NULL where problems has errors; warnings may be
 * there in both cases.  All faults are found in one go, save that libconfig ends a file at its first
 * syntax error.
 */
struct conf *conf_load(
	const char *path, const struct conf_defaults *defaults, struct problems *problems);
void conf_destroy(struct conf *conf);

/* The number of the device or bus of that name, or -ENOENT. */
int64_t conf_find_device(const struct conf *conf, const char *name);
int64_t conf_find_bus(const struct conf *conf, const char *name);
/* The most units that may lie between reads of the device which are merged; -1: none are merged. */
int64_t conf_merge_hole(const struct conf *conf, uint32_t device);

#endif
