#include "daemon/i3/route.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/base/log.h"

#define ASK_FIRST     (250 * USEC_PER_MSEC)
#define ASK_MAX       (4 * USEC_PER_SEC)
#define ASK_AGAIN     (20 * USEC_PER_SEC) /* of 30, and only what is used */
#define PING_EVERY    (300 * USEC_PER_MSEC)
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
    uint8_t nonce[NONCE_LEN];
};

struct routes {
    struct addr home;
    struct drbg drbg;
    mono_t now, due;
    mono_t home_heard, home_asked; /* home_asked: the first LOOKUP since it was heard, MONO_NEVER: none */
    struct route route[ROUTES];
    struct owner owner[ROUTE_OWNERS];
};

struct routes *routes_new(const uint8_t seed[BLAKE2S_LEN])
{
    struct routes *rt = calloc(1, sizeof(*rt));
    if (!rt)
        return NULL;
    drbg_init(&rt->drbg, seed);
    rt->due = rt->home_asked = MONO_NEVER;
    return rt;
}

void routes_free(struct routes *rt)
{
    free(rt);
}

void routes_set_home(struct routes *rt, const struct addr *home)
{
    if (addr_eq(&rt->home, home))
        return;
    memset(rt->route, 0, sizeof(rt->route));
    memset(rt->owner, 0, sizeof(rt->owner));
    rt->home = *home;
    rt->home_asked = rt->due = MONO_NEVER;
}

/* ---- the tables ---- */

static struct route *set_of(struct routes *rt, const uint8_t prefix[ID_PREFIX_LEN])
{
    uint32_t h;
    memcpy(&h, prefix, sizeof(h)); /* a hash already */
    return &rt->route[h % (ROUTES / WAYS) * WAYS];
}

static struct route *route_find(struct routes *rt, const uint8_t prefix[ID_PREFIX_LEN])
{
    struct route *set = set_of(rt, prefix);
    for (unsigned i = 0; i < WAYS; i++)
        if (set[i].taken && !memcmp(set[i].prefix, prefix, ID_PREFIX_LEN))
            return &set[i];
    return NULL;
}

static struct route *route_new(struct routes *rt, const uint8_t prefix[ID_PREFIX_LEN])
{
    struct route *set = set_of(rt, prefix), *r = &set[0];
    for (unsigned i = 0; i < WAYS && r->taken; i++)
        if (!set[i].taken || set[i].last_use.us < r->last_use.us)
            r = &set[i];
    *r = (struct route){.taken = true, .ask_at = rt->now};
    memcpy(r->prefix, prefix, ID_PREFIX_LEN);
    rt->due = mono_min(rt->due, rt->now);
    return r;
}

static struct owner *owner_find(struct routes *rt, const struct addr *at)
{
    for (unsigned i = 0; i < ROUTE_OWNERS; i++)
        if (addr_eq(&rt->owner[i].at, at))
            return &rt->owner[i];
    return NULL;
}

/* NULL: all are in use. */
static struct owner *owner_get(struct routes *rt, const struct addr *at)
{
    struct owner *o = owner_find(rt, at);
    for (unsigned i = 0; !o && i < ROUTE_OWNERS; i++) {
        struct owner *e = &rt->owner[i];
        if (e->at.family && (mono_since(e->used, rt->now) < IN_USE || e->shunned.us > rt->now.us))
            continue;
        *e = (struct owner){.at = *at, .waiting = MONO_NEVER};
        o = e;
    }
    return o;
}

/* ---- sending ---- */

const struct addr *route_of(struct routes *rt, const struct i3_id *id)
{
    struct route *r = route_find(rt, id->b);
    if (!rt->home.family)
        return &rt->home;
    if (!r)
        r = route_new(rt, id->b);
    r->last_use = rt->now;
    r->used = true;
    if (!r->owner.family || mono_due(r->until, rt->now))
        return &rt->home;
    struct owner *o = &rt->owner[r->watch];
    if (!addr_eq(&o->at, &r->owner) || o->shunned.us > rt->now.us)
        return &rt->home;
    if (mono_since(o->used, rt->now) > TICK)
        rt->due = mono_min(rt->due, mono_add(rt->now, TICK));
    o->used = rt->now;
    return &r->owner;
}

static void ask(struct routes *rt, struct route *r, struct outbox *out)
{
    uint8_t *p = outbox_alloc(out, OWNER_LEN);
    if (!r->nonce) {
        r->nonce = drbg_u64(&rt->drbg) | 1;
        r->pause = ASK_FIRST;
        r->used = false;
    }
    if (p && lookup_encode(p, OWNER_LEN, r->nonce, r->prefix))
        outbox_push(out, &rt->home, p, OWNER_LEN);
    if (rt->home_asked.us == MONO_NEVER.us)
        rt->home_asked = rt->now;
    r->ask_at = mono_add(rt->now, r->pause);
    r->pause = r->pause * 2 < ASK_MAX ? r->pause * 2 : ASK_MAX;
}

static void shun(struct routes *rt, struct owner *o)
{
    char s[ADDR_STR];
    log_info("node address=%s silent, going round it", addr_str(&o->at, s));
    o->shunned = mono_add(rt->now, 3 * ROUTE_PATIENCE);
    o->waiting = MONO_NEVER;
    for (unsigned i = 0; i < ROUTES; i++) {
        struct route *r = &rt->route[i];
        if (r->taken && addr_eq(&r->owner, &o->at)) {
            r->owner.family = 0;
            r->ask_at = mono_add(rt->now, ASK_FIRST);
        }
    }
}

