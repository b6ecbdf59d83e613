/* One client and the members of an anycast group, in virtual time: who answers, and who does when that one is gone. */
#include "tests/lib/suite.h"
#include "tests/sim/world.h"

#include <errno.h>
#include <string.h>

enum { CLIENT = 0, FIRST = 1, MEMBERS = 3 };

static struct world *world_of_members(uint64_t seed)
{
    struct world *w = world_new(1 + MEMBERS, seed);
    world_group(w, FIRST, MEMBERS);
    return w;
}

/* Who has got packets since `before`; exactly one must have. */
static unsigned taker(const struct world *w, const uint64_t before[1 + MEMBERS])
{
    unsigned who = 0;
    for (unsigned i = FIRST; i < FIRST + MEMBERS; i++) {
        if (w->host[i].got == before[i])
            continue;
        ck_assert_uint_eq(who, 0);
        who = i;
    }
    return who;
}

static void count(const struct world *w, uint64_t out[1 + MEMBERS])
{
    for (unsigned i = 0; i <= MEMBERS; i++)
        out[i] = w->host[i].got;
}

/* A packet of the client's every 100 ms for so long, and an answer to each. Who got some, 0: nobody. */
static unsigned talk(struct world *w, uint64_t us)
{
    static uint64_t number;
    uint64_t before[1 + MEMBERS], seen[1 + MEMBERS];
    count(w, before);
    for (uint64_t past = 0; past < us; past += 100 * MS) {
        count(w, seen);
        world_packet(w, CLIENT, FIRST, number++, 60);
        world_run(w, 50 * MS);
        unsigned who = taker(w, seen);
        if (who)
            world_packet(w, who, CLIENT, number++, 60);
        world_run(w, 50 * MS);
    }
    return taker(w, before);
}

/* The client has a session with somebody, who is returned. */
static unsigned meet(struct world *w)
{
    world_open(w, CLIENT, FIRST);
    world_run(w, SEC);
    unsigned who = talk(w, SEC);
    ck_assert_uint_ne(who, 0);
    struct peer_info i = world_info(w, CLIENT, FIRST);
    ck_assert_mem_eq(i.member, w->host[who].c.member, sizeof(i.member));
    return who;
}

START_TEST(one_member_answers_and_keeps_its_client)
{
    struct world *w = world_of_members((uint64_t)_i);
    unsigned who = meet(w);
    ck_assert_uint_eq(talk(w, 400 * SEC), who); /* through several new keys */
    ck_assert_uint_ge(world_info(w, CLIENT, FIRST).handshakes, 3);
    ck_assert_uint_eq(w->host[CLIENT].moves, 0);
    world_run(w, 1000 * SEC); /* the keys are gone, and it is remembered all the same */
    ck_assert_uint_eq(talk(w, 5 * SEC), who);
    ck_assert_uint_eq(w->host[CLIENT].moves, 0);
    world_free(w);
}
END_TEST

START_TEST(clients_spread_over_the_members)
{
    unsigned got[1 + MEMBERS] = {0};
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct world *w = world_of_members(seed);
        got[meet(w)]++;
        world_free(w);
    }
    for (unsigned i = FIRST; i <= MEMBERS; i++)
        ck_assert_uint_ge(got[i], 5);
}
END_TEST

/* How long until somebody else gets a packet. */
static uint64_t time_to_leave(struct world *w, unsigned dead)
{
    mono_t start = w->now;
    uint64_t before[1 + MEMBERS];
    count(w, before);
    w->host[dead].dead = true;
    for (uint64_t n = 5000;; n++) {
        world_packet(w, CLIENT, FIRST, n, 60);
        world_run(w, 20 * MS);
        unsigned who = taker(w, before);
        if (who)
            return mono_since(start, w->now);
        ck_assert_uint_lt(mono_since(start, w->now), 30 * SEC);
    }
}

