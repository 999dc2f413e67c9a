/* SPDX-License-Identifier: Apache-2.0 */
/* The modbus plugin's settings: buses, devices, requests, what is refused, and reads joined and cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/codec.h"
#include "util/alloc.h"
#include "util/hex.h"

extern const struct eb_plugin eb_plugin;

enum { RTU, TCP };

static void open_bus(struct codec *codec, int framing)
{
	const struct eb_line *line = framing == TCP ? &codec_tcp : &codec_serial;
	assert_int_equal(codec_open(codec, &eb_plugin, line, "{}"), 0);
}

/* The PDU of a request, behind the seven bytes of the TCP header. */
static void expect_encoded(const char *text, const char *pdu)
{
	struct codec codec;
	OWNED_BUFFER expected = BUFFER_EMPTY;
	open_bus(&codec, TCP);
	hex_parse(&expected, pdu);
	struct request *request = codec_request(&codec, "{\"unit\":17}", text);
	if (!request)
		fail_msg("%s: %s", text, codec.error);
	struct eb_outstanding sent = { .request = &request->wire };
	assert_int_equal(codec_encode(&codec, &sent), 7 + expected.size);
	assert_memory_equal(codec.frame + 7, expected.data, expected.size);
	assert_int_equal(request->wire.flags, EB_WRITE);
	request_destroy(request);
	codec_close(&codec);
}

