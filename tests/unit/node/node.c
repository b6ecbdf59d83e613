/* What a node does with datagrams: insertion and its proofs, expiry, forwarding, limits. Virtual time
 * throughout. */
#include "daemon/node/node.h"

#include <check.h>
#include <stdlib.h>

#include "tests/lib/node_host.h"
#include "tests/lib/suite.h"

enum { HOSTS = 80 };

static struct node *node;
static struct node_config config;
static struct outbox *out;
static struct host *hosts; /* alice = hosts[0], bob = hosts[1]... */
static mono_t t0;

static mono_t after(double seconds)
{
    return mono_add(t0, (uint64_t)(seconds * 1e6));
}

static struct node *another(uint8_t seed)
{
    config.seed[0] = seed;
    return node_new(&config, t0);
}

/* The test may change `config` and call restart() before it does anything. */
static void restart(void)
{
    node_free(node);
    node = another(1);
    ck_assert_ptr_nonnull(node);
    for (unsigned i = 0; i < HOSTS; i++)
        hosts[i].node = node;
}

static void setup(void)
{
    t0 = (mono_t){1000 * USEC_PER_SEC};
    out = calloc(1, sizeof(*out));
    hosts = calloc(HOSTS, sizeof(*hosts));
    node_config_default(&config);
    config.triggers_max = 2000;
    for (unsigned i = 0; i < HOSTS; i++)
        host_init(&hosts[i], NULL, out, i);
    restart();
}

static void teardown(void)
{
    node_free(node);
    free(hosts);
    free(out);
}

static struct node_stats stats(void)
{
    struct node_stats s;
    node_stats(node, &s);
    return s;
}

static struct held insert(
    struct host *h, mono_t now, uint64_t suffix, unsigned plen, const struct i3_id *ids, unsigned n)
{
    struct held t = {0};
    held_id(&t, h, suffix, plen);
    ck_assert_int_eq(host_insert(h, now, &t, ids, n), 30);
    return t;
}

/* The i-th datagram in the outbox goes to this host. */
static bool to_host(unsigned i, const struct host *h)
{
    return i < out->n && addr_eq(&out->v[i].to, &h->addr);
}

static bool reaches(struct host *from, mono_t now, const struct i3_id *id, const struct host *to)
{
    host_data(from, now, HOPS_DEFAULT, id, 1, "x");
    return out->n == 1 && to_host(0, to) && wire_kind(out->v[0].data, out->v[0].len) == WIRE_DATA;
}

#define alice   (&hosts[0])
#define bob     (&hosts[1])
#define carol   (&hosts[2])
#define mallory (&hosts[3])

/* ---- insertion ---- */

START_TEST(an_inserted_trigger_is_found)
{
    struct held t = insert(bob, t0, 0, 256, NULL, 0);
    ck_assert(reaches(alice, t0, &t.id, bob));
    const struct dgram *d = &out->v[0];
    ck_assert_ptr_eq(d->data, alice->buf); /* by reference */
    ck_assert_uint_eq(d->len, DATA_HEADER_LEN + 1);
    ck_assert_uint_eq(d->data[2], HOPS_DEFAULT - 1);
    ck_assert_uint_eq(d->data[DATA_HEADER_LEN], 'x');
    ck_assert_uint_eq(stats().triggers, 1);
    ck_assert_uint_eq(stats().forwarded, 1);
}
END_TEST

START_TEST(a_connection_is_an_address_of_its_own)
{
    struct wire_challenge c;
    struct held t = {.seq = 1};
    uint8_t ring[64] = {wire_first(WIRE_RING)};
    bob->addr = addr_by(&alice->addr, ADDR_TCP); /* the same numbers, and not the same place */
    held_id(&t, bob, 1, 256);
    ck_assert_int_eq(host_ask(bob, t0, &t, NULL, 0, &c), 0);
    host_prove(bob, &t, NULL, 0, &c);
    host_send(alice, t0, t.prove, t.prove_len);
    ck_assert_uint_eq(host_refused(alice), REFUSED_COOKIE);
    host_send(bob, t0, t.prove, t.prove_len);
    ck_assert_ptr_nonnull(host_got(bob, WIRE_ACK));
    ck_assert_uint_eq(host_data(carol, t0, 8, &t.id, 1, "x"), 1);
    ck_assert(addr_eq(&out->v[0].to, &bob->addr));
    uint64_t bad = stats().bad;
    ck_assert_uint_eq(host_send(bob, t0, ring, sizeof(ring)), 0);
    ck_assert_uint_eq(stats().bad, bad + 1); /* no node comes that way */
}
END_TEST

START_TEST(asking_leaves_no_trace_and_is_never_answered_with_more)
{
    struct held t = {0};
    struct wire_challenge c;
    held_id(&t, bob, 0, 256);
    struct i3_id stack[4] = {{{1}}, {{2}}, {{3}}, {{4}}};
    for (unsigned n = 0; n <= 4; n++) {
        for (unsigned i = 0; i < 50; i++)
            ck_assert_int_eq(host_ask(bob, t0, &t, stack, n, &c), 0);
        struct wire_insert in = held_insert(&t, stack, n);
        uint8_t p[1024];
        ck_assert_uint_le(out->v[0].len, insert_encode(p, sizeof(p), &in));
    }
    ck_assert(addr_eq(&c.seen, &bob->addr));
    ck_assert_uint_eq(stats().triggers, 0);
    ck_assert(!reaches(alice, t0, &t.id, bob));

    /* the same question gets the same cookie: nothing was remembered */
    struct wire_challenge again;
    ck_assert_int_eq(host_ask(bob, t0, &t, stack, 4, &again), 0);
    ck_assert_mem_eq(&again, &c, sizeof(c));
}
END_TEST

START_TEST(a_deep_stack_is_refused_by_policy)
{
    struct held t = {0};
    struct wire_challenge c;
    struct i3_id stack[STACK_MAX] = {{{1}}};
    held_id(&t, bob, 0, 256);
    ck_assert_int_eq(host_ask(bob, t0, &t, stack, config.stack_max + 1, &c), -1);
    ck_assert_uint_eq(host_refused(bob), REFUSED_POLICY);
    /* nor does a PROVE get it in which never asked */
    ck_assert_int_eq(host_ask(bob, t0, &t, stack, config.stack_max, &c), 0);
    host_prove(bob, &t, stack, config.stack_max + 1, &c);
    host_send(bob, t0, t.prove, t.prove_len);
    ck_assert_uint_eq(host_refused(bob), REFUSED_COOKIE);
    ck_assert_uint_eq(stats().triggers, 0);
}
END_TEST

