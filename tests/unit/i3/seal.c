/* Sealing with one key, and the window against replays. Golden bytes of both ciphers stand in noise.c (public vectors). */
#include "daemon/i3/seal.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/base/crypto.h"
#include "daemon/io/accel.h"
#include "include/bytes.h"
#include "tests/lib/suite.h"
#include "tests/unit/i3/hex.h"

/* Each cipher by libcrypto, and AES by libipsec-mb (where the build has it) with libcrypto at the other end. */
static const struct {
    enum peer_cipher cipher;
    bool fast_tx, fast_rx;
} variants[] = {
    {CIPHER_AES256GCM, false, false},
    {CIPHER_CHACHA20POLY1305, false, false},
    {CIPHER_AES256GCM, true, false},
    {CIPHER_AES256GCM, false, true},
    {CIPHER_CHACHA20POLY1305, true, true},
};

struct two {
    struct seal *tx, *rx;
    void *accel;
};

static struct two two_new(int variant)
{
    uint8_t key[32];
    void *accel = accel_open();
    enum peer_cipher c = variants[variant].cipher;
    fill_key(key, 1);
    return (struct two){seal_new_with(variants[variant].fast_tx ? accel : NULL, c, key, true),
        seal_new_with(variants[variant].fast_rx ? accel : NULL, c, key, false), accel};
}

static void two_free(struct two *t)
{
    seal_free(t->tx);
    seal_free(t->rx);
    accel_close(t->accel);
}

START_TEST(pieces_make_the_same_packet_as_the_whole)
{
    struct two t = two_new(_i);
    uint8_t text[300], whole[320], pieces[320];
    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)(i * 3);
    size_t n = seal_encrypt(t.tx, 7, NULL, 0, &(struct iovec){text, sizeof(text)}, 1, whole);
    ck_assert_uint_eq(n, sizeof(text) + SEAL_TAG_LEN);
    for (size_t a = 0; a <= sizeof(text); a += 7) {
        struct iovec v[4] = {{text, a}, {NULL, 0}, {text + a, (sizeof(text) - a) / 2}};
        v[3] = (struct iovec){text + a + v[2].iov_len, sizeof(text) - a - v[2].iov_len};
        ck_assert_uint_eq(seal_encrypt(t.tx, 7, NULL, 0, v, 4, pieces), n);
        ck_assert_mem_eq(pieces, whole, n);
    }
    two_free(&t);
}
END_TEST

START_TEST(every_length_comes_back_and_no_changed_bit_does)
{
    struct two t = two_new(_i);
    uint8_t text[1500], p[1516], copy[1516];
    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)(i * 5 + 1);
    for (size_t len = 0; len <= sizeof(text); len += len < 70 ? 1 : 211) {
        size_t n = seal_encrypt(t.tx, len << 33 | 5, NULL, 0, &(struct iovec){text, len}, 1, p);
        for (size_t at = 0; at < n; at += n < 100 ? 1 : 37) {
            memcpy(copy, p, n);
            copy[at] ^= (uint8_t)(1 << at % 8);
            ck_assert_int_eq(seal_decrypt(t.rx, len << 33 | 5, NULL, 0, copy, n), -EBADMSG);
        }
        memcpy(copy, p, n);
        ck_assert_int_eq(seal_decrypt(t.rx, len << 33 | 4, NULL, 0, copy, n), -EBADMSG); /* another counter */
        memcpy(copy, p, n);
        ck_assert_int_eq(seal_decrypt(t.rx, len << 33 | 5, "x", 1, copy, n), -EBADMSG); /* other associated data */
        memcpy(copy, p, n);
        ck_assert_int_eq(seal_decrypt(t.rx, len << 33 | 5, NULL, 0, copy, n), 0);
        ck_assert_mem_eq(copy, text, len);
    }
    for (size_t len = 0; len < SEAL_TAG_LEN; len++)
        ck_assert_int_eq(seal_decrypt(t.rx, 0, NULL, 0, copy, len), -EBADMSG);
    two_free(&t);
}
END_TEST

/* The header lies before the text in the same buffer; nothing else may be touched. */
START_TEST(encrypting_onto_its_own_place_works)
{
    struct two t = two_new(_i);
    uint8_t buf[200], other[200];
    memset(buf, 0x11, sizeof(buf));
    size_t n = seal_encrypt(t.tx, 1, NULL, 0, &(struct iovec){buf, 150}, 1, other);
    ck_assert_uint_eq(seal_encrypt(t.tx, 1, NULL, 0, &(struct iovec){buf, 150}, 1, buf), n);
    ck_assert_mem_eq(buf, other, n);
    for (size_t i = n; i < sizeof(buf); i++)
        ck_assert_uint_eq(buf[i], 0x11);
    two_free(&t);
}
END_TEST

START_TEST(ciphers_have_names)
{
    ck_assert_str_eq(cipher_name(CIPHER_AES256GCM), "AESGCM");
    ck_assert_str_eq(cipher_name(CIPHER_CHACHA20POLY1305), "ChaChaPoly");
    ck_assert_ptr_null(cipher_name(3));
}
END_TEST

