/* Sessions between daemons over bad networks, in virtual time. */
#include "tests/sim/world.h"

#include <errno.h>
#include <string.h>

static bool both_stand(struct world *w)
{
    return world_info(w, 0, 1).standing && world_info(w, 1, 0).standing;
}

/* Packets arrive both ways; numbers from `first`. */
static void assert_talk(struct world *w, uint64_t first)
{
    uint64_t a = w->host[0].got, b = w->host[1].got;
    ck_assert_int_gt(world_packet(w, 0, 1, first, 100), 0);
    world_run(w, 2 * w->delay + w->jitter);
    ck_assert_uint_eq(w->host[1].got, b + 1);
    ck_assert_int_gt(world_packet(w, 1, 0, first + 1, 1400), 0);
    world_run(w, 2 * w->delay + w->jitter);
    ck_assert_uint_eq(w->host[0].got, a + 1);
    ck_assert_uint_eq(w->host[0].last_len, 1400);
    for (size_t i = 8; i < 1400; i++)
        ck_assert_uint_eq(w->host[0].last[i], (uint8_t)(first + 1 + i));
}

/* One packet in each direction `both`, or only from 0, every 100 ms, until something arrives at 1 (and at 0); how long
 * that takes. The other side answers what it hears, as TCP would. */
static uint64_t time_to_talk(struct world *w, unsigned from)
{
    mono_t start = w->now;
    unsigned to = 1 - from;
    uint64_t there = w->host[to].got, back = w->host[from].got, n = 1000;
    while (w->host[from].got == back) {
        uint64_t before = w->host[to].got;
        world_packet(w, from, to, n++, 60);
        world_run(w, 50 * MS);
        if (w->host[to].got > before)
            world_packet(w, to, from, n++, 60);
        world_run(w, 50 * MS);
        ck_assert_uint_lt(mono_since(start, w->now), 30 * SEC);
    }
    ck_assert_uint_gt(w->host[to].got, there);
    return mono_since(start, w->now);
}

/* ---- the plain case ---- */

START_TEST(two_meet_and_talk)
{
    struct world *w = world_new(2, 1);
    world_open(w, 0, 1);
    world_run(w, 100 * MS);
    ck_assert(both_stand(w));
    ck_assert_uint_eq(w->host[0].ups, 1);
    ck_assert_uint_eq(w->host[1].ups, 1);
    ck_assert_uint_eq(w->sent[PROTO_HANDSHAKE_INIT], 1);
    ck_assert_uint_eq(w->sent[PROTO_HANDSHAKE_RESPONSE], 1);
    ck_assert_uint_eq(w->sent[PROTO_SEALED], 1);
    assert_talk(w, 0);
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
    assert_talk(w, 0);
    world_run(w, 12 * SEC); /* the last word is answered by one keep-alive */
    uint64_t sent = w->n_sent;
    ck_assert_uint_eq(w->sent[PROTO_SEALED], 1 + 2 + 1);
    world_run(w, 1000 * SEC);
    ck_assert_uint_eq(w->n_sent, sent);
    ck_assert(!both_stand(w)); /* the keys are gone by now */
    for (unsigned i = 0; i < 2; i++)
        ck_assert_uint_eq(peers_deadline(w->host[i].ps).us, MONO_NEVER.us);
    ck_assert_uint_le(time_to_talk(w, 0), 300 * MS);
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
        world_packet(w, 0, 1, 3 * n, 60);
        world_run(w, 10 * MS);
        world_packet(w, 1, 0, 3 * n + 1, 60);
        world_run(w, 10 * MS);
        world_packet(w, 0, 1, 3 * n + 2, 60);
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
            ck_assert_uint_le(time_to_talk(w, 0), 700 * MS);
        else
            ck_assert_uint_le(time_to_talk(w, 1), 1500 * MS);
        w->drop_at = 0;
        world_run(w, 5 * SEC);
        assert_talk(w, 0);
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
    assert_talk(w, 0);
    world_run(w, SEC);
    world_restart(w, 0);
    world_open(w, 0, 1);
    w->drop_at = (unsigned)w->n_sent + 2; /* INIT is out: RESPONSE, then the confirmation */
    world_run(w, 500 * MS);
    ck_assert(world_info(w, 0, 1).standing);
    ck_assert_uint_eq(w->host[1].ups, 1); /* it does not know yet */
    ck_assert_uint_le(time_to_talk(w, 1), 600 * MS);
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
        ck_assert_mem_eq(w->record[i].data, w->record[0].data, w->record[0].len);
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
        ck_assert(both_stand(w));
        ck_assert_uint_eq(w->host[0].ups, 1);
        ck_assert_uint_eq(w->host[1].ups, 1);
        ck_assert_uint_eq(world_info(w, 0, 1).handshakes, 1);
        ck_assert_uint_eq(world_info(w, 1, 0).handshakes, 1);
        ck_assert_uint_le(w->sent[PROTO_HANDSHAKE_INIT], 2);
        assert_talk(w, 0);
        world_run(w, 10 * SEC);
        ck_assert_uint_eq(w->host[0].unreachables + w->host[1].unreachables, 0);
        ck_assert_uint_le(w->sent[PROTO_HANDSHAKE_INIT], 2);
        world_free(w);
    }
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
                ck_assert_uint_le(time_to_talk(w, from), 1200 * MS);
                w->drop_at = 0;
                world_run(w, 3 * SEC);
                assert_talk(w, 0);
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
        ck_assert(both_stand(w));
        w->loss = w->dup = 0;
        world_run(w, 5 * SEC);
        assert_talk(w, 0);
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
    assert_talk(w, 0);
    world_run(w, 30 * SEC);
    world_restart(w, restarted);
    if (_i & 4)
        world_open(w, speaker, 1 - speaker);
    uint64_t took = time_to_talk(w, speaker);
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
    assert_talk(w, 0);
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
    assert_talk(w, 0);
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

