/* Hosts and a node between them, in virtual time: what the unit tests try against fakes, once more against the other side as it is. */
#include "tests/lib/suite.h"
#include "tests/sim/overlay_world.h"

/* The node itself is asked, past the bad network: is there a trigger for this id? */
static bool node_has(const struct i3_id *id)
{
    uint8_t p[DATA_HEADER_LEN + 64] = {0};
    struct addr from = addr_v4(0x0a630202, 1);
    struct wire_data d = {.hops = HOPS_DEFAULT, .n = 1, .proto = PROTO_SEALED, .ids = id->b};
    data_header_encode(p, sizeof(p), &d);
    node_input(w.node[0].n, w.now, &from, p, sizeof(p), &w.out);
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
    node_start(0);
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

/* Longer than the trigger lives; the other end goes on asking, as TCP does, ever more rarely. */
START_TEST(who_has_slept_is_talked_to_at_once)
{
    world_ring(3, 3, (uint8_t)_i);
    w.host[0].home = 0;
    run(SEC);
    time_to_talk(0, 1);
    run(2 * SEC + drbg_u64(&w.drbg) % SEC);
    bool asked = _i & 1;
    host_sleep(&w.host[1]);
    uint64_t pause = 200 * MS, nap = 35 * SEC + drbg_u64(&w.drbg) % (20 * SEC);
    for (mono_t wake = mono_add(w.now, nap); w.now.us < wake.us; pause += pause / 2) {
        if (asked)
            talk(0, 1);
        run(mono_since(w.now, wake) < pause ? mono_since(w.now, wake) : pause);
    }
    host_wake(&w.host[1], _i & 2);
    uint64_t took = time_to_talk(0, 1);
    ck_assert_uint_le(took, 300 * MS);
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
    tcase_add_loop_test(t, who_has_slept_is_talked_to_at_once, 0, 40);
    tcase_add_test(t, everybody_talks_on_a_bad_network);
    suite_add_tcase(s, t);
    return suite_run(s);
}
