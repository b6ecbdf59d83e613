/* Two ends which look for a direct way, in virtual time, on a network with a node, NATs and lines that break. */
#include "daemon/i3/path.h"
#include "tests/lib/suite.h"

#include <check.h>
#include <stdlib.h>

#define MS  USEC_PER_MSEC
#define SEC USEC_PER_SEC

enum { FLIGHT = 4096, OPENED = 64 };

struct end {
    struct path x;
    struct path_own own;
    struct addr at;        /* where its packets come from, as the other sees it */
    bool nat;              /* lets in only what answers it */
    struct addr opened[OPENED];
    unsigned n_opened;
    unsigned offers, challenges, responses; /* sent */
    unsigned strays;       /* challenges to places which are nobody's */
    struct addr last;      /* where the last packet for a program went; family 0: by the node */
    unsigned got, got_direct;
};

struct message {
    mono_t at;
    unsigned to;
    bool relayed, data;
    struct addr from;
    size_t len;
    uint8_t msg[INNER_MAX];
};

static struct net {
    mono_t now;
    struct drbg d;
    struct end e[2];
    struct message v[FLIGHT];
    unsigned n;
    uint64_t delay, node_delay;
    uint64_t slow;     /* to addresses of 10/8 */
    bool node, direct; /* which ways are open */
    unsigned lose_relayed;
    unsigned oneway;   /* 1: only end 0 can send straight */
    bool hairpin;      /* both are behind one NAT, which takes their packets to each other back in */
} w;

static struct addr ip(const char *s, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (inet_pton(AF_INET, s, &in.sin_addr) == 1)
        return addr_from_sockaddr(&in, sizeof(in));
    ck_assert_int_eq(inet_pton(AF_INET6, s, &in6.sin6_addr), 1);
    struct addr a = {.family = 6, .port = port};
    memcpy(a.ip, &in6.sin6_addr, 16);
    return a;
}

static void own_add(unsigned e, struct addr a)
{
    w.e[e].own.addr[w.e[e].own.n++] = a;
}

static void net_init(void)
{
    uint8_t seed[32] = {1};
    w = (struct net){.now = {SEC}, .delay = 10 * MS, .node_delay = 15 * MS, .node = true, .direct = true};
    drbg_init(&w.d, seed);
    for (unsigned i = 0; i < 2; i++) {
        w.e[i].own.v4 = true;
        w.e[i].at = addr_v4(0xc0000201 + i, (uint16_t)(1000 + i));
        path_init(&w.e[i].x, w.now, &w.d);
    }
}

static void net_start(void)
{
    for (unsigned i = 0; i < 2; i++)
        path_renew(&w.e[i].x, w.now);
}

static void net_plain(void)
{
    net_init();
    own_add(0, w.e[0].at);
    own_add(1, w.e[1].at);
    net_start();
}

static bool opened(struct end *e, const struct addr *a, bool add)
{
    for (unsigned i = 0; i < e->n_opened; i++)
        if (addr_eq(&e->opened[i], a))
            return true;
    if (add && e->n_opened < OPENED)
        e->opened[e->n_opened++] = *a;
    return false;
}

/* The NAT as who is behind it sees a neighbour's packets come from. */
static struct addr inside(const struct end *e)
{
    return addr_v4(0xc0a80101, e->at.port);
}

/* Where a packet to `to` seems to come from. What went to the outside address comes from the inner one; the answers to that, which
 * are the packets to the inner one, from the outside. */
static struct addr seen_from(unsigned from, const struct addr *to)
{
    return w.hairpin && addr_eq(to, &w.e[1 - from].at) ? inside(&w.e[from]) : w.e[from].at;
}

/* Does a packet to `to` reach the other end? */
static bool reaches(unsigned from, const struct addr *to)
{
    struct end *e = &w.e[from], *other = &w.e[1 - from];
    opened(e, to, true);
    if (w.hairpin) {
        struct addr in = inside(other);
        return addr_eq(to, &other->at) || (addr_eq(to, &in) && opened(other, &e->at, false));
    }
    if (!w.direct || (w.oneway && from != w.oneway - 1))
        return false;
    if (other->nat)
        return addr_eq(to, &other->at) && opened(other, &e->at, false);
    if (addr_eq(to, &other->at))
        return true;
    for (unsigned i = 0; i < other->own.n; i++)
        if (addr_eq(to, &other->own.addr[i]))
            return true;
    return false;
}

