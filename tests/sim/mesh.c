/* Members of a mesh on a network whose links fail, come back, lose packets and are slow, in virtual time: the way is the best one that
 * an oracle finds among the straight one and all detours, is found again in seconds, and does not change without need. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/mesh/mesh_wire.h"
#include "tests/lib/suite.h"
#include "tests/sim/mesh_net.h"

#define MS  USEC_PER_MSEC
#define SEC USEC_PER_SEC

static struct net w;

static void end(void)
{
    net_end(&w);
}

/* ---- the best way ---- */

/* Round trip by that way, UINT32_MAX: it is cut. */
static uint32_t rtt_by(unsigned a, unsigned b, unsigned by)
{
    if (by == b)
        return w.cut[a][b] ? UINT32_MAX : 2 * w.us[a][b];
    return by == a || w.dead[by] || w.cut[a][by] || w.cut[by][b] ? UINT32_MAX : 2 * (w.us[a][by] + w.us[by][b]);
}

static uint32_t oracle(unsigned a, unsigned b)
{
    uint32_t best = UINT32_MAX;
    for (unsigned by = 0; by < w.n; by++)
        if (rtt_by(a, b, by) < best)
            best = rtt_by(a, b, by);
    return best;
}

/* The chosen way lives, and is as good as any but for the margin that a change must be worth. */
static void check_ways(void)
{
    for (unsigned a = 0; a < w.n; a++)
        for (unsigned b = 0; b < w.n; b++) {
            if (a == b || w.dead[a] || w.dead[b])
                continue;
            uint32_t best = oracle(a, b);
            struct mesh_info i = net_way(&w, a, b);
            if (best == UINT32_MAX) {
                ck_assert_int_eq(i.kind, MESH_NONE);
                continue;
            }
            ck_assert_int_ne(i.kind, MESH_NONE);
            uint32_t is = rtt_by(a, b, i.kind == MESH_DIRECT ? b : net_who(&w, i.by));
            ck_assert_msg(is != UINT32_MAX && is <= best + best / 3 + 6 * 1000, "%u to %u: %u, but there is %u", a, b, is, best);
        }
}

START_TEST(the_best_of_all_ways_is_taken)
{
    net_begin(&w, 12, (uint8_t)_i);
    net_run(&w, 30 * SEC);
    check_ways();
    unsigned detours = 0;
    for (unsigned a = 0; a < w.n; a++)
        for (unsigned b = 0; b < w.n; b++)
            detours += a != b && net_way(&w, a, b).kind == MESH_DETOUR;
    ck_assert_uint_gt(detours, 10); /* with delays by chance some are much better */
}
END_TEST

static void check_delivery(void)
{
    unsigned sent = 0;
    memset(w.got, 0, sizeof(w.got));
    for (unsigned a = 0; a < w.n; a++)
        for (unsigned b = 0; b < w.n; b++)
            if (a != b && !w.dead[a] && !w.dead[b])
                sent += net_send(&w, a, b);
    net_run(&w, 500 * MS);
    unsigned got = 0;
    for (unsigned b = 0; b < w.n; b++)
        got += w.got[b];
    ck_assert_uint_eq(got, sent);
    ck_assert_uint_ge(sent, 1);
}

static unsigned relay_most[NET_MAX];

/* Each RELAY datagram goes at most two hops: from its origin to a relay, from the relay to the end. */
static void spy_hops(struct net *net, const struct flight *f)
{
    struct mesh_relay v;
    if (mesh_relay_decode(f->data, f->len, &v))
        return;
    unsigned from = 0, to = 0;
    while (memcmp(net->prefix[from], v.from, ID_PREFIX_LEN))
        from++;
    while (memcmp(net->prefix[to], v.to, ID_PREFIX_LEN))
        to++;
    if (v.hop == 1)
        ck_assert(addr_eq(&f->from, &net->addr[from]) && !addr_eq(&f->to, &net->addr[to]));
    else
        ck_assert(addr_eq(&f->to, &net->addr[to]) && !addr_eq(&f->from, &net->addr[from]));
    relay_most[from]++;
}

static bool lasting(bool was[NET_MAX][NET_MAX], unsigned a, unsigned b)
{
    bool there = !w.cut[a][b] && !was[a][b];
    for (unsigned by = 0; by < w.n; by++)
        there |= by != a && by != b && !w.cut[a][by] && !was[a][by] && !w.cut[by][b] && !was[by][b];
    return there;
}

