/* Whole hosts (triggers and sessions) and a real node between them, in virtual time: what the unit tests try against fakes,
 * once more against the other side as it is. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/i3/peer.h"
#include "daemon/i3/trigger.h"
#include "daemon/node/node.h"
#include "tests/lib/suite.h"

#define MS  USEC_PER_MSEC
#define SEC USEC_PER_SEC

enum { HOSTS = 20, FLIGHT = 8192 };

struct host {
    struct addr addr;
    struct triggers *t;
    struct peers *ps;
    struct peers_config c;
    struct i3_id public_id, private_id;
    uint64_t got, ups, unreachables, unanswered;
};

struct flight {
    mono_t at;
    struct addr from, to;
    uint8_t *p;
    size_t len;
};

static struct {
    mono_t now;
    struct drbg drbg;
    struct node *node;
    struct addr node_addr;
    struct node_config nc;
    struct host host[HOSTS];
    unsigned hosts;
    struct flight flight[FLIGHT]; /* in no order: there are never many */
    unsigned n;
    struct outbox out;
    unsigned loss; /* per 1000 */
    uint64_t delay, jitter;
    uint64_t not_presents;
} w;

static bool known(void *ctx, const uint8_t key[KEY_LEN])
{
    (void)ctx;
    (void)key;
    return true;
}

static void send_all(const struct addr *from)
{
    for (unsigned i = 0; i < w.out.n; i++) {
        const struct dgram *d = &w.out.v[i];
        if (drbg_u64(&w.drbg) % 1000 < w.loss)
            continue;
        ck_assert_uint_lt(w.n, FLIGHT);
        struct flight *f = &w.flight[w.n++];
        *f = (struct flight){mono_add(w.now, w.delay + drbg_u64(&w.drbg) % (w.jitter + 1)), *from, d->to,
            malloc(d->len), d->len};
        memcpy(f->p, d->data, d->len);
    }
    outbox_clear(&w.out);
}

static uint64_t wall(void)
{
    return 1800000000ull * SEC + w.now.us;
}

static void node_start(void)
{
    drbg_draw(&w.drbg, w.nc.seed, sizeof(w.nc.seed));
    node_free(w.node);
    w.node = node_new(&w.nc, w.now);
    ck_assert_ptr_nonnull(w.node);
}

static void host_stop(struct host *h)
{
    triggers_free(h->t);
    peers_free(h->ps);
}

static void host_start(struct host *h)
{
    uint8_t seed[32];
    drbg_draw(&w.drbg, h->c.session_priv, KEY_LEN);
    drbg_draw(&w.drbg, h->c.seed, sizeof(h->c.seed));
    drbg_draw(&w.drbg, seed, sizeof(seed));
    x25519_public(h->c.session_pub, h->c.session_priv);
    id_of_key(&h->private_id, h->c.session_pub, NULL);
    h->t = triggers_new(seed);
    h->ps = peers_new(&h->c);
    triggers_set_node(h->t, w.now, &w.node_addr);
    peers_set_node(h->ps, &w.node_addr);
    ck_assert_int_eq(trigger_add(h->t, w.now, &h->public_id, 128, h->c.priv, h->c.pub, NULL, 0, 0), 0);
    ck_assert_int_eq(
        trigger_add(h->t, w.now, &h->private_id, 128, h->c.session_priv, h->c.session_pub, NULL, 0, 0), 0);
}

static void world_start(unsigned hosts, uint8_t seed)
{
    memset(&w, 0, sizeof(w));
    drbg_init(&w.drbg, (uint8_t[32]){seed, 77});
    w.now = (mono_t){SEC};
    w.node_addr = addr_v4(0x0a630001, 5610);
    w.delay = 5 * MS;
    w.hosts = hosts;
    node_config_default(&w.nc);
    node_start();
    for (unsigned i = 0; i < hosts; i++) {
        struct host *h = &w.host[i];
        h->addr = addr_v4(0x0a630100 + i, 4000);
        drbg_draw(&w.drbg, h->c.priv, KEY_LEN);
        x25519_public(h->c.pub, h->c.priv);
        id_of_key(&h->public_id, h->c.pub, NULL);
        h->c.pool = 0x0a000000;
        h->c.pool_bits = 8;
        h->c.own_address = id_address(&h->public_id, h->c.pool, h->c.pool_bits);
        h->c.ciphers = 3;
        h->c.mtu = 1400;
        h->c.known = known;
        host_start(h);
    }
}

