/* Datagrams to a group: who can open them, who may speak, what is refused. Golden bytes: tests/unit/i3/golden_handshake.py. */
#include "daemon/i3/group.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "tests/lib/suite.h"
#include "tests/unit/i3/hex.h"

#define WALL 1800000000123456ull

static const char stranger_hex[] =
    "00020000618532d7afd1977f04d3378c6e4ab78ec3509c67acd7019cc2eff507b3bdcd6d7b0f2d09fb07e20a85632bdbfa88"
    "3b72a5aa21247bba2afc3656bc84423c6e0205fbdbc52486ef568f37e35385df6b0853aa94541233e4698e4d8cd3020c086d"
    "454a86ee2047c4f1000000000000000760417e80a76255eae0399312bc9695057289ea3d770962f68ddb7076a3e3";
static const char member_hex[] =
    "01020000618532d7afd1977f04d3378c6e4ab78ec3509c67acd7019cc2eff507b3bdcd6d7b0f2d09fb07e20a85632bdbfa88"
    "3b72a5aa21247bba2afc3656bc84423c6e025d0f6361b689d8c49aa71970c366a90f53aa94541233e469304fcfa57d430413"
    "3060df1f90d7b7f80000000000000007f5f134af2101cb7dbd421f208aa3e9ba36d4fc09c7ebc19b89fb9a556c04";

enum { AT_BODY = DATA_HEADER_LEN };

static struct {
    uint8_t priv[4][32], pub[4][32]; /* 1: a sender, 2: the group, 3: a member */
    struct group_rx *rx;
    struct group_tx *tx;
    mono_t now;
    uint64_t wall;
    bool known;
    uint8_t out[2048], sender[32];
    uint8_t *plain;
    size_t plain_len;
} t;

static bool is_known(void *ctx, const uint8_t key[KEY_LEN])
{
    (void)ctx;
    return t.known && !memcmp(key, t.pub[1], KEY_LEN);
}

static void rx_start(void)
{
    struct group_rx_config c = {.known = is_known};
    memcpy(c.priv, t.priv[2], KEY_LEN);
    memcpy(c.pub, t.pub[2], KEY_LEN);
    memcpy(c.self, t.pub[3], KEY_LEN);
    group_rx_free(t.rx);
    t.rx = group_rx_new(&c);
}

/* A sender with key n. */
static void tx_start(unsigned n, bool member, uint8_t seed)
{
    uint8_t s[32] = {seed};
    group_tx_free(t.tx);
    t.tx = group_tx_new(t.priv[n], t.pub[n], t.pub[2], member ? t.priv[2] : NULL, CIPHER_AES256GCM, s, NULL);
}

static void setup(void)
{
    memset(&t, 0, sizeof(t));
    for (unsigned i = 1; i < 4; i++) {
        fill_key(t.priv[i], i);
        x25519_public(t.pub[i], t.priv[i]);
    }
    t.now = (mono_t){USEC_PER_SEC};
    t.wall = WALL;
    t.known = true;
    rx_start();
    tx_start(1, false, 1);
}

static void teardown(void)
{
    group_rx_free(t.rx);
    group_tx_free(t.tx);
}

/* The next datagram with that text into t.out; its length. */
static size_t seal_text(const char *text)
{
    ssize_t n = group_seal(t.tx, t.now, t.wall, &(struct iovec){(void *)text, strlen(text)}, 1, t.out, sizeof(t.out));
    ck_assert_int_eq(n, (ssize_t)(GROUP_OVERHEAD + strlen(text)));
    return (size_t)n;
}

/* A copy of its own is opened, so that what is opened in place, or read too far, does not matter here. */
static int open_body(const uint8_t *body, size_t len)
{
    static uint8_t *copy;
    free(copy);
    copy = malloc(len ? len : 1);
    memcpy(copy, body, len);
    return group_open(t.rx, t.now, t.wall, copy, len, t.sender, &t.plain, &t.plain_len);
}

static int open_packet(size_t len)
{
    return open_body(t.out + AT_BODY, len - AT_BODY);
}

