#include "daemon/program/backlog.h"

struct record {
    struct addr from;
    uint32_t len;
    uint32_t size; /* with head and padding; 0: skip to the start of the ring */
};

void backlog_init(struct backlog_ring *b)
{
    b->first = b->end = b->used = 0;
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
    uint32_t left = (wrapped ? b->first : BACKLOG_BYTES) - b->end;
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

bool backlog_put(struct backlog_ring *b, const struct addr *from, const uint8_t *data, size_t len)
{
    if (len > BACKLOG_BYTES / 2)
        return false;
    uint32_t size = (uint32_t)(sizeof(struct record) + len + 7) & ~7u;
    struct record *r = make_room(b, size);
    if (!r)
        return false;
    *r = (struct record){.from = *from, .len = (uint32_t)len, .size = size};
    memcpy(r + 1, data, len);
    b->end = (b->end + size) % BACKLOG_BYTES;
    b->used += size;
    return true;
}

bool backlog_first(struct backlog_ring *b, struct addr *from, uint8_t **data, size_t *len)
{
    uint32_t left = BACKLOG_BYTES - b->first;
    if (b->used && (left < sizeof(struct record) || !record_at(b, b->first)->size)) {
        b->used -= left;
        b->first = 0;
    }
    if (!b->used)
        return false;
    struct record *r = record_at(b, b->first);
    *from = r->from;
    *data = (uint8_t *)(r + 1);
    *len = r->len;
    return true;
}

void backlog_drop(struct backlog_ring *b)
{
    uint32_t size = record_at(b, b->first)->size;
    b->used -= size;
    b->first = (b->first + size) % BACKLOG_BYTES;
}