static mono_t owner_run(struct routes *rt, struct owner *o, struct outbox *out)
{
    if (!o->at.family || mono_since(o->used, rt->now) > IN_USE || o->shunned.us > rt->now.us) {
        o->waiting = MONO_NEVER;
        return MONO_NEVER;
    }
    if (o->waiting.us != MONO_NEVER.us && mono_since(o->waiting, rt->now) >= ROUTE_PATIENCE) {
        shun(rt, o);
        return MONO_NEVER;
    }
    if (mono_since(o->pinged, rt->now) >= PING_EVERY) {
        uint8_t *p = outbox_alloc(out, PING_LEN);
        if (o->waiting.us == MONO_NEVER.us) {
            drbg_draw(&rt->drbg, o->nonce, NONCE_LEN);
            o->waiting = rt->now;
        }
        if (p && ping_encode(p, PING_LEN, WIRE_PING, o->nonce))
            outbox_push(out, &o->at, p, PING_LEN);
        o->pinged = rt->now;
    }
    return mono_add(o->pinged, PING_EVERY);
}

static mono_t route_run(struct routes *rt, struct route *r, struct outbox *out)
{
    if (!r->taken)
        return MONO_NEVER;
    if (!r->nonce && !r->used) { /* nobody wants to know */
        r->ask_at = MONO_NEVER;
        if (r->owner.family && mono_due(r->until, rt->now))
            r->taken = false;
        return r->taken && r->owner.family ? r->until : MONO_NEVER;
    }
    if (r->nonce && mono_since(r->last_use, rt->now) > IN_USE && r->pause == ASK_MAX) {
        r->taken = false;
        return MONO_NEVER;
    }
    if (r->ask_at.us == MONO_NEVER.us)
        r->ask_at = rt->now;
    if (mono_due(r->ask_at, rt->now))
        ask(rt, r, out);
    return r->ask_at;
}

void routes_output(struct routes *rt, mono_t now, struct outbox *out)
{
    rt->now = now;
    if (!rt->home.family || !mono_due(rt->due, now))
        return;
    mono_t due = MONO_NEVER;
    for (unsigned i = 0; i < ROUTE_OWNERS; i++)
        due = mono_min(due, owner_run(rt, &rt->owner[i], out));
    for (unsigned i = 0; i < ROUTES; i++)
        due = mono_min(due, route_run(rt, &rt->route[i], out));
    rt->due = due;
}

mono_t routes_deadline(const struct routes *rt)
{
    return rt->home.family ? rt->due : MONO_NEVER;
}

/* ---- answers ---- */

static int on_owner(struct routes *rt, const struct addr *from, const uint8_t *p, size_t len)
{
    struct wire_owner o;
    if (!addr_eq(from, &rt->home) || owner_decode(p, len, &o))
        return -EPROTO;
    struct route *r = route_find(rt, o.prefix);
    if (!r || !o.nonce || r->nonce != o.nonce)
        return -EPROTO;
    rt->home_heard = rt->now;
    rt->home_asked = MONO_NEVER;
    const struct addr *at = o.flags & OWNER_SELF ? &rt->home : &o.owner;
    struct owner *watch = addr_eq(at, &rt->home) ? NULL : owner_get(rt, at);
    r->nonce = 0;
    r->owner.family = 0;
    r->until = mono_add(rt->now, o.seconds * USEC_PER_SEC);
    r->ask_at = mono_add(rt->now, ASK_AGAIN);
    if (watch && watch->shunned.us > rt->now.us) { /* it does not know yet */
        r->ask_at = mono_add(rt->now, 2 * ASK_FIRST);
        r->used = true;
    } else if (watch) {
        r->owner = *at;
        r->watch = (uint8_t)(watch - rt->owner);
    }
    rt->due = mono_min(rt->due, r->ask_at);
    return 0;
}

static int on_pong(struct routes *rt, const struct addr *from, const uint8_t *p, size_t len)
{
    uint8_t nonce[NONCE_LEN];
    struct owner *o = owner_find(rt, from);
    if (!o || ping_decode(p, len, WIRE_PONG, nonce) || memcmp(nonce, o->nonce, NONCE_LEN))
        return -EPROTO;
    o->waiting = MONO_NEVER;
    return 0;
}

int routes_input(struct routes *rt, mono_t now, const struct addr *from, const uint8_t *p, size_t len)
{
    rt->now = now;
    switch (wire_kind(p, len)) {
    case WIRE_OWNER:
        return on_owner(rt, from, p, len);
    case WIRE_PONG:
        return on_pong(rt, from, p, len);
    default:
        return -EPROTO;
    }
}

void routes_doubt(struct routes *rt, mono_t now, const struct addr *node)
{
    struct owner *o = owner_find(rt, node);
    rt->now = now;
    if (o && o->shunned.us <= now.us)
        shun(rt, o);
    rt->due = mono_min(rt->due, mono_add(now, ASK_FIRST));
}

unsigned routes_known(const struct routes *rt)
{
    unsigned n = 0;
    for (unsigned i = 0; i < ROUTES; i++)
        n += rt->route[i].taken && rt->route[i].owner.family;
    return n;
}

bool routes_home_silent(const struct routes *rt, mono_t now)
{
    return rt->home_asked.us != MONO_NEVER.us && mono_since(rt->home_asked, now) > HOME_PATIENCE;
}