START_TEST(a_proof_replayed_from_elsewhere_is_refused)
{
    struct held t = insert(bob, t0, 0, 256, NULL, 0);
    host_send(mallory, t0, t.prove, t.prove_len);
    ck_assert_uint_eq(host_refused(mallory), REFUSED_COOKIE);
    struct addr home = bob->addr;
    bob->addr.port++;
    host_send(bob, t0, t.prove, t.prove_len);
    ck_assert_uint_eq(host_refused(bob), REFUSED_COOKIE);
    bob->addr = home;
    ck_assert_uint_eq(stats().triggers, 1);
    ck_assert(reaches(alice, t0, &t.id, bob));
}
END_TEST

/* A valid PROVE, of which one thing is changed, by someone who can compute everything but the id's key. */
enum forgery {
    NOTHING,
    TARGET,
    ANOTHER_ID,
    ANOTHER_KEY,
    PLEN,
    SEQ,
    FLAGS,
    MAC,
    COOKIE,
    EPOCH,
    ANOTHER_NODE,
    OLD_EPOCH,
    FORGERIES
};

static unsigned forge(enum forgery f)
{
    struct held t = {.seq = 9};
    struct wire_challenge c;
    struct wire_prove pr;
    struct i3_id stack[2] = {{{1}}, {{2}}};
    held_id(&t, bob, 0, 256);
    struct node *other = f == ANOTHER_NODE ? another(2) : NULL;
    bob->node = other ? other : node;
    ck_assert_int_eq(host_ask(bob, t0, &t, stack, 1, &c), 0);
    bob->node = node;
    node_free(other);
    host_prove(bob, &t, stack, 1, &c);
    ck_assert_int_eq(prove_decode(t.prove, t.prove_len, &pr), 0);
    uint8_t p[1024];
    pr.insert.ids = f == TARGET ? stack[1].b : stack[0].b;
    pr.insert.plen = f == PLEN ? 128 : 256;
    pr.insert.flags = f == FLAGS ? INSERT_SHORTCUT : 0;
    pr.seq += f == SEQ;
    pr.mac[3] ^= f == MAC;
    pr.cookie[3] ^= f == COOKIE;
    pr.epoch = (uint8_t)(pr.epoch + (f == EPOCH));
    if (f == ANOTHER_ID)
        pr.insert.id.b[0] ^= 1;
    if (f == ANOTHER_KEY)
        memcpy(pr.key, mallory->pub, KEY_LEN);
    host_send(bob, f == OLD_EPOCH ? after(241) : t0, p, prove_encode(p, sizeof(p), &pr));
    ck_assert_uint_eq(stats().triggers, f == NOTHING);
    return host_refused(bob);
}

START_TEST(a_proof_holds_for_nothing_else)
{
    static const unsigned want[FORGERIES] = {
        [NOTHING] = 0,
        [TARGET] = REFUSED_COOKIE,
        [ANOTHER_ID] = REFUSED_COOKIE,
        [ANOTHER_KEY] = REFUSED_PROOF,
        [PLEN] = REFUSED_COOKIE,
        [SEQ] = REFUSED_PROOF,
        [FLAGS] = REFUSED_COOKIE,
        [MAC] = REFUSED_PROOF,
        [COOKIE] = REFUSED_COOKIE,
        [EPOCH] = REFUSED_COOKIE,
        [ANOTHER_NODE] = REFUSED_COOKIE,
        [OLD_EPOCH] = REFUSED_COOKIE,
    };
    ck_assert_uint_eq(forge((enum forgery)_i), want[_i]);
}
END_TEST

/* Mallory asks for bob's id herself, so the cookie is good; only the proof is missing. */
START_TEST(nobody_inserts_for_an_id_whose_key_is_not_his)
{
    struct held t = {.seq = 9};
    struct wire_challenge c;
    held_id(&t, bob, 0, 256);
    ck_assert_int_eq(host_ask(mallory, t0, &t, NULL, 0, &c), 0);
    host_prove(mallory, &t, NULL, 0, &c); /* with her own key: it does not hash to the id */
    host_send(mallory, t0, t.prove, t.prove_len);
    ck_assert_uint_eq(host_refused(mallory), REFUSED_PROOF);

    struct wire_prove pr; /* with bob's public key, and a mac under a secret of hers */
    ck_assert_int_eq(prove_decode(t.prove, t.prove_len, &pr), 0);
    memcpy(pr.key, bob->pub, KEY_LEN);
    uint8_t p[1024];
    size_t len = prove_encode(p, sizeof(p), &pr);
    proof_mac(p + len - MAC_LEN, &t.key, p, len - MAC_LEN);
    host_send(mallory, t0, p, len);
    ck_assert_uint_eq(host_refused(mallory), REFUSED_PROOF);
    ck_assert_uint_eq(stats().triggers, 0);
}
END_TEST

START_TEST(a_key_of_small_order_proves_nothing)
{
    uint8_t zeros[KEY_LEN] = {0}, p[1024];
    struct held t = {.seq = 9, .plen = 256};
    struct wire_challenge c;
    id_of_key(&t.id, zeros, NULL);
    ck_assert_int_eq(host_ask(mallory, t0, &t, NULL, 0, &c), 0);
    struct wire_prove pr = {.insert = held_insert(&t, NULL, 0), .epoch = c.epoch, .seq = 1};
    memcpy(pr.cookie, c.cookie, COOKIE_LEN);
    host_send(mallory, t0, p, prove_encode(p, sizeof(p), &pr));
    ck_assert_uint_eq(host_refused(mallory), REFUSED_PROOF);
}
END_TEST

