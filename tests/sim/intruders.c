/* What others send to sessions, in virtual time: hints from nodes, replays, forgeries, strangers. */
#include <errno.h>
#include <string.h>

#include "tests/lib/suite.h"
#include "tests/sim/world.h"

/* ---- not present ---- */

START_TEST(an_absent_peer_is_known_after_some_words)
{
    struct world *w = world_new(2, 30);
    w->host[1].absent = true;
    world_open(w, 0, 1);
    world_run(w, 200 * MS);
    ck_assert_uint_eq(w->not_presents, 1);
    ck_assert_uint_eq(w->host[0].unreachables, 0);
    world_run(w, 1200 * MS); /* it may just be starting */
    ck_assert_uint_eq(w->not_presents, 3);
    ck_assert_uint_eq(w->host[0].unreachables, 0);
    world_run(w, 700 * MS);
    ck_assert_uint_eq(w->not_presents, 4);
    ck_assert_uint_eq(w->host[0].unreachables, 1);
    ck_assert_int_eq(w->host[0].last_err, EHOSTUNREACH);
    world_open(w, 0, 1); /* whoever asks again gets another try at once */
    w->host[1].absent = false;
    world_run(w, 300 * MS);
    ck_assert(world_both_stand(w));
    world_free(w);
}
END_TEST

START_TEST(who_comes_up_a_second_later_is_found)
{
    struct world *w = world_new(2, 32);
    w->host[1].absent = true;
    world_open(w, 0, 1);
    world_run(w, 1000 * MS);
    w->host[1].absent = false;
    world_run(w, 1200 * MS);
    ck_assert(world_both_stand(w));
    ck_assert_uint_eq(w->host[0].unreachables, 0);
    world_free(w);
}
END_TEST

START_TEST(one_not_present_alone_says_nothing)
{
    struct world *w = world_new(2, 31);
    w->host[1].absent = true;
    w->dup = 1000; /* each comes twice, which is still one INIT */
    world_open(w, 0, 1);
    world_run(w, 200 * MS);
    ck_assert_uint_eq(w->host[0].unreachables, 0);
    w->host[1].absent = false;
    world_run(w, 200 * MS);
    ck_assert(world_both_stand(w));
    ck_assert_uint_eq(w->host[0].unreachables, 0);
    world_free(w);
}
END_TEST

START_TEST(not_present_of_a_sealed_packet_starts_a_handshake)
{
    struct world *w = world_new(2, 32);
    world_open(w, 0, 1);
    world_run(w, SEC);
    world_assert_talk(w, 0);
    world_run(w, SEC);
    world_restart(w, 1);
    world_packet(w, 0, 1, 3, 60);
    world_run(w, 200 * MS); /* much sooner than any timer */
    ck_assert_uint_eq(world_info(w, 0, 1).handshakes, 2);
    world_free(w);
}
END_TEST

/* Everybody can send a NOT_PRESENT; only who saw our packets can repeat them. */
START_TEST(a_not_present_without_our_bytes_is_ignored)
{
    struct world *w = world_new(2, 33);
    struct wire_not_present np = {.id = w->host[1].public_id, .echo_len = NOT_PRESENT_ECHO};
    w->loss = 1000;
    world_open(w, 0, 1);
    for (unsigned i = 0; i < 20; i++) {
        world_run(w, 100 * MS);
        memset(np.echo, (int)i, sizeof(np.echo));
        peers_not_present(w->host[0].ps, w->now, 0, &np);
    }
    ck_assert_uint_eq(w->host[0].unreachables, 0);
    w->loss = 0;
    world_run(w, 3 * SEC);
    ck_assert(world_both_stand(w));

    w->recording = true;
    world_packet(w, 0, 1, 1, 60);
    ck_assert_uint_eq(w->n_record, 1);
    memcpy(np.id.b, w->record[0].data + 5, ID_LEN);
    memcpy(np.echo, w->record[0].data + DATA_HEADER_LEN, NOT_PRESENT_ECHO);
    uint64_t inits = w->sent[PROTO_HANDSHAKE_INIT];
    world_run(w, 2 * SEC);
    struct wire_not_present bad = np;
    bad.echo_len = 15;
    peers_not_present(w->host[0].ps, w->now, 0, &bad);
    bad = np;
    bad.echo[0] ^= 1; /* a counter never sent */
    peers_not_present(w->host[0].ps, w->now, 0, &bad);
    bad = np;
    bad.echo[7] = 2; /* the next one: the confirmation was 0 */
    peers_not_present(w->host[0].ps, w->now, 0, &bad);
    bad = np;
    bad.id.b[31] ^= 1; /* an id never sent to */
    peers_not_present(w->host[0].ps, w->now, 0, &bad);
    world_run(w, SEC);
    ck_assert_uint_eq(w->sent[PROTO_HANDSHAKE_INIT], inits);
    peers_not_present(w->host[0].ps, w->now, 0, &np);
    world_run(w, SEC);
    ck_assert_uint_eq(w->sent[PROTO_HANDSHAKE_INIT], inits + 1);
    world_free(w);
}
END_TEST

