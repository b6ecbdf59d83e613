#include "daemon/i3/path.h"

#include <stdio.h>

#define OFFER_REPEAT    (250 * USEC_PER_MSEC) /* doubling */
#define CHALLENGE_GAP   (50 * USEC_PER_MSEC)  /* doubling: the last of a round is sent 3.15 s after the first */
#define ROUND_PAUSE     (2 * USEC_PER_SEC)
#define ROUND_PAUSE_MAX (60 * USEC_PER_SEC)
#define STEADY          (10 * USEC_PER_SEC) /* a way that held so long was a good one: look again soon */
#define IDLE_MAX        (30 * USEC_PER_SEC)
#define LEARN_AGAIN     (10 * USEC_PER_SEC)
#define FORSAKEN        (150 * USEC_PER_MSEC)
#define FORSAKEN_SPREAD (100 * USEC_PER_MSEC)
#define QUIET           (300 * USEC_PER_MSEC)
#define SILENT          (1 * USEC_PER_SEC)
#define SILENT_MAX      (2500 * USEC_PER_MSEC)
#define EQUAL_RTT       500u /* microseconds, and an eighth */
#define PRICE           (USEC_PER_SEC / PATH_RATE)

enum { OFFER_TRIES = 6, LOST_TOLD_S = 60 };

/* Two ends each of which hears the other by the way which it does not use itself must not go over in the same moment, again and
 * again: of different patience, one of them finds that the other has come already. */
static uint32_t draw_patience(struct drbg *d)
{
    return (uint32_t)(FORSAKEN + drbg_u64(d) % FORSAKEN_SPREAD);
}

void path_init(struct path *x, mono_t now, struct drbg *d)
{
    *x = (struct path){.active = -1, .why = PATH_NEW};
    for (unsigned i = 0; i < PATH_CANDIDATES; i++)
        x->c[i].due = MONO_NEVER;
    x->offer_due = x->watch_at = MONO_NEVER;
    x->last_sent = x->round = now;
    x->pause = ROUND_PAUSE;
    x->serial = (uint32_t)drbg_u64(d);
    x->patience = draw_patience(d);
    x->challenges = (struct budget){PATH_BURST * PRICE, now};
}

/* ---- addresses ---- */

static bool ip4_usable(uint32_t ip, bool loopback)
{
    unsigned a = ip >> 24;
    return a == 127 ? loopback : a && a < 224;
}

static bool ip6_usable(const uint8_t ip[16], bool loopback)
{
    static const uint8_t zeros[15];
    if (memcmp(ip, zeros, 15) == 0)
        return ip[15] == 1 && loopback;
    bool link_local = ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80, mapped = memcmp(ip, zeros, 10) == 0;
    return ip[0] != 0xff && !link_local && !mapped;
}

/* A place where a challenge may go: one that our socket reaches, of one host, and not ourselves. */
static bool usable(const struct path_own *own, const struct addr *a)
{
    for (unsigned i = 0; i < own->n; i++)
        if (addr_eq(a, &own->addr[i]))
            return false;
    if (!a->port || a->via != ADDR_UDP || !(a->family == 4 ? own->v4 : own->v6))
        return false;
    return a->family == 4 ? ip4_usable(addr_ip4(a), own->loopback) : ip6_usable(a->ip, own->loopback);
}

/* Nearer kinds first. */
static int rank(const struct addr *a)
{
    if (a->family == 6)
        return a->ip[0] == 0 ? 0 : (a->ip[0] & 0xfe) == 0xfc ? 1 : 2;
    uint32_t ip = addr_ip4(a);
    if (ip >> 24 == 127)
        return 0;
    return ip >> 24 == 10 || ip >> 20 == 0xac1 || ip >> 16 == 0xc0a8 ? 1 : 2;
}

static bool better(const struct candidate *a, const struct candidate *b)
{
    uint32_t margin = EQUAL_RTT + (a->rtt_us < b->rtt_us ? a->rtt_us : b->rtt_us) / 8;
    if (a->rtt_us + margin < b->rtt_us)
        return true;
    return a->rtt_us <= b->rtt_us + margin && rank(&a->addr) < rank(&b->addr);
}

/* ---- candidates ---- */

static struct candidate *find(struct path *x, const struct addr *a)
{
    for (unsigned i = 0; i < PATH_CANDIDATES; i++)
        if (addr_eq(&x->c[i].addr, a))
            return &x->c[i];
    return NULL;
}

static bool in_use(const struct path *x, const struct candidate *c)
{
    return x->active >= 0 && c == &x->c[x->active];
}