static void fly(unsigned from, const struct addr *to, const uint8_t *msg, size_t len)
{
    bool relayed = !to->family;
    if (relayed && w.lose_relayed) {
        w.lose_relayed--;
        return;
    }
    if (relayed ? !w.node : !reaches(from, to))
        return;
    ck_assert_uint_lt(w.n, FLIGHT);
    struct message *m = &w.v[w.n++];
    /* who is reached at a second address answers from there */
    *m = (struct message){.at = mono_add(w.now, relayed ? w.node_delay : w.delay), .to = 1 - from, .relayed = relayed,
        .data = !len, .from = relayed ? w.e[from].at : seen_from(from, to), .len = len};
    if (!relayed && w.slow && (to->ip[0] == 10 || w.e[from].at.ip[0] == 10))
        m->at = mono_add(m->at, w.slow);
    if (len)
        memcpy(m->msg, msg, len);
}

static void speak(unsigned i)
{
    struct end *e = &w.e[i];
    struct addr to;
    uint8_t msg[INNER_MAX];
    size_t len;
    for (unsigned k = 0; (len = path_output(&e->x, w.now, &e->own, &w.d, &to, msg)); k++) {
        ck_assert_uint_lt(k, PATH_OUTPUT_MAX);
        unsigned kind = inner_kind(msg, len);
        e->offers += kind == INNER_OFFER;
        e->challenges += kind == INNER_CHALLENGE;
        e->responses += kind == INNER_RESPONSE;
        ck_assert(kind == INNER_OFFER || to.family);
        fly(i, &to, msg, len);
    }
}

static void land(struct message m)
{
    struct end *e = &w.e[m.to];
    const struct addr *from = m.relayed ? NULL : &m.from;
    if (from)
        path_heard(&e->x, w.now, &e->own, &w.d, from);
    if (m.data) {
        e->got++;
        e->got_direct += from != NULL;
    } else {
        path_input(&e->x, w.now, &e->own, &w.d, from, m.msg, m.len);
    }
    speak(m.to);
}

static void run(uint64_t us)
{
    mono_t end = mono_add(w.now, us);
    for (;;) {
        mono_t next = end;
        unsigned first = w.n;
        for (unsigned i = 0; i < 2; i++)
            next = mono_min(next, path_deadline(&w.e[i].x));
        for (unsigned i = 0; i < w.n; i++)
            if (w.v[i].at.us < next.us) {
                next = w.v[i].at;
                first = i;
            }
        if (next.us >= end.us)
            break;
        if (next.us > w.now.us)
            w.now = next;
        if (first < w.n) {
            struct message m = w.v[first];
            memmove(&w.v[first], &w.v[first + 1], (--w.n - first) * sizeof(m));
            land(m);
        } else {
            for (unsigned i = 0; i < 2; i++)
                speak(i);
        }
    }
    w.now = end;
}

/* A packet for a program. */
static void packet(unsigned from)
{
    struct end *e = &w.e[from];
    const struct addr *to = path_address(&e->x);
    e->last = to ? *to : (struct addr){0};
    path_sent(&e->x, w.now, &w.d);
    fly(from, &e->last, NULL, 0);
    speak(from);
}

/* Packets both ways. */
static void talk_every(uint64_t us, uint64_t gap)
{
    for (; us >= gap; us -= gap) {
        packet(0);
        packet(1);
        run(gap);
    }
}

static void talk(uint64_t us)
{
    talk_every(us, 20 * MS);
}

static bool direct(unsigned i)
{
    return path_address(&w.e[i].x) != NULL;
}

static void clear_counts(void)
{
    for (unsigned i = 0; i < 2; i++)
        w.e[i].offers = w.e[i].challenges = w.e[i].responses = w.e[i].got = w.e[i].got_direct = 0;
}

/* ---- finding the way ---- */

START_TEST(two_ends_find_the_direct_way)
{
    net_plain();
    ck_assert(!direct(0) && !direct(1));
    run(200 * MS);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert(direct(i));
        ck_assert_int_eq(w.e[i].x.why, PATH_DIRECT);
        ck_assert(addr_eq(path_address(&w.e[i].x), &w.e[1 - i].at));
        ck_assert_uint_eq(w.e[i].x.c[w.e[i].x.active].rtt_us, 20 * MS);
        ck_assert_uint_le(w.e[i].challenges, 3);
        ck_assert_uint_le(w.e[i].offers, 3);
    }
    run(5 * SEC);
    ck_assert_uint_le(w.e[0].offers + w.e[1].offers, 6); /* once each is known to have the other's, silence */
}
END_TEST

START_TEST(lost_offers_are_repeated)
{
    net_plain();
    w.lose_relayed = 4;
    run(2 * SEC);
    ck_assert(direct(0) && direct(1));
}
END_TEST