START_TEST(twenty_members_whose_links_fail_and_come_back)
{
    net_begin(&w, 20, (uint8_t)(40 + _i));
    w.spy = spy_hops;
    net_run(&w, 20 * SEC);
    check_ways();
    for (unsigned round = 0; round < 6; round++) {
        bool was[NET_MAX][NET_MAX];
        memcpy(was, w.cut, sizeof(was));
        for (unsigned k = 0; k < 40; k++) {
            unsigned a = (unsigned)(drbg_u64(&w.drbg) % w.n), b = (unsigned)(drbg_u64(&w.drbg) % w.n);
            if (a != b)
                net_cut(&w, a, b, drbg_u64(&w.drbg) % 3 > 0);
        }
        net_run(&w, 4 * SEC);
        /* nobody is without a way who has one that was there before as well */
        for (unsigned a = 0; a < w.n; a++)
            for (unsigned b = 0; b < w.n; b++)
                if (a != b && lasting(was, a, b))
                    ck_assert_int_ne(net_way(&w, a, b).kind, MESH_NONE);
        net_run(&w, 40 * SEC);
        check_ways();
        check_delivery();
    }
}
END_TEST

/* ---- failing ---- */

static void begin_three(uint32_t ab, uint32_t ac, uint32_t cb)
{
    net_begin(&w, 3, 7);
    net_link(&w, 0, 1, ab);
    net_link(&w, 0, 2, ac);
    net_link(&w, 2, 1, cb);
    net_run(&w, 10 * SEC);
}

/* How long until a's way to b is of that kind; it must be before `most`. */
static uint64_t until(enum mesh_kind kind, uint64_t most)
{
    mono_t start = w.now;
    while (net_way(&w, 0, 1).kind != kind && mono_since(start, w.now) < most)
        net_run(&w, 50 * MS);
    uint64_t us = mono_since(start, w.now);
    ck_assert_msg(us < most, "not in %u ms", (unsigned)(most / MS));
    return us;
}

START_TEST(a_dead_link_is_left_within_three_seconds_and_gone_back_to)
{
    begin_three(5000, 5000, 5000);
    ck_assert_int_eq(net_way(&w, 0, 1).kind, MESH_DIRECT);
    net_run(&w, (uint64_t)_i * 137 * MS);
    net_cut(&w, 0, 1, true);
    until(MESH_DETOUR, 3 * SEC);
    ck_assert_mem_eq(net_way(&w, 0, 1).by, w.pub[2], KEY_LEN);
    w.got[1] = 0;
    ck_assert(net_send(&w, 0, 1));
    net_run(&w, 100 * MS);
    ck_assert_uint_eq(w.got[1], 1);
    ck_assert_uint_eq(w.hops[1], 2);
    ck_assert_mem_eq(w.who[1], w.pub[0], KEY_LEN);
    net_run(&w, 5 * SEC);
    net_cut(&w, 0, 1, false);
    until(MESH_DIRECT, 8 * SEC);
}
END_TEST

START_TEST(a_link_that_is_dead_one_way_is_dead)
{
    begin_three(5000, 5000, 5000);
    w.cut[1][0] = true;
    until(MESH_DETOUR, 3 * SEC);
    net_run(&w, SEC);
    ck_assert_int_eq(net_way(&w, 1, 0).kind, MESH_DETOUR);
}
END_TEST

START_TEST(a_relay_that_dies_is_left)
{
    net_begin(&w, 4, 9);
    for (unsigned a = 0; a < 4; a++)
        for (unsigned b = 0; b < a; b++)
            net_link(&w, a, b, 5000);
    net_cut(&w, 0, 1, true);
    net_run(&w, 10 * SEC);
    struct mesh_info i = net_way(&w, 0, 1);
    ck_assert_int_eq(i.kind, MESH_DETOUR);
    unsigned by = net_who(&w, i.by);
    w.dead[by] = true;
    net_run(&w, 3 * SEC);
    i = net_way(&w, 0, 1);
    ck_assert_int_eq(i.kind, MESH_DETOUR);
    ck_assert_uint_ne(net_who(&w, i.by), by);
}
END_TEST

START_TEST(nobody_reaches_it_and_that_is_said)
{
    begin_three(5000, 5000, 5000);
    w.dead[1] = true;
    until(MESH_NONE, 6 * SEC);
    struct mesh_way way;
    ck_assert(!mesh_way(w.m[0], w.prefix[1], &way));
    w.dead[1] = false;
    until(MESH_DIRECT, 5 * SEC);
}
END_TEST

/* ---- no needless changes ---- */

START_TEST(equal_ways_do_not_take_turns)
{
    begin_three(10000, 5000, 5000);
    uint64_t before = net_way(&w, 0, 1).changes;
    for (unsigned i = 0; i < 600; i++) { /* delays that wander by a tenth */
        net_link(&w, 0, 1, 9500 + (uint32_t)(drbg_u64(&w.drbg) % 1000));
        net_link(&w, 0, 2, 4700 + (uint32_t)(drbg_u64(&w.drbg) % 600));
        net_run(&w, SEC);
    }
    ck_assert_uint_eq(net_way(&w, 0, 1).changes, before);
}
END_TEST

