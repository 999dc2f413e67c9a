/* SPDX-License-Identifier: Apache-2.0 */
/* What EnOS wants signed: the request for a token, and each request under one. */
#ifndef EB_CLOUD_CRYPTO_H
#define EB_CLOUD_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

#define CRYPTO_KEY_SIZE 16
/* The longest token that is signed, and the room that a signature of it takes with its NUL. */
#define CRYPTO_TOKEN_MAX 512
#define CRYPTO_SIGNATURE_ROOM (2 * (CRYPTO_TOKEN_MAX + 64) + 1)

enum crypto_cipher { CRYPTO_AES_128_CBC, CRYPTO_AES_128_ECB, CRYPTO_CIPHERS };

/* Holds the ciphers, fetched once, and is used for all devices.  One thread. */
struct crypto;

/* 0, or -ENOTSUP where the library has no such cipher. */
int crypto_create(struct crypto **crypto);
void crypto_destroy(struct crypto *crypto);

/* "sign" of POST /auth/{pk}/{dk}: 64 upper-case digits and a NUL. */
void crypto_auth_sign(char sign[65], const char *product_key, const char *device_key,
	uint32_t lifetime_s, const char *secret);
/* Bytes 9 to 24 of the secret's SHA-256: the key of signatures, and of DTLS. */
void crypto_key(uint8_t key[CRYPTO_KEY_SIZE], const char *secret);
/*
 * Option 2101 of message n under the token: upper-case digits and a NUL.  Returns the count of
 * digits, or -EMSGSIZE for a token longer than CRYPTO_TOKEN_MAX.
 */
int crypto_sign(struct crypto *crypto, enum crypto_cipher cipher, const uint8_t iv[16],
	const uint8_t key[CRYPTO_KEY_SIZE], const char *token, uint64_t n,
	char signature[CRYPTO_SIGNATURE_ROOM]);

/* SHA-256 of the bytes: 64 upper-case digits and a NUL. */
void crypto_sum(char sum[65], const void *bytes, size_t size);

/* Bytes that nobody can guess. */
void crypto_random(void *bytes, size_t size);
/* An even choice below the limit, which is not 0. */
uint32_t crypto_random_below(uint32_t limit);

#endif
