/* SPDX-License-Identifier: Apache-2.0 */
#include "signature.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"

struct opener {
	EVP_CIPHER_CTX *context;
	bool ecb;
	uint8_t iv[SIGNATURE_KEY_SIZE];
};

/* OpenSSL fails here only where memory or its own installation does. */
static void require(bool done, const char *what)
{
	if (done)
		return;
	fprintf(stderr, "openssl: %s failed: check its installation\n", what);
	abort();
}

void signature_key(uint8_t key[SIGNATURE_KEY_SIZE], const char *secret)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	require(EVP_Digest(secret, strlen(secret), digest, NULL, EVP_sha256(), NULL), "SHA-256");
	memcpy(key, digest + 8, SIGNATURE_KEY_SIZE);
}

void auth_sign(char sign[AUTH_SIGN_SIZE + 1], const char *product, const char *device,
	int64_t lifetime, const char *secret)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	OWNED char *text = must_printf("deviceKey%slifetime%lldproductKey%ssecureMode2%s", device,
		(long long)lifetime, product, secret);
	require(EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL), "SHA-256");
	for (int i = 0; i < AUTH_SIGN_SIZE / 2; i++)
		snprintf(sign + (size_t)2 * (size_t)i, 3, "%02X", digest[i]);
}

struct opener *opener_create(bool ecb, const uint8_t iv[SIGNATURE_KEY_SIZE])
{
	struct opener *opener = must_alloc(sizeof(*opener));
	opener->ecb = ecb;
	memcpy(opener->iv, iv, sizeof(opener->iv));
	opener->context = EVP_CIPHER_CTX_new();
	require(opener->context &&
			EVP_DecryptInit_ex(opener->context,
				ecb ? EVP_aes_128_ecb() : EVP_aes_128_cbc(), NULL, NULL, NULL),
		"AES-128");
	return opener;
}

void opener_destroy(struct opener *opener)
{
	if (!opener)
		return;
	EVP_CIPHER_CTX_free(opener->context);
	free(opener);
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

ssize_t opener_open(struct opener *opener, const uint8_t key[SIGNATURE_KEY_SIZE], const void *hex,
	size_t size, char *text)
{
	uint8_t sealed[SIGNATURE_HEX_MAX / 2];
	const char *digits = hex;
	if (size == 0 || size > SIGNATURE_HEX_MAX || size % 32)
		return -EINVAL;
	for (size_t i = 0; i < size / 2; i++) {
		int high = digit(digits[2 * i]), low = digit(digits[2 * i + 1]);
		if (high < 0 || low < 0)
			return -EINVAL;
		sealed[i] = (uint8_t)(high << 4 | low);
	}
	int begun = 0, rest = 0;
	require(EVP_DecryptInit_ex(
			opener->context, NULL, NULL, key, opener->ecb ? NULL : opener->iv),
		"AES-128");
	if (!EVP_DecryptUpdate(opener->context, (uint8_t *)text, &begun, sealed, (int)(size / 2)) ||
		!EVP_DecryptFinal_ex(opener->context, (uint8_t *)text + begun, &rest))
		return -EBADMSG;
	text[begun + rest] = 0;
	return begun + rest;
}

void random_hex(char *text, size_t size)
{
	uint8_t bytes[64];
	require(size <= sizeof(bytes) && RAND_bytes(bytes, (int)size), "random bytes");
	for (size_t i = 0; i < size; i++)
		text[i] = "0123456789abcdef"[bytes[i] & 15];
	text[size] = 0;
}
