/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets that devices were activated with: what the cloud answers, and the files that keep them, one
 * for each device, which nobody else can read.
 */
#ifndef EB_CLOUD_ACTIVATION_H
#define EB_CLOUD_ACTIVATION_H

#include "util/buffer.h"

/* Within the state directory. */
#define ACTIVATION_FOLDER "activated"

/*
 * A copy of the secret in the answer of thing/activate/info, where it is that device's; the caller wipes
 * and frees it.  NULL: none.  scratch is any buffer; nothing of the secret stays in it.
 */
char *activation_read(struct buffer *scratch, const void *payload, size_t size,
	const char *product_key, const char *device_key);

/*
 * The secret that is kept for the device; the caller wipes and frees it.  0; -ENOENT: none;
 * -EBADMSG: the file is damaged, and stands aside under another name now; or -errno.
 */
int activation_load(
	const char *state_dir, const char *product_key, const char *device_key, char **secret);
/* Keeps it: on the disk when this returns 0, and the one before until then.  Or -errno. */
int activation_store(
	const char *state_dir, const char *product_key, const char *device_key, const char *secret);

#endif