/* A cookie is good in its epoch and the next, and not after. */
START_TEST(epochs_overlap_by_one)
{
    static const struct {
        double asked, proved;
        bool good;
    } v[] = {{0, 119, true}, {0, 121, true}, {0, 239, true}, {0, 241, false}, {119, 239, true},
        {121, 359, true}, {121, 361, false}, {0, 1000000, false}};
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        restart();
        struct held t = {.seq = 9};
        struct wire_challenge c;
        held_id(&t, bob, 0, 256);
        /* a node that works: time does not jump over its epochs, but for the last case */
        for (double s = 0; s < v[i].asked; s += 1)
            node_expire(node, after(s));
        ck_assert_int_eq(host_ask(bob, after(v[i].asked), &t, NULL, 0, &c), 0);
        host_prove(bob, &t, NULL, 0, &c);
        for (double s = v[i].asked; s < v[i].proved && s < 1000; s += 1)
            node_expire(node, after(s));
        host_send(bob, after(v[i].proved), t.prove, t.prove_len);
        ck_assert_msg((host_acked(bob, &t) == 30) == v[i].good, "case %zu", i);
        if (!v[i].good)
            ck_assert_uint_eq(host_refused(bob), REFUSED_COOKIE);
    }
}
END_TEST

/* ---- life ---- */

START_TEST(a_trigger_lives_thirty_seconds)
{
    struct held t = insert(bob, t0, 0, 256, NULL, 0);
    ck_assert_uint_eq(node_deadline(node).us, after(30).us);
    ck_assert(reaches(alice, after(29), &t.id, bob));
    ck_assert(reaches(alice, after(29.999999), &t.id, bob));
    /* even when no timer ran */
    ck_assert(!reaches(alice, after(31), &t.id, bob));
    ck_assert_ptr_nonnull(host_got(alice, WIRE_NOT_PRESENT));
    ck_assert_uint_eq(stats().expired, 1);
    ck_assert_uint_eq(stats().triggers, 0);
    ck_assert_uint_eq(node_deadline(node).us, UINT64_MAX);
}
END_TEST

START_TEST(a_refresh_gives_thirty_seconds_more)
{
    struct held t = insert(bob, t0, 0, 256, NULL, 0);
    for (unsigned i = 1; i < 10; i++) {
        ck_assert_int_eq(host_refresh(bob, after(i * 20), &t, 0), 30);
        ck_assert_uint_eq(node_deadline(node).us, after(i * 20 + 30).us);
    }
    ck_assert(reaches(alice, after(209), &t.id, bob));
    ck_assert(!reaches(alice, after(211), &t.id, bob));
    ck_assert_int_eq(host_refresh(bob, after(212), &t, 0), -1);
    ck_assert_uint_eq(host_refused(bob), REFUSED_UNKNOWN);
    ck_assert_uint_eq(stats().refreshes, 9);
}
END_TEST

/* A packet of alice's goes to bob, and to where he was before unless he is alone. */
static void alone_or_both(const struct i3_id *id, bool alone, const struct addr *before)
{
    bool there = false, old = false;
    reaches(alice, after(2), id, bob);
    for (unsigned i = 0; i < out->n; i++) {
        there |= to_host(i, bob);
        old |= addr_eq(&out->v[i].to, before);
    }
    ck_assert(there && old == !alone);
}

/* Inserting again changes target and flags in place; the number of triggers stays. */
START_TEST(a_duplicate_insert_refreshes)
{
    struct held t = insert(bob, t0, 0, 256, NULL, 0), c = insert(carol, t0, 0, 256, NULL, 0);
    t = insert(bob, after(20), 0, 256, NULL, 0);
    ck_assert_uint_eq(stats().triggers, 2);
    ck_assert(reaches(alice, after(49), &t.id, bob));
    ck_assert_uint_eq(stats().triggers, 1); /* carol's is gone */
    c = insert(carol, after(49), 0, 256, NULL, 0);
    insert(bob, after(49), 0, 256, &c.id, 1);
    ck_assert_uint_eq(stats().triggers, 2);
    ck_assert(reaches(alice, after(50), &t.id, carol));
    insert(bob, after(50), 0, 256, NULL, 0);
    ck_assert(reaches(alice, after(51), &t.id, bob));
}
END_TEST

/* Where the id is one host's, nothing is sent to where it was before it moved; others with the same id lose nothing. */
START_TEST(a_host_alone_at_its_id_is_not_looked_for_where_it_was)
{
    for (unsigned flags = 0; flags <= INSERT_FLAGS; flags++) {
        restart();
        struct held t = {.flags = (uint8_t)flags}, c = insert(carol, t0, 0, 256, NULL, 0);
        held_id(&t, bob, 0, 256);
        ck_assert_int_eq(host_insert(bob, t0, &t, NULL, 0), 30);
        struct held other = {.flags = (uint8_t)flags};
        held_id(&other, bob, 5, 256);
        ck_assert_int_eq(host_insert(bob, t0, &other, NULL, 0), 30);
        struct addr before = bob->addr;
        bob->addr.port++;
        ck_assert_int_eq(host_insert(bob, after(1), &t, NULL, 0), 30);
        ck_assert_uint_eq(stats().triggers, flags & INSERT_ALONE ? 3 : 4); /* the other id stays */
        ck_assert(reaches(alice, after(2), &c.id, carol));
        alone_or_both(&t.id, flags & INSERT_ALONE, &before);
        bob->addr = before;
    }
}
END_TEST

/* The same datagram twice, as networks do: acknowledged twice, and the number is not set back. */
START_TEST(a_repeated_proof_does_not_set_the_number_back)
{
    struct held t = insert(bob, t0, 0, 256, NULL, 0);
    uint8_t old[REFRESH_LEN];
    struct held first = t;
    held_refresh(&t, REFRESH_REMOVE, t.seq + 1, old); /* captured, but overtaken by the next two */
    t.seq += 2;
    ck_assert_int_eq(host_refresh(bob, after(1), &t, 0), 30);
    host_send(bob, after(2), first.prove, first.prove_len);
    ck_assert_int_eq(host_acked(bob, &first), 30);
    host_send(bob, after(2), old, REFRESH_LEN);
    ck_assert_uint_eq(out->n, 0);
    ck_assert(reaches(alice, after(3), &t.id, bob));
    ck_assert_int_eq(host_refresh(bob, after(4), &t, 0), 30);

    /* a host which starts anew draws a number of its own, and that one holds */
    struct wire_challenge c;
    struct held again = t;
    again.seq = first.seq >> 3;
    ck_assert_int_eq(host_ask(bob, after(5), &again, NULL, 0, &c), 0);
    host_prove(bob, &again, NULL, 0, &c);
    host_send(bob, after(5), again.prove, again.prove_len);
    ck_assert_int_eq(host_acked(bob, &again), 30);
    ck_assert_int_eq(host_refresh(bob, after(6), &again, 0), 30);
}
END_TEST

