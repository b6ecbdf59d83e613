/* The table of peers, its bounds, and what a peer says of itself. What happens over time is in tests/sim/sessions.c. */
#include "daemon/i3/peer.h"

#include <errno.h>

#include "daemon/i3/handshake.h"
#include "tests/lib/suite.h"
#include "tests/sim/world.h"
#include "tests/unit/i3/hex.h"

START_TEST(peers_are_found_by_key_and_address)
{
    struct world *w = world_new(1, 1);
    struct peers *ps = w->host[0].ps;
    uint8_t key[3][32];
    for (unsigned i = 0; i < 3; i++)
        fill_key(key[i], i);
    ck_assert_ptr_null(peer_get(ps, w->host[0].c.pub, 5)); /* our own */
    ck_assert_ptr_null(peer_by_key(ps, key[0]));
    ck_assert_ptr_null(peer_by_address(ps, 0));
    struct peer *a = peer_get(ps, key[0], 0), *b = peer_get(ps, key[1], 0x0a000202);
    ck_assert_ptr_nonnull(a);
    ck_assert_ptr_nonnull(b);
    ck_assert_ptr_eq(peer_get(ps, key[0], 0), a);
    ck_assert_ptr_eq(peer_by_key(ps, key[0]), a);
    ck_assert_ptr_null(peer_by_key(ps, key[2]));
    ck_assert_ptr_null(peer_by_address(ps, 0)); /* an address not yet told is none */
    ck_assert_ptr_eq(peer_by_address(ps, 0x0a000202), b);
    ck_assert_ptr_eq(peer_get(ps, key[0], 0x0a000101), a); /* told now */
    ck_assert_ptr_eq(peer_by_address(ps, 0x0a000101), a);
    ck_assert_ptr_eq(peer_get(ps, key[0], 0x0a000103), a); /* changed */
    ck_assert_ptr_null(peer_by_address(ps, 0x0a000101));
    ck_assert_ptr_eq(peer_get(ps, key[0], 0), a); /* 0 changes nothing */
    ck_assert_ptr_eq(peer_by_address(ps, 0x0a000103), a);
    peer_get(ps, key[1], 0x0a000103); /* taken over */
    ck_assert_ptr_eq(peer_by_address(ps, 0x0a000103), b);
    struct peer_info i;
    peer_info(ps, a, w->now, &i);
    ck_assert_uint_eq(i.local, 0);
    peer_drop(ps, b);
    ck_assert_ptr_null(peer_by_address(ps, 0x0a000103));
    ck_assert_ptr_null(peer_by_key(ps, key[1]));
    ck_assert_ptr_eq(peer_next(ps, NULL), a);
    ck_assert_ptr_null(peer_next(ps, a));
    world_free(w);
}
END_TEST

START_TEST(the_table_is_bounded)
{
    struct world *w = world_new(1, 2);
    struct peers *ps = w->host[0].ps;
    uint8_t key[32] = {1};
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        memcpy(key + 8, &i, sizeof(i));
        struct peer *p = peer_get(ps, key, 0x0a000000 + i);
        ck_assert_ptr_nonnull(p);
        peer_open(ps, p, (mono_t){SEC + i}, 0);
        ck_assert_uint_eq(peers_deadline(ps).us, SEC);
    }
    key[0]++;
    ck_assert_ptr_null(peer_get(ps, key, 1));
    key[0]--;
    unsigned n = 0;
    for (struct peer *p = NULL; (p = peer_next(ps, p));)
        n++;
    ck_assert_uint_eq(n, PEERS_MAX);
    peer_drop(ps, peer_by_key(ps, key));
    ck_assert_ptr_nonnull(peer_get(ps, key, 1));
    world_free(w);
}
END_TEST

