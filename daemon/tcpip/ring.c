#include "daemon/tcpip/ring.h"

#include <stdlib.h>
#include <string.h>

int ring_spans(const struct ring *r, uint64_t from, size_t len, struct iovec v[2])
{
    if (len == 0 || !r->data)
        return 0;
    size_t at = from & (r->cap - 1);
    size_t first = r->cap - at < len ? r->cap - at : len;
    v[0] = (struct iovec){r->data + at, first};
    if (first == len)
        return 1;
    v[1] = (struct iovec){r->data, len - first};
    return 2;
}

void ring_write(struct ring *r, uint64_t at, const uint8_t *src, size_t len)
{
    struct iovec v[2];
    int n = ring_spans(r, at, len, v);
    for (int i = 0; i < n; src += v[i].iov_len, i++)
        memcpy(v[i].iov_base, src, v[i].iov_len);
}

void ring_read(const struct ring *r, uint64_t at, uint8_t *dst, size_t len)
{
    struct iovec v[2];
    int n = ring_spans(r, at, len, v);
    for (int i = 0; i < n; dst += v[i].iov_len, i++)
        memcpy(dst, v[i].iov_base, v[i].iov_len);
}

size_t ring_size(size_t need)
{
    size_t cap = RING_LEAST;
    while (cap < need)
        cap *= 2;
    return cap;
}

static bool ring_move(struct ring *r, size_t cap, uint64_t from, uint64_t to, uint64_t *memory)
{
    struct ring other = {.cap = cap, .data = malloc(cap)};
    if (!other.data)
        return false;
    struct iovec v[2];
    int n = to > from ? ring_spans(r, from, (size_t)(to - from), v) : 0;
    for (int i = 0; i < n; from += v[i].iov_len, i++)
        ring_write(&other, from, v[i].iov_base, v[i].iov_len);
    *memory += other.cap - r->cap;
    free(r->data);
    *r = other;
    return true;
}

bool ring_reserve(struct ring *r, size_t need, uint64_t from, uint64_t to, uint64_t *memory)
{
    return need <= r->cap || ring_move(r, ring_size(need), from, to, memory);
}

void ring_fit(struct ring *r, uint64_t from, uint64_t to, uint64_t *memory)
{
    size_t cap = ring_size(to > from ? (size_t)(to - from) : 0); /* an acknowledged FIN lies beyond the end */
    if (cap < r->cap)
        ring_move(r, cap, from, to, memory);
}

void ring_release(struct ring *r, uint64_t *memory)
{
    *memory -= r->cap;
    free(r->data);
    *r = (struct ring){0};
}