/* An old REFRESH neither lengthens a life nor is it answered; the last one is, but lengthens nothing. */
START_TEST(replayed_refreshes_keep_nothing_alive)
{
    struct held t = insert(bob, t0, 0, 256, NULL, 0);
    uint8_t first[REFRESH_LEN], second[REFRESH_LEN];
    held_refresh(&t, 0, t.seq + 1, first);
    held_refresh(&t, 0, t.seq + 2, second);
    host_send(bob, after(1), first, sizeof(first));
    ck_assert_ptr_nonnull(host_got(bob, WIRE_ACK));
    host_send(bob, after(2), second, sizeof(second));
    ck_assert_ptr_nonnull(host_got(bob, WIRE_ACK));
    host_send(bob, after(20), first, sizeof(first));
    ck_assert_uint_eq(out->n, 0);
    host_send(bob, after(20), second, sizeof(second));
    t.seq += 2;
    ck_assert_int_eq(host_acked(bob, &t), 12);
    ck_assert_uint_eq(node_deadline(node).us, after(32).us);
}
END_TEST

/* ---- removal ---- */

/* ---- several refreshes in one datagram ---- */

enum { KEPT = 20 };

static size_t batch_of(struct held t[], unsigned n, uint8_t *p, size_t cap)
{
    struct writer w = batch_begin(p, cap);
    for (unsigned i = 0; i < n; i++) {
        uint8_t one[REFRESH_LEN];
        ck_assert(batch_add(&w, one, held_refresh(&t[i], 0, ++t[i].seq, one)));
    }
    return writer_len(&w);
}

START_TEST(a_batch_refreshes_each_and_is_answered_by_one)
{
    struct held t[KEPT];
    uint8_t p[BATCH_HEADER_LEN + KEPT * (2 + REFRESH_LEN)];
    for (unsigned i = 0; i < KEPT; i++)
        t[i] = insert(bob, t0, i, 256, NULL, 0);
    size_t len = batch_of(t, KEPT, p, sizeof(p));
    p[len - 1] ^= 1; /* the last one's mac */
    ck_assert_uint_eq(host_send(bob, after(20), p, len), 1);
    struct wire_batch b;
    struct wire_ack a;
    struct wire_refused no;
    const struct dgram *d = host_got(bob, WIRE_BATCH);
    ck_assert_ptr_nonnull(d);
    ck_assert_uint_le(d->len, len);
    ck_assert_int_eq(batch_decode(d->data, d->len, &b), 0);
    ck_assert_uint_eq(b.n, KEPT);
    size_t n;
    for (unsigned i = 0; i < KEPT - 1; i++) {
        const uint8_t *one = batch_next(&b.packets, &n);
        ck_assert_int_eq(ack_decode(one, n, &a), 0);
        ck_assert(a.seq == t[i].seq && a.seconds == 30 && proof_check(&t[i].key, one, n));
    }
    const uint8_t *last = batch_next(&b.packets, &n);
    ck_assert_int_eq(refused_decode(last, n, &no), 0);
    ck_assert(no.reason == REFUSED_PROOF && no.seq == t[KEPT - 1].seq);
    for (unsigned i = 0; i < KEPT; i++)
        ck_assert(reaches(alice, after(40), &t[i].id, bob) == (i < KEPT - 1));
}
END_TEST

START_TEST(a_batch_from_elsewhere_keeps_nothing_and_is_never_answered_with_more)
{
    struct held t[KEPT];
    uint8_t p[BATCH_HEADER_LEN + KEPT * (2 + REFRESH_LEN)];
    for (unsigned i = 0; i < KEPT; i++)
        t[i] = insert(bob, t0, i, 256, NULL, 0);
    size_t len = batch_of(t, KEPT, p, sizeof(p));
    host_send(mallory, after(20), p, len);
    const struct dgram *d = host_got(mallory, WIRE_BATCH);
    ck_assert(d && d->len <= len);
    ck_assert_uint_eq(stats().refreshes, 0);
    for (unsigned cut = 0; cut < len; cut++)
        ck_assert_uint_eq(host_send(bob, after(20), p, cut), 0);
}
END_TEST

START_TEST(only_refreshes_ride_together)
{
    struct held t = insert(bob, t0, 0, 256, NULL, 0);
    uint8_t p[256], one[REFRESH_LEN], no[REFUSED_LEN];
    struct writer w = batch_begin(p, sizeof(p));
    batch_add(&w, one, held_refresh(&t, 0, t.seq + 1, one));
    batch_add(&w, no, refused_encode(no, sizeof(no), &(struct wire_refused){1, 1}));
    ck_assert_uint_eq(host_send(bob, t0, p, writer_len(&w)), 0);
    ck_assert_uint_eq(stats().refreshes, 0);
    ck_assert_uint_eq(stats().bad, 1);
}
END_TEST

START_TEST(the_owner_removes)
{
    struct held t = insert(bob, t0, 0, 256, NULL, 0), u = insert(bob, t0, 1, 256, NULL, 0);
    ck_assert_int_eq(host_refresh(bob, after(1), &t, REFRESH_REMOVE), 0);
    ck_assert(!reaches(alice, after(1), &t.id, bob));
    ck_assert(reaches(alice, after(1), &u.id, bob));
    ck_assert_uint_eq(stats().removals, 1);
    ck_assert_int_eq(host_refresh(bob, after(2), &t, REFRESH_REMOVE), -1);
    ck_assert_uint_eq(host_refused(bob), REFUSED_UNKNOWN);
}
END_TEST

