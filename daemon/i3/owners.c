#include "daemon/i3/owners.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/base/log.h"

#define ASK_FIRST     (250 * USEC_PER_MSEC)
#define ASK_MAX       (4 * USEC_PER_SEC)
#define ASK_AGAIN     (20 * USEC_PER_SEC) /* of 30, and only what is used */
#define PING_EVERY    (200 * USEC_PER_MSEC)
#define RTT_FIRST     (200 * USEC_PER_MSEC)
#define IN_USE        (2 * USEC_PER_SEC)
#define HOME_PATIENCE (5 * USEC_PER_SEC)
#define TICK          (100 * USEC_PER_MSEC)

enum { WAYS = 4 };

struct route {
    uint8_t prefix[ID_PREFIX_LEN];
    bool taken, used; /* used: since it was last asked for */
    uint8_t watch;    /* its owner's place among the owners */
    struct addr owner; /* family 0: by the home node */
    mono_t until;
    mono_t last_use, ask_at;
    uint64_t nonce, pause; /* of the LOOKUP under way, 0: none */
};

struct owner {
    struct addr at; /* family 0: free */
    mono_t used, pinged, waiting; /* waiting: since when for a PONG; MONO_NEVER: not */
    mono_t shunned;               /* until then nothing is sent there; us 0 */
    uint64_t rtt;                 /* of its last PONG, 0: none yet */
    uint8_t nonce[NONCE_LEN];
};

struct owners {
    struct addr home;
    struct drbg drbg;
    mono_t now, due;
    mono_t home_used;
    mono_t home_heard, home_asked; /* home_asked: the first LOOKUP since it was heard, MONO_NEVER: none */
    struct route route[OWNERS_PREFIXES];
    struct owner owner[OWNERS_WATCHED];
};

struct owners *owners_new(const uint8_t seed[BLAKE2S_LEN])
{
    struct owners *os = calloc(1, sizeof(*os));
    if (!os)
        return NULL;
    drbg_init(&os->drbg, seed);
    os->due = os->home_asked = MONO_NEVER;
    return os;
}

void owners_free(struct owners *os)
{
    free(os);
}

void owners_set_home(struct owners *os, const struct addr *home)
{
    if (addr_eq(&os->home, home))
        return;
    memset(os->route, 0, sizeof(os->route));
    memset(os->owner, 0, sizeof(os->owner));
    os->home = *home;
    os->home_asked = os->due = MONO_NEVER;
}

mono_t owners_home_used(const struct owners *os)
{
    return os->home_used;
}

/* ---- the tables ---- */

static struct route *set_of(struct owners *os, const uint8_t prefix[ID_PREFIX_LEN])
{
    uint32_t h;
    memcpy(&h, prefix, sizeof(h)); /* a hash already */
    return &os->route[h % (OWNERS_PREFIXES / WAYS) * WAYS];
}

static struct route *route_find(struct owners *os, const uint8_t prefix[ID_PREFIX_LEN])
{
    struct route *set = set_of(os, prefix);
    for (unsigned i = 0; i < WAYS; i++)
        if (set[i].taken && !memcmp(set[i].prefix, prefix, ID_PREFIX_LEN))
            return &set[i];
    return NULL;
}

static struct route *route_new(struct owners *os, const uint8_t prefix[ID_PREFIX_LEN])
{
    struct route *set = set_of(os, prefix), *r = &set[0];
    for (unsigned i = 0; i < WAYS && r->taken; i++)
        if (!set[i].taken || set[i].last_use.us < r->last_use.us)
            r = &set[i];
    *r = (struct route){.taken = true, .ask_at = os->now};
    memcpy(r->prefix, prefix, ID_PREFIX_LEN);
    os->due = mono_min(os->due, os->now);
    return r;
}

static struct owner *owner_find(const struct owners *os, const struct addr *at)
{
    for (unsigned i = 0; i < OWNERS_WATCHED; i++)
        if (addr_eq(&os->owner[i].at, at))
            return (struct owner *)&os->owner[i];
    return NULL;
}

/* NULL: all are in use. */
static struct owner *owner_get(struct owners *os, const struct addr *at)
{
    struct owner *o = owner_find(os, at);
    for (unsigned i = 0; !o && i < OWNERS_WATCHED; i++) {
        struct owner *e = &os->owner[i];
        if (e->at.family && (mono_since(e->used, os->now) < IN_USE || e->shunned.us > os->now.us))
            continue;
        *e = (struct owner){.at = *at, .waiting = MONO_NEVER};
        o = e;
    }
    return o;
}

/* ---- sending ---- */