static void test_timing(void **state)
{
	static const struct {
		struct eb_line line;
		const char *options;
		uint32_t gap_us;
	} cases[] = {
		{ { EB_SERIAL, 9600, 10 }, "{}", 3646 }, /* 3.5 * 10 / 9600 s, rounded up */
		{ { EB_SERIAL, 9600, 11 }, "{}", 4011 },
		{ { EB_SERIAL, 19200, 11 }, "{}", 2006 },
		{ { EB_SERIAL, 19201, 11 }, "{}", 1750 },
		{ { EB_SERIAL, 115200, 10 }, "{}", 1750 },
		{ { EB_SERIAL, 1200, 11 }, "{}", 32084 },
		{ { EB_SERIAL, 9600, 10 }, "{\"framing\":\"ascii\"}", 0 },
		{ { EB_TCP, 0, 0 }, "{}", 0 },
		{ { EB_TCP, 0, 0 }, "{\"framing\":\"rtu\"}", 0 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct codec codec;
		assert_int_equal(
			codec_open(&codec, &eb_plugin, &cases[i].line, cases[i].options), 0);
		assert_int_equal(codec.timing.gap_us, cases[i].gap_us);
		codec_close(&codec);
	}
}

static void test_refused_buses(void **state)
{
	struct codec codec;
	assert_int_equal(
		codec_open(&codec, &eb_plugin, &codec_serial, "{\"framing\":\"tcp\"}"), -EINVAL);
	codec_close(&codec);
	assert_int_equal(codec_open(&codec, &eb_plugin, &codec_tcp, "{\"listen\":true}"), -EINVAL);
	codec_close(&codec);
	assert_int_equal(
		codec_open(&codec, &eb_plugin, &codec_tcp, "{\"framing\":\"udp\"}"), -EINVAL);
	assert_non_null(strstr(codec.error, "rtu|ascii|tcp"));
	codec_close(&codec);
}

struct refusal {
	int framing;
	const char *device, *request, *says;
};

static const struct refusal refusals[] = {
	{ RTU, "{\"unit\":248}", "{}", "1 to 247" },
	{ TCP, "{\"unit\":256}", "{}", "0 to 255" },
	{ RTU, "{}", "{}", "unit is missing" },
	{ RTU, "{\"unit\":1}", "{\"address\":1}", "read or write must say what" },
	{ RTU, "{\"unit\":1}", "{\"read\":\"coils\"}", "address is missing" },
	{ RTU, "{\"unit\":1}", "{\"read\":\"registers\",\"address\":1}", "must be one of" },
	{ RTU, "{\"unit\":1}", "{\"read\":\"holding_registers\",\"address\":1,\"count\":126}",
		"the most is 125" },
	{ TCP, "{\"unit\":1}", "{\"read\":\"input_registers\",\"address\":1,\"count\":126}",
		"the most is 125" },
	{ RTU, "{\"unit\":1}", "{\"read\":\"coils\",\"address\":1,\"count\":2001}",
		"the most is 2000" },
	{ RTU, "{\"unit\":1}", "{\"read\":\"coils\",\"address\":65535,\"count\":2}", "65535" },
	{ RTU, "{\"unit\":1}", "{\"read\":\"coils\",\"address\":65536}", "0 to 65535" },
	{ RTU, "{\"unit\":1}", "{\"read\":\"coils\",\"address\":1,\"count\":0}", "1 to 65536" },
	{ RTU, "{\"unit\":1}", "{\"read\":\"coils\",\"address\":1,\"values\":[1]}",
		"belong to a write" },
	{ RTU, "{\"unit\":1}", "{\"read\":\"coils\",\"address\":1,\"function\":15}",
		"belongs to a write" },
	{ RTU, "{\"unit\":0}", "{\"read\":\"coils\",\"address\":1}", "only be written" },
	{ RTU, "{\"unit\":1}", "{\"write\":\"coils\",\"address\":1}", "either values or bytes" },
	{ RTU, "{\"unit\":1}", "{\"write\":\"coils\",\"address\":1,\"values\":[2]}",
		"item 1 must be" },
	{ RTU, "{\"unit\":1}", "{\"write\":\"coils\",\"address\":1,\"values\":[]}",
		"nothing to write" },
	{ RTU, "{\"unit\":1}",
		"{\"write\":\"holding_registers\",\"address\":1,\"values\":[1,65536]}",
		"item 2 is 65536" },
	{ RTU, "{\"unit\":1}", "{\"write\":\"holding_registers\",\"address\":1,\"values\":[true]}",
		"item 1 must be" },
	{ RTU, "{\"unit\":1}",
		"{\"write\":\"holding_registers\",\"address\":1,\"bytes\":\"0102 03\"}",
		"must be even" },
	{ RTU, "{\"unit\":1}",
		"{\"write\":\"holding_registers\",\"address\":1,\"values\":[1,2],\"function\":6}",
		"function 6 does not write" },
	{ RTU, "{\"unit\":1}", "{\"write\":\"coils\",\"address\":1,\"values\":[1],\"function\":16}",
		"function 16 does not write" },
	{ RTU, "{\"unit\":1}",
		"{\"write\":\"holding_registers\",\"address\":1,\"values\":[1,2],\"count\":3}",
		"count is 3" },
	{ RTU, "{\"unit\":1}", "{\"write\":\"holding_registers\",\"address\":1,\"and_mask\":3}",
		"mask write" },
	{ RTU, "{\"unit\":1}", "{\"write\":\"coils\",\"address\":1,\"and_mask\":3,\"or_mask\":1}",
		"mask write" },
	{ RTU, "{\"unit\":1}", "{\"read\":\"coils\",\"address\":1,\"and_mask\":3}",
		"belong to a write" },
	{ RTU, "{\"unit\":1}",
		"{\"write\":\"holding_registers\",\"address\":1,\"values\":[1],"
		"\"read\":\"coils\",\"read_address\":1}",
		"a read and write in one" },
	{ RTU, "{\"unit\":1}",
		"{\"write\":\"holding_registers\",\"address\":1,\"values\":[1],"
		"\"read\":\"holding_registers\",\"read_address\":65535,\"count\":2}",
		"65535" },
	{ RTU, "{\"unit\":1}",
		"{\"write\":\"holding_registers\",\"address\":1,\"values\":[1],\"read_address\":3}",
		"needs read" },
};

static void test_refused_requests(void **state)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
		struct codec codec;
		open_bus(&codec, refusals[i].framing);
		struct request *request = codec_request(
			&codec, refusals[i].device, refusals[i].request);
		assert_null(request);
		if (!strstr(codec.error, refusals[i].says))
			fail_msg("%s: \"%s\" does not say \"%s\"", refusals[i].request, codec.error,
				refusals[i].says);
		codec_close(&codec);
	}
}

