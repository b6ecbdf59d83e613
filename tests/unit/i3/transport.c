/* transport.c - UDP or TCP, in virtual time: a world of nodes that answer by one, by both or by none. */
#include "daemon/i3/transport.h"

#include <stdlib.h>

#include "include/bytes.h"
#include "tests/lib/suite.h"

enum { MS = 1000 };

static const uint8_t seed[BLAKE2S_LEN] = {1};

/* What answers at once. */
struct world {
    struct transport t;
    mono_t now;
    bool udp[3], tcp[3], tcp443[3];
    struct addr nodes[3];
    unsigned udp_pings, tcp_pings;
};

static struct outbox out;

static void world_begin(struct world *w, enum transport_mode mode, unsigned n)
{
    *w = (struct world){.now = {5000000}};
    for (unsigned i = 0; i < 3; i++)
        w->nodes[i] = addr_v4(0xc0000201 + i, 5610);
    transport_init(&w->t, w->now, mode, w->nodes, n, seed);
    struct addr home = transport_way(&w->t, &w->nodes[0]);
    transport_home(&w->t, w->now, &home);
}

static bool answers(struct world *w, const struct addr *to)
{
    for (unsigned i = 0; i < 3; i++) {
        if (memcmp(to->ip, w->nodes[i].ip, 16))
            continue;
        if (to->via == ADDR_UDP)
            return w->udp[i];
        return to->port == 443 ? w->tcp443[i] : to->port == w->nodes[i].port && w->tcp[i];
    }
    return false;
}

static void step(struct world *w)
{
    struct addr home;
    outbox_clear(&out);
    transport_output(&w->t, w->now, &out);
    for (unsigned i = 0; i < out.n; i++) {
        uint8_t pong[PING_LEN];
        uint8_t nonce[NONCE_LEN];
        ck_assert_int_eq(ping_decode(out.v[i].data, out.v[i].len, WIRE_PING, nonce), 0);
        *(out.v[i].to.via == ADDR_UDP ? &w->udp_pings : &w->tcp_pings) += 1;
        ping_encode(pong, sizeof(pong), WIRE_PONG, nonce);
        if (answers(w, &out.v[i].to))
            ck_assert_int_eq(transport_input(&w->t, w->now, &out.v[i].to, pong, sizeof(pong)), 0);
    }
    if (transport_decision(&w->t, &home))
        transport_home(&w->t, w->now, &home);
}

/* Goes on from deadline to deadline. */
static void run(struct world *w, uint64_t ms)
{
    mono_t end = mono_add(w->now, ms * MS);
    for (unsigned i = 0; i < 100000; i++) {
        mono_t at = transport_deadline(&w->t);
        if (at.us > end.us)
            break;
        w->now = at.us > w->now.us ? at : mono_add(w->now, 1);
        step(w);
    }
    w->now = end;
}

/* A host whose packets are answered by UDP. */
static void talk(struct world *w, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 100) {
        transport_used(&w->t, w->now);
        if (w->udp[0] && !w->t.tcp)
            transport_heard(&w->t, w->now, &w->nodes[0]);
        run(w, 100);
    }
}

START_TEST(where_udp_works_nothing_is_asked_by_tcp)
{
    struct world w;
    world_begin(&w, TRANSPORT_AUTO, 3);
    w.udp[0] = w.tcp[0] = true;
    transport_heard(&w.t, w.now, &w.nodes[0]); /* the answer to the first INSERT */
    talk(&w, 10000);
    ck_assert_uint_eq(w.udp_pings, 0);
    run(&w, 60000); /* at rest a question now and then */
    ck_assert_uint_eq(w.tcp_pings, 0);
    ck_assert(w.udp_pings <= 4 && !w.t.tcp);
}
END_TEST