/* With the peer's addresses unknown or shut, the other way round still works: who is heard from is challenged. */
START_TEST(one_reachable_end_is_enough)
{
    net_init();
    own_add(0, w.e[0].at); /* end 1 does not know its own */
    net_start();
    run(500 * MS);
    ck_assert(direct(0) && direct(1));
}
END_TEST

START_TEST(two_nats_open_for_each_other)
{
    net_init();
    for (unsigned i = 0; i < 2; i++) {
        w.e[i].nat = true;
        own_add(i, w.e[i].at);
        own_add(i, ip("192.168.1.2", 1)); /* the same address behind both: leads nowhere, or to oneself */
    }
    net_start();
    run(SEC);
    ck_assert(direct(0) && direct(1));
}
END_TEST

START_TEST(where_nobody_answers_the_node_stays)
{
    net_plain();
    w.direct = false;
    run(10 * SEC);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert(!direct(i));
        ck_assert_int_eq(w.e[i].x.why, PATH_SILENT);
        ck_assert_uint_eq(w.e[i].challenges, PATH_TRIES);
    }
    clear_counts();
    run(100 * SEC);
    ck_assert_uint_eq(w.e[0].challenges + w.e[0].offers, 0); /* no packets, no search */
    talk(60 * SEC);
    ck_assert_uint_ge(w.e[0].challenges, 3 * PATH_TRIES);
    ck_assert_uint_le(w.e[0].challenges, 8 * PATH_TRIES); /* rarer and rarer */
    w.direct = true;
    talk(60 * SEC);
    ck_assert(direct(0) && direct(1));
}
END_TEST

/* Straight packets pass one way only: whoever gets no answer does not use it. */
START_TEST(a_way_without_a_way_back_is_none)
{
    net_plain();
    w.oneway = 1;
    talk(5 * SEC);
    ck_assert(!direct(0) && !direct(1));
    ck_assert_uint_eq(w.e[0].got_direct + w.e[1].got_direct, 0);
}
END_TEST

/* Behind one NAT which takes packets to its outside address back in there are two ways, and by either of them one end sends to the
 * outside address and hears from the inner one, the other end the reverse. Both must come to the same, and stay there, even when
 * packets keep them in step. */
START_TEST(two_behind_one_nat_agree_which_way_to_take)
{
    static const uint64_t delay[] = {100, 1 * MS, 10 * MS, 30 * MS}, gap[] = {2 * MS, 20 * MS};
    uint8_t seed[BLAKE2S_LEN] = {2, (uint8_t)_i};
    struct addr at[2];
    net_init();
    w.hairpin = true;
    w.delay = delay[_i % ARRAY_LEN(delay)];
    drbg_init(&w.d, seed);
    for (unsigned i = 0; i < 2; i++) {
        w.e[i].at = addr_v4(0xc0000221, (uint16_t)(1000 + i));
        own_add(i, w.e[i].at);
        path_init(&w.e[i].x, w.now, &w.d);
    }
    net_start();
    talk_every(3 * SEC, gap[_i / ARRAY_LEN(delay) % ARRAY_LEN(gap)]);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert(direct(i));
        at[i] = *path_address(&w.e[i].x);
    }
    struct addr in[2] = {inside(&w.e[0]), inside(&w.e[1])};
    ck_assert(addr_eq(&at[0], &in[1]) ? addr_eq(&at[1], &w.e[0].at) : addr_eq(&at[0], &w.e[1].at) && addr_eq(&at[1], &in[0]));
    for (unsigned n = 0; n < 500; n++) {
        talk(20 * MS);
        for (unsigned i = 0; i < 2; i++)
            ck_assert(direct(i) && addr_eq(path_address(&w.e[i].x), &at[i]));
    }
}
END_TEST

START_TEST(the_quickest_address_wins)
{
    net_init();
    struct addr far = ip("10.1.1.1", 5), near = w.e[1].at;
    own_add(0, w.e[0].at);
    own_add(1, far);
    own_add(1, near);
    w.slow = 30 * MS;
    net_start();
    run(SEC);
    ck_assert(addr_eq(path_address(&w.e[0].x), &near));
}
END_TEST

