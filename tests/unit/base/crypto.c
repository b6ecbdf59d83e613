/* The short ways to libcrypto give what the long ones do. */
#include "daemon/base/crypto.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <string.h>

#include "include/bytes.h"
#include "tests/lib/suite.h"

enum { LONGEST = 300 };

static uint8_t text[LONGEST];

static void setup(void)
{
    for (unsigned i = 0; i < LONGEST; i++)
        text[i] = (uint8_t)(i * 151 + 7);
}

START_TEST(blake2s_is_that_of_the_rfc)
{
    /* RFC 7693, appendix B */
    static const uint8_t want[] = "\x50\x8c\x5e\x8c\x32\x7c\x14\xe2\xe1\xa7\x2b\xa3\x4e\xeb\x45\x2f"
                                  "\x37\x45\x8b\x20\x9e\xd6\x3a\x29\x4d\x99\x9b\x4c\x86\x67\x59\x82";
    uint8_t got[BLAKE2S_LEN];
    blake2s(got, &(struct bytes){"abc", 3}, 1);
    ck_assert_mem_eq(got, want, BLAKE2S_LEN);
}
END_TEST

START_TEST(blake2s_is_libcryptos_at_every_length_however_it_is_cut)
{
    for (unsigned len = 0; len < LONGEST; len++) {
        uint8_t want[BLAKE2S_LEN], got[BLAKE2S_LEN];
        unsigned n = sizeof(want), at = len * 5 % 129;
        ck_assert_int_eq(EVP_Digest(text, len, want, &n, EVP_blake2s256(), NULL), 1);
        at = at < len ? at : len;
        blake2s(got, (struct bytes[]){{text, at}, {text, 0}, {text + at, len - at}}, 3);
        ck_assert_mem_eq(got, want, BLAKE2S_LEN);
    }
}
END_TEST

static void hmac_of_libcrypto(uint8_t out[BLAKE2S_LEN], const uint8_t *key, size_t key_len, size_t len)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
    char digest[] = "BLAKE2S-256";
    size_t n;
    OSSL_PARAM p[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
    ck_assert(EVP_MAC_init(ctx, key, key_len, p) == 1 && EVP_MAC_update(ctx, text, len) == 1 &&
              EVP_MAC_final(ctx, out, &n, BLAKE2S_LEN) == 1);
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
}

START_TEST(hmac_is_libcryptos_with_keys_of_all_lengths)
{
    static const size_t keys[] = {1, 16, 32, 63, 64, 65, 128, 200};
    for (unsigned k = 0; k < ARRAY_LEN(keys); k++)
        for (unsigned len = 0; len < 200; len += 1 + len / 16) {
            uint8_t want[BLAKE2S_LEN], got[BLAKE2S_LEN];
            struct bytes key = {text + 50, keys[k]}, whole = {text, len};
            struct hmac h;
            hmac_of_libcrypto(want, key.at, key.len, len);
            hmac_blake2s(got, key, &whole, 1);
            ck_assert_mem_eq(got, want, BLAKE2S_LEN);
            hmac_init(&h, key);
            for (int again = 0; again < 2; again++) {
                hmac_make(got, &h, &whole, 1);
                ck_assert_mem_eq(got, want, BLAKE2S_LEN);
            }
        }
}
END_TEST

START_TEST(a_prepared_key_agrees_again_and_again_as_an_unprepared_one_does)
{
    struct x25519_key *k = x25519_key_new(text);
    for (unsigned i = 0; i < 20; i++) {
        uint8_t theirs[X25519_LEN], want[X25519_LEN], got[X25519_LEN];
        x25519_public(theirs, text + i + 1);
        ck_assert_int_eq(x25519(want, text, theirs), 0);
        ck_assert_int_eq(x25519_derive(got, k, theirs), 0);
        ck_assert_mem_eq(got, want, X25519_LEN);
    }
    x25519_key_free(k);
}
END_TEST

START_TEST(a_point_of_small_order_is_refused_and_harms_nothing)
{
    static const uint8_t small[][X25519_LEN] = {{0}, {1},
        {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c,
            0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00}};
    struct x25519_key *k = x25519_key_new(text);
    uint8_t pub[X25519_LEN], want[X25519_LEN], got[X25519_LEN];
    x25519_public(pub, text + 9);
    ck_assert_int_eq(x25519(want, text, pub), 0);
    for (unsigned i = 0; i < ARRAY_LEN(small); i++) {
        ck_assert_int_eq(x25519(got, text, small[i]), -EKEYREJECTED);
        ck_assert_int_eq(x25519_derive(got, k, small[i]), -EKEYREJECTED);
        ck_assert_int_eq(x25519_derive(got, k, pub), 0);
        ck_assert_mem_eq(got, want, X25519_LEN);
    }
    x25519_key_free(k);
}
END_TEST

int main(void)
{
    setup();
    Suite *s = suite_create("base/crypto");
    TCase *t = tcase_create("crypto");
    tcase_add_test(t, blake2s_is_that_of_the_rfc);
    tcase_add_test(t, blake2s_is_libcryptos_at_every_length_however_it_is_cut);
    tcase_add_test(t, hmac_is_libcryptos_with_keys_of_all_lengths);
    tcase_add_test(t, a_prepared_key_agrees_again_and_again_as_an_unprepared_one_does);
    tcase_add_test(t, a_point_of_small_order_is_refused_and_harms_nothing);
    suite_add_tcase(s, t);
    return suite_run(s);
}
