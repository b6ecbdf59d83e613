#include "daemon/i3/deadline.h"

#include <errno.h>
#include <stdlib.h>

void deadlines_fini(struct deadlines *h)
{
    free(h->v);
    *h = (struct deadlines){0};
}

int deadlines_reserve(struct deadlines *h, uint32_t n)
{
    if (n < h->cap)
        return 0;
    uint32_t cap = h->cap ? h->cap : 16;
    while (cap <= n)
        cap *= 2;
    struct deadline **v = realloc(h->v, cap * sizeof(struct deadline *));
    if (!v)
        return -ENOMEM;
    h->v = v;
    h->cap = cap;
    return 0;
}

static void put(struct deadlines *h, uint32_t place, struct deadline *d)
{
    h->v[place] = d;
    d->place = place;
}

static void sift_up(struct deadlines *h, struct deadline *d)
{
    uint32_t i = d->place;
    while (i > 1 && d->at.us < h->v[i / 2]->at.us) {
        put(h, i, h->v[i / 2]);
        i /= 2;
    }
    put(h, i, d);
}

static void sift_down(struct deadlines *h, struct deadline *d)
{
    uint32_t i = d->place;
    for (;;) {
        uint32_t child = 2 * i;
        if (child > h->n)
            break;
        if (child < h->n && h->v[child + 1]->at.us < h->v[child]->at.us)
            child++;
        if (h->v[child]->at.us >= d->at.us)
            break;
        put(h, i, h->v[child]);
        i = child;
    }
    put(h, i, d);
}

static void take_out(struct deadlines *h, struct deadline *d)
{
    struct deadline *last = h->v[h->n--];
    if (last != d) {
        put(h, d->place, last);
        sift_up(h, last);
        sift_down(h, last);
    }
    d->place = 0;
}

void deadline_set(struct deadlines *h, struct deadline *d, mono_t at)
{
    if (at.us == MONO_NEVER.us) {
        if (d->place)
            take_out(h, d);
        return;
    }
    if (!d->place) {
        if (h->n + 1 >= h->cap)
            abort(); /* the owner did not reserve */
        put(h, ++h->n, d);
    }
    d->at = at;
    sift_up(h, d);
    sift_down(h, d);
}
