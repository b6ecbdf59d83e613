/* Who is read under load, in virtual time. What it is worth to a friend is in tests/sim/cookies.c. */
#include "daemon/i3/cookie.h"

#include <check.h>

#include "tests/lib/suite.h"
#include "tests/unit/i3/hex.h"

#define SEC USEC_PER_SEC
#define MS  USEC_PER_MSEC

static struct {
    struct gate gate;
    mono_t now;
    uint8_t init[INIT_LEN], cookie[COOKIE_BODY_LEN];
    struct i3_id id;
} t;

static void setup(void)
{
    uint8_t seed[BLAKE2S_LEN];
    fill_key(seed, 9);
    gate_init(&t.gate, seed);
    t.now = (mono_t){1000 * SEC};
    fill_key(t.init, 1);
    fill_key(t.init + INIT_NOISE_LEN, 2);
    fill_key(t.id.b, 3);
    init_set_return(t.init, NULL, NULL);
}

static enum gate_verdict give(void)
{
    return gate_input(&t.gate, t.now, t.init, t.cookie);
}

static unsigned give_many(unsigned n)
{
    unsigned read = 0;
    while (n--)
        read += give() == GATE_READ;
    return read;
}

static void load(void)
{
    init_set_return(t.init, NULL, NULL);
    give_many(GATE_FREE_PER_S + 1);
    ck_assert(gate_is_loaded(&t.gate, t.now));
}

/* An INIT of that sender with the cookie which it gets. */
static void show(uint8_t n)
{
    t.id.b[0] = n;
    init_set_return(t.init, &t.id, NULL);
    ck_assert_int_eq(give(), GATE_ANSWER);
    init_set_return(t.init, &t.id, t.cookie + MAC_LEN);
}

START_TEST(without_load_everybody_is_read)
{
    for (unsigned i = 0; i < 10; i++) {
        ck_assert_uint_eq(give_many(GATE_FREE_PER_S), GATE_FREE_PER_S);
        ck_assert(!gate_is_loaded(&t.gate, t.now));
        t.now = mono_add(t.now, SEC);
    }
    init_set_return(t.init, &t.id, (uint8_t[MAC_LEN]){"a stale cookie"});
    ck_assert_int_eq(give(), GATE_READ);
}
END_TEST

START_TEST(under_load_a_cookie_opens)
{
    load();
    ck_assert_int_eq(give(), GATE_DROP); /* no way back: not a word */
    init_set_return(t.init, &t.id, NULL);
    ck_assert_int_eq(give(), GATE_ANSWER);
    ck_assert_mem_eq(t.cookie, init_mac1(t.init), MAC_LEN);
    init_set_return(t.init, &t.id, t.cookie + MAC_LEN);
    ck_assert_int_eq(give(), GATE_READ);
}
END_TEST

START_TEST(a_cookie_is_one_senders)
{
    uint8_t cookie[MAC_LEN];
    load();
    show(1);
    memcpy(cookie, t.cookie + MAC_LEN, MAC_LEN);
    ck_assert_int_eq(give(), GATE_READ);
    t.id.b[ID_LEN - 1] ^= 1; /* the prefix is what has a trigger: sessions of one daemon share it */
    init_set_return(t.init, &t.id, cookie);
    ck_assert_int_eq(give(), GATE_READ);
    for (unsigned i = 0; i < ID_PREFIX_LEN; i++) {
        t.id.b[i] ^= 1;
        init_set_return(t.init, &t.id, cookie);
        ck_assert_int_eq(give(), GATE_ANSWER);
        t.id.b[i] ^= 1;
    }
    init_set_return(t.init, &t.id, cookie);
    for (unsigned at = 0; at < INIT_LEN; at++) { /* and for one INIT */
        t.init[at] ^= 0x20;
        ck_assert_int_eq(give(), GATE_ANSWER);
        t.init[at] ^= 0x20;
    }
    ck_assert_int_eq(give(), GATE_READ);
}
END_TEST

static const struct {
    uint64_t after;
    enum gate_verdict want;
} age_case[] = {{0, GATE_READ}, {GATE_EPOCH - SEC, GATE_READ}, {GATE_EPOCH, GATE_READ}, {2 * GATE_EPOCH, GATE_ANSWER}, {9 * GATE_EPOCH, GATE_ANSWER}};

START_TEST(a_cookie_holds_for_an_epoch_and_not_for_ever)
{
    uint8_t mine[INIT_LEN];
    load();
    show(1);
    memcpy(mine, t.init, INIT_LEN);
    t.now = mono_add(t.now, age_case[_i].after);
    load();
    memcpy(t.init, mine, INIT_LEN);
    ck_assert_int_eq(give(), age_case[_i].want);
}
END_TEST

/* Whoever shows where he is may ask twenty times a second, and that is nobody else's. */
START_TEST(senders_with_a_cookie_do_not_hurt_each_other)
{
    uint8_t one[INIT_LEN];
    load();
    show(1);
    memcpy(one, t.init, INIT_LEN);
    ck_assert_uint_eq(give_many(1000), GATE_EACH_BURST);
    show(2);
    ck_assert_int_eq(give(), GATE_READ);
    t.now = mono_add(t.now, SEC);
    load();
    memcpy(t.init, one, INIT_LEN);
    ck_assert_uint_eq(give_many(1000), GATE_EACH_PER_S);
}
END_TEST

START_TEST(load_ends_with_the_flood)
{
    load();
    t.now = mono_add(t.now, SEC);
    ck_assert_uint_eq(give_many(2 * GATE_FREE_PER_S), 0); /* no fresh budget for each second */
    t.now = mono_add(t.now, SEC);
    ck_assert_uint_eq(give_many(10), 0);
    t.now = mono_add(t.now, SEC);
    ck_assert_uint_eq(give_many(10), 10); /* few in the last one */
    load();
    t.now = mono_add(t.now, 5 * SEC);
    ck_assert(!gate_is_loaded(&t.gate, t.now));
    ck_assert_uint_eq(give_many(10), 10);
}
END_TEST

/* Those with a good mac2 are no load: a server whose many clients come back at once does not lock out itself. */
START_TEST(shown_senders_are_no_load)
{
    load();
    show(5);
    for (unsigned i = 0; i < 3; i++) {
        give_many(GATE_FREE_PER_S);
        t.now = mono_add(t.now, SEC);
    }
    ck_assert(!gate_is_loaded(&t.gate, t.now));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("i3/cookie");
    TCase *c = tcase_create("cookie");
    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_test(c, without_load_everybody_is_read);
    tcase_add_test(c, under_load_a_cookie_opens);
    tcase_add_test(c, a_cookie_is_one_senders);
    tcase_add_loop_test(c, a_cookie_holds_for_an_epoch_and_not_for_ever, 0, ARRAY_LEN(age_case));
    tcase_add_test(c, senders_with_a_cookie_do_not_hurt_each_other);
    tcase_add_test(c, load_ends_with_the_flood);
    tcase_add_test(c, shown_senders_are_no_load);
    suite_add_tcase(s, c);
    return suite_run(s);
}
