/* What an operator's limits do to datagrams: packets per second of a source and to a trigger, and a store that is full. Virtual time. */
#include "daemon/node/rate.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "daemon/node/store.h"
#include "tests/lib/node_host.h"
#include "tests/lib/suite.h"

#define SEC USEC_PER_SEC

static struct node *node;
static struct node_config config;
static struct outbox *out;
static struct host *alice, *bob, *carol;
static mono_t t0;

static mono_t after(double seconds)
{
    return mono_add(t0, (uint64_t)(seconds * 1e6));
}

static void restart(void)
{
    node_free(node);
    node = node_new(&config, t0);
    ck_assert_ptr_nonnull(node);
    alice->node = bob->node = carol->node = node;
}

static void setup(void)
{
    struct host **host[] = {&alice, &bob, &carol};
    t0 = (mono_t){1000 * SEC};
    out = calloc(1, sizeof(*out));
    node_config_default(&config);
    config.triggers_max = 2000;
    config.seed[0] = 1;
    for (unsigned i = 0; i < 3; i++) {
        *host[i] = calloc(1, sizeof(struct host));
        host_init(*host[i], NULL, out, i);
    }
    node = NULL;
}

static void teardown(void)
{
    node_free(node);
    free(alice);
    free(bob);
    free(carol);
    free(out);
}

static struct node_stats stats(void)
{
    struct node_stats s;
    node_stats(node, &s);
    return s;
}

/* What became of a stream of packets. */
struct tally {
    unsigned sent, passed, told;
    uint64_t told_seq;
};

/* `h` sends to id at that rate, from .. until seconds. */
static struct tally stream(struct host *h, const struct i3_id *id, double from, double until, unsigned per_s)
{
    struct tally y = {0};
    for (uint64_t us = 0; us < (uint64_t)((until - from) * 1e6); us += SEC / per_s, y.sent++) {
        host_data(h, mono_add(after(from), us), 16, id, 1, "x");
        for (unsigned i = 0; i < h->out->n; i++) {
            const struct dgram *d = &h->out->v[i];
            struct wire_refused r;
            y.passed += wire_kind(d->data, d->len) == WIRE_DATA;
            if (!refused_decode(d->data, d->len, &r)) {
                ck_assert(addr_eq(&d->to, &h->addr));
                ck_assert_int_eq(r.reason, REFUSED_RATE);
                y.told++;
                y.told_seq = r.seq;
            }
        }
    }
    return y;
}

static void keep(struct host *h, struct held *t, double until)
{
    ck_assert_int_eq(host_insert(h, after(until), t, NULL, 0), 30);
}

static void within(unsigned got, double want, double part)
{
    ck_assert_msg((double)got >= want * (1 - part) && (double)got <= want * (1 + part), "%u, not %.0f", got, want);
}

/* ---- buckets ---- */

START_TEST(a_bucket_passes_its_rate)
{
    static const uint32_t rates[] = {10, 100, 1000, 30000, 1000000, RATE_PER_SECOND_MAX};
    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        struct rates r;
        bool tell;
        uint64_t passed = 0, told = 0, burst = rates[i] / 20 > RATE_DEPTH ? rates[i] / 20 : RATE_DEPTH;
        ck_assert_int_eq(rates_init(&r, rates[i], 4, false), 0);
        /* twice the rate, in trains of 20, for 100 s or 20,000,000 packets */
        uint64_t steps = rates[i] <= 10000 ? 100ull * rates[i] / 10 : 1000000;
        for (uint64_t k = 0; k < steps; k++) {
            mono_t now = mono_add(t0, k * 10 * SEC / rates[i]);
            passed += rates_take(&r, 1, now, 20, &tell);
            told += tell;
        }
        uint64_t want = burst + steps * 10;
        ck_assert_msg(passed <= want + want / 200 && passed >= want - want / 20, "%u/s: %llu of %llu", rates[i],
            (unsigned long long)passed, (unsigned long long)want);
        ck_assert_uint_eq(told, 1);
        ck_assert_uint_eq(rates_take(&r, 2, t0, 20, &tell), 20); /* another's */
        rates_fini(&r);
    }
}
END_TEST

