#include "daemon/i3/nodes.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "daemon/base/log.h"

enum { ROUND = 3, MISSES_MAX = 2, JITTER = 4 };

#define IN_USE     (2 * USEC_PER_SEC)
#define TIMEOUT    (USEC_PER_SEC) /* of a ping to one that is not in use */
#define AGAIN_MIN  (2 * USEC_PER_SEC)
#define AGAIN_MAX  (10 * USEC_PER_SEC)
#define NEARER_US  2000
#define RTT_FIRST  (200 * USEC_PER_MSEC)
#define STRANGE_US (5 * USEC_PER_SEC) /* two name different owners: a ring that changes, or two rings */

struct candidate {
    struct addr addr;
    enum node_state state;
    uint32_t srtt, best; /* best: of this round, 0: none */
    unsigned left, misses; /* pings of this round; unanswered in a row */
    uint8_t nonce[NONCE_LEN];
    uint64_t lookup; /* nonce, 0: none under way */
    mono_t sent;     /* the first unanswered ping, MONO_NEVER: none */
    mono_t due;      /* the next ping */
    mono_t measured; /* the end of the last round */
    uint64_t again;  /* pause before a silent one is asked */
    struct addr owner; /* of the probe, as it says; family 0: not known */
    bool ask_owner;    /* with the next round, even the one in use */
};

struct nodes {
    struct candidate v[NODES_MAX];
    unsigned n, chosen;
    uint8_t probe[ID_PREFIX_LEN];
    struct drbg drbg;
    mono_t used; /* us 0: not yet */
    uint64_t strange;
};

static const char *const state_name[] = {[NODE_UNKNOWN] = "unknown", [NODE_LIVES] = "answers", [NODE_SILENT] = "silent"};
static_assert(ARRAY_LEN(state_name) == NODE_STATES, "name all");

struct nodes *nodes_new(const struct addr *v, unsigned n, const uint8_t probe[ID_PREFIX_LEN], const uint8_t seed[32])
{
    struct nodes *ns = calloc(1, sizeof(*ns));
    if (!ns)
        return NULL;
    drbg_init(&ns->drbg, seed);
    memcpy(ns->probe, probe, ID_PREFIX_LEN);
    ns->n = n < NODES_MAX ? n : NODES_MAX;
    for (unsigned i = 0; i < ns->n; i++)
        ns->v[i].addr = v[i];
    nodes_restart(ns, (mono_t){0});
    return ns;
}

void nodes_free(struct nodes *ns)
{
    free(ns);
}

static void round_start(struct candidate *c, mono_t at)
{
    c->left = ROUND;
    c->best = 0;
    c->due = at;
}

void nodes_restart(struct nodes *ns, mono_t now)
{
    ns->strange = STRANGE_US;
    for (unsigned i = 0; i < ns->n; i++) {
        struct candidate *c = &ns->v[i];
        c->sent = MONO_NEVER;
        c->misses = 0;
        c->again = AGAIN_MIN;
        round_start(c, now);
    }
}

void nodes_used(struct nodes *ns, mono_t now)
{
    struct candidate *c = &ns->v[ns->chosen];
    bool was_idle = mono_since(ns->used, now) > IN_USE;
    ns->used = now;
    if (was_idle && ns->n > 1)
        c->due = mono_min(c->due, now);
}

static bool in_use(const struct nodes *ns, mono_t now)
{
    return ns->used.us && mono_since(ns->used, now) <= IN_USE;
}

/* ---- the choice ---- */

static void choose(struct nodes *ns, unsigned i, mono_t now, const char *why)
{
    char s[ADDR_STR];
    log_info("node chosen address=%s rtt=%u why=%s", addr_str(&ns->v[i].addr, s), ns->v[i].srtt, why);
    ns->chosen = i;
    ns->v[i].due = now; /* it is needed: does it live still? */
}

/* For the nearest of those that answer, if any does. */
static void leave(struct nodes *ns, mono_t now)
{
    const struct candidate *best = NULL;
    for (unsigned i = 0; i < ns->n; i++) {
        const struct candidate *c = &ns->v[i];
        if (c->state == NODE_LIVES && (!best || c->srtt < best->srtt))
            best = c;
    }
    if (!best)
        return;
    choose(ns, (unsigned)(best - ns->v), now, "silence of the other");
}

void nodes_prefer(struct nodes *ns, mono_t now, unsigned i)
{
    ns->chosen = i;
    ns->used = now;
    ns->v[i].due = now;
    ns->v[i].sent = MONO_NEVER;
    if (ns->v[i].state == NODE_SILENT)
        ns->v[i].state = NODE_UNKNOWN;
}

