/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cloud/crypto.h"
#include "util/buffer.h"
#include "util/hex.h"

#define TOKEN "4270dccfa5b341b0846434a8"

static const uint8_t zero_iv[16];

static void signs_the_login(void **state)
{
	char sign[65];
	crypto_auth_sign(sign, "pk1", "dk1", 300, "s3cret");
	assert_string_equal(
		sign, "37A632FEFDB8584E42D75216032E2A8FB3129376D01C327852A698AC630BD510");
}

static void derives_the_key(void **state)
{
	uint8_t key[CRYPTO_KEY_SIZE];
	char text[2 * CRYPTO_KEY_SIZE + 1];
	crypto_key(key, "s3cret");
	hex_upper(text, key, sizeof(key));
	assert_string_equal(text, "8D9583181AF8076655FE00756BF72859");
}

static void signs_messages(void **state)
{
	static const struct {
		enum crypto_cipher cipher;
		const char *token;
		uint64_t n;
		const char *signature;
	} vectors[] = {
		{ CRYPTO_AES_128_CBC, TOKEN, 1,
			"F0DB7EEAE0FECEB19E79C3B83486DAE4F97BD5107CDAA81EDA538AFA7C69431A"
			"0944E79B58BCBD961245FCBA9654ED5E" },
		{ CRYPTO_AES_128_CBC, TOKEN, 4294967296,
			"F0DB7EEAE0FECEB19E79C3B83486DAE4F97BD5107CDAA81EDA538AFA7C69431A"
			"53DC8F90A3AA4696E659FA7F124925B0" },
		{ CRYPTO_AES_128_ECB, TOKEN, 1,
			"F0DB7EEAE0FECEB19E79C3B83486DAE427E7CAFA70344870868B072AD3552B0D"
			"C2DC34BB8F63E8906B883EFC824588CC" },
		{ CRYPTO_AES_128_CBC, "AB", 1,
			"B51685F33E4F02CF51C170CE607A5AFC3944412A503083019AEB2B06B8F04C7E" },
	};
	struct crypto *crypto;
	uint8_t key[CRYPTO_KEY_SIZE];
	char signature[CRYPTO_SIGNATURE_ROOM];
	assert_int_equal(crypto_create(&crypto), 0);
	crypto_key(key, "s3cret");
	/* Twice, and in turn: nothing of a message stays behind in the shared contexts. */
	for (size_t i = 0; i < 2 * sizeof(vectors) / sizeof(*vectors); i++) {
		size_t v = i % (sizeof(vectors) / sizeof(*vectors));
		int size = crypto_sign(crypto, vectors[v].cipher, zero_iv, key, vectors[v].token,
			vectors[v].n, signature);
		assert_string_equal(signature, vectors[v].signature);
		assert_int_equal(size, strlen(signature));
	}
	crypto_destroy(crypto);
}

static void takes_long_tokens_up_to_a_limit(void **state)
{
	struct crypto *crypto;
	uint8_t key[CRYPTO_KEY_SIZE] = { 1 };
	char signature[CRYPTO_SIGNATURE_ROOM], token[CRYPTO_TOKEN_MAX + 2];
	memset(token, 'x', sizeof(token));
	token[CRYPTO_TOKEN_MAX + 1] = 0;
	assert_int_equal(crypto_create(&crypto), 0);
	assert_int_equal(
		crypto_sign(crypto, CRYPTO_AES_128_CBC, zero_iv, key, token, UINT64_MAX, signature),
		-EMSGSIZE);
	token[CRYPTO_TOKEN_MAX] = 0;
	int size = crypto_sign(
		crypto, CRYPTO_AES_128_CBC, zero_iv, key, token, UINT64_MAX, signature);
	assert_true(size > 0 && (size_t)size < sizeof(signature));
	crypto_destroy(crypto);
}

static void random_bytes_differ(void **state)
{
	uint64_t seen[1000];
	for (size_t i = 0; i < 1000; i++) {
		crypto_random(&seen[i], sizeof(seen[i]));
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(seen[i], seen[k]);
		assert_true(crypto_random_below(7) < 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signs_the_login),
		cmocka_unit_test(derives_the_key),
		cmocka_unit_test(signs_messages),
		cmocka_unit_test(takes_long_tokens_up_to_a_limit),
		cmocka_unit_test(random_bytes_differ),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