/* How little a place would be missed: free ones first, then those which nobody offers, the longest unheard. */
static bool less_missed(const struct candidate *a, const struct candidate *b)
{
    if (!a->addr.family || !b->addr.family)
        return !a->addr.family;
    return a->offered != b->offered ? !a->offered : a->heard.us < b->heard.us;
}

static struct candidate *add(struct path *x, const struct addr *a, bool offered)
{
    struct candidate *best = NULL;
    for (unsigned i = 0; i < PATH_CANDIDATES; i++)
        if (!in_use(x, &x->c[i]) && (!best || less_missed(&x->c[i], best)))
            best = &x->c[i];
    *best = (struct candidate){.addr = *a, .offered = offered, .due = MONO_NEVER};
    return best;
}

static void challenge_begin(struct candidate *c, mono_t now, struct drbg *d)
{
    if (c->due.us != MONO_NEVER.us)
        return; /* one is under way */
    c->tries = 0;
    c->token = drbg_u64(d);
    c->round = c->due = now;
}

static void round_begin(struct path *x, mono_t now, struct drbg *d)
{
    x->round = now;
    for (unsigned i = 0; i < PATH_CANDIDATES; i++)
        if (x->c[i].addr.family)
            challenge_begin(&x->c[i], now, d);
    if (x->active < 0)
        x->why = PATH_ASKING;
}

/* ---- the way in use ---- */

static void use(struct path *x, mono_t now, const struct candidate *c)
{
    x->active = (int8_t)(c - x->c);
    x->why = PATH_DIRECT;
    x->since = now;
    x->last_sent = now;
    x->watch_at = MONO_NEVER;
    x->attention = (mono_t){0};
}

/* By the node from now on; looked for again with packets from `again` on. */
static void relay(struct path *x, enum path_why why, mono_t again)
{
    x->active = -1;
    x->why = why;
    x->watch_at = MONO_NEVER;
    x->attention = again;
}

static void lose(struct path *x, mono_t now)
{
    struct candidate *old = &x->c[x->active], *best = NULL;
    old->valid = false;
    for (struct candidate *c = x->c; c < x->c + PATH_CANDIDATES; c++)
        if (c->valid && c->heard.us > old->heard.us && (!best || better(c, best)))
            best = c;
    if (mono_since(x->since, now) >= STEADY)
        x->pause = ROUND_PAUSE;
    x->lost = now;
    if (best)
        use(x, now, best);
    else
        relay(x, PATH_LOST, mono_add(now, x->pause));
}

static uint64_t quiet_after(const struct candidate *c)
{
    return QUIET + 2 * (uint64_t)c->rtt_us;
}

static uint64_t silent_after(const struct candidate *c)
{
    uint64_t us = SILENT + 4 * (uint64_t)c->rtt_us;
    return us < SILENT_MAX ? us : SILENT_MAX;
}

/* Packets went there; did anything come from there? */
static void watch(struct path *x, mono_t now, struct drbg *d)
{
    struct candidate *c = &x->c[x->active];
    mono_t last = c->heard.us > x->watch_since.us ? c->heard : x->watch_since;
    uint64_t quiet = mono_since(last, now);
    if (c->heard.us >= x->last_sent.us) { /* nothing to wait for */
        x->watch_at = MONO_NEVER;
        x->attention = (mono_t){0};
    } else if (quiet >= silent_after(c)) {
        lose(x, now);
    } else if (quiet >= quiet_after(c)) {
        challenge_begin(c, now, d);
        x->watch_at = mono_add(last, silent_after(c));
    } else {
        x->watch_at = mono_add(last, quiet_after(c));
    }
}

void path_fail(struct path *x, mono_t now, const struct addr *to)
{
    struct candidate *c = find(x, to);
    if (!c)
        return;
    c->valid = false;
    c->due = MONO_NEVER;
    if (in_use(x, c))
        lose(x, now);
}

/* ---- packets ---- */

bool path_attend(struct path *x, mono_t now, struct drbg *d)
{
    if (x->active >= 0) {
        x->watch_since = now;
        x->watch_at = mono_add(now, quiet_after(&x->c[x->active]));
        x->attention = MONO_NEVER;
        return true;
    }
    round_begin(x, now, d);
    path_renew(x, now);
    x->attention = mono_add(now, x->pause);
    x->pause = x->pause * 2 < ROUND_PAUSE_MAX ? x->pause * 2 : ROUND_PAUSE_MAX;
    return true;
}