static bool is_clearly_nearer(const struct candidate *c, const struct candidate *than)
{
    return c->state == NODE_LIVES && c->srtt && than->srtt && c->srtt + c->srtt / 4 + NEARER_US < than->srtt;
}

static bool is_kin(const struct candidate *a, const struct candidate *b)
{
    return a->owner.family && b->owner.family && addr_eq(&a->owner, &b->owner);
}

/* Who owns the probe? Soon, then ever more rarely. */
static void ask_again(struct nodes *ns, mono_t now)
{
    for (unsigned i = 0; i < ns->n; i++) {
        struct candidate *c = &ns->v[i];
        if (c->state != NODE_LIVES || c->left)
            continue;
        c->ask_owner = true;
        round_start(c, mono_min(c->due, mono_add(now, drbg_around(&ns->drbg, ns->strange, JITTER))));
    }
    ns->strange = 2 * ns->strange < NODES_EVERY ? 2 * ns->strange : NODES_EVERY;
}

/* With the end of a round. */
static void compare(struct nodes *ns, mono_t now)
{
    unsigned best = ns->chosen;
    bool strange = false;
    const struct candidate *now_used = &ns->v[ns->chosen];
    if (now_used->state == NODE_SILENT)
        leave(ns, now);
    if (now_used->state != NODE_LIVES)
        return;
    for (unsigned i = 0; i < ns->n; i++) {
        const struct candidate *c = &ns->v[i];
        if (i == ns->chosen || !is_clearly_nearer(c, now_used))
            continue;
        if (!is_kin(c, now_used))
            strange = true;
        else if (best == ns->chosen || c->srtt < ns->v[best].srtt)
            best = i;
    }
    if (best != ns->chosen) {
        choose(ns, best, now, "nearer");
    } else if (strange) {
        ask_again(ns, now);
    }
}

/* ---- pings ---- */

static void ask(struct nodes *ns, struct candidate *c, mono_t now, struct outbox *out)
{
    uint8_t *p = outbox_alloc(out, PING_LEN);
    if (c->sent.us == MONO_NEVER.us) {
        drbg_draw(&ns->drbg, c->nonce, NONCE_LEN);
        c->sent = now;
    }
    if (p && ping_encode(p, PING_LEN, WIRE_PING, c->nonce))
        outbox_push(out, &c->addr, p, PING_LEN);
    if (c->left != ROUND || (c == &ns->v[ns->chosen] && c->owner.family && !c->ask_owner))
        return;
    c->ask_owner = false;
    uint8_t *q = outbox_alloc(out, OWNER_LEN);
    c->lookup = drbg_u64(&ns->drbg) | 1;
    if (q && lookup_encode(q, OWNER_LEN, c->lookup, ns->probe))
        outbox_push(out, &c->addr, q, OWNER_LEN);
}

static void fall_silent(struct nodes *ns, unsigned i, mono_t now)
{
    struct candidate *c = &ns->v[i];
    char s[ADDR_STR];
    if (c->state != NODE_SILENT)
        log_info("node address=%s silent", addr_str(&c->addr, s));
    c->state = NODE_SILENT;
    c->sent = MONO_NEVER;
    c->misses = 0;
    c->owner.family = 0;
    round_start(c, mono_add(now, drbg_around(&ns->drbg, c->again, JITTER)));
    c->again = 2 * c->again < AGAIN_MAX ? 2 * c->again : AGAIN_MAX;
    if (i == ns->chosen)
        leave(ns, now);
}

/* The one in use: its silence is noticed soon. */
static void watch(struct nodes *ns, struct candidate *c, mono_t now, struct outbox *out)
{
    uint64_t patience = NODES_PATIENCE + 2 * (c->srtt ? c->srtt : RTT_FIRST);
    if (c->sent.us != MONO_NEVER.us && mono_since(c->sent, now) >= patience) {
        fall_silent(ns, ns->chosen, now);
        return;
    }
    if (!c->left && mono_since(c->measured, now) >= NODES_EVERY)
        round_start(c, now);
    ask(ns, c, now, out);
    c->due = mono_min(mono_add(now, NODES_WATCH), mono_add(c->sent, patience));
}

static void probe(struct nodes *ns, unsigned i, mono_t now, struct outbox *out)
{
    struct candidate *c = &ns->v[i];
    if (c->sent.us != MONO_NEVER.us && ++c->misses > MISSES_MAX) {
        fall_silent(ns, i, now);
        return;
    }
    if (!c->left)
        round_start(c, now);
    ask(ns, c, now, out);
    c->due = mono_add(now, TIMEOUT);
}

