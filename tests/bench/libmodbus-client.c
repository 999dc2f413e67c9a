/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blocking libmodbus master, as many a gateway has it: asks device after device for some holding
 * registers, round after round, and says how often it succeeded.
 *
 *	libmodbus-client serial PATH BAUD UNITS REGISTERS TIMEOUT_MS SECONDS
 *	libmodbus-client tcp PORT DEVICES REGISTERS PERIOD TIMEOUT_MS SECONDS
 *
 * Over TCP each device is unit 1 behind a connection of its own; a round begins every PERIOD seconds, or
 * with 0 behind the one before.
 */
#include <errno.h>
#include <modbus.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct master {
	modbus_t **links; /* one for each device over TCP, else one for all */
	int devices, registers;
	bool tcp;
	double period, seconds;
	unsigned long good, bad, wrong;
};

static double read_clock(clockid_t which)
{
	struct timespec time;
	clock_gettime(which, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

static void set_up(modbus_t *link, const char *where, uint32_t timeout_ms)
{
	if (!link || modbus_connect(link) < 0) {
		fprintf(stderr, "%s: %s\n", where, modbus_strerror(errno));
		exit(1);
	}
	modbus_set_response_timeout(link, timeout_ms / 1000, timeout_ms % 1000 * 1000);
}

static void ask(struct master *master, int device)
{
	uint16_t values[MODBUS_MAX_READ_REGISTERS];
	modbus_t *link = master->links[master->tcp ? device : 0];
	int unit = master->tcp ? 1 : device + 1;
	modbus_set_slave(link, unit);
	if (modbus_read_registers(link, 0, master->registers, values) == master->registers) {
		master->good++;
		master->wrong += values[0] >> 8 != unit;
	} else {
		master->bad++;
	}
}

static void wait_until(double when)
{
	double left = when - now();
	struct timespec time = { .tv_sec = (time_t)left };
	time.tv_nsec = (long)((left - (double)time.tv_sec) * 1e9);
	if (left > 0)
		nanosleep(&time, NULL);
}

static void run(struct master *master)
{
	double start = now(), end = start, cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID);
	for (double round = start; end - start < master->seconds; round += master->period) {
		wait_until(round);
		for (int i = 0; i < master->devices && end - start < master->seconds; i++) {
			ask(master, i);
			end = now();
		}
	}
	cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	printf("{\"good\":%lu,\"failed\":%lu,\"wrong\":%lu,\"seconds\":%.3f,\"cpu\":%.6f}\n",
		master->good, master->bad, master->wrong, end - start, cpu);
}

int main(int argc, char **argv)
{
	struct master master = { .tcp = argc == 8 && strcmp(argv[1], "tcp") == 0 };
	if (argc != 8 || (!master.tcp && strcmp(argv[1], "serial") != 0)) {
		fprintf(stderr,
			"usage: libmodbus-client serial PATH BAUD UNITS REGISTERS TIMEOUT_MS SECONDS\n"
			"       libmodbus-client tcp PORT DEVICES REGISTERS PERIOD TIMEOUT_MS "
			"SECONDS\n");
		return 64;
	}
	master.devices = atoi(argv[master.tcp ? 3 : 4]);
	master.registers = atoi(argv[master.tcp ? 4 : 5]);
	master.period = master.tcp ? atof(argv[5]) : 0;
	master.seconds = atof(argv[7]);
	uint32_t timeout_ms = (uint32_t)atoi(argv[6]);
	int links = master.tcp ? master.devices : 1;
	master.links = calloc((size_t)links, sizeof(*master.links));
	for (int i = 0; i < links; i++) {
		master.links[i] = master.tcp ? modbus_new_tcp("127.0.0.1", atoi(argv[2]))
					     : modbus_new_rtu(argv[2], atoi(argv[3]), 'N', 8, 1);
		set_up(master.links[i], argv[2], timeout_ms);
	}
	run(&master);
	for (int i = 0; i < links; i++) {
		modbus_close(master.links[i]);
		modbus_free(master.links[i]);
	}
	free(master.links);
	return 0;
}
