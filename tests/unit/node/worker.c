/* Datagrams by the train, and several threads' work on one node: looking and acting, here in turns. Virtual time. */
#include "daemon/node/node.h"

#include "tests/lib/node_host.h"
#include "tests/lib/suite.h"

enum { HOSTS = 8, SIZE = 200, SEGMENTS = 80 };

static struct node *node;
static struct node_config config;
static struct outbox *out;
static struct host *hosts;
static mono_t t0;
static uint8_t train[SEGMENTS * SIZE];

static void restart(unsigned workers)
{
    node_free(node);
    config.workers = workers;
    node = node_new(&config, t0);
    ck_assert_ptr_nonnull(node);
    for (unsigned i = 0; i < HOSTS; i++)
        host_init(&hosts[i], node, out, i);
}

static void setup(void)
{
    t0 = (mono_t){1000 * USEC_PER_SEC};
    out = calloc(1, sizeof(*out));
    hosts = calloc(HOSTS, sizeof(*hosts));
    node_config_default(&config);
    config.triggers_max = 2000;
    restart(1);
}

static void teardown(void)
{
    node_free(node);
    node = NULL;
    free(hosts);
    free(out);
}

static mono_t after(double seconds)
{
    return mono_add(t0, (uint64_t)(seconds * 1e6));
}

static struct node_stats stats(void)
{
    struct node_stats s;
    node_stats(node, &s);
    return s;
}

static struct held insert(struct host *h, mono_t now, uint64_t suffix, const struct i3_id *ids, unsigned n)
{
    struct held t = {0};
    held_id(&t, h, suffix, 256);
    ck_assert_int_eq(host_insert(h, now, &t, ids, n), 30);
    return t;
}

/* n packets of SIZE bytes for one id. */
static struct train_in packets(const struct i3_id *id, unsigned n)
{
    uint8_t payload[SIZE] = {0};
    for (unsigned i = 0; i < n; i++) {
        payload[0] = (uint8_t)i;
        data_packet(train + i * SIZE, SIZE, 9, id, 1, payload, SIZE - DATA_HEADER_LEN);
    }
    return (struct train_in){.from = hosts[0].addr, .p = train, .len = n * SIZE, .size = SIZE, .ecn = 2};
}

static void look(unsigned worker, mono_t now, struct train_in *t)
{
    outbox_clear(out);
    while (t->len && !node_deeds(node, worker))
        node_look(node, worker, now, t, out);
}

/* One packet of a host's. */
static void look_one(unsigned worker, mono_t now, const struct host *h, uint8_t *p, size_t len)
{
    struct train_in t = {.from = h->addr, .p = p, .len = len, .size = len};
    look(worker, now, &t);
    ck_assert_uint_eq(t.len, 0);
}

static void act(unsigned worker, mono_t now)
{
    outbox_clear(out);
    node_act(node, worker, now, out);
    ck_assert_uint_eq(node_deeds(node, worker), 0);
}

/* ---- trains ---- */

START_TEST(a_train_goes_on_as_one)
{
    struct held t = insert(&hosts[1], t0, 1, NULL, 0);
    uint64_t in = stats().in;
    struct train_in p = packets(&t.id, 10);
    p.len -= 50; /* the last one is shorter */
    look(0, t0, &p);
    ck_assert_uint_eq(out->n, 1);
    ck_assert(addr_eq(&out->v[0].to, &hosts[1].addr));
    ck_assert_ptr_eq(out->v[0].data, train);
    ck_assert_uint_eq(out->v[0].len, 10 * SIZE - 50);
    ck_assert_uint_eq(out->v[0].size, SIZE);
    ck_assert_uint_eq(out->v[0].ecn, 2);
    for (unsigned i = 0; i < 10; i++)
        ck_assert_uint_eq(train[i * SIZE + 2], 8);
    ck_assert_uint_eq(stats().forwarded, 10);
    ck_assert_uint_eq(stats().in - in, 10);
}
END_TEST