START_TEST(sealing_says_what_is_wrong)
{
    struct world *w = world_new(2, 3);
    uint8_t text[2000] = {0}, out[2100];
    struct peers *ps = w->host[0].ps;
    struct peer *p = world_peer(w, 0, 1);
    struct iovec v[2] = {{text, 700}, {text, 700}};
    ck_assert_str_eq(world_info(w, 0, 1).state, "idle");
    ck_assert_int_eq(peer_seal(ps, p, w->now, 0, v, 2, out, sizeof(out)), -ENOTCONN);
    ck_assert_str_eq(world_info(w, 0, 1).state, "handshake");
    world_run(w, 100 * MS); /* which that has started */
    ck_assert_str_eq(world_info(w, 0, 1).state, "standing");
    ck_assert_str_eq(world_info(w, 0, 1).cipher_name, "AESGCM");

    ck_assert_int_eq(peer_seal(ps, p, w->now, 0, v, 2, out, 1400 + PEER_SEAL_OVERHEAD - 1), -ENOSPC);
    ck_assert_int_eq(
        peer_seal(ps, p, w->now, 0, v, 2, out, 1400 + PEER_SEAL_OVERHEAD), 1400 + PEER_SEAL_OVERHEAD);
    v[0].iov_len = 701;
    ck_assert_int_eq(peer_seal(ps, p, w->now, 0, v, 2, out, sizeof(out)), -EMSGSIZE);
    ck_assert_int_eq(peer_seal(ps, p, w->now, 0, NULL, 0, out, sizeof(out)), PEER_SEAL_OVERHEAD);

    struct wire_data d;
    ck_assert_int_eq(data_decode(out, PEER_SEAL_OVERHEAD, &d), 0);
    ck_assert_uint_eq(d.n, 1);
    ck_assert_uint_eq(d.flags, 0);
    ck_assert_uint_eq(d.hops, HOPS_DEFAULT);
    ck_assert_uint_eq(d.proto, PROTO_SEALED);
    ck_assert_mem_eq(d.ids, w->host[1].private_id.b, ID_PREFIX_LEN);
    ck_assert_uint_eq(d.payload[7], 2); /* the confirmation was 0, the full packet 1; what failed took none */
    world_free(w);
}
END_TEST

static const struct {
    unsigned a, b, want;
} cipher_case[] = {
    {3, 3, CIPHER_AES256GCM},
    {1, 3, CIPHER_AES256GCM},
    {3, 1, CIPHER_AES256GCM},
    {2, 3, CIPHER_CHACHA20POLY1305},
    {3, 2, CIPHER_CHACHA20POLY1305},
    {2, 2, CIPHER_CHACHA20POLY1305},
    {1, 2, 0},
    {2, 1, 0},
    {0xf3, 0x83, CIPHER_AES256GCM},
};

START_TEST(both_ends_agree_on_the_first_cipher_they_share)
{
    struct world *w = world_new(2, 4);
    w->host[0].c.ciphers = cipher_case[_i].a;
    w->host[1].c.ciphers = cipher_case[_i].b;
    world_restart(w, 0);
    world_restart(w, 1);
    world_open(w, 0, 1);
    world_run(w, 100 * MS);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(world_info(w, i, 1 - i).cipher, cipher_case[_i].want);
        ck_assert_int_eq(world_info(w, i, 1 - i).standing, cipher_case[_i].want != 0);
    }
    if (cipher_case[_i].want) {
        ck_assert_int_gt(world_packet(w, 0, 1, 1, 500), 0);
        world_run(w, 10 * MS);
        ck_assert_uint_eq(w->host[1].got, 1);
    } else {
        ck_assert_uint_eq(w->by_host[1], 0);
    }
    world_free(w);
}
END_TEST