static void pass(uint64_t us)
{
    t.now = mono_add(t.now, us);
    t.wall += us;
}

START_TEST(another_implementation_is_understood)
{
    static const char *const hex[] = {stranger_hex, member_hex};
    uint8_t body[GROUP_MIN_LEN + 14];
    for (unsigned i = 0; i < 2; i++) {
        rx_start();
        t.known = i == 0; /* a member need not be known */
        ck_assert_uint_eq(strlen(hex[i]) / 2, sizeof(body));
        unhex(hex[i], body, sizeof(body));
        ck_assert_int_eq(open_body(body, sizeof(body)), 0);
        ck_assert_mem_eq(t.sender, t.pub[1], KEY_LEN);
        ck_assert_uint_eq(t.plain_len, 14);
        ck_assert_mem_eq(t.plain, "to all members", 14);
        ck_assert_int_eq(open_body(body, sizeof(body)), -EBADMSG);
        ck_assert_uint_eq(group_rx_stats(t.rx)->replays, 1);
    }
}
END_TEST

START_TEST(goes_to_the_id_of_all)
{
    struct i3_id all;
    struct wire_data d;
    group_all_id(&all, t.pub[2]);
    size_t len = seal_text("x");
    ck_assert_int_eq(data_decode(t.out, len, &d), 0);
    ck_assert_mem_eq(d.ids, all.b, ID_LEN);
    ck_assert(id_is_of_key(&all, t.pub[2]));
    for (unsigned i = ID_PREFIX_LEN; i < ID_LEN; i++)
        ck_assert_uint_eq(all.b[i], 0xff);
    ck_assert_uint_eq(d.n, 1);
    ck_assert_uint_eq(d.proto, PROTO_GROUP);
    ck_assert_int_eq(group_seal(t.tx, t.now, t.wall, &(struct iovec){"x", 1}, 1, t.out, GROUP_OVERHEAD), -ENOSPC);
}
END_TEST

START_TEST(every_datagram_can_be_read_by_itself_in_any_order_and_once)
{
    uint8_t kept[10][2048];
    size_t len[10];
    for (unsigned i = 0; i < 10; i++) {
        char text[2] = {(char)('a' + i), 0};
        len[i] = seal_text(text);
        memcpy(kept[i], t.out, len[i]);
    }
    for (unsigned i = 10; i-- > 0;) {
        ck_assert_int_eq(open_body(kept[i] + AT_BODY, len[i] - AT_BODY), 0);
        ck_assert_uint_eq(t.plain[0], 'a' + i);
    }
    for (unsigned i = 0; i < 10; i++)
        ck_assert_int_eq(open_body(kept[i] + AT_BODY, len[i] - AT_BODY), -EBADMSG);
    ck_assert_uint_eq(group_rx_stats(t.rx)->replays, 10);
    ck_assert_uint_eq(group_rx_stats(t.rx)->opened, 10);
    ck_assert_uint_eq(group_rx_stats(t.rx)->senders, 1);
}
END_TEST

START_TEST(no_byte_can_be_changed_and_no_length)
{
    size_t len = seal_text("hello");
    for (size_t at = AT_BODY; at < len; at++) {
        for (unsigned known = 0; known < 2; known++) { /* the epoch is new, and known */
            rx_start();
            if (known) {
                uint8_t first[2048];
                memcpy(first, t.out, len);
                ssize_t other = group_seal(t.tx, t.now, t.wall, &(struct iovec){"other", 5}, 1, t.out, sizeof(t.out));
                ck_assert_int_eq(open_packet((size_t)other), 0);
                memcpy(t.out, first, len);
            }
            t.out[at] ^= 1;
            ck_assert_int_eq(open_packet(len), -EBADMSG);
            t.out[at] ^= 1;
            ck_assert_int_eq(open_packet(len), 0);
        }
    }
    rx_start();
    for (size_t n = AT_BODY; n < len; n++)
        ck_assert_int_eq(open_packet(n), -EBADMSG);
    ck_assert_uint_eq(group_rx_stats(t.rx)->opened, 0);
    ck_assert_uint_eq(group_rx_stats(t.rx)->senders, 0);
}
END_TEST

