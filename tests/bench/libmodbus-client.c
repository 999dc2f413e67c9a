/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blocking libmodbus master, as many a gateway has it: asks unit after unit for some holding
 * registers, over and over, and says how often it succeeded.
 */
#include <errno.h>
#include <modbus.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	if (argc != 7) {
		fprintf(stderr,
			"usage: libmodbus-client PATH BAUD UNITS REGISTERS TIMEOUT_MS SECONDS\n");
		return 64;
	}
	int baud = atoi(argv[2]), units = atoi(argv[3]), registers = atoi(argv[4]);
	uint32_t timeout_ms = (uint32_t)atoi(argv[5]);
	double seconds = atof(argv[6]);
	modbus_t *bus = modbus_new_rtu(argv[1], baud, 'N', 8, 1);
	if (!bus || modbus_connect(bus) < 0) {
		fprintf(stderr, "%s: %s\n", argv[1], modbus_strerror(errno));
		return 1;
	}
	modbus_set_response_timeout(bus, timeout_ms / 1000, timeout_ms % 1000 * 1000);
	unsigned long good = 0, bad = 0, wrong = 0;
	double start = now(), end = start;
	for (int unit = 1; end - start < seconds; unit = unit % units + 1) {
		uint16_t values[MODBUS_MAX_READ_REGISTERS];
		modbus_set_slave(bus, unit);
		if (modbus_read_registers(bus, 0, registers, values) == registers) {
			good++;
			wrong += values[0] >> 8 != unit;
		} else {
			bad++;
		}
		end = now();
	}
	printf("{\"good\":%lu,\"failed\":%lu,\"wrong\":%lu,\"seconds\":%.3f}\n", good, bad, wrong,
		end - start);
	modbus_close(bus);
	modbus_free(bus);
	return 0;
}
