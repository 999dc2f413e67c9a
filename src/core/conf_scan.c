/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf_scan.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "core/conf_grammar.h"

#define QUOTED_MAX 40

struct scanner {
	const char *at, *end;
	struct place place;
	struct buffer *clean;
	struct problems *problems;
	struct grammar grammar;
	bool secret; /* the value of a key that no message may show */
	struct scan result;
};

static char peek(const struct scanner *scanner, size_t ahead)
{
	return (size_t)(scanner->end - scanner->at) > ahead ? scanner->at[ahead] : 0;
}

/* Nothing behind this place can be told: what follows would only mislead. */
static void give_up(struct scanner *scanner)
{
	scanner->result.parse = false;
	scanner->at = scanner->end;
}

/* False where the token cannot stand here: the file ends for us then. */
static bool take(struct scanner *scanner, char token)
{
	OWNED_BUFFER fault = BUFFER_EMPTY;
	if (grammar_take(&scanner->grammar, token, scanner->place.line, &fault))
		return true;
	problem_error(scanner->problems, scanner->place, "%s", buffer_text(&fault));
	give_up(scanner);
	return false;
}

static void copy(struct scanner *scanner, size_t count)
{
	for (size_t i = 0; i < count; i++)
		scanner->place.line += scanner->at[i] == '\n';
	buffer_put(scanner->clean, scanner->at, count);
	scanner->at += count;
}

static void skip_line(struct scanner *scanner)
{
	const char *newline = memchr(scanner->at, '\n', (size_t)(scanner->end - scanner->at));
	scanner->at = newline ? newline : scanner->end;
}

static void skip_comment(struct scanner *scanner)
{
	struct place begin = scanner->place;
	buffer_put_byte(scanner->clean, ' ');
	for (scanner->at += 2; peek(scanner, 0) != '*' || peek(scanner, 1) != '/'; scanner->at++) {
		if (scanner->at >= scanner->end) {
			problem_error(scanner->problems, begin,
				"this comment never ends: close it with */");
			give_up(scanner);
			return;
		}
		if (*scanner->at == '\n') {
			scanner->place.line++;
			buffer_put_byte(scanner->clean, '\n');
		}
	}
	scanner->at += 2;
}

/* libconfig drops a \x00, so that "a\x00b" reads as ab. */
static void check_escape(struct scanner *scanner)
{
	if (peek(scanner, 1) != 'x' || peek(scanner, 2) != '0' || peek(scanner, 3) != '0')
		return;
	problem_error(scanner->problems, scanner->place,
		"a text cannot hold \\x00: leave it out, or write bytes as hexadecimal digits");
}

static void copy_text(struct scanner *scanner)
{
	size_t size = 1;
	while (scanner->at + size < scanner->end && peek(scanner, size) != '"') {
		if (peek(scanner, size) == '\n' || !peek(scanner, size))
			break;
		if (peek(scanner, size) == '\\') {
			struct scanner inside = *scanner;
			inside.at += size;
			check_escape(&inside);
			size += peek(scanner, size + 1) && peek(scanner, size + 1) != '\n';
		}
		size++;
	}
	if (peek(scanner, size) != '"') {
		problem_error(scanner->problems, scanner->place,
			"this text does not end on its line: close it with \", write a line break as \\n");
		give_up(scanner);
		return;
	}
	if (take(scanner, TOKEN_TEXT))
		copy(scanner, size + 1);
}

static bool is_name_start(char c)
{
	return isalpha((unsigned char)c) || c == '*';
}

static void copy_name(struct scanner *scanner)
{
	size_t size = 1;
	while (isalnum((unsigned char)peek(scanner, size)) ||
		(peek(scanner, size) && strchr("-_*", peek(scanner, size))))
		size++;
	scanner->secret = size >= 6 && memcmp(scanner->at + size - 6, "secret", 6) == 0;
	bool boolean = (size == 4 && strncasecmp(scanner->at, "true", size) == 0) ||
		(size == 5 && strncasecmp(scanner->at, "false", size) == 0);
	if (take(scanner, boolean ? TOKEN_BOOLEAN : TOKEN_NAME))
		copy(scanner, size);
}

struct number {
	size_t size; /* characters, with L */
	bool negative, hex, wide, real;
	bool digits; /* there is one at all */
	uint64_t magnitude; /* at its most where it is more */
};

static void add_digit(struct number *number, unsigned base, char digit)
{
	unsigned worth = isdigit((unsigned char)digit)
		? (unsigned)(digit - '0')
		: (unsigned)(tolower((unsigned char)digit) - 'a') + 10;
	number->digits = true;
	if (__builtin_mul_overflow(number->magnitude, base, &number->magnitude) ||
		__builtin_add_overflow(number->magnitude, worth, &number->magnitude))
		number->magnitude = UINT64_MAX;
}