void nodes_output(struct nodes *ns, mono_t now, struct outbox *out)
{
    for (unsigned i = 0; ns->n > 1 && i < ns->n; i++) {
        if (!mono_due(ns->v[i].due, now))
            continue;
        bool watched = i == ns->chosen && (in_use(ns, now) || ns->v[i].sent.us != MONO_NEVER.us);
        if (watched)
            watch(ns, &ns->v[i], now, out);
        else
            probe(ns, i, now, out);
    }
}

mono_t nodes_deadline(const struct nodes *ns)
{
    mono_t at = MONO_NEVER;
    for (unsigned i = 0; ns->n > 1 && i < ns->n; i++)
        at = mono_min(at, ns->v[i].due);
    return at;
}

/* ---- answers ---- */

static struct candidate *candidate_at(struct nodes *ns, const struct addr *a)
{
    for (unsigned i = 0; i < ns->n; i++)
        if (addr_eq(&ns->v[i].addr, a))
            return &ns->v[i];
    return NULL;
}

static void round_end(struct nodes *ns, struct candidate *c, mono_t now)
{
    bool chosen = c == &ns->v[ns->chosen];
    if (c->state == NODE_LIVES && c->srtt)
        c->srtt += c->best / 4 - c->srtt / 4;
    else
        c->srtt = c->best;
    c->state = NODE_LIVES;
    c->measured = now;
    c->again = AGAIN_MIN;
    c->due = mono_add(now, drbg_around(&ns->drbg, chosen ? NODES_IDLE : NODES_EVERY, JITTER));
    compare(ns, now);
}

static int on_pong(struct nodes *ns, struct candidate *c, mono_t now, const uint8_t *p, size_t len)
{
    uint8_t nonce[NONCE_LEN];
    if (c->sent.us == MONO_NEVER.us || ping_decode(p, len, WIRE_PONG, nonce) || memcmp(nonce, c->nonce, NONCE_LEN))
        return -EPROTO;
    uint64_t us = mono_since(c->sent, now) | 1;
    uint32_t rtt = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
    c->sent = MONO_NEVER;
    c->misses = 0;
    if (!c->left) { /* a watch, not a round */
        c->due = mono_add(now, in_use(ns, now) ? NODES_WATCH : drbg_around(&ns->drbg, NODES_IDLE, JITTER));
        return 0;
    }
    c->best = c->best && c->best < rtt ? c->best : rtt;
    c->due = now;
    if (!--c->left)
        round_end(ns, c, now);
    return 0;
}

static int on_owner(struct candidate *c, const uint8_t *p, size_t len)
{
    struct wire_owner o;
    if (owner_decode(p, len, &o) || !c->lookup || o.nonce != c->lookup)
        return -EPROTO;
    c->lookup = 0;
    c->owner = o.flags & OWNER_SELF ? c->addr : o.owner;
    return 0;
}

int nodes_input(struct nodes *ns, mono_t now, const struct addr *from, const uint8_t *p, size_t len)
{
    struct candidate *c = candidate_at(ns, from);
    if (c && wire_kind(p, len) == WIRE_PONG)
        return on_pong(ns, c, now, p, len);
    if (c && wire_kind(p, len) == WIRE_OWNER)
        return on_owner(c, p, len);
    return -EPROTO;
}

/* ---- looking in ---- */

unsigned nodes_choice(const struct nodes *ns)
{
    return ns->chosen;
}

bool nodes_lives(const struct nodes *ns, unsigned i)
{
    return ns->v[i].state == NODE_LIVES;
}

static const char *why(const struct nodes *ns, unsigned i)
{
    const struct candidate *c = &ns->v[i], *used = &ns->v[ns->chosen];
    bool nearest = true;
    for (unsigned k = 0; k < ns->n; k++)
        nearest = nearest && (k == i || ns->v[k].state != NODE_LIVES || ns->v[k].srtt >= c->srtt);
    if (ns->n == 1)
        return "the only one";
    if (i == ns->chosen)
        return c->state != NODE_LIVES ? "none answers" : nearest ? "the nearest" : "no other is clearly nearer";
    if (c->state != NODE_LIVES)
        return c->state == NODE_SILENT ? "does not answer" : "not measured yet";
    if (!is_clearly_nearer(c, used))
        return "not clearly nearer";
    return is_kin(c, used) ? "about to be taken" : "of another ring, or its ring is changing";
}

bool nodes_info(const struct nodes *ns, unsigned i, struct node_info *out)
{
    if (i >= ns->n)
        return false;
    const struct candidate *c = &ns->v[i];
    *out = (struct node_info){c->addr, c->state, state_name[c->state], c->srtt, i == ns->chosen, why(ns, i)};
    return true;
}
