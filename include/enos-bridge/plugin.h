/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface of a protocol plugin of enos-bridge, version 1.
 *
 * A plugin is a shared object that exports one constant, `const struct eb_plugin eb_plugin`.  It is a
 * pure codec: it turns settings into requests, requests into frames, and received bytes into
 * verdicts.  It does no I/O, reads no clock, starts no thread and keeps no global: what it must
 * remember between calls lives in a small state per bus, which the host owns, zeroes and hands in.
 * The host may hold several states of one bus (one only checks settings) and calls functions on
 * different states from different threads.
 *
 * Timing, retries, back-off, reconnecting, defence against late frames, statistics and traces are the
 * host's.  Copy plugins/template.c to begin.
 *
 * Return values: 0 or a count, else a negative errno; where a struct eb_error is handed in, it gets
 * one line that says what is wrong and what would be right.  All pointers handed in are valid for the
 * call only, and none is kept.  Times are in µs, sizes in bytes.
 */
#ifndef ENOS_BRIDGE_PLUGIN_H
#define ENOS_BRIDGE_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EB_PLUGIN_ABI 1u

/* The most bytes of one frame on the wire, of one answer's contents, and of a request's private data. */
#define EB_FRAME_MAX 4096u
#define EB_ANSWER_MAX 4096u
#define EB_REQUEST_MAX 4096u
#define EB_ADDRESS_MAX 15u
#define EB_KEY_MAX 31u
/* The most numbers that a write puts somewhere, as target() says. */
#define EB_NUMBERS_MAX 2000u

/* What a plugin can run on; struct eb_plugin names a set of them, struct eb_line one. */
#define EB_SERIAL 1u
#define EB_TCP 2u

/* ---- settings: what the configuration or a script says to a plugin -------------------------- */

#define EB_INTEGER 1u
#define EB_REAL 2u /* an integer is accepted where a real is declared, and arrives as a real */
#define EB_BOOLEAN 4u
#define EB_TEXT 8u
#define EB_BYTES 16u /* any bytes; hexadecimal digits in the configuration */
#define EB_LIST 32u /* of integers, reals, booleans or texts */

struct eb_value {
	uint32_t type; /* one of the types above */
	uint32_t count; /* list: its items */
	int64_t integer; /* integer; boolean: 0 or 1 */
	double real;
	const char *data; /* text and bytes; a NUL stands behind */
	size_t size;
	const struct eb_value *items; /* list */
};

struct eb_setting {
	const char *key;
	struct eb_value value;
};

/* At most one setting of a key.  The host has checked them against the plugin's keys. */
struct eb_settings {
	const struct eb_setting *items;
	size_t count;
};

#define EB_REQUIRED 1u

/* A key that the plugin knows.  A table of them ends with one whose name is NULL. */
struct eb_key {
	const char *name;
	uint32_t types; /* set of types that the value may have */
	uint32_t flags; /* EB_REQUIRED */
	int64_t min, max; /* of an integer, of an integer list's items; both 0: any */
	const char *choices; /* of a text: "rtu|ascii|tcp"; NULL: any */
	const char *help; /* one line, with the unit and the default */
};

struct eb_error {
	char text[240];
};

/* ---- the line ------------------------------------------------------------------------------- */

struct eb_line {
	uint32_t transport; /* EB_SERIAL or EB_TCP */
	uint32_t baud; /* bits per second; 0 where not serial */
	uint32_t char_bits; /* bits of a character: start, data, parity, stop; 0 where not serial */
};

/* What the protocol asks of the line; zeroed by the host, set by open(). */
struct eb_timing {
	uint32_t gap_us; /* silence that must stand before a request */
	/*
	 * Most requests outstanding at once; 0 means 1.  More than 1 says that an answer carries the
	 * number of its request (eb_outstanding.tag): then the host takes a late answer for one that
	 * is not outstanding any more, and neither waits after a time-out nor drains the line.
	 */
	uint32_t max_in_flight;
};

/* ---- requests ------------------------------------------------------------------------------- */

/* Whom a frame is for or from, in the plugin's own form: a unit id, a meter's number. */
struct eb_address {
	uint8_t size; /* 0: the line has one device only */
	uint8_t bytes[EB_ADDRESS_MAX];
};

