/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lua that parses, grown from the input: each byte is a choice of the grammar, so that a fuzzer works
 * on what scripts do and not on their spelling.  LUA_SHOWN=1 in the environment prints the source.
 */
#include <stdio.h>

#include "tests/fuzz/script.h"

#define SOURCE_MAX 6000
#define DEPTH_MAX 6

struct garden {
	const uint8_t *at, *end;
	struct buffer *source;
	int depth;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* 0 to count - 1; at the input's end always 0, which every rule makes its shortest choice. */
static unsigned choose(struct garden *garden, unsigned count)
{
	return garden->at < garden->end ? *garden->at++ % count : 0;
}

#define PICK(garden, list) ((list)[choose(garden, sizeof(list) / sizeof(*(list)))])

static void put(struct garden *garden, const char *text)
{
	buffer_put_text(garden->source, text);
}

static const char *const names[] = { "a", "b", "reading", "device", "command", "results", "kept" };
static const char *const fields[] = { "x", "bytes", "poll", "time", "state", "parameters", "points",
	"name", "params", "raw", "id", "ok", "status", "more", "value", "quality", "event",
	"values", "attributes" };
static const char *const literals[] = { "nil", "0", "1", "-1", "true", "false", "2", "3", "16",
	"64", "0.5", "1e308", "0/0", "1/0", "math.maxinteger", "math.mininteger", "''", "'x'",
	"'\\0\\xff'", "'abcd'", "'cdab'", "'u16'", "'f32'", "'live'", "null", "65536", "32768" };
static const char *const helpers[] = { "tostring", "tonumber", "type", "select", "next", "pairs",
	"ipairs", "assert", "error", "try", "rep", "find", "split", "trim", "starts", "ends",
	"sort", "hex", "unhex", "bcd", "tobcd", "reorder", "registers", "float", "words", "round",
	"scaled", "number", "counted", "changed", "log", "bits.get", "bits.set", "bits.signed",
	"bits.list", "crc.modbus", "crc.crc32", "crc.sum8", "string.byte", "string.char",
	"string.format", "string.pack", "string.unpack", "string.sub", "string.reverse",
	"string.upper", "table.concat", "table.insert", "table.remove", "table.unpack", "utf8.char",
	"utf8.len", "math.floor", "math.random", "math.fmod", "math.type" };
static const char *const methods[] = { "u16", "s32", "f32", "u64", "string", "bytes", "bits",
	"present", "len", "rep" };
static const char *const operators[] = { "+", "-", "*", "/", "//", "%", "^", "..", "==", "~=", "<",
	">=", "and", "or", "&", "|", "~", "<<", ">>" };
static const char *const prefixes[] = { "not ", "-", "#", "~" };

static void expression(struct garden *garden);
static void block(struct garden *garden);

static void expressions(struct garden *garden, unsigned most)
{
	unsigned count = choose(garden, most + 1);
	for (unsigned i = 0; i < count; i++) {
		put(garden, i ? "," : "");
		expression(garden);
	}
}

static void table(struct garden *garden)
{
	put(garden, "{");
	unsigned count = choose(garden, 4);
	for (unsigned i = 0; i < count; i++) {
		if (choose(garden, 3)) {
			put(garden, PICK(garden, fields));
			put(garden, "=");
		}
		expression(garden);
		put(garden, ",");
	}
	put(garden, "}");
}

static void function(struct garden *garden)
{
	put(garden, "(function(a, b) ");
	block(garden);
	put(garden, " end)");
}

static void call(struct garden *garden)
{
	put(garden, PICK(garden, helpers));
	put(garden, "(");
	expressions(garden, 4);
	put(garden, ")");
}

static void operation(struct garden *garden)
{
	put(garden, "(");
	expression(garden);
	put(garden, " ");
	put(garden, PICK(garden, operators));
	put(garden, " ");
	expression(garden);
	put(garden, ")");
}

static void method(struct garden *garden)
{
	put(garden, "(");
	expression(garden);
	put(garden, "):");
	put(garden, PICK(garden, methods));
	put(garden, "(");
	expressions(garden, 3);
	put(garden, ")");
}

static void place(struct garden *garden)
{
	put(garden, PICK(garden, names));
	unsigned count = choose(garden, 3);
	for (unsigned i = 0; i < count; i++) {
		put(garden, ".");
		put(garden, PICK(garden, fields));
	}
}

static void prefixed(struct garden *garden)
{
	put(garden, "(");
	put(garden, PICK(garden, prefixes));
	expression(garden);
	put(garden, ")");
}

static void literal(struct garden *garden)
{
	put(garden, PICK(garden, literals));
}

static void expression(struct garden *garden)
{
	static void (*const rules[])(struct garden * garden) = { literal, place, call, table,
		operation, method, prefixed, function, call, place };
	bool full = garden->depth >= DEPTH_MAX || garden->source->size > SOURCE_MAX;
	garden->depth++;
	(full ? literal : PICK(garden, rules))(garden);
	garden->depth--;
}

static void assignment(struct garden *garden)
{
	place(garden);
	put(garden, " = ");
	expression(garden);
	put(garden, "; ");
}

static void local(struct garden *garden)
{
	put(garden, "local ");
	put(garden, PICK(garden, names));
	put(garden, " = ");
	expression(garden);
	put(garden, "; ");
}

static void condition(struct garden *garden)
{
	put(garden, "if ");
	expression(garden);
	put(garden, " then ");
	block(garden);
	put(garden, " end; ");
}

static void counting(struct garden *garden)
{
	put(garden, "for a = 1, ");
	expression(garden);
	put(garden, " do ");
	block(garden);
	put(garden, " end; ");
}

static void walk(struct garden *garden)
{
	put(garden, choose(garden, 2) ? "for b, a in pairs(" : "for b, a in ipairs(");
	expression(garden);
	put(garden, ") do ");
	block(garden);
	put(garden, " end; ");
}

static void loop(struct garden *garden)
{
	put(garden, "while ");
	expression(garden);
	put(garden, " do ");
	block(garden);
	put(garden, " end; ");
}

static void statement_call(struct garden *garden)
{
	call(garden);
	put(garden, "; ");
}

/* Ends in what the block gives. */
static void block(struct garden *garden)
{
	static void (*const rules[])(struct garden * garden) = { assignment, local, condition,
		counting, walk, loop, statement_call };
	unsigned count = garden->depth >= DEPTH_MAX ? 0 : choose(garden, 4);
	garden->depth++;
	for (unsigned i = 0; i < count && garden->source->size < SOURCE_MAX; i++)
		PICK(garden, rules)(garden);
	if (choose(garden, 2)) {
		put(garden, "return ");
		expression(garden);
	}
	garden->depth--;
}

static void whole_file(struct garden *garden)
{
	static const char *const heads[] = { "decode = function(reading, device) ",
		"encode = function(command, device, results) ",
		"reply = function(command, results, device) ", "polls = function(device) " };
	put(garden, "local kept, a, b, reading, command, results = {}\nlocal device = {}\n");
	/* What fails at the top level would keep all else from being tried. */
	put(garden, "try(function() ");
	block(garden);
	put(garden, " end)\n");
	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
		put(garden, i ? "" : "return {\n");
		put(garden, heads[i]);
		block(garden);
		put(garden, " end,\n");
	}
	put(garden, "}\n");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer source = BUFFER_EMPTY;
	struct garden garden = { data, data + size, &source, 0 };
	whole_file(&garden);
	if (getenv("LUA_SHOWN"))
		puts(buffer_text(&source));
	script_try(source.data, source.size);
	buffer_finish(&source);
	return 0;
}
