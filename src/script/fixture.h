/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fixtures: what a script shall make of given bytes and commands, in a file NAME.test beside NAME.lua.
 * docs/scripts.md describes the file.  Running them needs no daemon, no device and no time.
 */
#ifndef EB_SCRIPT_FIXTURE_H
#define EB_SCRIPT_FIXTURE_H

#include "core/conf.h"
#include "core/conf_file.h"
#include "core/problem.h"
#include "script/script.h"

/* The texts of a step, by their number. */
enum fixture_text {
	FIXTURE_POLL, /* a reading: of this poll, */
	FIXTURE_HEX, /* these bytes, or */
	FIXTURE_FRAME, /* what this frame on the wire carries; */
	FIXTURE_EXPECT, /* JSON that it gives */
	FIXTURE_COMMAND, /* a command: its JSON payload, or */
	FIXTURE_DOWN_RAW, /* its bytes; */
	FIXTURE_TOPIC,
	FIXTURE_REQUESTS, /* JSON that it gives, or */
	FIXTURE_REFUSED, /* why it is refused */
	FIXTURE_REPLY, /* JSON: the script's reply to the answers */
	FIXTURE_POLLS, /* JSON of what the script polls, or finds with the answers to discover */
	FIXTURE_SETUP, /* JSON of what goes before the polls */
	FIXTURE_HEALTH, /* a change of health to this; what it gives stands in expect */
	FIXTURE_WARNINGS, /* JSON of what is warned of beside expect */
	FIXTURE_ERROR, /* of any of them: text that the script's error has */
	FIXTURE_TEXTS
};

struct fixture_step {
	struct place place;
	const char *texts[FIXTURE_TEXTS]; /* in the tree; NULL: not there */
	const struct node *frames, *answers; /* lists of texts */
	const struct node *discover; /* a discovery: what becomes of its requests; NULL: none */
};

/* One device from its first reading on: the state is kept from step to step. */
struct fixture_case {
	struct place place;
	const char *name;
	struct buffer parameters, points;
	struct fixture_step *steps;
	size_t step_count;
};

struct fixture {
	struct conf_source source;
	char *script; /* path */
	struct conf_bus bus;
	struct buffer address;
	struct place address_place;
	struct fixture_case *cases;
	size_t case_count;
	int64_t time_us; /* most of a processor that running them may take; 0: no limit */
	bool quiet; /* what the script logs meanwhile is of level debug */
};

/*
 * Reads a file; path is borrowed.  0, or -EINVAL with all that is wrong; fixture_finish() in both
 * cases.
 */
int fixture_read(struct fixture *fixture, const char *path, struct plugins *plugins,
	struct problems *problems);
void fixture_finish(struct fixture *fixture);

/*
 * Runs all cases; each difference is a problem at the line of its case or step.  Returns how many
 * cases failed, or -EINVAL where the script cannot be loaded.
 */
int fixture_run(const struct fixture *fixture, const struct conf_scripts *limits,
	struct problems *problems);

/* Appends what a reading gave as a value: a list of {"points": ...}, {"event": ...}, ... */
void fixture_put_reports(struct buffer *value, const struct reports *reports);

#endif
