/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tool/script.h"
#include "util/alloc.h"
#include "util/buffer.h"

/* A device that can be tried as it is: one register to read, one to write. */
static const char script_text[] =
	"-- Maker:   who makes it\n"
	"-- Models:  which models this is for\n"
	"-- Wire:    Modbus RTU, 9600 baud, 8N1, unit 1\n"
	"-- Source:  the document with its registers, and the chapter\n"
	"-- Lacks:   what it can do that is not here\n"
	"\n"
	"local LIVE = 0x0000 -- first register of the block, counted from 0\n"
	"local SETPOINT = 0x0010\n"
	"\n"
	"return {\n"
	"\tparameters = {\n"
	"\t\tperiod = { type = \"number\", default = 10, min = 0, max = 86400, help = \"seconds\" },\n"
	"\t},\n"
	"\n"
	"\tpolls = function(device)\n"
	"\t\treturn {\n"
	"\t\t\t{\n"
	"\t\t\t\tname = \"live\",\n"
	"\t\t\t\tperiod = device.parameters.period,\n"
	"\t\t\t\tread = \"holding_registers\",\n"
	"\t\t\t\taddress = LIVE,\n"
	"\t\t\t\tcount = 2,\n"
	"\t\t\t},\n"
	"\t\t}\n"
	"\tend,\n"
	"\n"
	"\tdecode = function(reading)\n"
	"\t\tlocal regs = registers(reading.bytes, LIVE)\n"
	"\t\treturn {\n"
	"\t\t\tpoints = {\n"
	"\t\t\t\ttemperature = regs:s16(0x0000) / 10, -- degrees Celsius\n"
	"\t\t\t\thumidity = regs:u16(0x0001) / 10, -- %\n"
	"\t\t\t},\n"
	"\t\t}\n"
	"\tend,\n"
	"\n"
	"\tencode = function(command)\n"
	"\t\tlocal value = command.params and command.params.setpoint\n"
	"\t\tif type(value) ~= \"number\" or value < 5 or value > 30 then\n"
	"\t\t\treturn nil, \"setpoint is a number from 5 to 30\"\n"
	"\t\tend\n"
	"\t\treturn {\n"
	"\t\t\t{ write = \"holding_registers\", address = SETPOINT, values = { round(value * 10) } },\n"
	"\t\t}\n"
	"\tend,\n"
	"}\n";

static const char test_text[] =
	"# What the script shall make of what the device says: enos-bridge script test FILE\n"
	"plugin = \"modbus\";\n"
	"device = { unit = 1; };\n"
	"cases = (\n"
	"  { name = \"a reading\"; source = \"by hand from the register table\";\n"
	"    poll = \"live\";\n"
	"    hex = \"00eb\"  # 0x0000 temperature 23.5\n"
	"          \"01c2\"; # 0x0001 humidity 45\n"
	"    expect = \"{'points': {'temperature': 23.5, 'humidity': 45}}\"; },\n"
	"  { name = \"below zero\"; source = \"by hand: 0xfff6 is -10\";\n"
	"    poll = \"live\"; hex = \"fff6 0000\";\n"
	"    expect = \"{'points': {'temperature': -1, 'humidity': 0}}\"; },\n"
	"  { name = \"a setpoint\"; source = \"by hand: 21.5 is 215, 0x00d7\";\n"
	"    command = \"{'id': '1', 'method': 'thing.service.measurepoint.set',\"\n"
	"              \" 'params': {'setpoint': 21.5}}\";\n"
	"    requests = \"[{'write': 'holding_registers', 'address': 16, 'values': [215]}]\";\n"
	"    frames = ( \"01 06 0010 00d7 c851\" ); },\n"
	"  { name = \"a setpoint that it cannot have\";\n"
	"    command = \"{'id': '2', 'method': 'thing.service.measurepoint.set',\"\n"
	"              \" 'params': {'setpoint': 99}}\";\n"
	"    refused = \"from 5 to 30\"; }\n"
	");\n";

/* Never over a file that is there. */
static int write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "wx");
	bool written = file && fputs(text, file) >= 0;
	if (file && fclose(file) != 0)
		written = false;
	if (!written) {
		fprintf(stderr, "enos-bridge: %s cannot be written: %s\n", path, strerror(errno));
		return SCRIPT_FAILED;
	}
	printf("%s\n", path);
	return 0;
}

int script_new(int argc, char **argv)
{
	if (argc != 2 || !*argv[1] || argv[1][0] == '-') {
		fputs("enos-bridge: script new needs a NAME: NAME.lua and NAME.test are written\n",
			stderr);
		return SCRIPT_USAGE;
	}
	size_t size = strlen(argv[1]);
	if (size > 4 && strcmp(argv[1] + size - 4, ".lua") == 0)
		size -= 4;
	char *script OWNED = must_printf("%.*s.lua", (int)size, argv[1]);
	char *test OWNED = must_printf("%.*s.test", (int)size, argv[1]);
	int status = write_file(script, script_text);
	return status ? status : write_file(test, test_text);
}