START_TEST(the_smaller_mtu_holds_at_both_ends)
{
    struct world *w = world_new(2, 5);
    unsigned smaller = (unsigned)_i;
    w->host[smaller].c.mtu = 600;
    w->host[smaller].c.recv_buffer = 12345;
    world_restart(w, smaller);
    world_open(w, 0, 1);
    world_run(w, 100 * MS);
    ck_assert_uint_eq(world_info(w, 0, 1).mtu, 600);
    ck_assert_uint_eq(world_info(w, 1, 0).mtu, 600);
    ck_assert_uint_eq(world_info(w, 1 - smaller, smaller).recv_buffer, 12345);
    ck_assert_int_eq(world_packet(w, 0, 1, 0, 601), -EMSGSIZE);
    ck_assert_int_eq(world_packet(w, 1, 0, 0, 601), -EMSGSIZE);
    ck_assert_int_gt(world_packet(w, 1, 0, 0, 600), 0);
    world_free(w);
}
END_TEST

START_TEST(addresses_are_told_in_the_handshake)
{
    struct world *w = world_new(2, 6);
    struct peer *p = peer_get(w->host[0].ps, w->host[1].c.pub, 0x0a0a0a0a); /* not what it hashes to */
    peer_open(w->host[0].ps, p, w->now, 0);
    world_run(w, 100 * MS);
    struct peer_info i;
    peer_info(w->host[0].ps, p, w->now, &i);
    ck_assert_uint_eq(i.local, 0x0a0a0a0a);
    ck_assert_uint_eq(i.address, w->host[1].c.own_address);
    ck_assert_uint_eq(i.we_are, w->host[0].c.own_address);
    i = world_info(w, 1, 0);
    ck_assert_uint_eq(i.we_are, 0x0a0a0a0a);
    ck_assert_uint_eq(i.address, w->host[0].c.own_address);
    world_free(w);
}
END_TEST

START_TEST(an_anonymous_one_does_not_tell_what_it_calls_its_peer)
{
    struct world *w = world_new(2, 6);
    w->host[0].c.anonymous = true;
    world_restart(w, 0);
    struct peer *p = peer_get(w->host[0].ps, w->host[1].c.pub, 0x0a0a0a0a); /* taken from its user's pool: it would be known by that */
    peer_open(w->host[0].ps, p, w->now, 0);
    world_run(w, 100 * MS);
    struct peer_info i = world_info(w, 1, 0);
    ck_assert(i.standing);
    ck_assert_uint_eq(i.we_are, w->host[1].c.own_address);
    ck_assert_uint_eq(peer_addresses(p).local, 0x0a0a0a0a);
    ck_assert_uint_eq(peer_default_address(w->host[0].ps, p), w->host[1].c.own_address);
    ck_assert_uint_eq(peers_own_address(w->host[0].ps), w->host[0].c.own_address);
    world_free(w);
}
END_TEST

START_TEST(without_a_node_nothing_is_sent)
{
    struct world *w = world_new(2, 7);
    struct addr none = {0};
    peers_set_node(w->host[0].ps, &none);
    world_open(w, 0, 1);
    world_run(w, SEC);
    ck_assert_uint_eq(w->n_sent, 0);
    peers_set_node(w->host[0].ps, &world_node);
    ck_assert(addr_eq(peer_destination(w->host[0].ps, world_peer(w, 0, 1)), &world_node));
    world_run(w, 2 * SEC);
    ck_assert(world_info(w, 0, 1).standing);
    world_free(w);
}
END_TEST

START_TEST(a_dropped_peer_is_gone_with_all_it_had)
{
    struct world *w = world_new(3, 8);
    world_open(w, 0, 1);
    world_open(w, 2, 0);
    world_run(w, 100 * MS);
    world_packet(w, 1, 0, 1, 100);
    world_packet(w, 2, 0, 1, 100);
    struct peers *ps = w->host[0].ps;
    peer_drop(ps, world_peer(w, 0, 1)); /* with a packet of it on its way */
    world_run(w, SEC);
    ck_assert_uint_eq(w->host[0].got, 1);
    struct peer *p = world_peer(w, 0, 1);
    peer_open(ps, p, w->now, 0);
    peer_drop(ps, p); /* with a handshake wanted */
    p = world_peer(w, 0, 1);
    world_open(w, 0, 1);
    peer_drop(ps, p); /* with one running */
    world_run(w, SEC);
    ck_assert(!world_info(w, 0, 1).standing);
    ck_assert(world_info(w, 0, 2).standing);
    world_free(w);
}
END_TEST

