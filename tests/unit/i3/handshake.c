/* INIT and RESPONSE byte by byte, against tests/unit/i3/golden_handshake.py. */
#include "daemon/i3/handshake.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "tests/lib/suite.h"
#include "tests/unit/i3/hex.h"

static const char init_hex[] =
    "618532d7afd1977f04d3378c6e4ab78ec3509c67acd7019cc2eff507b3bdcd6d7b0f2d09fb07e20a85632bdbfa883b72a5aa"
    "21247bba2afc3656bc84423c6e0277c6a5e08c0f4bc7869088615c50ca9153aa94541233e4691b9c96891f78d1e5b4d4d21e"
    "4e9e25a3eec86f20af75c3b7202bbd4aa3391f5f4f8d2af93afd271047ea2452d7c9ec535217d17d5892f3beedd29bbd7304"
    "b3f079902fc3c4216e438c511dd713a2b3396616f5c199022ff300000000000000000000000000000000"
    "0000000000000000000000000000000000000000000000000000000000000000";
static const char again_hex[] =
    "9ca3aab1b8bfc6cdd4dbe2e9f0f7fe050c131a21282f363d444b525960676e75"
    "6c0793174193cf42284e410da8f13762";
static const char response_hex[] =
    "9aabea0e4855b9261b37e924749f14653f53d3b5c333cca7b57d23d0eb1842067b7bdda7123ed7d3334cd78e95af725b95cf"
    "89a92567563cee694b9736724d429b5526f8094aa36ae4b63be9998cecc82e7d22eb369ea6059bcc238911fb92b593271129"
    "ef8d9ed7";
static const char first_hex[] = "d9b4085e6fd630638cf66c462a9c74886fb67a5c560120c3898303dbd32e37a9";
static const char second_hex[] = "b99fea9907feb64fedfa62b45003d79184b667f5f7d3848649aeb88a17f4800f";

static struct {
    uint8_t priv[7][32], pub[7][32];
    struct hello hello;
    struct noise a, b;
    uint8_t init[INIT_LEN], response[RESPONSE_LEN];
} t;

static void setup(void)
{
    for (unsigned i = 1; i < 7; i++) {
        fill_key(t.priv[i], i);
        x25519_public(t.pub[i], t.priv[i]);
    }
    t.hello = (struct hello){.time = 1800000000123456,
        .own_address = 0x0a010203,
        .your_address = 0x0a0a0b0c,
        .ciphers = 3,
        .mtu = 1400,
        .recv_buffer = 1 << 20};
    fill_key(t.hello.id.b, 5);
    handshake_start(&t.a, t.priv[1], t.pub[1], t.pub[2]);
    handshake_start(&t.b, t.priv[2], t.pub[2], NULL);
    unhex(init_hex, t.init, INIT_LEN);
    unhex(response_hex, t.response, RESPONSE_LEN);
}

static void assert_hello(const struct hello *got, const struct hello *want)
{
    ck_assert_mem_eq(got->id.b, want->id.b, ID_LEN);
    ck_assert_uint_eq(got->time, want->time);
    ck_assert_uint_eq(got->own_address, want->own_address);
    ck_assert_uint_eq(got->your_address, want->your_address);
    ck_assert_uint_eq(got->ciphers, want->ciphers);
    ck_assert_uint_eq(got->mtu, want->mtu);
    ck_assert_uint_eq(got->recv_buffer, want->recv_buffer);
    ck_assert_mem_eq(got->member, want->member, MEMBER_LEN);
}

START_TEST(handshake_is_golden)
{
    uint8_t init[INIT_LEN], response[RESPONSE_LEN], key[2][32], want[32];
    struct hello got;
    ck_assert_uint_eq(sizeof(init_hex) / 2, INIT_LEN);
    ck_assert_uint_eq(sizeof(response_hex) / 2, RESPONSE_LEN);
    ck_assert_int_eq(init_write(&t.a, t.priv[3], &t.hello, init), 0);
    ck_assert_mem_eq(init, t.init, INIT_LEN);

    ck_assert_int_eq(noise_read_init_key(&t.b, init, INIT_NOISE_LEN), 0);
    ck_assert_mem_eq(t.b.rs, t.pub[1], 32);
    ck_assert_int_eq(init_read(&t.b, init, &got), 0);
    assert_hello(&got, &t.hello);

    t.hello.time = 0;
    t.hello.ciphers = 1;
    memcpy(t.hello.member, "member 7", MEMBER_LEN);
    fill_key(t.hello.id.b, 6);
    ck_assert_int_eq(response_write(&t.b, t.priv[4], &t.hello, response), 0);
    ck_assert_mem_eq(response, t.response, RESPONSE_LEN);
    ck_assert_int_eq(response_read(&t.a, response, RESPONSE_LEN, &got), 0);
    assert_hello(&got, &t.hello);

    noise_split(&t.a, key[0], key[1]);
    unhex(first_hex, want, 32);
    ck_assert_mem_eq(key[0], want, 32);
    unhex(second_hex, want, 32);
    ck_assert_mem_eq(key[1], want, 32);
}
END_TEST

START_TEST(only_an_init_for_us_passes_the_cheap_test)
{
    uint8_t key[BLAKE2S_LEN], other[BLAKE2S_LEN];
    mac1_key(key, t.pub[2]);
    mac1_key(other, t.pub[3]);
    ck_assert(init_is_for(key, t.init, INIT_LEN));
    ck_assert(!init_is_for(other, t.init, INIT_LEN));
    for (size_t len = 0; len < INIT_LEN; len++)
        ck_assert(!init_is_for(key, t.init, len));
    for (size_t at = 0; at < INIT_NOISE_LEN + MAC_LEN; at++) {
        t.init[at] ^= 4;
        ck_assert(!init_is_for(key, t.init, INIT_LEN));
        t.init[at] ^= 4;
    }
}
END_TEST