START_TEST(who_slows_down_may_be_told_again)
{
    struct rates r;
    bool tell;
    ck_assert_int_eq(rates_init(&r, 100, 1, false), 0);
    for (unsigned round = 0; round < 3; round++) {
        mono_t now = mono_add(t0, round * 10 * SEC);
        ck_assert_uint_eq(rates_take(&r, 0, now, 1000, &tell), RATE_DEPTH);
        ck_assert(tell);
        ck_assert_uint_eq(rates_take(&r, 0, mono_add(now, SEC / 2), 1000, &tell), 50);
        ck_assert(!tell);
        ck_assert_uint_eq(rates_take(&r, 0, mono_add(now, SEC), 10, &tell), 10); /* not so fast, yet not empty */
        ck_assert_uint_eq(rates_take(&r, 0, mono_add(now, SEC), 1000, &tell), 40);
        ck_assert(!tell);
    }
    rates_fini(&r);
}
END_TEST

START_TEST(a_spared_source_has_no_limit_for_a_while)
{
    struct rates r;
    bool tell;
    ck_assert_int_eq(rates_init(&r, 10, 16, true), 0);
    rates_spare(&r, 3, mono_add(t0, 5 * SEC));
    ck_assert_uint_eq(rates_take(&r, 3, t0, 5000, &tell), 5000);
    ck_assert(!tell);
    ck_assert_uint_eq(rates_take(&r, 4, t0, 5000, &tell), RATE_DEPTH);
    ck_assert_uint_eq(rates_take(&r, 3, mono_add(t0, 6 * SEC), 5000, &tell), RATE_DEPTH);
    rates_fini(&r);
}
END_TEST

/* ---- in the node ---- */

START_TEST(packets_to_one_trigger_are_limited_and_the_sender_is_told_once)
{
    struct held t = {0}, other = {0};
    config.rate_per_trigger = 200;
    restart();
    held_id(&t, bob, 0, 256);
    held_id(&other, bob, 1, 256);
    keep(bob, &t, 0);
    keep(bob, &other, 0);
    struct tally y = stream(alice, &t.id, 0, 25, 1000);
    within(y.passed, 200 * 25 + RATE_DEPTH, 0.05);
    ck_assert_uint_eq(y.told, 1);
    struct reader r = reader_of(t.id.b, 8);
    ck_assert_uint_eq(y.told_seq, get_u64(&r));
    ck_assert_uint_eq(stats().trigger_drops, y.sent - y.passed);
    y = stream(carol, &other.id, 25, 26, 150); /* another trigger, below the rate */
    ck_assert_uint_eq(y.passed, y.sent);
}
END_TEST

START_TEST(packets_of_one_source_are_limited_whatever_its_port)
{
    struct held t = {0};
    config.rate_per_source = 500;
    restart();
    held_id(&t, bob, 0, 256);
    keep(bob, &t, 0);
    struct tally a = {0};
    for (unsigned port = 0; port < 20; port++) {
        alice->addr.port++;
        struct tally y = stream(alice, &t.id, port, port + 1, 2000);
        a.passed += y.passed;
        a.told += y.told;
    }
    within(a.passed, 500 * 20 + RATE_DEPTH, 0.05);
    ck_assert_uint_eq(a.told, 1);
    struct tally c = stream(carol, &t.id, 20, 22, 400);
    ck_assert_uint_eq(c.passed, c.sent);
}
END_TEST

START_TEST(without_limits_nothing_is_dropped)
{
    struct held t = {0};
    restart();
    held_id(&t, bob, 0, 256);
    keep(bob, &t, 0);
    struct tally y = stream(alice, &t.id, 0, 1, 100000);
    ck_assert_uint_eq(y.passed, y.sent);
    ck_assert_uint_eq(y.told, 0);
}
END_TEST

