/* trigger_watch.c - nodes by which packets come to us: when one falls silent, its triggers are inserted anew at once.
 *
 * No more than TRIGGER_WATCHED, those used last; a PING only when nothing has come for WATCH_AFTER, and nothing at all a few seconds after
 * the last packet: who is idle costs its node nothing.
 */
#include "daemon/i3/trigger_inside.h"

#include <errno.h>
#include <string.h>

#define LOOK_EVERY  (100 * USEC_PER_MSEC)
#define WATCH_AFTER (250 * USEC_PER_MSEC)
#define PING_EVERY  (200 * USEC_PER_MSEC)
#define PATIENCE    (450 * USEC_PER_MSEC) /* and two round trips */
#define RTT_FIRST   (100 * USEC_PER_MSEC)
#define WATCH_FOR   (4 * USEC_PER_SEC)

/* One that is kept there, NULL: none. */
static const struct trigger *kept_at(const struct triggers *ts, const struct addr *node)
{
    for (unsigned i = 0; i < ts->used; i++)
        if (ts->slot[i] && addr_eq(trigger_node(ts, ts->slot[i]), node))
            return ts->slot[i];
    return NULL;
}

static struct watched *find(struct triggers *ts, const struct addr *at)
{
    for (unsigned i = 0; i < TRIGGER_WATCHED; i++)
        if (addr_eq(&ts->watched[i].at, at))
            return &ts->watched[i];
    return NULL;
}

static struct watched *take(struct triggers *ts, const struct addr *at, uint32_t rtt)
{
    struct watched *w = &ts->watched[0];
    for (unsigned i = 1; i < TRIGGER_WATCHED; i++)
        if (ts->watched[i].used.us < w->used.us)
            w = &ts->watched[i];
    *w = (struct watched){.at = *at, .waiting = MONO_NEVER, .patience = PATIENCE + 2 * (rtt ? rtt : RTT_FIRST)};
    return w;
}

void triggers_delivered(struct triggers *ts, mono_t now, const struct addr *from)
{
    if (mono_since(ts->delivered, now) < LOOK_EVERY)
        return;
    ts->delivered = now;
    struct watched *w = find(ts, from);
    const struct trigger *t = w ? NULL : kept_at(ts, from);
    if (t)
        w = take(ts, from, t->rtt_us);
    if (!w)
        return;
    w->used = w->heard = now;
    w->waiting = MONO_NEVER;
}

int trigger_input_pong(struct triggers *ts, mono_t now, const struct addr *from, const uint8_t *p, size_t len)
{
    uint8_t nonce[NONCE_LEN];
    struct watched *w = find(ts, from);
    if (!w || w->waiting.us == MONO_NEVER.us || ping_decode(p, len, WIRE_PONG, nonce) || memcmp(nonce, w->nonce, NONCE_LEN))
        return -EPROTO;
    w->heard = now;
    w->waiting = MONO_NEVER;
    return 0;
}

/* It is gone, and perhaps the copies too. */
static void gone(struct triggers *ts, const struct watched *w, mono_t now)
{
    char s[ADDR_STR];
    log_info("triggers at address=%s inserted anew: it is silent", addr_str(&w->at, s));
    for (unsigned i = 0; i < ts->used; i++) {
        struct trigger *t = ts->slot[i];
        if (!t || !addr_eq(trigger_node(ts, t), &w->at))
            continue;
        t->owner.family = 0;
        t->owners = 0;
        trigger_set_state(ts, t, TRIGGER_WANTED, now);
    }
}

static void ping(struct triggers *ts, struct watched *w, mono_t now, struct outbox *out)
{
    uint8_t *p = outbox_alloc(out, PING_LEN);
    if (w->waiting.us == MONO_NEVER.us) {
        drbg_draw(&ts->drbg, w->nonce, NONCE_LEN);
        w->waiting = now;
    }
    if (p && ping_encode(p, PING_LEN, WIRE_PING, w->nonce))
        outbox_push(out, &w->at, p, PING_LEN);
    w->pinged = now;
}

/* When there is something to do about it. */
static mono_t due_at(const struct watched *w)
{
    mono_t quiet = mono_add(w->heard, WATCH_AFTER), end = mono_add(w->used, WATCH_FOR);
    if (!w->at.family || quiet.us > end.us)
        return MONO_NEVER;
    return mono_max(quiet, mono_add(w->pinged, PING_EVERY));
}

void triggers_watch(struct triggers *ts, mono_t now, struct outbox *out)
{
    for (unsigned i = 0; i < TRIGGER_WATCHED; i++) {
        struct watched *w = &ts->watched[i];
        if (!mono_due(due_at(w), now))
            continue;
        bool silent = w->waiting.us != MONO_NEVER.us && mono_since(w->waiting, now) >= w->patience;
        if (silent)
            gone(ts, w, now);
        if (silent || mono_since(w->used, now) > WATCH_FOR)
            *w = (struct watched){0};
        else
            ping(ts, w, now, out);
    }
}

mono_t triggers_watch_deadline(const struct triggers *ts)
{
    mono_t at = MONO_NEVER;
    for (unsigned i = 0; i < TRIGGER_WATCHED; i++)
        at = mono_min(at, due_at(&ts->watched[i]));
    return at;
}