#define EB_WRITE 1u /* changes the device: never sent again on its own */
#define EB_NO_ANSWER 2u /* a broadcast: done when it is sent */
#define EB_LISTEN 4u /* never sent: what others on the line say answers it */

struct eb_request {
	struct eb_address address;
	uint32_t flags;
	uint32_t frame_size; /* of the request on the wire, 0 unknown */
	uint32_t answer_size; /* of the answer on the wire, the most where it varies, 0 unknown */
	uint32_t content_size; /* of the answer's contents, the most where it varies, 0 unknown */
	uint32_t data_size; /* of data that is used; what the plugin set stays with the request */
	uint8_t *data; /* the plugin's own; EB_REQUEST_MAX bytes of room while request() runs */
};

/* A request that was sent and not yet answered. */
struct eb_outstanding {
	const struct eb_request *request;
	uint32_t
		tag; /* the host's running number, different for each request sent: a transaction id */
	uint32_t step; /* how often EB_CONTINUE was said for it */
	const uint8_t *so_far; /* contents that earlier EB_CONTINUE verdicts gave */
	size_t so_far_size;
};

/* ---- received bytes ------------------------------------------------------------------------- */

/*
 * Called when bytes came, and again when the line has been silent for the gap that the last verdict
 * asked for.  bytes are all that were received and not yet consumed.
 */
struct eb_input {
	const uint8_t *bytes;
	size_t size;
	uint32_t silent_us; /* how long the line has been silent; 0: the bytes just came */
	uint32_t count; /* of outstanding requests, oldest first; 0: nobody asked */
	const struct eb_outstanding *outstanding;
	uint8_t *content; /* room for EB_ANSWER_MAX bytes of decoded contents */
	uint8_t *frame; /* room for EB_FRAME_MAX bytes of the next frame to send */
};

enum eb_verdict_kind {
	EB_MORE, /* need more bytes, or silence of gap_us where that is not 0 */
	EB_NOISE, /* drop consumed bytes; error says what they were */
	EB_ANSWER, /* consumed bytes answer outstanding[index]; content is what they carry */
	EB_UNASKED, /* consumed bytes are a frame nobody asked for, from address, matched by key */
	EB_ERROR, /* consumed bytes end outstanding[index] with error and code */
	/*
	 * content belongs to outstanding[index]; then send frame, wait for what follows.  With nothing
	 * outstanding: heard and remembered, one half of what others say to each other.
	 */
	EB_CONTINUE
};

enum eb_error_class {
	EB_NONE,
	EB_TIMEOUT, /* also: a gateway says that the unit did not answer */
	EB_LATE,
	EB_FOREIGN, /* a whole frame, not from the one that was asked or not what was asked */
	EB_CRC,
	EB_SHORT, /* cut off, or a length that is not what was asked */
	EB_EXCEPTION, /* the device refused; code is its reason */
	EB_ECHO, /* our own bytes came back */
	EB_LINK, /* the port or connection failed */
	EB_ERROR_CLASSES
};

/*
 * With EB_EXCEPTION, of a read: the device refuses what was asked, and would answer where less of it was
 * asked.  A merged read is then taken apart until the part that is refused stands alone.
 */
#define EB_REFUSES_RANGE 1u

struct eb_verdict {
	uint32_t kind; /* enum eb_verdict_kind */
	uint32_t consumed; /* bytes of the input that are done with */
	uint32_t index; /* of the outstanding request */
	uint32_t error; /* enum eb_error_class */
	uint32_t code; /* of an exception */
	uint32_t flags; /* EB_REFUSES_RANGE */
	uint32_t gap_us; /* EB_MORE: silence to hear of; 0: none */
	const uint8_t *content; /* in input->content or input->bytes */
	uint32_t content_size;
	uint32_t frame_size; /* EB_CONTINUE: bytes in input->frame to send; 0: only wait */
	struct eb_address address; /* EB_UNASKED */
	uint8_t key_size; /* EB_UNASKED: what it is, in the plugin's own form */
	uint8_t key[EB_KEY_MAX];
};