/* Behind the digits before the point or the exponent. */
static void measure_real(const struct scanner *scanner, struct number *number)
{
	size_t size = number->size;
	if (peek(scanner, size) == '.') {
		number->real = true;
		for (size++; isdigit((unsigned char)peek(scanner, size)); size++)
			number->digits = true;
	}
	size_t exponent = size + 1;
	if (peek(scanner, size) == 'e' || peek(scanner, size) == 'E') {
		if (peek(scanner, exponent) == '+' || peek(scanner, exponent) == '-')
			exponent++;
		if (isdigit((unsigned char)peek(scanner, exponent))) {
			number->real = true;
			size = exponent;
			while (isdigit((unsigned char)peek(scanner, size)))
				size++;
		}
	}
	number->size = size;
}

static struct number measure(const struct scanner *scanner)
{
	struct number number = { .negative = *scanner->at == '-' };
	if (*scanner->at == '0' && tolower((unsigned char)peek(scanner, 1)) == 'x') {
		number.hex = true;
		for (number.size = 2; isxdigit((unsigned char)peek(scanner, number.size));)
			add_digit(&number, 16, peek(scanner, number.size++));
	} else {
		number.size = *scanner->at == '-' || *scanner->at == '+';
		while (isdigit((unsigned char)peek(scanner, number.size)))
			add_digit(&number, 10, peek(scanner, number.size++));
		measure_real(scanner, &number);
	}
	for (int i = 0; i < 2 && !number.real && peek(scanner, number.size) == 'L'; i++) {
		number.wide = true;
		number.size++;
	}
	return number;
}

static bool fits(const struct number *number, uint64_t most)
{
	return number->magnitude <= most + number->negative;
}

static void refuse_integer(struct scanner *scanner, const struct number *number)
{
	int shown = number->size < QUOTED_MAX ? (int)number->size : QUOTED_MAX;
	if (scanner->secret)
		problem_error(scanner->problems, scanner->place,
			"this is a number that does not fit: write a text, between quotes");
	else if (fits(number, INT64_MAX))
		problem_error(scanner->problems, scanner->place,
			"%.*s does not fit into 32 bits: write %.*sL", shown, scanner->at, shown,
			scanner->at);
	else
		problem_error(scanner->problems, scanner->place,
			"%.*s does not fit into 64 bits: the range is -9223372036854775808L to "
			"9223372036854775807L",
			shown, scanner->at);
	buffer_put_text(scanner->clean, number->wide ? "-9223372036854775808L" : "-2147483648");
	scanner->result.bad_integers = true;
	scanner->at += number->size;
}

static void copy_number(struct scanner *scanner)
{
	struct number number = measure(scanner);
	if (!take(scanner, TOKEN_NUMBER))
		return;
	if (!number.digits) {
		problem_error(
			scanner->problems, scanner->place, "this is no number: it has no digits");
		give_up(scanner);
		return;
	}
	bool fine = number.real || fits(&number, number.wide ? INT64_MAX : INT32_MAX);
	if (fine)
		copy(scanner, number.size);
	else
		refuse_integer(scanner, &number);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f';
}

static void copy_blanks(struct scanner *scanner)
{
	size_t size = 1;
	while (is_blank(peek(scanner, size)))
		size++;
	copy(scanner, size);
}

static void refuse_include(struct scanner *scanner)
{
	problem_error(scanner->problems, scanner->place,
		"@include is not supported: put buses and devices into a *.conf file of devices.d, "
		"which is read by itself");
	give_up(scanner);
}

static void step(struct scanner *scanner)
{
	char c = *scanner->at;
	if (!c) {
		problem_error(scanner->problems, scanner->place,
			"a NUL byte stands here: this is no text file");
		give_up(scanner);
	} else if (is_blank(c)) {
		copy_blanks(scanner);
	} else if (c == '#' || (c == '/' && peek(scanner, 1) == '/')) {
		skip_line(scanner);
	} else if (c == '/' && peek(scanner, 1) == '*') {
		skip_comment(scanner);
	} else if (c == '"') {
		copy_text(scanner);
	} else if (is_name_start(c)) {
		copy_name(scanner);
	} else if (isdigit((unsigned char)c) || strchr("+-.", c)) {
		copy_number(scanner);
	} else if (c == '@') {
		refuse_include(scanner);
	} else if (take(scanner, c)) {
		copy(scanner, 1);
	}
}

struct scan scan_text(struct buffer *clean, const char *text, size_t size, const char *file,
	struct problems *problems)
{
	struct scanner scanner = { .at = text,
		.end = text + size,
		.place = { file, 1 },
		.clean = clean,
		.problems = problems,
		.result.parse = true };
	while (scanner.at < scanner.end)
		step(&scanner);
	if (scanner.result.parse)
		take(&scanner, TOKEN_END);
	return scanner.result;
}