/* What parts one from another, byte `at` of the 5th of 10 packets: 4, then the rest, which is 1 and 5, or all others. */
START_TEST(a_train_parts_where_headers_do)
{
    static const struct {
        unsigned at;
        uint8_t value;
        unsigned entries, forwarded;
    } v[] = {
        {2, 5, 3, 10},    /* hops */
        {1, 1, 3, 10},    /* flags */
        {4, 77, 3, 10},   /* what it carries */
        {36, 0x55, 2, 9}, /* the id: nobody's there, and the errors' reply is the third */
        {2, 0, 2, 9},     /* no hops left */
        {0, 0x21, 2, 9},  /* another version */
        {3, 0, 2, 9},     /* no id at all */
        {3, 2, 3, 10},    /* two ids, of which the first counts */
        {37, 0x55, 1, 10}, /* its own payload */
    };
    struct held t = insert(&hosts[1], t0, 1, NULL, 0);
    struct train_in p = packets(&t.id, 10);
    train[4 * SIZE + v[_i].at] = v[_i].value;
    uint64_t before = stats().forwarded;
    look(0, t0, &p);
    unsigned entries = 0, n = 0;
    for (unsigned i = 0; i < out->n; i++) {
        bool forwarded = addr_eq(&out->v[i].to, &hosts[1].addr);
        entries += forwarded;
        n += forwarded ? dgram_count(&out->v[i]) : 0;
        ck_assert_uint_eq(out->v[i].ecn, forwarded ? 2 : 0);
    }
    ck_assert_uint_eq(entries, v[_i].entries);
    ck_assert_uint_eq(n, v[_i].forwarded);
    ck_assert_uint_eq(stats().forwarded - before, n);
}
END_TEST

/* A header of two ids does not fit in the last one. */
START_TEST(a_short_rest_is_judged_by_itself)
{
    struct held t = insert(&hosts[1], t0, 1, NULL, 0);
    struct train_in p = packets(&t.id, 4);
    for (unsigned i = 0; i < 4; i++)
        train[i * SIZE + 3] = 2;
    p.len = 3 * SIZE + 60;
    look(0, t0, &p);
    ck_assert_uint_eq(stats().forwarded, 3);
    ck_assert_uint_eq(stats().bad, 1);
}
END_TEST

START_TEST(a_train_is_never_longer_than_the_kernel_takes)
{
    struct held t = insert(&hosts[1], t0, 1, NULL, 0);
    struct train_in p = packets(&t.id, SEGMENTS);
    look(0, t0, &p);
    ck_assert_uint_eq(out->n, 2);
    ck_assert_uint_eq(dgram_count(&out->v[0]), TRAIN_SEGMENTS);
    ck_assert_uint_eq(dgram_count(&out->v[1]), SEGMENTS - TRAIN_SEGMENTS);
}
END_TEST

START_TEST(multicast_and_stacks_take_a_train_apart)
{
    struct held b = insert(&hosts[1], t0, 1, NULL, 0), twin = {0};
    struct train_in p = packets(&b.id, 3);
    hosts[1].addr.port++;
    held_id(&twin, &hosts[1], 1, 256);
    ck_assert_int_eq(host_insert(&hosts[1], t0, &twin, NULL, 0), 30);
    look(0, t0, &p);
    ck_assert_uint_eq(out->n, 6);
    struct held last = insert(&hosts[3], t0, 3, NULL, 0), s = insert(&hosts[2], t0, 2, &last.id, 1);
    p = packets(&s.id, 3);
    look(0, t0, &p);
    ck_assert_uint_eq(out->n, 3);
    for (unsigned i = 0; i < 3; i++)
        ck_assert(addr_eq(&out->v[i].to, &hosts[3].addr) && out->v[i].data[DATA_HEADER_LEN] == i);
}
END_TEST

START_TEST(an_empty_datagram_is_one_and_bad)
{
    struct train_in t = {.from = hosts[0].addr, .p = train};
    node_look(node, 0, t0, &t, out);
    ck_assert_uint_eq(stats().in, 1);
    ck_assert_uint_eq(stats().bad, 1);
}
END_TEST

/* ---- looking and acting ---- */

START_TEST(looking_stores_nothing_and_acting_does)
{
    struct held t = {.seq = 9};
    struct wire_challenge c;
    restart(2);
    held_id(&t, &hosts[1], 1, 256);
    ck_assert_int_eq(host_ask(&hosts[1], t0, &t, NULL, 0, &c), 0);
    host_prove(&hosts[1], &t, NULL, 0, &c);
    look_one(1, t0, &hosts[1], t.prove, t.prove_len);
    ck_assert_uint_eq(out->n, 0);
    ck_assert_uint_eq(node_deeds(node, 1), 1);
    ck_assert_uint_eq(stats().triggers, 0);
    act(1, t0);
    ck_assert_int_eq(host_acked(&hosts[1], &t), 30);
    ck_assert_uint_eq(stats().triggers, 1);

    uint8_t p[REFRESH_LEN];
    look_one(0, after(20), &hosts[1], p, held_refresh(&t, 0, ++t.seq, p));
    ck_assert_uint_eq(out->n, 0);
    ck_assert_uint_eq(node_deadline(node).us, after(30).us);
    act(0, after(20));
    ck_assert_int_eq(host_acked(&hosts[1], &t), 30);
    ck_assert_uint_eq(node_deadline(node).us, after(50).us);
}
END_TEST