/* A request with count values, or bytes, or a count to read. */
static bool accepted(const char *what, unsigned count)
{
	struct codec codec;
	OWNED_BUFFER text = BUFFER_EMPTY;
	open_bus(&codec, RTU);
	buffer_printf(&text, "{%s,\"address\":0,\"values\":[", what);
	for (unsigned i = 0; i < count; i++)
		buffer_put_text(&text, i ? ",1" : "1");
	buffer_put_text(&text, "]}");
	struct request *request = codec_request(&codec, "{\"unit\":1}", buffer_text(&text));
	bool made = request;
	if (made) {
		struct eb_outstanding sent = { .request = &request->wire };
		assert_true(codec_encode(&codec, &sent) <= 256);
	}
	request_destroy(request);
	codec_close(&codec);
	return made;
}

static void test_write_limits(void **state)
{
	assert_true(accepted("\"write\":\"holding_registers\"", 123));
	assert_false(accepted("\"write\":\"holding_registers\"", 124));
	assert_false(accepted("\"write\":\"holding_registers\"", 3000));
	assert_true(accepted("\"write\":\"coils\"", 1968));
	assert_false(accepted("\"write\":\"coils\"", 1969));
	assert_false(accepted("\"write\":\"coils\"", 9000));
	static const char both[] = "\"write\":\"holding_registers\",\"read\":\"holding_registers\","
				   "\"read_address\":0,\"count\":125";
	assert_true(accepted(both, 121));
	assert_false(accepted(both, 122));
}

static void test_write_forms(void **state)
{
	static const struct {
		const char *request, *asks;
	} forms[] = {
		{ "{\"write\":\"holding_registers\",\"address\":1,\"values\":[3],\"function\":16}",
			"10 0001 0001 02 0003" },
		{ "{\"write\":\"holding_registers\",\"address\":1,\"values\":[-2]}",
			"06 0001 fffe" },
		{ "{\"write\":\"holding_registers\",\"address\":1,\"bytes\":\"0003\"}",
			"06 0001 0003" },
		{ "{\"write\":\"holding_registers\",\"address\":1,\"bytes\":\"00 03 00 04\"}",
			"10 0001 0002 04 00030004" },
		{ "{\"write\":\"coils\",\"address\":9,\"values\":[false]}", "05 0009 0000" },
		{ "{\"write\":\"coils\",\"address\":9,\"values\":[true],\"function\":15}",
			"0f 0009 0001 01 01" },
		{ "{\"write\":\"coils\",\"address\":9,\"bytes\":\"ffff\",\"count\":10}",
			"0f 0009 000a 02 ff03" },
		{ "{\"write\":\"coils\",\"address\":9,\"bytes\":\"a5\"}", "0f 0009 0008 01 a5" },
		{ "{\"write\":\"holding_registers\",\"address\":65535,\"values\":[1.0]}",
			"06 ffff 0001" },
	};
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		expect_encoded(forms[i].request, forms[i].asks);
	}
}

static void test_broadcast(void **state)
{
	static const char request[] = "{\"write\":\"coils\",\"address\":1,\"values\":[1]}";
	struct codec codec;
	open_bus(&codec, RTU);
	struct request *made = codec_request(&codec, "{\"unit\":0}", request);
	assert_int_equal(made->wire.flags, EB_WRITE | EB_NO_ANSWER);
	assert_int_equal(made->wire.answer_size, 0);
	request_destroy(made);
	codec_close(&codec);
	/* Over TCP unit 0 is the device at the other end. */
	open_bus(&codec, TCP);
	made = codec_request(&codec, "{\"unit\":0}", request);
	assert_int_equal(made->wire.flags, EB_WRITE);
	request_destroy(made);
	codec_close(&codec);
}

