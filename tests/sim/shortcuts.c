/* Sessions which go straight from daemon to daemon, in virtual time: the node and the straight way come and go. */
#include "tests/lib/suite.h"
#include "tests/sim/world.h"

#include <string.h>

static struct world *meet(uint64_t seed)
{
    struct world *w = world_new(2, seed);
    world_shortcuts(w);
    world_open(w, 0, 1);
    world_run(w, SEC);
    ck_assert(world_both_stand(w));
    return w;
}

static struct addr way(struct world *w, unsigned from, unsigned to)
{
    return world_info(w, from, to).shortcut;
}

static bool straight(struct world *w, unsigned from, unsigned to)
{
    return world_info(w, from, to).shortcut.family != 0;
}

/* Packets both ways, every 20 ms; how many of the last second's arrived. */
static unsigned talk(struct world *w, uint64_t us)
{
    static uint64_t n = 1000;
    uint64_t got = 0;
    for (uint64_t t = 0; t < us; t += 20 * MS) {
        if (t + SEC == us || (us < SEC && !t))
            got = w->host[0].got + w->host[1].got;
        world_packet(w, 0, 1, n++ % 60000, 200);
        world_packet(w, 1, 0, n++ % 60000, 200);
        world_run(w, 20 * MS);
    }
    return (unsigned)(w->host[0].got + w->host[1].got - got);
}

START_TEST(two_who_want_to_go_straight)
{
    struct world *w = meet(1);
    ck_assert(straight(w, 0, 1) && straight(w, 1, 0));
    struct addr found = way(w, 0, 1);
    ck_assert(addr_eq(&found, &w->host[1].addr));
    ck_assert_uint_eq(world_info(w, 0, 1).shortcut_rtt_us, 10 * MS);
    uint64_t relayed = w->n_sent - w->sent_straight;
    world_assert_talk(w, 0);
    talk(w, 20 * SEC);
    ck_assert_uint_eq(w->n_sent - w->sent_straight, relayed);
    ck_assert_uint_eq(w->host[0].got_straight, w->host[0].got);
    world_free(w);
}
END_TEST

/* Who does not want it neither offers nor answers, and nobody asks. */
START_TEST(who_does_not_want_to_is_left_alone)
{
    struct world *w = world_new(2, 2);
    world_shortcuts(w);
    if (_i & 1)
        w->host[0].c.shortcut = false;
    if (_i & 2)
        w->host[1].c.shortcut = false;
    world_restart(w, 0);
    world_restart(w, 1);
    world_open(w, 0, 1);
    world_run(w, SEC);
    ck_assert_uint_eq(w->sent[PROTO_SEALED], 1); /* the confirmation */
    talk(w, 40 * SEC);
    ck_assert_uint_eq(w->sent_straight, 0);
    ck_assert_uint_eq(w->sent[PROTO_SEALED], 1 + 2 * 40 * 50);
    ck_assert(!straight(w, 0, 1) && !straight(w, 1, 0));
    static const char *const why[2][4] = {{NULL, "shortcut = no", "the peer wants no shortcut", "shortcut = no"},
        {NULL, "the peer wants no shortcut", "shortcut = no", "shortcut = no"}};
    for (unsigned i = 0; i < 2; i++)
        ck_assert_str_eq(world_info(w, i, 1 - i).relayed_why, why[i][_i]);
    world_free(w);
}
END_TEST

START_TEST(the_node_is_not_needed_any_more)
{
    struct world *w = meet(3);
    w->node_down = true;
    for (unsigned minute = 0; minute < 10; minute++) {
        world_run(w, SEC);
        ck_assert_uint_ge(talk(w, 59 * SEC), 98);
        ck_assert(straight(w, 0, 1) && straight(w, 1, 0));
    }
    ck_assert_uint_ge(world_info(w, 0, 1).handshakes, 4); /* keys have changed all the same */
    ck_assert_uint_eq(w->host[0].unreachables, 0);
    world_free(w);
}
END_TEST