START_TEST(a_link_that_comes_and_goes_is_trusted_less_and_less)
{
    begin_three(5000, 5000, 5000);
    uint64_t before = net_way(&w, 0, 1).changes;
    for (unsigned i = 0; i < 60; i++) {
        net_cut(&w, 0, 1, true);
        net_run(&w, 5 * SEC);
        net_cut(&w, 0, 1, false);
        net_run(&w, 5 * SEC);
    }
    ck_assert_uint_le(net_way(&w, 0, 1).changes - before, 20);
    net_run(&w, 60 * SEC);
    ck_assert_int_eq(net_way(&w, 0, 1).kind, MESH_DIRECT);
}
END_TEST

START_TEST(a_lossy_link_is_avoided)
{
    begin_three(5000, 5000, 5000);
    w.loss[0][1] = w.loss[1][0] = 100;
    net_run(&w, 60 * SEC);
    unsigned detour = 0;
    for (unsigned i = 0; i < 60; i++) {
        net_run(&w, SEC);
        detour += net_way(&w, 0, 1).kind == MESH_DETOUR;
    }
    ck_assert_uint_gt(detour, 40);
}
END_TEST

/* ---- who may be where ---- */

START_TEST(one_without_an_address_calls_and_is_reached)
{
    begin_three(5000, 5000, 5000);
    mesh_begin(w.m[0]);
    mesh_member(w.m[0], w.now, w.pub[1], NULL, 0);
    mesh_member(w.m[0], w.now, w.pub[2], &w.addr[2], 1);
    mesh_end(w.m[0], w.now);
    until(MESH_DIRECT, 5 * SEC);
}
END_TEST

START_TEST(one_that_moves_is_followed)
{
    begin_three(5000, 5000, 5000);
    w.addr[1] = addr_v4(0xc0000299, 4444);
    net_run(&w, 5 * SEC);
    struct mesh_info i = net_way(&w, 0, 1);
    bool there = false;
    for (unsigned k = 0; k < i.n_spots; k++)
        there |= i.spot[k].in_use && addr_eq(&i.spot[k].addr, &w.addr[1]);
    ck_assert(there);
}
END_TEST

START_TEST(one_that_starts_anew_is_believed_at_once)
{
    begin_three(5000, 5000, 5000);
    net_cut(&w, 0, 1, true);
    until(MESH_DETOUR, 4 * SEC);
    net_restart(&w, 2); /* the relay */
    net_run(&w, 3 * SEC);
    w.got[1] = 0;
    ck_assert(net_send(&w, 0, 1));
    net_run(&w, 100 * MS);
    ck_assert_uint_eq(w.got[1], 1);
}
END_TEST

/* ---- strangers, forgers, parrots ---- */

static struct {
    uint8_t data[4096][200];
    size_t len[4096];
    unsigned n;
} heard;

static void spy_all(struct net *net, const struct flight *f)
{
    if (addr_eq(&f->to, &net->addr[1]) && heard.n < 4096 && f->len <= 200) {
        memcpy(heard.data[heard.n], f->data, f->len);
        heard.len[heard.n++] = f->len;
    }
}

static unsigned answers; /* to the address that nobody has */

static void spy_answers(struct net *net, const struct flight *f)
{
    (void)f;
    (void)net;
}