/* ---- replay window ---- */

static const struct step {
    uint64_t counter;
    bool is_new;
} steps[] = {
    {0, true}, {0, false}, {1, true}, {63, true}, {64, true}, {62, true}, {62, false}, {64, false}, {2, true},
    {8191, true}, {3, true}, {8192, true}, {4, true},
    {1, false}, /* seen */
    {8195, true},
    {5, true},   /* 8191 behind the newest */
    {3, false},  /* too old and seen */
    {8300, true}, {6, false}, {108, false}, {109, true}, {109, false},
    {20000, true}, {8300, false}, {11808, false}, {11809, true}, {19999, true}, {19999, false},
    {1ull << 40, true}, {20000, false}, {(1ull << 40) - 8191, true}, {(1ull << 40) - 8192, false},
    {UINT64_MAX - 1, true}, {UINT64_MAX, false}, {UINT64_MAX - 1, false}, {UINT64_MAX - 2, true},
};

START_TEST(window_takes_each_counter_once_and_none_too_old)
{
    struct replay r = {0};
    for (unsigned i = 0; i < ARRAY_LEN(steps); i++) {
        ck_assert_msg(replay_is_new(&r, steps[i].counter) == steps[i].is_new, "step %u", i);
        if (steps[i].is_new)
            replay_mark(&r, steps[i].counter);
    }
}
END_TEST

/* Against a list of all that was ever seen. */
START_TEST(window_equals_the_model)
{
    enum { SPACE = 60000 };
    static uint8_t seen[SPACE];
    static const unsigned spread[] = {3, 100, 8191, 8192, 8193, 9000, 20000};
    struct replay r = {0};
    struct drbg d;
    uint8_t seed[32] = {(uint8_t)_i};
    uint64_t top = 0; /* highest seen + 1 */
    drbg_init(&d, seed);
    memset(seen, 0, sizeof(seen));
    for (unsigned i = 0; i < 30000; i++) {
        uint64_t v = drbg_u64(&d), reach = spread[_i];
        uint64_t low = top > reach ? top - reach : 0;
        uint64_t c = low + v % (reach + 3);
        if (c >= SPACE)
            break;
        bool want = c >= top || (top - c <= REPLAY_WINDOW && !seen[c]);
        ck_assert_msg(replay_is_new(&r, c) == want, "counter %lu top %lu", (unsigned long)c, (unsigned long)top);
        if (want) {
            replay_mark(&r, c);
            seen[c] = 1;
            top = c >= top ? c + 1 : top;
        }
    }
    ck_assert_uint_gt(top, 3);
}
END_TEST

/* Not a test of speed, but says it: I3_BENCH=1. */
static void bench(void)
{
    for (unsigned c = 0; c < ARRAY_LEN(variants); c++) {
        struct two t = two_new((int)c);
        enum { ROUNDS = 200000 };
        static uint8_t text[1400], p[1416];
        struct timespec a, b, e;
        struct iovec v[3] = {{text, 20}, {text + 20, 32}, {text + 52, 1348}};
        clock_gettime(CLOCK_MONOTONIC, &a);
        for (unsigned i = 0; i < ROUNDS; i++)
            seal_encrypt(t.tx, i, NULL, 0, v, 3, p);
        clock_gettime(CLOCK_MONOTONIC, &b);
        for (unsigned i = 0; i < ROUNDS; i++) {
            seal_encrypt(t.tx, i, NULL, 0, v, 1, p);
            seal_decrypt(t.rx, i, NULL, 0, p, sizeof(p));
        }
        clock_gettime(CLOCK_MONOTONIC, &e);
        printf("%-10s %s 1400 bytes in 3 pieces: seal %.0f ns; short seal and open (forged) %.0f ns\n", cipher_name(variants[c].cipher), variants[c].fast_tx ? "fast " : "",
            ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / ROUNDS,
            ((double)(e.tv_sec - b.tv_sec) * 1e9 + (double)(e.tv_nsec - b.tv_nsec)) / ROUNDS);
        two_free(&t);
    }
}

int main(void)
{
    if (getenv("I3_BENCH"))
        bench();
    Suite *s = suite_create("i3/seal");
    TCase *t = tcase_create("seal");
    tcase_set_timeout(t, 30);
    tcase_add_loop_test(t, pieces_make_the_same_packet_as_the_whole, 0, ARRAY_LEN(variants));
    tcase_add_loop_test(t, every_length_comes_back_and_no_changed_bit_does, 0, ARRAY_LEN(variants));
    tcase_add_loop_test(t, encrypting_onto_its_own_place_works, 0, ARRAY_LEN(variants));
    tcase_add_test(t, ciphers_have_names);
    tcase_add_test(t, window_takes_each_counter_once_and_none_too_old);
    tcase_add_loop_test(t, window_equals_the_model, 0, 7);
    suite_add_tcase(s, t);
    return suite_run(s);
}
