/* SPDX-License-Identifier: Apache-2.0 */
#include "script-fixture.h"

static void test_points(void **state)
{
	fixture_check("return { decode = function(r, d)\n"
		      "local v, a = string.unpack('>I2I2', r.bytes)\n"
		      "return { points = { voltage = v / 10, current = a, ok = true, text = 'x',\n"
		      "list = { 1, 2.5 }, q = { value = 3, quality = 9 } } } end }",
		"points {\"current\":32,\"list\":[1,2.5],\"ok\":true,\"q\":{\"quality\":9,\"value\":3},"
		"\"text\":\"x\",\"voltage\":1.6}",
		NULL);
}

static void test_what_decode_gets(void **state)
{
	fixture_check("return { decode = function(r, d) return { points = { poll = r.poll,\n"
		      "size = #r.bytes, time = r.time, name = d.name, ct = d.parameters.ct_ratio,\n"
		      "n = #d.parameters.limits, x = d.parameters.limits[3].x } } end }",
		"points {\"ct\":40,\"n\":3,\"name\":\"meter-1\",\"poll\":\"live\",\"size\":4,"
		"\"time\":1700000000123,\"x\":3}",
		NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_points),
		cmocka_unit_test(test_what_decode_gets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
