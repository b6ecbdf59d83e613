#include "daemon/middlebox/route.h"

#include <stdlib.h>
#include <string.h>

/* How many routes a neighbour has opened. */
struct opener {
    uint8_t key[KEY_LEN];
    unsigned n;
    UT_hash_handle hh;
};

struct routes {
    struct route_end *by_at;
    struct opener *openers;
    struct route *first, *by_serial;
    unsigned n;
    uint16_t next_num;
    uint32_t serial;
};

struct routes *routes_new(void)
{
    return calloc(1, sizeof(struct routes));
}

void routes_free(struct routes *t)
{
    while (t && t->first)
        route_remove(t, t->first);
    free(t);
}

static struct route_end *end_find(const struct routes *t, const struct route_at *at)
{
    struct route_end *e;
    HASH_FIND(hh, t->by_at, at, sizeof(*at), e);
    return e;
}

struct route *route_find(const struct routes *t, const struct route_at *at, unsigned *end)
{
    struct route_end *e = end_find(t, at);
    if (!e)
        return NULL;
    *end = e->index;
    return (struct route *)(void *)((char *)(e - e->index) - offsetof(struct route, end));
}

static bool opener_take(struct routes *t, const uint8_t key[KEY_LEN])
{
    struct opener *o;
    HASH_FIND(hh, t->openers, key, KEY_LEN, o);
    if (o && o->n >= ROUTES_EACH)
        return false;
    if (!o && (o = calloc(1, sizeof(*o)))) {
        memcpy(o->key, key, KEY_LEN);
        HASH_ADD(hh, t->openers, key, KEY_LEN, o);
    }
    if (o)
        o->n++;
    return o;
}

static void opener_give(struct routes *t, const uint8_t key[KEY_LEN])
{
    struct opener *o;
    HASH_FIND(hh, t->openers, key, KEY_LEN, o);
    if (!o || --o->n)
        return;
    HASH_DELETE(hh, t->openers, o);
    free(o);
}

struct route *route_add(struct routes *t, const struct route_at *opener, const struct route_at *other, mono_t now)
{
    if (t->n == ROUTES_MAX || end_find(t, opener) || end_find(t, other) || !memcmp(opener, other, sizeof(*opener)))
        return NULL;
    struct route *r = calloc(1, sizeof(*r));
    if (!r || !opener_take(t, opener->key)) {
        free(r);
        return NULL;
    }
    r->end[0].at = *opener;
    r->end[1].at = *other;
    r->serial = ++t->serial;
    r->used = r->begun = now;
    for (unsigned i = 0; i < 2; i++) {
        struct route_end *e = &r->end[i];
        e->index = (uint8_t)i;
        e->beyond = UINT16_MAX;
        HASH_ADD(hh, t->by_at, at, sizeof(e->at), e);
    }
    HASH_ADD(by_serial, t->by_serial, serial, sizeof(r->serial), r);
    r->next = t->first;
    if (r->next)
        r->next->prev = r;
    t->first = r;
    t->n++;
    return r;
}

void route_remove(struct routes *t, struct route *r)
{
    for (unsigned i = 0; i < 2; i++) {
        struct route_end *e = &r->end[i];
        HASH_DELETE(hh, t->by_at, e);
    }
    HASH_DELETE(by_serial, t->by_serial, r);
    opener_give(t, r->end[ROUTE_OPENER].at.key);
    *(r->prev ? &r->prev->next : &t->first) = r->next;
    if (r->next)
        r->next->prev = r->prev;
    t->n--;
    free(r);
}

bool route_number(struct routes *t, const uint8_t mine[KEY_LEN], struct route_at *at)
{
    uint16_t half = memcmp(mine, at->key, KEY_LEN) < 0 ? 0 : 0x8000;
    for (unsigned i = 0; i < 0x8000; i++) {
        at->num = (uint16_t)(half | (++t->next_num & 0x7fff));
        if (at->num && !end_find(t, at))
            return true;
    }
    return false;
}

struct route *route_numbered(const struct routes *t, uint32_t serial)
{
    struct route *r;
    HASH_FIND(by_serial, t->by_serial, &serial, sizeof(serial), r);
    return r;
}

struct route *route_first(const struct routes *t)
{
    return t->first;
}

struct route *route_next(const struct route *r)
{
    return r->next;
}

unsigned routes_count(const struct routes *t)
{
    return t->n;
}

unsigned routes_expire(struct routes *t, mono_t now)
{
    unsigned n = 0;
    for (struct route *r = t->first, *next; r; r = next) {
        next = r->next;
        if (mono_since(r->used, now) < ROUTE_IDLE)
            continue;
        route_remove(t, r);
        n++;
    }
    return n;
}