/* ---- not present ---- */

START_TEST(an_absent_peer_is_known_at_the_second_word)
{
    struct world *w = world_new(2, 30);
    w->host[1].absent = true;
    world_open(w, 0, 1);
    world_run(w, 200 * MS);
    ck_assert_uint_eq(w->not_presents, 1);
    ck_assert_uint_eq(w->host[0].unreachables, 0);
    world_run(w, 150 * MS);
    ck_assert_uint_eq(w->not_presents, 2);
    ck_assert_uint_eq(w->host[0].unreachables, 1);
    ck_assert_int_eq(w->host[0].last_err, EHOSTUNREACH);
    world_open(w, 0, 1); /* whoever asks again gets another try at once */
    w->host[1].absent = false;
    world_run(w, 300 * MS);
    ck_assert(both_stand(w));
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
    ck_assert(both_stand(w));
    ck_assert_uint_eq(w->host[0].unreachables, 0);
    world_free(w);
}
END_TEST

START_TEST(not_present_of_a_sealed_packet_starts_a_handshake)
{
    struct world *w = world_new(2, 32);
    world_open(w, 0, 1);
    world_run(w, SEC);
    assert_talk(w, 0);
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
    ck_assert(both_stand(w));

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
    assert_talk(w, 200);
    world_run(w, 300 * SEC); /* all keys gone */
    replay_all(w);
    ck_assert_uint_le(time_to_talk(w, 1), 300 * MS);
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
    assert_talk(w, 100);
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
    unsigned len = DATA_HEADER_LEN + (_i ? 104 : 192);
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
        ck_assert(both_stand(w));
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
    tamper.at = DATA_HEADER_LEN; /* a counter far ahead must not move the window before the packet is known to be genuine */
    tamper.change = 0x7f;
    world_packet(w, 0, 1, 1, 60);
    world_run(w, 20 * MS);
    w->filter = NULL;
    assert_talk(w, 500);
    ck_assert_uint_gt(world_info(w, 1, 0).forged, 50);
    world_free(w);
}
END_TEST

/* ---- new keys under traffic ---- */

START_TEST(keys_change_under_traffic_without_a_lost_packet)
{
    enum { N = 12000 };
    struct world *w = world_new(2, 50);
    w->jitter = 30 * MS; /* reorders */
    w->dup = 50;
    world_open(w, 0, 1);
    world_run(w, SEC);
    for (unsigned n = 0; n < N; n++) {
        ck_assert_int_gt(world_packet(w, 0, 1, n, 60), 0);
        ck_assert_int_gt(world_packet(w, 1, 0, n, 60), 0);
        world_run(w, 50 * MS);
    }
    world_run(w, SEC);
    for (unsigned h = 0; h < 2; h++)
        for (unsigned n = 0; n < N; n++)
            ck_assert_msg(w->host[h].seen[n] == 1, "host %u packet %u", h, n);
    struct peer_info i = world_info(w, 0, 1);
    ck_assert_uint_ge(i.handshakes, 5);
    ck_assert_uint_le(i.handshakes, 6);
    ck_assert_uint_eq(i.forged, 0);
    ck_assert_uint_gt(i.replays, N / 50);
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
    tcase_add_loop_test(t, simultaneous_open_survives_any_single_loss, 0, 3);
    tcase_add_test(t, simultaneous_open_converges_on_a_slow_and_lossy_path);
    tcase_add_loop_test(t, a_restart_is_mended_by_traffic, 0, 8);
    tcase_add_test(t, a_restart_is_mended_although_the_old_ids_swallow_all);
    tcase_add_test(t, silence_after_sending_leads_to_a_new_handshake);
    tcase_add_test(t, an_absent_peer_is_known_at_the_second_word);
    tcase_add_test(t, one_not_present_alone_says_nothing);
    tcase_add_test(t, not_present_of_a_sealed_packet_starts_a_handshake);
    tcase_add_test(t, a_not_present_without_our_bytes_is_ignored);
    tcase_add_test(t, replays_are_not_taken_and_not_answered);
    tcase_add_test(t, replays_to_a_restarted_daemon_do_not_keep_it_from_talking);
    tcase_add_test(t, a_stranger_hears_nothing_and_leaves_no_trace);
    tcase_add_loop_test(t, any_changed_byte_of_a_handshake_makes_no_session, 0, 2);
    tcase_add_test(t, any_changed_byte_of_a_packet_loses_it_alone);
    tcase_add_test(t, keys_change_under_traffic_without_a_lost_packet);
    tcase_add_test(t, the_responder_changes_keys_when_the_initiator_does_not);
    tcase_add_loop_test(t, fifty_talk_over_a_bad_network, 0, 2);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