START_TEST(nobody_else_removes)
{
    struct held t = insert(bob, t0, 0, 256, NULL, 0), m = insert(mallory, t0, 0, 256, NULL, 0);
    uint8_t p[REFRESH_LEN];
    for (unsigned flags = 0; flags <= REFRESH_REMOVE; flags++) {
        /* bob's own packet, sent from elsewhere */
        host_send(mallory, after(1), p, held_refresh(&t, flags, t.seq + 1, p));
        ck_assert_uint_eq(host_refused(mallory), REFUSED_UNKNOWN);
        /* from bob's address, under mallory's key */
        struct held forged = t;
        forged.key = m.key;
        host_send(bob, after(1), p, held_refresh(&forged, flags, t.seq + 1, p));
        ck_assert_uint_eq(host_refused(bob), REFUSED_PROOF);
        /* a changed flag under a good mac */
        held_refresh(&t, flags, t.seq + 1, p);
        p[1] ^= REFRESH_REMOVE;
        host_send(bob, after(1), p, sizeof(p));
        ck_assert_uint_eq(host_refused(bob), REFUSED_PROOF);
        /* another length of the same id */
        host_send(bob, after(1), p,
            held_refresh(&(struct held){.id = t.id, .plen = 255, .key = t.key}, flags, t.seq + 1, p));
        ck_assert_uint_eq(host_refused(bob), REFUSED_UNKNOWN);
    }
    ck_assert_uint_eq(node_deadline(node).us, after(30).us);
    ck_assert(reaches(alice, after(2), &t.id, bob));
}
END_TEST

/* ---- matching ---- */

START_TEST(anycast_picks_the_longest_match)
{
    struct addr home = bob->addr, away = carol->addr;
    struct held low = insert(bob, t0, 0x1000000000000000, 128, NULL, 0);
    bob->addr = away; /* a group shares a key: another of its hosts */
    insert(bob, t0, 0x8000000000000000, 128, NULL, 0);
    bob->addr = home;
    struct held x = low;
    static const struct {
        uint64_t suffix;
        bool low;
    } v[] = {{0, true}, {0x1000000000000000, true}, {0x7000000000000000, true}, {0x8000000000000000, false},
        {0xf000000000000000, false}};
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        held_id(&x, bob, v[i].suffix, 256);
        ck_assert(reaches(alice, t0, &x.id, v[i].low ? bob : carol));
    }
    x.id.b[15] ^= 1; /* 127 bits are not enough */
    ck_assert(!reaches(alice, t0, &x.id, bob));
    ck_assert_ptr_nonnull(host_got(alice, WIRE_NOT_PRESENT));
}
END_TEST

START_TEST(multicast_gives_each_a_copy)
{
    struct held t = {0};
    struct addr home = bob->addr;
    enum { N = 64 };
    for (unsigned i = 0; i <= N; i++) { /* they share bob's key, and each has an address of its own */
        bob->addr = hosts[i + 10].addr;
        held_id(&t, bob, 5, 256);
        if (i < N) {
            ck_assert_int_eq(host_insert(bob, t0, &t, NULL, 0), 30);
        } else { /* the fan-out is bounded */
            ck_assert_int_eq(host_insert(bob, t0, &t, NULL, 0), -1);
            ck_assert_uint_eq(host_refused(bob), REFUSED_POLICY);
        }
    }
    bob->addr = home;
    host_data(alice, t0, HOPS_DEFAULT, &t.id, 1, "to all");
    ck_assert_uint_eq(out->n, N);
    bool seen[N] = {false};
    for (unsigned i = 0; i < N; i++) {
        for (unsigned k = 0; k < N; k++)
            if (to_host(i, &hosts[k + 10])) {
                ck_assert(!seen[k]);
                seen[k] = true;
            }
        ck_assert_uint_eq(out->v[i].len, DATA_HEADER_LEN + 6);
        ck_assert_mem_eq(out->v[i].data + DATA_HEADER_LEN, "to all", 6);
    }
    for (unsigned k = 0; k < N; k++)
        ck_assert(seen[k]);
    ck_assert_uint_eq(stats().forwarded, N);
    ck_assert_uint_eq(stats().copies, N - 1);
}
END_TEST

/* ---- stacks ---- */

/* The ids in the only datagram in the outbox are these. */
static void expect_ids(const struct i3_id *ids, unsigned n, const char *payload)
{
    struct wire_data d;
    ck_assert_uint_eq(out->n, 1);
    ck_assert_int_eq(data_decode(out->v[0].data, out->v[0].len, &d), 0);
    ck_assert_uint_eq(d.n, n);
    ck_assert_mem_eq(d.ids, ids, n * ID_LEN);
    ck_assert_uint_eq(d.payload_len, strlen(payload));
    ck_assert_mem_eq(d.payload, payload, d.payload_len);
}

/* Sender's stack [m, b]: m gets the packet with the whole stack. */
START_TEST(a_senders_stack_goes_to_its_first_id_whole)
{
    struct held m = insert(carol, t0, 0, 256, NULL, 0), b = insert(bob, t0, 0, 256, NULL, 0);
    struct i3_id stack[] = {m.id, b.id};
    host_data(alice, t0, 9, stack, 2, "data");
    ck_assert(to_host(0, carol));
    expect_ids(stack, 2, "data");
    ck_assert_ptr_eq(out->v[0].data, alice->buf);
    /* the middle-box takes itself off and sends on */
    host_data(carol, t0, 9, stack + 1, 1, "data");
    ck_assert(to_host(0, bob));
    expect_ids(&b.id, 1, "data");
}
END_TEST

/* Receiver's stack: b -> [m, priv]; what was behind b stays behind. */
START_TEST(a_receivers_stack_replaces_its_id_in_order)
{
    struct held m = insert(carol, t0, 0, 256, NULL, 0);
    struct i3_id chain[4] = {m.id, {{2}}, {{3}}, {{4}}}, rest[2] = {{{8}}, {{9}}}, sent[3], want[6];
    for (unsigned n = 1; n <= 4; n++) {
        struct held b = insert(bob, t0, n, 256, chain, n);
        for (unsigned k = 0; k <= 2; k++) {
            sent[0] = b.id;
            memcpy(sent + 1, rest, sizeof(rest));
            memcpy(want, chain, n * ID_LEN);
            memcpy(want + n, rest, sizeof(rest));
            host_data(alice, t0, 9, sent, 1 + k, "payload");
            ck_assert(to_host(0, carol));
            expect_ids(want, n + k, "payload");
            ck_assert_uint_eq(out->v[0].data[2], 7); /* two look-ups */
        }
    }
}
END_TEST

