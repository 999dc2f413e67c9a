/* SPDX-License-Identifier: Apache-2.0 */
#include "cloud/crypto.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "util/alloc.h"
#include "util/buffer.h"
#include "util/hex.h"
#include "util/log.h"

/*
 * A context per cipher that only changes its key from message to message: 0.13 us, against 0.21
 * where the cipher is set anew, and 0.09 with a context, and so 700 bytes, for each device.
 */
struct crypto {
	EVP_CIPHER_CTX *contexts[CRYPTO_CIPHERS];
};

static EVP_CIPHER_CTX *make_context(const char *name)
{
	static const uint8_t nothing[16];
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
	EVP_CIPHER_CTX *context = cipher ? EVP_CIPHER_CTX_new() : NULL;
	if (context && !EVP_EncryptInit_ex(context, cipher, NULL, nothing, nothing)) {
		EVP_CIPHER_CTX_free(context);
		context = NULL;
	}
	EVP_CIPHER_free(cipher);
	return context;
}

int crypto_create(struct crypto **result)
{
	static const char *const names[] = {
		[CRYPTO_AES_128_CBC] = "AES-128-CBC",
		[CRYPTO_AES_128_ECB] = "AES-128-ECB",
	};
	struct crypto *crypto = must_alloc(sizeof(*crypto));
	for (size_t i = 0; i < CRYPTO_CIPHERS; i++) {
		crypto->contexts[i] = make_context(names[i]);
		if (!crypto->contexts[i]) {
			crypto_destroy(crypto);
			return -ENOTSUP;
		}
	}
	*result = crypto;
	return 0;
}

void crypto_destroy(struct crypto *crypto)
{
	if (!crypto)
		return;
	for (size_t i = 0; i < CRYPTO_CIPHERS; i++)
		EVP_CIPHER_CTX_free(crypto->contexts[i]);
	free(crypto);
}

static void digest(uint8_t sum[SHA256_DIGEST_LENGTH], const void *bytes, size_t size)
{
	if (!EVP_Digest(bytes, size, sum, NULL, EVP_sha256(), NULL)) {
		log_error("cloud: SHA-256 failed: the crypto library is damaged");
		abort();
	}
}

void crypto_auth_sign(char sign[65], const char *product_key, const char *device_key,
	uint32_t lifetime_s, const char *secret)
{
	uint8_t sum[SHA256_DIGEST_LENGTH];
	struct buffer text = BUFFER_EMPTY;
	buffer_printf(&text, "deviceKey%slifetime%uproductKey%ssecureMode2%s", device_key,
		lifetime_s, product_key, secret);
	digest(sum, text.data, text.size);
	explicit_bzero(text.data, text.size);
	buffer_finish(&text);
	hex_upper(sign, sum, sizeof(sum));
}

void crypto_sum(char text[65], const void *bytes, size_t size)
{
	uint8_t sum[SHA256_DIGEST_LENGTH];
	digest(sum, bytes, size);
	hex_upper(text, sum, sizeof(sum));
	explicit_bzero(sum, sizeof(sum));
}

void crypto_key(uint8_t key[CRYPTO_KEY_SIZE], const char *secret)
{
	uint8_t sum[SHA256_DIGEST_LENGTH];
	digest(sum, secret, strlen(secret));
	memcpy(key, sum + 8, CRYPTO_KEY_SIZE);
	explicit_bzero(sum, sizeof(sum));
}

int crypto_sign(struct crypto *crypto, enum crypto_cipher cipher, const uint8_t iv[16],
	const uint8_t key[CRYPTO_KEY_SIZE], const char *token, uint64_t n,
	char signature[CRYPTO_SIGNATURE_ROOM])
{
	char plain[CRYPTO_TOKEN_MAX + 48];
	uint8_t sealed[sizeof(plain) + 16];
	size_t length = strlen(token);
	if (length > CRYPTO_TOKEN_MAX)
		return -EMSGSIZE;
	memcpy(plain, "token", 5);
	memcpy(plain + 5, token, length);
	int size = 5 + (int)length;
	size += snprintf(
		plain + size, sizeof(plain) - (size_t)size, "sequence%llu", (unsigned long long)n);
	EVP_CIPHER_CTX *context = crypto->contexts[cipher];
	int sealed_size = 0, rest = 0;
	if (!EVP_EncryptInit_ex(context, NULL, NULL, key, iv) ||
		!EVP_EncryptUpdate(context, sealed, &sealed_size, (uint8_t *)plain, size) ||
		!EVP_EncryptFinal_ex(context, sealed + sealed_size, &rest)) {
		log_error("cloud: AES-128 failed: the crypto library is damaged");
		abort();
	}
	hex_upper(signature, sealed, (size_t)(sealed_size + rest));
	return 2 * (sealed_size + rest);
}

void crypto_random(void *bytes, size_t size)
{
	static uint8_t pool[256];
	static size_t left;
	assert(size <= sizeof(pool)); /* libcoap asks for 32 at most */
	if (left < size) {
		/* Up to 256 bytes come whole, once the kernel has any at all. */
		while (getrandom(pool, sizeof(pool), 0) != (ssize_t)sizeof(pool)) {
			if (errno != EINTR) {
				log_error("cloud: the kernel gives no random numbers");
				abort();
			}
		}
		left = sizeof(pool);
	}
	left -= size;
	memcpy(bytes, pool + left, size);
}

uint32_t crypto_random_below(uint32_t limit)
{
	uint32_t number;
	crypto_random(&number, sizeof(number));
	return (uint32_t)(((uint64_t)number * limit) >> 32);
}