/* What a write changes: count places from first on, of a kind in the words of the settings. */
struct eb_target {
	const char *kind; /* "holding_registers"; lives as long as the plugin */
	uint64_t first;
	uint32_t count;
	uint32_t number_count; /* 0: what it writes is no numbers, or depends on what is there */
	int64_t *numbers; /* the host's; room for EB_NUMBERS_MAX */
};

/* ---- the plugin ----------------------------------------------------------------------------- */

struct eb_plugin {
	uint32_t abi; /* EB_PLUGIN_ABI */
	uint32_t size; /* sizeof(struct eb_plugin) */
	const char *name; /* as the configuration names it: lower-case letters, digits, '-' */
	const char *summary; /* one line */
	uint32_t transports; /* set of EB_SERIAL, EB_TCP */
	uint32_t state_size; /* of a bus's state */
	const struct eb_key *bus_keys; /* options on a bus, a device, a request; NULL: none */
	const struct eb_key *device_keys;
	const struct eb_key *request_keys;

	/* Sets up a zeroed state from the bus's options.  0 or -EINVAL with the error. */
	int (*open)(void *state, const struct eb_settings *options, const struct eb_line *line,
		struct eb_timing *timing, struct eb_error *error);
	/* Optional: the link was opened again; what was half received is gone. */
	void (*reset)(void *state);
	/* The address of a device from its settings.  0 or -EINVAL with the error. */
	int (*address)(const void *state, const struct eb_settings *device,
		struct eb_address *address, struct eb_error *error);
	/*
	 * A request from its settings.  *request comes zeroed but for data, with the device's address
	 * copied in.  0, or -EINVAL or -E2BIG (more than a frame holds: name the limit) with the error.
	 */
	int (*request)(const void *state, const struct eb_settings *settings,
		struct eb_request *request, struct eb_error *error);
	/* The frame of a request into room for EB_FRAME_MAX bytes; returns its size. */
	int (*encode)(void *state, const struct eb_outstanding *outstanding, uint8_t *frame);
	/*
	 * The verdict on what was received; *verdict comes zeroed.  Must make progress: any verdict but
	 * EB_MORE consumes at least one byte, save an EB_ERROR or EB_NOISE said of silence.
	 */
	void (*receive)(void *state, const struct eb_input *input, struct eb_verdict *verdict);

	/*
	 * Optional: the contents that a declared poll would have got, out of an unasked frame.
	 * Returns their size in content (room for EB_ANSWER_MAX), or -ENOENT: not that poll's.  Without
	 * it every poll of the address whose data equals the frame's key gets the frame's contents.
	 */
	int (*match)(const void *state, const struct eb_request *declared,
		const struct eb_verdict *unasked, uint8_t *content);
	/*
	 * Optional, both or neither: one request that reads what a and b read, across at most hole
	 * units of unread data, into *merged (as for request()); 0, or -ENOENT: these two cannot.
	 * a may itself be merged.  The host tries neighbours in the order of their data, as memcmp()
	 * has it, so data should begin with what is read, then where, highest byte first.
	 * cut() copies the contents of part out of those of merged; returns their size.
	 */
	int (*merge)(const void *state, const struct eb_request *a, const struct eb_request *b,
		uint32_t hole, struct eb_request *merged);
	int (*cut)(const void *state, const struct eb_request *merged,
		const struct eb_request *part, const uint8_t *content, size_t size, uint8_t *out);
	/* Optional: "unit 3: read holding registers 0 to 9" for logs; at most room bytes with NUL. */
	void (*describe)(
		const void *state, const struct eb_request *request, char *text, size_t room);
	/*
	 * Optional: what a write changes, for what a site allows and for commands that a newer one makes
	 * pointless; 0, or -ENOENT: it cannot be said.
	 */
	int (*target)(const void *state, const struct eb_request *write, struct eb_target *target);
	/*
	 * Optional, both or neither, and only with target(): the request that reads what a write wrote (as
	 * for request(): *read comes zeroed but for data and address); 0, or -ENOENT: nothing can.
	 * numbers() gets those in the contents of its answer, in the order of target(); returns how many.
	 */
	int (*read_back)(
		const void *state, const struct eb_request *write, struct eb_request *read);
	int (*numbers)(const void *state, const struct eb_request *read, const uint8_t *content,
		size_t size, int64_t *numbers);
};

#ifdef __cplusplus
}
#endif

#endif