START_TEST(nearer_kinds_win_when_about_equal)
{
    static const struct {
        const char *a, *b;
        int want;
    } c[] = {
        {"127.0.0.1", "192.168.0.1", 0}, {"192.0.2.1", "192.168.0.1", 1}, {"192.0.2.1", "172.16.3.1", 1},
        {"192.0.2.1", "fd00::1", 1}, {"::1", "fd00::1", 0}, {"2001:db8::1", "10.0.0.1", 1},
    };
    struct path x;
    uint8_t seed[32] = {2}, msg[INNER_MAX];
    struct path_own own = {.v4 = true, .v6 = true, .loopback = true};
    struct drbg d;
    drbg_init(&d, seed);
    for (unsigned order = 0; order < 2; order++) {
        mono_t now = {SEC};
        struct inner_offer o = {.n = 2, .serial = 5, .addr = {ip(c[_i].a, 1), ip(c[_i].b, 1)}};
        struct { struct addr to; uint64_t token; } seen[2] = {0};
        unsigned n = 0;
        path_init(&x, now, &d);
        path_input(&x, now, &own, &d, NULL, msg, offer_encode(msg, sizeof(msg), &o));
        struct addr to;
        size_t len;
        while ((len = path_output(&x, now, &own, &d, &to, msg)))
            if (inner_kind(msg, len) == INNER_CHALLENGE && n < 2) {
                seen[n].to = to;
                ck_assert_int_eq(token_decode(msg, len, INNER_CHALLENGE, &seen[n++].token), 0);
            }
        ck_assert_uint_eq(n, 2);
        for (unsigned k = 0; k < 2; k++) {
            now = mono_add(now, 100);
            unsigned i = order ? 1 - k : k;
            path_input(&x, now, &own, &d, &seen[i].to, msg, token_encode(msg, sizeof(msg), INNER_RESPONSE, seen[i].token));
        }
        ck_assert(addr_eq(path_address(&x), &o.addr[c[_i].want]));
    }
}
END_TEST

/* ---- forgeries and abuse ---- */

/* Sends an offer with one address to a fresh path; the challenge that follows. */
static uint64_t challenged(struct path *x, struct drbg *d, const struct path_own *own, const struct addr *a, mono_t now)
{
    uint8_t msg[INNER_MAX], seed[32] = {3};
    struct inner_offer o = {.n = 1, .serial = 9, .addr = {*a}};
    struct addr to;
    uint64_t token = 0;
    size_t len;
    drbg_init(d, seed);
    path_init(x, now, d);
    path_input(x, now, own, d, NULL, msg, offer_encode(msg, sizeof(msg), &o));
    while ((len = path_output(x, now, own, d, &to, msg)))
        if (inner_kind(msg, len) == INNER_CHALLENGE) {
            ck_assert(addr_eq(&to, a));
            ck_assert_int_eq(token_decode(msg, len, INNER_CHALLENGE, &token), 0);
        }
    return token;
}

START_TEST(only_the_true_answer_from_the_true_place_counts)
{
    enum { WRONG_TOKEN, NEXT_TOKEN, WRONG_PORT, RELAYED, CUT, LONG, OLD_ROUND, RIGHT };
    struct path x;
    struct drbg d;
    struct path_own own = {.v4 = true};
    struct addr a = ip("192.0.2.9", 7), from = a;
    mono_t now = {SEC};
    uint8_t msg[INNER_MAX + 1] = {0};
    uint64_t token = challenged(&x, &d, &own, &a, now);
    ck_assert_uint_ne(token, 0);
    if (_i == OLD_ROUND) {
        struct addr to;
        for (unsigned i = 0; i < 100; i++) { /* the round ends unanswered, another begins */
            now = mono_add(now, 100 * MS);
            while (path_output(&x, now, &own, &d, &to, msg))
                ;
        }
        path_sent(&x, now, &d);
        while (path_output(&x, now, &own, &d, &to, msg))
            ;
    }
    size_t len = token_encode(msg, sizeof(msg), INNER_RESPONSE, token - (_i == WRONG_TOKEN) + (_i == NEXT_TOKEN));
    from.port = (uint16_t)(from.port + (_i == WRONG_PORT));
    len = len - (_i == CUT) + (_i == LONG);
    path_input(&x, mono_add(now, MS), &own, &d, _i == RELAYED ? NULL : &from, msg, len);
    ck_assert_int_eq(path_address(&x) != NULL, _i == RIGHT);
}
END_TEST

START_TEST(answers_go_back_once_to_where_the_challenge_came_from)
{
    struct path x;
    struct drbg d;
    struct path_own own = {.v4 = true};
    struct addr a = ip("192.0.2.9", 7), to;
    uint8_t msg[INNER_MAX], seed[32] = {0};
    uint64_t token;
    drbg_init(&d, seed);
    path_init(&x, (mono_t){SEC}, &d);
    path_input(&x, (mono_t){SEC}, &own, &d, NULL, msg, token_encode(msg, sizeof(msg), INNER_CHALLENGE, 77));
    ck_assert_uint_eq(path_output(&x, (mono_t){SEC}, &own, &d, &to, msg), 0); /* by the node: nobody's address */
    path_input(&x, (mono_t){SEC}, &own, &d, &a, msg, token_encode(msg, sizeof(msg), INNER_CHALLENGE, 77));
    size_t len = path_output(&x, (mono_t){SEC}, &own, &d, &to, msg);
    ck_assert_int_eq(token_decode(msg, len, INNER_RESPONSE, &token), 0);
    ck_assert_uint_eq(token, 77);
    ck_assert(addr_eq(&to, &a));
    ck_assert_uint_eq(path_output(&x, (mono_t){SEC}, &own, &d, &to, msg), 0);
    ck_assert_ptr_null(path_address(&x));
}
END_TEST