START_TEST(events_of_one_peer_are_told_once_and_not_after_its_end)
{
    struct world *w = world_new(3, 9);
    struct peers *ps = w->host[0].ps;
    struct peer_event e;
    struct peer *p[2];
    w->loss = 1000;
    for (unsigned i = 0; i < 2; i++) {
        p[i] = world_peer(w, 0, 1 + i);
        peer_open(ps, p[i], w->now, 0);
    }
    struct outbox *out = w->out;
    for (unsigned i = 0; i < 300; i++) { /* both give up, several times */
        mono_t now = mono_add(w->now, i * 100 * MS);
        for (unsigned k = 0; k < 2; k++)
            peer_open(ps, p[k], now, 0);
        outbox_clear(out);
        peers_output(ps, now, 0, out);
    }
    peer_drop(ps, p[0]);
    ck_assert(peers_event(ps, &e));
    ck_assert_ptr_eq(e.peer, p[1]);
    ck_assert_int_eq(e.kind, PEER_UNREACHABLE);
    ck_assert_int_eq(e.err, ETIMEDOUT);
    ck_assert(!peers_event(ps, &e));
    world_free(w);
}
END_TEST

/* ---- without encryption ---- */

static uint8_t caught[WORLD_PACKET];
static size_t caught_len;
static unsigned flag_seen;

static bool catch_last(struct world *w, unsigned from, uint8_t *p, size_t len)
{
    (void)w;
    if (from == 0) {
        memcpy(caught, p, len);
        caught_len = len;
        flag_seen |= p[4] == PROTO_PLAIN;
    }
    return true;
}

/* Bit 0: the first wants none, bit 1: the second. */
static struct world *plain_world(unsigned who)
{
    struct world *w = world_new(2, 12);
    w->host[0].c.plain = who & 1;
    w->host[1].c.plain = who & 2;
    world_shortcuts(w);
    w->filter = catch_last;
    flag_seen = 0;
    world_open(w, 0, 1);
    world_run(w, 300 * MS);
    return w;
}

START_TEST(plain_only_when_both_say_so)
{
    struct world *w = plain_world((unsigned)_i);
    ck_assert(!flag_seen); /* words about the way are sealed in any case */
    ck_assert(world_info(w, 0, 1).shortcut.family != 0);
    world_assert_talk(w, 0);
    ck_assert_int_eq(flag_seen, _i == 3);
    for (unsigned i = 0; i < 2; i++) {
        struct peer_info info = world_info(w, i, 1 - i);
        ck_assert_int_eq(info.plain, _i == 3);
        ck_assert_str_eq(info.cipher_name, _i == 3 ? "none (headers authenticated)" : "AESGCM");
    }
    ck_assert_int_gt(world_packet(w, 0, 1, 7, 1000), 0);
    ck_assert_uint_eq(caught_len, 1000 + PEER_SEAL_OVERHEAD);
    bool readable = memcmp(caught + PEER_SEAL_OVERHEAD, "\x45\x07", 2) == 0;
    ck_assert_int_eq(readable, _i == 3);
    world_free(w);
}
END_TEST