bool path_heard_elsewhere(
    struct path *x, mono_t now, const struct path_own *own, struct drbg *d, const struct addr *from)
{
    struct candidate *c = find(x, from);
    if (!c) {
        if (!usable(own, from) || x->challenges.credit < PRICE)
            return false;
        c = add(x, from, false);
    } else if (c->due.us != MONO_NEVER.us && c->heard.us < c->round.us) {
        c->heard = now;
        c->due = now; /* it is open now: the next challenge need not wait */
        return true;
    } else if (c->due.us != MONO_NEVER.us || (c->round.us && mono_since(c->round, now) < LEARN_AGAIN)) {
        c->heard = now;
        if (c->valid && x->active >= 0 && mono_since(x->c[x->active].heard, now) > x->patience) {
            use(x, now, c); /* the peer has gone over to it */
            x->patience = draw_patience(d);
        }
        return false;
    }
    c->heard = now;
    challenge_begin(c, now, d);
    return true;
}

/* ---- offers ---- */

void path_renew(struct path *x, mono_t now)
{
    x->serial += 1 + (x->serial == UINT32_MAX); /* never 0, which says "none" */
    x->offer_tries = 0;
    x->offer_due = now;
    if (x->active < 0 && x->why != PATH_ASKING)
        x->why = PATH_ASKING;
}

bool path_moved(struct path *x, mono_t now)
{
    x->pause = ROUND_PAUSE;
    if (mono_since(x->last_sent, now) < IDLE_MAX) {
        path_renew(x, now);
        return true;
    }
    if (x->active < 0)
        x->attention = now;
    return false;
}

bool path_uprooted(struct path *x, mono_t now, struct drbg *d)
{
    bool talks = mono_since(x->last_sent, now) < IDLE_MAX;
    x->pause = ROUND_PAUSE;
    x->moved = true;
    for (unsigned i = 0; i < PATH_CANDIDATES; i++) {
        x->c[i].due = MONO_NEVER;
        x->c[i].valid = false;
    }
    relay(x, talks ? PATH_ASKING : PATH_IDLE, talks ? mono_add(now, x->pause) : now);
    if (!talks)
        return false;
    round_begin(x, now, d);
    path_renew(x, now);
    return true;
}

static void take_offer(struct path *x, mono_t now, const struct path_own *own, struct drbg *d, const struct inner_offer *o)
{
    bool news = o->serial != x->theirs;
    x->theirs = o->serial;
    x->their_nat = o->nat;
    if (o->ack == x->serial) {
        x->acked = o->ack;
        x->moved = false;
        if (!o->ask)
            x->offer_due = MONO_NEVER;
    }
    if (news) {
        for (unsigned i = 0; i < PATH_CANDIDATES; i++)
            x->c[i].offered = false;
        for (unsigned i = 0; i < o->n; i++) {
            struct candidate *c = find(x, &o->addr[i]);
            if (c)
                c->offered = true;
            else if (usable(own, &o->addr[i]))
                add(x, &o->addr[i], true);
        }
        if (o->moved && x->active >= 0)
            relay(x, PATH_ASKING, mono_add(now, x->pause));
        round_begin(x, now, d);
    }
    if (news || o->ask) { /* answer; if that is lost, so is what asks for it again */
        x->offer_due = now;
        if (x->acked == x->serial)
            x->offer_tries = OFFER_TRIES - 1;
    }
}

static size_t write_offer(struct path *x, mono_t now, const struct path_own *own, struct addr *to, uint8_t msg[INNER_MAX])
{
    struct inner_offer o = {.ask = x->acked != x->serial, .moved = x->moved, .nat = own->nat, .n = own->n, .serial = x->serial, .ack = x->theirs};
    memcpy(o.addr, own->addr, sizeof(o.addr));
    *to = x->offer_tries % 2 && x->active >= 0 ? x->c[x->active].addr : (struct addr){0};
    x->offer_due = ++x->offer_tries < OFFER_TRIES ? mono_add(now, OFFER_REPEAT << (x->offer_tries - 1)) : MONO_NEVER;
    return offer_encode(msg, INNER_MAX, &o);
}

/* ---- challenges ---- */

static void take_response(struct path *x, mono_t now, const struct addr *from, uint64_t token)
{
    struct candidate *c = find(x, from);
    if (!c || token - c->token >= c->tries)
        return; /* we have sent no such token there */
    uint64_t us = mono_since(mono_add(c->round, c->sent[token - c->token]), now);
    uint32_t rtt = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
    c->rtt_us = !c->valid || rtt < c->rtt_us ? rtt : (uint32_t)(((uint64_t)c->rtt_us * 7 + rtt) / 8);
    c->valid = true;
    c->heard = now;
    c->due = MONO_NEVER;
    /* the last one: if the peer has gone on to this address, the other will not speak any more */
    if (x->active < 0 || (!in_use(x, c) && (better(c, &x->c[x->active]) || x->c[x->active].heard.us < c->round.us)))
        use(x, now, c);
}