static struct request *read_of(
	struct codec *codec, const char *table, unsigned address, unsigned count)
{
	char text[120];
	snprintf(text, sizeof(text), "{\"read\":\"%s\",\"address\":%u,\"count\":%u}", table,
		address, count);
	struct request *request = codec_request(codec, "{\"unit\":17}", text);
	assert_non_null(request);
	return request;
}

/* Merges two ranges and cuts both out again; returns how many the merged request reads, or -1. */
static int merge(const char *table, const unsigned ranges[4], uint32_t hole)
{
	struct codec codec;
	uint8_t data[EB_REQUEST_MAX], content[EB_ANSWER_MAX], out[EB_ANSWER_MAX];
	bool bits = strcmp(table, "coils") == 0;
	open_bus(&codec, RTU);
	struct eb_request merged = { .data = data };
	struct request *parts[2] = { read_of(&codec, table, ranges[0], ranges[1]),
		read_of(&codec, table, ranges[2], ranges[3]) };
	int result = eb_plugin.merge(codec.state, &parts[0]->wire, &parts[1]->wire, hole, &merged);
	unsigned begin_at = result < 0 ? 0 : (unsigned)(data[1] << 8 | data[2]);
	unsigned count = result < 0 ? 0 : (unsigned)(data[3] << 8 | data[4]);
	/* A register is its address; a coil is on where its address is a multiple of 3. */
	memset(content, 0, sizeof(content));
	for (unsigned i = 0; i < count; i++) {
		unsigned address = begin_at + i;
		if (!bits) {
			content[2 * i] = (uint8_t)(address >> 8);
			content[2 * i + 1] = (uint8_t)address;
		} else if (address % 3 == 0) {
			content[i / 8] |= (uint8_t)(1u << i % 8);
		}
	}
	for (int part = 0; part < 2 && result == 0; part++) {
		unsigned from = ranges[2 * part], size = ranges[2 * part + 1];
		int cut = eb_plugin.cut(codec.state, &merged, &parts[part]->wire, content,
			merged.content_size, out);
		assert_int_equal(cut, bits ? (size + 7) / 8 : 2 * size);
		for (unsigned i = 0; i < size; i++) {
			if (bits)
				assert_int_equal(out[i / 8] >> i % 8 & 1, (from + i) % 3 == 0);
			else
				assert_int_equal(out[2 * i] << 8 | out[2 * i + 1], from + i);
		}
		if (bits && size % 8)
			assert_int_equal(out[size / 8] >> size % 8, 0);
	}
	request_destroy(parts[0]);
	request_destroy(parts[1]);
	codec_close(&codec);
	return result < 0 ? -1 : (int)count;
}

static void test_merge(void **state)
{
	assert_int_equal(merge("holding_registers", (unsigned[]){ 0, 10, 10, 5 }, 0), 15);
	assert_int_equal(merge("holding_registers", (unsigned[]){ 10, 5, 0, 10 }, 0), 15);
	assert_int_equal(merge("holding_registers", (unsigned[]){ 0, 10, 11, 5 }, 0), -1);
	assert_int_equal(merge("holding_registers", (unsigned[]){ 0, 10, 11, 5 }, 1), 16);
	assert_int_equal(merge("holding_registers", (unsigned[]){ 0, 10, 2, 3 }, 0), 10);
	assert_int_equal(merge("holding_registers", (unsigned[]){ 0, 100, 100, 25 }, 0), 125);
	assert_int_equal(merge("holding_registers", (unsigned[]){ 0, 100, 100, 26 }, 0), -1);
	assert_int_equal(merge("input_registers", (unsigned[]){ 65000, 1, 65100, 1 }, 200), 101);
	assert_int_equal(merge("coils", (unsigned[]){ 3, 13, 21, 7 }, 5), 25);
	assert_int_equal(merge("coils", (unsigned[]){ 0, 1000, 1000, 1000 }, 0), 2000);
	assert_int_equal(merge("coils", (unsigned[]){ 0, 1000, 1000, 1001 }, 0), -1);
}