/* A packet of the first, changed, repeated, or in the other form. */
/* One peer may be treated otherwise than all, from the next handshake on; a shortcut is left at once. */
START_TEST(wishes_about_one_peer_count_at_once)
{
    struct world *w = world_new(3, 5);
    struct peer_info info;
    world_shortcuts(w);
    for (unsigned i = 1; i < 3; i++)
        world_open(w, 0, i);
    world_run(w, 10 * SEC);
    ck_assert(world_info(w, 0, 1).shortcut.family && world_info(w, 0, 2).shortcut.family);
    peer_set_wishes(w->host[0].ps, peer_by_key(w->host[0].ps, w->host[1].c.pub), 0, -1);
    ck_assert(!world_info(w, 0, 1).shortcut.family);
    for (unsigned n = 0; n < 20; n++) {
        for (unsigned i = 1; i < 3; i++)
            world_packet(w, 0, i, (uint8_t)(10 + 2 * n + i), 100);
        world_run(w, SEC);
    }
    info = world_info(w, 0, 1);
    ck_assert_msg(!info.shortcut.family && !strcmp(info.relayed_why, "shortcut = no"), "%s", info.relayed_why);
    ck_assert(world_info(w, 0, 2).shortcut.family && !world_info(w, 1, 0).shortcut.family);
    peer_set_wishes(w->host[0].ps, peer_by_key(w->host[0].ps, w->host[1].c.pub), -1, 1);
    for (unsigned n = 0; n < 20; n++) {
        world_packet(w, 0, 1, (uint8_t)(100 + n), 100);
        world_run(w, SEC);
    }
    info = world_info(w, 0, 1);
    ck_assert(info.shortcut.family && !info.plain); /* the other one does not want that */
    peer_set_wishes(w->host[1].ps, peer_by_key(w->host[1].ps, w->host[0].c.pub), -1, 1);
    for (unsigned n = 0; n < 20; n++) {
        world_packet(w, 1, 0, (uint8_t)(200 + n), 100);
        world_run(w, SEC);
    }
    ck_assert(world_info(w, 0, 1).plain && world_info(w, 1, 0).plain && !world_info(w, 0, 2).plain);
    peers_set_wishes(w->host[0].ps, false, false);
    ck_assert(!world_info(w, 0, 1).shortcut.family && !world_info(w, 0, 2).shortcut.family);
    world_free(w);
}
END_TEST

START_TEST(plain_packets_are_believed_as_far_as_the_tag_goes)
{
    enum { HEAD = DATA_HEADER_LEN, BODY = PEER_SEAL_OVERHEAD };
    static const struct {
        size_t at;
        bool taken;
    } c[] = {{HEAD, false}, {HEAD + 7, false}, {HEAD + 8, false}, {BODY - 1, false}, {BODY + 1, false}, {BODY + 71, false},
        {BODY + 72, true}, {BODY + 999, true}};
    struct world *w = plain_world(3);
    for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
        uint8_t p[WORLD_PACKET];
        ck_assert_int_gt(world_packet(w, 0, 1, i, 1000), 0);
        memcpy(p, caught, caught_len);
        w->n--; /* the packet itself is lost */
        free(w->heap[w->n].data);
        uint64_t got = w->host[1].got;
        p[c[i].at] ^= 1;
        world_deliver(w, 0, p, caught_len);
        ck_assert_uint_eq(w->host[1].got, got + c[i].taken);
        world_deliver(w, 0, p, caught_len); /* again */
        ck_assert_uint_eq(w->host[1].got, got + c[i].taken);
    }
    ck_assert_int_gt(world_packet(w, 0, 1, 50, 1000), 0);
    uint64_t got = w->host[1].got;
    world_deliver(w, 0, caught, caught_len - 1);
    caught[4] = PROTO_SEALED;
    world_deliver(w, 0, caught, caught_len);
    for (size_t len = HEAD; len < BODY; len++)
        world_deliver(w, 0, caught, len);
    ck_assert_uint_eq(w->host[1].got, got);
    world_free(w);
}
END_TEST

START_TEST(a_sealed_session_takes_nothing_plain)
{
    struct world *w = plain_world(1);
    ck_assert_int_gt(world_packet(w, 0, 1, 1, 100), 0);
    caught[4] = PROTO_PLAIN;
    uint64_t forged = world_info(w, 1, 0).forged;
    world_deliver(w, 0, caught, caught_len);
    ck_assert_uint_eq(w->host[1].got, 0);
    ck_assert_uint_eq(world_info(w, 1, 0).forged, forged + 1);
    world_free(w);
}
END_TEST

/* ---- floods ---- */

