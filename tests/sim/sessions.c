/* Sessions between daemons over bad networks, in virtual time. */
#include "daemon/i3/handshake.h"
#include "tests/lib/suite.h"
#include "tests/sim/world.h"

#include <errno.h>
#include <string.h>

/* ---- the plain case ---- */

START_TEST(two_meet_and_talk)
{
    struct world *w = world_new(2, 1);
    world_open(w, 0, 1);
    world_run(w, 100 * MS);
    ck_assert(world_both_stand(w));
    ck_assert_uint_eq(w->host[0].ups, 1);
    ck_assert_uint_eq(w->host[1].ups, 1);
    ck_assert_uint_eq(w->sent[PROTO_HANDSHAKE_INIT], 1);
    ck_assert_uint_eq(w->sent[PROTO_HANDSHAKE_RESPONSE], 1);
    ck_assert_uint_eq(w->sent[PROTO_SEALED], 1);
    world_assert_talk(w, 0);
    struct peer_info i = world_info(w, 0, 1);
    ck_assert_uint_eq(i.handshake_rtt_us, 10 * MS);
    ck_assert_uint_eq(i.address, w->host[1].c.own_address);
    ck_assert_uint_eq(i.we_are, w->host[0].c.own_address);
    ck_assert_int_eq(i.cipher, CIPHER_AES256GCM);
    ck_assert_uint_eq(i.mtu, 1400);
    ck_assert_uint_eq(i.recv_buffer, 1 << 20);
    ck_assert_uint_eq(i.handshakes, 1);
    world_free(w);
}
END_TEST

START_TEST(an_idle_session_falls_silent)
{
    struct world *w = world_new(2, 2);
    world_open(w, 0, 1);
    world_run(w, SEC);
    world_assert_talk(w, 0);
    world_run(w, 12 * SEC); /* the last word is answered by one keep-alive */
    uint64_t sent = w->n_sent;
    ck_assert_uint_eq(w->sent[PROTO_SEALED], 1 + 2 + 1);
    world_run(w, 1000 * SEC);
    ck_assert_uint_eq(w->n_sent, sent);
    ck_assert(!world_both_stand(w)); /* the keys are gone by now */
    for (unsigned i = 0; i < 2; i++)
        ck_assert_uint_eq(peers_deadline(w->host[i].ps).us, MONO_NEVER.us);
    ck_assert_uint_le(world_time_to_talk(w, 0), 300 * MS);
    world_free(w);
}
END_TEST

START_TEST(traffic_one_way_keeps_its_session)
{
    struct world *w = world_new(2, 3);
    world_open(w, 0, 1);
    world_run(w, SEC);
    /* loop 0: the initiator sends, 1: the responder does */
    unsigned from = (unsigned)_i, to = 1 - from;
    for (unsigned n = 0; n < 6000; n++) {
        ck_assert_int_gt(world_packet(w, from, to, n, 200), 0);
        world_run(w, 100 * MS);
    }
    world_run(w, SEC);
    ck_assert_uint_eq(w->host[to].got, 6000);
    for (unsigned n = 0; n < 6000; n++)
        ck_assert_uint_eq(w->host[to].seen[n], 1);
    /* 600 s: 5 new keys by age, and at most a handful while it was not yet known that this peer answers slowly */
    ck_assert_uint_ge(world_info(w, from, to).handshakes, 4);
    ck_assert_uint_le(world_info(w, from, to).handshakes, 12);
    /* a keep-alive every 10 s, not more */
    ck_assert_uint_le(w->by_host[to], 60 + 3 * 12);
    world_free(w);
}
END_TEST

/* A keystroke now and then: the last word of each exchange is not answered, which is nothing to worry about. */
START_TEST(pauses_in_a_talk_cause_no_handshakes)
{
    struct world *w = world_new(2, 9);
    world_open(w, 0, 1);
    world_run(w, SEC);
    for (unsigned n = 0; n < 20; n++) {
        world_packet(w, 0, 1, 4 * n, 60);
        world_packet(w, 0, 1, 4 * n + 1, 60);
        world_run(w, 10 * MS);
        world_packet(w, 1, 0, 4 * n + 2, 60);
        world_run(w, 10 * MS);
        world_packet(w, 0, 1, 4 * n + 3, 60);
        world_run(w, 4300 * MS);
    }
    ck_assert_uint_eq(world_info(w, 0, 1).handshakes, 1);
    world_free(w);
}
END_TEST

