/* Private ids on near nodes: a ring of nodes at different distances is played here. */
#include <check.h>
#include <errno.h>

#include "daemon/base/id.h"
#include "daemon/i3/sampler.h"
#include "tests/lib/suite.h"

#define MS  USEC_PER_MSEC
#define SEC USEC_PER_SEC

enum { N = 32 };

static struct sampler *s;
static struct outbox out;
static mono_t now;
static uint64_t rtt[N]; /* of the node that owns ids whose first byte is i modulo n */
static unsigned n, questions;
static bool deaf[N];
static uint8_t pub[KEY_LEN];

static struct addr address(unsigned i)
{
    return addr_v4(0xc0000200 + i, 5610);
}

/* Answers come after their time, one is under way at most. */
static struct {
    mono_t at;
    struct addr from;
    uint8_t p[OWNER_LEN];
    size_t len; /* 0: none */
} coming;

static void answer(const struct dgram *d)
{
    uint8_t nonce[NONCE_LEN], prefix[ID_PREFIX_LEN];
    uint64_t number;
    unsigned who = 0;
    questions++;
    while (who < n && !({ struct addr a = address(who); addr_eq(&a, &d->to); }))
        who++;
    ck_assert_uint_lt(who, n);
    coming.at = mono_add(now, rtt[who]);
    coming.from = d->to;
    if (ping_decode(d->data, d->len, WIRE_PING, nonce) == 0) {
        coming.len = deaf[who] ? 0 : ping_encode(coming.p, sizeof(coming.p), WIRE_PONG, nonce);
        return;
    }
    ck_assert_int_eq(lookup_decode(d->data, d->len, &number, prefix), 0);
    ck_assert_uint_eq(who, 0);
    struct wire_owner o = {.seconds = 30, .nonce = number, .owner = address(prefix[0] % n)};
    if (prefix[0] % n == 0)
        o.owner = addr_v4(0, 0), o.flags = OWNER_SELF;
    memcpy(o.prefix, prefix, ID_PREFIX_LEN);
    coming.len = owner_encode(coming.p, sizeof(coming.p), &o);
}

static void pass(uint64_t us)
{
    for (mono_t end = mono_add(now, us); now.us < end.us; now = mono_add(now, MS)) {
        if (coming.len && mono_due(coming.at, now)) {
            size_t len = coming.len;
            coming.len = 0;
            ck_assert_int_eq(sampler_input(s, now, &coming.from, coming.p, len), 0);
        }
        if (mono_due(sampler_deadline(s), now))
            sampler_output(s, now, &out);
        ck_assert_uint_le(out.n, 1);
        if (out.n)
            answer(&out.v[0]);
        outbox_clear(&out);
    }
}

static unsigned owner_of(const uint8_t key[KEY_LEN])
{
    struct i3_id id;
    id_of_key(&id, key, NULL);
    return id.b[0] % n;
}

static void start(unsigned nodes, uint8_t seed)
{
    struct addr home = address(0);
    uint8_t priv[KEY_LEN] = {seed, 7};
    n = nodes;
    now = (mono_t){SEC};
    questions = 0;
    coming.len = 0;
    for (unsigned i = 0; i < N; i++)
        rtt[i] = 10 * MS + (i * 37 % 32) * 5 * MS, deaf[i] = false;
    x25519_public(pub, priv);
    struct i3_id id;
    id_of_key(&id, pub, NULL);
    s = sampler_new(now, id.b, (uint8_t[32]){seed});
    sampler_set_home(s, now, &home);
    outbox_clear(&out);
}

/* The key in use after a round; its owner. */
static unsigned settle(void)
{
    uint8_t priv[KEY_LEN], next[KEY_LEN], check[KEY_LEN];
    pass(20 * SEC);
    if (sampler_take(s, priv, next)) {
        x25519_public(check, priv);
        ck_assert_mem_eq(check, next, KEY_LEN);
        memcpy(pub, next, KEY_LEN);
    }
    ck_assert(!sampler_take(s, priv, next));
    return owner_of(pub);
}

START_TEST(sampled_ids_are_much_nearer)
{
    uint64_t without = 0, with = 0;
    for (uint8_t seed = 0; seed < 20; seed++) {
        start(N, seed);
        without += rtt[owner_of(pub)];
        with += rtt[settle()];
        sampler_free(s);
    }
    ck_assert_msg(with * 3 <= without, "mean %llu ms instead of %llu", (unsigned long long)(with / 20 / MS),
        (unsigned long long)(without / 20 / MS));
}
END_TEST

