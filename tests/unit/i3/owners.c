/* Where packets for an id go: by the home node at first, straight to the owner then, and round an owner that falls silent. */
#include <check.h>

#include "daemon/i3/owners.h"
#include "tests/lib/suite.h"

#define MS  USEC_PER_MSEC
#define SEC USEC_PER_SEC

static struct owners *os;
static struct outbox out;
static mono_t now;
static struct addr home, owner, stranger;
static struct i3_id id;

static void setup(void)
{
    os = owners_new((uint8_t[BLAKE2S_LEN]){5});
    now = (mono_t){SEC};
    home = addr_v4(0xc0000201, 5610);
    owner = addr_v4(0xc0000202, 5610);
    stranger = addr_v4(0xc0000203, 5610);
    memset(&id, 0x33, sizeof(id));
    owners_set_home(os, &home);
    outbox_clear(&out);
    owners_output(os, now, &out);
}

static void teardown(void)
{
    owners_free(os);
}

/* Time goes by in small steps, as long as packets are sent or not. */
static void pass(uint64_t us, bool sending)
{
    for (uint64_t step = 10 * MS; us >= step; us -= step) {
        now = mono_add(now, step);
        if (sending)
            owners_node(os, &id);
        owners_output(os, now, &out);
    }
}

static bool goes_to(const struct addr *a)
{
    return addr_eq(owners_node(os, &id), a);
}

/* The nonce of the last LOOKUP pushed; 0: none. */
static uint64_t asked(void)
{
    uint64_t nonce = 0, n;
    uint8_t prefix[ID_PREFIX_LEN];
    for (unsigned i = 0; i < out.n; i++)
        if (addr_eq(&out.v[i].to, &home) && lookup_decode(out.v[i].data, out.v[i].len, &n, prefix) == 0 &&
            !memcmp(prefix, id.b, ID_PREFIX_LEN))
            nonce = n;
    outbox_clear(&out);
    return nonce;
}

static int answer(const struct addr *from, uint64_t nonce, const struct addr *who)
{
    uint8_t p[OWNER_LEN];
    struct wire_owner o = {.seconds = 30, .nonce = nonce, .owner = who ? *who : addr_v4(0, 0), .flags = who ? 0 : OWNER_SELF};
    memcpy(o.prefix, id.b, ID_PREFIX_LEN);
    return owners_input(os, now, from, p, owner_encode(p, sizeof(p), &o));
}

static void learn(const struct addr *who)
{
    owners_node(os, &id);
    pass(10 * MS, true);
    uint64_t nonce = asked();
    ck_assert_uint_ne(nonce, 0);
    ck_assert_int_eq(answer(&home, nonce, who), 0);
}

/* Every PING to the owner is answered. */
static void pong(void)
{
    for (unsigned i = 0; i < out.n; i++) {
        uint8_t nonce[NONCE_LEN], p[PING_LEN];
        if (addr_eq(&out.v[i].to, &owner) && ping_decode(out.v[i].data, out.v[i].len, WIRE_PING, nonce) == 0)
            owners_input(os, now, &owner, p, ping_encode(p, sizeof(p), WIRE_PONG, nonce));
    }
}

START_TEST(the_first_packet_goes_home_and_the_second_to_the_owner)
{
    ck_assert(goes_to(&home));
    learn(&owner);
    ck_assert(goes_to(&owner));
    ck_assert_uint_eq(owners_known(os), 1);
    ck_assert(owners_has(os, &owner) && owners_has(os, &home) && !owners_has(os, &stranger));
}
END_TEST

START_TEST(who_is_asked_by_tcp_names_somebody_to_be_reached_by_tcp)
{
    struct addr by_udp = home;
    home.via = ADDR_TCP;
    owners_set_home(os, &home);
    learn(&owner);
    ck_assert(!goes_to(&owner));
    owner.via = ADDR_TCP;
    ck_assert(goes_to(&owner));
    pass(10 * MS, true);
    home = by_udp; /* another way, another home: all is asked anew */
    owners_set_home(os, &home);
    ck_assert(goes_to(&home));
}
END_TEST

START_TEST(a_home_node_that_owns_it_itself_is_the_way)
{
    learn(NULL);
    ck_assert(goes_to(&home));
    ck_assert_uint_eq(owners_known(os), 0);
}
END_TEST

