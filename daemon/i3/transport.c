#include "daemon/i3/transport.h"

#include <errno.h>

#include "daemon/base/log.h"

#define QUIET        (500 * USEC_PER_MSEC) /* packets were sent, and so long no node was heard */
#define QUIET_IDLE   (17 * USEC_PER_SEC) /* triggers are refreshed more often */
#define DOUBT        (200 * USEC_PER_MSEC) /* not for a node that was heard as lately as this */
#define TCP_AFTER    (400 * USEC_PER_MSEC)
#define OTHERS_AFTER (800 * USEC_PER_MSEC)
#define LEAVE_AFTER  (800 * USEC_PER_MSEC)
#define ALIVE_FOR    (400 * USEC_PER_MSEC) /* it answers by TCP, so it might by UDP */
#define PREFER       (300 * USEC_PER_MSEC)
#define UDP_EVERY    (60 * USEC_PER_SEC)
#define UDP_MAX      (960 * USEC_PER_SEC)
#define UDP_GAP      (300 * USEC_PER_MSEC)
#define FLAP         (120 * USEC_PER_SEC)

enum { UDP_TRIES = 4 };

void transport_init(struct transport *t, mono_t now, enum transport_mode mode, const struct addr *nodes, unsigned n,
    const uint8_t seed[BLAKE2S_LEN])
{
    *t = (struct transport){.mode = n ? mode : TRANSPORT_UDP, .n = n < TRANSPORT_NODES ? n : TRANSPORT_NODES, .heard = now, .used = now};
    memcpy(t->node, nodes, t->n * sizeof(*nodes));
    drbg_init(&t->drbg, seed);
    drbg_draw(&t->drbg, t->nonce, NONCE_LEN);
    t->tcp = t->mode == TRANSPORT_TCP;
    t->asking = t->ask_at = t->udp_at = MONO_NEVER;
    t->udp_pause = UDP_EVERY;
}

struct addr transport_way(const struct transport *t, const struct addr *node)
{
    struct addr a = addr_by(node, t->tcp ? ADDR_TCP : ADDR_UDP);
    if (t->tcp && t->port)
        a.port = t->port;
    return a;
}

static bool same_place(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && !memcmp(a->ip, b->ip, sizeof(a->ip));
}

/* Several may be at one IP address, but only one at the port for firewalls. */
int transport_index(const struct transport *t, const struct addr *at)
{
    int found = -1;
    for (unsigned i = 0; i < t->n; i++) {
        if (!same_place(&t->node[i], at))
            continue;
        if (t->node[i].port == at->port)
            return (int)i;
        if (at->via == ADDR_TCP && at->port == TRANSPORT_PORT && found < 0)
            found = (int)i;
    }
    return found;
}

static bool is_own_port(const struct transport *t, const struct addr *at)
{
    int i = transport_index(t, at);
    return i >= 0 && t->node[i].port == at->port;
}

/* ---- asking ---- */

static void ask(struct transport *t, mono_t now)
{
    if (t->asking.us != MONO_NEVER.us)
        return;
    t->asking = t->ask_at = now;
    t->asked = 0;
    t->answered.family = 0;
    drbg_draw(&t->drbg, t->nonce, NONCE_LEN);
}

static void try_udp(struct transport *t, mono_t now)
{
    if (t->mode != TRANSPORT_AUTO || !t->tcp)
        return;
    if (t->asking.us == MONO_NEVER.us && t->udp_tries == 0)
        drbg_draw(&t->drbg, t->nonce, NONCE_LEN);
    t->udp_at = now;
    t->udp_tries = UDP_TRIES;
}

void transport_home(struct transport *t, mono_t now, const struct addr *home)
{
    bool first = !t->home.family;
    if (addr_eq(&t->home, home))
        return;
    t->home = *home;
    bool chosen = addr_eq(home, &t->decision);
    t->decision.family = 0;
    if (t->mode == TRANSPORT_UDP || (!t->tcp && !first) || chosen)
        return;
    t->asking = MONO_NEVER; /* a new node, a new question */
    ask(t, now);
    if (!t->tcp)
        t->ask_at = mono_add(now, QUIET / 4); /* others ask it already */
}

void transport_doubt(struct transport *t, mono_t now)
{
    if (t->mode == TRANSPORT_AUTO && !t->tcp && mono_since(t->heard, now) >= DOUBT)
        ask(t, now);
}

void transport_moved(struct transport *t, mono_t now)
{
    t->udp_pause = UDP_EVERY;
    try_udp(t, now);
}

void transport_lost(struct transport *t, mono_t now, const struct addr *at)
{
    if (!t->tcp || !addr_eq(at, &t->home))
        return;
    ask(t, now);
    try_udp(t, now);
}

/* ---- deciding ---- */

static void decide(struct transport *t, const struct addr *home)
{
    t->decided = true;
    t->decision = *home;
}

bool transport_decision(struct transport *t, struct addr *home)
{
    if (!t->decided)
        return false;
    t->decided = false;
    *home = t->decision;
    return true;
}

static void go_tcp(struct transport *t, mono_t now)
{
    char s[ADDR_STR];
    bool flaps = t->left_tcp.us && mono_since(t->left_tcp, now) < FLAP;
    log_info("node address=%s is used: no answer by UDP", addr_str(&t->answered, s));
    t->udp_pause = !flaps ? UDP_EVERY : t->udp_pause * 2 < UDP_MAX ? t->udp_pause * 2 : UDP_MAX;
    t->tcp = true;
    t->udp_tries = 0;
    t->udp_at = mono_add(now, t->udp_pause);
    decide(t, &t->answered);
}