START_TEST(more_than_fifteen_ids_are_dropped)
{
    struct held m = insert(carol, t0, 0, 256, NULL, 0);
    struct i3_id two[2] = {m.id, {{2}}};
    struct held b = insert(bob, t0, 0, 256, two, 2);
    struct i3_id ids[16] = {b.id};
    host_data(alice, t0, 9, ids, 14, "x");
    ck_assert_uint_eq(out->n, 1);
    host_data(alice, t0, 9, ids, 15, "x");
    ck_assert_uint_eq(out->n, 0);
    host_data(alice, t0, 9, ids, 16, "x");
    ck_assert_uint_eq(out->n, 0);
    ck_assert_uint_eq(stats().bad, 1);
    ck_assert(reaches(alice, t0, &b.id, carol));
}
END_TEST

/* Two members with stacks and two with addresses: each copy is its own. */
START_TEST(multicast_copies_do_not_disturb_each_other)
{
    struct held c = insert(carol, t0, 0, 256, NULL, 0), m = insert(mallory, t0, 0, 256, NULL, 0), t = {0};
    const struct i3_id *target[4] = {NULL, &c.id, NULL, &m.id};
    struct addr home = bob->addr;
    for (unsigned i = 0; i < 4; i++) {
        bob->addr = hosts[10 + i].addr;
        held_id(&t, bob, 5, 256);
        ck_assert_int_eq(host_insert(bob, t0, &t, target[i], target[i] ? 1 : 0), 30);
    }
    bob->addr = home;
    host_data(alice, t0, 9, &t.id, 1, "data");
    ck_assert_uint_eq(out->n, 4);
    unsigned found = 0;
    for (unsigned i = 0; i < 4; i++) {
        struct wire_data d;
        ck_assert_int_eq(data_decode(out->v[i].data, out->v[i].len, &d), 0);
        const struct i3_id *want = to_host(i, carol) ? &c.id : to_host(i, mallory) ? &m.id : &t.id;
        found |= to_host(i, carol)        ? 1
                 : to_host(i, mallory)    ? 2
                 : to_host(i, &hosts[10]) ? 4
                 : to_host(i, &hosts[12]) ? 8
                                          : 0;
        ck_assert_mem_eq(d.ids, want, ID_LEN);
        ck_assert_uint_eq(d.hops, want == &t.id ? 8 : 7);
        ck_assert_mem_eq(d.payload, "data", 4);
    }
    ck_assert_uint_eq(found, 15);
}
END_TEST

/* ---- loops ---- */

START_TEST(hops_end)
{
    struct held t = insert(bob, t0, 0, 256, NULL, 0);
    host_data(alice, t0, 1, &t.id, 1, "x");
    ck_assert_uint_eq(out->n, 1);
    ck_assert_uint_eq(out->v[0].data[2], 0);
    host_data(alice, t0, 0, &t.id, 1, "x");
    ck_assert_uint_eq(out->n, 0);
    ck_assert_uint_eq(stats().loops, 1);
    struct held u = insert(carol, t0, 0, 256, &t.id, 1);
    host_data(alice, t0, 1, &u.id, 1, "x");
    ck_assert_uint_eq(out->n, 0);
    host_data(alice, t0, 2, &u.id, 1, "x");
    ck_assert_uint_eq(out->n, 1);
}
END_TEST

START_TEST(a_cycle_dies_and_the_node_lives)
{
    struct held b = {0}, c = {0};
    held_id(&b, bob, 0, 256);
    held_id(&c, carol, 0, 256);
    insert(bob, t0, 0, 256, &c.id, 1);
    insert(carol, t0, 0, 256, &b.id, 1);
    host_data(alice, t0, 255, &b.id, 1, "round and round");
    ck_assert_uint_eq(out->n, 0);
    ck_assert_uint_eq(stats().loops, 1);

    /* one that grows with each round, too */
    struct i3_id grow[2] = {b.id, {{1}}};
    insert(bob, t0, 1, 256, grow, 2);
    held_id(&b, bob, 1, 256);
    grow[0] = b.id;
    insert(bob, t0, 1, 256, grow, 2);
    host_data(alice, t0, 255, &b.id, 1, "x");
    ck_assert_uint_eq(out->n, 0);
    struct held a = insert(alice, t0, 0, 256, NULL, 0);
    ck_assert(reaches(bob, t0, &a.id, alice));
}
END_TEST

/* Every look-up doubles the copies: ended by the fan-out, not by patience. */
START_TEST(multicast_cycles_are_bounded)
{
    struct held t = {0}, m = insert(mallory, t0, 0, 256, NULL, 0);
    held_id(&t, bob, 5, 256);
    struct addr home = bob->addr;
    for (unsigned all = 0; all < 2; all++) { /* some lead out of the circle; then all lead back into it */
        for (unsigned i = 0; i < 20; i++) {
            bob->addr = hosts[20 + i].addr;
            ck_assert_int_eq(host_insert(bob, t0, &t, i % 3 || all ? &t.id : &m.id, 1), 30);
        }
        host_data(alice, t0, 255, &t.id, 1, "boom");
        ck_assert_uint_le(out->n, config.fanout_max);
        ck_assert(all ? out->n == 0 : out->n > 5);
        /* nor does it go on and on making copies which all die at the end */
        ck_assert_uint_le(out->used, (256 + config.fanout_max) * (DATA_HEADER_LEN + 4));
    }
    bob->addr = home;
    ck_assert(reaches(alice, t0, &m.id, mallory));
}
END_TEST

/* ---- errors ---- */