START_TEST(only_the_answer_to_the_question_counts)
{
    owners_node(os, &id);
    pass(10 * MS, true);
    uint64_t nonce = asked();
    ck_assert_int_eq(answer(&stranger, nonce, &owner), -EPROTO);
    ck_assert_int_eq(answer(&home, nonce + 2, &owner), -EPROTO);
    ck_assert_int_eq(answer(&home, 0, &owner), -EPROTO);
    ck_assert(goes_to(&home));
    ck_assert_int_eq(answer(&home, nonce, &owner), 0);
    ck_assert_int_eq(answer(&home, nonce, &stranger), -EPROTO); /* once */
    ck_assert(goes_to(&owner));
}
END_TEST

START_TEST(a_question_that_was_lost_is_repeated)
{
    owners_node(os, &id);
    pass(10 * MS, true);
    uint64_t first = asked();
    pass(400 * MS, true);
    ck_assert_uint_eq(asked(), first);
}
END_TEST

START_TEST(a_silent_owner_is_left_after_about_a_second_and_shunned)
{
    learn(&owner);
    pass(1100 * MS, true);
    ck_assert(goes_to(&home));
    outbox_clear(&out);
    pass(300 * MS, true);
    uint64_t nonce = asked();
    ck_assert_uint_ne(nonce, 0);
    answer(&home, nonce, &owner); /* who does not know yet */
    ck_assert(goes_to(&home));
    pass(600 * MS, true);
    nonce = asked();
    answer(&home, nonce, &stranger);
    ck_assert(goes_to(&stranger));
}
END_TEST

START_TEST(an_owner_that_answers_stays_and_is_asked_for_again)
{
    learn(&owner);
    bool again = false;
    for (unsigned i = 0; i < 6000; i++) {
        pass(10 * MS, true);
        pong();
        uint64_t nonce = asked();
        if (nonce) {
            again = true;
            answer(&home, nonce, &owner);
        }
        ck_assert(goes_to(&owner));
    }
    ck_assert(again);
}
END_TEST

START_TEST(nobody_is_asked_about_what_nobody_uses)
{
    learn(&owner);
    pass(10 * MS, true);
    outbox_clear(&out);
    pass(60 * SEC, false); /* once more, for it was used since it was asked for */
    ck_assert_uint_le(out.n, 10);
    outbox_clear(&out);
    pass(60 * SEC, false);
    ck_assert_uint_eq(out.n, 0);
    ck_assert_uint_eq(owners_known(os), 0);
}
END_TEST

START_TEST(a_home_node_without_an_answer_is_silent)
{
    owners_node(os, &id);
    pass(2 * SEC, true);
    ck_assert(!owners_home_silent(os, now));
    pass(6 * SEC, true);
    ck_assert(owners_home_silent(os, now));
    owners_set_home(os, &stranger);
    ck_assert(!owners_home_silent(os, now));
    ck_assert(goes_to(&stranger));
}
END_TEST

START_TEST(the_table_is_bounded)
{
    for (unsigned i = 0; i < 100000; i++) {
        struct i3_id x = {{(uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16)}};
        ck_assert(addr_eq(owners_node(os, &x), &home));
    }
    outbox_clear(&out);
    owners_output(os, now, &out);
    ck_assert_uint_le(out.n + out.dropped, OWNERS_PREFIXES);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("i3/owners");
    TCase *t = tcase_create("owners");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_first_packet_goes_home_and_the_second_to_the_owner);
    tcase_add_test(t, who_is_asked_by_tcp_names_somebody_to_be_reached_by_tcp);
    tcase_add_test(t, a_home_node_that_owns_it_itself_is_the_way);
    tcase_add_test(t, only_the_answer_to_the_question_counts);
    tcase_add_test(t, a_question_that_was_lost_is_repeated);
    tcase_add_test(t, a_silent_owner_is_left_after_about_a_second_and_shunned);
    tcase_add_test(t, an_owner_that_answers_stays_and_is_asked_for_again);
    tcase_add_test(t, nobody_is_asked_about_what_nobody_uses);
    tcase_add_test(t, a_home_node_without_an_answer_is_silent);
    tcase_add_test(t, the_table_is_bounded);
    suite_add_tcase(s, t);
    return suite_run(s);
}