START_TEST(a_member_that_dies_is_left_in_little_more_than_a_second)
{
    struct world *w = world_of_members((uint64_t)_i);
    if (_i & 1)
        world_shortcuts(w);
    unsigned who = meet(w);
    uint64_t took = time_to_leave(w, who);
    ck_assert_uint_ge(took, 300 * MS);
    ck_assert_uint_le(took, 1600 * MS);
    ck_assert_uint_eq(w->host[CLIENT].moves, 1);
    unsigned next = talk(w, 10 * SEC);
    ck_assert_uint_ne(next, who);
    w->host[who].dead = false; /* it is back: nothing changes */
    ck_assert_uint_eq(talk(w, 200 * SEC), next);
    ck_assert_uint_eq(w->host[CLIENT].moves, 1);
    w->host[next].dead = true; /* and so on */
    talk(w, 3 * SEC);
    ck_assert_uint_ne(talk(w, 5 * SEC), next);
    world_free(w);
}
END_TEST

START_TEST(who_has_no_session_is_not_held_up_by_the_dead)
{
    struct world *w = world_of_members((uint64_t)_i);
    unsigned who = meet(w);
    for (unsigned i = FIRST; i <= MEMBERS; i++)
        w->host[i].dead = i == who || i == 1 + who % MEMBERS; /* one lives */
    peer_drop(w->host[CLIENT].ps, world_peer(w, CLIENT, FIRST));
    mono_t start = w->now;
    world_open(w, CLIENT, FIRST);
    while (!world_info(w, CLIENT, FIRST).standing)
        world_run(w, 5 * MS);
    ck_assert_uint_le(mono_since(start, w->now), 320 * MS);
    ck_assert_uint_eq(talk(w, 5 * SEC), 1 + (who + 1) % MEMBERS);
    world_free(w);
}
END_TEST

/* The network fails for a while, for everybody: when it is back, the old member is there, with all connections. */
START_TEST(an_outage_moves_nobody)
{
    static const uint64_t seconds[] = {1, 2, 3, 5, 8, 13, 20, 40};
    for (unsigned i = 0; i < ARRAY_LEN(seconds); i++) {
        struct world *w = world_of_members(i + 1);
        w->jitter = 5 * MS;
        unsigned who = meet(w);
        w->node_down = true;
        talk(w, seconds[i] * SEC);
        w->node_down = false;
        ck_assert_uint_eq(talk(w, 15 * SEC), who);
        ck_assert_uint_eq(w->host[CLIENT].moves, 0);
        world_free(w);
    }
}
END_TEST

START_TEST(losses_move_nobody)
{
    struct world *w = world_of_members((uint64_t)_i);
    unsigned who = meet(w);
    w->loss = 50;
    w->jitter = 20 * MS;
    ck_assert_uint_eq(talk(w, 600 * SEC), who);
    ck_assert_uint_eq(w->host[CLIENT].moves, 0);
    world_free(w);
}
END_TEST

START_TEST(a_member_that_leaves_is_left_at_once)
{
    struct world *w = world_of_members((uint64_t)_i);
    static struct outbox out;
    unsigned who = meet(w);
    outbox_clear(&out);
    ck_assert(!peers_leave(w->host[who].ps, w->now, &out));
    ck_assert_uint_eq(out.n, 1);
    w->host[who].absent = true;
    for (unsigned i = 0; i < out.n; i++)
        world_send_to(w, who, &out.v[i].to, out.v[i].data, out.v[i].len);
    mono_t start = w->now;
    world_run(w, 6 * MS);
    while (!world_info(w, CLIENT, FIRST).standing)
        world_run(w, 1 * MS);
    ck_assert_uint_le(mono_since(start, w->now), 50 * MS);
    ck_assert_uint_eq(w->host[CLIENT].moves, 1);
    ck_assert_uint_ne(talk(w, 5 * SEC), who);
    world_free(w);
}
END_TEST

