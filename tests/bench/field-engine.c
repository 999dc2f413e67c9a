/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one transaction costs the engine, without the kernel: buses on links that answer at once, under a
 * clock moved by hand.  "field-engine share" tells instead, in that same exact time, what share of what
 * a paced line can carry is used, with all of ten units well and with one dead.  Prints figures and judges
 * none; run it by hand, on a build without sanitizers.
 */
#include "../unit/field-rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t cpu_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void run(const char *what, const struct rig_setup *setup, double period)
{
	struct rig *rig = rig_create(setup);
	rig_poll_all(rig, &(struct rig_poll){ .count = 10, .period = period });
	rig_run(rig, 5 * USEC_PER_SEC);
	uint32_t before = rig->bus->stats.answers;
	int64_t begun_ns = cpu_ns();
	while (rig->bus->stats.answers - before < 200000)
		rig_run(rig, 100 * USEC_PER_SEC);
	int64_t spent_ns = cpu_ns() - begun_ns;
	uint32_t answers = rig->bus->stats.answers - before;
	printf("%s: %u transactions, %.0f ns each, with the simulated units and the loop\n", what,
		answers, (double)spent_ns / answers);
	rig_destroy(rig);
}

/* The readings of so many seconds as a share of 1 / (characters of request and answer + 2 t3.5). */
static double share_of(struct rig *rig, uint32_t registers, int64_t seconds)
{
	uint32_t before = rig->readings;
	rig_run(rig, seconds * USEC_PER_SEC);
	int64_t least_us = (13 + 2 * registers) * rig_char_us(rig) + 2 * rig->bus->gap_us;
	return (double)(rig->readings - before) * (double)least_us / (double)seconds / 1e6;
}

static void print_share(uint32_t baud, uint16_t registers)
{
	struct rig *rig = rig_create(&(struct rig_setup){
		.devices = 10, .baud = baud, .paced = true, .echo = ANSWER_AUTO });
	rig_poll_all(rig, &(struct rig_poll){ .count = registers });
	rig_run(rig, 10 * USEC_PER_SEC);
	double healthy = share_of(rig, registers, 60);
	rig->units[4].dead = true;
	rig_run(rig, 10 * USEC_PER_SEC);
	double then = share_of(rig, registers, 20);
	double later = share_of(rig, registers, 600);
	printf("{\"baud\":%u,\"registers\":%u,\"healthy\":%.4f,\"dead\":%.4f,\"dead_long\":%.4f,"
	       "\"violations\":%d}\n",
		baud, registers, healthy, then, later, rig->least_gap_us < rig->bus->gap_us);
	rig_destroy(rig);
}

static void print_shares(void)
{
	static const uint32_t bauds[] = { 9600, 19200, 115200 };
	static const uint16_t registers[] = { 1, 10, 125 };
	for (size_t b = 0; b < 3; b++) {
		for (size_t r = 0; r < 3; r++)
			print_share(bauds[b], registers[r]);
	}
}

int main(int count, char **words)
{
	if (count == 2 && strcmp(words[1], "share") == 0) {
		print_shares();
		return 0;
	}
	run("1 unit, RTU 9600",
		&(struct rig_setup){
			.devices = 1, .baud = 9600, .paced = true, .echo = ANSWER_AUTO },
		0);
	run("10 units, RTU 9600",
		&(struct rig_setup){
			.devices = 10, .baud = 9600, .paced = true, .echo = ANSWER_AUTO },
		0);
	run("200 units, RTU 115200",
		&(struct rig_setup){
			.devices = 200, .baud = 115200, .paced = true, .echo = ANSWER_AUTO },
		0);
	run("1 unit, TCP, every second", &(struct rig_setup){ .devices = 1, .in_flight = 1 }, 1);
	return 0;
}
