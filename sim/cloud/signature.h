/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys and signatures of plain CoAP, seen from the cloud: it opens what devices sealed.  With
 * tunnel.c the only file here that calls OpenSSL, and it shares nothing with the bridge's signing.
 */
#ifndef SIM_CLOUD_SIGNATURE_H
#define SIM_CLOUD_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SIGNATURE_KEY_SIZE 16
#define SIGNATURE_HEX_MAX 512
#define AUTH_SIGN_SIZE 64

/* Bytes 9 to 24 of SHA-256 of the secret, counted from 1. */
void signature_key(uint8_t key[SIGNATURE_KEY_SIZE], const char *secret);

/* What an authentication has to carry as its sign, NUL behind it. */
void auth_sign(char sign[AUTH_SIGN_SIZE + 1], const char *product, const char *device,
	int64_t lifetime, const char *secret);

struct opener;
/* iv is taken for CBC and not looked at for ECB. */
struct opener *opener_create(bool ecb, const uint8_t iv[SIGNATURE_KEY_SIZE]);
void opener_destroy(struct opener *opener);
/*
 * Opens option 2101 into text (SIGNATURE_HEX_MAX bytes, a NUL put behind).  Returns the length of
 * the text, -EINVAL where it is no upper-case hex of whole blocks, or -EBADMSG where it does not decrypt.
 */
ssize_t opener_open(struct opener *opener, const uint8_t key[SIGNATURE_KEY_SIZE], const void *hex,
	size_t size, char *text);

/* Random hex digits, size of them and a NUL. */
void random_hex(char *text, size_t size);

#endif