/* ---- losses ---- */

/* Every packet of the first seconds is lost once, in turn. */
START_TEST(any_single_loss_is_survived)
{
    for (unsigned from = 0; from < 2; from++) {
        struct world *w = world_new(2, 4);
        w->drop_at = (unsigned)_i;
        world_open(w, 0, 1);
        if (from == 0)
            ck_assert_uint_le(world_time_to_talk(w, 0), 700 * MS);
        else
            ck_assert_uint_le(world_time_to_talk(w, 1), 1500 * MS);
        w->drop_at = 0;
        world_run(w, 5 * SEC);
        world_assert_talk(w, 0);
        ck_assert_uint_le(w->sent[PROTO_HANDSHAKE_INIT], 3);
        world_free(w);
    }
}
END_TEST

/* The same for a session that stands when it gets new keys: the initiator has restarted, so that the old key is dead at one
 * end, and only the other side speaks after the handshake. */
START_TEST(lost_confirmation_is_repeated)
{
    struct world *w = world_new(2, 5);
    world_open(w, 0, 1);
    world_run(w, SEC);
    world_assert_talk(w, 0);
    world_run(w, SEC);
    w->host[0].old_private_id = w->host[0].private_id; /* no NOT_PRESENT helps */
    world_restart(w, 0);
    world_open(w, 0, 1);
    w->drop_at = (unsigned)w->n_sent + 2; /* INIT is out: RESPONSE, then the confirmation */
    world_run(w, 500 * MS);
    ck_assert(world_info(w, 0, 1).standing);
    ck_assert_uint_eq(w->host[1].ups, 1); /* it does not know yet */
    ck_assert_uint_le(world_time_to_talk(w, 1), 600 * MS);
    world_free(w);
}
END_TEST

START_TEST(unanswered_init_is_repeated_in_the_same_bytes)
{
    static const uint64_t at[] = {0, 250, 750, 1750, 3750, 5750, 7750, 9750};
    struct world *w = world_new(2, 6);
    w->recording = true;
    w->loss = 1000;
    world_open(w, 0, 1);
    mono_t start = w->now;
    for (unsigned i = 0; i < ARRAY_LEN(at); i++) {
        while (w->n_record == i && !w->host[0].unreachables)
            world_run(w, 10 * MS);
        if (i + 1 == ARRAY_LEN(at) && w->n_record == i)
            break; /* jitter put it past the end */
        uint64_t took = mono_since(start, w->now);
        ck_assert_uint_ge(took, at[i] * MS * 9 / 10);
        ck_assert_uint_le(took, at[i] * MS * 11 / 10 + 20 * MS);
        ck_assert_uint_eq(w->record[i].len, w->record[0].len);
        /* the first asks for one of a group, the others ask all: only the suffix differs */
        ck_assert_mem_eq(w->record[i].data, w->record[0].data, DATA_FIXED_LEN + ID_PREFIX_LEN);
        ck_assert_mem_eq(w->record[i].data + DATA_HEADER_LEN, w->record[0].data + DATA_HEADER_LEN, INIT_NOISE_LEN + MAC_LEN);
        ck_assert_int_eq(init_has_return(w->record[i].data + DATA_HEADER_LEN), i > 0); /* not told without need */
        ck_assert_uint_eq(w->host[0].unreachables, 0);
    }
    world_run(w, 10 * SEC + 10 * MS - mono_since(start, w->now));
    ck_assert_uint_eq(w->host[0].unreachables, 1);
    ck_assert_int_eq(w->host[0].last_err, ETIMEDOUT);
    size_t n = w->n_record;
    world_run(w, 60 * SEC);
    ck_assert_uint_eq(w->n_record, n);
    world_free(w);
}
END_TEST

/* ---- simultaneous open ---- */

static void open_both(struct world *w, unsigned first, uint64_t offset)
{
    world_open(w, first, 1 - first);
    world_run(w, offset);
    world_open(w, 1 - first, first);
}

