/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that just talk, or answer what they are asked, each in frames of their own making.  What a
 * frame is, the bus's options say; one of
 *
 *	start ... delimiter			a line of text, STX ... ETX
 *	start ... delimiter sum			STX ... ETX BCC: checksum_end = 0
 *	start ..., length bytes in all		a scale, a counter
 *	start ... length field ...		length = field + length_adjust
 *	start ..., then silence			what has no mark but the pause behind it
 *
 * where start is optional, and a checksum may stand anywhere before the end:
 *
 *	byte	0 ...  checksum_from ......  ->| sum |<- checksum_end bytes ->|
 *	       header | what the sum covers   |     | delimiter, ...         |
 *
 * sum8 and xor8 are the sum and the exclusive or of the bytes, lrc is the sum's two's complement ("MODBUS
 * over Serial Line" V1.02, 6.2.1), crc8 is CRC-8 of polynomial 07H from 0, crc16-modbus is that of
 * "Serial Line" 6.2.2 with the lower byte first, crc16-ccitt that of polynomial 1021H from FFFFH with
 * the higher byte first, and nmea is NMEA 0183's: '*' and two hexadecimal digits of the exclusive or
 * of what stands between '$' and '*'.
 *
 *	$GPGLL,4916.45,N,12311.12,W,225444,A,*1D<CR><LF>	contents: $GPGLL,...,A,
 *	<STX>+00123.5<ETX><BCC>
 *
 * A device's address is the bytes that stand at match_offset in its frames, match_size of them: this is
 * how the frames of several devices on one line are told apart.  A request's private data is a
 * struct wish and what is sent.
 */
#ifndef EB_PLUGIN_FRAME_H
#define EB_PLUGIN_FRAME_H

#include <stdbool.h>

#include <enos-bridge/plugin.h>

#define MARK_MAX 8u
#define EXPECT_MAX EB_KEY_MAX

enum end { END_DELIMITER, END_LENGTH, END_FIELD, END_SILENCE };

struct mark {
	uint8_t size;
	uint8_t bytes[MARK_MAX];
};

struct length_field {
	uint32_t offset, size;
	bool little;
	int32_t adjust; /* what is added to get the size of the frame */
};

/* A kind of checksum. */
struct sum {
	const char *name;
	uint8_t size; /* on the wire */
	bool text; /* it is written in characters, which no delimiter is made of */
	/* Puts the checksum of the bytes as it stands on the wire. */
	void (*put)(const uint8_t *bytes, size_t size, uint8_t *sum);
};

/* The state of a bus. */
struct frame {
	enum end end;
	struct mark start, delimiter;
	uint32_t length;
	struct length_field field;
	uint32_t max_length;
	uint32_t cut_us; /* silence that ends a frame, or cuts one off */
	const struct sum *sum; /* NULL: none */
	uint32_t sum_from, sum_end;
	uint32_t match_offset, match_size; /* size 0: one device */
	bool strip;
	bool in_step; /* it is known where a frame begins */
	bool skipping; /* what comes belongs to a frame that was given up */
};

/* What a request wants, in front of the bytes to send. */
struct wish {
	uint8_t expect_size;
	uint8_t expect[EXPECT_MAX]; /* how the answer begins */
};

/* ---- sum.c ---------------------------------------------------------------------------------- */

#define SUM_MAX 3u
#define SUM_NAMES "sum8|xor8|crc8|crc16-modbus|crc16-ccitt|lrc|nmea"

const struct sum *sum_find(const char *name);
/* Whether the checksum of a whole frame fits, or there is none. */
bool sum_fits(const struct frame *bus, const uint8_t *bytes, size_t size);

/* ---- find.c --------------------------------------------------------------------------------- */

enum found {
	FOUND_PART, /* a frame may begin here and is not whole yet */
	FOUND_WHOLE,
	FOUND_BAD_SUM, /* whole, but its checksum does not fit */
	FOUND_NONE, /* no frame begins here: so many bytes are none */
	FOUND_LONG, /* whole, but longer than a frame may be */
	FOUND_ENDLESS, /* longer than a frame may be, and no end in sight */
};

/* What begins at bytes; *size is of the frame or of what is none, unless it is a part. */
enum found find_frame(
	const struct frame *bus, const uint8_t *bytes, size_t have, bool silent, size_t *size);
/* Where the next start stands behind the first byte; have where there is none. */
size_t find_start(const struct frame *bus, const uint8_t *bytes, size_t have);
/* Whether where a frame begins can be told from the frame alone. */
bool find_is_sure(const struct frame *bus);

/* ---- receive.c, request.c, options.c --------------------------------------------------------- */

void frame_receive(void *state, const struct eb_input *input, struct eb_verdict *verdict);

int frame_address(const void *state, const struct eb_settings *device, struct eb_address *address,
	struct eb_error *error);
int frame_request(const void *state, const struct eb_settings *settings, struct eb_request *request,
	struct eb_error *error);
int frame_encode(void *state, const struct eb_outstanding *outstanding, uint8_t *frame);
int frame_match(const void *state, const struct eb_request *declared,
	const struct eb_verdict *unasked, uint8_t *content);
void frame_describe(const void *state, const struct eb_request *request, char *text, size_t room);

/* The setting of that key, or NULL. */
const struct eb_value *frame_setting(const struct eb_settings *settings, const char *key);
int frame_open(void *state, const struct eb_settings *options, const struct eb_line *line,
	struct eb_timing *timing, struct eb_error *error);

#define REFUSE(error, code, ...)                                             \
	({                                                                   \
		snprintf((error)->text, sizeof((error)->text), __VA_ARGS__); \
		-(code);                                                     \
	})

#endif
