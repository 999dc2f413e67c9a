/* SPDX-License-Identifier: Apache-2.0 */
/* Block-wise transfer (RFC 7959): requests put together, answers given in parts. */
#ifndef SIM_CLOUD_BLOCK_H
#define SIM_CLOUD_BLOCK_H

#include "sim.h"

/* The longest payload that is put together. */
#define BLOCKS_MAX 65536

/*
 * A request of an admitted device: true where it is to be served now, its payload whole; else it was a
 * block of one, or asked for one, and is answered.
 */
bool block_take(struct call *call, struct packet *packet);
/* After the request was served: leaves the first block in an answer that is too long. */
void block_answer(struct call *call);

#endif