START_TEST(simultaneous_open_converges_at_every_offset)
{
    unsigned first = (unsigned)_i % 2;
    for (uint64_t offset = 0; offset <= 22 * MS; offset += MS) {
        struct world *w = world_new(2, 7 + (unsigned)_i);
        open_both(w, first, offset);
        world_run(w, SEC);
        ck_assert(world_both_stand(w));
        ck_assert_uint_eq(w->host[0].ups, 1);
        ck_assert_uint_eq(w->host[1].ups, 1);
        ck_assert_uint_eq(world_info(w, 0, 1).handshakes, 1);
        ck_assert_uint_eq(world_info(w, 1, 0).handshakes, 1);
        ck_assert_uint_le(w->sent[PROTO_HANDSHAKE_INIT], 2);
        world_assert_talk(w, 0);
        world_run(w, 10 * SEC);
        ck_assert_uint_eq(w->host[0].unreachables + w->host[1].unreachables, 0);
        ck_assert_uint_le(w->sent[PROTO_HANDSHAKE_INIT], 2);
        world_free(w);
    }
}
END_TEST

static unsigned smaller_key(const struct world *w)
{
    return memcmp(w->host[0].c.pub, w->host[1].c.pub, KEY_LEN) < 0 ? 0 : 1;
}

static unsigned from_only;

static bool no_init_from(struct world *w, unsigned from, uint8_t *p, size_t len)
{
    (void)w;
    (void)len;
    return from != from_only || p[4] != PROTO_HANDSHAKE_INIT;
}

START_TEST(the_smaller_key_wins_a_simultaneous_open)
{
    struct world *w = world_new(2, 10 + (unsigned)_i);
    w->recording = true;
    open_both(w, (unsigned)_i % 2, MS);
    world_run(w, SEC);
    for (size_t i = 0; i < w->n_record; i++)
        if (w->record[i].data[4] == PROTO_HANDSHAKE_RESPONSE)
            ck_assert_uint_ne(w->record[i].from, smaller_key(w));
    world_free(w);
}
END_TEST

START_TEST(the_winner_gives_way_when_only_the_loser_gets_through)
{
    struct world *w = world_new(2, 11);
    from_only = smaller_key(w);
    w->filter = no_init_from;
    open_both(w, 0, 0);
    world_run(w, 3 * SEC);
    ck_assert(world_both_stand(w));
    world_assert_talk(w, 0);
    world_run(w, 10 * SEC);
    ck_assert_uint_eq(w->host[0].unreachables + w->host[1].unreachables, 0);
    world_free(w);
}
END_TEST

START_TEST(the_loser_tries_again_when_the_winner_dies)
{
    struct world *w = world_new(2, 12);
    unsigned winner = smaller_key(w), loser = 1 - winner;
    open_both(w, 0, 0);
    world_run(w, 6 * MS); /* both INITs are there, the RESPONSE is on its way */
    world_restart(w, winner);
    w->host[winner].absent = true;
    world_run(w, 1500 * MS);
    ck_assert_uint_eq(w->host[loser].unreachables, 0);
    world_run(w, 4 * SEC);
    ck_assert_uint_eq(w->host[loser].unreachables, 1);
    world_free(w);
}
END_TEST

/* A host that has just come up sends before its own triggers stand. */
START_TEST(who_is_heard_is_not_called_unreachable)
{
    struct world *w = world_new(2, 13);
    unsigned winner = smaller_key(w), loser = 1 - winner;
    w->host[loser].absent = true;
    open_both(w, winner, 0);
    world_run(w, 400 * MS);
    ck_assert_uint_ge(w->not_presents, 2);
    w->host[loser].absent = false;
    world_run(w, 3 * SEC);
    ck_assert(world_both_stand(w));
    ck_assert_uint_eq(w->host[winner].unreachables, 0);
    world_free(w);
}
END_TEST

START_TEST(simultaneous_open_survives_any_single_loss)
{
    for (uint64_t offset = 0; offset <= 16 * MS; offset += 2 * MS) {
        for (unsigned drop = 1; drop <= 8; drop++) {
            for (unsigned from = 0; from < 2; from++) {
                struct world *w = world_new(2, 8 + (unsigned)_i);
                w->drop_at = drop;
                open_both(w, 0, offset);
                ck_assert_uint_le(world_time_to_talk(w, from), 1200 * MS);
                w->drop_at = 0;
                world_run(w, 3 * SEC);
                world_assert_talk(w, 0);
                ck_assert_uint_eq(w->host[0].unreachables + w->host[1].unreachables, 0);
                world_free(w);
            }
        }
    }
}
END_TEST