START_TEST(silent_udp_gives_way_within_two_seconds)
{
    static const struct {
        const char *what;
        bool tcp[3], tcp443[3];
        uint64_t ms;
        uint32_t node;
        uint16_t port;
    } cases[] = {
        {"by its own port", {true}, {0}, 1500, 0, 5610},
        {"by 443", {0}, {true}, 1500, 0, 443},
        {"rather by its own", {true}, {true}, 1500, 0, 5610},
        {"another node", {false, true}, {0}, 2000, 1, 5610},
        {"another by 443", {0}, {false, false, true}, 2000, 2, 443},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world w;
        world_begin(&w, TRANSPORT_AUTO, 3);
        memcpy(w.tcp, cases[i].tcp, sizeof(w.tcp));
        memcpy(w.tcp443, cases[i].tcp443, sizeof(w.tcp443));
        run(&w, 700);
        ck_assert_msg(!w.t.tcp, "%s: at once", cases[i].what);
        run(&w, cases[i].ms - 700);
        ck_assert_msg(w.t.tcp && w.t.home.via == ADDR_TCP, "%s: not by TCP", cases[i].what);
        ck_assert_msg(w.t.home.ip[3] == w.nodes[cases[i].node].ip[3], "%s: node .%u", cases[i].what, w.t.home.ip[3]);
        ck_assert_msg(w.t.home.port == cases[i].port, "%s: port %u", cases[i].what, w.t.home.port);
        ck_assert_str_eq(transport_why(&w.t), "UDP got no answer");
        /* the others are reached in the same way */
        ck_assert_uint_eq(transport_way(&w.t, &w.nodes[1]).port, cases[i].port);
        ck_assert_uint_eq(transport_way(&w.t, &w.nodes[1]).via, ADDR_TCP);
    }
}
END_TEST

START_TEST(one_dead_node_is_no_firewall)
{
    struct world w;
    world_begin(&w, TRANSPORT_AUTO, 3);
    w.udp[1] = w.tcp[1] = w.udp[2] = w.tcp[2] = true; /* the present one is dead */
    run(&w, 20000);
    ck_assert(!w.t.tcp);
}
END_TEST

START_TEST(udp_that_stops_in_a_talk_is_left_and_taken_back)
{
    struct world w;
    world_begin(&w, TRANSPORT_AUTO, 1);
    w.udp[0] = w.tcp[0] = true;
    transport_heard(&w.t, w.now, &w.nodes[0]);
    talk(&w, 3000);
    w.udp[0] = false;
    talk(&w, 1800);
    ck_assert(w.t.tcp);
    w.udp[0] = true;
    talk(&w, 50000);
    ck_assert_msg(w.t.tcp, "before the minute is over");
    talk(&w, 12000);
    ck_assert(!w.t.tcp && w.t.home.via == ADDR_UDP);
    ck_assert_ptr_null(transport_why(&w.t));
}
END_TEST

START_TEST(a_change_of_address_tries_udp_at_once)
{
    struct world w;
    world_begin(&w, TRANSPORT_AUTO, 1);
    w.tcp[0] = true;
    run(&w, 3000);
    ck_assert(w.t.tcp);
    w.udp[0] = true;
    transport_moved(&w.t, w.now);
    run(&w, 10);
    ck_assert(!w.t.tcp);
}
END_TEST

START_TEST(a_lost_connection_is_asked_for_and_udp_tried)
{
    struct world w;
    world_begin(&w, TRANSPORT_AUTO, 2);
    w.tcp[0] = true;
    run(&w, 3000);
    ck_assert(w.t.tcp);
    w.tcp[0] = false;
    w.tcp[1] = true;
    w.udp_pings = w.tcp_pings = 0;
    struct addr home = w.t.home, other = addr_by(&w.nodes[1], ADDR_TCP);
    transport_lost(&w.t, w.now, &other);
    run(&w, 100);
    ck_assert_uint_eq(w.tcp_pings, 0); /* that one is not used */
    transport_lost(&w.t, w.now, &home);
    run(&w, 100);
    ck_assert(w.udp_pings > 0 && w.tcp_pings > 0);
    run(&w, 1500);
    ck_assert(addr_eq(&w.t.home, &other));
}
END_TEST