static const struct {
    const char *ip;
    uint16_t port;
    bool v6, loopback, ok;
} place[] = {
    {"192.0.2.1", 5, false, false, true}, {"192.0.2.1", 0, false, false, false}, {"0.0.0.0", 5, false, false, false},
    {"0.1.2.3", 5, false, false, false}, {"224.0.0.1", 5, false, false, false}, {"239.255.255.250", 1900, false, false, false},
    {"255.255.255.255", 5, false, false, false}, {"240.0.0.1", 5, false, false, false}, {"127.0.0.1", 5, false, false, false},
    {"127.0.0.1", 5, false, true, true}, {"2001:db8::1", 5, false, true, false}, {"2001:db8::1", 5, true, false, true},
    {"::1", 5, true, false, false}, {"::1", 5, true, true, true}, {"::", 5, true, true, false},
    {"ff02::1", 5, true, true, false}, {"fe80::1", 5, true, true, false}, {"::ffff:192.0.2.1", 5, true, true, false},
    {"::192.0.2.1", 5, true, true, false}, {"fd00::1", 5, true, false, true}, {"198.51.100.7", 777, false, false, false},
};

START_TEST(challenges_go_to_single_hosts_that_we_reach)
{
    struct path x;
    struct drbg d;
    struct path_own own = {.v4 = true, .v6 = place[_i].v6, .loopback = place[_i].loopback, .n = 1};
    struct addr a = ip(place[_i].ip, place[_i].port);
    own.addr[0] = ip("198.51.100.7", 777); /* ourselves */
    ck_assert_int_eq(challenged(&x, &d, &own, &a, (mono_t){SEC}) != 0, place[_i].ok);
    if (!place[_i].ok) {
        path_heard(&x, (mono_t){SEC}, &own, &d, &a); /* nor are they learnt from a packet */
        for (unsigned i = 0; i < PATH_CANDIDATES; i++)
            ck_assert_uint_eq(x.c[i].addr.family, 0);
    }
}
END_TEST

START_TEST(a_peer_who_offers_strangers_without_end_has_few_of_them_challenged)
{
    net_init();
    struct end *e = &w.e[0];
    uint8_t msg[INNER_MAX];
    uint32_t stranger = 0xc6336400;
    for (unsigned i = 1; i <= 1000; i++) { /* 10 s */
        struct inner_offer o = {.n = OFFER_MAX, .serial = i};
        for (unsigned k = 0; k < OFFER_MAX; k++)
            o.addr[k] = addr_v4(stranger++, 53);
        path_input(&e->x, w.now, &e->own, &w.d, NULL, msg, offer_encode(msg, sizeof(msg), &o));
        struct addr learnt = addr_v4(stranger++, 54);
        path_heard(&e->x, w.now, &e->own, &w.d, &learnt);
        speak(0);
        run(10 * MS);
    }
    ck_assert_uint_ge(e->challenges, PATH_BURST);
    ck_assert_uint_le(e->challenges, PATH_BURST + 10 * PATH_RATE);
    ck_assert(!direct(0));
}
END_TEST

START_TEST(rubbish_and_words_of_later_versions_change_nothing)
{
    net_plain();
    run(SEC);
    struct path before = w.e[0].x;
    for (unsigned first = 0; first < 256; first++) {
        uint8_t msg[40] = {(uint8_t)first};
        for (size_t len = 0; len <= sizeof(msg); len++)
            if (first != inner_first(INNER_CHALLENGE) || len != INNER_TOKEN_LEN)
                path_input(&w.e[0].x, w.now, &w.e[0].own, &w.d, &w.e[1].at, msg, len);
        struct inner_offer o;
        if (first == inner_first(INNER_OFFER))
            ck_assert_int_eq(offer_decode(msg, INNER_OFFER_LEN, &o), 0); /* an empty one, and so taken */
        else
            ck_assert_mem_eq(&w.e[0].x, &before, sizeof(before));
        w.e[0].x = before;
    }
}
END_TEST

/* ---- life ---- */

static const uint64_t dead_delay[] = {MS / 10, 10 * MS, 50 * MS, 200 * MS, 400 * MS};