START_TEST(who_may_speak)
{
    static const struct {
        const char *what;
        unsigned key;
        bool member, known;
        int result;
    } cases[] = {
        {"known", 1, false, true, 0},
        {"a stranger", 1, false, false, -EBADMSG},
        {"a member whom we do not know", 1, true, false, 0},
        {"a member whom we know", 1, true, true, 0},
        {"ourselves", 3, true, true, -EBADMSG},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        rx_start();
        tx_start(cases[i].key, cases[i].member, (uint8_t)i);
        t.known = cases[i].known;
        ck_assert_msg(open_packet(seal_text("x")) == cases[i].result, "%s", cases[i].what);
    }
    ck_assert_uint_eq(group_rx_stats(t.rx)->own, 1);
    /* who claims to be a member and is none: the key of its datagrams is another */
    rx_start();
    tx_start(1, false, 9);
    size_t len = seal_text("x");
    t.out[AT_BODY] = 1;
    ck_assert_int_eq(open_packet(len), -EBADMSG);
}
END_TEST

START_TEST(another_group_cannot_open_it)
{
    struct group_rx_config c = {.known = is_known};
    memcpy(c.priv, t.priv[3], KEY_LEN);
    memcpy(c.pub, t.pub[3], KEY_LEN);
    group_rx_free(t.rx);
    t.rx = group_rx_new(&c);
    ck_assert_int_eq(open_packet(seal_text("x")), -EBADMSG);
    ck_assert_uint_eq(group_rx_stats(t.rx)->forged, 1);
}
END_TEST

START_TEST(a_new_epoch_replaces_the_last_but_one)
{
    uint8_t first[2048], second[2048], third[2048];
    size_t len = seal_text("1");
    memcpy(first, t.out, len);
    pass(GROUP_EPOCH - 1);
    ck_assert_uint_eq(seal_text("2"), len);
    ck_assert_mem_eq(t.out, first, AT_BODY + GROUP_HEAD_LEN); /* still the same */
    pass(1);
    seal_text("3");
    memcpy(second, t.out, len);
    ck_assert(memcmp(second, first, AT_BODY + GROUP_HEAD_LEN) != 0);
    pass(GROUP_EPOCH);
    seal_text("4");
    memcpy(third, t.out, len);
    /* late ones of the epoch before are taken */
    ck_assert_int_eq(open_body(second + AT_BODY, len - AT_BODY), 0);
    ck_assert_int_eq(open_body(third + AT_BODY, len - AT_BODY), 0);
    ck_assert_int_eq(open_body(second + AT_BODY, len - AT_BODY), -EBADMSG); /* once */
    /* an older one than those we know is a replay, or comes too late */
    ck_assert_int_eq(open_body(first + AT_BODY, len - AT_BODY), -EBADMSG);
    ck_assert_uint_eq(group_rx_stats(t.rx)->stale, 1);
}
END_TEST

START_TEST(clocks_may_differ_by_an_hour)
{
    static const struct {
        int64_t off;
        int result;
    } cases[] = {{0, 0}, {3600000000, 0}, {-3600000000, 0}, {3600000001, -EBADMSG}, {-3600000001, -EBADMSG}};
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        rx_start();
        tx_start(1, false, (uint8_t)i);
        t.wall = WALL;
        size_t len = seal_text("x");
        t.wall = WALL + (uint64_t)cases[i].off;
        ck_assert_int_eq(open_packet(len), cases[i].result);
    }
}
END_TEST

START_TEST(a_flood_of_new_headers_is_bounded_and_passes)
{
    uint8_t junk[GROUP_MIN_LEN] = {0, 1};
    size_t len = seal_text("genuine");
    for (unsigned i = 0; i < 2000; i++) {
        memcpy(junk + 4, &i, sizeof(i));
        ck_assert_int_eq(open_body(junk, sizeof(junk)), -EBADMSG);
    }
    ck_assert_uint_eq(group_rx_stats(t.rx)->forged, GROUP_TRIES_BURST);
    ck_assert_uint_eq(group_rx_stats(t.rx)->skipped, 2000 - GROUP_TRIES_BURST);
    ck_assert_int_eq(open_packet(len), -EBADMSG);
    pass(10 * USEC_PER_SEC / GROUP_TRIES_PER_S);
    ck_assert_int_eq(open_packet(len), 0);
    /* who is known already is not held up by it */
    for (unsigned i = 0; i < 2000; i++) {
        memcpy(junk + 4, &i, sizeof(i));
        open_body(junk, sizeof(junk));
    }
    ck_assert_int_eq(open_packet(seal_text("more")), 0);
}
END_TEST