/* ---- attacks ---- */

static void replay_all(struct world *w)
{
    uint64_t got[2] = {w->host[0].got, w->host[1].got}, sent = w->n_sent;
    size_t n = w->n_record;
    w->recording = false;
    for (size_t i = 0; i < n; i++) {
        world_deliver(w, w->record[i].from, w->record[i].data, w->record[i].len);
        world_flush(w, 0);
        world_flush(w, 1);
    }
    ck_assert_uint_eq(w->host[0].got, got[0]);
    ck_assert_uint_eq(w->host[1].got, got[1]);
    ck_assert_uint_eq(w->n_sent, sent);
}

START_TEST(replays_are_not_taken_and_not_answered)
{
    struct world *w = world_new(2, 40);
    w->recording = true;
    world_open(w, 0, 1);
    world_run(w, SEC);
    for (unsigned i = 0; i < 100; i++) {
        world_packet(w, i % 2, 1 - i % 2, i, 100);
        world_run(w, 2 * SEC); /* past a change of keys */
    }
    ck_assert_uint_ge(world_info(w, 0, 1).handshakes, 2);
    world_run(w, SEC);
    replay_all(w);
    ck_assert_uint_gt(world_info(w, 0, 1).replays, 0);
    world_assert_talk(w, 200);
    world_run(w, 300 * SEC); /* all keys gone */
    replay_all(w);
    ck_assert_uint_le(world_time_to_talk(w, 1), 300 * MS);
    world_free(w);
}
END_TEST

START_TEST(a_repeated_response_is_confirmed_a_few_times_only)
{
    struct world *w = world_new(2, 45);
    w->recording = true;
    world_open(w, 0, 1);
    world_run(w, 9 * MS);
    ck_assert_uint_eq(w->n_record, 2);
    ck_assert_uint_eq(w->record[1].data[4], PROTO_HANDSHAKE_RESPONSE);
    for (unsigned i = 0; i < 50; i++)
        world_deliver(w, 1, w->record[1].data, w->record[1].len);
    ck_assert_uint_ge(w->sent[PROTO_SEALED], 2);
    ck_assert_uint_le(w->sent[PROTO_SEALED], 10);
    world_free(w);
}
END_TEST

/* The time in an INIT must grow even when our clock does not. */
START_TEST(a_clock_set_back_does_not_lock_us_out)
{
    struct world *w = world_new(2, 46);
    world_open(w, 0, 1);
    world_run(w, SEC);
    for (unsigned i = 0; i < 3; i++) {
        world_run(w, 200 * SEC); /* the keys are gone */
        w->host[0].wall_skew -= 100000 * SEC;
        uint64_t ups = w->host[0].ups;
        world_open(w, 0, 1);
        world_run(w, SEC);
        ck_assert_uint_eq(w->host[0].ups, ups + 1);
    }
    world_free(w);
}
END_TEST

/* Old INITs to a daemon that has forgotten them may cost it a moment, not its session. */
START_TEST(replays_to_a_restarted_daemon_do_not_keep_it_from_talking)
{
    struct world *w = world_new(2, 41);
    w->recording = true;
    for (unsigned i = 0; i < 5; i++) {
        world_restart(w, 0);
        world_open(w, 0, 1);
        world_run(w, SEC);
    }
    w->recording = false;
    world_restart(w, 1);
    mono_t start = w->now;
    uint64_t got = w->host[0].got;
    for (size_t i = 0; w->host[0].got == got; i++) {
        if (i < w->n_record && w->record[i].data[4] == PROTO_HANDSHAKE_INIT)
            world_deliver(w, 0, w->record[i].data, w->record[i].len);
        world_packet(w, 1, 0, i, 100);
        world_run(w, 100 * MS);
        ck_assert_uint_lt(mono_since(start, w->now), 5 * SEC);
    }
    world_run(w, 5 * SEC);
    world_assert_talk(w, 100);
    world_free(w);
}
END_TEST

static bool nobody_knows_0(unsigned host, const uint8_t key[KEY_LEN])
{
    (void)key;
    return host == 0;
}