static void go_udp(struct transport *t, mono_t now, const struct addr *from)
{
    char s[ADDR_STR];
    log_info("node address=%s answers by UDP again", addr_str(from, s));
    t->tcp = false;
    t->left_tcp = t->heard = now;
    t->asking = t->udp_at = MONO_NEVER;
    decide(t, from);
}

/* The present node, if it answers by TCP, is not left for one that was quicker. */
static mono_t settled_at(const struct transport *t)
{
    if (t->tcp && addr_eq(&t->answered, &t->home))
        return t->asking;
    mono_t at = mono_add(t->asking, t->tcp ? PREFER : LEAVE_AFTER), alive = mono_add(t->answered_at, ALIVE_FOR);
    return t->tcp || at.us > alive.us ? at : alive;
}

static void settle(struct transport *t, mono_t now)
{
    if (t->asking.us == MONO_NEVER.us || !t->answered.family)
        return;
    if (!mono_due(settled_at(t), now))
        return;
    t->asking = MONO_NEVER;
    if (!t->tcp)
        go_tcp(t, now);
    else if (!addr_eq(&t->answered, &t->home))
        decide(t, &t->answered);
    t->port = is_own_port(t, &t->answered) ? 0 : TRANSPORT_PORT; /* likely the same everywhere */
}

int transport_input(struct transport *t, mono_t now, const struct addr *from, const uint8_t *p, size_t len)
{
    uint8_t nonce[NONCE_LEN];
    if (ping_decode(p, len, WIRE_PONG, nonce) || memcmp(nonce, t->nonce, NONCE_LEN))
        return -EPROTO;
    if (from->via == ADDR_TCP) {
        if (!t->answered.family)
            t->answered_at = now;
        if (!t->answered.family || addr_eq(from, &t->home) || (is_own_port(t, from) && !is_own_port(t, &t->answered)))
            t->answered = *from;
        settle(t, now);
    } else if (t->tcp && t->mode == TRANSPORT_AUTO) {
        go_udp(t, now, from);
    } else {
        transport_heard(t, now, from);
    }
    return 0;
}

/* ---- sending ---- */

static void ping(struct transport *t, const struct addr *to, enum addr_via via, uint16_t port, struct outbox *out)
{
    struct addr at = addr_by(to, via);
    uint8_t *p = outbox_alloc(out, PING_LEN);
    at.port = port ? port : at.port;
    if (p && ping_encode(p, PING_LEN, WIRE_PING, t->nonce))
        outbox_push(out, &at, p, PING_LEN);
}

static void ping_tcp(struct transport *t, const struct addr *node, struct outbox *out)
{
    ping(t, node, ADDR_TCP, 0, out);
    if (node->port != TRANSPORT_PORT)
        ping(t, node, ADDR_TCP, TRANSPORT_PORT, out);
}

static void ask_all(struct transport *t, mono_t now, struct outbox *out)
{
    int home = transport_index(t, &t->home);
    uint64_t since = mono_since(t->asking, now);
    for (unsigned i = 0; i < t->n; i++) {
        bool is_home = (int)i == home;
        if (t->mode == TRANSPORT_AUTO && !t->tcp && (is_home || t->asked))
            ping(t, &t->node[i], ADDR_UDP, 0, out);
        if (since >= (!is_home ? OTHERS_AFTER : t->tcp ? 0 : TCP_AFTER))
            ping_tcp(t, &t->node[i], out);
    }
    t->asked++;
    uint64_t pause = since < 5 * USEC_PER_SEC ? 250 : since < 30 * USEC_PER_SEC ? 1000 : 5000;
    t->ask_at = mono_add(now, pause * USEC_PER_MSEC);
}

/* When silence by UDP becomes a question. */
static mono_t doubt_at(const struct transport *t)
{
    if (t->tcp || t->mode != TRANSPORT_AUTO || !t->home.family || t->asking.us != MONO_NEVER.us)
        return MONO_NEVER;
    return mono_add(t->heard, t->used.us > t->heard.us ? QUIET : QUIET_IDLE);
}

void transport_output(struct transport *t, mono_t now, struct outbox *out)
{
    if (t->mode == TRANSPORT_UDP)
        return;
    if (mono_due(doubt_at(t), now))
        ask(t, now);
    if (t->asking.us != MONO_NEVER.us && mono_due(t->ask_at, now))
        ask_all(t, now, out);
    settle(t, now);
    if (!t->tcp || !mono_due(t->udp_at, now))
        return;
    if (!t->udp_tries)
        try_udp(t, now);
    for (unsigned i = 0; i < t->n; i++)
        ping(t, &t->node[i], ADDR_UDP, 0, out);
    t->udp_at = mono_add(now, --t->udp_tries ? UDP_GAP : t->udp_pause);
}

mono_t transport_deadline(const struct transport *t)
{
    if (t->mode == TRANSPORT_UDP)
        return MONO_NEVER;
    mono_t at = mono_min(doubt_at(t), t->tcp ? t->udp_at : MONO_NEVER);
    if (t->asking.us == MONO_NEVER.us)
        return at;
    if (t->answered.family)
        at = mono_min(at, settled_at(t));
    return mono_min(at, t->ask_at);
}

const char *transport_name(const struct transport *t)
{
    return t->tcp ? "tcp" : "udp";
}

const char *transport_why(const struct transport *t)
{
    if (t->tcp)
        return t->mode == TRANSPORT_TCP ? "transport = tcp" : "UDP got no answer";
    return t->asking.us != MONO_NEVER.us && t->asked > 4 ? "no answer yet" : NULL;
}