START_TEST(simultaneous_open_converges_on_a_slow_and_lossy_path)
{
    for (unsigned seed = 0; seed < 40; seed++) {
        struct world *w = world_new(2, 1000 + seed);
        w->delay = 300 * MS; /* longer than the first repetition */
        w->jitter = 500 * MS;
        w->loss = 100;
        w->dup = 100;
        open_both(w, seed % 2, seed * 37 * MS);
        world_run(w, 12 * SEC);
        ck_assert(world_both_stand(w));
        w->loss = w->dup = 0;
        world_run(w, 5 * SEC);
        world_assert_talk(w, 0);
        world_free(w);
    }
}
END_TEST

/* ---- lost state ---- */

/* loop: bit 0 who restarts, bit 1 who speaks, bit 2 whether it asks by name first */
START_TEST(a_restart_is_mended_by_traffic)
{
    unsigned restarted = _i & 1, speaker = (unsigned)_i >> 1 & 1;
    struct world *w = world_new(2, 20);
    world_open(w, 0, 1);
    world_run(w, SEC);
    world_assert_talk(w, 0);
    world_run(w, 30 * SEC);
    world_restart(w, restarted);
    if (_i & 4)
        world_open(w, speaker, 1 - speaker);
    uint64_t took = world_time_to_talk(w, speaker);
    ck_assert_uint_le(took, restarted == speaker ? 300 * MS : 2500 * MS);
    world_free(w);
}
END_TEST

START_TEST(a_restart_is_mended_although_the_old_ids_swallow_all)
{
    /* the private ids of the old life lead to the new one, so that no NOT_PRESENT says anything */
    struct world *w = world_new(2, 21);
    world_open(w, 0, 1);
    world_run(w, SEC);
    world_assert_talk(w, 0);
    w->host[1].old_private_id = w->host[1].private_id;
    world_restart(w, 1);
    mono_t start = w->now;
    while (w->host[1].ups < 2) {
        world_packet(w, 0, 1, 5, 60);
        world_run(w, 100 * MS);
        ck_assert_uint_lt(mono_since(start, w->now), 4 * SEC);
    }
    world_free(w);
}
END_TEST

START_TEST(silence_after_sending_leads_to_a_new_handshake)
{
    struct world *w = world_new(2, 22);
    world_open(w, 0, 1);
    world_run(w, SEC);
    world_assert_talk(w, 0);
    world_run(w, 20 * SEC);
    w->loss = 1000;
    uint64_t inits = w->sent[PROTO_HANDSHAKE_INIT];
    world_packet(w, 0, 1, 7, 60); /* one packet, then nothing more to say */
    world_run(w, 14900 * MS);
    ck_assert_uint_eq(w->sent[PROTO_HANDSHAKE_INIT], inits);
    world_run(w, 200 * MS);
    ck_assert_uint_eq(w->sent[PROTO_HANDSHAKE_INIT], inits + 1);
    world_run(w, 60 * SEC);
    ck_assert_int_eq(w->host[0].last_err, ETIMEDOUT);
    ck_assert_uint_le(w->sent[PROTO_HANDSHAKE_INIT], inits + 8);
    world_free(w);
}
END_TEST

/* ---- new keys under traffic ---- */

START_TEST(keys_change_under_traffic_without_a_lost_packet)
{
    unsigned n = 0;
    struct world *w = world_new(2, 50);
    w->jitter = 60 * MS; /* reorders */
    w->dup = 50;
    world_open(w, 0, 1);
    world_run(w, SEC);
    for (unsigned s = 0; s < 610; s++) {
        bool change = s % 120 >= 117 || s % 120 <= 3; /* about now */
        for (unsigned k = 0; k < (change ? 100 : 2); k++, n++) {
            ck_assert_int_gt(world_packet(w, 0, 1, n, 60), 0);
            ck_assert_int_gt(world_packet(w, 1, 0, n, 60), 0);
            world_run(w, change ? 10 * MS : 500 * MS);
        }
    }
    world_run(w, SEC);
    for (unsigned h = 0; h < 2; h++)
        for (unsigned k = 0; k < n; k++)
            ck_assert_msg(w->host[h].seen[k] == 1, "host %u packet %u", h, k);
    struct peer_info i = world_info(w, 0, 1);
    ck_assert_uint_ge(i.handshakes, 5);
    ck_assert_uint_le(i.handshakes, 6);
    ck_assert_uint_eq(i.forged, 0);
    ck_assert_uint_gt(i.replays, n / 50);
    world_free(w);
}
END_TEST

