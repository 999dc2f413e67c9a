/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one transaction costs the engine, without the kernel: buses on links that answer at once, under a
 * clock moved by hand.  Prints figures and judges none; run it by hand, on a build without sanitizers.
 */
#include "../unit/field-rig.h"

#include <stdio.h>
#include <stdlib.h>
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

int main(void)
{
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