START_TEST(what_needs_no_change_is_answered_at_once)
{
    uint8_t p[1024], nonce[NONCE_LEN] = {1};
    struct held t = {0};
    restart(2);
    held_id(&t, &hosts[1], 1, 256);
    struct wire_insert in = held_insert(&t, NULL, 0);
    look_one(1, t0, &hosts[1], p, insert_encode(p, sizeof(p), &in));
    ck_assert_ptr_nonnull(host_got(&hosts[1], WIRE_CHALLENGE));
    look_one(1, t0, &hosts[1], p, ping_encode(p, sizeof(p), WIRE_PING, nonce));
    ck_assert_ptr_nonnull(host_got(&hosts[1], WIRE_PONG));
    look_one(1, t0, &hosts[1], p, data_packet(p, sizeof(p), 9, &t.id, 1, "hello", 5));
    ck_assert_ptr_nonnull(host_got(&hosts[1], WIRE_NOT_PRESENT));
    ck_assert_uint_eq(node_deeds(node, 0) + node_deeds(node, 1), 0);
    ck_assert_uint_eq(stats().not_present, 1);
}
END_TEST

/* Between look and act another worker removes the trigger, or somebody else's takes its place. */
START_TEST(what_was_seen_is_not_believed_any_more)
{
    restart(2);
    struct held t = insert(&hosts[1], t0, 1, NULL, 0);
    uint8_t p[REFRESH_LEN], q[REFRESH_LEN];
    look_one(0, t0, &hosts[1], p, held_refresh(&t, 0, t.seq + 2, p));
    look_one(1, t0, &hosts[1], q, held_refresh(&t, REFRESH_REMOVE, t.seq + 1, q));
    act(1, t0);
    ck_assert_uint_eq(stats().triggers, 0);
    act(0, t0);
    ck_assert_uint_eq(host_refused(&hosts[1]), REFUSED_UNKNOWN);

    t = insert(&hosts[1], t0, 1, NULL, 0);
    look_one(0, after(119), &hosts[1], p, held_refresh(&t, 0, UINT64_MAX, p));
    ck_assert_uint_eq(node_deeds(node, 0), 1);
    node_expire(node, after(121)); /* another epoch, another trigger key */
    insert(&hosts[1], after(121), 1, NULL, 0);
    act(0, after(121));
    ck_assert_uint_eq(stats().triggers, 1);
    ck_assert_uint_eq(stats().refreshes, 0);
}
END_TEST

START_TEST(a_packet_waits_for_the_trigger_that_came_before_it)
{
    struct held t = {.seq = 9};
    struct wire_challenge c;
    restart(2);
    held_id(&t, &hosts[1], 1, 256);
    ck_assert_int_eq(host_ask(&hosts[1], t0, &t, NULL, 0, &c), 0);
    host_prove(&hosts[1], &t, NULL, 0, &c);
    struct train_in prove = {.from = hosts[1].addr, .p = t.prove, .len = t.prove_len, .size = t.prove_len}, p = packets(&t.id, 2);
    outbox_clear(out);
    node_look(node, 0, t0, &prove, out);
    node_look(node, 0, t0, &p, out);
    ck_assert_uint_eq(out->n, 0);
    act(0, t0);
    ck_assert_uint_eq(stats().forwarded, 2);
    ck_assert_uint_eq(stats().not_present, 0);
}
END_TEST

START_TEST(deeds_are_bounded_and_none_is_lost)
{
    restart(2);
    struct held t = insert(&hosts[1], t0, 1, NULL, 0);
    unsigned n = 3 * NODE_DEEDS + 1, rounds = 0;
    for (unsigned i = 0; i < n; i++)
        held_refresh(&t, 0, t.seq + 1 + i, train + i * REFRESH_LEN);
    struct train_in p = {.from = hosts[1].addr, .p = train, .len = n * REFRESH_LEN, .size = REFRESH_LEN};
    for (; p.len; rounds++) {
        outbox_clear(out);
        node_look(node, 0, t0, &p, out);
        ck_assert_uint_le(node_deeds(node, 0), NODE_DEEDS);
        act(0, t0);
    }
    ck_assert_uint_eq(rounds, 4);
    ck_assert_uint_eq(stats().refreshes, n);
}
END_TEST

/* ---- limits ---- */

/* Proofs that do not hold, each of which costs an agreement; how many were answered so, of 100 in a tenth of a second. */
static unsigned false_proofs(double at)
{
    struct held t = {.seq = 1};
    struct wire_challenge c;
    unsigned n = 0;
    held_id(&t, &hosts[2], 0, 256);
    ck_assert_int_eq(host_ask(&hosts[2], after(at), &t, NULL, 0, &c), 0);
    host_prove(&hosts[2], &t, NULL, 0, &c);
    t.prove[t.prove_len - 1] ^= 1;
    for (unsigned i = 0; i < 100; i++) {
        host_send(&hosts[2], after(at + i / 1000.0), t.prove, t.prove_len);
        n += host_refused(&hosts[2]) == REFUSED_PROOF;
    }
    return n;
}