START_TEST(what_is_heard_and_said_again_or_changed_does_nothing)
{
    struct addr mallory = addr_v4(0xc6336401, 6666);
    heard.n = 0;
    begin_three(5000, 5000, 5000);
    w.spy = spy_all;
    net_cut(&w, 0, 1, true);
    net_run(&w, 4 * SEC);
    for (unsigned i = 0; i < 50; i++) {
        net_send(&w, 0, 1);
        net_run(&w, 10 * MS);
    }
    net_run(&w, 20 * SEC);
    w.spy = spy_answers;
    unsigned got = w.got[1], n = heard.n;
    ck_assert_uint_gt(n, 60);
    ck_assert_uint_ge(got, 50);
    struct mesh_info was = net_way(&w, 1, 0);
    for (int restarted = 0; restarted < 2; restarted++) {
        for (unsigned i = 0; i < n; i++)
            for (int change = 0; change < 3; change++) {
                uint8_t copy[200];
                memcpy(copy, heard.data[i], heard.len[i]);
                size_t len = heard.len[i];
                if (change)
                    copy[drbg_u64(&w.drbg) % len] ^= (uint8_t)(1 << drbg_u64(&w.drbg) % 8);
                if (wire_kind(copy, len) != WIRE_MESH)
                    continue;
                const uint8_t *who;
                uint8_t *packet;
                size_t plen;
                enum mesh_verdict v = mesh_input(w.m[1], w.now, &mallory, 0, copy, len, &w.out, &who, &packet, &plen);
                ck_assert_int_ne(v, MESH_DATA);
                /* after a start a recorded greeting may be answered: as long as it is, and no more */
                size_t said = 0;
                for (unsigned k = 0; k < w.out.n; k++)
                    said += w.out.v[k].len;
                ck_assert_uint_le(said, restarted ? len : 0);
                outbox_clear(&w.out);
                ck_assert_ptr_null(mesh_at(w.m[1], &mallory));
            }
        struct mesh_info is = net_way(&w, 1, 0);
        if (!restarted)
            ck_assert_int_eq(is.kind, was.kind);
        net_restart(&w, 1);
    }
    net_run(&w, 5 * SEC);
    ck_assert_int_eq(net_way(&w, 1, 2).kind, MESH_DIRECT);
    ck_assert_uint_eq(answers, 0);
}
END_TEST

START_TEST(a_relay_serves_members_for_members_alone)
{
    begin_three(5000, 5000, 5000);
    net_cut(&w, 0, 1, true);
    net_run(&w, 4 * SEC);
    mesh_begin(w.m[2]); /* c does not know b any more */
    mesh_member(w.m[2], w.now, w.pub[0], &w.addr[0], 1);
    mesh_end(w.m[2], w.now);
    w.got[1] = 0;
    net_send(&w, 0, 1);
    net_run(&w, 100 * MS);
    ck_assert_uint_eq(w.got[1], 0);
    net_tell_all(&w, 2);
    net_run(&w, 10 * SEC);
    ck_assert(net_send(&w, 0, 1));
    mesh_set_relay(w.m[2], false);
    net_run(&w, 100 * MS);
    ck_assert_uint_eq(w.got[1], 0);
}
END_TEST

START_TEST(a_relay_hands_on_only_so_much_for_one)
{
    begin_three(5000, 5000, 5000);
    net_cut(&w, 0, 1, true);
    net_run(&w, 4 * SEC);
    w.got[1] = 0;
    for (unsigned i = 0; i < 4 * MESH_RELAYED_BURST; i++)
        net_send(&w, 0, 1);
    net_run(&w, 100 * MS);
    ck_assert_uint_ge(w.got[1], MESH_RELAYED_BURST);
    ck_assert_uint_lt(w.got[1], 2 * MESH_RELAYED_BURST);
}
END_TEST

/* What it costs to do nothing. */
START_TEST(idle_members_say_little)
{
    net_begin(&w, 20, 3);
    for (unsigned a = 0; a < w.n; a++)
        for (unsigned b = 0; b < a; b++)
            net_link(&w, a, b, 5000);
    net_run(&w, 10 * SEC);
    uint64_t before = w.datagrams;
    net_run(&w, 60 * SEC);
    ck_assert_uint_lt((w.datagrams - before) / 60 / (20 * 19), 5); /* to one other, each second */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mesh");
    TCase *t = tcase_create("mesh");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, NULL, end);
    tcase_add_loop_test(t, the_best_of_all_ways_is_taken, 0, 4);
    tcase_add_loop_test(t, twenty_members_whose_links_fail_and_come_back, 0, 2);
    tcase_add_loop_test(t, a_dead_link_is_left_within_three_seconds_and_gone_back_to, 0, 8);
    tcase_add_test(t, a_link_that_is_dead_one_way_is_dead);
    tcase_add_test(t, a_relay_that_dies_is_left);
    tcase_add_test(t, nobody_reaches_it_and_that_is_said);
    tcase_add_test(t, equal_ways_do_not_take_turns);
    tcase_add_test(t, a_link_that_comes_and_goes_is_trusted_less_and_less);
    tcase_add_test(t, a_lossy_link_is_avoided);
    tcase_add_test(t, one_without_an_address_calls_and_is_reached);
    tcase_add_test(t, one_that_moves_is_followed);
    tcase_add_test(t, one_that_starts_anew_is_believed_at_once);
    tcase_add_test(t, what_is_heard_and_said_again_or_changed_does_nothing);
    tcase_add_test(t, a_relay_serves_members_for_members_alone);
    tcase_add_test(t, a_relay_hands_on_only_so_much_for_one);
    tcase_add_test(t, idle_members_say_little);
    suite_add_tcase(s, t);
    return suite_run(s);
}