START_TEST(nobody_there_is_told_to_the_sender)
{
    struct i3_id id = {{0xab}};
    struct wire_not_present np;
    static const char *const payload[] = {"", "short", "exactly 16 bytes", "longer than what is echoed"};
    for (size_t i = 0; i < ARRAY_LEN(payload); i++) {
        size_t sent = DATA_HEADER_LEN + strlen(payload[i]),
               echo = strlen(payload[i]) < 16 ? strlen(payload[i]) : 16;
        host_data(alice, t0, 9, &id, 1, payload[i]);
        const struct dgram *d = host_got(alice, WIRE_NOT_PRESENT);
        ck_assert_ptr_nonnull(d);
        ck_assert_uint_le(d->len, sent);
        ck_assert_int_eq(not_present_decode(d->data, d->len, &np), 0);
        ck_assert_mem_eq(&np.id, &id, ID_LEN);
        ck_assert_uint_eq(np.echo_len, echo);
        ck_assert_mem_eq(np.echo, payload[i], echo);
    }
    ck_assert_uint_eq(stats().not_present, 4);
}
END_TEST

/* A receiver's stack whose first id is gone: the error names that id. */
START_TEST(a_missing_later_id_is_told_to_the_sender_too)
{
    struct i3_id gone[2] = {{{0xcd}}, {{2}}};
    struct held b = insert(bob, t0, 0, 256, gone, 2);
    struct wire_not_present np;
    host_data(alice, t0, 9, &b.id, 1, "data");
    const struct dgram *d = host_got(alice, WIRE_NOT_PRESENT);
    ck_assert_ptr_nonnull(d);
    ck_assert_int_eq(not_present_decode(d->data, d->len, &np), 0);
    ck_assert_mem_eq(&np.id, &gone[0], ID_LEN);
    ck_assert_mem_eq(np.echo, "data", 4);
}
END_TEST

/* However many ways a packet has gone, its sender gets one error: or he could aim many at somebody else. */
START_TEST(one_packet_gets_one_error)
{
    struct held t = {0};
    struct i3_id gone[2] = {{{0xcd}}, {{0xce}}};
    held_id(&t, bob, 5, 256);
    struct addr home = bob->addr;
    for (unsigned i = 0; i < 20; i++) {
        bob->addr = hosts[20 + i].addr;
        ck_assert_int_eq(host_insert(bob, t0, &t, &gone[i % 2], 1), 30);
    }
    bob->addr = home;
    host_data(alice, t0, 9, &t.id, 1, "data");
    ck_assert_ptr_nonnull(host_got(alice, WIRE_NOT_PRESENT));
    ck_assert_uint_eq(stats().not_present, 20);
}
END_TEST

START_TEST(errors_are_limited)
{
    config.errors_per_s = 100;
    restart();
    struct i3_id id = {{0xab}};
    unsigned told = 0;
    for (unsigned ms = 0; ms < 10000; ms++) /* ten sources, a second of theirs each */
        told += host_data(&hosts[ms / 1000], after(ms / 1000.0), 9, &id, 1, "x");
    ck_assert_uint_ge(told, 10 * 25);
    ck_assert_uint_le(told, 10 * 25 + 10);
    ck_assert_uint_eq(stats().rate_limited, 10000 - told);
    told = 0;
    for (unsigned ms = 0; ms < 10000; ms++) /* ten at once: as many as are allowed, and none is left out */
        told += host_data(&hosts[ms % 10], after(20 + ms / 1000.0), 9, &id, 1, "x");
    ck_assert_uint_ge(told, 990);
    ck_assert_uint_le(told, 1010);
}
END_TEST

START_TEST(proofs_are_limited_and_one_source_cannot_have_them_all)
{
    config.proofs_per_s = 100;
    config.errors_per_s = 1000000;
    restart();
    struct wire_challenge c;
    struct held t = {.seq = 1}, u = {.seq = 1};
    held_id(&t, mallory, 0, 256);
    held_id(&u, bob, 0, 256);
    ck_assert_int_eq(host_ask(mallory, t0, &t, NULL, 0, &c), 0);
    host_prove(mallory, &t, NULL, 0, &c);
    t.prove[t.prove_len - 1] ^= 1;
    ck_assert_int_eq(host_ask(bob, t0, &u, NULL, 0, &c), 0);
    host_prove(bob, &u, NULL, 0, &c);
    unsigned refused = 0;
    for (unsigned i = 0; i < 1000; i++) {
        mono_t now = after(0.5 + i / 2500.0);
        host_send(mallory, now, t.prove, t.prove_len);
        refused += host_refused(mallory) == REFUSED_PROOF;
    }
    ck_assert_uint_eq(refused, 25);
    host_send(bob, after(0.95), u.prove, u.prove_len);
    ck_assert_int_eq(host_acked(bob, &u), 30);
}
END_TEST

START_TEST(a_full_store_and_a_greedy_source_are_refused)
{
    config.triggers_max = 6;
    config.triggers_per_source = 4;
    restart();
    struct held t = {0};
    for (unsigned i = 0; i < 5; i++) {
        held_id(&t, bob, i, 256);
        ck_assert_int_eq(host_insert(bob, t0, &t, NULL, 0), i < 4 ? 30 : -1);
        bob->addr.port++; /* ports are no sources */
    }
    ck_assert_uint_eq(host_refused((bob->addr.port--, bob)), REFUSED_POLICY);
    for (unsigned i = 0; i < 3; i++) {
        held_id(&t, carol, i, 256);
        ck_assert_int_eq(host_insert(carol, t0, &t, NULL, 0), i < 2 ? 30 : -1);
    }
    ck_assert_uint_eq(host_refused(carol), REFUSED_FULL);
    ck_assert_uint_eq(stats().triggers, 6);
    ck_assert_int_eq(host_insert(carol, after(31), &t, NULL, 0), 30);
}
END_TEST

START_TEST(a_ping_gets_its_pong)
{
    uint8_t p[PING_LEN], nonce[NONCE_LEN] = {1, 2, 3, 4, 5, 6, 7, 8}, got[NONCE_LEN];
    host_send(alice, t0, p, ping_encode(p, sizeof(p), WIRE_PING, nonce));
    const struct dgram *d = host_got(alice, WIRE_PONG);
    ck_assert_ptr_nonnull(d);
    ck_assert_int_eq(ping_decode(d->data, d->len, WIRE_PONG, got), 0);
    ck_assert_mem_eq(got, nonce, NONCE_LEN);
}
END_TEST

