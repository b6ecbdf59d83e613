#include "daemon/tcpip/heap.h"

#include <stdlib.h>

bool heap_reserve(struct heap *h, uint32_t n, uint64_t *memory)
{
    if (n <= h->cap)
        return true;
    uint32_t cap = h->cap ? h->cap : 16;
    while (cap < n)
        cap *= 2;
    struct heap_entry *v = realloc(h->v, cap * sizeof(*v));
    if (!v)
        return false;
    *memory += (cap - h->cap) * sizeof(*v);
    h->v = v;
    h->cap = cap;
    return true;
}

void heap_free(struct heap *h)
{
    free(h->v);
}

static void heap_put(struct heap *h, uint32_t i, struct heap_entry e)
{
    h->v[i] = e;
    e.node->place = i;
}

static void heap_up(struct heap *h, uint32_t i, struct heap_entry e)
{
    while (i > 0 && h->v[(i - 1) / 2].when > e.when) {
        heap_put(h, i, h->v[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_put(h, i, e);
}

static void heap_down(struct heap *h, uint32_t i, struct heap_entry e)
{
    for (uint32_t child; (child = 2 * i + 1) < h->n; i = child) {
        if (child + 1 < h->n && h->v[child + 1].when < h->v[child].when)
            child++;
        if (h->v[child].when >= e.when)
            break;
        heap_put(h, i, h->v[child]);
    }
    heap_put(h, i, e);
}

void heap_set(struct heap *h, struct heap_node *node, uint64_t when)
{
    uint32_t i = node->place == HEAP_NONE ? h->n++ : node->place;
    struct heap_entry e = {when, node};
    if (node->place != HEAP_NONE && h->v[i].when < when)
        heap_down(h, i, e);
    else
        heap_up(h, i, e);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    uint32_t i = node->place;
    if (i == HEAP_NONE)
        return;
    node->place = HEAP_NONE;
    struct heap_entry last = h->v[--h->n];
    if (i == h->n)
        return;
    if (i > 0 && h->v[(i - 1) / 2].when > last.when)
        heap_up(h, i, last);
    else
        heap_down(h, i, last);
}
