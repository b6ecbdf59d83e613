#include "daemon/node/rate.h"

#include <errno.h>
#include <stdlib.h>

enum { FINE = 12 }; /* bits of a microsecond */

#define TOLD 1ull

static uint32_t power_of_two(uint32_t n)
{
    uint32_t p = 1;
    while (p < n && p < 1u << 31)
        p *= 2;
    return p;
}

int rates_init(struct rates *r, uint32_t per_s, uint32_t places, bool sparing)
{
    *r = (struct rates){.step = 0};
    if (!per_s)
        return 0;
    uint64_t burst = per_s / 20 > RATE_DEPTH ? per_s / 20 : RATE_DEPTH;
    places = power_of_two(places);
    r->step = ((USEC_PER_SEC << FINE) + per_s / 2) / per_s;
    r->depth = burst * r->step;
    r->mask = places - 1;
    r->full_at = calloc(places, sizeof(*r->full_at));
    r->spared_until = sparing ? calloc(places, sizeof(*r->spared_until)) : NULL;
    if (r->full_at && (!sparing || r->spared_until))
        return 0;
    rates_fini(r);
    return -ENOMEM;
}

void rates_fini(struct rates *r)
{
    free(r->full_at);
    free(r->spared_until);
    r->full_at = NULL;
    r->spared_until = NULL;
}

uint64_t rates_memory(uint32_t per_s, uint32_t places, bool sparing)
{
    uint64_t each = sizeof(uint64_t) + (sparing ? sizeof(uint32_t) : 0);
    return per_s ? power_of_two(places) * each : 0;
}

static bool is_spared(const struct rates *r, uint32_t place, mono_t now)
{
    return r->spared_until && __atomic_load_n(&r->spared_until[place], __ATOMIC_RELAXED) > now.us / USEC_PER_SEC;
}

void rates_spare(struct rates *r, uint32_t place, mono_t until)
{
    if (r->spared_until)
        __atomic_store_n(&r->spared_until[place & r->mask], (uint32_t)(until.us / USEC_PER_SEC), __ATOMIC_RELAXED);
}

unsigned rates_take(struct rates *r, uint32_t place, mono_t now, unsigned want, bool *tell)
{
    uint64_t *bucket = &r->full_at[place & r->mask], t = now.us << FINE, old = __atomic_load_n(bucket, __ATOMIC_RELAXED), next;
    unsigned got;
    bool first;
    do {
        uint64_t full_at = old & ~TOLD, from = full_at > t ? full_at : t, debt = from - t;
        uint64_t room = debt < r->depth ? (r->depth - debt) / r->step : 0;
        bool told = full_at > t && old & TOLD;
        got = room < want ? (unsigned)room : want;
        if (got < want && is_spared(r, place & r->mask, now)) {
            *tell = false;
            return want;
        }
        first = got < want && !told;
        next = ((from + got * r->step) & ~TOLD) | (told || got < want ? TOLD : 0);
    } while (next != old && !__atomic_compare_exchange_n(bucket, &old, next, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    *tell = first;
    return got;
}