START_TEST(a_cut_line_is_left_for_the_node_and_taken_again)
{
    struct world *w = meet(4);
    talk(w, SEC);
    for (unsigned round = 0; round < 3; round++) {
        w->straight = false;
        ck_assert_uint_ge(talk(w, 3 * SEC), 98); /* of the third second nothing is missing */
        ck_assert(!straight(w, 0, 1) && !straight(w, 1, 0));
        ck_assert(world_both_stand(w));
        w->straight = true;
        ck_assert_uint_ge(talk(w, 20 * SEC), 98);
        ck_assert(straight(w, 0, 1) && straight(w, 1, 0));
    }
    ck_assert_uint_eq(world_info(w, 0, 1).handshakes, 1);
    world_free(w);
}
END_TEST

START_TEST(a_restarted_daemon_is_found_again)
{
    struct world *w = meet(5);
    talk(w, SEC);
    world_restart(w, 1);
    world_move(w, 1, 5001);
    ck_assert_uint_ge(talk(w, 8 * SEC), 90);
    ck_assert_uint_ge(talk(w, 8 * SEC), 98);
    ck_assert(straight(w, 0, 1) && straight(w, 1, 0));
    ck_assert_uint_eq(world_info(w, 0, 1).shortcut.port, 5001);
    world_free(w);
}
END_TEST

START_TEST(a_host_that_moves_is_followed_by_both)
{
    struct world *w = meet(6);
    talk(w, SEC);
    for (unsigned i = 0; i < 2; i++)
        world_move(w, i, (uint16_t)(6000 + i));
    ck_assert_uint_ge(talk(w, 6 * SEC), 98);
    for (unsigned i = 0; i < 2; i++)
        ck_assert_uint_eq(world_info(w, i, 1 - i).shortcut.port, 6001 - i);
    world_free(w);
}
END_TEST

/* ---- sizes ---- */

static struct world *narrow_world(size_t relayed, size_t straight)
{
    struct world *w = world_new(2, 20);
    for (unsigned i = 0; i < 2; i++)
        w->host[i].c.probe_mtu = true;
    world_shortcuts(w);
    w->widest[0] = relayed;
    w->widest[1] = straight;
    world_open(w, 0, 1);
    world_run(w, 15 * SEC);
    ck_assert(straight == 1 || world_info(w, 0, 1).shortcut.family != 0);
    return w;
}

START_TEST(what_gets_through_is_found_for_each_way)
{
    static const struct {
        size_t relayed, straight;
        unsigned lo, hi;
    } c[] = {{0, 0, 1400, 1400}, {1200, 1320, 1251, 1259}, {1300, 0, 1400, 1400}, {0, 1200, 1139, 1139}, {0, 1460, 1391, 1399},
        {1300, 1, 1231, 1239}};
    struct world *w = narrow_world(c[_i].relayed, c[_i].straight);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_uint_ge(world_info(w, i, 1 - i).mtu, c[_i].lo);
        ck_assert_uint_le(world_info(w, i, 1 - i).mtu, c[_i].hi);
    }
    uint64_t sent = w->n_sent;
    world_run(w, 10 * SEC);
    ck_assert_uint_le(w->n_sent, sent + 4); /* then it is quiet */
    if (c[_i].straight != 1) {
        w->straight = false; /* now by the node */
        talk(w, 3 * SEC);
        unsigned mtu = world_info(w, 0, 1).mtu;
        if (c[_i].relayed)
            ck_assert_uint_le(mtu, c[_i].relayed - PEER_SEAL_OVERHEAD);
        else
            ck_assert_uint_eq(mtu, 1400);
    }
    world_free(w);
}
END_TEST

static bool (*forge)(uint8_t *p, size_t len);

static bool forging_filter(struct world *w, unsigned from, uint8_t *p, size_t len)
{
    (void)w, (void)from;
    return forge(p, len);
}

/* The hop count tells who relayed a packet, and anybody may change it. */
static bool forge_hops(uint8_t *p, size_t len)
{
    (void)len;
    p[2] = HOPS_DEFAULT;
    return true;
}

static bool forge_text(uint8_t *p, size_t len)
{
    if (p[4] == PROTO_SEALED)
        p[len - 1] ^= 1;
    return true;
}

static bool (*const forgery[])(uint8_t *, size_t) = {forge_hops, forge_text};

