/* pump/strangers.c - keys that nobody here knows, where i3.conf opens something to "anyone" (policy/access.h).
 *
 * A stranger gets a session and, as any guest, what is open to it. It is in no book and on no disk; its address, which is drawn, is none that
 * the id of anybody hashes to, so that it cannot be in the way of people who are known; and nothing remains of it when it has gone.
 *
 * It costs nothing to be one, so they are bounded where that cannot hurt people who are known, who have no part in any of this:
 *
 *   STRANGERS_MAX at once        the one that has been quiet for the longest gives way, if it has no connection and was quiet for
 *                                STRANGER_QUIET; else whoever comes gets no answer, as if it had been lost on the way
 *   STRANGERS_PER_S new ones     STRANGERS_BURST at once; beyond that no answer, so its i3d asks again
 *   STRANGER_IDLE without a word is forgotten; with a connection, when that ends or its session does
 */
#include <errno.h>
#include <stdlib.h>

#include "daemon/base/budget.h"
#include "daemon/base/log.h"
#include "daemon/pump/impl.h"

enum { STRANGERS_MAX = 1024, STRANGERS_PER_S = 50, STRANGERS_BURST = 200 };

#define STRANGER_QUIET (10 * USEC_PER_SEC)
#define STRANGER_IDLE  (180 * USEC_PER_SEC)
#define LOOK_EVERY     (5 * USEC_PER_SEC)
#define SAY_EVERY      (60 * USEC_PER_SEC)

struct stranger {
    uint8_t key[KEY_LEN];
    struct side *s;
    struct peer *peer;
    mono_t since;
};

struct strangers {
    struct stranger v[STRANGERS_MAX];
    unsigned n;
    struct budget new;
    mono_t look_at, told;
};

int strangers_start(struct pump *p)
{
    p->strangers = calloc(1, sizeof(*p->strangers));
    if (!p->strangers)
        return -ENOMEM;
    p->strangers->new.credit = STRANGERS_BURST * (USEC_PER_SEC / STRANGERS_PER_S);
    p->strangers->look_at = MONO_NEVER;
    return 0;
}

void strangers_stop(struct pump *p)
{
    free(p->strangers);
    p->strangers = NULL;
}

static struct stranger *find(const struct pump *p, const uint8_t key[KEY_LEN])
{
    struct strangers *t = p->strangers;
    for (unsigned i = 0; i < t->n; i++)
        if (!memcmp(t->v[i].key, key, KEY_LEN))
            return &t->v[i];
    return NULL;
}

bool strangers_has(const struct pump *p, const uint8_t key[KEY_LEN])
{
    return find(p, key);
}

unsigned strangers_count(const struct pump *p)
{
    return p->strangers->n;
}

/* ---- going ---- */

static void forget(struct pump *p, struct stranger *x)
{
    struct strangers *t = p->strangers;
    uint8_t key[KEY_LEN];
    memcpy(key, x->key, KEY_LEN);
    struct peer *peer = peer_by_key(x->s->peers, key);
    if (peer)
        peer_drop(x->s->peers, peer);
    *x = t->v[--t->n];
    pool_passed(p->pool, key);
}

void strangers_forget(struct pump *p, const uint8_t key[KEY_LEN])
{
    struct stranger *x = find(p, key);
    if (x)
        forget(p, x);
}

void strangers_expel(struct pump *p, const uint8_t key[KEY_LEN])
{
    struct stranger *x = find(p, key);
    if (!x)
        return;
    tcpip_fail_remote(p->tcpip, p->now, peer_addresses(x->peer).local, EHOSTUNREACH, true);
    forget(p, x);
}

void strangers_forget_side(struct side *s)
{
    struct strangers *t = s->o->p->strangers;
    for (unsigned i = t->n; i-- > 0;)
        if (t->v[i].s == s)
            strangers_expel(s->o->p, t->v[i].key);
}

/* For how long nothing has come of it. */
static uint64_t quiet(const struct pump *p, const struct stranger *x)
{
    struct peer_info info;
    peer_info(x->s->peers, x->peer, p->now, &info);
    mono_t last = info.last_received.us > x->since.us ? info.last_received : x->since;
    return mono_since(last, p->now);
}

static bool is_in_use(const struct pump *p, const struct stranger *x)
{
    return peer_is_standing(x->peer) && tcpip_has_remote(p->tcpip, peer_addresses(x->peer).local);
}

/* The one that is missed least; NULL: none may go. */
static struct stranger *least(const struct pump *p)
{
    struct strangers *t = p->strangers;
    struct stranger *found = NULL;
    uint64_t longest = STRANGER_QUIET;
    for (unsigned i = 0; i < t->n; i++) {
        uint64_t us = quiet(p, &t->v[i]);
        if (us < longest || is_in_use(p, &t->v[i]))
            continue;
        longest = us;
        found = &t->v[i];
    }
    return found;
}

/* ---- coming ---- */

static bool make_room(struct pump *p)
{
    struct strangers *t = p->strangers;
    if (t->n < STRANGERS_MAX)
        return true;
    struct stranger *x = least(p);
    if (x)
        forget(p, x);
    return x;
}

static struct peer *refuse(struct pump *p)
{
    struct strangers *t = p->strangers;
    p->count.strangers_refused++;
    if (!t->told.us || mono_since(t->told, p->now) >= SAY_EVERY) {
        t->told = p->now;
        log_warn("strangers too many n=%u: who is not known is not answered at times; something is open to anyone in i3.conf", t->n);
    }
    return NULL;
}

struct peer *strangers_meet(struct side *s, const uint8_t key[KEY_LEN])
{
    struct pump *p = s->o->p;
    struct strangers *t = p->strangers;
    if (names_is_known(p, key))
        return peer_get(s->peers, key, 0);
    struct stranger *x = find(p, key);
    if (x && x->s != s)
        forget(p, x); /* it comes by another overlay */
    if (!budget_take(&t->new, p->now, USEC_PER_SEC / STRANGERS_PER_S, STRANGERS_BURST) || !make_room(p))
        return refuse(p);
    uint32_t ip = pool_pass(p->pool, p->now, key, true);
    struct peer *peer = ip ? peer_get(s->peers, key, ip) : NULL;
    if (!peer) {
        pool_passed(p->pool, key);
        return refuse(p);
    }
    x = &t->v[t->n++];
    *x = (struct stranger){.s = s, .peer = peer, .since = p->now};
    memcpy(x->key, key, KEY_LEN);
    if (t->look_at.us == MONO_NEVER.us)
        t->look_at = mono_add(p->now, LOOK_EVERY);
    p->count.strangers++;
    return peer;
}

/* ---- time, and change ---- */

void strangers_recheck(struct pump *p)
{
    struct strangers *t = p->strangers;
    for (unsigned i = t->n; i-- > 0;) {
        if (names_is_known(p, t->v[i].key))
            strangers_expel(p, t->v[i].key); /* it comes again as whom it is now */
        else if (!names_may_talk(p, t->v[i].key))
            access_doubt(p, t->v[i].key);
    }
}

mono_t strangers_deadline(const struct pump *p)
{
    return p->strangers->look_at;
}

void strangers_turn(struct pump *p)
{
    struct strangers *t = p->strangers;
    if (!mono_due(t->look_at, p->now))
        return;
    for (unsigned i = t->n; i-- > 0;)
        if (quiet(p, &t->v[i]) >= STRANGER_IDLE && !is_in_use(p, &t->v[i]))
            forget(p, &t->v[i]);
    t->look_at = t->n ? mono_add(p->now, LOOK_EVERY) : MONO_NEVER;
}