static void world_stop(void)
{
    for (unsigned i = 0; i < w.hosts; i++)
        host_stop(&w.host[i]);
    for (unsigned i = 0; i < w.n; i++)
        free(w.flight[i].p);
    node_free(w.node);
}

static void host_data(struct host *h, const struct addr *from, uint8_t *p, size_t len)
{
    struct wire_data d;
    struct peer *who;
    uint8_t *plain;
    size_t plain_len;
    if (data_decode(p, len, &d))
        return;
    if (peers_input(h->ps, w.now, wall(), from, &d, &w.out, &who, &plain, &plain_len) == PEER_PACKET)
        h->got++;
}

static void host_input(struct host *h, const struct addr *from, uint8_t *p, size_t len)
{
    struct wire_not_present np;
    switch (wire_kind(p, len)) {
    case WIRE_DATA:
        host_data(h, from, p, len);
        break;
    case WIRE_NOT_PRESENT:
        w.not_presents++;
        if (not_present_decode(p, len, &np) == 0) {
            peers_not_present(h->ps, w.now, wall(), &np);
            triggers_doubt(h->t, w.now);
        }
        break;
    default:
        triggers_input(h->t, w.now, from, p, len);
    }
}

static void host_turn(struct host *h)
{
    struct peer_event e;
    while (mono_due(triggers_deadline(h->t), w.now) || mono_due(peers_deadline(h->ps), w.now)) {
        triggers_output(h->t, w.now, &w.out);
        peers_output(h->ps, w.now, wall(), &w.out);
        if (peers_unanswered(h->ps) != h->unanswered) { /* as the pump does */
            h->unanswered = peers_unanswered(h->ps);
            triggers_doubt(h->t, w.now);
        }
        send_all(&h->addr);
    }
    while (peers_event(h->ps, &e))
        *(e.kind == PEER_UP ? &h->ups : &h->unreachables) += 1;
}

static void land(struct flight f)
{
    if (addr_eq(&f.to, &w.node_addr)) {
        node_input(w.node, w.now, &f.from, f.p, f.len, &w.out);
        send_all(&w.node_addr);
    }
    for (unsigned i = 0; i < w.hosts; i++) {
        if (addr_eq(&f.to, &w.host[i].addr)) {
            host_input(&w.host[i], &f.from, f.p, f.len);
            send_all(&w.host[i].addr);
        }
    }
    free(f.p);
}

static void run(uint64_t us)
{
    mono_t end = mono_add(w.now, us);
    for (;;) {
        mono_t next = node_deadline(w.node);
        for (unsigned i = 0; i < w.hosts; i++) {
            host_turn(&w.host[i]);
            next = mono_min(next, mono_min(triggers_deadline(w.host[i].t), peers_deadline(w.host[i].ps)));
        }
        unsigned first = w.n;
        for (unsigned i = 0; i < w.n; i++)
            if (first == w.n || w.flight[i].at.us < w.flight[first].at.us)
                first = i;
        if (first < w.n)
            next = mono_min(next, w.flight[first].at);
        if (next.us > end.us)
            break;
        w.now = next.us > w.now.us ? next : w.now;
        if (mono_due(node_deadline(w.node), w.now))
            node_expire(w.node, w.now);
        if (first < w.n && mono_due(w.flight[first].at, w.now)) {
            struct flight f = w.flight[first];
            w.flight[first] = w.flight[--w.n];
            land(f);
        }
    }
    w.now = end;
}