/* Somebody on the straight way spoils what passes: no shortcut comes of it, and the talk goes on by the node. */
START_TEST(a_spoilt_way_is_not_taken)
{
    struct world *w = world_new(2, 7);
    world_shortcuts(w);
    world_open(w, 0, 1);
    world_run(w, 50 * MS); /* the handshake */
    forge = forgery[_i];
    w->filter = forging_filter;
    w->straight = false;
    talk(w, 2 * SEC);
    w->filter = NULL;
    ck_assert(!straight(w, 0, 1) && !straight(w, 1, 0));
    ck_assert_uint_ge(talk(w, 3 * SEC), 98);
    world_free(w);
}
END_TEST

/* A packet recorded on the way and sent again from elsewhere is a replay; its sender's address means nothing. */
START_TEST(replays_move_nothing)
{
    struct world *w = meet(8);
    w->recording = true;
    talk(w, SEC);
    w->recording = false;
    struct addr before = way(w, 1, 0);
    w->host[0].addr.port = 6666; /* where the replays seem to come from */
    uint64_t sent = w->n_sent;
    for (size_t i = 0; i < w->n_record; i++)
        if (w->record[i].from == 0)
            world_send_to(w, 0, &w->host[1].addr, w->record[i].data, w->record[i].len);
    sent = w->n_sent - sent;
    uint64_t by_1 = w->by_host[1];
    world_run(w, SEC);
    ck_assert_uint_ge(sent, 50);
    ck_assert_uint_ge(world_info(w, 1, 0).replays, sent);
    ck_assert_uint_le(w->by_host[1] - by_1, 8); /* its own questions whether the other is there; none to the new place */
    struct addr after = way(w, 1, 0);
    ck_assert(!after.family || addr_eq(&before, &after));
    world_free(w);
}
END_TEST

START_TEST(thirty_go_straight_over_a_bad_network)
{
    enum { HOSTS = 30, ROUNDS = 60 };
    struct world *w = world_new(HOSTS, 90 + (unsigned)_i);
    world_shortcuts(w);
    w->loss = 100;
    w->dup = 50;
    w->jitter = 60 * MS;
    uint64_t sent = 0, got = 0, n = 0, by_shortcut = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned from = 0; from < HOSTS; from++) {
            for (unsigned k = 1; k <= 3; k++)
                sent += world_packet(w, from, (from + k * k) % HOSTS, n++ % ARRAY_LEN(w->host[0].seen), 100) > 0;
            world_run(w, 3 * MS);
        }
        if (round == ROUNDS / 2)
            for (unsigned i = 0; i < 3; i++)
                world_restart(w, i * 9);
    }
    world_run(w, 5 * SEC);
    for (unsigned i = 0; i < HOSTS; i++) {
        got += w->host[i].got;
        by_shortcut += w->host[i].got_straight;
        for (unsigned k = 0; k < n; k++)
            ck_assert_uint_le(w->host[i].seen[k], 1);
    }
    ck_assert_uint_ge(sent, HOSTS * ROUNDS * 3 * 9 / 10);
    ck_assert_uint_ge(got, sent * 80 / 100);
    ck_assert_uint_ge(by_shortcut, got * 50 / 100);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sim/shortcuts");
    TCase *t = tcase_create("shortcuts");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, two_who_want_to_go_straight);
    tcase_add_loop_test(t, who_does_not_want_to_is_left_alone, 1, 4);
    tcase_add_test(t, the_node_is_not_needed_any_more);
    tcase_add_test(t, a_cut_line_is_left_for_the_node_and_taken_again);
    tcase_add_test(t, a_restarted_daemon_is_found_again);
    tcase_add_test(t, a_host_that_moves_is_followed_by_both);
    tcase_add_loop_test(t, what_gets_through_is_found_for_each_way, 0, 6);
    tcase_add_loop_test(t, a_spoilt_way_is_not_taken, 0, ARRAY_LEN(forgery));
    tcase_add_test(t, replays_move_nothing);
    tcase_add_loop_test(t, thirty_go_straight_over_a_bad_network, 0, 2);
    suite_add_tcase(s, t);
    return suite_run(s);
}