/* What hosts get, other versions, the empty, the cut short: not a word. */
START_TEST(what_is_not_for_a_node_gets_silence)
{
    uint8_t p[2000] = {0};
    for (unsigned first = 0; first < 256; first++) {
        if (first >> 4 == WIRE_VERSION && (first & 15) <= WIRE_PING && (first & 15) != WIRE_CHALLENGE &&
            (first & 15) != WIRE_ACK && (first & 15) != WIRE_NOT_PRESENT && (first & 15))
            continue;
        for (size_t len = 0; len < sizeof(p); len = len * 2 + 1) {
            p[0] = (uint8_t)first;
            ck_assert_uint_eq(host_send(alice, t0, p, len), 0);
        }
    }
    struct held t = insert(bob, t0, 0, 256, NULL, 0);
    for (size_t len = 0; len < t.prove_len; len++)
        ck_assert_uint_eq(host_send(bob, t0, t.prove, len), 0);
    t.prove[t.prove_len] = 0;
    ck_assert_uint_eq(host_send(bob, t0, t.prove, t.prove_len + 1), 0);
    struct addr nobody = {0};
    uint8_t nonce[NONCE_LEN] = {0};
    outbox_clear(out);
    node_input(node, t0, &nobody, p, ping_encode(p, sizeof(p), WIRE_PING, nonce), out);
    ck_assert_uint_eq(out->n, 0);
}
END_TEST

/* When the outbox is full nothing breaks. */
START_TEST(a_full_outbox_loses_packets_and_no_more)
{
    struct held t = insert(bob, t0, 0, 256, NULL, 0),
                s = insert(carol, t0, 0, 256, (struct i3_id[]){t.id, t.id}, 2);
    uint8_t ping[PING_LEN], nonce[NONCE_LEN] = {0};
    ping_encode(ping, sizeof(ping), WIRE_PING, nonce);
    outbox_clear(out);
    for (unsigned i = 0; i < OUTBOX_MAX + 5; i++)
        node_input(node, t0, &alice->addr, ping, PING_LEN, out);
    ck_assert_uint_eq(out->n, OUTBOX_MAX);
    outbox_clear(out);
    size_t len = data_packet(alice->buf, sizeof(alice->buf), 9, &s.id, 1, alice->buf + 60000, 5000);
    for (unsigned i = 0; i < 100; i++) /* each makes a copy in the arena */
        node_input(node, t0, &alice->addr, memcpy(bob->buf, alice->buf, len), len, out);
    ck_assert_uint_eq(out->n, OUTBOX_ARENA / (len + ID_LEN));
    ck_assert(reaches(alice, t0, &t.id, bob));
}
END_TEST

/* The same seed and the same packets: the same bytes. */
START_TEST(is_deterministic)
{
    struct wire_challenge a, b;
    struct held t = {0};
    held_id(&t, bob, 0, 256);
    ck_assert_int_eq(host_ask(bob, t0, &t, NULL, 0, &a), 0);
    restart();
    ck_assert_int_eq(host_ask(bob, t0, &t, NULL, 0, &b), 0);
    ck_assert_mem_eq(&a, &b, sizeof(a));
    node_free(node);
    node = another(2);
    bob->node = node;
    ck_assert_int_eq(host_ask(bob, t0, &t, NULL, 0, &b), 0);
    ck_assert_mem_ne(a.cookie, b.cookie, COOKIE_LEN);
    ck_assert_mem_ne(a.node_key, b.node_key, KEY_LEN);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("node/node");
    TCase *tc = tcase_create("node");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, an_inserted_trigger_is_found);
    tcase_add_test(tc, a_connection_is_an_address_of_its_own);
    tcase_add_test(tc, asking_leaves_no_trace_and_is_never_answered_with_more);
    tcase_add_test(tc, a_deep_stack_is_refused_by_policy);
    tcase_add_test(tc, a_proof_replayed_from_elsewhere_is_refused);
    tcase_add_loop_test(tc, a_proof_holds_for_nothing_else, 0, FORGERIES);
    tcase_add_test(tc, nobody_inserts_for_an_id_whose_key_is_not_his);
    tcase_add_test(tc, a_key_of_small_order_proves_nothing);
    tcase_add_test(tc, epochs_overlap_by_one);
    tcase_add_test(tc, a_trigger_lives_thirty_seconds);
    tcase_add_test(tc, a_refresh_gives_thirty_seconds_more);
    tcase_add_test(tc, a_duplicate_insert_refreshes);
    tcase_add_test(tc, a_host_alone_at_its_id_is_not_looked_for_where_it_was);
    tcase_add_test(tc, a_repeated_proof_does_not_set_the_number_back);
    tcase_add_test(tc, replayed_refreshes_keep_nothing_alive);
    tcase_add_test(tc, a_batch_refreshes_each_and_is_answered_by_one);
    tcase_add_test(tc, a_batch_from_elsewhere_keeps_nothing_and_is_never_answered_with_more);
    tcase_add_test(tc, only_refreshes_ride_together);
    tcase_add_test(tc, the_owner_removes);
    tcase_add_test(tc, nobody_else_removes);
    tcase_add_test(tc, anycast_picks_the_longest_match);
    tcase_add_test(tc, multicast_gives_each_a_copy);
    tcase_add_test(tc, a_senders_stack_goes_to_its_first_id_whole);
    tcase_add_test(tc, a_receivers_stack_replaces_its_id_in_order);
    tcase_add_test(tc, more_than_fifteen_ids_are_dropped);
    tcase_add_test(tc, multicast_copies_do_not_disturb_each_other);
    tcase_add_test(tc, hops_end);
    tcase_add_test(tc, a_cycle_dies_and_the_node_lives);
    tcase_add_test(tc, multicast_cycles_are_bounded);
    tcase_add_test(tc, nobody_there_is_told_to_the_sender);
    tcase_add_test(tc, a_missing_later_id_is_told_to_the_sender_too);
    tcase_add_test(tc, one_packet_gets_one_error);
    tcase_add_test(tc, errors_are_limited);
    tcase_add_test(tc, proofs_are_limited_and_one_source_cannot_have_them_all);
    tcase_add_test(tc, a_full_store_and_a_greedy_source_are_refused);
    tcase_add_test(tc, a_ping_gets_its_pong);
    tcase_add_test(tc, what_is_not_for_a_node_gets_silence);
    tcase_add_test(tc, a_full_outbox_loses_packets_and_no_more);
    tcase_add_test(tc, is_deterministic);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
