/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of the spool's database, and how they came to be what they are. */
#ifndef EB_CLOUD_SCHEMA_H
#define EB_CLOUD_SCHEMA_H

#include "cloud/database.h"

/*
 * Brings the tables to the version of this program.  0; -EBADMSG where the file is of a later one, or its
 * tables are not where ours are; or another error of the database's.
 */
int schema_bring(struct database *database);

#endif