START_TEST(of_a_train_the_first_datagrams_pass)
{
    static uint8_t train[40 * 100];
    static const char text[63] = "its payload";
    struct held t = {0};
    config.rate_per_trigger = 10;
    restart();
    held_id(&t, bob, 0, 256);
    keep(bob, &t, 0);
    for (unsigned part = 0; part < 2; part++) {
        unsigned passed = 0;
        for (unsigned i = 0; i < 40; i++)
            ck_assert_uint_eq(data_packet(train + 100 * i, 100, 16, &t.id, 1, text, sizeof(text)), 100);
        struct train_in in = {.from = alice->addr, .p = train, .len = 4000, .size = 100};
        outbox_clear(out);
        while (in.len)
            node_look(node, 0, t0, &in, out);
        for (unsigned i = 0; i < out->n; i++)
            if (wire_kind(out->v[i].data, out->v[i].len) == WIRE_DATA)
                passed += (out->v[i].len + 99) / 100;
        ck_assert_uint_eq(passed, part ? RATE_DEPTH - 40 : 40);
    }
    ck_assert_uint_eq(stats().trigger_drops, 80 - RATE_DEPTH);
}
END_TEST

/* A trigger of each of n hosts, each at an address of its own. How many were stored; why the first was not. */
static unsigned crowd(unsigned first, unsigned n, double at, unsigned *why)
{
    unsigned stored = 0;
    *why = 0;
    for (unsigned i = first; i < first + n; i++) {
        struct host *h = calloc(1, sizeof(*h));
        struct held t = {0};
        host_init(h, node, out, 1000 + i);
        held_id(&t, h, 0, 256);
        if (host_insert(h, after(at), &t, NULL, 0) == 30)
            stored++;
        else if (!*why)
            *why = host_refused(h);
        free(h);
    }
    return stored;
}

START_TEST(a_full_store_refuses_the_new_and_keeps_the_old)
{
    struct held t = {0};
    unsigned why;
    config.triggers_max = 20;
    restart();
    held_id(&t, bob, 0, 256);
    keep(bob, &t, 0);
    ck_assert_uint_eq(crowd(0, 30, 0, &why), 19);
    ck_assert_uint_eq(why, REFUSED_FULL);
    ck_assert_uint_eq(stats().full, 11);
    ck_assert_int_eq(host_refresh(bob, after(20), &t, 0), 30);
    ck_assert_uint_eq(stream(alice, &t.id, 40, 41, 10).passed, 10);
    ck_assert_uint_eq(crowd(100, 5, 41, &why), 5); /* the others' have expired */
}
END_TEST

START_TEST(a_flooding_source_leaves_room_for_others)
{
    struct held t = {0};
    unsigned why, stored = 0, reason = 0;
    config.triggers_max = 64;
    restart();
    for (uint64_t i = 0; i < 200; i++) {
        held_id(&t, carol, i, 256);
        if (host_insert(carol, t0, &t, NULL, 0) == 30)
            stored++;
        else
            reason = host_refused(carol);
    }
    ck_assert_uint_lt(stored, 64);
    ck_assert_uint_eq(reason, REFUSED_POLICY);
    ck_assert_uint_ge(crowd(0, 16, 0, &why), 16);
}
END_TEST

START_TEST(a_store_takes_what_it_says)
{
    uint64_t small = store_memory(1000), large = store_memory(1000000);
    ck_assert_uint_lt(small, large);
    ck_assert_uint_lt(large, 400u << 20);
    ck_assert_uint_ge(large, 1000000ull * sizeof(struct trigger));
    for (uint32_t n = 1; n < 1u << 27; n += n / 3 + 1)
        ck_assert_uint_le(store_memory(n), store_memory(n + n / 3 + 1));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("node/limits");
    TCase *t = tcase_create("limits");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_bucket_passes_its_rate);
    tcase_add_test(t, who_slows_down_may_be_told_again);
    tcase_add_test(t, a_spared_source_has_no_limit_for_a_while);
    tcase_add_test(t, packets_to_one_trigger_are_limited_and_the_sender_is_told_once);
    tcase_add_test(t, packets_of_one_source_are_limited_whatever_its_port);
    tcase_add_test(t, without_limits_nothing_is_dropped);
    tcase_add_test(t, of_a_train_the_first_datagrams_pass);
    tcase_add_test(t, a_full_store_refuses_the_new_and_keeps_the_old);
    tcase_add_test(t, a_flooding_source_leaves_room_for_others);
    tcase_add_test(t, a_store_takes_what_it_says);
    suite_add_tcase(s, t);
    return suite_run(s);
}