START_TEST(a_dead_way_is_left_within_3_s_and_taken_again)
{
    net_init();
    w.delay = dead_delay[_i];
    own_add(0, w.e[0].at);
    own_add(1, w.e[1].at);
    net_start();
    talk(6 * SEC);
    ck_assert(direct(0) && direct(1));
    w.direct = false;
    uint64_t us = 0;
    for (; direct(0) || direct(1); us += 20 * MS)
        talk(20 * MS);
    ck_assert_uint_ge(us, SEC - 100 * MS);
    ck_assert_uint_lt(us, 3 * SEC);
    ck_assert_int_eq(w.e[0].x.why, PATH_LOST);
    unsigned got = w.e[1].got;
    talk(SEC);
    ck_assert_uint_gt(w.e[1].got, got + 30);
    w.direct = true;
    talk(16 * SEC);
    ck_assert(direct(0) && direct(1));
}
END_TEST

/* The other one sends by the node (it cannot send straight, say), so nothing but answers to challenges comes back. */
START_TEST(a_quiet_way_is_asked_before_it_is_given_up)
{
    net_plain();
    run(SEC);
    clear_counts();
    for (unsigned i = 0; i < 500; i++) {
        packet(0);
        run(20 * MS);
        ck_assert(direct(0));
    }
    ck_assert_uint_le(w.e[0].challenges, 40);
    ck_assert_uint_eq(w.e[1].got_direct, 500);
}
END_TEST

START_TEST(traffic_keeps_the_way_and_costs_no_more_words)
{
    net_plain();
    run(SEC);
    clear_counts();
    talk(120 * SEC);
    ck_assert(direct(0) && direct(1));
    ck_assert_uint_eq(w.e[0].got_direct, w.e[0].got);
    ck_assert_uint_eq(w.e[0].got, 6000);
    ck_assert_uint_le(w.e[0].challenges + w.e[0].offers + w.e[1].challenges + w.e[1].offers, 4);
}
END_TEST

START_TEST(it_ends_after_30_s_without_packets)
{
    net_plain();
    run(SEC);
    talk(SEC);
    run(SEC);
    clear_counts();
    run(28 * SEC);
    ck_assert(direct(0) && direct(1));
    run(3 * SEC);
    ck_assert(!direct(0) && !direct(1));
    ck_assert_int_eq(w.e[0].x.why, PATH_IDLE);
    run(1000 * SEC);
    ck_assert_uint_eq(w.e[0].challenges + w.e[0].offers + w.e[0].responses, 0);
    ck_assert_uint_eq(path_deadline(&w.e[0].x).us, MONO_NEVER.us);
    talk(SEC);
    ck_assert(direct(0) && direct(1));
}
END_TEST

START_TEST(a_peer_with_another_outside_address_is_followed)
{
    net_plain();
    run(SEC);
    talk(SEC);
    w.e[1].own.n = 0; /* the old one is dead */
    w.e[1].at = ip("203.0.113.77", 4444);
    uint64_t us = 0;
    for (; !addr_eq(path_address(&w.e[0].x), &w.e[1].at); us += 20 * MS) {
        talk(20 * MS);
        ck_assert(direct(0));
        ck_assert_uint_lt(us, SEC);
    }
    ck_assert(direct(1));
    ck_assert_uint_le(us, 100 * MS);
}
END_TEST

START_TEST(new_addresses_of_ours_are_offered)
{
    net_plain();
    run(SEC);
    talk(SEC);
    w.e[1].own.addr[0] = w.e[1].at = ip("203.0.113.77", 4444);
    w.direct = false; /* not even our packets get there any more */
    clear_counts();
    ck_assert(path_moved(&w.e[1].x, w.now));
    talk(2 * SEC);
    ck_assert_uint_ge(w.e[1].offers, 1);
    w.direct = true;
    talk(4 * SEC);
    ck_assert(addr_eq(path_address(&w.e[0].x), &w.e[1].at));
    run(100 * SEC);
    ck_assert(!path_moved(&w.e[1].x, w.now)); /* nobody to tell while nobody talks */
    run(100 * SEC);
    talk(SEC);
    ck_assert(direct(0));
}
END_TEST

