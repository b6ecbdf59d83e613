/* A friend's handshake while strangers send INITs as fast as they can, in virtual time: what it costs him and us, and what comes back. */
#include <string.h>

#include "daemon/i3/cookie.h"
#include "tests/lib/suite.h"
#include "tests/sim/world.h"

enum { FRIEND, VICTIM, STRANGER, HOSTS, PER_MS = 100 /* 100,000 a second */ };

static struct {
    uint8_t mac1_key[BLAKE2S_LEN];
    struct outbox out;
    uint64_t n, bytes, answers, answer_bytes;
    bool returns;         /* they bear an id to answer to, each another one */
    struct i3_id returned; /* the stranger's own */
} flood;

/* Random, with a good mac1: only a Diffie-Hellman would show that it is none. */
static void bogus(struct world *w, uint8_t init[INIT_LEN])
{
    uint8_t mac[BLAKE2S_LEN];
    struct i3_id id;
    for (unsigned i = 0; i < INIT_NOISE_LEN; i++)
        init[i] = (uint8_t)(flood.n >> 8 * (i % 8)) ^ (uint8_t)(i * 41);
    hmac_blake2s(mac, (struct bytes){flood.mac1_key, BLAKE2S_LEN}, &(struct bytes){init, INIT_NOISE_LEN}, 1);
    memcpy(init + INIT_NOISE_LEN, mac, MAC_LEN);
    memset(&id, 0x5a, sizeof(id));
    memcpy(id.b, &flood.n, sizeof(flood.n));
    (void)w;
    init_set_return(init, flood.returns ? &id : NULL, NULL);
    flood.n++;
}

static void one_bogus(struct world *w, const uint8_t *init)
{
    struct host *h = &w->host[VICTIM];
    struct wire_data d = {.hops = HOPS_DEFAULT - 1, .n = 1, .proto = PROTO_HANDSHAKE_INIT, .ids = h->public_id.b, .payload = init, .payload_len = INIT_LEN};
    struct peer *who;
    uint8_t *plain;
    size_t plain_len;
    outbox_clear(&flood.out);
    peers_input(h->ps, w->now, w->now.us, &world_node, &d, &flood.out, &who, &plain, &plain_len);
    flood.bytes += DATA_HEADER_LEN + INIT_LEN;
    for (unsigned i = 0; i < flood.out.n; i++) {
        flood.answers++;
        flood.answer_bytes += flood.out.v[i].len;
        ck_assert_uint_eq(flood.out.v[i].data[4], PROTO_COOKIE);
    }
}

static void flood_ms(struct world *w, unsigned ms)
{
    uint8_t init[INIT_LEN];
    for (; ms; ms--) {
        for (unsigned i = 0; i < PER_MS; i++) {
            bogus(w, init);
            one_bogus(w, init);
        }
        world_run(w, MS);
    }
}

static struct world *flooded(bool returns, uint64_t seed)
{
    struct world *w = world_new(HOSTS, seed);
    memset(&flood, 0, sizeof(flood));
    flood.returns = returns;
    mac1_key(flood.mac1_key, w->host[VICTIM].c.pub);
    return w;
}

static uint64_t ms_to_stand(struct world *w)
{
    uint64_t ms = 0;
    for (world_open(w, FRIEND, VICTIM); !world_both_stand(w) && ms < 5000; ms += 10)
        flood_ms(w, 10);
    return ms;
}

static struct peers_load load(const struct world *w, unsigned host)
{
    return peers_load(w->host[host].ps, w->now);
}

START_TEST(a_friend_gets_in_while_100000_a_second_come)
{
    struct world *w = flooded(_i, 80);
    flood_ms(w, 500);
    ck_assert(load(w, VICTIM).now);
    uint64_t ms = ms_to_stand(w);
    ck_assert_uint_lt(ms, 600); /* the first repetition, and one round trip more */
    ck_assert_uint_eq(load(w, FRIEND).cookies_taken, 1);
    struct peers_load l = load(w, VICTIM);
    double reflected = (double)flood.answer_bytes / (double)flood.bytes;
    printf("flood returns=%d inits=%llu diffie_hellmans=%llu answers=%llu reflected=%.3f friend_ms=%llu\n", _i, (unsigned long long)flood.n,
        (unsigned long long)l.read, (unsigned long long)flood.answers, reflected, (unsigned long long)ms);
    ck_assert_uint_le(l.read, GATE_FREE_PER_S + 10); /* in all, not per second */
    ck_assert_uint_le(flood.answers, _i ? flood.n : 0);
    ck_assert(reflected < 0.3);
    world_free(w);
}
END_TEST

/* The cookie is kept for the next handshake, whose first INIT shows it; a stale one earns a new one at once. */
START_TEST(the_next_handshake_needs_no_repetition)
{
    struct world *w = flooded(true, 81);
    flood_ms(w, 500);
    ms_to_stand(w);
    uint64_t inits = w->sent[PROTO_HANDSHAKE_INIT];
    world_restart(w, VICTIM); /* with other secrets: the old cookie earns a new one in a round trip */
    flood_ms(w, 100);
    world_packet(w, FRIEND, VICTIM, 1, 100);
    for (unsigned ms = 0; ms < 4000 && world_info(w, FRIEND, VICTIM).handshakes < 2; ms += 100) {
        flood_ms(w, 100);
        world_packet(w, FRIEND, VICTIM, 2 + ms / 100, 100);
    }
    ck_assert_uint_eq(world_info(w, FRIEND, VICTIM).handshakes, 2);
    ck_assert_uint_eq(w->sent[PROTO_HANDSHAKE_INIT], inits + 2);
    world_free(w);
}
END_TEST