static const struct addr *by_home(struct owners *os)
{
    os->home_used = os->now;
    return &os->home;
}

const struct addr *owners_node(struct owners *os, const struct i3_id *id)
{
    struct route *r = route_find(os, id->b);
    if (!os->home.family)
        return &os->home;
    if (!r)
        r = route_new(os, id->b);
    r->last_use = os->now;
    r->used = true;
    if (!r->owner.family || mono_due(r->until, os->now))
        return by_home(os);
    struct owner *o = &os->owner[r->watch];
    if (!addr_eq(&o->at, &r->owner) || o->shunned.us > os->now.us)
        return by_home(os);
    if (mono_since(o->used, os->now) > TICK)
        os->due = mono_min(os->due, mono_add(os->now, TICK));
    o->used = os->now;
    return &r->owner;
}

static void ask(struct owners *os, struct route *r, struct outbox *out)
{
    uint8_t *p = outbox_alloc(out, OWNER_LEN);
    if (!r->nonce) {
        r->nonce = drbg_u64(&os->drbg) | 1;
        r->pause = ASK_FIRST;
        r->used = false;
    }
    if (p && lookup_encode(p, OWNER_LEN, r->nonce, r->prefix))
        outbox_push(out, &os->home, p, OWNER_LEN);
    os->home_used = os->now;
    if (os->home_asked.us == MONO_NEVER.us)
        os->home_asked = os->now;
    r->ask_at = mono_add(os->now, r->pause);
    r->pause = r->pause * 2 < ASK_MAX ? r->pause * 2 : ASK_MAX;
}

static void shun(struct owners *os, struct owner *o)
{
    char s[ADDR_STR];
    log_info("node address=%s silent, going round it", addr_str(&o->at, s));
    o->shunned = mono_add(os->now, 3 * OWNER_PATIENCE);
    o->waiting = MONO_NEVER;
    for (unsigned i = 0; i < OWNERS_PREFIXES; i++) {
        struct route *r = &os->route[i];
        if (r->taken && addr_eq(&r->owner, &o->at)) {
            r->owner.family = 0;
            r->until.us = 0;
            r->ask_at = mono_add(os->now, ASK_FIRST);
        }
    }
}

/* What the old home node owns itself goes on going to it, now as to any other owner. */
static void route_moves(struct owners *os, struct route *r, const struct addr *old)
{
    bool is_its_own = !r->owner.family && !r->nonce && r->until.us > os->now.us;
    struct owner *watch = is_its_own ? owner_get(os, old) : NULL;
    if (watch) {
        r->owner = *old;
        r->watch = (uint8_t)(watch - os->owner);
    }
    if (r->nonce) { /* the new one is asked */
        r->nonce = 0;
        r->used = true;
        r->ask_at = os->now;
    }
}

void owners_change_home(struct owners *os, mono_t now, const struct addr *home, bool old_lives)
{
    struct addr old = os->home;
    if (addr_eq(&old, home))
        return;
    os->home = *home;
    os->now = os->due = now;
    os->home_asked = MONO_NEVER;
    struct owner *dead = !old_lives && old.family ? owner_get(os, &old) : NULL;
    if (dead)
        shun(os, dead);
    for (unsigned i = 0; i < OWNERS_PREFIXES; i++) {
        struct route *r = &os->route[i];
        if (!r->taken)
            continue;
        if (!old_lives && !r->owner.family)
            r->until.us = 0;
        route_moves(os, r, &old);
    }
}

static mono_t owner_run(struct owners *os, struct owner *o, struct outbox *out)
{
    if (!o->at.family || mono_since(o->used, os->now) > IN_USE || o->shunned.us > os->now.us) {
        o->waiting = MONO_NEVER;
        return MONO_NEVER;
    }
    if (o->waiting.us != MONO_NEVER.us && mono_since(o->waiting, os->now) >= OWNER_PATIENCE + 2 * (o->rtt ? o->rtt : RTT_FIRST)) {
        shun(os, o);
        return MONO_NEVER;
    }
    if (mono_since(o->pinged, os->now) >= PING_EVERY) {
        uint8_t *p = outbox_alloc(out, PING_LEN);
        if (o->waiting.us == MONO_NEVER.us) {
            drbg_draw(&os->drbg, o->nonce, NONCE_LEN);
            o->waiting = os->now;
        }
        if (p && ping_encode(p, PING_LEN, WIRE_PING, o->nonce))
            outbox_push(out, &o->at, p, PING_LEN);
        o->pinged = os->now;
    }
    return mono_add(o->pinged, PING_EVERY);
}