static bool any_under_way(const struct path *x)
{
    for (unsigned i = 0; i < PATH_CANDIDATES; i++)
        if (x->c[i].due.us != MONO_NEVER.us)
            return true;
    return x->offer_due.us != MONO_NEVER.us;
}

/* The next challenge to c, false when there is none now. */
static bool challenge_next(struct path *x, mono_t now, struct candidate *c, struct drbg *d, uint64_t *token)
{
    if (c->tries == PATH_TRIES) {
        c->due = MONO_NEVER;
        c->valid = in_use(x, c); /* of that, watch() decides */
        return false;
    }
    if (!budget_take(&x->challenges, now, PRICE, PATH_BURST)) {
        c->due = mono_add(now, PRICE);
        return false;
    }
    uint64_t gap = CHALLENGE_GAP << c->tries;
    *token = c->token + c->tries;
    c->sent[c->tries++] = (uint32_t)mono_since(c->round, now);
    c->due = mono_add(now, gap - gap / 10 + drbg_u64(d) % (gap / 5));
    return true;
}

/* ---- the doors ---- */

void path_input(struct path *x, mono_t now, const struct path_own *own, struct drbg *d, const struct addr *from,
    const uint8_t *msg, size_t len)
{
    struct inner_offer o;
    uint64_t token;
    switch (inner_kind(msg, len)) {
    case INNER_OFFER:
        if (!offer_decode(msg, len, &o))
            take_offer(x, now, own, d, &o);
        break;
    case INNER_CHALLENGE:
        if (from && !token_decode(msg, len, INNER_CHALLENGE, &token)) {
            x->answer_to = *from;
            x->answer = token;
        }
        break;
    case INNER_RESPONSE:
        if (from && !token_decode(msg, len, INNER_RESPONSE, &token))
            take_response(x, now, from, token);
        break;
    }
}

static void expire(struct path *x, mono_t now, struct drbg *d)
{
    if (mono_due(x->watch_at, now))
        watch(x, now, d);
    if (x->active >= 0 && mono_since(x->last_sent, now) >= IDLE_MAX) {
        for (unsigned i = 0; i < PATH_CANDIDATES; i++)
            x->c[i].valid = false;
        x->pause = ROUND_PAUSE;
        relay(x, PATH_IDLE, now);
    }
}

size_t path_output(struct path *x, mono_t now, const struct path_own *own, struct drbg *d, struct addr *to,
    uint8_t msg[INNER_MAX])
{
    uint64_t token;
    expire(x, now, d);
    if (x->answer_to.family) {
        *to = x->answer_to;
        x->answer_to.family = 0;
        return token_encode(msg, INNER_MAX, INNER_RESPONSE, x->answer);
    }
    if (mono_due(x->offer_due, now))
        return write_offer(x, now, own, to, msg);
    for (struct candidate *c = x->c; c < x->c + PATH_CANDIDATES; c++) {
        if (!mono_due(c->due, now) || !challenge_next(x, now, c, d, &token))
            continue;
        *to = c->addr;
        return token_encode(msg, INNER_MAX, INNER_CHALLENGE, token);
    }
    if (x->why == PATH_ASKING && !any_under_way(x))
        x->why = PATH_SILENT;
    return 0;
}

mono_t path_deadline(const struct path *x)
{
    mono_t at = mono_min(x->offer_due, x->watch_at);
    if (x->active >= 0)
        at = mono_min(at, mono_add(x->last_sent, IDLE_MAX));
    for (unsigned i = 0; i < PATH_CANDIDATES; i++)
        at = mono_min(at, x->c[i].due);
    return at;
}

void path_words(const struct path *x, mono_t now, unsigned own_nat, char out[PATH_WORDS])
{
    bool ours = own_nat == NAT_SYMMETRIC, theirs = x->their_nat == NAT_SYMMETRIC;
    uint64_t ago = mono_since(x->lost, now) / USEC_PER_SEC;
    const char *nat = x->why != PATH_SILENT ? ""
                      : ours && theirs      ? ": both NATs are symmetric"
                      : ours                ? ": our NAT is symmetric"
                      : theirs              ? ": the peer's NAT is symmetric"
                                            : "";
    int n = snprintf(out, PATH_WORDS, "%s%s", path_why_name(x->why), nat);
    if (x->lost.us && ago < LOST_TOLD_S)
        snprintf(out + n, (size_t)(PATH_WORDS - n), x->why == PATH_LOST ? " %u s ago" : "; the last one failed %u s ago", (unsigned)ago);
}