/* With a return and mac2 under a cookie of ones, and without either again. */
START_TEST(an_init_that_is_sent_again_is_golden)
{
    uint8_t init[INIT_LEN], want[INIT_LEN], cookie[MAC_LEN];
    memcpy(init, t.init, INIT_LEN);
    memcpy(want, t.init, INIT_LEN);
    memset(cookie, 0x11, sizeof(cookie));
    unhex(again_hex, want + INIT_NOISE_LEN + MAC_LEN, ID_LEN + MAC_LEN);
    ck_assert(!init_has_return(init));
    init_set_return(init, &t.hello.id, cookie);
    ck_assert_mem_eq(init, want, INIT_LEN);
    ck_assert(init_has_return(init));
    ck_assert(init_has_mac2(init, cookie));
    init_set_return(init, &t.hello.id, NULL);
    ck_assert(init_has_return(init));
    ck_assert(!init_has_mac2(init, cookie));
    init_set_return(init, NULL, NULL);
    ck_assert_mem_eq(init, t.init, INIT_LEN);
}
END_TEST

START_TEST(mac2_is_for_every_byte_before_it)
{
    uint8_t cookie[MAC_LEN] = {7};
    init_set_return(t.init, &t.hello.id, cookie);
    for (size_t at = 0; at < INIT_LEN; at++) {
        t.init[at] ^= 4;
        ck_assert(!init_has_mac2(t.init, cookie));
        t.init[at] ^= 4;
    }
    for (size_t at = 0; at < MAC_LEN; at++) {
        cookie[at] ^= 4;
        ck_assert(!init_has_mac2(t.init, cookie));
        cookie[at] ^= 4;
    }
    ck_assert(init_has_mac2(t.init, cookie));
}
END_TEST

START_TEST(a_response_of_another_length_is_refused)
{
    struct hello got;
    uint8_t init[INIT_LEN], longer[RESPONSE_LEN + 1];
    ck_assert_int_eq(init_write(&t.a, t.priv[3], &t.hello, init), 0);
    memcpy(longer, t.response, RESPONSE_LEN);
    for (size_t len = 0; len <= sizeof(longer); len++) {
        struct noise a = t.a;
        ck_assert_int_eq(response_read(&a, longer, len, &got), len == RESPONSE_LEN ? 0 : -EBADMSG);
    }
}
END_TEST

/* An INIT that goes by middle-boxes names them behind its end: sealed, and part of what both ends must have seen. */
START_TEST(boxes_stand_behind_an_init)
{
    uint8_t init[INIT_MAX], response[RESPONSE_LEN];
    struct peer_boxes boxes = {.n = (unsigned)_i}, got;
    struct hello hello;
    memset(boxes.token, 0x74, sizeof(boxes.token));
    for (unsigned i = 0; i < boxes.n; i++) {
        memset(boxes.box[i].key, 0x61 + (int)i, KEY_LEN);
        memset(boxes.box[i].member, 0x31 + (int)i, MEMBER_LEN);
    }
    ck_assert(!init_write(&t.a, t.priv[3], &t.hello, init));
    ck_assert_mem_eq(init, t.init, INIT_LEN); /* what stands before them is as ever */
    size_t len = INIT_LEN + init_write_boxes(&t.a, &boxes, init + INIT_LEN);
    ck_assert_uint_eq(len, (size_t)(_i ? INIT_LEN + 12 + 40 * _i + 16 : INIT_LEN));
    for (size_t n = 0; n < INIT_MAX + 9; n++)
        ck_assert_int_eq(init_len_is_good(n), n == INIT_LEN || (n > INIT_LEN + 28 && n <= INIT_MAX && (n - INIT_LEN - 28) % 40 == 0));
    ck_assert(!noise_read_init_key(&t.b, init, INIT_NOISE_LEN));
    ck_assert(!init_read(&t.b, init, &hello));
    struct noise before = t.b;
    for (size_t at = INIT_LEN; at < len; at++) {
        struct noise n = before;
        init[at] ^= 4;
        ck_assert_msg(init_read_boxes(&n, init, len, &got) == -EBADMSG && !got.n, "changed at %zu", at);
        init[at] ^= 4;
    }
    ck_assert(!init_read_boxes(&t.b, init, len, &got));
    ck_assert_uint_eq(got.n, boxes.n);
    ck_assert_mem_eq(got.box, boxes.box, sizeof(boxes.box));
    /* who cuts them off has no session: the RESPONSE is for all of it */
    ck_assert(!response_write(&t.b, t.priv[4], &t.hello, response));
    struct noise a = t.a;
    ck_assert(!response_read(&a, response, sizeof(response), &hello));
    if (_i) {
        ck_assert(!init_read_boxes(&before, init, INIT_LEN, &got));
        ck_assert(!response_write(&before, t.priv[4], &t.hello, response));
        ck_assert(response_read(&t.a, response, sizeof(response), &hello));
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("i3/handshake");
    TCase *c = tcase_create("handshake");
    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_test(c, handshake_is_golden);
    tcase_add_loop_test(c, boxes_stand_behind_an_init, 0, BOXES_MAX + 1);
    tcase_add_test(c, an_init_that_is_sent_again_is_golden);
    tcase_add_test(c, mac2_is_for_every_byte_before_it);
    tcase_add_test(c, only_an_init_for_us_passes_the_cheap_test);
    tcase_add_test(c, a_response_of_another_length_is_refused);
    suite_add_tcase(s, c);
    return suite_run(s);
}