static mono_t route_run(struct owners *os, struct route *r, struct outbox *out)
{
    if (!r->taken)
        return MONO_NEVER;
    if (!r->nonce && !r->used) { /* nobody wants to know */
        r->ask_at = MONO_NEVER;
        if (r->owner.family && mono_due(r->until, os->now))
            r->taken = false;
        return r->taken && r->owner.family ? r->until : MONO_NEVER;
    }
    if (r->nonce && mono_since(r->last_use, os->now) > IN_USE && r->pause == ASK_MAX) {
        r->taken = false;
        return MONO_NEVER;
    }
    if (r->ask_at.us == MONO_NEVER.us)
        r->ask_at = os->now;
    if (mono_due(r->ask_at, os->now))
        ask(os, r, out);
    return r->ask_at;
}

void owners_output(struct owners *os, mono_t now, struct outbox *out)
{
    os->now = now;
    if (!os->home.family || !mono_due(os->due, now))
        return;
    mono_t due = MONO_NEVER;
    for (unsigned i = 0; i < OWNERS_WATCHED; i++)
        due = mono_min(due, owner_run(os, &os->owner[i], out));
    for (unsigned i = 0; i < OWNERS_PREFIXES; i++)
        due = mono_min(due, route_run(os, &os->route[i], out));
    os->due = due;
}

mono_t owners_deadline(const struct owners *os)
{
    return os->home.family ? os->due : MONO_NEVER;
}

/* ---- answers ---- */

static int on_owner(struct owners *os, const struct addr *from, const uint8_t *p, size_t len)
{
    struct wire_owner o;
    if (!addr_eq(from, &os->home) || owner_decode(p, len, &o))
        return -EPROTO;
    struct route *r = route_find(os, o.prefix);
    if (!r || !o.nonce || r->nonce != o.nonce)
        return -EPROTO;
    os->home_heard = os->now;
    os->home_asked = MONO_NEVER;
    o.owner.via = from->via;
    const struct addr *at = o.flags & OWNER_SELF ? &os->home : &o.owner;
    struct owner *watch = addr_eq(at, &os->home) ? NULL : owner_get(os, at);
    r->nonce = 0;
    r->owner.family = 0;
    r->until = mono_add(os->now, o.seconds * USEC_PER_SEC);
    r->ask_at = mono_add(os->now, ASK_AGAIN);
    if (watch && watch->shunned.us > os->now.us) { /* it does not know yet */
        r->ask_at = mono_add(os->now, 2 * ASK_FIRST);
        r->used = true;
    } else if (watch) {
        r->owner = *at;
        r->watch = (uint8_t)(watch - os->owner);
    }
    os->due = mono_min(os->due, r->ask_at);
    return 0;
}

static int on_pong(struct owners *os, const struct addr *from, const uint8_t *p, size_t len)
{
    uint8_t nonce[NONCE_LEN];
    struct owner *o = owner_find(os, from);
    if (!o || ping_decode(p, len, WIRE_PONG, nonce) || memcmp(nonce, o->nonce, NONCE_LEN))
        return -EPROTO;
    if (o->waiting.us != MONO_NEVER.us)
        o->rtt = mono_since(o->waiting, os->now) | 1; /* too long, if anything: since the first of several */
    o->waiting = MONO_NEVER;
    return 0;
}

int owners_input(struct owners *os, mono_t now, const struct addr *from, const uint8_t *p, size_t len)
{
    os->now = now;
    switch (wire_kind(p, len)) {
    case WIRE_OWNER:
        return on_owner(os, from, p, len);
    case WIRE_PONG:
        return on_pong(os, from, p, len);
    default:
        return -EPROTO;
    }
}

void owners_moved(struct owners *os, mono_t now)
{
    os->now = os->due = now;
    os->home_asked = MONO_NEVER;
    for (unsigned i = 0; i < OWNERS_WATCHED; i++)
        os->owner[i].waiting = MONO_NEVER;
    for (unsigned i = 0; i < OWNERS_PREFIXES; i++)
        if (os->route[i].nonce)
            os->route[i].ask_at = now;
}

bool owners_has(const struct owners *os, const struct addr *node)
{
    return addr_eq(node, &os->home) || owner_find(os, node);
}

unsigned owners_known(const struct owners *os)
{
    unsigned n = 0;
    for (unsigned i = 0; i < OWNERS_PREFIXES; i++)
        n += os->route[i].taken && os->route[i].owner.family;
    return n;
}

bool owners_home_silent(const struct owners *os, mono_t now)
{
    return os->home_asked.us != MONO_NEVER.us && mono_since(os->home_asked, now) > HOME_PATIENCE;
}