static void test_merge_refused(void **state)
{
	struct codec codec;
	uint8_t data[EB_REQUEST_MAX];
	struct eb_request merged = { .data = data };
	open_bus(&codec, RTU);
	struct request *registers = read_of(&codec, "holding_registers", 0, 4);
	struct request *inputs = read_of(&codec, "input_registers", 4, 4);
	struct request *other = codec_request(&codec, "{\"unit\":18}",
		"{\"read\":\"holding_registers\",\"address\":4,\"count\":4}");
	struct request *write = codec_request(&codec, "{\"unit\":17}",
		"{\"write\":\"holding_registers\",\"address\":4,\"values\":[1]}");
	struct request *const apart[] = { inputs, other, write };
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(eb_plugin.merge(codec.state, &registers->wire, &apart[i]->wire,
					 100, &merged),
			-ENOENT);
	assert_int_equal(
		eb_plugin.merge(codec.state, &write->wire, &write->wire, 100, &merged), -ENOENT);
	uint8_t out[EB_ANSWER_MAX];
	assert_true(eb_plugin.cut(codec.state, &registers->wire, &inputs->wire, data, 8, out) < 0);
	assert_true(
		eb_plugin.cut(codec.state, &registers->wire, &registers->wire, data, 7, out) < 0);
	request_destroy(registers);
	for (size_t i = 0; i < 3; i++)
		request_destroy(apart[i]);
	codec_close(&codec);
}