START_TEST(a_stranger_hears_nothing_and_leaves_no_trace)
{
    struct world *w = world_new(2, 42);
    w->known = nobody_knows_0;
    for (unsigned i = 0; i < 3; i++) {
        world_open(w, 0, 1);
        world_run(w, 15 * SEC);
    }
    ck_assert_uint_eq(w->by_host[1], 0);
    ck_assert_ptr_null(peer_next(w->host[1].ps, NULL));
    ck_assert_int_eq(w->host[0].last_err, ETIMEDOUT);
    ck_assert_uint_ge(w->host[1].dropped, 20);
    world_free(w);
}
END_TEST

static struct {
    unsigned proto, at;
    uint8_t change;
} tamper;

static bool tamper_filter(struct world *w, unsigned from, uint8_t *p, size_t len)
{
    (void)w;
    (void)from;
    if (p[4] == tamper.proto && tamper.at < len)
        p[tamper.at] ^= tamper.change;
    return true;
}

/* The first 5 bytes are the node's to change, and the suffix of a public id is free. */
START_TEST(any_changed_byte_of_a_handshake_makes_no_session)
{
    static const unsigned proto[] = {PROTO_HANDSHAKE_INIT, PROTO_HANDSHAKE_RESPONSE};
    tamper.proto = proto[_i];
    unsigned len = DATA_HEADER_LEN + (_i ? 104 : 176 /* what follows may change */);
    for (tamper.at = 5; tamper.at < len; tamper.at++) {
        if (!_i && tamper.at >= 5 + ID_PREFIX_LEN && tamper.at < 5 + ID_LEN)
            continue;
        tamper.change = (uint8_t)(1 << tamper.at % 8);
        struct world *w = world_new(2, 43);
        w->filter = tamper_filter;
        world_open(w, 0, 1);
        world_run(w, 400 * MS);
        ck_assert_uint_ge(w->sent[PROTO_HANDSHAKE_INIT], 2);
        ck_assert_uint_eq(w->sent[PROTO_SEALED], 0);
        ck_assert_uint_eq(w->host[0].ups + w->host[1].ups, 0);
        ck_assert(!world_info(w, 0, 1).standing);
        if (!_i)
            ck_assert_uint_eq(w->by_host[1], 0);
        w->filter = NULL; /* and an honest repetition still works */
        world_run(w, SEC);
        ck_assert(world_both_stand(w));
        world_free(w);
    }
}
END_TEST

START_TEST(any_changed_byte_of_a_packet_loses_it_alone)
{
    struct world *w = world_new(2, 44);
    world_open(w, 0, 1);
    world_run(w, SEC);
    tamper.proto = PROTO_SEALED;
    w->filter = tamper_filter;
    for (tamper.at = 5; tamper.at < PEER_SEAL_OVERHEAD + 60; tamper.at++) {
        tamper.change = 0x80;
        if (tamper.at == DATA_HEADER_LEN)
            continue; /* the topmost byte of the counter: below */
        uint64_t got = w->host[1].got;
        world_packet(w, 0, 1, tamper.at, 60);
        world_run(w, 20 * MS);
        ck_assert_uint_eq(w->host[1].got, got);
        tamper.change = 0;
        world_packet(w, 0, 1, tamper.at, 60);
        world_run(w, 20 * MS);
        ck_assert_uint_eq(w->host[1].got, got + 1);
    }
    /* a counter far ahead must not move the window before the packet is known to be genuine */
    tamper.at = DATA_HEADER_LEN;
    tamper.change = 0x7f;
    world_packet(w, 0, 1, 1, 60);
    world_run(w, 20 * MS);
    w->filter = NULL;
    world_assert_talk(w, 500);
    ck_assert_uint_gt(world_info(w, 1, 0).forged, 50);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sim/intruders");
    TCase *t = tcase_create("intruders");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, an_absent_peer_is_known_after_some_words);
    tcase_add_test(t, who_comes_up_a_second_later_is_found);
    tcase_add_test(t, one_not_present_alone_says_nothing);
    tcase_add_test(t, not_present_of_a_sealed_packet_starts_a_handshake);
    tcase_add_test(t, a_not_present_without_our_bytes_is_ignored);
    tcase_add_test(t, replays_are_not_taken_and_not_answered);
    tcase_add_test(t, a_repeated_response_is_confirmed_a_few_times_only);
    tcase_add_test(t, a_clock_set_back_does_not_lock_us_out);
    tcase_add_test(t, replays_to_a_restarted_daemon_do_not_keep_it_from_talking);
    tcase_add_test(t, a_stranger_hears_nothing_and_leaves_no_trace);
    tcase_add_loop_test(t, any_changed_byte_of_a_handshake_makes_no_session, 0, 2);
    tcase_add_test(t, any_changed_byte_of_a_packet_loses_it_alone);
    suite_add_tcase(s, t);
    return suite_run(s);
}