START_TEST(a_round_is_bounded_and_rest_is_quiet)
{
    start(N, 3);
    settle();
    ck_assert_uint_le(questions, (SAMPLER_KEYS + 1) * (1 + SAMPLER_PINGS));
    struct sampler_info info;
    sampler_info(s, &info);
    ck_assert_uint_le(info.keys, SAMPLER_KEYS);
    questions = 0;
    pass(600 * SEC);
    ck_assert_uint_le(questions, 600 / 180 * (1 + SAMPLER_PINGS));
    sampler_free(s);
}
END_TEST

START_TEST(with_one_node_there_is_no_choice)
{
    uint8_t key[KEY_LEN];
    start(1, 4);
    pass(20 * SEC);
    ck_assert_uint_le(questions, SAMPLER_ENOUGH + 1 + SAMPLER_PINGS);
    ck_assert(!sampler_take(s, key, key));
    sampler_free(s);
}
END_TEST

START_TEST(an_owner_that_has_become_far_is_left)
{
    start(N, 5);
    unsigned owner = settle();
    rtt[owner] = 400 * MS; /* the same one, with more to do: no reason */
    pass(SAMPLER_CHECK * 3);
    unsigned before = questions;
    ck_assert_uint_lt(before, 200);
    sampler_free(s);

    start(N, 5);
    owner = settle();
    n = N - 1; /* the ring has changed: other owners */
    for (unsigned i = 1; i < N; i++)
        rtt[i] = owner_of(pub) == i ? 400 * MS : 20 * MS;
    pass(SAMPLER_CHECK * 2);
    ck_assert_uint_lt(rtt[settle()], 400 * MS);
    sampler_free(s);
}
END_TEST

START_TEST(owners_without_an_answer_do_not_count)
{
    start(N, 6);
    for (unsigned i = 0; i < N; i++)
        deaf[i] = i % 2 != 0 || rtt[i] < 60 * MS; /* also the nearest */
    pass(100 * SEC);
    unsigned owner = settle();
    ck_assert(!deaf[owner]);
    sampler_free(s);
}
END_TEST

START_TEST(another_network_begins_anew)
{
    start(N, 7);
    settle();
    for (unsigned i = 1; i < N; i++)
        rtt[i] = i == owner_of(pub) ? 300 * MS : 15 * MS;
    sampler_restart(s, now);
    ck_assert_uint_eq(rtt[settle()], 15 * MS);
    sampler_free(s);
}
END_TEST

START_TEST(answers_to_nothing_are_refused)
{
    uint8_t p[OWNER_LEN], nonce[NONCE_LEN] = {1};
    struct addr home = address(0), stranger = address(9);
    start(N, 8);
    struct wire_owner o = {.seconds = 30, .nonce = 5, .owner = stranger};
    size_t len = owner_encode(p, sizeof(p), &o);
    ck_assert_int_eq(sampler_input(s, now, &home, p, len), -EPROTO);
    now = mono_add(now, 5 * SEC);
    sampler_output(s, now, &out);
    ck_assert_uint_eq(out.n, 1);
    ck_assert_int_eq(sampler_input(s, now, &home, p, len), -EPROTO);
    uint8_t prefix[ID_PREFIX_LEN];
    ck_assert_int_eq(lookup_decode(out.v[0].data, out.v[0].len, &o.nonce, prefix), 0);
    len = owner_encode(p, sizeof(p), &o);
    ck_assert_int_eq(sampler_input(s, now, &stranger, p, len), -EPROTO);
    ck_assert_int_eq(sampler_input(s, now, &home, p, len), 0);
    ck_assert_int_eq(sampler_input(s, now, &home, p, len), -EPROTO);
    len = ping_encode(p, sizeof(p), WIRE_PONG, nonce);
    ck_assert_int_eq(sampler_input(s, now, &stranger, p, len), -EPROTO);
    sampler_free(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("i3/sampler");
    TCase *t = tcase_create("sampler");
    tcase_add_test(t, sampled_ids_are_much_nearer);
    tcase_add_test(t, a_round_is_bounded_and_rest_is_quiet);
    tcase_add_test(t, with_one_node_there_is_no_choice);
    tcase_add_test(t, an_owner_that_has_become_far_is_left);
    tcase_add_test(t, owners_without_an_answer_do_not_count);
    tcase_add_test(t, another_network_begins_anew);
    tcase_add_test(t, answers_to_nothing_are_refused);
    suite_add_tcase(suite, t);
    return suite_run(suite);
}
