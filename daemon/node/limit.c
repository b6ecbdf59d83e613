#include "daemon/node/limit.h"

#include <string.h>

#define TOKEN 1000000ull

static uint64_t credit_max(const struct limit *l)
{
    uint64_t tenth = l->per_s * TOKEN / 10;
    return tenth > TOKEN || !l->per_s ? tenth : TOKEN;
}

void limit_init(struct limit *l, mono_t now, uint32_t per_s)
{
    memset(l, 0, sizeof(*l));
    l->per_s = per_s;
    l->filled = now;
    l->credit = credit_max(l);
}

static void fill(struct limit *l, mono_t now)
{
    uint64_t us = mono_since(l->filled, now);
    l->credit += l->per_s * (us < USEC_PER_SEC ? us : USEC_PER_SEC);
    if (l->credit > credit_max(l))
        l->credit = credit_max(l);
    l->filled = now;
    if (now.us / USEC_PER_SEC != l->second) {
        l->second = now.us / USEC_PER_SEC;
        memset(l->used, 0, sizeof(l->used));
    }
}

bool limit_take(struct limit *l, mono_t now, uint32_t source)
{
    fill(l, now);
    uint32_t *used = &l->used[source % LIMIT_SOURCES], share = l->per_s / 4 ? l->per_s / 4 : 1;
    if (l->credit < TOKEN || *used >= share)
        return false;
    l->credit -= TOKEN;
    ++*used;
    return true;
}
