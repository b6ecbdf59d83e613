/* The handshake against the public test vectors of Noise (the cacophony set, as shipped with noise-c). */
#include "daemon/i3/noise.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "include/bytes.h"
#include "tests/lib/suite.h"
#include "tests/unit/i3/hex.h"

static const char prologue_hex[] = "4a6f686e2047616c74";
static const char init_static[] = "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1";
static const char init_ephemeral[] = "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a";
static const char resp_public[] = "31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62";
static const char resp_static[] = "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893";
static const char resp_ephemeral[] = "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b";
static const char *const payload[6] = {"4c756477696720766f6e204d69736573", "4d757272617920526f746862617264",
    "462e20412e20486179656b", "4361726c204d656e676572", "4a65616e2d426170746973746520536179",
    "457567656e2042f6686d20766f6e2042617765726b"};

static const struct {
    enum peer_cipher cipher;
    const char *message[6];
} vectors[] = {
    {CIPHER_CHACHA20POLY1305,
        {"ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79440b03ddc7aac5123d06a1b23b71670e32e76c28239a7ca4ac8"
         "f784de7e44c1adbfc6e83fef7352a58d9d56157400c0a737b1d171ce368229c7b752ac25b8faf4eca690f6d896f543be02c996ab2b86b76",
            "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843d9b5a8927f0ac9655ef76833bc7e5561f42e691ac8404"
            "efd6fbd6308b6a27c",
            "2c256ed08fcd08c2980f954ee4beaccb61c9581340f5dd2fd1cf3b",
            "d6033f70eee20945c7c9dba304e397ee3b284ff5e00fd9efb095d3",
            "a9c068ca5d8babf72560652d8e851adbfac35c8a66e810d560863173e96adf4cfe",
            "2a09d8f459e5927e40fdd2eddc99bdafb04e13a26f145cb5cfe9e6ba34c94331ebc17d5156"}},
    {CIPHER_AES256GCM,
        {"ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944fc16af5edc066c93c77be147f8e6785cd6bd7b27e0f660d02"
         "a6a566ceb61b22af4d0dcc8560bce79b2a1fb55f68bc34017319936516ae9ce0862fe172c77a883f241700cb26d145dc8f8c9fe80a29008",
            "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f14480884319679a2f2fae0ee3700b9d1f532eb77fcf485567e810e"
            "af95b2f9eeca858fe",
            "daf849a4f4bd8b0276f120b017b9dfdbc9ed667ee98316e95de1cc",
            "cdf2321b9584498d0ce313cb0c995c3ee2d679c1f3c22576ff1e90",
            "abc41aa7b17f5d7c5b8454c203668718a15020b72729f1243490ab54150338293a",
            "59bafe529215e376187e06fcfb6772d6ca7f0946877e77aafb4a90a5fc6c4cf82344d5c949"}},
};

struct pair {
    struct noise i, r;
    uint8_t e_i[32], e_r[32];
};

static void pair_start(struct pair *p, enum peer_cipher cipher)
{
    uint8_t prologue[16], s_i[32], s_r[32], pub_i[32], pub_r[32];
    size_t plen = unhex(prologue_hex, prologue, sizeof(prologue));
    unhex(init_static, s_i, 32);
    unhex(resp_static, s_r, 32);
    unhex(init_ephemeral, p->e_i, 32);
    unhex(resp_ephemeral, p->e_r, 32);
    unhex(resp_public, pub_r, 32);
    x25519_public(pub_i, s_i);
    noise_start(&p->i, cipher, prologue, plen, s_i, pub_i, pub_r);
    noise_start(&p->r, cipher, prologue, plen, s_r, pub_r, NULL);
}