/* One packet; false when there is no key to send with. */
static bool talk(unsigned from, unsigned to)
{
    static uint8_t text[200] = {0x45}, out[400]; /* as an IP packet begins */
    struct host *h = &w.host[from];
    struct peer *p = peer_get(h->ps, w.host[to].c.pub, w.host[to].c.own_address);
    ssize_t n = peer_seal(h->ps, p, w.now, wall(), &(struct iovec){text, sizeof(text)}, 1, out, sizeof(out));
    if (n <= 0)
        return false;
    outbox_push(&w.out, peer_destination(h->ps, p), out, (size_t)n);
    send_all(&h->addr);
    return true;
}

/* Each speaks to the other every 100 ms until both have heard; how long that takes. */
static uint64_t time_to_talk(unsigned a, unsigned b)
{
    mono_t start = w.now;
    uint64_t heard_a = w.host[a].got, heard_b = w.host[b].got;
    while (w.host[a].got == heard_a || w.host[b].got == heard_b) {
        talk(a, b);
        talk(b, a);
        run(100 * MS);
        ck_assert_uint_lt(mono_since(start, w.now), 60 * SEC);
    }
    return mono_since(start, w.now);
}

/* The node itself is asked, past the bad network: is there a trigger for this id? */
static bool node_has(const struct i3_id *id)
{
    uint8_t p[DATA_HEADER_LEN + 64] = {0};
    struct addr from = addr_v4(0x0a630202, 1);
    struct wire_data d = {.hops = HOPS_DEFAULT, .n = 1, .proto = PROTO_SEALED, .ids = id->b};
    data_header_encode(p, sizeof(p), &d);
    node_input(w.node, w.now, &from, p, sizeof(p), &w.out);
    bool has = w.out.n && wire_kind(w.out.v[0].data, w.out.v[0].len) == WIRE_DATA;
    outbox_clear(&w.out);
    return has;
}

START_TEST(two_talk_through_the_node)
{
    world_start(2, 1);
    run(SEC);
    ck_assert(triggers_all_standing(w.host[0].t));
    ck_assert(addr_eq(triggers_seen_address(w.host[0].t), &w.host[0].addr));
    ck_assert_uint_le(time_to_talk(0, 1), 300 * MS);
    ck_assert_uint_eq(w.not_presents, 0);
    world_stop();
}
END_TEST

START_TEST(triggers_at_the_node_survive_loss_of_three_in_ten)
{
    unsigned missing = 0;
    world_start(HOSTS, (uint8_t)_i);
    w.loss = 163; /* each way: three round trips in ten */
    run(10 * SEC);
    for (unsigned s = 0; s < 600; s++) {
        run(SEC);
        for (unsigned i = 0; i < HOSTS; i++)
            missing += !node_has(&w.host[i].public_id) + !node_has(&w.host[i].private_id);
    }
    ck_assert_uint_le(missing, 600 * 2 * HOSTS / 1000);
    world_stop();
}
END_TEST

START_TEST(removed_triggers_are_gone_at_the_node)
{
    world_start(2, 2);
    run(SEC);
    ck_assert(node_has(&w.host[0].public_id));
    triggers_remove_all(w.host[0].t, w.now, &w.out);
    send_all(&w.host[0].addr);
    run(100 * MS);
    ck_assert(!node_has(&w.host[0].public_id));
    ck_assert(!node_has(&w.host[0].private_id));
    ck_assert(node_has(&w.host[1].public_id));
    world_stop();
}
END_TEST

START_TEST(a_restarted_node_costs_talkers_little)
{
    world_start(2, 3);
    run(SEC);
    time_to_talk(0, 1);
    run(3 * SEC);
    node_start();
    ck_assert_uint_le(time_to_talk(0, 1), 2 * SEC);
    world_stop();
}
END_TEST

