/* ring_cache.c - owners that look-ups have found, in the order of their positions: so the range of each is found by halving. */
#include "daemon/node/ring_inside.h"

/* The place of the first at or after pos. */
static unsigned place_of(const struct ring *r, ring_pos pos)
{
    unsigned low = 0, high = r->n_cache;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (r->cache[mid].c.pos < pos)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct cached *entry_at(const struct ring *r, ring_pos pos)
{
    unsigned i = place_of(r, pos);
    return i < r->n_cache && r->cache[i].c.pos == pos ? (struct cached *)&r->cache[i] : NULL;
}

static void remove_at(struct ring *r, unsigned i)
{
    memmove(&r->cache[i], &r->cache[i + 1], (--r->n_cache - i) * sizeof(r->cache[0]));
}

static unsigned longest_unused(const struct ring *r)
{
    unsigned oldest = 0;
    for (unsigned i = 1; i < r->n_cache; i++)
        if (r->cache[i].used.us < r->cache[oldest].used.us)
            oldest = i;
    return oldest;
}

void cache_put(struct ring *r, mono_t now, const struct ring_contact *owner, ring_pos from)
{
    struct cached *e = entry_at(r, owner->pos);
    if (!e) {
        if (r->n_cache == RING_CACHE)
            remove_at(r, longest_unused(r));
        unsigned i = place_of(r, owner->pos);
        e = &r->cache[i];
        memmove(e + 1, e, (r->n_cache++ - i) * sizeof(*e));
    }
    *e = (struct cached){*owner, from, mono_add(now, CACHED_US), now, now};
}

struct cached *cache_find(const struct ring *r, mono_t now, ring_pos pos)
{
    if (!r->n_cache)
        return NULL;
    struct cached *e = (struct cached *)&r->cache[place_of(r, pos) % r->n_cache]; /* behind the last it goes on with the first */
    return ring_within(e->from, pos, e->c.pos) && !mono_due(e->until, now) ? e : NULL;
}

void cache_heard(struct ring *r, mono_t now, const struct ring_contact *c)
{
    struct cached *e = entry_at(r, c->pos);
    if (!e)
        return;
    e->c.addr = c->addr;
    e->heard = now;
}

void cache_drop(struct ring *r, const struct ring_contact *c)
{
    struct cached *e = entry_at(r, c->pos);
    if (e)
        remove_at(r, (unsigned)(e - r->cache));
}