START_TEST(handshake_and_packets_equal_the_public_vectors)
{
    struct pair p;
    uint8_t msg[256], got[256], want[256], text[256], key[2][32];
    pair_start(&p, vectors[_i].cipher);

    size_t n = unhex(payload[0], text, sizeof(text));
    ck_assert_int_eq(noise_write_init(&p.i, p.e_i, text, n, msg), 0);
    ck_assert_uint_eq(unhex(vectors[_i].message[0], want, sizeof(want)), n + NOISE_INIT_OVERHEAD);
    ck_assert_mem_eq(msg, want, n + NOISE_INIT_OVERHEAD);
    ck_assert_int_eq(noise_read_init_key(&p.r, msg, n + NOISE_INIT_OVERHEAD), 0);
    ck_assert_mem_eq(p.r.rs, p.i.s_pub, 32);
    ck_assert_int_eq(noise_read_init_payload(&p.r, msg, n + NOISE_INIT_OVERHEAD, got), 0);
    ck_assert_mem_eq(got, text, n);

    n = unhex(payload[1], text, sizeof(text));
    ck_assert_int_eq(noise_write_response(&p.r, p.e_r, text, n, msg), 0);
    ck_assert_uint_eq(unhex(vectors[_i].message[1], want, sizeof(want)), n + NOISE_RESPONSE_OVERHEAD);
    ck_assert_mem_eq(msg, want, n + NOISE_RESPONSE_OVERHEAD);
    ck_assert_int_eq(noise_read_response(&p.i, msg, n + NOISE_RESPONSE_OVERHEAD, got), 0);
    ck_assert_mem_eq(got, text, n);

    noise_split(&p.i, key[0], key[1]);
    noise_split(&p.r, got, got + 32);
    ck_assert_mem_eq(got, key[0], 32);
    ck_assert_mem_eq(got + 32, key[1], 32);
    struct seal *seal[2], *open[2];
    for (unsigned i = 0; i < 2; i++) {
        seal[i] = seal_new(vectors[_i].cipher, key[i], true);
        open[i] = seal_new(vectors[_i].cipher, key[i], false);
    }
    for (unsigned i = 2; i < 6; i++) {
        n = unhex(payload[i], text, sizeof(text));
        struct iovec v[2] = {{text, 5}, {text + 5, n - 5}};
        ck_assert_uint_eq(seal_encrypt(seal[i % 2], i / 2 - 1, NULL, 0, v, 2, msg), n + SEAL_TAG_LEN);
        ck_assert_uint_eq(unhex(vectors[_i].message[i], want, sizeof(want)), n + SEAL_TAG_LEN);
        ck_assert_mem_eq(msg, want, n + SEAL_TAG_LEN);
        ck_assert_int_eq(seal_decrypt(open[i % 2], i / 2 - 1, NULL, 0, msg, n + SEAL_TAG_LEN), 0);
        ck_assert_mem_eq(msg, text, n);
    }
    for (unsigned i = 0; i < 2; i++) {
        seal_free(seal[i]);
        seal_free(open[i]);
    }
}
END_TEST

START_TEST(any_changed_byte_of_a_message_is_refused)
{
    uint8_t msg[256], got[256];
    struct pair p;
    pair_start(&p, vectors[_i].cipher);
    size_t n = NOISE_INIT_OVERHEAD + 10;
    ck_assert_int_eq(noise_write_init(&p.i, p.e_i, "0123456789", 10, msg), 0);
    for (size_t at = 0; at < n; at++) {
        struct noise r = p.r;
        msg[at] ^= 0x10;
        bool taken = !noise_read_init_key(&r, msg, n) && !noise_read_init_payload(&r, msg, n, got);
        ck_assert_msg(!taken, "byte %zu", at);
        msg[at] ^= 0x10;
    }
    for (size_t len = 0; len < n; len++) {
        struct noise r = p.r;
        ck_assert(noise_read_init_key(&r, msg, len) || noise_read_init_payload(&r, msg, len, got));
    }
    ck_assert_int_eq(noise_read_init_key(&p.r, msg, n), 0);
    ck_assert_int_eq(noise_read_init_payload(&p.r, msg, n, got), 0);

    n = NOISE_RESPONSE_OVERHEAD + 10;
    ck_assert_int_eq(noise_write_response(&p.r, p.e_r, "0123456789", 10, msg), 0);
    for (size_t at = 0; at < n; at++) {
        struct noise i = p.i;
        msg[at] ^= 0x10;
        ck_assert_msg(noise_read_response(&i, msg, n, got), "byte %zu", at);
        msg[at] ^= 0x10;
    }
    for (size_t len = 0; len < n; len++) {
        struct noise i = p.i;
        ck_assert(noise_read_response(&i, msg, len, got));
    }
    ck_assert_int_eq(noise_read_response(&p.i, msg, n, got), 0);
}
END_TEST

START_TEST(keys_of_small_order_are_refused)
{
    struct pair p;
    uint8_t msg[256], zero[32] = {0};
    pair_start(&p, CIPHER_CHACHA20POLY1305);
    noise_start(&p.i, CIPHER_CHACHA20POLY1305, "x", 1, p.i.s_priv, p.i.s_pub, zero);
    ck_assert_int_eq(noise_write_init(&p.i, p.e_i, "", 0, msg), -EKEYREJECTED);
    memset(msg, 0, sizeof(msg));
    ck_assert_int_eq(noise_read_init_key(&p.r, msg, NOISE_INIT_OVERHEAD), -EBADMSG);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("i3/noise");
    TCase *t = tcase_create("noise");
    tcase_add_loop_test(t, handshake_and_packets_equal_the_public_vectors, 0, ARRAY_LEN(vectors));
    tcase_add_loop_test(t, any_changed_byte_of_a_message_is_refused, 0, ARRAY_LEN(vectors));
    tcase_add_test(t, keys_of_small_order_are_refused);
    suite_add_tcase(s, t);
    return suite_run(s);
}