START_TEST(who_goes_to_and_fro_is_tried_less_often)
{
    struct world w;
    uint64_t last = 0;
    world_begin(&w, TRANSPORT_AUTO, 1);
    w.tcp[0] = true;
    run(&w, 2000);
    for (unsigned i = 0; i < 6; i++) { /* UDP answers pings, and nothing else */
        ck_assert(w.t.tcp && w.t.udp_pause >= last && w.t.udp_pause <= 960 * USEC_PER_SEC);
        last = w.t.udp_pause;
        w.udp[0] = true;
        run(&w, w.t.udp_pause / MS + 100);
        ck_assert(!w.t.tcp);
        w.udp[0] = false;
        talk(&w, 3000);
    }
    ck_assert_uint_ge(last, 480 * USEC_PER_SEC);
}
END_TEST

START_TEST(what_is_configured_is_kept_to)
{
    struct world w;
    world_begin(&w, TRANSPORT_UDP, 1);
    w.tcp[0] = true;
    run(&w, 100000);
    ck_assert(!w.t.tcp && !w.tcp_pings && !w.udp_pings);
    world_begin(&w, TRANSPORT_TCP, 1);
    ck_assert(w.t.home.via == ADDR_TCP);
    w.tcp443[0] = w.udp[0] = true;
    run(&w, 1000);
    ck_assert_uint_eq(w.t.home.port, 443);
    transport_moved(&w.t, w.now);
    run(&w, 100000);
    ck_assert(w.t.tcp && !w.udp_pings);
    world_begin(&w, TRANSPORT_AUTO, 0); /* a node inside: nothing to ask */
    run(&w, 100000);
    ck_assert(!w.udp_pings && !w.tcp_pings);
}
END_TEST

START_TEST(forged_answers_do_nothing)
{
    struct world w;
    uint8_t pong[PING_LEN], nonce[NONCE_LEN] = {0};
    world_begin(&w, TRANSPORT_AUTO, 1);
    w.tcp[0] = true;
    run(&w, 2000);
    ck_assert(w.t.tcp);
    ping_encode(pong, sizeof(pong), WIRE_PONG, nonce);
    ck_assert_int_eq(transport_input(&w.t, w.now, &w.nodes[0], pong, sizeof(pong)), -EPROTO);
    for (size_t len = 0; len < sizeof(pong); len++)
        ck_assert_int_eq(transport_input(&w.t, w.now, &w.nodes[0], pong, len), -EPROTO);
    ck_assert(w.t.tcp);
}
END_TEST

START_TEST(silence_for_hours_costs_little)
{
    struct world w;
    world_begin(&w, TRANSPORT_AUTO, 3);
    run(&w, 3600 * 1000);
    ck_assert_msg(w.udp_pings < 3 * 800, "%u pings in an hour", w.udp_pings);
    w.udp[0] = true;
    run(&w, 5100);
    ck_assert(w.t.asking.us == MONO_NEVER.us);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("i3/transport");
    TCase *t = tcase_create("all");
    tcase_add_test(t, where_udp_works_nothing_is_asked_by_tcp);
    tcase_add_test(t, silent_udp_gives_way_within_two_seconds);
    tcase_add_test(t, one_dead_node_is_no_firewall);
    tcase_add_test(t, udp_that_stops_in_a_talk_is_left_and_taken_back);
    tcase_add_test(t, a_change_of_address_tries_udp_at_once);
    tcase_add_test(t, a_lost_connection_is_asked_for_and_udp_tried);
    tcase_add_test(t, who_goes_to_and_fro_is_tried_less_often);
    tcase_add_test(t, what_is_configured_is_kept_to);
    tcase_add_test(t, forged_answers_do_nothing);
    tcase_add_test(t, silence_for_hours_costs_little);
    suite_add_tcase(s, t);
    return suite_run(s);
}