/* A stranger who really gets what is sent to him has a budget of his own to spend. */
START_TEST(one_that_shows_itself_has_its_own_budget_to_spend)
{
    struct world *w = flooded(true, 82);
    uint8_t init[INIT_LEN], cookie[COOKIE_BODY_LEN];
    flood_ms(w, 500);
    uint64_t read = load(w, VICTIM).read;
    bogus(w, init);
    one_bogus(w, init);
    ck_assert_uint_eq(flood.out.n, 1);
    memcpy(cookie, flood.out.v[0].data + DATA_HEADER_LEN, sizeof(cookie));
    for (unsigned s = 0; s < 3; s++)
        for (unsigned i = 0; i < 1000; i++) {
            struct i3_id id;
            memcpy(id.b, init_return(init), ID_LEN);
            init[5]++;
            uint8_t mac[BLAKE2S_LEN];
            hmac_blake2s(mac, (struct bytes){flood.mac1_key, BLAKE2S_LEN}, &(struct bytes){init, INIT_NOISE_LEN}, 1);
            memcpy(init + INIT_NOISE_LEN, mac, MAC_LEN);
            init_set_return(init, &id, cookie + MAC_LEN);
            one_bogus(w, init);
            flood_ms(w, 1);
        }
    read = load(w, VICTIM).read - read;
    ck_assert_uint_ge(read, 3 * GATE_EACH_PER_S);
    ck_assert_uint_le(read, GATE_EACH_BURST + 4 * GATE_EACH_PER_S);
    ck_assert_uint_lt(ms_to_stand(w), 600);
    world_free(w);
}
END_TEST

/* COOKIEs made up by others: only one that repeats our INIT's mac1, which must have been seen, counts, and makes us send a few times. */
START_TEST(a_cookie_that_nobody_sent_is_not_believed)
{
    struct world *w = flooded(false, 83);
    uint8_t body[COOKIE_BODY_LEN + 1] = {0}, init[INIT_LEN], id[ID_LEN] = {0};
    struct peer *who;
    uint8_t *plain;
    size_t plain_len;
    w->recording = true;
    w->host[VICTIM].dead = true;
    world_open(w, FRIEND, VICTIM);
    world_run(w, 600 * MS); /* the first repetition */
    ck_assert_uint_ge(w->n_record, 2);
    const struct recorded *r = &w->record[w->n_record - 1];
    memcpy(init, r->data + DATA_HEADER_LEN, INIT_LEN);
    ck_assert(init_has_return(init));
    ck_assert(!init_has_return(w->record[0].data + DATA_HEADER_LEN));
    memcpy(id, init_return(init), ID_LEN);
    memcpy(body, init_mac1(init), MAC_LEN);
    struct wire_data d = {.hops = 9, .n = 1, .proto = PROTO_COOKIE, .ids = id, .payload = body};
    outbox_clear(w->out);
    for (size_t len = 0; len <= sizeof(body); len++) {
        d.payload_len = len;
        if (len != COOKIE_BODY_LEN)
            ck_assert_int_eq(peers_input(w->host[FRIEND].ps, w->now, 0, &world_node, &d, w->out, &who, &plain, &plain_len), PEER_DROP);
    }
    d.payload_len = COOKIE_BODY_LEN;
    for (unsigned at = 0; at < MAC_LEN; at++) {
        body[at] ^= 1;
        ck_assert_int_eq(peers_input(w->host[FRIEND].ps, w->now, 0, &world_node, &d, w->out, &who, &plain, &plain_len), PEER_DROP);
        body[at] ^= 1;
    }
    for (unsigned at = 0; at < ID_LEN; at++) {
        id[at] ^= 1;
        ck_assert_int_eq(peers_input(w->host[FRIEND].ps, w->now, 0, &world_node, &d, w->out, &who, &plain, &plain_len), PEER_DROP);
        id[at] ^= 1;
    }
    ck_assert_uint_eq(load(w, FRIEND).cookies_taken, 0);
    uint64_t sent = w->sent[PROTO_HANDSHAKE_INIT];
    for (unsigned i = 0; i < 100; i++) {
        ck_assert_int_eq(peers_input(w->host[FRIEND].ps, w->now, 0, &world_node, &d, w->out, &who, &plain, &plain_len), PEER_CONTROL);
        world_run(w, MS);
    }
    ck_assert_uint_le(w->sent[PROTO_HANDSHAKE_INIT] - sent, 6);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sim/cookies");
    TCase *t = tcase_create("cookies");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, a_friend_gets_in_while_100000_a_second_come, 0, 2);
    tcase_add_test(t, the_next_handshake_needs_no_repetition);
    tcase_add_test(t, one_that_shows_itself_has_its_own_budget_to_spend);
    tcase_add_test(t, a_cookie_that_nobody_sent_is_not_believed);
    suite_add_tcase(s, t);
    return suite_run(s);
}