static void test_describe(void **state)
{
	static const struct {
		const char *request, *text;
	} cases[] = {
		{ "{\"read\":\"coils\",\"address\":19,\"count\":19}",
			"unit 17: read coils 19 to 37" },
		{ "{\"read\":\"discrete_inputs\",\"address\":196,\"count\":22}",
			"unit 17: read discrete inputs 196 to 217" },
		{ "{\"read\":\"holding_registers\",\"address\":65535}",
			"unit 17: read holding register 65535" },
		{ "{\"read\":\"input_registers\",\"address\":8}",
			"unit 17: read input register 8" },
		{ "{\"write\":\"coils\",\"address\":172,\"values\":[true]}",
			"unit 17: write coil 172 = 1" },
		{ "{\"write\":\"holding_registers\",\"address\":1,\"values\":[3]}",
			"unit 17: write holding register 1 = 3" },
		{ "{\"write\":\"coils\",\"address\":19,\"values\":[1,0]}",
			"unit 17: write coils 19 to 20" },
		{ "{\"write\":\"holding_registers\",\"address\":1,\"values\":[10,258]}",
			"unit 17: write holding registers 1 to 2" },
		{ "{\"write\":\"holding_registers\",\"address\":4,\"and_mask\":242,\"or_mask\":37}",
			"unit 17: write holding register 4 and 0x00f2 or 0x0025" },
		{ "{\"write\":\"holding_registers\",\"address\":14,\"values\":[1,2,3],"
		  "\"read\":\"holding_registers\",\"read_address\":3,\"count\":6}",
			"unit 17: write holding registers 14 to 16, read holding registers 3 to 8" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct codec codec;
		char text[24];
		open_bus(&codec, RTU);
		struct request *request = codec_request(&codec, "{\"unit\":17}", cases[i].request);
		assert_string_equal(request->text, cases[i].text);
		eb_plugin.describe(codec.state, &request->wire, text, sizeof(text));
		assert_memory_equal(text, cases[i].text, sizeof(text) - 1);
		assert_int_equal(text[sizeof(text) - 1], 0);
		request_destroy(request);
		codec_close(&codec);
	}
}

/* What a write changes, in words, and the PDU that reads it again; "": nothing can. */
static void put_target(const struct codec *codec, const struct request *request, char *text)
{
	int64_t numbers[EB_NUMBERS_MAX];
	struct eb_target target = { .numbers = numbers };
	text[0] = 0;
	if (eb_plugin.target(codec->state, &request->wire, &target) < 0)
		return;
	int size = sprintf(
		text, "%s %llu %u:", target.kind, (unsigned long long)target.first, target.count);
	for (uint32_t i = 0; i < target.number_count; i++)
		size += sprintf(text + size, " %lld", (long long)numbers[i]);
}

static void test_targets(void **state)
{
	static const struct {
		const char *request, *target, *read;
		size_t read_size;
	} cases[] = {
		{ "{\"write\":\"holding_registers\",\"address\":300,\"values\":[-1]}",
			"holding_registers 300 1: 65535", "\x03\x01\x2c\x00\x01", 5 },
		{ "{\"write\":\"holding_registers\",\"address\":1,\"values\":[10,258]}",
			"holding_registers 1 2: 10 258", "\x03\x00\x01\x00\x02", 5 },
		{ "{\"write\":\"holding_registers\",\"address\":1,\"bytes\":\"4142\"}",
			"holding_registers 1 1: 16706", "\x03\x00\x01\x00\x01", 5 },
		{ "{\"write\":\"coils\",\"address\":172,\"values\":[true]}", "coils 172 1: 1",
			"\x01\x00\xac\x00\x01", 5 },
		{ "{\"write\":\"coils\",\"address\":19,\"values\":[1,0,0,0,0,0,0,0,0,1]}",
			"coils 19 10: 1 0 0 0 0 0 0 0 0 1", "\x01\x00\x13\x00\x0a", 5 },
		{ "{\"write\":\"holding_registers\",\"address\":14,\"values\":[1,2,3],"
		  "\"read\":\"holding_registers\",\"read_address\":3,\"count\":6}",
			"holding_registers 14 3: 1 2 3", "\x03\x00\x0e\x00\x03", 5 },
		{ "{\"write\":\"holding_registers\",\"address\":4,\"and_mask\":242,\"or_mask\":37}",
			"holding_registers 4 1:", "\x03\x00\x04\x00\x01", 5 },
		{ "{\"read\":\"holding_registers\",\"address\":4}", "", "", 0 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct codec codec;
		char text[200];
		uint8_t data[EB_REQUEST_MAX] = { 0 };
		struct eb_request read = { .data = data };
		open_bus(&codec, RTU);
		struct request *request = codec_request(&codec, "{\"unit\":17}", cases[i].request);
		put_target(&codec, request, text);
		assert_string_equal(text, cases[i].target);
		int result = eb_plugin.read_back(codec.state, &request->wire, &read);
		assert_int_equal(result < 0 ? 0 : read.data_size, cases[i].read_size);
		assert_memory_equal(read.data, cases[i].read, cases[i].read_size);
		request_destroy(request);
		codec_close(&codec);
	}
}

static void test_numbers(void **state)
{
	struct codec codec;
	int64_t numbers[EB_NUMBERS_MAX];
	uint8_t registers[] = { 3, 0, 1, 0, 2 }, bits[] = { 1, 0, 1, 0, 10 };
	const struct eb_request words = { .data = registers, .data_size = 5 };
	const struct eb_request coils = { .data = bits, .data_size = 5 };
	open_bus(&codec, RTU);
	assert_int_equal(
		eb_plugin.numbers(codec.state, &words, (const uint8_t *)"\1\2\xff\xfe", 4, numbers),
		2);
	assert_int_equal(numbers[0], 0x102);
	assert_int_equal(numbers[1], 0xfffe);
	assert_int_equal(
		eb_plugin.numbers(codec.state, &coils, (const uint8_t *)"\1\2", 2, numbers), 10);
	assert_int_equal(numbers[0], 1);
	assert_int_equal(numbers[9], 1);
	assert_int_equal(numbers[8], 0);
	/* Contents of another size are no answer to it. */
	assert_true(
		eb_plugin.numbers(codec.state, &words, (const uint8_t *)"\1\2\3", 3, numbers) < 0);
	assert_true(eb_plugin.numbers(codec.state, &coils, (const uint8_t *)"\1", 1, numbers) < 0);
	codec_close(&codec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timing),
		cmocka_unit_test(test_refused_buses),
		cmocka_unit_test(test_refused_requests),
		cmocka_unit_test(test_write_limits),
		cmocka_unit_test(test_write_forms),
		cmocka_unit_test(test_broadcast),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_merge_refused),
		cmocka_unit_test(test_describe),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