/* Neither end waits until the old way has been silent for a second. */
START_TEST(who_has_moved_goes_by_the_node_until_a_way_is_found_there)
{
    net_plain();
    run(SEC);
    talk(SEC);
    w.e[1].own.addr[0] = w.e[1].at = ip("203.0.113.77", 4444);
    ck_assert(path_uprooted(&w.e[1].x, w.now, &w.d));
    ck_assert(!direct(1) && direct(0)); /* which it does not know yet */
    w.direct = false;
    run(w.node_delay + MS);
    ck_assert(!direct(0));
    ck_assert_int_eq(w.e[0].x.why, PATH_ASKING);
    w.direct = true;
    talk(500 * MS);
    ck_assert(direct(1) && direct(0));
    ck_assert(addr_eq(path_address(&w.e[0].x), &w.e[1].at));
    ck_assert(!w.e[1].x.moved); /* it is told once */
    run(100 * SEC);
    ck_assert(!path_uprooted(&w.e[1].x, w.now, &w.d)); /* nobody to tell while nobody talks */
}
END_TEST

START_TEST(a_peer_who_went_over_to_a_known_address_is_followed_at_once)
{
    net_plain();
    own_add(1, ip("203.0.113.5", 99));
    run(SEC);
    talk(SEC);
    ck_assert(direct(0));
    struct addr other = addr_eq(path_address(&w.e[0].x), &w.e[1].own.addr[0]) ? w.e[1].own.addr[1] : w.e[1].own.addr[0];
    w.e[1].own.n = 0;
    w.e[1].at = other;
    talk(300 * MS);
    ck_assert(addr_eq(path_address(&w.e[0].x), &other));
}
END_TEST

static const struct {
    enum path_why why;
    unsigned ours, theirs;
    uint64_t lost_s; /* ago, 0: never */
    const char *words;
} said[] = {
    {PATH_NEW, NAT_UNKNOWN, NAT_UNKNOWN, 0, "no traffic yet"},
    {PATH_SILENT, NAT_UNKNOWN, NAT_CONE, 0, "no direct way was found"},
    {PATH_SILENT, NAT_SYMMETRIC, NAT_CONE, 0, "no direct way was found: our NAT is symmetric"},
    {PATH_SILENT, NAT_NONE, NAT_SYMMETRIC, 0, "no direct way was found: the peer's NAT is symmetric"},
    {PATH_SILENT, NAT_SYMMETRIC, NAT_SYMMETRIC, 0, "no direct way was found: both NATs are symmetric"},
    {PATH_ASKING, NAT_SYMMETRIC, NAT_SYMMETRIC, 0, "looking for a direct way"},
    {PATH_LOST, NAT_NONE, NAT_NONE, 3, "the direct way has failed 3 s ago"},
    {PATH_SILENT, NAT_SYMMETRIC, NAT_SYMMETRIC, 59, "no direct way was found: both NATs are symmetric; the last one failed 59 s ago"},
    {PATH_IDLE, NAT_NONE, NAT_NONE, 61, "no traffic"},
};

START_TEST(it_says_why_there_is_no_direct_way)
{
    char words[PATH_WORDS];
    net_init();
    struct path *x = &w.e[0].x;
    x->why = said[_i].why;
    x->their_nat = (uint8_t)said[_i].theirs;
    w.now = (mono_t){1000 * SEC};
    x->lost = (mono_t){said[_i].lost_s ? w.now.us - said[_i].lost_s * SEC : 0};
    path_words(x, w.now, said[_i].ours, words);
    ck_assert_str_eq(words, said[_i].words);
}
END_TEST

START_TEST(what_the_kernel_refuses_is_left_at_once)
{
    net_plain();
    run(SEC);
    path_fail(&w.e[0].x, w.now, &w.e[0].at);
    ck_assert(direct(0)); /* somebody else's */
    path_fail(&w.e[0].x, w.now, &w.e[1].at);
    ck_assert(!direct(0));
    talk(10 * SEC);
    ck_assert(direct(0));
}
END_TEST

START_TEST(a_second_address_takes_over)
{
    net_init();
    own_add(0, w.e[0].at);
    own_add(1, w.e[1].at);
    net_start();
    run(SEC);
    talk(SEC);
    /* the same peer, heard at another address as well, then only there */
    struct addr old = w.e[1].at, other = ip("203.0.113.5", 99);
    w.e[1].at = other;
    talk(SEC);
    ck_assert(addr_eq(path_address(&w.e[0].x), &other));
    w.e[1].at = old;
    talk(3 * SEC);
    ck_assert(direct(0));
}
END_TEST

/* ---- codec ---- */

