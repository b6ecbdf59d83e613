#include "daemon/tcpip/ranges.h"

#include <stdlib.h>
#include <string.h>

/* The first range that ends at or after pos. */
static uint32_t ranges_find(const struct ranges *r, uint64_t pos)
{
    uint32_t lo = 0, hi = r->n;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (r->v[mid].end < pos)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool ranges_room(struct ranges *r, uint64_t *memory)
{
    if (r->n < r->cap)
        return true;
    uint32_t cap = r->cap ? r->cap * 2 : 8;
    if (cap > RANGES_MAX)
        return false;
    struct range *v = realloc(r->v, cap * sizeof(*v));
    if (!v)
        return false;
    *memory += (cap - r->cap) * sizeof(*v);
    r->v = v;
    r->cap = cap;
    return true;
}

static void ranges_remember(struct ranges *r, const struct range *now)
{
    uint64_t keep[RANGES_RECENT];
    int n = 0;
    r->unsaid += r->recent[0] < now->start || r->recent[0] >= now->end || !r->unsaid;
    keep[n++] = now->start;
    for (int i = 0; i < RANGES_RECENT && n < RANGES_RECENT; i++) {
        if (r->recent[i] && (r->recent[i] < now->start || r->recent[i] >= now->end))
            keep[n++] = r->recent[i];
    }
    memset(r->recent, 0, sizeof(r->recent));
    memcpy(r->recent, keep, (size_t)n * sizeof(keep[0]));
}

bool ranges_add(struct ranges *r, uint64_t start, uint64_t end, uint64_t *fresh, uint64_t *memory)
{
    uint32_t i = ranges_find(r, start), last = i;
    struct range all = {start, end};
    uint64_t known = 0;
    while (last < r->n && r->v[last].start <= end) {
        const struct range *x = &r->v[last++];
        uint64_t from = x->start > start ? x->start : start, to = x->end < end ? x->end : end;
        known += to > from ? to - from : 0;
        all.start = x->start < all.start ? x->start : all.start;
        all.end = x->end > all.end ? x->end : all.end;
    }
    if (last == i) {
        if (!ranges_room(r, memory))
            return false;
        memmove(r->v + i + 1, r->v + i, (r->n - i) * sizeof(*r->v));
        r->n++;
    } else if (last > i + 1) {
        memmove(r->v + i + 1, r->v + last, (r->n - last) * sizeof(*r->v));
        r->n -= last - i - 1;
    }
    r->v[i] = all;
    *fresh = end - start - known;
    ranges_remember(r, &all);
    return true;
}

uint64_t ranges_advance(struct ranges *r, uint64_t next, uint64_t *memory)
{
    uint32_t gone = 0;
    while (gone < r->n && r->v[gone].start <= next) {
        next = r->v[gone].end > next ? r->v[gone].end : next;
        gone++;
    }
    if (gone == r->n) {
        ranges_release(r, memory);
    } else if (gone) {
        memmove(r->v, r->v + gone, (r->n - gone) * sizeof(*r->v));
        r->n -= gone;
    }
    return next;
}

/* Unless it is among them already. */
static int report_one(const struct range *x, struct range *out, int n)
{
    for (int k = 0; k < n; k++) {
        if (out[k].start == x->start)
            return n;
    }
    out[n] = *x;
    return n + 1;
}

int ranges_report(struct ranges *r, struct range *out, int max)
{
    bool many = max > 1 && r->n > (uint32_t)max;
    int n = 0, recent = many ? max - 1 : max;
    r->unsaid = 0;
    for (int i = 0; i < RANGES_RECENT && n < recent && r->recent[i]; i++) {
        uint32_t at = ranges_find(r, r->recent[i] + 1);
        if (at < r->n && r->v[at].start <= r->recent[i])
            n = report_one(&r->v[at], out, n);
    }
    for (int tries = 0; many && n < max && tries < max; tries++)
        n = report_one(&r->v[r->turn++ % r->n], out, n);
    return n;
}

bool ranges_cover(const struct ranges *r, uint64_t start, uint64_t end)
{
    uint32_t i = ranges_find(r, end);
    return i < r->n && r->v[i].start <= start;
}

void ranges_release(struct ranges *r, uint64_t *memory)
{
    *memory -= r->cap * sizeof(*r->v);
    free(r->v);
    *r = (struct ranges){0};
}
