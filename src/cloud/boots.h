/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the machine was booted, for the rows that were read while its clock was not set: what is on the
 * disk is corrected as it is read, by the one number that is kept of each boot.
 */
#ifndef EB_CLOUD_BOOTS_H
#define EB_CLOUD_BOOTS_H

#include "cloud/database.h"
#include "core/message.h"

#define BOOTS_TABLE \
	"CREATE TABLE boots(number INTEGER PRIMARY KEY, boot INTEGER NOT NULL UNIQUE, wall INTEGER NOT NULL)"
/* So many are known, the newest. */
#define BOOTS_MAX 64

struct boot {
	uint64_t boot; /* clock_boot_id() */
	int64_t wall_ms; /* of its beginning */
};

struct boots {
	uint64_t present;
	struct boot known[BOOTS_MAX]; /* in the order in which their clocks were set */
	size_t count;
};

/* Reads what is kept; 0 or an error of the database's. */
int boots_load(struct boots *boots, struct database *database);
/* The present boot began then. */
int boots_keep(struct boots *boots, struct database *database, int64_t wall_ms);
/* Writes all that is known, into a new file. */
int boots_keep_all(struct boots *boots, struct database *database);
/*
 * Corrects the stamp of a row that was read with a clock that was not set, where its boot's was later.  Else
 * boot says whether it may still be: 0 where it is the present one.  Returns whether the wall time is right.
 */
bool boots_correct(const struct boots *boots, struct stamp *stamp);

#endif