static enum peer_verdict give_init(
    struct world *w, unsigned to, const struct noise *start, const uint8_t e_priv[32], bool honest)
{
    uint8_t init[INIT_LEN];
    struct noise n = *start;
    struct hello h = {.time = 1, .ciphers = 3};
    ck_assert_int_eq(init_write(&n, e_priv, &h, init), 0);
    init[INIT_NOISE_LEN] ^= !honest;
    struct wire_data d = {.n = 1,
        .proto = PROTO_HANDSHAKE_INIT,
        .ids = w->host[to].public_id.b,
        .payload = init,
        .payload_len = INIT_LEN};
    struct peer *who;
    uint8_t *plain;
    size_t plain_len;
    outbox_clear(w->out);
    return peers_input(w->host[to].ps, w->now, 0, &(struct addr){0}, &d, w->out, &who, &plain, &plain_len);
}

static unsigned asked;

static bool count_asked(unsigned host, const uint8_t key[KEY_LEN])
{
    (void)host;
    (void)key;
    asked++;
    return false;
}

/* Strangers who know our key can make us compute; so many times a second and no more. */
START_TEST(a_flood_of_inits_is_read_at_a_bounded_rate)
{
    enum { FLOOD = 700 };
    struct world *w = world_new(1, 10);
    uint8_t s_priv[32], s_pub[32], e_priv[32];
    struct noise start;
    fill_key(s_priv, 70);
    fill_key(e_priv, 71);
    x25519_public(s_pub, s_priv);
    handshake_start(&start, s_priv, s_pub, w->host[0].c.pub);
    w->known = count_asked;
    for (unsigned i = 0; i < FLOOD; i++)
        ck_assert_int_eq(give_init(w, 0, &start, e_priv, false), PEER_DROP);
    ck_assert_uint_eq(asked, 0); /* a wrong mac1 costs one hash, and none of the budget */
    for (unsigned i = 0; i < FLOOD; i++)
        ck_assert_int_eq(give_init(w, 0, &start, e_priv, true), PEER_DROP);
    ck_assert_uint_ge(asked, 400);
    ck_assert_uint_le(asked, 600);
    unsigned before = asked;
    w->now = mono_add(w->now, 50 * MS);
    for (unsigned i = 0; i < FLOOD; i++)
        give_init(w, 0, &start, e_priv, true);
    ck_assert_uint_eq(asked, before); /* without a cookie, nobody is read any more (tests/sim/cookies.c) */
    ck_assert_ptr_null(peer_next(w->host[0].ps, NULL));
    ck_assert_uint_eq(w->out->n, 0);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("i3/peer");
    TCase *t = tcase_create("peer");
    tcase_set_timeout(t, 30);
    tcase_add_test(t, peers_are_found_by_key_and_address);
    tcase_add_test(t, the_table_is_bounded);
    tcase_add_test(t, sealing_says_what_is_wrong);
    tcase_add_loop_test(t, both_ends_agree_on_the_first_cipher_they_share, 0, ARRAY_LEN(cipher_case));
    tcase_add_loop_test(t, the_smaller_mtu_holds_at_both_ends, 0, 2);
    tcase_add_test(t, addresses_are_told_in_the_handshake);
    tcase_add_test(t, an_anonymous_one_does_not_tell_what_it_calls_its_peer);
    tcase_add_test(t, without_a_node_nothing_is_sent);
    tcase_add_test(t, a_dropped_peer_is_gone_with_all_it_had);
    tcase_add_test(t, events_of_one_peer_are_told_once_and_not_after_its_end);
    tcase_add_loop_test(t, plain_only_when_both_say_so, 0, 4);
    tcase_add_test(t, plain_packets_are_believed_as_far_as_the_tag_goes);
    tcase_add_test(t, a_sealed_session_takes_nothing_plain);
    tcase_add_test(t, wishes_about_one_peer_count_at_once);
    tcase_add_test(t, a_flood_of_inits_is_read_at_a_bounded_rate);
    suite_add_tcase(s, t);
    return suite_run(s);
}