START_TEST(a_host_that_moves_keeps_its_sessions)
{
    world_start(3, 4);
    run(SEC);
    time_to_talk(0, 1);
    time_to_talk(0, 2);
    for (unsigned i = 0; i < 5; i++) {
        w.host[0].addr.ip[3] ^= 0x80;
        triggers_restart(w.host[0].t, w.now);
        ck_assert_uint_le(time_to_talk(0, 1), 300 * MS);
        ck_assert_uint_le(time_to_talk(0, 2), 300 * MS);
        run(20 * SEC);
    }
    ck_assert_uint_eq(w.host[1].ups, 1);
    world_stop();
}
END_TEST

/* The NAT in between has changed the address, and nobody tells the daemon. */
START_TEST(a_host_that_is_moved_finds_out)
{
    world_start(2, 5);
    run(SEC);
    time_to_talk(0, 1);
    run(20 * SEC);
    w.host[0].addr.port++;
    ck_assert_uint_le(time_to_talk(0, 1), 18 * SEC);
    ck_assert_uint_eq(w.host[0].unreachables, 0);
    world_stop();
}
END_TEST

/* Likewise, and all it does is to acknowledge what comes: when nothing comes, it says nothing. */
START_TEST(a_receiver_that_is_moved_finds_out)
{
    world_start(2, 8);
    run(SEC);
    time_to_talk(0, 1);
    for (unsigned round = 0; round < 3; round++) {
        uint64_t got = w.host[0].got;
        uint64_t silence = 0;
        for (unsigned i = 0; i < 1000; i++) { /* 10 s, moved after 2 */
            if (i == 200)
                w.host[0].addr.port++;
            talk(1, 0);
            run(10 * MS);
            silence = w.host[0].got == got ? silence + 10 * MS : 0;
            ck_assert_uint_le(silence, 2 * SEC);
            if (w.host[0].got != got)
                talk(0, 1);
            got = w.host[0].got;
        }
    }
    ck_assert_uint_eq(w.host[0].unreachables, 0);
    world_stop();
}
END_TEST

START_TEST(restarted_daemons_find_each_other)
{
    for (unsigned who = 0; who < 4; who++) {
        world_start(2, 6);
        run(SEC);
        time_to_talk(0, 1);
        run(5 * SEC);
        for (unsigned i = 0; i < 2; i++) {
            if (who == i || who == 2) {
                host_stop(&w.host[i]);
                host_start(&w.host[i]);
            }
        }
        run(20 * MS);
        ck_assert_uint_le(time_to_talk(0, 1), 1500 * MS);
        world_stop();
    }
}
END_TEST

START_TEST(everybody_talks_on_a_bad_network)
{
    world_start(HOSTS, 7);
    w.loss = 50;
    w.jitter = 20 * MS;
    run(5 * SEC);
    uint64_t sent = 0, got = 0;
    for (unsigned s = 0; s < 150; s++) {
        for (unsigned i = 0; i < HOSTS; i++)
            sent += talk(i, (i + 1 + s % 3) % HOSTS);
        run(SEC);
    }
    run(SEC);
    for (unsigned i = 0; i < HOSTS; i++) {
        got += w.host[i].got;
        ck_assert_uint_eq(w.host[i].unreachables, 0);
    }
    ck_assert_uint_ge(sent, 150 * HOSTS * 95 / 100);
    ck_assert_uint_ge(got, sent * 87 / 100); /* 0.95 of 0.95, and a little luck */
    world_stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sim/overlay");
    TCase *t = tcase_create("overlay");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, two_talk_through_the_node);
    tcase_add_loop_test(t, triggers_at_the_node_survive_loss_of_three_in_ten, 0, 2);
    tcase_add_test(t, removed_triggers_are_gone_at_the_node);
    tcase_add_test(t, a_restarted_node_costs_talkers_little);
    tcase_add_test(t, a_host_that_moves_keeps_its_sessions);
    tcase_add_test(t, a_host_that_is_moved_finds_out);
    tcase_add_test(t, a_receiver_that_is_moved_finds_out);
    tcase_add_test(t, restarted_daemons_find_each_other);
    tcase_add_test(t, everybody_talks_on_a_bad_network);
    suite_add_tcase(s, t);
    return suite_run(s);
}