START_TEST(messages_survive_the_wire)
{
    uint8_t p[INNER_MAX];
    for (unsigned n = 0; n <= OFFER_MAX; n++) {
        struct inner_offer o = {.ask = n & 1, .n = (uint8_t)n, .serial = 0x01020304 + n, .ack = 0xfffefdfc}, back = {0};
        o.nat = n % NAT_KINDS;
        o.moved = n & 4;
        for (unsigned i = 0; i < n; i++)
            o.addr[i] = i & 1 ? ip("2001:db8::5", (uint16_t)(i + 1)) : addr_v4(0xc0000200 + i, (uint16_t)(i + 1));
        size_t len = offer_encode(p, sizeof(p), &o);
        ck_assert_uint_eq(len, INNER_OFFER_LEN + n * ADDR_WIRE_LEN);
        ck_assert(inner_is(p, len));
        ck_assert_int_eq(offer_decode(p, len, &back), 0);
        ck_assert_mem_eq(&o, &back, sizeof(o));
        ck_assert_uint_eq(offer_encode(p, len - 1, &o), 0);
        offer_encode(p, sizeof(p), &o);
        for (size_t cut = 0; cut < len; cut++)
            ck_assert_int_eq(offer_decode(p, cut, &back), -EBADMSG);
    }
    static const uint8_t offer[] = {0x11, 1, 0, 4 | NAT_SYMMETRIC, 1, 2, 3, 4, 5, 6, 7, 8};
    struct inner_offer o = {.ask = true, .moved = true, .nat = NAT_SYMMETRIC, .serial = 0x01020304, .ack = 0x05060708};
    ck_assert_uint_eq(offer_encode(p, sizeof(p), &o), sizeof(offer));
    ck_assert_mem_eq(p, offer, sizeof(offer));
    p[3] = 8;
    ck_assert_int_eq(offer_decode(p, sizeof(offer), &o), -EBADMSG);
    static const uint8_t golden[] = {0x12, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
    ck_assert_uint_eq(token_encode(p, sizeof(p), INNER_CHALLENGE, 0x0102030405060708), sizeof(golden));
    ck_assert_mem_eq(p, golden, sizeof(golden));
    static const uint8_t bye[] = {0x17, 0, 0, 0};
    ck_assert_uint_eq(bye_encode(p, sizeof(p)), sizeof(bye));
    ck_assert_mem_eq(p, bye, sizeof(bye));
    ck_assert_int_eq(bye_decode(p, sizeof(bye)), 0);
    for (size_t len = 0; len < 8; len++)
        ck_assert_int_eq(bye_decode(p, len), len == sizeof(bye) ? 0 : -EBADMSG);
    ck_assert_uint_eq(bye_encode(p, sizeof(bye) - 1), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("i3/path");
    TCase *t = tcase_create("path");
    tcase_set_timeout(t, 30);
    tcase_add_test(t, two_ends_find_the_direct_way);
    tcase_add_test(t, lost_offers_are_repeated);
    tcase_add_test(t, one_reachable_end_is_enough);
    tcase_add_test(t, two_nats_open_for_each_other);
    tcase_add_test(t, where_nobody_answers_the_node_stays);
    tcase_add_test(t, a_way_without_a_way_back_is_none);
    tcase_add_loop_test(t, two_behind_one_nat_agree_which_way_to_take, 0, 64);
    tcase_add_test(t, the_quickest_address_wins);
    tcase_add_loop_test(t, nearer_kinds_win_when_about_equal, 0, 6);
    tcase_add_loop_test(t, only_the_true_answer_from_the_true_place_counts, 0, 8);
    tcase_add_test(t, answers_go_back_once_to_where_the_challenge_came_from);
    tcase_add_loop_test(t, challenges_go_to_single_hosts_that_we_reach, 0, ARRAY_LEN(place));
    tcase_add_test(t, a_peer_who_offers_strangers_without_end_has_few_of_them_challenged);
    tcase_add_test(t, rubbish_and_words_of_later_versions_change_nothing);
    tcase_add_loop_test(t, a_dead_way_is_left_within_3_s_and_taken_again, 0, ARRAY_LEN(dead_delay));
    tcase_add_test(t, a_quiet_way_is_asked_before_it_is_given_up);
    tcase_add_test(t, who_has_moved_goes_by_the_node_until_a_way_is_found_there);
    tcase_add_test(t, a_peer_who_went_over_to_a_known_address_is_followed_at_once);
    tcase_add_loop_test(t, it_says_why_there_is_no_direct_way, 0, ARRAY_LEN(said));
    tcase_add_test(t, traffic_keeps_the_way_and_costs_no_more_words);
    tcase_add_test(t, it_ends_after_30_s_without_packets);
    tcase_add_test(t, a_peer_with_another_outside_address_is_followed);
    tcase_add_test(t, new_addresses_of_ours_are_offered);
    tcase_add_test(t, what_the_kernel_refuses_is_left_at_once);
    tcase_add_test(t, a_second_address_takes_over);
    tcase_add_test(t, messages_survive_the_wire);
    suite_add_tcase(s, t);
    return suite_run(s);
}