START_TEST(proofs_stand_back_while_packets_wait)
{
    config.proofs_busy_per_s = 40;
    restart(1);
    ck_assert_uint_eq(false_proofs(0), 100);
    struct held t = insert(&hosts[1], after(5), 1, NULL, 0);
    for (unsigned i = 0; i < 60; i++) {
        struct train_in p = packets(&t.id, 50);
        look(0, after(5 + i / 1000.0), &p);
    }
    unsigned n = false_proofs(5.06);
    ck_assert_uint_ge(n, 1);
    ck_assert_uint_le(n, 10);
    ck_assert_uint_eq(false_proofs(5.4), 100);
}
END_TEST

START_TEST(one_agreement_is_enough_for_all_ids_of_a_key)
{
    config.proofs_per_s = 4; /* one a second for each source */
    restart(1);
    for (unsigned i = 0; i < 5; i++)
        insert(&hosts[1], t0, i, NULL, 0);
    struct held t = {0};
    held_id(&t, &hosts[2], 0, 256);
    ck_assert_int_eq(host_insert(&hosts[2], after(0.5), &t, NULL, 0), 30);
    /* in another epoch the key is another one */
    node_expire(node, after(121));
    insert(&hosts[1], after(121), 9, NULL, 0);
    node_expire(node, after(241));
    insert(&hosts[1], after(242), 10, NULL, 0);
}
END_TEST

START_TEST(nobody_gets_more_than_he_leaves)
{
    static const int may[] = {4, 2, 1, 1, 0};
    config.triggers_max = 8;
    restart(1);
    for (unsigned h = 0; h < ARRAY_LEN(may); h++)
        for (int i = 0; i < 6; i++) {
            struct held t = {0};
            held_id(&t, &hosts[h], (unsigned)i, 256);
            ck_assert_int_eq(host_insert(&hosts[h], t0, &t, NULL, 0), i < may[h] ? 30 : -1);
            if (i >= may[h])
                ck_assert_uint_eq(host_refused(&hosts[h]), h < 3 ? REFUSED_POLICY : REFUSED_FULL);
        }
}
END_TEST

START_TEST(what_is_read_ahead_changes_nothing)
{
    struct train_in t[100];
    struct held held[100];
    for (unsigned i = 0; i < 100; i++) {
        held[i] = insert(&hosts[1 + i % 7], t0, i, NULL, 0);
        static uint8_t p[100][SIZE];
        size_t len = i % 10 == 9 ? i / 10 : data_packet(p[i], SIZE, 9, &held[i].id, 1, "x", 1);
        t[i] = (struct train_in){.from = hosts[0].addr, .p = p[i], .len = len, .size = len};
    }
    node_ready(node, t, 100);
    for (unsigned kind = 0; kind < 16; kind++)
        for (unsigned len = 1; len < 200; len++) { /* no byte beyond them: for the sanitizer */
            uint8_t *p = calloc(1, len);
            p[0] = (uint8_t)(WIRE_VERSION << 4 | kind);
            node_ready(node, &(struct train_in){.from = hosts[0].addr, .p = p, .len = len, .size = len}, 1);
            free(p);
        }
    uint64_t before = stats().forwarded;
    for (unsigned i = 0; i < 100; i++) {
        outbox_clear(out);
        node_look(node, 0, t0, &t[i], out);
    }
    ck_assert_uint_eq(stats().forwarded - before, 90);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("node/worker");
    TCase *tc = tcase_create("worker");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_train_goes_on_as_one);
    tcase_add_loop_test(tc, a_train_parts_where_headers_do, 0, 9);
    tcase_add_test(tc, a_short_rest_is_judged_by_itself);
    tcase_add_test(tc, a_train_is_never_longer_than_the_kernel_takes);
    tcase_add_test(tc, multicast_and_stacks_take_a_train_apart);
    tcase_add_test(tc, an_empty_datagram_is_one_and_bad);
    tcase_add_test(tc, looking_stores_nothing_and_acting_does);
    tcase_add_test(tc, what_needs_no_change_is_answered_at_once);
    tcase_add_test(tc, what_was_seen_is_not_believed_any_more);
    tcase_add_test(tc, a_packet_waits_for_the_trigger_that_came_before_it);
    tcase_add_test(tc, deeds_are_bounded_and_none_is_lost);
    tcase_add_test(tc, proofs_stand_back_while_packets_wait);
    tcase_add_test(tc, one_agreement_is_enough_for_all_ids_of_a_key);
    tcase_add_test(tc, nobody_gets_more_than_he_leaves);
    tcase_add_test(tc, what_is_read_ahead_changes_nothing);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