START_TEST(the_responder_changes_keys_when_the_initiator_does_not)
{
    struct world *w = world_new(2, 51);
    world_open(w, 0, 1);
    world_run(w, 164 * SEC);
    ck_assert_int_gt(world_packet(w, 1, 0, 0, 60), 0);
    world_run(w, 500 * MS);
    ck_assert_uint_eq(w->sent[PROTO_HANDSHAKE_INIT], 1);
    world_run(w, 2 * SEC);
    ck_assert_int_gt(world_packet(w, 1, 0, 1, 60), 0);
    world_run(w, 500 * MS);
    ck_assert_uint_eq(w->sent[PROTO_HANDSHAKE_INIT], 2);
    ck_assert_uint_eq(w->host[0].got, 2);
    world_run(w, 20 * SEC);
    ck_assert_int_gt(world_packet(w, 1, 0, 2, 60), 0);
    world_free(w);
}
END_TEST

/* ---- many, on a bad network ---- */

START_TEST(fifty_talk_over_a_bad_network)
{
    enum { HOSTS = 50, ROUNDS = 40 };
    struct world *w = world_new(HOSTS, 60 + (unsigned)_i);
    w->loss = 100;
    w->dup = 50;
    w->jitter = 60 * MS;
    uint64_t sent = 0, got = 0, n = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned from = 0; from < HOSTS; from++) {
            for (unsigned k = 1; k <= 4; k++) {
                unsigned to = (from + k * k) % HOSTS;
                sent += world_packet(w, from, to, n++ % ARRAY_LEN(w->host[0].seen), 100) > 0;
            }
            world_run(w, 2 * MS);
        }
        if (round == ROUNDS / 2)
            for (unsigned i = 0; i < 5; i++)
                world_restart(w, i * 9);
    }
    world_run(w, 5 * SEC);
    for (unsigned i = 0; i < HOSTS; i++) {
        got += w->host[i].got;
        for (unsigned k = 0; k < n; k++)
            ck_assert_uint_le(w->host[i].seen[k], 1);
        ck_assert_uint_eq(w->host[i].unreachables, 0);
    }
    ck_assert_uint_ge(sent, HOSTS * ROUNDS * 4 * 9 / 10);
    ck_assert_uint_ge(got, sent * 80 / 100); /* a tenth lost, and what restarted daemons could not read */
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sim/sessions");
    TCase *t = tcase_create("sessions");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, two_meet_and_talk);
    tcase_add_test(t, an_idle_session_falls_silent);
    tcase_add_loop_test(t, traffic_one_way_keeps_its_session, 0, 2);
    tcase_add_test(t, pauses_in_a_talk_cause_no_handshakes);
    tcase_add_loop_test(t, any_single_loss_is_survived, 1, 9);
    tcase_add_test(t, lost_confirmation_is_repeated);
    tcase_add_test(t, unanswered_init_is_repeated_in_the_same_bytes);
    tcase_add_loop_test(t, simultaneous_open_converges_at_every_offset, 0, 4);
    tcase_add_loop_test(t, the_smaller_key_wins_a_simultaneous_open, 0, 8);
    tcase_add_test(t, the_winner_gives_way_when_only_the_loser_gets_through);
    tcase_add_test(t, the_loser_tries_again_when_the_winner_dies);
    tcase_add_test(t, who_is_heard_is_not_called_unreachable);
    tcase_add_loop_test(t, simultaneous_open_survives_any_single_loss, 0, 3);
    tcase_add_test(t, simultaneous_open_converges_on_a_slow_and_lossy_path);
    tcase_add_loop_test(t, a_restart_is_mended_by_traffic, 0, 8);
    tcase_add_test(t, a_restart_is_mended_although_the_old_ids_swallow_all);
    tcase_add_test(t, silence_after_sending_leads_to_a_new_handshake);
    tcase_add_test(t, keys_change_under_traffic_without_a_lost_packet);
    tcase_add_test(t, the_responder_changes_keys_when_the_initiator_does_not);
    tcase_add_loop_test(t, fifty_talk_over_a_bad_network, 0, 2);
    suite_add_tcase(s, t);
    return suite_run(s);
}