START_TEST(senders_are_bounded_and_the_one_longest_unheard_goes)
{
    uint8_t priv[KEY_LEN] = {0}, pub[KEY_LEN], seed[32] = {7};
    struct group_tx *first = NULL, *second = NULL;
    for (unsigned i = 0; i < GROUP_SENDERS + 1; i++) {
        struct iovec v = {&i, sizeof(i)};
        memcpy(priv + 8, &i, sizeof(i));
        x25519_public(pub, priv);
        struct group_tx *tx = group_tx_new(priv, pub, t.pub[2], t.priv[2], CIPHER_CHACHA20POLY1305, seed, NULL);
        ssize_t n = group_seal(tx, t.now, t.wall, &v, 1, t.out, sizeof(t.out));
        ck_assert_int_eq(open_packet((size_t)n), 0);
        pass(USEC_PER_SEC / GROUP_TRIES_PER_S);
        if (i < 2)
            *(i ? &second : &first) = tx;
        else
            group_tx_free(tx);
        if (i == GROUP_SENDERS - 1) { /* heard again, so the second is the one to go */
            n = group_seal(first, t.now, t.wall, &v, 1, t.out, sizeof(t.out));
            ck_assert_int_eq(open_packet((size_t)n), 0);
        }
    }
    ck_assert_uint_eq(group_rx_stats(t.rx)->senders, GROUP_SENDERS);
    /* no credit is left for new headers, so only who is still known can be heard */
    uint8_t junk[GROUP_MIN_LEN] = {0, 1};
    while (!group_rx_stats(t.rx)->skipped)
        open_body(junk, sizeof(junk));
    ssize_t n = group_seal(first, t.now, t.wall, &(struct iovec){"x", 1}, 1, t.out, sizeof(t.out));
    ck_assert_int_eq(open_packet((size_t)n), 0);
    n = group_seal(second, t.now, t.wall, &(struct iovec){"x", 1}, 1, t.out, sizeof(t.out));
    ck_assert_int_eq(open_packet((size_t)n), -EBADMSG);
    group_tx_free(first);
    group_tx_free(second);
}
END_TEST

START_TEST(a_sender_that_is_forgotten_must_be_known_anew)
{
    ck_assert_int_eq(open_packet(seal_text("x")), 0);
    t.known = false;
    ck_assert_int_eq(open_packet(seal_text("x")), 0);
    group_forget(t.rx, t.pub[1]);
    ck_assert_int_eq(open_packet(seal_text("x")), -EBADMSG);
    ck_assert_uint_eq(group_rx_stats(t.rx)->strangers, 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("i3/group");
    TCase *c = tcase_create("group");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 30);
    tcase_add_test(c, another_implementation_is_understood);
    tcase_add_test(c, goes_to_the_id_of_all);
    tcase_add_test(c, every_datagram_can_be_read_by_itself_in_any_order_and_once);
    tcase_add_test(c, no_byte_can_be_changed_and_no_length);
    tcase_add_test(c, who_may_speak);
    tcase_add_test(c, another_group_cannot_open_it);
    tcase_add_test(c, a_new_epoch_replaces_the_last_but_one);
    tcase_add_test(c, clocks_may_differ_by_an_hour);
    tcase_add_test(c, a_flood_of_new_headers_is_bounded_and_passes);
    tcase_add_test(c, senders_are_bounded_and_the_one_longest_unheard_goes);
    tcase_add_test(c, a_sender_that_is_forgotten_must_be_known_anew);
    suite_add_tcase(s, c);
    return suite_run(s);
}
