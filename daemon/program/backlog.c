#include "daemon/program/backlog.h"

#include <stdlib.h>

struct backlog_ring {
    uint32_t size, first, end, used;
    uint8_t bytes[] __attribute__((aligned(8)));
};

struct record {
    mono_t at;
    struct addr from;
    uint32_t len;
    uint32_t size; /* with head and padding; 0: skip to the start of the ring */
};

struct backlog_ring *backlog_ring_new(uint32_t size)
{
    struct backlog_ring *b = malloc(sizeof(*b) + size);
    if (b) {
        b->size = size;
        b->first = b->end = b->used = 0;
    }
    return b;
}

void backlog_ring_free(struct backlog_ring *b)
{
    free(b);
}

bool backlog_is_empty(const struct backlog_ring *b)
{
    return b->used == 0;
}

static struct record *record_at(struct backlog_ring *b, uint32_t at)
{
    return (struct record *)(void *)(b->bytes + at);
}

/* A place of `size` bytes at the end, or NULL. */
static struct record *make_room(struct backlog_ring *b, uint32_t size)
{
    if (!b->used)
        b->first = b->end = 0;
    bool wrapped = b->used && b->end <= b->first;
    uint32_t left = (wrapped ? b->first : b->size) - b->end;
    if (left >= size)
        return record_at(b, b->end);
    if (wrapped || b->first < size)
        return NULL;
    if (left >= sizeof(struct record))
        record_at(b, b->end)->size = 0;
    b->used += left;
    b->end = 0;
    return record_at(b, 0);
}

bool backlog_put(struct backlog_ring *b, const struct backlog_entry *e)
{
    if (e->len > b->size / 2)
        return false;
    uint32_t size = (uint32_t)(sizeof(struct record) + e->len + 7) & ~7u;
    struct record *r = make_room(b, size);
    if (!r)
        return false;
    *r = (struct record){.at = e->at, .from = e->from, .len = (uint32_t)e->len, .size = size};
    memcpy(r + 1, e->data, e->len);
    b->end = (b->end + size) % b->size;
    b->used += size;
    return true;
}

bool backlog_first(struct backlog_ring *b, struct backlog_entry *e)
{
    uint32_t left = b->size - b->first;
    if (b->used && (left < sizeof(struct record) || !record_at(b, b->first)->size)) {
        b->used -= left;
        b->first = 0;
    }
    if (!b->used)
        return false;
    const struct record *r = record_at(b, b->first);
    *e = (struct backlog_entry){.from = r->from, .at = r->at, .data = (const uint8_t *)(r + 1), .len = r->len};
    return true;
}

void backlog_drop(struct backlog_ring *b)
{
    uint32_t size = record_at(b, b->first)->size;
    b->used -= size;
    b->first = (b->first + size) % b->size;
}