/* Every member has answered the INIT, and one was taken. Whoever repeats it gets little out of them, however often. */
START_TEST(a_replayed_init_is_answered_a_few_times)
{
    struct world *w = world_of_members(2);
    for (unsigned i = FIRST; i <= MEMBERS; i++)
        w->host[i].dead = true;
    w->recording = true;
    world_open(w, CLIENT, FIRST);
    world_run(w, 300 * MS); /* the second INIT asks all */
    w->recording = false;
    for (unsigned i = FIRST; i <= MEMBERS; i++)
        w->host[i].dead = false;
    ck_assert_uint_eq(w->n_record, 2);
    for (unsigned i = 0; i < 1000; i++) {
        world_deliver(w, 1, w->record[1].data, w->record[1].len);
        world_run(w, 10 * MS);
    }
    ck_assert_uint_le(w->sent[PROTO_HANDSHAKE_RESPONSE], MEMBERS * 20);
    ck_assert(world_info(w, CLIENT, FIRST).standing);
    world_free(w);
}
END_TEST

START_TEST(a_member_never_asks)
{
    struct world *w = world_of_members(1);
    uint8_t out[256];
    struct peer *p = world_peer(w, FIRST, CLIENT);
    peer_open(w->host[FIRST].ps, p, w->now, 1);
    ck_assert_int_eq(peer_seal(w->host[FIRST].ps, p, w->now, 1, &(struct iovec){"E", 1}, 1, out, sizeof(out)), -EHOSTUNREACH);
    world_run(w, 5 * SEC);
    ck_assert_uint_eq(w->n_sent, 0);
    /* nor when its client falls silent */
    unsigned who = meet(w);
    w->host[CLIENT].dead = true;
    uint64_t inits = w->sent[PROTO_HANDSHAKE_INIT];
    for (unsigned i = 0; i < 300; i++) {
        world_packet(w, who, CLIENT, i, 60);
        world_run(w, SEC);
    }
    ck_assert_uint_le(w->sent[PROTO_HANDSHAKE_INIT], inits + 40); /* those of the client, which goes on to speak */
    ck_assert_uint_eq(w->by_host[FIRST] + w->by_host[2] + w->by_host[3] > 0, 1);
    world_free(w);
}
END_TEST

START_TEST(who_asks_for_a_place_gets_the_member_there)
{
    for (unsigned at = FIRST; at <= MEMBERS; at++) {
        struct world *w = world_of_members(77);
        peer_set_near(world_peer(w, CLIENT, FIRST), w->host[at].c.member, 4);
        ck_assert_uint_eq(meet(w), at);
        world_free(w);
    }
}
END_TEST

/* An ordinary host, whose trigger takes every suffix, is no group for anybody. */
START_TEST(whoever_has_its_key_alone_is_no_group)
{
    static const uint8_t none[8];
    struct world *w = world_new(2, 5);
    world_open(w, 0, 1);
    world_run(w, SEC);
    world_assert_talk(w, 0);
    ck_assert_mem_eq(world_info(w, 0, 1).member, none, sizeof(none));
    world_restart(w, 1); /* the same host with nothing left of its sessions: what is open goes on */
    ck_assert_uint_le(world_time_to_talk(w, 0), 4 * SEC);
    ck_assert_uint_eq(w->host[0].moves, 0);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sim/members");
    TCase *c = tcase_create("members");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, one_member_answers_and_keeps_its_client, 1, 6);
    tcase_add_test(c, clients_spread_over_the_members);
    tcase_add_loop_test(c, a_member_that_dies_is_left_in_little_more_than_a_second, 1, 11);
    tcase_add_loop_test(c, who_has_no_session_is_not_held_up_by_the_dead, 1, 11);
    tcase_add_test(c, an_outage_moves_nobody);
    tcase_add_loop_test(c, losses_move_nobody, 1, 6);
    tcase_add_loop_test(c, a_member_that_leaves_is_left_at_once, 1, 6);
    tcase_add_test(c, a_replayed_init_is_answered_a_few_times);
    tcase_add_test(c, a_member_never_asks);
    tcase_add_test(c, who_asks_for_a_place_gets_the_member_there);
    tcase_add_test(c, whoever_has_its_key_alone_is_no_group);
    suite_add_tcase(s, c);
    return suite_run(s);
}
